"""Winograd's transforms: 2 by 2 outputs of a 3 by 3 kernel by 16 products in place of 36.

    y = A^T [sum_c (G w_c G^T) * (B^T x_c B)] A

           1  0 -1  0          1    0    0
    B^T =  0  1  1  0    G =  1/2  1/2  1/2    A^T = 1  1  1  0
           0 -1  1  0         1/2 -1/2  1/2          0  1 -1 -1
           0  1  0 -1          0    0    1

What is multiplied is a sum of numbers with factors 1 and 1/4: small integers stay exact, and the error is that of the
plain sum (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, arXiv 1509.09308; larger
tiles would need fewer products still, but lose digits). Lanes are channels. The sums of all squares are kept, for
who adds and subtracts must know that nothing is infinite, nor can become so.
"""
from .pictures cimport LANES, elem, load, store, vec

cdef extern from "simd.h" nogil:
    vec splat "fc_splat" (elem)
    vec madd "fc_madd" (vec, vec, vec)

cdef enum:
    POINTS = 16                 # products of a tile


cdef inline vec transform_weight(elem *to, Py_ssize_t plane, const elem *w, Py_ssize_t ld, vec squares) noexcept nogil:
    """G w G^T of a vector of kernels   IN w[3 x 3, ld]   OUT to[POINTS, plane]; gives the squares."""
    cdef vec half = splat(<elem> 0.5)
    cdef vec t[12]
    cdef vec a, b, c, even
    cdef int r, s
    for s in range(3):
        a, b, c = load(w + s * ld), load(w + (3 + s) * ld), load(w + (6 + s) * ld)
        squares = squares + madd(madd(a * a, b, b), c, c)
        even = (a + c) * half
        t[s], t[3 + s], t[6 + s], t[9 + s] = a, even + b * half, even - b * half, c
    for r in range(4):
        a, b, c = t[r * 3], t[r * 3 + 1], t[r * 3 + 2]
        even = (a + c) * half
        store(to + r * 4 * plane, a)
        store(to + (r * 4 + 1) * plane, even + b * half)
        store(to + (r * 4 + 2) * plane, even - b * half)
        store(to + (r * 4 + 3) * plane, c)
    return squares


cdef inline vec transform_input(elem *to, Py_ssize_t plane, const elem *x, Py_ssize_t ldh, Py_ssize_t ldw,
                                Py_ssize_t channels, vec squares) noexcept nogil:
    """B^T x B of all channels, L at least   IN x[4, 4, channels]   OUT to[POINTS, plane]; gives the squares."""
    cdef vec t[POINTS]
    cdef vec a, b, c, d
    cdef const elem *row
    cdef Py_ssize_t at = 0
    cdef int r, s
    while at < channels:
        at = min(at, channels - LANES)
        for r in range(4):
            row = x + r * ldh + at
            a, b, c, d = load(row), load(row + ldw), load(row + 2 * ldw), load(row + 3 * ldw)
            squares = squares + madd(madd(madd(a * a, b, b), c, c), d, d)      # no long chain of additions
            t[r * 4], t[r * 4 + 1], t[r * 4 + 2], t[r * 4 + 3] = a - c, b + c, c - b, b - d
        for s in range(4):
            a, b, c, d = t[s], t[4 + s], t[8 + s], t[12 + s]
            store(to + s * plane + at, a - c)
            store(to + (4 + s) * plane + at, b + c)
            store(to + (8 + s) * plane + at, c - b)
            store(to + (12 + s) * plane + at, b - d)
        at += LANES
    return squares


cdef inline void transform_sums(elem *y, Py_ssize_t ldh, Py_ssize_t ldw, bint below, bint beside, const elem *sums,
                                Py_ssize_t plane, const elem *bias) noexcept nogil:
    """A^T sums A + bias of a vector   IN sums[POINTS, plane]   OUT y[2, 2]; its second row and column, if there are."""
    cdef vec t[8]
    cdef vec a, b, c, d, first = load(bias)
    cdef int r, s
    for s in range(4):
        a, b = load(sums + s * plane), load(sums + (4 + s) * plane)
        c, d = load(sums + (8 + s) * plane), load(sums + (12 + s) * plane)
        t[s], t[4 + s] = a + b + c, b - c - d
    for r in range(1 + below):
        a, b, c, d = t[r * 4], t[r * 4 + 1], t[r * 4 + 2], t[r * 4 + 3]
        store(y + r * ldh, first + (a + b + c))
        if beside:
            store(y + r * ldh + ldw, first + (b - c - d))


cdef inline bint moderate(vec squares) noexcept nogil:
    """Whether sums of products of such numbers stay finite."""
    cdef elem each[LANES]
    cdef elem most = <elem> (2.0 ** 48 if sizeof(elem) == 4 else 2.0 ** 480)
    cdef int i
    store(each, squares)
    for i in range(LANES):
        if not each[i] < most * most:
            return False
    return True
