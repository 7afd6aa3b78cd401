"""The similarity floor under corruptions of text."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from mmaudit.data import ArrayData
from mmaudit.errors import BadInput
from mmaudit.kernels.chrf import chrf
from mmaudit.probes import Source, probes
from mmaudit.probes.corruption.similarity import limited
from mmaudit.types import Task
from text_cases import QUESTION, REVIEW, corrupted

TEXTS = [REVIEW, QUESTION, "short one", "a", "", "   ", "привет, как дела?", REVIEW * 3]


@pytest.mark.parametrize("name", ["keyboard", "char_delete", "word_swap", "truncation", "synonym"])
@pytest.mark.parametrize("floor", [0.3, 0.6, 0.9])
def test_texts_keep_to_the_floor_and_are_as_damaged_as_it_allows(name, floor):
    severity = 0.6
    new = limited(partial(corrupted, name), TEXTS, severity, floor)
    similar = chrf(new, TEXTS)
    assert (similar >= floor).all()
    full = corrupted(name, TEXTS, severity)
    for i, text in enumerate(TEXTS):
        if chrf([full[i]], [text])[0] >= floor:
            assert new[i] == full[i]
            continue
        # A 64th further, some severity breaks the floor.
        steps = [corrupted(name, [text], severity * k / 64, first=i)[0] for k in range(65)]
        chosen = max(k for k, x in enumerate(steps) if x == new[i])
        assert chrf([steps[chosen + 1]], [text])[0] < floor


def test_what_the_mildest_damage_breaks_stays():
    assert limited(partial(corrupted, "char_replace"), ["ab"] * 20, 1.0, 0.99) == ["ab"] * 20
    assert limited(partial(corrupted, "keyboard"), [], 0.3, 0.5) == []


def test_a_text_is_limited_by_itself():
    def one(text: str, first: int) -> str:
        return limited(lambda x, s: corrupted("ocr", x, s, first=first), [text], 0.5, 0.7)[0]

    assert limited(partial(corrupted, "ocr"), TEXTS, 0.5, 0.7) == [one(x, i) for i, x in enumerate(TEXTS)]


def test_white_space_does_not_count():
    assert limited(partial(corrupted, "whitespace"), TEXTS, 0.5, 1.0) == corrupted("whitespace", TEXTS, 0.5)


def test_the_probe_keeps_to_the_floor_that_its_condition_names():
    data = ArrayData({"t": TEXTS}, np.arange(len(TEXTS)) % 2, Task.classification(2), kinds={"t": "text"})
    probe, batch = probes.get("text.keyboard"), data.rows(np.arange(len(TEXTS)))
    condition = probe.condition(("t",), 0.3, (("similarity_floor", "0.8"),))
    new = probe.apply(batch, condition, Source(data, {"t": None})).inputs["t"].tolist()
    similar = chrf(new, TEXTS)
    assert (similar >= 0.8).all()
    assert 0.8 <= similar[0] < 0.83


@pytest.mark.parametrize("floor", [0, -1, 1.1, float("nan")])
def test_a_floor_is_a_similarity(floor):
    with pytest.raises(BadInput, match="outside"):
        limited(partial(corrupted, "keyboard"), TEXTS, 0.3, floor)
