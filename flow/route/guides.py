"""Global routing: which part of the die each net is searched in.

The die is cut into regions of some tracks each way. A region's border lets as many wires through as there are free
tracks across it; nets are led from region to region, each at the least cost, where a border that is full costs more.
Nets over borders that are too full are led again with the price of those risen. What a net gets is the regions that it
passes; the search may use those and their neighbours, and more around them while it finds no way.
"""

from dataclasses import dataclass

import numpy as np

from flow.compiled import ROUTE
from flow.route.heap import pop, push
from flow.route.lattice import Lattice
from flow.route.problem import RoutingProblem

REGION_COLUMNS, REGION_ROWS = 16, 20
"""About 7 um each way in sky130: some ten wires fit beside each other on a layer."""

PASSES, PATIENCE = 40, 6
"""Times that all nets over full borders are led anew, and how many of them may go by without less overflow."""

SHARE = np.array([0.4, 0.9, 0.9, 0.9])
"""Part of a layer's free tracks that guides count on, met1 up; the pins' vias and their wires take most of met1."""

LOCAL = 1 / 3
"""Tracks across the cells' rows that each pin of a region takes beside the wires that pass its borders: its wire is to
reach a track that leads on, and two places in a region are a third of its height apart on average."""


@dataclass(frozen=True)
class Guides:
    """Regions by number = row * columns + column.

    region_of_column:  column of regions, for each column of the lattice; region_of_row: row of regions * columns.
    start, region:     the regions of net n are region[start[n]:start[n + 1]], in the order in which they were joined.
    pin_turn:          of each pin, when its region was joined to those of its net.
    overflow:          wires that more than the borders let through, in all.
    """

    columns: int
    rows: int
    region_of_column: np.ndarray
    region_of_row: np.ndarray
    start: np.ndarray
    region: np.ndarray
    pin_turn: np.ndarray
    overflow: int

    @property
    def n_regions(self) -> int:
        return self.columns * self.rows


