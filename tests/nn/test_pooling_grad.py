"""Gradients of the pools: the twins exactly, the adjoint identity, finite differences."""

from itertools import product

import numpy as np
import pytest
from helpers import name, same, small

from fastconv import ShapeError, nn
from fastconv._plan.sizes import windows
from fastconv._reference import pools as twins
from fastconv.nn import pooling_grad as grad

# rows and columns: size, kernel, stride, padding, dilation
PLANES = [
    [(1, 1, 1, 0, 1), (1, 1, 1, 0, 1)],
    [(6, 2, 2, 0, 1), (8, 2, 2, 0, 1)],
    [(13, 3, 2, 1, 1), (17, 3, 2, 1, 1)],
    [(9, 3, 1, 1, 1), (31, 3, 1, 1, 1)],
    [(11, 2, 5, (0, 3), 3), (7, 4, 3, (2, 1), 1)],
    [(5, 5, 1, 2, 2), (40, 1, 3, 0, 1)],
]


def axes_of(plane, remainder):
    return [
        windows([n], k, s, [p if isinstance(p, tuple) else (p, p)], d, remainder)[0] for n, k, s, p, d in plane
    ]


def options_of(axes, layout, remainder):
    return {
        "kernel_size": [a.kernel for a in axes], "stride": [a.stride for a in axes],
        "padding": [(a.before, a.after) for a in axes], "dilation": [a.dilation for a in axes],
        "layout": layout, "remainder": remainder,
    }  # fmt: skip


def places(axis):
    return twins.windows(axis.size, axis.kernel, axis.stride, axis.dilation, axis.before, axis.output)


def shaped(x, layout):
    return np.moveaxis(x, 1, -1).copy() if layout[-1] == "C" else x


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "f2", "g"], ids=name)
@pytest.mark.parametrize("remainder", ["drop", "pad"])
def test_sums_and_averages_are_the_twins(dtype, remainder, rng):
    for plane, layout, channels in product(PLANES, ["NCHW", "NHWC"], [1, 3, 20]):
        axes = axes_of(plane, remainder)
        options = options_of(axes, layout, remainder)
        shape = (2, channels, *(a.size for a in axes))
        g = small(rng, (*shape[:2], *(a.output for a in axes)), dtype)
        size, given = shaped(np.empty(shape), layout).shape, shaped(g, layout)
        at = [places(a) for a in axes]
        same(grad.sum_pool2d_input(size, given, **options), shaped(twins.spread(shape, *at, g), layout))
        quarter = shaped(twins.spread(shape, *at, (g / np.dtype(dtype).type(4)).astype(dtype)), layout)
        same(grad.avg_pool2d_input(size, given, **options, divisor_override=4), quarter)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "g", "i4"], ids=name)
def test_maxima_are_the_twins(dtype, rng):
    for plane, layout, channels in product(PLANES[:4], ["NCHW", "NHWC"], [1, 3, 20]):
        axes = axes_of(plane, "drop")
        options = options_of(axes, layout, "drop")
        x = small(rng, (2, channels, *(a.size for a in axes)), "f8", 50)
        for pool in (nn.max_pool2d, nn.min_pool2d):
            _, index = pool(shaped(x, layout), **options, return_indices=True)
            g = small(rng, index.shape, dtype)
            expected = np.zeros(shaped(x, layout).shape, "f8" if dtype == "i4" else dtype)
            flat = np.moveaxis(expected, -1, 1) if layout == "NHWC" else expected
            flat = flat.reshape(2, channels, -1).copy()
            at, what = (np.moveaxis(a, -1, 1) if layout == "NHWC" else a for a in (index, g))
            for n, c in np.ndindex(2, channels):
                np.add.at(flat[n, c], at[n, c].ravel(), what[n, c].ravel())
            expected = shaped(flat.reshape(x.shape), layout)
            same(grad.max_pool2d_input(expected.shape, index, g, layout=layout), expected)
            same(grad.max_pool2d_input(expected.shape[1:], index[0], g[0], layout=layout), expected[0])


