"""fastconv.image: against the twin, which sums in float64, and against scipy.ndimage.correlate."""

import inspect
from itertools import cycle, product

import numpy as np
import pytest
import scipy.ndimage
from helpers import layouts, normal, same, small

import fastconv
from fastconv._reference import filter2d as twin
from fastconv.image import filter2d, sep_filter2d

DTYPES = pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "f4", "f8"])
MODES = {"reflect": "symm", "constant": "fill", "nearest": "nearest", "mirror": "mirror", "wrap": "wrap"}
KERNELS = [(1, 1), (3, 3), (1, 5), (4, 1), (2, 4), (5, 5), (7, 6), (9, 9)]


# --- values -------------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("mode", MODES)
def test_exact_where_nothing_is_rounded(dtype, mode, rng):
    workers = cycle([None, 1, 2, 3])
    for shape, taps in product([(1, 1), (2, 3), (9, 13), (11, 64), (5, 130)], KERNELS):
        image, kernel = small(rng, shape, dtype, 100), small(rng, taps, "f4", 2)
        result = filter2d(image, kernel, mode=mode, cval=7, workers=next(workers))
        same(result, twin(image, kernel, MODES[mode], 7, dtype), (shape, taps))


@DTYPES
@pytest.mark.parametrize("mode", MODES)
def test_the_modes_are_those_of_ndimage(dtype, mode, rng):
    for shape, taps in product([(9, 9), (12, 40)], KERNELS):
        image, kernel = small(rng, shape, dtype, 9), small(rng, taps, "i8", 1)
        expected = scipy.ndimage.correlate(image.astype(float), kernel, mode=mode, cval=5)
        if np.dtype(dtype).kind == "u":
            expected = expected.clip(0)
        if np.dtype(dtype).itemsize == 1:
            expected = expected.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
        same(filter2d(image, kernel, mode=mode, cval=5), expected.astype(dtype), (shape, taps))


def test_the_default_mode_is_mirror(rng):
    image, kernel = small(rng, (6, 7), "u1", 9), small(rng, (3, 3), "f4")
    same(filter2d(image, kernel), filter2d(image, kernel, mode="mirror"))


def test_a_kernel_is_not_flipped_and_centred_at_half_its_size():
    image = np.zeros((5, 5), np.uint8)
    image[2, 2] = 1
    kernel = np.arange(1, 10).reshape(3, 3)
    same(filter2d(image, kernel)[1:4, 1:4], kernel[::-1, ::-1].astype(np.uint8))
    even = np.array([[1, 2], [3, 4]])
    same(filter2d(image, even)[2:4, 2:4], even[::-1, ::-1].astype(np.uint8))


@pytest.mark.parametrize("mode", MODES)
def test_whole_numbers_over_powers_of_two(mode, rng):
    """Bytes under such kernels are summed in 16 bits, where the sums fit: every tie and every limit is met."""
    x = rng.integers(0, 256, (150, 131), dtype=np.uint8)
    x[:40] = rng.choice(np.array([0, 255], np.uint8), (40, 131))
    for trial, shift in enumerate(range(10)):
        for lowest in (-6, 0):
            kernel = rng.integers(lowest, 7, rng.integers(1, 8, 2)) / 2**shift
            if trial % 2:
                kernel = np.outer(*(rng.integers(lowest, 7, n) for n in rng.integers(1, 7, 2))) / 2**shift
            cval = int(rng.integers(0, 256))
            sums = scipy.ndimage.correlate(x.astype(float), kernel, mode=mode, cval=cval)
            expected = np.clip(np.rint(sums), 0, 255).astype(np.uint8)
            for workers in (1, 2):
                same(filter2d(x, kernel, mode=mode, cval=cval, workers=workers), expected)


@pytest.mark.parametrize("taps", [[255, 1], [256, 1], [-128, 128], [-129, 128], [0.5, 255.5], [0.5, 1 / 512], [-300]])
def test_where_sixteen_bits_end(taps, rng):
    x = rng.choice(np.array([0, 1, 2, 127, 254, 255], np.uint8), (140, 141))
    for kernel in (np.array([taps]), np.array([taps]).T):
        expected = np.clip(np.rint(scipy.ndimage.correlate(x.astype(float), kernel, mode="mirror")), 0, 255)
        same(filter2d(x, kernel), expected.astype(np.uint8))
        same(sep_filter2d(x, taps, [0.5, 0.25]), filter2d(x, np.outer([0.5, 0.25], taps)))


