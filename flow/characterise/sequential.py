"""A flip-flop, latch or clock gate at a corner: delays, constraints, capacitance, energy, leakage.

The output must be what is stored (IQ), its inverse, or, of a clock gate, what is stored and the clock.
"""

from dataclasses import dataclass

import numpy as np

from flow.characterise.combinational import NS, PF, PJ, geometric, make_table, mean, state_text
from flow.characterise.constraints import find_limits, history_job, initial_lines, with_lines
from flow.characterise.corner import (
    CONSTRAINT_SLEWS_NS,
    CORNERS,
    MAX_TRANSITION_NS,
    N_LOADS,
    RAMP_OVER_SLEW,
    SLEWS_NS,
    SMALLEST_LOAD_PF,
    Corner,
)
from flow.characterise.energy import own_share
from flow.characterise.extract import ExtractedCell
from flow.characterise.function import CellFunction, Expression, liberty_text, settle, states
from flow.characterise.leakage import leakage_job
from flow.characterise.ngspice import Job, Simulator
from flow.characterise.protocol import Make, Protocol, Trial, build_protocol
from flow.characterise.result import (
    MIN_PULSE_WIDTH,
    CellResult,
    Leakage,
    Pin,
    PowerArc,
    Row,
    StorageGroup,
    Table,
    TimingArc,
)
from flow.characterise.searches import constraint_searches, pulse_searches
from flow.characterise.stimuli import Event, stimuli_job
from golden.spec import SpecError

RAMPS_S = tuple(slew * 1e-9 * RAMP_OVER_SLEW for slew in SLEWS_NS)
PULSE_TABLES = {"high": "rise_constraint", "low": "fall_constraint"}
"""A pulse is named after its first edge."""


@dataclass(frozen=True)
class Experiment:
    """The events of one arc, or of what an input costs while no output moves, with the analyses to simulate.

    jobs:   their results together are, of each slew, the events in order.
    events: of the smallest slew; what they are (direction, pin) is the same for all slews.
    values: the value that each event's input goes to.
    """

    pin: str
    timing_type: str
    sense: str
    jobs: tuple[Job, ...]
    events: tuple[Event, ...]
    values: tuple[int, ...]


def characterise_sequential(cell: ExtractedCell, function: CellFunction, corner: Corner,
                            simulator: Simulator) -> CellResult:
    """All tables of one cell. SpecError for a cell of a form that is not known, or one that does not work."""
    protocol = build_protocol(cell, function, corner)
    loads = sequential_loads(cell, function, simulator)
    timing, power, charges = [], [], {pin: {"rise": [], "fall": []} for pin in function.inputs}
    own_energy: dict[str, PowerArc] = {}
    for output in function.outputs:
        main = output == protocol.output
        own = protocol if main else build_protocol(cell, function, corner, output)
        points = tuple(load / PF for load in loads[output])
        outputs = tuple(function.outputs)
        experiments = [arc_experiment(cell, corner, output, outputs, points, arc, simulator) for arc in own.arcs()]
        quiet = [quiet_experiment(cell, corner, output, outputs, points, *costs)
                 for costs in (own.quiet() if main else [])]
        results = run_experiments([*experiments, *quiet], simulator)
        for experiment, result in zip(quiet, results[len(experiments):], strict=True):
            own_energy[experiment.pin] = quiet_power(experiment, result, corner)
            collect_charges(experiment, result, charges)
        power += own_energy.values() if main else []
        for experiment, result in zip(experiments, results, strict=False):
            if main and own.is_transparent and experiment.pin == own.data:      # the latch open, not only closed
                collect_charges(experiment, result, charges)
            timing += timing_arcs(cell, corner, output, experiment, result, loads[output])
            power += power_arcs(corner, output, experiment, result, loads[output], own_energy, len(function.outputs))
        if main:
            timing += measure_constraints(cell, function, protocol, corner, simulator)
    pins = [input_pin(name, protocol, charges[name], corner) for name in function.inputs]
    pins += [Pin(name, "output", "" if protocol.is_clock_gate else output_text(expression), loads[name][-1],
                 clock_gate_role="clock_gate_out_pin" if protocol.is_clock_gate else "")
             for name, expression in function.outputs.items()]
    gate = "latch_posedge" if protocol.is_clock_gate else ""
    return CellResult(cell.name, corner.name, cell.area_um2, tuple(pins), tuple(timing), average(power),
                      state_leakage(cell, function, protocol, corner, simulator),
                      None if gate else storage_group(function), gate)


def arc_experiment(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...],
                   loads_f: tuple[float, ...], arc: tuple[str, str, str, list[Trial]], simulator: Simulator,
                   ramps_s: tuple[float, ...] = RAMPS_S) -> Experiment:
    """The jobs of an arc: one for each trial, since a deck begins in one state."""
    pin, kind, sense, trials = arc
    states = simulator.run([history_job(cell, corner, output, outputs, trial.history) for trial in trials])
    jobs = []
    analyses = [[trial.make(ramp) for ramp in ramps_s] for trial in trials]
    for some, state in zip(analyses, states, strict=True):
        job = stimuli_job(cell, corner, output, outputs, loads_f, some, kind)
        jobs.append(with_lines(job, initial_lines(state, len(loads_f))))
    firsts = [some[0] for some in analyses]
    return Experiment(pin, kind, sense, tuple(jobs), tuple(first.events[0] for first in firsts),
                      tuple(first.input_value(first.events[0]) for first in firsts))


