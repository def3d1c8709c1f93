"""What convolution is by its algebra. Numbers are small integers, so every law holds without tolerance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

import fastconv

DTYPES = st.sampled_from(["f4", "f8", "c8", "c16", "i4", "i8"])
MODES = st.sampled_from(["full", "same", "valid"])
BOUNDARIES = st.sampled_from(["fill", "wrap", "symm"])
STEPS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def whole(dtype, shape):
    """Arrays of small integers, complex ones in both parts."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        parts = hnp.arrays(np.int8, (2, *shape), elements=st.integers(-4, 4))
        return parts.map(lambda pair: (pair[0] + 1j * pair[1]).astype(dtype))
    return hnp.arrays(np.int8, shape, elements=st.integers(-4, 4)).map(lambda array: array.astype(dtype))


@st.composite
def signals(draw, number=1):
    """`number` signals of one length, and taps."""
    dtype, n, k = draw(DTYPES), draw(st.integers(1, 40)), draw(st.integers(1, 20))
    return [draw(whole(dtype, (n,))) for _ in range(number)] + [draw(whole(dtype, (k,)))]


@st.composite
def images(draw, number=1, kernels=1, kernel_fits=False):
    """`number` images of one shape, and `kernels` kernels of one shape."""
    dtype = draw(DTYPES)
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 20)))
    limit = shape if kernel_fits else (5, 6)
    taps = draw(st.tuples(st.integers(1, min(limit[0], 5)), st.integers(1, min(limit[1], 6))))
    return [draw(whole(dtype, shape)) for _ in range(number)] + [draw(whole(dtype, taps)) for _ in range(kernels)]


def inner(x, y):
    return (x.conj() * y).sum()


@given(signals(2), MODES, st.integers(-3, 3))
def test_convolve_is_linear(case, mode, factor):
    x, y, v = case
    parts = fastconv.convolve(x, v, mode) + factor * fastconv.convolve(y, v, mode)
    assert_array_equal(fastconv.convolve(x + factor * y, v, mode), parts)


@given(images(2), BOUNDARIES, st.integers(-3, 3), STEPS, STEPS)
def test_convolve2d_is_linear(case, boundary, factor, stride, dilation):
    x, y, k = case
    options = {"mode": "same", "boundary": boundary, "stride": stride, "dilation": dilation}
    parts = fastconv.convolve2d(x, k, **options) + factor * fastconv.convolve2d(y, k, **options)
    assert_array_equal(fastconv.convolve2d(x + factor * y, k, **options), parts)


@given(images(kernels=2), BOUNDARIES)
def test_convolve2d_is_linear_in_the_kernel(case, boundary):
    x, k, other = case
    parts = fastconv.convolve2d(x, k, "full", boundary) + fastconv.convolve2d(x, other, "full", boundary)
    assert_array_equal(fastconv.convolve2d(x, k + other, "full", boundary), parts)


@given(signals(), st.integers(0, 9))
def test_a_delta_shifts(case, at):
    x, _ = case
    delta = np.zeros(10, x.dtype)
    delta[at] = 1
    assert_array_equal(fastconv.convolve(x, delta), np.pad(x, (at, 9 - at)))
    assert_array_equal(fastconv.correlate(x, delta, "full"), np.pad(x, (9 - at, at)))
    assert_array_equal(fastconv.convolve(x, delta[at : at + 1], "same"), x)


@given(images(), BOUNDARIES, st.integers(0, 4), st.integers(0, 4))
def test_a_delta_shifts_an_image(case, boundary, row, column):
    x, _ = case
    delta = np.zeros((5, 5), x.dtype)
    delta[row, column] = 1
    around = np.pad(x, 4, {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary])
    shifted = around[4 - row :, 4 - column :][: x.shape[0] + 4, : x.shape[1] + 4]
    assert_array_equal(fastconv.convolve2d(x, delta, "full", boundary), shifted)


@given(signals(), st.integers(0, 30))
def test_what_is_shifted_comes_out_shifted(case, by):
    x, v = case
    later = fastconv.convolve(np.pad(x, (by, 0)), v)
    assert_array_equal(later[by:], fastconv.convolve(x, v))
    assert not later[:by].any()


