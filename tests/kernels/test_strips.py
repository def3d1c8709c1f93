"""Sums down the columns: tall planes and kernels of five rows or more, in strips."""
import numpy as np
import pytest
from helpers import same, scipy2d, small

import fastconv
import fastconv.signal

KERNELS = [(5, 3), (6, 5), (7, 7), (8, 4), (9, 9), (10, 3), (13, 5), (18, 3), (19, 6), (31, 3), (5, 40)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_exact_on_small_integers(kernel, dtype, rng):
    """Widths around whole strips; heights where parts of the rows begin and end."""
    weights = small(rng, kernel, dtype)
    for shape in ((2 * kernel[0] + 3, 70), (130, 48 + kernel[1] - 1), (257, 131)):
        x = small(rng, shape, dtype)
        for mode, boundary in (("same", "fill"), ("valid", "fill"), ("same", "symm")):
            if mode == "valid" and any(n < k for n, k in zip(shape, kernel, strict=True)):
                continue
            expected = scipy2d("correlate2d", x, weights, mode, boundary)
            for workers in (1, 2):
                found = fastconv.correlate2d(x, weights, mode, boundary, method="direct", workers=workers)
                same(found, expected, (shape, mode, boundary))


@pytest.mark.parametrize("kernel", [(5, 3), (9, 9), (12, 4)], ids=str)
def test_dilation(kernel, rng):
    x, weights = small(rng, (301, 120), "f4"), small(rng, kernel, "f4")
    expected = scipy2d("correlate2d", x, weights, "same", dilation=(3, 2))
    same(fastconv.correlate2d(x, weights, "same", dilation=(3, 2), method="direct"), expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_volumes(dtype, rng):
    x, weights = small(rng, (4, 80, 90), dtype), small(rng, (3, 7, 5), dtype)
    planes = [scipy2d("correlate2d", x[i], weights[i], "valid") for i in range(3)]
    found = fastconv.signal.correlate(x, weights, "valid", method="direct")
    same(found[0], planes[0] + planes[1] + planes[2])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_sums_are_those_of_the_other_tile(kernel, dtype, rng):
    """A plane of few rows goes another way; every output is the same sum in the same order."""
    x, weights = rng.standard_normal((220, 150)).astype(dtype), rng.standard_normal(kernel).astype(dtype)
    tall = fastconv.correlate2d(x, weights, "valid", method="direct")
    for row in (0, 37, len(tall) - 4):
        low = fastconv.correlate2d(x[row : row + 3 + kernel[0]], weights, "valid", method="direct")
        same(low, tall[row : row + 4])


@pytest.mark.parametrize("kernel", [(5, 5), (9, 3), (20, 4)], ids=str)
def test_what_is_not_finite_stays_where_it_is(kernel, rng):
    x, weights = rng.standard_normal((200, 130)), rng.standard_normal(kernel)
    expected = fastconv.correlate2d(x, weights, "valid", method="direct")
    x[100, 60] = np.nan
    found = fastconv.correlate2d(x, weights, "valid", method="direct")
    touched = np.zeros(found.shape, bool)
    touched[100 - kernel[0] + 1 : 101, 60 - kernel[1] + 1 : 61] = True
    assert np.isnan(found[touched]).all()
    same(found[~touched], expected[~touched])
