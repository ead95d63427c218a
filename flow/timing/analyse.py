"""A netlist timed at several corners: what goes in, what every corner must have, and how far it is from its demands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flow.extract.corners import rc_corner
from flow.extract.estimates import load_estimates
from flow.pdk.tree import Pdk
from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.netlist import Netlist
from flow.physical.verilog import write_netlist
from flow.timing.estimate import NetTrees, net_trees, wire_model
from flow.timing.liberty import TimedCell, load_timing
from flow.timing.reports import EndSlack, Limit, TimingReport, check_constrained
from flow.timing.sdc import write_sdc
from flow.timing.spec import TimingSpec
from flow.timing.sta import Corner, StaJob, net_slacks, time_corners
from flow.timing.tree_spef import TreeSpef
from golden.spec import SpecError

NETLIST, SDC = "netlist.v", "design.sdc"


def liberty_files(pdk: Pdk, macro_views: Mapping[str, Path], corner: str) -> tuple[Path, ...]:
    """The kit's library of a corner, and those of macros: beside the folder of their views.

    macro_views: macro -> its LEF. SpecError for a macro without a library.
    """
    files = [pdk.liberty(corner)]
    for macro, lef in macro_views.items():
        path = lef.parent.parent / "liberty" / f"{macro}__{corner}.lib"
        if not path.is_file():
            raise SpecError(f"macro {macro} must have a Liberty file for {corner} ({path}); make it with: "
                            f"./stillwater sramlib words={macro.rpartition('_')[2]}")
        files.append(path)
    return tuple(files)


@dataclass(frozen=True)
class Timer:
    """What timing needs to know besides a layout.

    macro_views: macro -> its LEF. cells: the kit's and the macros' abstracts. corners: names, of the PDK file.
    """

    pdk: Pdk
    macro_views: Mapping[str, Path]
    cells: Cells
    corners: tuple[str, ...]
    spec: TimingSpec

    @property
    def prefix(self) -> str:
        return self.pdk.config.cell_library

    def liberty(self, corner: str) -> tuple[Path, ...]:
        return liberty_files(self.pdk, self.macro_views, corner)

    def library(self, corner: str) -> dict[str, TimedCell]:
        return load_timing(self.liberty(corner))

    @cached_property
    def load_pf(self) -> float:
        """At every output: the most that the spec's inputs have at any corner."""
        name = f"{self.prefix}__{self.spec.load_cell}"
        loads = []
        for corner in self.corners:
            cell = self.library(corner).get(name)
            if cell is None or len(cell.inputs) != 1:
                raise SpecError(f"load_cell must be a cell with one input in the library of {corner}, not {name}")
            loads.append(self.spec.load_count * cell.pins[cell.inputs[0]].capacitance)
        return max(loads)

    def trees(self, design: Design, propagated: bool, detours: Mapping[str, float] | None = None) -> NetTrees:
        """Of the design's nets; an ideal clock has no wires. detours: as of `NetTrees.stretched`."""
        without = () if propagated else [design.netlist.net_of["", self.spec.clock_port]]
        return net_trees(design.placement, design.netlist, self.cells, without).stretched(detours or {})

    def write_estimates(self, design: Design, trees: NetTrees, folder: Path, corners: Sequence[str]) -> dict[str, Path]:
        """Corner -> SPEF of estimated wires, as <corner>.spef in the folder."""
        files, spef = dict[str, Path](), TreeSpef(design.netlist, self.cells, trees)
        for corner in corners:
            rc = rc_corner(self.pdk.config.corners[corner])
            files[corner] = folder / f"{corner}.spef"
            files[corner].write_text(spef.text(wire_model(load_estimates(self.pdk, rc)), rc), encoding="utf-8")
        return files

    def net_slacks(self, netlist: Netlist, spef: Path, folder: Path, corner: str, *,
                   propagated: bool) -> dict[str, float]:
        """Net -> setup slack at its driver, ns, by OpenSTA; of nets that paths go through."""
        return net_slacks(self._job(netlist, folder, propagated), Corner(corner, self.liberty(corner), spef), folder)

    def _job(self, netlist: Netlist, folder: Path, propagated: bool, n_paths: int = 5) -> StaJob:
        """Writes what OpenSTA reads at every corner."""
        folder.mkdir(parents=True, exist_ok=True)
        verilog, sdc = folder / NETLIST, folder / SDC
        verilog.write_text(write_netlist(netlist), encoding="utf-8")
        sdc.write_text(write_sdc(netlist, self.prefix, self.load_pf, self.spec, propagated), encoding="utf-8")
        return StaJob(netlist.top, verilog, sdc, self.spec.clock_port, n_paths)

    def time(self, netlist: Netlist, spefs: Mapping[str, Path], folder: Path, log: Path, *, propagated: bool,
             corners: Sequence[str] = (), n_paths: int = 5) -> dict[str, TimingReport]:
        """Corner -> report of OpenSTA, with nothing left unconstrained. Files of the run stay in the folder."""
        job = self._job(netlist, folder, propagated, n_paths)
        wanted = [Corner(corner, self.liberty(corner), spefs.get(corner)) for corner in corners or self.corners]
        reports = time_corners(job, wanted, folder, log)
        for corner, report in reports.items():
            check_constrained(report, *endpoints(netlist, self.library(corner), self.cells))
        return reports


