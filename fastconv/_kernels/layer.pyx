# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Convolution layers: pictures of many channels, and as many kernels as the output has channels.

    y[n, k, i, j] = act(bias[k] + sum_p sum_q sum_c w[k, c, p, q] X[n, c, i s0 + p d0 + start0, j s1 + q d1 + start1])

X is x with zeros around it. An output channel is a lane: for a pixel of the output, one broadcast element of x
meets a vector of weights for every V L output channels, and P pixels share the loaded weights,

    P x V accumulators:    V loads and P broadcasts give P V multiply-adds     (AVX2: 6 x 2; AVX-512: 14 x 2)

so the multiply-adds are the limit where P V is at least latency x throughput. On AVX-512 every tile from 6 x 4 to
14 x 2 runs at the same 82 to 88 % of what multiply-adds in registers reach, with weights from L1 or L2 alike; it is a
seventh slower where vectors lie across two cache lines, so weights and scratch memory begin on one. 14 x 2 reads
the fewest weights, and leaves the fewest lanes idle. P = 7 to 14 (4 to 6 on AVX2) all run at full speed, and any number
of pixels is dealt out in such tiles without a rest. One vector alone is bound by the broadcasts: groups of few output
channels go to the page `columns` where lanes are better used so.

The same tile sums the gradient of the weight, where channels of x take the place of pixels, and pixels that of
channels: what is broadcast is x again, and what is loaded is the output's gradient.

- The output is cut into blocks of rows and columns, one task each. A block's input is packed, channels last and
  with its zeros, into scratch memory that stays in L2; it is read in place where it lies so already.
- Weights come packed as the tile reads them, [k block][c block][p, q, c][V L], a c block small enough to stay in
  L2 while all of a block's pixels pass by; mostly there is one. Sums wait in their places between c blocks.
- Where all weights stay in L2 and channels are last, a strip of pixels meets all of them before the next does, so that
  a line of the result is finished at a time. Where they do not, small pictures meet them together.
- Sums are finished (activation) and laid out as the caller's strides say: by vectors where channels are last, by
  transposed squares where columns are.

Kernels of 3 by 3 that meet many pixels need fewer products by tiles (further down).

How the output is cut does not change any sum, so results are the same for every number of workers.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

from fastconv import _machine

from .pictures cimport (
    LANES, MOST_LANES, Pictures, elem, load, pack, pack_lanes, pictures, square, store, unpack, vec,
)
from .scratch cimport aligned, up
from .winograd cimport POINTS, moderate, transform_input, transform_sums, transform_weight

cdef extern from "simd.h" nogil:
    const int WIDE "FC_WIDE"
    const int DEEP "FC_DEEP"
    vec splat "fc_splat" (elem)
    vec madd "fc_madd" (vec, vec, vec)
    void activate "fc_activate" (elem *, Py_ssize_t, int)
    Py_ssize_t opaque "fc_opaque" (Py_ssize_t)

cnp.import_array()

cdef enum:
    MOST = 14                   # pixels of a tile, DEEP of them where it is WIDE vectors wide
    MOST_WIDE = 2               # vectors of a tile
    PACKED_BYTES = 9 << 15      # of a block's input: it stays in L2
    SUMS_BYTES = 1 << 17        # of a block's sums
    WEIGHT_BYTES = 3 << 17      # of the weights that meet all of a block's pixels: they stay in L2
    L1_BYTES = 1 << 15          # that are surely there
    L2_BYTES = 1 << 20
    STRIP = 56                  # pixels that meet all weights before the next do
    CHANNELS = 32               # of x whose gradients a task sums
    GRADIENT_BYTES = 96 << 10   # of x and of the output's gradient in a block: they stay in L2
    PARTS = 16                  # tasks wanted: what is summed apart is added up at the end
    PARTS_BYTES = 1 << 22       # of all their sums
    TILES_BYTES = 5 << 18       # of a block's transformed tiles and their sums: they stay in L2
    MOST_TILES = 128
    MOST_CHANNELS = 256         # of groups that are transformed together
    MOST_DILATION = 4           # a block holds all the tiles that lie between each other
    TRANSPOSED = 10             # multiply-adds that cost as much as a pixel's channel that is turned around
    TRANSFORM_WEIGHT = 900      # multiply-adds that cost as much as the transform of a kernel
    SHARE = 1 << 18             # multiply-adds below which another thread is not worth waking
    STEP = 1 << 29              # multiply-adds of each thread between two looks for Ctrl-C
    PAGE = 64

cdef struct Layer:
    Pictures x, y
    const elem *w               # packed
    const elem *bias            # [groups, K rounded up to blocks]
    Py_ssize_t groups, C, K     # channels of a group, in and out
    Py_ssize_t R, S
    Py_ssize_t start0, start1, stride0, stride1, dilation0, dilation1
    int activation
    Py_ssize_t k_blocks, c_block
    # the grid of tasks: pictures, some together x groups, some beside each other x row blocks x column blocks
    # x shares of the k blocks
    Py_ssize_t together, beside, bh, bw, row_blocks, column_blocks, shares
    # scratch memory of a thread: where its parts start, in bytes
    Py_ssize_t pixels_at, runs_at, sums_at, scratch_bytes


cdef struct Sum:                # the terms of a tile: runs of `length` elements of x, `step` apart
    const Py_ssize_t *at
    Py_ssize_t runs, length, step


# --- the tile -------------------------------------------------------------------------------------------

cdef inline void tile(elem *sums, Py_ssize_t ld, const elem *begin, Py_ssize_t ldb, const elem *const *x,
                      const elem *w, const Sum *sum, const int P, const int V) noexcept nogil:
    """sums[p, v] = begin[p, v] + sum_r sum_t x[p][at[r] + t step] w[r, t, v]   p < P, v < V L

    IN begin, x, w[runs, length, V L]   OUT sums; rows of begin and sums are ldb and ld elements apart
    """
    cdef vec acc[MOST * MOST_WIDE]
    cdef vec weights[MOST_WIDE]
    cdef const elem *pixel[MOST]
    cdef vec one
    cdef Py_ssize_t r, t, _t, length = sum.length, step = sum.step
    cdef int p, v
    for p in range(P):
        pixel[p] = x[p]
        for v in range(V):
            acc[p * V + v] = load(begin + p * ldb + v * LANES)
    for r in range(opaque(sum.runs)):
        t = sum.at[r]
        for _t in range(opaque(length)):
            for v in range(V):
                weights[v] = load(w + v * LANES)
            for p in range(P):
                one = splat(pixel[p][t])
                for v in range(V):
                    acc[p * V + v] = madd(acc[p * V + v], weights[v], one)
            t += step
            w += V * LANES
    for p in range(P):
        for v in range(V):
            store(sums + p * ld + v * LANES, acc[p * V + v])


