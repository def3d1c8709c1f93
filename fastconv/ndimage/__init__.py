"""Filters of N-dimensional arrays, as `scipy.ndimage`."""

__all__: list[str] = []
