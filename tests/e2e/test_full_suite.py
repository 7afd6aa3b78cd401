"""The suite `full` on real data of every kind with models trained on it: every condition planned is run and proven."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from helpers import real_data, real_models
from mmaudit import Report, Run, audit
from mmaudit.auditing import Prepared, prepare
from mmaudit.data.dataset import Dataset
from mmaudit.models import Model
from mmaudit.plan import SUITES, Suite
from mmaudit.types import Condition

torch = pytest.importorskip("torch")

FULL = SUITES["full"]
ONCE = replace(FULL, repeats=1)
FAMILIES = {"clean", "control", "missing", "mismatch", "conflict", "scenario", "corruption"}


def vqa_model() -> Model:
    from mmaudit.demo.run import model

    return model()


@dataclass(frozen=True)
class Case:
    """What is audited, and what is known about it beforehand.

    Attributes:
        data, model: how to make them.
        n: samples.
        suite: `full`, or `full` with a single repetition.
        gradients: probes of the family `adversarial` that the model's gradient allows.
        scenarios: packaged ones whose modalities the data have.
        left_alone: labels of the conditions that change none of these few samples, each for a reason given there.
    """

    data: Callable[[int], Dataset]
    model: Callable[[], Model]
    n: int
    suite: Suite
    gradients: frozenset[str]
    scenarios: frozenset[str]
    left_alone: frozenset[str] = frozenset()


CASES = {
    "AV-MNIST": Case(
        real_data.avmnist,
        real_models.digits,
        32,
        ONCE,
        frozenset({"image.fgsm", "image.pgd", "audio.fgsm", "audio.pgd", "joint.fgsm", "joint.pgd"}),
        frozenset({"scenario.rainy_night_call", "scenario.cheap_video_call"}),
    ),
    "clothing": Case(
        real_data.clothing,
        real_models.reviews,
        60,
        FULL,
        frozenset(),
        frozenset({"scenario.stale_record"}),
    ),
    "emoji": Case(
        real_data.emoji,
        real_models.emoji,
        60,
        ONCE,
        frozenset(),
        frozenset({"scenario.bad_scan"}),
    ),
    "easy-VQA": Case(
        real_data.easy_vqa,
        vqa_model,
        32,
        ONCE,
        frozenset({"image.fgsm", "image.pgd"}),
        frozenset({"scenario.bad_scan"}),
    ),
}


@dataclass(frozen=True)
class Done:
    case: Case
    data: Dataset
    prepared: Prepared
    folder: Path
    report: Report


@pytest.fixture(scope="module", params=CASES)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    case = CASES[request.param]
    # On batches of 60 rows, threads that wait for each other cost torch and BLAS more than they bring.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data, model = case.data(case.n), case.model()
        folder = tmp_path_factory.mktemp("full") / "run"
        with threadpool_limits(1):
            report = audit(model, data, out=folder, suite=case.suite, resamples=100, keep_samples=12)
        yield Done(case, data, prepare(model, data, suite=case.suite), folder, report)
    finally:
        torch.set_num_threads(threads)


def test_every_planned_condition_was_answered_for_every_sample(done: Done) -> None:
    run = Run.open(done.folder)
    planned = [c.key for c in done.prepared.plan.conditions]
    assert [c.key for c in run.conditions] == planned
    assert [c.key for c in done.report.conditions] == planned
    assert len(planned) == len(set(planned)) > 350
    for measured in done.report.conditions:
        assert (measured.n, measured.raised, measured.error) == (len(done.data), 0, ""), measured.condition.label
    for condition in run.conditions:
        assert np.isfinite(run.read(condition).outputs).all(), condition.label


def test_the_families_and_probes_are_those_that_the_data_and_the_model_allow(done: Done) -> None:
    probes = {c.condition.probe for c in done.report.conditions}
    families = {c.condition.family for c in done.report.conditions}
    texts = any(m.kind == "text" for m in done.data.modalities)
    more = {"adversarial": bool(done.case.gradients), "contrast_set": texts}
    assert families == FAMILIES | {family for family, there in more.items() if there}
    assert {p for p in probes if p.endswith((".fgsm", ".pgd"))} == done.case.gradients
    assert {p for p in probes if p.startswith("scenario.")} == done.case.scenarios
    assert {"missing", "missing_rate", "missing_rate_shared", "missing_mar", "missing_mnar"} <= probes
    assert {"mismatch", "mismatch_share", "conflict", "surface"} <= probes
    for modality in done.data.modalities:
        graded = [c.condition for c in done.report.conditions if c.condition.modalities == (modality.name,)]
        assert {c.position for c in graded if c.family == "corruption"} == {1, 2, 3, 4, 5}, modality.name


def test_every_condition_changed_something_and_the_model_received_something_else(done: Done) -> None:
    clean = done.report.conditions[0]
    assert clean.received
    for c in done.report.conditions[1:]:
        alone = c.condition.probe == "identity" or c.condition.label in done.case.left_alone
        assert (c.changed > 0) != alone, c.condition.label
        assert (c.received != clean.received) != alone, c.condition.label
        # What is withheld altogether has moved by no distance that could be stated.
        assert alone or c.moved > 0 or math.isnan(c.moved), c.condition.label
    received = {c.received for c in done.report.conditions}
    assert len(received) > 0.9 * len(done.report.conditions)


def test_no_control_failed_but_those_that_name_what_was_left_alone(done: Done) -> None:
    failed = {(c["control"], c["label"]) for c in done.report.document["controls"] if not c["ok"]}
    assert failed == {("applied", label) for label in done.case.left_alone}
    judged = {c["control"] for c in done.report.document["controls"]}
    assert {"identity", "destroy"} <= judged


def test_what_is_not_a_number_has_a_reason(done: Done) -> None:
    assert all(math.isfinite(s.value) or s.reason for s in done.report.rows)
    for c in done.report.conditions:
        score = done.report.score(c.key, "accuracy")
        assert score is not None
        assert 0 <= score.low <= score.value <= score.high <= 1, c.condition.label
    # Of balanced accuracy, as 85 % of the reviews recommend their garment.
    clean = done.report.score(done.report.clean, "balanced_accuracy")
    assert clean is not None
    assert clean.value > 1.3 * clean.floor, "the model knows nothing, so this test says nothing"


def test_every_refusal_has_a_reason(done: Done) -> None:
    declined = done.report.document["declined"]
    assert declined == done.prepared.plan.declined_json
    names = {m.name for m in done.data.modalities}
    for d in declined:
        assert len(d["reason"].split()) >= 3, d
        assert not d["reason"].endswith("."), d
        assert d["modalities"], d
        assert set(d["modalities"]) <= names, d
    assert len({(d["probe"], *d["modalities"], d["reason"]) for d in declined}) == len(declined)


def test_report_and_gallery_are_there_and_valid(done: Done) -> None:
    assert Report.read(done.folder) == done.report
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    gallery = (done.folder / "gallery.html").read_text(encoding="utf-8")
    assert 'href="gallery.html"' in page
    for name in {c.condition.probe for c in done.report.conditions if shown(c.condition)}:
        assert name in gallery, name
    assert "<script" not in gallery
    for text in (page, gallery):
        assert "Traceback" not in text


def shown(condition: Condition) -> bool:
    return condition.family == "corruption"
