"""The slow twins: every kernel once more, in NumPy and straight from its definition.

They are what the tests hold the kernels against, and the path of the dtypes that no kernel is built for
(``object``, ``longdouble``, ``clongdouble``). Like the kernels they only sum: nothing is flipped, conjugated,
promoted or checked here. Terms are added in ascending order of the taps, so nothing but the input decides the
result.

``*`` and ``+`` are those of the dtype: integers wrap, bool has `and` and `or`. ``float16`` is the exception:
it is summed in ``float32`` and rounded once, as NumPy does, because a half holds too few digits for a running
sum.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

__all__ = ["correlate", "correlate1d", "extended", "filter2d", "source", "upfirdn"]

Term = tuple[Any, np.ndarray]  # where in the result, and the values there


def correlate1d(x: np.ndarray, taps: np.ndarray, start: int, count: int) -> np.ndarray:
    """Correlate each line of `x` with `taps`.

    ``y[..., i] = sum_k taps[k] * x[..., start + i + k]``; terms that reach out of the line are left out.

    Parameters
    ----------
    x : ndarray, shape (..., n)
        Lines along the last axis.
    taps : ndarray, shape (K,)
        Of the dtype of `x`.
    start : int
        Where the window of the first output begins; may be negative.
    count : int
        Outputs a line.

    Returns
    -------
    ndarray, shape (..., count)
        Of the dtype of `x`.
    """
    n, dtype = x.shape[-1], x.dtype
    x, taps = _wide(x), _wide(taps)

    def terms() -> Iterator[Term]:
        for k in range(len(taps)):
            shift = start + k
            first, last = max(0, -shift), min(count, n - shift)  # the outputs for which tap k meets the line
            if first < last:
                yield (..., slice(first, last)), x[..., first + shift : last + shift] * taps[k : k + 1]

    return _summed(terms(), (*x.shape[:-1], count), dtype)


def correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    start: Sequence[int],
    count: Sequence[int],
    boundary: str,
    fillvalue: Any,
    stride: Sequence[int],
    dilation: Sequence[int],
) -> np.ndarray:
    """Correlate `x`, extended by `boundary` without end, with `kernel`, of any number of dimensions.

    ``y[i, j] = sum_pq kernel[p, q] * X[start0 + i*stride0 + p*dilation0, start1 + j*stride1 + q*dilation1]``
    in two dimensions, X being `x` extended.

    Parameters
    ----------
    x : ndarray
    kernel : ndarray
        Of the dtype and as many dimensions as `x`.
    start, count, stride, dilation : sequence of int
        For each dimension where the first window begins, outputs, steps of the window, and steps between its taps.
    boundary : {'fill', 'wrap', 'symm', 'mirror', 'nearest'}
        ::

            fill      f f f | a b c d | f f f        f the fillvalue
            wrap      b c d | a b c d | a b c
            symm      c b a | a b c d | d c b
            mirror    d c b | a b c d | c b a
            nearest   a a a | a b c d | d d d

    fillvalue : scalar
        Used by 'fill' alone. It is multiplied like any other value.

    Returns
    -------
    ndarray, shape `count`
        Of the dtype of `x`.
    """
    dtype = x.dtype
    x, kernel = _wide(x), _wide(kernel)
    # One more row, column, ... holds the fillvalue: source sends what lies outside there.
    ringed = np.full([n + 1 for n in x.shape], fillvalue, x.dtype)
    ringed[tuple(slice(n) for n in x.shape)] = x

    def seen_by(tap: int, axis: int) -> np.ndarray:
        at = start[axis] + tap * dilation[axis] + stride[axis] * np.arange(count[axis])
        return source(at, x.shape[axis], boundary)

    terms = (
        (..., ringed[np.ix_(*map(seen_by, tap, range(x.ndim)))] * kernel[tap[:-1]][tap[-1] : tap[-1] + 1])
        for tap in product(*map(range, kernel.shape))
    )
    return _summed(terms, tuple(count), dtype)


def filter2d(
    image: np.ndarray, kernel: np.ndarray, boundary: str, cval: float, dtype: np.typing.DTypeLike
) -> np.ndarray:
    """Correlate `image` with a centred `kernel` in float64, then round half to even and saturate.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    kernel : ndarray, shape (P, Q)
        Its centre is the tap (P//2, Q//2).
    boundary, cval
        As `boundary` and `fillvalue` of `correlate`.
    dtype : dtype
        Of the result: an integer of up to 32 bits, where NaN becomes 0, or a float, which is not rounded.

    Returns
    -------
    ndarray, shape (H, W)
    """
    start = [-(taps // 2) for taps in kernel.shape]
    image, kernel = image.astype(np.float64), kernel.astype(np.float64)
    wide = correlate(image, kernel, start, image.shape, boundary, cval, stride=(1, 1), dilation=(1, 1))
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        wide = np.clip(np.rint(np.where(np.isnan(wide), 0, wide)), limits.min, limits.max)
    with np.errstate(over="ignore"):
        return wide.astype(dtype)


def source(index: np.ndarray, n: int, boundary: str) -> np.ndarray:
    """Map positions on the extended axis to 0..n-1, or to n for the fillvalue."""
    if boundary == "fill" or n == 0:  # nothing can be repeated of nothing
        found = np.where((index >= 0) & (index < n), index, n)
    elif boundary == "wrap":
        found = index % n
    elif boundary == "symm":
        index = index % (2 * n)
        found = np.minimum(index, 2 * n - 1 - index)
    elif boundary == "mirror":
        period = max(2 * n - 2, 1)
        index = index % period
        found = np.minimum(index, period - index)
    elif boundary == "nearest":
        found = np.clip(index, 0, n - 1)
    else:
        raise ValueError(f"boundary is {boundary!r}; use 'fill', 'wrap', 'symm', 'mirror' or 'nearest'")
    return np.asarray(found)


def upfirdn(x: np.ndarray, taps: np.ndarray, up: int, down: int, count: int, mode: str, cval: Any) -> np.ndarray:
    """Put up - 1 zeros between the samples of each line, filter, and keep every down-th output.

    ``y[..., j] = sum_k taps[k] * U[..., j*down - k]``, U being the line extended by `mode` without end, with its
    zeros. Terms beyond the ends are left out where there are zeros.

    Parameters
    ----------
    x : ndarray, shape (..., n)
    taps : ndarray, shape (K,)
        Of the dtype of `x`.
    up, down : int
    count : int
        Outputs a line.
    mode, cval
        As of `extended`.

    Returns
    -------
    ndarray, shape (..., count)
        Of the dtype of `x`.
    """
    at, zero = down * np.arange(count), mode == "constant" and cval == 0

    def terms() -> Iterator[Term]:
        for k in range(len(taps)):
            index, between = np.divmod(at - k, up)
            meets = between == 0
            if zero:
                meets &= (index >= 0) & (index < x.shape[-1])
            yield (..., meets), extended(x, index[meets], mode, cval) * taps[k : k + 1]

    return _summed(terms(), (*x.shape[:-1], count), x.dtype)


def extended(x: np.ndarray, index: np.ndarray, mode: str, cval: Any) -> np.ndarray:
    """Samples at any positions of lines that go on beyond their ends.

    Parameters
    ----------
    x : ndarray, shape (..., n)
    index : ndarray of int, shape (m,)
        Positions, 0 to n - 1 inside.
    mode : str
        As in `scipy.signal.upfirdn`, D being d - a, so that a line of one sample goes on as it is::

            constant             v      v      v  | a b c d |  v      v      v        v = cval
            wrap                 b      c      d  | a b c d |  a      b      c
            symmetric            c      b      a  | a b c d |  d      c      b
            antisymmetric       -c     -b     -a  | a b c d | -d     -c     -b
            reflect              d      c      b  | a b c d |  c      b      a
            antireflect       2a-d   2a-c   2a-b  | a b c d | 2d-c   2d-b   2d-a
            edge                 a      a      a  | a b c d |  d      d      d
            smooth     a-3(b-a) ...    a-(b-a)    | a b c d | d+(d-c)   ...   d+3(d-c)
            line          a-3D/3 ...    a-D/3     | a b c d | d+D/3     ...   d+3D/3

    Returns
    -------
    ndarray, shape (..., m)
        Of the dtype of `x`.
    """
    n, dtype = x.shape[-1], x.dtype
    if mode in _SOURCES:
        found = source(index, n, _SOURCES[mode])
        return np.asarray(np.concatenate([x, np.full((*x.shape[:-1], 1), cval, dtype)], -1)[..., found])
    if n == 0:
        raise ValueError(f"mode {mode!r} needs a sample at the least; there is none")
    if mode == "antisymmetric":
        turned = index % (2 * n) >= n
        return np.asarray(np.where(turned, -1, 1).astype(dtype) * x[..., source(index, n, "symm")])
    first, last = x[..., :1], x[..., -1:]
    if mode == "antireflect":
        times, rest = np.divmod(index, max(n - 1, 1))
        rise = last - first
        there = np.where(times % 2 == 0, x[..., rest % n], first + last - x[..., (n - 1 - rest) % n])
        return np.asarray(there + times.astype(dtype) * rise)
    before, behind = np.minimum(index, 0).astype(dtype), np.maximum(index - (n - 1), 0).astype(dtype)
    left, right = x[..., min(1, n - 1) : min(1, n - 1) + 1] - first, last - x[..., max(n - 2, 0) : max(n - 1, 1)]
    if mode == "line":
        left = right = (last - first) / dtype.type(max(n - 1, 1))
    return np.asarray(x[..., np.clip(index, 0, n - 1)] + before * left + behind * right)


_SOURCES = {"constant": "fill", "wrap": "wrap", "symmetric": "symm", "reflect": "mirror", "edge": "nearest"}


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array


# Objects need not know how to be added to 0 (strings, dates), so their sums begin with the first term.
_add_objects = np.frompyfunc(lambda total, term: term if total is None else total + term, 2, 1)
_none_to_zero = np.frompyfunc(lambda total: 0 if total is None else total, 1, 1)


def _summed(terms: Iterable[Term], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Add up `terms`, pairs of (where in the result, values there), in the order given."""
    objects = dtype.kind == "O"
    total = np.full(shape, None) if objects else _wide(np.zeros(shape, dtype))
    add = _add_objects if objects else np.add
    with np.errstate(all="ignore"):  # a convolution overflows in silence, as NumPy's does
        for where, values in terms:
            total[where] = add(total[where], values)
        return _none_to_zero(total) if objects else total.astype(dtype, copy=False)
