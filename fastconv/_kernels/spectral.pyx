# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Correlation of lines and planes by transforms of blocks: the cost of an output grows with log N, not with the kernel.

A block is packed row behind row, so that a shift by (p, q) is one by p pitch + q, and a correlation with a plane of
taps is one with a line of them. The N = 2 M numbers are multiplied by the taps, reversed, as polynomials modulo
z^N + 1. What wraps round falls where no output lies, so its sign does not matter, and

    R[z] / (z^N + 1)  =  C[z] / (z^M - i),     x[j] + i x[j + M] for j < M,

makes complex numbers of real ones without another step; complex lines are blocks of M. Then ring after ring is split,

    C[z] / (z^rn - w^r)  =  the product over k < r of C[z] / (z^n - w e^(2 pi i k / r)),

by r-point transforms of f_s w^s, f_s being the r parts of n coefficients, until products are of numbers; and joined
again. This is the FFT by decimation in frequency with the twiddle factors of all parts of a ring alike: they are
loaded once for n butterflies, and no order of the values is ever undone. Radices: L (the lanes of a vector), once;
1, 3, 5 or 7; 4 as often as it goes; and perhaps 2. The first, between parts that are far apart, is followed by a
transposition of squares of L vectors, so that lanes are rings of their own from there on and all is done in whole
vectors. A ring that fits the cache is split, multiplied and joined before the next is looked at.

Instructions for a vector of complex numbers, there and back: 8 additions and multiply-adds and 4 shuffles for each of
the first log2 L levels, 7 for each other one, 4 for the product; docs/performance.rst tells what comes of them.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport M_PI, cos, rint, sin
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastconv import _machine

from .boundary cimport FILL, NOWHERE, source
from .frame cimport Frame, column_source, plain
from .numbers cimport OWN, take
from .scratch cimport aligned, up
from .tiles cimport LANES, elem, load, put, spread, sum_of_squares, vec

cdef extern from "simd.h" nogil:
    int64_t nearest "fc_nearest" (double)
    vec swap "fc_swap" (vec, vec, const int, const int)

cdef enum:
    MAX_BATCH = 64              # dimensions of a batch of planes
    NEAR = 1 << 14              # bytes of a ring that is split, multiplied and joined at once: it stays in L1
    STEP = 1 << 24              # numbers of each thread between two looks for Ctrl-C
    SHARE = 1 << 14             # numbers that a thread takes at once, and below which another is not worth waking
    LINE = 64                   # bytes of a cache line

ctypedef struct pair:           # L complex numbers
    vec re, im

cdef struct Ring:               # C[z] / (z^M - i), and how it is split
    Py_ssize_t points           # M = L radix n
    Py_ssize_t n                # a power of two
    int radix                   # 1, 3, 5 or 7
    const elem *top             # [L - 1, 2]: the factors of the first levels, radix 2 each
    const elem *odd             # [radix - 1, 2, L]: w, w^2 ...
    const elem *waves           # [radix, 2]: e^(2 pi i k / radix)
    const elem *turns           # [.., 3, 2, L]: w, w^2, w^3 of one ring after the other, level by level

cdef struct Job:
    Frame frame                 # of the first plane; complex numbers are two channels
    const char *x
    char *out
    Py_ssize_t rows, columns    # of the output
    Py_ssize_t os0, os1         # its strides in bytes
    int whole                   # bytes of one of its numbers, if these are integers; or 0
    Py_ssize_t start0, start1
    Py_ssize_t above, beside    # rows and columns that the kernel has more than one
    Py_ssize_t height, width    # of a tile of the output
    Py_ssize_t tiles_down, tiles_across
    Py_ssize_t side             # rows of a block
    Py_ssize_t pitch            # elements of one of its rows
    bint zero                   # nothing but zeros lies outside
    const elem *spectrum        # [M, 2]: of the taps, as a transform leaves them
    Ring ring
    int batch_ndim
    Py_ssize_t batch_shape[MAX_BATCH]
    Py_ssize_t batch_xs[MAX_BATCH]
    Py_ssize_t batch_os[MAX_BATCH]
    # scratch memory of a thread, in bytes: a packed block, its transform, and where columns outside are found
    Py_ssize_t where_at, scratch_bytes


