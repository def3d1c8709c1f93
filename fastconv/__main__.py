"""The command line: ``python -m fastconv info | demo | filter``, and programs that run with fastconv in place."""
from __future__ import annotations

import argparse
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

import fastconv
from fastconv import kernels

# Two of these kernels together tell how strong a response is, whatever its direction or its phase. Without
# the parameter the picture shows that strength; with it, the response to the one kernel.
PAIRS: dict[str, tuple[str, tuple[float, float]]] = {
    "sobel": ("axis", (0, 1)),
    "prewitt": ("axis", (0, 1)),
    "scharr": ("axis", (0, 1)),
    "gabor": ("phase", (0.0, -math.pi / 2)),
}

OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "size": (int, "length of a side in pixels"),
    "sigma": (float, "standard deviation in pixels"),
    "truncate": (float, "reach of the kernel in standard deviations"),
    "radius": (int, "reach of the kernel in pixels"),
    "amount": (float, "strength of the effect"),
    "connectivity": (int, "neighbours that count: 4 or 8"),
    "axis": (int, "the derivative down the rows (0) or along the columns (1), not the magnitude of both"),
    "wavelength": (float, "length of the wave in pixels"),
    "theta": (float, "direction of the wave in radians"),
    "gamma": (float, "aspect ratio of the wave's envelope"),
    "phase": (float, "the response at this phase, in radians, not the strength at any"),
}


COMMANDS = ("info", "demo", "filter")
PROGRAM_OPTIONS = ("-v", "--verbose", "--report")


class Parser(argparse.ArgumentParser):
    """An argument parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (default ``sys.argv[1:]``) and return the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    if _is_program(argv):
        _launch(argv)
        return 0
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        args.run(args)
    except ModuleNotFoundError as error:
        if (error.name or "fastconv").startswith("fastconv"):
            raise
        args.parser.error(f"{error.name} is not installed, which this needs: pip install fastconv[demo]")
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m fastconv", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Convolution for NumPy arrays on CPUs.",
        epilog="unchanged programs, with fastconv in the place of NumPy's and SciPy's functions:\n"
               "  python -m fastconv [-v] [--report] SCRIPT [ARG ...]\n"
               "  python -m fastconv [-v] [--report] -m MODULE [ARG ...]\n"
               "    -v, --verbose  log each call as accelerated or passed on, and why\n"
               "    --report       say at the end how many calls were accelerated and passed on")
    parser.add_argument("--version", action="version", version=f"fastconv {fastconv.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    info = commands.add_parser("info", help="show what was built and what is in use")
    info.set_defaults(run=lambda args: fastconv.show_config(), parser=info)

    demo = commands.add_parser("demo", help="filter real signals and a photograph, and time it",
                               description="Write pictures of filtered signals and photographs, and time "
                                           "fastconv beside NumPy and SciPy.")
    demo.add_argument("--output", type=Path, default=Path("demo"), metavar="DIR",
                      help="folder for the pictures (default: demo)")
    demo.add_argument("--quick", action="store_true", help="time small arrays, and only for a moment")
    demo.set_defaults(run=_demo, parser=demo)

    filter_ = commands.add_parser(
        "filter", help="filter a picture of your own", formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s IN OUT --kernel NAME [--mode MODE] [parameters of the kernel]",
        description="Filter a picture (grey or colour, 8 or 16 bits) and write it.",
        epilog="kernels and what they take, as in fastconv.kernels:\n"
               + "\n".join(f"  {name:<10} {_flags(name)}" for name in kernels.__all__))
    filter_.add_argument("source", type=Path, metavar="IN", help="the picture: PNG, JPEG, what Pillow reads")
    filter_.add_argument("target", type=Path, metavar="OUT", help="the result; its ending names the format")
    filter_.add_argument("--kernel", required=True, choices=kernels.__all__, metavar="NAME", help="see below")
    filter_.add_argument("--mode", default="mirror", metavar="MODE",
                         choices=["reflect", "constant", "nearest", "mirror", "wrap"],
                         help="how the picture goes on beyond its edges: reflect, constant, nearest, mirror "
                              "(default) or wrap")
    parameters = filter_.add_argument_group("parameters of the kernel")
    for name, (kind, text) in OPTIONS.items():
        parameters.add_argument(f"--{name}", type=kind, metavar="N" if kind is int else "X", help=text)
    filter_.set_defaults(run=_filter, parser=filter_)
    return parser


def _is_program(argv: list[str]) -> bool:
    """Whether the first word that is no option of a program's is a program, not a command of `_parser`."""
    words = [word for word in argv if word not in PROGRAM_OPTIONS]
    return bool(words) and (words[0] == "-m" or not words[0].startswith("-")) and words[0] not in COMMANDS


def _launch(argv: list[str]) -> None:
    from fastconv import _launch

    parser = Parser(prog="python -m fastconv", add_help=False)
    count = next(n for n, word in enumerate(argv) if word not in PROGRAM_OPTIONS)
    options, argv = argv[:count], argv[count:]
    if argv == ["-m"]:
        parser.error("-m needs the name of a module")
    try:
        _launch.place(verbose="-v" in options or "--verbose" in options, report="--report" in options)
        if argv[0] == "-m":
            _launch.module(argv[1], argv[2:])
        else:
            _launch.script(argv[0], argv[1:])
    except _launch.LaunchError as error:
        _launch.take_out()
        parser.error(str(error))


def _demo(args: argparse.Namespace) -> None:
    from fastconv import _demo  # its imports are extras

    try:
        _demo.run(args.output, quick=args.quick)
    except OSError as error:
        args.parser.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _filter(args: argparse.Namespace) -> None:
    from fastconv import _pictures  # needs Pillow, an extra

    try:
        _pictures.filter_file(args.source, args.target, _kernels(args), args.mode)
    except _pictures.PictureError as error:
        args.parser.error(str(error))


def _kernels(args: argparse.Namespace) -> list[NDArray[Any]]:
    """The kernel that the command line asks for, or the pair whose magnitude it does."""
    name = args.kernel
    given = {option: getattr(args, option) for option in OPTIONS if getattr(args, option) is not None}
    for option in given:
        if option not in _parameters(name):
            args.parser.error(f"{name} takes no --{option}; it takes {_flags(name)}")
    for option, parameter in _parameters(name).items():
        if option not in given and parameter.default is parameter.empty:
            args.parser.error(f"{name} needs --{option} ({OPTIONS[option][1]}), for example --{option} 4")
    option, values = PAIRS.get(name, ("", ()))
    settings = [given] if option in given or not values else [given | {option: value} for value in values]
    try:
        made = [getattr(kernels, name)(**setting) for setting in settings]
    except (ValueError, OverflowError, MemoryError) as error:
        args.parser.error(str(error))
    # A Gabor kernel is not normalised. Its envelope sums to pi/2 times what its weights do without their
    # signs; divided by a quarter of that, stripes from black to white come out white.
    return [k / (math.pi / 8 * abs(k).sum()) for k in made] if name == "gabor" else made


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    """The parameters of a kernel that the command line offers."""
    signature = inspect.signature(getattr(kernels, name))
    return {p: parameter for p, parameter in signature.parameters.items() if p in OPTIONS}


def _flags(name: str) -> str:
    return " ".join(f"--{parameter}" for parameter in _parameters(name))


if __name__ == "__main__":
    sys.exit(main())
