"""Convolution layers and their gradients.

Arrays come checked, native and of one dtype, in any strides: pictures as (N, C, H, W), or as (N, H, W, C) with
`channels_last`; the weight always as (K, C / groups, R, S). One dimension is a height of 1. `pads` are zeros
(before, after) each axis; `count`, the output's rows and columns, may ask for windows that reach beyond them,
where zeros go on.

The kernels (`layer`, `depthwise`) take pictures of any strides as (N, C, H, W). The gradient of the input is a layer,
too, on the gradient of the output with the weight turned around; where the layer has strides, one such layer for each
phase of the pixels, with those taps that meet it. Other dtypes go to the slow twins.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from .. import _runtime
from .._reference import layers as twins
from .dtypes import kernel_name, takes

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

_KERNELS = ("f32", "f64")
_PHASES = 16  # of a depthwise layer that goes the other way, which are done at once: together they stay in the caches
ACTIVATION_CODES = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}  # as in _kernels/simd.h


class PackedWeight:
    """A layer's weight in the order in which its kernel reads it.

    Made by `fastconv.nn.pack`, and taken by the layers in place of the array.
    """

    def __init__(self, weight: np.ndarray, groups: int) -> None:
        self.groups = groups
        self.shape = weight.shape
        self.dtype = weight.dtype.newbyteorder("=")
        # Of two dimensions, and a copy: what is changed later in the caller's array must not be half in it.
        taps = weight.shape[2:] if weight.ndim == 4 else (1, *weight.shape[2:])
        self.array = np.array(weight, self.dtype, order="C").reshape(*weight.shape[:2], *taps)
        self.packed = None
        name = kernel_name(self.dtype)
        if name in _KERNELS and weight.size and not _depthwise(weight.shape, groups):
            kernel = _runtime.kernel(str(name), "layer")
            self.packed = kernel.pack_weight(_grouped(self.array, groups), _runtime.threads())

    @functools.cached_property
    def tiles(self) -> np.ndarray | None:
        """The same for tiles, if they may be used; made when first asked for."""
        kernel = _runtime.kernel(str(kernel_name(self.dtype)), "layer")
        shape = _grouped(self.array, self.groups).shape
        tiles: np.ndarray | None = kernel.pack_tiles(self.packed, shape, _runtime.threads())
        return tiles

    def __repr__(self) -> str:
        return f"PackedWeight(shape={self.shape}, dtype={self.dtype}, groups={self.groups})"


def forward(
    x: np.ndarray, weight: np.ndarray | PackedWeight, bias: np.ndarray | None, stride: Pair, pads: Pads,
    dilation: Pair, groups: int, channels_last: bool, activation: str | None, count: Pair, out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:  # fmt: skip
    """activation(correlation of x with the weight + bias)."""
    threads = _runtime.threads(workers)
    x, start = _planes(x, channels_last), _start(pads)
    if kernel_name(x.dtype) not in _KERNELS:
        y = twins.forward(x, _array(weight), start, count, stride, dilation, groups)
        return _finished(_pictures(y, channels_last), bias, activation, channels_last, out)
    y, to = _room((x.shape[0], weight.shape[0], *count), x.dtype, channels_last, out, x, _array(weight))
    w = weight if isinstance(weight, PackedWeight) else _grouped(weight, groups)
    _sum(x, w, bias, _planes(to, channels_last), start, stride, dilation, groups, activation, threads)
    return _handed(to, y)


def transposed(
    x: np.ndarray, weight: np.ndarray | PackedWeight, bias: np.ndarray | None, shape: tuple[int, ...], stride: Pair,
    pads: Pads, dilation: Pair, groups: int, channels_last: bool, activation: str | None, out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:  # fmt: skip
    """activation(grad_input of x + bias): the layer that goes the other way, with an output of `shape`."""
    w = _array(weight)
    return _reversed(shape, w, x, bias, stride, pads, dilation, groups, channels_last, activation, out, workers)


def grad_input(
    shape: tuple[int, ...], weight: np.ndarray, grad: np.ndarray, stride: Pair, pads: Pads, dilation: Pair,
    groups: int, channels_last: bool, out: np.ndarray | None, workers: int | None,
) -> np.ndarray:  # fmt: skip
    """The gradient of the input, of `shape`, from that of the output."""
    return _reversed(shape, weight, grad, None, stride, pads, dilation, groups, channels_last, None, out, workers)


def grad_weight(
    x: np.ndarray, shape: tuple[int, ...], grad: np.ndarray, stride: Pair, pads: Pads, dilation: Pair, groups: int,
    channels_last: bool, workers: int | None,
) -> np.ndarray:  # fmt: skip
    """The gradient of the weight, of `shape`, from the input and the gradient of the output."""
    threads = _runtime.threads(workers)
    x, grad, start = _planes(x, channels_last), _planes(grad, channels_last), _start(pads)
    name = kernel_name(x.dtype)
    if name not in _KERNELS:
        return twins.grad_weight(x, shape, grad, start, stride, dilation, groups)
    weight = np.empty(shape, x.dtype)
    if _depthwise(shape, groups):
        kernel = _runtime.kernel(str(name), "depthwise")
        lanes = kernel.by_lanes(x, grad, stride != (1, 1))
        kernel.gradient(x, grad, weight, lanes, shape[2:], start, stride, dilation, threads)
    else:
        _runtime.kernel(str(name), "layer").gradient(x, grad, weight, start, stride, dilation, groups, threads)
    return weight


def _reversed(
    shape: tuple[int, ...], weight: np.ndarray, grad: np.ndarray, bias: np.ndarray | None, stride: Pair, pads: Pads,
    dilation: Pair, groups: int, channels_last: bool, activation: str | None, out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:  # fmt: skip
    """activation(the adjoint of the layer on `grad` + bias)."""
    threads = _runtime.threads(workers)
    grad, start = _planes(grad, channels_last), _start(pads)
    n, channels, height, width = (shape[0], shape[3], shape[1], shape[2]) if channels_last else shape
    if kernel_name(grad.dtype) not in _KERNELS:
        x = twins.grad_input((n, channels, height, width), weight, grad, start, stride, dilation, groups)
        return _finished(_pictures(x, channels_last), bias, activation, channels_last, out)
    y, to = _room((n, channels, height, width), grad.dtype, channels_last, out, grad, weight)
    x = _planes(to, channels_last)
    turned = _grouped(weight, groups).swapaxes(1, 2)
    down, across = min(stride[0], height), min(stride[1], width)  # phases along each axis
    phases = [
        (turned[..., rows, columns], (first0, first1), (apart0, apart1))
        for rows, first0, apart0 in (_phase(i, start[0], weight.shape[2], stride[0], dilation[0])
                                     for i in range(down))
        for columns, first1, apart1 in (_phase(j, start[1], weight.shape[3], stride[1], dilation[1])
                                        for j in range(across))
    ]  # fmt: skip
    if _depthwise(weight.shape, groups) and 1 < len(phases) <= _PHASES:
        kernel = _runtime.kernel(str(kernel_name(grad.dtype)), "depthwise")
        if x.strides[1] != x.itemsize and kernel.by_lanes(grad, x, True):
            bias = np.zeros(channels, grad.dtype) if bias is None else np.ascontiguousarray(bias, grad.dtype)
            lanes = [(np.ascontiguousarray(w.reshape(channels, -1).T), w.shape[3:], *where) for w, *where in phases]
            kernel.backward(grad, lanes, bias, x, (down, across), ACTIVATION_CODES[activation], threads)
            return _handed(to, y)
    for phase, (w, first, apart) in enumerate(phases):
        part = x[:, :, phase // across :: stride[0], phase % across :: stride[1]]
        _sum(grad, w, bias, part, first, (1, 1), apart, groups, activation, threads)
    return _handed(to, y)


@functools.lru_cache(1024)
def _phase(at: int, start: int, taps: int, stride: int, dilation: int) -> tuple[slice, int, int]:
    """The taps that meet the pixels at, at + stride, ...: in which order, from which output on, how far apart.

    Output o meets pixel start + o stride + p dilation by tap p.
    """
    meeting = [p for p in range(taps) if (at - start - p * dilation) % stride == 0]
    if not meeting:
        return slice(0), 0, 1
    step = stride // math.gcd(stride, dilation)
    backward = slice(meeting[-1], meeting[0] - step if meeting[0] >= step else None, -step)
    return backward, (at - start - meeting[-1] * dilation) // stride, dilation // math.gcd(stride, dilation)


def _sum(
    x: np.ndarray, weight: np.ndarray | PackedWeight, bias: np.ndarray | None, y: np.ndarray, start: Pair, stride: Pair,
    dilation: Pair, groups: int, activation: str | None, threads: int,
) -> None:  # fmt: skip
    """A layer by its kernel   IN x, weight, bias   OUT y, all but the weight with channels as their second axis.

    A weight that is not packed has its groups as an axis of their own.
    """
    grouped = _grouped(weight.array, groups) if isinstance(weight, PackedWeight) else weight
    name, taps, dtype, code = str(kernel_name(x.dtype)), grouped.shape[3:], x.dtype, ACTIVATION_CODES[activation]
    if 0 in weight.shape:  # no tap meets these pixels, or there are no channels
        y[...] = 0
        _finished(y, bias, activation, False, None)
        return
    if groups > 1 and grouped.shape[2] == 1:
        kernel = _runtime.kernel(name, "depthwise")
        rows = grouped.reshape(y.shape[1], *taps)
        lanes = kernel.by_lanes(x, y, stride != (1, 1))
        if lanes:
            rows = rows.reshape(len(rows), -1).T
        bias = np.zeros(y.shape[1], dtype) if bias is None else np.ascontiguousarray(bias, dtype)
        kernel.forward(x, np.ascontiguousarray(rows), bias, y, lanes, taps, start, stride, dilation, code, threads)
        return
    kernel = _runtime.kernel(name, "layer")
    by_tiles = kernel.by_tiles(grouped, y, stride, dilation)
    if not by_tiles and kernel.by_columns(grouped, y, stride, dilation):
        bias = np.zeros(y.shape[1], dtype) if bias is None else np.ascontiguousarray(bias, dtype)
        _runtime.kernel(name, "columns").forward(x, grouped, bias, y, start, stride, dilation, code, threads)
        return
    packed = weight.packed if isinstance(weight, PackedWeight) else kernel.pack_weight(grouped, threads)
    each = y.shape[1] // groups
    padded = np.zeros((groups, kernel.packed_lanes(each)), dtype)
    if bias is not None:
        padded[:, :each] = bias.reshape(groups, each)
    if by_tiles:
        tiles = weight.tiles if isinstance(weight, PackedWeight) else kernel.pack_tiles(packed, grouped.shape, threads)
        if tiles is not None and kernel.forward_tiles(x, tiles, padded, y, start, dilation, groups, code, threads):
            return
    kernel.forward(x, packed, padded, y, taps, start, stride, dilation, groups, code, threads)


def _grouped(weight: np.ndarray, groups: int) -> np.ndarray:
    """As (groups, K, C, R, S), K and C being channels of a group."""
    return weight.reshape(groups, len(weight) // groups, *weight.shape[1:])


def _depthwise(shape: tuple[int, ...], groups: int) -> bool:
    """Whether every channel is a group, and there is more than one."""
    return groups > 1 and shape[1] == 1


def _room(
    shape: tuple[int, ...], dtype: np.dtype, channels_last: bool, out: np.ndarray | None, *inputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The caller's array for a result of (N, C, H, W), or a new one, and that which the kernel may write."""
    if channels_last:
        shape = (shape[0], *shape[2:], shape[1])
    y = np.empty(shape, dtype) if out is None else out
    return y, y if out is None or takes(y, *inputs) else np.empty(shape, dtype)


def _handed(to: np.ndarray, y: np.ndarray) -> np.ndarray:
    if to is not y:
        np.copyto(y, to)
    return y


# IN x   OUT y, which may be x; as a kernel applies them to a sum before it stores it. NaN stays NaN.
def _relu(x: np.ndarray, y: np.ndarray) -> None:
    np.maximum(x, 0, out=y)


def _sigmoid(x: np.ndarray, y: np.ndarray) -> None:
    """1 / (1 + exp(-x)), with an exponential that cannot overflow."""
    small = np.exp(-np.abs(x))
    np.divide(np.where(x < 0, small, 1), 1 + small, out=y)


def _tanh(x: np.ndarray, y: np.ndarray) -> None:
    np.tanh(x, out=y)


ACTIVATIONS: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {"relu": _relu, "sigmoid": _sigmoid, "tanh": _tanh}


def _finished(
    y: np.ndarray, bias: np.ndarray | None, activation: str | None, channels_last: bool, out: np.ndarray | None
) -> np.ndarray:
    """A sum, given its bias and activation, in the caller's array if there is one."""
    if bias is not None:
        y += bias if channels_last else bias[:, None, None]
    if activation is not None:
        ACTIVATIONS[activation](y, y)
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
