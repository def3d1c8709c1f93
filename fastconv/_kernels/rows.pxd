"""Rows of a continued plane, as keys: how the filters by order read, and how they write.

    key(X[row, column ... column + n - 1])        X being the plane continued by a boundary on each axis

A row is copied once into scratch memory, where it is not strided, knows no boundary and compares as integers do
(simd.h); the loops over rows then have neither a rim nor a type.
"""
cdef extern from "simd.h" nogil:
    # To Cython these are numbers; simd.h makes them the element type and the vectors of a module.
    ctypedef int elem "fc_elem"
    ctypedef int vec "fc_vec"
    ctypedef struct order_t "fc_order":
        elem flip
        elem infinity
    const int LANES "FC_LANES"
    const elem HIGHEST "FC_KEY_HIGHEST"
    const int BITS "FC_KEY_BITS"
    vec load "fc_load" (const elem *)
    void prefetch "fc_prefetch" (const void *)
    void store "fc_put" (elem *, vec)
    vec vmax "fc_max" (vec, vec)
    vec vmin "fc_min" (vec, vec)
    elem key "fc_key" (elem, order_t, bint)
    elem number "fc_number" (elem, order_t, bint)
    vec vkeys "fc_keys" (vec, order_t, bint)
    vec vnumbers "fc_numbers" (vec, order_t, bint)

cdef extern from "Python.h":
    const Py_ssize_t NOWHERE "PY_SSIZE_T_MIN"

cdef enum:              # numbers that _plan/planes.py names
    FILL = 0            # v v | a b c d | v v
    WRAP = 1            # c d | a b c d | a b
    SYMM = 2            # b a | a b c d | d c
    MIRROR = 3          # c b | a b c d | c b
    NEAREST = 4         # a a | a b c d | d d

cdef struct Plane:
    Py_ssize_t height, width
    Py_ssize_t xs0, xs1         # strides in bytes
    Py_ssize_t group            # interleaved channels: columns i and i + group are neighbours
    int boundary0, boundary1
    elem fill                   # a key
    order_t order
    bint floating


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


