"""fastconv.kernels: against SciPy's filters, made of the same weights, and against the definitions."""

import inspect
import math

import numpy as np
import pytest
from scipy import ndimage

from fastconv import kernels

NEEDED = {"gaussian": {"sigma": 1.5}, "gabor": {"wavelength": 5}}


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 100, (13, 17)).astype(np.float64)


@pytest.mark.parametrize("name", kernels.__all__)
def test_every_kernel_is_a_fresh_contiguous_float64_image(name):
    make = getattr(kernels, name)
    first = make(**NEEDED.get(name, {}))
    assert type(first) is np.ndarray
    assert first.dtype == np.float64
    assert first.ndim == 2
    assert first.flags.c_contiguous
    assert first.flags.writeable
    again = make(**NEEDED.get(name, {}))
    first[:] = 99
    assert not np.any(again == 99), "a kernel is shared between calls"
    np.testing.assert_array_equal(make(**NEEDED.get(name, {})), again)


@pytest.mark.parametrize("name", kernels.__all__)
def test_every_kernel_takes_dtype_by_keyword(name):
    make = getattr(kernels, name)
    assert inspect.signature(make).parameters["dtype"].kind is inspect.Parameter.KEYWORD_ONLY
    exact = make(**NEEDED.get(name, {}))
    for dtype in (np.float16, np.float32, np.longdouble, np.complex64, object):
        cast = make(**NEEDED.get(name, {}), dtype=dtype)
        assert cast.dtype == dtype
        np.testing.assert_array_equal(cast, exact.astype(dtype))


@pytest.mark.parametrize("name", ["laplacian", "sobel", "prewitt", "scharr", "sharpen", "emboss", "identity"])
def test_whole_numbers_fit_into_integers(name):
    make = getattr(kernels, name)
    np.testing.assert_array_equal(make(dtype=np.int16), make())
    assert make(dtype=np.int16).dtype == np.int16


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda dtype: kernels.box(3, dtype=dtype), np.int64),
        (lambda dtype: kernels.gaussian(1, dtype=dtype), np.int32),
        (lambda dtype: kernels.sobel(dtype=dtype), np.uint8),
        (lambda dtype: kernels.laplacian(dtype=dtype), bool),
        (lambda dtype: kernels.sharpen(0.5, dtype=dtype), np.int8),
        (lambda dtype: kernels.gabor(4, dtype=dtype), np.int8),
        (lambda dtype: kernels.sharpen(100, dtype=dtype), np.int8),
    ],
)
def test_a_dtype_that_cannot_hold_the_weights_is_an_error(make, dtype):
    with pytest.raises(ValueError, match=f"dtype {np.dtype(dtype)} cannot hold this kernel"):
        make(dtype)


@pytest.mark.parametrize("dtype", ["U3", "M8[s]", "V4"])
def test_a_dtype_without_numbers_is_an_error(dtype):
    with pytest.raises(ValueError, match="dtype must be numeric"):
        kernels.identity(dtype=dtype)


# ------------------------------------------------------------------------------------------ box and identity


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, (1, 5), (4, 3)])
def test_box_is_the_uniform_filter(image, size):
    expected = ndimage.uniform_filter(image, size, mode="mirror")
    np.testing.assert_allclose(ndimage.correlate(image, kernels.box(size), mode="mirror"), expected, rtol=1e-12)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_box_and_identity_in_other_dimensions(ndim):
    assert kernels.box(4, ndim=ndim).shape == (4,) * ndim
    assert kernels.box(4, ndim=ndim).sum() == 1
    assert np.all(kernels.box(4, ndim=ndim) == 4.0**-ndim)
    assert kernels.identity(4, ndim=ndim).sum() == 1
    assert kernels.identity(4, ndim=ndim)[(2,) * ndim] == 1


@pytest.mark.parametrize("size", [1, 2, 3, 6, (5, 2), np.int64(3)])
def test_identity_changes_nothing(image, size):
    np.testing.assert_array_equal(ndimage.correlate(image, kernels.identity(size)), image)


# -------------------------------------------------------------------------------------------------- gaussian


@pytest.mark.parametrize("settings", [{}, {"truncate": 2.5}, {"truncate": 0}, {"radius": 2}, {"radius": 0}])
@pytest.mark.parametrize("sigma", [0.3, 1, 2.2, (0.7, 1.9), (1.2, 0)])
def test_gaussian_is_the_gaussian_filter(image, sigma, settings):
    expected = ndimage.gaussian_filter(image, sigma, mode="nearest", **settings)
    kernel = kernels.gaussian(sigma, **settings)
    np.testing.assert_allclose(ndimage.correlate(image, kernel, mode="nearest"), expected, rtol=1e-12)


