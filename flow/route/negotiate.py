"""Negotiated congestion: nets may share places at a price that rises until none is shared (PathFinder).

McMurchie and Ebeling, "PathFinder: a negotiation-based performance-driven router for FPGAs", FPGA 1995. Here what is
shared also includes places that the spacing rules forbid next to each other. A round takes the nets that are in a
conflict and searches each again, unless others have got out of its way before its turn. Then the history of the places
still in conflict and the price of a conflict rise. Nets that have been searched least often are first: else a net that
has no place of its own would be moved on to the next one round after round, and those who could make room never asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flow.route.guides import Guides
from flow.route.jit import jit
from flow.route.problem import RoutingProblem
from flow.route.search import (
    COUNT_POPS,
    LEAST_X,
    LEAST_Y,
    NONE,
    SCALE,
    Books,
    Places,
    Ways,
    conflicts_of,
    mark,
    new_scratch,
    route_net,
)

BASE = 60 * SCALE
"""Cost of one conflict at pressure 1: that of 0.6 um of wire."""

ROUTED, ROOM, FAILED = range(3)
"""What became of a net in a round: ROOM: the memory for routes was full."""


@dataclass(frozen=True)
class Effort:
    """How hard to try. `first`, `growth`, `most`: pressure in the first round, factor a round, bound.

    greed: part by which the search takes the rest of a way for longer than it is.
    """

    rounds: int = 60
    first: float = 0.5
    growth: float = 1.35
    most: float = 40.0
    history: float = 0.35
    greed: float = 1 / 16


@dataclass(frozen=True)
class Round:
    """One line of the log: nets searched, nets without a way, nets in conflict after it, pops of the search so far."""

    number: int
    searched: int
    failed: int
    in_conflict: int
    pops: int


def places_of(problem: RoutingProblem, guides: Guides, greed: float) -> Places:
    lattice = problem.lattice
    return Places(lattice.nx, lattice.ny, problem.wire, problem.via, problem.net_start, problem.pin_start,
                  problem.nodes, problem.contact, guides.region_of_column, guides.region_of_row,
                  np.zeros(problem.n_nets, np.uint8), round(LEAST_X * SCALE * (1 + greed)),
                  round(LEAST_Y * SCALE * (1 + greed)))


class Negotiation:
    """Routes in the making; `run` until nothing is in conflict, `search_again` to have some nets led another way."""

    def __init__(self, problem: RoutingProblem, guides: Guides, effort: Effort = Effort()) -> None:
        lattice, n_nets = problem.lattice, problem.n_nets
        self.effort, self.guides = effort, guides
        self.places = places_of(problem, guides, effort.greed)
        self.books = Books(np.zeros(lattice.n_nodes, np.int16), np.zeros(lattice.plane, np.int16),
                           np.zeros(lattice.plane, np.int16), np.zeros(lattice.n_nodes, np.int32))
        self.scratch = new_scratch(lattice.n_nodes, int(np.diff(problem.net_start).max(initial=1)))
        self.ways = _empty_ways(n_nets, len(problem.pin_keys), 64 * len(problem.pin_keys) + 4096)
        self.order = _order(problem)
        self.state = np.full(n_nets, FAILED, np.uint8)
        self.slack, self.times = np.zeros(n_nets, np.int32), np.zeros(n_nets, np.int32)
        self.dirty = np.ones(n_nets, np.bool_)
        self.used = np.zeros(1, np.int64)
        self.guide = np.zeros(guides.n_regions, np.int32)
        self.rounds: list[Round] = []

    def run(self, tell: Callable[[Round], None] = lambda done: None) -> None:
        """Rounds until no net is in conflict or without a way, or there have been `effort.rounds`."""
        pressure = self.effort.first
        for number in range(self.effort.rounds):
            turns = self.order[np.argsort(self.times[self.order], kind="stable")]
            searched = self._turns(turns[self.dirty[turns]], int(pressure * BASE))
            charge = int(BASE * self.effort.history * max(1.0, pressure))
            _find_conflicts(self.dirty, self.slack, self.places, self.books, self.ways, charge,
                            number % 4 == 3)
            self.rounds.append(Round(len(self.rounds), searched, int((self.state == FAILED).sum()),
                                     int(self.dirty.sum()), int(self.scratch.counters[COUNT_POPS])))
            tell(self.rounds[-1])
            if not self.dirty.any():
                break
            pressure = min(pressure * self.effort.growth, self.effort.most)

    def _turns(self, turns: np.ndarray, pressure: int) -> int:
        done, searched = 0, 0
        while done < len(turns):
            done, some = _round(turns, done, self.times, self.places, self.guides.start, self.guides.region,
                                self.guides.columns, self.guide, self.slack, self.books, self.scratch, self.ways,
                                self.used, self.state, pressure)
            searched += some
            if done < len(turns):
                self.ways = _compact(self.ways, self.used)
        return searched

    def search_again(self, nets: Sequence[int], kind: int) -> None:
        """Has nets searched once more as nets of another kind, even where they are in no conflict."""
        for net in nets:
            mark(net, -1, self.places, self.books, self.ways)
            _forget(net, self.places, self.ways)
            self.places.kind[net] = kind
            self.state[net], self.dirty[net] = FAILED, True

    def conflict_place(self, net: int) -> int:
        """The first node of a net that is in conflict, or NONE."""
        mark(net, -1, self.places, self.books, self.ways)
        start = self.ways.start[net]
        nodes = self.ways.node[start:start + self.ways.size[net]]
        found = nodes[self.books.crowd[nodes] > 0]
        mark(net, 1, self.places, self.books, self.ways)
        return int(found[0]) if len(found) else NONE

    @property
    def failed(self) -> list[int]:
        """Nets without a way."""
        return np.flatnonzero(self.state == FAILED).tolist()

    @property
    def in_conflict(self) -> list[int]:
        return np.flatnonzero(self.dirty & (self.state == ROUTED)).tolist()


def _empty_ways(n_nets: int, n_pins: int, room: int) -> Ways:
    return Ways(np.zeros(n_nets, np.int64), np.zeros(n_nets, np.int32), np.zeros(room, np.int32),
                np.zeros(room, np.int32), np.full(n_pins, NONE, np.int32))


def _order(problem: RoutingProblem) -> np.ndarray:
    """Short nets first: they have the fewest other ways."""
    xy = problem.pin_xy()
    span = np.maximum.reduceat(xy, problem.net_start[:-1]) - np.minimum.reduceat(xy, problem.net_start[:-1])
    return np.argsort(span.sum(axis=1), kind="stable")


def _compact(ways: Ways, used: np.ndarray) -> Ways:
    """The same routes without gaps, with room for twice as many."""
    total = int(ways.size.sum())
    fresh = _empty_ways(len(ways.start), len(ways.pin_node), max(2 * total, len(ways.node) + len(ways.node) // 2))
    fresh.pin_node[:] = ways.pin_node
    at = 0
    for net in range(len(ways.start)):
        start, size = int(ways.start[net]), int(ways.size[net])
        fresh.node[at:at + size] = ways.node[start:start + size]
        fresh.before[at:at + size] = ways.before[start:start + size]
        fresh.start[net], fresh.size[net] = at, size
        at += size
    used[0] = at
    return fresh


@jit
def _round(order, first, times, places, guide_start, guide_region, guide_columns, guide, slack, books,
           scratch, ways, used, state, pressure):
    """Searches the nets `order[first:]`; returns how far it came and how many of them it searched."""
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
            _forget(net, places, ways)
            state[net] = FAILED
            return turn, searched
        ways.start[net], ways.size[net] = used[0], size
        for index in range(size):
            ways.node[used[0] + index] = scratch.tree[index]
            ways.before[used[0] + index] = scratch.before[index]
        used[0] += size
        state[net] = ROUTED if size > 0 else FAILED
        if size == 0:
            _forget(net, places, ways)
        mark(net, 1, places, books, ways)
    return order.size, searched


@jit
def _forget(net, places, ways):
    ways.size[net] = 0
    for pin in range(places.net_start[net], places.net_start[net + 1]):
        ways.pin_node[pin] = NONE


@jit
def _try_net(net, places, guide_start, guide_region, guide_columns, guide, slack, books, scratch, pressure,
             pin_node):
    """Searches within the guide, and within ever more around it while there is no way."""
    guide_rows = guide.size // guide_columns
    while True:
        window = _open_guide(net, guide_start, guide_region, guide_columns, guide_rows, guide, slack[net], places)
        size = route_net(net, window, guide, net + 1, places, books, scratch, pressure, pin_node)
        if size > 0 or (window[0] == 0 and window[2] == 0 and window[1] == places.nx - 1
                        and window[3] == places.ny - 1 and slack[net] >= guide_columns + guide_rows):
            return size
        slack[net] = 2 * slack[net] + 1


@jit
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


@jit
def _first(regions, region):
    return np.searchsorted(regions, region)


@jit
def _last(regions, region):
    return np.searchsorted(regions, region + 1) - 1


@jit
def _find_conflicts(dirty, slack, places, books, ways, charge, wider):
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
