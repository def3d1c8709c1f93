"""The loop of multiply-adds that the benchmarks measure kernels by does what it counts."""

import pytest

from fastconv import _runtime

LANES = {"baseline": 16, "avx2": 32, "avx512": 64}


@pytest.mark.parametrize(("dtype", "itemsize"), [("f32", 4), ("f64", 8)])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_chain_runs_on_every_thread(dtype, itemsize, workers):
    n = 100  # a <- 1 + a / 2 has long come to 2 by then
    count, total = _runtime.kernel(dtype, "peak").multiply_adds(n, workers)
    chains, rest = divmod(count, n * workers * (LANES[_runtime.ISA] // itemsize))
    assert rest == 0
    assert chains in (12, 24)
    assert total == workers * (2 + (chains - 1))  # the first chain, and half of each other
