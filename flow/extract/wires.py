"""Resistance and capacitance of a routed design's wires: from the layout to `RcNet`s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flow.extract.corners import RC_CORNERS
from flow.extract.coupling import Look, edge_capacitances, new_sums
from flow.extract.network import Network, Ohms, build_network
from flow.extract.scene import Scene, build_scene
from flow.extract.spef import Capacitor, RcNet, check_rc_net
from flow.extract.stack import METALS, resistance_factor
from flow.extract.view import BUCKET, MOST, Space, fill_buckets, new_view
from flow.physical.abstract import Cells
from flow.physical.design import Design, pin_shapes
from flow.physical.technology import Technology
from golden.spec import SpecError

BLOCK = 4000
PAIRS = 4_000_000
"""Rectangles at a time, and how many pieces of coupling they may have."""

FEMTO = 1e-3
LEAST_COUPLING_FF = 0.1
"""Coupling between two nodes below this goes to ground at both."""


@dataclass(frozen=True)
class Wires:
    """The nets of a corner; grounded_ff: coupling between nets that went to ground at both."""

    nets: tuple[RcNet, ...]
    grounded_ff: float


def ohms_of(technology: Technology, temperature_c: float) -> Ohms:
    """Resistances of a technology (of a corner) at a temperature."""
    return Ohms({name: layer.resistance * resistance_factor(name, temperature_c)
                 for name, layer in technology.layers.items()},
                {name: cut.resistance * resistance_factor(name, temperature_c)
                 for name, cut in technology.cuts.items()})


def build_networks(design: Design, cells: Cells, technology: Technology, ohms: Ohms) -> dict[str, Network]:
    """The network of every net that has a route; SpecError for a net of two pins and more that has none."""
    missing = [net for net, pins in design.netlist.nets.items() if len(pins) > 1 and net not in design.routes]
    if missing:
        raise SpecError(f"every net of {design.placement.top} must be routed to be extracted, and {len(missing)} are "
                        f"not, such as {missing[0]}; run the step route")
    return {net: build_network(design.routes[net],
                               {pin: pin_shapes(design.placement, cells, *pin) for pin in pins}, technology, ohms)
            for net, pins in design.netlist.nets.items() if net in design.routes}


def extract_wires(design: Design, cells: Cells, networks: Mapping[str, Mapping[str, Network]],
                  tables: Look) -> dict[str, Wires]:
    """The nets of each corner with their capacitances. The same layout gives the same values, bit for bit.

    networks: corner -> those of `build_networks`, which differ in nothing but resistance.
    """
    scene = build_scene(design, cells, next(iter(networks.values())))
    ground, pairs, values = capacitances(scene, tables)
    found = {}
    for corner, of_corner in networks.items():
        column = RC_CORNERS.index(corner)
        found[corner] = _as_wires(scene, of_corner, ground[:, column] * FEMTO, pairs, values[:, column] * FEMTO)
        for net in found[corner].nets:
            check_rc_net(net, design.netlist.nets[net.name])
    return found


def capacitances(scene: Scene, tables: Look) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """aF of each node to ground (nodes, corners), pairs of nodes (n, 2) in order, and theirs (n, corners)."""
    n_nodes = int(scene.node_start[-1])
    space = space_of(scene)
    view, sums = new_view(), new_sums(n_nodes, PAIRS, len(RC_CORNERS))
    keys, values = [np.zeros(0, np.int64)], [np.zeros((0, len(RC_CORNERS)))]
    for first in range(0, scene.n_wires, BLOCK):
        sums.count[0] = 0
        if not edge_capacitances(space, view, tables, sums, first, min(first + BLOCK, scene.n_wires)):
            raise SpecError(f"there must be fewer than {MOST} shapes of a metal around a wire, and there are more near "
                            f"{scene.rects[first].tolist()} nm")
        used = slice(0, int(sums.count[0]))
        some = _summed(sums.pairs[used, 0] * n_nodes + sums.pairs[used, 1], sums.values[used])
        keys.append(some[0])
        values.append(some[1])
    key, total = _summed(np.concatenate(keys), np.concatenate(values))
    return sums.ground, np.stack([key // n_nodes, key % n_nodes], axis=1), total


def space_of(scene: Scene) -> Space:
    """The scene as compiled code takes it."""
    nx, ny = (scene.rects[:, 2:].max(axis=0) // BUCKET + 1).tolist()
    return Space(scene.rects, scene.layer, scene.net, len(scene.names), scene.tap_start, scene.tap_at, scene.tap_node,
                 *fill_buckets(scene.rects, scene.layer, len(METALS), nx, ny), nx, ny, len(METALS))


def _summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal keys once, with the sum of their values, always added in the same order."""
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], (np.add.reduceat(values, starts) if len(keys) else values)


def _as_wires(scene: Scene, networks: Mapping[str, Network], ground: np.ndarray, pairs: np.ndarray,
              values: np.ndarray) -> Wires:
    small = values < LEAST_COUPLING_FF
    for column in range(2):
        np.add.at(ground, pairs[small, column], values[small])
    grounded = float(values[small].sum())
    pairs, values = pairs[~small], values[~small]
    net_of = np.repeat(np.arange(len(scene.names)), np.diff(scene.node_start)).tolist()
    nodes = [node for name in scene.names for node in networks[name].nodes]
    mine: list[list[Capacitor]] = [[] for _ in scene.names]
    for node, value in enumerate(np.maximum(ground, 0.0).tolist()):
        if value > 0:
            mine[net_of[node]].append(Capacitor(nodes[node], value))
    for (a, b), value in zip(pairs.tolist(), values.tolist(), strict=True):
        for one, other in ((a, b), (b, a)):
            mine[net_of[one]].append(Capacitor(nodes[one], value, (scene.names[net_of[other]], nodes[other])))
    return Wires(tuple(RcNet(name, networks[name].resistors, tuple(mine[number]))
                       for number, name in enumerate(scene.names)), grounded)
