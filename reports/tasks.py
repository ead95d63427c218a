"""What the report's tasks of dodo.py do; as in flow/tasks.py, heavy modules are imported where they are used."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

from flow.parameters import DesignFile
from flow.tasks import BUILD
from golden.spec import SpecError


def report(designs: list[DesignFile], gpu: Path | None) -> None:
    """Pages of the designs, an index of several; fails, when all is written, where a baseline is not kept."""
    from flow.step import input_name
    from reports.run import PAGES, make_reports
    from reports.table import print_reports
    reports = make_reports([design.reference for design in designs], BUILD, gpu)
    print_reports([(made.ppa, made.differences) for made in reports])
    for made in reports:
        print(f"page     {input_name(made.page)}")
    if len(reports) > 1:
        print(f"index    {input_name(BUILD / PAGES / 'index.html')}")
    said = [f"{made.ppa.design}: {failure}" for made in reports for failure in made.failures]
    if said:
        which = ",".join(made.ppa.design for made in reports if made.failures)
        raise SpecError(f"beyond the baseline's tolerance: {'; '.join(said)}. Mend it, or take it as expected with "
                        f"./stillwater baseline design={which}")


def baseline(designs: list[DesignFile]) -> None:
    """Takes the designs' figures as what is expected; nothing is written where one of them is not whole."""
    from flow.step import input_name
    from reports.baseline import baseline_path, check_whole, write_baseline
    from reports.run import make_reports
    reports = make_reports([design.reference for design in designs], BUILD)
    for made in reports:
        check_whole(made.ppa)
    for made in reports:
        path = baseline_path(made.ppa.design)
        kept = write_baseline(made.ppa, path)
        print(f"{kept.design}: {len(kept.figures)} figures and {len(kept.checks)} gates -> {input_name(path)}")


def remove_reports(designs: list[DesignFile]) -> None:
    """Pages, and what the report has measured itself."""
    from reports.run import PAGES
    rmtree(BUILD / PAGES, ignore_errors=True)
    for design in designs:
        rmtree(BUILD / f"{design.name}-report", ignore_errors=True)
