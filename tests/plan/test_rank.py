"""outer_terms finds what is a sum of few outer products, and nothing else."""

import numpy as np
import pytest
from helpers import COMPLEX, FLOATS, INTEGERS, KERNEL_DTYPES, name, normal, small

from fastconv._plan.rank import CANCEL, outer_terms

SHAPES = [(1, 1), (2, 2), (3, 3), (1, 7), (6, 1), (5, 9), (31, 15)]
WIDE = {"f": np.longdouble, "c": np.clongdouble, "i": np.int64, "u": np.uint64}


def product(terms):
    """Add the terms up, and their magnitudes, in a wider dtype."""
    columns, rows = (part.astype(WIDE[part.dtype.kind]) for part in terms)
    return columns.T @ rows, abs(columns).T @ abs(rows)


def gaussian(k, sigma):
    i = np.arange(k) - k // 2
    weights = np.exp(-(i**2) / (2 * sigma**2))
    return weights / weights.sum()


def difference_of_gaussians(k, sigma, dtype):
    inner, outer = gaussian(k, sigma), gaussian(k, 1.6 * sigma)
    return (np.outer(inner, inner) - np.outer(outer, outer)).astype(dtype)


def laplacian_of_gaussian(k, sigma, dtype):
    square = np.add.outer(*[(np.arange(k) - k // 2) ** 2 / (2 * sigma**2)] * 2)
    return ((square - 1) * np.exp(-square)).astype(dtype)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS[1:3], *COMPLEX[:2]], ids=name)
def test_whole_numbers_are_factored_exactly(dtype, rng):
    for shape in SHAPES:
        for _ in range(20):
            kernel = np.outer(small(rng, shape[0], dtype, 9), small(rng, shape[1], dtype, 9))
            columns, rows = outer_terms(kernel)
            assert columns.dtype == rows.dtype == dtype
            assert (*columns.shape, *rows.shape) == (1, shape[0], 1, shape[1])
            if np.dtype(dtype).kind != "c":
                np.testing.assert_array_equal(columns.T @ rows, kernel)
            else:
                np.testing.assert_allclose(columns.T @ rows, kernel, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS[1:3]], ids=name)
def test_whole_numbers_are_factored_into_terms_that_do_not_meet(dtype, rng):
    """Else a sum that is exact as it is written might not be one of its terms."""
    for shape in ((5, 5), (9, 7), (12, 31)):
        for _ in range(20):
            rows = small(rng, (3, shape[1]), dtype, 9)
            of, times = rng.integers(3, size=shape[0]), small(rng, shape[0], dtype, 9)
            kernel = rows[of] * times[:, None]
            for scale in (1, 2.0**-3, 2.0**-20) if np.dtype(dtype).kind == "f" else (1,):
                terms = outer_terms((kernel * scale).astype(dtype), 3)
                assert terms[0].dtype == terms[1].dtype == dtype
                assert len(terms[0]) == len(terms[1]) <= 3
                np.testing.assert_array_equal(terms[0].T @ terms[1], kernel * scale)
                assert ((terms[0] != 0).sum(axis=0) <= 1).all()
                assert (terms[0] == np.rint(terms[0])).all()


