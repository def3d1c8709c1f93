"""A training step of LeNet: forward, backward, and the step of the optimiser, from the same weights."""
from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastconv import nn
from fastconv.nn.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

from .common import Calls, _Job, draw, torch

PEERS = ["fastconv", "torch"]


def lenet() -> Sequential:
    return Sequential(
        Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
        Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10),
    )  # fmt: skip


def theirs(weights: list[np.ndarray]) -> torch.nn.Sequential:
    """The same of PyTorch, with these weights."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 16, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(400, 120), torch.nn.ReLU(), torch.nn.Linear(120, 84), torch.nn.ReLU(), torch.nn.Linear(84, 10),
    )  # fmt: skip
    with torch.no_grad():
        for tensor, weight in zip(net.parameters(), weights, strict=True):
            tensor.copy_(torch.from_numpy(weight))
    return net


class TrainingStep(_Job):
    """A step returns the loss before it; the first ones are compared: both learn, and the same."""

    params: ClassVar = [["SGD 64x1x28x28", "Adam 64x1x28x28"], PEERS]

    def setup(self, case: str, peer: str) -> None:
        super().setup(case, peer)
        if peer != "fastconv":
            np.testing.assert_allclose([self.call() for _ in range(5)], [self.ours() for _ in range(5)], rtol=1e-3)

    def calls(self, case: str) -> Calls:
        name, shape = case.split()
        pictures = draw(tuple(map(int, shape.split("x"))), "float32")
        labels = np.arange(len(pictures)) % 10
        net = lenet()
        optimizer = getattr(nn.optim, name)(net.parameters(), lr=1e-3)
        calls = {"fastconv": lambda: net.step(pictures, labels, optimizer)}
        if torch:
            other = theirs([parameter.value for parameter in net.parameters().values()])
            descent = getattr(torch.optim, name)(other.parameters(), lr=1e-3)
            x, y = torch.from_numpy(pictures), torch.from_numpy(labels)

            def step() -> float:
                descent.zero_grad()
                loss = torch.nn.functional.cross_entropy(other(x), y)
                loss.backward()
                descent.step()
                return loss.item()

            calls["torch"] = step
        return calls

    def time_call(self, case: str, peer: str) -> None:
        self.call()
