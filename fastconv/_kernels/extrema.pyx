# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The largest number in a box around each pixel; the smallest, where the keys run backward.

    out[b, i, j] = max over 0 <= p < kh, 0 <= q < kw of X[b, start0 + i + p, start1 + j + q]

X is the plane x[b] continued by a boundary. Everything is one loop over whole rows, to[j] = max(a[j], b[j]):

- along a row, windows double: T[j] = max(T[j], T[j + s]) makes windows of 2 s from windows of s, and a last step
  of kw - s, overlapping, makes them kw long. log2(kw) maxima a pixel; the unaligned loads cost less than
  transposing would;
- down the columns, van Herk and Gil-Werman: rows come in segments of kh. A segment that is complete becomes its
  running maxima from the end, seg[i] = max(seg[i], seg[i + 1]); those of the next one from its start are kept
  in one row, P. The window that begins in row i of a segment is max(seg[i], P): three maxima a pixel, whatever kh.

Both are done in one sweep down a strip of columns, narrow enough for a segment to stay in L2: each row of x is read
once, a chunk of it at a time goes through all the steps in L1, and row i of the next segment takes the place of a
row that is no longer needed. How the output is cut does not change any maximum.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc

from fastconv import _machine

from .rows cimport HIGHEST, LANES, Plane, Span, elem, give, key, larger, span, take
from .scratch cimport LINE, aligned, up

cdef enum:
    MAX_BATCH = 32              # dimensions of a batch of planes
    STRIP_BYTES = 1 << 18       # of a segment's rows: they stay in L2
    CHUNK_BYTES = 1 << 11       # of a row: what is done to them follows in L1
    LONGEST = 1 << 14           # elements of a row in a strip
    NARROWEST = 1 << 9          # bytes of a row in a strip, however high the window
    GRAIN = 1 << 22             # bytes of a task at most: what threads share must not be too coarse
    SHARE = 1 << 18             # bytes below which another thread is not worth waking
    STEP = 1 << 28              # bytes of each thread between two looks for Ctrl-C, which part and join the threads

cdef struct Job:
    Plane plane
    const char *x
    char *out
    Py_ssize_t os0, os1
    Py_ssize_t start0, start1
    Py_ssize_t kh, kw
    int batch_ndim
    Py_ssize_t batch_shape[MAX_BATCH]
    Py_ssize_t batch_xs[MAX_BATCH]
    Py_ssize_t batch_os[MAX_BATCH]
    Py_ssize_t bh, bw           # of a task's outputs
    Py_ssize_t chunk            # of a row's outputs
    Py_ssize_t row_tasks, column_tasks
    Py_ssize_t ld               # of rows in scratch memory, which a thread has `scratch_bytes` of
    Py_ssize_t rows_at, scratch_bytes


