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
            self.high((a[i - 1],) * (i > 0) + (b[count - i - 1],) * (i < count))
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
