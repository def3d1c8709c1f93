# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Convolution layers whose groups have few output channels, or not about as many as fill vectors, and kernels of one
pixel where columns lie beside each other: lanes are columns.

    y[n, k, i, j] = act(bias[k] + sum_c sum_p sum_q w[k, c, p, q] X[n, c, i s0 + p d0 + start0, j s1 + q d1 + start1])

X is x with zeros around it. It is the tile of `layer` with roles exchanged: V vectors of neighbouring outputs meet one
broadcast weight for each of P output channels,

    P x V accumulators:    V loads and P broadcasts give P V multiply-adds  (AVX2: 6 x 2, 3 x 3; AVX-512: 14 x 2, 6 x 4)

so no lane is idle, however few the output channels are.

- The output is cut into blocks of rows and columns of a group, one task each. A block's input is packed into scratch
  memory, channels first and with its zeros; strides deal rows and columns by phase, so that what neighbouring outputs
  read are neighbours.
- A block's outputs are one line: its rows follow one another at the width of the packed planes, and what is summed
  between two rows is left out when sums are copied to their places. Where nothing is between them, sums are stored in
  their places.
- Under a kernel of one pixel a picture is one row. Memory bounds it: with runs of 2 KiB of each channel a block, in
  place of 512 bytes, 256 channels to 64 go from 49 to 59 % of the peak of two threads.

How the output is cut does not change any sum, so results are the same for every number of workers.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastconv import _machine

from .pictures cimport LANES, MOST_LANES, Pictures, elem, load, pictures, rim, square, store, vec
from .scratch cimport aligned, copy, spaced, up

cdef extern from "simd.h" nogil:
    const int DEEP "FC_DEEP"
    const int BROAD "FC_BROAD"
    vec splat "fc_splat" (elem)
    vec madd "fc_madd" (vec, vec, vec)
    vec every_second "fc_every_second" (vec, vec, const int)
    void activate "fc_activate" (elem *, Py_ssize_t, int)
    Py_ssize_t opaque "fc_opaque" (Py_ssize_t)

cnp.import_array()

cdef enum:
    SUMS = 28                   # of a tile at most
    VECTORS = 4                 # of columns, that the sums of few output channels are: BROAD at most
    PACKED_BYTES = 1 << 17      # of a block's input
    SUMS_BYTES = 1 << 17        # of its sums: both stay in L2
    LINES_BYTES = 1 << 19       # of the input where sums are few: memory is read in runs long enough to be foreseen
    SHARE = 1 << 18             # multiply-adds below which another thread is not worth waking
    STEP = 1 << 29              # multiply-adds of each thread between two looks for Ctrl-C
    PAGE = 64

cdef struct Layer:
    Pictures x, y
    const elem *bias            # [groups K]
    elem *w                     # [groups, K / P, C R S, P], P output channels being a tile
    Py_ssize_t groups, C, K     # channels of a group, in and out
    Py_ssize_t R, S
    Py_ssize_t start0, start1, stride0, stride1, dilation0, dilation1
    int activation
    Py_ssize_t bh, bw, row_blocks, column_blocks    # the grid of tasks: pictures x groups x row x column blocks
    bint direct                 # the place of a block's sums is that of its outputs, where there are enough
    Py_ssize_t offset_at, sums_at, scratch_bytes    # scratch memory of a thread: where its parts start, in bytes


# --- the tile -------------------------------------------------------------------------------------------

cdef inline void tile(elem *sums, Py_ssize_t ld, const elem *bias, const elem *w, const elem *x,
                      const Py_ssize_t *offset, Py_ssize_t terms, const int P, const int V) noexcept nogil:
    """sums[p, j] = bias[p] + sum_t w[t, p] x[offset[t] + j]   p < P, j < V L   OUT sums, ld apart."""
    cdef vec acc[SUMS]
    cdef vec columns[VECTORS]
    cdef vec one
    cdef const elem *at
    cdef Py_ssize_t t
    cdef int p, v
    for p in range(P):
        one = splat(bias[p])
        for v in range(V):
            acc[p * V + v] = one
    for t in range(opaque(terms)):
        at = x + offset[t]
        for v in range(V):
            columns[v] = load(at + v * LANES)
        for p in range(P):
            one = splat(w[p])
            for v in range(V):
                acc[p * V + v] = madd(acc[p * V + v], columns[v], one)
        w += P
    for p in range(P):
        for v in range(V):
            store(sums + p * ld + v * LANES, acc[p * V + v])


