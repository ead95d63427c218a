"""Cells and placed nets as arrays, for the compiled timing engine. Units: ns, pF, ohm.

A type is a cell with some places for pins ("slots", in the order of their names); cells of a footprint have the same
slots, so that an instance changes its size by changing its type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flow.physical.netlist import Netlist
from flow.timing.estimate import NetTrees, WireModel
from flow.timing.liberty import HOLD, SETUP, Library, Table, TimedCell

AXIS = 7
"""Most points that a table has along an axis."""
NONE = -1


@dataclass(frozen=True)
class Types:
    """Cells by number.

    tables:    (K, 7, 7) values, rows, columns (K, 7) and how many of both (K, 2); axes end where their numbers do.
    arc_first: (T + 1,); arcs (A, 6): input slot and edge, output slot and edge, tables of delay and slew.
    check_first: (T + 1,); checks (C, 5): setup 0 or hold 1, clock slot, data slot and edge, table.
    n_slots:   (T,); capacitance, max_load, max_slew, is_output: (T, S).
    sizes:     (T, Z) the types that can stand for a type, itself among them, by area; -1 at the end.
    """

    cells: list[TimedCell]
    index: dict[str, int]
    slots: list[list[str]]
    values: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    counts: np.ndarray
    arc_first: np.ndarray
    arcs: np.ndarray
    check_first: np.ndarray
    checks: np.ndarray
    n_slots: np.ndarray
    capacitance: np.ndarray
    max_load: np.ndarray
    max_slew: np.ndarray
    is_output: np.ndarray
    area: np.ndarray
    sizes: np.ndarray


@dataclass
class _Tables:
    """Collects tables."""

    tables: list[Table] = field(default_factory=list)

    def add(self, table: Table) -> int:
        self.tables.append(table)
        return len(self.tables) - 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        n = len(self.tables)
        values, counts = np.zeros((n, AXIS, AXIS)), np.zeros((n, 2), np.int64)
        rows, columns = np.zeros((n, AXIS)), np.zeros((n, AXIS))
        for k, table in enumerate(self.tables):
            counts[k] = table.values.shape
            values[k, :counts[k, 0], :counts[k, 1]] = table.values
            rows[k, :counts[k, 0]], columns[k, :counts[k, 1]] = table.rows, table.columns
        return values, rows, columns, counts


def build_types(library: Library, names: Sequence[str], allowed: Sequence[str] = ()) -> Types:
    """The types of some cells, and of all sizes of theirs among the allowed ones."""
    wanted = dict.fromkeys(names)
    feet = {family(library[name]) for name in names}
    wanted.update(dict.fromkeys(name for name in allowed if name in library and family(library[name]) in feet))
    cells = [library[name] for name in wanted]
    index = {cell.name: number for number, cell in enumerate(cells)}
    slots = [sorted(cell.pins) for cell in cells]
    most = max(map(len, slots))
    tables, arcs, checks = _Tables(), [], []
    arc_first, check_first = [0], [0]
    pin_arrays = np.zeros((4, len(cells), most))
    for number, cell in enumerate(cells):
        slot = {pin: k for k, pin in enumerate(slots[number])}
        for pin, k in slot.items():
            said = cell.pins[pin]
            pin_arrays[:, number, k] = (0.0 if said.is_output else said.capacitance, said.max_capacitance,
                                        said.max_slew, said.is_output)
        arcs += [(slot[arc.source], arc.source_edge, slot[arc.target], arc.target_edge, tables.add(arc.delay),
                  tables.add(arc.slew)) for arc in cell.arcs]
        checks += [((SETUP, HOLD).index(check.kind), slot[check.clock], slot[check.pin], check.edge,
                    tables.add(check.limit)) for check in cell.checks]
        arc_first.append(len(arcs))
        check_first.append(len(checks))
    return Types(cells, index, slots, *tables.arrays(), np.array(arc_first), np.array(arcs, np.int64).reshape(-1, 6),
                 np.array(check_first), np.array(checks, np.int64).reshape(-1, 5), np.array(list(map(len, slots))),
                 pin_arrays[0], pin_arrays[1], pin_arrays[2], pin_arrays[3] > 0,
                 np.array([cell.area for cell in cells]), _sizes(cells, index, set(allowed)))


def family(cell: TimedCell) -> tuple:
    """Cells with the same family are sizes of each other."""
    pins = cell.pins
    return cell.footprint, tuple((name, pins[name].is_output, pins[name].function) for name in sorted(pins))


def _sizes(cells: list[TimedCell], index: Mapping[str, int], allowed: set[str]) -> np.ndarray:
    families: dict[tuple, list[int]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.area, cell.name)):
        families.setdefault(family(cell), []).append(index[cell.name])
    most = max(map(len, families.values()))
    sizes = np.full((len(cells), most), NONE)
    for members in families.values():
        for number in members:
            usable = [other for other in members if other == number or cells[other].name in allowed]
            if cells[number].is_macro or cells[number].is_clock_gate:
                usable = [number]
            sizes[number, :len(usable)] = usable
    return sizes


@dataclass(frozen=True)
class Graph:
    """A netlist with its trees as arrays. Pins are counted instance by instance, by slot; then come the ports.

    names, kinds: instances in the netlist's order, and their types (the one thing here that changes).
    base:       (N + 1,) the first pin of an instance; pin_inst: (P,) its instance, -1 of a port.
    ports:      name -> pin.
    net_of_pin: (P,) tree that the pin is in, -1 of none. driver: (M,) pin that drives a tree.
    node_first, parent, node_pin, ohm: trees, node by node; node_pin -1 between pins.
    node_pf:    wire at a node; edge_pf: of the wire to the parent. x, y: of a node, nm.
    order:      instances from the sources on.
    """

    types: Types
    names: list[str]
    kinds: np.ndarray
    base: np.ndarray
    pin_inst: np.ndarray
    ports: dict[str, int]
    nets: list[str]
    net_of_pin: np.ndarray
    driver: np.ndarray
    node_first: np.ndarray
    parent: np.ndarray
    node_pin: np.ndarray
    ohm: np.ndarray
    node_pf: np.ndarray
    edge_pf: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def pin(self, instance: str, pin: str, number: Mapping[str, int]) -> int:
        if not instance:
            return self.ports[pin]
        at = number[instance]
        return int(self.base[at]) + self.types.slots[self.kinds[at]].index(pin)


def build_graph(netlist: Netlist, types: Types, trees: NetTrees, model: WireModel) -> Graph:
    """The arrays of a netlist whose cells are all among the types."""
    names = list(netlist.instances)
    number = {name: k for k, name in enumerate(names)}
    kinds = np.array([types.index[cell] for cell in netlist.instances.values()], np.int64)
    base = np.concatenate([[0], np.cumsum(types.n_slots[kinds])]).astype(np.int64)
    ports = {port: int(base[-1]) + k for k, port in enumerate(netlist.ports)}
    slot_of = [{pin: k for k, pin in enumerate(slots)} for slots in types.slots]
    at = np.array([ports[pin] if not instance else
                   int(base[number[instance]]) + slot_of[kinds[number[instance]]][pin]
                   for instance, pin in trees.pins], np.int64)
    n_pins = int(base[-1]) + len(ports)
    net_of_pin = np.full(n_pins, NONE)
    net_of_pin[at] = np.repeat(np.arange(len(trees.names)), np.diff(trees.first_pin))
    pin_inst = np.full(n_pins, NONE)
    pin_inst[:base[-1]] = np.repeat(np.arange(len(names)), np.diff(base))
    shape = trees.trees
    ohm, femtofarad = trees.segments(model)
    node_pf = np.zeros(len(ohm))
    node_pf += femtofarad / 2e3
    np.add.at(node_pf, np.maximum(shape.parent, 0), np.where(shape.parent >= 0, femtofarad / 2e3, 0.0))
    node_pin = np.where(shape.pin >= 0, at[shape.pin], NONE) if len(at) else np.zeros(0, np.int64)
    return Graph(types, names, kinds, base, pin_inst, ports, trees.names, net_of_pin, at[trees.first_pin[:-1]],
                 shape.first, shape.parent, node_pin, ohm, node_pf, femtofarad / 1e3, shape.x, shape.y)