def quiet_experiment(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...],
                     loads_f: tuple[float, ...], pin: str, make: Make) -> Experiment:
    """What the edges of a pin cost when no output moves, with one load."""
    analyses = [make(ramp) for ramp in RAMPS_S]
    job = stimuli_job(cell, corner, output, outputs, loads_f[:1], analyses, "quiet")
    events = analyses[0].events
    return Experiment(pin, "", "", (job,), events, tuple(map(analyses[0].input_value, events)))


def run_experiments(experiments: list[Experiment], simulator: Simulator) -> list[list]:
    """Of each experiment [slew][event][copy] -> values (stimuli.measure_events)."""
    results = iter(simulator.run([job for experiment in experiments for job in experiment.jobs]))
    found = []
    for experiment in experiments:
        parts = [next(results) for _ in experiment.jobs]
        found.append([[event for part in slew for event in part] for slew in zip(*parts, strict=True)])
    return found


def output_text(expression: Expression) -> str:
    """What is stored, or its inverse, by the names that the ff or latch group gives them."""
    return {"IQ": "IQ", "!IQ": "IQ_N"}[liberty_text(expression)]


def input_pin(name: str, protocol: Protocol, charges: dict, corner: Corner) -> Pin:
    is_clock = name == protocol.clock
    roles = {protocol.clock: "clock_gate_clock_pin", protocol.data: "clock_gate_enable_pin"}
    return Pin(name, "input", rise_capacitance_pf=mean(charges["rise"]) / corner.voltage * PF,
               fall_capacitance_pf=mean(charges["fall"]) / corner.voltage * PF, is_clock=is_clock,
               clock_gate_role=roles.get(name, "") if protocol.is_clock_gate else "")


def sequential_loads(cell: ExtractedCell, function: CellFunction, simulator: Simulator) -> dict[str, Row]:
    """Seven loads (pF) for each output, geometric up to where its transition is the largest allowed, at tt."""
    corner, found = CORNERS["tt_025C_1v80"], {}
    for output in function.outputs:
        own = build_protocol(cell, function, corner, output)
        width = sum(d.w for d in cell.devices if d.device[0] == "p" and output in (d.nets[0], d.nets[2]))
        probes = (0.05 * width, 0.1 * width)
        experiment = arc_experiment(cell, corner, output, tuple(function.outputs),
                                    tuple(probe / PF for probe in probes), own.arcs()[0], simulator, RAMPS_S[:1])
        [[result]] = run_experiments([experiment], simulator)
        slews = [[copy["slew"] * NS for copy in event] for event in result]
        largest = min(probes[0] + (MAX_TRANSITION_NS - near) / (far - near) * (probes[1] - probes[0])
                      for near, far in slews)
        found[output] = geometric(SMALLEST_LOAD_PF, round(float(largest), 6), N_LOADS)
    return found


def timing_arcs(cell: ExtractedCell, corner: Corner, output: str, experiment: Experiment, result: list,
                loads: Row) -> list[TimingArc]:
    """The arc of an experiment; of several events in one direction the worst counts."""
    tables = {}
    for rises, edge in ((True, "rise"), (False, "fall")):
        chosen = [k for k, event in enumerate(experiment.events) if event.rises == rises]
        if not chosen:
            continue
        for name, table in (("delay", f"cell_{edge}"), ("slew", f"{edge}_transition")):
            values = np.array([[[copy[name] if copy[name] is not None else np.nan for copy in analysis[k]]
                                for k in chosen] for analysis in result]) * NS
            if np.isnan(values).any():
                raise SpecError(f"{output} of {cell.name} must follow {experiment.pin} ({experiment.timing_type}) in "
                                f"the time of the simulation at {corner.name}, and does not")
            tables[table] = make_table(loads, values.max(axis=1) if corner.worst == "max" else values.min(axis=1))
    return [TimingArc(output, experiment.pin, experiment.timing_type, experiment.sense, tables)]


def power_arcs(corner: Corner, output: str, experiment: Experiment, result: list, loads: Row,
               quiet: dict[str, PowerArc], n_moving: int) -> list[PowerArc]:
    """Energy of the output's edges less half of C V^2 of the load and less what the input's own group counts.

    Of two outputs, which always move together, each has its share.
    """
    tables = {}
    for rises, edge in ((True, "rise"), (False, "fall")):
        chosen = [k for k, event in enumerate(experiment.events) if event.rises == rises]
        if not chosen:
            tables[f"{edge}_power"] = make_table(loads, np.zeros((len(SLEWS_NS), len(loads))))
            continue
        energy = np.array([[[copy["supply"] for copy in analysis[k]] for k in chosen] for analysis in result])
        energy = energy.mean(axis=1) * corner.voltage * PJ - 0.5 * np.array(loads) * corner.voltage**2
        own = quiet.get(experiment.pin)
        if own is not None:
            own_table = own.tables["rise_power" if experiment.values[chosen[0]] else "fall_power"]
            energy = energy - np.array(own_table.values[0])[:, None]
        tables[f"{edge}_power"] = make_table(loads, own_share(energy, n_moving))
    return [PowerArc(output, experiment.pin, tables)]


