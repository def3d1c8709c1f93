"""The pictures of docs/performance.rst: ``python benchmarks/roofline.py --plots``."""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from calibrate import draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from roofline import Machine, Result
from scipy import ndimage, signal

import fastconv
from fastconv._drawing import BLUE, GREY, INK, PALE, RED, STYLE, headline, label

try:
    import torch
except ImportError:
    torch = None

GREEN = "#5b8c5a"
LONG = 0.4  # seconds of a call after which a peer gets no larger work
COLOURS = {"fastconv": BLUE, "NumPy": "#8a6d3b", "SciPy, direct": "#c8563c", "SciPy, overlap-add": "#d99a3d",
           "SciPy": "#c8563c", "SciPy, ndimage": "#d99a3d", "OpenCV": GREEN, "PyTorch": "#7b5ea7"}
Calls = dict[str, Callable[[], Any]]


def write(folder: Path, machines: list[Machine], results: list[Result]) -> None:
    folder.mkdir(exist_ok=True)
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "fastconv"}):
        for name, figure in (("roofline", roofline(machines, results)), ("size", by_size()), ("area", by_area())):
            figure.savefig(folder / f"performance_{name}.svg", metadata={"Date": None})


def roofline(machines: list[Machine], results: list[Result]) -> Figure:
    """Each family of kernels as a line of points beneath what the machine allows, on all threads."""
    machine = machines[-1]
    figure = Figure(figsize=(9, 5.2))
    axes = figure.subplots()
    x = np.geomspace(0.3, 600, 200)
    for name, text in (("f32", "float32"), ("f64", "float64")):
        y = np.minimum(machine.peak[name], x * machine.bandwidth) / 1e9
        axes.fill_between(x, y, 1, color=PALE, alpha=0.6, linewidth=0)
        axes.plot(x, y, color=INK, linewidth=1.2)
        peak = machine.peak[name] / 1e9
        label(axes, 660, peak, f"{text}\n{peak:.0f} GFLOP/s", INK)
    label(axes, 1.0, 0.6 * machine.bandwidth / 1e9, f"memory\n{machine.bandwidth / 1e9:.0f} GB/s", INK)
    families = (("float32 1e6 by ", "1-D, float32", BLUE, "o"), ("float64 1e6 by ", "1-D, float64", BLUE, "s"),
                ("float32 1024^2 by ", "2-D, float32", RED, "o"), ("float64 1024^2 by ", "2-D, float64", RED, "s"),
                ("blocks float32 1e6 ", "blocks, float32", GREEN, "o"),
                ("blocks float64 1e6 ", "blocks, float64", GREEN, "s"))
    for start, text, colour, marker in families:
        family = [r for r in results if r.case.name.startswith(start) and "separable" not in r.case.name]
        at = [r.case.flops / r.case.moved for r in family]
        rate = [r.case.flops / r.seconds[1] / 1e9 for r in family]
        axes.plot(at, rate, color=colour, linewidth=1, marker=marker, markersize=6, markeredgecolor=colour,
                  markerfacecolor=colour if marker == "o" else "white", label=text, zorder=3)
        if marker == "s":  # the same kernels
            continue
        for r, u, v in zip(family, at, rate, strict=True):
            above = colour != RED
            axes.annotate(r.case.name.removeprefix(start), (u, v), (0, 9 if above else -9), textcoords="offset points",
                          ha="center", va="bottom" if above else "top", color=colour, fontsize=8)
    axes.set(xscale="log", yscale="log", xlim=(0.3, 620), ylim=(8, 700), xlabel="multiplications and additions a byte",
             ylabel="GFLOP/s")
    _plain_ticks(axes)
    axes.legend(frameon=False, loc="lower right")
    headline(figure, f"What {machine.workers} cores allow, and what they do")
    return figure


