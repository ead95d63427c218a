"""Exported Verilog under Verilator and Icarus Verilog, with the same test bench.

A compiled simulator is kept under a name made of its sources, options and tool version: what has not changed is not
compiled again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.simulate.events import EventLog, SimulationError, load_events
from flow.simulate.program import Program
from flow.simulate.stimulus import write_beats
from flow.tool import ToolError, run_tool, tool_version

BENCH = Path(__file__).with_name("bench.sv")
VERILOG = Path(__file__).resolve().parents[2] / "rtl" / "verilog"
MEMORY_FILES = {  # the module that the wrapper instantiates for every kind of memory
    "flexmem": VERILOG / "stillwater_sram.sv",
    "openram": VERILOG / "stillwater_sram.sv",
    "flipflop": VERILOG / "stillwater_regfile.v",
}
SIMULATORS = ("verilator", "icarus")
TOOLS = {"verilator": ("verilator", "g++", "make"), "icarus": ("iverilog", "vvp")}
VERILATOR_OPTIONS = (
    "--binary --timing +1364-2005ext+v +1800-2012ext+sv --top-module bench -j 2 -O3 "
    "--x-assign unique --x-initial unique -Wno-fatal -Wno-lint -Wno-style -MAKEFLAGS OPT_FAST=-O2"
).split()
TRACE_OPTIONS = ("--trace", "--trace-structs")
ICARUS_OPTIONS = ("-g2005", "-s", "bench")


@dataclass(frozen=True)
class VerilogDesign:
    """What the simulators compile: the exported files, and what the test bench must know of the design.

    top: name of the wrapper module. has_c: the core has the probes of c. memory: what the banks are made of.
    """

    files: tuple[Path, ...]
    top: str
    n_streams: int
    has_c: bool
    memory: str

    def defines(self) -> list[str]:
        """Command-line macros of the test bench."""
        return [f"-DDUT={self.top}", f"-DSTREAMS={self.n_streams}", *(["-DHAS_C=1"] if self.has_c else [])]


@dataclass(frozen=True)
class VerilogSimulator:
    """A compiled simulator: `command` runs it, `seconds_compile` is 0 where it was found ready."""

    kind: str
    command: tuple[str, ...]
    source: str


def compile_verilog(kind: str, design: VerilogDesign, cache: Path, log: Path, trace: bool = False) -> VerilogSimulator:
    """Compile the design with the test bench, or find it compiled in `cache`.

    kind: of SIMULATORS. trace: with waveforms (Icarus always has them). Raises ToolError where the tool is missing
    or refuses the Verilog.
    """
    sources = [BENCH, *design.files, MEMORY_FILES[design.memory]]
    options = [*(VERILATOR_OPTIONS if kind == "verilator" else ICARUS_OPTIONS), *design.defines()]
    options += TRACE_OPTIONS if trace and kind == "verilator" else ()
    key = hashlib.sha256("\n".join((kind, tool_version(TOOLS[kind][0]), *options)).encode())
    for path in sources:
        key.update(hashlib.sha256(path.read_bytes()).digest())
    folder = cache / f"{kind}-{key.hexdigest()[:20]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds it ready
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            _compile(kind, [*options, *sources], part, log)
            os.replace(part, folder)
    command = (str(folder / "simulator"),) if kind == "verilator" else ("vvp", "-n", str(folder / "simulator.vvp"))
    return VerilogSimulator(kind, command, "Verilator" if kind == "verilator" else "Icarus")


def _compile(kind: str, arguments: list[str | Path], folder: Path, log: Path) -> None:
    """Leave the simulator alone in the folder."""
    if kind == "verilator":
        run_tool(["verilator", "--Mdir", folder / "obj", "-o", "simulator", *arguments], log)
        os.replace(folder / "obj" / "simulator", folder / "simulator")
        shutil.rmtree(folder / "obj")
    else:
        run_tool(["iverilog", "-o", folder / "simulator.vvp", *arguments], log)


def run_verilog(
    simulator: VerilogSimulator,
    program: Program,
    beats: np.ndarray,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    window: tuple[int, int] | None = None,
    seed: int = 1,
) -> EventLog:
    """Run a host program from power-up and return its events, unchecked.

    beats: (n, 4) uint64. folder: gets program.hex, beats.hex, events.hex, run.log and, with `window` (cycles from,
    to), window.vcd; with a window the run stops at its end. seed: of the random start values under Verilator.
    Raises SimulationError where the simulator dies (a memory model's assertion among others).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.hex").write_text(program.text())
    write_beats(beats, folder / "beats.hex")
    args = [*simulator.command, "+program=program.hex", "+beats=beats.hex", "+events=events.hex"]
    if simulator.kind == "verilator":
        args += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
    if window:
        args += [f"+vcd_from={window[0]}", f"+vcd_to={window[1]}"]
    ended = []

    def on_line(line: str) -> None:
        kind, *numbers = line.split()[:3] or [""]
        if kind == "progress" and progress:
            progress(*map(int, numbers))
        elif kind == "end":
            ended.append(line)

    log = folder / "run.log"
    try:
        run_tool(args, log, cwd=folder, on_line=on_line)
    except ToolError as error:
        raise SimulationError(f"{simulator.source} stopped: {error}") from None
    if not ended and not window:
        raise SimulationError(f"{simulator.source} ended before the program did; see {log}")
    return load_events(folder / "events.hex", simulator.source)
