"""fastconv in the place of NumPy's and SciPy's functions, in programs that know nothing of it.

A stand-in answers by fastconv's face of the same name. What that does not cover, or refuses, goes to the original,
so that results and errors are the original's, and is counted with the reason. While a stand-in is at work in a
thread, every other one it meets there leads straight to its original: SciPy's functions call each other, and
fastconv calls NumPy.
"""
from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import logging
import os
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._registry import ROWS, Row

__all__ = ["Calls", "Report", "patch", "patch_report", "patched", "unpatch"]

Function = Callable[..., Any]

# What an argument may be for fastconv to answer: numbers for which there are kernels, and what NumPy itself would
# make an array of. Everything else may have an answer of its own, which the original knows to ask for.
_CODES = frozenset("?bBhHiIlLqQefdFD")
_PLAIN = frozenset({bool, int, float, complex, str, list, tuple, type, type(None)})
_PROTOCOLS = ("__array_function__", "__array_namespace__", "__torch_function__")

_log = logging.getLogger("fastconv.patch")


class _Thread(threading.local):
    inside = False  # a stand-in is at work in this thread


_thread = _Thread()


# --- what was called -------------------------------------------------------------------------------------


@dataclass
class Calls:
    """Calls of one function: how many fastconv answered, and how many went to the original for which reason."""

    accelerated: int = 0
    passed_on: Counter[str] = field(default_factory=Counter)


class Report(dict[str, Calls]):
    """Calls by the full name of the function. Its text is a table."""

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        lines = [f"{'':{width}}  accelerated  passed on"]
        for name, calls in self.items():
            lines.append(f"{name:{width}}  {calls.accelerated:11}  {calls.passed_on.total():9}")
            lines += [f"{'':{width}}  {'':11}  {count:9} {reason}" for reason, count in calls.passed_on.most_common()]
        return "\n".join(lines) if self else "no calls of functions that fastconv stands in for"


_calls: dict[str, Calls] = {name: Calls() for name in ROWS}


def patch_report() -> Report:
    """
    Say how many calls fastconv answered since it was imported, and how many went to the original, and why.

    Returns
    -------
    Report
        By the function's full name, a `Calls` with the number `accelerated` and the numbers `passed_on` by reason,
        for each function that was called. Printed, it is a table.

    See Also
    --------
    patch : put fastconv in place.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> with fastconv.patched():
    ...     _ = np.convolve([1, 2, 3], [1, 1])
    >>> fastconv.patch_report()["numpy.convolve"].accelerated > 0
    True
    """
    with _counting:
        return Report(
            (name, Calls(calls.accelerated, Counter(calls.passed_on)))
            for name, calls in _calls.items()
            if calls.accelerated or calls.passed_on
        )


# --- a stand-in ------------------------------------------------------------------------------------------


def _stand_in(row: Row, face: Function, original: Function) -> Function:
    calls, name = _calls[row.full_name], row.full_name
    try:
        parameters = inspect.signature(original).parameters.values()
        keywords = frozenset(p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY)
    except ValueError:
        keywords = frozenset()  # compiled functions of old take none
    if any(p.kind is p.VAR_KEYWORD for p in row.parameters):
        keywords |= {"order", "truncate", "radius"}  # of the Gaussian that they are handed on to

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _thread.inside:
            return original(*args, **kwargs)
        reason = _not_covered(args)
        if kwargs and reason is None:
            unknown = kwargs.keys() - keywords
            reason = f"keyword {min(unknown)}" if unknown else _not_covered(kwargs.values())
        fault: Exception | None = None
        _thread.inside = True
        try:
            if reason is None:
                try:
                    result = face(*args, **kwargs)
                except MemoryError:
                    raise  # the work had begun, maybe in place
                except Exception as error:
                    fault, reason = error, f"{type(error).__name__} in fastconv alone"
            if reason is not None:
                try:
                    result = original(*args, **kwargs)
                except BaseException as error:
                    if fault is not None:
                        reason = f"error: {type(error).__name__}"
                    raise
        finally:
            _thread.inside = False
            with _counting:
                if reason is None:
                    calls.accelerated += 1
                else:
                    calls.passed_on[reason] += 1
            if _verbose:
                outcome = "accelerated" if reason is None else f"passed on, {reason}"
                _log.info("%s(%s): %s", name, _brief(args, kwargs), f"{outcome} ({fault})" if fault else outcome)
        return result

    return call


