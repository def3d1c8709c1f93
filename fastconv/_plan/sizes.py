"""Sizes: how many windows fit along an axis, and why if they do not.

Along an axis of I samples with P_before and P_after samples of padding, a window of K taps, D apart, that moves
by S has

    O = (I - D (K - 1) - 1 + P_before + P_after) / S + 1

places. Every function of `fastconv.nn` reads its stride, padding and dilation here.
"""
from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Axis", "ShapeError", "channels_last", "output_size", "per_axis", "windows"]

REMAINDERS = ("raise", "drop", "pad")

AXES = {1: ("input length",), 2: ("input height", "input width")}  # what messages call them


class ShapeError(ValueError):
    """Sizes that do not go together; the message says which number is wrong, and what would fit."""

    __module__ = "fastconv"  # where users find it


class Axis(NamedTuple):
    """A window's way along one axis: all in samples of the input, but for the counts `kernel` and `output`."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int  # padding
    after: int
    overhang: int  # of the last window beyond the padding, where a remainder is padded
    output: int

    @property
    def span(self) -> int:
        """From a window's first tap to its last, both counted."""
        return self.dilation * (self.kernel - 1) + 1


def output_size(
    input: Any, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, *, remainder: str = "raise"
) -> Any:
    r"""
    Number of places that a sliding window has: the output size of a convolution or pooling layer.

    .. math:: O = \frac{I - D (K - 1) - 1 + 2 P}{S} + 1

    Parameters
    ----------
    input : int or sequence of int
        The size I of an axis, or of several.
    kernel : int or sequence of int
        Taps K of the window, for all axes or for each.
    stride : int or sequence of int, optional
        By how much the window moves, S.
    padding : int, sequence or {'same', 'valid'}, optional
        What is added on both sides of an axis, P: one number for all axes, one for each, or a pair (before,
        after) for each as in `numpy.pad`; a single axis takes one pair as it is. 'same' gives ceil(I / S)
        places, an odd sample of padding coming after; 'valid' pads nothing.
    dilation : int or sequence of int, optional
        Distance D of the window's taps.
    remainder : {'raise', 'drop', 'pad'}, optional
        What happens where the division leaves a remainder. 'raise' refuses the sizes. 'drop' rounds down, as
        PyTorch does: the last samples are not seen. 'pad' rounds up, PyTorch's and ONNX's ``ceil_mode``: the
        last window reaches over the end, unless it would start there.

    Returns
    -------
    int or tuple of int
        As `input` is.

    Raises
    ------
    ShapeError
        Sizes that do not divide, a window larger than the padded input, numbers that are too small. The
        message works the equation out and names the nearest strides and paddings that fit.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.output_size(13, kernel=3, stride=2)
    6
    >>> fastconv.nn.output_size((224, 224), kernel=7, stride=2, padding=3, remainder='drop')
    (112, 112)
    >>> fastconv.nn.output_size(10, kernel=3, stride=2)
    Traceback (most recent call last):
        ...
    fastconv.ShapeError: input 10, kernel 3, stride 2, padding 0, dilation 1 do not divide:
    O = (10 - 1*(3 - 1) - 1 + 2*0)/2 + 1 = 7/2 + 1 = 4.5; stride 1 or 7 fits, padding (0, 1) fits,
    remainder='drop' gives 4, remainder='pad' gives 5
    """
    alone = not isinstance(input, Sequence) and not hasattr(input, "__len__")
    sizes = [_whole(n, "input") for n in ([input] if alone else input)]
    names = ("input",) if alone else None
    found = tuple(axis.output for axis in windows(sizes, kernel, stride, padding, dilation, remainder, names))
    return found[0] if alone else found


