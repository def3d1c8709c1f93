"""Filters for pictures: cross-correlation with a centred kernel, in the picture's own dtype."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from . import _runtime
from ._plan import grids, rank
from ._plan import method as costs
from ._plan.dtypes import BOUNDARIES, correlate_kernel, native, output, takes
from ._plan.neighbourhood import MODES

__all__ = ["filter2d", "sep_filter2d"]

# Kernels that read and write pixels and sum in float32.
_PIXELS = {"u1": "u8_f32", "i1": "i8_f32", "u2": "u16_f32", "i2": "i16_f32"}
_FIXED_POINT = 1 << 14  # pixels for which it pays to look whether 16 bits would do


def filter2d(
    image: Any,
    kernel: Any,
    *,
    mode: str = "mirror",
    cval: float = 0,
    channel_axis: int | None = None,
    dtype: Any = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    Filter an image: cross-correlation with a centred kernel, in the image's own dtype.

    .. math:: y_{ij} = \mathrm{saturate}\Bigl(
        \sum_{pq} h_{pq}\, x_{i+p-\lfloor P/2 \rfloor,\; j+q-\lfloor Q/2 \rfloor}\Bigr)

    Parameters
    ----------
    image : array_like, shape (H, W), or with a third axis for channels
        Real numbers or bool.
    kernel : array_like, shape (P, Q)
        Real numbers; see `fastconv.kernels`. Its centre is the tap (P // 2, Q // 2).
    mode : {'mirror', 'reflect', 'nearest', 'wrap', 'constant'}, optional
        How the image goes on outside, by SciPy's names (its 'grid-' names are understood too)::

            mirror    d c b | a b c d | c b a
            reflect   c b a | a b c d | d c b
            nearest   a a a | a b c d | d d d
            wrap      b c d | a b c d | a b c
            constant  v v v | a b c d | v v v

    cval : float, optional
        The v of 'constant'.
    channel_axis : int, optional
        The axis of a colour image's channels, each filtered alone. By default the image is grey.
    dtype : dtype, optional
        Of the result; by default the image's. Integers are rounded half to even and *saturated*: 300 becomes
        255 in uint8, not 44.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the image.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the image's shape.

    Raises
    ------
    ValueError
        An image or kernel with the wrong number of dimensions, an unknown mode, an `out` of the wrong shape.
    TypeError
        An image, kernel or dtype that is not real numbers, an `out` of another dtype.
    numpy.exceptions.AxisError
        A `channel_axis` that the image does not have.

    See Also
    --------
    sep_filter2d : with a kernel that is an outer product.
    fastconv.correlate2d : in the numbers' own arithmetic, without rounding or saturation.

    Notes
    -----
    Images of 8 or 16 bits and float32 are summed in float32, others in float64: a sum whose exact value lies
    within that rounding of a half may be rounded either way.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> image = np.array([[10, 10, 200], [10, 10, 200], [10, 10, 200]], np.uint8)
    >>> fastconv.image.filter2d(image, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    array([[ 10,   0, 255],
           [ 10,   0, 255],
           [ 10,   0, 255]], dtype=uint8)
    """
    kernel = _weights(kernel, "kernel", 2)
    return _filter(image, kernel, None, mode, cval, channel_axis, dtype, out, workers)


