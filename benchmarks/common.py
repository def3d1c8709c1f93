"""What the benchmarks share: the peers as a parameter, and the arrays they work on.

A benchmark gives its cases, its peers, and for a case the call of every peer that can do the same job. asv
then shows them on one page, fastconv beside what it replaces. A peer that cannot do a case reads n/a there.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

import fastconv

from . import roofline

try:
    import cv2
except ImportError:  # a peer that is not there is a peer that cannot do the case
    cv2 = None
try:
    import torch
except ImportError:
    torch = None

Calls = Mapping[str, Callable[[], Any]]


def draw(shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
    """Noise of `dtype`, the same in every run: normal for floats and complex, 0 to 254 for integers."""
    rng = np.random.default_rng(2026)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 255, shape).astype(dtype)
    noise = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        noise = noise + 1j * rng.standard_normal(shape)
    return noise.astype(dtype)


class _Job:
    """One job done by every peer. A subclass gives `params`, which are cases and peers, and `calls`."""

    param_names: ClassVar = ["case", "peer"]
    calls: Callable[[str], Calls]  # a case to the call of every peer that can do it; all give the same array

    def setup(self, case: str, peer: str) -> None:
        calls = self.calls(case)
        if peer not in calls:
            raise NotImplementedError(f"{peer} cannot do it")  # how asv is told: not applicable
        self.call, self.ours = calls[peer], calls["fastconv"]


class _Timed(_Job):
    tolerance = 1e-4  # of the largest value, so that float32 sums and transforms of every peer are within it

    def setup(self, case: str, peer: str) -> None:
        super().setup(case, peer)
        # A fast wrong answer, or another job under the same name, is a failed benchmark.
        answer, ours = self.call(), self.ours()
        scale = float(np.abs(ours).max()) or 1.0
        np.testing.assert_allclose(answer.reshape(ours.shape), ours, rtol=0, atol=self.tolerance * scale)

    def time_call(self, case: str, peer: str) -> None:
        self.call()


class _Measured(_Job):
    def peakmem_call(self, case: str, peer: str) -> None:
        self.call()


class _Reached:
    """fastconv alone, beside what this machine could do at most: a subclass gives `params`, cases, and `work`."""

    param_names: ClassVar = ["case"]
    unit = "of the roofline"
    work: Callable[[str], roofline.Case]

    def setup_cache(self) -> roofline.Machine:
        return roofline.measure(fastconv.get_workers())

    def track_roofline(self, machine: roofline.Machine, case: str) -> float:
        return roofline.time_case(self.work(case), machine.workers).reached(machine)
