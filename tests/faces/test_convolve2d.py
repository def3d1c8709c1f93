"""fastconv.convolve2d and correlate2d take what SciPy's take and answer what SciPy's answer."""

import inspect
import re
import warnings
from itertools import cycle, product

import numpy as np
import pytest
import scipy.signal
from helpers import (
    BOUNDARIES,
    COMPLEX,
    DTYPES_2D,
    INTEGERS,
    KERNEL_DTYPES,
    MODES,
    name,
    normal,
    same,
    scipy2d,
    small,
)

import fastconv
from fastconv._reference import correlate as twin

FACES = pytest.mark.parametrize("face", ["convolve2d", "correlate2d"])
STRIDES = (1, 2, 3, (2, 1), (1, 5))
DILATIONS = (1, 2, (1, 3))
IMAGE, KERNEL = np.arange(12.0).reshape(3, 4), np.ones((2, 2))


def both(face):
    return getattr(fastconv, face), getattr(scipy.signal, face)


# --- values -------------------------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("dtype", DTYPES_2D, ids=name)
def test_exact_for_every_mode_boundary_stride_and_dilation(face, dtype, rng):
    ours, _ = both(face)
    workers = cycle([None, 1, 2, 3])
    shapes = [(1, 1), (2, 9), (11, 13), (6, 37)]
    kernels = [(1, 1), (1, 4), (5, 1), (2, 2), (3, 3), (3, 2), (4, 5), (7, 7)]
    for shape, taps, dilation, mode, boundary in product(shapes, kernels, DILATIONS, MODES, BOUNDARIES):
        if mode == "valid" and not _one_holds_the_other(shape, taps, dilation):
            continue
        a, k = small(rng, shape, dtype), small(rng, taps, dtype)
        expected = scipy2d(face, a, k, mode, boundary, 2, dilation=dilation)
        for stride in STRIDES:
            s0, s1 = np.broadcast_to(stride, 2)
            options = {"stride": stride, "dilation": dilation, "workers": next(workers)}
            result = ours(a, k, mode, boundary, 2, **options)
            same(result, expected[::s0, ::s1], (shape, taps, mode, boundary, options))


def _one_holds_the_other(shape, taps, dilation):
    reach = (np.array(taps) - 1) * dilation + 1
    return (reach <= shape).all() or (reach >= shape).all()


@FACES
@pytest.mark.parametrize("dtype", [*INTEGERS, *KERNEL_DTYPES], ids=name)
def test_exact_around_multiples_of_a_vector(face, dtype, rng):
    ours, _ = both(face)
    choices = cycle(product(MODES, BOUNDARIES, (1, 2, 3)))
    for width in (15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257):
        for taps in [(1, 1), (1, 3), (3, 1), (3, 3), (2, 5), (5, 5), (1, 17), (7, 7), (4, 9)]:
            a, k = small(rng, (rng.integers(9, 14), width), dtype), small(rng, taps, dtype)
            mode, boundary, workers = next(choices)
            expected = scipy2d(face, a, k, mode, boundary, 1)
            same(
                ours(a, k, mode, boundary, 1, method="direct", workers=workers),
                expected,
                (width, taps, mode, boundary, workers),
            )


@FACES
@pytest.mark.parametrize("dtype", [*INTEGERS, *KERNEL_DTYPES], ids=name)
def test_exact_for_images_that_take_several_threads(face, dtype, rng):
    ours, _ = both(face)
    a = small(rng, (210, 301), dtype)
    for taps, mode, boundary, stride, dilation in [
        ((3, 3), "same", "fill", 1, 1),
        ((5, 5), "full", "symm", 1, 1),
        ((3, 4), "valid", "fill", (2, 1), 1),
        ((3, 3), "same", "wrap", (1, 2), 2),
    ]:
        k = small(rng, taps, dtype)
        options = {"stride": stride, "dilation": dilation}
        expected = scipy2d(face, a, k, mode, boundary, 1, **options)
        for workers in (1, 2, 3, 7):
            result = ours(a, k, mode, boundary, 1, **options, method="direct", workers=workers)
            same(result, expected, (taps, mode, workers))


