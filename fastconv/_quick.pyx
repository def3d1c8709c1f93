# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The short way for calls of the common form.

Arrays of one native dtype, contiguous and small, and no keyword but those that layers and pools live by: this is
checked in some hundred nanoseconds, and the kernel is called at once, on the calling thread. Pools and their gradients
leave nothing to choose, so that theirs may be of any size. Everything else, also everything wrong, gets None and takes
the way through the plan, which gives the same result.
"""
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.tuple cimport PyTuple_CheckExact
from libc.stdint cimport int64_t
from libc.string cimport memcpy

import numpy as np

from . import _runtime
from ._kernels.windows cimport OVER_TAPS, PLAIN, Axis
from ._plan.dtypes import kernel_name
from ._plan.layers import ACTIVATION_CODES as _CODES, PackedWeight
from ._plan.pools import OPERATIONS as _OPERATIONS

cnp.import_array()

ctypedef int (*quick_t)(char *, Py_ssize_t, Py_ssize_t, const char *, Py_ssize_t, Py_ssize_t, const char *,
                        Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, bint, bint) noexcept nogil

ctypedef int (*pool_t)(const char *, char *, char *, int, const Axis *, const Axis *, Py_ssize_t, Py_ssize_t,
                       Py_ssize_t, int, int) except -1
ctypedef int (*spread_t)(const char *, char *, const Axis *, const Axis *, Py_ssize_t, Py_ssize_t, int, int) except -1
ctypedef int (*scatter_t)(const char *, const int64_t *, char *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, bint,
                          int) except -1

cdef enum:
    TYPES = 24
    MACS = 1 << 17      # multiply-adds up to which one thread is best and no way but direct is looked for
    FEW = 1 << 13       # elements of a plane that one thread pools
    MOST_THREADS = 1 << 30

cdef quick_t kernels[TYPES]     # by NumPy's type number; NULL where the plan decides

for _number in range(TYPES):
    kernels[_number] = NULL
for _code in "bBhHiIlLqQfdFD":
    _dtype = np.dtype(_code)
    kernels[_dtype.num] = <quick_t> PyCapsule_GetPointer(
        _runtime.kernel(kernel_name(_dtype), "correlate").quick_call, "fastconv.quick")

cdef pool_t pools[TYPES]
cdef spread_t spreads[TYPES]
cdef scatter_t scatters[TYPES]

for _number in range(TYPES):
    pools[_number], spreads[_number], scatters[_number] = NULL, NULL, NULL
for _code in "Bfd":
    _dtype = np.dtype(_code)
    pools[_dtype.num] = <pool_t> PyCapsule_GetPointer(
        _runtime.kernel(kernel_name(_dtype), "pool").quick_call, "fastconv.quick_pool")
for _code in "fd":
    _dtype = np.dtype(_code)
    _module = _runtime.kernel(kernel_name(_dtype), "pool_grad")
    spreads[_dtype.num] = <spread_t> PyCapsule_GetPointer(_module.quick_spread, "fastconv.quick_spread")
    scatters[_dtype.num] = <scatter_t> PyCapsule_GetPointer(_module.quick_scatter, "fastconv.quick_scatter")

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


cdef bint planes(const cnp.npy_intp *shape, int found, int ndim, object layout, bint flat, Planes *p):
    """What a shape of so many sizes says, channels and, with `flat`, the batch being optional; whether it is one."""
    cdef int at
    p.last = same(layout, NHWC if ndim == 2 else NWC)
    if not p.last and not same(layout, NCHW if ndim == 2 else NCW):
        return False
    if not ndim + (not flat) <= found <= ndim + 2:
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
            or code is None or not 0 < cnp.PyArray_SIZE(x) <= MACS
            or not planes(cnp.PyArray_DIMS(x), cnp.PyArray_NDIM(<cnp.ndarray> x), ndim, layout, False, &p)
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


# --- pools ----------------------------------------------------------------------------------------------

cdef bint sliding(int ndim, const Py_ssize_t *size, object kernel_size, object stride, object padding, object dilation,
                  object remainder, Axis *axes):
    """The windows along both axes of planes; False where the plan must say what is wrong or what to do."""
    cdef Py_ssize_t k[2]
    cdef Py_ssize_t s[2]
    cdef Py_ssize_t pads[2]
    cdef Py_ssize_t d[2]
    cdef Py_ssize_t output
    cdef bint over = same(remainder, PAD)
    cdef int i
    if (not each(kernel_size, ndim, 1, k) or not each(kernel_size if stride is None else stride, ndim, 1, s)
            or not each(padding, ndim, 0, pads) or not each(dilation, ndim, 1, d)):
        return False
    for i in range(2):
        output = places(size[i], k[i], s[i], pads[i], d[i], DROP if over else remainder)
        # each window must see something: not all of them do in the padding, or where the taps pass by
        if output < 1 or pads[i] > (k[i] - 1) * d[i] or (pads[i] > 0 and size[i] < d[i]):
            return False
        if (over and (output - 1) * s[i] < size[i] + 2 * pads[i] - d[i] * (k[i] - 1) - 1
                and output * s[i] < size[i] + pads[i]):
            output += 1
        axes[i].size, axes[i].output, axes[i].kernel, axes[i].step = size[i], output, k[i], d[i]
        axes[i].start, axes[i].stride, axes[i].after = -pads[i], s[i], pads[i]
    return True


cdef void parted(Py_ssize_t size, Py_ssize_t output, Axis *axis) noexcept:
    """Adaptive windows, as `_plan.pools.adaptive` has them."""
    axis.size, axis.output, axis.step, axis.start, axis.after = size, output, 1, 0, 0
    axis.kernel = axis.stride = size // output
    if size % output > 0:
        axis.kernel, axis.stride = size // output + 2, 0


cdef inline Py_ssize_t lines_as_rows(int ndim, const Planes *p, Axis *rows):
    """How many planes there are; lines without channels between them are rows of one."""
    if p.last:
        return p.n
    if ndim == 2:
        return p.n * p.channels
    rows.size = rows.output = p.channels
    rows.kernel = rows.step = rows.stride = 1
    rows.start = rows.after = 0
    return p.n


cdef inline int threads(Py_ssize_t elements) except -1:
    """How many threads a pool may use; so few elements are done before it is asked."""
    return 1 if elements <= FEW else <int> min(<Py_ssize_t> _runtime.threads(None), MOST_THREADS)


def pool(int ndim, int operation, x, kernel_size, stride, padding, dilation, layout, remainder, int finish,
         return_indices, out, workers):
    """What `_plan.pools.pool` gives for sliding windows of each plane, or None."""
    cdef Planes p
    cdef Axis axes[2]
    if (not pooled_here(operation, x, return_indices, out, workers)
            or not planes(cnp.PyArray_DIMS(x), cnp.PyArray_NDIM(<cnp.ndarray> x), ndim, layout, True, &p)
            or not sliding(ndim, p.size, kernel_size, stride, padding, dilation, remainder, axes)):
        return None
    return pooled(ndim, operation, x, &p, axes, return_indices, finish)


def parts(int ndim, int operation, x, output_size, layout, return_indices, out, workers):
    """The same of adaptive windows."""
    cdef Planes p
    cdef Axis axes[2]
    cdef Py_ssize_t size[2]
    cdef int i
    if (not pooled_here(operation, x, return_indices, out, workers)
            or not planes(cnp.PyArray_DIMS(x), cnp.PyArray_NDIM(<cnp.ndarray> x), ndim, layout, True, &p)
            or not each(output_size, ndim, 1, size)):
        return None
    for i in range(2):
        if not 0 < size[i] <= p.size[i]:
            return None
        parted(p.size[i], size[i], &axes[i])
    return pooled(ndim, operation, x, &p, axes, return_indices, OVER_TAPS)


cdef inline bint pooled_here(int operation, object x, object return_indices, object out, object workers):
    """Whether an array has a kernel for this operation, and none of the rarer keywords is given."""
    cdef int number
    if (out is not None or workers is not None or (return_indices is not False and return_indices is not True)
            or not common(x)):
        return False
    number = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if pools[number] == NULL:
        return False
    return number != cnp.NPY_UBYTE or (operation < SUM and return_indices is False)


cdef inline bint common(object x):
    """Whether it is an array of a type that is known here, with elements that follow one another."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x)
            and cnp.PyArray_TYPE(<cnp.ndarray> x) < TYPES and cnp.PyArray_SIZE(x) > 0)


