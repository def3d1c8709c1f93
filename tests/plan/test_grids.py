"""Kernels of any number of dimensions, by every method, held against the twin on integers."""

import numpy as np
import pytest
from helpers import KERNEL_DTYPES, layouts, name, normal, same, small

from fastconv import _reference
from fastconv._plan import grids, method, spectral

DTYPES = [np.dtype(kind) for kind in ("u1", "i2", "u4", "i8", "f4", "f8", "c8", "c16", np.longdouble, object)]


def pick(rng, choices):
    return choices[rng.integers(len(choices))]


class Job:
    """A random one of `ndim` dimensions, small, with every kind of window."""

    def __init__(self, rng, dtype, ndim):
        self.shape = [int(rng.integers(1, [0, 0, 40, 14, 7][ndim])) for _ in range(ndim)]
        self.taps = [pick(rng, [1, 1, 2, 3, 5]) for _ in range(ndim)]
        self.stride, self.dilation = (
            [pick(rng, [1, 1, 1, 2, 3]) if odd else 1 for _ in range(ndim)] for odd in rng.random(2) < 0.3
        )
        self.start = [int(rng.integers(-8, 4)) if rng.random() < 0.6 else 0 for _ in range(ndim)]
        self.count = [int(rng.integers(1, 10)) if rng.random() < 0.6 else n for n in self.shape]
        self.boundary, self.fill = pick(rng, list(grids.BOUNDARIES)), pick(rng, [0, 2])
        self.x = small(rng, self.shape, dtype)
        self.kernel = small(rng, self.taps, dtype)
        if rng.random() < 0.5 and dtype.kind != "O":  # an outer product
            self.kernel = np.ones([1] * ndim, dtype)
            for axis, k in enumerate(self.taps):
                self.kernel = self.kernel * small(rng, k, dtype).reshape([-1 if a == axis else 1 for a in range(ndim)])
        how = layouts(dtype)
        self.laid = how[pick(rng, list(how))](self.x)
        self.workers = int(rng.integers(1, 4))

    def __str__(self):
        return str({key: value for key, value in vars(self).items() if not isinstance(value, np.ndarray)})

    def by(self, way):
        fill = np.full(1, self.fill, self.x.dtype)
        window = self.start, self.count, self.boundary, fill, self.stride, self.dilation
        return grids.correlate(self.laid, self.kernel, *window, way, None, self.workers)

    def expected(self):
        window = self.start, self.count, self.boundary, self.fill, self.stride, self.dilation
        return _reference.correlate(self.x, self.kernel, *window)

    def refused(self, way):
        """Say by which word of its error, if any."""
        if way in ("separable", "fft") and (self.x.dtype.kind == "O" or self.x.dtype == np.longdouble):
            return "needs real or complex numbers"
        if way == "separable" and max(self.stride) > 1:
            return "needs stride 1"
        if way == "fft" and max(*self.stride, *self.dilation) > 1:
            return "needs stride and dilation 1"
        return None


