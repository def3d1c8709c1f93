"""One-dimensional work: each line of an N-D array along an axis, with one set of taps."""
from __future__ import annotations

import math

import numpy as np

from .. import _reference, _runtime
from . import method as costs
from . import spectral
from .dtypes import correlate_kernel, kernel_name, native, output, takes, working

METHODS = ("auto", "direct", "overlap-save", "fft")

_INTERLEAVE = 32  # lines side by side below which they are summed as one line with dilated taps


def correlate(
    x: np.ndarray,
    taps: np.ndarray,
    axis: int,
    start: int,
    count: int,
    dtype: np.dtype,
    method: str,
    out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:
    """y[..., i, ...] = sum_k taps[k] x[..., start + i + k, ...]; terms outside of a line are left out.

    x : (..., n, ...), any dtype that casts to `dtype`   IN
    taps : (K,)   IN
    out : (..., count, ...) or None
    """
    threads = _runtime.threads(workers)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; use one of {', '.join(map(repr, METHODS))}")
    if x.ndim == 1 and len(x) < len(taps):  # convolution commutes, and the shorter makes the better taps
        x, taps, start = taps[::-1], x[::-1], start + len(taps) - len(x)
    y = output(out, (*x.shape[:axis], count, *x.shape[axis + 1 :]), dtype)
    work = working(dtype, len(taps))
    name = kernel_name(work)
    if y.size == 0:
        return y
    if name is None:
        if method in ("overlap-save", "fft"):
            raise TypeError(f"method {method!r} needs real or complex numbers of at most double precision, not {dtype}")
        lined = _reference.correlate1d(np.moveaxis(x.astype(dtype), axis, -1), taps.astype(dtype), start, count)
        y[...] = np.moveaxis(lined, -1, axis)
        return y
    blocks = _blocks(x, taps, axis, start, name, y.shape, method)
    x, taps = native(x, work), native(taps, work)
    to = y if work == dtype and takes(y, x, taps) else np.empty(y.shape, work)
    if blocks is None or not _by_fft(x, taps, axis, start, to, blocks, threads):
        _direct(x, np.ascontiguousarray(taps), axis, start, to, name, threads)
    if to is not y:
        with np.errstate(over="ignore"):
            np.copyto(y, to, casting="unsafe")
    return y


def _blocks(
    x: np.ndarray, taps: np.ndarray, axis: int, start: int, name: str, shape: tuple[int, ...], method: str
) -> spectral.Tiles | None:
    """The blocks of a transform; None for direct sums."""
    if method == "direct":
        return None
    if method == "auto" and costs.is_plain_line(name, len(taps), math.prod(shape)):
        return None
    blocks = costs.line_tiles(name, x.shape[axis], len(taps), start, shape, axis, method)
    if blocks is None or method == "auto":  # what the numbers are shows in the transform
        return blocks
    why = costs.why_not_fft(x, taps, blocks.points)
    if why:
        raise ValueError(f"method {method!r} cannot be used: {why}; use method='direct' or 'auto'")
    return blocks


def _by_fft(
    x: np.ndarray, taps: np.ndarray, axis: int, start: int, out: np.ndarray, blocks: spectral.Tiles, threads: int
) -> bool:
    """False where a number is not finite, or too large: what is in `out` does not count."""
    kernel, begin = taps, [start]
    if axis < x.ndim - 1:
        x, out = np.moveaxis(x, axis, -2), np.moveaxis(out, axis, -2)
        kernel, begin = taps[:, None], [start, 0]
    kernel = kernel.astype(costs.transformed(kernel.dtype), copy=False)
    squares = spectral.correlate(x, kernel, begin, "fill", 0, out, blocks, threads)
    return costs.were_right(squares, x, taps, blocks.points)


def _direct(
    x: np.ndarray, taps: np.ndarray, axis: int, start: int, out: np.ndarray, name: str, threads: int
) -> None:
    n, count = x.shape[axis], out.shape[axis]
    over = taps.dtype.kind in "fc" and (start < 0 or start + count + len(taps) - 1 > n)
    if over and not math.isfinite(costs.squares(taps)) and not np.isfinite(taps).all():
        # A tap that is not finite times the padding's zero is NaN, but padding is no term of the sum.
        low = min(max(-start, 0), count)
        high = max(min(n - len(taps) + 1 - start, count), low)
        x, out = np.moveaxis(x, axis, -1), np.moveaxis(out, axis, -1)
        for first, last in ((0, low), (high, count)):
            if first < last:
                out[..., first:last] = _reference.correlate1d(x, taps, start + first, last - first)
        if low == high:
            return
        out, axis, start = out[..., low:high], x.ndim - 1, start + low
        count = high - low
    side = x.shape[axis + 1 :]
    beside = math.prod(side)
    group = 1
    if axis == x.ndim - 1:
        x, out = (x[None], out[None]) if x.ndim == 1 else (x, out)
    elif beside < _INTERLEAVE and x.flags.c_contiguous and out.flags.c_contiguous:
        # Few lines side by side: one line of all, whose taps stand `beside` apart.
        group = beside
        x, out = (a.reshape(*a.shape[:axis], 1, -1) for a in (x, out))
    elif x.shape[-1] < _INTERLEAVE:
        x, out = np.moveaxis(x, axis, -1), np.moveaxis(out, axis, -1)
    else:  # down the lanes: the lines are columns of planes
        x, out = np.moveaxis(x, axis, -2), np.moveaxis(out, axis, -2)
        taps = taps[:, None]
    kernel = taps if taps.ndim == 2 else taps[None]
    begin = (start, 0) if taps.ndim == 2 else (0, start * group)
    correlate_kernel(name).correlate(
        x, out, kernel, None, None, np.zeros(1, taps.dtype), 0, begin, (1, 1), (1, group), group, threads
    )
