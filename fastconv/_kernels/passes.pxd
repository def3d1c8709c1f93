# cython: cdivision=True
"""The passes of separable filters: every output is the weighted sum, or the mean, of a window of one line.

A pass goes down the columns of a block of rows or along its rows; lanes are neighbours in a row either way.
As in tiles.pxd, every element read exists.
"""
from .tiles cimport (INTEGER, LANES, WIDE_LANES, Plane, acc_t, any_doubt, elem, half, half_load, line, load, mul_add,
                     opaque, over, plane, put, splat, spread, store, store_whole, tap_t, times, vec, wide,
                     wide_mul_add, wide_splat, widen)

cdef enum:
    WIDE = 4                # vectors side by side: enough sums under way to keep the adders busy
    FIRST = 7               # elements that a mean adds up one by one
    NEAR = 1 << 13          # bytes of a window's rows: they stay in L1

cdef enum Sum:          # numbers that _plan/separable.py names
    FREE = 0            # sum_k w[k] x[k]
    EVEN = 1            # w[m] x[m] + sum_k<m w[k] (x[k] + x[-k])
    ODD = 2             # w[m] x[m] + sum_k<m w[k] (x[k] - x[-k])
    MEAN = 3            # sum_k x[k] / n

cdef struct Pass:
    int sum
    Py_ssize_t n            # taps, or the window; 0: there is no such pass
    Py_ssize_t start        # of the window, seen from its output
    int boundary
    elem fill
    const elem *w           # [n]
    elem doubt              # how near to a whole number a weighted sum cannot tell which way it is cut off
    double *exact           # [n]: the weights, for those sums
    elem scale              # of what a mean adds up: a power of two, so that it cannot overflow
    elem divisor            # of a mean's sum: n scale; or the factor and the shift that `over` takes for integers
    int shift


# --- weighted sums --------------------------------------------------------------------------------------
#
# In float64 they are those of scipy.ndimage, bit for bit: terms a mirror image apart are added first, no
# product is fused with its sum, and the middle comes first, or in a free sum the last. So whatever is cut off
# to a whole number afterwards is the same whole number. Elsewhere the tiles do them.

cdef inline void ordered_tile(elem *out, const elem *x, Py_ssize_t step, const Pass *p, const int sum,
                              const int C) noexcept nogil:
    """C vectors; the elements of a window are `step` apart   IN x   OUT out[0 : L C]."""
    cdef Py_ssize_t k, last = (p.n - 1) * step, m = p.n - 1 if sum == FREE else p.n // 2
    cdef int c
    cdef acc_t acc[WIDE]
    cdef tap_t t = splat(p.w[m])
    cdef vec one, other
    for c in range(C):
        acc[c] = times(load(x + m * step + c * LANES), t)
    for k in range(opaque(m)):
        t = splat(p.w[k])
        for c in range(C):
            one = load(x + k * step + c * LANES)
            if sum != FREE:
                other = load(x + last - k * step + c * LANES)
                one = one + other if sum == EVEN else one - other
            acc[c] = mul_add(acc[c], one, t)
    for c in range(C):
        store(out + c * LANES, acc[c])