def test_gaussian_has_one_radius_for_each_axis():
    assert kernels.gaussian(1, radius=(2, 3)).shape == (5, 7)
    assert kernels.gaussian((1, 2), truncate=3).shape == (7, 13)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_gaussian_sums_to_one_and_is_a_product(ndim):
    line = kernels.gaussian(1.3, ndim=1)
    kernel = kernels.gaussian(1.3, ndim=ndim)
    assert kernel.sum() == pytest.approx(1, abs=1e-14)
    product = np.ones(())
    for _ in range(ndim):
        product = np.multiply.outer(product, line)
    np.testing.assert_array_equal(kernel, product)
    np.testing.assert_array_equal(kernel, np.flip(kernel))


@pytest.mark.parametrize("sigma", [0, 5e-324, 1e-200, 1e-3])
def test_gaussian_of_no_width_is_the_identity(sigma):
    np.testing.assert_array_equal(kernels.gaussian(sigma, radius=2), kernels.identity(5))


# ----------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("name", ["sobel", "prewitt"])
def test_derivatives_have_the_sign_of_scipy(image, name, axis):
    expected = getattr(ndimage, name)(image, axis)
    np.testing.assert_array_equal(ndimage.correlate(image, getattr(kernels, name)(axis)), expected)


@pytest.mark.parametrize("name", ["sobel", "prewitt", "scharr"])
def test_derivatives_have_the_default_axis_of_scipy(name):
    np.testing.assert_array_equal(getattr(kernels, name)(), getattr(kernels, name)(1))
    np.testing.assert_array_equal(getattr(kernels, name)(0), getattr(kernels, name)(1).T)


@pytest.mark.parametrize(("name", "gain"), [("sobel", 8), ("prewitt", 6), ("scharr", 32)])
@pytest.mark.parametrize("axis", [0, 1])
def test_derivatives_measure_the_slope(name, gain, axis):
    slope = 3 * np.indices((9, 9))[axis] + 5 * np.indices((9, 9))[1 - axis]
    response = ndimage.correlate(slope, getattr(kernels, name)(axis, dtype=np.int64))
    assert np.all(response[1:-1, 1:-1] == 3 * gain)


def test_scharr_is_not_normalised():
    np.testing.assert_array_equal(kernels.scharr(0), [[-3, -10, -3], [0, 0, 0], [3, 10, 3]])


def test_laplacian_is_that_of_scipy(image):
    np.testing.assert_array_equal(ndimage.correlate(image, kernels.laplacian()), ndimage.laplace(image))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_laplacian_ignores_slopes(connectivity):
    rows, columns = np.indices((9, 9))
    response = ndimage.correlate(2 * rows - 7 * columns, kernels.laplacian(connectivity, dtype=np.int64))
    assert np.all(response[1:-1, 1:-1] == 0)
    assert np.count_nonzero(kernels.laplacian(connectivity)) == connectivity + 1


# ---------------------------------------------------------------------------------------- sharpen and emboss


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("amount", [-0.1, 0, 0.25, 1, 3])
def test_sharpen_takes_the_laplacian_away(image, amount, connectivity):
    sharpened = ndimage.correlate(image, kernels.sharpen(amount, connectivity=connectivity))
    laplacian = ndimage.correlate(image, kernels.laplacian(connectivity))
    np.testing.assert_allclose(sharpened, image - amount * laplacian, rtol=1e-12, atol=1e-10)


def test_sharpen_has_five_in_the_middle():
    np.testing.assert_array_equal(kernels.sharpen(), [[0, -1, 0], [-1, 5, -1], [0, -1, 0]])