# --- L complex numbers ----------------------------------------------------------------------------------

cdef inline pair get(const elem *p, Py_ssize_t i) noexcept nogil:
    cdef pair a
    a.re, a.im = load(p + 2 * i * LANES), load(p + (2 * i + 1) * LANES)
    return a


cdef inline void store(elem *p, Py_ssize_t i, pair a) noexcept nogil:
    put(p + 2 * i * LANES, a.re)
    put(p + (2 * i + 1) * LANES, a.im)


cdef inline pair plus(pair a, pair b) noexcept nogil:
    a.re, a.im = a.re + b.re, a.im + b.im
    return a


cdef inline pair minus(pair a, pair b) noexcept nogil:
    a.re, a.im = a.re - b.re, a.im - b.im
    return a


cdef inline pair times(pair a, pair w) noexcept nogil:
    cdef pair b
    b.re, b.im = a.re * w.re - a.im * w.im, a.re * w.im + a.im * w.re
    return b


cdef inline pair over(pair a, pair w) noexcept nogil:
    """a / w, where |w| = 1."""
    cdef pair b
    b.re, b.im = a.re * w.re + a.im * w.im, a.im * w.re - a.re * w.im
    return b


cdef inline pair times_i(pair a) noexcept nogil:
    cdef pair b
    b.re, b.im = -a.im, a.re
    return b


# --- rings: their parts are n numbers apart, and w is that of the ring -----------------------------------

cdef inline void split2(pair *f, const elem *w) noexcept nogil:
    cdef pair a = f[0], b = times(f[1], get(w, 1))      # the w^2 of radix 4 is the w of radix 2
    f[0], f[1] = plus(a, b), minus(a, b)


cdef inline void join2(pair *f, const elem *w) noexcept nogil:
    cdef pair a = f[0], b = f[1]
    f[0], f[1] = plus(a, b), over(minus(a, b), get(w, 1))


cdef inline void split4(pair *f, pair w1, pair w2, pair w3) noexcept nogil:
    cdef pair a = f[0], b = times(f[1], w1), c = times(f[2], w2), d = times(f[3], w3)
    cdef pair even = plus(a, c), odd = plus(b, d), side = minus(a, c), turned = times_i(minus(b, d))
    f[0], f[1], f[2], f[3] = plus(even, odd), plus(side, turned), minus(even, odd), minus(side, turned)


cdef inline void join4(pair *f, pair w1, pair w2, pair w3) noexcept nogil:
    cdef pair even = plus(f[0], f[2]), odd = plus(f[1], f[3])
    cdef pair side = minus(f[0], f[2]), turned = times_i(minus(f[1], f[3]))
    f[0], f[1] = plus(even, odd), over(minus(side, turned), w1)
    f[2], f[3] = over(minus(even, odd), w2), over(plus(side, turned), w3)


cdef inline void ring4(elem *x, Py_ssize_t n, const elem *w, const bint joins) noexcept nogil:
    """A ring of 4 n numbers by n butterflies   INOUT x."""
    cdef pair f[4]
    cdef pair w1 = get(w, 0), w2 = get(w, 1), w3 = get(w, 2)
    cdef Py_ssize_t j
    cdef int s
    for j in range(n):
        for s in range(4):
            f[s] = get(x, s * n + j)
        if joins:
            join4(f, w1, w2, w3)
        else:
            split4(f, w1, w2, w3)
        for s in range(4):
            store(x, s * n + j, f[s])


