"""The MAC array: lanes of weight-stationary multiply-accumulators and the shadow chain that drains them.

A lane takes one byte of its bank's word every cycle. In a header word the byte is a piece of the bias or the
row's shift; in a column word it is a weight, and all lanes multiply theirs by the same element of x or h. With S
streams a lane has S multipliers and accumulators behind one weight. A product is two words (rtl/carry_save.py); the
accumulator's carry chain is the only one of a lane.

Stages, counted from the controller's cycle: +2 the bank's word and the element are read, +3 product, +4
accumulate, +5 copy into the shadow registers, +6 the update sees the first lane there. The shadow registers are
a chain: the update takes lane 0, 1, 2 … by shifting, while the accumulators already work on the next tile.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Register, WireVector

from rtl.carry_save import CarrySave, add_all, multiply
from rtl.config import LANE_BITS, DesignConfig
from rtl.controller import Issue
from rtl.fixed_wire import drive, sign_extend
from rtl.layout import HEADER_WORDS_BIAS
from rtl.registers import ControlRegisters, Pipeline, delay

SHIFT_BITS = 4
_BIAS_HIGH_BIT = 16  # bias bits 19:16 come with the shift in the last header byte


@dataclass(frozen=True)
class LaneControl:
    """What a lane does in the accumulate stage; one bit each, at most one of the first four at a time.

    header_first and header_second are None where no layer has biases: every header is then one word.
    """

    column: WireVector
    header_first: WireVector | None
    header_second: WireVector | None
    header_last: WireVector
    drain: WireVector
    product_is_byte: WireVector


@dataclass(frozen=True)
class ShadowHead:
    """What the update reads: accumulators (one a stream) and stored shift (shift - shift_min) of the current lane."""

    accumulators: tuple[WireVector, ...]
    shift: WireVector


def build_mac_array(
    design: DesignConfig,
    bank_words: list[WireVector],
    elements: list[WireVector],
    issue: Issue,
    advance: WireVector,
    registers: ControlRegisters,
) -> ShadowHead:
    """All lanes of all banks and their shadow chain.

    bank_words  one word a bank, two cycles after `issue`.
    elements    one s8.7 element a stream, two cycles after `issue`.
    advance     the update has taken the head of the chain: the next lane moves up.
    """
    control = _lane_control(design, issue, registers)
    accumulators: list[list[Register]] = []
    shifts: list[Register] = []
    for bank, word in enumerate(bank_words):
        # One copy of the element a bank keeps the broadcast's fan-out at the lanes of a bank.
        local = [delay(element, f"mac_b{bank}_x_s{s}") for s, element in enumerate(elements)]
        stored = delay(word, f"mac_b{bank}_word")
        for k in range(design.datapath.lanes_per_bank):
            name = f"mac_b{bank}_l{k}"
            byte = stored[k * LANE_BITS : (k + 1) * LANE_BITS]
            lane_accumulators, shift = build_pe(design, byte, local, control, name)
            accumulators.append(lane_accumulators)
            shifts.append(shift)
    return _build_shadow_chain(accumulators, shifts, control.drain, advance)


def build_pe(
    design: DesignConfig, byte: WireVector, elements: list[WireVector], control: LaneControl, name: str
) -> tuple[list[Register], Register]:
    """One lane: product register, accumulator per stream, and the row's shift.

    byte (8 bits) and elements (s8.7 each) are registered; the accumulator holds the sum of a column two cycles
    later. Returns (accumulators, shift).
    """
    weight = byte[: design.quant.weight_bits]
    shift = Register(SHIFT_BITS, f"{name}_shift")
    accumulators = []
    for s, element in enumerate(elements):
        exact = multiply(element, weight)
        product = CarrySave(Register(len(exact.total), f"{name}_product_s{s}"),
                            Register(len(exact.carry), f"{name}_product_carry_s{s}"))
        product.total.next <<= pyrtl.select(control.product_is_byte, byte.zero_extended(len(exact.total)), exact.total)
        drive(product.carry, exact.carry)
        accumulators.append(_build_accumulator(design, product, control, f"{name}_acc_s{s}"))
        if s == 0:
            shift.next <<= pyrtl.select(control.header_last, product.total[SHIFT_BITS:LANE_BITS], shift)
    return accumulators, shift


def _build_accumulator(design: DesignConfig, product: CarrySave, control: LaneControl, name: str) -> Register:
    """acc + product in column cycles; the bias, a byte at a time, in header cycles."""
    width = design.acc_bits
    acc = Register(width, name)
    total = add_all([acc, *product.terms(width)])
    byte = product.total[:LANE_BITS]
    high_bits = width - _BIAS_HIGH_BIT
    zero = pyrtl.Const(0, LANE_BITS)
    high = sign_extend(byte[:SHIFT_BITS], high_bits)
    if control.header_first is not None:
        # The first header word clears what the later ones do not write; alone, it is also the last.
        low = pyrtl.select(control.header_first, pyrtl.select(control.header_last, zero, byte), acc[:8])
        middle = pyrtl.select(control.header_second, byte, pyrtl.select(control.header_first, zero, acc[8:16]))
        top = pyrtl.select(control.header_last, high, acc[_BIAS_HIGH_BIT:])
        loaded = pyrtl.concat(top, middle, low)
    else:
        loaded = pyrtl.select(control.header_last, pyrtl.concat(high, zero, zero), acc)
    acc.next <<= pyrtl.select(control.column, total, loaded)
    return acc


def _lane_control(design: DesignConfig, issue: Issue, registers: ControlRegisters) -> LaneControl:
    def later(wire: WireVector, name: str, cycles: int) -> WireVector:
        return Pipeline(wire, f"mac_{name}", registers).at(cycles)

    has_bias = any(phase.header_words == HEADER_WORDS_BIAS for phase in design.layout.phases)
    return LaneControl(
        column=later(issue.column, "column", 4),
        header_first=later(issue.header_first, "header_first", 4) if has_bias else None,
        header_second=later(issue.header_second, "header_second", 4) if has_bias else None,
        header_last=later(issue.header_last, "header_last", 4),
        drain=later(issue.tile_end, "drain", 5),
        product_is_byte=later(issue.header, "header", 3),
    )


def _build_shadow_chain(
    accumulators: list[list[Register]], shifts: list[Register], drain: WireVector, advance: WireVector
) -> ShadowHead:
    """Shadow registers that take all accumulators at once and move one lane forward on `advance`."""
    heads = []
    for s in range(len(accumulators[0])):
        heads.append(_build_chain([lane[s] for lane in accumulators], drain, advance, f"shadow_acc_s{s}"))
    return ShadowHead(tuple(heads), _build_chain(shifts, drain, advance, "shadow_shift"))


def _build_chain(sources: list[Register], load: WireVector, advance: WireVector, name: str) -> WireVector:
    following = None
    for lane in reversed(range(len(sources))):
        register = Register(len(sources[lane]), f"{name}_l{lane}")
        moved = register if following is None else pyrtl.select(advance, following, register)
        register.next <<= pyrtl.select(load, sources[lane], moved)
        following = register
    return following
