"""Jobs large enough to be cut into blocks, rims and insides, at random and exactly.

The twins are too slow for them: the exact sums of small integers come from a transform in float64, rounded.
"""

import numpy as np
import pytest
import scipy.signal
from helpers import BOUNDARIES, INTEGERS, KERNEL_DTYPES, MODES, layouts, same, small

import fastconv

DTYPES = [*INTEGERS, *KERNEL_DTYPES]
PAD = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def pick(rng, choices):
    return choices[rng.integers(len(choices))]


def size(rng, most):
    """Of every order of magnitude up to `most` alike."""
    return int(2 ** rng.uniform(0, np.log2(most)))


def laid(rng, array):
    how = layouts(array.dtype)
    return how[pick(rng, list(how))](array)


def exact(x, kernel, axes):
    """The full convolution, in the dtype of `x`."""
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    y = scipy.signal.fftconvolve(x.astype(wide), kernel.astype(wide), "full", axes=axes)
    y = np.rint(y.real) + 1j * np.rint(y.imag) if x.dtype.kind == "c" else np.rint(y)
    return y.astype(np.int64).astype(x.dtype) if x.dtype.kind in "iu" else y.astype(x.dtype)


@pytest.mark.parametrize("seed", range(4))
def test_planes(seed):
    rng = np.random.default_rng(seed)
    for _ in range(120):
        dtype, mode, boundary = pick(rng, DTYPES), pick(rng, MODES), pick(rng, BOUNDARIES)
        shape, taps = [size(rng, 900) for _ in "hw"], [size(rng, 40) for _ in "hw"]
        stride, dilation = ([pick(rng, [1, 1, 1, 2, 3, 7]) for _ in "hw"] for _ in "sd")
        reach = [(n - 1) * d + 1 for n, d in zip(taps, dilation, strict=True)]
        if mode == "valid" and any(n < r for n, r in zip(shape, reach, strict=True)):
            continue
        image, kernel = small(rng, shape, dtype, 2), small(rng, taps, dtype, 2)

        spread = np.zeros(reach, dtype)
        spread[:: dilation[0], :: dilation[1]] = kernel
        around = np.pad(image, [(r - 1, r - 1) for r in reach], PAD[boundary])
        start = [{"full": r - 1, "same": r - 1 + (r - 1) // 2, "valid": 2 * (r - 1)}[mode] for r in reach]
        count = [{"full": n + r - 1, "same": n, "valid": n - r + 1}[mode] for n, r in zip(shape, reach, strict=True)]
        expected = exact(around, spread, None)[start[0] :, start[1] :][: count[0], : count[1]]

        options = {"stride": stride, "dilation": dilation, "workers": int(rng.integers(1, 5))}
        result = fastconv.convolve2d(laid(rng, image), laid(rng, kernel), mode, boundary, **options, method="direct")
        same(result, expected[:: stride[0], :: stride[1]], (dtype, shape, taps, mode, boundary, options))


@pytest.mark.parametrize("seed", range(4))
def test_lines(seed):
    rng = np.random.default_rng(seed)
    for _ in range(120):
        dtype, mode, ndim = pick(rng, DTYPES), pick(rng, MODES), int(rng.integers(1, 4))
        shape = [size(rng, [100_000, 600, 90][ndim - 1]) for _ in range(ndim)]
        axis, k, workers = int(rng.integers(ndim)), size(rng, 500), int(rng.integers(1, 5))
        a, v = small(rng, shape, dtype, 2), small(rng, k, dtype, 2)

        longer, shorter = max(shape[axis], k), min(shape[axis], k)
        first, last = {
            "full": (0, longer + shorter - 1),
            "same": ((shorter - 1) // 2, (shorter - 1) // 2 + longer),
            "valid": (shorter - 1, longer),
        }[mode]
        taps = v.reshape([-1 if i == axis else 1 for i in range(ndim)])
        expected = np.moveaxis(np.moveaxis(exact(a, taps, axis), axis, -1)[..., first:last], -1, axis)

        result = fastconv.convolve(laid(rng, a), v, mode, axis=axis, workers=workers, method="direct")
        same(result, expected, (dtype, shape, axis, k, mode, workers))
