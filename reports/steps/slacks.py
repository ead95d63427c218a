"""Distributions out of OpenSTA's reports: slacks of all endpoints, arrivals of the clock, and the worst paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np

from flow.chip import Chip
from flow.metrics import Metrics, Value
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.timing.names import rtl_name, rtl_pin
from flow.timing.reports import TimingPath, TimingReport, parse_report

STEP = "slacks"
RESULT = "slacks.json"
SOURCES = ("flow/timing/reports.py", "flow/timing/names.py", "reports/steps/slacks.py")
N_BINS, N_PATHS = 40, 8
CHECKS = ("setup", "hold")


def run_slacks(chip: Chip) -> Metrics:
    """Of the finished layout at every corner, into build/<design>-report/slacks, unless it is there already."""
    corners = list(chip.pdk.config.corners)
    step = Step(STEP, run=partial(measure, corners), required_metrics=("timing__path__count",))
    config = {"design": chip.design.name, "corners": corners, "sources_sha256": sources_sha256(SOURCES, ("numpy",))}
    inputs = [chip.result("sta", f"{corner}.rpt") for corner in corners]
    return run_step_once(step, chip.build / f"{chip.design.name}-report" / STEP, config=config, inputs=inputs)


def measure(corners: Sequence[str], work: Work) -> dict[str, Value]:
    """Metrics; the histograms and paths go to slacks.json."""
    reports = {corner: parse_report(path.read_text(encoding="utf-8"))
               for corner, path in zip(corners, work.inputs, strict=True)}
    content: dict[str, Any] = {check: slack_histogram(reports, check) for check in CHECKS}
    content["latency"] = histogram({corner: [late for _, late in report.latencies.values()]
                                    for corner, report in reports.items()})
    content["paths"] = [path_row(check, corner, path) for corner, report in reports.items() for check in CHECKS
                        for path in getattr(report, f"{check}_paths")[:N_PATHS]]
    (work.folder / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    values: dict[str, Value] = {"timing__path__count": len(content["paths"])}
    for corner, report in reports.items():
        for check in CHECKS:
            slacks = [end.slack for end in getattr(report, check).values()]
            values[f"timing__{check}__median__corner:{corner}"] = round(float(np.median(slacks)), 6)
    return values


def slack_histogram(reports: Mapping[str, TimingReport], check: str) -> dict[str, Any]:
    """Endpoints by slack, ns, the same bins at all corners."""
    return histogram({corner: [end.slack for end in getattr(report, check).values()]
                      for corner, report in reports.items()})


def histogram(samples: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """{"edges", "counts": name -> counts}; bins over the range of all samples.

    >>> histogram({"a": [0.0, 1.0], "b": [0.5]})["counts"]["a"][0]
    1
    """
    everything = np.concatenate([np.asarray(values, float) for values in samples.values()])
    edges = np.linspace(everything.min(), max(everything.max(), everything.min() + 1e-3), N_BINS + 1)
    counts = {name: np.histogram(np.asarray(values, float), edges)[0].tolist() for name, values in samples.items()}
    return {"edges": [round(float(edge), 6) for edge in edges], "counts": counts}


def path_row(check: str, corner: str, path: TimingPath) -> dict[str, Any]:
    """A path as ppa.json has it, without the clock's way to the register that it starts at."""
    starts = [at for at, point in enumerate(path.points) if point.pin.startswith(f"{path.start}/")]
    data = path.points[starts[0]:] if starts else path.points
    cells = [point.cell.partition("__")[2] or point.cell for point in data
             if point.load is not None and "/" in point.pin]
    return {"check": check, "corner": corner, "from": rtl_name(path.start), "to": rtl_pin(path.end),
            "slack_ns": path.slack, "arrival_ns": path.arrival, "cells": cells}
