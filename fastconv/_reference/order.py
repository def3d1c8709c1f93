"""Filters by order, from their definition: all that a window holds, sorted.

NaN is the largest number in a rank, as `numpy.sort` has it, and wins in an extremum, as in `numpy.maximum`.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import source

__all__ = ["largest", "ranked", "smallest"]


def largest(
    x: np.ndarray, footprint: np.ndarray, starts: Sequence[int], boundaries: Sequence[str], fill: Any
) -> np.ndarray:
    """Find the largest number in a window around each element.

    ``y[i] = max X[i + starts + p] over p where footprint[p]``, X being `x` continued by a boundary on each axis.

    Parameters
    ----------
    x : ndarray
    footprint : ndarray of bool, of as many dimensions, not all False
    starts : sequence of int
        Where the footprint begins, seen from its output.
    boundaries : sequence of {'fill', 'wrap', 'symm', 'mirror', 'nearest'}
    fill : scalar
        What 'fill' finds outside.

    Returns
    -------
    ndarray, of the shape and dtype of `x`
    """
    return np.asarray(np.maximum.reduce(_held(x, footprint, starts, boundaries, fill)))


def smallest(
    x: np.ndarray, footprint: np.ndarray, starts: Sequence[int], boundaries: Sequence[str], fill: Any
) -> np.ndarray:
    """Find the smallest number; parameters and result are as in `largest`."""
    return np.asarray(np.minimum.reduce(_held(x, footprint, starts, boundaries, fill)))


def ranked(
    x: np.ndarray, footprint: np.ndarray, starts: Sequence[int], boundaries: Sequence[str], fill: Any, rank: int
) -> np.ndarray:
    """Find the number at position `rank` of the sorted window; all else is as in `largest`."""
    return np.asarray(np.sort(_held(x, footprint, starts, boundaries, fill), axis=0)[rank])


def _held(
    x: np.ndarray, footprint: np.ndarray, starts: Sequence[int], boundaries: Sequence[str], fill: Any
) -> np.ndarray:
    """What the window of each element holds, along a new first axis."""
    # One more element on each axis holds the fill value: source sends what lies outside there.
    ringed = np.full([n + 1 for n in x.shape], fill, x.dtype)
    ringed[tuple(slice(n) for n in x.shape)] = x
    return np.stack([
        ringed[np.ix_(*(
            source(np.arange(n) + start + tap, n, boundary)
            for n, start, tap, boundary in zip(x.shape, starts, at, boundaries, strict=True)
        ))]
        for at in np.argwhere(footprint).tolist()
    ])  # fmt: skip
