"""Convolution layers and their gradients, channels first and last: typical ones of networks for pictures."""
from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastconv import nn

from .common import Calls, _Measured, _Timed, draw, torch

PEERS = ["fastconv", "fastconv, packed weight", "torch"]

# pictures, kernels, and options, as users write them
CASES = {
    "1x3x224x224 K64 7x7 s2": ((1, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    "8x64x56x56 K64 3x3": ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "8x64x56x56 K256 1x1": ((8, 64, 56, 56), (256, 64, 1, 1), {}),
    "8x512x7x7 K512 3x3": ((8, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    "8x64x56x56 K64 3x3 g4": ((8, 64, 56, 56), (64, 16, 3, 3), {"padding": 1, "groups": 4}),
    "8x144x56x56 K144 3x3 g144": ((8, 144, 56, 56), (144, 1, 3, 3), {"padding": 1, "groups": 144}),
    "64x1x28x28 K6 5x5": ((64, 1, 28, 28), (6, 1, 5, 5), {"padding": 2}),
    "1x1x12x12 K4 3x3": ((1, 1, 12, 12), (4, 1, 3, 3), {}),
}
NAMES = [f"{layout} {name}" for layout in ("NCHW", "NHWC") for name in CASES]
WAYS = ["NCHW float64 8x64x56x56 K64 3x3"]


def last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


class _Layer:
    def job(self, case: str) -> tuple[np.ndarray, np.ndarray, dict]:
        """The pictures in the layout of the case, the kernels, and the options."""
        layout, _, name = case.partition(" ")
        dtype = "float64" if name.startswith("float64 ") else "float32"
        shape, taps, options = CASES[name.removeprefix("float64 ")]
        x, weight = draw(shape, dtype), draw(taps, dtype)
        return last(x) if layout == "NHWC" else x, weight, options | {"layout": layout, "remainder": "drop"}

    def theirs(self, x: np.ndarray, options: dict) -> tuple[torch.Tensor, dict]:
        """The same for PyTorch, which knows channels last by their strides."""
        tensor = torch.from_numpy(x)
        known = {name: value for name, value in options.items() if name not in ("layout", "remainder")}
        return tensor.permute(0, 3, 1, 2) if options["layout"] == "NHWC" else tensor, known


def numpy(tensor: torch.Tensor, layout: str) -> np.ndarray:
    return (tensor.permute(0, 2, 3, 1) if layout == "NHWC" else tensor).numpy()


class Forward(_Layer, _Timed):
    params: ClassVar = [NAMES + WAYS, PEERS]

    def calls(self, case: str) -> Calls:
        x, weight, options = self.job(case)
        packed = nn.pack(weight, options.get("groups", 1))
        calls = {
            "fastconv": lambda: nn.conv2d(x, weight, **options),
            "fastconv, packed weight": lambda: nn.conv2d(x, packed, **options),
        }
        if torch:
            tensor, known = self.theirs(x, options)
            taps = torch.from_numpy(weight)
            calls["torch"] = lambda: numpy(torch.nn.functional.conv2d(tensor, taps, **known), options["layout"])
        return calls


class ForwardMemory(Forward, _Measured):
    params: ClassVar = [["NCHW 8x64x56x56 K64 3x3"], ["fastconv", "torch"]]


class Backward(_Layer, _Timed):
    """The gradient of the input (to x) or of the weight (to w), from that of the output."""

    params: ClassVar = [
        [f"{case} to {what}" for case in NAMES + WAYS for what in "xw" if "224" not in case and "12x12" not in case],
        ["fastconv", "torch"],
    ]

    def calls(self, case: str) -> Calls:
        case, _, what = case.partition(" to ")
        x, weight, options = self.job(case)
        grad = draw(nn.conv2d(x, weight, **options).shape, str(x.dtype))
        calls = {
            "fastconv": lambda: nn.grad.conv2d_input(x.shape, weight, grad, **options) if what == "x" else
            nn.grad.conv2d_weight(x, weight.shape, grad, **options),
        }
        if torch:
            tensor, known = self.theirs(x, options)
            slope, taps = self.theirs(grad, options)[0], torch.from_numpy(weight)
            to = (what == "x", what == "w", False)
            pair = {name: [value] * 2 for name, value in ({"stride": 1, "padding": 0} | known).items()}

            def back() -> np.ndarray:
                found = torch.ops.aten.convolution_backward(
                    slope, tensor, taps, None, pair["stride"], pair["padding"], [1, 1], False, [0, 0],
                    known.get("groups", 1), to,
                )
                return numpy(found[0], options["layout"]) if what == "x" else found[1].numpy()

            calls["torch"] = back
        return calls
