"""Thousands of random calls, right and wrong ones, answered as scipy.ndimage answers them.

Value, dtype, shape and type of error are compared. ``FASTCONV_RANDOM_CALLS`` says how many calls there are.
Each is made from its number alone, so the number in the message of a failure is enough to make it again:
``Call.number("convolve", 123)``.
"""

import os
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.ndimage
from helpers import COMPLEX, FLOATS, INTEGERS, layouts, normal, small

from fastconv import ndimage

CALLS = int(os.environ.get("FASTCONV_RANDOM_CALLS", 4000))
NEIGHBOURS = ("convolve", "correlate")
LINES = ("convolve1d", "correlate1d")
GAUSSIANS = ("gaussian_filter", "gaussian_filter1d", "gaussian_laplace", "gaussian_gradient_magnitude")
MEANS = ("uniform_filter", "uniform_filter1d")
DIFFERENCES = ("sobel", "prewitt", "laplace")
EXTREMES = ("maximum_filter", "minimum_filter", "maximum_filter1d", "minimum_filter1d")
RANKS = ("median_filter", "rank_filter", "percentile_filter")
FACES = (*NEIGHBOURS, *LINES, *GAUSSIANS, *MEANS, *DIFFERENCES, *EXTREMES, *RANKS)

# Where fastconv differs from SciPy on purpose. Of errors, the messages differ everywhere, the types only here.
DEVIATIONS = {
    "text or dates": "RuntimeError or TypeError, as in SciPy, but not always the same of the two",
    "several faults in one call": "an error of the type that SciPy has for one of them",
    "a lost error": "raised; SciPy prints one that comes up while the output is byteswapped or misaligned, and goes on",
    "a plain number for axes": "counted from the end below 0, and checked; not so in some of SciPy's filters",
    "an origin that is no integer": "True is 1, a fraction an error; in SciPy it depends on the filter",
    "the output overlaps the input": "as if it did not; SciPy's laplace and its kin read what they have written",
    "not finite": (
        "a mean of numbers that are all finite is finite; SciPy's running sum keeps what is not until its end. In "
        "float32 a weight near zero may be zero, or of the other sign, and so may what an infinity makes of it"
    ),
    "complex gradients": "the root of a negative number, which may be the other of the two",
    "NaN, by order": "wins, and is the largest number in a rank; in SciPy it depends on the order of comparisons",
    "integers beyond 2^53": "compared as they are, in SciPy as float64; the mean of one is that one, in SciPy near it",
    "numbers beyond 64 bits": "cut off to the nearest, or wrapped; undefined in C",
    "reflected from afar": (
        "by whole periods; a window of SciPy's that begins two of them before the image reads what lies there"
    ),
    "ranks of lines": "as in two dimensions; SciPy has another filter for lines, with other rules and some faults",
}

# Of these only dtype and shape, and the types of errors, are compared.
OTHER_VALUES = (
    "NaN, by order", "integers beyond 2^53", "numbers beyond 64 bits", "reflected from afar",
    "an origin that is no integer",
)  # fmt: skip

MODES = ["reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap"]
ODD_MODES = ["symm", "", None, 1, b"wrap", ["reflect"], ["wrap", "nearest"], ("reflect", "mirror", "constant"), []]
CVALS = [0, 1, -1, 3, 7.6, 200, 300, 0.5, np.float32(2.5), np.array(4), True]
ODD_CVALS = [np.nan, np.inf, 1j, 2 - 1j, "1", None, [1], [1, 2], 2**63, -1e30]
ODD_AXES = [(), (0, 0), 9, (-9,), 0.5, "a", (0.5,), True, (0, None), (0, 1, 2, 3, 4), (0, -1)]
ODD_NUMBERS = [0, -1, 2.5, 3.0, "3", None, [], [3], [3, 3, 3, 3, 3], np.array([1, 2]), True, 1j]
DTYPES = [np.dtype(bool), *INTEGERS, *FLOATS[1:3]]  # what most filters take


