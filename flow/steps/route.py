"""Routing of a placed design: route.def, all nets connected and checked; antennas.json: what no repair helped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.design import Design
from flow.physical.technology import TECH_LEF, load_technology
from flow.place.check import check_placement
from flow.repair.routed import Mender
from flow.repair.same import check_same
from flow.repair.spec import RepairSpec
from flow.route.diodes import without_diodes
from flow.route.negotiate import Round
from flow.route.router import route_design
from flow.route.spec import RouteSpec
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import repair
from flow.steps.repair import teller
from flow.timing.analyse import Timer, liberty_files
from flow.timing.gate import slowest_corner
from flow.timing.spec import TimingSpec

STEP = "route"
RESULT, ANTENNAS = "route.def", "antennas.json"
SOURCES = (*repair.SOURCES, "flow/steps/route.py")
REQUIRED = ("route__wirelength", "route__net", "route__vias", "antenna__violating__nets")


@dataclass(frozen=True)
class Mending:
    """What routed wires are held to: the clock and its limits, and how nets beyond them are mended."""

    timing: TimingSpec
    repair: RepairSpec


def run_route(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path,
              spec: RouteSpec | None = None, mending: Mending | None = None) -> Metrics:
    """Routes the DEF `layout` into folder/route, unless a result of the same inputs is there.

    layout:      placed and not filled, so that diodes find gaps; a route in it is dropped.
    macro_views: macro -> its LEF. mending: None leaves what its wires have made slow as it is.
    SpecError, with places, when a net cannot be routed or is left in conflict.
    """
    spec = spec or RouteSpec()
    corner = slowest_corner(pdk.config, list(pdk.config.corners))
    step = Step(STEP, run=partial(make_routes, pdk, macro_views, spec, mending, corner), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "spec": spec, "mending": mending,
              "sources_sha256": sources_sha256(SOURCES, repair.PACKAGES)}
    liberty = [path for name in pdk.config.corners for path in liberty_files(pdk, macro_views, name)] if mending else []
    inputs = [layout, pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values(), *liberty]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def make_routes(pdk: Pdk, macro_views: Mapping[str, Path], spec: RouteSpec, mending: Mending | None, corner: str,
                work: Work) -> dict[str, Value]:
    """Routes and mends in the step's folder; one line of the log a round. corner: the slow one."""
    layout = work.inputs[0]
    cells, technology = load_cells(pdk, macro_views.values()), load_technology(pdk)
    design = load_def(layout, technology)

    def tell(done: Round) -> None:
        line = f"round {done.number}: searched {done.searched}, in conflict {done.in_conflict}, no way {done.failed}"
        Console(highlight=False).print(f"{design.placement.top}: {line}")
        with work.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}, {done.pops:,} nodes taken from the heap so far\n")

    timer = Timer(pdk, macro_views, cells, tuple(pdk.config.corners), mending.timing) if mending else None
    say = teller(design.placement.top, work.log)
    mend = Mender(timer, technology, corner, mending.repair, say) if timer and mending else None
    routed = route_design(design.placement, design.netlist, cells, technology, str(work.folder), spec, tell, mend)
    if timer:
        check_same(design.netlist, without_diodes(routed.netlist), cells, timer.library(corner))
        check_placement(routed.placement, routed.netlist, cells, technology)
    report = routed.report
    (work.folder / RESULT).write_text(write_def(Design(routed.placement, routed.netlist, routed.routes), technology),
                                      encoding="utf-8")
    (work.folder / ANTENNAS).write_bytes(msgspec.json.format(msgspec.json.encode(report.antennas), indent=2) + b"\n")
    return {
        "route__net": report.n_nets,
        "route__wirelength": round(report.wirelength_um, 3),
        "route__wirelength__estimated": round(report.half_perimeter_um, 3),
        "route__wirelength__detour": round(report.detour, 5),
        "route__vias": report.n_vias,
        "route__rounds": report.rounds,
        "route__mended__count": sum(routed.netlist.instances.get(name) != cell
                                    for name, cell in design.netlist.instances.items()),
        "antenna_diodes_count": report.n_diodes,
        "antenna__violating__nets": len({fault.net for fault in report.antennas}),
        "antenna__violating__pins": len({gate for fault in report.antennas for gate in fault.gates}),
    }