def quiet_power(experiment: Experiment, result: list, corner: Corner) -> PowerArc:
    """What a pin's edges cost when no output moves: the mean over the states that were tried."""
    tables = {}
    for value, edge in ((1, "rise"), (0, "fall")):
        chosen = events_to(experiment, value)
        row = tuple(mean([analysis[k][0]["supply"] for k in chosen]) * corner.voltage * PJ for analysis in result)
        tables[f"{edge}_power"] = Table(SLEWS_NS, (), (row,))
    return PowerArc(experiment.pin, "", tables)


def events_to(experiment: Experiment, value: int) -> list[int]:
    return [k for k, given in enumerate(experiment.values) if given == value]


def collect_charges(experiment: Experiment, result: list, charges: dict) -> None:
    for value, edge in ((1, "rise"), (0, "fall")):
        charges[experiment.pin][edge] += [analysis[k][0]["pin"] for analysis in result
                                          for k in events_to(experiment, value)]


def average(arcs: list[PowerArc]) -> tuple[PowerArc, ...]:
    """One group for each pair of pins, the first that was measured."""
    return tuple({(arc.pin, arc.related_pin): arc for arc in reversed(arcs)}.values())[::-1]


def measure_constraints(cell: ExtractedCell, function: CellFunction, protocol: Protocol, corner: Corner,
                        simulator: Simulator) -> list[TimingArc]:
    """Constraint groups, and min_pulse_width groups of every pin that has one."""
    ramps = [slew * 1e-9 * RAMP_OVER_SLEW for slew in CONSTRAINT_SLEWS_NS]
    n = len(ramps)
    wanted = [(pin, kind, table, i, j, make(ramps[i], ramps[j]))
              for pin, kind, table, make in constraint_searches(protocol) for i in range(n) for j in range(n)]
    pulses = [(pin, level, i, make(ramps[i])) for pin, level, make in pulse_searches(protocol) for i in range(n)]
    limits = [limit * NS for limit in find_limits(cell, corner, protocol.output, tuple(function.outputs),
                                                  [w[-1] for w in (*wanted, *pulses)], simulator)]
    grids: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for (pin, kind, table, i, j, _), limit in zip(wanted, limits, strict=False):
        grids.setdefault((pin, kind), {}).setdefault(table, np.zeros((n, n)))[i, j] = limit
    widths: dict[str, dict[str, np.ndarray]] = {}
    for (pin, level, i, _), limit in zip(pulses, limits[len(wanted):], strict=True):
        row = widths.setdefault(pin, {}).setdefault(PULSE_TABLES[level], np.zeros(n))
        row[i] = max(row[i], limit)
    return ([TimingArc(pin, protocol.clock, kind, "", {
        name: Table(CONSTRAINT_SLEWS_NS, CONSTRAINT_SLEWS_NS, tuple(tuple(map(float, row)) for row in grid))
        for name, grid in tables.items()}) for (pin, kind), tables in grids.items()]
        + [TimingArc(pin, pin, MIN_PULSE_WIDTH, "", {
            name: Table(CONSTRAINT_SLEWS_NS, (), (tuple(map(float, row)),)) for name, row in rows.items()})
           for pin, rows in widths.items()])


def storage_group(function: CellFunction) -> StorageGroup:
    names = {"d": "next_state", "clock": "clocked_on", "gate": "enable", "clear": "clear", "preset": "preset"}
    kind = "ff" if function.storage.kind == "flipflop" else "latch"
    names["d"] = "next_state" if kind == "ff" else "data_in"
    return StorageGroup(kind, {names[role]: liberty_text(e) for role, e in sorted(function.storage.roles.items())})


def state_leakage(cell: ExtractedCell, function: CellFunction, protocol: Protocol, corner: Corner,
                  simulator: Simulator) -> tuple[Leakage, ...]:
    """Leakage in every state of the pins that can be reached with 0 and with 1 stored, named by pins and output."""
    found: dict[str, dict[str, int]] = {}
    for stored in (0, 1):
        loaded = protocol.load_levels(stored)
        for values in states(function.inputs):
            levels = loaded
            for step in protocol.steps_to(values):
                levels = settle(cell, step, levels)
            pins = {**values, **{name: levels[name] for name in function.outputs}}
            found.setdefault(state_text(pins), levels)
    [leaks] = simulator.run([leakage_job(cell, corner, list(found.values()), tuple(function.outputs))])
    return tuple(Leakage(when, leak) for when, leak in zip(found, leaks, strict=True))
