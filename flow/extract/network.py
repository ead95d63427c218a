"""A net's metal as resistors: where wires, vias, patches and pins meet is a node.

Wires and patches are conductors along their longer side; what touches them taps them at its place along it. A via is
a resistor between a point of the lower and one of the upper metal. What meets a pin's shape meets the pin: its own
metal is in the cell's Liberty. A patch conducts only where no wire does: most of them only widen what is there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from flow.extract.spef import Node, Resistor
from flow.physical.design import NetRoute
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import Pin
from flow.physical.technology import Technology

Point = tuple[str, int, int]
"""Layer and place (nm)."""


@dataclass(frozen=True)
class Conductor:
    """A rectangle of a net's metal, and the nodes that tap it: (place along its longer side, node), in order."""

    shape: Shape
    taps: tuple[tuple[int, Node], ...]


@dataclass(frozen=True)
class Ohms:
    """Resistance of each metal (ohm a square) and of a cut between two (ohm), of a corner at its temperature."""

    sheet: Mapping[str, float]
    cut: Mapping[str, float]


class Strip(NamedTuple):
    """A resistor before a corner says its ohms: metal so long and wide (nm); of a via: the cut, one, how many."""

    a: Hashable
    b: Hashable
    layer: str
    length: int
    width: int


@dataclass(frozen=True)
class Network:
    """A net's nodes, pins first, its resistors and its rectangles. strips: what the resistors were made from."""

    nodes: tuple[Node, ...]
    resistors: tuple[Resistor, ...]
    conductors: tuple[Conductor, ...]
    strips: tuple[Strip, ...]

    def with_ohms(self, ohms: Ohms) -> Network:
        """The same network with the resistances of another corner."""
        return replace(self, resistors=resistors_of(self.strips, ohms))


def resistors_of(strips: Iterable[Strip], ohms: Ohms) -> tuple[Resistor, ...]:
    """The strips with a corner's ohms."""
    of = {**ohms.sheet, **ohms.cut}
    return tuple(Resistor(a, b, of[layer] * length / width) for a, b, layer, length, width in strips)


def build_network(route: NetRoute, pins: Mapping[Pin, Sequence[Shape]], technology: Technology, ohms: Ohms) -> Network:
    """The network of a routed net. pins: their shapes in the die."""
    builder = _Builder(technology)
    for pin, shapes in pins.items():
        builder.find(pin)
        for shape in shapes:
            if shape.layer in technology.layers:
                builder.pins.setdefault(shape.layer, []).append((shape, pin))
    for wire in route.wires:
        along_x = wire.y0 == wire.y1
        builder.add(_Piece(wire.shape(technology), along_x, technology.layers[wire.layer].width),
                    [(wire.layer, wire.x0, wire.y0), (wire.layer, wire.x1, wire.y1)])
    for use in route.vias:
        builder.add_via(use.via, use.x, use.y)
    builder.meet_pins()
    builder.meet_wires()
    patches = [_Piece(shape, shape.rect.width >= shape.rect.height, min(shape.rect.width, shape.rect.height))
               for shape in route.patches]
    builder.conduct(builder.wires)
    builder.add_patches(patches)
    return builder.network([*builder.wires, *patches], ohms)


@dataclass
class _Piece:
    """A conductor in the making; its points are found by place."""

    shape: Shape
    along_x: bool
    width: int
    points: list[Point] = field(default_factory=list)

    def at(self, point: Point) -> int:
        return point[1] if self.along_x else point[2]

    def middle(self, rect: Rect) -> Point:
        """The point on the centre line beside the middle of an overlap."""
        x, y = (rect.x0 + rect.x1) // 2, (rect.y0 + rect.y1) // 2
        own = self.shape
        return (own.layer, x, (own.y0 + own.y1) // 2) if self.along_x else (own.layer, (own.x0 + own.x1) // 2, y)


def _overlap(a: Shape, b: Shape) -> Rect | None:
    """Where two shapes of a layer lie over each other or touch."""
    _, ax0, ay0, ax1, ay1 = a
    _, bx0, by0, bx1, by1 = b
    if ax0 > bx1 or bx0 > ax1 or ay0 > by1 or by0 > ay1:          # most of those that are asked about
        return None
    return Rect(max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1))


def _holds(shape: Shape, point: Point) -> bool:
    _, x0, y0, x1, y1 = shape
    return x0 <= point[1] <= x1 and y0 <= point[2] <= y1


