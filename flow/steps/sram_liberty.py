"""`doit sramlib`, the electrical side of SRAM macros: Liberty at corners, and what is written read back in SPICE.

build/sram/<name>/liberty has a .lib and the measurements of each corner, spice says what was compared. Extractions and
simulations are kept by content in build/sram-cache: a killed run goes on where it was, and macros share what is the
same in them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flow.characterise.corner import find_corner
from flow.characterise.ngspice import Simulator
from flow.metrics import Metrics, Value
from flow.pdk.config import PdkConfig
from flow.sram.characterise import characterise_macro
from flow.sram.checks import check_macro, check_order
from flow.sram.extracted import ExtractedMacro, extract_macro
from flow.sram.inputs import measure_inputs
from flow.sram.kept import kept_path, load_kept
from flow.sram.leakage import measure_leakage
from flow.sram.liberty import macro_library
from flow.sram.pins import check_liberty
from flow.sram.pulses import find_pulses
from flow.sram.readback import check_readback, run_readback
from flow.sram.result import MacroResult
from flow.sram.spec import SramSpec
from flow.sram.timing import measure_access
from flow.step import Step, Work, file_sha256, run_step_once
from flow.steps.characterise import SLOW_TO_FAST

PARTS = {"access": measure_access, "pulses": find_pulses, "inputs": measure_inputs, "leakage": measure_leakage}
"""The longest first, so that cores are busy to the end."""

MACRO_TIME_LIMIT_S = 7200.0
"""Of one simulation: ten minutes, a cell's limit, are too short for a macro on a machine that has other work."""


def run_liberty(spec: SramSpec, pdk: PdkConfig, corners: Sequence[str], build: Path, sources_sha256: str,
                n_processes: int | None = None) -> dict[str, Metrics]:
    """Stage (`liberty`, `spice`) -> metrics. SpecError for an unknown corner, and when numbers or reads are wrong."""
    for corner in corners:
        find_corner(corner)
    folder, n = build / "sram" / spec.name, n_processes or os.cpu_count() or 1
    views = [folder / "macro" / f"{spec.name}.{end}" for end in ("gds", "cdl")]
    results = [folder / "liberty" / f"{corner}.json" for corner in sorted(corners)]
    config = {"macro": spec.name, "corners": sorted(corners), "sources_sha256": sources_sha256}
    cache = build / "sram-cache"
    stages = {
        "liberty": (Step("sram-liberty", run=partial(make_liberty, spec, pdk, tuple(sorted(corners)), cache, n),
                         tools=("ngspice",), required_metrics=("sram__liberty__corner__count",)), views),
        "spice": (Step("sram-spice", run=partial(read_back, spec, pdk, tuple(sorted(corners)), cache, n),
                       tools=("ngspice",), required_metrics=("sram__readback__value__count",)), [*views, *results]),
    }
    return {name: run_step_once(step, folder / name, config={**config, "stage": name}, inputs=inputs)
            for name, (step, inputs) in stages.items()}


def make_liberty(spec: SramSpec, pdk: PdkConfig, corners: tuple[str, ...], cache: Path, n_processes: int,
                 work: Work) -> dict[str, Value]:
    """Measures every corner; then checks and writes them."""
    macro = extract_macro(*work.inputs, spec, pdk, cache / "extracted")
    jobs = [(measure_part, part, macro, spec, corner, cache) for part in PARTS for corner in corners]
    run_parallel(f"{spec.name} liberty", jobs, n_processes)
    return write_libraries(spec, {corner: characterise_macro(macro, spec, find_corner(corner),
                                                             macro_simulator(cache)) for corner in corners}, work)


def run_kept_liberty(spec: SramSpec, pdk: PdkConfig, build: Path, sources_sha256: str) -> Metrics:
    """Liberty at every corner out of the measurements that are kept; without those of this very macro, measured now.

    Into the same folder as `run_liberty`; needs the views in build/sram/<name>.
    """
    folder = build / "sram" / spec.name
    views = [folder / "macro" / f"{spec.name}.{end}" for end in ("gds", "cdl")]
    kept = load_kept(spec, *views)
    if kept is None or kept.keys() != pdk.corners.keys():
        return run_liberty(spec, pdk, tuple(pdk.corners), build, sources_sha256)["liberty"]
    step = Step("sram-liberty", run=partial(write_libraries, spec, kept),
                required_metrics=("sram__liberty__corner__count",))
    config = {"macro": spec.name, "corners": sorted(kept), "sources_sha256": sources_sha256, "stage": "kept"}
    return run_step_once(step, folder / "liberty", config=config, inputs=[*views, kept_path(spec)])


