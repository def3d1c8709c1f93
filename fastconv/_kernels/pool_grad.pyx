# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The way back through a pool.

`scatter`, after a maximum or a minimum:    out[b, index[b, e, c], c] += values[b, e, c]

Planes are shared among the threads; each is done by one of them, in the order of the values.

`spread`, after a sum, whose adjoint it is: out[b, h, t, c] is the sum of grad[b, i, j, c] / divisor(i, j) over the
windows (i, j) that have seen (h, t). Blocks of the result are shared among the threads. For each row i of windows that
reaches into a block its columns are spread on a line in L1, tap by tap, and the line is added to each of its rows.
Every sum runs over i, then over column taps and j, however the result is cut. Small planes without interleaved
channels are turned, as many as a vector has lanes, and spread at once.

A thread has the same part of the arrays in each call, and finds in its cache what it has left there.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastconv import _machine

from .pictures cimport Pictures, pack_lanes, unpack
from .scratch cimport aligned
from .tiles cimport LANES, elem, load, splat, store
from .windows cimport OVER_NUMBER, PLAIN, Axis, Window, axis_of, count, place

cdef enum:
    BUNCH = 1 << 12             # elements of small planes that are cleared at once
    LINE = 1 << 12              # elements of a line
    GRAIN = 1 << 16             # elements that a thread takes at a time
    FEWEST = 4                  # bunches of planes for each thread, so that it has as many as another
    SHARE = 1 << 15             # elements below which another thread is not worth waking
    CACHE_LINE = 64
    TURNED_BYTES = 1 << 17      # of as many planes as are turned: they stay in L2
    STEP = 1 << 28              # elements of each thread between two looks for Ctrl-C


# --- scatter --------------------------------------------------------------------------------------------

cdef struct Scatter:
    elem *out                   # [planes, size, group]
    const elem *values          # [planes, count, group]
    const int64_t *index
    Py_ssize_t planes, size, count, group
    Py_ssize_t bunch            # planes that are cleared at once
    bint add


cdef inline bint put(elem *out, Py_ssize_t size, Py_ssize_t n, const elem *values, const int64_t *index,
                     Py_ssize_t many, const bint ADD) noexcept nogil:
    """The n channels of a plane; whether every index lay inside   IN values, index   OUT out."""
    cdef Py_ssize_t _e, c, k
    cdef bint inside = True
    for _e in range(many):
        for c in range(n):
            k = index[c]
            if not 0 <= k < size:
                inside = False
            elif ADD:
                out[k * n + c] += values[c]
            else:
                out[k * n + c] = values[c]
        values += n
        index += n
    return inside


cdef inline bint put_one(elem *out, Py_ssize_t size, const elem *values, const int64_t *index, Py_ssize_t many,
                         const bint ADD) noexcept nogil:
    """The same for one channel."""
    cdef Py_ssize_t e, k
    cdef bint inside = True
    for e in range(many):
        k = index[e]
        if not 0 <= k < size:
            inside = False
        elif ADD:
            out[k] += values[e]
        else:
            out[k] = values[e]
    return inside


cdef bint scatter_bunch(const Scatter *job, Py_ssize_t number) noexcept nogil:
    """Planes that follow one another; whether every index lay inside."""
    cdef Py_ssize_t first = number * job.bunch, last = min(first + job.bunch, job.planes), _plane
    cdef Py_ssize_t n = job.group, size = job.size, many = job.count
    cdef elem *out = job.out + first * size * n
    cdef const elem *values = job.values + first * many * n
    cdef const int64_t *index = job.index + first * many * n
    cdef bint inside = True, here
    memset(out, 0, (last - first) * size * n * sizeof(elem))
    for _plane in range(first, last):
        if n == 1 and job.add:
            here = put_one(out, size, values, index, many, True)
        elif n == 1:
            here = put_one(out, size, values, index, many, False)
        elif job.add:
            here = put(out, size, n, values, index, many, True)
        else:
            here = put(out, size, n, values, index, many, False)
        inside = inside and here
        out += size * n
        values += many * n
        index += many * n
    return inside


