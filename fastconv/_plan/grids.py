"""Work in two dimensions and more: a kernel that slides over a grid."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import _reference, _runtime
from . import method as costs
from . import rank, spectral
from .dtypes import BOUNDARIES, correlate_kernel, kernel_name, native, output, takes, working

METHODS = ("auto", "direct", "separable", "fft")

_PACKED_BYTES = 1 << 26  # of input that one block may pack
_INTERLEAVE = 32  # numbers beside each other below which they are the channels of one row
_NARROW = 16  # a row below which a longer axis makes the better one


class Windows(NamedTuple):
    """What the outputs see: where the first window begins, the steps from one to the next and between its taps."""

    start: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    boundary: str
    fill: np.ndarray  # (1,)

    @property
    def dense(self) -> bool:
        return set(self.stride) | set(self.dilation) == {1}


def correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Sequence[int],
    count: Sequence[int],
    boundary: str,
    fill: np.ndarray,
    stride: Sequence[int],
    dilation: Sequence[int],
    method: str,
    out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:
    """y[i, j] = sum_pq kernel[p, q] X[start0 + i stride0 + p dilation0, ...], X being x continued by a boundary.

    So in two dimensions, and likewise in any other number of them: one for each number of `start`, `count`,
    `stride` and `dilation`.

    x, kernel : of that many dimensions, fill : (1,), all of the result's dtype
    """
    threads = _runtime.threads(workers)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; use one of {', '.join(map(repr, METHODS))}")
    dtype = x.dtype.newbyteorder("=")
    y = output(out, tuple(count), dtype)
    if x.ndim == 1:
        correlate(
            x[None], kernel[None], (0, *start), (1, *count), boundary, fill, (1, *stride), (1, *dilation), method,
            y[None], workers,
        )  # fmt: skip
        return y
    if y.size == 0:
        return y
    if kernel.size == 0:
        y[...] = 0
        return y
    if x.size == 0 and boundary != "fill":
        raise ValueError(f"an array of shape {x.shape} has nothing that boundary {boundary!r} could repeat")
    name = kernel_name(dtype)
    if name is None and method in ("separable", "fft"):
        raise TypeError(f"method {method!r} needs real or complex numbers of at most double precision, not {dtype}")
    if name is None or x.size == 0 or _spread(kernel, stride, dilation):
        y[...] = _reference.correlate(x, kernel, start, count, boundary, fill[0], stride, dilation)
        return y
    x, kernel, fill = native(x, dtype), np.ascontiguousarray(native(kernel, dtype)), native(fill, dtype)
    windows = Windows(tuple(start), tuple(stride), tuple(dilation), boundary, fill)
    way = _way(x, kernel, y.shape, windows, name, method)
    to = y if takes(y, x, kernel) else np.empty(y.shape, dtype)
    if way.tiles is None or not by_fft(x, kernel, to, windows, way.tiles, threads):
        if way.tiles is not None:  # the numbers were not for it
            way = _way(x, kernel, y.shape, windows, name, method, False)
        if way.factors is not None:
            by_axes(x, kernel, way.factors, to, windows, name, threads)
        else:
            by_sums(x, kernel, to, windows, name, threads)
    if to is not y:
        np.copyto(y, to)
    return y


def padded(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Sequence[int],
    count: Sequence[int],
    dtype: np.dtype,
    method: str,
    out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:
    """`correlate` of dense windows with zeros outside, for inputs of any dtype that casts to `dtype`, the result's."""
    work = working(dtype, min(x.size, kernel.size))
    ones, zero = [1] * x.ndim, np.zeros(1, work)
    x, kernel = x.astype(work, copy=False), kernel.astype(work, copy=False)
    if work == dtype:
        return correlate(x, kernel, start, count, "fill", zero, ones, ones, method, out, workers)
    y = output(out, tuple(count), dtype)
    with np.errstate(over="ignore"):
        y[...] = correlate(x, kernel, start, count, "fill", zero, ones, ones, method, None, workers)
    return y


