"""How the values of one modality are kept in memory: dense array, strings, or arrays of differing shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, IntArray

Form = Literal["dense", "text", "ragged"]


@dataclass(frozen=True, eq=False)
class Indexed:
    """Values that many samples share: sample i has `values[index[i]]`, and each value is stored once.

    For example 9,673 questions about 1,000 images: `Indexed(images, image_of_question)`.

    Attributes:
        values: array, list of strings or list of arrays; the first axis is the stored value.
        index: integers of shape [n], each in [0, len(values)).
    """

    values: Any
    index: Any


@dataclass(frozen=True, eq=False)
class Column:
    """The values of one modality for n samples.

    Attributes:
        form: `dense` (numbers, one shape), `text` or `ragged` (arrays of numbers of one dtype, shapes differ).
        stored: the m stored rows; text and ragged are one-dimensional object arrays.
        absent: bool[m]; True for a stored row that was given as None. Its value is 0, "" or an array of zeros.
        index: int64[n], the stored row of each sample; None where the samples are the stored rows.
        blank: what a sample that was not recorded becomes; ragged: zeros, of length 1 on the axes that differ.
    """

    form: Form
    stored: Array
    absent: BoolArray
    index: IntArray | None = None
    blank: Any = 0

    def __len__(self) -> int:
        return len(self.stored if self.index is None else self.index)

    @property
    def dtype(self) -> str:
        """NumPy dtype name of one sample, `"str"` for text."""
        if self.form == "text":
            return "str"
        return str(self.stored[0].dtype.name if self.form == "ragged" else self.stored.dtype.name)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of one sample, None on axes where samples differ, `()` for text."""
        if self.form == "text":
            return ()
        if self.form == "dense":
            return self.stored.shape[1:]
        recorded = [x.shape for x in self.stored[~self.absent]]
        return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*recorded, strict=True))

    def take(self, positions: IntArray, present: BoolArray) -> Array:
        """Return the samples at `positions`, copied: the user's arrays are never handed out.

        Where `present` is False they become `blank`: leftovers must not reach a model or a fingerprint.
        """
        taken: Array = self.stored[positions if self.index is None else self.index[positions]]
        if self.form == "ragged":
            return objects((x if here else self.blank).copy() for x, here in zip(taken, present, strict=True))
        if not present.all():
            taken[~present] = self.blank
        return taken

    def recorded(self) -> BoolArray:
        """Return bool[n]: False where the sample was given as None."""
        return ~(self.absent if self.index is None else self.absent[self.index])


def make_column(name: str, given: Any) -> Column:
    """Take an input as the user gave it; numbers are not copied.

    Accepts arrays and tensors of numbers, arrays and lists of strings, lists of arrays or tensors (None = not
    recorded), pandas series and `Indexed` around any of these.

    Raises:
        BadInput: the values are of a type that no modality has, naming it.
    """
    if isinstance(given, Indexed):
        return _indexed(name, given)
    if isinstance(given, np.ma.MaskedArray):
        raise BadInput(
            f"input {name!r} is a masked array; pass its .data, and present={{{name!r}: …}} with True where recorded."
        )
    if isinstance(given, str | bytes):
        raise BadInput(f"input {name!r} is one {type(given).__name__}; expected one value per sample.")
    if isinstance(given, Sequence):
        return _nested(given) or _from_items(name, given)
    values = as_array(given, f"input {name!r}")
    if values.ndim == 0:
        raise BadInput(f"input {name!r} is a single value ({given!r:.60}); expected one value per sample.")
    if values.dtype.kind == "U":
        values = values.astype(object)
    if values.dtype.kind == "O":
        if values.ndim != 1:
            raise BadInput(
                f"input {name!r} is an object array of shape {values.shape}; convert it to numbers first, "
                "for example with .astype('float32')."
            )
        return _from_items(name, values.tolist())
    return Column("dense", _numbers(values, f"input {name!r}"), np.zeros(len(values), np.bool_))


def _nested(given: Sequence[Any]) -> Column | None:
    """Read rows written as lists of numbers, `[[1, 2.5], [3, 4]]`; None where they are not, or differ in length."""
    if not all(isinstance(row, list | tuple) for row in given):
        return None
    try:
        values = np.array(given)
    except (ValueError, TypeError):
        return None
    dense = values.ndim >= 2 and values.size > 0 and values.dtype.kind in "iuf"
    return Column("dense", values, np.zeros(len(values), np.bool_)) if dense else None


def as_array(given: Any, what: str) -> Array:
    """Return an array, tensor or pandas series as a NumPy array, without importing torch or pandas.

    Raises:
        BadInput: it cannot be turned into an array, a value of it is masked, or it is a Pillow image whose numbers are
            places in a palette; `what` names it.
    """
    if hasattr(given, "getpalette") and getattr(given, "mode", "") in ("P", "PA"):
        raise BadInput(f"{what} is an image of mode {given.mode!r}: a palette's places, not light; .convert('RGB') it.")
    if isinstance(given, np.ma.MaskedArray) and np.ma.getmaskarray(given).any():
        raise BadInput(f"{what} is masked in part, and masked values are none; leave those samples out, or fill them.")
    try:
        if isinstance(given, np.ndarray):
            return given.astype(object) if given.dtype.kind == "T" else np.asarray(given)
        if hasattr(given, "detach"):  # a torch tensor, perhaps on a GPU or part of a graph
            given = given.detach().cpu()
        if hasattr(given, "to_numpy"):
            return np.asarray(given.to_numpy())
        return np.asarray(given.numpy() if hasattr(given, "numpy") else given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"{what} cannot be read as an array: {error}; pass a NumPy array of numbers.") from error


