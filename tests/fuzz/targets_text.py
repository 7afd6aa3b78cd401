"""Targets that people write by hand: configuration, policy, house style, scenario."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.target import Ready, Target, replace
from mmaudit.budget import Budget, raised, steps
from mmaudit.errors import BadInput
from mmaudit.execution.shares import Share
from mmaudit.formats import duration

ROOT = Path(__file__).parents[2]


def _policy(folder: Path) -> Ready:
    from mmaudit.gate.reading import read_policy

    seeds = [
        b'[findings]\nmax_level = "minor"\naccept = ["overconfident"]\n',
        b"""schema = "mmaudit.policy/1"
name = "release"
undecided = "allow"
[[require]]
name = "clean"
metric = ["accuracy", "ece"]
condition = "clean"
min = 0.8
max = 1
[[require]]
name = "noise"
probe = "image.*"
positions = [1, 2, 3]
modalities = ["photo"]
options = {baseline = "zero"}
group = "site"
smallest_group = 20
severity_from = 0.1
severity_to = 2
max_drop = 0.05
max_lost = 0.5
max_regression = 0.01
[[require]]
name = "shapley"
estimate = "shapley_value"
modalities = "photo"
min = 0.1
""",
    ]
    return Ready(lambda data: read_policy(replace(folder / "policy.toml", data)), tuple(seeds))


def _logo() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(file, "PNG")
    return file.getvalue()


def _theme(folder: Path) -> Ready:
    from mmaudit.render.theme import read_theme

    (folder / "logo.png").write_bytes(_logo())
    seeds = ((ROOT / "docs" / "house_style.toml").read_bytes(), b'name = "x"\nlogo = "logo.png"\nlogo_alt = "x"\n')
    return Ready(lambda data: read_theme(replace(folder / "theme.toml", data)).css, seeds)


def _logos(folder: Path) -> Ready:
    from PIL import Image

    from mmaudit.render.theme import read_theme

    (folder / "theme.toml").write_text('logo = "logo.png"\nlogo_alt = "x"\n', encoding="utf-8")
    seeds = [_logo()]
    for kind in ("JPEG", "WEBP", "GIF"):
        file = io.BytesIO()
        Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, kind)
        seeds.append(file.getvalue())

    def read(data: bytes) -> None:
        replace(folder / "logo.png", data)
        read_theme(folder / "theme.toml")

    return Ready(read, tuple(seeds))


def _scenario(folder: Path) -> Ready:
    from mmaudit.probes.scenario_file import read

    files = sorted((ROOT / "mmaudit" / "probes" / "scenarios").glob("*.toml"))
    return Ready(lambda data: read(replace(folder / "mine.toml", data)), tuple(f.read_bytes() for f in files))


def _config(asks: Callable[[dict[str, Any]], object]) -> Callable[[Path], Ready]:
    """`mmaudit audit --config`: the options, and what is asked of them."""

    def prepare(folder: Path) -> Ready:
        from mmaudit import options

        x = np.random.default_rng(0).normal(size=(12, 3))
        np.savez(folder / "data.npz", table=x, text=np.array(["a b"] * 12), label=np.arange(12) % 3)
        packaged = ROOT / "mmaudit" / "probes" / "scenarios" / "stale_record.toml"
        mine = folder / "mine.toml"
        mine.write_text(packaged.read_text(encoding="utf-8").replace("stale_record", "mine"), encoding="utf-8")
        given: dict[str, Any] = {"data": str(folder / "data.npz"), "model": "x:y", "out": str(folder / "run")}
        seeds = (
            'target = "label"\nsuite = "quick"\n[modality]\ntable = "tabular"\ntext = "text"\n',
            'modality = ["table=tabular"]\nsuite = {probes = ["missing"], baselines = ["zero"]}\n'
            'subsets = "all"\nsimilarity_floor = 0.8\nresamples = 100\ngroup = []\n',
            f'target = "label"\nscenario = "{mine}"\nseverity_scale = "table"\nseed = 3\n'
            'surface = [["text.keyboard", "tabular.missing_mcar"]]\nmodality = ["text=text", "table=tabular"]\n',
        )

        def read(data: bytes) -> None:
            asks(options.merged(replace(folder / "audit.toml", data), given, ("model", "data", "out")))

        return Ready(read, tuple(f'task = "classification"\n{seed}'.encode() for seed in seeds))

    return prepare


def _planned(chosen: dict[str, Any]) -> None:
    from mmaudit import options
    from mmaudit.plan import make_plan
    from mmaudit.types import Modality, Task

    modalities = (Modality("table", "tabular", (3,)), Modality("text", "text", (), "str"))
    make_plan(options.suite(chosen), modalities, Task.classification(3))


def _loaded(chosen: dict[str, Any]) -> None:
    from mmaudit import options

    options.load_data(chosen)


# ---- what is typed


def _typed(asks: Callable[[str], object], *seeds: str) -> Callable[[Path], Ready]:
    """A text of the command line, as the shell hands it over."""
    return lambda _: Ready(lambda data: asks(os.fsdecode(data).replace("\0", "")), tuple(s.encode() for s in seeds))


def _time(text: str) -> None:
    """`--budget`, and what becomes of it."""
    _spent(Budget.given(text, None))


def _forwards(text: str) -> None:
    """`--forwards`, which the command line makes a number of."""
    try:
        number = int(text)
    except ValueError as error:
        raise BadInput(f"{error}") from None
    _spent(Budget.given(None, number))


def _spent(budget: Budget | None) -> None:
    """A budget where it is used: in the header of a run, and in choosing what to raise."""
    if budget is None:
        return
    json.loads(json.dumps(budget.to_json([0.5]), allow_nan=False))
    if budget.seconds is not None:
        assert 0 < budget.seconds < float("inf")
        duration(budget.seconds)
    if budget.forwards is not None:
        after = raised([(0,), (1, 2)], [32, 32, 32], [0.1, 0.2], steps(100), budget.forwards)
        assert sum(after) - 96 <= budget.forwards


def _share(text: str) -> None:
    found = Share.parse(text)
    assert len(found.of(1_000)) <= 1_000


def _kind(text: str) -> None:
    """`--modality name=kind`, and how its files would be decoded."""
    from mmaudit.data.decoding import decoder_of
    from mmaudit.options import table

    for name, kind in table([text], "--modality", "name=kind").items():
        decoder_of(name, kind)


def _task(text: str) -> None:
    from mmaudit.data.tasks import parse_task

    parse_task(text, np.arange(6) % 3)


def _split(text: str) -> None:
    from mmaudit.data.keys import split_rows

    split_rows(text, ("split", "site"), lambda _: np.array(["test", "train", "a=b", None], object), "the table")


def _size(text: str) -> None:
    from mmaudit.render.budget import read_size, said

    size = read_size(text)
    said(0 if size is None else size)


def _rows(text: str) -> None:
    """`--batch-rows`, up to where it is refused."""
    from mmaudit.auditing import _require_whole
    from mmaudit.options import batch_rows

    if (found := batch_rows(text)) != "auto":
        _require_whole("batch_rows", found, 1)


TARGETS = (
    Target("policy.toml", "toml", _policy, 2),
    Target("theme.toml", "toml", _theme, 2, names_files=True),
    Target("theme.toml/logo", "bytes", _logos, 2),
    Target("scenario.toml", "toml", _scenario, 2),
    Target("audit.toml/plan", "toml", _config(_planned), names_files=True),
    Target("audit.toml/data", "toml", _config(_loaded), names_files=True),
    Target("text/budget", "bytes", _typed(_time, "90s", "10m", " 1.5h ", "2d", "0.25 s"), 0.5),
    Target("text/forwards", "bytes", _typed(_forwards, "50000", " 1_000 ", "1000000000000"), 0.5),
    Target("text/share", "bytes", _typed(_share, "3/8", " 1/1 ", "999999999/999999999"), 0.5),
    Target(
        "text/modality",
        "bytes",
        _typed(
            _kind,
            *(
                "x=image,layout=HWC",
                "x=series,range=0..1",
                "x=image,mode=L,size=8x9,max_pixels=1000",
                "x=series,unit=mV",
                "x=tabular,categorical=0+3",
            ),
            "x=audio,sample_rate=8000,channels=mono,seconds=1.5,max_values=1000",
        ),
        0.5,
    ),
    Target(
        "text/task",
        "bytes",
        _typed(
            _task,
            *("classification", "classification:10", "multilabel:5", "regression:mm"),
            *("retrieval:image+sound->text", "retrieval:image->text,bank=128"),
        ),
        0.3,
    ),
    Target("text/split", "bytes", _typed(_split, "test", "split=train", "site=a=b"), 0.3),
    Target("text/size", "bytes", _typed(_size, "3MB", "800kB", "2500000", "none", "1.5 MB"), 0.3),
    Target("text/batch_rows", "bytes", _typed(_rows, "64", "auto"), 0.2),
)
