"""What a call runs on: the instruction set, chosen once at import, and the threads, settled call by call.

A number of threads is taken from the first of these that gives one: ``workers=`` on the call, `set_workers`,
``FASTCONV_NUM_THREADS``, ``OMP_NUM_THREADS``, the CPUs that this process may use.
The environment is read once, at import.
"""

import functools
import importlib
import math
import operator
import os
import platform
import warnings
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any, SupportsIndex

import numpy as np

from . import _machine
from ._version import __version__

VARIANTS = ("baseline", "avx2", "avx512")  # lowest first, as everywhere below

_ENVIRONMENT = {
    name: text
    for name in ("FASTCONV_ISA", "FASTCONV_NUM_THREADS", "OMP_NUM_THREADS")
    if (text := os.environ.get(name, "").strip())
}


# The instruction set


def _built_variants(kernels: Path) -> tuple[str, ...]:
    """The variants under the folder `kernels` that hold a module this Python can load."""

    def loadable(file: Path) -> bool:
        return "." + file.name.partition(".")[2] in EXTENSION_SUFFIXES

    return tuple(isa for isa in VARIANTS if any(map(loadable, (kernels / isa).glob("*/*"))))


def _choose_variant(built: Sequence[str], supported: Sequence[str], asked: str | None) -> tuple[str, str]:
    """The variant to use, and why."""
    usable = [isa for isa in VARIANTS if isa in built and isa in supported]
    if not usable:
        raise ImportError(
            f"fastconv has no kernels that this machine can run: built are {_listed(built)}, "
            f"this machine runs {_listed(supported)}. Build it on this machine: pip install ."
        )
    if asked is None:
        return usable[-1], "the highest that is built and that this machine runs"
    if asked in usable:
        return asked, "FASTCONV_ISA asks for it"
    if asked not in VARIANTS:
        fault = "is not the name of an instruction set"
    elif asked not in supported:
        fault = "is more than this machine runs"
    else:
        fault = "is not built"
    raise ImportError(f"FASTCONV_ISA={asked!r} {fault}; available here: {_listed(usable)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


_BUILT = _built_variants(Path(__file__).parent / "_kernels")
ISA, _WHY = _choose_variant(_BUILT, _machine.cpu_variants(), _ENVIRONMENT.get("FASTCONV_ISA"))


@functools.cache
def kernel(dtype: str, operation: str) -> ModuleType:
    """The module of an operation's loops for a dtype such as ``'f32'``, in the instruction set in use."""
    return importlib.import_module(f"fastconv._kernels.{ISA}.{dtype}.{operation}")


# The threads

_set: int | None = None  # by set_workers


def threads(workers: SupportsIndex | None = None) -> int:
    """How many threads a call may use: `workers` where it is given, and 1 in a forked child.

    Whether so many can start, `_machine.startable` finds out straight before they do.
    """
    number = get_workers() if workers is None else _number(workers)
    return 1 if _machine.is_forked() else number


def get_workers() -> int:
    """
    Number of threads that a call without ``workers=`` may use.

    It is taken from the first of these that gives one: `set_workers`; the environment variables
    ``FASTCONV_NUM_THREADS`` and ``OMP_NUM_THREADS``, as they were when fastconv was imported; the number of
    CPUs that this process may use, limited by its affinity and its control group's quota (rounded up).

    Returns
    -------
    int
        At least 1. Small work, a forked child, and a process that cannot start threads use fewer.

    See Also
    --------
    set_workers : set it.

    Examples
    --------
    >>> import fastconv
    >>> with fastconv.set_workers(3):
    ...     fastconv.get_workers()
    3
    """
    return _workers_in_force()[0]


def set_workers(workers: SupportsIndex | None) -> "_Workers":
    """
    Set the number of threads of every later call in this process that does not say ``workers=``.

    It takes effect at once, in all Python threads. In a ``with`` statement it holds until the block is left,
    and the setting before comes back.

    Parameters
    ----------
    workers : int or None
        Number of threads, at least 1. A negative number counts back from the machine's CPUs, as in
        `scipy.fft`: -1 stands for all of them, -2 for all but one. None takes back what was set: the number
        comes from the environment or the CPUs again, as `get_workers` says.

    Returns
    -------
    context manager
        Leaving it restores the setting before. Outside of ``with`` it can be dropped.

    Raises
    ------
    TypeError
        If `workers` is not an integer; bool is not one here.
    ValueError
        If `workers` is 0, or negative beyond the number of CPUs.

    See Also
    --------
    get_workers : the number in force.

    Notes
    -----
    The number never changes a result: it is the same, bit for bit, for any number of threads.

    Examples
    --------
    >>> import fastconv
    >>> with fastconv.set_workers(1):
    ...     fastconv.convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    global _set
    number = None if workers is None else _number(workers)
    before, _set = _set, number
    return _Workers(before)


class _Workers:
    """What `set_workers` returns: puts the setting before back when it is left."""

    def __init__(self, before: int | None) -> None:
        self._before = before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        global _set
        _set = self._before


def _number(workers: SupportsIndex) -> int:
    """`workers` as a number of threads."""
    if isinstance(workers, (bool, np.bool_)):
        raise TypeError(f"workers must be an integer, got {workers!r}")
    try:
        number = operator.index(workers)
    except TypeError:
        raise TypeError(f"workers must be an integer, got {workers!r}") from None
    if number < 0:
        number += 1 + (os.cpu_count() or 1)
    if number < 1:
        raise ValueError(
            f"workers must be at least 1, or from -1 (all CPUs) to {-(os.cpu_count() or 1)}, got {workers!r}"
        )
    return number


def _workers_in_force() -> tuple[int, str]:
    """What `get_workers` returns, and where it comes from."""
    return _default_workers() if _set is None else (_set, "set_workers")


@functools.cache
def _default_workers() -> tuple[int, str]:
    """The number of threads where neither the call nor `set_workers` gives one, and where it comes from."""
    for name in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        if name not in _ENVIRONMENT:
            continue
        text = _ENVIRONMENT[name]
        # OMP_NUM_THREADS may list a number for each level of nested regions; ours is the outermost.
        outermost = text.split(",")[0] if name == "OMP_NUM_THREADS" else text
        try:
            number = int(outermost)
        except ValueError:
            number = 0
        if number >= 1:
            return number, name
        warnings.warn(f"{name}={text!r} is ignored: not a number of threads", RuntimeWarning, stacklevel=2)
    return _usable_cpus()


def _usable_cpus(root: Path = Path("/")) -> tuple[int, str]:
    """How many CPUs this process may use, and what limits it to them. `root` is where proc and sys are."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_cgroup_quotas(root), default=cpus)
    if quota < cpus:
        return max(1, math.ceil(quota)), "the control group's CPU quota"
    return cpus, "the CPUs this process may use"


def _cgroup_quotas(root: Path) -> Iterator[float]:
    """The CPU quotas of this process's control group and of those above it, in CPUs; versions 1 and 2."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for group in groups:  # number:controllers:path
        controllers, _, path = group.partition(":")[2].partition(":")
        if not controllers:
            mounts, files = [""], ["cpu.max"]
        elif "cpu" in controllers.split(","):
            mounts, files = [controllers, "cpu"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        for mount in mounts:
            top = root / "sys/fs/cgroup" / mount
            # In a container the path can lead out of what is mounted: then only the top is there to be read.
            lowest = top.joinpath(*(name for name in path.split("/") if name not in ("", "..")))
            for folder in (lowest, *lowest.parents):
                try:
                    quota, period = (int(n) for file in files for n in (folder / file).read_text().split())
                except (OSError, ValueError):
                    pass  # no such file, or no number: "max" stands for no limit
                else:
                    if quota > 0 and period > 0:
                        yield quota / period
                if folder == top:
                    break


# What was settled


def config() -> dict[str, Any]:
    """What `show_config` prints, as a dict."""
    workers, source = _workers_in_force()
    return {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "built": _BUILT,
        "supported": _machine.cpu_variants(),
        "variant": ISA,
        "reason": _WHY,
        "openmp": _machine.openmp(),
        "workers": workers,
        "workers_from": source,
        "fft": _fft_engine(),
    }


def _fft_engine() -> str:
    try:
        import scipy.fft
    except ImportError:
        return "its own; numpy.fft for what has no kernel"
    return f"its own; scipy.fft {scipy.__version__} for what has no kernel"


def show_config() -> None:
    """
    Print what fastconv is built with and what it runs on.

    The version; the variants (one for each instruction set) that are built, those that this machine runs,
    the one in use and why; OpenMP, by the date of its specification; the number of threads and where it comes
    from; what computes Fourier transforms.

    See Also
    --------
    get_workers : the number of threads.

    Notes
    -----
    The environment variable ``FASTCONV_ISA`` (``baseline``, ``avx2`` or ``avx512``), read when fastconv is
    imported, asks for a lower variant than the highest. One that is not built, or that the machine does not
    have, is refused with an ImportError.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.show_config()
    fastconv            ...
    Python              ...
    NumPy               ...
    variants built      baseline...
    machine runs        baseline...
    variant in use      ...
    OpenMP              ...
    workers             ...
    FFT engine          ...
    """
    c = config()
    rows = {
        "fastconv": c["version"],
        "Python": c["python"],
        "NumPy": c["numpy"],
        "variants built": _listed(c["built"]),
        "machine runs": _listed(c["supported"]),
        "variant in use": f"{c['variant']} ({c['reason']})",
        "OpenMP": c["openmp"] or "no: serial",
        "workers": f"{c['workers']} ({c['workers_from']})",
        "FFT engine": c["fft"],
    }
    for name, value in rows.items():
        print(f"{name:<20}{value}")
