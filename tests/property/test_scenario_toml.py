"""Whatever a scenario file holds: a scenario that can be planned, or one clear error naming file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.errors import BadInput, UnknownName
from mmaudit.probes.scenario import load
from mmaudit.probes.scenario_file import KEYS, STEP_KEYS, parse

GOOD = {
    "name": "spilled_coffee",
    "summary": "Coffee over the form",
    "step": [
        {"kind": "image", "probe": "gaussian_blur", "positions": [1, 2, 3, 4, 5]},
        {"kind": "text", "probe": "text.keyboard", "severities": [0.05, 0.1, 0.15, 0.2, 0.3]},
    ],
}


def toml(value: Any) -> str:
    """The value as inline TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(c):08X}" for c in text) + '"'


def written(value: dict[str, Any]) -> str:
    return "\n".join(f"{_quoted(k)} = {toml(v)}" for k, v in value.items())


def with_step(**changes: Any) -> dict[str, Any]:
    step = {**GOOD["step"][0], **changes}  # type: ignore[dict-item]
    return {**GOOD, "step": [{k: v for k, v in step.items() if v is not None}, GOOD["step"][1]]}


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        ({k: v for k, v in GOOD.items() if k != "name"}, "'name' is missing", "lower-case letters"),
        ({**GOOD, "name": "Rainy Night"}, "'name' is 'Rainy Night'", "lower-case letters"),
        ({**GOOD, "name": 3}, "'name' is 3", "lower-case letters"),
        ({**GOOD, "summary": "  "}, "'summary' is '  '", "not empty"),
        ({**GOOD, "why": []}, "'why' is []", "not empty"),
        ({**GOOD, "spread": 1}, "'spread' is 1", "from 0 to below 1"),
        ({**GOOD, "spread": -0.1}, "'spread' is -0.1", "from 0 to below 1"),
        ({**GOOD, "spread": True}, "'spread' is True", "from 0 to below 1"),
        ({**GOOD, "spread": 10**400}, "'spread' is 1000", "from 0 to below 1"),
        ({**GOOD, "independent": "no"}, "'independent' is 'no'", "true or false"),
        ({**GOOD, "requires": "image"}, "'requires' is 'image'", "a list of kinds"),
        ({**GOOD, "requires": ["picture"]}, "'requires' is ['picture']", "a list of kinds"),
        ({**GOOD, "requires": ["audio"]}, "'requires' is ('audio',)", "no step changes 'audio'"),
        ({**GOOD, "step": []}, "'step' is []", "one or more [[step]] tables"),
        ({**GOOD, "step": ["blur"]}, "'step' is ['blur']", "one or more [[step]] tables"),
        ({k: v for k, v in GOOD.items() if k != "step"}, "'step' is missing", "one or more [[step]] tables"),
        (with_step(kind=None), "step 1: 'kind' is missing", "one of image"),
        (with_step(kind="picture"), "step 1: 'kind' is 'picture'", "one of image"),
        (with_step(kind=["image"]), "step 1: 'kind' is ['image']", "one of image"),
        (with_step(probe=None), "step 1: 'probe' is missing", "the name of a corruption"),
        (with_step(probe=7), "step 1: 'probe' is 7", "the name of a corruption"),
        (with_step(positions=[1, 2, 3]), "step 1: 'positions' is [1, 2, 3]", "five increasing numbers"),
        (with_step(positions=[1, 2, 2, 4, 5]), "step 1: 'positions'", "five increasing numbers above 0, none above 5"),
        (with_step(positions=[0, 1, 2, 3, 4]), "step 1: 'positions'", "above 0"),
        (with_step(positions=[1, 2, 3, 4, 6]), "step 1: 'positions'", "none above 5"),
        (with_step(positions=[1, 2, 3, 4, float("nan")]), "step 1: 'positions'", "five increasing numbers"),
        (with_step(positions=["a"] * 5), "step 1: 'positions'", "five increasing numbers"),
        (with_step(severities=[1, 2, 3, 4, 6]), "step 1: 'severities'", "leave one of them out"),
        (with_step(positions=None, severities=[1, 2, 3, 4, 60]), "step 1: 'severities'", "none above 6 (σ in px"),
        (with_step(modality=""), "step 1: 'modality' is ''", "a name or a pattern"),
        (with_step(share=0), "step 1: 'share' is 0", "above 0, at most 1"),
        (with_step(share=1.5), "step 1: 'share' is 1.5", "above 0, at most 1"),
    ],
)
def test_every_mistake_names_file_key_and_what_was_expected(value: dict[str, Any], key: str, expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(written(value), "mine.toml")
    said = str(caught.value)
    assert said.startswith("scenario file mine.toml")
    assert key in said
    assert expected in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({**GOOD, "steps": []}, "mine.toml: key 'steps' is not registered; did you mean 'step'?"),
        (with_step(severity=3), "mine.toml: step 1: key 'severity' is not registered; did you mean 'severities'?"),
        (with_step(probe="gausian_blur"), "mine.toml: step 1: probe 'gausian_blur'"),
        (with_step(probe="missing"), "mine.toml: step 1: probe 'missing'"),
        (with_step(probe="text.keyboard"), "mine.toml: step 1: probe 'text.keyboard'"),
    ],
)
def test_an_unknown_name_is_said_with_the_nearest(value: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownName) as caught:
        parse(written(value), "mine.toml")
    assert said in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe name")
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000, encoding="utf-8")
    for name, text in (
        ("nowhere.toml", "does not exist"),
        ("bytes.toml", "cannot be read"),
        ("broken.toml", "is not TOML"),
        ("deep.toml", "is not TOML"),
        ("", "cannot be read"),
    ):
        with pytest.raises(BadInput, match=text):
            load([tmp_path / name])


values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.sampled_from(["image", "text", "gaussian_blur", "keyboard", "spilled_coffee"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from([*KEYS, *STEP_KEYS, "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    top=st.dictionaries(st.sampled_from([*KEYS, "x"]), values, max_size=3),
    step=st.dictionaries(st.sampled_from([*STEP_KEYS, "x"]), values, max_size=3),
)
def test_any_values_give_a_scenario_or_one_clear_error(top: dict[str, Any], step: dict[str, Any]) -> None:
    value = {**GOOD, "step": [{**GOOD["step"][0], **step}, GOOD["step"][1]], **top}  # type: ignore[dict-item]
    said, scenario = "", None
    try:
        scenario = parse(written(value), "mine.toml")
    except (BadInput, UnknownName) as error:
        said = str(error)
    if scenario is None:
        assert "mine.toml" in said
        return
    for part in scenario.steps:
        table = [part.severity(s) for s in (0, 0.5, 1, 2, 3, 4, 5)]
        assert table == sorted(set(table))
        assert table[0] == 0
        assert table[-1] <= part.corruption.severities[-1]
    assert len(scenario.definition) == 8


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=r"mine\.toml"):
        parse(text, "mine.toml")
