"""Planes as the filters of scipy.ndimage read them: row by row, converted, and continued by a boundary.

Rows are packed into scratch memory with what lies beyond the edges in them. The strips of a plane do that once for
each row, whatever the dtype; where nothing has to be done to a row it is read in place instead.
"""
from .boundary cimport NOWHERE, source
from .numbers cimport OWN, take
from .tiles cimport LANES, elem, prefetch

cdef enum:
    LINE = 64                   # bytes of a line of the cache
    PAGE_LINES = 64             # lines after which one meets the same set again

cdef struct Frame:
    Py_ssize_t rows, columns
    Py_ssize_t xs0, xs1         # strides in bytes
    int type                    # as numbers.pxd counts them
    Py_ssize_t group            # interleaved channels: columns j and j + group are neighbours
    int boundary0, boundary1    # above and below, left and right
    elem fill0, fill1
    Py_ssize_t ld               # of packed rows, in elements

cdef struct Span:               # the columns that a strip reads: low .. high-1 of them lie inside
    Py_ssize_t first, n
    Py_ssize_t low, high
    Py_ssize_t *where           # [n]: where the others are found


cdef inline Py_ssize_t row_of(Py_ssize_t n) noexcept nogil:
    """n elements or some more: long rows so far apart do not meet in the same few lines of the nearest cache."""
    cdef Py_ssize_t lines = n * <Py_ssize_t> sizeof(elem) // LINE + 1
    if lines > 16:
        lines |= 1
        while lines % PAGE_LINES < 9 or lines % PAGE_LINES > PAGE_LINES - 9:
            lines += 2
    return lines * LINE // <Py_ssize_t> sizeof(elem)


cdef inline bint plain(const Frame *f) noexcept nogil:
    """Whether rows can be read in place."""
    return (f.type == OWN and f.xs1 == sizeof(elem) and f.xs0 % <Py_ssize_t> sizeof(elem) == 0)


cdef inline Py_ssize_t column_source(const Frame *f, Py_ssize_t j) noexcept nogil:
    """Where column j is found; channels do not mix."""
    cdef Py_ssize_t channel, pixel
    if 0 <= j < f.columns:
        return j
    channel = j % f.group
    if channel < 0:
        channel += f.group
    pixel = source((j - channel) // f.group, f.columns // f.group, f.boundary1)
    return NOWHERE if pixel == NOWHERE else pixel * f.group + channel


cdef inline void span(const Frame *f, Py_ssize_t first, Py_ssize_t columns, Py_ssize_t beside, Py_ssize_t *where,
                      Span *s) noexcept nogil:
    """What a strip of so many columns of the output reads, its windows being `beside` longer   OUT where, s."""
    cdef Py_ssize_t i, width = columns + beside
    s.first, s.n, s.where = first, max(columns, LANES) + beside, where
    s.low, s.high = min(max(-first, 0), width), min(max(f.columns - first, 0), width)
    for i in range(s.n):
        if not s.low <= i < s.high:
            where[i] = column_source(f, first + i) if i < width else NOWHERE


cdef inline void outside(const Frame *f, elem *to, const Span *s, const char *row) noexcept nogil:
    """The columns of a row that lie outside; row: NULL for the fill value alone."""
    cdef Py_ssize_t j = 0 if s.low else s.high
    while j < s.n:
        if s.where[j] == NOWHERE:
            to[j] = f.fill1
        elif row != NULL:
            take(f.type, to + j, row + s.where[j] * f.xs1, f.xs1, 1)
        j += 1
        if j == s.low:
            j = s.high


cdef inline void pack(const Frame *f, const char *x, Py_ssize_t row, Py_ssize_t rows, const Span *s,
                      elem *packed) noexcept nogil:
    """Rows of the continued plane x; NULL stands for one that lies outside   OUT packed[rows, ld]."""
    cdef Py_ssize_t i, j, at
    cdef elem *to
    cdef const char *inside
    for i in range(rows):
        to = packed + i * f.ld
        at = NOWHERE if x == NULL else source(row + i, f.rows, f.boundary0)
        if at == NOWHERE:
            for j in range(s.n):
                to[j] = f.fill0
            continue
        inside = x + at * f.xs0 + (s.first + s.low) * f.xs1
        if at + 2 < f.rows:                         # rows soon to come: a strip is too narrow to foresee them
            prefetch(inside + 2 * f.xs0, (s.high - s.low) * f.xs1)
        outside(f, to, s, x + at * f.xs0)
        take(f.type, to + s.low, inside, f.xs1, s.high - s.low)
