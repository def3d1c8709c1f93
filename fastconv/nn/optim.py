"""How parameters go down the slope: the update rules of `torch.optim`, to the letter.

An optimiser is made with a network's parameters; `step` moves each against its gradient.
"""
from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .layers import Parameter

__all__ = ["SGD", "Adam"]


class SGD:
    r"""
    Gradient descent with momentum, as `torch.optim.SGD`.

    .. math:: v \leftarrow \mu v + (1 - \tau) g, \qquad \theta \leftarrow \theta - \eta v

    Parameters
    ----------
    parameters : mapping of str to Parameter
        What ``network.parameters()`` gives.
    lr : float, optional
        The learning rate, :math:`\eta`.
    momentum : float, optional
        How much of the last step's velocity is kept, :math:`\mu`.
    dampening : float, optional
        What is held back of the gradient, :math:`\tau`, from the second step on.
    weight_decay : float, optional
        How much of the parameter itself is added to its gradient.
    nesterov : bool, optional
        Step by :math:`g + \mu v`: the gradient where the momentum leads.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> weight = nn.layers.Parameter(np.array([1.0, 2.0]))
    >>> descent = nn.optim.SGD({"weight": weight}, lr=0.5)
    >>> weight.grad = np.array([1.0, -1.0])
    >>> descent.step()
    >>> weight.value
    array([0.5, 2.5])
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        _check(lr=(lr, 0, math.inf), momentum=(momentum, 0, math.inf), weight_decay=(weight_decay, 0, math.inf))
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and a dampening of 0")
        self.parameters = dict(parameters)
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self._velocity: dict[str, np.ndarray] = {}

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            grad = parameter.grad
            if self.weight_decay:
                grad = grad + self.weight_decay * parameter.value
            if self.momentum:
                if name in self._velocity:
                    velocity = self._velocity[name]
                    velocity *= self.momentum
                    velocity += (1 - self.dampening) * grad
                else:
                    velocity = self._velocity[name] = grad.copy()
                grad = grad + self.momentum * velocity if self.nesterov else velocity
            parameter.value -= self.lr * grad


class Adam:
    r"""
    Gradient descent whose steps are scaled by how large gradients have been, as `torch.optim.Adam`.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        \theta \leftarrow \theta - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    parameters : mapping of str to Parameter
        What ``network.parameters()`` gives.
    lr : float, optional
        The learning rate, :math:`\eta`.
    betas : pair of float, optional
        How much of the running means of the gradient and of its square is kept at each step.
    eps : float, optional
        Keeps the divisor from 0.
    weight_decay : float, optional
        How much of the parameter itself is added to its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> weight = nn.layers.Parameter(np.array([1.0, 2.0]))
    >>> descent = nn.optim.Adam({"weight": weight}, lr=0.5)
    >>> weight.grad = np.array([100.0, -0.01])
    >>> descent.step()
    >>> weight.value.round(3)                       # the first step is as long for any gradient
    array([0.5, 2.5])
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        _check(lr=(lr, 0, math.inf), eps=(eps, 0, math.inf), weight_decay=(weight_decay, 0, math.inf),
               **{f"betas[{i}]": (beta, 0, 1) for i, beta in enumerate(betas)})  # fmt: skip
        self.parameters = dict(parameters)
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self._means: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._steps: dict[str, int] = {}

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            grad, (beta1, beta2) = parameter.grad, self.betas
            if self.weight_decay:
                grad = grad + self.weight_decay * parameter.value
            if name not in self._means:
                self._means[name], self._steps[name] = (np.zeros_like(grad), np.zeros_like(grad)), 0
            mean, square = self._means[name]
            self._steps[name] += 1
            mean += (1 - beta1) * (grad - mean)
            square *= beta2
            square += (1 - beta2) * grad * grad
            # Both means begin at 0, and are divided by what of them can have come together since.
            divisor = np.sqrt(square) / math.sqrt(1 - beta2 ** self._steps[name]) + self.eps
            parameter.value -= self.lr / (1 - beta1 ** self._steps[name]) * mean / divisor


def _check(**numbers: tuple[float, float, float]) -> None:
    """Each from its least value up to, and without, its limit."""
    for name, (value, least, limit) in numbers.items():
        if not least <= value < limit:
            raise ValueError(f"{name} is {value}; it needs a number from {least} up to {limit}")
