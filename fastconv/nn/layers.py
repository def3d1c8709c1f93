"""A network that learns its kernels: layers, and how they are trained.

A layer knows two things. `forward`: what it makes of its input. `backward`: given the gradient of the loss with
respect to what it made, the gradients with respect to its parameters, which it keeps, and to its input, which it
returns, so that the layer before can go on. That is the chain rule, and all there is to it:

    scores = network.forward(pictures, training=True)
    loss, slope = softmax_cross_entropy(scores, labels)
    network.backward(slope)
    optimizer.step()

`Sequential.fit` does this batch after batch. The sums behind the layers are those of `fastconv.nn.conv2d` and its
fellows; nothing here loops over pixels.
"""
from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .._plan.layers import ACTIVATIONS
from .._plan.sizes import ShapeError, per_axis
from . import grad as gradients
from .functional import conv1d, conv2d
from .pooling import avg_pool2d, max_pool2d

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "softmax_cross_entropy",
]


class Parameter:
    """An array that is learned, `value`, and the gradient that the last `backward` found for it, `grad`."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value
        self.grad: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Parameter(shape={self.value.shape}, dtype={self.value.dtype})"


class Layer:
    """What every layer has."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """What the layer makes of a batch. In training it keeps what `backward` will need."""
        raise NotImplementedError

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        """Take the gradient of what `forward` gave last; keep that of each parameter and return that of the input.

        Without `input_grad`, where nobody asks for it, the latter may be left out.
        """
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name in ("_kept", "_shape", "_scale"):
            raise AttributeError(f"{self!r} has nothing to go back from: backward follows forward(x, training=True)")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def parameters(self) -> dict[str, Parameter]:
        """What the layer learns, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to a file (.npz): the whole of it, or what was there before stays."""
        target = Path(path).resolve()
        temporary = target.with_name(f".{target.name}-{os.getpid()}.tmp")
        values: dict[str, Any] = {name: parameter.value for name, parameter in self.parameters().items()}
        try:
            with open(temporary, "wb") as file:
                np.savez(file, **values)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the parameters from a file that `save` wrote: all of them, or none if one does not fit."""
        with open(path, "rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                raise ValueError(f"{path} holds one array; a layer is loaded from what its save() wrote")
            values = dict(found)
        parameters = self.parameters()
        if values.keys() != parameters.keys():
            raise ValueError(f"{path} holds {_listed(values)}; this network has {_listed(parameters)}")
        for name, parameter in parameters.items():
            if values[name].shape != parameter.value.shape:
                raise ShapeError(
                    f"{path} holds {name!r} of shape {values[name].shape}; here it has {parameter.value.shape}"
                )
        for name, parameter in parameters.items():
            parameter.value[...] = values[name]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Conv2d(Layer):
    """
    A convolution layer: `out_channels` kernels, each of which sees all `in_channels` of its group.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or pair of int
        Taps of a kernel, down and across.
    stride, padding, dilation, groups, layout, remainder
        As in `fastconv.nn.conv2d`.
    bias : bool, optional
        Whether a number is learned for each output channel that is added to it.
    activation : {'relu', 'sigmoid', 'tanh'}, optional
        Applied as the output is written, which saves a layer of its own and its way through memory.
    dtype : dtype, optional
        Of the parameters.
    rng : numpy.random.Generator or int, optional
        Where the first values come from: evenly out of -1/sqrt(n) to 1/sqrt(n), n being the taps that are summed
        into an output, as in PyTorch. Layers of one network should share one generator.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        activation: str | None = None,
        layout: str = "NCHW",
        remainder: str = "raise",
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        _check_counts(in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ShapeError(f"groups is {groups}, which does not divide {in_channels} and {out_channels} channels")
        rng = np.random.default_rng(rng)
        shape = out_channels, in_channels // groups, *per_axis(kernel_size, "kernel_size", 2)
        self.weight = _drawn(rng, shape, math.prod(shape[1:]), dtype)
        self.bias = _drawn(rng, (out_channels,), math.prod(shape[1:]), dtype) if bias else None
        self.activation = activation
        self.options: dict[str, Any] = {
            "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout,
            "remainder": remainder,
        }  # fmt: skip

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        bias = None if self.bias is None else self.bias.value
        y = conv2d(x, self.weight.value, bias, activation=self.activation, **self.options)
        if training:
            self._kept = x, y
        return y

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        x, y = self._kept
        if self.activation is not None:
            grad = gradients.activation(y, grad, self.activation)
        self.weight.grad = gradients.conv2d_weight(x, self.weight.value.shape, grad, **self.options)
        if self.bias is not None:
            self.bias.grad = gradients.conv_bias(grad, layout=self.options["layout"])
        return gradients.conv2d_input(x.shape, self.weight.value, grad, **self.options) if input_grad else None

    def __repr__(self) -> str:
        k, c, *kernel = self.weight.value.shape
        said = "" if self.activation is None else f", {self.activation}"
        return f"Conv2d({c * self.options['groups']} to {k}, {_by(kernel)}{said})"


class MaxPool2d(Layer):
    """The largest value of each window; parameters as in `fastconv.nn.max_pool2d`.

    Only the pixel that was the largest had a say in the output, so only it gets the gradient.
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, layout: str = "NCHW",
        remainder: str = "raise",
    ) -> None:  # fmt: skip
        self.options: dict[str, Any] = {
            "kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation, "layout": layout,
            "remainder": remainder,
        }  # fmt: skip

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y: np.ndarray
        if training:
            y, indices = max_pool2d(x, return_indices=True, **self.options)
            self._kept = x.shape, indices
        else:
            y = max_pool2d(x, **self.options)
        return y

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        return gradients.max_pool2d_input(*self._kept, grad, layout=self.options["layout"])

    def __repr__(self) -> str:
        return f"MaxPool2d({_by(per_axis(self.options['kernel_size'], 'kernel_size', 2))})"