class _Builder:
    """Joins points to nodes (union-find) and collects resistors between points."""

    def __init__(self, technology: Technology):
        self.technology = technology
        self.parent: dict[Point | Pin, Point | Pin] = {}
        self.wires: list[_Piece] = []
        self.wires_in: dict[str, list[_Piece]] = {}               # by layer
        self.pads: list[tuple[Shape, Point]] = []
        self.pads_in: dict[str, list[tuple[Shape, Point]]] = {}
        self.pins: dict[str, list[tuple[Shape, Pin]]] = {}
        self.points: dict[str, list[Point]] = {}                  # by layer, in order of appearance
        self.strips: list[Strip] = []                             # between points

    def find(self, item: Point | Pin) -> Point | Pin:
        """What stands for everything that an item is one node with."""
        parent = self.parent
        if item not in parent:
            parent[item] = item
            if len(item) == 3:
                self.points.setdefault(item[0], []).append(item)
            return item
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    def join(self, a: Point | Pin, b: Point | Pin) -> None:
        """One node; a pin stands for it if there is one."""
        a, b = self.find(a), self.find(b)
        if len(b) == 2:
            a, b = b, a
        self.parent[b] = a

    def add(self, piece: _Piece, points: Iterable[Point]) -> None:
        self.wires.append(piece)
        self.wires_in.setdefault(piece.shape.layer, []).append(piece)
        for point in points:
            self.find(point)

    def add_via(self, name: str, x: int, y: int) -> None:
        via = self.technology.vias[name]
        low, high = (via.lower.layer, x, y), (via.upper.layer, x, y)
        self.find(low), self.find(high)
        self.strips.append(Strip(low, high, via.cuts[0].layer, 1, len(via.cuts)))
        for pad, point in ((via.lower.moved(x, y), low), (via.upper.moved(x, y), high)):
            self.pads.append((pad, point))
            self.pads_in.setdefault(pad.layer, []).append((pad, point))

    def meet_pins(self) -> None:
        """Points on a pin's shape are the pin; so is where a wire or a pad lies over one without such a point."""
        for layer, shapes in self.pins.items():
            for shape, pin in shapes:
                for point in list(self.points.get(layer, ())):
                    if _holds(shape, point):
                        self.join(pin, point)
                for wire in self.wires_in.get(layer, ()):
                    if rect := _overlap(wire.shape, shape):
                        self.join(pin, wire.middle(rect))
                for pad, point in self.pads_in.get(layer, ()):
                    if _overlap(pad, shape):
                        self.join(pin, point)

    def meet_wires(self) -> None:
        """Points where wires cross or touch."""
        seen: dict[str, int] = {}
        for one in self.wires:
            layer = one.shape.layer
            seen[layer] = seen.get(layer, 0) + 1
            for other in self.wires_in[layer][seen[layer]:]:
                if rect := _overlap(one.shape, other.shape):
                    if one.along_x != other.along_x:
                        across, along = (other, one) if one.along_x else (one, other)
                        self.find((layer, across.middle(rect)[1], along.middle(rect)[2]))
                    else:
                        self.join(one.middle(rect), other.middle(rect))

    def conduct(self, pieces: Iterable[_Piece]) -> None:
        """Resistors along conductors from point to point."""
        for piece in pieces:
            layer = piece.shape.layer
            piece.points = sorted((point for point in self.points.get(layer, ()) if _holds(piece.shape, point)),
                                  key=piece.at)
            for a, b in pairwise(piece.points):
                length = piece.at(b) - piece.at(a)
                if length == 0:
                    self.join(a, b)
                else:
                    self.strips.append(Strip(a, b, layer, length, piece.width))
        for pad, point in self.pads:                              # a pad that a wire misses by its middle
            for piece in self.wires_in.get(pad.layer, ()):
                if piece.points and not _holds(piece.shape, point) and _overlap(pad, piece.shape):
                    self.join(point, min(piece.points, key=lambda other: abs(piece.at(other) - piece.at(point))))

    def add_patches(self, patches: Sequence[_Piece]) -> None:
        """Patches that join what is apart conduct; all of them get their points."""
        group = {item: self.find(item) for item in self.parent}
        joined: dict[Point | Pin, Point | Pin] = {}

        def top(item: Point | Pin) -> Point | Pin:
            item = group.get(item, item)
            while item in joined:
                item = joined[item]
            return item

        for a, b, *_ in self.strips if patches else ():
            if top(a) != top(b):
                joined[top(b)] = top(a)
        for number, patch in enumerate(patches):
            touched = self._touched(patch, patches[:number])
            patch.points = sorted(dict.fromkeys(touched), key=patch.at)
            for a, b in pairwise(patch.points):
                if top(a) != top(b):
                    joined[top(b)] = top(a)
                    length = patch.at(b) - patch.at(a)
                    self.strips.append(Strip(a, b, patch.shape.layer, length, patch.width))

    def _touched(self, patch: _Piece, others: Sequence[_Piece]) -> list[Point]:
        """The points on or beside a patch: of pads, wires, pins and other patches that it touches."""
        layer = patch.shape.layer
        found = [point for point in self.points.get(layer, ()) if _holds(patch.shape, point)]
        found += [point for pad, point in self.pads_in.get(layer, ()) if _overlap(pad, patch.shape)]
        others = [other for other in others if other.shape.layer == layer]
        for piece in (*self.wires_in.get(layer, ()), *others):
            if piece.points and (rect := _overlap(piece.shape, patch.shape)):
                place = piece.middle(rect)
                found.append(min(piece.points, key=lambda point: abs(piece.at(point) - piece.at(place))))
        for shape, pin in self.pins.get(layer, ()):
            if rect := _overlap(shape, patch.shape):
                place = patch.middle(rect)
                self.join(pin, place)
                found.append(place)
        return found

    def network(self, pieces: Iterable[_Piece], ohms: Ohms) -> Network:
        """Nodes in the order of pins, then of points; a resistor without length is none."""
        numbers: dict[Point | Pin, Node] = {}
        node: dict[Point | Pin, Node] = {}
        n_points = 0
        for item in list(self.parent):
            top = self.find(item)
            if top not in numbers:
                n_points += len(top) != 2
                numbers[top] = top if len(top) == 2 else n_points
            node[item] = numbers[top]
        strips = tuple(Strip(node[strip.a], node[strip.b], *strip[2:]) for strip in self.strips
                       if node[strip.a] != node[strip.b])
        conductors = [Conductor(piece.shape, tuple((piece.at(point), node[point]) for point in piece.points))
                      for piece in pieces]
        conductors += [Conductor(pad, ((pad.x0, node[point]),)) for pad, point in self.pads]
        return Network(tuple(dict.fromkeys(numbers.values())), resistors_of(strips, ohms), tuple(conductors), strips)
