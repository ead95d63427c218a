"""Opens, shorts and spacing of routed wires, on their shapes alone; wires.json lists faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.route.check import find_faults
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import route
from golden.spec import SpecError

STEP, RESULT = "wires", "wires.json"
SOURCES = (*route.SOURCES, "flow/steps/wires.py")
REQUIRED = ("route__drc_errors", "route__net")
N_SHOWN = 8


def run_wires(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path) -> Metrics:
    """Checks the routed DEF `layout`, in folder/wires; SpecError, with places, on any fault.

    macro_views: macro -> its LEF. It says in seconds what rules and LVS of the finished layout say in minutes, with the
    names of nets.
    """
    step = Step(STEP, run=partial(check_wires, pdk), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "sources_sha256": sources_sha256(SOURCES, ("klayout", "numba"))}
    inputs = [layout, pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values()]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def check_wires(pdk: Pdk, work: Work) -> dict[str, Value]:
    """Checks in the step's folder."""
    layout, _, _, *lefs = work.inputs
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    design = load_def(layout, technology)
    faults = find_faults(design.placement, design.netlist, design.routes, cells, technology)
    (work.folder / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(faults), indent=2) + b"\n")
    if faults:
        kinds = Counter(fault.kind for fault in faults)
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise SpecError("\n".join([
            f"routing must leave no open, short or spacing conflict, and left {counted} ({work.folder / RESULT}):",
            *(f"  {fault}" for fault in faults[:N_SHOWN])]))
    return {"route__drc_errors": 0, "route__net": sum(len(pins) > 1 for pins in design.netlist.nets.values())}
