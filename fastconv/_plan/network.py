"""Straight-line programs of minima and maxima on rows: a rank of a window for all columns at once.

A program is a list of exchanges ``lo, hi = min(a, b), max(a, b)`` of whole rows, the first of which are the
input's. An operand may be read some columns further on: what a window computed is what its neighbour to the
right needs, too. So a value is written as a node and a shift, equal values are recognized whatever their shift,
and columns are sorted once for all the windows that hold them. What the result does not need is left out.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

_TOGETHER = 4  # rows of output that maxima of a footprint are computed for: they share what is done along a row

Ref = tuple[int, int]  # a value, and how many columns further on


class Program(NamedTuple):
    """What the kernel runs."""

    steps: np.ndarray  # (n, 6) of int32: lo, hi (-1: not needed), a, shift of a, b, shift of b
    results: np.ndarray  # (T,) of int32: where the results of T output rows are
    inputs: int  # rows that are given; the values of the steps follow them
    rows: int  # rows in all

    @property
    def cost(self) -> float:
        """Minima and maxima for a row of output."""
        return int((self.steps[:, :2] >= 0).sum()) / len(self.results)


class Network:
    """Builds a program from exchanges."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.exchanges: list[tuple[int, int, int, int]] = []
        self._known: dict[tuple[int, int, int, int], int] = {}

    def exchange(self, a: Ref, b: Ref) -> tuple[Ref, Ref]:
        """The smaller and the larger of two."""
        if a == b:
            return a, b
        shift = min(a[1], b[1])
        a, b = sorted(((a[0], a[1] - shift), (b[0], b[1] - shift)))
        number = self._known.setdefault((*a, *b), len(self.exchanges))
        if number == len(self.exchanges):
            self.exchanges.append((*a, *b))
        low = self.inputs + 2 * number
        return (low, shift), (low + 1, shift)

    def low(self, values: Iterable[Ref]) -> Ref:
        return reduce(lambda a, b: self.exchange(a, b)[0], values)

    def high(self, values: Iterable[Ref]) -> Ref:
        return reduce(lambda a, b: self.exchange(a, b)[1], values)

    def merge(self, a: Sequence[Ref], b: Sequence[Ref]) -> list[Ref]:
        """Two sorted lists as one: Batcher's odd-even merge, for any two lengths."""
        if not a or not b:
            return [*a, *b]
        if len(a) == len(b) == 1:
            return list(self.exchange(a[0], b[0]))
        even, odd = self.merge(a[::2], b[::2]), self.merge(a[1::2], b[1::2])
        merged = even[:1]
        for pair in zip(odd, even[1:], strict=False):
            merged += self.exchange(*pair)
        return merged + odd[len(even) - 1 :] + even[len(odd) + 1 :]

    def sort(self, values: Sequence[Ref]) -> list[Ref]:
        if len(values) < 2:
            return list(values)
        half = len(values) // 2
        return self.merge(self.sort(values[:half]), self.sort(values[half:]))

    def select(self, a: Sequence[Ref], b: Sequence[Ref], rank: int) -> Ref:
        """The value of a rank in two sorted lists: among its rank + 1 smallest are i of a and the rest of b."""
        count = rank + 1
        return self.low(
            self.high([*a[max(i - 1, 0) : i], *b[max(count - i - 1, 0) : count - i]])
            for i in range(max(0, count - len(b)), min(count, len(a)) + 1)
        )

    def program(self, results: Sequence[Ref]) -> Program:
        """The steps that lead to the results, their values in as few rows as can be."""
        needed = {value for value, _ in results}
        steps = []
        for number in range(len(self.exchanges) - 1, -1, -1):
            low = self.inputs + 2 * number
            if low in needed or low + 1 in needed:
                a, shift_a, b, shift_b = self.exchanges[number]
                # seen backward, the first use is the last
                ends = [value for value in {a, b} if value >= self.inputs and value not in needed]
                needed |= {a, b}
                steps.append((low, a, shift_a, b, shift_b, ends))
        place = {value: value for value in range(self.inputs)}
        free: list[int] = []
        rows = self.inputs
        table = []
        for low, a, shift_a, b, shift_b, ends in reversed(steps):
            read = place[a], shift_a, place[b], shift_b
            free += [place[value] for value in ends]
            for value in (low, low + 1):
                if value in needed:
                    if not free:
                        free.append(rows)
                        rows += 1
                    place[value] = free.pop()
            table.append((place.get(low, -1), place.get(low + 1, -1), *read))
        return Program(
            np.array(table, np.int32).reshape(-1, 6), np.array([place[value] for value, _ in results], np.int32),
            self.inputs, rows,
        )  # fmt: skip


def _half(n: int) -> int:
    """The largest power of 2 below n."""
    return 1 << (n - 1).bit_length() - 1


def ranked(footprint: bytes, shape: tuple[int, int, int], rank: int, group: int) -> Program:
    """The program for the rank-th smallest of what a footprint, (sections, rows, columns), holds.

    Each column is sorted, then the columns are merged two by two, and the last two lists need no merging.
    """
    sections, rows, columns = shape
    taps = np.frombuffer(footprint, bool).reshape(sections * rows, columns)

    def program(split: int) -> Program:
        net = Network(len(taps))

        def joined(first: int, last: int) -> list[Ref]:
            if last - first == 1:
                return net.sort([(int(row), first * group) for row in np.flatnonzero(taps[:, first])])
            half = _half(last - first)
            return net.merge(joined(first, first + half), joined(first + half, last))

        if columns == 1:
            column = [(int(row), 0) for row in np.flatnonzero(taps)]
            first, second = net.sort(column[: len(column) // 2]), net.sort(column[len(column) // 2 :])
        else:
            first, second = joined(0, split), joined(split, columns)
        return net.program([net.select(first, second, rank)])

    splits = {_half(columns), columns - 1} if columns > 1 else {0}
    return min((program(split) for split in sorted(splits)), key=lambda found: found.cost)


def largest(footprint: bytes, shape: tuple[int, int, int], group: int) -> Program:
    """The program for the largest of what a footprint, (sections, rows, columns), holds.

    Along a row, windows of 1, 2, 4 ... pixels serve all runs of the footprint: two of them cover any run.
    """
    sections, rows, _ = shape
    taps = np.frombuffer(footprint, bool).reshape(shape)
    together = _TOGETHER if rows > 1 else 1
    high = rows + together - 1
    net = Network(sections * high)

    def window(row: int, first: int, length: int) -> Ref:
        if length == 1:
            return row, first * group
        return net.high(window(row, first + at, length // 2) for at in (0, length // 2))

    edges = np.diff(taps.astype(np.int8), axis=2, prepend=0, append=0)
    starts, ends = (np.argwhere(edges == way) for way in (1, -1))
    results = []
    for below in range(together):
        runs = []
        for (section, row, first), last in zip(starts.tolist(), ends[:, 2].tolist(), strict=True):
            length = _half(last - first + 1)
            runs += [window(section * high + row + below, at, length) for at in sorted({first, last - length})]
        results.append(net.high(runs))
    return net.program(results)
