/* Every vector primitive of the kernels, and the types a kernel module is compiled for.
 *
 * A kernel page names no type of its own: it is written for elements `fc_elem` that are loaded as
 * vectors `fc_vec`, multiplied by broadcast taps `fc_tap` and summed in accumulators `fc_acc`.  The build
 * compiles the page once for each instruction set and element type and says which by macros:
 *
 *     FC_REAL     the real type the arithmetic is done in: float, double, uint8_t ... uint64_t
 *     FC_COMPLEX  1 where an element is a pair (real, imaginary) of FC_REAL
 *     FC_INTEGER  1 where FC_REAL is an integer
 *     FC_BYTE     1 where it is one of 8 bits
 *     FC_IN       the type of the input in memory   (an element, unless pixels are converted)
 *     FC_OUT      the type of the output in memory  (likewise; conversion rounds and saturates)
 *
 * Integers that are summed are unsigned, so that sums wrap as NumPy's do and nothing is undefined; two's
 * complement makes the same code serve the signed types.
 *
 * Vectors are GCC/clang vector types, which the compiler lowers to SSE2, AVX2, AVX-512 or NEON; the code
 * has no intrinsics, but for one that the compiler does not find by itself (FC_MULHI).  A compiler without them takes vectors of one element, plain C11.
 */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef FC_REAL
#define FC_REAL float
#endif
#ifndef FC_COMPLEX
#define FC_COMPLEX 0
#endif
#ifndef FC_INTEGER
#define FC_INTEGER 0
#endif
#ifndef FC_BYTE
#define FC_BYTE 0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define FC_VECTOR 1
#define FC_INLINE static inline __attribute__((always_inline, unused))
#else
#define FC_VECTOR 0
#define FC_INLINE static inline
#endif

/* Width of a register in bytes and how many there are. */
#if !FC_VECTOR
#define FC_BYTES ((int) sizeof(fc_elem))
#define FC_REGISTERS 16
#elif defined(__AVX512F__)
#define FC_BYTES 64
#define FC_REGISTERS 32
#elif defined(__AVX2__)
#define FC_BYTES 32
#define FC_REGISTERS 16
#else
#define FC_BYTES 16
#if defined(__aarch64__)
#define FC_REGISTERS 32
#else
#define FC_REGISTERS 16
#endif
#endif

typedef FC_REAL fc_real;
#if FC_COMPLEX
typedef struct { fc_real re, im; } fc_elem;
#else
typedef fc_real fc_elem;
#endif

#ifdef FC_IN
#define FC_CONVERTS 1
typedef FC_IN fc_in;
typedef FC_OUT fc_out;
#else
#define FC_CONVERTS 0
typedef fc_elem fc_in, fc_out;
#endif

#if FC_VECTOR
typedef fc_real fc_vec __attribute__((vector_size(FC_BYTES)));
typedef fc_real fc_vec_unaligned __attribute__((vector_size(FC_BYTES), aligned(1), may_alias));
#define FC_SPLAT(s) ((s) - (fc_vec) {0})
#elif FC_COMPLEX
#error "complex kernels need GCC or clang vector types; the build leaves them to the reference"
#else
typedef fc_real fc_vec, fc_vec_unaligned;
#define FC_SPLAT(s) (s)
#endif

#define FC_LANES (FC_BYTES / (int) sizeof(fc_elem))   /* elements in a vector */

/* Tile sizes: what fits the registers without a spill (accumulators + loaded vectors + taps).
 *   line:  FC_LINE accumulators, FC_PANEL taps held, one loaded vector
 *   plane: FC_ROWS x FC_COLUMNS accumulators, FC_COLUMNS loaded vectors, one tap
 *   strip: rows x FC_STRIP(rows) accumulators, FC_STRIP(rows) loaded vectors, one tap; rows are the kernel's,
 *          FC_STRIP_ROWS at most (0: no strips)
 *   layer: FC_DEEP x FC_WIDE accumulators, FC_WIDE loaded vectors, one broadcast element;
 *          FC_BROAD loaded vectors where output channels are few and broadcast */
