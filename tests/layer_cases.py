"""Convolution layers to test, in the spirit of oneDNN's lists, and their answers by SciPy's correlate2d."""

from decimal import Decimal
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy.signal
from helpers import small


class Case(NamedTuple):
    """A layer on pictures; `weight` is (K, C / groups, R, S)."""

    name: str
    input: tuple
    weight: tuple
    stride: object = 1
    padding: object = 0
    dilation: object = 1
    groups: int = 1
    remainder: str = "raise"

    @property
    def options(self):
        return {
            "stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups,
            "remainder": self.remainder,
        }  # fmt: skip

    @property
    def output(self):
        return self.input[0], self.weight[0], *pads_and_count(self)[1]

    def draw(self, rng, dtype="f8", top=3):
        """Input, weight and bias of small integers."""
        return [small(rng, shape, dtype, top) for shape in (self.input, self.weight, self.weight[:1])]


def cast(array, dtype):
    """The same small numbers in another dtype."""
    dtype = np.dtype(dtype)
    return np.vectorize(Decimal, otypes=[object])(array) if dtype.kind == "O" else array.astype(dtype)


CASES = [
    # what networks are made of
    Case("3x3", (2, 4, 9, 9), (8, 4, 3, 3), padding=1),
    Case("3x3, no padding", (2, 4, 9, 9), (8, 4, 3, 3)),
    Case("3x3, stride 2", (2, 4, 9, 9), (8, 4, 3, 3), stride=2, padding=1),
    Case("1x1", (2, 16, 5, 5), (8, 16, 1, 1)),
    Case("1x1, stride 2", (2, 16, 7, 7), (8, 16, 1, 1), stride=2),
    Case("1x1, padded", (1, 3, 4, 4), (2, 3, 1, 1), padding=2),
    Case("RGB, 7x7", (1, 3, 25, 25), (8, 3, 7, 7), stride=2, padding=3),
    Case("LeNet's first", (3, 1, 12, 12), (6, 1, 5, 5), padding=2),
    Case("LeNet's second", (3, 6, 9, 9), (16, 6, 5, 5)),
    Case("depthwise", (2, 7, 8, 9), (7, 1, 3, 3), padding=1, groups=7),
    Case("depthwise, two kernels each", (2, 5, 8, 9), (10, 1, 3, 3), padding=1, groups=5),
    Case("depthwise, stride 2", (1, 16, 9, 9), (16, 1, 3, 3), stride=2, padding=1, groups=16),
    Case("depthwise, 64 channels", (1, 64, 6, 6), (64, 1, 5, 5), padding=2, groups=64),
    Case("groups", (2, 6, 7, 7), (9, 2, 3, 3), padding=1, groups=3),
    Case("groups, 1x1", (1, 32, 3, 3), (48, 8, 1, 1), groups=4),
    Case("dilation", (1, 3, 11, 11), (4, 3, 3, 3), padding=2, dilation=2),
    Case("dilation 1 and 3, stride 2 and 1", (1, 3, 11, 11), (4, 3, 3, 3), (2, 1), (1, 3), (1, 3)),
    Case("1000 channels", (1, 1000, 2, 3), (5, 1000, 1, 1)),
    Case("into 1000 channels", (1, 5, 2, 3), (1000, 5, 2, 2)),
    Case("one channel into one", (1, 1, 17, 40), (1, 1, 3, 3)),
    # tails: around the widths of vectors and tiles, and primes
    *(Case(f"{k} kernels", (1, 3, 5, 7), (k, 3, 3, 3), padding=1) for k in (1, 2, 7, 8, 9, 15, 17, 31, 33, 65)),
    *(Case(f"{c} channels", (1, c, 5, 6), (6, c, 3, 3), padding=1) for c in (1, 2, 3, 5, 8, 13, 17, 37)),
    *(Case(f"width {w}", (1, 2, 4, w), (5, 2, 3, 3), padding=1) for w in (1, 2, 3, 5, 6, 7, 8, 13, 16, 19, 33)),
    *(Case(f"batch {n}", (n, 3, 4, 5), (7, 3, 2, 2)) for n in (1, 2, 3, 7)),
    Case("primes", (3, 7, 13, 11), (19, 7, 5, 3), (2, 3), ((2, 1), (3, 2)), remainder="drop"),
    Case("primes, 7x5", (1, 5, 23, 29), (11, 5, 7, 5), padding=(3, 2)),
    # few kernels, whose lanes are columns: blocks of them, phases, tiles of every depth
    Case("blocks of columns", (1, 20, 30, 70), (14, 20, 3, 3), padding=1),
    Case("one wide row", (1, 6, 1, 700), (3, 6, 1, 5), padding=(0, 2)),
    Case("groups of 16", (2, 32, 9, 33), (32, 16, 3, 3), padding=1, groups=2),
    Case("phases", (1, 5, 20, 31), (6, 5, 4, 3), (2, 3), (3, 1), (3, 2), remainder="drop"),
    Case("phases of 17 channels", (1, 17, 12, 70), (9, 17, 3, 3), 2, 1, remainder="drop"),
    *(Case(f"{k} kernels, wide", (1, 2, 6, 60), (k, 2, 3, 3), padding=1) for k in (*range(1, 15), 20, 25)),
    # kernels that are long, flat, even or as large as the picture
    Case("row", (2, 3, 5, 21), (4, 3, 1, 9), padding=(0, 4)),
    Case("column", (2, 3, 21, 5), (4, 3, 9, 1), padding=(4, 0)),
    Case("even", (1, 2, 8, 8), (3, 2, 4, 2), padding=((2, 1), (1, 0))),
    Case("11x11", (1, 2, 15, 15), (3, 2, 11, 11), padding=5),
    Case("as large as the picture", (2, 3, 6, 7), (5, 3, 6, 7)),
    Case("larger than the picture", (1, 2, 3, 4), (3, 2, 7, 9), padding=(2, 3)),
    # outputs of one pixel, strides beyond the kernel, padding beyond it
    Case("one pixel in, one out", (4, 9, 1, 1), (6, 9, 1, 1)),
    Case("one pixel out by stride", (1, 3, 5, 5), (4, 3, 3, 3), stride=7, remainder="drop"),
    Case("one row out", (1, 3, 3, 17), (4, 3, 3, 3), padding=(0, 1)),
    Case("stride beyond the kernel", (1, 3, 17, 17), (4, 3, 2, 2), stride=5),
    Case("stride beyond the kernel, 1x1", (2, 4, 13, 13), (3, 4, 1, 1), stride=(4, 6)),
    Case("large padding", (1, 2, 5, 5), (3, 2, 3, 3), padding=9),
    Case("padding larger than the kernel", (1, 2, 4, 4), (3, 2, 2, 2), stride=3, padding=5),
    Case("padding on one side", (1, 2, 6, 6), (3, 2, 3, 3), padding=((0, 4), (3, 0))),
    Case("nothing but padding", (1, 2, 0, 3), (3, 2, 3, 3), padding=(2, 1)),
    Case("dilation beyond the picture", (1, 2, 4, 4), (3, 2, 3, 3), padding=5, dilation=5),
    # padding by name, and remainders
    Case("same", (1, 2, 7, 8), (3, 2, 3, 4), padding="same"),
    Case("same, stride 2 and 3", (1, 2, 7, 8), (3, 2, 4, 3), stride=(2, 3), padding="same"),
    Case("same, dilation 2", (1, 2, 7, 8), (3, 2, 3, 2), padding="same", dilation=2),
    Case("valid", (1, 2, 7, 8), (3, 2, 3, 4), padding="valid"),
    Case("drop", (2, 2, 10, 12), (3, 2, 3, 3), stride=4, remainder="drop"),
    Case("pad", (2, 2, 10, 12), (3, 2, 3, 3), stride=4, remainder="pad"),
    Case("pad, padded", (1, 2, 8, 8), (3, 2, 2, 3), stride=3, padding=(1, 0), remainder="pad"),
]  # fmt: skip


