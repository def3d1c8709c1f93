"""What is known of other projects' tests on fastconv."""
import warnings

import numpy as np

# Why a call may go to the original. Every other reason fails the test that made the call.
LAWFUL = (
    "error: ",  # the original refuses the call as well, and its message is the one that is shown
    "dtype ",  # no kernel: object, longdouble, clongdouble and what is no number
    "subclass ",  # numpy.matrix, masked arrays
    "array of ",  # of another library
    "keyword ",  # that the original does not have
)


def _takes_part_of_a_mode():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            np.correlate([1], [1], "v")
        except ValueError:
            return False
    return True


# An older NumPy takes "v" and "VALID", with a warning; fastconv does not, and the original answers.
TAKES_PART_OF_A_MODE = _takes_part_of_a_mode()


def lawful(name, reason):
    return reason.startswith(LAWFUL) or (
        TAKES_PART_OF_A_MODE
        and name in ("numpy.convolve", "numpy.correlate")
        and reason.startswith("ValueError in fastconv alone")
    )


# Tests that fail, by a part of their name, and why. A test that passes must leave.
FAILURES = {}
