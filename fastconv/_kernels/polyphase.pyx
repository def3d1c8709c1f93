# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Change of rate: filtered as if `up` - 1 zeros stood between samples, every `down`-th output kept, no zero touched.

    y[j] = sum_t h[p + up t] X[q - t],    q, p = divmod(j down, up)

Outputs j and j + P with P = up / gcd(up, down) have the same phase p, and their samples stand S = down / gcd
apart. So with j = r + P s and S rows of samples, row i holding X[i], X[i + S], X[i + 2 S], ..., each of the P
phases is a correlation along s of neighbours with neighbours: SIMD across s, its taps at offsets that are the
same for all s.

A line is cut into blocks of s, which the threads share. A block packs its samples into the S rows, with what lies
beyond the ends, computes the P phases one after the other, and deals their outputs out. Without decimation
(S = 1) there is one row, and the tile of lines. Where so much is left out that the rows would hold more than is
looked at, or there is no second output of a phase, every output packs what it alone needs.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc

from fastconv import _machine

from .tiles cimport LANES, LINE, elem, line, scattered_line

cdef enum:
    BLOCK_BYTES = 1 << 16       # of samples and outputs in a block: they stay about L1
    LARGE_BLOCK_BYTES = 1 << 19     # likewise, where one tile of each phase is more than that
    SHARE = 1 << 16             # multiply-adds below which another thread is not worth waking
    STEP = 1 << 28              # of each thread between two looks for Ctrl-C
    PAGE = 64

cdef struct Job:
    const char *x               # [lines, n], samples side by side
    Py_ssize_t n, xs
    const elem *left            # [lines, reach]: what is before the first sample, nearest last
    const elem *right           # [lines, reach]: what is behind the last one, nearest first
    Py_ssize_t reach, ld_beyond
    elem *y                     # [lines, count]
    Py_ssize_t count
    const elem *h               # [up, taps]: each phase's taps, reversed
    Py_ssize_t taps, up, down
    bint alone                  # every output for itself
    Py_ssize_t phases, rows     # P and S
    Py_ssize_t size, blocks     # s in a block (outputs, where they are alone), blocks of a line
    const Py_ssize_t *offset    # [rows + taps]: where sample i of a block is packed
    Py_ssize_t ld               # of packed rows
    # scratch memory of a thread: where its parts start, in bytes
    Py_ssize_t staging_at, scratch_bytes


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t multiple) noexcept nogil:
    return (n + multiple - 1) // multiple * multiple


cdef inline elem sample(const Job *job, Py_ssize_t number, Py_ssize_t i) noexcept nogil:
    """X[i] of a line; beyond what any output sees, just a number."""
    if i < 0:
        return job.left[number * job.ld_beyond + max(job.reach + i, 0)]
    if i >= job.n:
        return job.right[number * job.ld_beyond + min(i - job.n, job.reach - 1)]
    return (<const elem *> (job.x + number * job.xs))[i]


