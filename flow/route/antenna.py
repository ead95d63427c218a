"""Antenna rules: charge that a wire collects while it is made must not go through a gate.

While a layer is etched, wires of that layer and below are there and those above are not. For each piece that is joined
then, the side area of its metal of that layer, over the area of the gates on it, must stay below a ratio that grows
with the diffusion on it (tech LEF: ANTENNADIFFSIDEAREARATIO). A net's driver has diffusion; a gate is at risk while
only upper layers join it to the driver. While cuts are etched the metal above is not there: the area of the cuts on a
piece has a ratio of its own (ANTENNADIFFAREARATIO). The limits are those of SkyWater's antenna rules (table Ie).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import NetRoute, Placement, Routes, pin_shapes
from flow.physical.geometry import Shape
from flow.physical.netlist import Netlist, Pin
from flow.physical.technology import CutLayer, RoutingLayer, Technology

DIODE, DIODE_PIN = "diode_2", "DIODE"
"""The cell, without the library's prefix, that takes charge. Its LEF gives its diffusion as gate area as well."""


@dataclass(frozen=True)
class AntennaFault:
    """A piece of a net with too much metal for its gates. gates: its input pins."""

    net: str
    layer: str
    ratio: float
    allowed: float
    gates: tuple[Pin, ...]

    def __str__(self) -> str:
        gates = ", ".join(f"{instance}/{pin}" for instance, pin in self.gates[:3])
        return (f"net {self.net} has {self.ratio:.0f} times the gate area in {self.layer}, {self.allowed:.0f} allowed "
                f"({gates})")


def allowed_ratio(layer: RoutingLayer | CutLayer, diffusion_um2: float) -> float:
    """The largest ratio of a metal's side area, or of the area of cuts, to gate area, with so much diffusion."""
    if not layer.antenna_ratio:
        return inf
    areas, ratios = zip(*layer.antenna_ratio, strict=True)
    return float(np.interp(diffusion_um2, areas, ratios))


def find_antennas(placement: Placement, netlist: Netlist, routes: Routes, cells: Cells,
                  technology: Technology) -> list[AntennaFault]:
    """Every piece of every net in `routes`, layer by layer, with the metal that macros have on their pins."""
    return [fault for net, route in routes.items()
            for fault in _of_net(net, netlist.nets[net], route, placement, netlist, cells, technology)]


class KnownAntennas:
    """The antennas of a layout that changes net by net: a net is looked at again when its route or pins are others."""

    def __init__(self) -> None:
        self._nets: dict[str, tuple[tuple, list[AntennaFault]]] = {}

    def find(self, placement: Placement, netlist: Netlist, routes: Routes, cells: Cells,
             technology: Technology) -> list[AntennaFault]:
        """As find_antennas, in the order of the nets' names."""
        state = {net: (route, netlist.nets[net], [placement.instances.get(name) for name, _ in netlist.nets[net]])
                 for net, route in routes.items()}
        changed = {net: route for net, route in routes.items()
                   if net not in self._nets or self._nets[net][0] != state[net]}
        self._nets |= {net: (state[net], []) for net in changed}
        for fault in find_antennas(placement, netlist, changed, cells, technology):
            self._nets[fault.net][1].append(fault)
        return [fault for net in sorted(routes) for fault in self._nets[net][1]]


def _of_net(net: str, pins: Sequence[Pin], route: NetRoute, placement: Placement, netlist: Netlist, cells: Cells,
            technology: Technology) -> Iterator[AntennaFault]:
    gates, diffusion, inside = {}, {}, {}
    for instance, pin in pins:
        if instance:
            abstract = cells[netlist.instances[instance]].pins[pin]
            gates[instance, pin] = 0.0 if pin == DIODE_PIN else abstract.gate_area_um2
            diffusion[instance, pin] = abstract.diffusion_area_um2
            inside[instance, pin] = dict(abstract.etched_um2)
    if not any(gates.values()):
        return
    suspects = _suspects(route, list(gates.values()), sum(diffusion.values()), list(inside.values()),
                         technology)
    if not suspects:
        return
    shapes = list(route.shapes(technology))
    reached = [(pin, shape) for pin in gates for shape in pin_shapes(placement, cells, *pin)]
    below: set[str] = set()
    for name, layer in _in_order(technology):
        if name in suspects:
            made = [shape for shape in shapes if shape.layer in below or shape.layer == name]
            for piece, on in _pieces(made, reached, technology):
                area = sum(gates[pin] for pin in on)
                etched = _etched_um2([shape for shape in piece if shape.layer == name], layer)
                etched += sum(inside[pin].get(name, 0.0) for pin in on)
                allowed = allowed_ratio(layer, sum(diffusion[pin] for pin in on))
                if area and etched / area > allowed:
                    at_risk = tuple(sorted(pin for pin in on if gates[pin]))
                    yield AntennaFault(net, name, etched / area, allowed, at_risk)
        below.add(name)


