"""fastconv.convolve and correlate take what NumPy's take and answer what NumPy's answer.

What holds for both stands here; what only correlate does is in test_correlate.py.
"""

import inspect
from fractions import Fraction
from itertools import cycle, product

import numpy as np
import pytest
from helpers import ALL_DTYPES, COMPLEX, INTEGERS, KERNEL_DTYPES, MODES, name, normal, same, small

import fastconv

FACES = pytest.mark.parametrize("face", ["convolve", "correlate"])
METHODS = ("direct", "overlap-save", "fft")
TWINS = {np.dtype(dtype) for dtype in (object, np.longdouble, np.clongdouble)}


def both(face):
    return getattr(fastconv, face), getattr(np, face)


# --- values -------------------------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_exact_for_every_small_size(face, dtype, rng):
    ours, numpys = both(face)
    few = dtype in TWINS
    workers = cycle([None, 1, 2, 3])
    for n in [*range(1, 12), 16, 17, 31, 32, 33, 64, 70] if few else range(1, 71):
        for k in (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 70):
            a, v = small(rng, n, dtype), small(rng, k, dtype)
            for mode in MODES:
                same(ours(a, v, mode, workers=next(workers)), numpys(a, v, mode), (n, k, mode))


@FACES
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_exact_around_multiples_of_a_vector(face, dtype, rng):
    ours, numpys = both(face)
    sizes = (127, 128, 129, 255, 256, 257, 511, 512, 513, 1000, 4099)
    for n, k in product(sizes[::4] if dtype in TWINS else sizes, (1, 2, 3, 5, 8, 11, 16, 31, 64, 101, 129)):
        a, v = small(rng, n, dtype, 2), small(rng, k, dtype, 2)
        for mode in MODES:
            expected = numpys(a, v, mode)
            for workers in (1, 2, 3):
                result = ours(a, v, mode, method="direct", workers=workers)
                same(result, expected, (n, k, mode, workers))


@FACES
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_dtypes_mix_as_in_numpy(face, dtype, rng):
    ours, numpys = both(face)
    for other in ALL_DTYPES:
        if np.dtype(object) in (dtype, other) and {dtype.kind, other.kind} & set("fc"):
            continue  # Decimal takes no floats
        for n, k in ((9, 4), (3, 8)):
            a, v = small(rng, n, dtype), small(rng, k, other)
            for mode in MODES:
                same(ours(a, v, mode), numpys(a, v, mode), (other, n, k, mode))


@FACES
@pytest.mark.parametrize("dtype", INTEGERS, ids=name)
def test_integers_wrap(face, dtype, rng):
    ours, numpys = both(face)
    limits = np.iinfo(dtype)
    for n, k in ((1, 1), (40, 7), (300, 65), (5, 20)):
        a = rng.integers(limits.min, limits.max, n, dtype, endpoint=True)
        v = rng.integers(limits.min, limits.max, k, dtype, endpoint=True)
        a[0] = v[0] = limits.min
        for mode in MODES:
            same(ours(a, v, mode), numpys(a, v, mode), (n, k, mode))


@FACES
def test_bool_of_very_many_terms(face):
    """However many terms are true, so is their sum: no counter runs over."""
    ours, _ = both(face)
    for k in (255, 256, 257, 65_535, 65_536, 65_537, 131_072):
        same(ours(np.ones(k + 3, bool), np.ones(k, bool), "valid"), np.ones(4, bool), k)
    same(ours(np.ones((2, 70_000), bool), np.ones(65_536, bool), "valid", axis=1), np.ones((2, 4_465), bool))


@FACES
def test_lists_tuples_ranges_and_numbers(face):
    ours, numpys = both(face)
    for a, v in [
        ([1, 2, 3], [0, 1, 0.5]),
        ((1, 2, 3), range(2)),
        ([True, False], [True, True]),
        ([1 + 2j, 3], [1]),
        (np.float32([1, 2]), [1, 2]),  # a list is float64 or int64, not weak: float64
        ([2**70, 1], [1, 3]),  # Python's own integers
        ([Fraction(1, 3), Fraction(1, 2)], [3, 4]),
        (memoryview(b"abc"), [1, 2]),
    ]:
        for mode in MODES:
            same(ours(a, v, mode), numpys(a, v, mode), (a, v, mode))