cdef inline void line(elem *sums, Py_ssize_t ld, const elem *bias, const elem *w, const elem *x,
                      const Py_ssize_t *offset, Py_ssize_t terms, Py_ssize_t n, const int P,
                      const int V) noexcept nogil:
    """The same for j < n, n >= V L; the last tile overlaps its neighbour and writes the same values again."""
    cdef Py_ssize_t j = 0
    while n - j > LANES:
        j = min(j, n - V * LANES)
        tile(sums + j, ld, bias, w, x + j, offset, terms, P, V)
        j += V * LANES
    if j < n:
        j = n - LANES
        tile(sums + j, ld, bias, w, x + j, offset, terms, P, 1)


cdef inline Py_ssize_t dealt(Py_ssize_t K, Py_ssize_t k) noexcept nogil:
    """Channels of the tile that begins at k of K: as few tiles as there can be, of about equal size."""
    cdef Py_ssize_t tiles = (K - k + DEEP - 1) // DEEP
    return (K - k + tiles - 1) // tiles


cdef void multiply(elem *sums, Py_ssize_t ld, const elem *bias, const elem *w, const elem *x, const Py_ssize_t *offset,
                   Py_ssize_t terms, Py_ssize_t n, Py_ssize_t P) noexcept nogil:
    """The same for a P that is not a constant, n >= BROAD L."""
    if P == 1:
        line(sums, ld, bias, w, x, offset, terms, n, 1, BROAD)
    elif P == 2:
        line(sums, ld, bias, w, x, offset, terms, n, 2, BROAD)
    elif P == 3:
        line(sums, ld, bias, w, x, offset, terms, n, 3, BROAD)
    elif P == 4:
        line(sums, ld, bias, w, x, offset, terms, n, 4, BROAD if DEEP == 14 else 2)
    elif P == 5:
        line(sums, ld, bias, w, x, offset, terms, n, 5, BROAD if DEEP == 14 else 2)
    elif P == 6:
        line(sums, ld, bias, w, x, offset, terms, n, 6, BROAD if DEEP == 14 else 2)
    elif DEEP == 14:
        if P == 7:
            line(sums, ld, bias, w, x, offset, terms, n, 7, 3)
        elif P == 8:
            line(sums, ld, bias, w, x, offset, terms, n, 8, 3)
        elif P == 9:
            line(sums, ld, bias, w, x, offset, terms, n, 9, 3)
        elif P == 10:
            line(sums, ld, bias, w, x, offset, terms, n, 10, 2)
        elif P == 11:
            line(sums, ld, bias, w, x, offset, terms, n, 11, 2)
        elif P == 12:
            line(sums, ld, bias, w, x, offset, terms, n, 12, 2)
        elif P == 13:
            line(sums, ld, bias, w, x, offset, terms, n, 13, 2)
        elif P == 14:
            line(sums, ld, bias, w, x, offset, terms, n, 14, 2)


# --- a task ---------------------------------------------------------------------------------------------

cdef inline Py_ssize_t sums_row(Py_ssize_t n) noexcept nogil:
    """Elements from an output channel's sums to those of the next."""
    return spaced(max(n, BROAD * LANES))


cdef inline void copy_every_second(elem *to, const elem *at, Py_ssize_t n) noexcept nogil:
    """to[j] = at[2 j], j < n, n > L; nothing beyond the last of these is read."""
    cdef Py_ssize_t j = 0
    while j < n - LANES:
        store(to + j, every_second(load(at + 2 * j), load(at + 2 * j + LANES), 0))
        j += LANES
    j = n - LANES
    store(to + j, every_second(load(at + 2 * j - 1), load(at + 2 * j - 1 + LANES), 1))


