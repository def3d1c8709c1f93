"""Pools and their gradients beside PyTorch's, every option of theirs."""

import warnings
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fastconv import ShapeError, nn
from fastconv.nn import pooling_grad

SHAPES = [(2, 3, 7, 8), (2, 9, 6, 30), (1, 33, 5, 19), (2, 2, 1, 1)]
WINDOWS = [(1, 1), (2, 2), (2, 1), (3, 2), (3, 3), (4, 1), (5, 3), ((1, 3), (2, 1)), ((4, 2), (1, 5)), (2, 7)]


def shaped(a, layout, channels):
    return np.moveaxis(a, channels, -1) if layout[-1] == "C" else a


def check(ndim, name, call, arguments, options, x, layout, indices=False, lp=False):
    """`call` is PyTorch's; fastconv must say the same, or refuse what PyTorch does."""
    channels = -1 - ndim
    ours = shaped(x, layout, channels)
    given = torch.from_numpy(np.ascontiguousarray(x)).requires_grad_(x.dtype.kind == "f")
    function = getattr(nn, f"{name}_pool{ndim}d")
    options = {**options, "layout": layout}
    try:
        answer = call(given)
    except RuntimeError:  # too small, or padded beyond half of the window, where fastconv need not refuse
        return 0
    y, index = answer if indices else (answer, None)
    tolerance = {"rtol": 20 * np.finfo(x.dtype).eps, "atol": 20 * np.finfo(x.dtype).eps}
    if indices and torch.isinf(y).any() and np.isfinite(x).all():  # a window has seen nothing
        with pytest.raises(ShapeError, match="nothing but padding"):
            function(ours, *arguments, **options)
        return 0
    if indices:
        values, found = function(ours, *arguments, **options, return_indices=True)
        np.testing.assert_array_equal(values, shaped(y.detach().numpy(), layout, channels))
        np.testing.assert_array_equal(found, shaped(index.numpy(), layout, channels))
        np.testing.assert_array_equal(function(ours, *arguments, **options), values)
    else:
        values = function(ours, *arguments, **options)
        np.testing.assert_allclose(values, shaped(y.detach().numpy(), layout, channels), **tolerance)
    g = torch.randn(y.shape, dtype=y.dtype)
    y.backward(g)
    ours_g, grad = (shaped(a.numpy(), layout, channels) for a in (g, given.grad))
    back = getattr(pooling_grad, f"{name}_pool{ndim}d_input")
    if indices:
        result = back(ours.shape, found, ours_g, layout=layout)
    elif lp:
        result = back(ours, ours_g, *arguments, **options)
    else:
        result = back(ours.shape, ours_g, *([] if "adaptive" in name else arguments), **options)
    np.testing.assert_allclose(result, grad, rtol=tolerance["rtol"] * 10, atol=tolerance["atol"] * 10)
    return 1


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("ceil", [False, True])
def test_max_pool2d(ceil, dtype, layout, rng):
    remainder, done = "pad" if ceil else "drop", 0
    for shape, (k, s), p, d in product(SHAPES, WINDOWS, [0, 1, (2, 0)], [1, (1, 3)]):
        x = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype)
        options = {"stride": s, "padding": p, "dilation": d, "remainder": remainder}
        pool = lambda t, a=(k, s, p, d), c=ceil: F.max_pool2d(t, *a, c, True)  # noqa: E731
        done += check(2, "max", pool, [k], options, x, layout, True)
    assert done > 80


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("ceil", [False, True])
def test_ties_and_nan(ceil, layout, rng):
    for (k, s), special in product([(2, 2), (3, 2), (3, 1), (5, 3)], [np.nan, np.inf, -np.inf]):
        x = rng.integers(0, 3, (2, 12, 15, 40)).astype("f4")
        x[rng.random(x.shape) < 0.1] = special
        x[0, 0] = special
        call = lambda t, k=k, s=s: F.max_pool2d(t, k, s, 1, 1, ceil, True)  # noqa: E731
        options = {"stride": s, "padding": 1, "remainder": "pad" if ceil else "drop"}
        check(2, "max", call, [k], options, x, layout, True)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("ceil", [False, True])
def test_avg_pool2d(ceil, dtype, layout, rng):
    remainder, done = "pad" if ceil else "drop", 0
    for shape, (k, s), p, (inside, over) in product(
        SHAPES, WINDOWS, [0, 1, (2, 0)], [(True, None), (False, None), (True, 3), (False, -5)]
    ):
        x = rng.standard_normal(shape).astype(dtype)
        options = {"stride": s, "padding": p, "remainder": remainder, "count_include_pad": inside,
                   "divisor_override": over}  # fmt: skip
        done += check(
            2, "avg", lambda t, a=(k, s, p, ceil, inside, over): F.avg_pool2d(t, *a), [k], options, x, layout
        )
    assert done > 80


