"""The router's books: what a step costs, which nodes each net has, and who is in whose way.

A cost is an integer in sixteenths of 10 nm of preferred wire. What counts as a conflict is in flow/route/lattice.py
(`modelled_conflicts`); `mark` books it so that the search reads one number a node:

    crowd[node]   nets in whose way a wire at the node would be: the same node; in met2 a via to met3 a row away; in
                  met3 metal a column away, in met4 metal a row away
    crowd1[place] pads in met1 a row away: what a via to met1 or met2 would be in the way of
    crowd2[place] metal in met2 a row away: what a via from met2 to met3 would be in the way of
"""

from typing import NamedTuple

import numpy as np

from flow.compiled import ROUTE

SCALE = 16
VIA_COST = 70 * SCALE
"""A via costs as much as 0.7 um of wire."""

CONTACT_COST = 20 * SCALE

HORIZONTAL_COST = np.array([[46, 115, 46, 0], [138, 230, 46, 0], [46, 115, 138, 0]], np.int32) * SCALE
VERTICAL_COST = np.array([[85, 34, 0, 34], [170, 102, 0, 34], [85, 34, 0, 102]], np.int32) * SCALE
"""A step to the next column, or row, by kind of net and layer; 0 where the layer has none. Against a layer's direction
it costs more: it takes room from wires that go along it. Kind UPPER keeps to the upper two layers, LOWER to the lower
two (antennas)."""

PLAIN, UPPER, LOWER = range(3)

LEAST_X, LEAST_Y = 46, 34
"""The least that a step to the next column, or row, costs on any layer, in 1/SCALE."""

TURN_COST = 51 * SCALE
"""The least that a step to the next row costs more on the lowest layer than LEAST_Y."""

WEST, EAST, SOUTH, NORTH, DOWN, UP, SOURCE, TREE = range(8)
"""How a node was entered; SOURCE: from a pin, TREE: it is the net's already."""

NONE = -1
NO_BOUND = 1 << 60


class Places(NamedTuple):
    """What does not change: see RoutingProblem; `region_of_*`, `pin_turn`: see Guides; kind: of each net, for its
    costs.

    step_x, step_y: what the estimate of the rest of a way takes for a step. A little more than it costs: of ways that
    are as good, the one nearer to its end goes on first, and the way found is longer by that little at most.
    """

    nx: int
    ny: int
    wire: np.ndarray
    via: np.ndarray
    net_start: np.ndarray
    pin_start: np.ndarray
    nodes: np.ndarray
    contact: np.ndarray
    region_of_column: np.ndarray
    region_of_row: np.ndarray
    pin_turn: np.ndarray
    kind: np.ndarray
    step_x: int
    step_y: int


class Books(NamedTuple):
    """Who is where, and what it has cost in earlier rounds (`history`, per node)."""

    crowd: np.ndarray
    crowd1: np.ndarray
    crowd2: np.ndarray
    history: np.ndarray


class Scratch(NamedTuple):
    """Memory of a search; `cost`, `entered` hold for nodes whose `stamp` is the current search's number."""

    cost: np.ndarray
    stamp: np.ndarray
    entered: np.ndarray
    goal: np.ndarray
    heap: np.ndarray
    tree: np.ndarray
    before: np.ndarray
    path: np.ndarray
    order: np.ndarray
    distance: np.ndarray
    counters: np.ndarray


COUNT_SEARCH, COUNT_POPS, COUNT_HEAP = range(3)
"""Places in Scratch.counters."""


class Ways(NamedTuple):
    """The routes: net n has `size[n]` nodes from `start[n]` on in `node`; `before` is the node that each was entered
    from, or NONE; `pin_node` is where each pin was reached."""

    start: np.ndarray
    size: np.ndarray
    node: np.ndarray
    before: np.ndarray
    pin_node: np.ndarray


def new_scratch(n_nodes: int, most_pins: int) -> Scratch:
    heap = max(1 << 16, n_nodes)
    return Scratch(np.zeros(n_nodes, np.int32), np.zeros(n_nodes, np.int32), np.zeros(n_nodes, np.uint8),
                   np.zeros(n_nodes, np.int32), np.zeros(heap, np.int64), np.zeros(n_nodes // 2, np.int32),
                   np.zeros(n_nodes // 2, np.int32), np.zeros(n_nodes // 2, np.int32),
                   np.zeros(most_pins, np.int32), np.zeros(most_pins, np.int32), np.zeros(4, np.int64))


@ROUTE.jit
def mark(net, sign, places, books, ways):
    """Books a net's routes (sign 1) or takes them out of the books (sign -1)."""
    nx, plane = places.nx, places.nx * places.ny
    crowd, crowd1, crowd2 = books.crowd, books.crowd1, books.crowd2
    for index in range(ways.start[net], ways.start[net] + ways.size[net]):
        node, before = ways.node[index], ways.before[index]
        layer = node // plane
        place = node - layer * plane
        crowd[node] += sign
        if layer == 1:
            _neighbours(crowd2, place, nx, plane, sign)
        elif layer == 2:
            column = place % nx
            if column > 0:
                crowd[node - 1] += sign
            if column < nx - 1:
                crowd[node + 1] += sign
        elif layer == 3:
            if place >= nx:
                crowd[node - nx] += sign
            if place < plane - nx:
                crowd[node + nx] += sign
        if before != NONE and before // plane != layer:
            low = min(before // plane, layer)
            if low == 0:
                _neighbours(crowd1, place, nx, plane, sign)
            elif low == 1:
                if place >= nx:
                    crowd[plane + place - nx] += sign
                if place < plane - nx:
                    crowd[plane + place + nx] += sign
    for pin in range(places.net_start[net], places.net_start[net + 1]):
        node = ways.pin_node[pin]
        if node < 0 and node != NONE:
            _neighbours(crowd1, -2 - node, nx, plane, sign)


@ROUTE.jit
def _neighbours(values, place, nx, plane, sign):
    if place >= nx:
        values[place - nx] += sign
    if place < plane - nx:
        values[place + nx] += sign


@ROUTE.jit
def conflicts_of(net, places, books, ways, charge):
    """Nets in whose way a net is (its own bookings are out), and, with `charge`, the history of those places grows."""
    plane = places.nx * places.ny
    found = 0
    for index in range(ways.start[net], ways.start[net] + ways.size[net]):
        node, before = ways.node[index], ways.before[index]
        here = books.crowd[node]
        layer = node // plane
        place = node - layer * plane
        if before != NONE and before // plane != layer:
            low = min(before // plane, layer)
            if low == 0:
                here += books.crowd1[place]
            elif low == 1:
                here += books.crowd2[place]
        if here > 0:
            found += here
            books.history[node] += charge
    for pin in range(places.net_start[net], places.net_start[net + 1]):
        node = ways.pin_node[pin]
        if node < 0 and node != NONE and books.crowd1[-2 - node] > 0:
            found += books.crowd1[-2 - node]
            books.history[-2 - node] += charge
    return found
