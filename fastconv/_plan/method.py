"""Which way is fastest: a cost model, in nanoseconds on one thread.

    direct       outputs * (taps * mac + sample)            (of a kernel of several rows: mac2)
    separable    outputs * (terms * (taps of its factors * axis + sample / 2) + sample) + AXES_CALLS
    FFT          blocks * N log2(N) * fft + FFT_CALLS       (both transforms and the product; tiles: fft2)

The constants are measured for each instruction set and element type by ``benchmarks/calibrate.py``, which
writes them to ``_plan/calibration.py``. The number of threads stays out of it, or it would change results; but
transforms, and passes along axes, gain less by threads than sums do, for they share more memory and are shared out less
evenly: they count as dearer than measured.
"""
from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from .. import _runtime
from . import rank, spectral
from .calibration import CONSTANTS
from .dtypes import correlate_kernel, kernel_name

LONGEST_BLOCK = 1 << 15  # points of an overlap-save block
FFT_CALLS = 1e5  # what transforms take to be called and direct sums do not
LOOK = 1.5e5  # direct sums below which looking for factors costs more than it saves
TILE_BYTES = 1 << 19  # of a tile: with its transform it stays about L2
DEARER = 1.25  # transforms of lines, than measured on one thread: what they are beside sums on two
DEARER2 = 1.4  # of grids, whose tiles are few
DEARER_AXES = 1.25  # passes along axes, likewise
AXES_CALLS = 5e4  # what finding the factors, and calling for their passes, takes
REMEMBERED = 256  # kernels whose ways are kept
REMEMBERED_BYTES = 1 << 13  # of one at most
TILE_CALLS = 1500  # what calls for a tile cost, on each side, in units of N log2(N)


class Costs(NamedTuple):
    """Nanoseconds on one thread."""

    mac: float  # a multiply-add of a long kernel of one row
    mac2: float  # of a kernel of many rows
    axis: float  # of a separable one
    sample: float  # an output, whatever the kernel
    fft: float  # a point of a block, for each log2(points): both transforms and the product
    fft2: float  # the same of a tile


def costs(name: str) -> Costs:
    return Costs._make(CONSTANTS[_runtime.ISA][name])


@functools.lru_cache(1024)
def line_points(name: str, n: int, taps: int, count: int, lines: int) -> int:
    """Points of the FFTs that beat direct sums, or 0 where none do."""
    cost = costs(name)
    plain = direct(name, (taps,), lines * count)
    if plain < FFT_CALLS:
        return 0
    whole, blocks = spectral.good_size(n + taps - 1), spectral.block_size(taps, count, LONGEST_BLOCK)
    least, points = min((_fft_work(points, n, taps, count), points) for points in (whole, blocks))
    return points if lines * least * cost.fft * DEARER + FFT_CALLS < plain else 0


def _fft_work(points: int, n: int, taps: int, count: int) -> float:
    """Points times their logarithm, of all the blocks that a line needs."""
    blocks = 1 if points >= n + taps - 1 else math.ceil(count / (points - taps + 1))
    if points > LONGEST_BLOCK:
        blocks *= 2  # out of cache
    return blocks * points * math.log2(points)


class Way(NamedTuple):
    """A way to correlate a grid, and what is settled with it."""

    name: str  # 'direct', 'separable' or 'fft'
    factors: rank.Factors | None = None  # of a separable kernel, or of the terms of one
    points: tuple[int, ...] = ()  # of a transform along each axis, 1 where there is none
    whole: bool = False  # one transform of everything, or tiles


DIRECT = Way("direct")


def direct(name: str, kernel: tuple[int, ...], outputs: int) -> float:
    """What plain sums take, for a kernel of this shape."""
    cost = costs(name)
    taps, row = math.prod(kernel), max(kernel, default=1)
    return outputs * (taps * (cost.mac2 if taps > row else cost.mac) + cost.sample)


def separable(name: str, kernel: tuple[int, ...], outputs: int, terms: int) -> float:
    """What a kernel of so many terms takes, axis by axis."""
    cost = costs(name)
    axes = [k for k in kernel if k > 1]
    passes = terms * (sum(axes) * cost.axis + cost.sample / 2) + (len(axes) - 1) * cost.sample
    return outputs * passes * DEARER_AXES + AXES_CALLS


def is_small(name: str, kernel: tuple[int, ...], count: tuple[int, ...]) -> bool:
    """Whether plain sums are done before anything else has been thought of."""
    return direct(name, kernel, math.prod(count)) < LOOK


def grid_ways(
    name: str, kernel: np.ndarray, n: tuple[int, ...], count: tuple[int, ...], axes: list[int], zero: bool
) -> list[Way]:
    """The ways to correlate a dense grid along these axes, from the least cost on; 'direct' is among them."""
    if is_small(name, kernel.shape, count):
        return [DIRECT]
    if kernel.nbytes > REMEMBERED_BYTES:
        return _grid_ways(name, kernel, n, count, axes, zero)
    return _remembered(name, kernel.dtype, kernel.shape, kernel.tobytes(), n, count, tuple(axes), zero)


@functools.lru_cache(REMEMBERED)
def _remembered(
    name: str, dtype: np.dtype, shape: tuple[int, ...], taps: bytes, n: tuple[int, ...], count: tuple[int, ...],
    axes: tuple[int, ...], zero: bool,
) -> list[Way]:  # fmt: skip
    """`_grid_ways` of a kernel that may well come again: between sums that fill the caches it takes 40 microseconds."""
    return _grid_ways(name, np.frombuffer(taps, dtype).reshape(shape), n, count, list(axes), zero)


