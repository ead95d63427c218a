"""The controller: walks the layout's phases, tiles, header words and columns, one bank word a cycle.

Its position is (phase, tile, part, k): part 0 are a tile's header words, parts 1 and 2 its segments. A word is
issued every cycle unless one of four waits holds; every wait ends by itself or by the host:

    x           at the start of a step: the step's x is not complete (or the block is not enabled)
    recurrence  at the start of a segment: the vector it reads is still being updated
    update      at the start of a tile: its accumulators would be ready before the update can take them
    y           at the start of the phase that makes y: the vector before it has not left yet

The bank address is a counter over the words of a step. Waits for results are down-counters loaded when the
producing tile's last column is issued, because from there on the datapath never stalls.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Const, Register, WireVector

from rtl.layout import Layout, Phase
from rtl.registers import ControlRegisters, index_width, select_from, table
from rtl.timing import drain_cycles, result_waits, update_interval


@dataclass(frozen=True)
class ControllerInputs:
    """What the controller waits for; one bit each.

    x_ready: the x of the next step is complete; may_start: the host allows a step to begin now;
    emit: the step under way, or about to begin, delivers y; y_busy: a y vector has not left yet.
    """

    x_ready: WireVector
    may_start: WireVector
    emit: WireVector
    y_busy: WireVector


@dataclass(frozen=True)
class Issue:
    """The controller's decision of one cycle.

    valid: the bank word at `address` is read. It is a header word (header; first, second, last of its tile; a single
    one is first and last) or a column: element k of the segment `part` (1 or 2) of tile `tile` of phase `phase`.
    tile_end: the last column of a tile; step_start, step_end: the first and the last word of a step.
    at_step_start: the position is that of a step's first word, issued or not; emit: the step delivers y.
    wait_*: why no word is read, at most one of them; draining: updates of issued tiles are still running.
    """

    valid: WireVector
    address: WireVector
    header: WireVector
    header_first: WireVector
    header_second: WireVector
    header_last: WireVector
    column: WireVector
    phase: WireVector
    tile: WireVector
    part: WireVector
    k: WireVector
    tile_end: WireVector
    step_start: WireVector
    step_end: WireVector
    emit: WireVector
    at_step_start: WireVector
    wait_recurrence: WireVector
    wait_update: WireVector
    wait_y: WireVector
    draining: WireVector


@dataclass(frozen=True)
class _Position:
    """Where the controller stands: the word that is issued next."""

    phase: Register
    tile: Register
    part: Register
    k: Register
    address: Register

    @classmethod
    def make(cls, layout: Layout, registers: ControlRegisters) -> "_Position":
        phases = layout.phases
        longest = max(max(p.header_words, *(s.length for s in p.segments)) for p in phases)
        return cls(
            phase=registers.make(index_width(len(phases)), "ctl_phase"),
            tile=registers.make(index_width(max(p.n_tiles for p in phases)), "ctl_tile"),
            part=registers.make(2, "ctl_part"),
            k=registers.make(index_width(longest), "ctl_k"),
            address=registers.make(index_width(layout.n_words), "ctl_address"),
        )


@dataclass(frozen=True)
class _Ends:
    """What the position is the last word of; one bit each."""

    part: WireVector
    tile: WireVector
    phase: WireVector
    step: WireVector
    final_phase: WireVector


def build_controller(layout: Layout, inputs: ControllerInputs, registers: ControlRegisters) -> Issue:
    """The controller of `layout`; all of its state returns to the first word of a step on reset."""
    phases = layout.phases
    at = _Position.make(layout, registers)
    at_part_start = at.k == 0
    at_tile_start = (at.part == 0) & at_part_start
    at_phase_start = at_tile_start & (at.tile == 0)
    at_step_start = at_phase_start & (at.phase == 0)
    ends = _ends(layout, at, inputs.emit)

    wait_x = at_step_start & ~(inputs.x_ready & inputs.may_start)
    wait_y = at_phase_start & (at.phase == layout.y_phase) & inputs.emit & inputs.y_busy & ~wait_x
    valid = WireVector(1, "ctl_valid")
    tile_end = valid & ends.tile
    wait_update = at_tile_start & ~wait_x & _update_wait(phases, at.phase, tile_end, registers)
    result_wait = _result_wait(layout, at.phase, at.part, valid & ends.phase, registers)
    wait_recurrence = (at.part != 0) & at_part_start & result_wait
    valid <<= ~(wait_x | wait_y | wait_update | wait_recurrence)
    _advance(at, ends, valid, registers)

    header = valid & (at.part == 0)
    return Issue(
        valid=valid,
        address=at.address,
        header=header,
        header_first=header & at_part_start,
        header_second=header & ~at_part_start & ~ends.part,
        header_last=header & ends.part,
        column=valid & (at.part != 0),
        phase=at.phase,
        tile=at.tile,
        part=at.part,
        k=at.k,
        tile_end=tile_end,
        step_start=valid & at_step_start,
        step_end=valid & ends.step,
        emit=inputs.emit,
        at_step_start=at_step_start,
        wait_recurrence=wait_recurrence,
        wait_update=wait_update & ~wait_y,
        wait_y=wait_y,
        draining=_draining(phases, at.phase, tile_end, registers),
    )


def _ends(layout: Layout, at: _Position, emit: WireVector) -> _Ends:
    phases = layout.phases
    part_end = at.k == _last_k(phases, at.phase, at.part, len(at.k))
    tile_end = part_end & (at.part == table(at.phase, [len(p.segments) for p in phases], 2))
    phase_end = tile_end & (at.tile == table(at.phase, [p.n_tiles - 1 for p in phases], len(at.tile)))
    final_phase = _final_phase(layout, at.phase, emit)
    return _Ends(part_end, tile_end, phase_end, phase_end & final_phase, final_phase)


def _advance(at: _Position, ends: _Ends, valid: WireVector, registers: ControlRegisters) -> None:
    """The next position, once the word here has been issued: each counter starts anew where the next one counts."""
    registers.count(at.k, valid, ends.part)
    registers.count(at.part, valid & ends.part, ends.tile)
    registers.count(at.tile, valid & ends.tile, ends.phase)
    registers.count(at.phase, valid & ends.phase, ends.final_phase)
    registers.count(at.address, valid, ends.step)


def _last_k(phases: tuple[Phase, ...], phase: WireVector, part: WireVector, width_bits: int) -> WireVector:
    """Number of the last word of the current part."""
    parts = [[p.header_words - 1 for p in phases]]
    for number in range(2):
        parts.append([p.segments[number].length - 1 if number < len(p.segments) else 0 for p in phases])
    return select_from(part, [table(phase, values, width_bits) for values in parts])


def _final_phase(layout: Layout, phase: WireVector, emit: WireVector) -> WireVector:
    """Whether the step ends with this phase: the output layer's is left out when no y is wanted."""
    is_last = phase == len(layout.phases) - 1
    if layout.model.output is None:
        return is_last
    return is_last | ((phase == len(layout.phases) - 2) & ~emit)


