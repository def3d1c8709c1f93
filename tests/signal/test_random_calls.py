"""Thousands of random calls, right and wrong ones, answered as scipy.signal answers them.

Value, dtype, shape and type of error are compared. ``FASTCONV_RANDOM_CALLS`` says how many calls there are.
Each is made from its number alone, so the number in the message of a failure is enough to make it again:
``Call.number("convolve", 123)``.
"""

import os
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import scipy
import scipy.signal
from helpers import ALL_DTYPES, MODES, layouts, normal, small

import fastconv.signal

CALLS = int(os.environ.get("FASTCONV_RANDOM_CALLS", 3000))
SUMS = ("convolve", "correlate")
FREQUENCY = ("fftconvolve", "oaconvolve")
FACES = (*SUMS, *FREQUENCY, "upfirdn", "sepfir2d", "correlation_lags")

# Where fastconv differs from SciPy on purpose. Of errors, the messages differ everywhere, the types only here.
DEVIATIONS = {
    "what SciPy has no loop for": (
        "bool, float16 and objects are summed in any number of dimensions, longdouble is resampled; sepfir2d takes "
        "no more than double precision, and says so by TypeError"
    ),
    "text or dates": "TypeError or ValueError, as in SciPy, but not always the same of the two",
    "nothing to sum": "ValueError; in SciPy one of several errors, from within, or an output that is made of nothing",
    "not finite": (
        "method='auto' and oaconvolve lose as few outputs as direct sums do; SciPy's transforms lose all, or a block"
    ),
    "bool by transforms": "rounded, so that it is False where nothing was added; in SciPy True",
    "float16 byteswapped or misaligned": "as any other; SciPy's transforms refuse it",
    "several faults in one call": "an error of the type that SciPy has for one of them",
    "one sample": "reflected, or continued with its slope: itself; SciPy divides by zero or reads beyond",
    "integers beyond their dtype": "wrap, by every method; a transform of SciPy's casts them from float64 as C does",
    "not finite beside integers": "summed; SciPy's guard of integers fails on NaN and infinity",
}

# Before SciPy 1.17 an error of objects, such as Decimal times float, ends the process within its loop.
OBJECTS_END_THE_PROCESS = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 17)

ODD_MODES = ["f", "FULL", "", None, 1.0, 3, b"full", 0, 1, 2]
ODD_AXES = [[], [0, 0], 9, [-9], 0.5, "a", [0.5], True, (0, None)]
EXTENSIONS = ["constant", "wrap", "edge", "smooth", "symmetric", "reflect", "antisymmetric", "antireflect", "line"]


