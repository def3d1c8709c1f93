# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Separable filters of planes: a pass down the columns, then one along the rows, in one sweep.

    Z[i, j] = S0_k X[i + start0 + k, j]         cast to the dtype of the output, as everything in between
    out[i, j] = S1_k Z[i, j + (start1 + k) group]

S is a weighted sum or a mean (passes.pxd); either pass may be missing. X is the plane continued by the first
pass's boundary, Z by the second one's: unlike in correlate.pyx, a fill value is what Z has outside, not what
the first pass makes of it.

The output is cut into strips, shared among the threads, which go down a strip a few rows at a time. Rows of x
are packed once, with the boundary in them, columns too: what the first pass makes of a column does not depend on
its neighbours. Those that the next few need again are kept. So x is read and out written once, in long rows; all
between stays in L2, and a row on its way through the second pass in L1. A window of few rows reads x in place
where it lies inside. How the output is cut may change the order in which a mean adds up, so the cuts do not
depend on the number of workers.

The page is compiled for few types; input and output are in memory as any real dtype (numbers.pxd).
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memmove

from fastconv import _machine

from .frame cimport Frame, Span, outside, pack, plain, row_of, span
from .numbers cimport OWN, put, size, take
from .passes cimport MEAN, WIDE, Pass, mean_columns, mean_row, mend, weigh
from .scratch cimport up
from .tiles cimport LANES, elem

cdef enum:
    MAX_BATCH = 64              # dimensions of a batch of planes
    CACHE = 1 << 18             # bytes of rows under way: they stay in L2
    TALL = 256                  # rows of a strip: those above and below it are packed again
    ROWS = 16                   # that go down a strip together
    FEW = 4                     # rows of a window that is read in place
    STEP = 1 << 29              # sums of each thread between two looks for Ctrl-C
    SHARE = 1 << 17             # sums below which another thread is not worth waking
    PAGE = 64                   # scratch areas start on a cache line

cdef struct Job:
    Frame frame                 # of the first plane
    const char *x
    char *out
    Py_ssize_t rows, columns    # of both
    Py_ssize_t os0, os1         # strides in bytes
    int out_type
    Pass down, along
    Py_ssize_t *offset          # [taps of the second pass]: where they stand in a row
    int batch_ndim
    Py_ssize_t batch_shape[MAX_BATCH]
    Py_ssize_t batch_xs[MAX_BATCH]
    Py_ssize_t batch_os[MAX_BATCH]
    bint pack, stage            # nothing can read x, write out, in place
    Py_ssize_t height, width    # of a strip of the output
    Py_ssize_t strips_down, strips_across
    Py_ssize_t step             # rows at a time
    # where the parts of a thread's scratch memory start, in bytes
    Py_ssize_t packed_at, middle_at, tails_at, line_at, scratch_bytes


cdef inline Py_ssize_t reach(const Pass *p) noexcept nogil:
    return p.n - 1 if p.n else 0


# --- a strip --------------------------------------------------------------------------------------------

