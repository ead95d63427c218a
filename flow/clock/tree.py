"""The clock tree while it is made: nodes from the port to the sinks, and how the clock arrives at them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from flow.clock.library import EDGES, RISE, ClockLibrary
from flow.clock.wire import SLEW_OF_ELMORE, ClockWire, Point, WireTree, grow_tree
from flow.physical.netlist import Pin

PORT, BUFFER, GATE, SINK = "port", "buffer", "gate", "sink"


@dataclass(eq=False)
class Node:
    """A place in the tree; nodes are told apart by identity.

    instance: "" of a port, and of a buffer until it has a name. cell: "" of a port. input, output: its pins.
    net:      what it drives, "" until it has a name.
    entry, exit: where its input and its output pin are (nm); the same point while it has no place in a row.
    edge:     of a sink: which one acts. offset: of a sink: how much later the clock acts inside (ns).
    level:    how many cells the clock has come through.
    """

    kind: str
    instance: str = ""
    cell: str = ""
    input: str = ""
    output: str = ""
    net: str = ""
    entry: Point = (0, 0)
    exit: Point = (0, 0)
    edge: int = RISE
    offset: float = 0.0
    level: int = 0
    children: list[Node] = field(default_factory=list)
    wires: WireTree | None = None

    @property
    def pin(self) -> Pin:
        """Its input pin."""
        return self.instance, self.input

    def move(self, entry: Point, exit: Point | None = None) -> None:
        self.entry, self.exit = entry, exit or entry

    def below(self) -> Iterator[Node]:
        """It and everything behind it, each node before its children."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def route(self) -> WireTree:
        """The wires of the net that it drives, as it stands now."""
        self.wires = grow_tree(self.exit, [child.entry for child in self.children])
        return self.wires


@dataclass(frozen=True)
class Corner:
    """What timing needs of a corner."""

    name: str
    library: ClockLibrary
    wire: ClockWire


@dataclass(frozen=True)
class Signal:
    """The clock at a pin, by the edge at that pin: when it arrives after the edge at the port that causes it, and its
    slew (ns)."""

    arrival: tuple[float, float]
    slew: tuple[float, float]


@dataclass(frozen=True)
class Timing:
    """The clock at every node's input pin (of the port: at the port), and what every driving node drives (pF)."""

    corner: str
    at: dict[Node, Signal]
    load: dict[Node, float]

    def arrival(self, sink: Node) -> float:
        """Of the acting edge where it acts."""
        return self.at[sink].arrival[sink.edge] + sink.offset

    @property
    def arrivals(self) -> dict[Node, float]:
        """Of all sinks."""
        return {node: self.arrival(node) for node in self.at if node.kind == SINK}

    @property
    def latency(self) -> tuple[float, float]:
        """Earliest and latest arrival."""
        values = self.arrivals.values()
        return min(values), max(values)

    @property
    def skew(self) -> float:
        low, high = self.latency
        return high - low

    @property
    def worst_slew(self) -> tuple[float, Node]:
        return max(((max(signal.slew), node) for node, signal in self.at.items()), key=lambda found: found[0])


def route_tree(root: Node) -> None:
    """Gives all nets wires from where their pins are now."""
    for node in root.below():
        if node.children:
            node.route()


def analyse(root: Node, corner: Corner, input_slew: float) -> Timing:
    """The clock everywhere in a tree whose nets have their wires: tables of the library, Elmore's delay, added slews.

    A cell's load is all of its net's capacitance: the shielding of wire resistance is left out, which is late, never
    early.
    """
    start = Signal((0.0, 0.0), (input_slew, input_slew))
    at, load = {root: start}, {}
    for node in root.below():
        if node.children:
            output, load[node] = drive(node, at[node], corner)
            at.update(zip(node.children, carry(node, output, corner), strict=True))
    return Timing(corner.name, at, load)


def pin_loads(node: Node, corner: Corner) -> list[float]:
    """Capacitance of the pins that a node drives, pF; a port of the module counts as none."""
    return [corner.library[child.cell].capacitance[child.input] if child.cell else 0.0 for child in node.children]


def drive(node: Node, signal: Signal, corner: Corner) -> tuple[Signal, float]:
    """The clock at a node's output, and its load."""
    wires = node.wires or node.route()
    load = sum(pin_loads(node, corner)) + corner.wire.load(wires)
    return (signal if node.kind == PORT else through(node, signal, load, corner)), load


def through(node: Node, signal: Signal, load: float, corner: Corner) -> Signal:
    """The clock behind a cell."""
    arc = corner.library[node.cell].arcs[node.input, node.output]
    arrival, slew = [0.0, 0.0], [0.0, 0.0]
    for edge in EDGES:
        before = arc.input_edge(edge)
        at = arc.delay[edge].place(signal.slew[before], load)
        arrival[edge] = signal.arrival[before] + arc.delay[edge].value(at)
        slew[edge] = arc.slew[edge].value(at if arc.same_axes else arc.slew[edge].place(signal.slew[before], load))
    return Signal((arrival[0], arrival[1]), (slew[0], slew[1]))


def carry(node: Node, output: Signal, corner: Corner) -> Iterator[Signal]:
    """The clock at the pins that a node drives."""
    for delay in corner.wire.delays(node.wires, pin_loads(node, corner)):
        added = SLEW_OF_ELMORE * delay
        yield Signal((output.arrival[0] + delay, output.arrival[1] + delay),
                     (math.hypot(output.slew[0], added), math.hypot(output.slew[1], added)))
