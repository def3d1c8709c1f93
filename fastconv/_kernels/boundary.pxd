"""What lies beyond the edges."""

cdef extern from "Python.h":
    const Py_ssize_t NOWHERE "PY_SSIZE_T_MIN"

cdef enum:              # numbers that _plan names
    FILL = 0            # v v | a b c d | v v
    WRAP = 1            # c d | a b c d | a b
    SYMM = 2            # b a | a b c d | d c
    MIRROR = 3          # c b | a b c d | c b
    NEAREST = 4         # a a | a b c d | d d


cdef inline Py_ssize_t source(Py_ssize_t i, Py_ssize_t n, int boundary) noexcept nogil:
    """Where index i of an axis of n that a boundary continues is found; NOWHERE: it is the fill value."""
    cdef Py_ssize_t period
    if 0 <= i < n:
        return i
    if boundary == FILL:
        return NOWHERE
    if boundary == NEAREST:
        return 0 if i < 0 else n - 1
    if boundary == MIRROR and n == 1:
        return 0
    period = n if boundary == WRAP else 2 * n if boundary == SYMM else 2 * n - 2
    i %= period
    if i < 0:
        i += period
    if i < n:
        return i
    return period - i - (1 if boundary == SYMM else 0)