def by_size() -> Figure:
    """Nanoseconds an output of a signal by 31 taps, from 100 samples to as many as the memory holds."""
    h = draw(31, "f4") + 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def calls(n: int) -> Calls:
        x = np.ones(n, "f4")
        ours = {"fastconv": lambda: fastconv.convolve(x, h, "same")}
        if n > 10**8:
            return ours
        return ours | {
            "NumPy": lambda: np.convolve(x, h, "same"),
            "SciPy, direct": lambda: signal.convolve(x, h, "same", method="direct"),
            "SciPy, overlap-add": lambda: signal.oaconvolve(x, h, "same"),
            "OpenCV": lambda: cv2.filter2D(x[None], -1, h[None], borderType=cv2.BORDER_CONSTANT),
        }

    sizes = [10**e for e in range(2, 10) if 8 * 10**e < memory / 2]
    times = _grow(sizes, calls)
    figure = Figure(figsize=(9, 4.8))
    axes = figure.subplots()
    _draw(axes, {name: [(n, 1e9 * t / n) for n, t in line] for name, line in times.items()})
    axes.set(xlabel="samples", ylabel="ns a sample", xlim=(70, 2.2e10))
    axes.set_xticks(sizes)
    headline(figure, "A signal by 31 taps, float32")
    return figure


def by_area() -> Figure:
    """Milliseconds of an image of 1024 x 1024 by kernels of 3 x 3 to 63 x 63."""
    image = draw((1024, 1024), "f4")

    def calls(side: int) -> Calls:
        h = np.random.default_rng(side).standard_normal((side, side)).astype("f4")
        flipped = np.ascontiguousarray(h[::-1, ::-1])
        found = {
            "fastconv": lambda: fastconv.convolve2d(image, h, "same"),
            "SciPy": lambda: signal.convolve(image, h, "same"),
            "SciPy, ndimage": lambda: ndimage.convolve(image, h, mode="constant"),
            "OpenCV": lambda: cv2.filter2D(image, -1, flipped, borderType=cv2.BORDER_CONSTANT),
        }
        if torch:
            x, w = torch.from_numpy(image)[None, None], torch.from_numpy(flipped)[None, None]
            found["PyTorch"] = lambda: torch.nn.functional.conv2d(x, w, padding=side // 2)
        return found

    sides = [3, 5, 7, 9, 11, 15, 21, 31, 45, 63]
    times = _grow(sides, calls)
    figure = Figure(figsize=(9, 4.8))
    axes = figure.subplots()
    _draw(axes, {name: [(k, 1e3 * t) for k, t in line] for name, line in times.items()})
    axes.set(xlabel="side of the kernel", ylabel="ms", xlim=(2.7, 125))
    _plain_ticks(axes)
    axes.set_xticks(sides, [str(k) for k in sides])
    axes.minorticks_off()
    headline(figure, "An image of 1024 x 1024 by a square kernel, float32")
    return figure


def _grow(sizes: Iterable[int], calls: Callable[[int], Calls]) -> dict[str, list[tuple[int, float]]]:
    """Median seconds of each call at each size, until a call takes too long."""
    times: dict[str, list[tuple[int, float]]] = {}
    tired: set[str] = set()
    for n in sizes:
        rounds: dict[str, list[float]] = {}
        ready = {name: call for name, call in calls(n).items() if name not in tired}
        once = {name: _seconds(call, 1) for name, call in ready.items()}
        for _ in range(7 if sum(once.values()) < 1 else 1):
            for name, call in ready.items():
                rounds.setdefault(name, []).append(_seconds(call, max(1, min(200, int(1e-3 / once[name])))))
        for name, found in rounds.items():
            times.setdefault(name, []).append((n, float(np.median(found))))
            if min(found) > LONG and name != "fastconv":
                tired.add(name)
    return times


def _seconds(call: Callable[[], Any], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times


def _draw(axes: Axes, lines: dict[str, list[tuple[float, float]]]) -> None:
    """A line for each library, named at its end; names that would overlap move apart."""
    axes.set(xscale="log", yscale="log")
    for name, points in lines.items():
        ours = name == "fastconv"
        axes.plot(*zip(*points, strict=True), color=COLOURS[name], linewidth=2.6 if ours else 1.4, marker="o",
                  markersize=4.5 if ours else 3, zorder=4 if ours else 3)
    below = 0.0
    low, high = axes.get_ylim()
    for name, points in sorted(lines.items(), key=lambda line: line[1][-1][1]):
        x, y = points[-1]
        at = max(y, below * (high / low) ** 0.055)
        label(axes, x * 1.12, at, name, COLOURS[name], weight="bold" if name == "fastconv" else "normal")
        below = at


def _plain_ticks(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(which="minor", color=GREY, length=2)
