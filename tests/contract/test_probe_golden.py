"""A changed probe must bump its version: what every probe does to the samples is kept in tests/golden/probes.json.

Renew the file after a version went up, or for a new probe, with

    python tests/contract/test_probe_golden.py

It refuses to renew a probe that changed under the same version. Numbers are kept as a few sums, compared with a small
tolerance, because exp and sqrt differ in their last bits between machines; texts and presence are kept as digests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers.probe_samples import all_conditions, everything, scope_of, source_of, whole
from mmaudit.probes import probes
from mmaudit.types import Array, digest

GOLDEN = Path(__file__).parents[1] / "golden" / "probes.json"
DATA = everything()


def sums(array: Array) -> list[Any]:
    """Text: a digest. Numbers: four sums weighted so that any change or swap shows in them."""
    if array.dtype == object and isinstance(array[0], str):
        return [digest(array.tolist())]
    flat = np.concatenate([np.asarray(row, np.float64).ravel() for row in array])
    place = np.arange(len(flat))
    spread = flat.std() or 1.0
    # In units of the spread: a single value that rounds the other way elsewhere stays within the tolerance.
    weighted = [np.mean(flat * weight) / spread for weight in (np.ones(1), np.sin(place), np.sin(0.37 * place))]
    return [float(round(v, 9)) for v in (spread, *weighted)]


def measured() -> dict[str, dict[str, Any]]:
    """Per probe its version and, per condition, the sums of what it changes."""
    source, batch = source_of(DATA), whole(DATA)
    found: dict[str, dict[str, Any]] = {p.name: {"version": p.version, "conditions": {}} for p in probes}
    for probe, condition in all_conditions(scope_of(DATA)):
        new = probe.apply(batch, condition, source)
        found[probe.name]["conditions"][condition.label] = {
            m: [*sums(new.inputs[m]), digest(new.present[m].tolist())] for m in condition.modalities
        }
    return found


def differs(old: Any, new: Any) -> bool:
    """Compare nested values, numbers within a tolerance."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() != new.keys() or any(differs(old[k], new[k]) for k in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) != len(new) or any(differs(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, float) and isinstance(new, float):
        return not np.isclose(old, new, rtol=1e-5, atol=1e-5)
    return bool(old != new)


@pytest.fixture(scope="module")
def now() -> dict[str, dict[str, Any]]:
    return measured()


def test_golden_file_knows_exactly_the_registered_probes():
    known = sorted(json.loads(GOLDEN.read_text("utf-8")))
    assert known == probes.names(), "renew tests/golden/probes.json: python tests/contract/test_probe_golden.py"


@pytest.mark.parametrize("name", probes.names())
def test_probe_does_what_its_version_did(name, now):
    golden = json.loads(GOLDEN.read_text("utf-8"))[name]
    assert golden["version"] == now[name]["version"], "version went up: renew tests/golden/probes.json"
    assert not differs(golden, now[name]), f"{name} changed: raise its version, then renew tests/golden/probes.json"


def test_a_changed_number_text_or_presence_is_noticed(now):
    for name, m in (("image.gaussian_noise", "hwc"), ("text.keyboard", "question"), ("missing_rate", "table")):
        changed = json.loads(json.dumps(now[name]))
        label = next(label for label in changed["conditions"] if m in changed["conditions"][label])
        value = changed["conditions"][label][m]
        for i, was in enumerate(value):
            value[i] = was * 1.001 + 0.001 if isinstance(was, float) else was + "0"
            assert differs(now[name], changed)
            value[i] = was
        assert not differs(now[name], changed)


def renew() -> None:
    old = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
    new = measured()
    for name, entry in new.items():
        if name in old and old[name]["version"] == entry["version"]:
            was, now = old[name]["conditions"], entry["conditions"]
            # Conditions may come and go with the grid and the specimens; what stays must stay as it was.
            both = was.keys() & now.keys()
            if any(differs(was[label], now[label]) for label in both):
                sys.exit(f"{name} changed but its version is still {entry['version']}; raise the version first.")
            now |= {label: was[label] for label in both}
    GOLDEN.parent.mkdir(exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(new[name], sort_keys=True)}" for name in sorted(new)]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    renew()
