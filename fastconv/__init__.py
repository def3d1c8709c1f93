"""Convolution for NumPy arrays on CPUs, as fast as the machine can."""

from . import image, kernels, ndimage, nn, signal
from ._convolve import convolve, convolve2d, correlate, correlate2d
from ._plan.sizes import ShapeError
from ._runtime import get_workers, set_workers, show_config
from ._version import __version__
from .patch import _from_environment, patch, patch_report, patched, unpatch

__all__ = [
    "ShapeError",
    "__version__",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "get_workers",
    "image",
    "kernels",
    "ndimage",
    "nn",
    "patch",
    "patch_report",
    "patched",
    "set_workers",
    "show_config",
    "signal",
    "unpatch",
]

_from_environment()
