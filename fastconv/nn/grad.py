"""Gradients of the layers: what a change of input, weight or bias does to a loss, given what one of the output does.

Each is the adjoint of its layer, so it is a convolution too: the layer turned round for the input, and a correlation
of input and gradient for the weight. Every option of the layer is an option here; an activation comes first, in
`activation`.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _runtime
from .._plan import layers
from .._plan.dtypes import output
from .._plan.sizes import ShapeError, channels_last
from ._arguments import (
    Shape,
    batch,
    check_taps,
    finished,
    flipped,
    layer,
    lifted,
    lowered_shape,
    operands,
    taps,
    target,
    transposed_layer,
    whole_shape,
)
from .pooling_grad import (
    adaptive_avg_pool1d_input,
    adaptive_avg_pool2d_input,
    adaptive_max_pool1d_input,
    adaptive_max_pool2d_input,
    avg_pool1d_input,
    avg_pool2d_input,
    lp_pool1d_input,
    lp_pool2d_input,
    max_pool1d_input,
    max_pool2d_input,
    max_unpool2d_input,
    min_pool1d_input,
    min_pool2d_input,
    sum_pool1d_input,
    sum_pool2d_input,
)

__all__ = [
    "activation",
    "adaptive_avg_pool1d_input",
    "adaptive_avg_pool2d_input",
    "adaptive_max_pool1d_input",
    "adaptive_max_pool2d_input",
    "avg_pool1d_input",
    "avg_pool2d_input",
    "conv1d_input",
    "conv1d_weight",
    "conv2d_input",
    "conv2d_weight",
    "conv_bias",
    "conv_transpose1d_input",
    "conv_transpose1d_weight",
    "conv_transpose2d_input",
    "conv_transpose2d_weight",
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


def conv2d_input(
    input_size: Any,
    weight: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    Gradient of the input of `fastconv.nn.conv2d`, as `torch.nn.grad.conv2d_input`.

    Each pixel gathers from the outputs that it was summed into, each with the weight that it had there:

    .. math:: \frac{\partial L}{\partial x_{ncuv}} = \sum_{k} \sum_{pq} w_{kcpq}
        \frac{\partial L}{\partial y_{nkij}}, \qquad u = S_0 i + D_0 p - P_0, \; v = S_1 j + D_1 q - P_1

    Parameters
    ----------
    input_size : sequence of int, (N, C, H, W) or (C, H, W)
        The shape of the input, in `layout`.
    weight : array_like, shape (K, C / groups, R, Q)
        The layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, dilation, groups, layout, remainder, flip
        The layer's, as in `fastconv.nn.conv2d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `input_size`
        Of dtype ``numpy.result_type(weight, grad_output)``.

    Raises
    ------
    ShapeError
        Sizes that make no layer, or another output than `grad_output`.
    TypeError, ValueError
        As `fastconv.nn.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.grad.conv2d_input((1, 1, 4, 4), np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)))[0, 0]
    array([[1., 2., 2., 1.],
           [2., 4., 4., 2.],
           [2., 4., 4., 2.],
           [1., 2., 2., 1.]])
    """
    return _input(2, input_size, weight, grad_output, stride, padding, dilation, groups, layout, remainder, flip, out,
                  workers)  # fmt: skip


