"""What the machine says of itself: instruction sets, OpenMP, threads that can start."""

import os
import threading
from pathlib import Path

import pytest

from fastconv import _machine

CPUINFO = Path("/proc/cpuinfo")


def many(n):
    """n, or the single thread of a build without OpenMP."""
    return n if _machine.openmp() else 1


def test_the_variants_are_a_ladder_from_the_baseline():
    known = ("baseline", "avx2", "avx512")
    supported = _machine.cpu_variants()
    assert supported == known[: len(supported)]
    assert len(supported) >= 1


if CPUINFO.exists():

    def test_the_variants_are_those_that_linux_reports():
        # Linux takes a flag away when it does not save the registers that go with it.
        lines = CPUINFO.read_text().splitlines()
        flags = set(next((line.split(":")[1] for line in lines if line.startswith("flags")), "").split())
        expected = ["baseline"]
        if flags >= {"avx2", "fma"}:
            expected.append("avx2")
            if flags >= {"avx512f", "avx512dq", "avx512bw", "avx512vl"}:
                expected.append("avx512")
        assert _machine.cpu_variants() == tuple(expected)

    def test_the_threads_that_proved_it_are_gone():
        before = len(os.listdir("/proc/self/task"))
        assert _machine.startable(33) == many(33)
        assert len(os.listdir("/proc/self/task")) <= before  # a thread of an earlier test may end meanwhile


def test_openmp_is_built_in():
    assert _machine.openmp() >= 201107, "fastconv was built without OpenMP: every function runs on one thread"


@pytest.mark.parametrize("n", [-3, 0, 1])
def test_the_caller_is_always_there(n):
    assert _machine.startable(n) == 1


@pytest.mark.parametrize("n", [2, 5, 3, 16, 16, 2])
def test_threads_start(n):
    assert _machine.startable(n) == many(n)


def test_a_huge_number_is_capped():
    assert 1 <= _machine.startable(10**30) <= 1024


def test_every_python_thread_may_ask():
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(_machine.startable(4))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [many(4)] * 8


FORK = """
    import ctypes
    import os
    from fastconv import _machine

    {before}
    read, write = os.pipe()
    pid = {fork}()
    if pid == 0:
        answer = [_machine.startable(n) for n in (1, 2, 8)]
        if os.fork() == 0:
            answer += [_machine.startable(8)]  # and in the child's child
            os.write(write, repr(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        print(pipe.read(), _machine.startable(8))  # the second in the parent, which is as it was
"""


@pytest.mark.parametrize("before", ["", "_machine.startable(8)"], ids=["fresh", "proven"])
@pytest.mark.parametrize("fork", ["os.fork", "ctypes.CDLL(None).fork"], ids=["python", "c"])
def test_a_forked_child_works_alone_for_good(child, before, fork):
    assert child(FORK.format(before=before, fork=fork)) == f"[1, 1, 1, 1] {many(8)}"
