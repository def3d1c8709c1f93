"""Filters by order: the largest, the smallest and the median of a window."""
from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage

import fastconv

from .common import Calls, _Timed, cv2, draw

PEERS = ["fastconv", "scipy.ndimage", "opencv"]


class Maximum(_Timed):
    """A box, and for a letter d a disk."""

    params: ClassVar = [[*(f"{dtype} 2048 {size}" for dtype in ("uint8", "float32", "float64") for size in (3, 7, 31)),
                         "float32 2048 d5", "int64 2048 7"], PEERS]

    def calls(self, case: str) -> Calls:
        dtype, n, size = case.split()
        x = draw((int(n), int(n)), dtype)
        radius = int(size.lstrip("d")) // (1 if "d" in size else 2)
        grid = np.arange(-radius, radius + 1)
        disk = np.hypot(*np.ix_(grid, grid)) <= radius if "d" in size else np.ones((2 * radius + 1,) * 2, bool)
        calls = {"fastconv": lambda: fastconv.ndimage.maximum_filter(x, footprint=disk),
                 "scipy.ndimage": lambda: ndimage.maximum_filter(x, footprint=disk)}
        if cv2 and dtype != "int64":
            calls["opencv"] = lambda: cv2.dilate(x, disk.astype(np.uint8), borderType=cv2.BORDER_REFLECT)
        return calls


class Median(_Timed):
    params: ClassVar = [[*(f"{dtype} 512 {size}" for dtype in ("uint8", "uint16", "float32") for size in (3, 5, 9)),
                         "uint8 512 31", "float64 512 5"], PEERS]

    def calls(self, case: str) -> Calls:
        dtype, n, size = case.split()
        x, k = draw((int(n), int(n)), dtype), int(size)
        calls = {"fastconv": lambda: fastconv.ndimage.median_filter(x, k, mode="nearest"),
                 "scipy.ndimage": lambda: ndimage.median_filter(x, k, mode="nearest")}
        if cv2 and ((k <= 5 and dtype != "float64") or dtype == "uint8"):
            calls["opencv"] = lambda: cv2.medianBlur(x, k)
        return calls


class Lines(_Timed):
    """Along either axis of a plane, and a long signal."""

    params: ClassVar = [["maximum 1000000", "maximum 2048x2048 0", "maximum 2048x2048 1", "median 1000000"], PEERS[:2]]

    def calls(self, case: str) -> Calls:
        which, shape, *axis = case.split()
        x = draw(tuple(map(int, shape.split("x"))), "float64")
        if which == "median":
            return {"fastconv": lambda: fastconv.ndimage.median_filter(x, 15),
                    "scipy.ndimage": lambda: ndimage.median_filter(x, 15)}
        along = int(*axis) if axis else 0
        return {"fastconv": lambda: fastconv.ndimage.maximum_filter1d(x, 15, along),
                "scipy.ndimage": lambda: ndimage.maximum_filter1d(x, 15, along)}
