"""`./stillwater sim`: is a design right? Golden, the PyRTL block and the exported Verilog, bit for bit on real data.

The stages lie in build/<design>-sim/<stage>/, each whole or not there: a run that was stopped goes on with the stage
it was in, and a stage whose design, weights, sources and tools have not changed is not repeated. metrics.json is
written last, from all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from flow.metrics import Metrics, Value, write_metrics
from flow.simulate.batch import BatchSimulation
from flow.simulate.cases import Case, mixed_session, plain_session, stalled_session
from flow.simulate.compare import MismatchError
from flow.simulate.difference import Difference, first_unequal
from flow.simulate.events import EventLog
from flow.simulate.progress import stage_progress
from flow.simulate.run import PyrtlSimulator, Result, Simulator, VerilogRunner, run_session
from flow.simulate.session import Session
from flow.simulate.verilog import TOOLS, VerilogDesign
from flow.step import Step, Work, file_sha256, input_name, run_step_once, sources_sha256
from flow.steps.export import export_files
from flow.steps.sim_table import print_table
from flow.tool import find_tool, tool_version
from golden.accuracy import Accuracy, float_accuracy, int_accuracy
from golden.dataset import Dataset, check_fits_model, load_dataset
from golden.weights import Weights, load_weights
from rtl.config import DesignConfig, find_design, load_design
from rtl.cycles import CycleCount, count_cycles
from rtl.top import build_simulation

__all__ = ["print_table", "run_sim"]

STAGES = ("golden", "export", "pyrtl", "verilator", "icarus")
SIM_TOOLS = ("gcc", *TOOLS["verilator"], *TOOLS["icarus"])
SOURCES = ("golden/*.py", "rtl/*.py", "rtl/verilog/*", "flow/simulate/*", "flow/steps/*.py",
           "requirements.lock")
STALL_SEEDS = (11, 12, 13)
N_STALLED_SEQUENCES = 24
ICARUS_EXTRA_SEQUENCES, N_ICARUS_STEPS = 2, 8  # Icarus is slow: one sequence a stream and two more, shortened


@dataclass(frozen=True)
class SimRun:
    """What the stages of a run share; pyrtl_logs: the events of its sessions, where this process has run them."""

    design: DesignConfig
    weights: Weights
    dataset: Dataset
    folder: Path
    cache: Path
    pyrtl_logs: dict[str, EventLog] = field(default_factory=dict)

    @cached_property
    def case(self) -> Case:
        """The whole test set."""
        qmodel = self.weights.qmodel
        return Case(self.design, qmodel, qmodel.quantize_input(self.dataset.x_test), self.dataset.lengths_test)

    @property
    def stalled_case(self) -> Case:
        return self.case.first(N_STALLED_SEQUENCES)

    def verilog(self, kind: str) -> VerilogRunner:
        """The exported Verilog, from the stage `export`, under a simulator."""
        design = self.design
        name = design.module_name
        files = (self.folder / "export" / f"{name}_core.v", self.folder / "export" / f"{name}.v")
        has_c = any(cell.kind == "lstm" for cell in design.model.cells)
        shape = VerilogDesign(files, name, design.datapath.streams, has_c, design.datapath.memory)
        return VerilogRunner(kind, shape, self.cache)

    @cached_property
    def pyrtl(self) -> PyrtlSimulator:
        """The block itself, compiled."""
        simulated = build_simulation(self.design, self.weights.qmodel)
        return PyrtlSimulator(BatchSimulation(simulated.block, self.design.datapath.streams, simulated.memories))


def run_sim(design_reference: str | Path, build: Path) -> Metrics:
    """Simulate a design against golden into build/<name>-sim and return the metrics.

    design_reference: a shipped design's name or the path of a .yaml. Raises SpecError for bad input or a missing
    tool before any long step, MismatchError or SimulationError where hardware and golden differ.
    """
    design, weights, dataset = check_inputs(design_reference)
    run = SimRun(design, weights, dataset, build / f"{design.name}-sim", build / "simulators")
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "metrics.json").unlink(missing_ok=True)
    inputs = [find_design(design_reference), design.weights_path]
    if design.data.path is not None:
        inputs.append(Path(design.data.path))
    values: dict[str, Value] = {}
    for stage in STAGES:
        values |= _run_stage(run, stage, inputs).values
    _check_together(run, values)
    metrics = Metrics(
        step="sim",
        config_sha256=sources_sha256(SOURCES),
        inputs={input_name(path): file_sha256(path) for path in inputs},
        tools={command: tool_version(command) for command in SIM_TOOLS},
        values=values,
    )
    write_metrics(run.folder / "metrics.json", metrics)
    return metrics


def check_inputs(design_reference: str | Path) -> tuple[DesignConfig, Weights, Dataset]:
    """Everything that can be wrong before a simulation starts: design, tools, weights and data; SpecError if so."""
    design = load_design(design_reference)
    for command in SIM_TOOLS:
        find_tool(command)
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    dataset = load_dataset(design.data, f"{design.file_name}: data")
    check_fits_model(dataset, design.model, design.file_name)
    return design, weights, dataset


def _run_stage(run: SimRun, stage: str, inputs: list[Path]) -> Metrics:
    """The stage's metrics: those that are there if nothing has changed since, else from a run."""
    work: dict[str, tuple[Callable[[SimRun, Work], dict[str, Value]], tuple[str, ...]]] = {
        "golden": (_golden, ()),
        "export": (lambda run, work: export_files(run.design, run.weights.qmodel, work), ()),
        "pyrtl": (_pyrtl, ("gcc",)),
        "verilator": (_verilator, TOOLS["verilator"]),
        "icarus": (_icarus, TOOLS["icarus"]),
    }
    function, tools = work[stage]
    step = Step(stage, run=partial(function, run), tools=tools)
    config = {"design": run.design.name, "stage": stage, "sources_sha256": sources_sha256(SOURCES)}
    return run_step_once(step, run.folder / stage, config=config, inputs=inputs)


