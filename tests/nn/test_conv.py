"""conv1d and conv2d: every option against sums of SciPy's planes, exactly, on small integers."""

import inspect
from itertools import product

import numpy as np
import pytest
from helpers import ALL_DTYPES, layouts, name, same, small
from layer_cases import CASES, Case, by_scipy, cast, pads_and_count

import fastconv
from fastconv import ShapeError, nn
from fastconv.nn import conv1d, conv2d

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
PLAIN = Case("plain", (2, 4, 7, 9), (6, 2, 3, 3), (2, 1), ((1, 1), (0, 2)), (1, 2), 2, "drop")


def last(array):
    """Channels after pixels."""
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


# --- values -------------------------------------------------------------------------------------------------


@EVERY_CASE
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_pictures(case, dtype, rng):
    x, weight, bias = case.draw(rng, dtype)
    expected = by_scipy(case, x, weight)
    with_bias = expected + bias[:, None, None]
    for workers in (1, 2):
        options = case.options | {"workers": workers}
        same(conv2d(x, weight, **options), expected)
        same(conv2d(x, weight, bias, **options), with_bias)
        same(conv2d(x, weight, bias, **options, activation="relu"), np.maximum(with_bias, 0))
        same(conv2d(last(x), weight, bias, **options, layout="NHWC"), last(with_bias))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("channels", [(256, 160), (900, 40)])
