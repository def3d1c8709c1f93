"""The demo, run once as a newcomer does, from another folder and without a display."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fastconv import _demo, _demo_network, nn
from fastconv.__main__ import main

PICTURES = [
    "anywhere", "conventions", "ecg", "layer_matrix", "lenet", "photo_colour", "photo_grey", "signals", "sizes",
    "timings", "two_twos", "volume",
]  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    display = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in display}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fastconv", "demo", "--quick"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "demo", done


def test_it_writes_its_pictures_and_nothing_else(demo):
    folder, _ = demo
    assert sorted(os.listdir(folder)) == [f"{name}.png" for name in PICTURES]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_show_something(demo, name):
    folder, _ = demo
    with Image.open(folder / f"{name}.png") as file:
        pixels = np.array(file.convert("RGB"))
    height, width, _ = pixels.shape
    assert height > 500
    assert width > 1500
    assert len(np.unique(pixels[::5, ::5].reshape(-1, 3), axis=0)) > 50
    assert np.all(pixels[[0, 0, -1, -1], [0, -1, 0, -1]] == 255), "something is cut off at a corner"
    assert 0.02 < np.mean(pixels.min(axis=2) < 250) < 0.98, "empty, or filled to the brim"


def test_it_prints_the_ten_values_and_the_timings(demo):
    _, done = demo
    assert "3.33 6.33 9.67 9.33 9.67 6.67 7.00 6.67 9.67 9.00" in done.stdout
    for column in ("NumPy", "SciPy", "fastconv", "ratio"):
        assert column in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.endswith(" x")]
    assert len(rows) == len(_demo.cases(quick=True))
    for name in PICTURES:
        assert f"{name}.png" in done.stdout


def test_it_prints_what_the_network_reads(demo):
    _, done = demo
    assert "digits it has never seen" in done.stdout
    rows = done.stdout.splitlines()
    first = next(number for number, row in enumerate(rows) if row.startswith("Confusion matrix")) + 2
    counts = np.array([[0 if cell == "." else int(cell) for cell in row.split()[1:]] for row in rows[first:][:10]])
    assert counts.sum() == 1797 // 3
    share = 100 * np.trace(counts) / counts.sum()
    assert f"reads {share:.1f} %" in done.stdout
    assert share > 80  # after a single pass


def test_it_shows_progress(demo):
    _, done = demo
    assert "training" in done.stderr
    assert "pictures" in done.stderr
    assert "timings" in done.stderr
    assert "100%" in done.stderr


def test_the_mean_of_three():
    found = _demo.mean_of_three(_demo.TEN_VALUES)
    assert _demo.TEN_VALUES == [10, 9, 10, 9, 10, 1, 10, 9, 10, 8]
    np.testing.assert_allclose(found, np.array([10, 19, 29, 28, 29, 20, 21, 20, 29, 27]) / 3)


def test_smoothing_leaves_a_constant_alone_up_to_the_ends():
    np.testing.assert_allclose(_demo.smooth(np.full(50, 7.0), np.ones(9)), 7.0)


def test_two_twos_are_more_alike_when_pooled():
    one, other = _demo_network.handwritten_twos()

    def alike(step):
        return np.corrcoef(step(one).ravel(), step(other).ravel())[0, 1]

    assert alike(lambda two: two) < 0.8
    assert alike(_demo_network.edges) < 0.7
    assert alike(lambda two: nn.max_pool2d(_demo_network.edges(two)[None], 8)) > 0.95


def test_the_rest_of_matplotlib_is_left_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context(_demo.STYLE):
        _demo.signals()
    assert dict(matplotlib.rcParams) == before


def test_all_calls_of_a_case_must_agree():
    wrong = _demo.Case("wrong", lambda workers: np.ones(3), {}, {"other": lambda: np.zeros(3)})
    with pytest.raises(AssertionError):
        _demo.time_case(wrong, quick=True)


@pytest.mark.parametrize("kernel_shape", [(3, 3), (5, 3), (9, 9)])
@pytest.mark.parametrize("by_numpy", [_demo.shifted_sum, _demo.rfft2])
def test_what_numpy_is_timed_with_is_right(by_numpy, kernel_shape):
    rng = np.random.default_rng(0)
    image, kernel = rng.random((20, 24)), rng.random(kernel_shape)
    np.testing.assert_allclose(by_numpy(image, kernel), ndimage.convolve(image, kernel, mode="constant"))


def test_the_table_gives_the_ratio_to_the_faster_of_the_two():
    timing = _demo.Timing("a case", (6.0, "convolve"), (4.0, "oaconvolve"), 0.8, 0.5)
    assert timing.ratio == 8
    *head, row = _demo.table([timing]).splitlines()
    assert {len(line) for line in head} == {len(row)}
    assert row.split() == ["a", "case", "6.00", "4.00", "(oaconvolve)", "0.80", "0.50", "8.0", "x"]


@pytest.mark.parametrize("output", ["file", "file/folder"])
def test_output_that_cannot_be_a_folder(tmp_path, capsys, output):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--quick", "--output", str(tmp_path / output)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
