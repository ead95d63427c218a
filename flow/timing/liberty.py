"""The timing of cells as arrays: pins, arcs with tables of delay and slew, constraints. From Liberty of one corner.

A cell of the kit has tables of 7 x 7 (input slew, load), constraints of 3 x 3 (clock slew, data slew); a macro's are
smaller. Units as in the libraries of this project: ns, pF; anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from flow.characterise.liberty_read import Group, load_liberty
from golden.spec import SpecError

RISE, FALL = 0, 1
EDGES = ("rise", "fall")
SENSES = {"positive_unate": ((RISE, RISE), (FALL, FALL)), "negative_unate": ((RISE, FALL), (FALL, RISE)),
          "non_unate": ((RISE, RISE), (RISE, FALL), (FALL, RISE), (FALL, FALL))}
"""Timing sense -> (edge of the input, edge of the output)."""
CLOCKED = {"rising_edge": RISE, "falling_edge": FALL}
COMBINATIONAL = ("combinational", "combinational_rise", "combinational_fall")
SETUP, HOLD = "setup_rising", "hold_rising"
UNITS = {"time_unit": "1ns", "capacitive_load_unit": ["1.0", "pf"]}


@dataclass(frozen=True)
class Table:
    """A table over one or two axes: (N1,), (N2,), (N1, N2)."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Arc:
    """Input pin and edge to output pin and edge: tables over input slew and load.

    is_launch: from the clock of a register or macro.
    """

    source: str
    source_edge: int
    target: str
    target_edge: int
    delay: Table
    slew: Table
    is_launch: bool = False


@dataclass(frozen=True)
class Check:
    """Setup or hold of a data pin's edge against the rising clock: a table over clock slew and data slew."""

    kind: str
    clock: str
    pin: str
    edge: int
    limit: Table


@dataclass(frozen=True)
class TimedPin:
    """Of an input: its capacitance (pF, worst edge); of an output: the most that it may drive; slew limit in ns."""

    name: str
    is_output: bool
    capacitance: float
    max_capacitance: float
    max_slew: float
    function: str
    is_clock: bool


@dataclass(frozen=True)
class TimedCell:
    """A cell's timing; `footprint` is shared by those that do the same."""

    name: str
    area: float
    footprint: str
    pins: dict[str, TimedPin]
    arcs: tuple[Arc, ...]
    checks: tuple[Check, ...]
    is_macro: bool
    is_sequential: bool = field(default=False)

    @cached_property
    def inputs(self) -> list[str]:
        return [name for name, pin in self.pins.items() if not pin.is_output]

    @cached_property
    def outputs(self) -> list[str]:
        return [name for name, pin in self.pins.items() if pin.is_output]

    @cached_property
    def checked_pins(self) -> set[str]:
        """Data pins whose arrival is checked against a clock."""
        return {check.pin for check in self.checks if check.kind == SETUP}

    @property
    def is_clock_gate(self) -> bool:
        """Whether a clock goes through it."""
        clocks = {name for name, pin in self.pins.items() if pin.is_clock}
        return any(arc.source in clocks and not arc.is_launch for arc in self.arcs)

    @property
    def is_buffer(self) -> bool:
        return (len(self.inputs), len(self.outputs)) == (1, 1) and not self.is_sequential and (
            self.pins[self.outputs[0]].function.strip("() ") == self.inputs[0])


Library = Mapping[str, TimedCell]


def load_timing(paths: Iterable[Path]) -> dict[str, TimedCell]:
    """The cells of several libraries of a corner; SpecError for other units, and for a cell that is there twice."""
    cells: dict[str, TimedCell] = {}
    for path in paths:
        stat = path.stat()
        for name, cell in _load(path, stat.st_mtime_ns, stat.st_size).items():
            if name in cells:
                raise SpecError(f"cell names must be unique, and {name} is in two libraries, the second is {path}")
            cells[name] = cell
    return cells


