"""What `mmaudit reproduce` prints and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

from mmaudit.cli import app
from mmaudit.errors import BadInput, UnknownName
from mmaudit.reproduce.base import Row, Settings, over_seeds, reproduction, reproductions
from mmaudit.reproduce.report import run_and_write


def conclude(rows: Sequence[Row]) -> list[str]:
    return [f"{sum(bool(r.agrees) for r in rows)} of {len(rows)} agree."]


@reproduction(
    "coin", title="A fair coin", source="Bernoulli 1713", claims="Half of the tosses are heads.", conclude=conclude
)
def coin(settings: Settings) -> list[Row]:
    """Toss a coin ten thousand times with every seed."""
    tosses = 100 if settings.quick else 10_000
    shares = [float(np.random.default_rng(seed).integers(2, size=tosses).mean()) for seed in range(settings.seeds)]
    mean, low, high = over_seeds(shares)
    if settings.progress:
        settings.progress(settings.seeds, settings.seeds)
    return [
        Row("fair", "coin", mean, low, high, settings.seeds, 0.5, "the source", abs(mean - 0.5) < 0.01),
        Row("fair", "coin", 12.5, seeds=1, unit="s", note="one toss"),
        Row("rare", "coin", 0.01, -0.02, 0.04, 3),
        Row("sure", "coin", 0.99, 0.96, 1.02, 3),
        Row("gain", "coin", 0.1, -0.2, 1.4, 3, unit="points"),
    ]


@pytest.fixture(autouse=True, scope="module")
def _unregister() -> Iterator[None]:
    yield
    reproductions._items.pop("coin")


def test_the_interval_over_seeds_is_students() -> None:
    values = [0.1, 0.4, 0.3, 0.9]
    mean, low, high = over_seeds(values)
    expected = scipy.stats.t.interval(0.95, 3, loc=np.mean(values), scale=scipy.stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(0.425)
    assert np.isnan(over_seeds([0.5])[1:]).all()
    with pytest.raises(BadInput, match="no seed"):
        over_seeds([])


def test_numbers_stand_beside_the_sources_and_are_written(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    found = run_and_write("coin", seeds=4, out=tmp_path, progress=lambda *step: seen.append(step))
    text = (tmp_path / "coin.md").read_text()
    assert text == found.markdown
    assert seen == [("coin", 4, 4)]
    assert text.startswith("# A fair coin\n")
    assert "What it says: Half of the tosses are heads." in text
    assert "\n- 1 of 5 agree.\n" in text
    assert "`mmaudit reproduce coin --seeds 4`: full size" in text
    row = next(line for line in text.splitlines() if line.startswith("| fair | coin | 0."))
    assert "| 4 | 0.500 | the source | yes |" in row
    assert "| fair | coin | 12.5 s | one seed | 1 |" in text
    assert "| 0.010 | 0.000 to 0.040 |" in text, "Student's t may leave what a share can be"
    assert "| 0.990 | 0.960 to 1.000 |" in text
    assert "| 0.1 points | −0.2 to 1.4 |" in text
    assert text.rstrip().endswith("Toss a coin ten thousand times with every seed.")


def test_the_quick_size_says_what_it_is() -> None:
    assert "shows only that it runs" in run_and_write("coin", seeds=2, quick=True).markdown


def test_from_the_shell(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["reproduce", "coin", "--seeds", "2", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "# A fair coin" in done.output
    assert (tmp_path / "coin.md").exists()
    listed = CliRunner().invoke(app, ["list", "reproductions"])
    for name in ("aecf_avmnist", "coin", "fusion_noise", "pid_xor", "spurious_xor", "symile_binary", "synthetic_xnor"):
        assert name in listed.output


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'coin'"):
        run_and_write("coins", seeds=1)
    done = CliRunner().invoke(app, ["reproduce"])
    assert isinstance(done.exception, BadInput)
