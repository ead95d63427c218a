"""Whether a design meets its timing, and what to say when it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flow.pdk.config import PdkConfig
from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist
from flow.timing.analyse import overloaded, shortest_period
from flow.timing.liberty import Library
from flow.timing.names import rtl_name, rtl_pin
from flow.timing.reports import Limit, TimingPath, TimingReport
from flow.timing.spec import TimingSpec
from golden.spec import SpecError

REMEDIES = {
    "setup": "a longer clock_period_ns, repair with more rounds, synthesis with goal: delay, or a lower utilisation",
    "hold": "hold repair with a larger margin_ns",
    "slew": "repair with a smaller max_slew_ns or max_fanout",
    "capacitance": "repair with a smaller max_fanout",
    "pulse": "a longer clock_period_ns, or another high_share",
    "period": "a longer clock_period_ns",
}


def check_timing(reports: Mapping[str, TimingReport], netlist: Netlist, libraries: Mapping[str, Library],
                 cells: Cells, spec: TimingSpec, pdk: PdkConfig, folder: Path) -> None:
    """SpecError, one message with all that fails at any corner, where its worst is, and the best period reached."""
    failures, kinds = [], {}
    for corner, report in reports.items():
        for kind, text in _failures(report, overloaded(report, netlist, libraries[corner], cells)):
            failures.append(f"  {corner}: {text}")
            kinds[kind] = REMEDIES[kind]
    if not failures:
        return
    slow = slowest_corner(pdk, reports)
    best = shortest_period(reports[slow], netlist, spec)
    remedies = "\n".join(f"  {kind}: {remedy}" for kind, remedy in kinds.items())
    raise SpecError(f"{netlist.top} must meet its timing with a clock of {spec.clock_period_ns:g} ns at every corner, "
                    f"and does not:\n" + "\n".join(failures) + f"\nthe shortest period at {slow} is {best:.2f} ns "
                    f"({1000 / best:.1f} MHz); paths pin by pin are in {folder}\nwhat to try:\n{remedies}")


def slowest_corner(pdk: PdkConfig, corners: Mapping[str, TimingReport] | Sequence[str]) -> str:
    """Of corners, the one with slow transistors; with several, at the lowest voltage."""
    order = {"ss": 0, "tt": 1, "ff": 2}
    return min(corners, key=lambda name: (order[pdk.corners[name].process], pdk.corners[name].voltage_v))


def _failures(report: TimingReport, overloads: Sequence[Limit]) -> Iterator[tuple[str, str]]:
    """Kind of failure, and what of it there is."""
    for check, paths in (("setup", report.setup_paths), ("hold", report.hold_paths)):
        violating = report.violating(check)
        if violating:
            worst = min(paths, key=lambda path: path.slack)
            yield check, (f"{check} is {report.worst(check):.3f} ns, {len(violating)} endpoints fail "
                          f"({report.total_negative(check):.2f} ns in all); the worst path is from "
                          f"{rtl_name(worst.start)} to {rtl_pin(worst.end)}, {len(worst.points) // 2} cells")
    if report.slews:
        worst = min(report.slews, key=lambda limit: limit.slack)
        yield "slew", f"{len(report.slews)} pins have slow edges, the worst {_limit(worst, 'ns')}"
    if overloads:
        yield "capacitance", f"{len(overloads)} pins drive too much, the worst {_limit(overloads[0], 'fF')}"
    for kind, found, what in (("pulse", report.pulses, "too short pulses"),
                              ("period", report.periods, "a too short period")):
        if found:
            worst = min(found, key=lambda limit: limit.slack)
            yield kind, f"{len(found)} clock pins have {what}, the worst {_limit(worst, 'ns')}"


def _limit(limit: Limit, unit: str) -> str:
    return f"{rtl_pin(limit.pin)} with {limit.actual:.3f} {unit} and a limit of {limit.limit:.3f}"


def paths_text(report: TimingReport) -> str:
    """The worst paths of both checks, pin by pin, registers by their RTL names."""
    lines = []
    for check, paths in (("setup", report.setup_paths), ("hold", report.hold_paths)):
        for number, path in enumerate(paths, 1):
            lines += [f"{check} {number}: {rtl_name(path.start)} -> {rtl_pin(path.end)}", *_path_lines(path), ""]
    return "\n".join(lines)


def _path_lines(path: TimingPath) -> Iterator[str]:
    yield f"  {'arrival ns':>10} {'delay':>8} {'slew ns':>8} {'load fF':>8}"
    before = path.points[0].arrival
    for point in path.points:
        load = "" if point.load is None else f"{1000 * point.load:.1f}"
        edge = {"^": "rise", "v": "fall"}[point.edge]
        yield (f"  {point.arrival:10.3f} {point.arrival - before:8.3f} {point.slew:8.3f} {load:>8}  {edge} "
               f"{rtl_pin(point.pin)} ({point.cell.rpartition('__')[2]})")
        before = point.arrival
    yield f"  arrival {path.arrival:.3f}, required {path.required:.3f}, slack {path.slack:.3f} ns"
