"""Filters by order: the largest, the smallest, or any rank of what a window holds."""
from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import _runtime
from . import network
from .dtypes import BOUNDARIES, native, takes
from .neighbourhood import check_real, fill, store

_SWEPT_BYTES = 1 << 22  # of rows that a sweep along both axes of a plane may hold
_INTERLEAVE = 32  # numbers beside each other that are filtered as channels of a pixel

# Cycles, roughly: of a minimum or maximum of a vector; of sliding a pixel, for each byte to sort and each edge
_EXCHANGE = 1.5
_SLIDE, _SORT, _EDGE = 110.0, 8.0, 4.0
_REGISTER = {"baseline": 16, "avx2": 32, "avx512": 64}  # bytes
_MOST_TAPS = 256  # of a window that a network ranks: beyond, it takes long to build
_MOST_RUNS = 1024  # of a footprint whose largest a network finds
_TALL = 9  # windows down the columns, this high or more, are turned to lie along the rows


class Keys(NamedTuple):
    """How the kernels compare numbers: as integers of their width (see simd.h)."""

    module: str
    order: np.ndarray  # (2,): flip and infinity


@cache
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


class Pass(NamedTuple):
    """A window along one axis."""

    axis: int
    size: int
    start: int  # where the window begins, seen from its output
    boundary: str


def extremes(x: np.ndarray, y: np.ndarray, passes: Sequence[Pass], cval: Any, smallest: bool, workers: Any) -> None:
    """y = the largest, or the smallest, of x in a box.   IN x   OUT y, which may overlap x"""
    threads = _runtime.threads(workers)
    check_real(x, y)
    x, y = _bytes(x), _bytes(y)
    outside = fill(cval)
    if all(one.boundary != "fill" for one in passes):
        outside = 0.0
    if y.size == 0:
        return
    together = [passes]
    if not (_fits(outside, x.dtype, y.dtype) and _keeps_order(x.dtype, y.dtype)):
        # SciPy stores what it found along one axis before it goes on to the next, and that may wrap.
        together = [[one] for one in passes]
    for now in together:
        work = native(x, x.dtype.newbyteorder("=") if _fits(outside, x.dtype, y.dtype) else np.dtype(np.float64))
        to = y if work.dtype == y.dtype and takes(y, work) else np.empty(y.shape, work.dtype)
        if any(one.size > 1 for one in now):
            _box(work, to, now, outside, smallest, threads)
        else:
            to = work
        if to is not y:
            store(y, to)
        x = y


def rank(
    x: np.ndarray,
    y: np.ndarray,
    footprint: np.ndarray,
    starts: Sequence[int],
    boundaries: Sequence[str],
    cval: Any,
    number: int | None,
    smallest: bool,
    workers: Any,
) -> None:
    """y = the number-th smallest of what a footprint holds of x; for None the largest, or `smallest`.

    footprint : of bool, with x's dimensions, not all False   IN
    starts, boundaries : for each axis: where the footprint begins, seen from each output   IN x   OUT y, may overlap x
    """
    threads = _runtime.threads(workers)
    x, y = _bytes(x), _bytes(y)
    outside = fill(cval)
    if "fill" not in boundaries:
        outside = 0.0
    if y.size == 0:
        return
    work = native(x, x.dtype.newbyteorder("=") if _fits(outside, x.dtype, y.dtype) else np.dtype(np.float64))
    to = y if work.dtype == y.dtype and takes(y, work) else np.empty(y.shape, work.dtype)
    _window(work, to, footprint, starts, boundaries, outside, number, smallest, threads)
    if to is not y:
        store(y, to)


def _bytes(a: np.ndarray) -> np.ndarray:
    """Bools as SciPy sees them, which a fill value can make more than 1."""
    return a.view(np.uint8) if a.dtype.kind == "b" else a


def _fits(value: float, given: np.dtype, stored: np.dtype) -> bool:
    """Whether an array can hold the fill value, or at least what will be left of it in the result."""
    if given.kind == "f":
        return True
    limits = np.iinfo(given)
    return math.isfinite(value) and limits.min <= int(value) <= limits.max and (
        value == int(value) or stored.kind != "f"
    )


