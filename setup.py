"""Builds the kernels: Cython pages, each compiled once for every instruction set and element type it serves.

    fastconv/_kernels/<instruction set>/<element type>/<page>

Each variant has flags, a build folder and a package folder of its own, so that no object of another variant
can be linked in. The module that asks the CPU what it can do is built without any such flag.
"""
from __future__ import annotations

import copy
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("fastconv", "_kernels")

X86 = platform.machine().lower() in ("x86_64", "amd64", "i686", "i386")

ISA_FLAGS = {"baseline": []}
if X86:
    ISA_FLAGS |= {
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
    }

NUMPY_API = ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")

# element type -> macros (see simd.h); "u8_f32" reads and writes uint8 pixels and sums in float32, "u8_u16" in 16 bits
TYPES = {
    "f32": {"FC_REAL": "float"},
    "f64": {"FC_REAL": "double"},
    "c64": {"FC_REAL": "float", "FC_COMPLEX": "1"},
    "c128": {"FC_REAL": "double", "FC_COMPLEX": "1"},
    "u8": {"FC_REAL": "uint8_t", "FC_INTEGER": "1", "FC_BYTE": "1"},
    **{f"u{bits}": {"FC_REAL": f"uint{bits}_t", "FC_INTEGER": "1"} for bits in (16, 32, 64)},
    **{f"i{bits}": {"FC_REAL": f"int{bits}_t", "FC_INTEGER": "1"} for bits in (16, 32, 64)},
    "u8_u16": {"FC_REAL": "uint16_t", "FC_INTEGER": "1", "FC_IN": "uint8_t", "FC_OUT": "uint8_t"},
    **{f"{name}_f32": {"FC_REAL": "float", "FC_IN": c, "FC_OUT": c}
       for name, c in (("u8", "uint8_t"), ("i8", "int8_t"), ("u16", "uint16_t"), ("i16", "int16_t"))},
}

# Filters by order see numbers as integers that compare as they do: one type serves all of its width.
ORDERED = ("u8", "i16", "i32", "i64")

# page -> the element types it is compiled for
PAGES = {
    "columns": ("f32", "f64"),
    "correlate": tuple(name for name in TYPES if name not in ("i16", "i32", "i64")),
    "depthwise": ("f32", "f64"),
    "extrema": ORDERED,
    "layer": ("f32", "f64"),
    "pool": ("f32", "f64", "u8", "u64"),
    "pool_grad": ("f32", "f64"),
    "peak": ("f32", "f64"),
    "polyphase": ("f32", "f64", "c64", "c128"),
    "ranks": ORDERED,
    "separable": ("f32", "f64", "u8", "u16"),
    "spectral": ("f32", "f64"),
    "stencil": ("f32", "f64", "u8", "u16"),
}

FLAGS = ["-std=gnu11", "-O3", "-g0", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
# The tiles are loops over registers that must unroll whole, and loads that must stay where they are written. Where few
# accumulators are, GCC from 13 on would round products before it adds them: a sum would depend on its tile.
KERNEL_FLAGS = [*FLAGS, "-fno-predictive-commoning", "--param=max-completely-peel-times=64",
                "--param=max-completely-peeled-insns=4000", "--param=avoid-fma-max-bits=0"]


class BuildExtensions(build_ext):
    """Compiles in parallel, each variant in its own folder, and goes on without OpenMP where there is none."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            raise SystemExit("fastconv is built with GCC or clang (on Windows: clang-cl or MinGW), not MSVC")
        openmp = ["-fopenmp"] if self._compiles("#include <omp.h>\nint main(void) { return omp_get_max_threads(); }",
                                                "-fopenmp") else []
        if not openmp:
            bar = "*" * 78
            print(f"{bar}\n* fastconv: this compiler has no OpenMP: every function will run on ONE thread.\n{bar}",
                  file=sys.stderr)
        for extension in self.extensions:
            extension.extra_compile_args = [f for f in extension.extra_compile_args if self._accepts(f)] + openmp
            extension.extra_link_args = [*openmp, *([] if sys.platform == "darwin" else ["-Wl,-s"])]
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        mine = copy.copy(self)  # extensions build side by side, so a folder of one's own is a command of one's own
        mine.build_temp = str(Path(self.build_temp, *ext.name.split(".")[1:-1]))
        build_ext.build_extension(mine, ext)

    def copy_extensions_to_source(self) -> None:
        for extension in self.extensions:
            Path(*extension.name.split(".")[:-1]).mkdir(parents=True, exist_ok=True)
        super().copy_extensions_to_source()

    def _accepts(self, flag: str) -> bool:
        known = self.__dict__.setdefault("_known_flags", {})
        if flag not in known:
            known[flag] = self._compiles("int main(void) { return 0; }", "-Werror", flag)
        return known[flag]

    def _compiles(self, source: str, *flags: str) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.c")
            path.write_text(source)
            compiler = [*self.compiler.compiler_so[:1], *flags, str(path), "-o", str(Path(folder, "probe"))]
            return subprocess.run(compiler, capture_output=True).returncode == 0


def variants(page: str, types: tuple[str, ...]) -> list[Extension]:
    """A kernel page once for every instruction set and element type."""
    # No one asks a kernel for its signature, and C that would answer takes a fifth of a second to compile, each time.
    c_file = c_source(f"fastconv._kernels.{page}", KERNELS / f"{page}.pyx", binding=False)
    return [
        Extension(
            f"fastconv._kernels.{isa}.{name}.{page}",
            [c_file],
            define_macros=[
                *TYPES[name].items(), NUMPY_API, ("CYTHON_INLINE", "inline __attribute__((always_inline))"),
            ],
            include_dirs=[str(KERNELS), np.get_include()],
            depends=[str(KERNELS / "simd.h")],
            extra_compile_args=KERNEL_FLAGS + flags,
        )
        for isa, flags in ISA_FLAGS.items()
        for name in types
    ]


def c_source(module: str, path: Path, **directives: bool) -> str:
    """Translates a Cython page; gives the path of the C source."""
    (extension,) = cythonize([Extension(module, [str(path)])], build_dir="build/cython", language_level=3,
                             compiler_directives=directives)
    return extension.sources[0]


def plain(name: str, depends: list[str]) -> Extension:
    """A module for any CPU: it has no flag of an instruction set."""
    return Extension(
        f"fastconv.{name}",
        [c_source(f"fastconv.{name}", Path("fastconv", f"{name}.pyx"))],
        define_macros=[NUMPY_API],
        include_dirs=["fastconv", np.get_include()],
        depends=depends,
        extra_compile_args=list(FLAGS),
    )


kernels = [module for page, types in PAGES.items() for module in variants(page, types)]

setup(
    ext_modules=[plain("_machine", ["fastconv/machine.h"]), plain("_quick", []), *kernels],
    cmdclass={"build_ext": BuildExtensions},
)