#define FC_WIDE 2
#define FC_PAIRS (FC_COMPLEX || FC_BYTE)    /* an accumulator is two registers */
#if FC_REGISTERS == 32
#define FC_DEEP 14
#define FC_BROAD 4
#define FC_LINE (FC_PAIRS ? 8 : 16)
#define FC_PANEL (FC_COMPLEX || FC_INTEGER ? 4 : 8)
#define FC_ROWS (FC_PAIRS ? 4 : 6)
#define FC_COLUMNS (FC_PAIRS ? 2 : 4)
#define FC_STRIP_ROWS (FC_COMPLEX || FC_INTEGER ? 0 : 9)
#define FC_STRIP(rows) ((rows) > 6 ? 3 : 4)
#else
#define FC_DEEP 6
#define FC_BROAD 3
#define FC_LINE (FC_PAIRS ? 4 : 8)
#define FC_PANEL (FC_PAIRS ? 2 : 4)
#define FC_ROWS (FC_PAIRS ? 2 : 4)
#define FC_COLUMNS 2
#define FC_STRIP_ROWS 0     /* too few accumulators: rows' ends cost what strips save */
#define FC_STRIP(rows) 0
#endif


#if FC_VECTOR
/* Keeps `n` a run-time number: a loop over a known count would be unrolled until accumulators spill. */
FC_INLINE ptrdiff_t fc_opaque(ptrdiff_t n) { __asm__("" : "+r"(n)); return n; }

/* Makes an address one register: else each of several loads beside each other would keep an address of its own. */
FC_INLINE const fc_elem *fc_anchor(const fc_elem *p) { __asm__("" : "+r"(p)); return p; }

/* Asks for a cache line early; any address will do. */
FC_INLINE void fc_prefetch(const void *p) { __builtin_prefetch(p); }

/* The same, into L2: L1 is full of what is needed first. */
FC_INLINE void fc_prefetch_far(const void *p) { __builtin_prefetch(p, 0, 2); }

/* Holds a value in a register: else the compiler repeats the load in every multiply-add that uses it. */
#if defined(__AVX512F__)
#define FC_HOLD(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__) || defined(__i386__)
#define FC_HOLD(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__)
#define FC_HOLD(v) __asm__("" : "+w"(v))
#else
#define FC_HOLD(v) ((void) 0)
#endif
#else
FC_INLINE ptrdiff_t fc_opaque(ptrdiff_t n) { return n; }
FC_INLINE const fc_elem *fc_anchor(const fc_elem *p) { return p; }
FC_INLINE void fc_prefetch(const void *p) { (void) p; }
FC_INLINE void fc_prefetch_far(const void *p) { (void) p; }
#define FC_HOLD(v) ((void) 0)
#endif

FC_INLINE fc_vec fc_load(const fc_elem *p)
{
    fc_vec v = *(const fc_vec_unaligned *) p;
    FC_HOLD(v);
    return v;
}

/* The same for a single use: it may become part of the instruction that uses it. */
FC_INLINE fc_vec fc_fetch(const fc_elem *p) { return *(const fc_vec_unaligned *) p; }

FC_INLINE void fc_put(fc_elem *p, fc_vec v) { *(fc_vec_unaligned *) p = v; }

#if !FC_COMPLEX
FC_INLINE fc_vec fc_spread(fc_elem s) { return FC_SPLAT(s); }
#endif

#if FC_COMPLEX
/* A complex sum is two real ones over the interleaved input, sum x Re h and sum x Im h, joined at the end. */
typedef struct { fc_vec re, im; } fc_acc;
typedef struct { fc_vec re, im; } fc_tap;

FC_INLINE fc_acc fc_zero(void) { fc_acc a = {{0}, {0}}; return a; }

/* Goes on from a sum in memory. */
FC_INLINE fc_acc fc_resume(const fc_elem *p) { fc_acc a = {fc_fetch(p), {0}}; return a; }

FC_INLINE fc_tap fc_splat(fc_elem h)
{
    fc_tap t = {FC_SPLAT(h.re), FC_SPLAT(h.im)};
    FC_HOLD(t.re);
    FC_HOLD(t.im);
    return t;
}

FC_INLINE fc_acc fc_madd(fc_acc a, fc_vec x, fc_tap h)
{
    a.re += x * h.re;
    a.im += x * h.im;
    return a;
}

FC_INLINE void fc_store(fc_elem *p, fc_acc a)
{
    enum { n = FC_LANES };
    fc_vec re = a.re, im = a.im;
    for (int i = 0; i < n; i++) {
        p[i].re = re[2 * i] - im[2 * i + 1];
        p[i].im = re[2 * i + 1] + im[2 * i];
    }
}
#elif FC_BYTE && FC_VECTOR
/* No instruction multiplies bytes. Two beside each other are multiplied as one number of 16 bits, whose upper byte
 * takes what the lower product carries; the lower ones are summed once more without their neighbours, and at the end
 *
 *     all = sum (256 b + a) h,    even = sum a h    (mod 2^16):    bytes even mod 256 and (all - even) / 256.
 */
