"""`./stillwater bench`: how fast things are here, beside their targets.

Everything of a part is measured in one run on the machine as it is; ratios compare things that took turns in that run.
Parts: models (golden and simulators, below), router (flow/bench_router.py), asic (flow/bench_asic.py).
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flow.simulate.batch import BatchSimulation
from flow.simulate.cases import Case, plain_session
from flow.simulate.progress import stage_progress
from flow.simulate.run import PyrtlSimulator, Simulator, VerilogRunner, run_session
from flow.simulate.verilog import TOOLS, VerilogDesign
from flow.step import ROOT
from flow.tables import new_table, print_titled, table_console, verdict
from flow.tool import find_tool
from golden.bench import benchmark_forward_int
from golden.dataset import load_dataset
from golden.spec import SpecError
from golden.weights import load_weights
from rtl.config import DesignConfig, load_design
from rtl.cycles import step_cycles
from rtl.export import export_verilog
from rtl.top import build_simulation

DESIGN = "vowels"
UTILISATION_DESIGNS = ("vowels", "vowels_x4", "vowels_deep")
N_ICARUS_SEQUENCES, N_ICARUS_STEPS = 3, 8
BUILD = ROOT / "build"


@dataclass(frozen=True)
class Figure:
    """A measured value; target: what it must at least (or, `at_most`, at most) be, None where it is only told.

    value: None where it could not be measured, with the reason in `note`.
    """

    name: str
    value: float | None
    unit: str
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


def print_bench(parts: Sequence[str]) -> None:
    """Measure each part, print its table, write build/bench-<part>.json; SpecError where a target is missed."""
    missed: list[str] = []
    for part in parts:
        figures = _measure_part(part)
        write_figures(figures, BUILD / f"bench-{part}.json")
        print_figures(figures)
        missed += [figure.name for figure in figures if figure.passed is False]
    if missed:
        raise SpecError(f"targets missed: {'; '.join(missed)} (was the machine busy? all figures: "
                        f"{BUILD}/bench-*.json)")


def _measure_part(part: str) -> list[Figure]:
    if part == "models":
        return run_bench()
    from flow.steps.pdk import run_pdk
    pdk = run_pdk(BUILD)
    if part == "router":
        from flow.bench_router import run_router_bench
        return run_router_bench(pdk, BUILD / "bench")
    from flow.bench_asic import run_asic_bench
    return run_asic_bench(pdk, BUILD / "bench")


def run_bench(design_name: str = DESIGN, n_golden_runs: int = 300) -> list[Figure]:
    """All figures of models and simulators. SpecError before any long step where a tool is missing."""
    for command in ("gcc", *TOOLS["verilator"], *TOOLS["icarus"]):
        find_tool(command)
    with stage_progress("golden and torch", 0):
        figures = golden_figures(benchmark_forward_int(n_runs=n_golden_runs))
    design = load_design(design_name)
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    data = load_dataset(design.data)
    case = Case(design, weights.qmodel, weights.qmodel.quantize_input(data.x_test), data.lengths_test)
    with tempfile.TemporaryDirectory(prefix="stillwater-bench-") as folder:
        figures += _simulators(case, Path(folder))
    return figures + [_utilisation(load_design(name)) for name in UTILISATION_DESIGNS]


def golden_figures(result: dict[str, Any]) -> list[Figure]:
    """Figures out of golden.bench's result."""
    shape = f"LSTM {result['input_size']}-{result['hidden_size']}, batch {result['batch']}, one thread"
    torch_missing = "torch is not installed: pip install torch" if result["torch_steps_per_s"] is None else ""
    return [
        Figure("golden integer model", result["golden_steps_per_s"], "steps/s", note=shape),
        Figure("torch nn.LSTM, float32", result["torch_steps_per_s"], "steps/s", note=torch_missing),
        Figure("golden / torch", result["golden_vs_torch"], "x", 1.0, note=torch_missing),
    ]


