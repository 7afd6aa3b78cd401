"""Attacks through the gradient: their closed forms on linear models, and who declines them why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mmaudit
from helpers.probe_samples import LinearModel, everything, scope_of, source_of, whole
from mmaudit.auditing import prepare
from mmaudit.data import ArrayData
from mmaudit.errors import NotApplicable
from mmaudit.models import Differentiable, FunctionModel, TorchModel
from mmaudit.models.gradient import gradient_reasons, losses
from mmaudit.probes import Source, probes
from mmaudit.types import Condition, Modality, Task

DATA = everything()
SOURCE = source_of(DATA)


class TwoInputs(nn.Module):
    """Images and a table, added; images come as bytes and are scaled here."""

    def __init__(self, classes: int = 3, *, recurrent: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, classes))
        self.table = nn.LSTM(5, classes, batch_first=True) if recurrent else nn.Linear(5, classes)
        self.recurrent = recurrent

    def forward(self, image, table):
        second = self.table(table[:, None])[0][:, 0] if self.recurrent else self.table(table)
        return self.image(image.float() / 255) + second


def data(task: Task, n: int = 20) -> ArrayData:
    rng = np.random.default_rng(0)
    targets = {
        "classification": rng.integers(0, 3, n),
        "multilabel": rng.integers(0, 2, (n, 3)).astype(np.int8),
        "regression": rng.normal(size=(n, 3)),
    }
    image = rng.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
    present = {"table": np.arange(n) % 5 != 2}
    return ArrayData(
        {"image": image, "table": rng.normal(0, [1, 2, 3, 4, 5], (n, 5)).astype(np.float32)},
        targets[task.kind],
        task,
        kinds={"image": "image", "table": "tabular"},
        present=present,
    )


TASKS = [Task.classification(3), Task.multilabel(3), Task.regression(3)]


def prepared(model, given, suite=("adversarial",)):
    return prepare(model, given, suite=list(suite))


def test_fgsm_on_a_linear_model_is_the_sign_of_the_gradient():
    batch = whole(DATA)
    condition = probes.get("embedding.fgsm").condition(("embedding",), 0.1)
    new = probes.get("embedding.fgsm").apply(batch, condition, SOURCE).inputs["embedding"]
    _, gradient = LinearModel(DATA).gradient(batch, {"embedding": batch.inputs["embedding"].astype(np.float64)})
    sigma = SOURCE.statistics["embedding"].std
    expected = batch.inputs["embedding"] + 0.1 * sigma * np.sign(gradient["embedding"])
    present = batch.present["embedding"]
    assert np.allclose(new[present], expected[present], atol=1e-5)
    assert np.array_equal(new[~present], batch.inputs["embedding"][~present])


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
@pytest.mark.parametrize("name", ["hwc", "chw", "deep", "sound", "table", "series", "embedding"])
def test_attacks_raise_the_loss_within_epsilon_and_the_legal_range(attack, name):
    batch = whole(DATA)
    modality = SOURCE.modality(name)
    probe = probes.get(f"{modality.kind}.{attack}")
    gradient = LinearModel(DATA).gradient
    before, _ = gradient(batch, {name: batch.inputs[name].astype(np.float64)})
    last = before
    for severity in probe.severities:
        new = probe.apply(batch, probe.condition((name,), severity), SOURCE).inputs[name]
        after, _ = gradient(batch, {name: new.astype(np.float64)})
        present = batch.present[name]
        assert (after >= last - 1e-9)[present].all()
        moved = np.abs(new.astype(np.float64) - batch.inputs[name].astype(np.float64))
        if modality.kind == "image":
            low, high = modality.range
            assert moved.max() <= severity * (high - low) + 1e-6
            assert new.min() >= low
            assert new.max() <= high
        else:
            assert (moved <= severity * SOURCE.statistics[name].std * (1 + 1e-5) + 1e-6).all()
        last = after


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
@pytest.mark.parametrize("epsilon", [0.3, 0.55])
def test_whole_numbers_stay_within_epsilon(attack, epsilon):
    rng = np.random.default_rng(2)
    given = ArrayData(
        {"sound": rng.integers(-9, 9, (30, 40)).astype(np.int16), "table": rng.normal(size=(30, 2))},
        np.arange(30) % 2,
        Task.classification(2),
        modalities=[Modality("sound", "audio", (40,), "int16", sample_rate=8000.0)],
    )
    source, batch = source_of(given), whole(given)
    source = Source(given, source.statistics, LinearModel(given).gradient)
    probe = probes.get(f"audio.{attack}")
    new = probe.apply(batch, probe.condition(("sound",), epsilon), source).inputs["sound"]
    moved = np.abs(new.astype(int) - batch.inputs["sound"])
    radius = epsilon * source.statistics["sound"].std
    assert (moved <= radius).all()
    assert moved.max() == np.floor(radius).max() > 0


def test_pgd_finds_the_corner_that_is_worst_for_a_linear_model():
    """With two classes the loss grows along one direction everywhere, so FGSM is the best attack and PGD reaches it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 6)).astype(np.float32), rng.integers(0, 2, 12)
    given = ArrayData({"x": x, "z": x}, y, Task.classification(2), kinds={"x": "embedding", "z": "embedding"})
    source = source_of(given)
    batch = whole(given)
    found = [
        probes.get(f"embedding.{attack}").apply(batch, probes.get(f"embedding.{attack}").condition(("x",), 0.2), source)
        for attack in ("fgsm", "pgd")
    ]
    assert np.allclose(found[0].inputs["x"], found[1].inputs["x"], atol=1e-5)


