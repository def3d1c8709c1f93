"""Networks sort, merge and select; programs say the same, in few rows and with nothing in vain."""

from itertools import product

import numpy as np
import pytest

from fastconv._plan import network
from fastconv._plan.network import Network


def run(program, rows):
    """What a program leaves in its rows, as the kernel runs it: an exchange reads before it writes."""
    width = rows.shape[1]
    values = np.full((program.rows, 2 * width), 99)
    values[: program.inputs, :width] = rows
    for low, high, a, shift_a, b, shift_b in program.steps:
        a, b = values[a, shift_a : shift_a + width].copy(), values[b, shift_b : shift_b + width].copy()
        assert max(low, high) >= 0
        for to, extreme in ((low, np.minimum), (high, np.maximum)):
            if to >= 0:
                assert to >= program.inputs
                values[to, :width] = extreme(a, b)
    return values[program.results, :width]


def column(net):
    return [(row, 0) for row in range(net.inputs)]


@pytest.mark.parametrize("n", range(1, 14))
def test_sort(n):
    """A network sorts if it sorts every row of zeros and ones."""
    net = Network(n)
    ordered = net.sort(column(net))
    bits = np.array(list(product([0, 1], repeat=n))).T
    program = net.program(ordered)
    np.testing.assert_array_equal(run(program, bits), np.sort(bits, 0))
    known = {1: 0, 2: 1, 3: 3, 4: 5, 5: 9, 6: 12, 7: 16, 8: 19}  # the fewest there can be
    assert len(program.steps) == known.get(n, len(program.steps))


@pytest.mark.parametrize(("n", "m"), list(product(range(8), repeat=2)))
def test_merge_and_select(n, m):
    net = Network(n + m)
    values = column(net)
    merged = net.merge(values[:n], values[n:])
    ranks = [net.select(values[:n], values[n:], rank) for rank in range(n + m)]
    bits = np.array([[i < a for i in range(n)] + [i < b for i in range(m)] for a in range(n + 1) for b in range(m + 1)])
    bits = 1 - bits.T.astype(int)  # all pairs of sorted lists of zeros and ones
    if n + m:
        expected = np.sort(bits, 0)
        np.testing.assert_array_equal(run(net.program(merged), bits), expected)
        np.testing.assert_array_equal(run(net.program(ranks), bits), expected)


def windows(rows, shape, footprint, group=1):
    """What a footprint sees at each column, along the first axis."""
    _, high, wide = shape
    reach = rows.shape[1] - (wide - 1) * group
    return np.stack([
        rows[s * high + p, q * group : q * group + reach]
        for s, p, q in np.argwhere(np.frombuffer(footprint, bool).reshape(shape))
    ])  # fmt: skip


SHAPES = [(1, 3, 3), (1, 5, 5), (1, 1, 8), (1, 7, 1), (1, 2, 6), (2, 2, 3), (3, 3, 3), (1, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_ranked(shape, rng):
    full = np.ones(shape, bool).tobytes()
    holes = rng.random(shape) < 0.6
    holes[0, 0, 0] = True
    rows = rng.integers(0, 50, (shape[0] * shape[1], 40))
    for footprint, group in product((full, holes.tobytes()), (1, 3)):
        held = windows(rows, shape, footprint, group)
        for rank in range(len(held)):
            program = network.ranked(footprint, shape, rank, group)
            expected = np.sort(held, 0)[rank]
            np.testing.assert_array_equal(run(program, rows)[0, : len(expected)], expected)


@pytest.mark.parametrize("shape", [(1, 3, 3), (1, 1, 30), (1, 9, 1), (1, 5, 13), (2, 3, 4)])
def test_largest(shape, rng):
    for density in (0.3, 0.8):
        footprint = rng.random(shape) < density
        footprint[0, 0, 0] = True
        program = network.largest(footprint.tobytes(), shape, 2)
        sections, high, _ = shape
        together = len(program.results)
        rows = rng.integers(0, 99, (sections, high + together - 1, 80))
        results = run(program, rows.reshape(-1, 80))
        for below in range(together):
            held = windows(rows[:, below : below + high].reshape(-1, 80), shape, footprint.tobytes(), 2)
            np.testing.assert_array_equal(results[below, : held.shape[1]], held.max(0))


def test_what_neighbours_share_is_computed_once():
    """3 x 3: three exchanges sort a column, once for the three windows that hold it. Fewer than 20 are left."""
    full = np.ones((1, 3, 3), bool).tobytes()
    median = network.ranked(full, (1, 3, 3), 4, 1)
    assert median.cost <= 22
    assert median.rows - median.inputs <= 7
    assert network.ranked(np.ones((1, 5, 5), bool).tobytes(), (1, 5, 5), 12, 1).cost <= 90
