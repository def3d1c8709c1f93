"""What the tests share: dtypes, data on which sums are exact, memory layouts, comparison, SciPy's answers."""

from decimal import Decimal

import numpy as np
import scipy.signal

INTEGERS = [np.dtype(kind) for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")]
FLOATS = [np.dtype(kind) for kind in ("f2", "f4", "f8", np.longdouble)]
COMPLEX = [np.dtype(kind) for kind in ("c8", "c16", np.clongdouble)]
ALL_DTYPES = [np.dtype(bool), *INTEGERS, *FLOATS, *COMPLEX, np.dtype(object)]  # what numpy.convolve takes
DTYPES_2D = [*INTEGERS, *FLOATS[1:], *COMPLEX]  # what scipy.signal.convolve2d takes
KERNEL_DTYPES = [np.dtype(kind) for kind in ("f4", "f8", "c8", "c16")]  # floating, and not summed by a twin
MODES = ("full", "same", "valid")
BOUNDARIES = ("fill", "wrap", "symm")


def name(dtype):
    return np.dtype(dtype).name


_decimals = np.vectorize(lambda number: Decimal(int(number)), otypes=[object])


def small(rng, shape, dtype, top=3):
    """Integers of `dtype` of size up to `top`: sums of hundreds of their products are exact."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind == "O":
        return _decimals(small(rng, shape, "i8", top))
    values = rng.integers(0 if dtype.kind == "u" else -top, top + 1, shape)
    if dtype.kind == "c":
        return (values + 1j * rng.integers(-top, top + 1, shape)).astype(dtype)
    return values.astype(dtype)


def normal(rng, shape, dtype):
    """Normally distributed floats; complex ones in both parts."""
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def same(result, expected, what=""):
    """Assert equality in type, dtype, shape and every value, with no tolerance; NaN equals NaN."""
    assert type(result) is type(expected), what
    assert result.dtype == expected.dtype, what
    assert result.dtype.isnative, what
    assert result.shape == expected.shape, what
    if not (result == expected).all():  # NaN, or a fault
        np.testing.assert_array_equal(result, expected, err_msg=str(what))


def scipy2d(function, in1, in2, mode="full", boundary="fill", fillvalue=0, *, stride=1, dilation=1):
    """Answer convolve2d or correlate2d by SciPy, which has neither stride nor dilation."""
    in2 = np.asarray(in2)
    (s0, s1), (d0, d1) = np.broadcast_to(stride, 2), np.broadcast_to(dilation, 2)
    if (d0, d1) != (1, 1):
        rows, columns = in2.shape
        spread = np.zeros(((rows - 1) * d0 + 1, (columns - 1) * d1 + 1), in2.dtype)
        spread[::d0, ::d1] = in2
        in2 = spread
    return getattr(scipy.signal, function)(in1, in2, mode, boundary, fillvalue)[::s0, ::s1]


def _embedded(array, shape, index):
    """Put `array` at `index` of a larger array full of what must never be read."""
    around = np.full(shape, 113).astype(array.dtype)
    view = around[tuple(index)]
    view[...] = array
    return view


def _misaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)
    view = np.frombuffer(raw.data, array.dtype, array.size, offset=1).reshape(array.shape)
    view[...] = array
    return view


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


# A layout takes a C-contiguous array and gives one of equal values that lies otherwise in memory.
LAYOUTS = {
    "contiguous": lambda a: a,
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "last axis reversed": lambda a: np.flip(np.flip(a, -1).copy(), -1),
    "every second": lambda a: _embedded(a, [2 * n for n in a.shape], [slice(None, None, 2)] * a.ndim),
    "every third, backwards": lambda a: _embedded(a, [3 * n for n in a.shape], [slice(None, None, -3)] * a.ndim),
    "cut out": lambda a: _embedded(a, [n + 5 for n in a.shape], [slice(2, n + 2) for n in a.shape]),
    "column": lambda a: _embedded(a, [*a.shape, 3], [..., 1]),
    "Fortran": np.asfortranarray,
    "byteswapped": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": _read_only,
}
# Python objects are pointers, which lie nowhere but on their own addresses.
PLAIN_LAYOUTS = {**LAYOUTS, "misaligned": _misaligned}


def layouts(dtype):
    return LAYOUTS if np.dtype(dtype).kind == "O" else PLAIN_LAYOUTS
