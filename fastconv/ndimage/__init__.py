"""Filters of N-dimensional arrays, as `scipy.ndimage`."""

from . import _linear
from ._linear import *

__all__: list[str] = [*_linear.__all__]