cdef inline void tiles_of(elem *sums, Py_ssize_t ld, const elem *begin, Py_ssize_t ldb, const elem *const *x,
                          const elem *w, const Sum *sum, Py_ssize_t n, const int V) noexcept nogil:
    """The same for n pixels, dealt in tiles of about equal size; the last may go beyond unless `exact`."""
    cdef Py_ssize_t here, left = (n + DEEP - 1) // DEEP         # tiles
    if V < WIDE and DEEP < MOST:                    # too few accumulators in a tile of DEEP
        while n > 0:
            tile(sums, ld, begin, ldb, x, w, sum, 8, V)
            sums += 8 * ld
            begin += 8 * ldb
            x += 8
            n -= 8
        return
    while left > 0:
        here = (n + left - 1) // left
        if DEEP == 14:
            if here == 14:
                tile(sums, ld, begin, ldb, x, w, sum, 14, V)
            elif here == 13:
                tile(sums, ld, begin, ldb, x, w, sum, 13, V)
            elif here == 12:
                tile(sums, ld, begin, ldb, x, w, sum, 12, V)
            elif here == 11:
                tile(sums, ld, begin, ldb, x, w, sum, 11, V)
            elif here == 10:
                tile(sums, ld, begin, ldb, x, w, sum, 10, V)
            elif here == 9:
                tile(sums, ld, begin, ldb, x, w, sum, 9, V)
            elif here == 8:
                tile(sums, ld, begin, ldb, x, w, sum, 8, V)
            elif here > 4:
                tile(sums, ld, begin, ldb, x, w, sum, 7, V)
            else:
                tile(sums, ld, begin, ldb, x, w, sum, 4, V)
        elif here == 6:
            tile(sums, ld, begin, ldb, x, w, sum, 6, V)
        elif here == 5:
            tile(sums, ld, begin, ldb, x, w, sum, 5, V)
        else:
            tile(sums, ld, begin, ldb, x, w, sum, 4, V)
        sums += here * ld
        begin += here * ldb
        x += here
        n -= here
        left -= 1


cdef void multiply(elem *sums, Py_ssize_t ld, const elem *begin, Py_ssize_t ldb, const elem *const *x,
                   const elem *w, const Sum *sum, Py_ssize_t n, int V) noexcept nogil:
    if V == WIDE:
        tiles_of(sums, ld, begin, ldb, x, w, sum, n, WIDE)
    else:
        tiles_of(sums, ld, begin, ldb, x, w, sum, n, 1)


cdef inline bint exact(Py_ssize_t n, int V) noexcept nogil:
    """Whether `multiply` writes no more than n rows."""
    return n >= MOST and (V == WIDE or DEEP == MOST)


cdef inline int width_of(Py_ssize_t K, Py_ssize_t k) noexcept nogil:
    """Vectors of the k block that begins at channel k of K."""
    cdef Py_ssize_t left = K - k
    return 1 if left <= LANES else WIDE


# --- a task ---------------------------------------------------------------------------------------------

cdef inline const elem *region(const Pictures *x, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t channels, Py_ssize_t row,
                               Py_ssize_t column, Py_ssize_t height, Py_ssize_t width, elem *scratch, Py_ssize_t *ldh,
                               Py_ssize_t *ldw) noexcept nogil:
    """A part of a picture with its channels last: where it lies so, or packed with zeros around it into `scratch`.

    OUT ldh, ldw: elements from a row, and from a pixel, to the next
    """
    cdef Py_ssize_t item = sizeof(elem)
    if (x.sc == item and x.sh % item == 0 and x.sw % item == 0 and row >= 0 and column >= 0
            and height <= x.height - row and width <= x.width - column):
        ldh[0], ldw[0] = x.sh // item, x.sw // item
        return <const elem *> (x.at + n * x.sn + channel * item + row * x.sh + column * x.sw)
    pack(x, n, channel, channels, row, column, height, width, scratch)
    ldh[0], ldw[0] = width * channels, channels
    return scratch


