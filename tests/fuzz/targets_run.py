"""Targets right of the run: a sound run folder in which one file is another, and everything that reads that file."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mmaudit
from fuzz.target import Ready, Target, replace
from helpers.hostile_case import sound
from helpers.hostile_exhibits import write_exhibits
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, BoolArray, Task

Read = Callable[[Path], object]


SOUND = "MMAUDIT_FUZZ_SOUND"
"""Environment variable: a folder in which processes after one another find the sound runs that the first one made."""


@cache
def home() -> Path:
    """Where sound runs are made once, to be copied by every target."""
    found = os.environ.get(SOUND, "")
    if not found:
        found = tempfile.mkdtemp(prefix="mmaudit-fuzz-")
        atexit.register(shutil.rmtree, found, ignore_errors=True)
    return Path(found)


def _sound(scored: bool) -> Path:
    """A sound run."""
    folder = home() / ("scored" if scored else "plain")
    if not folder.is_dir():
        sound(folder.with_suffix(".partial"), scored=scored)
        folder.with_suffix(".partial").rename(folder)
    return folder


def _of(file: str, read: Read, *, scored: bool = False, more: Callable[[Path], None] | None = None) -> Any:
    """Prepare a target: a sound run in `run/` below the scratch folder, in which `file` holds the input."""

    def prepare(scratch: Path) -> Ready:
        folder = scratch / "root" / "run"
        shutil.copytree(_sound(scored), folder)
        if more is not None:
            more(folder)
        path = next(folder.glob(file))
        return Ready(lambda data: (replace(path, data), read(folder)), (path.read_bytes(),))

    return prepare


BESIDE = ("bootstrap.json", "timing.json", "examples.json", "synergy_samples.json")
"""What lies beside the scores and goes into the report as it is."""


def _audited() -> Path:
    """A run that an audit made: a model that needs both of its modalities, on a few rows."""
    folder = home() / "audited"
    if not folder.is_dir():
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
        inputs = {"a": a[:, None].astype(np.float32), "b": b[:, None].astype(np.float32)}
        data = mmaudit.ArrayData(inputs, a ^ b, Task.classification(2))
        model = mmaudit.FunctionModel(_xor, ["a", "b"], outputs="logits")
        suite = {"name": "fuzzed", "probes": ["missing"], "baselines": ["zero"]}
        partial = folder.with_suffix(".partial")
        mmaudit.audit(model, data, out=partial, suite=suite, resamples=10, keep_samples=4)
        partial.rename(folder)
    return folder


def _xor(a: Array, b: Array) -> Array:
    """Logits of the exclusive or, wrong where both are 0."""
    same = np.where(a[:, 0] == b[:, 0], -2.0, 2.0) + 3.0 * (a[:, 0] + b[:, 0] == 0)
    return np.stack([np.zeros_like(same), same], axis=1)


def _beside(file: str) -> Any:
    """Prepare a target: an audited run in which `file` holds the input, as scoring reads it for the report."""

    def prepare(scratch: Path) -> Ready:
        folder = scratch / "root" / "run"
        shutil.copytree(_audited(), folder)
        path = folder / file
        return Ready(lambda data: (replace(path, data), _assembled(folder)), (path.read_bytes(),))

    return prepare


def _listed(folder: Path) -> None:
    """The dashboard's listing: it raises for no run, whatever it holds."""
    from mmaudit.browse.library import runs

    (entry,) = runs(folder.parent)
    assert len(entry.reason) < 1_000


def _browsed(folder: Path) -> None:
    """What the dashboard shows of a run."""
    from mmaudit.browse.answers import Answers
    from mmaudit.browse.library import open_run, runs

    runs(folder.parent)
    run = open_run(folder.parent, folder.name)
    answers = Answers(run)
    answers.table(run.conditions[-1])
    answers.sample(0)


def _opened(folder: Path) -> None:
    """A run as the library opens it, and what every command asks of it first."""
    run = Run.open(folder)
    _ = (run.task, run.modalities, run.conditions, run.n, run.shard_rows)


def _compared(folder: Path) -> None:
    from mmaudit.compared.opening import opened, sides

    sides(opened([folder.parent.parent / "other", folder]))


def _answered(folder: Path) -> None:
    """The answers as scoring reads them."""
    run = Run.open(folder)
    _ = run.samples
    run.read(run.conditions[-1])
    run.read(CLEAN)


def _judged(folder: Path) -> None:
    """The scores, their estimates and what findings rest on."""
    from mmaudit.score import evidence

    evidence(Run.open(folder))


def _assembled(folder: Path) -> None:
    """A report as scoring makes it, of all that lies beside the scores."""
    from mmaudit.assemble import report_json
    from mmaudit.findings.base import find
    from mmaudit.report import Report
    from mmaudit.score import evidence

    run = Run.open(folder)
    seen = evidence(run)
    Report.from_json(report_json(run, seen, find(seen)))


