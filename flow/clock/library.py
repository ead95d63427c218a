"""Cells as the clock sees them: pin capacitances, clock pins, and the delay tables of what it passes through.

Units are Liberty's in this project: ns, pF; a library in others is refused.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flow.characterise.liberty_read import Group, parse_liberty
from golden.spec import SpecError

RISE, FALL = 0, 1
EDGES = (RISE, FALL)
EDGE_NAMES = ("rise", "fall")
CELL = re.compile(r'\bcell\s*\(\s*"?([^")\s]+)"?\s*\)')
CAPACITANCES = ("capacitance", "rise_capacitance", "fall_capacitance")
PASSING = ("combinational", "")
LAUNCHING = {"rising_edge": RISE, "falling_edge": FALL, "setup_rising": RISE, "setup_falling": FALL,
             "hold_rising": RISE, "hold_falling": FALL}


@dataclass(frozen=True)
class Table:
    """A function of input slew (ns) and load (pF), linear between its points and beyond them."""

    slews: tuple[float, ...]
    loads: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, slew: float, load: float) -> float:
        """
        >>> Table((0.0, 1.0), (0.0, 2.0), ((1.0, 3.0), (2.0, 4.0))).at(0.5, 3.0)
        4.5
        """
        return self.value(self.place(slew, load))

    def place(self, slew: float, load: float) -> tuple[int, int, float, float]:
        """Where between its points: the same for all tables with the same axes."""
        slews, loads = self.slews, self.loads
        i = bisect_right(slews, slew, 1, len(slews) - 1) - 1
        j = bisect_right(loads, load, 1, len(loads) - 1) - 1
        return i, j, (slew - slews[i]) / (slews[i + 1] - slews[i]), (load - loads[j]) / (loads[j + 1] - loads[j])

    def value(self, place: tuple[int, int, float, float]) -> float:
        """At a place of `place`."""
        i, j, u, v = place
        low, high = self.values[i], self.values[i + 1]
        return (1 - u) * ((1 - v) * low[j] + v * low[j + 1]) + u * ((1 - v) * high[j] + v * high[j + 1])


@dataclass(frozen=True)
class Arc:
    """How an edge passes from an input to an output; tables by the edge of the output."""

    inverts: bool
    delay: tuple[Table, Table]
    slew: tuple[Table, Table]

    @cached_property
    def same_axes(self) -> bool:
        """Whether the tables of an edge have the same axes."""
        return all((delay.slews, delay.loads) == (slew.slews, slew.loads)
                   for delay, slew in zip(self.delay, self.slew, strict=True))

    def input_edge(self, output_edge: int) -> int:
        return output_edge ^ self.inverts


@dataclass(frozen=True)
class ClockCell:
    """A cell of one corner.

    capacitance: of inputs, pF (the larger of both edges). clock_pins: input -> the edge that acts (RISE or FALL).
    arcs:        (input, output) -> how the clock passes; unclear: such pairs where it is neither copied nor inverted.
    max_load:    of outputs, pF. max_slew: of inputs, ns. is_buffer: one input, one output, which is the same.
    """

    name: str
    footprint: str
    capacitance: Mapping[str, float]
    clock_pins: Mapping[str, int]
    arcs: Mapping[tuple[str, str], Arc]
    unclear: frozenset[tuple[str, str]]
    max_load: Mapping[str, float]
    max_slew: Mapping[str, float]
    is_buffer: bool

    @property
    def through(self) -> tuple[str, str]:
        """Input and output of a cell that the clock passes in one way only."""
        (pair,) = self.arcs
        return pair


class ClockLibrary:
    """Cells of a corner's Liberty file and of macros' files, each looked into when it is asked for."""

    def __init__(self, path: Path, macros: Iterable[Path] = ()):
        self.paths = (path, *macros)
        self.cells: dict[str, ClockCell] = {}

    @cached_property
    def texts(self) -> dict[str, str]:
        """Cell -> the text of its group, of all files."""
        found: dict[str, str] = {}
        for path in self.paths:
            text = path.read_text(encoding="utf-8")
            starts = [(match.start(), match[1]) for match in CELL.finditer(text)]
            ends = [start for start, _ in starts[1:]] + [text.rindex("}")]
            _check_units(parse_liberty(text[:starts[0][0]] + "}", str(path)), path)
            found.update((name, text[start:end]) for (start, name), end in zip(starts, ends, strict=True))
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.texts

    def __getitem__(self, name: str) -> ClockCell:
        """SpecError for a cell that no file has."""
        if name not in self.cells:
            if name not in self:
                raise SpecError(f"cells that the clock reaches must be in a library, and {name} is in none of "
                                f"{', '.join(str(path) for path in self.paths)}")
            self.cells[name] = _cell(parse_liberty(self.texts[name], name))
        return self.cells[name]


def _check_units(library: Group, path: Path) -> None:
    time, load = library.attributes.get("time_unit", "1ns"), library.attributes.get("capacitive_load_unit", ["1", "pf"])
    if time != "1ns" or float(load[0]) != 1 or load[1].lower() != "pf":
        raise SpecError(f"a library must be in 1ns and 1 pf, not {time} and {' '.join(load)} ({path})")


def _cell(group: Group) -> ClockCell:
    pins = {pin.arguments[0]: pin for holder in (group, *group.all("bus"), *group.all("bundle"))
            for pin in holder.all("pin")}
    inputs = {name: pin for name, pin in pins.items() if pin.attributes.get("direction") == "input"}
    outputs = {name: pin for name, pin in pins.items() if pin.attributes.get("direction") == "output"}
    arcs: dict[tuple[str, str], Arc] = {}
    unclear = set()
    for out, pin in outputs.items():
        for timing in pin.all("timing"):
            if timing.attributes.get("timing_type", "") not in PASSING or "related_pin" not in timing.attributes:
                continue
            for related in timing.attributes["related_pin"].split():
                arc = _arc(timing)
                if arc is None or ((related, out) in arcs and arcs[related, out].inverts != arc.inverts):
                    unclear.add((related, out))
                else:
                    arcs.setdefault((related, out), arc)
    same = {out: pin.attributes.get("function", "").strip("() ") for out, pin in outputs.items()}
    return ClockCell(
        name=group.arguments[0], footprint=group.attributes.get("cell_footprint", ""),
        capacitance={name: max(float(pin.attributes.get(key, 0.0)) for key in CAPACITANCES)
                     for name, pin in inputs.items()},
        clock_pins={name: _active_edge(name, pins.values()) for name, pin in inputs.items()
                    if pin.attributes.get("clock") == "true"},
        arcs={pair: arc for pair, arc in arcs.items() if pair not in unclear}, unclear=frozenset(unclear),
        max_load={name: float(pin.attributes["max_capacitance"]) for name, pin in outputs.items()
                  if "max_capacitance" in pin.attributes},
        max_slew={name: float(pin.attributes["max_transition"]) for name, pin in inputs.items()
                  if "max_transition" in pin.attributes},
        is_buffer=len(inputs) == len(outputs) == 1 and list(same.values()) == list(inputs))


def _active_edge(clock: str, pins: Iterable[Group]) -> int:
    """The edge of a clock pin that launches or checks; the rising one where the library does not say."""
    for pin in pins:
        for timing in pin.all("timing"):
            kind = timing.attributes.get("timing_type", "")
            if timing.attributes.get("related_pin") == clock and kind in LAUNCHING:
                return LAUNCHING[kind]
    return RISE


def _arc(timing: Group) -> Arc | None:
    """None for what is neither positive nor negative unate, or has no tables."""
    sense = timing.attributes.get("timing_sense")
    tables = [timing.find(name) for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")]
    if sense not in ("positive_unate", "negative_unate") or None in tables:
        return None
    rise, fall, rise_slew, fall_slew = (_table(table) for table in tables)
    return Arc(sense == "negative_unate", (rise, fall), (rise_slew, fall_slew))


def _table(group: Group) -> Table:
    return Table(tuple(group.index("index_1").tolist()), tuple(group.index("index_2").tolist()),
                 tuple(tuple(row) for row in group.values().tolist()))
