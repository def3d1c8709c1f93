"""NumPy's and SciPy's own tests of the functions that fastconv stands in for, each suite in a process of its own."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import fastconv
from fastconv._registry import ROWS

HERE = Path(__file__).parent
SIGNAL = [name for name, row in ROWS.items() if row.module == "scipy.signal"]


@dataclass
class Suite:
    """Modules, which of their tests, one case in how many of each, and the functions that must answer some call."""

    modules: str
    tests: str
    every: int
    reach: list[str]


SUITES = {
    "numpy": Suite(
        "numpy._core.tests.test_numeric numpy._core.tests.test_regression numpy.lib.tests.test_polynomial "
        "numpy.ma.tests.test_core",
        "TestConvolve or TestCorrelate or convolve or correlate or TestPolynomial",
        1,
        ["numpy.convolve", "numpy.correlate"],
    ),
    "signaltools": Suite(
        "scipy.signal.tests.test_signaltools",
        "Conv or Corr or LinearFilter or choose",
        40,
        [name for name in SIGNAL if not name.endswith(("upfirdn", "sepfir2d"))],
    ),
    "resampling": Suite(
        "scipy.signal.tests.test_upfirdn scipy.signal.tests.test_bsplines scipy.signal.tests.test_savitzky_golay "
        "scipy.signal.tests.test_wavelets",
        "",
        4,
        ["scipy.signal.upfirdn", "scipy.signal.sepfir2d", "scipy.ndimage.convolve1d"],
    ),
    "filters": Suite(
        "scipy.ndimage.tests.test_filters",
        "not Vectorized",
        24,
        [name for name, row in ROWS.items() if row.module == "scipy.ndimage"],
    ),
}


def run(folder, *arguments):
    paths = [str(HERE), str(folder), str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-c", os.devnull,
         "--rootdir", folder, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        cwd=folder, capture_output=True, text=True, timeout=1500,
    )  # fmt: skip


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_suite(suite, request, tmp_path):
    whole = request.config.getoption("--whole", default=False)
    done = run(
        tmp_path, "-p", "on_fastconv", "--every", 1 if whole else suite.every, "--reach", *suite.reach,
        "-k", suite.tests, "--pyargs", *suite.modules.split(),
    )  # fmt: skip
    print(done.stdout[done.stdout.find("calls of fastconv") :])  # shown by -rP
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 0


# --- that these can fail ---------------------------------------------------------------------------------

CASE = "import numpy as np\ndef test_convolve():\n    assert list(np.convolve([1, 2], [1, 1])) == [1, 3, 2]\n"


def test_what_is_called_passes(tmp_path):
    (tmp_path / "test_case.py").write_text(CASE)
    done = run(tmp_path, "-p", "on_fastconv", "--reach", "numpy.convolve", "--", "test_case.py")
    assert done.returncode == 0, done.stdout


def test_a_dead_patch_fails(tmp_path):
    (tmp_path / "test_case.py").write_text(CASE)
    done = run(tmp_path, "-p", "on_fastconv", "--reach", "numpy.correlate", "--", "test_case.py")
    assert done.returncode == 1, done.stdout
    assert "numpy.correlate answered no call" in done.stdout


def test_a_silent_fallback_fails(tmp_path):
    (tmp_path / "test_case.py").write_text(CASE)
    (tmp_path / "broken.py").write_text(
        "import fastconv\ndef convolve(*args):\n    raise TypeError('no')\nfastconv.convolve = convolve\n"
    )
    done = run(tmp_path, "-p", "broken", "-p", "on_fastconv", "test_case.py")
    assert done.returncode == 1, done.stdout
    assert "TypeError in fastconv alone" in done.stdout
