"""The linear filters beside scipy.ndimage's: whole numbers exactly, floats to rounding, and every form of argument."""

import numpy as np
import pytest
import scipy.ndimage
from helpers import FLOATS, INTEGERS, layouts, name, small

from fastconv import ndimage

MODES = ["reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap"]
DTYPES = [np.dtype(bool), *INTEGERS, *FLOATS[1:3], np.dtype("c8"), np.dtype("c16")]
WEIGHTS = np.array([[1, -2, 3], [0, 1, 4], [2, 0, -1]])

# A call of every filter, as (name, arguments after the input).
CALLS = {
    "convolve": ((WEIGHTS,), {}),
    "correlate": ((WEIGHTS,), {}),
    "convolve1d": (([1, 3, -2, 4],), {}),
    "correlate1d": (([1, 3, -2, 4],), {"axis": 0}),
    "gaussian_filter": ((1.3,), {}),
    "gaussian_filter1d": ((2.0,), {"axis": 0}),
    "uniform_filter": ((5,), {}),
    "uniform_filter1d": ((4,), {"axis": 0}),
    "sobel": ((), {}),
    "prewitt": ((0,), {}),
    "laplace": ((), {}),
    "gaussian_laplace": ((1.0,), {}),
    "gaussian_gradient_magnitude": ((1.0,), {}),
}


def agree(ours, theirs, what=""):
    """Equal where numbers are whole; floats within some roundings of the largest."""
    assert ours.dtype == theirs.dtype, what
    assert ours.shape == theirs.shape, what
    if ours.dtype.kind in "biu":
        np.testing.assert_array_equal(ours, theirs, err_msg=str(what))
    else:
        largest = np.abs(theirs).max(initial=1)
        bound = 64 * np.finfo(ours.dtype).eps * largest
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound, err_msg=str(what))


def image(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(max(limits.min, -(2**20)), min(limits.max, 2**20), shape, dtype, endpoint=True)
    return small(rng, shape, dtype, 9)


# Of complex numbers SciPy takes the root of a sum of squares, which is no magnitude.
PAIRS = [(f, t) for f in CALLS for t in DTYPES if t.kind != "c" or f != "gaussian_gradient_magnitude"]


@pytest.mark.parametrize(("function", "dtype"), PAIRS, ids=lambda value: value if type(value) is str else name(value))
def test_as_scipy(rng, function, dtype):
    arguments, options = CALLS[function]
    for shape in [(1, 1), (7, 5), (19, 70), (40, 33)]:
        x = image(rng, shape, dtype)
        for mode in MODES:
            with np.errstate(all="ignore"):  # squares that wrap have no root
                theirs = getattr(scipy.ndimage, function)(x, *arguments, **options, mode=mode, cval=3)
            ours = getattr(ndimage, function)(x, *arguments, **options, mode=mode, cval=3)
            agree(ours, theirs, (function, shape, mode))


@pytest.mark.parametrize("function", CALLS)
def test_output(rng, function):
    arguments, options = CALLS[function]
    ours, theirs = getattr(ndimage, function), getattr(scipy.ndimage, function)
    x = image(rng, (23, 41), "u1")
    for output in ("f4", np.float64, np.int32):
        agree(ours(x, *arguments, **options, output=output), theirs(x, *arguments, **options, output=output), output)
    with np.errstate(all="ignore"):
        expected = theirs(x, *arguments, **options)
    given = np.empty_like(x)
    assert ours(x, *arguments, **options, output=given) is given
    np.testing.assert_array_equal(given, expected)
    same = x.copy()
    ours(same, *arguments, **options, output=same)
    np.testing.assert_array_equal(same, expected)


@pytest.mark.parametrize("origin", [-1, 0, 1, (1, -1)])
def test_origin(rng, origin):
    for dtype in ("u1", "f8"):
        x = image(rng, (12, 20), dtype)
        for function, argument in (("convolve", WEIGHTS), ("correlate", WEIGHTS), ("uniform_filter", 4)):
            ours = getattr(ndimage, function)(x, argument, origin=origin)
            agree(ours, getattr(scipy.ndimage, function)(x, argument, origin=origin), (function, dtype))
    if isinstance(origin, int):
        for function in ("convolve1d", "correlate1d"):
            ours = getattr(ndimage, function)(x, [1, 2, 3, 4], origin=origin)
            agree(ours, getattr(scipy.ndimage, function)(x, [1, 2, 3, 4], origin=origin), function)


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 2), (-1, -2), (0, 1, 2)])
def test_axes(rng, axes):
    for dtype in ("u1", "i2", "f4", "f8"):
        x = image(rng, (6, 11, 18), dtype)
        for function, argument in (("gaussian_filter", 0.8), ("uniform_filter", 3)):
            theirs = getattr(scipy.ndimage, function)(x, argument, axes=axes)
            agree(getattr(ndimage, function)(x, argument, axes=axes), theirs, (function, dtype))


