"""fastconv in the place of NumPy's and SciPy's functions: put in, taken out, reported."""

import inspect
import logging
import pickle
import sys
import threading
import types
import warnings

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from scipy.signal import convolve2d, savgol_filter

import fastconv
from fastconv import _registry
from fastconv.patch import Calls

MODULES = {"numpy": np, "scipy.signal": scipy.signal, "scipy.ndimage": scipy.ndimage}
ROWS = _registry.ROWS
MODULE = sys.modules["fastconv.patch"]  # fastconv.patch is the function

# This module's own name convolve2d is found and replaced as any other; what a class holds is not.
ORIGINALS = types.MappingProxyType({name: getattr(MODULES[row.module], row.name) for name, row in ROWS.items()})


def current():
    return {name: getattr(MODULES[row.module], row.name) for name, row in ROWS.items()}


@pytest.fixture(autouse=True)
def taken_out():
    yield
    left = [name for name, function in current().items() if function is not ORIGINALS[name]]
    fastconv.unpatch()
    assert not left


def calls(name):
    return fastconv.patch_report().get(name, Calls())


# --- the registry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_is_what_is_installed_and_what_fastconv_has(row):
    original, face = ORIGINALS[row.full_name], row.face()
    assert row.fits(original)
    ours = list(inspect.signature(face).parameters.values())
    for position, parameter in enumerate(row.parameters):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            assert ours[position].name == parameter.name
            assert ours[position].default == parameter.default
        else:
            assert any(own.name == parameter.name for own in ours)


def test_kernels_of_the_registry_are_pages():
    from pathlib import Path

    pages = {page.stem for page in Path(_registry.__file__).with_name("_kernels").glob("*.pyx")}
    assert {kernel for row in ROWS.values() for kernel in row.kernels} <= pages


# --- in and out ------------------------------------------------------------------------------------------


def test_all_are_replaced_and_restored():
    with fastconv.patched():
        for name, function in current().items():
            assert function is not ORIGINALS[name], name
            assert function.__name__ == ROWS[name].name
            assert function.__doc__ == ORIGINALS[name].__doc__
    assert current() == dict(ORIGINALS)


def test_names_that_modules_hold():
    inner = sys.modules["scipy.signal._savitzky_golay"]
    with fastconv.patched():
        assert convolve2d is scipy.signal.convolve2d
        assert convolve2d is not ORIGINALS["scipy.signal.convolve2d"]
        assert inner.convolve1d is scipy.ndimage.convolve1d
    assert convolve2d is ORIGINALS["scipy.signal.convolve2d"]
    assert inner.convolve1d is ORIGINALS["scipy.ndimage.convolve1d"]


def test_names_bound_meanwhile_are_restored(monkeypatch):
    late = types.ModuleType("late")
    monkeypatch.setitem(sys.modules, "late", late)
    with fastconv.patched():
        exec("from scipy.signal import fftconvolve as convolve", late.__dict__)
        assert late.convolve is not ORIGINALS["scipy.signal.fftconvolve"]
    assert late.convolve is ORIGINALS["scipy.signal.fftconvolve"]


def test_strange_modules_are_left_in_peace(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError("loaded")

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "none", None)
    monkeypatch.setitem(sys.modules, "number", 3)
    with fastconv.patched():
        assert np.convolve([1, 2], [1]).tolist() == [1, 2]


def test_patch_twice_unpatch_once():
    fastconv.patch()
    first = current()
    fastconv.patch()
    assert current() == first
    fastconv.unpatch()
    assert current() == dict(ORIGINALS)
    fastconv.unpatch()
    assert current() == dict(ORIGINALS)


def test_nested():
    with fastconv.patched("numpy"):
        with fastconv.patched():
            assert scipy.signal.convolve is not ORIGINALS["scipy.signal.convolve"]
        assert scipy.signal.convolve is ORIGINALS["scipy.signal.convolve"]
        assert np.convolve is not ORIGINALS["numpy.convolve"]
        fastconv.patch("numpy")
    assert np.convolve is not ORIGINALS["numpy.convolve"]
    fastconv.unpatch()


