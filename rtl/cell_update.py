"""The update: from drained accumulators to new h and c, one lane a cycle, while the next tile accumulates.

A sequencer takes the lanes of a drained tile one after the other. Each becomes a slot: a pre-activation that goes
through the activation unit and, one after it, the product stage. What a slot does is fixed by its place:

    LSTM             i: hold   f: f*c         g: i*g + (f*c) -> c'     o: hold   t: o * tanh(c') -> h'
    GRU reset after  r: hold   z: hold        x: hold n_x    n: r*n_h + n_x -> n   t: n + z * (h - n) -> h'
    GRU before       r: r*h -> rh             z: hold in a register file      n: h + z * (n - h) -> h'
    Elman, output    h': narrowed             y: as it is

The fifth slot of an LSTM or GRU unit (t) feeds c' or the pre-activation of n back; it comes FEEDBACK_ROUNDS
rounds after the unit's gates, so that these are through. Gates wait for it in three-deep queues. One sequencer
serves all streams; each stream has its own arithmetic. Widths and rounding: docs/arithmetic.md.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass

import pyrtl
from pyrtl import Const, Register, WireVector

from golden.activation import make_table
from golden.quantize import QuantizedModel
from rtl.activation import PREACT_BITS, ActivationSelect, build_activation
from rtl.carry_save import add_all, multiply
from rtl.config import DesignConfig
from rtl.fixed_wire import round_shift, saturate, sign_extend, signed_difference
from rtl.mac_array import ShadowHead
from rtl.registers import delay, hold, index_width, select_from, table
from rtl.sequencer import Slot
from rtl.timing import ACTIVATED, FEEDBACK_ROUNDS, NARROWED, REQUANTIZE_LATENCY

_BACK = REQUANTIZE_LATENCY - 1  # slot -> choice between a lane and the fed-back value

_SIGMOID = ("lstm_i", "lstm_f", "lstm_o", "after_r", "after_z", "before_r", "before_z")
_PASSED = ("after_x", "after_n")
_WRITES_H = ("lstm_t", "after_t", "before_n", "elman")
_QUEUED = ("lstm_o", "after_z")
_MULTIPLIES = ("lstm_f", "lstm_g", "lstm_t", "after_n", "after_t", "before_r", "before_n")


@dataclass(frozen=True)
class StepInfo:
    """What the update must know of a step, one entry for steps of either parity (`toggle`): bits per stream.

    fresh: the sequence starts in this step; keep: the stream takes part; buffer: which half holds the old h.
    """

    fresh: tuple[WireVector, WireVector]
    keep: tuple[WireVector, WireVector]
    buffer: tuple[WireVector, WireVector]


@dataclass(frozen=True)
class UpdateReads:
    """State that the update asks for, per stream, in the cycle of `index` ACTIVATED cycles after the slot."""

    h_old: list[WireVector]
    c_old: list[WireVector]
    z: list[WireVector]


@dataclass(frozen=True)
class UpdateWrites:
    """Results, per stream. *_we is valid in the same cycle as value and index; keep bits are not yet applied."""

    h: list[WireVector]
    h_we: WireVector
    c: list[WireVector]
    c_we: WireVector
    rh: list[WireVector]
    rh_we: WireVector
    z: list[WireVector]
    z_we: WireVector
    y: list[WireVector]
    y_we: WireVector


def build_update(
    design: DesignConfig, qmodel: QuantizedModel, head: ShadowHead, slot: Slot, reads: UpdateReads
) -> UpdateWrites:
    """The arithmetic of all streams behind one sequencer."""
    results = [
        _build_stream(design, qmodel, s, acc, head.shift, slot, reads) for s, acc in enumerate(head.accumulators)
    ]
    per_stream = {name: [r[name] for r in results] for name in ("h", "c", "rh", "z", "y")}
    off = Const(0, 1)
    real_done, real_act = slot.real.at(NARROWED), slot.real.at(ACTIVATED)
    h_we = _any(slot, _WRITES_H, NARROWED) & real_done
    if design.model.output is None:
        last = slot.phase.at(NARROWED) == design.layout.y_phase
        y_we = h_we & last & slot.emit.at(NARROWED)
    else:
        y_we = _any(slot, ("output",), ACTIVATED) & real_act
    return UpdateWrites(
        h_we=h_we,
        c_we=_any(slot, ("lstm_g",), NARROWED) & real_done,
        rh_we=_any(slot, ("before_r",), NARROWED) & real_done if "before_r" in slot.does else off,
        z_we=_any(slot, ("before_z",), ACTIVATED) & real_act if "before_z" in slot.does else off,
        y_we=y_we,
        **per_stream,
    )


def _any(slot: Slot, names: tuple[str, ...], cycles: int) -> WireVector:
    """Whether the slot `cycles` ago did one of `names`."""
    bits = [slot.does[name].at(cycles) for name in names if name in slot.does]
    return pyrtl.or_all_bits(pyrtl.concat_list(bits)) if bits else Const(0, 1)


def _has(slot: Slot, *names: str) -> bool:
    return any(name in slot.does for name in names)


def _build_stream(
    design: DesignConfig, qmodel: QuantizedModel, s: int, acc: WireVector, shift: WireVector, slot: Slot,
    reads: UpdateReads,
) -> dict[str, WireVector]:
    """One stream's requantiser, activation unit and product stage; results by name."""
    name = f"upd_s{s}"
    shifted = delay(_shift(acc, shift, -design.quant.shift_min), f"{name}_shifted")
    from_lane = saturate(round_shift(shifted, 1), PREACT_BITS)
    feedback = Register(PREACT_BITS, f"{name}_feedback") if _has(slot, "lstm_t", "after_t") else None
    preact = from_lane
    if feedback is not None:
        choose = _any(slot, ("lstm_t", "after_t"), _BACK)
        preact = pyrtl.select(choose, _fed_back(design, qmodel, feedback, slot), from_lane)
    preact = delay(preact, f"{name}_preact")

    act = build_activation(
        make_table(design.quant.activation_segment_bits) if _uses_table(design) else None,
        preact, _function(design, slot), f"{name}_act",
    )
    results = {"z": act, "y": sign_extend(act, PREACT_BITS)}
    total = _build_product(design, qmodel, s, act, slot, reads, name)
    results["h"] = delay(saturate(round_shift(total, 23), 8), f"{name}_h")
    results["rh"] = delay(saturate(round_shift(total, 15), 8), f"{name}_rh") if _has(slot, "before_r") else Const(0, 8)
    results["c"] = Const(0, PREACT_BITS)
    if _has(slot, "lstm_g"):
        results["c"] = delay(_narrow_c(design, qmodel, total, slot), f"{name}_c")
    if feedback is not None:
        _feed(feedback, results["c"], total, slot, name)
    if design.model.output is None:
        results["y"] = sign_extend(results["h"], PREACT_BITS)
    return results


