"""Correlation by FFT: one transform of everything, or overlap-save with blocks that stay in cache.

With N points a block of N samples gives N - K + 1 outputs,

    y[i] = irfft(rfft(x[i : i + N]) * rfft(reversed taps))[K - 1 :]

and neighbouring blocks overlap by K - 1. The same holds for planes, with tiles for blocks.

The error of an output is at most ``c eps log2(N) ||x block||_2 ||taps||_2``: it follows the block's largest
samples, not the output, and a sample that is not finite spoils its block, so callers see to it that there is none.
"""
from __future__ import annotations

import _thread
import functools
import importlib
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TypeVar

import numpy as np

BATCH_BYTES = 1 << 19  # of one batch of blocks: about L2, and calls are few
BATCH = 8  # blocks of a batch at least: transforms are SIMD across them


@functools.cache
def engine() -> ModuleType:
    try:
        return importlib.import_module("scipy.fft")
    except ImportError:
        return np.fft


Transform = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
Batch = TypeVar("Batch")


def transforms(complex_: bool, axes: tuple[int, ...]) -> tuple[Transform, Transform]:
    """Forward and inverse transforms over the axes: scipy.fft, or numpy.fft where it is missing."""
    fft = engine()
    if axes == (-1,):  # the plain functions look at less before they begin
        one, other = (fft.fft, fft.ifft) if complex_ else (fft.rfft, fft.irfft)
        return (lambda x, shape: one(x, shape[0])), (lambda x, shape: other(x, shape[0]))
    forward, inverse = (fft.fftn, fft.ifftn) if complex_ else (fft.rfftn, fft.irfftn)
    return (lambda x, shape: forward(x, s=shape, axes=axes)), (lambda x, shape: inverse(x, s=shape, axes=axes))


def share_out(work: Callable[[Batch], None], batches: Iterable[Batch], workers: int) -> None:
    """Does every batch of work, this thread and its helpers taking the next: transforms let go of the GIL.

    Helpers that could not start, or are late, are not waited for, as threading's own start() would, for ever
    where memory is out: what they have not taken, others do.
    """
    left = deque(batches)
    faults: list[BaseException | None] = [None] * workers
    begun: list[threading.Lock] = []  # each held by a helper until it has ended

    def take() -> None:
        while left:
            try:
                batch = left.popleft()
            except IndexError:
                return  # another was faster
            work(batch)

    def help_out(number: int) -> None:
        ends = threading.Lock()
        with ends:
            begun.append(ends)  # before anything is taken
            try:
                take()
            except BaseException as fault:
                faults[number] = fault
                left.clear()

    try:
        for number in range(1, min(workers, len(left))):
            _thread.start_new_thread(help_out, (number,))
    except (RuntimeError, MemoryError):
        pass  # fewer hands
    try:
        take()
    finally:
        left.clear()
        for ends in begun:
            ends.acquire()
    for fault in faults:
        if fault is not None:
            raise fault


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
def block_size(taps: int, count: int, longest: int, calls: float = 0) -> int:
    """Points of a block of least cost, (N log N + calls) / (N - taps + 1), at most about `longest`."""
    whole = good_size(count + taps - 1)
    sizes = {whole} if whole <= longest else set()
    n = good_size(2 * taps)
    sizes.add(min(n, whole))
    while n < min(longest, whole):
        n = good_size(n + n // 4 + 1)
        sizes.add(min(n, whole))
    return min(sizes, key=lambda n: (n * math.log2(n + 1) + calls) * math.ceil(count / (n - taps + 1)))


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
    forth, back = transforms(dtype.kind == "c", (-1,))
    spectrum = forth(taps[::-1].copy(), (points,))
    at_once = max(BATCH, BATCH_BYTES // (points * dtype.itemsize))
    many = max(1, at_once // blocks)

    def work(batch: tuple[int, int]) -> None:
        line, block = batch
        rows, here, first = x[line : line + many], min(at_once, blocks - block), block * step
        samples = _stretch(rows, start + first, here * step + size - 1, n, dtype)
        windows = np.lib.stride_tricks.sliding_window_view(samples, points, axis=1)[:, ::step]
        spectra = forth(windows, (points,))
        spectra *= spectrum
        y = back(spectra, (points,))[..., size - 1 :]
        to = out[line : line + many, first : first + here * step]
        _put(to, y.reshape(len(rows), here * step)[:, : to.shape[1]])

    share_out(work, [(i, j) for i in range(0, len(x), many) for j in range(0, blocks, at_once)], workers)


def _whole_lines(x: np.ndarray, taps: np.ndarray, start: int, out: np.ndarray, points: int, workers: int) -> None:
    """The same where one transform holds all n + K - 1 outputs that are not zero: nothing overlaps."""
    dtype = taps.dtype
    first = start + len(taps) - 1  # of all outputs, the first that is asked for
    low, high = max(-first, 0), min(x.shape[1] + len(taps) - 1 - first, out.shape[1])
    forth, back = transforms(dtype.kind == "c", (-1,))
    spectrum = forth(taps[::-1], (points,))
    at_once = max(1, BATCH_BYTES // (points * dtype.itemsize))

    def work(line: int) -> None:
        spectra = forth(x[line : line + at_once].astype(dtype, copy=False), (points,))
        spectra *= spectrum
        y = back(spectra, (points,))
        to = out[line : line + at_once]
        to[:, :low] = to[:, high:] = 0
        _put(to[:, low:high], y[:, first + low : first + high])

    share_out(work, range(0, len(x), at_once), workers)


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
    forth, back = transforms(dtype.kind == "c", (-2, -1))
    spectrum = forth(kernel[::-1, ::-1].copy(), tile)
    high, wide = tile[0] - kh + 1, tile[1] - kw + 1

    def work(corner: tuple[int, int]) -> None:
        i, j = corner
        height, width = min(tile[0], rows - i + kh - 1), min(tile[1], columns - j + kw - 1)
        spectra = forth(patch(i, j, height, width), tile)
        spectra *= spectrum
        y = back(spectra, tile)
        to = out[i : i + high, j : j + wide]
        _put(to, y[kh - 1 : kh - 1 + to.shape[0], kw - 1 : kw - 1 + to.shape[1]])

    share_out(work, [(i, j) for i in range(0, rows, high) for j in range(0, columns, wide)], workers)
