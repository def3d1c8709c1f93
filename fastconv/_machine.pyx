# cython: language_level=3, freethreading_compatible=True
"""Questions to the processor, the operating system and OpenMP; built without instruction-set flags."""

cdef extern from "machine.h" nogil:
    const int OPENMP_VERSION
    const int MOST_THREADS
    int cpu_level()
    int forked
    int prepare_threads()
    int startable_threads(int n)


if prepare_threads() != 0:
    raise MemoryError("fastconv could not register its fork handler")


def cpu_variants():
    """The instruction sets that this processor has and the system saves the registers of, lowest first."""
    return ("baseline", "avx2", "avx512")[:1 + cpu_level()]


def openmp():
    """The version of OpenMP in this build, by the date of its specification; 0 where there is none."""
    return OPENMP_VERSION


def is_forked():
    """Whether this process was forked from one that had imported this: it works on one thread."""
    return bool(forked)


def startable(n):
    """How many of `n` threads, the caller among them, the parallel region that follows may have.

    To be asked straight before the region, when all memory is allocated: what has just been shown to start
    must start again there, or OpenMP ends the process.
    """
    return startable_threads(min(n, MOST_THREADS))
