"""A netlist under Icarus with the kit's own Verilog, four-state.

The cells are as their authors wrote them: without timing, with a delay of 1 ns in what stores (UNIT_DELAY) and none
elsewhere. So the tree of the clock has no delay, data come after every flip-flop has seen the edge, and nothing races.
The kernel and this have nothing in common but netlist, host program and observer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flow.gates.shell import shell_name
from flow.simulate.events import EventLog
from flow.simulate.program import Program
from flow.simulate.run import Progress
from flow.simulate.verilog import VerilogDesign, VerilogSimulator, compile_verilog, run_verilog

SOURCE = "netlist in Icarus"
KIT_SETTINGS = "`define FUNCTIONAL\n`define UNIT_DELAY #1\n"
SETTINGS_FILE = "kit_settings.v"

STORAGE = re.compile(r"^primitive \w+\$?\w* \((?:(?!endprimitive).)*?^\s*reg Q\s*;$", re.MULTILINE | re.DOTALL)
"""The head of a primitive that stores a value, in the kit's Verilog."""


@dataclass(frozen=True)
class IcarusNetlist:
    """A `Simulator` of flow.simulate.run; compiled when it is first run.

    files: Verilog besides the bench, in order.
    """

    files: tuple[Path, ...]
    top: str
    n_streams: int
    has_c: bool
    memory: str
    cache: Path
    source: str = SOURCE

    def compile(self, folder: Path) -> VerilogSimulator:
        """The compiled simulator; its log goes into the folder."""
        design = VerilogDesign(self.files, shell_name(self.top), self.n_streams, self.has_c, self.memory)
        return replace(compile_verilog("icarus", design, self.cache, folder / "compile.log"), source=self.source)

    def run(self, program: Program, beats: np.ndarray, folder: Path, progress: Progress | None = None) -> EventLog:
        return run_verilog(self.compile(folder), program, beats, folder, progress)

    def write_window(self, program: Program, beats: np.ndarray, folder: Path, window: tuple[int, int]) -> Path:
        """Run again and write the waveform of the cycles (from, to)."""
        run_verilog(self.compile(folder), program, beats, folder / "window", window=window)
        return folder / "window" / "window.vcd"


def kit_files(verilog: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """The kit's Verilog behind the settings that it is simulated with; its flip-flops and latches start at 0.

    With unknown values (X) at power-up a reset that synthesis has made from gates would not end them: where both
    values of a register lead to 0, x and ~x are two unknowns to a simulator. Values read from a memory that nobody has
    written stay unknown.
    """
    settings = folder / SETTINGS_FILE
    settings.write_text(KIT_SETTINGS, encoding="utf-8")
    files = [settings]
    for path in verilog:
        text = path.read_text(encoding="utf-8")
        known = STORAGE.sub(r"\g<0>\n    initial Q = 1'b0;\n", text)
        if known == text:
            files.append(path)
            continue
        files.append(folder / f"known_{path.name}")
        files[-1].write_text(known, encoding="utf-8")
    return tuple(files)
