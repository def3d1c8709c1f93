"""Pooling layers: what a window that moves over planes sees, reduced to one value.

Every function takes a batch of planes with channels, (N, C, H, W), one of them without the batch, (C, H, W), or a
plain plane, (H, W), and gives the same; `layout` moves the channels to the end.
"""
from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _quick
from .._plan import pools
from .._plan.dtypes import output
from .._plan.sizes import AXES, ShapeError, channels_last, per_axis, windows

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "lp_pool1d",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_unpool2d",
    "min_pool1d",
    "min_pool2d",
    "sum_pool1d",
    "sum_pool2d",
]

Shape = tuple[int, ...]
Found = tuple[pools.Windows, ...]  # along each axis of a plane


# --- the largest and the smallest --------------------------------------------------------------------------


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    return_indices: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    r"""
    Largest value in each place of a window that moves over planes, as `torch.nn.functional.max_pool2d`.

    .. math:: y_{ncij} = \max_{p < K_0,\, q < K_1} x_{n,\,c,\; i S_0 + p D_0 - P_0,\; j S_1 + q D_1 - P_1}

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), (C, H, W) or (H, W)
        Real numbers of any dtype; bool too.
    kernel_size : int or pair of int
        Rows and columns K of the window.
    stride : int or pair of int, optional
        By how much the window moves, S; by default `kernel_size`, so that windows lie side by side.
    padding : int, pair of int, pairs of (before, after), 'same' or 'valid', optional
        What is added around each plane, P. It never is the largest: a window that sees nothing else is refused.
        'same' gives ceil(H / S) by ceil(W / S) places, an odd row of padding coming after.
    dilation : int or pair of int, optional
        Distance D of the window's taps.
    layout : {'NCHW', 'NHWC'}, optional
        Whether channels come before a plane's rows and columns, or last.
    remainder : {'raise', 'drop', 'pad'}, optional
        What happens where the stride does not divide the way of the window: an error, the last samples are left
        out (PyTorch's floor), or the last window reaches over the end (``ceil_mode=True``). See `output_size`.
    return_indices : bool, optional
        Whether to return, too, where each value was found.
    out : ndarray, optional
        Where to write the values: of their shape and dtype, any strides. It may overlap the input.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    values : ndarray
        Of the input's dtype and layout, with `output_size` rows and columns. NaN goes through.
    indices : ndarray of int64
        With `return_indices`: row * W + column of each value in its plane; of equals the first, of NaN the last.

    Raises
    ------
    ShapeError
        Sizes that do not go together; the message says which number is wrong.
    TypeError
        Complex numbers, which have no order, or arguments of the wrong type.

    See Also
    --------
    max_unpool2d : puts the values back to where they were found.
    adaptive_max_pool2d : by the size of the result.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_pool2d([[1, 2, 0, 1], [4, 3, 1, 1], [0, 0, 7, 8], [0, 5, 9, 6]], 2)
    array([[4, 1],
           [5, 9]])
    """
    return _extreme_in("max", 2, input, kernel_size, stride, padding, dilation, layout, remainder, return_indices,
                       out, workers)  # fmt: skip


