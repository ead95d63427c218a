"""What synthesis must know of a Liberty file: cells, areas, and which of them buffer, tie and store."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal

from golden.spec import SpecError

Kind = Literal["flop", "latch", "clock gate", "tie", "buffer", "inverter", "logic", "physical"]

CELL = re.compile(r'^\s*cell\s*\(\s*"?(\w+)"?\s*\)\s*\{', re.MULTILINE)
AREA = re.compile(r"\barea\s*:\s*([0-9.eE+-]+)")
PIN = re.compile(r'\bpin\s*\(\s*"?(\w+)"?\s*\)\s*\{')
FUNCTION = re.compile(r'\bfunction\s*:\s*"([^"]*)"')
GATING = re.compile(r'\bclock_gating_integrated_cell\s*:\s*"?(\w+)"?')
GATE_ROLES = ("enable", "clock", "out")
SIMPLE = re.compile(r"[\w\s()&|^!]+")
NAME = re.compile(r"[A-Za-z]\w*")
UNIT = re.compile(r'\bcapacitive_load_unit\s*\(\s*"?([0-9.]+)"?\s*,\s*"?([pf])f"?\s*\)', re.IGNORECASE)
OPENING = re.compile(r"\blibrary\s*\([^)]*\)\s*\{")
DEFAULT_WIRES = re.compile(r"^\s*default_wire_load\w*\s*:[^;]*;", re.MULTILINE)
DIRECTION = re.compile(r'\bdirection\s*:\s*"?(\w+)"?')


@dataclass(frozen=True)
class LibraryCell:
    """A cell: inputs and output pins with their functions as the library writes them.

    roles: of a clock gate's pins: enable, clock and out, each a pin.
    """

    name: str
    area_um2: float
    kind: Kind
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class FullAdder:
    """A cell that adds three bits, and its pins."""

    cell: str
    inputs: tuple[str, str, str]
    total: str
    carry: str


@dataclass(frozen=True)
class Library:
    """The cells of a Liberty file that may be used, by name."""

    cells: dict[str, LibraryCell]
    refused: dict[str, str]
    """Cells of the file that may not be used, with the reason."""

    @cached_property
    def buffer(self) -> tuple[str, str, str]:
        """The smallest buffer: cell, input, output."""
        cell = self._smallest(lambda cell: cell.kind == "buffer", "a buffer")
        return cell.name, cell.inputs[0], next(iter(cell.outputs))

    @cached_property
    def strong_buffer(self) -> tuple[str, str, str]:
        """The largest buffer of at most twice the smallest one's area: cell, input, output."""
        most = 2.001 * self.cells[self.buffer[0]].area_um2
        found = [cell for cell in self.cells.values() if cell.kind == "buffer" and cell.area_um2 <= most]
        cell = max(found, key=lambda cell: (cell.area_um2, cell.name))
        return cell.name, cell.inputs[0], next(iter(cell.outputs))

    @cached_property
    def clock_gates(self) -> dict[str, tuple[str, ...]]:
        """Cells that let a clock through while an enable is high at its rising edge -> their enable, clock and out."""
        return {name: cell.roles for name, cell in self.cells.items() if cell.kind == "clock gate"}

    @property
    def clock_gate(self) -> LibraryCell:
        """The smallest of them."""
        return self._smallest(lambda cell: cell.kind == "clock gate", "a clock gate (rising edge, without scan enable)")

    @property
    def full_adder(self) -> FullAdder:
        """The smallest cell that adds three bits."""
        adders = {name: found for name, cell in self.cells.items() if (found := as_full_adder(cell)) is not None}
        return adders[self._smallest(lambda cell: cell.name in adders, "a full adder").name]

    def tie(self, value: int) -> tuple[str, str]:
        """The smallest cell with a constant output, and that output."""
        def pins(cell: LibraryCell) -> list[str]:
            return [pin for pin, text in cell.outputs.items() if strip(text) == str(value)]
        cell = self._smallest(lambda cell: bool(pins(cell)), f"a tie to {value}")
        return cell.name, pins(cell)[0]

    def _smallest(self, fits: Callable[[LibraryCell], bool], what: str) -> LibraryCell:
        found = [cell for cell in self.cells.values() if fits(cell)]
        if not found:
            raise SpecError(f"synthesis needs {what} among the {len(self.cells)} cells of the library that it may use, "
                            "and there is none; characterise one, or take it out of do_not_use")
        return min(found, key=lambda cell: (cell.area_um2, cell.name))


def load_library(path: Path, why_not: Callable[[str], str | None]) -> Library:
    """Reads a Liberty file; `why_not(cell)` gives the reason not to use a cell, or None."""
    return parse_library(path.read_text(encoding="utf-8", errors="replace"), why_not, str(path))


