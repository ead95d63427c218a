"""The layout as GDS: fill into what is left of the rows, every shape drawn, pins with labels; and its picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from flow.metrics import Metrics, Value
from flow.pdk.picture import draw_picture
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.design import Design
from flow.physical.gds import write_gds
from flow.physical.technology import TECH_LEF, load_technology
from flow.place.check import check_filled, check_placement
from flow.place.fill import add_fill
from flow.step import Step, Work, file_sha256, run_step_once, sources_sha256
from flow.steps import place

STEP = "gds"
SOURCES = (*place.SOURCES, "flow/steps/gds.py")
REQUIRED = ("design__instance__count__fill", "gds__sha256")


def run_gds(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path) -> Metrics:
    """The layout of a DEF as <top>.gds, <top>.def (with fill) and <top>.png in folder/gds.

    macro_views: macro -> its LEF, with the GDS of the same name beside it.
    """
    gds = [lef.with_suffix(".gds") for lef in macro_views.values()]
    step = Step(STEP, run=partial(make_gds, pdk, list(macro_views)), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "sources_sha256": sources_sha256(SOURCES, ("klayout",))}
    inputs = [layout, pdk.view(TECH_LEF), pdk.view("lef"), pdk.view("gds"), *macro_views.values(), *gds]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def make_gds(pdk: Pdk, macros: Sequence[str], work: Work) -> dict[str, Value]:
    """Fills, checks, writes and draws in the step's folder."""
    layout, _, _, cell_gds, *views = work.inputs
    lefs, macro_gds = views[:len(macros)], dict(zip(macros, views[len(macros):], strict=True))
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    design = load_def(layout, technology)
    placement = add_fill(design.placement, cells, technology)
    check_placement(placement, design.netlist, cells, technology)
    check_filled(placement, cells)
    top = placement.top
    (work.folder / f"{top}.def").write_text(write_def(Design(placement, design.netlist, design.routes), technology),
                                            encoding="utf-8")
    gds = work.folder / f"{top}.gds"
    write_gds(gds, placement, design.routes, cells, technology, cell_gds, macro_gds)
    draw_picture(gds, work.folder / f"{top}.png", pdk.config)
    kinds = Counter(placed.cell for name, placed in placement.instances.items() if name.startswith("FILL_"))
    return {"design__instance__count__fill": sum(kinds.values()),
            "design__instance__count__decap": sum(count for cell, count in kinds.items() if "decap" in cell),
            "gds__sha256": file_sha256(gds)}
