"""Sums of many terms without a carry chain each: products and sums as two words that only add up to the value.

A full adder per bit takes three words to two of the same sum, s = a ^ b ^ c and 2 * majority(a, b, c), in the time of
one bit. A product is the sum of its rows (one a bit of the right factor); kept as two words in registers, the one
carry chain that is left comes where the product is added to something else anyway.

Signed rows are Baugh and Wooley's ("A two's complement parallel array multiplication algorithm", IEEE Trans.
Computers, 1973): with the products of a sign bit inverted, all rows are unsigned and the sum is 2^(n+m-1) too large.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyrtl
from pyrtl import Const, WireVector

from rtl.fixed_wire import FormatError, sign_extend
from rtl.registers import delay


@dataclass(frozen=True)
class CarrySave:
    """The value total + carry: total is signed, carry unsigned, both as wide as the value."""

    total: WireVector
    carry: WireVector

    def delayed(self, name: str) -> "CarrySave":
        """One cycle later, in registers <name>_total and <name>_carry."""
        return CarrySave(delay(self.total, f"{name}_total"), delay(self.carry, f"{name}_carry"))

    def terms(self, width_bits: int, shift: int = 0) -> list[WireVector]:
        """Two words that add up to the value << shift, modulo 2^width_bits; width_bits must hold both."""
        low = [Const(0, shift)] if shift else []
        total, carry = (pyrtl.concat(word, *low) for word in (self.total, self.carry))
        return [sign_extend(total, width_bits), carry.zero_extended(width_bits)]


def compress(words: Sequence[WireVector]) -> list[WireVector]:
    """At most two words with the sum of all, modulo 2 to their common width: rows of full adders, three to two."""
    if len({len(word) for word in words}) != 1:
        raise FormatError(f"terms must have the same width, not {', '.join(str(len(word)) for word in words)} bits")
    rows = list(words)
    while len(rows) > 2:
        groups = [rows[k : k + 3] for k in range(0, len(rows), 3)]
        rows = [word for group in groups for word in (_full_adders(*group) if len(group) == 3 else group)]
    return rows


def _full_adders(a: WireVector, b: WireVector, c: WireVector) -> tuple[WireVector, WireVector]:
    half = a ^ b
    majority = (a & b) | (half & c)
    return half ^ c, pyrtl.concat(majority[:-1], Const(0, 1))


def add_all(words: Sequence[WireVector]) -> WireVector:
    """The sum of equally wide words, modulo 2 to their width, with one carry chain."""
    rows = compress(words)
    return rows[0] if len(rows) == 1 else (rows[0] + rows[1])[: len(rows[0])]


def multiply(left: WireVector, right: WireVector, left_signed: bool = True, right_signed: bool = True) -> CarrySave:
    """left * right, exact, len(left) + len(right) bits wide; a row a bit of right, which should be the narrower one.

    A right factor with a sign needs a left one with a sign.
    """
    if right_signed and not left_signed:
        raise FormatError("a signed factor must come first beside an unsigned one")
    n, m = len(left), len(right)
    width = n + m
    rows = [(left & pyrtl.concat_list([right[j]] * n)) for j in range(m)]
    if left_signed:
        rows = [row ^ Const(_inverted(n, j == m - 1 and right_signed), n) for j, row in enumerate(rows)]
    placed = [pyrtl.concat(row, Const(0, j)).zero_extended(width) if j else row.zero_extended(width)
              for j, row in enumerate(rows)]
    constant = (1 << (n - 1)) * left_signed + (1 << (m - 1)) * right_signed
    placed += [Const(constant, width)] if constant else []
    total, carry = (compress(placed) + [Const(0, width)])[:2]
    if left_signed:
        total = total ^ Const(1 << (width - 1), width)     # 2^(n+m-1) less: the top bit is a sign from here on
        return CarrySave(total, carry)
    return CarrySave(pyrtl.concat(Const(0, 1), total), pyrtl.concat(Const(0, 1), carry))


def _inverted(n: int, last: bool) -> int:
    """Which bits of a row of n are products with just one sign bit."""
    sign = 1 << (n - 1)
    return sign - 1 if last else sign