def test_weights_that_no_cache_holds(dtype, channels, rng):
    """They meet several pictures at a time, or a block of channels after the other."""
    x, weight = small(rng, (5, channels[0], 3, 4), dtype, 3), small(rng, (channels[1], channels[0], 3, 3), dtype, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = sum(
        np.einsum("kc,ncij->nkij", weight[:, :, i, j], padded[:, :, i : i + 3, j : j + 4]) for i, j in np.ndindex(3, 3)
    )
    for workers in (1, 2):
        same(conv2d(x, weight, padding=1, workers=workers), expected)
        same(conv2d(last(x), weight, padding=1, layout="NHWC", workers=workers), last(expected))


@EVERY_CASE
def test_lines(case, rng):
    """A line is a picture of one row."""
    x, weight, bias = (a[:, :, :1].copy() if a.ndim == 4 else a for a in case.draw(rng))
    if x.shape[2] == 0:
        return
    one = {key: value if np.ndim(value) == 0 else value[1] for key, value in case.options.items()}
    pads = 0 if isinstance(case.padding, str) else case.padding
    flat = case._replace(
        input=x.shape, weight=weight.shape, stride=(1, np.broadcast_to(case.stride, 2)[1]),
        dilation=(1, np.broadcast_to(case.dilation, 2)[1]),
        padding=case.padding if isinstance(case.padding, str)
        else ((0, 0), tuple(np.broadcast_to(pads[1] if np.ndim(pads) else pads, 2))),
    )  # fmt: skip
    expected = by_scipy(flat, x, weight, bias)[:, :, 0]
    same(conv1d(x[:, :, 0], weight[:, :, 0], bias, **one), expected)
    lines = np.ascontiguousarray(x[:, :, 0].swapaxes(1, 2))
    same(conv1d(lines, weight[:, :, 0], bias, **one, layout="NWC"), np.ascontiguousarray(expected.swapaxes(1, 2)))


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_every_dtype(dtype, rng):
    top = 1 if dtype.kind == "b" else 3
    x, weight, bias = (np.abs(a) if dtype.kind in "bu" else a for a in PLAIN.draw(rng, "i4", top))
    expected = by_scipy(PLAIN, x.astype(int), weight.astype(int), bias.astype(int))
    x, weight, bias = (cast(a, dtype) for a in (x, weight, bias))
    expected = expected.astype(bool if dtype.kind == "b" else dtype)
    same(conv2d(x, weight, bias, **PLAIN.options), expected)
    same(conv2d(last(x), weight, bias, **PLAIN.options, layout="NHWC"), last(expected))


def test_dtypes_of_two_are_numpys(rng):
    for first, second in product(("u1", "i4", "f2", "f4", "f8", "c8"), repeat=2):
        x, weight, _ = (np.abs(a) for a in PLAIN.draw(rng, "i2", 2))
        expected = by_scipy(PLAIN, x.astype(int), weight.astype(int)).astype(np.result_type(first, second))
        same(conv2d(x.astype(first), weight.astype(second), **PLAIN.options), expected)


def test_halves_are_summed_in_single_precision():
    x, weight = np.float16([[2048, 1, 1]]), np.ones((1, 1, 3), np.float16)
    same(conv1d(x, weight), np.float16([[2050]]))
    big = np.float16([[60000, 60000, -60000]])
    same(conv1d(big, weight), np.float16([[60000]]))
    same(conv1d(big[:, :2], weight[..., :2]), np.float16([[np.inf]]))
    out = np.zeros((1, 1), np.float16)
    assert conv1d(x, weight, out=out) is out
    same(out, np.float16([[2050]]))


def test_lists_are_arrays():
    same(conv1d([[1, 2, 3]], [[[1, 1]]], [10]), np.array([[13, 15]]))
    same(conv2d([[[1, 2], [3, 4]]], [[[[1, 1]]]], [5]), np.array([[[8], [12]]]))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_one_picture_is_a_batch_of_one(layout, rng):
    x, weight, bias = PLAIN.draw(rng)
    y = conv2d(x if layout == "NCHW" else last(x), weight, bias, **PLAIN.options, layout=layout)
    for picture, expected in zip(x, y, strict=True):
        of = picture if layout == "NCHW" else last(picture)
        out = np.zeros_like(expected)
        same(conv2d(of, weight, bias, **PLAIN.options, layout=layout), expected.copy())
        assert conv2d(of, weight, bias, **PLAIN.options, layout=layout, out=out) is out
        same(out, expected.copy())
    lines = small(rng, (3, 9), "f8")
    same(conv1d(lines, weight[:, :1, 0], groups=3), conv1d(lines[None], weight[:, :1, 0], groups=3)[0])


def test_flip_turns_the_kernel_around(rng):
    for case in (PLAIN, CASES[0], CASES[9]):
        x, weight, bias = case.draw(rng)
        same(conv2d(x, weight, bias, **case.options, flip=True), by_scipy(case, x, weight, bias, flip=True))
    line, kernel = small(rng, 12, "i8"), small(rng, 4, "i8")
    same(conv1d(line[None], kernel[None, None], padding=3, flip=True)[0], np.convolve(line, kernel))
    picture, kernel = small(rng, (8, 9), "f4"), small(rng, (3, 4), "f4")
    full = conv2d(picture[None], kernel[None, None], padding=(2, 3), flip=True)[0]
    same(full, fastconv.convolve2d(picture, kernel))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_activations(dtype, rng):
    x, weight, bias = (a / np.array(2, dtype) for a in PLAIN.draw(rng, dtype))
    plain = conv2d(x, weight, bias, **PLAIN.options)
    wide = plain.astype("g")
    for activation, function in {
        "relu": lambda y: np.maximum(y, 0), "sigmoid": lambda y: 1 / (1 + np.exp(-y)), "tanh": np.tanh,
    }.items():  # fmt: skip
        found = conv2d(x, weight, bias, **PLAIN.options, activation=activation)
        assert found.dtype == plain.dtype
        np.testing.assert_allclose(found.astype("g"), function(wide), rtol=4 * np.finfo(dtype).eps, atol=0)


def test_activations_at_their_ends():
    far = np.array([[-np.inf, -1000, -50, 0, 50, 1000, np.inf, np.nan]])
    one = np.ones((1, 1, 1))
    same(conv1d(far, one, activation="relu"), np.array([[0, 0, 0, 0, 50, 1000, np.inf, np.nan]]))
    same(conv1d(far, one, activation="tanh"), np.tanh(far))
    found = conv1d(far, one, activation="sigmoid")
    np.testing.assert_allclose(found, [[0, 0, np.exp(-50), 0.5, 1, 1, 1, np.nan]], rtol=1e-15)
    same(conv1d([[-3, 0, 3]], [[[1]]], activation="relu"), np.array([[0, 0, 3]]))


def test_a_feature_gives_the_same_response_wherever_it_stands(rng):
    weight, feature = small(rng, (3, 2, 3, 3), "f4"), small(rng, (2, 4, 4), "f4")
    responses = []
    for row, column in [(3, 3), (3, 8), (10, 5)]:
        picture = np.zeros((2, 20, 20), np.float32)
        picture[:, row : row + 4, column : column + 4] = feature
        y = conv2d(picture, weight, padding=1)
        responses.append(y[:, row - 1 : row + 5, column - 1 : column + 5].copy())
        assert np.count_nonzero(y) == np.count_nonzero(responses[-1])
    same(responses[1], responses[0])
    same(responses[2], responses[0])


def test_random_floats_are_within_the_bound_of_a_sum(rng):
    case = Case("", (2, 16, 12, 13), (24, 16, 3, 3), padding=1)
    x, weight = rng.standard_normal(case.input), rng.standard_normal(case.weight)
    exact = by_scipy(case, x, weight)
    size = by_scipy(case, np.abs(x), np.abs(weight))
    terms = np.prod(case.weight[1:])
    for layout in ("NCHW", "NHWC"):
        y = conv2d((x if layout == "NCHW" else last(x)).astype("f4"), weight.astype("f4"), padding=1, layout=layout)
        y = y if layout == "NCHW" else np.moveaxis(y, -1, 1)
        assert np.all(np.abs(y - exact) <= (terms + 2) * np.finfo("f4").eps * size)


# --- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "f2", "c16", object])
def test_layouts_of_memory(dtype, rng):
    x, weight, bias = PLAIN.draw(rng, dtype)
    for layout in ("NCHW", "NHWC"):
        x = x if layout == "NCHW" else last(x)
        options = PLAIN.options | {"layout": layout}
        expected = conv2d(x, weight, bias, **options)
        for lies, of in layouts(dtype).items():
            same(conv2d(of(x), weight, bias, **options), expected, lies)
            same(conv2d(x, of(weight), bias, **options), expected, lies)
            same(conv2d(of(x), of(weight), of(bias), **options), expected, lies)
            if lies not in ("read-only", "byteswapped"):
                out = of(np.zeros_like(expected))
                assert conv2d(x, weight, bias, **options, out=out) is out
                same(out, expected, lies)


def test_channels_last_by_stride_alone(rng):
    """A picture whose channels lie last in memory, called NCHW, and the other way round."""
    x, weight, bias = PLAIN.draw(rng)
    expected = conv2d(x, weight, bias, **PLAIN.options)
    same(conv2d(np.moveaxis(last(x), -1, 1), weight, bias, **PLAIN.options), expected)
    same(conv2d(np.moveaxis(x, 1, -1), weight, bias, **PLAIN.options, layout="NHWC"), last(expected))
    same(conv2d(np.broadcast_to(x[:1], (5, *x.shape[1:])), weight, **PLAIN.options)[4],
         conv2d(x[0], weight, **PLAIN.options))  # fmt: skip


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4"])
def test_out_may_be_an_input(dtype, rng):
    x, weight = small(rng, (2, 3, 8, 8), dtype), small(rng, (3, 3, 3, 3), dtype)
    expected = conv2d(x, weight, padding=1)
    given = x.copy()
    assert conv2d(given, weight, padding=1, out=given) is given
    same(given, expected)
    memory = small(rng, (4, 3, 8, 8), dtype)
    expected = conv2d(memory[:3], weight, padding=1)
    conv2d(memory[:3], weight, padding=1, out=memory[1:])
    same(memory[1:], expected)
    weight = small(rng, (2, 2, 3, 3), dtype)
    expected = conv2d(weight, weight, padding=1)
    conv2d(weight, weight, padding=1, out=weight)
    same(weight, expected)


def test_inputs_are_left_alone_and_the_result_is_new(rng):
    x, weight = small(rng, (1, 1, 5, 5), "f4"), np.ones((1, 1, 1, 1), np.float32)
    before = x.copy()
    for layout in ("NCHW", "NHWC"):
        y = conv2d(x.reshape(1, 5, 5, 1) if layout == "NHWC" else x, weight, layout=layout, activation="relu")
        assert not np.shares_memory(y, x)
        assert y.flags.c_contiguous
        y[...] = -1
    same(x, before)


def test_batches_of_nothing(rng):
    weight, bias = small(rng, (4, 3, 3, 3), "f8"), small(rng, 4, "f8")
    same(conv2d(np.zeros((0, 3, 8, 8)), weight, bias, padding=1), np.zeros((0, 4, 8, 8)))
    same(conv2d(np.zeros((0, 8, 8, 3)), weight, bias, padding=1, layout="NHWC"), np.zeros((0, 8, 8, 4)))
    y = conv2d(np.zeros((2, 0, 8, 8)), np.zeros((4, 0, 3, 3)), bias)
    same(y, np.broadcast_to(bias[:, None, None], (2, 4, 6, 6)).copy())


# --- packed weights -----------------------------------------------------------------------------------------


@EVERY_CASE
def test_a_packed_weight_gives_the_same(case, rng):
    x, weight, bias = case.draw(rng, "f4")
    packed = nn.pack(weight, case.groups)
    assert (packed.shape, packed.dtype, packed.groups) == (weight.shape, weight.dtype, case.groups)
    for layout in ("NCHW", "NHWC"):
        of = x if layout == "NCHW" else last(x)
        expected = conv2d(of, weight, bias, **case.options, layout=layout)
        for _ in range(2):
            same(conv2d(of, packed, bias, **case.options, layout=layout), expected)


def test_packed_weights(rng):
    x, weight, bias = PLAIN.draw(rng, "f4")
    expected = conv2d(x, weight, bias, **PLAIN.options, flip=True)
    packed = nn.pack(weight, 2, flip=True)
    weight[...] = 0
    same(conv2d(x, packed, bias, **PLAIN.options), expected)
    same(conv2d(x.astype("f8"), packed, bias, **PLAIN.options), expected.astype("f8"))
    halves = nn.pack(small(rng, PLAIN.weight, "f2"), 2)
    assert conv2d(x.astype("f2"), halves, **PLAIN.options).dtype == np.float16
    line = small(rng, (2, 8), "f4"), small(rng, (3, 2, 3), "f4")
    same(conv1d(line[0], nn.pack(line[1])), conv1d(*line))
    for call, said in [
        (lambda: conv2d(x, packed, groups=1), "groups is 1; the weight is packed for groups=2"),
        (lambda: conv2d(x, packed, groups=2, flip=True), r"pack\(weight, flip=True\)"),
        (lambda: conv1d(line[0], packed, groups=2), r"\(6, 2, 3, 3\); it needs 3 dimensions"),
        (lambda: nn.pack(weight[0, 0]), r"\(3, 3\)"),
        (lambda: nn.pack(weight, 4), "groups is 4.*6 output channels"),
        (lambda: nn.pack(weight, 0), "groups"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(TypeError, match="numbers"):
        nn.pack(np.zeros((1, 1, 1), "U1"))
    assert "groups=2" in repr(packed)


# --- errors -------------------------------------------------------------------------------------------------

X, W = np.ones((2, 4, 9, 9)), np.ones((6, 4, 3, 3))


def raises(error, said, *arguments, function=conv2d, **options):
    with pytest.raises(error, match=said) as caught:
        function(*arguments, **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def test_channels_that_do_not_go_together():
    raises(ShapeError, r"input has 4 channels.*'NCHW'.*\(6, 3, 3, 3\).*takes 3", X, W[:, :3])
    raises(ShapeError, r"input has 9 channels.*'NHWC'.*takes 4", X, W, layout="NHWC")
    raises(ShapeError, r"groups is 3.*4 channels of the input", X, W, groups=3)
    raises(ShapeError, r"groups is 4.*6 output channels of the weight", X, W[:, :1], groups=4)
    raises(ShapeError, r"input has 4 channels.*groups=2 takes 8", X, W, groups=2)
    raises(ShapeError, r"bias has shape \(4,\); 6 output channels need \(6,\)", X, W, np.ones(4))
    raises(ShapeError, r"bias has shape \(\)", X, W, 1.0)
    raises(ShapeError, "groups.*0", X, W, groups=0)
    raises(ShapeError, "groups.*-1", X, W, groups=-1)


def test_a_packed_weight_in_the_wrong_place():
    packed = nn.pack(W)
    raises(ValueError, "groups is 2; the weight is packed for groups=1", X, packed, groups=2)
    raises(ValueError, r"use pack\(weight, flip=True\)", X, packed, flip=True)
    raises(ShapeError, r"weight has shape \(6, 4, 3, 3\)", X[0], packed, function=conv1d)
    said = r"weight is a PackedWeight\(shape=\(6, 4, 3, 3\).*use the array that it was packed from"
    raises(TypeError, said, X.shape, packed, np.ones((2, 6, 7, 7)), function=nn.grad.conv2d_input)
    raises(TypeError, said, packed, (4, 9, 9), function=nn.as_matrix)
    raises(TypeError, said, packed, function=nn.pack)


def test_sizes_that_do_not_divide():
    raises(ShapeError, r"10.*kernel 3.*stride 2.*7/2 \+ 1 = 4.5", np.ones((1, 4, 10, 10)), W, stride=2)
    raises(ShapeError, "input width 10", np.ones((1, 4, 9, 10)), W, stride=2)
    raises(ShapeError, "window is larger than the padded input", np.ones((1, 4, 2, 9)), W)
    raises(ShapeError, "input.*10", np.ones((1, 10)), np.ones((1, 1, 3)), function=conv1d, stride=2)


def test_numbers_that_are_too_small_or_not_whole():
    for option, value in product(("stride", "dilation"), (0, -1, (1, 0))):
        raises(ShapeError, option, X, W, **{option: value})
    raises(ShapeError, "padding.*negative", X, W, padding=-1)
    for option, value in product(("stride", "padding", "dilation"), (1.0, "2", None, (1, 1.5))):
        with pytest.raises((TypeError, ValueError), match=option):
            conv2d(X, W, **{option: value})
    conv2d(X, W, stride=2)
    for value in (2.0, True):  # equal to what has just been called with
        with pytest.raises(TypeError, match="stride"):
            conv2d(X, W, stride=value)
        with pytest.raises(TypeError, match="stride"):
            conv2d(X, W, stride=(value, value))
    with pytest.raises(TypeError, match="groups"):
        conv2d(X, W, groups=1.0)
    same(conv2d(X, W, stride=np.int64(2), padding=[1, 1], groups=np.uint8(1)), conv2d(X, W, None, 2, 1))


def test_shapes_without_the_right_dimensions():
    raises(ShapeError, r"input has shape \(9, 9\)", X[0, 0], W)
    raises(ShapeError, r"input has shape \(1, 2, 4, 9, 9\)", X[None], W)
    raises(ShapeError, r"weight has shape \(4, 3, 3\)", X, W[0])
    raises(ShapeError, r"input has shape \(2, 4, 9, 9\)", X, W, function=conv1d)
    raises(ShapeError, r"weight has shape \(6, 4, 3, 3\)", X[0], W, function=conv1d)
    raises(ShapeError, "kernel is .*0", X, W[..., :0])


def test_names_that_are_not_there():
    raises(ValueError, "layout is 'NCW'.*'NCHW' or 'NHWC'", X, W, layout="NCW")
    raises(ValueError, "layout is 'NCHW'.*'NCW' or 'NWC'", X[0], W[0], function=conv1d, layout="NCHW")
    raises(ValueError, "remainder is 'floor'.*'drop'", X, W, remainder="floor")
    raises(ValueError, "padding is 'full'.*'same'", X, W, padding="full")
    raises(ValueError, "activation is 'gelu'.*'relu', 'sigmoid', 'tanh'", X, W, activation="gelu")


def test_dtypes_that_cannot_be():
    raises(TypeError, "M8|datetime", np.zeros(X.shape, "M8[s]"), np.zeros(W.shape, "M8[s]"))
    raises(TypeError, "U3.*float64|float64.*U3|<U", np.zeros(X.shape, "U3"), W)
    raises(TypeError, "bias has dtype float64.*int64", X.astype(int), W.astype(int), np.ones(6))
    raises(TypeError, "bias has dtype complex128.*float64", X, W, np.ones(6, complex))
    raises(TypeError, "'sigmoid'.*int64", X.astype(int), W.astype(int), activation="sigmoid")
    raises(TypeError, "'relu'.*complex", X, W * 1j, activation="relu")


def test_an_out_that_does_not_fit():
    raises(ValueError, r"out.*\(2, 6, 9, 9\).*needs \(2, 6, 7, 7\)", X, W, out=np.ones((2, 6, 9, 9)))
    raises(ValueError, r"needs \(6, 7, 7\)", X[0], W, out=np.ones((1, 6, 7, 7)))
    raises(TypeError, "float32.*float64", X, W, out=np.ones((2, 6, 7, 7), np.float32))
    raises(TypeError, "list", X, W, out=[])
    raises(ValueError, r"needs \(6, 7\)", X[0, :, 0], W[:, :, 0], function=conv1d, out=np.ones((6, 9)))


def test_workers_that_cannot_be():
    raises(ValueError, "workers.*0", X, W, workers=0)
    raises(TypeError, "workers", X, W, workers=1.5)


def test_signatures():
    options = ["layout", "remainder", "flip", "activation", "out", "workers"]
    for function, layout in [(conv1d, "NCW"), (conv2d, "NCHW")]:
        parameters = inspect.signature(function).parameters
        torch = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
        assert list(parameters) == torch + options
        assert all(parameters[option].kind is inspect.Parameter.KEYWORD_ONLY for option in options)
        assert [p.default for p in parameters.values()][2:] == (
            [None, 1, 0, 1, 1, layout, "raise", False, None, None, None]
        )
    assert fastconv.nn.conv2d is conv2d


def test_pads_and_count_are_those_of_output_size():
    """The oracle's own sizes, held against the public function."""
    for case in CASES:
        found = nn.output_size(case.input[2:], case.weight[2:], case.stride, case.padding, case.dilation,
                               remainder=case.remainder)  # fmt: skip
        assert found == pads_and_count(case)[1], case.name