class BlackAndWhite:
    """A linear model of two classes on 8-bit images of black and white pixels alone, like scanned digits."""

    def __init__(self, n: int = 2000, pixels: int = 49) -> None:
        rng = np.random.default_rng(3)
        self.weights = rng.normal(size=pixels)
        self.image = (rng.integers(0, 2, (n, pixels)) * 255).astype(np.uint8).reshape(n, 7, 7)
        score = self.image.reshape(n, -1) / 255 @ self.weights
        self.bias = -float(np.median(score))
        self.target = (score + self.bias + rng.normal(0, 1, n) > 0).astype(np.int64)
        self.side = 2 * self.target - 1
        self.visited: list[np.ndarray] = []

    def margin(self, image):
        return self.side * (np.asarray(image, np.float64).reshape(len(self.side), -1) / 255 @ self.weights + self.bias)

    def margin_attacked(self, epsilon):
        """In closed form: every pixel moves by ε against the truth, those at the end that it would leave stay."""
        up = -self.side[:, None] * self.weights > 0
        free = np.where(self.image.reshape(len(self.side), -1) == 0, up, ~up)
        return self.margin(self.image) - epsilon * (free * np.abs(self.weights)).sum(axis=1)

    def gradient(self, batch, inputs):
        self.visited.append(np.array(inputs["image"], np.float64))
        margin = self.margin(inputs["image"])
        slope = -(self.side / (1 + np.exp(margin)) / 255)[:, None] * self.weights
        return np.log1p(np.exp(-margin)), {"image": slope.reshape(inputs["image"].shape)}

    def attacked(self, probe, severity):
        given = ArrayData(
            {"image": self.image, "other": np.ones((len(self.image), 2), np.float32)},
            self.target,
            Task.classification(2),
            kinds={"image": "image,layout=HW", "other": "tabular"},
        )
        source = Source(given, {}, self.gradient)
        return probe.apply(whole(given), probe.condition(("image",), severity), source).inputs["image"]


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
@pytest.mark.parametrize("steps", [1, 4, 16])
def test_saturated_pixels_step_by_the_whole_of_epsilon(attack, steps):
    """Accuracy under attack is that of the closed form at ε, not at less, also where every pixel is black or white."""
    model = BlackAndWhite()
    new = model.attacked(probes.get(f"image.{attack}"), steps / 255)
    expected = model.margin_attacked(steps / 255)
    assert np.allclose(model.margin(new), expected, atol=1e-9)
    assert (
        (expected > 0).mean() < (model.margin_attacked(steps / 510) > 0).mean() < (model.margin(model.image) > 0).mean()
    )