typedef uint16_t fc_words __attribute__((vector_size(FC_BYTES)));
typedef struct { fc_words all, even; } fc_acc;
typedef fc_words fc_tap;

FC_INLINE fc_words fc_even(fc_words v) { return v & (uint16_t) 255; }
FC_INLINE fc_acc fc_zero(void) { fc_acc a = {{0}, {0}}; return a; }
FC_INLINE fc_acc fc_resume(const fc_elem *p)
{
    fc_words v = (fc_words) fc_fetch(p);
    fc_acc a = {v, fc_even(v)};
    return a;
}
FC_INLINE fc_tap fc_splat(fc_elem h) { fc_tap t = (uint16_t) h - (fc_words) {0}; FC_HOLD(t); return t; }
FC_INLINE fc_acc fc_madd(fc_acc a, fc_vec x, fc_tap h)
{
    a.all += (fc_words) x * h;
    a.even += fc_even((fc_words) x) * h;
    return a;
}
FC_INLINE fc_acc fc_mul_add(fc_acc a, fc_vec x, fc_tap h) { return fc_madd(a, x, h); }
FC_INLINE fc_acc fc_times(fc_vec x, fc_tap h) { return fc_madd(fc_zero(), x, h); }
FC_INLINE void fc_store(fc_elem *p, fc_acc a)
{
    fc_put(p, (fc_vec) ((a.all - a.even) | fc_even(a.even)));
}
#else
typedef fc_vec fc_acc, fc_tap;

FC_INLINE fc_acc fc_zero(void) { return FC_SPLAT((fc_real) 0); }
FC_INLINE fc_acc fc_resume(const fc_elem *p) { return fc_fetch(p); }
FC_INLINE fc_tap fc_splat(fc_elem h) { fc_vec t = FC_SPLAT(h); FC_HOLD(t); return t; }
FC_INLINE fc_acc fc_madd(fc_acc a, fc_vec x, fc_tap h) { return a + x * h; }
FC_INLINE fc_acc fc_times(fc_vec x, fc_tap h) { return x * h; }
FC_INLINE void fc_store(fc_elem *p, fc_acc a) { fc_put(p, a); }

/* fc_madd with the product rounded before it is added, as plain C without contraction does. */
FC_INLINE fc_acc fc_mul_add(fc_acc a, fc_vec x, fc_tap h) { fc_vec p = x * h; FC_HOLD(p); return a + p; }
#endif

#if !FC_COMPLEX
/* Transposes a square of vectors of 4 or 8 bytes a lane: each step deals the first half and the second like
 * cards, and as many steps as a lane's number has bits bring every row to a column. */
#if FC_VECTOR
#if FC_BYTES == 64
#define FC_DEALT4(i) i, i + 16, i + 1, i + 17, i + 2, i + 18, i + 3, i + 19, \
    i + 4, i + 20, i + 5, i + 21, i + 6, i + 22, i + 7, i + 23
#define FC_DEALT8(i) i, i + 8, i + 1, i + 9, i + 2, i + 10, i + 3, i + 11
#elif FC_BYTES == 32
#define FC_DEALT4(i) i, i + 8, i + 1, i + 9, i + 2, i + 10, i + 3, i + 11
#define FC_DEALT8(i) i, i + 4, i + 1, i + 5
#else
#define FC_DEALT4(i) i, i + 4, i + 1, i + 5
#define FC_DEALT8(i) i, i + 2
#endif
typedef int32_t fc_int4 __attribute__((vector_size(FC_BYTES)));
typedef int64_t fc_int8 __attribute__((vector_size(FC_BYTES)));
#if defined(__clang__)
#define FC_DEAL(type, a, b, ...) ((fc_vec) __builtin_shufflevector((type) (a), (type) (b), __VA_ARGS__))
#else
#define FC_DEAL(type, a, b, ...) ((fc_vec) __builtin_shuffle((type) (a), (type) (b), (type) {__VA_ARGS__}))
#endif

