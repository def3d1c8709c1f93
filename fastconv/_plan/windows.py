"""Modes: every one is a window, (start, count), of the full result of n + k - 1 outputs."""
from __future__ import annotations

import operator

_MODES = ("valid", "same", "full")


def numpy_mode(mode: object) -> str:
    """NumPy's mode: a name, or its number."""
    if isinstance(mode, str):
        if mode in _MODES:
            return mode
        raise ValueError(f"mode is {mode!r}; use one of 'valid', 'same', or 'full'")
    if not isinstance(mode, bool):
        try:
            number = operator.index(mode)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if 0 <= number <= 2:
                return _MODES[number]
            if -(2**31) <= number < 2**31:  # beyond a C int NumPy does not understand it at all
                raise ValueError(f"mode is {number}; as an integer it must be 0 (valid), 1 (same) or 2 (full)")
    raise TypeError(f"mode is {mode!r}; use one of 'valid', 'same', or 'full'")


def numpy_window(mode: str, n: int, k: int) -> tuple[int, int]:
    """The window of a line of n with k taps, n >= k: 'same' has n outputs."""
    if mode == "full":
        return 0, n + k - 1
    if mode == "same":
        return (k - 1) // 2, n
    return k - 1, n - k + 1


def signal_window(mode: str, n: int, k: int) -> tuple[int, int]:
    """The window along an axis of n with k taps in `scipy.signal`: 'same' has n outputs, whichever is longer."""
    if mode == "full":
        return 0, n + k - 1
    if mode == "same":
        return (k - 1) // 2, n
    return min(n, k) - 1, abs(n - k) + 1