def _simulators(case: Case, folder: Path) -> list[Figure]:
    """Every simulator on the design's test set, compilation from nothing, comparison with golden included."""
    name, streams = case.design.name, case.design.datapath.streams
    files = export_verilog(case.design, case.qmodel, folder / "export")
    has_c = any(cell.kind == "lstm" for cell in case.design.model.cells)
    shape = VerilogDesign(tuple(files.values()), case.design.module_name, streams, has_c, case.design.datapath.memory)
    whole = f"{name}, whole test set ({len(case.lengths)} sequences), compared with golden"

    def pyrtl() -> Simulator:
        simulated = build_simulation(case.design, case.qmodel)
        return PyrtlSimulator(BatchSimulation(simulated.block, streams, simulated.memories))

    def verilog(kind: str) -> Callable[[], Simulator]:
        def compiled() -> Simulator:
            runner = VerilogRunner(kind, shape, folder / "cache")
            runner.compile(folder)
            return runner
        return compiled

    few = case.first(N_ICARUS_SEQUENCES).shortened(N_ICARUS_STEPS)
    py = _measure("PyRTL", pyrtl, case, folder / "pyrtl")
    ve = _measure("Verilator", verilog("verilator"), case, folder / "verilator")
    ic = _measure("Icarus", verilog("icarus"), few, folder / "icarus")
    return [
        Figure("PyRTL compile", py.compile_s, "s"),
        Figure("PyRTL run and compare", py.cycles / py.run_s, "cycles/s", 50e3, note=whole),
        Figure("Verilator compile", ve.compile_s, "s"),
        Figure("Verilator run and compare", ve.cycles / ve.run_s, "cycles/s", note=whole),
        Figure("Verilator, all of it", ve.compile_s + ve.run_s, "s", 60.0, True, note=whole),
        Figure("Icarus compile", ic.compile_s, "s"),
        Figure("Icarus run and compare", ic.cycles / ic.run_s, "cycles/s", note=f"{len(few.lengths)} short sequences"),
    ]


@dataclass(frozen=True)
class _Measured:
    compile_s: float
    run_s: float
    cycles: int


def _measure(title: str, compile_simulator: Callable[[], Simulator], case: Case, folder: Path) -> _Measured:
    """Seconds to compile, seconds to run and compare, cycles."""
    start = time.perf_counter()
    with stage_progress(f"{title}, compiling", 0):
        simulator = compile_simulator()
    compiled = time.perf_counter()
    session = plain_session(case)
    with stage_progress(f"{title}, running", len(session.all_beats())) as report:
        run_start = time.perf_counter()
        result = run_session(simulator, session, folder, report)
        run_s = time.perf_counter() - run_start
    return _Measured(compiled - start, run_s, result.outcome.log.n_cycles)


def _utilisation(design: DesignConfig) -> Figure:
    """Useful MACs over all that the lanes could do, in the steady state of a step without output."""
    model = design.model
    useful = model.n_macs_per_step - (model.output_size * model.output_fan_in if model.output else 0)
    share = useful / (design.datapath.lanes * step_cycles(design))
    target = 90.0 if max(model.hidden_sizes) >= 32 else None
    return Figure(f"MAC utilisation, {design.name}", 100 * share, "%", target)


def write_figures(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as JSON, in one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    rows = [{**asdict(figure), "passed": figure.passed} for figure in figures]
    part.write_text(json.dumps({"figures": rows}, indent=2) + "\n")
    os.replace(part, path)


def print_figures(figures: Sequence[Figure], console: Console | None = None) -> None:
    """The table of figures, targets and what came of them."""
    console = table_console(console)
    table = new_table("what", **{"": "left", "measured": "right", "target": "right"})
    for figure in figures:
        sign = "<=" if figure.at_most else ">="
        target = "" if figure.target is None else f"{sign} {_number(figure.target)} {figure.unit}"
        value = "not measured" if figure.value is None else f"{_number(figure.value)} {figure.unit}"
        table.add_row(figure.name, verdict(figure.passed), value, target)
    print_titled(console, "Speed on this machine", table)
    console.print()
    for note in dict.fromkeys(figure.note for figure in figures if figure.note):
        names = ", ".join(figure.name for figure in figures if figure.note == note)
        console.print(f"{names}: {note}", style="dim", highlight=False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