@dataclass
class Call:
    face: str
    arrays: list  # the values
    inputs: list  # as they are given: in some layout, or as lists
    options: dict
    exact: bool  # products and sums leave nothing to round

    @classmethod
    def number(cls, face, number):
        rng = np.random.default_rng([FACES.index(face), number])
        return getattr(cls, "_" + (face if face in FACES[4:] else "sum"))(rng, face)

    @classmethod
    def _sum(cls, rng, face):
        ndim = _pick(rng, [1, 1, 2, 2, 3, 4])
        most = [0, 60, 14, 7, 5][ndim]
        shapes = [[int(rng.integers(rng.random() > 0.01, top + 1)) for _ in range(ndim)]
                  for top in (most, _pick(rng, [2, 4, most]))]  # fmt: skip
        options = {}
        if rng.random() < 0.8:
            options["mode"] = _pick(rng, ODD_MODES if rng.random() < 0.06 else MODES)
        if face in SUMS and rng.random() < 0.5:
            options["method"] = _pick(rng, ["auto", "direct", "fft", "direct", "fft", "FFT"])
        if face in FREQUENCY and rng.random() < 0.6:
            options["axes"] = _pick(rng, ODD_AXES) if rng.random() < 0.1 else _some_axes(rng, ndim)
            axes = options["axes"] if isinstance(options["axes"], list) else [options["axes"]]
            for a in range(ndim):  # the others must broadcast
                if a not in axes and a - ndim not in axes and rng.random() < 0.95:
                    shapes[1][a] = _pick(rng, [1, shapes[0][a]])
                    shapes[0][a] = _pick(rng, [shapes[0][a]] * 3 + [1])
        if rng.random() < 0.02:
            shapes[1] = shapes[1][1:]
        return cls._of(rng, face, shapes, options)

    @classmethod
    def _upfirdn(cls, rng, face):
        shape = [int(rng.integers(1, 6)) for _ in range(_pick(rng, [1, 1, 2, 3]))]
        axis = int(rng.integers(-len(shape), len(shape))) if rng.random() < 0.95 else 5
        shape[axis if axis < 5 else 0] = int(rng.integers(rng.random() > 0.02, _pick(rng, [8, 60, 300])))
        options = {"axis": axis} if axis not in (-1, len(shape) - 1) or rng.random() < 0.5 else {}
        for rate in ("up", "down"):
            if rng.random() < 0.7:
                options[rate] = _pick(rng, [1, 2, 3, 4, 5, 7, 30, 147, 2.5, 0] if rng.random() < 0.3 else [1, 2, 3, 5])
        if rng.random() < 0.6:
            options["mode"] = _pick(rng, [*EXTENSIONS, *EXTENSIONS, "Wrap", "mirror", None])
        if rng.random() < 0.3:
            options["cval"] = _pick(rng, [1, 2.5, -1, 0.0, 1j, "1", None, np.nan, np.float32(2)])
        taps = (int(rng.integers(rng.random() > 0.02, _pick(rng, [4, 12, 40]))),)
        return cls._of(rng, face, [taps if rng.random() < 0.98 else (2, 2), shape], options)

    @classmethod
    def _sepfir2d(cls, rng, face):
        shape = [int(rng.integers(9, 40)) for _ in range(2)]
        taps = [(int(rng.integers(0, 4)) * 2 + (rng.random() < 0.95),) for _ in range(2)]
        if rng.random() < 0.05:
            shape = shape[1:] if rng.random() < 0.5 else [*shape, 2]
        call = cls._of(rng, face, [shape, *taps], {})
        if rng.random() < 0.7:  # filters that cast safely
            call.inputs[1:] = [taps if rng.random() < 0.5 else taps.tolist() for taps in (
                array.real.astype(np.float32) if array.dtype.kind in "biufc" else array for array in call.arrays[1:])]
            call.arrays[1:] = [np.asarray(taps) for taps in call.inputs[1:]]
        return call

    @classmethod
    def _correlation_lags(cls, rng, face):
        options = {"mode": _pick(rng, [*MODES, *MODES, "x", None])} if rng.random() < 0.8 else {}
        return cls(face, [], [int(rng.integers(0, 30)) for _ in range(2)], options, True)

    @classmethod
    def _of(cls, rng, face, shapes, options):
        arrays, exact = zip(*(_filled(rng, shape) for shape in shapes), strict=True)
        return cls(face, list(arrays), [_laid(rng, array) for array in arrays], options, all(exact))

    def __str__(self):
        inputs = [f"{array.dtype}{[*array.shape]} {'list' if isinstance(given, list) else ''}"
                  for array, given in zip(self.arrays, self.inputs, strict=False)]  # fmt: skip
        options = [f"{key}={value!r}" for key, value in self.options.items()]
        return f"{self.face}({', '.join(inputs + options)})"

    @property
    def deviation(self):
        """Which of DEVIATIONS the call is a case of, if any."""
        kinds = {array.dtype.kind for array in self.arrays}
        if not self.arrays:
            return None
        if kinds & set("USM"):
            return "text or dates"
        wide = any(array.dtype in (np.longdouble, np.clongdouble) for array in self.arrays)
        finite = all(np.isfinite(array).all() for array in self.arrays if array.dtype.kind in "fc")
        sizes = [array.size for array in self.arrays]
        if self.face in SUMS:
            if self.faults > 1:
                return "several faults in one call"
            if 0 in sizes:
                return "nothing to sum"
            if self.options.get("method") == "fft" and kinds == {"b"}:
                return "bool by transforms"
            small = "O" not in kinds and np.result_type(*self.arrays) in (np.float16, np.bool_)
            if self.arrays[0].ndim > 1 and (small or "O" in kinds):
                return "what SciPy has no loop for"
            if self.arrays[0].ndim == 1 and self.options.get("mode") == "same" and (small or "O" in kinds):
                return "what SciPy has no loop for"
            if not finite:
                return "not finite beside integers" if kinds & set("iu") else "not finite"
        elif self.face in FREQUENCY:
            if "O" in kinds and self.options.get("mode", "full") not in MODES:
                return "several faults in one call"
            if not finite:
                return "not finite"
        elif self.face == "sepfir2d":
            if wide or "O" in kinds:
                return "what SciPy has no loop for"
            if not finite and "c" in kinds:
                return "not finite"
        elif self.face == "upfirdn":
            if wide or "O" in kinds:
                return "what SciPy has no loop for"
            if self.faults > 1:
                return "several faults in one call"
            axis, x = self.options.get("axis", -1), self.arrays[1]
            length = x.shape[axis] if axis < x.ndim else 2
            mode = self.options.get("mode")
            slopes = ("smooth", "reflect", "antireflect", "line")
            if (length < 2 and mode in slopes) or (length == 0 and mode not in (None, "constant")):
                return "one sample"
            if not finite:
                return "not finite"
        return None

    @property
    def _odd_half(self):
        inputs = map(np.asarray, self.inputs)
        return any(x.dtype.str[1:] == "f2" and not (x.dtype.isnative and x.flags.aligned) for x in inputs)

    @property
    def faults(self):
        options, shapes = self.options, [array.shape for array in self.arrays]
        if self.face == "upfirdn":
            axis = options.get("axis", -1)
            rates = options.get("up"), options.get("down")
            mode, cval = options.get("mode", "wrap"), options.get("cval", 0)
            return sum([
                len(shapes[0]) != 1, 0 in shapes[0], axis >= len(shapes[1]), 0 in rates, mode in ("mirror", None),
                cval is None or isinstance(cval, str | complex),
            ])  # fmt: skip
        mixed = len(shapes[0]) == len(shapes[1]) and not (
            all(n >= k for n, k in zip(*shapes, strict=True)) or all(n <= k for n, k in zip(*shapes, strict=True))
        )
        mode = options.get("mode", "full")
        return sum([
            len(shapes[0]) != len(shapes[1]), any(0 in shape for shape in shapes), mode not in MODES,
            options.get("method") == "FFT", mixed and mode == "valid",
        ])  # fmt: skip

    def by(self, module):
        """Return the result, or the error."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return getattr(module, self.face)(*self.inputs, **self.options)
            except Exception as error:
                return error

    def difference(self):
        """Say how fastconv's answer differs, or nothing."""
        if self.deviation == "one sample":
            return None
        ours = self.by(fastconv.signal)
        if isinstance(ours, Exception) and OBJECTS_END_THE_PROCESS and any(a.dtype == object for a in self.arrays):
            return None
        theirs = self.by(scipy.signal)
        if self.deviation == "text or dates" and not isinstance(theirs, Exception):
            return None
        if self._odd_half and isinstance(theirs, RuntimeError):
            return None  # "float16 byteswapped or misaligned"
        if isinstance(theirs, Exception) or isinstance(ours, Exception):
            alike = type(ours) is type(theirs)
            if self.deviation in ("text or dates", "several faults in one call"):
                alike = isinstance(theirs, Exception) and isinstance(
                    ours, TypeError | ValueError | IndexError | AttributeError
                )
            elif self.deviation == "nothing to sum":
                alike = isinstance(ours, ValueError) or isinstance(theirs, Exception)
            elif self.deviation in ("what SciPy has no loop for", "not finite beside integers"):
                refused = self.face == "sepfir2d" and isinstance(ours, TypeError)
                alike = alike or isinstance(theirs, Exception) or refused
            elif isinstance(theirs, UnboundLocalError):  # of an older SciPy, which had lost its way
                alike = isinstance(ours, ValueError)
            elif isinstance(theirs, Exception) and isinstance(ours, Exception):
                alike = alike or issubclass(type(theirs), type(ours))
            return None if alike else f"{_brief(ours)} for {_brief(theirs)}"
        ours_is, theirs_is = ((type(y), np.asarray(y).dtype, np.shape(y)) for y in (ours, theirs))
        if ours_is != theirs_is:
            return f"{ours_is} for {theirs_is}"
        if self.deviation in ("bool by transforms", "not finite", "not finite beside integers"):
            return None
        if self.deviation == "what SciPy has no loop for" and not np.isfinite(np.asarray(ours, np.clongdouble)).all():
            return None  # SciPy's transforms have one
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        wrong = ~self._alike(ours, theirs)
        if not wrong.any():
            return None
        first = tuple(int(i[0]) for i in np.nonzero(wrong))
        return f"{ours[first]!r} for {theirs[first]!r} at {first}, and {wrong.sum() - 1} more of {wrong.size}"

    def _alike(self, ours, theirs):
        alike = np.asarray((ours == theirs) | ((ours != ours) & (theirs != theirs)))
        transformed = self.face in FREQUENCY or self.options.get("method", "auto") != "direct"
        if ours.dtype.kind == "O" and transformed:
            ours, theirs = ours.astype(np.clongdouble), theirs.astype(np.clongdouble)
        if alike.all() or ours.dtype.kind not in "fciu":
            return alike
        sizes = [np.abs(array.astype(np.clongdouble)).astype(float) for array in self.arrays]
        largest = np.prod([size[np.isfinite(size)].max(initial=0) for size in sizes]) * max(size.size for size in sizes)
        if ours.dtype.kind in "iu":  # "integers beyond their dtype", or beyond what a transform holds
            return alike | (transformed and largest >= min(2**50, np.iinfo(ours.dtype).max))
        # SciPy transforms each input as it is given, so that the least precise one decides.
        eps = max(np.finfo(dtype).eps for dtype in (ours.dtype, *(_floating(array.dtype) for array in self.arrays)))
        rounds = (self.face in (*SUMS, *FREQUENCY) and transformed) or self.options.get("mode") == "line"
        if self.exact and not rounds and largest < 1e5:
            return alike
        if self.face == "upfirdn":
            largest *= 300  # slopes continue
        with np.errstate(invalid="ignore"):
            return alike | (np.isfinite(theirs) & (abs(ours - theirs) <= 32 * eps * (largest + 1)))