def test_whole_numbers_of_low_rank_that_only_meeting_terms_make(rng):
    """These sums are exact as they are written, and stay so."""
    for dtype in ("f4", "f8", "i4", "c8"):
        kernel = np.outer([1, 2, 3, 4, 5, 6], [1, 1, 2, 3, 5, 8]) + np.outer([3, 1, 4, 1, 5, 9], [1, 0, 2, 0, 3, 1])
        assert np.linalg.matrix_rank(kernel) == 2
        assert outer_terms(kernel.astype(dtype), 5) is None
        if dtype[0] == "f":
            for scale in (1 / 64, 2**20, 2**40):
                assert outer_terms((kernel * scale).astype(dtype), 5) is None
        if dtype[0] != "i":
            assert len(outer_terms((kernel / 3).astype(dtype), 2)[0]) == 2


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_floats_are_factored_within_a_few_roundings_in_every_entry(dtype, rng):
    for shape in SHAPES:
        spread = 10.0 ** rng.uniform(-6, 6, shape[0])  # an entry must not only be small beside the largest
        kernel = np.outer((normal(rng, shape[0], dtype) * spread).astype(dtype), normal(rng, shape[1], dtype))
        columns, rows = outer_terms(kernel)
        assert len(columns) == len(rows) == 1
        np.testing.assert_allclose(columns.T @ rows, kernel, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_terms_miss_by_roundings_of_what_they_are_made_of(dtype, rng):
    roundings = 1 if np.dtype(dtype).kind == "f" else 3
    found = 0
    for (height, width), rank, most in [((9, 9), 2, 2), ((7, 12), 2, 3), ((31, 15), 3, 3), ((21, 40), 4, 9)] * 5:
        kernel = (normal(rng, (height, rank), "f8") @ normal(rng, (rank, width), "f8")).astype(dtype)
        terms = outer_terms(kernel, most)
        if terms is None:  # by chance, both terms may be small in an entry that large numbers cancelled in
            continue
        found += len(terms[0]) == rank
        total, size = product(terms)
        eps = np.finfo(dtype).eps
        assert (abs(total - kernel) <= ((4 + (len(terms[0]) - 1) * width) * roundings + 1) * eps * size).all()
        assert size.sum() <= (CANCEL + 0.01) * abs(kernel).sum()
    assert found >= 15


@pytest.mark.parametrize("dtype", FLOATS[1:3], ids=name)
def test_kernels_that_are_in_use(dtype):
    for make in (laplacian_of_gaussian, difference_of_gaussians):
        for k, sigma in [(7, 1.0), (9, 1.4), (15, 2.0), (31, 2.0), (31, 5.0), (64, 9.0)]:
            for most in (2, 3, 5):
                assert len(outer_terms(make(k, sigma, dtype), most)[0]) == 2, (make, k, sigma)
            assert outer_terms(make(k, sigma, dtype)) is None
    sharper = -np.outer(gaussian(9, 2), gaussian(9, 2))
    sharper[4, 4] += 2
    assert len(outer_terms(sharper.astype(dtype), 2)[0]) == 2


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_what_is_nearly_an_outer_product_is_none(dtype, rng):
    kernel = np.outer(normal(rng, 5, dtype), normal(rng, 7, dtype))
    for entry in np.ndindex(5, 7):
        bent = kernel.copy()
        bent[entry] *= 1 + 200 * np.finfo(dtype).eps
        assert outer_terms(bent) is None, entry


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_what_is_nearly_of_low_rank_has_a_term_more(dtype, rng):
    kernel = difference_of_gaussians(9, 1.0, dtype)
    for entry in np.ndindex(9, 9):
        bent = kernel.copy()
        bent[entry] *= 1 + 1e5 * np.finfo(dtype).eps
        assert outer_terms(bent, 2) is None, entry


@pytest.mark.parametrize("dtype", [*INTEGERS, *KERNEL_DTYPES], ids=name)
def test_other_kernels_are_none(dtype, rng):
    assert outer_terms(np.eye(2, dtype=dtype)) is None
    assert outer_terms(np.array([[1, 2], [3, 4]], dtype)) is None
    assert outer_terms(np.array([[0, 1], [1, 0]], dtype)) is None
    laplace = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], dtype)
    assert outer_terms(laplace) is None
    for most in (1, 2, 4, 7):
        for _ in range(5):
            kernel = rng.integers(0, 100, (9, 8)).astype(dtype)
            assert outer_terms(kernel, most) is None
            if np.dtype(dtype).kind in "fc":
                assert outer_terms(normal(rng, (9, 8), dtype), most) is None


def test_zeros_have_zeros_for_factors():
    for dtype in ("u1", "i8", "f4", "c16"):
        columns, rows = outer_terms(np.zeros((3, 4), dtype))
        assert not (columns.T @ rows).any()
        one = np.zeros((3, 4), dtype)
        one[2, 1] = 5
        columns, rows = outer_terms(one)
        np.testing.assert_array_equal(columns.T @ rows, one)


def test_nan_and_inf_are_no_factors():
    for bad in (np.nan, np.inf, -np.inf):
        for most in (1, 2):
            kernel = np.ones((3, 3))
            kernel[1, 2] = bad
            assert outer_terms(kernel, most) is None


def test_extreme_numbers():
    """Either exact factors, also where the products wrap, or none; and of floats within a few roundings."""
    for dtype in INTEGERS:
        limits = np.iinfo(dtype)
        for corner in (limits.min, limits.max, limits.max - 1):
            for kernel in (np.full((2, 3), corner, dtype), np.array([[corner, 1], [1, corner]], dtype)):
                for most in (1, 2):
                    terms = outer_terms(kernel, most)
                    if terms is not None:
                        np.testing.assert_array_equal(terms[0].T @ terms[1], kernel)
    for dtype in FLOATS[1:3]:
        limits = np.finfo(dtype)
        for number in (limits.max, limits.max / 4, limits.tiny, limits.smallest_subnormal):
            halves = np.outer([0, 1, 0.5], [number, 0, number / 2]).astype(dtype)
            for kernel in (np.full((2, 3), number, dtype), halves):
                terms = outer_terms(kernel, 2)
                if terms is not None:
                    np.testing.assert_allclose(terms[0].T @ terms[1], kernel, rtol=4 * limits.eps)
