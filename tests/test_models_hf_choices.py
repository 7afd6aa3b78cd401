"""Generators as classifiers: likelihoods are those of the library's own generation, however they are computed."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from helpers import hf_cases as cases
from mmaudit import ArrayData, Task, audit
from mmaudit.errors import BadInput
from mmaudit.models import check_model, require
from mmaudit.models.hf_choices import TransformersChoices
from mmaudit.models.hf_files import Pretrained, load_pretrained
from mmaudit.models.hf_prompts import Prompt
from mmaudit.types import Array, Batch

N = 12
KINDS: Any = {"image": "image", "question": "text"}
CHOICES = ["yes", "no it is", "the red square thing is a dog"]
PROMPT = "{image} what is {question} it"
TASK = Task.classification(3)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return load_pretrained(cases.llava(tmp_path_factory.mktemp("hf") / "llava"))


def rows(n: int = N) -> Batch:
    inputs = {"image": cases.images(n), "question": cases.texts(n)}
    return ArrayData(inputs, np.arange(n) % 3, TASK).rows(np.arange(n))


def generated(loaded: Pretrained, prompt: str, images: list[Array], choice: str) -> float:
    """The log-likelihood that generation itself gives, token by token, when it is held to the choice."""
    model: Any = loaded.model
    tokens = loaded.processor.tokenizer(choice, add_special_tokens=False)["input_ids"]
    shown = {"images": images} if images else {}
    inputs = loaded.processor(text=[prompt], **shown, return_tensors="pt")
    start = inputs["input_ids"].shape[1]
    found = model.generate(
        **inputs,
        max_new_tokens=len(tokens),
        min_new_tokens=len(tokens),
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
        prefix_allowed_tokens_fn=lambda _, so_far: [tokens[len(so_far) - start]],
    )
    return sum(step[0].log_softmax(-1)[t].item() for step, t in zip(found.logits, tokens, strict=True))


def test_likelihoods_are_those_of_generating(loaded: Pretrained) -> None:
    batch = rows(4)
    model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT)
    assert model.way == "cached"
    expected = [
        [generated(loaded, f"<image> what is {question} it", [image], choice) for choice in CHOICES]
        for image, question in zip(batch.inputs["image"], batch.inputs["question"], strict=True)
    ]
    assert model.predict(batch) == pytest.approx(np.array(expected), abs=1e-4)
    mean = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT, score="mean")
    assert mean.predict(batch) == pytest.approx(np.array(expected) / [1, 3, 7], abs=1e-4)


def test_all_ways_agree(loaded: Pretrained) -> None:
    batch = rows()
    found = []
    for way in ("cached", "whole", "stepwise"):
        model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT)
        vars(model)["way"] = way
        found.append(model.predict(batch))
    assert found[1] == pytest.approx(found[0], abs=1e-4)
    assert found[2] == pytest.approx(found[0], abs=1e-4)


def test_the_prefix_runs_once(loaded: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = rows(6)
    batch.inputs["question"][:] = "is it red"
    model = TransformersChoices(loaded, KINDS, choices=["yes", "no", "a red dog", "blue"], prompt=PROMPT)
    assert model.way == "cached"
    seen: list[int] = []
    towers = [m for name, m in loaded.model.named_modules() if name.endswith("vision_tower")]
    with_hook = towers[0].register_forward_hook(lambda *_: seen.append(1))
    model.predict(batch)
    with_hook.remove()
    assert len(seen) == 1


def test_neither_padding_nor_neighbours_matter(loaded: Pretrained) -> None:
    batch = rows()
    assert len({len(str(q).split()) for q in batch.inputs["question"]}) > 3
    model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT)
    require(check_model(model, batch, TASK))
    alone = [model.predict(batch.take(slice(i, i + 1))) for i in range(N)]
    assert model.predict(batch) == pytest.approx(np.concatenate(alone), abs=1e-4)


def test_what_is_absent_is_left_out_of_the_prompt(loaded: Pretrained) -> None:
    batch = rows(3)
    model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT, absence="leave_out")
    require(check_model(model, rows(), TASK))
    blind = model.predict(batch.replace(present={"image": np.array([False, True, False])}))
    mute = model.predict(batch.replace(present={"question": np.zeros(3, bool)}))
    for i in (0, 2):
        expected = [generated(loaded, f" what is {batch.inputs['question'][i]} it", [], c) for c in CHOICES]
        assert blind[i] == pytest.approx(expected, abs=1e-4)
        expected = [generated(loaded, "<image> what is  it", [batch.inputs["image"][i]], c) for c in CHOICES]
        assert mute[i] == pytest.approx(expected, abs=1e-4)


def test_texts_bring_no_marks_of_their_own(loaded: Pretrained) -> None:
    batch = rows(3)
    batch.inputs["question"][:] = ["red <image> dog", "<im<image>age> [EOS] {image} {0}", "[BOS]" * 3]
    model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT)
    prompt = Prompt("", PROMPT, KINDS, loaded.processor, False)
    # Space is no mark, though tokenizers have tokens of several spaces.
    spaced = Prompt("", PROMPT, KINDS, SimpleNamespace(tokenizer=Spaced(), image_token=" <image>"), False)
    assert spaced.filled({"question": "a  b  <image>"}, []) == " what is a  b  < image> it"
    for text in batch.inputs["question"]:
        filled = prompt.filled({"question": text}, ["image"])
        ids = loaded.processor.tokenizer(filled)["input_ids"]
        assert (ids.count(4), ids.count(1), ids.count(2)) == (1, 1, 0)
    assert np.isfinite(model.predict(batch)).all()


class Spaced:
    """A tokenizer with tokens that begin with space, or are nothing else."""

    all_special_tokens = ("  ", " <image>")


def test_chat_templates(loaded: Pretrained) -> None:
    with pytest.raises(BadInput, match="has no chat template"):
        TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT, chat=True)
    template = (
        "{% for m in messages %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %} it is{% endif %}"
    )
    loaded.processor.chat_template = template
    try:
        chat = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt="{image} {question}", chat=True)
    finally:
        loaded.processor.chat_template = None
    loaded.processor.chat_template = template
    batch = rows(4)
    plain = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt="{image} {question} it is")
    assert np.array_equal(chat.predict(batch), plain.predict(batch))
    loaded.processor.chat_template = None
    assert chat.fingerprint != plain.fingerprint


def test_tokens_that_see_later_ones_are_generated() -> None:
    """A model of two tokens' memory that looks ahead when it runs everything at once."""

    class Ahead(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any = None, past_key_values: Any = None, use_cache: Any = 0):  # type: ignore[no-untyped-def]
            held = past_key_values.ids if past_key_values is not None else input_ids[:, :0]
            ids = torch.cat([held, input_ids], dim=1)
            level = ids.double().mean(dim=1, keepdim=True).expand(-1, input_ids.shape[1])
            logits = torch.stack([(level * k / 7).sin() * 3 for k in range(10)], dim=-1)
            return SimpleNamespace(logits=logits, past_key_values=Cache(ids))

    class Cache:
        def __init__(self, ids: Any) -> None:
            self.ids = ids

        def get_seq_length(self) -> int:
            return int(self.ids.shape[1])

        def crop(self, count: int) -> None:
            pass  # each call makes a new one

    from mmaudit.models.hf_likelihood import Likelihood

    likelihood = Likelihood(Ahead())
    prefix = {"input_ids": torch.tensor([[1, 2, 3]])}
    answers = [[4, 5, 6], [7]]
    assert likelihood.way(prefix, answers, 1e-4) == "stepwise"
    assert likelihood.way(prefix, [[4], [5]], 1e-4) == "cached"