@given(images(), st.integers(-20, 20), st.integers(-20, 20))
def test_a_wrapped_image_may_be_rolled(case, rows, columns):
    x, k = case
    rolled, still = (
        fastconv.convolve2d(image, k, "same", "wrap") for image in (np.roll(x, (rows, columns), (0, 1)), x)
    )
    assert_array_equal(rolled, np.roll(still, (rows, columns), (0, 1)))


@given(signals(), MODES)
def test_convolve_is_commutative(case, mode):
    x, v = case
    assert_array_equal(fastconv.convolve(x, v, mode), fastconv.convolve(v, x, mode))


@given(images())
def test_convolve2d_is_commutative(case):
    x, k = case
    assert_array_equal(fastconv.convolve2d(x, k), fastconv.convolve2d(k, x))


@given(signals(2))
def test_convolve_is_associative(case):
    x, y, v = case
    assert_array_equal(
        fastconv.convolve(fastconv.convolve(x, y), v),
        fastconv.convolve(x, fastconv.convolve(y, v)),
    )


@given(images())
def test_a_kernel_of_rank_one_is_two_lines(case):
    x, k = case
    column, row = k[:, 0], k[0]
    plane = fastconv.convolve2d(x, np.outer(column, row))
    by_axes = fastconv.convolve(fastconv.convolve(x, row, axis=1), column, axis=0)
    assert_array_equal(plane, by_axes)
    assert_array_equal(fastconv.convolve2d(fastconv.convolve2d(x, row[None]), column[:, None]), by_axes)


@given(signals())
def test_correlate_is_convolve_with_the_reversed_conjugate(case):
    x, v = case
    assert_array_equal(fastconv.correlate(x, v, "full"), fastconv.convolve(x, v[::-1].conj()))
    assert_array_equal(fastconv.correlate(x, v, "valid"), fastconv.convolve(x, v[::-1].conj(), "valid"))


@given(images(), BOUNDARIES, STEPS, STEPS)
def test_correlate2d_is_convolve2d_with_the_reversed_conjugate(case, boundary, stride, dilation):
    x, k = case
    options = {"boundary": boundary, "fillvalue": 2, "stride": stride, "dilation": dilation}
    convolved = fastconv.convolve2d(x, k[::-1, ::-1].conj(), **options)
    assert_array_equal(fastconv.correlate2d(x, k, **options), convolved)


@given(signals(), st.data())
def test_correlate_is_the_adjoint_of_convolve(case, data):
    """<x * v, y> = <x, y correlated with v>."""
    x, v = case
    full = data.draw(whole(x.dtype, (len(x) + len(v) - 1,)))
    assert inner(fastconv.convolve(x, v), full) == inner(x, fastconv.correlate(full, v, "valid"))


@given(images(kernel_fits=True), st.data())
def test_correlate2d_is_the_adjoint_of_convolve2d(case, data):
    x, k = case
    full = data.draw(whole(x.dtype, [n + m - 1 for n, m in zip(x.shape, k.shape, strict=True)]))
    assert inner(fastconv.convolve2d(x, k), full) == inner(x, fastconv.correlate2d(full, k, "valid"))
    same = data.draw(whole(x.dtype, x.shape))
    odd = k[: k.shape[0] - 1 | 1, : k.shape[1] - 1 | 1]  # 'same' has a centre for odd kernels alone
    there = fastconv.convolve2d(x, odd, "same", "wrap")
    assert inner(there, same) == inner(x, fastconv.correlate2d(same, odd, "same", "wrap"))


@given(images(kernel_fits=True), STEPS, BOUNDARIES, MODES)
def test_a_stride_leaves_out_and_changes_nothing(case, stride, boundary, mode):
    x, k = case
    dense = fastconv.convolve2d(x, k, mode, boundary)
    strided = fastconv.convolve2d(x, k, mode, boundary, stride=stride)
    assert_array_equal(strided, dense[:: stride[0], :: stride[1]])


@given(images(), STEPS, BOUNDARIES, st.sampled_from(["full", "same"]))
def test_a_dilation_is_a_kernel_with_zeros_between(case, dilation, boundary, mode):
    x, k = case
    spread = np.zeros([(n - 1) * d + 1 for n, d in zip(k.shape, dilation, strict=True)], k.dtype)
    spread[:: dilation[0], :: dilation[1]] = k
    dilated = fastconv.convolve2d(x, k, mode, boundary, dilation=dilation)
    assert_array_equal(dilated, fastconv.convolve2d(x, spread, mode, boundary))
