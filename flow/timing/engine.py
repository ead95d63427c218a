"""Arrivals, slews and slacks of every pin, in milliseconds: to rank what repair may do. OpenSTA judges what it did.

Delays are those of the library's tables at the whole load of a net; wires have Elmore's delay, and edges get slower
along them by ln 4 of it (20 to 80 %). OpenSTA works with an effective load, which is smaller where wires have much
resistance: in these designs the two differ little (tests/test_repair.py compares them).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flow.compiled import TIMING
from flow.physical.netlist import Netlist
from flow.timing.arrays import NONE, Graph
from flow.timing.liberty import Library
from flow.timing.spec import TimingSpec

FAR = 1e30
"""Of pins that no path reaches."""
NS_PER_OHM_PF = 1e-3
LN4 = float(np.log(4.0))
LEAST_SLEW = 0.01


@dataclass(frozen=True)
class Boundary:
    """What holds at the design's edge: (P,) arrays over pins.

    arrival: at inputs, FAR elsewhere; driver: type of the cell that drives it (-1: an edge of `slew`), driver_in its
    slew. required: latest (earliest for hold) at outputs. port_pf: load of outputs.
    clocked: pins of an ideal clock's net.
    """

    arrival: np.ndarray
    driver: np.ndarray
    required: np.ndarray
    port_pf: np.ndarray
    clocked: np.ndarray
    slew: float
    period: float
    fall: float
    uncertainty: float


@dataclass(frozen=True)
class Times:
    """Of every pin and edge, (P, 2); slack: of the worse edge, (P,)."""

    arrival: np.ndarray
    slew: np.ndarray
    required: np.ndarray

    @cached_property
    def edge_slack(self) -> np.ndarray:
        reached = (abs(self.arrival) < FAR / 2) & (abs(self.required) < FAR / 2)
        return np.where(reached, self.required - self.arrival, FAR)

    @cached_property
    def slack(self) -> np.ndarray:
        return self.edge_slack.min(axis=1)


@dataclass(frozen=True)
class HoldTimes(Times):
    """The same of earliest arrivals: slack is arrival beyond what is required."""

    @cached_property
    def edge_slack(self) -> np.ndarray:
        reached = (abs(self.arrival) < FAR / 2) & (abs(self.required) < FAR / 2)
        return np.where(reached, self.arrival - self.required, FAR)


def boundary(graph: Graph, netlist: Netlist, spec: TimingSpec, prefix: str, load_pf: float, *, propagated: bool,
             hold: bool) -> Boundary:
    """The SDC's demands (flow.timing.sdc) for setup or hold."""
    n = len(graph.net_of_pin)
    arrival, required = np.full(n, FAR), np.full(n, FAR)
    driver, port_pf, clocked = np.full(n, NONE), np.zeros(n), np.zeros(n, bool)
    period = spec.clock_period_ns
    uncertainty = spec.hold_uncertainty_ns if hold else spec.setup_uncertainty_ns
    uncertainty += 0 if propagated else spec.skew_ns
    for port, way in netlist.ports.items():
        at = graph.ports[port]
        if port == spec.clock_port:
            if propagated:
                arrival[at], driver[at] = 0.0, graph.types.index[f"{prefix}__{spec.clock_driving_cell}"]
        elif way == "input":
            arrival[at] = period * (spec.input_hold_share if hold else spec.input_share)
            driver[at] = graph.types.index[f"{prefix}__{spec.driving_cell}"]
        else:
            required[at] = uncertainty if hold else period * (1 - spec.output_share) - uncertainty
            port_pf[at] = load_pf
    if not propagated:
        clocked[ideal_pins(graph, netlist, spec.clock_port)] = True
    return Boundary(arrival, driver, required, port_pf, clocked, spec.clock_slew_ns, period,
                    spec.high_share * period, uncertainty)


