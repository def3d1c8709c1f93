"""The passes of separable filters as `scipy.ndimage` computes them: in float64, term by term in its order.

Besides testing the kernels, they serve the means that have to be cut off to whole numbers although their sums
are rounded: there nothing but SciPy's own running sum gives SciPy's numbers.
"""
import numpy as np

from . import source

__all__ = ["cut_off", "mean", "weighted_sum"]


def weighted_sum(
    x: np.ndarray, weights: np.ndarray, axis: int, start: int, boundary: str, fill: float
) -> np.ndarray:
    """Sum windows of the lines of `x` along an axis, each element times its weight.

    ``y[i] = sum_k weights[k] * X[i + start + k]``, X being a line of `x` continued by a boundary.

    Parameters
    ----------
    x : ndarray
        Real numbers.
    weights : ndarray, shape (K,), of float64
        If they are even or odd to within an epsilon, equal terms are added or subtracted first, and the left half
        of the weights serves for both; the middle term comes first, or the last one where there is no symmetry.
    axis, start : int
    boundary : {'fill', 'wrap', 'symm', 'mirror', 'nearest'}
    fill : float
        What 'fill' finds outside.

    Returns
    -------
    ndarray of float64, of the shape of `x`
    """
    taps = len(weights)
    lines = _continued(x, taps, axis, start, boundary, fill)
    terms = [lines[..., k : k + x.shape[axis]] for k in range(taps)]
    half, sign = taps // 2, 0
    if taps % 2:
        left, right = weights[:half], weights[: half : -1]
        epsilon = np.finfo(float).eps
        sign = 1 if (abs(right - left) <= epsilon).all() else -1 if (abs(right + left) <= epsilon).all() else 0
    middle = half if sign else taps - 1
    with np.errstate(all="ignore"):
        total = terms[middle] * weights[middle]
        for k in range(middle):
            term = terms[k] if sign == 0 else terms[k] + terms[-1 - k] if sign > 0 else terms[k] - terms[-1 - k]
            total = total + term * weights[k]
    return np.moveaxis(total, -1, axis)


def mean(x: np.ndarray, n: int, axis: int, start: int, boundary: str, fill: float) -> np.ndarray:
    """Average windows of `n` along an axis by a running sum.

    ``y[i] = sum_k X[i + start + k] / n``, the sum being that of ``y[i - 1]`` and what it gains less what it loses.
    Parameters and result are as in `weighted_sum`.
    """
    lines = _continued(x, n, axis, start, boundary, fill)
    with np.errstate(all="ignore"):
        first = np.cumsum(lines[..., :n], axis=-1)[..., -1:]
        change = lines[..., n:] - lines[..., :-n]
        total = np.cumsum(np.concatenate([first, change], axis=-1), axis=-1) / n
    return np.moveaxis(total, -1, axis)


def cut_off(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast float64 as C does on x86: towards zero; 8 and 16 bits of an int32, 32 unsigned bits of an int64."""
    with np.errstate(all="ignore"):
        if dtype.kind == "b":
            whole: np.ndarray = cut_off(values, np.dtype(np.uint8)) != 0
            return whole
        if dtype.kind in "iu" and dtype.itemsize < 4:
            return values.astype(np.int32).astype(dtype)
        if dtype == np.uint32:
            return values.astype(np.int64).astype(dtype)
        return values.astype(dtype)


def _continued(x: np.ndarray, window: int, axis: int, start: int, boundary: str, fill: float) -> np.ndarray:
    """The lines as the last axis, in float64, from the first element that a window sees to the last."""
    n = x.shape[axis]
    x = np.moveaxis(x, axis, -1).astype(np.float64)
    ringed = np.concatenate([x, np.full((*x.shape[:-1], 1), fill)], axis=-1)  # source sends what lies outside there
    return ringed[..., source(np.arange(start, start + n + window - 1), n, boundary)]