@FACES
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "u1", "i8", "g"])
def test_kernels_larger_than_the_image(face, dtype, rng):
    """However often the image must be repeated to fill the window."""
    ours, _ = both(face)
    for shape, taps in product([(1, 1), (1, 3), (2, 1), (3, 2), (4, 5)], [(3, 3), (6, 7), (1, 23), (24, 2), (25, 31)]):
        a, k = small(rng, shape, dtype, 2), small(rng, taps, dtype, 2)
        for mode, boundary in product(MODES, BOUNDARIES):
            if mode == "valid" and not _one_holds_the_other(shape, taps, 1):
                continue
            same(
                ours(a, k, mode, boundary, 3, method="direct"),  # transforms may be faster, but are not exact
                scipy2d(face, a, k, mode, boundary, 3),
                (shape, taps, mode, boundary),
            )


@FACES
@pytest.mark.parametrize("dtype", DTYPES_2D, ids=name)
def test_dtypes_mix_as_in_scipy(face, dtype, rng):
    ours, scipys = both(face)
    for other in [np.dtype(bool), np.dtype("f2"), *DTYPES_2D]:
        if np.result_type(dtype, other) == np.float16:
            continue  # refused, below
        for a, b in [(dtype, other), (other, dtype)]:
            x, k = small(rng, (5, 6), a), small(rng, (3, 2), b)
            for boundary in BOUNDARIES:
                same(ours(x, k, "same", boundary, 1), scipys(x, k, "same", boundary, 1), (a, b, boundary))


@FACES
def test_dtypes_that_scipy_refuses_are_refused(face):
    ours, scipys = both(face)
    for a, b in [("?", "?"), ("f2", "f2"), ("f2", "i1"), (object, "f8")]:
        for function in (scipys, ours):
            with pytest.raises(ValueError):
                function(np.ones((2, 2)).astype(a), np.ones((2, 2)).astype(b))
    for a, b in [("m8[s]", "i8"), ("M8[s]", "i8"), ("i8", "M8[s]"), ("U2", "f8"), ("S2", "S2")]:
        inputs = np.zeros((2, 2), a), np.zeros((2, 2), b)
        with pytest.raises((TypeError, ValueError, DeprecationWarning)):
            scipys(*inputs)
        with pytest.raises((TypeError, ValueError)):
            ours(*inputs)
    with pytest.raises(ValueError, match="bool"):
        ours(np.ones((2, 2), bool), np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="float16"):
        ours(np.ones((2, 2), np.float16), np.ones((2, 2), np.float16))


@FACES
@pytest.mark.parametrize("dtype", INTEGERS, ids=name)
def test_integers_wrap(face, dtype, rng):
    ours, scipys = both(face)
    limits = np.iinfo(dtype)
    for shape, taps in [((1, 1), (1, 1)), ((9, 40), (3, 3)), ((20, 21), (5, 7)), ((3, 5), (8, 9))]:
        a, k = (rng.integers(limits.min, limits.max, s, dtype, endpoint=True) for s in (shape, taps))
        a[0, 0] = k[0, 0] = limits.min
        for boundary in BOUNDARIES:
            same(ours(a, k, "full", boundary, 5), scipys(a, k, "full", boundary, 5), (shape, taps, boundary))


@FACES
def test_lists(face):
    ours, scipys = both(face)
    for a, k in [
        ([[1, 2], [3, 4]], [[1, 10]]),
        (((1, 2.5),), [[True], [False]]),
        (np.float32([[1, 2]]), [[1, 2]]),
        ([[1 + 1j]], [[2, 3]]),
    ]:
        same(ours(a, k), scipys(a, k), (a, k))
    same(ours(in1=[[1, 2]], in2=[[1]], mode="same", boundary="wrap", fillvalue=3), np.array([[1, 2]]))


