"""Places the standard cells of a floor plan with Coloquinte, and gives the module's pins their places."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from flow.parameters import ROOT
from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, pin_centre
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.place.pins import assign_pins, find_slots
from flow.place.problem import Problem, Solution, build_problem, movable_cells
from flow.place.spec import PlaceSpec
from flow.tool import ToolError, run_tool
from golden.spec import SpecError

WORKER = "flow.place.worker"
PACKAGE = "coloquinte"
STAGES = re.compile(r"^(Global placement|Legalization|Detailed placement) starting")
FAILED = re.compile(r"^(?:RuntimeError: |terminate called.*|.*\bwhat\(\): +)(.*)")


@dataclass(frozen=True)
class Desk:
    """Where the placer works: its log, and who is told the stage that it is in."""

    log: Path
    on_stage: Callable[[str], None] = lambda stage: None


def placer_version() -> str:
    """Of the package; SpecError with the remedy when it is not installed."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise SpecError(f"placement needs the Python package {PACKAGE}, which is not installed; "
                        "rm -r .venv && ./stillwater doctor") from None


def place_pins(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, spec: PlaceSpec,
               desk: Desk) -> Placement:
    """The floor plan with a place for every port: near the cells that its net connects, as a rough placement has them.
    """
    rough = _run(build_problem(placement, netlist, cells, technology, spec, {}, rough=True), desk).places
    corner = placement.core[:2]
    corners = {name: (x + corner[0], y + corner[1])
               for name, (x, y) in zip(movable_cells(placement, netlist, cells), rough, strict=True)}
    middle = ((placement.die.x0 + placement.die.x1) // 2, (placement.die.y0 + placement.die.y1) // 2)
    wishes = {}
    for port in netlist.ports:
        pins = [pin for pin in netlist.nets[netlist.net_of["", port]] if pin[0]]
        points = [corners[name] if name in corners else pin_centre(placement, cells, name, pin) for name, pin in pins]
        wishes[port] = tuple(sum(axis) // len(points) for axis in zip(*points, strict=True)) if points else middle
    return replace(placement, ports=assign_pins(wishes, find_slots(placement, cells, technology), netlist.top))


def place_cells(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, spec: PlaceSpec,
                desk: Desk, weights: Mapping[str, float] | None = None) -> Placement:
    """The floor plan with a place for every standard cell of the netlist: in rows, on sites, without overlaps.

    weights: net -> how much its length counts, 1 for those that are not in it: nets on slow paths get more.
    SpecError when the cells do not fit into the rows.
    """
    problem = build_problem(placement, netlist, cells, technology, spec, weights or {})
    return _with_solution(placement, netlist, cells, _run(problem, desk))


def improve_cells(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, spec: PlaceSpec,
                  desk: Desk, weights: Mapping[str, float] | None = None) -> Placement:
    """A legal placement near the one that there is: for what buffers, a clock tree or other drives have changed.

    Every standard cell must have a place, which may be off rows and sites and over others; those that are fixed stay.
    """
    problem = build_problem(placement, netlist, cells, technology, spec, weights or {}, from_here=True)
    return _with_solution(placement, netlist, cells, _run(problem, desk))


def _with_solution(placement: Placement, netlist: Netlist, cells: Cells, solution: Solution) -> Placement:
    x0, y0 = placement.core[:2]
    movable = movable_cells(placement, netlist, cells)
    placed = {name: Placed(netlist.instances[name], x + x0, y + y0, turn)
              for name, (x, y), turn in zip(movable, solution.places, solution.orientations, strict=True)}
    return replace(placement, instances={**placement.instances, **placed})


def _run(problem: Problem, desk: Desk) -> Solution:
    """Coloquinte's solution; SpecError that says how full the rows are when it finds none."""
    placer_version()
    free = sum(x1 - x0 for x0, x1, *_ in problem.rows) - sum(cell.width for cell in problem.fixed)
    filled = f"{sum(problem.widths) / max(free, 1):.3f}"
    if sum(problem.widths) > free:
        raise SpecError(f"the cells of {problem.name} must fit into the rows, and fill {filled} of what end caps and "
                        "taps leave of them; lower utilisation, or make die_um larger")
    said = ""

    def watch(line: str) -> None:
        nonlocal said
        if match := STAGES.match(line):
            desk.on_stage(match[1])
        elif match := FAILED.match(line):
            said = match[1]

    with TemporaryDirectory(prefix="stillwater-place-") as folder:
        question, answer = Path(folder) / "problem.json", Path(folder) / "solution.json"
        question.write_bytes(msgspec.json.encode(problem))
        try:
            run_tool([sys.executable, "-m", WORKER, question, answer], desk.log, cwd=ROOT, on_line=watch)
            return msgspec.json.decode(answer.read_bytes(), type=Solution)
        except ToolError as error:
            raise ToolError(f"the placer failed on {problem.name}: {said or error}; its cells fill {filled} of what "
                            f"end caps and taps leave of the rows; if that is much, lower utilisation ({desk.log})"
                            ) from None
        except (OSError, msgspec.MsgspecError) as error:
            raise ToolError(f"the placer left no solution for {problem.name}: {error} ({desk.log})") from None
