"""Kernels that are a sum of few outer products, a row pass and a column pass for each: `method='separable'`."""

from itertools import product

import numpy as np
import pytest
from helpers import BOUNDARIES, KERNEL_DTYPES, MODES, layouts, name, normal, same, small

import fastconv
from fastconv._plan import grids
from fastconv._plan import method as costs
from fastconv._plan.rank import outer_terms

WIDE = {"f": np.longdouble, "c": np.clongdouble}
PAD = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def of_rank(rng, shape, rank, dtype):
    """Draw a kernel that terms are found for."""
    for _ in range(20):
        kernel = (normal(rng, (shape[0], rank), dtype) @ normal(rng, (rank, shape[1]), dtype)).astype(dtype)
        terms = outer_terms(kernel, rank)
        if terms is not None:
            assert len(terms[0]) == rank
            return kernel, terms
    raise AssertionError("no kernel of that rank has terms")


def correlated(x, kernel, mode, boundary, dilation=1):
    """Sum by the definition, in the dtype of the arguments; outside lie zeros."""
    reach = [(k - 1) * dilation for k in kernel.shape]
    around = np.pad(x, [(r, r) for r in reach], PAD[boundary])
    spread = np.lib.stride_tricks.sliding_window_view(around, [r + 1 for r in reach])[..., ::dilation, ::dilation]
    full = (spread * kernel).sum((2, 3))
    start = [{"full": 0, "same": r - r // 2, "valid": r}[mode] for r in reach]
    count = [{"full": n + r, "same": n, "valid": n - r}[mode] for n, r in zip(x.shape, reach, strict=True)]
    return full[start[0] :, start[1] :][: count[0], : count[1]]


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_the_error_follows_what_the_terms_are_made_of(dtype, rng):
    """At most the rounding of so many multiply-adds, of every sample times what the terms have in its place."""
    complex_parts = 3 if np.dtype(dtype).kind == "c" else 1
    eps = np.finfo(dtype).eps
    for shape, taps, rank in [((40, 50), (7, 8), 2), ((60, 37), (9, 15), 3), ((33, 90), (21, 6), 2)]:
        kernel, (columns, rows) = of_rank(rng, taps, rank, dtype)
        x = (normal(rng, shape, dtype) * 10.0 ** rng.uniform(-4, 4, shape)).astype(dtype)
        for mode, boundary, dilation in product(MODES, BOUNDARIES, (1, 2)):
            if mode == "valid" and dilation == 2:
                continue
            result = fastconv.correlate2d(x, kernel.conj(), mode, boundary, dilation=dilation, method="separable")
            wide = WIDE[np.dtype(dtype).kind]
            expected = correlated(x.astype(wide), kernel.astype(wide), mode, boundary, dilation)
            magnitudes = abs(columns).T.astype("f8") @ abs(rows).astype("f8")
            terms = correlated(abs(x).astype("f8"), magnitudes, mode, boundary, dilation)
            bound = complex_parts * (rank * sum(taps) + 4) * eps * terms
            assert result.shape == expected.shape
            assert (abs(result - expected) <= bound).all(), (taps, mode, boundary, dilation)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_terms_of_whole_numbers_are_exact(dtype, rng):
    for shape, taps in [((50, 41), (7, 9)), ((300, 200), (15, 12)), ((129, 700), (9, 9))]:
        rows = small(rng, (2, taps[1]), dtype, 3)
        kernel = rows[rng.integers(2, size=taps[0])] * small(rng, taps[0], dtype, 3)[:, None]
        if np.dtype(dtype).kind == "c":  # as they are written
            kernel = kernel.real.astype(dtype)
            if outer_terms(kernel) is None:
                continue
        x = small(rng, shape, dtype, 9)
        for boundary in BOUNDARIES:
            expected = fastconv.correlate2d(x, kernel, "same", boundary, method="direct")
            result = fastconv.correlate2d(x, kernel, "same", boundary, method="separable")
            same(result, expected, (shape, taps, boundary))


@pytest.mark.parametrize("dtype", [np.dtype(kind) for kind in ("u1", "i2", "u4", "i8")], ids=name)
def test_terms_of_integers_wrap_as_their_sum(dtype, rng):
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, (130, 140), dtype, endpoint=True)
    rows = rng.integers(limits.min // 4, limits.max // 4, (2, 9), dtype)
    kernel = rows[rng.integers(2, size=11)]
    for boundary in BOUNDARIES:
        expected = fastconv.convolve2d(x, kernel, "full", boundary, method="direct")
        if dtype.itemsize < 4:
            assert len(outer_terms(kernel, 2)[0]) == 2
            same(fastconv.convolve2d(x, kernel, "full", boundary, method="separable"), expected, boundary)
        same(fastconv.convolve2d(x, kernel, "full", boundary), expected, boundary)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_a_result_does_not_depend_on_workers_layout_or_place(dtype, rng):
    kernel, _ = of_rank(rng, (9, 11), 2, dtype)
    x = normal(rng, (301, 407), dtype)
    x[200, 300], x[100, 20], x[0, 0] = np.nan, np.inf, np.finfo(dtype).max
    options = {"mode": "valid", "method": "separable"}
    whole = fastconv.correlate2d(x, kernel, **options, workers=1)
    for workers in (2, 3, 16):
        same(fastconv.correlate2d(x, kernel, **options, workers=workers), whole, workers)
    for layout, lay in layouts(dtype).items():
        same(fastconv.correlate2d(lay(x), kernel, **options), whole, layout)
    for first, last in product((0, 1, 40), (70, 91, 300)):
        part = fastconv.correlate2d(x[first:last, first:last], kernel, **options)
        same(part, whole[first:, first:][: part.shape[0], : part.shape[1]].copy(), (first, last))
    framed = fastconv.correlate2d(x, kernel, "full", method="separable")
    same(framed[8:-8, 10:-10].copy(), whole)
    for channels in (1, 3):  # interleaved, where pictures are
        if np.dtype(dtype) in (np.float32, np.float64):
            colours = np.stack([x[:90, :120]] * channels, axis=-1)
            result = fastconv.image.filter2d(colours, kernel, channel_axis=2, mode="wrap")
            alone = fastconv.image.filter2d(x[:90, :120], kernel, mode="wrap")
            for channel in range(channels):
                same(result[..., channel].copy(), alone, channels)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_infinities_come_out_as_of_the_sum(dtype, rng):
    """Terms may cancel where the products of one infinite sample do not, or overflow where their sum does not."""
    big = np.finfo(dtype).max / 64
    for taps, rank in [((9, 9), 2), ((15, 7), 3)]:
        kernel, _ = of_rank(rng, taps, rank, dtype)
        x = normal(rng, (150, 140), dtype)
        x[20, 30], x[70, 100], x[75, 104], x[140, 8] = np.inf, -np.inf, np.inf, np.nan
        x[100:110, 40:50] = big
        for boundary in BOUNDARIES:
            with np.errstate(all="ignore"):
                result = fastconv.convolve2d(x, kernel, "same", boundary, method="separable")
                expected = fastconv.convolve2d(x, kernel, "same", boundary, method="direct")
            for test in (np.isnan, np.isinf, np.isfinite):
                np.testing.assert_array_equal(test(result), test(expected), f"{test} {taps} {boundary}")
            np.testing.assert_array_equal(result[np.isinf(expected)], expected[np.isinf(expected)])
            assert not np.isfinite(expected).all()


def test_planes_of_a_stack_are_filtered_alike(rng):
    kernel, _ = of_rank(rng, (9, 12), 2, np.dtype("f4"))
    x = normal(rng, (3, 50, 60), "f4")
    x[1, 20, 20] = np.inf
    window = (0, -4, -6), x.shape, "mirror", np.zeros(1, "f4"), (1, 1, 1), (1, 1, 1)
    with np.errstate(all="ignore"):
        stack = grids.correlate(x, kernel[None], *window, "separable", None, 2)
        for plane, alone in zip(stack, x, strict=True):
            window = (-4, -6), alone.shape, "mirror", np.zeros(1, "f4"), (1, 1), (1, 1)
            same(plane, grids.correlate(alone, kernel, *window, "separable", None, 1))
    with pytest.raises(ValueError, match="an outer product; this one"):  # terms are summed in planes
        window = (-4, -6, 0), x.shape, "mirror", np.zeros(1, "f4"), (1, 1, 1), (1, 1, 1)
        grids.correlate(x, kernel[:, :, None], *window, "separable", None, 1)


def test_what_auto_takes(rng, monkeypatch):
    """One term where it saves a good part of the sums of a large image; transforms soon are faster than two."""
    taken = []
    for way in ("by_axes", "by_sums", "by_fft"):
        monkeypatch.setattr(grids, way, lambda *arguments, way=way: taken.append(way) or True)
    image = rng.standard_normal((1024, 1024))
    for k, rank, expected in [
        (3, 1, "by_sums"), (3, 2, "by_sums"), (5, 2, "by_sums"), (15, 1, "by_axes"), (15, 2, "by_fft"),
    ]:  # fmt: skip
        kernel = np.sum([np.outer(a, b) for a, b in rng.standard_normal((rank, 2, k))], axis=0)
        taken.clear()
        fastconv.convolve2d(image, kernel, "same")
        assert taken == [expected], (k, rank)
        taken.clear()
        fastconv.convolve2d(image[:20, :20], kernel, "same")
        assert taken in ([], ["by_sums"]), (k, rank)  # none of the plan's where it is a small call


def test_no_more_terms_are_looked_for_than_pay(monkeypatch):
    asked = []
    monkeypatch.setattr(costs.rank, "axis_factors", lambda kernel, most=1: asked.append(most))
    for k, n in product((3, 9, 15, 31), (64, 256, 1024)):
        asked.append(0)
        costs.grid_way(costs.Grid("u8", (n, n), (0, 0), (n, n), (0, 1), True), np.ones((k, k), np.uint8))
        terms = asked[-1]
        if terms > 1:
            direct = costs.direct("u8", (k, k), n * n)
            assert costs.separable("u8", (k, k), n * n, terms) < direct - costs.LOOK
            assert terms * 2 * k < k * k
    assert max(asked) > 1


def test_pictures_are_rounded_from_the_same_sums(rng):
    kernel, _ = of_rank(rng, (15, 15), 2, np.dtype("f4"))
    kernel /= abs(kernel).sum()
    for dtype in ("u1", "i1", "u2", "i2"):
        limits = np.iinfo(dtype)
        image = rng.integers(limits.min, limits.max, (400, 500), dtype, endpoint=True)
        exact = correlated(np.pad(image.astype("f8"), 7, "reflect"), kernel.astype("f8"), "valid", "fill")
        result = fastconv.image.filter2d(image, kernel)
        slack = 0.5 + 100 * np.finfo("f4").eps * float(abs(image.astype("f8")).max())
        assert (abs(result - np.clip(exact, limits.min, limits.max)) <= slack).all(), dtype


def test_an_error_says_the_rank():
    with pytest.raises(ValueError, match=r"at most 2 outer products.*\(5, 6\) has rank 5"):
        fastconv.convolve2d(np.ones((9, 9)), np.random.default_rng(0).random((5, 6)), method="separable")
    with pytest.raises(ValueError, match=r"an outer product.*has rank 2"):
        fastconv.convolve2d(np.ones((9, 9)), [[1.0, 2], [3, 4]], method="separable")
