"""fastconv and PyTorch in one process: PyTorch brings an OpenMP runtime of its own."""

import multiprocessing
import threading

import numpy as np
import pytest
import torch

import fastconv


@pytest.fixture
def case(rng):
    """Work for both, large enough for threads, and what each makes of it alone."""
    image, kernel = rng.standard_normal((1000, 1200)), rng.standard_normal((7, 7))

    def ours(workers=2):
        return fastconv.correlate2d(image, kernel, "valid", method="direct", workers=workers)

    def theirs():
        x, weight = torch.from_numpy(image)[None, None], torch.from_numpy(kernel)[None, None]
        return torch.nn.functional.conv2d(x, weight)[0, 0].numpy()

    torch.set_num_threads(2)
    return ours, theirs, ours(1)


def test_both_agree_and_take_turns(case):
    ours, theirs, expected = case
    for workers in (1, 2, 3, 2):
        np.testing.assert_array_equal(ours(workers), expected)
        np.testing.assert_allclose(theirs(), expected, rtol=1e-12, atol=1e-12)


def test_neither_changes_the_others_threads(case):
    ours, theirs, _ = case
    before = torch.get_num_threads(), fastconv.get_workers()
    with fastconv.set_workers(3):
        ours(4)
        theirs()
        assert torch.get_num_threads() == before[0]
        assert fastconv.get_workers() == 3
    assert (torch.get_num_threads(), fastconv.get_workers()) == before


def test_both_at_once_from_several_python_threads(case):
    ours, theirs, expected = case
    wrong = []

    def work(call, tolerance):
        for _ in range(5):
            if not np.allclose(call(), expected, rtol=tolerance, atol=tolerance):
                wrong.append(call.__name__)

    threads = [threading.Thread(target=work, args=each) for each in [(ours, 0), (theirs, 1e-12)] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_in_a_forked_child_after_both_have_run(case):
    ours, theirs, expected = case
    theirs()
    ours()

    def check(queue):
        queue.put(np.array_equal(ours(), expected))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=check, args=(queue,), daemon=True)
    process.start()
    try:
        assert queue.get(timeout=60)
    finally:
        process.kill()
        process.join()
    np.testing.assert_array_equal(ours(), expected)
    np.testing.assert_allclose(theirs(), expected, rtol=1e-12, atol=1e-12)
