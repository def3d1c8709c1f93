"""Thousands of random calls, right and wrong ones, answered as NumPy and SciPy answer them.

Value, dtype, shape and type of error are compared. ``FASTCONV_RANDOM_CALLS`` says how many calls there are.
Each is made from its number alone, so the number in the message of a failure is enough to make it again:
``Call.number("convolve2d", 123)``.
"""

import os
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.signal
from helpers import ALL_DTYPES, BOUNDARIES, MODES, layouts, normal, small

import fastconv

CALLS = int(os.environ.get("FASTCONV_RANDOM_CALLS", 3000))
FACES = ("convolve", "correlate", "convolve2d", "correlate2d")
INCUMBENTS = {face: getattr(scipy.signal if face.endswith("2d") else np, face) for face in FACES}


# Where fastconv differs from NumPy and SciPy on purpose. Of errors, the messages differ everywhere, the types
# only here.
DEVIATIONS = {
    "an empty image wrapped or reflected": "ValueError; SciPy divides by zero, which ends the process",
    "complex infinities": (
        "a complex product is made of four real ones, as in NumPy; SciPy takes that of C, where inf times NaN may "
        "be inf: which part is NaN or inf may differ, not whether the number is finite"
    ),
    "text or dates in an image": "TypeError or ValueError, as in SciPy, but not always the same of the two",
    "several faults in one call": "an error of the type that NumPy has for one of them",
    "an abbreviated mode": "ValueError, as in NumPy today; some versions ago it still took 'f' and 'FULL', and warned",
    "nested lists beside objects": "ValueError; numpy.correlate takes the inner lists for the objects",
    "a list of large integers": (
        "int64, or float64 where that is too small, as by numpy.asarray; numpy.correlate converts the list to the "
        "dtype of the result at once, which may keep more digits, or fewer"
    ),
}

ODD_MODES = ["f", "FULL", "", None, 1.0, 3, -1, b"full", True, 0, 1, 2, np.int8(1)]
ODD_BOUNDARIES = ["reflect", "mirror", "", None, 0, b"fill", "pad", "circular", "symmetric"]
ODD_DTYPES = [np.dtype(kind) for kind in ("U2", "S3", "M8[s]")]
FILLVALUES = [1, -2, 2.5, np.nan, 1j, 300, [4], [], [1, 2], True, np.float32(1.5), np.array(3), "3", 2**63]