cdef void task(const Layer *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Block `number` of the grid of tasks."""
    cdef Py_ssize_t share = number % job.shares, row, column, g
    number //= job.shares
    column = number % job.column_blocks * job.bw
    number //= job.column_blocks
    row = number % job.row_blocks * job.bh
    number //= job.row_blocks
    g = number % (job.groups // job.beside) * job.beside
    number //= job.groups // job.beside
    for g in range(g, g + job.beside):
        block(job, number * job.together, g, row, column, share, scratch)


cdef void block(const Layer *job, Py_ssize_t n, Py_ssize_t g, Py_ssize_t row0, Py_ssize_t column0, Py_ssize_t share,
                char *scratch) noexcept nogil:
    """A share of a group's output channels of some rows and columns, of picture n and those together with it."""
    cdef Py_ssize_t i, j, m, first, last, batch = min(job.together, job.x.n - n), pixels = 0, strip, packed
    cdef Py_ssize_t row, column, height, width, rows, columns, ldh = 0, ldw = 0, item = sizeof(elem)
    cdef const elem **pixel = <const elem **> (scratch + job.pixels_at)
    cdef const elem *origin

    rows, columns = min(job.bh, job.y.height - row0), min(job.bw, job.y.width - column0)
    row = job.start0 + row0 * job.stride0
    column = job.start1 + column0 * job.stride1
    height = (rows - 1) * job.stride0 + (job.R - 1) * job.dilation0 + 1
    width = (columns - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1
    packed = up(height * width * job.C * item, PAGE)
    for m in range(batch):
        origin = region(&job.x, n + m, g * job.C, job.C, row, column, height, width, <elem *> (scratch + m * packed),
                        &ldh, &ldw)
        for i in range(rows):
            for j in range(columns):
                pixel[pixels] = origin + i * job.stride0 * ldh + j * job.stride1 * ldw
                pixels += 1
    for i in range(MOST):
        pixel[pixels + i] = pixel[pixels - 1]
    first = job.k_blocks // job.shares * share + min(share, job.k_blocks % job.shares)
    last = first + job.k_blocks // job.shares + (1 if share < job.k_blocks % job.shares else 0)
    strip = rows
    if job.y.sc == item and batch == 1 and job.C * job.R * job.S * job.K * item <= WEIGHT_BYTES:
        strip = max(1, rows // max(1, rows * columns // STRIP))     # all channels of a pixel, while its line is here
    i = 0
    while i < rows:
        strips(job, n, batch, g, first, last, row0 + i, column0, min(strip, rows - i), columns,
               pixel + i * columns, ldh, ldw, scratch)
        i += strip


cdef void strips(const Layer *job, Py_ssize_t n, Py_ssize_t batch, Py_ssize_t g, Py_ssize_t first, Py_ssize_t last,
                 Py_ssize_t row0, Py_ssize_t column0, Py_ssize_t rows, Py_ssize_t columns, const elem *const *pixel,
                 Py_ssize_t ldh, Py_ssize_t ldw, char *scratch) noexcept nogil:
    """The k blocks first .. last-1 of some rows of outputs."""
    cdef Py_ssize_t *at = <Py_ssize_t *> (scratch + job.runs_at)
    cdef elem *sums = <elem *> (scratch + job.sums_at)
    cdef Py_ssize_t b, c, i, k, r, s, here, channels, ld, pixels = batch * rows * columns, item = sizeof(elem)
    cdef const elem *w
    cdef elem *to
    cdef Sum sum
    cdef int V
    cdef bint direct
    sum.at, sum.step = at, 1
    for b in range(first, last):
        k = b * WIDE * LANES
        V = width_of(job.K, k)
        channels = min(job.K - k, <Py_ssize_t> V * LANES)
        direct = (job.y.sc == item and job.y.sw % item == 0 and channels == V * LANES and exact(pixels, V)
                  and (rows == 1 or job.y.sh == columns * job.y.sw)         # the sums' place is that of the result
                  and (batch == 1 or job.y.sn == rows * columns * job.y.sw))
        to, ld = sums, V * LANES
        if direct:
            to = <elem *> (job.y.at + n * job.y.sn + (g * job.K + k) * item + row0 * job.y.sh + column0 * job.y.sw)
            ld = job.y.sw // item
        w = job.w + (g * up(job.K, WIDE * LANES) + k) * job.C * job.R * job.S
        c = 0
        while c < job.C:
            here = min(job.c_block, job.C - c)
            if here == ldw and job.dilation1 == 1:  # a kernel row is one run
                sum.runs, sum.length = job.R, job.S * here
                for r in range(job.R):
                    at[r] = r * job.dilation0 * ldh
            else:
                sum.runs, sum.length = job.R * job.S, here
                for r in range(job.R):
                    for s in range(job.S):
                        at[r * job.S + s] = r * job.dilation0 * ldh + s * job.dilation1 * ldw + c
            if c == 0:
                multiply(to, ld, job.bias + g * up(job.K, WIDE * LANES) + k, 0, pixel, w, &sum, pixels, V)
            else:
                multiply(to, ld, to, ld, pixel, w, &sum, pixels, V)
            w += sum.runs * sum.length * V * LANES
            c += here
        if job.activation:
            for i in range(pixels):
                activate(to + i * ld, channels, job.activation)
        if not direct:
            for i in range(batch):
                unpack(&job.y, n + i, g * job.K + k, channels, row0, column0, rows, columns,
                       to + i * rows * columns * ld, ld)


cdef void lay_out(Layer *job, int workers) noexcept nogil:
    """Chooses the tasks, and the scratch memory they need."""
    cdef Py_ssize_t item = sizeof(elem), reach0 = (job.R - 1) * job.dilation0, reach1 = (job.S - 1) * job.dilation1
    cdef Py_ssize_t height, width, pixels, packed, tasks, most = max(SUMS_BYTES // (WIDE * LANES * item), 4 * MOST)
    cdef Py_ssize_t groups                          # one after the other
    # Where the groups of a pixel lie beside each other a task has all of them: they share lines of the cache.
    job.beside = job.groups if job.x.sc == item and job.y.sc == item else 1
    groups = job.groups // job.beside
    job.bw = min(job.y.width, most)
    while job.bw > 16 and ((job.bw - 1) * job.stride1 + reach1 + 1) * (reach0 + 1) * job.C * item > PACKED_BYTES:
        job.bw = (job.bw + 1) // 2
    width = (job.bw - 1) * job.stride1 + reach1 + 1
    job.bh = max(1, min(job.y.height, most // job.bw))
    while job.bh > 1 and ((job.bh - 1) * job.stride0 + reach0 + 1) * width * job.C * item > PACKED_BYTES:
        job.bh -= 1
    job.column_blocks = (job.y.width + job.bw - 1) // job.bw
    job.row_blocks = (job.y.height + job.bh - 1) // job.bh
    while (job.bh > 2 and job.x.n * groups * job.column_blocks * job.row_blocks < 4 * workers
           and job.bh * job.bw >= 8 * MOST):
        job.bh = (job.bh + 1) // 2
        job.row_blocks = (job.y.height + job.bh - 1) // job.bh
    job.bh = (job.y.height + job.row_blocks - 1) // job.row_blocks          # of equal size
    job.bw = (job.y.width + job.column_blocks - 1) // job.column_blocks
    height = (job.bh - 1) * job.stride0 + reach0 + 1
    width = (job.bw - 1) * job.stride1 + reach1 + 1
    packed = up(height * width * job.C * item, PAGE)
    job.together = 1
    if job.row_blocks * job.column_blocks == 1 and job.C * job.R * job.S * job.K * item > L2_BYTES:
        # Weights come from afar: many small pictures meet them at a time.
        job.together = max(1, min(min(job.x.n, most // (job.bh * job.bw)), L2_BYTES // packed))
    tasks = (job.x.n + job.together - 1) // job.together * groups * job.column_blocks * job.row_blocks
    job.shares = 1
    while job.shares < job.k_blocks and tasks * job.shares < 2 * workers:
        job.shares += 1
    pixels = job.together * job.bh * job.bw + MOST
    job.pixels_at = job.together * packed
    job.runs_at = job.pixels_at + up(pixels * sizeof(elem *), PAGE)
    job.sums_at = job.runs_at + up(job.R * job.S * sizeof(Py_ssize_t), PAGE)
    job.scratch_bytes = job.sums_at + up(pixels * WIDE * LANES * item, PAGE)


cdef void run(const Layer *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:
        for i in range(first, last):
            task(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            task(job, i, scratch + threadid() * job.scratch_bytes)


cdef inline Py_ssize_t block_of_channels(Py_ssize_t C, Py_ssize_t taps) noexcept nogil:
    """Channels whose weights stay in L1; the blocks are of about equal size."""
    cdef Py_ssize_t most = max(WEIGHT_BYTES // (taps * WIDE * LANES * <Py_ssize_t> sizeof(elem)), 16)
    cdef Py_ssize_t blocks = (C + most - 1) // most
    return (C + blocks - 1) // blocks if blocks > 0 else 1


def by_columns(cnp.ndarray weight not None, cnp.ndarray y not None, stride, dilation):
    """Whether the page `columns` is faster: it leaves no lane idle, but its vectors reach from row to row.

    weight : (groups, K, C, R, S)
    y : (N, groups K, rows, columns), laid out as the input is
    """
    cdef Py_ssize_t groups = weight.shape[0], K = weight.shape[1], C = weight.shape[2], R = weight.shape[3]
    cdef Py_ssize_t item = sizeof(elem), tail = K % (WIDE * LANES), columns = y.shape[3]
    cdef Py_ssize_t width = columns + (weight.shape[4] - 1) * dilation[1] // stride[1]      # of a line of outputs
    cdef double lanes = K - tail + ((1.2 if DEEP == MOST else 1.4) * LANES if 0 < tail <= LANES
                                    else WIDE * LANES if tail > 0 else 0)
    cdef double dearer = 1.2 if C * R * 3 * LANES * item <= L1_BYTES else 1.4        # a load across two lines
    cdef double turned = TRANSPOSED * (C + K)       # one of the pages turns the channels of all pixels around
    cdef double one, other
    if columns == 0 or C * stride[0] * stride[1] * (1 + (R - 1) * dilation[0] // stride[0]) * width * item > L2_BYTES:
        return False
    if R == 1 and weight.shape[4] == 1 and stride[0] == 1 and stride[1] == 1:       # a picture is one row, on its lines
        columns *= y.shape[2]
        width, dearer = up(columns, LANES), 1.05
    one = lanes * C * R * weight.shape[4]
    other = (dearer * K + 2) * C * R * weight.shape[4] * width / columns
    if y.strides[1] == item:
        other += turned * min(groups, 8)            # whose groups share lines of the cache
    else:
        one += turned
    return y.shape[2] * y.shape[3] > 2 * LANES and other < one


def packed_lanes(Py_ssize_t K):
    """Elements of a group's bias: its K channels rounded up to blocks."""
    return up(K, WIDE * LANES)


cdef cnp.ndarray on_a_line(Py_ssize_t n, dtype):
    """A new array of n elements, or some more, that begins on a cache line: loads across two are slow."""
    cdef cnp.ndarray array = np.empty(n + PAGE // <Py_ssize_t> sizeof(elem), dtype)
    return array[(-<Py_ssize_t> cnp.PyArray_DATA(array) & (PAGE - 1)) // <Py_ssize_t> sizeof(elem):]


def pack_weight(cnp.ndarray weight not None, int workers):
    """A new array with the weight in the order of the tiles.

    weight : (groups, K, C, R, S), aligned, native, any strides   IN
    """
    cdef Py_ssize_t groups = weight.shape[0], K = weight.shape[1], C = weight.shape[2]
    cdef Py_ssize_t R = weight.shape[3], S = weight.shape[4]
    cdef Py_ssize_t blocks = (K + WIDE * LANES - 1) // (WIDE * LANES), number
    cdef const char *at = <const char *> cnp.PyArray_DATA(weight)
    cdef cnp.npy_intp *strides = weight.strides
    cdef cnp.ndarray packed = on_a_line(groups * up(K, WIDE * LANES) * C * R * S, weight.dtype)
    cdef elem *to = <elem *> cnp.PyArray_DATA(packed)
    workers = <int> max(1, min(<Py_ssize_t> workers, groups * blocks, groups * K * C * R * S // SHARE))
    if workers > 1:
        workers = _machine.startable(workers)
    with nogil:
        if workers == 1:
            for number in range(groups * blocks):
                pack_block(at, strides, number // blocks, number % blocks, K, C, R, S, to)
        else:
            for number in prange(groups * blocks, num_threads=workers, schedule="dynamic"):
                pack_block(at, strides, number // blocks, number % blocks, K, C, R, S, to)
    return packed


cdef void pack_block(const char *weight, const cnp.npy_intp *strides, Py_ssize_t g, Py_ssize_t b, Py_ssize_t K,
                     Py_ssize_t C, Py_ssize_t R, Py_ssize_t S, elem *packed) noexcept nogil:
    """Block b of group g's output channels: [c block][p, q, c][V L], zeros where there is no channel."""
    cdef Py_ssize_t k = b * WIDE * LANES, c = 0, here, r, s, i, lane, c_block = block_of_channels(C, R * S)
    cdef Py_ssize_t lanes = width_of(K, k) * LANES, some = min(K - k, lanes), ldk = strides[1], ldc = strides[2]
    cdef Py_ssize_t f, v, taps = R * S, item = sizeof(elem)
    cdef bint dense = strides[4] == item and strides[3] == S * item and ldc == taps * item
    cdef elem *to = packed + (g * up(K, WIDE * LANES) + k) * C * taps
    cdef elem tile[MOST_LANES * MOST_LANES]
    cdef elem *into
    cdef const char *at
    cdef const char *entry
    while c < C:
        here = min(c_block, C - c)
        at = weight + g * strides[0] + k * ldk + c * ldc
        if dense and some == lanes and here * taps >= LANES > 1:
            f = 0
            while f < here * taps:                  # squares of L lanes by L entries of a channel's taps, in a row
                f = min(f, here * taps - LANES)
                for v in range(lanes // LANES):
                    lane = v * LANES
                    square(tile, LANES, at + lane * ldk + f * item, ldk)
                    r, s = f // taps, f % taps
                    for i in range(LANES):
                        store(to + (s * here + r) * lanes + lane, load(tile + i * LANES))
                        s += 1
                        if s == taps:
                            r, s = r + 1, 0
                f += LANES
        else:
            for i in range(here):
                for r in range(R):
                    for s in range(S):
                        entry = at + i * ldc + r * strides[3] + s * strides[4]
                        into = to + ((r * S + s) * here + i) * lanes
                        for lane in range(some):
                            into[lane] = (<const elem *> (entry + lane * ldk))[0]
                        for lane in range(some, lanes):
                            into[lane] = 0
        to += taps * here * lanes
        c += here


def forward(cnp.ndarray x not None, cnp.ndarray packed not None, cnp.ndarray bias not None, cnp.ndarray y not None,
            taps, start, stride, dilation, Py_ssize_t groups, int activation, int workers):
    """A layer's output.

    x : (N, groups C, H, W), aligned, native, any strides   IN
    packed, bias : by `pack_weight`; (groups, packed_lanes)   IN
    y : (N, groups K, rows, columns), likewise, not overlapping x   OUT
    taps, start, stride, dilation : pairs
    activation : 0 none, 1 relu, 2 sigmoid, 3 tanh
    workers : threads at most
    """
    cdef Layer job
    cdef Py_ssize_t tasks, done = 0, end, work, step
    cdef char *memory
    cdef char *scratch
    pictures(x, &job.x)
    pictures(y, &job.y)
    job.w, job.bias = <const elem *> cnp.PyArray_DATA(packed), <const elem *> cnp.PyArray_DATA(bias)
    job.groups, job.C, job.K = groups, job.x.channels // groups, job.y.channels // groups
    job.R, job.S = taps
    job.start0, job.start1 = start
    job.stride0, job.stride1 = stride
    job.dilation0, job.dilation1 = dilation
    job.activation = activation
    job.k_blocks = (job.K + WIDE * LANES - 1) // (WIDE * LANES)
    job.c_block = block_of_channels(job.C, job.R * job.S)
    work = job.y.n * job.y.channels * job.y.height * job.y.width
    if work == 0:
        return
    work *= job.C * job.R * job.S
    workers = <int> max(1, min(<Py_ssize_t> workers, work // SHARE))
    lay_out(&job, workers)
    tasks = ((job.x.n + job.together - 1) // job.together * (groups // job.beside) * job.row_blocks
             * job.column_blocks * job.shares)
    workers = <int> min(<Py_ssize_t> workers, tasks)
    memory = <char *> malloc(workers * job.scratch_bytes + PAGE)
    if memory == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
    scratch = aligned(memory)
    try:
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


# --- kernels of 3 by 3, by tiles ------------------------------------------------------------------------
#
# As in `winograd`: a tile of 2 by 2 outputs is 16 sums of products over the channels, and each of the 16 is a layer
# of one tap whose pixels are tiles. A task transforms the tiles of a block of the output, meets one k block after
# another with them, and transforms the sums back. With dilation d a tile's rows and columns are d apart, and d x d
# tiles lie between each other.

cdef struct Tiled:
    Pictures x, y
    const elem *w               # transformed: [k block][POINTS, C][V L]
    const elem *bias            # [groups, K rounded up to blocks]
    const elem *zeros           # a row of V L
    Py_ssize_t groups, C, K
    Py_ssize_t start0, start1, dilation0, dilation1
    int activation
    # the grid of tasks: pictures, some together x groups, some beside each other x row blocks x column blocks; blocks
    # in tiles
    Py_ssize_t together, beside, bh, bw, row_blocks, column_blocks
    Py_ssize_t packed, point, tile                  # elements of a picture's block, of a point, of a tile's points
    Py_ssize_t pixels_at, tiles_at, sums_at, results_at, scratch_bytes


cdef inline Py_ssize_t first_of(Py_ssize_t tile, Py_ssize_t dilation) noexcept nogil:
    """The first of the two rows (or columns) of a tile."""
    return tile // dilation * 2 * dilation + tile % dilation


cdef inline Py_ssize_t tiles_along(Py_ssize_t size, Py_ssize_t dilation) noexcept nogil:
    return (size + 2 * dilation - 1) // (2 * dilation) * dilation


cdef bint tiled_task(const Tiled *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Block `number` of the grid of tasks; whether its numbers were moderate, else the result is not to be used."""
    cdef Py_ssize_t n, g, i, j, m, b, k, blocks, beside, batch, row0, column0, rows, columns, th, tw
    cdef Py_ssize_t row, column, height, width
    cdef Py_ssize_t at, t, first, here, tiles = 0, lds, ldn, ldh = 0, ldw = 0, channels, item = sizeof(elem)
    cdef Py_ssize_t d0 = job.dilation0, d1 = job.dilation1
    cdef const elem **pixel = <const elem **> (scratch + job.pixels_at)
    cdef elem *transformed = <elem *> (scratch + job.tiles_at)
    cdef elem *sums = <elem *> (scratch + job.sums_at)
    cdef elem *results
    cdef elem *to
    cdef const elem *origin
    cdef const elem *w
    cdef const elem *bias
    cdef vec squares = splat(0)
    cdef Sum sum
    cdef int V, v, point
    cdef bint direct
    j = number % job.column_blocks * job.bw
    number //= job.column_blocks
    i = number % job.row_blocks * job.bh
    number //= job.row_blocks
    g = number % (job.groups // job.beside) * job.beside
    n = number // (job.groups // job.beside) * job.together
    batch = min(job.together, job.x.n - n)
    row0, column0 = 2 * i, 2 * j                                # blocks begin at multiples of the dilation
    rows, columns = min(2 * job.bh, job.y.height - row0), min(2 * job.bw, job.y.width - column0)
    th, tw = tiles_along(rows, d0), tiles_along(columns, d1)
    row, column = job.start0 + row0, job.start1 + column0
    height, width = 2 * (th + d0), 2 * (tw + d1)
    for m in range(batch):
        origin = region(&job.x, n + m, g * job.C, job.beside * job.C, row, column, height, width, <elem *> scratch,
                        &ldh, &ldw)
        for i in range(th):
            for j in range(tw):
                to = transformed + tiles * job.tile
                pixel[tiles] = to
                squares = transform_input(to, job.point, origin + first_of(i, d0) * ldh + first_of(j, d1) * ldw,
                                          d0 * ldh, d1 * ldw, job.beside * job.C, squares)
                tiles += 1
    if not moderate(squares):
        return False
    for i in range(MOST):
        pixel[tiles + i] = pixel[tiles - 1]
    sum.at, sum.runs, sum.length, sum.step = &at, 1, job.C, 1
    blocks = (job.K + WIDE * LANES - 1) // (WIDE * LANES)
    for b in range(job.beside * blocks):
        beside, k = b // blocks, b % blocks * WIDE * LANES
        V = width_of(job.K, k)
        channels = min(job.K - k, <Py_ssize_t> V * LANES)
        w = job.w + ((g + beside) * up(job.K, WIDE * LANES) + k) * job.C * POINTS
        bias = job.bias + (g + beside) * up(job.K, WIDE * LANES) + k
        results = <elem *> (scratch + job.results_at)
        ldw, ldh, ldn = V * LANES, columns * V * LANES, rows * columns * V * LANES
        lds = POINTS * V * LANES + PAGE // item
        direct = (job.y.sc == item and job.y.sw % item == 0 and job.y.sh % item == 0 and job.y.sn % item == 0
                  and channels == V * LANES)
        if direct:
            results = <elem *> (job.y.at + n * job.y.sn + ((g + beside) * job.K + k) * item + row0 * job.y.sh
                                + column0 * job.y.sw)
            ldw, ldh, ldn = job.y.sw // item, job.y.sh // item, job.y.sn // item
        m = i = j = 0
        first = 0
        while first < tiles:
            here = min(<Py_ssize_t> STRIP, tiles - first)
            for point in range(POINTS):
                at = point * job.point + beside * job.C
                multiply(sums + point * V * LANES, lds, job.zeros, 0, pixel + first, w + point * job.C * V * LANES,
                         &sum, here, V)
            for t in range(here):
                row, column = first_of(i, d0), first_of(j, d1)
                if row < rows and column < columns:
                    for v in range(V):
                        transform_sums(results + m * ldn + row * ldh + column * ldw + v * LANES, d0 * ldh, d1 * ldw,
                                       row + d0 < rows, column + d1 < columns, sums + t * lds + v * LANES, V * LANES,
                                       bias + v * LANES)
                j += 1
                if j == tw:
                    i, j = i + 1, 0
                    if i == th:
                        m, i = m + 1, 0
            first += here
        for m in range(batch):
            if job.activation:
                for i in range(rows):
                    for j in range(columns):
                        activate(results + m * ldn + i * ldh + j * ldw, channels, job.activation)
            if not direct:
                unpack(&job.y, n + m, (g + beside) * job.K + k, channels, row0, column0, rows, columns,
                       results + m * ldn, ldw)
    return True


cdef void lay_out_tiles(Tiled *job, int workers) noexcept nogil:
    """Chooses the tasks, and the scratch memory they need."""
    cdef Py_ssize_t item = sizeof(elem), d0 = job.dilation0, d1 = job.dilation1, tiles, results
    cdef Py_ssize_t th = tiles_along(job.y.height, d0), tw = tiles_along(job.y.width, d1)
    cdef Py_ssize_t most
    job.beside = job.groups if job.groups * job.C <= MOST_CHANNELS else 1
    most = TILES_BYTES // (POINTS * (job.beside * job.C + WIDE * LANES) * item)
    most = min(max(most, 2 * MOST), MOST_TILES,
               max(2 * MOST, job.x.n * (job.groups // job.beside) * th * tw // (2 * workers)))
    job.column_blocks = (tw + most - 1) // most
    job.bw = up((tw + job.column_blocks - 1) // job.column_blocks, d1)
    job.column_blocks = (tw + job.bw - 1) // job.bw
    job.row_blocks = (th + max(1, most // job.bw) - 1) // max(1, most // job.bw)
    job.bh = up((th + job.row_blocks - 1) // job.row_blocks, d0)
    job.row_blocks = (th + job.bh - 1) // job.bh
    job.together = 1
    if job.row_blocks * job.column_blocks == 1:
        job.together = max(1, min(job.x.n, most // (job.bh * job.bw)))
    tiles = job.together * job.bh * job.bw
    results = 4 * tiles * WIDE * LANES
    job.packed = 4 * (job.bh + d0) * (job.bw + d1) * job.beside * job.C
    # A tile's points lie beside each other, and tiles an odd number of cache lines apart: at powers of 2 they would
    # meet in the same few lines of the cache.
    job.point = up(job.beside * job.C * item, PAGE) // item
    job.tile = POINTS * job.point + PAGE // item
    job.pixels_at = up(job.packed * item, PAGE)
    job.tiles_at = job.pixels_at + up((tiles + MOST) * sizeof(elem *), PAGE)
    job.sums_at = job.tiles_at + tiles * job.tile * item
    job.results_at = job.sums_at + (min(<Py_ssize_t> STRIP, tiles) + MOST) * (POINTS * WIDE * LANES * item + PAGE)
    job.scratch_bytes = job.results_at + up(results * item, PAGE)


cdef bint run_tiles(const Tiled *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    cdef int fit = 1
    if workers == 1:
        for i in range(first, last):
            fit &= tiled_task(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            fit &= tiled_task(job, i, scratch + threadid() * job.scratch_bytes)
    return fit


def by_tiles(cnp.ndarray weight not None, cnp.ndarray y not None, stride, dilation):
    """Whether `forward_tiles` is faster; for a picture of a batch as for the whole, so that its sums are the same.

    weight : (groups, K, C, R, S)
    y : (N, groups K, rows, columns)
    """
    cdef Py_ssize_t K = weight.shape[1], C = weight.shape[2], rows = y.shape[2], columns = y.shape[3]
    cdef double points, transforms, rate, lanes = up(K, LANES), direct = min(lanes, 1.3 * K)        # by `columns`
    if (weight.shape[3] != 3 or weight.shape[4] != 3 or stride[0] != 1 or stride[1] != 1 or C < LANES or K < LANES
            or max(dilation[0], dilation[1]) > MOST_DILATION):
        return False
    points = <double> tiles_along(rows, dilation[0]) * tiles_along(columns, dilation[1]) * POINTS
    transforms = 1.5 + sizeof(vec) / 8.                         # of a channel, a point's share, in multiply-adds
    rate = 1.2 if lanes <= LANES else 1.                        # of a tile of one vector
    return (points * (rate * lanes * C + transforms * (lanes + C)) + TRANSFORM_WEIGHT * lanes * C
            < 9. * rows * columns * rate * direct * C)


def pack_tiles(cnp.ndarray packed not None, shape, int workers):
    """A new array with the 3 by 3 kernels as tiles need them, or None where numbers are too large, or not finite.

    packed : by `pack_weight`   IN
    shape : (groups, K, C, 3, 3), the weight's
    """
    cdef Py_ssize_t groups = shape[0], K = shape[1], C = shape[2]
    cdef Py_ssize_t blocks = (K + WIDE * LANES - 1) // (WIDE * LANES), number
    cdef const elem *at = <const elem *> cnp.PyArray_DATA(packed)
    cdef cnp.ndarray transformed = on_a_line(groups * up(K, WIDE * LANES) * C * POINTS, packed.dtype)
    cdef elem *to = <elem *> cnp.PyArray_DATA(transformed)
    cdef int fit = 1
    workers = <int> max(1, min(<Py_ssize_t> workers, groups * blocks, groups * K * C * POINTS // SHARE))
    if workers > 1:
        workers = _machine.startable(workers)
    with nogil:
        if workers == 1:
            for number in range(groups * blocks):
                fit &= transform_block(at, number // blocks, number % blocks, K, C, to)
        else:
            for number in prange(groups * blocks, num_threads=workers, schedule="dynamic"):
                fit &= transform_block(at, number // blocks, number % blocks, K, C, to)
    return transformed if fit else None


cdef bint transform_block(const elem *packed, Py_ssize_t g, Py_ssize_t b, Py_ssize_t K, Py_ssize_t C,
                          elem *transformed) noexcept nogil:
    """Block b of group g's output channels; whether its numbers are moderate."""
    cdef Py_ssize_t k = b * WIDE * LANES, c = 0, i, here, c_block = block_of_channels(C, 9)
    cdef Py_ssize_t lanes = width_of(K, k) * LANES
    cdef const elem *w = packed + (g * up(K, WIDE * LANES) + k) * C * 9
    cdef elem *to = transformed + (g * up(K, WIDE * LANES) + k) * C * POINTS
    cdef vec squares = splat(0)
    cdef int v
    while c < C:
        here = min(c_block, C - c)
        for i in range(here):
            for v in range(lanes // LANES):
                squares = transform_weight(to + (c + i) * lanes + v * LANES, C * lanes, w + i * lanes + v * LANES,
                                           here * lanes, squares)
        w += 9 * here * lanes
        c += here
    return moderate(squares)


def forward_tiles(cnp.ndarray x not None, cnp.ndarray transformed not None, cnp.ndarray bias not None,
                  cnp.ndarray y not None, start, dilation, Py_ssize_t groups, int activation, int workers):
    """A layer's output by the weight of `pack_tiles`, as `forward`; False where x has numbers that forbid it.

    Those are too large or not finite, and y is left half-written.
    """
    cdef Tiled job
    cdef Py_ssize_t tasks, done = 0, end, work, step
    cdef char *memory
    cdef char *scratch
    cdef bint fit = True
    pictures(x, &job.x)
    pictures(y, &job.y)
    job.w, job.bias = <const elem *> cnp.PyArray_DATA(transformed), <const elem *> cnp.PyArray_DATA(bias)
    job.groups, job.C, job.K = groups, job.x.channels // groups, job.y.channels // groups
    job.start0, job.start1 = start
    job.dilation0, job.dilation1 = dilation
    job.activation = activation
    work = job.y.n * job.y.channels * job.y.height * job.y.width * job.C * 4
    if work == 0:
        return True
    workers = <int> max(1, min(<Py_ssize_t> workers, work // SHARE))
    lay_out_tiles(&job, workers)
    tasks = ((job.x.n + job.together - 1) // job.together * (groups // job.beside) * job.row_blocks
             * job.column_blocks)
    workers = <int> min(<Py_ssize_t> workers, tasks)
    memory = <char *> malloc(workers * job.scratch_bytes + WIDE * LANES * sizeof(elem) + PAGE)
    if memory == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
    scratch = aligned(memory)
    job.zeros = <const elem *> (scratch + workers * job.scratch_bytes)
    memset(<void *> job.zeros, 0, WIDE * LANES * sizeof(elem))
    try:
        step = workers * max(1, STEP // max(1, work // tasks))
        while fit and done < tasks:
            end = min(tasks, done + step)
            if workers > 1:
                workers = _machine.startable(workers)
            with nogil:
                fit = run_tiles(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
    finally:
        free(memory)
    return fit


# --- the gradient of the weight -------------------------------------------------------------------------
#
#   dw[k, c, p, q] = sum_n sum_i sum_j dy[n, k, i, j] X[n, c, i s0 + p d0 + start0, j s1 + q d1 + start1]
#
# A task sums a share of the pictures' blocks for some channels c and every k, p, q, in an array of its own,
# [k block][p][q, c][V L]: the columns of the kernel and the channels of x are the "pixels" of the tile. The shares are
# set by the sizes alone, and added up in their order, so here, too, the number of workers changes nothing.

cdef struct Gradient:
    Pictures x, y
    elem *sums                  # [parts, groups, k blocks, chunks of C, R, S channels + MOST, V L]
    const elem *zeros           # a row of V L
    Py_ssize_t groups, C, K, R, S
    Py_ssize_t start0, start1, stride0, stride1, dilation0, dilation1
    Py_ssize_t parts, chunk, chunks                 # chunk: channels of a task
    Py_ssize_t bh, bw, row_blocks, column_blocks
    Py_ssize_t pixels_at, runs_at, grad_at, scratch_bytes


cdef inline elem *sums_of(const Gradient *job, Py_ssize_t part, Py_ssize_t g, Py_ssize_t k) noexcept nogil:
    return job.sums + ((part * job.groups + g) * up(job.K, WIDE * LANES) + k) * rows_of(job)


cdef inline Py_ssize_t rows_of(const Gradient *job) noexcept nogil:
    """Rows of V L sums for a k block, with the room that tiles may go beyond the end."""
    return job.R * (job.S * job.C + job.chunks * MOST)


cdef void gradient_task(const Gradient *job, Py_ssize_t number, char *scratch) noexcept nogil:
    cdef Py_ssize_t chunk = number % job.chunks, c0 = chunk * job.chunk, channels = min(job.chunk, job.C - c0)
    cdef Py_ssize_t per_picture = job.row_blocks * job.column_blocks, blocks = job.x.n * per_picture
    cdef Py_ssize_t k_blocks = (job.K + WIDE * LANES - 1) // (WIDE * LANES)
    cdef Py_ssize_t g, part, b, n, i, c, r, s, k, row0, column0, rows, columns, row, column, height, width
    cdef const elem **pixel = <const elem **> (scratch + job.pixels_at)
    cdef Py_ssize_t *at = <Py_ssize_t *> (scratch + job.runs_at)
    cdef elem *x = <elem *> scratch
    cdef elem *grad = <elem *> (scratch + job.grad_at)
    cdef const elem *at_row
    cdef elem *sums
    cdef Sum sum
    cdef int V
    cdef bint begun = False
    number //= job.chunks
    g = number % job.groups
    part = number // job.groups
    for b in range(part * blocks // job.parts, (part + 1) * blocks // job.parts):
        n = b // per_picture
        row0 = b % per_picture // job.column_blocks * job.bh
        column0 = b % job.column_blocks * job.bw
        rows, columns = min(job.bh, job.y.height - row0), min(job.bw, job.y.width - column0)
        row = job.start0 + row0 * job.stride0
        column = job.start1 + column0 * job.stride1
        height = (rows - 1) * job.stride0 + (job.R - 1) * job.dilation0 + 1
        width = (columns - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1
        pack(&job.x, n, g * job.C + c0, channels, row, column, height, width, x)
        sum.at, sum.runs, sum.length, sum.step = at, rows, columns, job.stride1 * channels
        for i in range(rows):
            at[i] = i * job.stride0 * width * channels
        for i in range(k_blocks):
            k = i * WIDE * LANES
            V = width_of(job.K, k)
            pack_lanes(&job.y, n, g * job.K + k, min(job.K - k, <Py_ssize_t> V * LANES), V * LANES, row0, column0, rows,
                       columns, grad)
            sums = sums_of(job, part, g, k) + job.R * (job.S * c0 + chunk * MOST) * V * LANES
            for r in range(job.R):
                at_row = x + r * job.dilation0 * width * channels
                for s in range(job.S):
                    for c in range(channels):
                        pixel[s * channels + c] = at_row + s * job.dilation1 * channels + c
                for c in range(MOST):
                    pixel[job.S * channels + c] = at_row
                if begun:
                    multiply(sums, V * LANES, sums, V * LANES, pixel, grad, &sum, job.S * channels, V)
                else:
                    multiply(sums, V * LANES, job.zeros, 0, pixel, grad, &sum, job.S * channels, V)
                sums += (job.S * channels + MOST) * V * LANES
        begun = True


cdef void add_up(const Gradient *job, Py_ssize_t number, char *to, const cnp.npy_intp *strides) noexcept nogil:
    """The shares of one k block, added, to their places in the weight."""
    cdef Py_ssize_t blocks = (job.K + WIDE * LANES - 1) // (WIDE * LANES)
    cdef Py_ssize_t g = number // blocks, k = number % blocks * WIDE * LANES, r, s, c, lane, part, at, chunk, channels
    cdef Py_ssize_t lanes = width_of(job.K, k) * LANES, some = min(job.K - k, lanes)
    cdef elem *first = sums_of(job, 0, g, k)
    cdef elem *more
    cdef char *here
    for part in range(1, job.parts):
        more = sums_of(job, part, g, k)
        for at in range(rows_of(job) * lanes):
            first[at] += more[at]
    for chunk in range(job.chunks):
        channels = min(job.chunk, job.C - chunk * job.chunk)
        for r in range(job.R):
            for s in range(job.S):
                for c in range(channels):
                    here = (to + (g * job.K + k) * strides[0] + (chunk * job.chunk + c) * strides[1] + r * strides[2]
                            + s * strides[3])
                    for lane in range(some):
                        (<elem *> (here + lane * strides[0]))[0] = first[(s * channels + c) * lanes + lane]
            first += (job.S * channels + MOST) * lanes


cdef void run_gradient(const Gradient *job, Py_ssize_t first, Py_ssize_t last, int workers,
                       char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:
        for i in range(first, last):
            gradient_task(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic"):
            gradient_task(job, i, scratch + threadid() * job.scratch_bytes)


def gradient(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray weight not None, start, stride,
             dilation, Py_ssize_t groups, int workers):
    """The gradient of a layer's weight.

    x : (N, groups C, H, W), aligned, native, any strides   IN
    grad : (N, groups K, rows, columns), likewise: the gradient of the output   IN
    weight : (groups K, C, R, S), likewise, not overlapping them   OUT
    start, stride, dilation : pairs
    workers : threads at most
    """
    cdef Gradient job
    cdef Py_ssize_t item = sizeof(elem), height, width, size, tasks, blocks, done = 0, end, work, step, i
    cdef Py_ssize_t reach0, reach1, most, k_blocks
    cdef char *scratch
    cdef char *memory
    cdef char *zeros
    cdef char *to = <char *> cnp.PyArray_DATA(weight)
    cdef cnp.npy_intp *strides = weight.strides
    pictures(x, &job.x)
    pictures(grad, &job.y)
    job.groups, job.C, job.K = groups, job.x.channels // groups, job.y.channels // groups
    job.R, job.S = weight.shape[2], weight.shape[3]
    job.start0, job.start1 = start
    job.stride0, job.stride1 = stride
    job.dilation0, job.dilation1 = dilation
    if job.x.n * job.y.height * job.y.width == 0 or weight.size == 0:
        weight[...] = 0
        return
    k_blocks = (job.K + WIDE * LANES - 1) // (WIDE * LANES)
    most = CHANNELS if job.R * job.S > 4 else 2 * CHANNELS
    job.chunks = (job.C + most - 1) // most
    job.chunk = (job.C + job.chunks - 1) // job.chunks
    job.chunks = (job.C + job.chunk - 1) // job.chunk
    reach0, reach1 = (job.R - 1) * job.dilation0, (job.S - 1) * job.dilation1
    most = max(GRADIENT_BYTES // ((job.chunk + WIDE * LANES) * item), 16)
    job.bw = min(job.y.width, most)
    job.bh = min(job.y.height, max(1, most // job.bw))
    job.row_blocks = (job.y.height + job.bh - 1) // job.bh
    job.column_blocks = (job.y.width + job.bw - 1) // job.bw
    blocks = job.x.n * job.row_blocks * job.column_blocks
    size = groups * up(job.K, WIDE * LANES) * rows_of(&job)
    job.parts = max(1, min(min(blocks, (PARTS + groups * job.chunks - 1) // (groups * job.chunks)),
                           PARTS_BYTES // (size * item)))
    height = (job.bh - 1) * job.stride0 + reach0 + 1
    width = (job.bw - 1) * job.stride1 + reach1 + 1
    job.pixels_at = up(height * width * job.chunk * item, PAGE)
    job.runs_at = job.pixels_at + up((job.S * job.chunk + MOST) * sizeof(elem *), PAGE)
    job.grad_at = job.runs_at + up(job.bh * sizeof(Py_ssize_t), PAGE)
    job.scratch_bytes = job.grad_at + up(job.bh * job.bw * WIDE * LANES * item, PAGE)
    tasks = job.parts * groups * job.chunks
    work = job.y.n * job.y.channels * job.y.height * job.y.width * job.C * job.R * job.S
    workers = <int> max(1, min(min(<Py_ssize_t> workers, tasks), work // SHARE))
    memory = <char *> malloc(workers * job.scratch_bytes + up(WIDE * LANES * item, PAGE) + job.parts * size * item
                             + PAGE)
    try:
        if memory == NULL:
            raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch and "
                              f"{job.parts} x {size * item} of sums")
        scratch = aligned(memory)
        zeros = scratch + workers * job.scratch_bytes
        memset(zeros, 0, WIDE * LANES * item)
        job.zeros, job.sums = <const elem *> zeros, <elem *> (zeros + up(WIDE * LANES * item, PAGE))
        step = workers * max(1, STEP // max(1, work // tasks))
        while done < tasks:
            end = min(tasks, done + step)
            if workers > 1:
                workers = _machine.startable(workers)
            with nogil:
                run_gradient(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
        with nogil:
            if workers == 1:
                for i in range(groups * k_blocks):
                    add_up(&job, i, to, strides)
            else:
                for i in prange(groups * k_blocks, num_threads=workers, schedule="dynamic"):
                    add_up(&job, i, to, strides)
    finally:
        free(memory)