FC_INLINE void fc_transpose(fc_vec *v)
{
    enum { half = FC_LANES / 2 };
    fc_vec dealt[FC_LANES];
    for (int step = 1; step < FC_LANES; step *= 2) {
        for (int i = 0; i < half; i++)
            if (sizeof(fc_real) == 4) {
                dealt[2 * i] = FC_DEAL(fc_int4, v[i], v[i + half], FC_DEALT4(0));
                dealt[2 * i + 1] = FC_DEAL(fc_int4, v[i], v[i + half], FC_DEALT4(FC_BYTES / 8));
            } else {
                dealt[2 * i] = FC_DEAL(fc_int8, v[i], v[i + half], FC_DEALT8(0));
                dealt[2 * i + 1] = FC_DEAL(fc_int8, v[i], v[i + half], FC_DEALT8(FC_BYTES / 16));
            }
        for (int i = 0; i < FC_LANES; i++)
            v[i] = dealt[i];
    }
}
#else
FC_INLINE void fc_transpose(fc_vec *v) { (void) v; }
#endif
#endif

#if !FC_COMPLEX
/* What a layer does to its finished sums: 1 relu, 2 sigmoid, 3 tanh. NaN stays NaN. */
FC_INLINE void fc_activate(fc_elem *v, ptrdiff_t n, int function)
{
    if (function == 1)
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = v[i] < 0 ? 0 : v[i];
    else if (function == 2)
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = (fc_elem) (1 / (1 + (sizeof(fc_elem) == 4 ? expf((float) -v[i]) : exp((double) -v[i]))));
    else if (function == 3)
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = (fc_elem) (sizeof(fc_elem) == 4 ? tanhf((float) v[i]) : tanh((double) v[i]));
}
#endif

#if !FC_COMPLEX
/* Order: comparisons give masks, integers of the element's size with all bits set where they hold.
 * NaN wins, wherever it stands: `fc_max_or_nan(a, x)` is NaN where a or x is.  A tie leaves a. */
#define FC_FLOATING ((fc_real) 0.5 != 0)

#if FC_VECTOR
typedef __typeof__(__builtin_choose_expr(sizeof(fc_real) == 8, (int64_t) 0,
                   __builtin_choose_expr(sizeof(fc_real) == 4, (int32_t) 0,
                   __builtin_choose_expr(sizeof(fc_real) == 2, (int16_t) 0, (int8_t) 0)))) fc_int;
typedef fc_int fc_mask __attribute__((vector_size(FC_BYTES)));
#define FC_SPLAT_INT(n) ((n) - (fc_mask) {0})
#define FC_LANE(v, i) (v)[i]
#else
typedef ptrdiff_t fc_mask, fc_int;
#define FC_SPLAT_INT(n) (n)
#define FC_LANE(v, i) (v)
#endif

FC_INLINE fc_mask fc_choose(fc_mask m, fc_mask a, fc_mask b) { return (m & a) | (~m & b); }
FC_INLINE fc_mask fc_integers(fc_int n) { return FC_SPLAT_INT(n); }
FC_INLINE fc_mask fc_load_integers(const fc_int *p) { fc_mask v; memcpy(&v, p, sizeof v); return v; }
FC_INLINE void fc_store_integers(fc_int *p, fc_mask v) { memcpy(p, &v, sizeof v); }

#if FC_VECTOR
FC_INLINE fc_mask fc_above(fc_vec a, fc_vec x) { return (fc_mask) ((x > a) | (x != x)); }
FC_INLINE fc_mask fc_below(fc_vec a, fc_vec x) { return (fc_mask) ((x < a) | (x != x)); }
FC_INLINE fc_vec fc_pick(fc_mask m, fc_vec a, fc_vec b) { return (fc_vec) fc_choose(m, (fc_mask) a, (fc_mask) b); }
FC_INLINE fc_vec fc_keep(fc_mask m, fc_vec a) { return (fc_vec) (m & (fc_mask) a); }
#else
FC_INLINE fc_mask fc_above(fc_vec a, fc_vec x) { return -(x > a || x != x); }
FC_INLINE fc_mask fc_below(fc_vec a, fc_vec x) { return -(x < a || x != x); }
FC_INLINE fc_vec fc_pick(fc_mask m, fc_vec a, fc_vec b) { return m ? a : b; }
FC_INLINE fc_vec fc_keep(fc_mask m, fc_vec a) { return m ? a : 0; }
#endif

FC_INLINE fc_elem fc_max1(fc_elem a, fc_elem x) { return x > a || x != x ? x : a; }
FC_INLINE fc_elem fc_min1(fc_elem a, fc_elem x) { return x < a || x != x ? x : a; }

