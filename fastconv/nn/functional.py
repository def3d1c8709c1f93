"""Convolution layers: batches of pictures or lines with channels, and kernels that see several channels at once."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _quick, _runtime
from .._plan import layers
from .._plan.dtypes import native
from .._plan.layers import PackedWeight
from .._plan.sizes import ShapeError, per_axis
from .._reference import layers as twins
from ._arguments import (
    Shape,
    batch,
    check_taps,
    finished,
    flipped,
    layer,
    lifted,
    operands,
    taps,
    target,
    transposed_layer,
    unpacked,
    whole_shape,
)

__all__ = ["PackedWeight", "as_matrix", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "pack"]

# What an activation can be taken of: an order, or numbers between the whole ones.
_ACTIVATION_KINDS = {"relu": "iuf", "sigmoid": "f", "tanh": "f"}


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str = "NCW",
    remainder: str = "raise",
    flip: bool = False,
    activation: str | None = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    A convolution layer on lines, as `torch.nn.functional.conv1d`.

    .. math:: y_{nki} = b_k + \sum_{c} \sum_{q} w_{kcq}\, x_{n,\, c,\, S i + D q - P}

    Parameters
    ----------
    input : array_like, shape (N, C, W), or (C, W)
        A batch of lines, or one line.
    weight : array_like, shape (K, C / groups, Q), or PackedWeight
        K kernels of Q taps for each of the channels they see.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride : int, optional
        By how much the window moves, S.
    padding : int, pair of int or {'same', 'valid'}, optional
        Zeros on both sides, P, or (before, after). 'same' gives ceil(W / S) outputs; 'valid' pads nothing.
    dilation : int, optional
        Distance of the taps, D.
    groups : int, optional
        The input's channels and the kernels fall into as many groups that do not see each other; C of them make a
        depthwise layer.
    layout : {'NCW', 'NWC'}, optional
        Of `input` and of the result: channels before samples, or after them. The weight is the same in both.
    remainder : {'raise', 'drop', 'pad'}, optional
        What happens where the windows do not fit: see `output_size`. With 'pad' zeros go on after the end.
    flip : bool, optional
        Turn each kernel around: convolution in the mathematical sense. By default it is correlation, as in every
        framework.
    activation : {'relu', 'sigmoid', 'tanh'}, optional
        Applied to each output before it is stored.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape (N, K, O), or (K, O)
        Of dtype ``numpy.result_type(input, weight)``; O is `output_size`. Integers wrap; float16 is summed in float32.

    Raises
    ------
    ShapeError
        Sizes that do not divide, numbers of channels that do not go together: the message says which, and what
        would fit.
    TypeError
        Numbers that are not whole where they must be; a dtype that is not one of numbers; a bias that the result
        cannot hold; an activation that the dtype does not have.
    ValueError
        An unknown layout, remainder or activation; an `out` of the wrong shape.

    See Also
    --------
    conv2d : on pictures.
    conv_transpose1d : the layer that goes the other way.
    fastconv.nn.grad.conv1d_input, fastconv.nn.grad.conv1d_weight : its gradients.

    Examples
    --------
    >>> from fastconv import nn
    >>> line = [[1, 2, 3, 4, 5]]                    # one channel
    >>> nn.conv1d(line, [[[1, 0, -1]], [[1, 1, 1]]])   # two kernels
    array([[-2, -2, -2],
           [ 6,  9, 12]])
    """
    return _forward(1, input, weight, bias, stride, padding, dilation, groups, layout, remainder, flip, activation,
                    out, workers)  # fmt: skip


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    remainder: str = "raise",
    flip: bool = False,
    activation: str | None = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    A convolution layer on pictures, as `torch.nn.functional.conv2d`.

    .. math:: y_{nkij} = b_k + \sum_{c} \sum_{pq} w_{kcpq}\, x_{n,\, c,\, S_0 i + D_0 p - P_0,\, S_1 j + D_1 q - P_1}

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), or (C, H, W)
        A batch of pictures, or one picture.
    weight : array_like, shape (K, C / groups, R, Q), or PackedWeight
        K kernels of R x Q taps for each of the channels they see.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride : int or pair of int, optional
        By how much the window moves, S, down and across.
    padding : int, pair of int, pair of pairs or {'same', 'valid'}, optional
        Zeros on both sides of an axis, P: one number, one for each axis, or (before, after) for each axis as in
        `numpy.pad`. 'same' gives ceil(H / S) x ceil(W / S) outputs; 'valid' pads nothing.
    dilation : int or pair of int, optional
        Distance of the taps, D.
    groups : int, optional
        The input's channels and the kernels fall into as many groups that do not see each other; C of them make a
        depthwise layer.
    layout : {'NCHW', 'NHWC'}, optional
        Of `input` and of the result: channels before pixels, or after them. The weight is the same in both.
    remainder : {'raise', 'drop', 'pad'}, optional
        What happens where the windows do not fit: see `output_size`. With 'pad' zeros go on after the end.
    flip : bool, optional
        Turn each kernel around, along both axes: convolution in the mathematical sense. By default it is
        correlation, as in every framework.
    activation : {'relu', 'sigmoid', 'tanh'}, optional
        Applied to each output before it is stored.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape (N, K, O, O'), or (K, O, O')
        Of dtype ``numpy.result_type(input, weight)``; the sizes are `output_size`. Integers wrap; float16 is summed
        in float32.

    Raises
    ------
    ShapeError
        Sizes that do not divide, numbers of channels that do not go together: the message says which, and what
        would fit.
    TypeError
        Numbers that are not whole where they must be; a dtype that is not one of numbers; a bias that the result
        cannot hold; an activation that the dtype does not have.
    ValueError
        An unknown layout, remainder or activation; an `out` of the wrong shape.

    See Also
    --------
    conv_transpose2d : the layer that goes the other way.
    pack : a weight to use again and again.
    as_matrix : the matrix of which this is the product.
    fastconv.nn.grad.conv2d_input, fastconv.nn.grad.conv2d_weight : its gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> photo = np.ones((1, 3, 5, 5))               # one picture, red, green and blue
    >>> kernels = np.ones((2, 3, 3, 3))             # two kernels, each sees all three colours
    >>> nn.conv2d(photo, kernels, bias=[0, 1], stride=2, padding=1)[0, :, 0]
    array([[12., 18., 12.],
           [13., 19., 13.]])
    """
    return _forward(2, input, weight, bias, stride, padding, dilation, groups, layout, remainder, flip, activation,
                    out, workers)  # fmt: skip


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    layout: str = "NCW",
    flip: bool = False,
    activation: str | None = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    The transposed convolution layer on lines, as `torch.nn.functional.conv_transpose1d`.

    Each sample of the input puts a copy of the kernel, times its value, into the output, S apart:

    .. math:: y_{n,\, k,\, S i + D q - P} \mathrel{+}= \sum_{c} w_{ckq}\, x_{nci}

    The parameters and errors are those of `conv_transpose2d`, with one axis in place of two.

    Parameters
    ----------
    input : array_like, shape (N, C, W), or (C, W)
        A batch of lines, or one line.
    weight : array_like, shape (C, K / groups, Q), or PackedWeight
        For each channel of the input a kernel into each of the outputs that it reaches.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, dilation : int, optional
        Distances of the copies of the kernel, S, and of its taps, D.
    padding : int, pair of int or {'same', 'valid'}, optional
        What is cut off both sides of the output, P, or (before, after). 'same' gives W S outputs.
    output_padding : int, optional
        Further outputs after the end.
    groups : int, optional
        The channels of input and output fall into as many groups that do not reach each other.
    layout : {'NCW', 'NWC'}, optional
        Of `input` and of the result.
    flip : bool, optional
        Turn each kernel around.
    activation : {'relu', 'sigmoid', 'tanh'}, optional
        Applied to each output before it is stored.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape (N, K, O), or (K, O)
        O is (W - 1) S + D (Q - 1) + 1 - 2 P + output_padding; of dtype ``numpy.result_type(input, weight)``.

    See Also
    --------
    conv1d : the layer whose windows it reverses.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.conv_transpose1d([[1, 2, 3]], [[[1, 1]]], stride=2)
    array([[1, 1, 2, 2, 3, 3]])
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, flip,
                       activation, out, workers)  # fmt: skip


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    layout: str = "NCHW",
    flip: bool = False,
    activation: str | None = None,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    The transposed convolution layer on pictures, as `torch.nn.functional.conv_transpose2d`.

    It undoes the sizes of `conv2d`, and is its adjoint: each pixel of the input puts a copy of the kernel, times its
    value, into the output, S apart, and what falls on the same place is added up.

    .. math:: y_{n,\, k,\, S_0 i + D_0 p - P_0,\, S_1 j + D_1 q - P_1} \mathrel{+}= \sum_{c} w_{ckpq}\, x_{ncij}

    Parameters
    ----------
    input : array_like, shape (N, C, H, W), or (C, H, W)
        A batch of pictures, or one picture.
    weight : array_like, shape (C, K / groups, R, Q), or PackedWeight
        For each channel of the input a kernel into each of the outputs that it reaches.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride : int or pair of int, optional
        Distance of the copies of the kernel, S.
    padding : int, pair of int, pair of pairs or {'same', 'valid'}, optional
        What is cut off both sides of an axis of the output, P, in any form that `conv2d` takes. 'same' gives H S
        times W S outputs; 'valid' cuts nothing.
    output_padding : int or pair of int, optional
        Further rows and columns of the output, after the end: of the sizes that `conv2d` with this stride brings to
        the input's, the larger ones. Smaller than the stride or the dilation.
    groups : int, optional
        The channels of input and output fall into as many groups that do not reach each other.
    dilation : int or pair of int, optional
        Distance of the taps, D.
    layout : {'NCHW', 'NHWC'}, optional
        Of `input` and of the result: channels before pixels, or after them. The weight is the same in both.
    flip : bool, optional
        Turn each kernel around, along both axes.
    activation : {'relu', 'sigmoid', 'tanh'}, optional
        Applied to each output before it is stored.
    out : ndarray, optional
        Where to write the result: of its shape and dtype. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape (N, K, O, O'), or (K, O, O')
        O is (H - 1) S + D (R - 1) + 1 - 2 P + output_padding. Of dtype ``numpy.result_type(input, weight)``; integers
        wrap; float16 is summed in float32.

    Raises
    ------
    ShapeError
        Numbers of channels that do not go together, sizes that leave no output.
    TypeError, ValueError
        As `conv2d`.

    See Also
    --------
    conv2d : the layer whose windows it reverses.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.conv_transpose2d([[[1, 2], [3, 4]]], [[[[1, 1], [1, 1]]]], stride=2)
    array([[[1, 1, 2, 2],
            [1, 1, 2, 2],
            [3, 3, 4, 4],
            [3, 3, 4, 4]]])
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, flip,
                       activation, out, workers)  # fmt: skip


def pack(weight: Any, groups: int = 1, *, flip: bool = False) -> PackedWeight:
    """
    Put a layer's weight into the order in which its kernel reads it, once for many calls.

    Parameters
    ----------
    weight : array_like, shape (K, C / groups, R, Q), or (K, C / groups, Q)
        The weight of a layer. It is copied: a later change of the array does not reach the packed weight.
    groups : int, optional
        As the layer will be called with.
    flip : bool, optional
        Turn each kernel around; the layer is then called without `flip`.

    Returns
    -------
    PackedWeight
        What `conv1d`, `conv2d` and their transposed forms take in place of the weight, with the same result.

    Raises
    ------
    ShapeError
        A weight without three or four dimensions, groups that do not divide K.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> weight = nn.pack(np.ones((8, 3, 3, 3), np.float32))
    >>> nn.conv2d(np.ones((3, 32, 32), np.float32), weight, padding=1).shape
    (8, 32, 32)
    """
    array = unpacked(weight)
    if array.ndim not in (3, 4):
        raise ShapeError(f"weight has shape {array.shape}; it needs 4 dimensions, or 3 for a layer on lines")
    if array.dtype.kind not in "biufcO":
        raise TypeError(f"weight has dtype {array.dtype}; it needs numbers")
    (groups,) = per_axis(groups, "groups", 1)
    if len(array) % groups:
        raise ShapeError(f"groups is {groups}, which does not divide the {len(array)} output channels of the weight")
    return PackedWeight(flipped(array) if flip else array, groups)


def as_matrix(
    weight: Any,
    input_shape: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    remainder: str = "raise",
    flip: bool = False,
) -> Any:
    """
    The matrix of which a convolution layer is the product: few weights, each shared by many entries.

    ``as_matrix(weight, x.shape) @ x.ravel()`` is ``conv2d(x, weight).ravel()``. Its transpose times an output is the
    transposed layer, and the gradient of the input.

    Parameters
    ----------
    weight : array_like, shape (K, C / groups, R, Q), or (K, C / groups, Q)
        A weight of `conv2d`, or of `conv1d`.
    input_shape : sequence of int, (C, H, W) or (C, W)
        The shape of one picture or line, in `layout`.
    stride, padding, dilation, groups, layout, remainder, flip
        The layer's, as in `conv2d` and `conv1d`; by default channels come first.

    Returns
    -------
    scipy.sparse.csr_array, shape (outputs, pixels)
        A row for each output and a column for each value of the input, as they lie in memory. Of the weight's dtype.

    Raises
    ------
    ShapeError
        Sizes that make no layer.
    TypeError
        A dtype that sparse matrices do not have.
    ModuleNotFoundError
        SciPy is not installed.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.as_matrix([[[1, 2, 3]]], (1, 5)).toarray()
    array([[1, 2, 3, 0, 0],
           [0, 1, 2, 3, 0],
           [0, 0, 1, 2, 3]])
    """
    from scipy import sparse  # an extra

    w = unpacked(weight)
    if w.ndim not in (3, 4):
        raise ShapeError(f"weight has shape {w.shape}; it needs 4 dimensions, or 3 for a layer on lines")
    if w.dtype.kind not in "biufc" or w.dtype == np.float16:
        raise TypeError(f"weight has dtype {w.dtype}, which sparse matrices do not have; use float32 or float64")
    ndim = w.ndim - 2
    shape = whole_shape(input_shape, "input_shape")
    if len(shape) != ndim + 1:
        raise ShapeError(f"input_shape is {shape}; a weight of shape {w.shape} needs {ndim + 1} numbers")
    layout = ("NCW", "NCHW")[ndim - 1] if layout is None else layout
    job = layer(ndim, (1, *shape), w.shape, stride, padding, dilation, groups, layout, remainder)
    outputs, pixels, weights = twins.entries(
        job.input, (flipped(w) if flip else w).reshape(job.weight), (-job.pads[0][0], -job.pads[1][0]), job.places,
        job.stride, job.dilation, job.groups, job.channels_last,
    )  # fmt: skip
    size = math.prod(job.output), math.prod(job.input)
    return sparse.csr_array((weights.astype(w.dtype.newbyteorder("=")), (outputs, pixels)), shape=size)


def _forward(
    ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, layout: str,
    remainder: str, flip: bool, activation: str | None, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    y = _quick.layer(ndim, input, weight, bias, stride, padding, dilation, groups, layout, remainder, flip, activation,
                     out, workers)  # fmt: skip
    if y is not None:
        return y
    x, w, shape, dtype = _operands(ndim, input, weight, groups, flip)
    alone = x.ndim == ndim + 1
    job = layer(
        ndim, (1, *x.shape) if alone else x.shape, shape, stride, padding, dilation, groups, layout, remainder
    )
    last = job.channels_last
    y = layers.forward(
        lifted(x, ndim, last), w, _bias(bias, shape[0], x.dtype), job.stride, job.pads, job.dilation, job.groups, last,
        _activation(activation, dtype), job.places, target(out, job.output, ndim, last, alone, dtype, x.dtype),
        _runtime.threads(workers),
    )  # fmt: skip
    return finished(y, ndim, last, alone, dtype, out)


def _transposed(
    ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any, layout: str, flip: bool, activation: str | None, out: np.ndarray | None, workers: Any,
) -> np.ndarray:  # fmt: skip
    x, w, shape, dtype = _operands(ndim, input, weight, groups, flip)
    alone = x.ndim == ndim + 1
    job = transposed_layer(
        ndim, (1, *x.shape) if alone else x.shape, shape, stride, padding, output_padding, dilation, groups, layout
    )
    last = job.channels_last
    y = layers.transposed(
        lifted(x, ndim, last), w, _bias(bias, shape[1] * job.groups, x.dtype), job.input, job.stride, job.pads,
        job.dilation, job.groups, last, _activation(activation, dtype),
        target(out, job.input, ndim, last, alone, dtype, x.dtype), _runtime.threads(workers),
    )  # fmt: skip
    return finished(y, ndim, last, alone, dtype, out)


def _operands(
    ndim: int, input: Any, weight: Any, groups: int, flip: bool
) -> tuple[np.ndarray, np.ndarray | PackedWeight, Shape, np.dtype]:
    """Input and weight in the dtype of the sums, the weight with four axes; its shape; the dtype of the result."""
    x = batch("input", input, ndim)
    if isinstance(weight, PackedWeight):
        if groups != weight.groups:
            raise ValueError(f"groups is {groups}; the weight is packed for groups={weight.groups}")
        if flip:
            raise ValueError("flip=True comes too late for a packed weight; use pack(weight, flip=True)")
        check_taps(weight.shape, ndim)
        x, w, dtype = operands(x, weight.array)
        # One that is packed in another dtype than that of the sums serves as an array.
        return x, weight if w is weight.array else w, weight.shape, dtype
    w = taps(weight, ndim)
    x, w, dtype = operands(x, flipped(w) if flip else w)
    return x, w if ndim == 2 else w[:, :, None], w.shape, dtype


def _bias(bias: Any, channels: int, dtype: np.dtype) -> np.ndarray | None:
    """One number for each output channel, in the dtype of the sums."""
    if bias is None:
        return None
    bias = np.asarray(bias)
    if bias.shape != (channels,):
        raise ShapeError(f"bias has shape {bias.shape}; {channels} output channels need {(channels,)}")
    if not np.can_cast(bias.dtype, dtype, "same_kind"):
        raise TypeError(f"bias has dtype {bias.dtype}, which a layer of {dtype} cannot hold")
    return native(bias, dtype)


def _activation(name: str | None, dtype: np.dtype) -> str | None:
    """The activation, if there is such a one and the dtype has it."""
    if name is None:
        return None
    if name not in _ACTIVATION_KINDS:
        raise ValueError(f"activation is {name!r}; use one of {', '.join(map(repr, _ACTIVATION_KINDS))}")
    if dtype.kind not in _ACTIVATION_KINDS[name]:
        raise TypeError(f"activation {name!r} cannot be taken of {dtype}")
    return name
