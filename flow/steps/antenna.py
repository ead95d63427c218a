"""Antenna rules of a finished layout, from its GDS; antenna.json lists faults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import klayout.db as kdb
import msgspec

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.signoff.antenna import faulty_nets, find_antennas, parse_antenna_rules
from flow.signoff.chip import placed_cells
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import gds
from golden.spec import SpecError

STEP, RESULT = "antenna", "antenna.json"
SOURCES = (*gds.SOURCES, "flow/signoff/*.py", "flow/compiled.py", "flow/steps/antenna.py")
REQUIRED = ("antenna__violating__nets", "antenna__checked__gates", "antenna__worst__ratio")
N_SHOWN = 8


def run_antenna(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path) -> Metrics:
    """Checks <top>.gds beside <top>.def (`layout`), in folder/antenna; SpecError, with places, on any fault.

    macro_views: macro -> its LEF, which says what its pins are.
    """
    step = Step(STEP, run=partial(check_antennas, pdk), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "sources_sha256": sources_sha256(SOURCES, ("klayout", "numba"))}
    inputs = [layout, layout.with_suffix(".gds"), pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values()]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def check_antennas(pdk: Pdk, work: Work) -> dict[str, Value]:
    """Checks in the step's folder."""
    layout_def, layout_gds, tech_lef, _, *lefs = work.inputs
    cells, design = load_cells(pdk, lefs), load_def(layout_def, load_technology(pdk))
    layout = kdb.Layout()
    layout.read(str(layout_gds))
    top = layout.cell(design.placement.top)
    if top is None:
        raise SpecError(f"cell {design.placement.top} must be in {layout_gds}")
    names = {(cell, str(trans)): name for name, (cell, trans) in placed_cells(design, cells).items()}
    pins = {name: list(cells[name].signal_pins) for name in {placed.cell for placed in
            design.placement.instances.values()} if cells[name].is_macro}
    rules = parse_antenna_rules(tech_lef.read_text(encoding="utf-8"), str(tech_lef))
    report = find_antennas(layout, top, pdk.config, rules, pins, names)
    nets = list(faulty_nets(report, design.netlist.net_of))
    (work.folder / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    lines = [*report.cells, *map(str, report.faults)]
    if lines:
        raise SpecError("\n".join([
            f"no wire may collect more charge than its gates bear, and {len(nets)} nets do "
            f"({', '.join(nets[:N_SHOWN])}; {work.folder / RESULT}):", *(f"  {line}" for line in lines[:N_SHOWN]),
            "try: route again with antenna repair, or a diode at these pins"]))
    return {"antenna__violating__nets": len(nets), "antenna__violating__pins": len(report.faults),
            "antenna__checked__gates": report.n_gates,
            "antenna__worst__ratio": round(max(report.worst.values()), 5),
            **{f"antenna__worst__ratio__layer:{layer}": round(share, 5) for layer, share in report.worst.items()}}
