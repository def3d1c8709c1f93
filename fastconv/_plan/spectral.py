"""Correlation by transforms of blocks: overlap-save, in any number of dimensions.

A block of N numbers gives the outputs that see no more than these. With t outputs along an axis whose kernel has k
taps, it reads t + k - 1 samples there, packed row behind row,

    N >= (t + k - 1) (u + l - 1) ...,

and neighbouring blocks overlap by k - 1. Where zeros lie outside, one block for all of an axis need not hold them: what
wraps round must only meet no output. See `_kernels/spectral.pyx` for what is done to a block.

The error of an output is at most ``c eps log2(N) ||block||_2 ||taps||_2``: it follows the block's largest samples, not
the output, and a sample that is not finite spoils its block, so callers see to it that there is none.
"""
from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .. import _reference, _runtime
from . import rings
from .dtypes import BOUNDARIES, CODES

BATCH_BYTES = 1 << 19  # of transforms of the FFT library that are done at once
FLAT_BYTES = 1 << 22  # of blocks of three dimensions and more, likewise
MOST_POINTS = 1 << 40  # of a ring: more than any memory holds
CACHES = ((1 << 17, 1.15), (1 << 18, 1.35), (1 << 20, 1.8))  # bytes of a block, and by what it costs more from there on
CALLS = 1 << 10  # what a block costs beside its transforms, in units of N log2(N)
ROW = 1 << 8  # what each of its rows costs
WIDE = 2  # times as wide, for its height, are blocks whose rows are few
BESIDE = 16  # columns of a tile at least, where the kernel is one column: a line of the cache


class Tiles(NamedTuple):
    """How outputs are shared out to blocks."""

    shape: tuple[int, ...]  # outputs of a block, axis by axis
    sides: tuple[int, ...]  # numbers of a block
    points: int  # of its ring
    work: float  # of all blocks and the taps: N log2(N), and more where a block leaves the cache


