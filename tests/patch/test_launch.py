"""``python -m fastconv script.py`` and ``-m module`` beside ``python script.py`` and ``python -m module``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

SCRIPT = """
import sys
from numpy import convolve

print(sys.argv[1:], sys.argv[0], __name__, __file__, sys.path[0], __package__, __spec__ and __spec__.name)
print(sys.modules["__main__"].__dict__ is globals())
print(convolve([1, 2], [1, 1]).tolist())
what = sys.argv[1] if len(sys.argv) > 1 else ""
if what == "error":
    raise LookupError("of the script")
if what == "interrupt":
    raise KeyboardInterrupt
if what == "hook":
    sys.excepthook = lambda *error: print("hook", error[0].__name__)
    raise LookupError
if what:
    sys.exit(what if what == "text" else int(what))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text("def f(:\n")
    (tmp_path / "scipy.py").write_text("raise ImportError('not installed')\n")  # which takes its time
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(SCRIPT)
    return tmp_path


def python(folder, *words, **environment):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FASTCONV_")}
    paths = [str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    ours["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=ours | environment, capture_output=True, text=True, timeout=120
    )


def without_runpy(error):
    return [line for line in error.splitlines() if "<frozen runpy>" not in line]


@pytest.mark.parametrize(
    "words",
    [
        ["script.py"],
        ["script.py", "--report", "-v"],
        ["script.py", "3"],
        ["script.py", "text"],
        ["script.py", "error"],
        ["script.py", "interrupt"],
        ["script.py", "hook"],
        ["package", "error"],
        ["-m", "script", "error"],
        ["-m", "package", "3"],
        ["wrong.py"],
    ],
    ids=" ".join,
)
def test_as_python_would(folder, words):
    if words[1:] == ["--report", "-v"]:  # they are the script's own
        (folder / "script.py").write_text(SCRIPT.replace("sys.exit", "print"). replace("int(what)", "what"))
    plain, ours = python(folder, *words), python(folder, "-m", "fastconv", *words)
    assert ours.returncode == plain.returncode
    assert ours.stdout == plain.stdout
    assert without_runpy(ours.stderr) == without_runpy(plain.stderr)


@pytest.mark.parametrize("words", [["none.py"], ["-m", "none"], ["-m", "none.at.all"], ["-m"]], ids=" ".join)
def test_no_such_program(folder, words):
    done = python(folder, "-m", "fastconv", *words)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("python -m fastconv: ")
    assert done.stderr.count("\n") == 1


def test_report_and_log(folder):
    done = python(folder, "-m", "fastconv", "-v", "--report", "script.py")
    log, head, row = done.stderr.splitlines()
    assert log == "numpy.convolve([1, 2], [1, 1]): accelerated"
    assert head.split() == ["accelerated", "passed", "on"]
    assert row.split() == ["numpy.convolve", "1", "0"]


IMPORTS = "import fastconv, numpy; print(hasattr(numpy.convolve, '__code__'), hasattr(numpy.correlate, '__code__'))"


@pytest.mark.parametrize(
    ("value", "said"), [("1", "True True"), ("0", "False False"), ("numpy.convolve, scipy.signal", "True False")]
)
def test_environment(folder, value, said):
    assert python(folder, "-c", IMPORTS, FASTCONV_PATCH=value).stdout.split("\n")[0] == said


def test_environment_verbose(folder):
    code = "import fastconv, numpy; numpy.convolve([1], [2]); print(fastconv.patch_report())"
    done = python(folder, "-c", code, FASTCONV_PATCH="1", FASTCONV_VERBOSE="1")
    assert done.stderr == "numpy.convolve([1], [2]): accelerated\n"
    assert done.stdout.split() == ["accelerated", "passed", "on", "numpy.convolve", "1", "0"]


WORKERS = """
import multiprocessing
import numpy as np
import fastconv

def work(number):
    result = np.convolve([number], [2])
    return fastconv.patch_report()["numpy.convolve"].accelerated > 0 and int(result[0])

if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(pool.map(work, range(3)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_workers(folder):
    (folder / "workers.py").write_text(WORKERS)
    for done in (python(folder, "workers.py", FASTCONV_PATCH="1"), python(folder, "-m", "fastconv", "workers.py")):
        assert done.stderr == ""
        assert done.stdout.splitlines() == ["[0, 2, 4]"] * 2


LOKY = """
import joblib
import numpy as np
import work

if __name__ == "__main__":
    print(joblib.Parallel(2)(joblib.delayed(work.work)(number) for number in range(3)))
"""

WORK = """
import numpy as np
import fastconv

def work(number):
    result = np.convolve([number], [2])
    return fastconv.patch_report()["numpy.convolve"].accelerated > 0 and int(result[0])
"""


def test_workers_of_joblib(folder):
    pytest.importorskip("joblib")  # comes with scikit-learn
    (folder / "work.py").write_text(WORK)
    (folder / "loky.py").write_text(LOKY)
    for done in (python(folder, "loky.py", FASTCONV_PATCH="1"), python(folder, "-m", "fastconv", "loky.py")):
        assert done.stdout.splitlines() == ["[0, 2, 4]"], done.stderr
