"""Builds a clock tree from the sinks up, level by level.

Every level is clustered into groups that one buffer can drive, until one buffer drives all. What is behind a clock
gate is built first; the gate then is a sink that needs the clock earlier by what is behind it, and joins the level
whose buffers have about as much behind them. What is missing is made up by delay: another strength of the gate, or
buffers in front of it. Sinks with an offset are treated alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean, median

import numpy as np

from flow.clock.cluster import divide, spread
from flow.clock.library import EDGES, RISE, ClockCell
from flow.clock.spec import ClockSpec
from flow.clock.trace import ClockGate, ClockNet
from flow.clock.tree import BUFFER, GATE, PORT, SINK, Corner, Node, Signal, carry, drive
from flow.clock.wire import Point
from flow.physical.abstract import Cells
from flow.physical.design import Placement, Row, pin_centre
from flow.physical.geometry import NM_PER_UM
from flow.physical.netlist import Netlist, Pin, shortened
from golden.spec import SpecError

SLEW_SHARE = 0.7
"""Of the slew limit, that a tree is built for: placement and routing take the rest."""

FANOUT_SHARE = 0.85
"""Of the fanout limit, that groups have on average."""

LATE_NS = 0.06
"""A gate joins the first level whose buffers have at most this much less behind them."""

MOST_PADS = 4
PAD_COST_NS = 0.01
"""How much nearer each buffer in front of a gate must bring it to be worth its place."""

MOST_LEVELS = 24
N_BALANCINGS = 4
N_BESIDE = 8
"""Buffers that one drives above the leaves, about."""

TINY_PF = 1e-6


@dataclass(frozen=True)
class Scene:
    """What a tree is built from.

    buffers:      allowed ones, from the smallest; tuning: all that may take the place of one.
    may_use:      whether a cell may be placed.
    typical_slew: at inputs of buffers, for delays while what is above them is not there yet (ns).
    """

    placement: Placement
    netlist: Netlist
    cells: Cells
    spec: ClockSpec
    corner: Corner
    buffers: tuple[ClockCell, ...]
    tuning: tuple[ClockCell, ...]
    may_use: Callable[[str], bool]
    typical_slew: float

    @property
    def slew(self) -> float:
        return SLEW_SHARE * self.spec.slew_limit_ns

    def strengths(self, cell: str) -> list[ClockCell]:
        """The cells that may stand in a node's place: buffers, or a gate's footprint in all of its strengths."""
        library = self.corner.library
        if any(cell == buffer.name for buffer in self.tuning):
            return list(self.tuning)
        stem = cell.rpartition("_")[0]
        names = [name for name in self.cells if name.rpartition("_")[0] == stem and name.rpartition("_")[2].isdigit()
                 and name in library and self.may_use(name)]
        found = [library[name] for name in sorted(names, key=lambda name: self.cells[name].width)]
        return [one for one in found if one.footprint == library[cell].footprint] or [library[cell]]


def build_tree(scene: Scene, clock: ClockNet) -> Node:
    """The tree under the port; buffers have no names and no places in rows yet.

    SpecError for sinks without a place, and for limits under which no tree can be built.
    """
    lacking = [f"{instance}/{pin}" for net in clock.all_nets() for instance, pin in
               (*net.sinks, *((gate.instance, gate.input) for gate in net.gates))
               if (instance not in scene.placement.instances if instance else pin not in scene.placement.ports)]
    if lacking or clock.driver[1] not in scene.placement.ports:
        raise SpecError(f"everything that the clock reaches must have a place, and {shortened(lacking)} "
                        f"{'has' if len(lacking) == 1 else 'have'} none; place the design first" if lacking else
                        f"the clock's port {clock.driver[1]} must have a place; place the design first")
    root = Node(PORT, net=clock.name, output=clock.driver[1])
    root.move(pin_centre(scene.placement, scene.cells, *clock.driver))
    _Builder(scene).grow(root, clock)
    return root


class Room:
    """Where cells may stand: the rows, which macros interrupt."""

    def __init__(self, rows: Sequence[Row], row_height: int):
        self.x0, self.x1, self.y0 = (np.array([getattr(row, key) for row in rows]) for key in ("x0", "x1", "y"))
        self.y1 = self.y0 + row_height

    def nearest(self, point: Point) -> Point:
        """The place in a row that is nearest to a point, the point itself if it is in one."""
        x, y = point
        away = np.maximum(np.maximum(self.x0 - x, x - self.x1), 0) + np.maximum(np.maximum(self.y0 - y, y - self.y1), 0)
        row = int(np.argmin(away))
        return (int(min(max(x, self.x0[row]), self.x1[row])), int(min(max(y, self.y0[row]), self.y1[row])))


class _Builder:
    def __init__(self, scene: Scene):
        self.scene, self.spec, self.corner = scene, scene.spec, scene.corner
        self.room = Room(scene.placement.rows, scene.cells[scene.buffers[0].name].height)
        self.behind: dict[Node, float] = {}                  # what is behind a node's input pin, ns

    def grow(self, driver: Node, net: ClockNet) -> None:
        """Builds all that a net of the netlist reaches under its driver."""
        items = [self.sink(pin) for pin in net.sinks] + [self.gate(gate) for gate in net.gates]
        items.sort(key=lambda node: (node.entry, node.instance, node.input))
        reached = median(self.behind[item] for item in items)
        now, waiting = self.enter(items, reached)
        for _ in range(MOST_LEVELS):
            if not waiting and self.is_done(driver, now):
                driver.children = now
                return
            buffers = self.level(now, driver.exit) if now else []
            reached = fmean(self.behind[node] for node in buffers) if now else min(self.behind[i] for i in waiting)
            now, waiting = self.enter(waiting, reached)
            now = sorted(buffers + now, key=lambda node: (node.entry, node.instance, node.input))
        raise SpecError(f"a clock tree must need no more than {MOST_LEVELS} levels, and {net.name} of "
                        f"{self.scene.netlist.top} does under these limits; raise slew_limit_ns or fanout_limit, or "
                        "allow stronger buffers")

    def is_done(self, driver: Node, nodes: Sequence[Node]) -> bool:
        """Whether a driver can drive nodes itself; a port drives one buffer."""
        if driver.kind == PORT:
            return len(nodes) == 1 and nodes[0].kind == BUFFER
        if len(nodes) > self.spec.fanout_limit:
            return False
        return any(self.slew_behind(replace(driver, cell=cell.name, children=list(nodes))) <= self.scene.slew
                   for cell in self.scene.strengths(driver.cell))

    def sink(self, pin: Pin) -> Node:
        scene, (instance, name) = self.scene, pin
        cell = scene.netlist.instances.get(instance, "")
        offsets = self.spec.offsets_ns
        node = Node(SINK, instance, cell, name, offset=offsets.get(instance, offsets.get(cell, 0.0)),
                    edge=self.corner.library[cell].clock_pins.get(name, RISE) if cell else RISE)
        node.move(pin_centre(scene.placement, scene.cells, instance, name))
        self.behind[node] = node.offset
        return node

    def gate(self, gate: ClockGate) -> Node:
        scene = self.scene
        node = Node(GATE, gate.instance, scene.netlist.instances[gate.instance], gate.input, gate.output,
                    gate.net.name)
        node.move(*(pin_centre(scene.placement, scene.cells, gate.instance, pin) for pin in (gate.input, gate.output)))
        self.grow(node, gate.net)
        if self.slew_behind(node) > scene.slew:
            node.cell = next(cell.name for cell in scene.strengths(node.cell)
                             if self.slew_behind(replace(node, cell=cell.name)) <= scene.slew)
        self.behind[node] = self.delay(node)
        return node

    def enter(self, items: Sequence[Node], reached: float) -> tuple[list[Node], list[Node]]:
        """Those that join a level with `reached` behind it, with pads in front where that helps; those that wait."""
        now = [self.padded(item, reached) for item in items if self.behind[item] <= reached + LATE_NS]
        return now, [item for item in items if self.behind[item] > reached + LATE_NS]

    def padded(self, item: Node, reached: float) -> Node:
        """An item with about `reached` behind it: a gate in another strength, buffers in front, or as it is."""
        if item.kind != GATE and abs(reached - self.behind[item]) <= LATE_NS:
            return item
        gates = self.scene.strengths(item.cell) if item.kind == GATE else [None]
        best = (abs(reached - self.behind[item]), item, self.behind[item])
        for gate, buffer in product(gates, self.scene.tuning):
            if gate is not None:
                trial = replace(item, cell=gate.name, wires=None)
                if self.slew_behind(trial) > self.scene.slew:
                    continue
                node, delay = trial, self.delay(trial)
            else:
                node, delay = item, self.behind[item]
            for n_pads in range(MOST_PADS + 1):
                if n_pads:
                    node = Node(BUFFER, cell=buffer.name, input=buffer.through[0], output=buffer.through[1],
                                entry=item.entry, exit=item.entry, children=[node])
                    self.behind[node.children[0]] = delay
                    delay = self.delay(node)
                cost = abs(reached - delay) + PAD_COST_NS * n_pads
                if cost < best[0]:
                    best = (cost, node, delay)
                if delay > reached:
                    break
        _, node, delay = best
        self.behind[node] = delay
        return node

    def level(self, nodes: list[Node], driver: Point) -> list[Node]:
        """A buffer for each group of nodes, all of one size; driver: where the clock comes from."""
        groups = [[nodes[i] for i in group] for group in self.groups(nodes)]
        levels = [[self.buffer(cell, group) for group in groups] for cell in self.scene.buffers]
        good = [buffers for buffers in levels if max(map(self.slew_behind, buffers)) <= self.scene.slew]
        if not good:
            buffers = levels[-1]
        elif all(node.kind == SINK for node in nodes):       # most of all buffers: the smallest
            buffers = good[0]
        else:
            buffers = min(good, key=self.cost)
        if len(groups) == len(nodes):                        # nothing to join: on towards the middle, or the driver
            self.approach(buffers, _middle([buffer.entry for buffer in buffers]) if len(nodes) > 1 else driver)
        for buffer in buffers:
            self.behind[buffer] = self.delay(buffer)
        return buffers

    def cost(self, buffers: list[Node]) -> float:
        """Delay (ns) of a level: its buffers' own, and what their inputs add to the one that drives them."""
        largest = self.scene.buffers[-1]
        delay = largest.arcs[largest.through].delay[RISE]
        load = self.most_load(largest) / 2
        added = self.corner.library[buffers[0].cell].capacitance[buffers[0].input] * min(len(buffers), N_BESIDE)
        slew = self.scene.typical_slew
        return fmean(map(self.delay, buffers)) + delay.at(slew, load + added) - delay.at(slew, load)

    def groups(self, nodes: list[Node]) -> list[np.ndarray]:
        """Groups that the largest buffer can drive."""
        largest = self.scene.buffers[-1]
        if len(nodes) <= self.spec.fanout_limit and self.fits(largest, nodes):
            return [np.arange(len(nodes))]
        points = np.array([node.entry for node in nodes], dtype=float)
        library, per_nm = self.corner.library, self.corner.wire.capacitance / NM_PER_UM
        pins = np.array([library[node.cell].capacitance[node.input] if node.cell else 0.0 for node in nodes])
        wires = spread(points) * per_nm
        n_groups = max(-(-len(nodes) // max(1, round(FANOUT_SHARE * self.spec.fanout_limit))),
                       round(float((pins + wires).sum()) / self.most_load(largest)), 2)
        best: tuple[float, list[np.ndarray], np.ndarray] | None = None
        for _ in range(N_BALANCINGS):
            divided = divide(points, pins + wires, n_groups)
            lengths = [self.buffer(largest, [nodes[i] for i in group]).route().total * per_nm for group in divided]
            loads = [pins[group].sum() + length for group, length in zip(divided, lengths, strict=True)]
            if best is None or max(loads) - min(loads) < best[0]:
                best = (max(loads) - min(loads), divided, pins + wires)
            wires = wires.copy()
            for group, length in zip(divided, lengths, strict=True):     # what the wires of a group really need
                wires[group] *= (1 + length / max(wires[group].sum(), TINY_PF)) / 2
        _, waiting, weights = best
        found: list[np.ndarray] = []
        while waiting:
            group = waiting.pop(0)
            if len(group) == 1 or (len(group) <= self.spec.fanout_limit
                                   and self.fits(largest, [nodes[i] for i in group])):
                found.append(group)
            else:
                waiting = [group[part] for part in divide(points[group], weights[group], 2)] + waiting
        return found

    def fits(self, cell: ClockCell, nodes: list[Node]) -> bool:
        return self.slew_behind(self.buffer(cell, nodes)) <= self.scene.slew

    def most_load(self, cell: ClockCell) -> float:
        """pF that a buffer drives at the slew aimed at."""
        arc = cell.arcs[cell.through]
        low, high = 0.0, cell.max_load.get(cell.through[1], arc.slew[RISE].loads[-1])
        for _ in range(30):
            middle = (low + high) / 2
            slew = max(arc.slew[edge].at(self.scene.slew, middle) for edge in EDGES)
            low, high = (middle, high) if slew <= self.scene.slew else (low, middle)
        return low

    def buffer(self, cell: ClockCell, nodes: list[Node]) -> Node:
        """A buffer in the middle of what it drives."""
        node = Node(BUFFER, cell=cell.name, input=cell.through[0], output=cell.through[1], children=nodes)
        node.move(self.room.nearest(_middle([node.entry for node in nodes])))
        return node

    def approach(self, buffers: list[Node], goal: Point) -> None:
        """Moves buffers that drive one node each towards a point, as far as the slew lets them."""
        for node in buffers:
            start, low, high = node.entry, 0.0, 1.0
            for _ in range(12):
                share = (low + high) / 2
                node.move(self.room.nearest(_between(start, goal, share)))
                node.wires = None
                low, high = (share, high) if self.slew_behind(node) <= self.scene.slew else (low, share)
            if not low:
                raise SpecError(f"the clock tree of {self.scene.netlist.top} cannot go on: the largest buffer allowed "
                                f"({node.cell}) drives none of what is left within slew_limit_ns="
                                f"{self.spec.slew_limit_ns}; raise it or allow a stronger buffer (clock: buffers)")
            node.move(self.room.nearest(_between(start, goal, low)))
            node.wires = None

    def signal(self) -> Signal:
        """The clock as it comes to a buffer, about."""
        return Signal((0.0, 0.0), (self.scene.typical_slew, self.scene.typical_slew))

    def slew_behind(self, node: Node) -> float:
        """The worst slew at what a node drives."""
        output, _ = drive(node, self.signal(), self.corner)
        return max(max(signal.slew) for signal in carry(node, output, self.corner))

    def delay(self, node: Node) -> float:
        """From a node's input to the last edge that acts."""
        output, _ = drive(node, self.signal(), self.corner)
        return max(signal.arrival[RISE] + self.behind[child]
                   for signal, child in zip(carry(node, output, self.corner), node.children, strict=True))


def _between(a: Point, b: Point, share: float) -> Point:
    return round(a[0] + (b[0] - a[0]) * share), round(a[1] + (b[1] - a[1]) * share)


def _middle(points: Sequence[Point]) -> Point:
    """Of the box around points."""
    xs, ys = zip(*points, strict=True)
    return (min(xs) + max(xs)) // 2, (min(ys) + max(ys)) // 2
