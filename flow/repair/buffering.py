"""Where buffers go in a net: van Ginneken's dynamic programme over its tree, with areas.

From the sinks up, every node keeps the choices that no other beats in load, in time left and in area at once. Buffers
may stand at either end of a piece of wire; each drives no more than makes its edges as slow as is asked. At the driver
the cheapest choice wins that leaves as much time as there is use for.
L. P. P. P. van Ginneken, "Buffer placement in distributed RC-tree networks for minimal Elmore delay", ISCAS 1990.
"""

import numpy as np

from flow.compiled import TIMING
from flow.timing.engine import NS_PER_OHM_PF

LEAF, BUFFER, MERGE = 0, 1, 2
MOST = 40
"""Choices that a node keeps."""
POOL = 400_000
SLOW_WIRE = 1000.0
"""What a stage pays, ns a ns, whose wire is too slow."""
MANY_SINKS = 100.0
"""What a stage pays, ns a sink that it has too many."""
OVERLOAD_NS_PER_PF = 1000.0
"""What a driver pays that has more than its load: no choice with too much wins against one without."""


@TIMING.jit
def put_buffers(nets, node_first, parent, ohm, edge_pf, pin_pf, time_left, driver_loads, driver_delays, driver_most,
                buffer_pf, buffer_area, buffer_most, buffer_loads, buffer_delays, enough, price, wire_most, most_sinks):
    """Buffers for some nets: (B, 3) rows of node, 1 for the far end of its wire (its own) or 0 for the parent's, type.

    nets: numbers of trees. pin_pf, time_left: (n_nodes,) of the sink at a node (0 and a large number where none is).
    driver_loads (L,), driver_delays (n, L), driver_most (n,): of each net's driver: delay over load, and most load.
    buffer_*: (K, ...) of the kinds of buffers, their delays over buffer_loads. enough: (n,) time left
    (ns) at the driver, more is worth nothing. price: ns an area. wire_most: Elmore's delay (ns) from a driver to its
    farthest sink, beyond which edges get too slow on the way. most_sinks: that a driver may have.
    """
    found = np.empty((0, 3), np.int64)
    rows = np.empty((4096, 3), np.int64)
    n_rows = 0
    pool_wire, pool_sinks = np.empty(POOL), np.empty(POOL, np.int64)
    pool_pf, pool_time, pool_area = np.empty(POOL), np.empty(POOL), np.empty(POOL)
    pool_kind, pool_a, pool_b = np.empty(POOL, np.int64), np.empty(POOL, np.int64), np.empty(POOL, np.int64)
    pool_node, pool_type = np.empty(POOL, np.int64), np.empty(POOL, np.int64)
    stack = np.empty(POOL, np.int64)
    scratch = np.empty(MOST * MOST + MOST * 12, np.int64)
    n_types = len(buffer_pf)
    for k in range(len(nets)):
        a, b = node_first[nets[k]], node_first[nets[k] + 1]
        n = b - a
        lists = np.empty((n, MOST), np.int64)
        length = np.zeros(n, np.int64)
        used = 0
        full = False
        for node in range(a, b):
            pool_pf[used], pool_time[used], pool_area[used] = pin_pf[node], time_left[node], 0.0
            pool_kind[used], pool_wire[used] = LEAF, 0.0
            pool_sinks[used] = 1 if pin_pf[node] > 0 else 0
            lists[node - a, 0] = used
            length[node - a] = 1
            used += 1
        for node in range(b - 1, a, -1):
            c = node - a
            for end in range(2):
                # first at the node's own end of the wire, then, with the wire below, at its parent's
                count = length[c]
                for j in range(count):
                    scratch[j] = lists[c, j]
                total = count
                for t in range(n_types):
                    best, best_value = -1, -1e30
                    for j in range(count):
                        s = lists[c, j]
                        if pool_pf[s] > buffer_most[t]:
                            continue
                        value = (pool_time[s] - interpolate(pool_pf[s], buffer_loads, buffer_delays[t])
                                 - price * pool_area[s])
                        if value > best_value:
                            best, best_value = s, value
                    if best >= 0 and used < POOL:
                        pool_pf[used] = buffer_pf[t]
                        pool_time[used] = pool_time[best] - interpolate(pool_pf[best], buffer_loads, buffer_delays[t])
                        pool_area[used], pool_wire[used] = pool_area[best] + buffer_area[t], 0.0
                        pool_sinks[used] = 1
                        pool_kind[used], pool_a[used] = BUFFER, best
                        pool_node[used], pool_type[used] = 2 * node + (1 - end), t
                        scratch[total] = used
                        total += 1
                        used += 1
                length[c] = prune(scratch, total, pool_pf, pool_time, pool_area, lists[c])
                if end == 0:
                    half = edge_pf[node] / 2
                    for j in range(length[c]):
                        s = lists[c, j]
                        pool_pf[s] += half
                        step, before = NS_PER_OHM_PF * ohm[node] * pool_pf[s], pool_wire[s]
                        pool_wire[s] += step
                        pool_time[s] -= step + SLOW_WIRE * (max(pool_wire[s] - wire_most, 0.0)
                                                            - max(before - wire_most, 0.0))
                        pool_pf[s] += half
            p = parent[node] - a
            total = 0
            for i in range(length[p]):
                for j in range(length[c]):
                    if used >= POOL:
                        full = True
                        break
                    s, r = lists[p, i], lists[c, j]
                    pool_pf[used] = pool_pf[s] + pool_pf[r]
                    pool_sinks[used] = pool_sinks[s] + pool_sinks[r]
                    over = (max(pool_sinks[used] - most_sinks, 0) - max(pool_sinks[s] - most_sinks, 0)
                            - max(pool_sinks[r] - most_sinks, 0))
                    pool_time[used] = min(pool_time[s], pool_time[r]) - MANY_SINKS * over
                    pool_area[used] = pool_area[s] + pool_area[r]
                    pool_wire[used] = max(pool_wire[s], pool_wire[r])
                    pool_kind[used], pool_a[used], pool_b[used] = MERGE, s, r
                    scratch[total] = used
                    total += 1
                    used += 1
            length[p] = prune(scratch, total, pool_pf, pool_time, pool_area, lists[p])
            if full:
                break
        if full:
            continue
        best, best_value = -1, -1e30
        for j in range(length[0]):
            s = lists[0, j]
            left = pool_time[s] - interpolate(pool_pf[s], driver_loads, driver_delays[k])
            value = min(left, enough[k]) - price * pool_area[s]
            value -= OVERLOAD_NS_PER_PF * max(pool_pf[s] - driver_most[k], 0.0)
            if value > best_value:
                best, best_value = s, value
        stack[0] = best
        depth = 1
        while depth > 0:
            depth -= 1
            s = stack[depth]
            if pool_kind[s] == BUFFER:
                if n_rows == len(rows):
                    found = rows.copy()
                    rows = np.empty((2 * n_rows, 3), np.int64)
                    rows[:n_rows] = found
                rows[n_rows, 0], rows[n_rows, 1] = pool_node[s] // 2, pool_node[s] % 2
                rows[n_rows, 2] = pool_type[s]
                n_rows += 1
                stack[depth] = pool_a[s]
                depth += 1
            elif pool_kind[s] == MERGE:
                stack[depth], stack[depth + 1] = pool_a[s], pool_b[s]
                depth += 2
    return rows[:n_rows].copy()


