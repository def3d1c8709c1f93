# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Cross-correlation: one driver for signals, lines of N-D arrays, images, colour images and volumes.

    out[b, o, i, j] = sum_k sum_p sum_q h[k, p, q] X[b, start + o stride + k dilation,
                                                     start0 + i stride0 + p dilation0, start1 + j stride1 + q dilation1]

X is x[b] continued by a boundary; o and k are indices of any number of outer axes, none for an image. The output
is cut into blocks, shared among the threads:

- a block that lies inside reads x in place;
- a block that reaches over the rim, or whose input is not stored as the tiles need it (strided, converted,
  every n-th column), is first packed into scratch memory with the boundary in it, sorted by column phase;
- a block of a kernel with outer axes is a run of output planes, always packed: what they need of an input plane goes
  into the slot that the plane has modulo the kernel, and stays there while the run's windows reach it.

So a boundary costs only where there is one, and the tiles (tiles.pxd) know of none of this. The kernel's shape
chooses the tile: one row goes by lines, all else by planes. How the output is cut does not change any sum, so the
result is the same for every number of workers.

A kernel that is a sum of outer products, of one in the plainest case,

    h[p, q] = sum_t columns[t, p] rows[t, q]

does the rows of every term by lines into scratch, then all their columns from there as one sum over the planes t,
while the block is in cache. Terms of infinite samples may cancel where the kernel's own products do not, and so may
what overflows: outputs of several terms that are not finite are summed again by the kernel as it is.

Arrays come as ndarrays and are walked by pointer and stride: taking three memoryviews costs more than a small
call has to spend.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_New
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastconv import _machine

from .scratch cimport copy, spaced, up
from .tiles cimport (
    COLUMNS, CONVERTS, INTEGER, LANES, all_finite, correlate_plane, elem, elem_in, elem_out, read, scale_t,
    strip_columns, strip_height, tile_rows, write, write_line,
)

cdef enum:              # numbers that _plan/grids.py names
    FILL = 0            # v v | a b c d | v v
    WRAP = 1            # c d | a b c d | a b
    SYMM = 2            # b a | a b c d | d c
    MIRROR = 3          # c b | a b c d | c b
    NEAREST = 4         # a a | a b c d | d d

cdef enum:
    MAX_BATCH = 32              # dimensions of a batch of planes
    SMALL_BYTES = 1 << 14       # an output this small is one packed block: a rim of eight would cost more
    BLOCK_BYTES = 1 << 18       # of input in a block: it stays in L2
    TILE_BYTES = 1 << 15        # of input that one row of tiles reads of several planes: it stays in L1
    LONGEST = 1 << 14           # elements of a row in a block
    GRAIN = 1 << 24             # multiply-adds of a block at most: what threads share must not be too coarse
    STEP = 1 << 29              # of each thread between two looks for Ctrl-C, which part and join the threads
    SHARE = 1 << 18             # multiply-adds below which another thread is not worth waking
    TURNS = 4                   # blocks for each thread, where a run of planes could be longer
    PAGE = 64                   # scratch areas start on a cache line
    MANY = 64                   # taps for which a rim of whole tiles is worth its packing
    QUICK_TAPS = 256            # of a kernel that a small call copies to its stack

cdef extern from "Python.h":
    const Py_ssize_t NOWHERE "PY_SSIZE_T_MIN"

cdef struct Axis:               # an outer one
    Py_ssize_t n, count         # of x, of out
    Py_ssize_t xs, os           # strides in bytes
    Py_ssize_t start, stride, dilation
    Py_ssize_t taps

