"""Static timing of a layout at every corner, and the gate: setup, hold, slews, capacitances, pulses and periods met.

build/<design>-<pdk>/sta has OpenSTA's script and report of each corner, <corner>.paths (the worst paths pin by pin, by
RTL names) and metrics.json. A run that fails leaves all of it but the metrics in sta.unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.timing.analyse import Timer, metrics_of
from flow.timing.gate import check_timing, paths_text, slowest_corner
from flow.timing.spec import TimingSpec
from flow.timing.sta import TOOL

STEP = "sta"
SOURCES = ("flow/timing/*.py", "flow/steps/sta.py", "flow/extract/*.py", "flow/physical/*.py", "flow/pdk/*.py",
           "flow/characterise/liberty_read.py", "flow/compiled.py", "pdk_configs/*")
PACKAGES = ("numba", "numpy")
REQUIRED = ("timing__setup__ws", "timing__hold__ws", "design__max_slew_violation__count",
            "design__max_cap_violation__count", "clock__period__shortest")
WORST = {"timing__setup__ws": min, "timing__hold__ws": min, "timing__setup__tns": min, "timing__hold__tns": min,
         "timing__setup_vio__count": max, "timing__hold_vio__count": max, "design__max_slew_violation__count": max,
         "design__max_cap_violation__count": max, "clock__skew__worst": max}
"""Metrics that are also there without a corner: the worst of all."""


def run_sta(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path, spec: TimingSpec,
            spefs: Mapping[str, Path] | None = None, *, propagated: bool = True) -> Metrics:
    """Times the DEF `layout` at every corner of the PDK file into folder/sta, and refuses what does not meet.

    spefs: corner -> extracted wires; None: estimated ones from the placement. propagated: there is a clock tree.
    SpecError with numbers, the worst path's ends and the best period reached.
    """
    corners = tuple(pdk.config.corners)
    spefs = dict(spefs or {})
    step = Step(STEP, run=partial(time_layout, pdk, macro_views, spec, tuple(spefs), propagated), tools=(TOOL,),
                required_metrics=(*REQUIRED, *(f"timing__setup__ws__corner:{corner}" for corner in corners)))
    config = {"pdk": pdk.config.name, "spec": spec, "propagated": propagated, "estimated": not spefs,
              "sources_sha256": sources_sha256(SOURCES, PACKAGES)}
    timer = Timer(pdk, macro_views, {}, corners, spec)
    liberty = [path for corner in corners for path in timer.liberty(corner)]
    inputs = [layout, *spefs.values(), pdk.view(TECH_LEF), pdk.view("lef"), *macro_views.values(), *liberty]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def time_layout(pdk: Pdk, macro_views: Mapping[str, Path], spec: TimingSpec, extracted: Sequence[str],
                propagated: bool, work: Work) -> dict[str, Value]:
    """Runs OpenSTA in the step's folder; the metrics of all corners."""
    layout, *rest = work.inputs
    cells, technology = load_cells(pdk, macro_views.values()), load_technology(pdk)
    design = load_def(layout, technology)
    timer = Timer(pdk, macro_views, cells, tuple(pdk.config.corners), spec)
    spefs = dict(zip(extracted, rest, strict=False))
    if not spefs:
        spefs = timer.write_estimates(design, timer.trees(design, propagated), work.folder, timer.corners)
    reports = timer.time(design.netlist, spefs, work.folder, work.log, propagated=propagated)
    libraries = {corner: timer.library(corner) for corner in timer.corners}
    values: dict[str, Value] = {}
    for corner, report in reports.items():
        (work.folder / f"{corner}.paths").write_text(paths_text(report), encoding="utf-8")
        values.update(metrics_of(corner, report, design.netlist, libraries[corner], cells, spec))
    for name, pick in WORST.items():
        values[name] = pick(values[f"{name}__corner:{corner}"] for corner in timer.corners)
    slow = slowest_corner(pdk.config, timer.corners)
    values["clock__period__shortest"] = values[f"clock__period__shortest__corner:{slow}"]
    values["clock__period"] = spec.clock_period_ns
    check_timing(reports, design.netlist, libraries, cells, spec, pdk.config, work.folder)
    return values
