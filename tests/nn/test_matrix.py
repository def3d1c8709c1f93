"""as_matrix: the layer is the product with it, whatever the options."""

import numpy as np
import pytest
import scipy.signal
from helpers import same, small
from layer_cases import CASES

from fastconv import ShapeError, convolve, nn


@pytest.mark.parametrize("case", [case for case in CASES if max(case.weight) < 100], ids=lambda case: case.name)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_layer_is_the_product(case, layout, rng):
    x, weight, _ = case.draw(rng, "i8")
    picture = x[0] if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x[0], 0, -1))
    for flip in (False, True):
        options = case.options | {"layout": layout, "flip": flip}
        y = nn.conv2d(picture, weight, **options)
        matrix = nn.as_matrix(weight, picture.shape, **options)
        assert matrix.shape == (y.size, picture.size)
        same(matrix @ picture.ravel(), y.ravel())


def test_lines(rng):
    line, weight = small(rng, (4, 13), "i8"), small(rng, (6, 2, 3), "i8")
    options = {"stride": 2, "padding": (1, 2), "dilation": 2, "groups": 2, "remainder": "drop"}
    same(nn.as_matrix(weight, (4, 13), **options) @ line.ravel(), nn.conv1d(line, weight, **options).ravel())
    other = np.ascontiguousarray(line.T)
    y = nn.conv1d(other, weight, **options, layout="NWC")
    same(nn.as_matrix(weight, (13, 4), **options, layout="NWC") @ other.ravel(), y.ravel())


def test_weights_are_shared(rng):
    """NumPy's convolution is a matrix of as many different numbers as it has taps, each on a diagonal."""
    line, taps = small(rng, 20, "i8"), np.array([1, 2, 3, 4])
    matrix = nn.as_matrix(taps[None, None], (1, 20), padding=3, flip=True)
    same(matrix @ line, convolve(line, taps))
    assert matrix.nnz == 4 * 20
    assert set(matrix.data) == {1, 2, 3, 4}
    for tap, diagonal in zip(taps, range(4), strict=True):
        assert set(matrix.diagonal(-diagonal)) == {tap}
    picture, kernel = small(rng, (7, 8), "i8"), small(rng, (3, 4), "i8")
    matrix = nn.as_matrix(kernel[None, None], (1, 7, 8))
    same((matrix @ picture.ravel()).reshape(5, 5), scipy.signal.correlate2d(picture, kernel, "valid"))


@pytest.mark.parametrize("dtype", ["?", "i1", "u4", "i8", "f4", "f8", "c8", "c16", ">f8", ">i2"])
def test_dtypes(dtype, rng):
    weight = small(rng, (2, 1, 3), dtype)
    matrix = nn.as_matrix(weight, (1, 6))
    assert matrix.dtype == weight.dtype.newbyteorder("=")
    assert matrix.dtype.isnative


def test_nothing_but_padding():
    matrix = nn.as_matrix(np.ones((2, 1, 1, 1)), (1, 0, 3), padding=((2, 0), (0, 0)))
    assert (matrix.shape, matrix.nnz) == ((12, 0), 0)


def test_errors():
    weight = np.ones((2, 3, 3, 3))
    for error, said, call in [
        (ShapeError, "input_shape is .*needs 3 numbers", lambda: nn.as_matrix(weight, (1, 3, 8, 8))),
        (ShapeError, "input has 8 channels", lambda: nn.as_matrix(weight, (8, 8, 3))),
        (ShapeError, r"\(3, 3\)", lambda: nn.as_matrix(weight[0, 0], (8, 8))),
        (ShapeError, "4.5", lambda: nn.as_matrix(weight, (3, 10, 9), stride=2)),
        (TypeError, "float16", lambda: nn.as_matrix(weight.astype("f2"), (3, 8, 8))),
        (TypeError, "object", lambda: nn.as_matrix(weight.astype(object), (3, 8, 8))),
        (TypeError, "input_shape", lambda: nn.as_matrix(weight, 8)),
    ]:
        with pytest.raises(error, match=said):
            call()
