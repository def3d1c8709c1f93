"""Filters by order: the largest, the smallest, or any rank of what a window holds."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import _runtime
from .planes import BOUNDARIES

_SWEPT_BYTES = 1 << 22  # of rows that a sweep along both axes of a plane may hold
_INTERLEAVE = 32  # numbers beside each other that are filtered as channels of a pixel


class Keys(NamedTuple):
    """How the kernels compare numbers: as integers of their width (see simd.h)."""

    module: str
    order: np.ndarray  # (2,): flip and infinity


def keys(dtype: np.dtype, backward: bool = False) -> Keys:
    """The keys of a dtype, in its own order or backward; NaN has the highest key in both."""
    bits = 8 * dtype.itemsize
    integer = np.dtype(f"u{dtype.itemsize}" if bits == 8 else f"i{dtype.itemsize}")
    flip = np.array(-1 if backward else 0, f"i{dtype.itemsize}").view(integer)
    infinity = np.array(np.iinfo(integer).max, integer)
    if dtype.kind == "f":
        infinity = np.array(np.inf, dtype).view(integer)
    elif dtype.kind != "b" and dtype.kind != integer.kind:
        flip = flip ^ np.array(1 << (bits - 1), f"u{dtype.itemsize}").view(integer)
    return Keys(f"{integer.kind}{bits}", np.array([flip, infinity], integer))


def box(
    x: np.ndarray,
    out: np.ndarray,
    sizes: Sequence[int],
    starts: Sequence[int],
    boundaries: Sequence[str],
    fill: float,
    smallest: bool,
    threads: int,
) -> None:
    """out = the largest of x in a box, which begins `starts` from each output; or the smallest.

    x, out : of one dtype with a kernel, aligned and native, apart in memory   IN x   OUT out
    sizes, starts, boundaries : for each axis; a size of 1 leaves an axis alone
    """
    module, order = keys(x.dtype, smallest)
    value = np.full(1, fill).astype(x.dtype)
    # Beyond twice the length of an axis, the period of its reflection, a window sees nothing new.
    begin = [max(start, -2 * n) for start, n in zip(starts, x.shape, strict=True)]
    extent = [min(start + k, 2 * n + 1) - b for start, k, n, b in zip(starts, sizes, x.shape, begin, strict=True)]
    code = [BOUNDARIES[boundary] for boundary in boundaries]
    axes = [axis for axis, k in enumerate(sizes) if k > 1]
    last = axes[-1]
    side = math.prod(x.shape[last + 1 :])
    group = 1
    column: int | None = last
    if all(a[(0,) * last].flags.c_contiguous for a in (x, out)):
        if side > _INTERLEAVE:  # wide enough to filter down the columns
            column, last = None, last + 1
        else:
            group = side
        x, out = (a.reshape(*a.shape[:last], -1) for a in (x, out))
    else:
        x, out = (np.moveaxis(a, last, -1) for a in (x, out))
    rows: list[int | None] = [axis for axis in axes if axis != column]
    run = _runtime.kernel(module, "extrema").box
    while True:
        row = rows.pop() if rows else None
        if row is not None and column is not None and extent[row] * extent[column] * x.itemsize > _SWEPT_BYTES:
            rows, row = [*rows, row], None
        to = np.empty(x.shape, x.dtype) if rows else out
        size, start, boundary = (
            tuple(other if axis is None else values[axis] for axis in (row, column))
            for values, other in ((extent, 1), (begin, 0), (code, 0))
        )
        run(_planes(x, row), _planes(to, row), size, start, boundary, group, value, order, threads)
        if not rows:
            return
        x, column = to, None


def _planes(x: np.ndarray, row: int | None) -> np.ndarray:
    """Planes of columns along the last axis and rows along another."""
    if row is not None:
        return np.moveaxis(x, row, -2)
    return x[None] if x.ndim == 1 else x