def ideal_pins(graph: Graph, netlist: Netlist, clock: str) -> list[int]:
    """The pins that an ideal clock reaches at once, through buffers and gates as well."""
    number = {name: k for k, name in enumerate(graph.names)}
    nets = clock_nets(netlist, {cell.name: cell for cell in graph.types.cells}, clock)
    return [graph.pin(instance, pin, number) for net in nets for instance, pin in netlist.nets[net] if instance]


def clock_nets(netlist: Netlist, library: Library, clock: str) -> list[str]:
    """The nets of a clock, from its port through buffers, gates and logic to the registers."""
    nets = [netlist.net_of["", clock]]
    found = set(nets)
    for net in nets:
        for instance, pin in netlist.nets[net]:
            if not instance:
                continue
            cell = library[netlist.instances[instance]]
            if not cell.pins[pin].is_output and (cell.is_clock_gate or not cell.is_sequential):
                behind = [netlist.net_of[instance, output] for output in cell.outputs
                          if (instance, output) in netlist.net_of]
                nets += [other for other in behind if other not in found]
                found.update(behind)
    return nets


class Engine:
    """Times a graph again and again while its types change."""

    def __init__(self, graph: Graph, edge: Boundary, hold: bool = False):
        self.graph, self.edge, self.hold = graph, edge, hold
        types = graph.types
        self.tables = (types.values, types.rows, types.columns, types.counts)
        self.order = topological_order(graph.kinds, graph.base, graph.pin_inst, graph.net_of_pin, graph.driver,
                                       graph.node_first, graph.node_pin, types.arc_first, types.arcs)

    def run(self) -> Times:
        """Arrivals forwards, required times backwards, with the types that instances have now."""
        g, types, edge = self.graph, self.graph.types, self.edge
        self.load, self.wire = wires(g.kinds, g.base, g.pin_inst, g.node_first, g.parent, g.node_pin, g.ohm, g.node_pf,
                                     types.capacitance, edge.port_pf)
        n = len(g.net_of_pin)
        arrival, slew, required = np.full((n, 2), FAR), np.full((n, 2), LEAST_SLEW), np.full((n, 2), FAR)
        if not self.hold:
            arrival[:] = -FAR
        else:
            required[:] = -FAR
        propagate(self.order, self.hold, g.kinds, g.base, g.net_of_pin, g.node_first, g.node_pin, self.load, self.wire,
                  types.arc_first, types.arcs, self.tables, types.check_first, types.checks, edge.arrival, edge.driver,
                  edge.required, edge.clocked, edge.slew, edge.period, edge.fall, edge.uncertainty, g.driver, arrival,
                  slew, required)
        return (HoldTimes if self.hold else Times)(arrival, slew, required)


@TIMING.jit
def look_up(tables, k, x, y):
    """A table at (x, y): linear between its points and beyond them."""
    values, rows, columns, counts = tables
    n, m = counts[k, 0], counts[k, 1]
    i, j = 0, 0
    while i < n - 2 and x > rows[k, i + 1]:
        i += 1
    while j < m - 2 and y > columns[k, j + 1]:
        j += 1
    if n == 1 and m == 1:
        return values[k, 0, 0]
    u = 0.0 if n == 1 else (x - rows[k, i]) / (rows[k, i + 1] - rows[k, i])
    v = 0.0 if m == 1 else (y - columns[k, j]) / (columns[k, j + 1] - columns[k, j])
    i1, j1 = min(i + 1, n - 1), min(j + 1, m - 1)
    low = values[k, i, j] * (1 - v) + values[k, i, j1] * v
    high = values[k, i1, j] * (1 - v) + values[k, i1, j1] * v
    return low * (1 - u) + high * u


