"""What is sent to an endpoint and what it answers, as bytes: JSON or NumPy's .npz. No pickle on either way.

Request, JSON (`application/json`), for n rows:

    {"inputs": {"image": [[[0.1, …], …], …], "text": ["…", …]}, "present": {"image": [true, …], "text": [true, …]}}

Arrays are nested lists, rows first; numbers that are not finite are null. `present` is there where absence was said to
be the endpoint's business. Answer, with status 200 or 201: {"outputs": [[…], …]}, n rows of k numbers; null stands for
"no answer" (NaN).

Request, npz (`application/x-npz`): one array per modality under `inputs.NAME`, text as UTF-8 under `inputs.NAME`
(bytes, uint8) and `offsets.NAME` (int64[n + 1], where each text begins and the last ends), masks as bool[n] under
`present.NAME`. Answer: an .npz with an array `outputs`, [n, k]. `decoded` reads a request, for a server in Python.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array

Body = Literal["json", "npz"]

TYPES: dict[str, str] = {"json": "application/json", "npz": "application/x-npz"}


class Unusable(ValueError):
    """An answer is not of the documented form. (No `BadInput`: other rows may be answered well.)"""


def encoded(body: Body, inputs: Mapping[str, Array], present: Mapping[str, Array] | None) -> bytes:
    """Return the request for some rows.

    Raises:
        BadInput: a ragged modality in an npz request, which has no form for it.
    """
    if body == "json":
        content: dict[str, Any] = {"inputs": {name: _plain(values) for name, values in inputs.items()}}
        if present is not None:
            content["present"] = {name: [bool(p) for p in mask] for name, mask in present.items()}
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    arrays: dict[str, Array] = {}
    for name, values in inputs.items():
        if values.dtype.kind not in "OU":
            arrays[f"inputs.{name}"] = values
        elif all(isinstance(value, str) for value in values.tolist()):
            texts = [value.encode("utf-8", "replace") for value in values.tolist()]
            arrays[f"inputs.{name}"] = np.frombuffer(b"".join(texts), np.uint8)
            arrays[f"offsets.{name}"] = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        else:
            raise BadInput(f"modality {name!r} is ragged, which an npz request cannot hold; say body='json'.")
    for name, mask in (present or {}).items():
        arrays[f"present.{name}"] = np.asarray(mask, bool)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def decoded(body: Body, content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return inputs and masks by modality from a request, as arrays (JSON: nested lists); text as lists of `str`."""
    if body == "json":
        found = json.loads(content)
        return found["inputs"], found.get("present", {})
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    inputs: dict[str, Any] = {}
    for name, values in arrays.items():
        kind, _, modality = name.partition(".")
        if kind != "inputs":
            continue
        offsets = arrays.get(f"offsets.{modality}")
        if offsets is None:
            inputs[modality] = values
        else:
            whole = values.tobytes()
            inputs[modality] = [whole[a:b].decode() for a, b in pairwise(offsets)]
    return inputs, {n.removeprefix("present."): v for n, v in arrays.items() if n.startswith("present.")}


def answered(body: Body, content: bytes, n: int, limit: int) -> Array:
    """Return the outputs in an answer, float64 [n, k] or [n]; raises `Unusable` where they are not there.

    Args:
        body: its form.
        content: the answer's body.
        n: rows asked for.
        limit: most bytes that it may unpack to.
    """
    found = _of_json(content) if body == "json" else _of_npz(content, limit)
    if found.ndim not in (1, 2) or len(found) != n or found.dtype.kind not in "fiub":
        raise Unusable(
            f"outputs are {found.dtype} of shape {list(found.shape)} for {n} rows; expected [{n}, k] numbers"
        )
    return found.astype(np.float64)


def _of_json(content: bytes) -> Array:
    try:
        outputs = json.loads(content)["outputs"]
        rows = [[np.nan if x is None else x for x in row] if isinstance(row, list) else row for row in outputs]
        return np.asarray([np.nan if row is None else row for row in rows])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise Unusable(
            f"the answer is no JSON object with 'outputs', a list of rows ({type(error).__name__})"
        ) from None


def _of_npz(content: bytes, limit: int) -> Array:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.getinfo("outputs.npy").file_size > limit:
                raise Unusable(f"the answer unpacks to more than {limit} bytes")
        # NumPy takes long for long headers that are none; those of plain arrays have 118 letters.
        with np.load(io.BytesIO(content), allow_pickle=False, max_header_size=1_000) as file:
            return np.asarray(file["outputs"])
    except Unusable:
        raise
    except Exception as error:  # an array's header is read as Python text: whatever the tokenizer raises
        raise Unusable(f"the answer is no .npz with an array 'outputs' ({type(error).__name__})") from None


def _plain(values: Array) -> Any:
    """Nested lists; what is not finite becomes None, which JSON has and NaN it has not."""
    if values.dtype.kind in "OU":
        return [_plain(np.asarray(v)) if isinstance(v, np.ndarray) else v for v in values.tolist()]
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            whole = values.astype(object)
            whole[~finite] = None
            return whole.tolist()
    return values.tolist()
