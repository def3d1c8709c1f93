"""What this machine can do at most, and how near to it each kernel comes.

    python benchmarks/roofline.py             measure, and print a table (FASTCONV_ISA=avx2: of that instruction set)
    python benchmarks/roofline.py --plots     draw the pictures of docs/performance.rst; needs matplotlib, SciPy, OpenCV

Two numbers bound every kernel: multiply-adds in registers alone, and copying arrays that are in no cache, reads and
writes counted. Work of F floating-point operations on B bytes takes at least max(F / peak, B / bandwidth) seconds;
what a kernel takes is measured against that. The prediction knows its tile, too: two multiply-adds of vectors start
in a cycle, each waits `LATENCY` cycles for the one before it in its accumulator, and a load that crosses a cache line
takes `CROSSING` cycles from them, as the end of a row takes `ROW`; or the time of the bytes where that is longer. The
last two are no theory: they are what loops of a tile's shape lost on the machine of docs/performance.rst.

Results are written to arrays that exist. What is read again from a cache may beat the bandwidth, which is memory's.
"""
from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastconv
from fastconv import _runtime, nn
from fastconv._plan import spectral

try:
    from .calibrate import draw, quartile_ns
except ImportError:  # run as a script
    from calibrate import draw, quartile_ns

LATENCY = 4  # cycles of a multiply-add
CROSSING = {
    64: {"line": 0.9, "plane": 1.7, "strip": 1.3},
    32: {"line": 0.9, "plane": 0.9, "strip": 0.9},
    16: {"line": 0.9, "plane": 0.9, "strip": 0.9},
}  # fmt: skip
ROW = 40  # cycles at the end of a row of a strip


class Tiles(NamedTuple):
    """The sizes that ``_kernels/simd.h`` gives an instruction set; see ``_kernels/tiles.pxd``."""

    register: int  # bytes
    line: int  # vectors of the 1-D tile
    panel: int  # taps it holds
    rows: int  # of the 2-D tile
    columns: int
    strip: int = 0  # rows of a strip, 0: there are none


TILES = {
    "avx512": (Tiles(64, 16, 8, 6, 4, 9), Tiles(64, 8, 4, 4, 2)),  # of real numbers, and of complex
    "avx2": (Tiles(32, 8, 4, 4, 2), Tiles(32, 4, 2, 2, 2)),
    "baseline": (Tiles(16, 8, 4, 4, 2), Tiles(16, 4, 2, 2, 2)),
}
# 64-bit products are no single instruction; the share of multiply-adds that is left
WHOLE = {"avx512": 1 / 4, "avx2": 1 / 6, "baseline": 1 / 6}


class Machine(NamedTuple):
    workers: int
    peak: dict[str, float]  # FLOP/s
    bandwidth: float  # B/s


class Share(NamedTuple):
    """What a tile leaves of the peak, and what takes the most of the rest."""

    of_peak: float = 1.0
    holds: str = "multiply-adds"


class Case(NamedTuple):
    name: str
    call: Callable[..., object]  # takes workers=
    peak: str = "f32"  # whose multiply-adds it does
    flops: float = 0.0  # a multiply-add counts 2
    moved: float = 0.0  # bytes: inputs read once, outputs written once
    share: Share = Share()  # of the peak that its tile leaves


def measure(workers: int) -> Machine:
    peak = {name: _peak(name, workers) for name in ("f32", "f64")}
    return Machine(workers, peak, _bandwidth(workers))


def _peak(name: str, workers: int) -> float:
    multiply_adds = _runtime.kernel(name, "peak").multiply_adds
    multiply_adds(100_000, workers)
    rates = []
    for _ in range(5):
        begin = time.perf_counter()
        count, _ = multiply_adds(2_000_000, workers)
        rates.append(2 * count / (time.perf_counter() - begin))
    return max(rates)


