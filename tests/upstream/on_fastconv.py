"""A pytest plugin: other projects' tests, with fastconv in the place of the functions that they test.

    python -m pytest -p on_fastconv --reach scipy.signal.convolve2d --pyargs scipy.signal.tests.test_signaltools

A test fails here if fastconv refuses what the original answers, even if it would pass by that; the run fails if a
function named by --reach answered no call. Known differences are in expected.py, each with its reason.
"""

from collections import Counter

import pytest
from expected import FAILURES, lawful

import fastconv


def pytest_addoption(parser):
    parser.addoption("--reach", nargs="+", default=[], metavar="NAME", help="functions that must answer some call")
    parser.addoption("--every", type=int, default=1, metavar="N", help="of a test's cases, one in N")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # Before any test module is imported, which binds names.
    originals = bound()
    fastconv.patch()
    try:
        from scipy._lib._array_api import xp_capabilities_table as table
    except ImportError:
        return  # this SciPy has none
    for name, stand_in in bound().items():
        if originals[name] in table:
            table[stand_in] = table[originals[name]]


def bound():
    """What NumPy and SciPy offer under each name that fastconv stands in for."""
    import numpy
    import scipy.ndimage
    import scipy.signal

    modules = {"numpy": numpy, "scipy.signal": scipy.signal, "scipy.ndimage": scipy.ndimage}
    return {name: getattr(modules[row.module], row.name) for name, row in fastconv._registry.ROWS.items()}


def pytest_collection_modifyitems(config, items):
    seen, kept = Counter(), []
    for item in items:
        test = item.nodeid.partition("[")[0]
        if seen[test] % config.option.every == 0:
            kept.append(item)
        seen[test] += 1
        for part, reason in FAILURES.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    items[:] = kept


def unlawful():
    """Calls that went to the original for a reason that is none."""
    return Counter({
        f"{name}: {reason}": count
        for name, calls in fastconv.patch_report().items()
        for reason, count in calls.passed_on.items()
        if not lawful(name, reason)
    })


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    before = unlawful()
    result = yield
    refused = unlawful() - before
    assert not refused, f"calls went to the original in silence: {dict(refused)}"
    return result


def pytest_sessionfinish(session, exitstatus):
    report = fastconv.patch_report()
    missed = [name for name in session.config.option.reach if name not in report or not report[name].accelerated]
    session.config.missed = missed
    if missed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("calls of fastconv")
    terminalreporter.write_line(str(fastconv.patch_report()))
    for name in config.missed:
        terminalreporter.write_line(f"FAILED {name} answered no call: the patch is dead", red=True)