cdef void down(const Job *job, elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, Py_ssize_t rows,
               Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t at = 0, i
    if job.down.sum == MEAN:
        mean_columns(out, ldo, x, ldx, &job.down, rows, n, <elem *> (scratch + job.tails_at))
        return
    weigh(out, ldo, x, ldx, ldx, &job.down, &at, rows, n)
    if job.down.doubt > 0:
        for i in range(rows):
            mend(out + i * ldo, x + i * ldx, ldx, &job.down, n)


cdef void along(const Job *job, elem *out, const elem *x, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef elem *spare = <elem *> (scratch + job.tails_at)
    if job.along.sum == MEAN:
        mean_row(out, x, job.frame.group, &job.along, n, spare, spare + job.frame.ld)
        return
    weigh(out, 0, x, 0, job.frame.group, &job.along, job.offset, 1, n)
    if job.along.doubt > 0:
        mend(out, x, job.frame.group, &job.along, n)


cdef void sweep(const Job *job, char *out, const elem *x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t columns,
                const Span *s, char *scratch) noexcept nogil:
    """Both passes over some rows of a strip   IN x[rows + above, s.n]   OUT out[rows, columns]."""
    cdef elem *to = <elem *> (scratch + job.middle_at)
    cdef elem *line = <elem *> (scratch + job.line_at)
    cdef Py_ssize_t i, ldz = job.frame.ld
    cdef bint staged = job.stage or columns < LANES
    if job.along.n == 0:
        if not staged:
            to, ldz = <elem *> out, job.os0 // <Py_ssize_t> sizeof(elem)
        down(job, to, ldz, x, ldx, rows, s.n, scratch)
        if staged:
            for i in range(rows):
                put(job.out_type, to + i * ldz, out + i * job.os0, job.os1, columns)
        return
    if job.down.n:
        down(job, to, ldz, x, ldx, rows, s.n, scratch)
        for i in range(rows):
            if job.out_type != OWN:
                put(job.out_type, to + i * ldz, <char *> line, size(job.out_type), s.n)
                take(job.out_type, to + i * ldz, <char *> line, size(job.out_type), s.n)
            outside(&job.frame, to + i * ldz, s, NULL)
        x, ldx = to, ldz
    for i in range(rows):
        if staged:
            along(job, line, x + i * ldx, max(columns, LANES), scratch)
            put(job.out_type, line, out + i * job.os0, job.os1, columns)
        else:
            along(job, <elem *> (out + i * job.os0), x + i * ldx, columns, scratch)


cdef void strip(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Strip `number` of the batch's planes."""
    cdef const char *x = job.x
    cdef char *out = job.out
    cdef const Frame *f = &job.frame
    cdef Py_ssize_t first_column = number % job.strips_across * job.width, first_row, b, i, done = 0, kept = 0
    cdef Py_ssize_t row, rows, columns, above = reach(&job.down)
    cdef Span s
    cdef char *to
    cdef elem *packed = <elem *> (scratch + job.packed_at)
    b = number // job.strips_across
    first_row = b % job.strips_down * job.height
    b //= job.strips_down
    for i in range(job.batch_ndim - 1, -1, -1):
        x += b % job.batch_shape[i] * job.batch_xs[i]
        out += b % job.batch_shape[i] * job.batch_os[i]
        b //= job.batch_shape[i]

    columns = min(job.width, job.columns - first_column)
    span(f, first_column + job.along.start * f.group, columns, reach(&job.along) * f.group,
         <Py_ssize_t *> scratch, &s)
    while done < job.height and first_row + done < job.rows:
        row = first_row + done
        rows = min(job.step, job.rows - row, job.height - done)
        row += job.down.start
        to = out + (first_row + done) * job.os0 + first_column * job.os1
        if not job.pack and s.low == 0 and s.high == s.n and row >= 0 and rows + above <= job.rows - row:
            sweep(job, to, <const elem *> (x + row * f.xs0 + s.first * f.xs1),
                  f.xs0 // <Py_ssize_t> sizeof(elem), rows, columns, &s, scratch)
            kept = 0
        else:
            if kept:
                memmove(packed, packed + job.step * f.ld, above * f.ld * sizeof(elem))
            pack(f, x, row + kept, rows + above - kept, &s, packed + kept * f.ld)
            kept = above
            sweep(job, to, packed, f.ld, rows, columns, &s, scratch)
        done += rows


# --- the strips -----------------------------------------------------------------------------------------

cdef bint lay_out(Job *job) noexcept nogil:
    """Chooses the strips, and the scratch memory they need. False: out of memory."""
    cdef Py_ssize_t above = reach(&job.down), beside = reach(&job.along) * job.frame.group, item = sizeof(elem)
    cdef Py_ssize_t i, ld
    job.step = ROWS
    if job.down.n and job.down.sum == MEAN:         # whole windows, as mean_strip adds them up
        job.step = up(ROWS, job.down.n)
    job.height = min(up(max(TALL, 4 * above), job.step), job.rows)
    job.step = min(job.step, job.height)
    job.width = max(CACHE // ((2 * job.step + above) * item) - beside, beside, WIDE * LANES)
    job.strips_across = (job.columns + job.width - 1) // job.width
    job.width = min(up((job.columns + job.strips_across - 1) // job.strips_across, LANES), job.columns)
    job.strips_across = (job.columns + job.width - 1) // job.width
    job.strips_down = (job.rows + job.height - 1) // job.height

    job.frame.ld = ld = row_of(max(job.width, LANES) + beside + LANES)
    job.packed_at = up(ld * sizeof(Py_ssize_t), PAGE)
    job.middle_at = job.packed_at + up((job.step + above) * ld * item, PAGE)
    job.tails_at = job.middle_at + up(job.step * ld * item, PAGE)
    job.line_at = job.tails_at + up(max(job.down.n * WIDE * LANES, 2 * ld) * item, PAGE)
    job.scratch_bytes = job.line_at + up(ld * 8, PAGE)

    job.offset = <Py_ssize_t *> malloc(max(job.along.n, 1) * sizeof(Py_ssize_t))
    if job.offset == NULL:
        return False
    for i in range(job.along.n):
        job.offset[i] = i * job.frame.group
    return True


cdef void run(const Job *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:                                # not even a team of one: OpenMP stays asleep
        for i in range(first, last):
            strip(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            strip(job, i, scratch + threadid() * job.scratch_bytes)


cdef int read_pass(Pass *p, object given) except -1:
    cdef cnp.ndarray numbers, exact
    p.n = p.start = p.boundary = 0
    p.fill = 0
    if given is None:
        return 0
    p.sum, p.n, p.start, p.boundary, numbers, exact, p.shift = given
    p.w = <const elem *> cnp.PyArray_DATA(numbers)
    p.fill, p.doubt, p.scale, p.divisor = p.w[0], p.w[1], p.w[2], p.w[3]
    p.w += 4
    p.exact = NULL if exact is None else <double *> cnp.PyArray_DATA(exact)
    return 0


def separable(cnp.ndarray x not None, cnp.ndarray out not None, int x_type, int out_type, down, along,
              Py_ssize_t group, int workers):
    """Filter every plane of x down its columns, then along its rows.

    x : (..., H, W), aligned, native, any strides, of type x_type   IN
    out : likewise, of type out_type, not overlapping x   OUT
    down, along : (sum, n, start, boundary, numbers, exact, shift), or one of them None; see Pass   IN
        numbers : contiguous, of the module's type: fill, doubt, scale, divisor, and the n weights of a sum
        exact : contiguous, float64: the weights, where there is doubt; otherwise None
    group : channels that interleave in a row
    workers : threads at most
    """
    cdef Job job
    cdef int d = x.ndim - 2, i
    cdef Py_ssize_t blocks, done = 0, step, end, work
    cdef char *scratch = NULL
    if d < 0 or d > MAX_BATCH or out.ndim != x.ndim:
        raise ValueError(f"planes need the same 2 to {MAX_BATCH + 2} dimensions, not {x.ndim} and {out.ndim}")
    read_pass(&job.down, down)
    read_pass(&job.along, along)
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    job.frame.rows = job.rows = x.shape[d]
    job.frame.columns = job.columns = x.shape[d + 1]
    job.frame.xs0, job.frame.xs1, job.frame.type = x.strides[d], x.strides[d + 1], x_type
    job.frame.group = group
    job.frame.boundary0, job.frame.fill0 = job.down.boundary, job.down.fill
    job.frame.boundary1, job.frame.fill1 = job.along.boundary, job.along.fill
    job.os0, job.os1, job.out_type = out.strides[d], out.strides[d + 1], out_type
    job.batch_ndim = d
    blocks = 1
    for i in range(d):
        job.batch_shape[i] = x.shape[i]
        job.batch_xs[i] = x.strides[i]
        job.batch_os[i] = out.strides[i]
        blocks *= x.shape[i]
    work = blocks * job.rows * job.columns
    if work == 0:
        return
    job.pack = not plain(&job.frame) or job.down.n > FEW
    job.stage = out_type != OWN or job.os1 != sizeof(elem) or job.os0 % <Py_ssize_t> sizeof(elem) != 0
    work *= job.down.n + job.along.n
    try:
        if not lay_out(&job):
            raise MemoryError("fastconv: no memory to lay out the work")
        blocks *= job.strips_down * job.strips_across
        workers = <int> max(1, min(<Py_ssize_t> workers, blocks, work // SHARE))
        scratch = <char *> malloc(workers * job.scratch_bytes)
        if scratch == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
        step = workers * max(1, STEP // max(1, work // blocks))
        while done < blocks:
            end = min(blocks, done + step)
            if workers > 1:     # asked here: a signal's handler may have called, too, and let threads go
                workers = _machine.startable(workers)
            with nogil:
                run(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
    finally:
        free(scratch)
        free(job.offset)