def sep_filter2d(
    image: Any,
    kernel_rows: Any,
    kernel_columns: Any,
    *,
    mode: str = "mirror",
    cval: float = 0,
    channel_axis: int | None = None,
    dtype: Any = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Filter an image with a kernel that is the outer product of a row and a column: `filter2d`, faster.

    Parameters
    ----------
    image : array_like, shape (H, W), or with a third axis for channels
        Real numbers or bool.
    kernel_rows : array_like, shape (Q,)
        The weights along a row, from left to right.
    kernel_columns : array_like, shape (P,)
        The weights along a column, from top to bottom.
    mode : {'mirror', 'reflect', 'nearest', 'wrap', 'constant'}, optional
        How the image goes on outside, by SciPy's names (its 'grid-' names are understood too)::

            mirror    d c b | a b c d | c b a
            reflect   c b a | a b c d | d c b
            nearest   a a a | a b c d | d d d
            wrap      b c d | a b c d | a b c
            constant  v v v | a b c d | v v v

    cval : float, optional
        The v of 'constant'.
    channel_axis : int, optional
        The axis of a colour image's channels, each filtered alone. By default the image is grey.
    dtype : dtype, optional
        Of the result; by default the image's. Integers are rounded half to even and *saturated*: 300 becomes
        255 in uint8, not 44.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the image.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the image's shape.

    Raises
    ------
    ValueError
        An image or kernel with the wrong number of dimensions, an unknown mode, an `out` of the wrong shape.
    TypeError
        An image, kernel or dtype that is not real numbers, an `out` of another dtype.
    numpy.exceptions.AxisError
        A `channel_axis` that the image does not have.

    See Also
    --------
    filter2d : with any kernel; here it is ``numpy.outer(kernel_columns, kernel_rows)``.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> image = np.array([[0, 0, 9], [0, 0, 9], [0, 0, 9]], np.uint8)
    >>> fastconv.image.sep_filter2d(image, [1, 1, 1], [1 / 9] * 3)
    array([[0, 3, 3],
           [0, 3, 3],
           [0, 3, 3]], dtype=uint8)
    """
    row, column = _weights(kernel_rows, "kernel_rows", 1), _weights(kernel_columns, "kernel_columns", 1)
    return _filter(image, None, (column[None], row[None]), mode, cval, channel_axis, dtype, out, workers)


def _weights(kernel: Any, name: str, ndim: int) -> np.ndarray:
    weights: np.ndarray = np.asarray(kernel)
    if weights.ndim != ndim or weights.size == 0:
        raise ValueError(f"{name} has shape {weights.shape}; it needs {ndim} dimension(s), none of them empty")
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {weights.dtype}; it needs real numbers")
    return weights


def _filter(
    image: Any,
    kernel: np.ndarray | None,
    terms: rank.Terms | None,
    mode: str,
    cval: float,
    channel_axis: int | None,
    dtype: Any,
    out: np.ndarray | None,
    workers: Any,
) -> np.ndarray:
    image = np.asarray(image)
    planes_ndim = 2 if channel_axis is None else 3
    if image.ndim != planes_ndim:
        hint = "" if channel_axis is None else f" with channel_axis={channel_axis}"
        raise ValueError(f"image has shape {image.shape}; it needs {planes_ndim} dimensions{hint}")
    if image.dtype.kind not in "biuf" or image.dtype.itemsize > 8:
        raise TypeError(f"image has dtype {image.dtype}; it needs real numbers of at most 64 bits")
    try:
        boundary = MODES[mode]
    except (KeyError, TypeError):
        raise ValueError(f"mode is {mode!r}; use one of {', '.join(map(repr, MODES))}") from None
    result = np.dtype(image.dtype if dtype is None else dtype).newbyteorder("=")
    if result.kind not in "biuf" or result.itemsize > 8:
        raise TypeError(f"dtype is {result}; it needs real numbers of at most 64 bits")
    threads = _runtime.threads(workers)
    y = output(out, image.shape, result)
    if y.size == 0:
        return y

    # Pixels of 8 and 16 bits are converted, rounded and saturated by the kernel itself, block by block.
    pixels = _PIXELS.get(image.dtype.str[1:]) if result == image.dtype.newbyteorder("=") else None
    narrow = image.dtype.itemsize <= (4 if image.dtype.kind == "f" else 2)
    work, name = (np.dtype(np.float32), "f32") if narrow else (np.dtype(np.float64), "f64")
    if kernel is not None:
        kernel = np.ascontiguousarray(kernel, work)
        shape, taps = kernel.shape, [kernel]
    else:
        assert terms is not None
        terms = columns, rows = np.ascontiguousarray(terms[0], work), np.ascontiguousarray(terms[1], work)
        shape, taps = (columns.shape[1], rows.shape[1]), [columns, rows]
    fill = np.full(1, cval, work)
    shift = low = 0
    if pixels == "u8_f32" and y.size >= _FIXED_POINT and (
        boundary != "fill" or (0 <= cval <= 255 and cval == int(cval))
    ):
        whole = _fixed_point(taps)
        if whole is not None:
            (first, *others), shift, low = whole
            kernel, terms = (None, (first, others[0])) if others else (first, None)
            pixels, name, fill = "u8_u16", "u16", fill.astype(np.uint16)
    axis = None if channel_axis is None else normalize_axis_index(channel_axis, 3)
    grey = image.shape if axis is None else tuple(n for i, n in enumerate(image.shape) if i != axis)
    start = -(shape[0] // 2), -(shape[1] // 2)

    way = "direct"
    if kernel is not None:
        grid = costs.Grid(name, grey, start, grey, (0, 1), False, name != "u16")
        way, factors, *_ = costs.grid_way(grid, kernel)
        terms = None if factors is None else (factors[0], factors[1])
    if name == "u16":
        kernel = kernel if kernel is None else np.ascontiguousarray(kernel, np.uint16)
        terms = terms and (np.ascontiguousarray(terms[0], np.uint16), np.ascontiguousarray(terms[1], np.uint16))
    x = native(image, image.dtype.newbyteorder("=") if pixels and way != "fft" else work)
    to = y if result == x.dtype and takes(y, x, *taps) else np.empty(y.shape, x.dtype)
    if way == "fft":
        for one, filtered in zip(_channels(x, axis), _channels(to, axis), strict=True):
            filtered[...] = grids.correlate(
                one, taps[0], start, one.shape, boundary, fill, (1, 1), (1, 1), "auto", None, workers
            )
    else:
        group = 1
        if axis == 2 and x.flags.c_contiguous and to.flags.c_contiguous:
            group = x.shape[2]  # channels stay side by side: a pixel's neighbour is `group` elements away
            x_planes, to_planes = (a.reshape(a.shape[0], -1) for a in (x, to))
        else:
            x_planes, to_planes = _channels(x, axis), _channels(to, axis)
        correlate_kernel(pixels or name).correlate(
            x_planes, to_planes, kernel, *(terms or (None, None)), fill, BOUNDARIES[boundary],
            (start[0], start[1] * group), (1, 1), (1, group), group, threads, shift, low,
        )  # fmt: skip
    if to is not y:
        _saturate(to, y)
    return y


def _fixed_point(factors: list[np.ndarray]) -> tuple[list[np.ndarray], int, int] | None:
    """Factors of a kernel times 2^shift in whole numbers, shift, and how far sums of bytes may go below zero.

    None where they are no such numbers, or where sums of bytes would not fit 16 bits.
    """
    wholes, shift, above, below = [], 0, 1, 0
    for factor in factors:
        scaled = factor * 256
        if not (np.abs(scaled) <= 1 << 16).all() or (scaled != np.rint(scaled)).any():
            return None
        whole = scaled.astype(np.int32)
        bits = int(np.bitwise_or.reduce(whole, axis=None)) | 256
        zeros = (bits & -bits).bit_length() - 1
        whole >>= zeros
        wholes.append(whole)
        shift += 8 - zeros
        up, down = int(whole[whole > 0].sum()), -int(whole[whole < 0].sum())
        above, below = above * up + below * down, above * down + below * up
    low = -(-255 * below >> (shift + 1)) << (shift + 1)
    return (wholes, shift, low) if low + 255 * above + (1 << shift >> 1) < 1 << 16 else None


def _channels(image: np.ndarray, axis: int | None) -> np.ndarray:
    """The planes of an image."""
    return image[None] if axis is None else np.moveaxis(image, axis, 0)


def _saturate(values: np.ndarray, out: np.ndarray) -> None:
    """Rounds half to even and clips to the dtype of `out`, if that is whole numbers; NaN becomes 0."""
    if out.dtype.kind == "f" or values.dtype == out.dtype:
        with np.errstate(over="ignore"):
            np.copyto(out, values, casting="unsafe")
        return
    values = np.rint(values, out=values)
    np.nan_to_num(values, copy=False, nan=0.0)
    if out.dtype.kind == "b":
        np.not_equal(values, 0, out=out)
        return
    limits = np.iinfo(out.dtype)
    high = values >= float(limits.max)  # the float next to a 64-bit limit may lie above it
    with np.errstate(invalid="ignore"):
        np.copyto(out, np.clip(values, float(limits.min), float(limits.max)), casting="unsafe")
    out[high] = limits.max