@pytest.mark.parametrize("layout", ["NCW", "NWC"])
@pytest.mark.parametrize("ceil", [False, True])
def test_one_dimension(ceil, layout, rng):
    remainder, done = "pad" if ceil else "drop", 0
    for shape, k, s, p in product([(2, 3, 17), (1, 1, 8), (3, 20, 100)], [1, 2, 3, 5], [1, 2, 3, 7], [0, 1, 2]):
        x = rng.standard_normal(shape)
        options = {"stride": s, "padding": p, "remainder": remainder}
        for d in (1, 2):
            call = lambda t, a=(k, s, p, d, ceil): F.max_pool1d(t, *a, True)  # noqa: E731
            done += check(1, "max", call, [k], {**options, "dilation": d}, x, layout, True)
        for inside in (True, False):
            call = lambda t, a=(k, s, p, ceil, inside): F.avg_pool1d(t, *a)  # noqa: E731
            done += check(1, "avg", call, [k], {**options, "count_include_pad": inside}, x, layout)
    assert done > 100


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_norms(layout, rng):
    done = 0
    for shape, (k, s), power in product(SHAPES, WINDOWS, [1.0, 2.0, 3.0, 4.0, 1.5]):
        x = np.abs(rng.standard_normal(shape)) + 0.1
        call = lambda t, a=(power, k, s): F.lp_pool2d(t, *a)  # noqa: E731
        done += check(2, "lp", call, [power, k, s], {"remainder": "drop"}, x, layout, lp=True)
    assert done > 50
    signed = rng.standard_normal((2, 3, 8, 8))
    for power in (1.0, 2.0, 3.0):  # odd powers of negative sums are NaN in both
        ours = nn.lp_pool2d(shaped(signed, layout, -3), power, 2, layout=layout)
        theirs = F.lp_pool2d(torch.from_numpy(signed), power, 2).numpy()
        np.testing.assert_allclose(ours, shaped(theirs, layout, -3), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_adaptive(layout, rng):
    for shape, size in product(SHAPES, [1, 2, (3, 5), (None, 4), (7, None), (40, 33)]):
        x = rng.standard_normal(shape)
        check(2, "adaptive_avg", lambda t, n=size: F.adaptive_avg_pool2d(t, n), [size], {}, x, layout)
        check(2, "adaptive_max", lambda t, n=size: F.adaptive_max_pool2d(t, n, True), [size], {}, x, layout, True)
    lines = "NWC" if layout == "NHWC" else "NCW"
    for width, size in product([1, 7, 64], [1, 3, 10]):
        x = rng.standard_normal((2, 5, width))
        check(1, "adaptive_avg", lambda t, n=size: F.adaptive_avg_pool1d(t, n), [size], {}, x, lines)
        check(1, "adaptive_max", lambda t, n=size: F.adaptive_max_pool1d(t, n, True), [size], {}, x, lines, True)


def test_integers(rng):
    for dtype in ("u1", "i1", "i2", "i4", "i8"):
        limits = np.iinfo(dtype)
        x = rng.integers(limits.min, limits.max, (2, 3, 9, 40), dtype, endpoint=True)
        y, index = F.max_pool2d(torch.from_numpy(x), 3, 2, 1, return_indices=True)
        values, found = nn.max_pool2d(x, 3, 2, 1, remainder="drop", return_indices=True)
        np.testing.assert_array_equal(values, y)
        np.testing.assert_array_equal(found, index)


def test_unpooling(rng):
    for shape, (k, s), p in product([(2, 3, 12, 14), (3, 13, 9)], [(2, 2), (3, 2), (3, 3)], [0, 1]):
        x = torch.from_numpy(rng.standard_normal(shape))
        y, index = F.max_pool2d(x, k, s, p, return_indices=True)
        unique = torch.unique(index.flatten(-2), dim=-1).shape[-1] == index[..., 0, 0].numel()
        for size in (None, x.shape[-2:], x.shape):
            try:
                theirs = F.max_unpool2d(y, index, k, s, p, size)
            except (RuntimeError, ValueError):
                continue
            ours = nn.max_unpool2d(y.numpy(), index.numpy(), k, s, p, size)
            assert ours.shape == theirs.shape
            if unique or s >= k:  # else PyTorch does not say which value stands
                np.testing.assert_array_equal(ours, theirs)


def test_planes_without_a_batch(rng):
    x = rng.standard_normal((3, 8, 10))
    np.testing.assert_array_equal(nn.max_pool2d(x, 2), F.max_pool2d(torch.from_numpy(x), 2))
    np.testing.assert_array_equal(nn.max_pool1d(x[0], 2), F.max_pool1d(torch.from_numpy(x[0]), 2))


def test_sizes_of_same_are_those_of_a_convolution_of_stride_1(rng):
    x = torch.from_numpy(rng.standard_normal((1, 1, 9, 10)))
    for kernel, dilation in product([(1, 1), (2, 3), (4, 2), (5, 5)], [1, 2]):
        ones = torch.ones((1, 1, *kernel), dtype=torch.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an even kernel costs PyTorch a copy of the input
            theirs = F.conv2d(x, ones, padding="same", dilation=dilation)
        np.testing.assert_allclose(nn.sum_pool2d(x.numpy(), kernel, 1, "same", dilation), theirs, atol=1e-12)
