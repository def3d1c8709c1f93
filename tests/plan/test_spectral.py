"""Sizes of transforms, and overlap-save as such: blocks of any number of points give the one result."""

from itertools import product

import numpy as np
import pytest
from helpers import normal

from fastconv._plan import spectral
from fastconv._reference import correlate1d


def test_good_sizes_are_the_least_of_small_factors():
    def smooth(n):
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n == 1

    good = [n for n in range(1, 5000) if smooth(n)]
    for n in range(1, 4800):
        assert spectral.good_size(n) == next(size for size in good if size >= n)


def test_a_block_holds_its_taps_and_no_more_than_it_must():
    for taps, count, longest in product((1, 2, 3, 5, 31, 1000), (1, 2, 3, 10, 999, 10**6, 10**9), (2, 64, 1 << 15)):
        points = spectral.block_size(taps, count, longest)
        assert points >= taps
        assert points == spectral.good_size(points)
        assert points <= max(spectral.good_size(2 * taps), 2 * longest)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_blocks_of_any_size_give_one_result(dtype, rng):
    eps = np.finfo(dtype).eps
    x = normal(rng, (3, 200), dtype)
    for k, start, count in [(1, 0, 200), (7, -6, 206), (7, 20, 90), (60, -59, 259), (60, 190, 40), (7, -30, 300)]:
        taps = normal(rng, k, dtype)
        expected = correlate1d(x.astype("c16"), taps.astype("c16"), start, count)
        for points in (k, k + 1, 64, 100, 512):
            if points < k:
                continue
            out = np.empty((3, count), dtype)
            spectral.lines(x, taps, start, out, points, 1)
            bound = 4 * eps * np.log2(points + 2) * np.linalg.norm(x, axis=1, keepdims=True) * np.linalg.norm(taps)
            assert (abs(out - expected) <= bound).all(), (k, start, count, points)
