# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Weighted sums of neighbours, as scipy.ndimage.correlate: only the weights that are there.

    out[o, i, j] = sum_t w[t] X[o + start + shift[t], i + row[t], j + column[t] group]

X is the array continued by a boundary on each axis, o and shift are indices of any number of outer axes, i and j
row and column. The terms are added up in the order they are given in; in float64 no product is fused with its
sum, so that the sums are SciPy's, bit for bit, and what is cut off to whole numbers is the same. A weight that is
not there is not multiplied: a NaN under it does not show.

The output is cut into strips of planes, shared among the threads, which go down a strip a few rows at a time. What
they see of each input plane is read in place where it lies inside, and packed with the boundary in it where not
(frame.pxd). In a strip a tile is W vectors of one row: every term costs W loads, a broadcast, and an address that is
looked up. How the output is cut does not change any sum.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memmove

from fastconv import _machine

from .boundary cimport NOWHERE, source
from .frame cimport Frame, Span, pack, plain, row_of, span
from .numbers cimport OWN, put
from .scratch cimport up
from .tiles cimport INTEGER, LANES, acc_t, elem, load, madd, mul_add, opaque, splat, store, tap_t, zero

cdef enum:
    MAX_OUTER = 64              # axes
    WIDE = 8                    # vectors of a tile: as many sums under way as the adders take steps
    HALF = 4                    # and of those that take what is left of a row
    PAIR = 2
    CACHE = 1 << 18             # bytes of packed rows: they stay in L2
    TALL = 256                  # rows of a strip
    ROWS = 16                   # that go down a strip together
    FEW = 16                    # rows of a window that are read in place: more of them could meet in the cache
    STEP = 1 << 29              # terms of each thread between two looks for Ctrl-C
    SHARE = 1 << 17             # terms below which another thread is not worth waking
    PAGE = 64                   # scratch areas start on a cache line

cdef struct Term:
    Py_ssize_t plane            # which of the planes
    Py_ssize_t row, column      # in elements
    elem w

cdef struct Job:
    Frame frame
    const char *x
    char *out
    Py_ssize_t rows, columns
    Py_ssize_t os0, os1         # strides in bytes
    int out_type
    int outer
    Py_ssize_t n[MAX_OUTER]     # the outer axes: sizes, strides, boundaries
    Py_ssize_t xs[MAX_OUTER]
    Py_ssize_t os[MAX_OUTER]
    int boundary[MAX_OUTER]
    const Py_ssize_t *shifts    # [planes, outer]: where a plane lies, seen from that of the output
    Py_ssize_t planes
    Term *terms
    Py_ssize_t count
    Py_ssize_t start0, start1   # of the windows, and how much longer than 1 they are
    Py_ssize_t above, beside
    bint pack, stage            # nothing can read x, write out, in place
    Py_ssize_t height, width    # of a strip of the output
    Py_ssize_t strips_down, strips_across
    Py_ssize_t step             # rows at a time
    # where the parts of a thread's scratch memory start, in bytes
    Py_ssize_t at_at, found_at, packed_at, staging_at, scratch_bytes
    Py_ssize_t slot             # elements of a packed plane's rows


# --- sums -----------------------------------------------------------------------------------------------

cdef inline void tile(elem *out, const elem *const *at, Py_ssize_t i, const Term *terms, Py_ssize_t count,
                      const int C) noexcept nogil:
    """C vectors   IN at[count]: where the terms of element 0 are   OUT out[i : i + L C]."""
    cdef acc_t acc[WIDE]
    cdef tap_t w
    cdef const elem *x
    cdef Py_ssize_t t
    cdef int c
    for c in range(C):
        acc[c] = zero()
    for t in range(opaque(count)):
        w = splat(terms[t].w)
        x = at[t] + i
        for c in range(C):
            if not INTEGER and sizeof(elem) == 8:
                acc[c] = mul_add(acc[c], load(x + c * LANES), w)
            else:
                acc[c] = madd(acc[c], load(x + c * LANES), w)
    for c in range(C):
        store(out + c * LANES, acc[c])