def parse_library(text: str, why_not: Callable[[str], str | None], where: str) -> Library:
    """The library of a Liberty text; SpecError when it has no cells."""
    starts = [(match[1], match.end()) for match in CELL.finditer(text)]
    ends = [begin for _, begin in starts[1:]] + [len(text)]
    if not starts:
        raise SpecError(f"a Liberty file must have cells, and there is none ({where})")
    cells, refused = {}, {}
    for (name, begin), end in zip(starts, ends, strict=True):
        reason = why_not(name)
        if reason is None:
            cells[name] = parse_cell(name, text[begin:end], where)
        else:
            refused[name] = reason
    return Library(cells, refused)


def with_wire_loads(text: str, load_ff: float, max_fanout: int, where: str) -> str:
    """A Liberty text with a wire load of `load_ff` a sink instead of its own, for a mapper that sizes cells."""
    unit, opening = UNIT.search(text), OPENING.search(text)
    if unit is None or opening is None:
        raise SpecError(f"a Liberty file must begin with library and have a capacitive_load_unit in pf or ff ({where})")
    one = load_ff / (float(unit[1]) * {"p": 1000, "f": 1}[unit[2].lower()])
    lengths = " ".join(f"fanout_length ({n}, {n});" for n in range(1, max_fanout + 1))
    model = (f'\n  wire_load ("estimate") {{ resistance : 0; capacitance : {one:.6f}; area : 0; slope : 1; {lengths} }}'
             '\n  default_wire_load : "estimate";\n')
    return text[:opening.end()] + model + DEFAULT_WIRES.sub("", text[opening.end():])


def parse_cell(name: str, body: str, where: str) -> LibraryCell:
    """A cell from the text between its name and the next cell."""
    area = AREA.search(body)
    if area is None:
        raise SpecError(f"cell {name} must have an area, and has none ({where})")
    pins = list(PIN.finditer(body))
    inputs, outputs, roles = [], {}, {}
    for k, pin in enumerate(pins):
        text = body[pin.end():pins[k + 1].start() if k + 1 < len(pins) else len(body)]
        direction, function = DIRECTION.search(text), FUNCTION.search(text)
        if direction and direction[1] == "input":
            inputs.append(pin[1])
        elif direction and direction[1] == "output":
            outputs[pin[1]] = function[1] if function else ""
        roles |= {role: pin[1] for role in GATE_ROLES if re.search(rf"\bclock_gate_{role}_pin\b", text)}
    kind = kind_of(body, tuple(inputs), outputs)
    if kind == "clock gate" and set(roles) != set(GATE_ROLES):
        raise SpecError(f"clock gate {name} must say which pin is its enable, clock and output, not only "
                        f"{', '.join(sorted(roles)) or 'nothing'} ({where})")
    return LibraryCell(name, float(area[1]), kind, tuple(inputs), outputs,
                       tuple(roles[role] for role in GATE_ROLES) if kind == "clock gate" else ())


def kind_of(body: str, inputs: tuple[str, ...], outputs: dict[str, str]) -> Kind:
    """What a cell is, by its groups and functions."""
    gating = GATING.search(body)
    if gating and gating[1] == "latch_posedge":
        return "clock gate"
    for kind in ("ff", "latch"):
        if re.search(rf"\b{kind}\s*\(", body):
            return "flop" if kind == "ff" else "latch"
    functions = [strip(text) for text in outputs.values()]
    if not functions:
        return "physical"
    if all(function in ("0", "1") for function in functions):
        return "tie"
    if len(inputs) == 1 and functions == [inputs[0]]:
        return "buffer"
    if len(inputs) == 1 and functions in ([f"!{inputs[0]}"], [f"{inputs[0]}'"]):
        return "inverter"
    return "logic"


def as_full_adder(cell: LibraryCell) -> FullAdder | None:
    """The pins of a full adder, by the tables of its functions; None for any other cell."""
    if cell.kind != "logic" or len(cell.inputs) != 3 or len(cell.outputs) != 2:
        return None
    rows = list(product((0, 1), repeat=3))
    wanted = {tuple(sum(row) & 1 for row in rows): "total", tuple(sum(row) >> 1 for row in rows): "carry"}
    found = {}
    for pin, function in cell.outputs.items():
        if SIMPLE.fullmatch(function) is None:
            return None
        words = [evaluate(function, dict(zip(cell.inputs, row, strict=True))) for row in rows]
        found[wanted.get(tuple(words), "")] = pin
    if set(found) != {"total", "carry"}:
        return None
    return FullAdder(cell.name, cell.inputs, found["total"], found["carry"])


def evaluate(function: str, values: dict[str, int]) -> int:
    """A function of &, |, ^, ! and parentheses with values at its inputs.

    >>> evaluate("(!A&B)|C", {"A": 0, "B": 1, "C": 0})
    1
    """
    text = NAME.sub(lambda name: str(values[name[0]]), function).replace("!", "~")
    return eval(compile(text, "function", "eval"), {"__builtins__": {}}) & 1


def strip(function: str) -> str:
    """A function without spaces and parentheses.

    >>> strip("(!A)")
    '!A'
    """
    return re.sub(r"[\s()]", "", function)
