"""Networks that are trained beside PyTorch's, from the same weights, step by step."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch_answers import losses, network

from fastconv import nn
from fastconv.nn.layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Sigmoid, Tanh

OPTIMIZERS = {
    "SGD": {"lr": 0.05},
    "SGD momentum": {"lr": 0.02, "momentum": 0.9},
    "SGD Nesterov": {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    "Adam": {"lr": 3e-3},
    "Adam decay": {"lr": 3e-3, "betas": (0.85, 0.98), "eps": 1e-5, "weight_decay": 1e-2},
}


def lenet(dtype):
    """LeNet, as both have it."""
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 16, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(400, 120), torch.nn.ReLU(), torch.nn.Linear(120, 84), torch.nn.ReLU(), torch.nn.Linear(84, 10),
    ).to(dtype)  # fmt: skip
    ours = Sequential(
        Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
        Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10),
    )  # fmt: skip
    return ours, theirs


def other(dtype):
    theirs = network(4, 3, 14, dtype)
    ours = Sequential(
        Conv2d(3, 4, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(4, 6, 3), Tanh(), AvgPool2d(2, remainder="drop"),
        Flatten(), Linear(24, 12), Sigmoid(), Linear(12, 4),
    )  # fmt: skip
    return ours, theirs


@pytest.mark.parametrize("options", OPTIMIZERS)
@pytest.mark.parametrize(("make", "shape", "classes"), [(lenet, (1, 28, 28), 10), (other, (3, 14, 14), 4)])
def test_fifty_steps(make, shape, classes, options, rng):
    torch.manual_seed(3)
    ours, theirs = make(torch.float64)
    for parameter, tensor in zip(ours.parameters().values(), theirs.parameters(), strict=True):
        parameter.value = tensor.detach().numpy().copy()
    kinds, labels = rng.random((classes, *shape)), rng.integers(0, classes, 96)
    pictures = kinds[labels] + 0.2 * rng.standard_normal((96, *shape))
    name, options = options.split()[0], OPTIMIZERS[options]
    expected = losses(theirs, getattr(torch.optim, name)(theirs.parameters(), **options), pictures, labels, 50, 32)
    optimizer = getattr(nn.optim, name)(ours.parameters(), **options)
    found = []
    for step in range(50):
        at = np.arange(step * 32, (step + 1) * 32) % 96
        found.append(ours.step(pictures[at], labels[at], optimizer))
    assert expected[-1] < expected[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_first_weights_are_drawn_as_pytorch_draws_them():
    """Even, within the same bounds."""
    ours, theirs = lenet(torch.float32)
    for parameter, tensor in zip(ours.parameters().values(), theirs.parameters(), strict=True):
        assert parameter.value.shape == tuple(tensor.shape)
        bound = 1 / np.sqrt(np.prod(tensor.shape[1:])) if tensor.ndim > 1 else bound  # noqa: F821
        for drawn in (parameter.value, tensor.detach().numpy()):
            assert np.abs(drawn).max() <= bound
            if drawn.size > 100:
                assert np.abs(drawn).max() > 0.95 * bound
                assert abs(drawn.std() - bound / np.sqrt(3)) < 0.1 * bound


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_cross_entropy(dtype, rng):
    scores, labels = (10 * rng.standard_normal((40, 7))).astype(dtype), rng.integers(0, 7, 40)
    tensor = torch.from_numpy(scores).requires_grad_()
    expected = F.cross_entropy(tensor, torch.from_numpy(labels))
    expected.backward()
    loss, grad = nn.softmax_cross_entropy(scores, labels)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(loss, expected.item(), rtol=20 * eps)
    np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=100 * eps, atol=eps)
    assert grad.dtype == dtype
