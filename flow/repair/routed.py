"""Mends what routing has made slow: nets whose wires became longer than the guides said, where places are full.

Wires are as long as they have been routed, with the values a length of the estimates. A design in which no edge and no
load comes near to its limit, and nothing is late, stays as it is; else sizes and buffers for what is near to a limit
are put between the cells that are there, and the router leads what that touches again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from flow.physical.design import Design, Routes
from flow.physical.technology import Technology
from flow.repair.bench import Bench, Kit, load_kit
from flow.repair.mend import Limits, held_cells, mend_once
from flow.repair.shop import demands
from flow.repair.spec import RepairSpec
from flow.timing.analyse import Timer
from flow.timing.estimate import NetTrees

BEYOND_SLEW, BEYOND_LOAD = 0.8, 0.95
"""Of the limits: beyond these, a net may be over them with the capacitance that extraction finds (up to 1.4 times that
of the estimate where wires lie close)."""


class Mender:
    """Changes routed designs; each call names its buffers anew."""

    def __init__(self, timer: Timer, technology: Technology, corner: str, spec: RepairSpec,
                 tell: Callable[[str], None]) -> None:
        self.timer, self.technology, self.corner, self.spec, self.tell = timer, technology, corner, spec, tell
        self.calls = 0

    def __call__(self, design: Design) -> Design | None:
        """The design with other cells, unrouted; None where nothing is to be done."""
        kit = load_kit(self.timer, self.corner, dict.fromkeys(design.netlist.instances.values()))
        lengths = routed_lengths(design.routes)
        detours = stretches(self.timer.trees(design, propagated=True), lengths)
        bench = Bench(kit, design, propagated=True, detours=detours)
        wanted, held = demands(kit, self.spec), held_cells(bench)
        beyond = _beyond(bench, kit, held)
        if not beyond:
            return None
        self.tell(f"{beyond} nets are slow, overloaded or late with their wires; the worst edge "
                  f"{bench.time().slew.max():.3f} ns")
        limits = Limits.of(bench, wanted, self.spec.mend_share, held)
        after = mend_once(bench, self.timer.cells, self.technology, wanted, limits, f"eco_{self.calls}")
        self.calls += 1
        return None if after is design else after


def _beyond(bench: Bench, kit: Kit, held: set[str]) -> int:
    """Nets, not the clock's, with too slow edges, too much load or too little time."""
    sharp = Limits(BEYOND_SLEW * kit.timer.spec.max_slew_ns, BEYOND_LOAD, 0.0, *Limits.masks(bench, held))
    return len(sharp.nets(bench, bench.time()))


def routed_lengths(routes: Routes) -> dict[str, int]:
    """Net -> nm of wire."""
    return {net: sum(abs(wire.x1 - wire.x0) + abs(wire.y1 - wire.y0) for wire in route.wires)
            for net, route in routes.items()}


def stretches(trees: NetTrees, lengths: Mapping[str, int]) -> dict[str, float]:
    """Net -> its length over that of its tree, of nets whose tree has one."""
    shape = trees.trees
    total = np.concatenate([[0], np.cumsum(shape.dx + shape.dy)])
    own = total[shape.first[1:]] - total[shape.first[:-1]]
    return {name: lengths[name] / nm for name, nm in zip(trees.names, own.tolist(), strict=True)
            if nm and name in lengths}

