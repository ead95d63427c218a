"""The table of `./stillwater report` in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from flow.tables import new_table, print_titled, table_console
from reports.baseline import Difference
from reports.page import FIVE
from reports.schema import Figure, Ppa
from reports.texts import number_text, unit_text

FEW = 3
"""Reasons that are told one by one."""
STYLES = {"pass": "bold green", "fail": "bold red", "incomplete": "bold yellow"}
STATES = {"same": "", "within": "", "better": "green", "worse": "bold red", "missing": "bold red"}


def print_reports(reports: list[tuple[Ppa, list[Difference] | None]], console: Console | None = None) -> None:
    """The verdict and the five numbers of each design, what is missing, and the differences to its baseline."""
    console = table_console(console)
    units = {key: unit_text(reports[0][0].figures[key].unit) for key in FIVE}
    headings = {f"{key.partition('.')[2]}, {units[key]}": "right" for key in FIVE}
    table = new_table("design", **{"": "left"}, **headings)
    for ppa, _ in reports:
        table.add_row(ppa.design, Text(ppa.verdict.upper(), style=STYLES[ppa.verdict]),
                      *(cell(ppa.figures[key]) for key in FIVE))
    print_titled(console, "What it costs: die, slow corner's clock, power at tt, a step, an inference", table)
    for ppa, differences in reports:
        for said in gate_lines(ppa):
            console.print(Text(f"{ppa.design}: {said}", style="red"), soft_wrap=True)
        print_differences(ppa, differences, console)


def gate_lines(ppa: Ppa) -> list[str]:
    """What has failed, a line each; what is missing, a line for each reason; what is out of date."""
    said = [f"{check.label}: FAIL, found {check.found}" for check in ppa.checks.values() if check.passed is False]
    missing: dict[str, list[str]] = {}
    for check in ppa.checks.values():
        if check.passed is None:
            missing.setdefault(check.missing, []).append(check.label)
    if len(missing) > FEW:
        n = sum(map(len, missing.values()))
        said.append(f"{n} of {len(ppa.checks)} gates are missing; run ./stillwater asic design={ppa.design}")
    else:
        said += [f"missing: {'; '.join(labels)} ({why})" for why, labels in missing.items()]
    stale = [name for name, step in ppa.steps.items() if step.stale]
    return said + ([f"not up to date: {', '.join(stale)}; files that they have read were changed"] if stale else [])


def cell(figure: Figure) -> Text:
    """A number, or that it is missing, in red."""
    return Text("missing", style="bold red") if figure.value is None else Text(number_text(figure.value))


def print_differences(ppa: Ppa, differences: list[Difference] | None, console: Console) -> None:
    """One line a figure that is not as expected; one line when all are."""
    if differences is None:
        console.print(f"{ppa.design}: no baseline; ./stillwater baseline design={ppa.design} makes one", style="dim")
        return
    changed = [row for row in differences if row.state != "same"]
    if not changed:
        console.print(f"{ppa.design}: all {len(differences)} figures as in the baseline", style="green")
    for row in changed:
        if row.change is None:
            said = f"{row.state}: {row.why}"
        else:
            said = (f"{number_text(row.value)} {unit_text(row.unit)}, {row.change:+.2%} of {number_text(row.expected)} "
                    f"(allowed {row.tolerance:.1%}): {row.state}")
        console.print(Text(f"{ppa.design}: {row.label}: {said}", style=STATES[row.state]), soft_wrap=True)
