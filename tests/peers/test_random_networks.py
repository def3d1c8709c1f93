"""Layers and pools as they come, thousands of them: sizes, options, layouts and dtypes at random, beside PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import normal, same, small

from fastconv import ShapeError, nn
from fastconv.nn import grad, pooling_grad

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC")}
PARTS = range(10)  # so that a failure can be run again without the rest


def draws(part, axes, kind, count):
    for number in range(count):
        rng = np.random.default_rng([axes, ord(kind), part, number])
        yield rng, {1: "f4", 2: "f8"}[int(rng.integers(1, 3))], bool(rng.integers(2))


def whole(rng, low, high, axes):
    """One number for each axis, below `high`."""
    return tuple(map(int, rng.integers(low, high, axes)))


def moved(a, axes, last):
    """An array of channels first as the layout has it: with channels last not always in one piece."""
    return np.moveaxis(a, 1, -1) if last else a


def plain(options):
    """A number for all axes where that says the same, as users write it."""
    return {name: value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
            for name, value in options.items()}  # fmt: skip


def sizes(rng, axes):
    """Mostly small; now and then with enough channels or pixels for every loop of a kernel, and its rest."""
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels, kernels = (groups * int(rng.choice([1, 1, 2, 3, 5, 17, 35])) for _ in range(2))
    if rng.random() < 0.15:  # depthwise
        groups = channels = int(rng.integers(2, 40))
        kernels = channels * int(rng.integers(1, 3))
    size = tuple(int(rng.choice([1, 2, 3, 5, 7, 12, 19, 40])) for _ in range(axes))
    return (int(rng.integers(1, 4)), channels, *size), kernels, groups


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("part", PARTS)
def test_layers(axes, part):
    theirs, ours = getattr(F, f"conv{axes}d"), getattr(nn, f"conv{axes}d")
    done = 0
    for rng, dtype, last in draws(part, axes, "c", 60):
        shape, kernels, groups = sizes(rng, axes)
        x, bias = small(rng, shape, dtype, 2), small(rng, kernels, dtype, 2)
        weight = small(rng, (kernels, shape[1] // groups, *whole(rng, 1, 6, axes)), dtype, 2)
        pads = [whole(rng, 0, 4, 2) for _ in range(axes)] if rng.integers(2) else [
            (n, n) for n in whole(rng, 0, 4, axes)
        ]
        options = {"stride": whole(rng, 1, 4, axes), "dilation": whole(rng, 1, 4, axes), "groups": groups}
        tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
        mine = plain(options) | {"layout": LAYOUTS[axes][last], "remainder": "drop"}
        mine["padding"] = pads if any(a != b for a, b in pads) else pads[0][0] if len(set(pads)) == 1 else tuple(
            a for a, _ in pads
        )
        try:
            y = theirs(F.pad(tensors[0], [n for pair in pads[::-1] for n in pair]), *tensors[1:], **options)
        except RuntimeError:
            with pytest.raises(ShapeError, match="larger than the padded input"):
                ours(moved(x, axes, last), weight, bias, **mine)
            continue
        y_grad = small(rng, y.shape, dtype, 2)
        y.backward(torch.from_numpy(y_grad))
        to_x, to_weight, to_bias = (tensor.grad.numpy() for tensor in tensors)
        said = (shape, weight.shape, mine, dtype)
        given = moved(x, axes, last)
        same(ours(given, weight, bias, **mine), moved(y.detach().numpy(), axes, last), said)
        same(ours(given, nn.pack(weight, groups), bias, **mine), moved(y.detach().numpy(), axes, last), said)
        flipped = np.flip(weight, tuple(range(2, 2 + axes)))
        same(ours(given[0], flipped, bias, flip=True, **mine), moved(y.detach().numpy(), axes, last)[0], said)
        g = moved(y_grad, axes, last)
        same(getattr(grad, f"conv{axes}d_input")(given.shape, weight, g, **mine), moved(to_x, axes, last), said)
        same(getattr(grad, f"conv{axes}d_weight")(given, weight.shape, g, **mine), to_weight, said)
        same(grad.conv_bias(g, layout=mine["layout"]), to_bias, said)
        done += 1
    assert done > 25


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("part", PARTS)
def test_transposed_layers(axes, part):
    theirs, ours = getattr(F, f"conv_transpose{axes}d"), getattr(nn, f"conv_transpose{axes}d")
    done = 0
    for rng, dtype, last in draws(part, axes, "t", 40):
        shape, kernels, groups = sizes(rng, axes)
        x, bias = small(rng, shape, dtype, 2), small(rng, kernels, dtype, 2)
        weight = small(rng, (shape[1], kernels // groups, *whole(rng, 1, 6, axes)), dtype, 2)
        options = {"stride": whole(rng, 1, 4, axes), "dilation": whole(rng, 1, 4, axes), "groups": groups,
                   "padding": whole(rng, 0, 4, axes)}  # fmt: skip
        limits = zip(options["stride"], options["dilation"], strict=True)
        options["output_padding"] = tuple(int(rng.integers(0, max(pair))) for pair in limits)
        tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
        mine = plain(options) | {"layout": LAYOUTS[axes][last]}
        try:
            y = theirs(*tensors, **options)
        except RuntimeError:
            y = None
        if y is None or 0 in y.shape:  # no output: an error here
            with pytest.raises(ShapeError, match="give an output of"):
                ours(moved(x, axes, last), weight, bias, **mine)
            continue
        y_grad = small(rng, y.shape, dtype, 2)
        y.backward(torch.from_numpy(y_grad))
        to_x, to_weight, _ = (tensor.grad.numpy() for tensor in tensors)
        said = (shape, weight.shape, mine, dtype)
        given, g = moved(x, axes, last), moved(y_grad, axes, last)
        same(ours(given, weight, bias, **mine), moved(y.detach().numpy(), axes, last), said)
        back = getattr(grad, f"conv_transpose{axes}d_input")
        same(back(given.shape, weight, g, **mine), moved(to_x, axes, last), said)
        same(getattr(grad, f"conv_transpose{axes}d_weight")(given, weight.shape, g, **mine), to_weight, said)
        done += 1
    assert done > 20


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("part", PARTS)
def test_pools(axes, part):
    done = 0
    for rng, dtype, last in draws(part, axes, "p", 80):
        shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 7, 16, 33])), *whole(rng, 1, 40, axes))
        kernel = whole(rng, 1, 6, axes)
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        stride, ceil = whole(rng, 1, 5, axes), bool(rng.integers(2))
        largest = bool(rng.integers(2))
        x = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype) if largest else normal(rng, shape, dtype)
        given, tensor = moved(x, axes, last), torch.from_numpy(x).requires_grad_()
        mine = plain({"stride": stride, "padding": padding}) | {
            "layout": LAYOUTS[axes][last], "remainder": "pad" if ceil else "drop",
        }  # fmt: skip
        name = "max" if largest else "avg"
        ours = getattr(nn, f"{name}_pool{axes}d")
        if largest:
            mine["dilation"] = int(rng.integers(1, 3))
            how = (kernel, stride, padding, mine["dilation"], ceil, True)
        else:
            mine["count_include_pad"] = bool(rng.integers(2))
            how = (kernel, stride, padding, ceil, mine["count_include_pad"])
        try:
            answer = getattr(F, f"{name}_pool{axes}d")(tensor, *how)
        except RuntimeError:
            continue
        y, indices = answer if largest else (answer, None)
        if torch.isinf(y).any():  # a window has seen nothing
            with pytest.raises(ShapeError, match="nothing but padding"):
                ours(given, kernel, **mine)
            continue
        y_grad = normal(rng, y.shape, dtype)
        y.backward(torch.from_numpy(y_grad))
        said = str((shape, kernel, mine, dtype))
        eps = 20 * np.finfo(dtype).eps
        expected, g, to_x = (moved(a, axes, last) for a in (y.detach().numpy(), y_grad, tensor.grad.numpy()))
        back = getattr(pooling_grad, f"{name}_pool{axes}d_input")
        if largest:
            values, found = ours(given, kernel, **mine, return_indices=True)
            same(values, np.ascontiguousarray(expected), said)
            np.testing.assert_array_equal(found, moved(indices.numpy(), axes, last), said)
            same(ours(given, kernel, **mine), values, said)
            result = back(given.shape, found, g, layout=mine["layout"])
        else:
            np.testing.assert_allclose(ours(given, kernel, **mine), expected, rtol=eps, atol=eps, err_msg=said)
            result = back(given.shape, g, kernel, **mine)
        np.testing.assert_allclose(result, to_x, rtol=10 * eps, atol=10 * eps, err_msg=said)
        done += 1
    assert done > 30