def test_many_dimensions(rng):
    for shape in ((50,), (5, 6, 7), (3, 4, 5, 6)):
        weights = rng.integers(-3, 4, (3,) * len(shape))
        for dtype in ("u1", "i8", "f4", "f8"):
            x = image(rng, shape, dtype)
            for function in ("convolve", "correlate"):
                for mode in ("reflect", "wrap", "constant"):
                    theirs = getattr(scipy.ndimage, function)(x, weights, mode=mode)
                    agree(getattr(ndimage, function)(x, weights, mode=mode), theirs, (function, shape, dtype, mode))
            agree(ndimage.gaussian_filter(x, 1), scipy.ndimage.gaussian_filter(x, 1), (shape, dtype))


def test_parameters_of_the_gaussian(rng):
    x = rng.standard_normal((30, 40))
    for options in (
        {"sigma": (0.5, 2)}, {"sigma": 1, "order": 1}, {"sigma": 1, "order": (0, 2)}, {"sigma": 2, "truncate": 2},
        {"sigma": 2, "radius": 3}, {"sigma": 0}, {"sigma": 1, "mode": ("wrap", "nearest")},
    ):  # fmt: skip
        agree(ndimage.gaussian_filter(x, **options), scipy.ndimage.gaussian_filter(x, **options), options)


def test_layouts(rng):
    for dtype in ("u1", "f4", "f8"):
        x = image(rng, (21, 37), dtype)
        for function, (arguments, options) in CALLS.items():
            expected = getattr(ndimage, function)(x, *arguments, **options)
            for what, layout in layouts(dtype).items():
                result = getattr(ndimage, function)(layout(x), *arguments, **options)
                np.testing.assert_array_equal(result, expected, err_msg=f"{function} {what}")
                assert result.dtype.isnative


def test_the_same_for_any_number_of_workers(rng):
    x = rng.standard_normal((300, 500)).astype("f4")
    for function, (arguments, options) in CALLS.items():
        one, two, five = (getattr(ndimage, function)(x, *arguments, **options, workers=n) for n in (1, 2, 5))
        np.testing.assert_array_equal(one, two, err_msg=function)
        np.testing.assert_array_equal(one, five, err_msg=function)


def test_errors_are_of_scipys_types():
    x = np.zeros((5, 6))
    for call in (
        lambda m: m.convolve(x, np.ones(3)), lambda m: m.convolve(x, np.ones((0, 3))),
        lambda m: m.correlate(x, np.ones((3, 3)), mode="none"), lambda m: m.correlate1d(x, []),
        lambda m: m.correlate1d(x, [1, 2, 3], axis=2), lambda m: m.correlate1d(x, [1, 2, 3], origin=3),
        lambda m: m.uniform_filter1d(x, 0), lambda m: m.uniform_filter(x, (2, 3, 4)),
        lambda m: m.gaussian_filter(x, (1, 2, 3)), lambda m: m.gaussian_filter1d(x, 1, radius=1.5),
        lambda m: m.gaussian_filter1d(x, 1, order=-1), lambda m: m.sobel(x, 5),
        lambda m: m.convolve(x, np.ones((3, 3)), output=np.zeros((5, 5))),
    ):  # fmt: skip
        with pytest.raises(Exception) as theirs:
            call(scipy.ndimage)
        with pytest.raises(theirs.type):
            call(ndimage)
