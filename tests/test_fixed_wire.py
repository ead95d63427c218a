"""The RTL's rounding, saturation and products against Python's exact integers."""

from fractions import Fraction
from math import floor

import pyrtl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.carry_save import add_all, multiply
from rtl.fixed_wire import FormatError, drive, round_shift, saturate, sign_extend


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
@given(numbers(1, 17), numbers(1, 17), st.sampled_from([(True, True), (True, False), (False, False)]))
def test_products_are_exact(left, right, signs):
    """Whatever the two words are, their sum is the product, also when they are extended and shifted."""
    def build(a, b):
        product = multiply(a, b, *signs)
        return add_all(product.terms(len(product.total) + 5, shift=3))
    a, b = (value if signed else value & ((1 << width) - 1)
            for (width, value), signed in zip((left, right), signs, strict=True))
    assert evaluate(build, left, right) == 8 * a * b


@settings(max_examples=60, deadline=None)
@given(st.lists(numbers(9, 9), min_size=1, max_size=9))
def test_sum_of_many_terms_is_exact(terms):
    exact = sum(value for _, value in terms)
    assert evaluate(lambda *words: add_all([sign_extend(word, 13) for word in words]), *terms) == exact


def test_terms_of_several_widths_and_wrong_signs_are_refused():
    with pytest.raises(FormatError, match="the same width, not 3, 4 bits"):
        add_all([pyrtl.Const(1, 3), pyrtl.Const(1, 4)])
    with pytest.raises(FormatError, match="a signed factor must come first"):
        multiply(pyrtl.Const(1, 3), pyrtl.Const(1, 3), left_signed=False)


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
