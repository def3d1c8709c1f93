"""Filters that are weighted sums or means: of neighbours, or along the axes, one after another."""
from __future__ import annotations

import functools
import numbers
import operator
from collections.abc import Callable
from typing import Any

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
    r"""
    Correlate with weights in any number of dimensions, as `scipy.ndimage.correlate`.

    .. math:: y_i = \sum_k w_k\, x_{i + k}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    weights : array_like
        As many dimensions as the input has, or one for a filter along an axis.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    origin : int or sequence of int, optional
        By how much the window is shifted.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.correlate([1, 2, 3, 4], [1, 0, -1])
    array([-1, -2, -2, -1])
    """
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
    r"""
    Convolve with weights in any number of dimensions, as `scipy.ndimage.convolve`.

    .. math:: y_i = \sum_k w_k\, x_{i - k}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    weights : array_like
        As many dimensions as the input has, or one for a filter along an axis.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    origin : int or sequence of int, optional
        By how much the window is shifted.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.convolve([1, 2, 3, 4], [1, 0, -1])
    array([1, 2, 2, 1])
    """
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
    r"""
    Correlate along an axis, as `scipy.ndimage.correlate1d`.

    .. math:: y_i = \sum_k w_k\, x_{i + k}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    weights : array_like
        As many dimensions as the input has, or one for a filter along an axis.
    axis : int, optional
        The axis along which to filter; the last by default.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    origin : int or sequence of int, optional
        By how much the window is shifted.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.correlate1d([1, 2, 3, 4], [1, 0, -1])
    array([-1, -2, -2, -1])
    """
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
    r"""
    Convolve along an axis, as `scipy.ndimage.convolve1d`.

    .. math:: y_i = \sum_k w_k\, x_{i - k}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    weights : array_like
        As many dimensions as the input has, or one for a filter along an axis.
    axis : int, optional
        The axis along which to filter; the last by default.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    origin : int or sequence of int, optional
        By how much the window is shifted.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.convolve1d([1, 2, 3, 4], [1, 0, -1])
    array([1, 2, 2, 1])
    """
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
    r"""
    Smooth along an axis with a Gaussian, or take its derivatives, as `scipy.ndimage.gaussian_filter1d`.

    .. math:: g_{\sigma}(t) \propto e^{-t^2 / 2 \sigma^2}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    sigma : float or sequence of float
        Standard deviation in samples, for all axes or for each.
    axis : int, optional
        The axis along which to filter; the last by default.
    order : int or sequence of int, optional
        0 smooths; n takes the n-th derivative of the Gaussian.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    truncate : float, optional
        Standard deviations at which the Gaussian ends.
    radius : None, int or sequence of int, optional
        Samples from the centre to the end of the Gaussian; it takes the place of `truncate`.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_filter1d([0, 0, 90, 0, 0], 1)
    array([ 5, 21, 35, 21,  5])
    """
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
    r"""
    Smooth with a Gaussian, or take its derivatives, as `scipy.ndimage.gaussian_filter`.

    .. math:: y = g_{\sigma} * x, \qquad g_{\sigma}(t) \propto e^{-t^2 / 2 \sigma^2}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    sigma : float or sequence of float
        Standard deviation in samples, for all axes or for each.
    order : int or sequence of int, optional
        0 smooths; n takes the n-th derivative of the Gaussian.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    truncate : float, optional
        Standard deviations at which the Gaussian ends.
    radius : None, int or sequence of int, optional
        Samples from the centre to the end of the Gaussian; it takes the place of `truncate`.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_filter([0, 0, 90, 0, 0], 1)
    array([ 5, 21, 35, 21,  5])
    """
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
    r"""
    The sum of the second derivatives of a Gaussian, as `scipy.ndimage.gaussian_laplace`.

    .. math:: y = \sum_a x * \partial_a^2 g_{\sigma}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    sigma : float or sequence of float
        Standard deviation in samples, for all axes or for each.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.
    **kwargs
        Passed on to `gaussian_filter`.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_laplace([0, 0, 90, 0, 0], 1)
    array([ 17,   0, -35,   0,  17])
    """
    x = _kept(np.asarray(input), output)
    chosen = neighbourhood.all_axes(axes, x.ndim)
    sigmas = neighbourhood.of_all(sigma, chosen, x.ndim)

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
    r"""
    The length of the gradient, by derivatives of a Gaussian, as `scipy.ndimage.gaussian_gradient_magnitude`.

    .. math:: y = \Bigl(\sum_a (x * \partial_a g_{\sigma})^2\Bigr)^{1/2}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    sigma : float or sequence of float
        Standard deviation in samples, for all axes or for each.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.
    **kwargs
        Passed on to `gaussian_filter`.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_gradient_magnitude([0, 0, 90, 0, 0], 1)
    array([ 8, 21,  0, 21,  8])
    """
    x = _kept(np.asarray(input), output)
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
    r"""
    The sum of the second differences along the axes, as `scipy.ndimage.laplace`.

    .. math:: y = \sum_a x * (1, -2, 1)_a

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.laplace([1, 2, 4, 8])
    array([ 1,  1,  2, -4])
    """
    x = _kept(np.asarray(input), output)

    def second(axis: int, output: Any, mode: str) -> np.ndarray:
        y = neighbourhood.output(output, x, x.dtype.kind == "c")
        return _filter(x, y, (Pass(axis, _SECOND, -1, neighbourhood.boundary(mode)),), cval, workers)

    return _laplace(x, second, output, mode, neighbourhood.all_axes(axes, x.ndim))


