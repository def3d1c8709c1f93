"""Filters by order: the largest, the smallest, the one of a given rank."""
from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .._plan import neighbourhood, order

__all__ = [
    "maximum_filter",
    "maximum_filter1d",
    "median_filter",
    "minimum_filter",
    "minimum_filter1d",
    "percentile_filter",
    "rank_filter",
]


def maximum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    The largest number in a window around each pixel, as `scipy.ndimage.maximum_filter`.

    .. math:: y_i = \max_{p \in F} x_{i + p}

    Parameters
    ----------
    input : array_like
        Of real numbers, any number of dimensions.
    size : int or sequence of int, optional
        Of a window that is a box; one number for all axes, or one for each. A size of 0 or 1 leaves an axis alone.
    footprint : array_like of bool, optional
        The window, where it is no full box. `size` is ignored then. Its centre is the pixel ``shape // 2``.
    output : ndarray or dtype, optional
        Where to write the result, or its dtype; by default a new array of the input's dtype. The array may be the
        input.
    mode : str or sequence of str, optional
        How the input goes on beyond its edges; for a box, there may be one mode for each axis. 'grid-mirror',
        'grid-constant' and 'grid-wrap' are other names of 'reflect', 'constant' and 'wrap'::

            reflect   c b a | a b c d | d c b
            constant  v v v | a b c d | v v v
            nearest   a a a | a b c d | d d d
            mirror    d c b | a b c d | c b a
            wrap      b c d | a b c d | a b c

    cval : float, optional
        The v of 'constant'.
    origin : int or sequence of int, optional
        Moves the window to the front, from ``-(size // 2)`` to ``(size - 1) // 2``.
    axes : int or sequence of int, optional
        The axes to filter; by default all. What is given one for each axis has one for each of these.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError
        Neither `size` nor `footprint`; a sequence of the wrong length; an unknown mode; several modes for a
        footprint that is no full box; an `output` of the wrong shape; a dtype that SciPy does not take (float16,
        longdouble, object).
    ValueError
        An `origin` outside the window, an axis that is not there or named twice, a footprint without any pixel.
    TypeError
        Complex numbers; sizes and origins that are no numbers.

    See Also
    --------
    minimum_filter, maximum_filter1d, rank_filter

    Notes
    -----
    A box costs about the same whatever its size: windows double along rows, and van Herk's and Gil and Werman's
    algorithm goes down the columns, all in one sweep.

    NaN wins: the result is NaN wherever the window holds one. In SciPy it depends on the order of what is compared.
    Integers are compared as integers; SciPy goes through float64, where those beyond :math:`2^{53}` lose digits.

    References
    ----------
    M. van Herk, A fast algorithm for local minimum and maximum filters on rectangular and octagonal kernels,
    Pattern Recognition Letters 13 (1992); J. Gil and M. Werman, Computing 2-D min, median, and max filters,
    IEEE PAMI 15 (1993).

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.maximum_filter([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([8, 8, 8, 4, 9, 9, 9, 9])
    >>> fastconv.ndimage.maximum_filter([[0, 0, 0], [0, 5, 0], [0, 0, 1]], footprint=[[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    array([[0, 5, 0],
           [5, 5, 5],
           [0, 5, 1]])
    """
    return _extreme(False, input, size, footprint, output, mode, cval, origin, axes, workers)


def minimum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    """
    The smallest number in a window around each pixel, as `scipy.ndimage.minimum_filter`.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes, workers
        As in `maximum_filter`.

    Returns
    -------
    ndarray
        Of the input's shape. It is NaN wherever the window holds a NaN.

    See Also
    --------
    maximum_filter : errors, notes and references.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.minimum_filter([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([2, 0, 0, 0, 1, 1, 0, 0])
    """
    return _extreme(True, input, size, footprint, output, mode, cval, origin, axes, workers)


def maximum_filter1d(
    input: Any,
    size: Any,
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    workers: Any = None,
) -> np.ndarray:
    """
    The largest number in a window along an axis, as `scipy.ndimage.maximum_filter1d`.

    Parameters
    ----------
    input, output, mode, cval, origin, workers
        As in `maximum_filter`.
    size : int
        Length of the window, at least 1.
    axis : int, optional
        The axis to filter.

    Returns
    -------
    ndarray
        Of the input's shape. It is NaN wherever the window holds a NaN.

    See Also
    --------
    maximum_filter : errors, notes and references.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.maximum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3, origin=-1)
    array([8, 8, 4, 9, 9, 9, 9, 9])
    """
    return _extreme1d(False, input, size, axis, output, mode, cval, origin, workers)


def minimum_filter1d(
    input: Any,
    size: Any,
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    workers: Any = None,
) -> np.ndarray:
    """
    The smallest number in a window along an axis, as `scipy.ndimage.minimum_filter1d`.

    Parameters
    ----------
    input, size, axis, output, mode, cval, origin, workers
        As in `maximum_filter1d`.

    Returns
    -------
    ndarray
        Of the input's shape. It is NaN wherever the window holds a NaN.

    See Also
    --------
    maximum_filter : errors, notes and references.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.minimum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3, mode='constant')
    array([0, 0, 0, 0, 1, 1, 0, 0])
    """
    return _extreme1d(True, input, size, axis, output, mode, cval, origin, workers)


def rank_filter(
    input: Any,
    rank: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    """
    The number of a given rank in a window around each pixel, as `scipy.ndimage.rank_filter`.

    Parameters
    ----------
    input, output, cval, workers
        As in `maximum_filter`.
    rank : int
        Position in the sorted window: 0 is the smallest, -1 the largest.
    size, footprint, origin, axes
        As in `maximum_filter`, but no size may be below 1.
    mode : str, optional
        As in `maximum_filter`, one for all axes.

    Returns
    -------
    ndarray
        Of the input's shape.

    Raises
    ------
    RuntimeError
        A rank that the window does not have; what `maximum_filter` names.
    ValueError, TypeError
        As `maximum_filter`; a `rank` that is no integer.

    See Also
    --------
    median_filter, percentile_filter, maximum_filter

    Notes
    -----
    Small windows are ranked by networks of minima and maxima, a vector of windows at once. Large ones slide over
    the sorted numbers of a block, at a cost that grows with the window's edge, not with its area. Neither looks at
    the values, so a result does not depend on which is used.

    NaN counts as larger than any number, as in `numpy.sort`; rank 0 and the highest rank are `minimum_filter` and
    `maximum_filter`, where it wins. In SciPy it leaves the result undefined.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.rank_filter([2, 8, 0, 4, 1, 9, 9, 0], rank=-2, size=3)
    array([2, 2, 4, 1, 4, 9, 9, 0])
    """
    return _rank(operator.index(rank), "rank", input, size, footprint, output, mode, cval, origin, axes, workers)


def median_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    """
    The median of a window around each pixel, as `scipy.ndimage.median_filter`.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes, workers
        As in `rank_filter`.

    Returns
    -------
    ndarray
        Of the input's shape: the number of rank ``n // 2`` where the window holds n, so of an even number the
        upper of the middle two.

    See Also
    --------
    rank_filter : errors and notes.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.median_filter([[1, 1, 1], [1, 9, 1], [2, 2, 2]], size=3)
    array([[1, 1, 1],
           [1, 1, 1],
           [2, 2, 2]])
    """
    return _rank(0, "median", input, size, footprint, output, mode, cval, origin, axes, workers)


def percentile_filter(
    input: Any,
    percentile: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: Any = None,
) -> np.ndarray:
    """
    A percentile of a window around each pixel, as `scipy.ndimage.percentile_filter`.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes, workers
        As in `rank_filter`.
    percentile : float
        From 0 to 100; below 0 it counts back from 100, so -20 is 80.

    Returns
    -------
    ndarray
        Of the input's shape: the number of rank ``int(n * percentile / 100)`` where the window holds n, and the
        largest for 100. Nothing is interpolated.

    Raises
    ------
    RuntimeError
        A percentile beyond 100; what `rank_filter` names.

    See Also
    --------
    rank_filter : errors and notes.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.ndimage.percentile_filter([2, 8, 0, 4, 1, 9, 9, 0], percentile=40, size=5)
    array([2, 2, 2, 4, 4, 4, 1, 9])
    """
    return _rank(percentile, "percentile", input, size, footprint, output, mode, cval, origin, axes, workers)


def _extreme(
    smallest: bool,
    input: Any,
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    workers: Any,
) -> np.ndarray:
    _warn_of_both(size, footprint)
    if footprint is None:
        if size is None:
            raise RuntimeError("no footprint provided: give size or footprint")
    else:
        footprint = np.asarray(footprint, bool)
        if not footprint.any():
            raise ValueError(f"All-zero footprint is not supported. This one has shape {footprint.shape}")
        if footprint.all():
            size, footprint = footprint.shape, None
    x = _real(input)
    y = neighbourhood.output(output, x)
    axes = neighbourhood.all_axes(axes, x.ndim)
    if footprint is not None:
        footprint = neighbourhood.expand(footprint, axes, x.ndim, "footprint")
        begin = _begin(footprint, axes, origin)
        boundary = neighbourhood.one_boundary(mode, "for non-separable footprints")
        neighbourhood.check_real(x, y)
        if boundary == "fill":
            cval = neighbourhood.stored(cval, x.dtype)
        order.rank(x, y, footprint, begin, [boundary] * x.ndim, cval, None, smallest, workers)
        return y
    passes = []
    for axis, k, shift, name in zip(
        axes, *(neighbourhood.sequence(value, len(axes)) for value in (size, origin, mode)), strict=True
    ):
        if k > 1:
            k = int(k)
            passes.append(order.Pass(axis, k, neighbourhood.start(k, shift), neighbourhood.boundary(name)))
    if passes:
        order.extremes(x, y, passes, cval, smallest, workers)
    else:
        y[...] = x
    return y


def _extreme1d(
    smallest: bool, input: Any, size: Any, axis: Any, output: Any, mode: Any, cval: Any, origin: Any, workers: Any
) -> np.ndarray:
    x = _real(input)
    axis = normalize_axis_index(axis, x.ndim)
    if size < 1:
        raise RuntimeError(f"incorrect filter size: {size}; it needs 1 or more")
    y = neighbourhood.output(output, x)
    start = neighbourhood.start(size, origin)
    one = order.Pass(axis, operator.index(size), start, neighbourhood.boundary(mode))
    order.extremes(x, y, [one], cval, smallest, workers)
    return y


def _rank(
    which: Any,
    operation: str,
    input: Any,
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    workers: Any,
) -> np.ndarray:
    _warn_of_both(size, footprint)
    x = _real(input)
    axes = neighbourhood.all_axes(axes, x.ndim)
    if footprint is None:
        if size is None:
            raise RuntimeError("no footprint or filter size provided")
        footprint, begin, count = _box(x.ndim, size, axes, origin)
    else:
        footprint = neighbourhood.expand(np.asarray(footprint, bool), axes, x.ndim, "footprint")
        begin = _begin(footprint, axes, origin)
        count = int(footprint.sum())
    number = _number(which, operation, count)
    if number in (0, count - 1):
        if not isinstance(mode, str) and np.iterable(mode):
            mode = neighbourhood.over_all(neighbourhood.sequence(mode, len(axes)), axes, x.ndim, "constant")
        origin = neighbourhood.of_all(origin, axes, x.ndim)
        return _extreme(number == 0, x, None, footprint, output, mode, cval, origin, None, workers)
    y = neighbourhood.output(output, x)
    boundary = neighbourhood.one_boundary(mode, "by non-separable rank filters")
    # SciPy's filter of lines takes halves, and holds all integers in 64 bits.
    line = x.ndim == 1 and (x.size == 1 or x.size >= footprint.size + begin[0])
    if y.size and not (line and x.dtype == np.float16):
        neighbourhood.check_real(x, y)
    if boundary == "fill":
        cval = neighbourhood.stored(cval, np.dtype(np.int64) if line and x.dtype.kind in "biu" else x.dtype)
    order.rank(x, y, footprint, begin, [boundary] * x.ndim, cval, number, False, workers)
    return y


@neighbourhood.remembered
def _box(ndim: int, size: Any, axes: Sequence[int], origin: Any) -> tuple[np.ndarray, list[int], int]:
    """The footprint of a box, where it begins, and how much it holds."""
    footprint = np.ones(neighbourhood.sequence(size, len(axes)), bool)
    footprint = neighbourhood.expand(footprint, axes, ndim, "footprint")
    return footprint, _begin(footprint, axes, origin), footprint.size


def _number(which: Any, operation: str, count: int) -> int:
    """The rank that is asked for, in a window of `count`."""
    if operation == "median":
        which = count // 2
    elif operation == "percentile":
        percentile = which + 100.0 if which < 0.0 else which
        if percentile < 0 or percentile > 100:
            raise RuntimeError(f"invalid percentile: {which} is not within -100 and 100")
        which = count - 1 if percentile == 100.0 else int(float(count) * percentile / 100.0)
    number = int(which + count if which < 0 else which)
    if not 0 <= number < count:
        raise RuntimeError(f"rank not within filter footprint size: {which} of {count}")
    return number


def _begin(footprint: np.ndarray, axes: Sequence[int], origin: Any) -> list[int]:
    """Where a footprint of all axes begins, seen from its output."""
    origins = neighbourhood.of_all(origin, axes, footprint.ndim)
    return [neighbourhood.start(k, shift) for k, shift in zip(footprint.shape, origins, strict=True)]


def _real(input: Any) -> np.ndarray:
    x: np.ndarray = np.asarray(input)
    if x.dtype.kind == "c":
        raise TypeError(f"Complex type not supported: {x.dtype}")
    return x


def _warn_of_both(size: Any, footprint: Any) -> None:
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=4)