class AvgPool2d(Layer):
    """The mean of each window, which shares its gradient evenly; parameters as in `fastconv.nn.avg_pool2d`."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, *, count_include_pad: bool = True,
        layout: str = "NCHW", remainder: str = "raise",
    ) -> None:  # fmt: skip
        self.options: dict[str, Any] = {
            "kernel_size": kernel_size, "stride": stride, "padding": padding, "count_include_pad": count_include_pad,
            "layout": layout, "remainder": remainder,
        }  # fmt: skip

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if training:
            self._shape = x.shape
        return avg_pool2d(x, **self.options)

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        return gradients.avg_pool2d_input(self._shape, grad, **self.options)

    def __repr__(self) -> str:
        return f"AvgPool2d({_by(per_axis(self.options['kernel_size'], 'kernel_size', 2))})"


class _Activation(Layer):
    """A function of each value by itself, whose slope can be told from what it gave."""

    name: str

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y = np.empty(x.shape, x.dtype)
        ACTIVATIONS[self.name](x, y)
        if training:
            self._kept = y
        return y

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        return gradients.activation(self._kept, grad, self.name)


class ReLU(_Activation):
    """max(x, 0): what is negative becomes 0."""

    name = "relu"


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)): between 0 and 1."""

    name = "sigmoid"


class Tanh(_Activation):
    """The hyperbolic tangent: between -1 and 1."""

    name = "tanh"


class Flatten(Layer):
    """Each picture's values in one row, as `Linear` takes them."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if training:
            self._shape = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        return grad.reshape(self._shape)


class Linear(Layer):
    """
    Every output a weighted sum of all inputs.

    The batch is a line of N samples here, its features are channels, and each kernel has a single tap: so it is a
    convolution layer, too, and the threads of another library need not take turns with those of this one.

    Parameters
    ----------
    in_features, out_features : int
        Values of the input and of the output.
    bias, dtype, rng
        As in `Conv2d`.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = np.float32, rng: Any = None
    ) -> None:
        _check_counts(in_features=in_features, out_features=out_features)
        rng = np.random.default_rng(rng)
        self.weight = _drawn(rng, (out_features, in_features), in_features, dtype)
        self.bias = _drawn(rng, (out_features,), in_features, dtype) if bias else None

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if x.ndim != 2 or x.shape[1] != self.weight.value.shape[1]:
            raise ShapeError(f"the input has shape {x.shape}; this layer needs (N, {self.weight.value.shape[1]})")
        if training:
            self._kept = x
        bias = None if self.bias is None else self.bias.value
        return conv1d(x, self.weight.value[..., None], bias, layout="NWC")

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        x, taps = self._kept, self.weight.value[..., None]
        self.weight.grad = gradients.conv1d_weight(x, taps.shape, grad, layout="NWC")[..., 0]
        if self.bias is not None:
            self.bias.grad = gradients.conv_bias(grad, layout="NWC")
        return gradients.conv1d_input(x.shape, taps, grad, layout="NWC") if input_grad else None

    def __repr__(self) -> str:
        outputs, inputs = self.weight.value.shape
        return f"Linear({inputs} to {outputs})"