def test_decorator():
    @fastconv.patched(["numpy.convolve"])
    def inside():
        return np.convolve, np.correlate

    for _ in range(2):
        convolve, correlate = inside()
        assert convolve is not ORIGINALS["numpy.convolve"]
        assert correlate is ORIGINALS["numpy.correlate"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ("convolve", {"numpy.convolve", "scipy.signal.convolve", "scipy.ndimage.convolve"}),
        ("scipy.signal.convolve2d", {"scipy.signal.convolve2d"}),
        (["numpy", "sobel"], {"numpy.convolve", "numpy.correlate", "scipy.ndimage.sobel"}),
        ([], set()),
    ],
)
def test_names(names, chosen):
    with fastconv.patched(names):
        assert {name for name, function in current().items() if function is not ORIGINALS[name]} == chosen


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'scipy.signal.lfilter'.*scipy.signal.convolve2d"):
        fastconv.patch(["numpy", "scipy.signal.lfilter"])
    assert np.convolve is ORIGINALS["numpy.convolve"]


def test_another_signature_is_left_alone(monkeypatch):
    def sobel(input, axis=0, output=None):
        return "theirs"

    monkeypatch.setattr(scipy.ndimage, "sobel", sobel)
    with (
        pytest.warns(RuntimeWarning, match=r"scipy.ndimage.sobel is left alone: it takes \(input, axis=0"),
        fastconv.patched("scipy.ndimage"),
    ):
        assert scipy.ndimage.sobel is sobel
        assert scipy.ndimage.prewitt is not ORIGINALS["scipy.ndimage.prewitt"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        with fastconv.patched("scipy.ndimage"):
            assert scipy.ndimage.sobel is sobel


def test_an_older_one_without_a_keyword_is_served(monkeypatch):
    def laplace(input, output=None, mode="reflect", cval=0.0):
        return "theirs"

    monkeypatch.setattr(scipy.ndimage, "laplace", laplace)
    with fastconv.patched("laplace"):
        assert scipy.ndimage.laplace(np.eye(3))[1, 1] == -4
        assert scipy.ndimage.laplace(np.eye(3, dtype=object)) == "theirs"
        with pytest.raises(TypeError, match="axes"):
            scipy.ndimage.laplace(np.eye(3), axes=0)


def test_pickles_by_name():
    with fastconv.patched():
        for name, function in current().items():
            assert pickle.loads(pickle.dumps(function)) is function, name


# --- calls -----------------------------------------------------------------------------------------------


def test_served_and_counted():
    before = calls("scipy.signal.convolve2d").accelerated
    with fastconv.patched():
        result = scipy.signal.convolve2d(np.eye(3), [[1, 1]], mode="same", boundary="symm")
    assert calls("scipy.signal.convolve2d").accelerated == before + 1
    np.testing.assert_array_equal(result, scipy.signal.convolve2d(np.eye(3), [[1, 1]], "same", "symm"))
    assert calls("scipy.signal.convolve2d").accelerated == before + 1


class Sub(np.ndarray):
    pass


class Foreign:
    def __array_function__(self, function, types, args, kwargs):
        return "foreign"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: np.convolve(np.array([1, 2], object), [1, 1]), "dtype object"),
        (lambda: np.convolve(np.ones(2, np.longdouble), [1, 1]), f"dtype {np.dtype(np.longdouble).name}"),
        (lambda: np.correlate(np.ones(3).view(Sub), [1, 1]), f"subclass {__name__}.Sub"),
        (lambda: np.convolve(np.ma.ones(3), [1, 1]), "subclass numpy.ma.MaskedArray"),
        (lambda: np.convolve(Foreign(), [1, 1]), f"array of {__name__}.Foreign"),
        (lambda: np.convolve([1, 2], [1], workers=1), "keyword workers"),
        (lambda: np.convolve([], [1]), "error: ValueError"),
        (lambda: np.convolve([1], [1], None), "error: TypeError"),
        (lambda: scipy.signal.fftconvolve(np.ones(3), np.ones((3, 3))), "error: ValueError"),
        (lambda: scipy.ndimage.sobel(np.ones((3, 3)), mode="none"), "error: RuntimeError"),
    ],
)
def test_what_is_not_covered_is_the_originals(call, reason):
    def outcome():
        try:
            result = call()
        except Exception as error:
            return type(error), str(error)
        return type(result), getattr(result, "dtype", None), np.asarray(result).tolist()

    expected, before = outcome(), fastconv.patch_report()
    with fastconv.patched():
        assert outcome() == expected
    (name,) = [name for name, now in fastconv.patch_report().items() if now != before.get(name)]
    old = before.get(name, Calls())
    assert calls(name).passed_on - old.passed_on == {reason: 1}
    assert calls(name).accelerated == old.accelerated


