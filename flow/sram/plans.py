"""Which bits, bytes and addresses stay single in which experiment."""

from flow.characterise.corner import Corner
from flow.sram.reduce import BITS_A_BYTE, N_COLUMNS, N_ROWS, Plan
from flow.sram.spec import SramSpec

LOADS_PF = (0.002, 0.02, 0.06, 0.18)
"""On q, one bit each. The largest is what the latch drives in about a nanosecond at tt."""

FIRST, LAST = 0, N_ROWS * N_COLUMNS - 1
LAST_COLUMN = (N_COLUMNS - 1, LAST)
"""Addresses of the first and the last row in one column."""


def byte_groups(spec: SramSpec) -> tuple[tuple[int, ...], ...]:
    """First and last byte alone, those between together."""
    last = spec.n_bytes - 1
    groups = [(0,), tuple(range(1, last)), (last,)] if last else [(0,)]
    return tuple(group for group in groups if group)


def timing_plan(spec: SramSpec, corner: Corner, addresses: tuple[int, ...], n_single: int = len(LOADS_PF)) -> Plan:
    """Single are the last bits of the word; at a corner where the earliest counts, the first.

    Its last `n_single` groups are the single bits.
    """
    first = 0 if corner.worst == "min" else spec.word_bits - n_single
    singles = [(bit,) for bit in range(first, first + n_single)]
    groups = []
    for group in byte_groups(spec):
        bits = (byte * BITS_A_BYTE + k for byte in group for k in range(BITS_A_BYTE))
        groups.append(tuple(bit for bit in bits if (bit,) not in singles))
    return Plan(spec, addresses, (*groups, *singles), byte_groups(spec), (0,) * (len(groups) + n_single))


def pattern_plan(spec: SramSpec) -> Plan:
    """For writing and reading back: the first and the last bit of the word alone, between them two patterns a byte."""
    groups = [(0,), (1, 3, 5), (2, 4, 6), (7,)]
    for group in byte_groups(spec)[1:-1]:
        bits = [byte * BITS_A_BYTE + k for byte in group for k in range(BITS_A_BYTE)]
        groups += [tuple(bits[0::2]), tuple(bits[1::2])]
    if spec.n_bytes > 1:
        last = (spec.n_bytes - 1) * BITS_A_BYTE
        groups += [tuple(last + k for k in (0, 2, 4, 6)), tuple(last + k for k in (1, 3, 5)), (last + 7,)]
    addresses = tuple(row * N_COLUMNS + column for row in (0, 1, N_ROWS - 1) for column in (0, N_COLUMNS - 1))
    return Plan(spec, addresses, tuple(groups), byte_groups(spec), tuple(k % 2 for k in range(len(groups))))


def whole_plan(spec: SramSpec) -> Plan:
    """Nothing joined: every transistor of the macro by itself. For comparison; far too slow for tables."""
    bits = tuple((bit,) for bit in range(spec.word_bits))
    return Plan(spec, tuple(range(spec.n_words)), bits, tuple((byte,) for byte in range(spec.n_bytes)),
                tuple(range(spec.word_bits)))
