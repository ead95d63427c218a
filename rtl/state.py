"""Network state in registers: h in two halves, c, and what GRU with reset before keeps within a step.

A step reads the old half of h and writes the new one; each stream has its own half pointer, so that a stream
which does not take part in a step keeps its state by not moving its pointer. The host reads and writes the
current half through the same ports while the datapath is not busy.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Const, WireVector

from rtl.cell_update import StepInfo, UpdateReads, UpdateWrites
from rtl.config import DesignConfig
from rtl.controller import Issue
from rtl.registers import ControlRegisters, RegisterFile, delay, hold, index_width, table
from rtl.sequencer import Slot
from rtl.streams import XBuffer
from rtl.timing import ACTIVATED, NARROWED


@dataclass(frozen=True)
class HostState:
    """The host's access to states; index counts the units of all cells, stream is a number.

    write_h, write_c: store value (16 bits) at the end of the cycle. c_read: c is read for the host; used while the
    datapath is not busy.
    """

    write_h: WireVector
    write_c: WireVector
    stream: WireVector
    index: WireVector
    value: WireVector
    c_read: WireVector


class State:
    """Register files of all streams and the wires that read and write them."""

    def __init__(self, design: DesignConfig):
        layout, streams = design.layout, range(design.datapath.streams)
        self.design = design
        self.index_bits = index_width(layout.n_states)
        self.h = [[RegisterFile(layout.n_states, 8, f"h{half}_s{s}") for half in range(2)] for s in streams]
        with_c = {
            layout.cell_offsets[n] + unit
            for n, cell in enumerate(design.model.cells) if cell.kind == "lstm"
            for unit in range(cell.hidden_size)
        }
        self.c = [RegisterFile(layout.n_states, 16, f"c_s{s}", with_c) for s in streams] if with_c else []
        before = [cell.hidden_size for cell in design.model.cells if cell.gates == ("r", "z", "n")]
        self.rh = [RegisterFile(max(before), 8, f"rh_s{s}") for s in streams] if before else []
        self.z = [RegisterFile(max(before), 16, f"z_s{s}") for s in streams] if before else []


def build_step_info(
    design: DesignConfig, issue: Issue, x: XBuffer, registers: ControlRegisters
) -> tuple[StepInfo, WireVector]:
    """(what the update must know of this step and the one before, current half pointer per stream)."""
    streams = design.datapath.streams
    half = registers.make(streams, "h_half")
    registers.set_next(half, pyrtl.select(issue.step_end, half ^ x.keep, half))

    def entries(value: WireVector, name: str) -> tuple[WireVector, WireVector]:
        return tuple(
            hold(value, issue.step_start & (x.toggle == number), f"{name}_{number}") for number in range(2)
        )

    info = StepInfo(entries(x.first, "step_fresh"), entries(x.keep, "step_keep"), entries(half, "step_half"))
    return info, half


def build_columns(
    design: DesignConfig, state: State, issue: Issue, x: XBuffer, half: WireVector, host: HostState
) -> list[WireVector]:
    """The element that the issued column multiplies, one s8.7 a stream, two cycles after `issue`.

    The state that the host asks for takes the same way whenever no column can be issued: in a step's first words and
    in all other header words, which need no element.
    """
    layout = design.layout
    phases, streams = layout.phases, design.datapath.streams
    is_second = issue.part[1]

    def by_segment(values: list[list[int]], width_bits: int) -> WireVector:
        first = table(issue.phase, [v[0] for v in values], width_bits)
        second = table(issue.phase, [v[-1] for v in values], width_bits)
        return pyrtl.select(is_second, second, first)

    def is_source(*names: str) -> WireVector:
        return by_segment([[int(s.source in names) for s in p.segments] for p in phases], 1)

    offsets = [[layout.cell_offsets[s.cell] if s.source[0] == "h" else 0 for s in p.segments] for p in phases]
    width = index_width(max([layout.n_states, design.model.input_size, *design.model.hidden_sizes]))
    index = (issue.k + by_segment(offsets, width))[:width]
    for_host = issue.part == 0
    host_index = host.index.zero_extended(max(width, len(host.index)))[:width]
    index = delay(pyrtl.select(for_host, host_index, index), "col_index")
    from_x = delay(is_source("x") & ~for_host, "col_from_x")
    from_rh = delay(is_source("rh") & ~for_host, "col_from_rh") if state.rh else None
    old = is_source("h_old") | for_host
    every = lambda bit: pyrtl.concat_list([bit] * streams)  # noqa: E731 - one bit for each stream
    use_half = delay(half ^ every(~old), "col_half")
    zero = delay(x.first & every(is_source("h_old") & ~for_host), "col_zero")
    x_buffer = delay(x.toggle, "col_x_buffer")

    elements = []
    for s in range(streams):
        h = pyrtl.select(use_half[s], state.h[s][1].read(index), state.h[s][0].read(index))
        value = pyrtl.select(zero[s], Const(0, 8), h)
        if state.rh:
            value = pyrtl.select(from_rh, state.rh[s].read(index), value)
        value = pyrtl.select(from_x, x.read(s, x_buffer, index), value)
        elements.append(delay(value, f"col_element_s{s}"))
    return elements


def build_update_reads(
    design: DesignConfig, state: State, info: StepInfo, slot: Slot, host: HostState
) -> tuple[UpdateReads, list[WireVector]]:
    """State that the update reads when a slot's activated value is there; and c as the host sees it."""
    index, toggle = slot.index.at(ACTIVATED), slot.toggle.at(ACTIVATED)
    half = pyrtl.select(toggle, info.buffer[1], info.buffer[0])
    fresh = pyrtl.select(toggle, info.fresh[1], info.fresh[0])
    reads = UpdateReads([], [], [])
    host_c = []
    needs_h = any(cell.kind == "gru" for cell in design.model.cells)
    c_index = pyrtl.select(host.c_read, _fit(host.index, len(index)), index)
    for s in range(design.datapath.streams):
        if needs_h:
            h = pyrtl.select(half[s], state.h[s][1].read(index), state.h[s][0].read(index))
            reads.h_old.append(pyrtl.select(fresh[s], Const(0, 8), h))
        if state.c:
            c = state.c[s].read(c_index)
            host_c.append(c)
            reads.c_old.append(pyrtl.select(fresh[s], Const(0, 16), c))
        if state.z:
            reads.z.append(state.z[s].read(slot.local.at(ACTIVATED)))
    return reads, host_c