def conv2d_weight(
    input: Any,
    weight_size: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    Gradient of the weight of `fastconv.nn.conv2d`, as `torch.nn.grad.conv2d_weight`.

    Each tap gathers over the whole batch, since all outputs share it:

    .. math:: \frac{\partial L}{\partial w_{kcpq}} = \sum_{n} \sum_{ij}
        x_{n,\, c,\, S_0 i + D_0 p - P_0,\, S_1 j + D_1 q - P_1} \frac{\partial L}{\partial y_{nkij}}

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), or (C, H, W)
        The layer's input, in `layout`.
    weight_size : sequence of int, (K, C / groups, R, Q)
        The shape of the layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, dilation, groups, layout, remainder, flip
        The layer's, as in `fastconv.nn.conv2d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `weight_size`
        Of dtype ``numpy.result_type(input, grad_output)``.

    Raises
    ------
    ShapeError
        Sizes that make no layer, or another output than `grad_output`.
    TypeError, ValueError
        As `fastconv.nn.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.grad.conv2d_weight(np.arange(9.0).reshape(1, 1, 3, 3), (1, 1, 2, 2), np.ones((1, 1, 2, 2)))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    return _weight(2, input, weight_size, grad_output, stride, padding, dilation, groups, layout, remainder, flip, out,
                   workers)  # fmt: skip



def conv1d_input(
    input_size: Any,
    weight: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of the input of `fastconv.nn.conv1d`, as `torch.nn.grad.conv1d_input`.

    Parameters
    ----------
    input_size : sequence of int, (N, C, W) or (C, W)
        The shape of the input, in `layout`.
    weight : array_like, shape (K, C / groups, Q)
        The layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, dilation, groups, layout, remainder, flip
        The layer's, as in `fastconv.nn.conv1d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `input_size`
        Of dtype ``numpy.result_type(weight, grad_output)``.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv1d_input((1, 5), [[[1, 10]]], [[1, 2]], stride=3)
    array([[ 1, 10,  0,  2, 20]])
    """
    return _input(1, input_size, weight, grad_output, stride, padding, dilation, groups, layout, remainder, flip,
                  out, workers)  # fmt: skip


def conv1d_weight(
    input: Any,
    weight_size: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of the weight of `fastconv.nn.conv1d`, as `torch.nn.grad.conv1d_weight`.

    Parameters
    ----------
    input : array_like, shape (N, C, W), or (C, W)
        The layer's input, in `layout`.
    weight_size : sequence of int, (K, C / groups, Q)
        The shape of the layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, dilation, groups, layout, remainder, flip
        The layer's, as in `fastconv.nn.conv1d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `weight_size`
        Of dtype ``numpy.result_type(input, grad_output)``.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv1d_weight([[1, 2, 3, 4]], (1, 1, 2), [[1, 0, 1]])
    array([[[4, 6]]])
    """
    return _weight(1, input, weight_size, grad_output, stride, padding, dilation, groups, layout, remainder, flip,
                   out, workers)  # fmt: skip


