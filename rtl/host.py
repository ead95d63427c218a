"""The host side: a Wishbone B4 slave for registers, states and bank words, an interrupt, cycle counters.

A cycle is answered by ack or err: registers one cycle after the request, bank words and states after three when
read. Bank words and states are the datapath's own: they are granted only while it is not busy, and a grant keeps
a step from starting in the same cycle; a request while busy gets err.
"""

import functools
import operator
from dataclasses import dataclass

import pyrtl
from pyrtl import Const, Register, WireVector

from rtl import address_map as amap
from rtl.config import STATE_WINDOW, DesignConfig
from rtl.registers import ControlRegisters, delay, select_from

_INDEX_BITS = (STATE_WINDOW - 1).bit_length()
_HALF = 16
_READ_CYCLES = 2  # granted -> bank word or state at the multiplexer


@dataclass(frozen=True)
class WishbonePorts:
    """Inputs of the slave."""

    cyc: WireVector
    stb: WireVector
    we: WireVector
    sel: WireVector
    adr: WireVector
    dat: WireVector


@dataclass(frozen=True)
class DatapathStatus:
    """What the host sees and counts. Per-cycle causes are one bit each, at most one at a time."""

    busy: WireVector
    x_waiting: WireVector
    y_waiting: WireVector
    step_start: WireVector
    ended: WireVector
    causes: dict[str, WireVector]


@dataclass(frozen=True)
class Grant:
    """An access of the host to bank words or states, in the cycle in which it is granted.

    may_start: a step may begin: nothing above the registers is asked for, which is known long before the grant is.
    on_bus: the memories' address is the host's. bank bits: one bit a bank; address, data (one bank word), mask: the
    word. write_h and write_c are those of the cycle before; the bus still holds stream, index and value.
    """

    may_start: WireVector
    on_bus: WireVector
    bank: list[WireVector]
    address: WireVector
    data: WireVector
    mask: WireVector
    write_h: WireVector
    write_c: WireVector
    stream: WireVector
    index: WireVector
    value: WireVector


