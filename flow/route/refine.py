"""Shortens the routes of nets of several pins, once nothing is in conflict.

The search joins pin after pin to what is there, and what comes later may make an earlier way a detour. Here each way
between two pins or branchings of a net is taken out in turn; of all ways that join the two parts again the cheapest is
put in, if it is cheaper and in nobody's way.
"""

import numpy as np

from flow.compiled import ROUTE
from flow.route.books import COUNT_SEARCH, HORIZONTAL_COST, LEAST_Y, NONE, SCALE, TREE, VERTICAL_COST, VIA_COST
from flow.route.search import back, nearby, search

NO_WAY = 1 << 24
"""The price of a conflict: more than any way that could be saved."""

KEPT, HANGING, TAKEN, GONE = 1, 2, 3, 4
"""Parts of a tree while a way is out: with the root, beyond the way, on it, out for good."""


@ROUTE.jit
def refine_net(net, window, margin, guide, number, places, books, scratch, ways, where):
    """Shortens a net that is not in the books; its tree is in scratch.tree and scratch.before, its size is returned,
    or 0 when nothing has changed. where: int32 (n_nodes,), all 0, and again 0 afterwards."""
    nx, plane = places.nx, places.nx * places.ny
    start, size = ways.start[net], ways.size[net]
    node, parent = np.zeros(2 * size + 64, np.int32), np.zeros(2 * size + 64, np.int32)
    label = np.zeros(node.size, np.uint8)
    pin = np.zeros(node.size, np.bool_)
    for index in range(size):
        node[index] = ways.node[start + index]
        where[node[index]] = index + 1
    for index in range(size):
        before = ways.before[start + index]
        parent[index] = where[before] - 1 if before != NONE else NONE
    for key in range(places.net_start[net], places.net_start[net + 1]):
        reached = ways.pin_node[key]
        pin[where[reached if reached >= 0 else -2 - reached] - 1] = True
    degree, stacks = _degrees(parent, label, size), _bare_stacks(node, parent, label, size, plane)
    changed, index = False, 0
    while index < size:
        key = index
        index += 1
        if label[key] == GONE or parent[key] == NONE or not (pin[key] or degree[key] != 2):
            continue
        cost, n_between = _take(key, node, parent, label, degree, pin, places, number, plane)
        if n_between == 0:
            continue
        hit = _rejoin(key, size, cost, node, parent, label, window, margin, guide, number, places, books, scratch)
        if hit == NONE:
            continue
        changed = True
        more = size + cost // (LEAST_Y * SCALE) + 1 - node.size        # a way that costs less has no more nodes
        if more > 0:
            node, parent = _longer(node, more), _longer(parent, more)
            label, pin = _longer(label, more), _longer(pin, more)
        size = _put(key, hit, size, node, parent, label, where, scratch, nx, plane)
        degree = _degrees(parent, label, size)
    for index in range(size):
        where[node[index]] = 0
    if not changed or _bare_stacks(node, parent, label, size, plane) > stacks:
        return 0
    return _collect(size, node, parent, label, scratch)


@ROUTE.jit
def _longer(values, more):
    fresh = np.zeros(2 * values.size + more, values.dtype)
    fresh[:values.size] = values
    return fresh


@ROUTE.jit
def _bare_stacks(node, parent, label, size, plane):
    """Places where a way goes from one via straight into another over met3, without a wire there: too small an area."""
    wired, below, above = np.zeros(size, np.bool_), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for index in range(size):
        if label[index] == GONE or parent[index] == NONE:
            continue
        up = parent[index]
        if abs(node[index] - node[up]) != plane:
            wired[index], wired[up] = True, True
        elif node[up] > node[index]:
            above[index], below[up] = True, True
        else:
            below[index], above[up] = True, True
    found = 0
    for index in range(size):
        if label[index] != GONE and node[index] // plane == 2 and above[index] and below[index] and not wired[index]:
            found += 1
    return found