def _not_covered(values: Iterable[Any]) -> str | None:
    """Why fastconv does not answer a call with these arguments, if so."""
    for value in values:
        kind = type(value)
        if kind is np.ndarray:
            if value.dtype.char not in _CODES:
                return f"dtype {value.dtype.name}"
        elif kind not in _PLAIN and (reason := _stranger(value)):
            return reason
    return None


def _stranger(value: Any) -> str | None:
    kind = type(value)
    if isinstance(value, np.generic):
        return None if value.dtype.char in _CODES else f"dtype {value.dtype.name}"
    if isinstance(value, np.ndarray):
        return f"subclass {kind.__module__}.{kind.__qualname__}"
    if not isinstance(value, type) and any(hasattr(kind, protocol) for protocol in _PROTOCOLS):
        return f"array of {kind.__module__}.{kind.__qualname__}"
    return None


def _brief(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    def show(value: Any) -> str:
        if isinstance(value, np.ndarray):
            return f"{value.dtype}{list(value.shape)}"
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:37]}..."

    return ", ".join([*map(show, args), *(f"{name}={show(value)}" for name, value in kwargs.items())])


# --- putting them in place -------------------------------------------------------------------------------

_fixed: set[str] = set()  # by patch()
_held: Counter[str] = Counter()  # by blocks of patched()
_in_place: dict[str, tuple[Function, Function]] = {}  # original and stand-in
_made: dict[str, tuple[Function, Function | None]] = {}  # None: the original is left alone
_verbose = 0  # how many ask for a log, patch() being one


def _new_locks() -> None:
    """Locks of this process: one that another thread held at a fork would stay locked for ever."""
    global _counting, _placing
    _counting = threading.Lock()
    _placing = threading.RLock()


_counting: threading.Lock
_placing: threading.RLock
_new_locks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_locks)


def patch(names: str | Iterable[str] | None = None, verbose: bool = False) -> None:
    """
    Put fastconv in the place of NumPy's and SciPy's functions, in this process, until `unpatch`.

    Modules that hold them by ``from scipy.signal import convolve2d``, SciPy's own among them, hold the stand-ins
    afterwards. What they were copied to otherwise (a class, a closure, a default argument) is not found.

    Parameters
    ----------
    names : str or iterable of str, optional
        Which: ``'scipy.signal.convolve2d'``, all of ``'scipy.ndimage'``, or ``'convolve'`` wherever there is one.
        By default all that are installed. More calls add to what is in place.
    verbose : bool, optional
        Log each call, as accelerated or passed on and why, to the logger ``fastconv.patch``; where logging is not
        set up, to the standard error. ``FASTCONV_VERBOSE=1`` in the environment does the same.

    Raises
    ------
    ValueError
        A name that fastconv has no function for.

    Warns
    -----
    RuntimeWarning
        A function of the installed NumPy or SciPy has parameters that fastconv does not know. It stays.

    See Also
    --------
    patched : for a block of code.
    patch_report : what became of the calls.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.patch("numpy")
    >>> np.convolve([1, 2, 3], [1, 1])
    array([1, 3, 5, 3])
    >>> fastconv.unpatch()
    """
    global _verbose
    chosen = _select(names)
    with _placing:
        if verbose and not _loud.is_set():
            _loud.set()
            _listen(1)
        _fixed.update(chosen)
        _settle()


