"""Compare a small job of every kind with the twins, exactly; run by test_variants.py in a process a variant."""

import sys
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import ALL_DTYPES, BOUNDARIES, DTYPES_2D, MODES, same, small

import fastconv
import fastconv._reference.order
from fastconv import _reference, _runtime, ndimage
from fastconv._plan.neighbourhood import MODES as MODES_OF
from fastconv.image import filter2d, sep_filter2d


def lines(rng):
    for dtype in ALL_DTYPES:
        for n, k, workers in product((1, 2, 15, 16, 17, 64, 65, 200, 1023), (1, 2, 3, 8, 17, 31), (1, 2)):
            a, v = small(rng, n, dtype), small(rng, k, dtype)
            for mode in MODES:
                expected = np.convolve(a, v, mode)
                same(fastconv.convolve(a, v, mode, method="direct", workers=workers), expected, (dtype, n, k, mode))
        a, v = small(rng, (5, 40, 33), dtype), small(rng, 4, dtype)
        for axis in range(3):
            x = np.moveaxis(a, axis, -1)
            expected = np.moveaxis(_reference.correlate1d(x, v[::-1], -3, x.shape[-1] + 3), -1, axis)
            same(fastconv.convolve(a, v, axis=axis), expected, (dtype, axis))


def planes(rng):
    for dtype in DTYPES_2D:
        for shape, taps in product(
            [(1, 1), (5, 16), (9, 33), (20, 130)], [(1, 1), (3, 3), (1, 7), (6, 1), (4, 5), (9, 9)]
        ):
            x, kernel = small(rng, shape, dtype), small(rng, taps, dtype)
            for boundary, (stride, dilation) in product(
                BOUNDARIES, [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 2), (3, 2))]
            ):
                reach = [(n - 1) * d + 1 for n, d in zip(taps, dilation, strict=True)]
                start = [-((n - 1) // 2) for n in reach]
                count = [-(-n // s) for n, s in zip(shape, stride, strict=True)]
                expected = _reference.correlate(x, kernel.conj(), start, count, boundary, 2, stride, dilation)
                options = {"stride": stride, "dilation": dilation, "method": "direct"}
                result = fastconv.correlate2d(x, kernel, "same", boundary, 2, **options)
                same(result, expected, (dtype, shape, taps, boundary, options))


def transforms(rng):
    """Sums by transforms are whole numbers when they are rounded; an integer dtype rounds them itself."""
    for dtype, workers in product(DTYPES_2D, (1, 2)):
        if np.dtype(dtype).char in "gG":
            continue
        whole = np.dtype(dtype).kind not in "fc"
        for n, k in ((30, 4), (700, 80), (5000, 333), (3000, 3000), (20_000, 9)):
            a, v = small(rng, n, dtype), small(rng, k, dtype)
            for method in ("overlap-save", "fft"):
                y = fastconv.convolve(a, v, "full", method=method, workers=workers)
                same(y if whole else np.rint(y), np.convolve(a, v), (dtype, n, k, method))
        x, kernel = small(rng, (90, 150), dtype), small(rng, (8, 11), dtype)
        for boundary in BOUNDARIES:
            expected = fastconv.convolve2d(x, kernel, "same", boundary, 1, method="direct")
            y = fastconv.convolve2d(x, kernel, "same", boundary, 1, method="fft", workers=workers)
            same(y if whole else np.rint(y), expected, (dtype, boundary))


def images(rng):
    for dtype, taps, boundary in product(
        ["u1", "i1", "u2", "i2", "i4", "f4", "f8"], [(3, 3), (5, 4), (1, 9)], ["mirror", "wrap"]
    ):
        rows, columns = small(rng, taps[1], "f4"), small(rng, taps[0], "f4")
        image, colour = small(rng, (21, 67), dtype, 100), small(rng, (21, 67, 3), dtype, 100)
        kernel = np.outer(columns, rows)
        expected = _reference.filter2d(image, kernel, boundary, 0, dtype)
        same(filter2d(image, kernel, mode=boundary), expected, (dtype, taps))
        same(sep_filter2d(image, rows, columns, mode=boundary), expected, (dtype, taps))
        result = filter2d(colour, kernel, mode=boundary, channel_axis=-1)
        for channel in range(3):
            expected = _reference.filter2d(colour[..., channel], kernel, boundary, 0, dtype)
            same(result[..., channel].copy(), expected, (dtype, taps, channel))


def orders(rng):
    for dtype, shape, size, boundary in product(
        ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"],
        [(1, 3), (20, 70), (2, 9, 65)],
        [3, 8],
        ["reflect", "constant"],
    ):
        x = small(rng, shape, dtype, 1 if dtype == "?" else 100)
        sizes = [1] * (x.ndim - 2) + [size, size - 1]
        given = x, np.ones(sizes, bool), [-(k // 2) for k in sizes], [MODES_OF[boundary]] * x.ndim, 1
        result = ndimage.maximum_filter(x, sizes, mode=boundary, cval=1)
        same(result, _reference.order.largest(*given), (dtype, shape, sizes))
        result = ndimage.minimum_filter(x, sizes, mode=boundary, cval=1)
        same(result, _reference.order.smallest(*given), (dtype, shape, sizes))
        for rank in (2, size * (size - 1) // 2):
            result = ndimage.rank_filter(x, rank, sizes, mode=boundary, cval=1)
            same(result, _reference.order.ranked(*given, rank), (dtype, shape, sizes, rank))


if __name__ == "__main__":
    for check in (lines, planes, transforms, images, orders):
        check(np.random.default_rng(7))
    print(_runtime.ISA)
