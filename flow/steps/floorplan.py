"""Floor plan of a netlist: floorplan.def, with die, rows, macros, taps and power grid, checked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flow.floorplan.check import check_floorplan
from flow.floorplan.plan import build_floorplan, utilisation
from flow.floorplan.spec import FloorplanSpec
from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import Cells, load_cells
from flow.physical.def_write import write_def
from flow.physical.design import Design, Placement
from flow.physical.geometry import NM_PER_UM, Rect
from flow.physical.netlist import Netlist, check_netlist
from flow.physical.technology import TECH_LEF, Technology, load_technology
from flow.physical.verilog import load_netlist
from flow.step import Step, Work, run_step_once, sources_sha256

STEP = "floorplan"
RESULT = "floorplan.def"
SOURCES = ("flow/floorplan/*.py", "flow/physical/*.py", "flow/pdk/*.py", "flow/steps/floorplan.py", "pdk_configs/*")
REQUIRED = ("design__die__area", "design__instance__utilization__stdcell", "design__power_grid_violation__count")


def run_floorplan(top: str, netlist: Path, pdk: Pdk, macro_lefs: Sequence[Path], folder: Path,
                  spec: FloorplanSpec | None = None) -> Metrics:
    """The floor plan of module `top` into folder/floorplan, unless a result of the same inputs is there.

    SpecError, with what was measured and what to try, when macros or cells do not fit.
    """
    spec = spec or FloorplanSpec()
    step = Step(STEP, run=partial(make_floorplan, top, pdk, spec), required_metrics=REQUIRED)
    config = {"top": top, "pdk": pdk.config.name, "spec": spec, "sources_sha256": sources_sha256(SOURCES)}
    return run_step_once(step, folder / STEP, config=config,
                         inputs=[netlist, pdk.view(TECH_LEF), pdk.view("lef"), *macro_lefs])


def make_floorplan(top: str, pdk: Pdk, spec: FloorplanSpec, work: Work) -> dict[str, Value]:
    """Builds and checks it in the step's folder."""
    netlist_path, _, _, *macro_lefs = work.inputs
    cells, technology = load_cells(pdk, macro_lefs), load_technology(pdk)
    netlist = load_netlist(netlist_path, top, cells)
    check_netlist(netlist, cells)
    placement = build_floorplan(netlist, cells, technology, spec)
    check_floorplan(placement, cells, technology)
    (work.folder / RESULT).write_text(write_def(Design(placement, netlist), technology), encoding="utf-8")
    return measure_floorplan(placement, netlist, cells, technology)


def measure_floorplan(placement: Placement, netlist: Netlist, cells: Cells,
                      technology: Technology) -> dict[str, Value]:
    """METRICS2.1 values of a checked floor plan; areas in um2."""
    kinds = [cells[cell] for cell in netlist.instances.values()]
    physical = [placed for name, placed in placement.instances.items() if name not in netlist.instances]
    macro_area = sum(cell.area for cell in kinds if cell.is_macro)
    cell_area = sum(cell.area for cell in kinds if not cell.is_macro)
    return {
        "design__die__bbox": _corners(placement.die), "design__core__bbox": _corners(placement.core),
        "design__die__area": _um2(placement.die.area), "design__core__area": _um2(placement.core.area),
        "design__rows": len(placement.rows),
        "design__sites": sum(row.x1 - row.x0 for row in placement.rows) // technology.site_width,
        "design__instance__count": len(kinds), "design__instance__count__macros": sum(c.is_macro for c in kinds),
        "design__instance__count__stdcell": sum(not c.is_macro for c in kinds),
        "design__instance__count__physical": len(physical),
        "design__instance__area__macros": _um2(macro_area), "design__instance__area__stdcell": _um2(cell_area),
        "design__instance__utilization": round((macro_area + cell_area) / placement.core.area, 5),
        "design__instance__utilization__stdcell": round(utilisation(placement, netlist, cells, technology), 5),
        "design__power_grid_strap__count": sum(len(net.straps) for net in placement.supplies.values()),
        "design__power_grid_via__count": sum(len(net.vias) for net in placement.supplies.values()),
        "design__power_grid_violation__count": 0,          # check_floorplan has raised otherwise
        "design__io": len(netlist.ports), "design__net__count": len(netlist.nets),
    }


def _um2(area: int) -> float:
    return round(area / NM_PER_UM ** 2, 4)


def _corners(rect: Rect) -> str:
    return " ".join(f"{value / NM_PER_UM:g}" for value in rect)