def unpatch(names: str | Iterable[str] | None = None) -> None:
    """
    Take out what `patch` put in place, wherever it is by now. Blocks of `patched` that are open keep theirs.

    Parameters
    ----------
    names : str or iterable of str, optional
        Which, as in `patch`. By default all, and logging ends.
    """
    chosen = _select(names)
    with _placing:
        if names is None and _loud.is_set():
            _loud.clear()
            _listen(-1)
        _fixed.difference_update(chosen)
        _settle()


class patched(contextlib.ContextDecorator):
    """
    Put fastconv in the place of NumPy's and SciPy's functions for a block of code, or a function as its decorator.

    Blocks may be nested, and be open in several threads: the whole process is patched until the last one ends.

    Parameters
    ----------
    names, verbose
        As in `patch`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> original = np.convolve
    >>> with fastconv.patched():
    ...     print(np.convolve is original)
    False
    >>> np.convolve is original
    True
    """

    def __init__(self, names: str | Iterable[str] | None = None, verbose: bool = False) -> None:
        self._chosen = _select(names)
        self._verbose = verbose

    def __enter__(self) -> None:
        with _placing:
            _listen(int(self._verbose))
            _held.update(self._chosen)
            _settle()

    def __exit__(self, *exc: object) -> None:
        with _placing:
            _listen(-int(self._verbose))
            _held.subtract(self._chosen)
            _settle()


_loud = threading.Event()  # patch() was asked for a log


def _listen(change: int) -> None:
    global _verbose
    _verbose += change
    if change > 0:
        _log.setLevel(logging.INFO)
        if not _log.hasHandlers():
            _log.addHandler(logging.StreamHandler())


def _select(names: str | Iterable[str] | None) -> list[str]:
    if names is None:
        return list(ROWS)
    chosen = []
    for name in [names] if isinstance(names, str) else names:
        found = [full for full, row in ROWS.items() if name in (full, row.module, row.name)]
        if not found:
            raise ValueError(f"fastconv has no function in the place of {name!r}; it has {', '.join(ROWS)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _settle() -> None:
    """Put in place what is asked for and is not, take out what is and is not asked for."""
    changes: dict[int, Function] = {}
    for name, row in ROWS.items():
        wanted = name in _fixed or _held[name] > 0
        if wanted and name not in _in_place:
            pair = _pair(row)
            if pair is not None:
                _in_place[name] = pair
                changes[id(pair[0])] = pair[1]
        elif not wanted and name in _in_place:
            original, stand_in = _in_place.pop(name)
            changes[id(stand_in)] = original
    if changes:
        _rebind(changes)


def _pair(row: Row) -> tuple[Function, Function] | None:
    """The original and its stand-in, made once for each original."""
    try:
        original, face = getattr(importlib.import_module(row.module), row.name), row.face()
    except (ImportError, AttributeError):
        return None  # one side has no such function, or SciPy is not installed
    known, stand_in = _made.get(row.full_name, (None, None))
    if known is not original:
        stand_in = _stand_in(row, face, original) if row.fits(original) else None
        if stand_in is None:
            warnings.warn(
                f"{row.full_name} is left alone: it takes {inspect.signature(original)} in this version, and "
                f"fastconv knows {row.signature}",
                RuntimeWarning,
                stacklevel=4,
            )
        _made[row.full_name] = original, stand_in
    return None if stand_in is None else (original, stand_in)


def _rebind(changes: dict[int, Function]) -> None:
    """Replace functions, given by their id, in all modules but fastconv's own."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "fastconv":
            continue
        try:
            space = object.__getattribute__(module, "__dict__")  # a lazy module does not load for this
        except AttributeError:
            continue
        if isinstance(space, dict):
            for key, value in space.copy().items():
                if (new := changes.get(id(value))) is not None:
                    space[key] = new


def _asked_for(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    return "" if value == "0" else value


def _from_environment() -> None:
    """What FASTCONV_VERBOSE and FASTCONV_PATCH ask for, at import."""
    if _asked_for("FASTCONV_VERBOSE"):
        _listen(1)
    if names := _asked_for("FASTCONV_PATCH"):
        patch(None if names == "1" else names.replace(",", " ").split())