def test_the_steps_of_pgd_do_not_shrink_at_the_ends_of_the_legal_range():
    model = BlackAndWhite()
    model.attacked(probes.get("image.pgd"), 8 / 255)
    way = np.abs(np.diff(model.visited[:2], axis=0))[0]
    assert way.max() == pytest.approx(0.25 * 8, abs=1e-4)


def test_joint_attack_uses_each_modalitys_own_epsilon_and_is_worse_than_either():
    batch = whole(DATA)
    gradient = LinearModel(DATA).gradient
    joint = probes.get("joint.fgsm")
    grid = [c for c in joint.grid(scope_of(DATA)) if isinstance(c, Condition)]
    new = joint.apply(batch, grid[-1], SOURCE)
    assert {m for m in batch.inputs if new.inputs[m] is not batch.inputs[m]} == set(grid[-1].modalities)
    alone = probes.get("embedding.fgsm")
    single = alone.apply(batch, alone.condition(("embedding",), alone.severities[-1]), SOURCE)
    assert np.array_equal(new.inputs["embedding"], single.inputs["embedding"])
    losses_of = [gradient(b, {"table": b.inputs["table"].astype(float)})[0].sum() for b in (batch, single, new)]
    assert losses_of[0] < losses_of[1] < losses_of[2]


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.kind)
@pytest.mark.parametrize("recurrent", [False, True])
def test_torch_gradient_is_the_slope_of_the_loss(task, recurrent):
    model = TorchModel(
        TwoInputs(recurrent=recurrent).eval(),
        ["image", "table"],
        outputs="values" if task.kind == "regression" else "logits",
    )
    given = data(task)
    assert isinstance(model, Differentiable)
    batch = whole(given)
    assert gradient_reasons(model, batch, task) == {"image": "", "table": ""}
    values = batch.inputs["table"].astype(np.float32)
    loss, found = model.gradient(batch, {"table": values}, task)
    assert np.allclose(loss, losses(task, model.outputs, model.predict(batch), batch.target), rtol=1e-4)
    step = np.zeros_like(values)
    step[:, 3] = 1e-2
    plus, _ = model.gradient(batch, {"table": values + step}, task)
    minus, _ = model.gradient(batch, {"table": values - step}, task)
    slope, present = (plus - minus) / 2e-2, batch.present["table"]
    assert np.allclose(slope[present], found["table"][present, 3], atol=2e-2 * np.abs(found["table"]).max())


@pytest.mark.parametrize("scale", ["logits", "probabilities"])
@pytest.mark.parametrize("task", TASKS[:2], ids=lambda t: t.kind)
def test_the_loss_is_the_same_from_logits_and_from_probabilities(task, scale):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 3))
    target = rng.integers(0, 3, 9) if task.kind == "classification" else rng.integers(0, 2, (9, 3))
    p = (
        np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        if task.kind == "classification"
        else 1 / (1 + np.exp(-logits))
    )
    given = logits if scale == "logits" else p
    expected = (
        -np.log(p[np.arange(9), target])
        if task.kind == "classification"
        else -np.log(np.where(target > 0, p, 1 - p)).sum(axis=1)
    )
    assert np.allclose(losses(task, scale, given, target), expected)


class TakesAbsence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.image, self.table = nn.Linear(48, 3), nn.Linear(5, 3)

    def forward(self, image, table):
        out = 0
        if image is not None:
            out = out + self.image(image.flatten(1).float() / 255)
        if table is not None:
            out = out + self.table(table)
        return out


def test_rows_without_the_modality_have_no_gradient_and_are_not_attacked():
    model = TorchModel(TakesAbsence().eval(), ["image", "table"], outputs="logits", absence="none")
    given = data(TASKS[0])
    batch = whole(given)
    _, found = model.gradient(batch, {"table": batch.inputs["table"]}, TASKS[0])
    absent = ~batch.present["table"]
    assert absent.any()
    assert not found["table"][absent].any()
    assert found["table"][~absent].any(axis=1).all()
    ready = prepared(model, given)
    condition = next(c for c in ready.plan.conditions if c.probe == "tabular.pgd")
    new = probes.get("tabular.pgd").apply(batch, condition, ready.source)
    assert np.array_equal(new.inputs["table"][absent], batch.inputs["table"][absent])
    assert (new.inputs["table"] != batch.inputs["table"])[~absent].any(axis=1).all()