cdef struct Job:
    const char *x               # the first plane, and its rows and columns
    Py_ssize_t height, width
    Py_ssize_t xs0, xs1         # strides in bytes
    char *out
    Py_ssize_t rows, columns
    Py_ssize_t os0, os1
    Py_ssize_t start0, start1
    Py_ssize_t stride0, stride1
    Py_ssize_t dilation0, dilation1
    Py_ssize_t group            # interleaved channels: columns i and i + group are neighbours
    Py_ssize_t kh, kw
    int outer
    Axis axes[MAX_BATCH]
    Py_ssize_t planes           # of the kernel
    Py_ssize_t outputs          # planes of an array of the batch
    const elem *h               # [planes, kh, kw], or NULL where there is one term
    Py_ssize_t terms            # 0: the sum is taken as it is written
    const elem *row_taps        # [terms, kw]
    const elem *column_taps     # [terms, kh]
    Py_ssize_t *offset          # [kw]: where a kernel column stands in a row that the tiles read
    int boundary
    elem fill
    scale_t scale               # of integers' sums that are converted
    int batch_ndim
    Py_ssize_t batch_shape[MAX_BATCH]
    Py_ssize_t batch_xs[MAX_BATCH]
    Py_ssize_t batch_os[MAX_BATCH]
    bint pack, stage            # no block can read x, write out, in place
    # the grid of blocks: cuts[0] .. cuts[n] on each axis, and runs of so many output planes
    Py_ssize_t *row_cuts
    Py_ssize_t *column_cuts
    Py_ssize_t row_blocks, column_blocks
    Py_ssize_t run, runs
    # scratch memory of a thread: where its parts start, in bytes, and their rows, in elements
    Py_ssize_t step_at, tags_at, packed_at, slot_bytes, middle_at, staging_at, scratch_bytes
    Py_ssize_t phase, middle_ld, middle_size, staging_ld


# --- packing --------------------------------------------------------------------------------------------

cdef inline Py_ssize_t source(Py_ssize_t i, Py_ssize_t n, int boundary) noexcept nogil:
    """Where index i of an axis of n that a boundary continues is found; NOWHERE: it is the fill value."""
    cdef Py_ssize_t period
    if 0 <= i < n:
        return i
    if boundary == FILL:
        return NOWHERE
    if boundary == NEAREST:
        return 0 if i < 0 else n - 1
    if boundary == MIRROR and n == 1:
        return 0
    period = n if boundary == WRAP else 2 * n if boundary == SYMM else 2 * n - 2
    i %= period
    if i < 0:
        i += period
    if i < n:
        return i
    return period - i - (1 if boundary == SYMM else 0)


