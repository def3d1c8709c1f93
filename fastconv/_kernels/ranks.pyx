# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The number of a given rank in a window around each pixel: median, percentile, and maxima of any footprint.

    out[b, i, j] = the rank-th smallest of X[b + section, start0 + i + p, start1 + j + q] over (section, p, q) in F

X is x continued by a boundary, F a footprint. A window that reaches along further axes than rows and columns is a
stack of sections, planes of x at fixed distances of each other. The output is cut into blocks, shared among the
threads; a block's input, with the boundary in it and as keys (rows.pxd), is first packed into scratch memory.

There are two ways from there, and the plan knows which costs less:

network   The comparisons are the same for every window, a program of exchanges lo, hi = min(a, b), max(a, b) of
          rows (_plan/network.py), done for a row of windows at once: one lane, one window. Its rows are short, so
          that all of them stay in L1; an exchange costs two loads and two stores a vector, and stores bind.
slide     The numbers of a block are sorted once. From then on a window is a set of ranks, a bit for each, and its
          pivot the rank-th of them: a step to the side drops the footprint's one edge and adds the other, a bit
          each, and the pivot follows to the next or the previous bit, as often as its number of smaller ones is
          off. Steps go to and fro, row by row, so no window is built anew. What a pixel costs grows with the
          footprint's edge, not with its area, and the values' width plays no part.

How the output is cut changes no result.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastconv import _machine

from .rows cimport (
    BITS, HIGHEST, LANES, NOWHERE, Plane, Span, elem, exchange, give, key, larger, load, put, smaller, source, span,
    store, take, vec, vmax, vmin,
)
from .scratch cimport LINE, aligned, up

cdef extern from "simd.h" nogil:
    int lowest_bit "fc_lowest_bit" (uint64_t)
    int highest_bit "fc_highest_bit" (uint64_t)
    uint64_t digits "fc_digits" (elem)

cdef enum:
    MAX_BATCH = 32              # dimensions of a batch of planes
    ROWS_BYTES = 1 << 16        # of the rows of a program: those that it goes to and fro between stay in L1
    BLOCK_ROWS = 32             # of a network's outputs
    SIDE = 64                   # of a sliding window's block, and more where the window is larger
    DIGIT = 11                  # bits that the radix sort looks at together
    SHARE = 1 << 18             # cycles, roughly, below which another thread is not worth waking
    STEP = 1 << 30              # cycles, roughly, between two looks for Ctrl-C, which part and join the threads

cdef struct Job:
    Plane plane
    const char *x
    char *out
    Py_ssize_t os0, os1
    int batch_ndim
    Py_ssize_t batch_shape[MAX_BATCH]
    Py_ssize_t batch_xs[MAX_BATCH]
    Py_ssize_t batch_os[MAX_BATCH]
    int batch_boundary[MAX_BATCH]
    Py_ssize_t sections
    const Py_ssize_t *section   # [sections, batch_ndim]: where they are, seen from the output's plane
    Py_ssize_t start0, start1
    Py_ssize_t kh, kw
    Py_ssize_t bh, bw           # of a block's outputs
    Py_ssize_t row_blocks, column_blocks
    Py_ssize_t height, ld       # rows of a section, and elements of a row, in scratch memory
    Py_ssize_t width            # of these, columns that are packed
    Py_ssize_t packed_at, work_at, scratch_bytes
    # network
    const int32_t *steps        # [count, 6]
    Py_ssize_t count
    const int32_t *results      # [together]: the rows of the results of so many output rows
    Py_ssize_t together, inputs, program_rows
    # slide
    Py_ssize_t rank
    Py_ssize_t *edges           # offsets of the footprint's taps and edges, list after list
    Py_ssize_t lists[6]         # where the lists begin: all, left, right, top, bottom


