"""The activation table over all 2^16 codes, for every segment size."""

import numpy as np
import pytest

from golden.activation import ALL_P, lookup_tables, magnitude_int, make_table, sigmoid_int, tanh_int
from golden.spec import SpecError

every_size = pytest.mark.parametrize("segment_bits", [2, 3, 4, 5])
LSB = 2.0**-15
EXPECTED_ERRORS = {2: 100, 3: 26, 4: 11, 5: 11}
"""Upper bounds in 2^-15: a quarter for each halving of the segments until the constant beyond 4.0, 11, decides."""


def scalar_t(m: int, table) -> int:
    """The formula of docs/arithmetic.md, written once more for one integer."""
    b = table.segment_bits
    segment, dx = divmod(m, 1 << (13 - b))
    if segment >= 4 << b:
        return table.base_last
    product = table.slope[segment] * dx
    return table.base[segment] + (2 * product + (1 << table.slope_frac)) // (2 << table.slope_frac)


@every_size
def test_stated_maximum_errors_are_those_measured_over_all_codes(segment_bits):
    table = make_table(segment_bits)
    x = ALL_P / 4096
    tanh_error = np.abs(tanh_int(ALL_P, table) * LSB - np.tanh(x)).max()
    sigmoid_error = np.abs(sigmoid_int(ALL_P, table) * LSB - 1 / (1 + np.exp(-x))).max()
    assert table.max_error_tanh == pytest.approx(tanh_error, rel=1e-12)
    assert table.max_error_sigmoid == pytest.approx(sigmoid_error, rel=1e-12)
    assert table.max_error_tanh <= EXPECTED_ERRORS[segment_bits] * LSB
    assert table.max_error_sigmoid <= (EXPECTED_ERRORS[segment_bits] / 2 + 1) * LSB


def test_finer_segments_are_never_worse():
    errors = [make_table(segment_bits).max_error_tanh for segment_bits in (2, 3, 4, 5)]
    assert errors == sorted(errors, reverse=True)


@every_size
def test_t_starts_at_zero_and_never_falls(segment_bits):
    t = magnitude_int(np.arange(65537), make_table(segment_bits))
    assert t[0] == 0
    assert (np.diff(t) >= 0).all()
    assert t.max() <= 32767


@every_size
def test_tanh_is_odd_and_sigmoid_stays_above_zero(segment_bits):
    table = make_table(segment_bits)
    tanh, sigmoid = tanh_int(ALL_P, table), sigmoid_int(ALL_P, table)
    np.testing.assert_array_equal(tanh[1:], -tanh[1:][::-1])
    assert (np.diff(tanh) >= 0).all() and (np.diff(sigmoid) >= 0).all()
    assert tanh.min() >= -32767 and tanh.max() <= 32767
    assert sigmoid.min() >= 1 and sigmoid.max() <= 32767
    assert sigmoid[32768] == 16384


@every_size
def test_arrays_agree_with_the_formula_for_single_integers(segment_bits):
    table = make_table(segment_bits)
    tanh, sigmoid = tanh_int(ALL_P, table), sigmoid_int(ALL_P, table)
    for p in [*range(-32768, 32768, 97), -32768, -16384, -1, 0, 1, 16383, 16384, 32767]:
        t = scalar_t(abs(2 * p), table)
        assert tanh[p + 32768] == (t if p >= 0 else -t)
        t = scalar_t(abs(p), table)
        assert sigmoid[p + 32768] == min((32768 + (t if p >= 0 else -t) + 1) // 2, 32767)


@every_size
def test_table_has_the_sizes_that_the_hardware_counts_on(segment_bits):
    table = make_table(segment_bits)
    assert len(table.base) == len(table.slope) == 4 * 2**segment_bits
    assert all(0 <= base <= 32767 for base in (*table.base, table.base_last))
    assert all(0 <= slope < 2**table.slope_bits for slope in table.slope)
    assert table.slope_bits <= 11


@every_size
def test_lookup_tables_hold_every_code_and_cannot_be_changed(segment_bits):
    table = make_table(segment_bits)
    tanh, sigmoid = lookup_tables(segment_bits)
    np.testing.assert_array_equal(tanh, tanh_int(ALL_P, table))
    np.testing.assert_array_equal(sigmoid, sigmoid_int(ALL_P, table))
    with pytest.raises(ValueError, match="read-only"):
        tanh[0] = 0


@pytest.mark.parametrize("segment_bits", [1, 6, True, 3.0])
def test_other_segment_sizes_are_refused(segment_bits):
    with pytest.raises(SpecError, match=r"activation_segment_bits must be an integer in 2 \.\. 5, not"):
        make_table(segment_bits)
