"""scikit-image, PyWavelets and statsmodels give the same answers with fastconv in place: make test-programs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pywt
from scipy import signal
from skimage import feature, filters, metrics
from statsmodels.tsa.filters.api import convolution_filter
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import ccovf

import fastconv

sys.path.insert(0, str(Path(__file__).parent))
import program

IMAGE, SERIES = program.photograph(160), program.series_of(3000)

# What is called, and the functions that must answer.
CALLS = {
    "canny": (lambda: feature.canny(IMAGE, sigma=2), ["gaussian_filter", "sobel"]),
    "unsharp_mask": (lambda: filters.unsharp_mask(IMAGE, radius=3), ["gaussian_filter"]),
    "unsharp_mask uint8": (
        lambda: filters.unsharp_mask((IMAGE * 255).astype(np.uint8), radius=3), ["gaussian_filter"]
    ),
    "frangi": (lambda: filters.frangi(IMAGE, sigmas=(1, 3)), ["gaussian_filter"]),
    "structural_similarity": (
        lambda: metrics.structural_similarity(IMAGE, IMAGE[::-1], data_range=1.0, full=True)[1], ["uniform_filter"]
    ),
    "structural_similarity gaussian": (
        lambda: metrics.structural_similarity(IMAGE, IMAGE.T, data_range=1.0, gaussian_weights=True),
        ["gaussian_filter"],
    ),
    "corner_harris": (lambda: feature.corner_harris(IMAGE), ["gaussian_filter", "sobel"]),
    "corner_peaks": (
        lambda: feature.corner_peaks(feature.corner_harris(IMAGE), threshold_rel=0.05), ["maximum_filter"]
    ),
    "cwt": (lambda: pywt.cwt(SERIES, [2, 5, 9], "mexh", method="conv")[0], ["convolve"]),
    "seasonal_decompose": (lambda: seasonal_decompose(SERIES, period=12).trend, ["convolve"]),
    "convolution_filter": (lambda: convolution_filter(SERIES, np.ones(25) / 25), ["convolve"]),
    "ccovf": (lambda: ccovf(SERIES, SERIES[::-1].copy(), fft=False), ["correlate"]),
    "savgol_filter": (lambda: signal.savgol_filter(SERIES, 31, 3), ["convolve1d"]),
    "resample_poly": (lambda: signal.resample_poly(SERIES, 3, 2), ["upfirdn"]),
}  # fmt: skip


def accelerated():
    return {name: calls.accelerated for name, calls in fastconv.patch_report().items()}


@pytest.mark.parametrize("name", CALLS)
def test_same_answer(name):
    call, served = CALLS[name]
    plain, before = np.asarray(call()), accelerated()
    with fastconv.patched():
        result = np.asarray(call())
    assert result.dtype == plain.dtype
    assert result.shape == plain.shape
    if plain.dtype.kind == "f":
        scale = np.abs(plain[np.isfinite(plain)]).max()
        np.testing.assert_allclose(result, plain, rtol=1e-9, atol=1e-9 * scale)
    else:
        np.testing.assert_array_equal(result, plain)
    rose = {full.rpartition(".")[2] for full, count in accelerated().items() if count > before.get(full, 0)}
    assert set(served) <= rose


def test_the_whole_program_prints_the_same():
    paths = [str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    plain, ours = (
        subprocess.run(
            [sys.executable, *launch, program.__file__, "96"],
            env=environment, capture_output=True, text=True, timeout=300, check=True,
        )
        for launch in ([], ["-m", "fastconv", "--report"])
    )  # fmt: skip
    numbers = re.compile(r"\d+\.\d+e[+-]\d+")
    assert len(plain.stdout.splitlines()) > 10
    for before, after in zip(plain.stdout.splitlines(), ours.stdout.splitlines(), strict=True):
        assert before[:33] == after[:33]  # names and sizes
        expected, result = (np.array(numbers.findall(line), float) for line in (before, after))
        np.testing.assert_allclose(result, expected, rtol=1e-6, err_msg=before)
    report = ours.stderr
    print(report)
    for name in ("gaussian_filter", "sobel", "uniform_filter", "maximum_filter", "convolve1d", "convolve", "upfirdn"):
        assert re.search(rf"\.{name} +[1-9]\d* ", report), report
    assert "fastconv alone" not in report
