"""Wires of a clock net before they are routed: a tree of least length, about, and Elmore's delay in it.

The tree grows as a router's does: again and again the pin that is nearest to what there is already is joined to the
nearest point of it (pins, bends, and points in the middle of wires). That is a few per cent above the least Steiner
tree.

Elmore 1948: the delay to a pin is the sum over the way's pieces of their resistance times all capacitance behind
them (half of their own). The slew at a pin is the root of the squares of the driver's and of ln(4) times that delay
(20 to 80 % of an exponential; PERI: Kashyap, Alpert, Liu, Devgan, "Closed form expressions for extending step delay
and slew metrics to ramp inputs", ISPD 2003).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow.extract.corners import rc_corner
from flow.extract.estimates import load_estimates
from flow.pdk.tree import Pdk
from flow.physical.geometry import NM_PER_UM

Point = tuple[int, int]

SLEW_OF_ELMORE = math.log(4)

HORIZONTAL, VERTICAL = "met1", "met2"
"""Layers that a clock's wires are taken to lie in before they do."""


@dataclass(frozen=True)
class WireTree:
    """Where the wires of a net run, from its driver on.

    parent:   of each node, -1 for node 0, the driver; a node's parent stands before it.
    length:   of the wire to the parent, nm.
    pin_node: of each pin.
    """

    parent: tuple[int, ...]
    length: tuple[int, ...]
    pin_node: tuple[int, ...]
    segments: tuple[tuple[Point, Point], ...]

    @property
    def total(self) -> int:
        return sum(self.length)


@dataclass(frozen=True)
class ClockWire:
    """Resistance (kohm) and capacitance (pF) of a um of wire."""

    resistance: float
    capacitance: float

    def load(self, tree: WireTree) -> float:
        """pF of a net's wires."""
        return tree.total / NM_PER_UM * self.capacitance

    def delays(self, tree: WireTree, pin_loads: Sequence[float]) -> list[float]:
        """Elmore's delay (ns) from the driver to each pin; pin_loads in pF."""
        behind = [0.0] * len(tree.parent)
        for node, load in zip(tree.pin_node, pin_loads, strict=True):
            behind[node] += load
        delay = [0.0] * len(tree.parent)
        own = [length / NM_PER_UM * self.capacitance for length in tree.length]
        for node in range(len(tree.parent) - 1, 0, -1):
            behind[tree.parent[node]] += behind[node] + own[node]
        for node in range(1, len(tree.parent)):
            resistance = tree.length[node] / NM_PER_UM * self.resistance
            delay[node] = delay[tree.parent[node]] + resistance * (own[node] / 2 + behind[node])
        return [delay[node] for node in tree.pin_node]


def load_wires(pdk: Pdk) -> Mapping[str, ClockWire]:
    """Timing corner -> its wires."""
    found = {}
    for name, corner in pdk.config.corners.items():
        mean = load_estimates(pdk, rc_corner(corner)).mean(HORIZONTAL, VERTICAL)
        found[name] = ClockWire(mean.ohm_per_um / 1000, mean.femtofarad_per_um / 1000)
    return found


def grow_tree(driver: Point, pins: Sequence[Point]) -> WireTree:
    """The wires of a net.

    >>> grow_tree((0, 0), [(10, 0), (5, 5)]).total
    15
    """
    points, parent = [driver], [-1]
    near = [(abs(x - driver[0]) + abs(y - driver[1]), driver, 0) for x, y in pins]   # distance, point, end of the wire
    waiting, pin_node = set(range(len(pins))), [0] * len(pins)

    def add(point: Point, up: int) -> int:
        """A node and its wire; pins that wait may be nearer to it than to what there was."""
        points.append(point)
        parent.append(up)
        (ax, ay), (bx, by) = points[up], point
        x0, x1, y0, y1 = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
        for pin in waiting:
            x, y = pins[pin]
            cx, cy = min(max(x, x0), x1), min(max(y, y0), y1)
            distance = abs(x - cx) + abs(y - cy)
            if distance < near[pin][0]:
                near[pin] = (distance, (cx, cy), len(points) - 1)
        return len(points) - 1

    while waiting:
        pin = min(waiting, key=lambda at: (near[at][0], at))
        waiting.remove(pin)
        _, tap, node = near[pin]
        if tap != points[node]:
            node = _split(points, parent, near, node, tap)
        x, y = pins[pin]
        if (x, y) == tap:
            pin_node[pin] = node
            continue
        if x != tap[0] and y != tap[1]:
            node = add(_bend(tap, (x, y), [pins[other] for other in waiting]), node)
        pin_node[pin] = add((x, y), node)
    return _in_order(points, parent, pin_node)


def _split(points: list[Point], parent: list[int], near: list, node: int, tap: Point) -> int:
    """A new node in the wire that ends at `node`; pins that wait for the wire's upper part wait for the new one."""
    points.append(tap)
    parent.append(parent[node])
    upper, new = points[parent[node]], len(points) - 1
    parent[node] = new
    for pin, (distance, point, at) in enumerate(near):
        if at == node and point != points[node] and _between(point, upper, tap):
            near[pin] = (distance, point, new)
    return new


def _between(point: Point, a: Point, b: Point) -> bool:
    return min(a[0], b[0]) <= point[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= point[1] <= max(a[1], b[1])


def _bend(tap: Point, end: Point, others: Sequence[Point]) -> Point:
    """The corner, of two, that is nearer to the next pin."""
    corners = ((end[0], tap[1]), (tap[0], end[1]))
    if not others:
        return corners[0]
    return min(corners, key=lambda c: min(abs(c[0] - x) + abs(c[1] - y) for x, y in others))


def _in_order(points: list[Point], parent: list[int], pin_node: list[int]) -> WireTree:
    """Numbered anew so that every node stands behind its parent."""
    children: list[list[int]] = [[] for _ in points]
    for node, up in enumerate(parent):
        if up >= 0:
            children[up].append(node)
    order, stack = [], [0]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(reversed(children[node]))
    number = {node: at for at, node in enumerate(order)}
    up = [-1 if parent[node] < 0 else number[parent[node]] for node in order]
    ends = [(points[parent[node]], points[node]) for node in order[1:]]
    length = [0, *(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in ends)]
    return WireTree(tuple(up), tuple(length), tuple(number[node] for node in pin_node), tuple(ends))