def _golden(run: SimRun, work: Work) -> dict[str, Value]:
    """Accuracy of the float and the integer network over the whole test set."""
    data = run.dataset
    test = (data.x_test, data.lengths_test, data.labels_test, data.n_classes)
    with stage_progress(f"{run.design.name}: golden, {len(data.labels_test)} sequences", 0):
        accuracies = {
            "float": float_accuracy(run.design.model, run.weights.params, *test),
            "int": int_accuracy(run.weights.qmodel, *test),
        }
    values: dict[str, Value] = {"design__title": run.design.title, "design__name": run.design.name}
    for name, accuracy in accuracies.items():
        values |= _accuracy_values(f"accuracy__{name}", accuracy)
    return values


def _accuracy_values(key: str, accuracy: Accuracy) -> dict[str, Value]:
    low, high = accuracy.interval
    return {
        f"{key}__fraction": accuracy.fraction,
        f"{key}__low": low,
        f"{key}__high": high,
        f"{key}__sequence__count": accuracy.n,
    }


def _pyrtl(run: SimRun, work: Work) -> dict[str, Value]:
    """The PyRTL block: the whole test set at full speed, a part of it under stalls; cycles as the formula says."""
    start = time.perf_counter()
    with stage_progress(f"{run.design.name}: building and compiling the PyRTL block", 0):
        simulator = run.pyrtl
    seconds_compile = time.perf_counter() - start
    case = run.case
    plain = _run(run, simulator, plain_session(case), work.folder / "plain", "whole test set")
    stalled = _run(run, simulator, stalled_session(run.stalled_case, STALL_SEEDS), work.folder / "stalled", "stalls")
    run.pyrtl_logs.update(plain=plain.outcome.log, stalled=stalled.outcome.log)
    values = _simulator_values("pyrtl", (plain, stalled), seconds_compile)
    return values | _cycle_values(run, plain)


def _verilator(run: SimRun, work: Work) -> dict[str, Value]:
    """The exported Verilog under Verilator: the same sessions as PyRTL's."""
    simulator = run.verilog("verilator")
    seconds_compile = _compile(run, simulator, work)
    sessions = {"plain": plain_session(run.case), "stalled": stalled_session(run.stalled_case, STALL_SEEDS)}
    titles = {"plain": "whole test set", "stalled": "stalls"}
    results = {n: _run(run, simulator, s, work.folder / n, titles[n]) for n, s in sessions.items()}
    for name, session in sessions.items():
        _same_cycles(run, name, session, results[name], work.folder / name)
    return _simulator_values("verilator", tuple(results.values()), seconds_compile)


def _icarus(run: SimRun, work: Work) -> dict[str, Value]:
    """The exported Verilog under Icarus, with unknown values: a few sequences."""
    simulator = run.verilog("icarus")
    seconds_compile = _compile(run, simulator, work)
    n_sequences = run.design.datapath.streams + ICARUS_EXTRA_SEQUENCES
    session = mixed_session(run.case.first(n_sequences).shortened(N_ICARUS_STEPS), STALL_SEEDS[0])
    result = _run(run, simulator, session, work.folder, "a few sequences, four-state")
    _same_cycles(run, "mixed", session, result, work.folder)
    return _simulator_values("icarus", (result,), seconds_compile)