cdef object pooled(int ndim, int operation, cnp.ndarray x, const Planes *p, Axis *axes, bint indices, int finish):
    cdef Py_ssize_t size[2]
    cdef object y, found = None
    cdef char *index = NULL
    cdef Py_ssize_t count, group = p.channels if p.last else 1, pitch = p.size[1] if ndim == 2 else 0
    if (indices and cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT and <double> (axes[0].size + axes[0].step) * pitch
            + axes[1].size + 2 * axes[1].kernel * axes[1].step >= 1 << 31):     # lanes of it hold an index
        return None
    size[0], size[1] = axes[0].output, axes[1].output
    y = result_of(x, ndim, p, p.channels, size, cnp.PyArray_TYPE(x))
    if indices:
        found = result_of(x, ndim, p, p.channels, size, cnp.NPY_INT64)
        index = cnp.PyArray_BYTES(found)
    count = lines_as_rows(ndim, p, axes)
    pools[cnp.PyArray_TYPE(x)](
        cnp.PyArray_BYTES(x), cnp.PyArray_BYTES(y), index, operation, &axes[0], &axes[1], count, group, pitch,
        finish if operation >= SUM else PLAIN, threads(cnp.PyArray_SIZE(x)))
    return (y, found) if indices else y


# --- gradients of pools ---------------------------------------------------------------------------------

