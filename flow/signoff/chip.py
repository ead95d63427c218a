"""The top level of a chip's netlist against the design: which instance's pins are on which net.

Instances are paired by cell, place and orientation, nets by the pins on them; nothing has to be guessed, so that each
difference is said with the names of the design.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import klayout.db as kdb

from flow.pdk.config import PdkConfig
from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.gds import DBU_UM, transformation
from flow.physical.netlist import Pin, shortened
from golden.spec import SpecError

PORT = ""
"""The instance of a port, as in flow.physical.netlist."""


@dataclass(frozen=True)
class Drawn:
    """A net of the layout: pins of instances and labels (instance "") on it, and instances that it enters at no pin."""

    pins: frozenset[Pin]
    intruded: tuple[str, ...]


def drawn_nets(netlist: kdb.Netlist, design: Design, cells: Cells) -> tuple[list[Drawn], list[str]]:
    """The nets of the layout's top level in the design's names; a line for each instance without a partner."""
    circuit = netlist.circuit_by_name(design.placement.top)
    if circuit is None:
        raise SpecError(f"the extracted layout must have a circuit {design.placement.top}, and has none")
    name_of, differences = _pair_instances(circuit, design, cells)
    ports_of = {part.name: {pin.id(): part.net_for_pin(pin.id()).name for pin in part.each_pin()}
                for part in netlist.each_circuit() if part.name != circuit.name}
    found = []
    for net in circuit.each_net():
        pins: set[Pin] = {(PORT, label) for label in net.name.split(",") if label}
        intruded = []
        for pin in net.each_subcircuit_pin():
            part = pin.subcircuit()
            name = name_of.get(part.id())
            ports = ports_of[part.circuit_ref().name][pin.pin_id()]
            if name is not None:
                pins |= {(name, port) for port in ports.split(",") if port}
                intruded += [] if ports else [name]
        found.append(Drawn(frozenset(pins), tuple(intruded)))
    return found, differences


def placed_cells(design: Design, cells: Cells) -> dict[str, tuple[str, kdb.Trans]]:
    """Instance -> its cell, and how that is moved and turned."""
    return {name: (placed.cell, transformation(placed, cells)) for name, placed in design.placement.instances.items()}


def _pair_instances(circuit: kdb.Circuit, design: Design, cells: Cells) -> tuple[dict[int, str], list[str]]:
    """Subcircuit -> instance, and lines for those without a partner."""
    wanted = {(cell, str(kdb.DCplxTrans(trans.to_dtype(DBU_UM)))): name
              for name, (cell, trans) in placed_cells(design, cells).items()}
    name_of, strange = {}, []
    for part in circuit.each_subcircuit():
        key = part.circuit_ref().name, str(part.trans)
        name = wanted.pop(key, None)
        if name is None:
            strange.append(" at ".join(key))
        else:
            name_of[part.id()] = name
    lines = []
    if wanted:
        named = [f"{name} ({cell} at {place})" for (cell, place), name in wanted.items()]
        lines.append(f"{len(wanted)} instances are not in the layout: {shortened(named)}")
    if strange:
        lines.append(f"{len(strange)} instances of the layout are not in the design: {shortened(strange)}")
    return name_of, lines


def schematic_nets(design: Design, cells: Cells, pdk: PdkConfig) -> dict[str, set[Pin]]:
    """Net -> all that is on it: pins, ports, and of the supplies every instance's, wells and substrate included."""
    nets = {name: set(pins) for name, pins in design.netlist.nets.items()}
    well_of = {"POWER": pdk.supplies.n_well, "GROUND": pdk.supplies.p_substrate}
    for name, supply in design.placement.supplies.items():
        nets[name] = {(PORT, name)}
        for instance, placed in design.placement.instances.items():
            pins = cells[placed.cell].pins.items()
            nets[name] |= {(instance, pin) for pin, abstract in pins if abstract.use == supply.use}
            nets[name].add((instance, well_of[supply.use]))        # tap cells have no well pins, and tie them
    return nets


def compare_nets(drawn: list[Drawn], nets: Mapping[str, set[Pin]], pdk: PdkConfig) -> list[str]:
    """A line for every net that is open, every group that is shorted, and all that touches a cell beside its pins."""
    net_of: dict[Pin, str] = {pin: net for net, pins in nets.items() for pin in pins}
    pieces: dict[str, list[set[Pin]]] = defaultdict(list)
    lines = []
    for piece in drawn:
        pins = {pin for pin in piece.pins if pin != (PORT, pdk.supplies.p_substrate)}
        by_net: dict[str, list[Pin]] = defaultdict(list)
        for pin in sorted(pins):
            by_net[net_of.get(pin, f"{_said(pin)} (of no net)")].append(pin)
        for net, found in by_net.items():
            pieces[net].append(set(found))
        if len(by_net) > 1:
            lines.append(f"shorted: {shortened(f'{net} (at {_said(pins[0])})' for net, pins in by_net.items())}")
        if piece.intruded and len(pins) + len(piece.intruded) > 1:
            wire = shortened(by_net) or "a wire"
            lines.append(f"{wire} touches metal of {shortened(dict.fromkeys(piece.intruded))} beside its pins")
    lines += _opens(pieces, nets, pdk)
    return lines


def _opens(pieces: Mapping[str, list[set[Pin]]], nets: Mapping[str, set[Pin]], pdk: PdkConfig) -> Iterator[str]:
    wells = {pdk.supplies.n_well, pdk.supplies.p_substrate}
    for net, wanted in nets.items():
        found = sorted(pieces.get(net, []), key=len, reverse=True)
        if len(found) > 1:
            sizes = "; ".join(shortened(map(_said, sorted(piece))) for piece in found[:4])
            yield f"open: {net} is {len(found)} pieces: {sizes}"
        seen = set().union(*found)
        absent = [pin for pin in sorted(wanted - seen) if pin[1] not in wells]
        if absent:
            yield f"open: {net} has no metal at {shortened(map(_said, absent))}"


def _said(pin: Pin) -> str:
    return f"{pin[0]}/{pin[1]}" if pin[0] else pin[1]
