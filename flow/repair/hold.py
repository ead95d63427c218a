"""Hold repair behind the clock tree: delay cells in front of endpoints that data reach too early.

OpenSTA says at every corner what is missing at each endpoint, and what its latest path can spare. Sinks of one net that
stand close together share their delay. New cells go into gaps; nothing else moves, so that the tree stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flow.physical.design import Design, pin_centre
from flow.physical.netlist import Pin
from flow.repair.delays import Chain, delay_chains, pick_chain
from flow.repair.edit import Editor
from flow.repair.gaps import settle
from flow.repair.repair import Workshop
from flow.repair.spec import HoldSpec
from flow.timing.reports import TimingReport

PREFIX = "hold"
TOGETHER_NM = 30_000
"""Sinks within this box (half its perimeter) share a delay."""
MOST_SINKS = 4


@dataclass(frozen=True)
class HoldResult:
    """reports: of OpenSTA at every corner. n_cells: delay cells put in; n_without: endpoints for which none fits."""

    design: Design
    reports: Mapping[str, TimingReport]
    n_cells: int
    n_without: int


def repair_hold(design: Design, shop: Workshop, spec: HoldSpec) -> HoldResult:
    """The design with delays, the best of all rounds: least negative slack over both checks and all corners."""
    corners, chains = shop.timer.corners, delay_chains(shop.timer)
    reports = shop.judge(design, corners, "before", propagated=True)
    best = HoldResult(design, reports, 0, 0)
    shop.tell(f"before: {_words(reports)}")
    n_cells = 0
    for number in range(spec.rounds):
        if all(report.worst("hold") >= spec.margin_ns / 2 for report in reports.values()):
            break
        editor, new, n_without = _add_delays(design, shop, reports, chains, spec, n_cells)
        if not new:
            best = HoldResult(best.design, best.reports, best.n_cells, n_without)
            break
        n_cells += len(new)
        design = settle(editor.design(), new, shop.timer.cells, shop.technology)
        reports = shop.judge(design, corners, f"round_{number}", propagated=True)
        shop.tell(f"{n_cells} delay cells: {_words(reports)}")
        if _rank(reports) > _rank(best.reports):
            best = HoldResult(design, reports, n_cells, n_without)
    return best


def _rank(reports: Mapping[str, TimingReport]) -> tuple[float, float]:
    """More is better: total negative slack, then the worst hold slack."""
    total = sum(report.total_negative(check) for report in reports.values() for check in ("setup", "hold"))
    return total, min(report.worst("hold") for report in reports.values())


def _words(reports: Mapping[str, TimingReport]) -> str:
    hold = min(report.worst("hold") for report in reports.values())
    setup = min(report.worst("setup") for report in reports.values())
    ends = {end for report in reports.values() for end in report.violating("hold")}
    return f"worst hold slack {hold:.3f} ns, {len(ends)} endpoints fail, worst setup slack {setup:.3f} ns"


def _add_delays(design: Design, shop: Workshop, reports: Mapping[str, TimingReport], chains: list[Chain],
                spec: HoldSpec, n_before: int) -> tuple[Editor, dict[str, tuple[int, int]], int]:
    """Delays for one round: the edited netlist, new cells with where they are wanted, endpoints that got none."""
    netlist, placement, cells = design.netlist, design.placement, shop.timer.cells
    ends: dict[str, list[Pin]] = defaultdict(list)
    for net, pins in netlist.nets.items():
        for pin in pins:
            end = "/".join(filter(None, pin))
            if any(end in report.hold and report.hold[end].slack < spec.margin_ns for report in reports.values()):
                ends[net].append(pin)
    editor, new, n_without = Editor(design, cells), {}, 0
    for net, pins in ends.items():
        points = {pin: pin_centre(placement, cells, *pin) for pin in pins}
        for group in _groups(pins, points):
            need, spare = _demands(group, reports, spec)
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
             spec: HoldSpec) -> tuple[dict[str, float], dict[str, float]]:
    """Corner -> what a group's earliest arrival needs, and what its latest can spare."""
    ends = ["/".join(filter(None, pin)) for pin in group]
    need = {corner: spec.margin_ns - min(report.hold[end].slack for end in ends) for corner, report in reports.items()}
    spare = {corner: min(report.setup[end].slack for end in ends) - spec.setup_margin_ns
             for corner, report in reports.items()}
    return need, spare