cdef void run_scatter(const Scatter *job, Py_ssize_t first, Py_ssize_t last, int workers,
                      bint *outside) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:
        for i in range(first, last):
            if not scatter_bunch(job, i):
                outside[0] = True
    else:
        for i in prange(first, last, num_threads=workers, schedule="static"):
            if not scatter_bunch(job, i):
                outside[threadid()] = True


cdef int perform_scatter(Scatter *job, int workers) except -1:
    """Whether all indices lay inside."""
    cdef Py_ssize_t bunches, done = 0, leap, end, work = job.planes * (job.size + job.count) * job.group
    cdef bint *outside
    cdef bint inside = True
    if work == 0:
        return True
    workers = <int> max(1, min(<Py_ssize_t> workers, work // SHARE))
    job.bunch = max(1, min(BUNCH // (job.size * job.group), job.planes // (FEWEST * workers)))
    bunches = (job.planes + job.bunch - 1) // job.bunch
    workers = <int> min(<Py_ssize_t> workers, bunches)
    outside = <bint *> calloc(workers, sizeof(bint))
    if outside == NULL:
        raise MemoryError("fastconv: no memory to lay out the work")
    try:
        leap = workers * max(1, STEP // max(1, work // bunches))
        while done < bunches:
            end = min(bunches, done + leap)
            if workers > 1:
                workers = _machine.startable(workers)
            with nogil:
                run_scatter(job, done, end, workers, outside)
            PyErr_CheckSignals()
            done = end
        for end in range(workers):
            inside = inside and not outside[end]
        return inside
    finally:
        free(outside)


def scatter(cnp.ndarray values not None, cnp.ndarray index not None, cnp.ndarray out not None, bint add, int workers):
    """Put values where their indices say; whether all indices lay inside.

    values, index : (M, count, C) of the module's type and of int64, C-contiguous   IN
    out : (M, size, C), likewise   OUT
    add : whether values that meet are added; else the last one stands
    workers : threads at most
    """
    return scatter_contiguous(cnp.PyArray_BYTES(values), <const int64_t *> cnp.PyArray_DATA(index),
                              cnp.PyArray_BYTES(out), values.shape[0], out.shape[1], values.shape[1], values.shape[2],
                              add, workers) == 1


cdef int scatter_contiguous(const char *values, const int64_t *index, char *out, Py_ssize_t planes, Py_ssize_t size,
                            Py_ssize_t many, Py_ssize_t group, bint add, int workers) except -1:
    cdef Scatter job
    job.out, job.values, job.index = <elem *> out, <const elem *> values, index
    job.planes, job.size, job.count, job.group, job.add = planes, size, many, group, add
    return perform_scatter(&job, workers)


quick_scatter = PyCapsule_New(<void *> scatter_contiguous, "fastconv.quick_scatter", NULL)    # for _quick.pyx


# --- spread ---------------------------------------------------------------------------------------------

cdef struct Spread:
    const char *grad
    char *out
    Axis rows, columns          # of the input that had been pooled, and of the gradient
    Py_ssize_t planes           # in all, and in one batch of them
    Py_ssize_t batch
    Py_ssize_t gb0, gb1, gr     # strides of batches, planes and rows, in bytes
    Py_ssize_t ob0, ob1, orow
    Py_ssize_t group
    int finish
    elem number
    const elem *counts          # of each column, what divides on its behalf; NULL: nothing does
    Py_ssize_t height, tall     # rows of a block, blocks in a column of them
    Py_ssize_t width, wide      # columns of a block, blocks in a row of them
    bint turned
    Pictures from_, to          # then, the same arrays


cdef inline void reaching(const Axis *axis, Py_ssize_t low, Py_ssize_t high, Py_ssize_t *first,
                          Py_ssize_t *last) noexcept nogil:
    """The windows first .. last-1 are all that can see a sample of low .. high-1."""
    cdef Py_ssize_t reach
    if axis.stride == 0:
        first[0] = max(low * axis.output // axis.size - 1, 0)
        last[0] = min(high * axis.output // axis.size + 2, axis.output)
        return
    reach = low - (axis.kernel - 1) * axis.step - axis.start
    first[0] = (reach + axis.stride - 1) // axis.stride if reach > 0 else 0
    reach = high - 1 - axis.start
    last[0] = min(reach // axis.stride + 1, axis.output) if reach >= 0 else 0


cdef inline void spread_columns(const Spread *job, elem *line, elem *scaled, const elem *grad, elem over,
                                Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t j0, Py_ssize_t j1) noexcept nogil:
    """A row of windows, j0 .. j1-1, on a line of the columns t0 .. t1-1   IN grad   OUT line   TEMP scaled."""
    cdef const Axis *axis = &job.columns
    cdef Py_ssize_t j, q, t, c, e, first, last, group = job.group
    cdef Window w
    if job.counts == NULL:
        memcpy(scaled, grad + j0 * group, max(j1 - j0, 0) * group * sizeof(elem))
    elif group == 1:
        for j in range(j0, j1):
            scaled[j - j0] = grad[j] / (over * job.counts[j])
    else:
        for j in range(j0, j1):
            for e in range(j * group, (j + 1) * group):
                scaled[e - j0 * group] = grad[e] / (over * job.counts[j])
    memset(line, 0, (t1 - t0) * group * sizeof(elem))
    if axis.stride == 0:
        for j in range(j0, j1):
            w = place(axis, j)
            for t in range(max(w.first, t0), min(w.first + w.taps, t1)):
                for c in range(group):
                    line[(t - t0) * group + c] += scaled[(j - j0) * group + c]
        return
    for q in range(axis.kernel):
        t = axis.start + q * axis.step                  # of window 0; windows first .. last-1 have theirs inside
        first = max((t0 - t + axis.stride - 1) // axis.stride if t0 > t else 0, j0)
        last = j1
        if t + (j1 - 1) * axis.stride >= t1:
            last = min((t1 - 1 - t) // axis.stride + 1 if t1 > t else 0, j1)
        if axis.stride == 1:
            for e in range((last - first) * group):
                line[(t + first - t0) * group + e] += scaled[(first - j0) * group + e]
        elif group == 1:
            for j in range(first, last):
                line[t + j * axis.stride - t0] += scaled[j - j0]
        else:
            for j in range(first, last):
                for c in range(group):
                    line[(t + j * axis.stride - t0) * group + c] += scaled[(j - j0) * group + c]


cdef void spread_block(const Spread *job, Py_ssize_t number, elem *line, elem *scaled) noexcept nogil:
    cdef Py_ssize_t t0 = number % job.wide * job.width, t1 = min(t0 + job.width, job.columns.size)
    cdef Py_ssize_t h0 = number // job.wide % job.tall * job.height, h1 = min(h0 + job.height, job.rows.size)
    cdef Py_ssize_t plane = number // job.wide // job.tall, n = (t1 - t0) * job.group, first, last, i, p, h, e, j0, j1
    cdef const char *grad = job.grad + plane // job.batch * job.gb0 + plane % job.batch * job.gb1
    cdef char *out = (job.out + plane // job.batch * job.ob0 + plane % job.batch * job.ob1
                      + t0 * job.group * <Py_ssize_t> sizeof(elem))
    cdef elem *row
    cdef elem over = 1
    cdef Window w
    for h in range(h0, h1):
        memset(out + h * job.orow, 0, n * sizeof(elem))
    reaching(&job.rows, h0, h1, &first, &last)
    reaching(&job.columns, t0, t1, &j0, &j1)
    for i in range(first, last):
        w = place(&job.rows, i)
        if w.taps == 0 or w.first >= h1 or w.first + (w.taps - 1) * job.rows.step < h0:
            continue
        over = job.number if job.finish == OVER_NUMBER else <elem> count(&job.rows, job.finish, i)
        spread_columns(job, line, scaled, <const elem *> (grad + i * job.gr), over, t0, t1, j0, j1)
        for p in range(w.taps):
            h = w.first + p * job.rows.step
            if h0 <= h < h1:
                row = <elem *> (out + h * job.orow)
                for e in range(n):
                    row[e] += line[e]


cdef inline void add(elem *to, const elem *at) noexcept nogil:
    store(to, load(to) + load(at))


cdef void spread_turned(const Spread *job, Py_ssize_t number, elem *scratch) noexcept nogil:
    """As many planes as a vector has lanes   IN grad   OUT out   TEMP scratch."""
    cdef const Axis *axis = &job.columns
    cdef Py_ssize_t chunks = (job.to.channels + LANES - 1) // LANES, n = number // chunks, c = number % chunks * LANES
    cdef Py_ssize_t C = min(<Py_ssize_t> LANES, job.to.channels - c), i, j, p, q, t, first, last
    cdef Py_ssize_t columns = axis.output, width = axis.size
    cdef elem *out = scratch
    cdef elem *line = out + job.rows.size * width * LANES
    cdef elem *grad = line + width * LANES
    cdef elem *row
    cdef elem over
    cdef Window down, across
    pack_lanes(&job.from_, n, c, C, LANES, 0, 0, job.rows.output, columns, grad)
    memset(out, 0, job.rows.size * width * LANES * sizeof(elem))
    for i in range(job.rows.output):
        down = place(&job.rows, i)
        if job.counts != NULL:
            over = job.number if job.finish == OVER_NUMBER else <elem> count(&job.rows, job.finish, i)
            for j in range(columns):
                store(grad + j * LANES, load(grad + j * LANES) / splat(over * job.counts[j]))
        memset(line, 0, width * LANES * sizeof(elem))
        if axis.stride == 0:
            for j in range(columns):
                across = place(axis, j)
                for t in range(across.first, across.first + across.taps):
                    add(line + t * LANES, grad + j * LANES)
        for q in range(axis.kernel if axis.stride > 0 else 0):
            t = axis.start + q * axis.step              # of window 0; windows first .. last-1 have theirs inside
            first = (axis.stride - 1 - t) // axis.stride if t < 0 else 0
            last = min((width - 1 - t) // axis.stride + 1 if t < width else 0, columns)
            for j in range(first, last):
                add(line + (t + j * axis.stride) * LANES, grad + j * LANES)
        for p in range(down.taps):
            row = out + (down.first + p * job.rows.step) * width * LANES
            for t in range(width):
                add(row + t * LANES, line + t * LANES)
        grad += columns * LANES
    unpack(&job.to, n, c, C, 0, 0, job.rows.size, width, out, LANES)


cdef void run_spread(const Spread *job, Py_ssize_t first, Py_ssize_t last, int workers, elem *scratch,
                     Py_ssize_t apart, Py_ssize_t line) noexcept nogil:
    cdef Py_ssize_t i
    if job.turned and workers == 1:
        for i in range(first, last):
            spread_turned(job, i, scratch)
    elif job.turned:
        for i in prange(first, last, num_threads=workers, schedule="static"):
            spread_turned(job, i, scratch + threadid() * apart)
    elif workers == 1:
        for i in range(first, last):
            spread_block(job, i, scratch, scratch + line)
    else:
        for i in prange(first, last, num_threads=workers, schedule="static"):
            spread_block(job, i, scratch + threadid() * apart, scratch + threadid() * apart + line)


cdef int perform_spread(Spread *job, int workers) except -1:
    """All of it but the layout, which is chosen here."""
    cdef Py_ssize_t planes = job.planes, group = job.group, blocks, done = 0, leap, end, line, apart, stride, j
    cdef Py_ssize_t work = planes * job.rows.size * job.columns.size * group
    cdef char *memory
    cdef elem *scratch
    cdef elem *counts
    if work == 0:
        return 0
    job.width = min(max(LINE // group, 1), job.columns.size)
    job.wide = (job.columns.size + job.width - 1) // job.width
    job.height = min(max(GRAIN // (job.width * group), job.rows.kernel), job.rows.size)
    job.tall = (job.rows.size + job.height - 1) // job.height
    blocks = planes * job.tall * job.wide
    stride = job.columns.stride if job.columns.stride > 0 else max(job.columns.size // max(job.columns.output, 1), 1)
    line = job.width * group
    apart = line + (job.width + job.columns.kernel * job.columns.step) // stride * group + 4 * group
    if job.columns.stride == 0:
        apart = line + min(job.columns.output, job.width * job.columns.output // job.columns.size + 4) * group
    j = (job.rows.size + 1) * job.columns.size + job.rows.output * job.columns.output
    job.turned = 1 < LANES <= 2 * planes and group == 1 and j * LANES * <Py_ssize_t> sizeof(elem) <= TURNED_BYTES
    if job.turned:
        job.from_.at, job.to.at = <char *> job.grad, job.out
        job.from_.n = job.to.n = planes // job.batch
        job.from_.channels = job.to.channels = job.batch
        job.from_.width, job.to.width = job.columns.output, job.columns.size
        job.from_.height, job.to.height = job.rows.output, job.rows.size
        job.from_.sn, job.from_.sc, job.from_.sh, job.from_.sw = job.gb0, job.gb1, job.gr, sizeof(elem)
        job.to.sn, job.to.sc, job.to.sh, job.to.sw = job.ob0, job.ob1, job.orow, sizeof(elem)
        if job.gb0 == job.batch * job.gb1 and job.ob0 == job.batch * job.ob1:      # a batch is so many planes more
            job.from_.channels = job.to.channels = planes
            job.from_.n = job.to.n = 1
        blocks = job.to.n * ((job.to.channels + LANES - 1) // LANES)
        apart = j * LANES
    workers = <int> max(1, min(<Py_ssize_t> workers, blocks, work // SHARE))
    memory = <char *> malloc((workers * apart + job.columns.output + 2 * LANES) * sizeof(elem) + CACHE_LINE)
    if memory == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {apart * sizeof(elem)} bytes of scratch")
    scratch = <elem *> aligned(memory)
    counts = scratch + workers * apart
    for j in range(job.columns.output):
        counts[j] = <elem> count(&job.columns, job.finish, j)
    job.counts = counts if job.finish != PLAIN else NULL
    try:
        leap = workers * max(1, STEP // max(1, work // blocks))
        while done < blocks:
            end = min(blocks, done + leap)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                run_spread(job, done, end, workers, scratch, apart, line)
            PyErr_CheckSignals()
            done = end
    finally:
        free(memory)
    return 0


def spread(cnp.ndarray grad not None, cnp.ndarray out not None, rows, columns, Py_ssize_t group, int finish, number,
           int workers):
    """Every output's gradient to all that its window has seen.

    grad : (M, N, rows.output, ...), aligned, native, in rows of columns.output * group elements   IN
    out : (M, N, rows.size, ...), likewise, in rows of columns.size * group; not overlapping grad   OUT
    rows, columns : the windows along each axis, `_plan.pools.Windows`
    group : channels that interleave in a row
    finish, number : what a sum had been divided by, as in pool.pyx
    workers : threads at most
    """
    cdef Spread job
    job.rows, job.columns = axis_of(rows), axis_of(columns)
    job.grad, job.out = <const char *> cnp.PyArray_DATA(grad), <char *> cnp.PyArray_DATA(out)
    job.batch = out.shape[1]
    job.planes = out.shape[0] * job.batch
    job.gb0, job.gb1, job.gr = grad.strides[0], grad.strides[1], grad.strides[2]
    job.ob0, job.ob1, job.orow = out.strides[0], out.strides[1], out.strides[2]
    job.group, job.finish, job.number = group, finish, <elem> number
    perform_spread(&job, workers)


cdef int spread_contiguous(const char *grad, char *out, const Axis *rows, const Axis *columns, Py_ssize_t planes,
                           Py_ssize_t group, int finish, int workers) except -1:
    """The same for planes that follow one another."""
    cdef Spread job
    cdef Py_ssize_t pixel = group * sizeof(elem)
    job.rows, job.columns = rows[0], columns[0]
    job.grad, job.out = grad, out
    job.planes = job.batch = planes
    job.gr, job.orow = columns.output * pixel, columns.size * pixel
    job.gb1, job.ob1 = rows.output * job.gr, rows.size * job.orow
    job.gb0, job.ob0 = planes * job.gb1, planes * job.ob1
    job.group, job.finish, job.number = group, finish, 0
    return perform_spread(&job, workers)


quick_spread = PyCapsule_New(<void *> spread_contiguous, "fastconv.quick_spread", NULL)    # for _quick.pyx