def conv_transpose2d_input(
    input_size: Any,
    weight: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of the input of `fastconv.nn.conv_transpose2d`.

    A transposed layer turned round is a layer: this is one of `grad_output`.

    Parameters
    ----------
    input_size : sequence of int, (N, C, H, W) or (C, H, W)
        The shape of the input, in `layout`.
    weight : array_like, shape (C, K / groups, R, Q)
        The layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, output_padding, groups, dilation, layout, flip
        The layer's, as in `fastconv.nn.conv_transpose2d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `input_size`
        Of dtype ``numpy.result_type(weight, grad_output)``.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv_transpose2d_input((1, 1, 2), [[[[1, 10]]]], [[[1, 2, 3, 4]]], stride=2)
    array([[[21, 43]]])
    """
    return _transposed_input(2, input_size, weight, grad_output, stride, padding, output_padding, groups, dilation,
                             layout, flip, out, workers)  # fmt: skip


def conv_transpose2d_weight(
    input: Any,
    weight_size: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of the weight of `fastconv.nn.conv_transpose2d`.

    It is that of the layer which the transposed one reverses, with input and gradient in each other's place.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), or (C, H, W)
        The layer's input, in `layout`.
    weight_size : sequence of int, (C, K / groups, R, Q)
        The shape of the layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, output_padding, groups, dilation, layout, flip
        The layer's, as in `fastconv.nn.conv_transpose2d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `weight_size`
        Of dtype ``numpy.result_type(input, grad_output)``.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv_transpose2d_weight([[[1, 2]]], (1, 1, 1, 2), [[[1, 1, 1, 10]]], stride=2)
    array([[[[ 3, 21]]]])
    """
    return _transposed_weight(2, input, weight_size, grad_output, stride, padding, output_padding, groups, dilation,
                              layout, flip, out, workers)  # fmt: skip


def conv_transpose1d_input(
    input_size: Any,
    weight: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of the input of `fastconv.nn.conv_transpose1d`.

    A transposed layer turned round is a layer: this is one of `grad_output`.

    Parameters
    ----------
    input_size : sequence of int, (N, C, W) or (C, W)
        The shape of the input, in `layout`.
    weight : array_like, shape (C, K / groups, Q)
        The layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, output_padding, groups, dilation, layout, flip
        The layer's, as in `fastconv.nn.conv_transpose1d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `input_size`
        Of dtype ``numpy.result_type(weight, grad_output)``.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv_transpose1d_input((1, 2), [[[1, 10]]], [[1, 2, 3, 4]], stride=2)
    array([[21, 43]])
    """
    return _transposed_input(1, input_size, weight, grad_output, stride, padding, output_padding, groups, dilation,
                             layout, flip, out, workers)  # fmt: skip


def conv_transpose1d_weight(
    input: Any,
    weight_size: Any,
    grad_output: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    flip: bool = False,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    """
    Gradient of the weight of `fastconv.nn.conv_transpose1d`.

    It is that of the layer which the transposed one reverses, with input and gradient in each other's place.

    Parameters
    ----------
    input : array_like, shape (N, C, W), or (C, W)
        The layer's input, in `layout`.
    weight_size : sequence of int, (C, K / groups, Q)
        The shape of the layer's weight.
    grad_output : array_like
        The gradient of the layer's output, of its shape.
    stride, padding, output_padding, groups, dilation, layout, flip
        The layer's, as in `fastconv.nn.conv_transpose1d`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the other arrays.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape `weight_size`
        Of dtype ``numpy.result_type(input, grad_output)``.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv_transpose1d_weight([[1, 2]], (1, 1, 2), [[1, 1, 1, 10]], stride=2)
    array([[[ 3, 21]]])
    """
    return _transposed_weight(1, input, weight_size, grad_output, stride, padding, output_padding, groups, dilation,
                              layout, flip, out, workers)  # fmt: skip


def conv_bias(grad_output: Any, *, layout: str = "NCHW") -> np.ndarray:
    """
    Gradient of the bias of any convolution layer: all that comes to an output channel, added up.

    Parameters
    ----------
    grad_output : array_like
        The gradient of the layer's output.
    layout : {'NCHW', 'NHWC', 'NCW', 'NWC'}, optional
        Of `grad_output`, which may be that of one picture or line.

    Returns
    -------
    ndarray, shape (K,)
        Of the dtype of `grad_output`. Integers wrap; float16 is summed in float32.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.conv_bias([[1, 2, 3], [10, 20, 30]], layout='NCW')
    array([ 6, 60])
    """
    ndim = 1 if layout in ("NCW", "NWC") else 2
    last = channels_last(layout, ndim)
    grad = batch("grad_output", grad_output, ndim)
    grad, _, dtype = operands(grad, grad)
    axes = (0, 1, 2) if last else (0, 2, 3)
    with np.errstate(over="ignore"):
        total: np.ndarray = np.sum(lifted(grad, ndim, last), axis=axes, dtype=grad.dtype)
        return total.astype(dtype, copy=False)


def activation(output: Any, grad_output: Any, activation: str) -> np.ndarray:
    """
    Gradient of an activation, from what it gave.

    Parameters
    ----------
    output : array_like
        What the activation, or the layer that it ends, gave.
    grad_output : array_like
        The gradient of that, of the same shape.
    activation : {'relu', 'sigmoid', 'tanh'}
        Which one it was.

    Returns
    -------
    ndarray
        The gradient of what the activation was taken of. That of 'relu' at 0 is 0.

    Raises
    ------
    ShapeError
        Two shapes.
    ValueError
        An unknown activation.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.grad.activation([0.0, 2.0, 0.5], [1.0, 1.0, 3.0], 'relu')
    array([0., 1., 3.])
    """
    y: np.ndarray = np.asarray(output)
    grad: np.ndarray = np.asarray(grad_output)
    if y.shape != grad.shape:
        raise ShapeError(f"grad_output has shape {grad.shape}; the output has {y.shape}")
    if activation == "relu":
        if grad.dtype.kind not in "biufc" or grad.itemsize > 8:
            return np.where(y > 0, grad, grad.dtype.type(0))
        # All bits of a number or none: a choice is a branch for each of them, which nobody can foretell.
        bits = np.empty(y.shape, f"i{grad.itemsize}")
        np.negative(np.greater(y, 0, out=bits, casting="unsafe"), out=bits)
        return np.bitwise_and(bits, grad.view(bits.dtype), out=bits).view(grad.dtype)
    if activation == "sigmoid":
        slope: np.ndarray = y * (1 - y)
    elif activation == "tanh":
        slope = 1 - y * y
    else:
        raise ValueError(f"activation is {activation!r}; use one of 'relu', 'sigmoid', 'tanh'")
    result: np.ndarray = grad * slope
    return result


# --- the four gradients, in one or two dimensions ---------------------------------------------------------------


def _input(
    ndim: int, size: Any, weight: Any, grad_output: Any, stride: Any, padding: Any, dilation: Any, groups: int,
    layout: str, remainder: str, flip: bool, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    shape = whole_shape(size, "input_size")
    grad, w, dtype = operands(batch("grad_output", grad_output, ndim), _taps(weight, ndim, flip))
    alone = _alone(shape, grad, ndim)
    job = layer(
        ndim, (1, *shape) if alone else shape, w.shape, stride, padding, dilation, groups, layout, remainder
    )
    last = job.channels_last
    x = layers.grad_input(
        job.input, _four(w), _matching(grad, ndim, last, job.output), job.stride, job.pads, job.dilation, job.groups,
        last, target(out, job.input, ndim, last, alone, dtype, w.dtype), _runtime.threads(workers),
    )  # fmt: skip
    return finished(x, ndim, last, alone, dtype, out)


def _transposed_input(
    ndim: int, size: Any, weight: Any, grad_output: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any, layout: str, flip: bool, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    shape = whole_shape(size, "input_size")
    grad, w, dtype = operands(batch("grad_output", grad_output, ndim), _taps(weight, ndim, flip))
    alone = _alone(shape, grad, ndim)
    job = transposed_layer(
        ndim, (1, *shape) if alone else shape, w.shape, stride, padding, output_padding, dilation, groups, layout
    )
    last = job.channels_last
    x = layers.forward(
        _matching(grad, ndim, last, job.input), _four(w), None, job.stride, job.pads, job.dilation, job.groups, last,
        None, job.places, target(out, job.output, ndim, last, alone, dtype, w.dtype), _runtime.threads(workers),
    )  # fmt: skip
    return finished(x, ndim, last, alone, dtype, out)


def _weight(
    ndim: int, input: Any, size: Any, grad_output: Any, stride: Any, padding: Any, dilation: Any, groups: int,
    layout: str, remainder: str, flip: bool, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    x, grad, shape, dtype = _pictures(ndim, input, size, grad_output)
    job = layer(
        ndim, (1, *x.shape) if x.ndim == ndim + 1 else x.shape, shape, stride, padding, dilation, groups, layout,
        remainder,
    )  # fmt: skip
    last = job.channels_last
    w = layers.grad_weight(
        lifted(x, ndim, last), job.weight, _matching(grad, ndim, last, job.output), job.stride, job.pads,
        job.dilation, job.groups, last, _runtime.threads(workers),
    )  # fmt: skip
    return _kernels(w, shape, flip, dtype, out)


def _transposed_weight(
    ndim: int, input: Any, size: Any, grad_output: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any, layout: str, flip: bool, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    x, grad, shape, dtype = _pictures(ndim, input, size, grad_output)
    job = transposed_layer(
        ndim, (1, *x.shape) if x.ndim == ndim + 1 else x.shape, shape, stride, padding, output_padding, dilation,
        groups, layout,
    )  # fmt: skip
    last = job.channels_last
    w = layers.grad_weight(
        _matching(grad, ndim, last, job.input), job.weight, lifted(x, ndim, last), job.stride, job.pads, job.dilation,
        job.groups, last, _runtime.threads(workers),
    )  # fmt: skip
    return _kernels(w, shape, flip, dtype, out)


def _taps(weight: Any, ndim: int, flip: bool) -> np.ndarray:
    w = taps(weight, ndim)
    return flipped(w) if flip else w


def _four(weight: np.ndarray) -> np.ndarray:
    """A weight with four axes."""
    return weight if weight.ndim == 4 else weight[:, :, None]


def _alone(shape: Shape, grad: np.ndarray, ndim: int) -> bool:
    """Whether the input is one picture or line, and no batch."""
    if len(shape) != grad.ndim:
        raise ShapeError(f"input_size is {shape}; a grad_output of shape {grad.shape} needs {grad.ndim} numbers")
    return len(shape) == ndim + 1


def _pictures(ndim: int, input: Any, size: Any, grad_output: Any) -> tuple[np.ndarray, np.ndarray, Shape, np.dtype]:
    """Input and gradient in the dtype of the sums, the weight's shape, and the dtype of the result."""
    x, grad, dtype = operands(batch("input", input, ndim), batch("grad_output", grad_output, ndim))
    if x.ndim != grad.ndim:
        raise ShapeError(f"input has shape {x.shape} and grad_output {grad.shape}; both need {x.ndim} dimensions")
    shape = whole_shape(size, "weight_size")
    check_taps(shape, ndim)
    return x, grad, shape, dtype


def _matching(grad: np.ndarray, ndim: int, last: bool, shape: Shape) -> np.ndarray:
    """The gradient as a batch of pictures, if it has the shape of what the layer gives."""
    pictures = lifted(grad, ndim, last)
    if pictures.shape != shape:
        expected = lowered_shape(shape, ndim, last, grad.ndim == ndim + 1)
        raise ShapeError(f"grad_output has shape {grad.shape}; the layer's output has {expected}")
    return pictures


def _kernels(weight: np.ndarray, shape: Shape, flip: bool, dtype: np.dtype, out: np.ndarray | None) -> np.ndarray:
    """The weight's gradient as the caller wants it."""
    weight = weight.reshape(shape)
    if flip:
        weight = np.ascontiguousarray(flipped(weight))
    with np.errstate(over="ignore"):
        weight = weight.astype(dtype, copy=False)
    if out is None:
        return weight
    np.copyto(output(out, shape, dtype), weight)
    return out
