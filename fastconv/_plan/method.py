"""Which way is fastest: a cost model, in nanoseconds on one thread.

    direct       outputs * (taps * mac + sample)            (of a kernel of several rows: mac2)
    separable    outputs * (terms * (taps of its factors * axis + sample / 2) + sample) + AXES_CALLS
    FFT          blocks * N log2(N) * fft + FFT_CALLS       (both transforms and the product)

The constants are measured for each instruction set and element type by ``benchmarks/calibrate.py``, which
writes them to ``_plan/calibration.py``. The number of threads stays out of it, or it would change results; but
transforms, and passes along axes, gain less by threads than sums do, for they share more memory and are shared out less
evenly: they count as dearer than measured.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _runtime
from . import rank, spectral
from .calibration import CONSTANTS

FFT_CALLS = 2e3  # what transforms take to be called and direct sums do not
SMALL = 4e4  # direct sums of a grid that are done before anything else has been thought of
LEAST_LOG = 11  # N log2(N) of a block over its outputs, at the least
LOOK = 1e5  # what it must take at least, where looking for factors is to cost no more than it saves
DEARER = 1.15  # transforms, than measured on one thread: what they are beside sums on two
DEARER_AXES = 1.25  # passes along axes, likewise
AXES_CALLS = 5e4  # what finding the factors, and calling for their passes, takes
REMEMBERED = 256  # kernels whose ways are kept
REMEMBERED_BYTES = 1 << 13  # of one at most
_DTYPES = {"f32": np.dtype("f4"), "c64": np.dtype("c8"), "c128": np.dtype("c16"), **dict.fromkeys(
    ("f64", "u8", "u16", "u32", "u64"), np.dtype("f8"))}  # of transforms


class Costs(NamedTuple):
    """Nanoseconds on one thread."""

    mac: float  # a multiply-add of a long kernel of one row
    mac2: float  # of a kernel of many rows
    axis: float  # of a separable one
    sample: float  # an output, whatever the kernel
    fft: float  # a number of a block, for each log2 of how many there are: both transforms and the product


@functools.cache
def costs(name: str) -> Costs:
    return Costs._make(CONSTANTS[_runtime.ISA][name])


def transformed(dtype: np.dtype) -> np.dtype:
    """The dtype that transforms numbers of one."""
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


@functools.lru_cache(1024)
def line_tiles(
    name: str, n: int, taps: int, start: int, shape: tuple[int, ...], axis: int, method: str
) -> spectral.Tiles | None:
    """The blocks of transforms along an axis of the outputs, if these beat direct sums; of an explicit `method` always.

    Lines along another axis than the last are a column of taps, over planes.
    """
    beside = shape[-1:] if axis < len(shape) - 1 else ()
    count = (shape[axis], *beside)
    kernel = (taps, *(1 for _ in beside))
    whole = (*spectral.whole_sides((n,), (taps,), (start,), count[:1], True), *beside)
    blocks = spectral.tiles(_DTYPES[name], kernel, count, whole, method == "fft")
    cost = transforms(name, blocks, math.prod(shape) // math.prod(count))
    return blocks if method != "auto" or cost < direct(name, (taps,), math.prod(shape)) else None


class Way(NamedTuple):
    """A way to correlate a grid, and what is settled with it."""

    name: str  # 'direct', 'separable' or 'fft'
    factors: rank.Factors | None = None  # of a separable kernel, or of the terms of one
    tiles: spectral.Tiles | None = None  # of transforms


DIRECT = Way("direct")


def direct(name: str, kernel: tuple[int, ...], outputs: int) -> float:
    """What plain sums take, for a kernel of this shape."""
    cost = costs(name)
    taps, row = math.prod(kernel), max(kernel, default=1)
    return outputs * (taps * (cost.mac2 if taps > row else cost.mac) + cost.sample)


def transforms(name: str, tiles: spectral.Tiles, arrays: int) -> float:
    """What transforms of so many arrays take, in these tiles."""
    return arrays * tiles.work * costs(name).fft * DEARER + FFT_CALLS


def separable(name: str, kernel: tuple[int, ...], outputs: int, terms: int) -> float:
    """What a kernel of so many terms takes, axis by axis."""
    cost = costs(name)
    axes = [k for k in kernel if k > 1]
    passes = terms * (sum(axes) * cost.axis + cost.sample / 2) + (len(axes) - 1) * cost.sample
    return outputs * passes * DEARER_AXES + AXES_CALLS


def is_plain(name: str, kernel: tuple[int, ...], count: tuple[int, ...]) -> bool:
    """Whether plain sums are done before anything else is thought of: they are few, or no way could be faster."""
    return direct(name, kernel, math.prod(count)) < SMALL or _unbeaten(name, kernel)


@functools.lru_cache(1024)
def is_plain_line(name: str, taps: int, outputs: int) -> bool:
    """The same of a line, which has no factors."""
    cost = direct(name, (taps,), outputs)
    return cost < FFT_CALLS or cost < outputs * costs(name).fft * DEARER * LEAST_LOG


@functools.lru_cache(1024)
def _unbeaten(name: str, kernel: tuple[int, ...]) -> bool:
    """Whether plain sums cost less than one term of factors and the least that a transform could, output for output."""
    cost = costs(name)
    term = separable(name, kernel, 1, 1) - AXES_CALLS
    return direct(name, kernel, 1) < min(term, cost.fft * DEARER * LEAST_LOG)


class Grid(NamedTuple):
    """A dense grid, all that the choice of a way asks of it but its kernel."""

    name: str  # of the element type
    n: tuple[int, ...]
    start: tuple[int, ...]
    outputs: tuple[int, ...]
    axes: tuple[int, ...]  # along which the kernel moves
    zero: bool  # nothing but zeros lies outside
    fft: bool = True  # transforms are possible


def grid_way(grid: Grid, kernel: np.ndarray) -> Way:
    """The way of least cost."""
    if is_plain(grid.name, kernel.shape, grid.outputs):
        return DIRECT
    if kernel.nbytes > REMEMBERED_BYTES:
        return _grid_way(grid, kernel)
    return _remembered(grid, kernel.dtype, kernel.shape, kernel.tobytes())


@functools.lru_cache(REMEMBERED)
def _remembered(grid: Grid, dtype: np.dtype, shape: tuple[int, ...], taps: bytes) -> Way:
    """`_grid_way` of a kernel that may well come again: between sums that fill the caches it takes 40 microseconds."""
    return _grid_way(grid, np.frombuffer(taps, dtype).reshape(shape))


def _grid_way(grid: Grid, kernel: np.ndarray) -> Way:
    outputs = math.prod(grid.outputs)
    ways = [(direct(grid.name, kernel.shape, outputs), DIRECT)]
    if grid.fft:
        ways.append(fft_way(grid, kernel))
    least = min(cost for cost, _ in ways)
    if sum(k > 1 for k in kernel.shape) > 1 and least > LOOK:
        most = 1
        if takes_terms(kernel, grid.axes):
            while separable(grid.name, kernel.shape, outputs, most + 1) < least - LOOK:
                most += 1
        factors = rank.axis_factors(kernel, most)
        if factors is not None:
            terms = len(next(iter(factors.values())))
            ways.append((separable(grid.name, kernel.shape, outputs, terms), Way("separable", factors)))
    return min(ways, key=lambda way: way[0])[1]


def takes_terms(kernel: np.ndarray, axes: Sequence[int]) -> bool:
    """Whether a kernel moving along these axes may go by several terms, which are summed in planes alone."""
    return list(axes) == [kernel.ndim - 2, kernel.ndim - 1]


def fft_way(grid: Grid, kernel: np.ndarray) -> tuple[float, Way]:
    """The cost of transforms, and their tiles."""
    axes = grid.axes or (kernel.ndim - 1,)
    whole = spectral.whole_sides(grid.n, kernel.shape, grid.start, grid.outputs, grid.zero and len(axes) < 3)
    sizes = (tuple(numbers[a] for a in axes) for numbers in (kernel.shape, grid.outputs, whole))
    tiles = spectral.tiles(_DTYPES[grid.name], *sizes)
    arrays = math.prod(m for a, m in enumerate(grid.outputs) if a not in axes)
    return transforms(grid.name, tiles, arrays), Way("fft", tiles=tiles)


def are_small(squares_: float, dtype: np.dtype, taps: int, points: int) -> bool:
    """Whether numbers whose squares, times those of the taps, are so many never overflow; or their sums are exact."""
    n = 2 * points
    if dtype.kind not in "fc":
        return _exact(math.sqrt(squares_), n)
    limit: float = float(np.finfo(dtype).max) / 64  # no sum in the transform is larger than its root
    return squares_ * float(n * taps) ** 2 < limit


def were_right(squares_: float, x: np.ndarray, taps: np.ndarray, points: int, fill: Any = 0) -> bool:
    """Whether the result of transforms that saw numbers of such squares, times those of the taps, counts."""
    return are_small(squares_, x.dtype, taps.size, points) or not why_not_fft(x, taps, points, fill)


def _exact(norms: float, n: int) -> bool:
    """Whether integers with this product of norms go through a transform of n numbers and can be rounded to the sums.

    The FFT's error in float64 must stay below a quarter.
    """
    return norms * math.log2(n + 1) * 4 * 2.0**-52 < 0.25


def why_not_fft(x: np.ndarray, taps: np.ndarray, points: int, fill: Any = 0) -> str:
    """What in the numbers speaks against a ring of so many points; nothing if ''."""
    plain = x.dtype == taps.dtype and x.dtype.char in "fdFD" and _plain(x) and not fill
    if plain and are_small(squares(x) * squares(taps), x.dtype, taps.size, points):
        return ""  # one look at the numbers
    largest = float(np.maximum(_largest(x), abs(fill)))  # NaN is the largest of all
    reach = largest * _largest(taps)
    if x.dtype.kind in "fc" or taps.dtype.kind in "fc":
        dtype = np.result_type(x, taps)
        limit = float(np.finfo(np.float32 if dtype == np.float16 else dtype).max)
        if not math.isfinite(reach):
            return "the input is not finite, and a transform would spread that"
        if not reach * 2 * points * taps.size < limit / 8:
            return f"the transform of numbers this large overflows {dtype}"
    elif not _exact(reach * math.sqrt(min(2 * points, x.size) * taps.size), 2 * points):
        return "these integers are too large for a transform to give exact sums"
    return ""


def _plain(x: np.ndarray) -> bool:
    return x.flags.forc and x.flags.aligned and x.dtype.isnative


def squares(x: np.ndarray) -> float:
    """The sum of the squares of floats. Not by BLAS: its threads go on spinning where the work's own should run."""
    if not _plain(x):
        x = np.flip(x)  # taps are turned round where a convolution is meant
    x = x if _plain(x) else np.array(x)
    total: float = _runtime.kernel("f32" if x.real.itemsize == 4 else "f64", "spectral").squares(x)
    return total


def _largest(x: np.ndarray) -> float:
    """The largest magnitude, of the parts where x is complex; NaN if there is one."""
    if x.dtype.kind == "c":
        return float(np.maximum(_largest(x.real), _largest(x.imag)))
    return abs(float(x.max())) if x.dtype.kind in "bu" else float(np.maximum(x.max(), -float(x.min())))