class Dropout(Layer):
    """In training, sets values to 0 with probability `p` and divides the others by 1 - p; otherwise does nothing.

    A network that cannot count on any one value learns to look at several.
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"p is {p}; it needs a probability below 1")
        self.p = p
        self._rng = np.random.default_rng(rng)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if not training:
            return x
        kept = self._rng.random(x.shape) >= self.p
        self._scale = (kept / (1 - self.p)).astype(x.dtype)
        y: np.ndarray = x * self._scale
        return y

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        return grad * self._scale

    def __repr__(self) -> str:
        return f"Dropout({self.p:g})"


class Optimizer(Protocol):
    """What `fit` needs of an optimiser."""

    def step(self) -> None: ...


Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def softmax_cross_entropy(scores: np.ndarray, labels: Any) -> tuple[float, np.ndarray]:
    r"""
    How surprised a network is by the labels, as `torch.nn.functional.cross_entropy`; and the gradient of that.

    .. math:: L = -\frac{1}{N} \sum_n \log \frac{e^{s_{n l_n}}}{\sum_k e^{s_{nk}}}

    Parameters
    ----------
    scores : ndarray, shape (N, K)
        What the network gives for each picture and class.
    labels : array_like of int, shape (N,)
        The class of each picture, 0 to K - 1.

    Returns
    -------
    loss : float
        The mean over the batch: log(K) for a network that knows nothing, 0 for one that is sure and right.
    grad : ndarray, shape (N, K)
        Its gradient with respect to the scores: the probability given to each class, less 1 for the right one,
        over N.

    Raises
    ------
    ShapeError
        Scores and labels of another number of pictures, or of none.
    ValueError
        A label that is no class.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> loss, grad = nn.softmax_cross_entropy(np.log([[0.5, 0.3, 0.2]]), [0])
    >>> round(loss, 4), grad.round(3)
    (0.6931, array([[-0.5,  0.3,  0.2]]))
    """
    labels = np.asarray(labels)
    if scores.ndim != 2 or len(scores) == 0 or labels.shape != (len(scores),):
        raise ShapeError(f"scores have shape {scores.shape} and labels {labels.shape}; they need (N, K) and (N,)")
    n, classes = scores.shape
    if labels.dtype.kind not in "iu" or not (0 <= labels.min() <= labels.max() < classes):
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}, the classes that are scored")
    right = np.arange(n), labels
    shifted = scores - scores.max(axis=1, keepdims=True)  # the same probabilities, and no exponential too large
    probabilities = np.exp(shifted)
    totals = probabilities.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(totals[:, 0]) - shifted[right]))
    probabilities /= totals
    probabilities[right] -= 1
    probabilities /= n
    return loss, probabilities


class Sequential(Layer):
    """
    Layers one after the other: the network.

    Parameters
    ----------
    *layers : Layer
        From the first to the last.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.nn.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential
    >>> rng = np.random.default_rng(0)
    >>> lenet = Sequential(
    ...     Conv2d(1, 6, 5, padding=2, activation='relu', rng=rng), MaxPool2d(2),
    ...     Conv2d(6, 16, 5, activation='relu', rng=rng), MaxPool2d(2),
    ...     Flatten(), Linear(400, 10, rng=rng))
    >>> lenet.summary((1, 28, 28))
    layer                           volume        parameters
    input                           1 x 28 x 28
    Conv2d(1 to 6, 5 x 5, relu)     6 x 28 x 28          156
    MaxPool2d(2 x 2)                6 x 14 x 14
    Conv2d(6 to 16, 5 x 5, relu)    16 x 10 x 10       2,416
    MaxPool2d(2 x 2)                16 x 5 x 5
    Flatten()                       400
    Linear(400 to 10)               10                 4,010
    total                                              6,582
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """What the last layer makes of a batch: computed in the dtype of the parameters."""
        first = next(iter(self.parameters().values()), None)
        x = np.asarray(x, None if first is None else first.value.dtype)
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, grad: np.ndarray, input_grad: bool = True) -> Any:
        """From the last layer to the first, each given what the one behind it returned."""
        for number in reversed(range(len(self.layers))):
            grad = self.layers[number].backward(grad, input_grad or number > 0)
        return grad

    def parameters(self) -> dict[str, Parameter]:
        """What all layers learn, by the layer's number and the name: ``'0.weight'``."""
        return {
            f"{number}.{name}": parameter
            for number, layer in enumerate(self.layers)
            for name, parameter in layer.parameters().items()
        }

    def step(
        self, x: np.ndarray, labels: np.ndarray, optimizer: Optimizer, loss: Loss = softmax_cross_entropy
    ) -> float:
        """Learn from one batch; the loss before."""
        value, grad = loss(self.forward(x, training=True), labels)
        self.backward(grad, input_grad=False)
        optimizer.step()
        return value

    def fit(
        self,
        x: np.ndarray,
        labels: Any,
        optimizer: Optimizer,
        epochs: int = 1,
        batch_size: int = 64,
        loss: Loss = softmax_cross_entropy,
        *,
        rng: Any = None,
        progress: bool = True,
    ) -> list[float]:
        """
        Learn from all pictures, `epochs` times, in an order drawn anew each time.

        Parameters
        ----------
        x : ndarray, shape (N, ...)
            The pictures.
        labels : array_like, shape (N, ...)
            What the loss compares the scores with.
        optimizer : SGD, Adam, or what has a ``step()``
            Made with this network's parameters.
        epochs, batch_size : int, optional
            How often all pictures are seen, and how many at once.
        loss : callable, optional
            Takes scores and labels, gives the loss and its gradient with respect to the scores.
        rng : numpy.random.Generator or int, optional
            Draws the order.
        progress : bool, optional
            Show a progress bar, if tqdm is installed.

        Returns
        -------
        list of float
            The mean loss of each epoch.
        """
        labels = np.asarray(labels)
        if len(x) != len(labels) or len(x) == 0:
            raise ShapeError(f"there are {len(x)} pictures and {len(labels)} labels; each picture needs one")
        rng = np.random.default_rng(rng)
        starts = range(0, len(x), batch_size)
        means = []
        with _progress_bar(epochs * len(starts), progress) as advance:
            for _ in range(epochs):
                order, total, seen = rng.permutation(len(x)), 0.0, 0
                for start in starts:
                    batch = order[start : start + batch_size]
                    total += len(batch) * self.step(x[batch], labels[batch], optimizer, loss)
                    seen += len(batch)
                    advance(total / seen)
                means.append(total / seen)
        return means

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """The class with the highest score, for each picture."""
        found = [
            self.forward(x[start : start + batch_size]).argmax(axis=1) for start in range(0, len(x), batch_size)
        ]
        return np.concatenate(found) if found else np.empty(0, np.intp)

    def summary(self, input_shape: tuple[int, ...]) -> None:
        """Print the volume that each layer makes of one picture of this shape, and how many numbers it learns."""
        rows = [("layer", "volume", "parameters"), ("input", _by(input_shape), "")]
        x, total = np.zeros((1, *input_shape), np.float32), 0
        for layer in self.layers:
            x = layer.forward(x)
            learned = sum(parameter.value.size for parameter in layer.parameters().values())
            rows.append((repr(layer), _by(x.shape[1:]), f"{learned:,}" if learned else ""))
            total += learned
        rows.append(("total", "", f"{total:,}"))
        first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
        for row in rows:
            print(f"{row[0]:<{first}}    {row[1]:<{second}}  {row[2]:>{third}}".rstrip())

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


def _check_counts(**numbers: Any) -> None:
    for name, number in numbers.items():
        per_axis(number, name, 1)


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], terms: int, dtype: Any) -> Parameter:
    """First values for sums of so many terms."""
    bound = 1 / math.sqrt(terms)
    return Parameter(rng.uniform(-bound, bound, shape).astype(dtype))


@contextmanager
def _progress_bar(steps: int, wanted: bool) -> Iterator[Callable[[float], object]]:
    """A function to call with the loss after each step."""
    try:
        from tqdm import tqdm  # an extra
    except ModuleNotFoundError:
        wanted = False
    if not wanted:
        yield lambda loss: None
        return
    with tqdm(total=steps, desc="training", unit="batch") as bar:

        def advance(loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            bar.update()

        yield advance


def _by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def _listed(names: Any) -> str:
    return ", ".join(names) or "nothing"
