"""What the layers and their gradients check alike: arrays, dtypes, and sizes that must go together."""
from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

import numpy as np

from .._plan.dtypes import native, output
from .._plan.layers import PackedWeight
from .._plan.sizes import ShapeError, channels_last, per_axis, windows

Pair = tuple[int, int]
Shape = tuple[int, ...]


class Layer(NamedTuple):
    """A layer's sizes in two dimensions; one dimension is a height of 1.

    A transposed layer is described by the layer that it reverses: it turns that one's output into its input.
    """

    input: Shape
    output: Shape
    weight: Shape
    stride: Pair
    pads: tuple[Pair, Pair]
    dilation: Pair
    groups: int
    channels_last: bool
    places: Pair  # rows and columns of the output


# --- sizes ----------------------------------------------------------------------------------------------------


def layer(
    ndim: int, input: Shape, weight: Shape, stride: Any, padding: Any, dilation: Any, groups: Any, layout: str,
    remainder: str,
) -> Layer:  # fmt: skip
    """The layer that takes a batch of this shape, from the parameters as users give them."""
    # What a network asks for, it asks for at every step. Numbers inside a tuple could be equal and not whole.
    describe = _layer if type(stride) is type(padding) is type(dilation) is int else _layer.__wrapped__
    return describe(ndim, input, weight, stride, padding, dilation, groups, layout, remainder)


def transposed_layer(
    ndim: int, input: Shape, weight: Shape, stride: Any, padding: Any, output_padding: Any, dilation: Any,
    groups: Any, layout: str,
) -> Layer:  # fmt: skip
    """The layer that is reversed by a transposed one which takes a batch of this shape."""
    plain = type(stride) is type(padding) is type(output_padding) is type(dilation) is int
    describe = _transposed_layer if plain else _transposed_layer.__wrapped__
    return describe(ndim, input, weight, stride, padding, output_padding, dilation, groups, layout)


@functools.lru_cache(1024, typed=True)
def _layer(
    ndim: int, input: Shape, weight: Shape, stride: Any, padding: Any, dilation: Any, groups: Any, layout: str,
    remainder: str,
) -> Layer:  # fmt: skip
    last = channels_last(layout, ndim)
    channels, sizes = _split(input, last)
    (groups,) = per_axis(groups, "groups", 1)
    for count, what in ((channels, "channels of the input"), (weight[0], "output channels of the weight")):
        if count % groups:
            raise ShapeError(f"groups is {groups}, which does not divide the {count} {what}")
    if channels != weight[1] * groups:
        raise ShapeError(
            f"the input has {channels} channels in layout {layout!r}; a weight of shape {weight} with groups={groups} "
            f"takes {weight[1] * groups}"
        )
    axes = windows(sizes, weight[2:], stride, padding, dilation, remainder)
    return _described(
        input, _joined(input[0], weight[0], [axis.output for axis in axes], last), weight,
        [axis.stride for axis in axes], [(axis.before, axis.after) for axis in axes],
        [axis.dilation for axis in axes], groups, last,
    )  # fmt: skip


