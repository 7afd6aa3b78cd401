"""Inputs of some samples that a run keeps, original beside perturbed: `exhibits.parquet`, read with suspicion.

    kept = Kept(run.folder)
    for position in kept.positions():
        for side in kept.sides(position, condition.key):
            side.original, side.perturbed

The file has one row group per sample and one row per (condition, modality): position in the data set, the condition's
key ("" for the sample as it is), modality, and the exhibit as JSON (see `mmaudit.exhibits.exhibit`). A row without
modality says that the condition left the whole sample as it is. What was kept, and why, stands in the file's metadata.
A run may come from a stranger: sizes are checked before anything is unpacked, and pictures and sounds are written anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.browse.media import checked
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.formats import printable
from mmaudit.outputs import UNREADABLE
from mmaudit.place import identity, is_local, place, readable
from mmaudit.types import CLEAN, KINDS

FILE = "exhibits.parquet"
METADATA = b"mmaudit.kept"
VERSION = 1

MAX_SAMPLES = 100_000
MAX_ROWS = 100_000  # of one sample: conditions × modalities
MAX_BYTES = 256 * 2**20  # of one sample, unpacked
MAX_ABOUT = 16 * 2**20


@dataclass(frozen=True)
class Side:
    """One modality of one sample: as it is, and as a condition made it.

    `original` and `perturbed` hold one of these forms, ready to be shown:

        {"absent": True}                                  not recorded, or withheld by the condition
        {"text": str}                                     with "of": int characters where it was cut
        {"image": bytes, "width": int, "height": int}     a PNG, small pictures enlarged pixel by pixel
        {"curves": [[float | None, …], …]}                waveforms and series; a channel each, at most 240 points
        {"curves": …, "audio": bytes, "rate": int, "seconds": float}   sounds with a known rate: also a 16-bit WAV
        {"values": [float | None, …], "of": int}          a table row or embedding: the first values of how many

    None stands for a number that is not finite. Texts are as they were, but for control characters, which are U+FFFD:
    hold them to be hostile.

    Attributes:
        modality: its name.
        kind: image, audio, text, tabular, series or embedding.
        original: the sample's own value.
        perturbed: the value under the condition; None where there is none to show, and `reason` says why.
        reason: "" where `perturbed` is there, or where no condition was asked for; else one sentence: the condition
            leaves this modality as it is, or its inputs were not kept.
    """

    modality: str
    kind: str
    original: Mapping[str, Any]
    perturbed: Mapping[str, Any] | None
    reason: str


@dataclass(frozen=True)
class KeptSample:
    """One sample whose inputs are kept.

    Attributes:
        position: its row in the data set.
        sample: its id, as text.
        why: "asked for", "drawn at random", or "damaged by" and the label of the condition that chose it.
        condition: key of that condition; "" for the other reasons.
    """

    position: int
    sample: str
    why: str
    condition: str = ""


@dataclass(frozen=True, eq=False)
class _Contents:
    """What a file says about itself, read once; `stamp` tells it from one that was written in its place."""

    stamp: tuple[Any, ...] | None
    reason: str = ""
    samples: tuple[KeptSample, ...] = ()
    left_out: str = ""
    unmade: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    metadata: Any = None

    @cached_property
    def groups(self) -> dict[int, int]:
        """Row group by position."""
        return {sample.position: i for i, sample in enumerate(self.samples)}


class Kept:
    """The inputs that a run keeps. Opening reads a few kilobytes; `sides` reads one sample.

    A run without them is no error: `positions()` is empty, and `reason` says what to do. Safe to share between threads,
    and to hold for long: a file that was written anew in the meantime is read anew.

    Raises:
        BadInput: the folder does not exist.
        DamagedRun: the file is truncated, foreign, too large, or a link. All methods may raise it later, too.
    """

    def __init__(self, run_folder: str | Path) -> None:
        self.folder = place(run_folder)
        self.path = self.folder / FILE
        if not self.folder.is_dir():
            raise BadInput(f"{self.folder} is not a folder; give a run folder.")
        self._contents = self._read()

    @property
    def reason(self) -> str:
        """Why nothing is kept, one or two sentences; "" where something is."""
        return self._now().reason

    @property
    def samples(self) -> tuple[KeptSample, ...]:
        """What is kept, in the order in which it was chosen: asked for, damaged most, drawn at random."""
        return self._now().samples

    @property
    def left_out(self) -> str:
        """One sentence on what the byte budget left out; "" where everything fitted."""
        return self._now().left_out

    @property
    def unmade(self) -> Mapping[str, str]:
        """Per condition key why its inputs could not be made again."""
        return self._now().unmade

    def positions(self) -> tuple[int, ...]:
        """Positions in the data set of the samples whose inputs are kept, in the order of `samples`."""
        return tuple(sample.position for sample in self.samples)

    def conditions(self, position: int) -> frozenset[str]:
        """Keys of the conditions whose inputs are kept for this sample, those that left it as it is included.

        Raises:
            BadInput: the sample is not kept.
            DamagedRun: the file cannot be read.
        """
        return frozenset(key for key, _ in self._rows(self._now(), position) if key)

    def sides(self, position: int, condition_key: str = "") -> list[Side]:
        """Every modality of a sample, original beside perturbed, in the order of the data set.

        Args:
            position: one of `positions()`.
            condition_key: of a condition of the run; "" or the clean condition's for the originals alone.

        Raises:
            BadInput: the sample is not kept.
            DamagedRun: the file cannot be read, or holds something that is no exhibit.
        """
        contents = self._now()
        rows = self._rows(contents, position)
        key = "" if condition_key == CLEAN.key else condition_key
        is_kept = any(condition == key for condition, _ in rows)
        found = []
        for name, kind in contents.kinds.items():
            if ("", name) not in rows:
                raise self._damaged(f"it holds no {name!r} of the sample at position {position}")
            original = self._exhibit(rows["", name], name)
            perturbed, reason = None, ""
            if key and (key, name) in rows:
                perturbed = self._exhibit(rows[key, name], name)
            elif key:
                reason = "Unchanged by this condition." if is_kept else _not_kept(contents, key)
            found.append(Side(name, kind, original, perturbed, reason))
        return found

    # ---- inside

    def _now(self) -> _Contents:
        """What the file says; read again where it is another one by now."""
        if _stamp(self.path) != self._contents.stamp:
            self._contents = self._read()
        return self._contents

    def _read(self) -> _Contents:
        stamp = _stamp(self.path)
        if stamp is None:
            return _Contents(
                None,
                "This run keeps no inputs: it was made with keep_samples=0 or by an older mmaudit. With the data, "
                f"'mmaudit keep {self.folder} --data …' adds them; the model is not needed.",
            )
        if is_local(self.path) and self.path.is_symlink():
            raise self._damaged("it is a link to another file")
        try:
            metadata = pq.read_metadata(readable(self.path))
            return _told(stamp, metadata, json.loads((metadata.metadata or {})[METADATA][: MAX_ABOUT + 1]))
        except (*UNREADABLE, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise self._damaged(error) from None

    def _rows(self, contents: _Contents, position: int) -> dict[tuple[str, str], str]:
        """The exhibits of a sample, still as text, by condition key and modality."""
        if position not in contents.groups:
            raise BadInput(f"the inputs of the sample at position {position} are not kept in {self.path}.")
        group = contents.groups[position]
        about = contents.metadata.row_group(group)
        size = about.total_byte_size  # not column by column, see `mmaudit.browse.samples`
        if about.num_rows > MAX_ROWS or size > MAX_BYTES:
            raise self._damaged(f"one sample takes {about.num_rows} rows and {size} bytes")
        try:
            # As a dictionary: a text that is repeated in a million rows must not become a million texts.
            file = pq.ParquetFile(
                readable(self.path),
                metadata=contents.metadata,
                read_dictionary=["exhibit"],
                page_checksum_verification=True,
            )
            with file:
                table = file.read_row_group(group, use_threads=False)
            return _by_place(table, position)
        except (*UNREADABLE, TypeError, AttributeError) as error:
            raise self._damaged(error) from None

    def _exhibit(self, text: str, modality: str) -> dict[str, Any]:
        try:
            return checked(json.loads(text))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(f"{modality!r} cannot be shown: {error}") from None

    def _damaged(self, why: object) -> DamagedRun:
        said = printable(str(why))[:300]
        return DamagedRun(f"{self.path} is no file of kept inputs ({said}); audit again, or run 'mmaudit keep'.")


def _stamp(path: Path) -> tuple[Any, ...] | None:
    """What changes when a file is written in another's place; None where there is none."""
    try:
        return identity(path, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _told(stamp: tuple[Any, ...], metadata: pq.FileMetaData, about: Any) -> _Contents:
    """The file's own account of itself; anything unexpected raises one of the errors caught by the caller."""
    if about["version"] != VERSION:
        raise ValueError(f"its version is {about['version']!r}, this mmaudit reads {VERSION}; update mmaudit")
    kinds = {str(name): str(kind) for name, kind in about["modalities"]}
    if not set(kinds.values()) <= set(KINDS):
        raise ValueError("a modality is of no known kind")
    samples = tuple(
        KeptSample(int(s["position"]), printable(str(s["sample"])), printable(str(s["why"])), str(s["condition"]))
        for s in about["samples"]
    )
    positions = {sample.position for sample in samples}
    if len(positions) != len(samples) or len(samples) > MAX_SAMPLES or min(positions, default=0) < 0:
        raise ValueError("its list of samples has duplicates, or is too long")
    if metadata.num_row_groups != len(samples):
        raise ValueError(f"{len(samples)} samples are named, and {metadata.num_row_groups} are there")
    names = [metadata.schema.column(i).name for i in range(len(metadata.schema))]
    if names != ["position", "condition", "modality", "exhibit"]:
        raise ValueError(f"its columns are {', '.join(map(repr, names[:6]))}")
    left_out, unmade = (
        printable(str(about["left_out"])),
        {str(k): printable(str(v)) for k, v in about["unmade"].items()},
    )
    reason = "" if samples else f"This run keeps the inputs of no sample. {left_out}".strip()
    return _Contents(stamp, reason, samples, left_out, unmade, kinds, metadata)


def _by_place(table: pa.Table, position: int) -> dict[tuple[str, str], str]:
    if table.column("position").to_pylist() != [position] * len(table):
        raise ValueError(f"the rows of the sample at position {position} are another sample's")
    keys, names = table.column("condition").to_pylist(), table.column("modality").to_pylist()
    exhibits = table.column("exhibit").combine_chunks()
    exhibits.validate(full=True)  # a damaged page can point beyond the texts
    texts, places = exhibits.dictionary.to_pylist(), exhibits.indices.to_pylist()
    return {(key, name): texts[at] for key, name, at in zip(keys, names, places, strict=True)}


def _not_kept(contents: _Contents, key: str) -> str:
    if key in contents.unmade:
        return f"The input under this condition is not kept: {contents.unmade[key]}."
    return (
        "The input under this condition is not kept for this sample, to keep the run small; with the data, "
        "'mmaudit keep' adds it."
    )
