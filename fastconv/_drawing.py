"""What the demo's pictures share: colours, style, and a few things to draw."""
from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import get_sample_data
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import FigureBase
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

INK, GREY, LIGHT, PALE = "#26323d", "#9aa7b4", "#ccd5dd", "#e6ebf0"
BLUE, RED = "#1f6f9f", "#c8563c"
PIXELS = LinearSegmentedColormap.from_list("pixels", ["#f1f4f7", BLUE])
# It looks different flipped along any axis, so that nobody can take one convention for another.
LETTER = np.array([[1, 1, 1, 1, 1],
                   [1, 0, 0, 0, 0],
                   [1, 0, 0, 0, 0],
                   [1, 1, 1, 1, 0],
                   [1, 0, 0, 0, 0],
                   [1, 0, 0, 0, 0],
                   [1, 0, 0, 0, 0]])

STYLE: Any = {
    "figure.dpi": 160, "savefig.dpi": 160, "figure.facecolor": "white", "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.12, "figure.constrained_layout.h_pad": 0.12,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 10, "text.color": INK,
    "axes.titlesize": 11, "axes.titlelocation": "left", "axes.titlepad": 9, "axes.titlecolor": INK,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": PALE, "grid.linewidth": 0.8,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "lines.linewidth": 1.6, "lines.solid_capstyle": "round",
}


def grace_hopper() -> Image.Image:
    """Rear Admiral Grace Hopper, the photograph that matplotlib ships."""
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        return file.convert("RGB")


def headline(figure: FigureBase, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=13, weight="bold")


def draw_pixels(axes: Axes, pixels: Array, title: str, formula: str) -> None:
    axes.pcolormesh(pixels, cmap=PIXELS, edgecolors="white", linewidth=1)
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    caption(axes, formula)


def caption(axes: Axes, text: str) -> None:
    """A line of text beneath an image, in place of ticks and frame."""
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[], xlabel=text)
    axes.spines[:].set_visible(False)


def label(axes: Axes, x: float, y: float, text: str, colour: str, **kwargs: Any) -> None:
    axes.text(x, y, text, color=colour, fontsize=9.5, **{"va": "center", **kwargs})
