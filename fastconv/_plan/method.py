"""Which way is fastest: a cost model, in nanoseconds on one thread.

    direct       outputs * taps * mac
    separable    outputs * (rows + columns of the kernel) * mac + outputs * pass
    FFT          blocks * N log2(N) * fft       (both transforms and the product)

The constants are measured for each instruction set and element type by ``benchmarks/calibrate.py``, which
writes them to ``_plan/calibration.py``. Threads speed all ways up alike and stay out of it.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .. import _runtime
from . import spectral
from .calibration import CONSTANTS

LONGEST_BLOCK = 1 << 15  # points of an overlap-save block
TILE_POINTS = 1 << 17  # points of a tile: near L2


class Costs(NamedTuple):
    """Nanoseconds on one thread."""

    mac: float  # a multiply-add of a long kernel
    sample: float  # an output, whatever the kernel
    fft: float  # a point of a block, for each log2(points): both transforms and the product


def costs(name: str) -> Costs:
    return Costs(*CONSTANTS[_runtime.ISA][name])


def line_points(name: str, taps: int, count: int, lines: int) -> int:
    """Points of the overlap-save blocks that beat direct sums, or 0 where none do."""
    if taps < 32 or count < 32:
        return 0
    cost = costs(name)
    points = spectral.block_size(taps, count, LONGEST_BLOCK)
    blocks = math.ceil(count / (points - taps + 1))
    fft = lines * blocks * points * math.log2(points) * cost.fft + 3e4
    return points if fft < lines * count * (taps * cost.mac + cost.sample) else 0


def tile_points(kernel: tuple[int, int], count: tuple[int, int]) -> tuple[int, int]:
    """Points of the FFT tiles of least cost for a plane."""
    square = round(math.sqrt(TILE_POINTS))
    return (
        spectral.block_size(kernel[0], count[0], max(square, 2 * kernel[0])),
        spectral.block_size(kernel[1], count[1], max(square, 2 * kernel[1])),
    )


def plane_method(name: str, kernel: tuple[int, int], count: tuple[int, int], rank_one: bool) -> str:
    """'direct', 'separable' or 'fft', whichever costs least."""
    cost = costs(name)
    outputs, area = count[0] * count[1], kernel[0] * kernel[1]
    choices = {"direct": outputs * (area * cost.mac + cost.sample)}
    if rank_one:
        choices["separable"] = outputs * (sum(kernel) * cost.mac + 3 * cost.sample)
    if area >= 64:
        tile = tile_points(kernel, count)
        tiles = math.ceil(count[0] / (tile[0] - kernel[0] + 1)) * math.ceil(count[1] / (tile[1] - kernel[1] + 1))
        points = tile[0] * tile[1]
        choices["fft"] = (tiles + 0.5) * points * math.log2(points) * cost.fft + 1e5
    return min(choices, key=lambda name: choices[name])


def whole_by_fft(x: np.ndarray, taps: np.ndarray, points: int) -> bool:
    """Whether integers come out right: the FFT's error in float64 stays below a quarter before rounding."""
    reach = math.sqrt(min(points, x.size)) * _largest(x) * math.sqrt(taps.size) * _largest(taps)
    return reach * math.log2(points + 1) * 4 * 2.0**-52 < 0.25


def _largest(x: np.ndarray) -> float:
    return float(max(-float(x.min()), float(x.max())))


def all_finite(x: np.ndarray) -> bool:
    """Whether every value is finite; a sum that overflows counts as not, which costs speed alone."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(x.sum()))
