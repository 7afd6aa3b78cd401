"""Keep inputs of some samples in the run, so that it can be browsed without data or model: `exhibits.parquet`.

Written at the end of an audit, and by `mmaudit keep`. Read back by `mmaudit.browse.kept`, where the form is described.
The same run and data give the same bytes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.assemble import assemble
from mmaudit.browse.kept import FILE, METADATA, VERSION, Kept
from mmaudit.choosing import Chosen, choose
from mmaudit.data import Dataset, all_statistics
from mmaudit.errors import BadInput, MMAuditError, NotApplicable, UnknownName
from mmaudit.folder import whole, writing
from mmaudit.kept_sample import SCHEMA, KeptExhibits, text_of
from mmaudit.place import readable
from mmaudit.plan import make_plan
from mmaudit.preparing import data_fingerprints, require_same
from mmaudit.probes import Source, probes
from mmaudit.store import Run
from mmaudit.types import Batch, Condition

SAMPLES = 48
BUDGET = 24_000_000  # bytes of a run, about
MAX_BATCH_BYTES = 64 * 2**20  # of one modality in memory

# What an audit writes that shows inputs; a run that is to keep none has none of these.
INPUT_FILES = (FILE, "examples.json", "synergy_samples.json", "gallery.html")


def keep(run: Run, data: Dataset, source: Source, count: int = SAMPLES, *, asked: Iterable[str] | None = None) -> None:
    """Write `exhibits.parquet`: inputs of `count` samples and of those asked for, original and perturbed.

    Inputs are made again from the data set and the probes; the model is asked only for the gradients of adversarial
    probes. A quarter of the samples is drawn at random, the others are those that conditions damage most (see
    `mmaudit.choosing`). Each sample has the same share of the byte budget: its original first, then the condition that
    chose it, then the worst conditions; what does not fit is left out, and the file says so.

    Args:
        run: predicted under all its conditions; its folder is held by `folder.writing`.
        data, source: of the audit, or equal to them.
        count: samples, beyond those asked for.
        asked: ids, as text, of samples to keep whatever the probes did to them. Without it those that an earlier call
            was asked for, with the byte budget it was given.

    Raises:
        BadInput: the data set has no sample of that id.
        DamagedRun: predictions are missing or cannot be read.
    """
    before = _asked_before(run.folder)
    _write(run, data, source, count, before["asked"] if asked is None else list(asked), before["budget"])


def keep_more(
    run_folder: str | Path,
    data: Dataset,
    *,
    train: Dataset | None = None,
    samples: Sequence[str] = (),
    count: int | None = None,
    megabytes: float | None = None,
) -> Kept:
    """Keep inputs of more samples in a finished run. Needs the data of the audit, not the model.

    Args:
        run_folder: of the audit.
        data, train: as the audit was given them.
        samples: ids, as text, of samples to keep beside those asked for before.
        count: how many samples to choose besides; as the audit did without it. 0 removes all inputs from the run
            folder, those in its report too.
        megabytes: the byte budget, in 10⁶ bytes; as before without it, at first 24.

    Returns:
        What the run keeps now. `unmade` names the conditions that cannot be made again without the model, or because a
        probe or a scenario's file has changed since.

    Raises:
        BadInput: an id is not in the data, a number is not usable, or the run is to keep no inputs (`keep_samples=0`)
            and `count` does not say otherwise.
        StaleRun: the run is of another data set, or training data.
        DamagedRun: predictions are missing or cannot be read.
    """
    require_count("keep_samples", count)
    if megabytes is not None and not 0 < megabytes < 1e6:
        raise BadInput(f"megabytes={megabytes!r} is not usable; give a number above 0, such as {BUDGET / 1e6:g}.")
    run = Run.open(run_folder)
    require_same(run, data_fingerprints(data, train))
    kept = run.header.get("keep_samples", SAMPLES) if count is None else count
    if samples and not kept:
        raise BadInput(
            f"{run.folder} was made to keep no inputs (keep_samples=0); to keep some all the same, say how many to "
            "choose besides: --keep-samples 1 or more."
        )
    with contextlib.suppress(MMAuditError):  # a scenario whose file is gone is named among those not made again
        make_plan(run.header["suite"], run.modalities, run.task)
    source = Source(data, all_statistics(train if train is not None else data))
    with writing(run.folder):
        if count is not None:
            run.update(keep_samples=count)
        if not kept:
            forget(run.folder)
            if (run.folder / "report.json").exists():
                assemble(run)  # the report showed examples
            return Kept(run.folder)
        before = _asked_before(run.folder)
        budget = before["budget"] if megabytes is None else int(megabytes * 1e6)
        _write(run, data, source, kept, list(dict.fromkeys([*before["asked"], *map(str, samples)])), budget)
    return Kept(run.folder)


def forget(folder: Path) -> None:
    """Remove every file of a run that shows inputs of samples."""
    for name in INPUT_FILES:
        (folder / name).unlink(missing_ok=True)


def require_count(name: str, count: object) -> None:
    """Raise `BadInput` unless `count` is a number of samples, or None."""
    if count is not None and (not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 0):
        raise BadInput(f"{name}={count!r} is not usable; give a whole number of samples, 0 to keep none.")


def _asked_before(folder: Path) -> dict[str, Any]:
    """What an earlier call was asked for; nothing where there is no file, or none that can be read."""
    try:
        about = json.loads((pq.read_metadata(readable(folder / FILE)).metadata or {})[METADATA])
        return {"asked": [str(name) for name in about["asked"]], "budget": int(about["budget"])}
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"asked": [], "budget": BUDGET}


def _positions(data: Dataset, names: Sequence[str]) -> list[int]:
    ids = np.asarray(data.ids).astype(str)
    found = []
    for name in names:
        rows = np.flatnonzero(ids == name)
        if not len(rows):
            raise BadInput(f"no sample has the id {name!r}; ids look like {str(data.ids[0])!r}.")
        found.append(int(rows[0]))
    return found


# ---- what is written


def _write(run: Run, data: Dataset, source: Source, count: int, asked: list[str], budget: int) -> None:
    chosen, conditions = choose(run, count, _positions(data, asked))
    about: dict[str, Any] = {
        "version": VERSION,
        "modalities": [[text_of(m.name), m.kind] for m in data.modalities],
        "samples": [],
        "asked": asked,
        "budget": budget,
        "unmade": {},
    }
    path = run.folder / FILE
    left, lacking = budget, 0
    lost: set[str] = set()
    with (
        whole(path) as partial,
        pq.ParquetWriter(
            partial,
            SCHEMA,
            compression="zstd",
            use_dictionary=True,
            dictionary_pagesize_limit=2**30,
            write_statistics=False,
            write_page_checksum=True,
            store_schema=False,
        ) as writer,
    ):
        for done, part in _parts(data, chosen):
            share = left // (len(chosen) - done)
            for kept in _make(data, source, part, conditions, share, about["unmade"]):
                if not kept.rows:
                    lacking += 1
                    continue
                about["samples"].append(kept.about(str(data.ids[kept.chosen.position])))
                writer.write_table(kept.table(), row_group_size=len(kept.rows))
                left -= kept.size
                lost |= kept.left_out
        about["left_out"] = _said(lacking, len(lost), len(conditions), budget)
        writer.add_key_value_metadata({METADATA: json.dumps(about)})


def _said(samples: int, conditions: int, planned: int, budget: int) -> str:
    """What did not fit, in one sentence; empty where everything did."""
    lost = [f"the inputs of {samples} samples"] * bool(samples)
    lost += [f"some samples' inputs under {conditions} of {planned} conditions"] * bool(conditions)
    if not lost:
        return ""
    return f"To keep the run small ({budget / 1e6:g} MB of inputs), it holds no copy of {' and '.join(lost)}."


def _parts(data: Dataset, chosen: Sequence[Chosen]) -> Iterator[tuple[int, Sequence[Chosen]]]:
    """The chosen samples in parts that fit into memory, and how many came before."""
    first = data.rows(np.zeros(1, np.int64))
    widest = max(np.asarray(first.inputs[m.name][0]).nbytes for m in data.modalities)
    step = max(1, MAX_BATCH_BYTES // max(widest, 1))
    for start in range(0, len(chosen), step):
        yield start, chosen[start : start + step]


def _make(
    data: Dataset,
    source: Source,
    chosen: Sequence[Chosen],
    conditions: Sequence[Condition],
    share: int,
    unmade: dict[str, str],
) -> list[KeptExhibits]:
    """The exhibits of some samples, at most `share` bytes of each."""
    batch = data.rows(np.array([c.position for c in chosen], np.int64))
    samples = [KeptExhibits(c, share) for c in chosen]
    for row, sample in enumerate(samples):
        sample.originals(batch, row, data.modalities)
    own: dict[str, list[int]] = {}
    for row, c in enumerate(chosen):
        if c.condition is not None:
            own.setdefault(c.condition.key, []).append(row)
    first = [(c, own[c.key]) for c in conditions if c.key in own]
    for condition, wanted in [*first, *((c, list(range(len(samples)))) for c in conditions)]:
        rows = np.array([row for row in wanted if samples[row].lacks(condition)], np.int64)
        if not len(rows) or condition.key in unmade:
            continue
        part = batch.take(rows)
        after = _perturbed(part, condition, source, unmade)
        if after is not None:
            for at, row in enumerate(rows.tolist()):
                samples[row].perturbed(part, after, at, condition, data.modalities)
    return samples


def _perturbed(batch: Batch, condition: Condition, source: Source, unmade: dict[str, str]) -> Batch | None:
    """The batch under a condition; None, and the reason noted, where it cannot be made again."""
    try:
        probe = probes.get(condition.probe)
        if probe.version != condition.version:
            unmade[condition.key] = (
                f"the run used version {condition.version} of {condition.probe}, version {probe.version} is installed"
            )
            return None
        return probe.apply(batch, condition, source)
    except (BadInput, NotApplicable, UnknownName) as error:
        unmade[condition.key] = str(error).rstrip(".")
        return None