cdef void lone_block(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Outputs of a block, one by one   OUT y."""
    cdef Py_ssize_t which = number // job.blocks, first = number % job.blocks * job.size, j, i, q
    cdef elem *packed = <elem *> scratch
    cdef elem *staging = <elem *> (scratch + job.staging_at)
    for j in range(first, min(first + job.size, job.count)):
        q = j * job.down // job.up
        for i in range(job.taps):
            packed[i] = sample(job, which, q - job.taps + 1 + i)
        line(staging, packed, job.h + j * job.down % job.up * job.taps, job.taps, LANES)
        job.y[which * job.count + j] = staging[0]


cdef void block(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Outputs r + P s of a line for s of a block and all r   OUT y."""
    cdef Py_ssize_t c = number % job.blocks, which = number // job.blocks
    cdef Py_ssize_t s, r, i, m, q, p, first = c * job.size * job.rows - job.taps + 1
    cdef Py_ssize_t here = min(job.size, (job.count + job.phases - 1) // job.phases - c * job.size)
    cdef Py_ssize_t n = max(here, LANES), low, high
    cdef Py_ssize_t width = n + job.taps // job.rows + 1          # offsets end at (rows - 1 + taps - 1) // rows
    cdef elem *packed = <elem *> scratch
    cdef elem *staging = <elem *> (scratch + job.staging_at)
    cdef elem *y = job.y + which * job.count + c * job.size * job.phases
    cdef const elem *x = <const elem *> (job.x + which * job.xs) + first
    cdef elem *to
    if job.alone:
        lone_block(job, number, scratch)
        return
    low = min(max((-first + job.rows - 1) // job.rows, 0), width)       # whole columns low .. high-1 are samples
    high = max(min((job.n - first) // job.rows, width), low) if job.n > first else low
    for i in range(job.rows):
        to = packed + i * job.ld
        for m in range(low):
            to[m] = sample(job, which, first + m * job.rows + i)
        for m in range(low, high):
            to[m] = x[m * job.rows + i]
        for m in range(high, width):
            to[m] = sample(job, which, first + m * job.rows + i)
    to = staging
    for r in range(min(job.phases, job.count - c * job.size * job.phases)):
        q = r * job.down // job.up
        p = r * job.down % job.up
        if job.phases == 1 and here == n:
            to = y
        if job.rows == 1:
            line(to, packed + q, job.h + p * job.taps, job.taps, n)
        else:
            scattered_line(to, packed, job.h + p * job.taps, job.offset + q, job.taps, n)
        to += job.ld
    if job.phases > 1 or here < n:
        n = job.count - c * job.size * job.phases                       # outputs that there are from here on
        for r in range(job.phases):
            for s in range(min(here, (n - r + job.phases - 1) // job.phases)):
                y[s * job.phases + r] = staging[r * job.ld + s]


cdef void run(const Job *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:
        for i in range(first, last):
            block(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            block(job, i, scratch + threadid() * job.scratch_bytes)


def resample(cnp.ndarray x not None, cnp.ndarray left not None, cnp.ndarray right not None, cnp.ndarray y not None,
             cnp.ndarray h not None, Py_ssize_t up, Py_ssize_t down, int workers):
    """Change the rate of every line of x by up / down.

    x : (lines, n), the samples of a line side by side   IN
    left, right : (lines, reach), or (1, reach) for all, reach >= taps - 1 and >= 1: what lies beyond the ends   IN
    y : (lines, count), C-contiguous, not overlapping the others   OUT
    h : (up, taps), C-contiguous: h[p, t] is tap p + up (taps - 1 - t)   IN
    up, down : at least 1, without a common divisor
    workers : threads at most

    All of one dtype, the module's, aligned and native.
    """
    cdef Job job
    cdef Py_ssize_t lines = x.shape[0], item = sizeof(elem), most, blocks, work, done = 0, step, end, i
    cdef Py_ssize_t *offset = NULL
    cdef char *scratch = NULL
    job.x, job.n, job.xs = <const char *> cnp.PyArray_DATA(x), x.shape[1], x.strides[0]
    job.left, job.right = <const elem *> cnp.PyArray_DATA(left), <const elem *> cnp.PyArray_DATA(right)
    job.reach = left.shape[1]
    job.ld_beyond = job.reach if left.shape[0] > 1 else 0
    job.y, job.count = <elem *> cnp.PyArray_DATA(y), y.shape[1]
    job.h, job.taps = <const elem *> cnp.PyArray_DATA(h), h.shape[1]
    job.up, job.down, job.phases, job.rows = up, down, up, down
    if lines * job.count == 0:
        return
    job.alone = job.count <= up or down > up * job.taps
    if job.alone:
        most, job.rows, job.ld = job.count, 1, round_up(job.taps, LANES) + LANES
        job.size = max(SHARE // job.taps, 1)
        job.phases = 1
    else:
        most = (job.count + up - 1) // up
        job.size = BLOCK_BYTES // ((up + down) * item)
        if job.size < LINE * LANES:                 # as few as full tiles have, or else as a vector has
            job.size = LINE * LANES if LINE * LANES * (up + down) * item <= LARGE_BLOCK_BYTES else LANES
        job.size = min(job.size // LANES * LANES, round_up(most, LANES))
        job.ld = round_up(job.size + job.taps // down + 2, LANES) + LANES
    job.blocks = (most + job.size - 1) // job.size
    job.staging_at = round_up(job.rows * job.ld * item, PAGE)
    job.scratch_bytes = round_up(job.staging_at + job.phases * job.ld * item, PAGE)
    blocks = lines * job.blocks
    work = lines * job.count * (job.taps + 4)
    workers = <int> max(1, min(<Py_ssize_t> workers, blocks, work // SHARE))
    try:
        offset = <Py_ssize_t *> malloc((job.rows + job.taps) * sizeof(Py_ssize_t))
        scratch = <char *> malloc(workers * job.scratch_bytes)
        if offset == NULL or scratch == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
        for i in range(job.rows + job.taps):
            offset[i] = i % job.rows * job.ld + i // job.rows
        job.offset = offset
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
        free(offset)
