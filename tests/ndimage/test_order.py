"""The filters by order against SciPy's, value for value, and against their twins where SciPy is not to be followed."""

import warnings
from itertools import product

import numpy as np
import pytest
import scipy.ndimage
from helpers import layouts, name, same

import fastconv
from fastconv import ndimage
from fastconv._plan import neighbourhood
from fastconv._reference import order as twins

DTYPES = [np.dtype(kind) for kind in "?bBhHiIlLfd"]
MODES = ["reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap"]
EXTREMES = ["maximum_filter", "minimum_filter"]
RANKS = ["median_filter", "rank_filter", "percentile_filter"]


def draw(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 50).astype(dtype)
    return rng.integers(0 if dtype.kind in "bu" else -100, 2 if dtype.kind == "b" else 120, shape).astype(dtype)


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def origins(rng, sizes):
    return [int(rng.integers(-(k // 2), (k - 1) // 2 + 1)) for k in sizes]


def both(function, *args, **options):
    """The results of fastconv and of SciPy."""
    return getattr(ndimage, function)(*args, **options), getattr(scipy.ndimage, function)(*args, **options)


# --- against SciPy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=name)
@pytest.mark.parametrize("function", EXTREMES)
def test_boxes(function, dtype, rng):
    for shape, size in [
        ((60,), 3), ((60,), 8), ((41, 70), 3), ((41, 70), (7, 31)), ((41, 70), (1, 6)), ((41, 70), (9, 1)),
        ((9, 10, 41), (3, 2, 5)), ((20, 33, 3), (5, 4, 1)), ((12, 7, 40), (3, 1, 1)), ((6, 5, 4, 7), 2),
        ((3, 2), (31, 16)),
    ]:  # fmt: skip
        x = draw(rng, shape, dtype)
        sizes = [size] * x.ndim if isinstance(size, int) else size
        for mode in MODES:
            options = {"mode": mode, "cval": pick(rng, 0, 1), "origin": origins(rng, sizes)}
            same(*both(function, x, size, **options), (shape, size, options))


@pytest.mark.parametrize("dtype", DTYPES, ids=name)
@pytest.mark.parametrize("function", ["maximum_filter1d", "minimum_filter1d"])
def test_lines(function, dtype, rng):
    x = draw(rng, (13, 5, 36), dtype)
    for axis, size, mode in product((0, 1, -1), (1, 2, 5, 16), MODES):
        options = {"mode": mode, "cval": pick(rng, 0, 1), "origin": origins(rng, [size])[0]}
        same(*both(function, x, size, axis, **options), (axis, size, options))


@pytest.mark.parametrize("dtype", DTYPES, ids=name)
def test_footprints(dtype, rng):
    for shape, size in [((40, 33), (5, 4)), ((40, 33), (1, 9)), ((7, 9, 11), (3, 2, 3)), ((30, 21, 3), (4, 5, 1))]:
        x = draw(rng, shape, dtype)
        for mode, function in product(MODES, [*EXTREMES, *RANKS]):
            footprint = rng.random(size) < 0.6
            footprint[(0,) * x.ndim] = True
            args = {"rank_filter": (int(rng.integers(footprint.sum())),), "percentile_filter": (pick(rng, 0, 30, 80),)}
            options = {"mode": mode, "cval": pick(rng, 0, 1), "origin": origins(rng, size)}
            result, expected = both(function, x, *args.get(function, ()), footprint=footprint, **options)
            same(result, expected, (function, footprint, options))


@pytest.mark.parametrize("dtype", DTYPES, ids=name)
def test_medians(dtype, rng):
    for shape, size in [((70,), 5), ((70,), 12), ((40, 45), 3), ((40, 45), 5), ((40, 45), (2, 7)), ((8, 9, 10), 3)]:
        x = draw(rng, shape, dtype)
        for mode in MODES:
            same(*both("median_filter", x, size, mode=mode, cval=1), (shape, size, mode))


@pytest.mark.parametrize("dtype", DTYPES, ids=name)
def test_every_rank(dtype, rng):
    x = draw(rng, (17, 40), dtype)
    for rank in range(-12, 12):
        same(*both("rank_filter", x, rank, (3, 4), mode="mirror"), rank)
    for percentile in (-100, -99.5, -20, 0, 8.4, 50, 91.7, 99, 100):
        same(*both("percentile_filter", x, percentile, (3, 4)), percentile)


@pytest.mark.parametrize("size", [9, 15, 23, (1, 40), (31, 2), (25, 1)])
def test_large_windows(size, rng):
    """Networks and sliding windows meet here, and a window may be larger than the image."""
    for shape, dtype in [((30, 50), "u1"), ((40, 19), "f8"), ((5, 6), "i2")]:
        x = draw(rng, shape, dtype)
        for mode in ("reflect", "mirror", "wrap", "constant"):
            same(*both("median_filter", x, size, mode=mode, cval=7), (shape, dtype, mode))
            same(*both("rank_filter", x, 3, size, mode=mode, cval=7), (shape, dtype, mode))


def test_axes(rng):
    x = draw(rng, (6, 7, 8), "i4")
    for axes in [(), 0, (1,), (2, 0), (-1, 1), (0, 1, 2), (2, 0, 1), None]:
        count = 3 if axes is None else 1 if axes == 0 else len(axes)
        sizes = [3, 2, 4][:count]
        options = {"axes": axes, "origin": [0, -1, 1][:count]}
        for function in ("maximum_filter", "median_filter"):
            same(*both(function, x, sizes, **options), (function, axes))
        if count < 3:
            footprint = np.ones(sizes, bool)
            footprint.flat[-1:] = count == 0
            same(*both("minimum_filter", x, footprint=footprint, **options), axes)
            modes = ["wrap", "nearest", "mirror"][:count]
            same(*both("maximum_filter", x, sizes, mode=modes, **options), axes)
            same(*both("rank_filter", x, 0, sizes, mode=modes, **options), axes)


# --- where the result goes ------------------------------------------------------------------------------

CALLS = {
    "maximum_filter": ((3,), {}),
    "minimum_filter": ((), {"footprint": [[0, 1, 0], [1, 1, 1]]}),
    "maximum_filter1d": ((4,), {"axis": 0}),
    "minimum_filter1d": ((5,), {}),
    "median_filter": ((3,), {}),
    "rank_filter": ((2, 9), {}),
    "percentile_filter": ((70, (4, 3)), {}),
}


@pytest.mark.parametrize("function", CALLS)
def test_output(function, rng):
    args, options = CALLS[function]
    x = draw(rng, (20, 31), "i2")
    expected = getattr(scipy.ndimage, function)(x, *args, **options)
    for output in ("f4", "float64", np.int8, np.dtype("u2"), float, int, bool):
        same(*both(function, x, *args, **options, output=output), output)
    for out in (np.empty((20, 31), "i2"), np.empty((31, 20), "f8").T, np.empty((20, 62), "i8")[:, ::-2]):
        assert getattr(ndimage, function)(x, *args, **options, output=out) is out
        np.testing.assert_array_equal(out, expected)
    swapped = np.empty((20, 31), ">f8")
    np.testing.assert_array_equal(getattr(ndimage, function)(x, *args, **options, output=swapped), expected)
    for view in (x, x[::-1], x[:, ::-1]):
        held = x.copy()
        out = held[tuple(slice(None, None, s // abs(s)) for s in np.array(view.strides))] if view is x else held
        getattr(ndimage, function)(out, *args, **options, output=out)
        np.testing.assert_array_equal(held, expected)
    whole = np.concatenate([x, x])
    getattr(ndimage, function)(whole[:20], *args, **options, output=whole[5:25])
    np.testing.assert_array_equal(whole[5:25], expected)


@pytest.mark.parametrize("function", CALLS)
def test_layouts_and_workers(function, rng):
    args, options = CALLS[function]
    for dtype in ("u1", "i2", "f4", "i8"):
        x = draw(rng, (37, 150), dtype)
        expected = getattr(scipy.ndimage, function)(x, *args, **options)
        for layout, of in layouts(dtype).items():
            before = of(x)
            result = getattr(ndimage, function)(before, *args, **options, workers=2)
            same(result, expected, (dtype, layout))
            np.testing.assert_array_equal(before, x)


def test_the_number_of_workers_changes_nothing(rng):
    for dtype, shape in [("f4", (700, 900)), ("u1", (3, 300, 1100)), ("f8", (40, 30, 600))]:
        x = draw(rng, shape, dtype)
        axes = (-2, -1)
        for function, args in [("maximum_filter", (9,)), ("median_filter", (3,)), ("rank_filter", (4, (13, 2)))]:
            one, *others = (getattr(ndimage, function)(x, *args, axes=axes, workers=n) for n in (1, 2, 3, 7))
            for other in others:
                same(other, one, (function, dtype))


# --- errors ---------------------------------------------------------------------------------------------

image = np.arange(20.0).reshape(4, 5)


@pytest.mark.parametrize(
    ("function", "args", "options", "error"),
    [
        ("maximum_filter", (image,), {}, RuntimeError),
        ("median_filter", (image,), {}, RuntimeError),
        ("maximum_filter", (image * 1j, 3), {}, TypeError),
        ("median_filter", (image * 1j, 3), {}, TypeError),
        ("minimum_filter1d", (image * 1j, 3), {}, TypeError),
        ("maximum_filter", (image, 3), {"mode": "symmetric"}, RuntimeError),
        ("maximum_filter", (image, 3), {"mode": None}, RuntimeError),
        ("maximum_filter", (image, 3), {"mode": ["wrap"]}, RuntimeError),
        ("maximum_filter", (image,), {"footprint": [[0, 1]], "mode": ["wrap", "wrap"]}, RuntimeError),
        ("median_filter", (image, 3), {"mode": ["wrap", "wrap"]}, RuntimeError),
        ("maximum_filter1d", (image, 3), {"mode": ["wrap"]}, RuntimeError),
        ("maximum_filter", (image, (3, 3, 3)), {}, RuntimeError),
        ("median_filter", (image, (3, 3, 3)), {}, RuntimeError),
        ("median_filter", (image, 0), {}, RuntimeError),
        ("median_filter", (image, -1), {}, ValueError),
        ("median_filter", (image, 2.5), {}, TypeError),
        ("maximum_filter1d", (image, 0), {}, RuntimeError),
        ("maximum_filter1d", (image, 2.0), {}, TypeError),
        ("maximum_filter1d", (image, (3, 3)), {}, TypeError),
        ("maximum_filter", (image, "3"), {}, TypeError),
        ("maximum_filter1d", (image, 3, 2), {}, ValueError),
        ("maximum_filter", (image,), {"footprint": [[0, 0]]}, ValueError),
        ("median_filter", (image,), {"footprint": [[0, 0]]}, RuntimeError),
        ("maximum_filter", (image,), {"footprint": [1, 0]}, RuntimeError),
        ("rank_filter", (image, 1), {"footprint": [1, 1, 1]}, RuntimeError),
        ("maximum_filter", (image, 3), {"origin": 2}, ValueError),
        ("maximum_filter", (image, 3), {"origin": -2}, ValueError),
        ("maximum_filter", (image, 4), {"origin": 2}, ValueError),
        ("maximum_filter", (image, 3), {"origin": 0.5}, TypeError),
        ("maximum_filter", (image, 3), {"origin": (0, 0, 0)}, RuntimeError),
        ("median_filter", (image, 3), {"origin": (0, 2)}, ValueError),
        ("maximum_filter", (image, 3), {"axes": (0, 0)}, ValueError),
        ("maximum_filter", (image, 3), {"axes": (0, 2)}, ValueError),
        ("maximum_filter", (image, 3), {"axes": 0.5}, TypeError),
        ("maximum_filter", (image, 3), {"cval": 1j}, TypeError),
        ("maximum_filter", (image, 3), {"cval": "0"}, TypeError),
        ("maximum_filter", (image, 3), {"output": np.empty((5, 4))}, RuntimeError),
        ("maximum_filter", (image, 3), {"output": "bool"}, RuntimeError),
        ("maximum_filter", (image, 3), {"output": "U3"}, RuntimeError),
        ("maximum_filter", (image, 3), {"output": "complex128"}, RuntimeError),
        ("maximum_filter", (image, 3), {"output": np.float16}, RuntimeError),
        ("median_filter", (image, 3), {"output": np.longdouble}, RuntimeError),
        ("maximum_filter", (image.astype(np.float16), 3), {}, RuntimeError),
        ("median_filter", (image.astype(np.float16), 3), {}, RuntimeError),
        ("median_filter", (image.astype(np.longdouble), 3), {}, RuntimeError),
        ("maximum_filter", (image.astype(object), 3), {}, RuntimeError),
        ("rank_filter", (image, 9, 3), {}, RuntimeError),
        ("rank_filter", (image, -10, 3), {}, RuntimeError),
        ("rank_filter", (image, 1.0, 3), {}, TypeError),
        ("percentile_filter", (image, 101, 3), {}, RuntimeError),
        ("percentile_filter", (image, -101, 3), {}, RuntimeError),
        ("percentile_filter", (image, "5", 3), {}, TypeError),
    ],
)
def test_errors_are_of_scipys_types(function, args, options, error):
    with pytest.raises(error):
        getattr(scipy.ndimage, function)(*args, **options)
    with pytest.raises(error) as caught:
        getattr(ndimage, function)(*args, **options)
    assert "\n" not in str(caught.value)


def test_an_output_that_is_read_only():
    out = np.empty((4, 5))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ndimage.maximum_filter(image, 3, output=out)


def test_size_and_footprint():
    for function in EXTREMES:
        with pytest.warns(UserWarning, match="ignoring size") as caught:
            getattr(ndimage, function)(image, 3, np.ones((2, 2)))
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="ignoring size") as caught:
        ndimage.median_filter(image, 3, np.ones((2, 2)))
    assert caught[0].filename == __file__


def test_workers_are_checked():
    for workers in (0, 1.5):
        with pytest.raises((ValueError, TypeError)):
            ndimage.maximum_filter(image, 3, workers=workers)


# --- what is ours to say --------------------------------------------------------------------------------


def windows(x, size, mode):
    """The arguments of a twin."""
    sizes = [size] * x.ndim
    return np.ones(sizes, bool), [-(k // 2) for k in sizes], [neighbourhood.MODES[mode]] * x.ndim


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [3, 5, 12])
def test_nan_and_infinity(dtype, size, rng):
    """NaN wins in an extremum; in a rank it is larger than any number. Its sign does not matter, nor zero's."""
    x = draw(rng, (33, 60), dtype)
    x[rng.random(x.shape) < 0.02] = np.nan
    x[rng.random(x.shape) < 0.02] = -np.float64(np.nan)
    x[rng.random(x.shape) < 0.02] = np.inf
    x[rng.random(x.shape) < 0.02] = -np.inf
    x[rng.random(x.shape) < 0.1] = -0.0
    x[rng.random(x.shape) < 0.1] = 0.0
    x[20:, :25] = np.nan
    for mode, cval in [("reflect", 0.0), ("constant", 1.5), ("constant", np.nan), ("wrap", 0.0)]:
        given = (x, *windows(x, size, mode), cval)
        same(ndimage.maximum_filter(x, size, mode=mode, cval=cval), twins.largest(*given))
        same(ndimage.minimum_filter(x, size, mode=mode, cval=cval), twins.smallest(*given))
        for rank in (1, size * size // 2, size * size - 2):
            same(ndimage.rank_filter(x, rank, size, mode=mode, cval=cval), twins.ranked(*given, rank), rank)
    footprint = rng.random((4, 5)) < 0.5
    given = (x, footprint, (-2, -2), ["symm"] * 2, 0)
    same(ndimage.maximum_filter(x, footprint=footprint), twins.largest(*given))
    same(ndimage.minimum_filter(x, footprint=footprint), twins.smallest(*given))


def test_large_integers_keep_all_digits():
    x = np.array([2**53 + 1, 2**53 + 2, 2**62 + 1, 5, 2**63 - 1, -(2**63)])
    np.testing.assert_array_equal(ndimage.maximum_filter(x, 3)[:2], [2**53 + 2, 2**62 + 1])
    np.testing.assert_array_equal(ndimage.minimum_filter(x, 2)[-1:], [-(2**63)])
    x = x.astype(np.uint64)
    np.testing.assert_array_equal(ndimage.maximum_filter(x, 2)[-1:], np.array([2**63], np.uint64))
    np.testing.assert_array_equal(ndimage.median_filter(x[None], (1, 3))[0, 2:3], np.array([2**53 + 2], np.uint64))


def test_lines_have_the_footprint_that_is_given(rng):
    """SciPy's ranks of lines fill the holes of a footprint, and are off where a window is longer than its line."""
    x = draw(rng, 50, "f8")
    footprint = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    given = (x, footprint, [-4], ["symm"], 0)
    same(ndimage.median_filter(x, footprint=footprint), twins.ranked(*given, 2))
    for n, size in [(3, 8), (5, 9), (1, 4), (2, 31)]:
        for mode in ("reflect", "mirror", "wrap", "nearest"):
            expected = twins.ranked(x[:n], *windows(x, size, mode), 0, size // 2)
            same(ndimage.median_filter(x[:n], size, mode=mode), expected, (n, size, mode))


def test_ranks_of_lines_of_other_dtypes(rng):
    """SciPy takes halves here, and nowhere else; byteswapped numbers and another dtype's output it mistakes."""
    x = draw(rng, 60, "f8")
    half = x.astype(np.float16)
    same(ndimage.median_filter(half, 5), scipy.ndimage.median_filter(half, 5))
    same(ndimage.median_filter(x.astype(">f8"), 5), scipy.ndimage.median_filter(x, 5))
    result = ndimage.median_filter(x, 5, output=np.float32)
    same(result, scipy.ndimage.median_filter(x, 5).astype(np.float32))


def test_an_axis_counted_from_the_end_alone(rng):
    """SciPy loses it where there is a footprint."""
    x = draw(rng, (6, 7, 8), "u1")
    footprint = [True, False, True]
    for function in ("maximum_filter", "median_filter"):
        expected = getattr(scipy.ndimage, function)(x, footprint=footprint, axes=(1,))
        same(getattr(ndimage, function)(x, footprint=footprint, axes=-2), expected)


def test_nothing_to_do(rng):
    x = draw(rng, (4, 5), "f4")
    for result in (ndimage.maximum_filter(x, 1), ndimage.median_filter(x, 1), ndimage.maximum_filter(x, 3, axes=())):
        same(result, x)
        assert not np.may_share_memory(result, x)
    same(ndimage.maximum_filter(x.astype(np.float16), (0, 1)), x.astype(np.float16))
    for shape in [(0,), (0, 4), (3, 0, 2)]:
        for function, args in [("maximum_filter", (3,)), ("median_filter", (3,)), ("minimum_filter1d", (3,))]:
            same(*both(function, np.zeros(shape), *args), (function, shape))
    for function in ("maximum_filter", "median_filter"):
        result, expected = both(function, 3.5, 3)
        assert (result.shape, result.dtype, result) == (expected.shape, expected.dtype, expected)


# --- properties and large work --------------------------------------------------------------------------


def test_a_minimum_is_a_maximum_upside_down(rng):
    x = draw(rng, (90, 300), "f4")
    footprint = rng.random((5, 9)) < 0.4
    for options in ({"size": (4, 11)}, {"footprint": footprint}):
        same(ndimage.minimum_filter(x, **options, mode="wrap"), -ndimage.maximum_filter(-x, **options, mode="wrap"))


def test_monotone_maps_pass_through(rng):
    """An order filter commutes with whatever keeps the order: a network and a sliding window agree, across dtypes."""
    x = rng.integers(0, 256, (150, 170))
    for size in (3, 7, 11, 17):
        expected = ndimage.median_filter(x.astype(np.uint8), size)
        for dtype in ("u2", "i4", "i8", "f4", "f8"):
            result = ndimage.median_filter((3 * x.astype(dtype) + 5).astype(dtype), size)
            np.testing.assert_array_equal(result, 3 * expected.astype(dtype) + 5, err_msg=str((size, dtype)))


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_many_blocks(dtype, rng):
    """Images that are cut into strips and blocks, in both directions."""
    for shape in [(1100, 300), (90, 9000), (3, 40_000)]:
        x = draw(rng, shape, dtype)
        for size in [(1, 40), (15, 3), (3, 200)]:
            same(*both("maximum_filter", x, size, mode="mirror"), (shape, size))
    x = draw(rng, (300, 410), dtype)
    same(*both("median_filter", x, 3), dtype)
    given = (x, np.ones((13, 9), bool), (-6, -4), ["symm"] * 2, 0)
    same(ndimage.median_filter(x, (13, 9)), twins.ranked(*given, 58))


def test_colour_pictures(rng):
    """Channels side by side are filtered apart."""
    for channels in (2, 3, 4, 33):
        x = draw(rng, (50, 61, channels), "u1")
        for function, size in product(("maximum_filter", "median_filter"), (3, 9)):
            expected = np.stack([getattr(ndimage, function)(x[..., c], size) for c in range(channels)], -1)
            same(getattr(ndimage, function)(x, (size, size, 1)), expected, (channels, function, size))
            same(getattr(ndimage, function)(x, size, axes=(0, 1)), expected, (channels, function, size))


def test_it_is_exported():
    assert set(ndimage.__all__) >= {*EXTREMES, *RANKS, "maximum_filter1d", "minimum_filter1d"}
    assert fastconv.ndimage is ndimage
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ndimage.median_filter(np.arange(5), footprint=[1, 1, 1])
