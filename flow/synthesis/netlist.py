"""A gate netlist as synthesis leaves it: reading Yosys' JSON, checking it, and counting what is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import msgspec

from flow.metrics import Value
from flow.synthesis.library import Kind, Library
from golden.spec import SpecError

Bit = int | str
MANY = 5
"""Offenders that a message names before it only counts them."""

CLASSES: dict[Kind, str] = {
    "flop": "sequential_cell", "latch": "latch", "clock gate": "clock_gate_cell", "tie": "tie_cell", "buffer": "buffer",
    "inverter": "inverter", "logic": "multi_input_combinational_cell", "physical": "physical_cell",
}
"""Kind of cell -> METRICS2.1's word for the class."""


class Cell(msgspec.Struct, frozen=True):
    """An instance: its type, and the bits at its pins (a number: a net; a text: a constant)."""

    type: str
    connections: dict[str, list[Bit]]
    port_directions: dict[str, str] = {}


class Port(msgspec.Struct, frozen=True):
    direction: str
    bits: list[Bit]


class NetName(msgspec.Struct, frozen=True):
    bits: list[Bit]


class Module(msgspec.Struct, frozen=True):
    """A module of the JSON; what is not needed here is not read."""

    ports: dict[str, Port]
    cells: dict[str, Cell]
    netnames: dict[str, NetName]


class _Design(msgspec.Struct, frozen=True):
    modules: dict[str, Module]


@dataclass(frozen=True)
class Netlist:
    """A flat netlist: the top module, and which of its cell types are black boxes (memories)."""

    top: str
    module: Module
    black_boxes: frozenset[str]

    @cached_property
    def drivers(self) -> dict[Bit, list[str]]:
        """Net -> what drives it, as instance/pin or the port's name."""
        found: dict[Bit, list[str]] = defaultdict(list)
        for name, port in self.module.ports.items():
            if port.direction == "input":
                for bit in port.bits:
                    found[bit].append(name)
        for instance, pin, direction, bit in self.pins():
            if direction == "output":
                found[bit].append(f"{instance}/{pin}")
        return found

    @cached_property
    def fanout(self) -> Counter[Bit]:
        """Net -> how many pins and output ports it feeds."""
        count = Counter(bit for _, _, direction, bit in self.pins() if direction != "output")
        for port in self.module.ports.values():
            if port.direction != "input":
                count.update(port.bits)
        return count

    @cached_property
    def names(self) -> dict[Bit, str]:
        """Net -> its name, a vector's bit as name[index]."""
        found: dict[Bit, str] = {}
        for name, net in self.module.netnames.items():
            for index, bit in enumerate(net.bits):
                found.setdefault(bit, name if len(net.bits) == 1 else f"{name}[{index}]")
        return found

    def pins(self) -> Iterable[tuple[str, str, str, Bit]]:
        """Instance, pin, direction and net of every pin; a bus pin once a bit."""
        for instance, cell in self.module.cells.items():
            for pin, bits in cell.connections.items():
                direction = cell.port_directions.get(pin, "")
                for bit in bits:
                    yield instance, pin, direction, bit


def parse_netlist(text: bytes, top: str, black_boxes: Iterable[str] = ()) -> Netlist:
    """The module `top` of what Yosys' write_json wrote; SpecError when it is not there."""
    try:
        design = msgspec.json.decode(text, type=_Design)
    except msgspec.DecodeError as error:
        raise SpecError(f"the netlist must be what Yosys writes as JSON, and is not: {error}") from None
    if top not in design.modules:
        raise SpecError(f"the netlist must have a module {top}, not only {', '.join(sorted(design.modules))}")
    return Netlist(top, design.modules[top], frozenset(black_boxes))


def check_netlist(netlist: Netlist, library: Library) -> None:
    """SpecError unless every instance is a usable cell or a black box, and every net has exactly one driver."""
    problems: list[str] = []
    unmapped, refused, latches = [], [], []
    for name, cell in netlist.module.cells.items():
        if cell.type in netlist.black_boxes:
            continue
        if cell.type in library.refused:
            refused.append(f"{name} ({cell.type}: {library.refused[cell.type]})")
        elif cell.type not in library.cells:
            unmapped.append(f"{name} ({cell.type})")
        elif library.cells[cell.type].kind == "latch":
            latches.append(name)
    constant = [f"{i}/{pin}" for i, pin, direction, bit in netlist.pins() if isinstance(bit, str)]
    several = [f"{netlist.names.get(bit, bit)} ({', '.join(found)})" for bit, found in netlist.drivers.items()
               if len(found) > 1]
    undriven = [netlist.names.get(bit, str(bit)) for bit in netlist.fanout
                if not isinstance(bit, str) and bit not in netlist.drivers]
    for what, found in (("cells that the library does not have", unmapped), ("cells that may not be used", refused),
                        ("latches, which nobody asked for", latches), ("pins at constants without a tie", constant),
                        ("nets with several drivers", several), ("nets without a driver", undriven)):
        if found:
            more = f" and {len(found) - MANY} more" if len(found) > MANY else ""
            problems.append(f"  {len(found)} {what}: {', '.join(sorted(found)[:MANY])}{more}")
    if problems:
        raise SpecError("\n".join([f"the netlist of {netlist.top} must be whole and of allowed cells, and is not:",
                                   *problems]))


def measure_netlist(netlist: Netlist, library: Library, clock: str = "clk") -> dict[str, Value]:
    """Counts and areas of a checked netlist; the black boxes' area is not in it."""
    types = Counter(cell.type for cell in netlist.module.cells.values())
    boxes = sum(types.pop(name, 0) for name in netlist.black_boxes)
    kinds: Counter[Kind] = Counter()
    area: dict[Kind, float] = defaultdict(float)
    for name, count in types.items():
        kinds[library.cells[name].kind] += count
        area[library.cells[name].kind] += count * library.cells[name].area_um2
    clock_bits = set(netlist.module.ports[clock].bits)
    gated = [cell.connections[library.clock_gates[cell.type][2]][0] for cell in netlist.module.cells.values()
             if cell.type in library.clock_gates]
    clock_bits |= set(gated)
    widest = max((count for bit, count in netlist.fanout.items() if bit not in clock_bits), default=0)
    values: dict[str, Value] = {
        "design__instance__count": sum(types.values()) + boxes,
        "design__instance__count__stdcell": sum(types.values()),
        "design__instance__count__macros": boxes,
        "design__instance__area__stdcell": round(sum(area.values()), 4),
        "design__net__count": len(netlist.drivers),
        "design__max_fanout": widest,
        "synthesis__clock_gate__count": len(gated),
        "synthesis__clock_gate__register__count": sum(netlist.fanout[bit] for bit in gated),
        "design__instance_unmapped__count": 0,
        "design__inferred_latch__count": kinds["latch"],
    }
    for kind, name in CLASSES.items():
        values[f"design__instance__count__class:{name}"] = kinds[kind]
        values[f"design__instance__area__class:{name}"] = round(area[kind], 4)
    for name in sorted(types):
        values[f"design__instance__count__cell:{name}"] = types[name]
    return values
