"""Pools against their definition, tap by tap, and against NumPy's windows; and what they refuse."""

import functools
from itertools import product

import numpy as np
import pytest
from helpers import ALL_DTYPES, COMPLEX, INTEGERS, layouts, name, same, small

from fastconv import ShapeError, nn
from fastconv._plan import pools
from fastconv._plan.sizes import windows
from fastconv._reference import pools as twins

ORDERED = [dtype for dtype in ALL_DTYPES if dtype.kind != "c"]

# size, kernel, stride, padding, dilation: tails, one-pixel outputs, large padding, strides beyond the kernel, primes
AXES = [
    (1, 1, 1, 0, 1), (2, 2, 2, 0, 1), (7, 3, 2, 1, 1), (8, 2, 2, 0, 1), (13, 3, 1, 1, 1), (16, 3, 2, (0, 1), 1),
    (17, 4, 3, (2, 3), 1), (19, 3, 2, 2, 2), (23, 5, 2, (4, 0), 1), (29, 2, 5, 0, 3), (31, 3, 2, 1, 1),
    (37, 7, 1, 3, 2), (40, 2, 2, (0, 2), 1), (41, 3, 2, 0, 1), (67, 3, 2, (1, 0), 1), (64, 2, 2, 0, 1),
    (70, 4, 4, 1, 1),
]  # fmt: skip


def of(axis, remainder):
    size, kernel, stride, padding, dilation = axis
    padding = padding if isinstance(padding, tuple) else (padding, padding)
    return windows([size], kernel, stride, [padding], dilation, remainder)[0]


def places(axis):
    return twins.windows(axis.size, axis.kernel, axis.stride, axis.dilation, axis.before, axis.output)


def seen(axis):
    """The number of samples, and with those in the padding, that each window sees; what overhangs never counts."""
    taps = [i * axis.stride + axis.dilation * np.arange(axis.kernel) for i in range(axis.output)]
    padded = np.array([(t < axis.before + axis.size + axis.after).sum() for t in taps])
    return np.array([len(p) for p in places(axis)]), padded


def arguments(*axes):
    return {
        "kernel_size": [a.kernel for a in axes],
        "stride": [a.stride for a in axes],
        "padding": [(a.before, a.after) for a in axes],
        "dilation": [a.dilation for a in axes],
    }


def shaped(x, layout):
    """Channels-first planes in a layout."""
    return np.moveaxis(x, 1, -1).copy() if layout in ("NHWC", "NWC") else x


class Answers:
    """What the twins say of one plane of whole numbers, once for all layouts and dtypes."""

    def __init__(self, rows, columns, rng, lead):
        at = places(rows), places(columns)
        self.x = small(rng, (*lead, rows.size, columns.size), "i8", 50)
        self.sums = twins.sums(self.x, *at)
        self.squares = twins.sums(self.x**2, *at)
        self.inside, self.padded = (np.multiply.outer(*pair) for pair in zip(seen(rows), seen(columns), strict=True))
        if self.inside.all():
            self.max, self.min = (twins.extreme(self.x, *at, largest) for largest in (True, False))


@functools.cache
def planes_and_answers(remainder):
    rng = np.random.default_rng(1)
    pairs = [(of(axis, remainder), of(AXES[5 * i % len(AXES)], remainder)) for i, axis in enumerate(AXES)]
    return [(arguments(*pair), Answers(*pair, rng, (2, 40))) for pair in pairs]


@functools.cache
def lines_and_answers(remainder):
    rng = np.random.default_rng(2)
    axes = [*AXES, (500, 3, 2, 1, 1), (1501, 3, 1, 1, 1), (1500, 2, 2, 0, 1), (3000, 9, 7, 4, 3)]
    one = windows([1], 1, 1, 0, 1, "raise")[0]
    axes = [of(axis, remainder) for axis in axes]
    return [(arguments(axis), Answers(one, axis, rng, (2, 40))) for axis in axes]


