"""Buffers of a whole design anew: those that there are go, and every net gets what its sinks need where they stand."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from flow.physical.design import Design
from flow.physical.netlist import Pin
from flow.repair.bench import Bench, Kit
from flow.repair.buffering import put_buffers
from flow.repair.edit import Editor
from flow.timing.engine import FAR, Times, ideal_pins, look_up

LOADS = np.array([0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64])
"""pF at which delays are tabulated."""
USUAL_SLEW_NS = 0.25
AMPLE_NS = 1e6
GIVE_UP_NS = 0.1
"""Slack that a net may lose when fewer buffers do."""
WIRE_SHARE = 0.4
"""Elmore's delay to the farthest sink, as a part of the slew: edges get a seventh slower by it at most."""
PREFIX = "rep"


def strip_buffers(design: Design, kit: Kit) -> Design:
    """The design without the buffers of its data nets; those of the clock stay."""
    bench = Bench(kit, design)
    clocked = {int(bench.graph.pin_inst[pin]) for pin in
               ideal_pins(bench.graph, design.netlist, kit.timer.spec.clock_port)}
    editor = Editor(design, kit.timer.cells)
    editor.remove_buffers([name for k, name in enumerate(bench.graph.names) if k not in clocked
                           and kit.types.cells[bench.graph.kinds[k]].is_buffer])
    return editor.design()


def rebuffer(bare: Bench, timed: tuple[Bench, Times] | None, slew: float, load_share: float, goal: float,
             price: float, nets: np.ndarray | None = None, prefix: str = PREFIX) -> Design:
    """The bare design with buffers.

    timed: the same design with buffers as it was before, and its times; None: every sink is equally urgent.
    slew: that edges should not exceed, ns. goal: slack that is enough. price: ns an um2 of buffer.
    nets: numbers of the trees that may get buffers; None: all but those of an ideal clock.
    prefix: of the names of new buffers.
    """
    kit, g = bare.kit, bare.graph
    if nets is None:
        nets = np.array([k for k, pin in enumerate(g.driver) if not bare.edge.clocked[pin]], np.int64)
    buffers = [kit.types.index[name] for name in kit.buffers]
    left, delays, enough = _demands(bare, timed, nets, goal)
    most = np.array([_most(bare, int(g.driver[k]), slew, load_share) for k in nets])
    is_sink = g.node_pin >= 0
    pin_pf = np.zeros(len(g.node_pin))
    pin_pf[is_sink] = [_pin_pf(bare, int(pin)) for pin in g.node_pin[is_sink]]
    tables = bare.engine.tables
    rows = put_buffers(
        nets, g.node_first, g.parent, g.ohm, g.edge_pf, pin_pf, left, LOADS, delays, most,
        np.array([kit.types.capacitance[t].max() for t in buffers]), kit.types.area[buffers],
        np.array([_load_for(kit, t, slew, load_share) for t in buffers]), LOADS,
        np.array([[_delay(kit, tables, t, pf) for pf in LOADS] for t in buffers]), enough, price,
        WIRE_SHARE * slew, kit.timer.spec.max_fanout)
    return _with_buffers(bare, rows, kit, prefix)


def _pin_pf(bench: Bench, pin: int) -> float:
    inst = bench.graph.pin_inst[pin]
    if inst < 0:
        return float(bench.edge.port_pf[pin])
    return float(bench.kit.types.capacitance[bench.graph.kinds[inst], pin - bench.graph.base[inst]])


def _delay(kit: Kit, tables, kind: int, pf: float) -> float:
    """Of a buffer, the slower edge."""
    first, end = kit.types.arc_first[kind:kind + 2]
    return max(look_up(tables, kit.types.arcs[a, 4], USUAL_SLEW_NS, pf) for a in range(first, end))


def _load_for(kit: Kit, kind: int, slew: float, share: float) -> float:
    """The load (pF) at which the slowest edge of a type becomes as slow as `slew`, or its limit if that is less."""
    types = kit.types
    tables = (types.values, types.rows, types.columns, types.counts)
    slots = np.flatnonzero(types.is_output[kind, :types.n_slots[kind]])
    limit = share * float(types.max_load[kind, slots].min())
    low, high = 0.0, min(limit, 2.0)
    arcs = [types.arcs[a, 5] for a in range(types.arc_first[kind], types.arc_first[kind + 1])]
    if not arcs:
        return limit if np.isfinite(limit) else 1.0
    if max(look_up(tables, k, USUAL_SLEW_NS, high) for k in arcs) <= slew:
        return high
    for _ in range(20):
        middle = (low + high) / 2
        if max(look_up(tables, k, USUAL_SLEW_NS, middle) for k in arcs) <= slew:
            low = middle
        else:
            high = middle
    return low


def _most(bench: Bench, pin: int, slew: float, share: float) -> float:
    inst = bench.graph.pin_inst[pin]
    kind = int(bench.graph.kinds[inst] if inst >= 0 else bench.edge.driver[pin])
    cache = bench.__dict__.setdefault("_most", {})
    if (kind, slew, share) not in cache:
        cache[kind, slew, share] = _load_for(bench.kit, kind, slew, share)
    return cache[kind, slew, share]


