"""1-D convolution of a long signal with few and with many taps."""
from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage, signal

import fastconv

from . import roofline
from .common import Calls, _Measured, _Reached, _Timed, cv2, draw

PEERS = ["fastconv", "numpy", "scipy.signal", "scipy.ndimage", "opencv"]


def convolve(dtype: str, n: int, k: int) -> Calls:
    """Mode 'same' with an odd number of taps: there all peers mean the same by it."""
    x, h = draw(n, dtype), draw(k, dtype)
    calls = {
        "fastconv": lambda: fastconv.convolve(x, h, mode="same"),
        "numpy": lambda: np.convolve(x, h, mode="same"),
        "scipy.signal": lambda: signal.convolve(x, h, mode="same"),
        "scipy.ndimage": lambda: ndimage.convolve1d(x, h, mode="constant"),
    }
    if cv2 and dtype in ("float32", "float64"):
        row, flipped = x[None], h[None, ::-1].copy()
        calls["opencv"] = lambda: cv2.filter2D(row, -1, flipped, borderType=cv2.BORDER_CONSTANT)
    return calls


def along_axis(axis: int) -> Calls:
    """Every line of a matrix. NumPy's function takes one line, so it gets them one after the other."""
    x, h = draw((1024, 1024), "float32"), draw(15, "float32")
    return {
        "fastconv": lambda: fastconv.convolve(x, h, mode="same", axis=axis),
        "numpy": lambda: np.apply_along_axis(np.convolve, axis, x, h, mode="same"),
        "scipy.signal": lambda: signal.oaconvolve(x, np.expand_dims(h, 1 - axis), mode="same", axes=axis),
        "scipy.ndimage": lambda: ndimage.convolve1d(x, h, axis=axis, mode="constant"),
    }


CASES = {f"{dtype} {n}*{k}": (dtype, n, k)
         for dtype, n, k in (
             *(("float32", 10**6, k) for k in (3, 31, 101, 1001)), ("float32", 1000, 31),
             *(("float64", 10**6, k) for k in (31, 1001)),
             ("complex128", 10**6, 31), ("int64", 10**6, 31))}


class Convolve(_Timed):
    params: ClassVar = [list(CASES), PEERS]

    def calls(self, case: str) -> Calls:
        return convolve(*CASES[case])


class ConvolveAlongAxis(_Timed):
    params: ClassVar = [["axis 0", "axis 1"], PEERS[:-1]]

    def calls(self, case: str) -> Calls:
        return along_axis(int(case[-1]))


class ConvolveMemory(_Measured):
    params: ClassVar = [["float32 1000000*31", "float64 1000000*1001"], PEERS]

    def calls(self, case: str) -> Calls:
        return convolve(*CASES[case])


class ConvolveReached(_Reached):
    params: ClassVar = [list(CASES)]

    def work(self, case: str) -> roofline.Case:
        return roofline.line(*CASES[case])