cdef void pack(const Job *job, Py_ssize_t number, char **out, Py_ssize_t *rows, Py_ssize_t *columns,
               Py_ssize_t height, char *scratch) noexcept nogil:
    """Packs the input of a block, and says where its output is, and how large."""
    cdef const Plane *plane = &job.plane
    cdef elem *packed = <elem *> (scratch + job.packed_at)
    cdef const char *x
    cdef Py_ssize_t at[MAX_BATCH]
    cdef Py_ssize_t b = number, r, c, s, i, m
    cdef Span columns_of
    c = b % job.column_blocks * job.bw
    b //= job.column_blocks
    r = b % job.row_blocks * job.bh
    b //= job.row_blocks
    out[0] = job.out + r * job.os0 + c * job.os1
    for i in range(job.batch_ndim - 1, -1, -1):
        at[i] = b % job.batch_shape[i]
        b //= job.batch_shape[i]
        out[0] += at[i] * job.batch_os[i]
    rows[0], columns[0] = min(job.bh, plane.height - r), min(job.bw, plane.width - c)
    span(plane, job.start1 * plane.group + c, job.width, <Py_ssize_t *> scratch, &columns_of)
    for s in range(job.sections):
        x = job.x
        for i in range(job.batch_ndim):
            m = source(at[i] + job.section[s * job.batch_ndim + i], job.batch_shape[i], job.batch_boundary[i])
            if m == NOWHERE:
                x = NULL
                break
            x += m * job.batch_xs[i]
        for i in range(height):
            take(plane, x, job.start0 + r + i, &columns_of, 0, job.width, packed + (s * job.height + i) * job.ld)


# --- network --------------------------------------------------------------------------------------------

