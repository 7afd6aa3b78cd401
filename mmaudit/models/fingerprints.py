"""Fingerprints of what is not a tensor: functions by their code, plain objects by their contents, models by behaviour.

Nothing is pickled and nothing is run, except by `behaviour`, which predicts.
"""

from __future__ import annotations

import ast
import copyreg
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmaudit.models.protocol import Model
from mmaudit.models.rows import head
from mmaudit.types import Batch


def code_digest(function: Any) -> str:
    """Return 64 hex digits that identify a function or class: its name, its code, its defaults and closed-over values.

    The code is the source without comments, layout and docstrings, or the byte code where no source can be read (a
    lambda, an interactive session). What the code reads from elsewhere (globals, imported functions, files) is not
    seen: give adapters a `fingerprint` of your own where that matters.
    """
    return _hex(_code(function, {}))


def object_digest(value: Any) -> str:
    """Return 64 hex digits that identify a Python object by its contents, walked recursively.

    Arrays count by dtype, shape and bytes, dictionaries and sets whatever their order, other objects by class and
    state (what pickling would store). Random generators count by class only: their state does not decide a fitted
    model's outputs, but moves whenever they are used.
    """
    return _hex(_walk(value, {}))


def behaviour(model: Model, batch: Batch) -> str:
    """Return 16 hex digits of what the model answers on the batch's first 16 rows.

    For models whose code cannot be digested. Outputs are rounded to 1/1000 of the power of two above their largest
    magnitude, so the last bits do not matter; still, use it to compare runs on one machine only.
    """
    outputs = model.predict(head(batch, 16)).astype(np.float64)
    largest = np.abs(outputs[np.isfinite(outputs)]).max(initial=0.0)
    scale = 2.0 ** np.ceil(np.log2(largest)) if largest > 0 else 1.0
    rounded = np.round(np.nan_to_num(outputs / scale, nan=7.0, posinf=8.0, neginf=-8.0) * 1000).astype(np.int64)
    return hashlib.sha256(f"{outputs.shape}".encode() + rounded.tobytes()).hexdigest()[:16]


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _join(tag: str, *parts: bytes) -> bytes:
    """One digest of tagged parts; digesting each part keeps ("ab", "c") apart from ("a", "bc")."""
    return hashlib.sha256(tag.encode() + b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


Seen = dict[int, tuple[Any, bytes]]
"""Digest by object identity; holds the object too, so that its identity cannot pass to another while walking."""


def _walk(value: Any, seen: Seen) -> bytes:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return _join("plain", type(value).__name__.encode(), repr(value).encode())
    if isinstance(value, type):
        return _join("class", f"{value.__module__}.{value.__qualname__}".encode())
    if isinstance(value, np.random.Generator | np.random.RandomState | np.random.BitGenerator):
        return _join("random", type(value).__name__.encode())
    if id(value) in seen:
        return seen[id(value)][1]
    seen[id(value)] = (value, b"cycle")  # what an object that contains itself finds inside
    result = _contents(value, seen)
    seen[id(value)] = (value, result)
    return result


def _contents(value: Any, seen: Seen) -> bytes:
    if isinstance(value, np.ndarray | np.generic):
        return _array(np.asarray(value), seen)
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a torch tensor, without importing torch
        return _array(np.asarray(value.detach().cpu()), seen)
    if isinstance(value, tuple | list):
        return _join(type(value).__name__, *(_walk(item, seen) for item in value))
    if isinstance(value, Mapping):
        pairs = sorted((_walk(key, seen), _walk(item, seen)) for key, item in value.items())
        return _join("mapping", *(part for pair in pairs for part in pair))
    if isinstance(value, set | frozenset):
        return _join("set", *sorted(_walk(item, seen) for item in value))
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return _code(value, seen)
    return _state(value, seen)


def _array(array: np.ndarray[Any, Any], seen: Seen) -> bytes:
    what = f"{array.dtype.str}{array.shape}".encode()
    if array.dtype.names:  # field by field: the padding between fields holds anything
        return _join("record", what, *(_array(array[name], seen) for name in array.dtype.names))
    if array.dtype.hasobject:
        return _join("objects", what, *(_walk(item, seen) for item in array.ravel().tolist()))
    return _join("array", what, np.ascontiguousarray(array).tobytes())


def _state(value: Any, seen: Seen) -> bytes:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".encode()
    reduced: Any
    try:
        special = copyreg.dispatch_table.get(kind)
        reduced = special(value) if special else value.__reduce_ex__(2)
    except Exception:  # anything may go wrong in foreign code; an object without readable state counts by its class
        return _join("opaque", name)
    if isinstance(reduced, str):
        return _join("global", name, reduced.encode())
    parts: list[Any] = [getattr(reduced[0], "__qualname__", None), *reduced[1:]]
    for index in (3, 4):  # list items and dictionary items come as iterators
        if len(parts) > index and parts[index] is not None:
            parts[index] = list(parts[index])
    if kind.__module__.startswith("sklearn.neighbors") and len(parts) > 2 and isinstance(parts[2], tuple):
        # A search tree counts its own queries: only its arrays decide what it answers.
        parts = [item for item in parts[2] if isinstance(item, np.ndarray)]
    if kind.__module__.startswith("sklearn.") and len(parts) > 2 and isinstance(parts[2], dict):
        # Vectorisers keep a memory address.
        parts[2] = {key: item for key, item in parts[2].items() if key != "_stop_words_id"}
    return _join("object", name, *(_walk(part, seen) for part in parts))


def _code(function: Any, seen: Seen) -> bytes:
    if isinstance(function, functools.partial):
        return _join(
            "partial", _walk(function.func, seen), _walk(function.args, seen), _walk(dict(function.keywords), seen)
        )
    if isinstance(function, types.MethodType):
        return _join("method", _code(function.__func__, seen), _walk(function.__self__, seen))
    if not isinstance(function, types.FunctionType | type):
        if inspect.isbuiltin(function):
            where = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
            return _join("builtin", where.encode())
        # A callable object: its class's code and its own contents.
        return _join("callable", _code(type(function), seen), _state(function, seen))
    name = f"{function.__module__}.{function.__qualname__}".encode()
    body = _source(function)
    if isinstance(function, type):
        return _join("class source", name, body.encode())
    cells = [_cell(cell, seen) for cell in function.__closure__ or ()]
    defaults = _walk((function.__defaults__, function.__kwdefaults__), seen)
    content = body.encode() if body else _bytecode(function.__code__)
    return _join("function", name, content, defaults, *cells)


def _cell(cell: types.CellType, seen: Seen) -> bytes:
    try:
        return _walk(cell.cell_contents, seen)
    except ValueError:  # the name is not bound yet
        return b"empty"


def _source(function: Any) -> str:
    """Return normalised source, or an empty string where there is none that stands for this object alone."""
    if getattr(function, "__name__", "") == "<lambda>":
        return ""  # a lambda's source is its whole line
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _bytecode(code: types.CodeType) -> bytes:
    constants = [_bytecode(c) if isinstance(c, types.CodeType) else _walk(c, {}) for c in code.co_consts]
    return _join("code", code.co_code, repr(code.co_names).encode(), *constants)