@FACES
def test_boundaries_have_second_names(face):
    ours, scipys = both(face)
    for boundary in ("pad", "fill", "circular", "wrap", "symmetric", "symm"):
        same(ours(IMAGE, KERNEL, "full", boundary), scipys(IMAGE, KERNEL, "full", boundary), boundary)


@FACES
@pytest.mark.parametrize("dtype", ["i4", "f8", "c16"])
def test_valid_exchanges_the_inputs(face, dtype, rng):
    ours, scipys = both(face)
    for shape, taps in [((2, 2), (5, 3)), ((1, 1), (4, 4)), ((3, 4), (3, 7)), ((3, 4), (3, 4))]:
        a, k = small(rng, shape, dtype), small(rng, taps, dtype)
        for boundary in BOUNDARIES:
            same(ours(a, k, "valid", boundary), scipys(a, k, "valid", boundary), (shape, taps, boundary))
            for options in ({"stride": 2}, {"stride": (1, 2), "dilation": (2, 1)}):
                if _one_holds_the_other(shape, taps, options.get("dilation", 1)):
                    expected = scipy2d(face, a, k, "valid", boundary, **options)
                    same(ours(a, k, "valid", boundary, **options), expected, (shape, taps, boundary, options))
    for function in (scipys, ours):
        with pytest.raises(ValueError, match="valid"):
            function(np.ones((2, 5)), np.ones((5, 2)), "valid")
    with pytest.raises(ValueError, match=r"\(2, 5\).*\(5, 2\)"):
        ours(np.ones((2, 5)), np.ones((5, 2)), "valid")
    with pytest.raises(ValueError, match="valid"):  # (3, 3) spread over (5, 5) no longer fits
        ours(np.ones((4, 6)), np.ones((3, 3)), "valid", dilation=2)


@FACES
@pytest.mark.parametrize("dtype", ["f4", "f8", "g"])
def test_nan_and_inf_go_where_the_sum_takes_them(face, dtype, rng):
    """Also through the fillvalue, which is multiplied like any pixel."""
    ours, scipys = both(face)
    for shape, taps in [((5, 6), (3, 3)), ((30, 40), (5, 4)), ((3, 3), (7, 8))]:
        for bad, put_in in product((np.nan, np.inf, -np.inf), ("image", "kernel", "both")):
            a, k = small(rng, shape, dtype), small(rng, taps, dtype)
            if put_in != "kernel":
                a[tuple(rng.integers(shape))] = bad
            if put_in != "image":
                k[tuple(rng.integers(taps))] = bad
            for boundary, fillvalue in [("wrap", 0), ("symm", 0), ("fill", 0), ("fill", 1), ("fill", bad)]:
                expected = scipys(a, k, "full", boundary, fillvalue)
                same(ours(a, k, "full", boundary, fillvalue), expected, (shape, taps, bad, put_in, boundary))


@FACES
def test_zeros_between_the_taps_are_not_multiplied(face):
    ours, _ = both(face)
    image = np.full((5, 5), np.nan)
    image[::2, ::2] = 1
    same(ours(image, np.ones((2, 2)), "valid", dilation=2, stride=2), np.full((2, 2), 4.0))


@FACES
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_auto_does_not_smear_nan_over_a_large_image(face, bad):
    ours, _ = both(face)
    image, kernel = np.ones((400, 500)), 1.0 + np.arange(40 * 40).reshape(40, 40) % 7
    image[200, 300] = bad
    spoiled = ~np.isfinite(ours(image, kernel, "full"))
    assert spoiled.sum() == 40 * 40
    corner = (200, 300)
    assert spoiled[corner[0] : corner[0] + 40, corner[1] : corner[1] + 40].all()


