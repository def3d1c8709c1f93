"""Filters of 8-bit pictures, grey and in colour: rounded and saturated, as a picture editor does it."""
from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage

import fastconv

from .common import Calls, _Timed, cv2, draw

PEERS = ["fastconv", "scipy.ndimage", "opencv"]


def to_uint8(x: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


class _Image(_Timed):
    tolerance = 1 / 100  # a grey level: a sum halfway between two of them may be rounded either way


class Filter2d(_Image):
    params: ClassVar = [["2048x2048 3", "2048x2048 5", "2048x2048 9", "1080x1920x3 5"], PEERS]

    def calls(self, case: str) -> Calls:
        shape, size = case.split()
        image = draw(tuple(map(int, shape.split("x"))), "uint8")
        k = int(size)
        kernel = draw((k, k), "float32") / k
        colour = image.ndim == 3
        per_channel = kernel[:, :, None] if colour else kernel
        calls = {
            "fastconv": lambda: fastconv.image.filter2d(image, kernel, channel_axis=-1 if colour else None),
            "scipy.ndimage": lambda: to_uint8(
                ndimage.correlate(image.astype(np.float32), per_channel, mode="mirror")),
        }
        if cv2:
            calls["opencv"] = lambda: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        return calls


class SepFilter2d(_Image):
    """A Gaussian by its rows and its columns."""

    params: ClassVar = [["2048x2048 5", "2048x2048 15"], PEERS]

    def calls(self, case: str) -> Calls:
        shape, size = case.split()
        image = draw(tuple(map(int, shape.split("x"))), "uint8")
        taps = fastconv.kernels.gaussian(int(size) / 6, radius=int(size) // 2, ndim=1).astype(np.float32)

        def by_ndimage() -> np.ndarray:
            rows = ndimage.correlate1d(image.astype(np.float32), taps, axis=0, mode="mirror")
            return to_uint8(ndimage.correlate1d(rows, taps, axis=1, mode="mirror"))

        calls = {
            "fastconv": lambda: fastconv.image.sep_filter2d(image, taps, taps),
            "scipy.ndimage": by_ndimage,
        }
        if cv2:
            border = cv2.BORDER_REFLECT_101
            calls["opencv"] = lambda: cv2.sepFilter2D(image, -1, taps, taps, borderType=border)
        return calls