@TIMING.jit
def topological_order(kinds, base, pin_inst, net_of_pin, driver, node_first, node_pin, arc_first, arcs):
    """Instances in an order in which what an arc starts from is timed before; loops are left out."""
    n = len(kinds)
    waits = np.zeros(n, np.int64)
    sources = np.zeros(len(pin_inst), np.bool_)
    for i in range(n):
        for a in range(arc_first[kinds[i]], arc_first[kinds[i] + 1]):
            p = base[i] + arcs[a, 0]
            net = net_of_pin[p]
            if not sources[p] and net >= 0 and pin_inst[driver[net]] >= 0:
                sources[p] = True
                waits[i] += 1
    order = np.empty(n, np.int64)
    count = 0
    for i in range(n):
        if waits[i] == 0:
            order[count] = i
            count += 1
    done = 0
    while done < count:
        i = order[done]
        done += 1
        for p in range(base[i], base[i + 1]):
            net = net_of_pin[p]
            if net < 0 or driver[net] != p:
                continue
            for node in range(node_first[net], node_first[net + 1]):
                q = node_pin[node]
                if q >= 0 and sources[q]:
                    j = pin_inst[q]
                    waits[j] -= 1
                    if waits[j] == 0:
                        order[count] = j
                        count += 1
    return order[:count]


@TIMING.jit
def wires(kinds, base, pin_inst, node_first, parent, node_pin, ohm, node_pf, capacitance, port_pf):
    """Load of each net (pF) and Elmore's delay from its driver to each node (ns)."""
    n_nets, n_nodes = len(node_first) - 1, len(parent)
    below, delay, load = np.empty(n_nodes), np.zeros(n_nodes), np.zeros(n_nets)
    for node in range(n_nodes):
        below[node] = node_pf[node]
        p = node_pin[node]
        if p >= 0:
            i = pin_inst[p]
            below[node] += port_pf[p] if i < 0 else capacitance[kinds[i], p - base[i]]
    for net in range(n_nets):
        a, b = node_first[net], node_first[net + 1]
        for node in range(b - 1, a, -1):
            below[parent[node]] += below[node]
        for node in range(a + 1, b):
            delay[node] = delay[parent[node]] + NS_PER_OHM_PF * ohm[node] * below[node]
        load[net] = below[a]
    return load, delay


@TIMING.jit
def drive(p, hold, net_of_pin, node_first, node_pin, wire, arrival, slew):
    """From a driving pin to the sinks of its net."""
    net = net_of_pin[p]
    if net < 0:
        return
    for node in range(node_first[net] + 1, node_first[net + 1]):
        q = node_pin[node]
        if q >= 0:
            for e in range(2):
                if abs(arrival[p, e]) < FAR / 2:
                    arrival[q, e] = arrival[p, e] + wire[node]
                    slew[q, e] = np.sqrt(slew[p, e] ** 2 + (LN4 * wire[node]) ** 2)


