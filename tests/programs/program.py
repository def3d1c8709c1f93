"""A program as people write them: images and series through scikit-image, PyWavelets and statsmodels.

It knows nothing of fastconv, and prints what it found. ``python program.py [SIZE]``
"""

import sys

import numpy as np
import pywt
from scipy import ndimage, signal
from skimage.feature import canny, corner_harris, corner_peaks
from skimage.filters import frangi, unsharp_mask
from skimage.metrics import structural_similarity
from statsmodels.tsa.arima_process import arma_acovf
from statsmodels.tsa.filters.api import convolution_filter
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import ccovf


def show(name, *results):
    for result in results:
        x = np.asarray(result, dtype=float)
        x = np.abs(x[np.isfinite(x)])
        print(f"{name:24} {x.size:8} {x.sum():18.8e} {x.max():18.8e} {x @ np.sqrt(np.arange(x.size)):18.8e}")


def photograph(size):
    """Discs of all sizes on a slope, with noise."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:size, :size] / size
    image = 0.3 * rows + 0.1 * columns
    for y, x, radius, grey in rng.random((40, 4)) * [1, 1, 0.15, 0.6]:
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] += grey
    return np.clip(image + 0.02 * rng.standard_normal(image.shape), 0, 1)


def images(image):
    show("canny", canny(image, sigma=2))
    show("unsharp_mask", unsharp_mask(image, radius=3, amount=1.5))
    show("frangi", frangi(image, sigmas=(1, 2, 3), black_ridges=False))
    other = np.clip(image + 0.05 * np.random.default_rng(4).standard_normal(image.shape), 0, 1)
    show("structural_similarity", structural_similarity(image, other, data_range=1.0, gaussian_weights=True))
    show("structural_similarity", structural_similarity(image, other, data_range=1.0, full=True)[1])
    response = corner_harris(image)
    show("corner_harris", response, corner_peaks(response, min_distance=5, threshold_rel=0.05))


def wavelets(image, series):
    levels = pywt.wavedec2(image, "db4", level=3)
    show("wavedec2", pywt.waverec2(levels, "db4"))
    coefficients, _ = pywt.cwt(series, [2, 4, 8, 16], "mexh", method="conv")
    show("cwt", coefficients)
    _, psi, _ = pywt.Wavelet("sym8").wavefun(level=8)
    show("scalogram", signal.fftconvolve(series, psi, mode="same"))


def series_of(size):
    rng = np.random.default_rng(5)
    t = np.arange(size)
    return np.sin(2 * np.pi * t / 12) + 1e-3 * t + 0.1 * rng.standard_normal(size)


def statistics(series):
    parts = seasonal_decompose(series, period=12, two_sided=True)
    show("seasonal_decompose", parts.trend, parts.seasonal)
    show("convolution_filter", convolution_filter(series, np.ones(25) / 25))
    show("ccovf", ccovf(series, series[::-1].copy(), fft=False))
    show("arma_acovf", arma_acovf([1, -0.5], [1, 0.4], 20))


def rest(image, series):
    show("median, savgol", ndimage.median_filter(image, 5), signal.savgol_filter(series, 31, 3))
    show("resample_poly", signal.resample_poly(series, 3, 2))


def main(size=256):
    image, series = photograph(size), series_of(20 * size)
    images(image)
    wavelets(image, series)
    statistics(series)
    rest(image, series)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
