"""All metal of a layout as arrays: the nets' wires with their taps, and what stands around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from flow.extract.network import Network
from flow.extract.stack import METALS
from flow.physical.abstract import CellAbstract, Cells
from flow.physical.design import Design, Placed, pin_shapes
from flow.physical.geometry import Rect, Shape, placed_rect

LAYER = {name: number for number, name in enumerate(METALS)}


@dataclass(frozen=True)
class Scene:
    """Rectangles: (n, 4) nm, layer, net (len(names) for what is at a fixed voltage); the first `n_wires` are wires.

    tap_start (n + 1), tap_at, tap_node: the taps of each rectangle along its longer side, nodes counted over all nets.
    node_start: the first node of each net.
    """

    names: tuple[str, ...]
    rects: np.ndarray
    layer: np.ndarray
    net: np.ndarray
    n_wires: int
    tap_start: np.ndarray
    tap_at: np.ndarray
    tap_node: np.ndarray
    node_start: np.ndarray


def build_scene(design: Design, cells: Cells, networks: Mapping[str, Network]) -> Scene:
    """The nets of `networks` with their taps; all else of the layout as fixed."""
    names = tuple(networks)
    node_start = np.concatenate([[0], np.cumsum([len(networks[name].nodes) for name in names])]).astype(np.int64)
    rects, layers, nets, counts, at, node = [], [], [], [], [], []
    for number, name in enumerate(names):
        index = {item: int(node_start[number]) + k for k, item in enumerate(networks[name].nodes)}
        for conductor in networks[name].conductors:
            rects.append(conductor.shape[1:])
            layers.append(LAYER[conductor.shape.layer])
            nets.append(number)
            taps = conductor.taps or ((0, networks[name].nodes[0]),)
            counts.append(len(taps))
            at += [place for place, _ in taps]
            node += [index[item] for _, item in taps]
    n_wires = len(rects)
    pins = _pin_rects(design, cells, networks, node_start)
    fixed = np.concatenate([_fixed_rects(design, cells), _loose_rects(design, cells, networks)])
    all_rects = np.concatenate([np.array(rects, np.int64).reshape(-1, 4), pins[:, :4], fixed[:, :4]])
    all_layers = np.concatenate([np.array(layers, np.int64), pins[:, 4], fixed[:, 4]])
    all_nets = np.concatenate([np.array(nets, np.int64), pins[:, 5], np.full(len(fixed), len(names))])
    counts = np.concatenate([np.array(counts, np.int64), np.ones(len(pins), np.int64), np.zeros(len(fixed), np.int64)])
    return Scene(names, all_rects, all_layers, all_nets, n_wires,
                 np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                 np.concatenate([np.array(at, np.int64), pins[:, 0]]),
                 np.concatenate([np.array(node, np.int64), pins[:, 6]]), node_start)


def _pin_rects(design: Design, cells: Cells, networks: Mapping[str, Network], node_start: np.ndarray) -> np.ndarray:
    """Shapes of the pins of nets: x0, y0, x1, y1, layer, net, node."""
    rows = []
    for number, (name, network) in enumerate(networks.items()):
        index = {item: int(node_start[number]) + k for k, item in enumerate(network.nodes)}
        for pin in design.netlist.nets[name]:
            for shape in pin_shapes(design.placement, cells, *pin):
                if shape.layer in LAYER:
                    rows.append((*shape[1:], LAYER[shape.layer], number, index[pin]))
    return np.array(rows, np.int64).reshape(-1, 7)


def _fixed_rects(design: Design, cells: Cells) -> np.ndarray:
    """Everything that is no pin of a net: x0, y0, x1, y1, layer."""
    parts = [np.zeros((0, 5), np.int64)]
    groups: dict[tuple[str, str], list[Placed]] = {}
    for placed in design.placement.instances.values():
        groups.setdefault((placed.cell, placed.orientation), []).append(placed)
    for (name, orientation), members in groups.items():
        own = _cell_rects(cells[name], orientation)
        origin = np.array([(placed.x, placed.y, placed.x, placed.y, 0) for placed in members], np.int64)
        parts.append((own[None, :, :] + origin[:, None, :]).reshape(-1, 5))
    shapes = [shape for net in design.placement.supplies for shape in design.placement.supply_shapes(net)]
    parts.append(_rows(shapes))
    return np.concatenate(parts)


def _loose_rects(design: Design, cells: Cells, networks: Mapping[str, Network]) -> np.ndarray:
    """Signal pins that no extracted net takes: they count as fixed."""
    net_of = design.netlist.net_of
    pins = [("", port) for port in design.placement.ports]
    pins += [(name, pin) for name, placed in design.placement.instances.items()
             for pin in cells[placed.cell].signal_pins]
    return _rows(shape for pin in pins if net_of.get(pin) not in networks
                 for shape in pin_shapes(design.placement, cells, *pin))


def _cell_rects(cell: CellAbstract, orientation: str) -> np.ndarray:
    """Obstructions and supply pins of a cell as placed at the origin."""
    shapes = [*cell.obstructions, *(shape for pin in cell.pins.values() if pin.is_supply for shape in pin.shapes)]
    return _rows(Shape.of(shape.layer, placed_rect(orientation, cell.width, cell.height, Rect(*shape[1:])))
                 for shape in shapes)


def _rows(shapes: Iterable[Shape]) -> np.ndarray:
    return np.array([(*shape[1:], LAYER[shape.layer]) for shape in shapes if shape.layer in LAYER],
                    np.int64).reshape(-1, 5)
