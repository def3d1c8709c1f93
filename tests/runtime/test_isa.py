"""The choice of the instruction set."""

from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from fastconv import _machine, _runtime

ALL = ("baseline", "avx2", "avx512")


@pytest.mark.parametrize(
    ("built", "supported", "best"),
    [
        (ALL, ALL, "avx512"),
        (ALL, ALL[:2], "avx2"),
        (ALL, ALL[:1], "baseline"),
        (ALL[:2], ALL, "avx2"),
        (("baseline", "avx512"), ALL, "avx512"),
        (("baseline", "avx512"), ALL[:2], "baseline"),
    ],
)
def test_the_highest_that_is_built_and_runs_is_taken(built, supported, best):
    assert _runtime._choose_variant(built, supported, None) == (
        best,
        "the highest that is built and that this machine runs",
    )


@pytest.mark.parametrize("asked", ALL)
def test_one_that_is_asked_for_is_taken(asked):
    assert _runtime._choose_variant(ALL, ALL, asked) == (asked, "FASTCONV_ISA asks for it")


@pytest.mark.parametrize(
    ("built", "supported", "asked", "message"),
    [
        (ALL, ALL, "sse9", r"'sse9' is not the name of .*; available here: baseline, avx2, avx512$"),
        (ALL, ALL, "AVX2", r"'AVX2' is not the name of "),
        (ALL, ALL[:2], "avx512", r"'avx512' is more than this machine runs; available here: baseline, avx2$"),
        (ALL[:2], ALL, "avx512", r"'avx512' is not built; available here: baseline, avx2$"),
        ((), ALL, None, "built are none, this machine runs baseline, avx2, avx512"),
        (("avx512",), ALL[:2], "avx512", "built are avx512, this machine runs baseline, avx2"),
    ],
)
def test_what_cannot_be_is_refused(built, supported, asked, message):
    with pytest.raises(ImportError, match=message):
        _runtime._choose_variant(built, supported, asked)


def test_built_is_what_this_python_can_load(tmp_path):
    for path in (
        f"baseline/f32/correlate{EXTENSION_SUFFIXES[0]}",
        "avx2/f32/correlate.cpython-26-another-machine.so",  # another Python's
        "avx512/f32/__init__.py",
        f"mmx/f32/correlate{EXTENSION_SUFFIXES[0]}",  # a name that is not one of ours
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert _runtime._built_variants(tmp_path) == ("baseline",)
    assert _runtime._built_variants(tmp_path / "nowhere") == ()


def usable():
    return [isa for isa in _runtime._BUILT if isa in _machine.cpu_variants()]


LOADED = """
    import sys
    import fastconv
    from fastconv import _runtime

    fastconv.convolve([1.0, 2.0], [1.0, 3.0])
    loaded = [name.split(".") for name in sys.modules if name.startswith("fastconv._kernels.")]
    print(_runtime.ISA, *{parts[2] for parts in loaded if len(parts) == 5})  # _kernels.<isa>.<dtype>.<operation>
"""


@pytest.mark.parametrize("isa", usable())
def test_the_environment_forces_a_variant_and_no_other_is_loaded(child, isa):
    assert child(LOADED, FASTCONV_ISA=isa) == f"{isa} {isa}"


@pytest.mark.parametrize("unset", ["", "  "])
def test_an_empty_variable_asks_for_nothing(child, unset):
    assert child(LOADED, FASTCONV_ISA=unset) == f"{usable()[-1]} {usable()[-1]}"


def test_an_unknown_name_stops_the_import(child):
    answer = child(
        """
        try:
            import fastconv
        except ImportError as error:
            print(error)
        """,
        FASTCONV_ISA="sse9",
    )
    assert answer.startswith("FASTCONV_ISA='sse9' is not the name of an instruction set; available here: b")


def test_more_than_the_machine_has_stops_the_import(child):
    answer = child(
        """
        import importlib
        import os
        import fastconv
        from fastconv import _machine, _runtime

        os.environ["FASTCONV_ISA"] = "avx2"
        _machine.cpu_variants = lambda: ("baseline",)
        try:
            importlib.reload(_runtime)
        except ImportError as error:
            print(error)
        """,
    )
    assert answer == "FASTCONV_ISA='avx2' is more than this machine runs; available here: baseline"


def test_a_kernel_is_of_the_variant_in_use_and_loaded_once():
    module = _runtime.kernel("f32", "correlate")
    assert module.__name__ == f"fastconv._kernels.{_runtime.ISA}.f32.correlate"
    assert _runtime.kernel("f32", "correlate") is module
