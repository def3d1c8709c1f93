"""What is known of other projects' tests on fastconv."""

# Why a call may go to the original. Every other reason fails the test that made the call.
LAWFUL = (
    "error: ",  # the original refuses the call as well, and its message is the one that is shown
    "dtype ",  # no kernel: object, longdouble, clongdouble and what is no number
    "subclass ",  # numpy.matrix, masked arrays
    "array of ",  # of another library
    "keyword ",  # that the original does not have
)

# Tests that fail, by a part of their name, and why. A test that passes must leave.
FAILURES = {}
