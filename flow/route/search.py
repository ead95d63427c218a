"""The search itself: connects the pins of one net at the least cost.

Entering a node costs its length, its history and, for every net that it would be in conflict with, the price
`pressure` (flow/route/books.py). Nothing is allocated inside the loops; a net's own bookings are taken out before it is
searched again. The order of everything follows from the numbers of nets, pins and nodes alone, so the same input gives
the same routes.
"""

import numpy as np
from numba import njit

from flow.compiled import ROUTE
from flow.route.books import (
    CONTACT_COST,
    COUNT_POPS,
    COUNT_SEARCH,
    DOWN,
    EAST,
    HORIZONTAL_COST,
    LEAST_X,
    LEAST_Y,
    NO_BOUND,
    NONE,
    NORTH,
    SOURCE,
    SOUTH,
    TREE,
    TURN_COST,
    UP,
    VERTICAL_COST,
    VIA_COST,
    WEST,
)
from flow.route.heap import pop, push


@ROUTE.jit
def order_of_pins(net, places, order, distance):
    """The order in which a net's pins are joined: as the guide joined their regions, so that the way to each leads
    along the guide; in a region, each the nearest to those before it. Begins at the net's first pin."""
    first, last = places.net_start[net], places.net_start[net + 1]
    n_pins, nx, plane = last - first, places.nx, places.nx * places.ny
    for index in range(n_pins):
        order[index] = first + index
        distance[index] = 1 << 30
    for done in range(1, n_pins):
        here = places.nodes[places.pin_start[order[done - 1]]] % plane
        best = done
        for index in range(done, n_pins):
            there = places.nodes[places.pin_start[order[index]]] % plane
            way = abs(here % nx - there % nx) * 46 + abs(here // nx - there // nx) * 34
            if way < distance[index]:
                distance[index] = way
            turn, least = places.pin_turn[order[index]], places.pin_turn[order[best]]
            if turn < least or (turn == least and distance[index] < distance[best]):
                best = index
        order[done], order[best] = order[best], order[done]
        distance[done], distance[best] = distance[best], distance[done]


@ROUTE.jit
def nearby(box, start, n_tree, margin, window, places, tree):
    """The part of a window that holds a pin's box, what it is joined to (pin `start`, or if NONE the node of the tree
    that is nearest to the box), and a margin in columns and rows."""
    nx, plane = places.nx, places.nx * places.ny
    x0, x1, y0, y1, best = box[0], box[1], box[2], box[3], 1 << 30
    first = places.pin_start[start] if start != NONE else 0
    last = places.pin_start[start + 1] if start != NONE else n_tree
    for index in range(first, last):
        place = (places.nodes[index] if start != NONE else tree[index]) % plane
        row = place // nx
        column = place - row * nx
        away = (max(box[0] - column, column - box[1], 0) * LEAST_X + max(box[2] - row, row - box[3], 0) * LEAST_Y)
        if away < best:
            best = away
            x0, x1 = min(box[0], column), max(box[1], column)
            y0, y1 = min(box[2], row), max(box[3], row)
    return (max(x0 - margin[0], window[0]), min(x1 + margin[0], window[1]), max(y0 - margin[1], window[2]),
            min(y1 + margin[1], window[3]))


@ROUTE.jit
def route_net(net, window, margin, guide, number, places, books, scratch, pressure, pin_node):
    """Joins a net's pins: the tree is in scratch.tree and scratch.before, its size is returned; 0 when a pin cannot
    be reached. window: first and last column and row; guide: int32 (regions,), those equal to `number` are allowed.
    Each pin is searched for in the window's part around it and what is nearest to it, with a margin, and in the whole
    window only where that is not enough.
    """
    nx, plane = places.nx, places.nx * places.ny
    tree, goal, order = scratch.tree, scratch.goal, scratch.order
    order_of_pins(net, places, order, scratch.distance)
    n_pins = places.net_start[net + 1] - places.net_start[net]
    size = 0
    for joined in range(1, n_pins):
        pin = order[joined]
        scratch.counters[COUNT_SEARCH] += 1
        run = np.int32(scratch.counters[COUNT_SEARCH])
        box_x0, box_x1, box_y0, box_y1, lowest, highest = nx, 0, places.ny, 0, 99, 0
        for index in range(places.pin_start[pin], places.pin_start[pin + 1]):
            node = places.nodes[index]
            goal[node] = run if not places.contact[index] else -run
            layer = node // plane
            row, column = (node - layer * plane) // nx, node % plane % nx
            box_x0, box_x1 = min(box_x0, column), max(box_x1, column)
            box_y0, box_y1 = min(box_y0, row), max(box_y1, row)
            lowest, highest = min(lowest, layer), max(highest, layer)
        start, box = order[0] if joined == 1 else NONE, (box_x0, box_x1, box_y0, box_y1, lowest, highest)
        hit = search(run, start, size, box, nearby(box, start, size, margin, window, places, tree), guide, number,
                     places, books, scratch, pressure, NO_BOUND)
        if hit == NONE:
            scratch.counters[COUNT_SEARCH] += 1
            run = np.int32(scratch.counters[COUNT_SEARCH])
            for index in range(places.pin_start[pin], places.pin_start[pin + 1]):
                goal[places.nodes[index]] = run if not places.contact[index] else -run
            hit = search(run, start, size, box, window, guide, number, places, books, scratch, pressure, NO_BOUND)
        if hit == NONE:
            return 0
        pin_node[pin] = -2 - hit if goal[hit] == -run else hit
        size = _trace(hit, size, nx, plane, scratch)
        if joined == 1:
            first = tree[0]
            pin_node[start] = first
            for index in range(places.pin_start[start], places.pin_start[start + 1]):
                if places.nodes[index] == first and places.contact[index]:
                    pin_node[start] = -2 - first
    return size


@ROUTE.jit
def _trace(hit, size, nx, plane, scratch):
    """Adds the way that ended at `hit` to the tree, from its root on; returns the tree's new size."""
    length, node = 0, hit
    path = scratch.path
    while scratch.entered[node] < TREE:
        path[length] = node
        length += 1
        how = scratch.entered[node]
        if how == SOURCE:
            node = NONE
            break
        node = back(node, how, nx, plane)
    for index in range(length - 1, -1, -1):
        scratch.tree[size] = path[index]
        scratch.before[size] = node
        node = path[index]
        size += 1
    return size


@ROUTE.jit
def back(node, how, nx, plane):
    """Where a node was entered from."""
    if how == WEST:
        return node + 1
    if how == EAST:
        return node - 1
    if how == SOUTH:
        return node + nx
    if how == NORTH:
        return node - nx
    if how == DOWN:
        return node + plane
    return node - plane


@njit(inline="always")
def _estimate(column, row, layer, box, step_x, step_y):
    """About what is left to the pin's box: the steps, vias to its layers, and on the lowest layer, which goes across,
    vias up and down again for the way to its row (or steps against the layer's direction)."""
    dx = max(box[0] - column, column - box[1], 0)
    dy = max(box[2] - row, row - box[3], 0)
    rest = dx * step_x + dy * step_y + max(box[4] - layer, layer - box[5], 0) * VIA_COST
    if layer == 0 and box[5] == 0 and dy > 0:
        rest += min(2 * VIA_COST, dy * TURN_COST)
    return rest


@njit(inline="always")
def _step(how, came, node, place, layer, column, row, window, across, along, nx, plane, n_layers, mine, via, crowd1,
          crowd2, pressure):
    """The node one step on and what the step costs without the node itself; -1 where there is none.

    A way does not turn back, and not from one via straight into another over met3: too small an area would be left.
    """
    there, price = NONE, 0
    if how <= EAST:
        if across[layer] > 0:
            price = across[layer]
            if how == WEST and column > window[0] and came != EAST:
                there = node - 1
            elif how == EAST and column < window[1] and came != WEST:
                there = node + 1
    elif how <= NORTH:
        if along[layer] > 0:
            price = along[layer]
            if how == SOUTH and row > window[2] and came != NORTH:
                there = node - nx
            elif how == NORTH and row < window[3] and came != SOUTH:
                there = node + nx
    elif not (layer == 2 and came == how) and ((how == UP and layer < n_layers - 1 and came != DOWN)
                                               or (how == DOWN and layer > 0 and came != UP)):
        low = layer if how == UP else layer - 1
        owner = via[low, place]
        if owner == 0 or owner == mine:
            there, price = node + plane if how == UP else node - plane, VIA_COST
            if low == 0:
                price += pressure * crowd1[place]
            elif low == 1:
                price += pressure * crowd2[place]
    return there, price


@ROUTE.jit
def _seed(run, start, n_tree, box, window, places, books, scratch, pressure):
    """Puts the nodes of pin `start` (or, if NONE, of the tree) inside the window into the heap; returns its size."""
    nx, plane = places.nx, places.nx * places.ny
    cost, stamp, entered, heap = scratch.cost, scratch.stamp, scratch.entered, scratch.heap
    first = places.pin_start[start] if start != NONE else 0
    last = places.pin_start[start + 1] if start != NONE else n_tree
    size = 0
    for index in range(first, last):
        node = places.nodes[index] if start != NONE else scratch.tree[index]
        layer = node // plane
        place = node - layer * plane
        row = place // nx
        column = place - row * nx
        if start == NONE:
            entered[node], stamp[node], cost[node] = TREE, run, 0
            if column < window[0] or column > window[1] or row < window[2] or row > window[3]:
                continue
        price = 0
        if start != NONE:
            price = books.history[node] + pressure * books.crowd[node]
            if places.contact[index]:
                price += CONTACT_COST + pressure * books.crowd1[place]
        cost[node], stamp[node], entered[node] = price, run, TREE if start == NONE else SOURCE
        ahead = _estimate(column, row, layer, box, places.step_x, places.step_y)
        size = push(heap, size, (np.int64(price + ahead) << 32) | node)
    return size


@ROUTE.jit
def search(run, start, n_tree, box, window, guide, number, places, books, scratch, pressure, bound):
    """The cheapest way from pin `start` (or, if NONE, from the tree) to a node with goal `run`; that node, or NONE when
    there is none that costs less than `bound`. box: first and last column, row and layer of the nodes with the goal."""
    nx, plane = places.nx, places.nx * places.ny
    n_layers = places.wire.size // plane
    cost, stamp, entered, goal, heap = scratch.cost, scratch.stamp, scratch.entered, scratch.goal, scratch.heap
    wire, via, history, mine = places.wire, places.via, books.history, number
    crowd, crowd1, crowd2 = books.crowd, books.crowd1, books.crowd2
    step_x, step_y = places.step_x, places.step_y
    across, along = HORIZONTAL_COST[places.kind[number - 1]], VERTICAL_COST[places.kind[number - 1]]
    size = _seed(run, start, n_tree, box, window, places, books, scratch, pressure)
    result, pops, limit = NONE, 0, heap.size - 8
    best = np.int64(bound)
    while size > 0:
        key = heap[0]
        if key >> 32 >= best:
            break
        size = pop(heap, size)
        node = np.int32(key & 0xFFFFFFFF)
        layer = node // plane
        place = node - layer * plane
        row = place // nx
        column = place - row * nx
        here = cost[node]
        if stamp[node] != run:                     # looked at before, at no higher price
            continue
        stamp[node] = -run
        pops += 1
        if goal[node] == run or goal[node] == -run:
            total = np.int64(here)
            if goal[node] == -run:
                total += CONTACT_COST + pressure * crowd1[place]
            if total < best:
                best, result = total, node
            continue
        if size > limit:
            break
        came = entered[node]
        for how in range(WEST, UP + 1):
            there, price = _step(how, came, node, place, layer, column, row, window, across, along, nx, plane, n_layers,
                                 mine, via, crowd1, crowd2, pressure)
            if there < 0 or (wire[there] != 0 and wire[there] != mine):
                continue
            to_column = column + (how == EAST) - (how == WEST)
            to_row = row + (how == NORTH) - (how == SOUTH)
            if guide[places.region_of_row[to_row] + places.region_of_column[to_column]] != mine:
                continue
            price += here + history[there] + pressure * crowd[there]
            if stamp[there] == -run or (stamp[there] == run and cost[there] <= price):
                continue
            ahead = _estimate(to_column, to_row, layer + (how == UP) - (how == DOWN), box, step_x, step_y)
            if price + ahead >= best:
                continue
            stamp[there], cost[there], entered[there] = run, price, how
            size = push(heap, size, (np.int64(price + ahead) << 32) | there)
    scratch.counters[COUNT_POPS] += pops
    return result