def test_lines(rng):
    for layout, lead in [("NCW", (2, 5)), ("NWC", (2, 5)), ("NWC", (1, 40)), ("NCW", (3, 1))]:
        for size, k, s, p in [(12, 2, 2, 0), (31, 3, 2, 1), (3000, 3, 1, 1), (9000, 5, 4, 2), (9001, 2, 3, 0)]:
            x = small(rng, (*lead, size), "f8", 1000)
            options = {"stride": s, "padding": p, "layout": layout, "remainder": "drop"}
            values, index = nn.max_pool1d(shaped(x, layout), k, **options, return_indices=True)
            g = small(rng, values.shape, "f8")
            wide = {"stride": (1, s), "padding": (0, p), "remainder": "drop"}
            x2 = x[:, :, None]
            channels_first = np.moveaxis(g, -1, 1) if layout == "NWC" else g
            expected = grad.sum_pool2d_input(x2.shape, channels_first[:, :, None], (1, k), **wide)
            given = shaped(x, layout).shape
            same(grad.sum_pool1d_input(given, g, k, **options), shaped(expected[:, :, 0], layout))
            average = grad.avg_pool1d_input(given, g, k, **options)
            np.testing.assert_allclose(average * k, shaped(expected[:, :, 0], layout), atol=1e-13)
            back = grad.max_pool1d_input(given, index, g, layout=layout)
            assert back.sum() == g.sum()
            assert (back * shaped(x, layout)).sum() == (values * g).sum()
            parts = nn.adaptive_avg_pool1d(shaped(x, layout), 5, layout=layout)
            back = grad.adaptive_avg_pool1d_input(given, parts, layout=layout)
            np.testing.assert_allclose((back * shaped(x, layout)).sum(), (parts**2).sum())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_adjoint_identity(layout, rng):
    """<A x, y> = <x, A* y>."""
    x = rng.standard_normal((2, 5, 23, 29))
    for plane, remainder in product(PLANES[1:], ["drop", "pad"]):
        axes = axes_of(plane, remainder)
        options = options_of(axes, layout, remainder)
        given = shaped(x[:, :, : axes[0].size, : axes[1].size], layout)
        axes = [windows([n], *a[1:3], [(a[4], a[5])], a[3], remainder)[0]
                for n, a in zip(np.moveaxis(given, -1, 1).shape[2:] if layout == "NHWC" else given.shape[2:], axes,
                                strict=True)]  # fmt: skip
        calls = [(nn.sum_pool2d, grad.sum_pool2d_input, {}), (nn.avg_pool2d, grad.avg_pool2d_input, {})]
        if all(len(p) for a in axes for p in places(a)):
            calls.append((nn.avg_pool2d, grad.avg_pool2d_input, {"count_include_pad": False}))
        for forward, backward, more in calls:
            y = forward(given, **options, **more)
            g = rng.standard_normal(y.shape)
            np.testing.assert_allclose((y * g).sum(), (given * backward(given.shape, g, **options, **more)).sum())
    for count in (1, 4, (7, 30)):
        y = nn.adaptive_avg_pool2d(shaped(x, layout), count, layout=layout)
        g = rng.standard_normal(y.shape)
        back = grad.adaptive_avg_pool2d_input(shaped(x, layout).shape, g, layout=layout)
        np.testing.assert_allclose((y * g).sum(), (shaped(x, layout) * back).sum())


def by_differences(f, x, g, eps=1e-6):
    """The gradient of <f(x), g>."""
    slope = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[at] += eps
        behind[at] -= eps
        slope[at] = ((f(ahead) - f(behind)) * g).sum() / (2 * eps)
    return slope


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_finite_differences(layout, rng):
    x = rng.permutation(np.linspace(0.5, 3, 2 * 2 * 7 * 6)).reshape((2, 2, 7, 6) if layout == "NCHW" else (2, 7, 6, 2))
    options = {"stride": 2, "padding": 1, "layout": layout, "remainder": "pad"}

    def maxima(pool, *arguments, **more):
        _, index = pool(x, *arguments, return_indices=True, layout=layout, **more)
        return lambda g: grad.max_pool2d_input(x.shape, index, g, layout=layout)

    window = {"stride": 2, "padding": 1, "remainder": "pad"}
    for forward, backward in [
        (lambda x: nn.max_pool2d(x, 3, **options), maxima(nn.max_pool2d, 3, **window)),
        (lambda x: nn.min_pool2d(x, 3, **options), maxima(nn.min_pool2d, 3, **window)),
        (lambda x: nn.adaptive_max_pool2d(x, 4, layout=layout), maxima(nn.adaptive_max_pool2d, 4)),
        (lambda x: nn.avg_pool2d(x, 3, **options), lambda g: grad.avg_pool2d_input(x.shape, g, 3, **options)),
        (lambda x: nn.sum_pool2d(x, 3, **options), lambda g: grad.sum_pool2d_input(x.shape, g, 3, **options)),
        (
            lambda x: nn.adaptive_avg_pool2d(x, 4, layout=layout),
            lambda g: grad.adaptive_avg_pool2d_input(x.shape, g, layout=layout),
        ),
        *(
            (
                lambda x, p=p: nn.lp_pool2d(x, p, 3, **options),
                lambda g, p=p: grad.lp_pool2d_input(x, g, p, 3, **options),
            )
            for p in (1, 2, 2.5, 3, np.inf, -np.inf)
        ),
    ]:
        g = rng.standard_normal(forward(x).shape)
        np.testing.assert_allclose(backward(g), by_differences(forward, x, g), atol=1e-5, rtol=1e-3)
    line = x[0, 0] if layout == "NCHW" else x[0, :, :, 0]
    for p in (2, 3):
        y = nn.lp_pool1d(line, p, 2)
        back = grad.lp_pool1d_input(line, y, p, 2)
        np.testing.assert_allclose(back, by_differences(lambda x, p=p: nn.lp_pool1d(x, p, 2), line, y), rtol=1e-3)
    _, index = nn.max_pool2d(x, 3, **options, return_indices=True)
    values = rng.standard_normal(index.shape)
    unpooled = nn.max_unpool2d(values, index, 3, 2, 1, output_size=x.shape, layout=layout)
    g = rng.standard_normal(unpooled.shape)
    back = grad.max_unpool2d_input(index, g, layout=layout)
    plane = np.moveaxis(g, -1, 1) if layout == "NHWC" else g
    at = np.moveaxis(index, -1, 1) if layout == "NHWC" else index
    for n, c in np.ndindex(2, 2):
        found = np.moveaxis(back, -1, 1)[n, c] if layout == "NHWC" else back[n, c]
        same(found.ravel(), plane[n, c].ravel()[at[n, c].ravel()])


