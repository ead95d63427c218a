"""Parasitics before there are wires: a Steiner tree of every placed net, with values a length from the kit.

A piece of wire is as long sideways and upwards as the tree has it, in the layers that the router prefers for each;
half of its capacitance is at either end. Every pin has the vias that lead from it to the lower of the two layers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from flow.extract.estimates import Estimates
from flow.extract.spef import Capacitor, RcNet, Resistor
from flow.physical.abstract import Cells
from flow.physical.design import Placement, pin_centre
from flow.physical.geometry import NM_PER_UM
from flow.physical.netlist import Netlist, Pin
from flow.timing.trees import Trees, build_trees

PIN_LAYER = "li1"
LEAST_OHM = 1e-3
"""Between nodes at one point: SPEF wants everything to hang together by resistors."""


@dataclass(frozen=True)
class WireModel:
    """Of a um of wire sideways (h) and upwards (v), ohm and fF; of the vias at a pin, ohm."""

    h_ohm: float
    v_ohm: float
    h_femtofarad: float
    v_femtofarad: float
    pin_ohm: float


def wire_model(estimates: Estimates, horizontal: tuple[str, ...] = ("met1", "met3"),
               vertical: tuple[str, ...] = ("met2", "met4")) -> WireModel:
    """The mean of the layers that wires of each direction run in; pins are contacted from the lowest upper layer."""
    sideways, upwards = estimates.mean(*horizontal), estimates.mean(*vertical)
    pin_ohm, lower = 0.0, PIN_LAYER
    while lower != vertical[0]:
        upper = next(pair[1] for pair in estimates.cut_ohm if pair[0] == lower)
        pin_ohm += estimates.cut_ohm[lower, upper]
        lower = upper
    return WireModel(sideways.ohm_per_um, upwards.ohm_per_um, sideways.femtofarad_per_um, upwards.femtofarad_per_um,
                     pin_ohm)


@dataclass(frozen=True)
class NetTrees:
    """The nets of a placement with a driver and a sink, as trees.

    names: net of each tree; pins: all of their pins, each net's driver first.
    """

    names: list[str]
    pins: list[Pin]
    first_pin: np.ndarray
    trees: Trees

    @cached_property
    def net_of_node(self) -> np.ndarray:
        """(n_nodes,) the net's number."""
        return np.repeat(np.arange(len(self.names)), np.diff(self.trees.first))

    def stretched(self, detours: Mapping[str, float]) -> NetTrees:
        """The trees with the wires of some nets longer than they need to be: net -> length over that of its tree."""
        factor = np.array([detours.get(name, 1.0) for name in self.names])[self.net_of_node]
        dx, dy = (np.rint(axis * factor).astype(np.int64) for axis in (self.trees.dx, self.trees.dy))
        return replace(self, trees=replace(self.trees, dx=dx, dy=dy))

    def segments(self, model: WireModel) -> tuple[np.ndarray, np.ndarray]:
        """(n_nodes,) ohm and fF of the wire from each node to its parent; the vias of pins are in it."""
        trees = self.trees
        dx, dy = trees.dx / NM_PER_UM, trees.dy / NM_PER_UM
        ohm = dx * model.h_ohm + dy * model.v_ohm + np.where((trees.pin >= 0) & (trees.parent >= 0), model.pin_ohm, 0.0)
        femtofarad = dx * model.h_femtofarad + dy * model.v_femtofarad
        return np.where(trees.parent >= 0, np.maximum(ohm, LEAST_OHM), 0.0), femtofarad

    def values(self, model: WireModel) -> tuple[np.ndarray, np.ndarray]:
        """(n_nodes,) ohm of the wire from each node to its parent, and fF at each node: half of that of its wires."""
        trees, (ohm, femtofarad) = self.trees, self.segments(model)
        at_node = np.zeros(len(ohm))
        np.add.at(at_node, np.arange(len(ohm)), femtofarad / 2)
        np.add.at(at_node, np.maximum(trees.parent, 0), np.where(trees.parent >= 0, femtofarad / 2, 0.0))
        return ohm, at_node

    def rc_nets(self, model: WireModel) -> Iterator[RcNet]:
        """Every net as a network."""
        trees, (ohm, at_node) = self.trees, self.values(model)
        for number, name in enumerate(self.names):
            begin, end = trees.first[number:number + 2]
            nodes = [self.pins[pin] if pin >= 0 else at + 1 for at, pin in enumerate(trees.pin[begin:end].tolist())]
            resistors = tuple(Resistor(nodes[parent - begin], nodes[at], float(ohm[begin + at]))
                              for at, parent in enumerate(trees.parent[begin:end].tolist()) if parent >= 0)
            yield RcNet(name, resistors, tuple(Capacitor(node, float(value)) for node, value in
                                               zip(nodes, at_node[begin:end], strict=True)))


def net_trees(placement: Placement, netlist: Netlist, cells: Cells, without: Collection[str] = ()) -> NetTrees:
    """Trees of the nets that have a driver and a sink and are not in `without` (an ideal clock)."""
    names, pins, first = [], [], [0]
    for net, its_pins in netlist.nets.items():
        driver = netlist.driver(net, cells) if len(its_pins) > 1 and net not in without else None
        if driver is None:
            continue
        names.append(net)
        pins.append(driver)
        pins += [pin for pin in its_pins if pin != driver]
        first.append(len(pins))
    points = np.array(pin_points(placement, cells, pins), np.int64).reshape(-1, 2)
    first_pin = np.array(first, np.int64)
    return NetTrees(names, pins, first_pin, build_trees(first_pin, points[:, 0].copy(), points[:, 1].copy()))


def pin_points(placement: Placement, cells: Cells, pins: list[Pin]) -> list[tuple[int, int]]:
    """The middles of pins in the die, nm."""
    offsets: dict[tuple[str, str, str], tuple[int, int]] = {}
    points = []
    for instance, pin in pins:
        if not instance:
            points.append(pin_centre(placement, cells, instance, pin))
            continue
        placed = placement.instances[instance]
        key = (placed.cell, placed.orientation, pin)
        if key not in offsets:
            middle = pin_centre(placement, cells, instance, pin)
            offsets[key] = (middle[0] - placed.x, middle[1] - placed.y)
        dx, dy = offsets[key]
        points.append((placed.x + dx, placed.y + dy))
    return points
