"""Kernels that are a sum of few outer products, found by elimination and checked entry by entry."""
from __future__ import annotations

import math

import numpy as np

Factors = dict[int, np.ndarray]  # by axis: a row of taps for each term
Terms = tuple[np.ndarray, np.ndarray]  # columns and rows: (terms, K0) and (terms, K1)

CANCEL = 2.0  # what the magnitudes of the terms may add up to, beside those of the kernel
SCALE = 16  # bits: kernels of numbers of so many, times a power of two, are factored in whole numbers


def outer_terms(kernel: np.ndarray, most: int = 1) -> Terms | None:
    """``columns, rows`` with ``columns.T @ rows == kernel``, of at most so many terms, or None where there are none.

    Whole numbers, and whole multiples of a power of two, are factored in whole numbers and into terms of which no
    two meet in an entry, so that sums which are exact stay exact; this is the only way for integer dtypes.

    Of other kernels each step of the elimination with complete pivoting is a term. They may miss an entry by 4
    roundings, and K1 more for each term after the first, of the sum of the terms' magnitudes there: with the
    ``K1 + terms K0`` roundings of the sums that makes no more than ``terms (K0 + K1) + 4``. In all the kernel these
    magnitudes add up to no more than twice its own. Of one term they are its own, entry by entry.
    """
    dtype = kernel.dtype
    if _more(kernel, most):
        return None
    wide = kernel.astype(np.result_type(dtype, np.float64), order="C")
    largest = float(abs(wide).max())
    if not math.isfinite(largest):
        return None
    if largest == 0:
        return np.zeros((1, kernel.shape[0]), dtype), np.zeros((1, kernel.shape[1]), dtype)
    bits = math.frexp(largest)[1]
    scale = 1.0 if dtype.kind in "iu" else 2.0 ** min(max(SCALE - bits, 0), 2 * SCALE)
    parts = wide.view(np.float64) * scale
    if dtype.kind in "iu" or (parts == np.rint(parts)).all():
        if bits <= 31 and dtype.kind != "c":
            terms = _whole_terms(kernel if scale == 1 else parts, most)
            return terms and (terms[0].astype(dtype), (terms[1] if scale == 1 else terms[1] / scale).astype(dtype))
        if dtype.kind in "iu":
            return None
        most = 1  # terms that round would meet where the sum as it is written is exact
    return _terms(wide, dtype, most)


def _terms(kernel: np.ndarray, dtype: np.dtype, most: int) -> Terms | None:
    rest, size = kernel.copy(), np.zeros(kernel.shape)
    rounding = np.finfo(dtype).eps * (1 if dtype.kind == "f" else 3)  # complex products round more than once
    columns, rows = [], []
    with np.errstate(all="ignore"):
        for n in range(most):
            i, j = divmod(int(abs(rest).argmax()), rest.shape[1])
            columns.append((rest[:, j] / rest[i, j]).astype(dtype))
            rows.append(rest[i].astype(dtype))
            term = columns[-1][:, None].astype(kernel.dtype) * rows[-1]
            rest -= term
            size += abs(term)
            if (abs(rest) <= (4 + n * kernel.shape[1]) * rounding * size).all():
                if n and size.sum() > CANCEL * abs(kernel).sum():
                    return None
                return np.array(columns), np.array(rows)
    return None


def _whole_terms(kernel: np.ndarray, most: int) -> Terms | None:
    """A term for all rows that are whole multiples of one."""
    kernel = kernel.astype(np.int64)
    first = kernel[np.arange(len(kernel)), (kernel != 0).argmax(axis=1)]
    divisors = np.gcd.reduce(kernel, axis=1) * np.sign(first)
    rows = kernel // np.where(divisors == 0, 1, divisors)[:, None]
    terms: dict[bytes, list[int]] = {}
    for i in divisors.nonzero()[0].tolist():
        terms.setdefault(rows[i].tobytes(), []).append(i)
    if len(terms) > most:
        return None
    columns = np.zeros((len(terms), len(kernel)), np.int64)
    for column, alike in zip(columns, terms.values(), strict=True):
        column[alike] = divisors[alike]
    return columns, rows[[alike[0] for alike in terms.values()]]


def _more(kernel: np.ndarray, most: int) -> bool:
    """Whether a minor alone shows that there are more terms, as of most kernels: it takes microseconds.

    It is of the rows and columns from the first to the middle ones, or symmetric kernels would show nothing. What is
    left of its last entry is compared to the magnitudes that it was left by.
    """
    n, (height, width) = most, kernel.shape
    if n >= min(height, width):
        return False
    rest = kernel[:: max(height // 2 // n, 1), :: max(width // 2 // n, 1)][: n + 1, : n + 1].tolist()
    try:
        sizes = [[abs(v) for v in row] for row in rest]
        for k in range(n, 0, -1):
            at = max((abs(row[k]), i) for i, row in enumerate(rest))[1]
            pivots, beside = rest.pop(at), sizes.pop(at)
            if pivots[k] == 0:
                return False
            for row, size in zip(rest, sizes, strict=True):
                factor = row[k] / pivots[k]
                for j in range(k):
                    row[j] -= factor * pivots[j]
                    size[j] += abs(factor) * beside[j]
        return bool(abs(rest[0][0]) > 1e-3 * sizes[0][0])
    except OverflowError:  # of the magnitude of a complex number
        return False


def axis_factors(kernel: np.ndarray, most: int = 1) -> Factors | None:
    """The taps of every axis that has more than one, terms of outer products of which the kernel is the sum, or None.

    Kernels of more than two such axes are one product or none; each split of an axis from the rest may miss by as much
    as `outer_terms` allows.
    """
    axes = [a for a, k in enumerate(kernel.shape) if k > 1]
    rest = kernel.reshape([kernel.shape[a] for a in axes])
    factors = {}
    for a in axes[:-1]:
        split = outer_terms(rest.reshape(len(rest), -1), most if len(axes) == 2 else 1)
        if split is None:
            return None
        factors[a], rest = split[0], split[1].reshape(-1, *rest.shape[1:])
        if a != axes[-2]:
            rest = rest[0]
    return factors | {axes[-1]: np.ascontiguousarray(rest)}
