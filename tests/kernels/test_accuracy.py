"""What the kernels promise of their sums: the error of the plain sum, and one result for any number of threads."""

from itertools import product

import numpy as np
import pytest
from helpers import KERNEL_DTYPES, name, normal, same

import fastconv

WORKERS = (2, 3, 5, 16)


def wide(dtype):
    return np.clongdouble if np.dtype(dtype).kind == "c" else np.longdouble


@pytest.mark.parametrize("method", ["auto", "direct", "overlap-save", "fft"])
@pytest.mark.parametrize("dtype", [*KERNEL_DTYPES, np.dtype("f2"), np.dtype("u1"), np.dtype("i8")], ids=name)
def test_lines_are_the_same_for_any_number_of_workers(dtype, method, rng):
    for shape, k in [((300_007,), 31), ((300_007,), 2), ((90_001,), 700), ((64, 5_003), 17), ((3, 100_003), 40)]:
        a, v = ((normal(rng, size, dtype) * 50).astype(dtype) if np.dtype(dtype).kind in "fc"
                else rng.integers(0, 100, size).astype(dtype) for size in (shape, k))  # fmt: skip
        for mode in ("full", "valid"):
            options = {"axis": -1, "method": method}
            alone = fastconv.convolve(a, v, mode, **options, workers=1)
            for workers in WORKERS:
                same(fastconv.convolve(a, v, mode, **options, workers=workers), alone, (shape, k, mode, workers))


@pytest.mark.parametrize("dtype", [*KERNEL_DTYPES, np.dtype("f2")], ids=name)
def test_lines_along_other_axes_are_the_same_for_any_number_of_workers(dtype, rng):
    for shape, axis in [((5_003, 64), 0), ((100_003, 3), 0), ((40, 301, 30), 1)]:
        a, v = normal(rng, shape, dtype), normal(rng, 17, dtype)
        alone = fastconv.correlate(a, v, "same", axis=axis, workers=1)
        for workers in WORKERS:
            same(fastconv.correlate(a, v, "same", axis=axis, workers=workers), alone, (shape, workers))


@pytest.mark.parametrize("method", ["auto", "direct", "separable", "fft"])
@pytest.mark.parametrize("dtype", [*KERNEL_DTYPES, np.dtype("u1"), np.dtype("i8")], ids=name)
def test_planes_are_the_same_for_any_number_of_workers(dtype, method, rng):
    a = (normal(rng, (301, 407), "f8") * 50).astype(dtype)
    for taps, boundary, stride, dilation in [
        ((3, 3), "fill", 1, 1),
        ((9, 9), "symm", 1, 1),
        ((1, 31), "wrap", 1, 1),
        ((5, 4), "fill", (2, 1), 1),
        ((5, 4), "symm", (1, 3), (2, 3)),
    ]:
        if method in ("separable", "fft") and (stride, dilation) != (1, 1):
            continue
        k = np.outer(np.arange(1, taps[0] + 1), np.arange(1, taps[1] + 1)).astype(dtype)
        options = {"stride": stride, "dilation": dilation, "method": method}
        alone = fastconv.convolve2d(a, k, "same", boundary, **options, workers=1)
        for workers in WORKERS:
            result = fastconv.convolve2d(a, k, "same", boundary, **options, workers=workers)
            same(result, alone, (taps, boundary, stride, dilation, workers))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_a_result_does_not_depend_on_where_it_is_computed(dtype, rng):
    """An output is one sum whichever block, rim, or remainder of a vector it falls into."""
    a, v = normal(rng, 5_000, dtype), normal(rng, 23, dtype)
    whole = fastconv.correlate(a, v, "valid", method="direct")
    for first, last in product((0, 1, 7, 500), (60, 777, 4_999)):
        part = fastconv.correlate(a[first : first + last], v, "valid", method="direct")
        same(part, whole[first : first + len(part)], (first, last))
    image, kernel = normal(rng, (150, 170), dtype), normal(rng, (5, 6), dtype)
    whole = fastconv.correlate2d(image, kernel, "valid", method="direct")
    for first, last in product((0, 1, 40), (70, 91, 150)):
        part = fastconv.correlate2d(image[first:last, first:last], kernel, "valid", method="direct")
        same(part, whole[first:, first:][: part.shape[0], : part.shape[1]].copy(), (first, last))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_sums_of_lines_have_the_error_of_the_plain_sum(dtype, rng):
    """At most gamma_K sum |h||x|: terms added one after the other can promise no less, nor may any other order."""
    gamma = _gamma(dtype)
    for n, k in product((50, 1_000, 20_000), (1, 3, 16, 31, 101, 500)):
        a, v = _spread(rng, n, dtype), _spread(rng, k, dtype)
        exact = np.convolve(a.astype(wide(dtype)), v.astype(wide(dtype)))
        terms = np.convolve(abs(a).astype("f8"), abs(v).astype("f8"))
        error = abs(fastconv.convolve(a, v, method="direct") - exact)
        assert (error <= gamma(min(n, k)) * terms).all(), (n, k)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_sums_of_planes_have_the_error_of_the_plain_sum(dtype, rng):
    gamma = _gamma(dtype)
    for shape, taps in product([(20, 30), (60, 70)], [(1, 1), (3, 3), (5, 2), (1, 9), (11, 11)]):
        a, k = _spread(rng, shape, dtype), _spread(rng, taps, dtype)
        for kernel in (k, np.outer(k[:, 0], k[0])):
            size = kernel.size if kernel is k else 2 * kernel.size  # separable: a rounding more in every term
            pieces = [np.pad(a, [(n - 1, n - 1) for n in taps]), kernel[::-1, ::-1]]
            exact = _valid(*(piece.astype(wide(dtype)) for piece in pieces))
            terms = _valid(*(abs(piece).astype("f8") for piece in pieces))
            for method in ("direct", "separable")[: 1 if kernel is k and min(taps) > 1 else 2]:
                error = abs(fastconv.convolve2d(a, kernel, method=method) - exact)
                assert (error <= gamma(size + 4) * terms).all(), (shape, taps, method)


def _gamma(dtype):
    """Bound the relative error of a sum of n products; a complex one adds up twice as many."""
    unit = np.finfo(dtype).eps / 2
    parts = 2 if np.dtype(dtype).kind == "c" else 1
    return lambda n: np.sqrt(parts) * parts * n * unit / (1 - parts * n * unit)


def _spread(rng, shape, dtype):
    """Numbers over eight orders of magnitude: small ones are lost where sums are not as good as they should be."""
    return (normal(rng, shape, dtype) * 10.0 ** rng.uniform(-4, 4, shape)).astype(dtype)


def _valid(x, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape)
    return (windows * kernel).sum((2, 3))
