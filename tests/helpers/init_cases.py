"""Data for `mmaudit init`, and what it wrote for them, loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit import options
from mmaudit.auditing import examine

RNG = np.random.default_rng(7)
N = 120
CLASS = np.arange(N) % 3


def forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules that a test writes and imports do not outlive it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def save_samples(folder: Path) -> str:
    """Images, a text, a table; a split, a group column, ids, and what samples belong together by."""
    np.savez(
        folder / "mine.npz",
        photo=RNG.integers(0, 256, (N, 8, 8, 3), np.uint8),
        note=np.array([f"a {word} thing" for word in np.array(["red", "green", "blue"])[CLASS]]),
        lab=RNG.normal(size=(N, 4)).astype(np.float32),
        label=CLASS,
        split=np.array(["train", "test", "test"])[np.arange(N) // 10 % 3],
        site=np.array(["north", "south"])[np.arange(N) // 30 % 2],
        patient=np.arange(N) // 2,
        id=np.arange(N) + 1000,
        weight=RNG.normal(size=N),
    )
    return "mine.npz"


def runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, dict[str, bool | None]]:
    """Load what was written, in its folder, as `mmaudit doctor --config audit.toml` does."""
    sys.modules.pop("audit_model", None)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    model, data, _ = options.load(options.merged(Path("audit.toml"), {}, ("model", "data")))
    checks, _ = examine(model, data)
    return model, data, {check.clause: check.ok for check in checks}
