"""Weighted sums of neighbours in any number of dimensions, as `scipy.ndimage.correlate` does them."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import _runtime
from .dtypes import BOUNDARIES, native, takes
from .separable import MODULES, Weights, code, supported

_BESIDE = 32  # channels that are taken as one row with the pixels they belong to
_KEPT = 8  # jobs that a stencil remembers


class _Job(NamedTuple):
    """What the kernel is told of a stencil."""

    module: str
    weights: np.ndarray
    places: np.ndarray
    shifts: np.ndarray
    start: tuple[int, ...]  # of the last two axes, and their taps
    extent: tuple[int, ...]
    fill: np.ndarray


class Stencil:
    """Weights for every axis, float64, and where their windows begin; a weight that is 0 is left out."""

    def __init__(self, weights: np.ndarray, start: Sequence[int]) -> None:
        self.weights, self.start = weights, tuple(start)
        self._jobs: dict[object, _Job] = {}

    def job(self, x: np.dtype, y: np.dtype, fill: float, channels: int) -> _Job:
        """The fastest that gives SciPy's sums. channels: of a last axis that has no taps; 0: there is none."""
        key = x, y, fill, channels
        job = self._jobs.get(key)
        if job is None:
            if len(self._jobs) >= _KEPT:
                self._jobs.clear()
            job = self._jobs[key] = self._job(x, y, fill, channels)
        return job

    def _job(self, x: np.dtype, y: np.dtype, fill: float, channels: int) -> _Job:
        weights, start = self.weights, self.start
        if channels:
            weights, start = weights[..., 0], start[:-1]
        while weights.ndim < 2:
            weights, start = weights[None], (0, *start)
        ways = Weights(weights.ravel()).ways(x, y, fill)
        module = next(name for name, doubt in ways.items() if doubt == 0)
        there = np.argwhere(weights)
        outer, plane = np.unique(there[:, :-2], axis=0, return_inverse=True)
        if not len(there):
            outer = np.zeros((1, weights.ndim - 2), np.intp)
        places = np.column_stack([plane.ravel(), there[:, -2], there[:, -1] * max(channels, 1)])
        numbers = np.array([fill, *weights[tuple(there.T)]])
        numbers = (numbers.astype(np.int64) if MODULES[module].kind == "u" else numbers).astype(MODULES[module])
        return _Job(
            module, numbers[1:], places.astype(np.intp), np.ascontiguousarray(outer + np.array(start[:-2], np.intp)),
            start[-2:], weights.shape[-2:], numbers[:1],
        )  # fmt: skip


def run(
    x: np.ndarray, y: np.ndarray, stencil: Stencil, boundaries: Sequence[str], fill: float, workers: int | None
) -> None:
    """y[i] = sum_k weights[k] X[i + start + k], X being x continued by a boundary on each axis   IN x   OUT y

    x, y : of one shape, with as many axes as the stencil; they may overlap
    fill : the value beyond the edge under the boundary 'fill'
    """
    threads = _runtime.threads(workers)
    if y.size == 0:
        return
    supported(x.dtype, y.dtype)
    if x.dtype.kind == "b":
        x = x.view(np.uint8)
    if y.dtype.kind == "b":
        whole = np.empty(y.shape, np.uint8)
        run(x, whole, stencil, boundaries, fill, workers)
        np.not_equal(whole, 0, out=y)
        return
    to = y if takes(y, x) else np.empty(y.shape, y.dtype.newbyteorder("="))
    if not x.dtype.isnative or not x.flags.aligned:
        x = native(x, x.dtype.newbyteorder("="))
    planes, channels = (x, to), 0
    if x.ndim < 2:
        planes, boundaries = np.atleast_2d(x, to), ("nearest",) * (2 - x.ndim) + tuple(boundaries)
    elif x.ndim > 2 and stencil.weights.shape[-1] == 1 and x.shape[-1] < _BESIDE and _contiguous(*planes):
        channels, shape = x.shape[-1], (*x.shape[:-2], -1)
        planes, boundaries = (x.reshape(shape), to.reshape(shape)), boundaries[:-1]
    job = stencil.job(x.dtype, to.dtype, fill if "fill" in boundaries else 0.0, channels)
    _runtime.kernel(job.module, "stencil").stencil(
        *planes, code(x.dtype, job.module), code(to.dtype, job.module), job.weights, job.places, job.shifts,
        job.start, job.extent, [BOUNDARIES[name] for name in boundaries], job.fill, max(channels, 1), threads,
    )  # fmt: skip
    if to is not y:
        np.copyto(y, to)


def _contiguous(*arrays: np.ndarray) -> bool:
    return all(a.flags.c_contiguous for a in arrays)