@functools.lru_cache(1024, typed=True)
def _transposed_layer(
    ndim: int, input: Shape, weight: Shape, stride: Any, padding: Any, output_padding: Any, dilation: Any,
    groups: Any, layout: str,
) -> Layer:  # fmt: skip
    last = channels_last(layout, ndim)
    channels, sizes = _split(input, last)
    (groups,) = per_axis(groups, "groups", 1)
    if channels % groups:
        raise ShapeError(f"groups is {groups}, which does not divide the {channels} channels of the input")
    if channels != weight[0]:
        raise ShapeError(
            f"the input has {channels} channels in layout {layout!r}; a transposed weight of shape {weight} takes "
            f"{weight[0]}"
        )
    kernels, strides = per_axis(weight[2:], "kernel", ndim), per_axis(stride, "stride", ndim)
    dilations, extra = per_axis(dilation, "dilation", ndim), per_axis(output_padding, "output_padding", ndim, 0)
    spans = [(k - 1) * d + 1 for k, d in zip(kernels, dilations, strict=True)]
    same = isinstance(padding, str) and padding == "same"
    if same:  # size times stride, as Keras has it
        pads = [(max(span - s, 0) // 2, -(-max(span - s, 0) // 2)) for span, s in zip(spans, strides, strict=True)]
    else:  # the checks are those of a layer; a size of one span has room for any of them
        pads = [(a.before, a.after) for a in windows(spans, kernels, 1, padding, dilations, "drop")]
    grown = []
    for size, k, s, d, more, span, (before, after) in zip(
        sizes, kernels, strides, dilations, extra, spans, pads, strict=True
    ):
        if more >= max(s, d):
            raise ShapeError(f"output_padding is {more}; it must be smaller than the stride, {s}, or the dilation, {d}")
        grown.append(size * s + more if same else (size - 1) * s + span - before - after + more)
        if grown[-1] < 1:
            raise ShapeError(
                f"an input of {size}, kernel {k}, stride {s}, padding {before, after} and dilation {d} give an output "
                f"of ({size} - 1)*{s} + {d}*({k} - 1) + 1 - {before} - {after} + {more} = {grown[-1]}"
            )
    return _described(
        _joined(input[0], weight[1] * groups, grown, last), input, weight, strides, pads, dilations, groups, last
    )


def whole_shape(size: Any, name: str) -> Shape:
    """A shape as the user gives it."""
    try:
        sizes = tuple(map(operator.index, size))
    except TypeError:
        raise TypeError(f"{name} is {size!r}; it needs a sequence of whole numbers") from None
    if min(sizes, default=0) < 0:
        raise ShapeError(f"{name} is {sizes}; no size can be negative")
    return sizes


def _described(
    input: Shape, output: Shape, weight: Shape, stride: Any, pads: Any, dilation: Any, groups: int, last: bool
) -> Layer:
    """The layer in two dimensions, from one or two."""
    if len(stride) == 1:
        at = 1 if last else 2
        input, output = (*input[:at], 1, *input[at:]), (*output[:at], 1, *output[at:])
        weight, stride, dilation, pads = (*weight[:2], 1, weight[2]), (1, *stride), (1, *dilation), ((0, 0), *pads)
    places = (output[1], output[2]) if last else (output[2], output[3])
    return Layer(input, output, weight, tuple(stride), tuple(pads), tuple(dilation), groups, last, places)


def _split(shape: Shape, last: bool) -> tuple[int, Shape]:
    """Channels and sizes of a batch."""
    return (shape[-1], shape[1:-1]) if last else (shape[1], shape[2:])


def _joined(n: int, channels: int, sizes: list[int], last: bool) -> Shape:
    return (n, *sizes, channels) if last else (n, channels, *sizes)


# --- arrays ---------------------------------------------------------------------------------------------------


_USUAL = (np.dtype(np.float32), np.dtype(np.float64))  # native ones


def operands(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Both in the dtype that they are summed in, native and aligned, and the dtype of the result."""
    dtype = first.dtype
    if dtype is second.dtype and dtype in _USUAL and first.flags.aligned and second.flags.aligned:
        return first, second, dtype  # a small layer takes no longer than what follows
    try:
        dtype = np.result_type(first, second)
    except np.exceptions.DTypePromotionError:
        raise TypeError(f"a layer cannot sum {first.dtype} times {second.dtype}") from None
    if dtype.kind not in "biufcO":
        raise TypeError(f"a layer cannot sum {dtype}; it needs numbers")
    sums = np.dtype(np.float32) if dtype == np.float16 else dtype  # a half holds too few digits for a running sum
    return native(first, sums), native(second, sums), dtype


def batch(name: str, value: Any, ndim: int) -> np.ndarray:
    """A batch, or one picture or line."""
    array: np.ndarray = value if type(value) is np.ndarray else np.asarray(value)
    if not ndim < array.ndim < ndim + 3:
        raise ShapeError(
            f"{name} has shape {array.shape}; it needs {ndim + 2} dimensions, or {ndim + 1} without that of a batch"
        )
    return array


def unpacked(value: Any) -> np.ndarray:
    """A weight as an array."""
    if isinstance(value, PackedWeight):
        raise TypeError(f"weight is a {value!r}, which only the layers take; use the array that it was packed from")
    array: np.ndarray = value if type(value) is np.ndarray else np.asarray(value)
    return array


def taps(value: Any, ndim: int) -> np.ndarray:
    """A weight of so many dimensions."""
    array = unpacked(value)
    check_taps(array.shape, ndim)
    return array


def check_taps(shape: Shape, ndim: int) -> None:
    if len(shape) != ndim + 2:
        raise ShapeError(f"weight has shape {shape}; it needs {ndim + 2} dimensions")


def flipped(weight: np.ndarray) -> np.ndarray:
    """Each kernel turned around: a view."""
    return weight[..., ::-1] if weight.ndim == 3 else weight[..., ::-1, ::-1]


def lifted(array: np.ndarray, ndim: int, last: bool) -> np.ndarray:
    """A batch, or one picture or line, as a batch of pictures: a view."""
    if array.ndim == ndim + 1:
        array = array[None]
    if ndim == 1:
        array = array[:, None] if last else array[:, :, None]
    return array


def finished(
    pictures: np.ndarray, ndim: int, last: bool, alone: bool, dtype: np.dtype, out: np.ndarray | None
) -> np.ndarray:
    """The result as the caller wants it: of `dtype`, one or a batch, pictures or lines, in `out` if it is given."""
    if ndim == 1:
        pictures = pictures[:, 0] if last else pictures[:, :, 0]
    if alone:
        pictures = pictures[0]
    if pictures.dtype is not dtype:  # a half, summed as a single
        with np.errstate(over="ignore"):
            pictures = pictures.astype(dtype, copy=False)
        if out is not None:
            out[...] = pictures
    return pictures if out is None else out


def target(
    out: np.ndarray | None, pictures: Shape, ndim: int, last: bool, alone: bool, dtype: np.dtype, sums: np.dtype
) -> np.ndarray | None:
    """The caller's `out` as the batch of pictures that is to be written, if it is of the dtype that is summed in."""
    if out is None:
        return None
    out = output(out, lowered_shape(pictures, ndim, last, alone), dtype)
    return lifted(out, ndim, last) if dtype == sums else None


def lowered_shape(pictures: Shape, ndim: int, last: bool, alone: bool) -> Shape:
    """The shape of a batch of pictures as the caller knows it."""
    if ndim == 1:
        pictures = (pictures[0], *pictures[2:]) if last else (*pictures[:2], pictures[3])
    return pictures[1:] if alone else pictures