def test_a_number_is_an_array_of_one():
    for a, v in [(3, 4), (3, [4, 5]), ([4, 5], 3.5), (np.float32(2), np.float32(3)), (np.array(3), True)]:
        same(fastconv.convolve(a, v), np.convolve(a, v), (a, v))


@FACES
def test_anything_that_turns_into_an_array(face):
    class Signal:
        def __array__(self, dtype=None, copy=None):
            return np.array([1, 2, 3], np.float32)

    ours, numpys = both(face)
    taps = np.float32([1, 2])
    same(ours(Signal(), taps, "full"), numpys(np.float32([1, 2, 3]), taps, "full"))
    same(ours(taps, Signal(), "full"), numpys(taps, np.float32([1, 2, 3]), "full"))


@FACES
def test_modes_by_number_and_by_string(face):
    ours, numpys = both(face)
    for mode in (0, 1, 2, np.int8(2), np.array(1), np.str_("same"), *MODES):
        same(ours([1, 2, 3, 4], [1, 10], mode), numpys([1, 2, 3, 4], [1, 10], mode), mode)
    same(ours([1, 2, 3], [1, 10]), numpys([1, 2, 3], [1, 10]))
    same(ours(a=[1, 2, 3], v=[1, 10], mode="same"), numpys(a=[1, 2, 3], v=[1, 10], mode="same"))


# --- NaN and infinity ---------------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_nan_and_inf_go_where_the_sum_takes_them(face, dtype, rng):
    """Only what a window meets is multiplied: beyond the ends there is no 0 that would turn inf into NaN."""
    ours, numpys = both(face)
    same(ours([1, 2, 3], [np.nan, 1], "full"), numpys([1, 2, 3], [np.nan, 1], "full"))
    for n, k in ((7, 3), (40, 40), (130, 9), (5, 66)):
        for bad in (np.nan, np.inf, -np.inf):
            for put_in in ("a", "v", "both"):
                a, v = small(rng, n, dtype), small(rng, k, dtype)
                if put_in != "v":
                    a[rng.integers(n)] = bad
                if put_in != "a":
                    v[rng.integers(k)] = bad
                for mode in MODES:
                    same(ours(a, v, mode), numpys(a, v, mode), (n, k, bad, put_in, mode))


@FACES
def test_complex_nan_stays_within_its_window(face, rng):
    ours, numpys = both(face)
    for dtype in ("c8", "c16"):
        a, v = small(rng, 50, dtype), small(rng, 6, dtype)
        a[20] = complex(1, np.nan)
        for mode in MODES:
            result, expected = ours(a, v, mode), numpys(a, v, mode)
            np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
            same(result[~np.isnan(result)], expected[~np.isnan(expected)])


@FACES
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_auto_does_not_smear_nan_over_a_long_signal(face, bad, rng):
    """Where a transform would be the fastest, one bad sample must still spoil no more than its own window."""
    ours, _ = both(face)
    a, v = small(rng, 60_000, "f8"), 1 + small(rng, 4_000, "f8") ** 2  # every tap at least 1
    a[30_000] = bad
    result = ours(a, v, "full")
    spoiled = np.flatnonzero(~np.isfinite(result))
    assert (spoiled[0], spoiled[-1], len(spoiled)) == (30_000, 33_999, 4_000)
    result = ours(np.ones(60_000), np.where(np.arange(4_000) == 5, bad, 1.0), "valid")
    assert not np.isfinite(result).any()


