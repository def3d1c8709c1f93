"""The layers of a convolutional network, on NumPy arrays: PyTorch's names and parameter order."""

from .._plan.sizes import output_size
from . import grad
from .functional import PackedWeight, as_matrix, conv1d, conv2d, conv_transpose1d, conv_transpose2d, pack

__all__ = [
    "PackedWeight",
    "as_matrix",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "grad",
    "output_size",
    "pack",
]
