"""The written form of a report: its JSON schema, and a check that names the place that breaks it.

The schema is `reports/report.schema.json` (JSON Schema 2020-12). The checker below knows the keywords that file uses
and refuses others, so that the schema cannot promise more than is checked. It exists because a report is read from
folders of strangers and jsonschema is not a dependency of mmaudit; the tests hold the two against each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from mmaudit.errors import DamagedRun, StaleRun
from mmaudit.types import Score

SCHEMA = "mmaudit.report/1"
FIELDS = frozenset(f.name for f in fields(Score))
TEXT_FIELDS = frozenset(
    f.name for f in fields(Score) if isinstance(f.default, str) or f.name in ("condition", "label", "metric")
)

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_REAL = (int, float, type(None))
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


def check(value: Any) -> None:
    """Raise `DamagedRun` where a value is not a report, `StaleRun` where a newer mmaudit wrote it."""
    check_version(value)
    wrong = [text for text, _ in zip(violations(value), range(4), strict=False)]
    wrong = wrong or [text for text, _ in zip(_inconsistent(value), range(4), strict=False)]
    if wrong:
        more = " (and more)" if len(wrong) > 3 else ""
        raise DamagedRun(f"this is not a valid {SCHEMA}: {'; '.join(wrong[:3])}{more}. Write it again from its run.")


def check_version(value: Any) -> None:
    """Raise `StaleRun` for a report of a newer form, `DamagedRun` for what is no report at all."""
    given = value.get("schema") if isinstance(value, Mapping) else None
    family, _, version = str(given).rpartition("/")
    ours_family, _, ours = SCHEMA.rpartition("/")
    if family != ours_family or not re.fullmatch("[0-9]{1,9}", version):
        raise DamagedRun(f"this is not an mmaudit report: its 'schema' is {given!r}, expected {SCHEMA!r}.")
    if int(version) > int(ours):
        raise StaleRun(
            f"the report was written in {given!r} by a newer mmaudit ({value.get('mmaudit', 'version unknown')}), "
            f"this one reads up to {SCHEMA!r}; run: pip install -U mmaudit"
        )


def _inconsistent(value: Mapping[str, Any]) -> Iterator[str]:
    """What the schema cannot say: names that must refer to each other, lengths that must agree."""
    columns = value["scores"]["columns"]
    if missing := [f for f in ("condition", "label", "metric", "value", "low", "high") if f not in columns]:
        yield f"report.scores.columns: {', '.join(missing)} missing"
        return
    yield from _unfit_rows("scores", columns, value["scores"]["rows"], TEXT_FIELDS)
    if by_output := value.get("by_output"):
        held, texts = by_output["columns"], TEXT_FIELDS | {"output"}
        lacking = [f for f in ("output", "positives", "condition", "label", "metric") if f not in held]
        if lacking:
            yield f"report.by_output.columns: {', '.join(lacking)} missing"
        else:
            yield from _unfit_rows("by_output", held, by_output["rows"], texts)
    if value["primary"] not in {m["name"] for m in value["metrics"]}:
        yield f"report.primary: {value['primary']!r} is not among report.metrics"
    if value.get("bootstrap") and not {"replicates", "seed"} <= set(value["bootstrap"]):
        yield "report.bootstrap: replicates and seed belong together"
    keys = [c["key"] for c in value["conditions"]]
    if len(set(keys)) != len(keys):
        yield "report.conditions: two conditions have the same key"
    for i, item in enumerate(value["reliability"]):
        lengths = {len(item[k]) for k in ("count", "confidence", "accuracy", "low", "high")}
        if lengths != {len(item["edges"]) - 1}:
            yield f"report.reliability[{i}]: edges, count, confidence, accuracy, low and high do not fit together"
    for i, item in enumerate(value.get("risk_coverage", [])):
        if len({len(item[k]) for k in ("coverage", "risk", "low", "high")}) > 1:
            yield f"report.risk_coverage[{i}]: coverage, risk, low and high do not fit together"
    yield from _without_score(value, columns)
    yield from _unfit_references(value.get("references", {}))
    for i, item in enumerate(value.get("arbitration", [])):
        size = len(item["classes"])
        if any({len(item[k]), *map(len, item[k])} - {size} for k in ("n", "kept", "exchanged")):
            yield f"report.arbitration[{i}]: n, kept and exchanged must have a row and a column for each class"


def _unfit_rows(name: str, columns: list[str], rows: list[Any], texts: frozenset[str]) -> Iterator[str]:
    """Rows that do not fit their columns, or hold text for a number or a number for text."""
    text = [i for i, column in enumerate(columns) if column in texts]
    numbers = [i for i, column in enumerate(columns) if column in FIELDS | {"positives"} and column not in texts]
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            yield f"report.{name}.rows[{i}]: {len(row)} values for {len(columns)} columns"
            continue
        for j in text:
            if not isinstance(row[j], str):
                yield f"report.{name}.rows[{i}]: {columns[j]!r} must be text, got {_named(row[j])}"
        for j in numbers:
            if not isinstance(row[j], _REAL) or isinstance(row[j], bool):
                yield f"report.{name}.rows[{i}]: {columns[j]!r} must be a number or null, got {_named(row[j])}"


def _without_score(value: Mapping[str, Any], columns: list[str]) -> Iterator[str]:
    """Estimates whose numbers are not among the scores."""
    place = {name: columns.index(name) for name in ("condition", "metric", "group") if name in columns}
    named = [tuple(row[i] for i in place.values()) for row in value["scores"]["rows"] if len(row) == len(columns)]
    known = set(named) if value.get("estimates") else set()
    for i, entry in enumerate(value.get("estimates", [])):
        wanted = {"condition": entry["key"], "metric": entry["estimator"], "group": entry["group"]}
        if tuple(wanted[name] for name in place) not in known:
            yield f"report.estimates[{i}]: {entry['label']!r} has no row in report.scores"


def _unfit_references(panel: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with reference methods: a part without the others, or a row that does not fit its columns."""
    if "rows" not in panel:
        return
    for name in schema()["properties"]["references"]["properties"]:
        if name != "reason" and name not in panel:
            yield f"report.references: {name!r} is missing"
    columns = panel["rows"]["columns"]
    for i, row in enumerate(panel["rows"]["rows"]):
        place = f"report.references.rows[{i}]"
        if len(row) != len(columns):
            yield f"{place}: {len(row)} values for {len(columns)} columns"
            continue
        yield from _check(dict(zip(columns, row, strict=True)), schema()["$defs"]["reference_row"], place)
    for i, method in enumerate(panel.get("methods", ())):
        for name, first, second in (("failed", (int,), (str,)), ("features", (str,), (str,)), ("hyper", (str,), _REAL)):
            if any(len(p) != 2 or not isinstance(p[0], first) or not isinstance(p[1], second) for p in method[name]):
                yield f"report.references.methods[{i}].{name}: expected pairs"


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
