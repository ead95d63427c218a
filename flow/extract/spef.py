"""Resistances and capacitances of nets, and the SPEF text (IEEE 1481) of them that OpenSTA reads.

Names are as the netlist's Verilog has them: a bit of a port's vector stands as it is (`x[3]`), every other special
character is part of the name and has a backslash before it. A coupling capacitor is written in both of its nets, as the
standard says; OpenSTA takes it to ground in each (`-coupling_reduction_factor`, 1 unless told) or keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist, Pin, shortened
from flow.physical.verilog import BIT
from golden.spec import SpecError

SPECIAL = re.compile(r"([^A-Za-z0-9_])")
DIRECTIONS = {"input": "I", "output": "O", "inout": "B", "INPUT": "I", "OUTPUT": "O", "INOUT": "B"}
N_DIGITS = 6

Node = Pin | int
"""A place in a net: one of its pins ((instance, pin), ("", port)), or the number, from 1 on, of a point inside it."""


@dataclass(frozen=True)
class Resistor:
    """Between two nodes of one net."""

    a: Node
    b: Node
    ohm: float


@dataclass(frozen=True)
class Capacitor:
    """From a node to ground, or to a node of another net.

    other: (net, node), None for ground.
    """

    node: Node
    femtofarad: float
    other: tuple[str, Node] | None = None


@dataclass(frozen=True)
class RcNet:
    """A net's wires as a network. Every pin of the net must hang on the others by resistors (`check_rc_net`).

    A net that is estimated and has no shape yet may be as simple as one resistor from its driver to each sink.
    """

    name: str
    resistors: tuple[Resistor, ...] = ()
    capacitors: tuple[Capacitor, ...] = ()

    @property
    def femtofarad(self) -> float:
        """All of its capacitance, that to other nets as well."""
        return sum(capacitor.femtofarad for capacitor in self.capacitors)

    @property
    def coupling_femtofarad(self) -> float:
        """What of it is to other nets."""
        return sum(capacitor.femtofarad for capacitor in self.capacitors if capacitor.other is not None)

    @property
    def ohm(self) -> float:
        """The sum of all resistors."""
        return sum(resistor.ohm for resistor in self.resistors)


def check_rc_net(net: RcNet, pins: Iterable[Pin]) -> None:
    """SpecError unless all pins and all nodes with a capacitor hang together, and no value is negative."""
    negative = [str(part) for part in (*net.resistors, *net.capacitors)
                if (part.ohm if isinstance(part, Resistor) else part.femtofarad) < 0]
    if negative:
        raise SpecError(f"resistances and capacitances of {net.name} must not be negative: {shortened(negative)}")
    near: dict[Node, list[Node]] = {}
    for resistor in net.resistors:
        near.setdefault(resistor.a, []).append(resistor.b)
        near.setdefault(resistor.b, []).append(resistor.a)
    wanted = list(dict.fromkeys([*pins, *(capacitor.node for capacitor in net.capacitors)]))
    reached, edge = set(wanted[:1]), wanted[:1]
    while edge:
        edge = [other for node in edge for other in near.get(node, ()) if other not in reached]
        reached.update(edge)
    apart = [node_name(node) for node in wanted if node not in reached]
    if apart:
        raise SpecError(f"all pins of {net.name} must hang together, and from {node_name(wanted[0])} "
                        f"no way leads to {shortened(apart)}")


def node_name(node: Node) -> str:
    """A node in messages.

    >>> node_name(("u1", "A")), node_name(("", "clk")), node_name(3)
    ('u1/A', 'clk', 'point 3')
    """
    return f"point {node}" if isinstance(node, int) else "/".join(filter(None, node))


def write_spef(netlist: Netlist, cells: Cells, nets: Iterable[RcNet], corner: str = "nom") -> str:
    """The SPEF text of nets, in the order in which they come; fF, ohm, ns.

    netlist: gives pins with their directions. corner: named in the head, nothing else depends on it.
    Nets with fewer than two pins have no delay, and may be left out. SpecError for a net that is no net of the
    netlist, is there twice, or has a pin that no resistor reaches.
    """
    nets = list(nets)
    names = SpefNames(netlist, cells, [net.name for net in nets])
    return "\n".join(chain(spef_head(netlist.top, corner), names.lines(), *(_net(net, names) for net in nets), [""]))


def spef_head(top: str, corner: str) -> Iterator[str]:
    """The lines before the names."""
    yield '*SPEF "IEEE 1481-1998"'
    yield f'*DESIGN "{top}"'
    yield '*DATE "Thu Jan 1 00:00:00 1970"'                     # a time would make every run's bytes differ
    yield '*VENDOR "Stillwater"'
    yield '*PROGRAM "flow.extract"'
    yield '*VERSION "1"'
    yield f'*DESIGN_FLOW "NAME_SCOPE LOCAL" "PIN_CAP NONE" "CORNER {corner}"'
    yield "*DIVIDER /"
    yield "*DELIMITER :"
    yield "*BUS_DELIMITER [ ]"
    yield "*T_UNIT 1 NS"
    yield "*C_UNIT 1 FF"
    yield "*R_UNIT 1 OHM"
    yield "*L_UNIT 1 HENRY"
    yield ""


def escape(name: str) -> str:
    r"""A name all of whose characters are part of it.

    >>> print(escape("rep_3"), escape("state.h[2]"))
    rep_3 state\.h\[2\]
    """
    return SPECIAL.sub(r"\\\1", name)


def port_name(port: str) -> str:
    r"""A port: the brackets of a vector's bit have a meaning.

    >>> print(port_name("wbs_dat[31]"), port_name("a.b"))
    wbs_dat[31] a\.b
    """
    bit = BIT.fullmatch(port)
    return f"{escape(bit[1])}[{bit[2]}]" if bit else escape(port)


class SpefNames:
    """What stands in a SPEF for nets, instances and pins: numbers, by a list at its beginning.

    SpecError for a net that is no net of the netlist or is there twice.
    """

    def __init__(self, netlist: Netlist, cells: Cells, nets: Sequence[str]):
        self.netlist, self.cells, self.nets = netlist, cells, nets
        self.numbers = {net: number for number, net in enumerate(nets, 1)}
        unknown = [net for net in nets if net not in netlist.nets]
        if unknown or len(self.numbers) < len(nets):
            raise SpecError(f"nets of a SPEF must be in the netlist of {netlist.top}, each once; "
                            f"{f'unknown are {shortened(unknown)}' if unknown else 'one is there twice'}")
        self.instances = {name: number for number, name in enumerate(netlist.instances, len(nets) + 1)}

    def lines(self) -> Iterator[str]:
        """The lists of names and ports."""
        yield from ("*NAME_MAP", "")
        yield from (f"*{number} {port_name(net) if net in self.netlist.ports else escape(net)}"
                    for net, number in self.numbers.items())
        yield from (f"*{number} {escape(name)}" for name, number in self.instances.items())
        yield from ("", "*PORTS", "")
        yield from (f"{port_name(port)} {DIRECTIONS[direction]}" for port, direction in self.netlist.ports.items())

    def node(self, net: str, node: Node) -> str:
        """A node of a net."""
        if isinstance(node, int):
            return f"*{self.numbers[net]}:{node}"
        instance, pin = node
        return f"*{self.instances[instance]}:{pin}" if instance else port_name(pin)

    def connections(self, net: str) -> Iterator[str]:
        """A line for each pin of a net."""
        for instance, pin in self.netlist.nets[net]:
            if not instance:
                yield f"*P {port_name(pin)} {DIRECTIONS[self.netlist.ports[pin]]}"
            else:
                cell = self.netlist.instances[instance]
                direction = DIRECTIONS[self.cells[cell].pins[pin].direction]
                yield f"*I *{self.instances[instance]}:{pin} {direction} *D {cell}"


def _net(net: RcNet, names: SpefNames) -> Iterator[str]:
    """*D_NET to *END."""
    check_rc_net(net, names.netlist.nets[net.name])
    yield f"\n*D_NET *{names.numbers[net.name]} {_number(net.femtofarad)}\n\n*CONN"
    yield from names.connections(net.name)
    yield "\n*CAP"
    for number, capacitor in enumerate(net.capacitors, 1):
        other = f" {names.node(*capacitor.other)}" if capacitor.other else ""
        yield f"{number} {names.node(net.name, capacitor.node)}{other} {_number(capacitor.femtofarad)}"
    yield "\n*RES"
    for number, resistor in enumerate(net.resistors, 1):
        yield (f"{number} {names.node(net.name, resistor.a)} {names.node(net.name, resistor.b)} "
               f"{_number(resistor.ohm)}")
    yield "*END"


def _number(value: float) -> str:
    return f"{value:.{N_DIGITS}g}"
