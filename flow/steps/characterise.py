"""`doit characterise`: Liberty files of cells at corners, from their layouts, with a manifest of what made them.

Extractions and measurements are kept by content in build/characterise-cache: a killed run goes on where it was, and
the same inputs give the same bytes in any order and with any number of processes.
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
from flow.characterise.cells import check_cells
from flow.characterise.checks import check_corners, check_result
from flow.characterise.corner import CORNERS, find_corner
from flow.characterise.liberty import NOTICE, library_text
from flow.characterise.ngspice import Simulator
from flow.characterise.result import CellResult
from flow.metrics import Metrics, Value
from flow.step import Step, Work, file_sha256, run_step
from flow.tool import tool_version

SLOW_TO_FAST = ("ss_100C_1v60", "tt_025C_1v80", "ff_n40C_1v95")
MANIFEST = "manifest.json"


def run_characterise(cells: Sequence[str], corners: Sequence[str], build: Path,
                     n_processes: int | None = None) -> Metrics:
    """Characterise cells into build/characterise: <library>__<corner>.lib and manifest.json.

    SpecError for bad names before any work, and when a cell breaks physics (flow.characterise.checks).
    """
    check_cells(tuple(cells))
    for corner in corners:
        find_corner(corner)
    step = Step("characterise", run=partial(characterise_all, tuple(cells), tuple(corners), build,
                                            n_processes or os.cpu_count() or 1), tools=("ngspice",),
                required_metrics=("characterise__cell__count",))
    return run_step(step, build / "characterise", config={"cells": sorted(cells), "corners": sorted(corners)})


def characterise_all(cells: tuple[str, ...], corners: tuple[str, ...], build: Path, n_processes: int,
                     work: Work) -> dict[str, Value]:
    """Every cell at every corner in a pool of processes, checked and written."""
    results: dict[tuple[str, str], CellResult] = {}
    wanted = [(cell, corner) for cell in sorted(cells) for corner in sorted(corners)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    start = monotonic()
    with ProcessPoolExecutor(n_processes) as pool, Progress(*columns) as progress:
        bar = progress.add_task("characterise", total=len(wanted))
        futures = {pool.submit(one_cell, cell, corner, build / "characterise-cache"): (cell, corner)
                   for cell, corner in wanted}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                progress.update(bar, advance=1, description=" ".join(futures[future]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    check_all(cells, corners, results)
    values: dict[str, Value] = {"characterise__cell__count": len(cells), "characterise__corner__count": len(corners)}
    libraries = {}
    for corner in sorted(corners):
        path = work.folder / f"{kit.LIBRARY}__{corner}.lib"
        path.write_text(library_text([results[cell, corner] for cell in cells], CORNERS[corner]))
        libraries[path.name] = file_sha256(path)
    write_manifest(work.folder / MANIFEST, cells, corners, libraries)
    print(f"characterised {len(cells)} cells at {len(corners)} corners in {monotonic() - start:.0f} s")
    return values


def one_cell(cell: str, corner: str, store: Path) -> CellResult:
    """One cell at one corner, checked; runs in a process of its own."""
    result = characterise_cell(cell, find_corner(corner), Simulator(store / "ngspice"), store / "extracted")
    check_result(result)
    return result


def check_all(cells: Sequence[str], corners: Sequence[str], results: dict[tuple[str, str], CellResult]) -> None:
    """The order of corners, for every cell."""
    order = [corner for corner in SLOW_TO_FAST if corner in corners]
    for cell in cells:
        check_corners([results[cell, corner] for corner in order])


def write_manifest(path: Path, cells: Sequence[str], corners: Sequence[str], libraries: dict[str, str]) -> None:
    """What the libraries were made from: kit, ngspice, sources, layouts, models; and their own hashes."""
    sources = sorted(Path(kit.__file__).parent.glob("*.py"))
    processes = sorted({p for corner in corners for p in (CORNERS[corner].process, CORNERS[corner].leakage_process)})
    manifest = {
        "notice": NOTICE,
        "kit": f"{kit.PACKAGE} {kit.VERSION} (Apache-2.0)",
        "ngspice": tool_version("ngspice"),
        "sources_sha256": hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest(),
        "models_sha256": {f"{device} {process}": file_sha256(kit.model_file(device, process))
                          for device in ("nfet_01v8", "pfet_01v8_hvt") for process in processes},
        "layouts_sha256": {cell: file_sha256(kit.cell_file(cell, "gds")) for cell in sorted(cells)},
        "libraries_sha256": libraries,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n")