def _down_counter(name: str, load: WireVector, value: WireVector, registers: ControlRegisters) -> WireVector:
    """Takes `value` on `load`, else counts down to 0 and stays there."""
    counter = registers.make(len(value), name)
    counted = pyrtl.select(counter == 0, counter, (counter - 1)[: len(counter)])
    registers.set_next(counter, pyrtl.select(load, value, counted))
    return counter


def _update_wait(
    phases: tuple[Phase, ...], phase: WireVector, tile_end: WireVector, registers: ControlRegisters
) -> WireVector:
    """Whether a tile started now would end before the update has taken the tile before it."""
    intervals = [update_interval(p) for p in phases]
    if max(intervals) <= min(p.tile_words for p in phases):
        return Const(0, 1)
    width = max(max(intervals), max(p.tile_words for p in phases)).bit_length()
    left = _down_counter("ctl_update_left", tile_end, table(phase, [i - 1 for i in intervals], width), registers)
    return left >= table(phase, [p.tile_words for p in phases], width)


def _result_wait(
    layout: Layout, phase: WireVector, part: WireVector, phase_end: WireVector, registers: ControlRegisters
) -> WireVector:
    """Whether the vector that the segment (phase, part) reads is still being updated."""
    waits = Const(0, 1)
    for (vector, cell), (producer, distance) in result_waits(layout).items():
        if distance <= 1:
            continue
        load = phase_end & (phase == producer)
        value = Const(distance - 1, (distance - 1).bit_length())
        counter = _down_counter(f"ctl_{vector}{cell}_left", load, value, registers)
        for number, p in enumerate(layout.phases):
            for segment_number, segment in enumerate(p.segments):
                reads = segment.source[0] == vector[0] and segment.cell == cell
                if reads:
                    here = (phase == number) & (part == segment_number + 1)
                    waits = waits | (here & (counter != 0))
    return waits


def _draining(
    phases: tuple[Phase, ...], phase: WireVector, tile_end: WireVector, registers: ControlRegisters
) -> WireVector:
    """Whether results of tiles that were issued are still on their way."""
    cycles = [drain_cycles(p) for p in phases]
    width = max(cycles).bit_length()
    return _down_counter("ctl_drain_left", tile_end, table(phase, cycles, width), registers) != 0