cdef void sweep(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Task `number` of the batch's strips."""
    cdef const Plane *plane = &job.plane
    cdef const char *x = job.x
    cdef char *out = job.out
    cdef elem *segment = <elem *> (scratch + job.rows_at)
    cdef elem *prefix = segment + job.kh * job.ld
    cdef elem *line = prefix + job.ld
    cdef elem *t
    cdef Py_ssize_t c = number % job.column_tasks, b = number // job.column_tasks
    cdef Py_ssize_t r = b % job.row_tasks, i, q, s, w, slot, rows, n, reach = (job.kw - 1) * plane.group
    cdef Span columns
    b //= job.row_tasks
    for i in range(job.batch_ndim - 1, -1, -1):
        x += b % job.batch_shape[i] * job.batch_xs[i]
        out += b % job.batch_shape[i] * job.batch_os[i]
        b //= job.batch_shape[i]
    r *= job.bh
    c *= job.bw
    rows, n = min(job.bh, plane.height - r), min(job.bw, plane.width - c)
    out += r * job.os0 + c * job.os1
    span(plane, job.start1 * plane.group + c, n + reach, <Py_ssize_t *> scratch, &columns)

    slot = 0
    for i in range(1 - job.kh, rows):           # the output row that this row of input completes
        t = segment + slot * job.ld
        c = 0
        while c < n:
            w = min(job.chunk, n - c)
            take(plane, x, job.start0 + r + i + job.kh - 1, &columns, c, w + reach, line if job.kw > 1 else t + c)
            s = 1
            while s < job.kw:
                q = min(s, job.kw - s)
                s += q
                if s < job.kw:
                    larger(line, line, line + q * plane.group, w + reach - (s - 1) * plane.group)
                else:
                    larger(t + c, line, line + q * plane.group, w)
            if i > 0 and slot < job.kh - 1:
                larger(prefix + c, prefix + c if slot > 0 else t + c, t + c, w)
                give(plane, out + i * job.os0 + c * job.os1, job.os1, prefix + c, t + job.ld + c, w)
            c += w
        slot += 1
        if slot == job.kh:                      # the segment is complete
            slot = 0
            c = 0
            while c < n:
                w = min(job.chunk, n - c)
                for q in range(job.kh - 2, -1, -1):
                    larger(segment + q * job.ld + c, segment + q * job.ld + c, segment + (q + 1) * job.ld + c, w)
                give(plane, out + i * job.os0 + c * job.os1, job.os1, segment + c, segment + c, w)
                c += w


cdef void lay_out(Job *job, Py_ssize_t planes, int workers) noexcept nogil:
    """Chooses the strips, and the scratch memory they need."""
    cdef const Plane *plane = &job.plane
    cdef Py_ssize_t item = sizeof(elem), reach = (job.kw - 1) * plane.group
    job.bw = min(max(STRIP_BYTES // ((job.kh + 1) * item), NARROWEST // item, reach), LONGEST)
    job.column_tasks = (plane.width + job.bw - 1) // job.bw
    job.bw = up((plane.width + job.column_tasks - 1) // job.column_tasks, LANES)
    job.column_tasks = (plane.width + job.bw - 1) // job.bw
    # A task reads kh - 1 rows more than it writes: it should write several times that many.
    job.bh = max(GRAIN // (job.bw * item), 8 * job.kh)
    if planes * job.column_tasks < 4 * workers:
        job.bh = min(job.bh, max(plane.height * planes * job.column_tasks // (4 * workers), 4 * job.kh))
    job.row_tasks = (plane.height + job.bh - 1) // job.bh
    job.bh = (plane.height + job.row_tasks - 1) // job.row_tasks
    job.chunk = min(up(max(CHUNK_BYTES // item, 2 * reach), LANES), job.bw)
    job.ld = up(job.bw + LANES, LINE // item)
    job.rows_at = up((job.bw + reach) * sizeof(Py_ssize_t), LINE)
    job.scratch_bytes = up(job.rows_at + ((job.kh + 1) * job.ld + job.chunk + reach + 2 * LANES) * item, LINE)


cdef void run(const Job *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:                            # not even a team of one: OpenMP stays asleep
        for i in range(first, last):
            sweep(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            sweep(job, i, scratch + threadid() * job.scratch_bytes)


def box(cnp.ndarray x not None, cnp.ndarray out not None, size, start, boundary, Py_ssize_t group,
        cnp.ndarray fill not None, cnp.ndarray order not None, int workers):
    """The largest number in a box, in every plane of x.

    x : (..., H, W), aligned, native, any strides, of the module's width   IN
    out : likewise, not overlapping x   OUT
    size, start, boundary : pairs; columns count pixels of `group` channels
    fill : (1,), a number: what lies outside under FILL   IN
    order : (2,), how numbers become keys: flip and infinity   IN
    workers : threads at most
    """
    cdef Job job
    cdef Plane *plane = &job.plane
    cdef int d = x.ndim - 2, i
    cdef Py_ssize_t planes = 1, tasks, done = 0, step, end
    cdef char *scratch
    if d < 0 or d > MAX_BATCH or out.ndim != x.ndim:
        raise ValueError(f"planes need the same 2 to {MAX_BATCH + 2} dimensions, not {x.ndim} and {out.ndim}")
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    plane.height, plane.width = x.shape[d], x.shape[d + 1]
    plane.xs0, plane.xs1 = x.strides[d], x.strides[d + 1]
    job.os0, job.os1 = out.strides[d], out.strides[d + 1]
    job.kh, job.kw = size
    job.start0, job.start1 = start
    plane.boundary0, plane.boundary1 = boundary
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
        planes *= x.shape[i]
    if planes * plane.height * plane.width == 0:
        return
    workers = <int> max(1, min(<Py_ssize_t> workers,
                               planes * plane.height * plane.width * <Py_ssize_t> sizeof(elem) // SHARE))
    lay_out(&job, planes, workers)
    tasks = planes * job.row_tasks * job.column_tasks
    workers = <int> min(<Py_ssize_t> workers, tasks)
    scratch = <char *> malloc(workers * job.scratch_bytes + LINE)
    if scratch == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
    try:
        step = workers * max(1, STEP // (job.bh * job.bw * <Py_ssize_t> sizeof(elem)))
        while done < tasks:
            end = min(tasks, done + step)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                run(&job, done, end, workers, aligned(scratch))
            PyErr_CheckSignals()
            done = end
    finally:
        free(scratch)