# Every way that depthwise layers go: strips of one to several vectors, narrow planes that are turned, strides and their
# phases, blocks of rows and columns.
DEPTHWISE = [
    *(Case(f"width {w}, {r}x{s}", (1, 2, 9, w), (2, 1, r, s), padding=(r // 2, s // 2), groups=2)
      for w in (15, 33, 50, 64, 131) for r, s in ((3, 3), (5, 5), (7, 7), (3, 5), (7, 2), (2, 3))),
    Case("dilation", (2, 3, 23, 40), (3, 1, 3, 3), padding=(3, 2), dilation=(3, 2), groups=3),
    Case("dilation, no padding", (1, 2, 13, 70), (2, 1, 5, 3), dilation=(2, 1), groups=2),
    *(Case(f"{c} narrow planes", (2, c, 7, 7), (c, 1, 5, 5), padding=2, groups=c) for c in (17, 33, 150)),
    Case("tall planes", (1, 18, 300, 5), (18, 1, 3, 3), padding=1, groups=18),
    *(Case(f"stride {s}, {c} channels", (1, c, 20, 37), (c, 1, 3, 3), s, 1, groups=c, remainder="drop")
      for s in (2, 3, (1, 2), (2, 1), (5, 4)) for c in (3, 35)),
    Case("stride 2, wide", (1, 16, 40, 300), (16, 1, 5, 5), 2, 2, groups=16, remainder="drop"),
    Case("stride beyond the picture", (1, 20, 3, 4), (20, 1, 3, 3), 9, 1, groups=20, remainder="drop"),
    Case("stride beyond the kernel, dilated", (2, 17, 19, 23), (17, 1, 2, 2), 3, 0, 2, 17, "drop"),
]


def pads_and_count(case):
    """Zeros (before, after) each axis, and outputs along it: from the formula."""
    pads, count = [], []
    for axis in range(2):
        size, taps = case.input[2 + axis], case.weight[2 + axis]
        stride, dilation = (np.broadcast_to(value, 2)[axis] for value in (case.stride, case.dilation))
        span = dilation * (taps - 1) + 1
        if case.padding == "same":
            places = -(-size // stride)
            total = max((places - 1) * stride + span - size, 0)
            before, after = total // 2, total - total // 2
        else:
            padding = 0 if case.padding == "valid" else case.padding
            before, after = np.broadcast_to(np.broadcast_to(padding, 2)[axis] if np.ndim(padding) < 2
                                            else padding[axis], 2)  # fmt: skip
            room = size + before + after - span
            places = room // stride + 1
            if case.remainder == "pad" and room % stride and places * stride < size + before:
                places += 1
                after = after + places * stride
        pads.append((int(before), int(after)))
        count.append(int(places))
    return tuple(pads), tuple(count)


def by_scipy(case, x, weight, bias=None, flip=False):
    """The layer as a sum of SciPy's correlations of planes."""
    pads, count = pads_and_count(case)
    strides, dilations = (np.broadcast_to(value, 2) for value in (case.stride, case.dilation))
    k, c, *taps = weight.shape
    spread = np.zeros((k, c, *((t - 1) * d + 1 for t, d in zip(taps, dilations, strict=True))), weight.dtype)
    spread[:, :, :: dilations[0], :: dilations[1]] = weight[:, :, ::-1, ::-1] if flip else weight
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    y = np.zeros((len(x), k, *count), x.dtype)
    for n, kernel, channel in product(range(len(x)), range(k), range(c)):
        plane = padded[n, kernel // (k // case.groups) * c + channel]
        found = scipy.signal.correlate2d(plane, spread[kernel, channel], "valid")[:: strides[0], :: strides[1]]
        y[n, kernel] += found[: count[0], : count[1]]
    return y if bias is None else y + bias[:, None, None]