def is_missing(value: Any) -> TypeGuard[None]:
    """Whether a single value stands for nothing: None, a float NaN, pandas' NA or NaT."""
    return (
        value is None
        or (isinstance(value, float | np.floating) and math.isnan(value))
        or type(value).__name__ in _PANDAS_MISSING
    )


_PANDAS_MISSING = ("NAType", "NaTType")


def _numbers(values: Array, what: str) -> Array:
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        hint = {
            "b": "convert it with .astype('uint8')",
            "S": "decode it to str first",
            "O": "convert each sample to an array of numbers",
        }.get(values.dtype.kind, "convert it to float32, float64 or integers")
        raise BadInput(f"{what} has dtype {values.dtype}, which no modality has; {hint}.")
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _indexed(name: str, given: Indexed) -> Column:
    table = make_column(name, given.values)
    if table.index is not None:
        raise BadInput(f"input {name!r}: Indexed inside Indexed; combine the two indexes: inner_index[outer_index].")
    index = as_array(given.index, f"index of input {name!r}")
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise BadInput(f"input {name!r}: index must be integers of shape [n], got {index.dtype} {list(index.shape)}.")
    outside = np.flatnonzero((index < 0) | (index >= len(table)))
    if len(outside):
        raise BadInput(
            f"input {name!r}: index {index[outside[0]]} at row {outside[0]} (and {len(outside) - 1} more) "
            f"is outside the {len(table)} stored values."
        )
    return Column(table.form, table.stored, table.absent, index.astype(np.int64), table.blank)


def _from_items(name: str, items: Sequence[Any]) -> Column:
    if not len(items):
        return Column("dense", np.zeros((0, 1), np.float32), np.zeros(0, np.bool_))
    absent = np.array([is_missing(x) for x in items], dtype=np.bool_)
    if absent.all():
        raise BadInput(f"modality {name!r} is absent from all {len(items)} samples; leave it out of the data set.")
    kinds = {str if isinstance(x, str) else float if _is_number(x) else object for x in items if not is_missing(x)}
    if kinds == {str}:
        texts = objects("" if gone else str(x) for x, gone in zip(items, absent, strict=True))
        return Column("text", texts, absent, blank="")
    if str in kinds:
        odd = next(i for i, x in enumerate(items) if not isinstance(x, str) and not is_missing(x))
        raise BadInput(
            f"input {name!r} mixes strings with {type(items[odd]).__name__} (first at row {odd}); "
            "text must be str, with None where it was not recorded."
        )
    if kinds == {float}:
        numbers = np.array([math.nan if gone else x for x, gone in zip(items, absent, strict=True)])
        return Column("dense", _numbers(numbers, f"input {name!r}"), np.zeros(len(items), np.bool_))
    return _from_arrays(name, items, absent)


def _from_arrays(name: str, items: Sequence[Any], absent: BoolArray) -> Column:
    arrays: list[Array | None] = []
    for row, (item, gone) in enumerate(zip(items, absent, strict=True)):
        arrays.append(None if gone else sample_array(item, f"input {name!r}, row {row}"))
    recorded = [x for x in arrays if x is not None]
    first = recorded[0]
    for row, x in enumerate(arrays):
        if x is not None and (x.ndim != first.ndim or x.dtype != first.dtype):
            raise BadInput(
                f"input {name!r}: row {row} is {x.dtype} with {x.ndim} axes, the rows before {first.dtype} with "
                f"{first.ndim}; all samples of a modality need one dtype and one number of axes."
            )
        if x is not None and not x.size:
            raise BadInput(f"input {name!r}: row {row} has no values; use None for a sample that was not recorded.")
    if all(x.shape == first.shape for x in recorded):
        nothing = np.zeros_like(first)
        return Column("dense", np.stack([nothing if x is None else x for x in arrays]), absent)
    fixed = (max(sizes) if len(set(sizes)) == 1 else 1 for sizes in zip(*(x.shape for x in recorded), strict=True))
    nothing = np.zeros(tuple(fixed), first.dtype)
    return Column("ragged", objects(nothing if x is None else x for x in arrays), absent, blank=nothing)


def sample_array(item: Any, what: str) -> Array:
    """Return one sample as an array of numbers; nested lists and arrays of arrays (as Parquet gives them) unfold.

    Raises:
        BadInput: it is not an array of numbers; `what` names it.
    """
    if isinstance(item, dict | set | bytes | bytearray):
        raise BadInput(f"{what} is a {type(item).__name__}; a sample must be text or an array of numbers.")
    values = as_array(item, what)
    try:
        values = _unfolded(values)
    except ValueError as error:
        raise BadInput(f"{what} is nested with differing lengths; a sample must be one array.") from error
    if values.dtype.kind in "UO":
        found = type(item).__name__ if values.ndim == 0 else f"array of dtype {values.dtype}"
        raise BadInput(f"{what} is of type {found}; a sample must be text or an array of numbers.")
    return _numbers(values, what)


def _unfolded(values: Array) -> Array:
    """Arrays of arrays, however deep, as one array; raises `ValueError` where their shapes differ."""
    if values.dtype.kind != "O" or not values.size or not all(isinstance(x, np.ndarray) for x in values.flat):
        return values
    parts = np.stack([_unfolded(x) for x in values.flat])
    return parts.reshape(values.shape + parts.shape[1:])


def unmixed(given: Any) -> Any:
    """Keep a list's texts apart from its other values: `np.array(["a", nan])` would make a text of both."""
    if not isinstance(given, list | tuple) or len({isinstance(x, str) for x in given}) < 2:
        return given
    return objects(given)


def objects(items: Iterable[Any]) -> Array:
    """Return a one-dimensional object array; NumPy would else unfold arrays of equal shape."""
    kept = list(items)
    out = np.empty(len(kept), dtype=object)
    for row, item in enumerate(kept):
        out[row] = item
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
