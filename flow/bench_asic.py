"""How long designs take from RTL to a checked GDS, stage by stage, in folders where nothing has been done before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree

from rich.console import Console

from flow.asic import Finished, time_asic
from flow.bench import Figure
from flow.pdk.tree import Pdk

TARGETS_S = {"tiny": 120.0, "vowels": 900.0}
"""Designs that are measured, and seconds for all stages of each on two cores (issue 4)."""


def run_asic_bench(pdk: Pdk, folder: Path, designs: Mapping[str, float] = TARGETS_S) -> list[Figure]:
    """All stages of the designs, one design after the other, with the kit at hand; SpecError where a gate fails.

    The designs' results stay in folder/<design>, to be looked at; what was there is removed before.
    """
    figures, console = [], Console(highlight=False)
    for name, target in designs.items():
        build = folder / name
        rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        start = time.perf_counter()
        stages = time_asic(name, pdk, build)
        found = asic_figures(name, stages, time.perf_counter() - start, target)
        console.print(f"{name}: all stages in {found[0].value:.1f} s, {found[1].value:.1f} s of CPU")
        figures += found
    return figures


def asic_figures(design: str, stages: Mapping[str, Finished], seconds: float, target_s: float) -> list[Figure]:
    """The whole, then each stage; `seconds` from the first stage's start to the last one's end."""
    note = f"{design}: stages that do not wait for each other run side by side; CPU is of both cores"
    cpu = sum(finished.cpu_seconds for finished in stages.values())
    figures = [Figure(f"{design}, all stages", seconds, "s", target_s, True, note),
               Figure(f"{design}, all stages, CPU", cpu, "s", note=note)]
    for name, finished in stages.items():
        figures += [Figure(f"{design}, {name}", finished.seconds, "s"),
                    Figure(f"{design}, {name}, CPU", finished.cpu_seconds, "s")]
    return figures
