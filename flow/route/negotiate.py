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

from flow.route.books import COUNT_POPS, LEAST_X, LEAST_Y, NONE, SCALE, Books, Places, Ways, mark, new_scratch
from flow.route.guides import REGION_COLUMNS, REGION_ROWS, Guides
from flow.route.problem import RoutingProblem
from flow.route.rounds import FAILED, ROUTED, find_conflicts, forget, search_nets, shorten_nets
from flow.route.spec import RouteSpec

BASE = 60 * SCALE
"""Cost of one conflict at pressure 1: that of 0.6 um of wire."""

FIRST, GROWTH, MOST = 0.5, 1.35, 40.0
"""Pressure in the first round, factor a round, bound."""

REPAIR = 8.0
"""Pressure in the first round when few nets are led another way: they should find room beside the others."""

HISTORY = 0.35
"""Part of a conflict's price that its place keeps."""

GREED = 1 / 16
"""Part by which the search takes the rest of a way for longer than it is."""

STIR_AFTER = 8
"""Rounds without progress after which everything around the places in conflict is searched anew."""

STIRS, STIR_MOST, STIRRED = 4, 60, 2.0
"""How often that is done, nets in conflict beyond which there is no use in it (there is too much wire for the room),
and the pressure after it."""

PROGRESS = 0.9
"""A round that leaves no more than this part of the fewest nets in conflict so far has come further."""


@dataclass(frozen=True)
class Round:
    """One line of the log: nets searched, nets without a way, nets in conflict after it, pops of the search so far."""

    number: int
    searched: int
    failed: int
    in_conflict: int
    pops: int


def places_of(problem: RoutingProblem, guides: Guides) -> Places:
    lattice = problem.lattice
    return Places(lattice.nx, lattice.ny, problem.wire, problem.via, problem.net_start, problem.pin_start,
                  problem.nodes, problem.contact, guides.region_of_column, guides.region_of_row, guides.pin_turn,
                  np.zeros(problem.n_nets, np.uint8), round(LEAST_X * SCALE * (1 + GREED)),
                  round(LEAST_Y * SCALE * (1 + GREED)))


