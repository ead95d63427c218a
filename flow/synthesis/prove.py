"""Runs the proof of flow.synthesis.equivalence: Yosys lowers both sides, abc compares them, the verdict is parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from flow.synthesis.equivalence import (
    GATE_AIG,
    GATE_JSON,
    RTL_AIG,
    RTL_JSON,
    Aig,
    find_twins,
    gate_stages,
    load_cut,
    pair,
    rtl_stages,
)
from flow.synthesis.library import load_library
from flow.synthesis.script import LIBERTY
from flow.synthesis.yosys import run_yosys, yosys_version
from flow.tool import run_tool
from golden.spec import SpecError

Verdict = Literal["equal", "different", "undecided"]
SAID: tuple[tuple[str, Verdict], ...] = (
    ("Networks are equivalent", "equal"), ("Networks are NOT EQUIVALENT", "different"),
    ("Timed out", "undecided"), ("Networks are UNDECIDED", "undecided"))
TIME_LIMIT_S = 600


@dataclass(frozen=True)
class Proof:
    """What was shown: so many registers and outputs have the same function; `removed` ones have one that stands in."""

    n_registers: int
    n_outputs: int
    removed: tuple[str, ...]


def prove(top: str, sources: Sequence[str], black_boxes: Sequence[str], macros: Sequence[str], folder: Path, log: Path,
          netlist: str = "netlist.v", clock: str = "clk", on_stage: Callable[[str], None] | None = None) -> Proof:
    """Proves that folder/netlist does what the sources say; the library is folder/cells.lib.

    SpecError when they differ (naming an output that does) or when the time was not enough.
    """
    run_yosys(rtl_stages(top, sources, black_boxes), folder, log, "rtl.ys", on_stage)
    clock_gates = load_library(folder / LIBERTY, lambda _: None).clock_gates
    run_yosys(gate_stages(top, netlist, black_boxes, sorted(clock_gates)), folder, log, "gate.ys", on_stage)
    boxes = frozenset(macros)
    rtl, gate = (load_cut(folder / name, top, boxes, clock, clock_gates) for name in (RTL_JSON, GATE_JSON))
    inputs, outputs, removed = pair(rtl, gate)
    twins = find_twins(rtl, inputs, removed)
    (folder / RTL_AIG).write_bytes(Aig(rtl, inputs, twins).write([*outputs, *twins]))
    (folder / GATE_AIG).write_bytes(Aig(gate, inputs, {}).write([*outputs, *twins.values()]))
    if on_stage is not None:
        on_stage("compare")
    verdict, text = compare(folder, log)
    if verdict != "equal":
        raise SpecError(explain(verdict, text, [*outputs, *twins], top, log))
    return Proof(len(gate.registers), len(outputs) + len(twins), tuple(removed))


def compare(folder: Path, log: Path) -> tuple[Verdict, str]:
    """abc's verdict on the two graphs, and all that it said."""
    yosys_version()
    abc = Path(find_spec("pyosys").submodule_search_locations[0]) / "yosys-abc"
    lines: list[str] = []
    run_tool([abc, "-q", f"&r {RTL_AIG}; &cec -T {TIME_LIMIT_S} {GATE_AIG}"], log, cwd=folder, on_line=lines.append)
    return parse_verdict("\n".join(lines)), "\n".join(lines)


def parse_verdict(text: str) -> Verdict:
    """The verdict in abc's words; SpecError when there is none, which is no proof either.

    >>> parse_verdict("Networks are equivalent.  Time =     0.05 sec")
    'equal'
    """
    for said, verdict in SAID:
        if said in text:
            return verdict
    raise SpecError(f"abc must say whether the networks are equivalent, and said: {text[:300]!r}")


def explain(verdict: Verdict, text: str, outputs: Sequence[str], top: str, log: Path) -> str:
    """One message for a proof that failed."""
    if verdict == "undecided":
        return f"RTL and netlist of {top} could not be compared within {TIME_LIMIT_S} s; log: {log}"
    number = text.partition("(zero-based number ")[2].partition(")")[0]
    where = f"; they differ first at {outputs[int(number)]}" if number.isdigit() else ""
    return f"the netlist of {top} must do what its RTL says, and does not{where}; log: {log}"