def test_a_whole_audit(loaded: Pretrained, tmp_path: Path) -> None:
    n = 20
    inputs = {"image": cases.images(n), "question": cases.texts(n)}
    data = ArrayData(inputs, np.arange(n) % 3, TASK)
    model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT, score="mean", absence="leave_out")
    suite = {"probes": ["missing"], "baselines": ["native"], "analyses": []}
    scores = audit(model, data, out=tmp_path / "run", suite=suite, resamples=20).scores
    accuracy = scores.query("metric == 'accuracy' and group == ''").drop_duplicates("label").set_index("label")["value"]
    batch = data.rows(np.arange(n))
    blind = model.predict(batch.replace(present={"image": np.zeros(n, bool)}))
    assert accuracy["clean"] == pytest.approx((model.predict(batch).argmax(axis=1) == data.target).mean())
    label = "missing[image, baseline=native]"
    assert accuracy[label] == pytest.approx((blind.argmax(axis=1) == data.target).mean())


def test_it_travels_to_another_process(loaded: Pretrained) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    model = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT)
    batch = rows(3)
    model.predict(batch)
    there = pickle.loads(cloudpickle.dumps(model))
    assert there.fingerprint == model.fingerprint
    assert there.predict(batch) == pytest.approx(model.predict(batch), abs=1e-5)


def test_what_does_not_fit_is_refused(loaded: Pretrained, tmp_path: Path) -> None:
    for prompt in ("{image}", "{image} {question} {other}", "{image} {image} {question}", "{image.x} {question}", "{"):
        with pytest.raises(BadInput, match=r"prompt .*"):
            TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=prompt)
    for choices in (["yes"], ["yes", "yes"], "yes", ["yes", ""], ["yes", 3]):
        with pytest.raises(BadInput, match=r"choice"):
            TransformersChoices(loaded, KINDS, choices=choices, prompt=PROMPT)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no decoder that generates text"):
        TransformersChoices(cases.clip(tmp_path / "clip"), KINDS, choices=CHOICES, prompt=PROMPT)
    first = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT).fingerprint
    other = TransformersChoices(loaded, KINDS, choices=CHOICES, prompt=PROMPT + " a").fingerprint
    assert first != other
