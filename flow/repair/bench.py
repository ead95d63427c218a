"""A design on repair's bench: its netlist as arrays at one corner, timed whenever it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from flow.extract.corners import rc_corner
from flow.extract.estimates import load_estimates
from flow.physical.design import Design
from flow.repair.edit import Editor
from flow.repair.sizing import apply_sizes, choose_sizes
from flow.timing.analyse import Timer
from flow.timing.arrays import Graph, Types, build_graph, build_types
from flow.timing.engine import FAR, Boundary, Engine, Times, boundary
from flow.timing.estimate import WireModel, wire_model


@dataclass(frozen=True)
class Kit:
    """A corner's cells and wires. allowed: cells that repair may put in, by the PDK file and the library."""

    timer: Timer
    corner: str
    types: Types
    model: WireModel
    allowed: tuple[str, ...]
    buffers: tuple[str, ...]

    def slew_limit(self, share: float) -> float:
        return share * self.timer.spec.max_slew_ns


def load_kit(timer: Timer, corner: str, cells: Iterable[str]) -> Kit:
    """For designs with these cells."""
    library, config = timer.library(corner), timer.pdk.config
    allowed = tuple(name for name in library if name in timer.cells and not library[name].is_macro
                    and config.why_not(name) is None)
    buffers = tuple(sorted((name for name in allowed if library[name].is_buffer
                            and library[name].footprint == f"{timer.prefix}__buf"),
                           key=lambda name: (library[name].area, name)))
    wanted = [*cells, *buffers, f"{timer.prefix}__{timer.spec.driving_cell}",
              f"{timer.prefix}__{timer.spec.clock_driving_cell}",
              *(name for name in allowed if library[name].is_buffer)]
    model = wire_model(load_estimates(timer.pdk, rc_corner(config.corners[corner])))
    return Kit(timer, corner, build_types(library, wanted, allowed), model, allowed, buffers)


class Bench:
    """The arrays of a design and its times; `kinds` of the graph may be changed before `time`."""

    def __init__(self, kit: Kit, design: Design, *, propagated: bool = False, hold: bool = False,
                 detours: Mapping[str, float] | None = None):
        self.kit, self.design, self.propagated, self.detours = kit, design, propagated, detours
        timer = kit.timer
        self.trees = timer.trees(design, propagated, detours)
        self.graph: Graph = build_graph(design.netlist, kit.types, self.trees, kit.model)
        self.number = {name: k for k, name in enumerate(self.graph.names)}
        self.edge: Boundary = boundary(self.graph, design.netlist, timer.spec, timer.prefix, timer.load_pf,
                                       propagated=propagated, hold=hold)
        self.engine = Engine(self.graph, self.edge, hold)

    def time(self) -> Times:
        return self.engine.run()

    def ends(self) -> np.ndarray:
        """Pins at which paths end: checked data pins and outputs."""
        if not hasattr(self, "_ends"):
            ends = [port for port in self.graph.ports.values() if self.edge.required[port] < FAR / 2]
            for k, name in enumerate(self.graph.names):
                cell = self.kit.types.cells[self.graph.kinds[k]]
                ends += [int(self.graph.base[k]) + self.kit.types.slots[self.graph.kinds[k]].index(pin)
                         for pin in sorted(cell.checked_pins)] if cell.checked_pins else []
                del name
            self._ends = np.array(ends, np.int64)
        return self._ends

    def most_load(self) -> np.ndarray:
        """(M,) pF that the driver of each net may drive; those at ports have no limit of their own."""
        g = self.graph
        inst = g.pin_inst[g.driver]
        slot = np.where(inst >= 0, g.driver - g.base[np.maximum(inst, 0)], 0)
        return np.where(inst >= 0, self.kit.types.max_load[g.kinds[np.maximum(inst, 0)], slot], np.inf)

    def missing(self, times: Times, goal: float, max_slew: float) -> float:
        """Squares of what is missing to a slack over all endpoints, and of what edges are too slow over all pins (ns2).
        """
        late = np.maximum(goal - times.slack[self.ends()], 0)
        slow = np.maximum(times.slew[self.graph.net_of_pin >= 0] - max_slew, 0)
        return float((late ** 2).sum() + (slow ** 2).sum())

    def slack_of_instances(self, times: Times) -> np.ndarray:
        """(N,) the worst slack of an instance's pins."""
        found, end = np.full(len(self.graph.names), FAR), self.graph.base[-1]
        np.minimum.at(found, self.graph.pin_inst[:end], times.slack[:end])
        return found

    def slow_instances(self, times: Times, max_slew: float) -> np.ndarray:
        """(N,) whether an edge at one of an instance's pins is too slow."""
        found, end = np.zeros(len(self.graph.names), bool), self.graph.base[-1]
        slow = (times.slew[:end] > max_slew).any(axis=1) & (self.graph.net_of_pin[:end] >= 0)
        found[self.graph.pin_inst[:end][slow]] = True
        return found

    def resize_round(self, times: Times, candidates: np.ndarray, goal: float, max_slew: float, load_share: float,
                     price: float, share: float = 1.0) -> int:
        """Changes the types of those candidates that are worth it and stand apart; how many.

        share: only the best of them, at least one.
        """
        g, types = self.graph, self.kit.types
        limit = types.max_load * load_share
        best, worth = choose_sizes(candidates, g.kinds, g.base, g.pin_inst, g.net_of_pin, g.driver, g.node_first,
                                   g.node_pin, self.engine.load, self.engine.wire, types.arc_first, types.arcs,
                                   self.engine.tables, types.check_first, types.checks, types.sizes, types.capacitance,
                                   limit, types.is_output, types.area, times.arrival, times.slew, times.required, goal,
                                   max_slew, price)
        order = np.argsort(-worth, kind="stable")
        order = order[worth[order] > 0]
        order = order[:max(int(np.ceil(share * len(order))), 1)]
        return int(apply_sizes(order, candidates, best, g.kinds, g.base, g.pin_inst, g.net_of_pin, g.driver,
                               g.node_first, g.node_pin))

    def sized(self) -> Design:
        """The design with the sizes that its instances have on the bench."""
        editor = Editor(self.design, self.kit.timer.cells)
        cells = self.kit.types.cells
        for k, (name, cell) in enumerate(self.design.netlist.instances.items()):
            wanted = cells[self.graph.kinds[k]].name
            if wanted != cell:
                editor.resize(name, wanted)
        return editor.design()
