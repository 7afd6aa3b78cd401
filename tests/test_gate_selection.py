"""Which conditions and groups a requirement means."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaudit.gate import Bound, Requirement
from mmaudit.gate.selection import Planned, groups_of, matches, select
from mmaudit.types import CLEAN, Condition

CONDITIONS = [
    CLEAN,
    Condition("destroy", "control", 1, ("image", "text")),
    Condition("missing", "missing", 1, ("text",), options=(("baseline", "zero"),)),
    Condition("missing", "missing", 1, ("image", "text"), options=(("baseline", "zero"),)),
    *(Condition("image.blur", "corruption", 1, ("image",), float(k), k) for k in (1, 2, 3)),
    *(Condition("image.blur", "corruption", 1, ("photo*",), float(k), k) for k in (1, 3)),
    Condition("missing_rate", "missing", 1, ("text",), 0.3),
]
PLANNED = [Planned(c.key, c) for c in CONDITIONS]


def chosen(**keys: object) -> tuple[list[str], tuple[str, ...]]:
    found = select(Requirement("it", (Bound("min", 0.0),), **keys), PLANNED)  # type: ignore[arg-type]
    return [p.condition.label for p in found.conditions], found.lacking


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({"conditions": ("clean",)}, ["clean"]),
        ({"conditions": ("missing[text, baseline=zero]",)}, ["missing[text, baseline=zero]"]),
        ({"conditions": ("missing[*text*",)}, ["missing[text, baseline=zero]", "missing[image+text, baseline=zero]"]),
        ({"families": ("control",)}, ["destroy[image+text]"]),
        ({"conditions": ("destroy*", "destroy[image+text]")}, ["destroy[image+text]"]),
        (
            {"probes": ("missing*",), "modalities": ("text",)},
            ["missing[text, baseline=zero]", "missing_rate[text]@0.3"],
        ),
        ({"probes": ("missing",), "modalities": ("text", "image")}, ["missing[image+text, baseline=zero]"]),
        (
            {"probes": ("image.blur",), "modalities": ("image",), "positions": (1, 3)},
            ["image.blur[image]@1", "image.blur[image]@3"],
        ),
        ({"families": ("missing",), "severity_from": 0.3, "severity_to": 0.3}, ["missing_rate[text]@0.3"]),
        (
            {"families": ("missing",), "options": (("baseline", "zero"),), "modalities": ("text",)},
            ["missing[text, baseline=zero]"],
        ),
        # A label that holds a star means itself.
        ({"conditions": ("image.blur[photo*]@1",)}, ["image.blur[photo*]@1"]),
    ],
)
def test_what_is_meant(keys: dict[str, object], labels: list[str]) -> None:
    assert chosen(**keys) == (labels, ())


def test_patterns_leave_out_clean_data_and_controls() -> None:
    labels, lacking = chosen(conditions=("*",))
    assert not lacking
    assert len(labels) == len(CONDITIONS) - 2
    assert not {"clean", "destroy[image+text]"} & set(labels)
    assert chosen(conditions=("cl*",))[1]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"conditions": ("claen",)}, "condition = 'claen'; did you mean 'clean'?"),
        ({"conditions": ("clean", "none")}, "condition = 'none'"),
        ({"probes": ("image.*", "text.*")}, "probe = 'text.*'"),
        ({"families": ("missing", "conflict")}, "family = 'conflict'"),
        ({"probes": ("image.blur",), "modalities": ("text",)}, "probe = 'image.blur' with modalities = 'text'"),
        ({"probes": ("image.blur",), "positions": (1, 2)}, "image.blur[photo*] was not measured at position 2"),
        ({"probes": ("image.blur",), "positions": (5,)}, "was not measured at position 5"),
        ({"modalities": ()}, "no measured condition matches"),
        ({"families": ("missing",), "severity_from": 0.9}, "severity from 0.9"),
    ],
)
def test_each_name_must_mean_something(keys: dict[str, object], says: str) -> None:
    lacking = chosen(**keys)[1]
    assert any(says in sentence for sentence in lacking), lacking


def test_a_slip_is_told_once() -> None:
    slip = "no measured condition matches probe = 'image.blr' with positions = [1]; did you mean 'image.blur'?"
    assert chosen(probes=("image.blr",), positions=(1,))[1] == (slip,)
    lacking = chosen(probes=("missing",), positions=(1,))[1]
    assert lacking == ("no measured condition matches probe = 'missing', positions = [1]",)


@given(st.text("ab*?[]", max_size=8), st.text("ab[]*?\n", max_size=10))
def test_patterns_are_those_of_a_regular_expression(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    assert matches(pattern, text) == bool(re.fullmatch(expression, text, re.DOTALL))


def test_no_pattern_takes_long() -> None:
    started = time.process_time()
    assert not matches("*a" * 40 + "b", "a" * 10_000)
    assert time.process_time() - started < 1.0


def test_groups() -> None:
    columns = {"age": {"old": 90, "young": 12}, "a=b": {"c": 50}}

    def named(*groups: str, smallest: int = 0) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        requirement = Requirement("it", (Bound("min", 0.0),), groups=groups, smallest_group=smallest)
        found = groups_of(requirement, columns)
        return found.names, found.left_out, found.lacking

    assert named() == (("",), (), ())
    assert named("age") == (("age=old", "age=young"), (), ())
    assert named("age", "age=old") == (("age=old", "age=young"), (), ())
    assert named("a=b") == (("a=b=c",), (), ())
    assert named("a=b=c") == (("a=b=c",), (), ())
    assert named("age", smallest=30) == (("age=old",), ("age=young (12 samples)",), ())
    assert named("age", smallest=99)[2] == ("every group has fewer than 99 samples",)
    assert named("agee")[2] == ("the run has no group 'agee'; did you mean 'age'?",)
