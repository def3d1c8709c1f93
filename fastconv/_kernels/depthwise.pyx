# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Depthwise layers: every channel has kernels of its own, M of them, and nothing is summed over channels.

    y[n, k, i, j] = act(bias[k] + sum_p sum_q w[k, p, q] X[n, k // M, i s0 + p d0 + start0, j s1 + q d1 + start1])

X is x with zeros around it. There is little to do for each element that is moved, so memory is the limit and two
ways see to it that nothing else is:

- by planes: a channel is an image, columns in the lanes. Kernels of 3, 5 or 7 rows without strides go down it in
  strips, others take the tiles of images (tiles.pxd). Meanwhile the plane that is next comes from memory;
- by lanes, where channels are last in x and y: P pixels x one vector of channels, the weights loaded as vectors,
  P multiply-adds from memory for a load. P pixels go down a block's rows with as many channels as stay in L1, so that
  a line comes from L2 once and not for each row of the window.

A block of rows and columns of a plane (or of all channels) is a task. Its input is read in place where no zeros
are needed, and packed into scratch memory where they are. Which way is gone, and the order of
every sum, depend on the layout and the sizes alone.
"""
from cython.parallel cimport prange, threadid

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fastconv import _machine

from .pictures cimport MOST_LANES, Pictures, clear, pack, pictures, unpack
from .scratch cimport WAYS, aligned, up
from .tiles cimport COLUMNS, LANES, acc_t, correlate_plane, elem, load, madd, splat, store, tap_t, vec, zero

cdef extern from "simd.h" nogil:
    const int REGISTERS "FC_REGISTERS"
    vec fetch "fc_fetch" (const elem *)
    vec every_second "fc_every_second" (vec, vec, int)
    void prefetch "fc_prefetch" (const void *)
    void prefetch_far "fc_prefetch_far" (const void *)
    void activate "fc_activate" (elem *, Py_ssize_t, int)
    Py_ssize_t opaque "fc_opaque" (Py_ssize_t)
    ctypedef long integer "fc_int"
    ctypedef long mask "fc_mask"
    mask integers "fc_integers" (integer)
    mask load_integers "fc_load_integers" (const integer *)
    vec keep "fc_keep" (mask, vec)

cnp.import_array()

cdef enum:
    MOST = 8                    # sums of a tile
    PANEL = 5                   # weights that it holds
    PANEL_TAPS = 4              # of a panel of gradients, along either axis at most
    PACKED_BYTES = 1 << 17      # of a block's input: with its output it stays in L2
    FEW = 9                     # taps that may see a pixel, if it is not packed for the gradient
    SHORT = 12                  # pixels of a row that is better packed
    IN_PLACE_BYTES = 1 << 15    # of a block that is read in place: the next one comes from memory meanwhile
    PARTS = 16                  # that a gradient is summed in, or chunks of channels, so that threads have enough to do
    PART = 1 << 19              # multiply-adds of a part at least
    TURNED_BYTES = 3 << 17      # of a block that is turned and its output: much of L2, so that lines are long
    L1_BYTES = 1 << 15          # that are surely there
    CHUNK = 64                  # channels that are then packed at a time
    TALL = 16                   # rows of a block of channels
    WIDE = 64                   # and columns
    GRAIN = 1 << 16             # outputs that a thread takes at a time
    TALLEST = 7                 # rows of a strip's kernel
    HELD = 9                    # taps of one that registers hold
    SHARE = 1 << 17             # multiply-adds below which another thread is not worth waking
    STEP = 1 << 29              # multiply-adds of each thread between two looks for Ctrl-C
    PAGE = 64

ctypedef void (*Tiles)(elem *, Py_ssize_t, const elem *, const elem *, Py_ssize_t, Py_ssize_t, const elem *, Py_ssize_t,
                       Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil

ctypedef void (*Strips)(elem *, Py_ssize_t, const elem *, Py_ssize_t, const elem *, const Py_ssize_t *, Py_ssize_t,
                        elem, Py_ssize_t, Py_ssize_t, const char *) noexcept nogil

cdef struct Walk:               # of a panel of gradients through x and grad
    Py_ssize_t steps, x_step, grad_step         # along the axis whose taps share what they see; from one to the next
    Py_ssize_t lines, x_line, grad_line         # of so many steps, likewise
    Py_ssize_t first, end       # steps of x that are not zeros, counted from the first that is seen
    const char *soon_x          # what is needed soon
    const char *soon_grad
    bint follows                # whether it is walked through likewise, or line by line of memory; and how far on it is
    Py_ssize_t x_ahead, grad_ahead
    bint masked                 # whether lines reach beyond the picture, and then:
    bint lanes                  # whether a line is a row of pixels, or a vector of columns
    Py_ssize_t columns, width   # of grad and x, or the rows
    Py_ssize_t left, apart      # the first of x that is seen, and the next
    Py_ssize_t pace             # from one line to the next
    Py_ssize_t pitch            # elements of a row of x
    Py_ssize_t vectors, last    # of channels, and where the last begins
    Py_ssize_t taps             # sums of each
    const integer *edge         # L zeros, L ones, L zeros

ctypedef void (*Panels)(elem *, Py_ssize_t, Py_ssize_t, const elem *const *, const elem *, Walk *,
                        Py_ssize_t) noexcept nogil

cdef struct Layer:              # or a phase of one, see `backward`
    Pictures x, y
    Pictures whole              # y, or all that it is a phase of
    int phases                  # of the whole; as many structs lie beside each other
    const elem *w               # [K, R, S] by planes, [R S, C] by lanes
    const elem *bias            # [K]
    elem *dw                    # [parts, K, R S], the gradient of the weight
    Py_ssize_t M, R, S
    Py_ssize_t start0, start1, stride0, stride1, dilation0, dilation1
    int activation
    Py_ssize_t phase0, phase1, apart0, apart1   # the phase, and of how many
    bint lanes, turned          # by lanes; with channels that are not last in x and y
    Py_ssize_t pictures, bh, bw, row_blocks, column_blocks      # the grid of tasks
    Py_ssize_t chunk            # channels of a task that turns them, or of a gradient's
    Py_ssize_t chunks           # of the first, in a picture, or of the second
    Py_ssize_t parts            # of all blocks, that are summed apart
    Tiles dense_tiles
    Strips strips
    # scratch memory of a thread: where its parts start, in bytes
    Py_ssize_t dealt_at, offset_at, step_at, other_at, sums_at, scratch_bytes


# --- vectors of channels --------------------------------------------------------------------------------

cdef inline void tile(elem *y, Py_ssize_t ld, const elem *bias, const elem *const *x, const elem *w, Py_ssize_t ldw,
                      const Py_ssize_t *offset, Py_ssize_t taps, const int P) noexcept nogil:
    """y[p] = bias + sum_t x[p][offset[t]] w[t], a vector of channels each   p < P

    IN bias, x, w[taps, ldw]   OUT y, ld apart
    """
    cdef acc_t acc[MOST]
    cdef const elem *pixel[MOST]
    cdef vec one
    cdef Py_ssize_t t
    cdef int p
    for p in range(P):
        pixel[p] = x[p]
        acc[p] = load(bias)
    for t in range(opaque(taps)):
        one = load(w)
        for p in range(P):
            acc[p] = madd(acc[p], fetch(pixel[p] + offset[t]), one)
        w += ldw
    for p in range(P):
        store(y + p * ld, acc[p])


cdef inline void tiles(elem *y, Py_ssize_t ld, const elem *bias, const elem *const *x, const elem *w, Py_ssize_t ldw,
                       const Py_ssize_t *offset, Py_ssize_t taps, Py_ssize_t n) noexcept nogil:
    """The same for n <= MOST pixels."""
    cdef Py_ssize_t p = 0
    if n == MOST:
        tile(y, ld, bias, x, w, ldw, offset, taps, MOST)
        return
    if n >= 4:
        tile(y, ld, bias, x, w, ldw, offset, taps, 4)
        p = 4
    while p < n:
        tile(y + p * ld, ld, bias, x + p, w, ldw, offset, taps, 1)
        p += 1


# Where windows stand side by side, a loaded pixel of x serves every window of a row that sees it: J + MOST - 1 loads
# for J MOST multiply-adds. The sums are those of the tile above, in its order.

cdef inline void panel(acc_t *acc, const elem *x, Py_ssize_t ldx, const elem *w, Py_ssize_t ldw,
                       const int J) noexcept nogil:
    """acc[p] += sum_j x[p + j] w[j]   j < J, p < MOST   IN x, w, their rows ldx, ldw apart   INOUT acc."""
    cdef vec taps[PANEL]
    cdef vec v
    cdef int j, q
    for j in range(J):
        taps[j] = load(w + j * ldw)
    for q in range(MOST + J - 1):
        v = load(x)
        x += ldx
        for j in range(J):
            if 0 <= q - j < MOST:
                acc[q - j] = madd(acc[q - j], v, taps[j])


cdef inline void dense_tiles(elem *y, Py_ssize_t ld, const elem *bias, const elem *x, Py_ssize_t ldx, Py_ssize_t ldh,
                             const elem *w, Py_ssize_t ldw, Py_ssize_t R, Py_ssize_t S, Py_ssize_t C,
                             Py_ssize_t x_ahead, Py_ssize_t y_ahead, const int J) noexcept nogil:
    """C channels of MOST outputs side by side, of windows of R rows of S pixels, J of them a panel.

    What the next such tiles need, x_ahead and y_ahead further on, is asked for while these are summed.
    """
    cdef acc_t acc[MOST]
    cdef const elem *at
    cdef const elem *weight
    cdef Py_ssize_t _r, s, c = 0
    cdef int p
    while c < C:
        c = min(c, C - LANES)
        if c * <Py_ssize_t> sizeof(elem) % PAGE < LANES * <Py_ssize_t> sizeof(elem):
            for p in range(MOST):
                prefetch(x + x_ahead + p * ldx + c)
                prefetch(y + y_ahead + p * ld + c)
        for p in range(MOST):
            acc[p] = load(bias + c)
        at = x + c
        weight = w + c
        for _r in range(opaque(R)):
            s = 0
            while S - s >= J:
                panel(acc, at + s * ldx, ldx, weight + s * ldw, ldw, J)
                s += J
            while J == 4 and s < S:                 # the other panels are for S that they divide
                panel(acc, at + s * ldx, ldx, weight + s * ldw, ldw, 1)
                s += 1
            at += ldh
            weight += S * ldw
        for p in range(MOST):
            store(y + p * ld + c, acc[p])
        c += LANES


# One function for each panel: sums that several of them share would not stay in registers.

cdef void dense_tiles_3(elem *y, Py_ssize_t ld, const elem *bias, const elem *x, Py_ssize_t ldx, Py_ssize_t ldh,
                        const elem *w, Py_ssize_t ldw, Py_ssize_t R, Py_ssize_t S, Py_ssize_t C,
                        Py_ssize_t x_ahead, Py_ssize_t y_ahead) noexcept nogil:
    dense_tiles(y, ld, bias, x, ldx, ldh, w, ldw, R, S, C, x_ahead, y_ahead, 3)


cdef void dense_tiles_5(elem *y, Py_ssize_t ld, const elem *bias, const elem *x, Py_ssize_t ldx, Py_ssize_t ldh,
                        const elem *w, Py_ssize_t ldw, Py_ssize_t R, Py_ssize_t S, Py_ssize_t C,
                        Py_ssize_t x_ahead, Py_ssize_t y_ahead) noexcept nogil:
    dense_tiles(y, ld, bias, x, ldx, ldh, w, ldw, R, S, C, x_ahead, y_ahead, 5)


cdef void dense_tiles_4(elem *y, Py_ssize_t ld, const elem *bias, const elem *x, Py_ssize_t ldx, Py_ssize_t ldh,
                        const elem *w, Py_ssize_t ldw, Py_ssize_t R, Py_ssize_t S, Py_ssize_t C,
                        Py_ssize_t x_ahead, Py_ssize_t y_ahead) noexcept nogil:
    dense_tiles(y, ld, bias, x, ldx, ldh, w, ldw, R, S, C, x_ahead, y_ahead, 4)


# --- strips of columns ----------------------------------------------------------------------------------
#
# C vectors go down the rows. R outputs are under way: a row of x is loaded once, C vectors for each of S columns of the
# kernel, and has its part in all of them; then the oldest is finished. A sum's order is that of the tiles of images.
# Sums move up by a row each time, and do not take turns as in the strips of tiles.pxd: those are 3 to 8 % faster in
# images, and 5 to 30 % slower in planes as small as these, where no branch could be foreseen.

cdef inline void strip(elem *y, Py_ssize_t ld, const Py_ssize_t *at, const elem *x, Py_ssize_t ldx, const elem *w,
                       const Py_ssize_t *offset, Py_ssize_t columns, elem bias, Py_ssize_t rows, const char *soon,
                       const int R, const int S, const int C) noexcept nogil:
    """y[i, at[c]] = bias + sum_p sum_q w[p, q] x[i + p, at[c] + offset[q]], vectors all   i < rows, c < C

    S columns that are neighbours, or as many as `columns` where S is 0   IN x, w   OUT y   `soon` is asked for
    """
    cdef acc_t acc[TALLEST * COLUMNS]
    cdef tap_t taps[HELD]
    cdef vec v[COLUMNS]
    cdef vec one = splat(bias)
    cdef tap_t t
    cdef const elem *here
    cdef Py_ssize_t i, q
    cdef int r, c, k
    for r in range(R * C):
        acc[r] = zero()
    for k in range(R * S):
        taps[k] = splat(w[k])
    for i in range(rows + R - 1):
        for c in range(C):
            prefetch_far(soon + c * LANES * <int> sizeof(elem))
        soon += C * LANES * <int> sizeof(elem)
        for k in range(S):
            for c in range(C):
                v[c] = load(x + at[c] + k)
            for r in range(R):
                for c in range(C):
                    acc[r * C + c] = madd(acc[r * C + c], v[c], taps[(R - 1 - r) * S + k])
        for q in range(0 if S else columns):
            here = x + offset[q]
            for c in range(C):
                v[c] = load(here + at[c])
            for r in range(R):
                t = splat(w[(R - 1 - r) * columns + q])
                for c in range(C):
                    acc[r * C + c] = madd(acc[r * C + c], v[c], t)
        if i >= R - 1:
            for c in range(C):
                prefetch(y + 4 * ld + at[c])
                store(y + at[c], acc[c] + one)
            y += ld
        for r in range(R * C - C):
            acc[r] = acc[r + C]
        for c in range(C):
            acc[R * C - C + c] = zero()
        x += ldx


cdef inline void strips(elem *y, Py_ssize_t ld, const elem *x, Py_ssize_t ldx, const elem *w,
                        const Py_ssize_t *offset, Py_ssize_t columns, elem bias, Py_ssize_t rows, Py_ssize_t n,
                        const char *soon, const int R, const int S, const int C) noexcept nogil:
    """n >= L columns of the output; the last vector overlaps its neighbour."""
    cdef Py_ssize_t j = 0, here
    cdef Py_ssize_t at[COLUMNS]
    cdef int c
    while j < n:
        here = min(<Py_ssize_t> C, (n - j + LANES - 1) // LANES)
        for c in range(C):
            at[c] = min(j + c * LANES, n - LANES)
        if here == 1:
            strip(y, ld, at, x, ldx, w, offset, columns, bias, rows, soon, R, S, 1)
        elif here == 2:
            strip(y, ld, at, x, ldx, w, offset, columns, bias, rows, soon, R, S, 2 if C > 2 else C)
        elif here == 3:
            strip(y, ld, at, x, ldx, w, offset, columns, bias, rows, soon, R, S, 3 if C > 3 else C)
        else:
            strip(y, ld, at, x, ldx, w, offset, columns, bias, rows, soon, R, S, C)
        soon += (rows + R - 1) * here * LANES * <Py_ssize_t> sizeof(elem)
        j += here * LANES


cdef void strips_3x3(elem *y, Py_ssize_t ld, const elem *x, Py_ssize_t ldx, const elem *w, const Py_ssize_t *offset,
                     Py_ssize_t columns, elem bias, Py_ssize_t rows, Py_ssize_t n, const char *soon) noexcept nogil:
    strips(y, ld, x, ldx, w, offset, columns, bias, rows, n, soon, 3, 3, COLUMNS)


cdef void strips_3(elem *y, Py_ssize_t ld, const elem *x, Py_ssize_t ldx, const elem *w, const Py_ssize_t *offset,
                   Py_ssize_t columns, elem bias, Py_ssize_t rows, Py_ssize_t n, const char *soon) noexcept nogil:
    strips(y, ld, x, ldx, w, offset, columns, bias, rows, n, soon, 3, 0, COLUMNS)


cdef void strips_5(elem *y, Py_ssize_t ld, const elem *x, Py_ssize_t ldx, const elem *w, const Py_ssize_t *offset,
                   Py_ssize_t columns, elem bias, Py_ssize_t rows, Py_ssize_t n, const char *soon) noexcept nogil:
    strips(y, ld, x, ldx, w, offset, columns, bias, rows, n, soon, 5, 0, COLUMNS)


cdef void strips_7(elem *y, Py_ssize_t ld, const elem *x, Py_ssize_t ldx, const elem *w, const Py_ssize_t *offset,
                   Py_ssize_t columns, elem bias, Py_ssize_t rows, Py_ssize_t n, const char *soon) noexcept nogil:
    strips(y, ld, x, ldx, w, offset, columns, bias, rows, n, soon, 7, 0, COLUMNS - 1)


cdef inline Strips strips_of(const Layer *job) noexcept nogil:
    """NULL where there are none."""
    if job.stride0 > 1:
        return NULL
    if job.R == 3 and job.S == 3 and job.dilation1 == job.stride1 == 1 and REGISTERS == 32:
        return strips_3x3
    if job.R == 3:
        return strips_3
    if job.R == 5:
        return strips_5
    if job.R == 7:
        return strips_7
    return NULL


# --- a task ---------------------------------------------------------------------------------------------

cdef inline void pack_plane(const Pictures *x, Py_ssize_t n, Py_ssize_t channel, Py_ssize_t row, Py_ssize_t column,
                            Py_ssize_t height, Py_ssize_t width, elem *to, Py_ssize_t ld) noexcept nogil:
    """A part of one channel, zeros outside and to the end of each row.

    IN x   OUT to[height, ld], of which `width` count; a vector behind it is written, too
    """
    cdef Py_ssize_t low = min(max(-column, 0), width), high = max(min(x.width - column, width), low), j, count
    cdef Py_ssize_t above = min(max(-row, 0), height), below = max(min(x.height - row, height), above)
    cdef Py_ssize_t item = sizeof(elem)
    cdef const char *at = x.at + n * x.sn + channel * x.sc + (row + above) * x.sh + (column + low) * x.sw
    cdef const elem *line
    cdef elem *end = to + height * ld
    cdef vec nothing = splat(0)
    count = high - low
    clear(to, above * ld + low)
    to += above * ld + low
    for _ in range(below - above):
        line = <const elem *> at
        if x.sw == item and count >= LANES:
            j = 0
            while j <= count - LANES:
                store(to + j, load(line + j))
                j += LANES
            if j < count:
                store(to + count - LANES, load(line + count - LANES))
        else:
            for j in range(count):
                to[j] = (<const elem *> (at + j * x.sw))[0]
        j = count
        while j < ld:                               # the next row's first zeros, too
            store(to + j, nothing)
            j += LANES
        at += x.sh
        to += ld
    if to < end:
        clear(to, end - to)


cdef inline void deal(const elem *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, elem *to,
                      Py_ssize_t phase) noexcept nogil:
    """Columns by phase: neighbouring outputs read neighbours   IN x[rows, ld]   OUT to[rows, stride, phase]."""
    cdef Py_ssize_t _i, j, s, first = 0
    cdef vec one, two
    for _i in range(rows):
        if stride == 2:
            first = 0
            while 2 * (first + LANES) <= columns:
                one, two = load(x + 2 * first), load(x + 2 * first + LANES)
                store(to + first, every_second(one, two, 0))
                store(to + phase + first, every_second(one, two, 1))
                first += LANES
        for s in range(stride):
            for j in range(first, (columns - s + stride - 1) // stride):
                to[s * phase + j] = x[j * stride + s]
        x += ld
        to += stride * phase


cdef inline bint lies_inside(const Layer *job, Py_ssize_t row, Py_ssize_t column, Py_ssize_t height,
                             Py_ssize_t width) noexcept nogil:
    """Whether so much of a picture can be read in place."""
    return (job.x.sh % <Py_ssize_t> sizeof(elem) == 0 and job.x.sw % <Py_ssize_t> sizeof(elem) == 0 and row >= 0
            and column >= 0 and height <= job.x.height - row and width <= job.x.width - column)


cdef void block_of_lanes(const Layer *job, Py_ssize_t picture, Py_ssize_t channel, Py_ssize_t C, Py_ssize_t row0,
                         Py_ssize_t column0, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t pitch,
                         char *scratch) noexcept nogil:
    """Channels of a block of outputs, in scratch memory in rows of `pitch` pixels if planes are turned."""
    cdef Py_ssize_t i, j, n, m, r, s, c, last, here, ldh, ldw, x_step, x_line, y_step, y_line
    cdef Py_ssize_t below, ldt, some, first, end, item = sizeof(elem)
    cdef Py_ssize_t row = job.start0 + row0 * job.stride0, column = job.start1 + column0 * job.stride1
    cdef Py_ssize_t height = (rows - 1) * job.stride0 + (job.R - 1) * job.dilation0 + 1
    cdef Py_ssize_t width = (columns - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1
    cdef Py_ssize_t *offset = <Py_ssize_t *> (scratch + job.offset_at)
    cdef const elem *origin
    cdef const elem *pixel[MOST]
    cdef const elem *line
    cdef const elem *w
    cdef const elem *bias
    cdef elem *at
    cdef elem *to
    cdef bint dense
    if C == job.y.channels and not job.turned and lies_inside(job, row, column, height, width):
        origin = <const elem *> (job.x.at + picture * job.x.sn + row * job.x.sh + column * job.x.sw)
        ldh, ldw = job.x.sh // item, job.x.sw // item
    else:
        pack(&job.x, picture, channel, C, row, column, height, width, <elem *> scratch)
        origin = <const elem *> scratch
        ldw = C
        ldh = width * ldw
    for r in range(job.R):
        for s in range(job.S):
            offset[r * job.S + s] = r * job.dilation0 * ldh + s * job.dilation1 * ldw
    # Pixels of a tile stand in a row, or one above the other in the columns of the rim.
    n, m, x_step, x_line = columns, rows, job.stride1 * ldw, job.stride0 * ldh
    if job.turned:
        at = <elem *> (scratch + job.other_at) + (job.phase0 * pitch + job.phase1) * C
        y_step, y_line = job.apart1 * C, job.apart0 * pitch * C
    else:
        at = <elem *> (job.y.at + picture * job.y.sn + channel * item + row0 * job.y.sh + column0 * job.y.sw)
        y_step, y_line = job.y.sw // item, job.y.sh // item
    dense = job.stride1 == 1 and job.dilation1 == 1
    if n < MOST and n < m:
        dense = False
        n, m, x_step, x_line, y_step, y_line = m, n, x_line, x_step, y_line, y_step
    w, bias, ldt = job.w + channel, job.bias + channel, job.y.channels
    # A strip of pixels goes down its rows: what is loaded of a row stays in L1 for the windows below.
    some = max(1, L1_BYTES // ((MOST + job.S) * max(job.R, 1) * LANES * item)) * LANES
    j = 0
    while j < n:
        if n >= MOST:
            j = min(j, n - MOST)                    # the last tile overlaps its neighbour
        here = min(<Py_ssize_t> MOST, n - j)
        first = 0
        while first < C:
            first = min(first, C - LANES)
            end = min(first + some, C)
            for i in range(m):
                to = at + i * y_line + j * y_step
                line = origin + i * x_line + j * x_step
                below = x_line + offset[(job.R - 1) * job.S] if i + 1 < m else 0
                for s in range(here):
                    pixel[s] = line + first + s * x_step
                if dense and here == MOST:
                    job.dense_tiles(to + first, y_step, bias + first, line + first, ldw, job.dilation0 * ldh,
                                    w + first, ldt, job.R, job.S, end - first, below, y_line)
                else:
                    c = last = first
                    while c < end:
                        c = min(c, end - LANES)
                        for s in range(here):
                            pixel[s] += c - last
                            if c * item % PAGE < LANES * item:
                                prefetch(pixel[s] + below)
                                prefetch(to + s * y_step + y_line + c)
                        last = c
                        tiles(to + c, y_step, bias + c, pixel, w + c, ldt, offset, job.R * job.S, here)
                        c += LANES
                if job.activation:
                    for s in range(here):
                        activate(to + s * y_step + first, end - first, job.activation)
            first = end
        j += here


cdef void block_of_plane(const Layer *job, Py_ssize_t n, Py_ssize_t k, Py_ssize_t row0, Py_ssize_t column0,
                         Py_ssize_t rows, Py_ssize_t columns, char *scratch) noexcept nogil:
    """One channel of a block of outputs."""
    cdef Py_ssize_t i, j, s, ldh, phase = 0, ld, item = sizeof(elem)
    cdef Py_ssize_t row = job.start0 + row0 * job.stride0, column = job.start1 + column0 * job.stride1
    cdef Py_ssize_t height = (rows - 1) * job.stride0 + (job.R - 1) * job.dilation0 + 1
    cdef Py_ssize_t width = (columns - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1
    cdef Py_ssize_t *offset = <Py_ssize_t *> (scratch + job.offset_at)
    cdef Py_ssize_t *step = <Py_ssize_t *> (scratch + job.step_at)
    cdef const elem *w = job.w + k * job.R * job.S
    cdef elem bias = job.bias[k]
    cdef const elem *origin
    cdef const char *at
    cdef elem *packed
    cdef elem *to
    if job.x.sw == item and job.stride1 == 1 and columns >= LANES and lies_inside(job, row, column, height, width):
        origin = <const elem *> (job.x.at + n * job.x.sn + k // job.M * job.x.sc + row * job.x.sh + column * job.x.sw)
        ldh = job.x.sh // item
    else:
        if columns < LANES:                         # a tile is a vector wide
            width = (LANES - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1
        ldh = up(width, min(<Py_ssize_t> 2, job.stride1) * LANES)   # whole vectors are dealt, and pixels are aligned
        packed = <elem *> scratch + (LANES - min(max(-column, 0), width) % LANES) % LANES
        pack_plane(&job.x, n, k // job.M, row, column, height, width, packed, ldh)
        origin = packed
        if job.stride1 > 1:
            phase = (ldh + job.stride1 - 1) // job.stride1
            deal(origin, ldh, height, ldh, job.stride1, <elem *> (scratch + job.dealt_at), phase)
            ldh = job.stride1 * phase
            origin = <const elem *> (scratch + job.dealt_at)
    for s in range(job.S):
        offset[s] = s * job.dilation1 % job.stride1 * phase + s * job.dilation1 // job.stride1
    if job.y.sw == item and job.y.sh % item == 0 and columns >= LANES:
        to = <elem *> (job.y.at + n * job.y.sn + k * job.y.sc + row0 * job.y.sh + column0 * job.y.sw)
        ld = job.y.sh // item
    else:
        to = <elem *> (scratch + job.other_at)
        ld = max(columns, LANES)
    at = job.x.at + n * job.x.sn + k // job.M * job.x.sc + max(row, 0) * job.x.sh
    if job.strips != NULL:
        for i in range(min(job.dilation0, rows)):   # rows so far apart are a plane of their own
            job.strips(to + i * ld, job.dilation0 * ld, origin + i * ldh, job.dilation0 * ldh, w, offset, job.S, bias,
                       (rows - i + job.dilation0 - 1) // job.dilation0, max(columns, LANES),
                       at + (job.x.sc if rows == job.y.height else rows * job.x.sh))
    else:
        step[0] = 0
        correlate_plane(to, ld, origin, ldh, w, 1, step, job.R, job.S, offset, job.stride0, job.dilation0, rows,
                        max(columns, LANES))
        if bias != 0:
            for i in range(rows):
                for j in range(columns):
                    to[i * ld + j] += bias
    if job.activation:
        for i in range(rows):
            activate(to + i * ld, columns, job.activation)
    if to == <elem *> (scratch + job.other_at):
        for i in range(rows):
            unpack(&job.y, n, k, 1, row0 + i, column0, 1, columns, to + i * ld, 1)


cdef void task(const Layer *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """Block `number` of the grid of tasks."""
    cdef Py_ssize_t column = number % job.column_blocks * job.bw, columns = min(job.bw, job.y.width - column)
    cdef Py_ssize_t row, rows, width, i, j
    cdef int f
    cdef Py_ssize_t down[4]
    cdef Py_ssize_t across[4]
    number //= job.column_blocks
    row = number % job.row_blocks * job.bh
    rows = min(job.bh, job.y.height - row)
    number //= job.row_blocks
    if not job.lanes:
        block_of_plane(job, number // job.y.channels, number % job.y.channels, row, column, rows, columns, scratch)
        return
    i = number % job.chunks * job.chunk
    if job.turned:
        number //= job.chunks
        j = channels_from(job, i)
        columns = min(job.bw * job.apart1, job.whole.width - column * job.apart1)
        for f in range(job.phases):
            rows, width = min(job.bh, job[f].y.height - row), min(job.bw, job[f].y.width - column)
            if rows > 0 and width > 0:
                block_of_lanes(&job[f], number, i, j, row, column, rows, width, columns, scratch)
        rows = min(job.bh * job.apart0, job.whole.height - row * job.apart0)
        unpack(&job.whole, number, i, j, row * job.apart0, column * job.apart1, rows, columns,
               <elem *> (scratch + job.other_at), j)
        return
    if job.y.channels * <Py_ssize_t> sizeof(elem) % WAYS == 0:      # pixels would contend for few ways of the cache
        i = 0
        while i < job.y.channels:
            block_of_lanes(job, number, i, min(<Py_ssize_t> CHUNK, job.y.channels - i), row, column, rows, columns,
                           columns, scratch)
            i += CHUNK
        return
    # Only the rim is packed: a whole block is many channels.
    cuts(down, row, rows, job.start0, job.stride0, (job.R - 1) * job.dilation0, job.x.height)
    cuts(across, column, columns, job.start1, job.stride1, (job.S - 1) * job.dilation1, job.x.width)
    for i in range(3):
        for j in range(3):
            if down[i] < down[i + 1] and across[j] < across[j + 1]:
                block_of_lanes(job, number, 0, job.y.channels, down[i], across[j], down[i + 1] - down[i],
                               across[j + 1] - across[j], columns, scratch)


cdef inline Py_ssize_t channels_from(const Layer *job, Py_ssize_t i) noexcept nogil:
    """How many a task has that begins with channel i: the last one has what is left."""
    return job.chunk if i + 2 * job.chunk <= job.y.channels else job.y.channels - i


cdef inline void cuts(Py_ssize_t *at, Py_ssize_t first, Py_ssize_t count, Py_ssize_t start, Py_ssize_t stride,
                      Py_ssize_t reach, Py_ssize_t n) noexcept nogil:
    """Cuts outputs first .. first+count-1 where they begin, and where they cease, to see only what lies inside."""
    cdef Py_ssize_t low = 0 if start >= 0 else (-start + stride - 1) // stride
    cdef Py_ssize_t high = (n - 1 - reach - start) // stride + 1 if n - 1 - reach - start >= 0 else 0
    at[0], at[3] = first, first + count
    at[1] = min(max(low, first), at[3])
    at[2] = min(max(high, at[1]), at[3])


cdef void lay_out(Layer *job, int workers) noexcept nogil:
    """Chooses the tasks, and the scratch memory they need."""
    cdef Py_ssize_t item = sizeof(elem), reach0 = 0, reach1 = 0, taps = 0, height, width, most
    cdef Py_ssize_t C = job.y.channels if job.lanes else 1, outputs = job.apart0 * job.apart1
    cdef int f
    for f in range(job.phases):
        reach0 = max(reach0, (job[f].R - 1) * job[f].dilation0)
        reach1 = max(reach1, (job[f].S - 1) * job[f].dilation1)
        taps = max(taps, job[f].R * job[f].S)
    job.chunks = job.chunk = 1
    if job.turned:
        height, width = min(job.y.height, TALL // job.apart0 + 1), min(job.y.width, WIDE // job.apart1 + 1)
        most = (((height - 1) * job.stride0 + reach0 + 1) * ((width - 1) * job.stride1 + reach1 + 1)
                + height * width * outputs) * item
        job.chunk = up(max(1, min(<Py_ssize_t> CHUNK, L1_BYTES // most)), LANES)
        job.chunks = max(1, job.y.channels // job.chunk)
        C = job.y.channels - (job.chunks - 1) * job.chunk
    job.pictures = job.x.n * (job.chunks if job.lanes else job.y.channels)
    most = 0 if job.lanes else PACKED_BYTES // (2 * (reach0 + job.stride0 + 1) * item * job.stride1) - reach1
    most = max(1, most, WIDE // job.apart1)
    job.column_blocks = (job.y.width + most - 1) // most
    job.bw = (job.y.width + job.column_blocks - 1) // job.column_blocks
    job.column_blocks = (job.y.width + job.bw - 1) // job.bw
    width = up((max(job.bw, LANES) - 1) * job.stride1 + reach1 + 1,
               1 if job.lanes else min(<Py_ssize_t> 2, job.stride1) * LANES)
    if job.turned:
        most = ((TURNED_BYTES // (C * item) - (reach0 + 1 - job.stride0) * width)
                // (job.stride0 * width + job.bw * outputs))
    else:
        most = TALL if job.lanes else (PACKED_BYTES // (width * item) - reach0 - 1) // job.stride0 + 1
    most = max(1, most)
    job.row_blocks = (job.y.height + most - 1) // most
    while job.pictures * job.row_blocks * job.column_blocks < 4 * workers and TALL * job.row_blocks < job.y.height:
        job.row_blocks *= 2
    job.bh = (job.y.height + job.row_blocks - 1) // job.row_blocks
    job.row_blocks = (job.y.height + job.bh - 1) // job.bh
    height = (job.bh - 1) * job.stride0 + reach0 + 1
    job.dealt_at = up((height * width * C + 2 * LANES) * item, PAGE)
    job.offset_at = job.dealt_at + (0 if job.lanes or job.stride1 == 1 else
                                    up((height * (width + job.stride1) + LANES) * item, PAGE))
    job.step_at = job.offset_at + up(taps * sizeof(Py_ssize_t), PAGE)
    job.other_at = job.step_at + up((job.R + 1) * sizeof(Py_ssize_t), PAGE)
    job.scratch_bytes = job.other_at + up((C * job.bh * job.bw * outputs if job.turned else
                                           0 if job.lanes else job.bh * max(job.bw, LANES)) * item, PAGE)
    for f in range(1, job.phases):
        job[f].offset_at, job[f].other_at = job.offset_at, job.other_at


cdef void run(const Layer *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i, chunk = max(1, min(GRAIN // (job.bh * job.bw * job.chunk), (last - first) // (4 * workers)))
    if workers == 1:
        for i in range(first, last):
            task(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic",
                        chunksize=1 if job.lanes and not job.turned else chunk):
            task(job, i, scratch + threadid() * job.scratch_bytes)


def by_lanes(cnp.ndarray x not None, cnp.ndarray y not None, bint strided):
    """Whether channels are to be lanes; the weight must then be (R S, C)."""
    cdef Py_ssize_t item = sizeof(elem)
    if x.shape[1] != y.shape[1] or x.shape[1] < LANES:
        return False
    if x.strides[1] == item and y.strides[1] == item:
        return y.strides[2] % item == 0 and y.strides[3] % item == 0
    return strided or y.shape[3] <= LANES


cdef void set_up(Layer *job, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias, bint lanes, taps, start, stride,
                 dilation, int activation):
    """All but its outputs."""
    pictures(x, &job.x)
    job.w, job.bias = <const elem *> cnp.PyArray_DATA(weight), <const elem *> cnp.PyArray_DATA(bias)
    job.R, job.S = taps
    job.start0, job.start1 = start
    job.stride0, job.stride1 = stride
    job.dilation0, job.dilation1 = dilation
    job.activation, job.lanes = activation, lanes
    job.dense_tiles = dense_tiles_3 if job.S % 3 == 0 else dense_tiles_5 if job.S % 5 == 0 else dense_tiles_4
    job.strips = strips_of(job)


cdef start_all(Layer *job, Py_ssize_t work, int workers):
    """Lays the work out, so many multiply-adds, and does it."""
    cdef Py_ssize_t tasks, done = 0, end, step
    cdef char *memory
    cdef char *scratch
    workers = <int> max(1, min(<Py_ssize_t> workers, work // SHARE))
    lay_out(job, workers)
    tasks = job.pictures * job.row_blocks * job.column_blocks
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
                run(job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
    finally:
        free(memory)


def forward(cnp.ndarray x not None, cnp.ndarray weight not None, cnp.ndarray bias not None, cnp.ndarray y not None,
            bint lanes, taps, start, stride, dilation, int activation, int workers):
    """A depthwise layer's output.

    x : (N, C, H, W), aligned, native, any strides   IN
    weight : (M C, R, S), or (R S, C) by lanes, C-contiguous   IN
    bias : (M C,), C-contiguous   IN
    y : (N, M C, rows, columns), like x, not overlapping it   OUT
    lanes : whether to go `by_lanes`
    taps, start, stride, dilation : pairs
    activation : 0 none, 1 relu, 2 sigmoid, 3 tanh
    workers : threads at most
    """
    cdef Layer job
    if y.size == 0:
        return
    set_up(&job, x, weight, bias, lanes, taps, start, stride, dilation, activation)
    pictures(y, &job.y)
    job.whole, job.phases = job.y, 1
    job.phase0 = job.phase1 = 0
    job.apart0 = job.apart1 = 1
    job.M = job.y.channels // job.x.channels
    job.turned = lanes and not (x.strides[1] == y.strides[1] == sizeof(elem))
    start_all(&job, y.size * (job.R * job.S + 4), workers)


def backward(cnp.ndarray x not None, phases, cnp.ndarray bias not None, cnp.ndarray y not None, count,
             int activation, int workers):
    """The layer that goes the other way, by lanes: one without strides for each phase of the outputs.

    x : (N, C, H, W), aligned, native, any strides   IN
    phases : for each phase of y, row by row, its weight (R S, C), C-contiguous, and its taps, start and dilation   IN
    bias : (C,), C-contiguous   IN
    y : (N, C, rows, columns), like x, not overlapping it   OUT
    count : a pair, how many phases there are along each axis
    activation, workers : as above
    """
    cdef Py_ssize_t work = 0
    cdef int f, down, across
    cdef Layer *jobs
    cdef Layer *job
    if y.size == 0:
        return
    down, across = count
    jobs = <Layer *> calloc(down * across, sizeof(Layer))
    if jobs == NULL:
        raise MemoryError("fastconv: no memory to lay out the work")
    try:
        for f in range(down * across):
            weight, taps, start, dilation = phases[f]
            job = jobs + f
            set_up(job, x, weight, bias, True, taps, start, (1, 1), dilation, activation)
            pictures(y, &job.whole)
            job.y, job.phases, job.turned, job.M = job.whole, down * across, True, 1
            job.apart0, job.apart1, job.phase0, job.phase1 = down, across, f // across, f % across
            job.y.height = (job.whole.height - job.phase0 + job.apart0 - 1) // job.apart0
            job.y.width = (job.whole.width - job.phase1 + job.apart1 - 1) // job.apart1
            work += y.size // (down * across) * (job.R * job.S + 4)
        start_all(jobs, work, workers)
    finally:
        free(jobs)


# --- the gradient of the weight -------------------------------------------------------------------------
#
#   dw[k, p, q] = sum_n sum_i sum_j dy[n, k, i, j] X[n, k // M, i s0 + p d0 + start0, j s1 + q d1 + start1]
#
# A channel's taps, or those of a vector of channels, are the sums of panels, A x B taps each. By planes the lanes are
# columns, and are added up at the end: a panel goes down the rows. By lanes they are channels, and it goes along a row.
# At each step B loaded vectors of x meet the A last ones of dy. Taps that strides keep from each other are panels of
# their own, or tiles, which share no more than dy, where x is packed.
#
# A task sums a channel, or a chunk of them, over a part of the pictures; parts are added up in their order. Where few
# taps see a pixel, pictures are read in place: to pack them takes longer than to sum. What lies beside a picture counts
# as zeros, so that the sums are those of one that is packed with zeros around it.

cdef inline Py_ssize_t quotient(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """a / b rounded up, 0 where it is less; most often without a division, which takes as long as ten steps."""
    return 0 if a <= 0 else a if b == 1 else (a + b - 1) // b


cdef inline void gradient_tile(elem *sums, const elem *const *x, const elem *grad, const Walk *walk,
                               const int P) noexcept nogil:
    """sums[p] += sum_t sum_i x[p][i x_step + t x_line] grad[i grad_step + t grad_line], vectors all   p < P."""
    cdef acc_t acc[MOST]
    cdef const elem *pixel[MOST]
    cdef const elem *here
    cdef vec one
    cdef Py_ssize_t c, i, t, _i
    cdef int p
    for c in range(walk.vectors):
        for p in range(P):
            pixel[p] = x[p] + c * LANES
            acc[p] = load(sums + p * LANES)
        for t in range(walk.lines):
            here = grad + t * walk.grad_line + c * LANES
            i = t * walk.x_line
            for _i in range(opaque(walk.steps)):
                one = load(here)
                for p in range(P):
                    acc[p] = madd(acc[p], fetch(pixel[p] + i), one)
                i += walk.x_step
                here += walk.grad_step
        for p in range(P):
            store(sums + p * LANES, acc[p])
        sums += walk.taps * LANES


cdef inline mask inside(const integer *edge, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """The lanes from `first` to `end`."""
    first, end = min(max(first, 0), LANES), min(max(end, 0), LANES)
    return load_integers(edge + LANES - first) & load_integers(edge + 2 * LANES - end)


cdef inline void gradient_step(acc_t *acc, const elem **x, Py_ssize_t x_step, const vec *g, const mask *seen,
                               bint zeros, int first, int end, const int A, const int B,
                               const bint MASKED) noexcept nogil:
    """acc[a, b] += x[b] g[a]   first <= a < end   and x goes on to the next step.

    `zeros` are multiplied, too: so are those of a picture that is packed, and NaN stays NaN.
    """
    cdef vec v[PANEL_TAPS]
    cdef int a, b
    for b in range(B):
        v[b] = splat(0)
    if not zeros:
        for b in range(B):
            v[b] = keep(seen[b], fetch(x[b])) if MASKED else load(x[b])
    for b in range(B):
        x[b] += x_step
        for a in range(A):
            if first <= a < end:
                acc[a * B + b] = madd(acc[a * B + b], v[b], g[a])


cdef inline void next_grad(vec *g, const elem *grad, mask counted, const int A, const bint MASKED) noexcept nogil:
    """g[0] is loaded, the others are one step later."""
    cdef int a
    for a in range(A - 1):
        g[A - 1 - a] = g[A - 2 - a]
    g[0] = keep(counted, fetch(grad)) if MASKED else load(grad)


cdef inline void gradient_panel(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                                Walk *walk, Py_ssize_t begin, Py_ssize_t end, const int A, const int B,
                                const bint MASKED) noexcept nogil:
    """sums[a, b] += sum_t sum_i x[b][(i + a) x_step + t x_line] grad[i grad_step + t grad_line]   a < A, b < B

    Vectors all, for lines t of A steps i or more, begin <= t < end. Steps of x that are zeros are not read; columns
    that are not both in x and in grad, or rows, count as zeros if the walk is MASKED.
    """
    cdef acc_t acc[PANEL_TAPS * PANEL_TAPS]
    cdef vec g[PANEL_TAPS]
    cdef mask seen[PANEL_TAPS]
    cdef mask counted = integers(-1)
    cdef const elem *pixel[PANEL_TAPS]
    cdef const elem *here
    cdef Py_ssize_t _j, t, left, last, steps = walk.steps, x_step = walk.x_step, grad_step = walk.grad_step
    cdef Py_ssize_t low = min(max(walk.first, A - 1), steps), high = max(min(walk.end, steps), low)
    cdef Py_ssize_t x_soon = LANES, grad_soon = LANES
    cdef const char *soon_x = walk.soon_x
    cdef const char *soon_grad = walk.soon_grad
    cdef int i, a, b, before = 0, after = 0         # which of the first steps of x are zeros, and of the last
    for i in range(A - 1):
        before |= (not walk.first <= i < walk.end) << i
        after |= (not walk.first <= steps + i < walk.end) << i
    if walk.follows:
        x_soon, grad_soon = x_step, grad_step
    x_soon *= sizeof(elem)
    grad_soon *= sizeof(elem)
    for a in range(A):
        g[a] = splat(0)
        for b in range(B):
            acc[a * B + b] = load(sums + (a * lda + b * ldb) * LANES)
    for t in range(begin, end):
        here = grad + t * walk.grad_line
        for b in range(B):
            pixel[b] = x[b] + t * walk.x_line
        if walk.follows:
            soon_x, soon_grad = <const char *> pixel[B - 1] + walk.x_ahead, <const char *> here + walk.grad_ahead
        if MASKED:
            last = walk.columns - t * LANES
            if not walk.lanes:
                counted = inside(walk.edge, 0, last)
            for b in range(B):
                left = walk.left + b * walk.apart + t * walk.pace
                if not walk.lanes:
                    seen[b] = inside(walk.edge, -left, min(walk.width - left, last))
                elif 0 <= left < walk.width:
                    seen[b] = integers(-1)
                else:                               # the first row may be read in its place
                    seen[b] = integers(0)
                    pixel[b] -= left * walk.pitch
        for i in range(A - 1):                      # what only the first taps see
            next_grad(g, here, counted, A, MASKED)
            gradient_step(acc, pixel, x_step, g, seen, before & 1 << i, 0, i + 1, A, B, MASKED)
            here += grad_step
        for _j in range(A - 1, low):
            next_grad(g, here, counted, A, MASKED)
            gradient_step(acc, pixel, x_step, g, seen, True, 0, A, A, B, MASKED)
            here += grad_step
        for _j in range(low, high):
            prefetch_far(soon_x)
            prefetch_far(soon_grad)
            soon_x += x_soon
            soon_grad += grad_soon
            next_grad(g, here, counted, A, MASKED)
            gradient_step(acc, pixel, x_step, g, seen, False, 0, A, A, B, MASKED)
            here += grad_step
        for _j in range(high, steps):
            next_grad(g, here, counted, A, MASKED)
            gradient_step(acc, pixel, x_step, g, seen, True, 0, A, A, B, MASKED)
            here += grad_step
        for i in range(A - 1):                      # and only the last
            for a in range(A - 1):
                g[A - 1 - a] = g[A - 2 - a]
            gradient_step(acc, pixel, x_step, g, seen, after & 1 << i, i + 1, A, A, B, MASKED)
    for a in range(A):
        for b in range(B):
            store(sums + (a * lda + b * ldb) * LANES, acc[a * B + b])
    walk.soon_x, walk.soon_grad = soon_x, soon_grad


cdef inline void panels(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                        Walk *walk, Py_ssize_t apart, const int A, const int B) noexcept nogil:
    """The same for all channels, and steps that are `apart` for taps: so many walks, each of every so many steps."""
    cdef const elem *pixel[PANEL_TAPS]
    cdef elem *to
    cdef Py_ssize_t phase, b, c, t, at, low = 0, high = walk.lines, room = walk.width - walk.left - (B - 1) * walk.apart
    cdef Walk part
    cdef Walk *one = walk
    if apart > 1:
        part, one = walk[0], &part
        part.x_step, part.grad_step = apart * walk.x_step, apart * walk.grad_step
    if walk.masked:                                 # lines from low to high are whole
        if walk.lanes:
            low = min(quotient(-walk.left, walk.pace), high)
            high = max(min(quotient(room, walk.pace), high), low)
        else:
            low = min(quotient(-walk.left, LANES), high)
            high = max(min(room, walk.columns) // LANES, low)
    for phase in range(min(apart, walk.steps)):
        if apart > 1:
            part.steps = quotient(walk.steps - phase, apart)
            part.first, part.end = quotient(walk.first - phase, apart), quotient(walk.end - phase, apart)
        for c in range(walk.vectors):
            at = min(c * LANES, walk.last)
            to = sums + c * walk.taps * LANES
            for b in range(B):
                pixel[b] = x[b] + phase * walk.x_step + at
            at += phase * walk.grad_step
            t = 0
            while t < walk.lines:
                if low <= t < high:
                    gradient_panel(to, lda, ldb, pixel, grad + at, one, t, high, A, B, False)
                    t = high
                else:
                    gradient_panel(to, lda, ldb, pixel, grad + at, one, t, low if t < low else walk.lines, A, B, True)
                    t = low if t < low else walk.lines


cdef void panels_1x1(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 1, 1)


cdef void panels_1x2(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 1, 2)


cdef void panels_1x3(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 1, 3)


cdef void panels_2x1(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 2, 1)


cdef void panels_2x2(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 2, 2)


cdef void panels_2x3(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 2, 3)


cdef void panels_3x1(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 3, 1)


cdef void panels_3x2(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 3, 2)


cdef void panels_3x3(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 3, 3)


cdef void panels_3x4(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 3, 4)


cdef void panels_4x3(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 4, 3)


cdef void panels_4x4(elem *sums, Py_ssize_t lda, Py_ssize_t ldb, const elem *const *x, const elem *grad,
                     Walk *walk, Py_ssize_t apart) noexcept nogil:
    panels(sums, lda, ldb, x, grad, walk, apart, 4, 4)


cdef inline Panels panels_of(Py_ssize_t A, Py_ssize_t B) noexcept nogil:
    if REGISTERS == 32 and A + B > 6:
        return panels_4x4 if A == B else panels_4x3 if A == 4 else panels_3x4
    if A == 3:
        return panels_3x3 if B == 3 else panels_3x2 if B == 2 else panels_3x1
    if A == 2:
        return panels_2x3 if B == 3 else panels_2x2 if B == 2 else panels_2x1
    return panels_1x3 if B == 3 else panels_1x2 if B == 2 else panels_1x1


cdef inline Py_ssize_t dealt(Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    """How many of n taps come next: as few parts as there can be, of about equal size."""
    return n if n <= most else quotient(n, quotient(n, most))


cdef inline bint readable(const Pictures *x, const elem *origin, Py_ssize_t first, Py_ssize_t last,
                          Py_ssize_t columns) noexcept nogil:
    """Whether rows of so many columns, more than x has, lie in the caller's array, row by row."""
    cdef Py_ssize_t item = sizeof(elem)
    return (x.sw == item and x.sh >= x.width * item and x.sh % item == 0 and x.sc >= 0 and x.sn >= 0
            and <const char *> origin + first * x.sh >= x.at
            and <const char *> (origin + columns) + last * x.sh <= (
                x.at + (x.n - 1) * x.sn + (x.channels - 1) * x.sc + (x.height - 1) * x.sh + x.width * item))


cdef inline bint channels_last(const Pictures *x) noexcept nogil:
    cdef Py_ssize_t item = sizeof(elem)
    return x.sc == item and x.sw % item == 0 and x.sh % item == 0 and x.sn % item == 0


cdef void gradient_tiles(const Layer *job, elem *sums, const elem *origin, const elem *grad, const Walk *walk,
                         const Py_ssize_t *across) noexcept nogil:
    """All taps of pictures that are packed: where strides part them, few share what they see."""
    cdef Py_ssize_t i = 0, p, here, along, a, b
    cdef const elem *pixel[MOST]
    along = job.dilation1 * (walk.x_step // job.stride1) if walk.lanes else job.dilation0 * (walk.x_step // job.stride0)
    while i < walk.taps:
        here = dealt(walk.taps - i, MOST)
        for p in range(here):
            a, b = (i + p) // job.S, (i + p) % job.S
            if walk.lanes:
                a, b = b, a
            pixel[p] = origin + across[b] + a * along
        if here == 8:
            gradient_tile(sums, pixel, grad, walk, 8)
        elif here == 7:
            gradient_tile(sums, pixel, grad, walk, 7)
        elif here == 6:
            gradient_tile(sums, pixel, grad, walk, 6)
        elif here == 5:
            gradient_tile(sums, pixel, grad, walk, 5)
        else:
            gradient_tile(sums, pixel, grad, walk, 4)
        sums += here * LANES
        i += here


cdef void gradient_panels(const Layer *job, elem *sums, const elem *origin, const elem *grad, Walk *walk,
                          const Py_ssize_t *across, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    """All taps of a channel, or of vectors of channels, by panels   INOUT sums[vectors, R S]

    origin : the pixel (row, column) of x, which the first tap meets first
    across : for each tap along the axis of lines, where in x its line begins, seen from the origin
    """
    cdef Py_ssize_t A, B, a, b, j, start, size, stride, dilation, lda, ldb, classes, apart, first, left, here, there
    cdef Py_ssize_t most, along
    cdef bint whole
    cdef const char *soon_x = walk.soon_x
    cdef const char *soon_grad = walk.soon_grad
    cdef const elem *pixel[PANEL_TAPS]
    if walk.lanes:
        A, B, lda, ldb = job.S, job.R, 1, job.S
        start, size, stride, dilation = column, job.x.width, job.stride1, job.dilation1
    else:
        A, B, lda, ldb = job.R, job.S, job.S, 1
        start, size, stride, dilation = row, job.x.height, job.stride0, job.dilation0
    classes, apart = 1, dilation                    # taps that share what they see: every so many, so many steps apart
    if stride > 1:
        b, classes = dilation, stride
        while b:
            classes, b = b, classes % b
        classes, apart = stride // classes, dilation // classes
    if walk.taps >= MOST // 2 and classes > 1 and not walk.masked:
        gradient_tiles(job, sums, origin, grad, walk, across)
        return
    most = 3
    if REGISTERS == 32 and walk.steps >= PANEL_TAPS * apart and classes == 1 and min(A, B) > 2 and A != 5 and B != 5:
        most = PANEL_TAPS                           # what is left is three or four, too
    whole = walk.steps >= most * apart              # whether there are steps that all taps of a panel see
    left, along = walk.left, walk.x_step // stride if stride > 1 else walk.x_step
    for j in range(min(classes, A)):
        first = j
        while first < A:
            here = quotient(A - first, classes)
            here = dealt(here, most) if whole else 1
            walk.first, walk.end = 0, walk.steps + A * apart
            if walk.masked:
                a = start + first * dilation
                walk.first, walk.end = quotient(-a, stride), quotient(size - a, stride)
            b = 0
            while b < B:
                there = dealt(B - b, most)
                walk.left = left + b * walk.apart
                for a in range(there):
                    pixel[a] = origin + across[b + a] + first * dilation * along
                walk.soon_x, walk.soon_grad = soon_x, soon_grad
                panels_of(here, there)(sums + (first * lda + b * ldb) * LANES, classes * lda, ldb, pixel, grad, walk,
                                       apart)
                b += there
            first += here * classes
    walk.left = left


cdef void gradient_task(const Layer *job, Py_ssize_t number, char *scratch) noexcept nogil:
    """The sums of a chunk of channels, [chunk, R S], over a part of the blocks   OUT job.dw."""
    cdef Py_ssize_t k = number % job.chunks * job.chunk, C = min(job.chunk, job.y.channels - k), taps = job.R * job.S
    cdef Py_ssize_t vectors = (C + LANES - 1) // LANES, blocks = job.x.n * job.row_blocks * job.column_blocks
    cdef Py_ssize_t b, n, i, c, lane, row0, column0, rows, columns, row, column, height, width, ldh, wide, phase = 0, at
    cdef Py_ssize_t item = sizeof(elem)
    cdef elem *x = <elem *> scratch
    cdef elem *grad = <elem *> (scratch + job.other_at)
    cdef elem *sums = <elem *> (scratch + job.sums_at)
    cdef Py_ssize_t *across = <Py_ssize_t *> (scratch + job.offset_at)
    cdef elem *dw = job.dw + number // job.chunks * job.y.channels * taps
    cdef elem *packed
    cdef const elem *origin
    cdef const elem *dy
    cdef const char *in_x
    cdef const char *in_grad
    cdef elem total
    cdef integer edge[3 * MOST_LANES]
    cdef Walk walk
    memset(sums, 0, taps * vectors * LANES * item)
    for lane in range(3 * LANES):
        edge[lane] = -1 if LANES <= lane < 2 * LANES else 0
    walk.edge, walk.lanes, walk.vectors, walk.taps = edge, job.lanes, vectors, taps
    walk.last = job.y.channels - LANES - k if job.lanes and not job.turned else (vectors - 1) * LANES
    for b in range(number // job.chunks * blocks // job.parts, (number // job.chunks + 1) * blocks // job.parts):
        column0 = b % job.column_blocks * job.bw
        row0 = b // job.column_blocks % job.row_blocks * job.bh
        n = b // job.column_blocks // job.row_blocks
        rows, columns = min(job.bh, job.y.height - row0), min(job.bw, job.y.width - column0)
        row = job.start0 + row0 * job.stride0
        column = job.start1 + column0 * job.stride1
        height = (rows - 1) * job.stride0 + (job.R - 1) * job.dilation0 + 1
        width = (columns - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1
        in_x = job.x.at + n * job.x.sn + k // job.M * job.x.sc + row * job.x.sh + column * job.x.sw
        in_grad = job.y.at + n * job.y.sn + k * job.y.sc + row0 * job.y.sh + column0 * job.y.sw
        origin, dy = <const elem *> in_x, <const elem *> in_grad
        wide = up(columns, LANES)
        if job.lanes:
            walk.masked = not job.turned
        else:
            walk.masked = (job.stride0 == job.stride1 == 1 and readable(&job.y, dy, 0, rows - 1, wide)
                           and readable(&job.x, origin, max(-row, 0), min(job.x.height - row, height) - 1,
                                        wide + width - columns))
        if walk.masked:                             # in place
            ldh, walk.x_step, walk.grad_step = job.x.sh // item, job.x.sw // item, job.y.sw // item
            walk.grad_line = job.y.sh // item
        elif job.lanes:
            pack(&job.x, n, k, C, row, column, height, width, x)
            pack(&job.y, n, k, C, row0, column0, rows, columns, grad)
            origin, dy = x, grad
            ldh, walk.x_step, walk.grad_step, walk.grad_line = width * C, C, C, columns * C
        else:                                       # zeros to the end of the last vector, in both
            ldh = up((wide - 1) * job.stride1 + (job.S - 1) * job.dilation1 + 1,
                     min(<Py_ssize_t> 2, job.stride1) * LANES)
            packed = x + (LANES - min(max(-column, 0), width) % LANES) % LANES      # and pixels are aligned
            pack_plane(&job.x, n, k // job.M, row, column, height, width, packed, ldh)
            pack_plane(&job.y, n, k, row0, column0, rows, columns, grad, wide)
            origin, dy = packed, grad
            if job.stride1 > 1:
                phase = (ldh + job.stride1 - 1) // job.stride1
                deal(origin, ldh, height, ldh, job.stride1, <elem *> (scratch + job.dealt_at), phase)
                origin = <const elem *> (scratch + job.dealt_at)
                ldh = phase * job.stride1
            walk.grad_line = wide
        if row0 + rows < job.y.height:              # next come the rows below, the next picture, or the next channel
            in_x += rows * job.stride0 * job.x.sh
            in_grad += rows * job.y.sh
        elif n + 1 < job.x.n:
            in_x += job.x.sn - row0 * job.stride0 * job.x.sh
            in_grad += job.y.sn - row0 * job.y.sh
        else:
            in_x += job.x.sc - n * job.x.sn - row0 * job.stride0 * job.x.sh
            in_grad += job.y.sc - n * job.y.sn - row0 * job.y.sh
        walk.soon_x, walk.soon_grad = in_x, in_grad
        walk.x_ahead, walk.grad_ahead = in_x - <const char *> origin, in_grad - <const char *> dy
        walk.pitch, walk.columns, walk.follows = ldh, columns, job.lanes and walk.masked
        if job.lanes:
            walk.x_step *= job.stride1
            walk.steps, walk.lines, walk.x_line = columns, rows, job.stride0 * ldh
            walk.left, walk.apart, walk.pace, walk.width = row, job.dilation0, job.stride0, job.x.height
            for i in range(job.R):
                across[i] = i * job.dilation0 * ldh
        else:
            walk.steps, walk.x_step, walk.grad_step = rows, job.stride0 * ldh, walk.grad_line
            walk.lines, walk.x_line, walk.grad_line = wide // LANES, LANES, LANES
            walk.left, walk.apart, walk.pace, walk.width = column, job.dilation1, LANES, job.x.width
            for i in range(job.S):
                at = i * job.dilation1
                across[i] = at % job.stride1 * phase + at // job.stride1
        gradient_panels(job, sums, origin, dy, &walk, across, row, column)
    for i in range(taps):
        if job.lanes:
            for c in range(C):
                lane = c - min(c // LANES * LANES, walk.last)
                dw[(k + c) * taps + i] = sums[(c // LANES * taps + i) * LANES + lane]
        else:
            total = 0
            for lane in range(LANES):
                total += sums[i * LANES + lane]
            dw[k * taps + i] = total


cdef void run_gradient(const Layer *job, Py_ssize_t first, Py_ssize_t last, int workers, char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if workers == 1:
        for i in range(first, last):
            gradient_task(job, i, scratch)
    else:
        for i in prange(first, last, num_threads=workers, schedule="dynamic",
                        chunksize=max(1, (last - first) // (8 * workers))):
            gradient_task(job, i, scratch + threadid() * job.scratch_bytes)


def gradient(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray weight not None, bint lanes, taps, start,
             stride, dilation, int workers):
    """The gradient of a depthwise layer's weight.

    x : (N, C, H, W), aligned, native, any strides   IN
    grad : (N, M C, rows, columns), likewise: the gradient of the output   IN
    weight : (M C, R, S), C-contiguous, not overlapping them   OUT
    lanes : whether to go `by_lanes`
    taps, start, stride, dilation : pairs
    workers : threads at most
    """
    cdef Layer job
    cdef Py_ssize_t tasks, done = 0, end, work, step, height, width, most, item = sizeof(elem), reach0, reach1
    cdef Py_ssize_t i, p, sums = weight.size
    cdef char *memory
    cdef char *scratch
    cdef elem *to = <elem *> cnp.PyArray_DATA(weight)
    pictures(x, &job.x)
    pictures(grad, &job.y)
    job.R, job.S = taps
    job.start0, job.start1 = start
    job.stride0, job.stride1 = stride
    job.dilation0, job.dilation1 = dilation
    job.lanes = lanes
    # Short lines, and pixels that many taps see, are better packed.
    job.turned = lanes and not (channels_last(&job.x) and channels_last(&job.y) and job.y.width >= SHORT
                                and job.R * job.S <= FEW * job.stride0 * job.stride1)
    if x.size == 0 or grad.size == 0 or weight.size == 0:
        weight[...] = 0
        return
    job.M = job.y.channels // job.x.channels
    work = job.y.n * job.y.channels * job.y.height * job.y.width * (job.R * job.S + 4)
    reach0, reach1 = (job.R - 1) * job.dilation0, (job.S - 1) * job.dilation1
    job.bw = min(job.y.width, 256 if lanes else 1024)
    job.column_blocks = (job.y.width + job.bw - 1) // job.bw
    width = (job.bw - 1) * job.stride1 + reach1 + 1
    if not lanes:
        width = up((up(job.bw, LANES) - 1) * job.stride1 + reach1 + 1, min(<Py_ssize_t> 2, job.stride1) * LANES)
    job.chunk = 1
    if job.turned:                                  # two cache lines of each pixel, or squares that are turned, or few
        most = ((job.y.height - 1) * job.stride0 + reach0 + 1) * width + job.y.height * job.y.width
        job.chunk = max(2 * LANES if x.strides[1] == item else LANES,
                        LANES * min(<Py_ssize_t> 2, L1_BYTES // (most * LANES * item)))
    elif lanes:                                     # lines of memory, as long as may be
        job.chunk = max(2 * LANES, PACKED_BYTES // ((reach0 + 1) * width * item) // LANES * LANES)
        job.chunk = min(job.chunk, job.y.channels)
    job.chunks = (job.y.channels + job.chunk - 1) // job.chunk
    most = max(1, (PACKED_BYTES // (width * job.chunk * item) - reach0 - 1) // job.stride0 + 1)
    if lanes and not job.turned:
        most = max(1, IN_PLACE_BYTES // (width * job.chunk * item * job.stride0))
    job.bh = min(most, job.y.height)
    job.row_blocks = (job.y.height + job.bh - 1) // job.bh
    job.parts = max(1, min(min((PARTS - 1) // job.chunks + 1, work // PART),
                           job.x.n * job.row_blocks * job.column_blocks))
    tasks = job.chunks * job.parts
    height = (job.bh - 1) * job.stride0 + reach0 + 1
    job.dealt_at = job.other_at = job.sums_at = 0
    if not lanes or job.turned:
        job.dealt_at = up((height * width * job.chunk + 2 * LANES) * item, PAGE)
        job.other_at = job.dealt_at + (0 if lanes or job.stride1 == 1 else
                                       up((height * (width + job.stride1) + LANES) * item, PAGE))
        job.sums_at = job.other_at + up((job.bh * up(job.bw, LANES) * job.chunk + LANES) * item, PAGE)
    job.offset_at = job.sums_at + up(job.R * job.S * up(job.chunk, LANES) * item, PAGE)
    job.scratch_bytes = job.offset_at + up(max(job.R, job.S) * sizeof(Py_ssize_t), PAGE)
    workers = <int> max(1, min(min(<Py_ssize_t> workers, tasks), work // SHARE))
    memory = <char *> malloc(workers * job.scratch_bytes + PAGE + (job.parts * sums * item if job.parts > 1 else 0))
    if memory == NULL:
        raise MemoryError(f"fastconv: no memory for {workers} x {job.scratch_bytes} bytes of scratch")
    scratch = aligned(memory)
    job.dw = to if job.parts == 1 else <elem *> (scratch + workers * job.scratch_bytes)
    try:
        step = workers * max(1, STEP // max(1, work // tasks))
        while done < tasks:
            end = min(tasks, done + step)
            if workers > 1:
                workers = _machine.startable(workers)
            with nogil:
                run_gradient(&job, done, end, workers, scratch)
            PyErr_CheckSignals()
            done = end
        if job.parts > 1:
            for i in range(sums):
                to[i] = job.dw[i]
            for p in range(1, job.parts):
                for i in range(sums):
                    to[i] += job.dw[p * sums + i]
    finally:
        free(memory)