@dataclass(frozen=True)
class Borders:
    """How many wires fit over the border to the east and to the north of each region, before pins take their part.

    east, north: (rows, columns).
    """

    lattice: Lattice
    east: np.ndarray
    north: np.ndarray

    @classmethod
    def of(cls, problem: RoutingProblem) -> "Borders":
        """A track above the lowest layer counts where it is free from half a region before the border to half a region
        behind."""
        lattice = problem.lattice
        columns, rows = -(-lattice.nx // REGION_COLUMNS), -(-lattice.ny // REGION_ROWS)
        free = problem.wire.reshape(lattice.n_layers, lattice.ny, lattice.nx) == 0
        east, north = np.zeros((rows, columns)), np.zeros((rows, columns))
        row_of, column_of = np.arange(lattice.ny) // REGION_ROWS, np.arange(lattice.nx) // REGION_COLUMNS
        for layer, rule in enumerate(problem.stack.layers):
            if rule.horizontal:
                for border in range(columns - 1):
                    through = _through(free[layer].T, (border + 1) * REGION_COLUMNS,
                                       REGION_COLUMNS // 2 if layer else 1)
                    east[:, border] += SHARE[layer] * np.bincount(row_of, weights=through, minlength=rows)
            else:
                for border in range(rows - 1):
                    through = _through(free[layer], (border + 1) * REGION_ROWS, REGION_ROWS // 2)
                    north[border] += SHARE[layer] * np.bincount(column_of, weights=through, minlength=columns)
        return cls(lattice, east, north)

    @property
    def region_of_column(self) -> np.ndarray:
        return (np.arange(self.lattice.nx) // REGION_COLUMNS).astype(np.int32)

    @property
    def region_of_row(self) -> np.ndarray:
        return (np.arange(self.lattice.ny) // REGION_ROWS * self.east.shape[1]).astype(np.int32)

    def lead(self, column: np.ndarray, row: np.ndarray, net_start: np.ndarray) -> Guides:
        """Leads every net through the regions. column, row: of the lattice, of each pin; net_start: first pin of each
        net, and their number."""
        rows, columns = self.east.shape
        pin_region = self.region_of_row[row] + self.region_of_column[column]
        pins = np.bincount(pin_region, minlength=columns * rows).reshape(rows, columns)
        north = self.north.copy()
        north[:-1] -= LOCAL * (pins[:-1] + pins[1:]) / 2
        most = self.east.astype(np.int32).ravel(), north.clip(0).astype(np.int32).ravel()
        sides = REGION_COLUMNS * self.lattice.pitch_x // 10, REGION_ROWS * self.lattice.pitch_y // 10
        memory = 64 * len(pin_region) + 16 * max(columns, rows)
        while True:
            start = np.zeros(len(net_start), np.int64)
            region = np.zeros(memory, np.int32)
            overflow = _lead(pin_region, net_start, columns, rows, *most, start, region, *sides, PASSES, PATIENCE)
            if overflow >= 0:
                return Guides(columns, rows, self.region_of_column, self.region_of_row, start.astype(np.int32),
                              region[:start[-1]].copy(), _turns(pin_region, net_start, start, region), overflow)
            memory *= 2


def make_guides(problem: RoutingProblem) -> Guides:
    """Leads every net through the regions, each pin at its first node."""
    place = problem.nodes[problem.pin_start[:-1]] % problem.lattice.plane
    return Borders.of(problem).lead(place % problem.lattice.nx, place // problem.lattice.nx, problem.net_start)


def _through(free: np.ndarray, border: int, reach: int) -> np.ndarray:
    """Which columns are free for `reach` rows before and behind a border."""
    return free[max(border - reach, 0):border + reach].all(axis=0)


@ROUTE.jit
def _turns(pin_region, net_start, start, region):
    """When the region of each pin was joined."""
    turns = np.zeros(pin_region.size, np.int32)
    for net in range(net_start.size - 1):
        for pin in range(net_start[net], net_start[net + 1]):
            while region[start[net] + turns[pin]] != pin_region[pin]:
                turns[pin] += 1
    return turns


@ROUTE.jit
def _lead(pin_region, net_start, columns, rows, east, north, start, region, width, height, passes, patience):
    """Fills start and region; returns the overflow that is left, or -1 when `region` is too short."""
    n_regions, n_nets = columns * rows, net_start.size - 1
    use_east, use_north = np.zeros(n_regions, np.int32), np.zeros(n_regions, np.int32)
    risen_east, risen_north = np.zeros(n_regions, np.int32), np.zeros(n_regions, np.int32)
    cost, stamp = np.zeros(n_regions, np.int32), np.zeros(n_regions, np.int32)
    entered, in_tree = np.zeros(n_regions, np.int8), np.zeros(n_regions, np.int32)
    heap = np.zeros(8 * n_regions + 64, np.int64)
    tree, before = np.zeros(n_regions, np.int32), np.zeros(n_regions, np.int32)
    away = np.zeros(np.diff(net_start).max(), np.int32)
    old_region, old_before = np.zeros(0, np.int32), np.zeros(0, np.int32)
    old_start = np.zeros(n_nets + 1, np.int64)
    overflow, run, least, waited = 0, 0, 1 << 30, 0
    for number in range(passes):
        used = 0
        new_before = np.zeros(region.size, np.int32)
        for net in range(n_nets):
            start[net] = used
            again = number == 0
            for index in range(old_start[net], old_start[net + 1]):
                here, there = old_region[index], old_before[index]
                if there >= 0 and _too_full(here, there, east, north, use_east, use_north):
                    again = True
            if again:
                for index in range(old_start[net], old_start[net + 1]):
                    _use(old_region[index], old_before[index], use_east, use_north, -1)
                size, run = _lead_net(net, pin_region, net_start, columns, rows, east, north, use_east, use_north,
                                      risen_east, risen_north, width, height, cost, stamp, entered, in_tree, heap, tree,
                                      before, away, run)
                if used + size > region.size:
                    return -1
                for index in range(size):
                    region[used + index], new_before[used + index] = tree[index], before[index]
                    _use(tree[index], before[index], use_east, use_north, 1)
                used += size
            else:
                size = old_start[net + 1] - old_start[net]
                if used + size > region.size:
                    return -1
                region[used:used + size] = old_region[old_start[net]:old_start[net + 1]]
                new_before[used:used + size] = old_before[old_start[net]:old_start[net + 1]]
                used += size
        start[n_nets] = used
        old_region, old_before, old_start = region[:used].copy(), new_before[:used].copy(), start.copy()
        overflow = 0
        for here in range(n_regions):
            for use, most, risen in ((use_east, east, risen_east), (use_north, north, risen_north)):
                if use[here] > most[here]:
                    overflow += use[here] - most[here]
                    risen[here] += 1
        waited = 0 if overflow < least else waited + 1
        least = min(least, overflow)
        if overflow == 0 or waited == patience:
            break
    return overflow


@ROUTE.jit
def _too_full(here, there, east, north, use_east, use_north):
    low = min(here, there)
    if abs(here - there) == 1:
        return use_east[low] > east[low]
    return use_north[low] > north[low]


@ROUTE.jit
def _use(here, there, use_east, use_north, sign):
    if there < 0:
        return
    if abs(here - there) == 1:
        use_east[min(here, there)] += sign
    else:
        use_north[min(here, there)] += sign


@ROUTE.jit
def _price(length, use, most, risen):
    """What crossing a border costs: its length, more from three quarters full on, much more beyond full."""
    price = length * (1 + risen)
    if 4 * (use + 1) > 3 * most:
        price += length // 2
    if use + 1 > most:
        price += length * 4 * (use + 1 - most)
    return price


@ROUTE.jit
def _lead_net(net, pin_region, net_start, columns, rows, east, north, use_east, use_north, risen_east, risen_north,
              width, height, cost, stamp, entered, in_tree, heap, tree, before, away, run):
    """Joins the regions of a net's pins, each by the cheapest way from what is joined; returns the tree's size."""
    first, last = net_start[net], net_start[net + 1]
    run += 1
    mark = run
    tree[0], before[0], size = pin_region[first], -1, 1
    in_tree[tree[0]] = mark
    for pin in range(first, last):
        away[pin - first] = 1 << 30
    seen = 0
    while True:
        target, best = -1, 1 << 30
        for pin in range(first + 1, last):          # the nearest pin that is not joined yet
            there = pin_region[pin]
            if in_tree[there] == mark:
                continue
            for index in range(seen, size):
                here = tree[index]
                way = abs(here % columns - there % columns) * width + abs(here // columns - there // columns) * height
                away[pin - first] = min(away[pin - first], way)
            if away[pin - first] < best:
                target, best = there, away[pin - first]
        if target < 0:
            break
        seen = size
        run += 1
        _way(target, run, size, columns, rows, east, north, use_east, use_north, risen_east, risen_north, width, height,
             cost, stamp, entered, heap, tree)
        here = target
        while in_tree[here] != mark:
            step = (1, -1, columns, -columns)[entered[here]]
            tree[size], before[size] = here, here - step
            in_tree[here] = mark
            size += 1
            here -= step
    return size, run


@ROUTE.jit
def _way(target, run, size, columns, rows, east, north, use_east, use_north, risen_east, risen_north, width, height,
         cost, stamp, entered, heap, tree):
    """The cheapest way from the tree to a region; `entered` tells the step by which each region was reached."""
    to_column, to_row = target % columns, target // columns
    n = 0
    for index in range(size):
        here = tree[index]
        cost[here], stamp[here], entered[here] = 0, run, -1
        ahead = abs(here % columns - to_column) * width + abs(here // columns - to_row) * height
        n = push(heap, n, (np.int64(ahead) << 32) | here)
    while n > 0:
        key = heap[0]
        n = pop(heap, n)
        here = np.int32(key & 0xFFFFFFFF)
        column, row = here % columns, here // columns
        ahead = abs(column - to_column) * width + abs(row - to_row) * height
        if (key >> 32) > cost[here] + ahead:
            continue
        if here == target:
            return
        for how in range(4):
            if how == 0 and column < columns - 1:
                there, price = here + 1, _price(width, use_east[here], east[here], risen_east[here])
            elif how == 1 and column > 0:
                there, price = here - 1, _price(width, use_east[here - 1], east[here - 1], risen_east[here - 1])
            elif how == 2 and row < rows - 1:
                there, price = here + columns, _price(height, use_north[here], north[here], risen_north[here])
            elif how == 3 and row > 0:
                there = here - columns
                price = _price(height, use_north[there], north[there], risen_north[there])
            else:
                continue
            price += cost[here]
            if stamp[there] == run and cost[there] <= price:
                continue
            if n >= heap.size - 1:
                continue
            stamp[there], cost[there], entered[there] = run, price, how
            ahead = abs(there % columns - to_column) * width + abs(there // columns - to_row) * height
            n = push(heap, n, (np.int64(price + ahead) << 32) | there)
