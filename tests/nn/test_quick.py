"""The short way of small layers and pools: what it takes, it gives as the plan gives it; the rest it leaves alone."""
import itertools

import numpy as np
import pytest

from fastconv import _quick, nn

POOLS = {"max": nn.max_pool2d, "min": nn.min_pool2d, "avg": nn.avg_pool2d, "sum": nn.sum_pool2d}
LINE_POOLS = {"max": nn.max_pool1d, "min": nn.min_pool1d, "avg": nn.avg_pool1d, "sum": nn.sum_pool1d}
LENGTHS = {1: nn.lp_pool1d, 2: nn.lp_pool2d}


def both(call, *args, **options):
    """The call as it is, and on the way through the plan, which `workers` asks for: results, or errors."""
    found = []
    for workers in ({}, {"workers": 1}):
        try:
            y = call(*args, **options, **workers)
        except (TypeError, ValueError) as error:
            found.append((type(error), str(error)))
        else:
            found.append([(a.dtype, a.shape, a.tobytes()) for a in (y if isinstance(y, tuple) else (y,))])
    return found


def numbers(rng, axes, values):
    """One number for all axes, or one for each."""
    chosen = [int(rng.choice(values)) for _ in range(axes)]
    return chosen[0] if rng.integers(2) else tuple(chosen)


def picture(rng, axes, last, channels, dtype, least=0):
    """A batch, one picture, or (least -1) a plain plane; of channels first or last."""
    sizes = [int(n) for n in rng.integers(1, 12, axes)]
    shape = (*sizes, channels) if last else (channels, *sizes)
    form = rng.integers(least, 2)
    shape = sizes if form == -1 else shape if form == 0 else (int(rng.integers(1, 4)), *shape)
    x = rng.standard_normal(shape)
    return (x * 9).astype(dtype) if np.dtype(dtype).kind == "u" else x.astype(dtype)


@pytest.mark.parametrize("axes", [1, 2])
def test_layers_are_those_of_the_plan(rng, axes):
    call = nn.conv1d if axes == 1 else nn.conv2d
    layouts = ("NCW", "NWC") if axes == 1 else ("NCHW", "NHWC")
    for _ in range(1500):
        dtype = rng.choice([np.float32, np.float64])
        last, channels, kernels = bool(rng.integers(2)), int(rng.integers(1, 5)), int(rng.integers(1, 7))
        x = picture(rng, axes, last, channels, dtype)
        wrong = rng.random() < 0.05
        weight = rng.standard_normal((kernels, channels + wrong, *rng.integers(1, 5, axes))).astype(dtype)
        bias = rng.standard_normal(kernels + (rng.random() < 0.03)).astype(dtype) if rng.integers(2) else None
        options = {
            "stride": numbers(rng, axes, [0, 1, 1, 1, 1, 2, 2, 3]), "padding": numbers(rng, axes, [0, 0, 1, 2, 5]),
            "dilation": numbers(rng, axes, [1, 1, 1, 2]), "layout": layouts[last],
            "remainder": ("raise", "drop", "drop", "pad", "raise", "drop", "floor")[rng.integers(7)],
            "activation": rng.choice([None, "relu", "sigmoid", "tanh", "elu"], p=[0.5, 0.2, 0.15, 0.1, 0.05]),
        }  # fmt: skip
        if not wrong and rng.integers(2):
            weight = nn.pack(weight)
        mine, planned = both(call, x, weight, bias, **options)
        assert mine == planned, (x.shape, weight.shape, options)


def sliding(rng, axes, last):
    """Options of a pool, some of which do not go together."""
    return {
        "kernel_size": numbers(rng, axes, [0, 1, 2, 2, 3, 3, 5]),
        "layout": (("NCW", "NWC") if axes == 1 else ("NCHW", "NHWC"))[last],
        "stride": None if rng.integers(2) else numbers(rng, axes, [1, 1, 2, 2, 3]),
        "padding": numbers(rng, axes, [0, 0, 0, 1, 2]), "dilation": numbers(rng, axes, [1, 1, 1, 2, 7]),
        "remainder": ("raise", "drop", "drop", "pad", "pad")[rng.integers(5)],
    }  # fmt: skip


