"""Gate-level simulation of the final netlist against golden, bit for bit: gatesim/.

The host program, the stimulus and the comparison are those of `./stillwater sim`. The kernel of flow/gates runs many
sequences, Icarus with the kit's own Verilog a few, with unknown contents of memories; in that part the two must agree
in every event and cycle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flow.gates.kernel import Kernel
from flow.gates.load import Gates, first_sequences, load_gates, netlist_inputs
from flow.gates.lockstep import MOST_CYCLES, find_departure
from flow.gates.runner import IcarusNetlist, kit_files
from flow.gates.shell import shell_text
from flow.gates.spec import GateSimSpec
from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.verilog import write_netlist
from flow.simulate.cases import mixed_session, plain_session, stalled_session
from flow.simulate.compare import MismatchError
from flow.simulate.difference import Difference, first_unequal
from flow.simulate.events import SimulationError
from flow.simulate.progress import stage_progress
from flow.simulate.run import Result, Simulator, run_session
from flow.simulate.session import Session
from flow.simulate.verilog import TOOLS
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps.sim import STALL_SEEDS, check_cycles
from rtl.config import DesignConfig
from rtl.cycles import count_cycles
from rtl.export import export_verilog

STEP = "gatesim"
SOURCES = ("flow/gates/*", "flow/simulate/*", "flow/steps/gatesim.py", "flow/steps/sim.py", "flow/physical/*.py",
           "flow/characterise/function.py", "flow/characterise/liberty_read.py", "golden/*.py", "rtl/*.py",
           "rtl/verilog/*")
REQUIRED = ("gatesim__compared__count", "gatesim__mismatch__count", "gatesim__compared__count__simulator:icarus")
VERILOG_VIEWS = ("verilog_primitives", "verilog")
CYCLE = re.compile(r"cycle (\d+)")


def run_gatesim(design: DesignConfig, netlist: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path,
                spec: GateSimSpec | None = None) -> Metrics:
    """Simulates a netlist (Verilog, or the DEF it is in) into folder/gatesim, unless that is there already.

    macro_views: macro -> its LEF, with the Verilog of the same name beside it.
    MismatchError or SimulationError at the first difference from golden, SpecError for a netlist that cannot be
    simulated or is not the design's.
    """
    spec = spec or GateSimSpec()
    step = Step(STEP, run=partial(simulate, design, pdk, list(macro_views), spec, folder.parent / "simulators"),
                tools=("gcc", *TOOLS["icarus"]), required_metrics=REQUIRED)
    config = {"design": design.name, "pdk": pdk.config.name, "spec": spec,
              "sources_sha256": sources_sha256(SOURCES, ("pyrtl", "numpy"))}
    inputs = [*netlist_inputs(design, netlist, pdk, list(macro_views.values())), *map(pdk.view, VERILOG_VIEWS),
              *(lef.with_suffix(".v") for lef in macro_views.values())]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def simulate(design: DesignConfig, pdk: Pdk, macros: list[str], spec: GateSimSpec, cache: Path,
             work: Work) -> dict[str, Value]:
    """Both simulators in the step's folder."""
    n_verilog = len(VERILOG_VIEWS) + len(macros)
    before, verilog = work.inputs[:-n_verilog], work.inputs[-n_verilog:]
    with stage_progress(f"{design.module_name}: reading the netlist", 0):
        gates = load_gates(design, before[0], pdk, before[len(before) - len(macros):])
    runs = Runs(gates, Kernel(gates.circuit, design.datapath.streams, cache),
                icarus_netlist(gates, verilog, work.folder, cache), spec, work.folder)
    return _kernel_values(runs) | _icarus_values(runs)