@FACES
@pytest.mark.parametrize("method", ["auto", "fft"])
def test_a_fillvalue_is_one_of_the_numbers_that_a_transform_must_bear(face, method):
    ours, _ = both(face)
    kernel = np.arange(40 * 41).reshape(40, 41) % 7
    for dtype, fillvalue in [("f8", np.nan), ("f8", np.inf), ("f4", 3e38), ("i8", 2**60 + 1), ("u8", 2**63 + 1)]:
        image = np.ones((300, 310), dtype)
        arguments = (image, kernel.astype(dtype), "full", "fill", fillvalue)
        with np.errstate(over="ignore"):
            sums = ours(*arguments, method="direct")
        try:
            result = ours(*arguments, method=method)
        except ValueError:
            assert method == "fft"
            continue
        same(result, sums, (dtype, fillvalue))


@FACES
def test_auto_bears_numbers_near_the_largest(face):
    """The sums are finite; their transforms would not be."""
    ours, _ = both(face)
    for dtype, pixel, tap in [("f4", 1e18, 1e15), ("f8", 1e150, 1e151), ("c8", 1e18, 1e15)]:
        image, kernel = np.full((300, 310), pixel, dtype), np.full((40, 41), tap, dtype)
        kernel[::3, ::2] *= 2  # of rank two
        sums = ours(image, kernel, "valid", method="direct")
        assert np.isfinite(sums).all()
        np.testing.assert_allclose(ours(image, kernel, "valid"), sums, rtol=1e-4)


# --- methods ------------------------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("method", ["auto", "direct", "fft", "separable"])
@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_every_method_is_within_its_bound(face, method, dtype, rng):
    """A bound of the terms of each sum for sums, of the norms for transforms, whose errors spread."""
    ours, _ = both(face)
    exact = np.clongdouble if dtype.kind == "c" else np.longdouble
    eps = np.finfo(dtype).eps
    for shape, taps in [
        ((1, 1), (1, 1)),
        ((9, 12), (3, 3)),
        ((40, 37), (5, 6)),
        ((70, 64), (31, 29)),
        ((4, 3), (9, 8)),
    ]:
        a, k = normal(rng, shape, dtype), normal(rng, taps, dtype)
        if method == "separable":
            k = np.outer(normal(rng, taps[0], dtype), normal(rng, taps[1], dtype))
        for boundary, stride, dilation in [
            ("fill", 1, 1),
            ("fill", 1, 2),
            ("fill", (2, 3), 2),
            ("wrap", 1, 1),
            ("symm", 1, 1),
        ]:
            if (method == "fft" and (stride, dilation) != (1, 1)) or (method == "separable" and stride != 1):
                continue  # refused, below
            options = {"stride": stride, "dilation": dilation}
            arguments = ("same", boundary, 0.5)
            result = ours(a, k, *arguments, **options, method=method)
            expected = scipy2d(face, a.astype(exact), k.astype(exact), *arguments, **options)
            assert result.dtype == dtype
            assert result.shape == expected.shape
            terms = scipy2d(face, abs(a), abs(k), *arguments, **options)
            bound = 4 * eps * k.size * terms
            if method in ("fft", "auto"):
                window = np.pad(abs(a), [(n, n) for n in taps], "symmetric")  # at least what the sums see
                bound = bound + 8 * np.log2(window.size) * eps * np.linalg.norm(window) * np.linalg.norm(k)
            assert (abs(result - expected) <= bound).all(), (shape, taps, boundary, options)


@FACES
@pytest.mark.parametrize("dtype", INTEGERS, ids=name)
def test_every_method_is_exact_for_integers(face, dtype, rng):
    ours, _ = both(face)
    for taps, mode, boundary in product([(1, 1), (3, 3), (1, 9), (12, 13)], MODES, BOUNDARIES):
        a = small(rng, (24, 27), dtype, 100)
        column, row = small(rng, taps[0], dtype, 9), small(rng, taps[1], dtype, 9)
        for k, methods in [
            (np.outer(column, row), ("separable", "direct", "fft", "auto")),
            (small(rng, taps, dtype, 100), ("direct", "fft", "auto")),
        ]:
            expected = scipy2d(face, a, k, mode, boundary, 7)
            for method in methods:
                same(ours(a, k, mode, boundary, 7, method=method), expected, (taps, mode, boundary, method))


