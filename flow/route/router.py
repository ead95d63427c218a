"""Routes a placed design: guides, negotiated search, antenna repair, shapes; flow.route.check looks at these alone."""

from collections.abc import Callable
from dataclasses import dataclass

from flow.physical.abstract import Cells
from flow.physical.design import Design, Placement, Routes
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.route.antenna import AntennaFault, KnownAntennas
from flow.route.books import LOWER, NONE, UPPER
from flow.route.diodes import PREFIX, add_diodes, diodes_first
from flow.route.guides import make_guides
from flow.route.negotiate import Negotiation, Round
from flow.route.problem import RoutingProblem
from flow.route.scene import problem_of
from flow.route.shapes import routes_of
from flow.route.spec import RouteSpec
from golden.spec import SpecError

LISTED = 8
"""Places that a message names."""


@dataclass(frozen=True)
class RouteReport:
    """What a run came to; lengths um.

    rounds:     of the negotiation, those for antennas included.
    n_diodes:   put in, because the wires' other ways did not help.
    antennas:   pieces of nets that diodes did not help either.
    """

    n_nets: int
    wirelength_um: float
    half_perimeter_um: float
    n_vias: int
    rounds: int
    n_diodes: int
    antennas: tuple[AntennaFault, ...]

    @property
    def detour(self) -> float:
        """Wirelength over the sum of the nets' half perimeters."""
        return self.wirelength_um / self.half_perimeter_um if self.half_perimeter_um else 1.0


@dataclass(frozen=True)
class Routed:
    """Placement and netlist are those given, but for the diodes that antennas needed."""

    placement: Placement
    netlist: Netlist
    routes: Routes
    report: RouteReport


def route_design(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, where: str,
                 spec: RouteSpec = RouteSpec(), tell: Callable[[Round], None] = lambda done: None,
                 mend: Callable[[Design], Design | None] | None = None) -> Routed:
    """The metal of every net of two pins and more. The same input gives the same routes.

    where: names the design in messages. mend: of a routed design, one with other cells that is to be routed instead,
    or None; what it leaves as it was keeps its wires. SpecError, with places, when nets are left in conflict or without
    a way.
    """
    problem = problem_of(placement, netlist, cells, technology)
    negotiation = Negotiation(problem, make_guides(problem), spec)
    negotiation.run(tell)
    _refuse_leftovers(problem, negotiation, where)
    negotiation.shorten()
    for mendings_left in range(spec.mendings, -1, -1):
        placement, netlist, problem, negotiation, routes, antennas = _without_antennas(
            placement, netlist, problem, negotiation, cells, technology, where, tell)
        mended = mend(Design(placement, netlist, routes)) if mend and mendings_left else None
        if mended is None:
            break
        placement, netlist = mended.placement, mended.netlist
        problem, negotiation = _routed_again(placement, netlist, cells, technology, negotiation, where, tell)
    return Routed(placement, netlist, routes, _report(problem, negotiation, routes, netlist, antennas))


def _without_antennas(placement: Placement, netlist: Netlist, problem: RoutingProblem, negotiation: Negotiation,
                      cells: Cells, technology: Technology, where: str, tell: Callable[[Round], None]) -> tuple[
                          Placement, Netlist, RoutingProblem, Negotiation, Routes, list[AntennaFault]]:
    """The routes with antennas repaired: by other layers, then by diodes; and those that nothing has helped."""
    known = KnownAntennas()
    for passes_left in range(negotiation.spec.diode_passes, -1, -1):
        routes, antennas = _repair_antennas(
            problem, negotiation, lambda found, of=(placement, netlist): known.find(*of, found, cells, technology),
            technology, where, tell)
        if not antennas or not passes_left:
            break
        placement, netlist = add_diodes(placement, netlist, cells, technology, antennas)
        problem, negotiation = _routed_again(placement, netlist, cells, technology, negotiation, where, tell)
    return placement, netlist, problem, negotiation, routes, antennas


def _routed_again(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, before: Negotiation,
                  where: str, tell: Callable[[Round], None]) -> tuple[RoutingProblem, Negotiation]:
    """A changed design with the routes that it can keep, and new ones for the rest."""
    problem = problem_of(placement, netlist, cells, technology)
    negotiation = before.moved_to(problem, diodes_first(problem, make_guides(problem)))
    negotiation.run(tell)
    _refuse_leftovers(problem, negotiation, where)
    return problem, negotiation


def _repair_antennas(problem: RoutingProblem, negotiation: Negotiation,
                     antennas_of: Callable[[Routes], list[AntennaFault]], technology: Technology, where: str,
                     tell: Callable[[Round], None]) -> tuple[Routes, list[AntennaFault]]:
    """Leads nets with antennas over other layers, so that the same layer joins their gates to the driver: those with
    too much metal in the lower layers over the upper ones, the others over the lower ones; once each."""
    number = {name: net for net, name in enumerate(problem.names)}
    lower = {layer.name for layer in problem.stack.layers[:2]}
    tried: set[tuple[str, int]] = set()
    while True:
        routes, stuck = routes_of(problem, negotiation.ways, technology)
        if stuck:
            net, layer, box = stuck[0]
            raise SpecError(f"pieces smaller than a layer's least area must have room to grow, and {len(stuck)} have "
                            f"none, such as {problem.names[net]} in {problem.stack.layers[layer].name} at {box[0]}, "
                            f"{box[1]} nm ({where})")
        antennas = antennas_of(routes)
        fresh = sorted({(fault.net, UPPER if fault.layer in lower else LOWER) for fault in antennas} - tried)
        if not fresh:
            return routes, antennas
        tried |= set(fresh)
        for net, kind in fresh:
            negotiation.search_again([number[net]], kind)
        negotiation.run(tell)
        _refuse_leftovers(problem, negotiation, where)


def _refuse_leftovers(problem: RoutingProblem, negotiation: Negotiation, where: str) -> None:
    """SpecError on nets without a way or in conflict."""
    for nets, what in ((negotiation.failed, "have no way"), (negotiation.in_conflict, "are left in conflict")):
        if nets:
            places = "; ".join(f"{problem.names[net]} near {_place(problem, negotiation, net)} um"
                               for net in nets[:LISTED])
            raise SpecError(f"every net must be routed without conflicts, and {len(nets)} of {problem.n_nets} {what} "
                            f"after {len(negotiation.rounds)} rounds: {places} ({where}); give the cells more room "
                            "(a lower utilisation)")


def _place(problem: RoutingProblem, negotiation: Negotiation, net: int) -> str:
    """Where a net's first conflict is, or else its first pin."""
    node = negotiation.conflict_place(net)
    if node == NONE:
        node = int(problem.nodes[problem.pin_start[problem.net_start[net]]])
    x, y = problem.lattice.xy(node)
    return f"{x / 1000:.2f}, {y / 1000:.2f}"


def _report(problem: RoutingProblem, negotiation: Negotiation, routes: Routes, netlist: Netlist,
            antennas: list[AntennaFault]) -> RouteReport:
    length = sum(abs(wire.x1 - wire.x0) + abs(wire.y1 - wire.y0) for route in routes.values() for wire in route.wires)
    return RouteReport(problem.n_nets, length / 1000, problem.half_perimeter_nm() / 1000,
                       sum(len(route.vias) for route in routes.values()), len(negotiation.rounds),
                       sum(name.startswith(PREFIX) for name in netlist.instances), tuple(antennas))
