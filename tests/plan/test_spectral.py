"""Transforms of blocks: rings, how outputs are shared out to blocks, and that any blocks give the one result."""

import math
from itertools import product

import numpy as np
import pytest
import scipy.signal
from helpers import BOUNDARIES, KERNEL_DTYPES, layouts, name, normal

from fastconv import _reference
from fastconv._plan import rings, spectral

SIZES = [radix << bits for bits in range(8, 25) for radix in (1, 3, 5, 7)]



def test_rings_have_the_least_good_size():
    for n in range(1, 1 << 15, 7):
        assert rings.good_size(n) == min(size for size in SIZES if size >= n)


def test_the_library_has_the_least_size_of_small_factors():
    def smooth(n):
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n == 1

    good = [n for n in range(1, 5000) if smooth(n)]
    for n in range(1, 4800):
        assert spectral.good_size(n) == next(size for size in good if size >= n)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_tiles_fit_their_rings_and_are_no_more_than_the_outputs(dtype):
    each = 1 if np.dtype(dtype).kind == "c" else 2
    for kernel, count in [
        ((1,), (5,)), ((3,), (1,)), ((31,), (10**6,)), ((10**4,), (10**4,)), ((10**6,), (7,)), ((101,), (10**9,)),
        ((3, 3), (1, 1)), ((31, 31), (1000, 1000)), ((1, 99), (7, 10**5)), ((501, 1), (10**5, 300)), ((65, 3), (80, 9)),
        ((300, 2), (10**4, 10**4)), ((5, 5, 5), (100, 100, 100)), ((1, 7, 1), (3, 50, 2)), ((2, 2, 2, 2), (9, 8, 7, 6)),
    ]:  # fmt: skip
        whole = tuple(n + k - 1 for n, k in zip(count, kernel, strict=True))
        tiles = spectral.tiles(np.dtype(dtype), kernel, count, whole)
        assert all(1 <= t <= n for t, n in zip(tiles.shape, count, strict=True)), (kernel, count)
        assert all(s >= t + k - 1 for s, t, k in zip(tiles.sides, tiles.shape, kernel, strict=True)), (kernel, count)
        assert math.prod(tiles.sides) <= tiles.points * each
        assert tiles.points in SIZES
        assert spectral.tiles(np.dtype(dtype), kernel, count, whole, True).shape == count


def test_a_kernel_beyond_all_rings_is_refused():
    with pytest.raises(MemoryError, match="too large"):
        spectral.tiles(np.dtype("f8"), (1 << 50,), (1 << 50,), (1 << 51,), True)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_blocks_of_any_ring_give_one_result(dtype, rng):
    x = normal(rng, (3, 700), dtype)
    for k, start, count in [
        (1, 0, 700), (7, -6, 706), (7, 20, 90), (60, -59, 759), (60, 690, 40), (60, -59, 20), (7, -30, 800),
        (60, -200, 900), (60, 640, 200), (200, 300, 150), (7, 710, 9), (7, -50, 9), (60, -29, 700),
    ]:  # fmt: skip
        taps = normal(rng, k, dtype)
        expected = _reference.correlate1d(x.astype("c16"), taps.astype("c16"), start, count)
        for size, zero in product((256, 512, 768, 1024, 1280, 1792, 2048), (False, True)):
            whole = spectral.whole_sides((700,), (k,), (start,), (count,), zero)
            shape, sides = spectral._shape(size * (1 if np.dtype(dtype).kind == "c" else 2), (k,), (count,), whole)
            out = np.full((3, count), 99, dtype)
            tiles = spectral.Tiles(shape, sides, size, 0)
            spectral.correlate(x, taps, (start,), "fill", 0, out, tiles, 1 + size % 2)
            bound = 4 * np.finfo(dtype).eps * 12 * np.linalg.norm(x, axis=1, keepdims=True) * np.linalg.norm(taps)
            assert (abs(out - expected) <= bound).all(), (k, start, count, size, zero)


