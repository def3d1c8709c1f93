# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Multiply-adds in registers alone: the peak that benchmarks/roofline.py measures every kernel by.

    a[c] <- x + a[c] h        c = 0 .. CHAINS-1

A multiply-add waits for the one before it in its chain alone, and there are more chains than a core has
multiply-adds under way. What runs is a factor of the next step: of x and h alone the product would be a constant,
and the multiply-add an addition.
"""
from cython.parallel cimport prange

from fastconv import _machine

from .tiles cimport LANES, acc_t, elem, madd, opaque, splat, store, tap_t, vec

cdef extern from "simd.h" nogil:
    const int CHAINS "(FC_REGISTERS * 3 / 4)"


cdef elem spin(Py_ssize_t n, elem x, elem h) noexcept nogil:
    """n steps of every chain, and a number that all of them are needed for."""
    cdef elem last[LANES]
    cdef acc_t a[CHAINS]
    cdef vec v = splat(x)
    cdef tap_t t = splat(h)
    cdef Py_ssize_t _
    cdef int c
    for c in range(CHAINS):
        a[c] = splat(<elem> c)
    for _ in range(opaque(n)):
        for c in range(CHAINS):
            a[c] = madd(v, a[c], t)
    for c in range(1, CHAINS):
        a[0] = madd(a[0], a[c], t)
    store(last, a[0])
    return last[0]


def multiply_adds(Py_ssize_t n, int workers):
    """n steps of every chain on so many threads: the number of multiply-adds, and what came of them."""
    cdef elem total = 0
    cdef int _, threads = _machine.startable(workers)
    for _ in prange(threads, nogil=True, num_threads=threads, schedule="static"):
        total += spin(n, 1, <elem> 0.5)
    return n * CHAINS * LANES * threads, total
