"""Opens, shorts, spacing and areas of routed nets, found on the shapes alone.

It knows neither the lattice nor the search: it takes what a DEF file would hold, draws it, and looks at rectangles.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Placement, Routes, pin_shapes, to_die
from flow.physical.geometry import Shape
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.route.jit import jit

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
            *_conflicts(names, drawn, pins, list(_others(placement, netlist, cells, set(names))), technology)]


def _others(placement: Placement, netlist: Netlist, cells: Cells, names: set[str]) -> Iterator[Shape]:
    """Metal that is nobody's."""
    for name, placed in placement.instances.items():
        cell = cells[placed.cell]
        for pin, abstract in cell.pins.items():
            if netlist.net_of.get((name, pin)) not in names:
                yield from (to_die(placed, cell, shape) for shape in abstract.shapes)
        yield from (to_die(placed, cell, shape) for shape in cell.obstructions)
    for net in placement.supplies:
        yield from placement.supply_shapes(net)
    for port, shape in placement.ports.items():
        if netlist.net_of.get(("", port)) not in names:
            yield shape


@jit
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


def _conflicts(names: list[str], drawn: Mapping[str, list[Shape]], pins: Mapping[str, list[list[Shape]]],
               others: list[Shape], technology: Technology) -> Iterator[Fault]:
    """Shorts, spacing and least area, layer by layer with KLayout."""
    layout = kdb.Layout()
    layout.dbu = 0.001
    top = layout.create_cell("nets")
    index = {layer: layout.layer(number, 0) for number, layer in enumerate([*technology.layers, *technology.cuts])}
    marks = [layout.properties_id([(1, number)]) for number in range(len(names) + 1)]
    for number, net in enumerate(names, 1):
        for shape in (*drawn[net], *(shape for own in pins[net] for shape in own)):
            if shape.layer in index:
                top.shapes(index[shape.layer]).insert(kdb.Box(*shape[1:]), marks[number])
    for shape in others:
        if shape.layer in index:
            top.shapes(index[shape.layer]).insert(kdb.Box(*shape[1:]), marks[NOBODY])
    near = _NetsNear(names, drawn, pins)
    for layer, rule in technology.layers.items():
        yield from _shorts(layer, kdb.Region(top.begin_shapes_rec(index[layer])), near)
        whole = kdb.Region(top.begin_shapes_rec(index[layer])).merged()
        yield from _close(layer, whole, rule.spacing, near)
        for hole in whole.holes().with_area(0, rule.min_hole_area, False).each():
            if near.drawn_at(layer, hole.bbox()):
                yield _fault("hole", layer, hole.bbox(), near)
        for polygon in whole.with_area(0, rule.min_area, False).each():
            if near.drawn_at(layer, polygon.bbox()):
                yield _fault("area", layer, polygon.bbox(), near)
    for cut, rule in technology.cuts.items():
        yield from _close(cut, kdb.Region(top.begin_shapes_rec(index[cut])).merged(), rule.spacing, near)


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