@FACES
def test_auto_bears_numbers_near_the_largest(face):
    """The sums are finite; their transforms would not be."""
    ours, _ = both(face)
    for dtype, sample, tap in [("f4", 1e18, 1e15), ("f8", 1e150, 1e151), ("c16", 1e150, 1e151)]:
        a, v = np.full(60_000, sample, dtype), np.full(4_000, tap, dtype)
        sums = ours(a, v, "valid", method="direct")
        assert np.isfinite(sums).all()
        np.testing.assert_allclose(ours(a, v, "valid"), sums, rtol=1e-4)
    a[:] = 0
    a[100], a[300] = 1.5e308, -1.5e308  # their sum is finite, their difference is not
    assert np.isfinite(ours(a, np.full(4_000, 1e-3), "full")).all()


@FACES
@pytest.mark.parametrize("method", METHODS)
def test_halves_whose_sum_overflows_are_finite_all_the_same(face, method):
    ours, _ = both(face)
    a, v = np.ones(70_000, np.float16), np.ones(3, np.float16)
    same(ours(a, v, "valid", method=method), np.full(69_998, 3, np.float16))


# --- along an axis ------------------------------------------------------------------------------------------


@FACES
def test_each_line_of_an_array_is_one_call(face, rng):
    ours, numpys = both(face)
    for shape, dtype in product([(7,), (4, 9), (3, 4, 5), (2, 3, 1, 6)], ["f4", "f8", "c16", "u1", "i8", "f2", "?"]):
        a = small(rng, shape, dtype)
        for axis, k, mode in product(range(-a.ndim, a.ndim), (1, 2, 3, 8), MODES):
            v = small(rng, k, dtype)
            expected = np.apply_along_axis(numpys, axis, a, v, mode)
            for workers in (1, 2):
                same(ours(a, v, mode, axis=axis, workers=workers), expected, (shape, axis, k, mode))


@FACES
@pytest.mark.parametrize("dtype", [object, np.longdouble, np.clongdouble], ids=name)
def test_along_an_axis_for_dtypes_without_a_kernel(face, dtype, rng):
    ours, numpys = both(face)
    a, v = small(rng, (3, 4, 5), dtype), small(rng, 3, dtype)
    for axis, taps, mode in product(range(-3, 3), (v, np.tile(v, 3)), MODES):
        lines = np.apply_along_axis(numpys, axis, a, taps, mode)
        same(ours(a, taps, mode, axis=axis), lines.astype(dtype), (axis, len(taps), mode))


@FACES
def test_axis_of_wide_arrays(face, rng):
    """Long enough lines, and lines enough, for every way of going through them."""
    ours, numpys = both(face)
    a, v = small(rng, (61, 5, 130), "f4"), small(rng, 17, "f4")
    for axis in range(3):
        mode = MODES[axis]
        expected = np.apply_along_axis(numpys, axis, a, v, mode)
        for workers in (1, 2, 3):
            same(ours(a, v, mode, axis=axis, workers=workers), expected, axis)
            same(ours(a.T, v, mode, axis=2 - axis, workers=workers), expected.T.copy(), axis)


@FACES
def test_axis_with_nothing_along_the_others(face):
    ours, _ = both(face)
    v = np.ones(3, np.int8)
    same(ours(np.ones((0, 5), np.uint8), v, "full", axis=1), np.ones((0, 7), np.int16))
    same(ours(np.ones((5, 0), np.uint8), v, "same", axis=0), np.ones((5, 0), np.int16))
    same(ours(np.ones((2, 0, 5), np.uint8), v, "valid", axis=2), np.ones((2, 0, 3), np.int16))


@FACES
def test_an_axis_that_is_not_there(face):
    ours, _ = both(face)
    for axis in (2, -3, 10**6):
        with pytest.raises(np.exceptions.AxisError, match=str(axis)):
            ours(np.ones((3, 4)), [1, 2], axis=axis)
    for axis in (1.0, "1", (0, 1)):
        with pytest.raises(TypeError):
            ours(np.ones((3, 4)), [1, 2], axis=axis)
    with pytest.raises(ValueError, match="empty"):
        ours(np.ones((3, 0)), [1, 2], axis=1)
    with pytest.raises(ValueError, match="empty"):
        ours(np.ones((3, 4)), [], axis=1)
    with pytest.raises(ValueError, match=r"2-D|2 dim|\(2, 2\)"):
        ours(np.ones((3, 4)), np.ones((2, 2)), axis=1)