@pytest.mark.parametrize("radix", rings.RADICES)
def test_rings_of_many_levels(radix, rng):
    """The factors of long rings are not kept."""
    points = radix << 18
    x, taps = normal(rng, 2 * points - 999, "f8"), normal(rng, 1000, "f8")
    out = np.empty(2 * points, "f8")
    spectral.correlate(x, taps[::-1], (-999,), "fill", 0, out, spectral.Tiles(out.shape, out.shape, points, 0), 1)
    expected = scipy.signal.oaconvolve(x, taps)
    assert abs(out - expected).max() <= 1e-14 * np.linalg.norm(taps) * abs(x).max() * 20


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_grids_of_any_boundary_and_layout(dtype, rng):
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    for shape, taps, start, count in [
        ((30, 40), (5, 4), (-4, -3), (34, 43)),
        ((30, 40), (1, 9), (0, -4), (30, 40)),
        ((30, 40), (11, 1), (-20, 3), (70, 30)),
        ((9, 7), (20, 15), (-19, -14), (28, 21)),
        ((60, 3), (3, 3), (1, -1), (50, 3)),
        ((7, 8, 9), (3, 2, 4), (-2, -1, -3), (9, 9, 12)),
        ((5, 6, 20), (2, 6, 1), (0, 0, 2), (4, 1, 17)),
    ]:
        kernel = normal(rng, taps, dtype)
        for (how, lay), boundary, fill in product(layouts(dtype).items(), BOUNDARIES, (0, 2)):
            x = normal(rng, shape, dtype)
            laid = lay(x)
            if not (laid.dtype.isnative and laid.flags.aligned):
                continue
            expected = _reference.correlate(
                x.astype(wide), kernel.astype(wide), start, count, boundary, fill, [1] * x.ndim, [1] * x.ndim
            )
            zero = boundary == "fill" and fill == 0 and x.ndim < 3
            whole = spectral.whole_sides(shape, taps, start, count, zero)
            for size in (256, 768, 1024, 3584, 1 << 14):
                there, sides = spectral._shape(size * (1 if wide is np.complex128 else 2), taps, count, whole)
                if not there:
                    continue
                out = np.full(count, 99, dtype)
                spectral.correlate(laid, kernel, start, boundary, fill, out, spectral.Tiles(there, sides, size, 0), 2)
                around = np.linalg.norm(np.pad(x, 20, "symmetric")) + fill * np.sqrt(out.size * kernel.size)
                bound = 4 * np.finfo(dtype).eps * 15 * around * np.linalg.norm(kernel)
                assert (abs(out - expected) <= bound).all(), (shape, taps, how, boundary, fill, size)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_whole_numbers_are_read_as_they_are_and_rounded(dtype, rng):
    x, kernel = rng.integers(0, 100, (50, 60)).astype(dtype), rng.integers(0, 100, (5, 6)).astype(dtype)
    expected = _reference.correlate(x, kernel, (-2, -3), (50, 60), "symm", 0, (1, 1), (1, 1))
    whole = spectral.whole_sides((50, 60), (5, 6), (-2, -3), (50, 60), False)
    tiles = spectral.tiles(np.dtype("f8"), (5, 6), (50, 60), whole)
    for given in (x, np.asfortranarray(x), x[::-1][::-1]):
        out = np.empty((50, 60), dtype)
        spectral.correlate(given, kernel.astype("f8"), (-2, -3), "symm", 0, out, tiles, 1)
        assert (out == expected).all()


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_the_squares_tell_whether_all_was_finite(dtype, rng):
    x, taps = normal(rng, 3000, dtype), normal(rng, 50, dtype)
    tiles = spectral.Tiles((300,), (349,), 512, 0)

    def squares():
        with np.errstate(all="ignore"):
            return spectral.correlate(x, taps, (0,), "fill", 0, np.empty(2951, dtype), tiles, 2)

    found, least = squares(), np.linalg.norm(x) ** 2 * np.linalg.norm(taps) ** 2
    assert 0.99 * least <= found <= 3 * least  # blocks overlap
    for at, wrong in product((0, 1234, 2999), (np.nan, np.inf, -np.inf)):
        kept, x[at] = x[at], wrong
        assert not np.isfinite(squares())
        x[at] = kept
    taps[7] = np.inf
    assert not np.isfinite(squares())
