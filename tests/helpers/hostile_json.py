"""A run.json that lies, and JSON that is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.hostile_case import ROWS, Hostile, edit, overwrite


def _set(*place: Any, to: Any) -> Callable[[Path], None]:
    def change(header: dict[str, Any]) -> None:
        at: Any = header
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = to

    return edit(change)


def _file(name: str, content: bytes | str) -> Callable[[Path], None]:
    return lambda folder: overwrite(folder / name, content)


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: overwrite(folder / "run.json", change((folder / "run.json").read_bytes()))


def _folder_instead(folder: Path) -> None:
    (folder / "run.json").unlink()
    (folder / "run.json").mkdir()


def _without(key: str) -> Callable[[Path], None]:
    return edit(lambda header: header.pop(key))


def _twice(header: dict[str, Any]) -> None:
    header["increments"][0].append(header["increments"][0][1])


_FIRST = ("increments", 0, 4)
LIES = (
    Hostile("lie-n-absurd", _set("data", "n", to=10**18), r"data\.n is 10{18}", "listing"),
    Hostile("lie-n-negative", _set("data", "n", to=-1), r"data\.n is -1", "listing"),
    Hostile("lie-n-text", _set("data", "n", to="40"), r"data\.n is '40'", "listing"),
    Hostile("lie-n-true", _set("data", "n", to=True), r"data\.n is True", "listing"),
    Hostile("lie-n-fraction", _set("data", "n", to=40.5), r"data\.n is 40\.5", "listing"),
    Hostile("lie-n-fewer", _set("data", "n", to=ROWS), r"samples\.parquet .*has 40 rows, .*16", "samples"),
    Hostile("lie-n-more", _set("data", "n", to=ROWS * 3), r"samples\.parquet .*has 40 rows, .*48", "samples"),
    Hostile("lie-shards-none", _set("shard_rows", to=0), r"shard_rows is 0", "listing"),
    Hostile("lie-shards-tiny", edit(lambda h: (h.update(shard_rows=1), h["data"].update(n=10**7))),
            r"10000000 samples in shards of 1", "listing"),
    Hostile("lie-classes-none", _set("task", "names", to=[]), r"task\.names has 0", "listing"),
    Hostile("lie-classes-twice", _set("task", "names", to=["a", "a"]), r"task\.names is not a list of diff", "listing"),
    Hostile("lie-classes-fewer", _set("task", "names", to=["a", "b"]), r"samples\.parquet .*not legal", "samples"),
    Hostile("lie-classes-wide", _set("task", "names", to=[str(i) for i in range(10**5)]), r"parquet", "answers"),
    Hostile("lie-kind", _set("task", "kind", to="divination"), r"task\.kind is 'divination'", "listing"),
    Hostile("lie-kind-list", _set("task", "kind", to=["classification"]), r"task\.kind is \[", "listing"),
    Hostile("lie-regression", _set("task", "kind", to="regression"), r"samples\.parquet .*target has 1 col", "samples"),
    Hostile("lie-retrieval", _set("task", "kind", to="retrieval"), r"task\.names holds 'bark'", "listing"),
    Hostile("lie-shape", _set("modalities", 0, "shape", to=[-1, "x"]), r"modalities\[0\]: shape", "listing"),
    Hostile("lie-modality-kind", _set("modalities", 0, "kind", to="smell"), r"modalities\[0\]:.*smell", "listing"),
    Hostile("lie-modality-other", _set("modalities", 0, "name", to="other"), r"condition 1: modalities", "listing"),
    Hostile("lie-modalities-none", _set("modalities", to=[]), r"0 modalities", "listing"),
    Hostile("lie-modalities-text", _set("modalities", to="photo"), r"modalities is 'photo'", "listing"),
    Hostile("lie-condition-key", _set(*_FIRST, "key", to="../../../etc/passwd"), r"condition 4: .*passwd", "listing"),
    Hostile("lie-condition-probe", _set(*_FIRST, "probe", to={"a": 1}), r"condition 4: probe is", "listing"),
    Hostile("lie-condition-text", _set(*_FIRST, to="blur"), r"condition 4: it is 'blur'", "listing"),
    Hostile("lie-condition-position", _set(*_FIRST, "position", to=10**9), r"condition 4: position", "listing"),
    Hostile("lie-condition-twice", edit(_twice), r"two conditions have one key", "listing"),
    Hostile("lie-condition-none", _set("increments", to=[]), r"increments is not", "listing"),
    Hostile("lie-condition-many", edit(lambda h: h.update(increments=[[{}] * 100_001])), r"100001 cond", "listing"),
    Hostile("lie-clean-last", edit(lambda h: h["increments"][0].reverse()), r"first condition is", "listing"),
    Hostile("lie-title", _set("title", to=[1]), r"title is \[1\]", "listing"),
    Hostile("lie-model", _set("model", to="m"), r"model is 'm'", "listing"),
    Hostile("lie-no-plan", _without("increments"), r"increments is missing", "listing"),
    Hostile("lie-schema-newer", _set("schema", to="mmaudit.run/99"), r"mmaudit\.run/99", "listing"),
    Hostile("lie-schema-foreign", _set("schema", to=7), r"schema is 7", "listing"),
    Hostile("json-nan", _bytes(lambda b: b.replace(b'"n": 40', b'"n": NaN')), r"NaN is not a JSON number", "listing"),
    Hostile("json-infinity", _bytes(lambda b: b.replace(b'"severity": 0.5', b'"severity": 1e999')),
            r"condition 4: severity is inf", "listing"),
    Hostile("json-nested", _file("run.json", "[" * 200_000), r"nested too deeply", "listing"),
    Hostile("json-cut", _bytes(lambda b: b[:500]), r"JSON", "listing"),
    Hostile("json-empty", _file("run.json", b""), r"JSON", "listing"),
    Hostile("json-bytes", _file("run.json", b"\xff\xfe\x00{}"), r"JSON", "listing"),
    Hostile("json-list", _file("run.json", "[1, 2]"), r"holds \[1, 2\]", "listing"),
    Hostile("json-digits", _file("run.json", '{"schema": ' + "9" * 10_000 + "}"), r"JSON", "listing"),
    Hostile("json-folder", _folder_instead, r"not a file", "listing"),
    Hostile("findings-text", _file("findings.json", '"all is well"'), r"findings\.json", "listing"),
    Hostile("findings-level", _file("findings.json", '[{"level": "fine"}]'), r"findings\.json.*'fine'", "listing"),
    Hostile("findings-nan", _file("findings.json", "[NaN]"), r"findings\.json", "listing"),
    Hostile("findings-nested", _file("findings.json", "[" * 200_000), r"findings\.json", "listing"),
    Hostile("report-cut", _file("report.json", '{"schema": "mmaudit.rep'), r"report\.json is cut short", "listing"),
)  # fmt: skip
