"""Writes tests/nn/pytorch_layers.npz: PyTorch's answers, for the tests that run without it.

    python tests/peers/record_layers.py
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import small
from layer_cases import CASES
from torch_answers import answers, losses, network


def layers(rng):
    """Input, weight, bias, gradient of the output, and PyTorch's answers, one after the other, for small cases."""
    for case in CASES:
        if 0 not in case.input and np.prod(case.input) + np.prod(case.weight) <= 1500:
            given = *case.draw(rng, top=2), small(rng, case.output, "f8", 2)
            numbers = np.concatenate([array.ravel() for array in (*given, *answers(case, *given))])
            whole = numbers.astype(np.int16)
            assert np.array_equal(whole, numbers)
            yield case.name, whole


def training(rng):
    """Pictures, a network's first weights, and the loss of 50 steps by each optimiser."""
    pictures, labels = rng.integers(0, 17, (64, 2, 10, 10)) / 16, rng.integers(0, 5, 64)
    yield "training: pictures", (pictures * 16).astype(np.int8)
    yield "training: labels", labels.astype(np.int8)
    for name, make in {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, weight_decay=0.01, nesterov=True),
        "damped": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "adam, decay": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.02),
    }.items():
        torch.manual_seed(1)
        net = network(5, 2, 10)
        if name == "sgd":
            for key, value in net.state_dict().items():
                yield f"training: {key}", value.numpy().copy()
        yield f"training: losses of {name}", losses(net, make(net.parameters()), pictures, labels, 50, 16)


if __name__ == "__main__":
    rng = np.random.default_rng(5)
    record = dict(layers(rng)) | dict(training(rng)) | {"version": np.array(torch.__version__)}
    np.savez_compressed(Path(__file__).parents[1] / "nn" / "pytorch_layers.npz", **record)
    print(f"{len(record)} arrays of PyTorch {torch.__version__}")