class Negotiation:
    """Routes in the making; `run` until nothing is in conflict, `search_again` to have some nets led another way."""

    def __init__(self, problem: RoutingProblem, guides: Guides, spec: RouteSpec = RouteSpec()) -> None:
        lattice, n_nets = problem.lattice, problem.n_nets
        self.problem, self.spec, self.guides = problem, spec, guides
        self.places = places_of(problem, guides)
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
        """Rounds until no net is in conflict or without a way, until there have been `spec.rounds`, or until
        `spec.patience` of them have not come further."""
        pressure, fewest, waited, stirred = REPAIR if self.rounds else FIRST, len(self.dirty) + 1, 0, 0
        for number in range(self.spec.rounds):
            turns = self.order[np.argsort(self.times[self.order], kind="stable")]
            searched = self._turns(turns[self.dirty[turns]], int(pressure * BASE))
            charge = int(BASE * HISTORY * max(1.0, pressure))
            find_conflicts(self.dirty, self.slack, self.places, self.books, self.ways, charge, number % 4 == 3)
            left = int(self.dirty.sum())
            self.rounds.append(Round(len(self.rounds), searched, int((self.state == FAILED).sum()), left,
                                     int(self.scratch.counters[COUNT_POPS])))
            tell(self.rounds[-1])
            waited = 0 if left <= PROGRESS * fewest else waited + 1
            fewest = min(fewest, left) if not waited else fewest
            if not left or waited == self.spec.patience:
                break
            pressure = min(pressure * GROWTH, MOST)
            if waited == STIR_AFTER and left <= STIR_MOST and stirred < STIRS:
                stirred += 1
                self._stir(stirred)
                pressure, fewest, waited = STIRRED, len(self.dirty) + 1, 0

    def shorten(self) -> None:
        """Takes detours out of nets of three pins and more; nothing may be in conflict."""
        several = self.order[np.diff(self.problem.net_start)[self.order] > 2]
        where, done = np.zeros(self.problem.lattice.n_nodes, np.int32), 0
        self.books.history[:] = 0
        while True:
            done = shorten_nets(several, done, self.places, self.guides.start, self.guides.region, self.guides.columns,
                                self.guide, self.slack, self.books, self.scratch, self.ways, self.used, where)
            if done == len(several):
                break
            self.ways = _compact(self.ways, self.used)

    def _stir(self, reach: int) -> None:
        """Takes out every net around the places in conflict, `reach` regions each way, and what conflicts there have
        cost: where a tangle stays, nets that are in no conflict may have taken the only ways out of it."""
        lattice = self.problem.lattice
        history = self.books.history.reshape(lattice.n_layers, lattice.ny, lattice.nx)
        near = np.zeros((lattice.ny, lattice.nx), np.bool_)
        for net in np.flatnonzero(self.dirty).tolist():
            for node in self._conflict_nodes(net).tolist():
                _, column, row = lattice.place(node)
                near[max(row - reach * REGION_ROWS, 0):row + reach * REGION_ROWS + 1,
                     max(column - reach * REGION_COLUMNS, 0):column + reach * REGION_COLUMNS + 1] = True
        history[:, near] = 0
        near = near.ravel()
        for net in np.flatnonzero(self.state == ROUTED).tolist():
            if near[self._way(net)[0] % lattice.plane].any():
                self._take_out(net)

    def _take_out(self, net: int) -> None:
        mark(net, -1, self.places, self.books, self.ways)
        forget(net, self.places, self.ways)
        self.state[net], self.dirty[net] = FAILED, True

    def _turns(self, turns: np.ndarray, pressure: int) -> int:
        done, searched = 0, 0
        while done < len(turns):
            done, some = search_nets(turns, done, self.times, self.places, self.guides.start, self.guides.region,
                                     self.guides.columns, self.guide, self.slack, self.books, self.scratch, self.ways,
                                     self.used, self.state, pressure)
            searched += some
            if done < len(turns):
                self.ways = _compact(self.ways, self.used)
        return searched

    def search_again(self, nets: Sequence[int], kind: int) -> None:
        """Has nets searched once more as nets of another kind, even where they are in no conflict."""
        for net in nets:
            self._take_out(net)
            self.places.kind[net] = kind

    def moved_to(self, problem: RoutingProblem, guides: Guides) -> "Negotiation":
        """The same routes in a problem in which some nets are new, have other pins, or pins in other places; those, and
        nets in whose way something now stands, are to be searched. Nets with other pins may have got a diode: they
        need not keep to some layers any more, and a diode must not be led to its gate over the upper ones."""
        fresh = Negotiation(problem, guides, self.spec)
        fresh.ways = _empty_ways(problem.n_nets, len(problem.pin_keys), len(self.ways.node) + 4096)
        fresh.rounds, fresh.books.history[:] = self.rounds, self.books.history
        known = {name: net for net, name in enumerate(self.problem.names)}
        entries = _entries(problem)
        for net, name in enumerate(problem.names):
            old = known.get(name)
            if old is None:
                continue
            fresh.times[net], fresh.slack[net] = self.times[old], self.slack[old]
            if not self._same_pins(old, net, problem):
                continue
            fresh.places.kind[net] = self.places.kind[old]
            if self.state[old] == ROUTED and self._fits(old, net, problem, entries):
                fresh._keep(net, old, self)
        return fresh

    def _same_pins(self, old: int, net: int, problem: RoutingProblem) -> bool:
        own, others = _pins(self.problem, old), _pins(problem, net)
        return self.problem.pin_keys[own] == problem.pin_keys[others]

    def _fits(self, old: int, net: int, problem: RoutingProblem, entries: set[tuple[int, int, bool]]) -> bool:
        """Whether a net's way ends at its pins, and is free, in another problem."""
        reached = self.ways.pin_node[_pins(self.problem, old)].tolist()
        for pin, node in enumerate(reached, int(problem.net_start[net])):
            if node != NONE and (pin, node if node >= 0 else -2 - node, node < 0) not in entries:
                return False
        node, before = self._way(old)
        step = (before != NONE) & (np.abs(node - before) == problem.lattice.plane)
        vias = problem.via.ravel()[np.minimum(node, before)[step]]
        return bool(np.isin(problem.wire[node], (0, net + 1)).all() and np.isin(vias, (0, net + 1)).all())

    def _way(self, net: int) -> tuple[np.ndarray, np.ndarray]:
        way = slice(self.ways.start[net], self.ways.start[net] + self.ways.size[net])
        return self.ways.node[way], self.ways.before[way]

    def _keep(self, net: int, old_net: int, old: "Negotiation") -> None:
        """Takes over a net's way."""
        node, before = old._way(old_net)
        at = int(self.used[0])
        self.ways.node[at:at + len(node)], self.ways.before[at:at + len(node)] = node, before
        self.ways.start[net], self.ways.size[net] = at, len(node)
        self.ways.pin_node[_pins(self.problem, net)] = old.ways.pin_node[_pins(old.problem, old_net)]
        self.used[0] += len(node)
        self.state[net], self.dirty[net] = ROUTED, False
        mark(net, 1, self.places, self.books, self.ways)

    def conflict_place(self, net: int) -> int:
        """The first node of a net that is in conflict, or NONE."""
        found = self._conflict_nodes(net)
        return int(found[0]) if len(found) else NONE

    def _conflict_nodes(self, net: int) -> np.ndarray:
        """Nodes of a net that others are in conflict with: at them, at vias from them, or at contacts of pins."""
        plane = self.problem.lattice.plane
        mark(net, -1, self.places, self.books, self.ways)
        node, before = self._way(net)
        place, low = node % plane, np.minimum(node, before) // plane
        via = (before != NONE) & (np.abs(node - before) == plane)
        crowded = self.books.crowd[node] > 0
        for layer, crowd in enumerate((self.books.crowd1, self.books.crowd2)):
            crowded |= via & (low == layer) & (crowd[place] > 0)
        pins = self.ways.pin_node[self.problem.net_start[net]:self.problem.net_start[net + 1]]
        contacts = -2 - pins[(pins < 0) & (pins != NONE)]
        contacts = contacts[self.books.crowd1[contacts] > 0]
        mark(net, 1, self.places, self.books, self.ways)
        return np.concatenate((node[crowded], contacts)).astype(np.int64)

    @property
    def failed(self) -> list[int]:
        """Nets without a way."""
        return np.flatnonzero(self.state == FAILED).tolist()

    @property
    def in_conflict(self) -> list[int]:
        return np.flatnonzero(self.dirty & (self.state == ROUTED)).tolist()


def _pins(problem: RoutingProblem, net: int) -> slice:
    return slice(*problem.net_start[net:net + 2].tolist())


def _entries(problem: RoutingProblem) -> set[tuple[int, int, bool]]:
    """Pin, node, and whether it takes a via down to the pin there: where pins can be reached."""
    pins = np.repeat(np.arange(len(problem.pin_keys)), np.diff(problem.pin_start))
    return set(zip(pins.tolist(), problem.nodes.tolist(), problem.contact.tolist(), strict=True))


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
