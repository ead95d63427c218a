"""OpenSTA's power of the same netlist, wires and library, as a second opinion on tables, slews and loads.

OpenSTA 2.0.17 (Debian) takes activities at inputs or everywhere, not pin by pin; those inside follow by probabilities
of independent signals. So it is given one activity everywhere, and what it reports is computed here as well, with its
own way of counting, which was found by giving one energy after the other the value 1:

    an edge's energy counts (activity of the pin) * (part) times a cycle, a rising and a falling one alike;
    part is P(when) where a group has a condition; else 1 at a clock pin, 0.5 at another input; at an output 1 for a
    clock, P(the related input decides) where that is an operand of the function's last operator, 0.5 elsewhere.

The truth is half the activity for each edge, shared among the groups of an output so that the parts add up to 1.
So it counts clock pins, flip-flops' outputs and cells with one input twice, and an output with several inputs up to
as many times as it has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from flow.characterise.function import Expression
from flow.characterise.liberty_read import Group
from flow.gates.circuit import Circuit
from flow.gates.functions import CellFunction
from flow.power.calculate import FEMTO, PICO, PowerProblem
from flow.power.library import PowerGroup, lookup
from flow.power.slews import Even
from flow.timing.reports import NUMBER
from golden.spec import SpecError

ROW = re.compile(rf"^ *({NUMBER}) +({NUMBER}) +({NUMBER}) +({NUMBER}) (\S+)$", re.MULTILINE)
CLOCK_EDGES = 2.0


def parse_power(text: str) -> dict[str, tuple[float, float]]:
    """The table of `report_power -instances`.

    >>> parse_power(" 9.6e-06 6.3e-07 4.4e-12 1.0e-05 cb")
    {'cb': (9.6e-06, 6.3e-07)}
    """
    found = {name: (float(internal), float(switching)) for internal, switching, _, _, name in ROW.findall(text)}
    if not found:
        raise SpecError("OpenSTA must report the power of instances, and reported none")
    return found


def its_power(problem: PowerProblem, circuit: Circuit, even: Even, period_ns: float,
              senses: Mapping[tuple[str, str, str], str]) -> dict[str, tuple[float, float]]:
    """Instance -> internal and switching power, W, from our tables with its way of counting.

    senses: of `first_senses`: they say which edge's slew it takes. The
    load at an output port (set_load) takes the place of its net's wires.
    """
    surroundings, netlist = problem.surroundings, problem.netlist
    wires = {net: femtofarad for net, femtofarad in surroundings.wires.items()
             if not any(not instance and netlist.ports[pin] == "output" for instance, pin in netlist.nets[net])}
    loads = replace(problem, surroundings=replace(surroundings, wires=wires)).loads()
    by_cell, found = {}, {}
    for name, cell in problem.netlist.instances.items():
        by_cell.setdefault(cell, []).append(name)
    for cell_name, names in by_cell.items():
        cell, function = problem.cells[cell_name], problem.functions.get(cell_name)
        internal, switching = np.zeros(len(names)), np.zeros(len(names))
        for pin, groups in cell.groups.items():
            nets = [problem.netlist.net_of.get((name, pin)) for name in names]
            activity = np.array([0.0 if net is None else CLOCK_EDGES if net in circuit.clocks else even.activity
                                 for net in nets])
            load = np.zeros(len(names))
            if pin not in cell.capacitance:
                load = np.array([0.0 if net is None else loads[net] for net in nets])
                switching += 0.5 * FEMTO * load * cell.volt**2 * activity
            for group in groups:
                part = its_part(group, function, cell.clocks, even)
                sense = senses.get((cell_name, group.related or pin, pin), "")
                slews = np.array([problem.surroundings.slews[name, group.related or pin] for name in names]).T
                for edge in (0, 1):
                    at = 1 - edge if sense == "negative_unate" else edge
                    internal += PICO * activity * part * lookup(group.tables[edge], slews[at], load / 1000)
        frequency = 1e9 / period_ns
        found |= {name: (float(a), float(b)) for name, a, b in zip(names, internal * frequency, switching * frequency,
                                                                   strict=True)}
    return {name: found[name] for name in problem.netlist.instances}


def first_senses(library: Group) -> dict[tuple[str, str, str], str]:
    """(cell, related pin, output) -> timing_sense of the first of its arcs."""
    senses: dict[tuple[str, str, str], str] = {}
    for cell in library.all("cell"):
        for pin in cell.all("pin"):
            for timing in pin.all("timing"):
                key = (cell.arguments[0], timing.attributes["related_pin"], pin.arguments[0])
                senses.setdefault(key, timing.attributes.get("timing_sense", ""))
    return senses


def its_part(group: PowerGroup, function: CellFunction | None, clocks: frozenset[str], even: Even) -> float:
    """What it multiplies an activity with (see above)."""
    if group.when is not None:
        return probability(group.when, even.duty)
    if group.related is None:
        return 1.0 if group.pin in clocks else 0.5
    expression = function.outputs.get(group.pin) if function else None
    if expression is None or group.related in clocks:
        return 1.0
    if not is_last_operand(expression, group.related):
        return 0.5
    high, low = (probability(expression, even.duty, {group.related: value}) for value in (1.0, 0.0))
    return high * (1 - low) + low * (1 - high)


def is_last_operand(expression: Expression, pin: str) -> bool:
    """Whether a pin is an operand of the operator that is applied last; of three, the first two come before.

    >>> function = ("not", ("and", ("pin", "B"), ("pin", "A"), ("pin", "C")))
    >>> [is_last_operand(function, pin) for pin in "ABC"]
    [False, False, True]
    """
    while expression[0] == "not":
        expression = expression[1]
    if expression[0] == "pin":
        return expression[1] == pin
    operands = expression[1:] if len(expression) == 3 else expression[-1:]
    return any(operand in (("pin", pin), ("not", ("pin", pin))) for operand in operands)


def probability(expression: Expression, duty: float, known: Mapping[str, float] | None = None) -> float:
    """That an expression is 1 when its parts are taken as independent, as OpenSTA does.

    >>> probability(("or", ("pin", "A"), ("and", ("pin", "B"), ("pin", "C"))), 0.5)
    0.625
    """
    kind, *rest = expression
    if kind == "pin":
        return (known or {}).get(rest[0], duty)
    if kind == "const":
        return float(rest[0])
    parts = [probability(part, duty, known) for part in rest]
    if kind == "not":
        return 1 - parts[0]
    result = parts[0]
    for part in parts[1:]:
        both = result * part
        result = {"and": both, "or": result + part - both, "xor": result + part - 2 * both}[kind]
    return result
