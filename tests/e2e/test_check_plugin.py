"""Somebody's own probe: found by its entry point, checked by `mmaudit check-plugin`, run in an audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = '''
import numpy as np
from mmaudit.probes import corruption


@corruption("fade", kinds=("series", "embedding"), severities=(0.1, 0.2, 0.4, 0.6, 0.9), unit="share lost", source="us")
def fade(x, severity):
    """Values shrink towards zero."""
    return x * np.asarray(1 - severity, x.dtype)
'''

BAD = '''
import numpy as np
from mmaudit.probes import corruption


@corruption("wobble", kinds=("embedding",), severities=(0.1, 0.2, 0.4, 0.6, 0.9), unit="σ")
def wobble(x, severity):
    """Noise that nobody can draw again."""
    return x + np.float32(severity) * np.random.default_rng().standard_normal(x.shape).astype(np.float32)
'''

AUDIT = """
import sys
import numpy as np
import mmaudit

rng = np.random.default_rng(0)
x, z = rng.normal(size=(200, 6)).astype(np.float32), rng.normal(size=(200, 3)).astype(np.float32)
data = mmaudit.ArrayData(
    {"x": x, "z": z},
    (x[:, 0] > 0).astype(int),
    mmaudit.Task.classification(2),
    kinds={"x": "embedding", "z": "embedding"},
)
model = mmaudit.FunctionModel(lambda x, z: np.stack([-x[:, 0], x[:, 0]], 1), ["x", "z"], outputs="logits")
report = mmaudit.audit(model, data, out=sys.argv[1], suite=["fade"], resamples=20)
print([c.condition.label for c in report.conditions if c.condition.family == "corruption"])
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder that Python takes for an installed distribution with one entry point."""
    (tmp_path / "fading.py").write_text(GOOD, "utf-8")
    (tmp_path / "wobbling.py").write_text(BAD, "utf-8")
    info = tmp_path / "fading-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fading\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[mmaudit.plugins]\nfading = fading\n", "utf-8")
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def check(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "mmaudit.cli", "check-plugin", *names)


def test_an_installed_probe_is_listed_checked_and_run(package: Path) -> None:
    listed = python(package, "-m", "mmaudit.cli", "list", "probes", "--json")
    own = {row["name"]: row for row in json.loads(listed.stdout) if row["source"] == "us"}
    assert set(own) == {"series.fade", "embedding.fade"}
    assert own["series.fade"]["kinds"] == ["series"]
    for name in ("fade", "fading"):
        found = check(package, name)
        assert found.returncode == 0, found.stdout + found.stderr
        assert found.stdout.splitlines() == [
            "ok    embedding.fade: 10 of 10 clauses kept",
            "ok    series.fade: 10 of 10 clauses kept",
        ]
    (package / "run.py").write_text(AUDIT, "utf-8")
    ran = python(package, "run.py", str(package / "out"))
    assert "embedding.fade[x]@5" in ran.stdout, ran.stderr


def test_a_probe_of_a_module_that_is_not_installed_is_checked_and_told_what_is_wrong(package: Path) -> None:
    found = check(package, "wobbling")
    assert found.returncode == 3
    assert "FAIL  embedding.wobble" in found.stdout
    assert "broken: same for any batch" in found.stdout
    assert "'embedding' of the same samples differs" in found.stdout


def test_unknown_names_and_empty_modules_are_one_clear_line(package: Path) -> None:
    unknown = check(package, "image.gausian_blur")
    assert unknown.returncode == 2
    assert "did you mean 'image.gaussian_blur'" in unknown.stderr
    (package / "empty.py").write_text("", "utf-8")
    empty = check(package, "empty")
    assert empty.returncode == 2
    assert "registers no probe" in empty.stderr
    (package / "broken.py").write_text("import nothing_of_this_name", "utf-8")
    broken = check(package, "broken")
    assert broken.returncode == 2
    assert "nothing_of_this_name" in broken.stderr
