"""The rings in which blocks are multiplied: their sizes, and the factors by which they are split.

See `_kernels/spectral.pyx`: C[z] / (z^M - i) is split by the lanes of a vector, by an odd radix, and by 4 and 2 from
there on. Of a ring modulo z^rn - e^(2 pi i t) the parts are modulo z^n - e^(2 pi i (t + k) / r).
"""
from __future__ import annotations

import functools

import numpy as np

from .. import _runtime

RADICES = (1, 3, 5, 7)
REMEMBERED = 1 << 18  # points of a ring whose factors are kept
LEAST = 1 << 8  # of the power of two in a ring: a square of vectors, whatever the instruction set


@functools.lru_cache(1024)
def good_size(n: int) -> int:
    """The least M from n on that rings have: an odd radix times a power of two."""
    return min(r * max(LEAST, 1 << (-(-n // r) - 1).bit_length()) for r in RADICES)


Ring = tuple[int, int, int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def ring(name: str, points: int) -> Ring:
    """What the kernels of an element type take to split a ring of so many points, a good size."""
    return _remembered(name, points) if points <= REMEMBERED else _ring(name, points)


def _ring(name: str, points: int) -> Ring:
    dtype = np.dtype(name[0] + str(int(name[1:]) // 8))
    kernel = _runtime.kernel(name, "spectral")
    lanes, turn, first = kernel.lanes(), np.array([0.25]), []
    n, radix = points // lanes & -(points // lanes), points // (points & -points)
    while len(turn) < lanes:
        first.append(_wave(turn / 2, -1))
        turn = _parts(turn, 2)
    top = np.concatenate([np.empty((0, 2)), *first]).astype(dtype)
    odd = np.stack([_wave(turn * k / radix, 0) for k in range(1, radix)] or [np.empty(0)]).astype(dtype)
    turn = np.concatenate([(turn[None] + k) / radix for k in range(radix)])  # [ring, lane]
    levels = n.bit_length() // 2
    turns = np.empty((radix * (4**levels - 1) // 3, 3, 2, lanes), dtype)
    kernel.factors(turns, np.ascontiguousarray(turn), radix, levels)
    return points, n, radix, top, odd, _wave(np.arange(radix) / radix, -1).astype(dtype), turns


_remembered = functools.lru_cache(64)(_ring)


def _parts(turn: np.ndarray, radix: int) -> np.ndarray:
    """The rings of the next level, those of one ring behind each other."""
    return np.stack([(turn + k) / radix for k in range(radix)], 1).reshape(-1, *turn.shape[1:])


def _wave(turn: np.ndarray, axis: int) -> np.ndarray:
    """Real and imaginary part of e^(2 pi i turn); angles are at most an eighth of a turn, for their rounding."""
    quarter = np.rint(turn * 4)
    wave = np.exp(2j * np.pi * (turn - quarter / 4)) * np.array([1, 1j, -1, -1j])[quarter.astype(int) % 4]
    return np.stack([wave.real, wave.imag], axis)
