"""Placement of a floor plan: place.def, with pins and standard cells, checked; place.png shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from flow.floorplan.plan import utilisation
from flow.metrics import Metrics, Value
from flow.pdk.picture import draw_picture
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.design import Design, half_perimeters
from flow.physical.gds import write_gds
from flow.physical.geometry import NM_PER_UM
from flow.physical.technology import TECH_LEF, load_technology
from flow.place.check import check_placement
from flow.place.engine import PACKAGE, Desk, place_cells, place_pins
from flow.place.spec import PlaceSpec
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import floorplan

STEP = "place"
RESULT, PICTURE = "place.def", "place.png"
SOURCES = (*floorplan.SOURCES, "flow/place/*.py", "flow/steps/place.py")
REQUIRED = ("route__wirelength__estimated", "design__violations", "design__instance__count__stdcell")


def run_place(pdk: Pdk, macro_views: Mapping[str, Path], folder: Path, spec: PlaceSpec | None = None,
              weights: Mapping[str, float] | None = None) -> Metrics:
    """Places the floor plan in folder/floorplan into folder/place, unless a result of the same inputs is there.

    macro_views: macro -> its LEF, with the GDS of the same name beside it.
    weights:     net -> how much its length counts (1 for those not in it).
    SpecError when cells or pins do not fit.
    """
    spec, weights = spec or PlaceSpec(), dict(weights or {})
    gds = {name: lef.with_suffix(".gds") for name, lef in macro_views.items()}
    step = Step(STEP, run=partial(make_placement, pdk, spec, weights, list(macro_views)), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "spec": spec, "weights": weights,
              "sources_sha256": sources_sha256(SOURCES, (PACKAGE,))}
    inputs = [folder / floorplan.STEP / floorplan.RESULT, pdk.view(TECH_LEF), pdk.view("lef"), pdk.view("gds"),
              *macro_views.values(), *gds.values()]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def make_placement(pdk: Pdk, spec: PlaceSpec, weights: Mapping[str, float], macros: Sequence[str],
                   work: Work) -> dict[str, Value]:
    """Places, checks and draws in the step's folder."""
    plan, _, _, cell_gds, *views = work.inputs
    lefs, macro_gds = views[:len(macros)], dict(zip(macros, views[len(macros):], strict=True))
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    design = load_def(plan, technology)
    netlist = design.netlist
    desk = Desk(work.log, lambda stage: _say(design.placement.top, stage))
    pins = place_pins(design.placement, netlist, cells, technology, spec, desk)
    placement = place_cells(pins, netlist, cells, technology, spec, desk, weights)
    check_placement(placement, netlist, cells, technology)
    (work.folder / RESULT).write_text(write_def(Design(placement, netlist), technology), encoding="utf-8")
    layout = work.folder / f"{placement.top}.gds"
    write_gds(layout, placement, {}, cells, technology, cell_gds, macro_gds)
    draw_picture(layout, work.folder / PICTURE, pdk.config)
    layout.unlink()
    length = sum(half_perimeters(placement, netlist, cells).values())
    return {
        "route__wirelength__estimated": round(length / NM_PER_UM, 3),
        "design__violations": 0,                           # check_placement has raised otherwise
        "design__instance__count__stdcell": sum(not cells[cell].is_macro for cell in netlist.instances.values()),
        "design__instance__utilization__stdcell": round(utilisation(placement, netlist, cells, technology), 5),
        "design__io": len(placement.ports),
    }


def _say(top: str, stage: str) -> None:
    Console(highlight=False).print(f"{top}: {stage.lower()} ...")
