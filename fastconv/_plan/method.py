"""Which way is fastest: a cost model, in nanoseconds on one thread.

    direct       outputs * (taps * mac + sample)
    separable    outputs * ((rows + columns of the kernel) * mac + 3 * sample)
    FFT          blocks * N log2(N) * fft + FFT_CALLS       (both transforms and the product; tiles: fft2)

The constants are measured for each instruction set and element type by ``benchmarks/calibrate.py``, which
writes them to ``_plan/calibration.py``. Threads speed all ways up alike and stay out of it.
"""
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import _runtime
from . import rank, spectral
from .calibration import CONSTANTS

LONGEST_BLOCK = 1 << 15  # points of an overlap-save block
FFT_CALLS = 1e5  # what transforms take to be called and direct sums do not
LOOK = 1.5e5  # direct sums below which looking for factors costs more than it saves
TILE_BYTES = 1 << 19  # of a tile: with its transform it stays about L2
TILE_CALLS = 1500  # what calls for a tile cost, on each side, in units of N log2(N)


class Costs(NamedTuple):
    """Nanoseconds on one thread."""

    mac: float  # a multiply-add of a long kernel
    sample: float  # an output, whatever the kernel
    fft: float  # a point of a block, for each log2(points): both transforms and the product
    fft2: float  # the same of a tile


def costs(name: str) -> Costs:
    return Costs._make(CONSTANTS[_runtime.ISA][name])


def line_points(name: str, n: int, taps: int, count: int, lines: int) -> int:
    """Points of the FFTs that beat direct sums, or 0 where none do."""
    cost = costs(name)
    direct = lines * count * (taps * cost.mac + cost.sample)
    if direct < FFT_CALLS:
        return 0
    whole, blocks = spectral.good_size(n + taps - 1), spectral.block_size(taps, count, LONGEST_BLOCK)
    least, points = min((_fft_work(points, n, taps, count), points) for points in (whole, blocks))
    return points if lines * least * cost.fft + FFT_CALLS < direct else 0


def _fft_work(points: int, n: int, taps: int, count: int) -> float:
    """Points times their logarithm, of all the blocks that a line needs."""
    blocks = 1 if points >= n + taps - 1 else math.ceil(count / (points - taps + 1))
    if points > LONGEST_BLOCK:
        blocks *= 2  # out of cache
    return blocks * points * math.log2(points)


def tile_points(kernel: np.ndarray, count: tuple[int, int]) -> tuple[int, int]:
    """Points of the FFT tiles of least cost for a plane."""
    itemsize = kernel.itemsize if kernel.dtype.kind in "fc" else 8
    side = round(math.sqrt(TILE_BYTES / itemsize))
    first, second = (
        spectral.block_size(k, n, max(side, 4 * k), TILE_CALLS) for k, n in zip(kernel.shape, count, strict=True)
    )
    return first, second


def plane_method(name: str, kernel: np.ndarray, count: tuple[int, int]) -> tuple[str, rank.Factors | None]:
    """'direct', 'separable' with the kernel's factors, or 'fft', whichever costs least for a dense plane."""
    cost = costs(name)
    outputs = count[0] * count[1]
    choices = {"direct": outputs * (kernel.size * cost.mac + cost.sample)}
    if choices["direct"] < LOOK:
        return "direct", None
    factors = rank.outer_factors(kernel) if min(kernel.shape) > 1 else None
    if factors is not None:
        choices["separable"] = outputs * (sum(kernel.shape) * cost.mac + 3 * cost.sample)
    tile = tile_points(kernel, count)
    tiles = math.prod(math.ceil(n / (t - k + 1)) for n, t, k in zip(count, tile, kernel.shape, strict=True))
    points = tile[0] * tile[1]
    choices["fft"] = (tiles + 0.5) * points * math.log2(points) * cost.fft2 + FFT_CALLS
    best = min(choices, key=lambda way: choices[way])
    return best, factors if best == "separable" else None


def why_not_fft(x: np.ndarray, taps: np.ndarray, points: int, fill: Any = 0) -> str:
    """What in the numbers speaks against transforms of so many points; nothing if ''."""
    if x.dtype == taps.dtype and x.dtype.kind in "fc" and x.flags.forc:
        power = float(np.vdot(x, x).real) * float(np.vdot(taps, taps).real) * float(points * taps.size) ** 2
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


def _largest(x: np.ndarray) -> float:
    """The largest magnitude, of the parts where x is complex; NaN if there is one."""
    if x.dtype.kind == "c":
        return float(np.maximum(_largest(x.real), _largest(x.imag)))
    return abs(float(x.max())) if x.dtype.kind in "bu" else float(np.maximum(x.max(), -float(x.min())))
