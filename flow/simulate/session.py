"""A session: one host program with its stimulus, and everything that golden says must come of it.

The same session runs on every simulator: reset, identification, weights through Wishbone with a sample read back,
the sequences, the counters and the final states.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flow.simulate.compare import Counts, MismatchError, build_expected, compare
from flow.simulate.difference import Difference, Expected
from flow.simulate.events import CYCLE, KIND, Event, EventLog
from flow.simulate.program import Op, Program
from flow.simulate.schedule import Schedule
from flow.simulate.stimulus import build_beats
from golden.cells import forward_int
from golden.quantized import QuantizedModel
from rtl import address_map
from rtl.config import DesignConfig
from rtl.cycles import step_cycles
from rtl.weight_image import format_crc32

N_READ_BACK = 16
MIN_POKED_STEP = 80  # cycles; the accesses of a poke take at most half of it
READ, READ_ERR, WRITE_ERR = 0, 1, 2
CTRL_ENABLE, CTRL_SOFT_RESET, CTRL_Y_EVERY_STEP, CTRL_IRQ_ENABLE = (
    1 << bit
    for bit in (
        address_map.CTRL_ENABLE,
        address_map.CTRL_SOFT_RESET,
        address_map.CTRL_Y_EVERY_STEP,
        address_map.CTRL_IRQ_ENABLE,
    )
)


def pieces(value: int, word_bits: int) -> list[int]:
    """The 32-bit pieces of a bank word, low piece first."""
    return [value >> low & 0xFFFFFFFF for low in range(0, word_bits, 32)]


def _h_address(stream: int, unit: int) -> int:
    return address_map.state_address(address_map.H_BASE, stream, unit)


def _c_address(stream: int, unit: int) -> int:
    return address_map.state_address(address_map.C_BASE, stream, unit)


@dataclass(frozen=True)
class ExpectedAccess:
    """A read (or a refused write) of the program: what must come; value None where it is measured, not known."""

    address: int
    value: int | None
    outcome: int
    label: str


@dataclass(frozen=True)
class Run:
    """A part of a session: it begins with host access number `first_access`; expected is None for an aborted one."""

    first_access: int
    expected: Expected | None


@dataclass
class Session:
    """A host program under construction, with the results that it must have.

    image: the weight image (banks, n_words) that is loaded.
    """

    design: DesignConfig
    qmodel: QuantizedModel
    image: np.ndarray
    program: Program = field(default_factory=Program)
    accesses: list[ExpectedAccess] = field(default_factory=list)
    beats: list[np.ndarray] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    n_sequences: int | None = 0  # since reset; None where the moment of an abort decides
    n_steps: int | None = 0

    @property
    def window(self) -> address_map.BankWindow:
        return address_map.bank_window(self.design.datapath)

    @property
    def n_streams(self) -> int:
        return self.design.datapath.streams

    def all_beats(self) -> np.ndarray:
        """Beats of all runs, one after the other."""
        return np.concatenate(self.beats) if self.beats else np.zeros((0, 4), dtype=np.uint64)

    def read(self, address: int, value: int | None, label: str, outcome: int = READ) -> None:
        """Read a register, which must give `value` (None: it is measured)."""
        self.program.read(address)
        self.accesses.append(ExpectedAccess(address, value, outcome, label))

    def refused_write(self, address: int, label: str) -> None:
        """Write where the design must answer with err."""
        self.program.write(address, 0xDEADBEEF)
        self.accesses.append(ExpectedAccess(address, 0, WRITE_ERR, label))

    def begin(self, reset_cycles: int = 4) -> None:
        """Reset the design, read what identifies it, load the weights and read a sample back."""
        design, datapath, model = self.design, self.design.datapath, self.design.model
        self.program.reset(reset_cycles)
        self.n_sequences = self.n_steps = 0
        lanes_per_bank = datapath.word_bits // 8
        shape = datapath.streams | datapath.banks << 8 | lanes_per_bank << 16 | len(model.cells) << 24
        sizes = model.input_size | (0 if model.output is None else model.output.size) << 16
        self.read(address_map.ID, address_map.ID_VALUE, "ID")
        self.read(address_map.LAYOUT, format_crc32(design, self.qmodel), "LAYOUT")
        self.read(address_map.SHAPE, shape, "SHAPE")
        self.read(address_map.SIZES, sizes, "SIZES")
        self.read(address_map.CTRL, 0, "CTRL after reset")
        self.load_weights()
        self.read_back()

    def load_weights(self) -> None:
        """Write every word of the weight image, bank after bank, as a host would."""
        for bank, words in enumerate(self.image):
            for word, value in enumerate(words):
                for piece, data in enumerate(pieces(int(value), self.design.datapath.word_bits)):
                    address = self.window.address(bank, word, piece)
                    if word == 0:
                        self._write_bytes(address, data)
                    else:
                        self.program.write(address, data)

    def _write_bytes(self, address: int, data: int) -> None:
        """Write a word byte by byte over garbage, with garbage in the bytes that are not selected."""
        self.program.write(address, ~data)
        for byte in range(4):
            mask = 0xFF << (8 * byte)
            self.program.write(address, (data & mask) | (~data & ~mask), 1 << byte)
        self.program.write(address, ~data, 0)

    def read_back(self, seed: int = 0) -> None:
        """Read a sample of the weight image through Wishbone."""
        n_banks, n_words = self.image.shape
        rng = np.random.default_rng(seed)
        chosen = {(bank, word) for bank in range(n_banks) for word in (0, n_words - 1)}
        chosen |= {(int(rng.integers(n_banks)), int(rng.integers(n_words))) for _ in range(N_READ_BACK)}
        for bank, word in sorted(chosen):
            for piece, value in enumerate(pieces(int(self.image[bank, word]), self.design.datapath.word_bits)):
                self.read(self.window.address(bank, word, piece), value, f"weight word {word} of bank {bank}")

    def write_states(self, h: np.ndarray, c: np.ndarray | None) -> None:
        """Write initial states (S, U) of all units, as a host does while the block is not busy."""
        for stream in range(self.n_streams):
            for unit in range(h.shape[1]):
                self.program.write(_h_address(stream, unit), int(h[stream, unit]))
                if c is not None:
                    self.program.write(_c_address(stream, unit), int(c[stream, unit]))

    def stream(
        self,
        x_int: np.ndarray,
        schedule: Schedule,
        *,
        y_every_step: bool = False,
        initial=None,
        pokes: int = 0,
        seed: int = 0,
        control: int | None = None,
    ) -> None:
        """Run sequences x_int (T, B, X) as scheduled, then read counters and final states.

        initial: states (per cell (B, H)) that the host wrote for a schedule that continues. pokes: how often, in
        the middle, the host tries what a busy block must refuse (not for designs so small that a step is over
        before the host is through with it). control: CTRL, if not the usual.
        """
        trace = forward_int(self.qmodel, x_int, schedule.lengths, initial)
        expected = build_expected(self.design.name, self.qmodel, schedule, trace, y_every_step)
        self._begin_run(expected)
        if control is None:
            control = CTRL_ENABLE | CTRL_IRQ_ENABLE | (CTRL_Y_EVERY_STEP if y_every_step else 0)
        self.program.write(address_map.CTRL, control)
        self.program.write(address_map.STATUS, 1 << address_map.STATUS_ENDED)
        self.program.write(address_map.CYCLES["mac"], 0)
        self.program.add(Op.IRQ, 0)
        beats = build_beats(x_int, schedule, seed)
        n_beats = len(beats)
        input_size = x_int.shape[2]
        rng = np.random.default_rng(seed)
        for _ in range(pokes if step_cycles(self.design) >= MIN_POKED_STEP else 0):
            n_steps = int(rng.integers(1, max(2, n_beats // input_size // (pokes + 1))))
            if n_steps * input_size >= n_beats:
                break
            self._poke(n_steps * input_size)
            n_beats -= n_steps * input_size
        n_y_beats = int(expected.y_mask.any(axis=1).sum()) * expected.y.shape[2]
        self.program.add(Op.STREAM, n_beats, n_y_beats)
        self.program.add(Op.IDLE)
        self.program.add(Op.IRQ, 1 if control & CTRL_IRQ_ENABLE else 0)
        self.beats.append(beats)
        if self.n_steps is not None:
            self.n_steps += schedule.n_steps
            self.n_sequences += schedule.n_sequences
        self._read_results(expected)

    def abort(self, x_int: np.ndarray, schedule: Schedule, n_beats: int, cycles: int, soft: bool) -> None:
        """Let some beats of a run in, then reset in the middle of it: with CTRL (soft) or with rst.

        cycles: from the last beat taken to the reset. Memories keep their contents.
        """
        self._begin_run(None)
        self.program.write(address_map.CTRL, CTRL_ENABLE | CTRL_Y_EVERY_STEP)
        self.program.add(Op.BREAK, n_beats, cycles)
        self.beats.append(build_beats(x_int, schedule)[:n_beats])
        if soft:
            self.program.write(address_map.CTRL, CTRL_ENABLE | CTRL_Y_EVERY_STEP | CTRL_SOFT_RESET)
            self.n_sequences = self.n_steps = None
            self.program.add(Op.IDLE)
            self.read(address_map.CTRL, CTRL_ENABLE | CTRL_Y_EVERY_STEP, "CTRL after a soft reset")
        else:
            self.program.reset(1)
            self.n_sequences = self.n_steps = 0
            self.read(address_map.CTRL, 0, "CTRL after a reset")
        self.read_back()

    def _begin_run(self, expected: Expected | None) -> None:
        """Mark the boundary between runs with an access of its own."""
        self.runs.append(Run(len(self.accesses), expected))
        self.read(address_map.ID, address_map.ID_VALUE, "ID")

    def _poke(self, n_beats: int) -> None:
        """Let some steps in, then try what must be refused while the block is busy."""
        self.program.add(Op.BREAK, n_beats, 5)
        self.read(self.window.address(0, 0), None, "weight word while busy", READ_ERR)
        self.refused_write(self.window.address(0, 1), "weight word written while busy")
        self.read(_h_address(0, 0), None, "h while busy", READ_ERR)
        self.refused_write(_h_address(0, 0), "h written while busy")
        self.read(address_map.ID, address_map.ID_VALUE, "ID while busy")
        self.read(0x7FF00, None, "an unmapped address", READ_ERR)

    def _read_results(self, expected: Expected) -> None:
        """Counters since the counters' reset, and the states after every stream's last sequence."""
        schedule = expected.schedule
        for name, address in address_map.CYCLES.items():
            self.read(address, None, f"cycles {name}")
        self.read(address_map.N_SEQUENCES, self.n_sequences, "N_SEQUENCES")
        self.read(address_map.N_STEPS, self.n_steps, "N_STEPS")
        for stream in range(schedule.n_streams):
            taking_part = np.flatnonzero(schedule.keep[:, stream])
            if not len(taking_part):
                continue
            step = taking_part[-1]
            for unit in range(expected.h.shape[2]):
                layer, index = expected.locate(unit)
                where = f"final state of stream {stream}, {layer}, unit {index}"
                value = int(expected.h[step, stream, unit]) & 0xFFFFFFFF
                self.read(_h_address(stream, unit), value, f"{where}: h")
                if expected.has_c[unit]:
                    value = int(expected.c[step, stream, unit]) & 0xFFFFFFFF
                    self.read(_c_address(stream, unit), value, f"{where}: c")

    def check(self, log: EventLog) -> Outcome:
        """Compare a run with golden; MismatchError at the first difference, SimulationError for a broken rule."""
        log.check()
        parts = zip(split_runs(log, self.runs), self.runs, strict=True)
        complete = [(part, run.expected) for part, run in parts if run.expected]
        wrong_access = self._first_wrong_access(log)
        try:
            counts = [compare(part, expected) for part, expected in complete]
        except MismatchError as error:
            # What the host saw before is nearer to the cause.
            if wrong_access and wrong_access.cycle < error.difference.cycle:
                raise MismatchError(wrong_access) from None
            raise
        if wrong_access:
            raise MismatchError(wrong_access)
        answers = zip(self.accesses, log.accesses, strict=True)
        values = {access.label: data for access, (_, data, _) in answers if access.value is None}
        total = Counts(*(sum(getattr(c, name) for c in counts) for name in Counts.__dataclass_fields__))
        return Outcome(total, values, log, tuple(expected.schedule for _, expected in complete))

    def _first_wrong_access(self, log: EventLog) -> Difference | None:
        """The first host access with another answer than it must have."""
        cycles = log.of(Event.ACCESS)[:, CYCLE].tolist()
        for wanted, (address, data, outcome), cycle in zip(self.accesses, log.accesses, cycles, strict=False):
            if (address, outcome) == (wanted.address, wanted.outcome) and wanted.value in (None, data):
                continue
            reads = f"reads 0x{data:08x}"
            kinds = {READ: reads, READ_ERR: "read refused with err", WRITE_ERR: "write refused with err"}
            must = {READ: f"0x{wanted.value or 0:08x}", READ_ERR: "a refused read", WRITE_ERR: "a refused write"}
            return Difference(cycle, (
                f"{self.design.name} under {log.source}: host access at cycle {cycle}, address 0x{address:05x} "
                f"({wanted.label} at 0x{wanted.address:05x}): {kinds[outcome]}, must be {must[wanted.outcome]}"
            ))
        if len(cycles) != len(self.accesses):
            return Difference(log.n_cycles, (
                f"{self.design.name} under {log.source}: {len(cycles)} host accesses were answered, "
                f"must be {len(self.accesses)}"
            ))
        return None


@dataclass(frozen=True)
class Outcome:
    """A session that came out as golden says.

    counts: values compared. registers: measured registers by label (the last reading of each). log: the events.
    schedules: of every run.
    """

    counts: Counts
    registers: dict[str, int]
    log: EventLog
    schedules: tuple[Schedule, ...]


def split_runs(log: EventLog, runs: list[Run]) -> list[EventLog]:
    """The events of every run: from the host access that begins it to the one that begins the next."""
    accesses = np.flatnonzero(log.rows[:, KIND] == Event.ACCESS)
    starts = [accesses[run.first_access] if run.first_access < len(accesses) else len(log.rows) for run in runs]
    ends = [*starts[1:], len(log.rows)]
    return [EventLog(log.rows[start:end], log.source) for start, end in zip(starts, ends, strict=True)]