cdef inline void ordered_rows(elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, Py_ssize_t step,
                              const Pass *p, const int sum, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """out[rows, n], n >= L; down the columns by strips, whose windows stay in the nearest cache."""
    cdef Py_ssize_t first = 0, last, r, i, width = max(NEAR // (p.n * <Py_ssize_t> sizeof(elem)), WIDE * LANES)
    while first < n:
        last = n if n - first < 2 * width else first + width // (WIDE * LANES) * (WIDE * LANES)
        for r in range(rows):
            i = first
            while last - i >= WIDE * LANES:
                ordered_tile(out + r * ldo + i, x + r * ldx + i, step, p, sum, WIDE)
                i += WIDE * LANES
            while i < last:
                i = min(i, last - LANES)            # the last vector overlaps its neighbour
                ordered_tile(out + r * ldo + i, x + r * ldx + i, step, p, sum, 1)
                i += LANES
        first = last


cdef inline void weigh(elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, Py_ssize_t step, const Pass *p,
                       const Py_ssize_t *offset, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """Weighted sums of windows down the columns (step = ldx), or along the rows   TEMP offset[n]."""
    cdef Plane k
    cdef Py_ssize_t r
    if not INTEGER and sizeof(elem) == 8:
        if p.sum == EVEN:
            ordered_rows(out, ldo, x, ldx, step, p, EVEN, rows, n)
        elif p.sum == ODD:
            ordered_rows(out, ldo, x, ldx, step, p, ODD, rows, n)
        else:
            ordered_rows(out, ldo, x, ldx, step, p, FREE, rows, n)
    elif step == 1:
        for r in range(rows):
            line(out + r * ldo, x + r * ldx, p.w, p.n, n)
    else:
        k.h, k.offset, k.sections, k.step, k.ldx, k.ldo = p.w, offset, 1, NULL, ldx, ldo
        k.rows = p.n if step == ldx else 1
        k.columns = 1 if step == ldx else p.n
        plane(out, x, &k, rows, n)


# --- sums that are cut off ------------------------------------------------------------------------------
#
# Integers of 8 bits are summed in float32, which says within `doubt` what the sum in float64 is. Where a whole
# number other than 0 lies that near, and both sides of it are possible, it is summed again in float64, as above.

cdef inline void mend_tile(elem *out, const elem *x, Py_ssize_t step, const Pass *p, const int sum,
                           const int C) noexcept nogil:
    """C vectors of float64, cut off; two integers add up in float32 as they do there."""
    cdef Py_ssize_t k, last = (p.n - 1) * step, m = p.n - 1 if sum == FREE else p.n // 2
    cdef int c
    cdef wide acc[2 * WIDE]
    cdef wide t = wide_splat(p.exact[m])
    cdef half one, other
    for c in range(C):
        acc[c] = widen(half_load(x + m * step + c * WIDE_LANES)) * t
    for k in range(opaque(m)):
        t = wide_splat(p.exact[k])
        for c in range(C):
            one = half_load(x + k * step + c * WIDE_LANES)
            if sum != FREE:
                other = half_load(x + last - k * step + c * WIDE_LANES)
                one = one + other if sum == EVEN else one - other
            acc[c] = wide_mul_add(acc[c], widen(one), t)
    for c in range(C):
        store_whole(out + c * WIDE_LANES, acc[c])


cdef inline void mend_as(elem *out, const elem *x, Py_ssize_t step, const Pass *p, const int sum,
                         Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    while n - i >= WIDE * LANES:
        if any_doubt(out + i, WIDE * LANES, p.doubt):
            mend_tile(out + i, x + i, step, p, sum, WIDE)
            mend_tile(out + i + WIDE * WIDE_LANES, x + i + WIDE * WIDE_LANES, step, p, sum, WIDE)
        i += WIDE * LANES
    while i < n:
        i = min(i, n - LANES)
        if any_doubt(out + i, LANES, p.doubt):
            mend_tile(out + i, x + i, step, p, sum, 2)
        i += LANES


cdef inline void mend(elem *out, const elem *x, Py_ssize_t step, const Pass *p, Py_ssize_t n) noexcept nogil:
    """Cuts off what is in doubt in a row of sums, out[0 : n], n >= L   IN x, what was summed   INOUT out."""
    if p.sum == EVEN:
        mend_as(out, x, step, p, EVEN, n)
    elif p.sum == ODD:
        mend_as(out, x, step, p, ODD, n)
    else:
        mend_as(out, x, step, p, FREE, n)


# --- means ----------------------------------------------------------------------------------------------
#
# Nothing is ever taken off a sum, so nothing drifts, and a NaN stays in its windows.

cdef inline void mean_strip(elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, const Pass *p,
                            Py_ssize_t rows, elem *tails, const int C) noexcept nogil:
    """Means down C vectors of columns, three additions each whatever the window   TEMP tails[n, L C].

    Windows that begin in n rows end in the next n: each is a tail of those and a head of these.
    """
    cdef Py_ssize_t n = p.n, row = 0, i, m
    cdef int c
    cdef vec sum
    cdef vec acc[WIDE]
    cdef vec divisor = spread(p.divisor), scale = spread(p.scale)
    while row < rows:
        m = min(n, rows - row)
        for c in range(C):
            acc[c] = spread(0)
        for i in range(n - 1, -1, -1):
            for c in range(C):
                acc[c] = acc[c] + load(x + i * ldx + c * LANES) * scale
            if i < m:
                for c in range(C):
                    put(tails + (i * C + c) * LANES, acc[c])
        for c in range(C):
            acc[c] = spread(0)
        for i in range(m):
            for c in range(C):
                sum = load(tails + (i * C + c) * LANES) + acc[c]
                put(out + i * ldo + c * LANES, over(sum, divisor, p.shift))
            if i + 1 < m:
                for c in range(C):
                    acc[c] = acc[c] + load(x + (n + i) * ldx + c * LANES) * scale
        row += n
        x += n * ldx
        out += n * ldo


cdef inline void mean_columns(elem *out, Py_ssize_t ldo, const elem *x, Py_ssize_t ldx, const Pass *p,
                              Py_ssize_t rows, Py_ssize_t n, elem *tails) noexcept nogil:
    """Means down the columns: out[rows, n], n >= L   TEMP tails[window, 4 L]."""
    cdef Py_ssize_t i = 0
    while n - i >= WIDE * LANES:
        mean_strip(out + i, ldo, x + i, ldx, p, rows, tails, WIDE)
        i += WIDE * LANES
    while i < n:
        i = min(i, n - LANES)
        mean_strip(out + i, ldo, x + i, ldx, p, rows, tails, 1)
        i += LANES


cdef inline void sum_tile(elem *out, const elem *x, Py_ssize_t m, Py_ssize_t step, const Pass *p,
                          const bint last, const int C) noexcept nogil:
    """C vectors of sums of m elements, or their means."""
    cdef Py_ssize_t k
    cdef int c
    cdef vec divisor = spread(p.divisor), scale = spread(p.scale)
    cdef vec acc[WIDE]
    for c in range(C):
        acc[c] = load(x + c * LANES) * scale
    for k in range(1, opaque(m)):
        for c in range(C):
            acc[c] = acc[c] + load(x + k * step + c * LANES) * scale
    for c in range(C):
        put(out + c * LANES, over(acc[c], divisor, p.shift) if last else acc[c])


cdef inline void sum_row(elem *out, const elem *x, Py_ssize_t m, Py_ssize_t step, const Pass *p, Py_ssize_t n,
                         const bint last) noexcept nogil:
    """Sums of m elements, or their means: out[0 : n], n >= L."""
    cdef Py_ssize_t i = 0
    while n - i >= WIDE * LANES:
        sum_tile(out + i, x + i, m, step, p, last, WIDE)
        i += WIDE * LANES
    while i < n:
        i = min(i, n - LANES)
        sum_tile(out + i, x + i, m, step, p, last, 1)
        i += LANES


cdef inline void double_row(elem *out, const elem *sums, const elem *x, Py_ssize_t m, Py_ssize_t step,
                            const Pass *p, Py_ssize_t n, const bint odd, const bint last) noexcept nogil:
    """Sums of 2 m elements, or 2 m + 1, from those of m; or their means."""
    cdef Py_ssize_t i = 0
    cdef vec v, divisor = spread(p.divisor), scale = spread(p.scale)
    while i < n:
        i = min(i, n - LANES)
        v = load(sums + i) + load(sums + i + m * step)
        if odd:
            v = v + load(x + i + 2 * m * step) * scale
        put(out + i, over(v, divisor, p.shift) if last else v)
        i += LANES


cdef inline void mean_row(elem *out, const elem *x, Py_ssize_t step, const Pass *p, Py_ssize_t n,
                          elem *one, elem *other) noexcept nogil:
    """Means along a row, out[0 : n], n >= L   IN x   TEMP one, other, as long as x.

    Sums of the window's first binary digits come from x, those of a digit more from the ones before.
    """
    cdef Py_ssize_t m = p.n, digit = 1, left
    while m > FIRST:
        m //= 2
        digit *= 2
    if digit == 1:
        sum_row(out, x, m, step, p, n, True)
        return
    sum_row(one, x, m, step, p, n + (p.n - m) * step, False)
    while digit > 2:
        digit //= 2
        left = n + (p.n - p.n // digit) * step
        if p.n // digit % 2:
            double_row(other, one, x, m, step, p, left, True, False)
        else:
            double_row(other, one, x, m, step, p, left, False, False)
        m = p.n // digit
        one, other = other, one
    if p.n % 2:
        double_row(out, one, x, m, step, p, n, True, True)
    else:
        double_row(out, one, x, m, step, p, n, False, True)