def _shift(acc: WireVector, stored_shift: WireVector, offset: int) -> WireVector:
    """acc << offset >> stored_shift with one more bit below the point, for the rounding that follows.

    Stored shifts are shift + offset, so that a negative shift is a smaller right shift of acc << offset.
    """
    wide = pyrtl.concat(acc, Const(0, offset + 1))
    return pyrtl.shift_right_arithmetic(wide, stored_shift)


def _uses_table(design: DesignConfig) -> bool:
    return any(p.activation in ("gates", "tanh", "sigmoid") for p in design.layout.phases)


def _function(design: DesignConfig, slot: Slot) -> ActivationSelect:
    """Which activation the slot at the activation unit's input register wants."""
    cycles = REQUANTIZE_LATENCY
    rows = _any(slot, ("elman", "output"), cycles)

    def wanted(names: tuple[str, ...], slots: tuple[str, ...]) -> WireVector | None:
        by_phase = [int(p.activation in names) for p in design.layout.phases]
        bits = [_any(slot, slots, cycles)] if _has(slot, *slots) else []
        if all(by_phase):
            bits.append(rows)
        elif any(by_phase):
            bits.append(rows & table(slot.phase.at(cycles), by_phase, 1))
        return functools.reduce(operator.or_, bits) if bits else None

    return ActivationSelect(
        sigmoid=wanted(("sigmoid",), _SIGMOID),
        relu=wanted(("relu",), ()),
        identity=wanted(("identity", "log_softmax"), _PASSED),
    )


def _c_frac_bits(qmodel: QuantizedModel) -> dict[int, int]:
    return {n: cell.c_frac_bits for n, cell in enumerate(qmodel.cells) if cell.spec.kind == "lstm"}


def _by_cell_format(
    design: DesignConfig, qmodel: QuantizedModel, slot: Slot, cycles: int, build: Callable[[int], WireVector]
) -> WireVector:
    """build(c_frac_bits) for the cell that the slot `cycles` ago belongs to."""
    formats = sorted(set(_c_frac_bits(qmodel).values()))
    choices = [build(n) for n in formats]
    if len(choices) == 1:
        return choices[0]
    numbers = [formats.index(_c_frac_bits(qmodel).get(p.cell, formats[0])) for p in design.layout.phases]
    return select_from(table(slot.phase.at(cycles), numbers, index_width(len(formats))), choices)


def _fed_back(design: DesignConfig, qmodel: QuantizedModel, feedback: WireVector, slot: Slot) -> WireVector:
    """The fed-back value as a pre-activation: c' (s16.n) to s16.12; a GRU's n is in s16.12 already."""
    phases = design.layout.phases
    if not _c_frac_bits(qmodel):
        return feedback
    cell_state = _by_cell_format(
        design, qmodel, slot, _BACK, lambda n: saturate(round_shift(feedback, n - 12), PREACT_BITS)
    )
    if not any(p.kind == "gru_after" for p in phases):
        return cell_state
    is_lstm = table(slot.phase.at(_BACK), [int(p.kind == "lstm") for p in phases], 1)
    return pyrtl.select(is_lstm, cell_state, feedback)


