"""Run bandit over the product and compare with what is known: a finding that is not in `EXPECTED` fails, and so does
an entry that bandit no longer finds.

    python scripts/audit_code.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("mmaudit", "app", "scripts")
# Checks that say nothing here. B101: asserts state what the lines before made true, nothing rests on them. B105: words
# such as "pass" are taken for passwords. B311: random numbers are for statistics and for waiting. B404, B403, B405:
# an import is no use; uses have checks of their own. B603, B606, B607: programs are started without a shell, by lists
# of arguments. B610: Django's extra(), which every function of that name is taken for.
SKIPPED = ("B101", "B105", "B106", "B107", "B311", "B403", "B404", "B405", "B603", "B606", "B607", "B610")

EXPECTED: dict[tuple[str, str], str] = {
    ("mmaudit/models/torch_files.py", "B614"): "whole modules, where the user says --trust, and weights_only=True",
    ("mmaudit/models/lightning.py", "B614"): "a checkpoint of Lightning, where the user says --trust",
    ("mmaudit/execution/parcel.py", "B301"): "the user's own model on its way to the user's own worker",
    ("mmaudit/execution/ray_cluster.py", "B301"): "the user's own model on its way to the user's own worker",
    ("mmaudit/cli/dashboard.py", "B104"): "compares with 0.0.0.0, to warn who opens the dashboard to everybody",
    ("mmaudit/render/svg.py", "B314"): "parses the drawing that vl-convert has just made",
    ("mmaudit/render/tables.py", "B704"): "rows of a table, put together from cells of which each was escaped",
    **{
        (f"mmaudit/render/{name}.py", "B704"): "what a template of mmaudit's own gave, in which every text was escaped"
        for name in ("compared", "drawn", "formulas", "page", "paper", "templates")
    },
}
"""Findings that are right about the line and wrong about the danger, with the reason."""


def found(folders: tuple[str, ...] = FOLDERS, root: Path = ROOT) -> Counter[tuple[str, str]]:
    """Return how often bandit finds what in which file, by path below `root` and name of the check.

    Raises:
        SystemExit: bandit could not be run, or could not read a file.
    """
    command = [
        sys.executable,
        "-m",
        "bandit",
        "--quiet",
        "--recursive",
        "--format",
        "json",
        "--skip",
        ",".join(SKIPPED),
    ]
    ran = subprocess.run([*command, *folders], capture_output=True, text=True, check=False, cwd=root)
    try:
        said = json.loads(ran.stdout)
    except ValueError:
        raise SystemExit(f"bandit failed: {ran.stderr.strip()[-500:] or ran.stdout[-500:]}") from None
    if said["errors"]:
        raise SystemExit(f"bandit could not read: {said['errors'][:3]}")
    return Counter((result["filename"].removeprefix("./"), result["test_id"]) for result in said["results"])


def differences(now: Mapping[tuple[str, str], int], expected: Mapping[tuple[str, str], str]) -> list[str]:
    """Return what is found and not known, and what is known and not found."""
    new = [f"{file}: {test}, {now[file, test]} times: mend it, or say in EXPECTED why it is harmless"
           for file, test in sorted(set(now) - set(expected))]  # fmt: skip
    gone = [
        f"{file}: {test} is found no more; take it out of EXPECTED" for file, test in sorted(set(expected) - set(now))
    ]
    return new + gone


def main() -> None:
    """Compare, say and exit: 0 as known, 1 otherwise."""
    now = found()
    wrong = differences(now, EXPECTED)
    print("\n".join(wrong) or f"bandit: nothing but the {len(EXPECTED)} findings that are explained.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