# --- methods ------------------------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_every_method_is_within_its_bound(face, method, dtype, rng):
    """A bound of the terms of each sum for sums, of the norms for transforms, whose errors spread."""
    ours, numpys = both(face)
    exact = np.clongdouble if dtype.kind == "c" else np.longdouble
    eps = np.finfo(dtype).eps
    for n, k in (
        (1, 1),
        (2, 1),
        (5, 3),
        (100, 100),
        (1000, 31),
        (1000, 999),
        (31, 1000),
        (4096, 100),
        (9001, 513),
    ):
        a, v = normal(rng, n, dtype), normal(rng, k, dtype)
        for mode in MODES:
            result = ours(a, v, mode, method=method)
            expected = numpys(a.astype(exact), v.astype(exact), mode)
            assert result.dtype == dtype
            assert result.shape == expected.shape
            if method == "direct":
                bound = 4 * min(n, k) * eps * numpys(abs(a), abs(v), mode)
            else:
                bound = 4 * np.log2(n + k) * eps * np.linalg.norm(a) * np.linalg.norm(v)
            assert (abs(result - expected) <= bound).all(), (n, k, mode)


@FACES
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", INTEGERS, ids=name)
def test_every_method_is_exact_for_integers(face, method, dtype, rng):
    ours, numpys = both(face)
    for n, k in ((1, 1), (9, 4), (1000, 31), (31, 1000), (4099, 600)):
        a, v = small(rng, n, dtype, 100), small(rng, k, dtype, 100)
        for mode in MODES:
            same(ours(a, v, mode, method=method), numpys(a, v, mode), (n, k, mode))


