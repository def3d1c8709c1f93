"""NumPy's one-dimensional convolution and SciPy's two-dimensional one, to the letter of their signatures."""
from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ._plan import dtypes, lines, planes
from ._plan.windows import numpy_mode, numpy_window

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d"]


# --- one dimension: NumPy's face -------------------------------------------------------------------------


def convolve(
    a: Any,
    v: Any,
    mode: Any = "full",
    *,
    axis: Any = None,
    method: str = "auto",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    if axis is None:
        a, v = np.array(a, copy=None, ndmin=1), np.array(v, copy=None, ndmin=1)
        _refuse_empty(a, v, "a cannot be empty", "v cannot be empty")
        if len(v) > len(a):
            a, v = v, a
        _refuse_deep(a, v)
        axis = 0
        if _foreign(a, v):
            return _given(np.convolve(a, v, mode), out)
    else:
        a, v, axis = _lines_and_taps(a, v, axis)
    mode = numpy_mode(mode)
    n, k = a.shape[axis], len(v)
    start, count = numpy_window(mode, max(n, k), min(n, k))
    dtype = np.result_type(a, v)
    return lines.correlate(a, v[::-1], axis, start - (k - 1), count, dtype, method, out, workers)


def correlate(
    a: Any,
    v: Any,
    mode: Any = "valid",
    *,
    axis: Any = None,
    method: str = "auto",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    whole = axis is None
    if whole:
        a, v = np.asanyarray(a), np.asanyarray(v)
        _refuse_deep(a, v)
        _refuse_empty(a, v, "first array argument cannot be empty", "second array argument cannot be empty")
        axis = 0
        if _foreign(a, v):
            return _given(np.correlate(a, v, mode), out)
    else:
        a, v, axis = _lines_and_taps(a, v, axis)
    mode = numpy_mode(mode)
    n, k = a.shape[axis], len(v)
    start, count = numpy_window(mode, max(n, k), min(n, k))
    if mode == "same" and n < k:
        start = n // 2  # NumPy swaps the two and reverses the result: the odd one falls on the other side
    dtype = np.result_type(a, v)
    y = lines.correlate(
        np.asarray(a), np.conj(np.asarray(v)), axis, start - (k - 1), count, dtype, method, out, workers
    )
    return _subclass(y, a, v) if whole and out is None else y


def _refuse_empty(a: np.ndarray, v: np.ndarray, if_a: str, if_v: str) -> None:
    if len(a) == 0:
        raise ValueError(if_a)
    if len(v) == 0:
        raise ValueError(if_v)


def _refuse_deep(a: np.ndarray, v: np.ndarray) -> None:
    for name, x in (("a", a), ("v", v)):
        if x.ndim != 1:
            raise ValueError(
                f"{name} has {x.ndim} dimensions, shape {x.shape}; it needs one. "
                "Lines of an N-D array: axis=, an image: convolve2d"
            )


def _lines_and_taps(a: Any, v: Any, axis: Any) -> tuple[np.ndarray, np.ndarray, int]:
    a, v = np.asarray(a), np.asarray(v)
    axis = normalize_axis_index(operator.index(axis), a.ndim)
    if v.ndim != 1:
        raise ValueError(f"v has {v.ndim} dimensions, shape {v.shape}; with axis= it needs one")
    if a.shape[axis] == 0:
        raise ValueError(f"a cannot be empty along axis {axis}; it has shape {a.shape}")
    if len(v) == 0:
        raise ValueError("v cannot be empty")
    for name, x in (("a", a), ("v", v)):
        if x.dtype.kind not in "biufcO":
            raise TypeError(f"{name} has dtype {x.dtype}; with axis= it needs numbers")
    return a, v, axis


def _foreign(a: np.ndarray, v: np.ndarray) -> bool:
    """Dtypes that are no numbers are NumPy's own affair."""
    return a.dtype.kind not in "biufcO" or v.dtype.kind not in "biufcO"


def _given(y: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    if out is None:
        return y
    out = dtypes.output(out, y.shape, y.dtype)
    out[...] = y
    return out


def _subclass(y: np.ndarray, a: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The result in the class of the input with the higher priority; the longer input wins a tie."""
    if type(a) is np.ndarray and type(v) is np.ndarray:
        return y
    if len(a) < len(v):
        a, v = v, a
    if type(a) is not type(v) and getattr(v, "__array_priority__", 0.0) > getattr(a, "__array_priority__", 0.0):
        a = v
    if type(a) is np.ndarray:
        return y
    y = y.view(type(a))
    y.__array_finalize__(a)
    return y


# --- two dimensions: SciPy's face ------------------------------------------------------------------------

_BOUNDARIES = {
    "fill": "fill", "pad": "fill", "wrap": "wrap", "circular": "wrap", "symm": "symm", "symmetric": "symm",
}  # fmt: skip


def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    method: str = "auto",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    return _plane(True, in1, in2, mode, boundary, fillvalue, stride, dilation, method, out, workers)


def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    method: str = "auto",
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    return _plane(False, in1, in2, mode, boundary, fillvalue, stride, dilation, method, out, workers)


def _plane(
    flip: bool,
    in1: Any,
    in2: Any,
    mode: Any,
    boundary: Any,
    fillvalue: Any,
    stride: Any,
    dilation: Any,
    method: str,
    out: np.ndarray | None,
    workers: Any,
) -> np.ndarray:
    in1, in2 = np.asarray(in1), np.asarray(in2)
    name = "convolve2d" if flip else "correlate2d"
    if in1.ndim != 2 or in2.ndim != 2:
        raise ValueError(f"{name} inputs must both be 2-D arrays; they have shapes {in1.shape} and {in2.shape}")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode is {mode!r}; use one of 'full', 'same', or 'valid'")
    try:
        boundary = _BOUNDARIES[boundary]
    except (KeyError, TypeError):
        raise ValueError(f"boundary is {boundary!r}; use one of 'fill', 'wrap', or 'symm'") from None
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")

    swapped = mode == "valid" and _swap(in1.shape, _reach(in2.shape, dilation))
    if swapped:
        in1, in2, dilation = _spread(in2, dilation), in1, (1, 1)
    dtype = np.result_type(in1, in2)
    if dtype.kind not in "iufc" or dtype == np.float16:
        raise ValueError(f"{name} is not available for dtype {dtype}; convert the inputs, e.g. to float32")
    fill = _fill(fillvalue, dtype)

    reach = _reach(in2.shape, dilation)
    size, start = [], []
    for n, k in zip(in1.shape, reach, strict=True):
        size.append(n + k - 1 if mode == "full" else n if mode == "same" else n - k + 1)
        start.append(-(k - 1) if mode == "full" else 0)
        if mode == "same":
            start[-1] = -(k // 2) if flip else -((k - 1) // 2)
        if size[-1] < 0:
            raise ValueError(f"shapes {in1.shape} and {in2.shape} give a negative size, {n} + {k} - 1 = {size[-1]}")
    backward = swapped and not flip  # SciPy reverses what it correlated the other way round
    step = (1, 1) if backward else stride
    count = tuple(-(-n // s) for n, s in zip(size, step, strict=True))
    kernel = in2[::-1, ::-1] if flip else np.conj(in2)
    y = planes.correlate(
        in1.astype(dtype, copy=False), kernel.astype(dtype, copy=False), tuple(start), count, boundary, fill,
        step, dilation, method, None if backward else out, workers,
    )  # fmt: skip
    return _given(y[::-1, ::-1][:: stride[0], :: stride[1]], out) if backward else y


def pair(value: Any, name: str) -> tuple[int, int]:
    """A positive integer, or two."""
    try:
        one = operator.index(value)
        first, second = one, one
    except TypeError:
        try:
            first, second = map(operator.index, value)
        except (TypeError, ValueError):
            raise TypeError(f"{name} is {value!r}; it needs an integer or a pair of integers") from None
    if first < 1 or second < 1:
        raise ValueError(f"{name} is {value!r}; it needs 1 or more")
    return first, second


def _reach(shape: tuple[int, ...], dilation: tuple[int, int]) -> tuple[int, int]:
    """The size of a kernel whose taps stand `dilation` apart."""
    first, second = ((k - 1) * d + 1 if k else 0 for k, d in zip(shape, dilation, strict=True))
    return first, second


def _swap(shape1: tuple[int, ...], shape2: tuple[int, ...]) -> bool:
    pairs = list(zip(shape1, shape2, strict=True))
    if all(n >= k for n, k in pairs):
        return False
    if all(k >= n for n, k in pairs):
        return True
    raise ValueError(
        "for mode 'valid' one input must be at least as large as the other in every dimension; "
        f"they are {shape1} and {shape2}"
    )


def _spread(kernel: np.ndarray, dilation: tuple[int, int]) -> np.ndarray:
    """A kernel with zeros between its taps."""
    if dilation == (1, 1):
        return kernel
    spread = np.zeros(_reach(kernel.shape, dilation), kernel.dtype)
    spread[:: dilation[0], :: dilation[1]] = kernel
    return spread


def _fill(fillvalue: Any, dtype: np.dtype) -> np.ndarray:
    """The fill value as an array of one, in the dtype of the result."""
    if type(fillvalue) is int and fillvalue == 0:
        return np.zeros(1, dtype)
    value = np.asarray(fillvalue)
    if value.size != 1:
        raise ValueError(f"fillvalue must be a scalar or an array with one element, not of shape {value.shape}")
    refused = ValueError(f"fillvalue {fillvalue!r} cannot be cast to {dtype}, the dtype of the result")
    try:
        number = complex(value.item()) if value.item() is not None else complex("nan")
    except (TypeError, ValueError):
        raise refused from None
    if dtype.kind == "c":
        return value.astype(dtype).reshape(1) if value.dtype.kind in "biufc" else np.full(1, number, dtype)
    if number.imag != 0:
        raise refused
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.full(1, number.real if value.dtype.kind not in "biufc" else value.reshape(1)[0].real, dtype)
    limits = np.iinfo(dtype)
    if not np.isfinite(number.real):
        raise refused
    whole = int(value.item()) if value.dtype.kind in "iu" else int(number.real)
    if not limits.min <= whole <= limits.max:
        raise refused
    return np.full(1, whole, dtype)
