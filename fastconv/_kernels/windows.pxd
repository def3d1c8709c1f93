# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where the windows of a pool stand along an axis, and what a sum over them is divided by."""

cdef enum:              # what becomes of a sum, as _plan/pools.py names it
    PLAIN = 0
    OVER_TAPS = 1               # divided by how many taps lie inside
    OVER_PADDED = 2             # or inside or in the padding
    OVER_NUMBER = 3             # or by a number
    ROOT = 4

cdef struct Axis:
    Py_ssize_t size             # of the input
    Py_ssize_t output
    Py_ssize_t kernel           # taps; for adaptive windows, as many as one can have
    Py_ssize_t step             # between taps
    Py_ssize_t start            # where the first window begins, negative in the padding
    Py_ssize_t stride           # 0: adaptive windows, which cut the axis into parts as equal as can be
    Py_ssize_t after            # padding behind

cdef struct Window:
    Py_ssize_t begin            # with its padding
    Py_ssize_t first, taps      # inside


cdef inline Axis axis_of(numbers) except *:
    """From `_plan.pools.Windows`."""
    cdef Axis axis
    axis.size, axis.output, axis.kernel, axis.step, axis.start, axis.stride, axis.after = numbers
    return axis


cdef inline Window place(const Axis *axis, Py_ssize_t i) noexcept nogil:
    """Of output i."""
    cdef Window w
    cdef Py_ssize_t skipped
    if axis.stride == 0:
        w.begin = w.first = i * axis.size // axis.output
        w.taps = ((i + 1) * axis.size + axis.output - 1) // axis.output - w.first
        return w
    w.begin = w.first = axis.start + i * axis.stride
    w.taps = axis.kernel
    if w.begin < 0:
        skipped = (-w.begin + axis.step - 1) // axis.step
        w.first += skipped * axis.step
        w.taps -= skipped
    if w.first + (w.taps - 1) * axis.step >= axis.size:
        w.taps = (axis.size - w.first + axis.step - 1) // axis.step if w.first < axis.size else 0
    if w.taps <= 0:
        w.first = w.taps = 0
    return w


cdef inline Py_ssize_t count(const Axis *axis, int finish, Py_ssize_t i) noexcept nogil:
    """What the sum of output i is divided by on behalf of an axis; OVER_NUMBER is none of its business."""
    cdef Py_ssize_t begin, size = axis.size + axis.after
    if finish == OVER_NUMBER:
        return 1
    if finish == OVER_TAPS or axis.stride == 0:
        return place(axis, i).taps
    begin = axis.start + i * axis.stride
    if begin + (axis.kernel - 1) * axis.step < size:
        return axis.kernel
    return (size - begin + axis.step - 1) // axis.step