def build_writes(
    state: State, writes: UpdateWrites, info: StepInfo, half: WireVector, host: HostState, slot: Slot
) -> tuple[WireVector, WireVector]:
    """Store the update's results and the host's; returns the (h, c) write enables per stream of the update."""
    done_index, done_toggle = slot.index.at(NARROWED), slot.toggle.at(NARROWED)
    keep = pyrtl.select(done_toggle, info.keep[1], info.keep[0])
    old_half = pyrtl.select(done_toggle, info.buffer[1], info.buffer[0])
    h_enables, c_enables = [], []
    for s in range(len(state.h)):
        mine = host.stream == s
        h_we, c_we = writes.h_we & keep[s], writes.c_we & keep[s]
        h_enables.append(h_we)
        c_enables.append(c_we)
        host_h, host_c = host.write_h & mine, host.write_c & mine
        for number in range(2):
            current = half[s] == number
            enable = (h_we & (old_half[s] != number)) | (host_h & current)
            value = pyrtl.select(host_h, host.value[:8], writes.h[s])
            state.h[s][number].write(enable, _host_or(host_h, host.index, done_index), value)
        if state.c:
            value = pyrtl.select(host_c, host.value, writes.c[s])
            state.c[s].write(c_we | host_c, _host_or(host_c, host.index, done_index), value)
        if state.rh:
            state.rh[s].write(writes.rh_we, slot.local.at(NARROWED), writes.rh[s])
            state.z[s].write(writes.z_we, slot.local.at(ACTIVATED), writes.z[s])
    return _concat(h_enables), _concat(c_enables)


def _host_or(is_host: WireVector, host_index: WireVector, index: WireVector) -> WireVector:
    width = max(len(host_index), len(index))
    return pyrtl.select(is_host, host_index.zero_extended(width), index.zero_extended(width))


def _fit(wire: WireVector, width_bits: int) -> WireVector:
    return wire.zero_extended(max(width_bits, len(wire)))[:width_bits]


def _concat(bits: list[WireVector]) -> WireVector:
    """Bit s of the result is bits[s]."""
    return pyrtl.concat_list(bits)
