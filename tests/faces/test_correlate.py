"""What of NumPy's face is correlate's alone: order of the inputs, subclasses, refusal of plain numbers."""

import warnings
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from helpers import COMPLEX, MODES, name, same, small

import fastconv


class Tagged(np.ndarray):
    """A subclass that remembers where it comes from, and that wins over ndarray."""

    __array_priority__ = 10

    def __array_finalize__(self, parent):
        self.tag = getattr(parent, "tag", None)


class Minor(np.ndarray):
    __array_priority__ = -10


def tagged(array, tag):
    array = np.asarray(array).view(Tagged)
    array.tag = tag
    return array


@pytest.mark.parametrize("dtype", COMPLEX, ids=name)
def test_exchanging_the_inputs_reverses_and_conjugates(dtype, rng):
    for n, k in ((5, 3), (3, 5), (4, 4), (1, 6)):
        a, v = small(rng, n, dtype), small(rng, k, dtype)
        same(fastconv.correlate(a, v, "full"), fastconv.correlate(v, a, "full").conj()[::-1], (n, k))
        same(fastconv.correlate(a, v, "valid"), fastconv.correlate(v, a, "valid").conj()[::-1], (n, k))
        for mode in MODES:
            same(fastconv.correlate(a, v, mode), np.correlate(a, v, mode), (n, k, mode))


def test_same_of_an_even_kernel_is_centred_as_in_numpy():
    for n, k in ((4, 4), (4, 2), (2, 4), (5, 4), (4, 5)):
        a, v = np.arange(1, n + 1), 10 ** np.arange(k)
        same(fastconv.correlate(a, v, "same"), np.correlate(a, v, "same"), (n, k))


def test_the_default_is_valid():
    same(fastconv.correlate([1, 2, 3], [0, 1, 0.5]), np.array([3.5]))


def test_objects_are_not_conjugated():
    a = np.array([Fraction(1, 3), Fraction(2, 3), Fraction(5, 7)], object)
    v = np.array([1 + 2j, 3 - 1j], object)
    for mode in MODES:
        same(fastconv.correlate(a, a[:2], mode), np.correlate(a, a[:2], mode), mode)
        numbers = np.array([1, 2, 3], object)
        same(fastconv.correlate(numbers, v, mode), np.correlate(numbers, v, mode), mode)
        same(fastconv.correlate(v, numbers, mode), np.correlate(v, numbers, mode), mode)


def test_a_number_is_refused():
    for a, v in [(3, 4), (3, [4]), ([3, 1], 4), (np.array(3), [4])]:
        with pytest.raises(ValueError):
            np.correlate(a, v)
        with pytest.raises(ValueError, match=r"0-D|0 dim|\(\)|scalar"):
            fastconv.correlate(a, v)


def test_a_subclass_is_kept_by_correlate_alone():
    plain, special = np.array([1.0, 2, 3]), tagged([1.0, 2], "special")
    for a, v in [(plain, special), (special, plain), (special, special)]:
        for mode in MODES:
            result, expected = fastconv.correlate(a, v, mode), np.correlate(a, v, mode)
            assert type(result) is type(expected) is Tagged
            assert result.tag == expected.tag == "special"
            np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))
            same(fastconv.convolve(a, v, mode), np.convolve(a, v, mode))
            assert type(fastconv.convolve(a, v, mode)) is np.ndarray


def test_of_two_subclasses_the_one_of_higher_priority_wins():
    special, minor, plain = tagged([1.0, 2, 3], "special"), np.array([1.0, 2]).view(Minor), np.ones(3)
    for a, v in product([special, minor, plain], repeat=2):
        result, expected = fastconv.correlate(a, v, "full"), np.correlate(a, v, "full")
        assert type(result) is type(expected)
        assert getattr(result, "tag", None) == getattr(expected, "tag", None)


def test_masks_are_ignored():
    masked = np.ma.array([1, 2, 3], mask=[True, False, False])
    same(fastconv.convolve(masked, [1, 2]), np.array([1, 4, 7, 6]))
    result, expected = fastconv.correlate(masked, [1, 2], "full"), np.correlate(masked, [1, 2], "full")
    assert type(result) is type(expected)
    np.testing.assert_array_equal(result.data, expected.data)


def test_a_matrix_has_two_dimensions_for_ever():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        matrix = np.matrix([1, 2])
        for a, v in [(matrix, [1]), ([1], matrix)]:
            for function in (np.convolve, fastconv.convolve, np.correlate, fastconv.correlate):
                with pytest.raises(ValueError):
                    function(a, v)