@FACES
def test_separable_needs_a_kernel_of_rank_one(face):
    ours, scipys = both(face)
    for dtype in ("f4", "f8", "c8", "i4", "u1"):
        image = np.arange(30).reshape(5, 6).astype(dtype)
        with pytest.raises(ValueError, match=r"rank|separable"):
            ours(image, np.array([[1, 2], [3, 4]], dtype), method="separable")
        for kernel in ([[0, 0], [0, 0]], [[0, 0], [0, 3]], [[2, 4], [3, 6]], [[7]], [[1, 2, 3]], [[1], [2]]):
            kernel = np.array(kernel, dtype)
            result, expected = ours(image, kernel, method="separable"), scipys(image, kernel)
            np.testing.assert_allclose(result, expected, rtol=8 * np.finfo("f4").eps)


@FACES
def test_methods_say_what_they_cannot_do(face):
    ours, _ = both(face)
    for method, options in [("fft", {"stride": 2}), ("fft", {"dilation": 2}), ("separable", {"stride": (1, 2)})]:
        with pytest.raises(ValueError, match=f"{method}.*{next(iter(options))}"):
            ours(IMAGE, KERNEL, method=method, **options)
    with pytest.raises(ValueError, match=r"fft.*finite"):
        ours(IMAGE, np.array([[1, np.nan]]), method="fft")


@FACES
@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_integers_of_any_size_are_exact_or_refused(face, method, rng):
    """Where a transform would be the fastest but could not tell neighbouring integers apart."""
    ours, _ = both(face)
    for bits in range(8, 64, 5):
        limit = 2**bits
        a, k = (rng.integers(-limit, limit, shape, np.int64) for shape in [(90, 100), (30, 31)])
        a[0, 0] = k[0, 0] = np.iinfo(np.int64).min if bits > 60 else limit // 2  # its absolute value is no int64
        taps = k if face == "correlate2d" else k[::-1, ::-1]
        expected = twin(a, taps, (0, 0), (61, 70), "fill", 0, (1, 1), (1, 1))
        for image, kernel in [(a, k), (a.astype(np.uint64), k.astype(np.uint64))]:
            try:
                result = ours(image, kernel, "valid", method=method)
            except ValueError:
                assert method == "fft"
                assert bits > 12 or image is not a
            else:
                same(result, expected.astype(image.dtype), (bits, image.dtype))


@FACES
def test_a_method_that_is_not_there(face):
    ours, _ = both(face)
    for method in ("FFT", "overlap-save", "", None, 1):
        with pytest.raises((ValueError, TypeError), match="method"):
            ours(IMAGE, KERNEL, method=method)


@pytest.mark.parametrize("dtype", COMPLEX, ids=name)
def test_correlate2d_conjugates_and_exchanges_as_scipy(dtype, rng):
    """Exchanged inputs are reversed but not conjugated: SciPy's answer, in 'valid', differs from NumPy's."""
    for shape, taps in [((3, 4), (2, 2)), ((2, 2), (3, 4)), ((1, 2), (1, 4))]:
        a, k = small(rng, shape, dtype), small(rng, taps, dtype)
        for mode in MODES:
            same(fastconv.correlate2d(a, k, mode), scipy.signal.correlate2d(a, k, mode), (shape, taps, mode))
    same(fastconv.correlate2d([[1, 2, 3, 4]], [[1, 2, 3, 4]], "same"), np.array([[20, 30, 20, 11]]))


