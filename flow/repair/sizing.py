"""Which size an instance should have: what each would do to its surroundings, and the best ones that do not meet.

The cost of a surrounding is the sum of squares of what is missing to the slack that is wanted: behind the instance's
outputs (one gate further, so that slower edges count) and at the other sinks of the nets that it loads. A size is worth
what it takes off that cost, less its area. Sizes are changed together only where their surroundings do not overlap.
"""

import numpy as np

from flow.compiled import TIMING
from flow.timing.engine import FAR, LN4, look_up

MOST_SLOTS = 80


@TIMING.jit
def choose_sizes(candidates, kinds, base, pin_inst, net_of_pin, driver, node_first, node_pin, load, wire, arc_first,
                 arcs, tables, check_first, checks, sizes, capacitance, max_load, is_output, area, arrival, slew,
                 required, goal, max_slew, price):
    """(N,) for every candidate instance the best type and what it is worth (0: none is worth anything)."""
    n = len(candidates)
    best, worth = np.full(n, -1, np.int64), np.zeros(n)
    in_arrival, in_slew = np.empty((MOST_SLOTS, 2)), np.empty((MOST_SLOTS, 2))
    out_arrival, out_slew = np.empty(2), np.empty(2)
    for k in range(n):
        i = candidates[k]
        if base[i + 1] - base[i] > MOST_SLOTS or sizes[kinds[i], 1] < 0:
            continue
        now = cost_of(i, kinds[i], kinds, base, pin_inst, net_of_pin, driver, node_first, node_pin, load, wire,
                      arc_first, arcs, tables, check_first, checks, capacitance, max_load, arrival, slew, required,
                      goal, max_slew, in_arrival, in_slew, out_arrival, out_slew) + price * area[kinds[i]]
        for z in range(sizes.shape[1]):
            t = sizes[kinds[i], z]
            if t < 0 or t == kinds[i]:
                continue
            then = cost_of(i, t, kinds, base, pin_inst, net_of_pin, driver, node_first, node_pin, load, wire,
                           arc_first, arcs, tables, check_first, checks, capacitance, max_load, arrival, slew,
                           required, goal, max_slew, in_arrival, in_slew, out_arrival, out_slew) + price * area[t]
            if now - then > worth[k]:
                worth[k], best[k] = now - then, t
    return best, worth


@TIMING.jit
def missing(slack, goal):
    return (goal - slack) ** 2 if slack < goal else 0.0


@TIMING.jit
def cost_of(i, t, kinds, base, pin_inst, net_of_pin, driver, node_first, node_pin, load, wire, arc_first, arcs, tables,
            check_first, checks, capacitance, max_load, arrival, slew, required, goal, max_slew, in_arrival, in_slew,
            out_arrival, out_slew):
    """What is missing around instance i if it were of type t, ns squared; slow edges and overloads count as well."""
    cost = 0.0
    for p in range(base[i], base[i + 1]):
        slot, net = p - base[i], net_of_pin[p]
        for e in range(2):
            in_arrival[slot, e], in_slew[slot, e] = arrival[p, e], slew[p, e]
        if net < 0 or driver[net] == p:
            continue
        d = driver[net]
        j = pin_inst[d]
        if j < 0:
            continue
        more = load[net] + capacitance[t, slot] - capacitance[kinds[i], slot]
        drive(kinds[j], base[j], d - base[j], arc_first, arcs, tables, more, arrival, slew, out_arrival, out_slew)
        over = more - max_load[kinds[j], d - base[j]]
        if over > 0:
            cost += 1.0 + 100.0 * over
        worst = FAR
        for node in range(node_first[net] + 1, node_first[net + 1]):
            q = node_pin[node]
            if q < 0:
                continue
            for e in range(2):
                if abs(out_arrival[e]) > FAR / 2:
                    continue
                a = out_arrival[e] + wire[node]
                s = np.sqrt(out_slew[e] ** 2 + (LN4 * wire[node]) ** 2)
                if s > max_slew:
                    cost += (s - max_slew) ** 2
                if pin_inst[q] == i:
                    in_arrival[q - base[i], e], in_slew[q - base[i], e] = a, s
                elif abs(required[q, e]) < FAR / 2:
                    worst = min(worst, required[q, e] - a)
        cost += missing(worst, goal)
    for q in range(base[i], base[i + 1]):
        net = net_of_pin[q]
        if net < 0 or driver[net] != q:
            continue
        over = load[net] - max_load[t, q - base[i]]
        if over > 0:
            cost += 1.0 + 100.0 * over
        drive(t, 0, q - base[i], arc_first, arcs, tables, load[net], in_arrival, in_slew, out_arrival, out_slew)
        cost += cost_behind(net, kinds, base, pin_inst, net_of_pin, node_first, node_pin, load, wire, arc_first, arcs,
                            tables, out_arrival, out_slew, required, goal, max_slew)
    return cost