def test_where_all_is_zero_a_norm_has_no_slope():
    same(grad.lp_pool2d_input(np.zeros((2, 2)), [[1.0]], 2, 2), np.zeros((2, 2)))
    same(grad.lp_pool2d_input(np.zeros((2, 2)), [[1.0]], 1, 2), np.ones((2, 2)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_any_number_of_workers_gives_the_same_bits(dtype, rng):
    for layout, shape in [("NCHW", (3, 5, 301, 307)), ("NHWC", (5, 61, 67, 18)), ("NHWC", (1, 99, 300, 35))]:
        x = rng.standard_normal(shape).astype(dtype)
        for k, s in [(2, 2), (3, 2), (3, 1)]:
            y, index = nn.max_pool2d(x, k, s, layout=layout, remainder="drop", return_indices=True)
            g = rng.standard_normal(y.shape).astype(dtype)
            alone = grad.max_pool2d_input(shape, index, g, layout=layout, workers=1)
            spread = grad.avg_pool2d_input(shape, g, k, s, layout=layout, remainder="drop", workers=1)
            for workers in (2, 3):
                same(grad.max_pool2d_input(shape, index, g, layout=layout, workers=workers), alone)
                same(
                    grad.avg_pool2d_input(shape, g, k, s, layout=layout, remainder="drop", workers=workers), spread
                )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad.sum_pool2d_input((4, 4), np.ones((3, 2)), 2), ShapeError, "grad_output has shape (3, 2)"),
        (lambda: grad.sum_pool2d_input((1, 4, 4), np.ones((2, 2)), 2), ShapeError, "input_size is (1, 4, 4)"),
        (lambda: grad.sum_pool2d_input((5, 4), np.ones((2, 2)), 2), ShapeError, "do not divide"),
        (lambda: grad.sum_pool2d_input((4, -4), np.ones((2, 2)), 2), ShapeError, "input_size is (4, -4)"),
        (lambda: grad.sum_pool2d_input((4.0, 4), np.ones((2, 2)), 2), TypeError, ""),
        (lambda: grad.max_pool2d_input((4, 4), [[0, 1]], np.ones((2, 2))), ShapeError, "indices have shape (1, 2)"),
        (lambda: grad.max_pool2d_input((2, 4, 4), np.zeros((1, 2, 2), int), np.ones((1, 2, 2))), ShapeError, "go with"),
        (lambda: grad.max_pool2d_input((4, 4), [[16]], np.ones((1, 1))), IndexError, "a plane has 0 to 15"),
        (lambda: grad.max_pool2d_input((4, 4), [[-1]], np.ones((1, 1), int)), IndexError, "a plane has 0 to 15"),
        (lambda: grad.max_unpool2d_input([[16]], np.ones((4, 4))), IndexError, "a plane has 0 to 15"),
        (lambda: grad.max_unpool2d_input([[[1]]], np.ones((4, 4))), ShapeError, "do not go with"),
        (lambda: grad.sum_pool2d_input((4, 4), np.ones((2, 2), object), 2), TypeError, "grad_output has dtype object"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


def test_nothing_came_back():
    assert grad.sum_pool2d_input((0, 3, 4, 4), np.ones((0, 3, 2, 2)), 2).shape == (0, 3, 4, 4)
    assert grad.max_pool2d_input((0, 3, 4, 4), np.ones((0, 3, 2, 2), int), np.ones((0, 3, 2, 2))).shape == (0, 3, 4, 4)
