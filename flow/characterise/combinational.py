"""A combinational cell at a corner: arcs with the worst state of the other inputs, capacitance, energy, leakage."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flow.characterise.corner import CORNERS, MAX_TRANSITION_NS, N_LOADS, SLEWS_NS, SMALLEST_LOAD_PF, Corner
from flow.characterise.energy import own_share
from flow.characterise.extract import ExtractedCell
from flow.characterise.function import CellFunction, check_function, evaluate, liberty_text, settle, states
from flow.characterise.leakage import leakage_job
from flow.characterise.ngspice import Simulator
from flow.characterise.ramps import Copy, ramp_job
from flow.characterise.result import CellResult, Leakage, Pin, PowerArc, Row, Table, TimingArc
from golden.spec import SpecError

PROBE_PF_PER_UM = (0.05, 0.1)
"""Loads that the largest load is extrapolated from, per um of p width at the output."""

PROBE_SHRINKS = (1, 4, 16)
"""Stacks of transistors drive less: the loads are divided by these until the output comes in time."""

SCAN_SLEWS_NS = (SLEWS_NS[1], SLEWS_NS[4])
MOST_HIDDEN_STATES = 8
NS, PJ, PF = 1e9, 1e12, 1e12

Grid = np.ndarray
"""[slew][copy] of one measured quantity."""


@dataclass(frozen=True)
class Arc:
    """An output that follows an input, and the states of the other inputs in which it does, of one sense."""

    pin: str
    output: str
    inverting: bool
    sides: tuple[dict[str, int], ...]

    @property
    def sense(self) -> str:
        return "negative_unate" if self.inverting else "positive_unate"


def characterise_combinational(cell: ExtractedCell, function: CellFunction, corner: Corner,
                               simulator: Simulator) -> CellResult:
    """All tables of one cell. SpecError when transistors and Verilog disagree or an output does not settle."""
    check_function(cell, function)
    outputs = tuple(function.outputs)
    arcs = find_arcs(function)
    when = {(arc.pin, arc.output, arc.inverting): condition(arc, arcs) for arc in arcs}
    loads = {name: load_points(cell, function, name, arcs, simulator) for name in outputs}
    arcs = [worst_sides(cell, outputs, arc, loads[arc.output][3], corner, simulator) for arc in arcs]
    copies = [[Copy(side, arc.output, load / PF, arc.inverting) for side in arc.sides for load in loads[arc.output]]
              for arc in arcs]
    hidden = [(pin, sides) for pin in function.inputs if (sides := quiet_sides(function, pin))]
    measured = simulator.run(
        [ramp_job(cell, corner, arc.pin, outputs, some, SLEWS_NS) for arc, some in zip(arcs, copies, strict=True)]
        + [ramp_job(cell, corner, pin, outputs, [Copy(side, outputs[0], SMALLEST_LOAD_PF / PF, False)
                                                 for side in sides], SLEWS_NS) for pin, sides in hidden])
    levels = [settle(cell, values) for values in states(function.inputs)]
    [leaks] = simulator.run([leakage_job(cell, corner, levels, outputs)])
    charges = {pin: {edge: [] for edge in ("rise", "fall")} for pin in function.inputs}
    quiet = {pin: hidden_power(pin, result, corner)
             for (pin, _), result in zip(hidden, measured[len(arcs):], strict=True)}
    timing, power = [], list(quiet.values())
    for arc, result in zip(arcs, measured, strict=False):
        timing.append(timing_arc(cell, arc, result, loads[arc.output], corner))
        power.append(power_arc(function, arc, result, loads[arc.output], corner, quiet.get(arc.pin),
                               when[arc.pin, arc.output, arc.inverting]))
        for edge, found in charges[arc.pin].items():
            found.append(float(quantity(result, f"pin_{edge}").mean()))
    for (pin, _), result in zip(hidden, measured[len(arcs):], strict=True):
        for edge, found in charges[pin].items():
            if not any(arc.pin == pin for arc in arcs):
                found.append(float(quantity(result, f"pin_{edge}").mean()))
    pins = [Pin(name, "input", rise_capacitance_pf=mean(charges[name]["rise"]) / corner.voltage * PF,
                fall_capacitance_pf=mean(charges[name]["fall"]) / corner.voltage * PF) for name in function.inputs]
    pins += [Pin(name, "output", liberty_text(expression), loads[name][-1])
             for name, expression in function.outputs.items()]
    return CellResult(cell.name, corner.name, cell.area_um2, tuple(pins), tuple(timing), tuple(power),
                      tuple(Leakage(state_text(values), leak) for values, leak in
                            zip(states(function.inputs), leaks, strict=True)))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def find_arcs(function: CellFunction) -> list[Arc]:
    """All arcs, one for each input, output and sense."""
    arcs = []
    for output, expression in function.outputs.items():
        for pin in function.inputs:
            others = tuple(name for name in function.inputs if name != pin)
            moves: dict[bool, list] = {False: [], True: []}
            for side in states(others):
                low, high = (evaluate(expression, {**side, pin: value}) for value in (0, 1))
                if low != high:
                    moves[low > high].append(side)
            arcs += [Arc(pin, output, inverting, tuple(sides)) for inverting, sides in moves.items() if sides]
    return arcs


def condition(arc: Arc, arcs: list[Arc]) -> str:
    """The states of an arc as a `when`, or "" where its input and output have no arc of the other sense."""
    if sum((other.pin, other.output) == (arc.pin, arc.output) for other in arcs) == 1:
        return ""
    return " | ".join(f"({state_text(side)})" if len(arc.sides) > 1 else state_text(side) for side in arc.sides)


def quiet_sides(function: CellFunction, pin: str) -> tuple[dict[str, int], ...]:
    """States of the other inputs in which no output follows a pin."""
    others = tuple(name for name in function.inputs if name != pin)
    quiet = [side for side in states(others)
             if all(evaluate(e, {**side, pin: 0}) == evaluate(e, {**side, pin: 1}) for e in function.outputs.values())]
    return tuple(quiet[:MOST_HIDDEN_STATES])


def load_points(cell: ExtractedCell, function: CellFunction, output: str, arcs: list[Arc],
                simulator: Simulator) -> Row:
    """Seven loads (pF), geometric up to where the output's transition is the largest allowed, at tt.

    The largest is on the line through two probes; where an output does not cross with those, with smaller ones.
    """
    width = sum(d.w for d in cell.devices if d.device.startswith("p") and output in (d.nets[0], d.nets[2]))
    mine = [arc for arc in arcs if arc.output == output]
    for probes in (tuple(width * load / shrink for load in PROBE_PF_PER_UM) for shrink in PROBE_SHRINKS):
        slews_ns = probe_slews(cell, tuple(function.outputs), mine, probes, simulator)
        if not np.isnan(slews_ns).any():
            near, far = slews_ns
            largest = (probes[0] + (MAX_TRANSITION_NS - near) / (far - near) * (probes[1] - probes[0])).min()
            return geometric(SMALLEST_LOAD_PF, round(float(largest), 6), N_LOADS)
    raise SpecError(f"{output} of {cell.name} must follow its inputs with a load of {probes[1] * 1000:.1f} fF, and "
                    "does not")


def probe_slews(cell: ExtractedCell, outputs: tuple[str, ...], arcs: list[Arc], probes: Row,
                simulator: Simulator) -> Grid:
    """[probe][arc and edge] transitions (ns) at tt from the fastest ramp; NaN where the output does not cross."""
    results = simulator.run([
        ramp_job(cell, CORNERS["tt_025C_1v80"], arc.pin, outputs,
                 [Copy(arc.sides[0], arc.output, probe / PF, arc.inverting) for probe in probes], SLEWS_NS[:1])
        for arc in arcs])
    return np.array([quantity(result, f"slew_{edge}")[0] for result in results for edge in ("rise", "fall")]).T * NS


def geometric(first: float, last: float, n: int) -> Row:
    """n values from first to last with a constant ratio, to seven digits.

    >>> geometric(1.0, 8.0, 4)
    (1.0, 2.0, 4.0, 8.0)
    """
    return tuple(float(f"{first * (last / first) ** (k / (n - 1)):.7g}") for k in range(n))


def worst_sides(cell: ExtractedCell, outputs: tuple[str, ...], arc: Arc, load_pf: float, corner: Corner,
                simulator: Simulator) -> Arc:
    """The arc with only those states of the other inputs that are the worst somewhere in a coarse scan."""
    if len(arc.sides) == 1:
        return arc
    copies = [Copy(side, arc.output, load_pf / PF, arc.inverting) for side in arc.sides]
    [result] = simulator.run([ramp_job(cell, corner, arc.pin, outputs, copies, SCAN_SLEWS_NS)])
    pick: Callable = np.argmax if corner.worst == "max" else np.argmin
    chosen = {int(pick(row)) for name in ("delay_rise", "delay_fall", "slew_rise", "slew_fall")
              for row in quantity(result, name)}
    return Arc(arc.pin, arc.output, arc.inverting, tuple(arc.sides[k] for k in sorted(chosen)))


def quantity(result: list, name: str) -> Grid:
    return np.array([[np.nan if copy[name] is None else copy[name] for copy in row] for row in result], float)


def timing_arc(cell: ExtractedCell, arc: Arc, result: list, loads: Row, corner: Corner) -> TimingArc:
    tables = {}
    for edge in ("rise", "fall"):
        for name, table in (("delay", f"cell_{edge}"), ("slew", f"{edge}_transition")):
            by_side = quantity(result, f"{name}_{edge}").reshape(len(SLEWS_NS), len(arc.sides), len(loads)) * NS
            if np.isnan(by_side).any():
                raise SpecError(f"{arc.output} of {cell.name} must follow {arc.pin} in the time of the simulation at "
                                f"{corner.name}, and does not at every slew and load")
            tables[table] = make_table(loads, by_side.max(axis=1) if corner.worst == "max" else by_side.min(axis=1))
    return TimingArc(arc.output, arc.pin, "combinational", arc.sense, tables)


def power_arc(function: CellFunction, arc: Arc, result: list, loads: Row, corner: Corner,
              hidden: PowerArc | None, when: str) -> PowerArc:
    """Energy from the supply at each edge less half of C V^2 of the load, the mean over states of the others.

    A timer adds what the input's own group says to what is here: that is taken off. Where several outputs move, each
    has its share.
    """
    n_moving = [sum(evaluate(e, {**side, arc.pin: 0}) != evaluate(e, {**side, arc.pin: 1})
                    for e in function.outputs.values()) for side in arc.sides]
    tables = {}
    for edge, other in (("rise", "fall"), ("fall", "rise")):
        energy = (quantity(result, f"supply_{edge}") * corner.voltage * PJ).reshape(len(SLEWS_NS), len(arc.sides), -1)
        energy = energy - 0.5 * np.array(loads) * corner.voltage**2
        if hidden is not None:
            table = hidden.tables[f"{other if arc.inverting else edge}_power"]
            energy = energy - np.array(table.values[0])[:, None, None]
        tables[f"{edge}_power"] = make_table(loads, own_share(energy, np.array(n_moving)[:, None]).mean(axis=1))
    return PowerArc(arc.output, arc.pin, tables, when)


def hidden_power(pin: str, result: list, corner: Corner) -> PowerArc:
    """Energy from the supply when an input moves and no output does; edges are the input's."""
    return PowerArc(pin, "", {f"{edge}_power": Table(SLEWS_NS, (), (tuple(
        float(value) for value in quantity(result, f"supply_{edge}").mean(axis=1) * corner.voltage * PJ),))
        for edge in ("rise", "fall")})


def make_table(loads: Row, values: Grid) -> Table:
    return Table(SLEWS_NS, loads, tuple(tuple(float(value) for value in row) for row in values))


def state_text(values: dict[str, int]) -> str:
    """A state as Liberty's `when`.

    >>> state_text({"A": 1, "B": 0})
    'A&!B'
    """
    return "&".join(name if value else f"!{name}" for name, value in values.items())
