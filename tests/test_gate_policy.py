"""Reading a policy: what it states, on which lines, and what is refused with a message that helps."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.errors import BadInput
from mmaudit.gate import Bound, policy_from, read_policy
from mmaudit.gate.lines import table_lines
from mmaudit.gate.reading import LARGEST_FILE

ROOT = Path(__file__).parents[1]
CLEAN = '[[require]]\nname = "a"\ncondition = "clean"\nmin = 0.9\n'


def test_every_key_is_read() -> None:
    policy = policy_from(
        'schema = "mmaudit.policy/1"\nname = "release"\nundecided = "allow"\ncontrols = "ignore"\nerrors = "ignore"\n'
        '[findings]\nmax_level = "minor"\naccept = "silent_failure"\n'
        '[[require]]\nname = "a"\nmetric = ["primary", "ece"]\ncondition = ["clean", "missing*"]\nmin = 0\nmax = 1\n'
        '[[require]]\nname = "b"\nfamily = "corruption"\nprobe = "image.*"\npositions = [3, 1]\nseverity_from = 0.1\n'
        'severity_to = 2\nmodalities = ["image"]\noptions = {baseline = "zero"}\ngroup = ["age", "site=north"]\n'
        'smallest_group = 50\nundecided = "fail"\nmax_drop = 0.05\nmax_lost = 0.1\nmax_regression = 0.01\n'
        "max_drop_growth = 0.02\n"
        '[[require]]\nname = "c"\nestimate = "shapley_value"\nmodalities = []\nmin = 0.1\n',
        "policies/p.toml",
    )
    assert (policy.name, policy.undecided, policy.controls, policy.errors) == ("release", "allow", "ignore", "ignore")
    assert policy.file == "policies/p.toml"
    assert policy.needs_previous
    assert policy.findings is not None
    assert (policy.findings.worst, policy.findings.accept, policy.findings.line) == ("minor", ("silent_failure",), 6)
    a, b, c = policy.requirements
    assert (a.line, b.line, c.line) == (9, 15, 31)
    assert a.metrics == ("primary", "ece")
    assert a.conditions == ("clean", "missing*")
    assert a.bounds == (Bound("min", 0.0), Bound("max", 1.0))
    assert (b.families, b.probes, b.positions) == (("corruption",), ("image.*",), (1, 3))
    assert (b.severity_from, b.severity_to, b.modalities) == (0.1, 2.0, ("image",))
    assert (b.options, b.groups, b.smallest_group) == ((("baseline", "zero"),), ("age", "site=north"), 50)
    assert [bound.measure for bound in b.bounds] == ["max_drop", "max_lost", "max_regression", "max_drop_growth"]
    assert (c.estimate, c.metrics, c.modalities) == ("shapley_value", (), ())
    assert policy.allows_undecided(a)
    assert not policy.allows_undecided(b)


def test_the_defaults_are_the_strict_ones() -> None:
    policy = policy_from(CLEAN)
    assert (policy.undecided, policy.controls, policy.errors, policy.findings) == ("fail", "fail", "fail", None)
    assert policy.requirements[0].metrics == ("primary",)
    assert not policy.needs_previous


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = ", "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("x = " + "9" * 5000, "is not TOML"),
        ("", "asks for nothing"),
        ('undecidde = "fail"\n' + CLEAN, "no key 'undecidde'; did you mean 'undecided'"),
        ('undecided = "alow"\n' + CLEAN, "did you mean 'allow'"),
        ('controls = "allow"\n' + CLEAN, "not one of fail, ignore"),
        ('schema = "mmaudit.policy/2"\n' + CLEAN, "reads 'mmaudit.policy/1'"),
        ("name = 3\n" + CLEAN, "name = 3"),
        ("require = 3", "must be tables"),
        ("require = [3]", "must be tables"),
        ("findings = 3", "must be a table"),
        ("[findings]", "no max_level"),
        ('[findings]\nmax_level = "major"\nmax_levle = "x"', "did you mean 'max_level'"),
        ('[findings]\nmax_level = "critical"', "not one of none, info, minor, major"),
        ("[[require]]\nmin = 1", "has no name"),
        (CLEAN + CLEAN, "line 5: the name 'a' is taken"),
        (CLEAN + "mx_drop = 1", "no key 'mx_drop'; did you mean 'max_drop'"),
        ('[[require]]\nname = "a"\ncondition = "clean"', "has no limit"),
        ('[[require]]\nname = "a"\nmin = 1', "under which conditions"),
        (CLEAN + "max = 0.8", "min 0.9 is above max 0.8"),
        (CLEAN + "max_drop = -0.1", "would ask for an improvement"),
        (CLEAN + "max_lost = 5", "for 5 % write 0.05"),
        (CLEAN + "max = true", "give a number"),
        (CLEAN + "max = nan", "give a number"),
        (CLEAN + "max = inf", "give a number"),
        (CLEAN + "max = 1" + "0" * 400, "give a number"),
        (CLEAN + 'max = "1"', "give a number"),
        (CLEAN + "positions = [0]", "places 1 to 5"),
        (CLEAN + "positions = []", "empty list"),
        (CLEAN + "positions = true", "places 1 to 5"),
        (CLEAN + 'positions = ["1"]', "places 1 to 5"),
        (CLEAN + "family = []", "empty list"),
        (CLEAN + "family = [3]", "a text or a list"),
        (CLEAN + "options = {a = 1}", "give texts"),
        (CLEAN + "options = 3", "give texts"),
        (CLEAN + "smallest_group = 3", "without group"),
        (CLEAN + 'group = "age"\nsmallest_group = -3', "whole number"),
        (CLEAN + "severity_from = 2\nseverity_to = 1", "nothing could match"),
        (CLEAN + 'undecided = "perhaps"', "not one of fail, allow"),
        ('[[require]]\nname = "a"\nestimate = "emap"\nprobe = "x"\nmin = 0', "remove probe"),
        ('[[require]]\nname = "a"\nestimate = "emap"\nmax_drop = 0.1', "takes min and max"),
        ('[[require]]\nname = " "\ncondition = "clean"\nmin = 0', "give a text"),
    ],
)
def test_a_slip_is_refused_with_what_to_do(text: str, says: str) -> None:
    with pytest.raises(BadInput) as error:
        policy_from(text, "p.toml")
    assert says in str(error.value)
    assert "p.toml" in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for content, says in (
        (None, "cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "more than"),
    ):
        file = tmp_path / "p.toml"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(BadInput, match=says):
            read_policy(file)
    with pytest.raises(BadInput, match="cannot be read"):
        read_policy(tmp_path)


def test_a_windows_file_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(("# first\n" + CLEAN).replace("\n", "\r\n").encode())
    policy = read_policy(tmp_path / "p.toml")
    assert policy.name == "p"
    assert policy.requirements[0].line == 2


def test_lines_are_those_of_the_headers_and_of_nothing_that_looks_like_one() -> None:
    text = (
        'name = """\n[[require]]\n[findings]\n"""\n'
        "x = [\n[1],\n]\n"
        "  [[require]]  # the first\n"
        'name = "a"\n'
        "note = '''\n[[require]]\n'''\n"
        "[require.options]\n"
        'b = "c"\n'
        '[["require"]]\n'
        "[findings]\n"
    )
    assert table_lines(text) == {"require": [8, 15], "findings": [16]}


def test_requirements_written_inline_stand_on_the_first_line() -> None:
    policy = policy_from('require = [{name = "a", condition = "clean", min = 0.5}]')
    assert policy.requirements[0].line == 1


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["name", "condition", "min", "max_drop", "positions", "options", "group", "x"]),
        st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.just([])),
        max_size=5,
    )
)
def test_any_table_is_a_policy_or_a_message(table: dict[str, object]) -> None:
    lines = ["[[require]]"]
    for key, value in table.items():
        if isinstance(value, bool):
            lines.append(f"{key} = {str(value).lower()}")
        elif isinstance(value, float):
            lines.append(f"{key} = {value!r}" if math.isfinite(value) else f"{key} = nan")
        elif isinstance(value, str):
            lines.append(f"{key} = '''\n{value}'''")
        else:
            lines.append(f"{key} = {value!r}")
    said = ""
    try:
        policy = policy_from("\n".join(lines), "p.toml")
    except BadInput as error:
        said = str(error)
    assert "p.toml" in said if said else policy.requirements[0].name == table["name"]


def test_the_documented_example_reads_and_every_key_is_documented() -> None:
    from mmaudit.gate.reading import _FINDINGS, _POLICY, _REQUIRE

    policy = read_policy(ROOT / "examples" / "gate_policy.toml")
    assert len(policy.requirements) >= 5
    documented = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    for key in (*_POLICY, *_REQUIRE, *_FINDINGS):
        assert f"`{key}`" in documented, key
