"""`doit characterise`: Liberty files of cells at corners, from their layouts, with a manifest of what made them.

Extractions and measurements are kept by content in build/characterise-cache: a killed run goes on where it was, and
the same inputs give the same bytes in any order and with any number of processes. A cell that fails stops no other:
all failures are told at the end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from time import monotonic

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flow.characterise import kit
from flow.characterise.cell import characterise_cell
from flow.characterise.cells import characterised_cells, check_cells
from flow.characterise.checks import check_corners, check_result
from flow.characterise.corner import CORNERS, find_corner
from flow.characterise.function import SEQUENTIAL
from flow.characterise.liberty import NOTICE, library_text
from flow.characterise.ngspice import Simulator
from flow.characterise.result import CellResult
from flow.metrics import Metrics, Value
from flow.pdk.liberty import (
    LIBERTY,
    LIBERTY_MANIFEST,
    cell_text,
    install_liberty,
    load_liberty_manifest,
    load_packed,
)
from flow.step import Step, Work, file_sha256, input_name, run_step
from flow.tool import tool_version
from golden.spec import SpecError

SLOW_TO_FAST = ("ss_100C_1v60", "tt_025C_1v80", "ff_n40C_1v95")
MOST_FAILURES_TOLD = 20
N_DIGITS = 16
"""Of the hashes of single cells in the manifest."""

Results = dict[tuple[str, str], CellResult]


def run_characterise(cells: Sequence[str], corners: Sequence[str], build: Path,
                     n_processes: int | None = None) -> Metrics:
    """Characterise cells into build/characterise: <library>__<corner>.lib and manifest.json.

    SpecError for bad names before any work, and in the end with all cells that failed or break physics
    (flow.characterise.checks).
    """
    check_cells(tuple(cells))
    for corner in corners:
        find_corner(corner)
    step = Step("characterise", run=partial(characterise_all, tuple(cells), tuple(corners), build,
                                            n_processes or os.cpu_count() or 1), tools=("ngspice",),
                required_metrics=("characterise__cell__count",))
    return run_step(step, build / "characterise", config={"cells": sorted(cells), "corners": sorted(corners)})


def install(build: Path, folder: Path = LIBERTY) -> None:
    """Takes the libraries that run_characterise made into the project.

    SpecError unless they have every cell at every corner: what is kept must have been made in one go.
    """
    made = set(load_liberty_manifest(build / "characterise").cells)
    missing = sorted(set(characterised_cells()) - made)
    if missing:
        raise SpecError(f"only a whole library can be kept, and {build / 'characterise'} lacks "
                        f"{', '.join(missing[:5])}{' and more' * (len(missing) > 5)}; run: ./stillwater library")
    for path in install_liberty(kit.CONFIG, build / "characterise", folder):
        print(f"installed {input_name(path)} ({path.stat().st_size / 1e3:.0f} kB)")


def characterise_all(cells: tuple[str, ...], corners: tuple[str, ...], build: Path, n_processes: int,
                     work: Work) -> dict[str, Value]:
    """Every cell at every corner in a pool of processes, checked and written."""
    start = monotonic()
    results, failures = measure_all(in_working_order(cells, corners), build / "characterise-cache", n_processes)
    failures += order_breaches(cells, corners, results)
    if failures:
        told = [f"  {line}" for line in failures[:MOST_FAILURES_TOLD]]
        more = len(failures) - len(told)
        raise SpecError("\n".join([f"{len(results)} of {len(cells) * len(corners)} cells and corners were "
                                   "characterised; no library is written, because of:", *told,
                                   *([f"  and {more} more"] if more else [])]))
    libraries = {}
    for corner in sorted(corners):
        path = work.folder / f"{kit.LIBRARY}__{corner}.lib"
        path.write_text(library_text([results[cell, corner] for cell in cells], CORNERS[corner]))
        libraries[corner] = path
    write_manifest(work.folder / LIBERTY_MANIFEST, cells, libraries)
    print(f"characterised {len(cells)} cells at {len(corners)} corners in {monotonic() - start:.0f} s")
    print_differences(cells, libraries)
    return {"characterise__cell__count": len(cells), "characterise__corner__count": len(corners)}


def in_working_order(cells: Sequence[str], corners: Sequence[str]) -> list[tuple[str, str]]:
    """Corner by corner, so that two processes seldom extract one cell twice; the cells that take longest first."""
    def weight(cell: str) -> tuple[bool, int]:
        verilog = kit.cell_file(cell, "functional.v").read_text()
        stores = any(primitive in verilog for primitive in SEQUENTIAL)
        return stores, kit.cell_file(cell, "gds").stat().st_size

    order = sorted(sorted(cells), key=weight, reverse=True)
    return [(cell, corner) for corner in CORNERS if corner in corners for cell in order]


def measure_all(wanted: list[tuple[str, str]], store: Path, n_processes: int) -> tuple[Results, list[str]]:
    """The results, and a line for each cell and corner that failed."""
    results: Results = {}
    failures: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProcessPoolExecutor(n_processes) as pool, Progress(*columns) as progress:
        bar = progress.add_task("characterise", total=len(wanted))
        futures = {pool.submit(one_cell, cell, corner, store): (cell, corner) for cell, corner in wanted}
        try:
            for future in as_completed(futures):
                key, error = futures[future], future.exception()
                if error is None:
                    results[key] = future.result()
                else:
                    kind = "" if isinstance(error, SpecError) else f"{type(error).__name__}: "
                    failures.append(f"{' '.join(key)}: {kind}{error}")
                told = f", {len(failures)} failed" if failures else ""
                progress.update(bar, advance=1, description=f"{' '.join(key)}{told}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results, sorted(failures)


def one_cell(cell: str, corner: str, store: Path) -> CellResult:
    """One cell at one corner, checked; runs in a process of its own."""
    result = characterise_cell(cell, find_corner(corner), Simulator(store / "ngspice"), store / "extracted")
    check_result(result)
    return result


def order_breaches(cells: Sequence[str], corners: Sequence[str], results: Results) -> list[str]:
    """Cells that are not slower at the slower corner, a line for each."""
    order = [corner for corner in SLOW_TO_FAST if corner in corners]
    found = []
    for cell in cells:
        try:
            check_corners([results[cell, corner] for corner in order if (cell, corner) in results])
        except SpecError as error:
            found.append(str(error))
    return found


def print_differences(cells: Sequence[str], libraries: dict[str, Path]) -> None:
    """Which of the cells are not, byte for byte, those that the project keeps."""
    for corner, path in libraries.items():
        kept, made = load_packed(kit.CONFIG, corner), path.read_text()
        if kept is not None:
            names = [f"{kit.LIBRARY}__{cell}" for cell in cells]
            others = [name for name in names if cell_text(kept, name) != cell_text(made, name)]
            print(f"  {corner}: {len(names) - len(others)} cells are byte for byte those of pdk_configs/liberty"
                  + (f", {len(others)} are not: {', '.join(others[:5])}" if others else ""))


def write_manifest(path: Path, cells: Sequence[str], libraries: dict[str, Path]) -> None:
    """What the libraries were made from: kit, ngspice, sources, layouts, models; and their own hashes."""
    sources = sorted(Path(kit.__file__).parent.glob("*.py"))
    processes = sorted({p for corner in libraries for p in (CORNERS[corner].process, CORNERS[corner].leakage_process)})
    texts = {corner: library.read_text() for corner, library in libraries.items()}
    manifest = {
        "notice": NOTICE,
        "kit": f"{kit.PACKAGE.name} {kit.PACKAGE.version} ({kit.PACKAGE.licence})",
        "ngspice": tool_version("ngspice"),
        "sources_sha256": hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest(),
        "models_sha256": {f"{device} {process}": file_sha256(kit.model_file(device, process))
                          for device in ("nfet_01v8", "pfet_01v8_hvt") for process in processes},
        "cells": {cell: {"layout": file_sha256(kit.cell_file(cell, "gds"))[:N_DIGITS], **{
            corner: hashlib.sha256(cell_text(text, f"{kit.LIBRARY}__{cell}").encode()).hexdigest()[:N_DIGITS]
            for corner, text in texts.items()}} for cell in sorted(cells)},
        "libraries_sha256": {library.name: file_sha256(library) for library in libraries.values()},
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n")
