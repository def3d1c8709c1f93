"""What layers and pools need beside their arrays: at most 16 MB, or a tenth of them. Linux only: see conftest.py."""

import pytest

CODE = """
import numpy as np
from fastconv import nn
from fastconv.nn import grad, pooling_grad


def field(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def ones(*shape, dtype="f4"):
    return np.ones(shape, dtype)


LAYERS = {
    "3x3": ((8, 64, 112, 112), (64, 64, 3, 3), {"padding": 1}),
    "1x1": ((4, 256, 56, 112), (64, 256, 1, 1), {}),
    "stride": ((8, 64, 112, 112), (32, 64, 3, 3), {"padding": 1, "stride": 2, "remainder": "drop"}),
    "groups": ((8, 64, 112, 112), (64, 16, 3, 3), {"padding": 1, "groups": 4}),
    "depthwise": ((8, 64, 112, 112), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
    "photograph": ((1, 3, 2000, 1600), (8, 3, 5, 5), {"padding": 2, "dilation": 1}),
    "deep": ((8, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    "line": ((2, 1, 1, 4000000), (2, 1, 1, 31), {}),
}
POOLS = {
    "max": nn.max_pool2d, "avg": nn.avg_pool2d, "sum": nn.sum_pool2d,
    "lp": lambda x, *rest, **options: nn.lp_pool2d(x, 2, *rest, **options),
}


def work(kind, name, layout, dtype):
    '''The arrays of a call, and the call.'''
    if kind == "pool":
        x = ones(*((16, 64, 112, 112) if layout == "NCHW" else (16, 112, 112, 64)), dtype=dtype)
        options = {"layout": layout, "remainder": "drop"}
        if name == "indices":
            return [x], lambda: nn.max_pool2d(x, 3, 2, 1, return_indices=True, **options)
        if name == "max gradient":
            y, found = nn.max_pool2d(x, 3, 2, 1, return_indices=True, **options)
            return [x, y, found], lambda: pooling_grad.max_pool2d_input(x.shape, found, y, layout=layout)
        if name == "avg gradient":
            y = nn.avg_pool2d(x, 3, 2, 1, **options)
            return [x, y], lambda: pooling_grad.avg_pool2d_input(x.shape, y, 3, 2, 1, **options)
        if name == "adaptive":
            return [x], lambda: nn.adaptive_avg_pool2d(x, 7, layout=layout)
        return [x], lambda: POOLS[name](x, 3, 2, 1, **options)
    shape, taps, options = LAYERS[name]
    weight = ones(*taps, dtype=dtype)
    if layout == "NHWC":
        shape = (shape[0], *shape[2:], shape[1])
    options = options | {"layout": layout}
    x = ones(*shape, dtype=dtype)
    y = nn.conv2d(x, weight, **options)
    packed = nn.pack(weight, options.get("groups", 1))
    calls = {
        "forward": lambda: nn.conv2d(x, packed, activation="relu", **options),
        "input gradient": lambda: grad.conv2d_input(x.shape, weight, y, **options),
        "weight gradient": lambda: grad.conv2d_weight(x, taps, y, **options),
        "bias gradient": lambda: grad.conv_bias(y, layout=layout),
    }
    return [x, y, weight], calls[kind]


for layout in ("NCHW", "NHWC"):
    for dtype in ("f4", "f8"):
        arrays, call = work(KIND, NAME, layout, dtype)
        before = field("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        result = call()
        results = result if isinstance(result, tuple) else (result,)
        scratch = field("VmHWM") - before - sum(a.nbytes for a in results)
        if KIND in ("input gradient", "weight gradient"):
            scratch -= arrays[2].nbytes  # the packed weight, or its gradient as long as that is packed
        total = sum(a.nbytes for a in (*arrays, *results))
        allowed = max(16 << 20, total // 10)
        if scratch > allowed:
            print(layout, dtype, f"{scratch >> 20} MB beside {total >> 20} MB")
        del arrays, call, result, results
"""

# Of any size that matters, what is freed goes back at once, so that it cannot serve unseen.
ENVIRONMENT = {"FASTCONV_NUM_THREADS": "2", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
LAYERS = ("3x3", "1x1", "stride", "groups", "depthwise", "photograph", "deep", "line")
POOLS = ("max", "avg", "sum", "lp", "adaptive", "indices", "max gradient", "avg gradient")


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", ["forward", "input gradient", "weight gradient", "bias gradient"])
def test_layers(child, kind, name):
    assert child(f"KIND, NAME = {kind!r}, {name!r}\n{CODE}", **ENVIRONMENT) == ""


@pytest.mark.parametrize("name", POOLS)
def test_pools(child, name):
    assert child(f"KIND, NAME = 'pool', {name!r}\n{CODE}", **ENVIRONMENT) == ""


def test_what_is_measured(child):
    """A call that makes a copy on its way is seen."""
    code = CODE.replace("result = call()", "result = (call(), x := arrays[0] * 2)[0]; del x")
    assert "MB beside" in child(f"KIND, NAME = 'pool', 'max'\n{code}", **ENVIRONMENT)
