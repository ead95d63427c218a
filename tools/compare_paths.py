"""Prints how far paths timed with a characterised Liberty are from a reference. For development, not the product.

    python tools/compare_paths.py OURS.lib REFERENCE.lib.gz [--design tiny,demand,vowels] [--clock 10] [--limit 7]

Each design is synthesised for the clock, with the cells that both libraries have. OpenSTA takes the worst path to each
endpoint under the reference, register to register (memories are black boxes), and the 100 worst of those; then the very
same paths (same pins, same edges) are timed again with ours. Wires are 5 fF a sink in both, the clock is ideal, its
edges 150 ps.

Slack depends on the clock that one asks for, the period that a path needs does not: period = clock - slack =
clock-to-output + logic + setup. The error of a path is that of its period, in % of the reference's period; at the clock
at which the reference's worst path just passes it is the difference of slack in % of that clock, or less. The slacks
at the clock that was asked for are printed as well, in ns: in % they mean nothing near zero.
Exit status 1 when an error is beyond --limit.
"""

from __future__ import annotations

import argparse
import gzip
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from flow.pdk.config import DoNotUse, load_pdk_config  # noqa: E402
from flow.pdk.tree import Pdk  # noqa: E402
from flow.steps.synthesis import run_synthesis  # noqa: E402
from flow.synthesis.library import load_library  # noqa: E402
from flow.synthesis.netlist import Netlist, parse_netlist  # noqa: E402
from flow.synthesis.spec import SynthesisSpec  # noqa: E402
from flow.tool import run_tool  # noqa: E402
from golden.spec import SpecError  # noqa: E402
from rtl.config import DesignConfig, find_design, load_design  # noqa: E402

WIRE_PF_A_SINK = 0.005
CLOCK_SLEW_NS = 0.15
CORNER = "tt_025C_1v80"
REPORT = "-fields {capacitance slew input_pin} -digits 6 -no_line_splits"
POINT = re.compile(r"^[\s\d.]*?(-?\d+\.\d+) +(-?\d+\.\d+) ([v^]) (\S+) \((\S+)\)$", re.MULTILINE)
SLACK = re.compile(r"(-?\d+\.\d+) +slack")
ARRIVAL = re.compile(r"(-?\d+\.\d+) +data arrival time")
N_CONTRIBUTORS = 12


@dataclass(frozen=True)
class Path_:
    """A timed path: (pin, edge, arrival in ns, cell) of each point from the clock pin on, arrival and slack in ns."""

    points: tuple[tuple[str, str, float, str], ...]
    arrival_ns: float
    slack_ns: float

    @property
    def route(self) -> tuple[tuple[str, str], ...]:
        return tuple(point[:2] for point in self.points)

    def period_ns(self, clock_ns: float) -> float:
        return clock_ns - self.slack_ns


def parse_paths(text: str) -> list[Path_]:
    """The paths of what report_checks printed, in its order."""
    paths = []
    for block in text.split("Startpoint: ")[1:]:
        points = tuple((m[4], m[3], float(m[2]), m[5]) for m in POINT.finditer(block))
        slack, arrival = SLACK.search(block), ARRIVAL.search(block)
        if not points or slack is None or arrival is None:
            raise SpecError(f"a path must have points, arrival and slack, and this one has not: {block[:300]}")
        paths.append(Path_(points, float(arrival[1]), float(slack[1])))
    return paths


def set_up(liberty: Path, netlist: Path, top: str, loads: Sequence[str], clock_ns: float) -> list[str]:
    return [f"read_liberty {liberty}", f"read_verilog {netlist}", f"link_design {top}",
            f"create_clock -name clk -period {clock_ns} [get_ports clk]",
            f"set_clock_transition {CLOCK_SLEW_NS} [get_clocks clk]", *loads]


