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
AT_ONCE = 1 << 12  # rings whose factors are computed at once
DIRECT = 5  # levels whose factors are exponentials; those of a later one are products of two, which is as good
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
    lanes, turn, first = _runtime.kernel(name, "spectral").lanes(), np.array([0.25]), []
    n, radix = points // lanes & -(points // lanes), points // (points & -points)
    while len(turn) < lanes:
        first.append(_wave(turn / 2, -1))
        turn = _parts(turn, 2)
    top = np.concatenate([np.empty((0, 2)), *first]).astype(dtype)
    odd = np.stack([_wave(turn * k / radix, 0) for k in range(1, radix)] or [np.empty(0)]).astype(dtype)
    turn = np.concatenate([(turn[None] + k) / radix for k in range(radix)])  # [ring, lane]
    levels = n.bit_length() // 2
    turns = np.empty((radix * (4**levels - 1) // 3, 3, 2, lanes), dtype)
    done = 0
    for level in range(levels):
        if 0 < level <= DIRECT:
            turn = _parts(turn, 4)
        offsets = np.zeros(1)  # a ring of DIRECT has so many parts, modulo z^n - e^(2 pi i (t + offset) / len(offsets))
        for digit in range(level - DIRECT):
            offsets = (offsets[:, None] + 4**digit * np.arange(4)).reshape(-1)
        some = max(AT_ONCE // len(offsets), 1)
        for i in range(0, len(turn), some):
            for k in (1, 2, 3):
                factor = k / (4 * len(offsets))
                wave = _unit(turn[i : i + some] * factor)[:, None] * _unit(offsets * factor)[:, None]
                to = turns[done : done + wave.shape[0] * len(offsets), k - 1]
                to[:, 0], to[:, 1] = wave.real.reshape(-1, lanes), wave.imag.reshape(-1, lanes)
            done += wave.shape[0] * len(offsets)
    return points, n, radix, top, odd, _wave(np.arange(radix) / radix, -1).astype(dtype), turns


_remembered = functools.lru_cache(64)(_ring)


def _parts(turn: np.ndarray, radix: int) -> np.ndarray:
    """The rings of the next level, those of one ring behind each other."""
    return np.stack([(turn + k) / radix for k in range(radix)], 1).reshape(-1, *turn.shape[1:])


def _wave(turn: np.ndarray, axis: int) -> np.ndarray:
    """Real and imaginary part of e^(2 pi i turn)."""
    wave = _unit(turn)
    return np.stack([wave.real, wave.imag], axis)


def _unit(turn: np.ndarray) -> np.ndarray:
    """e^(2 pi i turn); angles are at most an eighth of a turn, for their rounding."""
    quarter = np.rint(turn * 4)
    wave: np.ndarray = np.exp(2j * np.pi * (turn - quarter / 4)) * np.array([1, 1j, -1, -1j])[quarter.astype(int) % 4]
    return wave
