"""Policies from TOML: every key is known, every value is checked, and what is wrong is said with its line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from mmaudit.errors import BadInput
from mmaudit.gate.lines import table_lines
from mmaudit.gate.policy import MEASURES, Allowed, Bound, Choice, FindingsAllowed, Measure, Policy, Requirement
from mmaudit.gate.policy import Undecided as UndecidedChoice

SCHEMA = "mmaudit.policy/1"
LARGEST_FILE = 1_000_000
LARGEST_NUMBER = 1e300
_POLICY = ("schema", "name", "undecided", "controls", "errors", "findings", "require")
_SELECTORS = ("condition", "family", "probe", "positions", "severity_from", "severity_to", "modalities", "options")
_REQUIRE = ("name", "metric", "estimate", "undecided", "group", "smallest_group", *_SELECTORS, *MEASURES)
_FINDINGS = ("max_level", "accept")
_OF_ESTIMATES = ("condition", "modalities", "options")


def read_policy(file: str | Path) -> Policy:
    """Read a policy from a TOML file; `docs/gate.md` lists its keys.

    Raises:
        BadInput: the file cannot be read, is not TOML, has an unknown key (the nearest is suggested), a value of the
            wrong type or out of range, or asks for nothing.
    """
    path = Path(file)
    try:
        content = path.read_bytes()
        if len(content) > LARGEST_FILE:
            raise BadInput(f"policy {path} has {len(content)} bytes, more than any policy needs ({LARGEST_FILE}).")
        text = content.decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise BadInput(f"policy {path} cannot be read: {error.strerror or error}; give a TOML file.") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"policy {path} is not UTF-8 text: {error}; save it as UTF-8.") from None
    return policy_from(text, str(file))


def policy_from(text: str, file: str = "") -> Policy:
    """Return the policy that a TOML text states; errors as in `read_policy`."""
    where = file or "the policy"
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number of 5,000 digits
        raise BadInput(f"{where} is not TOML: {error}.") from None
    _known(table, _POLICY, where)
    schema = table.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise BadInput(
            f"{where}: schema is {_said(schema)}, this mmaudit reads {SCHEMA!r}; update mmaudit or the policy."
        )
    lines = table_lines(text)
    listed = table.get("require", [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise BadInput(f"{where}: 'require' must be tables; write each under a line [[require]].")
    at = lines.get("require", [])
    places = at if len(at) == len(listed) else [1] * len(listed)
    requirements = tuple(_requirement(item, line, where) for item, line in zip(listed, places, strict=True))
    names = [r.name for r in requirements]
    if twice := next((r for i, r in enumerate(requirements) if r.name in names[:i]), None):
        raise BadInput(f"{where}, line {twice.line}: the name {twice.name!r} is taken; give each requirement its own.")
    findings = _findings(table["findings"], lines.get("findings", [1])[0], where) if "findings" in table else None
    if not requirements and findings is None:
        raise BadInput(f"{where} asks for nothing, so every run would pass; add a [[require]] or [findings].")
    return Policy(
        name=_text(table.get("name", Path(file).stem if file else "policy"), "name", where),
        requirements=requirements,
        findings=findings,
        undecided=cast(UndecidedChoice, _choice(table.get("undecided", "fail"), "undecided", UndecidedChoice, where)),
        controls=cast(Choice, _choice(table.get("controls", "fail"), "controls", Choice, where)),
        errors=cast(Choice, _choice(table.get("errors", "fail"), "errors", Choice, where)),
        file=file,
    )


def _requirement(table: Mapping[str, Any], line: int, file: str) -> Requirement:
    where = f"{file}, line {line}: [[require]]"
    if "name" not in table:
        _known(table, _REQUIRE, where)
        raise BadInput(f'{where} has no name; give it one, such as name = "clean accuracy".')
    name = _text(table["name"], "name", where)
    where = f"{where} {name!r}"
    _known(table, _REQUIRE, where)
    bounds = tuple(_bound(measure, table[measure], where) for measure in MEASURES if measure in table)
    if not bounds:
        raise BadInput(f"{where} has no limit; give one of {', '.join(MEASURES)}.")
    _require_sense(table, bounds, where)
    undecided = table.get("undecided")
    if undecided is not None:
        undecided = _choice(undecided, "undecided", UndecidedChoice, where)
    return Requirement(
        name=name,
        bounds=bounds,
        line=line,
        undecided=cast(UndecidedChoice | None, undecided),
        metrics=() if "estimate" in table else _texts(table.get("metric", "primary"), "metric", where),
        conditions=_texts(table.get("condition", ()), "condition", where),
        families=_texts(table.get("family", ()), "family", where),
        probes=_texts(table.get("probe", ()), "probe", where),
        positions=_positions(table.get("positions", ()), where),
        severity_from=_severity(table, "severity_from", where),
        severity_to=_severity(table, "severity_to", where),
        modalities=_texts(table["modalities"], "modalities", where) if "modalities" in table else None,
        options=_options(table.get("options", {}), where),
        groups=_texts(table.get("group", ()), "group", where),
        smallest_group=_whole(table.get("smallest_group", 0), "smallest_group", where),
        estimate=_text(table["estimate"], "estimate", where) if "estimate" in table else "",
    )


def _require_sense(table: Mapping[str, Any], bounds: Iterable[Bound], where: str) -> None:
    """Raise `BadInput` for keys that contradict each other, or that leave open what is meant."""
    if "estimate" in table:
        meant = [m for m in ("metric", *_SELECTORS) if m in table and m not in _OF_ESTIMATES]
        if meant:
            raise BadInput(f"{where}: an estimate is of no condition; remove {', '.join(meant)}.")
        if other := [b.measure for b in bounds if b.measure not in ("min", "max")]:
            raise BadInput(f"{where}: {other[0]} is for metrics; an estimate takes min and max.")
    elif not any(key in table for key in _SELECTORS):
        raise BadInput(
            f'{where} does not say under which conditions; add condition = "clean", or one of '
            f"{', '.join(_SELECTORS[1:])}."
        )
    limits = {b.measure: b.limit for b in bounds}
    if "min" in limits and "max" in limits and limits["min"] > limits["max"]:
        raise BadInput(f"{where}: min {limits['min']:g} is above max {limits['max']:g}; nothing could pass.")
    if "smallest_group" in table and "group" not in table:
        raise BadInput(f"{where}: smallest_group says nothing without group; name a group column.")
    low, high = table.get("severity_from"), table.get("severity_to")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        raise BadInput(f"{where}: severity_from {_said(low)} is above severity_to {_said(high)}; nothing could match.")


def _findings(table: object, line: int, file: str) -> FindingsAllowed:
    where = f"{file}, line {line}: [findings]"
    if not isinstance(table, dict):
        raise BadInput(f"{where} must be a table with max_level.")
    _known(table, _FINDINGS, where)
    if "max_level" not in table:
        raise BadInput(f"{where} has no max_level; give one of {', '.join(get_args(Allowed))}.")
    worst = _choice(table["max_level"], "max_level", Allowed, where)
    return FindingsAllowed(cast(Allowed, worst), _texts(table.get("accept", ()), "accept", where), line)


def _bound(measure: Measure, value: object, where: str) -> Bound:
    limit = _number(value, measure, where)
    if measure not in ("min", "max") and limit < 0:
        raise BadInput(f"{where}: {measure} = {limit:g} would ask for an improvement; give 0 or more.")
    if measure == "max_lost" and limit > 1:
        raise BadInput(f"{where}: max_lost = {limit:g} is a share of all that can be lost; for 5 % write 0.05.")
    return Bound(measure, limit)


def _known(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else f". Known: {', '.join(known)}."
            raise BadInput(f"{where} has no key {_said(key)}{hint}")


def _choice(value: object, key: str, choices: Any, where: str) -> str:
    known = get_args(choices)
    if not isinstance(value, str) or value not in known:
        near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise BadInput(f"{where}: {key} = {_said(value)} is not one of {', '.join(known)}{hint}")
    return value


def _text(value: object, key: str, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where}: {key} = {_said(value)} is not usable; give a text.")
    return value


def _texts(value: object, key: str, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(x, str) and x for x in listed):
        raise BadInput(f"{where}: {key} = {_said(value)} is not usable; give a text or a list of texts.")
    if isinstance(value, list) and not value and key != "modalities":
        raise BadInput(f"{where}: {key} is an empty list, which nothing can match; leave it out.")
    return tuple(dict.fromkeys(listed))


def _number(value: object, key: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_NUMBER:
        raise BadInput(f"{where}: {key} = {str(value)[:40]} is not usable; give a number.")
    return float(value)


def _whole(value: object, key: str, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInput(f"{where}: {key} = {_said(value)} is not usable; give a whole number, 0 or more.")
    return value


def _positions(value: object, where: str) -> tuple[int, ...]:
    listed = [value] if isinstance(value, int) else value
    if not isinstance(listed, list | tuple) or any(isinstance(x, bool) or x not in (1, 2, 3, 4, 5) for x in listed):
        raise BadInput(f"{where}: positions = {_said(value)} is not usable; list places 1 to 5, as in [1, 2, 3].")
    if value == []:
        raise BadInput(f"{where}: positions is an empty list, which nothing can match; leave it out.")
    return tuple(sorted({int(x) for x in listed}))


def _severity(table: Mapping[str, Any], key: str, where: str) -> float | None:
    return _number(table[key], key, where) if key in table else None


def _options(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise BadInput(f'{where}: options = {_said(value)} is not usable; give texts, as in {{baseline = "zero"}}.')
    return tuple(value.items())


def _said(value: object) -> str:
    """A value as it was written, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