def separable(
    x: np.ndarray,
    factors: rank.Factors,
    start: Sequence[int],
    boundary: str,
    out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:
    """`correlate` with the outer product of factors that are given, by axis: as many outputs as x has elements.

    x, factors : of one dtype that has a kernel, a factor being one line of taps
    """
    threads = _runtime.threads(workers)
    dtype = x.dtype.newbyteorder("=")
    y = output(out, x.shape, dtype)
    name = kernel_name(dtype)
    if y.size and name is not None:
        x = native(x, dtype)
        to = y if takes(y, x, *factors.values()) else np.empty(y.shape, dtype)
        ones = (1,) * x.ndim
        windows = Windows(tuple(start), ones, ones, boundary, np.zeros(1, dtype))
        factors = {a: np.ascontiguousarray(taps, dtype)[None] for a, taps in factors.items()}
        by_axes(x, None, factors, to, windows, name, threads)
        if to is not y:
            np.copyto(y, to)
    return y


def _spread(kernel: np.ndarray, stride: Sequence[int], dilation: Sequence[int]) -> bool:
    """Whether taps or windows stand so far apart that a block of input would not be worth packing."""
    if max(stride) == max(dilation) == 1:
        return False
    inner = list(zip(stride, kernel.shape, dilation, strict=True))[-2:]
    packed: int = math.prod(kernel.shape[:-2]) * math.prod(128 * s + (k - 1) * d for s, k, d in inner)
    return packed * kernel.itemsize > _PACKED_BYTES


def _moving(n: tuple[int, ...], taps: Sequence[int], count: tuple[int, ...], windows: Windows) -> list[int]:
    """The axes along which there is something to do; what lies along the others is a batch."""
    numbers = zip(n, taps, count, windows.start, windows.stride, strict=True)
    return [a for a, (n, k, m, start, stride) in enumerate(numbers) if k > 1 or n != m or start != 0 or stride > 1]


def _way(
    x: np.ndarray, kernel: np.ndarray, count: tuple[int, ...], windows: Windows, name: str, method: str,
    fft: bool = True,
) -> costs.Way:  # fmt: skip
    """The way to go; by a transform if one may be."""
    if method == "direct":
        return costs.DIRECT
    if method == "auto" and (max(windows.stride) > 1 or costs.is_plain(name, kernel.shape, count)):
        return costs.DIRECT
    axes = _moving(x.shape, kernel.shape, count, windows)
    if method == "separable":
        if max(windows.stride) > 1:
            raise ValueError(f"method 'separable' needs stride 1, not {windows.stride}; use method='direct' or 'auto'")
        if sum(k > 1 for k in kernel.shape) < 2:
            return costs.DIRECT  # a row or a column is one pass as it is
        most = 1
        if costs.takes_terms(kernel, axes):  # as many as have fewer taps than the kernel
            most = max((kernel.size - 1) // sum(k for k in kernel.shape if k > 1), 1)
        factors = rank.axis_factors(kernel, most)
        if factors is None:
            needs = "an outer product" if most == 1 else f"a sum of at most {most} outer products, as accurate as it is"
            raise ValueError(f"method 'separable' needs a kernel that is {needs}{_rank(kernel)}; use method='auto'")
        return costs.Way(method, factors)
    zero = windows.boundary == "fill" and not windows.fill[0]
    grid = costs.Grid(name, x.shape, windows.start, count, tuple(axes), zero, fft and windows.dense)
    if method == "auto":
        return costs.grid_way(grid, kernel)  # what the numbers are shows in the transform
    way = costs.fft_way(grid, kernel)[1]
    why = _why_not_fft(x, kernel, way, windows)
    if why:
        raise ValueError(f"method 'fft' cannot be used: {why}; use method='direct' or 'auto'")
    return way


def _rank(kernel: np.ndarray) -> str:
    """What an error says of the rank of a kernel that has one."""
    lines = np.squeeze(kernel)
    if lines.ndim != 2 or not np.isfinite(lines).all():
        return ""
    return f"; this one of shape {lines.shape} has rank {np.linalg.matrix_rank(lines)}"


def _why_not_fft(x: np.ndarray, kernel: np.ndarray, way: costs.Way, windows: Windows) -> str:
    """What speaks against a transform; nothing if ''."""
    if not windows.dense:
        return f"it needs stride and dilation 1, not {windows.stride} and {windows.dilation}"
    outside = windows.fill[0] if windows.boundary == "fill" else 0
    return costs.why_not_fft(x, kernel, way.tiles.points if way.tiles else 1, outside)


# --- direct sums ----------------------------------------------------------------------------------------


class _Arranged(NamedTuple):
    """Arrays as the kernel driver takes them: the axes that it is told of come last, rows and columns after all."""

    x: np.ndarray
    out: np.ndarray
    axes: list[int]
    start: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    group: int  # channels that interleave in a row

    def run(
        self, kernel: np.ndarray | None, terms: rank.Terms | None, windows: Windows, name: str, threads: int
    ) -> None:
        correlate_kernel(name).correlate(
            self.x, self.out, kernel, *(terms or (None, None)), windows.fill, BOUNDARIES[windows.boundary],
            self.start, self.stride, self.dilation, self.group, threads,
        )  # fmt: skip


def _arranged(x: np.ndarray, out: np.ndarray, axes: list[int], windows: Windows) -> _Arranged:
    """For windows that move along these axes, in ascending order."""
    start, stride, dilation = windows[:3]
    axes, group, last = list(axes), 1, x.ndim - 1
    if last not in axes:
        beside = math.prod(x.shape[axes[-1] + 1 :]) if len(axes) > 1 and stride[axes[-1]] == 1 else _INTERLEAVE
        if beside < _INTERLEAVE and x.flags.c_contiguous and out.flags.c_contiguous:
            group, last = beside, axes[-1]
            x, out = (y.reshape(*y.shape[:last], -1) for y in (x, out))
            start, dilation = ((*numbers[:last], numbers[last] * group) for numbers in (start, dilation))
        else:
            axes.append(last)
    if len(axes) == 1:
        axes.insert(0, last - 1)
    longest = max(axes, key=lambda a: out.shape[a])
    if len(axes) > 2 and group == 1 and out.shape[axes[-1]] < min(_NARROW, out.shape[longest]):
        axes.remove(longest)
        axes.append(longest)
    if len(axes) < x.ndim or axes[-1] != last:
        batch = [a for a in range(x.ndim) if a not in axes]
        x, out = (y.transpose(*batch, *axes).squeeze(tuple(i for i, a in enumerate(batch) if y.shape[a] == 1))
                  for y in (x, out))  # fmt: skip
        start, stride, dilation = (tuple(numbers[a] for a in axes) for numbers in (start, stride, dilation))
    return _Arranged(x, out, axes, start, stride, dilation, group)


def by_sums(
    x: np.ndarray, kernel: np.ndarray, out: np.ndarray, windows: Windows, name: str, threads: int
) -> None:
    """The sums as they are written   IN x, kernel   OUT out."""
    arranged = _arranged(x, out, _moving(x.shape, kernel.shape, out.shape, windows), windows)
    rest = [a for a in range(kernel.ndim) if a not in arranged.axes]
    taps = kernel.transpose(*rest, *arranged.axes).reshape([kernel.shape[a] for a in arranged.axes])
    arranged.run(np.ascontiguousarray(taps), None, windows, name, threads)


def by_axes(
    x: np.ndarray,
    kernel: np.ndarray | None,
    factors: rank.Factors,
    out: np.ndarray,
    windows: Windows,
    name: str,
    threads: int,
) -> None:
    """The sums of outer products: the last two axes together, the others one by one.

    What lies outside of a line that is already filtered is the fill value so filtered. Of several terms the last two
    axes are all, and `kernel` is their sum; of one it may be None.

    IN x, kernel, factors   OUT out
    """
    taps = [factors.get(a, np.ones((1, 1), x.dtype)) for a in range(x.ndim)]
    moving = _moving(x.shape, [k.shape[1] for k in taps], out.shape, windows)
    left = [a for a in range(x.ndim) if a in factors or a in moving]
    while left:
        for here in (left[-2:], left[-1:]):
            to = out if here == left else np.empty([(out if a in here else x).shape[a] for a in range(x.ndim)], x.dtype)
            start = tuple(n if a in here else 0 for a, n in enumerate(windows.start))
            arranged = _arranged(x, to, here, windows._replace(start=start))
            if arranged.axes == here:
                whole = None
                if kernel is not None and len(taps[here[0]]) > 1:
                    whole = kernel.reshape(kernel.shape[-2:])
                arranged.run(whole, (taps[here[0]], taps[here[1]]), windows, name, threads)
                break
        else:
            line = taps[here[0]].reshape([-1 if a in here else 1 for a in arranged.axes])
            arranged.run(line, None, windows, name, threads)
        for a in here:
            with np.errstate(over="ignore", invalid="ignore"):  # as the sums inside overflow
                windows = windows._replace(fill=windows.fill * taps[a].sum(dtype=x.dtype))
        x, left = to, left[: -len(here)]


# --- transforms -----------------------------------------------------------------------------------------


def by_fft(
    x: np.ndarray, kernel: np.ndarray, out: np.ndarray, windows: Windows, tiles: spectral.Tiles, threads: int
) -> bool:
    """The dense sums by transforms; False where a number is not finite, or too large   IN x, kernel   OUT out."""
    axes = _moving(x.shape, kernel.shape, out.shape, windows) or [x.ndim - 1]
    order = [*(a for a in range(x.ndim) if a not in axes), *axes]
    taps = kernel.transpose(order).reshape([kernel.shape[a] for a in axes])
    taps = taps.astype(costs.transformed(taps.dtype), copy=False)
    start, fill = [windows.start[a] for a in axes], windows.fill[0]
    squares = spectral.correlate(
        x.transpose(order), taps, start, windows.boundary, fill, out.transpose(order), tiles, threads
    )
    return costs.were_right(squares, x, kernel, tiles.points, fill if windows.boundary == "fill" else 0)
