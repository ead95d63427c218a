"""Setup, hold, capacitance and energy of the inputs: their flip-flops behind the macro's own clock tree.

Every input goes straight to a flip-flop. A run holds the way from clk to that flip-flop, with the load of all the
others, and twelve copies of it, which see the internal clock through ideal followers and therefore do not load it:
setup and hold, both directions, three transitions. All are narrowed down at the same time. Setup is taken where the
clock comes first, hold where it comes last.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from flow.characterise.constraints import DEGRADATION
from flow.characterise.corner import RAMP_OVER_SLEW, Corner
from flow.characterise.ngspice import Job, Simulator
from flow.characterise.stimuli import Edge
from flow.sram.deck import OPTIONS, element_lines, models, node, source
from flow.sram.extracted import ExtractedMacro
from flow.sram.flat import Mos
from flow.sram.measure import measure_flops, measure_pins
from flow.sram.plans import FIRST, timing_plan
from flow.sram.reduce import Circuit, Names, add_ladder, merge_transistors
from flow.sram.spec import SramSpec
from flow.sram.timing import CLOCK_SLEWS_NS, NS, PF, PJ
from golden.spec import SpecError

DATA_SLEWS_NS = (0.02, 0.3, 1.0)
RESOLUTION_S = 4e-12
CLOCK_STAGE = re.compile(r"(/|^)(n_ck|p_ck|n_nckr_1|p_nckr_1)$")
DECODE = re.compile(r"rowperiph/(clkgen/decodeclkbuf/|(coldec|rowdec/predec)/aff\[\d+\]/)")
COLUMN = re.compile(r"(rowperiph/clkgen/columnclkbuf/"
                    r"|columnblock/.*/(clkwe/(clkbuf|weff)|writedrive\[\d+\]/ff\[\d+\])/)")


@dataclass(frozen=True)
class Input:
    """A bus of inputs: a flip-flop of it (the path of its transistors), what drives its clock, and its pins' names."""

    bus: str
    flop: str
    path: re.Pattern
    clocks: tuple[str, str]


@dataclass(frozen=True)
class Point:
    """One search: setup or hold of data that goes to `value` with a transition, in a copy of the flip-flop."""

    kind: str
    value: int
    slew_ns: float

    @property
    def captured(self) -> int:
        return self.value if self.kind == "setup" else 1 - self.value


POINTS = tuple(Point(kind, value, slew) for kind in ("setup", "hold") for value in (1, 0) for slew in DATA_SLEWS_NS)


@dataclass(frozen=True)
class InputTiming:
    """A bus: ns over (clock slew, data slew) by (`setup` or `hold`, `rise` or `fall`); pF and pJ of one pin's edges."""

    limits_ns: dict[tuple[str, str], np.ndarray]
    pin_pf: dict[str, float]
    edge_pj: dict[str, float]


def inputs_of(spec: SramSpec) -> tuple[Input, ...]:
    """The three buses. The address bit is one of the four with the longest line behind it; near and far clock nodes."""
    last = len(timing_plan(spec, NEAR, (FIRST,), 1).byte_groups) - 1
    column = ("byte0/periph/intclk", f"byte{last}/periph/intclk")
    return (Input("a", "rowperiph/rowdec/predec/aff[3]", DECODE, ("rowperiph/decodeclk@0", "rowperiph/decodeclk@1")),
            Input("d", "columnblock/column[0]/periph/writedrive[0]/ff[0]", COLUMN, column),
            Input("we", "columnblock/column[0]/periph/clkwe/weff", COLUMN, column))


NEAR = Corner("near", "tt", "tt", 1.8, 25.0, worst="min")
"""Only for the choice of bits: those of the near byte."""


def measure_inputs(macro: ExtractedMacro, spec: SramSpec, corner: Corner,
                   simulator: Simulator) -> dict[str, InputTiming]:
    """All buses; SpecError when a flip-flop fails with data that is early and long enough."""
    edges = simulator.run([pins_job(macro, spec, corner)])[0]
    found = {}
    for each, pin in zip(inputs_of(spec), edges, strict=True):
        rows = [find_row(macro, spec, corner, each, slew, simulator) for slew in CLOCK_SLEWS_NS]
        limits = {}
        for kind in ("setup", "hold"):
            for value, edge in ((1, "rise"), (0, "fall")):
                chosen = [k for k, point in enumerate(POINTS) if (point.kind, point.value) == (kind, value)]
                limits[kind, edge] = np.array([[row[k] for k in chosen] for row in rows]) * NS
        found[each.bus] = InputTiming(
            limits, {edge: pin[f"pin_{edge}"] / corner.voltage * PF for edge in ("rise", "fall")},
            {edge: pin[f"supply_{edge}"] * corner.voltage * PJ for edge in ("rise", "fall")})
    return found


