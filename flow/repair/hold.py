"""Hold repair behind the clock tree: delay cells where data come too early.

OpenSTA says at every corner what is missing at each endpoint, and what its latest path can spare. What comes in at a
port too early for some endpoint is held up at the port, once for all of them, as long as the latest of the port's paths
can wait; what is still missing is added in front of endpoints, where sinks of one net that stand close together share
their delay. New cells go into gaps. In between the layout is mended, since the clock tree has moved cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flow.physical.design import Design, pin_centre
from flow.physical.netlist import Pin
from flow.repair.bench import Bench, load_kit
from flow.repair.delays import Chain, delay_chains, pick_chain
from flow.repair.edit import Editor
from flow.repair.gaps import settle
from flow.repair.mend import Mended, mend
from flow.repair.shop import Workshop
from flow.repair.spec import HoldSpec, RepairSpec
from flow.timing.reports import TimingReport

PREFIX = "hold"
TOGETHER_NM = 30_000
"""Sinks within this box (half its perimeter) share a delay."""
MOST_SINKS = 4


@dataclass(frozen=True)
class HoldResult:
    """reports: of OpenSTA at every corner, with the detours. n_cells: delay cells put in; n_without: endpoints for
    which none fits."""

    design: Design
    reports: Mapping[str, TimingReport]
    n_cells: int
    n_without: int


@dataclass(frozen=True)
class Margins:
    """ns: hold slack that each corner must have, setup slack that delays must leave."""

    hold: Mapping[str, float]
    setup: float

    @classmethod
    def of(cls, reports: Mapping[str, TimingReport], spec: HoldSpec) -> Margins:
        """The later the clock comes, the more of what is between estimated and routed wires there is in it."""
        late = {corner: max(latest for _, latest in report.latencies.values()) for corner, report in reports.items()}
        return cls({corner: spec.margin_ns + spec.latency_share * late[corner] for corner in reports},
                   spec.setup_margin_ns)

    def short(self, reports: Mapping[str, TimingReport]) -> int:
        """Endpoints that have less than the margin at some corner."""
        return len({end for corner, report in reports.items() for end, worst in report.hold.items()
                    if worst.slack < self.hold[corner]})


def repair_hold(design: Design, shop: Workshop, spec: HoldSpec, corner: str,
                mending: RepairSpec) -> HoldResult:
    """The design with delays, the best of all rounds: least negative slack over both checks and all corners, then the
    fewest endpoints below the margin. corner: the slow one, at which the layout is mended."""
    corners, chains = shop.timer.corners, delay_chains(shop.timer)
    kit = load_kit(shop.timer, corner, [*dict.fromkeys(design.netlist.instances.values()),
                                        *(cell for chain in chains for cell in chain.cells)])
    detours = shop.detours(design, propagated=True)
    reports = shop.judge(design, corners, "before", propagated=True, detours=detours)
    margins = Margins.of(reports, spec)
    shop.tell(f"before: {_words(reports)}")
    n_cells = 0
    if margins.short(reports):
        bench = Bench(kit, design, propagated=True, detours=detours)
        late, new = delay_ports(bench, reports, chains, margins)
        design, n_cells = settle(late, new, shop.timer.cells, shop.technology), len(new)
        shop.tell(f"{n_cells} delay cells at ports")
    mended = mend(design, shop, kit, mending, propagated=True, prefix="mend_c")
    reports = _reports(mended, shop, corner, "mended")
    shop.tell(f"mended: {_words(reports)}")
    best = _delay_endpoints(HoldResult(mended.design, reports, n_cells, 0), mended.detours, shop, spec, margins, chains)
    again = mend(best.design, shop, kit, mending, propagated=True, prefix="mend_h", seen=mended.seen)
    reports = _reports(again, shop, corner, "final")
    shop.tell(f"in the end: {_words(reports)}")
    return replace(best, design=again.design, reports=reports)


def _reports(mended: Mended, shop: Workshop, corner: str, name: str) -> dict[str, TimingReport]:
    """At every corner; mending has had the one at `corner`."""
    others = [other for other in shop.timer.corners if other != corner]
    found = {**shop.judge(mended.design, others, name, propagated=True, detours=mended.detours), corner: mended.report}
    return {name: found[name] for name in shop.timer.corners}


def _delay_endpoints(start: HoldResult, detours: Mapping[str, float], shop: Workshop, spec: HoldSpec, margins: Margins,
                     chains: list[Chain]) -> HoldResult:
    """The best of rounds of delays in front of endpoints."""
    corners, best = shop.timer.corners, start
    for number in range(spec.rounds):
        if not margins.short(best.reports):
            break
        editor, new, n_without = _add_delays(best.design, shop, best.reports, chains, margins, best.n_cells)
        best = replace(best, n_without=n_without)
        if not new:
            break
        design = settle(editor.design(), new, shop.timer.cells, shop.technology)
        reports = shop.judge(design, corners, f"round_{number}", propagated=True, detours=detours)
        now = HoldResult(design, reports, best.n_cells + len(new), n_without)
        shop.tell(f"{now.n_cells} delay cells: {_words(reports)}")
        if _rank(now, margins) <= _rank(best, margins):
            break
        best = now
    return best


def _rank(result: HoldResult, margins: Margins) -> tuple[float, ...]:
    """More is better: total negative slack, endpoints below the margin, the worst hold slack."""
    reports = result.reports
    total = sum(report.total_negative(check) for report in reports.values() for check in ("setup", "hold"))
    return total, -margins.short(reports), min(report.worst("hold") for report in reports.values())


def _words(reports: Mapping[str, TimingReport]) -> str:
    hold = min(report.worst("hold") for report in reports.values())
    setup = min(report.worst("setup") for report in reports.values())
    ends = {end for report in reports.values() for end in report.violating("hold")}
    slow = {limit.pin for report in reports.values() for limit in report.slews}
    return (f"worst hold slack {hold:.3f} ns, {len(ends)} endpoints fail, worst setup slack {setup:.3f} ns, "
            f"{len(slow)} pins with slow edges")


def _add_delays(design: Design, shop: Workshop, reports: Mapping[str, TimingReport], chains: list[Chain],
                margins: Margins, n_before: int) -> tuple[Editor, dict[str, tuple[int, int]], int]:
    """Delays for one round: the edited netlist, new cells with where they are wanted, endpoints that got none."""
    netlist, placement, cells = design.netlist, design.placement, shop.timer.cells
    ends: dict[str, list[Pin]] = defaultdict(list)
    for net, pins in netlist.nets.items():
        for pin in pins:
            end = "/".join(filter(None, pin))
            if any(end in report.hold and report.hold[end].slack < margins.hold[corner]
                   for corner, report in reports.items()):
                ends[net].append(pin)
    editor, new, n_without = Editor(design, cells), {}, 0
    for net, pins in ends.items():
        points = {pin: pin_centre(placement, cells, *pin) for pin in pins}
        for group in _groups(pins, points):
            need, spare = _demands(group, reports, margins)
            chain = pick_chain(chains, need, spare)
            if chain is None:
                n_without += len(group)
                continue
            middle = tuple(sum(points[pin][axis] for pin in group) // len(group) for axis in (0, 1))
            name = _net_of(editor, net, group)
            for cell in chain.cells:
                instance = f"{PREFIX}_{n_before + len(new)}"
                name = editor.add_buffer(instance, cell, name, group, middle)
                new[instance] = middle
    return editor, new, n_without


def delay_ports(bench: Bench, reports: Mapping[str, TimingReport], chains: list[Chain],
                margins: Margins) -> tuple[Design, dict[str, tuple[int, int]]]:
    """The bench's design with delays behind inputs whose earliest paths need them, and the new cells with where they
    are wanted: beside the port.

    bench: of the slow corner, timed here; its slack at a port is that of the latest of all paths from there.
    """
    design, times = bench.design, bench.time()
    netlist, placement, cells = design.netlist, design.placement, bench.kit.timer.cells
    need: dict[str, dict[str, float]] = {}
    for corner, report in reports.items():
        for worst in report.hold.values():
            if netlist.ports.get(worst.start) == "input":
                missing = need.setdefault(worst.start, dict.fromkeys(reports, 0.0))
                missing[corner] = max(missing[corner], margins.hold[corner] - worst.slack)
    editor, new = Editor(design, cells), {}
    for port in netlist.ports:
        if not any(need.get(port, {}).values()):
            continue
        spare = float(times.slack[bench.graph.ports[port]]) - margins.setup
        chain = pick_chain(chains, need[port], dict.fromkeys(reports, spare))
        if chain is None:
            continue
        place, net = pin_centre(placement, cells, "", port), netlist.net_of["", port]
        sinks = [pin for pin in netlist.nets[net] if pin != ("", port)]
        for cell in chain.cells:
            instance = f"{PREFIX}_{len(new)}"
            net = editor.add_buffer(instance, cell, net, sinks, place)
            new[instance] = place
    return editor.design(), new


def _net_of(editor: Editor, net: str, group: list[Pin]) -> str:
    """The net that a group is on now: a net whose port went behind a delay has another name in front of it."""
    if net in editor.nets and group[0] in editor.nets[net]:
        return net
    return next(name for name, pins in editor.nets.items() if group[0] in pins)


def _groups(pins: list[Pin], points: Mapping[Pin, tuple[int, int]]) -> list[list[Pin]]:
    """Sinks that stand together, from left to right; ports stay alone."""
    groups: list[list[Pin]] = []
    for pin in sorted(pins, key=lambda pin: (points[pin], pin)):
        together = [*groups[-1], pin] if groups and pin[0] and groups[-1][0][0] else []
        xs, ys = zip(*(points[other] for other in together), strict=True) if together else ((0,), (0,))
        if together and len(together) <= MOST_SINKS and max(xs) - min(xs) + max(ys) - min(ys) <= TOGETHER_NM:
            groups[-1].append(pin)
        else:
            groups.append([pin])
    return groups


def _demands(group: list[Pin], reports: Mapping[str, TimingReport],
             margins: Margins) -> tuple[dict[str, float], dict[str, float]]:
    """Corner -> what a group's earliest arrival needs, and what its latest can spare."""
    ends = ["/".join(filter(None, pin)) for pin in group]
    need = {corner: margins.hold[corner] - min(report.hold[end].slack for end in ends)
            for corner, report in reports.items()}
    spare = {corner: min(report.setup[end].slack for end in ends) - margins.setup
             for corner, report in reports.items()}
    return need, spare