def prewitt(
    input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, workers: Any = None
) -> np.ndarray:
    r"""
    Prewitt's derivative along an axis, as `scipy.ndimage.prewitt`.

    .. math:: (-1, 0, 1) \otimes (1, 1, 1) \otimes \cdots

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    axis : int, optional
        The axis along which to filter; the last by default.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.prewitt([1, 2, 4, 8])
    array([1, 3, 6, 4])
    """
    return _edges(_PREWITT, input, axis, output, mode, cval, workers)


def sobel(
    input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, workers: Any = None
) -> np.ndarray:
    r"""
    Sobel's derivative along an axis, as `scipy.ndimage.sobel`.

    .. math:: (-1, 0, 1) \otimes (1, 2, 1) \otimes \cdots

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    axis : int, optional
        The axis along which to filter; the last by default.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.sobel([1, 2, 4, 8])
    array([1, 3, 6, 4])
    """
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
    r"""
    The mean of a window along an axis, as `scipy.ndimage.uniform_filter1d`.

    .. math:: y_i = \frac{1}{n} \sum_k x_{i + k}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    size : int or sequence of int
        Samples of the window, for all axes or for each.
    axis : int, optional
        The axis along which to filter; the last by default.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    origin : int or sequence of int, optional
        By how much the window is shifted.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.uniform_filter1d([0, 0, 90, 0, 0], 3)
    array([ 0, 30, 30, 30,  0])
    """
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
    r"""
    The mean of a box around each sample, as `scipy.ndimage.uniform_filter`.

    .. math:: y_i = \frac{1}{n} \sum_k x_{i + k}

    Parameters
    ----------
    input : array_like
        Numbers or bool, in any number of dimensions.
    size : int or sequence of int
        Samples of the window, for all axes or for each.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default the dtype of the input. It may be the input.
    mode : str or sequence of str, optional
        How the input goes on outside: 'reflect' (default), 'constant', 'nearest', 'mirror', 'wrap', or their
        'grid-' names.
    cval : scalar, optional
        What lies outside under 'constant'.
    origin : int or sequence of int, optional
        By how much the window is shifted.
    axes : tuple of int, optional
        The axes to filter; all by default.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError, TypeError
        As SciPy: modes, origins, sizes and outputs that cannot be.

    Notes
    -----
    Whole numbers come out as SciPy's; floats have the error of the plain sum.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.uniform_filter([0, 0, 90, 0, 0], 3)
    array([ 0, 30, 30, 30,  0])
    """
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
    if w.dtype.kind == "c" and np.may_share_memory(x, y):
        x = x.copy()  # its parts serve twice
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


def _kept(x: np.ndarray, output: Any) -> np.ndarray:
    """The input of several passes, in a place of its own where the first would write over it."""
    return x.copy() if isinstance(output, np.ndarray) and np.may_share_memory(x, output) else x


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


@neighbourhood.remembered
def _mean(axis: int, size: int, origin: int, mode: str) -> Pass:
    start = neighbourhood.start(operator.index(size), origin)
    window = Mean(size) if size > 1 else Weights([1])
    return Pass(axis, window, start, neighbourhood.boundary(mode))


@neighbourhood.remembered
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


@neighbourhood.remembered
def _mean_passes(ndim: int, axes: Any, size: Any, origin: Any, mode: Any) -> tuple[Pass, ...]:
    axes = neighbourhood.all_axes(axes, ndim)
    options = (neighbourhood.sequence(option, len(axes)) for option in (size, origin, mode))
    return tuple(_mean(axis, int(n), o, name) for axis, n, o, name in zip(axes, *options, strict=True) if n > 1)


@neighbourhood.remembered
def _edge_passes(ndim: int, axis: int, across: Weights, mode: Any) -> tuple[Pass, ...]:
    boundaries = [neighbourhood.boundary(name) for name in neighbourhood.sequence(mode, ndim)]
    others = [Pass(other, across, -1, boundaries[other]) for other in range(ndim) if other != axis]
    return Pass(axis, _DIFFERENCE, -1, boundaries[axis]), *others


@neighbourhood.remembered
def _stencil(data: bytes, shape: tuple[int, ...], ndim: int, axes: Any, origin: Any, flip: bool) -> stencil.Stencil:
    axes = neighbourhood.all_axes(axes, ndim)
    w = neighbourhood.expand(np.frombuffer(data).reshape(shape), axes, ndim, "weights")
    w = np.where(np.abs(w) > np.finfo(float).eps, w, 0.0)  # what else there is, and NaN, SciPy leaves out
    origins = neighbourhood.of_all(origin, axes, ndim)
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
    reach = int(truncate * float(sigma) + 0.5)
    reach = reach if radius is None else radius
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
