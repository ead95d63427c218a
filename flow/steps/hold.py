"""Hold repair behind the clock tree: hold.def, with delay cells where data come too early; checked at all corners."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.place.check import check_placement
from flow.place.engine import Desk
from flow.repair.hold import repair_hold
from flow.repair.same import check_same
from flow.repair.shop import Workshop
from flow.repair.spec import HoldSpec, RepairSpec
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import repair
from flow.steps.repair import teller
from flow.timing.analyse import Timer, metrics_of
from flow.timing.gate import slowest_corner
from flow.timing.spec import TimingSpec
from flow.timing.sta import TOOL

STEP = "hold"
RESULT = "hold.def"
SOURCES = (*repair.SOURCES, "flow/steps/hold.py")
REQUIRED = ("timing__hold__ws", "timing__setup__ws", "design__hold_buffer__count", "design__violations")


def run_hold(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path, timing: TimingSpec,
             spec: HoldSpec | None = None, mending: RepairSpec | None = None) -> Metrics:
    """Repairs hold of the DEF `layout`, which has its clock tree, into folder/hold.

    macro_views: macro -> its LEF. mending: of what the clock tree's place has made slow. SpecError when the rows have
    no gap for a delay cell. What still fails is in the metrics; the gate is the step sta, on routed wires.
    """
    spec, mending = spec or HoldSpec(), mending or RepairSpec()
    timer = Timer(pdk, macro_views, {}, tuple(pdk.config.corners), timing)
    step = Step(STEP, run=partial(make_hold, pdk, macro_views, timing, spec, mending), tools=(TOOL,),
                required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "timing": timing, "spec": spec, "mending": mending,
              "sources_sha256": sources_sha256(SOURCES, repair.PACKAGES)}
    liberty = [path for corner in timer.corners for path in timer.liberty(corner)]
    inputs = [layout, pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values(), *liberty]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def make_hold(pdk: Pdk, macro_views: Mapping[str, Path], timing: TimingSpec, spec: HoldSpec, mending: RepairSpec,
              work: Work) -> dict[str, Value]:
    """Repairs and checks in the step's folder."""
    cells, technology = load_cells(pdk, macro_views.values()), load_technology(pdk)
    design = load_def(work.inputs[0], technology)
    timer = Timer(pdk, macro_views, cells, tuple(pdk.config.corners), timing)
    shop = Workshop(timer, technology, repair.EFFORT, Desk(work.log), work.folder,
                    teller(design.placement.top, work.log))
    result = repair_hold(design, shop, spec, slowest_corner(pdk.config, timer.corners), mending)
    netlist = result.design.netlist
    check_same(design.netlist, netlist, cells, timer.library(timer.corners[0]))
    check_placement(result.design.placement, netlist, cells, technology)
    (work.folder / RESULT).write_text(write_def(result.design, technology), encoding="utf-8")
    values: dict[str, Value] = {}
    for corner, report in result.reports.items():
        values.update(metrics_of(corner, report, netlist, timer.library(corner), cells, timing))
    for check in ("setup", "hold"):
        values[f"timing__{check}__ws"] = min(values[f"timing__{check}__ws__corner:{name}"] for name in timer.corners)
    return {**values, "design__hold_buffer__count": result.n_cells,
            "design__hold_buffer__missing": result.n_without,
            "design__violations": 0}                       # check_placement has raised otherwise
