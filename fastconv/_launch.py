"""Run an unchanged program with fastconv in place: ``python -m fastconv script.py ...``, ``-m module ...``."""
from __future__ import annotations

import atexit
import builtins
import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

import fastconv


class LaunchError(Exception):
    """There is no such program; the message says what was looked for."""


def script(path: str, argv: list[str]) -> None:
    """Run a file as ``python path argv...`` does; of a folder or an archive its __main__.py."""
    if not Path(path).exists():
        raise LaunchError(f"there is no script {os.path.abspath(path)!r}, and no command {path!r}")
    if Path(path).is_dir() or path.endswith((".zip", ".pyz")):
        _path_begins(os.path.abspath(path))
        spec = PathFinder.find_spec("__main__", [path])
        _run_spec(spec, [path, *argv], f"can't find '__main__' module in {path!r}")
        return
    _path_begins(os.path.dirname(os.path.realpath(path)))
    full = os.path.abspath(path)
    loader = SourceFileLoader("__main__", full)
    _run(lambda: loader.source_to_code(loader.get_data(full), full), None, loader, full, [path, *argv])


def module(name: str, argv: list[str]) -> None:
    """Run a module as ``python -m name argv...`` does; of a package its __main__."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError:
        spec = None
    _run_spec(spec, ["-m", *argv], f"No module named {name}")


def _path_begins(folder: str) -> None:
    """``python -m`` put the working folder first, where Python is let; a script's own folder belongs there."""
    if sys.flags.safe_path:
        return
    sys.path[0] = folder


def _run_spec(spec: ModuleSpec | None, argv: list[str], missing: str) -> None:
    if spec is None or not isinstance(spec.loader, InspectLoader):
        raise LaunchError(missing)
    argv[0] = spec.origin if argv[0] == "-m" and spec.origin else argv[0]
    code = functools.partial(spec.loader.get_code, spec.name)
    _run(code, spec, spec.loader, spec.origin, argv)


def _run(
    code: Callable[[], CodeType | None], spec: ModuleSpec | None, loader: object, file: str | None, argv: list[str]
) -> None:
    main = ModuleType("__main__")
    main.__dict__.update(
        __annotations__={}, __builtins__=builtins, __cached__=spec.cached if spec else None, __file__=file,
        __loader__=loader, __package__=spec.parent if spec else None, __spec__=spec,
    )  # fmt: skip
    sys.modules["__main__"] = main
    sys.argv[:] = argv
    try:
        exec(code() or "", main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        # As if Python had run the program: its own hook shows the program's own frames. Python then gets the
        # error again, for the exit status that belongs to it, and shows nothing.
        error = error.with_traceback(_frames_of(main, error.__traceback__))
        sys.excepthook(type(error), error, error.__traceback__)
        sys.excepthook = lambda *_: None
        raise


def _frames_of(main: ModuleType, frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_globals is not main.__dict__:
        frames = frames.tb_next
    return frames


def take_out() -> None:
    """Undo `place`, where there is no program after all: main() may have been called by one."""
    fastconv.unpatch()
    for name in ("FASTCONV_PATCH", "FASTCONV_VERBOSE"):
        os.environ.pop(name, None)


def place(verbose: bool, report: bool) -> None:
    """Put fastconv in place, here and in children that import it."""
    fastconv.patch(verbose=verbose)
    os.environ["FASTCONV_PATCH"] = "1"
    if verbose:
        os.environ["FASTCONV_VERBOSE"] = "1"
    if report:
        pid = os.getpid()
        atexit.register(lambda: os.getpid() == pid and print(fastconv.patch_report(), file=sys.stderr))
