"""Correlation by FFT: one transform of everything, or overlap-save with blocks that stay in cache.

With N points a block of N samples gives N - K + 1 outputs,

    y[i] = irfft(rfft(x[i : i + N]) * rfft(reversed taps))[K - 1 :]

and neighbouring blocks overlap by K - 1. The same holds for planes, with tiles for blocks.

The error of an output is at most ``c eps log2(N) ||x block||_2 ||taps||_2``: it follows the block's largest
samples, not the output, and a sample that is not finite spoils its block, so callers see to it that there is none.
"""
from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

BATCH_BYTES = 1 << 21  # of one batch of blocks: it stays in cache, and Ctrl-C is heard after each


def _engine() -> tuple[ModuleType, bool]:
    try:
        return importlib.import_module("scipy.fft"), True
    except ImportError:
        return np.fft, False


Transform = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]


def transforms(complex_: bool, axes: tuple[int, ...], workers: int) -> tuple[Transform, Transform]:
    """Forward and inverse transforms over the axes: scipy.fft, or numpy.fft where it is missing."""
    fft, has_workers = _engine()
    forward, inverse = (fft.fftn, fft.ifftn) if complex_ else (fft.rfftn, fft.irfftn)

    def run(transform: Callable[..., Any], x: np.ndarray, shape: tuple[int, ...]) -> Any:
        if has_workers and workers > 1:
            try:
                return transform(x, s=shape, axes=axes, workers=workers)
            except RuntimeError:  # no thread could be started
                pass
        return transform(x, s=shape, axes=axes)

    return (lambda x, shape: run(forward, x, shape)), (lambda x, shape: run(inverse, x, shape))


