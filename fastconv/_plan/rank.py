"""Kernels that are an outer product, found by elimination and checked entry by entry."""
from __future__ import annotations

import numpy as np


def outer_factors(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """``(column, row)`` with ``outer(column, row) == kernel``, or None where there are none.

    Whole numbers are factored in whole numbers, so that sums which are exact stay exact; this is the only way
    for integer dtypes. Other kernels may miss by a few roundings in an entry, not more than one multiplication
    each would, so the sum's error bound holds.
    """
    dtype = kernel.dtype
    real = kernel.real if dtype.kind == "c" else kernel
    if dtype.kind == "c" and kernel.imag.any():
        return None
    if not np.isfinite(real).all():
        return None
    peak = np.abs(real.astype(np.float64)).max()
    if peak == 0:
        return np.zeros(kernel.shape[0], dtype), np.zeros(kernel.shape[1], dtype)
    if peak < 2**31 and (dtype.kind in "iu" or (real == np.rint(real)).all()):
        factors = _whole_factors(real.astype(np.int64))
        if factors is not None or dtype.kind in "iu":
            return factors and (factors[0].astype(dtype), factors[1].astype(dtype))
    elif dtype.kind in "iu":
        return None
    i, j = np.unravel_index(np.abs(real).argmax(), real.shape)
    column, row = real[:, j] / real[i, j], real[i]
    if (np.abs(np.outer(column, row) - real) <= 4 * np.finfo(real.dtype).eps * np.abs(real)).all():
        return column.astype(dtype), row.astype(dtype)
    return None


def _whole_factors(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    i, j = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    row = kernel[i] // np.gcd.reduce(kernel[i])
    column = kernel[:, j] // row[j]
    return (column, row) if (np.outer(column, row) == kernel).all() else None