def write_libraries(spec: SramSpec, results: dict[str, MacroResult], work: Work) -> dict[str, Value]:
    """Checks and writes the Liberty file and the numbers of every corner."""
    for result in results.values():
        check_macro(result)
    check_order([results[corner] for corner in SLOW_TO_FAST if corner in results])
    values: dict[str, Value] = {"sram__liberty__corner__count": len(results)}
    for corner, result in results.items():
        text = macro_library(result, spec, find_corner(corner))
        path = work.folder / f"{spec.name}__{corner}.lib"
        path.write_text(text)
        check_liberty(spec, text, str(path))
        (work.folder / f"{corner}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
        values[f"sram__liberty__sha256__corner:{corner}"] = file_sha256(path)
        values |= {f"sram__access_ns__corner:{corner}": result.slowest_access_ns,
                   f"sram__period_ns__corner:{corner}": result.period_ns,
                   f"sram__read_pj__corner:{corner}": sum(result.energy["read"]),
                   f"sram__write_pj__corner:{corner}": sum(result.energy["write"]),
                   f"sram__leakage_nw__corner:{corner}": result.leakage.total}
    return values


def measured(spec: SramSpec, corners: Sequence[str], build: Path) -> dict[str, MacroResult]:
    """Corner -> numbers, as `run_liberty` left them."""
    folder = build / "sram" / spec.name / "liberty"
    return {corner: msgspec.json.decode((folder / f"{corner}.json").read_bytes(), type=MacroResult)
            for corner in corners}


def read_back(spec: SramSpec, pdk: PdkConfig, corners: tuple[str, ...], cache: Path, n_processes: int,
              work: Work) -> dict[str, Value]:
    """Writes and reads back at every corner's shortest phases; SpecError when a value is wrong."""
    gds, cdl, *stored = work.inputs
    macro = extract_macro(gds, cdl, spec, pdk, cache / "extracted")
    results = [msgspec.json.decode(path.read_bytes(), type=MacroResult) for path in stored]
    jobs = [(read_back_corner, macro, spec, corner, result.high_ns, result.low_ns, cache)
            for corner, result in zip(corners, results, strict=True)]
    outcomes = run_parallel(f"{spec.name} read back", jobs, n_processes)
    return {"sram__readback__value__count": sum(outcome[1] for outcome in outcomes),
            "sram__readback__read__count": sum(outcome[0] for outcome in outcomes),
            "sram__readback__corner__count": len(corners)}


def macro_simulator(cache: Path) -> Simulator:
    return Simulator(cache / "ngspice", MACRO_TIME_LIMIT_S)


def measure_part(part: str, macro: ExtractedMacro, spec: SramSpec, corner: str, cache: Path) -> None:
    """Fills the store with one part's simulations; runs in a process of its own."""
    PARTS[part](macro, spec, find_corner(corner), macro_simulator(cache))


def read_back_corner(macro: ExtractedMacro, spec: SramSpec, corner: str, high_ns: float, low_ns: float,
                     cache: Path) -> tuple[int, int]:
    """One corner: number of reads and of values that were compared; runs in a process of its own."""
    outcome = run_readback(macro, spec, find_corner(corner), high_ns, low_ns, macro_simulator(cache))
    check_readback(outcome, spec, find_corner(corner), high_ns, low_ns)
    return outcome.n_reads, outcome.n_compared


def run_parallel(what: str, jobs: list[tuple], n_processes: int) -> list[Any]:
    """Calls (function, *arguments) in processes, with a bar; results in their order."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProcessPoolExecutor(n_processes) as pool, Progress(*columns) as progress:
        bar = progress.add_task(what, total=len(jobs))
        futures = [pool.submit(*job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]
