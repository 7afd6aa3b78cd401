"""What pyproject.toml says about the packages agrees with the folders."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = DECLARED["project"], DECLARED["tool"]["setuptools"]


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


def _name(text: str) -> str:
    return text.lower().replace("_", "-")


def _needed() -> list[Requirement]:
    """What mmaudit and its extras need, one by one."""
    listed = [*PROJECT["dependencies"], *(x for extra in PROJECT["optional-dependencies"].values() for x in extra)]
    return [r for r in map(Requirement, listed) if r.name != PROJECT["name"]]  # an extra may take in another


def _pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {_name(line.split("==")[0]): line.split("==")[1] for line in lines if line[0] != "#"}


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-lowest.txt"])
def test_the_pinned_versions_meet_the_declared_ones(file: str) -> None:
    pins = _pins(file)
    for requirement in _needed():
        pin = pins[_name(requirement.name)]
        assert requirement.specifier.contains(pin), (requirement, pin)


def test_the_lowest_versions_are_the_declared_bounds() -> None:
    pins = _pins("constraints-lowest.txt")
    for requirement in _needed():
        lowest = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==")]
        assert lowest == [Version(pins[_name(requirement.name)])], requirement
