"""The index of a run's estimates, `estimates.json`: what each is about. Their values are rows of its scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mmaudit.errors import DamagedRun
from mmaudit.estimates import Estimate
from mmaudit.folder import write_atomically
from mmaudit.store import Run
from mmaudit.types import Score

FILE = "estimates.json"


def write_estimates(run: Run, estimated: Sequence[Estimate]) -> None:
    """Write what the estimates are about, in their order."""
    index = json.dumps([e.to_json() for e in estimated], ensure_ascii=True, indent=1)
    write_atomically(run.folder / FILE, index.encode())


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def read_estimates(run: Run, rows: Iterable[Score]) -> list[Estimate]:
    """The estimates of a scored run, from their index and their rows of the scores; none in runs of mmaudit 0.1.

    Raises:
        DamagedRun: the index cannot be read, or an estimate has no row.
    """
    file = run.folder / FILE
    if not file.exists():
        return []
    by_key = {(s.condition, s.metric, s.group): s for s in rows}
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        found = [Estimate.from_json(e, by_key[e["key"], e["estimator"], e["group"]]) for e in index]
        if any(not _plain(value) for e in found for value in (*e.modalities, *(v for _, v in e.options))):
            raise TypeError("a modality or an option is no plain value")
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedRun(f"{file} does not fit the scores ({error}); run: mmaudit score {run.folder}") from error
