"""The twins of the layers against sums of SciPy's planes, and against each other."""

import numpy as np
import pytest
from helpers import ALL_DTYPES, name, same, small
from layer_cases import CASES, Case, by_scipy, cast, pads_and_count

from fastconv._reference import layers as twins


def arguments(case):
    """What the twins take beside arrays: start, count, stride, dilation, groups."""
    pads, count = pads_and_count(case)
    stride, dilation = (tuple(np.broadcast_to(value, 2).tolist()) for value in (case.stride, case.dilation))
    return tuple(-before for before, _ in pads), count, stride, dilation, case.groups


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_forward_is_a_sum_of_planes(case, rng):
    x, weight, _ = case.draw(rng, "i8")
    same(twins.forward(x, weight, *arguments(case)), by_scipy(case, x, weight))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gradients_are_adjoint(case, rng):
    x, weight, _ = case.draw(rng, "i8")
    start, count, stride, dilation, groups = arguments(case)
    y = twins.forward(x, weight, start, count, stride, dilation, groups)
    grad = small(rng, y.shape, "i8")
    to_input = twins.grad_input(x.shape, weight, grad, start, stride, dilation, groups)
    to_weight = twins.grad_weight(x, weight.shape, grad, start, stride, dilation, groups)
    assert (to_input.shape, to_weight.shape) == (x.shape, weight.shape)
    assert (y * grad).sum() == (x * to_input).sum() == (weight * to_weight).sum()


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_every_dtype(dtype, rng):
    case = Case("", (2, 4, 6, 5), (6, 2, 3, 2), (2, 1), ((1, 2), (0, 1)), (1, 2), 2, "drop")
    x, weight, _ = case.draw(rng, "u1" if dtype.kind in "bu" else "i4", 1 if dtype.kind == "b" else 3)
    y = by_scipy(case, x.astype(int), weight.astype(int))
    x, weight = (cast(a, dtype) for a in (x, weight))
    found = twins.forward(x, weight, *arguments(case))
    same(found, y.astype(bool if dtype.kind == "b" else dtype))


def test_integers_wrap_and_floats_overflow_in_silence():
    one = ((0, 0), (1, 1), (1, 1), (1, 1), 1)
    x, weight = np.full((1, 1, 1, 1), 200, np.uint8), np.full((1, 1, 1, 1), 3, np.uint8)
    assert twins.forward(x, weight, *one) == 600 % 256
    x, weight = np.full((1, 1, 1, 1), 3e38, np.float32), np.full((1, 1, 1, 1), 10, np.float32)
    assert np.isinf(twins.forward(x, weight, *one))


def test_a_nan_stays_within_its_windows():
    x = np.ones((1, 1, 5, 5))
    x[0, 0, 2, 2] = np.nan
    y = twins.forward(x, np.ones((1, 1, 3, 3)), (-1, -1), (5, 5), (1, 1), (1, 1), 1)
    spoiled = np.zeros((5, 5), bool)
    spoiled[1:4, 1:4] = True
    np.testing.assert_array_equal(np.isnan(y[0, 0]), spoiled)
