"""Write a software bill of materials (CycloneDX JSON): mmaudit, and what is installed with it.

    python scripts/sbom.py sbom.json                     # what `pip install mmaudit` brings
    python scripts/sbom.py sbom.json --extra onnx --extra ray

It describes the environment that it runs in, so run it in the one that is shipped. Packages that mmaudit does not ask
for are left out, and so is whatever names this machine. The same environment gives the same bytes. Needs the package
cyclonedx-bom.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SPEC = "1.6"


def closure(package: str, extras: Iterable[str] = ()) -> dict[str, str]:
    """Return the packages that one brings, itself included: canonical name to installed version.

    Args:
        package: an installed package.
        extras: of it.

    Raises:
        SystemExit: a package that is asked for is not installed, or there is no such extra.
    """
    found: dict[str, str] = {}
    todo: list[tuple[str, str]] = [(package, extra) for extra in ("", *extras)]
    seen: set[tuple[str, str]] = set()
    while todo:
        name, extra = todo.pop()
        key = (canonicalize_name(name), extra)
        if key in seen:
            continue
        seen.add(key)
        try:
            about = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise SystemExit(f"{name} is not installed; install what is shipped first: pip install -e .") from None
        if extra and extra not in (about.metadata.get_all("Provides-Extra") or ()) and name == package:
            raise SystemExit(f"{package} has no extra {extra!r}.")
        found[key[0]] = about.version
        for text in about.requires or ():
            asked = Requirement(text)
            if asked.marker is None or asked.marker.evaluate({"extra": extra}):
                todo += [(asked.name, one) for one in ("", *asked.extras)]
    return found


def bill(extras: Iterable[str] = ()) -> dict[str, Any]:
    """Return the bill of this environment as plain values."""
    wanted = closure("mmaudit", extras)
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")),
        *("--spec-version", SPEC, "--output-format", "JSON", "--output-reproducible", "--no-validate", sys.executable),
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise SystemExit(f"cyclonedx-py failed: {made.stderr.strip()[-500:]}\nIs cyclonedx-bom installed?")
    whole: dict[str, Any] = json.loads(made.stdout)
    own = whole["metadata"]["component"]
    own["version"] = wanted.pop("mmaudit")
    parts = [c for c in whole["components"] if canonicalize_name(c["name"]) in wanted]
    for part in (own, *parts):
        _forget_machine(part)
    kept = {part["bom-ref"] for part in parts} | {own["bom-ref"]}
    whole["components"] = sorted(parts, key=lambda part: str(part["name"]).lower())
    whole["dependencies"] = [
        {**d, **({"dependsOn": [ref for ref in d["dependsOn"] if ref in kept]} if "dependsOn" in d else {})}
        for d in whole.get("dependencies", ())
        if d["ref"] in kept
    ]
    return whole


def _forget_machine(part: dict[str, Any]) -> None:
    """Drop addresses of files on this machine and of the registry that it installs from."""
    known = [
        reference
        for reference in part.get("externalReferences", ())
        if reference.get("type") != "distribution" and str(reference.get("url", "")).startswith("https://")
    ]
    if known:
        part["externalReferences"] = known
    else:
        part.pop("externalReferences", None)


def main() -> None:
    """Write the file and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--extra", action="append", default=[], help="an extra of mmaudit; may be repeated")
    given = parser.parse_args()
    made = bill(given.extra)
    given.out.write_text(json.dumps(made, indent=1, ensure_ascii=True, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{given.out}: mmaudit {made['metadata']['component']['version']} and {len(made['components'])} packages")


if __name__ == "__main__":
    main()