@TIMING.jit
def prune(choices, count, pf, time, area, into):
    """Writes the choices that no other beats in load, time and area; where they are too many, some of them."""
    for i in range(1, count):                      # by load, then by more time
        s = choices[i]
        j = i - 1
        while j >= 0 and (pf[choices[j]] > pf[s] or (pf[choices[j]] == pf[s] and time[choices[j]] < time[s])):
            choices[j + 1] = choices[j]
            j -= 1
        choices[j + 1] = s
    kept = 0
    for i in range(count):
        s = choices[i]
        beaten = False
        for j in range(kept):
            r = choices[j]
            if time[r] >= time[s] and area[r] <= area[s]:
                beaten = True
                break
        if not beaten:
            choices[kept] = s
            kept += 1
    if kept > MOST:                                # evenly over the loads, both ends included
        for i in range(MOST):
            into[i] = choices[i * (kept - 1) // (MOST - 1)]
        return MOST
    for i in range(kept):
        into[i] = choices[i]
    return kept


@TIMING.jit
def interpolate(x, xs, ys):
    """Linear between points, and beyond them."""
    i = 0
    while i < len(xs) - 2 and x > xs[i + 1]:
        i += 1
    return ys[i] + (ys[i + 1] - ys[i]) * (x - xs[i]) / (xs[i + 1] - xs[i])