cdef void sums(elem *out, Py_ssize_t ldo, const elem *const *at, Py_ssize_t ld, const Term *terms,
               Py_ssize_t count, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """out[rows, n], n >= L; the last vector overlaps its neighbour."""
    cdef Py_ssize_t i = 0, r
    while n - i >= WIDE * LANES:
        for r in range(rows):
            tile(out + r * ldo + i, at, r * ld + i, terms, count, WIDE)
        i += WIDE * LANES
    if n - i >= HALF * LANES:
        for r in range(rows):
            tile(out + r * ldo + i, at, r * ld + i, terms, count, HALF)
        i += HALF * LANES
    if n - i >= PAIR * LANES:
        for r in range(rows):
            tile(out + r * ldo + i, at, r * ld + i, terms, count, PAIR)
        i += PAIR * LANES
    while i < n:
        i = min(i, n - LANES)
        for r in range(rows):
            tile(out + r * ldo + i, at, r * ld + i, terms, count, 1)
        i += LANES


# --- a strip --------------------------------------------------------------------------------------------

cdef void strip(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Strip `number` of the planes of the output."""
    cdef const Frame *f = &job.frame
    cdef const char **found = <const char **> (scratch + job.found_at)
    cdef const elem **at = <const elem **> (scratch + job.at_at)
    cdef elem *packed
    cdef elem *staging = <elem *> (scratch + job.staging_at)
    cdef elem *slot
    cdef char *out = job.out
    cdef char *to
    cdef Py_ssize_t first_column = number % job.strips_across * job.width, first_row, b, i, p, t
    cdef Py_ssize_t index[MAX_OUTER]
    cdef Py_ssize_t row, rows, columns, done = 0, kept = 0, ld
    cdef Span s
    cdef bint inside = True, staged, in_place
    b = number // job.strips_across
    first_row = b % job.strips_down * job.height
    b //= job.strips_down
    for i in range(job.outer - 1, -1, -1):
        index[i] = b % job.n[i]
        out += index[i] * job.os[i]
        b //= job.n[i]
    for p in range(job.planes):
        found[p] = job.x
        for i in range(job.outer):
            t = source(index[i] + job.shifts[p * job.outer + i], job.n[i], job.boundary[i])
            if t == NOWHERE:
                found[p] = NULL
                inside = False
                break
            found[p] += t * job.xs[i]

    columns = min(job.width, job.columns - first_column)
    staged = job.stage or columns < LANES
    span(f, first_column + job.start1 * f.group, columns, job.beside * f.group, <Py_ssize_t *> scratch, &s)
    packed = <elem *> (scratch + job.packed_at) + (-s.low & (LANES - 1))    # what lies inside starts on a cache line
    inside = inside and not job.pack and s.low == 0 and s.high == s.n
    while done < job.height and first_row + done < job.rows:
        row = first_row + done
        rows = min(job.step, job.rows - row, job.height - done)
        to = out + row * job.os0 + first_column * job.os1
        row += job.start0
        in_place = inside and row >= 0 and rows + job.above <= job.rows - row
        ld = f.xs0 // <Py_ssize_t> sizeof(elem) if in_place else f.ld
        if not in_place:
            for p in range(job.planes):
                slot = packed + p * job.slot
                if kept:
                    memmove(slot, slot + job.step * ld, job.above * ld * sizeof(elem))
                pack(f, found[p], row + kept, rows + job.above - kept, &s, slot + kept * ld)
        kept = 0 if in_place else job.above
        for t in range(job.count):
            p = job.terms[t].plane
            at[t] = packed + p * job.slot
            if in_place:
                at[t] = <const elem *> (found[p] + row * f.xs0 + s.first * f.xs1)
            at[t] += job.terms[t].row * ld + job.terms[t].column
        if staged:
            sums(staging, f.ld, at, ld, job.terms, job.count, rows, max(columns, LANES))
            for i in range(rows):
                put(job.out_type, staging + i * f.ld, to + i * job.os0, job.os1, columns)
        else:
            sums(<elem *> to, job.os0 // <Py_ssize_t> sizeof(elem), at, ld, job.terms, job.count, rows, columns)
        done += rows


# --- the strips -----------------------------------------------------------------------------------------

cdef void lay_out(Job *job) noexcept nogil:
    """Chooses the strips, and the scratch memory they need."""
    cdef Py_ssize_t beside = job.beside * job.frame.group, item = sizeof(elem), ld
    job.height = min(max(TALL, 4 * job.above), job.rows)
    job.step = min(ROWS, job.height)
    job.width = max(CACHE // ((job.planes * (job.step + job.above) + job.step) * item) - beside, beside, WIDE * LANES)
    job.strips_across = (job.columns + job.width - 1) // job.width
    job.width = min(up((job.columns + job.strips_across - 1) // job.strips_across, LANES), job.columns)
    job.strips_across = (job.columns + job.width - 1) // job.width
    job.strips_down = (job.rows + job.height - 1) // job.height

    job.frame.ld = ld = row_of(max(job.width, LANES) + beside + 2 * LANES)
    job.slot = (job.step + job.above) * ld
    job.at_at = up(ld * sizeof(Py_ssize_t), PAGE)
    job.found_at = job.at_at + up(job.count * sizeof(char *), PAGE)
    job.packed_at = job.found_at + up(job.planes * sizeof(char *), PAGE)
    job.staging_at = job.packed_at + up(job.planes * job.slot * item, PAGE)
    job.scratch_bytes = job.staging_at + up(job.step * ld * item, PAGE)


cdef void run(const Job *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:                                # not even a team of one: OpenMP stays asleep
        for i in range(first, last):
            strip(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            strip(job, i, scratch + threadid() * job.scratch_bytes)


def stencil(cnp.ndarray x not None, cnp.ndarray out not None, int x_type, int out_type, cnp.ndarray weights not None,
            cnp.ndarray places not None, cnp.ndarray shifts not None, start, extent, boundaries,
            cnp.ndarray fill not None, Py_ssize_t group, int workers):
    """Add up weighted neighbours.

    x : (n[0], ..., n[m-1]), m >= 2, aligned, native, any strides, of type x_type   IN
    out : likewise, of type out_type, not overlapping x   OUT
    weights : (terms,), contiguous, of the module's type   IN
    places : (terms, 3), contiguous, intp: the plane, and row and column in it   IN
    shifts : (planes, m - 2), contiguous, intp: where the planes lie, seen from that of the output   IN
    start, extent : where the windows begin, and how many rows and columns they have
    boundaries : m of them
    fill : (1,), of the module's type: what lies outside under FILL   IN
    group : channels that interleave in a row; places count elements, not pixels
    workers : threads at most
    """
    cdef Job job
    cdef int d = x.ndim - 2, i
    cdef Py_ssize_t t, strips = 1, done = 0, step, end, work
    cdef const Py_ssize_t *place = <Py_ssize_t *> cnp.PyArray_DATA(places)
    cdef const elem *w = <elem *> cnp.PyArray_DATA(weights)
    cdef char *memory = NULL
    cdef char *scratch
    if not 0 <= d <= MAX_OUTER or out.ndim != x.ndim:
        raise ValueError(f"a stencil needs the same 2 to {MAX_OUTER + 2} dimensions, not {x.ndim} and {out.ndim}")
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    job.frame.rows = job.rows = x.shape[d]
    job.frame.columns = job.columns = x.shape[d + 1]
    job.frame.xs0, job.frame.xs1, job.frame.type = x.strides[d], x.strides[d + 1], x_type
    job.frame.group = group
    job.frame.boundary0, job.frame.boundary1 = boundaries[d], boundaries[d + 1]
    job.frame.fill0 = job.frame.fill1 = (<elem *> cnp.PyArray_DATA(fill))[0]
    job.os0, job.os1, job.out_type = out.strides[d], out.strides[d + 1], out_type
    job.outer = d
    for i in range(d):
        job.n[i], job.xs[i], job.os[i], job.boundary[i] = x.shape[i], x.strides[i], out.strides[i], boundaries[i]
        strips *= x.shape[i]
    job.shifts, job.planes = <Py_ssize_t *> cnp.PyArray_DATA(shifts), shifts.shape[0]
    job.count = weights.shape[0]
    job.start0, job.start1 = start
    job.above, job.beside = extent[0] - 1, extent[1] - 1
    work = strips * job.rows * job.columns * job.count
    if strips * job.rows * job.columns == 0:
        return
    job.pack = not plain(&job.frame) or job.planes * (job.above + 1) > FEW
    job.stage = out_type != OWN or job.os1 != sizeof(elem) or job.os0 % <Py_ssize_t> sizeof(elem) != 0
    lay_out(&job)
    strips *= job.strips_down * job.strips_across
    workers = <int> max(1, min(<Py_ssize_t> workers, strips, work // SHARE))
    job.terms = <Term *> malloc((job.count + 1) * sizeof(Term))
    try:
        memory = <char *> malloc(workers * job.scratch_bytes + PAGE)
        if memory == NULL or job.terms == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
        scratch = memory + (-<Py_ssize_t> memory & (PAGE - 1))
        for t in range(job.count):
            job.terms[t].plane, job.terms[t].row, job.terms[t].column = place[3 * t], place[3 * t + 1], place[3 * t + 2]
            job.terms[t].w = w[t]
        step = workers * max(1, STEP // max(1, work // strips))
        while done < strips:
            end = min(strips, done + step)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                run(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
    finally:
        free(memory)
        free(job.terms)