@pytest.mark.parametrize(("axes", "name"), list(itertools.product([1, 2], [*POOLS, "length"])))
def test_pools_are_those_of_the_plan(rng, axes, name):
    call = LENGTHS[axes] if name == "length" else (LINE_POOLS if axes == 1 else POOLS)[name]
    for _ in range(800):
        last = bool(rng.integers(2))
        x = picture(rng, axes, last, int(rng.integers(1, 40)), rng.choice([np.float32, np.float64, np.uint8]), -1)
        options = sliding(rng, axes, last)
        if name == "length":
            options["norm_type"] = rng.choice([1, 2, 2, 2, 3])
        elif name == "avg":
            options["count_include_pad"] = bool(rng.integers(2))
        elif name != "sum":
            options["return_indices"] = bool(rng.integers(2))
        mine, planned = both(call, x, **options)
        assert mine == planned, (x.shape, options)


@pytest.mark.parametrize("shape", [(3, 5, 64, 60), (2, 40, 33, 35), (1, 1, 300, 500)])
@pytest.mark.parametrize("last", [False, True])
def test_large_pools_are_those_of_the_plan(rng, shape, last):
    x = rng.standard_normal((shape[0], *shape[2:], shape[1]) if last else shape).astype(np.float32)
    layout = ("NCHW", "NHWC")[last]
    for kernel, stride in ((2, 2), (3, 1), (5, 3)):
        for call, options in ((nn.max_pool2d, {"return_indices": True}), (nn.avg_pool2d, {"padding": 1})):
            mine, planned = both(call, x, kernel, stride, layout=layout, remainder="drop", **options)
            assert mine == planned, (call, kernel, stride)
    lines = x[0]
    for call in (nn.max_pool1d, nn.avg_pool1d):
        mine, planned = both(call, lines, 3, 2, layout=("NCW", "NWC")[last], remainder="drop")
        assert mine == planned, call


@pytest.mark.parametrize("axes", [1, 2])
def test_gradients_of_pools_are_those_of_the_plan(rng, axes):
    grad = nn.pooling_grad
    largest, back, average, total, parts, parts_back = (
        (nn.max_pool1d, grad.max_pool1d_input, grad.avg_pool1d_input, grad.sum_pool1d_input, nn.adaptive_avg_pool1d,
         grad.adaptive_avg_pool1d_input)
        if axes == 1
        else (nn.max_pool2d, grad.max_pool2d_input, grad.avg_pool2d_input, grad.sum_pool2d_input,
              nn.adaptive_avg_pool2d, grad.adaptive_avg_pool2d_input)
    )  # fmt: skip
    taken = 0
    for _ in range(800):
        last = bool(rng.integers(2))
        x = picture(rng, axes, last, int(rng.integers(1, 40)), rng.choice([np.float32, np.float64]), -1)
        options = sliding(rng, axes, last)
        layout = options["layout"]
        try:
            y, found = largest(x, **options, return_indices=True)
        except ValueError:
            y = np.ones_like(x)
        else:
            taken += 1
            mine, planned = both(back, x.shape, found, y, layout=layout)
            assert mine == planned, (x.shape, options)
        for call, more in ((average, {"count_include_pad": bool(rng.integers(2))}), (total, {})):
            mine, planned = both(call, x.shape, y, **options, **more)
            assert mine == planned, (call, x.shape, options)
        y = parts(x, int(rng.integers(1, 4)), layout=layout)
        mine, planned = both(parts_back, x.shape, y, layout=layout)
        assert mine == planned, (x.shape, y.shape, layout)
    assert taken > 200


def test_indices_outside_of_a_plane_are_refused():
    x = np.ones((1, 1, 2, 2), np.float32)
    for index in (-1, 16):
        with pytest.raises(IndexError, match=f"indices lie from 0 to {index}|indices lie from {index}"):
            nn.pooling_grad.max_pool2d_input((1, 1, 4, 4), np.array([[[[0, index], [1, 2]]]]), x)