def _keeps_order(given: np.dtype, stored: np.dtype) -> bool:
    """Whether what is larger stays larger, or becomes equal, when it is stored."""
    return stored.kind == "f" or np.can_cast(given, stored)


def _box(
    x: np.ndarray, out: np.ndarray, passes: Sequence[Pass], outside: float, smallest: bool, threads: int
) -> None:
    """The same for x and out of one dtype, not empty, aligned and native, apart in memory; the axes in any order."""
    module, order = keys(x.dtype, smallest)
    value = _value(outside, math.copysign(1, outside), x.dtype)
    begin, extent, code = [0] * x.ndim, [1] * x.ndim, [0] * x.ndim
    for axis, size, start, boundary in passes:
        # Beyond twice the length of an axis, the period of its reflection, a window sees nothing new.
        begin[axis] = max(start, -2 * x.shape[axis])
        extent[axis] = min(start + size, 2 * x.shape[axis] + 1) - begin[axis]
        code[axis] = BOUNDARIES[boundary]
    axes = [axis for axis, k in enumerate(extent) if k > 1]
    last = axes[-1]
    side = math.prod(x.shape[last + 1 :])
    group = 1
    column: int | None = last
    if x.flags.c_contiguous and out.flags.c_contiguous:
        if side > _INTERLEAVE:  # wide enough to filter down the columns
            column, last = None, last + 1
        else:
            group = side
        x, out = (a.reshape(*a.shape[:last], -1) for a in (x, out))
    elif last != x.ndim - 1:
        x, out = (np.moveaxis(a, last, -1) for a in (x, out))
    rows: list[int | None] = [axis for axis in axes if axis != column]
    run = _runtime.kernel(module, "extrema").box
    windows = [*extent, 1], [*begin, 0], [*code, 0]  # the last ones where an axis is not filtered
    while True:
        row = rows.pop() if rows else None
        if row is not None and column is not None and extent[row] * extent[column] * x.itemsize > _SWEPT_BYTES:
            rows, row = [*rows, row], None
        to = np.empty(x.shape, x.dtype) if rows else out
        window = [  # rows and columns of: extent, beginning, boundary
            (values[-1] if row is None else values[row], values[-1] if column is None else values[column])
            for values in windows
        ]
        run(_planes(x, row), _planes(to, row), *window, group, value, order, threads)
        if not rows:
            return
        x, column = to, None


@lru_cache(64)
def _value(outside: float, _sign: float, dtype: np.dtype) -> np.ndarray:
    """The fill value for a kernel; zeros of the two signs are told apart."""
    with np.errstate(over="ignore"):
        return np.array([outside]).astype(dtype) if dtype.kind == "f" else np.array([int(outside)], dtype)


def _planes(x: np.ndarray, row: int | None) -> np.ndarray:
    """Planes of columns along the last axis and rows along another."""
    if row is not None and row != x.ndim - 2:
        return np.moveaxis(x, row, -2)
    return x[None] if x.ndim == 1 else x


