"""The register tiles: sums whose accumulators never leave the registers.

A tile is inlined with its sizes as constants, so the loops over registers below unroll and the arrays of
vectors become registers; loops over the kernel stay loops. Nothing here allocates, branches on types or
knows of boundaries: the caller sees to it that every element read exists.
"""

cdef extern from "simd.h" nogil:
    # To Cython these are numbers; simd.h makes them the element type and the vectors of a module.
    ctypedef float elem "fc_elem"
    ctypedef float elem_in "fc_in"
    ctypedef float elem_out "fc_out"
    ctypedef float vec "fc_vec"
    ctypedef float acc_t "fc_acc"
    ctypedef float tap_t "fc_tap"
    const int LANES "FC_LANES"
    const int LINE "FC_LINE"
    const int PANEL "FC_PANEL"
    const int ROWS "FC_ROWS"
    const int COLUMNS "FC_COLUMNS"
    const int STRIP_ROWS "FC_STRIP_ROWS"
    const int STRIP "FC_STRIP" (Py_ssize_t)
    const bint CONVERTS "FC_CONVERTS"
    const bint INTEGER "FC_INTEGER"
    vec load "fc_load" (const elem *)
    void put "fc_put" (elem *, vec)
    vec spread "fc_spread" (elem)
    acc_t zero "fc_zero" ()
    acc_t resume "fc_resume" (const elem *)
    tap_t splat "fc_splat" (elem)
    acc_t madd "fc_madd" (acc_t, vec, tap_t)
    acc_t times "fc_times" (vec, tap_t)
    acc_t mul_add "fc_mul_add" (acc_t, vec, tap_t)
    void store "fc_store" (elem *, acc_t)
    vec over "fc_over" (vec, vec, int)
    ctypedef double wide "fc_wide"
    const int WIDE_LANES "FC_WIDE_LANES"
    ctypedef float half "fc_half"
    half half_load "fc_half_load" (const elem *)
    wide widen "fc_widen" (half)
    wide wide_splat "fc_wide_splat" (double)
    wide wide_mul_add "fc_wide_mul_add" (wide, wide, wide)
    void store_whole "fc_store_whole" (elem *, wide)
    bint any_doubt "fc_any_doubt" (const elem *, const int, elem)
    void prefetch "fc_prefetch_all" (const char *, Py_ssize_t)
    elem read "fc_read" (const elem_in *)
    ctypedef struct scale_t "fc_scale":
        int shift
        Py_ssize_t low
    elem_out write "fc_write" (elem, scale_t)
    void write_line "fc_write_line" (elem_out *, const elem *, Py_ssize_t, scale_t)
    Py_ssize_t opaque "fc_opaque" (Py_ssize_t)
    const elem *anchor "fc_anchor" (const elem *)
    void prefetch_near "fc_prefetch" (const void *)
    void prefetch_far "fc_prefetch_far" (const void *)
    bint all_finite "fc_all_finite" (const elem *, Py_ssize_t)
    double sum_of_squares "fc_power" (const elem *, Py_ssize_t)

cdef enum:
    AHEAD = 1 << 10         # bytes of a line that are asked for before they are needed
    STRIP_TAPS = 1 << 11    # of a kernel that is arranged for strips, each twice, on the stack


# --- one line -------------------------------------------------------------------------------------------
#
#   out[i] = sum_k h[k] x[i + k],    0 <= i < L R        (L lanes, R vectors of output)
#
# With k = L j + c the vector loaded at x + L q + c serves output vector r = q - j by tap h[L j + c], so the
# tile is, for each c, a small correlation of vectors: R + J - 1 loads and J broadcasts give R J multiply-adds.
# A load that crosses a cache line costs two; used J times it no longer holds the multiply-adds up.
# Every output sums its taps in the same order, whatever R: panel by panel, then c, then j.