def test_pgd_is_about_as_strong_as_fgsm_or_stronger_on_a_network():
    model = TorchModel(TwoInputs().eval(), ["image", "table"], outputs="logits")
    ready = prepared(model, data(TASKS[0]))
    batch = whole(data(TASKS[0]))
    reached = {}
    for attack in ("fgsm", "pgd"):
        probe = probes.get(f"joint.{attack}")
        condition = next(c for c in ready.plan.conditions if c.probe == probe.name and c.position == 5)
        attacked = probe.apply(batch, condition, ready.source)
        reached[attack] = losses(TASKS[0], "logits", model.predict(attacked), batch.target).mean()
    clean = losses(TASKS[0], "logits", model.predict(batch), batch.target).mean()
    # On a network nearly linear within ε both end in nearly the same corner, and a random start may miss it by a value.
    assert clean < reached["fgsm"] <= 1.01 * reached["pgd"]


def reasons(model, given):
    return {d.modalities: d.reason for d in prepared(model, given).plan.declined if d.probe.endswith("fgsm")}


def test_a_model_without_gradients_declines_with_a_reason():
    model = FunctionModel(lambda image, table: np.zeros((len(table), 3)), ["image", "table"], outputs="logits")
    said = reasons(model, data(TASKS[0]))
    assert set(said) == {("image",), ("table",), ("image", "table")}
    assert set(said.values()) == {"the model offers no gradient with respect to its inputs"}


def test_a_prepare_function_that_leaves_torch_declines_with_advice():
    model = TorchModel(
        TwoInputs().eval(),
        ["image", "table"],
        outputs="logits",
        prepare={"table": lambda x: torch.from_numpy(np.asarray(x) * 1.0).float()},
    )
    said = reasons(model, data(TASKS[0]))
    assert "use torch" in said["table",]
    assert ("image",) not in said


def test_a_prepare_function_in_torch_passes_gradients():
    model = TorchModel(
        TwoInputs().eval(), ["image", "table"], outputs="logits", prepare={"table": lambda x: torch.as_tensor(x) * 2.0}
    )
    assert reasons(model, data(TASKS[0])) == {}


def test_a_modality_that_the_model_ignores_declines():
    class Ignores(TwoInputs):
        def forward(self, image, table):
            return self.image(image.float() / 255) + 0 * table.sum(1, keepdim=True)

    said = reasons(TorchModel(Ignores().eval(), ["image", "table"], outputs="logits"), data(TASKS[0]))
    assert "is 0 on all rows tried" in said["table",]


def test_a_source_without_gradient_says_so():
    bare = Source(DATA, SOURCE.statistics)
    probe = probes.get("embedding.fgsm")
    with pytest.raises(NotApplicable, match="no gradient"):
        probe.apply(whole(DATA), probe.condition(("embedding",), 0.1), bare)


def test_an_audit_under_attack_loses_accuracy(tmp_path):
    model = TorchModel(TwoInputs().eval(), ["image", "table"], outputs="logits")
    given = data(TASKS[0], n=200)
    labels = model.predict(whole(given)).argmax(1)
    truth = ArrayData(
        {m: whole(given).inputs[m] for m in ("image", "table")},
        labels,
        TASKS[0],
        kinds={"image": "image", "table": "tabular"},
    )
    report = mmaudit.audit(model, truth, out=tmp_path / "run", suite=["fgsm"], resamples=50)
    rows = report.scores.query("metric == 'accuracy' and group == ''").drop_duplicates("label")
    scores = rows.set_index("label")["value"]
    assert scores["clean"] == 1
    assert scores["joint.fgsm[image+table]@5"] < scores["joint.fgsm[image+table]@1"] <= 1
    assert scores["joint.fgsm[image+table]@5"] < 0.8
