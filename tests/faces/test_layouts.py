"""Values decide, not how they lie in memory: every layout of every input gives the result of plain arrays."""

from itertools import product

import numpy as np
import pytest
from helpers import ALL_DTYPES, DTYPES_2D, layouts, name, same, small

import fastconv

LINES = [(23, 5), (5, 23), (200, 40), (1, 1)]
PLANES = [((9, 14), (3, 3)), ((5, 60), (4, 1)), ((12, 7), (1, 5)), ((2, 3), (5, 4))]


@pytest.mark.parametrize("face", ["convolve", "correlate"])
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_lines(face, dtype, rng):
    ours, numpys = getattr(fastconv, face), getattr(np, face)
    for n, k in LINES:
        a, v = small(rng, n, dtype), small(rng, k, dtype)
        expected = numpys(a, v, "full")
        for (first, of_a), (second, of_v) in product(layouts(dtype).items(), repeat=2):
            same(ours(of_a(a), of_v(v), "full"), expected, (n, k, first, second))


@pytest.mark.parametrize("face", ["convolve", "correlate"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "u1", "i8", "f2", "?", "g", object], ids=name)
def test_lines_of_an_array(face, dtype, rng):
    ours = getattr(fastconv, face)
    a, v = small(rng, (4, 11, 6), dtype), small(rng, 4, dtype)
    for axis, mode in product(range(3), ("full", "same", "valid")):
        expected = ours(a, v, mode, axis=axis)
        for layout, of in layouts(dtype).items():
            same(ours(of(a), v, mode, axis=axis), expected, (axis, mode, layout))
        for axes in [(2, 1, 0), (1, 2, 0), (0, 2, 1)]:
            turned = ours(a.transpose(axes), v, mode, axis=axes.index(axis))
            same(turned, expected.transpose(axes), (axis, mode, axes))


@pytest.mark.parametrize("face", ["convolve2d", "correlate2d"])
@pytest.mark.parametrize("dtype", DTYPES_2D, ids=name)
def test_planes(face, dtype, rng):
    ours = getattr(fastconv, face)
    for shape, taps in PLANES:
        a, k = small(rng, shape, dtype), small(rng, taps, dtype)
        for boundary, stride in [("fill", 1), ("wrap", (2, 1)), ("symm", (1, 2))]:
            expected = ours(a, k, "same", boundary, stride=stride)
            for (first, of_a), (second, of_k) in product(layouts(dtype).items(), repeat=2):
                result = ours(of_a(a), of_k(k), "same", boundary, stride=stride)
                same(result, expected, (shape, taps, boundary, first, second))


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "u1", "i4", "g"])
def test_one_value_everywhere(dtype, rng):
    """Arrays of stride 0, which broadcasting makes."""
    one = np.broadcast_to(np.array(2, dtype), (50,))
    a, v = small(rng, 50, dtype), small(rng, 7, dtype)
    for mode in ("full", "same", "valid"):
        same(fastconv.convolve(one, v, mode), np.convolve(one, v, mode), mode)
        same(fastconv.convolve(a, one[:7], mode), np.convolve(a, one[:7], mode), mode)
        same(fastconv.correlate(one, one[:5], mode), np.correlate(one, one[:5], mode), mode)
    line = small(rng, 9, dtype)
    kernel = small(rng, (3, 3), dtype)
    for plane in (
        np.broadcast_to(line, (12, 9)),
        np.broadcast_to(line[:, None], (9, 12)),
        one.reshape(5, 10),
    ):
        for boundary in ("fill", "wrap", "symm"):
            expected = fastconv.convolve2d(plane.copy(), kernel, "full", boundary)
            same(fastconv.convolve2d(plane, kernel, "full", boundary), expected, boundary)
            expected = fastconv.convolve2d(kernel, plane.copy(), "full", boundary)
            same(fastconv.convolve2d(kernel, plane, "full", boundary), expected, boundary)
    lines = np.broadcast_to(line, (4, 9))
    for axis in (0, 1):
        same(fastconv.convolve(lines, v, axis=axis), fastconv.convolve(lines.copy(), v, axis=axis), axis)


def test_windows_that_overlap_in_memory(rng):
    signal = small(rng, 40, "f8")
    windows = np.lib.stride_tricks.sliding_window_view(signal, 12)  # read-only, 29 by 12 of 40 numbers
    kernel = small(rng, (3, 4), "f8")
    same(fastconv.convolve2d(windows, kernel), fastconv.convolve2d(windows.copy(), kernel))
    same(fastconv.correlate(windows, kernel[0], axis=1), fastconv.correlate(windows.copy(), kernel[0], axis=1))


def test_fields_of_a_record(rng):
    pixels = np.zeros((8, 9), [("red", "u1"), ("depth", "f4"), ("blue", "u1")])  # depth lies at odd addresses
    pixels["depth"] = small(rng, (8, 9), "f4")
    kernel = small(rng, (3, 3), "f4")
    plain = np.ascontiguousarray(pixels["depth"])
    same(fastconv.convolve2d(pixels["depth"], kernel), fastconv.convolve2d(plain, kernel))
    same(fastconv.convolve(pixels["depth"][3], kernel[0]), fastconv.convolve(plain[3], kernel[0]))


def test_parts_of_complex_arrays(rng):
    z = small(rng, (8, 30), "c16")
    kernel = small(rng, (3, 3), "f8")
    for part in (z.real, z.imag):
        same(fastconv.convolve2d(part, kernel), fastconv.convolve2d(part.copy(), kernel))
        same(fastconv.convolve(part[0], kernel[0]), np.convolve(part[0].copy(), kernel[0]))


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">c16", ">i2", ">u8", ">f2", ">g"])
def test_a_byteswapped_out_or_none_at_all(dtype, rng):
    """Results are native; an out of the other byte order is filled rightly or refused."""
    a, v = small(rng, 20, dtype), small(rng, 5, dtype)
    expected = np.convolve(a, v)
    same(fastconv.convolve(a, v), expected)
    out = np.zeros(24, dtype)
    try:
        fastconv.convolve(a, v, out=out)
    except (TypeError, ValueError):
        return
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "u2", "i4"])
def test_an_out_in_any_layout(dtype, rng):
    a, v, kernel = small(rng, (20, 21), dtype), small(rng, 4, dtype), small(rng, (3, 4), dtype)
    line, plane = fastconv.convolve(a[0], v), fastconv.convolve2d(a, kernel)
    for layout, of in layouts(dtype).items():
        if layout in ("read-only", "byteswapped"):
            continue
        out = of(np.zeros_like(line))
        fastconv.convolve(a[0], v, out=out)
        same(out, line, layout)
        out = of(np.zeros_like(plane))
        fastconv.convolve2d(a, kernel, out=out)
        same(out, plane, layout)
