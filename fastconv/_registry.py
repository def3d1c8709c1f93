"""Whose functions fastconv stands in for: name, signature and kernels of each.

`fastconv.patch` puts these in place; a package's own table of backends is filled from the same rows.
"""
from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FACES = {"numpy": "fastconv", "scipy.signal": "fastconv.signal", "scipy.ndimage": "fastconv.ndimage"}

# Parameters as the incumbent has them today. An older version may lack a keyword-only one; whatever else differs
# is another function.
_CONVOLVE = "(in1, in2, mode='full', method='auto')"
_PLANE = "(in1, in2, mode='full', boundary='fill', fillvalue=0)"
_AXES = "(in1, in2, mode='full', axes=None)"
_WEIGHTS = "(input, weights, output=None, mode='reflect', cval=0.0, origin=0, *, axes=None)"
_WEIGHTS1D = "(input, weights, axis=-1, output=None, mode='reflect', cval=0.0, origin=0)"
_GAUSSIAN = "order=0, output=None, mode='reflect', cval=0.0, truncate=4.0, *, radius=None"
_DERIVATIVE = "(input, sigma, output=None, mode='reflect', cval=0.0, *, axes=None, **kwargs)"
_EDGES = "(input, axis=-1, output=None, mode='reflect', cval=0.0)"
_WINDOW = "size=None, footprint=None, output=None, mode='reflect', cval=0.0, origin=0, *, axes=None)"
_SIZE1D = "(input, size, axis=-1, output=None, mode='reflect', cval=0.0, origin=0)"


@dataclass(frozen=True)
class Row:
    """One function that fastconv stands in for."""

    module: str
    name: str
    signature: str
    kernels: tuple[str, ...]  # the pages of fastconv._kernels that do its work

    @property
    def full_name(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def parameters(self) -> list[inspect.Parameter]:
        template = eval(f"lambda {self.signature[1:-1]}: None")  # of this module's own text
        return list(inspect.signature(template).parameters.values())

    def face(self) -> Callable[..., Any]:
        """The function of fastconv that answers."""
        function: Callable[..., Any] = getattr(importlib.import_module(FACES[self.module]), self.name)
        return function

    def fits(self, original: Callable[..., Any]) -> bool:
        """Whether `original` takes what this row says, keyword-only parameters that are newer left out.

        A parameter can be positional alone in one version and have a name in the next.
        """
        try:
            found = {p.name: _named(p) for p in inspect.signature(original).parameters.values()}
        except ValueError:
            return inspect.isbuiltin(original)  # compiled, without a signature to look at
        expected = list(map(_named, self.parameters))
        needed = [p for p in expected if p.kind is not p.KEYWORD_ONLY]
        shared = [p for p in expected if p.name in found]
        return list(found.values()) == shared and all(p in shared for p in needed)


def _named(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD)
    return parameter


def _rows(module: str, kernels: str, **signatures: str) -> list[Row]:
    return [Row(module, name, signature, tuple(kernels.split())) for name, signature in signatures.items()]


ROWS: dict[str, Row] = {
    row.full_name: row
    for row in [
        *_rows("numpy", "correlate", convolve="(a, v, mode='full')", correlate="(a, v, mode='valid')"),
        *_rows("scipy.signal", "correlate", convolve=_CONVOLVE, correlate=_CONVOLVE, convolve2d=_PLANE,
               correlate2d=_PLANE, fftconvolve=_AXES, oaconvolve=_AXES, sepfir2d="(input, hrow, hcol, /)"),
        *_rows("scipy.signal", "polyphase", upfirdn="(h, x, up=1, down=1, axis=-1, mode='constant', cval=0)"),
        *_rows("scipy.signal", "", choose_conv_method="(in1, in2, mode='full', measure=False)",
               correlation_lags="(in1_len, in2_len, mode='full')"),
        *_rows("scipy.ndimage", "stencil", convolve=_WEIGHTS, correlate=_WEIGHTS),
        *_rows("scipy.ndimage", "separable", convolve1d=_WEIGHTS1D, correlate1d=_WEIGHTS1D,
               gaussian_filter=f"(input, sigma, {_GAUSSIAN}, axes=None)",
               gaussian_filter1d=f"(input, sigma, axis=-1, {_GAUSSIAN})",
               uniform_filter="(input, size=3, output=None, mode='reflect', cval=0.0, origin=0, *, axes=None)",
               uniform_filter1d=_SIZE1D, sobel=_EDGES, prewitt=_EDGES,
               laplace="(input, output=None, mode='reflect', cval=0.0, *, axes=None)",
               gaussian_laplace=_DERIVATIVE, gaussian_gradient_magnitude=_DERIVATIVE),
        *_rows("scipy.ndimage", "extrema", maximum_filter=f"(input, {_WINDOW}", minimum_filter=f"(input, {_WINDOW}",
               maximum_filter1d=_SIZE1D, minimum_filter1d=_SIZE1D),
        *_rows("scipy.ndimage", "ranks", median_filter=f"(input, {_WINDOW}",
               rank_filter=f"(input, rank, {_WINDOW}", percentile_filter=f"(input, percentile, {_WINDOW}"),
    ]
}  # fmt: skip