@pytest.mark.parametrize("ndim", [2, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES, ids=name)
def test_every_method_on_whole_numbers(dtype, ndim, rng, monkeypatch):
    monkeypatch.setattr(method, "LOOK", 0)
    monkeypatch.setattr(method, "SMALL", 0)  # else no way but direct is looked for in jobs as small as these
    monkeypatch.setattr(method, "FFT_CALLS", 0)
    for _ in range(25):
        job = Job(rng, dtype, ndim)
        expected = job.expected()
        for way in grids.METHODS:
            if word := job.refused(way):
                with pytest.raises((TypeError, ValueError), match=word):
                    job.by(way)
                continue
            try:
                result = job.by(way)
            except ValueError as error:
                assert way == "separable", job
                assert "outer product" in str(error), job
                continue
            if dtype in KERNEL_DTYPES:  # a transform rounds, and so do factors
                assert result.dtype == dtype
                bound = 100 * np.finfo(dtype).eps * (abs(job.x).max() + 2) * abs(job.kernel).sum()
                assert (abs(result - expected) <= bound).all(), job
            else:
                same(result, expected, job)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_direct_sums_are_exact_in_blocks_and_runs(dtype, rng):
    """Sizes that are cut: into rows and columns, and into runs of planes that keep what they packed."""
    for shape, taps in [((40, 70, 90), (3, 5, 4)), ((9, 11, 60, 70), (3, 2, 3, 5)), ((300, 12, 5), (7, 3, 2)),
                        ((3, 200, 300), (2, 9, 9)), ((50, 50, 3), (3, 3, 1))]:  # fmt: skip
        x, kernel = small(rng, shape, dtype, 2), small(rng, taps, dtype, 2)
        start = [-(k // 2) for k in taps]
        expected = None
        for workers in (1, 2, 5):
            window = start, shape, "mirror", np.zeros(1, dtype), [1] * x.ndim, [1] * x.ndim
            result = grids.correlate(x, kernel, *window, "direct", None, workers)
            if expected is None:
                padded = np.pad(x, [(k // 2, k - 1 - k // 2) for k in taps], "reflect")
                windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
                expected = np.tensordot(windows, kernel, kernel.ndim) if x.size < 10**6 else result
            same(result, expected.astype(dtype), (shape, taps, workers))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES, ids=name)
def test_every_method_is_within_its_bound(dtype, rng):
    eps = np.finfo(dtype).eps
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    for shape, taps in [((12, 14, 16), (3, 4, 5)), ((7, 8, 9, 10), (2, 3, 3, 2)), ((5, 30, 6), (1, 9, 3))]:
        x = normal(rng, shape, dtype)
        factors = [normal(rng, k, dtype) for k in taps]
        kernel = factors[0]
        for factor in factors[1:]:
            kernel = np.multiply.outer(kernel, factor)
        for boundary, outside in (("wrap", 0), ("fill", 1.5)):
            window = [-(k - 1) for k in taps], [n + k - 1 for n, k in zip(shape, taps, strict=True)], boundary
            ones = [1] * x.ndim
            expected, terms = (
                _reference.correlate(y.astype(wide), k.astype(wide), *window, outside, ones, ones)
                for y, k in ((x, kernel), (abs(x), abs(kernel)))
            )
            for way in grids.METHODS:
                result = grids.correlate(x, kernel, *window, np.full(1, outside, dtype), ones, ones, way, None, 2)
                bound = 2 * (kernel.size + 4 * x.ndim) * eps * terms.real
                if way == "fft":
                    bound = 4 * eps * 14 * 1.5 * np.linalg.norm(np.pad(x, 4, "wrap")) * np.linalg.norm(kernel)
                assert (abs(result - expected) <= bound).all(), (shape, boundary, way)


def test_a_rank_one_kernel_goes_axis_by_axis_where_a_transform_is_refused(rng, monkeypatch):
    chosen = []
    monkeypatch.setattr(grids, "by_axes", lambda *arguments: chosen.append("separable"))
    monkeypatch.setattr(grids, "by_fft", lambda x, *others: chosen.append("fft") or np.isfinite(x).all())
    way = method.Way("fft", tiles=spectral.Tiles((64, 64), (94, 94), 1 << 13, 1.0))
    monkeypatch.setattr(method, "fft_way", lambda *arguments: (0.0, way))
    x, kernel = rng.standard_normal((300, 300)), np.ones((31, 31))

    def run(x, dilation):
        zeros, ones = (0, 0), (1, 1)
        grids.correlate(x, kernel, zeros, x.shape, "fill", np.zeros(1), ones, (dilation, dilation), "auto", None, 1)

    run(x, 1)
    run(x, 2)
    x[5, 7] = np.nan
    run(x, 1)
    assert chosen == ["fft", "separable", "fft", "separable"]