def check(answers, options, channels, layout, dtype, pools):
    """All pools of some of the channels."""
    last, real = layout[-1] == "C", np.dtype(dtype).type
    space = len(layout) - 2

    def part(a):
        a = a[:, :channels].reshape(2, channels, *a.shape[-space:])
        return np.moveaxis(a, 1, -1).copy() if last else a

    x = part(answers.x).astype(dtype)
    sums = part(answers.sums).astype(dtype)
    padded, inside = (part(np.broadcast_to(n, (2, 40, *n.shape))) for n in (answers.padded, answers.inside))
    same(pools["sum"](x, **options), sums)
    same(pools["avg"](x, **options), sums / padded.astype(dtype))
    same(pools["lp"](x, 2, **options), np.sqrt(part(answers.squares).astype(dtype)))
    if space == 2:
        same(pools["avg"](x, **options, divisor_override=4), sums / real(4))
    if not answers.inside.all():
        for refuses in (pools["max"], pools["min"], functools.partial(pools["avg"], count_include_pad=False)):
            with pytest.raises(ShapeError, match="sees nothing but padding"):
                refuses(x, **options)
        return
    same(pools["avg"](x, **options, count_include_pad=False), sums / inside.astype(dtype))
    for which in ("max", "min"):
        values, indices = map(part, getattr(answers, which))
        same(pools[which](x, **options), values.astype(dtype))
        found = pools[which](x, **options, return_indices=True)
        same(found[0], values.astype(dtype))
        same(found[1], indices)


POOLS = [{kind: getattr(nn, f"{kind}_pool{d}d") for kind in ("max", "min", "sum", "avg", "lp")} for d in (1, 2)]


