"""2-D convolution of an image-sized array."""
from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage, signal

import fastconv

from . import roofline
from .common import Calls, _Measured, _Reached, _Timed, cv2, draw

PEERS = ["fastconv", "scipy.signal", "scipy.ndimage", "opencv"]

# SciPy's boundary, and the same in the words of scipy.ndimage and OpenCV
BOUNDARIES = {
    "fill": ("constant", cv2 and cv2.BORDER_CONSTANT),
    "symm": ("reflect", cv2 and cv2.BORDER_REFLECT),
    "wrap": ("wrap", None),
}


def convolve2d(dtype: str, n: int, kernel: np.ndarray, boundary: str) -> Calls:
    x = draw((n, n), dtype)
    ndimage_mode, border = BOUNDARIES[boundary]
    calls = {"fastconv": lambda: fastconv.convolve2d(x, kernel, mode="same", boundary=boundary)}
    if x.size * kernel.size <= 2**26:  # beyond, the plain loops of SciPy take seconds
        calls["scipy.signal"] = lambda: signal.convolve2d(x, kernel, mode="same", boundary=boundary)
        calls["scipy.ndimage"] = lambda: ndimage.convolve(x, kernel, mode=ndimage_mode)
    elif boundary == "fill":
        calls["scipy.signal"] = lambda: signal.fftconvolve(x, kernel, mode="same")
    if border is not None and dtype in ("float32", "float64"):
        flipped = kernel[::-1, ::-1].copy()
        calls["opencv"] = lambda: cv2.filter2D(x, -1, flipped, borderType=border)
    return calls


CASES = {f"{dtype} {n}x{n}*{k}x{k} {boundary}": (dtype, n, k, boundary)
         for dtype, n, k, boundary in (
             *(("float32", 1024, k, "fill") for k in (3, 5, 9, 15, 31)),
             *(("float64", 1024, k, "fill") for k in (3, 9)),
             *(("float32", 1024, 5, boundary) for boundary in ("symm", "wrap")),
             ("float32", 4096, 3, "fill"), ("int64", 1024, 3, "fill"), ("complex128", 1024, 5, "fill"))}


class Convolve2d(_Timed):
    params: ClassVar = [list(CASES), PEERS]

    def calls(self, case: str) -> Calls:
        dtype, n, k, boundary = CASES[case]
        return convolve2d(dtype, n, draw((k, k), dtype), boundary)


class Separable(_Timed):
    """A kernel of rank one, which fastconv finds by itself."""

    params: ClassVar = [["float32 9x9", "float32 31x31"], PEERS]

    def calls(self, case: str) -> Calls:
        dtype, size = case.split()
        taps = draw(int(size.split("x")[0]), dtype)
        return convolve2d(dtype, 1024, np.outer(taps, taps), "fill")


class Convolve2dMemory(_Measured):
    params: ClassVar = [["float32 4096x4096*3x3 fill"], PEERS]

    def calls(self, case: str) -> Calls:
        dtype, n, k, boundary = CASES[case]
        return convolve2d(dtype, n, draw((k, k), dtype), boundary)


class Convolve2dReached(_Reached):
    params: ClassVar = [[case for case in CASES if case.endswith("fill")]]

    def work(self, case: str) -> roofline.Case:
        dtype, n, k, _ = CASES[case]
        return roofline.plane(dtype, n, k)
