"""A severity that is none is refused by every probe in one sentence; nothing is taken for another, and nothing idle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.one_sentence import require_one_sentence
from helpers.probe_samples import conditions, everything, scope_of, source_of, whole
from mmaudit.errors import BadInput
from mmaudit.probes import probes
from mmaudit.probes.corruption.nested import require_share
from mmaudit.types import Condition

DATA = everything()
SOURCE, SCOPE, BATCH = source_of(DATA), scope_of(DATA), whole(DATA)
GRADED = [p.name for p in probes if p.unit]


def first_of(name: str) -> Condition:
    return conditions(probes.get(name), SCOPE)[0]


@pytest.mark.parametrize("severity", [-1.0, -1e-9, float("nan"), float("inf"), None])
@pytest.mark.parametrize("name", GRADED)
def test_what_is_no_severity_is_refused(name: str, severity: float | None) -> None:
    condition = replace(first_of(name), severity=severity, position=None)
    with pytest.raises(BadInput, match="must be 0 or more, and finite") as caught:
        probes.get(name).apply(BATCH, condition, SOURCE)
    require_one_sentence(caught.value)
    said = str(caught.value)
    assert said.startswith(name)
    assert f"severity {severity}" in said
    assert f"({probes.get(name).unit})" in said


@pytest.mark.parametrize("name", [p.name for p in probes if not p.unit and p.family != "clean"])
def test_probes_without_degrees_need_no_severity_and_refuse_a_wrong_one(name: str) -> None:
    found = first_of(name)
    probes.get(name).apply(BATCH, found, SOURCE)
    with pytest.raises(BadInput, match=r"severity -1\.0 must be 0 or more, and finite\."):
        probes.get(name).apply(BATCH, replace(found, severity=-1.0), SOURCE)


@pytest.mark.parametrize("name", [p.name for p in probes if p.name.startswith("scenario.")])
def test_a_scenario_ends_where_the_tables_of_its_steps_end(name: str) -> None:
    found = first_of(name)
    probes.get(name).apply(BATCH, replace(found, severity=5.0, position=5), SOURCE)
    with pytest.raises(BadInput, match=r"severity 5\.5 is above 5, where the tables of its steps end\.") as caught:
        probes.get(name).apply(BATCH, replace(found, severity=5.5, position=None), SOURCE)
    require_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("severity", "says"), [(1.5, "1.5 is above 1"), (-0.5, "-0.5 is not 0 or more"), (float("nan"), "nan is not 0")]
)
def test_a_share_has_two_ends(severity: float, says: str) -> None:
    for fine in (0.0, 0.5, 1.0):
        require_share("ocr", fine, "the characters")
    with pytest.raises(BadInput, match=rf"^ocr: severity {says}.*; it is a share of the characters\.$"):
        require_share("ocr", severity, "the characters")
