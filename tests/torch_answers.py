"""PyTorch's answers to the layers of layer_cases; for tests/peers, and for the record that the other tests read."""

import numpy as np
import torch
import torch.nn.functional as F
from layer_cases import pads_and_count


def answers(case, x, weight, bias, grad):
    """Output, and gradients of input, weight and bias, from that of the output."""
    (top, bottom), (left, right) = pads_and_count(case)[0]
    rows, columns = pads_and_count(case)[1]
    stride, dilation = (tuple(np.broadcast_to(value, 2).tolist()) for value in (case.stride, case.dilation))
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    padded = F.pad(tensors[0], (left, right, top, bottom))
    y = F.conv2d(padded, *tensors[1:], stride, 0, dilation, case.groups)[:, :, :rows, :columns]
    y.backward(torch.from_numpy(grad))
    return [y.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors)]


def network(classes, channels, side, dtype=torch.float64):
    """A small network of every layer that learns."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3), torch.nn.Tanh(), torch.nn.AvgPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(6 * ((side // 2 - 2) // 2) ** 2, 12), torch.nn.Sigmoid(), torch.nn.Linear(12, classes),
    ).to(dtype)  # fmt: skip


def losses(net, optimizer, pictures, labels, steps, batch):
    """The loss before each of so many steps."""
    found = []
    for step in range(steps):
        at = np.arange(step * batch, (step + 1) * batch) % len(pictures)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(torch.from_numpy(pictures[at])), torch.from_numpy(labels[at]))
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)
