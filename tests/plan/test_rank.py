"""outer_factors finds what is an outer product, and nothing else."""

import numpy as np
import pytest
from helpers import COMPLEX, FLOATS, INTEGERS, KERNEL_DTYPES, name, normal, small

from fastconv._plan.rank import outer_factors

SHAPES = [(1, 1), (2, 2), (3, 3), (1, 7), (6, 1), (5, 9), (31, 15)]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS[1:3], *COMPLEX[:2]], ids=name)
def test_whole_numbers_are_factored_exactly(dtype, rng):
    for shape in SHAPES:
        for _ in range(20):
            kernel = np.outer(small(rng, shape[0], dtype, 9), small(rng, shape[1], dtype, 9))
            column, row = outer_factors(kernel)
            assert column.dtype == row.dtype == dtype
            assert (*column.shape, *row.shape) == shape
            if np.dtype(dtype).kind != "c":
                np.testing.assert_array_equal(np.outer(column, row), kernel)
            else:
                np.testing.assert_allclose(np.outer(column, row), kernel, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_floats_are_factored_within_a_few_roundings_in_every_entry(dtype, rng):
    for shape in SHAPES:
        spread = 10.0 ** rng.uniform(-6, 6, shape[0])  # an entry must not only be small beside the largest
        kernel = np.outer((normal(rng, shape[0], dtype) * spread).astype(dtype), normal(rng, shape[1], dtype))
        column, row = outer_factors(kernel)
        np.testing.assert_allclose(np.outer(column, row), kernel, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_what_is_nearly_an_outer_product_is_none(dtype, rng):
    kernel = np.outer(normal(rng, 5, dtype), normal(rng, 7, dtype))
    for entry in np.ndindex(5, 7):
        bent = kernel.copy()
        bent[entry] *= 1 + 200 * np.finfo(dtype).eps
        assert outer_factors(bent) is None, entry


@pytest.mark.parametrize("dtype", [*INTEGERS, *KERNEL_DTYPES], ids=name)
def test_other_kernels_are_none(dtype, rng):
    assert outer_factors(np.eye(2, dtype=dtype)) is None
    assert outer_factors(np.array([[1, 2], [3, 4]], dtype)) is None
    assert outer_factors(np.array([[0, 1], [1, 0]], dtype)) is None
    laplace = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], dtype)
    assert outer_factors(laplace) is None


def test_zeros_have_zeros_for_factors():
    for dtype in ("u1", "i8", "f4", "c16"):
        column, row = outer_factors(np.zeros((3, 4), dtype))
        assert not np.outer(column, row).any()
        one = np.zeros((3, 4), dtype)
        one[2, 1] = 5
        np.testing.assert_array_equal(np.outer(*outer_factors(one)), one)


def test_nan_and_inf_are_no_factors():
    for bad in (np.nan, np.inf, -np.inf):
        kernel = np.ones((3, 3))
        kernel[1, 2] = bad
        assert outer_factors(kernel) is None


def test_extreme_integers():
    """Either exact factors, also where the products wrap, or none."""
    for dtype in INTEGERS:
        limits = np.iinfo(dtype)
        for corner in (limits.min, limits.max, limits.max - 1):
            for kernel in (np.full((2, 3), corner, dtype), np.array([[corner, 1], [1, corner]], dtype)):
                factors = outer_factors(kernel)
                if factors is not None:
                    np.testing.assert_array_equal(np.outer(*factors), kernel)
