# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The short way for small calls of the common form.

Arrays of one native dtype, contiguous and small, and no keyword but those that layers and pools live by: this is
checked in some hundred nanoseconds, and the kernel is called at once, on the calling thread. Everything else, also
everything wrong, gets None and takes the way through the plan, which gives the same result.
"""
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.tuple cimport PyTuple_CheckExact
from libc.string cimport memcpy

import numpy as np

from . import _runtime
from ._kernels.windows cimport OVER_PADDED, OVER_TAPS, PLAIN, Axis
from ._plan.dtypes import kernel_name
from ._plan.layers import ACTIVATION_CODES as _CODES, PackedWeight
from ._plan.pools import OPERATIONS as _OPERATIONS

cnp.import_array()

ctypedef int (*quick_t)(char *, Py_ssize_t, Py_ssize_t, const char *, Py_ssize_t, Py_ssize_t, const char *,
                        Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, bint, bint) noexcept nogil

ctypedef int (*pool_t)(const char *, char *, char *, int, const Axis *, const Axis *, Py_ssize_t, Py_ssize_t,
                       int) noexcept nogil

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

cdef pool_t pools[TYPES]

for _number in range(TYPES):
    pools[_number] = NULL
for _code in "Bfd":
    _dtype = np.dtype(_code)
    pools[_dtype.num] = <pool_t> PyCapsule_GetPointer(
        _runtime.kernel(kernel_name(_dtype), "pool").quick_call, "fastconv.quick_pool")

# of lanes that are channels, and of lanes that are columns
cdef object FLOATS = (_runtime.kernel("f32", "layer"), _runtime.kernel("f32", "columns"))
cdef object DOUBLES = (_runtime.kernel("f64", "layer"), _runtime.kernel("f64", "columns"))

cdef object FULL = "full", SAME = "same", VALID = "valid", AUTO = "auto", FILL = "fill"
cdef object NCW = "NCW", NWC = "NWC", NCHW = "NCHW", NHWC = "NHWC", RAISE = "raise", DROP = "drop", PAD = "pad"
cdef int SUM = _OPERATIONS["sum"]


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


# --- layers and pools -----------------------------------------------------------------------------------

cdef inline bint same(object name, object known):
    """Whether it is this name; where a program spells it out, it is the same object."""
    return name is known or (type(name) is str and name == known)


cdef struct Planes:             # a batch of pictures; one dimension is a height of 1
    Py_ssize_t n, channels
    Py_ssize_t size[2]
    bint last                   # whether channels are


cdef bint planes(cnp.ndarray x, int ndim, object layout, bint flat, Planes *p):
    """What the shape says, channels and, with `flat`, the batch being optional; whether it is one."""
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    cdef int found = cnp.PyArray_NDIM(x), at
    p.last = same(layout, NHWC if ndim == 2 else NWC)
    if not p.last and not same(layout, NCHW if ndim == 2 else NCW):
        return False
    if not ndim + (not flat) <= found <= ndim + 2 or not 0 < cnp.PyArray_SIZE(x) <= MACS:
        return False
    p.n = shape[0] if found == ndim + 2 else 1
    p.channels = 1 if found == ndim else shape[found - 1 if p.last else found - 1 - ndim]
    at = found - ndim - (p.last and found > ndim)
    p.size[0], p.size[1] = (shape[at] if ndim == 2 else 1), shape[at + ndim - 1]
    return True


cdef inline bint small(object value, Py_ssize_t *number):
    """Whether it is a whole number from 0 to a million, and which."""
    cdef int overflow = 0
    if not PyLong_CheckExact(value):
        return False
    number[0] = PyLong_AsLongAndOverflow(value, &overflow)
    return overflow == 0 and 0 <= number[0] < 1 << 20


cdef bint each(object value, int ndim, Py_ssize_t one, Py_ssize_t *numbers):
    """One small number for all axes, or a tuple of them; the height of lines gets `one`."""
    numbers[0] = one
    if not PyTuple_CheckExact(value):
        if not small(value, &numbers[1]):
            return False
        if ndim == 2:
            numbers[0] = numbers[1]
        return True
    if len(<tuple> value) != ndim:
        return False
    return small((<tuple> value)[ndim - 1], &numbers[1]) and (ndim == 1 or small((<tuple> value)[0], &numbers[0]))


cdef Py_ssize_t places(Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t padding,
                       Py_ssize_t dilation, object remainder):
    """Of a window along an axis, or 0 where the plan must say what is wrong or what to do."""
    cdef Py_ssize_t room = size + 2 * padding - dilation * (kernel - 1) - 1
    if kernel < 1 or stride < 1 or dilation < 1 or room < 0:
        return 0
    if not same(remainder, DROP) and (room % stride or not (same(remainder, RAISE) or same(remainder, PAD))):
        return 0
    return room // stride + 1


cdef object result_of(cnp.ndarray x, int ndim, const Planes *p, Py_ssize_t channels, const Py_ssize_t *size,
                      int number):
    """A new array for so many channels of this size, of as many dimensions as x."""
    cdef cnp.npy_intp shape[4]
    cdef int found = cnp.PyArray_NDIM(x), at = found - ndim - (p.last and found > ndim)
    if found > ndim:
        shape[0] = p.n
        shape[found - 1 if p.last else found - 1 - ndim] = channels
    if ndim == 2:
        shape[at] = size[0]
    shape[at + ndim - 1] = size[1]
    return cnp.PyArray_EMPTY(found, shape, number, 0)


cdef object as_planes(cnp.ndarray a, Py_ssize_t n, Py_ssize_t channels, Py_ssize_t height, Py_ssize_t width, bint last):
    """A contiguous array as (N, C, H, W): a view."""
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp order[4]
    cdef cnp.PyArray_Dims dims
    dims.ptr, dims.len = shape, 4
    if cnp.PyArray_NDIM(a) != 4:
        shape[0], shape[1], shape[2], shape[3] = n, (height if last else channels), (width if last else height), (
            channels if last else width)
        a = cnp.PyArray_Newshape(a, &dims, cnp.NPY_CORDER)
    if last:
        order[0], order[1], order[2], order[3] = 0, 3, 1, 2
        dims.ptr = order
        a = cnp.PyArray_Transpose(a, &dims)
    return a


def layer(int ndim, x, weight, bias, stride, padding, dilation, groups, layout, remainder, flip, activation, out,
          workers):
    """`conv1d` and `conv2d` of one group, or None."""
    cdef Planes p
    cdef Py_ssize_t s[2]
    cdef Py_ssize_t pads[2]
    cdef Py_ssize_t d[2]
    cdef Py_ssize_t size[2]
    cdef Py_ssize_t count, channels, rows, columns
    cdef int number
    cdef object kernel, packed = None, code
    if (groups is not 1 or flip is not False or out is not None or workers is not None
            or (activation is not None and type(activation) is not str)):
        return None
    if type(weight) is PackedWeight:
        if weight.groups != 1 or weight.packed is None or len(weight.shape) != ndim + 2:
            return None
        packed, weight = weight.packed, weight.array
    elif not cnp.PyArray_CheckExact(weight) or cnp.PyArray_NDIM(<cnp.ndarray> weight) != ndim + 2:
        return None
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x):
        return None
    number = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if number == cnp.NPY_FLOAT:
        kernel = FLOATS
    elif number == cnp.NPY_DOUBLE:
        kernel = DOUBLES
    else:
        return None
    code = _CODES.get(activation)
    if (cnp.PyArray_TYPE(<cnp.ndarray> weight) != number or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> weight)
            or code is None or not planes(x, ndim, layout, False, &p)
            or not each(stride, ndim, 1, s) or not each(padding, ndim, 0, pads) or not each(dilation, ndim, 1, d)):
        return None
    count, channels = cnp.PyArray_DIM(weight, 0), cnp.PyArray_DIM(weight, 1)
    columns = cnp.PyArray_DIM(weight, cnp.PyArray_NDIM(<cnp.ndarray> weight) - 1)
    rows = 1 if cnp.PyArray_NDIM(<cnp.ndarray> weight) == 3 else cnp.PyArray_DIM(weight, 2)
    if channels != p.channels or count < 1:
        return None
    size[0] = places(p.size[0], rows, s[0], pads[0], d[0], remainder)
    size[1] = places(p.size[1], columns, s[1], pads[1], d[1], remainder)
    if size[0] < 1 or size[1] < 1 or (<double> (p.n * count * channels * rows * columns)) * size[0] * size[1] > MACS:
        return None
    if bias is not None and not (
            cnp.PyArray_CheckExact(bias) and cnp.PyArray_TYPE(<cnp.ndarray> bias) == number
            and cnp.PyArray_NDIM(<cnp.ndarray> bias) == 1 and cnp.PyArray_DIM(bias, 0) == count
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> bias)):
        return None
    return summed(kernel, ndim, x, &p, weight, packed, bias, size, rows, columns, s, pads, d, code)


cdef object summed(object kernels, int ndim, cnp.ndarray x, const Planes *p, cnp.ndarray weight, object packed,
                   object bias, const Py_ssize_t *size, Py_ssize_t rows, Py_ssize_t columns, const Py_ssize_t *s,
                   const Py_ssize_t *pads, const Py_ssize_t *d, object code):
    cdef int number = cnp.PyArray_TYPE(x)
    cdef Py_ssize_t count = cnp.PyArray_DIM(weight, 0)
    cdef cnp.npy_intp shape[5]
    cdef cnp.PyArray_Dims dims
    cdef object kernel = kernels[0], lanes, y, grouped, pictures, results
    cdef object start = (-pads[0], -pads[1]), strides = (s[0], s[1]), dilations = (d[0], d[1])
    dims.ptr, dims.len = shape, 5
    shape[0], shape[1], shape[2], shape[3], shape[4] = 1, count, p.channels, rows, columns
    grouped = cnp.PyArray_Newshape(weight, &dims, cnp.NPY_CORDER)
    y = result_of(x, ndim, p, count, size, number)
    pictures = as_planes(x, p.n, p.channels, p.size[0], p.size[1], p.last)
    results = as_planes(y, p.n, count, size[0], size[1], p.last)
    if kernel.by_columns(grouped, results, strides, dilations):
        shape[0] = count
        lanes = cnp.PyArray_ZEROS(1, shape, number, 0) if bias is None else bias
        kernels[1].forward(pictures, grouped, lanes, results, start, strides, dilations, code, 1)
        return y
    if packed is None:
        packed = kernel.pack_weight(grouped, 1)
    shape[0], shape[1] = 1, kernel.packed_lanes(count)
    lanes = cnp.PyArray_ZEROS(2, shape, number, 0)
    if bias is not None:
        memcpy(cnp.PyArray_DATA(lanes), cnp.PyArray_DATA(bias), cnp.PyArray_NBYTES(bias))
    kernel.forward(pictures, packed, lanes, results, (rows, columns), start, strides, dilations, 1, code, 1)
    return y


def pool(int ndim, int operation, x, kernel_size, stride, padding, dilation, layout, remainder, bint padded,
         return_indices, out, workers):
    """The largest, the smallest or the mean (`padded`: with the zeros around) of each window, or None."""
    cdef Planes p
    cdef Axis axes[2]
    cdef Py_ssize_t k[2]
    cdef Py_ssize_t s[2]
    cdef Py_ssize_t pads[2]
    cdef int i
    if (dilation is not 1 or not pooled_here(operation, x, return_indices, out, workers)
            or not planes(x, ndim, layout, True, &p) or not each(kernel_size, ndim, 1, k)
            or not each(kernel_size if stride is None else stride, ndim, 1, s) or not each(padding, ndim, 0, pads)):
        return None
    for i in range(2):
        axes[i].size, axes[i].kernel, axes[i].step, axes[i].stride = p.size[i], k[i], 1, s[i]
        axes[i].start, axes[i].after = -pads[i], pads[i]
        axes[i].output = places(p.size[i], k[i], s[i], pads[i], 1, remainder)
        if axes[i].output < 1 or pads[i] >= k[i]:       # each window must see something
            return None
    if (<double> (p.n * p.channels * k[0] * k[1])) * axes[0].output * axes[1].output > MACS:
        return None
    return pooled(ndim, operation, x, &p, axes, return_indices, OVER_PADDED if padded else OVER_TAPS)


def parts(int ndim, int operation, x, output_size, layout, return_indices, out, workers):
    """The same of adaptive windows."""
    cdef Planes p
    cdef Axis axes[2]
    cdef Py_ssize_t size[2]
    cdef int i
    if (not pooled_here(operation, x, return_indices, out, workers) or not planes(x, ndim, layout, True, &p)
            or not each(output_size, ndim, 1, size)):
        return None
    for i in range(2):
        if not 0 < size[i] <= p.size[i]:
            return None
        axes[i].size, axes[i].output, axes[i].kernel, axes[i].step = p.size[i], size[i], p.size[i] // size[i] + 2, 1
        axes[i].start = axes[i].stride = axes[i].after = 0
    return pooled(ndim, operation, x, &p, axes, return_indices, OVER_TAPS)


cdef inline bint pooled_here(int operation, object x, object return_indices, object out, object workers):
    """Whether an array has a kernel for this operation, and none of the rarer keywords is given."""
    cdef int number
    if (out is not None or workers is not None or (return_indices is not False and return_indices is not True)
            or not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x)):
        return False
    number = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if number >= TYPES or pools[number] == NULL:
        return False
    return number != cnp.NPY_UBYTE or (operation != SUM and return_indices is False)


cdef object pooled(int ndim, int operation, cnp.ndarray x, const Planes *p, const Axis *axes, bint indices,
                   int finish):
    cdef pool_t kernel = pools[cnp.PyArray_TYPE(x)]
    cdef Py_ssize_t size[2]
    cdef object y, found = None
    cdef const char *at = cnp.PyArray_BYTES(x)
    cdef char *to
    cdef char *index = NULL
    cdef Py_ssize_t count = p.n * (1 if p.last else p.channels), group = p.channels if p.last else 1
    cdef int status
    size[0], size[1] = axes[0].output, axes[1].output
    y = result_of(x, ndim, p, p.channels, size, cnp.PyArray_TYPE(x))
    to = cnp.PyArray_BYTES(y)
    if indices:
        found = result_of(x, ndim, p, p.channels, size, cnp.NPY_INT64)
        index = cnp.PyArray_BYTES(found)
    with nogil:
        status = kernel(at, to, index, operation, &axes[0], &axes[1], count, group,
                        finish if operation == SUM else PLAIN)
    if status != 0:
        return None
    return (y, found) if indices else y