@dataclass
class Call:
    face: str
    arrays: list  # the values
    layouts: list  # how they are given: names of layouts, "list" among them
    inputs: list  # the values so given
    options: dict
    exact: bool  # products and sums leave nothing to round

    @classmethod
    def number(cls, face, number):
        rng = np.random.default_rng([FACES.index(face), number])
        plane = face.endswith("2d")
        arrays, exact = zip(*(_filled(rng, _shape(rng, plane, kernel)) for kernel in (False, True)), strict=True)
        inputs, layouts = zip(*(_laid(rng, array) for array in arrays), strict=True)
        options = {}
        if rng.random() < 0.8:
            options["mode"] = _pick(rng, ODD_MODES if rng.random() < 0.08 else MODES)
        if plane and rng.random() < 0.8:
            options["boundary"] = _pick(rng, ODD_BOUNDARIES if rng.random() < 0.08 else BOUNDARIES)
        if plane and rng.random() < 0.4:
            options["fillvalue"] = _pick(rng, FILLVALUES)
        exact = all(exact) and options.get("fillvalue") != 2**63
        return cls(face, list(arrays), list(layouts), list(inputs), options, exact)

    def __str__(self):
        inputs = [f"{array.dtype}{[*array.shape]} {how}" for array, how in zip(self.arrays, self.layouts, strict=True)]
        options = [f"{key}={value!r}" for key, value in self.options.items()]
        return f"{self.face}({', '.join(inputs + options)})"

    @property
    def deviation(self):
        """Which of DEVIATIONS the call is a case of, if any."""
        plane, (a, v) = self.face.endswith("2d"), self.arrays
        listed = [array for array, how in zip(self.arrays, self.layouts, strict=True) if how == "list"]
        if plane:
            if {a.dtype.kind, v.dtype.kind} & set("USM"):
                return "text or dates in an image"
            mode, boundary = self.options.get("mode", "full"), self.options.get("boundary", "fill")
            if a.ndim == v.ndim == 2 and boundary in ("wrap", "circular", "symm", "symmetric"):
                swapped = mode == "valid" and any(n < m for n, m in zip(a.shape, v.shape, strict=True))
                if 0 in (v if swapped else a).shape:
                    return "an empty image wrapped or reflected"
        else:
            if self.faults > 1:
                return "several faults in one call"
            if self.options.get("mode") in ("f", "FULL"):
                return "an abbreviated mode"
            if "O" in (a.dtype.kind, v.dtype.kind) and any(array.ndim > 1 for array in listed):
                return "nested lists beside objects"
            if any(array.dtype.kind in "iu" and array.dtype.itemsize == 8 for array in listed):
                return "a list of large integers"
        if any(array.dtype.kind == "c" for array in self.arrays):
            numbers = [a, v, np.asarray(self.options.get("fillvalue", 0))]
            if not all(np.isfinite(array).all() for array in numbers if array.dtype.kind in "fc"):
                return "complex infinities"
        return None

    @property
    def faults(self):
        """What is wrong with a call of one dimension, counted."""
        dimensions = (1,) if self.face == "correlate" else (0, 1)
        mode = self.options.get("mode", "full")
        return (
            sum(array.ndim not in dimensions for array in self.arrays)
            + sum(array.size == 0 for array in self.arrays)
            + sum(array.dtype.kind in "USM" for array in self.arrays)
            + (isinstance(mode, bool) or mode not in (*MODES, 0, 1, 2) or isinstance(mode, float))
        )

    def by(self, function):
        """Return the result, or the error."""
        try:
            return function(*self.inputs, **self.options)
        except Exception as error:
            return error

    def by_incumbent(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "inexact matches", DeprecationWarning)
            answer = self.by(INCUMBENTS[self.face])
        return ValueError(str(answer)) if isinstance(answer, DeprecationWarning) else answer

    def difference(self):
        """Say how fastconv's answer differs, or nothing."""
        ours = self.by(getattr(fastconv, self.face))
        if self.deviation == "an empty image wrapped or reflected":
            theirs = replace(self, options={**self.options, "boundary": "fill", "fillvalue": 0}).by_incumbent()
            theirs = ValueError() if np.size(theirs) else theirs  # no outputs, nothing to repeat
        else:
            theirs = self.by_incumbent()
        if self.deviation == "nested lists beside objects":
            theirs = ValueError()
        if isinstance(theirs, Exception) or isinstance(ours, Exception):
            alike = type(ours) is type(theirs)
            if self.deviation in ("text or dates in an image", "several faults in one call"):
                alike = isinstance(theirs, Exception) and isinstance(ours, TypeError | ValueError | DeprecationWarning)
            elif self.deviation == "a list of large integers" and "O" in [array.dtype.kind for array in self.arrays]:
                alike = alike or isinstance(ours, TypeError)  # a Decimal takes no float
            return None if alike else f"{_brief(ours)} for {_brief(theirs)}"
        ours_is, theirs_is = ((type(y), y.dtype, y.dtype.isnative, y.shape) for y in (ours, theirs))
        if ours_is != theirs_is:
            return f"{ours_is} for {theirs_is}"
        if self.deviation == "complex infinities":
            finite = np.isfinite(theirs)
            if (np.isfinite(ours) != finite).any():
                return "finite elsewhere"
            ours, theirs = np.where(finite, ours, 0), np.where(finite, theirs, 0)
        wrong = ~self._alike(ours, theirs)
        if not wrong.any():
            return None
        first = tuple(int(i[0]) for i in np.nonzero(wrong))
        return f"{ours[first]!r} for {theirs[first]!r} at {first}, and {wrong.sum() - 1} more of {wrong.size}"

    def _alike(self, ours, theirs):
        alike = (ours == theirs) | ((ours != ours) & (theirs != theirs))
        if ours.dtype.kind not in "fc" or alike.all():
            return np.asarray(alike)
        a, v = (np.abs(array.astype(np.clongdouble)) for array in self.arrays)
        terms, eps = min(a.size, v.size), np.finfo(ours.dtype).eps
        if self.deviation == "a list of large integers":
            eps = max(eps, np.finfo(float).eps)
        elif self.exact and terms <= 64:
            return alike
        # Errors of rounding, where there is neither NaN nor inf: of sums, or of transforms where terms are many.
        options = dict(self.options)
        if "fillvalue" in options and options.get("boundary", "fill") in ("fill", "pad"):
            options["fillvalue"] = abs(complex(np.ravel(options["fillvalue"])[0]))
        bound = 4 * (terms + 1) * INCUMBENTS[self.face](a, v, **options)
        if terms > 64:
            norms = [np.linalg.norm(array[np.isfinite(array)]) for array in (a, v)]
            bound = bound + 8 * np.log2(a.size + v.size) * np.prod(norms)
        with np.errstate(invalid="ignore"):
            return alike | (np.isfinite(theirs) & (abs(ours - theirs) <= eps * bound))