def test_emboss_is_lit_from_the_top_left():
    np.testing.assert_array_equal(kernels.emboss(), [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    np.testing.assert_array_equal(kernels.emboss(0), kernels.identity())
    assert kernels.emboss(2.5).sum() == 1


# ----------------------------------------------------------------------------------------------------- gabor


@pytest.mark.parametrize(
    ("wavelength", "theta", "sigma", "gamma", "phase"),
    [
        (5, 0, 2.5, 0.5, 0),
        (7.3, 0.4, 3.1, 0.8, 1.1),
        (4, -2, 2, 1.5, -math.pi / 2),
    ],
)
def test_gabor_is_its_equation(wavelength, theta, sigma, gamma, phase):
    kernel = kernels.gabor(wavelength, theta, sigma=sigma, gamma=gamma, phase=phase, radius=6)
    assert kernel.shape == (13, 13)
    for y in range(-6, 7):
        for x in range(-6, 7):
            along = x * math.cos(theta) + y * math.sin(theta)
            across = -x * math.sin(theta) + y * math.cos(theta)
            expected = math.exp(-(along**2 + gamma**2 * across**2) / (2 * sigma**2)) * math.cos(
                2 * math.pi * along / wavelength + phase
            )
            assert kernel[y + 6, x + 6] == pytest.approx(expected, abs=1e-14)


def test_gabor_turns_with_theta():
    np.testing.assert_allclose(kernels.gabor(5, math.pi / 2), kernels.gabor(5).T, atol=1e-14)


def test_gabor_answers_to_its_own_stripes():
    rows, columns = np.indices((64, 64))
    upright, level = np.cos(2 * np.pi * columns / 6), np.cos(2 * np.pi * rows / 6)
    kernel = kernels.gabor(6)
    assert abs(ndimage.correlate(upright, kernel)).max() > 50 * abs(ndimage.correlate(level, kernel)).max()


def test_gabor_sizes():
    assert kernels.gabor(5, sigma=2, gamma=1).shape == (13, 13)
    assert kernels.gabor(5, sigma=2, gamma=0.5).shape == (25, 25)  # the envelope is wider across the wave
    assert kernels.gabor(5, sigma=2, gamma=2).shape == (13, 13)
    assert kernels.gabor(5, sigma=2, gamma=1, truncate=1).shape == (5, 5)
    assert kernels.gabor(2).shape == kernels.gabor(2, sigma=1.12).shape


# ---------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.box(0), ValueError, "size must be at least 1, got 0"),
        (lambda: kernels.box(-3), ValueError, "size must be at least 1, got -3"),
        (lambda: kernels.box(2.5), TypeError, "size must be an integer, got 2.5"),
        (lambda: kernels.box("3"), TypeError, "size must be an integer, got '3'"),
        (lambda: kernels.box((3, 3, 3)), ValueError, r"one for each axis \(ndim=2\), got \(3, 3, 3\)"),
        (lambda: kernels.box((3, 0)), ValueError, "size must be at least 1, got 0"),
        (lambda: kernels.box(3, ndim=0), ValueError, "ndim must be at least 1, got 0"),
        (lambda: kernels.box(3, ndim=1.0), TypeError, "ndim must be an integer, got 1.0"),
        (lambda: kernels.identity(0), ValueError, "size must be at least 1, got 0"),
        (lambda: kernels.gaussian(-1), ValueError, "sigma must be a finite number of at least 0, got -1"),
        (
            lambda: kernels.gaussian(math.nan),
            ValueError,
            "sigma must be a finite number of at least 0, got nan",
        ),
        (
            lambda: kernels.gaussian(math.inf),
            ValueError,
            "sigma must be a finite number of at least 0, got inf",
        ),
        (lambda: kernels.gaussian("2"), TypeError, "sigma must be a real number, got '2'"),
        (lambda: kernels.gaussian(2j), TypeError, "sigma must be a real number, got 2j"),
        (lambda: kernels.gaussian((1, 2, 3)), ValueError, "sigma must be one number, or one for each axis"),
        (
            lambda: kernels.gaussian(1, truncate=-1),
            ValueError,
            "truncate must be a finite number of at least 0, got -1",
        ),
        (lambda: kernels.gaussian(1, radius=-1), ValueError, "radius must be at least 0, got -1"),
        (lambda: kernels.gaussian(1, radius=1.5), TypeError, "radius must be an integer, got 1.5"),
        (lambda: kernels.laplacian(6), ValueError, r"connectivity must be 4 .* or 8 .*, got 6"),
        (lambda: kernels.sharpen(1, connectivity=0), ValueError, r"connectivity must be 4 .* or 8 .*, got 0"),
        (lambda: kernels.sharpen(math.nan), ValueError, "amount must be a finite number, got nan"),
        (lambda: kernels.emboss(math.inf), ValueError, "amount must be a finite number, got inf"),
        (lambda: kernels.emboss(None), TypeError, "amount must be a real number, got None"),
        (lambda: kernels.sobel(2), ValueError, r"axis must be 0 .* or 1 .*, got 2"),
        (lambda: kernels.prewitt("rows"), ValueError, r"axis must be 0 .* or 1 .*, got 'rows'"),
        (lambda: kernels.scharr(-3), ValueError, r"axis must be 0 .* or 1 .*, got -3"),
        (lambda: kernels.gabor(1.9), ValueError, "wavelength must be a finite number of at least 2, got 1.9"),
        (lambda: kernels.gabor(4, math.nan), ValueError, "theta must be a finite number, got nan"),
        (lambda: kernels.gabor(4, sigma=0), ValueError, "sigma must be a finite number above 0, got 0"),
        (lambda: kernels.gabor(4, gamma=-1), ValueError, "gamma must be a finite number above 0, got -1"),
        (
            lambda: kernels.gabor(4, truncate=-1),
            ValueError,
            "truncate must be a finite number of at least 0, got -1",
        ),
        (lambda: kernels.gabor(4, radius=-1), ValueError, "radius must be at least 0, got -1"),
        (lambda: kernels.gabor(4, radius=2.0), TypeError, "radius must be an integer, got 2.0"),
    ],
)
def test_errors_say_what_was_given_and_what_would_do(call, error, message):
    with pytest.raises(error, match=message):
        call()
