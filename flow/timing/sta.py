"""OpenSTA on a netlist at one corner: the script, the run, the report as numbers.

OpenSTA 2.0.17 (Debian) has no check of capacitances; it is asked for the load of every net, and the limits come from
the libraries (flow.timing.reports.check_loads).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flow.timing.reports import MARK, TimingReport, parse_report
from flow.tool import run_tool
from golden.spec import SpecError

TOOL = "sta"
N_DIGITS = 6
ALL = 1_000_000
"""More endpoints than any design has: OpenSTA wants a number."""
LOADS = """foreach net [get_nets *] {
  set corner [sta::cmd_corner]
  puts "[get_full_name $net] [$net capacitance rise $corner max] [$net capacitance fall $corner max]"
}"""
SLACKS = """foreach net [get_nets *] {
  foreach pin [get_pins -of_objects $net] {
    if {[$pin is_driver]} {
      foreach vertex [$pin vertices] { puts "[get_full_name $net] [$vertex slacks rise] [$vertex slacks fall]" }
    }
  }
}"""
UNTIMED_S = 1e-3
"""A slack of more is none: OpenSTA has 1e+30 where no path goes through."""
LATENCIES = """foreach pin [all_registers -clock_pins] {{
  foreach vertex [$pin vertices] {{
    puts "[get_full_name $pin] [$vertex arrivals_clk_delays rise [get_clocks {{{clock}}}] rise {digits}]"
  }}
}}"""


@dataclass(frozen=True)
class Corner:
    """name: as in the PDK file. liberty: the kit's library and those of the macros. spef None: wires without delay."""

    name: str
    liberty: tuple[Path, ...]
    spef: Path | None


@dataclass(frozen=True)
class StaJob:
    """What OpenSTA reads of a netlist at every corner. clock: its name in the SDC. n_paths: that are wanted in full."""

    top: str
    netlist: Path
    sdc: Path
    clock: str
    n_paths: int = 5


def time_corners(job: StaJob, corners: Sequence[Corner], folder: Path, log: Path) -> dict[str, TimingReport]:
    """Times a netlist at corners, as many side by side as there are cores. The log names them in the given order.

    SpecError as of `time_corner`, of the first that fails in that order.
    """
    with log.open("a", encoding="utf-8") as file:
        for corner in corners:
            file.write(f"$ {TOOL} -no_splash -exit {corner.name}.tcl\n  its output is in {corner.name}.rpt\n")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda corner: time_corner(job, corner, folder), corners))
    return {corner.name: report for corner, report in zip(corners, found, strict=True)}


def time_corner(job: StaJob, corner: Corner, folder: Path) -> TimingReport:
    """Times a netlist at a corner; script and report stay in the folder as <corner>.tcl and <corner>.rpt.

    SpecError when OpenSTA reports an error, a warning about what it read, or leaves a number out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script, report = (folder / f"{corner.name}.{end}" for end in ("tcl", "rpt"))
    script.write_text(script_text(job, corner), encoding="utf-8")
    report.unlink(missing_ok=True)
    run_tool([TOOL, "-no_splash", "-exit", script.resolve()], report, cwd=folder)
    try:
        return parse_report(report.read_text(encoding="utf-8"))
    except SpecError as error:
        raise SpecError(f"OpenSTA at {corner.name}: {error} ({report})") from None


def net_slacks(job: StaJob, corner: Corner, folder: Path) -> dict[str, float]:
    """Net -> setup slack at its driver, ns, the worse of both edges; of nets that paths go through.

    Script and output stay in the folder as slacks.tcl and slacks.rpt. SpecError when OpenSTA leaves nets out.
    """
    script, report = folder / "slacks.tcl", folder / "slacks.rpt"
    lines = [*read_lines(job, corner), f"puts {{{MARK} slacks}}", SLACKS, f"puts {{{MARK} end}}", ""]
    script.write_text("\n".join(lines), encoding="utf-8")
    report.unlink(missing_ok=True)
    run_tool([TOOL, "-no_splash", "-exit", script.resolve()], report, cwd=folder)
    return parse_slacks(report.read_text(encoding="utf-8"), str(report))


def parse_slacks(text: str, where: str) -> dict[str, float]:
    """What `SLACKS` prints: net, then the slacks of the earliest and the latest arrival of a rising edge, of a falling.

    >>> parse_slacks(f"{MARK} slacks\\na 1e-9 2e-9 1e-9 1.5e-9\\nb INF INF INF INF\\n{MARK} end\\n", "log")
    {'a': 1.5}
    """
    _, begun, rest = text.partition(f"{MARK} slacks\n")
    lines, ended, _ = rest.partition(f"{MARK} end")
    found = {}
    for line in lines.splitlines():
        net, *values = line.split()
        if len(values) != 4:
            raise SpecError(f"OpenSTA must print a net and four slacks a line, not {line!r} ({where})")
        worst = min(float(values[1]), float(values[3]))
        if abs(worst) < UNTIMED_S:
            found[net] = round(worst * 1e9, N_DIGITS)
    if not (begun and ended and found):
        raise SpecError(f"OpenSTA must print the slack of every net, and printed {len(found)} ({where})")
    return found


def read_lines(job: StaJob, corner: Corner) -> list[str]:
    """The commands that read a netlist and all that it is timed with."""
    return [f"puts {{{MARK} read}}", *(f"read_liberty {{{path.resolve()}}}" for path in corner.liberty),
            f"read_verilog {{{job.netlist.resolve()}}}", f"link_design {job.top}",
            *([f"read_spef {{{corner.spef.resolve()}}}"] if corner.spef else []), f"source {{{job.sdc.resolve()}}}"]


def script_text(job: StaJob, corner: Corner) -> str:
    """The commands; each part of the output has a line `@@ part` before it."""
    lines = read_lines(job, corner)
    digits = f"-digits {N_DIGITS}"
    ends = f"-format summary -group_count {ALL} {digits} -no_line_splits"
    full = (f"-format full_clock_expanded -fields {{capacitance slew input_pin}} -group_count {job.n_paths} "
            f"{digits} -no_line_splits")
    parts = {
        "setup": f"report_checks -path_delay max {ends}",
        "hold": f"report_checks -path_delay min {ends}",
        "setup_paths": f"report_checks -path_delay max {full}",
        "hold_paths": f"report_checks -path_delay min {full}",
        "slew": f"report_check_types -max_transition {digits} -no_line_splits",
        "slews": f"report_check_types -max_transition -all_violators {digits} -no_line_splits",
        "loads": LOADS,
        "pulse": f"report_check_types -min_pulse_width {digits} -no_line_splits",
        "pulses": f"report_check_types -min_pulse_width -all_violators {digits} -no_line_splits",
        "period": f"report_check_types -min_period {digits} -no_line_splits",
        "periods": f"report_check_types -min_period -all_violators {digits} -no_line_splits",
        "latencies": LATENCIES.format(clock=job.clock, digits=N_DIGITS),
        "unconstrained": "check_setup -verbose",
        "end": "",
    }
    for name, commands in parts.items():
        lines += [f"puts {{{MARK} {name}}}", commands]
    return "\n".join([*lines, ""])