def endpoints(netlist: Netlist, library: Mapping[str, TimedCell], cells: Cells) -> tuple[list[str], list[str]]:
    """Endpoints that must have checks: data pins of registers and macros, outputs; and those that a tie cell drives."""
    live, constant = [], []
    for net, pins in netlist.nets.items():
        driver = netlist.driver(net, cells)
        tied = driver is not None and bool(driver[0]) and _is_tie(library[netlist.instances[driver[0]]], driver[1])
        for instance, pin in pins:
            if not instance:
                if netlist.ports[pin] == "output":
                    (constant if tied else live).append(pin)
            elif pin in library[netlist.instances[instance]].checked_pins:
                (constant if tied else live).append(f"{instance}/{pin}")
    return live, constant


def _is_tie(cell: TimedCell, pin: str) -> bool:
    return cell.pins[pin].function.strip("() ") in ("0", "1")


def overloaded(report: TimingReport, netlist: Netlist, library: Mapping[str, TimedCell], cells: Cells) -> list[Limit]:
    """Output pins that drive more than their library allows, the worst first; fF."""
    found = []
    for net in netlist.nets:
        driver = netlist.driver(net, cells)
        if driver is None or not driver[0]:
            continue
        if net not in report.loads:
            raise SpecError(f"every net must have a load in OpenSTA's report, and {net} has none")
        limit = library[netlist.instances[driver[0]]].pins[driver[1]].max_capacitance * 1000
        if report.loads[net] > limit:
            found.append(Limit("/".join(driver), limit, report.loads[net], limit - report.loads[net]))
    return sorted(found, key=lambda found: (found.slack, found.pin))


def shortest_period(report: TimingReport, netlist: Netlist, spec: TimingSpec) -> float:
    """The period (ns) at which the worst path of every endpoint, every pulse and every period would just pass.

    Delays at ports are parts of the period and shrink with it; pulses are as well.
    """
    period = spec.clock_period_ns
    needs = [_period_of(end, worst, netlist, spec) for end, worst in report.setup.items()]
    if report.worst_pulse is not None:
        share = spec.high_share if report.worst_pulse.pin.endswith("(high)") else 1 - spec.high_share
        needs.append(period - report.worst_pulse.slack / share)
    if report.worst_period is not None:
        needs.append(report.worst_period.limit)
    return max(needs)


def _period_of(end: str, worst: EndSlack, netlist: Netlist, spec: TimingSpec) -> float:
    share = (spec.input_share if worst.start in netlist.ports else 0.0) + (
        spec.output_share if end in netlist.ports else 0.0)
    period = spec.clock_period_ns
    return (period * (1 - share) - worst.slack) / (1 - share) if share < 1 else period - worst.slack


def clock_sinks(report: TimingReport, netlist: Netlist,
                library: Mapping[str, TimedCell]) -> dict[str, tuple[float, float]]:
    """Clock pin -> earliest and latest arrival, of registers and macros; a clock gate is a part of the tree."""
    found = {pin: latency for pin, latency in report.latencies.items()
             if not library[netlist.instances[pin.rpartition("/")[0]]].is_clock_gate}
    if not found:
        raise SpecError(f"{netlist.top} must have registers that its clock reaches, and has none")
    return found


def metrics_of(corner: str, report: TimingReport, netlist: Netlist, library: Mapping[str, TimedCell], cells: Cells,
               spec: TimingSpec) -> Iterator[tuple[str, float | int]]:
    """METRICS2.1 names and values of a corner; ns."""
    tag = f"corner:{corner}"
    for check in ("setup", "hold"):
        worst = report.worst(check)
        yield f"timing__{check}__ws__{tag}", round(worst, 6)
        yield f"timing__{check}__wns__{tag}", round(min(worst, 0.0), 6)
        yield f"timing__{check}__tns__{tag}", round(report.total_negative(check), 6)
        yield f"timing__{check}_vio__count__{tag}", len(report.violating(check))
    sinks = clock_sinks(report, netlist, library)
    early, late = min(low for low, _ in sinks.values()), max(high for _, high in sinks.values())
    yield f"clock__skew__worst__{tag}", round(late - early, 6)
    yield f"clock__latency__min__{tag}", early
    yield f"clock__latency__max__{tag}", late
    yield f"design__max_slew_violation__count__{tag}", len(report.slews)
    yield f"design__max_cap_violation__count__{tag}", len(overloaded(report, netlist, library, cells))
    yield f"timing__pulse_vio__count__{tag}", len(report.pulses)
    yield f"timing__period_vio__count__{tag}", len(report.periods)
    yield f"timing__endpoint__count__{tag}", len(report.setup)
    yield f"clock__period__shortest__{tag}", round(shortest_period(report, netlist, spec), 4)