@pytest.mark.parametrize("cval", [0.5, -1, 256, np.nan, np.inf])
def test_a_cval_that_is_no_pixel(cval, rng):
    x = rng.integers(0, 256, (140, 141), dtype=np.uint8)
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    inner = filter2d(x, kernel)[1:-1, 1:-1]
    y = filter2d(x, kernel, mode="constant", cval=cval)
    same(y[1:-1, 1:-1].copy(), inner.copy())
    top = (np.pad(x.astype(float), 1, constant_values=cval)[:3, 1:4] * kernel).sum()
    assert y[0, 1] == np.clip(np.rint(np.nan_to_num(top, nan=0, posinf=255)), 0, 255)


@pytest.mark.parametrize("mode", MODES)
def test_kernels_far_larger_than_the_image(mode, rng):
    for dtype, shape, taps in product(["u1", "f4", "f8"], [(1, 1), (1, 2), (3, 2)], [(3, 9), (31, 1), (25, 27)]):
        image, kernel = small(rng, shape, dtype), small(rng, taps, "f4", 1)
        same(filter2d(image, kernel, mode=mode, cval=2), twin(image, kernel, MODES[mode], 2, dtype), (shape, taps))


def test_sums_are_saturated_not_wrapped():
    image = np.array([[0, 1, 100, 150, 255]], np.uint8)
    same(filter2d(image, [[2]]), np.array([[0, 2, 200, 255, 255]], np.uint8))
    same(filter2d(image, [[-1]]), np.zeros((1, 5), np.uint8))
    same(filter2d(image, [[1e9]]), np.array([[0, 255, 255, 255, 255]], np.uint8))
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4"):
        limits = np.iinfo(dtype)
        extremes = np.array([[limits.min, limits.max]], dtype)
        same(filter2d(extremes, [[1]]), extremes, dtype)
        same(filter2d(extremes, [[3]]), extremes, dtype)
        low, high = (0, limits.max) if limits.min == 0 else (limits.max, limits.min)
        same(filter2d(extremes, [[-3]]), np.array([[low, 0 if limits.min == 0 else high]], dtype), dtype)


def test_halves_are_rounded_to_even():
    for dtype in ("u1", "i1", "u2", "i2", "i4"):
        image = np.array([[0, 1, 2, 3, 4, 5, 7, 101, 103]], dtype)
        same(filter2d(image, [[0.5]]), np.array([[0, 0, 1, 2, 2, 2, 4, 50, 52]], dtype), dtype)
        if np.dtype(dtype).kind == "i":
            same(filter2d(-image, [[0.5]]), -np.array([[0, 0, 1, 2, 2, 2, 4, 50, 52]], dtype), dtype)
    same(filter2d(np.float32([[1, 3]]), [[0.5]]), np.float32([[0.5, 1.5]]))  # floats are not rounded


@DTYPES
@pytest.mark.parametrize("separable", [False, True])
def test_any_kernel_within_the_rounding_of_one_sum(dtype, separable, rng):
    """What is rounded to integers is the sum itself: not its terms, nor, in two passes, what is between them."""
    working = np.float64 if dtype in ("i4", "f8") else np.float32
    for shape, taps in [((40, 51), (3, 3)), ((30, 130), (5, 4)), ((9, 8), (11, 13))]:
        image = (rng.random(shape) * 120).astype(dtype)
        column, row = normal(rng, taps[0], "f8"), normal(rng, taps[1], "f8")
        kernel = np.outer(column, row) if separable else normal(rng, taps, "f8")
        kernel /= abs(kernel).sum()
        wide = twin(image, kernel, "mirror", 0, np.float64)
        terms = scipy.ndimage.correlate(image.astype(float), abs(kernel), mode="mirror")
        bound = 4 * kernel.size * np.finfo(working).eps * terms
        if separable:
            result = sep_filter2d(image, row / abs(row).sum(), column / abs(column).sum())
        else:
            result = filter2d(image, kernel)
        if np.dtype(dtype).kind in "iu":
            wide, bound = wide.clip(np.iinfo(dtype).min, np.iinfo(dtype).max), bound + 0.5
        assert result.dtype == dtype
        assert (abs(result - wide) <= bound).all(), (shape, taps)


