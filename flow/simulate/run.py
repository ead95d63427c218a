"""Runs sessions on simulators; a difference leaves a waveform window around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from flow.simulate.batch import BatchSimulation
from flow.simulate.compare import MismatchError
from flow.simulate.difference import Difference
from flow.simulate.events import CYCLE, Event, EventLog, SimulationError
from flow.simulate.program import Program
from flow.simulate.session import Outcome, Session
from flow.simulate.verilog import VerilogDesign, compile_verilog, run_verilog

Progress = Callable[[int, int], None]
CYCLES_BEFORE, CYCLES_AFTER = 500, 60  # of the waveform window around a difference


class Simulator(Protocol):
    """What runs a host program."""

    source: str

    def run(self, program: Program, beats: np.ndarray, folder: Path, progress: Progress | None) -> EventLog:
        """Run from power-up to the program's end."""

    def write_window(self, program: Program, beats: np.ndarray, folder: Path, window: tuple[int, int]) -> Path:
        """Run again and write the waveform of the cycles (from, to); gives the VCD file."""


@dataclass
class PyrtlSimulator:
    """The PyRTL block itself, in PyRTL's compiled simulation."""

    simulation: BatchSimulation
    power_up_seed: int = 1
    source: str = "PyRTL"

    def run(self, program: Program, beats: np.ndarray, folder: Path, progress: Progress | None = None) -> EventLog:
        self.simulation.power_up(self.power_up_seed)
        return self.simulation.run_program(program, beats, self.source, progress)

    def write_window(self, program: Program, beats: np.ndarray, folder: Path, window: tuple[int, int]) -> Path:
        self.simulation.power_up(self.power_up_seed)
        self.simulation.run_program(program, beats, self.source, window=window)
        path = folder / "window.vcd"
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            self.simulation.tracer.print_vcd(file)
        return path


@dataclass
class VerilogRunner:
    """The exported Verilog under Verilator or Icarus; compiled when it is first run."""

    kind: str
    design: VerilogDesign
    cache: Path
    seed: int = 1

    @property
    def source(self) -> str:
        return {"verilator": "Verilator", "icarus": "Icarus"}[self.kind]

    def compile(self, folder: Path, trace: bool = False):
        """The compiled simulator; its log goes into the folder."""
        return compile_verilog(self.kind, self.design, self.cache, folder / "compile.log", trace)

    def run(self, program: Program, beats: np.ndarray, folder: Path, progress: Progress | None = None) -> EventLog:
        return run_verilog(self.compile(folder), program, beats, folder, progress, seed=self.seed)

    def write_window(self, program: Program, beats: np.ndarray, folder: Path, window: tuple[int, int]) -> Path:
        run_verilog(self.compile(folder, trace=True), program, beats, folder / "window", window=window, seed=self.seed)
        return folder / "window" / "window.vcd"


@dataclass(frozen=True)
class Result:
    """An outcome and how long the simulator took for it."""

    outcome: Outcome
    seconds: float


def run_session(simulator: Simulator, session: Session, folder: Path, progress: Progress | None = None) -> Result:
    """Run and compare. A difference or a broken rule is raised with the path of a waveform around it."""
    folder.mkdir(parents=True, exist_ok=True)
    beats = session.all_beats()
    if hasattr(simulator, "compile"):
        simulator.compile(folder)
    start = time.perf_counter()
    log = simulator.run(session.program, beats, folder, progress)
    seconds = time.perf_counter() - start
    try:
        return Result(session.check(log), seconds)
    except MismatchError as error:
        cycle = error.difference.cycle
        path = _window(simulator, session, beats, folder, cycle)
        raise MismatchError(Difference(cycle, f"{error.difference.message}\nwaveform around it: {path}")) from None
    except SimulationError as error:
        errors = log.of(Event.ERROR)
        if not len(errors):
            raise
        path = _window(simulator, session, beats, folder, int(errors[0, CYCLE]))
        raise SimulationError(f"{error}\nwaveform around it: {path}") from None


def _window(simulator: Simulator, session: Session, beats: np.ndarray, folder: Path, cycle: int) -> Path:
    window = (max(0, cycle - CYCLES_BEFORE), cycle + CYCLES_AFTER)
    return simulator.write_window(session.program, beats, folder, window)
