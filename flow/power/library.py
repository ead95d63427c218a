"""What Liberty says of energy: internal power of pins, leakage of states, capacitances of inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.characterise.function import Expression
from flow.characterise.liberty_read import Group, load_liberty
from flow.gates.expression import parse_expression
from flow.timing.liberty import EDGES, Table
from golden.spec import SpecError

UNITS = {"voltage_unit": "1V", "leakage_power_unit": "1nW", "time_unit": "1ns"}
NANO = 1e-9


@dataclass(frozen=True)
class PowerGroup:
    """The energy (pJ) of an edge of `pin`: an input's by the slew (ns) at it, an output's by the slew at `related` and
    the load (pF). tables: of rising and falling edges. when: None: always."""

    pin: str
    related: str | None
    when: Expression | None
    tables: tuple[Table, Table]


@dataclass(frozen=True)
class PowerCell:
    """groups: pin -> its groups. leakage: (condition, W); `otherwise`: W in states that no condition names.
    capacitance: input pin -> fF. volt: of the supply. clocks: pins that are clocks."""

    name: str
    groups: dict[str, tuple[PowerGroup, ...]]
    leakage: tuple[tuple[Expression, float], ...]
    otherwise: float
    capacitance: dict[str, float]
    volt: float
    clocks: frozenset[str]


def load_power(paths: Iterable[Path], names: set[str]) -> dict[str, PowerCell]:
    """Some cells of libraries of a corner; SpecError for one that none has, and for other units."""
    cells: dict[str, PowerCell] = {}
    for path in paths:
        library = load_liberty(path, names)
        for unit, wanted in UNITS.items():
            if library.attributes.get(unit) != wanted:
                raise SpecError(f"{unit} must be {wanted}, not {library.attributes.get(unit)} ({path})")
        types = {group.arguments[0]: group for group in library.all("type")}
        volt = float(library.attributes["nom_voltage"])
        cells |= {group.arguments[0]: power_cell(group, types, volt, str(path)) for group in library.all("cell")}
    missing = sorted(names - set(cells))
    if missing:
        raise SpecError(f"every cell must have its power in a library, and {', '.join(missing)} has none")
    return cells


def power_cell(cell: Group, types: dict[str, Group], volt: float, where: str) -> PowerCell:
    """What a cell group says."""
    name = cell.arguments[0]
    place = f"{name} in {where}"
    groups: dict[str, tuple[PowerGroup, ...]] = {}
    capacitance: dict[str, float] = {}
    clocks = set()
    for pin in [*cell.all("pin"), *cell.all("bus")]:
        for bit in pin_names(pin, types):
            groups[bit] = tuple(_power_group(bit, group, place) for group in pin.all("internal_power"))
            if pin.attributes.get("direction") == "input":
                capacitance[bit] = 1000 * float(pin.attributes.get("capacitance", 0.0))
            if pin.attributes.get("clock") == "true":
                clocks.add(bit)
    otherwise = NANO * float(cell.attributes.get("cell_leakage_power", 0.0))
    leakage = []
    for group in cell.all("leakage_power"):
        watt = NANO * float(group.attributes["value"])
        if "when" in group.attributes:
            leakage.append((parse_expression(group.attributes["when"], place), watt))
        else:
            otherwise = watt
    return PowerCell(name, groups, tuple(leakage), otherwise, capacitance, volt, frozenset(clocks))


def pin_names(pin: Group, types: dict[str, Group]) -> list[str]:
    """A pin, or the bits of a bus."""
    if pin.kind == "pin":
        return pin.arguments
    of = types[pin.attributes["bus_type"]].attributes
    low, high = sorted((int(of["bit_from"]), int(of["bit_to"])))
    return [f"{pin.arguments[0]}[{bit}]" for bit in range(low, high + 1)]


def _power_group(pin: str, group: Group, place: str) -> PowerGroup:
    said = group.attributes
    tables = []
    for edge in EDGES:
        table = group.find(f"{edge}_power")
        if table is None:
            raise SpecError(f"internal_power must have both edges ({pin} of {place})")
        rows, columns = table.index("index_1"), table.index("index_2")
        columns = columns if len(columns) else np.zeros(1)
        tables.append(Table(rows, columns, table.values().reshape(len(rows), len(columns))))
    when = parse_expression(said["when"], place) if "when" in said else None
    return PowerGroup(pin, said.get("related_pin"), when, (tables[0], tables[1]))


def lookup(table: Table, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values between the points of a table, and beyond its ends on the line of the last two.

    >>> lookup(Table(np.array([0.0, 1.0]), np.array([0.0, 2.0]), np.array([[0.0, 4.0], [1.0, 5.0]])),
    ...        np.array([0.5, 2.0]), np.array([1.0, 3.0])).tolist()
    [2.5, 8.0]
    """
    i, x = _between(table.rows, rows)
    j, y = _between(table.columns, columns)
    values = table.values
    i1, j1 = np.minimum(i + 1, len(table.rows) - 1), np.minimum(j + 1, len(table.columns) - 1)
    return ((1 - x) * ((1 - y) * values[i, j] + y * values[i, j1]) + x * ((1 - y) * values[i1, j] + y * values[i1, j1]))


def _between(axis: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which two points of an axis a value belongs to, and how far it is from the first to the second."""
    if len(axis) == 1:
        return np.zeros(len(at), dtype=np.int64), np.zeros(len(at))
    index = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(axis) - 2)
    return index, (at - axis[index]) / (axis[index + 1] - axis[index])
