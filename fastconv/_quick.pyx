# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The short way for small calls of the common form.

Two arrays of one native dtype, contiguous and small, and every keyword left alone: this is checked in some
hundred nanoseconds, and the kernel is called at once, on the calling thread. Everything else, also
everything wrong, gets None and takes the way through the plan, which gives the same result.
"""
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer

import numpy as np

from . import _runtime
from ._plan.dtypes import kernel_name

cnp.import_array()

ctypedef int (*quick_t)(char *, Py_ssize_t, Py_ssize_t, const char *, Py_ssize_t, Py_ssize_t, const char *,
                        Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, bint, bint) noexcept nogil

cdef enum:
    TYPES = 24
    MACS = 1 << 17      # multiply-adds up to which one thread is best and no way but direct is looked for

cdef quick_t kernels[TYPES]     # by NumPy's type number; NULL where the plan decides

for _number in range(TYPES):
    kernels[_number] = NULL
for _code in "bBhHiIlLqQfdFD":
    _dtype = np.dtype(_code)
    kernels[_dtype.num] = <quick_t> PyCapsule_GetPointer(
        _runtime.kernel(kernel_name(_dtype), "correlate").quick_call, "fastconv.quick")

cdef object FULL = "full", SAME = "same", VALID = "valid", AUTO = "auto", FILL = "fill"


cdef inline quick_t kernel_for(object a, object v, int ndim):
    """The kernel for two arrays of the common form, or NULL."""
    cdef int number
    if not (cnp.PyArray_CheckExact(a) and cnp.PyArray_CheckExact(v)):
        return NULL
    number = cnp.PyArray_TYPE(<cnp.ndarray> a)
    if (number >= TYPES or number != cnp.PyArray_TYPE(<cnp.ndarray> v)
            or cnp.PyArray_NDIM(<cnp.ndarray> a) != ndim or cnp.PyArray_NDIM(<cnp.ndarray> v) != ndim
            or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> a) or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> v)):
        return NULL
    return kernels[number]


def line(a, v, mode, axis, method, out, workers, bint flip):
    """`convolve` (flip) and `correlate` of one dimension, or None."""
    cdef quick_t kernel = kernel_for(a, v, 1)
    cdef Py_ssize_t n, k, start, count
    cdef const char *x
    cdef const char *taps
    cdef char *y
    cdef cnp.npy_intp shape
    cdef int status
    if kernel == NULL or axis is not None or method is not AUTO or out is not None or workers is not None:
        return None
    n, k = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(v, 0)
    if not 0 < k <= n or n * k > MACS or (not flip and cnp.PyArray_ISCOMPLEX(a)):
        return None
    if mode is FULL:
        start, count = 1 - k, n + k - 1
    elif mode is SAME:
        start, count = (k - 1) // 2 - (k - 1), n
    elif mode is VALID:
        start, count = 0, n - k + 1
    else:
        return None
    shape = count
    result = cnp.PyArray_EMPTY(1, &shape, cnp.PyArray_TYPE(a), 0)
    x, taps, y = cnp.PyArray_BYTES(a), cnp.PyArray_BYTES(v), cnp.PyArray_BYTES(result)
    with nogil:
        status = kernel(y, 1, count, x, 1, n, taps, 1, k, 0, start, flip, start < 0)
    return result if status == 0 else None


def plane(in1, in2, mode, boundary, fillvalue, stride, dilation, method, out, workers, bint flip):
    """`convolve2d` (flip) and `correlate2d` with zeros outside, or None."""
    cdef quick_t kernel = kernel_for(in1, in2, 2)
    cdef Py_ssize_t h, w, kh, kw
    cdef Py_ssize_t start0 = 0, start1 = 0
    cdef const char *x
    cdef const char *taps
    cdef char *y
    cdef cnp.npy_intp shape[2]
    cdef int status
    if (kernel == NULL or boundary is not FILL or fillvalue is not 0 or stride is not 1 or dilation is not 1
            or method is not AUTO or out is not None or workers is not None):
        return None
    h, w, kh, kw = (cnp.PyArray_DIM(in1, 0), cnp.PyArray_DIM(in1, 1),
                    cnp.PyArray_DIM(in2, 0), cnp.PyArray_DIM(in2, 1))
    if (not 0 < kh <= h or not 0 < kw <= w or h * w * kh * kw > MACS
            or (not flip and cnp.PyArray_ISCOMPLEX(in1))):
        return None
    if mode is FULL:
        start0, start1, shape[0], shape[1] = 1 - kh, 1 - kw, h + kh - 1, w + kw - 1
    elif mode is SAME:
        shape[0], shape[1] = h, w
        start0, start1 = (-(kh // 2), -(kw // 2)) if flip else (-((kh - 1) // 2), -((kw - 1) // 2))
    elif mode is VALID:
        shape[0], shape[1] = h - kh + 1, w - kw + 1
    else:
        return None
    result = cnp.PyArray_EMPTY(2, shape, cnp.PyArray_TYPE(in1), 0)
    x, taps, y = cnp.PyArray_BYTES(in1), cnp.PyArray_BYTES(in2), cnp.PyArray_BYTES(result)
    with nogil:
        status = kernel(y, shape[0], shape[1], x, h, w, taps, kh, kw, start0, start1, flip, False)
    return result if status == 0 else None