@DTYPES
@pytest.mark.parametrize("mode", MODES)
def test_two_lines_filter_as_their_outer_product(dtype, mode, rng):
    for shape, (k0, k1) in product([(1, 1), (4, 3), (10, 70)], [(1, 1), (3, 3), (2, 5), (6, 1), (1, 4), (13, 9)]):
        image = small(rng, shape, dtype, 20)
        columns, rows = small(rng, k0, "f8", 1), small(rng, k1, "f8", 1)
        kernel = np.outer(columns, rows)
        result = sep_filter2d(image, rows, columns, mode=mode, cval=3)
        same(result, filter2d(image, kernel, mode=mode, cval=3), (shape, k0, k1))
        same(result, twin(image, kernel, MODES[mode], 3, dtype), (shape, k0, k1))


def test_kernel_rows_lies_along_a_row():
    image = np.zeros((5, 5))
    image[2, 2] = 1
    same(sep_filter2d(image, [1.0, 2, 3], [1.0])[2], np.array([0.0, 3, 2, 1, 0]))
    same(sep_filter2d(image, [1.0], [1.0, 2, 3])[:, 2], np.array([0.0, 3, 2, 1, 0]))


# --- dtype --------------------------------------------------------------------------------------------------


@DTYPES
def test_a_result_of_another_dtype(dtype, rng):
    image, kernel = small(rng, (9, 20), dtype, 100), np.array([[3, -5, 1], [0, 2, 1]])
    for wanted in ("u1", "i1", "u2", "i2", "i4", "f4", "f8", np.float32, "uint8", np.dtype(">i2")):
        expected = twin(image, kernel, "mirror", 0, np.dtype(wanted).newbyteorder("="))
        same(filter2d(image, kernel, dtype=wanted), expected, wanted)
        out = np.empty(image.shape, np.dtype(wanted).newbyteorder("="))
        assert filter2d(image, kernel, dtype=wanted, out=out) is out
        same(out, expected, wanted)
    same(sep_filter2d(image, [1, 0, -1], [1], dtype="i2"), twin(image, np.array([[1, 0, -1]]), "mirror", 0, "i2"))


def test_an_edge_keeps_its_sign_in_a_wider_dtype():
    image = np.array([[0, 0, 200, 200]], np.uint8)
    same(filter2d(image, [[1, 0, -1]]), np.array([[0, 0, 0, 0]], np.uint8))
    same(filter2d(image, [[1, 0, -1]], dtype=np.int16), np.array([[0, -200, -200, 0]], np.int16))
    same(filter2d(image, [[1, 0, -1]], dtype=np.float32), np.array([[0, -200, -200, 0]], np.float32))


def test_nan_spreads_in_floats_and_is_0_in_integers():
    image = np.zeros((5, 7), np.float32)
    image[2, 3] = np.nan
    spoiled = np.zeros((5, 7), bool)
    spoiled[1:4, 2:5] = True
    np.testing.assert_array_equal(np.isnan(filter2d(image, np.ones((3, 3)))), spoiled)
    np.testing.assert_array_equal(np.isnan(filter2d(image, np.eye(3) * 0)), spoiled)
    same(filter2d(image + 3, np.ones((3, 3)), dtype=np.uint8), np.where(spoiled, 0, 27).astype(np.uint8))
    image[2, 3] = np.inf
    same(filter2d(image, np.ones((3, 3)), dtype=np.uint8), np.where(spoiled, 255, 0).astype(np.uint8))
    same(filter2d(-image, np.ones((3, 3)), dtype=np.int16), np.where(spoiled, -(2**15), 0).astype(np.int16))


# --- colour -------------------------------------------------------------------------------------------------


@DTYPES
def test_channels_are_filtered_one_by_one(dtype, rng):
    for axis, channels, taps in product(range(-3, 3), (1, 2, 3, 4, 5), [(3, 3), (2, 5), (1, 1)]):
        shape = [8, 21]
        shape.insert(axis % 3, channels)
        image, kernel = small(rng, shape, dtype, 50), small(rng, taps, "f4", 2)
        column, row = small(rng, taps[0], "f4", 2), small(rng, taps[1], "f4", 2)
        for mode in ("mirror", "constant", "wrap"):
            options = {"mode": mode, "cval": 4}
            filtered = filter2d(image, kernel, channel_axis=axis, **options)
            in_two = sep_filter2d(image, row, column, channel_axis=axis, **options)
            for channel in range(channels):
                plane = image.take(channel, axis)
                same(filtered.take(channel, axis), filter2d(plane, kernel, **options), (axis, channel, mode))
                same(in_two.take(channel, axis), sep_filter2d(plane, row, column, **options), (axis, channel, mode))


