"""What README shows runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)

# What README calls yours: a network, its inputs, and what is known of each sample.
YOURS = """
import numpy as np, torch
rng = np.random.default_rng(0)
n = 240
images = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
texts = [" ".join(rng.choice(["red", "green", "blue"], 3)) for _ in range(n)]
labels, sites, patients = rng.integers(0, 3, n), rng.choice(["north", "south"], n), np.arange(n) // 2

def tokenize(texts):
    return np.array([[t.count(w) for w in ("red", "green", "blue")] for t in texts], np.float32)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.see, self.read = torch.nn.Linear(192, 3), torch.nn.Linear(3, 3)

    def forward(self, image, text):
        return self.see(image.flatten(1).float() / 255) * self.read(text)

net = Net()
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_is_short_and_runs(tmp_path: Path) -> None:
    example = BLOCKS[0]
    assert len(example.strip().splitlines()) <= 15
    run(f"{YOURS}\n{example}\nassert len(report.scores) and '<' in report._repr_html_()", tmp_path)
    assert (tmp_path / "mine.html").stat().st_size > 100_000
    assert (tmp_path / "runs" / "mine" / "report.json").exists()


def test_the_plugin_example_registers(tmp_path: Path) -> None:
    example = next(b for b in BLOCKS if "@mmaudit.corruption" in b)
    code = f"import mmaudit\n{example}\nfrom mmaudit.probes import probes\nprint(probes.get('image.salt').summary)"
    assert run(code, tmp_path).strip() == "Turn random pixels white"


def test_the_assertion_in_a_test_runs_as_a_fixture(tmp_path: Path) -> None:
    example = next(b for b in BLOCKS if "assert_robust" in b)
    wrapped = BLOCKS[0].split("report = ")[0]
    (tmp_path / "test_mine.py").write_text(f"{YOURS}\n{wrapped}\n{example}", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mmaudit.pytest_plugin", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    # An untrained network does not lose what it never had; with half as many clusters 5 points could not be told.
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