@dataclass
class Call:
    face: str
    x: np.ndarray  # the values
    given: object  # as they are given: in some layout, or as a list
    args: list
    options: dict
    exact: bool  # products and sums leave nothing to round
    spoiled: object = None  # which argument is odd

    @classmethod
    def number(cls, face, number):
        rng = np.random.default_rng([FACES.index(face), number])
        ndim = _pick(rng, [1, 2, 2, 3, 4]) if rng.random() < 0.99 else 0
        most = [1, 40, 24, 9, 6][ndim]
        shape = tuple(rng.integers(rng.random() > 0.01, most, ndim).tolist())
        x, exact = _filled(rng, shape, complex_too=face not in (*EXTREMES, *RANKS))
        call = cls(face, x, _laid(rng, x), [], {}, exact)
        if rng.random() < 0.8:
            call.options["mode"] = _pick(rng, MODES)
        if rng.random() < 0.4:
            call.options["cval"] = _pick(rng, CVALS)
        call._arguments(rng, ndim)
        if rng.random() < 0.3:
            call.options["output"] = _output(rng, x, call.given)
        if rng.random() < 0.1:
            call._spoil(rng)
        call.exact &= not _is_number(call.cval) or float(np.real(call.cval)).is_integer()
        return call

    def _arguments(self, rng, ndim):
        """What the function needs, and what it may be given."""
        face, options = self.face, self.options
        axes = range(ndim)
        if not face.endswith("1d") and face not in ("sobel", "prewitt") and rng.random() < 0.3:
            axes = [int(a) - ndim * int(rng.random() < 0.3) for a in rng.permutation(ndim)[: rng.integers(ndim + 1)]]
            options["axes"] = axes[0] if len(axes) == 1 and rng.random() < 0.5 else tuple(axes)
        n = len(axes)
        most = [1, 12, 9, 5, 4, 3][n if not face.endswith("1d") else 1]
        sizes = [int(rng.integers(1, most + 1)) for _ in range(n)]
        if face.endswith("1d"):
            sizes = [int(rng.integers(1, 20))]
        if face in NEIGHBOURS or face in LINES:
            w, exact = _weights(rng, sizes)
            self.exact &= exact
            self.args = [_laid(rng, w)]
        elif face in GAUSSIANS:
            self.args = [_each(rng, n, lambda: _pick(rng, [0.3, 0.7, 1, 1.5, 2.2, 0, np.float32(1.1), 4]), face)]
            if face.startswith("gaussian_filter") and rng.random() < 0.4:
                options["order"] = _each(rng, n, lambda: int(rng.integers(0, 4)), face)
            if rng.random() < 0.3:
                options["truncate"] = _pick(rng, [1, 2.5, 3.0, 0.1])
            if rng.random() < 0.2:
                options["radius"] = _each(rng, n, lambda: _pick(rng, [0, 1, 2, 5, np.int64(3)]), face)
            self.exact = False
        elif face in DIFFERENCES:
            if face != "laplace" and rng.random() < 0.7:
                options["axis"] = int(rng.integers(-ndim, ndim)) if ndim else 0
        elif face.endswith("1d"):
            self.args = sizes
        elif face in MEANS or face in EXTREMES or rng.random() < 0.6:
            size = sizes[0] if sizes and rng.random() < 0.4 else tuple(sizes)
            sizes = [size] * n if isinstance(size, int) else sizes
            options["size"] = size
        else:
            options["footprint"] = sizes
        if face.endswith("1d") and rng.random() < 0.7:
            options["axis"] = int(rng.integers(-ndim, ndim)) if ndim else 0
        if face in MEANS:
            self.exact = False
        if face in (*EXTREMES, *RANKS) and not face.endswith("1d") and (rng.random() < 0.4 or "footprint" in options):
            options.pop("size", None)
            footprint = rng.random(sizes) < _pick(rng, [0.6, 0.6, 1])
            options["footprint"] = footprint.astype(_pick(rng, [bool, np.int8, float])) if rng.random() < 0.8 else (
                footprint.tolist())  # fmt: skip
        if face == "rank_filter":
            taps = self._taps(sizes)
            self.args = [int(rng.integers(-taps, max(taps, 1)))]
        elif face == "percentile_filter":
            self.args = [_pick(rng, [0, 100, 50, -20, 33.3, 80.0, float(rng.integers(-100, 101))])]
        if face not in (*GAUSSIANS, *DIFFERENCES) and rng.random() < 0.4:
            origins = [int(rng.integers(-(k // 2), (k + 1) // 2)) for k in sizes]
            one = face.endswith("1d") or (rng.random() < 0.3 and origins)
            options["origin"] = origins[0] if one else _pick(rng, [tuple, list])(origins)
        if not isinstance(options.get("mode", ""), str):
            return
        several = face in ("gaussian_filter", "gaussian_laplace", "gaussian_gradient_magnitude", "uniform_filter",
                           *DIFFERENCES, *EXTREMES[:2])  # fmt: skip
        if several and n and rng.random() < 0.2:
            options["mode"] = [_pick(rng, MODES) for _ in range(n if face not in ("sobel", "prewitt") else ndim)]

    def _taps(self, sizes):
        footprint = self.options.get("footprint")
        return int(np.prod(sizes)) if footprint is None else int(np.asarray(footprint, bool).sum())

    def _spoil(self, rng):
        """Put something odd in the place of one argument."""
        odd = {"mode": ODD_MODES, "cval": ODD_CVALS, "axes": ODD_AXES, "origin": [9, -9, *ODD_NUMBERS],
               "size": ODD_NUMBERS, "order": [-1, *ODD_NUMBERS], "radius": [-2, *ODD_NUMBERS],
               "axis": [7, -7, 0.5, None, "0", True, (0,)], "truncate": [-1, "4", None, 0],
               "footprint": [[], np.zeros((3, 3)), [[1, 0, 1]], [1, 1], 1, np.ones((0, 3))],
               "output": ["", "O", "f2", "x", np.float16, object, np.longdouble, complex, np.complex64, "U3", [0], 3,
                          np.zeros(3), np.zeros((4, 4, 4), np.float16)],
               0: [None, [], "1", [[1, 2]], 2.5, [1, 2, 3], -3, 90.0, np.ones((2, 2, 2)), [1j, 2]]}  # fmt: skip
        takes = {"mode", "cval", "output"}
        takes |= {"axes"} if not self.face.endswith("1d") and self.face not in ("sobel", "prewitt") else {"axis"}
        takes |= {"axis"} - {"axes"} if self.face in ("sobel", "prewitt") else set()
        takes |= {"origin"} if self.face not in (*GAUSSIANS, *DIFFERENCES) else set()
        takes |= {"size", "footprint"} & set(self.options)
        takes |= {"radius", "truncate"} if self.face in GAUSSIANS else set()
        takes |= {"order"} if self.face.startswith("gaussian_filter") else set()
        if self.args:
            takes |= {0}
        what = _pick(rng, sorted(takes, key=str))
        value = _pick(rng, odd[what])
        if what == 0:
            self.args = [value]
        else:
            self.options[what] = value
        self.spoiled, self.exact = what, False

    def __str__(self):
        options = [f"{key}={self._said(value)}" for key, value in self.options.items()]
        return f"{self.face}({', '.join([*map(self._said, (self.given, *self.args)), *options])})"

    def _said(self, value):
        if value is self.given:
            return f"{self.x.dtype}{[*self.x.shape]}{' list' * isinstance(value, list)}"
        return f"{value.dtype}{[*value.shape]}" if isinstance(value, np.ndarray) and value.size > 8 else repr(value)

    @property
    def deviation(self):
        """Which of DEVIATIONS the call is a case of, if any."""
        x, options = self.x, self.options
        if x.dtype.kind in "UM":
            return "text or dates"
        if self.face in RANKS and self._odd_line:
            return "ranks of lines"
        axes = options.get("axes")
        if isinstance(axes, int) and (axes >= max(x.ndim, 1) or axes < -x.ndim or (axes < 0 and x.ndim > 1)):
            return "a plain number for axes"
        if options.get("output") is self.given and (
            self.face in ("laplace", *GAUSSIANS[2:]) or (self.face in (*NEIGHBOURS, *LINES) and x.dtype.kind == "c")
        ):
            return "the output overlaps the input"
        mixed = x.dtype.kind == "O" and any(isinstance(a, np.ndarray) and a.dtype.kind == "c" for a in self.args)
        if self.faults > 1 or mixed:  # complex weights split objects in parts, and versions differ on what fails first
            return "several faults in one call"
        if type(options.get("origin")) in (bool, float):
            return "an origin that is no integer"
        wrapped = self._result_dtype.str[1:] == "u8"
        if (x.dtype.kind in "fc" and not np.isfinite(x).all()) or self.cval != self.cval:
            if self.face in MEANS or (self.face in (*LINES, *GAUSSIANS) and x.dtype.char in "fF"):
                return "not finite"
            if self.face in (*EXTREMES, *RANKS) and np.isnan(x).any():
                return "NaN, by order"
            if wrapped:
                return "numbers beyond 64 bits"
        lengths = [n for n in x.shape if n > 1]
        afar = max(self._sizes, default=0) > 4 * min(lengths, default=0)
        reflected = options.get("mode", "reflect") in ("reflect", "grid-mirror")
        if self.face in (*NEIGHBOURS, *EXTREMES, *RANKS) and afar and reflected:
            return "reflected from afar"
        if self.face == "gaussian_gradient_magnitude" and x.dtype.kind == "c":
            return "complex gradients"
        if not x.size or x.dtype.kind not in "iuf":
            return None
        ordered = self.face in (*EXTREMES, *RANKS) or (self.face == "uniform_filter1d" and _is_number(self.args[0]))
        if ordered and (self._large or (wrapped and x.min() < 0)):
            return "integers beyond 2^53"
        if self.face in NEIGHBOURS and wrapped and _is_number(self.cval):
            largest = max(abs(float(x.min())), float(x.max()), abs(self.cval))
            if largest * np.abs(np.asarray(self.args[0], complex)).sum() >= 2**63:
                return "numbers beyond 64 bits"
        return None

    @property
    def _large(self):
        x = self.x
        return x.dtype.kind in "iu" and x.size > 0 and max(abs(int(x.min())), int(x.max())) > 2**53

    @property
    def _odd_line(self):
        """Whether SciPy's ranks of lines have rules of their own for this one, or faults."""
        x, output, footprint = self.x, self.options.get("output"), self.options.get("footprint")
        if x.ndim != 1:
            return False
        sizes = self._sizes
        given = np.asarray(self.given)
        return (
            (footprint is not None and not np.all(footprint))
            or any(k > x.size for k in sizes)
            or (output is not None and self._result_dtype != x.dtype)
            or not (given.dtype.isnative and given.flags.aligned)
            or not (self.output is None or self.output.dtype.isnative)
            or self.spoiled == "cval"
            or x.dtype.char in "gOqQ"
        )

    @property
    def _plain_line(self):
        """Whether SciPy's answer in two dimensions is to be ours for a line; to lines it may write beyond their end."""
        x, options = self.x, self.options
        if self.spoiled is not None or self.faults or options.keys() & {"output", "axes"} or x.size < 4:
            return False
        return np.isfinite(x).all() if x.dtype.kind == "f" else not self._large and "cval" not in options

    @property
    def _result_dtype(self):
        return self.x.dtype if self.output is None else self.output.dtype

    @property
    def cval(self):
        return self.options.get("cval", 0.0)

    @property
    def output(self):
        """What the result is written to, as an array of no size where a dtype is given, or None."""
        output = self.options.get("output")
        if output is None or isinstance(output, np.ndarray):
            return output
        try:
            return np.empty(0, output)
        except (TypeError, ValueError):
            return None

    @property
    def faults(self):
        options, output, x = self.options, self.output, self.x
        bad = [_unsupported(x.dtype), self.spoiled is not None, self.spoiled == "axes", x.ndim == 0]
        if output is not None:
            into = output.dtype.kind == "c"
            weights = self.face in (*NEIGHBOURS, *LINES) and np.asarray(self.args[0]).dtype.kind == "c"
            needed = weights or (x.dtype.kind == "c" and self.face not in GAUSSIANS)
            named = isinstance(options["output"], str) and output.dtype.kind == "b"
            bad += [_unsupported(output.dtype), into != needed, named]
        sizes, origin = self._sizes, options.get("origin")
        if origin is not None:
            origins = np.ravel(origin)
            bad += [len(origins) > 1 and self.spoiled is not None, self.spoiled in (0, "size")]
            if len(origins) == 1 and origins.dtype.kind in "iuf":
                bad += [any(not 0 <= k // 2 + origins[0] < k for k in sizes)]
        if self.face in RANKS:
            bad += [self._taps(sizes) == 0]
        return sum(map(bool, bad))

    @property
    def _sizes(self):
        if self.face in NEIGHBOURS:
            return np.shape(self.args[0])
        if "footprint" in self.options:
            return np.shape(self.options["footprint"])
        size = self.options.get("size")
        return [k for k in np.ravel([size]).tolist() if isinstance(k, int)] if size is not None else []

    def by(self, module, given=None, **instead):
        """Return the result, or the error; with another input and other options, if there are any."""
        given, options = self.given if given is None else given, self.options | instead
        if isinstance(options.get("output"), np.ndarray) and "output" not in instead:
            output = options["output"] = options["output"].copy("K")
            given = output if self.output is self.given else given
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with np.errstate(all="ignore"):
                try:
                    return getattr(module, self.face)(given, *self.args, **options)
                except Exception as error:
                    return error

    def by_scipy(self, deviation, ours):
        """Return what SciPy answers; where it has a fault, what it answers to the same call without."""
        output = self.output
        if isinstance(ours, Exception) and output is not None and not (output.dtype.isnative and output.flags.aligned):
            dtype = output.dtype.newbyteorder("=")
            return self.by(scipy.ndimage, output=np.zeros(output.shape, dtype) if output.size else dtype)
        if deviation == "the output overlaps the input":
            return self.by(scipy.ndimage, output=output.copy())
        if deviation != "ranks of lines":
            return self.by(scipy.ndimage)
        window = {"origin": (0, *np.ravel(self.options.get("origin", 0)))}
        if "footprint" in self.options:
            window["footprint"] = np.asarray(self.options["footprint"])[None]
        else:
            window["size"] = (1, *np.ravel(self.options["size"]))
        plane = self.by(scipy.ndimage, np.asarray(self.given)[None], **window)
        return plane if isinstance(plane, Exception) else plane[0]

    def difference(self):
        """Say how fastconv's answer differs, or nothing."""
        deviation = self.deviation
        ours = self.by(ndimage)
        if deviation == "ranks of lines" and not self._plain_line:
            return None if isinstance(ours, np.ndarray | RuntimeError | TypeError | ValueError) else _brief(ours)
        theirs = self.by_scipy(deviation, ours)
        if isinstance(theirs, Exception) or isinstance(ours, Exception):
            alike = type(ours) is type(theirs)
            if deviation in ("text or dates", "several faults in one call"):
                known = isinstance(ours, RuntimeError | TypeError | ValueError)
                alike = alike or (isinstance(theirs, Exception) and known)
            elif deviation == "a plain number for axes":
                alike = alike or isinstance(theirs, RuntimeError) or isinstance(ours, ValueError | RuntimeError)
            elif deviation == "an origin that is no integer":
                alike = alike or isinstance(theirs, TypeError | ValueError)
            return None if alike else f"{_brief(ours)} for {_brief(theirs)}"
        ours_is, theirs_is = ((type(y), y.dtype, y.shape) for y in (ours, theirs))
        if ours_is != theirs_is:
            return f"{ours_is} for {theirs_is}"
        if deviation in OTHER_VALUES or (deviation == "not finite" and ours.dtype.kind not in "fc"):
            return None
        if deviation == "complex gradients":
            ours, theirs = abs(ours), abs(theirs)
        wrong = ~self._alike(ours, theirs)
        if deviation == "not finite":
            wrong &= np.isfinite(ours) & np.isfinite(theirs)
        if not wrong.any():
            return None
        first = tuple(int(i[0]) for i in np.nonzero(wrong))
        return f"{ours[first]!r} for {theirs[first]!r} at {first}, and {wrong.sum() - 1} more of {wrong.size}"

    def _alike(self, ours, theirs):
        if ours.dtype.kind == "c":
            return self._alike(ours.real, theirs.real) & self._alike(ours.imag, theirs.imag)
        with np.errstate(all="ignore"):
            alike = np.asarray((ours == theirs) | ((ours != ours) & (theirs != theirs)))
            narrow = ours.dtype.itemsize == 4 and self.x.dtype.itemsize > 2 and self.x.dtype.kind in "iu"
            if alike.all() or (self.exact and not narrow) or ours.dtype.kind != "f":
                return alike
            # Each axis is rounded to the dtype of the result.
            values = np.abs(self.x.astype(np.clongdouble)).astype(float)
            largest = values[np.isfinite(values)].max(initial=1) + np.nan_to_num(abs(self.cval))
            if self.face in (*NEIGHBOURS, *LINES):
                largest *= np.abs(np.asarray(self.args[0], complex)).sum() + 1
            elif self.face in GAUSSIANS:
                largest *= 4**self.x.ndim * 40
            elif self.face in DIFFERENCES:
                largest *= 4**self.x.ndim
            eps = max(np.finfo(dtype).eps for dtype in (ours.dtype, self.x.dtype) if dtype.kind in "fc")
            return alike | (abs(ours - theirs) <= 32 * eps * largest)


def _is_number(value):
    return isinstance(value, int | float | complex | np.number) or (isinstance(value, np.ndarray) and value.ndim == 0)


def _unsupported(dtype):
    return dtype.kind in "OUM" or dtype.char in "egG"


def _brief(answer):
    return repr(answer)[:160] if isinstance(answer, Exception) else f"an array of {answer.dtype}{[*answer.shape]}"


def _pick(rng, choices):
    return choices[rng.integers(len(choices))]


def _each(rng, n, draw, face):
    """One for all axes, or one for each."""
    if face.endswith("1d") or rng.random() < 0.5:
        return draw()
    return _pick(rng, [tuple, list])(draw() for _ in range(n))


def _filled(rng, shape, complex_too):
    """Return an array, and whether sums of its products are exact."""
    dtype = _pick(rng, DTYPES)
    if rng.random() < 0.15 and complex_too:
        dtype = _pick(rng, COMPLEX[:2])
    if rng.random() < 0.03:
        dtype = _pick(rng, [FLOATS[0], FLOATS[3], COMPLEX[2], np.dtype(object), np.dtype("U2"), np.dtype("M8[s]")])
    if dtype.kind in "UM":
        return np.full(shape, 1).astype(dtype), True
    manner = rng.random()
    if manner < 0.4 and dtype.kind in "fc":
        return normal(rng, shape, dtype), False
    if manner < 0.6 and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        far = 2**62 if rng.random() < 0.05 else 2**40
        return rng.integers(max(limits.min, -far), min(limits.max, far), shape, dtype, endpoint=True), far == 2**40
    array = small(rng, shape, dtype, 9)
    if manner > 0.97 and dtype.kind in "fc" and array.size:
        array.flat[rng.integers(array.size)] = _pick(rng, [np.nan, np.inf, -np.inf])
    return array, True


def _weights(rng, sizes):
    """Return weights, and whether sums of products with them are exact."""
    if rng.random() < 0.3:
        w = normal(rng, sizes, _pick(rng, [np.dtype("f4"), np.dtype("f8"), np.dtype("f8"), np.dtype("c16")]))
        if rng.random() < 0.3:
            w = w + np.flip(w) * _pick(rng, [1, -1])
        return w, False
    return small(rng, sizes, _pick(rng, [*DTYPES, np.dtype("c16")]), 3), True


def _laid(rng, array):
    """Return the array in some layout, or as a list."""
    if rng.random() < 0.06:
        return array.tolist()
    if array.ndim == 0 or array.dtype.kind in "UMO" or rng.random() < 0.5:
        return array
    choices = layouts(array.dtype)
    return choices[_pick(rng, list(choices))](array)


def _output(rng, x, given):
    """Return an array for the result, in some layout, or a dtype, or its name."""
    manner = rng.random()
    if manner < 0.15 and isinstance(given, np.ndarray) and given.flags.writeable:
        return given
    dtype = _pick(rng, [*DTYPES, *COMPLEX[:2]] if x.dtype.kind != "c" else COMPLEX[:2])
    if manner < 0.5:
        return _pick(rng, [dtype, dtype.type, dtype.name, dtype.newbyteorder(">")])
    return layouts(dtype)[_pick(rng, list(layouts(dtype)))](np.zeros(x.shape, dtype)) if x.ndim else np.zeros((), dtype)


@pytest.mark.parametrize("face", FACES)
def test_random_calls(face):
    differences = []
    for number in range(CALLS // len(FACES)):
        call = Call.number(face, number)
        if said := call.difference():
            differences.append(f"{number}: {call}\n    {said}")
    shown = "\n".join(differences[:20])
    assert not differences, f"{len(differences)} of {CALLS // len(FACES)} calls differ:\n{shown}"