def wire_loads(netlist: Netlist) -> list[str]:
    """A lumped load on every net that a cell drives, by its fanout."""
    lines = []
    for bit, drivers in netlist.drivers.items():
        pins = [pin for pin in drivers if "/" in pin]
        if pins and netlist.module.cells[pins[0].split("/")[0]].type not in netlist.black_boxes:
            load = netlist.fanout[bit] * WIRE_PF_A_SINK
            lines.append(f"set_load {load:.4f} [get_nets -of_objects [get_pins {pins[0]}]]")
    return lines


def same_path(path: Path_) -> str:
    """The report of one path, given by all its pins and edges."""
    edge = {"^": "rise", "v": "fall"}
    first, *middle, last = path.route
    through = " ".join(f"-{edge[e]}_through [get_pins {pin}]" for pin, e in middle)
    return (f"report_checks -path_delay max -from [get_pins {first[0]}] {through} "
            f"-{edge[last[1]]}_to [get_pins {last[0]}] {REPORT}")


def run_sta(commands: Sequence[str], folder: Path, name: str) -> str:
    """OpenSTA's output; SpecError when it reports an error, warnings are printed."""
    script, log = folder / f"{name}.tcl", folder / f"{name}.log"
    script.write_text("\n".join([*commands, "exit"]) + "\n")
    log.unlink(missing_ok=True)
    run_tool(["sta", "-no_splash", "-exit", script], log, cwd=folder)
    text = log.read_text()
    errors = [line for line in text.splitlines() if line.startswith("Error")]
    if errors:
        raise SpecError(f"OpenSTA: {errors[0]} ({log})")
    for line in dict.fromkeys(line for line in text.splitlines() if line.startswith("Warning")):
        print(f"  OpenSTA, {name}: {line}")
    return text


def compare(design: DesignConfig, clock: float, folder: Path, ours: Path, reference: Path, n_paths: int
            ) -> tuple[list[Path_], list[Path_], list[Path_]]:
    """The worst paths under the reference, the same under ours, and the worst under ours."""
    top = design.module_name
    boxes = {cell.type for cell in parse_netlist((folder / "netlist.json").read_bytes(), top).module.cells.values()
             if cell.type.startswith("flexmem")}
    netlist = parse_netlist((folder / "netlist.json").read_bytes(), top, boxes)
    loads, verilog = wire_loads(netlist), folder / "netlist.v"
    worst = f"report_checks -path_delay max -group_count {n_paths} -endpoint_count 1 {REPORT}"
    theirs = parse_paths(run_sta([*set_up(reference, verilog, top, loads, clock), worst], folder, "reference"))
    again = [same_path(path) for path in theirs]
    own = parse_paths(run_sta([*set_up(ours, verilog, top, loads, clock), *again, worst], folder, "ours"))
    same, worst_own = own[:len(theirs)], own[len(theirs):]
    if [path.route for path in same] != [path.route for path in theirs]:
        raise SpecError("the paths of both libraries must be the same, and are not")
    return theirs, same, worst_own


