"""Repair of a placement: buffers where they are needed and as large as they must be, sizes by slack, all legal again.

The engine (flow.timing.engine) ranks and tries; OpenSTA judges at the end of each legalisation, and the best that it
has seen is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flow.physical.design import Design
from flow.physical.technology import Technology
from flow.place.engine import Desk, improve_cells
from flow.place.spec import PlaceSpec
from flow.repair.bench import Bench, Kit, load_kit
from flow.repair.rebuffer import rebuffer, strip_buffers
from flow.repair.spec import RepairSpec
from flow.timing.analyse import Timer
from flow.timing.engine import Times
from flow.timing.reports import TimingReport

REBUFFERINGS = 2
"""The first knows no slack; the second has that of the first."""
FIRST_PRICE, PRICE = 0.01, 1e-3
"""ns an um2 of buffer: where all sinks are equally urgent, and where slack says which are."""
SIZE_PRICE, AREA_PRICE = 1e-6, 1e-4
"""ns2 an um2 of cells: while slack is missing, and when area is to be won back."""
SPARE_NS = 0.3
"""Slack beyond the goal that cells must have to become smaller."""
LEAST_SHARE = 0.1
"""When changing this part of the worthy ones does not help either, sizing ends."""


@dataclass(frozen=True)
class Demands:
    """Of one run: ns, pF limits as shares."""

    goal: float
    max_slew: float
    load_share: float
    rounds: int


def demands(kit: Kit, spec: RepairSpec) -> Demands:
    return Demands(spec.goal_share * kit.timer.spec.clock_period_ns, kit.slew_limit(spec.slew_share), spec.load_share,
                   spec.rounds)


@dataclass(frozen=True)
class Workshop:
    """What repair works with: timing, places, and whom it tells."""

    timer: Timer
    technology: Technology
    place: PlaceSpec
    desk: Desk
    folder: Path
    tell: Callable[[str], None]

    def judge(self, design: Design, corners: Iterable[str], name: str, *, propagated: bool) -> dict[str, TimingReport]:
        """OpenSTA's report of a design with estimated wires, in a folder of its own."""
        folder, corners = self.folder / name, tuple(corners)
        folder.mkdir(parents=True, exist_ok=True)
        spefs = self.timer.write_estimates(design, self.timer.trees(design, propagated), folder, corners)
        reports = self.timer.time(design.netlist, spefs, folder, self.desk.log, propagated=propagated, corners=corners)
        for path in spefs.values():
            path.unlink()                                  # large, and made again by the same call
        return reports

    def legal(self, design: Design) -> Design:
        """The design with all standard cells on sites of rows, near where they were."""
        places = improve_cells(design.placement, design.netlist, self.timer.cells, self.technology, self.place,
                               self.desk)
        return replace(design, placement=places)


def repair_placement(design: Design, shop: Workshop, corner: str, spec: RepairSpec) -> tuple[Design, TimingReport]:
    """The repaired design, legal, with OpenSTA's report of it: of all that were tried the best, the given one as well.
    """
    kit = load_kit(shop.timer, corner, dict.fromkeys(design.netlist.instances.values()))
    best, report = design, shop.judge(design, [corner], "before", propagated=False)[corner]
    shop.tell(f"before: {_words(report)}")
    bench = repair_netlist(design, kit, spec, shop.tell)
    wanted = demands(kit, spec)
    for number in range(spec.legalisations):
        legal = shop.legal(bench.sized())
        judged = shop.judge(legal, [corner], f"try_{number}", propagated=False)[corner]
        shop.tell(f"legal: {_words(judged)}")
        if _rank(judged) >= _rank(report):
            best, report = legal, judged
        if judged.worst("setup") >= wanted.goal / 2 and not judged.slews:
            break
        bench = Bench(kit, legal)
        before = bench.graph.kinds.copy()
        size_cells(bench, wanted, win_back=False)
        if (before == bench.graph.kinds).all():
            break
    return best, report


def _rank(report: TimingReport) -> tuple[float, ...]:
    """More is better: first nothing beyond its limits, then total negative slack, then the worst."""
    return (-len(report.slews), report.total_negative("setup"), report.worst("setup"))


def _words(report: TimingReport) -> str:
    return (f"worst slack {report.worst('setup'):.3f} ns, {len(report.violating('setup'))} endpoints fail, "
            f"{len(report.slews)} pins with slow edges")


def repair_netlist(design: Design, kit: Kit, spec: RepairSpec, tell: Callable[[str], None]) -> Bench:
    """Buffers and sizes, nothing legal yet: the bench with the design and its sizes."""
    wanted = demands(kit, spec)
    bare_design = strip_buffers(design, kit)
    bench, times = None, None
    for _ in range(1 + REBUFFERINGS):
        bare = Bench(kit, bare_design)
        bare.time()
        known = None if bench is None or times is None else (bench, times)
        price = FIRST_PRICE if known is None else PRICE
        buffered = rebuffer(bare, known, wanted.max_slew, wanted.load_share, wanted.goal, price)
        bench = Bench(kit, buffered)
        times = size_cells(bench, wanted)
        bare.graph.kinds[:] = [bench.graph.kinds[bench.number[name]] for name in bare.graph.names]
        bare_design = bare.sized()
        tell(f"{_count(bench)} buffers, worst slack {times.slack[bench.ends()].min():.3f} ns")
    return bench


def size_cells(bench: Bench, wanted: Demands, *, win_back: bool = True) -> Times:
    """Sizes until slack and edges are as wanted, or nothing helps; then area back where there is slack to spare."""
    times = _improve(bench, wanted, wanted.goal, SIZE_PRICE, _urgent)
    if not win_back:
        return times
    return _improve(bench, wanted, wanted.goal + SPARE_NS, AREA_PRICE, _idle, times)


def _urgent(bench: Bench, times: Times, wanted: Demands, goal: float) -> np.ndarray:
    return np.flatnonzero((bench.slack_of_instances(times) < goal) | bench.slow_instances(times, wanted.max_slew))


def _idle(bench: Bench, times: Times, wanted: Demands, goal: float) -> np.ndarray:
    return np.flatnonzero(bench.slack_of_instances(times) > goal)


def _improve(bench: Bench, wanted: Demands, goal: float, price: float, candidates: Callable[..., np.ndarray],
             times: Times | None = None) -> Times:
    """Rounds of sizing; one that makes things worse is undone, and the next changes fewer cells."""
    times = times or bench.time()
    kinds, share = bench.graph.kinds, 1.0
    best = kinds.copy()
    least = _score(bench, times, wanted, price)
    for _ in range(wanted.rounds):
        chosen = candidates(bench, times, wanted, goal)
        if not len(chosen) or not bench.resize_round(times, chosen, goal, wanted.max_slew, wanted.load_share, price,
                                                     share):
            break
        times = bench.time()
        score = _score(bench, times, wanted, price)
        if score < least:
            least, best, share = score, kinds.copy(), min(1.0, 2 * share)
            continue
        kinds[:] = best
        times = bench.time()
        share /= 4
        if share < LEAST_SHARE:
            break
    return times


def _score(bench: Bench, times: Times, wanted: Demands, price: float) -> float:
    """What is missing (ns2), and area at its price."""
    return bench.missing(times, wanted.goal, wanted.max_slew) + price * float(
        bench.kit.types.area[bench.graph.kinds].sum())


def _count(bench: Bench) -> int:
    return sum(cell.is_buffer for cell in (bench.kit.types.cells[kind] for kind in bench.graph.kinds))