def _demands(bare: Bench, timed: tuple[Bench, Times] | None, nets: np.ndarray,
             goal: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n_nodes,) time from the driver to a sink that there is, (n, L) delay of drivers over load relative to now,
    (n,) slack that is enough."""
    g = bare.graph
    left = np.full(len(g.node_pin), AMPLE_NS)
    delays, enough = np.zeros((len(nets), len(LOADS))), np.full(len(nets), AMPLE_NS)
    pins = g.node_pin >= 0
    if timed is None:
        left[pins] = 0.0
        for row, net in enumerate(nets):
            delays[row] = _driver_delays(bare, int(g.driver[net]), None)
        return left, delays, enough
    other, times = timed
    there = _same_pins(bare, other)
    driver_of_node = np.repeat(g.driver, np.diff(g.node_first))
    arrival = times.arrival[there[driver_of_node]]
    need = times.required[there[np.maximum(g.node_pin, 0)]]
    known = pins[:, None] & (abs(arrival) < FAR / 2) & (abs(need) < FAR / 2)
    left = np.minimum(np.where(known, need - arrival, AMPLE_NS).min(axis=1), AMPLE_NS)
    slack = times.slack[there[g.driver]]
    for row, net in enumerate(nets):
        delays[row] = _driver_delays(bare, int(g.driver[net]), (other, times, int(there[g.driver[net]])))
        enough[row] = max(goal, slack[net] - GIVE_UP_NS)
    return left, delays, np.minimum(enough, AMPLE_NS)


def _same_pins(bare: Bench, other: Bench) -> np.ndarray:
    """(P,) the other bench's pin of the same name."""
    there = np.zeros(len(bare.graph.net_of_pin), np.int64)
    for k, name in enumerate(bare.graph.names):
        a, b = bare.graph.base[k:k + 2]
        there[a:b] = other.graph.base[other.number[name]] + np.arange(b - a)
    for port, pin in bare.graph.ports.items():
        there[pin] = other.graph.ports[port]
    return there


def _driver_delays(bare: Bench, pin: int, now: tuple[Bench, Times, int] | None) -> np.ndarray:
    """Delay of a net's driver over LOADS: relative to its arrival now, or as it is for a usual edge."""
    bench, times, at = now or (bare, None, pin)
    types, tables = bench.kit.types, bench.engine.tables
    inst = bench.graph.pin_inst[at]
    kind = int(bench.graph.kinds[inst] if inst >= 0 else bench.edge.driver[at])
    worst = np.full(len(LOADS), -FAR)
    for a in range(types.arc_first[kind], types.arc_first[kind + 1]):
        source, e, target, f, delay, _ = types.arcs[a]
        if inst >= 0 and bench.graph.base[inst] + target != at:
            continue
        if times is None or inst < 0:
            begin, edge, end = 0.0, USUAL_SLEW_NS if inst >= 0 else 0.0, 0.0
        else:
            p = bench.graph.base[inst] + source
            if abs(times.arrival[p, e]) > FAR / 2 or abs(times.arrival[at, f]) > FAR / 2:
                continue
            begin, edge, end = times.arrival[p, e], times.slew[p, e], times.arrival[at, f]
        row = np.array([begin + look_up(tables, delay, edge, pf) - end for pf in LOADS])
        if times is not None and inst < 0:             # relative to the arrival at the port under the load of now
            net = bench.graph.net_of_pin[at]
            row -= look_up(tables, delay, edge, bench.engine.load[net] if net >= 0 else 0.0)
        worst = np.maximum(worst, row)
    return np.where(worst < -FAR / 2, 0.0, worst)


def _with_buffers(bare: Bench, rows: np.ndarray, kit: Kit, prefix: str) -> Design:
    """Puts the chosen buffers into the netlist, from each net's driver outwards."""
    g = bare.graph
    editor = Editor(bare.design, kit.timer.cells)
    net_of_node = np.repeat(np.arange(len(g.nets)), np.diff(g.node_first))
    count = 0
    chosen: dict[int, dict[int, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for node, end, kind in rows.tolist():
        chosen[int(net_of_node[node])][node][end] = kit.buffers[kind]
    for net in sorted(chosen):
        a, b = int(g.node_first[net]), int(g.node_first[net + 1])
        children: dict[int, list[int]] = defaultdict(list)
        for node in range(a + 1, b):
            children[int(g.parent[node])].append(node)
        pin_at = {node: _name_of(bare, net, node) for node in range(a, b) if g.node_pin[node] >= 0}
        sinks: dict[int, list[Pin]] = {}
        for node in range(b - 1, a - 1, -1):
            sinks[node] = [pin_at[node]] if node in pin_at and node != a else []
            for child in children[node]:
                sinks[node] += sinks[child]
        source = {a: g.nets[net]}
        for node in range(a + 1, b):
            name = source[int(g.parent[node])]
            for end in (0, 1):                             # the end at the parent comes first from the driver
                cell = chosen[net][node].get(end) if node in chosen[net] else None
                if cell is None:
                    continue
                at = node if end == 1 else int(g.parent[node])
                name = _put(editor, f"{prefix}_{count}", cell, name, sinks[node], (int(g.x[at]), int(g.y[at])), source)
                count += 1
            source[node] = name
    return editor.design()


def _put(editor: Editor, instance: str, cell: str, net: str, sinks: list[Pin], middle: tuple[int, int],
         source: dict[int, str]) -> str:
    """A buffer in front of sinks; nets that change their name for a port's sake do so in `source` as well."""
    behind = editor.add_buffer(instance, cell, net, sinks, middle)
    if behind == net:
        for node, name in source.items():
            if name == net:
                source[node] = f"{instance}_net"
    return behind


def _name_of(bench: Bench, net: int, node: int) -> Pin:
    trees = bench.trees
    return trees.pins[int(trees.trees.pin[node])]
