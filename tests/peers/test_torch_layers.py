"""conv1d, conv2d, their transposed forms and all gradients beside PyTorch's, option by option."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import normal, same, small
from layer_cases import CASES
from torch_answers import answers

from fastconv import nn

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def last(array):
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


@EVERY_CASE
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_forward_and_backward(case, dtype, rng):
    if 0 in case.input:
        return  # PyTorch takes no pictures without pixels
    x, weight, bias = case.draw(rng, dtype, 2)
    grad = small(rng, case.output, dtype, 2)
    y, to_input, to_weight, to_bias = answers(case, x, weight, bias, grad)
    for layout, of in (("NCHW", lambda a: a), ("NHWC", last)):
        options = case.options | {"layout": layout}
        same(nn.conv2d(of(x), weight, bias, **options), of(y).copy())
        same(nn.grad.conv2d_input(of(x).shape, weight, of(grad), **options), of(to_input))
        same(nn.grad.conv2d_weight(of(x), weight.shape, of(grad), **options), to_weight)
        same(nn.grad.conv_bias(of(grad), layout=layout), to_bias)


def drawn(rng, ndim):
    """Sizes and options of a layer on lines or pictures, of any kind."""
    groups = int(rng.integers(1, 4))
    channels, kernels = (groups * int(n) for n in rng.integers(1, 4, 2))
    size, taps, stride, padding, dilation = (
        tuple(map(int, rng.integers(low, high, ndim))) for low, high in ((1, 14), (1, 5), (1, 4), (0, 5), (1, 4))
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (int(rng.integers(1, 4)), channels, *size), kernels, taps, options


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("seed", range(60))
def test_any_layer(ndim, seed):
    rng = np.random.default_rng(seed)
    shape, kernels, taps, options = drawn(rng, ndim)
    x, weight = small(rng, shape, "f8"), small(rng, (kernels, shape[1] // options["groups"], *taps), "f8")
    bias = small(rng, kernels, "f8")
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    ours, theirs = getattr(nn, f"conv{ndim}d"), getattr(F, f"conv{ndim}d")
    try:
        y = theirs(*tensors, **options)
    except RuntimeError:
        with pytest.raises(ValueError, match="larger than the padded input"):
            ours(x, weight, bias, **options, remainder="drop")
        return
    g = small(rng, y.shape, "f8")
    y.backward(torch.from_numpy(g))
    options["remainder"] = "drop"
    same(ours(x, weight, bias, **options), y.detach().numpy())
    same(ours(x[0], weight, bias, **options), y[0].detach().numpy())
    same(getattr(nn.grad, f"conv{ndim}d_input")(x.shape, weight, g, **options), tensors[0].grad.numpy())
    same(getattr(nn.grad, f"conv{ndim}d_weight")(x, weight.shape, g, **options), tensors[1].grad.numpy())


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("seed", range(60))
def test_any_transposed_layer(ndim, seed):
    rng = np.random.default_rng(seed)
    shape, kernels, taps, options = drawn(rng, ndim)
    x, weight = small(rng, shape, "f8"), small(rng, (shape[1], kernels // options["groups"], *taps), "f8")
    bias = small(rng, kernels, "f8")
    limits = zip(options["stride"], options["dilation"], strict=True)
    options["output_padding"] = tuple(int(rng.integers(0, max(pair))) for pair in limits)
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    ours, theirs = getattr(nn, f"conv_transpose{ndim}d"), getattr(F, f"conv_transpose{ndim}d")
    try:
        y = theirs(*tensors, **options)
    except RuntimeError:
        with pytest.raises(ValueError, match="give an output of"):
            ours(x, weight, bias, **options)
        return
    g = small(rng, y.shape, "f8")
    y.backward(torch.from_numpy(g))
    same(ours(x, weight, bias, **options), y.detach().numpy())
    same(getattr(nn.grad, f"conv_transpose{ndim}d_input")(x.shape, weight, g, **options), tensors[0].grad.numpy())
    same(getattr(nn.grad, f"conv_transpose{ndim}d_weight")(x, weight.shape, g, **options), tensors[1].grad.numpy())


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_activations(dtype, activation, rng):
    x, weight, bias = normal(rng, (2, 5, 9, 8), dtype), normal(rng, (7, 5, 3, 3), dtype), normal(rng, 7, dtype)
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    y = getattr(torch, activation)(F.conv2d(*tensors, padding=1))
    g = normal(rng, y.shape, dtype)
    y.backward(torch.from_numpy(g))
    found = nn.conv2d(x, weight, bias, padding=1, activation=activation)
    tolerance = {"rtol": 200 * np.finfo(dtype).eps, "atol": 200 * np.finfo(dtype).eps}
    np.testing.assert_allclose(found, y.detach().numpy(), **tolerance)
    before = nn.grad.activation(found, g, activation)
    to_input = nn.grad.conv2d_input(x.shape, weight, before, padding=1)
    np.testing.assert_allclose(to_input, tensors[0].grad.numpy(), **tolerance)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding, rng):
    x, weight = small(rng, (2, 3, 9, 8), "f8"), small(rng, (4, 3, 4, 3), "f8")
    for dilation in (1, 2, (2, 1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an even kernel costs PyTorch a copy of the input
            expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=padding, dilation=dilation)
        same(nn.conv2d(x, weight, padding=padding, dilation=dilation), expected.numpy())
