"""The valid/ready streams: x in, double-buffered, and y out.

x of the next step is taken in while this step computes; a step's buffer is free again when its last word has
been issued. y elements leave as soon as they are computed; the next vector waits until the last has left.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Const, WireVector

from rtl.config import DesignConfig
from rtl.controller import Issue
from rtl.registers import ControlRegisters, RegisterFile, hold, index_width


@dataclass(frozen=True)
class XPorts:
    """Inputs of the x stream (docs/datapath.md)."""

    valid: WireVector
    data: WireVector
    first: WireVector
    last: WireVector
    keep: WireVector


@dataclass(frozen=True)
class XBuffer:
    """x of the step that runs or waits: ready says it is complete; toggle is the buffer it lies in.

    first, last, keep: one bit a stream, masked by keep.
    """

    stream_ready: WireVector
    ready: WireVector
    toggle: WireVector
    first: WireVector
    last: WireVector
    keep: WireVector
    words: list[list[RegisterFile]]

    def read(self, stream: int, buffer: WireVector, index: WireVector) -> WireVector:
        """Element `index` of a stream from one of the buffers, in the same cycle."""
        low, high = (self.words[stream][number].read(index) for number in range(2))
        return pyrtl.select(buffer, high, low)


@dataclass(frozen=True)
class YStream:
    """Outputs of the y stream; busy while a vector is being made or sent; ended: streams whose sequence ended."""

    valid: WireVector
    data: WireVector
    keep: WireVector
    last: WireVector
    busy: WireVector
    ended: WireVector


def build_x_stream(
    design: DesignConfig, ports: XPorts, step_end: WireVector, registers: ControlRegisters
) -> XBuffer:
    """Two buffers of input_size elements a stream; `step_end` frees the one that is read."""
    n, streams = design.model.input_size, design.datapath.streams
    write_buffer = registers.make(1, "x_write_buffer")
    read_buffer = registers.make(1, "x_read_buffer")
    count = registers.make(index_width(n), "x_count")
    full = [registers.make(1, f"x_full_{number}") for number in range(2)]

    stream_ready = ~pyrtl.select(write_buffer, full[1], full[0])
    beat = ports.valid & stream_ready
    complete = beat & (count == n - 1)
    registers.count(count, beat, complete)
    registers.set_next(write_buffer, write_buffer ^ complete)
    registers.set_next(read_buffer, read_buffer ^ step_end)

    words = [[RegisterFile(n, 8, f"x{number}_s{s}") for number in range(2)] for s in range(streams)]
    flags = []
    for number in range(2):
        fills = complete & (write_buffer == number)
        empties = step_end & (read_buffer == number)
        registers.set_next(full[number], (full[number] & ~empties) | fills)
        masked = {"first": ports.first & ports.keep, "last": ports.last & ports.keep, "keep": ports.keep}
        flags.append({name: hold(bits, fills, f"x_{name}_{number}") for name, bits in masked.items()})
        for s in range(streams):
            words[s][number].write(beat & (write_buffer == number), count, ports.data[8 * s : 8 * s + 8])
    current = {name: pyrtl.select(read_buffer, flags[1][name], flags[0][name]) for name in masked}
    ready = pyrtl.select(read_buffer, full[1], full[0])
    return XBuffer(stream_ready, ready, read_buffer, **current, words=words)


def build_y_stream(
    design: DesignConfig, values: list[WireVector], write: WireVector, index: WireVector, begin: WireVector,
    keep: WireVector, ending: WireVector, ready: WireVector, registers: ControlRegisters,
) -> YStream:
    """Collect a y vector in element order and send it.

    values, write, index  one element a stream (s16), as the update makes them.
    begin                 the phase that makes a vector starts: keep and ending (bits a stream) are its streams.
    """
    n, streams = design.model.output_size, design.datapath.streams
    width = 16 if design.model.output is not None else 8
    made = registers.make(index_width(n + 1), "y_made")
    sent = registers.make(index_width(n + 1), "y_sent")
    busy = registers.make(1, "y_busy")
    kept, ends = hold(keep, begin, "y_keep_held"), hold(ending, begin, "y_ending")

    data = []
    for s in range(streams):
        words = RegisterFile(n, width, f"y_s{s}")
        words.write(write, index, values[s][:width])
        data.append(words.read(sent).sign_extended(16))
    valid = made != sent
    last = sent == n - 1
    done = valid & ready & last
    zero = Const(0, len(made))
    registers.set_next(made, pyrtl.select(done, zero, (made + write)[: len(made)]))
    registers.set_next(sent, pyrtl.select(done, zero, (sent + (valid & ready))[: len(sent)]))
    registers.set_next(busy, begin | (busy & ~done))
    every_done = pyrtl.concat_list([done] * streams)
    return YStream(valid, pyrtl.concat_list(data), kept, last, busy, every_done & ends)


def wants_y(issue_keep: WireVector, last: WireVector, every_step: WireVector) -> WireVector:
    """Streams for which a step delivers y: those whose sequence ends, or all that take part."""
    all_bits = pyrtl.concat_list([every_step] * len(last))
    return last | (issue_keep & all_bits)


def y_phase_begins(design: DesignConfig, issue: Issue) -> WireVector:
    """First word of the phase that makes y, in a step that delivers it."""
    first_word = issue.header_first & (issue.tile == 0)
    return first_word & (issue.phase == design.layout.y_phase) & issue.emit