def min_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    return_indices: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    """
    Smallest value in each place of a window that moves over planes.

    Parameters
    ----------
    input, kernel_size, stride, padding, dilation, layout, remainder, return_indices, out, workers
        As of `max_pool2d`; padding never is the smallest.

    Returns
    -------
    values : ndarray
        Of the input's dtype and layout. NaN goes through.
    indices : ndarray of int64
        With `return_indices`: where each value was found, row * W + column.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.min_pool2d([[1, 2, 0, 1], [4, 3, 1, 1], [0, 0, 7, 8], [0, 5, 9, 6]], 2)
    array([[1, 0],
           [0, 6]])
    """
    return _extreme_in("min", 2, input, kernel_size, stride, padding, dilation, layout, remainder, return_indices,
                       out, workers)  # fmt: skip


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    return_indices: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    """
    Largest value in each place of a window that moves over lines, as `torch.nn.functional.max_pool1d`.

    Parameters
    ----------
    input : array_like, shape (N, C, W), (C, W) or (W,)
        Real numbers of any dtype; bool too.
    kernel_size, stride, padding, dilation, remainder, return_indices, out, workers
        As of `max_pool2d`, for one axis; padding may be one pair (before, after).
    layout : {'NCW', 'NWC'}, optional
        Whether channels come before a line, or last.

    Returns
    -------
    values : ndarray
        Of the input's dtype and layout. NaN goes through.
    indices : ndarray of int64
        With `return_indices`: where in its line each value was found.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_pool1d([3, 1, 4, 1, 5, 9, 2], 3, stride=2)
    array([4, 5, 9])
    """
    return _extreme_in("max", 1, input, kernel_size, stride, padding, dilation, layout, remainder, return_indices,
                       out, workers)  # fmt: skip


def min_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    return_indices: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    """
    Smallest value in each place of a window that moves over lines.

    Parameters
    ----------
    input, kernel_size, stride, padding, dilation, layout, remainder, return_indices, out, workers
        As of `max_pool1d`; padding never is the smallest.

    Returns
    -------
    values : ndarray
        Of the input's dtype and layout. NaN goes through.
    indices : ndarray of int64
        With `return_indices`: where in its line each value was found.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.min_pool1d([3, 1, 4, 1, 5, 9, 2], 3, stride=2)
    array([1, 1, 2])
    """
    return _extreme_in("min", 1, input, kernel_size, stride, padding, dilation, layout, remainder, return_indices,
                       out, workers)  # fmt: skip


