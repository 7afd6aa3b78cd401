"""`mmaudit audit` within a budget: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.cli_cases import AUDIT, Command
from helpers.run_cases import contents
from mmaudit import Run

pytestmark = pytest.mark.usefixtures("place")


def test_answers(place: Path, mmaudit: Command) -> None:
    done = mmaudit(*AUDIT, "--out", "run", "--forwards", "1000")
    assert done.code == 0, done.err
    assert "Within a budget of 1 000 answers" in done.out.replace("\u202f", " ")
    run = Run.open(place / "run")
    assert 900 < sum(run.counts) <= 1000
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    assert set(Run.open(place / "run").counts) == {200}


def test_a_time_in_the_file(place: Path, mmaudit: Command) -> None:
    (place / "audit.toml").write_text('budget = "2h"\nforwards = 2_000\n')
    done = mmaudit(*AUDIT, "--out", "run", "--config", "audit.toml")
    assert done.code == 0, done.err
    assert "Within a budget of 2 000 answers or 2 h" in done.out.replace("\u202f", " ")
    dry = mmaudit(*AUDIT, "--config", "audit.toml", "--dry-run")
    assert "within the budget no more than 2 000 answers or 2 h are spent" in dry.out.replace("\u202f", " ")
    found = mmaudit(*AUDIT, "--config", "audit.toml", "--dry-run", "--json").json
    assert found["budget"].replace("\u202f", " ") == "2 000 answers or 2 h"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--budget", "10"), "budget='10' is not usable; give a time above 0 with its unit"),
        (("--forwards", "0"), "forwards=0 is not usable"),
        (("--forwards", "50"), "forwards=50 is too few: 32 samples under each of 15 conditions make 480"),
    ],
)
def test_what_is_no_budget_is_refused(place: Path, mmaudit: Command, options: tuple[str, str], why: str) -> None:
    before = contents(place)
    done = mmaudit(*AUDIT, "--out", "run", *options)
    assert done.code == 2
    assert why in done.err
    assert {k: v for k, v in contents(place).items() if "__pycache__" not in k} == before


@pytest.mark.parametrize("command", ["plan", "work", "merge"])
def test_shares_refuse_a_budget_rather_than_forget_it(place: Path, mmaudit: Command, command: str) -> None:
    (place / "audit.toml").write_text(
        'model = "toy_model:factory"\ndata = "data.npz"\nout = "run"\nforwards = 2_000\nbudget = "1h"\n'
    )
    done = mmaudit(command, "--config", "audit.toml")
    assert done.code == 2
    assert "shares cannot keep budget and forwards" in done.err
    assert not (place / "run").exists()
