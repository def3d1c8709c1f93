"""What the tests of the runtime share: a fault gets a process of its own, so as not to end the test run."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastconv

# These set limits that only Linux has, and only there they hold for threads; or ask it for the peak of memory.
collect_ignore = [] if sys.platform == "linux" else ["test_limits.py", "test_memory.py"]

# What would speak into a test that does not set it itself.
OURS = ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS", "OMP_STACKSIZE", "GOMP_STACKSIZE", "OMP_THREAD_LIMIT")


def start(code, env):
    """Start Python on `code`, in a process group of its own and with the fastconv that is tested here."""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    paths = [str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    inherited["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return subprocess.Popen(
        [sys.executable, "-P", "-c", textwrap.dedent(code)],
        env=inherited | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def spawn():
    """Start processes that end with the test, whatever becomes of it, and their children with them."""
    processes = []

    def run(code, **env):
        processes.append(start(code, env))
        return processes[-1]

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # it has ended, as it should
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def child(spawn):
    """Run code in a process of its own, within a time limit, and return what it printed."""

    def run(code, *, timeout=60, **env):
        process = spawn(code, **env)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == 0, f"exit status {process.returncode}\n{out}\n{err}"
        return out.strip()

    return run