def _floating(dtype):
    return np.dtype(np.float32 if dtype == np.float16 else dtype if dtype.kind in "fc" else np.float64)


def _brief(answer):
    return repr(answer)[:160] if isinstance(answer, Exception) else f"an array of {answer.dtype}{[*answer.shape]}"


def _pick(rng, choices):
    return choices[rng.integers(len(choices))]


def _some_axes(rng, ndim):
    axes = [int(a) - ndim * int(rng.random() < 0.3) for a in rng.permutation(ndim)[: rng.integers(1, ndim + 1)]]
    return axes[0] if len(axes) == 1 and rng.random() < 0.5 else axes


def _filled(rng, shape):
    """Return an array, and whether sums of its products are exact."""
    dtype = np.dtype("U2") if rng.random() < 0.01 else _pick(rng, ALL_DTYPES)
    if dtype.kind == "U":
        return np.full(shape, "x", dtype), True
    manner = rng.random()
    if manner < 0.3 and dtype.kind in "fc":
        return normal(rng, shape, dtype), False
    if manner < 0.1 and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True), False
    array = small(rng, shape, dtype, 1)
    if manner > 0.95 and dtype.kind in "fc" and array.size:
        array.flat[rng.integers(array.size)] = _pick(rng, [np.nan, np.inf, -np.inf])
    return array, True


def _laid(rng, array):
    """Return the array in some layout, or as a list."""
    if rng.random() < 0.1:
        return array.tolist()
    if array.ndim == 0 or array.dtype.kind == "U" or rng.random() < 0.4:
        return array
    choices = layouts(array.dtype)
    return choices[_pick(rng, list(choices))](array)


@pytest.mark.parametrize("face", FACES)
def test_random_calls(face):
    differences = []
    for number in range(CALLS // len(FACES)):
        call = Call.number(face, number)
        if said := call.difference():
            differences.append(f"{number}: {call}\n    {said}")
    shown = "\n".join(differences[:20])
    assert not differences, f"{len(differences)} of {CALLS // len(FACES)} calls differ:\n{shown}"