def test_colour_with_kernels_larger_than_the_image(rng):
    image, kernel = small(rng, (2, 3, 3), "u1", 9), small(rng, (9, 11), "f4", 1)
    for mode in MODES:
        result = filter2d(image, kernel, mode=mode, channel_axis=-1, cval=1)
        for channel in range(3):
            same(result[..., channel].copy(), twin(image[..., channel], kernel, MODES[mode], 1, "u1"), mode)


# --- threads, memory, out -----------------------------------------------------------------------------------


@DTYPES
def test_the_same_for_any_number_of_workers(dtype, rng):
    image, colour = ((rng.random(shape) * 120).astype(dtype) for shape in [(300, 401), (150, 203, 3)])
    kernel, row, column = normal(rng, (5, 5), "f8"), normal(rng, 7, "f8"), normal(rng, 5, "f8")
    for call in [
        lambda workers: filter2d(image, kernel, workers=workers),
        lambda workers: sep_filter2d(image, row, column, workers=workers),
        lambda workers: filter2d(colour, kernel, channel_axis=-1, workers=workers),
    ]:
        alone = call(1)
        for workers in (2, 3, 8):
            same(call(workers), alone, workers)


@DTYPES
def test_layouts(dtype, rng):
    image, colour = small(rng, (12, 19), dtype, 50), small(rng, (6, 3, 9), dtype, 50)
    kernel, line = small(rng, (3, 4), "f8"), small(rng, 3, "f8")
    plain = filter2d(image, kernel), sep_filter2d(image, line, line), filter2d(colour, kernel, channel_axis=1)
    for layout, of in layouts(dtype).items():
        same(filter2d(of(image), kernel), plain[0], layout)
        same(filter2d(of(image), np.ascontiguousarray(kernel)[:, ::1]), plain[0], layout)
        same(sep_filter2d(of(image), line, line), plain[1], layout)
        same(filter2d(of(colour), kernel, channel_axis=1), plain[2], layout)
        if layout not in ("read-only", "byteswapped"):
            out = of(np.zeros_like(plain[0]))
            assert filter2d(image, kernel, out=out) is out
            same(out, plain[0], layout)
    for of in layouts("f8").values():
        same(filter2d(image, of(kernel)), plain[0])
        same(sep_filter2d(image, of(line), of(line)), plain[1])
    one = np.broadcast_to(np.array(3, dtype), (9, 11))
    same(filter2d(one, kernel), filter2d(one.copy(), kernel))


@DTYPES
def test_out_may_be_the_image(dtype, rng):
    kernel, row, column = small(rng, (3, 3), "f4"), small(rng, 5, "f4"), small(rng, 3, "f4")
    for shape, axis in [((30, 40), None), ((200, 301), None), ((20, 30, 3), 2), ((3, 20, 30), 0)]:
        for function, weights in [(filter2d, (kernel,)), (sep_filter2d, (row, column))]:
            image = small(rng, shape, dtype, 50)
            expected = function(image, *weights, channel_axis=axis)
            assert function(image, *weights, channel_axis=axis, out=image) is image
            same(image, expected, (shape, function))
    memory = small(rng, (60, 60), dtype, 50)
    image, out = memory[5:45, 5:45], memory[7:47, 4:44]
    expected = filter2d(image.copy(), kernel)
    filter2d(image, kernel, out=out)
    same(out, expected)


@DTYPES
def test_inputs_are_left_alone_and_the_result_is_new(dtype, rng):
    image, kernel = small(rng, (9, 9), dtype, 50), small(rng, (3, 3), "f4")
    before = image.copy(), kernel.copy()
    for result in (filter2d(image, [[1]]), filter2d(image, kernel), sep_filter2d(image, kernel[0], kernel[1])):
        assert not np.shares_memory(result, image)
        assert result.flags.c_contiguous
        result[...] = 0
    same(image, before[0])
    same(kernel, before[1])


def test_lists_are_images():
    same(filter2d([[1, 2], [3, 4]], [[2]]), np.array([[2, 4], [6, 8]]))
    same(filter2d([[1.5, 2]], [[2]]), np.array([[3.0, 4.0]]))


def test_an_image_of_no_pixels():
    for shape, axis in [((0, 5), None), ((5, 0), None), ((0, 5, 3), -1), ((5, 5, 0), -1)]:
        for mode in MODES:
            image = np.zeros(shape, np.uint8)
            same(filter2d(image, np.ones((3, 3)), mode=mode, channel_axis=axis), image, (shape, mode))