# --- fillvalue ----------------------------------------------------------------------------------------------

FILLVALUES = [
    0, 1, -1, 2.7, -2.7, 300, True, np.nan, np.inf, -np.inf, 1e30, 2**63, 2**70,
    1 + 2j, 1 + 0j, 1j, complex(np.nan, 0),
    np.float16(2), np.float64(2.7), np.int8(-3), np.uint64(2**63), np.bool_(True), np.array(2), np.array(2.5),
    [5], [[5]], [5.5], (2,), np.array([[[3]]]), [1 + 1j], np.array([4], np.int8), np.array([4], ">i4"),
    [5, 6], [], [[]], [[1], [2]], None, "a", "3", object(), {}, b"1",
]  # fmt: skip


@FACES
@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "u8", "f4", "f8", "g", "c8", "c16"])
def test_fillvalues_as_in_scipy(face, dtype):
    """Which are taken, what they become in an integer or real array, and which error the others are."""
    ours, scipys = both(face)
    a, k = np.ones((2, 3), dtype), np.array([[1, 2]], dtype)
    wrong = []
    for fillvalue in FILLVALUES:
        answers = []
        for function in (scipys, ours):
            with warnings.catch_warnings():
                # SciPy converts by way of complex, and warns
                warnings.simplefilter("ignore" if function is scipys else "error")
                try:
                    answers.append(function(a, k, "full", "fill", fillvalue).tolist())
                except Exception as error:
                    answers.append(type(error).__name__)
        if str(answers[0]) != str(answers[1]):  # NaN is no equal of itself
            wrong.append((fillvalue, *answers))
    assert not wrong, wrong


@FACES
def test_a_fillvalue_that_fits_nowhere_is_named(face):
    ours, _ = both(face)
    whole = np.ones((2, 2), np.int64)
    for image, fillvalue, said in [
        (whole, np.nan, "nan"),
        (IMAGE, 1 + 2j, r"1\+2j"),
        (IMAGE, [5, 6], r"5, 6|\(2,\)"),
    ]:
        with pytest.raises(ValueError, match=f"fillvalue.*({said})"):
            ours(image, whole, fillvalue=fillvalue)


@FACES
def test_the_fillvalue_is_not_looked_at_where_nothing_is_filled(face):
    ours, scipys = both(face)
    for boundary, fillvalue in product(("wrap", "symm"), (np.nan, 1j, [1, 2], object(), None)):
        same(
            ours([[1, 2]], [[1, 3]], "full", boundary, fillvalue),
            scipys([[1, 2]], [[1, 3]], "full", boundary),
        )


# --- errors -------------------------------------------------------------------------------------------------


@FACES
def test_a_mode_or_boundary_that_is_not_there(face):
    ours, scipys = both(face)
    for wrong in ("f", "FULL", "", None, 2, 1.0, b"full", True):
        for function in (scipys, ours):
            with pytest.raises(ValueError):
                function(IMAGE, KERNEL, wrong)
            with pytest.raises(ValueError):
                function(IMAGE, KERNEL, "full", wrong)
        with pytest.raises(ValueError, match=f"mode.*{wrong!r}"):
            ours(IMAGE, KERNEL, wrong)
        with pytest.raises(ValueError, match=f"boundary.*{wrong!r}"):
            ours(IMAGE, KERNEL, "full", wrong)
    for function in (scipys, ours):
        with pytest.raises(ValueError):
            function(IMAGE, KERNEL, "full", "reflect")
    with pytest.raises(ValueError, match="symm"):  # which is what ndimage calls reflect
        ours(IMAGE, KERNEL, "full", "reflect")


