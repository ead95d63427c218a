"""Mends a legal placement: what its wires, as long as the router will make them, leave slow, overloaded or late.

Repair sizes for the wires of cells that are moved afterwards, and knows nothing of full places that nets are led
around. Here only nets beyond a limit are touched: sizes first, then buffers of their own; both are put between the
cells that are there. OpenSTA, with wires as long as the guides have them, says whether that has helped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.technology import Technology
from flow.repair.bench import Bench, Kit
from flow.repair.rebuffer import rebuffer
from flow.repair.resize import SIZE_PRICE, improve_sizes
from flow.repair.seats import seat_cells
from flow.repair.shop import Demands, Workshop, demands
from flow.repair.spec import RepairSpec
from flow.timing.analyse import overloaded
from flow.timing.engine import Times, clock_nets
from flow.timing.reports import TimingReport

PREFIX = "mend"
PRICE = 1e-3
"""ns an um2 of buffer."""


@dataclass(frozen=True)
class Mended:
    """detours: net -> length over its tree's, for which the report was made; seen: the longest of all rounds.
    beyond: pins with slow edges or too much load. near: nets that are to be mended. missing: `Bench.missing`, ns2.
    """

    design: Design
    detours: Mapping[str, float]
    seen: Mapping[str, float]
    report: TimingReport
    beyond: int
    near: int
    missing: float

    @property
    def rank(self) -> tuple[float, ...]:
        """More is better."""
        return (-self.beyond, self.report.total_negative("setup"), -self.near, -self.missing)


def mend(design: Design, shop: Workshop, kit: Kit, spec: RepairSpec, *, propagated: bool, prefix: str = PREFIX,
         seen: Mapping[str, float] | None = None) -> Mended:
    """The best of the design and of what rounds of mending make of it. The clock's nets and cells stay as they are.

    prefix: of the names of new buffers. seen: detours of earlier designs. Where it is full, every change leads other
    nets around: those that were once are mended for it, so that it comes to an end.
    """
    wanted = demands(kit, spec)
    best = now = _judged(design, shop, kit, wanted, spec.mend_share, prefix, propagated, seen or {})
    shop.tell(f"with detours: {_words(best)}")
    for number in range(spec.mendings):
        if not now.near:
            break
        bench = Bench(kit, now.design, propagated=propagated, detours=now.seen)
        limits = Limits.of(bench, wanted, spec.mend_share, held_cells(bench))
        better = mend_once(bench, shop.timer.cells, shop.technology, wanted, limits, f"{prefix}_{number}")
        if better is now.design:
            break
        now = _judged(better, shop, kit, wanted, spec.mend_share, f"{prefix}_{number}", propagated, now.seen)
        shop.tell(f"mended: {_words(now)}")
        best = max(best, now, key=lambda mended: mended.rank)
    return best


def _judged(design: Design, shop: Workshop, kit: Kit, wanted: Demands, share: float, name: str, propagated: bool,
            seen: Mapping[str, float]) -> Mended:
    detours = shop.detours(design, propagated=propagated)
    report = shop.judge(design, [kit.corner], name, propagated=propagated, detours=detours)[kit.corner]
    clock, library = set(shop.clock_nets(design)), shop.timer.library(kit.corner)
    loads = [found for found in overloaded(report, design.netlist, library, shop.timer.cells)
             if design.netlist.net_of[_pin(found.pin)] not in clock]
    bench = Bench(kit, design, propagated=propagated, detours=detours)
    times = bench.time()
    near = Limits.of(bench, wanted, share, held_cells(bench)).nets(bench, times)
    seen = {**seen, **{net: max(length, seen.get(net, 1.0)) for net, length in detours.items()}}
    return Mended(design, detours, seen, report, len(report.slews) + len(loads), len(near),
                  bench.missing(times, wanted.goal, wanted.max_slew))


def _pin(name: str) -> tuple[str, str]:
    instance, _, pin = name.rpartition("/")
    return instance, pin


def _words(mended: Mended) -> str:
    return (f"worst slack {mended.report.worst('setup'):.3f} ns, {mended.beyond} pins with slow edges or too much "
            f"load, {mended.near} nets near to that, {len(mended.detours)} nets on detours")


def mend_once(bench: Bench, cells: Cells, technology: Technology, wanted: Demands, limits: Limits,
              prefix: str) -> Design:
    """The bench's design with sizes and buffers for nets beyond the limits; itself when there are none.

    prefix: of the names of new buffers. SpecError when a cell finds no room.
    """
    before, times = bench.design, bench.time()
    if not len(limits.nets(bench, times)):
        return before
    improve_sizes(bench, wanted, wanted.goal, SIZE_PRICE, lambda bench, times, *_: limits.cells(bench, times), times)
    sized = Bench(bench.kit, bench.sized(), propagated=bench.propagated, detours=bench.detours)
    times, after = sized.time(), sized.design
    nets = limits.nets(sized, times)
    if len(nets):
        after = rebuffer(sized, (sized, times), wanted.max_slew, wanted.load_share, wanted.goal, PRICE, nets, prefix)
    if after.netlist == before.netlist:
        return before
    return seat_cells(before, after, cells, technology, held_cells(bench))


@dataclass(frozen=True)
class Limits:
    """What is to be mended: edges slower than `slew` ns, loads beyond a share of their limit, slack below `slack` ns.

    data: (M,) nets that are not the clock's. free: (N,) cells that may become another size.
    """

    slew: float
    load_share: float
    slack: float
    data: np.ndarray
    free: np.ndarray

    @classmethod
    def of(cls, bench: Bench, wanted: Demands, share: float, held: Collection[str]) -> Limits:
        return cls(share * bench.kit.timer.spec.max_slew_ns, wanted.load_share, wanted.goal / 2,
                   *cls.masks(bench, held))

    @staticmethod
    def masks(bench: Bench, held: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
        """`data` and `free`."""
        clock = set(_clock_nets(bench))
        return (np.array([name not in clock for name in bench.graph.nets], bool),
                np.array([name not in held for name in bench.graph.names], bool))

    def nets(self, bench: Bench, times: Times) -> np.ndarray:
        """Numbers of the nets beyond a limit."""
        g = bench.graph
        worse = np.zeros(len(g.nets) + 1, bool)            # the last stands for pins without a net
        worse[g.net_of_pin[(times.slew > self.slew).any(axis=1) | (times.slack < self.slack)]] = True
        worse[:-1] |= bench.engine.load > self.load_share * bench.most_load()
        return np.flatnonzero(worse[:-1] & self.data)

    def cells(self, bench: Bench, times: Times) -> np.ndarray:
        """Numbers of the cells at those nets that may change."""
        g, end = bench.graph, bench.graph.base[-1]
        worse = np.zeros(len(g.nets) + 1, bool)
        worse[self.nets(bench, times)] = True
        found = np.zeros(len(g.names), bool)
        found[g.pin_inst[:end][worse[g.net_of_pin[:end]]]] = True
        return np.flatnonzero(found & self.free)


def _clock_nets(bench: Bench) -> list[str]:
    library = {cell.name: cell for cell in bench.kit.types.cells}
    return clock_nets(bench.design.netlist, library, bench.kit.timer.spec.clock_port)


def held_cells(bench: Bench) -> set[str]:
    """Instances that drive the clock's nets, and all that is fixed."""
    netlist, cells = bench.design.netlist, bench.kit.timer.cells
    drivers = [netlist.driver(net, cells) for net in _clock_nets(bench)]
    return {driver[0] for driver in drivers if driver is not None and driver[0]} | {
        name for name, placed in bench.design.placement.instances.items() if placed.fixed}
