"""Opens, shorts, spacing and areas of routed nets, found on the shapes alone.

It knows neither the lattice nor the search: it takes what a DEF file would hold, draws it, and looks at rectangles.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np

from flow.compiled import ROUTE
from flow.physical.abstract import Cells
from flow.physical.design import Placement, Routes, pin_shapes
from flow.physical.gds import transformation
from flow.physical.geometry import Shape
from flow.physical.netlist import Netlist, Pin
from flow.physical.technology import Technology

NOBODY = 0
"""The mark of metal that belongs to no routed net: supplies, obstructions, pins that are not connected."""

@dataclass(frozen=True)
class Fault:
    """kind: open, short, spacing, area, hole (enclosed by metal, and smaller than may be). layer: "" for an open.

    place: nm. what: the nets.
    """

    kind: str
    layer: str
    nets: tuple[str, ...]
    place: tuple[int, int]

    def __str__(self) -> str:
        on = f" in {self.layer}" if self.layer else ""
        return f"{self.kind}{on} at {self.place[0] / 1000:.3f}, {self.place[1] / 1000:.3f} um ({', '.join(self.nets)})"


def find_faults(placement: Placement, netlist: Netlist, routes: Routes, cells: Cells,
                technology: Technology) -> list[Fault]:
    """All faults, opens first."""
    names = sorted(net for net, pins in netlist.nets.items() if len(pins) > 1)
    drawn = {net: list(routes[net].shapes(technology)) if net in routes else [] for net in names}
    pins = {net: [pin_shapes(placement, cells, *pin) for pin in netlist.nets[net]] for net in names}
    return [*_opens(names, drawn, pins, technology),
            *_conflicts(_Drawing(names, drawn, pins, placement, netlist, cells, technology), technology)]


@ROUTE.jit
def _join(layers, rects, label, joins):
    """Gives shapes that touch, in one layer or in two that `joins` names, the same label (the least)."""
    changed = True
    while changed:
        changed = False
        for i in range(layers.size):
            for j in range(i + 1, layers.size):
                if label[i] == label[j] or not joins[layers[i], layers[j]]:
                    continue
                if (rects[i, 0] <= rects[j, 2] and rects[j, 0] <= rects[i, 2] and rects[i, 1] <= rects[j, 3]
                        and rects[j, 1] <= rects[i, 3]):
                    low = min(label[i], label[j])
                    label[i] = low
                    label[j] = low
                    changed = True


def _opens(names: Iterable[str], drawn: Mapping[str, list[Shape]], pins: Mapping[str, list[list[Shape]]],
           technology: Technology) -> Iterator[Fault]:
    """Nets whose pins are not in one piece; a pin's own shapes are joined inside its cell."""
    order = [*technology.layers, *technology.cuts]
    number = {layer: index for index, layer in enumerate(order)}
    joins = np.eye(len(order), dtype=np.bool_)
    for (lower, upper), cut in technology.cut_between.items():
        for layer in (lower, upper):
            joins[number[layer], number[cut]] = joins[number[cut], number[layer]] = True
    for net in names:
        shapes = [shape for shape in drawn[net] if shape.layer in number]
        label = list(range(len(shapes)))
        for pin, own in enumerate(pins[net]):
            own = [shape for shape in own if shape.layer in number]
            shapes += own
            label += [len(drawn[net]) + pin] * len(own)
        values = np.array(label)
        starts = values.copy()
        layers = np.array([number[shape.layer] for shape in shapes])
        rects = np.array([shape[1:] for shape in shapes])
        while True:
            before = values.copy()
            _join(layers, rects, values, joins)
            for pin in np.unique(starts[starts >= len(drawn[net])]):
                values[starts == pin] = values[starts == pin].min()
            if (before == values).all():
                break
        reached = [(values[starts == len(drawn[net]) + pin][0], own) for pin, own in enumerate(pins[net]) if own]
        apart = [own for label, own in reached if label != reached[0][0]]
        if apart:
            yield Fault("open", "", (net,), (apart[0][0].x0, apart[0][0].y0))


