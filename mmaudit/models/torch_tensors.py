"""Between arrays and tensors: conversion, devices, and nested structures of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mmaudit.errors import BadInput
from mmaudit.types import Array

Tree = Any
"""A tensor, or dicts, tuples and lists of them: what a tokeniser returns, for instance."""

# Integers that torch has few operations for, and where they fit.
_WIDER = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def tree_map(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """Apply to every leaf."""
    return pytree.tree_map(function, tree)


def leaves(tree: Tree) -> list[Any]:
    """All leaves, in a fixed order."""
    return pytree.tree_leaves(tree)


def module_dtype(module: torch.nn.Module) -> torch.dtype:
    """The floating dtype of the first floating parameter or buffer; float32 where there is none."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def to_tensor(who: str, modality: str, values: Array, dtype: torch.dtype) -> Tensor:
    """Return a copy as a tensor: floats as `dtype` (the module's own), integers and booleans as they are.

    A copy, because a module may change its input in place, and the array is not its own.

    Raises:
        BadInput: text and ragged columns, which need a `prepare` function; whole numbers above 2⁶³ − 1.
    """
    kind = values.dtype.kind
    if kind not in "fiub":
        what = "text or ragged" if kind in "OUS" else f"of dtype {values.dtype}"
        raise BadInput(
            f"{who}: modality {modality!r} is {what}, which is no tensor; give "
            f"prepare={{{modality!r}: function}} that turns an array of rows into a tensor, such as a tokeniser."
        )
    if kind == "f":
        target = np.float64 if dtype == torch.float64 else np.float32
        return torch.from_numpy(np.array(values, dtype=target, order="C")).to(dtype)
    if values.dtype.name == "uint64" and values.max(initial=0) > np.iinfo(np.int64).max:
        raise BadInput(
            f"{who}: modality {modality!r} holds {values.max()}, more than a torch integer can (2⁶³ − 1); give it as "
            "floats, or as smaller codes."
        )
    wider = _WIDER.get(values.dtype.name, values.dtype.newbyteorder("="))
    return torch.from_numpy(np.array(values, dtype=wider, order="C"))


def prepared_tree(who: str, modality: str, result: Any, n: int, dtype: torch.dtype) -> Tree:
    """Turn what a `prepare` function returned into a tree of tensors; raises `BadInput` unless each has n rows."""

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return tuple(convert(item) for item in value)
        tensor = value if isinstance(value, Tensor) else None
        if isinstance(value, np.ndarray):
            tensor = to_tensor(f"{who}: prepare", modality, value, dtype)
        if tensor is None or tensor.ndim == 0 or len(tensor) != n:
            got = f"shape {tuple(tensor.shape)}" if tensor is not None else type(value).__name__
            raise BadInput(
                f"{who}: prepare[{modality!r}] returned {got} for {n} rows; expected an array or tensor whose first "
                "axis is the row, or a dict of these."
            )
        return tensor

    return convert(result)


def to_device(tree: Tree, device: torch.device) -> Tree:
    """Move all tensors; through pinned memory to a GPU, so that the copy does not stop the CPU.

    torch keeps the pinned memory until the copy is done, whatever becomes of the tensor.
    """

    def move(tensor: Tensor) -> Tensor:
        if device.type == "cuda" and tensor.device.type == "cpu":
            pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
            return pinned.to(device, non_blocking=True)
        return tensor.to(device)

    return tree_map(move, tree)


def identical(left: Tree, right: Tree) -> bool:
    """Whether two trees hold bit-identical tensors (NaN equal to NaN) and equal other values, in one structure."""
    one, one_shape = pytree.tree_flatten(left)
    two, two_shape = pytree.tree_flatten(right)
    return one_shape == two_shape and all(_identical(a, b) for a, b in zip(one, two, strict=True))


def _identical(left: Any, right: Any) -> bool:
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return type(left) is type(right) and bool(left == right)
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    equal = left == right
    if left.is_floating_point():
        equal |= (left != left) & (right != right)
    return bool(equal.all())


def row_wise(value: Any, flipped: Any, n: int, tolerance: float) -> bool:
    """Whether a value has one entry per row, shown by what the rows in reverse order gave.

    Floats may differ by `tolerance` of the largest magnitude: a matrix product rounds the same row differently at
    another place of the batch.
    """
    if not isinstance(value, Tensor) or not isinstance(flipped, Tensor):
        return False
    if value.ndim == 0 or len(value) != n or value.shape != flipped.shape or value.dtype != flipped.dtype:
        return False
    back = flipped.flip(0)
    if not value.is_floating_point():
        return bool((value == back).all())
    one, two = value.double(), back.double()
    if not bool((one.isnan() == two.isnan()).all()):
        return False
    scale = float(one.nan_to_num(0.0).abs().max()) if one.numel() else 0.0
    return bool(((one - two).nan_to_num(0.0).abs() <= tolerance * scale).all())


def take_rows(tree: Tree, n: int, rows: Tensor) -> Tree | None:
    """Return the given rows (int64[k]) of each tensor of n rows; None where one has no row for each."""
    leaves, shape = pytree.tree_flatten(tree)
    if any(isinstance(x, Tensor) and (x.ndim == 0 or len(x) != n) for x in leaves):
        return None
    return pytree.tree_unflatten([x.index_select(0, rows) if isinstance(x, Tensor) else x for x in leaves], shape)


def blend_rows(one: Tree, two: Tree, rows: Tensor) -> Tree | None:
    """Return `one` with the given rows (bool[n]) taken from `two`; None where the two do not fit each other."""
    first, shape = pytree.tree_flatten(one)
    second, other_shape = pytree.tree_flatten(two)
    if shape != other_shape:
        return None
    blended: list[Any] = []
    for a, b in zip(first, second, strict=True):
        if not isinstance(a, Tensor) or not isinstance(b, Tensor):
            if a is not b and a != b:
                return None
            blended.append(a)
        elif a.shape != b.shape or a.dtype != b.dtype or a.ndim == 0 or len(a) != len(rows):
            return None
        else:
            blended.append(torch.where(rows.view(-1, *[1] * (a.ndim - 1)), b, a))
    return pytree.tree_unflatten(blended, shape)
