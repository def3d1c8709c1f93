"""Filters that are weighted sums or means: of neighbours, or along the axes, one after another."""
from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .._plan import neighbourhood, separable, stencil
from .._plan.separable import Mean, Pass, Weights

__all__ = [
    "convolve", "convolve1d", "correlate", "correlate1d", "gaussian_filter", "gaussian_filter1d",
    "gaussian_gradient_magnitude", "gaussian_laplace", "laplace", "prewitt", "sobel", "uniform_filter",
    "uniform_filter1d",
]  # fmt: skip

_FLAT = 1e-15  # a standard deviation up to which SciPy leaves an axis alone

_DIFFERENCE, _SECOND = Weights([-1, 0, 1]), Weights([1, -2, 1])
_SOBEL, _PREWITT = Weights([1, 2, 1]), Weights([1, 1, 1])


def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    return _neighbours(input, weights, output, mode, cval, origin, axes, False, workers)


def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    return _neighbours(input, weights, output, mode, cval, origin, axes, True, workers)


def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: Any = None,
) -> np.ndarray:
    x, w = np.asarray(input), np.asarray(weights)
    _check_outside(x, w, cval)
    y = neighbourhood.output(output, x, "c" in (x.dtype.kind, w.dtype.kind))
    w = w.conj().astype(np.complex128) if w.dtype.kind == "c" else w.astype(np.float64, copy=False)
    if w.ndim != 1 or w.size == 0:
        raise RuntimeError(f"no filter weights given: their shape is {w.shape}; it needs one dimension, not empty")
    axis = normalize_axis_index(axis, x.ndim)
    start = neighbourhood.start(len(w), origin, "Invalid origin")
    boundary = neighbourhood.boundary(mode)

    def real(x: np.ndarray, w: np.ndarray, y: np.ndarray, cval: Any) -> None:
        _run(x, y, (Pass(axis, _weights(w.tobytes()), start, boundary),), cval, workers)

    _by_parts(real, x, w, y, cval)
    return y


def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: Any = None,
) -> np.ndarray:
    w = np.asarray(weights)[::-1]
    if w.dtype.kind == "c":
        w = w.conj()  # correlate1d takes it back
    return correlate1d(input, w, axis, output, mode, cval, -origin - (len(w) % 2 == 0), workers=workers)