@functools.lru_cache(1024)
def good_size(n: int) -> int:
    """The least size from n on that the FFT does fast: 2^a 3^b 5^c."""
    best = 1 << max(n - 1, 0).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            best = min(best, three << max(0, (-(-n // three) - 1).bit_length()))
            three *= 3
        five *= 5
    return best


@functools.lru_cache(1024)
def block_size(taps: int, count: int, longest: int) -> int:
    """Points of a block of least cost, N log N / (N - taps + 1), at most about `longest`."""
    whole = good_size(count + taps - 1)
    sizes = {whole} if whole <= longest else set()
    n = good_size(2 * taps)
    sizes.add(min(n, whole))
    while n < min(longest, whole):
        n = good_size(n + n // 4 + 1)
        sizes.add(min(n, whole))
    return min(sizes, key=lambda n: n * math.log2(n + 1) * math.ceil(count / (n - taps + 1)))


def lines(x: np.ndarray, taps: np.ndarray, start: int, out: np.ndarray, points: int, workers: int) -> None:
    """out[l, i] = sum_k taps[k] x[l, start + i + k], zero outside of a line, by blocks of so many points.

    x : (lines, n) of float or complex dtype, finite   IN
    taps : (K,) of the same dtype   IN
    out : (lines, count)   OUT; integers are rounded
    """
    dtype = taps.dtype
    count, n, size = out.shape[1], x.shape[1], len(taps)
    if points >= n + size - 1:
        _whole_lines(x, taps, start, out, points, workers)
        return
    step = points - size + 1
    blocks = -(-count // step)
    forth, back = transforms(dtype.kind == "c", (-1,), workers)
    spectrum = forth(taps[::-1].copy(), (points,))
    at_once = max(1, BATCH_BYTES // (points * dtype.itemsize))
    many_lines = max(1, at_once // blocks)
    for line in range(0, len(x), many_lines):
        rows = x[line : line + many_lines]
        for block in range(0, blocks, at_once):
            here = min(at_once, blocks - block)
            first = block * step  # outputs first .. of each line, from samples start + first ..
            samples = _stretch(rows, start + first, here * step + size - 1, n, dtype)
            windows = np.lib.stride_tricks.sliding_window_view(samples, points, axis=1)[:, ::step]
            y = back(forth(windows, (points,)) * spectrum, (points,))[..., size - 1 :]
            y = y.reshape(len(rows), here * step)[:, : count - first]
            _put(out[line : line + many_lines, first : first + here * step], y)


def _whole_lines(x: np.ndarray, taps: np.ndarray, start: int, out: np.ndarray, points: int, workers: int) -> None:
    """The same where one transform holds all n + K - 1 outputs that are not zero: nothing overlaps."""
    dtype = taps.dtype
    first = start + len(taps) - 1  # of all outputs, the first that is asked for
    low, high = max(-first, 0), min(x.shape[1] + len(taps) - 1 - first, out.shape[1])
    forth, back = transforms(dtype.kind == "c", (-1,), workers)
    at_once = max(1, BATCH_BYTES // (points * dtype.itemsize))
    for line in range(0, len(x), at_once):
        rows = x[line : line + at_once]
        together = np.zeros((len(rows) + 1, points), dtype)  # transformed in one call, side by side on the threads
        together[0, : len(taps)] = taps[::-1]
        together[1:, : x.shape[1]] = rows
        spectra = forth(together, (points,))
        y = back(spectra[1:] * spectra[0], (points,))
        to = out[line : line + at_once]
        to[:, :low] = to[:, high:] = 0
        _put(to[:, low:high], y[:, first + low : first + high])


def _stretch(rows: np.ndarray, first: int, length: int, n: int, dtype: np.dtype) -> np.ndarray:
    """Samples first .. first+length-1 of each row, zero outside 0 .. n-1."""
    low, high = max(first, 0), min(first + length, n)
    if low == first and high == first + length and rows.dtype == dtype:
        return rows[:, low:high]
    samples = np.zeros((len(rows), length), dtype)
    if low < high:
        samples[:, low - first : high - first] = rows[:, low:high]
    return samples


def _put(out: np.ndarray, values: np.ndarray) -> None:
    """Writes a result, rounded where it is integers; they wrap as sums of their dtype would."""
    if out.dtype.kind in "iu":
        out[...] = np.rint(values).astype(np.int64)
    else:
        out[...] = values


def planes(
    kernel: np.ndarray,
    out: np.ndarray,
    tile: tuple[int, int],
    patch: Callable[[int, int, int, int], np.ndarray],
    workers: int,
) -> None:
    """out[i, j] = sum_pq kernel[p, q] X[i + p, j + q] by tiles of so many points.

    kernel : (kh, kw) of float or complex dtype   IN
    out : (rows, columns)   OUT; integers are rounded
    patch : gives X[row : row + height, column : column + width] in the kernel's dtype
    """
    (kh, kw), (rows, columns), dtype = kernel.shape, out.shape, kernel.dtype
    forth, back = transforms(dtype.kind == "c", (-2, -1), workers)
    spectrum = forth(kernel[::-1, ::-1].copy(), tile)
    high, wide = tile[0] - kh + 1, tile[1] - kw + 1
    at_once = max(1, BATCH_BYTES // (tile[0] * tile[1] * dtype.itemsize))
    corners = [(i, j) for i in range(0, rows, high) for j in range(0, columns, wide)]
    for batch in _batches(corners, at_once):
        x = np.empty((len(batch), *tile), dtype)
        for tile_in, (i, j) in zip(x, batch, strict=True):
            height, width = min(tile[0], rows - i + kh - 1), min(tile[1], columns - j + kw - 1)
            tile_in[:height, :width] = patch(i, j, height, width)
            tile_in[height:] = 0
            tile_in[:height, width:] = 0
        y = back(forth(x, tile) * spectrum, tile)
        for tile_out, (i, j) in zip(y, batch, strict=True):
            to = out[i : i + high, j : j + wide]
            _put(to, tile_out[kh - 1 : kh - 1 + to.shape[0], kw - 1 : kw - 1 + to.shape[1]])


def _batches(items: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