def find_row(macro: ExtractedMacro, spec: SramSpec, corner: Corner, each: Input, clock_slew_ns: float,
             simulator: Simulator) -> list[float]:
    """The limits (s) of all POINTS at one slew of the clock."""
    reach = [reach_s(corner, clock_slew_ns, point) for point in POINTS]

    def run(times: list[float], what: str) -> list[dict]:
        return simulator.run([flop_job(macro, spec, corner, each, clock_slew_ns, times, what)])[0]

    reference = run(reach, "far apart")
    for point, result in zip(POINTS, reference, strict=True):
        if not captures(point, result, None):
            raise SpecError(f"{spec.name} at {corner.name}: {each.bus} must be taken with data {reach[0] * NS:.1f} ns "
                            f"away from the clock, and is not ({point})")
    good, bad, n_rounds = list(reach), [-value for value in reach], 0
    while max(g - b for g, b in zip(good, bad, strict=True)) > RESOLUTION_S:
        n_rounds += 1
        middle = [(g + b) / 2 for g, b in zip(good, bad, strict=True)]
        for k, result in enumerate(run(middle, f"round {n_rounds}")):
            side = good if captures(POINTS[k], result, reference[k]["delay"]) else bad
            side[k] = middle[k]
    return good


def reach_s(corner: Corner, clock_slew_ns: float, point: Point) -> float:
    """How far from the clock data is tried."""
    return 0.25e-9 * corner.settle_ns + 0.5e-9 * RAMP_OVER_SLEW * (clock_slew_ns + point.slew_ns)


def captures(point: Point, result: dict, usual: float | None) -> bool:
    """Whether the flip-flop took what it should, in at most a tenth more than the usual time."""
    if result["delay"] is None or abs(result["last"] - point.captured) > 0.1:
        return False
    return usual is None or result["delay"] <= (1 + DEGRADATION) * usual


def clock_path(macro: ExtractedMacro, spec: SramSpec, each: Input) -> Circuit:
    """From clk to the clock of every flip-flop on the same branch, each with its clock's inverters as a load."""
    names = Names(macro, timing_plan(spec, NEAR, (FIRST,), 1))
    circuit = Circuit()
    merge_transistors(circuit, [mos for mos in macro.transistors if each.path.match(mos.name)
                                and ("clkbuf" in mos.name or CLOCK_STAGE.search(mos.name))], names)
    nets = {net for mos in circuit.transistors for net in (mos.drain, mos.gate, mos.source)}
    every = Circuit()
    for net, value in macro.farad.items():
        names.add_capacitance(every, net, value)
    circuit.farad.update({net: value for net, value in every.farad.items() if net in nets or net.split("@")[0] in
                          {other.split("@")[0] for other in nets if "@" in other}})
    for net, line in macro.lines.items():
        if any(other.startswith(f"{net}@") for other in nets):
            add_ladder(circuit, net, line.axis, line.ohm)
    return circuit


def flop_copy(macro: ExtractedMacro, each: Input, copy: int, clock: str, data: str, supply: str) -> Circuit:
    """A flip-flop with its wires, and on its output the gates that it drives, their other ends held."""
    inside = [mos for mos in macro.transistors if mos.name.startswith(f"{each.flop}/")]
    own = {mos.name.rsplit("/", 1)[1]: mos for mos in inside}
    clock_net, data_net, output = own["n_ck"].gate, own["n_i"].gate, output_of(inside)
    local = {clock_net: clock, data_net: data, "vdd": supply, "vss": "vss", output: f"q{copy}"}
    circuit = Circuit()

    def put(mos: Mos, **nets: str) -> None:
        circuit.transistors.append(msgspec.structs.replace(
            mos, name=f"f{copy}_{len(circuit.transistors)}", bulk=local[mos.bulk], **nets))

    def name(net: str) -> str:
        return local.setdefault(net, f"f{copy}.{net.rsplit('/', 1)[-1]}")

    for mos in inside:
        put(mos, drain=name(mos.drain), gate=name(mos.gate), source=name(mos.source))
    for mos in macro.transistors:
        if mos.gate == output and not mos.name.startswith(f"{each.flop}/"):
            rail = local[mos.bulk]
            put(mos, drain=rail, gate=local[output], source=rail)
    for net in local:
        if net not in ("vdd", "vss", clock_net):
            circuit.farad[local[net]] += macro.farad.get(net, 0.0)
    return circuit


