"""The layers of a convolutional network, on NumPy arrays: PyTorch's names and parameter order."""

from .._plan.sizes import output_size
from . import grad
from .functional import PackedWeight, conv1d, conv2d, conv_transpose1d, conv_transpose2d, pack

__all__ = [
    "PackedWeight",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "grad",
    "output_size",
    "pack",
]
