"""Odd but legal inputs, audited: what a probe cannot change is told, by a control or a reason; nothing is idle unseen.

Every probe of a kind, on pictures of one pixel and of one row, empty texts, emoji and right-to-left writing, series
that never change, sounds of unknown rate, of a few values, or not recorded, and a table that one sample has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.one_sentence import require_one_sentence
from helpers.probe_samples import same, whole
from mmaudit import ArrayData, FunctionModel, Modality, Report, Suite, Task, audit
from mmaudit.data import all_statistics
from mmaudit.errors import BadInput
from mmaudit.probes import Source, probes
from mmaudit.types import Array

N = 12
RNG = np.random.default_rng(0)
UNHEARD = np.where(np.arange(N)[:, None] == 4, np.nan, RNG.normal(0, 0.1, (N, 400))).astype(np.float32)
FOREIGN = ["שלום עולם, מה שלומך", "مرحبا بالعالم الجميل", "👩‍👩‍👧 🇩🇪", "👍🏽 🙂 👨‍👩‍👧"] * 3
PIXELS = {"layout": "HWC", "range": (0, 255)}

INPUTS = {
    "dot": (RNG.integers(0, 255, (N, 1, 1, 3)).astype(np.uint8), Modality("dot", "image", **PIXELS)),
    "row": (RNG.integers(0, 255, (N, 1, 17, 3)).astype(np.uint8), Modality("row", "image", **PIXELS)),
    "fine_row": (
        RNG.random((N, 17, 1, 3)).astype(np.float32),
        Modality("fine_row", "image", layout="HWC", range=(0, 1)),
    ),
    "wide": (RNG.integers(0, 255, (N, 12, 40, 3)).astype(np.uint8), Modality("wide", "image", **PIXELS)),
    "empty": ([""] * N, Modality("empty", "text")),
    "foreign": (FOREIGN, Modality("foreign", "text")),
    "flat": (np.full((N, 40, 2), 3.0, np.float32), Modality("flat", "series", layout="TC", sample_rate=50)),
    "no_rate": (RNG.normal(0, 0.1, (N, 400)).astype(np.float32), Modality("no_rate", "audio")),
    "clicks": (
        [RNG.normal(0, 0.1, 1 + i % 9).astype(np.float32) for i in range(N)],
        Modality("clicks", "audio", sample_rate=8000),
    ),
    "unheard": (UNHEARD, Modality("unheard", "audio", sample_rate=8000)),
    "once": (RNG.normal(size=(N, 3)), Modality("once", "tabular")),
}
KINDS = {name: modality.kind for name, (_, modality) in INPUTS.items()}
FAMILIES = ("corruption", "contrast_set", "mismatch")
ASKED = tuple(p.name for p in probes if p.family in FAMILIES)

# Per modality: probes that leave it as it is, and probes that decline it with a word of the reason.
IDLE = {
    "dot": set(),
    "row": {"image.gaussian_blur", "image.glass_blur"},
    "fine_row": set(),
    "wide": set(),
    "empty": {p.name for p in probes if p.name.startswith("text.")} | {"mismatch", "mismatch_share", "stale_order"},
    "foreign": {f"text.{name}" for name in ("casing", "homoglyphs", "keyboard", "negation", "ocr", "synonym")},
    "no_rate": set(),
    "clicks": set(),
    "unheard": set(),
}
DECLINED = {
    "dot": {"spatial_shift": "single pixel", "image.pixelate": "no neighbours", "image.zoom_blur": "no neighbours"},
    "no_rate": {"audio.hum": "sample_rate", "audio.packet_loss": "sample_rate", "temporal_shift": "sample rate"},
    "once": {"tabular.category_flip": "not category codes"},
}


def data() -> ArrayData:
    return ArrayData(
        {name: x for name, (x, _) in INPUTS.items()},
        np.arange(N, dtype=np.float32),
        Task.regression(),
        modalities=[modality for _, modality in INPUTS.values()],
        present={"once": np.arange(N) == 3},
    )


def first_number(*given: Array) -> Array:
    return np.stack([np.asarray(x).ravel()[:1] for x in given[0]]).astype(np.float32)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    model = FunctionModel(first_number, list(INPUTS), outputs="values")
    suite = Suite("odd", probes=ASKED, positions=(5,), shares=(0.5,), shifts=(20.0,), lags=(1,), pools=("random",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Report, "to_html", lambda self, path: path)  # drawing the page would take most of the time
        folder = tmp_path_factory.mktemp("odd") / "run"
        yield audit(model, data(), out=folder, suite=suite, resamples=2, keep_samples=0)


@pytest.mark.parametrize("name", INPUTS)
def test_every_probe_of_a_kind_is_planned_or_declined_with_a_reason(report: Report, name: str) -> None:
    planned = {m.condition.probe for m in report.conditions if name in m.condition.modalities}
    reasons = {d["probe"]: d["reason"] for d in report.document["declined"] if name in d["modalities"]}
    for probe in probes:
        shifted = probe.name.startswith("temporal_shift")  # in ms where there is a rate, else in samples
        if probe.family in FAMILIES and KINDS[name] in probe.kinds and not shifted:
            assert (probe.name in planned) != (probe.name in reasons), probe.name
    if KINDS[name] in ("audio", "series"):
        assert {"temporal_shift", "temporal_shift_samples"} & planned
    assert all(len(reason) > 20 for reason in reasons.values())
    for probe_name, word in DECLINED.get(name, {}).items():
        assert word in reasons[probe_name]


@pytest.mark.parametrize("name", INPUTS)
def test_what_changes_nothing_is_told_by_a_control(report: Report, name: str) -> None:
    given = data()
    source, batch = Source(given, all_statistics(given)), whole(given)
    told = {c["label"]: c["message"] for c in report.document["controls"] if c["control"] == "applied"}
    idle = set()
    for measured in report.conditions:
        condition = measured.condition
        if condition.modalities != (name,) or condition.family == "control":
            continue
        new = probes.get(condition.probe).apply(batch, condition, source)
        unchanged = same(new.inputs[name], batch.inputs[name])
        assert (measured.changed == 0) == unchanged == (condition.label in told), condition.label
        assert measured.n == N
        assert measured.raised == 0
        if unchanged:
            assert told[condition.label].startswith(f"{condition.label} changed no sample, so it says nothing")
            idle.add(condition.probe)
    if name in IDLE:
        assert idle == IDLE[name]
    else:  # a constant leaves many with nothing to do, but not all
        assert 0 < len(idle) < len({m.condition.probe for m in report.conditions if name in m.condition.modalities})


def test_the_only_sample_of_a_modality_has_no_donor(report: Report) -> None:
    told = {c["label"] for c in report.document["controls"] if c["control"] == "applied"}
    assert "mismatch[once, pool=random]" in told


@pytest.mark.parametrize(
    ("column", "present", "says"),
    [
        ([np.ones(0 if i == 3 else 90, np.float32) for i in range(N)], None, "row 3 has no values"),
        (np.where(np.arange(90) == 7, np.nan, np.ones((N, 90))), None, "is NaN in part"),
        (np.ones((N, 90)), np.zeros(N, bool), "absent from all 12 samples"),
    ],
    ids=["no values", "NaN in part", "all missing"],
)
def test_what_is_no_input_is_refused_before_any_probe(column: Array, present: Array | None, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        ArrayData(
            {"sound": column, "x": np.ones((N, 1))},
            np.arange(N) % 2,
            Task.classification(2),
            modalities=[Modality("sound", "audio", sample_rate=8000), Modality("x", "tabular")],
            present=None if present is None else {"sound": present},
        )
    require_one_sentence(caught.value)


@pytest.mark.parametrize("positions", [(0,), (6,), (-1,)])
def test_positions_out_of_the_table_are_refused(tmp_path: Path, positions: tuple[int, ...]) -> None:
    model = FunctionModel(first_number, list(INPUTS), outputs="values")
    with pytest.raises(BadInput, match="outside 1 to 5") as caught:
        audit(model, data(), out=tmp_path / "run", suite={"base": "quick", "positions": list(positions)})
    require_one_sentence(caught.value)