@dataclass(frozen=True)
class Runs:
    """What all runs of the step share."""

    gates: Gates
    kernel: Kernel
    icarus: IcarusNetlist
    spec: GateSimSpec
    folder: Path

    def run(self, simulator: Simulator, session: Session, name: str, title: str) -> Result:
        """One session with its progress, in the folder `name`. A difference is raised with the first register that
        differs from the RTL; what only reruns need is removed."""
        folder, top = self.folder / name, self.gates.netlist.top
        with stage_progress(f"{top}: {simulator.source}, {title}", len(session.all_beats())) as report:
            try:
                result = run_session(simulator, session, folder, report)
            except (MismatchError, SimulationError) as error:
                raise type(error)(self._told(error, session)) from None
        for file in ("program.hex", "beats.hex", "events.hex"):
            (folder / file).unlink(missing_ok=True)
        return result

    def _told(self, error: MismatchError | SimulationError, session: Session) -> Difference | str:
        """The error with where the netlist leaves the RTL."""
        where = CYCLE.search(str(error))
        cycle = error.difference.cycle if isinstance(error, MismatchError) else int(where[1]) if where else MOST_CYCLES
        if cycle > MOST_CYCLES:
            text = f"the register was not looked for: more than {MOST_CYCLES} cycles"
        else:
            folder, gates = self.folder / "lockstep", self.gates
            rtl = export_verilog(gates.design, gates.case.qmodel, folder / "rtl")
            found = find_departure(gates.netlist, gates.observer, gates.block, list(rtl.values()), self.icarus,
                                   session, cycle, folder)
            text = str(found or "no register of the core differs from the RTL before")
        message = f"{error}\n{text}"
        return Difference(cycle, message) if isinstance(error, MismatchError) else message


def icarus_netlist(gates: Gates, verilog: Sequence[Path], folder: Path, cache: Path) -> IcarusNetlist:
    """The netlist for Icarus, its files in the folder. verilog: the kit's, then the macros'."""
    names = ("shell.v", "netlist.v")
    for name, text in zip(names, (shell_text(gates.netlist, gates.observer), write_netlist(gates.netlist)),
                          strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    files = (*kit_files(verilog, folder), *(folder / name for name in names))
    return IcarusNetlist(files, gates.netlist.top, gates.design.datapath.streams, gates.has_c,
                         gates.design.datapath.memory, cache)


def _kernel_values(runs: Runs) -> dict[str, Value]:
    """Whole sequences at full speed, cycles as the formula says, and some under stalls."""
    gates, spec = runs.gates, runs.spec
    case = first_sequences(gates.case, spec.max_cycles)
    plain = runs.run(runs.kernel, plain_session(case), "plain", f"{len(case.lengths)} sequences")
    schedule = plain.outcome.schedules[0]
    count = count_cycles(gates.design, schedule.keep.tolist(), schedule.last.tolist())
    check_cycles(gates.design.name, count, plain.outcome.registers, plain.outcome.log)
    stalled_case = gates.case.first(min(spec.stalled_sequences, len(gates.case.lengths)))
    stalled = runs.run(runs.kernel, stalled_session(stalled_case, STALL_SEEDS[:1]), "stalled", "stalls")
    counts = [result.outcome.counts for result in (plain, stalled)]
    cycles = plain.outcome.log.n_cycles + stalled.outcome.log.n_cycles
    return {
        "gatesim__compared__count": sum(count.total for count in counts),
        "gatesim__compared__h__count": sum(count.n_h for count in counts),
        "gatesim__compared__c__count": sum(count.n_c for count in counts),
        "gatesim__compared__y__count": sum(count.n_y for count in counts),
        "gatesim__mismatch__count": 0,                     # one is raised and leaves no metrics
        "gatesim__sequence__count": len(case.lengths),
        "gatesim__sequence__count__of": len(gates.case.lengths),
        "gatesim__cycle__count": cycles,
        "gatesim__replayed_register_bit__count": len(gates.observer.replayed),
        "gatesim__run__s": round(plain.seconds + stalled.seconds, 3),
        "gatesim__speed__cycles_per_s": round(cycles / (plain.seconds + stalled.seconds)),
    }


def _icarus_values(runs: Runs) -> dict[str, Value]:
    """A few sequences under Icarus, then the same in the kernel: the two must do the same in the same cycle."""
    gates, spec = runs.gates, runs.spec
    n_sequences = spec.icarus_sequences * gates.design.datapath.streams
    session = mixed_session(gates.case.first(n_sequences).shortened(spec.icarus_steps), STALL_SEEDS[0])
    result = runs.run(runs.icarus, session, "icarus", "the kit's Verilog, four-state")
    same = runs.kernel.run(session.program, session.all_beats(), runs.folder / "icarus")
    difference = first_unequal(gates.design.name, same, result.outcome.log)
    if difference:
        raise MismatchError(difference)
    return {
        "gatesim__compared__count__simulator:icarus": result.outcome.counts.total,
        "gatesim__sequence__count__simulator:icarus": result.outcome.counts.n_sequences,
        "gatesim__cycle__count__simulator:icarus": result.outcome.log.n_cycles,
        "gatesim__run__s__simulator:icarus": round(result.seconds, 3),
    }