cdef void pack_planes(const Layer *job, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t row, Py_ssize_t column,
                      Py_ssize_t height, Py_ssize_t width, Py_ssize_t plane, elem *to) noexcept nogil:
    """A part of a picture by phases, zeros outside   OUT to[C, s0, s1, plane], planes of height rows."""
    cdef Py_ssize_t i, j, c, a, b, low, high, first, item = sizeof(elem), s0 = job.stride0, s1 = job.stride1
    cdef Py_ssize_t step = s1 * job.x.sw
    cdef bint squares
    cdef const char *at
    cdef elem *line
    for a in range(s0):
        for b in range(s1):
            first = column + b
            low = 0 if first >= 0 else min((-first + s1 - 1) // s1, width)
            high = 0 if first >= job.x.width else min((job.x.width - 1 - first) // s1 + 1, width)
            high = max(low, high)
            squares = job.x.sc == item and job.C >= LANES > 1 and high - low >= LANES
            for c in range(job.C):
                for i in range(height):
                    line = to + ((c * s0 + a) * s1 + b) * plane + i * width
                    if not 0 <= row + a + i * s0 < job.x.height:
                        memset(line, 0, width * item)
                        continue
                    rim(line, low, high, width)
                    at = (job.x.at + n * job.x.sn + (channel + c) * job.x.sc + (row + a + i * s0) * job.x.sh
                          + (first + low * s1) * job.x.sw)
                    if step == item:
                        copy(line + low, <const elem *> at, high - low)
                    elif step == 2 * item and high - low > LANES > 1:
                        copy_every_second(line + low, <const elem *> at, high - low)
                    elif not squares:
                        for j in range(high - low):
                            line[low + j] = (<const elem *> (at + j * step))[0]
            if not squares:
                continue
            for i in range(max(0, (-row - a + s0 - 1) // s0), height):
                if row + a + i * s0 >= job.x.height:
                    break
                line = to + (a * s1 + b) * plane + i * width + low
                at = (job.x.at + n * job.x.sn + channel * item + (row + a + i * s0) * job.x.sh
                      + (first + low * s1) * job.x.sw)
                c = 0
                while c < job.C:
                    c = min(c, job.C - LANES)
                    j = 0
                    while j < high - low:
                        j = min(j, high - low - LANES)
                        square(line + c * s0 * s1 * plane + j, s0 * s1 * plane, at + c * item + j * step, step)
                        j += LANES
                    c += LANES


cdef void copy_out(const Layer *job, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t row, Py_ssize_t column,
                   Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t width, const elem *sums,
                   Py_ssize_t ld) noexcept nogil:
    """Finished sums to their places   IN sums[K, ld], of which rows of `columns` count, `width` apart."""
    cdef Py_ssize_t i, j, k, item = sizeof(elem)
    cdef char *to
    cdef const elem *line
    for i in range(rows):
        to = job.y.at + n * job.y.sn + channel * job.y.sc + (row + i) * job.y.sh + column * job.y.sw
        line = sums + i * width
        if job.y.sc == item and job.K >= LANES > 1 and columns >= LANES and job.y.sw % item == 0:
            k = 0
            while k < job.K:
                k = min(k, job.K - LANES)
                j = 0
                while j < columns:
                    j = min(j, columns - LANES)
                    square(<elem *> (to + k * item + j * job.y.sw), job.y.sw // item,
                           <const char *> (line + k * ld + j), ld * item)
                    j += LANES
                k += LANES
            continue
        if job.y.sc == item:
            for j in range(columns):
                for k in range(job.K):
                    (<elem *> (to + j * job.y.sw))[k] = line[k * ld + j]
            continue
        for k in range(job.K):
            if job.y.sw == item:
                copy(<elem *> to, line + k * ld, columns)
            else:
                for j in range(columns):
                    (<elem *> (to + j * job.y.sw))[0] = line[k * ld + j]
            to += job.y.sc


cdef void task(const Layer *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Block `number` of the grid of tasks."""
    cdef Py_ssize_t n, g, c, r, s, k, here, row0, column0, rows, columns, height, width, plane, ld, outputs
    cdef Py_ssize_t terms = job.C * job.R * job.S, item = sizeof(elem)
    cdef bint direct
    cdef elem *x = <elem *> scratch
    cdef Py_ssize_t *offset = <Py_ssize_t *> (scratch + job.offset_at)
    cdef Py_ssize_t *at = offset
    cdef elem *sums = <elem *> (scratch + job.sums_at)
    column0 = number % job.column_blocks * job.bw
    number //= job.column_blocks
    row0 = number % job.row_blocks * job.bh
    number //= job.row_blocks
    g = number % job.groups
    n = number // job.groups
    rows, columns = min(job.bh, job.y.height - row0), min(job.bw, job.y.width - column0)
    height = rows + (job.R - 1) * job.dilation0 // job.stride0
    width = columns + (job.S - 1) * job.dilation1 // job.stride1
    plane = spaced(height * width)
    pack_planes(job, n, g * job.C, job.start0 + row0 * job.stride0, job.start1 + column0 * job.stride1, height, width,
                plane, x)
    for c in range(job.C):
        for r in range(job.R):
            for s in range(job.S):
                at[0] = (((c * job.stride0 + r * job.dilation0 % job.stride0) * job.stride1
                          + s * job.dilation1 % job.stride1) * plane
                         + r * job.dilation0 // job.stride0 * width + s * job.dilation1 // job.stride1)
                at += 1
    outputs = (rows - 1) * width + columns
    direct = job.direct and outputs >= BROAD * LANES
    ld = sums_row(outputs)
    if direct:
        sums = <elem *> (job.y.at + n * job.y.sn + g * job.K * job.y.sc + row0 * job.y.sh + column0 * item)
        ld = job.y.sc // item
    k = 0
    while k < job.K:
        here = dealt(job.K, k)
        multiply(sums + k * ld, ld, job.bias + g * job.K + k, job.w + (g * job.K + k) * terms, x, offset, terms,
                 max(outputs, BROAD * LANES), here)
        k += here
    if job.activation:
        for k in range(job.K):
            activate(sums + k * ld, outputs, job.activation)
    if not direct:
        copy_out(job, n, g * job.K, row0, column0, rows, columns, width, sums, ld)


cdef void fold(Layer *job) noexcept nogil:
    """Pictures whose rows follow one another are one row, where an output is a sum over one pixel, its own."""
    if (job.R == 1 and job.S == 1 and job.start0 == 0 and job.start1 == 0 and job.stride0 == 1 and job.stride1 == 1
            and job.x.height == job.y.height and job.x.width == job.y.width
            and job.x.sh == job.x.width * job.x.sw and job.y.sh == job.y.width * job.y.sw):
        job.x.width = job.y.width = job.y.width * job.y.height
        job.x.height = job.y.height = 1


cdef void lay_out(Layer *job, int workers) noexcept nogil:
    """Chooses the tasks, and the scratch memory they need."""
    cdef Py_ssize_t item = sizeof(elem), reach0 = (job.R - 1) * job.dilation0 // job.stride0
    cdef Py_ssize_t reach1 = (job.S - 1) * job.dilation1 // job.stride1
    cdef Py_ssize_t deep = job.C * job.stride0 * job.stride1 * item, width, tasks = job.x.n * job.groups
    cdef bint lines = job.y.sw == item and job.y.sc % item == 0
    cdef Py_ssize_t sums = 0 if lines and job.y.height == 1 else job.K * item       # bytes of scratch memory an output
    cdef Py_ssize_t most = LINES_BYTES if job.y.height == 1 else PACKED_BYTES
    job.bw = job.y.width
    while job.bw > 4 * LANES and (deep * (reach0 + 1) * (job.bw + reach1) > most
                                  or sums * (job.bw + reach1) > SUMS_BYTES
                                  or (job.y.height == 1 and job.bw > 16 * LANES
                                      and tasks * ((job.y.width + job.bw - 1) // job.bw) < 4 * workers)):
        job.bw = (job.bw + 1) // 2
    width = job.bw + reach1
    job.bh = max(1, min(min(most // (deep * width) - reach0, SUMS_BYTES // (job.K * item * width)),
                        job.y.height))
    while (job.bh > 1 and job.bh * job.bw > 16 * LANES
           and tasks * ((job.y.height + job.bh - 1) // job.bh) < 4 * workers):
        job.bh = (job.bh + 1) // 2
    job.column_blocks = (job.y.width + job.bw - 1) // job.bw
    job.row_blocks = (job.y.height + job.bh - 1) // job.bh
    job.bw = (job.y.width + job.column_blocks - 1) // job.column_blocks     # of equal size
    job.bh = (job.y.height + job.row_blocks - 1) // job.row_blocks
    if job.column_blocks > 1:
        job.bw = up(job.bw, LANES)
        job.column_blocks = (job.y.width + job.bw - 1) // job.bw
    job.direct = lines and (job.bh == 1 or (job.bw == job.y.width and reach1 == 0 and job.y.sh == job.bw * item))
    width = job.bw + reach1
    job.offset_at = up((deep // item * spaced((job.bh + reach0) * width) + BROAD * LANES) * item, PAGE)
    job.sums_at = job.offset_at + up(job.C * job.R * job.S * sizeof(Py_ssize_t), PAGE)
    job.scratch_bytes = job.sums_at + up(job.K * sums_row(0 if job.direct else job.bh * width) * item, PAGE)


cdef void run(const Layer *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:
        for i in range(first, last):
            task(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            task(job, i, scratch + threadid() * job.scratch_bytes)


cdef void pack_weight(const Layer *job, const char *weight, const cnp.npy_intp *strides) noexcept nogil:
    """OUT job.w, by tiles"""
    cdef Py_ssize_t g, k, c, r, s, f, p, here, item = sizeof(elem), taps = job.R * job.S, terms = job.C * taps
    cdef bint dense = strides[4] == item and strides[3] == job.S * item and strides[2] == taps * item
    cdef elem *to = job.w
    cdef elem turned[MOST_LANES * MOST_LANES]
    cdef const char *at
    for g in range(job.groups):
        k = 0
        while k < job.K:
            here = dealt(job.K, k)
            at = weight + g * strides[0] + k * strides[1]
            if dense and terms >= LANES >= here and k + LANES <= job.K:
                f = 0
                while f < terms:                    # squares of L channels, of which `here` count, by L terms
                    f = min(f, terms - LANES)
                    square(turned, LANES, at + f * item, strides[1])
                    for s in range(LANES):
                        for p in range(here):
                            to[(f + s) * here + p] = turned[s * LANES + p]
                    f += LANES
            else:
                for c in range(job.C):
                    for r in range(job.R):
                        for s in range(job.S):
                            f = (c * job.R + r) * job.S + s
                            for p in range(here):
                                to[f * here + p] = (<const elem *> (at + p * strides[1] + c * strides[2]
                                                                    + r * strides[3] + s * strides[4]))[0]
            to += terms * here
            k += here


def forward(cnp.ndarray x not None, cnp.ndarray weight not None, cnp.ndarray bias not None, cnp.ndarray y not None,
            start, stride, dilation, int activation, int workers):
    """A layer's output.

    x : (N, groups C, H, W), aligned, native, any strides   IN
    weight : (groups, K, C, R, S), likewise   IN
    bias : (groups K,), C-contiguous   IN
    y : (N, groups K, rows, columns), like x, not overlapping it   OUT
    start, stride, dilation : pairs
    activation : 0 none, 1 relu, 2 sigmoid, 3 tanh
    workers : threads at most
    """
    cdef Layer job
    cdef Py_ssize_t tasks, done = 0, end, work, step, packed
    cdef char *memory
    cdef char *scratch
    pictures(x, &job.x)
    pictures(y, &job.y)
    job.bias = <const elem *> cnp.PyArray_DATA(bias)
    job.groups, job.K, job.C, job.R, job.S = (weight.shape[i] for i in range(5))
    job.start0, job.start1 = start
    job.stride0, job.stride1 = stride
    job.dilation0, job.dilation1 = dilation
    job.activation = activation
    work = job.y.n * job.y.channels * job.y.height * job.y.width
    if work == 0:
        return
    work *= job.C * job.R * job.S
    workers = <int> max(1, min(<Py_ssize_t> workers, work // SHARE))
    fold(&job)
    lay_out(&job, workers)
    tasks = job.x.n * job.groups * job.row_blocks * job.column_blocks
    workers = <int> min(<Py_ssize_t> workers, tasks)
    packed = up(job.groups * job.K * job.C * job.R * job.S * sizeof(elem), PAGE)
    memory = <char *> malloc(workers * job.scratch_bytes + packed + PAGE)
    if memory == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
    scratch = aligned(memory) + packed
    job.w = <elem *> aligned(memory)
    try:
        pack_weight(&job, <const char *> cnp.PyArray_DATA(weight), weight.strides)
        step = workers * max(1, STEP // max(1, work // tasks))
        while done < tasks:
            end = min(tasks, done + step)
            if workers > 1:
                workers = _machine.startable(workers)
            with nogil:
                run(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
    finally:
        free(memory)