def _brief(answer):
    return repr(answer)[:160] if isinstance(answer, Exception) else f"an array of {answer.dtype}{[*answer.shape]}"


def _pick(rng, choices):
    return choices[rng.integers(len(choices))]


def _shape(rng, plane, kernel):
    if rng.random() < 0.03:  # too many dimensions, or too few
        return tuple(rng.integers(1, 4, rng.integers(0, 4)))
    if plane:
        largest = _pick(rng, [2, 4, 7, 14] if kernel else [3, 10, 20, 50])
        return tuple(rng.integers(rng.random(2) > 0.02, largest + 1))
    largest = _pick(rng, [3, 40, 40, 40, 40, 40, 40, 40, 40, 700])
    return (int(rng.integers(rng.random() > 0.04, largest + 1)),)


def _filled(rng, shape):
    """Return an array, and whether sums of its products are exact."""
    dtype = _pick(rng, ODD_DTYPES if rng.random() < 0.02 else ALL_DTYPES)
    if dtype.kind in "USM":
        return np.zeros(shape, dtype), True
    manner = rng.random()
    if manner < 0.2 and dtype.kind in "fc":
        return normal(rng, shape, dtype), False
    if manner < 0.2 and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True), False
    # Values so small that even 700 products of them, in half precision, leave nothing to round
    array = small(rng, shape, dtype, 1)
    if manner > 0.9 and dtype.kind in "fc" and array.size:
        array.flat[rng.integers(array.size)] = _pick(rng, [np.nan, np.inf, -np.inf])
    return array, True


def _laid(rng, array):
    """Return the array in some layout, or as a list, and which."""
    if rng.random() < 0.1:
        return array.tolist(), "list"
    if array.ndim == 0 or array.dtype.kind in "USM" or rng.random() < 0.4:
        return array, "contiguous"
    choices = layouts(array.dtype)
    layout = _pick(rng, list(choices))
    return choices[layout](array), layout


@pytest.mark.parametrize("face", FACES)
def test_random_calls(face):
    differences = []
    for number in range(CALLS // len(FACES)):
        call = Call.number(face, number)
        if said := call.difference():
            differences.append(f"{number}: {call}\n    {said}")
    shown = "\n".join(differences[:20])
    assert not differences, f"{len(differences)} of {CALLS // len(FACES)} calls differ:\n{shown}"


def test_random_calls_are_of_every_kind():
    """Right calls and wrong ones, deviations among them, or the comparison above is of nothing."""
    calls = [Call.number(face, number) for face in FACES for number in range(400)]
    deviations = {call.deviation for call in calls}
    assert deviations <= {None, *DEVIATIONS}
    assert len(deviations) > 3
    assert 0.5 < np.mean([call.exact for call in calls]) < 0.9
    answers = [call.by_incumbent() for call in calls if call.deviation is None]
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    assert 0.1 < len(errors) / len(answers) < 0.5
    assert {ValueError, TypeError} <= {type(error) for error in errors}
    assert {answer.dtype for answer in answers if isinstance(answer, np.ndarray)} >= set(ALL_DTYPES)
