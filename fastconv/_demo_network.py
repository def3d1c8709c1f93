"""What a layer of a convolutional network is, in six pictures: the demo's second half.

From the layer as a matrix to a network that has learned its kernels. All the filtering, pooling and learning is done
by `fastconv.nn`; the rest is matplotlib. The digits are those that scikit-learn ships.
"""
from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.transforms import Affine2D
from sklearn.datasets import load_digits

import fastconv
from fastconv import ShapeError, kernels, nn
from fastconv._drawing import (
    BLUE,
    GREY,
    INK,
    LETTER,
    LIGHT,
    PALE,
    PIXELS,
    RED,
    Array,
    caption,
    grace_hopper,
    headline,
    label,
)
from fastconv.nn.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, Sequential

PAPER = matplotlib.colormaps["gray_r"]
SIGNED = matplotlib.colormaps["RdBu"]  # blue is positive


def pictures(lenet: Lenet) -> dict[str, Callable[[], Figure]]:
    """What draws each picture, by its name."""
    return {"layer_matrix": layer_matrix, "anywhere": anywhere, "two_twos": two_twos, "volume": volume,
            "sizes": sizes, "lenet": lambda: draw_lenet(lenet)}


# ------------------------------------------------------------------------------------------- a layer is a matrix

def layer_matrix() -> Figure:
    """A layer as the matrix of which it is the product: few weights, in many places."""
    rng = np.random.default_rng(2)
    picture, kernel = rng.integers(0, 10, (6, 6)), np.arange(1, 10).reshape(3, 3)
    matrix = nn.as_matrix(kernel[None, None], (1, 6, 6))
    result = (matrix @ picture.ravel()).reshape(4, 4)
    # Integers: not nearly the same, but the same.
    np.testing.assert_array_equal(result, fastconv.correlate2d(picture, kernel, "valid"))
    np.testing.assert_array_equal(result, nn.conv2d(picture[None], kernel[None, None])[0])

    figure = Figure(figsize=(14, 10.6))
    above, below = figure.subfigures(2, 1, height_ratios=[5.4, 5], squeeze=False).flat
    headline(above, "One kernel, one channel: 576 entries, of which 144 are not zero, and nine different weights")
    parts = above.add_gridspec(2, 3, width_ratios=[1, 3.3, 1.15])
    nine = ListedColormap(["#f1f4f7", *matplotlib.colormaps["turbo"](np.linspace(0.08, 0.92, 9))])

    axes = above.add_subplot(parts[0, 0])
    numbers(axes, kernel, "the kernel", nine)
    axes = above.add_subplot(parts[1, 0])
    numbers(axes, picture, "the picture", PIXELS, vmax=16)
    axes.add_patch(Rectangle((2, 1), 3, 3, fill=False, edgecolor=RED, linewidth=2.5))
    axes = above.add_subplot(parts[:, 1])
    axes.pcolormesh(matrix.toarray(), cmap=nine, edgecolors="white", linewidth=0.6)
    axes.add_patch(Rectangle((0, 6), 36, 1, fill=False, edgecolor=RED, linewidth=2.5))
    axes.set_title("the matrix: a row for each output, a column for each pixel")
    axes.invert_yaxis()
    axes.set_box_aspect(0.62)
    caption(axes, "each row is the kernel, moved along")
    axes = above.add_subplot(parts[:, 2])
    numbers(axes, result, "matrix @ picture", PIXELS, vmax=600)
    axes.add_patch(Rectangle((2, 1), 1, 1, fill=False, edgecolor=RED, linewidth=2.5))
    axes.set_xlabel("= correlate2d = conv2d,\nto the last bit")

    weight = 1 + rng.permutation(2 * 3 * 9).reshape(2, 3, 3, 3)
    headline(below, "Two kernels over red, green and blue, stride 2: rows in a block a kernel, columns in one a colour")
    layer = nn.as_matrix(weight, (3, 9, 9), stride=2).toarray()
    shown = np.ones((*layer.shape, 3))
    for colour, name in enumerate(("Reds", "Greens", "Blues")):
        block = slice(81 * colour, 81 * (colour + 1))
        depth = layer[:, block] / weight.size * 0.7 + 0.25
        tinted = matplotlib.colormaps[name](depth)[..., :3]
        shown[:, block] = np.where(layer[:, block, None] > 0, tinted, 0.955)
    axes = below.subplots()
    axes.imshow(shown, interpolation="nearest", extent=(0, 243, 32, 0))
    for line in (81, 162):
        axes.axvline(line, color="white", linewidth=2)
    axes.axhline(16, color="white", linewidth=2)
    axes.set_aspect(2.6)
    caption(axes, f"{layer.shape[0]} outputs x {layer.shape[1]} values of the picture: {layer.size:,} entries, "
                  f"{weight.size} different weights. A layer that shares none would have to learn {layer.size:,}.")
    return figure


