"""Build a release and check it: version, changelog, package contents, metadata, and that the wheel works by itself.

    python scripts/release.py            # checks, then builds into dist/
    python scripts/release.py --check    # only what needs no build

Nothing is uploaded and nothing is tagged; the commands for both are printed at the end.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_VERSION = re.compile(r"0\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_NOT_SHIPPED = re.compile(r"(^|/)(tests?|benchmarks|scripts|runs|\.git\w*|__pycache__)(/|$)|\.(pyc|nbi|nbc)$")
_APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # of apache.org's LICENSE-2.0.txt
# What pyproject.toml names as the build backend, called as any front end would; nothing is downloaded.
_BUILD = (
    "import sys; from setuptools import build_meta as backend; out = sys.argv[1]; "
    "backend.build_sdist(out); backend.build_wheel(out)"
)


class Unfit(Exception):
    """The tree or the build is not fit to be released; says what to do."""


def main() -> int:
    """Run the checks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only what needs no build")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--released", action="store_true", help="the changelog must have a date, not (unreleased)")
    asked = parser.parse_args()
    try:
        version = check_tree(released=asked.released)
        print(f"version {version}: tree, changelog, citation and licence agree")
        if asked.check:
            return 0
        wheel, source = build(asked.out)
        print(
            f"{wheel.name}: {check_wheel(wheel, version)} files; {source.name}: {check_source(source, version)} files"
        )
        check_installed(wheel)
        print("the wheel works by itself, outside of the repository")
        for path in (wheel, source):
            print(f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
        print(f"To release: git tag v{version} && git push --tags; then upload {wheel.name} and {source.name}.")
    except Unfit as error:
        print(f"not fit to be released: {error}", file=sys.stderr)
        return 1
    return 0


def check_tree(root: Path = ROOT, *, released: bool = False) -> str:
    """Return the version after checking that everything that names it agrees; raises `Unfit`."""
    version = str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    if not _VERSION.fullmatch(version):
        raise Unfit(f"version {version!r} in pyproject.toml is not 0.MINOR.PATCH; see CONTRIBUTING.md, Releases.")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## (\S+)(?: \(([^)]*)\))?$", changes, re.MULTILINE)
    if heading is None or heading[1] != version:
        came = heading[1] if heading else "nothing"
        raise Unfit(f"CHANGELOG.md begins with {came}, pyproject.toml says {version}; write what changed.")
    if released and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading[2] or ""):
        raise Unfit(f"CHANGELOG.md says {heading[2]!r} beside {version}; put the date there, as 2026-01-31.")
    cited = re.search(r"^version: (\S+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if cited is None or cited[1].strip("\"'") != version:
        raise Unfit(f"CITATION.cff does not say version: {version}.")
    if hashlib.sha256((root / "LICENSE").read_bytes()).hexdigest() != _APACHE_2:
        raise Unfit("LICENSE is not the text of the Apache License 2.0, byte for byte.")
    return version


def build(out: Path) -> tuple[Path, Path]:
    """Build a wheel and a source archive; returns their paths."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        # A copy, so that nothing that lies in the tree by chance is built in, and nothing is left in it.
        copy = Path(folder) / "tree"
        listed = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        done = subprocess.run(
            [sys.executable, "-c", _BUILD, str(out.resolve())],
            check=False, capture_output=True, text=True, cwd=copy,
        )  # fmt: skip
    if done.returncode:
        raise Unfit(f"the build failed (it needs setuptools 77 or later): {done.stderr.strip()[-2000:]}")
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def check_wheel(wheel: Path, version: str) -> int:
    """Check names, metadata and contents of a wheel; return how many files it has."""
    if wheel.name != f"mmaudit-{version}-py3-none-any.whl":
        raise Unfit(f"the wheel is called {wheel.name}.")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = f"mmaudit-{version}.dist-info"
        about = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        entries = archive.read(f"{info}/entry_points.txt").decode()
    for key, wanted in (("Name", "mmaudit"), ("Version", version), ("License-Expression", "Apache-2.0")):
        if about[key] != wanted:
            raise Unfit(f"the wheel's metadata says {key}: {about[key]}, expected {wanted}.")
    if about["Description-Content-Type"] != "text/markdown" or "# mmaudit" not in str(about.get_payload()):
        raise Unfit("the wheel's description is not README.md.")
    if not any(name.endswith("licenses/LICENSE") for name in names):
        raise Unfit("the wheel has no licence file.")
    for entry in ("mmaudit = mmaudit.cli:main", "[mmaudit.plugins]", "[pytest11]"):
        if entry not in entries:
            raise Unfit(f"the wheel's entry points lack {entry}.")
    _require_contents(names, prefix="")
    return len(names)


def check_source(source: Path, version: str) -> int:
    """Check the contents of a source archive; return how many files it has."""
    with tarfile.open(source) as archive:
        names = archive.getnames()
    top = f"mmaudit-{version}/"
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        if top + name not in names:
            raise Unfit(f"the source archive lacks {name}.")
    return len(names)


def _require_contents(names: list[str], prefix: str) -> None:
    """Every module and data file that the tree has, and nothing that is for developers."""
    wanted = {p.relative_to(ROOT).as_posix() for p in (ROOT / "mmaudit").rglob("*.py")}
    wanted |= {f"mmaudit/app/{p.relative_to(ROOT / 'app').as_posix()}" for p in (ROOT / "app").rglob("*.py")}
    wanted |= {
        "mmaudit/py.typed",
        "mmaudit/demo/weights.safetensors",
        "mmaudit/reports/page.html.j2",
        "mmaudit/reports/report.schema.json",
        "mmaudit/starter/torch.py.j2",
    }
    if lacking := sorted(wanted - {name.removeprefix(prefix) for name in names}):
        raise Unfit(f"the wheel lacks {', '.join(lacking[:5])}; see [tool.setuptools] in pyproject.toml.")
    if stray := [name for name in names if _NOT_SHIPPED.search(name)]:
        raise Unfit(f"the wheel has {', '.join(stray[:5])}, which is not for users.")


def check_installed(wheel: Path) -> None:
    """Install the wheel alone in an empty environment that sees this one's dependencies, and use it elsewhere."""
    code = (
        "import mmaudit, mmaudit.cli, pathlib, sys; "
        "assert pathlib.Path(mmaudit.__file__).is_relative_to(sys.prefix), mmaudit.__file__; "
        "from mmaudit.demo.model import load_model; load_model(); "
        "from mmaudit.probes import probes; assert len(probes.names()) > 100"
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "env"
        venv.create(place, with_pip=True)
        python = place / "bin" / "python"
        packages = next((place / "lib").glob("python*/site-packages"))
        # Dependencies are this environment's, so that nothing is downloaded; mmaudit itself is the wheel's.
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
        here = next(p for p in sys.path if p.endswith("site-packages"))
        (packages / "dependencies.pth").write_text(f"{here}\n", encoding="utf-8")
        tool = place / "bin" / "mmaudit"
        commands: list[list[str | Path]] = [[python, "-c", code], [tool, "--version"], [tool, "list", "metrics"]]
        for command in commands:
            done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                raise Unfit(f"{' '.join(map(str, command))[:80]} failed from the wheel: {done.stderr.strip()[-1500:]}")


if __name__ == "__main__":
    sys.exit(main())