cdef void network_block(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    cdef elem *packed = <elem *> (scratch + job.packed_at)
    cdef elem *values
    cdef elem **row = <elem **> (scratch + job.work_at)
    cdef elem *a
    cdef elem *b
    cdef const int32_t *step
    cdef char *out
    cdef Py_ssize_t rows, columns, i, k, n
    cdef Py_ssize_t high = job.kh + job.together - 1    # rows that a program sees of a section
    pack(job, number, &out, &rows, &columns, up(job.bh, job.together) + job.kh - 1, scratch)
    values = <elem *> (scratch + job.work_at + up(job.program_rows * sizeof(elem *), LINE))
    for i in range(job.program_rows - job.inputs):
        row[job.inputs + i] = values + i * job.ld
    n = up(columns + job.width - job.bw, LANES)
    i = 0
    while i < rows:
        for k in range(job.inputs):
            row[k] = packed + (k // high * job.height + i + k % high) * job.ld
        for k in range(job.count):
            step = job.steps + 6 * k
            a, b = row[step[2]] + step[3], row[step[4]] + step[5]
            if step[0] < 0:
                larger(row[step[1]], a, b, n)
            elif step[1] < 0:
                smaller(row[step[0]], a, b, n)
            else:
                exchange(row[step[0]], row[step[1]], a, b, n)
        for k in range(min(job.together, rows - i)):
            a = row[job.results[k]]
            give(&job.plane, out + (i + k) * job.os0, job.os1, a, a, columns)
        i += job.together


cdef inline vec middle(vec a, vec b, vec c) noexcept nogil:
    return vmax(vmin(a, b), vmin(vmax(a, b), c))


cdef void median_block(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """3 x 3: the middle of the largest of the columns' least, the middle of their middles, the least of their largest.

    The most used of all networks, so its values stay in registers; three rows of sorted columns are all it stores.
    """
    cdef elem *packed = <elem *> (scratch + job.packed_at)
    cdef elem *low = <elem *> (scratch + job.work_at)
    cdef elem *mid = low + job.ld
    cdef elem *high = mid + job.ld
    cdef elem *result = high + job.ld
    cdef elem *line
    cdef const elem *x
    cdef char *out
    cdef Py_ssize_t rows, columns, i, j, g = job.plane.group, reach = 2 * g
    cdef bint in_place = job.os1 == sizeof(elem)
    cdef vec a, b, c
    pack(job, number, &out, &rows, &columns, job.height, scratch)
    for i in range(rows):
        x = packed + i * job.ld
        j = 0
        while j < columns + reach:
            a, b, c = load(x + j), load(x + job.ld + j), load(x + 2 * job.ld + j)
            store(low + j, vmin(vmin(a, b), c))
            store(mid + j, middle(a, b, c))
            store(high + j, vmax(vmax(a, b), c))
            j += LANES
        line = <elem *> (out + i * job.os0) if in_place else result
        j = 0
        while j < columns:
            a = vmax(vmax(load(low + j), load(low + j + g)), load(low + j + reach))
            b = middle(load(mid + j), load(mid + j + g), load(mid + j + reach))
            c = vmin(vmin(load(high + j), load(high + j + g)), load(high + j + reach))
            a = middle(a, b, c)
            if in_place and j + LANES <= columns:
                put(&job.plane, line + j, a)
            else:
                store(result + j, a)
                line = result
            j += LANES
        if line == result:
            j = columns // LANES * LANES if in_place else 0
            give(&job.plane, out + i * job.os0 + j * job.os1, job.os1, result + j, result + j, columns - j)


# --- slide ----------------------------------------------------------------------------------------------

cdef struct Window:
    uint64_t *bits              # the ranks in the window
    Py_ssize_t pivot            # the last answer, and how many ranks in the window lie below it
    Py_ssize_t below


cdef void sort(const elem *keys, Py_ssize_t n, uint32_t *ranks, elem *values, uint32_t *order,
               uint32_t *spare) noexcept nogil:
    """Each key's rank, and the keys in order, by radix   IN keys   OUT ranks, values   TEMP order, spare"""
    cdef uint32_t count[1 << DIGIT]
    cdef uint32_t k, total
    cdef Py_ssize_t i, shift = 0
    cdef uint32_t *swap
    for i in range(n):
        order[i] = <uint32_t> i
    while shift < BITS:
        memset(count, 0, sizeof(count))
        for i in range(n):
            count[digits(keys[i]) >> shift & ((1 << DIGIT) - 1)] += 1
        if count[digits(keys[0]) >> shift & ((1 << DIGIT) - 1)] < n:   # or else it sorts nothing
            total = 0
            for i in range(1 << DIGIT):
                k = count[i]
                count[i] = total
                total += k
            for i in range(n):
                k = digits(keys[order[i]]) >> shift & ((1 << DIGIT) - 1)
                spare[count[k]] = order[i]
                count[k] += 1
            swap = order
            order = spare
            spare = swap
        shift += DIGIT
    for i in range(n):
        ranks[order[i]] = <uint32_t> i
        values[i] = keys[order[i]]


cdef inline void flip(Window *window, const uint32_t *ranks, const Py_ssize_t *taps, Py_ssize_t n,
                      int change) noexcept nogil:
    """Adds (change 1) the ranks that taps see to the window, or takes them away (-1)."""
    cdef Py_ssize_t i, rank, below = window.below
    for i in range(n):
        rank = ranks[taps[i]]
        window.bits[rank >> 6] ^= (<uint64_t> 1) << (rank & 63)
        below += change if rank < window.pivot else 0
    window.below = below


cdef inline Py_ssize_t pivot(Window *window, Py_ssize_t rank) noexcept nogil:
    """The rank-th of the window."""
    cdef Py_ssize_t word = window.pivot >> 6
    cdef int bit = window.pivot & 63
    cdef uint64_t bits
    if window.below > rank:
        bits = window.bits[word] & (((<uint64_t> 1) << bit) - 1)
        while True:
            while bits == 0:
                word -= 1
                bits = window.bits[word]
            bit = highest_bit(bits)
            window.below -= 1
            if window.below == rank:
                break
            bits ^= (<uint64_t> 1) << bit
    else:
        bits = window.bits[word] >> bit << bit
        while True:
            while bits == 0:
                word += 1
                bits = window.bits[word]
            bit = lowest_bit(bits)
            if window.below == rank:
                break
            window.below += 1
            bits &= bits - 1
    window.pivot = (word << 6) + bit
    return window.pivot


cdef void slide_block(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    cdef elem *packed = <elem *> (scratch + job.packed_at)
    cdef Py_ssize_t size = job.sections * job.height * job.ld
    cdef elem *values = <elem *> (scratch + job.work_at)
    cdef elem *line = values + up(size, LINE)
    cdef uint32_t *ranks = <uint32_t *> (line + up(job.bw, LINE))
    cdef uint32_t *order = ranks + up(size, LINE)
    cdef const uint32_t *at
    cdef const Py_ssize_t *left = job.edges + job.lists[1]
    cdef const Py_ssize_t *right = job.edges + job.lists[2]
    cdef const Py_ssize_t *top = job.edges + job.lists[3]
    cdef const Py_ssize_t *bottom = job.edges + job.lists[4]
    cdef Py_ssize_t across = right - left, down = bottom - top
    cdef Window window
    cdef char *out
    cdef Py_ssize_t rows, columns, i, j, channel, count, group = job.plane.group
    cdef int way
    pack(job, number, &out, &rows, &columns, job.height, scratch)
    sort(packed, size, ranks, values, order, order + size)
    window.bits = <uint64_t *> order
    for channel in range(min(group, columns)):
        count = (columns - channel + group - 1) // group
        memset(window.bits, 0, (size // 64 + 1) * sizeof(uint64_t))
        window.pivot, window.below = job.rank * size // job.lists[1], 0
        flip(&window, ranks + channel, job.edges, job.lists[1], 1)
        j, way = 0, 1
        for i in range(rows):
            at = ranks + i * job.ld + channel
            if i > 0:
                flip(&window, at + j * group - job.ld, top, down, -1)
                flip(&window, at + j * group, bottom, down, 1)
            while True:
                line[j] = values[pivot(&window, job.rank)]
                if way > 0:
                    if j == count - 1:
                        break
                    flip(&window, at + j * group, left, across, -1)
                    j += 1
                    flip(&window, at + j * group, right, across, 1)
                else:
                    if j == 0:
                        break
                    flip(&window, at + j * group, right, across, -1)
                    j -= 1
                    flip(&window, at + j * group, left, across, 1)
            way = -way
            give(&job.plane, out + i * job.os0 + channel * job.os1, job.os1 * group, line, line, count)


cdef bint find_edges(Job *job, const uint8_t *footprint) noexcept nogil:
    """Lists the footprint's taps, and those at its edges, as offsets in packed memory. False: out of memory"""
    cdef Py_ssize_t s, p, q, n = 0, size = job.sections * job.kh * job.kw
    cdef const uint8_t *at
    cdef bint edge
    cdef int which
    job.edges = <Py_ssize_t *> malloc(max(5 * size, 1) * sizeof(Py_ssize_t))
    if job.edges == NULL:
        return False
    for which in range(5):
        job.lists[which] = n
        at = footprint
        for s in range(job.sections):
            for p in range(job.kh):
                for q in range(job.kw):
                    if which == 1:
                        edge = q == 0 or not (at - 1)[0]
                    elif which == 2:
                        edge = q == job.kw - 1 or not at[1]
                    elif which == 3:
                        edge = p == 0 or not (at - job.kw)[0]
                    else:
                        edge = which == 0 or p == job.kh - 1 or not at[job.kw]
                    if at[0] and edge:
                        job.edges[n] = (s * job.height + p) * job.ld + q * job.plane.group
                        n += 1
                    at += 1
    job.lists[5] = n
    return True


# --- the grid of blocks ---------------------------------------------------------------------------------

ctypedef void (*Block)(const Job *, Py_ssize_t, char *) noexcept nogil


cdef void cut(Job *job, Py_ssize_t bh, Py_ssize_t bw, Py_ssize_t multiple) noexcept nogil:
    """Blocks of at most bh by bw outputs, all of about the same size; rows in multiples."""
    cdef Py_ssize_t height = job.plane.height, width = job.plane.width
    job.row_blocks, job.column_blocks = (height + bh - 1) // bh, (width + bw - 1) // bw
    job.bh = up((height + job.row_blocks - 1) // job.row_blocks, multiple)
    job.bw = (width + job.column_blocks - 1) // job.column_blocks
    job.row_blocks, job.column_blocks = (height + job.bh - 1) // job.bh, (width + job.bw - 1) // job.bw
    job.height = job.bh + job.kh - 1
    job.width = job.bw + (job.kw - 1) * job.plane.group
    job.packed_at = up(job.width * sizeof(Py_ssize_t), LINE)


cdef void lay_out_network(Job *job) noexcept nogil:
    cdef Py_ssize_t item = sizeof(elem), reach = (job.kw - 1) * job.plane.group, tail = reach + 2 * LANES
    cdef Py_ssize_t bw = max(ROWS_BYTES // (job.program_rows * item), 8 * LANES, 4 * reach)
    cut(job, up(BLOCK_ROWS, job.together), max(bw // LANES * LANES - reach, 1), job.together)
    job.ld = up(job.width, LINE // item)
    job.work_at = job.packed_at + up((job.sections * job.height * job.ld + tail) * item, LINE)
    job.scratch_bytes = up(job.work_at + up(job.program_rows * sizeof(elem *), LINE)
                           + (job.program_rows * job.ld + tail) * item, LINE)


cdef void lay_out_slide(Job *job) noexcept nogil:
    cdef Py_ssize_t item = sizeof(elem), group = job.plane.group, size
    cdef Py_ssize_t bh = min(max(SIDE, 2 * job.kh), job.plane.height)
    cdef Py_ssize_t bw = max(SIDE * SIDE // bh, 2 * job.kw) * group
    cut(job, bh, bw, 1)
    if job.bw % group > 0:
        cut(job, bh, up(job.bw, group), 1)
    job.ld = job.width
    size = job.sections * job.height * job.ld
    job.work_at = job.packed_at + up(size * item, LINE)
    job.scratch_bytes = up(job.work_at + (up(size, LINE) + up(job.bw, LINE)) * item
                           + (3 * up(size, LINE) + LINE) * sizeof(uint32_t), LINE)


cdef void run(Block block, const Job *job, Py_ssize_t first, Py_ssize_t last, int workers,
              char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:                            # not even a team of one: OpenMP stays asleep
        for i in range(first, last):
            block(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            block(job, i, scratch + threadid() * job.scratch_bytes)


cdef int drive(Block block, const Job *job, double cost, int workers) except -1:
    """Runs all blocks; `cost` is of a pixel, in cycles, roughly."""
    cdef Py_ssize_t planes = 1, i, blocks, done = 0, step, end
    cdef char *scratch
    for i in range(job.batch_ndim):
        planes *= job.batch_shape[i]
    blocks = planes * job.row_blocks * job.column_blocks
    workers = <int> max(1, min(<Py_ssize_t> workers, blocks,
                               <Py_ssize_t> (cost * planes * job.plane.height * job.plane.width / SHARE)))
    scratch = <char *> malloc(workers * job.scratch_bytes + LINE)
    if scratch == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
    try:
        step = workers * max(1, <Py_ssize_t> (STEP / (cost * job.bh * job.bw)))
        while done < blocks:
            end = min(blocks, done + step)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                run(block, job, done, end, workers, aligned(scratch))
            PyErr_CheckSignals()
            done = end
    finally:
        free(scratch)
    return 0


cdef int describe(Job *job, cnp.ndarray x, cnp.ndarray out, cnp.ndarray sections, start, boundary,
                  Py_ssize_t group, cnp.ndarray fill, cnp.ndarray order) except -1:
    cdef Plane *plane = &job.plane
    cdef int d = x.ndim - 2, i
    if d < 0 or d > MAX_BATCH or out.ndim != x.ndim:
        raise ValueError(f"planes need the same 2 to {MAX_BATCH + 2} dimensions, not {x.ndim} and {out.ndim}")
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    plane.height, plane.width = x.shape[d], x.shape[d + 1]
    plane.xs0, plane.xs1 = x.strides[d], x.strides[d + 1]
    job.os0, job.os1 = out.strides[d], out.strides[d + 1]
    job.start0, job.start1 = start
    plane.boundary0, plane.boundary1 = boundary[d], boundary[d + 1]
    plane.group = group
    plane.order.flip = (<const elem *> cnp.PyArray_DATA(order))[0]
    plane.order.infinity = (<const elem *> cnp.PyArray_DATA(order))[1]
    plane.floating = plane.order.infinity != HIGHEST
    plane.fill = key((<const elem *> cnp.PyArray_DATA(fill))[0], plane.order, plane.floating)
    job.batch_ndim = d
    for i in range(d):
        job.batch_shape[i] = x.shape[i]
        job.batch_xs[i] = x.strides[i]
        job.batch_os[i] = out.strides[i]
        job.batch_boundary[i] = boundary[i]
    job.sections = sections.shape[0]
    job.section = <const Py_ssize_t *> cnp.PyArray_DATA(sections)
    return 0


def network(cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray sections not None, size, start, boundary,
            Py_ssize_t group, cnp.ndarray fill not None, cnp.ndarray order not None, cnp.ndarray steps not None,
            cnp.ndarray results not None, Py_ssize_t inputs, Py_ssize_t rows, int workers):
    """Runs a program on the windows around each pixel.

    x : (..., H, W), not empty, aligned, native, any strides, of the module's width   IN
    out : likewise, not overlapping x   OUT
    sections : (S, x.ndim - 2), C-contiguous, intp: the planes that a window sees, from that of its output   IN
    size : (kh, kw), rows and columns that it sees of each; a program's shifts count elements, not pixels
    start : pair, where they begin
    boundary : for each axis of x
    group : channels that interleave in a row
    fill : (1,), a number: what lies outside under FILL   IN
    order : (2,), how numbers become keys: flip and infinity   IN
    steps, results, inputs, rows : the program; its inputs are the rows of each section, kh + T - 1 of them for the
        results of T output rows   IN
    workers : threads at most
    """
    cdef Job job
    describe(&job, x, out, sections, start, boundary, group, fill, order)
    job.kh, job.kw = size
    job.steps, job.count = <const int32_t *> cnp.PyArray_DATA(steps), steps.shape[0]
    job.results, job.together = <const int32_t *> cnp.PyArray_DATA(results), results.shape[0]
    job.inputs, job.program_rows = inputs, rows
    lay_out_network(&job)
    drive(network_block, &job, 2.0 * (job.count + 1) / (LANES * job.together), workers)


def median3x3(cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray sections not None, start, boundary,
              Py_ssize_t group, cnp.ndarray fill not None, cnp.ndarray order not None, int workers):
    """Finds the median of 3 x 3 pixels of a section; all is as in `network`."""
    cdef Job job
    describe(&job, x, out, sections, start, boundary, group, fill, order)
    job.kh = job.kw = 3
    job.program_rows, job.together = 4, 1
    lay_out_network(&job)
    drive(median_block, &job, 16.0 / LANES, workers)


def slide(cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray sections not None,
          cnp.ndarray footprint not None, start, boundary, Py_ssize_t group, cnp.ndarray fill not None,
          cnp.ndarray order not None, Py_ssize_t rank, int workers):
    """Finds the number of a rank in the windows around each pixel.

    footprint : (S, kh, kw), C-contiguous, uint8: what a window holds of each section, at least one pixel   IN
    rank : 0 .. pixels of the footprint - 1
    all else : as in `network`
    """
    cdef Job job
    describe(&job, x, out, sections, start, boundary, group, fill, order)
    job.kh, job.kw = footprint.shape[1], footprint.shape[2]
    job.rank = rank
    lay_out_slide(&job)
    if not find_edges(&job, <const uint8_t *> cnp.PyArray_DATA(footprint)):
        raise MemoryError("fastconv: no memory to lay out the work")
    try:
        drive(slide_block, &job, 60 + 6.0 * (job.lists[2] - job.lists[1]), workers)
    finally:
        free(job.edges)