@TIMING.jit
def propagate(order, hold, kinds, base, net_of_pin, node_first, node_pin, load, wire, arc_first, arcs, tables,
              check_first, checks, at_input, input_driver, at_output, clocked, clock_slew, period, fall, uncertainty,
              driver, arrival, slew, required):
    """Fills arrival, slew and required."""
    for p in range(len(clocked)):
        if clocked[p]:
            arrival[p, 0], arrival[p, 1] = 0.0, fall
            slew[p, 0] = slew[p, 1] = clock_slew
        elif at_input[p] < FAR / 2:
            t, net = input_driver[p], net_of_pin[p]
            pf = load[net] if net >= 0 else 0.0
            for a in range(arc_first[t], arc_first[t + 1]):
                e = arcs[a, 3]
                edge_slew = clock_slew if at_input[p] == 0.0 else 0.0
                extra = look_up(tables, arcs[a, 4], edge_slew, pf) - look_up(tables, arcs[a, 4], edge_slew, 0.0)
                arrival[p, e] = at_input[p] + extra
                slew[p, e] = look_up(tables, arcs[a, 5], edge_slew, pf)
            drive(p, hold, net_of_pin, node_first, node_pin, wire, arrival, slew)
    for k in range(len(order)):
        i = order[k]
        for a in range(arc_first[kinds[i]], arc_first[kinds[i] + 1]):
            p, e, q, f = base[i] + arcs[a, 0], arcs[a, 1], base[i] + arcs[a, 2], arcs[a, 3]
            if abs(arrival[p, e]) > FAR / 2 or clocked[q]:
                continue
            net = net_of_pin[q]
            pf = load[net] if net >= 0 else 0.0
            t = arrival[p, e] + look_up(tables, arcs[a, 4], slew[p, e], pf)
            s = look_up(tables, arcs[a, 5], slew[p, e], pf)
            first = abs(arrival[q, f]) > FAR / 2
            if first or (t < arrival[q, f] if hold else t > arrival[q, f]):
                arrival[q, f] = t
            if first or (s < slew[q, f] if hold else s > slew[q, f]):
                slew[q, f] = s
        for q in range(base[i], base[i + 1]):
            if net_of_pin[q] >= 0 and driver[net_of_pin[q]] == q and not clocked[q]:
                drive(q, hold, net_of_pin, node_first, node_pin, wire, arrival, slew)
    for i in range(len(kinds)):
        for c in range(check_first[kinds[i]], check_first[kinds[i] + 1]):
            if (checks[c, 0] == 1) != hold:
                continue
            clock, p, e = base[i] + checks[c, 1], base[i] + checks[c, 2], checks[c, 3]
            if abs(arrival[clock, 0]) > FAR / 2 or abs(arrival[p, e]) > FAR / 2:
                continue
            margin = look_up(tables, checks[c, 4], slew[clock, 0], slew[p, e])
            if hold:
                required[p, e] = max(required[p, e], arrival[clock, 0] + uncertainty + margin)
            else:
                required[p, e] = min(required[p, e], arrival[clock, 0] + period - uncertainty - margin)
    for p in range(len(at_output)):
        if at_output[p] < FAR / 2:
            required[p, 0] = required[p, 1] = at_output[p]
    for k in range(len(order) - 1, -1, -1):
        require(order[k], hold, kinds, base, net_of_pin, node_first, node_pin, load, wire, arc_first, arcs, tables,
                driver, arrival, slew, required)
    for net in range(len(driver)):
        if at_input[driver[net]] < FAR / 2:
            require_at_driver(net, hold, driver, node_first, node_pin, wire, required)


@TIMING.jit
def require_at_driver(net, hold, driver, node_first, node_pin, wire, required):
    """From the sinks of a net to its driver."""
    p = driver[net]
    for node in range(node_first[net] + 1, node_first[net + 1]):
        q = node_pin[node]
        if q >= 0:
            for e in range(2):
                t = required[q, e] - wire[node]
                if abs(t) < FAR / 2:
                    required[p, e] = max(required[p, e], t) if hold else min(required[p, e], t)


@TIMING.jit
def require(i, hold, kinds, base, net_of_pin, node_first, node_pin, load, wire, arc_first, arcs, tables, driver,
            arrival, slew, required):
    """From the outputs of an instance to its inputs."""
    for q in range(base[i], base[i + 1]):
        net = net_of_pin[q]
        if net >= 0 and driver[net] == q:
            require_at_driver(net, hold, driver, node_first, node_pin, wire, required)
    for a in range(arc_first[kinds[i]], arc_first[kinds[i] + 1]):
        p, e, q, f = base[i] + arcs[a, 0], arcs[a, 1], base[i] + arcs[a, 2], arcs[a, 3]
        if abs(arrival[p, e]) > FAR / 2 or abs(required[q, f]) > FAR / 2:
            continue
        net = net_of_pin[q]
        pf = load[net] if net >= 0 else 0.0
        t = required[q, f] - look_up(tables, arcs[a, 4], slew[p, e], pf)
        required[p, e] = max(required[p, e], t) if hold else min(required[p, e], t)
