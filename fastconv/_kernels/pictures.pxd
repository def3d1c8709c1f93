"""Batches of pictures with channels, and the ways of a part of one into scratch memory and back.

In scratch memory channels are last. Where they are first in the caller's array, squares of L channels by L columns
are transposed in registers.
"""
cimport numpy as cnp
from libc.string cimport memcpy, memset

from .scratch cimport copy

cdef extern from "simd.h" nogil:
    ctypedef float elem "fc_elem"
    ctypedef float vec "fc_vec"
    const int LANES "FC_LANES"
    vec load "fc_load" (const elem *)
    vec splat "fc_spread" (elem)
    void store "fc_put" (elem *, vec)
    void transpose "fc_transpose" (vec *)
    Py_ssize_t opaque "fc_opaque" (Py_ssize_t)
    void prefetch "fc_prefetch" (const void *)

cdef enum:
    MOST_LANES = 16
    LINE_BYTES = 64

cdef struct Pictures:           # (n, channels, height, width) at any strides, in bytes
    char *at
    Py_ssize_t n, channels, height, width
    Py_ssize_t sn, sc, sh, sw


cdef inline void pictures(cnp.ndarray a, Pictures *x):
    x.at = <char *> cnp.PyArray_DATA(a)
    x.n, x.channels, x.height, x.width = a.shape[0], a.shape[1], a.shape[2], a.shape[3]
    x.sn, x.sc, x.sh, x.sw = a.strides[0], a.strides[1], a.strides[2], a.strides[3]


cdef inline void pixel(elem *to, const elem *at, Py_ssize_t n) noexcept nogil:
    """The channels of one: few vectors without a call, the last overlapping its neighbour."""
    cdef Py_ssize_t c = 0
    if n < LANES or n > 16 * LANES:
        memcpy(to, at, n * sizeof(elem))
        return
    while c < n:
        c = min(c, n - LANES)
        store(to + c, load(at + c))
        c += LANES


