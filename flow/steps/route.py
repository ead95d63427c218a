"""Routing of a placed design: route.def, all nets connected and checked; antennas.json: what no repair helped."""

from __future__ import annotations

from collections.abc import Mapping
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
from flow.route.negotiate import Round
from flow.route.router import route_design
from flow.route.spec import RouteSpec
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import place

STEP = "route"
RESULT, ANTENNAS = "route.def", "antennas.json"
SOURCES = (*place.SOURCES, "flow/compiled.py", "flow/route/*.py", "flow/steps/route.py")
REQUIRED = ("route__wirelength", "route__drc_errors", "route__net", "route__vias", "antenna__violating__nets")


def run_route(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path,
              spec: RouteSpec | None = None) -> Metrics:
    """Routes the DEF `layout` into folder/route, unless a result of the same inputs is there.

    layout:      placed and not filled, so that diodes find gaps; a route in it is dropped.
    macro_views: macro -> its LEF.
    SpecError, with places, when a net cannot be routed or is left in conflict.
    """
    spec = spec or RouteSpec()
    step = Step(STEP, run=partial(make_routes, pdk, spec), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "spec": spec, "sources_sha256": sources_sha256(SOURCES, ("numba", "klayout"))}
    inputs = [layout, pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values()]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def make_routes(pdk: Pdk, spec: RouteSpec, work: Work) -> dict[str, Value]:
    """Routes and checks in the step's folder; one line of the log a round."""
    layout, _, _, *lefs = work.inputs
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    design = load_def(layout, technology)

    def tell(done: Round) -> None:
        line = f"round {done.number}: searched {done.searched}, in conflict {done.in_conflict}, no way {done.failed}"
        Console(highlight=False).print(f"{design.placement.top}: {line}")
        with work.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}, {done.pops:,} nodes taken from the heap so far\n")

    routed = route_design(design.placement, design.netlist, cells, technology, str(work.folder), spec, tell)
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
        "route__drc_errors": 0,                            # route_design has raised otherwise
        "antenna_diodes_count": report.n_diodes,
        "antenna__violating__nets": len({fault.net for fault in report.antennas}),
        "antenna__violating__pins": len({gate for fault in report.antennas for gate in fault.gates}),
    }
