"""The written form of a report: its JSON schema, and a check that names the place that breaks it.

The schema is `reports/report.schema.json` (JSON Schema 2020-12). The checker below knows the keywords that file uses
and refuses others, so that the schema cannot promise more than is checked. It exists because a report is read from
folders of strangers and jsonschema is not a dependency of mmaudit; the tests hold the two against each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

SCHEMA = "mmaudit.report/1"

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = {
    "$schema", "$id", "$defs", "$ref", "title", "description",
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "minimum", "maximum",
}  # fmt: skip


def asset(name: str) -> Traversable:
    """A file of the folder `reports/`, from the installed package or from a source checkout."""
    try:
        folder = resources.files("mmaudit.reports")
    except ModuleNotFoundError:
        folder = Path(__file__).resolve().parent.parent / "reports"
    return folder / name


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of `report.json`."""
    loaded: dict[str, Any] = json.loads(asset("report.schema.json").read_text(encoding="utf-8"))
    return loaded


def violations(value: Any) -> Iterator[str]:
    """Yield what is wrong with a report's plain value, each with its place: `conditions[3].severity: …`."""
    yield from _check(value, schema(), "report")


def _check(value: Any, rule: Mapping[str, Any], place: str) -> Iterator[str]:
    if unknown := set(rule) - _KNOWN:
        raise NotImplementedError(f"report.schema.json uses {sorted(unknown)}, which report_schema.py does not check.")
    if "$ref" in rule:
        name = str(rule["$ref"]).removeprefix("#/$defs/")
        yield from _check(value, schema()["$defs"][name], place)
        return
    if "type" in rule:
        names = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
        if not any(_is(value, name) for name in names):
            yield f"{place}: expected {' or '.join(names)}, got {_named(value)}"
            return
    if "const" in rule and value != rule["const"]:
        yield f"{place}: expected {rule['const']!r}, got {value!r}"
    if "enum" in rule and value not in rule["enum"]:
        yield f"{place}: expected one of {rule['enum']}, got {value!r}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < rule.get("minimum", value):
            yield f"{place}: {value} is below {rule['minimum']}"
        if value > rule.get("maximum", value):
            yield f"{place}: {value} is above {rule['maximum']}"
    if isinstance(value, dict):
        yield from _check_object(value, rule, place)
    if isinstance(value, list) and "items" in rule:
        for i, item in enumerate(value):
            yield from _check(item, rule["items"], f"{place}[{i}]")


def _check_object(value: dict[str, Any], rule: Mapping[str, Any], place: str) -> Iterator[str]:
    properties: Mapping[str, Any] = rule.get("properties", {})
    for name in rule.get("required", ()):
        if name not in value:
            yield f"{place}: {name!r} is missing"
    for name, item in value.items():
        if name in properties:
            yield from _check(item, properties[name], f"{place}.{name}")
        elif isinstance(extra := rule.get("additionalProperties", True), dict):
            yield from _check(item, extra, f"{place}.{name}")
        elif not extra:
            yield f"{place}: {name!r} is not a known name"


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, float) and name == "integer":
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _named(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
