"""What a modality is: read from the user's declaration and the values; where they leave a choice, ask."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mmaudit.data.columns import Column
from mmaudit.errors import BadInput
from mmaudit.given import number
from mmaudit.types import KINDS, Kind, Modality

_DIGITS = 9  # of a column's place
# A kind's name, with options after commas (`"audio,sample_rate=8000"`), or a Modality.
KindLike = Kind | str | Modality


def describe(name: str, column: Column, declared: KindLike | None = None) -> Modality:
    """Return the modality that `column` holds.

    Without a declaration, only what dtype and shape leave no doubt about is accepted: strings are text; uint8 of
    sample shape [H, W], [H, W, 1|3] or [1|3, H, W] is an image with range (0, 255); other numbers of sample shape
    [d] are tabular. A declared kind adds audio, series ([T] or [T, C]) and embedding. In a declared Modality, shape
    `()` is filled in from the values, and so is the dtype then.

    Raises:
        BadInput: the declaration contradicts the values, or more than one description fits; the message shows the
            `Modality(...)` to pass.
    """
    given = parse_kind(name, declared) if isinstance(declared, str) else declared
    if given is not None and given.name != name:
        raise BadInput(f"input {name!r} is declared as modality {given.name!r}; the names must agree.")
    kind = given.kind if given is not None else _kind(name, column)
    if (kind == "text") != (column.form == "text"):
        came = "strings" if column.form == "text" else f"{column.dtype} numbers"
        wanted = "strings: text stays text until the model reads it" if kind == "text" else "numbers"
        raise BadInput(f"modality {name!r} is declared as {kind}, but its values are {came}; expected {wanted}.")
    if kind == "text":
        return Modality(name, "text", (), "str", unit=given.unit if given is not None else None)
    made = _with_shape(_plain(given or Modality(name, kind)), column)
    if not made.shape:
        raise BadInput(
            f"modality {name!r} holds one number per sample; reshape it to [n, 1], or leave it out of the modalities."
        )
    if 0 in made.shape:
        raise BadInput(f"modality {name!r} has no values: sample shape {_show(made.shape)}; leave it out.")
    if made.kind == "image":
        return _image(made, column)
    if made.kind == "series":
        return _series(made)
    if made.kind == "audio":
        return _audio(made)
    if made.layout is not None:
        raise BadInput(
            f"modality {name!r}: layout {made.layout!r} has no meaning for kind {made.kind!r}; leave it out."
        )
    if made.kind == "tabular" and (len(made.shape) != 1 or made.ragged):
        raise BadInput(f"modality {name!r} is tabular with sample shape {_show(made.shape)}; expected [columns].")
    return made


def parse_kind(name: str, text: str, columns: Sequence[str] = ()) -> Modality:
    """Read a kind with options, as the shell gives it: `image,layout=CHW,range=0..1`, `audio,sample_rate=8000`.

    Options are `layout`, `range` (low..high), `unit`, `sample_rate` (Hz) and `categorical`: the columns of a table that
    hold category codes, by place from 0 or, where the table's `columns` have names, by name, joined by `+`
    (`tabular,categorical=0+3`); `none` says that there are none.

    Raises:
        BadInput: an unknown kind, option or column, or a value that cannot be read.
    """
    kind, *options = [part.strip() for part in text.split(",")]
    if kind not in KINDS:
        raise BadInput(f"modality {name!r}: kind {kind!r} is not one of {', '.join(KINDS)}{_near(kind, KINDS)}.")
    made = Modality(name, kind)  # type: ignore[arg-type]  # just checked
    for option in options:
        key, _, value = option.partition("=")
        try:
            if key == "range":
                low, high = value.split("..")
                made = dataclasses.replace(made, range=(number(low), number(high)))
            elif key == "sample_rate":
                made = dataclasses.replace(made, sample_rate=number(value))
            elif key == "layout":
                made = dataclasses.replace(made, layout=value)
            elif key == "unit":
                made = dataclasses.replace(made, unit=value)
            elif key == "categorical":
                made = dataclasses.replace(made, categorical=_places(name, value, columns))
            else:
                known = ("layout", "range", "unit", "sample_rate", "categorical")
                raise BadInput(
                    f"modality {name!r}: option {key!r} is not one of {', '.join(known)}{_near(key, known)}."
                )
        except ValueError as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                f"modality {name!r}: {option!r} cannot be read; write range=0..1, sample_rate=8000."
            ) from error
    return made


def _places(name: str, text: str, columns: Sequence[str]) -> tuple[int, ...]:
    """Read `0+3`, `sex+ward` or `none`; a name that is a column's is taken for it, even if it looks like a place."""
    if text == "none" and "none" not in columns:
        return ()
    places = []
    for part in [part.strip() for part in text.split("+")]:
        if part in columns:
            places.append(list(columns).index(part))
        elif part.isascii() and part.isdigit() and len(part) <= _DIGITS:
            places.append(int(part))
        else:
            known = f"one of {', '.join(map(repr, columns))}{_near(part, columns)}" if columns else "a place such as 0"
            raise BadInput(f"modality {name!r}: categorical column {part!r} is not {known}; join several by '+'.")
    return tuple(places)


