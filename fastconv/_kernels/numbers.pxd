"""Lines of numbers between memory, in any real dtype, and the elements of a floating-point module."""
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .tiles cimport INTEGER, elem

cdef extern from "simd.h" nogil:
    uint64_t whole64 "fc_whole64" (double)

cdef enum:              # numbers that _plan/separable.py names
    OWN = 0             # the module's
    U8 = 1
    I8 = 2
    U16 = 3
    I16 = 4
    U32 = 5
    I32 = 6
    U64 = 7
    I64 = 8
    F32 = 9
    F64 = 10

ctypedef fused number:
    uint8_t
    int8_t
    uint16_t
    int16_t
    uint32_t
    int32_t
    uint64_t
    int64_t
    float
    double


cdef inline number cast(elem v, const number *like) noexcept nogil:
    """As C casts on most machines: towards zero, and what is too large wraps where a wider integer holds it."""
    if number is uint8_t or number is int8_t or number is uint16_t or number is int16_t:
        return <number> <int32_t> v
    elif number is uint32_t:
        return <number> <int64_t> v
    elif number is uint64_t:
        return whole64(v)
    else:
        return <number> v


cdef inline void numbers(bint put, elem *v, number *at, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if put and step == sizeof(number):
        for i in range(n):
            at[i] = cast(v[i], at)
    elif put:
        for i in range(n):
            (<number *> (<char *> at + i * step))[0] = cast(v[i], at)
    elif step == sizeof(number):
        for i in range(n):
            v[i] = <elem> at[i]
    else:
        for i in range(n):
            v[i] = <elem> (<number *> (<char *> at + i * step))[0]


cdef inline void own(bint put, elem *v, elem *at, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if step == sizeof(elem):
        memcpy(at if put else v, v if put else at, n * sizeof(elem))
    elif put:
        for i in range(n):
            (<elem *> (<char *> at + i * step))[0] = v[i]
    else:
        for i in range(n):
            v[i] = (<elem *> (<char *> at + i * step))[0]


cdef inline void move(bint put, int type, elem *v, char *at, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    """n elements v to (put) or from memory of a type, `step` bytes apart."""
    if n <= 0:
        return
    if type == OWN:
        own(put, v, <elem *> at, step, n)
    elif INTEGER:                                # whole numbers: only bytes become others
        if type == U8 and sizeof(elem) > 1:
            numbers(put, v, <uint8_t *> at, step, n)
    elif type == U8:
        numbers(put, v, <uint8_t *> at, step, n)
    elif type == I8:
        numbers(put, v, <int8_t *> at, step, n)
    elif type == U16:
        numbers(put, v, <uint16_t *> at, step, n)
    elif type == I16:
        numbers(put, v, <int16_t *> at, step, n)
    elif type == U32:
        numbers(put, v, <uint32_t *> at, step, n)
    elif type == I32:
        numbers(put, v, <int32_t *> at, step, n)
    elif type == U64:
        numbers(put, v, <uint64_t *> at, step, n)
    elif type == I64:
        numbers(put, v, <int64_t *> at, step, n)
    elif type == F32:
        numbers(put, v, <float *> at, step, n)
    elif type == F64:
        numbers(put, v, <double *> at, step, n)


cdef inline void take(int type, elem *v, const char *at, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    move(False, type, v, <char *> at, step, n)


cdef inline void put(int type, const elem *v, char *at, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    move(True, type, <elem *> v, at, step, n)


cdef inline Py_ssize_t size(int type) noexcept nogil:
    """Bytes of a type."""
    if type == OWN:
        return sizeof(elem)
    return 1 if type <= I8 else 2 if type <= I16 else 4 if type <= I32 or type == F32 else 8
