"""Every test is deterministic and leaves nothing behind: Hypothesis draws the same examples in every run."""

from __future__ import annotations

import multiprocessing.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from helpers.cli_cases import Command

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores: more threads in each would wait for each other. Read when torch is loaded, later.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("mmaudit", derandomize=True, database=None, deadline=None)
settings.load_profile("mmaudit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first: with one of them left for the end, all processes but one would wait for it."""
    items.sort(key=lambda item: item.path.parent.name not in ("theory", "e2e"))


@pytest.fixture(scope="session", autouse=True)
def _one_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes that are killed in tests, and libraries (Ray, torch's launcher), leave files: all below one folder."""
    tmp_path_factory.getbasetemp()  # not there: pytest keeps what tests that failed have written
    multiprocessing.util.get_temp_dir()  # nor this: the interpreter removes it in the end, and must find it
    with (
        tempfile.TemporaryDirectory(prefix="mma-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", folder)  # for processes to come; short, as it begins names of sockets
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _one_thread_for_small_trainings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Thousands of steps of tiny tensors: on a busy machine more threads wait for each other, ten times as long."""
    if not request.path.name.startswith(("test_reference", "test_reproduce")):
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def mmaudit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """What runs the command in this process."""
    from helpers.cli_cases import shell

    return shell(monkeypatch, capsys)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a toy model and its data."""
    from helpers.cli_cases import make_place

    return make_place(tmp_path, monkeypatch)
