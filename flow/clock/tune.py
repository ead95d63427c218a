"""Brings arrivals together by the strength of buffers and gates, the wires staying as they are.

The skew of a tree is between its earliest and its latest sink, so only the cells on the ways to these two can make it
less. Each of them is tried in each strength; the exchange that leaves the least skew is made, and again, until none
helps. A cell loads what drives it, so a trial times all that its driver reaches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from flow.clock.build import Scene
from flow.clock.tree import PORT, SINK, Node, Signal, pin_loads, through
from flow.clock.wire import SLEW_OF_ELMORE

SLEW_SHARE = 0.85
"""Of the slew limit, that an exchange may go to; the rest is for the places in rows and for routed wires."""

MOST_STEPS = 400
WORTH_NS = 0.0002
"""Of skew, that an exchange must bring."""


@dataclass(frozen=True)
class Reach:
    """Earliest and latest arrival behind a node, and the largest slew there, ns."""

    low: float
    high: float
    slew: float

    @property
    def skew(self) -> float:
        return self.high - self.low


@dataclass(frozen=True)
class _Net:
    """What a node drives: its load (pF), and Elmore's delay to each child, later by its offset if it is a sink."""

    load: float
    delays: tuple[float, ...]
    slowest: float


def tune(root: Node, scene: Scene) -> Reach:
    """Exchanges cells of a tree whose nets have their wires; what it then reaches."""
    tuner = Tuner(root, scene)
    for _ in range(MOST_STEPS):
        if not tuner.step():
            break
    return tuner.reach[root]


def cells_of(root: Node) -> dict[Node, str]:
    """The cells that may be exchanged."""
    return {node: node.cell for node in root.below() if node.children and node.kind != PORT}


class Tuner:
    """A tree at one corner with its signals, kept right from exchange to exchange."""

    def __init__(self, root: Node, scene: Scene):
        self.root, self.scene, self.corner = root, scene, scene.corner
        self.parent = {child: node for node in root.below() for child in node.children}
        self.strengths: dict[str, list[str]] = {}
        self.nets: dict[Node, _Net] = {}
        self.signal: dict[Node, Signal] = {}
        self.reach: dict[Node, Reach] = {}
        slew = scene.spec.input_slew_ns
        self.time(root, Signal((0.0, 0.0), (slew, slew)), keep=True)

    def step(self) -> bool:
        """Makes the best exchange; False when there is none that helps."""
        now = self.reach[self.root]
        best, chosen = (now.slew > self.scene.spec.slew_limit_ns, now.skew - WORTH_NS), None
        limit = max(SLEW_SHARE * self.scene.spec.slew_limit_ns, now.slew)
        for node in self.candidates():
            old = node.cell
            for cell in self.others(node):
                self.exchange(node, cell)
                found = self.trial(self.parent[node])
                cost = (found.slew > self.scene.spec.slew_limit_ns, found.skew)
                if found.slew <= limit and self.is_allowed(node) and cost < best:
                    best, chosen = cost, (node, cell)
            self.exchange(node, old)
        if chosen is None:
            return False
        self.exchange(*chosen)
        self.update(self.parent[chosen[0]])
        return True

    def candidates(self) -> Iterator[Node]:
        """The cells on the ways to the earliest and to the latest sink."""
        seen = set()
        for end in ("low", "high"):
            node = self.root
            while node.children:
                if node.kind != PORT and node not in seen:
                    seen.add(node)
                    yield node
                ends = [self.reach[child] for child in node.children]
                pick = (min if end == "low" else max)(range(len(ends)), key=lambda k: getattr(ends[k], end))
                node = node.children[pick]

    def others(self, node: Node) -> list[str]:
        if node.cell not in self.strengths:
            self.strengths[node.cell] = [cell.name for cell in self.scene.strengths(node.cell)]
        return [cell for cell in self.strengths[node.cell] if cell != node.cell]

    def is_allowed(self, node: Node) -> bool:
        """Whether its load is within what its cell may drive."""
        load = self.net(node).load
        return load <= self.corner.library[node.cell].max_load.get(node.output, load)

    def exchange(self, node: Node, cell: str) -> None:
        node.cell = cell
        self.nets.pop(self.parent[node], None)

    def net(self, node: Node) -> _Net:
        found = self.nets.get(node)
        if found is None:
            loads = pin_loads(node, self.corner)
            delays = self.corner.wire.delays(node.wires, loads)
            found = _Net(sum(loads) + self.corner.wire.load(node.wires), tuple(delays), max(delays))
            self.nets[node] = found
        return found

    def time(self, node: Node, signal: Signal, keep: bool) -> Reach:
        """What is behind a node at whose input the clock is `signal`; keep: remember it for all behind the node."""
        net = self.net(node)
        out = signal if node.kind == PORT else through(node, signal, net.load, self.corner)
        low, high, slew = math.inf, -math.inf, math.hypot(max(out.slew), SLEW_OF_ELMORE * net.slowest)
        for child, delay in zip(node.children, net.delays, strict=True):
            if child.kind == SINK:
                arrival = out.arrival[child.edge] + delay + child.offset
                low, high = min(low, arrival), max(high, arrival)
                if keep:
                    self.reach[child] = Reach(arrival, arrival, 0.0)
                continue
            added = SLEW_OF_ELMORE * delay
            there = Signal((out.arrival[0] + delay, out.arrival[1] + delay),
                           (math.hypot(out.slew[0], added), math.hypot(out.slew[1], added)))
            behind = self.time(child, there, keep)
            low, high, slew = min(low, behind.low), max(high, behind.high), max(slew, behind.slew)
        reach = Reach(low, high, slew)
        if keep:
            self.signal[node], self.reach[node] = signal, reach
        return reach

    def trial(self, node: Node) -> Reach:
        """What the whole tree reaches with the cells behind a node as they are now."""
        return self.above(node, self.time(node, self.signal[node], keep=False))

    def update(self, node: Node) -> None:
        """Remembers the cells behind a node as they are now."""
        self.time(node, self.signal[node], keep=True)
        while node is not self.root:
            node = self.parent[node]
            self.reach[node] = self.around(node, None, None)

    def above(self, node: Node, reach: Reach) -> Reach:
        """The root's reach when a node's is another."""
        while node is not self.root:
            parent = self.parent[node]
            reach = self.around(parent, node, reach)
            node = parent
        return reach

    def around(self, node: Node, changed: Node | None, reach: Reach | None) -> Reach:
        """A node's reach from its children's, one of which may be another."""
        ends = [reach if child is changed else self.reach[child] for child in node.children]
        net = self.net(node)
        out = (self.signal[node] if node.kind == PORT
               else through(node, self.signal[node], net.load, self.corner))
        slew = math.hypot(max(out.slew), SLEW_OF_ELMORE * net.slowest)
        return Reach(min(end.low for end in ends), max(end.high for end in ends),
                     max(slew, *(end.slew for end in ends)))
