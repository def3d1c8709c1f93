"""The layers of a convolutional network, on NumPy arrays: PyTorch's names and parameter order."""

from .._plan.sizes import output_size
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    lp_pool1d,
    lp_pool2d,
    max_pool1d,
    max_pool2d,
    max_unpool2d,
    min_pool1d,
    min_pool2d,
    sum_pool1d,
    sum_pool2d,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "lp_pool1d",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_unpool2d",
    "min_pool1d",
    "min_pool2d",
    "output_size",
    "sum_pool1d",
    "sum_pool2d",
]