@TIMING.jit
def drive(t, first, out, arc_first, arcs, tables, pf, arrival, slew, out_arrival, out_slew):
    """Arrival and slew at output `out` of a cell of type t at a load in pF; those at its input k are in row first + k.
    """
    for e in range(2):
        out_arrival[e], out_slew[e] = -FAR, 0.0
    for a in range(arc_first[t], arc_first[t + 1]):
        p, e, f = first + arcs[a, 0], arcs[a, 1], arcs[a, 3]
        if arcs[a, 2] != out or abs(arrival[p, e]) > FAR / 2:
            continue
        out_arrival[f] = max(out_arrival[f], arrival[p, e] + look_up(tables, arcs[a, 4], slew[p, e], pf))
        out_slew[f] = max(out_slew[f], look_up(tables, arcs[a, 5], slew[p, e], pf))


@TIMING.jit
def cost_behind(net, kinds, base, pin_inst, net_of_pin, node_first, node_pin, load, wire, arc_first, arcs, tables,
                out_arrival, out_slew, required, goal, max_slew):
    """What is missing behind a net whose driver has some arrival and slew, through one more gate."""
    worst, cost = FAR, 0.0
    for node in range(node_first[net] + 1, node_first[net + 1]):
        q = node_pin[node]
        if q < 0:
            continue
        j = pin_inst[q]
        for e in range(2):
            if abs(out_arrival[e]) > FAR / 2:
                continue
            a = out_arrival[e] + wire[node]
            s = np.sqrt(out_slew[e] ** 2 + (LN4 * wire[node]) ** 2)
            if s > max_slew:
                cost += (s - max_slew) ** 2
            through = False
            if j >= 0:
                for c in range(arc_first[kinds[j]], arc_first[kinds[j] + 1]):
                    if base[j] + arcs[c, 0] != q or arcs[c, 1] != e:
                        continue
                    r, f = base[j] + arcs[c, 2], arcs[c, 3]
                    if abs(required[r, f]) > FAR / 2:
                        continue
                    through = True
                    pf = load[net_of_pin[r]] if net_of_pin[r] >= 0 else 0.0
                    worst = min(worst, required[r, f] - a - look_up(tables, arcs[c, 4], s, pf))
            if not through and abs(required[q, e]) < FAR / 2:
                worst = min(worst, required[q, e] - a)
    return cost + missing(worst, goal)


@TIMING.jit
def apply_sizes(order, candidates, best, kinds, base, pin_inst, net_of_pin, driver, node_first, node_pin):
    """Changes types in the order given, wherever nothing near has been changed before; how many."""
    locked = np.zeros(len(kinds), np.bool_)
    changed = 0
    for k in order:
        i = candidates[k]
        free = not locked[i]
        for p in range(base[i], base[i + 1]):
            net = net_of_pin[p]
            if net < 0 or not free:
                continue
            j = pin_inst[driver[net]]
            if j >= 0 and locked[j]:
                free = False
        if not free:
            continue
        kinds[i] = best[k]
        changed += 1
        locked[i] = True
        for p in range(base[i], base[i + 1]):
            net = net_of_pin[p]
            if net < 0:
                continue
            if driver[net] == p:
                for node in range(node_first[net], node_first[net + 1]):
                    if node_pin[node] >= 0 and pin_inst[node_pin[node]] >= 0:
                        locked[pin_inst[node_pin[node]]] = True
            elif pin_inst[driver[net]] >= 0:
                locked[pin_inst[driver[net]]] = True
    return changed