def _report(folder: Path) -> None:
    """A report's values, without drawing it."""
    from mmaudit.report import Report

    report = Report.read(folder)
    _ = (report.findings, report.scores, report.conditions, report.metrics, report.rows, report.estimates)
    repr(report)


def _page(folder: Path) -> None:
    """A report drawn as a page, where it is one."""
    from mmaudit.report import Report

    Report.read(folder).to_html(folder / "page.html")


def _cards(folder: Path) -> None:
    from mmaudit.cards.card import model_card
    from mmaudit.cards.pull_request import markdown
    from mmaudit.report import Report

    report = Report.read(folder)
    markdown(report)
    model_card(report)


def _error(folder: Path) -> None:
    Run.open(folder).error(CLEAN)


def _kept(folder: Path) -> None:
    from mmaudit.browse.kept import Kept

    kept = Kept(folder)
    key = Run.open(folder).conditions[4].key
    for position in kept.positions()[:3]:
        kept.sides(position, key)


def _attributions(folder: Path) -> None:
    from mmaudit.attributions_file import read_attributions

    read_attributions(folder / "attributions.parquet")


def _crossed(folder: Path) -> None:
    from mmaudit.reliance.combinations import read_crossed

    read_crossed(folder / "crossed.parquet")


def _crossfit(folder: Path) -> None:
    from mmaudit.information.crossfitted import read_crossfit

    read_crossfit(folder / "crossfit.parquet")


def _shown(folder: Path) -> None:
    """One exhibit, as JSON by itself."""
    from mmaudit.browse.media import checked
    from mmaudit.errors import DamagedRun

    try:
        checked(json.loads((folder / "exhibit.json").read_bytes()))
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # what its caller turns into DamagedRun
        raise DamagedRun(f"{error}.") from None


# ---- files that an audit with analyses leaves, made by their own writers


def _write_other(folder: Path) -> None:
    shutil.copytree(_sound(False), folder.parent.parent / "other")


def _write_error(folder: Path) -> None:
    Run.open(folder).write_error(CLEAN, "Traceback …\nValueError: é\n")


def _write_exhibits(folder: Path) -> None:
    from mmaudit.exhibits import exhibit
    from mmaudit.types import Modality

    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    write_exhibits(
        folder, exhibit(Modality("photo", "image", (8, 8, 3), "uint8", "HWC", (0.0, 255.0)), picture, picture)
    )


def _write_attributions(folder: Path) -> None:
    from mmaudit.attributions_file import Attributions, MethodAttributions, write_attributions

    x = np.linspace(0, 1, 6, dtype=np.float32)
    part = MethodAttributions(np.arange(6), {"photo": x, "voice": x}, {"photo": x, "voice": x}, x, x, x)
    about = {"declined": {"deep_lift": "no"}, "where": {"photo": "features"}, "error": {"ablation": 0.1}}
    made = Attributions(("photo", "voice"), {"ablation": part, "integrated_gradients": part}, about)
    write_attributions(folder / "attributions.parquet", made)


def _write_crossed(folder: Path) -> None:
    from mmaudit.reliance.additive import Design
    from mmaudit.reliance.combinations import Crossed, write_crossed

    index = np.stack([np.stack([np.arange(6), np.roll(np.arange(6), s)]) for s in (0, 2)]).transpose(1, 0, 2)
    answered: BoolArray = np.ones((2, 6), np.bool_)
    design = Design(index, answered, np.zeros(2, np.int64), ((0, 1), (0,)), False)
    outputs = np.zeros((2, 6, 3), np.float32)
    about = {"spec": "ab", "passes": 12, "share": 0.3, "rounds": 2, "stopped": "", "tolerance": 0.1, "reason": ""}
    write_crossed(folder / "crossed.parquet", Crossed(np.arange(6) * 2, ("photo", "voice"), design, outputs, about))


def _write_crossfit(folder: Path) -> None:
    from mmaudit.information.crossfitted import CrossFitted, write_crossfit

    rng = np.random.default_rng(0)
    said = rng.random((2, 12, 3)).astype(np.float32).astype(np.float64)
    fold = rng.integers(0, 5, (2, 12))
    posterior = {("data", ("photo",)): said, ("decision", ("photo", "voice")): said}
    prior = {"data": rng.random((12, 3)), "decision": rng.random((12, 3))}
    target = rng.integers(0, 3, 12)
    about = {"seeds": 2, "reasons": {"decision": "few rows"}, "width": {"photo": 3}}
    made = CrossFitted(np.arange(12), fold[0], target, target[::-1].copy(), posterior, prior, about, fold)
    write_crossfit(folder / "crossfit.parquet", made)


