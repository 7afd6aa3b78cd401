"""Ask a service of known vulnerabilities about the versions that this repository is developed with.

    python scripts/audit_dependencies.py                 # constraints.txt
    python scripts/audit_dependencies.py other.txt --service osv

Exit codes: 0 none is known; 1 some are, each printed with the version that mends it; 3 the service could not be
asked, or not about every package: then nothing is known, and it says so. Where there is no way to the service, 3 may
pass, 1 never. Runs pip-audit, whose own answer to a registry without vulnerability data is "none known".
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KNOWN, VULNERABLE, NOT_ASKED = 0, 1, 3
SECONDS = 600.0


@dataclass(frozen=True)
class Answer:
    """What the service said.

    Attributes:
        asked: packages with an answer.
        vulnerable: one line for each vulnerability.
        unknown: names of the packages without an answer.
        problem: why there is no answer at all; empty where there is one.
    """

    asked: int = 0
    vulnerable: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    problem: str = ""

    @property
    def code(self) -> int:
        """The exit code: a vulnerability that is known counts, however little else is."""
        if self.vulnerable:
            return VULNERABLE
        return NOT_ASKED if self.problem or self.unknown or not self.asked else KNOWN

    def lines(self) -> list[str]:
        """What is to be said, the conclusion last."""
        said = list(self.vulnerable)
        if self.problem:
            return [*said, f"NOT AUDITED: {self.problem}"]
        if self.unknown or not self.asked:
            few = ", ".join(self.unknown[:5]) + (", …" if len(self.unknown) > 5 else "")
            said.append(
                f"NOT AUDITED: {len(self.unknown)} of {self.asked + len(self.unknown)} packages ({few}); "
                "the service has no answer about them."
            )
        return [*said, f"{self.asked} packages audited, {len(self.vulnerable)} vulnerabilities known."]


def ask(requirements: Path, service: str = "pypi", osv_url: str = "", seconds: float = SECONDS) -> Answer:
    """Ask about every pinned version in a requirements file."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"),
        *("--format", "json", "--progress-spinner", "off", "--timeout", "15", "--vulnerability-service", service),
        *(["--osv-url", osv_url] if osv_url else []),
    ]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return Answer(problem=f"no answer within {seconds:.0f} s.")
    try:
        found: dict[str, Any] = json.loads(ran.stdout)
        return read(found)
    except (ValueError, KeyError, TypeError):
        last = next((line for line in reversed(ran.stderr.splitlines()) if line.strip()), "no output")
        return Answer(problem=f"pip-audit ended with {ran.returncode}: {last.strip()[:300]}")


def read(found: dict[str, Any]) -> Answer:
    """Return what pip-audit's JSON says."""
    packages = found["dependencies"]
    vulnerable = [
        f"{p['name']} {p['version']}: {v['id']} ({', '.join(v.get('aliases', ())) or 'no alias'}); "
        + (f"mended in {', '.join(v['fix_versions'])}" if v.get("fix_versions") else "not mended yet")
        for p in packages
        for v in p.get("vulns", ())
    ]
    unknown = tuple(p["name"] for p in packages if "skip_reason" in p)
    return Answer(len(packages) - len(unknown), tuple(vulnerable), unknown)


def main() -> None:
    """Ask, say and exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirements", type=Path, nargs="?", default=ROOT / "constraints.txt")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi")
    parser.add_argument("--osv-url", default="", help="of a server that answers as osv.dev does")
    given = parser.parse_args()
    answer = ask(given.requirements, given.service, given.osv_url)
    print("\n".join(answer.lines()))
    sys.exit(answer.code)


if __name__ == "__main__":
    main()