FC_INLINE fc_vec fc_max_or_nan(fc_vec a, fc_vec x) { return fc_pick(fc_above(a, x), x, a); }
FC_INLINE fc_vec fc_min_or_nan(fc_vec a, fc_vec x) { return fc_pick(fc_below(a, x), x, a); }

/* Elements 0, 2, 4 ... or 1, 3, 5 ... of two vectors that follow one another. */
FC_INLINE fc_vec fc_every_second(fc_vec a, fc_vec b, const int first)
{
#if !FC_VECTOR
    return first ? b : a;
#elif defined(__clang__)
    enum { n = FC_LANES };
    fc_vec v = a;
    for (int i = 0; i < n; i++)
        v[i] = 2 * i + first < n ? a[(2 * i + first) % n] : b[(2 * i + first) % n];
    return v;
#elif FC_BYTES == 32
    /* Within 16 bytes first, then 8 bytes at a time: each is one instruction. */
    enum { n = FC_LANES, part = n / 2, half = n / 4 };
    fc_mask inside = {0}, order = {0};
    for (int i = 0; i < n; i++) {
        inside[i] = i / part * part + (i % part < half ? 2 * (i % part) : 2 * (i % part - half) + n) + first;
        order[i] = (i / half % 2 * 2 + i / part) * half + i % half;
    }
    a = __builtin_shuffle(a, b, inside);
    return __builtin_shuffle(a, order);
#else
    enum { n = FC_LANES };
    fc_mask m = {0};
    for (int i = 0; i < n; i++)
        m[i] = 2 * i + first;
    return __builtin_shuffle(a, b, m);
#endif
}

/* Two vectors, in whose lanes with this bit set that of the other, `step` lanes off, has changed places: the first of
 * them, or the second. So for every bit, and lines and columns of a square of vectors have changed places. */
FC_INLINE fc_vec fc_swap(fc_vec a, fc_vec b, const int step, const int second)
{
#if !FC_VECTOR
    (void) step;
    return second ? b : a;
#else
    enum { n = FC_LANES };
#ifdef __clang__
    fc_vec v = a;
    for (int i = 0; i < n; i++)
        v[i] = i & step ? b[second ? i : i ^ step] : a[second ? i ^ step : i];
    return v;
#else
    fc_mask m = {0};
    for (int i = 0; i < n; i++)
        m[i] = i & step ? n + (second ? i : i ^ step) : second ? i ^ step : i;
    return __builtin_shuffle(a, b, m);
#endif
#endif
}

/* The last element of a, and all of b but its last. */
FC_INLINE fc_vec fc_one_later(fc_vec a, fc_vec b)
{
#if !FC_VECTOR
    (void) b;
    return a;
#else
    enum { n = FC_LANES };
#ifdef __clang__
    fc_vec v = b;
    v[0] = a[n - 1];
    for (int i = 1; i < n; i++)
        v[i] = b[i - 1];
    return v;
#else
    fc_mask m = {0};
    for (int i = 0; i < n; i++)
        m[i] = n - 1 + i;
    return __builtin_shuffle(a, b, m);
#endif
#endif
}

FC_INLINE fc_elem fc_lowest(void)
{
    if (FC_FLOATING)
        return (fc_elem) -INFINITY;
    return (fc_elem) -1 > 0 ? (fc_elem) 0 : (fc_elem) ((uintmax_t) 1 << (8 * sizeof(fc_elem) - 1));
}

FC_INLINE fc_elem fc_highest(void)
{
    return FC_FLOATING ? (fc_elem) INFINITY : (fc_elem) ~(uintmax_t) 0 - fc_lowest();
}
#endif

/* Whether every value is finite: only such a value times zero is zero. */
FC_INLINE int fc_all_finite(const fc_elem *p, ptrdiff_t n)
{
    const fc_real *v = (const fc_real *) p;
    int finite = 1;
    for (ptrdiff_t i = 0; i < n * (1 + FC_COMPLEX); i++)
        finite &= v[i] * 0 == 0;
    return finite;
}

/* The sum of the squares, for one look at all numbers: in lanes of its own, so that it is as fast as they are read. */
FC_INLINE double fc_power(const fc_elem *p, ptrdiff_t n)
{
    enum { lanes = 4 * FC_BYTES / (int) sizeof(fc_real) };
    const fc_real *v = (const fc_real *) p;
    fc_real sums[lanes] = {0};
    double sum = 0;
    ptrdiff_t i = 0;
    for (n *= 1 + FC_COMPLEX; i + lanes <= n; i += lanes)
        for (int j = 0; j < lanes; j++)
            sums[j] += v[i + j] * v[i + j];
    for (; i < n; i++)
        sum += (double) v[i] * (double) v[i];
    for (int j = 0; j < lanes; j++)
        sum += (double) sums[j];
    return sum;
}