class View(NamedTuple):
    """How a kernel sees arrays and a footprint: as planes, the window's last axis being the columns."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]  # of that shape, in another order
    boundaries: tuple[int, ...]
    group: int
    start: tuple[int, int]
    sections: np.ndarray  # (S, all axes but two): the planes that a window holds, seen from its output
    footprint: np.ndarray  # (S, rows, columns)


def _window(
    x: np.ndarray,
    out: np.ndarray,
    footprint: np.ndarray,
    starts: Sequence[int],
    boundaries: Sequence[str],
    outside: float,
    number: int | None,
    smallest: bool,
    threads: int,
) -> None:
    """The same for x and out of one dtype, not empty, aligned and native, apart in memory."""
    module, order = keys(x.dtype, smallest)
    window = footprint.tobytes(), footprint.shape, tuple(starts)
    view = _view(*window, x.shape, tuple(boundaries), x.flags.c_contiguous and out.flags.c_contiguous)
    x, out = (a.reshape(view.shape).transpose(view.axes) for a in (x, out))
    run = _runtime.kernel(module, "ranks")
    value = _value(outside, math.copysign(1, outside), x.dtype)
    given = view.start, view.boundaries, view.group, value, order
    if view.footprint.shape == (1, 3, 3) and number == 4 and view.footprint.all():
        run.median3x3(x, out, view.sections, *given, threads)
        return
    program = _program(view.footprint.tobytes(), view.footprint.shape, number, view.group, x.itemsize)
    if program is not None:
        run.network(x, out, view.sections, view.footprint.shape[1:], *given, *program, threads)
    else:
        number = int(view.footprint.sum()) - 1 if number is None else number
        run.slide(x, out, view.sections, view.footprint, *given, number, threads)


@lru_cache(64)
def _view(
    window: bytes,
    extent: tuple[int, ...],
    starts: tuple[int, ...],
    shape: tuple[int, ...],
    boundaries: tuple[str, ...],
    plain: bool,
) -> View:
    ndim = len(shape)
    footprint = np.frombuffer(window, bool).reshape(extent)
    # What the footprint leaves out at its ends is no part of the window.
    used = [np.flatnonzero(footprint.any(tuple(set(range(ndim)) - {axis}))) for axis in range(ndim)]
    footprint = footprint[tuple(slice(at[0], at[-1] + 1) for at in used)]
    begin = [start + int(at[0]) for start, at in zip(starts, used, strict=True)]
    code = [BOUNDARIES[boundary] for boundary in boundaries]

    moved = [axis for axis, k in enumerate(footprint.shape) if k > 1 or begin[axis] != 0] or [ndim - 1]
    last = moved[-1]
    side = math.prod(shape[last + 1 :])
    group = 1
    if plain and (side <= _INTERLEAVE or footprint.shape[last] < _TALL):
        # What lies beside a number is a channel of its pixel, or else the columns, which the window does not span.
        columns = last if side <= _INTERLEAVE else last + 1
        group = side if columns == last else 1
        shape = (*shape[:columns], math.prod(shape[columns:]))
        footprint = footprint.reshape(*footprint.shape[: last + 1], *[1] * (columns - last))
        begin, code = [*begin[: last + 1], 0][: columns + 1], [*code[: last + 1], 0][: columns + 1]
        last = columns
    if len(shape) == 1:
        shape, footprint = (1, *shape), footprint[None]
        begin, code, last, moved = [0, *begin], [0, *code], 1, [1]
    row = next((axis for axis in reversed(moved) if axis != last), last - 1 if last else 1)
    if group == 1 and footprint.shape[row] >= max(_TALL, 2 * footprint.shape[last]):
        row, last = last, row
    axes = (*(axis for axis in range(len(shape)) if axis not in (row, last)), row, last)
    footprint = footprint.transpose(axes)
    begin, code = ([values[axis] for axis in axes] for values in (begin, code))
    seen = np.argwhere(footprint.any((-2, -1)))
    sections = np.ascontiguousarray(seen + np.array(begin[:-2], np.intp), np.intp).reshape(len(seen), -1)
    footprint = np.ascontiguousarray(footprint[tuple(seen.T)]).reshape(len(seen), *footprint.shape[-2:])
    return View(shape, axes, tuple(code), group, (begin[-2], begin[-1]), sections, footprint)


@lru_cache(64)
def _program(
    window: bytes, shape: tuple[int, int, int], number: int | None, group: int, itemsize: int
) -> network.Program | None:
    """The network that finds a rank, or the largest for None; None where sliding costs less."""
    footprint = np.frombuffer(window, np.int8).reshape(shape)
    runs = int((np.diff(footprint, axis=2, prepend=0) > 0).sum())
    limit = (_SLIDE + _SORT * itemsize + 2 * _EDGE * runs) * _REGISTER[_runtime.ISA] / itemsize / _EXCHANGE
    if number is None:
        return network.largest(window, shape, group) if runs <= _MOST_RUNS else None
    taps = int(footprint.sum())
    if taps > _MOST_TAPS or taps * math.log2(taps) > 2 * limit:
        return None
    program = network.ranked(window, shape, number, group)
    return program if program.cost < limit else None
