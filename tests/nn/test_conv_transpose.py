"""conv_transpose1d and conv_transpose2d: copies of kernels added up, and the layers that they reverse."""

import inspect

import numpy as np
import pytest
from helpers import ALL_DTYPES, layouts, name, same, small
from layer_cases import CASES, cast

from fastconv import ShapeError, nn
from fastconv.nn import conv2d, conv_transpose1d, conv_transpose2d

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def last(array):
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


def copies(x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, flip=False):
    """The layer by its definition: every pixel puts its kernel into the output."""
    (s0, s1), (d0, d1), (more0, more1) = (np.broadcast_to(v, 2) for v in (stride, dilation, output_padding))
    (top, bottom), (left, right) = padding if np.ndim(padding) == 2 else [(p, p) for p in np.broadcast_to(padding, 2)]
    weight = weight[..., ::-1, ::-1] if flip else weight
    n, channels, height, width = x.shape
    _, k, rows, columns = weight.shape
    y = np.zeros((n, k * groups, (height - 1) * s0 + (rows - 1) * d0 + 1 + more0,
                  (width - 1) * s1 + (columns - 1) * d1 + 1 + more1), x.dtype)  # fmt: skip
    for c, i, j in np.ndindex(channels, height, width):
        group = c // (channels // groups)
        to = y[:, group * k : (group + 1) * k, i * s0 : i * s0 + (rows - 1) * d0 + 1 : d0,
               j * s1 : j * s1 + (columns - 1) * d1 + 1 : d1]  # fmt: skip
        to += x[:, c, i, j][:, None, None, None] * weight[c]
    return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]


OPTIONS = [
    {},
    {"stride": 2},
    {"stride": (3, 2), "padding": 1},
    {"stride": 2, "padding": (1, 0), "output_padding": 1},
    {"padding": 2, "dilation": 2},
    {"stride": (1, 5), "padding": ((0, 1), (2, 0)), "output_padding": (0, 3)},
    {"stride": 4, "dilation": (1, 3), "output_padding": (3, 2)},
    {"dilation": 3, "output_padding": 2},
    {"flip": True, "stride": 2},
]
EVERY_OPTION = pytest.mark.parametrize("options", OPTIONS, ids=str)
SHAPES = [  # input, weight, groups
    ((2, 4, 5, 6), (4, 3, 3, 3), 1),
    ((1, 6, 4, 3), (6, 2, 2, 4), 3),
    ((2, 5, 4, 4), (5, 1, 3, 3), 5),
    ((1, 1, 1, 1), (1, 9, 4, 4), 1),
    ((1, 17, 3, 2), (17, 33, 3, 3), 1),
]


@EVERY_OPTION
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_pictures(options, dtype, rng):
    for shape, taps, groups in SHAPES:
        x, weight = small(rng, shape, dtype), small(rng, taps, dtype)
        bias = small(rng, taps[1] * groups, dtype)
        try:
            expected = np.ascontiguousarray(copies(x, weight, groups=groups, **options))
        except ValueError:
            continue
        if 0 in expected.shape:
            continue
        with_bias = expected + bias[:, None, None]
        for workers in (1, 2):
            given = options | {"groups": groups, "workers": workers}
            same(conv_transpose2d(x, weight, **given), expected)
            same(conv_transpose2d(x, weight, bias, **given), with_bias)
            same(conv_transpose2d(x, weight, bias, **given, activation="relu"), np.maximum(with_bias, 0))
            same(conv_transpose2d(last(x), weight, bias, **given, layout="NHWC"), last(with_bias))
            packed = nn.pack(weight, groups, flip=given.pop("flip", False))
            same(conv_transpose2d(x, packed, bias, **given), with_bias)


@EVERY_OPTION
def test_lines(options, rng):
    """A line is a picture of one row."""
    one = {key: value if np.ndim(value) == 0 else value[1] for key, value in options.items()}
    two = {key: value if key == "flip" else ((0, 0), tuple(np.broadcast_to(value, 2))) if key == "padding"
           else (key != "output_padding", value) for key, value in one.items()}  # fmt: skip
    x, weight, bias = small(rng, (2, 4, 7), "f8"), small(rng, (4, 3, 4), "f8"), small(rng, 6, "f8")
    expected = copies(x[:, :, None], weight[:, :, None], groups=2, **two)[:, :, 0] + bias[:, None]
    same(conv_transpose1d(x, weight, bias, groups=2, **one), expected)
    same(conv_transpose1d(x[0], weight, bias, groups=2, **one), expected[0])
    lines = np.ascontiguousarray(x.swapaxes(1, 2))
    found = conv_transpose1d(lines, weight, bias, groups=2, **one, layout="NWC")
    same(found, np.ascontiguousarray(expected.swapaxes(1, 2)))


