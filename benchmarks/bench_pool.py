"""Pools, with and without indices, and their gradients, channels first and last."""
from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastconv import nn
from fastconv.nn import pooling_grad

from .common import Calls, _Timed, draw, torch

PEERS = ["fastconv", "torch"]
SHAPES = ["32x64x56x56 k2s2p0", "32x64x56x56 k3s2p1", "1x3x1080x1920 k5s1p2", "64x6x28x28 k2s2p0", "1x1x12x12 k2s2p0"]
CASES = [f"{layout} {dtype} {shape}" for layout in ("NCHW", "NHWC") for dtype in ("float32", "float64")
         for shape in SHAPES]


class _Pool(_Timed):
    def job(self, case: str) -> tuple[np.ndarray, list[int], str]:
        """Planes in the layout of the case; kernel, stride and padding; the layout."""
        layout, dtype, shape, window = case.split()
        x = draw(tuple(map(int, shape.split("x"))), dtype)
        numbers = [int(n) for n in window.replace("s", " ").replace("p", " ").removeprefix("k").split()]
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if layout == "NHWC" else x, numbers, layout

    def tensor(self, x: np.ndarray, layout: str) -> torch.Tensor:
        return torch.from_numpy(x).permute(0, 3, 1, 2) if layout == "NHWC" else torch.from_numpy(x)

    def array(self, tensor: torch.Tensor, layout: str) -> np.ndarray:
        return (tensor.permute(0, 2, 3, 1) if layout == "NHWC" else tensor).numpy()


class Pool(_Pool):
    params: ClassVar = [
        [f"{name} {case}" for name in ("max", "indices", "avg", "global") for case in CASES], PEERS]

    def calls(self, case: str) -> Calls:
        name, _, case = case.partition(" ")
        x, window, layout = self.job(case)
        how = {"layout": layout, "remainder": "drop"}
        calls = {"fastconv": {
            "max": lambda: nn.max_pool2d(x, *window, **how),
            "indices": lambda: nn.max_pool2d(x, *window, **how, return_indices=True)[1],
            "avg": lambda: nn.avg_pool2d(x, *window, **how),
            "global": lambda: nn.adaptive_avg_pool2d(x, 1, layout=layout),
        }[name]}
        if torch:
            planes, pools = self.tensor(x, layout), torch.nn.functional
            theirs = {
                "max": lambda: pools.max_pool2d(planes, *window),
                "indices": lambda: pools.max_pool2d(planes, *window, return_indices=True)[1],
                "avg": lambda: pools.avg_pool2d(planes, *window),
                "global": lambda: pools.adaptive_avg_pool2d(planes, 1),
            }[name]
            calls["torch"] = lambda: self.array(theirs(), layout)
        return calls


class PoolGradient(_Pool):
    params: ClassVar = [[f"{name} {case}" for name in ("max", "avg") for case in CASES], PEERS]

    def calls(self, case: str) -> Calls:
        name, _, case = case.partition(" ")
        x, window, layout = self.job(case)
        how = {"layout": layout, "remainder": "drop"}
        y, found = nn.max_pool2d(x, *window, **how, return_indices=True)
        grad = draw(y.shape, str(y.dtype))
        calls = {"fastconv": {
            "max": lambda: pooling_grad.max_pool2d_input(x.shape, found, grad, layout=layout),
            "avg": lambda: pooling_grad.avg_pool2d_input(x.shape, grad, *window, **how),
        }[name]}
        if torch:
            planes, slope, indices = (self.tensor(a, layout) for a in (x, grad, found))
            kernel, stride, padding = ([n, n] for n in window)
            aten = torch.ops.aten
            theirs = {
                "max": lambda: aten.max_pool2d_with_indices_backward(
                    slope, planes, kernel, stride, padding, [1, 1], False, indices),
                "avg": lambda: aten.avg_pool2d_backward(
                    slope, planes, kernel, stride, padding, False, True, None),
            }[name]
            calls["torch"] = lambda: self.array(theirs(), layout)
        return calls
