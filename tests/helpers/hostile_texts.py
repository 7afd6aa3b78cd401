"""Texts that want to be executed, rendered, or to break a layout, and a run in which every name is one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from helpers.hostile_case import ROWS, N
from mmaudit.assemble import assemble
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.score import score
from mmaudit.store import Run
from mmaudit.types import CLEAN, Condition, Modality, Task

HTML = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
MARKDOWN = "[click](javascript:window.hacked=1) ![x](http://evil.example/x.png) **bold** `code` $x^2$ :red[hot] |a|b|"
LONG = "long " * 2_000
RIGHT_TO_LEFT = "שלום \u202e gnp.exe \u2066 مرحبا \u200f"
CONTROL = "bell\x07 null\x00 escape\x1b[31m red \ud800 alone \ufffe"
FORMULA = '=HYPERLINK("http://evil.example","click")'
TEMPLATE = "{{ 7*7 }} {% raw %} ${7*7} %s %(x)s \\u0041 '\"; DROP TABLE runs; --"
TEXTS = {
    "html": HTML,
    "markdown": MARKDOWN,
    "long": LONG,
    "rtl": RIGHT_TO_LEFT,
    "control": CONTROL,
    "formula": FORMULA,
    "template": TEMPLATE,
}


def hostile_texts(folder: Path, *, scored: bool = False) -> Run:
    """A sound run in which everything that has a name has a hostile one."""
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    names = tuple(TEXTS.values())
    modalities = (
        Modality(HTML, "image", (4, 4), "float32", "HW", (0.0, 1.0), MARKDOWN),
        Modality(RIGHT_TO_LEFT, "text", (), "str"),
        Modality(LONG, "tabular", (3,), unit=HTML),
    )
    plan = (
        CLEAN,
        Condition(HTML, "missing", 1, (HTML,), options=((MARKDOWN, LONG),)),
        *(Condition(MARKDOWN, "corruption", 1, (RIGHT_TO_LEFT,), float(p), p, unit=HTML) for p in (1, 5)),
        Condition(CONTROL, HTML, 1, (LONG, HTML), 0.5, None, ((TEMPLATE, FORMULA),), unit=LONG),
    )
    target = rng.integers(0, len(names), N)
    texts = np.array([t.encode("utf-8", "replace").decode() for t in names], object)
    samples = Samples(
        np.array([f"{texts[i % len(texts)]} {i}" for i in range(N)], object),
        target,
        {MARKDOWN: texts[np.arange(N) % len(texts)], HTML: texts[np.arange(N) // 8 % len(texts)]},
        None,
        {m.name: np.ones(N, np.bool_) for m in modalities},
    )
    header = {
        "mmaudit": TEMPLATE,
        "created": HTML,
        "title": HTML + CONTROL + LONG,
        "command": MARKDOWN,
        "fingerprints": {HTML: MARKDOWN, "data": LONG},
        "model": {
            "name": RIGHT_TO_LEFT + HTML,
            "fingerprint": HTML,
            "outputs": "logits",
            "native_absence": False,
            "stages": MARKDOWN,
            "device": LONG,
        },
        "data": {"n": N, "fingerprint": HTML, "train": True},
        # Written by hand: `Task.classification` refuses half a character, a stranger's header need not.
        "task": Task("classification", names).to_json(),
        "modalities": [modality_to_json(m) for m in modalities],
        "suite": {"name": HTML},
        "increments": [[c.to_json() for c in plan]],
        "declined": [{"probe": HTML, "modalities": [HTML], "reason": MARKDOWN + LONG}],
        "checks": [{"clause": HTML, "ok": True, "message": MARKDOWN}],
        "environment": {HTML: MARKDOWN},
        "shard_rows": ROWS,
    }
    run = Run.create(folder, header, samples)
    for shard, rows in enumerate(run.shards()):
        results = []
        for c in plan:
            logits = rng.normal(size=(len(rows), len(names))).astype(np.float32)
            logits[np.arange(len(rows)), target[rows]] += 3.0 if c.family == "clean" else 1.0
            touched = {m.name: np.full(len(rows), m.name in c.modalities) for m in modalities}
            moved = {m.name: np.full(len(rows), 0.5 * (m.name in c.modalities), np.float32) for m in modalities}
            results.append(ConditionOutputs(logits, touched, moved, 1))
        run.write_shard(shard, 0, results)
    # A name with a separator or on a line of its own cannot be a file's; every other can.
    run.write_error(plan[1], HTML + "\n" + LONG)
    if scored:
        score(run, resamples=20)
        assemble(run)
    else:
        (folder / "findings.json").write_text("[]\n", encoding="utf-8")
        (folder / "report.json").write_text("{}\n", encoding="utf-8")
    return run


def _texts(folder: Path) -> None:
    scored = (folder / "scores.parquet").exists()
    hostile_texts(folder, scored=scored)