@FACES
def test_dimensions_other_than_two(face):
    ours, scipys = both(face)
    for a, k in [
        (np.ones(3), KERNEL),
        (KERNEL, np.ones(3)),
        (3, 4),
        (np.ones((2, 2, 2)), KERNEL),
        (None, KERNEL),
    ]:
        for function in (scipys, ours):
            with pytest.raises(ValueError):
                function(a, k)
    with pytest.raises(ValueError, match=r"1-D|1 dim|\(3,\)"):
        ours(np.ones(3), KERNEL)
    with pytest.raises(ValueError, match=r"3-D|3 dim|\(2, 2, 2\)"):
        ours(KERNEL, np.ones((2, 2, 2)))
    for function in (scipys, ours):
        with pytest.raises(ValueError):
            function([[1, 2], [3]], KERNEL)


@FACES
def test_empty_inputs(face):
    """No taps sum to 0, and around an empty image there is the fillvalue."""
    ours, scipys = both(face)
    shapes = [(0, 3), (3, 0), (0, 0), (2, 2), (3, 4), (1, 1), (0, 1)]
    for shape, taps, mode in product(shapes, shapes, MODES):
        if np.prod(shape) * np.prod(taps) > 0:
            continue
        for boundary in BOUNDARIES:
            a, k = np.ones(shape), np.ones(taps)
            try:
                # Where SciPy would have to wrap or to reflect nothing, it ends the process.
                swapped = mode == "valid" and not all(n >= m for n, m in zip(shape, taps, strict=True))
                if boundary != "fill" and 0 in (taps if swapped else shape):
                    continue
                expected = scipys(a, k, mode, boundary, 2)
            except ValueError:
                with pytest.raises(ValueError):
                    ours(a, k, mode, boundary, 2)
                continue
            same(ours(a, k, mode, boundary, 2), expected, (shape, taps, mode, boundary))


@FACES
def test_an_empty_image_cannot_be_repeated(face):
    ours, _ = both(face)
    for shape, boundary in product([(0, 3), (3, 0)], ("wrap", "symm")):
        with pytest.raises(ValueError, match=rf"empty|\({shape[0]}, {shape[1]}\)"):
            ours(np.ones(shape), KERNEL, "full", boundary)


@FACES
def test_strides_and_dilations_that_cannot_be(face):
    ours, _ = both(face)
    for which in ("stride", "dilation"):
        for wrong in (0, -1, (1, 0), (-2, 1)):
            with pytest.raises(ValueError, match=f"{which} is {re.escape(repr(wrong))}"):
                ours(IMAGE, KERNEL, **{which: wrong})
        for wrong in (1.5, None, "2", (1, 2.0), (1, 2, 3), (1,), ()):
            with pytest.raises((TypeError, ValueError), match=f"{which} is {re.escape(repr(wrong))}"):
                ours(IMAGE, KERNEL, **{which: wrong})
        for fine in (np.int64(2), [2, 2], np.array([2, 2])):
            same(ours(IMAGE, KERNEL, **{which: fine}), ours(IMAGE, KERNEL, **{which: 2}), (which, fine))


@FACES
def test_workers_that_cannot_be(face):
    ours, _ = both(face)
    with pytest.raises(ValueError, match=r"workers.*0"):
        ours(IMAGE, KERNEL, workers=0)
    with pytest.raises(TypeError, match="workers"):
        ours(IMAGE, KERNEL, workers=1.5)


@FACES
def test_the_signature_begins_with_that_of_scipy(face):
    ours, scipys = both(face)
    own = list(inspect.signature(ours).parameters.values())
    incumbent = list(inspect.signature(scipys).parameters.values())
    assert [(p.name, p.default) for p in own[:5]] == [(p.name, p.default) for p in incumbent]
    assert [p.name for p in own[5:]] == ["stride", "dilation", "method", "out", "workers"]
    assert {p.kind for p in own[5:]} == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(TypeError):
        ours(IMAGE, KERNEL, "full", "fill", 0, 1)
    with pytest.raises(TypeError):
        ours(IMAGE)


# --- out, and what a call leaves behind ---------------------------------------------------------------------


