"""Records a small sample of PyTorch's answers in pooling.npz, for the default suite, which has no PyTorch.

    python tests/nn/data/record_pooling.py

Each case is a JSON line, fastconv's function, its positional arguments and options; the answers are keyed by its
number: y, index where there is one, g the gradient that came back and grad what it became.
"""

import json
from pathlib import Path

import numpy as np


def main():
    import torch
    import torch.nn.functional as F

    rng = np.random.default_rng(4)
    x = rng.integers(-9, 10, (2, 3, 7, 8)).astype(float) + rng.standard_normal((2, 3, 7, 8)).round(3)
    x[0, 0, 2, 3] = x[0, 0, 3, 3] = np.nan
    x[1, 2] = 5  # ties

    cases, arrays = [], {"x": x}

    def record(name, arguments, options, call, indices=False, of=None):
        """`of` picks a part of the batch: planes without one, or lines in a batch."""
        given = torch.from_numpy(x if of is None else x[of]).clone().requires_grad_()
        answer = call(given)
        y, index = answer if indices else (answer, None)
        g = rng.integers(-5, 6, tuple(y.shape)).astype(float)
        y.backward(torch.from_numpy(g))
        key = str(len(cases))
        cases.append(json.dumps({"name": name, "arguments": arguments, "options": options, "of": of}))
        arrays.update({f"{key}.y": y.detach().numpy(), f"{key}.g": g, f"{key}.grad": given.grad.numpy()})
        if indices:
            arrays[f"{key}.index"] = index.numpy()

    for ceil, remainder in ((False, "drop"), (True, "pad")):
        for k, s, p, d in ((2, None, 0, 1), (3, 2, 1, 1), ((3, 2), (1, 3), (1, 0), (1, 2)), (2, 3, 1, 2)):
            options = {"stride": s, "padding": p, "dilation": d, "remainder": remainder}
            record("max_pool2d", [k], options, lambda t, a=(k, s, p, d, ceil): F.max_pool2d(t, *a, True), indices=True)
        for k, s, p, inside, over in ((2, None, 0, True, None), (3, 2, 1, True, None), (3, 2, 1, False, None),
                                      ((3, 2), (1, 3), (1, 0), False, None), (4, 3, 2, True, 7)):  # fmt: skip
            options = {"stride": s, "padding": p, "remainder": remainder, "count_include_pad": inside,
                       "divisor_override": over}  # fmt: skip
            record("avg_pool2d", [k], options, lambda t, a=(k, s, p, ceil, inside, over): F.avg_pool2d(t, *a))
        options = {"stride": 2, "padding": 1, "dilation": 2, "remainder": remainder}
        record("max_pool1d", [3], options, lambda t, c=ceil: F.max_pool1d(t, 3, 2, 1, 2, c, True), indices=True, of=0)
        options = {"stride": 2, "padding": 1, "remainder": remainder, "count_include_pad": False}
        record("avg_pool1d", [3], options, lambda t, c=ceil: F.avg_pool1d(t, 3, 2, 1, c, False), of=0)
    for power in (1.0, 2.0, 4.0):
        record("lp_pool2d", [power, 3, 2], {"remainder": "drop"}, lambda t, n=power: F.lp_pool2d(t, n, 3, 2), of=1)
        record("lp_pool1d", [power, 2], {}, lambda t, n=power: F.lp_pool1d(t, n, 2), of=1)
    for size in (1, (3, 5), (None, 2), (9, 11)):
        record("adaptive_avg_pool2d", [size], {}, lambda t, n=size: F.adaptive_avg_pool2d(t, n))
        record("adaptive_max_pool2d", [size], {}, lambda t, n=size: F.adaptive_max_pool2d(t, n, True), indices=True)
    record("adaptive_avg_pool1d", [3], {}, lambda t: F.adaptive_avg_pool1d(t, 3), of=0)
    record("adaptive_max_pool1d", [3], {}, lambda t: F.adaptive_max_pool1d(t, 3, True), indices=True, of=0)

    np.savez_compressed(Path(__file__).with_name("pooling.npz"), cases=cases, torch=torch.__version__, **arrays)


if __name__ == "__main__":
    main()
