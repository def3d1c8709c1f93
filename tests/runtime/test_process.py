"""What may happen around a call: fork, threads, Ctrl-C, other libraries; each in a process of its own."""

import signal
import textwrap
import time
from pathlib import Path

import pytest

from fastconv import _machine

PRELUDE = """
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import numpy as np
import fastconv
import fastconv.image

rng = np.random.default_rng(5)
image, kernel = rng.standard_normal((1500, 1500)), rng.standard_normal((7, 7))


def call(workers=2):
    return fastconv.convolve2d(image, kernel, method="direct", workers=workers)


def in_a_child(check):
    # A failing check prints its traceback, and leaves here, not through the parent's code.
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert check()
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


"""


def program(*parts):
    return PRELUDE + "\n".join(textwrap.dedent(part) for part in parts)


# Fork


def test_calls_before_and_after_fork(child):
    child(
        program(
            """
            expected = call()
            for _ in range(3):
                assert in_a_child(lambda: np.array_equal(call(), expected))
                assert np.array_equal(call(), expected)
            # and in the child of a child
            assert in_a_child(lambda: in_a_child(lambda: np.array_equal(call(), expected)))
            """
        )
    )


def test_the_first_call_after_fork(child):
    child(
        program(
            """
            assert in_a_child(lambda: np.array_equal(call(2), call(1)))
            assert np.array_equal(call(2), call(1))
            """
        )
    )


def test_fork_while_another_thread_is_in_a_call(child):
    child(
        program(
            """
            expected = call()
            stop = threading.Event()

            def work():
                while not stop.is_set():
                    call()

            threads = [threading.Thread(target=work) for _ in range(2)]
            for thread in threads:
                thread.start()
            try:
                for _ in range(5):
                    assert in_a_child(lambda: np.array_equal(call(), expected))
            finally:
                stop.set()
            for thread in threads:
                thread.join()
            assert np.array_equal(call(), expected)
            """
        )
    )


def test_a_pool_of_forked_processes(child):
    child(
        program(
            """
            def job(workers):
                return call(workers)

            expected = call()
            with multiprocessing.get_context("fork").Pool(2) as pool:
                results = pool.map(job, [1, 2, 3, None])
            assert all(np.array_equal(result, expected) for result in results)
            assert np.array_equal(call(), expected)
            """
        )
    )


# Threads

EVERY_FUNCTION = """
    import fastconv.kernels

    line, taps = rng.standard_normal(300_000).astype(np.float32), rng.standard_normal(61).astype(np.float32)
    whole = rng.integers(-1000, 1000, 100_000)
    pixels = rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
    blur = fastconv.kernels.gaussian(1.5)
    calls = [
        lambda w: fastconv.convolve(line, taps, method="direct", workers=w),
        lambda w: fastconv.convolve(line, taps, method="overlap-save", workers=w),
        lambda w: fastconv.convolve(line, taps, method="fft", workers=w),
        lambda w: fastconv.convolve(line, taps, workers=w),
        lambda w: fastconv.correlate(whole, whole[:40], "same", workers=w),
        lambda w: fastconv.convolve(image, taps, axis=0, workers=w),
        lambda w: fastconv.convolve(image + 1j, taps, axis=1, workers=w),
        lambda w: fastconv.convolve2d(image, kernel, method="direct", workers=w),
        lambda w: fastconv.convolve2d(image, np.outer([1, 4, 6, 4.0], [1, 2, 1]), method="separable", workers=w),
        lambda w: fastconv.convolve2d(image, kernel, method="fft", workers=w),
        lambda w: fastconv.correlate2d(image, kernel, "same", "symm", stride=2, dilation=(1, 3), workers=w),
        lambda w: fastconv.convolve2d(pixels[..., 0], np.ones((5, 5), np.uint8), boundary="wrap", workers=w),
        lambda w: fastconv.image.filter2d(pixels, blur, channel_axis=-1, workers=w),
        lambda w: fastconv.image.sep_filter2d(pixels[..., 1], [1, 2, 1], [1, 0, -1], mode="wrap", workers=w),
    ]
"""


