"""Pools and their gradients against answers of PyTorch's that data/record_pooling.py has recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import nn
from fastconv.nn import pooling_grad

with np.load(Path(__file__).parent / "data" / "pooling.npz") as _file:
    RECORD = dict(_file)
CASES = list(enumerate(map(json.loads, RECORD["cases"])))


def tupled(value):
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize(("number", "case"), CASES, ids=[f"{number} {case['name']}" for number, case in CASES])
def test_the_answers_are_pytorchs(number, case, last):
    lines, channels = case["name"].endswith("1d"), -3 if case["name"].endswith("2d") else -2

    def shaped(a):
        return np.moveaxis(a, channels, -1) if last else a

    x = RECORD["x"] if case["of"] is None else RECORD["x"][case["of"]]
    y, g, grad = (shaped(RECORD[f"{number}.{part}"]) for part in ("y", "g", "grad"))
    arguments, options = list(map(tupled, case["arguments"])), {k: tupled(v) for k, v in case["options"].items()}
    options["layout"] = ("NWC" if last else "NCW") if lines else "NHWC" if last else "NCHW"
    name = case["name"]
    if f"{number}.index" in RECORD:
        values, index = getattr(nn, name)(shaped(x), *arguments, **options, return_indices=True)
        np.testing.assert_array_equal(values, y)
        np.testing.assert_array_equal(index, shaped(RECORD[f"{number}.index"]))
        back = getattr(pooling_grad, f"{name}_input")(shaped(x).shape, index, g, layout=options["layout"])
        np.testing.assert_array_equal(back, grad)
        return
    np.testing.assert_allclose(getattr(nn, name)(shaped(x), *arguments, **options), y, rtol=1e-13, atol=1e-13)
    if name.startswith("lp"):
        back = getattr(pooling_grad, f"{name}_input")(shaped(x), g, *arguments, **options)
        fine = ~np.isnan(grad)  # where a sum is zero or negative PyTorch's slope is NaN
        assert fine.mean() > 0.5
        back, grad = back[fine], grad[fine]
    else:
        arguments = [] if name.startswith("adaptive") else arguments
        back = getattr(pooling_grad, f"{name}_input")(shaped(x).shape, g, *arguments, **options)
    np.testing.assert_allclose(back, grad, rtol=1e-12, atol=1e-12)
