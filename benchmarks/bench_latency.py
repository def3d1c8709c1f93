"""What one call costs where the work is next to nothing: checks, planning, and the way to the kernel."""
from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage, signal

import fastconv

from .common import Calls, _Timed, cv2, draw

PEERS = ["fastconv", "numpy", "scipy.signal", "scipy.ndimage", "opencv"]


class Latency(_Timed):
    params: ClassVar = [
        ["convolve 100*5", "correlate 100*5", "convolve2d 16x16*3x3", "filter2d uint8 32x32*3x3"], PEERS]

    def calls(self, case: str) -> Calls:
        return {"convolve": self.convolve, "correlate": self.correlate,
                "convolve2d": self.convolve2d, "filter2d": self.filter2d}[case.split()[0]]()

    def convolve(self) -> Calls:
        x, h = draw(100, "float64"), draw(5, "float64")
        return {
            "fastconv": lambda: fastconv.convolve(x, h, "same"),
            "numpy": lambda: np.convolve(x, h, "same"),
            "scipy.signal": lambda: signal.convolve(x, h, "same"),
            "scipy.ndimage": lambda: ndimage.convolve1d(x, h, mode="constant"),
        }

    def correlate(self) -> Calls:
        x, h = draw(100, "float64"), draw(5, "float64")
        return {
            "fastconv": lambda: fastconv.correlate(x, h, "same"),
            "numpy": lambda: np.correlate(x, h, "same"),
            "scipy.signal": lambda: signal.correlate(x, h, "same"),
            "scipy.ndimage": lambda: ndimage.correlate1d(x, h, mode="constant"),
        }

    def convolve2d(self) -> Calls:
        x, kernel = draw((16, 16), "float64"), draw((3, 3), "float64")
        calls = {
            "fastconv": lambda: fastconv.convolve2d(x, kernel, "same"),
            "scipy.signal": lambda: signal.convolve2d(x, kernel, "same"),
            "scipy.ndimage": lambda: ndimage.convolve(x, kernel, mode="constant"),
        }
        if cv2:
            flipped = kernel[::-1, ::-1].copy()
            calls["opencv"] = lambda: cv2.filter2D(x, -1, flipped, borderType=cv2.BORDER_CONSTANT)
        return calls

    def filter2d(self) -> Calls:
        image, kernel = draw((32, 32), "uint8"), fastconv.kernels.box(3).astype(np.float32)
        calls = {"fastconv": lambda: fastconv.image.filter2d(image, kernel)}
        if cv2:
            calls["opencv"] = lambda: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        return calls