def adaptive_max_pool2d(
    input: Any,
    output_size: Any,
    return_indices: bool = False,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    """
    Largest value of each part of a plane cut into so many, as `torch.nn.functional.adaptive_max_pool2d`.

    Part i of O, of an axis of n samples, is ``i * n // O`` to ``ceil((i + 1) * n / O)``; neighbours overlap by one
    sample where O does not divide n.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), (C, H, W) or (H, W)
        Real numbers of any dtype; bool too.
    output_size : int or pair of int or None
        Rows and columns of the result; None keeps an axis as it is. 1 pools globally.
    return_indices, layout, out, workers
        As of `max_pool2d`.

    Returns
    -------
    values : ndarray
        Of the input's dtype and layout. NaN goes through.
    indices : ndarray of int64
        With `return_indices`: where each value was found, row * W + column.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.nn.adaptive_max_pool2d(np.arange(15).reshape(3, 5), (1, 2))
    array([[12, 14]])
    """
    y = _quick.parts(2, pools.OPERATIONS["max"], input, output_size, layout, return_indices, out, workers)
    if y is not None:
        return y
    return _extreme("max", 2, input, parted(2, output_size), layout, return_indices, out, workers)


def adaptive_max_pool1d(
    input: Any,
    output_size: Any,
    return_indices: bool = False,
    *,
    layout: str = "NCW",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    """
    Largest value of each part of a line cut into so many, as `torch.nn.functional.adaptive_max_pool1d`.

    Parameters
    ----------
    input : array_like, shape (N, C, W), (C, W) or (W,)
        Real numbers of any dtype; bool too.
    output_size, return_indices, layout, out, workers
        As of `adaptive_max_pool2d` and `max_pool1d`.

    Returns
    -------
    values : ndarray
        Of the input's dtype and layout. NaN goes through.
    indices : ndarray of int64
        With `return_indices`: where in its line each value was found.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.adaptive_max_pool1d([3, 1, 4, 1, 5, 9, 2], 3)
    array([4, 5, 9])
    """
    y = _quick.parts(1, pools.OPERATIONS["max"], input, output_size, layout, return_indices, out, workers)
    if y is not None:
        return y
    return _extreme("max", 1, input, parted(1, output_size), layout, return_indices, out, workers)


def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Puts values back to where `max_pool2d` found them, as `torch.nn.functional.max_unpool2d`.

    Parameters
    ----------
    input : array_like, shape (N, C, h, w), (C, h, w) or (h, w)
        Values of any dtype.
    indices : array_like of integers, of the same shape
        Where each goes in its plane, row * W + column. Where two go to one place, the last stands.
    kernel_size, stride, padding : int or pair of int
        As they were given to `max_pool2d`: without `output_size` there are (h - 1) S - 2 P + K rows.
    output_size : sequence of int, optional
        Rows and columns of the result, or its whole shape, where pooling left a remainder out.
    layout, out, workers
        As of `max_pool2d`.

    Returns
    -------
    ndarray
        Planes that are zero elsewhere.

    Raises
    ------
    ShapeError
        Indices of another shape, an output size that is less than one stride from the usual.
    IndexError
        An index that lies outside of its plane.

    Examples
    --------
    >>> import fastconv
    >>> x = [[1, 2, 0, 1], [4, 3, 1, 1], [0, 0, 7, 8], [0, 5, 9, 6]]
    >>> values, indices = fastconv.nn.max_pool2d(x, 2, return_indices=True)
    >>> fastconv.nn.max_unpool2d(values, indices, 2)
    array([[0, 0, 0, 1],
           [4, 0, 0, 0],
           [0, 0, 0, 0],
           [0, 5, 9, 0]])
    """
    x, last = planes(input, 2, layout)
    kernel = per_axis(kernel_size, "kernel_size", 2)
    strides = kernel if stride is None else per_axis(stride, "stride", 2)
    pads = per_axis(padding, "padding", 2, 0)
    usual = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(sizes(x.shape, 2, last), strides, pads, kernel, strict=True)
    )
    if output_size is None:
        chosen = usual
    else:
        chosen = tuple(map(operator.index, output_size))
        if len(chosen) > 2:
            chosen = sizes(chosen, 2, last)
        if len(chosen) != 2 or any(abs(n - m) >= s for n, m, s in zip(chosen, usual, strides, strict=True)):
            raise ShapeError(
                f"output_size is {tuple(output_size)}; it needs two numbers less than a stride from {usual}"
            )
    if min(chosen) < 0:
        raise ShapeError(f"a kernel of {kernel}, stride {strides} and padding {pads} leave a plane of {chosen}")
    shape = resized(x.shape, 2, last, chosen)
    if out is None:
        found: np.ndarray | None = _quick.scatter(2, shape, indices, x, layout, False, workers)
        if found is not None:
            return found
    y = output(out, shape, x.dtype.newbyteorder("="))
    pools.scatter(
        four(x, 2, last), four(positions(indices, x.shape), 2, last), last, four(y, 2, last), False, workers
    )
    return y


# --- sums and averages -------------------------------------------------------------------------------------


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    count_include_pad: bool = True,
    divisor_override: float | None = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    Average in each place of a window that moves over planes, as `torch.nn.functional.avg_pool2d`.

    .. math:: y_{ncij} = \frac{1}{M_{ij}}
        \sum_{p < K_0,\, q < K_1} x_{n,\,c,\; i S_0 + p D_0 - P_0,\; j S_1 + q D_1 - P_1}

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), (C, H, W) or (H, W)
        Numbers of any dtype.
    kernel_size, stride, padding, dilation, layout, remainder, out, workers
        As of `max_pool2d`; padding is zeros.
    count_include_pad : bool, optional
        Whether the divisor M counts padding. What ``remainder='pad'`` lets a window reach over is never counted.
    divisor_override : float, optional
        The divisor M, if not the number of taps.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool give float64, other dtypes stay.

    Raises
    ------
    ShapeError
        Sizes that do not go together; the message says which number is wrong.
    ValueError
        A divisor of zero.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.avg_pool2d([[1, 2, 0, 1], [4, 3, 1, 1], [0, 0, 7, 8], [0, 5, 9, 6]], 2)
    array([[2.5 , 0.75],
           [1.25, 7.5 ]])
    """
    return _average(2, input, kernel_size, stride, padding, dilation, layout, remainder, count_include_pad,
                    divisor_override, out, workers)  # fmt: skip


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    count_include_pad: bool = True,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Average in each place of a window that moves over lines, as `torch.nn.functional.avg_pool1d`.

    Parameters
    ----------
    input : array_like, shape (N, C, W), (C, W) or (W,)
        Numbers of any dtype.
    kernel_size, stride, padding, dilation, layout, remainder, out, workers
        As of `max_pool1d`; padding is zeros.
    count_include_pad : bool, optional
        As of `avg_pool2d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool give float64, other dtypes stay.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.avg_pool1d([1, 3, 5, 3, 1], 3, padding=1, stride=2)
    array([1.33333333, 3.66666667, 1.33333333])
    """
    return _average(1, input, kernel_size, stride, padding, dilation, layout, remainder, count_include_pad, None,
                    out, workers)  # fmt: skip


def sum_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Sum in each place of a window that moves over planes.

    Parameters
    ----------
    input, kernel_size, stride, padding, dilation, layout, remainder, out, workers
        As of `avg_pool2d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool are summed in 64 bits, as `numpy.sum` does, other dtypes stay.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.sum_pool2d([[1, 2, 0, 1], [4, 3, 1, 1]], 2)
    array([[10,  3]])
    """
    return _total(2, input, kernel_size, stride, padding, dilation, layout, remainder, out, workers)


def sum_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Sum in each place of a window that moves over lines.

    Parameters
    ----------
    input, kernel_size, stride, padding, dilation, layout, remainder, out, workers
        As of `avg_pool1d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool are summed in 64 bits, as `numpy.sum` does, other dtypes stay.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.sum_pool1d([1, 2, 3, 4, 5, 6], 3)
    array([ 6, 15])
    """
    return _total(1, input, kernel_size, stride, padding, dilation, layout, remainder, out, workers)


def lp_pool2d(
    input: Any,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    Power mean without its divisor in each place of a window, as `torch.nn.functional.lp_pool2d`.

    .. math:: y_{ncij} = \Bigl(\sum_{pq} x_{n,\,c,\; i S_0 + p D_0 - P_0,\; j S_1 + q D_1 - P_1}^{\,L}\Bigr)^{1/L}

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), (C, H, W) or (H, W)
        Real numbers of any dtype.
    norm_type : float
        The power L: 1 is a sum, 2 the length of a vector, infinity the maximum.
    kernel_size, stride, padding, dilation, layout, remainder, out, workers
        As of `avg_pool2d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool give float64, other dtypes stay.

    Raises
    ------
    ValueError
        A norm of 0.

    Notes
    -----
    As in PyTorch there are no absolute values: with a power that is no even number, a window whose sum is
    negative gives NaN, but for the power 1. Where ``remainder='pad'`` lets a window reach over the end, PyTorch
    scales the sum up to the window's size; here it is the sum of what is there.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.lp_pool2d([[3.0, 0.0, 1.0, 1.0], [0.0, 4.0, 1.0, 1.0]], 2, 2)
    array([[5., 2.]])
    """
    return _norm(2, input, norm_type, kernel_size, stride, padding, dilation, layout, remainder, out, workers)


def lp_pool1d(
    input: Any,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Power mean without its divisor in each place of a window, as `torch.nn.functional.lp_pool1d`.

    Parameters
    ----------
    input : array_like, shape (N, C, W), (C, W) or (W,)
        Real numbers of any dtype.
    norm_type : float
        The power, as of `lp_pool2d`.
    kernel_size, stride, padding, dilation, layout, remainder, out, workers
        As of `avg_pool1d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool give float64, other dtypes stay.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.lp_pool1d([3.0, 4.0, 6.0, 8.0], 2, 2)
    array([ 5., 10.])
    """
    return _norm(1, input, norm_type, kernel_size, stride, padding, dilation, layout, remainder, out, workers)


def adaptive_avg_pool2d(
    input: Any, output_size: Any, *, layout: str = "NCHW", out: np.ndarray | None = None, workers: Any = None
) -> np.ndarray:
    """
    Average of each part of a plane cut into so many, as `torch.nn.functional.adaptive_avg_pool2d`.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), (C, H, W) or (H, W)
        Numbers of any dtype.
    output_size : int or pair of int or None
        As of `adaptive_max_pool2d`; 1 pools globally.
    layout, out, workers
        As of `avg_pool2d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool give float64, other dtypes stay.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.nn.adaptive_avg_pool2d(np.arange(12.0).reshape(3, 4), (1, 2))
    array([[4.5, 6.5]])
    """
    y: np.ndarray | None = _quick.parts(2, pools.OPERATIONS["sum"], input, output_size, layout, False, out, workers)
    if y is not None:
        return y
    return _sum(2, input, parted(2, output_size), layout, _fractional, out, finish="over taps", workers=workers)


def adaptive_avg_pool1d(
    input: Any, output_size: Any, *, layout: str = "NCW", out: np.ndarray | None = None, workers: Any = None
) -> np.ndarray:
    """
    Average of each part of a line cut into so many, as `torch.nn.functional.adaptive_avg_pool1d`.

    Parameters
    ----------
    input : array_like, shape (N, C, W), (C, W) or (W,)
        Numbers of any dtype.
    output_size, layout, out, workers
        As of `adaptive_max_pool2d` and `avg_pool1d`.

    Returns
    -------
    ndarray
        Of the input's layout. Integers and bool give float64, other dtypes stay.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.adaptive_avg_pool1d([1, 2, 3, 4], 2)
    array([1.5, 3.5])
    """
    y: np.ndarray | None = _quick.parts(1, pools.OPERATIONS["sum"], input, output_size, layout, False, out, workers)
    if y is not None:
        return y
    return _sum(1, input, parted(1, output_size), layout, _fractional, out, finish="over taps", workers=workers)


# --- what is common, to the gradients too ------------------------------------------------------------------


def planes(array: Any, ndim: int, layout: str, name: str = "input") -> tuple[np.ndarray, bool]:
    """Planes, or lines, as an array, and whether their channels are last."""
    last = channels_last(layout, ndim)
    array = np.asarray(array)
    if not ndim <= array.ndim <= ndim + 2:
        forms = (layout, layout[1:], layout.replace("N", "").replace("C", ""))
        raise ShapeError(
            f"{name} has shape {array.shape}; layout {layout!r} takes "
            + " or ".join(f"({', '.join(form)})" for form in forms)
        )
    if array.dtype.kind not in "biufcO":
        raise TypeError(f"{name} has dtype {array.dtype}; it needs numbers")
    return array, last


def sizes(shape: Shape, ndim: int, last: bool) -> Shape:
    """Those of a plane."""
    return shape[-ndim - 1 : -1] if last and len(shape) > ndim else shape[len(shape) - ndim :]


def resized(shape: Shape, ndim: int, last: bool, counts: Shape) -> Shape:
    """The shape with planes of another size."""
    if last and len(shape) > ndim:
        return (*shape[: -ndim - 1], *counts, shape[-1])
    return (*shape[: len(shape) - ndim], *counts)


def four(array: np.ndarray, ndim: int, last: bool) -> np.ndarray:
    """The array with axes for the batch and the channels, and two of space; lines are rows of a plane."""
    if array.ndim == ndim:
        array = array[..., None] if last else array[None]
    if array.ndim == ndim + 1:
        array = array[None]
    return array if ndim == 2 else array[:, None]


def rows_and_columns(found: Found, x: np.ndarray, last: bool) -> Found:
    """The windows of two axes; lines that are rows of a plane with four axes are each for itself."""
    return found if len(found) == 2 else (pools.alone(x.shape[1 if last else 2]), *found)


def sliding(
    ndim: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, remainder: str
) -> Callable[[Shape], Found]:
    """What finds the windows on planes of given sizes."""
    kernel = per_axis(kernel_size, "kernel_size", ndim)
    stride = kernel if stride is None else stride
    # What a network asks for, it asks for at every step. Numbers in a tuple could be equal and yet not whole.
    plain = type(padding) is type(dilation) is int
    stride = per_axis(stride, "stride", ndim)
    find = _sliding if plain else _sliding.__wrapped__
    return lambda sizes: find(sizes, kernel, stride, padding, dilation, remainder)


@functools.lru_cache(1024)
def _sliding(sizes: Shape, kernel: Shape, stride: Shape, padding: Any, dilation: Any, remainder: str) -> Found:
    return tuple(pools.sliding(axis) for axis in windows(sizes, kernel, stride, padding, dilation, remainder))


def parted(ndim: int, output_size: Any) -> Callable[[Shape], Found]:
    """What finds the windows that cut planes of given sizes into parts."""
    wanted = tuple(output_size) if hasattr(output_size, "__len__") else (output_size,) * ndim
    if len(wanted) != ndim:
        raise ShapeError(f"output_size is {wanted}; it needs one number, or {ndim} for {ndim} axes")

    def find(sizes: Shape) -> Found:
        found = []
        for name, n, count in zip(AXES[ndim], sizes, wanted, strict=True):
            (parts,) = (n,) if count is None else per_axis(count, "output_size", 1, 0)
            if n == 0 and parts:
                raise ShapeError(f"{name} is 0; it cannot be cut into {parts} parts")
            found.append(pools.adaptive(n, parts))
        return tuple(found)

    return find


def refuse_blind(found: Found) -> None:
    """A window that sees nothing but padding has no largest value, and nothing to divide."""
    for name, axis in zip(AXES[len(found)], found, strict=True):
        place = axis.blind()
        if place >= 0:
            raise ShapeError(
                f"{name} {axis.size}, kernel {axis.kernel}, dilation {axis.step}, padding {-axis.start} before: "
                f"window {place} sees nothing but padding; pad less"
            )


def divisor(count_include_pad: bool, divisor_override: float | None) -> tuple[str, float]:
    """How the plan calls what an average is divided by."""
    if divisor_override is None:
        return "over padded" if count_include_pad else "over taps", 0
    if divisor_override == 0:
        raise ValueError("divisor_override is 0; it must be another number")
    return "over number", float(divisor_override)


def positions(indices: Any, shape: Shape) -> np.ndarray:
    """Indices as they were returned for values of a shape."""
    found: np.ndarray = np.asarray(indices)
    if found.dtype.kind not in "iu":
        raise TypeError(f"indices have dtype {found.dtype}; they must be integers")
    if found.shape != shape:
        raise ShapeError(f"indices have shape {found.shape}; they need that of the values, {shape}")
    return found


def _extreme_in(
    operation: str, ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, layout: str,
    remainder: str, return_indices: bool, out: np.ndarray | None, workers: Any,
) -> Any:  # fmt: skip
    """What is largest or smallest in sliding windows."""
    y = _quick.pool(ndim, pools.OPERATIONS[operation], input, kernel_size, stride, padding, dilation, layout, remainder,
                    pools.FINISHES[""], return_indices, out, workers)  # fmt: skip
    if y is not None:
        return y
    found = sliding(ndim, kernel_size, stride, padding, dilation, remainder)
    return _extreme(operation, ndim, input, found, layout, return_indices, out, workers)


def _average(
    ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, layout: str, remainder: str,
    count_include_pad: bool, divisor_override: float | None, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    """The mean of sliding windows."""
    finish, number = divisor(count_include_pad, divisor_override)
    if divisor_override is None:
        y: np.ndarray | None = _quick.pool(
            ndim, pools.OPERATIONS["sum"], input, kernel_size, stride, padding, dilation, layout, remainder,
            pools.FINISHES[finish], False, out, workers,
        )  # fmt: skip
        if y is not None:
            return y
    found = sliding(ndim, kernel_size, stride, padding, dilation, remainder)
    return _sum(ndim, input, found, layout, _fractional, out, finish=finish, number=number, workers=workers)


def _total(
    ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, layout: str, remainder: str,
    out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    """The sum of sliding windows."""
    y: np.ndarray | None = _quick.pool(
        ndim, pools.OPERATIONS["sum"], input, kernel_size, stride, padding, dilation, layout, remainder,
        pools.FINISHES[""], False, out, workers,
    )  # fmt: skip
    if y is not None:
        return y
    found = sliding(ndim, kernel_size, stride, padding, dilation, remainder)
    return _sum(ndim, input, found, layout, _wide, out, workers=workers)


def _extreme(
    operation: str,
    ndim: int,
    input: Any,
    find: Callable[[Shape], Found],
    layout: str,
    return_indices: bool,
    out: np.ndarray | None,
    workers: Any,
) -> Any:
    x, last = planes(input, ndim, layout)
    if x.dtype.kind == "c":
        raise TypeError(f"input has dtype {x.dtype}; complex numbers have no order")
    found = find(sizes(x.shape, ndim, last))
    refuse_blind(found)
    shape = resized(x.shape, ndim, last, tuple(axis.output for axis in found))
    y = output(out, shape, x.dtype.newbyteorder("="))
    indices = np.empty(shape, np.int64) if return_indices else None
    x = four(x, ndim, last)
    rows, columns = rows_and_columns(found, x, last)
    pools.pool(
        x, operation, rows, columns, last, four(y, ndim, last),
        index=None if indices is None else four(indices, ndim, last), pitch=columns.size if ndim == 2 else 0,
        workers=workers,
    )  # fmt: skip
    return y if indices is None else (y, indices)


def _sum(
    ndim: int,
    input: Any,
    find: Callable[[Shape], Found],
    layout: str,
    result: Callable[[np.dtype], np.dtype],
    out: np.ndarray | None,
    **how: Any,
) -> np.ndarray:
    x, last = planes(input, ndim, layout)
    found = find(sizes(x.shape, ndim, last))
    if how.get("finish") == "over taps":
        refuse_blind(found)
    y = output(out, resized(x.shape, ndim, last, tuple(axis.output for axis in found)), result(x.dtype))
    x = four(x, ndim, last)
    rows, columns = rows_and_columns(found, x, last)
    pools.pool(x, "sum", rows, columns, last, four(y, ndim, last), **how)
    return y


def _norm(
    ndim: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, padding: Any, dilation: Any, layout: str,
    remainder: str, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    """The power mean of sliding windows, without its divisor."""
    power = norm(norm_type)
    if power == 2:
        y: np.ndarray | None = _quick.pool(
            ndim, pools.OPERATIONS["squares"], input, kernel_size, stride, padding, dilation, layout, remainder,
            pools.FINISHES["root"], False, out, workers,
        )  # fmt: skip
        if y is not None:
            return y
    x = planes(input, ndim, layout)[0]
    if x.dtype.kind in "cO":
        raise TypeError(f"input has dtype {x.dtype}; it needs real numbers")
    found = sliding(ndim, kernel_size, stride, padding, dilation, remainder)
    if math.isinf(power):
        x = x.astype(_fractional(x.dtype), copy=False)
        largest: np.ndarray = _extreme("max" if power > 0 else "min", ndim, x, found, layout, False, out, workers)
        return largest
    return _sum(ndim, x, found, layout, _fractional, out, power=power, workers=workers)


def norm(norm_type: Any) -> float:
    """The power of a norm."""
    power = float(norm_type)
    if power == 0 or math.isnan(power):
        raise ValueError(f"norm_type is {norm_type}; it must be a number other than 0")
    return power


def _wide(dtype: np.dtype) -> np.dtype:
    """The dtype of a sum."""
    if dtype.kind in "bi":
        return np.dtype(np.int64)
    return np.dtype(np.uint64) if dtype.kind == "u" else dtype.newbyteorder("=")


def _fractional(dtype: np.dtype) -> np.dtype:
    """The dtype of an average."""
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")
