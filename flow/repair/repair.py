"""Repair of a placement: buffers where they are needed and as large as they must be, sizes by slack, all legal again.

The engine (flow.timing.engine) ranks and tries; the placer makes the result legal, and what it has moved, or the router
will lead around full places, is mended (flow.repair.mend). OpenSTA judges, and the best that it has seen is kept.
"""

from __future__ import annotations

from collections.abc import Callable

from flow.physical.design import Design
from flow.place.weights import net_weights
from flow.repair.bench import Bench, Kit, load_kit
from flow.repair.macros import one_net_a_macro
from flow.repair.mend import mend
from flow.repair.rebuffer import rebuffer, strip_buffers
from flow.repair.resize import size_cells
from flow.repair.shop import Workshop, demands
from flow.repair.spec import RepairSpec
from flow.timing.reports import TimingReport

REBUFFERINGS = 2
"""The first knows no slack; the second has that of the first."""
FIRST_PRICE, PRICE = 0.01, 1e-3
"""ns an um2 of buffer: where all sinks are equally urgent, and where slack says which are."""


def repair_placement(design: Design, shop: Workshop, corner: str, spec: RepairSpec) -> tuple[Design, TimingReport]:
    """The repaired design, legal, with OpenSTA's report of it: of all that were tried the best, the given one as well.

    Where the slack that is wanted is not reached, the cells are placed anew with nets weighted by their slack, and
    repaired again.
    """
    kit = load_kit(shop.timer, corner, dict.fromkeys(design.netlist.instances.values()))
    given = design, shop.judge(design, [corner], "before", propagated=False)[corner]
    shop.tell(f"before: {_words(given[1])}")
    best = max(given, _repaired(design, shop, kit, spec), key=lambda found: _rank(found[1]))
    for number in range(spec.placings):
        if best[1].worst("setup") >= demands(kit, spec).goal:
            break
        slacks = shop.net_slacks(best[0], corner, f"slacks_{number}")       # at a driver: the worst of all its buffers
        weights = net_weights({net: slacks[net] for net in design.netlist.nets if net in slacks},
                              shop.timer.spec.clock_period_ns)
        shop.tell(f"placed again, {len(weights)} nets near to the worst slack count more")
        found = _repaired(shop.placed(design, weights), shop, kit, spec)
        if _rank(found[1]) <= _rank(best[1]):
            break
        best = found
    return best


def _repaired(design: Design, shop: Workshop, kit: Kit, spec: RepairSpec) -> tuple[Design, TimingReport]:
    """Buffers and sizes, legal places, mending."""
    legal = shop.legal(repair_netlist(design, kit, spec, shop.tell).sized())
    mended = mend(legal, shop, kit, spec, propagated=False)
    return mended.design, mended.report


def _rank(report: TimingReport) -> tuple[float, ...]:
    """More is better: first nothing beyond its limits, then total negative slack, then the worst."""
    return (-len(report.slews), report.total_negative("setup"), report.worst("setup"))


def _words(report: TimingReport) -> str:
    return (f"worst slack {report.worst('setup'):.3f} ns, {len(report.violating('setup'))} endpoints fail, "
            f"{len(report.slews)} pins with slow edges")


def repair_netlist(design: Design, kit: Kit, spec: RepairSpec, tell: Callable[[str], None]) -> Bench:
    """Buffers and sizes, nothing legal yet: the bench with the design and its sizes."""
    wanted = demands(kit, spec)
    bare_design = one_net_a_macro(strip_buffers(design, kit), kit)
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


def _count(bench: Bench) -> int:
    return sum(cell.is_buffer for cell in (bench.kit.types.cells[kind] for kind in bench.graph.kinds))