def windows(
    sizes: Sequence[int],
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    remainder: str,
    names: Sequence[str] | None = None,
) -> tuple[Axis, ...]:
    """The way of a window along each axis, from the parameters as users give them."""
    ndim = len(sizes)
    kernels = per_axis(kernel, "kernel", ndim)
    strides = per_axis(stride, "stride", ndim)
    dilations = per_axis(dilation, "dilation", ndim)
    if remainder not in REMAINDERS:
        raise ValueError(f"remainder is {remainder!r}; use one of {', '.join(map(repr, REMAINDERS))}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding is {padding!r}; use 'same', 'valid' or numbers")
        pads = [(0, 0)] * ndim
    else:
        pads = _pads(padding, ndim)
    if names is None:
        names = AXES.get(ndim) or [f"input[{i}]" for i in range(ndim)]
    found = []
    for what, size, k, s, d, (before, after) in zip(names, sizes, kernels, strides, dilations, pads, strict=True):
        if size < 0:
            raise ShapeError(f"{what} is {size}; it cannot be negative")
        if padding == "same":
            output = -(-size // s)
            total = max((output - 1) * s + d * (k - 1) + 1 - size, 0) if output else 0
            axis = Axis(size, k, s, d, total // 2, total - total // 2, 0, output)
        else:
            axis = _counted(Axis(size, k, s, d, before, after, 0, 0), remainder, what)
        if max(axis.span, axis.size + axis.before + axis.after + axis.overhang) > sys.maxsize:
            raise ShapeError(f"{what} {size} with kernel {k}, dilation {d} and padding {before, after} is more "
                             f"than this machine can count ({sys.maxsize})")  # fmt: skip
        found.append(axis)
    return tuple(found)


def _counted(axis: Axis, remainder: str, what: str) -> Axis:
    """The axis with its output and overhang."""
    room = axis.size + axis.before + axis.after - axis.span
    steps, rest = divmod(room, axis.stride)
    output = steps + 1
    if rest and remainder == "pad" and (output * axis.stride < axis.size + axis.before):
        output += 1
    if output < 1 or (room < 0 and remainder != "pad"):
        raise ShapeError(
            f"the window is larger than the padded input: kernel {axis.kernel} with dilation {axis.dilation} spans "
            f"{axis.span}, {what} {axis.size} with padding {_shown(axis.before, axis.after)} has "
            f"{axis.size + axis.before + axis.after}"
        )
    if rest and remainder == "raise":
        raise ShapeError(_undivided(axis, what))
    return axis._replace(output=output, overhang=max((output - 1) * axis.stride - room, 0))


def _undivided(axis: Axis, what: str) -> str:
    """The equation in numbers, and what would fit."""
    size, k, s, d, before, after, _, _ = axis
    room = size + before + after - axis.span
    rest, total = room % s, before + after
    below, above = min(s - 1, room), min(s + 1000, room)
    lower = next((n for n in range(below, max(below - 1000, 0), -1) if room % n == 0), 1)
    upper = next((n for n in range(s + 1, above + 1) if room % n == 0), room)
    strides = [lower, upper] if upper > s else [lower]
    totals = [n for n in (total - rest, total + s - rest) if n >= 0]
    if s % 2 and not any(n % 2 == 0 for n in totals):
        totals.append(total + 2 * s - rest)  # the nearest that is the same on both sides
    paddings = [_shown(n // 2, n - n // 2) for n in totals]
    padded = f"2*{before}" if before == after else f"{before} + {after}"
    ceil = _counted(axis, "pad", what).output
    return (
        f"{what} {size}, kernel {k}, stride {s}, padding {_shown(before, after)}, dilation {d} do not divide: "
        f"O = ({size} - {d}*({k} - 1) - 1 + {padded})/{s} + 1 = {room}/{s} + 1 = {room / s + 1:.4g}; "
        f"stride {_either(strides)} fits, padding {_either(paddings)} fits, "
        f"remainder='drop' gives {room // s + 1}, remainder='pad' gives {ceil}"
    )


def _shown(before: int, after: int) -> str:
    return str(before) if before == after else f"({before}, {after})"


def _either(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def per_axis(value: Any, name: str, ndim: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for every axis, or one for each."""
    if hasattr(value, "__len__"):
        values = tuple(_whole(n, name) for n in value)
        if len(values) != ndim:
            raise ShapeError(f"{name} is {tuple(value)}; it needs one number, or {ndim} for {ndim} axes")
    else:
        values = (_whole(value, name),) * ndim
    for n in values:
        if n < least:
            raise ShapeError(f"{name} is {value}; it must be at least {least}")
    return values


def _pads(padding: Any, ndim: int) -> list[tuple[int, int]]:
    """(before, after) of each axis."""
    if not hasattr(padding, "__len__"):
        padding = (padding,) * ndim
    if ndim == 1 and len(padding) == 2:
        padding = (padding,)
    if len(padding) != ndim:
        raise ShapeError(f"padding is {padding}; it needs one number, {ndim} for {ndim} axes, or {ndim} pairs "
                         "(before, after)")  # fmt: skip
    pads = []
    for entry in padding:
        pair = tuple(entry) if hasattr(entry, "__len__") else (entry, entry)
        if len(pair) != 2:
            raise ShapeError(f"padding holds {entry}; an axis takes one number or a pair (before, after)")
        before, after = (_whole(n, "padding") for n in pair)
        if before < 0 or after < 0:
            raise ShapeError(f"padding is {_shown(before, after)}; it cannot be negative")
        pads.append((before, after))
    return pads


def _whole(value: Any, name: str) -> int:
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise TypeError(f"{name} must be whole numbers, got {value!r}")


def channels_last(layout: str, ndim: int) -> bool:
    """Whether a layout of so many spatial axes has its channels last."""
    first, last = ("NCHW", "NHWC") if ndim == 2 else ("NCW", "NWC")
    if layout not in (first, last):
        raise ValueError(f"layout is {layout!r}; use {first!r} or {last!r}")
    return layout == last