cdef inline void clear(elem *to, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    if n > LANES:
        memset(to, 0, n * sizeof(elem))
        return
    for j in range(opaque(n)):
        to[opaque(j)] = 0                           # so that it stays a loop: a call takes longer


cdef inline void rim(elem *to, Py_ssize_t low, Py_ssize_t high, Py_ssize_t n) noexcept nogil:
    """Zeros in to[0 : low] and to[high : n]; a short rim as a vector, whose rest is written afterwards."""
    if low > LANES or n - high > LANES or n < LANES:
        clear(to, low)
        clear(to + high, n - high)
        return
    if low > 0:
        store(to, splat(0))
    if high < n:
        store(to + n - LANES, splat(0))


cdef inline void square(elem *to, Py_ssize_t ldt, const char *at, Py_ssize_t ld) noexcept nogil:
    """to[j, c] = at[c, j] for L x L elements; the rows of `at` are `ld` bytes apart."""
    cdef vec v[LANES]
    cdef int i
    for i in range(LANES):
        v[i] = load(<const elem *> (at + i * ld))
    transpose(v)
    for i in range(LANES):
        store(to + i * ldt, v[i])


cdef inline void pack_narrow(const char *at, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t channels, Py_ssize_t sc,
                             elem *to, Py_ssize_t ldt) noexcept nogil:
    """Rows without a gap, too narrow for squares of their own   IN at   OUT to[rows, columns, channels], ldt a row."""
    cdef vec v[LANES]
    cdef Py_ssize_t c = 0, p, r, s
    cdef int i
    while c < channels:
        c = min(c, channels - LANES)
        p = 0
        while p < rows * columns:
            p = min(p, rows * columns - LANES)
            for i in range(LANES):
                v[i] = load(<const elem *> (at + (c + i) * sc) + p)
            transpose(v)
            r, s = p // columns, p % columns
            for i in range(LANES):
                store(to + r * ldt + s * channels + c, v[i])
                s += 1
                if s == columns:
                    r, s = r + 1, 0
            p += LANES
        c += LANES


cdef inline void pack(const Pictures *x, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t row,
                      Py_ssize_t column, Py_ssize_t height, Py_ssize_t width, elem *to) noexcept nogil:
    """A part of a picture, zeros outside   IN x   OUT to[height, width, channels]."""
    cdef Py_ssize_t low = min(max(-column, 0), width), high = max(min(x.width - column, width), low)
    cdef Py_ssize_t i, j, c, item = sizeof(elem), ld = width * channels
    cdef Py_ssize_t first = max(-row, 0), inside = min(x.height - row, height) - first     # rows
    cdef const char *at
    cdef const char *here
    if (high - low == x.width < LANES and x.sw == item and x.sh == x.width * item and channels >= LANES > 1
            and inside * x.width >= LANES):
        memset(to, 0, height * ld * item)
        pack_narrow(x.at + n * x.sn + channel * x.sc + (row + first) * x.sh, inside, x.width, channels, x.sc,
                    to + first * ld + low * channels, ld)
        return
    if high - low == width == x.width and inside == height and x.sh == width * x.sw:    # rows without a gap are one
        width *= height
        high, height, ld = width, 1, width * channels
    for i in range(height):
        if row + i < 0 or row + i >= x.height or low == high:
            memset(to, 0, ld * item)
            to += ld
            continue
        rim(to, low * channels, high * channels, ld)
        at = x.at + n * x.sn + channel * x.sc + (row + i) * x.sh + (column + low) * x.sw
        if (x.sc == item or channels == 1) and x.sw == channels * item:
            copy(to + low * channels, <const elem *> at, (high - low) * channels)
        elif x.sc == item:
            for j in range(high - low):
                pixel(to + (low + j) * channels, <const elem *> (at + j * x.sw), channels)
        elif x.sw == item and LANES > 1 and channels >= LANES and high - low >= LANES:
            c = 0
            while c < channels:                     # rows stay in their order, for the sake of prefetching
                c = min(c, channels - LANES)
                j = 0
                while j < high - low:
                    j = min(j, high - low - LANES)
                    square(to + (low + j) * channels + c, channels, at + c * x.sc + j * item, x.sc)
                    j += LANES
                c += LANES
        else:
            for c in range(channels):
                here = at + c * x.sc
                for j in range(high - low):
                    to[(low + j) * channels + c] = (<const elem *> (here + j * x.sw))[0]
        to += ld


cdef inline void unpack(const Pictures *y, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t row,
                        Py_ssize_t column, Py_ssize_t height, Py_ssize_t width, const elem *sums,
                        Py_ssize_t ld) noexcept nogil:
    """Sums to their places   IN sums[height, width, ld], of which `channels` count   OUT y."""
    cdef Py_ssize_t i, j, c, q, item = sizeof(elem)
    cdef char *at
    cdef char *to
    at = y.at + n * y.sn + channel * y.sc + row * y.sh + column * y.sw
    if y.sh == width * y.sw:                        # rows without a gap are one
        width *= height
        height = 1
    for i in range(height):
        to = at + i * y.sh
        if y.sc == item:
            for j in range(width):
                pixel(<elem *> (to + j * y.sw), sums + j * ld, channels)
        elif y.sw == item and LANES > 1 and width >= LANES and channels >= LANES:
            c = 0
            while c < channels:
                c = min(c, channels - LANES)
                j = 0
                while j < width:
                    j = min(j, width - LANES)
                    for q in range(LANES):         # lines that are still far
                        prefetch(to + (c + q) * y.sc + j * item + 2 * LINE_BYTES)
                    square(<elem *> (to + c * y.sc + j * item), y.sc // item, <const char *> (sums + j * ld + c),
                           ld * item)
                    j += LANES
                c += LANES
        else:
            for c in range(channels):
                for j in range(width):
                    (<elem *> (to + c * y.sc + j * y.sw))[0] = sums[j * ld + c]
        sums += width * ld


cdef inline void pack_lanes(const Pictures *y, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t channels,
                            Py_ssize_t lanes, Py_ssize_t row, Py_ssize_t column, Py_ssize_t height, Py_ssize_t width,
                            elem *to) noexcept nogil:
    """A part of a picture that lies inside   IN y   OUT to[height, width, lanes], zeros beyond its channels."""
    cdef Py_ssize_t _i, j, c, item = sizeof(elem)
    cdef const char *at
    cdef const char *here
    at = y.at + n * y.sn + channel * y.sc + row * y.sh + column * y.sw
    if channels < lanes:
        memset(to, 0, height * width * lanes * item)
    if y.sh == width * y.sw:                        # rows without a gap are one
        width *= height
        height = 1
    for _i in range(height):
        if y.sc == item:
            for j in range(width):
                memcpy(to + j * lanes, at + j * y.sw, channels * item)
        elif y.sw == item and LANES > 1 and width >= LANES and channels >= LANES:
            c = 0
            while c < channels:
                c = min(c, channels - LANES)
                j = 0
                while j < width:
                    j = min(j, width - LANES)
                    square(to + j * lanes + c, lanes, at + c * y.sc + j * item, y.sc)
                    j += LANES
                c += LANES
        else:
            for c in range(channels):
                here = at + c * y.sc
                for j in range(width):
                    to[j * lanes + c] = (<const elem *> (here + j * y.sw))[0]
        at += y.sh
        to += width * lanes