def test_many_python_threads_at_once(child):
    child(
        program(
            EVERY_FUNCTION,
            """
            expected = [one(1) for one in calls]
            wrong = []

            def work(first):
                for i in range(len(calls)):
                    i = (i + first) % len(calls)
                    result = calls[i](1 + first % 3)
                    if result.dtype != expected[i].dtype or result.tobytes() != expected[i].tobytes():
                        wrong.append(i)

            threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong, wrong
            print("done")
            """,
        ),
        timeout=120,
    )


def test_threads_that_come_and_go_leave_nothing(child):
    answer = child(
        program(
            """
            def tasks():
                return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0

            expected = call()
            before = tasks()
            wrong = []
            for _ in range(30):
                thread = threading.Thread(target=lambda: np.array_equal(call(3), expected) or wrong.append(1))
                thread.start()
                thread.join()
            deadline = time.monotonic() + 5
            while tasks() > before and time.monotonic() < deadline:
                time.sleep(0.01)
            print(tasks() - before, wrong)
            """
        )
    )
    assert answer == "0 []"


def test_other_python_threads_run_during_a_call(child):
    longest = child(
        program(
            """
            big = np.ones((4000, 4000))
            thread = threading.Thread(target=fastconv.convolve2d, args=(big, np.ones((61, 61))),
                                      kwargs={"method": "direct", "workers": 1})
            thread.start()
            longest, ticks, last = 0, 0, time.monotonic()
            while thread.is_alive():
                time.sleep(0.001)
                now = time.monotonic()
                longest, ticks, last = max(longest, now - last), ticks + 1, now
            assert ticks > 50, ticks
            print(longest)
            """
        )
    )
    assert float(longest) < 0.5


if Path("/proc/self/task").exists() and _machine.openmp():

    def test_a_call_uses_its_threads(child):
        answer = child(
            program(
                """
                call(1)
                before = len(os.listdir("/proc/self/task"))
                call(4)
                print(len(os.listdir("/proc/self/task")) - before)
                """
            )
        )
        assert answer == "3"


def test_the_interpreter_ends_while_a_daemon_is_in_a_call(child):
    code = """
        threading.Thread(target=lambda: [call() for _ in range(1000)], daemon=True).start()
        time.sleep(0.2)
        print("end")
        """
    assert child(program(code)) == "end"


# Ctrl-C

