"""Scikit-learn estimators from `.skops` files, which hold no code: only types that are known or trusted are made."""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput, MissingExtra

LARGEST = 8 * 2**30
"""Most bytes that a file may unpack to."""


def load_skops(path: str | Path, trusted: Sequence[str] = (), *, trust: bool = False) -> Any:
    """Load a scikit-learn estimator saved by `skops.io.dump`; give it to `mmaudit.SklearnModel`.

    Types of scikit-learn, NumPy, SciPy and plain Python that skops knows to be harmless are made without asking.
    Others (your own transformers, functions, other libraries' estimators) can run code when they are made.

    Args:
        path: the `.skops` file.
        trusted: full names of further types to make, such as `"my_package.Scaler"`.
        trust: make every type that the file names; whoever made the file could then run any code.

    Raises:
        BadInput: the file is missing, damaged, unpacks to more than 8 GiB, or holds types that are not trusted; the
            message names them.
        MissingExtra: skops is not installed.
    """
    file = Path(path)
    if isinstance(trusted, str):
        raise BadInput(f"trusted={trusted!r} is one string; give a list of type names, as in [{trusted!r}].")
    if not file.is_file():
        raise BadInput(f"model file {str(file)!r} does not exist; give the path of a .skops file.")
    try:
        skops: Any = importlib.import_module("skops.io")
    except ModuleNotFoundError as error:
        raise MissingExtra("skops", "skops") from error
    _require_size(file)
    allowed = set(trusted)
    try:
        unknown = sorted(map(str, skops.get_untrusted_types(file=file)))
        refused = [] if trust else [name for name in unknown if name not in allowed]
        if not refused:
            return skops.load(file, trusted=unknown)
    except Exception as error:  # a damaged file shows in many ways: zip, JSON, lost modules, states that do not fit
        text = " ".join(str(error).split())[:300]
        raise BadInput(f"model file {file.name!r} cannot be loaded: {type(error).__name__}: {text}") from error
    shown = ", ".join(name[:100] for name in refused[:5]) + (f" and {len(refused) - 5} more" if refused[5:] else "")
    raise BadInput(
        f"model file {file.name!r} holds types that can run code when they are made: {shown}. If you trust them, name "
        f"them: mmaudit.models.load_skops(path, trusted=[…]); or say --trust (trust=True) for all {len(refused)}."
    )


def _require_size(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
    # ValueError: a name that is no text; the last: a zip of a later version.
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BadInput(f"model file {file.name!r} is damaged or no .skops file: {error}.") from error
    if size > LARGEST:
        raise BadInput(f"model file {file.name!r} unpacks to {size / 2**30:.1f} GiB, more than {LARGEST / 2**30:.0f}.")
