"""Measures the constants of the cost model that chooses the method, and how good its choices are.

    python benchmarks/calibrate.py            measure on this machine, for every instruction set it runs
    python benchmarks/calibrate.py --regret   how far each choice on a grid is from the best way there

The first writes ``fastconv/_plan/calibration.py``; see `fastconv._plan.method` for the model. It runs on one
thread; the second judges on as many as ``--workers`` says.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

TARGET = Path(__file__).parents[1] / "fastconv" / "_plan" / "calibration.py"

DTYPES = {
    "f32": "f4", "f64": "f8", "c64": "c8", "c128": "c16", "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8",
}  # fmt: skip


def quartile_ns(*calls: Callable[[], object], rounds: int = 25) -> list[float]:
    """The lower quartile of each call's times; they take turns in shuffled order, so that a slow moment meets all."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    turns = list(zip(times, calls, strict=True))
    for _ in range(rounds):
        random.shuffle(turns)
        for kept, call in turns:
            call()  # what the call before has left in the caches is not its fault
            begin = time.perf_counter_ns()
            call()
            kept.append(time.perf_counter_ns() - begin)
    return [sorted(kept)[rounds // 4] for kept in times]


def draw(shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
    x = np.random.default_rng(0).integers(0, 3, shape)
    return (x + 1j * x).astype(dtype) if dtype[0] == "c" else x.astype(dtype)


def taps(shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
    """A kernel that is no outer product, which shows."""
    return draw(shape, dtype) + np.random.default_rng(1).integers(1, 9, shape).astype(dtype)


def measure() -> dict[str, tuple[float, ...]]:
    """The constants of the instruction set that this process runs on."""
    return {name: _constants(dtype) for name, dtype in DTYPES.items()}


def _constants(dtype: str) -> tuple[float, ...]:
    import fastconv
    from fastconv._plan import spectral

    n, few, many = 200_000, 3, 400
    x, short, long = draw(n, dtype), draw(few, dtype), draw(many, dtype)
    floating = long if dtype[0] in "fc" else long.astype(float)
    direct, out = np.empty(n, dtype), np.empty((1, n), dtype)  # fresh memory would be timed, too
    line = np.ones(31, dtype)
    image, taps2 = draw((512, 512), dtype), draw((31, 31), dtype)
    product7, product31 = (np.outer(draw(k, dtype) + line[:k], line[:k]) for k in (7, 31))
    image_out = np.empty_like(image)
    blocks = spectral.tiles(floating.dtype, (many,), (n,), (n + many - 1,))
    tiles = spectral.tiles(floating.dtype, (31, 31), image.shape, (542, 542))
    at_few, at_many, direct2, axes7, axes31, fft, fft2 = quartile_ns(
        lambda: fastconv.convolve(x, short, "same", method="direct", workers=1, out=direct),
        lambda: fastconv.convolve(x, long, "same", method="direct", workers=1, out=direct),
        lambda: fastconv.convolve2d(image, taps2, "same", method="direct", workers=1, out=image_out),
        lambda: fastconv.convolve2d(image, product7, "same", method="separable", workers=1, out=image_out),
        lambda: fastconv.convolve2d(image, product31, "same", method="separable", workers=1, out=image_out),
        lambda: spectral.correlate(x[None], floating, (-many // 2,), "fill", 0, out, blocks, 1),
        lambda: spectral.correlate(image, taps2.astype(floating.dtype), (-15, -15), "symm", 0, image_out, tiles, 1),
    )
    mac = (at_many - at_few) / n / (many - few)
    sample = max(at_few / n - few * mac, 0.0)
    return (
        mac,
        max(direct2 / image.size - sample, 0.0) / taps2.size,
        (axes31 - axes7) / image.size / (2 * 31 - 2 * 7),
        sample,
        math.sqrt(fft / blocks.work * fft2 / tiles.work),
    )


def write(all_constants: dict[str, dict[str, tuple[float, ...]]]) -> None:
    lines = [
        '"""Measured by ``benchmarks/calibrate.py``: nanoseconds on one thread, see `method.Costs`."""',
        "",
        "CONSTANTS = {",
    ]
    for isa, constants in all_constants.items():
        lines.append(f'    "{isa}": {{')
        for name, values in constants.items():
            lines.append(f'        "{name}": ({", ".join(f"{v:.3g}" for v in values)}),')
        lines.append("    },")
    TARGET.write_text("\n".join([*lines, "}", ""]))


def regret(workers: int) -> None:
    """Prints, for a grid of sizes, the time of 'auto' over the best of all ways."""
    import fastconv

    worst = 1.0
    print(f"{'case':34s} {'auto':>10s} {'best':>10s} {'way':>14s} {'regret':>7s}")
    for dtype in ("f4", "f8", "c16", "i8"):
        for n in (1000, 10_000, 100_000, 1_000_000):
            for k in (3, 31, 101, 301, 1001, 3001):
                if k <= n and n * k <= 1e9:
                    x, h = draw(n, dtype), taps(k, dtype)
                    ways = ["direct", "overlap-save", "fft"]
                    call = lambda way: fastconv.convolve(x, h, "same", method=way, workers=workers)  # noqa: B023, E731
                    worst = max(worst, _row(f"{np.dtype(dtype).name} {n} x {k}", call, ways))
        for n in (64, 256, 1024):
            for k in (3, 7, 15, 31, 63):
                if k < n and n * n * k * k <= 1e9:
                    x, h = draw((n, n), dtype), taps((k, k), dtype)
                    ways = ["direct", "fft"]
                    call = lambda way: fastconv.convolve2d(x, h, "same", method=way, workers=workers)  # noqa: B023, E731
                    worst = max(worst, _row(f"{np.dtype(dtype).name} {n}^2 x {k}^2", call, ways))
    print(f"worst regret {100 * (worst - 1):.0f} %")


def _row(label: str, call: Callable[[str], object], ways: list[str]) -> float:
    begin = time.perf_counter()
    call("auto")
    rounds = min(max(7, int(0.02 / (time.perf_counter() - begin))), 50)
    auto, *times = quartile_ns(*(lambda way=way: call(way) for way in ["auto", *ways]), rounds=rounds)
    best = min(times)
    print(f"{label:34s} {auto / 1e3:8.1f}us {best / 1e3:8.1f}us {ways[times.index(best)]:>14s} {auto / best:7.2f}")
    return auto / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regret", action="store_true", help="judge the choices instead of measuring")
    parser.add_argument("--workers", type=int, default=1, help="threads of what is judged")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)  # one instruction set, for itself
    args = parser.parse_args()
    if args.regret:
        regret(args.workers)
    elif args.json:
        json.dump(measure(), sys.stdout)
    else:
        from fastconv import _machine

        found = {}
        for isa in _machine.cpu_variants():
            command = [sys.executable, __file__, "--json"]
            answer = subprocess.run(
                command, env={**os.environ, "FASTCONV_ISA": isa}, stdout=subprocess.PIPE, check=True
            )
            found[isa] = json.loads(answer.stdout)
        write(found)


if __name__ == "__main__":
    main()