def _build_product(
    design: DesignConfig, qmodel: QuantizedModel, s: int, act: WireVector, slot: Slot, reads: UpdateReads, name: str
) -> WireVector:
    """a * b + addend of the slot, three registers deep, before narrowing: fraction 30 for c and h, 27 for n, 22 for rh.

    The product is split at b's low byte, so that neither half is a long multiplier; all carries are one chain, that of
    the total. The addend is 16 bits wide
    with its lowest bit at 2^15: every addend of the contract is.
    """
    a, b, addend = _operands(s, act, slot, reads, name)
    width = _total_bits(qmodel)
    total = Register(width, f"{name}_total")
    terms = []
    if addend is not None:
        terms.append(sign_extend(pyrtl.concat(delay(addend, f"{name}_addend", 2), Const(0, 15)), width))
    if a is not None:
        a, b = delay(a, f"{name}_a"), delay(b, f"{name}_b")
        low = multiply(a, b[:8], right_signed=False).delayed(f"{name}_low")
        high = multiply(a, b[8:]).delayed(f"{name}_high")
        terms += [*low.terms(width), *high.terms(width, shift=8)]
    if _has(slot, "lstm_g"):
        # f*c is the total of the slot before g's; align its fraction 15+n with i*g's 30.
        is_g = slot.does["lstm_g"].at(ACTIVATED + 2)
        aligned = _by_cell_format(design, qmodel, slot, ACTIVATED + 2, lambda n: round_shift(total, n - 15)[:width])
        terms.append(pyrtl.select(is_g, aligned, Const(0, width)))
    total.next <<= add_all(terms)
    return total


def _total_bits(qmodel: QuantizedModel) -> int:
    """Bits of the sum of products: 2^30 * 2 for h and n; for c one bit more than f*c at fraction 30 needs."""
    return max([34] + [30 + (15 - n) + 2 for n in _c_frac_bits(qmodel).values()])


def _operands(
    s: int, act: WireVector, slot: Slot, reads: UpdateReads, name: str
) -> tuple[WireVector | None, WireVector | None, WireVector | None]:
    """(a s16, b s17, addend s16) of the slot whose activated value is `act`; None where no slot has one."""
    zero, zero_b = Const(0, 16), Const(0, 17)
    a_choices, b_choices, addends = [], [], []

    def when(slot_name: str, a: WireVector, b: WireVector, addend: WireVector | None = None) -> None:
        chosen = slot.does[slot_name].at(ACTIVATED)
        a_choices.append(pyrtl.select(chosen, a, zero))
        b_choices.append(pyrtl.select(chosen, sign_extend(b, 17), zero_b))
        if addend is not None:
            addends.append(pyrtl.select(chosen, addend, zero))

    def held(slot_name: str) -> Register:
        return hold(act, slot.does[slot_name].at(ACTIVATED), f"{name}_{slot_name}")

    h_old = pyrtl.concat(reads.h_old[s], Const(0, 8)) if _has(slot, "after_t", "before_r", "before_n") else None
    if _has(slot, "lstm_g"):
        when("lstm_f", act, reads.c_old[s])
        when("lstm_g", held("lstm_i"), act)
        when("lstm_t", _queue(slot, "lstm_o", act, name), act)
    if _has(slot, "after_t"):
        when("after_n", held("after_r"), act, held("after_x"))
        when("after_t", _queue(slot, "after_z", act, name), signed_difference(17, h_old, act), act)
    if _has(slot, "before_r"):
        when("before_r", act, reads.h_old[s])
        when("before_n", reads.z[s], signed_difference(17, act, h_old), h_old)
    if _has(slot, "elman"):
        addends.append(pyrtl.select(slot.does["elman"].at(ACTIVATED), act, zero))

    def merged(choices: list[WireVector]) -> WireVector | None:
        return functools.reduce(operator.or_, choices) if choices else None

    return merged(a_choices), merged(b_choices), merged(addends)


def _queue(slot: Slot, slot_name: str, act: WireVector, name: str) -> WireVector:
    """The gate of the unit whose fed-back slot is at the product stage now, FEEDBACK_ROUNDS rounds old."""
    value = act
    shift = slot.does[slot_name].at(ACTIVATED)
    for depth in range(FEEDBACK_ROUNDS + 1):
        value = hold(value, shift, f"{name}_{slot_name}_q{depth}")
    return value


def _narrow_c(design: DesignConfig, qmodel: QuantizedModel, total: WireVector, slot: Slot) -> WireVector:
    """c' = sat_16(rs(total, 30 - n))."""
    return _by_cell_format(
        design, qmodel, slot, NARROWED - 1, lambda n: saturate(round_shift(total, 30 - n), PREACT_BITS)
    )


def _feed(feedback: Register, c: WireVector, total: WireVector, slot: Slot, name: str) -> None:
    """Hold c' (LSTM) or the pre-activation of n (GRU reset after) until its fed-back slot comes."""
    value: WireVector = feedback
    if _has(slot, "lstm_g"):
        value = pyrtl.select(slot.does["lstm_g"].at(NARROWED), c, value)
    if _has(slot, "after_n"):
        n = delay(saturate(round_shift(total, 15), PREACT_BITS), f"{name}_n")
        value = pyrtl.select(slot.does["after_n"].at(NARROWED), n, value)
    feedback.next <<= value
