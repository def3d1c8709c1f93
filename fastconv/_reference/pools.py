"""The slow twins of the pools: every window on its own, from the definition.

Arrays hold planes in their last two axes. A window's places along an axis are a list of indices, one entry an
output: what lies in the padding is not in it.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

__all__ = ["adaptive_windows", "divided", "extreme", "scatter", "spread", "sums", "windows"]

Places = Sequence[np.ndarray]  # of each output along an axis, the samples that its window sees


def windows(size: int, kernel: int, stride: int, dilation: int, before: int, output: int) -> list[np.ndarray]:
    """The samples inside of each window, ``i stride - before + k dilation``."""
    taps = dilation * np.arange(kernel)
    return [at[(at >= 0) & (at < size)] for at in (i * stride - before + taps for i in range(output))]


def adaptive_windows(size: int, output: int) -> list[np.ndarray]:
    """Windows that cut an axis into `output` parts as equal as can be, ``i n // o`` to ``ceil((i + 1) n / o)``."""
    return [np.arange(i * size // output, -(-(i + 1) * size // output)) for i in range(output)]


def extreme(x: np.ndarray, rows: Places, columns: Places, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """The largest, or smallest, value of each window and its flat index in the plane.

    Of equals the first is taken, of several NaN the last.
    """
    y = np.empty((*x.shape[:-2], len(rows), len(columns)), x.dtype)
    index = np.empty(y.shape, np.int64)
    for (i, at0), (j, at1) in product(enumerate(rows), enumerate(columns)):
        best = x[..., at0[0], at1[0]]
        where = np.full(best.shape, at0[0] * x.shape[-1] + at1[0])
        for p, q in product(at0, at1):
            value = x[..., p, q]
            better = (value > best if largest else value < best) | (value != value)
            best = np.where(better, value, best)
            where = np.where(better, p * x.shape[-1] + q, where)
        y[..., i, j], index[..., i, j] = best, where
    return y, index


def sums(x: np.ndarray, rows: Places, columns: Places) -> np.ndarray:
    """The sum of each window, in the dtype's own arithmetic, tap by tap."""
    y = np.zeros((*x.shape[:-2], len(rows), len(columns)), x.dtype)
    for (i, at0), (j, at1) in product(enumerate(rows), enumerate(columns)):
        for p, q in product(at0, at1):
            y[..., i, j] += x[..., p, q]
    return y


def divided(sums: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Averages: each sum over the product of its row's and its column's count."""
    counts = np.multiply.outer(rows, columns).astype(sums.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(sums / counts)


def spread(shape: tuple[int, ...], rows: Places, columns: Places, grad: np.ndarray) -> np.ndarray:
    """The adjoint of `sums`: every output's gradient goes to all that its window has seen."""
    out = np.zeros(shape, grad.dtype)
    for (i, at0), (j, at1) in product(enumerate(rows), enumerate(columns)):
        for p, q in product(at0, at1):
            out[..., p, q] += grad[..., i, j]
    return out


def scatter(index: np.ndarray, values: np.ndarray, size: int, add: bool) -> np.ndarray:
    """(M, size, C) of zeros where values (M, n, C) stand, the last of several, or are added, at their indices."""
    out = np.zeros((values.shape[0], size, values.shape[2]), values.dtype)
    for plane, where, what in zip(out, index, values, strict=True):
        for e, c in np.ndindex(where.shape):
            plane[where[e, c], c] = plane[where[e, c], c] + what[e, c] if add else what[e, c]
    return out
