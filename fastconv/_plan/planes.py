"""Two-dimensional work."""
from __future__ import annotations

import numpy as np

from .. import _reference, _runtime
from . import method as costs
from . import rank, spectral
from .dtypes import correlate_kernel, kernel_name, native, output, takes

METHODS = ("auto", "direct", "separable", "fft")

BOUNDARIES = {"fill": 0, "wrap": 1, "symm": 2, "mirror": 3, "nearest": 4}  # as in _kernels/correlate.pyx

Pair = tuple[int, int]

_PACKED_BYTES = 1 << 26  # of input that one block may pack


def correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Pair,
    count: Pair,
    boundary: str,
    fill: np.ndarray,
    stride: Pair,
    dilation: Pair,
    method: str,
    out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:
    """y[i, j] = sum_pq kernel[p, q] X[start0 + i stride0 + p dilation0, ...], X being x continued by a boundary.

    x : (H, W), kernel : (kh, kw), fill : (1,), all of the result's dtype
    """
    threads = _runtime.threads(workers)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; use one of {', '.join(map(repr, METHODS))}")
    dtype = x.dtype.newbyteorder("=")
    y = output(out, count, dtype)
    if y.size == 0:
        return y
    if kernel.size == 0:
        y[...] = 0
        return y
    if x.size == 0 and boundary != "fill":
        raise ValueError(f"an image of shape {x.shape} has nothing that boundary {boundary!r} could repeat")
    name = kernel_name(dtype)
    if name is None and method in ("separable", "fft"):
        raise TypeError(f"method {method!r} needs real or complex numbers of at most double precision, not {dtype}")
    if name is None or x.size == 0 or _spread(kernel, stride, dilation):
        y[...] = _reference.correlate2d(x, kernel, start, count, boundary, fill[0], stride, dilation)
        return y
    x, kernel, fill = native(x, dtype), np.ascontiguousarray(native(kernel, dtype)), native(fill, dtype)
    method, factors = _method(x, kernel, count, boundary, fill, stride, dilation, name, method)
    to = y if takes(y, x, kernel) else np.empty(count, dtype)
    if method == "fft":
        by_fft(x, kernel, start, to, costs.tile_points(kernel, count), boundary, fill, threads)
    else:
        column, row = factors if factors is not None else (None, kernel)
        correlate_kernel(name).correlate(
            x, to, row.reshape(-1, kernel.shape[1]), column, fill, BOUNDARIES[boundary], start, stride, dilation,
            1, threads,
        )  # fmt: skip
    if to is not y:
        np.copyto(y, to)
    return y


def _spread(kernel: np.ndarray, stride: Pair, dilation: Pair) -> bool:
    """Whether taps or windows stand so far apart that a block of input would not be worth packing."""
    height, width = (128 * s + (k - 1) * d for s, k, d in zip(stride, kernel.shape, dilation, strict=True))
    return (stride, dilation) != ((1, 1), (1, 1)) and height * width * kernel.itemsize > _PACKED_BYTES


def _method(
    x: np.ndarray,
    kernel: np.ndarray,
    count: Pair,
    boundary: str,
    fill: np.ndarray,
    stride: Pair,
    dilation: Pair,
    name: str,
    method: str,
) -> tuple[str, rank.Factors | None]:
    """The way to go, by its name, and the kernel's factors where it is 'separable'."""
    if method == "direct":
        return method, None
    if method == "separable":
        if stride != (1, 1):
            raise ValueError(f"method 'separable' needs stride 1, not {stride}; use method='direct' or 'auto'")
        if min(kernel.shape) == 1:
            return "direct", None  # a row or a column is one pass as it is
        factors = rank.outer_factors(kernel)
        if factors is None:
            raise ValueError("method 'separable' needs a kernel that is an outer product; use method='auto'")
        return method, factors
    if method == "auto":
        best, factors = costs.plane_method(name, kernel, count) if stride == (1, 1) else ("direct", None)
        if best != "fft":
            return best, factors
    why = _why_not_fft(x, kernel, count, boundary, fill, stride, dilation)
    if why and method == "fft":
        raise ValueError(f"method 'fft' cannot be used: {why}; use method='direct' or 'auto'")
    return "direct" if why else "fft", None


def _why_not_fft(
    x: np.ndarray, kernel: np.ndarray, count: Pair, boundary: str, fill: np.ndarray, stride: Pair, dilation: Pair
) -> str:
    """What speaks against a transform; nothing if ''."""
    if (stride, dilation) != ((1, 1), (1, 1)):
        return f"it needs stride and dilation 1, not {stride} and {dilation}"
    tile = costs.tile_points(kernel, count)
    return costs.why_not_fft(x, kernel, tile[0] * tile[1], fill[0] if boundary == "fill" else 0)


def by_fft(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Pair,
    out: np.ndarray,
    tile: Pair,
    boundary: str,
    fill: np.ndarray,
    threads: int,
) -> None:
    """The dense plane by transforms of tiles of so many points   IN x, kernel, finite   OUT out."""
    if kernel.dtype.kind not in "fc":
        kernel = kernel.astype(np.float64)

    def patch(i: int, j: int, height: int, width: int) -> np.ndarray:
        row, column = start[0] + i, start[1] + j
        if row >= 0 and column >= 0 and row + height <= x.shape[0] and column + width <= x.shape[1]:
            return x[row : row + height, column : column + width]
        rows = _reference.source(np.arange(row, row + height), x.shape[0], boundary)
        columns = _reference.source(np.arange(column, column + width), x.shape[1], boundary)
        outside = (rows == x.shape[0])[:, None] | (columns == x.shape[1])
        inside = x[np.ix_(rows % x.shape[0], columns % x.shape[1])]
        return np.where(outside, fill[0], inside)

    spectral.planes(kernel, out, tile, patch, threads)
