"""The twins against NumPy and SciPy, and against the definition where neither has the function."""

import warnings
from decimal import Decimal
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.ndimage
from helpers import ALL_DTYPES, BOUNDARIES, COMPLEX, DTYPES_2D, name, same, scipy2d, small

from fastconv._reference import correlate, correlate1d, filter2d

# correlate2d's boundaries by the names of numpy.pad and of scipy.ndimage
PAD = {"fill": "constant", "wrap": "wrap", "symm": "symmetric", "mirror": "reflect", "nearest": "edge"}
NDIMAGE = {"fill": "constant", "wrap": "wrap", "symm": "reflect", "mirror": "mirror", "nearest": "nearest"}

ONE = (1, 1)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_a_line_is_that_of_numpy(dtype, rng):
    for n, k in product(range(1, 12), range(1, 12)):
        if k > n:
            continue  # NumPy would exchange the two
        x, taps = small(rng, n, dtype), small(rng, k, dtype)
        for mode, start, count in (
            ("full", 1 - k, n + k - 1),
            ("same", -(k // 2), n),
            ("valid", 0, n - k + 1),
        ):
            same(correlate1d(x, taps.conj(), start, count), np.correlate(x, taps, mode), (n, k, mode))
            if mode != "same":  # where convolve rounds the other way for even k
                same(correlate1d(x, taps[::-1], start, count), np.convolve(x, taps, mode), (n, k, mode))


def test_any_stretch_of_the_full_line(rng):
    x, taps = small(rng, 7, "f8"), small(rng, 3, "f8")
    everywhere = np.pad(np.correlate(x, taps, "full"), 20)  # output i - 2 - 20 stands at i
    for start, count in product(range(-15, 15), range(12)):
        same(correlate1d(x, taps, start, count), everywhere[start + 22 : start + 22 + count], (start, count))


def test_lines_of_an_array(rng):
    x, taps = small(rng, (2, 3, 9), "i4"), small(rng, 4, "i4")
    result = correlate1d(x, taps, -3, 12)
    assert result.shape == (2, 3, 12)
    for line in np.ndindex(2, 3):
        same(result[line], np.correlate(x[line], taps, "full"))
    assert correlate1d(x[:0], taps, -3, 12).shape == (0, 3, 12)


def test_terms_are_added_in_ascending_order():
    big = np.float32([1, 1e8, -1e8])
    assert correlate1d(big, np.ones(3, np.float32), 0, 1) == 0  # the 1 is lost in 1e8
    assert correlate1d(big[::-1], np.ones(3, np.float32), 0, 1) == 1
    image = big.reshape(3, 1)
    assert correlate(image, np.ones((3, 1), np.float32), (0, 0), ONE, "fill", 0, ONE, ONE) == 0
    assert correlate(image[::-1], np.ones((3, 1), np.float32), (0, 0), ONE, "fill", 0, ONE, ONE) == 1


def test_integers_wrap_and_floats_overflow_in_silence():
    same(correlate1d(np.uint8([200, 100]), np.uint8([3, 1]), 0, 1), np.uint8([(200 * 3 + 100) % 256]))
    same(correlate1d(np.int8([-128]), np.int8([-1]), 0, 1), np.int8([-128]))
    same(correlate1d(np.float32([3e38]), np.float32([10]), 0, 1), np.float32([np.inf]))
    same(correlate1d(np.float16([60000]), np.float16([2]), 0, 1), np.float16([np.inf]))
    same(correlate1d(np.float64([np.inf]), np.float64([0]), 0, 1), np.float64([np.nan]))


def test_halves_are_summed_in_single_precision():
    x, taps = np.float16([2048, 1, 1]), np.ones(3, np.float16)
    same(correlate1d(x, taps, 0, 1), np.float16([2050]))  # in halves 2048 + 1 is 2048
    same(correlate(x[None], taps[None], (0, 0), ONE, "fill", 0, ONE, ONE), np.float16([[2050]]))
    big = np.float16([60000, 60000, -60000])
    same(correlate1d(big, taps, 0, 1), np.float16([60000]))


def test_bool_is_logical():
    x, taps = np.array([True, False, True, True]), np.array([True, True])
    same(correlate1d(x, taps, -1, 5), np.array([True, True, True, True, True]))
    same(correlate1d(~x, taps, -1, 5), np.array([False, True, True, False, False]))
    same(correlate(~x[None], taps[None], (0, -1), (1, 5), "fill", True, ONE, ONE),
         np.array([[True, True, True, False, True]]))  # fmt: skip


@pytest.mark.parametrize(
    "x",
    [
        [Decimal("0.1"), Decimal("0.2"), Decimal("0.3")],
        [Fraction(1, 3), Fraction(1, 7), Fraction(-2, 9)],
        ["a", "b", "c"],  # cannot be added to 0
        [-0.0, -0.0, -0.0],
        [10**30, -(10**31), 7],
    ],
)
def test_objects(x):
    x, taps = np.array(x, object), np.array([1, 2], object)
    expected = np.convolve(x, taps)
    result = correlate1d(x, taps[::-1], -1, 4)
    assert repr(result.tolist()) == repr(expected.tolist())
    plane = correlate(x[None], taps[None, ::-1], (0, 0), (1, 2), "fill", 0, ONE, ONE)
    assert repr(plane.tolist()) == repr([expected[1:3].tolist()])
    assert correlate1d(x, taps, 10, 2).tolist() == [0, 0]


def definition(x, kernel, start, count, boundary, fillvalue, stride, dilation):
    """Compute the sum as written, on an image that NumPy has padded far enough."""
    margin = 40
    constant = {"constant_values": fillvalue} if boundary == "fill" else {}
    padded = np.pad(x, margin, PAD[boundary], **constant)
    y = np.zeros(count, x.dtype)
    for i, j, p, q in np.ndindex(*count, *kernel.shape):
        row = start[0] + i * stride[0] + p * dilation[0] + margin
        column = start[1] + j * stride[1] + q * dilation[1] + margin
        y[i, j] += kernel[p, q] * padded[row, column]
    return y


@pytest.mark.parametrize("boundary", PAD)
def test_a_plane_is_its_definition(boundary, rng):
    cases = product(
        [(1, 1), (1, 5), (2, 3), (4, 4)],
        [(1, 1), (2, 3), (3, 2), (5, 1)],
        [(0, 0), (-9, 4), (3, -7)],
        [(1, 1), (2, 1), (3, 4)],
        [(1, 1), (1, 3), (4, 2)],
    )
    for shape, taps, start, stride, dilation in cases:
        x, kernel = small(rng, shape, "i8"), small(rng, taps, "i8")
        arguments = (x, kernel, start, (3, 4), boundary, 2, stride, dilation)
        same(correlate(*arguments), definition(*arguments), arguments)


@pytest.mark.parametrize("dtype", DTYPES_2D, ids=name)
def test_a_plane_is_that_of_scipy(dtype, rng):
    for shape, taps, boundary in product([(1, 1), (3, 4), (5, 2)], [(1, 1), (2, 3), (3, 2), (4, 9)], BOUNDARIES):
        x, kernel = small(rng, shape, dtype), small(rng, taps, dtype)
        for stride, dilation in ((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (3, 2)), ((2, 1), (1, 4)):
            reach = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
            full = [n + k - 1 for n, k in zip(shape, reach, strict=True)]
            count = tuple(-(-n // s) for n, s in zip(full, stride, strict=True))
            start = tuple(1 - k for k in reach)
            options = {"boundary": boundary, "fillvalue": 3, "stride": stride, "dilation": dilation}
            same(
                correlate(x, kernel.conj(), start, count, **options),
                scipy2d("correlate2d", x, kernel, "full", **options),
                (shape, taps, options),
            )


@pytest.mark.parametrize("boundary", PAD)
def test_kernels_far_larger_than_the_image(boundary, rng):
    """The image is repeated as often as the kernel needs: thirty times and more."""
    for shape in [(1, 1), (1, 2), (2, 1), (2, 3), (3, 5)]:
        x, kernel = small(rng, shape, "f8"), small(rng, (61, 63), "f8")
        result = correlate(x, kernel, (-30, -31), shape, boundary, 2, ONE, ONE)
        if boundary in BOUNDARIES:
            same(result, scipy2d("correlate2d", x, kernel, "same", boundary, 2), shape)
        if boundary != "symm":  # ndimage reads before the image where it lies a multiple of 2n away
            same(result, scipy.ndimage.correlate(x, kernel, mode=NDIMAGE[boundary], cval=2), shape)


def test_an_empty_image_holds_nothing_but_the_fillvalue():
    x, kernel = np.ones((0, 3)), np.ones((2, 2))
    for boundary in PAD:
        same(correlate(x, kernel, (-1, -1), (1, 4), boundary, 2, ONE, ONE), np.full((1, 4), 8.0), boundary)
    same(correlate(np.ones((3, 4)), np.ones((0, 2)), (0, 0), (2, 5), "fill", 2, ONE, ONE), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="reflect"):
        correlate(np.ones((3, 4)), kernel, (0, 0), ONE, "reflect", 0, ONE, ONE)


def test_a_fillvalue_is_multiplied_like_any_other():
    x, kernel = np.ones((1, 2)), np.array([[np.nan, 1]])
    assert np.isnan(correlate(x, kernel, (0, -1), (1, 3), "fill", 0, ONE, ONE)).all()
    assert np.isnan(correlate(x, 0 * kernel + 0, (0, 0), (1, 1), "fill", 0, ONE, ONE)).all()
    assert np.isnan(correlate(x, np.zeros((1, 3)), (0, 0), ONE, "fill", np.inf, ONE, ONE)).all()


@pytest.mark.parametrize("dtype", COMPLEX, ids=name)
def test_nothing_is_conjugated(dtype):
    x, taps = np.array([1j], dtype), np.array([2j], dtype)
    same(correlate1d(x, taps, 0, 1), np.array([-2], dtype))
    same(correlate(x[None], taps[None], (0, 0), ONE, "fill", 0, ONE, ONE), np.array([[-2]], dtype))


@pytest.mark.parametrize("boundary", PAD)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "f4", "f8"])
def test_filter2d_is_that_of_ndimage_where_it_need_not_round(dtype, boundary, rng):
    for shape, taps in product([(1, 1), (6, 5), (3, 11)], [(1, 1), (3, 3), (2, 4), (5, 1), (9, 9)]):
        image, kernel = small(rng, shape, dtype, 9), small(rng, taps, "i8", 1)
        wide = scipy.ndimage.correlate(image.astype(float), kernel, mode=NDIMAGE[boundary], cval=7)
        if np.dtype(dtype).kind in "iu":
            wide = wide.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
        same(filter2d(image, kernel, boundary, 7, dtype), wide.astype(dtype), (shape, taps))


def test_filter2d_rounds_half_to_even_and_saturates():
    image = np.array([[0, 1, 3, 5, 255, 201]], np.uint8)
    half = filter2d(image, np.array([[0.5]]), "mirror", 0, np.uint8)
    assert half.tolist() == [[0, 0, 2, 2, 128, 100]]  # of 0.5, 1.5, 2.5, 127.5, 100.5
    assert filter2d(image, np.array([[2]]), "mirror", 0, np.uint8).tolist() == [[0, 2, 6, 10, 255, 255]]
    assert filter2d(image, np.array([[-1]]), "mirror", 0, np.uint8).tolist() == [[0] * 6]
    assert filter2d(image, np.array([[-1]]), "mirror", 0, np.int8).tolist() == [[0, -1, -3, -5, -128, -128]]
    same(filter2d(image, np.array([[1e9]]), "mirror", 0, np.int32)[:, -1:], np.int32([[2**31 - 1]]))
    same(filter2d(image, np.array([[0.5]]), "mirror", 0, np.float32), np.float32(image / 2))
    odd = np.array([[np.nan, np.inf, -np.inf]])
    same(filter2d(odd, np.array([[1]]), "mirror", 0, np.int16), np.int16([[0, 32767, -32768]]))


def test_the_twins_leave_their_input_alone_and_never_warn(rng):
    x, kernel = small(rng, (5, 6), "f4"), small(rng, (3, 3), "f4")
    before = x.copy(), kernel.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        correlate1d(x, kernel[0], -2, 9)
        correlate(x, kernel, (0, 0), (2, 2), "fill", 0, ONE, ONE)
        filter2d(x, kernel, "mirror", 0, np.uint8)
    same(x, before[0])
    same(kernel, before[1])
