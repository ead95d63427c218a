"""Power of a layout at tt from the gate-level activity of real inference: power/.

metrics.json has totals and groups; power.json the same by part of the design, for inference and for loading weights,
and the comparison with OpenSTA. Wires are those of a SPEF, or estimated from the placement.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from flow.gates.kernel import Kernel
from flow.gates.load import CORNER, Gates, load_gates, netlist_inputs
from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.verilog import write_netlist
from flow.power.calculate import PowerProblem, Surroundings, find_energies
from flow.power.groups import group_of, modules_of
from flow.power.library import load_power
from flow.power.opensta import first_senses, its_power, parse_power
from flow.power.report import by_module, check_agreement, cross_check, energy_values, power_values, window_power
from flow.power.slews import Even, parse_slews, run_opensta, spef_totals
from flow.power.spec import PowerSpec
from flow.power.windows import record_windows
from flow.simulate.progress import stage_progress
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import gatesim
from flow.timing.analyse import NETLIST, SDC, Timer
from flow.timing.sdc import write_sdc
from flow.timing.spec import TimingSpec
from flow.timing.sta import TOOL, Corner, StaJob
from golden.spec import SpecError
from rtl.config import DesignConfig

STEP = "power"
RESULT = "power.json"
SOURCES = (*gatesim.SOURCES, "flow/compiled.py", "flow/power/*.py", "flow/steps/power.py", "flow/timing/*.py",
           "flow/extract/*.py")
REQUIRED = ("power__total", "power__internal__total", "power__switching__total", "power__leakage__total",
            "energy__step_pj", "energy__inference_pj", "power__opensta__internal__ratio")
LOAD = "__window:load"
EVEN = Even()


def run_power(design: DesignConfig, layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path,
              spec: PowerSpec | None = None, spef: Path | None = None, *, propagated: bool = True) -> Metrics:
    """Power of the DEF `layout` into folder/power, unless that is there already.

    macro_views: macro -> its LEF, with Liberty in ../liberty. spef: extracted wires at tt; None: estimated ones.
    propagated: the layout has a clock tree.
    SpecError for what cannot be simulated or timed; MismatchError when the run is not what golden says.
    """
    spec = spec or PowerSpec()
    if layout.suffix != ".def":
        raise SpecError(f"power is told of a layout, a .def, not of {layout.name}")
    step = Step(STEP, run=partial(measure, design, pdk, macro_views, spec, spef is not None, propagated,
                                  folder.parent / "simulators"), tools=("gcc", TOOL), required_metrics=REQUIRED)
    config = {"design": design.name, "pdk": pdk.config.name, "spec": spec, "propagated": propagated,
              "estimated": spef is None, "sources_sha256": sources_sha256(SOURCES, ("pyrtl", "numpy", "numba"))}
    macros = timer_of(pdk, macro_views, {}, design, spec).liberty(CORNER)[1:]
    inputs = [*netlist_inputs(design, layout, pdk, list(macro_views.values())), *macros, *([spef] if spef else [])]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def timer_of(pdk: Pdk, macro_views: Mapping[str, Path], cells, design: DesignConfig, spec: PowerSpec) -> Timer:
    """Libraries, estimates and constraints at tt."""
    period = spec.clock_period_ns or design.clock_period_ns
    return Timer(pdk, macro_views, cells, (CORNER,), TimingSpec(clock_period_ns=period))


def measure(design: DesignConfig, pdk: Pdk, macro_views: Mapping[str, Path], spec: PowerSpec, extracted: bool,
            propagated: bool, cache: Path, work: Work) -> dict[str, Value]:
    """Activity, slews, energies and the comparison, in the step's folder."""
    title = design.module_name
    with stage_progress(f"{title}: power, reading the layout", 0):
        gates = load_gates(design, work.inputs[0], pdk, list(macro_views.values()))
        timer = timer_of(pdk, macro_views, gates.cells, design, spec)
    with stage_progress(f"{title}: power, slews by OpenSTA", 0):
        job, corner = timed_netlist(gates, timer, work.inputs[-1] if extracted else None, propagated, work.folder)
        report = run_opensta(job, corner, EVEN, work.folder, work.log)
        problem = power_problem(gates, timer, report, corner, propagated)
    kernel = Kernel(gates.circuit, design.datapath.streams, cache, poison=False, seed=spec.power_up_seed)
    with stage_progress(f"{title}: power, activity of the netlist", 0):
        windows = record_windows(gates, kernel, spec.max_cycles, work.folder)
    groups = group_of(gates.netlist, gates.functions, problem.macros, gates.circuit)
    modules = modules_of(gates.netlist, gates.functions, groups)
    in_order = list(groups.values()), [modules[name] for name in gates.netlist.instances]
    period = timer.spec.clock_period_ns
    with stage_progress(f"{title}: power, energies", 0):
        powers = {window.name: window_power(window, find_energies(problem, activity), period)
                  for window, activity in windows}
        comparison = compare(problem, gates, parse_power(report), period, groups)
    check_agreement(comparison)
    values = {**power_values(powers["inference"], in_order[0]), **energy_values(powers["inference"]),
              **power_values(powers["load"], in_order[0], LOAD)}
    values["energy__load_pj"] = 1e12 * powers["load"].joule
    values["power__clock_period_ns"] = period
    values["power__opensta__internal__ratio"] = _ratio(comparison, "internal")
    values["power__opensta__switching__ratio"] = _ratio(comparison, "switching")
    content = {"windows": {name: {"cycles": power.window.end - power.window.begin,
                                  "modules": by_module(power, *in_order)} for name, power in powers.items()},
               "opensta": comparison, "clock_period_ns": period, "corner": CORNER, "extracted": extracted}
    (work.folder / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return values


def timed_netlist(gates: Gates, timer: Timer, spef: Path | None, propagated: bool,
                  folder: Path) -> tuple[StaJob, Corner]:
    """Netlist, constraints and wires for OpenSTA in the folder."""
    if spef is None:
        spef = timer.write_estimates(gates.layout, timer.trees(gates.layout, True), folder, [CORNER])[CORNER]
    (folder / NETLIST).write_text(write_netlist(gates.netlist), encoding="utf-8")
    (folder / SDC).write_text(write_sdc(gates.netlist, timer.prefix, timer.load_pf, timer.spec, propagated),
                              encoding="utf-8")
    job = StaJob(gates.netlist.top, folder / NETLIST, folder / SDC, timer.spec.clock_port)
    return job, Corner(CORNER, timer.liberty(CORNER), spef)


def power_problem(gates: Gates, timer: Timer, report: str, corner: Corner, propagated: bool) -> PowerProblem:
    """The netlist with energies, slews and loads; an ideal clock has the slew of its port everywhere."""
    slews = parse_slews(report)
    if not propagated:
        ideal = (timer.spec.clock_slew_ns, timer.spec.clock_slew_ns)
        slews |= {pin: ideal for net in gates.circuit.clocks for pin in gates.netlist.nets[net] if pin in slews}
    wires = spef_totals(corner.spef.read_text(encoding="utf-8"))
    cells = load_power(corner.liberty, set(gates.netlist.instances.values()))
    surroundings = Surroundings(slews, wires, 1000 * timer.load_pf)
    return PowerProblem(gates.netlist, gates.functions, frozenset(gates.macros), cells, surroundings)


def compare(problem: PowerProblem, gates: Gates, theirs: Mapping[str, tuple[float, float]], period_ns: float,
            groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """OpenSTA's power with one activity everywhere against our tables counted its way, by group."""
    ours = its_power(problem, gates.circuit, EVEN, period_ns, first_senses(gates.library))
    return cross_check(ours, theirs, groups)


def _ratio(comparison: Mapping[str, Mapping[str, float]], kind: str) -> float:
    """OpenSTA's sum over ours, all groups."""
    its, ours = (sum(row[f"{who}_{kind}"] for row in comparison.values()) for who in ("opensta", "ours_its_way"))
    return its / ours
