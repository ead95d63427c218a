"""Slews and loads at tt: edges at every input by OpenSTA, wires of every net out of the SPEF that it reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flow.timing.reports import COMPLAINT, MARK, NUMBER
from flow.timing.sta import TOOL, Corner, StaJob
from flow.tool import run_tool
from golden.spec import SpecError

SLEW = re.compile(rf"^(\S+)/(\S+) +{NUMBER} ({NUMBER}) +{NUMBER} ({NUMBER})$", re.MULTILINE)
SLEWS = """foreach pin [get_pins */*] {
  if { [$pin is_load] } {
    foreach vertex [$pin vertices] {
      puts "[get_full_name $pin] [$vertex slews rise] [$vertex slews fall]"
    }
  }
}"""
NET = re.compile(r"^\*D_NET \*(\d+) (\S+)", re.MULTILINE)
MAPPED = re.compile(r"^\*(\d+) (\S+)$", re.MULTILINE)
NANO = 1e9


@dataclass(frozen=True)
class Even:
    """One activity (edges a cycle) and duty everywhere but at clocks."""

    activity: float = 0.2
    duty: float = 0.5


def run_opensta(job: StaJob, corner: Corner, even: Even, folder: Path, log: Path) -> str:
    """Slews of all inputs, and the power of all instances with even activity; the output stays in the folder.

    SpecError when OpenSTA complains about what it reads, or does not come to the end.
    """
    lines = [*(f"read_liberty {{{path.resolve()}}}" for path in corner.liberty),
             f"read_verilog {{{job.netlist.resolve()}}}", f"link_design {job.top}",
             f"read_spef {{{corner.spef.resolve()}}}", f"source {{{job.sdc.resolve()}}}", SLEWS,
             f"set_power_activity -global -activity {even.activity} -duty {even.duty}",
             "report_power -instances [get_cells *] -digits 9", f"puts {{{MARK} end}}", ""]
    folder.mkdir(parents=True, exist_ok=True)
    script, report = (folder / f"opensta.{end}" for end in ("tcl", "rpt"))
    script.write_text("\n".join(lines), encoding="utf-8")
    report.unlink(missing_ok=True)
    run_tool([TOOL, "-no_splash", "-exit", script.resolve()], report, cwd=folder)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {TOOL} -no_splash -exit {script.name}\n  its output is in {report.name}\n")
    text = report.read_text(encoding="utf-8")
    complaint = COMPLAINT.search(text)
    if complaint or f"{MARK} end" not in text:
        raise SpecError(f"OpenSTA must read all without a complaint, and says: "
                        f"{complaint[0] if complaint else 'nothing at the end'} ({report})")
    return text


def parse_slews(text: str) -> dict[tuple[str, str], tuple[float, float]]:
    """What SLEWS printed: (instance, input) -> slew of rising and falling edges, ns; the later of early and late, as
    OpenSTA's power takes it. SpecError when there is none."""
    found = {(instance, pin): (float(rise) * NANO, float(fall) * NANO) for instance, pin, rise, fall
             in SLEW.findall(text)}
    if not found:
        raise SpecError("OpenSTA must give the slew of every input, and gave none")
    return found


def spef_totals(text: str) -> dict[str, float]:
    """Net -> capacitance of its wires in fF, that to other nets as well, from a SPEF of flow.extract.spef.

    >>> spef_totals('*C_UNIT 1 FF\\n*NAME_MAP\\n\\n*1 a\\\\.b\\n\\n*D_NET *1 2.5\\n')
    {'a.b': 2.5}
    """
    if "*C_UNIT 1 FF" not in text:
        raise SpecError("a SPEF must have its capacitances in fF (*C_UNIT 1 FF)")
    names = {number: re.sub(r"\\(.)", r"\1", name) for number, name in MAPPED.findall(text)}
    return {names[number]: float(value) for number, value in NET.findall(text)}