@pytest.mark.parametrize("axes", [1, 2])
def test_adaptive_pools_are_those_of_the_plan(rng, axes):
    average, largest = (
        (nn.adaptive_avg_pool1d, nn.adaptive_max_pool1d)
        if axes == 1
        else (nn.adaptive_avg_pool2d, nn.adaptive_max_pool2d)
    )
    for _ in range(600):
        last = bool(rng.integers(2))
        x = picture(rng, axes, last, int(rng.integers(1, 40)), rng.choice([np.float32, np.float64]), -1)
        options = {
            "output_size": numbers(rng, axes, [0, 1, 1, 2, 3, 7]),
            "layout": (("NCW", "NWC") if axes == 1 else ("NCHW", "NHWC"))[last],
        }
        mine, planned = both(average, x, **options)
        assert mine == planned, (x.shape, options)
        mine, planned = both(largest, x, **options, return_indices=bool(rng.integers(2)))
        assert mine == planned, (x.shape, options)


def layer(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", remainder="raise", flip=False,
          activation=None, out=None, workers=None):  # fmt: skip
    return _quick.layer(2, x, weight, bias, stride, padding, dilation, groups, layout, remainder, flip, activation, out,
                        workers)  # fmt: skip


def test_it_takes_what_is_common_and_leaves_the_rest():
    """That the plan is not asked is the point; every keyword that is not known here must reach it."""
    x, weight = np.ones((1, 1, 12, 12), np.float32), np.ones((4, 1, 3, 3), np.float32)
    assert layer(x, weight).shape == (1, 4, 10, 10)
    assert layer(x, nn.pack(weight), np.ones(4, np.float32), 1, (1, 1), activation="relu").shape == (1, 4, 12, 12)
    assert layer(x, weight, layout="".join("NCHW"), remainder="".join("drop")).shape == (1, 4, 10, 10)
    assert layer(x[0], weight, padding=1).shape == (4, 12, 12)
    for other in (
        {"x": x.astype(np.float16)}, {"x": x[..., ::2]}, {"x": x.tolist()}, {"x": x[:0]}, {"x": x.astype(">f4")},
        {"weight": weight.astype(np.float64)}, {"weight": weight[:0]}, {"weight": weight[0]}, {"groups": 2},
        {"x": np.ones((1, 1, 400, 400), np.float32)}, {"bias": [0, 0, 0, 0]}, {"bias": np.ones(3, np.float32)},
        {"stride": True}, {"stride": 2.0}, {"stride": 0}, {"stride": 2}, {"padding": "same"}, {"padding": -1},
        {"padding": ((1, 1), (1, 1))}, {"padding": 1 << 70}, {"dilation": np.int64(1)}, {"dilation": (1,)},
        {"layout": None}, {"layout": "nchw"}, {"layout": "NCW"}, {"remainder": "keep"}, {"flip": True},
        {"activation": "elu"}, {"activation": ["relu"]}, {"out": np.empty((1, 4, 10, 10), np.float32)}, {"workers": 1},
    ):  # fmt: skip
        assert layer(**{"x": x, "weight": weight} | other) is None, other
    assert _quick.pool(2, 0, x, 2, None, 0, 1, "NCHW", "raise", 0, False, None, None).shape == (1, 1, 6, 6)
    for y, kernel, padding in ((x, 5, 0), (x, 2, 2), (x.astype(np.int32), 2, 0)):
        assert _quick.pool(2, 0, y, kernel, None, padding, 1, "NCHW", "raise", 0, False, None, None) is None
    size = (1, 1, 12, 12)
    y, found = nn.max_pool2d(x, 2, return_indices=True)
    assert _quick.scatter(2, size, found, y, "NCHW", True, None).shape == size
    assert _quick.spread(2, size, y, 2, None, 0, 1, "NCHW", "raise", 2, None).shape == size
    assert _quick.spread_parts(2, size, y, "NCHW", None).shape == size
    for other in ((2, 1, 12, 12), (1, 3, 12, 12), (12, 12), [*size], (1, 1, 0, 12), (1, 1, 12.0, 12)):
        assert _quick.scatter(2, other, found, y, "NCHW", True, None) is None
        assert _quick.spread(2, other, y, 2, None, 0, 1, "NCHW", "raise", 2, None) is None
        assert _quick.spread_parts(2, other, y, "NCHW", None) is None
    assert _quick.scatter(2, size, found.astype(np.int32), y, "NCHW", True, None) is None
    assert _quick.scatter(2, size, found[..., :3], y, "NCHW", True, None) is None
    assert _quick.scatter(2, size, found + 144, y, "NCHW", True, None) is None
    assert _quick.spread(2, (1, 1, 14, 12), y, 2, None, 0, 1, "NCHW", "raise", 2, None) is None
