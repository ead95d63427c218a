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
from rtl.layout import UNIT_KINDS, Layout, Phase
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


@dataclass(frozen=True)
class _Tile:
    """The tile at the head of the shadow chain: its first unit, and what it carries from the controller."""

    start: WireVector
    phase: WireVector
    first: WireVector
    toggle: WireVector
    emit: WireVector


@dataclass(frozen=True)
class _Turn:
    """Whose turn it is: slot `place` of round `unit`; active while there is a tile."""

    active: WireVector
    unit: WireVector
    place: WireVector


def build_sequencer(
    design: DesignConfig, issue: Issue, toggle: WireVector, registers: ControlRegisters
) -> tuple[Slot, WireVector]:
    """Slots of the tile at the head of the shadow chain, and `advance`: the head lane has been taken."""
    phases = design.layout.phases
    tile = _build_tile(design.layout, issue, toggle, registers)
    turn = _build_turn(phases, tile, registers)
    is_unit_kind = table(tile.phase, [int(p.kind in UNIT_KINDS) for p in phases], 1)
    fed_back = is_unit_kind & (turn.place == UNIT_ROUND - 1)
    local, index, real = _build_unit(design.layout, tile, turn, fed_back)

    does = {}
    for kind in {p.kind: None for p in phases}:
        numbers = [number for number, p in enumerate(phases) if p.kind == kind]
        here = pyrtl.or_all_bits(pyrtl.concat_list([tile.phase == number for number in numbers]))
        for number, name in enumerate(SLOTS[kind]):
            at_place = (turn.place == number) if kind in UNIT_KINDS else Const(1, 1)
            does[name] = Pipeline(turn.active & here & at_place, f"slot_{name}", registers)
    slot = Slot(
        does=does,
        phase=Pipeline(tile.phase, "slot_phase"),
        index=Pipeline(index, "slot_index"),
        local=Pipeline(local, "slot_local"),
        real=Pipeline(real, "slot_real", registers),
        toggle=Pipeline(tile.toggle, "slot_toggle"),
        emit=Pipeline(tile.emit, "slot_emit"),
    )
    return slot, turn.active & ~fed_back


def _build_tile(layout: Layout, issue: Issue, toggle: WireVector, registers: ControlRegisters) -> _Tile:
    """What the controller knew when it issued the tile's last column, DRAIN_LATENCY cycles later."""
    on_the_way = DRAIN_LATENCY - 1
    load = registers.delayed(issue.tile_end, "upd_load", on_the_way)
    next_phase = delay(issue.phase, "upd_phase_in", on_the_way)
    return _Tile(
        start=registers.delayed(load, "upd_start"),
        phase=hold(next_phase, load, "upd_phase"),
        first=_first_unit(layout, issue.tile, next_phase, load),
        toggle=hold(delay(toggle, "upd_toggle_in", on_the_way), load, "upd_toggle"),
        emit=hold(delay(issue.emit, "upd_emit_in", on_the_way), load, "upd_emit"),
    )


def _build_turn(phases: tuple[Phase, ...], tile: _Tile, registers: ControlRegisters) -> _Turn:
    """Counts places within a round and rounds within a tile; a tile starts with the first slot at once."""
    rounds = [p.units_per_tile + (FEEDBACK_ROUNDS if p.kind in UNIT_KINDS else 0) for p in phases]
    running = registers.make(1, "upd_running")
    unit = registers.make(index_width(max(rounds)), "upd_unit")
    place = registers.make(index_width(UNIT_ROUND), "upd_place")
    active = tile.start | running
    last_place = table(tile.phase, [UNIT_ROUND - 1 if p.kind in UNIT_KINDS else 0 for p in phases], len(place))
    round_end = place == last_place
    tile_end = active & round_end & (unit == table(tile.phase, [n - 1 for n in rounds], len(unit)))
    registers.set_next(running, active & ~tile_end)
    registers.count(place, active, round_end)
    registers.count(unit, active & round_end, tile_end)
    return _Turn(active, unit, place)


def _build_unit(
    layout: Layout, tile: _Tile, turn: _Turn, fed_back: WireVector
) -> tuple[WireVector, WireVector, WireVector]:
    """(number within its phase, number over all cells, whether it exists) of the slot's unit.

    A fed-back slot belongs to the unit FEEDBACK_ROUNDS rounds ago; lanes past the last row belong to none.
    """
    phases = layout.phases
    width = len(turn.unit) + 1
    lag = pyrtl.select(fed_back, Const(FEEDBACK_ROUNDS, width), Const(0, width))
    unit = signed_difference(width, pyrtl.concat(Const(0, 1), turn.unit), lag)
    in_tile = ~unit[-1] & (unit[:-1] < table(tile.phase, [p.units_per_tile for p in phases], width))
    local = (tile.first + unit[:-1])[: len(tile.first) + 1]
    exists = local < table(tile.phase, [p.n_units for p in phases], len(local))
    offsets = [0 if p.cell is None else layout.cell_offsets[p.cell] for p in phases]
    index_bits = index_width(max(layout.n_states, phases[-1].n_units))
    index = (local + table(tile.phase, offsets, index_bits))[:index_bits]
    return local, index, turn.active & in_tile & exists


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
