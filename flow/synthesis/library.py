"""What synthesis must know of a Liberty file: cells, areas, and which of them buffer, tie and store."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from golden.spec import SpecError

Kind = Literal["flop", "latch", "tie", "buffer", "inverter", "logic", "physical"]

CELL = re.compile(r'^\s*cell\s*\(\s*"?(\w+)"?\s*\)\s*\{', re.MULTILINE)
AREA = re.compile(r"\barea\s*:\s*([0-9.eE+-]+)")
PIN = re.compile(r'\bpin\s*\(\s*"?(\w+)"?\s*\)\s*\{')
FUNCTION = re.compile(r'\bfunction\s*:\s*"([^"]*)"')
DIRECTION = re.compile(r'\bdirection\s*:\s*"?(\w+)"?')


@dataclass(frozen=True)
class LibraryCell:
    """A cell: inputs and output pins with their functions as the library writes them."""

    name: str
    area_um2: float
    kind: Kind
    inputs: tuple[str, ...]
    outputs: dict[str, str]


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


def parse_cell(name: str, body: str, where: str) -> LibraryCell:
    """A cell from the text between its name and the next cell."""
    area = AREA.search(body)
    if area is None:
        raise SpecError(f"cell {name} must have an area, and has none ({where})")
    pins = list(PIN.finditer(body))
    inputs, outputs = [], {}
    for k, pin in enumerate(pins):
        text = body[pin.end():pins[k + 1].start() if k + 1 < len(pins) else len(body)]
        direction, function = DIRECTION.search(text), FUNCTION.search(text)
        if direction and direction[1] == "input":
            inputs.append(pin[1])
        elif direction and direction[1] == "output":
            outputs[pin[1]] = function[1] if function else ""
    return LibraryCell(name, float(area[1]), kind_of(body, tuple(inputs), outputs), tuple(inputs), outputs)


def kind_of(body: str, inputs: tuple[str, ...], outputs: dict[str, str]) -> Kind:
    """What a cell is, by its groups and functions."""
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


def strip(function: str) -> str:
    """A function without spaces and parentheses.

    >>> strip("(!A)")
    '!A'
    """
    return re.sub(r"[\s()]", "", function)
