"""Where the number of threads comes from."""

import os
import threading

import numpy as np
import pytest

import fastconv
from fastconv import _runtime

CPUS = os.cpu_count() or 1


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As after an import without any of the variables, whatever tests before have set."""
    monkeypatch.setattr(_runtime, "_ENVIRONMENT", {})
    monkeypatch.setattr(_runtime, "_set", None)
    monkeypatch.setattr(_runtime, "_usable_cpus", lambda: (7, "seven, says the test"))
    _runtime._default_workers.cache_clear()
    yield
    _runtime._default_workers.cache_clear()


@pytest.fixture
def environment(monkeypatch):
    def put(**variables):
        monkeypatch.setattr(_runtime, "_ENVIRONMENT", variables)

    return put


def test_each_source_wins_over_those_after_it(environment):
    assert _runtime.config()["workers_from"] == "seven, says the test"
    assert fastconv.get_workers() == 7
    environment(OMP_NUM_THREADS="3")
    assert fastconv.get_workers() == 7  # settled once
    _runtime._default_workers.cache_clear()
    assert (fastconv.get_workers(), _runtime.config()["workers_from"]) == (3, "OMP_NUM_THREADS")
    environment(OMP_NUM_THREADS="3", FASTCONV_NUM_THREADS="4")
    _runtime._default_workers.cache_clear()
    assert (fastconv.get_workers(), _runtime.config()["workers_from"]) == (4, "FASTCONV_NUM_THREADS")
    fastconv.set_workers(5)
    assert (fastconv.get_workers(), _runtime.config()["workers_from"]) == (5, "set_workers")
    assert (_runtime.threads(6), _runtime.threads()) == (6, 5)
    assert fastconv.get_workers() == 5
    fastconv.set_workers(None)
    assert fastconv.get_workers() == 4


def test_the_environment_is_read_at_import(child):
    code = """
        import os
        import fastconv
        os.environ["FASTCONV_NUM_THREADS"] = "9"
        print(fastconv.get_workers())
        """
    assert child(code, FASTCONV_NUM_THREADS="5", OMP_NUM_THREADS="4") == "5"
    assert child(code, OMP_NUM_THREADS="4") == "4"
    assert child(code, FASTCONV_NUM_THREADS="", OMP_NUM_THREADS=" 4,2 ") == "4"


@pytest.mark.parametrize("text", ["4", " 4", "4,2", "4 , 2,1"])
def test_omp_num_threads_may_list_levels(environment, text):
    environment(OMP_NUM_THREADS=text)
    assert fastconv.get_workers() == 4


@pytest.mark.parametrize("text", ["many", "0", "-2", "2.0", "4,2", "1e3"])
def test_a_variable_that_is_no_number_warns_once_and_is_left_out(environment, text):
    environment(FASTCONV_NUM_THREADS=text, OMP_NUM_THREADS="3")
    with pytest.warns(RuntimeWarning) as warned:
        assert [fastconv.get_workers() for _ in range(3)] == [3, 3, 3]
    assert [str(w.message) for w in warned] == [f"FASTCONV_NUM_THREADS={text!r} is ignored: not a number of threads"]


def test_both_variables_may_be_wrong(environment):
    environment(FASTCONV_NUM_THREADS="x", OMP_NUM_THREADS=",4")
    with (
        pytest.warns(RuntimeWarning, match="FASTCONV_NUM_THREADS='x'"),
        pytest.warns(RuntimeWarning, match="OMP_NUM_THREADS=',4'"),
    ):
        assert fastconv.get_workers() == 7


@pytest.mark.parametrize("n", [1, 2, np.int8(3), np.uint64(3), -1, -CPUS, 10**30])
def test_what_counts_as_a_number(n):
    expected = int(n) if n > 0 else CPUS + 1 + n
    assert _runtime.threads(n) == expected
    with fastconv.set_workers(n):
        assert fastconv.get_workers() == expected
        assert type(fastconv.get_workers()) is int


@pytest.mark.parametrize("n", [2.0, "2", True, False, np.True_, [2], 1j])
def test_what_is_no_integer(n):
    for call in (_runtime.threads, fastconv.set_workers, lambda n: fastconv.convolve([1], [1], workers=n)):
        with pytest.raises(TypeError, match="workers must be an integer, got "):
            call(n)
    assert fastconv.get_workers() == 7


@pytest.mark.parametrize("n", [0, -CPUS - 1, -(10**30)])
def test_what_is_no_number_of_threads(n):
    message = rf"workers must be at least 1, or from -1 \(all CPUs\) to -{CPUS}, got {n}$"
    for call in (_runtime.threads, fastconv.set_workers, lambda n: fastconv.convolve([1], [1], workers=n)):
        with pytest.raises(ValueError, match=message):
            call(n)
    assert fastconv.get_workers() == 7


def test_set_workers_as_a_call_stays():
    fastconv.set_workers(2)
    fastconv.set_workers(3)
    assert fastconv.get_workers() == 3


def test_set_workers_takes_effect_before_the_block_and_ends_with_it():
    setting = fastconv.set_workers(2)
    assert fastconv.get_workers() == 2
    with setting as nothing:
        assert nothing is None
        assert fastconv.get_workers() == 2
    assert fastconv.get_workers() == 7


def test_set_workers_nests():
    fastconv.set_workers(2)
    with fastconv.set_workers(3):
        with fastconv.set_workers(None):
            assert fastconv.get_workers() == 7
            with fastconv.set_workers(4):
                assert fastconv.get_workers() == 4
            assert fastconv.get_workers() == 7
        assert fastconv.get_workers() == 3
        fastconv.set_workers(6)  # a plain call within ends with the block around it
    assert fastconv.get_workers() == 2


def test_set_workers_is_undone_after_an_error_which_goes_on():
    with pytest.raises(ZeroDivisionError), fastconv.set_workers(2):
        1 / 0  # noqa: B018
    assert fastconv.get_workers() == 7


def test_a_refused_number_leaves_the_setting():
    with fastconv.set_workers(2):
        with pytest.raises(ValueError, match="got 0"):
            fastconv.set_workers(0)
        assert fastconv.get_workers() == 2


def test_set_workers_holds_in_every_thread():
    seen = []
    with fastconv.set_workers(3):
        thread = threading.Thread(target=lambda: seen.append(fastconv.get_workers()))
        thread.start()
        thread.join()
    assert seen == [3]


def test_a_forked_child_has_one(child):
    code = """
        import os
        from fastconv import _runtime

        _runtime.set_workers(5)
        if (pid := os.fork()) == 0:
            os._exit(10 * _runtime.threads() + _runtime.threads(4))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), _runtime.threads(), _runtime.threads(4))
        """
    assert child(code) == "11 5 4"