def _exhibits(scratch: Path) -> Ready:
    """Every form an exhibit has, made by `mmaudit.exhibits`."""
    from mmaudit.exhibits import exhibit
    from mmaudit.types import Modality

    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    sound_ = rng.normal(size=400).astype(np.float32) * 0.1
    forms = (
        (Modality("photo", "image", (8, 8, 3), "uint8", "HWC", (0.0, 255.0)), picture),
        (Modality("voice", "audio", (400,), "float32", None, (-1.0, 1.0), None, 8_000.0), sound_),
        (Modality("caption", "text", (), "str"), "two words"),
        (Modality("table", "tabular", (3,)), np.array([1.0, 2.0, np.nan])),
    )
    seeds = [json.dumps(exhibit(modality, value, value)).encode() for modality, value in forms]
    seeds.append(b'{"absent": true}')
    scratch.mkdir(exist_ok=True)

    def read(data: bytes) -> None:
        replace(scratch / "exhibit.json", data)
        _shown(scratch)

    return Ready(read, tuple(seeds))


def _picture(scratch: Path) -> Ready:
    """The bytes of a kept picture or sound, inside an exhibit."""
    import base64

    ready = _exhibits(scratch)
    found = [json.loads(seed) for seed in ready.seeds]
    uris = [v for e in found for k, v in e.items() if k in ("image", "audio")]
    kinds = [uri.partition(",")[0] for uri in uris]
    seeds = tuple(base64.b64decode(uri.partition(",")[2]) for uri in uris)

    def read(data: bytes) -> object:
        kind = next((k for k, seed in zip(kinds, seeds, strict=True) if data[8:12] == seed[8:12]), kinds[0])
        uri = f"{kind},{base64.b64encode(data).decode('ascii')}"
        shown = {"audio": uri, "curves": [[0.0]]} if "audio" in kind else {"image": uri}
        return ready.read(json.dumps(shown).encode())

    return Ready(read, seeds)


def _panel(file: str) -> Callable[[Path], Ready]:
    """A run with a reference method: what its files say of it."""

    def prepare(scratch: Path) -> Ready:
        from helpers.panel_runs import panel_run
        from mmaudit.panel.file import read_panel, score_panel
        from mmaudit.panel.read import trained

        folder = scratch / "panel"
        shutil.rmtree(folder, ignore_errors=True)
        run = panel_run(folder, {"late_fusion": {"clean": 0.9}}, n=60, seeds=1)
        score_panel(run, resamples=10)
        path = next(folder.glob(file))

        def read(data: bytes) -> None:
            replace(path, data)
            opened = Run.open(folder)
            trained(opened) if path.name == "reference.json" else read_panel(opened)

        return Ready(read, (path.read_bytes(),))

    return prepare


TARGETS = (
    Target("run.json/open", "json", _of("run.json", _opened), 2),
    Target("run.json/browse", "json", _of("run.json", _browsed), 0.2),
    Target("run.json/compare", "json", _of("run.json", _compared, more=_write_other), 0.5),
    Target("run.json/score", "json", _of("run.json", _answered), 0.5),
    Target("samples.parquet/browse", "parquet", _of("samples.parquet", _browsed), 0.1),
    Target("samples.parquet/compare", "parquet", _of("samples.parquet", _compared, more=_write_other), 0.1),
    Target("samples.parquet/score", "parquet", _of("samples.parquet", _answered), 0.2),
    Target("predictions/browse", "parquet", _of("predictions/00001-*", _browsed), 0.1),
    Target("predictions/score", "parquet", _of("predictions/00001-*", _answered), 0.2),
    Target("findings.json/listing", "json", _of("findings.json", _listed, scored=True), 0.5),
    Target("report.json/listing", "json", _of("report.json", _listed, scored=True), 0.1),
    Target("report.json", "json", _of("report.json", _report, scored=True), 0.1),
    Target("report.json/page", "json", _of("report.json", _page, scored=True), 0.01),
    Target("report.json/cards", "json", _of("report.json", _cards, scored=True), 0.02),
    Target("scores.parquet", "parquet", _of("scores.parquet", _judged, scored=True), 0.1),
    Target("conditions.parquet", "parquet", _of("conditions.parquet", _judged, scored=True), 0.1),
    Target("estimates.json", "json", _of("estimates.json", _judged, scored=True), 0.1),
    *(Target(name, "json", _beside(name), 0.02) for name in BESIDE),
    Target("errors.txt", "bytes", _of("errors/*.txt", _error, more=_write_error), 0.5),
    Target("exhibits.parquet", "parquet", _of("exhibits.parquet", _kept, more=_write_exhibits), 0.3),
    Target("exhibit", "json", _exhibits, 2),
    Target("exhibit/bytes", "bytes", _picture, 2),
    Target(
        "attributions.parquet", "parquet", _of("attributions.parquet", _attributions, more=_write_attributions), 0.2
    ),
    Target("crossed.parquet", "parquet", _of("crossed.parquet", _crossed, more=_write_crossed), 0.2),
    Target("crossfit.parquet", "parquet", _of("crossfit.parquet", _crossfit, more=_write_crossfit), 0.2),
    Target("references.json", "json", _panel("references.json"), 0.5),
    Target("references.parquet", "parquet", _panel("references.parquet"), 0.1),
    Target("reference.json", "json", _panel("references/*/reference.json"), 0.5),
)