def contributions(theirs: Sequence[Path_], ours: Sequence[Path_],
                  clock_ns: float) -> list[tuple[str, int, float, float]]:
    """(cell and output edge, stages, difference in % of all periods, in % of their own delay), the largest first."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for a, b in zip(theirs, ours, strict=True):
        for k in range(1, len(a.points)):
            delays = tuple(path.points[k][2] - path.points[k - 1][2] for path in (a, b))
            if any(delays):                        # between an output and the next input there is no wire delay
                cell, edge = a.points[k][3], "rise" if a.points[k][1] == "^" else "fall"
                found[f"{cell.rpartition('__')[2]} {edge}"].append(delays)
        found["setup"].append(tuple(path.period_ns(clock_ns) - path.arrival_ns for path in (a, b)))
    total = sum(path.period_ns(clock_ns) for path in theirs)
    rows = []
    for name, pairs in found.items():
        reference, own = (sum(column) for column in zip(*pairs, strict=True))
        rows.append((name, len(pairs), 100 * (own - reference) / total, 100 * (own / reference - 1)))
    return sorted(rows, key=lambda row: -abs(row[2]))


def print_design(name: str, clock_ns: float, theirs: Sequence[Path_], ours: Sequence[Path_],
                 own_worst: Sequence[Path_]) -> float:
    """A design's part of the report; returns the largest error in %."""
    period, mine = (np.array([p.period_ns(clock_ns) for p in paths]) for paths in (theirs, ours))
    error = 100 * (mine / period - 1)
    slack, own_slack = clock_ns - period, clock_ns - mine
    print(f"{name}: {len(theirs)} paths of {period.min():.3f} to {period.max():.3f} ns, "
          f"{np.mean([len(p.points) // 2 for p in theirs]):.0f} cells each")
    print(f"  worst period       reference {period.max():.3f} ns, ours {mine.max():.3f} on the same paths, "
          f"{max(p.period_ns(clock_ns) for p in own_worst):.3f} of all")
    print(f"  error of period, % mean {error.mean():+.2f}, mean of size {abs(error).mean():.2f}, "
          f"p95 {np.percentile(abs(error), 95):.2f}, max {abs(error).max():.2f}")
    at_limit = 100 * (mine - period) / period.max()
    print(f"  slack at the clock {period.max():.3f} ns of the reference's limit: "
          f"p95 {np.percentile(abs(at_limit), 95):.2f}, max {abs(at_limit).max():.2f} % of the clock")
    less = 1000 * (own_slack - slack)
    print(f"  slack at {clock_ns:g} ns     reference {slack.min():.3f} to {slack.max():.3f} ns, ours "
          f"{own_slack.min():.3f} to {own_slack.max():.3f}; difference mean {less.mean():+.0f}, "
          f"max {abs(less).max():.0f} ps")
    ends = {path.points[-1][0] for path in theirs}
    print(f"  endpoints of ours' worst {len(own_worst)} that are the reference's as well: "
          f"{sum(path.points[-1][0] in ends for path in own_worst)}")
    print("  difference by cell and edge of its output (% of all periods; % of these stages' own delay)")
    for what, count, share, own in contributions(theirs, ours, clock_ns)[:N_CONTRIBUTORS]:
        print(f"    {what:18} {count:5} stages {share:+6.2f} {own:+7.1f}")
    return float(abs(error).max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--design", default="tiny,demand,vowels")
    parser.add_argument("--paths", type=int, default=100)
    parser.add_argument("--clock", type=float, default=10.0, help="period in ns to synthesise for")
    parser.add_argument("--limit", type=float, default=7.0, help="largest error of a path in %%")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "compare-paths")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    config = load_pdk_config()
    ours, reference = (plain(path, build / f"{name}.lib") for name, path in
                       (("ours", arguments.ours), ("reference", arguments.reference)))
    only_ours = set(load_library(ours, lambda _: None).cells) - set(load_library(reference, lambda _: None).cells)
    without = tuple(DoNotUse(cell.removeprefix(f"{config.cell_library}__"), "not in the reference")
                    for cell in sorted(only_ours))
    errors = {}
    for name in arguments.design.split(","):
        design = load_design(name)
        spec = SynthesisSpec(clock_period_ns=arguments.clock, corner=CORNER, do_not_use=without)
        run_synthesis(design, find_design(name), Pdk(config, build, "none", ""), build, spec, ours)
        folder = build / f"{name}-{config.name}" / "synthesis"
        theirs, same, own = compare(design, arguments.clock, folder, ours, reference, arguments.paths)
        errors[name] = print_design(name, arguments.clock, theirs, same, own)
    worst = max(errors, key=lambda name: errors[name])
    passed = errors[worst] <= arguments.limit
    print(f"{'PASS' if passed else 'FAIL'}: the largest error of a path is {errors[worst]:.2f} % ({worst}), "
          f"the limit {arguments.limit:g} %")
    return 0 if passed else 1


def plain(path: Path, copy: Path) -> Path:
    """A Liberty file without compression, in the build folder."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


if __name__ == "__main__":
    sys.exit(main())