cdef inline Py_ssize_t column_source(const Job *job, Py_ssize_t i) noexcept nogil:
    """The same for a column of x, whose channels do not mix; in bytes from the start of a row."""
    cdef Py_ssize_t pixel, channel
    if job.group == 1:
        i = source(i, job.width, job.boundary)
    else:
        channel = i % job.group
        if channel < 0:
            channel += job.group
        pixel = source((i - channel) // job.group, job.width // job.group, job.boundary)
        i = NOWHERE if pixel == NOWHERE else pixel * job.group + channel
    return NOWHERE if i == NOWHERE else i * job.xs1


cdef void pack(const Job *job, const char *x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows,
               Py_ssize_t columns, Py_ssize_t phase, Py_ssize_t *where, elem *packed, Py_ssize_t ld) noexcept nogil:
    """A block of the continued plane   IN x   OUT packed[rows, stride1, phase]   TEMP where[stride1, phase].

    Column j stands at [j % stride1, j // stride1], so that neighbouring outputs read neighbours.
    """
    cdef Py_ssize_t i, j, m, s, low = 0, high = 0, n = phase * job.stride1
    cdef elem *to
    cdef const char *at
    if job.stride1 == 1:                            # columns low .. high-1 lie inside, side by side
        low = min(max(-column, 0), columns)
        high = max(min(job.width - column, columns), low)
        if columns - (job.kw - 1) * job.dilation1 >= LANES:
            n = phase = columns                     # no tile reads beyond
    for s in range(job.stride1):
        m = 0
        while m < phase:
            j = m * job.stride1 + s
            if low <= j < high:                     # which is so where columns are not sorted by phase alone
                m = high
                continue
            where[s * phase + m] = column_source(job, column + j) if j < columns else NOWHERE
            m += 1
    for i in range(rows):
        to = packed + i * ld
        m = source(row + i, job.height, job.boundary)
        if m == NOWHERE:
            for j in range(n):
                to[j] = job.fill
            continue
        at = x + m * job.xs0
        gather(job, to, at, where, 0, low)
        copy_in(to + low, at + (column + low) * job.xs1, job.xs1, high - low)
        gather(job, to, at, where, high, n)


cdef inline void gather(const Job *job, elem *to, const char *at, const Py_ssize_t *where,
                        Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(first, last):
        if where[j] == NOWHERE:
            to[j] = job.fill
        else:
            to[j] = read(<const elem_in *> (at + where[j]))


cdef inline void copy_in(elem *to, const char *at, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    cdef const elem_in *side_by_side = <const elem_in *> at
    if step != sizeof(elem_in):
        for j in range(n):
            to[j] = read(<const elem_in *> (at + j * step))
    elif CONVERTS:
        for j in range(n):
            to[j] = read(side_by_side + j)
    else:
        copy(to, <const elem *> at, n)


cdef inline void copy_out(char *at, Py_ssize_t step, const elem *v, Py_ssize_t n, scale_t scale) noexcept nogil:
    cdef Py_ssize_t j
    if step != sizeof(elem_out):
        for j in range(n):
            (<elem_out *> (at + j * step))[0] = write(v[j], scale)
    else:
        write_line(<elem_out *> at, v, n, scale)


# --- a block --------------------------------------------------------------------------------------------

cdef inline const char *input_plane(const Job *job, const char *x, Py_ssize_t o, Py_ssize_t k,
                                    Py_ssize_t *slot) noexcept nogil:
    """The plane that output plane o needs for kernel plane k; NULL: it is of fill values. `slot` is its own there."""
    cdef Py_ssize_t at, i, place = 1
    cdef const Axis *axis
    cdef int a
    slot[0] = 0
    for a in range(job.outer - 1, -1, -1):
        axis = &job.axes[a]
        at = o % axis.count * axis.stride + k % axis.taps * axis.dilation
        slot[0] += at // axis.dilation % axis.taps * place
        i = source(axis.start + at, axis.n, job.boundary)
        if i == NOWHERE or x == NULL:
            x = NULL
        else:
            x += i * axis.xs
        o //= axis.count
        k //= axis.taps
        place *= axis.taps
    return x


cdef inline char *output_plane(const Job *job, char *out, Py_ssize_t o) noexcept nogil:
    cdef int a
    for a in range(job.outer - 1, -1, -1):
        out += o % job.axes[a].count * job.axes[a].os
        o //= job.axes[a].count
    return out


cdef void correlate_rows(elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, const elem *h, Py_ssize_t planes,
                         Py_ssize_t *step, Py_ssize_t kh, Py_ssize_t kw, const Py_ssize_t *offset, Py_ssize_t stride,
                         Py_ssize_t dilation, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """`correlate_plane`, compiled once for all that call it."""
    correlate_plane(out, ldo, x, ldx, h, planes, step, kh, kw, offset, stride, dilation, rows, n)


cdef inline void repair(const Job *job, elem *result, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, elem *again,
                        Py_ssize_t *step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t n) noexcept nogil:
    """Sums what is not finite by the kernel as it is   IN x   INOUT result   TEMP again."""
    cdef Py_ssize_t i, j
    cdef bint finite = True
    for i in range(rows):
        finite = finite and all_finite(result + i * ldo, columns)
    if finite:
        return
    correlate_rows(again, job.middle_ld, x, ldx, job.h, 1, step, job.kh, job.kw, job.offset, job.stride0,
                   job.dilation0, rows, n)
    for i in range(rows):
        for j in range(columns):
            if not all_finite(result + i * ldo + j, 1):
                result[i * ldo + j] = again[i * job.middle_ld + j]


cdef void block(const Job *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Block `number` of the batch's grids of blocks."""
    cdef const char *x = job.x
    cdef char *out = job.out
    cdef char *to
    cdef Py_ssize_t c = (number + 1) % job.column_blocks, r, b, i, o, k, first
    cdef Py_ssize_t row, column, height, width, rows, columns, n, phase, ldx, ldo, slot
    cdef const char *at
    cdef const elem *origin
    cdef const elem *section
    cdef const elem *last
    cdef elem *result
    cdef elem *packed
    cdef elem *middle = <elem *> (scratch + job.middle_at)
    cdef Py_ssize_t *step = <Py_ssize_t *> (scratch + job.step_at)
    cdef const char **tags = <const char **> (scratch + job.tags_at)
    cdef bint in_place, staged
    b = number // job.column_blocks
    r = b % job.row_blocks
    b //= job.row_blocks
    first = b % job.runs * job.run
    b //= job.runs
    for i in range(job.batch_ndim - 1, -1, -1):
        x += b % job.batch_shape[i] * job.batch_xs[i]
        out += b % job.batch_shape[i] * job.batch_os[i]
        b //= job.batch_shape[i]

    rows = job.row_cuts[r + 1] - job.row_cuts[r]
    columns = job.column_cuts[c + 1] - job.column_cuts[c]
    out += job.row_cuts[r] * job.os0 + job.column_cuts[c] * job.os1
    row = job.start0 + job.row_cuts[r] * job.stride0
    column = job.start1 + job.column_cuts[c] * job.stride1
    height = (rows - 1) * job.stride0 + (job.kh - 1) * job.dilation0 + 1
    width = (columns - 1) * job.stride1 + (job.kw - 1) * job.dilation1 + 1
    n = max(columns, LANES)

    in_place = (not job.pack and columns >= LANES and row >= 0 and column >= 0
                and height <= job.height - row and width <= job.width - column)
    if in_place:
        ldx = job.xs0 // <Py_ssize_t> sizeof(elem)
    else:
        phase = job.phase if job.stride1 > 1 else up(n + (job.kw - 1) * job.dilation1, LANES)
        ldx = spaced(phase * job.stride1)
        for k in range(job.planes):
            tags[k] = <const char *> job                # no plane: nothing is packed yet
    staged = job.stage or columns < LANES
    ldo = job.staging_ld if staged else job.os0 // <Py_ssize_t> sizeof(elem)

    for o in range(first, min(first + job.run, job.outputs)):
        for k in range(job.planes):
            at = input_plane(job, x, o, k, &slot)
            if in_place:
                section = <const elem *> (at + row * job.xs0 + column * job.xs1)
            else:
                section = packed = <elem *> (scratch + job.packed_at + slot * job.slot_bytes)
                if tags[slot] != at:
                    tags[slot] = at
                    if at == NULL:
                        for i in range(height * ldx):
                            packed[i] = job.fill
                    else:
                        pack(job, at, row, column, height, width, phase, <Py_ssize_t *> scratch, packed, ldx)
            if k == 0:
                origin = last = section
            else:
                step[k - 1] = section - last
                last = section
        step[job.planes - 1] = 0
        to = output_plane(job, out, o)
        result = <elem *> (scratch + job.staging_at) if staged else <elem *> to
        if job.terms == 0:
            correlate_rows(result, ldo, origin, ldx, job.h, job.planes, step, job.kh, job.kw, job.offset, job.stride0,
                           job.dilation0, rows, n)
        else:
            for i in range(job.terms):
                correlate_rows(middle + i * job.middle_size, job.middle_ld, origin, ldx, job.row_taps + i * job.kw, 1,
                               step, 1, job.kw, job.offset, 1, 1, height, n)
                step[i] = job.middle_size
            correlate_rows(result, ldo, middle, job.middle_ld, job.column_taps, job.terms, step, job.kh, 1, job.offset,
                           job.stride0, job.dilation0, rows, n)
            if job.terms > 1 and not INTEGER:
                repair(job, result, ldo, origin, ldx, middle, step, rows, columns, n)
        if staged:
            for i in range(rows):
                copy_out(to + i * job.os0, job.os1, result + i * ldo, columns, job.scale)


# --- the grid of blocks ---------------------------------------------------------------------------------

cdef Py_ssize_t *cut(Py_ssize_t n, Py_ssize_t low, Py_ssize_t high, Py_ssize_t size,
                     Py_ssize_t *count) noexcept nogil:
    """Cuts 0 .. n at low and high, and into pieces of at most `size`; NULL if memory is out."""
    cdef Py_ssize_t at = 0, k = 0, end
    cdef Py_ssize_t *cuts = <Py_ssize_t *> malloc((n // size + 5) * sizeof(Py_ssize_t))
    if cuts == NULL:
        return NULL
    cuts[0] = 0
    while at < n:
        end = low if at < low else high if at < high else n
        at = min(at + size, end)
        k += 1
        cuts[k] = at
    count[0] = k
    return cuts


cdef inline void inside(Py_ssize_t start, Py_ssize_t stride, Py_ssize_t reach, Py_ssize_t n,
                        Py_ssize_t count, Py_ssize_t tile, Py_ssize_t *low, Py_ssize_t *high) noexcept nogil:
    """Outputs low .. high-1 see no boundary; the rim is widened to a multiple of `tile` where there is room."""
    cdef Py_ssize_t first = 0 if start >= 0 else (-start + stride - 1) // stride
    cdef Py_ssize_t last = (n - 1 - reach - start) // stride + 1 if n - 1 - reach - start >= 0 else 0
    low[0] = min(up(first, tile), count)
    high[0] = min(last, count)
    if high[0] < count:
        high[0] -= (tile - (count - high[0]) % tile) % tile
    if high[0] <= low[0]:
        low[0] = high[0] = 0


cdef inline Py_ssize_t multiply_adds(const Job *job) noexcept nogil:
    """Of an output."""
    return job.terms * (job.kh + job.kw) if job.terms > 0 else job.planes * job.kh * job.kw


cdef bint lay_out(Job *job, Py_ssize_t arrays, int workers) noexcept nogil:
    """Chooses the blocks, and the scratch memory they need, for a batch. False: out of memory."""
    cdef Py_ssize_t reach0 = (job.kh - 1) * job.dilation0, reach1 = (job.kw - 1) * job.dilation1
    cdef Py_ssize_t low0 = 0, high0 = 0, low1 = 0, high1 = 0, height, width, bh, bw, area, i
    cdef Py_ssize_t item = sizeof(elem), tile = tile_rows(job.kh)
    cdef Py_ssize_t strip = strip_columns(job.kh, job.kw) if strip_height(job.kh) <= job.rows else 0
    cdef Py_ssize_t unit = strip if strip > 0 else LANES
    job.row_cuts = job.column_cuts = job.offset = NULL
    if job.outer or job.rows * job.columns * item <= SMALL_BYTES and reach0 * reach1 <= SMALL_BYTES:
        job.pack = True
    area = multiply_adds(job)
    bh = 128 if strip > 0 and job.terms == 0 else up(32, tile)     # strips lose rows at either end
    if job.pack or job.terms > 0:                   # rows above and below are packed or filtered again
        bh = up(min(max(bh, 4 * reach0), 128), tile)
    bh = min(bh, job.rows)
    bw = min(job.columns, LONGEST // unit * unit, up(BLOCK_BYTES // (bh * item), unit))
    if job.outer:
        bw = min(bw, max(up(TILE_BYTES // (job.planes * (tile + reach0) * item), LANES), 4 * LANES))
        while job.planes * (bh + reach0) * (bw + reach1) > BLOCK_BYTES // item and bh > 2 * tile:
            bh = up(bh // 2, tile)
    while bh * bw > GRAIN // area and bw > 4 * LANES:
        bw = up(bw // 2, unit)
    while bh * bw > GRAIN // area and bh > tile:
        bh = up(bh // 2, tile)
    if not job.pack:
        inside(job.start0, job.stride0, reach0, job.height, job.rows, tile, &low0, &high0)
        inside(job.start1, job.stride1, reach1, job.width, job.columns,
               LANES if area < MANY else strip if strip > 0 else COLUMNS * LANES, &low1, &high1)
    job.row_cuts = cut(job.rows, low0, high0, bh, &job.row_blocks)
    job.column_cuts = cut(job.columns, low1, high1, bw, &job.column_blocks)

    # Runs are long, for what one output needs the next has packed already, but every thread gets some.
    job.run = min(job.outputs, GRAIN // (area * bh * bw))
    if workers > 1:
        job.run = min(job.run, job.outputs * arrays * job.row_blocks * job.column_blocks // (TURNS * workers))
    job.run = max(job.run, 1)
    job.runs = (job.outputs + job.run - 1) // job.run

    height = (bh - 1) * job.stride0 + reach0 + 1
    width = (max(bw, LANES) - 1) * job.stride1 + reach1 + 1
    job.phase = up(width // job.stride1 + 1, LANES)
    job.middle_ld = job.staging_ld = up(max(bw, LANES), LANES) + LANES
    job.step_at = up(job.phase * job.stride1 * sizeof(Py_ssize_t), PAGE)
    job.tags_at = job.step_at + up(max(job.planes, job.terms) * job.kh * sizeof(Py_ssize_t), PAGE)
    job.packed_at = job.tags_at + up(job.planes * sizeof(char *), PAGE)
    job.slot_bytes = height * spaced(job.phase * job.stride1) * item
    job.middle_at = job.packed_at + job.planes * job.slot_bytes
    job.middle_size = up(height * job.middle_ld, LANES)
    job.staging_at = job.middle_at + up(job.terms * job.middle_size * item, PAGE)
    job.scratch_bytes = job.staging_at + up(bh * job.staging_ld * item, PAGE)

    job.offset = <Py_ssize_t *> malloc(job.kw * sizeof(Py_ssize_t))
    if job.offset == NULL or job.row_cuts == NULL or job.column_cuts == NULL:
        return False
    for i in range(job.kw):
        job.offset[i] = i * job.dilation1 % job.stride1 * job.phase + i * job.dilation1 // job.stride1
    return True


cdef inline void free_layout(Job *job) noexcept nogil:
    free(job.row_cuts)
    free(job.column_cuts)
    free(job.offset)


cdef void run(const Job *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef int chunk = <int> job.column_blocks if job.column_blocks <= 3 else 1   # a block with its rims
    cdef Py_ssize_t i
    if workers == 1:                                # not even a team of one: OpenMP stays asleep
        for i in range(first, last):
            block(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic", chunksize=chunk):
            block(job, i, scratch + threadid() * job.scratch_bytes)


def correlate(cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray kernel, cnp.ndarray columns,
              cnp.ndarray rows, cnp.ndarray fill not None, int boundary, start, stride, dilation,
              Py_ssize_t group, int workers, int shift=0, Py_ssize_t low=0):
    """Correlate every array of a batch with one kernel of m dimensions, m = 2 (planes) or more.

    x : (..., n[0], ..., n[m-1]), aligned, native, any strides, of the module's input type   IN
    out : (..., count[0], ..., count[m-1]), likewise, not overlapping x or kernel   OUT
    kernel : (k[0], ..., k[m-1]), C-contiguous; may be None where it is one outer product   IN
    columns, rows : (terms, kh), (terms, kw), C-contiguous, or None: outer products that the kernel is the sum of   IN
    fill : (1,), what lies outside under FILL   IN
    start, stride, dilation : m numbers each; the last start and dilation count elements, not pixels
    group : channels that interleave in a row
    workers : threads at most
    shift, low : of pixels summed as integers: taps are the kernel's times 2^shift, and no sum is below -low
    """
    cdef Job job
    cdef int d = x.ndim - 2, outer = 0 if kernel is None else kernel.ndim - 2, batch = d - outer, i
    cdef Py_ssize_t arrays = 1, blocks, done = 0, step, end, area, work
    cdef char *scratch
    cdef bint laid
    if outer < 0 or not 0 <= batch <= MAX_BATCH or outer > MAX_BATCH or out.ndim != x.ndim:
        raise ValueError(f"a kernel of {outer + 2} dimensions, at least 2, needs arrays of as many, or up to "
                         f"{MAX_BATCH} more, not {x.ndim} and {out.ndim}")
    job.x, job.out = <const char *> cnp.PyArray_DATA(x), <char *> cnp.PyArray_DATA(out)
    job.height, job.width = x.shape[d], x.shape[d + 1]
    job.rows, job.columns = out.shape[d], out.shape[d + 1]
    job.xs0, job.xs1 = x.strides[d], x.strides[d + 1]
    job.os0, job.os1 = out.strides[d], out.strides[d + 1]
    job.start0, job.start1 = start[outer], start[outer + 1]
    job.stride0, job.stride1 = stride[outer], stride[outer + 1]
    job.dilation0, job.dilation1 = dilation[outer], dilation[outer + 1]
    job.group = group
    job.h = NULL if kernel is None else <const elem *> cnp.PyArray_DATA(kernel)
    job.terms = 0 if columns is None else columns.shape[0]
    if job.terms == 0:
        job.kh, job.kw = kernel.shape[outer], kernel.shape[outer + 1]
        job.row_taps = job.column_taps = NULL
    else:
        job.kh, job.kw = columns.shape[1], rows.shape[1]
        job.row_taps, job.column_taps = (<const elem *> cnp.PyArray_DATA(rows),
                                         <const elem *> cnp.PyArray_DATA(columns))
    job.boundary = boundary
    job.fill = (<const elem *> cnp.PyArray_DATA(fill))[0]
    job.scale.shift, job.scale.low = shift, low
    job.batch_ndim = batch
    for i in range(batch):
        job.batch_shape[i] = x.shape[i]
        job.batch_xs[i] = x.strides[i]
        job.batch_os[i] = out.strides[i]
        arrays *= x.shape[i]
    job.outer, job.planes, job.outputs = outer, 1, 1
    for i in range(outer):
        job.axes[i].n, job.axes[i].count = x.shape[batch + i], out.shape[batch + i]
        job.axes[i].xs, job.axes[i].os = x.strides[batch + i], out.strides[batch + i]
        job.axes[i].start, job.axes[i].stride, job.axes[i].dilation = start[i], stride[i], dilation[i]
        job.axes[i].taps = kernel.shape[i]
        job.planes *= kernel.shape[i]
        job.outputs *= out.shape[batch + i]
    work = arrays * job.outputs * job.rows * job.columns
    if work == 0:
        return
    job.pack = (CONVERTS or job.stride1 > 1 or job.xs1 != sizeof(elem)
                or job.xs0 % <Py_ssize_t> sizeof(elem) != 0)
    job.stage = CONVERTS or job.os1 != sizeof(elem) or job.os0 % <Py_ssize_t> sizeof(elem) != 0
    area = multiply_adds(&job)
    workers = <int> max(1, min(<Py_ssize_t> workers, work // max(1, SHARE // (area + 4))))
    scratch = NULL
    laid = lay_out(&job, arrays, workers)
    try:
        if not laid:
            raise MemoryError("fastconv: no memory to lay out the work")
        blocks = arrays * job.runs * job.row_blocks * job.column_blocks
        workers = <int> min(<Py_ssize_t> workers, blocks)
        scratch = <char *> malloc(workers * job.scratch_bytes)
        if scratch == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
        step = workers * max(1, STEP // max(1, work // blocks * area))
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
        free_layout(&job)


# --- small calls ----------------------------------------------------------------------------------------

cdef int quick(char *out, Py_ssize_t rows, Py_ssize_t columns, const char *x, Py_ssize_t height,
               Py_ssize_t width, const char *kernel, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t start0,
               Py_ssize_t start1, bint flip, bint omit) noexcept nogil:
    """A contiguous plane, small, zero outside, on the calling thread: 0, or -1 where this is no case for it.

    `flip` reads the kernel backward; `omit` says that what lies outside is no term of the sum.
    """
    cdef Job job
    cdef elem h[QUICK_TAPS]
    cdef const elem *taps = <const elem *> kernel
    cdef Py_ssize_t i, n = kh * kw
    cdef char *scratch
    cdef int status = -1
    if n > QUICK_TAPS:
        return -1
    for i in range(n):
        h[i] = taps[n - 1 - i if flip else i]
    if omit and not all_finite(h, n):               # zeros outside would become NaN
        return -1
    job.x, job.height, job.width, job.xs0, job.xs1 = x, height, width, width * sizeof(elem), sizeof(elem)
    job.out, job.rows, job.columns = out, rows, columns
    job.os0, job.os1 = columns * sizeof(elem), sizeof(elem)
    job.start0, job.start1 = start0, start1
    job.stride0 = job.stride1 = job.dilation0 = job.dilation1 = job.group = 1
    job.h, job.kh, job.kw, job.terms = h, kh, kw, 0
    job.outer, job.planes, job.outputs = 0, 1, 1
    job.boundary, job.batch_ndim = FILL, 0
    memset(&job.fill, 0, sizeof(elem))
    job.scale.shift, job.scale.low = 0, 0
    job.pack = job.stage = False
    if lay_out(&job, 1, 1):
        scratch = <char *> malloc(job.scratch_bytes)
        if scratch != NULL:
            run(&job, 0, job.row_blocks * job.column_blocks, 1, scratch)
            free(scratch)
            status = 0
    free_layout(&job)
    return status


quick_call = PyCapsule_New(<void *> quick, "fastconv.quick", NULL)     # for _quick.pyx
