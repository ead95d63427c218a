"""Rounding and saturation against exact fractions, scalar and array."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.fixed import rs, sat

SHIFTS = st.integers(-8, 40)
VALUES = st.integers(-(2**50), 2**50)


@given(VALUES, SHIFTS)
def test_rs_is_floor_of_the_exact_quotient_plus_one_half(v, k):
    expected = floor(Fraction(v) / Fraction(2) ** k + Fraction(1, 2)) if k > 0 else v * 2**-k
    assert rs(v, k) == expected
    assert type(rs(v, k)) is int


@given(st.lists(st.tuples(VALUES, SHIFTS), min_size=1, max_size=20))
def test_rs_of_arrays_is_that_of_their_elements(pairs):
    values, shifts = (np.array(side) for side in zip(*pairs, strict=True))
    assert rs(values, shifts).tolist() == [rs(int(v), int(k)) for v, k in pairs]
    assert rs(values, pairs[0][1]).tolist() == [rs(int(v), pairs[0][1]) for v in values]


@given(st.integers(-(2**20), 2**20), st.integers(1, 12))
def test_ties_go_up(v, k):
    """v + 1/2 lies half-way between v and v + 1."""
    assert rs((v << k) + (1 << (k - 1)), k) == v + 1
    assert rs((v << k) + (1 << (k - 1)) - 1, k) == v


@given(st.integers(-(2**200), 2**200), st.integers(41, 300))
def test_python_integers_of_any_size_are_exact(v, k):
    assert rs(v, k) == floor(Fraction(v, 2**k) + Fraction(1, 2))


@given(VALUES, st.integers(2, 32))
def test_sat_is_the_nearest_number_of_that_width(v, n):
    low, high = -(2 ** (n - 1)), 2 ** (n - 1) - 1
    expected = v if low <= v <= high else high if v > high else low
    assert sat(v, n) == expected
    assert sat(np.array([v]), n).tolist() == [expected]


@pytest.mark.parametrize(("v", "n", "expected"), [(128, 8, 127), (127, 8, 127), (-128, 8, -128), (-129, 8, -128)])
def test_sat_at_its_ends(v, n, expected):
    assert sat(v, n) == expected