@pytest.mark.parametrize("remainder", ["drop", "pad"])
@pytest.mark.parametrize(("layout", "channels"), [("NCHW", 3), ("NHWC", 1), ("NHWC", 3), ("NHWC", 21), ("NHWC", 40)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_two_dimensions_are_their_definition(layout, channels, dtype, remainder):
    for options, answers in planes_and_answers(remainder):
        check(answers, {**options, "layout": layout, "remainder": remainder}, channels, layout, dtype, POOLS[1])


@pytest.mark.parametrize("remainder", ["drop", "pad"])
@pytest.mark.parametrize(("layout", "channels"), [("NCW", 5), ("NWC", 1), ("NWC", 4), ("NWC", 33)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_one_dimension_is_its_definition(layout, channels, dtype, remainder):
    for options, answers in lines_and_answers(remainder):
        check(answers, {**options, "layout": layout, "remainder": remainder}, channels, layout, dtype, POOLS[0])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_adaptive_windows_cut_planes_into_parts(layout, rng):
    for size, count in product([(1, 1), (7, 7), (8, 30), (13, 29), (5, 200)], [1, (3, 2), (None, 5), (17, 40), 0]):
        x = small(rng, (2, 20, *size), "f8", 50)
        wanted = count if isinstance(count, tuple) else (count, count)
        wanted = [n if c is None else c for n, c in zip(size, wanted, strict=True)]
        at = [twins.adaptive_windows(n, c) for n, c in zip(size, wanted, strict=True)]
        counts = np.multiply.outer(*([len(p) for p in axis] for axis in at)).reshape(wanted)
        expected = twins.sums(x, *at) / counts
        same(nn.adaptive_avg_pool2d(shaped(x, layout), count, layout=layout), shaped(expected, layout), (size, count))
        values, indices = twins.extreme(x, *at, True)
        found = nn.adaptive_max_pool2d(shaped(x, layout), count, True, layout=layout)
        same(found[0], shaped(values, layout), (size, count))
        same(found[1], shaped(indices, layout), (size, count))
        same(nn.adaptive_max_pool2d(shaped(x, layout), count, layout=layout), shaped(values, layout), (size, count))
    lines = small(rng, (2, 20, 31), "f8")
    at = [np.arange(1)], twins.adaptive_windows(31, 4)
    values, indices = (a[:, :, 0] for a in twins.extreme(lines[:, :, None], *at, True))
    means = (twins.sums(lines[:, :, None], *at) / [len(p) for p in at[1]])[:, :, 0]
    kind = layout.replace("H", "")
    found = nn.adaptive_max_pool1d(shaped(lines, kind), 4, True, layout=kind)
    same(found[0], shaped(values, kind))
    same(found[1], shaped(indices, kind))
    same(nn.adaptive_avg_pool1d(shaped(lines, kind), 4, layout=kind), shaped(means, kind))


def check_order(x, k, stride):
    """Maximum and minimum, with and without indices, in both layouts."""
    axes = [of((n, k, stride, 1, 1), "drop") for n in x.shape[2:]]
    for pool, largest in ((nn.max_pool2d, True), (nn.min_pool2d, False)):
        values, indices = twins.extreme(x, *map(places, axes), largest)
        for layout in ("NCHW", "NHWC"):
            options = {"stride": stride, "padding": 1, "layout": layout, "remainder": "drop"}
            same(pool(shaped(x, layout), k, **options), shaped(values, layout))
            found = pool(shaped(x, layout), k, **options, return_indices=True)
            same(found[0], shaped(values, layout))
            same(found[1], shaped(indices, layout))


@pytest.mark.parametrize("dtype", ORDERED, ids=name)
def test_order_in_every_dtype(dtype, rng):
    for size, k, stride in product([(5, 6), (3, 41)], [2, 3], [1, 2]):
        x = small(rng, (2, 3, *size), dtype, 100)
        if dtype.kind in "iu":
            x[0, 0, :2, :2] = np.iinfo(dtype).max - np.arange(4).reshape(2, 2).astype(dtype)
            x[0, 1, :2, :3] = np.iinfo(dtype).min
        check_order(x, k, stride)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=name)
def test_sums_in_every_dtype(dtype, rng):
    wide = {"b": np.int64, "i": np.int64, "u": np.uint64}.get(dtype.kind, dtype)
    for layout, size, k in product(["NCHW", "NHWC"], [(5, 6), (7, 41)], [2, 3]):
        x = small(rng, (2, 3, *size), dtype)
        if dtype in INTEGERS:
            x[0, 0] = np.iinfo(dtype).max
        axes = [of((n, k, 2, 1, 1), "drop") for n in size]
        with np.errstate(all="ignore"):
            sums = twins.sums(x.astype(wide), *map(places, axes))
        options = {"stride": 2, "padding": 1, "layout": layout, "remainder": "drop"}
        same(nn.sum_pool2d(shaped(x, layout), k, **options), shaped(sums, layout))
        if dtype.kind not in "O":
            mean = nn.avg_pool2d(shaped(x, layout), k, **options)
            exact = twins.sums(x.astype(np.float64 if dtype.kind in "biu" else dtype), *map(places, axes)) / k**2
            assert mean.dtype == (np.float64 if dtype.kind in "biu" else dtype)
            np.testing.assert_allclose(mean, shaped(exact, layout), rtol=2 * np.finfo(mean.dtype).eps)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_nan_goes_through_and_the_last_one_is_found(dtype, rng):
    for k, stride in product([2, 3, 4], [1, 2, 3]):
        x = small(rng, (1, 9, 7, 41 if dtype in ("f4", "f8") else 5), dtype)
        x[rng.random(x.shape) < 0.05] = np.nan
        x[rng.random(x.shape) < 0.05] = np.inf
        x[rng.random(x.shape) < 0.1] = -np.inf
        x[0, 3], x[0, 4], x[0, 5] = -np.inf, np.nan, np.inf
        check_order(x, k, stride)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", "i8", "u8", "?", "f2", "c8", "g"])
def test_values_decide_not_how_they_lie_in_memory(dtype, rng):
    x = small(rng, (2, 3, 5, 6 if dtype == "g" else 40), dtype)
    for layout, kind in product(["NCHW", "NHWC"], layouts(dtype)):
        given = layouts(dtype)[kind](shaped(x, layout))
        options = {"layout": layout, "padding": 1, "remainder": "drop"}
        pools = [nn.sum_pool2d] if dtype == "c8" else [nn.max_pool2d, nn.sum_pool2d]
        for pool, stride in product(pools, [1, 2]):
            expected = pool(shaped(x, layout), 3, stride, **options)
            same(pool(given, 3, stride, **options), expected, (layout, kind))
            if kind not in ("read-only", "byteswapped"):
                out = layouts(dtype)[kind](np.zeros_like(expected))
                assert pool(given, 3, stride, **options, out=out) is out
                np.testing.assert_array_equal(out, expected)
        if dtype != "c8":
            expected = nn.max_pool2d(shaped(x, layout), 3, 2, **options, return_indices=True)
            for a, b in zip(nn.max_pool2d(given, 3, 2, **options, return_indices=True), expected, strict=True):
                same(a, b, (layout, kind))


def test_channels_first_that_lie_last_in_memory(rng):
    """What other libraries call channels_last."""
    x = small(rng, (3, 20, 20, 12), "f4")
    view = x.transpose(0, 3, 1, 2)
    same(nn.max_pool2d(view, 2), nn.max_pool2d(view.copy(), 2))
    same(nn.avg_pool2d(view[:, ::-2, ::-1], 2), nn.avg_pool2d(view[:, ::-2, ::-1].copy(), 2))


@pytest.mark.parametrize("pool", [nn.max_pool2d, nn.min_pool2d, nn.avg_pool2d, nn.sum_pool2d])
def test_planes_without_batch_or_channels(pool, rng):
    x = small(rng, (2, 5, 8, 10), "f8")
    expected = pool(x, 2)
    same(pool(x[1], 2), expected[1])
    same(pool(x[1, 3], 2), expected[1, 3])
    last = np.moveaxis(x, 1, -1)
    same(pool(last[1], 2, layout="NHWC"), np.moveaxis(expected[1], 0, -1))
    same(pool(last[1, ..., 3], 2, layout="NHWC"), expected[1, 3])
    same(pool(x[1, 3].tolist(), 2), expected[1, 3])
    line = {"max": nn.max_pool1d, "min": nn.min_pool1d, "avg": nn.avg_pool1d, "sum": nn.sum_pool1d}[pool.__name__[:3]]
    rows = line(x[0], 2)  # (C, H, W) as (N, C, W)
    same(line(x[0, 0], 2), rows[0])
    same(line(x[0, 0, 0], 2), rows[0, 0])
    same(line(np.moveaxis(x[0], 1, -1), 2, layout="NWC"), np.moveaxis(rows, 1, -1))
    same(line(x[0, 0].T, 2, layout="NWC"), rows[0].T)
    same(line(x[0, 0, 0], 2, layout="NWC"), rows[0, 0])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_any_number_of_workers_gives_the_same_bits(dtype, rng):
    for layout, shape in [("NCHW", (3, 17, 61, 67)), ("NHWC", (5, 61, 67, 18)), ("NHWC", (2, 99, 300, 3))]:
        x = rng.standard_normal(shape).astype(dtype)
        for pool, (k, stride) in product(
            (nn.max_pool2d, nn.avg_pool2d, nn.sum_pool2d), [(2, 2), (3, 2), (3, 1), (5, 3), ((7, 1), 4)]
        ):
            options = {"layout": layout, "remainder": "drop"}
            alone = pool(x, k, stride, **options, workers=1)
            for workers in (2, 3, 7):
                same(pool(x, k, stride, **options, workers=workers), alone)
        same(
            nn.max_pool2d(x, 3, 2, **options, return_indices=True, workers=3)[1],
            nn.max_pool2d(x, 3, 2, **options, return_indices=True, workers=1)[1],
        )
        same(nn.lp_pool2d(x, 3, 3, 2, **options, workers=3), nn.lp_pool2d(x, 3, 3, 2, **options, workers=1))


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i8"])
def test_small_planes_and_whole_ones(dtype, rng):
    """Short rows and whole planes, of arrays that end where they end and of views with gaps."""
    for h, w in ((1, 1), (3, 5), (7, 7), (8, 16), (14, 14), (5, 33), (28, 28)):
        full = small(rng, (3, 23, h, w), dtype, 50)
        for x in (full, np.pad(full, ((0, 0), (0, 1), (0, 1), (0, 3)))[:, :-1, :-1, :-3]):
            for planes in (x, x[-1:, -1:]):
                same(nn.adaptive_max_pool2d(planes, 1), planes.max((2, 3), keepdims=True))
                same(nn.sum_pool2d(planes, (h, w)), planes.sum((2, 3), keepdims=True))
                same(nn.min_pool2d(planes, (1, w)), planes.min(3, keepdims=True))
                for workers in (1, 3):
                    found = nn.max_pool2d(planes, 2, 2, remainder="pad", workers=workers)
                    outside = np.pad(planes, ((0, 0), (0, 0), (0, h % 2), (0, w % 2)), "edge")
                    same(found, outside.reshape(*planes.shape[:2], -(-h // 2), 2, -(-w // 2), 2).max((3, 5)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_small_planes_under_windows_far_apart(dtype, rng):
    """Parts that are not equal, and long strides; planes that fill vectors, and one alone, which gives the same."""
    x = rng.standard_normal((2, 19, 13, 14)).astype(dtype)
    for pool in (nn.adaptive_avg_pool2d, nn.avg_pool2d, functools.partial(nn.lp_pool2d, norm_type=2)):
        options = {"output_size": (5, 3)} if pool is nn.adaptive_avg_pool2d else {
            "kernel_size": 5, "stride": 3, "padding": 1, "remainder": "drop"
        }
        same(pool(x, **options)[1:, 7:8], pool(x[1:, 7:8], **options))
    for (h, w), (i, j), workers in product([(7, 7), (13, 14), (9, 30)], [(3, 2), (5, 5), (1, 3)], [1, 3]):
        full = small(rng, (3, 23, h, w), dtype, 50)
        for x in (full, np.pad(full, ((0, 0), (0, 1), (0, 1), (0, 3)))[:, :-1, :-1, :-3], full[:1, :1]):
            parts = twins.adaptive_windows(h, i), twins.adaptive_windows(w, j)
            counts = np.multiply.outer(*([len(part) for part in axis] for axis in parts)).astype(dtype)
            same(nn.adaptive_max_pool2d(x, (i, j), workers=workers), twins.extreme(x, *parts, True)[0])
            same(nn.adaptive_avg_pool2d(x, (i, j), workers=workers), twins.sums(x, *parts) / counts)
            options = {"stride": 3, "padding": 1, "remainder": "drop", "workers": workers}
            spans = [twins.windows(n, 3, 3, 1, 1, (n - 1) // 3 + 1) for n in (h, w)]
            same(nn.min_pool2d(x, 3, **options), twins.extreme(x, *spans, False)[0])
            same(nn.sum_pool2d(x, 3, **options), twins.sums(x, *spans))
            same(nn.lp_pool2d(x, 2, 3, **options), np.sqrt(twins.sums(x**2, *spans)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_averages_stay_within_the_bound_of_the_sum(dtype, rng):
    x = rng.standard_normal((2, 5, 64, 70)).astype(dtype)
    eps = np.finfo(dtype).eps
    for k, stride in product([2, 3, 8], [1, 2, 3]):
        view = np.lib.stride_tricks.sliding_window_view(x.astype("f8"), (k, k), (2, 3))[:, :, ::stride, ::stride]
        for layout in ("NCHW", "NHWC"):
            y = nn.avg_pool2d(shaped(x, layout), k, stride, layout=layout, remainder="drop")
            error = np.abs(y - shaped(view.mean((-2, -1)), layout))
            assert (error <= (k * k + 1) * eps * shaped(np.abs(view).mean((-2, -1)), layout)).all()


def test_an_out_that_overlaps_the_input(rng):
    x = small(rng, (2, 3, 20, 20), "f4")
    expected = nn.max_pool2d(x, 3, 1, 1)
    nn.max_pool2d(x, 3, 1, 1, out=x)
    same(x, expected)


def test_inputs_are_left_alone_and_need_not_be_writable(rng):
    x = small(rng, (2, 3, 20, 20), "f4")
    x.flags.writeable = False
    before = x.copy()
    for pool in (nn.max_pool2d, nn.avg_pool2d, nn.sum_pool2d):
        pool(x, 2)
    nn.lp_pool2d(x, 3, 2)
    same(x, before)


def test_norms(rng):
    x = np.abs(rng.standard_normal((2, 3, 9, 12)))
    view = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (2, 3))[:, :, ::2, ::2]
    for power in (0.5, 1, 1.5, 2, 3, 4, -1):
        expected = (view**power).sum((-2, -1)) ** (1 / power)
        np.testing.assert_allclose(nn.lp_pool2d(x, power, (3, 2), 2), expected, rtol=1e-13)
    same(nn.lp_pool2d(x, np.inf, (3, 2), 2), nn.max_pool2d(x, (3, 2), 2))
    same(nn.lp_pool2d(x, -np.inf, (3, 2), 2), nn.min_pool2d(x, (3, 2), 2))
    same(nn.lp_pool2d(-x, 1, (3, 2), 2), nn.sum_pool2d(-x, (3, 2), 2))
    assert np.isnan(nn.lp_pool1d([-1.0, 0.0], 3, 2)).all()  # as in PyTorch
    whole = nn.lp_pool2d(np.arange(16).reshape(4, 4), np.inf, 2)
    assert whole.dtype == np.float64
    assert nn.lp_pool1d(np.float16([3, 4]), 2, 2).dtype == np.float16
    for power in (0, np.nan):
        with pytest.raises(ValueError, match="norm_type is"):
            nn.lp_pool1d([1.0, 2.0], power, 2)


def test_unpooling_puts_values_back(rng):
    for layout, dtype in product(["NCHW", "NHWC"], ["f4", "f8", "i4", "u1", "f2", "c16", "?"]):
        x = small(rng, (2, 3, 13, 8), "f8", 1000)
        _, indices = nn.max_pool2d(x, 2, remainder="drop", return_indices=True)
        values = small(rng, indices.shape, dtype)
        expected = np.zeros((6, 13 * 8), dtype)
        for plane, at, what in zip(expected, indices.reshape(6, -1), values.reshape(6, -1), strict=True):
            plane[at] = what
        expected = expected.reshape(x.shape)
        given, at = shaped(values, layout), shaped(indices, layout)
        for size in [(13, 8), shaped(expected, layout).shape]:
            same(nn.max_unpool2d(given, at, 2, output_size=size, layout=layout), shaped(expected, layout))
        same(nn.max_unpool2d(given[0], at[0], 2, output_size=(13, 8), layout=layout), shaped(expected, layout)[0])
        out = np.ones_like(shaped(expected, layout))
        nn.max_unpool2d(given, at, 2, output_size=(13, 8), layout=layout, out=out)
        same(out, shaped(expected, layout))
    even = small(rng, (1, 1, 6, 8), "f8", 1000)
    values, indices = nn.max_pool2d(even, 2, return_indices=True)
    back = nn.max_unpool2d(values, indices, 2)
    assert back.shape == even.shape
    same(nn.max_pool2d(np.where(back == 0, even.min(), back), 2), values)


def test_what_unpooling_refuses():
    values, indices = np.ones((1, 1, 2, 2)), np.zeros((1, 1, 2, 2), int)
    with pytest.raises(ShapeError, match=r"indices have shape \(2, 2\)"):
        nn.max_unpool2d(values, indices[0, 0], 2)
    with pytest.raises(TypeError, match="indices have dtype float64"):
        nn.max_unpool2d(values, values, 2)
    for wrong in (-1, 16, 2**40):
        for dtype in ("f4", "i4"):
            with pytest.raises(IndexError, match="a plane has 0 to 15"):
                nn.max_unpool2d(values.astype(dtype), indices + wrong, 2)
    for size in [(7, 4), (4, 2), (4,), (1, 1, 4, 6)]:
        with pytest.raises(ShapeError, match=r"less than a stride from \(4, 4\)"):
            nn.max_unpool2d(values, indices, 2, output_size=size)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.max_pool2d(np.ones((1, 1, 10, 12)), 3, 2), ShapeError, "input height 10, kernel 3, stride 2"),
        (lambda: nn.max_pool2d(np.ones((1, 1, 4, 4)), 5), ShapeError, "larger than the padded input"),
        (lambda: nn.max_pool2d(np.ones((1, 1, 4, 4)), 0), ShapeError, "kernel_size is 0"),
        (lambda: nn.max_pool2d(np.ones((1, 1, 4, 4)), 2, 0), ShapeError, "stride is 0"),
        (lambda: nn.max_pool2d(np.ones((1, 1, 4, 4)), (2, 2, 2)), ShapeError, "kernel_size is (2, 2, 2)"),
        (lambda: nn.max_pool2d(np.ones((1, 1, 4, 4)), 2, padding=2), ShapeError, "window 0 sees nothing but padding"),
        (lambda: nn.max_pool1d(np.ones(2), 2, 1, (1, 3), 4), ShapeError, "window 0 sees nothing but padding"),
        (lambda: nn.max_pool1d(np.ones(6), 2, 2, (0, 4)), ShapeError, "window 3 sees nothing but padding"),
        (lambda: nn.max_pool2d(np.ones(4), 2), ShapeError, "takes (N, C, H, W) or (C, H, W) or (H, W)"),
        (lambda: nn.max_pool1d(np.ones((1, 1, 4, 4)), 2), ShapeError, "takes (N, C, W) or (C, W) or (W)"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, layout="CHWN"), ValueError, "use 'NCHW' or 'NHWC'"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, remainder="floor"), ValueError, "remainder is 'floor'"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2.0), TypeError, "kernel_size must be whole numbers"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, (2, 2.0)), TypeError, "stride must be whole numbers"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, padding=0.0), TypeError, "padding must be whole numbers"),
        (lambda: nn.max_pool2d(np.ones((4, 4), complex), 2), TypeError, "complex numbers have no order"),
        (lambda: nn.max_pool2d(np.array([["a", "b"]] * 2), 2), TypeError, "it needs numbers"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, out=np.ones((3, 3))), ValueError, "out has shape (3, 3)"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, out=np.ones((2, 2), "f4")), TypeError, "out has dtype float32"),
        (lambda: nn.max_pool2d(np.ones((4, 4)), 2, workers=0), ValueError, "workers"),
        (lambda: nn.avg_pool2d(np.ones((4, 4)), 2, divisor_override=0), ValueError, "divisor_override is 0"),
        (lambda: nn.adaptive_avg_pool2d(np.ones((4, 4)), (1, 2, 3)), ShapeError, "output_size is (1, 2, 3)"),
        (lambda: nn.adaptive_avg_pool2d(np.ones((4, 4)), -1), ShapeError, "output_size is -1"),
        (lambda: nn.adaptive_avg_pool2d(np.ones((0, 4)), 1), ShapeError, "input height is 0"),
        (lambda: nn.lp_pool2d(np.ones((4, 4), complex), 2, 2), TypeError, "it needs real numbers"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_nothing_to_pool():
    for shape in [(0, 3, 8, 8), (2, 0, 8, 8)]:
        for pool in (nn.max_pool2d, nn.avg_pool2d):
            assert pool(np.ones(shape, "f4"), 2).shape == (*shape[:2], 4, 4)
    assert nn.max_pool2d(np.ones((0, 3, 8, 8)), 2, return_indices=True)[1].shape == (0, 3, 4, 4)
    same(nn.sum_pool1d(np.ones((2, 0)), 2, padding=1), np.zeros((2, 1)))
    with pytest.raises(ShapeError, match="larger"):
        nn.max_pool2d(np.ones((2, 0, 8)), 2)


def test_large_planes_agree_with_numpy(rng):
    """Planes in many parcels, and lines cut into blocks."""
    for dtype, layout in product(["f4", "u1"], ["NCHW", "NHWC"]):
        x = small(rng, (1, 2, 150, 9000), dtype, 100)
        for k, stride in [(2, 2), (3, 2), (4, 4), (3, 1)]:
            view = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::stride, ::stride]
            y = nn.max_pool2d(shaped(x, layout), k, stride, layout=layout, remainder="drop")
            expected = view[..., 0, 0].copy()
            for p, q in np.ndindex(k, k):
                np.maximum(expected, view[..., p, q], out=expected)
            same(y, shaped(expected, layout), (dtype, layout, k, stride))


def test_wide_and_large_indices(rng):
    """More pixels than the lanes of a byte, or of a float's mantissa, could number."""
    x = np.zeros((1, 1, 5000, 4000), np.uint8)
    x[0, 0, 4999, 3999] = 1
    assert nn.adaptive_max_pool2d(x, 1, True)[1].item() == 5000 * 4000 - 1
    assert nn.max_pool2d(x.astype("f4"), (2500, 4000), return_indices=True)[1].ravel().tolist() == [0, 5000 * 4000 - 1]


@pytest.mark.parametrize("dtype", ["f2", *ALL_DTYPES[:9], "f4", "f8", "c8", "c16"], ids=name)
def test_every_common_dtype_has_a_kernel(dtype, monkeypatch):
    """The twins are slow: no dtype may fall to them unseen."""
    monkeypatch.setattr(pools, "_by_twin", None)
    for pool in (nn.max_pool2d, nn.avg_pool2d, nn.sum_pool2d)[np.dtype(dtype).kind == "c" :]:
        assert pool(np.ones((2, 2), dtype), 2) == (4 if pool is nn.sum_pool2d else 1)


def test_complex_numbers_are_summed(rng):
    for dtype in COMPLEX:
        x = small(rng, (2, 3, 9, 40), dtype)
        for layout, pool in product(["NCHW", "NHWC"], [nn.sum_pool2d, nn.avg_pool2d]):
            whole = pool(shaped(x, layout), 2, 1, layout=layout)
            parts = (pool(shaped(part.copy(), layout), 2, 1, layout=layout) for part in (x.real, x.imag))
            np.testing.assert_array_equal(whole, next(parts) + 1j * next(parts))
