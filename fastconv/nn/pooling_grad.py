"""Gradients of the pools: what a change of the input changes, weighed by `grad_output`."""
from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _quick
from .._plan import pools
from .._plan.sizes import ShapeError
from . import pooling
from .pooling import (
    Found,
    Shape,
    divisor,
    four,
    parted,
    planes,
    refuse_blind,
    resized,
    rows_and_columns,
    sizes,
    sliding,
)

__all__ = [
    "adaptive_avg_pool1d_input",
    "adaptive_avg_pool2d_input",
    "adaptive_max_pool1d_input",
    "adaptive_max_pool2d_input",
    "avg_pool1d_input",
    "avg_pool2d_input",
    "lp_pool1d_input",
    "lp_pool2d_input",
    "max_pool1d_input",
    "max_pool2d_input",
    "max_unpool2d_input",
    "min_pool1d_input",
    "min_pool2d_input",
    "sum_pool1d_input",
    "sum_pool2d_input",
]


def max_pool2d_input(
    input_size: Any, indices: Any, grad_output: Any, *, layout: str = "NCHW", workers: Any = None
) -> np.ndarray:
    """
    Gradient of `max_pool2d` with respect to its input: each output's goes to where its value was found.

    Minimum pooling and adaptive maximum pooling have the same; it is here by their names, too.

    Parameters
    ----------
    input_size : sequence of int
        The input's shape.
    indices : array_like of int64
        As they were returned with the values.
    grad_output : array_like, of the shape of `indices`
        Gradient of the values.
    layout : {'NCHW', 'NHWC'}, optional
        As it was given to the pool.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.

    Examples
    --------
    >>> import fastconv
    >>> y, found = fastconv.nn.max_pool2d([[1.0, 2.0], [4.0, 3.0]], 2, return_indices=True)
    >>> fastconv.nn.pooling_grad.max_pool2d_input((2, 2), found, [[5.0]])
    array([[0., 0.],
           [5., 0.]])
    """
    return _scattered(2, input_size, indices, grad_output, layout, workers)


def max_pool1d_input(
    input_size: Any, indices: Any, grad_output: Any, *, layout: str = "NCW", workers: Any = None
) -> np.ndarray:
    """
    Gradient of `max_pool1d` with respect to its input; of minimum and adaptive maximum pooling, too.

    Parameters
    ----------
    input_size, indices, grad_output, layout, workers
        As of `max_pool2d_input`.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.
    """
    return _scattered(1, input_size, indices, grad_output, layout, workers)


# Where a value was found is all that matters.
min_pool2d_input = adaptive_max_pool2d_input = max_pool2d_input
min_pool1d_input = adaptive_max_pool1d_input = max_pool1d_input


def max_unpool2d_input(indices: Any, grad_output: Any, *, layout: str = "NCHW") -> np.ndarray:
    """
    Gradient of `max_unpool2d` with respect to its input: what stands where each value was put.

    Parameters
    ----------
    indices : array_like of integers
        As they were given with the values.
    grad_output : array_like
        Gradient of the planes that the values were put to.
    layout : {'NCHW', 'NHWC'}, optional
        As it was given.

    Returns
    -------
    ndarray, of the shape of `indices`
        Of the dtype of `grad_output`.
    """
    grad, last = planes(grad_output, 2, layout, "grad_output")
    where = pooling.positions(indices, np.shape(indices))
    height, width = sizes(grad.shape, 2, last)
    if where.ndim != grad.ndim or resized(where.shape, 2, last, (height, width)) != grad.shape:
        raise ShapeError(f"indices of shape {where.shape} do not go with grad_output of shape {grad.shape}")
    if where.size and (where.min() < 0 or where.max() >= height * width):
        raise IndexError(f"indices lie from {where.min()} to {where.max()}; a plane has 0 to {height * width - 1}")
    axis = -3 if last and grad.ndim > 2 else -2  # where a plane's two axes are, and then its one
    flat, at = (a.reshape(*a.shape[: a.ndim + axis], -1, *a.shape[a.ndim + axis + 2 :]) for a in (grad, where))
    return np.take_along_axis(flat, at, axis + 1).reshape(where.shape)