@FACES
@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_integers_of_any_size_are_exact_or_refused(face, method, rng):
    """Where a transform would be the fastest but could not tell neighbouring integers apart."""
    ours, numpys = both(face)
    for bits in range(8, 64, 5):
        limit = 2**bits
        for a, v in [
            (rng.integers(-limit, limit, 9_000), rng.integers(-limit, limit, 700)),
            (rng.integers(limit - limit // 8, limit, 9_000), np.full(700, limit - 1)),
            (np.where(np.arange(9_000) % 2, limit - 1, -limit), np.where(np.arange(700) % 3, limit - 1, 1 - limit)),
        ]:
            a, v = a.astype(np.int64), v.astype(np.int64)
            a[7] = v[9] = np.iinfo(np.int64).min if bits > 60 else limit // 2  # its absolute value is no int64
            for dtype in (np.int64, np.uint64):
                try:
                    result = ours(a.astype(dtype), v.astype(dtype), "valid", method=method)
                except ValueError:
                    assert method in ("fft", "overlap-save")
                    assert bits > 12 or dtype is np.uint64
                else:
                    same(result, numpys(a.astype(dtype), v.astype(dtype), "valid"), (bits, dtype))


@FACES
@pytest.mark.parametrize("method", METHODS)
def test_methods_along_an_axis(face, method, rng):
    ours, numpys = both(face)
    a, v = small(rng, (3, 700, 2), "i4"), small(rng, 90, "i4")
    same(ours(a, v, "same", axis=1, method=method), np.apply_along_axis(numpys, 1, a, v, "same"))
    same(
        ours(a[:, :50], v, "full", axis=1, method=method),
        np.apply_along_axis(numpys, 1, a[:, :50], v, "full"),
    )


@FACES
def test_a_method_that_is_not_there(face):
    ours, _ = both(face)
    for method in ("FFT", "separable", "", None, 1):
        with pytest.raises((ValueError, TypeError), match="method"):
            ours([1.0, 2], [1.0], method=method)


# --- out ----------------------------------------------------------------------------------------------------


@FACES
def test_out_is_filled_and_returned(face, rng):
    ours, numpys = both(face)
    for dtype, mode in product(ALL_DTYPES, MODES):
        a, v = small(rng, 20, dtype), small(rng, 5, dtype)
        expected = numpys(a, v, mode)
        for out in (np.zeros(expected.size, dtype), np.zeros(3 * expected.size, dtype)[::-3]):
            assert ours(a, v, mode, out=out) is out
            same(out, expected, (dtype, mode))
    a = small(rng, (4, 6), "f8")
    out = np.zeros((6, 4)).T
    assert ours(a, [1.0, 2, 3], "same", axis=0, out=out) is out
    np.testing.assert_array_equal(out, np.apply_along_axis(numpys, 0, a, [1.0, 2, 3], "same"))


@FACES
@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_out_may_overlap_the_input(face, method, rng):
    """The result is as if the inputs had been copied first."""
    ours, numpys = both(face)
    for n, k, mode in product((6, 40, 3000), (2, 5, 33), MODES):
        length = numpys(np.ones(n), np.ones(k), mode).size
        for shift in (0, 1, 3, -1):
            memory = small(rng, 4000, "f8")
            a, v = memory[10 : 10 + n], memory[10 : 10 + k]
            expected = numpys(a.copy(), v.copy(), mode)
            out = memory[10 + shift : 10 + shift + length]
            result = ours(a, v, mode, out=out, method=method)
            np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9, err_msg=str((n, k, mode, shift)))
        memory = small(rng, 4000, "f8")
        a, v = memory[10 : 10 + n], memory[20 : 20 + k]
        expected = numpys(a.copy(), v.copy(), mode)
        backwards = memory[9 + length : 9 : -1]
        ours(a, v, mode, out=backwards, method=method)
        np.testing.assert_allclose(backwards, expected, rtol=0, atol=1e-9, err_msg=str((n, k, mode)))


@FACES
def test_out_in_place_along_an_axis(face, rng):
    ours, numpys = both(face)
    v = small(rng, 3, "f4")
    for axis in range(3):
        a = small(rng, (17, 18, 19), "f4")
        expected = np.apply_along_axis(numpys, axis, a, v, "same")
        same(ours(a, v, "same", axis=axis, out=a), expected, axis)


@FACES
def test_an_out_that_does_not_fit(face):
    ours, _ = both(face)
    a, v = np.ones(5), np.ones(3)
    with pytest.raises(ValueError, match=r"out.*\(6,\)"):
        ours(a, v, "full", out=np.zeros(6))
    with pytest.raises(ValueError, match=r"out.*\(7, 1\)"):
        ours(a, v, "full", out=np.zeros((7, 1)))
    with pytest.raises((TypeError, ValueError), match=r"out.*float32"):
        ours(a, v, "full", out=np.zeros(7, np.float32))
    frozen = np.zeros(7)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match=r"out.*(read-only|writ)"):
        ours(a, v, "full", out=frozen)
    with pytest.raises(TypeError, match=r"out.*list"):
        ours(a, v, "full", out=[0.0] * 7)


# --- errors -------------------------------------------------------------------------------------------------


@FACES
def test_an_empty_input(face):
    ours, numpys = both(face)
    for a, v in [([], [1]), ([1], []), ([], [])]:
        for function in (ours, numpys):
            with pytest.raises(ValueError, match="empty"):
                function(a, v)


@FACES
def test_more_than_one_dimension(face):
    ours, numpys = both(face)
    with pytest.raises(ValueError, match=r"2-D|2 dim|\(2, 3\)"):
        ours(np.ones((2, 3)), [1])
    with pytest.raises(ValueError, match=r"3-D|3 dim|\(2, 3, 1\)"):
        ours([1], np.ones((2, 3, 1)))
    for a, v in [(np.ones((2, 3)), [1]), ([1], np.ones((2, 3)))]:
        with pytest.raises(ValueError):
            numpys(a, v)