cdef inline Py_ssize_t column_source(const Plane *p, Py_ssize_t i) noexcept nogil:
    """The same for a column, whose channels do not mix; in bytes from the start of a row."""
    cdef Py_ssize_t pixel, channel = i % p.group
    if channel < 0:
        channel += p.group
    pixel = source((i - channel) // p.group, p.width // p.group, p.boundary1)
    return NOWHERE if pixel == NOWHERE else (pixel * p.group + channel) * p.xs1


cdef struct Span:               # columns to take from each row
    Py_ssize_t column, n
    Py_ssize_t low, high        # of these, low .. high - 1 lie inside
    Py_ssize_t *where           # [n], for the others


cdef inline void span(const Plane *p, Py_ssize_t column, Py_ssize_t n, Py_ssize_t *where, Span *s) noexcept nogil:
    """OUT s, where[n]"""
    cdef Py_ssize_t j
    s.column, s.n, s.where = column, n, where
    s.low = min(max(-column, 0), n)
    s.high = max(min(p.width - column, n), s.low)
    for j in range(s.low):
        where[j] = column_source(p, column + j)
    for j in range(s.high, n):
        where[j] = column_source(p, column + j)


cdef inline void gather(const Plane *p, elem *to, const char *at, const Py_ssize_t *where, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(first, last):
        to[j] = p.fill if where[j] == NOWHERE else key((<const elem *> (at + where[j]))[0], p.order, p.floating)


cdef inline void to_keys(elem *to, const elem *v, Py_ssize_t n, Py_ssize_t ahead, order_t order,
                         const bint floating) noexcept nogil:
    """IN v   OUT to, elsewhere; the last vector overlaps the one before. What lies `ahead` bytes on is sent for."""
    cdef Py_ssize_t j = 0
    if n < LANES:
        for j in range(n):
            to[j] = key(v[j], order, floating)
        return
    while j < n - LANES:
        prefetch(<const char *> (v + j) + ahead)
        store(to + j, vkeys(load(v + j), order, floating))
        j += LANES
    store(to + n - LANES, vkeys(load(v + n - LANES), order, floating))


cdef inline void take(const Plane *p, const char *x, Py_ssize_t row, const Span *s, Py_ssize_t first, Py_ssize_t n,
                      elem *to) noexcept nogil:
    """Columns first ... first + n - 1 of the span, from a row of the continued plane, as keys   IN x   OUT to[n]"""
    cdef Py_ssize_t j, low, high, last = first + n, m = source(row, p.height, p.boundary0)
    cdef const char *at
    if m == NOWHERE or x == NULL:
        for j in range(n):
            to[j] = p.fill
        return
    low, high = min(max(s.low, first), last), max(min(s.high, last), first)
    at = x + m * p.xs0
    to -= first
    gather(p, to, at, s.where, first, low)
    gather(p, to, at, s.where, max(high, low), last)
    at += (s.column + low) * p.xs1
    to += low
    n = high - low
    if p.xs1 != sizeof(elem):
        for j in range(n):
            to[j] = key((<const elem *> (at + j * p.xs1))[0], p.order, p.floating)
    elif p.floating:
        to_keys(to, <const elem *> at, n, p.xs0, p.order, True)
    else:
        to_keys(to, <const elem *> at, n, p.xs0, p.order, False)


cdef inline void to_numbers(elem *to, const elem *a, const elem *b, Py_ssize_t n, order_t order,
                            const bint floating) noexcept nogil:
    """IN a, b   OUT to, elsewhere; the last vector overlaps the one before."""
    cdef Py_ssize_t j = 0
    if n < LANES:
        for j in range(n):
            to[j] = number(max(a[j], b[j]), order, floating)
        return
    while j < n - LANES:
        store(to + j, vnumbers(vmax(load(a + j), load(b + j)), order, floating))
        j += LANES
    j = n - LANES
    store(to + j, vnumbers(vmax(load(a + j), load(b + j)), order, floating))


cdef inline void put(const Plane *p, elem *to, vec v) noexcept nogil:
    """A vector of the result, into a row that lies side by side."""
    store(to, vnumbers(v, p.order, True) if p.floating else vnumbers(v, p.order, False))


cdef inline void give(const Plane *p, char *out, Py_ssize_t step, const elem *a, const elem *b,
                      Py_ssize_t n) noexcept nogil:
    """A row of the result: the larger of two   IN a[n], b[n]   OUT out[n], `step` bytes apart"""
    cdef Py_ssize_t j
    if step != sizeof(elem):
        for j in range(n):
            (<elem *> (out + j * step))[0] = number(max(a[j], b[j]), p.order, p.floating)
    elif p.floating:
        to_numbers(<elem *> out, a, b, n, p.order, True)
    else:
        to_numbers(<elem *> out, a, b, n, p.order, False)


cdef inline void larger(elem *to, const elem *a, const elem *b, Py_ssize_t n) noexcept nogil:
    """to[j] = max(a[j], b[j]), of whole vectors; `to` may be a or b, read further on."""
    cdef Py_ssize_t j = 0
    while j < n:
        store(to + j, vmax(load(a + j), load(b + j)))
        j += LANES


cdef inline void smaller(elem *to, const elem *a, const elem *b, Py_ssize_t n) noexcept nogil:
    """to[j] = min(a[j], b[j]), likewise."""
    cdef Py_ssize_t j = 0
    while j < n:
        store(to + j, vmin(load(a + j), load(b + j)))
        j += LANES


cdef inline void exchange(elem *low, elem *high, const elem *a, const elem *b, Py_ssize_t n) noexcept nogil:
    """Both, likewise."""
    cdef Py_ssize_t j = 0
    cdef vec v, w
    while j < n:
        v, w = load(a + j), load(b + j)
        store(low + j, vmin(v, w))
        store(high + j, vmax(v, w))
        j += LANES
