"""What show_config tells."""

import platform
import sys

import numpy as np
import pytest
import scipy

import fastconv
from fastconv import _machine, _runtime


@pytest.fixture
def rows(capsys):
    """What show_config prints, as a dict."""

    def run():
        fastconv.show_config()
        return {line[:20].strip(): line[20:] for line in capsys.readouterr().out.splitlines()}

    return run


def test_every_row_says_what_is(rows):
    with fastconv.set_workers(3):
        shown = rows()
    usable = [isa for isa in _runtime._BUILT if isa in _machine.cpu_variants()]
    assert shown.pop("variant in use").startswith(f"{_runtime.ISA} (")
    assert _runtime.ISA in usable
    assert shown == {
        "fastconv": fastconv.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "variants built": ", ".join(_runtime._BUILT),
        "machine runs": ", ".join(_machine.cpu_variants()),
        "OpenMP": str(_machine.openmp() or "no: serial"),
        "workers": "3 (set_workers)",
        "FFT engine": f"its own; scipy.fft {scipy.__version__} for what has no kernel",
    }


def test_it_says_why_the_variant_was_chosen(child):
    code = "import fastconv; fastconv.show_config()"
    assert "baseline (FASTCONV_ISA asks for it)" in child(code, FASTCONV_ISA="baseline")
    assert " (the highest that is built and that this machine runs)" in child(code, FASTCONV_ISA="")


def test_it_says_where_the_workers_come_from(child):
    code = "import fastconv; fastconv.show_config()"
    assert "5 (FASTCONV_NUM_THREADS)" in child(code, FASTCONV_NUM_THREADS="5", OMP_NUM_THREADS="4")
    assert "4 (OMP_NUM_THREADS)" in child(code, OMP_NUM_THREADS="4")


def test_a_build_without_openmp_says_so(rows, monkeypatch):
    monkeypatch.setattr(_machine, "openmp", lambda: 0)
    assert rows()["OpenMP"] == "no: serial"


def test_without_scipy_the_engine_is_numpys(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert rows()["FFT engine"] == "its own; numpy.fft for what has no kernel"