@EVERY_CASE
def test_it_is_the_adjoint_of_the_layer(case, rng):
    """The transposed layer with the same weight takes the layer's output to its input, or short of it."""
    x, weight, _ = case.draw(rng, "i8")
    if case.padding == "same" or case.remainder == "pad" or x.size == 0:
        return
    y = conv2d(x, weight, **case.options)
    grad = small(rng, y.shape, "i8")
    options = {key: value for key, value in case.options.items() if key != "remainder"}
    strides, dilations = (np.broadcast_to(value, 2) for value in (case.stride, case.dilation))
    try:
        shorter = conv_transpose2d(grad, weight, **options)
    except ShapeError:
        return
    more = tuple(int(n - m) for n, m in zip(x.shape[2:], shorter.shape[2:], strict=True))
    if any(n >= max(s, d) or n < 0 for n, s, d in zip(more, strides, dilations, strict=True)):
        return
    back = conv_transpose2d(grad, weight, **options, output_padding=more)
    assert back.shape == x.shape
    assert (back * x).sum() == (grad * y).sum()


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_every_dtype(dtype, rng):
    x, weight = small(rng, (2, 4, 3, 4), "i4", 2), small(rng, (4, 2, 3, 2), "i4", 2)
    bias = small(rng, 4, "i4", 2)
    if dtype.kind in "bu":
        x, weight, bias = (np.abs(a) for a in (x, weight, bias))
    expected = copies(x, weight, 2, 1, 1, 2) + bias[:, None, None]
    expected = expected.astype(bool) if dtype.kind == "b" else cast(expected, dtype)
    same(conv_transpose2d(*(cast(a, dtype) for a in (x, weight, bias)), 2, 1, 1, 2), expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_layouts_of_memory(layout, rng):
    x, weight = small(rng, (2, 4, 5, 4), "f4"), small(rng, (4, 3, 3, 3), "f4")
    x = x if layout == "NCHW" else last(x)
    expected = conv_transpose2d(x, weight, stride=2, layout=layout)
    for lies, of in layouts("f4").items():
        same(conv_transpose2d(of(x), weight, stride=2, layout=layout), expected, lies)
        same(conv_transpose2d(x, of(weight), stride=2, layout=layout), expected, lies)
        if lies not in ("read-only", "byteswapped"):
            out = of(np.zeros_like(expected))
            assert conv_transpose2d(x, weight, stride=2, layout=layout, out=out) is out
            same(out, expected, lies)


def test_out_may_be_an_input(rng):
    x, weight = small(rng, (2, 3, 6, 6), "f4"), small(rng, (3, 3, 3, 3), "f4")
    expected = conv_transpose2d(x, weight, padding=1)
    assert conv_transpose2d(x, weight, padding=1, out=x) is x
    same(x, expected)


def test_padding_by_name(rng):
    x, weight = small(rng, (1, 2, 5, 4), "f8"), small(rng, (2, 3, 4, 3), "f8")
    same(conv_transpose2d(x, weight, stride=2, padding="valid"), conv_transpose2d(x, weight, stride=2))
    for stride in (1, 2, 3, 5):
        y = conv_transpose2d(x, weight, stride=stride, padding="same")
        assert y.shape == (1, 3, 5 * stride, 4 * stride)
        other = small(rng, y.shape, "f8")
        there = conv2d(other, weight, stride=stride, padding="same")
        assert (y * other).sum() == (x * there).sum()


def test_errors():
    x, weight = np.ones((2, 4, 5, 5)), np.ones((4, 3, 3, 3))
    for error, said, options in [
        (ShapeError, r"output_padding is 2.*stride, 2", {"stride": 2, "output_padding": 2}),
        (ShapeError, r"output_padding is -1", {"stride": 2, "output_padding": -1}),
        (ShapeError, r"\(5 - 1\)\*1 \+ 1\*\(3 - 1\) \+ 1 - 4 - 4 \+ 0 = -1", {"padding": 4}),
        (ShapeError, "groups is 3.*4 channels of the input", {"groups": 3}),
        (ShapeError, "input has 5 channels.*'NHWC'.*takes 4", {"layout": "NHWC"}),
        (ShapeError, r"bias has shape \(4,\); 3 output channels", {"bias": np.ones(4)}),
        (ShapeError, r"bias has shape \(3,\); 6 output channels", {"bias": np.ones(3), "groups": 2}),
        (ShapeError, "stride is 0", {"stride": 0}),
        (ValueError, "padding is 'full'", {"padding": "full"}),
        (ValueError, r"out.*\(2, 3, 7, 7\)", {"out": np.ones((2, 3, 5, 5))}),
        (TypeError, "stride", {"stride": 1.0}),
        (TypeError, "output_padding", {"output_padding": None}),
    ]:
        with pytest.raises(error, match=said) as caught:
            conv_transpose2d(x, weight, **options)
        assert type(caught.value) is error
        assert "\n" not in str(caught.value)
    with pytest.raises(ShapeError, match=r"kernel is .*0"):
        conv_transpose2d(x, weight[..., :0], padding="same")


def test_signatures():
    torch = ["input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"]
    for function in (conv_transpose1d, conv_transpose2d):
        parameters = inspect.signature(function).parameters
        assert list(parameters) == [*torch, "layout", "flip", "activation", "out", "workers"]
        assert [parameters[name].default for name in torch[2:]] == [None, 1, 0, 0, 1, 1]