cdef inline void odd_ring(elem *x, Py_ssize_t n, const elem *w, const elem *waves, const int r,
                          const bint joins) noexcept nogil:
    """A ring of r n numbers, r odd   INOUT x.

    With a_s = f_s w^s, and the cosine c and sine t of 2 pi s k / r, over pairs s, r - s:

        out_k, out_(r-k) = a_0 + sum c (a_s + a_(r-s)) +- i sum t (a_s - a_(r-s))
    """
    cdef pair f[7]
    cdef pair even[7]
    cdef pair side[7]
    cdef pair a, b
    cdef vec c, t
    cdef Py_ssize_t j
    cdef int s, k
    for j in range(n):
        for s in range(r):
            f[s] = get(x, s * n + j)
            if not joins and s > 0:
                f[s] = times(f[s], get(w, s - 1))
        for s in range(1, r // 2 + 1):
            even[s], side[s] = plus(f[s], f[r - s]), minus(f[s], f[r - s])
        a = f[0]
        for s in range(1, r // 2 + 1):
            a = plus(a, even[s])
        store(x, j, a)
        for k in range(1, r // 2 + 1):
            a = f[0]
            b.re = b.im = spread(<elem> 0)
            for s in range(1, r // 2 + 1):
                c, t = spread(waves[s * k % r * 2]), spread(waves[s * k % r * 2 + 1])
                a.re, a.im = a.re + c * even[s].re, a.im + c * even[s].im
                b.re, b.im = b.re - t * side[s].im, b.im + t * side[s].re
            if joins:
                store(x, k * n + j, over(minus(a, b), get(w, k - 1)))
                store(x, (r - k) * n + j, over(plus(a, b), get(w, r - k - 1)))
            else:
                store(x, k * n + j, plus(a, b))
                store(x, (r - k) * n + j, minus(a, b))


cdef inline void odd_level(const Ring *ring, elem *x, const bint joins) noexcept nogil:
    if ring.radix == 3:
        odd_ring(x, ring.n, ring.odd, ring.waves, 3, joins)
    elif ring.radix == 5:
        odd_ring(x, ring.n, ring.odd, ring.waves, 5, joins)
    elif ring.radix == 7:
        odd_ring(x, ring.n, ring.odd, ring.waves, 7, joins)


cdef void split_odd(const Ring *ring, elem *x) noexcept nogil:
    odd_level(ring, x, False)


cdef void join_odd(const Ring *ring, elem *x) noexcept nogil:
    odd_level(ring, x, True)


cdef inline void last4(elem *x, const elem *h, const elem *w) noexcept nogil:
    """x h in a ring of four numbers   IN h, as it was split   INOUT x."""
    cdef pair f[4]
    cdef pair w1 = get(w, 0), w2 = get(w, 1), w3 = get(w, 2)
    cdef int s
    for s in range(4):
        f[s] = get(x, s)
    split4(f, w1, w2, w3)
    for s in range(4):
        f[s] = times(f[s], get(h, s))
    join4(f, w1, w2, w3)
    for s in range(4):
        store(x, s, f[s])


cdef inline void last2(elem *x, const elem *h, const elem *w) noexcept nogil:
    cdef pair f[2]
    f[0], f[1] = get(x, 0), get(x, 1)
    split2(f, w)
    f[0], f[1] = times(f[0], get(h, 0)), times(f[1], get(h, 1))
    join2(f, w)
    store(x, 0, f[0])
    store(x, 1, f[1])


cdef inline void level4(elem *x, Py_ssize_t rings, Py_ssize_t n, const elem *w, const bint joins) noexcept nogil:
    """Rings of 4 n numbers, one behind the other."""
    cdef Py_ssize_t i
    for i in range(rings):
        ring4(x + i * 8 * n * LANES, n, w + i * 6 * LANES, joins)


cdef void multiply(elem *x, const elem *h, Py_ssize_t n, const elem *level, Py_ssize_t rings,
                   Py_ssize_t which) noexcept nogil:
    """x h in a ring of n numbers, the one of this number among all of its level   IN h, as it was split   INOUT x."""
    cdef Py_ssize_t i, inside = 1, size = n
    cdef const elem *w = level + which * 6 * LANES
    if n * 2 * LANES * <Py_ssize_t> sizeof(elem) > NEAR and n > 4:
        ring4(x, n // 4, w, False)
        for i in range(4):
            multiply(x + i * (n // 2) * LANES, h + i * (n // 2) * LANES, n // 4, level + rings * 6 * LANES, 4 * rings,
                     4 * which + i)
        ring4(x, n // 4, w, True)
        return
    while size > 4:
        level4(x, inside, size // 4, level + which * inside * 6 * LANES, False)
        level += rings * inside * 6 * LANES
        inside, size = inside * 4, size // 4
    w = level + which * inside * 6 * LANES
    for i in range(inside):
        if size == 4:
            last4(x + i * 8 * LANES, h + i * 8 * LANES, w + i * 6 * LANES)
        elif size == 2:
            last2(x + i * 4 * LANES, h + i * 4 * LANES, w + i * 6 * LANES)
    while inside > 1:
        inside, size = inside // 4, size * 4
        level -= rings * inside * 6 * LANES
        level4(x, inside, size // 4, level + which * inside * 6 * LANES, True)


cdef void split(elem *x, Py_ssize_t n, const elem *level, Py_ssize_t rings) noexcept nogil:
    """So many rings of n numbers down to numbers   INOUT x."""
    cdef Py_ssize_t i
    cdef pair f[2]
    while n >= 4:
        level4(x, rings, n // 4, level, False)
        level += rings * 6 * LANES
        rings, n = rings * 4, n // 4
    if n == 2:
        for i in range(rings):
            f[0], f[1] = get(x, 2 * i), get(x, 2 * i + 1)
            split2(f, level + i * 6 * LANES)
            store(x, 2 * i, f[0])
            store(x, 2 * i + 1, f[1])


# --- the first L rings, and lanes for them ---------------------------------------------------------------

cdef inline void exchange(vec *v, const int step) noexcept nogil:
    cdef int i
    cdef vec a
    for i in range(LANES):
        if i & step == 0:
            a = v[i]
            v[i], v[i + step] = swap(a, v[i + step], step, 0), swap(a, v[i + step], step, 1)


cdef inline void transpose(vec *v) noexcept nogil:
    if LANES > 1:
        exchange(v, 1)
    if LANES > 2:
        exchange(v, 2)
    if LANES > 4:
        exchange(v, 4)
    if LANES > 8:
        exchange(v, 8)


cdef inline void first_level(pair *f, const int half, const elem *top, const bint joins) noexcept nogil:
    cdef int i, k
    cdef pair w, a, b
    if half == 0:
        return
    top += (LANES // (2 * half) - 1) * 2
    for k in range(LANES // (2 * half)):
        w.re, w.im = spread(top[2 * k]), spread(top[2 * k + 1])
        for i in range(half):
            a, b = f[2 * half * k + i], f[2 * half * k + half + i]
            if joins:
                f[2 * half * k + i], f[2 * half * k + half + i] = plus(a, b), over(minus(a, b), w)
            else:
                b = times(b, w)
                f[2 * half * k + i], f[2 * half * k + half + i] = plus(a, b), minus(a, b)


cdef inline int lane_of(int e, bint pairs) noexcept nogil:
    """Which of L numbers is in lane e: of complex ones the halves of two vectors take turns."""
    return e // 2 + e % 2 * (LANES // 2) if pairs and LANES > 1 else e


cdef inline void enter_as(const Ring *ring, elem *x, const elem *block, const bint pairs) noexcept nogil:
    """IN block[2 M]   OUT x[M / L, 2, L], lanes being rings."""
    cdef Py_ssize_t t = 0, n = ring.points // LANES
    cdef pair f[LANES]
    cdef vec v[LANES]
    cdef int s
    while t < n:
        for s in range(LANES):
            if pairs:
                f[s].re, f[s].im = load(block + 2 * (s * n + t)), load(block + 2 * (s * n + t) + LANES)
                f[s].re, f[s].im = swap(f[s].re, f[s].im, 1, 0), swap(f[s].re, f[s].im, 1, 1)
            else:
                f[s].re, f[s].im = load(block + s * n + t), load(block + ring.points + s * n + t)
        first_level(f, LANES // 2, ring.top, False)
        first_level(f, LANES // 4, ring.top, False)
        first_level(f, LANES // 8, ring.top, False)
        first_level(f, LANES // 16, ring.top, False)
        for s in range(LANES):
            v[s] = f[s].re
        transpose(v)
        for s in range(LANES):
            put(x + 2 * (t + lane_of(s, pairs)) * LANES, v[s])
        for s in range(LANES):
            v[s] = f[s].im
        transpose(v)
        for s in range(LANES):
            put(x + (2 * (t + lane_of(s, pairs)) + 1) * LANES, v[s])
        t += LANES


cdef inline void leave_as(const Ring *ring, elem *block, const elem *x, const bint pairs) noexcept nogil:
    """IN x   OUT block: the reverse."""
    cdef Py_ssize_t t = 0, n = ring.points // LANES
    cdef pair f[LANES]
    cdef vec v[LANES]
    cdef vec u[LANES]
    cdef int s
    while t < n:
        for s in range(LANES):
            v[s] = load(x + 2 * (t + lane_of(s, pairs)) * LANES)
        transpose(v)
        for s in range(LANES):
            u[s] = load(x + (2 * (t + lane_of(s, pairs)) + 1) * LANES)
        transpose(u)
        for s in range(LANES):
            f[s].re, f[s].im = v[s], u[s]
        first_level(f, LANES // 16, ring.top, True)
        first_level(f, LANES // 8, ring.top, True)
        first_level(f, LANES // 4, ring.top, True)
        first_level(f, LANES // 2, ring.top, True)
        for s in range(LANES):
            if pairs:
                put(block + 2 * (s * n + t), swap(f[s].re, f[s].im, 1, 0))
                put(block + 2 * (s * n + t) + LANES, swap(f[s].re, f[s].im, 1, 1))
            else:
                put(block + s * n + t, f[s].re)
                put(block + ring.points + s * n + t, f[s].im)
        t += LANES


cdef void enter(const Ring *ring, elem *x, const elem *block, bint pairs) noexcept nogil:
    if pairs:
        enter_as(ring, x, block, True)
    else:
        enter_as(ring, x, block, False)


cdef void leave(const Ring *ring, elem *block, const elem *x, bint pairs) noexcept nogil:
    if pairs:
        leave_as(ring, block, x, True)
    else:
        leave_as(ring, block, x, False)


# --- a block --------------------------------------------------------------------------------------------

cdef void transform(const Ring *ring, elem *x, const elem *block, bint pairs) noexcept nogil:
    """IN block   OUT x."""
    enter(ring, x, block, pairs)
    split_odd(ring, x)
    split(x, ring.n, ring.turns, ring.radix)


cdef void convolve(const Ring *ring, elem *out, elem *x, const elem *block, const elem *h,
                   bint pairs) noexcept nogil:
    """The block times h   IN block, h   OUT out, x."""
    cdef Py_ssize_t i
    enter(ring, x, block, pairs)
    split_odd(ring, x)
    for i in range(ring.radix):
        multiply(x + i * 2 * ring.n * LANES, h + i * 2 * ring.n * LANES, ring.n, ring.turns, ring.radix, i)
    join_odd(ring, x)
    leave(ring, out, x, pairs)


cdef void read_row(const Frame *f, elem *to, const char *row, Py_ssize_t n) noexcept nogil:
    take(f.type, to, row, f.xs1, n)


cdef inline void beyond(const Frame *f, const char *row, const Py_ssize_t *where, Py_ssize_t first, Py_ssize_t last,
                        elem *to) noexcept nogil:
    """Columns that lie outside of a row: `where` they are found, if it is not the fill value   OUT to[first : last]."""
    cdef Py_ssize_t j
    if f.boundary1 == FILL or row == NULL:
        for j in range(first, last):
            to[j] = f.fill0
    elif f.type == OWN:
        for j in range(first, last):
            to[j] = (<const elem *> (row + where[j] * f.xs1))[0]
    else:
        for j in range(first, last):
            read_row(f, to + j, row + where[j] * f.xs1, 1)


cdef void pack(const Job *job, const char *x, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t column, Py_ssize_t n,
               elem *block, Py_ssize_t *where) noexcept nogil:
    """So many rows of n columns of the continued plane x, and zeros behind them   OUT block, where[n]."""
    cdef const Frame *f = &job.frame
    cdef Py_ssize_t low = min(max(-column, 0), n), high = max(min(f.columns - column, n), low), i, j
    cdef const char *inside
    if f.boundary1 != FILL:
        for j in range(low):
            where[j] = column_source(f, column + j)
        for j in range(high, n):
            where[j] = column_source(f, column + j)
    for i in range(rows):
        inside = NULL
        j = source(row + i, f.rows, f.boundary0)
        if j != NOWHERE:
            inside = x + j * f.xs0
            read_row(f, block + low, inside + (column + low) * f.xs1, high - low)
            beyond(f, inside, where, 0, low, block)
            beyond(f, inside, where, high, n, block)
        else:
            beyond(f, NULL, where, 0, n, block)
        memset(block + n, 0, (job.pitch - n) * sizeof(elem))
        block += job.pitch
    memset(block, 0, (2 * job.ring.points - rows * job.pitch) * sizeof(elem))


ctypedef fused number:
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef inline void round_to(number *out, Py_ssize_t step, const elem *v, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if step == sizeof(number):
        for i in range(n):
            out[i] = <number> nearest(v[i])
    else:
        for i in range(n):
            (<number *> (<char *> out + i * step))[0] = <number> nearest(v[i])


cdef void put_row(const Job *job, char *out, const elem *v, Py_ssize_t n) noexcept nogil:
    """A row of the output; integers are rounded, and wrap."""
    cdef Py_ssize_t i, item = job.frame.group * sizeof(elem)
    if job.whole == 1:
        round_to(<uint8_t *> out, job.os1, v, n)
    elif job.whole == 2:
        round_to(<uint16_t *> out, job.os1, v, n)
    elif job.whole == 4:
        round_to(<uint32_t *> out, job.os1, v, n)
    elif job.whole == 8:
        round_to(<uint64_t *> out, job.os1, v, n)
    elif job.os1 == item:
        memcpy(out, v, n * item)
    else:
        for i in range(n):
            memcpy(out + i * job.os1, v + i * job.frame.group, item)


cdef void reverse(const Job *job, elem *block, const elem *taps, elem scale) noexcept nogil:
    """The taps times `scale`, the last one first   OUT block."""
    cdef Py_ssize_t p, q, group = job.frame.group, n = (job.beside + 1) * group
    cdef elem *to
    memset(block, 0, 2 * job.ring.points * sizeof(elem))
    for p in range(job.above + 1):
        to = block + (job.above - p) * job.pitch
        if group == 1:
            for q in range(n):
                to[n - 1 - q] = taps[q] * scale
        else:
            for q in range(job.beside + 1):
                to[n - 2 - 2 * q] = taps[2 * q] * scale
                to[n - 1 - 2 * q] = taps[2 * q + 1] * scale
        taps += n


cdef inline Py_ssize_t outside(const Job *job, Py_ssize_t first, Py_ssize_t reach) noexcept nogil:
    """Zeros before the first sample that no block needs to hold, if its windows have `reach` numbers more than one."""
    return min(max(-first, 0), reach) if job.zero else 0


cdef double tile(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Tile `number` of the batch's planes; gives the squares of what it sees."""
    cdef const Frame *f = &job.frame
    cdef const char *x = job.x
    cdef char *out = job.out
    cdef Py_ssize_t column = number % job.tiles_across * job.width, row, rows, columns, b, i, at
    cdef Py_ssize_t group = f.group, over0, over1
    cdef elem *block = <elem *> scratch
    cdef elem *spectrum = block + 2 * job.ring.points
    cdef const elem *from_
    cdef double squares
    b = number // job.tiles_across
    row = b % job.tiles_down * job.height
    b //= job.tiles_down
    for i in range(job.batch_ndim - 1, -1, -1):
        x += b % job.batch_shape[i] * job.batch_xs[i]
        out += b % job.batch_shape[i] * job.batch_os[i]
        b //= job.batch_shape[i]
    rows, columns = min(job.height, job.rows - row), min(job.width, job.columns - column)

    over0 = outside(job, row + job.start0, job.above)
    over1 = outside(job, column + job.start1, job.beside)
    row += job.start0 + over0
    at = (column + job.start1 + over1) * group
    if (f.rows == 1 and job.above == 0 and row == 0 and plain(f) and at >= 0 and over1 == 0
            and at + 2 * job.ring.points <= f.columns):
        from_ = <const elem *> x + at
    else:
        pack(job, x, row, min(rows + job.above - over0, job.side), at,
             min((columns + job.beside - over1) * group, job.pitch), block, <Py_ssize_t *> (scratch + job.where_at))
        from_ = block
    squares = sum_of_squares(from_, 2 * job.ring.points)
    convolve(&job.ring, block, spectrum, from_, job.spectrum, group == 2)
    out += (row - job.start0 - over0) * job.os0 + column * job.os1
    for i in range(rows):
        put_row(job, out, block + (i + job.above - over0) * job.pitch + (job.beside - over1) * group, columns)
        out += job.os0
    return squares


cdef double some(const Job *job, Py_ssize_t first, Py_ssize_t last, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    cdef double squares = 0
    for i in range(first, last):
        squares += tile(job, i, scratch)
    return squares


cdef double run(const Job *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i, share = max(SHARE // (2 * job.ring.points), 1)
    cdef double squares = 0
    if workers == 1:                                # not even a team of one: OpenMP stays asleep
        return some(job, first, last, scratch)
    for i in prange((last - first + share - 1) // share, num_threads=workers, schedule="dynamic"):
        squares += some(job, first + i * share, min(first + (i + 1) * share, last),
                        scratch + threadid() * job.scratch_bytes)
    return squares


def lanes():
    """Numbers of a vector: as many rings are beside each other."""
    return LANES


cdef void factors_of(elem *w, const double *turn, Py_ssize_t rings, int level) noexcept nogil:
    """w, w^2, w^3 of the rings of a level; the digits of a number, base 4, are its way   OUT w[rings, 3, 2, L]."""
    cdef Py_ssize_t i, ring
    cdef int lane, d
    cdef double t, angle, quarter, re, im, re2, im2
    for i in range(rings):
        ring = i & ((<Py_ssize_t> 1 << 2 * level) - 1)
        for lane in range(LANES):
            t = turn[(i >> 2 * level) * LANES + lane]
            for d in range(level - 1, -1, -1):
                t = (t + (ring >> 2 * d & 3)) / 4
            quarter = rint(t)                           # of w: t / 4 turns
            angle = (t - quarter) * (M_PI / 2)          # an eighth of a turn at most, for its rounding
            re, im = cos(angle), sin(angle)
            if <int> quarter & 1:
                re, im = -im, re
            if <int> quarter & 2:
                re, im = -re, -im
            re2, im2 = re * re - im * im, 2 * re * im
            w[lane], w[LANES + lane] = <elem> re, <elem> im
            w[2 * LANES + lane], w[3 * LANES + lane] = <elem> re2, <elem> im2
            w[4 * LANES + lane], w[5 * LANES + lane] = <elem> (re * re2 - im * im2), <elem> (re * im2 + im * re2)
        w += 6 * LANES


def factors(cnp.ndarray out not None, cnp.ndarray turn not None, int radix, int levels):
    """Those by which rings are split by 4, level by level; see Ring.

    out : (radix (4^levels - 1) / 3, 3, 2, L), contiguous, of the module's type   OUT
    turn : (radix, L), contiguous, float64: the first rings are modulo z^n - e^(2 pi i turn)   IN
    """
    cdef elem *w = <elem *> cnp.PyArray_DATA(out)
    cdef Py_ssize_t rings = radix
    cdef int level
    for level in range(levels):
        with nogil:
            factors_of(w, <const double *> cnp.PyArray_DATA(turn), rings, level)
        PyErr_CheckSignals()
        w += rings * 6 * LANES
        rings *= 4


def squares(cnp.ndarray x not None):
    """The sum of the squares of all numbers, real or complex, of an aligned, native array without gaps."""
    return sum_of_squares(<const elem *> cnp.PyArray_DATA(x), x.nbytes // <Py_ssize_t> sizeof(elem))


def correlate(cnp.ndarray x not None, int x_type, cnp.ndarray out not None, int whole, cnp.ndarray kernel not None,
              start, int boundary, elem fill, tile_shape, sides, ring, bint pairs, int workers):
    """out[..., i, j] = sum_pq kernel[p, q] X[..., start0 + i + p, start1 + j + q], X being x continued by a boundary.

    x : (..., H, W), aligned, native, any strides, of type x_type   IN
    out : (..., h, w), likewise, of the module's type, not overlapping x   OUT
    whole : 0, or the bytes of a number of out, which are then integers: sums below 2^51 are rounded
    kernel : (k, l), contiguous, of the module's type   IN
    tile_shape : rows and columns of the output that one block gives
    sides : rows and columns of a block, no more than fit the ring: those of the output and k - 1, l - 1 more. If one
        tile is all of an axis along which zeros lie outside, these wrap round, and it is enough that no output is met
    ring : (M, n, radix, top, odd, waves, turns); see Ring
    pairs : all arrays are complex, numbers beside each other in a row of x, and fill is 0
    workers : threads at most

    Returns the squares of all that was seen times those of the taps.
    """
    cdef Job job
    cdef double seen = 0
    cdef cnp.ndarray top, odd_, waves, turns
    cdef int d = x.ndim - 2, i
    cdef Py_ssize_t group = 2 if pairs else 1, blocks, done = 0, step, end, size
    cdef char *memory = NULL
    cdef char *scratch
    cdef elem *block
    cdef elem *spectrum
    if d < 0 or d > MAX_BATCH or out.ndim != x.ndim:
        raise ValueError(f"planes need the same 2 to {MAX_BATCH + 2} dimensions, not {x.ndim} and {out.ndim}")
    job.ring.points, job.ring.n, job.ring.radix, top, odd_, waves, turns = ring
    job.ring.top, job.ring.odd = <const elem *> cnp.PyArray_DATA(top), <const elem *> cnp.PyArray_DATA(odd_)
    job.ring.waves, job.ring.turns = <const elem *> cnp.PyArray_DATA(waves), <const elem *> cnp.PyArray_DATA(turns)
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    job.frame.rows, job.frame.columns = x.shape[d], x.shape[d + 1] * group
    job.frame.xs0, job.frame.xs1, job.frame.type = x.strides[d], x.strides[d + 1] // group, x_type
    job.frame.group = group
    job.frame.boundary0 = job.frame.boundary1 = boundary
    job.frame.fill0 = job.frame.fill1 = fill
    job.rows, job.columns, job.os0, job.os1 = out.shape[d], out.shape[d + 1], out.strides[d], out.strides[d + 1]
    job.start0, job.start1 = start
    job.whole = whole
    job.above, job.beside = kernel.shape[0] - 1, kernel.shape[1] - 1
    job.height, job.width = tile_shape
    job.side, job.pitch = sides
    job.pitch *= group
    job.zero = boundary == 0 and fill == 0
    job.batch_ndim = d
    blocks = 1
    for i in range(d):
        job.batch_shape[i], job.batch_xs[i], job.batch_os[i] = x.shape[i], x.strides[i], out.strides[i]
        blocks *= x.shape[i]
    if blocks * job.rows * job.columns == 0:
        return 0.0
    job.tiles_down = (job.rows + job.height - 1) // job.height
    job.tiles_across = (job.columns + job.width - 1) // job.width
    blocks *= job.tiles_down * job.tiles_across
    size = 2 * job.ring.points
    if job.ring.n % LANES or job.ring.n * job.ring.radix * LANES != job.ring.points:
        raise ValueError(f"a ring of {job.ring.points} numbers cannot be split by {LANES} lanes")
    if job.side * job.pitch > size or job.above >= job.side or job.beside * group >= job.pitch:
        raise ValueError(f"blocks of {sides} under a kernel of {kernel.shape[0]} x {kernel.shape[1]} in {size} numbers")
    workers = <int> max(1, min(<Py_ssize_t> workers, blocks, blocks * size // SHARE))
    job.where_at = 2 * size * sizeof(elem)
    job.scratch_bytes = up(job.where_at + (job.pitch * sizeof(Py_ssize_t) if boundary else 0), LINE)
    try:
        memory = <char *> malloc(LINE + size * sizeof(elem) + workers * job.scratch_bytes)
        if memory == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
        spectrum = <elem *> aligned(memory)
        scratch = <char *> (spectrum + size)
        block = <elem *> scratch
        with nogil:
            reverse(&job, block, <const elem *> cnp.PyArray_DATA(kernel), <elem> (1 / <double> job.ring.points))
            transform(&job.ring, spectrum, block, pairs)
        PyErr_CheckSignals()
        job.spectrum = spectrum
        step = workers * max(1, STEP // size)
        while done < blocks:
            end = min(blocks, done + step)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                seen += run(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
        return seen * sum_of_squares(<const elem *> cnp.PyArray_DATA(kernel), kernel.size * group)
    finally:
        free(memory)
