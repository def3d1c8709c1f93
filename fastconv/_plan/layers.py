"""Convolution layers and their gradients.

Arrays come checked, native and of one dtype, in any strides: pictures as (N, C, H, W), or as (N, H, W, C) with
`channels_last`; the weight always as (K, C / groups, R, S). One dimension is a height of 1. `pads` are zeros
(before, after) each axis; the output's rows and columns, `count`, may leave the last of them unused, or ask for
windows that reach beyond them, where zeros go on. `out` may lie in any strides and overlap the inputs.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._reference import layers as twins

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


class PackedWeight:
    """A layer's weight in the order in which its kernel reads it.

    Made by `fastconv.nn.pack`, and taken by the layers in place of the array.

    Attributes
    ----------
    shape, dtype
        Those of the weight.
    groups : int
        The groups of the layer.
    """

    def __init__(self, weight: np.ndarray, groups: int) -> None:
        # A copy: half of what is changed later in the caller's array must not be in it.
        four = weight if weight.ndim == 4 else weight[:, :, None]
        self.array = np.array(four, weight.dtype.newbyteorder("="), order="C")
        self.shape: tuple[int, ...] = weight.shape
        self.dtype = self.array.dtype
        self.groups = groups

    def __repr__(self) -> str:
        return f"PackedWeight(shape={self.shape}, dtype={self.dtype}, groups={self.groups})"


def forward(
    x: np.ndarray, weight: np.ndarray | PackedWeight, bias: np.ndarray | None, stride: Pair, pads: Pads,
    dilation: Pair, groups: int, channels_last: bool, activation: str | None, count: Pair, out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:  # fmt: skip
    """activation(correlation of x with the weight + bias)."""
    y = twins.forward(
        _planes(x, channels_last), _array(weight), _start(pads), count, stride, dilation, groups
    )
    return _finished(_pictures(y, channels_last), bias, activation, channels_last, out)


def transposed(
    x: np.ndarray, weight: np.ndarray | PackedWeight, bias: np.ndarray | None, shape: tuple[int, ...], stride: Pair,
    pads: Pads, dilation: Pair, groups: int, channels_last: bool, activation: str | None, out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:  # fmt: skip
    """activation(grad_input of x + bias): the layer that goes the other way, with an output of `shape`."""
    y = grad_input(shape, _array(weight), x, stride, pads, dilation, groups, channels_last, None, workers)
    return _finished(y, bias, activation, channels_last, out)


def grad_input(
    shape: tuple[int, ...], weight: np.ndarray, grad: np.ndarray, stride: Pair, pads: Pads, dilation: Pair,
    groups: int, channels_last: bool, out: np.ndarray | None, workers: int | None,
) -> np.ndarray:  # fmt: skip
    """The gradient of the input, of `shape`, from that of the output."""
    planes = (shape[0], shape[3], shape[1], shape[2]) if channels_last else shape
    x = twins.grad_input(planes, weight, _planes(grad, channels_last), _start(pads), stride, dilation, groups)
    return _finished(_pictures(x, channels_last), None, None, channels_last, out)


def grad_weight(
    x: np.ndarray, shape: tuple[int, ...], grad: np.ndarray, stride: Pair, pads: Pads, dilation: Pair, groups: int,
    channels_last: bool, workers: int | None,
) -> np.ndarray:  # fmt: skip
    """The gradient of the weight, of `shape`, from the input and the gradient of the output."""
    x, grad = _planes(x, channels_last), _planes(grad, channels_last)
    return twins.grad_weight(x, shape, grad, _start(pads), stride, dilation, groups)


# In place, as a kernel applies them to a sum before it stores it. NaN stays NaN.
def _relu(y: np.ndarray) -> None:
    np.maximum(y, 0, out=y)


def _sigmoid(y: np.ndarray) -> None:
    """1 / (1 + exp(-y)), with an exponential that cannot overflow."""
    small = np.exp(-np.abs(y))
    np.divide(np.where(y < 0, small, 1), 1 + small, out=y)


def _tanh(y: np.ndarray) -> None:
    np.tanh(y, out=y)


ACTIVATIONS: dict[str, Callable[[np.ndarray], None]] = {"relu": _relu, "sigmoid": _sigmoid, "tanh": _tanh}


def _finished(
    y: np.ndarray, bias: np.ndarray | None, activation: str | None, channels_last: bool, out: np.ndarray | None
) -> np.ndarray:
    """A sum, given its bias and activation, in the caller's array if there is one."""
    if bias is not None:
        y += bias if channels_last else bias[:, None, None]
    if activation is not None:
        ACTIVATIONS[activation](y)
    if out is None:
        return y
    np.copyto(out, y)
    return out


def _start(pads: Pads) -> Pair:
    return -pads[0][0], -pads[1][0]


def _planes(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """As (N, C, H, W), the order of the twins."""
    return array.transpose(0, 3, 1, 2) if channels_last else array


def _pictures(planes: np.ndarray, channels_last: bool) -> np.ndarray:
    """In the caller's order."""
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)) if channels_last else planes


def _array(weight: np.ndarray | PackedWeight) -> np.ndarray:
    return weight.array if isinstance(weight, PackedWeight) else weight
