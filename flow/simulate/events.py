"""What happened in a simulation: a list of events, the same from every simulator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from golden.spec import SpecError

N_FIELDS = 5
KIND, CYCLE, A, B, C = range(N_FIELDS)


class Event(IntEnum):
    """Kinds and their three values."""

    STEP = 0
    H = 1  # streams written, unit, values
    C = 2  # streams written, unit, values
    Y = 3  # data, keep, last
    ACCESS = 4  # address, data, outcome (0 read, 1 read with err, 2 write with err)
    ERROR = 5  # code, two details
    END = 6  # x beats taken


ERRORS = {
    1: "Wishbone: ack and err together at address 0x{0:05x} (write: {1})",
    2: "Wishbone: ack or err outside a bus cycle, last address 0x{0:05x} (write: {1})",
    3: "Wishbone: neither ack nor err within 1000 cycles at address 0x{0:05x} (write: {1})",
    4: "no progress: {0} x beats taken, {1} y beats of the current run seen; is a stream stuck?",
    5: "y changed while it waited for y_ready, at y beat {0} of the current run (y_valid: {1})",
    6: "irq is {0}, not {1}",
    7: "the stimulus has {0} beats, the program asks for {1}",
    8: "an unknown (X) on a control output after reset: ack, err, x_ready, y_valid, irq = {0:05b}; "
    "probe_step, probe_h_we, probe_c_we = {1:b}",
    9: "the host program is broken (operation {0}, {1})",
}


class SimulationError(SpecError):
    """A simulation ended in an error of the bench: a broken rule of the ports, a hang or a crash."""


@dataclass(frozen=True)
class EventLog:
    """The events of a run: rows (n, 5) uint64, in the order of time."""

    rows: np.ndarray
    source: str

    def of(self, kind: Event) -> np.ndarray:
        """The rows of one kind."""
        return self.rows[self.rows[:, KIND] == kind]

    @property
    def n_cycles(self) -> int:
        """Cycles from power-up to the end of the program."""
        return int(self.of(Event.END)[0, CYCLE])

    @cached_property
    def accesses(self) -> list[tuple[int, int, int]]:
        """(address, data, outcome) of every read, and of every write that ended in err, in order."""
        return [tuple(row) for row in self.of(Event.ACCESS)[:, A:].tolist()]

    def check(self) -> EventLog:
        """Raise SimulationError if the bench found a broken rule, or the run did not come to its end."""
        for _, cycle, code, a, b in self.of(Event.ERROR).tolist():
            raise SimulationError(f"{self.source}: cycle {cycle}: {ERRORS[code].format(a, b)}")
        if len(self.of(Event.END)) != 1:
            raise SimulationError(f"{self.source}: the event log has no end: the simulator was stopped or crashed")
        return self


def parse_events(text: str, source: str) -> EventLog:
    """Event log from the file that bench.sv writes: five hexadecimal numbers a line.

    Raises SimulationError where a value is unknown (x or z digits) or a line is cut.
    """
    tokens = text.split()
    try:
        values = np.fromiter((int(token, 16) for token in tokens), dtype=np.uint64, count=len(tokens))
    except ValueError:
        raise SimulationError(describe_unknown(text, source)) from None
    if len(values) % N_FIELDS:
        raise SimulationError(f"{source}: the event file is cut after {len(values) // N_FIELDS} events")
    return EventLog(values.reshape(-1, N_FIELDS), source)


def describe_unknown(text: str, source: str) -> str:
    """Names the first event with an unknown value."""
    n_steps = 0
    for line in text.splitlines():
        kind, cycle, *values = line.split()
        n_steps += kind == "0"
        if any(set(value.lower()) - set("0123456789abcdef") for value in values):
            name = Event(int(kind, 16)).name if kind.isdigit() else kind
            return (
                f"{source}: cycle {int(cycle, 16)}: unknown (X) value in {name} event {' '.join(values)}, "
                f"{n_steps} steps begun: something undefined (a memory word never written, data read after a write "
                "or an idle cycle, a register without reset) reached the datapath"
            )
    return f"{source}: the event file cannot be read"


def load_events(path: Path, source: str) -> EventLog:
    """Event log from a file of bench.sv."""
    return parse_events(path.read_text(), source)
