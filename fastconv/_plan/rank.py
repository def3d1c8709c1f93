"""Kernels that are an outer product, found by elimination and checked entry by entry."""
from __future__ import annotations

import numpy as np

Factors = dict[int, np.ndarray]  # by axis


def outer_factors(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """``(column, row)`` with ``outer(column, row) == kernel``, or None where there are none.

    Whole numbers are factored in whole numbers, so that sums which are exact stay exact; this is the only way
    for integer dtypes. Other kernels may miss by a few roundings in an entry, not more than one multiplication
    each would, so the sum's error bound holds.
    """
    dtype = kernel.dtype
    if _corners_differ(kernel) or not np.isfinite(kernel).all():
        return None
    i, j = np.unravel_index(np.abs(kernel.astype(np.result_type(dtype, np.float64))).argmax(), kernel.shape)
    pivot = kernel[i, j]
    if pivot == 0:
        return np.zeros(kernel.shape[0], dtype), np.zeros(kernel.shape[1], dtype)
    if dtype.kind in "iu" or (dtype.kind == "f" and (kernel == np.rint(kernel)).all()):
        whole = _whole_factors(kernel.astype(np.int64), i, j) if -(2**31) < pivot < 2**31 else None
        if whole is not None or dtype.kind in "iu":
            return whole and (whole[0].astype(dtype), whole[1].astype(dtype))
    column, row = kernel[:, j] / pivot, kernel[i]
    roundings = 4 if dtype.kind == "f" else 12  # a complex product or quotient rounds more than once
    with np.errstate(all="ignore"):
        missed = np.abs(np.outer(column, row) - kernel)
        if (missed <= roundings * np.finfo(dtype).eps * np.abs(kernel)).all():
            return column.astype(dtype), row.astype(dtype)
    return None


def _corners_differ(kernel: np.ndarray) -> bool:
    """Whether four entries alone show that there are no factors, as of most kernels: it takes a microsecond."""
    a, b, c, d = (kernel[i, j].item() for i in (0, -1) for j in (0, -1))
    try:
        return bool(abs(a * d - b * c) > 1e-3 * (abs(a * d) + abs(b * c)))
    except OverflowError:  # of the magnitude of a complex number
        return False


def axis_factors(kernel: np.ndarray) -> Factors | None:
    """The factor of every axis that has more than one tap, their outer product being the kernel, or None.

    Each split of an axis from the rest may miss by as much as `outer_factors` allows.
    """
    axes = [a for a, k in enumerate(kernel.shape) if k > 1]
    rest = kernel.reshape([kernel.shape[a] for a in axes])
    factors = {}
    for a in axes[:-1]:
        split = outer_factors(rest.reshape(len(rest), -1))
        if split is None:
            return None
        factors[a], rest = split[0], split[1].reshape(rest.shape[1:])
    return factors | {axes[-1]: np.ascontiguousarray(rest)}


def _whole_factors(kernel: np.ndarray, i: np.intp, j: np.intp) -> tuple[np.ndarray, np.ndarray] | None:
    row = kernel[i] // np.gcd.reduce(kernel[i])
    column = kernel[:, j] // row[j]
    return (column, row) if (np.outer(column, row) == kernel).all() else None
