# cython: cdivision=True
"""Scratch memory: where its parts begin, how far apart their lines lie, and copies of lines into it."""
from libc.string cimport memcpy

cdef extern from "simd.h" nogil:
    ctypedef float elem "fc_elem"
    ctypedef float vec "fc_vec"
    const int LANES "FC_LANES"
    vec load "fc_load" (const elem *)
    void put "fc_put" (elem *, vec)
    Py_ssize_t opaque "fc_opaque" (Py_ssize_t)
    void prefetch "fc_prefetch" (const void *)

cdef enum:
    LINE = 64               # bytes of a cache line
    WAYS = 1 << 10          # lines so many bytes apart meet in few sets of the cache
    SHORT = 16              # vectors of a line that is copied without a call
    AHEAD = 1 << 9          # elements: lines that follow one another are asked for before a new page begins


cdef inline Py_ssize_t up(Py_ssize_t n, Py_ssize_t multiple) noexcept nogil:
    return (n + multiple - 1) // multiple * multiple


cdef inline char *aligned(char *memory) noexcept nogil:
    """The first full cache line: a vector that lies across two takes longer to load."""
    return memory + (-<Py_ssize_t> memory & (LINE - 1))


cdef inline Py_ssize_t spaced(Py_ssize_t n) noexcept nogil:
    """Elements from a packed line of n to the next: no power of two, or all would contend for few ways of the cache."""
    n = up(n, LANES)
    return n if n * <Py_ssize_t> sizeof(elem) % WAYS else n + LANES


cdef inline void copy(elem *to, const elem *at, Py_ssize_t n) noexcept nogil:
    """A line: a short one without a call, its last vector overlapping its neighbour."""
    cdef Py_ssize_t j = 0
    if n > SHORT * LANES:
        memcpy(to, at, n * sizeof(elem))
    elif n < LANES:
        for j in range(opaque(n)):
            to[j] = at[j]
    else:
        while j < n:
            j = min(j, n - LANES)
            prefetch(at + j + AHEAD)
            put(to + j, load(at + j))
            j += LANES
