"""A memory's experiments: cycles of clock, address, write enables and data, as an ngspice job.

Inputs change in the middle of the clock's low phase. Voltages and charges are measured by functions of other modules,
which get the settings that are prepared here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flow.characterise.corner import RAMP_OVER_SLEW, Corner
from flow.characterise.extract import model_name
from flow.characterise.models import model_card
from flow.characterise.ngspice import Job
from flow.characterise.stimuli import Edge, pwl_points
from flow.characterise.waves import Waves
from flow.sram.flat import Mos
from flow.sram.reduce import Circuit, Plan

OPTIONS = "reltol=2e-3 abstol=1e-10 vntol=1e-5 chgtol=1e-16 trtol=4 method=trap itl4=50 gmin=1e-13"
FAST_S = 1e-10
"""Ramp of inputs whose slew is not what is measured."""

LARGEST_STEP_S = 1e-10
SAVED = ("clk", "rowperiph/wl_en@0", "precharge_n@0")


@dataclass(frozen=True)
class Cycle:
    """One clock cycle: address, which byte groups are written, what d is in every group of bits, length of its phases.

    The clock rises at the cycle's beginning; inputs have been set in the middle of the low phase before it.
    """

    address: int
    write: tuple[int, ...]
    data: tuple[int, ...]                                  # per group, the same for all that share a d
    high_s: float
    low_s: float


@dataclass(frozen=True)
class Experiment:
    """Cycles of one circuit at a corner.

    stored:  what every address holds at first, per group.
    loads_f: on q, per bit of each group. slew_ns: of the clock, 20 to 80 %.
    lead_s:  time with the clock low before the first edge.
    """

    plan: Plan
    cycles: tuple[Cycle, ...]
    stored: dict[int, tuple[int, ...]]
    loads_f: tuple[float, ...]
    slew_ns: float = 0.06
    lead_s: float = 4e-9

    @property
    def edges_s(self) -> tuple[float, ...]:
        """When the clock rises through half of the supply."""
        times, now = [], self.lead_s
        for cycle in self.cycles:
            times.append(now)
            now += cycle.high_s + cycle.low_s
        return tuple(times)

    @property
    def end_s(self) -> float:
        return self.edges_s[-1] + self.cycles[-1].high_s + self.cycles[-1].low_s


def build_job(name: str, circuit: Circuit, corner: Corner, experiment: Experiment,
              measure: Callable[[list[Waves], Any], Any], settings: dict[str, Any],
              saved: tuple[str, ...] = ()) -> Job:
    """The job of an experiment; `measure` gets the settings and edges_s, voltage, n_groups with them."""
    plan, voltage = experiment.plan, corner.voltage
    lines = [f"* {name} {corner.name}", *models(circuit.transistors, corner.process),
             f".options temp={corner.celsius:g} {OPTIONS}", f"vvdd vdd 0 {voltage:g}"]
    lines += sources(experiment, voltage)
    lines += [f"cload{k} q{k} 0 {load * len(group):.6g}" for k, (group, load) in
              enumerate(zip(plan.groups, experiment.loads_f, strict=True))]
    lines += element_lines(circuit)
    lines += initial_conditions(circuit, experiment, voltage)
    wanted = [*(f"v({node(net)})" for net in (*SAVED, *saved, *(f"q{k}" for k in range(len(plan.groups))))),
              "i(vvdd)", "i(vclk)"]
    lines += [".save " + " ".join(dict.fromkeys(wanted)), ".control", "set filetype=binary",
              f"tran 2e-11 {experiment.end_s:.6g} 0 {LARGEST_STEP_S:g}", "write 0.raw", "quit", ".endc", ".end", ""]
    common = {"edges_s": experiment.edges_s, "voltage": voltage, "n_groups": len(plan.groups),
              "end_s": experiment.end_s, "high_s": [cycle.high_s for cycle in experiment.cycles]}
    return Job(f"{name} {corner.name}", "\n".join(lines), measure, {**common, **settings})


def models(transistors: list[Mos], process: str) -> list[str]:
    sizes = sorted({(mos.device, mos.w, mos.l) for mos in transistors})
    return [model_card(*size, process) for size in sizes]


def element_lines(circuit: Circuit) -> list[str]:
    """The circuit without a subcircuit."""
    lines = [f"m{mos.name} {node(mos.drain)} {node(mos.gate)} {node(mos.source)} {node(mos.bulk)} "
             f"{model_name(mos.device, mos.w, mos.l)} w={mos.w:g}u l={mos.l:g}u ad={mos.ad:.5g}p as={mos.as_:.5g}p "
             f"pd={mos.pd:.5g}u ps={mos.ps:.5g}u sa={mos.sa:.5g}u sb={mos.sb:.5g}u nrd={mos.nrd:.5g} nrs={mos.nrs:.5g} "
             f"m={mos.m:g}" for mos in circuit.transistors]
    lines += [f"r{k} {node(a)} {node(b)} {ohm:.5g}" for k, (a, b, ohm) in enumerate(circuit.resistors)]
    return lines + [f"c{k} {node(net)} 0 {farad:.5g}" for k, (net, farad) in enumerate(sorted(circuit.farad.items()))]


def node(net: str) -> str:
    """A net's name as ngspice takes it.

    >>> node("vss"), node("rowperiph/rowdec/pd[0][3]@1")
    ('0', 'rowperiph.rowdec.pd_0__3_@1')
    """
    return "0" if net == "vss" else net.replace("/", ".").replace("[", "_").replace("]", "_")


def sources(experiment: Experiment, voltage: float) -> list[str]:
    """Clock, address, write enables and data."""
    plan, edges = experiment.plan, experiment.edges_s
    ramp = experiment.slew_ns * 1e-9 * RAMP_OVER_SLEW
    clock: list[Edge] = []
    for at, cycle in zip(edges, experiment.cycles, strict=True):
        clock += [Edge(at, 1, ramp), Edge(at + cycle.high_s, 0, ramp)]
    lines = [source("clk", 0, clock, voltage)]
    before = [edges[0] / 2, *(end - cycle.low_s / 2 for end, cycle in zip(edges[1:], experiment.cycles, strict=False))]
    values: dict[str, list[int]] = {f"a[{bit}]": [cycle.address >> bit & 1 for cycle in experiment.cycles]
                                    for bit in address_bits(plan)}
    values |= {f"we{k}": [cycle.write[k] for cycle in experiment.cycles] for k in range(len(plan.byte_groups))}
    values |= {pin: [cycle.data[k] for cycle in experiment.cycles] for pin, k in data_pins(plan).items()}
    for pin, levels in values.items():
        moves = [Edge(at, level, FAST_S) for at, level, last in
                 zip(before, levels, [levels[0], *levels], strict=False) if level != last]
        lines.append(source(pin, levels[0], moves, voltage))
    return lines


def address_bits(plan: Plan) -> list[int]:
    """The address bits that stand for all."""
    return sorted({plan.address_bit(bit) for bit in range(plan.spec.address_bits)})


def data_pins(plan: Plan) -> dict[str, int]:
    """Every d that the reduced circuit has, and a group of bits that it belongs to."""
    return {f"d{plan.data_of(group[0])}": k for k, group in reversed(list(enumerate(plan.groups)))}


def source(pin: str, first: int, edges: list[Edge], voltage: float) -> str:
    points = pwl_points(first, tuple(edges), voltage)
    return f"v{node(pin)} {node(pin)} 0 pwl({' '.join(f'{x:.8g}' for x in points)})"


def initial_conditions(circuit: Circuit, experiment: Experiment, voltage: float) -> list[str]:
    """Cells hold what the experiment says, every flip-flop 0, every sense latch 0."""
    plan = experiment.plan
    values: dict[str, float] = {}
    for (row, column, group), net in circuit.cells.items():
        stored = experiment.stored.get(row * 4 + column)
        if stored is None:                                 # a cell that no access is to read: either value
            values.setdefault(net, 0.0)
            values.setdefault(f"{net}_n", voltage)
        else:
            values[net], values[f"{net}_n"] = voltage * stored[group], voltage * (1 - stored[group])
    nets = {net for mos in circuit.transistors for net in (mos.drain, mos.source)}
    values |= {net: voltage for net in sorted(nets) if net.endswith(("/sff_s", "/senseamp/nq"))}
    values |= {f"q{k}": 0.0 for k in range(len(plan.groups))}
    return [f".ic v({node(net)})={value:g}" for net, value in values.items()]