@FACES
def test_a_mode_that_is_not_there(face):
    ours, numpys = both(face)
    for mode, error in [
        *((mode, ValueError) for mode in ("f", "FULL", "", "Valid", "same ", 3, -1)),
        *((mode, TypeError) for mode in (None, 1.0, b"full", True, ("full",), 2**70)),
    ]:
        with pytest.raises((error, DeprecationWarning)):  # NumPy has not always refused 'f' and 'FULL'
            numpys([1, 2, 3], [1, 2], mode)
        with pytest.raises(error) as caught:
            ours([1, 2, 3], [1, 2], mode)
        assert type(caught.value) is error
        assert repr(mode) in str(caught.value)


@FACES
def test_what_is_no_number(face):
    ours, numpys = both(face)
    for a, error in [
        (["a", "b"], ValueError),
        ("abc", ValueError),
        (b"abc", ValueError),
        ([None, 1], TypeError),
        (np.array([1, 2], "M8[s]"), TypeError),
        ([[1], [1, 2]], ValueError),
        ({1: 2}, (TypeError, ValueError)),
    ]:
        for function in (numpys, ours):
            with pytest.raises(error):
                function(a, [1, 2])


@FACES
def test_the_number_of_arguments(face):
    ours, _ = both(face)
    for arguments in [(), ([1],), ([1], [1], "full", None)]:
        with pytest.raises(TypeError):
            ours(*arguments)
    with pytest.raises(TypeError):
        ours([1], [1], modus="full")


@FACES
def test_workers_that_cannot_be(face):
    ours, _ = both(face)
    for workers in (0, -(10**6)):
        with pytest.raises(ValueError, match=f"workers.*{workers}"):
            ours([1.0], [1.0], workers=workers)
    for workers in (1.5, "two", [1]):
        with pytest.raises(TypeError, match="workers"):
            ours([1.0], [1.0], workers=workers)


@FACES
def test_the_signature_begins_with_that_of_numpy(face):
    ours, numpys = both(face)
    own = list(inspect.signature(ours).parameters.values())
    incumbent = list(inspect.signature(numpys).parameters.values())
    assert [(p.name, p.default) for p in own[:3]] == [(p.name, p.default) for p in incumbent]
    assert [p.name for p in own[3:]] == ["axis", "method", "out", "workers"]
    assert {p.kind for p in own[3:]} == {inspect.Parameter.KEYWORD_ONLY}


# --- what a call leaves behind ------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("dtype", ["f4", "u1", "c16", "f2", "g", object, ">f8"])
def test_inputs_are_left_alone_and_the_result_is_new(face, dtype, rng):
    ours, _ = both(face)
    for n, k, method in product((1, 50), (1, 7), ("auto", "direct")):
        a, v = small(rng, n, dtype), small(rng, k, dtype)
        before = a.copy(), v.copy()
        for mode in MODES:
            result = ours(a, v, mode, method=method)
            assert not np.shares_memory(result, a)
            assert not np.shares_memory(result, v)
            assert result.flags.owndata or result.base is not None
            assert result.flags.writeable
            result[...] = 0
        assert (a == before[0]).all()
        assert (v == before[1]).all()


@FACES
def test_the_same_array_twice(face, rng):
    ours, numpys = both(face)
    for dtype in ("f4", "c8", "i2"):
        a = small(rng, 37, dtype)
        for mode in MODES:
            same(ours(a, a, mode), numpys(a, a, mode), (dtype, mode))


@pytest.mark.parametrize("dtype", COMPLEX, ids=name)
def test_only_correlate_conjugates(dtype):
    one, i = np.array([1], dtype), np.array([1j], dtype)
    assert fastconv.convolve(one, i) == 1j
    assert fastconv.correlate(one, i) == -1j
    assert fastconv.correlate(i, one) == 1j
