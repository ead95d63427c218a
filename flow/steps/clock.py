"""The clock tree of a placed design: clock.def, checked; clock.json has the tree's nodes, clock.png shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from flow.clock.check import Judge, check_tree
from flow.clock.engine import Kit, find_clock_tree
from flow.clock.library import ClockLibrary
from flow.clock.picture import draw_tree
from flow.clock.report import measure, tree_text
from flow.clock.spec import ClockSpec
from flow.clock.wire import load_wires
from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import place

STEP = "clock"
RESULT, TREE, PICTURE = "clock.def", "clock.json", "clock.png"
SOURCES = (*place.SOURCES, "flow/clock/*.py", "flow/extract/*.py", "flow/characterise/liberty_read.py",
           "flow/synthesis/library.py", "flow/steps/clock.py")
REQUIRED = ("clock__skew__worst", "clock__buffer__count", "clock__level__count", "clock__sink__count",
            "clock__wirelength__estimated", "clock__buffer__area", "design__violations")
TECH_LEFS = (TECH_LEF, "tech_lef_min", "tech_lef_max")


def run_clock(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path,
              spec: ClockSpec | None = None) -> Metrics:
    """Builds the clock tree of the DEF `layout` into folder/clock, unless a result of the same inputs is there.

    macro_views: macro -> its LEF, as `./stillwater sram` leaves it; its Liberty is where `./stillwater sramlib` puts
    it. SpecError when there is no library for a corner, no clock, or no tree within the limits.
    """
    spec = spec or ClockSpec()
    corners = list(pdk.config.corners)
    step = Step(STEP, run=partial(make_tree, pdk, spec, tuple(macro_views)),
                required_metrics=(*REQUIRED, *(f"clock__skew__worst__corner:{corner}" for corner in corners)))
    config = {"pdk": pdk.config.name, "spec": spec,
              "sources_sha256": sources_sha256(SOURCES, ("numpy", "scipy", "klayout"))}
    inputs = [layout, *(pdk.view(name) for name in TECH_LEFS), pdk.view("lef"),
              *(pdk.liberty(corner) for corner in corners), *macro_views.values(),
              *(macro_liberty(name, lef, corner) for corner in corners for name, lef in macro_views.items())]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def macro_liberty(name: str, lef: Path, corner: str) -> Path:
    """Where a macro's Liberty lies."""
    return lef.parent.parent / "liberty" / f"{name}__{corner}.lib"


def make_tree(pdk: Pdk, spec: ClockSpec, macros: Sequence[str], work: Work) -> dict[str, Value]:
    """Builds, checks and writes in the step's folder."""
    corners = list(pdk.config.corners)
    at = 1 + len(TECH_LEFS) + 1
    libraries, rest = work.inputs[at:at + len(corners)], work.inputs[at + len(corners):]
    lefs, macro_libraries = rest[:len(macros)], rest[len(macros):]
    of_corner = {corner: macro_libraries[k * len(macros):(k + 1) * len(macros)] for k, corner in enumerate(corners)}
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    before = load_def(work.inputs[0], technology)
    Console(highlight=False).print(f"{before.netlist.top}: clock tree ...")
    wires = load_wires(pdk)
    kit = Kit(cells, technology, {corner: ClockLibrary(path, of_corner[corner])
                                  for corner, path in zip(corners, libraries, strict=True)}, wires)
    tree = find_clock_tree(before, kit, spec)
    judge = Judge(cells, technology, libraries[corners.index(spec.corner)], tuple(of_corner[spec.corner]),
                  wires[spec.corner].capacitance * 1000)
    check_tree(before, tree.design, spec, judge)
    (work.folder / RESULT).write_text(write_def(tree.design, technology), encoding="utf-8")
    (work.folder / TREE).write_bytes(tree_text(tree, spec))
    draw_tree(tree, cells, work.folder / PICTURE)
    return {**measure(tree, cells), "design__violations": 0}         # check_tree has raised otherwise
