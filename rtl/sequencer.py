"""The update's sequencer: turns a drained tile into slots, one lane a cycle, that say what each lane is for.

It takes the lanes at the head of the shadow chain one after the other. A unit of an LSTM or of a GRU with reset
after takes UNIT_ROUND slots: its four lanes and one for the value that is fed back, which belongs to the unit
FEEDBACK_ROUNDS rounds earlier, so that its gates are through the pipeline. Other kinds take one slot a lane. All
streams run in lock step behind one sequencer.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Const, WireVector

from rtl.config import DesignConfig
from rtl.controller import Issue
from rtl.fixed_wire import signed_difference
from rtl.layout import UNIT_KINDS, Layout
from rtl.registers import ControlRegisters, Pipeline, delay, hold, index_width, select_from, table
from rtl.timing import DRAIN_LATENCY, FEEDBACK_ROUNDS, UNIT_ROUND

# Slots of each kind in order; the last of a unit kind is fed back.
SLOTS = {
    "lstm": ("lstm_i", "lstm_f", "lstm_g", "lstm_o", "lstm_t"),
    "gru_after": ("after_r", "after_z", "after_x", "after_n", "after_t"),
    "gru_r": ("before_r",),
    "gru_z": ("before_z",),
    "gru_n": ("before_n",),
    "elman": ("elman",),
    "output": ("output",),
}


@dataclass(frozen=True)
class Slot:
    """One slot as it goes down the pipeline: what it does (bits by name), which state, step parity, y wanted."""

    does: dict[str, Pipeline]
    phase: Pipeline
    index: Pipeline
    local: Pipeline
    real: Pipeline
    toggle: Pipeline
    emit: Pipeline


def build_sequencer(
    design: DesignConfig, issue: Issue, toggle: WireVector, registers: ControlRegisters
) -> tuple[Slot, WireVector]:
    """Slots of the tile at the head of the shadow chain, and `advance`: the head lane has been taken."""
    layout = design.layout
    phases = layout.phases
    load = registers.delayed(issue.tile_end, "upd_load", DRAIN_LATENCY - 1)
    start = registers.delayed(load, "upd_start")
    next_phase = delay(issue.phase, "upd_phase_in", DRAIN_LATENCY - 1)
    phase = hold(next_phase, load, "upd_phase")
    tile_toggle = hold(delay(toggle, "upd_toggle_in", DRAIN_LATENCY - 1), load, "upd_toggle")
    emit = hold(delay(issue.emit, "upd_emit_in", DRAIN_LATENCY - 1), load, "upd_emit")
    first = _first_unit(layout, issue.tile, next_phase, load)

    running = registers.make(1, "upd_running")
    rounds = max(p.units_per_tile + (FEEDBACK_ROUNDS if p.kind in UNIT_KINDS else 0) for p in phases)
    unit = registers.make(index_width(rounds), "upd_unit")
    place = registers.make(index_width(UNIT_ROUND), "upd_place")
    active = start | running

    last_place = table(phase, [UNIT_ROUND - 1 if p.kind in UNIT_KINDS else 0 for p in phases], len(place))
    last_unit = table(
        phase, [p.units_per_tile - 1 + (FEEDBACK_ROUNDS if p.kind in UNIT_KINDS else 0) for p in phases], len(unit)
    )
    round_end = place == last_place
    tile_done = active & round_end & (unit == last_unit)
    zero_place, zero_unit = Const(0, len(place)), Const(0, len(unit))
    next_place = pyrtl.select(round_end, zero_place, (place + 1)[: len(place)])
    next_unit = pyrtl.select(tile_done, zero_unit, (unit + 1)[: len(unit)])
    registers.set_next(running, active & ~tile_done)
    registers.set_next(place, pyrtl.select(active, next_place, place))
    registers.set_next(unit, pyrtl.select(active & round_end, next_unit, unit))

    is_unit_kind = table(phase, [int(p.kind in UNIT_KINDS) for p in phases], 1)
    fed_back = is_unit_kind & (place == UNIT_ROUND - 1)
    lag = pyrtl.select(fed_back, Const(FEEDBACK_ROUNDS, len(unit) + 1), Const(0, len(unit) + 1))
    slot_unit = signed_difference(len(unit) + 1, pyrtl.concat(Const(0, 1), unit), lag)
    in_tile = ~slot_unit[-1] & (slot_unit[:-1] < table(phase, [p.units_per_tile for p in phases], len(unit) + 1))
    local = (first + slot_unit[:-1])[: len(first) + 1]
    exists = local < table(phase, [p.n_units for p in phases], len(local))
    offsets = [0 if p.cell is None else layout.cell_offsets[p.cell] for p in phases]
    index_bits = index_width(max(layout.n_states, phases[-1].n_units))
    index = (local + table(phase, offsets, index_bits))[:index_bits]

    does = {}
    for kind in {p.kind: None for p in phases}:
        here = pyrtl.or_all_bits(pyrtl.concat_list([phase == n for n, p in enumerate(phases) if p.kind == kind]))
        for number, name in enumerate(SLOTS[kind]):
            at_place = (place == number) if kind in UNIT_KINDS else Const(1, 1)
            does[name] = Pipeline(active & here & at_place, f"slot_{name}", registers)
    real = active & in_tile & exists
    slot = Slot(
        does=does,
        phase=Pipeline(phase, "slot_phase"),
        index=Pipeline(index, "slot_index"),
        local=Pipeline(local, "slot_local"),
        real=Pipeline(real, "slot_real", registers),
        toggle=Pipeline(tile_toggle, "slot_toggle"),
        emit=Pipeline(emit, "slot_emit"),
    )
    return slot, active & ~fed_back


def _first_unit(layout: Layout, tile: WireVector, next_phase: WireVector, load: WireVector) -> WireVector:
    """Number of the drained tile's first unit within its phase."""
    n_tiles = max(p.n_tiles for p in layout.phases)
    width = index_width(max(p.n_tiles * p.units_per_tile for p in layout.phases))
    if n_tiles == 1:
        return Const(0, width)
    tile = delay(tile, "upd_tile_in", DRAIN_LATENCY - 1)
    strides = sorted({p.units_per_tile for p in layout.phases})
    bases = [table(tile, [min(n * stride, (1 << width) - 1) for n in range(n_tiles)], width) for stride in strides]
    numbers = [strides.index(p.units_per_tile) for p in layout.phases]
    return hold(select_from(table(next_phase, numbers, index_width(len(strides))), bases), load, "upd_first")
