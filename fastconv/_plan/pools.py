"""Pools: what a window that moves over planes sees, reduced to one value.

Arrays have four axes here, (N, C, H, W) or, with channels last, (N, H, W, C). One dimension is planes of which each
row is pooled by itself.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _runtime
from .._reference import pools as twins
from .dtypes import takes
from .sizes import Axis

# As in _kernels/pool.pyx and windows.pxd: operations, and what becomes of a sum.
OPERATIONS = {"max": 0, "min": 1, "sum": 2, "squares": 3}
FINISHES = {"": 0, "over taps": 1, "over padded": 2, "over number": 3, "root": 4}

PART_BYTES = 1 << 23  # of an input that is converted piece by piece

# The dtype that pools another by its order, exactly; integers that no float holds go as unsigned.
_ORDERED = {
    "b1": "u1", "u1": "u1", "i1": "f4", "i2": "f4", "u2": "f4", "i4": "f8", "u4": "f8", "i8": "u8", "u8": "u8",
    "f2": "f4", "f4": "f4", "f8": "f8",
}  # fmt: skip
_SUMMED = {"i8": "i8", "u8": "u8", "f2": "f4", "f4": "f4", "f8": "f8", "c8": "c8", "c16": "c16"}
_KERNELS = {"u1": "u8", "i8": "u64", "u8": "u64", "f4": "f32", "c8": "f32", "f8": "f64", "c16": "f64"}
_SIGN = np.uint64(1 << 63)


class Windows(NamedTuple):
    """The windows along one axis, as the kernels take them."""

    size: int
    output: int
    kernel: int  # taps; for adaptive windows, as many as one can have
    step: int  # between taps
    start: int  # where the first window begins, maybe in the padding
    stride: int  # 0: adaptive windows
    after: int  # padding behind; what a remainder 'pad' adds is not counted

    def places(self) -> list[np.ndarray]:
        """For the twins: every window's samples."""
        if self.stride == 0:
            return twins.adaptive_windows(self.size, self.output)
        return twins.windows(self.size, self.kernel, self.stride, self.step, -self.start, self.output)

    def counts(self, padded: bool) -> np.ndarray:
        """For the twins: how many samples each window sees, with those in the padding or without."""
        if not padded or self.stride == 0:
            return np.array([len(place) for place in self.places()], int)
        whole = self.size + self.after - self.start
        places = twins.windows(whole, self.kernel, self.stride, self.step, 0, self.output)
        return np.array([len(place) for place in places], int)

    def blind(self) -> int:
        """The first window that sees nothing but padding, or -1."""
        if self.stride == 0 or self.output == 0:
            return -1
        if self.start + (self.kernel - 1) * self.step < 0:
            return 0
        if self.start < 0 and self.size < self.step:  # all samples could lie between two taps
            begin = np.arange(self.start, 0, self.stride)[: self.output]
            unseen = begin % self.step >= self.size
            if unseen.any():
                return int(unseen.argmax())
        last = self.start + (self.output - 1) * self.stride
        return -(-(self.size - self.start) // self.stride) if last >= self.size else -1


def sliding(axis: Axis) -> Windows:
    return Windows(axis.size, axis.output, axis.kernel, axis.dilation, -axis.before, axis.stride, axis.after)


def adaptive(size: int, output: int) -> Windows:
    """Windows that cut an axis into parts as equal as can be; where they are equal, they lie side by side."""
    if output and size % output == 0:
        return Windows(size, output, size // output, 1, 0, size // output, 0)
    return Windows(size, output, size // max(output, 1) + 2, 1, 0, 0, 0)


def alone(size: int) -> Windows:
    """Each sample is a window: an axis that is not pooled."""
    return Windows(size, size, 1, 1, 0, 1, 0)


def pool(
    x: np.ndarray,
    operation: str,
    rows: Windows,
    columns: Windows,
    last: bool,
    out: np.ndarray,
    *,
    index: np.ndarray | None = None,
    pitch: int = 0,
    finish: str = "",
    number: float = 0,
    power: float = 1,
    workers: Any = None,
) -> None:
    """Reduces the windows of every plane.

    operation : 'max', 'min' or 'sum'; the first two need windows that see something
    out, index : of the result's dtype; of int64, or None
    pitch : what an index counts for a row
    finish, number : what a sum is divided by: its taps, those with the padding, or a number
    power : of the elements before they are summed; its root is taken after
    """
    threads = _runtime.threads(workers)
    if out.size == 0:
        return
    by_order = operation != "sum"
    own = x.dtype.str[1:] if by_order else out.dtype.str[1:]
    name = (_ORDERED if by_order else _SUMMED).get(own)
    if by_order and index is not None and name in ("u1", "f4"):  # a lane holds an index, too
        farthest = (rows.size + rows.step) * pitch + columns.size + 2 * columns.kernel * columns.step
        name = "f4" if farthest < 1 << 31 else "f8"
    if name is None or x.size == 0:
        _by_twin(x, operation, rows, columns, last, out, index, pitch, finish, number, power)
        return
    if power == 2:
        operation, finish = "squares", "root"
    element, offset = np.dtype(name), by_order and own == "i8"
    raised = power not in (1, 2)
    group = (x.shape[3] if last else 1) * (2 if element.kind == "c" else 1)
    kernel = _runtime.kernel(_KERNELS[name], "pool").pool
    in_place = x.dtype == element and x.flags.aligned and _in_lines(x, last) and not raised
    direct = out.dtype == element and takes(out, x) and _in_lines(out, last)
    for part in [slice(None)] if in_place and direct else _parts(x, last, element.itemsize):
        source = x[part]
        if offset:  # an order of signed integers as one of unsigned
            source = np.ascontiguousarray(source, np.int64).view(np.uint64) ^ _SIGN
        elif not in_place:
            source = np.ascontiguousarray(source, element)
        if raised:
            source = _power(source, power)
        to = out[part] if direct else np.empty(out[part].shape, element)
        planes = [source, to, None if index is None else index[part]]
        kernel(
            *(a[:, None] if last and a is not None else a for a in planes),
            OPERATIONS[operation], rows, columns, group, pitch, FINISHES[finish], number, threads,
        )  # fmt: skip
        if raised:
            to[...] = _power(to, 1 / power)
        if offset:
            to = (to ^ _SIGN).view(np.int64)
        if not direct:
            with np.errstate(all="ignore"):
                np.copyto(out[part], to, casting="unsafe")


def _in_lines(x: np.ndarray, last: bool) -> bool:
    """Whether the elements of each row are neighbours."""
    inner = x.itemsize
    for axis in (3, 2) if last else (3,):
        if x.shape[axis] > 1 and x.strides[axis] != inner:
            return False
        inner *= x.shape[axis]
    return True


def _parts(x: np.ndarray, last: bool, itemsize: int) -> Iterator[Any]:
    """Pieces of a batch that are converted one by one."""
    size = x.size // x.shape[0] * itemsize
    if last or size <= PART_BYTES:
        many = max(1, PART_BYTES // size)
        yield from (slice(n, n + many) for n in range(0, x.shape[0], many))
    else:
        many = max(1, PART_BYTES * x.shape[1] // size)
        for n in range(x.shape[0]):
            yield from ((slice(n, n + 1), slice(c, c + many)) for c in range(0, x.shape[1], many))


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(np.power(x, x.dtype.type(exponent)))


def _by_twin(
    x: np.ndarray, operation: str, rows: Windows, columns: Windows, last: bool, out: np.ndarray,
    index: np.ndarray | None, pitch: int, finish: str, number: float, power: float,
) -> None:  # fmt: skip
    """The same for a dtype without a kernel."""
    if last:
        x, out = np.moveaxis(x, 3, 1), np.moveaxis(out, 3, 1)
        index = index if index is None else np.moveaxis(index, 3, 1)
    if operation != "sum":
        values, where = twins.extreme(x, rows.places(), columns.places(), operation == "max")
        out[...] = values
        if index is not None:
            index[...] = where // x.shape[3] * pitch + where % x.shape[3]
        return
    x = x.astype(out.dtype)
    if power != 1:
        x = _power(x, power)
    sums = twins.sums(x, rows.places(), columns.places())
    if finish:
        sums = _divided(sums, rows, columns, finish, number)
    out[...] = sums if power == 1 else _power(sums, 1 / power)


def _divided(sums: np.ndarray, rows: Windows, columns: Windows, finish: str, number: float) -> np.ndarray:
    if finish == "over number":
        return twins.divided(sums, np.array([number]), np.ones(1))
    padded = finish == "over padded"
    return twins.divided(sums, rows.counts(padded), columns.counts(padded))


# --- gradients ---------------------------------------------------------------------------------------------


def spread(
    grad: np.ndarray,
    rows: Windows,
    columns: Windows,
    last: bool,
    out: np.ndarray,
    *,
    finish: str = "",
    number: float = 0,
    workers: Any = None,
) -> None:
    """The adjoint of a sum over windows: out is the planes' gradient, grad that of what they were pooled to."""
    threads = _runtime.threads(workers)
    name = _SUMMED.get(out.dtype.str[1:])
    if name not in _KERNELS or out.dtype.kind in "iu" or grad.size == 0:
        _spread_by_twin(grad, rows, columns, last, out, finish, number)
        return
    element = np.dtype(name)
    if grad.dtype != element or not grad.flags.aligned or not _in_lines(grad, last):
        grad = np.ascontiguousarray(grad, element)
    to = out if out.dtype == element and takes(out, grad) and _in_lines(out, last) else np.empty(out.shape, element)
    group = (out.shape[3] if last else 1) * (2 if element.kind == "c" else 1)
    _runtime.kernel(_KERNELS[name], "pool_grad").spread(
        *(a[:, None] if last else a for a in (grad, to)), rows, columns, group, FINISHES[finish], number, threads
    )
    if to is not out:
        np.copyto(out, to, casting="unsafe")


def _spread_by_twin(
    grad: np.ndarray, rows: Windows, columns: Windows, last: bool, out: np.ndarray, finish: str, number: float
) -> None:
    """The same for a dtype without a kernel."""
    grad = grad.astype(out.dtype)
    if last:
        grad, out = np.moveaxis(grad, 3, 1), np.moveaxis(out, 3, 1)
    if finish:
        grad = _divided(grad, rows, columns, finish, number)
    out[...] = twins.spread(out.shape, rows.places(), columns.places(), grad)


def scatter(
    values: np.ndarray, index: np.ndarray, last: bool, out: np.ndarray, add: bool, workers: Any = None
) -> None:
    """Puts values to flat indices of planes that are zero elsewhere; those that meet are added, or the last stands.

    IndexError where an index lies outside.
    """
    threads = _runtime.threads(workers)
    size = out.shape[1] * out.shape[2] if last else out.shape[2] * out.shape[3]
    form = (values.shape[0], -1, values.shape[3]) if last else (values.shape[0] * values.shape[1], -1, 1)
    if values.size == 0:
        out[...] = 0
        return
    element = np.dtype({"f2": "f4", "f4": "f4", "f8": "f8"}.get(out.dtype.str[1:], out.dtype))
    values = np.ascontiguousarray(values, element).reshape(form)
    index = np.ascontiguousarray(index, np.int64).reshape(form)
    ready = out.dtype == element and out.flags.c_contiguous and takes(out, values, index)
    to = (out if ready else np.empty(out.shape, element)).reshape(form[0], size, form[2])
    if element in (np.float32, np.float64):
        module = _runtime.kernel(_KERNELS[element.str[1:]], "pool_grad")
        inside = module.scatter(values, index, to, add, threads)
    else:
        inside = bool(((index >= 0) & (index < size)).all())
        if inside:
            to[...] = twins.scatter(index, values, size, add)
    if not inside:
        raise IndexError(f"indices lie from {index.min()} to {index.max()}; a plane has 0 to {size - 1}")
    if not ready:
        np.copyto(out, to.reshape(out.shape), casting="unsafe")
