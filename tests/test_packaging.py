"""What pyproject.toml says about the packages agrees with the folders."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_every_package_folder_is_installed() -> None:
    folders = {p.parent.relative_to(ROOT) for p in (ROOT / "mmaudit").rglob("*.py")}
    pages = {p.parent.relative_to(ROOT) for p in (ROOT / "app").rglob("*.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"mmaudit.reports"}
    expected |= {".".join(("mmaudit", *folder.parts)) for folder in pages}
    assert set(SETUPTOOLS["packages"]) == expected


def test_every_file_that_is_no_module_is_installed() -> None:
    listed = SETUPTOOLS["package-data"]
    for path in (ROOT / "mmaudit").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc"):
            package = ".".join(path.parent.relative_to(ROOT).parts)
            assert any(path.match(pattern) for pattern in listed[package]), path


def test_the_pinned_versions_meet_the_declared_ones() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.split("==")[0].lower().replace("_", "-"): line.split("==")[1] for line in lines if "==" in line}
    needed = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    for requirement in map(Requirement, needed):
        if requirement.name == project["name"]:  # an extra that takes in another
            continue
        pin = pins[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(pin), (requirement, pin)
