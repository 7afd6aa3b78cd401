"""The severity × severity surface: which conditions, the same noise together as alone, the scores, the chart."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.probe_samples import everything, same, source_of, whole
from helpers.run_cases import TASKS, Rowwise, dataset
from mmaudit import Report, Run, audit
from mmaudit.errors import BadInput, UnknownName
from mmaudit.figures.base import words
from mmaudit.figures.surface import surface as figure_of
from mmaudit.findings.wording import words as said
from mmaudit.joint import joint_options, parts
from mmaudit.plan import SUITES, Plan, Suite, as_suite, make_plan
from mmaudit.probes import probes
from mmaudit.probes.surface import CANONICAL, MOST_PAIRS
from mmaudit.types import KINDS, Condition, Modality

IMAGE = Modality("photo", "image", (8, 8, 3), "uint8", "HWC", (0.0, 255.0))
NOTE = Modality("note", "text", (), "str")
TABLE = Modality("table", "tabular", (3,))
TASK = TASKS["classification"]
PAIR = (("image.gaussian_blur", "text.keyboard"),)


def planned(modalities: tuple[Modality, ...] = (IMAGE, NOTE), **fields: Any) -> Plan:
    return make_plan(Suite(**{"probes": ("control",), **fields}), modalities, TASK)


def cells(plan: Plan) -> list[Condition]:
    return [c for c in plan.conditions if c.probe == "surface"]


def test_the_grid_and_what_it_is_compared_with() -> None:
    plan = planned(surface=PAIR)
    found = cells(plan)
    assert [(a.position, b.position) for a, b in map(parts, found)] == list(product(range(1, 6), repeat=2))
    assert {c.modalities for c in found} == {("photo", "note")}
    alone = {c.key: c for c in plan.conditions if c.family == "corruption"}
    assert len(alone) == 10, "five of each corruption alone, none twice"
    for cell in found:
        for part in parts(cell):
            assert part.key in alone
            assert replace(part, unit=alone[part.key].unit) == alone[part.key]
    assert len({c.label for c in plan.conditions}) == len(plan.conditions)


def test_corruptions_that_are_planned_anyway_are_not_planned_twice() -> None:
    apart = planned(probes=("image.gaussian_blur", "text.keyboard"))
    both = planned(probes=("image.gaussian_blur", "text.keyboard"), surface=PAIR)
    assert set(both.conditions) - set(cells(both)) == set(apart.conditions)
    few = planned(surface=PAIR, positions=(1, 4))
    assert [(a.position, b.position) for a, b in map(parts, cells(few))] == [(1, 1), (1, 4), (4, 1), (4, 4)]
    assert sum(c.family == "corruption" for c in few.conditions) == 4


def test_standard_suites_cost_what_they_did() -> None:
    for name in ("quick", "standard"):
        families = {c.family for c in make_plan(name, (IMAGE, NOTE, TABLE), TASK).conditions}
        assert "scenario" not in families
    full = make_plan("full", (IMAGE, NOTE), TASK)
    assert len(cells(full)) == 25
    assert sum(c.family == "scenario" for c in full.conditions) < 0.2 * len(full.conditions)
    assert SUITES["full"].surface == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_corruption_of_its_own(kind: str) -> None:
    probe = probes.get(CANONICAL[kind])
    assert probe.kinds == (kind,)
    assert len(probe.severities) == 5


def test_pairs_of_different_kinds_come_first_and_few_are_run_unasked() -> None:
    modalities = tuple(replace(m, name=f"{m.name}{i}") for m in (IMAGE, NOTE) for i in range(2))
    plan = planned(modalities, probes=("surface",))
    pairs = list(dict.fromkeys(c.modalities for c in cells(plan)))
    assert len(pairs) == MOST_PAIRS
    assert all(a[:4] != b[:4] for a, b in pairs)
    left = [d.reason for d in plan.declined if d.probe == "surface"]
    assert left == ["3 of 6 pairs are left out; name the corruptions of a pair in surface"]
    asked = planned(modalities, surface=PAIR)
    assert len({c.modalities for c in cells(asked)}) == 4, "every pair that can have the corruptions"
    twice = planned(modalities[:2], surface=(("image.gaussian_blur", "image.gaussian_blur"),))
    assert {c.modalities for c in cells(twice)} == {("photo0", "photo1")}, "one surface, not two"


def test_what_cannot_have_a_surface_says_why() -> None:
    assert "one modality alone" in planned((IMAGE,), probes=("surface",)).declined[0].reason
    codes = Modality("codes", "tabular", (3,), "int64")
    exchanged = {part.probe for c in cells(planned((IMAGE, codes), probes=("surface",))) for part in parts(c)}
    assert exchanged == {"image.gaussian_noise", "tabular.category_flip"}, "codes are exchanged, not shaken"
    asked = planned((IMAGE, codes), surface=(("image.gaussian_blur", "tabular.gaussian_noise_additive"),)).declined
    assert any(d.probe == "surface" and "whole numbers" in d.reason for d in asked)
    for wrong, error, text in (
        ((("image.gaussian_blur", "audio.gaussian_noise_additive"),), BadInput, "no two of the modalities"),
        ((("gaussian_noise_additive", "text.keyboard"),), BadInput, "name one corruption of one kind in full"),
        ((("missing", "text.keyboard"),), BadInput, "name one corruption"),
        ((("image.blurr", "text.keyboard"),), UnknownName, "blurr"),
    ):
        with pytest.raises(error, match=text):
            planned(surface=wrong)
    for value in ("image.gaussian_blur", [["image.gaussian_blur"]], [["a", 3]], {"a": "b"}):
        with pytest.raises(BadInput, match="no list of pairs"):
            Suite(surface=value)  # type: ignore[arg-type]
    assert as_suite({"surface": [["gaussian_blur", "keyboard"]]}).surface == (("gaussian_blur", "keyboard"),)


def test_the_noise_together_is_the_noise_alone() -> None:
    data = everything(only=("hwc", "question", "table"))
    source, batch = source_of(data), whole(data)
    plan = make_plan(Suite(probes=("surface",), positions=(2, 5)), data.modalities, data.task)
    for cell in cells(plan):
        both = probes.get("surface").apply(batch, cell, source)
        for part in parts(cell):
            name = part.modalities[0]
            alone = probes.get(part.probe).apply(batch, part, source)
            assert same(both.inputs[name], alone.inputs[name])
            assert not same(both.inputs[name], batch.inputs[name])


def test_a_cell_in_words() -> None:
    cell = cells(planned(surface=PAIR))[7]
    assert said(cell) == "gaussian blur of photo at severity 2 of 5 and keyboard of note at severity 3 of 5"
    assert words(cell) == "gaussian blur 2/5 · photo with keyboard 3/5 · note"
    a, b = (replace(part, options=(("scale", "input"),)) for part in parts(cell))
    scaled = replace(cell, options=joint_options(a, b))
    assert said(scaled).endswith("keyboard of note at severity 3 of 5 on the input scale")
    assert words(scaled).endswith("keyboard 3/5 · note · input scale")


def test_another_version_or_severity_is_another_condition() -> None:
    a, b = parts(cells(planned(surface=PAIR))[7])
    cell = Condition("surface", "scenario", 1, ("photo", "note"), options=joint_options(a, b))
    for changed in (replace(a, version=a.version + 1), replace(a, severity=0.123), replace(a, options=(("x", "y"),))):
        other = Condition("surface", "scenario", 1, ("photo", "note"), options=joint_options(changed, b))
        assert other.key != cell.key
        assert parts(other)[0] == changed
    with pytest.raises(BadInput, match="expected 'probe v1 @position severity'"):
        parts(replace(cell, options=(("a", "nonsense"), ("b", "text.keyboard v1 @1 x"))))
    with pytest.raises(BadInput, match="changes 1 modalities"):
        parts(replace(cell, modalities=("photo",)))


SURFACE = {
    "probes": ["missing"],
    "baselines": ["zero"],
    "surface": [["tabular.gaussian_noise_convex", "text.keyboard"]],
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("surface") / "run"
    return audit(Rowwise(), dataset(n=240), out=out, suite={**SURFACE, "positions": [2, 5]}, resamples=150), out


def test_residuals_are_those_of_the_values(audited: tuple[Report, Path]) -> None:
    report, _ = audited
    clean = report.score(report.clean, "accuracy")
    assert clean is not None
    values = []
    for m in report.conditions:
        if m.condition.probe != "surface":
            continue
        keys = (*(p.key for p in parts(m.condition)), m.key)
        a, b, both = (s.value for s in (report.score(k, "accuracy") for k in keys) if s is not None)
        residual = report.score(m.key, "additivity_residual")
        assert residual is not None
        values.append(both - a - b + clean.value)
        assert residual.value == pytest.approx(values[-1], abs=1e-12)
        assert residual.low <= residual.value <= residual.high
        assert 0 <= residual.p <= 1
        kept = [(x - clean.floor) / (clean.value - clean.floor) for x in (a, b, both)]
        independent = report.score(m.key, "independence_residual")
        assert independent is not None
        assert independent.value == pytest.approx(kept[2] - kept[0] * kept[1])
    assert len(values) == 4
    mean = next(s for s in report.rows if s.metric == "mean_additivity_residual")
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.label == "surface[table gaussian_noise_convex × note keyboard]"
    assert {"additivity_residual", "mean_independence_residual"} <= set(report.metrics)


def test_under_a_budget_residuals_count_the_samples_of_their_cells(tmp_path: Path) -> None:
    report = audit(
        Rowwise(),
        dataset(n=240),
        out=tmp_path / "run",
        suite={**SURFACE, "positions": [2, 5]},
        resamples=50,
        forwards=900,
    )
    counts = {}
    for m in report.conditions:
        if m.condition.probe == "surface":
            counts[m.key] = min(
                c.n for c in report.conditions if c.key in (m.key, *(p.key for p in parts(m.condition)))
            )
            for name in ("additivity_residual", "independence_residual"):
                score = report.score(m.key, name)
                assert score is not None
                assert score.n == counts[m.key] < 240
    mean = next(s for s in report.rows if s.metric == "mean_additivity_residual")
    assert mean.n == min(counts.values())


def test_a_surface_is_no_part_of_a_summary_over_scenarios(audited: tuple[Report, Path]) -> None:
    report, _ = audited
    assert "scenario" not in {s.label for s in report.rows}


def test_the_chart_has_every_cell_and_the_page_shows_it(audited: tuple[Report, Path]) -> None:
    report, out = audited
    (figure,) = figure_of(report)
    assert len(figure.table.rows) == 9, "clean, two and two alone, four together"
    assert [len(p.spec["layer"][0]["data"]["values"]) for p in figure.panels[:1]] == [9]
    for panel in figure.panels[1:]:
        drawn = [d for layer in panel.spec["layer"][:2] for d in layer["data"]["values"]]
        assert len(drawn) == 4
        assert all(0 <= d["tone"] <= 0.5 for d in drawn)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Does damage add up?" in page
    assert "table: gaussian noise convex × note: keyboard" in page


def test_a_run_without_what_a_corruption_does_alone_has_reasons(audited: tuple[Report, Path], tmp_path: Path) -> None:
    _, out = audited
    from mmaudit.comparison import Measured
    from mmaudit.interaction import interactions
    from mmaudit.metrics import Resamples, metrics

    run = Run.open(out)
    clean = Measured(np.array([0.9, 0.9, 0.9]), Resamples.draw(240, 2, 0, None), np.full(1, 0.3))
    some = {c.key: clean for c in run.conditions if not c.label.startswith("text.keyboard[note]@5")}
    rows = list(interactions(run.conditions, clean, some, metrics.get("accuracy"), run.task))
    undefined = [s for s in rows if s.value != s.value]
    assert len(undefined) == 4 + 2
    assert {s.reason for s in undefined} == {
        "one of the two corruptions was not measured alone",
        "the residual of at least one cell is undefined",
    }
    defined = [s for s in rows if s.metric == "additivity_residual" and s.value == 0]
    assert len(defined) == 2
    assert all(s.low < 0 < s.high for s in defined), "no change among 240 samples is not certainty"
    bound = 2 * (1 - 0.025 ** (1 / 240))
    cells = [s for s in rows if s.metric == "additivity_residual" and s.value == 0]
    assert [s.high for s in cells] == pytest.approx([bound] * 2)
    shares = [s for s in rows if s.metric == "independence_residual" and s.value == 0]
    assert [s.high for s in shares] == pytest.approx([bound / (0.9 - 0.3)] * 2)
