"""Convolution, correlation and resampling in any number of dimensions, to the letter of scipy.signal's signatures."""
from __future__ import annotations

import math
import operator
import timeit
import warnings
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from . import _quick, _runtime
from ._convolve import convolve2d, correlate2d
from ._plan import dtypes, grids, lines, polyphase, spectral
from ._plan import method as costs
from ._plan.windows import signal_window

__all__ = [
    "choose_conv_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "correlation_lags",
    "fftconvolve",
    "oaconvolve",
    "sepfir2d",
    "upfirdn",
]

_METHODS = ("auto", "direct", "fft")


# --- convolve, correlate --------------------------------------------------------------------------------


def convolve(
    in1: Any,
    in2: Any,
    mode: str = "full",
    method: str = "auto",
    *,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    r"""
    Convolve two N-dimensional arrays, as `scipy.signal.convolve`.

    .. math:: y_i = \sum_p x_{i-p} h_p

    with an index for each dimension.

    Parameters
    ----------
    in1 : array_like
        First input.
    in2 : array_like
        Second input, of as many dimensions.
    mode : {'full', 'valid', 'same'}, optional
        'full' gives all N + K - 1 outputs along an axis, 'valid' those that see no end (the two are swapped
        where in2 is the larger in every dimension), 'same' the N in the middle.
    method : {'auto', 'direct', 'fft'}, optional
        'direct' sums as it is written; 'fft' is `fftconvolve`, with integers rounded and the dtype as below.
        'auto' takes the way of least cost, and a transform only where the inputs are finite and integers come
        out exact; it also finds kernels that are an outer product and takes these axis by axis.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of dtype ``numpy.result_type(in1, in2)``. Integers wrap; bool is logical. Of two numbers it is their
        product, a number.

    Raises
    ------
    ValueError
        Inputs of different numbers of dimensions, empty ones, an unknown mode or method, mode 'valid' where
        neither input holds the other, an `out` of the wrong shape.
    TypeError
        Inputs that are no numbers, an `out` of another dtype.

    Warns
    -----
    RuntimeWarning
        ``method='fft'`` for an input that is NaN or infinite: all of the result is, then.

    See Also
    --------
    correlate : without turning `in2` round.
    fftconvolve : along some of the axes.
    fastconv.convolve2d : other boundaries, strides and dilation in two dimensions.

    Notes
    -----
    Direct sums have the error of the plain sum, at most ``K eps sum |x| |h|`` for K taps. By transform it is at
    most ``16 eps log2(N) norm(x block) norm(h)``, N being the points of a block.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.convolve([3, 4, 5], [1, 2, 3, 4], 'same')
    array([10, 22, 34])
    >>> signal.convolve(np.ones((4, 4, 4)), np.ones((2, 2, 2)), 'valid').shape
    (3, 3, 3)
    """
    y = _quick.line(in1, in2, mode, None, method, out, workers, True)
    if y is None:
        y = _quick.plane(in1, in2, mode, "fill", 0, 1, 1, method, out, workers, True)
    return y if y is not None else _sum(True, in1, in2, mode, method, out, workers)


def correlate(
    in1: Any,
    in2: Any,
    mode: str = "full",
    method: str = "auto",
    *,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    r"""
    Cross-correlate two N-dimensional arrays, as `scipy.signal.correlate`.

    .. math:: y_i = \sum_p x_{i+p-(K-1)} \overline{h_p}

    with an index and a K, the size of `in2`, for each dimension.

    Parameters
    ----------
    in1 : array_like
        First input.
    in2 : array_like
        Second input, of as many dimensions; it is conjugated.
    mode : {'full', 'valid', 'same'}, optional
        As in `convolve`. For even sizes 'same' is one off `fastconv.correlate2d`, as in SciPy.
    method : {'auto', 'direct', 'fft'}, optional
        As in `convolve`.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of dtype ``numpy.result_type(in1, in2)``. Integers wrap; bool is logical.

    Raises
    ------
    ValueError, TypeError
        As `convolve`.

    Warns
    -----
    RuntimeWarning
        As `convolve`.

    See Also
    --------
    convolve : its Notes state the error.
    correlation_lags : the shift that each output stands for, in one dimension.

    Examples
    --------
    >>> from fastconv import signal
    >>> y = signal.correlate([1, 2, 3, 4], [2, 3])
    >>> y
    array([ 3,  8, 13, 18,  8])
    >>> signal.correlation_lags(4, 2)[y.argmax()]
    np.int64(2)
    """
    y = _quick.line(in1, in2, mode, None, method, out, workers, False)
    return y if y is not None else _sum(False, in1, in2, mode, method, out, workers)


def _sum(flip: bool, in1: Any, in2: Any, mode: Any, method: Any, out: np.ndarray | None, workers: Any) -> Any:
    in1, in2 = np.asarray(in1), np.asarray(in2)
    name = "convolve" if flip else "correlate"
    if in1.ndim == in2.ndim == 0:
        return _given(in1 * (in2 if flip or in2.dtype.kind != "c" else np.conj(in2)), out)
    if in1.ndim != in2.ndim:
        raise ValueError(
            f"in1 and in2 should have the same dimensionality; their shapes are {in1.shape} and {in2.shape}"
        )
    _refuse_mode(mode)
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; use one of 'auto', 'direct', or 'fft'")
    _refuse_mixed(mode, in1, in2, range(in1.ndim))
    for x in (in1, in2):
        if x.dtype.kind not in "biufcO":
            raise TypeError(f"{name} is not available for dtype {x.dtype}; it needs numbers")
    dtype = np.result_type(in1, in2)
    if mode == "same" and in1.size == 0 < in2.size and method != "fft":
        return dtypes.output(out, in1.shape, dtype)
    if in1.size == 0 or in2.size == 0:
        raise ValueError(f"{name} inputs cannot be empty; they have shapes {in1.shape} and {in2.shape}")

    if method == "fft":
        y = _by_frequency(in1, in2 if flip else np.flip(np.conj(in2)), mode, range(in1.ndim), True, None, workers)
        if not np.isfinite(y.flat[0]):
            warnings.warn(
                "Use of fft convolution on input with NAN or inf results in NAN or inf output. "
                "Consider using method='direct' or 'auto' instead.",
                RuntimeWarning,
                stacklevel=3,
            )
        return _given(_in_dtype(y, dtype), out)
    taps = np.flip(in2) if flip else np.conj(in2) if in2.dtype.kind == "c" else in2  # objects stay as they are
    axes = range(in1.ndim)
    if in1.ndim == 1 and (mode != "same" or len(in1) >= len(in2)):  # as NumPy: what lies outside is no term
        start, count = _windows(mode, in1, taps, axes)
        return lines.correlate(in1, taps, 0, start[0], count[0], dtype, method, out, workers)
    start, count = _windows(mode, in1, taps, axes)
    if in2.size > in1.size and (mode != "same" or _finite(in1, in2)):
        in1, taps, start = _exchanged(in1, taps, start, axes)
    return grids.padded(in1, taps, start, count, dtype, method, out, workers)


def _windows(mode: str, x: np.ndarray, taps: np.ndarray, axes: Collection[int]) -> tuple[list[int], list[int]]:
    """Where the first window begins and how many there are, along all axes of x: these, and others that stand still."""
    windows = [
        signal_window(mode, n, k) if a in axes else (k - 1, n)
        for a, (n, k) in enumerate(zip(x.shape, taps.shape, strict=True))
    ]
    return [first - (k - 1) for (first, _), k in zip(windows, taps.shape, strict=True)], [count for _, count in windows]


def _exchanged(
    x: np.ndarray, taps: np.ndarray, start: list[int], axes: Collection[int]
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The same sums with x for the taps."""
    start = [s + k - n if a in axes else s
             for a, (s, n, k) in enumerate(zip(start, x.shape, taps.shape, strict=True))]  # fmt: skip
    return np.flip(taps, tuple(axes)), np.flip(x, tuple(axes)), start


def _finite(*arrays: np.ndarray) -> bool:
    return all(x.dtype.kind not in "fc" or bool(np.isfinite(x).all()) for x in arrays)


def _in_dtype(y: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Sums by transforms in the dtype of plain ones: whole numbers are rounded, and wrap."""
    with np.errstate(all="ignore"):
        if dtype.kind in "biu":
            y = np.rint(y)
            y = y.astype(np.int64) if dtype != np.uint64 else y
        return y.astype(dtype, copy=False)


def _refuse_mode(mode: Any) -> None:
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode is {mode!r}; acceptable mode flags are 'valid', 'same', or 'full'")


def _refuse_mixed(mode: str, in1: np.ndarray, in2: np.ndarray, axes: Iterable[int]) -> None:
    pairs = [(in1.shape[a], in2.shape[a]) for a in axes]
    if mode == "valid" and any(n < k for n, k in pairs) and any(n > k for n, k in pairs):
        raise ValueError(
            "For 'valid' mode, one must be at least as large as the other in every dimension; "
            f"their shapes are {in1.shape} and {in2.shape}"
        )


def _given(y: Any, out: np.ndarray | None) -> Any:
    if out is None:
        return y
    out = dtypes.output(out, np.shape(y), y.dtype)
    out[...] = y
    return out


# --- by transforms --------------------------------------------------------------------------------------


def fftconvolve(
    in1: Any,
    in2: Any,
    mode: str = "full",
    axes: Any = None,
    *,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    r"""
    Convolve two N-dimensional arrays by FFT, as `scipy.signal.fftconvolve`.

    .. math:: y = \mathcal{F}^{-1}(\mathcal{F}x \cdot \mathcal{F}h)

    Parameters
    ----------
    in1 : array_like
        First input.
    in2 : array_like
        Second input, of as many dimensions.
    mode : {'full', 'valid', 'same'}, optional
        As in `convolve`.
    axes : int or sequence of int, optional
        The axes to convolve along; along the others the inputs broadcast. By default all of them.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`.

    Returns
    -------
    ndarray
        Of floating or complex dtype: float16 becomes float32, and integers, bool and objects become float64.
        Where no axis needs a transform, every one having length 1 in an input, it is the product of the two in
        their own dtype. Empty inputs give an empty array, of one dimension.

    Raises
    ------
    ValueError
        Inputs of different numbers of dimensions, shapes that do not broadcast along the other axes, axes that
        are empty, repeated, out of range or no integers, an unknown mode, mode 'valid' where neither input
        holds the other.
    TypeError
        An `out` of another dtype.

    See Also
    --------
    oaconvolve : the same; a NaN does not spoil all of the result.
    convolve : in the dtype of the inputs, integers exact.

    Notes
    -----
    The error is at most ``16 eps log2(N) norm(x) norm(h)`` for a transform of N points. Where direct sums take
    less time, and the input is finite, they are taken: their error is smaller. Large inputs go through in tiles
    that stay in cache. An input that is NaN or infinite is transformed as a whole, as in SciPy, and so spoils
    all of the result that it is transformed with.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.fftconvolve([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[1.0, 1.0]], axes=1).round(9)
    array([[ 1.,  3.,  5.,  3.],
           [ 4.,  9., 11.,  6.]])
    """
    return _freq_face(in1, in2, mode, axes, True, out, workers)


def oaconvolve(
    in1: Any,
    in2: Any,
    mode: str = "full",
    axes: Any = None,
    *,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> Any:
    """
    Convolve two N-dimensional arrays in blocks, as `scipy.signal.oaconvolve`.

    Parameters
    ----------
    in1, in2, mode, axes, out, workers
        As in `fftconvolve`.

    Returns
    -------
    ndarray
        As of `fftconvolve`.

    Raises
    ------
    ValueError, TypeError
        As `fftconvolve`.

    See Also
    --------
    fftconvolve : its Notes hold here; it goes through in blocks, too, where that is faster.

    Notes
    -----
    Blocks overlap on the input's side (overlap-save), which gives the result of SciPy's overlap-add. A sample
    that is NaN or infinite spoils only the outputs whose sums it is in, where SciPy loses its whole block.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.oaconvolve(np.arange(1000.0), np.ones(3) / 3, 'valid')[:4].round(9)
    array([1., 2., 3., 4.])
    """
    return _freq_face(in1, in2, mode, axes, False, out, workers)


def _freq_face(
    in1: Any, in2: Any, mode: Any, axes: Any, spread: bool, out: np.ndarray | None, workers: Any
) -> Any:
    in1, in2 = np.asarray(in1), np.asarray(in2)
    if in1.ndim == in2.ndim == 0:
        return _given(in1 * in2, out)
    if in1.ndim != in2.ndim:
        raise ValueError(
            f"in1 and in2 should have the same dimensionality; their shapes are {in1.shape} and {in2.shape}"
        )
    if in1.size == 0 or in2.size == 0:
        return _given(np.array([]), out)
    _refuse_mode(mode)
    return _by_frequency(in1, in2, mode, _axes(axes, in1.ndim), spread, out, workers)


def _axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes as SciPy's transforms take them, from 0 on."""
    if axes is None:
        return tuple(range(ndim))
    try:
        try:
            found = [operator.index(axes)]
        except TypeError:
            found = [operator.index(a) for a in axes]
    except TypeError:
        raise ValueError(f"axes must be a scalar or iterable of integers; it is {axes!r}") from None
    if not found:
        raise ValueError("when provided, axes cannot be empty; None stands for all of them")
    if any(not -ndim <= a < ndim for a in found):
        raise ValueError(f"axes exceeds dimensionality of input; it is {axes!r}, and there are {ndim} dimensions")
    found = [a % ndim for a in found]
    if len(set(found)) < len(found):
        raise ValueError(f"all axes must be unique; they are {axes!r}")
    return tuple(found)


def _by_frequency(
    in1: np.ndarray,
    in2: np.ndarray,
    mode: str,
    axes: Iterable[int],
    spread: bool,
    out: np.ndarray | None,
    workers: Any,
) -> Any:
    """The convolution in a floating dtype; `spread`: what is not finite is for a transform, too."""
    moving = sorted(a for a in axes if in1.shape[a] != 1 and in2.shape[a] != 1)  # length 1 is a plain product
    still = [a for a in range(in1.ndim) if a not in moving]
    for a in still:
        n, k = in1.shape[a], in2.shape[a]
        if n != k and 1 not in (n, k):
            shapes = f"{in1.shape} and {in2.shape}"
            raise ValueError(f"incompatible shapes for in1 and in2: {shapes}; they do not broadcast along axis {a}")
        if mode == "same" and n == 1:
            in2 = in2.take([(k - 1) // 2], a)
    _refuse_mixed(mode, in1, in2, moving)
    if not moving:
        return _given(in1 * in2, out)
    dtype = np.result_type(*(_floating(x.dtype) for x in (in1, in2)))
    x, taps = in1.astype(dtype, copy=False), np.flip(in2, tuple(moving)).astype(dtype, copy=False)
    start, count = _windows(mode, x, taps, moving)
    lone = [all(y.shape[a] == 1 for a in still) for y in (x, taps)]  # with no others beside it
    if dtypes.kernel_name(dtype) is None or not any(lone) or (spread and not _finite(x, taps)):
        start, count = ([numbers[a] for a in moving] for numbers in (start, count))
        return _given(spectral.broadcast(x, taps, moving, start, count, _runtime.threads(workers)), out)
    if not lone[1] or (lone[0] and taps.size > x.size):
        x, taps, start = _exchanged(x, taps, start, moving)
        count = [m if a in moving else n for a, (m, n) in enumerate(zip(count, x.shape, strict=True))]
    if len(moving) == 1:
        (a,) = moving
        return lines.correlate(x, taps.reshape(-1), a, start[a], count[a], dtype, "auto", out, workers)
    return grids.padded(x, taps, start, count, dtype, "auto", out, workers)


def _floating(dtype: np.dtype) -> np.dtype:
    """What SciPy's transforms make of a dtype."""
    return np.dtype(np.float32 if dtype == np.float16 else dtype if dtype.kind in "fc" else np.float64)


# --- which way ------------------------------------------------------------------------------------------


def choose_conv_method(in1: Any, in2: Any, mode: str = "full", measure: bool = False) -> Any:
    """
    Tell which method of `convolve` and `correlate` is the faster, as `scipy.signal.choose_conv_method`.

    Parameters
    ----------
    in1 : array_like
        First input.
    in2 : array_like
        Second input, of as many dimensions.
    mode : {'full', 'valid', 'same'}, optional
        As in `convolve`.
    measure : bool, optional
        Time both instead of asking the cost model.

    Returns
    -------
    method : {'direct', 'fft'}
        'direct' wherever a transform could lose something: where an input is not finite, where integers are so
        large that they would not come out exact, and for bool, objects and more than double precision.
    times : dict
        The seconds that each method took, by its name; with ``measure=True`` only.

    Raises
    ------
    ValueError
        An unknown mode; with ``measure=True`` what `convolve` raises.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.choose_conv_method(np.ones(100_000), np.ones(3))
    'direct'
    >>> signal.choose_conv_method(np.ones((1000, 1000)), np.ones((100, 100)))
    'fft'
    """
    in1, in2 = np.asarray(in1), np.asarray(in2)
    _refuse_mode(mode)
    if measure:
        times = {method: _seconds(in1, in2, mode, method) for method in ("fft", "direct")}
        return min(times, key=lambda method: times[method]), times
    dtype = np.result_type(in1, in2)
    name = dtypes.kernel_name(dtypes.working(dtype, 1))
    if name is None or dtype == np.bool_ or in1.ndim != in2.ndim or in1.ndim == 0 or in1.size == 0 or in2.size == 0:
        return "direct"
    x, taps = (in1, in2) if in1.size >= in2.size else (in2, in1)
    start, count = _windows(mode, in1, in2, range(in1.ndim))
    grid = costs.Grid(name, x.shape, tuple(start), tuple(count), tuple(range(x.ndim)), True)
    cost, way = costs.fft_way(grid, taps)
    tiles = way.tiles if cost < costs.direct(name, taps.shape, math.prod(count)) else None
    return "direct" if tiles is None or costs.why_not_fft(x, taps, tiles.points) else "fft"


def _seconds(in1: np.ndarray, in2: np.ndarray, mode: str, method: str) -> float:
    """What a call takes; of short ones the best of three runs of several."""
    timer = timeit.Timer(lambda: convolve(in1, in2, mode, method))
    once = timer.timeit(1)
    number = max(1, int(5e-3 / once))
    return once if once > 1 else min(timer.repeat(3, number)) / number


def correlation_lags(in1_len: int, in2_len: int, mode: str = "full") -> np.ndarray:
    r"""
    Calculate the lags of a one-dimensional cross-correlation, as `scipy.signal.correlation_lags`.

    Parameters
    ----------
    in1_len : int
        Size of the first input.
    in2_len : int
        Size of the second input.
    mode : {'full', 'same', 'valid'}, optional
        As given to `correlate`.

    Returns
    -------
    ndarray of int, shape (count,)
        By how many samples `in2` is moved to the right for each output of ``correlate(in1, in2, mode)``.

    Raises
    ------
    ValueError
        An unknown mode.

    See Also
    --------
    correlate

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.correlation_lags(4, 2)
    array([-1,  0,  1,  2,  3])
    >>> signal.correlation_lags(4, 2, 'same')
    array([-1,  0,  1,  2])
    """
    if mode == "full":
        return np.arange(-in2_len + 1, in1_len)
    if mode == "same":
        lags = np.arange(-in2_len + 1, in1_len)
        first = lags.size // 2 - in1_len // 2
        return lags[first : first + in1_len]
    if mode == "valid":
        span = in1_len - in2_len
        return np.arange(span + 1) if span >= 0 else np.arange(span, 1)
    raise ValueError(f"Mode {mode} is invalid; use one of 'full', 'same', or 'valid'")


# --- filters --------------------------------------------------------------------------------------------


def sepfir2d(input: Any, hrow: Any, hcol: Any, *, out: np.ndarray | None = None, workers: Any = None) -> np.ndarray:
    r"""
    Convolve an image with a row and a column, as `scipy.signal.sepfir2d`.

    .. math:: y_{ij} = \sum_{pq} c_p\, r_q\, x_{i-p+\lfloor P/2 \rfloor,\; j-q+\lfloor Q/2 \rfloor}

    Parameters
    ----------
    input : array_like, shape (H, W)
        The image; beyond its edges it is reflected, ``b a | a b c | c b``.
    hrow : array_like, shape (Q,)
        The filter along the rows, of odd length.
    hcol : array_like, shape (P,)
        The filter along the columns, of odd length.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray, shape (H, W)
        Of float32 for integers of 8 and 16 bits, bool, float16 and float32; of float64 for other integers and
        float64; of complex64 or complex128 for these. The filters are cast to that.

    Raises
    ------
    ValueError
        An image or filter with the wrong number of dimensions, a filter of even length.
    TypeError
        An image of other numbers; filters whose dtype does not cast safely (lists always do).

    See Also
    --------
    fastconv.image.sep_filter2d : for pictures, in their own dtype.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.sepfir2d([[1, 2, 3], [4, 5, 6]], [1, 1, 1], [1])
    array([[ 4.,  6.,  8.],
           [13., 15., 17.]])
    """
    image = np.asarray(input)
    dtype = next((np.dtype(d) for d in "fdFD" if np.can_cast(image.dtype, d, "safe")), None)
    if dtype is None:
        raise TypeError(f"input has dtype {image.dtype}; it needs numbers of at most double precision")
    _refuse_depth("input", image, 2)
    row, column = (_taps(name, h, dtype) for name, h in (("hrow", hrow), ("hcol", hcol)))
    if len(row) % 2 == 0 or len(column) % 2 == 0:
        raise ValueError(f"hrow and hcol have {len(row)} and {len(column)} taps; they must be of odd length")
    start = -(len(column) // 2), -(len(row) // 2)
    factors = {0: column[::-1], 1: row[::-1]}
    return grids.separable(image.astype(dtype, copy=False), factors, start, "symm", out, workers)


def _taps(name: str, taps: Any, dtype: np.dtype) -> np.ndarray:
    h = np.asarray(taps) if isinstance(taps, np.ndarray) else np.array(taps, dtype)
    _refuse_depth(name, h, 1)
    if not np.can_cast(h.dtype, dtype, "safe"):
        raise TypeError(f"{name} has dtype {h.dtype}, which does not cast safely to {dtype}, the dtype of the result")
    return h.astype(dtype, copy=False)


def _refuse_depth(name: str, x: np.ndarray, ndim: int) -> None:
    if x.ndim != ndim:
        fault = "object too deep" if x.ndim > ndim else "object of too small depth"
        raise ValueError(f"{fault}: {name} has shape {x.shape}; it needs {ndim} dimension(s)")


def upfirdn(
    h: Any,
    x: Any,
    up: Any = 1,
    down: Any = 1,
    axis: int = -1,
    mode: str = "constant",
    cval: Any = 0,
    *,
    out: np.ndarray | None = None,
    workers: Any = None,
) -> np.ndarray:
    r"""
    Upsample, filter, and downsample, as `scipy.signal.upfirdn`.

    .. math:: y_j = \sum_k h_k\, u_{jM-k}, \qquad u_{iL} = x_i \text{ and zeros between}

    with L = `up` and M = `down`. No zero is ever multiplied.

    Parameters
    ----------
    h : array_like, shape (K,)
        The filter's taps.
    x : array_like, shape (..., N, ...)
        The signal.
    up, down : int, optional
        The rates, 1 or more.
    axis : int, optional
        The axis to resample along, each line as if alone.
    mode : str, optional
        How a line goes on beyond its ends::

            constant              v     v     v  | a b c d |  v     v     v        v = cval
            wrap                  b     c     d  | a b c d |  a     b     c
            symmetric             c     b     a  | a b c d |  d     c     b
            antisymmetric        -c    -b    -a  | a b c d | -d    -c    -b
            reflect               d     c     b  | a b c d |  c     b     a
            antireflect        2a-d  2a-c  2a-b  | a b c d | 2d-c  2d-b  2d-a
            edge                  a     a     a  | a b c d |  d     d     d
            smooth      a straight line through a and b, and one through c and d
            line        straight lines as steep as the one through a and d

    cval : float, optional
        The v of 'constant'.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of ``ceil(((N - 1) * up + K) / down)`` outputs along the axis, of dtype
        ``numpy.result_type(h, x, numpy.float32)``.

    Raises
    ------
    ValueError
        An `h` that is empty or has not one dimension, a rate below 1, an unknown mode, an `out` of the wrong shape.
    IndexError
        An axis that `x` does not have.
    TypeError
        Inputs that are no numbers, a complex `cval` for a real result, an `out` of another dtype.

    Notes
    -----
    Outputs of the same phase, j M mod L, use the same K / L taps: each phase is a correlation of its own. The
    error is that of the plain sum, at most ``(K / L) eps sum |h| |x|``; without a change of rate it is that of
    `fastconv.convolve`.

    References
    ----------
    P. P. Vaidyanathan, *Multirate Systems and Filter Banks*, section 4.3.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.upfirdn([0.5, 1, 0.5], [1, 1, 1], up=2)
    array([0.5, 1. , 1. , 1. , 1. , 1. , 0.5])
    >>> signal.upfirdn([1], range(10), down=3)
    array([0., 3., 6., 9.])
    """
    x, h = np.asarray(x), np.asarray(h)
    if h.ndim != 1 or h.size == 0:
        raise ValueError(f"h has shape {h.shape}; it needs one dimension, and a tap")
    dtype = np.result_type(h.dtype, x.dtype, np.float32)
    up, down = int(up), int(down)
    if up < 1 or down < 1:
        raise ValueError(f"up is {up} and down {down}; they need 1 or more")
    axis = operator.index(axis)
    if not -x.ndim <= axis < x.ndim:
        raise IndexError(f"axis is {axis}; x has {x.ndim} dimensions")
    mode = mode.lower()
    if mode not in polyphase.MODES:
        raise ValueError(f"mode is {mode!r}; use one of {', '.join(map(repr, polyphase.MODES))}")
    if dtype.kind not in "fc":
        raise TypeError(f"h and x have dtypes {h.dtype} and {x.dtype}; upfirdn needs numbers")
    value = cval * 1.0  # which text is not
    value = complex(value) if dtype.kind == "c" else float(value)
    return polyphase.upfirdn(
        x.astype(dtype, copy=False), h.astype(dtype, copy=False), up, down, axis % x.ndim, mode, value, out, workers
    )