def _bandwidth(workers: int, n: int = 1 << 26) -> float:
    parts = [(np.ones(n // workers, "f4"), np.empty(n // workers, "f4")) for _ in range(workers)]
    rates = []
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(5):
            begin = time.perf_counter()
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            rates.append(sum(2 * a.nbytes for a, _ in parts) / (time.perf_counter() - begin))
    return max(rates)


# ---------------------------------------------------------------------------------------------- what a tile allows


def _share(multiply: float, waits: float, loads: float, why: str = "latency at tiles' rims") -> Share:
    """Of cycles of multiply-adds, those that they wait for each other (or why), and those that loads take from them."""
    of_peak = multiply / (multiply + waits + loads)
    if of_peak > 0.85:
        return Share(of_peak)
    return Share(of_peak, "loads across lines" if loads > waits else why)


def line_share(dtype: str, taps: int) -> Share:
    tiles, products = _tiles(dtype)
    itemsize = np.dtype(dtype).itemsize
    lanes, rows = tiles.register // itemsize, tiles.line if taps > 8 else 4
    multiply = waits = loads = 0.0
    for panel in range(0, taps, tiles.panel * lanes):
        for c in range(min(lanes, taps - panel)):
            used = len(range(panel + c, min(taps, panel + tiles.panel * lanes), lanes))
            multiply += products * rows * used / 2
            waits += used * max(LATENCY - products * rows / 2, 0)
            loads += (rows + used - 1) * _crossing(tiles, itemsize, "line")
    return _share(multiply, waits, loads)


def plane_share(dtype: str, kh: int, kw: int) -> Share:
    """Of a kernel of kh rows by kw."""
    tiles, products = _tiles(dtype)
    if tiles.strip and kh >= 5 and kw >= 3:
        parts = -(-kh // tiles.strip)
        columns = 3 if kh > 6 * parts else 4
        crossing = _crossing(tiles, np.dtype(dtype).itemsize, "strip")
        return _share(kh * columns * kw / 2, parts * ROW, parts * columns * kw * crossing, "rows' ends")
    rows = tiles.rows if kh > tiles.rows else min(tiles.rows, 4 if kh >= 3 else 2)
    multiply = waits = loads = 0.0
    for i in range(kh + rows - 1):
        outputs = min(i + 1, rows, kh, kh + rows - 1 - i)  # that the input row serves
        multiply += products * outputs * tiles.columns / 2
        waits += max(LATENCY - products * outputs * tiles.columns / 2, 0)
        loads += tiles.columns * _crossing(tiles, np.dtype(dtype).itemsize, "plane")
    return _share(multiply, waits, loads)


def block_share(dtype: str, points: int) -> Share:
    """Of blocks in rings of so many points: the slots of their two kinds of butterflies, and of the transpositions.

    A vector of complex numbers takes, there and back, 8 for each of the first levels and 4 for its two shuffles, 7 for
    each other level, and 4 for the product; the flops are those that transforms are said to take, 2.5 N log2(N) each.
    """
    lanes = _tiles(dtype)[0].register // np.dtype(dtype).type(0).real.itemsize
    first = math.log2(lanes)
    slots = (12 * first + 7 * (math.log2(points) - first) + 4) * points / lanes
    return Share(_block_flops(dtype, points) / (2 * lanes * slots), "caches")


def _block_flops(dtype: str, points: int) -> float:
    return 10 * points * (math.log2(points) + (np.dtype(dtype).kind != "c"))


def _crossing(tiles: Tiles, itemsize: int, tile: str) -> float:
    """Cycles that a load takes from the multiply-adds, over all the places where it may stand in a cache line."""
    return (tiles.register / itemsize - 1) / (64 / itemsize) * CROSSING[tiles.register][tile]


def _tiles(dtype: str) -> tuple[Tiles, int]:
    """The sizes of the tiles, and the multiply-adds for a load and a tap."""
    is_complex = np.dtype(dtype).kind == "c"
    return TILES[_runtime.ISA][is_complex], 1 + is_complex


# ---------------------------------------------------------------------------------------------- the kernels


def cases() -> Iterator[Case]:
    for dtype in ("f4", "f8", "c8", "c16", "i8"):
        for taps in (3, 9, 31, 64, 101, 255, 1001):
            if dtype in ("f4", "f8") or taps in (31, 101):
                yield line(dtype, 10**6, taps)
    for dtype in ("i1", "i2"):
        yield line(dtype, 10**6, 101)
    yield line("f4", 10**8, 3)
    for dtype in ("f4", "f8", "c8", "c16", "i8"):
        for side in (3, 5, 7, 9, 15, 31):
            if dtype in ("f4", "f8") or side in (5, 15):
                yield plane(dtype, 1024, side)
    for dtype in ("i1", "i2"):
        yield plane(dtype, 1024, 9)
    for dtype, side in (("f4", 3), ("f4", 9), ("f4", 31), ("f8", 3)):
        yield plane(dtype, 4096, side)
    for dtype, points in product(("f4", "f8", "c8", "c16"), (1 << 11, 1 << 13)):
        yield blocks(dtype, 10**6, points)
    for side in (9, 31):
        yield separable(1024, side)
    for side in (3, 9):
        x, h, y = draw((2048, 2048), "u1"), draw((side, side), "f4"), np.empty((2048, 2048), "u1")
        share = Share(plane_share("f4", side, side).of_peak, "pixels' conversion")
        for name, kernel in (("", h / side**2), (" of whole numbers", np.rint(h))):
            yield Case(f"filter2d uint8 2048^2 by {side}x{side}{name}",
                       partial(_run, fastconv.image.filter2d, x, kernel, out=y),
                       "f32", 2 * x.size * h.size, 2 * x.nbytes, share)
    x, y = draw((8, 64, 56, 56), "f4"), np.empty((8, 64, 56, 56), "f4")
    for side, why in ((3, "a tile's 16 products for 36"), (5, "multiply-adds")):
        h = draw((64, 64, side, side), "f4")
        yield Case(f"layer 8x64x56x56, 64 channels, {side}x{side}",
                   partial(_run, nn.conv2d, x, h, padding=side // 2, out=y), "f32", 2 * y.size * 64 * side**2,
                   x.nbytes + y.nbytes + h.nbytes, Share(36 / 16 if side == 3 else 1, why))
    x, y = draw((32, 64, 112, 112), "f4"), np.empty((32, 64, 56, 56), "f4")
    yield Case("max pool 32x64x112x112 by 2x2", partial(_run, nn.max_pool2d, x, 2, out=y), moved=x.nbytes + y.nbytes)


def line(dtype: str, n: int, taps: int) -> Case:
    """A signal, by direct sums."""
    x, h, y = draw(n, dtype), draw(taps, dtype), np.empty(n, dtype)
    return _sum(f"{n:.0e}".replace("e+0", "e") + f" by {taps}", x, h, y, line_share(dtype, taps), partial(
        _run, fastconv.convolve, x, h, "same", method="direct", out=y))


def plane(dtype: str, n: int, side: int) -> Case:
    """A square image by a square kernel, by direct sums."""
    x, h, y = draw((n, n), dtype), draw((side, side), dtype), np.empty((n, n), dtype)
    return _sum(f"{n}^2 by {side}x{side}", x, h, y, plane_share(dtype, side, side), partial(
        _run, fastconv.convolve2d, x, h, "same", method="direct", out=y))


def _sum(name: str, x: np.ndarray, h: np.ndarray, y: np.ndarray, share: Share, call: Callable[..., object]) -> Case:
    kind, peak = x.dtype.kind, "f64" if x.dtype in (np.float64, np.complex128, np.int64) else "f32"
    if kind not in "fc":  # twice the lanes of float32, and a sum for each product
        share = Share(WHOLE[_runtime.ISA], "64-bit products") if x.itemsize == 8 else Share(1, "products and sums")
    products = 4 if kind == "c" else 1
    return Case(f"{x.dtype.name} {name}", call, peak, 2 * x.size * h.size * products, x.nbytes + y.nbytes, share)


def separable(n: int, side: int) -> Case:
    x, taps, y = draw((n, n), "f4"), draw(side, "f4") + 1, np.empty((n, n), "f4")
    rows, columns = line_share("f4", side), plane_share("f4", side, 1)
    share = Share(2 / (1 / rows.of_peak + 1 / columns.of_peak), "two passes")
    return Case(f"float32 {n}^2 by {side}x{side}, separable",
                partial(_run, fastconv.convolve2d, x, np.outer(taps, taps), "same", method="separable", out=y),
                "f32", 4 * x.size * side, x.nbytes + y.nbytes, share)


def blocks(dtype: str, n: int, points: int) -> Case:
    """A signal by transforms of blocks, an eighth of which overlaps."""
    size = points if dtype[0] == "c" else 2 * points
    x, h, y = draw(n, dtype), draw(size // 8 + 1, dtype), np.empty((1, n - size // 8), dtype)
    tiles = spectral.Tiles((size - len(h) + 1,), (size,), points, 0)
    flops = (math.ceil(y.size / tiles.shape[0]) + 0.5) * _block_flops(dtype, points)

    def call(workers: int) -> None:
        spectral.correlate(x[None], h, (0,), "fill", 0, y, tiles, workers)

    return Case(f"blocks {y.dtype.name} {n:.0e}".replace("e+0", "e") + f" of {size}", call,
                "f32" if x.real.itemsize == 4 else "f64", flops, x.nbytes + y.nbytes, block_share(dtype, points))


def _run(function: Callable[..., object], *args: object, workers: int, **options: object) -> object:
    return function(*args, **options, workers=workers)


class Result(NamedTuple):
    case: Case
    seconds: tuple[float, float]  # on one thread, on all

    def reached(self, machine: Machine) -> float:
        """The share of the roofline of a machine with all its threads."""
        return self.least(machine) / self.seconds[1]

    def predicted(self, machine: Machine) -> float:
        return max(self._multiply(machine) / self.case.share.of_peak, self._move(machine))

    def least(self, machine: Machine) -> float:
        return max(self._multiply(machine), self._move(machine))

    def holds(self, machine: Machine) -> str:
        predicted = self._multiply(machine) / self.case.share.of_peak
        return "memory" if self._move(machine) > predicted else self.case.share.holds

    def _multiply(self, machine: Machine) -> float:
        return self.case.flops / machine.peak[self.case.peak]

    def _move(self, machine: Machine) -> float:
        return self.case.moved / machine.bandwidth


def time_case(case: Case, workers: int) -> Result:
    calls = [partial(case.call, workers=1), partial(case.call, workers=workers)]
    begin = time.perf_counter()
    calls[1]()
    rounds = max(5, min(25, int(0.1 / (time.perf_counter() - begin))))
    one, all_of_them = quartile_ns(*calls, rounds=rounds)
    return Result(case, (one / 1e9, all_of_them / 1e9))


def table(machines: list[Machine], results: Iterator[Result]) -> list[Result]:
    """Prints the predicted and the measured rate and the share of the roofline, on one thread and on all."""
    for m in machines:
        peaks = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in m.peak.items())
        print(f"{_runtime.ISA}, workers {m.workers}: {peaks} in registers, {m.bandwidth / 1e9:.1f} GB/s of copying")
    columns = "".join(f"{'predicted':>12s} {'measured':>8s} {'roof':>6s}" for _ in machines)
    print(f"{'case':42s} {'':>8s}{columns} {'threads':>8s}  what holds it")
    done = []
    for r in results:
        work, unit = (r.case.flops, "GFLOP/s") if r.case.flops else (r.case.moved, "GB/s")
        row = f"{r.case.name:42s} {unit:>8s}"
        for m, seconds in zip(machines, r.seconds, strict=True):
            row += (f"{work / r.predicted(m) / 1e9:12.1f} {work / seconds / 1e9:8.1f} "
                    f"{100 * r.least(m) / seconds:4.0f} %")
        print(f"{row} {r.seconds[0] / r.seconds[1]:8.2f}  {r.holds(machines[-1])}", flush=True)
        done.append(r)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--plots", action="store_true", help="draw the pictures of docs/performance.rst, too")
    args = parser.parse_args()
    workers = fastconv.get_workers()
    machines = [measure(1), measure(workers)]
    results = table(machines, (time_case(case, workers) for case in cases() if args.only in case.name))
    if args.plots:
        import plots

        plots.write(Path(__file__).parents[1] / "docs" / "_static", machines, results)


if __name__ == "__main__":
    main()
