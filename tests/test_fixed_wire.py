"""The RTL's rounding, saturation and products against Python's exact integers."""

from fractions import Fraction
from math import floor

import pyrtl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.fixed_wire import FormatError, drive, round_shift, saturate, sign_extend, signed_product


@pytest.fixture(autouse=True)
def fresh_block():
    pyrtl.reset_working_block()
    yield
    pyrtl.reset_working_block()


def evaluate(build, *inputs: tuple[int, int]) -> int:
    """The signed value that build(wires) gives for inputs (width, value)."""
    pyrtl.reset_working_block()
    wires = [pyrtl.Input(width, f"in{n}") for n, (width, _) in enumerate(inputs)]
    result = build(*wires)
    output = pyrtl.Output(len(result), "out")
    output <<= result
    simulation = pyrtl.FastSimulation()
    simulation.step({f"in{n}": value & ((1 << width) - 1) for n, (width, value) in enumerate(inputs)})
    return pyrtl.val_to_signed_integer(simulation.inspect("out"), len(output))


@st.composite
def numbers(draw, low=1, high=40):
    width = draw(st.integers(low, high))
    edge = st.sampled_from([-(1 << (width - 1)), (1 << (width - 1)) - 1, 0, -1])
    return width, draw(edge | st.integers(-(1 << (width - 1)), (1 << (width - 1)) - 1))


@settings(max_examples=150, deadline=None)
@given(numbers(2), st.integers(-5, 30))
def test_rounding_is_half_up(number, shift):
    exact = floor(Fraction(number[1]) / Fraction(2) ** shift + Fraction(1, 2))
    assert evaluate(lambda a: round_shift(sign_extend(a, 42), shift), number) == exact


@settings(max_examples=150, deadline=None)
@given(numbers(2), st.integers(2, 40))
def test_saturation_clamps(number, width):
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    assert evaluate(lambda a: saturate(a, width), number) == min(max(number[1], low), high)


@settings(max_examples=100, deadline=None)
@given(numbers(1, 17), numbers(1, 17))
def test_products_are_exact(left, right):
    assert evaluate(signed_product, left, right) == left[1] * right[1]


@pytest.mark.parametrize(("value", "rounded"), [(3, 2), (1, 1), (-1, 0), (-3, -1), (2, 1), (-2, -1)])
def test_ties_go_up(value, rounded):
    assert evaluate(lambda a: round_shift(a, 1), (8, value)) == rounded


def test_narrowing_rounds_then_saturates():
    # 127.5 / 128 rounds up to 1.0, which s8.7 does not have.
    assert evaluate(lambda a: saturate(round_shift(a, 1), 8), (16, 255)) == 127
    assert evaluate(lambda a: saturate(round_shift(a, 1), 8), (16, -32768)) == -128


def test_drive_refuses_another_width():
    source = pyrtl.Input(8, "a")
    with pytest.raises(FormatError, match="b is 7 bits wide, its driver a 8"):
        drive(pyrtl.WireVector(7, "b"), source)
    drive(pyrtl.Register(8, "c"), source)


def test_sign_extension_never_narrows():
    with pytest.raises(FormatError, match="from 8 to 4 bits"):
        sign_extend(pyrtl.Input(8, "a"), 4)
