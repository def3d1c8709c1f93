"""Weighted sums and means along the axes of an array, one axis after another, as `scipy.ndimage` does them.

SciPy sums in float64 and casts to the dtype of the result after every axis. Narrower arithmetic serves where it
comes to the same: see `Weights.ways`. Two axes, of which one is innermost, take one sweep.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .. import _runtime
from .._reference.separable import cut_off, mean
from .dtypes import BOUNDARIES, CODES, native, takes

# numbers of _kernels/passes.pxd
_FREE, _EVEN, _ODD, _MEAN = range(4)

MODULES: dict[str, np.dtype] = {
    "f32": np.dtype("f4"), "f64": np.dtype("f8"), "u8": np.dtype("u1"), "u16": np.dtype("u2"),
}  # fmt: skip
_TOP = {np.dtype(name): top for name, top in (("u1", 255), ("i1", 128), ("u2", 65535), ("i2", 32768))}

_BESIDE = 32  # lines side by side below which they are filtered as one line of interleaved channels
_RARE = 0.01  # the doubt about a sum in float32 up to which it seldom needs another in float64

Ways = dict[str, float]  # modules, fastest first, and the doubt about their sums (see passes.pxd)
Numbers = tuple[int, int, np.ndarray, "np.ndarray | None", int]  # sum, n, numbers, exact, shift of a kernel's pass


class Weights:
    """The weights of a window, as SciPy's sum takes them."""

    def __init__(self, values: np.ndarray | Sequence[float]) -> None:
        w = np.array(values, np.float64)
        self.n, self.exact, self.sum = len(w), w, _FREE
        if self.n % 2:  # SciPy takes the left half for both where they agree to within an epsilon
            left, right = w[: self.n // 2], w[: self.n // 2 : -1]
            if (np.abs(right - left) <= np.finfo(float).eps).all():
                self.sum, w[: self.n // 2 : -1] = _EVEN, left
            elif (np.abs(right + left) <= np.finfo(float).eps).all():
                self.sum, w[: self.n // 2 : -1] = _ODD, -left
        self._grain = 1.0  # a power of two that all weights are whole multiples of, if it is not too small
        while self._grain > 2.0**-20 and not (w / self._grain == np.trunc(w / self._grain)).all():
            self._grain /= 2
        self._total = float(np.abs(w).sum())
        self._fits = not w.any() or 2.0**-60 < float(np.abs(w).max()) < 2.0**60
        self._numbers: dict[tuple[str, float, float], Numbers] = {}

    @property
    def whole(self) -> bool:
        return self._grain == 1

    def ways(self, x: np.dtype, y: np.dtype, fill: float) -> Ways:
        """The modules whose sums of x, cast to y, come to SciPy's; float32 to rounding, all else exactly."""
        ways: Ways = {}
        if x == y == np.float32:
            if self._fits and abs(fill) < 2.0**120:
                ways["f32"] = 0.0
        elif x in _TOP and y in _TOP:
            top = max(_TOP[x], abs(fill)) * self._total
            if x == y and self.whole and float(fill).is_integer() and top < 2.0**31:
                ways["u8" if x.itemsize == 1 else "u16"] = 0.0  # they wrap as the cast does
            if float(fill).is_integer() and top < self._grain * 2.0**24:
                ways["f32"] = 0.0  # no sum is rounded
            elif x.itemsize == 1 and float(np.float32(fill)) == fill:
                doubt = 1.01 * (self.n + 2) * 2.0**-24 * top
                if doubt < _RARE and top < 2.0**21:
                    ways["f32"] = doubt
        ways["f64"] = 0.0
        return ways

    def numbers(self, module: str, fill: float, doubt: float) -> Numbers:
        key = module, fill, doubt
        found = self._numbers.get(key)
        if found is None:
            if len(self._numbers) > 8:
                self._numbers.clear()
            narrow = module == "f32" and not doubt
            array = _array(module, [fill, doubt, 1, 1, *(self._narrowed() if narrow else self.exact)])
            found = self._numbers[key] = self.sum, self.n, array, self.exact if doubt else None, 0
        return found

    def _narrowed(self) -> np.ndarray:
        """The weights in float32, with the sum that they have in float64: a constant stays the constant it is.

        What one loses by rounding the next smaller one gets; the halves of an even window stay mirror images.
        """
        w, paired = self.exact.copy(), self.sum == _EVEN
        lost = 0.0
        for k in sorted(range(self.n // 2 + 1 if paired else self.n), key=lambda k: -abs(w[k])):
            places = sorted({k, self.n - 1 - k}) if paired else [k]
            rounded = float(np.float32(w[k] + lost / len(places)))
            lost += (w[k] - rounded) * len(places)
            w[places] = rounded
        return w


class Mean:
    """A window of n whose mean is taken."""

    def __init__(self, n: int) -> None:
        self.n = n

    def ways(self, x: np.dtype, y: np.dtype, fill: float) -> Ways:
        """As of `Weights`."""
        ways: Ways = {}
        if x == y == np.float32:
            if abs(fill) < 2.0**120:
                ways["f32"] = 0.0
        elif x in _TOP and y in _TOP and float(fill).is_integer():
            if x == y == np.uint8 and 0 <= fill <= 255 and _multiplier(self.n)[0]:
                ways["u16"] = 0.0
            if max(_TOP[x], abs(fill)) * self.n < 2.0**24:
                ways["f32"] = 0.0
        ways["f64"] = 0.0
        return ways

    def numbers(self, module: str, fill: float, _doubt: float) -> Numbers:
        return _mean_numbers(module, self.n, fill)


@functools.lru_cache(256)
def _mean_numbers(module: str, n: int, fill: float) -> Numbers:
    scale, divisor, shift = 1.0, float(n), 0
    if module == "u16":
        divisor, shift = _multiplier(n)
    elif module == "f32":  # so that a sum of the largest numbers does not overflow, which in float64 it would not
        scale = 2.0 ** -(n - 1).bit_length()
        divisor *= scale
    return _MEAN, n, _array(module, [fill, 0, scale, divisor]), None, shift


@functools.lru_cache(256)
def _multiplier(n: int) -> tuple[int, int]:
    """m, shift with s // n == s * m >> 16 >> shift for every sum s of n bytes; m is 0 where there is none."""
    shift = max((n - 1).bit_length() - 1, 0)
    power = 1 << 16 + shift
    m = -(-power // n)
    exact = 255 * n < 1 << 16 and m < 1 << 16 and 255 * n * (m * n - power) < power
    return (m if exact else 0), shift


def _array(module: str, values: list[float]) -> np.ndarray:
    dtype = MODULES[module]
    with np.errstate(over="ignore"):
        return np.array(values).astype(np.int64).astype(dtype) if dtype.kind == "u" else np.array(values, dtype)


class Pass(NamedTuple):
    axis: int
    window: Weights | Mean
    start: int  # of the window, seen from its output
    boundary: str


class _Sweep(NamedTuple):
    """One run of the kernel: a pass down the columns, then one along the rows, or either."""

    down: Pass | None
    along: Pass | None
    kernel: Callable[..., None]
    arguments: tuple[object, ...]


def run(x: np.ndarray, y: np.ndarray, passes: tuple[Pass, ...], fill: float, workers: int | None) -> None:
    """Filters x into y along the axes of the passes, in their order   IN x   OUT y

    x, y : of one shape; they may overlap
    fill : the value beyond the edge under the boundary 'fill'
    """
    threads = _runtime.threads(workers)
    if x.dtype.kind == "b":
        x = x.view(np.uint8)
    if y.dtype.kind == "b":  # what lies between two passes is a byte, and no truth value yet
        whole = np.empty(y.shape, np.uint8)
        run(x, whole, passes, fill, workers)
        np.not_equal(whole, 0, out=y)
        return
    last = y if takes(y, x) else np.empty(y.shape, y.dtype.newbyteorder("="))
    if not x.dtype.isnative or not x.flags.aligned:
        x = native(x, x.dtype.newbyteorder("="))
    sweeps = _sweeps(passes, x.shape, x.dtype, last.dtype, fill)
    if y.size == 0:
        return
    spare = np.empty(last.shape, last.dtype) if len(sweeps) > 1 else last
    to = last if len(sweeps) % 2 else spare
    for sweep in sweeps:
        if _runs(x, last.dtype, sweep, fill):
            _by_running(x, to, sweep, fill)
        else:
            planes, group = _planes((x, to), sweep.down, sweep.along)
            sweep.kernel(*planes, *sweep.arguments, group, threads)
        x, to = to, spare if to is last else last
    if last is not y:
        np.copyto(y, last)


@functools.lru_cache(256)
def _sweeps(passes: tuple[Pass, ...], shape: tuple[int, ...], x: np.dtype, y: np.dtype, fill: float) -> list[_Sweep]:
    """The sweeps that the passes take."""
    supported(x, y)
    sweeps: list[_Sweep] = []
    i = 0
    while i < len(passes):
        one = passes[i]
        down, along = (None, one) if _innermost(one.axis, shape) else (one, None)
        if i + 1 < len(passes):
            other = passes[i + 1]
            if one.axis < other.axis and _innermost(other.axis, shape):
                down, along = one, other
            elif one.axis > other.axis and _innermost(one.axis, shape) and _commute(one, other, x, y, fill):
                down, along = other, one
        sweeps.append(_sweep(down, along, x, y, fill))
        i += 1 if down is None or along is None else 2
        x = y
    return sweeps


def _innermost(axis: int, shape: tuple[int, ...]) -> bool:
    """Whether an axis is the last, or the lines beside it are so few that they are channels of one line."""
    return math.prod(shape[axis + 1 :]) < _BESIDE


def _commute(one: Pass, other: Pass, x: np.dtype, y: np.dtype, fill: float) -> bool:
    """Whether two passes come to the same in the other order, but for rounding."""
    if fill != 0 and "fill" in (one.boundary, other.boundary):
        return False
    if y.kind == "f":
        return True
    whole = all(isinstance(p.window, Weights) and p.window.whole for p in (one, other))
    return whole and _module((one, other), x, y, fill)[0] != "f64"  # whole numbers that wrap


def _module(passes: Sequence[Pass], x: np.dtype, y: np.dtype, fill: float) -> tuple[str, list[float]]:
    """The fastest module that can do the passes, and the doubts about their sums."""
    ways = []
    for p in passes:
        ways.append(p.window.ways(x, y, fill if p.boundary == "fill" else 0.0))
        x = y
    module = next(name for name in ways[0] if all(name in others for others in ways))
    return module, [way[module] for way in ways]


def _sweep(down: Pass | None, along: Pass | None, x: np.dtype, y: np.dtype, fill: float) -> _Sweep:
    passes = [p for p in (down, along) if p is not None]
    module, doubts = _module(passes, x, y, fill)
    jobs: dict[Pass | None, object] = {None: None}
    for p, doubt in zip(passes, doubts, strict=True):
        total, n, numbers, exact, shift = p.window.numbers(module, fill if p.boundary == "fill" else 0.0, doubt)
        jobs[p] = total, n, p.start, BOUNDARIES[p.boundary], numbers, exact, shift
    arguments = code(x, module), code(y, module), jobs[down], jobs[along]
    return _Sweep(down, along, _runtime.kernel(module, "separable").separable, arguments)


def supported(*dtypes: np.dtype) -> None:
    for dtype in dtypes:
        if dtype.newbyteorder("=") not in CODES and dtype.kind != "b":
            raise RuntimeError(f"array type {dtype} not supported; use bool, integers, float32 or float64")


def code(dtype: np.dtype, module: str) -> int:
    """What the kernel calls a dtype; 0 is its own, which in whole numbers is the unsigned and the signed one."""
    own = MODULES[module]
    return 0 if dtype == own or (own.kind == "u" and dtype.itemsize == own.itemsize) else CODES[dtype]


def _runs(x: np.ndarray, y: np.dtype, sweep: _Sweep, fill: float) -> bool:
    """Whether means are cut off whose sums are rounded: to get SciPy's, one must go the way of its running sum."""
    if y.kind == "f":
        return False
    passes = [p for p in (sweep.down, sweep.along) if p is not None]
    sizes = [p.window.n for p in passes if isinstance(p.window, Mean)]
    if not sizes:
        return False
    outside = fill if any(p.boundary == "fill" for p in passes) else 0.0
    if x.dtype.kind == "f" or not float(outside).is_integer():
        return True
    limits = (x.min(), x.max()) if x.dtype.itemsize == 8 else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    low, high = min(float(limits[0]), outside), max(float(limits[1]), outside)
    if low < 0 and y.kind == "u" and y.itemsize == 8:
        return True
    return max(-low, high, 2.0 ** (8 * y.itemsize) if y.itemsize < 8 else 0) * max(sizes) > 2.0**53


def _by_running(x: np.ndarray, y: np.ndarray, sweep: _Sweep, fill: float) -> None:
    for p in (sweep.down, sweep.along):
        if p is not None:
            y[...] = cut_off(mean(x, p.window.n, p.axis, p.start, p.boundary, fill), y.dtype)
            x = y


def _planes(arrays: Sequence[np.ndarray], down: Pass | None, along: Pass | None) -> tuple[Sequence[np.ndarray], int]:
    """Both arrays with the axis of `down` last but one and of `along` last, and how many channels make a row."""
    shape = arrays[0].shape
    if down is not None and along is not None and down.axis + 2 == along.axis + 1 == len(shape):
        return arrays, 1
    if len(shape) == 1:
        return [a[None] for a in arrays], 1
    chosen = [p.axis for p in (down, along) if p is not None]
    group = 1
    if all(a.flags.c_contiguous for a in arrays):  # what lies beside an axis is one axis, or channels
        if along is None:
            axis = chosen[0]
            shape = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
            return [a.reshape(shape) for a in arrays], 1
        group = math.prod(shape[along.axis + 1 :])
        line = math.prod(shape[along.axis :])
        if down is None:
            return [a.reshape(-1, line) for a in arrays], group
        shape = *shape[: along.axis], line
        arrays = [a.reshape(shape) for a in arrays]
    order = [axis for axis in range(len(shape)) if axis not in chosen]
    order = [*order, *chosen] if along is not None else [*order[:-1], *chosen, order[-1]]
    return [a.transpose(order) for a in arrays], group
