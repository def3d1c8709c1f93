"""What convolution is for, in twelve pictures: ``python -m fastconv demo``.

Read it from top to bottom: each picture is one function. All the filtering is done by `fastconv`; the rest is
matplotlib. SciPy and NumPy take part in the last picture alone, where they are timed on the same arrays. The pictures
of layers, and of a network that learns, are in `_demo_network`.
"""
from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pywt.data
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from PIL import Image
from scipy import ndimage, signal
from tqdm import tqdm

import fastconv
from fastconv import _demo_network, image, kernels
from fastconv._drawing import (
    BLUE,
    GREY,
    INK,
    LETTER,
    LIGHT,
    PALE,
    RED,
    STYLE,
    Array,
    caption,
    draw_pixels,
    grace_hopper,
    headline,
    label,
)
from fastconv._pictures import magnitude


def run(folder: Path, quick: bool = False) -> None:
    """Write all pictures to `folder` and print what there is to read; `quick` learns little and times small arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    print("The mean of three, of", *TEN_VALUES)
    print("                   is", *(f"{value:.2f}" for value in mean_of_three(TEN_VALUES)), flush=True)
    lenet = _demo_network.learn_digits(quick)
    pictures = {"signals": signals, "ecg": ecg, "photo_grey": photo_grey, "photo_colour": photo_colour,
                "conventions": conventions, **_demo_network.pictures(lenet)}
    with matplotlib.rc_context(STYLE):
        for name, draw in tqdm(pictures.items(), desc="pictures", unit="picture"):
            draw().savefig(folder / f"{name}.png")
        timings = [time_case(case, quick) for case in tqdm(cases(quick), desc="timings ", unit="case")]
        draw_timings(timings).savefig(folder / "timings.png")
    print(lenet.report())
    print(table(timings))
    print(f"Pictures are in {folder}:", ", ".join(f"{name}.png" for name in [*pictures, "timings"]))


# ---------------------------------------------------------------------------------------------- one dimension

TEN_VALUES = [10, 9, 10, 9, 10, 1, 10, 9, 10, 8]


def mean_of_three(values: list[int]) -> Array:
    """Each value averaged with the two before it; before the first there is nothing, which counts as 0."""
    return fastconv.convolve(values, kernels.box(3, ndim=1))[:len(values)]


def smooth(x: Array, kernel: Array) -> Array:
    """Weighted mean around each sample.

    Beyond the ends convolution finds zeros, which would pull the ends down. Dividing by what the kernel makes
    of all ones leaves a mean of the samples that are there.
    """
    weights = fastconv.convolve(np.ones_like(x), kernel, "same")
    smoothed: Array = fastconv.convolve(x, kernel, "same") / weights
    return smoothed


def signals() -> Figure:
    """Ten values and their mean of three; a noisy sine and its Gaussian mean."""
    figure = Figure(figsize=(12, 4.2))
    few, many = figure.subplots(1, 2, width_ratios=[2, 3])

    n = np.arange(len(TEN_VALUES))
    few.bar(n, TEN_VALUES, width=0.62, color=PALE)
    few.plot(n, mean_of_three(TEN_VALUES), "o-", color=BLUE, markersize=5)
    few.set(title="Ten values and their mean of three", xticks=n, ylim=(0, 11.5), xlabel="sample")
    few.grid(axis="x", visible=False)
    label(few, 0.25, 3.2, "(0 + 0 + 10) / 3", BLUE)
    label(few, 6, 6.1, "one low value,\nin three means", BLUE, va="top", ha="center")

    t = np.linspace(0, 3, 900)
    clean = np.sin(2 * np.pi * t)
    noisy = clean + np.random.default_rng(1).normal(scale=0.35, size=t.size)
    many.plot(t, noisy, color=GREY, linewidth=0.6)
    many.plot(t, clean, color=RED, linewidth=1.2, linestyle=(0, (4, 2)))
    many.plot(t, smooth(noisy, kernels.gaussian(15, ndim=1)), color=BLUE, linewidth=2)
    many.set(title="A sine in noise, smoothed by a Gaussian", xlabel="periods", xlim=(0, 3.4))
    many.set_xticks([0, 1, 2, 3])
    label(many, 3.04, noisy[-1] - 0.35, "measured", GREY)
    label(many, 3.04, 0.05, "smoothed", BLUE)
    label(many, 3.04, 0.3, "the sine", RED)
    return figure


def ecg() -> Figure:
    """An electrocardiogram rid of its hum, then of its wandering baseline."""
    x = pywt.data.ecg().astype(np.float64)
    # The hum repeats every 6 samples, so a mean over 6 removes all of it. Over an even number a mean falls
    # between two samples; a second one over 2 brings it back onto them. Kernels convolve as signals do.
    hum_free = smooth(x, fastconv.convolve(kernels.box(6, ndim=1), kernels.box(2, ndim=1)))
    # A beat takes some 330 samples. The mean over one beat knows no beats, only what drifts beneath them.
    baseline = smooth(hum_free, kernels.box(331, ndim=1))

    figure = Figure(figsize=(14, 6.6))
    (before, hum), (after, peak) = figure.subplots(2, 2, width_ratios=[3, 1])
    before.plot(x, color=GREY, linewidth=1)
    before.plot(baseline, color=RED)
    before.set(title="A heart, as it was recorded", xlim=(0, x.size - 1))
    label(before, 335, 0, "mean over one beat", RED)
    after.axhline(0, color=RED, linewidth=1)
    after.plot(hum_free - baseline, color=BLUE)
    after.set(title="Without the hum, and with the mean over one beat taken away", xlim=(0, x.size - 1),
              xlabel="sample")

    hum.plot(x, color=GREY, linewidth=1.2)
    hum.plot(hum_free, color=BLUE)
    hum.set(title="Close up: the hum goes", xlim=(860, 930), ylim=(-118, -86))
    peak.plot(x - baseline, color=GREY, linewidth=1.2)
    peak.plot(hum_free - baseline, color=BLUE)
    peak.set(title="... for a fifth of the peak", xlim=(490, 560), xlabel="sample")
    return figure


# --------------------------------------------------------------------------------------------- two dimensions

def photo_grey() -> Figure:
    """The photograph in grey: a 2-D array."""
    return photograph(grace_hopper().convert("L"))


def photo_colour() -> Figure:
    """The photograph in colour: a 3-D array, of which the last axis holds red, green and blue."""
    return photograph(grace_hopper())


def photograph(picture: Image.Image) -> Figure:
    """Blur, sharpen, find edges: the same call with other kernels, clipped to 0..255 by it."""
    pixels = np.asarray(picture)
    channel_axis = 2 if pixels.ndim == 3 else None  # each colour is filtered by itself

    def filtered(kernel: Array) -> Array:
        return image.filter2d(pixels, kernel, channel_axis=channel_axis)

    # The Laplacian finds grain as well as edges, so it is blurred a little, then made bright enough to see.
    laplace = 5 * fastconv.convolve2d(kernels.gaussian(1.2), kernels.laplacian(8))
    panels = {
        "Grace Hopper": pixels,
        "blurred": filtered(kernels.gaussian(4)),
        "sharpened": filtered(kernels.sharpen(1)),
        "edges: Laplace": filtered(laplace),
        "edges: Sobel": magnitude(pixels, [kernels.sobel(0), kernels.sobel(1)], channel_axis=channel_axis),
    }
    figure = Figure(figsize=(16.6, 4.4))
    for axes, (title, panel) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(panel, cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
        axes.set_title(title)
        axes.axis("off")
    return figure


# ------------------------------------------------------------------------------------------------ conventions

def conventions() -> Figure:
    """Three things that authors settle differently and all call convolution: flip, origin and size."""
    figure = Figure(figsize=(12, 13))
    flip, origin, size = figure.subfigures(3, 1, squeeze=False, hspace=0.05).flat
    draw_flip(flip)
    draw_origin(origin)
    draw_size(size)
    return figure


def draw_flip(figure: SubFigure) -> None:
    """A single bright pixel answers with the kernel itself, or with the kernel turned around."""
    headline(figure, "Flipped or not: what one bright pixel becomes")
    pixel = np.zeros((11, 11))
    pixel[5, 5] = 1
    kernel, convolved, correlated = figure.subplots(1, 3)
    draw_pixels(kernel, np.pad(LETTER, ((2, 2), (3, 3))), "the kernel", "$k[p]$")
    draw_pixels(convolved, fastconv.convolve2d(pixel, LETTER, "same"),
                "convolution flips it: it comes out upright",
                r"$y[i] = \sum_p k[p]\; x[i - p + \lfloor K/2 \rfloor]$")
    draw_pixels(correlated, fastconv.correlate2d(pixel, LETTER, "same"),
                "correlation does not: it comes out turned",
                r"$y[i] = \sum_p k[p]\; x[i + p - \lfloor K/2 \rfloor]$")


def draw_origin(figure: SubFigure) -> None:
    """The same sums, put in another place."""
    headline(figure, "Corner or centre: where the result stands")
    pixel = np.zeros((11, 11))
    pixel[3, 3] = 1
    original, corner, centre = figure.subplots(1, 3)
    draw_pixels(original, pixel, "the image", "$x[i]$")
    draw_pixels(corner, fastconv.convolve2d(pixel, LETTER)[:11, :11], "origin in the kernel's corner: moved",
                r"$y[i] = \sum_p k[p]\; x[i - p]$")
    draw_pixels(centre, fastconv.convolve2d(pixel, LETTER, "same"), "origin in the kernel's centre: in place",
                r"$y[i] = \sum_p k[p]\; x[i - p + \lfloor K/2 \rfloor]$")
    for axes in (corner, centre):
        axes.add_patch(Rectangle((3, 3), 1, 1, fill=False, edgecolor=RED, linewidth=2.5))


def draw_size(figure: SubFigure) -> None:
    """The kernel at its first place: touching the image's corner, centred on it, or all within."""
    headline(figure, "Full, same or valid: how far the kernel may hang over the image")
    face = np.asarray(grace_hopper().convert("L"), dtype=np.float64)[60:360, 118:418]
    n, k = len(face), 61
    sizes = {"full": "$N + K - 1$", "same": "$N$", "valid": "$N - K + 1$"}
    for axes, (mode, size) in zip(figure.subplots(1, 3), sizes.items(), strict=True):
        result = fastconv.convolve2d(face, kernels.gaussian(6, radius=k // 2), mode)
        overhang = (len(result) - n) / 2
        axes.imshow(result, cmap="gray", vmin=0, vmax=255,
                    extent=(-overhang, n + overhang, n + overhang, -overhang))
        axes.add_patch(Rectangle((0, 0), n, n, fill=False, edgecolor=RED, linewidth=1.2, linestyle="--"))
        first = 0.5 - overhang - k / 2
        axes.add_patch(Rectangle((first, first), k, k, facecolor=BLUE + "60", edgecolor=BLUE, linewidth=1.4))
        axes.set_title(f"'{mode}'")
        axes.set(xlim=(-k, n + k), ylim=(n + k, -k))
        caption(axes, f"{size} = {len(result)}")
    label(axes, n, -14, "the image", RED, ha="right")
    label(axes, -9, k / 2, "the\nkernel", BLUE, ha="right")


# ---------------------------------------------------------------------------------------------------- timings

@dataclass
class Case:
    """One job and the calls that do it, by their names; all must give the same result."""

    name: str
    ours: Callable[[int | None], Array]  # given the number of workers, None for all
    numpy: dict[str, Callable[[], Array]]
    scipy: dict[str, Callable[[], Array]]
    tolerance: float = 1e-3


@dataclass
class Timing:
    """Medians in milliseconds; NumPy's and SciPy's with the name of the fastest of their calls."""

    name: str
    numpy: tuple[float, str]
    scipy: tuple[float, str]
    one_worker: float
    all_workers: float

    @property
    def ratio(self) -> float:
        return min(self.numpy[0], self.scipy[0]) / self.all_workers


def cases(quick: bool) -> list[Case]:
    """Signals and images of everyday sizes, a hundredth of them to be quick."""
    rng = np.random.default_rng(0)
    length, side = (10**4, 100) if quick else (10**6, 1024)

    def noise(*shape: int, dtype: str = "float32") -> Array:
        return rng.random(shape).astype(dtype)

    return [
        signal_case(noise(length), noise(31)),
        signal_case(noise(length, dtype="float64"), noise(101, dtype="float64")),
        signal_case(noise(length), noise(2001)),
        lines_case(noise(side // 4, 4 * side), noise(63)),
        image_case(noise(side, side), noise(3, 3), shifted_sum, signal.convolve2d),
        image_case(noise(side, side, dtype="float64"), noise(9, 9, dtype="float64"), rfft2,
                   signal.oaconvolve),
        image_case(noise(side, side), noise(31, 31), rfft2, signal.oaconvolve),
        photo_case(np.asarray(grace_hopper()), sigma=2),
    ]


def signal_case(x: Array, taps: Array) -> Case:
    return Case(f"1-D {x.dtype}, {x.size:,} by {taps.size:,}",
                lambda workers: fastconv.convolve(x, taps, "same", workers=workers),
                {"convolve": lambda: np.convolve(x, taps, "same")},
                {"convolve": lambda: signal.convolve(x, taps, "same"),
                 "oaconvolve": lambda: signal.oaconvolve(x, taps, "same")})


def lines_case(x: Array, taps: Array) -> Case:
    return Case(f"1-D {x.dtype}, {len(x)} lines of {x.shape[1]:,} by {taps.size}",
                lambda workers: fastconv.convolve(x, taps, "same", axis=1, workers=workers),
                {"convolve": lambda: np.apply_along_axis(np.convolve, 1, x, taps, "same")},
                {"convolve1d": lambda: ndimage.convolve1d(x, taps, mode="constant"),
                 "oaconvolve": lambda: signal.oaconvolve(x, taps[np.newaxis], "same", axes=1)})


def image_case(x: Array, kernel: Array, by_numpy: Callable[[Array, Array], Array],
               by_scipy: Callable[..., Array]) -> Case:
    return Case(f"2-D {x.dtype}, {x.shape[0]:,} x {x.shape[1]:,} by {kernel.shape[0]} x {kernel.shape[1]}",
                lambda workers: fastconv.convolve2d(x, kernel, "same", workers=workers),
                {by_numpy.__name__: lambda: by_numpy(x, kernel)},
                {"signal.convolve": lambda: signal.convolve(x, kernel, "same"),
                 by_scipy.__name__: lambda: by_scipy(x, kernel, "same")})


def shifted_sum(x: Array, kernel: Array) -> Array:
    """What one writes with NumPy alone for a small kernel: the image shifted and weighted for each tap."""
    (rows, columns), (height, width) = x.shape, kernel.shape
    padded = np.pad(x, [(height // 2,), (width // 2,)])
    total = np.zeros_like(x)
    for p, q in np.ndindex(height, width):
        total += kernel[-1 - p, -1 - q] * padded[p:p + rows, q:q + columns]
    return total


def rfft2(x: Array, kernel: Array) -> Array:
    """What one writes with NumPy alone for a large kernel."""
    (rows, columns), (height, width) = x.shape, kernel.shape
    shape = rows + height - 1, columns + width - 1
    product = np.fft.rfft2(x, shape) * np.fft.rfft2(kernel, shape)
    return np.fft.irfft2(product, shape)[height // 2:height // 2 + rows, width // 2:width // 2 + columns]


def photo_case(x: Array, sigma: float) -> Case:
    kernel = kernels.gaussian(sigma)
    return Case(f"photo {x.dtype}, {x.shape[0]} x {x.shape[1]} x 3, Gaussian blur",
                lambda workers: image.filter2d(x, kernel, channel_axis=2, workers=workers),
                {},
                {"gaussian_filter": lambda: ndimage.gaussian_filter(x, sigma, mode="mirror", axes=(0, 1))},
                tolerance=2)  # SciPy cuts fractions off, once for each axis, where fastconv rounds


def time_case(case: Case, quick: bool) -> Timing:
    """Time every call in turn, round after round, so that what slows the machine slows all of them."""
    calls: dict[tuple[str, str], Callable[[], Array]] = {
        ("fastconv", "one"): lambda: case.ours(1), ("fastconv", "all"): lambda: case.ours(None),
        **{("numpy", name): call for name, call in case.numpy.items()},
        **{("scipy", name): call for name, call in case.scipy.items()},
    }
    expected = next(iter(case.scipy.values()))()
    for call in calls.values():  # the first round checks, and warms up caches and threads
        np.testing.assert_allclose(call().astype("f8"), expected.astype("f8"), rtol=1e-4, atol=case.tolerance)

    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    end = time.perf_counter() + (0.02 if quick else 1.0)
    while len(seconds["fastconv", "all"]) < 3 or time.perf_counter() < end:
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[key].append(time.perf_counter() - start)
    medians = {key: 1e3 * statistics.median(values) for key, values in seconds.items()}

    def fastest(library: str) -> tuple[float, str]:
        return min(((ms, name) for (owner, name), ms in medians.items() if owner == library),
                   default=(math.inf, ""))

    return Timing(case.name, fastest("numpy"), fastest("scipy"),
                  medians["fastconv", "one"], medians["fastconv", "all"])


def table(timings: list[Timing]) -> str:
    """The timings as text. The ratio is that of the faster one of NumPy and SciPy to fastconv."""
    def line(*cells: str) -> str:
        return "{:<44}{:>8}{:>9} {:<17}{:>9}{:>11}{:>9}".format(*cells)

    rows = [line(t.name, milliseconds(t.numpy[0]), milliseconds(t.scipy[0]), f"({t.scipy[1]})",
                 milliseconds(t.one_worker), milliseconds(t.all_workers), f"{t.ratio:.1f} x")
            for t in timings]
    return "\n".join([
        line("", "NumPy", "SciPy", "(the fastest)", "fastconv", "fastconv", "ratio"),
        line("median in milliseconds", "", "", "", "workers=1", f"workers={fastconv.get_workers()}", ""),
        *rows,
    ])


def milliseconds(ms: float) -> str:
    return f"{ms:.2f}" if math.isfinite(ms) else "-"


def draw_timings(timings: list[Timing]) -> Figure:
    """Horizontal bars on a logarithmic scale, labelled with their milliseconds."""
    figure = Figure(figsize=(12, 0.85 * len(timings) + 1.2))
    axes = figure.subplots()
    for row, t in enumerate(timings):
        bars = [(*t.numpy, "NumPy", LIGHT, INK), (*t.scipy, "SciPy", GREY, INK),
                (t.all_workers, "", "fastconv", BLUE, BLUE)]
        bars = [bar for bar in bars if math.isfinite(bar[0])]
        for place, (ms, call, library, colour, text_colour) in enumerate(bars):
            y = row + 0.26 * (place - (len(bars) - 1) / 2)
            axes.barh(y, ms, height=0.23, color=colour)
            label(axes, ms * 1.08, y, f"{ms:.3g} ms  {library} {call}", text_colour)
        axes.text(1, row, f"{t.ratio:.2g} x", color=BLUE if t.ratio > 1 else RED, fontsize=14, weight="bold",
                  transform=axes.get_yaxis_transform(), va="center", ha="right")
    axes.set(xscale="log", xlabel="milliseconds, median: shorter is faster", ylim=(len(timings) - 0.5, -0.5))
    axes.set_yticks(range(len(timings)), [t.name for t in timings])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title(f"fastconv with workers={fastconv.get_workers()}, and how many times as fast it is as the "
                   "faster of NumPy and SciPy")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    every = [ms for t in timings for ms in (t.numpy[0], t.scipy[0], t.all_workers) if math.isfinite(ms)]
    axes.set_xlim(min(every) / 2, max(every) * 20)  # room for labels and ratios
    return figure
