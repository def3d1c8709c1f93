"""Filters of N-dimensional arrays, as `scipy.ndimage`."""

from . import _order
from ._order import *

__all__: list[str] = [*_order.__all__]
