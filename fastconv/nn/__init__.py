"""The layers of a convolutional network, on NumPy arrays: PyTorch's names and parameter order."""

from .._plan.sizes import output_size

__all__ = [
    "output_size",
]
