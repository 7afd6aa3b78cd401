"""Registries: names, near misses, duplicates, and plug-ins that other packages bring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmaudit.errors import ContractBroken, UnknownName
from mmaudit.registry import Registry

PLUGIN = """
import mmaudit

@mmaudit.metric("share_of_first_class", better="neither", unit="share")
def share_of_first_class(p, w):
    'How often the first class is predicted.'
    return w.mean(p.predicted == 0)
"""


def test_near_misses_are_suggested_and_duplicates_refused() -> None:
    table: Registry[int] = Registry("dial", "'see here'")
    table.add("volume", 1)
    with pytest.raises(ContractBroken, match="already registered"):
        table.add("volume", 2)
    with pytest.raises(UnknownName, match="did you mean 'volume'"):
        table.get("volumes")
    assert (table.get("volume"), table.names(), "volume" in table) == (1, ["volume"], True)


def installed(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """List all metrics with another package on the path that names a plug-in module."""
    (folder / "other_package.py").write_text(code, encoding="utf-8")
    facts = folder / "other_package-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[mmaudit.plugins]\nother = other_package\n", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[1:] = ['list', 'metrics']; "
    code += "from mmaudit.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_another_package_adds_a_metric(tmp_path: Path) -> None:
    done = installed(tmp_path, PLUGIN)
    assert done.returncode == 0, done.stderr
    assert "share_of_first_class" in done.stdout
    assert "balanced_accuracy" in done.stdout


def test_a_broken_plugin_is_named(tmp_path: Path) -> None:
    done = installed(tmp_path, "import no_such_module_anywhere")
    assert done.returncode == 2
    assert "plug-in 'other_package' of other-package cannot be loaded" in done.stderr
