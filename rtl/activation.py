"""The activation unit: tanh and sigmoid from one piecewise-linear table, relu and identity beside it.

A pipeline of ACTIVATION_LATENCY cycles that takes one pre-activation a cycle: magnitude, table look-up, slope
product, sum with sign. The table is lowered to logic (a ROM's `initial` block would not survive synthesis).
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Const, WireVector

from golden.activation import PwlTable
from rtl.fixed_wire import round_shift, sign_extend, signed_difference, signed_sum
from rtl.registers import delay, table

PREACT_BITS = 16
_MAGNITUDE_FRAC = 13  # magnitudes are s17.13: x for tanh, x/2 for sigmoid, without rounding
_TABLE_TOP = 15  # magnitudes of 2^15 (4.0) and more take the last value
_ONE = 1 << 15  # 1.0 in s16.15


@dataclass(frozen=True)
class ActivationSelect:
    """Which function; one bit each, with the pre-activation. None of them set: tanh."""

    sigmoid: WireVector
    relu: WireVector
    identity: WireVector


def build_activation(
    pwl: PwlTable, preact: WireVector, function: ActivationSelect, gates: bool, linear: bool, name: str
) -> WireVector:
    """act(preact), s16.15 (or preact's format for relu and identity), ACTIVATION_LATENCY cycles later.

    preact   s16.12 in a register.
    gates    build tanh and sigmoid; linear: build relu and identity.
    """
    result = Const(0, PREACT_BITS)
    if gates:
        result = _build_piecewise_linear(pwl, preact, function.sigmoid, name)
    if linear:
        passed = delay(preact, f"{name}_linear", 3)
        negative = delay(function.relu, f"{name}_relu", 3) & passed[-1]
        clamped = pyrtl.select(negative, Const(0, PREACT_BITS), passed)
        is_linear = delay(function.relu | function.identity, f"{name}_is_linear", 3)
        result = pyrtl.select(is_linear, clamped, result) if gates else clamped
    return delay(result, f"{name}_result")


def _build_piecewise_linear(pwl: PwlTable, preact: WireVector, sigmoid: WireVector, name: str) -> WireVector:
    """tanh or sigmoid of s16.12, three registers deep (the caller registers the result)."""
    dx_bits = _MAGNITUDE_FRAC - pwl.segment_bits
    value = pyrtl.select(sigmoid, sign_extend(preact, 17), pyrtl.concat(preact, Const(0, 1)))
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

    product = delay(slope * dx, f"{name}_rise")
    rise = round_shift(pyrtl.concat(Const(0, 1), product), pwl.slope_frac)
    unsigned_tanh = signed_sum(17, pyrtl.concat(Const(0, 1), delay(base, f"{name}_base_late")), rise[:17])
    sign = delay(negative, f"{name}_sign", 3)
    tanh = pyrtl.select(sign, signed_difference(17, Const(0, 17), unsigned_tanh), unsigned_tanh)
    shifted = signed_sum(18, tanh, Const(_ONE + 1, 18))[1:]
    # (tanh + 1) / 2 reaches 1.0 only by rounding up the last code: clamp that one.
    half = pyrtl.select(shifted[15], Const(_ONE - 1, 16), shifted[:16])
    return pyrtl.select(delay(sigmoid, f"{name}_is_sigmoid", 3), half, tanh[:16])
