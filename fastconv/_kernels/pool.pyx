# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Pooling: what is largest, smallest or the sum in a window that moves over planes.

    out[b, i, j, c] = op_{p, q} x[b, start0 + i stride0 + p step0, start1 + j stride1 + q step1, c]

over the taps that lie inside; padding is nothing that is ever read. op is max or min, which NaN wins, a sum, or a
sum of squares. A sum is divided by the taps it has or would have with the padding, or by a given number; of squares
the root is taken where that is asked for. With `index`, where max or min was found goes there. Adaptive windows
cut an axis into parts as equal as can be.

The channels c, `group` of them, are neighbours in memory and one row of x is a line of width * group elements, so
vectors lie along the row. Rows of the output are shared among the threads. For each of them, where

- a window is a whole row, or a whole plane in one piece, it is reduced as it lies, as many at once as there are lanes;
- a vector is filled by the channels of one pixel (wide), a window is reduced in registers, all of its taps or, where
  that takes more operations, first its rows into a line in L1 and then that line's columns;
- two or three columns with a stride of 2 are asked for, vectors of a row are reduced, sorted into even and odd
  columns and joined in registers (paired);
- planes are small, as many of them as there are lanes are turned, so that each has a lane, and reduced as channels are
  (turned);
- the stride is 1 or 2, the window's rows go into a line in L1, sorted by phase with a stride of 2, so that what
  neighbouring outputs read are neighbours; the line's ends, which no row reaches, hold what changes nothing (lined);
- a row is short, as above, but several rows of the output lie side by side in the line (bundled);
- else, rows go into a line and each output gathers its columns there.

A tile is always the same loop over rows and columns of taps, with its accumulators in registers. A tap costs a load
and a sum, or two comparisons, an `or` for NaN and a selection. Each byte of x comes from memory once, which is what
holds these loops up: with few taps in two dimensions, and the more the wider the vectors. How the output is cut
does not change the order of any sum. A thread has the same part of the arrays in each call, and finds in its cache what
it has left there.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport frexp, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastconv import _machine

from .pictures cimport Pictures, pack_lanes, unpack
from .scratch cimport aligned, up
from .tiles cimport LANES, elem, load, opaque, put as store, vec
from .windows cimport OVER_NUMBER, OVER_TAPS, PLAIN, ROOT, Axis, Window, axis_of, count, place

cdef extern from "simd.h" nogil:
    ctypedef long mask "fc_mask"
    ctypedef long integer "fc_int"
    const bint FLOATING "FC_FLOATING"
    vec splat "FC_SPLAT" (elem)
    vec vmax "fc_max_or_nan" (vec, vec)
    vec vmin "fc_min_or_nan" (vec, vec)
    elem max1 "fc_max1" (elem, elem)
    elem min1 "fc_min1" (elem, elem)
    mask above "fc_above" (vec, vec)
    mask below "fc_below" (vec, vec)
    vec pick "fc_pick" (mask, vec, vec)
    mask choose "fc_choose" (mask, mask, mask)
    mask integers "fc_integers" (integer)
    mask load_integers "fc_load_integers" (const integer *)
    void store_integers "fc_store_integers" (integer *, mask)
    vec every_second "fc_every_second" (vec, vec, int)
    vec one_later "fc_one_later" (vec, vec)
    void transpose "fc_transpose" (vec *)
    const bint TURNS "(sizeof(fc_elem) >= 4 && FC_LANES > 1)"
    elem lowest "fc_lowest" ()
    elem highest "fc_highest" ()
    void prefetch "fc_prefetch" (const void *)

cdef enum:              # operations, which _plan/pools.py names
    MAX = 0
    MIN = 1
    SUM = 2
    SQUARES = 3

cdef enum:
    TILE = 4                    # accumulators: loads of so many vectors hide what a comparison takes
    LINE_BYTES = 1 << 14        # of a line: half of L1
    AHEAD = 4096                # bytes between what is read and what is asked for: the hardware asks up to a page's end
    CACHE_LINE = 64
    TURNED_BYTES = 1 << 17      # of as many planes as are turned: they stay in L2
    GRAIN = 1 << 16             # elements of x that a thread takes at a time, at most
    GATHERED = 32               # columns of a window up to which vectors of outputs gather them; longer ones run along
    FEWEST = 4                  # times that it takes some, at least, so that it has as much as another
    SHARE = 1 << 16             # taps, or elements of x, below which another thread is not worth waking
    STEP = 1 << 30              # taps of each thread between two looks for Ctrl-C

cdef struct Job:
    const char *x
    char *out
    char *index                 # of int64, or NULL
    Axis rows, columns
    Py_ssize_t planes           # in all, and in one batch of them
    Py_ssize_t batch
    Py_ssize_t xb0, xb1, xr     # strides of batches, planes and rows, in bytes
    Py_ssize_t ob0, ob1, orow
    Py_ssize_t ib0, ib1, ir
    Py_ssize_t group            # channels of a pixel
    Py_ssize_t pitch            # what an index counts for a row
    int finish
    elem number
    elem over                   # what all sums are divided by, or 0: it is not the same for all
    elem factor                 # 1 / over where it is a power of 2, or 0: the product is the same, and sooner there
    # the layout
    bint wide, direct           # see above; direct: all taps at once
    bint lined, paired, whole, turned
    Pictures from_, to          # where planes are turned, the same arrays
    Py_ssize_t bundle, pitch_of_row     # rows of the output in a line, and what each takes of it; bundle is 0 elsewhere
    const char *x_end           # behind the last element: what lies before it can be read
    bint gapless                # whether rows of the output follow one another
    Py_ssize_t *offset          # of a column tap in the line, or in a row
    Py_ssize_t parcels, grain   # of so many rows of the output
    Py_ssize_t block, blocks    # and so many columns
    Py_ssize_t ld               # elements of a line
    Py_ssize_t lines            # 2 where columns are sorted by phase
    Py_ssize_t staging_at, numbers_at, scratch_bytes

ctypedef void (*Work)(const Job *, Py_ssize_t, char *) noexcept nogil


# --- operations -----------------------------------------------------------------------------------------

cdef inline elem nothing(const int OP) noexcept nogil:
    """What changes no result."""
    return lowest() if OP == MAX else highest() if OP == MIN else 0


cdef inline vec term(const elem *at, const int OP) noexcept nogil:
    cdef vec x = load(at)
    return x * x if OP == SQUARES else x


cdef inline vec fold(vec a, vec x, const int OP) noexcept nogil:
    return vmax(a, x) if OP == MAX else vmin(a, x) if OP == MIN else a + x


cdef inline elem fold1(elem a, elem x, const int OP) noexcept nogil:
    return max1(a, x) if OP == MAX else min1(a, x) if OP == MIN else a + x * x if OP == SQUARES else a + x


# --- tiles ----------------------------------------------------------------------------------------------
#
#   out[e] = op_{p < taps0, q < taps1} x[p][offset[q] + e]      row p is p ld bytes further
#
# T0 and T1 are taps0 and taps1 where the compiler knows them, and else 0.