cdef inline void line_panel(acc_t *acc, const elem *x, const elem *h, const int J, const int R) noexcept nogil:
    """acc[r] += sum_j h[L j] x[L (r + j) ...]   IN x, h   INOUT acc."""
    cdef int j, q
    cdef vec v
    cdef tap_t t[PANEL]
    for j in range(J):
        t[j] = splat(h[j * LANES])
    for q in range(R + J - 1):
        v = load(x + q * LANES)
        for j in range(J):
            if 0 <= q - j < R:
                acc[q - j] = madd(acc[q - j], v, t[j])


cdef inline void line_panels(acc_t *acc, const elem *x, const elem *h, Py_ssize_t n, int J,
                             const int R) noexcept nogil:
    """The panels at c = 0 .. n-1, J taps each."""
    cdef Py_ssize_t c
    if J == 1:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 1, R)
    elif J == 2:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 2, R)
    elif J == 3 and PANEL >= 3:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 3, R)
    elif J == 4 and PANEL >= 4:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 4, R)
    elif J == 5 and PANEL >= 5:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 5, R)
    elif J == 6 and PANEL >= 6:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 6, R)
    elif J == 7 and PANEL >= 7:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 7, R)
    elif J == 8 and PANEL >= 8:
        for c in range(opaque(n)):
            line_panel(acc, x + c, h + c, 8, R)