@ROUTE.jit
def _degrees(parent, label, size):
    degree = np.zeros(parent.size, np.int32)
    for index in range(size):
        if label[index] != GONE and parent[index] != NONE:
            degree[index] += 1
            degree[parent[index]] += 1
    return degree


@ROUTE.jit
def _take(key, node, parent, label, degree, pin, places, number, plane):
    """Labels the way up from a node to the next pin or branching; returns what it costs and how many nodes it has."""
    across, along = HORIZONTAL_COST[places.kind[number - 1]], VERTICAL_COST[places.kind[number - 1]]
    cost, count, here = 0, 0, key
    for index in range(label.size):
        if label[index] != GONE:
            label[index] = 0
    while True:
        above = parent[here]
        step, layer = abs(node[here] - node[above]), node[here] // plane
        cost += VIA_COST if step == plane else across[layer] if step == 1 else along[layer]
        if pin[above] or degree[above] != 2 or parent[above] == NONE:
            return cost, count
        label[above] = TAKEN
        count += 1
        here = above


@ROUTE.jit
def _rejoin(key, size, cost, node, parent, label, window, margin, guide, number, places, books, scratch):
    """Looks for a cheaper way from the part with the root to the part that hangs on `key`; the node where it ends."""
    nx, plane = places.nx, places.nx * places.ny
    trail, n_kept = scratch.path, 0
    label[key] = HANGING
    for index in range(size):                      # what a node is part of is what its way to the root meets first
        length, here = 0, index
        while here != NONE and label[here] == 0:
            trail[length] = here
            length += 1
            here = parent[here]
        part = KEPT if here == NONE else label[here]
        for back_to in range(length):
            label[trail[back_to]] = part
    scratch.counters[COUNT_SEARCH] += 1
    run = np.int32(scratch.counters[COUNT_SEARCH])
    x0, x1, y0, y1, lowest, highest = nx, 0, places.ny, 0, node[key] // plane, node[key] // plane
    for index in range(size):
        if label[index] == KEPT:
            scratch.tree[n_kept] = node[index]
            n_kept += 1
        elif label[index] == HANGING:
            scratch.goal[node[index]] = run
            row, column = node[index] % plane // nx, node[index] % plane % nx
            x0, x1, y0, y1 = min(x0, column), max(x1, column), min(y0, row), max(y1, row)
            lowest, highest = min(lowest, node[index] // plane), max(highest, node[index] // plane)
    box = (x0, x1, y0, y1, lowest, highest)
    near = nearby(box, NONE, n_kept, margin, window, places, scratch.tree)
    return search(run, NONE, n_kept, box, near, guide, number, places, books, scratch, NO_WAY, cost)


@ROUTE.jit
def _put(key, hit, size, node, parent, label, where, scratch, nx, plane):
    """Puts the way that ended at `hit` in place of the one that was taken out; returns the new size."""
    for index in range(size):
        if label[index] == TAKEN:
            label[index] = GONE
            where[node[index]] = 0
    here, below = hit, where[hit] - 1
    first = size
    while True:
        here = back(here, scratch.entered[here], nx, plane)
        if scratch.entered[here] == TREE:
            break
        node[size] = here
        where[here] = size + 1
        label[size] = KEPT
        size += 1
    for index in range(first, size - 1):
        parent[index] = index + 1
    joint = where[here] - 1
    if size > first:
        parent[size - 1] = joint
    above = first if size > first else joint
    while True:                                    # the part that hung on `key` now hangs on where the way ended
        further = parent[below]
        parent[below] = above
        if below == key:
            return size
        above, below = below, further


@ROUTE.jit
def _collect(size, node, parent, label, scratch):
    count = 0
    for index in range(size):
        if label[index] != GONE:
            scratch.tree[count] = node[index]
            scratch.before[count] = node[parent[index]] if parent[index] != NONE else NONE
            count += 1
    return count
