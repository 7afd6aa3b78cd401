"""Rules about reference methods: what would help, that nothing does, what failed; said with price and interval."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mmaudit.findings import Evidence, find
from mmaudit.findings.reference import gains
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import CLEAN, VALUE, Group, Method, Row
from mmaudit.types import CLEAN as CLEAN_CONDITION
from mmaudit.types import Finding, Task

IMAGE = Group("missing[image]", "image missing", "missing", ("image",), ("k1",), remark="stand-in: mean")
TEXT = Group("missing[text]", "text missing", "missing", ("text",), ("k2",))
SWAP = Group("mismatch[text]", "text taken from another sample", "mismatch", ("text",), ("k3",), counts=False)
FROZEN = (("image", "frozen features"), ("text", "frozen features"))
MINE = {CLEAN: 0.85, IMAGE.key: 0.5, TEXT.key: 0.7, SWAP.key: 0.5}
AECF = Method("aecf", "AECF", "Chlon et al. 2025", (0, 1, 2, 3, 4), (), FROZEN, 1000, relative_time=1.01)
LATE = Method("late", "Late fusion", "x", (0, 1, 2, 3, 4), (), FROZEN, 10, relative_time=0.5)


def row(method: str, place: str, value: float, half: float = 0.02, p: float = 1e-5, between: float = 0.005) -> Row:
    delta = value - MINE[place]
    seeds = 5 if method else 0
    numbers = Row(method, VALUE, place, 1000, seeds, value, value - half, value + half, unit="share", better="higher")
    if not method:
        return numbers
    return replace(
        numbers,
        delta=delta,
        delta_low=delta - half,
        delta_high=delta + half,
        p=p,
        p_adjusted=p,
        mde=half,
        between=between,
    )


def panel(*rows: Row, methods: tuple[Method, ...] = (AECF, LATE), **values: object) -> Panel:
    given = {(r.method, r.place): r for r in rows}
    every = [row("", place, value) for place, value in MINE.items()]
    for m in methods:
        every += [
            given.get((m.name, place), row(m.name, place, value, p=1.0)) for place, value in MINE.items() if m.seeds
        ]
    made = Panel(
        "mine", "accuracy", "share", "higher", 0.25, 1000, (), methods, (IMAGE, TEXT, SWAP), (), tuple(every), 100, 0
    )
    return replace(made, **values)


def found(of: Panel | None) -> list[Finding]:
    evidence = Evidence(Task.classification(4), "accuracy", [CLEAN_CONDITION], [], n=1000, folder="runs/mine", panel=of)
    return [f for f in find(evidence) if "reference" in f.rule]


def said(finding: Finding) -> str:
    return finding.claim.replace("\xa0", " ")


def test_without_references_nothing_is_said() -> None:
    assert found(None) == []


def test_what_would_help_most_and_what_it_costs() -> None:
    (finding,) = found(
        panel(row("aecf", IMAGE.key, 0.65), row("late", TEXT.key, 0.75), row("aecf", CLEAN, 0.847, p=0.5))
    )
    assert (finding.rule, finding.level, finding.modalities) == ("reference_would_help", "major", ("image",))
    claim = said(finding)
    assert claim.startswith(
        "AECF, trained on the features of the model's own encoders, does better than the model with image"
    )
    assert "accuracy +15.0 pp (95 % interval +13.0 pp to +17.0 pp), 42.9 % of what the model loses there" in claim
    assert "−0.3 pp (95 % interval −2.3 pp to +1.7 pp) on clean data; its fusion takes 1.01 times as long" in claim
    assert "It is told what is missing; the model reads what stands in for it (mean)." in claim
    assert "Also surely better: Late fusion with text missing (+5.0 pp)." in claim
    assert finding.reproduce == "mmaudit panel runs/mine"
    assert finding.effect == pytest.approx(0.15 / 0.6)
    assert [e["label"] for e in finding.evidence] == [
        "AECF · image missing",
        "mine · image missing",
        "AECF · clean data",
    ]


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        (row("aecf", IMAGE.key, 0.65), "major"),
        (row("aecf", IMAGE.key, 0.57), "minor"),  # a fifth of what is lost
        (row("late", CLEAN, 0.9), "minor"),
        (row("aecf", IMAGE.key, 0.505, half=0.001), None),  # less than matters
        (row("aecf", IMAGE.key, 0.65, half=0.16), None),  # the interval reaches 0
        (row("aecf", IMAGE.key, 0.65, p=0.04), None),  # one of many looks
        (row("aecf", IMAGE.key, 0.65, between=0.06), None),  # what another training might have, too
        (row("aecf", SWAP.key, 0.9), None),  # only who ignores the text is unharmed
        (row("aecf", IMAGE.key, 0.2), None),
    ],
)
def test_levels_rest_on_bounds(changed: Row, level: str | None) -> None:
    (finding,) = found(panel(changed))
    assert (finding.rule, finding.level) == (
        ("reference_would_help", level) if level else ("no_reference_helps", "info")
    )


def test_a_method_that_takes_more_than_it_gives_is_no_recommendation() -> None:
    dear = row("aecf", IMAGE.key, 0.65), row("aecf", CLEAN, 0.6)
    (finding,) = found(panel(*dear))
    assert finding.level == "info"
    assert "It is no recommendation, for it loses more on clean data than it gives here." in said(finding)
    assert "−25.0 pp" in said(finding)
    # A smaller gain at a fair price is told instead.
    (finding,) = found(panel(*dear, row("late", IMAGE.key, 0.62)))
    assert said(finding).startswith("Late fusion")
    assert finding.level == "major"


def test_lower_errors_are_gains() -> None:
    turned = panel(row("aecf", IMAGE.key, 0.4), metric="rmse", unit="mm", better="lower", floor=1.5)
    best = gains(turned)[0]
    assert (best.gain, best.low) == (pytest.approx(0.1), pytest.approx(0.08))
    assert best.fair


def test_with_one_training_it_says_so_and_stays_minor() -> None:
    once = replace(AECF, seeds=(0,))
    (finding,) = found(panel(row("aecf", IMAGE.key, 0.65, between=math.nan), methods=(once,)))
    assert finding.level == "minor"
    assert "trained once" in said(finding)


def test_nothing_helps() -> None:
    (finding,) = found(panel(row("late", TEXT.key, 0.71, p=0.4)))
    assert (finding.rule, finding.level) == ("no_reference_helps", "info")
    assert said(finding).startswith("None of the 2 reference methods trained on the same data is surely better")
    assert "The nearest is Late fusion with text missing: accuracy +1.0 pp (95 % interval −1.0 pp to +3.0 pp)." in said(
        finding
    )
    assert "A difference of 2.0 pp would have been seen there" in said(finding)


def test_nothing_helps_where_references_were_chosen_on_rows_that_the_model_knows() -> None:
    weak = replace(AECF, optimistic=True)
    (finding,) = found(panel(row("aecf", TEXT.key, 0.71, p=0.4), methods=(weak, LATE)))
    assert "when to stop training was chosen on rows that the model knows" in said(finding)
    assert Panel.from_json(panel(methods=(weak,)).to_json()).methods[0].optimistic


def test_what_failed_is_told() -> None:
    agm = Method("agm", "AGM", "x", failed=((0, "the loss diverged"), (1, "the loss diverged")))
    symile = Method("symile", "Symile", "x", refused="it needs three modalities")
    shaky = replace(LATE, seeds=(0, 1, 2, 3), failed=((4, "out of memory."),))
    failed, helped = sorted(found(panel(methods=(AECF, shaky, agm, symile))), key=lambda f: -len(f.rule))
    assert helped.rule == "no_reference_helps"
    assert failed.rule == "reference_not_trained"
    assert failed.level == "info"
    claim = said(failed)
    assert "Late fusion (1 of 5 trainings, out of memory)" in claim
    assert "AGM (the loss diverged)" in claim
    assert "Symile (it needs three modalities)" in claim
    only = found(panel(methods=(agm,)))
    assert [f.rule for f in only] == ["reference_not_trained"]


@pytest.mark.parametrize("case", [panel(row("aecf", IMAGE.key, 0.65)), panel(), panel(row("late", CLEAN, 0.95))])
def test_claims_read_as_sentences(case: Panel) -> None:
    for finding in found(case):
        assert finding.claim[0].isupper()
        assert finding.claim.endswith(".")
        assert not any(x in finding.claim for x in ("nan", "None ", "_", "  ", "—", "{")) or "None of" in finding.claim
        assert len(finding.claim) <= 700
        assert "95 % interval" in said(finding)
        assert 0 <= finding.effect <= 1