def _grid_ways(
    name: str, kernel: np.ndarray, n: tuple[int, ...], count: tuple[int, ...], axes: list[int], zero: bool
) -> list[Way]:
    outputs = math.prod(count)
    ways = [(direct(name, kernel.shape, outputs), DIRECT), fft_way(name, kernel, n, count, axes, zero)]
    if sum(k > 1 for k in kernel.shape) > 1:
        most = 1
        if takes_terms(kernel, axes):
            least = min(cost for cost, _ in ways) - LOOK
            while separable(name, kernel.shape, outputs, most + 1) < least:
                most += 1
        factors = rank.axis_factors(kernel, most)
        if factors is not None:
            terms = len(next(iter(factors.values())))
            ways.append((separable(name, kernel.shape, outputs, terms), Way("separable", factors)))
    return [way for _, way in sorted(ways, key=lambda way: way[0])]


def takes_terms(kernel: np.ndarray, axes: list[int]) -> bool:
    """Whether a kernel moving along these axes may go by several terms, which are summed in planes alone."""
    return axes == [kernel.ndim - 2, kernel.ndim - 1]


def fft_way(
    name: str, kernel: np.ndarray, n: tuple[int, ...], count: tuple[int, ...], axes: list[int], zero: bool
) -> tuple[float, Way]:
    """The cost of the transforms that cost least, and these: in tiles, or whole where it is zero outside."""
    cost = costs(name).fft2 * DEARER2
    itemsize = kernel.itemsize if kernel.dtype.kind in "fc" else 8
    axes = axes or [kernel.ndim - 1]
    side = round((TILE_BYTES / itemsize) ** (1 / len(axes)))
    tile, all_of_it = [1] * kernel.ndim, [1] * kernel.ndim
    for a in axes:
        k = kernel.shape[a]
        tile[a] = spectral.block_size(k, count[a], max(side, 4 * k), TILE_CALLS)
        all_of_it[a] = spectral.good_size(n[a] + k - 1)
    tiles = math.prod(math.ceil(m / (t - k + 1)) for m, t, k in zip(count, tile, kernel.shape, strict=True))
    ways = [((tiles + 0.5) * _grid_work(tile, itemsize) * cost + FFT_CALLS, Way("fft", points=tuple(tile)))]
    if zero and all(kernel.shape[a] > 1 for a in axes):
        arrays = math.prod(m for a, m in enumerate(count) if a not in axes)
        work = (arrays + 0.5) * _grid_work(all_of_it, itemsize)
        ways.append((work * cost + FFT_CALLS, Way("fft", points=tuple(all_of_it), whole=True)))
    return min(ways, key=lambda way: way[0])


def _grid_work(points: list[int], itemsize: int) -> float:
    """Points of a transform times their logarithm; out of cache they count twice."""
    n = math.prod(points)
    return n * math.log2(n + 1) * (2 if n * itemsize > 4 * TILE_BYTES else 1)


def why_not_fft(x: np.ndarray, taps: np.ndarray, points: int, fill: Any = 0) -> str:
    """What in the numbers speaks against transforms of so many points; nothing if ''."""
    if x.dtype == taps.dtype and x.dtype.char in "fdFD" and _plain(x):
        power = _power(x) * _power(taps) * float(points * taps.size) ** 2
        if power < float(np.finfo(x.dtype).max) / 64 and not fill:
            return ""  # one look at the numbers: no sum in the transform is larger than the root of this
    largest = float(np.maximum(_largest(x), abs(fill)))  # NaN is the largest of all
    reach = largest * _largest(taps)
    if x.dtype.kind in "fc" or taps.dtype.kind in "fc":
        dtype = np.result_type(x, taps)
        limit = float(np.finfo(np.float32 if dtype == np.float16 else dtype).max)
        if not math.isfinite(reach):
            return "the input is not finite, and a transform would spread that"
        if not reach * points * taps.size < limit / 8:
            return f"the transform of numbers this large overflows {dtype}"
    elif not reach * math.sqrt(min(points, x.size) * taps.size) * math.log2(points + 1) * 4 * 2.0**-52 < 0.25:
        # the FFT's error in float64 must stay below a quarter, so that rounding finds the whole number
        return "these integers are too large for a transform to give exact sums"
    return ""


def _plain(x: np.ndarray) -> bool:
    return x.flags.forc and x.flags.aligned and x.dtype.isnative


def _power(x: np.ndarray) -> float:
    """The sum of the squares. Not by BLAS: its threads go on spinning where the work's own should run."""
    if not _plain(x):
        x = np.flip(x)  # taps are turned round where a convolution is meant
    x = x if _plain(x) else np.array(x)
    power: float = correlate_kernel(str(kernel_name(x.dtype))).power(x)
    return power


def _largest(x: np.ndarray) -> float:
    """The largest magnitude, of the parts where x is complex; NaN if there is one."""
    if x.dtype.kind == "c":
        return float(np.maximum(_largest(x.real), _largest(x.imag)))
    return abs(float(x.max())) if x.dtype.kind in "bu" else float(np.maximum(x.max(), -float(x.min())))
