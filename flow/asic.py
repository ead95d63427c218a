"""`doit asic`: the way from a design to a layout that can be made, as one list of stages.

Each stage is a step (flow/steps) with a folder of its own in build/<design>-<pdk>. What is done and has not changed is
not done again, so a run that was killed goes on with the stage it was in. A stage that fails ends the run: its message
says what was measured, where to look and what to try. Stages that do not need each other run side by side.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from flow.chip import Chip, load_chip
from flow.metrics import Metrics
from flow.pdk.tree import Pdk
from flow.stages import Stage, stages_of
from flow.usage import cpu_meter
from golden.spec import SpecError

COLLECTION = (200_000, 20, 10)
"""New objects, and rounds over young and middle-aged ones, after which Python looks for unreachable cycles."""


@dataclass(frozen=True)
class Finished:
    """A stage's end: its metrics, how long it took and used the cores, and whether it is from an earlier run."""

    metrics: Metrics
    seconds: float
    cpu_seconds: float
    kept: bool


def run_asic(reference: str | Path, pdk: Pdk, build: Path) -> dict[str, Metrics]:
    """All stages of a design; stage -> metrics. SpecError, naming the stage, at the first that fails."""
    return {name: finished.metrics for name, finished in time_asic(reference, pdk, build).items()}


def time_asic(reference: str | Path, pdk: Pdk, build: Path) -> dict[str, Finished]:
    """As run_asic, with what each stage took."""
    chip = load_chip(reference, pdk, build)
    chip.folder.mkdir(parents=True, exist_ok=True)
    with rare_collections():
        return run_stages(chip, stages_of(chip))


@contextmanager
def rare_collections() -> Iterator[None]:
    """Looks for objects in cycles less often: a layout is millions of small objects that are in none.

    Looking at them after every 700 new ones, as Python does, took a sixth of extraction's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(*COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def run_stages(chip: Chip, stages: Sequence[Stage], n_workers: int | None = None) -> dict[str, Finished]:
    """Runs each stage when those before it have ended; at most one a core at the same time.

    After a failure nothing new begins, what runs is waited for, and the SpecError names stage and folder; with several
    failures the first in the list is told.
    """
    console, width = Console(highlight=False), max(len(stage.name) for stage in stages)
    waiting, running, done = list(stages), dict[Future[Finished], Stage](), dict[str, Finished]()
    failures: dict[str, Exception] = {}
    n_workers = n_workers or os.cpu_count() or 1
    with ThreadPoolExecutor(n_workers) as pool:
        while waiting or running:
            for stage in [] if failures else [stage for stage in waiting if done.keys() >= set(stage.after)]:
                if len(running) < n_workers:
                    waiting.remove(stage)
                    running[pool.submit(run_stage, stage, chip)] = stage
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                try:
                    done[stage.name] = future.result()
                except SpecError as error:
                    failures[stage.name] = error
                    continue
                line = stage_line(chip, stage, done[stage.name], len(done), len(stages), width)
                console.print(line, soft_wrap=True)
    for stage in stages:
        if stage.name in failures:
            raise SpecError(failure_text(chip, stage, failures[stage.name])) from failures[stage.name]
    if waiting:
        raise ValueError(f"stages wait for what does not exist: {', '.join(stage.name for stage in waiting)}")
    return {stage.name: done[stage.name] for stage in stages}


def run_stage(stage: Stage, chip: Chip) -> Finished:
    """One stage, timed; it was kept when its metrics are older than the call."""
    begun, start = time.time(), time.perf_counter()
    with cpu_meter() as meter:
        metrics = stage.run(chip)
    written = max((path.stat().st_mtime for path in (chip.folder / stage.name).glob("metrics.json")), default=begun)
    return Finished(metrics, time.perf_counter() - start, meter.seconds, written < begun)


def stage_line(chip: Chip, stage: Stage, finished: Finished, number: int, n_stages: int, width: int) -> str:
    """What a person reads when a stage has ended."""
    seconds = "      kept" if finished.kept else f"{finished.seconds:8.1f} s"
    return f"{chip.design.name} {number:>2}/{n_stages} {stage.name:<{width}} {seconds}  {stage.say(finished.metrics)}"


def failure_text(chip: Chip, stage: Stage, error: Exception) -> str:
    """A stage's message, with the design, the stage and where its files are."""
    unfinished = chip.folder / f"{stage.name}.unfinished"
    where = f"; its files are in {unfinished}" if unfinished.is_dir() and str(unfinished) not in str(error) else ""
    return f"{chip.design.name}: stage {stage.name}: {error}{where}"
