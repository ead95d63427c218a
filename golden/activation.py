"""tanh and sigmoid by one piecewise-linear table on the magnitude.

With p the s16.12 pre-activation: v = 2p for tanh and v = p for sigmoid, both s17.13, m = |v|.
    segment = m >> (13 - b)            b = segment_bits, segments of 2^-b
    dx      = m & (2^(13-b) - 1)
    t       = base[segment] + rs(slope[segment] * dx, slope_frac)    for segment < 4 * 2^b (m below 4.0)
    t       = base_last                                              beyond
    tanh    = t or -t by the sign of v;   sigmoid = sat_16((t_signed + 32768 + 1) >> 1)
`base` is in units of 2^-15; t lies in 0 .. 32767, t(0) = 0, and t never falls.

`make_table` chooses the integers. A chord of tanh lies below the curve by the segment's sag, so the knots are
raised by half the larger sag of their two segments: that halves the maximum error and keeps the curve
continuous, which keeps it monotone.
"""

import functools

import msgspec
import numpy as np

from golden.fixed import rs, sat
from golden.spec import Spec, check_int

V_FRAC_BITS = 13
"""Fraction bits of v."""
RANGE = 4
"""The table covers magnitudes below this."""
ALL_P = np.arange(-32768, 32768)
"""Every s16.12 pre-activation; the index into a lookup table is p + 32768."""


class PwlTable(Spec, frozen=True):
    """The integers of the activation unit and the errors that they cause.

    base, slope   4 * 2^segment_bits entries each; base 0 .. 32767, slope unsigned.
    base_last     the constant at and beyond 4.0.
    max_error_tanh, max_error_sigmoid   largest |integer result / 2^15 - exact|, over all 2^16 codes.
    """

    base: tuple[int, ...]
    slope: tuple[int, ...]
    base_last: int
    segment_bits: int
    slope_frac: int
    max_error_tanh: float
    max_error_sigmoid: float

    @property
    def slope_bits(self) -> int:
        """Bits of the largest slope, unsigned."""
        return max(self.slope).bit_length()


def magnitude_int(m: np.ndarray, table: PwlTable) -> np.ndarray:
    """t(m): tanh of the magnitude m (s17.13, 0 .. 65536) in units of 2^-15."""
    dx_bits = V_FRAC_BITS - table.segment_bits
    segment = m >> dx_bits
    dx = m & ((1 << dx_bits) - 1)
    inside = segment < len(table.base)
    segment = np.where(inside, segment, 0)
    base, slope = np.array(table.base, dtype=np.int64), np.array(table.slope, dtype=np.int64)
    return np.where(inside, base[segment] + rs(slope[segment] * dx, table.slope_frac), table.base_last)


def _signed_t(v: np.ndarray, table: PwlTable) -> np.ndarray:
    t = magnitude_int(np.abs(v), table)
    return np.where(v < 0, -t, t)


def tanh_int(p: np.ndarray, table: PwlTable) -> np.ndarray:
    """tanh of s16.12 integers as s16.15 integers (int64 arrays)."""
    return _signed_t(2 * np.asarray(p, dtype=np.int64), table)


def sigmoid_int(p: np.ndarray, table: PwlTable) -> np.ndarray:
    """The logistic function of s16.12 integers as s16.15 integers (int64 arrays)."""
    return sat((_signed_t(np.asarray(p, dtype=np.int64), table) + 32768 + 1) >> 1, 16)


@functools.lru_cache
def lookup_tables(segment_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(tanh, sigmoid) of every s16.12 code: read-only int16 arrays (65536,), indexed by p + 32768."""
    table = make_table(segment_bits)
    luts = tanh_int(ALL_P, table).astype(np.int16), sigmoid_int(ALL_P, table).astype(np.int16)
    for lut in luts:
        lut.flags.writeable = False
    return luts


@functools.lru_cache
def make_table(segment_bits: int) -> PwlTable:
    """The table with segments of 2^-segment_bits (2 .. 5), with measured maximum errors.

    The slopes get the fewest fraction bits that cost at most 2 % of the error at 16 fraction bits.
    """
    check_int("activation_segment_bits", segment_bits, 2, 5)
    finest = _build_table(segment_bits, 16)
    for slope_frac in range(4, 16):
        table = _build_table(segment_bits, slope_frac)
        if _curve_error(table) <= 1.02 * _curve_error(finest):
            break
    else:
        table = finest
    exact_tanh, exact_sigmoid = np.tanh(ALL_P / 4096), 1 / (1 + np.exp(-ALL_P / 4096))
    return msgspec.structs.replace(
        table,
        max_error_tanh=float(np.abs(tanh_int(ALL_P, table) / 32768 - exact_tanh).max()),
        max_error_sigmoid=float(np.abs(sigmoid_int(ALL_P, table) / 32768 - exact_sigmoid).max()),
    )


def _curve_error(table: PwlTable) -> float:
    """Largest error of t below 4.0, in units of 2^-15."""
    m = np.arange(RANGE << V_FRAC_BITS)
    return float(np.abs(magnitude_int(m, table) - 32768 * np.tanh(m / (1 << V_FRAC_BITS))).max())


def _build_table(segment_bits: int, slope_frac: int) -> PwlTable:
    """The table for a given number of slope fraction bits, errors not yet measured."""
    n_segments, n_dx = RANGE << segment_bits, 1 << (V_FRAC_BITS - segment_bits)
    m = np.arange(n_segments * n_dx + 1)
    exact = 32768 * np.tanh(m / (1 << V_FRAC_BITS))
    knots = exact[::n_dx]
    inside = exact[:-1].reshape(n_segments, n_dx)
    chord = knots[:-1, None] + (knots[1:] - knots[:-1])[:, None] * np.arange(n_dx) / n_dx
    sag = (inside - chord).max(axis=1)
    raised = knots + np.maximum(np.append(sag, 0), np.append(0, sag)) / 2
    raised[0] = 0
    # Beyond 4.0 the best constant is half-way between tanh(4) and 1.
    base_last = int(np.floor((knots[-1] + 32768) / 2 + 0.5))
    base = np.minimum(np.floor(raised + 0.5).astype(np.int64), base_last)
    slope = [_best_slope(base[k], base[k + 1], inside[k], slope_frac) for k in range(n_segments)]
    return PwlTable(tuple(base[:-1].tolist()), tuple(slope), base_last, segment_bits, slope_frac, 0.0, 0.0)


def _best_slope(base: int, next_base: int, exact: np.ndarray, slope_frac: int) -> int:
    """The slope of least maximum error among those that do not end above the next segment's base."""
    dx = np.arange(len(exact))
    middle = int(round((int(next_base) - int(base)) * 2**slope_frac / len(exact)))
    nearby = range(max(middle - 3, 0), middle + 4)
    candidates = [s for s in nearby if base + rs(s * int(dx[-1]), slope_frac) <= next_base]
    errors = [np.abs(base + rs(s * dx, slope_frac) - exact).max() for s in candidates]
    return candidates[int(np.argmin(errors))]