def _in_order(technology: Technology) -> Iterator[tuple[str, RoutingLayer | CutLayer]]:
    """Metals and the cuts between them, as they are made."""
    names = list(technology.layers)
    for lower, upper in zip(names, [*names[1:], ""], strict=True):
        yield lower, technology.layers[lower]
        if upper:
            cut = technology.cut_between[lower, upper]
            yield cut, technology.cuts[cut]


def _etched_um2(shapes: Sequence[Shape], layer: RoutingLayer | CutLayer) -> float:
    """The area that collects charge: of a metal's walls, or of cuts."""
    if isinstance(layer, RoutingLayer):
        return side_area_um2(shapes, layer.thickness)
    return sum(shape.rect.area for shape in shapes) / 1e6


def _suspects(route: NetRoute, gates_um2: Sequence[float], diffusion_um2: float,
              inside_um2: Sequence[Mapping[str, float]], technology: Technology) -> set[str]:
    """Layers that could fail, by bounds that are quick to find.

    Of the net's highest layer all walls are on all its gates and all its diffusion; of a layer below it, they are all
    on its smallest gate at worst.
    """
    etched: dict[str, float] = {}
    for wire in route.wires:
        length = abs(wire.x1 - wire.x0) + abs(wire.y1 - wire.y0) + 2 * technology.layers[wire.layer].width
        etched[wire.layer] = etched.get(wire.layer, 0) + 2 * length
    pads = [shape for use in route.vias for shape in technology.vias[use.via].shapes]
    for shape in (*pads, *route.patches):
        amount = shape.rect.area if shape.layer in technology.cuts else 2 * (shape.rect.width + shape.rect.height)
        etched[shape.layer] = etched.get(shape.layer, 0) + amount
    within = {name: sum(areas.get(name, 0.0) for areas in inside_um2) for name, _ in _in_order(technology)}
    used = [(name, layer) for name, layer in _in_order(technology) if name in etched or within[name]]
    found = set()
    for name, layer in used:
        area = etched.get(name, 0) * (layer.thickness if isinstance(layer, RoutingLayer) else 1) / 1e6 + within[name]
        if name == used[-1][0]:
            limit = allowed_ratio(layer, diffusion_um2) * sum(gates_um2)
        else:
            limit = allowed_ratio(layer, 0.0) * min(gate for gate in gates_um2 if gate)
        if area > limit:
            found.add(name)
    return found


def _pieces(shapes: Sequence[Shape], reached: Sequence[tuple[Pin, Shape]],
            technology: Technology) -> Iterator[tuple[list[Shape], set[Pin]]]:
    """Groups of shapes that touch, over cuts as well, each with the pins on it."""
    joins = {(layer, layer) for layer in (*technology.layers, *technology.cuts)}
    for (lower, upper), cut in technology.cut_between.items():
        joins |= {(lower, cut), (cut, lower), (upper, cut), (cut, upper)}
    everything = [*shapes, *(shape for _, shape in reached)]
    rects = np.array([shape[1:] for shape in everything])
    todo = set(range(len(everything)))
    same_pin: dict[Pin, list[int]] = {}
    for index, (pin, _) in enumerate(reached, len(shapes)):
        same_pin.setdefault(pin, []).append(index)
    while todo:
        stack, group = [min(todo)], []
        todo.discard(stack[0])
        while stack:
            here = stack.pop()
            group.append(here)
            near = np.flatnonzero((rects[:, 0] <= rects[here, 2]) & (rects[here, 0] <= rects[:, 2])
                                  & (rects[:, 1] <= rects[here, 3]) & (rects[here, 1] <= rects[:, 3]))
            beside = [int(other) for other in near if (everything[here].layer, everything[other].layer) in joins]
            if here >= len(shapes):
                beside += same_pin[reached[here - len(shapes)][0]]
            for other in beside:
                if other in todo:
                    todo.discard(other)
                    stack.append(other)
        yield ([everything[index] for index in group if index < len(shapes)],
               {reached[index - len(shapes)][0] for index in group if index >= len(shapes)})


def side_area_um2(shapes: Sequence[Shape], thickness_nm: int) -> float:
    """The area of the walls around shapes that may overlap.

    >>> side_area_um2([Shape("met1", 0, 0, 1000, 1000), Shape("met1", 500, 0, 2000, 1000)], 500)
    3.0
    """
    if not shapes:
        return 0.0
    rects = np.array([shape[1:] for shape in shapes])
    xs, ys = np.unique(rects[:, [0, 2]]), np.unique(rects[:, [1, 3]])
    filled = np.zeros((len(xs) + 1, len(ys) + 1), np.int8)
    for x0, y0, x1, y1 in rects.tolist():
        filled[np.searchsorted(xs, x0) + 1:np.searchsorted(xs, x1) + 1,
               np.searchsorted(ys, y0) + 1:np.searchsorted(ys, y1) + 1] = 1
    edges_x = np.abs(np.diff(filled, axis=0))[:, 1:-1]          # walls that stand at xs, between ys
    edges_y = np.abs(np.diff(filled, axis=1))[1:-1, :]
    length = (edges_x * np.diff(ys)[None, :]).sum() + (edges_y * np.diff(xs)[:, None]).sum()
    return float(length) * thickness_nm / 1e6
