"""A process at its limits: no more threads, no more memory. Linux only, as conftest.py sees to."""

import textwrap

import pytest

from fastconv import _machine


def many(n):
    """n, or the single thread of a build without OpenMP."""
    return n if _machine.openmp() else 1


# Ways to forbid threads. A stack of 2**50 bytes fits into no address space.
NO_ROOM = {"OMP_STACKSIZE": "1048576G"}
NO_THREADS = {
    "stack larger than the address space": ("", NO_ROOM),
    "limit on address space": ("limit(resource.RLIMIT_AS, used() + (8 << 20))", {"OMP_STACKSIZE": "64M"}),
    "limit on threads": (
        """
        bind()
        limit(resource.RLIMIT_NPROC, 1)
        """,
        {},
    ),
}

PRELUDE = """
import os
import resource
import sys
import threading
import numpy as np
import fastconv
from fastconv import _machine


def limit(which, soft):
    resource.setrlimit(which, (soft, resource.getrlimit(which)[1]))


def bind():
    # Root is not bound by the limit on threads.
    if os.getuid() == 0:
        os.setuid(54321)


def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


"""


def program(*parts):
    return PRELUDE + "\n".join(textwrap.dedent(part) for part in parts)


@pytest.mark.parametrize("how", NO_THREADS)
def test_no_thread_can_start(child, how):
    forbid, environment = NO_THREADS[how]
    code = program(forbid, "print([_machine.startable(n) for n in (1, 2, 8, 10**9)])")
    assert child(code, **environment) == "[1, 1, 1, 1]"


def test_half_of_the_threads_that_a_limit_leaves_are_taken(child):
    code = program(
        """
        limit(resource.RLIMIT_AS, used() + (64 << 20) * 6 + (32 << 20))  # room for the stacks of six
        print(_machine.startable(16), _machine.startable(4), _machine.startable(16))
        """
    )
    assert child(code, OMP_STACKSIZE="64M") == f"{many(4)} {many(4)} {many(4)}"


def test_threads_are_proven_to_live_at_the_same_time(child):
    # Of threads that end at once any number can start under a limit, one after the other.
    code = program(
        """
        bind()
        room = 1
        while room < 10**5:
            limit(resource.RLIMIT_NPROC, room)  # counts all the threads of this user
            if _machine.startable(2) == 2:
                break
            room += 1
        limit(resource.RLIMIT_NPROC, room + 4)
        print(max(_machine.startable(64) for _ in range(300)))
        """
    )
    assert int(child(code)) in (range(2, 33) if _machine.openmp() else [1])


@pytest.mark.parametrize("variable", ["OMP_STACKSIZE", "GOMP_STACKSIZE"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("1125899906842624b", 1),
        ("1099511627776", 1),  # in KiB where no unit stands
        ("1099511627776 K", 1),
        ("1073741824m", 1),
        ("99999999999999999999G", 1),
        ("1M", 4),
        (" 1024", 4),
        ("1", 4),  # too small for a thread: ignored, as OpenMP does
        ("junk", 4),
    ],
)
def test_threads_are_proven_with_the_stack_that_openmp_gives_them(child, variable, size, expected):
    assert child(program("print(_machine.startable(4))"), **{variable: size}) == str(many(expected))


def test_what_is_proven_is_not_proven_again_but_what_goes_beyond_is(child):
    code = program(
        """
        def ask(*numbers):
            answers.append([_machine.startable(n) for n in numbers])

        def other():
            ask(4)
            start.set()
            limited.wait()
            ask(4, 2, 4)  # proven in this thread; the pool has shrunk to 2, so that 4 is more again

        answers, start, limited = [], threading.Event(), threading.Event()
        thread = threading.Thread(target=other)
        thread.start()
        start.wait()
        ask(6)
        limit(resource.RLIMIT_AS, used() + (8 << 20))
        ask(6, 1, 6, 7)
        limited.set()
        thread.join()
        print(answers)
        """
    )
    one, two, four, six = many(1), many(2), many(4), many(6)
    expected = [[four], [six], [six, one, six, one], [four, two, one]]
    assert child(code, OMP_STACKSIZE="64M") == str(expected)


SMALL = """
def small_call_is_right():
    assert fastconv.convolve([1, 2, 3], [0, 1, 0.5]).tolist() == [0, 1, 2.5, 4, 1.5]
"""

FILTER = """
image = np.random.default_rng(3).integers(-9, 9, (1500, 1500)).astype(np.float32)  # sums are exact
kernel = np.arange(49.0, dtype=np.float32).reshape(7, 7)
serial = fastconv.convolve2d(image, kernel, method="direct", workers=1)
"""


@pytest.mark.parametrize("how", NO_THREADS)
def test_a_call_is_right_where_no_thread_can_start(child, how):
    forbid, environment = NO_THREADS[how]
    # Where the limit is on address space there is room for the results, but not for a stack of 64 MB.
    forbid = forbid.replace("(8 << 20)", "(60 << 20)")
    call = """
        parallel = fastconv.convolve2d(image, kernel, method="direct", workers=4)
        assert np.array_equal(parallel, serial)
        small_call_is_right()
        """
    child(program(SMALL, FILTER, forbid, call), **environment)


