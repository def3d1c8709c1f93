"""Layers of 3 by 3 kernels by tiles that take 16 products for 4 outputs in place of 36."""
import numpy as np
import pytest
from helpers import same, small

from fastconv import _runtime, nn
from fastconv._reference import layers as twins

conv = nn.conv2d

# batch, channels, kernels, rows, columns, padding, dilation, groups
SHAPES = [
    (1, 16, 16, 8, 8, 1, 1, 1),
    (2, 64, 64, 30, 56, 1, 1, 1),  # several blocks
    (3, 17, 35, 13, 11, 1, 1, 1),  # odd sizes of everything
    (2, 33, 70, 29, 31, 2, 3, 1),
    (9, 40, 48, 7, 7, 1, 1, 1),  # several pictures together
    (2, 64, 96, 20, 22, 1, 1, 2),
    (1, 128, 40, 9, 200, 0, 1, 1),  # lines in parts
    (2, 20, 7, 5, 3, 1, 1, 1),
    (1, 32, 32, 40, 40, 3, 4, 1),
    (1, 16, 100, 3, 3, 0, 1, 1),  # one output
    (1, 16, 100, 4, 3, 5, 1, 1),  # padding beyond the kernel
    (1, 300, 20, 12, 12, 1, 2, 1),
]


def kernel(dtype):
    return _runtime.kernel({"f4": "f32", "f8": "f64"}[np.dtype(dtype).str[1:]], "layer")


@pytest.fixture
def tiles(monkeypatch):
    """Says whether tiles are taken, whatever is faster; gives how often their kernel ran to its end."""
    done = []

    def choose(taken):
        for module in map(kernel, ("f4", "f8")):
            monkeypatch.setattr(module, "by_tiles", lambda *_: taken)

    for module in map(kernel, ("f4", "f8")):
        run = module.forward_tiles
        monkeypatch.setattr(module, "forward_tiles", lambda *args, run=run: done.append(run(*args)) or done[-1])
    choose.done = done
    return choose


def last(array):
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_exact_on_small_integers(tiles, shape, dtype, rng):
    n, channels, kernels, rows, columns, padding, dilation, groups = shape
    x, bias = small(rng, (n, channels, rows, columns), dtype, 4), small(rng, (kernels,), dtype, 4)
    weight = small(rng, (kernels, channels // groups, 3, 3), dtype, 4)
    count = tuple(size + 2 * (padding - dilation) for size in (rows, columns))
    expected = twins.forward(x, weight, (-padding,) * 2, count, (1, 1), (dilation,) * 2, groups)
    expected += bias[:, None, None]
    tiles(True)
    options = {"padding": padding, "dilation": dilation, "groups": groups}
    packed = nn.pack(weight, groups=groups)
    for workers in (1, 2, 3):
        options["workers"] = workers
        same(conv(x, weight, bias, **options), expected)
        same(conv(x, packed, bias, **options, activation="relu"), np.maximum(expected, 0))
        same(conv(last(x), weight, bias, **options, layout="NHWC"), last(expected))
        same(conv(last(x), packed, bias, **options, layout="NHWC", activation="relu"), last(np.maximum(expected, 0)))
    assert tiles.done == [True] * 12


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_any_strides(tiles, dtype, rng):
    x, weight = small(rng, (2, 24, 15, 18), dtype), small(rng, (24, 24, 3, 3), dtype)
    tiles(True)
    expected = conv(x, weight, padding=1, workers=1)
    for view in (np.asfortranarray(x), np.repeat(x, 2, 3)[..., ::2], x[..., ::-1].copy()[..., ::-1]):
        same(conv(view, weight, padding=1, workers=1), expected)
    same(conv(x, weight.swapaxes(0, 1).copy().swapaxes(0, 1), padding=1, workers=1), expected)
    out = np.full((2, 40, 15, 18), 7, dtype)
    conv(x, weight, padding=1, workers=1, out=out[:, 8:32])
    same(out[:, 8:32].copy(), expected)
    assert (out[:, :8] == 7).all()
    assert (out[:, 32:] == 7).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("channels", [16, 64, 300])
def test_error_is_at_most_that_of_the_plain_sum(tiles, channels, dtype, rng):
    x = rng.standard_normal((1, channels, 20, 21)).astype(dtype)
    weight = rng.standard_normal((32, channels, 3, 3)).astype(dtype)
    exact = twins.forward(*(a.astype(np.longdouble) for a in (x, weight)), (-1, -1), (20, 21), (1, 1), (1, 1), 1)
    errors = []
    for taken in (True, False):
        tiles(taken)
        errors.append(np.linalg.norm((conv(x, weight, padding=1) - exact).ravel()))
    assert tiles.done == [True]
    assert errors[0] <= errors[1]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_choice(dtype, rng):
    """Tiles are for kernels that many tiles share; a picture of a batch is treated as it is alone."""
    chosen = kernel(dtype).by_tiles
    weight = np.zeros((1, 64, 64, 3, 3), dtype)
    y = np.zeros((2, 64, 28, 28), dtype)
    assert chosen(weight, y, (1, 1), (1, 1))
    assert chosen(weight, y, (1, 1), (2, 2))
    assert not chosen(weight, y, (2, 1), (1, 1))
    assert not chosen(weight[..., :2], y, (1, 1), (1, 1))
    assert not chosen(weight[:, :, :1], y, (1, 1), (1, 1))
    assert not chosen(weight, y[..., :4, :4], (1, 1), (1, 1))
    x = rng.standard_normal((5, 64, 15, 16)).astype(dtype)
    w = rng.standard_normal((64, 64, 3, 3)).astype(dtype)
    together = conv(x, w, padding=1)
    for i in range(5):
        same(conv(x[i : i + 1], w, padding=1), together[i : i + 1])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, "large"])
@pytest.mark.parametrize("where", ["input", "weight"])
def test_numbers_that_may_not_be_added(tiles, where, value, workers, dtype, rng):
    """What is not finite, or may become so, spoils no output that it does not belong to."""
    value = np.finfo(dtype).max / 2 if value == "large" else value
    x = rng.standard_normal((4, 32, 20, 20)).astype(dtype)
    weight = rng.standard_normal((32, 32, 3, 3)).astype(dtype)
    (x if where == "input" else weight)[(3, 5, 2, 1)] = value
    results = []
    for taken in (True, False):
        tiles(taken)
        results.append(conv(x, weight, padding=1, workers=workers))
    same(*results)
    assert not any(tiles.done)
    if where == "input":
        assert np.isfinite(results[0][:3]).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_same_for_any_number_of_workers(tiles, layout, dtype, rng):
    x = rng.standard_normal((2, 48, 40, 48)).astype(dtype)
    weight = rng.standard_normal((48, 48, 3, 3)).astype(dtype)
    tiles(True)
    first = conv(x, weight, padding=1, layout=layout, workers=1)
    for workers in (2, 3, 5):
        same(conv(x, weight, padding=1, layout=layout, workers=workers), first)
    same(conv(x, nn.pack(weight), padding=1, layout=layout), first)


def test_gradient_of_the_input(tiles, rng):
    """It is a layer, too."""
    weight, grad = small(rng, (32, 24, 3, 3), "f4"), small(rng, (2, 32, 18, 17), "f4")
    results = []
    for taken in (True, False):
        tiles(taken)
        results.append(nn.grad.conv2d_input((2, 24, 18, 17), weight, grad, padding=1))
    same(*results)
    assert tiles.done == [True]
