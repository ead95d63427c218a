"""A netlist as a flat graph of transistors and nets, in arrays.

KLayout keeps netlists of a layout or a CDL file as a hierarchy of circuits; a memory's few dozen circuits stand for
some hundred thousand transistors. Each circuit is turned into arrays once, and a circuit's arrays are put together
from those of its parts: making each transistor an object instead costs many times as long.
"""

from dataclasses import dataclass
from pathlib import Path

import klayout.db as kdb
import numpy as np

from golden.spec import SpecError

N_TERMINALS = 4
SOURCE, GATE, DRAIN, BULK = range(N_TERMINALS)     # KLayout's terminals of a four-terminal transistor
UNCONNECTED = -1


@dataclass(frozen=True)
class Graph:
    """A flat netlist: names of nets ("" without a name), and per transistor its kind and four nets.

    kinds:  (n,) model, W and L in nm as text.
    nets:   (n, 4) net numbers in the order source, gate, drain, bulk.
    """

    names: list[str]
    kinds: list[str]
    nets: np.ndarray


@dataclass(frozen=True)
class _Part:
    """A circuit with everything below it: like a Graph, and the net of each of its pins (UNCONNECTED: none)."""

    n_nets: int
    kinds: list[str]
    nets: np.ndarray
    net_of_pin: dict[int, int]


def read_reference(path: Path, name: str) -> kdb.Netlist:
    """A CDL or SPICE file: the subcircuit `name` and what it is made of."""
    netlist = kdb.Netlist()
    netlist.read(str(path), kdb.NetlistSpiceReader())
    if not any(circuit.name.upper() == name.upper() for circuit in netlist.each_circuit()):
        raise SpecError(f"subcircuit {name} must be in the reference netlist ({path})")
    while others := [circuit for circuit in _tops(netlist) if circuit.name.upper() != name.upper()]:
        for circuit in others:
            netlist.remove(circuit)
    return netlist


def build_graph(netlist: kdb.Netlist, ports: set[str]) -> Graph:
    """The flat graph of a netlist's only top circuit; names are kept for ports, in lower case."""
    (top,) = _tops(netlist)
    parts: dict[str, _Part] = {}
    for circuit in netlist.each_circuit_bottom_up():
        parts[circuit.name] = _build_part(circuit, parts)
    whole = parts[top.name]
    n_lacking = int((whole.nets == UNCONNECTED).any(axis=1).sum())
    if n_lacking:
        raise SpecError(f"every transistor must have four nets, and {n_lacking} have not")
    given = [net.name.lower() for net in top.each_net()]            # the top's own nets have the first numbers
    used, nets = np.unique(whole.nets, return_inverse=True)
    names = [given[number] if number < len(given) and given[number] in ports else "" for number in used.tolist()]
    return Graph(names, whole.kinds, nets.reshape(-1, N_TERMINALS))


def _tops(netlist: kdb.Netlist) -> list[kdb.Circuit]:
    return list(netlist.each_circuit_top_down())[: netlist.top_circuit_count()]


def _build_part(circuit: kdb.Circuit, parts: dict[str, _Part]) -> _Part:
    """A circuit's own transistors and nets, then those of its instances."""
    row_of = {device.id(): row for row, device in enumerate(circuit.each_device())}
    kinds = [f"{device.device_class().name.lower()} w={round(1000 * device.parameter('W'))}"
             f" l={round(1000 * device.parameter('L'))}" for device in circuit.each_device()]
    own = np.full((len(row_of), N_TERMINALS), UNCONNECTED, dtype=np.int64)
    net_of_pin: dict[int, int] = {}
    outer: dict[int, list[tuple[int, int]]] = {}                    # instance -> (its pin, our net)
    n_nets = 0
    for net in circuit.each_net():
        for terminal in net.each_terminal():
            own[row_of[terminal.device().id()], terminal.terminal_id()] = n_nets
        for pin in net.each_pin():
            net_of_pin[pin.pin_id()] = n_nets
        for pin in net.each_subcircuit_pin():
            outer.setdefault(pin.subcircuit().id(), []).append((pin.pin_id(), n_nets))
        n_nets += 1
    if len(set(net_of_pin.values())) < len(net_of_pin):
        raise SpecError(f"each pin of {circuit.name} must have a net of its own, and two share one")
    stack = [own]
    for instance in circuit.each_subcircuit():
        part = parts[instance.circuit_ref().name]
        number = np.full(part.n_nets, UNCONNECTED, dtype=np.int64)   # our number of each of the part's nets
        for pin, net in outer.get(instance.id(), ()):
            if pin in part.net_of_pin:
                number[part.net_of_pin[pin]] = net
        inner = np.flatnonzero(number == UNCONNECTED)
        number[inner] = np.arange(n_nets, n_nets + len(inner))
        n_nets += len(inner)
        stack.append(np.where(part.nets == UNCONNECTED, UNCONNECTED, number[part.nets]))
        kinds += part.kinds
    return _Part(n_nets, kinds, np.concatenate(stack), net_of_pin)