@pytest.mark.parametrize("method", ["fft", "overlap-save"])
def test_an_fft_is_right_where_no_thread_can_start(child, method):
    forbid, environment = NO_THREADS["limit on threads"]  # SciPy's threads are not OpenMP's, nor are their stacks
    call = f"""
        line, taps = image.ravel(), kernel.ravel()
        serial = fastconv.convolve(line, taps, method="{method}", workers=1)
        {{}}
        assert np.array_equal(fastconv.convolve(line, taps, method="{method}", workers=4), serial)
        small_call_is_right()
        """
    before, after = textwrap.dedent(call).split("{}")
    child(program(SMALL, FILTER, before, forbid, after), **environment)


if _machine.openmp():

    def test_openmp_would_have_ended_the_process(spawn):
        # What the tests above are safe from is real: the same call, with nothing proven, is the end.
        call = """
            _machine.startable = lambda n: n
            fastconv.convolve2d(image, kernel, method="direct", workers=4)
            print("alive")
            """
        process = spawn(program(FILTER, call), **NO_ROOM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode != 0, out
        assert "alive" not in out


def test_threads_are_proven_when_all_memory_is_allocated(child):
    # Else the result takes what they were proven with. Every call is the first of its thread: none is left over.
    code = """
        rng = np.random.default_rng(4)
        image, kernel = rng.standard_normal((2300, 2300)), rng.standard_normal((9, 9))  # a result of 43 MB
        serial = fastconv.convolve2d(image, kernel, method="direct", workers=1)

        def call(room):
            limit(resource.RLIMIT_AS, used() + room)
            try:
                result = fastconv.convolve2d(image, kernel, method="direct", workers=4)
            except MemoryError:
                answers.append("no memory")
            else:
                answers.append("right" if np.array_equal(result, serial) else "wrong")
            finally:
                limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)

        answers = []
        rooms = range(0, 256 << 20, 8 << 20)
        for room in rooms:
            thread = threading.Thread(target=call, args=(room,))
            thread.start()
            thread.join()
        assert len(answers) == len(rooms)
        print(*sorted(set(answers)))
        """
    assert child(program(code), OMP_STACKSIZE="48M") in ("right", "no memory right")


JOBS = {
    "convolve, direct": "fastconv.convolve(line, taps, method='direct', workers={})",
    "convolve, overlap-save": "fastconv.convolve(line, taps, method='overlap-save', workers={})",
    "convolve, FFT": "fastconv.convolve(line, taps, method='fft', workers={})",
    "convolve along an axis": "fastconv.convolve(image, taps[:9], axis=0, workers={})",
    "convolve2d, direct": "fastconv.convolve2d(image, kernel, method='direct', workers={})",
    "convolve2d, wrapped": "fastconv.convolve2d(image, kernel, 'same', 'wrap', method='direct', workers={})",
    "convolve2d, separable": "fastconv.convolve2d(image, rank1, method='separable', workers={})",
    "convolve2d, FFT": "fastconv.convolve2d(image, kernel, method='fft', workers={})",
    "filter2d": "fastconv.image.filter2d(pixels, kernel, workers={})",
    "sep_filter2d": "fastconv.image.sep_filter2d(pixels, taps[:9], taps[:7], workers={})",
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("job", JOBS)
def test_a_failed_allocation_is_a_memory_error_and_the_next_call_works(child, job, workers):
    code = """
        import ctypes
        import fastconv.image

        M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 16)  # arrays are mapped anew, none lives on what was freed
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)  # nor on what other threads have reserved

        rng = np.random.default_rng(4)
        line, taps = rng.standard_normal(1_000_000), rng.standard_normal(300)
        image, kernel = rng.standard_normal((1000, 1000)), rng.standard_normal((9, 9))
        rank1 = np.outer([1, 4, 6, 4.0, 1], [1, 3, 3, 1])
        pixels = rng.integers(0, 256, (2000, 2000), dtype=np.uint8)

        def call():
            return JOB

        expected, result = call(), None
        failed = worked = 0
        for room in range(0, 72 << 20, 3 << 19):  # so that each allocation is the first to fail at some time
            limit(resource.RLIMIT_AS, used() + room)
            try:
                result = call()
            except MemoryError:
                failed += 1
            else:
                worked += 1
            finally:
                limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
            small_call_is_right()
            if result is not None:
                assert np.array_equal(result, expected)
            result = None
        assert np.array_equal(call(), expected)
        print(failed > 0, worked > 0)
        """
    code = code.replace("JOB", JOBS[job].format(workers)).replace(
        "failed = worked = 0", "failed = worked = 0; result = None"
    )
    assert child(program(SMALL, code)) == "True True"