/* An input element in memory, and an output element from a finished sum. Pixels that are summed as integers meet taps
 * times 2^shift; no such sum is below -low, a multiple of 2^(shift + 1), and from there on all of them fit the type. */
typedef struct { int shift; fc_real low; } fc_scale;

#if FC_CONVERTS
#define FC_SIGNED ((fc_out) -1 < 0)
#define FC_HIGHEST ((fc_real) (((uintmax_t) 1 << (8 * sizeof(fc_out) - FC_SIGNED)) - 1))
#define FC_LOWEST (FC_SIGNED ? -FC_HIGHEST - 1 : (fc_real) 0)
FC_INLINE fc_elem fc_read(const fc_in *p) { return (fc_elem) *p; }

/* Rounded half to even and saturated; NaN gives 0. */
#if FC_INTEGER
FC_INLINE fc_out fc_write(fc_elem v, fc_scale scale)
{
    const fc_elem some = scale.shift > 0, half = (fc_elem) ((1 << scale.shift >> 1) - some);
    const fc_elem base = (fc_elem) (scale.low >> scale.shift), highest = (fc_elem) FC_HIGHEST;
    v += scale.low;
    v += half + (v >> scale.shift & some);
    v >>= scale.shift;
    v = v > base ? v : base;
    v -= base;
    return (fc_out) (v < highest ? v : highest);
}
#else
FC_INLINE fc_out fc_write(fc_elem v, fc_scale scale)
{
    (void) scale;
    v = v == v ? v : 0;
    v = v > FC_LOWEST ? v : FC_LOWEST;
    v = v < FC_HIGHEST ? v : FC_HIGHEST;
    return (fc_out) (int32_t) rintf(v);
}
#endif
#else
FC_INLINE fc_elem fc_read(const fc_in *p) { return *p; }
FC_INLINE fc_out fc_write(fc_elem v, fc_scale scale) { (void) scale; return v; }
#endif

/* A line of them. Of integers the compiler would widen every shift, so vectors do what `fc_write` does. */
FC_INLINE void fc_write_line(fc_out *p, const fc_elem *v, ptrdiff_t n, fc_scale scale)
{
    ptrdiff_t i = 0;
#if FC_CONVERTS && FC_INTEGER && FC_VECTOR
    typedef fc_out outs __attribute__((vector_size(FC_BYTES / sizeof(fc_elem) * sizeof(fc_out))));
    typedef outs outs_unaligned __attribute__((aligned(1), may_alias));
    const fc_vec low = fc_spread(scale.low), base = low >> scale.shift, highest = fc_spread((fc_elem) FC_HIGHEST);
    const fc_vec some = fc_spread(scale.shift > 0), half = fc_spread((fc_elem) (1 << scale.shift >> 1)) - some;
    for (; i + FC_LANES <= n; i += FC_LANES) {
        fc_vec t = fc_fetch(v + i) + low;
        t = (t + half + (t >> scale.shift & some)) >> scale.shift;
        t = (t - base) & (fc_vec) (t > base);
        t = fc_pick((fc_mask) (t < highest), t, highest);
        *(outs_unaligned *) (p + i) = __builtin_convertvector(t, outs);
    }
#endif
    for (; i < n; i++)
        p[i] = fc_write(v[i], scale);
}

#if FC_INTEGER
/* Order.  Numbers of any kind are compared as integers of their width, their keys: the order of the keys is that
 * of the numbers, or the reverse where every bit is flipped.
 *
 *     key = bits ^ flip                             integers; flip turns the sign bit where signs differ
 *     key = bits ^ (bits < 0 ? HIGHEST : 0) ^ flip  floats, whose order below zero runs backward
 *
 * NaN has the highest key, whichever the direction. */
#define FC_KEY_BITS (8 * (int) sizeof(fc_elem))
#define FC_KEY_HIGHEST ((fc_elem) (UINTMAX_MAX >> (64 - FC_KEY_BITS + ((fc_elem) -1 < 0))))

typedef struct {
    fc_elem flip, infinity;     /* the bits of infinity; HIGHEST where there is none */
} fc_order;

FC_INLINE fc_elem fc_fold(fc_elem v) { return v ^ ((v >> (FC_KEY_BITS - 1)) & FC_KEY_HIGHEST); }