@functools.lru_cache(1024)
def tiles(
    dtype: np.dtype, kernel: tuple[int, ...], count: tuple[int, ...], whole: tuple[int, ...], one: bool = False
) -> Tiles:
    """The tiles that cost least, or `one` of all; `whole`: see `whole_sides`."""
    each = 1 if dtype.kind == "c" else 2  # numbers to a point
    most = math.prod(whole)
    least = most if one else min(most, math.prod(k + BESIDE if k > 1 else 1 for k in kernel))
    chosen, best = None, math.inf
    worse = 0  # sizes since the best one
    points = rings.good_size(-(-least // each))
    while points <= MOST_POINTS and worse < 4:
        shape, sides = _shape(points * each, kernel, count, whole)
        if shape:
            fitting = rings.good_size(-(-math.prod(sides) // each))
            blocks = math.prod(-(-n // t) for n, t in zip(count, shape, strict=True))
            aside = CALLS + math.prod(sides[:-1]) * ROW
            work = (blocks + 0.5) * _work(fitting * each, dtype.itemsize) + blocks * aside
            worse += 1
            if work < best:
                chosen, best, worse = Tiles(shape, sides, fitting, work), work, 0
        if points * each >= most:
            break
        points = rings.good_size(points + 1)
    if chosen is None:
        raise MemoryError(f"a kernel of shape {kernel} is too large for transforms")
    return chosen


def whole_sides(
    n: Sequence[int], kernel: Sequence[int], start: Sequence[int], count: Sequence[int], zero: bool
) -> tuple[int, ...]:
    """Numbers that one block needs along each axis to give all outputs; `zero`: nothing but zeros lies outside.

    Of samples low .. high-1 the first is number 0 of the block, and output i number start + i + k - 1 - low. All sums
    that are not zero end at high + k - 2 - low, and if they wrap round, then to before the first output.
    """
    if not zero:
        return tuple(m + k - 1 for m, k in zip(count, kernel, strict=True))
    sides = []
    for size, k, s, m in zip(n, kernel, start, count, strict=True):
        over = min(max(-s, 0), k - 1)
        high = min(s + m + k - 1, size)
        sides.append(max(m + k - 1 - over, high - s, k))
    return tuple(sides)


def _work(n: int, itemsize: int) -> float:
    work = n * math.log2(n)
    for size, factor in reversed(CACHES):
        if n * itemsize >= size:
            return work * factor
    return work


def _shape(
    n: int, kernel: tuple[int, ...], count: tuple[int, ...], whole: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Outputs and numbers of a block of n, axis by axis; nothing where the kernel alone is more.

    Most outputs come of sides in proportion to k - 1, and rows had better be few; what is longer than the whole axis
    leaves more to the others.
    """
    side, share = [0 if k > 1 else 1 for k in kernel], [k - 1 for k in kernel]
    if len(kernel) > 1:
        share[-1] *= WIDE
    if kernel[-1] == 1:
        side[-1] = min(count[-1], BESIDE)
    while not all(side):
        left = [a for a, s in enumerate(side) if not s]
        scale = (n / math.prod(s or share[a] for a, s in enumerate(side))) ** (1 / len(left))
        fits = [a for a in left if whole[a] <= scale * share[a]]
        for a in fits or left:
            side[a] = whole[a] if fits else max(int(scale * share[a] + 1e-9), 1)
    for a in reversed(range(len(side))):  # what is left, to axes along which there is nothing to sum
        if kernel[a] == 1:
            side[a] = max(min(n // (math.prod(side) // side[a]), count[a]), 1)
    shape = []
    for a, (k, m) in enumerate(zip(kernel, count, strict=True)):
        if side[a] >= whole[a]:
            shape.append(m)
        elif side[a] < k:
            return (), ()
        else:
            shape.append(-(-m // -(-m // (side[a] - k + 1))))
            side[a] = shape[a] + k - 1
            if shape[a] == m:
                side[a] = whole[a]
    return tuple(shape), tuple(side)


def correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Sequence[int],
    boundary: str,
    fill: Any,
    out: np.ndarray,
    method: Tiles,
    workers: int,
) -> float:
    """out[..., i, j] = sum_pq kernel[p, q] X[..., start0 + i + p, ...], X being x continued by a boundary.

    So in any number of dimensions, that of the kernel.

    x : (..., n, m), native, aligned   IN
    kernel : (k, l) of float or complex dtype   IN
    out : (..., h, w); integers are rounded   OUT

    Returns the squares of all that was seen times those of the taps: not finite if any of it is not.
    """
    if x.dtype.kind == "c" and boundary == "fill" and fill:  # only of real numbers does the kernel know a fill value
        low = [max(-s, 0) for s in start]
        high = [max(s + m + k - 1 - n, 0) for s, m, k, n in zip(
            start, out.shape[-kernel.ndim :], kernel.shape, x.shape[-kernel.ndim :], strict=True)]  # fmt: skip
        around = [(0, 0)] * (x.ndim - kernel.ndim) + list(zip(low, high, strict=True))
        x, start, fill = np.pad(x, around, constant_values=fill), [s + i for s, i in zip(start, low, strict=True)], 0
    if kernel.ndim > 2:
        return _flat(x, kernel, start, boundary, fill, out, method, workers)
    if kernel.ndim == 1:
        x, out, kernel, start = x[..., None, :], out[..., None, :], kernel[None], (0, *start)
        method = method._replace(shape=(1, *method.shape), sides=(1, *method.sides))
    complex_ = kernel.dtype.kind == "c"
    if complex_ and x.strides[-1] != x.itemsize:
        x = np.ascontiguousarray(x)
    name = "f32" if kernel.real.itemsize == 4 else "f64"
    code = 0 if x.dtype == kernel.dtype else CODES[x.dtype]
    whole = out.itemsize if out.dtype.kind in "iu" else 0
    squares: float = _runtime.kernel(name, "spectral").correlate(
        x, code, out, whole, np.ascontiguousarray(kernel), start, BOUNDARIES[boundary], 0 if complex_ else fill,
        method.shape, method.sides, rings.ring(name, method.points), complex_, workers,
    )  # fmt: skip
    return squares


def _flat(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Sequence[int],
    boundary: str,
    fill: Any,
    out: np.ndarray,
    method: Tiles,
    workers: int,
) -> float:
    """`correlate` in more dimensions than two: blocks are packed here, and seen as lines."""
    d = kernel.ndim
    packed = method.sides
    line = np.zeros(packed, kernel.dtype)
    line[tuple(slice(k) for k in kernel.shape)] = kernel
    size = math.prod(packed)
    last = sum((k - 1) * math.prod(packed[a + 1 :]) for a, k in enumerate(kernel.shape))  # where the last tap stands
    line = line.reshape(-1)[: last + 1]
    at_once = max(1, FLAT_BYTES // (size * kernel.itemsize))
    corners = list(product(*(range(n) for n in out.shape[:-d]), *map(range, [0] * d, out.shape[-d:], method.shape)))
    blocks = np.empty((at_once, *packed), kernel.dtype)
    sums = np.empty((at_once, size - last), out.dtype)
    squares = 0.0
    for done in range(0, len(corners), at_once):
        some = corners[done : done + at_once]
        for block, corner in zip(blocks, some, strict=False):
            block[...] = _stretch(x[corner[:-d]], [s + i for s, i in zip(start, corner[-d:], strict=True)], packed,
                                  boundary, fill)  # fmt: skip
        squares += correlate(
            blocks[: len(some)].reshape(len(some), -1), line, (0,), "fill", 0, sums[: len(some)],
            Tiles((size - last,), (size,), method.points, 0), workers,
        )  # fmt: skip
        for values, corner in zip(sums, some, strict=False):
            to = out[corner[:-d]][tuple(slice(i, i + t) for i, t in zip(corner[-d:], method.shape, strict=True))]
            filled = np.empty(packed, out.dtype)
            filled.reshape(-1)[: size - last] = values
            to[...] = filled[tuple(map(slice, to.shape))]
    return squares


def _stretch(x: np.ndarray, first: Sequence[int], size: Sequence[int], boundary: str, fill: Any) -> np.ndarray:
    """So much of x from `first` on, with the boundary where that reaches over the rim."""
    for axis, (i, m, n) in enumerate(zip(first, size, x.shape, strict=True)):
        before = (slice(None),) * axis
        if i >= 0 and i + m <= n:
            x = x[(*before, slice(i, i + m))]
        elif boundary != "fill":
            x = x.take(_reference.source(np.arange(i, i + m), n, boundary), axis)
        else:
            framed = np.full((*x.shape[:axis], m, *x.shape[axis + 1 :]), fill, x.dtype)
            framed[(*before, slice(max(-i, 0), max(n - i, 0)))] = x[(*before, slice(max(i, 0), max(i + m, 0)))]
            x = framed
    return x


# --- a library's transforms ------------------------------------------------------------------------------


@functools.cache
def engine() -> ModuleType:
    try:
        return importlib.import_module("scipy.fft")
    except ImportError:
        return np.fft


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


def broadcast(
    x: np.ndarray, kernel: np.ndarray, axes: list[int], start: list[int], count: list[int], workers: int
) -> np.ndarray:
    """y[i, ...] = sum_p kernel[p, ...] x[start + i + p, ...], zero outside, by one transform along these axes.

    Along the other axes the two broadcast. Nothing is asked of the numbers: one that is not finite spoils all. The
    transforms are SciPy's where there is one, so they are made for every floating dtype.

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

    x, kernel = flat(x), flat(kernel)
    out = np.zeros((math.prod(beside), *count), x.dtype)
    points = [good_size(n + k - 1) for n, k in zip(x.shape[1:], kernel.shape[1:], strict=True)]
    at_once = max(1, BATCH_BYTES // (math.prod(points) * x.itemsize))
    reach = np.array(kernel.shape[1:]) - 1
    first = start + reach  # of all outputs, the first that is asked for
    low = np.clip(-first, 0, out.shape[1:])
    high = np.clip(x.shape[1:] + reach - first, low, out.shape[1:])
    forth, back = _transforms(x.dtype.kind == "c", points, workers)

    def spectra(y: np.ndarray) -> Callable[[slice], np.ndarray]:
        if len(y) > 1:
            return lambda some: forth(y[some])
        for_all = forth(y)
        return lambda some: for_all

    samples, taps = spectra(x), spectra(np.flip(kernel, tuple(range(1, kernel.ndim))))
    for b in range(0, len(out), at_once):
        some = slice(b, b + at_once)
        with np.errstate(all="ignore"):
            y = back(samples(some) * taps(some))
            out[some][_box(low, high)] = y[_box(first + low, first + high)]
    return np.ascontiguousarray(out.reshape(*beside, *count).transpose(np.argsort([*rest, *axes])))


Transform = Callable[[np.ndarray], np.ndarray]


def _transforms(complex_: bool, points: list[int], workers: int) -> tuple[Transform, Transform]:
    """Forward and inverse transforms over all axes but the first: scipy.fft, or numpy.fft on one thread without it."""
    fft = engine()
    options: dict[str, Any] = {} if fft is np.fft else {"workers": workers}
    options |= {"s": points, "axes": range(1, len(points) + 1)}
    forward, inverse = (fft.fftn, fft.ifftn) if complex_ else (fft.rfftn, fft.irfftn)
    return functools.partial(forward, **options), functools.partial(inverse, **options)


def _box(low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
    """low : high along the axes behind the first."""
    return (slice(None), *map(slice, low, high))
