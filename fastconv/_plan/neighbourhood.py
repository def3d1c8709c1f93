"""What the filters of scipy.ndimage ask in common: modes, axes, origins, footprints, where the result goes.

Errors are of the types SciPy raises, which are RuntimeErrors for much that is a ValueError elsewhere.
"""
from __future__ import annotations

import functools
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

# SciPy's names of boundaries -> the plan's. A filter only looks at whole positions: the grid- names are no others.
MODES = {
    "reflect": "symm", "grid-mirror": "symm", "constant": "fill", "grid-constant": "fill", "nearest": "nearest",
    "mirror": "mirror", "wrap": "wrap", "grid-wrap": "wrap",
}  # fmt: skip


_Plan = TypeVar("_Plan", bound=Callable[..., Any])


def remembered(plan: _Plan) -> _Plan:
    """Small calls cost what it takes to plan them: plans are remembered, unless a list is among the arguments."""
    known = functools.lru_cache(256, typed=True)(plan)

    @functools.wraps(plan)
    def remember(*arguments: Any) -> Any:
        try:
            return known(*arguments)
        except TypeError:
            return plan(*arguments)

    return cast(_Plan, remember)


def boundary(mode: Any) -> str:
    """The plan's name of a mode."""
    if isinstance(mode, str) and mode in MODES:
        return MODES[mode]
    raise RuntimeError(f"boundary mode not supported: {mode!r}; use one of {', '.join(map(repr, MODES))}")


def one_boundary(mode: Any, what: str) -> str:
    """The plan's name of a mode where one must do for all axes."""
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise RuntimeError(f"A sequence of modes is not supported {what}; give one mode for all axes")
    return boundary(mode)


def sequence(value: Any, rank: int) -> list[Any]:
    """A value for each of `rank` axes: one for all, or a sequence of as many."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * rank
    values = list(value)
    if len(values) != rank:
        raise RuntimeError(f"sequence argument must have length equal to input rank: {value!r} is not for {rank} axes")
    return values


def all_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """The axes to filter, none twice, counted from the front."""
    if axes is None:
        return tuple(range(ndim))
    if np.isscalar(axes):
        axes = (axes,)
    if not isinstance(axes, Iterable):
        raise ValueError(f"axes must be an integer, iterable of integers, or None, not {axes!r}")
    numbers = [operator.index(axis) for axis in axes]
    for axis in numbers:
        if not -ndim <= axis < ndim:
            raise ValueError(f"specified axis: {axis} is out of range of {ndim} dimensions")
    found = tuple(axis % ndim for axis in numbers)
    if len(set(found)) != len(found):
        raise ValueError(f"axes must be unique, not {found}")
    return found


def over_all(values: Sequence[Any], axes: Sequence[int], ndim: int, otherwise: Any) -> list[Any]:
    """Values given for `axes`, for every axis: `otherwise` on those that are not filtered."""
    spread = [otherwise] * ndim
    for value, axis in zip(values, axes, strict=True):
        spread[axis] = value
    return spread


def of_all(value: Any, axes: Sequence[int], ndim: int) -> list[Any]:
    """Values for every axis, 0 where none is given. Where `axes` names all, SciPy reads them in ascending order."""
    values = sequence(value, len(axes))
    return values if len(axes) == ndim else over_all(values, axes, ndim, 0)


def expand(weights: np.ndarray, axes: Sequence[int], ndim: int, name: str) -> np.ndarray:
    """A footprint or weights for `axes`, in ascending order, with length 1 along all others."""
    if weights.ndim != len(axes) or 0 in weights.shape:
        raise RuntimeError(f"{name}.ndim ({weights.ndim}) must match len(axes) ({len(axes)}), and none be empty")
    return np.expand_dims(weights, tuple(axis for axis in range(ndim) if axis not in axes))


def start(size: int, origin: Any, error: str = "invalid origin") -> int:
    """Where a window of `size` begins, seen from its output: an origin above 0 moves it to the front."""
    if not 0 <= size // 2 + origin < size:
        raise ValueError(f"{error}: {origin} is not within {-(size // 2)} and {(size - 1) // 2}, for size {size}")
    return -(size // 2) - operator.index(origin)


def fill(cval: Any) -> float:
    """The value beyond the edge, which SciPy holds in float64."""
    return math.ldexp(cval, 0)  # unlike float(), not a number from text


def output(output: Any, x: np.ndarray, complex_output: bool = False) -> np.ndarray:
    """The array for the result: a new one of the dtype that is given or the input's, or the caller's."""
    if output is None:
        if x.dtype.kind in "SU":
            raise TypeError(f"input is text ({x.dtype}), which no filter takes")
        dtype = x.dtype.newbyteorder("=")
        return np.empty(x.shape, np.promote_types(dtype, np.complex64) if complex_output else dtype)
    if isinstance(output, (type, np.dtype, str)):
        dtype = np.dtype(output)
        if isinstance(output, str) and not issubclass(dtype.type, np.number):
            raise RuntimeError(f"output must have numeric dtype, not {output!r}")
        if complex_output and dtype.kind != "c":
            if isinstance(output, str):
                raise RuntimeError(f"output must have complex dtype, not {output!r}")
            warnings.warn("promoting specified output dtype to complex", stacklevel=4)
            dtype = np.promote_types(dtype, np.complex64)
        return np.empty(x.shape, dtype)
    y = np.asarray(output)
    if y.shape != x.shape:
        raise RuntimeError(f"output shape not correct: {y.shape}; the result needs {x.shape}")
    if complex_output and y.dtype.kind != "c":
        raise RuntimeError(f"output must have complex dtype, not {y.dtype}")
    if not y.flags.writeable:
        raise ValueError("output array is read-only.")
    return y


def check_real(*arrays: np.ndarray) -> None:
    """SciPy's filters read and write bool, integers, float32 and float64; no halves, long doubles, objects."""
    for array in arrays:
        if array.dtype.kind not in "biuf" or array.dtype.itemsize not in (1, 2, 4, 8) or array.dtype == np.float16:
            raise RuntimeError(f"array type {array.dtype!r} not supported")


def store(y: np.ndarray, values: np.ndarray) -> None:
    """Writes values into y as C, on most machines, casts a double: towards zero, and integers wrap.

    IN values   OUT y
    """
    with np.errstate(all="ignore"):
        if y.dtype.kind in "biu" and values.dtype != y.dtype:
            values = values.astype(np.float64)
            if y.dtype.kind == "u" and y.dtype.itemsize == 8:
                values = np.where(values > -1, values.astype(np.uint64), -(-values).astype(np.uint64))
            else:
                wide = y.dtype.itemsize == 8 or y.dtype.str[1:] == "u4"
                values = values.astype(np.int64 if wide else np.int32)
        np.copyto(y, values.astype(np.uint8) if y.dtype.kind == "b" else values, casting="unsafe")


def stored(value: Any, dtype: np.dtype) -> Any:
    """A fill value as it is in an array of the dtype, bools being bytes."""
    y = np.empty(1, np.uint8 if dtype.kind == "b" else dtype)
    store(y, np.array([fill(value)]))
    return y[0]
