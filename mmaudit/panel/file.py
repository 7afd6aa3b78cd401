"""The files of a panel: `references.parquet` (its numbers) and `references.json` (what they are about)."""

from __future__ import annotations

import json

import pyarrow as pa

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.folder import write_atomically
from mmaudit.outputs import read_parquet, write_parquet
from mmaudit.panel.panel import Panel
from mmaudit.panel.read import trained
from mmaudit.panel.results import compare
from mmaudit.panel.values import ROW_FIELDS, TEXTS, WHOLE
from mmaudit.store import Run

TABLE, INDEX = "references.parquet", "references.json"
SCHEMA = "mmaudit.references/1"


def score_panel(run: Run, *, resamples: int = 1000, seed: int = 0) -> Panel:
    """Compare every reference method of a run with the audited model, and write the numbers into the run.

    Needs the stored answers only, so it can be done again at any time. Resamples are those of `mmaudit.score.score`
    with the same numbers, so a value of the audited model has the same interval here and there.

    Args:
        run: audited, with reference methods beside it (RUN/references).
        resamples: bootstrap replicates.
        seed: of the bootstrap.

    Raises:
        BadInput: there are no references.
        DamagedRun: a file cannot be read, or a reference answers other samples.
        StaleRun: a reference was audited under other conditions than the run has by now.
    """
    found = trained(run)
    if not found:
        raise BadInput(f"{run.folder} has no reference methods; train some: mmaudit reference {run.folder} --methods …")
    panel = compare(run, found, resamples=resamples, seed=seed)
    special = {**dict.fromkeys(TEXTS, pa.string()), **dict.fromkeys(WHOLE, pa.int64())}
    types = {name: special.get(name, pa.float64()) for name in ROW_FIELDS}
    columns = {name: pa.array([getattr(row, name) for row in panel.rows], types[name]) for name in ROW_FIELDS}
    write_parquet(run.folder / TABLE, pa.table(columns))
    index = json.dumps({"schema": SCHEMA, **panel.index_json()}, ensure_ascii=True, indent=1)
    write_atomically(run.folder / INDEX, index.encode())
    return panel


def read_panel(run: Run) -> Panel | None:
    """Return the panel that was written into a run; None where there is none.

    Raises:
        DamagedRun: its files cannot be read or do not fit each other.
        StaleRun: it was made under other conditions than the run has by now, or by a newer mmaudit.
    """
    file = run.folder / INDEX
    if not file.exists():
        return None
    again = "train or score the references again: mmaudit reference"
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        schema = index["schema"]
        if schema != SCHEMA:
            raise StaleRun(f"{file} has schema {schema!r}, this mmaudit reads {SCHEMA!r}; {again} {run.folder}")
        panel = Panel.from_parts(index, read_parquet(run.folder / TABLE).to_pylist())
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedRun(f"{file} cannot be read ({error}); {again} {run.folder}") from error
    if panel.conditions != tuple(c.key for c in run.conditions):
        raise StaleRun(
            f"{file} compares {len(panel.conditions)} conditions, the run has {len(run.conditions)} by now; "
            f"{again} {run.folder}"
        )
    return panel


def panel_or_reason(run: Run) -> tuple[Panel | None, str]:
    """Return the panel of a run, or None and why it is not shown; the reason is empty where there never was one."""
    try:
        return read_panel(run), ""
    except (DamagedRun, StaleRun) as error:
        return None, str(error)