def test_what_fastconv_alone_refuses_is_answered_and_told_apart(monkeypatch):
    def refuse(*args, **kwargs):
        raise ValueError("not here")

    monkeypatch.setattr(fastconv, "convolve", refuse)
    monkeypatch.setattr(MODULE, "_made", {})
    with fastconv.patched("numpy.convolve"):
        assert np.convolve([1, 2], [1, 1]).tolist() == [1, 3, 2]
    assert calls("numpy.convolve").passed_on["ValueError in fastconv alone"] == 1


def test_scipys_own_callers_are_served_without_recursion():
    x = np.arange(30.0) ** 1.5
    expected = savgol_filter(x, 5, 2), scipy.signal.lfilter(np.ones(3), 2.0, x), np.poly([1, 2, 3])
    before = {name: calls(name).accelerated for name in ROWS}
    with fastconv.patched():
        results = savgol_filter(x, 5, 2), scipy.signal.lfilter(np.ones(3), 2.0, x), np.poly([1, 2, 3])
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-12)
    for name in ("scipy.ndimage.convolve1d", "numpy.convolve"):
        assert calls(name).accelerated > before[name]


def test_what_a_fallback_calls_inside_is_not_counted():
    x = np.array([1, 2, 3], object)
    before = fastconv.patch_report()
    with fastconv.patched():
        assert scipy.signal.convolve(x, x, method="direct").tolist() == [1, 4, 10, 12, 9]
    after = fastconv.patch_report()
    assert [name for name in after if after[name] != before.get(name)] == ["scipy.signal.convolve"]


def test_what_fastconv_leaves_to_numpy_does_not_return_to_it():
    # Dates are no numbers: fastconv gives them to NumPy, by the very name that is replaced.
    dates = np.array([1, 2], "m8[s]")
    expected = np.convolve(dates, [1, 1])
    with fastconv.patched():
        np.testing.assert_array_equal(fastconv.convolve(dates, [1, 1]), expected)
        np.testing.assert_array_equal(np.convolve(list(dates), [1, 1]), expected)


def test_from_many_threads():
    before, faults = calls("numpy.convolve"), []

    def work():
        try:
            for _ in range(50):
                with fastconv.patched():
                    assert np.convolve is not ORIGINALS["numpy.convolve"]
                    assert np.convolve([1, 2], [1, 1]).tolist() == [1, 3, 2]
                    np.convolve(np.array([1], object), [1])
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert calls("numpy.convolve").accelerated == before.accelerated + 200
    assert calls("numpy.convolve").passed_on["dtype object"] == before.passed_on["dtype object"] + 200


# --- what is said ----------------------------------------------------------------------------------------


def test_verbose(caplog):
    with caplog.at_level(logging.INFO, "fastconv.patch"):
        with fastconv.patched(verbose=True):
            np.convolve(np.ones(3), [1, 1], mode="same")
            np.convolve(np.ones(3, object), [1, 1])
            with pytest.raises(ValueError, match="empty"):
                np.convolve([], [1])
        np.convolve([1], [1])
        with fastconv.patched():
            np.convolve([1], [1])
    assert caplog.messages == [
        "numpy.convolve(float64[3], [1, 1], mode='same'): accelerated",
        "numpy.convolve(object[3], [1, 1]): passed on, dtype object",
        "numpy.convolve([], [1]): passed on, error: ValueError (a cannot be empty)",
    ]


def test_report_reads_well():
    report = MODULE.Report({"numpy.convolve": Calls(3), "scipy.signal.convolve2d": Calls(2)})
    report["scipy.signal.convolve2d"].passed_on.update({"dtype object": 4})
    assert str(report).splitlines() == [
        "                         accelerated  passed on",
        "numpy.convolve                     3          0",
        "scipy.signal.convolve2d            2          4",
        "                                              4 dtype object",
    ]
    assert "no calls" in str(type(report)())
