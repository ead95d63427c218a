"""Repair of a placement: repair.def, with buffers and sizes that its wires need; legal, checked, the same function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from flow.floorplan.plan import utilisation
from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.design import half_perimeters
from flow.physical.geometry import NM_PER_UM
from flow.physical.technology import TECH_LEF, load_technology
from flow.place.check import check_placement
from flow.place.engine import PACKAGE, Desk, placer_version
from flow.place.spec import PlaceSpec
from flow.repair.repair import repair_placement
from flow.repair.same import check_same
from flow.repair.shop import Workshop
from flow.repair.spec import RepairSpec
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import place, sta
from flow.timing.analyse import Timer, metrics_of, shortest_period
from flow.timing.gate import slowest_corner
from flow.timing.spec import TimingSpec
from flow.timing.sta import TOOL

STEP = "repair"
RESULT = "repair.def"
SOURCES = tuple(dict.fromkeys((*sta.SOURCES, *place.SOURCES, "flow/repair/*.py", "flow/clock/legal.py",
                               "flow/route/*.py", "flow/steps/repair.py")))
PACKAGES = (*sta.PACKAGES, PACKAGE)
REQUIRED = ("timing__setup__ws", "design__instance__count__stdcell", "design__violations",
            "design__buffer__count", "route__wirelength__estimated", "clock__period__shortest")
EFFORT = PlaceSpec(effort=1)
"""Of the placer that makes repaired placements legal: more moves cells for wires that sizes were chosen for."""


@dataclass(frozen=True)
class Demand:
    """timing: the clock and its surroundings; repair, place: how."""

    timing: TimingSpec
    repair: RepairSpec
    place: PlaceSpec


def run_repair(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path, timing: TimingSpec,
               spec: RepairSpec | None = None, place_spec: PlaceSpec | None = None) -> Metrics:
    """Repairs the placed DEF `layout` into folder/repair, unless a result of the same inputs is there.

    macro_views: macro -> its LEF. SpecError when a cell has no timing or the repaired cells do not fit into the rows.
    What still fails its clock is in the metrics; the gate is the step sta.
    """
    placer_version()
    demand = Demand(timing, spec or RepairSpec(), place_spec or EFFORT)
    corner = slowest_corner(pdk.config, list(pdk.config.corners))
    timer = Timer(pdk, macro_views, {}, tuple(pdk.config.corners), timing)
    step = Step(STEP, run=partial(make_repair, pdk, macro_views, demand, corner), tools=(TOOL,),
                required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "spec": demand, "sources_sha256": sources_sha256(SOURCES, PACKAGES)}
    liberty = [path for name in timer.corners for path in timer.liberty(name)]
    inputs = [layout, pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values(), *liberty]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def teller(top: str, log: Path) -> Callable[[str], None]:
    """Prints a line with the design's name before it, and writes it to the log."""
    def tell(line: str) -> None:
        Console(highlight=False, soft_wrap=True).print(f"{top}: {line}")
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    return tell


def make_repair(pdk: Pdk, macro_views: Mapping[str, Path], demand: Demand, corner: str, work: Work
                ) -> dict[str, Value]:
    """Repairs and checks in the step's folder."""
    cells, technology = load_cells(pdk, macro_views.values()), load_technology(pdk)
    design = load_def(work.inputs[0], technology)
    timer = Timer(pdk, macro_views, cells, tuple(pdk.config.corners), demand.timing)
    shop = Workshop(timer, technology, demand.place, Desk(work.log), work.folder,
                    teller(design.placement.top, work.log))
    repaired, report = repair_placement(design, shop, corner, demand.repair)
    library = timer.library(corner)
    check_same(design.netlist, repaired.netlist, cells, library)
    check_placement(repaired.placement, repaired.netlist, cells, technology)
    (work.folder / RESULT).write_text(write_def(repaired, technology), encoding="utf-8")
    netlist = repaired.netlist
    length = sum(half_perimeters(repaired.placement, netlist, cells).values())
    return {
        **dict(metrics_of(corner, report, netlist, library, cells, demand.timing)),
        "timing__setup__ws": round(report.worst("setup"), 6),
        "clock__period__shortest": round(shortest_period(report, netlist, demand.timing), 4),
        "design__instance__count__stdcell": sum(not cells[cell].is_macro for cell in netlist.instances.values()),
        "design__instance__utilization__stdcell": round(utilisation(repaired.placement, netlist, cells, technology), 5),
        "design__buffer__count": sum(library[cell].is_buffer for cell in netlist.instances.values()),
        "design__resized__count": sum(cell != netlist.instances.get(name, cell)
                                      for name, cell in design.netlist.instances.items()),
        "design__violations": 0,                           # check_placement has raised otherwise
        "route__wirelength__estimated": round(length / NM_PER_UM, 3),
    }