def avg_pool2d_input(
    input_size: Any,
    grad_output: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    count_include_pad: bool = True,
    divisor_override: float | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of `avg_pool2d` with respect to its input: each output's, divided, goes to all that its window saw.

    Parameters
    ----------
    input_size : sequence of int
        The input's shape.
    grad_output : array_like
        Gradient of the averages, of their shape.
    kernel_size, stride, padding, dilation, layout, remainder, count_include_pad, divisor_override
        As they were given to `avg_pool2d`.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.pooling_grad.avg_pool2d_input((2, 4), [[8.0, 4.0]], 2)
    array([[2., 2., 1., 1.],
           [2., 2., 1., 1.]])
    """
    finish, number = divisor(count_include_pad, divisor_override)
    return _slid(2, input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, finish, number,
                 workers)  # fmt: skip


def avg_pool1d_input(
    input_size: Any,
    grad_output: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    count_include_pad: bool = True,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of `avg_pool1d` with respect to its input.

    Parameters
    ----------
    input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, count_include_pad, workers
        As of `avg_pool2d_input`, for one axis.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.
    """
    finish, number = divisor(count_include_pad, None)
    return _slid(1, input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, finish, number,
                 workers)  # fmt: skip


def sum_pool2d_input(
    input_size: Any,
    grad_output: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of `sum_pool2d` with respect to its input: each output's goes to all that its window saw.

    Parameters
    ----------
    input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, workers
        As of `avg_pool2d_input`.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.
    """
    return _slid(2, input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, "", 0, workers)


def sum_pool1d_input(
    input_size: Any,
    grad_output: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of `sum_pool1d` with respect to its input.

    Parameters
    ----------
    input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, workers
        As of `avg_pool1d_input`.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.
    """
    return _slid(1, input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder, "", 0, workers)


def adaptive_avg_pool2d_input(
    input_size: Any, grad_output: Any, *, layout: str = "NCHW", workers: Any = None
) -> np.ndarray:
    """
    Gradient of `adaptive_avg_pool2d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        The input's shape.
    grad_output : array_like
        Gradient of the averages, of their shape.
    layout, workers
        As of `avg_pool2d_input`.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.
    """
    return _adaptive(2, input_size, grad_output, layout, workers)


def adaptive_avg_pool1d_input(
    input_size: Any, grad_output: Any, *, layout: str = "NCW", workers: Any = None
) -> np.ndarray:
    """
    Gradient of `adaptive_avg_pool1d` with respect to its input.

    Parameters
    ----------
    input_size, grad_output, layout, workers
        As of `adaptive_avg_pool2d_input`.

    Returns
    -------
    ndarray, of shape `input_size`
        Of the dtype of `grad_output`; float64 where that is integers.
    """
    return _adaptive(1, input_size, grad_output, layout, workers)


def lp_pool2d_input(
    input: Any,
    grad_output: Any,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    workers: Any = None,
) -> np.ndarray:
    r"""
    Gradient of `lp_pool2d` with respect to its input: :math:`x^{L-1} \sum g\, y^{1-L}` over the windows that saw x.

    Parameters
    ----------
    input : array_like
        The input itself.
    grad_output : array_like
        Gradient of the result, of its shape.
    norm_type, kernel_size, stride, padding, dilation, layout, remainder
        As they were given to `lp_pool2d`.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, of the shape of `input`
        Of the dtype of `grad_output`; float64 where that is integers. It is 0 where the result is 0.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "layout": layout, "remainder": remainder}
    return _lp(2, input, grad_output, norm_type, kernel_size, options, workers)


def lp_pool1d_input(
    input: Any,
    grad_output: Any,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of `lp_pool1d` with respect to its input.

    Parameters
    ----------
    input, grad_output, norm_type, kernel_size, stride, padding, dilation, layout, remainder, workers
        As of `lp_pool2d_input`.

    Returns
    -------
    ndarray, of the shape of `input`
        Of the dtype of `grad_output`; float64 where that is integers. It is 0 where the result is 0.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "layout": layout, "remainder": remainder}
    return _lp(1, input, grad_output, norm_type, kernel_size, options, workers)


# --- what is common ----------------------------------------------------------------------------------------


def _gradient(ndim: int, input_size: Any, grad_output: Any, layout: str) -> tuple[np.ndarray, bool, np.ndarray]:
    """What came back, whether channels are last, and where the gradient goes."""
    grad, last = planes(grad_output, ndim, layout, "grad_output")
    if grad.dtype.kind == "O":
        raise TypeError(f"grad_output has dtype {grad.dtype}; it needs numbers of a fixed size")
    shape = tuple(map(operator.index, input_size))
    if min(shape, default=0) < 0 or len(shape) != grad.ndim:
        raise ShapeError(f"input_size is {shape}; it needs {grad.ndim} sizes, as grad_output of shape {grad.shape}")
    whole = grad.dtype.kind in "biu"
    return grad, last, np.empty(shape, np.float64 if whole else grad.dtype.newbyteorder("="))


def _scattered(
    ndim: int, input_size: Any, indices: Any, grad_output: Any, layout: str, workers: Any
) -> np.ndarray:
    found: np.ndarray | None = _quick.scatter(ndim, input_size, indices, grad_output, layout, True, workers)
    if found is not None:
        return found
    grad, last, out = _gradient(ndim, input_size, grad_output, layout)
    index = pooling.positions(indices, grad.shape)
    if resized(grad.shape, ndim, last, sizes(out.shape, ndim, last)) != out.shape:
        raise ShapeError(f"grad_output of shape {grad.shape} does not go with an input of {out.shape}")
    if ndim == 1:  # each line is a plane of its own
        grad, index, to = (a[..., None] if not last or a.ndim == 1 else a[..., None, :] for a in (grad, index, out))
    else:
        to = out
    pools.scatter(four(grad, 2, last), four(index, 2, last), last, four(to, 2, last), True, workers)
    return out


def _slid(
    ndim: int, input_size: Any, grad_output: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    layout: str, remainder: str, finish: str, number: float, workers: Any,
) -> np.ndarray:  # fmt: skip
    """That of a sum over sliding windows."""
    if finish != "over number":
        out: np.ndarray | None = _quick.spread(
            ndim, input_size, grad_output, kernel_size, stride, padding, dilation, layout, remainder,
            pools.FINISHES[finish], workers,
        )  # fmt: skip
        if out is not None:
            return out
    found = sliding(ndim, kernel_size, stride, padding, dilation, remainder)
    return _spread(ndim, input_size, grad_output, found, layout, finish, number, workers)


def _spread(
    ndim: int, input_size: Any, grad_output: Any, find: Callable[[Shape], Found], layout: str, finish: str,
    number: float, workers: Any,
) -> np.ndarray:  # fmt: skip
    grad, last, out = _gradient(ndim, input_size, grad_output, layout)
    found = find(sizes(out.shape, ndim, last))
    if finish == "over taps":
        refuse_blind(found)
    needed = resized(out.shape, ndim, last, tuple(axis.output for axis in found))
    if grad.shape != needed:
        raise ShapeError(f"grad_output has shape {grad.shape}; an input of {out.shape} is pooled to {needed}")
    to = four(out, ndim, last)
    rows, columns = rows_and_columns(found, to, last)
    pools.spread(four(grad, ndim, last), rows, columns, last, to, finish=finish, number=number, workers=workers)
    return out


def _adaptive(ndim: int, input_size: Any, grad_output: Any, layout: str, workers: Any) -> np.ndarray:
    out: np.ndarray | None = _quick.spread_parts(ndim, input_size, grad_output, layout, workers)
    if out is not None:
        return out
    grad, last = planes(grad_output, ndim, layout, "grad_output")
    find = parted(ndim, sizes(grad.shape, ndim, last))
    return _spread(ndim, input_size, grad, find, layout, "over taps", 0, workers)


def _lp(
    ndim: int, input: Any, grad_output: Any, norm_type: float, kernel_size: Any, options: dict[str, Any], workers: Any
) -> np.ndarray:
    power = pooling.norm(norm_type)
    grad, _, out = _gradient(ndim, np.shape(input), grad_output, options["layout"])
    x = np.asarray(input, np.result_type(out.dtype, np.float32))
    if math.isinf(power):
        pool = getattr(pooling, f"{'max' if power > 0 else 'min'}_pool{ndim}d")
        _, indices = pool(x, kernel_size, **options, return_indices=True, workers=workers)
        return _scattered(ndim, x.shape, indices, grad, options["layout"], workers)
    pool, back = (
        (pooling.lp_pool2d, sum_pool2d_input) if ndim == 2 else (pooling.lp_pool1d, sum_pool1d_input)
    )  # fmt: skip
    grad = grad.astype(x.dtype, copy=False)
    if power != 1:
        y = pool(x, power, kernel_size, **options, workers=workers)
        with np.errstate(all="ignore"):
            grad = np.where(y == 0, 0, grad * y ** (1 - power))
    spread = back(x.shape, grad, kernel_size, **options, workers=workers)
    with np.errstate(all="ignore"):
        return np.asarray(spread * x ** (power - 1), out.dtype)