def _compile(run: SimRun, simulator: VerilogRunner, work: Work) -> float:
    """Compile the simulator; seconds, next to none where it was compiled before."""
    start = time.perf_counter()
    with stage_progress(f"{run.design.name}: compiling for {simulator.source}", 0):
        simulator.compile(work.folder)
    return time.perf_counter() - start


def _run(run: SimRun, simulator: Simulator, session: Session, folder: Path, title: str) -> Result:
    """One session with its progress; what only reruns need is removed."""
    with stage_progress(f"{run.design.name}: {simulator.source}, {title}", len(session.all_beats())) as report:
        result = run_session(simulator, session, folder, report)
    for name in ("program.hex", "beats.hex", "events.hex"):
        (folder / name).unlink(missing_ok=True)
    return result


def _same_cycles(run: SimRun, name: str, session: Session, result: Result, folder: Path) -> None:
    """The exported Verilog and the PyRTL block do the same in the same cycle, not only the same in the end."""
    if name not in run.pyrtl_logs:
        run.pyrtl_logs[name] = run.pyrtl.run(session.program, session.all_beats(), folder)
    difference = first_unequal(run.design.name, run.pyrtl_logs[name], result.outcome.log)
    if difference:
        raise MismatchError(difference)


def _simulator_values(kind: str, results: tuple[Result, ...], seconds_compile: float) -> dict[str, Value]:
    """What was compared and how fast it went."""
    counts = [result.outcome.counts for result in results]
    cycles = sum(result.outcome.log.n_cycles for result in results)
    seconds = sum(result.seconds for result in results)
    figures: dict[str, Value] = {
        "compared__h__count": sum(c.n_h for c in counts),
        "compared__c__count": sum(c.n_c for c in counts),
        "compared__y__count": sum(c.n_y for c in counts),
        "compared__count": sum(c.total for c in counts),
        "mismatch__count": 0,  # a mismatch is raised and leaves no metrics
        "sequence__count": sum(c.n_sequences for c in counts),
        "host_access__count": sum(len(result.outcome.log.accesses) for result in results),
        "cycle__count": cycles,
        "run__s": seconds,
        "compile__s": seconds_compile,
        "speed__cycles_per_s": cycles / seconds,
    }
    return {f"sim__{name}__simulator:{kind}": value for name, value in figures.items()}


def _cycle_values(run: SimRun, plain: Result) -> dict[str, Value]:
    """Measured cycles by cause, equal to the formula's, and what they are worth."""
    schedule = plain.outcome.schedules[0]
    count = count_cycles(run.design, schedule.keep.tolist(), schedule.last.tolist())
    check_cycles(run.design.name, count, plain.outcome.registers, plain.outcome.log)
    values: dict[str, Value] = {f"cycles__{cause}": cycles for cause, cycles in count.causes.items()}
    return values | {f"lane_cycles__{name.replace(' ', '_')}": n for name, n in count.table().items()} | {
        "cycles__total": count.total,
        "cycles__per_step": count.total / schedule.n_steps,
        "cycles__per_stream_step": count.total / schedule.n_stream_steps,
        "mac__utilization": count.mac_utilisation,
        "design__lane__count": count.lanes,
        "design__stream__count": count.streams,
        "sim__step__count": schedule.n_steps,
    }


def check_cycles(design: str, count: CycleCount, registers: dict[str, int], log: EventLog) -> None:
    """MismatchError unless the block's own counters show what the formula says, cause by cause."""
    for cause, cycles in count.causes.items():
        measured = registers[f"cycles {cause}"]
        if measured != cycles:
            what = f"cycles {cause}: the block counted {measured}, the formula says {cycles}"
            raise MismatchError(Difference(log.n_cycles, f"{design} under {log.source}: {what}"))


def _check_together(run: SimRun, values: dict[str, Value]) -> None:
    """The Verilog and the PyRTL block were put through the same; nothing may be left out of either."""
    counts = [values[f"sim__compared__count__simulator:{kind}"] for kind in ("pyrtl", "verilator")]
    if len(set(counts)) != 1 or not np.all(counts):
        what = f"values compared under PyRTL and Verilator: {counts[0]} and {counts[1]}, must be equal"
        raise MismatchError(Difference(0, f"{run.design.name}: {what}"))
