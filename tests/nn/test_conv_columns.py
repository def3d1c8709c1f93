"""Layers whose lanes are columns: every number of output channels, lines that end anywhere, sums in place or not."""
import numpy as np
import pytest
from helpers import same, small

from fastconv import _runtime, nn
from fastconv._reference import layers as twins

# batch, channels, kernels, rows, columns, side of the kernel, stride, padding, groups
SHAPES = [
    (2, 5, 3, 9, 11, 1, 1, 0, 1),  # one row of 99
    (1, 3, 14, 8, 8, 1, 1, 0, 1),
    (3, 40, 70, 13, 17, 1, 1, 0, 1),
    (1, 600, 33, 30, 30, 1, 1, 0, 1),  # blocks of columns
    (2, 12, 18, 16, 64, 1, 1, 0, 2),
    (2, 7, 20, 9, 40, 1, 2, 0, 1),
    (1, 4, 15, 10, 70, 1, 1, 1, 1),  # padding: no line goes on in the next
    (1, 3, 16, 33, 41, 3, 2, 1, 1),
    (2, 6, 9, 20, 150, 3, 1, 1, 1),
    (1, 500, 6, 5, 100, 3, 1, 1, 1),  # one row a block
    (4, 3, 5, 3, 3, 3, 1, 1, 1),  # narrower than a vector
]


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    """Takes this page, whatever is faster; counts its calls."""
    calls = []
    for name in ("f32", "f64"):
        layer, page = _runtime.kernel(name, "layer"), _runtime.kernel(name, "columns")
        monkeypatch.setattr(layer, "by_tiles", lambda *_: False)
        monkeypatch.setattr(layer, "by_columns", lambda *_: True)
        monkeypatch.setattr(page, "forward", lambda *args, run=page.forward: calls.append(run(*args)))
    return calls


def last(array):
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


def drawn(rng, shape, dtype):
    n, channels, kernels, rows, columns, side, stride, padding, groups = shape
    x, bias = small(rng, (n, channels, rows, columns), dtype, 4), small(rng, (kernels,), dtype, 4)
    weight = small(rng, (kernels, channels // groups, side, side), dtype, 4)
    count = tuple((size + 2 * padding - side) // stride + 1 for size in (rows, columns))
    expected = twins.forward(x, weight, (-padding,) * 2, count, (stride,) * 2, (1, 1), groups) + bias[:, None, None]
    options = {"stride": stride, "padding": padding, "groups": groups, "remainder": "drop"}
    return x, weight, bias, options, expected


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_exact_on_small_integers(columns, shape, dtype, rng):
    x, weight, bias, options, expected = drawn(rng, shape, dtype)
    for workers in (1, 2, 3):
        options["workers"] = workers
        same(nn.conv2d(x, weight, bias, **options), expected)
        same(nn.conv2d(x, weight, bias, **options, activation="relu"), np.maximum(expected, 0))
        same(nn.conv2d(last(x), weight, bias, **options, layout="NHWC"), last(expected))
    assert len(columns) == 9


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("side", [1, 3])
def test_every_number_of_kernels(side, dtype, rng):
    x, all_of_them = small(rng, (1, 3, 10, 23), dtype, 4), small(rng, (60, 3, side, side), dtype, 4)
    expected = nn.conv2d(x, all_of_them, padding=side // 2)
    for kernels in range(1, 60):
        same(nn.conv2d(x, all_of_them[:kernels], padding=side // 2), expected[:, :kernels].copy())


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("side", [1, 3])
def test_nothing_beside_the_result_is_written(side, dtype, rng):
    x, weight = small(rng, (2, 24, 15, 18), dtype), small(rng, (24, 24, side, side), dtype)
    p = side // 2
    expected = nn.conv2d(x, weight, padding=p, workers=1)
    for view in (np.asfortranarray(x), np.repeat(x, 2, 3)[..., ::2], x[..., ::-1].copy()[..., ::-1],
                 np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 3)))[:, :, :15, :18]):  # fmt: skip
        same(nn.conv2d(view, weight, padding=p, workers=1), expected)
    same(nn.conv2d(x, weight.swapaxes(0, 1).copy().swapaxes(0, 1), padding=p, workers=1), expected)
    for place in (np.s_[:, 8:32, :15, :18], np.s_[:, 8:32, 2:17, 1:19], np.s_[:, 8:32, :30:2, :36:2],
                  np.s_[:, 31:7:-1, :15, :18]):  # fmt: skip
        out = np.full((2, 40, 30, 36), 7, dtype)
        nn.conv2d(x, weight, padding=p, workers=1, out=out[place])
        same(out[place].copy(), expected)
        out[place] = 7
        assert (out == 7).all()
    out = np.full((2, 40, 15, 18), 7, dtype)  # whole planes of a larger array
    nn.conv2d(x, weight, padding=p, workers=2, out=out[:, 8:32])
    same(out[:, 8:32].copy(), expected)
    out[:, 8:32] = 7
    assert (out == 7).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_results_do_not_depend_on_workers(dtype, rng):
    x, weight = rng.standard_normal((2, 50, 60, 61)).astype(dtype), rng.standard_normal((70, 50, 1, 1)).astype(dtype)
    one = nn.conv2d(x, weight, workers=1)
    for workers in (2, 3, 5):
        same(nn.conv2d(x, weight, workers=workers), one)
