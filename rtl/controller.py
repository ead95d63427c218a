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
from pyrtl import Const, WireVector

from rtl.layout import Layout, Phase
from rtl.registers import ControlRegisters, index_width, select_from, table
from rtl.timing import drain_cycles, result_waits, update_interval


@dataclass(frozen=True)
class ControllerInputs:
    """What the controller waits for; one bit each.

    x_ready: the x of the next step is complete; may_start: the host allows a step to begin now;
    emit_at_start: the step that begins now will deliver y; y_busy: a y vector has not left yet.
    """

    x_ready: WireVector
    may_start: WireVector
    emit_at_start: WireVector
    y_busy: WireVector


@dataclass(frozen=True)
class Issue:
    """The controller's decision of one cycle.

    valid: a bank word is read; address: its word address; header, header_index: it is a header word, which one
    from the end (0: the last, with the shift); source one-hot bits and k: the column's element;
    tile_end: last column of a tile, with phase and tile for the update; step_start, step_end: first and last
    word of a step; emit: the step delivers y; wait_*: why no word is read; idle: at a step's start.
    draining: updates of issued tiles are still running.
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


def build_controller(layout: Layout, inputs: ControllerInputs, registers: ControlRegisters) -> Issue:
    """The controller of `layout`; all of its state returns to the first word of a step on reset."""
    phases = layout.phases
    longest = max(max(p.header_words, *(s.length for s in p.segments)) for p in phases)
    phase = registers.make(index_width(len(phases)), "ctl_phase")
    tile = registers.make(index_width(max(p.n_tiles for p in phases)), "ctl_tile")
    part = registers.make(2, "ctl_part")
    k = registers.make(index_width(longest), "ctl_k")
    address = registers.make(index_width(layout.n_words), "ctl_address")
    emit_held = registers.make(1, "ctl_emit")

    at_part_start = k == 0
    at_tile_start = (part == 0) & at_part_start
    at_phase_start = at_tile_start & (tile == 0)
    at_step_start = at_phase_start & (phase == 0)
    emit = pyrtl.select(at_step_start, inputs.emit_at_start, emit_held)

    last_k = _last_k(phases, phase, part, len(k))
    at_part_end = k == last_k
    n_parts = table(phase, [len(p.segments) for p in phases], 2)
    at_tile_end = at_part_end & (part == n_parts)
    at_phase_end = at_tile_end & (tile == table(phase, [p.n_tiles - 1 for p in phases], len(tile)))
    final_phase = _final_phase(layout, phase, emit)
    at_step_end = at_phase_end & final_phase

    wait_x = at_step_start & ~(inputs.x_ready & inputs.may_start)
    wait_y = at_phase_start & (phase == layout.y_phase) & emit & inputs.y_busy & ~wait_x
    valid = WireVector(1, "ctl_valid")
    tile_end = valid & at_tile_end
    phase_end = valid & at_phase_end
    wait_update = at_tile_start & ~wait_x & _update_wait(phases, phase, tile_end, registers)
    wait_recurrence = (part != 0) & at_part_start & _result_wait(layout, phase, part, phase_end, registers)
    valid <<= ~(wait_x | wait_y | wait_update | wait_recurrence)

    zero = lambda register: Const(0, len(register))  # noqa: E731 - a width-matched zero
    step = lambda register, at_end: pyrtl.select(  # noqa: E731 - counts up, back to 0 at the end
        at_end, zero(register), (register + 1)[: len(register)]
    )
    registers.set_next(k, pyrtl.select(valid, step(k, at_part_end), k))
    registers.set_next(part, pyrtl.select(valid & at_part_end, step(part, at_tile_end), part))
    registers.set_next(tile, pyrtl.select(tile_end, step(tile, at_phase_end), tile))
    registers.set_next(phase, pyrtl.select(phase_end, step(phase, final_phase), phase))
    registers.set_next(address, pyrtl.select(valid, step(address, at_step_end), address))
    registers.set_next(emit_held, emit)

    header = valid & (part == 0)
    return Issue(
        valid=valid,
        address=address,
        header=header,
        header_first=header & at_part_start,
        header_second=header & ~at_part_start & ~at_part_end,
        header_last=header & at_part_end,
        column=valid & (part != 0),
        phase=phase,
        tile=tile,
        part=part,
        k=k,
        tile_end=tile_end,
        step_start=valid & at_step_start,
        step_end=valid & at_step_end,
        emit=emit,
        at_step_start=at_step_start,
        wait_recurrence=wait_recurrence,
        wait_update=wait_update & ~wait_y,
        wait_y=wait_y,
        draining=_draining(phases, phase, tile_end, registers),
    )


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
