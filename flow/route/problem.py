"""What the router gets: nets as lists of nodes, and who may use which node. Arrays only, so that numba can work on it.

`build_problem` makes it of placed cells, macros, ports and the power grid. The numbers in `wire` and `via` say who may
use a place: 0 anyone, -1 no one, net + 1 that net alone, because metal of a pin of it is near.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flow.route.access import CellAccess, mirrored
from flow.route.lattice import Lattice, Rect, Stack, centred, reach_mask
from flow.route.macro import beyond, extend
from golden.spec import SpecError

FREE, BLOCKED = 0, -1

PinKey = tuple[str, str]
"""Instance and pin; the instance of a port is ""."""


@dataclass(frozen=True)
class PlacedCell:
    """A standard cell; x, y nm of its lower left corner."""

    name: str
    access: CellAccess
    x: int
    y: int
    orientation: str


@dataclass(frozen=True)
class MetalPin:
    """A pin that is metal on a layer that is routed on: a port, or, with its macro's outline, a macro's pin.

    Rectangles in die nm.
    """

    key: PinKey
    shapes: tuple[tuple[str, Rect], ...]
    outline: Rect | None = None


@dataclass(frozen=True)
class Scene:
    """All that lies in the die before routing.

    nets:       net -> its pins, at least the ones to be connected.
    obstacles:  layer, rectangle: supply rails and straps, macros, blockages.
    """

    die: Rect
    cells: Sequence[PlacedCell]
    metal_pins: Sequence[MetalPin]
    nets: Mapping[str, Sequence[PinKey]]
    obstacles: Sequence[tuple[str, Rect]]


@dataclass(frozen=True)
class RoutingProblem:
    """Nets, pins and nodes; a pin's nodes are `nodes[pin_start[p]:pin_start[p + 1]]`, a net's pins likewise.

    names:      of the nets, sorted; nets of one pin are left out.
    contact:    for each entry of `nodes`, whether it takes a via (vias[0]) down to the pin.
    wire:       int32 (n_nodes,): who may have metal there.
    via:        int32 (n_layers - 1, plane): who may have a via from layer i to i + 1 there.
    fixed:      net, layer, rectangle of metal that pins bring with them (drawn already, or drawn by `stubs`).
    stubs:      net, metal of the lowest layer, place of the cut: to be drawn with the routes.
    extensions: net, layer, rectangle: metal at macros' edges, to be drawn with the routes.
    """

    stack: Stack
    lattice: Lattice
    names: tuple[str, ...]
    net_start: np.ndarray
    pin_start: np.ndarray
    nodes: np.ndarray
    contact: np.ndarray
    wire: np.ndarray
    via: np.ndarray
    fixed: tuple[tuple[int, int, Rect], ...]
    stubs: tuple[tuple[int, Rect, tuple[int, int]], ...]
    extensions: tuple[tuple[int, int, Rect], ...]
    pin_keys: tuple[PinKey, ...] = field(repr=False, default=())

    @property
    def n_nets(self) -> int:
        return len(self.names)

    def pin_xy(self) -> np.ndarray:
        """(n_pins, 2) nm: the middle of each pin's nodes."""
        rest = self.nodes % self.lattice.plane
        xy = np.stack((self.lattice.x0 + rest % self.lattice.nx * self.lattice.pitch_x,
                       self.lattice.y0 + rest // self.lattice.nx * self.lattice.pitch_y), axis=1).astype(np.float64)
        return np.add.reduceat(xy, self.pin_start[:-1], axis=0) / np.diff(self.pin_start)[:, None]

    def half_perimeter_nm(self) -> float:
        """Sum over the nets of half the perimeter of the box around their pins."""
        xy = self.pin_xy()
        span = (np.maximum.reduceat(xy, self.net_start[:-1], axis=0)
                - np.minimum.reduceat(xy, self.net_start[:-1], axis=0))
        return float(span.sum())


class _Builder:
    """Collects who has what; nodes of pins before nodes that nobody may have."""

    def __init__(self, scene: Scene, stack: Stack, lattice: Lattice) -> None:
        self.stack, self.lattice, self.scene = stack, lattice, scene
        self.names = tuple(sorted(net for net, pins in scene.nets.items() if len(pins) > 1))
        self.net_of = {key: index for index, net in enumerate(self.names) for key in scene.nets[net]}
        self.wire = np.zeros(lattice.n_nodes, np.int32)
        self.via = np.zeros((lattice.n_layers - 1, lattice.plane), np.int32)
        self.pins: dict[PinKey, tuple[list[int], list[bool]]] = {}
        self.fixed: list[tuple[int, int, Rect]] = []
        self.stubs: list[tuple[int, Rect, tuple[int, int]]] = []
        self.extensions: list[tuple[int, int, Rect]] = []
        self.macro_metal = [(pin.key, stack.layer_index(name), beyond(rect, pin.outline)) for pin in scene.metal_pins
                            if pin.outline for name, rect in pin.shapes]

    def own(self, values: np.ndarray, index: np.ndarray | int, net: int | None) -> None:
        """Takes places for a net, or for nobody (None); two owners make it nobody's."""
        if net is None:
            values[index] = BLOCKED
        else:
            held = values[index]
            values[index] = np.where((held == FREE) | (held == net + 1), net + 1, BLOCKED)

    def metal(self, layer: int, rect: Rect, net: int | None) -> None:
        """Takes what a rectangle of metal keeps others from: wires, pads of the vias below and above."""
        rule = self.stack.layers[layer]
        spacing = rule.spacing_to(rect)
        plane, nx = self.lattice.plane, self.lattice.nx
        wanted = [(self.wire[layer * plane:(layer + 1) * plane], (rule.half_width, rule.half_width))]
        if layer:
            wanted.append((self.via[layer - 1], self.stack.vias[layer].upper))
        if layer + 1 < self.lattice.n_layers:
            wanted.append((self.via[layer], self.stack.vias[layer + 1].lower))
        for values, half in wanted:
            rows, columns, mask = reach_mask(self.lattice, rect, half, spacing)
            view = values.reshape(self.lattice.ny, nx)[rows, columns]
            if net is None:
                view[mask] = BLOCKED
            else:
                view[mask] = np.where((view[mask] == FREE) | (view[mask] == net + 1), net + 1, BLOCKED)

    def parity(self) -> None:
        """Coarser layers do not have every row or column."""
        wire = self.wire.reshape(self.lattice.n_layers, self.lattice.ny, self.lattice.nx)
        via = self.via.reshape(-1, self.lattice.ny, self.lattice.nx)
        for index, rule in enumerate(self.stack.layers):
            for offset in range(1, rule.step):
                part = np.s_[offset::rule.step, :] if rule.horizontal else np.s_[:, offset::rule.step]
                for values in (wire[index], *(via[k] for k in (index - 1, index) if 0 <= k < len(via))):
                    values[part] = BLOCKED


def build_problem(scene: Scene, stack: Stack, lattice: Lattice) -> RoutingProblem:
    """SpecError when a cell is off the lattice, or a pin of a net is not there or has no node left."""
    builder = _Builder(scene, stack, lattice)
    builder.parity()
    _add_cells(builder)
    for pin in scene.metal_pins:
        _add_metal_pin(builder, pin)
    for name, rect in scene.obstacles:
        layer = stack.layer_index(name)
        if layer is not None:
            builder.metal(layer, rect, None)
    for net, layer, rect in builder.extensions:      # last: only they may be so near to their macro
        builder.metal(layer, rect, net)
    net_start, pin_start, nodes, contact, keys = [0], [0], [], [], []
    for index, net in enumerate(builder.names):
        cuts: set[int] = set()
        for key in sorted(scene.nets[net]):
            found, down = _apart(*_usable(builder, index, net, key), cuts, lattice.nx)
            cuts.update(node for node, here in zip(found, down, strict=True) if here)
            nodes += found
            contact += down
            pin_start.append(len(nodes))
            keys.append(key)
        net_start.append(len(keys))
    return RoutingProblem(stack, lattice, builder.names, np.array(net_start, np.int32), np.array(pin_start, np.int32),
                          np.array(nodes, np.int32), np.array(contact, np.bool_), builder.wire, builder.via,
                          tuple(builder.fixed), tuple(builder.stubs), tuple(builder.extensions), tuple(keys))


def _usable(builder: _Builder, index: int, net: str, key: PinKey) -> tuple[list[int], list[bool]]:
    if key not in builder.pins:
        raise SpecError(f"net {net} must end at pins that are in the die, and {key[0] or 'port'} {key[1]} is none")
    nodes, contact = builder.pins[key]
    free = [i for i, node in enumerate(nodes) if builder.wire[node] in (FREE, index + 1)]
    if not free:
        place = builder.lattice.xy(nodes[0]) if nodes else "no node"
        raise SpecError(f"pin {key[0] or 'port'} {key[1]} of net {net} must have a node that nothing else takes, and "
                        f"has none of {len(nodes)} (at {place} nm)")
    return [nodes[i] for i in free], [contact[i] for i in free]


def _apart(nodes: list[int], contact: list[bool], cuts: set[int], nx: int) -> tuple[list[int], list[bool]]:
    """A pin's nodes without those whose cut would be one row from where another pin of the net may have its own.

    Rows are nearer to each other than two cuts may be. It concerns pins of one cell that are on one net; where nothing
    would be left, all stay.
    """
    free = [i for i, node in enumerate(nodes) if not contact[i] or not ({node - nx, node + nx} & cuts)]
    return ([nodes[i] for i in free], [contact[i] for i in free]) if free else (nodes, contact)


def _add_cells(builder: _Builder) -> None:
    """Pins and nodes of the standard cells; those of one kind and orientation at once."""
    groups: dict[tuple[str, str], list[PlacedCell]] = {}
    for cell in builder.scene.cells:
        groups.setdefault((cell.access.name, cell.orientation), []).append(cell)
    blocked_wire, blocked_via = [], []
    for (_, orientation), cells in sorted(groups.items()):
        access = cells[0].access
        base = np.array([_corner(builder.lattice, cell) for cell in cells])
        for table, blocked in ((access.wire, blocked_wire), (access.pad, blocked_via)):
            offsets = np.array([mirrored(node, access.columns, access.rows, orientation)
                                for node, owner in table.items() if not owner]).reshape(-1, 2)
            places = (base[:, None, :] + offsets[None, :, :]).reshape(-1, 2)
            inside = ((places >= 0) & (places < (builder.lattice.nx, builder.lattice.ny))).all(axis=1)
            blocked.append(places[inside, 1] * builder.lattice.nx + places[inside, 0])
        for cell, corner in zip(cells, base.tolist(), strict=True):
            _add_pins(builder, cell, corner)
    builder.wire[np.concatenate([np.zeros(0, np.int64), *blocked_wire])] = BLOCKED
    builder.via[0, np.concatenate([np.zeros(0, np.int64), *blocked_via])] = BLOCKED


def _corner(lattice: Lattice, cell: PlacedCell) -> tuple[int, int]:
    """Column and row of the node nearest to the lower left corner of a cell."""
    column, left = divmod(cell.x + lattice.pitch_x // 2 - lattice.x0, lattice.pitch_x)
    row, below = divmod(cell.y + lattice.pitch_y // 2 - lattice.y0, lattice.pitch_y)
    if left or below:
        raise SpecError(f"cell {cell.name} must stand on the tracks, x a multiple of {lattice.pitch_x} and y of "
                        f"{lattice.pitch_y} nm, not at {cell.x}, {cell.y}")
    return column, row


def _add_pins(builder: _Builder, cell: PlacedCell, corner: list[int]) -> None:
    access, lattice = cell.access, builder.lattice

    def number(node: tuple[int, int]) -> int | None:
        column, row = mirrored(node, access.columns, access.rows, cell.orientation)
        column, row = column + corner[0], row + corner[1]
        return row * lattice.nx + column if 0 <= column < lattice.nx and 0 <= row < lattice.ny else None

    for table, values in ((access.wire, builder.wire), (access.pad, builder.via[0])):
        for node, owner in table.items():
            place = number(node) if owner else None
            if place is not None:
                builder.own(values, place, builder.net_of.get((cell.name, owner)))
    for pin, found in access.pins.items():
        net = builder.net_of.get((cell.name, pin))
        if net is None:
            continue
        nodes = [number(node) for node in found.nodes]
        contact = [True] * len(found.contact) + [False] * (len(nodes) - len(found.contact))
        builder.pins[cell.name, pin] = nodes, contact
        builder.fixed += [(net, 0, place_rect(rect, cell, lattice)) for rect in found.metal]
        if found.stub:
            metal = place_rect(found.stub.metal, cell, lattice)
            cut = place_rect((*found.stub.cut, *found.stub.cut), cell, lattice)
            builder.stubs.append((net, metal, cut[:2]))
            builder.fixed.append((net, 0, metal))


def place_rect(rect: Rect, cell: PlacedCell, lattice: Lattice) -> Rect:
    """A rectangle of a cell in die coordinates."""
    width, height = cell.access.columns * lattice.pitch_x, cell.access.rows * lattice.pitch_y
    x0, y0, x1, y1 = rect
    if cell.orientation in ("S", "FN"):
        x0, x1 = width - x1, width - x0
    if cell.orientation in ("S", "FS"):
        y0, y1 = height - y1, height - y0
    return x0 + cell.x, y0 + cell.y, x1 + cell.x, y1 + cell.y


def _add_metal_pin(builder: _Builder, pin: MetalPin) -> None:
    """A port is reached at the nodes on its metal, a macro's pin where its metal is brought out to a node."""
    net = builder.net_of.get(pin.key)
    nodes: list[int] = []
    for name, rect in pin.shapes:
        layer = builder.stack.layer_index(name)
        if layer is None:
            continue
        builder.metal(layer, rect, net)
        if net is None:
            continue
        builder.fixed.append((net, layer, rect))
        if pin.outline is None:
            nodes += _nodes_on(builder, layer, rect)
        elif not nodes:
            others = [metal for key, at, metal in builder.macro_metal if key != pin.key and at == layer]
            found = extend(builder.lattice, builder.stack.layers[layer], layer, rect, pin.outline, others,
                           "/".join(pin.key))
            nodes.append(found.node)
            builder.macro_metal += [(pin.key, layer, metal) for metal in found.metal]
            builder.extensions += [(net, layer, metal) for metal in found.metal]
            builder.fixed += [(net, layer, metal) for metal in found.metal]
    if net is not None:
        builder.pins[pin.key] = nodes, [False] * len(nodes)


def _nodes_on(builder: _Builder, layer: int, rect: Rect) -> list[int]:
    """Nodes in the middle of the metal across, inside it along the layer's direction."""
    lattice, rule = builder.lattice, builder.stack.layers[layer]
    x_first, x_last, y_first, y_last = lattice.window(rect, 1, 1)
    found = []
    for row in range(y_first, y_last + 1):
        for column in range(x_first, x_last + 1):
            node = lattice.node(layer, column, row)
            wire = centred((rule.half_width, rule.half_width), *lattice.xy(node))
            low, high = (1, 3) if rule.horizontal else (0, 2)
            if wire[low] >= rect[low] and wire[high] <= rect[high]:
                found.append(node)
    return found