class _Drawing:
    """All metal as a KLayout layout; each shape carries its net's number, or NOBODY."""

    def __init__(self, names: list[str], drawn: Mapping[str, list[Shape]], pins: Mapping[str, list[list[Shape]]],
                 placement: Placement, netlist: Netlist, cells: Cells, technology: Technology) -> None:
        self.layout = kdb.Layout()
        self.layout.dbu = 0.001
        self.top = self.layout.create_cell("nets")
        self.index = {layer: self.layout.layer(number, 0)
                      for number, layer in enumerate([*technology.layers, *technology.cuts])}
        self.near = _NetsNear(names, drawn, pins)
        for number, net in enumerate(names, 1):
            self._put(self.top, (*drawn[net], *(shape for own in pins[net] for shape in own)), number)
        routed = set(names)
        for net in placement.supplies:
            self._put(self.top, placement.supply_shapes(net), NOBODY)
        self._put(self.top, (shape for port, shape in placement.ports.items()
                             if netlist.net_of.get(("", port)) not in routed), NOBODY)
        self._put_cells(placement, cells, {pin for net in names for pin in netlist.nets[net]})

    def _put(self, cell: kdb.Cell, shapes: Iterable[Shape], number: int) -> None:
        mark = self.layout.properties_id([(1, number)])
        for layer, *box in shapes:
            if layer in self.index:
                cell.shapes(self.index[layer]).insert(kdb.Box(*box), mark)

    def _put_cells(self, placement: Placement, cells: Cells, routed: set[Pin]) -> None:
        """What is nobody's in cells: drawn once a kind of cell where no cell of that kind has it in a routed net."""
        kinds = {placed.cell for placed in placement.instances.values()}
        used = {(placement.instances[instance].cell, pin) for instance, pin in routed if instance}
        drawn = {}
        for kind in sorted(kinds):
            drawn[kind] = self.layout.create_cell(kind)
            self._put(drawn[kind], cells[kind].obstructions, NOBODY)
            for pin, abstract in cells[kind].pins.items():
                if (kind, pin) not in used:
                    self._put(drawn[kind], abstract.shapes, NOBODY)
        for name, placed in placement.instances.items():
            self.top.insert(kdb.CellInstArray(drawn[placed.cell].cell_index(), transformation(placed, cells)))
            for pin in cells[placed.cell].pins:
                if (placed.cell, pin) in used and (name, pin) not in routed:
                    self._put(self.top, pin_shapes(placement, cells, name, pin), NOBODY)

    def on(self, layer: str) -> kdb.Region:
        return kdb.Region(self.top.begin_shapes_rec(self.index[layer]))


def _conflicts(drawing: _Drawing, technology: Technology) -> Iterator[Fault]:
    """Shorts, spacing and least area, layer by layer with KLayout."""
    near = drawing.near
    for layer, rule in technology.layers.items():
        yield from _shorts(layer, drawing.on(layer), near)
        whole = drawing.on(layer).merged()
        yield from _close(layer, whole, rule.spacing, near)
        for hole in whole.holes().with_area(0, rule.min_hole_area, False).each():
            if near.drawn_at(layer, hole.bbox()):
                yield _fault("hole", layer, hole.bbox(), near)
        for polygon in whole.with_area(0, rule.min_area, False).each():
            if near.drawn_at(layer, polygon.bbox()):
                yield _fault("area", layer, polygon.bbox(), near)
    for cut, rule in technology.cuts.items():
        yield from _close(cut, drawing.on(cut).merged(), rule.spacing, near)


class _NetsNear:
    """Which nets have metal at a place; asked only about faults."""

    def __init__(self, names: list[str], drawn: Mapping[str, list[Shape]], pins: Mapping[str, list[list[Shape]]]):
        self.names, self.drawn, self.pins = names, drawn, pins

    def __call__(self, layer: str, box: kdb.Box) -> tuple[str, ...]:
        return tuple(net for net in self.names if self._touches(self.drawn[net], layer, box)
                     or any(self._touches(shapes, layer, box) for shapes in self.pins[net]))

    def drawn_at(self, layer: str, box: kdb.Box) -> bool:
        """Whether a route, not only a pin, has metal at a place."""
        return any(self._touches(shapes, layer, box) for shapes in self.drawn.values())

    @staticmethod
    def _touches(shapes: Iterable[Shape], layer: str, box: kdb.Box) -> bool:
        return any(shape.layer == layer and shape.x0 <= box.right and box.left <= shape.x1
                   and shape.y0 <= box.top and box.bottom <= shape.y1 for shape in shapes)


def _fault(kind: str, layer: str, box: kdb.Box, near: _NetsNear) -> Fault:
    return Fault(kind, layer, near(layer, box) or ("no net",), (box.left, box.bottom))


def _shorts(layer: str, region: kdb.Region, near: _NetsNear) -> Iterator[Fault]:
    region.enable_properties()
    for polygon in region.and_(region, kdb.Region.DifferentPropertiesConstraint).merged().each():
        yield _fault("short", layer, polygon.bbox(), near)


def _close(layer: str, whole: kdb.Region, spacing: int, near: _NetsNear) -> Iterator[Fault]:
    whole.merged_semantics = False                         # it is merged already
    for pair in whole.space_check(spacing).each():
        yield _fault("spacing", layer, pair.bbox(), near)