cdef inline void line_tile(elem *out, const elem *x, const elem *h, Py_ssize_t taps, const int R) noexcept nogil:
    """out[0 : L R] of one line   IN x[0 : L R + taps - 1], h[0 : taps]   OUT out."""
    cdef acc_t acc[LINE]
    cdef int r, J
    cdef Py_ssize_t k = 0, n
    for r in range(R):
        acc[r] = zero()
        prefetch_far(<const char *> (x + taps + r * LANES) + AHEAD)
        prefetch_far(<const char *> (out + r * LANES) + AHEAD)
    while taps - k >= PANEL * LANES:
        line_panels(acc, x + k, h + k, LANES, PANEL, R)
        k += PANEL * LANES
    if k < taps:                                   # what is left: J + 1 taps for the first n values of c, then J
        J = <int> ((taps - k - 1) // LANES)
        n = taps - k - J * LANES
        line_panels(acc, x + k, h + k, n, J + 1, R)
        line_panels(acc, x + k + n, h + k + n, LANES - n, J, R)
    for r in range(R):
        store(out + r * LANES, acc[r])


cdef inline void line(elem *out, const elem *x, const elem *h, Py_ssize_t taps, Py_ssize_t n) noexcept nogil:
    """out[0 : n], n >= L, by tiles; the last one overlaps its neighbour and writes the same values again.

    Few taps are bound by memory: small tiles ask for it more evenly than large ones.
    """
    cdef Py_ssize_t i = 0
    while taps > 8 and n - i >= LINE * LANES:
        line_tile(out + i, x + i, h, taps, LINE)
        i += LINE * LANES
    while n - i >= 4 * LANES:
        line_tile(out + i, x + i, h, taps, 4)
        i += 4 * LANES
    while i < n:
        i = min(i, n - LANES)
        line_tile(out + i, x + i, h, taps, 1)
        i += LANES


# --- a plane --------------------------------------------------------------------------------------------
#
#   out[r, i] = sum_s sum_p sum_q h[s, p, q] x[s, r + p, i + offset[q]]      0 <= r < R,  0 <= i < L C
#
# Input row i = r + p serves every output row r it belongs to, by kernel row p = i - r: C loads and R
# broadcasts give R C multiply-adds. `offset` holds where each kernel column stands in an input row, which is
# q for a dense kernel, and speaks for dilation, interleaved channels and strides (rows sorted by phase).
# Sections s are what no two output rows share: the planes of a kernel of more dimensions, and its rows where the
# row stride is above one; otherwise there is one.
# Every output sums its taps in the order s, p, q, whatever R and C.

cdef struct Plane:
    const elem *h               # [sections, rows, columns]
    const Py_ssize_t *offset    # [columns]
    Py_ssize_t sections
    Py_ssize_t rows
    Py_ssize_t columns
    const Py_ssize_t *step      # [sections]: from the input rows of one to those of the next, in elements
    Py_ssize_t ldx              # between the input rows of two output rows, in elements
    Py_ssize_t ldo              # between two output rows


cdef inline void plane_row(acc_t *acc, const Plane *k, const elem *x, const elem *h, const int first,
                           const int last, const int C) noexcept nogil:
    """An input row's part in output rows first .. last-1; h is the kernel row of output row 0."""
    cdef Py_ssize_t q
    cdef int r, c
    cdef const elem *p
    cdef vec v[COLUMNS]
    cdef tap_t t
    for q in range(k.columns):
        p = anchor(x + k.offset[q])
        for c in range(C):
            v[c] = load(p + c * LANES)
        for r in range(first, last):
            t = splat(h[q - r * k.columns])
            for c in range(C):
                acc[r * C + c] = madd(acc[r * C + c], v[c], t)


cdef inline void plane_tile(elem *out, const elem *x, const Plane *k, const int R, const int C) noexcept nogil:
    """R output rows of C vectors, R <= 6 and R <= kernel rows + 1   IN x, k   OUT out."""
    cdef acc_t acc[ROWS * COLUMNS]
    cdef Py_ssize_t i, s = 0, w = k.columns, n = k.rows, ld = k.ldx
    cdef const elem *h = k.h
    cdef int r, c
    for r in range(R):
        for c in range(C):
            acc[r * C + c] = zero()
            prefetch_far(x + (n + R - 1 + r) * ld + c * LANES)      # of the rows below
            prefetch_far(out + (R + r) * k.ldo + c * LANES)
    while True:
        if R > 1:                                                   # rows that only the first outputs need
            plane_row(acc, k, x, h, 0, 1, C)
        if R > 2:
            plane_row(acc, k, x + ld, h + w, 0, 2, C)
        if R > 3:
            plane_row(acc, k, x + 2 * ld, h + 2 * w, 0, 3, C)
        if R > 4:
            plane_row(acc, k, x + 3 * ld, h + 3 * w, 0, 4, C)
        if R > 5:
            plane_row(acc, k, x + 4 * ld, h + 4 * w, 0, 5, C)
        for i in range(R - 1, n):
            plane_row(acc, k, x + i * ld, h + i * w, 0, R, C)
        if R > 1:                                                   # and that only the last ones need
            plane_row(acc, k, x + n * ld, h + n * w, 1, R, C)
        if R > 2:
            plane_row(acc, k, x + (n + 1) * ld, h + (n + 1) * w, 2, R, C)
        if R > 3:
            plane_row(acc, k, x + (n + 2) * ld, h + (n + 2) * w, 3, R, C)
        if R > 4:
            plane_row(acc, k, x + (n + 3) * ld, h + (n + 3) * w, 4, R, C)
        if R > 5:
            plane_row(acc, k, x + (n + 4) * ld, h + (n + 4) * w, 5, R, C)
        s += 1
        if s == k.sections:
            break
        x += k.step[s - 1]
        h = k.h + opaque(s) * n * w     # or a pointer for each row of h would go along, and crowd out others
    for r in range(R):
        for c in range(C):
            store(out + r * k.ldo + c * LANES, acc[r * C + c])


cdef inline void plane_rows(elem *out, const elem *x, const Plane *k, Py_ssize_t n, const int R) noexcept nogil:
    """R output rows of n >= L elements; the last tile overlaps its neighbour and writes the same values again."""
    cdef Py_ssize_t i = 0
    while i < n and n >= COLUMNS * LANES:
        i = min(i, n - COLUMNS * LANES)
        plane_tile(out + i, x + i, k, R, COLUMNS)
        i += COLUMNS * LANES
    while COLUMNS > 2 and R == 4 and n >= 2 * LANES and n - i > LANES:      # narrow planes
        i = min(i, n - 2 * LANES)
        plane_tile(out + i, x + i, k, R, 2)
        i += 2 * LANES
    while i < n and R <= 4:
        i = min(i, n - LANES)
        plane_tile(out + i, x + i, k, R, 1)
        i += LANES


cdef inline Py_ssize_t tile_rows(Py_ssize_t kh) noexcept nogil:
    """Rows of the tile of a kernel of kh rows; with few, rows that only some outputs need would be most of its work."""
    return ROWS if kh > ROWS else min(ROWS, 4)


cdef inline void plane(elem *out, const elem *x, const Plane *k, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """out[0 : rows, 0 : n], n >= L."""
    cdef Py_ssize_t r = 0
    if k.rows > ROWS > 4 and n >= COLUMNS * LANES:
        while rows - r >= ROWS:
            plane_rows(out + r * k.ldo, x + r * k.ldx, k, n, ROWS)
            r += ROWS
    if ROWS >= 4 and k.rows >= 3:
        while rows - r >= 4:
            plane_rows(out + r * k.ldo, x + r * k.ldx, k, n, 4)
            r += 4
    while rows - r >= 2:
        plane_rows(out + r * k.ldo, x + r * k.ldx, k, n, 2)
        r += 2
    while r < rows:
        plane_rows(out + r * k.ldo, x + r * k.ldx, k, n, 1)
        r += 1


# --- down the columns -----------------------------------------------------------------------------------
#
# The same sums for planes of many rows. The tile above begins and ends with input rows that serve few of its output
# rows. This one has as many output rows under way as the kernel has rows, N, so that every input row serves all of
# them. It goes down a strip of C vectors; row s of its accumulators holds output rows s, s + N, s + 2N ... in turn:
#
#     input row 0     h[0] -> out 0
#     input row 1     h[1] -> out 0     h[0] -> out 1
#     input row 2     h[2] -> out 0     h[1] -> out 1     h[0] -> out 2         out 0 is done
#     input row 3     h[0] -> out 3     h[2] -> out 1     h[1] -> out 2         out 1 is done
#
# A kernel of more rows than the registers hold goes in parts, each resuming the sums of the one before: the order of
# the taps is that of the tile above, and so are the sums.

cdef inline Py_ssize_t part(Py_ssize_t n) noexcept nogil:
    """Rows of the first of the parts, as equal as can be, that n kernel rows go in."""
    cdef Py_ssize_t most = max(STRIP_ROWS, 1), parts = (n + most - 1) // most
    return (n + parts - 1) // parts


cdef inline void arrange(elem *taps, const Plane *k) noexcept nogil:
    """The taps of each part as [columns, 2 N]: those of N accumulator rows lie side by side, whichever is first.

    IN k   OUT taps[2 * sections * rows * columns]
    """
    cdef Py_ssize_t _, q, j, n, p
    cdef const elem *h = k.h
    for _ in range(k.sections):
        p = 0
        while p < k.rows:
            n = part(k.rows - p)
            for q in range(k.columns):
                for j in range(n):
                    taps[j] = taps[j + n] = h[(n - 1 - j) * k.columns + q]
                taps += 2 * n
            h += n * k.columns
            p += n


cdef inline void turn(acc_t *acc, elem *done, const elem *begun, const int s, const int N, const int C) noexcept nogil:
    """Stores what row s of the accumulators holds and begins another output row; NULL where there is none."""
    cdef int c
    if s < N:
        if done != NULL:
            for c in range(C):
                store(done + c * LANES, acc[s * C + c])
        for c in range(C):
            acc[s * C + c] = zero()
        if begun != NULL:
            for c in range(C):
                acc[s * C + c] = resume(begun + c * LANES)


cdef inline void strip(elem *out, const elem *x, const Plane *k, const elem *taps, Py_ssize_t rows, bint resumed,
                       const int N, const int C) noexcept nogil:
    """out[0 : rows] of C vectors, by N kernel rows   IN x, k, taps   OUT out, INOUT where `resumed`."""
    cdef acc_t acc[9 * 3]
    cdef vec v[COLUMNS]
    cdef tap_t t
    cdef Py_ssize_t i, q, s = 0, last = rows - N if resumed else -N
    cdef Py_ssize_t reach = k.offset[k.columns - 1] + C * LANES - 1
    cdef int r, c
    cdef const elem *p
    cdef const elem *h
    cdef elem *done
    cdef elem *begun
    for r in range(N * C):
        acc[r] = zero()
    if resumed:
        for c in range(C):
            acc[c] = resume(out + c * LANES)
    for i in range(1 - N, rows):                                    # output row i will be done
        for c in range(C):
            prefetch_far(x + (C + 1 + c) * LANES)         # of the next strip
            prefetch_near(x + 2 * k.ldx + c * LANES)
            prefetch_near(out + (i + N + 3) * k.ldo + c * LANES)
        prefetch_near(x + 2 * k.ldx + C * LANES)
        prefetch_near(x + 2 * k.ldx + reach)
        prefetch_near(out + (i + N + 3) * k.ldo + C * LANES - 1)
        h = taps + N - 1 - s
        for q in range(k.columns):
            p = anchor(x + k.offset[q])
            for c in range(C):
                v[c] = load(p + c * LANES)
            for r in range(N):
                t = splat(h[r])
                for c in range(C):
                    acc[r * C + c] = madd(acc[r * C + c], v[c], t)
            h = anchor(h + 2 * N)
        x = anchor(x + k.ldx)                                       # or there would be an address for each use of it
        s = opaque(s + 1) if s < N - 1 else 0
        done = out + i * k.ldo if i >= 0 else NULL
        begun = out + (i + N) * k.ldo if i < last else NULL
        if s == 0:
            turn(acc, done, begun, 0, N, C)
        elif s == 1:
            turn(acc, done, begun, 1, N, C)
        elif s == 2:
            turn(acc, done, begun, 2, N, C)
        elif s == 3:
            turn(acc, done, begun, 3, N, C)
        elif s == 4:
            turn(acc, done, begun, 4, N, C)
        elif s == 5:
            turn(acc, done, begun, 5, N, C)
        elif s == 6:
            turn(acc, done, begun, 6, N, C)
        elif s == 7:
            turn(acc, done, begun, 7, N, C)
        elif s == 8:
            turn(acc, done, begun, 8, N, C)


cdef inline void strip_parts(elem *out, const elem *x, const Plane *k, const elem *taps, Py_ssize_t rows,
                             const int C) noexcept nogil:
    """out[0 : rows] of C vectors, by all the kernel."""
    cdef Py_ssize_t s, p, n
    cdef bint resumed
    for s in range(k.sections):
        p = 0
        while p < k.rows:
            n = part(k.rows - p)
            resumed = opaque(s + p) > 0             # or there would be a copy of all this for the first part
            if C != 3 and n == 5:
                strip(out, x + p * k.ldx, k, taps, rows, resumed, 5, C)
            elif n == 6:
                strip(out, x + p * k.ldx, k, taps, rows, resumed, 6, C)
            elif C < 4 and n == 7:
                strip(out, x + p * k.ldx, k, taps, rows, resumed, 7, C)
            elif C < 4 and n == 8:
                strip(out, x + p * k.ldx, k, taps, rows, resumed, 8, C)
            elif C < 4 and n == 9:
                strip(out, x + p * k.ldx, k, taps, rows, resumed, 9, C)
            taps += 2 * n * k.columns
            p += n
        x += k.step[s]


cdef inline Py_ssize_t strip_columns(Py_ssize_t kh, Py_ssize_t kw) noexcept nogil:
    """Columns of a strip for kernels of kh rows by kw; 0: they have none, as a row of one or two taps is soon done."""
    return STRIP(part(kh)) * LANES if STRIP_ROWS > 0 and kh >= 5 and kw >= 3 else 0


cdef inline Py_ssize_t strip_height(Py_ssize_t kh) noexcept nogil:
    """Output rows from which on the rows at either end of a strip, which serve few, do not tell."""
    return 2 * kh if kh <= STRIP_ROWS else 96


cdef inline void strips(elem *out, const elem *x, const Plane *k, const elem *taps, Py_ssize_t rows,
                        Py_ssize_t n) noexcept nogil:
    """out[0 : rows, 0 : n], n no less than a strip; the last one overlaps its neighbour and writes the same again."""
    cdef Py_ssize_t i = 0, wide = strip_columns(k.rows, k.columns)
    while i < n:
        if n - i <= LANES:
            i = n - LANES
            strip_parts(out + i, x + i, k, taps, rows, 1)
            break
        i = min(i, n - wide)
        if wide == 3 * LANES:
            strip_parts(out + i, x + i, k, taps, rows, 3)
        else:
            strip_parts(out + i, x + i, k, taps, rows, 4)
        i += wide


cdef inline void correlate_plane(elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, const elem *h,
                                 Py_ssize_t planes, Py_ssize_t *step, Py_ssize_t kh, Py_ssize_t kw,
                                 const Py_ssize_t *offset, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t rows,
                                 Py_ssize_t n) noexcept nogil:
    """out[rows, n] from rows of x by the tile that the kernel's shape asks for.

    `step` holds the way from one plane of x to the next, and has room for planes x kh, which is made use of.
    """
    cdef Py_ssize_t r, s, p, m, wide = strip_columns(kh, kw)
    cdef elem taps[2 * STRIP_TAPS]
    cdef bint tall
    cdef Plane k
    if planes == 1 and kh == 1 and offset[kw - 1] == kw - 1:
        for r in range(rows):
            line(out + r * ldo, x + r * stride * ldx, h, kw, n)
        return
    k.h = h
    k.step = step
    k.offset = offset
    k.columns = kw
    if stride == 1:
        # Output rows r, r + dilation, ... see the same input rows: they are a dense plane of their own.
        k.sections, k.rows = planes, kh
        k.ldx, k.ldo = dilation * ldx, dilation * ldo
        tall = 0 < wide <= n and strip_height(kh) <= rows // dilation and planes * kh * kw <= STRIP_TAPS
        if tall:
            arrange(taps, &k)
        for r in range(min(dilation, rows)):
            m = (rows - r + dilation - 1) // dilation
            if tall:
                strips(out + r * ldo, x + r * ldx, &k, taps, m, n)
            else:
                plane(out + r * ldo, x + r * ldx, &k, m, n)
    else:
        k.sections, k.rows = planes * kh, 1
        k.ldx, k.ldo = stride * ldx, ldo
        for s in range(planes - 1, -1, -1):
            step[s * kh + kh - 1] = step[s] - (kh - 1) * dilation * ldx
            for p in range(kh - 1):
                step[s * kh + p] = dilation * ldx
        plane(out, x, &k, rows, n)


# --- taps that stand anywhere ---------------------------------------------------------------------------
#
#   out[i] = sum_k h[k] x[i + offset[k]],    0 <= i < L C
#
# A broadcast tap and C loads give C multiply-adds: nothing is shared, as the offsets follow no rule that a tile
# could know. Every output sums its taps in the order of k.

cdef inline void scattered_tile(elem *out, const elem *x, const elem *h, const Py_ssize_t *offset, Py_ssize_t taps,
                                const int C) noexcept nogil:
    """out[0 : L C]   IN x, h[0 : taps], offset[0 : taps]   OUT out."""
    cdef acc_t acc[LINE]
    cdef Py_ssize_t k
    cdef int c
    cdef const elem *p
    cdef tap_t t
    for c in range(C):
        acc[c] = zero()
    for k in range(taps):
        p = anchor(x + offset[k])
        t = splat(h[k])
        for c in range(C):
            acc[c] = madd(acc[c], load(p + c * LANES), t)
    for c in range(C):
        store(out + c * LANES, acc[c])


cdef inline void scattered_line(elem *out, const elem *x, const elem *h, const Py_ssize_t *offset, Py_ssize_t taps,
                                Py_ssize_t n) noexcept nogil:
    """out[0 : n], n >= L, by tiles; the last one overlaps its neighbour and writes the same values again."""
    cdef Py_ssize_t i = 0
    while n - i >= LINE * LANES:
        scattered_tile(out + i, x + i, h, offset, taps, LINE)
        i += LINE * LANES
    while n - i >= 4 * LANES:
        scattered_tile(out + i, x + i, h, offset, taps, 4)
        i += 4 * LANES
    while i < n:
        i = min(i, n - LANES)
        scattered_tile(out + i, x + i, h, offset, taps, 1)
        i += LANES