def declared_kinds(
    names: Collection[str], modalities: Collection[Modality] | None, kinds: Mapping[str, KindLike] | None
) -> dict[str, KindLike]:
    """Merge the two ways of declaring modalities into one table by name.

    Raises:
        BadInput: a name that is no input, or declared twice.
    """
    table: dict[str, KindLike] = {}
    for name, value in [*((m.name, m) for m in modalities or ()), *(kinds or {}).items()]:
        if name not in names:
            raise BadInput(
                f"modality {name!r} is declared, but there is no such input; inputs are "
                f"{', '.join(map(repr, names))}{_near(name, names)}."
            )
        if name in table:
            raise BadInput(f"modality {name!r} is declared twice; declare it once, in modalities= or in kinds=.")
        table[name] = value
    return table


def _kind(name: str, column: Column) -> Kind:
    shape = column.shape
    if column.form == "text":
        return "text"
    if column.dtype == "uint8" and len(shape) in (2, 3):
        return "image"
    if len(shape) <= 1 and column.form == "dense":
        return "tabular"
    fitting: list[Kind] = ["image"] if len(shape) == 2 else []
    fitting += {1: ["audio", "series"], 2: ["series", "embedding"], 3: ["image"]}.get(len(shape), ["embedding"])  # type: ignore[arg-type]
    lines = []
    for kind in fitting:
        layout = {"image": "HW" if len(shape) == 2 else _channels(shape) or "HWC", "series": "TC"}.get(kind)
        bounds = seen_range(column) if kind == "image" else None
        layout = None if len(shape) == 1 else layout
        lines.append(_line(Modality(name, kind, shape, column.dtype, layout, bounds)))
    raise BadInput(
        f"modality {name!r}: {column.dtype} samples of shape {_show(shape)} could be more than one thing; "
        f"declare it, modalities=[{' or '.join(lines)}]."
    )


def _plain(made: Modality) -> Modality:
    """Return numbers as Python's own floats, so that (0, 1) and (0.0, 1.0) are one description."""
    bounds = None if made.range is None else (float(made.range[0]), float(made.range[1]))
    rate = None if made.sample_rate is None else float(made.sample_rate)
    return dataclasses.replace(made, shape=tuple(made.shape), range=bounds, sample_rate=rate)


def _with_shape(made: Modality, column: Column) -> Modality:
    found, dtype = column.shape, column.dtype
    if not made.shape:
        return dataclasses.replace(made, shape=found, dtype=dtype)
    fits = len(made.shape) == len(found) and all(a is None or a == b for a, b in zip(made.shape, found, strict=True))
    if not fits or made.dtype != dtype:
        raise BadInput(
            f"modality {made.name!r} is declared as {made.dtype} {_show(made.shape)} per sample, but its values are "
            f"{dtype} {_show(found)}; correct the declaration, or leave out shape and dtype to take the values'."
        )
    return dataclasses.replace(made, shape=found)