def numbers(axes: Axes, values: Array, title: str, cmap: Colormap, vmax: float | None = None) -> None:
    """A small table of whole numbers on coloured ground."""
    axes.pcolormesh(values, cmap=cmap, vmin=0, vmax=vmax or values.max(), edgecolors="white", linewidth=1.2)
    for (row, column), value in np.ndenumerate(values):
        dark = value in (1, 2, 8, 9) if vmax is None else value > 0.55 * vmax
        axes.text(column + 0.5, row + 0.52, f"{value}", ha="center", va="center", color="white" if dark else INK)
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    caption(axes, "")


# ------------------------------------------------------------------------------- the same response, wherever it is

def anywhere() -> Figure:
    """What is moved in the picture is moved in the response, and nothing else happens to it."""
    picture = np.zeros((30, 76))
    others = {(3, 5): LETTER.T, (17, 25): LETTER[:, ::-1], (3, 43): LETTER[::-1], (20, 68): LETTER[::-1, ::-1]}
    places = [(4, 20), (18, 8), (12, 58), (18, 40)]
    for (row, column), letter in (others | dict.fromkeys(places, LETTER)).items():
        picture[row : row + letter.shape[0], column : column + letter.shape[1]] = letter
    detector = LETTER / LETTER.sum() - (1 - LETTER) / (1 - LETTER).sum()  # ink where it is wanted, none elsewhere
    response = nn.conv2d(picture[None], detector[None, None], padding=(3, 2), activation="relu")[0]
    found = [response[row - 2 : row + 9, column - 3 : column + 8] for row, column in places]

    figure = Figure(figsize=(15, 7))
    above, below = figure.subfigures(2, 1, height_ratios=[1.85, 1], squeeze=False).flat
    headline(above, "A feature gives the same response wherever it stands")
    for axes, shown, title, cmap in zip(
        above.subplots(1, 2), (picture, response), ("letters", "a layer that looks for the upright F"),
        (PAPER, PIXELS), strict=True,
    ):  # fmt: skip
        axes.imshow(shown, cmap=cmap, extent=(0, 76, 30, 0), interpolation="nearest", vmax=1.15 if cmap is PAPER else 1)
        axes.set_title(title)
        caption(axes, "")
        for row, column in places:
            axes.add_patch(Rectangle((column - 3, row - 2), 11, 11, fill=False, edgecolor=RED, linewidth=1.8))
    panels = below.subplots(1, 1 + len(places))
    panels[0].imshow(detector, cmap=SIGNED, vmin=-0.09, vmax=0.09, extent=(0, 5, 7, 0))
    panels[0].set(title="its kernel", xlim=(-3, 8), ylim=(9, -2))
    caption(panels[0], "blue: ink here, red: none here")
    for number, (axes, one) in enumerate(zip(panels[1:], found, strict=True), 1):
        axes.imshow(one, cmap=PIXELS, vmax=1)
        axes.set_title(f"response {number}")
        caption(axes, f"differs from the first by {np.abs(one - found[0]).max():g}" if number > 1 else
                f"its peak: {one.max():.2f}")
    return figure