def output_of(inside: Iterable[Mos]) -> str:
    """The net that the flip-flop's last stage drives."""
    last = next(mos for mos in inside if mos.name.endswith("/p_sffs_1"))
    return last.drain if last.source == "vdd" else last.source


def flop_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner, each: Input, clock_slew_ns: float,
             times: list[float], what: str) -> Job:
    """All POINTS, each with its data at its own time from the clock's edge."""
    ramp, voltage = clock_slew_ns * 1e-9 * RAMP_OVER_SLEW, corner.voltage
    longest = max(reach_s(corner, clock_slew_ns, point) + point.slew_ns * 1e-9 * RAMP_OVER_SLEW for point in POINTS)
    edge_s = longest + ramp / 2 + 0.1e-9
    end_s = edge_s + longest + 0.25e-9 * corner.settle_ns
    path = clock_path(macro, spec, each)
    circuits, lines, saved = [path], [source("clk", 0, [Edge(edge_s, 1, ramp)], voltage)], []
    for k, (point, time) in enumerate(zip(POINTS, times, strict=True)):
        sign, clock = (-1, each.clocks[0]) if point.kind == "setup" else (1, each.clocks[1])
        circuits.append(flop_copy(macro, each, k, f"ck{k}", f"in{k}", "vdd"))
        lines += [f"eck{k} ck{k} 0 {node(clock)} 0 1",
                  source(f"in{k}", 1 - point.value,
                         [Edge(edge_s + sign * time, point.value, point.slew_ns * 1e-9 * RAMP_OVER_SLEW)], voltage),
                  f".ic v(q{k})={voltage * (1 - point.captured):g} v(f{k}.sff_s)={voltage * point.captured:g}"]
        saved.append(f"v(q{k})")
    transistors = [mos for circuit in circuits for mos in circuit.transistors]
    head = [f"* {spec.name} {each.bus} {what} {corner.name}", *models(transistors, corner.process),
            f".options temp={corner.celsius:g} {OPTIONS}", f"vvdd vdd 0 {voltage:g}"]
    tail = [".save " + " ".join(saved), ".control", "set filetype=binary", f"tran 1e-11 {end_s:.6g} 0 5e-11",
            "write 0.raw", "quit", ".endc", ".end", ""]
    deck = "\n".join([*head, *lines, *joined_lines(circuits), *tail])
    return Job(f"{spec.name} {each.bus} {what} {corner.name}", deck, measure_flops,
               {"voltage": voltage, "edge_s": edge_s, "values": [point.captured for point in POINTS]})


def joined_lines(circuits: list[Circuit]) -> list[str]:
    """Elements of several circuits in one deck."""
    whole = Circuit()
    for circuit in circuits:
        whole.transistors += circuit.transistors
        whole.resistors += circuit.resistors
        for net, value in circuit.farad.items():
            whole.farad[net] += value
    return element_lines(whole)


def pins_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner) -> Job:
    """A pin of every bus rises and falls while the clock is low: charge into it and from the supply."""
    slew_ns, settle = DATA_SLEWS_NS[1], corner.settle_ns * 1e-9 / 2
    ramp = slew_ns * 1e-9 * RAMP_OVER_SLEW
    rise = 0.2e-9 + ramp / 2
    fall = rise + settle + ramp
    circuits, lines = [], []
    buses = inputs_of(spec)
    for k, each in enumerate(buses):
        copy = flop_copy(macro, each, k, "0", each.bus, f"s{each.bus}")
        copy.farad[each.bus] = max(value for net, value in macro.farad.items() if net.startswith(f"{each.bus}["))
        circuits.append(copy)
        lines += [f"vs{each.bus} s{each.bus} 0 {corner.voltage:g}",
                  source(each.bus, 0, [Edge(rise, 1, ramp), Edge(fall, 0, ramp)], corner.voltage),
                  f".ic v(q{k})=0 v(f{k}.sff_s)={corner.voltage:g}"]
    transistors = [mos for circuit in circuits for mos in circuit.transistors]
    deck = "\n".join([
        f"* {spec.name} pins {corner.name}", *models(transistors, corner.process),
        f".options temp={corner.celsius:g} {OPTIONS}", *lines, *joined_lines(circuits),
        ".save " + " ".join(f"i(v{each.bus}) i(vs{each.bus})" for each in buses), ".control", "set filetype=binary",
        f"tran 1e-11 {fall + settle + ramp:.6g} 0 5e-11", "write 0.raw", "quit", ".endc", ".end", ""])
    return Job(f"{spec.name} pins {corner.name}", deck, measure_pins, {
        "pins": [each.bus for each in buses], "rise_s": rise, "fall_s": fall, "ramp_s": ramp, "settle_s": settle})
