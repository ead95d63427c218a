"""A layout in the making: where everything is placed, the power grid, and the routes. Lengths are integer nm.

The die's lower left corner is the origin; tracks and sites are counted from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from flow.physical.abstract import CellAbstract, Cells
from flow.physical.geometry import Rect, Shape, placed_rect, placed_size
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology, Via


class Row(NamedTuple):
    """A row of sites from x0 to x1 with its bottom at y; its cells are placed N or FN (FS or S when it is FS)."""

    y: int
    x0: int
    x1: int
    orientation: str


class Placed(NamedTuple):
    """An instance: its cell, the lower left corner as placed, orientation, and whether placement must leave it."""

    cell: str
    x: int
    y: int
    orientation: str
    fixed: bool = False


class ViaUse(NamedTuple):
    """A via, by the name of its definition, at a point."""

    via: str
    x: int
    y: int


class Wire(NamedTuple):
    """A wire of the layer's default width along a centre line, half its width longer at both ends."""

    layer: str
    x0: int
    y0: int
    x1: int
    y1: int

    def shape(self, technology: Technology) -> Shape:
        """What it draws."""
        half = technology.layers[self.layer].width // 2
        return Shape(self.layer, min(self.x0, self.x1) - half, min(self.y0, self.y1) - half,
                     max(self.x0, self.x1) + half, max(self.y0, self.y1) + half)


@dataclass(frozen=True)
class SupplyNet:
    """A net of the power grid.

    use:    POWER or GROUND.
    rails:  met1 along the rows; straps: all other metal. pins: those straps that are the module's port.
    vias:   with definitions in Placement.vias.
    """

    use: str
    rails: tuple[Shape, ...] = ()
    straps: tuple[Shape, ...] = ()
    pins: tuple[Shape, ...] = ()
    vias: tuple[ViaUse, ...] = ()


@dataclass(frozen=True)
class Placement:
    """Everything but the signal wires.

    instances: of the netlist, and physical ones (taps, end caps, fill), which are in no netlist.
    ports:     bit -> its pin at the die's edge; supplies have theirs in `supplies`.
    blockages: where neither cells nor wires of that layer may be ("": cells only).
    vias:      definitions that the power grid uses, by name.
    """

    top: str
    die: Rect
    core: Rect
    rows: tuple[Row, ...] = ()
    instances: dict[str, Placed] = field(default_factory=dict)
    ports: dict[str, Shape] = field(default_factory=dict)
    supplies: dict[str, SupplyNet] = field(default_factory=dict)
    blockages: tuple[Shape, ...] = ()
    vias: dict[str, Via] = field(default_factory=dict)

    def supply_shapes(self, net: str) -> Iterator[Shape]:
        """Everything that the power grid draws of a net, cuts as well."""
        supply = self.supplies[net]
        yield from supply.rails
        yield from supply.straps
        for use in supply.vias:
            for shape in self.vias[use.via].shapes:
                yield shape.moved(use.x, use.y)


@dataclass(frozen=True)
class NetRoute:
    """The metal of a net: wires, vias (by the technology's names) and rectangles besides them (pin stubs, patches)."""

    wires: tuple[Wire, ...] = ()
    vias: tuple[ViaUse, ...] = ()
    patches: tuple[Shape, ...] = ()

    def shapes(self, technology: Technology) -> Iterator[Shape]:
        """Everything that is drawn."""
        for wire in self.wires:
            yield wire.shape(technology)
        for use in self.vias:
            for shape in technology.vias[use.via].shapes:
                yield shape.moved(use.x, use.y)
        yield from self.patches


Routes = dict[str, NetRoute]
"""Net -> its metal."""


@dataclass(frozen=True)
class Design:
    """What a DEF file holds."""

    placement: Placement
    netlist: Netlist
    routes: Routes = field(default_factory=dict)


def outline(placed: Placed, cell: CellAbstract) -> Rect:
    """What an instance covers in the die."""
    width, height = placed_size(placed.orientation, cell.width, cell.height)
    return Rect(placed.x, placed.y, placed.x + width, placed.y + height)


def to_die(placed: Placed, cell: CellAbstract, shape: Shape) -> Shape:
    """A shape of a cell (a pin's, an obstruction) in die coordinates."""
    return _turned(placed.orientation, cell.width, cell.height, shape).moved(placed.x, placed.y)


@cache
def _turned(orientation: str, width: int, height: int, shape: Shape) -> Shape:
    """A shape of a cell that is placed at the origin; there are many cells and few kinds."""
    return Shape.of(shape.layer, placed_rect(orientation, width, height, shape.rect))


def pin_shapes(placement: Placement, cells: Cells, instance: str, pin: str) -> list[Shape]:
    """The shapes of an instance's pin, or of a port (instance ""), in die coordinates."""
    if not instance:
        return [placement.ports[pin]]
    placed = placement.instances[instance]
    cell = cells[placed.cell]
    return [to_die(placed, cell, shape) for shape in cell.pins[pin].shapes]


def pin_centre(placement: Placement, cells: Cells, instance: str, pin: str) -> tuple[int, int]:
    """The middle of all shapes of a pin."""
    shapes = pin_shapes(placement, cells, instance, pin)
    return ((min(s.x0 for s in shapes) + max(s.x1 for s in shapes)) // 2,
            (min(s.y0 for s in shapes) + max(s.y1 for s in shapes)) // 2)


def half_perimeters(placement: Placement, netlist: Netlist, cells: Cells) -> dict[str, int]:
    """Net -> half the perimeter of the box around its pins' centres, nm; nets with one pin are not in it."""
    offsets: dict[tuple[str, str, str], tuple[int, int]] = {}
    lengths = {}
    for net, pins in netlist.nets.items():
        if len(pins) < 2:
            continue
        xs, ys = [], []
        for instance, pin in pins:
            if not instance:
                x, y = pin_centre(placement, cells, instance, pin)
            else:
                placed = placement.instances[instance]
                key = (placed.cell, placed.orientation, pin)
                if key not in offsets:
                    middle = pin_centre(placement, cells, instance, pin)
                    offsets[key] = (middle[0] - placed.x, middle[1] - placed.y)
                x, y = placed.x + offsets[key][0], placed.y + offsets[key][1]
            xs.append(x)
            ys.append(y)
        lengths[net] = max(xs) - min(xs) + max(ys) - min(ys)
    return lengths
