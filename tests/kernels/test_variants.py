"""Every variant of the instruction set that is built and that this machine runs gives the same exact results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv
from fastconv import _runtime

BUILT, SUPPORTED = (_runtime.config()[key] for key in ("built", "supported"))
USABLE = [isa for isa in _runtime.VARIANTS if isa in BUILT and isa in SUPPORTED]


def run(isa, *command):
    """Run Python with FASTCONV_ISA, or without where `isa` is None."""
    environment = {key: value for key, value in os.environ.items() if key != "FASTCONV_ISA"}
    # The package under test, also where it is not installed
    paths = [str(Path(fastconv.__file__).parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    if isa is not None:
        environment["FASTCONV_ISA"] = isa
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("isa", USABLE)
def test_results_are_exact(isa):
    done = run(isa, "-W", "error", str(Path(__file__).with_name("exactness.py")))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [isa]


def test_the_baseline_is_always_there():
    assert USABLE[0] == "baseline"
    assert _runtime.ISA in USABLE


def test_the_highest_is_chosen_where_none_is_asked_for():
    done = run(None, "-c", "from fastconv import _runtime; print(_runtime.ISA)")
    assert done.stdout.split() == [USABLE[-1]], done.stderr


@pytest.mark.parametrize("isa", [*(isa for isa in _runtime.VARIANTS if isa not in USABLE), "sse9"])
def test_what_cannot_run_is_refused(isa):
    done = run(isa, "-c", "import fastconv")
    assert done.returncode != 0
    assert "ImportError" in done.stderr
    assert isa in done.stderr