class Host:
    """Builds the slave in two halves, because the datapath stands between them."""

    def __init__(self, design: DesignConfig, layout_crc: int, ports: WishbonePorts, registers: ControlRegisters):
        self.design, self.layout_crc, self.ports, self.registers = design, layout_crc, ports, registers
        self._ctrl = registers.make(3, "host_ctrl")
        self.ctrl = pyrtl.concat(self._ctrl[1:], Const(0, 1), self._ctrl[0])    # soft reset reads 0
        self.soft_reset = registers.make(1, "host_soft_reset")
        self.ack = registers.make(1, "host_ack")
        self.err = registers.make(1, "host_err")
        self.reading = registers.make(_READ_CYCLES, "host_reading")
        idle = ~(self.ack | self.err | pyrtl.or_all_bits(self.reading))
        self.asking = ports.cyc & ports.stb
        self.request = self.asking & idle
        self._decode()

    @property
    def enabled(self) -> WireVector:
        return self.ctrl[amap.CTRL_ENABLE]

    @property
    def y_every_step(self) -> WireVector:
        return self.ctrl[amap.CTRL_Y_EVERY_STEP]

    def _decode(self) -> None:
        """Which window and which register the address names."""
        adr, datapath = self.ports.adr, self.design.datapath
        in_banks, low = adr[19], ~adr[19] & (adr[16:19] == 0)
        window = adr[14:16]
        self.is_register = low & (window == 0) & (adr[6:14] == 0) & (adr[2:6] < 14)
        state_index, self.stream = adr[2 : 2 + _INDEX_BITS], adr[12:14]
        self.index = state_index
        exists = (self.stream < datapath.streams) & (state_index < self.design.layout.n_states)
        has_c = any(cell.kind == "lstm" for cell in self.design.model.cells)
        self.is_h = low & (window == 1) & exists
        self.is_c = low & (window == 2) & exists if has_c else Const(0, 1)

        banks = amap.bank_window(datapath)
        self.word = adr[banks.word_shift : banks.bank_shift]
        bank_number = adr[banks.bank_shift : 19]
        fits = in_banks & (self.word < datapath.bank_words)
        self.is_bank = [fits & (bank_number == b) for b in range(datapath.banks)]
        self.piece = adr[2 : banks.word_shift] if banks.word_shift > 2 else None

    def grant(self, busy: WireVector) -> Grant:
        """Decide about a request for bank words or states in this cycle."""
        datapath, ports = self.design.datapath, self.ports
        any_bank = pyrtl.or_all_bits(pyrtl.concat_list(self.is_bank))
        memory = any_bank | self.is_h | self.is_c
        self.granted = self.request & memory & ~busy
        self.refused = self.request & ~self.is_register & ~self.granted
        write = self.granted & ports.we
        pieces = max(1, datapath.word_bits // 32)
        mask = [
            write & ports.sel[k % 4] & (self._is_piece(k // 4) if pieces > 1 else Const(1, 1))
            for k in range(datapath.lanes_per_bank)
        ]
        data = pyrtl.concat_list([ports.dat[: min(32, datapath.word_bits)]] * pieces)
        above_registers = self.request & (ports.adr[14:] != 0)
        registers = self.registers
        return Grant(
            may_start=self.enabled & ~above_registers,
            on_bus=above_registers & ~busy,
            # A write without any byte enabled must not look like a read.
            bank=[self.granted & bank & (~ports.we | pyrtl.or_all_bits(ports.sel)) for bank in self.is_bank],
            address=self.word,
            data=data,
            mask=pyrtl.concat_list(mask),
            write_h=registers.delayed(write & self.is_h & ports.sel[0], "host_write_h") & self.asking,
            write_c=registers.delayed(write & self.is_c & ports.sel[0], "host_write_c") & self.asking,
            stream=self.stream,
            index=self.index,
            value=ports.dat[:16],
        )

    def _is_piece(self, number: int) -> WireVector:
        return self.piece == number

    def finish(
        self, status: DatapathStatus, bank_words: list[WireVector], h: list[WireVector], c: list[WireVector]
    ) -> tuple[WireVector, WireVector]:
        """Registers, read data and answers; returns (wb_dat_o, irq).

        bank_words, h, c: as read _READ_CYCLES cycles after the grant.
        """
        ports, registers = self.ports, self.registers
        write = self.request & self.is_register & ports.we
        number = ports.adr[2:6]

        def written(address: int) -> WireVector:
            return write & (number == address // 4) & ports.sel[0]

        ctrl_bits = pyrtl.concat(ports.dat[2:4], ports.dat[0])
        registers.set_next(self._ctrl, pyrtl.select(written(amap.CTRL), ctrl_bits, self._ctrl))
        registers.set_next(self.soft_reset, written(amap.CTRL) & ports.dat[amap.CTRL_SOFT_RESET])
        ended = registers.make(1, "host_ended")
        cleared = written(amap.STATUS) & ports.dat[amap.STATUS_ENDED]
        any_ended = pyrtl.or_all_bits(status.ended)
        registers.set_next(ended, any_ended | (ended & ~cleared))
        values = self._register_values(status, ended, written)

        memory_read = self.granted & ~ports.we
        # A master that gives up in the middle gets no answer, and its next access none of the old data.
        registers.set_next(self.reading, pyrtl.concat(self.reading[0] & self.asking, memory_read))
        arrives = self.reading[_READ_CYCLES - 1] & self.asking
        registers.set_next(self.ack, (self.request & self.is_register) | (self.granted & ports.we) | arrives)
        registers.set_next(self.err, self.refused)
        word = self._memory_word(bank_words, h, c)
        dat = delay(pyrtl.select(arrives, word, select_from(number, values)), "host_dat")
        return dat, ended & self.ctrl[amap.CTRL_IRQ_ENABLE]

    def _register_values(self, status: DatapathStatus, ended: WireVector, written) -> list[WireVector]:
        """The 32-bit values of the register window in address order."""
        registers, design = self.registers, self.design
        datapath, model = design.datapath, design.model
        shape = (datapath.streams | datapath.banks << 8 | datapath.lanes_per_bank << 16 | len(model.cells) << 24)
        sizes = model.input_size | (0 if model.output is None else model.output.size) << 16
        flags = {
            amap.STATUS_BUSY: status.busy,
            amap.STATUS_ENDED: ended,
            amap.STATUS_X_WAITING: status.x_waiting,
            amap.STATUS_Y_WAITING: status.y_waiting,
        }
        ended_now = registers.delayed(status.ended, "host_ended_now")
        n_sequences = self._count("host_n_sequences", sum((bit.zero_extended(3) for bit in ended_now), Const(0, 3)))
        n_steps = self._count("host_n_steps", registers.delayed(status.step_start, "host_step_start"))
        counters = self._cycle_counters(status.causes, written)
        fixed = [Const(v, 32) for v in (amap.ID_VALUE, self.layout_crc, shape, sizes)]
        state = [self.ctrl, pyrtl.concat_list([flags[bit] for bit in sorted(flags)])]
        return fixed + [value.zero_extended(32) for value in state] + [n_sequences, n_steps] + counters

    def _halves(self, name: str) -> tuple[Register, Register]:
        """A 32-bit counter in two halves, low first: no carry goes through more than one of them."""
        return self.registers.make(_HALF, f"{name}_low"), self.registers.make(_HALF, f"{name}_high")

    def _count(self, name: str, more: WireVector) -> WireVector:
        """A counter that grows by `more` every cycle."""
        low, high = self._halves(name)
        total = (low.zero_extended(_HALF + 1) + more)[: _HALF + 1]
        counts = pyrtl.or_all_bits(more)
        self.registers.set_next(low, pyrtl.select(counts, total[:_HALF], low))
        self.registers.set_next(high, pyrtl.select(counts & total[_HALF], (high + 1)[:_HALF], high))
        return pyrtl.concat(high, low)

    def _cycle_counters(self, causes: dict[str, WireVector], written) -> list[WireVector]:
        """Busy cycles by cause. At most one cause holds at a time, so that one incrementer serves all counters.

        It works one cycle after the cause, as clearing does, which keeps the controller out of its carries.
        """
        registers = self.registers
        any_written = pyrtl.or_all_bits(pyrtl.concat_list([written(address) for address in amap.CYCLES.values()]))
        clear = registers.delayed(any_written, "host_cycles_clear")
        counters = [self._halves(f"host_cycles_{name}") for name in amap.CYCLE_COUNTERS]
        now = [registers.delayed(causes[name], f"host_cause_{name}") for name in amap.CYCLE_COUNTERS]
        zero = Const(0, _HALF)

        def chosen(half: int) -> WireVector:
            words = [pyrtl.select(bit, halves[half], zero) for bit, halves in zip(now, counters, strict=True)]
            return functools.reduce(operator.or_, words)

        low, high = chosen(0), chosen(1)
        more_low, more_high, carry = (low + 1)[:_HALF], (high + 1)[:_HALF], pyrtl.and_all_bits(low)
        for bit, halves in zip(now, counters, strict=True):
            for half, more, counts in zip(halves, (more_low, more_high), (bit, bit & carry), strict=True):
                registers.set_next(half, pyrtl.select(clear, zero, pyrtl.select(counts, more, half)))
        return [pyrtl.concat(high, low) for low, high in counters]

    def _memory_word(self, bank_words: list[WireVector], h: list[WireVector], c: list[WireVector]) -> WireVector:
        """What the granted read asked for; the address is held by the bus until the answer."""
        pieces = []
        for bank, word in zip(self.is_bank, bank_words, strict=True):
            if len(word) < 32:
                word = word.zero_extended(32)
            if self.piece is not None:
                parts = [word[32 * n : 32 * n + 32] for n in range(len(word) // 32)]
                word = select_from(self.piece, parts)
            pieces.append(pyrtl.select(bank, word, Const(0, 32)))
        stream = self.stream[: max(1, (len(h) - 1).bit_length())]
        pieces.append(pyrtl.select(self.is_h, select_from(stream, h).sign_extended(32), Const(0, 32)))
        if c:
            pieces.append(pyrtl.select(self.is_c, select_from(stream, c).sign_extended(32), Const(0, 32)))
        total = pieces[0]
        for piece in pieces[1:]:
            total = total | piece
        return total