@FACES
def test_out_is_filled_and_returned(face, rng):
    ours, _ = both(face)
    for dtype, mode, stride in product(DTYPES_2D, MODES, (1, (2, 3))):
        a, k = small(rng, (9, 10), dtype), small(rng, (3, 4), dtype)
        expected = scipy2d(face, a, k, mode, stride=stride)
        rows, columns = expected.shape
        around = np.zeros((2 * rows, 3 * columns), dtype)
        for out in (np.zeros(expected.shape, dtype), np.zeros((columns, rows), dtype).T, around[::-2, 1::3]):
            assert ours(a, k, mode, stride=stride, out=out) is out
            same(out, expected, (dtype, mode, stride))


@FACES
@pytest.mark.parametrize("method", ["auto", "direct", "separable", "fft"])
def test_out_may_overlap_the_input(face, method, rng):
    """The result is as if the inputs had been copied first."""
    ours, scipys = both(face)
    for size, boundary in product((12, 70), BOUNDARIES):
        for shift in ((0, 0), (1, 0), (0, 2), (2, 1)):
            memory = small(rng, (90, 90), "f8")
            a = memory[5 : 5 + size, 7 : 7 + size]
            k = np.outer([1.0, 2, 1], [1.0, 0, -1])
            expected = scipys(a.copy(), k, "same", boundary)
            out = memory[5 + shift[0] :, 7 + shift[1] :][:size, :size]
            ours(a, k, "same", boundary, out=out, method=method)
            np.testing.assert_allclose(out, expected, rtol=0, atol=1e-9, err_msg=str((size, boundary, shift)))
    memory = small(rng, (30, 30), "f8")
    a, k = memory[:20, :20], memory[2:3, 4:7]  # the kernel is in the output as well
    expected = scipys(a.copy(), k.copy(), "same")
    ours(a, k, "same", out=memory[19::-1, :20], method=method)
    np.testing.assert_allclose(memory[19::-1, :20], expected, rtol=0, atol=1e-9)


@FACES
def test_an_out_that_does_not_fit(face):
    ours, _ = both(face)
    with pytest.raises(ValueError, match=r"out.*\(3, 4\)"):
        ours(IMAGE, KERNEL, out=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"out.*\(4, 5\)"):
        ours(IMAGE, KERNEL, stride=2, out=np.zeros((4, 5)))
    with pytest.raises((TypeError, ValueError), match=r"out.*int64"):
        ours(IMAGE, KERNEL, out=np.zeros((4, 5), np.int64))
    frozen = np.zeros((4, 5))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match=r"out.*(read-only|writ)"):
        ours(IMAGE, KERNEL, out=frozen)
    with pytest.raises(TypeError, match=r"out.*list"):
        ours(IMAGE, KERNEL, out=[[0.0] * 5] * 4)


@FACES
@pytest.mark.parametrize("dtype", ["f4", "u1", "c16", "g", ">f8"])
def test_inputs_are_left_alone_and_the_result_is_new(face, dtype, rng):
    ours, _ = both(face)
    for taps, mode, boundary in product([(1, 1), (3, 3), (7, 9)], MODES, BOUNDARIES):
        a, k = small(rng, (6, 7), dtype), small(rng, taps, dtype)
        if mode == "valid" and not _one_holds_the_other(a.shape, taps, 1):
            continue
        before = a.copy(), k.copy()
        result = ours(a, k, mode, boundary)
        assert not np.shares_memory(result, a)
        assert not np.shares_memory(result, k)
        result[...] = 0
        assert (a == before[0]).all()
        assert (k == before[1]).all()


@FACES
def test_masks_are_ignored_and_a_matrix_is_an_array(face):
    ours, scipys = both(face)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        for image in (np.ma.array([[1, 2, 3]], mask=[[1, 0, 0]]), np.matrix([[1, 2, 3]])):
            same(ours(image, [[1, 2]]), scipys(image, [[1, 2]]), type(image))
