"""Filters of N-dimensional arrays, as `scipy.ndimage`."""

from . import _linear, _order
from ._linear import *
from ._order import *

__all__: list[str] = [*_linear.__all__, *_order.__all__]
