"""What golden expects of a simulation, and a difference from it put into words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.simulate.events import CYCLE, KIND, Event, EventLog
from flow.simulate.schedule import Schedule


@dataclass(frozen=True)
class Expected:
    """What golden says, laid out as the hardware goes through it.

    Shapes: N steps of the hardware, S streams, U units of all cells, O elements of y.
    h: (N, S, U). c: (N, S, U), units without c are zero and not in `has_c` (U,). y: (N, S, O).
    y_mask: (N, S) bool, the streams that a y vector is for. frac_bits: "h" and "c" (U,), "y" (O,).
    """

    design: str
    schedule: Schedule
    h: np.ndarray
    c: np.ndarray
    has_c: np.ndarray
    y: np.ndarray
    y_mask: np.ndarray
    frac_bits: dict[str, np.ndarray]
    layers: tuple[tuple[str, int, int], ...]  # (name, first unit, units)

    def locate(self, unit: int) -> tuple[str, int]:
        """Layer name and the unit's index within it, of a unit over all cells."""
        for name, first, size in self.layers:
            if first <= unit < first + size:
                return name, unit - first
        return f"no layer ({sum(size for *_, size in self.layers)} units in all)", unit


@dataclass(frozen=True)
class Difference:
    """The first thing that is not as golden says; `message` names it in full, `cycle` is where to look."""

    cycle: int
    message: str


@dataclass(frozen=True)
class Teller:
    """Puts differences into words."""

    source: str
    expected: Expected
    end: int

    def _where(self, stream: int, step: int) -> str:
        schedule = self.expected.schedule
        if step >= schedule.n_steps:
            return f"after the last step (stream {stream})"
        sequence, time = schedule.sequence[step, stream], schedule.time[step, stream]
        return f"sequence {sequence}, step {time} (hardware step {step}, stream {stream})"

    def _difference(self, cycle: int, text: str) -> Difference:
        who = f"{self.expected.design} under {self.source}"
        return Difference(cycle, f"{who} differs from golden at cycle {cycle}: {text}")

    def _unit(self, name: str, unit: int) -> str:
        if name == "y":
            return f"output, element {unit}"
        layer, index = self.expected.locate(unit)
        return f"{layer}, unit {index}"

    def value(self, name: str, stream: int, step: int, unit: int, cycle: int, got: int, wanted: int) -> Difference:
        bits = int(self.expected.frac_bits[name][unit])
        real = [f"{number} ({number * 2.0**-bits:.6g})" for number in (got, wanted)]
        where = f"{self._where(stream, step)}, {self._unit(name, unit)}"
        return self._difference(cycle, f"{where}: {name} is {real[0]}, must be {real[1]}")

    def flag(self, name: str, step: int, element: int, cycle: int, got: int, wanted: int) -> Difference:
        where = f"hardware step {step}, output, element {element}"
        return self._difference(cycle, f"{where}: {name} is {int(got):b}, must be {int(wanted):b} (binary)")

    def stray(self, name: str, stream: int, unit: int, cycle: int) -> Difference:
        layer, index = self.expected.locate(unit)
        what = f"{name} of unit {index} of {layer} was written, which has none"
        return self._difference(cycle, f"stream {stream}: {what}")

    def double(self, name: str, stream: int, step: int, unit: int, cycle: int, begins: np.ndarray) -> Difference:
        happened = int(np.searchsorted(begins, cycle, side="right")) - 1
        what = f"{self._unit(name, unit)}: {name} was written once more than once a step"
        return self._difference(cycle, f"{self._where(stream, max(0, happened))}, {what}")

    def missing(self, name: str, stream: int, step: int, unit: int, cycle: int) -> Difference:
        where = f"{self._where(stream, step)}, {self._unit(name, unit)}"
        return self._difference(cycle, f"{where}: {name} was not written")

    def count(self, what: str, got: int, wanted: int) -> Difference:
        return self._difference(self.end, f"{what}: {got}, must be {wanted}")


def first_unequal(design: str, reference: EventLog, log: EventLog) -> Difference | None:
    """The first event in which two runs of one session differ, cycle numbers included; None where there is none."""
    n = min(len(reference.rows), len(log.rows))
    unequal = np.flatnonzero((reference.rows[:n] != log.rows[:n]).any(axis=1))
    if not len(unequal) and len(reference.rows) == len(log.rows):
        return None
    at = int(unequal[0]) if len(unequal) else n
    told = []
    for source in (reference, log):
        if at < len(source.rows):
            row = source.rows[at].tolist()
            event = f"{Event(row[KIND]).name} {' '.join(f'{value:x}' for value in row[2:])} in cycle {row[CYCLE]}"
        else:
            event = "nothing"
        told.append(f"{source.source}: {event}")
    longer = reference if at < len(reference.rows) else log
    text = f"{design}: {reference.source} and {log.source} differ at event {at}: {', '.join(told)} (hexadecimal values)"
    return Difference(int(longer.rows[at, CYCLE]), text)
