"""NumPy's one-dimensional convolution and SciPy's two-dimensional one, to the letter of their signatures."""
from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from . import _quick
from ._plan import dtypes, grids, lines
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
    r"""
    Discrete, linear convolution of two one-dimensional sequences, as `numpy.convolve`.

    .. math:: c_i = \sum_m a_m v_{i-m}

    Parameters
    ----------
    a : array_like, shape (N,), or (..., N, ...) with `axis`
        First input.
    v : array_like, shape (K,)
        Second input, the taps. The two are swapped where `v` is longer.
    mode : {'full', 'same', 'valid'} or 2, 1, 0, optional
        'full' gives all N + K - 1 outputs, 'same' the max(N, K) in the middle, 'valid' the
        max(N, K) - min(N, K) + 1 that see no end.
    axis : int, optional
        Filter an N-D `a` along this axis, each line as if alone. By default both inputs are one-dimensional.
    method : {'auto', 'direct', 'overlap-save', 'fft'}, optional
        How to compute. 'auto' takes the fastest by a cost model, and a transform only where the input is
        finite and integers come out exact. 'overlap-save' transforms blocks that stay in cache, 'fft' all at
        once; their errors follow the largest values of a block (see Notes).
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of dtype ``numpy.result_type(a, v)``. Integers wrap; bool is logical.

    Raises
    ------
    ValueError
        Empty or too deep inputs, an unknown mode or method, an `out` of the wrong shape, a `method` that
        cannot be used for this input.
    TypeError
        A mode or `workers` of the wrong type, an `out` of another dtype.
    numpy.exceptions.AxisError
        An `axis` that `a` does not have.

    See Also
    --------
    correlate : without turning `v` round.
    convolve2d : the same for images.

    Notes
    -----
    Direct sums have the error of the plain sum, at most ``K eps sum |a| |v|`` in an output. By transform it is
    at most ``16 eps log2(N) norm(a block) norm(v)``, N being the points of a block.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, section 8.7 (overlap-save).

    Examples
    --------
    The mean of the last three samples:

    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.convolve([10, 9, 10, 9, 10, 1], np.ones(3) / 3)[:6].round(2)
    array([3.33, 6.33, 9.67, 9.33, 9.67, 6.67])

    Along the rows of a matrix:

    >>> fastconv.convolve([[1, 2, 3], [4, 5, 6]], [1, 1], 'valid', axis=1)
    array([[ 3,  5],
           [ 9, 11]])
    """
    y = _quick.line(a, v, mode, axis, method, out, workers, True)
    if y is not None:
        return y
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
    r"""
    Cross-correlation of two one-dimensional sequences, as `numpy.correlate`.

    .. math:: c_i = \sum_m a_{m+i} \overline{v_m}

    Parameters
    ----------
    a : array_like, shape (N,), or (..., N, ...) with `axis`
        First input.
    v : array_like, shape (K,)
        Second input. It is conjugated, not turned round.
    mode : {'valid', 'same', 'full'} or 0, 1, 2, optional
        As in `convolve`, but 'valid' by default.
    axis : int, optional
        Filter an N-D `a` along this axis, each line as if alone. By default both inputs are one-dimensional.
    method : {'auto', 'direct', 'overlap-save', 'fft'}, optional
        How to compute. 'auto' takes the fastest by a cost model, and a transform only where the input is
        finite and integers come out exact. 'overlap-save' transforms blocks that stay in cache, 'fft' all at
        once; their errors follow the largest values of a block (see Notes).
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of dtype ``numpy.result_type(a, v)``; of the inputs' subclass where there is one, as NumPy gives it.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError
        As `convolve`.

    See Also
    --------
    convolve : the same with `v` turned round and not conjugated; its Notes state the error.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.correlate([1, 2, 3], [0, 1, 0.5])
    array([3.5])
    >>> fastconv.correlate([1, 2, 3], [0, 1, 0.5], 'full')
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    y = _quick.line(a, v, mode, axis, method, out, workers, False)
    if y is not None:
        return y
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
    taps = np.conj(v) if v.dtype.kind == "c" else v  # objects stay as they are, in NumPy too
    y = lines.correlate(
        np.asarray(a), np.asarray(taps), axis, start - (k - 1), count, dtype, method, out, workers
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

_LONGEST = 1 << 60  # of a kernel: sums of a few such stay indices

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
    r"""
    Convolve two 2-dimensional arrays, as `scipy.signal.convolve2d`.

    .. math:: y_{ij} = \sum_{pq} x_{i-p,\, j-q} h_{pq}

    Parameters
    ----------
    in1 : array_like, shape (H, W)
        The image.
    in2 : array_like, shape (P, Q)
        The kernel. In mode 'valid' the two are swapped where in2 is the larger.
    mode : {'full', 'valid', 'same'}, optional
        'full' gives all (H + P - 1, W + Q - 1) outputs, 'valid' the (H - P + 1, W - Q + 1) that see no
        boundary, 'same' the (H, W) in the middle.
    boundary : {'fill', 'wrap', 'symm'}, optional
        How in1 goes on outside, as often as the kernel needs::

            fill   v v | a b c | v v
            wrap   b c | a b c | a b
            symm   b a | a b c | c b

        'pad', 'circular' and 'symmetric' are SciPy's other names for them.
    fillvalue : scalar, optional
        The v of 'fill'. An integer result truncates it.
    stride : int or pair of int, optional
        Take every n-th output row and column: the result is SciPy's ``[::n, ::n]``, and only that is computed.
    dilation : int or pair of int, optional
        Distance of the taps of in2: sizes are those of a kernel with d - 1 zeros between its taps, (K - 1) d + 1,
        but the zeros are not multiplied.
    method : {'auto', 'direct', 'separable', 'fft'}, optional
        How to compute. 'auto' takes the fastest by a cost model: 'separable' where in2 is found to be a sum of few
        outer products, 'fft' (in tiles) for large kernels where the input is finite and integers come out exact.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of dtype ``numpy.result_type(in1, in2)``. Integers wrap.

    Raises
    ------
    ValueError
        Inputs that are not two-dimensional or of a dtype SciPy does not take (bool with bool, float16, object);
        an unknown mode, boundary or method; mode 'valid' where neither input holds the other; a `fillvalue`
        that does not fit the dtype; a stride or dilation below 1; an `out` of the wrong shape.
    TypeError
        A stride or dilation that is no integer, an `out` of another dtype.

    See Also
    --------
    correlate2d : without turning the kernel round.
    fastconv.image.filter2d : for pictures, rounded and saturated to their dtype.

    Notes
    -----
    Direct sums have the error of the plain sum, at most ``P Q eps sum |x| |h|``; separable ones of R outer products
    at most ``(R (P + Q) + 4) eps sum |x| a``, where a is what these add up to in magnitude: for one, and for whole
    numbers, it is |h|, and else in all the kernel no more than twice that. By transform it is at most
    ``16 eps log2(N) norm(x tile) norm(h)``, N being the points of a tile.

    Examples
    --------
    >>> import fastconv
    >>> image = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    >>> fastconv.convolve2d(image, [[1, 0], [0, -1]], 'same')
    array([[1, 2, 3],
           [4, 4, 4],
           [7, 4, 4]])
    >>> fastconv.convolve2d(image, [[1, 1], [1, 1]], 'valid', stride=1)
    array([[12, 16],
           [24, 28]])
    """
    y = _quick.plane(in1, in2, mode, boundary, fillvalue, stride, dilation, method, out, workers, True)
    if y is not None:
        return y
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
    r"""
    Cross-correlate two 2-dimensional arrays, as `scipy.signal.correlate2d`.

    .. math:: y_{ij} = \sum_{pq} x_{i+p,\, j+q} \overline{h_{pq}}

    Parameters
    ----------
    in1 : array_like, shape (H, W)
        The image.
    in2 : array_like, shape (P, Q)
        The kernel; it is conjugated, not turned round. In mode 'valid' the two are swapped where in2 is the
        larger, and the result is reversed.
    mode : {'full', 'valid', 'same'}, optional
        As in `convolve2d`. For an even kernel 'same' is one row and column off `scipy.signal.correlate`, as in
        SciPy.
    boundary : {'fill', 'wrap', 'symm'}, optional
        How in1 goes on outside, as often as the kernel needs::

            fill   v v | a b c | v v
            wrap   b c | a b c | a b
            symm   b a | a b c | c b

        'pad', 'circular' and 'symmetric' are SciPy's other names for them.
    fillvalue : scalar, optional
        The v of 'fill'. An integer result truncates it.
    stride : int or pair of int, optional
        Take every n-th output row and column: the result is SciPy's ``[::n, ::n]``, and only that is computed.
    dilation : int or pair of int, optional
        Distance of the taps of in2: sizes are those of a kernel with d - 1 zeros between its taps, (K - 1) d + 1,
        but the zeros are not multiplied.
    method : {'auto', 'direct', 'separable', 'fft'}, optional
        How to compute. 'auto' takes the fastest by a cost model: 'separable' where in2 is found to be a sum of few
        outer products, 'fft' (in tiles) for large kernels where the input is finite and integers come out exact.
    out : ndarray, optional
        Where to write the result: of its shape and dtype, any strides. It may overlap the inputs.
    workers : int, optional
        Threads to use at most; by default `fastconv.get_workers`. The result is the same for any number.

    Returns
    -------
    ndarray
        Of dtype ``numpy.result_type(in1, in2)``. Integers wrap.

    Raises
    ------
    ValueError
        Inputs that are not two-dimensional or of a dtype SciPy does not take (bool with bool, float16, object);
        an unknown mode, boundary or method; mode 'valid' where neither input holds the other; a `fillvalue`
        that does not fit the dtype; a stride or dilation below 1; an `out` of the wrong shape.
    TypeError
        A stride or dilation that is no integer, an `out` of another dtype.

    See Also
    --------
    convolve2d : the same with the kernel turned round and not conjugated; its Notes state the error.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.correlate2d([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 0], [0, -1]], 'valid')
    array([[-4, -4],
           [-4, -4]])
    """
    y = _quick.plane(in1, in2, mode, boundary, fillvalue, stride, dilation, method, out, workers, False)
    if y is not None:
        return y
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
    try:
        dtype = np.result_type(in1, in2)
    except np.exceptions.DTypePromotionError as error:
        raise ValueError(f"{name} is not available for dtypes {in1.dtype} and {in2.dtype}") from error
    if dtype.kind not in "iufc" or dtype == np.float16:
        raise ValueError(f"{name} is not available for dtype {dtype}; convert the inputs, e.g. to float32")
    fill = _fill(fillvalue if boundary == "fill" else 0, dtype)

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
    # A stride beyond the size takes the first output, as the size does.
    step = (1, 1) if backward else (min(stride[0], max(size[0], 1)), min(stride[1], max(size[1], 1)))
    count = (-(-size[0] // step[0]), -(-size[1] // step[1]))
    kernel = in2[::-1, ::-1] if flip else np.conj(in2)
    y = grids.correlate(
        in1.astype(dtype, copy=False), kernel.astype(dtype, copy=False), (start[0], start[1]), count, boundary, fill,
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
    if max(first, second) > _LONGEST:
        raise ValueError(f"a {shape} kernel with dilation {dilation} spans {first} x {second}: too large to index")
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
    """The fill value as an array of one, in the dtype of the result: an array must cast safely, as in SciPy."""
    try:
        with np.errstate(all="ignore"):
            if isinstance(fillvalue, np.ndarray):
                value = fillvalue.astype(dtype, casting="safe")
            else:
                value = np.array(fillvalue, dtype)
    except (TypeError, ValueError, OverflowError):
        np.array(fillvalue, complex)  # what is no number at all has an error of its own
        raise ValueError(f"could not cast `fillvalue` directly to the output array: {fillvalue!r} to {dtype}") from None
    if value.size != 1:
        raise ValueError(f"`fillvalue` must be scalar or an array with one element, not of shape {value.shape}")
    return value.reshape(1)