FC_INLINE fc_elem fc_key(fc_elem v, fc_order order, int floating)
{
    if (!floating)
        return v ^ order.flip;
    return (v & FC_KEY_HIGHEST) > order.infinity ? FC_KEY_HIGHEST : fc_fold(v) ^ order.flip;
}

FC_INLINE fc_elem fc_number(fc_elem key, fc_order order, int floating)
{
    key ^= order.flip;
    return floating ? fc_fold(key) : key;
}

/* The key as an unsigned number of the same order, for a radix sort. */
FC_INLINE uint64_t fc_digits(fc_elem key)
{
    return (uint64_t) key + ((fc_elem) -1 < 0 ? (uint64_t) FC_KEY_HIGHEST + 1 : 0);
}

/* The lowest and the highest bit of a word that is not 0. */
#if FC_VECTOR
FC_INLINE int fc_lowest_bit(uint64_t bits) { return __builtin_ctzll(bits); }
FC_INLINE int fc_highest_bit(uint64_t bits) { return 63 - __builtin_clzll(bits); }
#else
FC_INLINE int fc_lowest_bit(uint64_t bits) { int i = 0; while (!(bits >> i & 1)) i++; return i; }
FC_INLINE int fc_highest_bit(uint64_t bits) { int i = 63; while (!(bits >> i & 1)) i--; return i; }
#endif

#if FC_VECTOR
#define FC_KEY_FOLD(v) ((v) ^ (((v) >> (FC_KEY_BITS - 1)) & FC_SPLAT(FC_KEY_HIGHEST)))

/* The compiler knows a loop over lanes such as these: it is one instruction, or the few that are needed. Several in a
 * row it would mix and then know no more, so each result is held. */
FC_INLINE fc_vec fc_max(fc_vec a, fc_vec b)
{
    fc_vec r;
    for (int i = 0; i < FC_LANES; i++)
        r[i] = a[i] > b[i] ? a[i] : b[i];
    FC_HOLD(r);
    return r;
}

FC_INLINE fc_vec fc_min(fc_vec a, fc_vec b)
{
    fc_vec r;
    for (int i = 0; i < FC_LANES; i++)
        r[i] = a[i] < b[i] ? a[i] : b[i];
    FC_HOLD(r);
    return r;
}

FC_INLINE fc_vec fc_keys(fc_vec v, fc_order order, int floating)
{
    fc_vec flip = FC_SPLAT(order.flip), highest = FC_SPLAT(FC_KEY_HIGHEST);
    if (!floating)
        return v ^ flip;
    fc_vec nan = (fc_vec) ((v & highest) > FC_SPLAT(order.infinity));
    return ((FC_KEY_FOLD(v) ^ flip) & ~nan) | (highest & nan);
}

FC_INLINE fc_vec fc_numbers(fc_vec keys, fc_order order, int floating)
{
    keys ^= FC_SPLAT(order.flip);
    return floating ? FC_KEY_FOLD(keys) : keys;
}
#else
FC_INLINE fc_vec fc_max(fc_vec a, fc_vec b) { return a > b ? a : b; }
FC_INLINE fc_vec fc_min(fc_vec a, fc_vec b) { return a < b ? a : b; }
#define fc_keys fc_key
#define fc_numbers fc_number
#endif
#endif

#if !FC_COMPLEX
#if FC_VECTOR
#define FC_BESIDE(type, bytes) __attribute__((vector_size(bytes))) type
#define FC_CONVERT(v, type) __builtin_convertvector(v, type)
#else
#define FC_CONVERT(v, type) ((type) (v))
#endif

/* Sums over a divisor. Integers, below 2^16, are multiplied by 2^(16 + shift) over it instead, and cut off. */
#if FC_INTEGER
#if FC_VECTOR
typedef FC_BESIDE(uint32_t, 4 * FC_BYTES / sizeof(fc_real)) fc_whole;
#if FC_BYTES == 32 && defined(__AVX2__) && !defined(__clang__)
#define FC_MULHI(a, b) ((fc_vec) __builtin_ia32_pmulhuw256((fc_short) (a), (fc_short) (b)))
#elif FC_BYTES == 16 && defined(__SSE2__) && !defined(__clang__)
#define FC_MULHI(a, b) ((fc_vec) __builtin_ia32_pmulhuw128((fc_short) (a), (fc_short) (b)))
#else
#define FC_MULHI(a, b) FC_CONVERT(FC_CONVERT(a, fc_whole) * FC_CONVERT(b, fc_whole) >> 16, fc_vec)
#endif
typedef FC_BESIDE(short, FC_BYTES) fc_short;
#else
#define FC_MULHI(a, b) ((fc_vec) ((uint32_t) (a) * (b) >> 16))
#endif
FC_INLINE fc_vec fc_over(fc_vec sum, fc_vec factor, int shift) { return FC_MULHI(sum, factor) >> shift; }
#else
FC_INLINE fc_vec fc_over(fc_vec sum, fc_vec divisor, int shift) { (void) shift; return sum / divisor; }
#endif