# --- errors -------------------------------------------------------------------------------------------------

IMAGE, KERNEL = np.arange(20, dtype=np.uint8).reshape(4, 5), np.ones((3, 3))


def raises(error, said, function, *arguments, **options):
    with pytest.raises(error, match=said) as caught:
        function(*arguments, **options)
    assert type(caught.value) is error


def test_shapes_that_cannot_be():
    raises(ValueError, r"image.*\(4, 5, 1\)", filter2d, IMAGE[..., None], KERNEL)
    raises(ValueError, r"image.*\(5,\)", filter2d, IMAGE[0], KERNEL)
    raises(ValueError, r"image.*\(4, 5\)", filter2d, IMAGE, KERNEL, channel_axis=-1)
    raises(ValueError, r"kernel.*\(3,\)", filter2d, IMAGE, KERNEL[0])
    raises(ValueError, r"kernel.*\(0, 3\)", filter2d, IMAGE, KERNEL[:0])
    raises(ValueError, r"kernel.*\(1, 3, 3\)", filter2d, IMAGE, KERNEL[None])
    raises(ValueError, r"kernel_rows.*\(3, 3\)", sep_filter2d, IMAGE, KERNEL, KERNEL[0])
    raises(ValueError, r"kernel_columns.*\(3, 3\)", sep_filter2d, IMAGE, KERNEL[0], KERNEL)
    raises(ValueError, r"kernel_columns.*\(0,\)", sep_filter2d, IMAGE, KERNEL[0], [])


def test_a_channel_axis_that_is_not_there():
    colour = np.ones((4, 5, 3))
    for axis in (3, -4):
        raises(np.exceptions.AxisError, str(axis), filter2d, colour, KERNEL, channel_axis=axis)
    for axis in (1.0, "0", (0,)):
        with pytest.raises(TypeError):
            filter2d(colour, KERNEL, channel_axis=axis)


def test_a_mode_that_is_not_there():
    for mode in ("symm", "fill", "edge", "", None, 0, ["mirror"]):
        raises(ValueError, "mode is .*mirror", filter2d, IMAGE, KERNEL, mode=mode)
        raises(ValueError, "mode is .*mirror", sep_filter2d, IMAGE, [1], [1], mode=mode)


def test_dtypes_that_cannot_be():
    for dtype in (complex, object, "U3", "M8[s]"):
        raises(TypeError, "image", filter2d, np.zeros((4, 5), dtype), KERNEL)
        raises(TypeError, "kernel", filter2d, IMAGE, np.zeros((3, 3), dtype))
        raises(TypeError, "dtype", filter2d, IMAGE, KERNEL, dtype=dtype)
    with pytest.raises(TypeError):
        filter2d(IMAGE, KERNEL, dtype="pixels")


def test_an_out_that_does_not_fit():
    raises(ValueError, r"out.*\(5, 4\)", filter2d, IMAGE, KERNEL, out=np.zeros((5, 4), np.uint8))
    raises(TypeError, "out.*list", filter2d, IMAGE, KERNEL, out=[[0] * 5] * 4)
    with pytest.raises((TypeError, ValueError), match=r"out.*float64"):
        filter2d(IMAGE, KERNEL, out=np.zeros((4, 5)))
    frozen = np.zeros((4, 5), np.uint8)
    frozen.flags.writeable = False
    raises(ValueError, r"out.*(read-only|writ)", filter2d, IMAGE, KERNEL, out=frozen)


def test_workers_that_cannot_be():
    raises(ValueError, "workers.*0", filter2d, IMAGE, KERNEL, workers=0)
    raises(TypeError, "workers", sep_filter2d, IMAGE, [1], [1], workers=1.5)


def test_options_are_keywords():
    assert fastconv.image.filter2d is filter2d
    options = ["mode", "cval", "channel_axis", "dtype", "out", "workers"]
    for function, inputs in [
        (filter2d, ["image", "kernel"]),
        (sep_filter2d, ["image", "kernel_rows", "kernel_columns"]),
    ]:
        parameters = inspect.signature(function).parameters
        assert list(parameters) == inputs + options
        assert all(parameters[option].kind is inspect.Parameter.KEYWORD_ONLY for option in options)
        assert (parameters["mode"].default, parameters["cval"].default) == ("mirror", 0)
    with pytest.raises(TypeError):
        filter2d(IMAGE, KERNEL, "mirror")
