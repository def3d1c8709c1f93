"""The slow twins of a convolution layer: its output, and the gradients of its input and of its weight.

All three are one relation read in three directions: with group g of channels, and x continued by zeros,

    y[n, k, i, j] = sum_cpq w[k, c, p, q] x[n, g C' + c, i s0 - top + p d0, j s1 - left + q d1]

Each takes a loop over the taps (p, q), ascending, and for a tap multiplies matrices of channels. Nothing is checked
or promoted here: arrays are of one dtype and in order NCHW, the weight is (K, C / groups, R, S). Integers wrap.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

__all__ = ["entries", "forward", "grad_input", "grad_weight"]

Pair = tuple[int, int]
Meeting = tuple[slice, slice]  # outputs for which a tap meets the image, and the pixels that it meets


def forward(
    x: np.ndarray, weight: np.ndarray, start: Pair, count: Pair, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The output of a layer without bias.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    weight : ndarray, shape (K, C / groups, R, S)
    start : pair of int
        Where the first window begins: minus the padding.
    count : pair of int
        Rows and columns of the output. Its windows may reach out of x on any side.
    stride, dilation : pair of int
    groups : int

    Returns
    -------
    ndarray, shape (N, K, *count)
    """
    y = np.zeros((x.shape[0], weight.shape[0], *count), x.dtype)
    to, of = _grouped(y, groups), _grouped(x, groups)
    for p, q, (rows, i), (columns, j) in _meetings(x.shape, weight.shape, count, start, stride, dilation):
        with np.errstate(all="ignore"):  # a convolution overflows in silence
            to[..., rows, columns] += _mix(_tap(weight, p, q, groups), of[..., i, j])
    return y


def grad_input(
    shape: tuple[int, ...], weight: np.ndarray, grad: np.ndarray, start: Pair, stride: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The adjoint of `forward` in x: what each output's gradient gives to the pixels that it was summed from.

    ``shape`` is that of x, ``grad`` has that of the output; the other parameters are those of `forward`.
    """
    x = np.zeros(shape, grad.dtype)
    to, of = _grouped(x, groups), _grouped(grad, groups)
    for p, q, (rows, i), (columns, j) in _meetings(shape, weight.shape, grad.shape[2:], start, stride, dilation):
        with np.errstate(all="ignore"):
            to[..., i, j] += _mix(_tap(weight, p, q, groups).swapaxes(1, 2), of[..., rows, columns])
    return x


def grad_weight(
    x: np.ndarray, shape: tuple[int, ...], grad: np.ndarray, start: Pair, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The adjoint of `forward` in the weight, whose ``shape`` is given: each tap's sum of pixel times gradient."""
    weight = np.zeros(shape, x.dtype)
    of, given = _grouped(x, groups), _grouped(grad, groups)
    for p, q, (rows, i), (columns, j) in _meetings(x.shape, shape, grad.shape[2:], start, stride, dilation):
        with np.errstate(all="ignore"):
            tap = _lines(given[..., rows, columns]) @ _lines(of[..., i, j]).swapaxes(1, 2)
        weight[:, :, p, q] = tap.reshape(shape[:2])
    return weight


def entries(
    shape: tuple[int, ...], weight: np.ndarray, start: Pair, count: Pair, stride: Pair, dilation: Pair, groups: int,
    channels_last: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The layer as the matrix that it is: which output sums which pixel with which weight.

    ``shape`` is that of one picture, (1, C, H, W), or (1, H, W, C) with ``channels_last``; the other parameters are
    those of `forward`. Outputs and pixels are numbered as they lie in memory; no pair of them comes twice.
    """
    channels = weight.shape[0]
    pixels = np.arange(np.prod(shape)).reshape(shape)
    outputs = np.arange(channels * count[0] * count[1])
    if channels_last:
        pixels, outputs = pixels.transpose(0, 3, 1, 2), outputs.reshape(1, *count, channels).transpose(0, 3, 1, 2)
    of, to = _grouped(pixels, groups)[0], _grouped(outputs.reshape(1, channels, *count), groups)[0]
    found = [
        np.broadcast_arrays(
            to[:, :, None, rows, columns], of[:, None, :, i, j], _tap(weight, p, q, groups)[..., None, None]
        )
        for p, q, (rows, i), (columns, j) in _meetings(pixels.shape, weight.shape, count, start, stride, dilation)
    ]
    if not found:  # the window sees nothing but padding
        return np.empty(0, int), np.empty(0, int), np.empty(0, weight.dtype)
    outputs, pixels, weights = (np.concatenate([one.ravel() for one in part]) for part in zip(*found, strict=True))
    return outputs, pixels, weights


def _meetings(
    x_shape: tuple[int, ...], weight_shape: tuple[int, ...], count: tuple[int, ...], start: Pair, stride: Pair,
    dilation: Pair,
) -> Iterator[tuple[int, int, Meeting, Meeting]]:  # fmt: skip
    """Every tap (p, q) that meets the image, with the rows and columns where it does."""

    def meeting(tap: int, axis: int) -> Meeting:
        step, shift = stride[axis], start[axis] + tap * dilation[axis]
        first = max(0, -(shift // step))  # the first output whose pixel, step * i + shift, is not before the image
        last = min(count[axis], -((shift - x_shape[2 + axis]) // step))
        pixel = step * first + shift
        return slice(first, last), slice(pixel, pixel + step * (last - first), step)

    for p, q in product(range(weight_shape[2]), range(weight_shape[3])):
        rows, columns = meeting(p, 0), meeting(q, 1)
        if all(outputs.start < outputs.stop for outputs in (rows[0], columns[0])):
            yield p, q, rows, columns


def _grouped(planes: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, H, W) as (N, groups, C / groups, H, W), a view."""
    n, channels, height, width = planes.shape
    return planes.reshape(n, groups, channels // groups, height, width)


def _tap(weight: np.ndarray, p: int, q: int, groups: int) -> np.ndarray:
    """One tap as a matrix for each group: (groups, K / groups, C / groups)."""
    return weight[:, :, p, q].reshape(groups, weight.shape[0] // groups, weight.shape[1])


def _mix(matrix: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Each group's channels of each pixel times the group's matrix."""
    n, groups, channels, height, width = planes.shape
    mixed: np.ndarray = matrix @ planes.reshape(n, groups, channels, height * width)
    return mixed.reshape(n, groups, matrix.shape[1], height, width)


def _lines(planes: np.ndarray) -> np.ndarray:
    """(N, groups, C, H, W) as (groups, C, N H W)."""
    n, groups, channels, height, width = planes.shape
    lines: np.ndarray = np.moveaxis(planes, 0, 2).reshape(groups, channels, n * height * width)
    return lines
