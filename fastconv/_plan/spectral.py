"""Correlation by FFT: one transform of everything, or overlap-save with blocks that stay in cache.

With N points a block of N samples gives N - K + 1 outputs,

    y[i] = irfft(rfft(x[i : i + N]) * rfft(reversed taps))[K - 1 :]

and neighbouring blocks overlap by K - 1. The same holds for any number of dimensions, with tiles for blocks.

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
from itertools import product
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

BATCH_BYTES = 1 << 19  # of one batch of blocks: about L2, and calls are few
HALVED = 1 << 12  # points from which two transforms of half the length are worth their calls
BATCH = 8  # blocks of a batch at least, where they are no more than MOST_BYTES: transforms are SIMD across them
MOST_BYTES = 1 << 23
HELPED_BYTES = 1 << 23  # of points times their logarithm: about a millisecond, in which a helper begins to help


@functools.cache
def engine() -> ModuleType:
    try:
        return importlib.import_module("scipy.fft")
    except ImportError:
        return np.fft


Transform = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
Batch = TypeVar("Batch")


def transforms(complex_: bool, axes: tuple[int, ...], workers: int = 1) -> tuple[Transform, Transform]:
    """Forward and inverse transforms over the axes: scipy.fft, or numpy.fft, on one thread, where it is missing."""
    fft = engine()
    options: dict[str, Any] = {} if fft is np.fft else {"workers": workers}
    if axes == (-1,):  # the plain functions look at less before they begin
        one, other = (fft.fft, fft.ifft) if complex_ else (fft.rfft, fft.irfft)
        return (lambda x, shape: one(x, shape[0], **options)), (lambda x, shape: other(x, shape[0], **options))
    forward, inverse = (fft.fftn, fft.ifftn) if complex_ else (fft.rfftn, fft.irfftn)
    options["axes"] = axes
    return (lambda x, shape: forward(x, s=shape, **options)), (lambda x, shape: inverse(x, s=shape, **options))


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
    best = min(sizes, key=lambda n: (n * math.log2(n + 1) + calls) * math.ceil(count / (n - taps + 1)))
    blocks = math.ceil(count / (best - taps + 1))
    return good_size(math.ceil(count / blocks) + taps - 1)  # what as many blocks need


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
    block_bytes = points * dtype.itemsize
    at_once = max(1, BATCH_BYTES // block_bytes, min(BATCH, MOST_BYTES // block_bytes))
    if len(x) * blocks * block_bytes * math.log2(points) < HELPED_BYTES:
        workers = 1
    if len(x) == 1:  # few blocks are two batches, for two threads, whether or not there are
        at_once = min(at_once, max(BATCH // 2, -(-blocks // 2)))
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
    if len(x) == 1 and points >= HALVED and dtype != np.complex128 and x.shape[1] < 2 * len(taps) < 4 * x.shape[1]:
        out[:, :low] = out[:, high:] = 0
        _by_halves(x[0], taps[::-1], first + low, out[0, low:high], forth, back)
        return
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


def _by_halves(
    x: np.ndarray, taps: np.ndarray, first: int, out: np.ndarray, forth: Transform, back: Transform
) -> None:
    """The convolution of a line with about as many taps, from output `first` on.

    One long transform goes number by number, but several beside each other are SIMD, if vectors hold more than one
    number. Of both inputs in halves of m,

        x * h = x0 * h0 + z^m (x0 * h1 + x1 * h0) + z^2m (x1 * h1),

    four transforms of half the length, and three back.
    """
    m = (max(len(x), len(taps)) + 1) // 2
    points = good_size(2 * m)
    halves = np.empty((4, points), taps.dtype)
    for half, values in zip(halves, (x[:m], x[m:], taps[:m], taps[m:]), strict=True):
        half[: len(values)], half[len(values) :] = values, 0
    spectra = forth(halves, (points,))
    x0, x1, h0, h1 = spectra
    across = x0 * h1
    x0 *= h0
    h0 *= x1
    x1 *= h1
    h0 += across
    single = taps.dtype in (np.float32, np.complex64)  # of which four fill a vector
    parts = back(spectra if single else spectra[:3], (points,))
    low, middle, high = parts[0], parts[2], parts[1]
    middle[:m] += low[m : 2 * m]
    high[:m] += middle[m : 2 * m]
    for start, part in ((0, low[:m]), (m, middle[:m]), (2 * m, high[: 2 * m])):
        begin, end = max(start, first), min(start + len(part), first + len(out))
        if begin < end:
            _put(out[begin - first : end - first], part[begin - start : end - start])


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


Stretches = Callable[[slice, tuple[int, ...], tuple[int, ...]], np.ndarray]


def tiles(x: Stretches, kernel: np.ndarray, out: np.ndarray, points: tuple[int, ...], workers: int) -> None:
    """out[b, i, ...] = sum_p kernel[p, ...] X[b, i + p, ...] by tiles of so many points.

    x : gives X[batch, first : first + size, ...] for a slice of the batch and a `first` and a `size` for each axis
    kernel : (k, ...) of float or complex dtype   IN
    out : (batch, count, ...)   OUT; integers are rounded
    """
    forth, back = transforms(kernel.dtype.kind == "c", tuple(range(-kernel.ndim, 0)))
    spectrum = forth(np.flip(kernel).copy(), points)
    reach = np.array(kernel.shape) - 1
    step = np.array(points) - reach
    at_once = max(1, BATCH_BYTES // (math.prod(points) * kernel.itemsize))

    def work(place: tuple[int, ...]) -> None:
        first = np.array(place[1:])
        size = np.minimum(step, out.shape[1:] - first)
        some = slice(place[0], place[0] + at_once)
        spectra = forth(x(some, tuple(first), tuple(size + reach)), points)
        spectra *= spectrum
        y = back(spectra, points)
        _put(out[some][_box(first, first + size)], y[_box(reach, reach + size)])

    share_out(work, product(*(range(0, n, m) for n, m in zip(out.shape, (at_once, *step), strict=True))), workers)


def whole(
    x: np.ndarray, kernel: np.ndarray, start: tuple[int, ...], out: np.ndarray, points: tuple[int, ...], workers: int
) -> None:
    """out[b, i, ...] = sum_p kernel[b, p, ...] x[b, start + i + p, ...], zero outside, by one transform for each b.

    x : (batch, n, ...), or (1, n, ...), finite   IN
    kernel : (batch, k, ...), or (1, k, ...), of float or complex dtype   IN
    out : (batch, count, ...)   OUT; integers are rounded
    points : n + k - 1 or more for each axis, all that is not zero
    """
    at_once = max(1, BATCH_BYTES // (math.prod(points) * kernel.itemsize))
    batches = range(0, len(out), at_once)
    inside = workers if len(batches) == 1 else 1
    axes = tuple(range(-len(points), 0))
    forth, back = transforms(kernel.dtype.kind == "c", axes, inside)
    reach = np.array(kernel.shape[1:]) - 1
    first = start + reach  # of all outputs, the first that is asked for
    low = np.clip(-first, 0, out.shape[1:])
    high = np.clip(x.shape[1:] + reach - first, low, out.shape[1:])
    if low.any() or (high < out.shape[1:]).any():
        out[...] = 0

    def spectra(y: np.ndarray) -> Callable[[slice], np.ndarray]:
        if len(y) > 1:
            return lambda some: forth(y[some], points)
        for_all = forth(y, points)
        return lambda some: for_all

    samples, taps = spectra(x), spectra(np.flip(kernel, axes))

    def work(b: int) -> None:
        some = slice(b, b + at_once)
        with np.errstate(all="ignore"):
            y = back(samples(some) * taps(some), points)
            _put(out[some][_box(low, high)], y[_box(first + low, first + high)])

    share_out(work, batches, workers if inside == 1 else 1)


def broadcast(
    x: np.ndarray, kernel: np.ndarray, axes: list[int], start: list[int], count: list[int], workers: int
) -> np.ndarray:
    """y[i, ...] = sum_p kernel[p, ...] x[start + i + p, ...], zero outside, by one transform along these axes.

    Along the other axes the two broadcast. Nothing is asked of the numbers: one that is not finite spoils all.

    x, kernel : of as many dimensions and of one floating or complex dtype, that of the result
    start, count : a number for each of the axes
    """
    rest = [a for a in range(x.ndim) if a not in axes]
    beside = np.broadcast_shapes(*([y.shape[a] for a in rest] for y in (x, kernel)))

    def flat(y: np.ndarray) -> np.ndarray:
        y = y.transpose(*rest, *axes)
        of = y.shape[len(rest) :]
        alike = math.prod(y.shape[: len(rest)]) == 1
        return y.reshape(1, *of) if alike else np.broadcast_to(y, (*beside, *of)).reshape(-1, *of)

    out = np.empty((math.prod(beside), *count), x.dtype)
    points = tuple(good_size(x.shape[a] + kernel.shape[a] - 1) for a in axes)
    whole(flat(x), flat(kernel), tuple(start), out, points, workers)
    return np.ascontiguousarray(out.reshape(*beside, *count).transpose(np.argsort([*rest, *axes])))


def _box(low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
    """low : high along the axes behind the first."""
    return (slice(None), *map(slice, low, high))
