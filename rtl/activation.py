"""The activation unit: tanh and sigmoid from one piecewise-linear table, relu and identity beside it.

A pipeline of ACTIVATION_LATENCY cycles that takes one pre-activation a cycle: magnitude, table look-up, slope
product, sum with sign. The table is lowered to logic (a ROM's `initial` block would not survive synthesis).
"""

import functools
import operator
from dataclasses import dataclass

import pyrtl
from pyrtl import Const, WireVector

from golden.activation import PwlTable
from rtl.carry_save import CarrySave, add_all, multiply
from rtl.fixed_wire import FormatError, sign_extend, signed_difference
from rtl.registers import delay, table

PREACT_BITS = 16
_MAGNITUDE_FRAC = 13  # magnitudes are s17.13: x for tanh, x/2 for sigmoid, without rounding
_TABLE_TOP = 15  # magnitudes of 2^15 (4.0) and more take the last value
_ONE = 1 << 15  # 1.0 in s16.15


@dataclass(frozen=True)
class ActivationSelect:
    """Which function; one bit each, with the pre-activation. None of them set: tanh.

    None where the design never wants the function.
    """

    sigmoid: WireVector | None
    relu: WireVector | None
    identity: WireVector | None


def build_activation(
    pwl: PwlTable | None, preact: WireVector, function: ActivationSelect, name: str
) -> WireVector:
    """act(preact), s16.15 (or preact's format for relu and identity), ACTIVATION_LATENCY cycles later.

    pwl      the table of tanh and sigmoid; None where the design has relu and identity only.
    preact   s16.12 in a register.
    """
    result = None if pwl is None else _build_piecewise_linear(pwl, preact, function.sigmoid, name)
    wanted = [bit for bit in (function.relu, function.identity) if bit is not None]
    if wanted:
        linear = delay(preact, f"{name}_linear", 3)
        if function.relu is not None:
            negative = delay(function.relu, f"{name}_relu", 3) & linear[-1]
            linear = pyrtl.select(negative, Const(0, PREACT_BITS), linear)
        if result is not None:
            is_linear = delay(functools.reduce(operator.or_, wanted), f"{name}_is_linear", 3)
            linear = pyrtl.select(is_linear, linear, result)
        result = linear
    return delay(result, f"{name}_result")


def _build_piecewise_linear(
    pwl: PwlTable, preact: WireVector, sigmoid: WireVector | None, name: str
) -> WireVector:
    """tanh or sigmoid of s16.12, three registers deep (the caller registers the result)."""
    if pwl.base_last >= _ONE - 1:
        # (tanh + 1) / 2 would round up to 1.0, which s16.15 does not have; no table of golden's comes so far.
        raise FormatError(f"the activation table must end below {_ONE - 1}, not at {pwl.base_last}")
    dx_bits = _MAGNITUDE_FRAC - pwl.segment_bits
    value = pyrtl.concat(preact, Const(0, 1))
    if sigmoid is not None:
        value = pyrtl.select(sigmoid, sign_extend(preact, 17), value)
    negative = value[-1]
    flipped = signed_difference(17, Const(0, 17), value)
    # -2^16 is its own two's complement negative: read as unsigned it is the right magnitude.
    magnitude = delay(pyrtl.select(negative, flipped, value), f"{name}_magnitude")

    segment = magnitude[dx_bits:_TABLE_TOP]
    beyond = pyrtl.or_all_bits(magnitude[_TABLE_TOP:])
    base_values, slope_values = [int(v) for v in pwl.base], [int(v) for v in pwl.slope]
    slope_bits = max(max(slope_values).bit_length(), 1)
    base = pyrtl.select(beyond, Const(int(pwl.base_last), 15), table(segment, base_values, 15))
    slope = pyrtl.select(beyond, Const(0, slope_bits), table(segment, slope_values, slope_bits))
    base, slope = delay(base, f"{name}_base"), delay(slope, f"{name}_slope")
    dx = delay(magnitude[:dx_bits], f"{name}_dx")

    rise = multiply(slope, dx, left_signed=False, right_signed=False).delayed(f"{name}_rise")
    sign = delay(negative, f"{name}_sign", 3)
    is_sigmoid = Const(0, 1) if sigmoid is None else delay(sigmoid, f"{name}_is_sigmoid", 3)
    total = _signed_sum_of_line(pwl.slope_frac, delay(base, f"{name}_base_late"), rise, sign, is_sigmoid)
    tanh = total[pwl.slope_frac :][:16]
    return tanh if sigmoid is None else pyrtl.select(is_sigmoid, total[pwl.slope_frac + 1 :][:16], tanh)


def _signed_sum_of_line(
    frac: int, base: WireVector, rise: CarrySave, sign: WireVector, is_sigmoid: WireVector
) -> WireVector:
    """What >> frac is tanh, and >> (frac + 1) the sigmoid, in one carry chain; frac is at least 4.

    With N = base * 2^frac + rise + 2^(frac-1), tanh is N >> frac or its negative, and the sigmoid
    (tanh + 2^15 + 1) >> 1. Because -(N >> frac) = (~N + 2^frac) >> frac and ~N is the sum of the three inverted words
    + 2 - 2^(frac-1), negative or not all is

        (the three words, each inverted for a negative) + 2^(frac-1) + 2 * negative + (2^15 + 1) * 2^frac * sigmoid
    """
    if frac < 4:
        raise FormatError(f"slopes must have at least 4 fraction bits, not {frac}: the constants would overlap")
    width = frac + 18
    words = [pyrtl.concat(base, Const(0, frac)).zero_extended(width), *rise.terms(width)]
    every = pyrtl.concat_list([sign] * width)
    constant = pyrtl.concat(Const(0, 2), is_sigmoid, Const(0, 14), is_sigmoid, Const(1, 1), Const(0, frac - 3), sign,
                            Const(0, 1))
    return add_all([*(word ^ every for word in words), constant])
