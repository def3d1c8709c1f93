"""Which kernel serves a dtype, and arrays in the form that a kernel reads."""
from __future__ import annotations

from types import ModuleType

import numpy as np

from .. import _runtime

# Signed integers are summed as unsigned: two's complement makes the sums the same bits.
_KERNELS = {
    "f4": "f32", "f8": "f64", "c8": "c64", "c16": "c128",
    **{f"{kind}{size}": f"u{8 * size}" for kind in "iu" for size in (1, 2, 4, 8)},
}  # fmt: skip

# Numbers in memory, as the kernels name their types (_kernels/numbers.pxd); 0 is a kernel's own.
CODES = {np.dtype(f"{kind}{size}"): code for code, (kind, size) in enumerate(
    [*((kind, size) for size in (1, 2, 4, 8) for kind in "ui"), ("f", 4), ("f", 8)], 1
)}  # fmt: skip

BOUNDARIES = {"fill": 0, "wrap": 1, "symm": 2, "mirror": 3, "nearest": 4}  # as _kernels/boundary.pxd names them


def kernel_name(dtype: np.dtype) -> str | None:
    """The element type that sums this dtype as it is, or None where only the reference does."""
    return _KERNELS.get(dtype.str[1:])


def correlate_kernel(name: str) -> ModuleType:
    return _runtime.kernel(name, "correlate")


def native(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The array in a dtype, native and aligned; itself where it is so already."""
    array = np.asarray(array, dtype)
    return array if array.flags.aligned else array.copy()


def working(dtype: np.dtype, terms: int) -> np.dtype:
    """The dtype that sums `terms` products of a dtype without one: float16 in float32, bool by counting."""
    if dtype == np.float16:
        return np.dtype(np.float32)
    if dtype == np.bool_:
        return np.dtype(np.uint16 if terms < 1 << 16 else np.uint64)
    return dtype


def output(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new array for the result, or the caller's `out` if it can hold it."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an ndarray, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result needs {shape}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}; the result needs {dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only; the result needs an array that can be written")
    return out


def takes(out: np.ndarray, *inputs: np.ndarray) -> bool:
    """Whether a kernel may write into `out` while it reads the inputs."""
    if not (out.flags.aligned and out.dtype.isnative):
        return False
    for x in inputs:  # noqa: SIM110  (a small call would pay for a generator)
        if np.may_share_memory(out, x):
            return False
    return True