/* Sums in float64 beside those of a narrower type: half the lanes in a register. */
#if FC_VECTOR
typedef FC_BESIDE(double, FC_BYTES) fc_wide;
typedef FC_BESIDE(fc_real, FC_BYTES / sizeof(double) * sizeof(fc_real)) fc_half;
typedef fc_half fc_half_unaligned __attribute__((aligned(1), may_alias));
#define FC_WIDE_LANES (FC_BYTES / (int) sizeof(double))
FC_INLINE fc_wide fc_wide_splat(double v) { return v - (fc_wide) {0}; }
#define FC_HALF(p) (*(fc_half_unaligned *) (p))
#else
typedef double fc_wide;
typedef fc_real fc_half;
#define FC_WIDE_LANES 1
FC_INLINE fc_wide fc_wide_splat(double v) { return v; }
#define FC_HALF(p) (*(p))
#endif
FC_INLINE fc_half fc_half_load(const fc_elem *p) { return FC_HALF((fc_elem *) p); }
FC_INLINE fc_wide fc_widen(fc_half v) { return FC_CONVERT(v, fc_wide); }
FC_INLINE fc_wide fc_wide_mul_add(fc_wide a, fc_wide x, fc_wide h) { fc_wide p = x * h; FC_HOLD(p); return a + p; }

/* Stores sums cut off to whole numbers, of less than 32 bits. */
FC_INLINE void fc_store_whole(fc_elem *p, fc_wide a)
{
#if FC_VECTOR
    typedef FC_BESIDE(int32_t, FC_WIDE_LANES * 4) whole;
    FC_HALF(p) = FC_CONVERT(FC_CONVERT(a, whole), fc_half);
#else
    *p = (fc_elem) (int32_t) a;
#endif
}

/* Whether any of n floats, a multiple of L, lies within `doubt` of a whole number that is not 0; 0 is asked after
 * only if there is one near a whole number at all. */
FC_INLINE int fc_any_doubt(const fc_elem *v, const int n, fc_real doubt)
{
    const fc_real big = (fc_real) 12582912;     /* adding 3 * 2^22 rounds a float to a whole number */
    int near = 0, any = 0;
#if FC_VECTOR
    typedef FC_BESIDE(int64_t, FC_BYTES) bits;
    bits found = {0};
    fc_vec limit = FC_SPLAT((fc_real) (doubt * doubt * 1.01));
    for (int i = 0; i < n; i += FC_LANES) {
        fc_vec x = fc_load(v + i), off = x - (x + big - big);
        found |= (bits) (off * off <= limit);
    }
    for (int i = 0; i < FC_BYTES / 8; i++)
        near |= found[i] != 0;
#else
    near = 1;
#endif
    for (int i = 0; i < n && near && !any; i++) {
        fc_real whole = v[i] + big - big, off = v[i] - whole;
        any = off <= doubt && off >= -doubt && whole != 0;
    }
    return any;
}

/* The nearest whole number, half to even, of one whose magnitude is below 2^51. */
FC_INLINE int64_t fc_nearest(double v)
{
    const double big = 6755399441055744.0;      /* 3 * 2^51: sums with it have no fraction */
    int64_t sum, offset;
    v += big;
    memcpy(&sum, &v, sizeof sum);
    memcpy(&offset, &big, sizeof offset);
    return sum - offset;
}

/* A number cut off to 64 bits; one below 0 wraps. */
FC_INLINE uint64_t fc_whole64(double v)
{
    const double half = 9223372036854775808.0;
    return v < half ? (uint64_t) (int64_t) v : (uint64_t) (int64_t) (v - half) ^ (uint64_t) 1 << 63;
}

/* Asks for n bytes that will be read soon. */
FC_INLINE void fc_prefetch_all(const char *p, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i += 64)
        fc_prefetch(p + i);
}
#endif

#endif