# ----------------------------------------------------------------------------------------- robust against small moves

def two_twos() -> Figure:
    """Two versions of a 2: far apart as pixels, close as pooled edges."""
    first, second = handwritten_twos()
    steps: dict[str, Callable[[Array], Array]] = {
        "the pixels": lambda two: two,
        "Sobel: where ink begins and ends": edges,
        "... the strongest in each 2 x 2": lambda two: nn.max_pool2d(edges(two)[None], 2)[0],
        "... in each 4 x 4": lambda two: nn.max_pool2d(edges(two)[None], 4)[0],
        "... in each 8 x 8": lambda two: nn.max_pool2d(edges(two)[None], 8)[0],
    }
    figure = Figure(figsize=(15, 9.4))
    headline(figure, "Two versions of a handwritten 2: the larger the pool, the more they are the same")
    grid = figure.subplots(3, len(steps))
    for column, (title, step) in zip(grid.T, steps.items(), strict=True):
        one, two = step(first), step(second)
        top = max(one.max(), two.max())
        for axes, shown in zip(column[:2], (one, two), strict=True):
            axes.imshow(shown, cmap=PAPER, vmin=0, vmax=top, interpolation="nearest")
            caption(axes, "")
        column[0].set_title(title)
        column[2].imshow(one - two, cmap=SIGNED, vmin=-top, vmax=top, interpolation="nearest")
        alike = np.corrcoef(one.ravel(), two.ravel())[0, 1]
        caption(column[2], "")
        column[2].set_xlabel(f"{100 * alike:.0f} % alike", color=BLUE, fontsize=15, weight="bold", labelpad=8)
    for axes, name in zip(grid[:, 0], ("one", "the other", "their difference"), strict=True):
        axes.set_ylabel(name, fontsize=11)
    return figure


def handwritten_twos() -> tuple[Array, Array]:
    """The same hand writes a 2 twice: places that the pen passes, across and down."""
    once = written([17, 21, 30, 40, 44, 41, 31, 18, 28, 38, 48], [21, 13, 9, 12, 20, 30, 41, 53, 51, 53, 51])
    again = written([19, 24, 33, 42, 45, 42, 33, 20, 30, 40, 49], [20, 12, 10, 14, 22, 31, 41, 51, 51, 53, 52])
    return once, again


