"""Reads the metrics.json of every step of a design; what is not there is noted with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flow.metrics import Metrics, Value, load_metrics
from flow.step import ROOT, file_sha256
from golden.spec import SpecError
from reports.schema import Figure, Metric, Source, StepRecord
from reports.units import unit_of

LAYOUT_STEPS = ("synthesis", "equivalence", "floorplan", "place", "repair", "clock", "hold", "route", "wires", "gds",
                "gatesim", "drc", "extract", "sta", "lvs", "antenna", "density", "power")
OWN_STEPS = ("accuracy", "modules", "slacks", "cpu")
MACRO_STEPS = ("macro", "drc", "lvs", "liberty")


@dataclass(frozen=True)
class Found:
    """A value with where it stands, or the reason why there is none."""

    value: Value | None
    source: Source
    missing: str = ""


class Tree:
    """The steps of a design under build/: `sim`, the layout's, those of its macro, and the report's own.

    root:  what file names are relative to (the repository).
    notes: step -> why it could not run, where this is known.
    """

    def __init__(self, design: str, pdk: str, build: Path, root: Path = ROOT, macro: str | None = None) -> None:
        self.design, self.pdk, self.root = design, pdk, root
        self.layout, self.own = build / f"{design}-{pdk}", build / f"{design}-report"
        self.folders: dict[str, Path] = {"sim": build / f"{design}-sim"}
        self.folders |= {step: self.layout / step for step in LAYOUT_STEPS}
        self.folders |= {f"sram-{step}": build / "sram" / macro / step for step in MACRO_STEPS if macro}
        self.folders |= {step: self.own / step for step in OWN_STEPS}
        self.metrics: dict[str, Metrics] = {}
        self.reasons: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.read()

    def read(self) -> None:
        """Reads all steps anew: the report's own come while it is made."""
        self.metrics, self.reasons = {}, {}
        for step, folder in self.folders.items():
            try:
                self.metrics[step] = load_metrics(folder / "metrics.json")
            except SpecError as error:
                unfinished = folder.with_name(folder.name + ".unfinished")
                failed = f"; it has failed or was interrupted: {self.name(unfinished)}" if unfinished.is_dir() else ""
                there = (folder / "metrics.json").is_file()
                said = str(error) if there else self.notes.get(step, f"step {step} has left no metrics.json")
                self.reasons[step] = said.replace(f"{self.root}/", "") + failed

    def name(self, path: Path) -> str:
        """A file's name as a report says it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

    def file(self, step: str, name: str = "metrics.json") -> str:
        return self.name(self.folders[step] / name)

    def find(self, step: str, metric: str) -> Found:
        """A metric of a step."""
        source = Source(file=self.file(step), metric=metric)
        if step not in self.metrics:
            return Found(None, source, self.reasons[step])
        values = self.metrics[step].values
        if metric not in values:
            return Found(None, source, f"step {step} did not measure {metric}")
        return Found(values[metric], source)

    def having(self, step: str, prefix: str) -> dict[str, Found]:
        """What follows a prefix -> the metric, of all metrics of a step that begin with it."""
        values = self.metrics[step].values if step in self.metrics else {}
        return {key.removeprefix(prefix): self.find(step, key) for key in sorted(values) if key.startswith(prefix)}

    def json(self, step: str, name: str) -> Any:
        """A step's JSON file, None where it is not there or broken."""
        path = self.folders[step] / name
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None

    def records(self) -> dict[str, StepRecord]:
        """All steps, for ppa.json."""
        return {step: self.record(step) for step in self.folders}

    def record(self, step: str) -> StepRecord:
        if step not in self.metrics:
            return StepRecord(file=self.file(step), missing=self.reasons[step])
        metrics = self.metrics[step]
        stale = [name for name, sha in metrics.inputs.items() if self.is_other(name, sha)]
        values = {key: Metric(value=value, unit=unit_of(key)) for key, value in sorted(metrics.values.items())}
        return StepRecord(file=self.file(step), config_sha256=metrics.config_sha256, tools=metrics.tools,
                          inputs=metrics.inputs, stale=sorted(stale), values=values)

    def is_other(self, name: str, sha256: str) -> bool:
        """Whether an input has changed since; a file outside of the repository is named without its place, and may
        have gone, so it is not judged."""
        path = self.root / name
        return "/" in name and (not path.is_file() or _sha256(path, path.stat().st_mtime_ns) != sha256)


@cache
def _sha256(path: Path, mtime_ns: int) -> str:
    """Inputs are shared by steps, so each is read once."""
    return file_sha256(path)


def figure(label: str, unit: str, found: Found, scale: float | None = None) -> Figure:
    """A metric as it stands, or times `scale` for another unit."""
    value = found.value
    if value is not None and scale is not None:
        value = value * scale
    return Figure(label=label, unit=unit, value=value, sources=[found.source], missing=found.missing)


def derived(label: str, unit: str, formula: str, inputs: Mapping[str, Found | Figure], compute) -> Figure:
    """A number from others; missing, with the first reason, where one of them is.

    compute: takes the inputs' values by name.
    """
    sources: list[Source] = []
    for found in inputs.values():
        for source in found.sources if isinstance(found, Figure) else [found.source]:
            if source not in sources:
                sources.append(source)
    lacking = [found.missing for found in inputs.values() if found.value is None]
    if lacking:
        return Figure(label=label, unit=unit, value=None, sources=sources, formula=formula, missing=lacking[0])
    values = {name: found.value for name, found in inputs.items()}
    try:
        value = compute(**values)
    except ZeroDivisionError:
        return Figure(label=label, unit=unit, value=None, sources=sources, formula=formula,
                      missing="it would be divided by 0")
    return Figure(label=label, unit=unit, value=value, sources=sources, formula=formula)