cdef inline void tile(elem *out, const char *x, Py_ssize_t ld, Py_ssize_t taps0, const Py_ssize_t *offset,
                      Py_ssize_t taps1, elem over, const int U, const int T0, const int T1,
                      const int OP) noexcept nogil:
    """out[0 : L U], sums divided by `over` where it is not 0   IN x   OUT out."""
    cdef vec acc[TILE]
    cdef Py_ssize_t p, q, n0 = T0 if T0 else opaque(taps0), n1 = T1 if T1 else opaque(taps1)
    cdef const elem *at
    cdef int u
    for u in range(U):
        acc[u] = splat(nothing(OP)) if T0 * T1 == 0 else term(<const elem *> x + u * LANES, OP)
    for p in range(n0):
        if T1 == 1:
            for u in range((U * LANES * <int> sizeof(elem) + CACHE_LINE - 1) // CACHE_LINE):
                prefetch(x + p * ld + AHEAD + u * CACHE_LINE)
        for q in range(n1):
            if T0 > 1 and T1 > 1:
                for u in range((U * LANES * <int> sizeof(elem) + CACHE_LINE - 1) // CACHE_LINE):
                    prefetch(x + p * ld + offset[q] * <int> sizeof(elem) + AHEAD + u * CACHE_LINE)
            if T0 * T1 == 0 or p + q > 0:
                at = <const elem *> (x + p * ld) + (0 if T1 == 1 else offset[q])
                for u in range(U):
                    acc[u] = fold(acc[u], term(at + u * LANES, OP), OP)
    if FLOATING and OP == SUM and over != 0:
        for u in range(U):
            acc[u] = acc[u] / splat(over)
    for u in range(U):
        store(out + u * LANES, acc[u])


cdef inline void tiles(elem *out, const char *x, Py_ssize_t ld, Py_ssize_t taps0, const Py_ssize_t *offset,
                       Py_ssize_t taps1, elem over, Py_ssize_t n, const int T0, const int T1,
                       const int OP) noexcept nogil:
    """out[0 : n], n >= L; the last vector overlaps its neighbour."""
    cdef Py_ssize_t i = 0
    while n - i >= TILE * LANES:
        tile(out + i, x + i * <Py_ssize_t> sizeof(elem), ld, taps0, offset, taps1, over, TILE, T0, T1, OP)
        i += TILE * LANES
    while i < n:
        i = min(i, n - LANES)
        tile(out + i, x + i * <Py_ssize_t> sizeof(elem), ld, taps0, offset, taps1, over, 1, T0, T1, OP)
        i += LANES


cdef inline elem one_by(const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step, Py_ssize_t taps1,
                        const int OP) noexcept nogil:
    """The same for a single element, columns being `step` apart."""
    cdef Py_ssize_t p, q
    cdef elem acc = nothing(OP)
    for p in range(taps0):
        for q in range(taps1):
            acc = fold1(acc, (<const elem *> (x + p * ld))[q * step], OP)
    return acc


cdef inline void strided(elem *out, const elem *line, Py_ssize_t n, Py_ssize_t group, Py_ssize_t stride,
                         Py_ssize_t step, Py_ssize_t taps, const int OP) noexcept nogil:
    """out[j group + e] = op over q of line[j stride + q step + e], e < group: n elements, gathered one by one."""
    cdef elem some[LANES]
    cdef Py_ssize_t begins[LANES]
    cdef Py_ssize_t i = 0, j = 0, e = 0, q, g, m
    cdef vec acc
    while i < n:
        m = min(<Py_ssize_t> LANES, n - i)
        for g in range(LANES):
            begins[g] = j + e if g < m else begins[0]
            e += 1
            if e == group:
                e = 0
                j += stride
        acc = splat(nothing(OP))
        for q in range(taps):
            for g in range(LANES):
                some[g] = line[begins[g] + q * step]
            acc = fold(acc, load(some), OP)
        if m == LANES:
            store(out + i, acc)
        else:
            store(some, acc)
            for g in range(m):
                out[i + g] = some[g]
        i += m


cdef elem one_max(const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step, Py_ssize_t taps1) noexcept nogil:
    return one_by(x, ld, taps0, step, taps1, MAX)


cdef elem one_min(const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step, Py_ssize_t taps1) noexcept nogil:
    return one_by(x, ld, taps0, step, taps1, MIN)


cdef elem one_sum(const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step, Py_ssize_t taps1) noexcept nogil:
    return one_by(x, ld, taps0, step, taps1, SUM)


cdef elem one_squares(const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step,
                      Py_ssize_t taps1) noexcept nogil:
    return one_by(x, ld, taps0, step, taps1, SQUARES)


cdef inline elem one(const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step, Py_ssize_t taps1,
                     const int OP) noexcept nogil:
    if OP == MAX:
        return one_max(x, ld, taps0, step, taps1)
    if OP == MIN:
        return one_min(x, ld, taps0, step, taps1)
    if OP == SQUARES:
        return one_squares(x, ld, taps0, step, taps1)
    return one_sum(x, ld, taps0, step, taps1)


cdef inline vec whole_plane(const elem *x, Py_ssize_t n, const integer *masks, bint beyond,
                            const int OP) noexcept nogil:
    """op over n elements that are neighbours, lane by lane.

    IN x, and with `beyond` the rest of the last vector; masks: L that are set, then L that are not
    """
    cdef int LINE_OP = SUM if OP == SQUARES else OP
    cdef vec a = splat(nothing(OP)), b = a, none = a
    cdef elem rest[LANES]
    cdef Py_ssize_t i = 0, e
    while n - i >= 2 * LANES:
        prefetch(<const char *> (x + i) + AHEAD)
        prefetch(<const char *> (x + i + LANES) + AHEAD)
        a = fold(a, term(x + i, OP), OP)
        b = fold(b, term(x + i + LANES, OP), OP)
        i += 2 * LANES
    if n - i >= LANES:
        a = fold(a, term(x + i, OP), OP)
        i += LANES
    if i < n and beyond:
        b = fold(b, pick(load_integers(masks + LANES - (n - i)), term(x + i, OP), none), OP)
    elif i < n:
        store(rest, none)
        for e in range(n - i):
            rest[e] = x[i + e]
        b = fold(b, term(rest, OP), OP)
    return fold(a, b, LINE_OP)


cdef inline elem over_lanes(vec v, const int OP) noexcept nogil:
    """op over the lanes: the first half with the second, again and again."""
    cdef elem lanes[LANES]
    cdef Py_ssize_t e, half = LANES // 2
    store(lanes, v)
    while half > 0:
        for e in range(half):
            lanes[e] = fold1(lanes[e], lanes[e + half], OP)
        half //= 2
    return lanes[0]


cdef inline void split_tile(elem *even, elem *odd, const char *x, Py_ssize_t ld, Py_ssize_t taps,
                            const int OP) noexcept nogil:
    """even[0 : L], odd[0 : L]: the elements 0 .. 2L-1 of a column of rows, by turns   IN x   OUT even, odd."""
    cdef vec a = splat(nothing(OP)), b = a
    cdef Py_ssize_t p
    cdef const elem *at
    for p in range(opaque(taps)):
        at = <const elem *> (x + p * ld)
        prefetch(<const char *> at + AHEAD)
        a = fold(a, term(at, OP), OP)
        b = fold(b, term(at + LANES, OP), OP)
    store(even, every_second(a, b, 0))
    store(odd, every_second(a, b, 1))


cdef inline void pair_tiles(elem *out, const char *x, Py_ssize_t ld, Py_ssize_t taps, elem before, Py_ssize_t n,
                            elem over, elem factor, const int T0, const int T1, const int OP) noexcept nogil:
    """out[j] = op over a column of rows of x[2j], x[2j + 1] and, if T1 is 3, x[2j - 1], of which `before` is the first.

    Sums are divided by `over`, or multiplied by `factor` where it is not 0.

    n >= L outputs, the last vector overlapping its neighbour, of taps >= 1 rows   IN x   OUT out.
    """
    cdef int LINE_OP = SUM if OP == SQUARES else OP
    cdef Py_ssize_t i = 0, p, item = sizeof(elem)
    cdef const elem *at
    cdef vec a, b, odd, v, last = splat(before)
    while True:
        at = <const elem *> (x + 2 * i * item)
        for p in range(2):
            prefetch(<const char *> at + AHEAD + p * LANES * item)
            prefetch(<const char *> at + AHEAD + p * LANES * item + ld)
        a, b = term(at, OP), term(at + LANES, OP)
        for p in range(1, T0 if T0 else opaque(taps)):
            at = <const elem *> (x + 2 * i * item + p * ld)
            a = fold(a, term(at, OP), OP)
            b = fold(b, term(at + LANES, OP), OP)
        odd = every_second(a, b, 1)
        v = fold(every_second(a, b, 0), odd, LINE_OP)
        if T1 == 3:
            v = fold(v, one_later(last, odd), LINE_OP)
            last = odd
        if FLOATING and OP == SUM:
            v = v * splat(factor) if factor != 0 else v / splat(over)
        store(out + i, v)
        i += LANES
        if i >= n:
            return
        if i > n - LANES:
            i = n - LANES
            if T1 == 3:
                last = splat(one(x + (2 * i - 1) * item, ld, taps, 0, 1, OP))


# --- ways: the tiles that a window's shape asks for -------------------------------------------------------

cdef inline void down(elem *line, const char *x, Py_ssize_t ld, Py_ssize_t taps, Py_ssize_t n,
                      const int OP) noexcept nogil:
    """A column of rows becomes a line of n."""
    cdef Py_ssize_t i, origin = 0
    if n < LANES:
        for i in range(n):
            line[i] = one(x + i * <Py_ssize_t> sizeof(elem), ld, taps, 0, 1, OP)
    elif taps == 2:
        tiles(line, x, ld, taps, &origin, 1, 0, n, 2, 1, OP)
    elif taps == 3:
        tiles(line, x, ld, taps, &origin, 1, 0, n, 3, 1, OP)
    else:
        tiles(line, x, ld, taps, &origin, 1, 0, n, 0, 1, OP)


cdef inline void down_by_phase(elem *even, elem *odd, const char *x, Py_ssize_t ld, Py_ssize_t taps, Py_ssize_t n,
                               const int OP) noexcept nogil:
    """A column of rows becomes two lines, the even columns and the odd ones; the last vectors overlap."""
    cdef Py_ssize_t i = 0, item = sizeof(elem)
    cdef const elem *row = <const elem *> x
    if n < 2 * LANES and taps == 1 and OP != SQUARES:       # nothing but sorted
        for i in range(n // 2):
            even[i] = row[2 * i]
            odd[i] = row[2 * i + 1]
        if n % 2:
            even[n // 2] = row[n - 1]
        return
    if n < 2 * LANES:
        for i in range(n):
            (odd if i % 2 else even)[i // 2] = one(x + i * item, ld, taps, 0, 1, OP)
        return
    while i < n:
        i = min(i, n - 2 * LANES)
        if i % 2:
            split_tile(odd + i // 2, even + i // 2 + 1, x + i * item, ld, taps, OP)
        else:
            split_tile(even + i // 2, odd + i // 2, x + i * item, ld, taps, OP)
        i += 2 * LANES


cdef inline void across(elem *out, const elem *line, const Py_ssize_t *offset, Py_ssize_t taps, elem over,
                        Py_ssize_t n, const int OP) noexcept nogil:
    """The columns of a line, n >= L; sums are divided by `over` where it is not 0."""
    if taps == 2:
        tiles(out, <const char *> line, 0, 1, offset, taps, over, n, 1, 2, OP)
    elif taps == 3:
        tiles(out, <const char *> line, 0, 1, offset, taps, over, n, 1, 3, OP)
    else:
        tiles(out, <const char *> line, 0, 1, offset, taps, over, n, 1, 0, OP)


cdef inline void both(elem *out, const char *x, Py_ssize_t ld, Py_ssize_t taps0, const Py_ssize_t *offset,
                      Py_ssize_t taps1, elem over, Py_ssize_t n, const int OP) noexcept nogil:
    """Rows and columns at once, n >= L; sums are divided by `over` where it is not 0."""
    if taps0 == 2 and taps1 == 2:
        tiles(out, x, ld, taps0, offset, taps1, over, n, 2, 2, OP)
    elif taps0 == 3 and taps1 == 3:
        tiles(out, x, ld, taps0, offset, taps1, over, n, 3, 3, OP)
    else:
        tiles(out, x, ld, taps0, offset, taps1, over, n, 0, 0, OP)


cdef inline void pairs(elem *out, const char *x, Py_ssize_t ld, Py_ssize_t taps, Py_ssize_t kernel, bint padded,
                       Py_ssize_t n, elem over, elem factor, const int OP) noexcept nogil:
    """Rows, and with stride 2 two or three columns, which one column of padding may precede."""
    cdef elem before = nothing(OP)
    cdef Py_ssize_t j
    if taps == 0:
        for j in range(n):
            out[j] = before
    elif kernel == 2:
        if taps == 2:
            pair_tiles(out, x, ld, taps, before, n, over, factor, 2, 2, OP)
        else:
            pair_tiles(out, x, ld, taps, before, n, over, factor, 0, 2, OP)
    else:
        if not padded:
            before = one(x, ld, taps, 0, 1, OP)
            x += sizeof(elem)
        if taps == 3:
            pair_tiles(out, x, ld, taps, before, n, over, factor, 3, 3, OP)
        else:
            pair_tiles(out, x, ld, taps, before, n, over, factor, 0, 3, OP)


# --- parcels of the output ------------------------------------------------------------------------------

cdef struct Parcel:
    Py_ssize_t row, end         # of all planes' rows
    Py_ssize_t j0, j1, n        # columns, and their elements
    Py_ssize_t t0               # the line's first column; before the first of x in the padding
    Py_ssize_t low, high        # of the line, columns low .. high-1 lie inside


cdef inline Parcel parcel_at(const Job *job, Py_ssize_t number) noexcept nogil:
    cdef Parcel p
    cdef Window end
    cdef Py_ssize_t columns, taps
    p.row = number // job.blocks * job.grain
    p.end = min(p.row + job.grain, job.planes * job.rows.output)
    p.j0 = number % job.blocks * job.columns.output // job.blocks
    p.j1 = (number % job.blocks + 1) * job.columns.output // job.blocks
    p.n = (p.j1 - p.j0) * job.group
    p.t0 = place(&job.columns, p.j0).begin
    end = place(&job.columns, p.j1 - 1)
    taps = end.taps if job.columns.stride == 0 else job.columns.kernel
    columns = end.begin - p.t0 + (taps - 1) * job.columns.step + 1
    p.low = max(-p.t0, 0)
    p.high = max(min(columns, job.columns.size - p.t0), p.low)
    return p


cdef inline const char *x_plane(const Job *job, Py_ssize_t plane, const Parcel *p) noexcept nogil:
    return (job.x + plane // job.batch * job.xb0 + plane % job.batch * job.xb1
            + (p.t0 + p.low) * job.group * <Py_ssize_t> sizeof(elem))


cdef inline elem *out_row(const Job *job, Py_ssize_t plane, Py_ssize_t i, const Parcel *p) noexcept nogil:
    return (<elem *> (job.out + plane // job.batch * job.ob0 + plane % job.batch * job.ob1 + i * job.orow)
            + p.j0 * job.group)


cdef void finish(elem *out, const elem *sums, const elem *counts, elem height, elem factor, Py_ssize_t n, bint divided,
                 bint rooted) noexcept nogil:
    """A row that was staged: as it is, as averages over height * counts[e] (or by a factor), or as roots."""
    cdef Py_ssize_t e = 0
    if FLOATING and divided and factor != 0:
        for e in range(n):
            out[e] = sums[e] * factor
    elif FLOATING and divided:
        if n >= LANES:
            while e < n:
                e = min(e, n - LANES)
                store(out + e, load(sums + e) / (splat(height) * load(counts + e)))
                e += LANES
        else:
            for e in range(n):
                out[e] = sums[e] / (height * counts[e])
    elif FLOATING and rooted:
        for e in range(n):
            out[e] = <elem> sqrt(sums[e])
    else:
        for e in range(n):
            out[e] = sums[e]


cdef inline void pool_parcel(const Job *job, Py_ssize_t number, char *scratch, const int OP) noexcept nogil:
    cdef Parcel p = parcel_at(job, number)
    cdef Py_ssize_t plane = p.row // job.rows.output, i = p.row % job.rows.output, until, last = p.j1, j, e
    cdef Py_ssize_t ld = job.rows.step * job.xr, item = sizeof(elem), width = job.group
    cdef int LINE_OP = SUM if OP == SQUARES else OP
    cdef bint divided = FLOATING and OP == SUM and job.finish != PLAIN
    cdef bint rooted = FLOATING and OP == SQUARES and job.finish == ROOT
    cdef bint staged = not job.wide and (p.n < LANES or divided and not (job.paired and job.over != 0))
    cdef elem factor = 1 if staged else job.factor
    cdef Window row, column
    cdef elem height = 0, over = job.over if job.paired and not staged else 0
    cdef const char *x
    cdef const char *at
    cdef const char *columns
    cdef elem *line = <elem *> scratch
    cdef elem *even = line + p.low // 2
    cdef elem *odd = even + job.ld
    cdef elem *counts = <elem *> (scratch + job.numbers_at)
    cdef elem *out
    cdef elem *to
    column.taps = job.columns.kernel
    if job.lined:               # all columns at once
        width, last = max(p.n, LANES), p.j0 + 1
        for e in range(job.lines * job.ld):
            line[e] = nothing(LINE_OP)
        line += p.low * job.group
        if p.low % 2:
            even, odd = odd, even + 1
    if staged and divided:
        for e in range(p.n):
            counts[e] = <elem> count(&job.columns, job.finish, p.j0 + e // job.group)

    while p.row < p.end:
        x = x_plane(job, plane, &p)
        until = min(job.rows.output, i + p.end - p.row)
        p.row += until - i
        for i in range(i, until):
            row = place(&job.rows, i)
            at = columns = x + row.first * job.xr
            out = out_row(job, plane, i, &p)
            to = <elem *> (scratch + job.staging_at) if staged else out
            if divided:
                height = job.number if job.finish == OVER_NUMBER else <elem> count(&job.rows, job.finish, i)
            if job.paired:
                pairs(to, at, ld, row.taps, job.columns.kernel, p.low > 0, p.n, over, factor, OP)
            else:
                if job.lines == 2:
                    down_by_phase(even, odd, at, ld, row.taps, p.high - p.low, OP)
                elif not job.direct:
                    down(line, at, ld, row.taps, (p.high - p.low) * job.group, OP)
                if not job.direct:
                    at = columns = scratch
                j = p.j0
                while j < last:
                    if not job.lined:
                        column = place(&job.columns, j)
                        at = columns + (column.first - p.t0 - p.low) * width * item
                        if divided:
                            over = height * <elem> count(&job.columns, job.finish, j)
                    if job.direct:
                        both(to, at, ld, row.taps, job.offset, column.taps, over, width, OP)
                    elif job.lined or job.wide:
                        across(to, <const elem *> at, job.offset, column.taps, over, width, LINE_OP)
                    elif column.taps == job.columns.kernel <= GATHERED and job.columns.stride > 0:  # up to the padding
                        e = min((job.columns.size - column.first - (column.taps - 1) * job.columns.step - 1)
                                // job.columns.stride + 1, last - j)
                        strided(to, <const elem *> at, e * width, width, job.columns.stride * width,
                                job.columns.step * width, column.taps, LINE_OP)
                        j += e
                        to += e * width
                        continue
                    else:
                        for e in range(width):
                            to[e] = one(at + e * item, 0, 1, job.columns.step * width, column.taps, LINE_OP)
                    j += 1
                    to += width
                to -= width * (last - p.j0)
            if staged or rooted:
                finish(out, to, counts, height, job.factor, p.n, divided, rooted)
        i = 0
        plane += 1


cdef inline void whole_parcel(const Job *job, Py_ssize_t number, char *scratch, const int OP) noexcept nogil:
    """Windows that are whole rows or planes: as many as a vector has lanes are reduced, then over the lanes at once."""
    cdef Parcel p = parcel_at(job, number)
    cdef Py_ssize_t row0 = p.row, rows, g, n, plane = p.row // job.rows.output, i = p.row % job.rows.output
    cdef Py_ssize_t to_plane = plane, to = i, item = sizeof(elem), vector = LANES * sizeof(elem)
    cdef int LINE_OP = SUM if OP == SQUARES else OP, e, half
    cdef bint divided = FLOATING and OP == SUM and job.finish != PLAIN
    cdef bint rooted = FLOATING and OP == SQUARES and job.finish == ROOT
    cdef Py_ssize_t left = job.batch - plane % job.batch        # planes of this batch
    cdef Window row = place(&job.rows, i)
    cdef const char *x = x_plane(job, plane, &p)
    cdef const char *at
    cdef elem *out = out_row(job, plane, i, &p)
    cdef elem sums[LANES]
    cdef elem heights[LANES]
    cdef elem width = <elem> count(&job.columns, job.finish, 0) if divided else 1, height = 1
    cdef integer masks[2 * LANES]
    cdef vec v[LANES]
    if divided:
        height = job.number if job.finish == OVER_NUMBER else <elem> count(&job.rows, job.finish, i)
    for e in range(LANES):
        masks[e], masks[e + LANES], heights[e] = -1, 0, height
        v[e] = splat(nothing(OP))
    while row0 < p.end:
        rows = min(<Py_ssize_t> LANES, p.end - row0)
        for g in range(rows):
            at = x + row.first * job.xr
            n = row.taps * job.columns.size
            v[g] = whole_plane(<const elem *> at, n, masks, at + n * item + vector <= job.x_end, OP)
            heights[g] = height
            i += 1
            if i == job.rows.output:
                i = 0
                plane += 1
                left -= 1
                x += job.xb1
                if left == 0:
                    left = job.batch
                    x = x_plane(job, plane, &p)
            if job.rows.output > 1:
                row = place(&job.rows, i)
                if divided and job.finish != OVER_NUMBER:
                    height = <elem> count(&job.rows, job.finish, i)
        if TURNS:
            transpose(v)
            half = LANES // 2
            while half > 0:
                for e in range(half):
                    v[e] = fold(v[e], v[e + half], LINE_OP)
                half //= 2
            store(sums, v[0])
        else:
            for g in range(rows):
                sums[g] = over_lanes(v[g], LINE_OP)
        if job.gapless:
            finish(out, sums, heights, width, job.factor, rows, divided, rooted)
            out += rows
        for g in range(0 if job.gapless else rows):
            finish(out_row(job, to_plane, to, &p), sums + g, heights + g, width, job.factor, 1, divided, rooted)
            to += 1
            if to == job.rows.output:
                to = 0
                to_plane += 1
        row0 += rows


cdef inline void turned_parcel(const Job *job, Py_ssize_t number, char *scratch, const int OP) noexcept nogil:
    """Small planes: as many as a vector has lanes are turned and reduced at once, in the order of a single one."""
    cdef Py_ssize_t chunks = (job.to.channels + LANES - 1) // LANES, n = number // chunks, c = number % chunks * LANES
    cdef Py_ssize_t C = min(<Py_ssize_t> LANES, job.to.channels - c), width = job.columns.size, i, j, e
    cdef Py_ssize_t ld = job.rows.step * width * LANES * <Py_ssize_t> sizeof(elem), size = job.rows.size * width
    cdef bint divided = FLOATING and OP == SUM and job.finish != PLAIN
    cdef elem *x = <elem *> scratch
    cdef elem *line = x + size * LANES
    cdef elem *sums = line + width * LANES
    cdef elem *out = sums
    cdef elem height = 1, over = 0
    cdef int LINE_OP = SUM if OP == SQUARES else OP
    cdef Window row, column
    pack_lanes(&job.from_, n, c, C, LANES, 0, 0, job.rows.size, width, x)
    for i in range(job.rows.output):
        row = place(&job.rows, i)
        if divided:
            height = job.number if job.finish == OVER_NUMBER else <elem> count(&job.rows, job.finish, i)
        down(line, <const char *> (x + row.first * width * LANES), ld, row.taps, width * LANES, OP)
        for j in range(job.columns.output):
            column = place(&job.columns, j)
            if divided:
                over = height * <elem> count(&job.columns, job.finish, j)
            tile(out, <const char *> (line + column.first * LANES), 0, 1, job.offset, column.taps, over, 1, 1, 0,
                 LINE_OP)
            out += LANES
    if FLOATING and OP == SQUARES and job.finish == ROOT:
        for e in range(out - sums):
            sums[e] = <elem> sqrt(sums[e])
    unpack(&job.to, n, c, C, 0, 0, job.rows.output, job.columns.output, sums, LANES)


cdef inline void short_row(elem *even, elem *odd, const char *x, Py_ssize_t ld, Py_ssize_t taps, Py_ssize_t n,
                           const integer *inside, bint by_phase, bint beyond, const int OP) noexcept nogil:
    """A column of rows of n elements becomes a line, or two of them by phase; whole vectors, with nothing behind n.

    IN x, and with `beyond` what lies behind it; inside: masks of the elements   OUT even, odd
    """
    cdef Py_ssize_t i = 0, p, item = sizeof(elem)
    cdef vec a, b, none = splat(nothing(OP))
    cdef elem value
    cdef const elem *at
    if not beyond:
        for i in range(n):
            value = one(x + i * item, ld, taps, 0, 1, OP)
            if by_phase:
                (odd if i % 2 else even)[i // 2] = value
            else:
                even[i] = value
        return
    while i < n:
        a = b = none
        prefetch(x + i * item + AHEAD)
        for p in range(taps):
            at = <const elem *> (x + p * ld) + i
            a = fold(a, term(at, OP), OP)
            if by_phase:
                b = fold(b, term(at + LANES, OP), OP)
        a = pick(load_integers(inside + i), a, none)
        if by_phase:
            b = pick(load_integers(inside + i + LANES), b, none)
            store(even + i // 2, every_second(a, b, 0))
            store(odd + i // 2, every_second(a, b, 1))
            i += 2 * LANES
        else:
            store(even + i, a)
            i += LANES


cdef inline void bundle_parcel(const Job *job, Py_ssize_t number, char *scratch, const int OP) noexcept nogil:
    """Short rows: several of the output lie in the line, with nothing between them, and are reduced across at once."""
    cdef Parcel p = parcel_at(job, number)
    cdef Py_ssize_t ld = job.rows.step * job.xr, item = sizeof(elem), n = p.n, inside = p.high - p.low
    cdef Py_ssize_t row0 = p.row, rows, g, e, plane, i, to_plane, to, pitch = job.pitch_of_row
    cdef Py_ssize_t reach = up(inside, job.lines * LANES) * item
    cdef int LINE_OP = SUM if OP == SQUARES else OP
    cdef bint divided = FLOATING and OP == SUM and job.finish != PLAIN
    cdef bint rooted = FLOATING and OP == SQUARES and job.finish == ROOT
    cdef Window row
    cdef vec v
    cdef elem height = 0, factor = job.factor
    cdef const char *x
    cdef const char *at
    cdef elem *line = <elem *> scratch
    cdef elem *even = line + p.low // job.lines
    cdef elem *odd = even + job.ld
    cdef elem *sums = <elem *> (scratch + job.staging_at)
    cdef elem *counts = <elem *> (scratch + job.numbers_at)
    cdef integer *masks = <integer *> (counts + up(n, LANES))
    cdef elem *out
    if job.lines == 2 and p.low % 2:
        even, odd = odd, even + 1
    for e in range(job.lines * job.ld):
        line[e] = nothing(LINE_OP)
    for e in range(up(n, LANES)):
        counts[e] = <elem> count(&job.columns, job.finish, min(e, n - 1)) if divided else 1
    for e in range(reach // item):
        masks[e] = -1 if e < inside else 0
    plane, i = p.row // job.rows.output, p.row % job.rows.output
    x = x_plane(job, plane, &p)
    while row0 < p.end:
        rows = min(job.bundle, p.end - row0)
        to_plane, to = plane, i
        for g in range(rows):
            row = place(&job.rows, i)
            at = x + row.first * job.xr
            short_row(even + g * pitch, odd + g * pitch, at, ld, row.taps, inside, masks, job.lines == 2,
                      at + (row.taps - 1) * ld + reach <= job.x_end and at + reach <= job.x_end, OP)
            i += 1
            if i == job.rows.output:
                i = 0
                plane += 1
                x = x_plane(job, plane, &p)
        across(sums, line, job.offset, job.columns.kernel, 0, max((rows - 1) * pitch + n, LANES), LINE_OP)
        out = out_row(job, to_plane, to, &p)
        for g in range(rows):
            if divided:
                height = job.number if job.finish == OVER_NUMBER else <elem> count(&job.rows, job.finish, to)
            if rooted or not job.gapless or (p.end - row0 - g) * n < up(n, LANES):
                finish(out, sums + g * pitch, counts, height, job.factor, n, divided, rooted)
            else:                                   # into the next row, which comes after
                e = 0
                while e < n:
                    v = load(sums + g * pitch + e)
                    if divided and factor != 0:
                        v = v * splat(factor)
                    elif divided:
                        v = v / (splat(height) * load(counts + e))
                    store(out + e, v)
                    e += LANES
            to += 1
            out = <elem *> (<char *> out + job.orow)
            if to == job.rows.output:
                to = 0
                to_plane += 1
                out = out_row(job, to_plane, to, &p)
        row0 += rows


# --- with indices ---------------------------------------------------------------------------------------
#
# Taps are compared row by row, so that of equals the first is kept, and of several NaN the last. An index is
# counted in lanes beside the values; it fits them, or _plan/pools.py takes a wider type.

cdef inline void index_tile(elem *out, int64_t *index, const char *x, Py_ssize_t ld, Py_ssize_t taps0,
                            const Py_ssize_t *offset, Py_ssize_t taps1, mask begin, mask best, integer below_it,
                            integer right, Py_ssize_t n, const int OP) noexcept nogil:
    """out[0 : n], index[0 : n], n <= L   IN x, `begin` the first tap's index, `best` that where none wins."""
    cdef vec a = splat(nothing(OP)), v
    cdef mask at, better
    cdef elem values[LANES]
    cdef integer found[LANES]
    cdef Py_ssize_t p, q, e
    for p in range(opaque(taps0)):
        at = begin
        for q in range(opaque(taps1)):
            v = load(<const elem *> (x + p * ld) + offset[q])
            better = above(a, v) if OP == MAX else below(a, v)
            a = pick(better, v, a)
            best = choose(better, at, best)
            at = at + integers(right)
        begin = begin + integers(below_it)
    store_integers(found, best)
    if n == LANES:
        store(out, a)
        for e in range(LANES):
            index[e] = found[e]
    else:
        store(values, a)
        for e in range(n):
            out[e] = values[e]
            index[e] = found[e]


cdef inline void index_one(elem *out, int64_t *index, const char *x, Py_ssize_t ld, Py_ssize_t taps0, Py_ssize_t step,
                           Py_ssize_t taps1, int64_t begin, Py_ssize_t below_it, Py_ssize_t right,
                           const int OP) noexcept nogil:
    """The same for a single element, columns being `step` apart."""
    cdef Py_ssize_t p, q
    cdef elem a = nothing(OP), v
    index[0] = begin
    for p in range(taps0):
        for q in range(taps1):
            v = (<const elem *> (x + p * ld))[q * step]
            if v != v or (v > a if OP == MAX else v < a):
                a = v
                index[0] = begin + p * below_it + q * right
    out[0] = a


cdef inline void index_parcel(const Job *job, Py_ssize_t number, char *scratch, const int OP) noexcept nogil:
    cdef Parcel p = parcel_at(job, number)
    cdef Py_ssize_t plane = p.row // job.rows.output, i = p.row % job.rows.output, until, j, e, k
    cdef Py_ssize_t ld = job.rows.step * job.xr, item = sizeof(elem), pixel = job.group * item
    cdef Py_ssize_t line_ld = job.lines * job.ld, right = job.columns.step, below_it = job.rows.step * job.pitch, begin
    cdef Window row, column
    cdef const char *x
    cdef const char *at
    cdef const char *x_row
    cdef elem *line = <elem *> scratch
    cdef elem *out
    cdef int64_t *index
    cdef integer *begins = <integer *> (scratch + job.numbers_at)       # columns of the windows' first taps
    cdef integer *firsts = begins + up(p.n, LANES)                      # and of the first that are inside
    cdef elem *even = line + p.low // 2
    cdef elem *odd = even + job.ld
    if job.lined:
        for e in range(job.rows.kernel * line_ld):
            line[e] = nothing(OP)
        line += p.low * job.group
        if p.low % 2:
            even, odd = odd, even + 1
        for e in range(up(p.n, LANES)):
            column = place(&job.columns, min(p.j0 + e // job.group, p.j1 - 1))
            begins[e], firsts[e] = <integer> column.begin, <integer> column.first

    while p.row < p.end:
        x = x_plane(job, plane, &p)
        until = min(job.rows.output, i + p.end - p.row)
        p.row += until - i
        for i in range(i, until):
            row = place(&job.rows, i)
            at = x + row.first * job.xr
            out = out_row(job, plane, i, &p)
            index = (<int64_t *> (job.index + plane // job.batch * job.ib0 + plane % job.batch * job.ib1 + i * job.ir)
                     + p.j0 * job.group)
            begin = row.first * job.pitch
            if job.lined:
                for k in range(row.taps):
                    if job.lines == 2:
                        down_by_phase(even + k * line_ld, odd + k * line_ld, at + k * ld, 0, 1, p.high - p.low, OP)
                    else:
                        memcpy(line + k * line_ld, at + k * ld, (p.high - p.low) * pixel)
                e = 0
                while e < p.n:
                    index_tile(out + e, index + e, scratch + e * item, line_ld * item, row.taps, job.offset,
                               job.columns.kernel, load_integers(begins + e) + integers(<integer> begin),
                               load_integers(firsts + e) + integers(<integer> begin), <integer> below_it,
                               <integer> right, min(p.n - e, LANES), OP)
                    e += LANES
                continue
            x_row = at
            for j in range(p.j0, p.j1):
                column = place(&job.columns, j)
                at = x_row + (column.first - p.t0 - p.low) * pixel
                k = begin + column.first
                e = 0
                while e < job.group:
                    if job.wide:
                        e = min(e, job.group - LANES)
                        index_tile(out + e, index + e, at + e * item, ld, row.taps, job.offset, column.taps,
                                   integers(<integer> k), integers(<integer> k), <integer> below_it, <integer> right,
                                   LANES, OP)
                        e += LANES
                    elif (at + e * item + (row.taps - 1) * ld + (job.offset[column.taps - 1] + LANES) * item
                          <= job.x_end and at + (e + LANES) * item <= job.x_end):
                        index_tile(out + e, index + e, at + e * item, ld, row.taps, job.offset, column.taps,
                                   integers(<integer> k), integers(<integer> k), <integer> below_it, <integer> right,
                                   min(job.group - e, LANES), OP)
                        e += LANES
                    else:
                        index_one(out + e, index + e, at + e * item, ld, row.taps, right * job.group, column.taps, k,
                                  below_it, right, OP)
                        e += 1
                out += job.group
                index += job.group
        i = 0
        plane += 1


# --- jobs -----------------------------------------------------------------------------------------------

cdef inline bint summed() noexcept nogil:
    """Whether this type is ever summed: of the integers one is, the widest."""
    return FLOATING or (sizeof(elem) == 8 and <elem> -1 > 0)


cdef inline bint indexed() noexcept nogil:
    """Whether its lanes hold indices."""
    return sizeof(elem) >= 4


cdef void max_parcel(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    pool_parcel(job, number, scratch, MAX)


cdef void min_parcel(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    pool_parcel(job, number, scratch, MIN)


cdef void sum_parcel(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if summed():
        pool_parcel(job, number, scratch, SUM)


cdef void squares_parcel(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if FLOATING:
        pool_parcel(job, number, scratch, SQUARES)


cdef void max_whole(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    whole_parcel(job, number, scratch, MAX)


cdef void min_whole(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    whole_parcel(job, number, scratch, MIN)


cdef void sum_whole(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if summed():
        whole_parcel(job, number, scratch, SUM)


cdef void squares_whole(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if FLOATING:
        whole_parcel(job, number, scratch, SQUARES)


cdef void max_bundle(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    bundle_parcel(job, number, scratch, MAX)


cdef void min_bundle(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    bundle_parcel(job, number, scratch, MIN)


cdef void sum_bundle(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if summed():
        bundle_parcel(job, number, scratch, SUM)


cdef void squares_bundle(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if FLOATING:
        bundle_parcel(job, number, scratch, SQUARES)


cdef void max_turned(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if TURNS:
        turned_parcel(job, number, scratch, MAX)


cdef void min_turned(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if TURNS:
        turned_parcel(job, number, scratch, MIN)


cdef void sum_turned(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if TURNS and summed():
        turned_parcel(job, number, scratch, SUM)


cdef void squares_turned(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if TURNS and FLOATING:
        turned_parcel(job, number, scratch, SQUARES)


cdef void max_index_parcel(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if indexed():
        index_parcel(job, number, scratch, MAX)


cdef void min_index_parcel(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    if indexed():
        index_parcel(job, number, scratch, MIN)


cdef inline Work work_of(const Job *job, int op) noexcept nogil:
    if job.index != NULL:
        return max_index_parcel if op == MAX else min_index_parcel
    if job.whole:
        return max_whole if op == MAX else min_whole if op == MIN else sum_whole if op == SUM else squares_whole
    if job.turned:
        return max_turned if op == MAX else min_turned if op == MIN else sum_turned if op == SUM else squares_turned
    if job.bundle > 0:
        return max_bundle if op == MAX else min_bundle if op == MIN else sum_bundle if op == SUM else squares_bundle
    return max_parcel if op == MAX else min_parcel if op == MIN else sum_parcel if op == SUM else squares_parcel


cdef inline bint sees_all(const Axis *axis) noexcept nogil:
    """Whether there is one window, and all of the axis in it."""
    return axis.output == 1 and (axis.stride == 0 or (axis.step == 1 and axis.start <= 0
                                                      and axis.start + axis.kernel >= axis.size))


cdef void divisor(Job *job) noexcept nogil:
    """Job's `over` and `factor`."""
    cdef int exponent
    job.over, job.factor = 1, 1
    if not FLOATING or not OVER_TAPS <= job.finish <= OVER_NUMBER:
        return
    if job.finish == OVER_NUMBER:
        job.over = job.number
    elif complete(&job.rows, job.finish) and complete(&job.columns, job.finish):
        job.over = <elem> (job.rows.kernel * job.columns.kernel)
    else:
        job.over = 0
    job.factor = 1 / job.over if job.over >= 1 and frexp(job.over, &exponent) == 0.5 else 0


cdef bint complete(const Axis *axis, int finish) noexcept nogil:
    """Whether all windows count alike: the first and the last are the shortest."""
    return (axis.stride != 0 and count(axis, finish, 0) == axis.kernel
            and count(axis, finish, axis.output - 1) == axis.kernel)


cdef inline Py_ssize_t turned_elements(const Axis *rows, const Axis *columns) noexcept nogil:
    """Of a plane in scratch memory, with a line and its output."""
    return (rows.size + 1) * columns.size + rows.output * columns.output


cdef bint lay_out(Job *job, int workers) noexcept nogil:
    """Chooses the way, the parcels, and the scratch memory they need. False: out of memory."""
    cdef const Axis *rows = &job.rows
    cdef const Axis *columns = &job.columns
    cdef Py_ssize_t span = (columns.kernel - 1) * columns.step + 1, stride = columns.stride, item = sizeof(elem)
    cdef Py_ssize_t held = rows.kernel if job.index != NULL else 1, q, t
    if stride == 0:
        stride = max(columns.size // columns.output, 1)
    job.wide = job.group >= LANES
    job.direct = job.wide or job.index != NULL
    if job.wide and job.index == NULL:
        job.direct = rows.kernel * columns.kernel <= stride * (rows.kernel + 1) + columns.kernel
    job.lined = not job.wide and (columns.stride == 1 or (columns.stride == 2 and job.group == 1))
    job.lines = 2 if job.lined and columns.stride == 2 else 1
    job.paired = (job.lines == 2 and job.index == NULL and columns.step == 1 and columns.output >= LANES
                  and (columns.kernel == 2 or columns.kernel == 3)
                  and 2 - columns.kernel <= columns.start <= 0
                  and columns.start + 2 * (columns.output - 1) + columns.kernel <= columns.size)
    job.whole = (job.group == 1 and job.index == NULL and sees_all(columns)
                 and (rows.kernel == 1 or (sees_all(rows) and job.xr == columns.size * item)))

    job.turned = (TURNS and job.group == 1 and job.index == NULL and not job.lined and not job.whole
                  and 2 * job.planes >= LANES
                  and turned_elements(rows, columns) * LANES * item <= TURNED_BYTES)

    job.gapless = (job.orow == columns.output * job.group * item and job.ob1 == rows.output * job.orow
                   and (job.planes == job.batch or job.ob0 == job.batch * job.ob1))
    job.x_end = (job.x + max(job.planes // job.batch - 1, 0) * max(job.xb0, 0) + (job.batch - 1) * max(job.xb1, 0)
                 + (rows.size - 1) * max(job.xr, 0) + columns.size * job.group * item)
    job.bundle = 0
    if (job.lined and job.group == 1 and job.index == NULL and not job.paired and not job.whole
            and columns.output < 2 * LANES):
        job.pitch_of_row = ((columns.output - 1) * stride + span - 1) // job.lines + 1
        job.bundle = LINE_BYTES // (item * job.lines * job.pitch_of_row)
        job.bundle = min(max(job.bundle, 1), job.planes * rows.output)

    divisor(job)
    job.block = columns.output
    if job.bundle == 0 and (job.lined or not job.direct):   # what lies between two blocks is done twice
        job.block = min(max(LINE_BYTES // (item * job.group * stride * held), 2 * span // stride, 2 * LANES), job.block)
    job.blocks = (columns.output + job.block - 1) // job.block
    if job.bundle > 0:
        job.ld = up(job.bundle * job.pitch_of_row, LANES) + 2 * LANES
    elif job.lined:
        job.ld = up(job.block * job.group, LANES) + up(span * job.group, LANES)
    else:
        job.ld = min(columns.size, (job.block - 1) * stride + span + job.block) * job.group
    t = job.planes * rows.output
    if job.wide and t < FEWEST * workers:           # a row is for more than one thread
        job.block = max(1, min(job.block, columns.output * t // (FEWEST * workers)))
        job.blocks = (columns.output + job.block - 1) // job.block
    q = max(columns.size // job.blocks * job.group * max(rows.size // rows.output, 1), 1)
    job.grain = max(1, min(GRAIN // q, t // (FEWEST * workers)))
    job.parcels = (t + job.grain - 1) // job.grain * job.blocks

    if job.turned:
        job.from_.at, job.to.at = <char *> job.x, job.out
        job.from_.n = job.to.n = job.planes // job.batch
        job.from_.channels = job.to.channels = job.batch
        if job.planes == job.batch or job.xb0 == job.batch * job.xb1 and job.ob0 == job.batch * job.ob1:
            job.from_.n = job.to.n = 1              # a batch is so many planes more
            job.from_.channels = job.to.channels = job.planes
        job.from_.height, job.to.height = rows.size, rows.output
        job.from_.width, job.to.width = columns.size, columns.output
        job.from_.sn, job.from_.sc, job.from_.sh, job.from_.sw = job.xb0, job.xb1, job.xr, item
        job.to.sn, job.to.sc, job.to.sh, job.to.sw = job.ob0, job.ob1, job.orow, item
        job.parcels = job.to.n * ((job.to.channels + LANES - 1) // LANES)

    job.staging_at = up((held * job.lines * job.ld if job.lined or not job.direct else 0) * item, CACHE_LINE)
    job.numbers_at = job.staging_at
    job.scratch_bytes = job.numbers_at
    if not job.wide:        # the numbers are indices, or counts that divide
        q = up(max(job.block * job.group, job.bundle * job.pitch_of_row), LANES) + (4 * LANES if job.bundle > 0 else 0)
        job.numbers_at = job.staging_at + up(q * item, CACHE_LINE)
        job.scratch_bytes = job.numbers_at + up(2 * q * max(item, <Py_ssize_t> sizeof(integer)), CACHE_LINE)

    if job.turned:
        job.scratch_bytes = turned_elements(rows, columns) * LANES * item

    job.offset = <Py_ssize_t *> malloc(columns.kernel * sizeof(Py_ssize_t))
    if job.offset == NULL:
        return False
    for q in range(columns.kernel):
        t = q * columns.step
        job.offset[q] = t % 2 * job.ld + t // 2 if job.lines == 2 else t * (LANES if job.turned else job.group)
    return True


cdef void run(const Job *job, Work work, Py_ssize_t first, Py_ssize_t last, int workers,
              char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:                                # not even a team of one: OpenMP stays asleep
        for i in range(first, last):
            work(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="static"):
            work(job, i, scratch + threadid() * job.scratch_bytes)


cdef int perform(Job *job, int op, int workers) except -1:
    """All of it but the layout, which is chosen here."""
    cdef Py_ssize_t work = job.planes * job.rows.output * job.columns.output * job.group, done = 0, leap, end
    cdef Py_ssize_t read = job.planes * job.rows.size * job.columns.size * job.group
    cdef char *memory = NULL
    cdef char *scratch
    cdef Work todo
    if work == 0:
        return 0
    if sees_all(&job.columns):
        work *= job.rows.kernel * job.columns.kernel
    else:                                           # rows first, then columns
        work *= job.rows.kernel + job.columns.kernel
    work = max(work, read)                          # few taps of windows far apart are no less trouble
    workers = <int> max(1, min(<Py_ssize_t> workers, work // SHARE))
    try:
        if not lay_out(job, workers):
            raise MemoryError("fastconv: no memory to lay out the work")
        todo = work_of(job, op)
        workers = <int> min(<Py_ssize_t> workers, job.parcels)
        memory = <char *> malloc(workers * job.scratch_bytes + CACHE_LINE)
        if memory == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
        scratch = aligned(memory)
        leap = workers * max(1, STEP // max(1, work // job.parcels * min(job.rows.kernel, job.columns.kernel)))
        while done < job.parcels:
            end = min(job.parcels, done + leap)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                run(job, todo, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
    finally:
        free(memory)
        free(job.offset)
    return 0


def pool(cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray index, int op, rows, columns,
         Py_ssize_t group, Py_ssize_t pitch, int finish, number, int workers):
    """Pool every plane of x.

    x : (M, N, H, ...), aligned, native, in rows of columns.size * group elements that are neighbours   IN
    out : (M, N, rows.output, ...), likewise, in rows of columns.output * group; not overlapping x   OUT
    index : int64, as out, or None: where max or min was found, pitch * row + column   OUT
    op : 0 max, 1 min, 2 sum, 3 sum of squares
    rows, columns : the windows along each axis, `_plan.pools.Windows`; for max and min each has a tap inside
    group : channels that interleave in a row
    finish, number : 0 nothing; a sum divided 1 by its taps, 2 by those in the padding, too, 3 by a number; 4 a root
    workers : threads at most
    """
    cdef Job job
    job.rows, job.columns = axis_of(rows), axis_of(columns)
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    job.batch = x.shape[1]
    job.planes = x.shape[0] * job.batch
    job.xb0, job.xb1, job.xr = x.strides[0], x.strides[1], x.strides[2]
    job.ob0, job.ob1, job.orow = out.strides[0], out.strides[1], out.strides[2]
    job.index = NULL
    if index is not None:
        job.index = <char *> cnp.PyArray_DATA(index)
        job.ib0, job.ib1, job.ir = index.strides[0], index.strides[1], index.strides[2]
    job.group, job.pitch, job.finish, job.number = group, pitch, finish, <elem> number
    perform(&job, op, workers)


cdef int contiguous(const char *x, char *out, char *index, int op, const Axis *rows, const Axis *columns,
                    Py_ssize_t planes, Py_ssize_t group, Py_ssize_t pitch, int finish, int workers) except -1:
    """The same for planes that follow one another."""
    cdef Job job
    cdef Py_ssize_t item = sizeof(elem)
    job.rows, job.columns = rows[0], columns[0]
    job.x, job.out, job.index = x, out, index
    job.planes = job.batch = planes
    job.xr, job.orow, job.ir = columns.size * group * item, columns.output * group * item, columns.output * group * 8
    job.xb1, job.ob1, job.ib1 = rows.size * job.xr, rows.output * job.orow, rows.output * job.ir
    job.xb0 = job.ob0 = job.ib0 = 0
    job.group, job.pitch, job.finish, job.number = group, pitch, finish, 0
    return perform(&job, op, workers)


quick_call = PyCapsule_New(<void *> contiguous, "fastconv.quick_pool", NULL)    # for _quick.pyx