def written(columns: list[int], rows: list[int]) -> Array:
    """64 x 64 pixels of ink along a line that goes smoothly by these places."""
    pen = np.linspace(0, len(rows) - 1, 400)
    bell = kernels.gaussian(16, ndim=1)
    x, y = (
        fastconv.convolve(np.pad(np.interp(pen, range(len(places)), places), len(bell) // 2, "edge"), bell, "valid")
        for places in (columns, rows)
    )
    pixels = np.arange(64)
    distance = np.hypot(pixels - x[:, None, None], pixels[:, None] - y[:, None, None]).min(axis=0)
    ink: Array = np.clip(2.1 - distance, 0, 1)
    return ink


def edges(picture: Array) -> Array:
    """The strength of edges of any direction: two kernels, two channels, one length."""
    weight = np.stack([kernels.sobel(0), kernels.sobel(1)])[:, None]
    strength: Array = np.hypot(*nn.conv2d(picture[None], weight, padding=1))
    return strength


# ------------------------------------------------------------------------------------------------ volumes and depth

def volume() -> Figure:
    """A layer takes a volume to a volume; a depth column is what all its kernels say of one place."""
    photo = np.asarray(grace_hopper(), dtype=np.float32)[40:360, 96:416].transpose(2, 0, 1) / 255
    photo = nn.avg_pool2d(photo, 5)
    nothing = np.zeros((3, 3))
    named = {
        "upright edges": np.stack([kernels.sobel(1)] * 3),
        "lying edges": np.stack([kernels.sobel(0)] * 3),
        "red, not blue": 4 * np.stack([kernels.box(3), nothing, -kernels.box(3)]),
        "light, not dark": np.stack([kernels.gaussian(0.8, radius=1)] * 3),
    }
    weight = np.stack(list(named.values())).astype(np.float32)
    response = nn.conv2d(photo, weight, padding=1)
    row, column = 32, 30

    figure = Figure(figsize=(16, 5.6))
    headline(figure, f"From a volume to a volume: {by(photo.shape)}, seen by {len(weight)} kernels of "
                     f"{by(weight.shape[1:])}, becomes {by(response.shape)}")
    axes, bars = figure.subplots(1, 2, width_ratios=[6, 1])
    axes.set(xlim=(-2, 349), ylim=(87, -28))
    axes.set_aspect("equal")
    axes.axis("off")
    tints = ("#ff2a1f", "#22c43c", "#2f6bff")
    for depth in (2, 1, 0):
        tinted = photo[depth, :, :, None] * to_rgb(tints[depth])
        leaf(axes, tinted, 26 * depth, -9 * depth, edge=tints[depth], front=8 - depth)
        outline(axes, 26 * depth, -9 * depth, row - 1, column - 1, 3)
    for number, (kernel, name) in enumerate(zip(weight, named, strict=True)):
        for depth in range(3):
            leaf(axes, kernel[depth], 122 + 13 * depth, 23 * number - 11 - 4 * depth, size=14, cmap=SIGNED,
                 top=np.abs(kernel).max(), edge=tints[depth])  # fmt: skip
        label(axes, 166, 23 * number - 8, name, INK)
    for depth in reversed(range(4)):
        leaf(axes, response[depth], 207 + 30 * depth, -9 * depth, cmap=SIGNED,
             top=np.quantile(np.abs(response[depth]), 0.98), front=8 - depth)  # fmt: skip
    places = [project(207 + 30 * depth, -9 * depth, row + 0.5, column + 0.5) for depth in range(4)]
    axes.plot(*zip(*places, strict=True), "o-", color="black", markersize=6, linewidth=1.8, zorder=9)
    for x, text in [(0, "three channels; in yellow, what one output sees"), (122, "each kernel sees all three"),
                    (207, "a plane for each kernel; in black, a depth column")]:  # fmt: skip
        label(axes, x, 84, text, INK)
    values = response[:, row, column]
    bars.barh(range(4), values, color=[SIGNED(0.5 + 0.38 * np.sign(value)) for value in values], height=0.6)
    bars.axvline(0, color=GREY, linewidth=1)
    bars.set_yticks(range(4), list(named))
    bars.invert_yaxis()
    bars.set_title("the depth column:\none place, four answers")
    bars.grid(axis="y", visible=False)
    bars.tick_params(axis="y", length=0)
    bars.spines["left"].set_visible(False)
    bars.set_box_aspect(1.5)
    return figure


NARROW, RISE = 0.82, 0.32  # a leaf of a volume is seen from the side: less wide, and going up to the right


def leaf(
    axes: Axes, plane: Array, x: float, y: float, size: float = 64, cmap: Colormap | None = None,
    top: float | None = None, edge: str = "white", front: float = 1,
) -> None:  # fmt: skip
    """One plane of a volume; `front` says which planes it hides."""
    aside = np.array([[NARROW, 0, x], [-RISE * NARROW, 1, y + RISE * NARROW * size], [0, 0, 1]])
    turned = Affine2D(aside) + axes.transData
    axes.imshow(plane, cmap=cmap, vmin=None if top is None else -top, vmax=top, extent=(0, size, size, 0),
                transform=turned, interpolation="nearest", zorder=front)  # fmt: skip
    axes.add_patch(Rectangle((0, 0), size, size, fill=False, edgecolor=edge, linewidth=1.6, transform=turned,
                             zorder=front))  # fmt: skip


def project(x: float, y: float, row: float, column: float, size: float = 64) -> tuple[float, float]:
    """Where a pixel of a leaf is drawn."""
    return x + NARROW * column, y + RISE * NARROW * (size - column) + row


def outline(axes: Axes, x: float, y: float, row: int, column: int, size: int) -> None:
    corners = [(row, column), (row, column + size), (row + size, column + size), (row + size, column), (row, column)]
    drawn = [project(x, y, *corner) for corner in corners]
    axes.plot(*zip(*drawn, strict=True), color="#ffd84a", linewidth=2.2, zorder=9)


def by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


# ------------------------------------------------------------------------------------------------ sizes that fit

def sizes() -> Figure:
    """How often a window fits, and what can be done where it does not."""
    figure = Figure(figsize=(15, 9.2))
    above, said, below = figure.subfigures(3, 1, height_ratios=[3.5, 1.25, 6.4], squeeze=False).flat
    headline(above, r"How many windows?   $O = (I - D\,(K - 1) - 1 + 2P)\,/\,S + 1$,   here K = 3 and S = 2")
    fits, fails = above.subplots(1, 2)
    windows(fits, 13, 3, 2, 0, 0, f"input 13: {nn.output_size(13, 3, 2)} windows")
    windows(fails, 10, 3, 2, 0, 0, "input 10: four windows, and a half")
    try:
        nn.output_size(10, kernel=3, stride=2)
    except ShapeError as error:
        message = str(error)
    axes = said.subplots()
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.add_patch(FancyBboxPatch((0.01, 0.08), 0.98, 0.84, boxstyle="round,pad=0,rounding_size=0.015",
                                  mutation_aspect=6, facecolor="#faf1ee", edgecolor="none"))  # fmt: skip
    text = "\n".join(textwrap.wrap("ShapeError: " + message, 118))
    axes.text(0.025, 0.5, text, family="monospace", fontsize=10.5, va="center", color=INK, linespacing=1.6)

    headline(below, "What can be done about it")
    panels = below.subplots(2, 3).ravel()
    windows(panels[0], 10, 3, 1, 0, 0, f"stride=1: {nn.output_size(10, 3, 1)} windows")
    windows(panels[1], 10, 3, 7, 0, 0, f"stride=7: {nn.output_size(10, 3, 7)} windows")
    windows(panels[2], 10, 3, 2, 0, 1, f"padding=(0, 1): {nn.output_size(10, 3, 2, (0, 1))} windows")
    windows(panels[3], 10, 3, 2, 1, 0, f"padding=(1, 0): {nn.output_size(10, 3, 2, (1, 0))} windows")
    fewer, more = (nn.output_size(10, 3, 2, remainder=way) for way in ("drop", "pad"))
    windows(panels[4], 10, 3, 2, 0, 0, f"remainder='drop': {fewer} windows", "drop")
    windows(panels[5], 10, 3, 2, 0, 0, f"remainder='pad': {more} windows", "pad")
    return figure


def windows(
    axes: Axes, size: int, kernel: int, stride: int, before: int, after: int, title: str, remainder: str = "raise"
) -> None:
    """An axis of samples, and beneath it all places of the window."""
    starts = range(-before, size + after, stride)
    whole = [start for start in starts if start + kernel <= size + after]
    seen = max(start + kernel for start in whole)
    for cell in range(-before, size + after):
        padding = cell < 0 or cell >= size
        lost = cell >= seen and remainder == "drop"
        axes.add_patch(Rectangle((cell + 0.04, 0), 0.92, 0.92, linewidth=1, linestyle="--" if padding else "-",
                                 facecolor="white" if padding else PALE if lost else LIGHT,
                                 edgecolor=GREY if padding else "none"))  # fmt: skip
        axes.text(cell + 0.5, 0.48, "0" if padding else str(cell), ha="center", va="center", fontsize=9,
                  color=GREY if padding or lost else INK)  # fmt: skip
    places = list(whole)
    if seen < size + after and remainder != "drop":
        places.append(whole[-1] + stride)  # the window that hangs over the end
    for number, start in enumerate(places):
        y = 1.25 + 0.52 * number
        fits = start in whole
        colour = BLUE if fits or remainder == "pad" else RED
        axes.add_patch(FancyBboxPatch((start + 0.12, y), kernel - 0.24, 0.24, facecolor=colour + ("" if fits else "50"),
                                      boxstyle="round,pad=0,rounding_size=0.12", edgecolor=colour,
                                      linestyle="-" if fits else "--", linewidth=1))  # fmt: skip
        label(axes, start + kernel + 0.1, y + 0.13, str(number + 1) if fits or remainder == "pad" else "?", colour)
    if remainder == "drop" and seen < size:
        label(axes, seen + 0.1, 1.38, "not seen", GREY)
    axes.set(title=title, xlim=(-1.2, 14), ylim=(5.2, -0.2))
    axes.set_aspect("equal")
    axes.axis("off")


# --------------------------------------------------------------------------------------------- learning the kernels

@dataclass
class Lenet:
    """A network that was trained on two thirds of scikit-learn's digits, and what it makes of the other third."""

    network: Sequential
    losses: list[float]
    pictures: Array  # held out: (N, 1, 8, 8)
    labels: Array
    predicted: Array

    @property
    def accuracy(self) -> float:
        return float((self.predicted == self.labels).mean())

    @property
    def confusion(self) -> Array:
        """How often each digit, down, was taken for each, across."""
        counted = np.zeros((10, 10), int)
        np.add.at(counted, (self.labels, self.predicted), 1)
        return counted

    def report(self) -> str:
        """Accuracy and confusion matrix, as text."""
        rows = [f"{digit:>6}  " + "".join(f"{count or '.':>5}" for count in row)
                for digit, row in enumerate(self.confusion)]  # fmt: skip
        return "\n".join([
            f"The network reads {100 * self.accuracy:.1f} % of {len(self.labels)} digits it has never seen.",
            "Confusion matrix: digits down, what they were taken for across",
            " " * 8 + "".join(f"{digit:>5}" for digit in range(10)), *rows,
        ])  # fmt: skip


def learn_digits(quick: bool = False) -> Lenet:
    """Train a small LeNet; `quick` sees the digits once, and learns accordingly."""
    rng = np.random.default_rng(0)
    digits = load_digits()
    pictures, labels = digits.images[:, None].astype(np.float32) / 16, digits.target
    order = rng.permutation(len(labels))
    held_out, known = order[: len(order) // 3], order[len(order) // 3 :]
    network = Sequential(
        Conv2d(1, 16, 3, padding=1, activation="relu", rng=rng),
        Conv2d(16, 32, 3, padding=1, activation="relu", rng=rng),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.5, rng=rng),
        Linear(512, 10, rng=rng),
    )
    # A digit moved by a pixel is the same digit: five times as many to learn from.
    padded = np.pad(pictures[known], ((0, 0), (0, 0), (1, 1), (1, 1)))
    moved = [padded[:, :, row : row + 8, column : column + 8] for row, column in
             [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]]  # fmt: skip
    x, y = np.concatenate(moved), np.tile(labels[known], len(moved))
    optimizer = nn.optim.Adam(network.parameters(), lr=2e-3)
    losses = network.fit(x, y, optimizer, epochs=1 if quick else 10, rng=rng)
    if not quick:
        optimizer.lr = 4e-4  # small steps at the end
        losses += network.fit(x, y, optimizer, epochs=5, rng=rng)
    return Lenet(network, losses, pictures[held_out], labels[held_out], network.predict(pictures[held_out]))


def draw_lenet(lenet: Lenet) -> Figure:
    """What it learned, what it sees in a digit, how well it reads."""
    first, second, pool = lenet.network.layers[:3]
    assert isinstance(first, Conv2d)
    surest = lenet.network.forward(lenet.pictures)[:, 2].argmax()
    digit = lenet.pictures[surest : surest + 1]
    seen = first.forward(digit)
    deeper = second.forward(seen)
    pooled = pool.forward(deeper)

    figure = Figure(figsize=(16, 10.6))
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.3], squeeze=False).flat
    headline(above, "Kernels that were learned, and what they make of a 2")
    axes_digit, axes_kernels, axes_seen, axes_pooled = above.subplots(1, 4, width_ratios=[1, 1, 1, 2.05])
    axes_digit.imshow(digit[0, 0], cmap=PAPER, interpolation="nearest")
    weight = first.weight.value[:, 0]
    axes_kernels.imshow(tiled(weight, 4), cmap=SIGNED, vmin=-np.abs(weight).max(), vmax=np.abs(weight).max(),
                        interpolation="nearest")  # fmt: skip
    axes_seen.imshow(tiled(seen[0], 4), cmap=PIXELS, interpolation="nearest")
    axes_pooled.imshow(tiled(pooled[0], 8), cmap=PIXELS, interpolation="nearest")
    for axes, title, text in [
        (axes_digit, "a digit of 8 x 8", "never seen in training"),
        (axes_kernels, "16 learned kernels", "blue: ink here, red: none here"),
        (axes_seen, "what each finds in it", f"{by(seen.shape[1:])}: edges and ends of strokes"),
        (axes_pooled, "the second layer's 32, pooled", f"{by(pooled.shape[1:])}: what the decision is made from"),
    ]:
        axes.set_title(title)
        caption(axes, text)

    table, right = below.subfigures(1, 2, width_ratios=[1.05, 1.3], squeeze=False).flat
    draw_confusion(table.subplots(), lenet)
    curve, wrong = right.subfigures(2, 1, height_ratios=[1.15, 1], squeeze=False).flat
    axes = curve.subplots()
    axes.plot(range(1, len(lenet.losses) + 1), lenet.losses, "o-", color=BLUE, markersize=4)
    axes.set(title="The loss, mean of each pass through the training digits", xlabel="pass", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    draw_mistakes(wrong, lenet)
    return figure


def draw_confusion(axes: Axes, lenet: Lenet) -> None:
    counts = lenet.confusion
    axes.pcolormesh(np.sqrt(counts), cmap=PIXELS, edgecolors="white", linewidth=1.2)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            right = row == column
            axes.text(column + 0.5, row + 0.53, str(count), ha="center", va="center",
                      color="white" if right else RED, weight="normal" if right else "bold")  # fmt: skip
    axes.set_title(f"{100 * lenet.accuracy:.1f} % of {len(lenet.labels)} held-out digits are read rightly")
    axes.grid(visible=False)
    axes.set(xlabel="read as", ylabel="digit")
    names = [str(digit) for digit in range(10)]
    axes.set_xticks(np.arange(10) + 0.5, names)
    axes.set_yticks(np.arange(10) + 0.5, names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    axes.set_aspect("equal")


def draw_mistakes(figure: SubFigure, lenet: Lenet) -> None:
    wrong = np.flatnonzero(lenet.predicted != lenet.labels)
    figure.suptitle(f"Read wrongly: {min(len(wrong), 7)} of {len(wrong)}", x=0.01, ha="left", fontsize=11)
    for axes, at in zip(figure.subplots(1, 7), [*wrong[:7], *[None] * 7], strict=False):
        axes.axis("off")
        if at is not None:
            axes.imshow(lenet.pictures[at, 0], cmap=PAPER, interpolation="nearest")
            axes.set_title(f"{lenet.labels[at]}, read as {lenet.predicted[at]}", fontsize=9.5, loc="center")


def tiled(planes: Array, columns: int) -> Array:
    """Pictures side by side, with gaps that are drawn as nothing."""
    height, width = planes.shape[1:]
    rows = -(-len(planes) // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, plane in enumerate(planes):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = plane
    return sheet
