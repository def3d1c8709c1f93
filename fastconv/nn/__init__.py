"""The layers of a convolutional network, on NumPy arrays: PyTorch's names and parameter order.

- layers as functions: `conv1d`, `conv2d`, their transposed forms, pools
- `grad`: their gradients
- `layers`: networks that learn, and `optim`: how they do
- `output_size`: how many windows fit
"""

from .._plan.sizes import output_size
from . import grad, layers, optim
from .functional import PackedWeight, as_matrix, conv1d, conv2d, conv_transpose1d, conv_transpose2d, pack
from .layers import softmax_cross_entropy
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
    "PackedWeight",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "as_matrix",
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "grad",
    "layers",
    "lp_pool1d",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_unpool2d",
    "min_pool1d",
    "min_pool2d",
    "optim",
    "output_size",
    "pack",
    "softmax_cross_entropy",
    "sum_pool1d",
    "sum_pool2d",
]