def _image(made: Modality, column: Column) -> Modality:
    if len(made.shape) not in (2, 3):
        raise BadInput(
            f"modality {made.name!r} is an image with sample shape {_show(made.shape)}; "
            "expected [H, W], [H, W, C] or [C, H, W]."
        )
    layout = made.layout or ("HW" if len(made.shape) == 2 else _channels(made.shape))
    bounds = made.range or ((0.0, 255.0) if made.dtype == "uint8" else None)
    if layout is None or bounds is None:
        lacking = [*(["layout"] if layout is None else []), *(["range"] if bounds is None else [])]
        whole = dataclasses.replace(made, layout=layout or "HWC", range=bounds or seen_range(column))
        choice = " with layout 'HWC' or 'CHW'" if layout is None else ""
        raise BadInput(
            f"modality {made.name!r}: {made.dtype} images of shape {_show(made.shape)} need their "
            f"{' and '.join(lacking)} declared; pass modalities=[{_line(whole)}]{choice}"
            f"{', and the legal range of your pixels' if bounds is None else ''}."
        )
    if layout not in ("HW", "HWC", "CHW") or len(layout) != len(made.shape):
        raise BadInput(
            f"modality {made.name!r}: layout {layout!r} does not fit images of shape {_show(made.shape)}; "
            "expected 'HW' for two axes, 'HWC' or 'CHW' for three."
        )
    return dataclasses.replace(made, layout=layout, range=bounds)


def _series(made: Modality) -> Modality:
    if len(made.shape) > 2:
        raise BadInput(
            f"modality {made.name!r} is a series with sample shape {_show(made.shape)}; expected [T] or [T, C]."
        )
    layout = made.layout or ("TC" if len(made.shape) == 2 else None)
    if layout not in ((None,) if len(made.shape) == 1 else ("TC", "CT")):
        raise BadInput(f"modality {made.name!r}: layout {layout!r} is not one of 'TC', 'CT' (two axes) or None (one).")
    return dataclasses.replace(made, layout=layout)


def _audio(made: Modality) -> Modality:
    wanted: tuple[str | None, ...] = {1: (None,), 2: ("CT", "TC", "FT", "TF")}.get(len(made.shape), ())
    if made.layout not in wanted:
        raise BadInput(
            f"modality {made.name!r} is audio with sample shape {_show(made.shape)} and layout {made.layout!r}; "
            "expected a waveform [T] without layout, a waveform of several channels with layout 'CT' or 'TC', or a "
            "spectrogram with layout 'FT' or 'TF'."
        )
    if made.range is None and made.dtype[0] in "iu":
        info = np.iinfo(made.dtype)
        return dataclasses.replace(made, range=(float(info.min), float(info.max)))
    return made


def _channels(shape: tuple[int | None, ...]) -> str | None:
    """Return the layout that 1 or 3 channels give away; None where both ends, or neither, could be channels."""
    first, last = shape[0] in (1, 3), shape[-1] in (1, 3)
    return None if first == last else "CHW" if first else "HWC"


def seen_range(column: Column, rows: int = 64) -> tuple[float, float]:
    """Return the customary range that some values fit in: (0, 1), (−1, 1), (0, 255), else their own extremes."""
    some = [np.asarray(x) for x in column.stored[:rows]]
    finite = np.concatenate([x[np.isfinite(x)].ravel().astype(np.float64) for x in some])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for bounds in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if bounds[0] <= low and high <= bounds[1]:
            return bounds
    return low, max(high, low + 1.0)


def _line(made: Modality) -> str:
    """Return the Python that makes `made`, without fields at their defaults."""
    parts = [repr(made.name), repr(made.kind), f"shape={made.shape}", f"dtype={made.dtype!r}"]
    parts += [f"{key}={getattr(made, key)!r}" for key in ("layout", "range") if getattr(made, key) is not None]
    return f"Modality({', '.join(parts)})"


def _show(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