@lru_cache(maxsize=16)
def _load(path: Path, mtime_ns: int, size: int) -> dict[str, TimedCell]:
    return read_cells(load_liberty(path), str(path))


def read_cells(library: Group, where: str) -> dict[str, TimedCell]:
    """The cells of a parsed library."""
    for unit, wanted in UNITS.items():
        got = library.attributes.get(unit)
        same = got == wanted if isinstance(wanted, str) else (
            isinstance(got, list) and [float(got[0]), got[1]] == [float(wanted[0]), wanted[1]])
        if not same:
            raise SpecError(f"{unit} must be {wanted}, not {got} ({where})")
    limit = float(library.attributes.get("default_max_transition", np.inf))
    types = {group.arguments[0]: _bus_range(group) for group in library.all("type")}
    return {group.arguments[0]: _cell(group, limit, types, where) for group in library.all("cell")}


def _bus_range(group: Group) -> list[int]:
    high, low = int(group.attributes["bit_from"]), int(group.attributes["bit_to"])
    return list(range(min(high, low), max(high, low) + 1))


def _cell(group: Group, limit: float, types: Mapping[str, list[int]], where: str) -> TimedCell:
    name, pins, arcs, checks = group.arguments[0], {}, [], []
    for pin in [*group.all("pin"), *group.all("bus")]:
        bits = [f"{pin.arguments[0]}[{bit}]" for bit in types[pin.attributes["bus_type"]]] if pin.kind == "bus" else (
            pin.arguments)
        for bit in bits:
            pins[bit] = _pin(bit, pin, limit)
            for timing in pin.all("timing"):
                kind = timing.attributes.get("timing_type", "combinational")
                if kind in COMBINATIONAL or kind in CLOCKED:
                    arcs += _arcs(timing, kind, bit)
                elif kind in (SETUP, HOLD):
                    checks += [Check(kind, timing.attributes["related_pin"], bit, edge,
                                     _table(timing.find(f"{word}_constraint"), f"{name}/{bit}", where))
                               for edge, word in enumerate(EDGES)]
    attributes = group.attributes
    return TimedCell(name, float(attributes["area"]), str(attributes.get("cell_footprint", name)), pins, tuple(arcs),
                     tuple(checks), attributes.get("is_macro_cell") == "true",
                     bool(checks or group.all("ff") or group.all("latch") or group.all("statetable")))


def _pin(name: str, group: Group, limit: float) -> TimedPin:
    said = group.attributes
    rise, fall = (float(said.get(f"{edge}_capacitance", said.get("capacitance", 0.0))) for edge in EDGES)
    return TimedPin(name, said.get("direction") == "output", max(rise, fall),
                    float(said.get("max_capacitance", np.inf)), float(said.get("max_transition", limit)),
                    str(said.get("function", "")), said.get("clock") == "true")


def _arcs(timing: Group, kind: str, target: str) -> list[Arc]:
    source = timing.attributes["related_pin"]
    if kind in CLOCKED:
        pairs = [(CLOCKED[kind], edge) for edge in (RISE, FALL)]
    else:
        pairs = list(SENSES[timing.attributes["timing_sense"]])
    arcs = []
    for source_edge, edge in pairs:
        delay, slew = (timing.find(kind_) for kind_ in (f"cell_{EDGES[edge]}", f"{EDGES[edge]}_transition"))
        if delay is not None and slew is not None:
            arcs.append(Arc(source, source_edge, target, edge, _table(delay, target, ""), _table(slew, target, ""),
                            kind in CLOCKED))
    return arcs


def _table(group: Group | None, pin: str, where: str) -> Table:
    if group is None:
        raise SpecError(f"{pin} must have both edges of its constraint in the library ({where})")
    values = group.values()
    rows, columns = (group.index(name) for name in ("index_1", "index_2"))
    rows, columns = (axis if len(axis) else np.zeros(1) for axis in (rows, columns))
    return Table(rows, columns, values.reshape(len(rows), len(columns)))
