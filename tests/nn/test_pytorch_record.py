"""PyTorch's answers, as tests/peers/record_layers.py wrote them down: values exactly, training to 1e-9."""

from pathlib import Path

import numpy as np
import pytest
from helpers import same
from layer_cases import CASES

from fastconv import nn
from fastconv.nn.layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Sigmoid, Tanh

with np.load(Path(__file__).with_name("pytorch_layers.npz")) as _file:
    RECORD = dict(_file)

RECORDED = [case for case in CASES if case.name in RECORD]


def last(array):
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


def test_there_is_a_record_of_most_cases():
    assert len(RECORDED) > len(CASES) * 2 / 3
    assert str(RECORD["version"]).startswith("2.13")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_layers(case, dtype):
    shapes = [case.input, case.weight, case.weight[:1], case.output]
    ends = np.cumsum([np.prod(shape) for shape in [*shapes, case.output, *shapes[:3]]])
    x, weight, bias, grad, y, to_input, to_weight, to_bias = (
        part.reshape(shape).astype(dtype)
        for part, shape in zip(np.split(RECORD[case.name], ends[:-1]), [*shapes, case.output, *shapes[:3]], strict=True)
    )
    for layout, of in (("NCHW", lambda array: array), ("NHWC", last)):
        options = case.options | {"layout": layout}
        same(nn.conv2d(of(x), weight, bias, **options), of(y))
        same(nn.grad.conv2d_input(of(x).shape, weight, of(grad), **options), of(to_input))
        same(nn.grad.conv2d_weight(of(x), weight.shape, of(grad), **options), to_weight)
        same(nn.grad.conv_bias(of(grad), layout=layout), to_bias)


OPTIMIZERS = {
    "sgd": lambda p: nn.optim.SGD(p, lr=0.05, momentum=0.9),
    "nesterov": lambda p: nn.optim.SGD(p, lr=0.02, momentum=0.8, weight_decay=0.01, nesterov=True),
    "damped": lambda p: nn.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
    "adam": lambda p: nn.optim.Adam(p, lr=0.01),
    "adam, decay": lambda p: nn.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.02),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_of_training(name):
    """From the same weights the same losses, in float64; over 50 steps any difference would have grown."""
    net = Sequential(
        Conv2d(2, 4, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(4, 6, 3), Tanh(), AvgPool2d(2, remainder="drop"),
        Flatten(), Linear(6, 12), Sigmoid(), Linear(12, 5),
    )  # fmt: skip
    for key, parameter in net.parameters().items():
        parameter.value = RECORD[f"training: {key}"].copy()
    pictures, labels = RECORD["training: pictures"] / 16, RECORD["training: labels"]
    expected, optimizer = RECORD[f"training: losses of {name}"], OPTIMIZERS[name](net.parameters())
    assert expected[-1] < expected[0]
    for step, loss in enumerate(expected):
        at = np.arange(step * 16, (step + 1) * 16) % len(pictures)
        found = net.step(pictures[at], labels[at], optimizer)
        np.testing.assert_allclose(found, loss, rtol=0, atol=1e-9, err_msg=f"step {step}")
