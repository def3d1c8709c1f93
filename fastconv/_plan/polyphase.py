"""Change of rate: lines that are filtered as if zeros stood between their samples."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _reference, _runtime
from . import lines
from .dtypes import kernel_name, native, output, takes

MODES = (
    "constant", "wrap", "edge", "smooth", "symmetric", "reflect", "antisymmetric", "antireflect", "line",
)  # fmt: skip


def upfirdn(
    x: np.ndarray,
    taps: np.ndarray,
    up: int,
    down: int,
    axis: int,
    mode: str,
    cval: Any,
    out: np.ndarray | None,
    workers: int | None,
) -> np.ndarray:
    """y[..., j, ...] = sum_k taps[k] U[..., j down - k, ...], U being x with up - 1 zeros between its samples.

    x : (..., n, ...), taps : (K,), K >= 1, of the dtype of the result: floating or complex
    """
    threads = _runtime.threads(workers)
    dtype, n = taps.dtype, x.shape[axis]
    count = ((n - 1) * up + len(taps) - 1) // down + 1
    if count < 0:
        raise ValueError(f"{n} samples at up={up} with {len(taps)} taps would be {count} outputs")
    common = math.gcd(up, down)
    taps, up, down = taps[::common], up // common, down // common  # the other taps meet zeros alone
    zero = mode == "constant" and cval == 0
    if up == down == 1 and zero and n > 0:
        return lines.correlate(x, taps[::-1], axis, 1 - len(taps), count, dtype, "auto", out, workers)
    y = output(out, (*x.shape[:axis], count, *x.shape[axis + 1 :]), dtype)
    if y.size == 0:
        return y
    last = axis == x.ndim - 1
    rows = native(x, dtype) if last else np.moveaxis(native(x, dtype), axis, -1)
    rows = np.ascontiguousarray(rows).reshape(y.size // count, n)
    name = kernel_name(dtype)
    if name is None or n == 0 or (zero and not np.isfinite(taps).all()):
        found = _reference.upfirdn(rows, taps, up, down, count, mode, cval)
    else:
        straight = last and y.flags.c_contiguous and takes(y, x, taps)
        found = y.reshape(-1, count) if straight else np.empty((len(rows), count), dtype)
        each = -(-len(taps) // up)  # of a phase
        phases = np.zeros((each, up), dtype)
        phases.reshape(-1)[: len(taps)] = taps
        reach = max(each - 1, 1)
        if mode == "constant":
            left = right = np.full((1, reach), cval, dtype)
        else:
            left, right = (
                np.ascontiguousarray(_reference.extended(rows, np.arange(first, first + reach), mode, cval))
                for first in (-reach, n)
            )
        _runtime.kernel(name, "polyphase").resample(
            rows, left, right, found, np.ascontiguousarray(phases[::-1].T), up, down, threads
        )
        if straight:
            return y
    y[...] = np.moveaxis(found.reshape(*np.moveaxis(y, axis, -1).shape), -1, axis)
    return y
