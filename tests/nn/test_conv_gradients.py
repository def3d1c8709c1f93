"""Gradients of the layers: by the adjoint identity, exactly, and by finite differences."""

import inspect

import numpy as np
import pytest
from helpers import ALL_DTYPES, layouts, name, same, small
from layer_cases import CASES, DEPTHWISE, Case, by_scipy, cast

from fastconv import ShapeError, nn
from fastconv.nn import conv2d, conv_transpose2d, grad

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
PLAIN = Case("plain", (2, 4, 7, 9), (6, 2, 3, 3), (2, 1), ((1, 1), (0, 2)), (1, 2), 2, "drop")
LAYOUTS = ("NCHW", "NHWC")


def laid(array, layout):
    return array if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(array, -3, -1))


@EVERY_CASE
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_adjoint(case, dtype, rng):
    """<A x, g> = <x, A' g> holds for every g, so it is A' that was applied; the sums are exact."""
    x, weight, _ = case.draw(rng, dtype, 2)
    y = by_scipy(case, x, weight).astype("i8")
    g = small(rng, y.shape, dtype, 2)
    total = (y * g.astype("i8")).sum()
    for layout in LAYOUTS:
        for workers in (1, 2):
            options = case.options | {"layout": layout, "workers": workers}
            to_input = grad.conv2d_input(laid(x, layout).shape, weight, laid(g, layout), **options)
            to_weight = grad.conv2d_weight(laid(x, layout), weight.shape, laid(g, layout), **options)
            assert (to_input.dtype, to_weight.dtype) == (x.dtype, x.dtype)
            assert (to_input.astype("i8") * laid(x, layout).astype("i8")).sum() == total
            assert (to_weight.astype("i8") * weight.astype("i8")).sum() == total


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("size", "padding", "dilation"), [(3, 1, 1), (3, 4, 1), (2, 1, 1), (5, 2, 1), (7, 3, 2)])
def test_the_weight_of_a_depthwise_layer_sees_nothing_beside_its_planes(size, padding, dilation, dtype, rng):
    """Planes in the middle of NaN, the exact sums; and an infinity on a border meets the zeros around the other."""
    options = {"padding": padding, "dilation": dilation, "groups": 3}
    for height, width in (13, 13), (14, 16), (20, 37), (31, 70):
        rows, columns = (n + 2 * padding - (size - 1) * dilation for n in (height, width))
        x, g = small(rng, (2, 3, height, width), dtype), small(rng, (2, 3, rows, columns), dtype)
        around = np.pad(x, 2 * ((0, 0),) + 2 * ((padding, padding),))
        taps = [
            (around[:, :, p : p + rows, q : q + columns] * g).sum((0, 2, 3))
            for p in range(0, size * dilation, dilation) for q in range(0, size * dilation, dilation)
        ]  # fmt: skip
        expected = np.stack(taps, 1).reshape(3, 1, size, size)
        among = [np.full((4, 5, *a.shape[2:]), np.nan, dtype) for a in (x, g)]
        gaps = [np.full((2, 3, a.shape[2] + 2, a.shape[3] + 3), np.nan, dtype) for a in (x, g)]
        inside = [a[1:3, 1:4] for a in among], [a[:, :, 1:-1, 2:-1] for a in gaps]
        same(grad.conv2d_weight(x, expected.shape, g, **options), expected)
        for there in inside:
            there[0][...], there[1][...] = x, g
            same(grad.conv2d_weight(there[0], expected.shape, there[1], **options), expected)
        for channel in range(3):
            g[channel // 2, channel, 0, -1] = np.inf
        packed = grad.conv2d_weight(np.asfortranarray(x), expected.shape, np.asfortranarray(g), **options)
        same(grad.conv2d_weight(x, expected.shape, g, **options), packed)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation"),
    [(3, 1, 1, 1), (3, 1, 4, 1), (2, 1, 0, 1), (3, 1, 2, 2), (3, 2, 1, 1), (3, 2, 2, 2), (5, 2, 2, 1), (3, 3, 1, 1),
     (7, 1, 3, 1)],
)  # fmt: skip
def test_nor_beside_its_channels_where_they_are_last(size, stride, padding, dilation, dtype, rng):
    """Pixels in the middle of NaN, the exact sums; and an infinity on a border meets the zeros around the other."""
    for height, width, channels in (5, 26, 16), (41, 40, 35), (13, 60, 70), (38, 38, 256), (2, 300, 20):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": channels, "layout": "NHWC",
                   "remainder": "drop"}  # fmt: skip
        rows, columns = (
            max(0, n + 2 * padding - (size - 1) * dilation - 1) // stride + 1 for n in (height, width)
        )
        if height + 2 * padding <= (size - 1) * dilation:
            continue
        x = small(rng, (2, height, width, channels), dtype, 2)
        g = small(rng, (2, rows, columns, channels), dtype, 2)
        around = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        taps = [
            (around[:, p : p + rows * stride : stride, q : q + columns * stride : stride][:, :rows, :columns] * g)
            .sum((0, 1, 2))
            for p in range(0, size * dilation, dilation) for q in range(0, size * dilation, dilation)
        ]  # fmt: skip
        expected = np.stack(taps, 1).reshape(channels, 1, size, size)
        same(grad.conv2d_weight(x, expected.shape, g, **options), expected)
        gaps = [np.full((2, a.shape[1] + 2, a.shape[2] + 3, channels + 9), np.nan, dtype) for a in (x, g)]
        inside = [a[:, 1:-1, 2:-1, 4:-5] for a in gaps]
        inside[0][...], inside[1][...] = x, g
        for workers in (1, 2, 5):
            same(grad.conv2d_weight(inside[0], expected.shape, inside[1], workers=workers, **options), expected)
        for channel in range(3):
            g[channel // 2, 0, -1, channel] = np.inf
        packed = grad.conv2d_weight(np.asfortranarray(x), expected.shape, np.asfortranarray(g), **options)
        same(grad.conv2d_weight(x, expected.shape, g, **options), packed)


@pytest.mark.parametrize("shape", [(2, 60, 57, 64), (3, 57, 60, 5), (4, 14, 15, 33), (9, 7, 7, 40)])
def test_the_weight_of_a_depthwise_layer_is_the_same_for_any_number_of_workers(shape, rng):
    x, g = (rng.standard_normal(shape).astype("f4") for _ in range(2))
    for layout in LAYOUTS:
        a, b = (v if layout == "NHWC" else np.ascontiguousarray(np.moveaxis(v, 3, 1)) for v in (x, g))
        options = {"padding": 1, "groups": shape[3], "layout": layout}
        first = grad.conv2d_weight(a, (shape[3], 1, 3, 3), b, workers=1, **options)
        for workers in (2, 3, 8):
            same(grad.conv2d_weight(a, (shape[3], 1, 3, 3), b, workers=workers, **options), first)


@pytest.mark.parametrize("case", DEPTHWISE, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_depthwise_layers_both_ways(case, dtype, rng):
    x, weight, bias = case.draw(rng, dtype, 2)
    y = by_scipy(case, x, weight)
    g = small(rng, y.shape, dtype, 2)
    bias = bias[: len(weight)]
    for layout, workers in (("NCHW", 1), ("NCHW", 2), ("NHWC", 2)):
        options = case.options | {"layout": layout, "workers": workers}
        relu = np.maximum(y + bias[:, None, None], 0)
        same(conv2d(laid(x, layout), weight, bias, activation="relu", **options), laid(relu, layout))
        to_input = grad.conv2d_input(laid(x, layout).shape, weight, laid(g, layout), **options)
        to_weight = grad.conv2d_weight(laid(x, layout), weight.shape, laid(g, layout), **options)
        if layout == "NCHW" and workers == 1:
            # each plane for itself: <A x, g> = <x, A' g>
            assert ((to_input * x).sum((2, 3)) == (y * g).sum((2, 3))).all()
            assert ((to_weight * weight).sum((1, 2, 3)) == (y * g).sum((0, 2, 3))).all()
            first = to_input, to_weight
        same(to_input, laid(first[0], layout))
        same(to_weight, first[1])


@EVERY_CASE
def test_the_whole_jacobian(case, rng):
    """Column by column: what the matrix of the layer says."""
    if max(case.weight) >= 1000:
        return  # the matrix is as good for fewer channels
    x, weight, _ = case.draw(rng, "f8")
    y = by_scipy(case, x, weight)
    g = small(rng, y.shape, "f8")
    matrix = nn.as_matrix(weight, x.shape[1:], **case.options)
    to_input = grad.conv2d_input(x.shape, weight, g, **case.options)
    same(to_input, np.stack([(matrix.T @ one.ravel()).reshape(x.shape[1:]) for one in g]))
    to_weight = grad.conv2d_weight(x, weight.shape, g, **case.options)
    for at in rng.integers(0, weight.size, 5):  # a weight of a single 1 picks what it multiplies
        one = np.zeros(weight.size)
        one[at] = 1
        assert to_weight.ravel()[at] == (by_scipy(case, x, one.reshape(weight.shape)) * g).sum()


def numerical(function, at, eps=1e-6):
    """The gradient of a number by central differences."""
    slope = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        keep = at[index]
        at[index] = keep + eps
        above = function()
        at[index] = keep - eps
        slope[index] = (above - function()) / (2 * eps)
        at[index] = keep
    return slope


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("activation", "layout", "flip"),
    [(None, "NCHW", False), ("relu", "NHWC", False), ("sigmoid", "NCHW", True), ("tanh", "NHWC", True)],
)
def test_finite_differences(activation, layout, flip, rng):
    case = Case("", (2, 4, 4, 5), (6, 2, 3, 2), (2, 1), ((1, 1), (0, 2)), (1, 2), 2, "pad")
    x, weight, bias = (rng.standard_normal(shape) for shape in (case.input, case.weight, case.weight[:1]))
    x = laid(x, layout)
    options = case.options | {"layout": layout, "flip": flip}
    y = conv2d(x, weight, bias, **options, activation=activation)
    g = rng.standard_normal(y.shape)

    def loss():
        return (conv2d(x, weight, bias, **options, activation=activation) * g).sum()

    before = g if activation is None else grad.activation(y, g, activation)
    close(grad.conv2d_input(x.shape, weight, before, **options), numerical(loss, x))
    close(grad.conv2d_weight(x, weight.shape, before, **options), numerical(loss, weight))
    close(grad.conv_bias(before, layout=layout), numerical(loss, bias))


@pytest.mark.parametrize(("activation", "layout"), [(None, "NCHW"), ("sigmoid", "NHWC")])
def test_finite_differences_of_transposed_layers(activation, layout, rng):
    x, weight, bias = (rng.standard_normal(shape) for shape in ((2, 4, 3, 3), (4, 3, 3, 2), (6,)))
    x = laid(x, layout)
    options = {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "output_padding": (1, 0), "groups": 2,
               "dilation": (1, 2), "layout": layout, "flip": True}  # fmt: skip
    y = conv_transpose2d(x, weight, bias, **options, activation=activation)
    g = rng.standard_normal(y.shape)

    def loss():
        return (conv_transpose2d(x, weight, bias, **options, activation=activation) * g).sum()

    before = g if activation is None else grad.activation(y, g, activation)
    close(grad.conv_transpose2d_input(x.shape, weight, before, **options), numerical(loss, x))
    close(grad.conv_transpose2d_weight(x, weight.shape, before, **options), numerical(loss, weight))
    close(grad.conv_bias(before, layout=layout), numerical(loss, bias))


@EVERY_CASE
def test_transposed_layers_are_adjoint_too(case, rng):
    _, weight, _ = case.draw(rng, "i8", 2)
    x = small(rng, (2, weight.shape[0], 4, 3), "i8", 2)
    options = {key: value for key, value in case.options.items() if key != "remainder"}
    for layout in LAYOUTS:
        try:
            y = conv_transpose2d(laid(x, layout), weight, **options, layout=layout)
        except ShapeError:
            return
        g = small(rng, y.shape, "i8", 2)
        to_input = grad.conv_transpose2d_input(laid(x, layout).shape, weight, g, **options, layout=layout)
        to_weight = grad.conv_transpose2d_weight(laid(x, layout), weight.shape, g, **options, layout=layout)
        assert (y * g).sum() == (to_input * laid(x, layout)).sum() == (to_weight * weight).sum()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lines_and_single_pictures(layout, rng):
    x, weight, _ = PLAIN.draw(rng, "f8")
    options = PLAIN.options | {"layout": layout}
    g = small(rng, by_scipy(PLAIN, x, weight).shape, "f8")
    to_input = grad.conv2d_input(laid(x, layout).shape, weight, laid(g, layout), **options)
    alone = [laid(one, layout) for one in x], [laid(one, layout) for one in g]
    for one, of, expected in zip(*alone, to_input, strict=True):
        same(grad.conv2d_input(one.shape, weight, of, **options), expected.copy())
    total = sum(grad.conv2d_weight(one, weight.shape, of, **options) for one, of in zip(*alone, strict=True))
    same(total, grad.conv2d_weight(laid(x, layout), weight.shape, laid(g, layout), **options))

    line, taps = small(rng, (2, 4, 11), "f8"), small(rng, (6, 2, 3), "f8")
    flat = {"stride": 2, "padding": (1, 2), "groups": 2, "remainder": "drop"}
    of = small(rng, nn.conv1d(line, taps, **flat).shape, "f8")
    lift = {"stride": (1, 2), "padding": ((0, 0), (1, 2)), "groups": 2, "remainder": "drop"}
    expected = grad.conv2d_input((2, 4, 1, 11), taps[:, :, None], of[:, :, None], **lift)[:, :, 0]
    same(grad.conv1d_input(line.shape, taps, of, **flat), expected)
    same(grad.conv1d_input((4, 11), taps, of[0], **flat), expected[0])
    same(grad.conv1d_input((11, 4), taps, of[0].T, **flat, layout="NWC"), np.ascontiguousarray(expected[0].T))
    expected = grad.conv2d_weight(line[:, :, None], (6, 2, 1, 3), of[:, :, None], **lift)[:, :, 0]
    same(grad.conv1d_weight(line, taps.shape, of, **flat), expected)


def test_transposed_lines(rng):
    x, weight = small(rng, (2, 4, 5), "i8"), small(rng, (4, 3, 3), "i8")
    options = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    for layout in ("NCW", "NWC"):
        of = x if layout == "NCW" else x.swapaxes(1, 2)
        y = nn.conv_transpose1d(of, weight, **options, layout=layout)
        g = small(rng, y.shape, "i8")
        to_input = grad.conv_transpose1d_input(of.shape, weight, g, **options, layout=layout)
        to_weight = grad.conv_transpose1d_weight(of, weight.shape, g, **options, layout=layout)
        assert (y * g).sum() == (to_input * of).sum() == (to_weight * weight).sum()


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_every_dtype(dtype, rng):
    x, weight, _ = PLAIN.draw(rng, "i4", 2)
    g = small(rng, by_scipy(PLAIN, x, weight).shape, "i4", 2)
    if dtype.kind in "bu":
        x, weight, g = (np.abs(a) for a in (x, weight, g))
    expected = (
        grad.conv2d_input(x.shape, weight, g, **PLAIN.options), grad.conv2d_weight(x, weight.shape, g, **PLAIN.options),
        grad.conv_bias(g),
    )  # fmt: skip
    of, taps, given = (cast(a, dtype) for a in (x, weight, g))
    found = (
        grad.conv2d_input(of.shape, taps, given, **PLAIN.options),
        grad.conv2d_weight(of, taps.shape, given, **PLAIN.options), grad.conv_bias(given),
    )  # fmt: skip
    for ours, wide in zip(found, expected, strict=True):
        same(ours, cast(wide, dtype))


def test_layouts_of_memory_and_out(rng):
    x, weight, _ = PLAIN.draw(rng, "f4")
    g = small(rng, by_scipy(PLAIN, x, weight).shape, "f4")
    to_input = grad.conv2d_input(x.shape, weight, g, **PLAIN.options)
    to_weight = grad.conv2d_weight(x, weight.shape, g, **PLAIN.options)
    for lies, of in layouts("f4").items():
        same(grad.conv2d_input(x.shape, of(weight), g, **PLAIN.options), to_input, lies)
        same(grad.conv2d_input(x.shape, of(weight), of(g), **PLAIN.options), to_input, lies)
        same(grad.conv2d_weight(of(x), weight.shape, of(g), **PLAIN.options), to_weight, lies)
        same(grad.conv_bias(of(g)), g.sum(axis=(0, 2, 3)), lies)
        if lies not in ("read-only", "byteswapped"):
            for function, arrays, expected in [
                (grad.conv2d_input, (x.shape, weight, g), to_input),
                (grad.conv2d_weight, (x, weight.shape, g), to_weight),
            ]:
                out = of(np.zeros_like(expected))
                assert function(*arrays, **PLAIN.options, out=out) is out
                same(out, expected, lies)
    square = small(rng, (3, 3, 3, 3), "f4")
    expected = grad.conv2d_weight(square, square.shape, square, padding=1)
    grad.conv2d_weight(square, square.shape, square, padding=1, out=square)
    same(square, expected)


def test_activations():
    y, g = np.array([0.0, 0.5, 1.0]), np.array([1.0, 2.0, -3.0])
    same(grad.activation(y, g, "relu"), np.array([0.0, 2.0, -3.0]))
    same(grad.activation(y, g, "sigmoid"), np.array([0.0, 0.5, 0.0]))
    same(grad.activation(y, g, "tanh"), np.array([1.0, 1.5, 0.0]))
    for dtype in ("f2", "f4", "f8"):
        for name_ in ("relu", "sigmoid", "tanh"):
            assert grad.activation(y.astype(dtype), g.astype(dtype), name_).dtype == dtype


def test_bias_of_any_layout(rng):
    g = small(rng, (2, 3, 4, 5), "f8")
    expected = g.sum(axis=(0, 2, 3))
    same(grad.conv_bias(g), expected)
    same(grad.conv_bias(laid(g, "NHWC"), layout="NHWC"), expected)
    same(grad.conv_bias(g[:, :, 0], layout="NCW"), g[:, :, 0].sum(axis=(0, 2)))
    same(grad.conv_bias(g[0, :, 0].T, layout="NWC"), g[0, :, 0].sum(axis=1))
    same(grad.conv_bias(np.full((1, 1, 1, 3), 100, np.uint8)), np.uint8([300 % 256]))
    same(grad.conv_bias(np.float16([[[2048, 1, 1]]])), np.float16([2050]))


def test_errors():
    weight, g = np.ones((6, 4, 3, 3)), np.ones((2, 6, 7, 7))
    x = np.ones((2, 4, 9, 9))
    for error, said, call in [
        (ShapeError, r"grad_output has shape \(2, 6, 7, 7\); the layer's output has \(2, 6, 9, 9\)",
         lambda: grad.conv2d_input((2, 4, 9, 9), weight, g, padding=1)),
        (ShapeError, r"output has \(2, 6, 4, 4\)", lambda: grad.conv2d_weight(x, weight.shape, g, stride=2)),
        (ShapeError, "input_size is .*needs 4 numbers", lambda: grad.conv2d_input((4, 9, 9), weight, g)),
        (ShapeError, "can be negative", lambda: grad.conv2d_input((2, 4, -9, 9), weight, g)),
        (TypeError, "input_size", lambda: grad.conv2d_input((2, 4, 9.0, 9), weight, g)),
        (TypeError, "input_size", lambda: grad.conv2d_input(9, weight, g)),
        (ShapeError, r"weight has shape \(4, 3, 3\)", lambda: grad.conv2d_weight(x, (4, 3, 3), g)),
        (ShapeError, "input has 4 channels", lambda: grad.conv2d_weight(x, (6, 3, 3, 3), g)),
        (ShapeError, "both need 4", lambda: grad.conv2d_weight(x, weight.shape, g[0])),
        (ShapeError, "10.*4.5", lambda: grad.conv2d_input((2, 4, 10, 9), weight, g, stride=2)),
        (ShapeError, r"output has \(2, 3, 9, 9\)",
         lambda: grad.conv_transpose2d_input((2, 4, 7, 7), np.ones((4, 3, 3, 3)), g)),
        (ValueError, r"out.*\(6, 4, 3, 3\)", lambda: grad.conv2d_weight(x, weight.shape, g, out=np.ones(3))),
        (ValueError, "layout", lambda: grad.conv_bias(g, layout="CHW")),
        (ValueError, "activation is 'gelu'", lambda: grad.activation(g, g, "gelu")),
        (ShapeError, "shape", lambda: grad.activation(g, g[0], "relu")),
        (ValueError, "workers", lambda: grad.conv2d_weight(x, weight.shape, g, workers=0)),
    ]:  # fmt: skip
        with pytest.raises(error, match=said) as caught:
            call()
        assert type(caught.value) is error
        assert "\n" not in str(caught.value)


def test_signatures_are_pytorchs():
    options = ["stride", "padding", "dilation", "groups", "layout", "remainder", "flip", "out", "workers"]
    for ndim in (1, 2):
        for kind, first in (("input", ["input_size", "weight"]), ("weight", ["input", "weight_size"])):
            parameters = inspect.signature(getattr(grad, f"conv{ndim}d_{kind}")).parameters
            assert list(parameters) == [*first, "grad_output", *options]
            transposed = inspect.signature(getattr(grad, f"conv_transpose{ndim}d_{kind}")).parameters
            assert list(transposed)[:3] == [*first, "grad_output"]