def gaussian_filter1d(
    input: Any,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
    workers: Any = None,
) -> np.ndarray:
    window = _gaussian(sigma, order, truncate, radius)
    x = np.asarray(input)
    y = neighbourhood.output(output, x, x.dtype.kind == "c")
    axis = normalize_axis_index(axis, x.ndim)
    return _filter(x, y, (Pass(axis, window, -(window.n // 2), neighbourhood.boundary(mode)),), cval, workers)


def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    x = np.asarray(input)
    y = neighbourhood.output(output, x)
    return _filter(x, y, _gaussian_passes(x.ndim, axes, sigma, order, mode, truncate, radius), cval, workers)


def gaussian_laplace(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    workers: Any = None,
    **kwargs: Any,
) -> np.ndarray:
    x = np.asarray(input)
    chosen = neighbourhood.all_axes(axes, x.ndim)
    sigmas = neighbourhood.over_all(neighbourhood.sequence(sigma, len(chosen)), chosen, x.ndim, 0)

    def second(axis: int, output: Any, mode: str) -> np.ndarray:
        return gaussian_filter(x, sigmas, _one(2, axis, x.ndim), output, mode, cval, workers=workers, **kwargs)

    return _laplace(x, second, output, mode, chosen)


def gaussian_gradient_magnitude(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    workers: Any = None,
    **kwargs: Any,
) -> np.ndarray:
    x = np.asarray(input)
    y = neighbourhood.output(output, x)
    axes = neighbourhood.all_axes(axes, x.ndim)

    def first(axis: int, output: Any, mode: str) -> np.ndarray:
        return gaussian_filter(x, sigma, _one(1, axis, x.ndim), output, mode, cval, workers=workers, **kwargs)

    if not axes:
        y[...] = x[...]
        return y
    modes = neighbourhood.sequence(mode, len(axes))
    with np.errstate(all="ignore"):
        for axis, name in zip(axes, modes, strict=True):
            part = first(axis, y if axis == axes[0] else y.dtype, name)
            np.multiply(part, part, part)
            if part is not y:
                y += part
        np.sqrt(y, y, casting="unsafe")
    return y


def laplace(
    input: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    x = np.asarray(input)

    def second(axis: int, output: Any, mode: str) -> np.ndarray:
        y = neighbourhood.output(output, x, x.dtype.kind == "c")
        return _filter(x, y, (Pass(axis, _SECOND, -1, neighbourhood.boundary(mode)),), cval, workers)

    return _laplace(x, second, output, mode, neighbourhood.all_axes(axes, x.ndim))


def prewitt(
    input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, workers: Any = None
) -> np.ndarray:
    return _edges(_PREWITT, input, axis, output, mode, cval, workers)


def sobel(
    input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, workers: Any = None
) -> np.ndarray:
    return _edges(_SOBEL, input, axis, output, mode, cval, workers)


def uniform_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: Any = None,
) -> np.ndarray:
    x = np.asarray(input)
    axis = normalize_axis_index(axis, x.ndim)
    if size < 1:
        raise RuntimeError(f"incorrect filter size: {size}; it must be 1 or more")
    y = neighbourhood.output(output, x, x.dtype.kind == "c")
    return _filter(x, y, (_mean(axis, size, origin, mode),), cval, workers)


def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    x = np.asarray(input)
    y = neighbourhood.output(output, x, x.dtype.kind == "c")
    return _filter(x, y, _mean_passes(x.ndim, axes, size, origin, mode), cval, workers)


# What they have in common


def _filter(x: np.ndarray, y: np.ndarray, passes: tuple[Pass, ...], cval: Any, workers: Any) -> np.ndarray:
    """The passes of x, real or complex, into y; a copy where there are none."""
    if not passes:
        y[...] = x[...]
    elif x.dtype.kind == "c":
        if y.dtype.kind != "c":
            raise RuntimeError(f"output must have complex dtype, not {y.dtype}")
        _run(x.real, y.real, passes, np.real(cval), workers)
        _run(x.imag, y.imag, passes, np.imag(cval), workers)
    else:
        _run(x, y, passes, cval, workers)
    return y


def _run(x: np.ndarray, y: np.ndarray, passes: tuple[Pass, ...], cval: Any, workers: Any) -> None:
    separable.run(x, y, passes, neighbourhood.fill(cval), workers)


def _check_outside(x: np.ndarray, w: np.ndarray, cval: Any) -> None:
    if x.dtype.kind != "c" and w.dtype.kind == "c" and np.iscomplexobj(cval):
        raise ValueError(f"cval is {cval!r}; around a real input it must be real")


def _by_parts(
    real: Callable[[np.ndarray, np.ndarray, np.ndarray, Any], None],
    x: np.ndarray,
    w: np.ndarray,
    y: np.ndarray,
    cval: Any,
) -> None:
    """y from x and weights by real(x, w, y, cval), where any of them may be complex."""
    if x.dtype.kind == "c" and w.dtype.kind == "c":
        part = np.empty(x.shape, x.real.dtype)
        real(x.real, w.real, y.real, np.real(cval))
        real(x.imag, w.imag, part, np.imag(cval))
        y.real -= part
        real(x.real, w.imag, y.imag, np.real(cval))
        real(x.imag, w.real, part, np.imag(cval))
        y.imag += part
    elif x.dtype.kind == "c":
        real(x.real, w, y.real, np.real(cval))
        real(x.imag, w, y.imag, np.imag(cval))
    elif w.dtype.kind == "c":
        real(x, w.real, y.real, cval)
        real(x, w.imag, y.imag, cval)
    else:
        real(x, w, y, cval)


def _neighbours(
    input: Any, weights: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any, flip: bool, workers: Any
) -> np.ndarray:
    """`correlate`, or with a flip `convolve`."""
    x, w = np.asarray(input), np.asarray(weights)
    _check_outside(x, w, cval)
    y = neighbourhood.output(output, x, "c" in (x.dtype.kind, w.dtype.kind))
    if w.dtype.kind != "c":
        w = w.astype(np.float64, copy=False)
    elif not flip:
        w = w.conj()
    boundaries = (neighbourhood.one_boundary(mode, "here"),) * x.ndim

    def real(x: np.ndarray, w: np.ndarray, y: np.ndarray, cval: Any) -> None:
        window = _stencil(w.astype(np.float64, copy=False).tobytes(), w.shape, x.ndim, axes, origin, flip)
        stencil.run(x, y, window, boundaries, neighbourhood.fill(cval), workers)

    _by_parts(real, x, w, y, cval)
    return y


def _edges(
    across: Weights, input: Any, axis: int, output: Any, mode: Any, cval: Any, workers: Any
) -> np.ndarray:
    """The difference along an axis, and weights across it."""
    x = np.asarray(input)
    axis = normalize_axis_index(axis, x.ndim)
    y = neighbourhood.output(output, x)
    return _filter(x, y, _edge_passes(x.ndim, axis, across, mode), cval, workers)


def _laplace(
    x: np.ndarray,
    second: Callable[[int, Any, str], np.ndarray],
    output: Any,
    mode: Any,
    axes: tuple[int, ...],
) -> np.ndarray:
    """The sum over the axes of second(axis, output, mode)."""
    y = neighbourhood.output(output, x)
    if not axes:
        y[...] = x[...]
        return y
    modes = neighbourhood.sequence(mode, len(axes))
    second(axes[0], y, modes[0])
    for axis, name in zip(axes[1:], modes[1:], strict=True):
        y += second(axis, y.dtype, name)
    return y


def _one(order: int, axis: int, ndim: int) -> list[int]:
    return [order if i == axis else 0 for i in range(ndim)]


def _mean(axis: int, size: int, origin: int, mode: str) -> Pass:
    start = neighbourhood.start(size, origin)
    window = Mean(size) if size > 1 else Weights([1])
    return Pass(axis, window, start, neighbourhood.boundary(mode))


# Small calls cost what it takes to plan them: plans are remembered, unless a list is among the arguments.

_Plan = TypeVar("_Plan", bound=Callable[..., Any])


def _remembered(plan: _Plan) -> _Plan:
    known = functools.lru_cache(256, typed=True)(plan)

    @functools.wraps(plan)
    def remember(*arguments: Any) -> Any:
        try:
            return known(*arguments)
        except TypeError:
            return plan(*arguments)

    return cast(_Plan, remember)


@_remembered
def _gaussian_passes(
    ndim: int, axes: Any, sigma: Any, order: Any, mode: Any, truncate: float, radius: Any
) -> tuple[Pass, ...]:
    axes = neighbourhood.all_axes(axes, ndim)
    options = (neighbourhood.sequence(option, len(axes)) for option in (sigma, order, mode, radius))
    passes = []
    for axis, deviation, degree, name, reach in zip(axes, *options, strict=True):
        if deviation > _FLAT:
            window = _gaussian(deviation, degree, truncate, reach)
            passes.append(Pass(axis, window, -(window.n // 2), neighbourhood.boundary(name)))
    return tuple(passes)


@_remembered
def _mean_passes(ndim: int, axes: Any, size: Any, origin: Any, mode: Any) -> tuple[Pass, ...]:
    axes = neighbourhood.all_axes(axes, ndim)
    options = (neighbourhood.sequence(option, len(axes)) for option in (size, origin, mode))
    return tuple(_mean(axis, int(n), o, name) for axis, n, o, name in zip(axes, *options, strict=True) if n > 1)


@_remembered
def _edge_passes(ndim: int, axis: int, across: Weights, mode: Any) -> tuple[Pass, ...]:
    boundaries = [neighbourhood.boundary(name) for name in neighbourhood.sequence(mode, ndim)]
    others = [Pass(other, across, -1, boundaries[other]) for other in range(ndim) if other != axis]
    return Pass(axis, _DIFFERENCE, -1, boundaries[axis]), *others


@_remembered
def _stencil(data: bytes, shape: tuple[int, ...], ndim: int, axes: Any, origin: Any, flip: bool) -> stencil.Stencil:
    axes = neighbourhood.all_axes(axes, ndim)
    w = neighbourhood.expand(np.frombuffer(data).reshape(shape), axes, ndim, "weights")
    w = np.where(np.abs(w) > np.finfo(float).eps, w, 0.0)  # what else there is, and NaN, SciPy leaves out
    origins = neighbourhood.sequence(origin, len(axes))
    if len(axes) < ndim:  # of all axes the order says nothing, as that of the weights
        origins = neighbourhood.over_all(origins, axes, ndim, 0)
    if flip:
        w = np.flip(w)
        origins = [-o - (n % 2 == 0) for o, n in zip(origins, w.shape, strict=True)]
    start = [neighbourhood.start(n, o, "Invalid origin") for n, o in zip(w.shape, origins, strict=True)]
    return stencil.Stencil(w, start)


@functools.lru_cache(256)
def _weights(data: bytes) -> Weights:
    return Weights(np.frombuffer(data))


def _gaussian(sigma: Any, order: int, truncate: float, radius: Any) -> Weights:
    """The weights of a Gaussian or of its derivative."""
    reach = int(truncate * float(sigma) + 0.5) if radius is None else radius
    if not isinstance(reach, numbers.Integral) or reach < 0:
        raise ValueError(f"Radius must be a nonnegative integer, not {reach!r}")
    if order < 0:
        raise ValueError(f"order must be non-negative, not {order}")
    return _gaussian_weights(sigma, order, int(reach))


@functools.lru_cache(256, typed=True)
def _gaussian_weights(sigma: Any, order: int, radius: int) -> Weights:
    # The n-th derivative of a Gaussian is a polynomial times it: each derivative turns the polynomial q into
    # q' - q x / sigma^2, which is a matrix on its coefficients. Step by step as in SciPy: the weights are its bits.
    sigma2 = sigma * sigma
    x = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 / sigma2 * x**2)
    bell = bell / bell.sum()
    if order:
        powers = np.arange(order + 1)
        derivative = np.diag(powers[1:], 1) + np.diag(np.ones(order) / -sigma2, -1)
        q = np.zeros(order + 1)
        q[0] = 1
        for _ in range(order):
            q = derivative.dot(q)
        bell = (x[:, None] ** powers).dot(q) * bell
    return Weights(bell[::-1])