# input, kernel, call
LONG = {
    "direct": ("noise(30_000_000)", "noise(10_000)", "convolve(x, h, method='direct')"),
    "many taps": ("noise(2_000_000)", "noise(900_000)", "convolve(x, h, 'same', method='direct')"),
    "valid": ("noise(1_400_000)", "noise(700_000)", "correlate(x, h, method='direct')"),
    "transforms": (  # auto's choice
        "np.broadcast_to(noise(1_000_000), (5000, 1_000_000))",
        "noise(990_000)",
        "convolve(x, h, 'valid', axis=1)",
    ),
    "axis": ("noise(30, 1_000_000)", "noise(10_000)", "convolve(x, h, axis=1, method='direct')"),
    "integers": ("whole(20_000_000)", "whole(20_000)", "convolve(x, h, method='direct')"),
    "no kernel": ("noise(2_000_000).astype('g')", "noise(20_000).astype('g')", "convolve(x, h)"),
    "2-D": ("noise(4000, 4000)", "noise(300, 300)", "convolve2d(x, h, method='direct')"),
    "2-D, wrapped": (
        "noise(3000, 3000)",
        "noise(400, 400)",
        "convolve2d(x, h, 'same', 'wrap', method='direct')",
    ),
    "2-D, spread": ("noise(3000, 3000)", "noise(300, 300)", "correlate2d(x, h, dilation=3, method='direct')"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("job", LONG)
def test_ctrl_c_ends_a_long_call_within_a_second(spawn, job, workers):
    x, h, interrupted = LONG[job]
    code = f"""
        # Processes of a shell's background ignore the signal; this one does not.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def noise(*shape):
            return rng.standard_normal(shape, dtype=np.float32).astype(float)

        def whole(*shape):
            return rng.integers(-99, 99, shape)

        x, h, expected = {x}, {h}, call()
        fastconv.set_workers({workers})
        try:
            print("starts", flush=True)
            fastconv.{interrupted}
            print("ends by itself", flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert np.array_equal(call(), expected)
        print("works again", flush=True)
        """
    process = spawn(program(code))
    assert process.stdout.readline() == "starts\n", process.stderr.read()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - sent < 1
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("works again\n", 0), err


# What else lives in the process


def test_import_and_calls_leave_floating_point_as_it_is(child):
    answer = child(
        """
        import ctypes
        import threading
        import numpy as np

        libm = ctypes.CDLL(None)
        least = np.float64(5e-324)
        rounding = libm.fegetround()

        def states():
            return [
                least * 1 != 0,  # denormals are numbers
                np.float64(2.2250738585072014e-308) / 2 != 0,
                np.float64(1) + np.float64(2.0**-53) == 1,  # to nearest
                libm.fegetround() == rounding,
            ]

        assert all(states())
        import fastconv
        assert all(states())

        line, taps = np.full(2_000_000, least), [1.0, 0.0, 0.0]
        image, kernel = np.full((1500, 1500), np.float32(1e-45)), np.ones((1, 1), np.float32)
        for workers in (1, 2):
            result = fastconv.convolve(line, taps, "valid", method="direct", workers=workers)
            assert (result == least).all()
            result = fastconv.convolve2d(image, kernel, method="direct", workers=workers)
            assert (result == image).all()
            assert all(states())

        in_thread = []
        thread = threading.Thread(target=lambda: in_thread.extend(states()))
        thread.start()
        thread.join()
        print(all(in_thread))
        """
    )
    assert answer == "True"


def test_a_call_leaves_no_floating_point_error_behind(child):
    child(
        program(
            """
            import warnings

            warnings.simplefilter("error")
            big, tiny = np.full((1500, 1500), 1e308), np.full((1500, 1500), 1e-300)
            odd = np.where(np.eye(1500) > 0, np.nan, np.inf)
            with np.errstate(all="raise"):
                for x in (big, tiny, odd):
                    for workers in (1, 2):
                        fastconv.convolve2d(x, np.full((3, 3), 1e-30), method="direct", workers=workers)
                        fastconv.convolve2d(x, np.full((3, 3), 1e30), method="direct", workers=workers)
                        assert np.add(1.0, 1.0) == 2  # would report a flag that NumPy did not raise
            """
        )
    )


def test_beside_the_threads_of_blas_and_fft(child):
    child(
        program(
            EVERY_FUNCTION,
            """
            import scipy.fft

            others = [
                lambda: image @ image,
                lambda: np.linalg.solve(image[:500, :500], image[:500, 500:800]),
                lambda: scipy.fft.fft2(image, workers=2),
            ]
            expected, expected_others = [one(1) for one in calls], [other() for other in others]
            wrong = []

            def ours():
                for one, right in zip(calls, expected, strict=True):
                    np.array_equal(one(2), right) or wrong.append("ours")

            def theirs():
                for other, right in zip(others, expected_others, strict=True):
                    np.allclose(other(), right) or wrong.append("theirs")

            for _ in range(2):
                ours()
                theirs()
            threads = [threading.Thread(target=work) for work in (ours, theirs, ours, theirs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong, wrong
            assert in_a_child(lambda: np.array_equal(call(), expected[7]))
            """,
        ),
        timeout=120,
    )
