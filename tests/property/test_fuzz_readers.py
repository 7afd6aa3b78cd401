"""A short, repeatable run of the fuzz targets: a reader reads an input, or refuses it with one of mmaudit's errors.

The long campaigns are `tests/fuzz/campaign.py` and `tests/fuzz/guided.py`; docs/security.md has their record.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.guard import Forbidden, TooSlow, bounded, watched
from fuzz.mutators import FORMS, mutated
from fuzz.target import Ready, Target, tried
from fuzz.targets import BY_NAME, TARGETS
from mmaudit.probes import probes, scenario

EXAMPLES = 40
CAMPAIGN = Path(__file__).parents[1] / "fuzz" / "campaign.py"
SLOW = (
    "report.json/page",
    "report.json/cards",
    "report.json",
    "scores.parquet",
    "conditions.parquet",
    "estimates.json",
    "bootstrap.json",
    "timing.json",
    "examples.json",
    "synergy_samples.json",
    "budget/run.json/score",
    "budget/samples.parquet/score",
    "budget/predictions/score",
)


_FOLDERS: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def scratch() -> Iterator[None]:
    with TemporaryDirectory(prefix="mmaudit-fuzz-") as folder:
        _FOLDERS.append(Path(folder))
        names, known = set(probes.names()), dict(scenario.known)
        yield
        # A scenario of a user's file becomes a probe; the tests that follow in this process are to see mmaudit's own.
        for name in set(probes.names()) - names:
            probes._items.pop(name)
        scenario.known.clear()
        scenario.known.update(known)
        _FOLDERS.clear()
        _ready.cache_clear()


@cache
def _ready(name: str) -> tuple[Ready, Path]:
    if BY_NAME[name].needs:
        pytest.importorskip(BY_NAME[name].needs)
    place = _FOLDERS[0] / name.replace("/", "-")
    place.mkdir()
    return BY_NAME[name].prepare(place), place


def run(target: Target, data: bytes) -> str:
    """One input, watched as in a campaign."""
    ready, place = _ready(target.name)
    with warnings.catch_warnings(), watched(place, seconds=20, names_files=target.names_files), bounded(2**31):
        warnings.simplefilter("ignore")  # what a library says of an odd file is no error
        return tried(ready, data)


@pytest.mark.parametrize("name", [t.name for t in TARGETS])
def test_every_seed_is_read(name: str) -> None:
    for seed in _ready(name)[0].seeds:
        assert run(BY_NAME[name], seed) == "read"


@pytest.mark.parametrize("name", [t.name for t in TARGETS])
def test_whatever_a_file_holds_it_is_read_or_refused(name: str) -> None:
    target = BY_NAME[name]
    ready, _ = _ready(name)

    @settings(
        max_examples=EXAMPLES // 4 if name in SLOW else EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(ready.seeds), st.randoms(use_true_random=True))
    def check(seed: bytes, rng: Random) -> None:
        run(target, mutated(target.form, seed, rng))

    check()


@pytest.mark.parametrize("name", [t.name for t in TARGETS])
def test_no_file_at_all_and_bytes_of_nothing(name: str) -> None:
    for data in (b"", b"\x00", b"\xff" * 100, b"{}", b"[]", b"null", b"PK\x03\x04", b"PAR1PAR1", b"\x93NUMPY"):
        run(BY_NAME[name], data)


FOUND = sorted((Path(__file__).parents[1] / "fuzz" / "found").iterdir())


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.name)
def test_inputs_that_ended_a_process_do_so_no_more(file: Path) -> None:
    """In a process of its own each: `target@name@what`, the bytes as they were found."""
    name = file.name.rpartition("@")[0].replace("@", "/")
    ran = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--target", name, "--file", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert ran.stdout.splitlines()[-1] in ("refused", "read")


# ---- the harness itself


def test_inputs_are_known_by_their_number() -> None:
    from fuzz.campaign import input_of

    for name in ("data.npz", "policy.toml", "run.json/open", "samples.parquet/score", "weights.safetensors"):
        ready, target = _ready(name)[0], BY_NAME[name]
        first = [input_of(ready, target, 1, number) for number in range(20)]
        assert first == [input_of(ready, target, 1, number) for number in range(20)]
        assert len(set(first)) > 15
        assert first != [input_of(ready, target, 2, number) for number in range(20)]


def test_every_form_is_used_and_most_changes_keep_it() -> None:
    assert {t.form for t in TARGETS} == set(FORMS)
    assert len(BY_NAME) == len(TARGETS)


def test_the_guard_notices_what_no_reader_may_do(tmp_path: Path) -> None:
    import os
    import pickle
    import subprocess

    outside = tmp_path.parent / "outside.txt"
    outside.write_text("secret", encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    inside = scratch / "file"
    pickled = pickle.dumps(os.system)
    for act in (
        lambda: os.system("true"),
        lambda: subprocess.run(["true"], check=True),
        lambda: exec(compile("1", "<input>", "exec")),
        lambda: pickle.loads(pickled),
        outside.read_text,
        lambda: outside.write_text("x"),
        outside.unlink,
    ):
        with pytest.raises(Forbidden), watched(scratch, seconds=20):
            act()
    with watched(scratch, seconds=20):
        inside.write_text("mine", encoding="utf-8")
        assert inside.read_text(encoding="utf-8") == "mine"
    assert outside.read_text(encoding="utf-8") == "secret"  # nothing is watched any more


def test_the_guard_bounds_time_and_memory(tmp_path: Path) -> None:
    def spin() -> None:
        while True:
            pass

    with pytest.raises(TooSlow), watched(tmp_path, seconds=0.2):
        spin()
    with pytest.raises(MemoryError), bounded(2**26):
        bytearray(2**28)
    assert len(bytearray(2**28)) == 2**28
