"""Layout versus schematic of a finished layout: lvs.txt says what was compared, or what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.signoff.lvs import compare_chip
from flow.signoff.macros import CHECKS
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import gds
from golden.spec import SpecError

STEP, RESULT = "lvs", "lvs.txt"
SOURCES = (*gds.SOURCES, "flow/signoff/*.py", "flow/steps/lvs.py")
REQUIRED = ("design__lvs_error__count", "design__lvs__device__count", "design__lvs__net__count")
N_SHOWN = 8


def run_lvs(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path) -> Metrics:
    """Compares <top>.gds with <top>.def beside it (`layout`), in folder/lvs.

    macro_views: macro -> its LEF, with its GDS beside it and its own checks' results where flow.steps.sram leaves them.
    SpecError with the first differences when there are any.
    """
    step = Step(STEP, run=partial(check_schematic, pdk, list(macro_views)), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "sources_sha256": sources_sha256(SOURCES, ("klayout",))}
    macros = [path for lef in macro_views.values() for path in (
        lef, lef.with_suffix(".gds"), *(lef.parents[1] / check / "metrics.json" for check in CHECKS))]
    inputs = [layout, layout.with_suffix(".gds"), pdk.view(TECH_LEF), pdk.view("lef"), pdk.view("cdl"),
              pdk.view("spice"), *macros]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def check_schematic(pdk: Pdk, macros: Sequence[str], work: Work) -> dict[str, Value]:
    """Compares and writes in the step's folder."""
    layout, layout_gds, *_ = work.inputs
    views = work.inputs[6:]
    each = len(views) // len(macros) if macros else 0
    lefs, macro_gds = views[::each or 1], dict(zip(macros, views[1::each or 1], strict=False))
    cells = load_cells(pdk, lefs)
    report = compare_chip(layout_gds, load_def(layout, load_technology(pdk)), cells, pdk, macro_gds)
    compared = (f"{report.n_instances} instances of {report.n_cells} cells with {report.n_devices} devices, "
                f"{report.n_nets} nets, {len(macro_gds)} kinds of verified macros")
    (work.folder / RESULT).write_text("\n".join([compared, *(report.differences or ("match",))]) + "\n",
                                      encoding="utf-8")
    if report.differences:
        raise SpecError("\n".join([
            f"the layout must match its netlist, and {len(report.differences)} differences were found "
            f"({work.folder / RESULT}):", *(f"  {line}" for line in report.differences[:N_SHOWN])]))
    return {"design__lvs_error__count": len(report.differences), "design__lvs__device__count": report.n_devices,
            "design__lvs__net__count": report.n_nets, "design__lvs__instance__count": report.n_instances,
            "design__lvs__cell__count": report.n_cells}
