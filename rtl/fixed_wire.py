"""Signed arithmetic on PyRTL wires: widths change only by name, never in silence.

PyRTL's `<<=` truncates or zero-extends without a word. Here widths change only through the named operations below,
and `drive` refuses anything but equal ones. Formats (s16.12 and so on) are in the docstrings of what makes a value.

Rounding is half up, `(v + 2^(k-1)) >> k`; narrowing saturates. This is the RTL's own statement of the rule in
docs/arithmetic.md; golden states it independently and tests compare the two.
"""

import pyrtl
from pyrtl import WireVector


class FormatError(ValueError):
    """Two widths that must be equal are not."""


def sign_extend(wire: WireVector, width_bits: int) -> WireVector:
    """Two's complement extension to `width_bits`, which must not be narrower than the wire."""
    if width_bits < len(wire):
        raise FormatError(f"sign extension must widen, not go from {len(wire)} to {width_bits} bits ({wire.name})")
    return wire if width_bits == len(wire) else wire.sign_extended(width_bits)


def signed_sum(width_bits: int, *terms: WireVector) -> WireVector:
    """Sum of two's complement terms, exact if `width_bits` can hold it."""
    total = sign_extend(terms[0], width_bits)
    for term in terms[1:]:
        total = (total + sign_extend(term, width_bits))[:width_bits]
    return total


def signed_difference(width_bits: int, left: WireVector, right: WireVector) -> WireVector:
    """left - right in two's complement, exact if `width_bits` can hold it."""
    return (sign_extend(left, width_bits) - sign_extend(right, width_bits))[:width_bits]


def saturate(wire: WireVector, width_bits: int) -> WireVector:
    """Narrow to `width_bits`, clamping to the most negative or most positive code.

    A value fits exactly when all bits from the new sign bit upwards are equal.
    """
    if width_bits >= len(wire):
        return sign_extend(wire, width_bits)
    top = wire[width_bits - 1 :]
    fits = ~pyrtl.or_all_bits(top) | pyrtl.and_all_bits(top)
    sign = wire[-1]
    limit = pyrtl.concat(sign, *[~sign] * (width_bits - 1))
    return pyrtl.select(fits, wire[:width_bits], limit)


def round_shift(wire: WireVector, shift: int) -> WireVector:
    """(wire + 2^(shift-1)) >> shift for shift > 0, one bit wider than the quotient needs; wire << -shift else."""
    if shift <= 0:
        return pyrtl.concat(wire, pyrtl.Const(0, -shift)) if shift else wire
    width = len(wire) + 1
    return signed_sum(width, wire, pyrtl.Const(1 << (shift - 1), shift + 1))[shift:]


def drive(destination: WireVector, source: WireVector) -> None:
    """Connect equally wide wires; a register is driven through its `next`."""
    if len(destination) != len(source):
        raise FormatError(
            f"{destination.name} is {len(destination)} bits wide, its driver {source.name} {len(source)}"
        )
    if isinstance(destination, pyrtl.Register):
        destination.next <<= source
    else:
        destination <<= source
