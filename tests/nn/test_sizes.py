"""How many windows fit, and what is said where they do not."""

import itertools
import sys

import numpy as np
import pytest

import fastconv
from fastconv import ShapeError
from fastconv._plan.sizes import channels_last, windows
from fastconv.nn import output_size


def by_walking(size, k, s, d, before, after, remainder):
    """Set the window down, step by step, as long as it may be."""
    span, padded, places, at = d * (k - 1) + 1, before + size + after, 0, 0
    while at + span <= padded or (remainder == "pad" and at < before + size and at - s + span < padded):
        places, at = places + 1, at + s
    return places, at - s + span - padded  # and how far the last one reaches beyond the padding


@pytest.mark.parametrize("remainder", ["raise", "drop", "pad"])
def test_every_small_size_is_that_of_a_walk(remainder):
    pads = [(0, 0), (1, 1), (0, 2), (3, 1)]
    for size, k, s, d, (before, after) in itertools.product(range(1, 9), range(1, 5), range(1, 6), (1, 2, 3), pads):
        places, over = by_walking(size, k, s, d, before, after, remainder)
        case = (size, k, s, d, before, after)
        if places < 1 or (remainder == "raise" and over < 0):
            with pytest.raises(ShapeError):
                windows([size], k, s, [(before, after)], d, remainder)
            continue
        (axis,) = windows([size], k, s, [(before, after)], d, remainder)
        assert axis[:7] == (size, k, s, d, before, after, max(over, 0)), case
        assert axis.output == places, case
        assert output_size(size, k, s, (before, after), d, remainder=remainder) == places


def test_same_gives_the_quotient_rounded_up():
    for size, k, s, d in itertools.product(range(8), range(1, 7), range(1, 5), (1, 2)):
        (axis,) = windows([size], k, s, "same", d, "raise")
        assert axis.output == -(-size // s)
        assert 0 <= axis.after - axis.before <= 1
        if s == 1 and size:  # as PyTorch: d (k - 1) in all
            assert axis.before + axis.after == d * (k - 1)


def test_the_example_of_the_text_book():
    assert output_size(13, 3, 2, 0) == 6
    with pytest.raises(ShapeError) as error:
        output_size(10, 3, 2, 0)
    assert str(error.value) == (
        "input 10, kernel 3, stride 2, padding 0, dilation 1 do not divide: "
        "O = (10 - 1*(3 - 1) - 1 + 2*0)/2 + 1 = 7/2 + 1 = 4.5; stride 1 or 7 fits, padding (0, 1) fits, "
        "remainder='drop' gives 4, remainder='pad' gives 5"
    )
    assert output_size(10, 3, 2, 0, remainder="drop") == 4
    assert output_size(10, 3, 2, 0, remainder="pad") == 5


def test_what_the_message_proposes_fits():
    for size, k, s, p in itertools.product(range(3, 30), range(1, 6), range(2, 8), range(3)):
        try:
            output_size(size, k, s, p)
        except ShapeError as error:
            if "larger" in str(error):
                continue
            message = str(error)
            for stride in message.split("; stride ")[1].split(" fits")[0].split(" or "):
                output_size(size, k, int(stride), p)
            for padding in message.split(", padding ")[2].split(" fits")[0].split(" or "):
                output_size(size, k, s, eval(padding))
            for remainder in ("drop", "pad"):
                expected = int(message.split(f"remainder='{remainder}' gives ")[1].split(",")[0])
                assert output_size(size, k, s, p, remainder=remainder) == expected


def test_several_axes_take_numbers_or_one_each():
    assert output_size((13, 7), 3, 2) == (6, 3)
    assert output_size([13, 7], (3, 2), (2, 3), (0, 1), (1, 2)) == (6, 3)
    assert output_size((13, 7), 3, 2, ((1, 1), (0, 2))) == (7, 4)
    assert output_size((13, 7), 3, 2, (1, (0, 2))) == (7, 4)
    assert output_size((4, 4, 4), 2, 2) == (2, 2, 2)
    assert output_size(np.int64(13), np.int32(3), np.uint8(2)) == 6
    assert output_size((5,), 3, 1, (1, 3)) == (7,)
    assert output_size((5,), 3, 1, 1) == (5,)
    assert output_size((5, 6), 3, 1, "valid") == (3, 4)
    assert output_size((5, 6), (3, 4), 2, "same") == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 0), "kernel is 0; it must be at least 1"),
        ((5, 3, 0), "stride is 0; it must be at least 1"),
        ((5, 3, 1, -1), "padding is -1; it cannot be negative"),
        ((5, 3, 1, 0, -2), "dilation is -2; it must be at least 1"),
        ((-5, 3), "input is -5; it cannot be negative"),
        ((5, 6), "the window is larger than the padded input: kernel 6 with dilation 1 spans 6, input 5 with padding 0"
                 " has 5"),
        ((5, 3, 1, (0, 1), 4), "kernel 3 with dilation 4 spans 9, input 5 with padding (0, 1) has 6"),
        (((5, 5), (3, 6)), "input width 5"),
        (((5, 5), (3, 3, 3)), "kernel is (3, 3, 3); it needs one number, or 2 for 2 axes"),
        (((5, 5), 3, 1, (1, 2, 3)), "padding is (1, 2, 3)"),
        (((5, 5), 3, 1, ((1, 2, 3), 0)), "padding holds (1, 2, 3)"),
        ((sys.maxsize, 1, 1, 1), "is more than this machine can count"),
        ((5, 2**62, 1, 2**63, 4), "is more than this machine can count"),
    ],
)  # fmt: skip
def test_one_line_says_which_number_is_wrong(arguments, message):
    with pytest.raises(ShapeError) as error:
        output_size(*arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_types_and_names():
    for arguments in [(5, 1.5), (5, 3, True), (5, "3"), (5.0, 3), (5, 3, 1, None)]:
        with pytest.raises(TypeError, match="whole numbers"):
            output_size(*arguments)
    with pytest.raises(ValueError, match="remainder is 'floor'; use one of 'raise', 'drop', 'pad'"):
        output_size(5, 3, remainder="floor")
    with pytest.raises(ValueError, match="padding is 'SAME'; use 'same', 'valid' or numbers"):
        output_size(5, 3, padding="SAME")
    assert channels_last("NHWC", 2)
    assert not channels_last("NCW", 1)
    with pytest.raises(ValueError, match="layout is 'NHWC'; use 'NCW' or 'NWC'"):
        channels_last("NHWC", 1)
    assert issubclass(fastconv.ShapeError, ValueError)


def test_huge_sizes_are_counted_in_whole_numbers():
    n = 2**31 + 1
    assert output_size(n, 3, 2) == 2**30
    assert output_size(2**62 + 1, 2**31, 1) == 2**62 + 2 - 2**31
    with pytest.raises(ShapeError, match="do not divide"):
        output_size(2**62, 1, 2**31)
