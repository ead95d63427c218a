"""One round of the negotiation, compiled: nets searched one after the other, kept, booked, and looked at again."""

import numpy as np

from flow.compiled import ROUTE
from flow.route.books import NONE, conflicts_of, mark
from flow.route.guides import REGION_COLUMNS, REGION_ROWS
from flow.route.refine import refine_net
from flow.route.search import route_net

ROUTED, FAILED = range(2)
"""What became of a net."""


@ROUTE.jit
def search_nets(order, first, times, places, guide_start, guide_region, guide_columns, guide, slack, books, scratch,
                ways, used, state, pressure):
    """Searches the nets `order[first:]`; returns how far it came before the memory for routes was full, and how many
    of them it searched."""
    searched = 0
    for turn in range(first, order.size):
        net = order[turn]
        mark(net, -1, places, books, ways)
        if state[net] == ROUTED and conflicts_of(net, places, books, ways, 0) == 0:
            mark(net, 1, places, books, ways)
            continue
        if used[0] + 4096 > ways.node.size:
            mark(net, 1, places, books, ways)
            return turn, searched
        size = _try_net(net, places, guide_start, guide_region, guide_columns, guide, slack, books, scratch,
                        pressure, ways.pin_node)
        searched += 1
        times[net] += 1
        if used[0] + size > ways.node.size:
            forget(net, places, ways)
            state[net] = FAILED
            return turn, searched
        _store(net, size, scratch, ways, used)
        state[net] = ROUTED if size > 0 else FAILED
        if size == 0:
            forget(net, places, ways)
        mark(net, 1, places, books, ways)
    return order.size, searched


@ROUTE.jit
def shorten_nets(order, first, places, guide_start, guide_region, guide_columns, guide, slack, books, scratch, ways,
                 used, where):
    """Shortens the nets `order[first:]`; returns how far it came before the memory for routes was full."""
    for turn in range(first, order.size):
        net = order[turn]
        if used[0] + 8 * ways.size[net] + 4096 > ways.node.size:
            return turn
        mark(net, -1, places, books, ways)
        window = _open_guide(net, guide_start, guide_region, guide_columns, guide.size // guide_columns, guide,
                             slack[net], places)
        margin = REGION_COLUMNS * (slack[net] + 1), REGION_ROWS * (slack[net] + 1)
        size = refine_net(net, window, margin, guide, net + 1, places, books, scratch, ways, where)
        if size > 0:
            _store(net, size, scratch, ways, used)
        mark(net, 1, places, books, ways)
    return order.size


@ROUTE.jit
def _store(net, size, scratch, ways, used):
    """Keeps what was found as a net's way."""
    ways.start[net], ways.size[net] = used[0], size
    for index in range(size):
        ways.node[used[0] + index] = scratch.tree[index]
        ways.before[used[0] + index] = scratch.before[index]
    used[0] += size


@ROUTE.jit
def forget(net, places, ways):
    """A net has no way."""
    ways.size[net] = 0
    for pin in range(places.net_start[net], places.net_start[net + 1]):
        ways.pin_node[pin] = NONE


@ROUTE.jit
def _try_net(net, places, guide_start, guide_region, guide_columns, guide, slack, books, scratch, pressure,
             pin_node):
    """Searches within the guide, and within ever more around it while there is no way."""
    guide_rows = guide.size // guide_columns
    while True:
        window = _open_guide(net, guide_start, guide_region, guide_columns, guide_rows, guide, slack[net], places)
        margin = REGION_COLUMNS * (slack[net] + 1), REGION_ROWS * (slack[net] + 1)
        size = route_net(net, window, margin, guide, net + 1, places, books, scratch, pressure, pin_node)
        if size > 0 or (window[0] == 0 and window[2] == 0 and window[1] == places.nx - 1
                        and window[3] == places.ny - 1 and slack[net] >= guide_columns + guide_rows):
            return size
        slack[net] = 2 * slack[net] + 1


@ROUTE.jit
def _open_guide(net, guide_start, guide_region, columns, rows, guide, slack, places):
    """Marks a net's regions and those around them; returns the window that holds them."""
    x0, x1, y0, y1 = columns, 0, rows, 0
    reach = slack + 1
    for index in range(guide_start[net], guide_start[net + 1]):
        row, column = guide_region[index] // columns, guide_region[index] % columns
        for other_row in range(max(row - reach, 0), min(row + reach, rows - 1) + 1):
            for other_column in range(max(column - reach, 0), min(column + reach, columns - 1) + 1):
                guide[other_row * columns + other_column] = net + 1
        x0, x1 = min(x0, column - reach), max(x1, column + reach)
        y0, y1 = min(y0, row - reach), max(y1, row + reach)
    x0, x1, y0, y1 = max(x0, 0), min(x1, columns - 1), max(y0, 0), min(y1, rows - 1)
    return (_first(places.region_of_column, x0), _last(places.region_of_column, x1),
            _first(places.region_of_row, y0 * columns), _last(places.region_of_row, y1 * columns))


@ROUTE.jit
def _first(regions, region):
    return np.searchsorted(regions, region)


@ROUTE.jit
def _last(regions, region):
    return np.searchsorted(regions, region + 1) - 1


@ROUTE.jit
def find_conflicts(dirty, slack, places, books, ways, charge, wider):
    """Which nets are in conflict (not those without a way: they met what never moves); with `wider`, those that stay in
    conflict get more room."""
    for net in range(dirty.size):
        was = dirty[net]
        mark(net, -1, places, books, ways)
        found = conflicts_of(net, places, books, ways, charge)
        mark(net, 1, places, books, ways)
        dirty[net] = found > 0
        if was and found > 0 and wider:
            slack[net] += 1