cdef object gradient(int ndim, object input_size, object grad, object layout, object workers, Planes *small_,
                     Planes *p):
    """An array for the gradient of an input of this shape, and what its shape and that of `grad` say, or None."""
    cdef cnp.npy_intp shape[4]
    cdef Py_ssize_t n = 0
    cdef int i, found, number
    if workers is not None or not common(grad) or not PyTuple_CheckExact(input_size):
        return None
    found, number = cnp.PyArray_NDIM(<cnp.ndarray> grad), cnp.PyArray_TYPE(<cnp.ndarray> grad)
    if (spreads[number] == NULL or len(<tuple> input_size) != found
            or not planes(cnp.PyArray_DIMS(grad), found, ndim, layout, True, small_)):
        return None
    for i in range(found):
        if not small((<tuple> input_size)[i], &n) or n == 0:
            return None
        shape[i] = n
    planes(shape, found, ndim, layout, True, p)
    if p.n != small_.n or p.channels != small_.channels:
        return None
    return cnp.PyArray_EMPTY(found, shape, number, 0)


def spread(int ndim, input_size, grad, kernel_size, stride, padding, dilation, layout, remainder, int finish, workers):
    """What `_plan.pools.spread` gives for sliding windows, or None."""
    cdef Planes from_, to
    cdef Axis axes[2]
    cdef object out = gradient(ndim, input_size, grad, layout, workers, &from_, &to)
    if (out is None or not sliding(ndim, to.size, kernel_size, stride, padding, dilation, remainder, axes)
            or axes[0].output != from_.size[0] or axes[1].output != from_.size[1]):
        return None
    return spread_out(grad, &to, axes, finish, out)


def spread_parts(int ndim, input_size, grad, layout, workers):
    """The same of adaptive windows."""
    cdef Planes from_, to
    cdef Axis axes[2]
    cdef object out = gradient(ndim, input_size, grad, layout, workers, &from_, &to)
    if out is None or from_.size[0] > to.size[0] or from_.size[1] > to.size[1]:
        return None
    parted(to.size[0], from_.size[0], &axes[0])
    parted(to.size[1], from_.size[1], &axes[1])
    return spread_out(grad, &to, axes, OVER_TAPS, out)


cdef object spread_out(cnp.ndarray grad, const Planes *to, const Axis *axes, int finish, cnp.ndarray out):
    cdef Py_ssize_t count = to.n if to.last else to.n * to.channels
    spreads[cnp.PyArray_TYPE(grad)](
        cnp.PyArray_BYTES(grad), cnp.PyArray_BYTES(out), &axes[0], &axes[1], count, to.channels if to.last else 1,
        finish, threads(cnp.PyArray_SIZE(out)))
    return out


def scatter(int ndim, input_size, indices, values, layout, bint add, workers):
    """What `_plan.pools.scatter` gives, or None."""
    cdef Planes from_, to
    cdef object out
    cdef Py_ssize_t count
    if not common(indices) or cnp.PyArray_TYPE(<cnp.ndarray> indices) != cnp.NPY_INT64:
        return None
    out = gradient(ndim, input_size, values, layout, workers, &from_, &to)
    if out is None or not cnp.PyArray_SAMESHAPE(<cnp.ndarray> indices, <cnp.ndarray> values):
        return None
    count = to.n if to.last else to.n * to.channels
    if not scatters[cnp.PyArray_TYPE(<cnp.ndarray> values)](
            cnp.PyArray_BYTES(values), <const int64_t *> cnp.PyArray_DATA(indices), cnp.PyArray_BYTES(out), count,
            to.size[0] * to.size[1], from_.size[0] * from_.size[1], to.channels if to.last else 1, add,
            threads(cnp.PyArray_SIZE(out))):
        return None
    return out
