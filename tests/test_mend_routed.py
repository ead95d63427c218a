"""Mending behind the router: what long wires have made slow, and which routes stay when cells change."""

from dataclasses import replace

import numpy as np
import pytest
from physical_kit import kit_cells, kit_technology
from route_designs import KINDS, random_design
from test_mend import CELLS, SLOW, kit, library  # noqa: F401
from test_repair import workshop
from timing_kit import chain

from flow.physical.design import Design, NetRoute, Wire
from flow.repair.edit import Editor
from flow.repair.routed import Mender, routed_lengths, stretches
from flow.repair.same import check_same
from flow.repair.seats import seat_cells
from flow.repair.spec import RepairSpec
from flow.route.check import find_faults
from flow.route.guides import make_guides
from flow.route.negotiate import Negotiation
from flow.route.router import route_design
from flow.route.scene import problem_of
from flow.route.shapes import routes_of
from flow.timing.estimate import net_trees

pytestmark = pytest.mark.eda
TECHNOLOGY = kit_technology()
ROUTED = kit_cells(*KINDS, "buf_1")


def routed_as_estimated(design):
    """One straight wire a net, as long as its tree."""
    trees = net_trees(design.placement, design.netlist, CELLS)
    shape = trees.trees
    length = np.add.reduceat(shape.dx + shape.dy, shape.first[:-1])
    return {name: NetRoute((Wire("met1", 0, 0, int(nm), 0),)) for name, nm in zip(trees.names, length, strict=True)}


def test_only_a_design_with_wires_that_are_too_long_is_mended(kit, tmp_path, library):  # noqa: F811
    said, design = [], chain(12, step=40)
    mender = Mender(workshop(kit, tmp_path, clock_period_ns=20.0).timer, TECHNOLOGY, SLOW, RepairSpec(), said.append)
    routes = routed_as_estimated(design)
    assert mender(replace(design, routes=routes)) is None and not said
    (wire,) = routes["n6"].wires
    long = {**routes, "n6": NetRoute((wire._replace(x1=40 * wire.x1),))}
    detours = stretches(net_trees(design.placement, design.netlist, CELLS), routed_lengths(long))
    assert detours["n6"] == pytest.approx(40) and detours["n5"] == pytest.approx(1)
    mended = mender(replace(design, routes=long))
    assert mended is not None and len(said) == 1 and "are slow" in said[0]
    check_same(design.netlist, mended.netlist, CELLS, library)
    assert mended.netlist.nets["clk"] == design.netlist.nets["clk"]


def test_routes_of_what_did_not_change_are_kept():
    placement, netlist = random_design(120, ROUTED, seed=2)
    before = Negotiation(problem := problem_of(placement, netlist, ROUTED, TECHNOLOGY), make_guides(problem))
    before.run()
    old, _ = routes_of(problem, before.ways, TECHNOLOGY)
    after = replaced(placement, netlist)
    problem = problem_of(after.placement, after.netlist, ROUTED, TECHNOLOGY)
    moved = before.moved_to(problem, make_guides(problem))
    again = {problem.names[net] for net in np.flatnonzero(moved.dirty)}
    touched = {net for net, pins in after.netlist.nets.items() if len(pins) > 1 and (
        pins != netlist.nets.get(net) or any(name and after.placement.instances[name] !=
                                             placement.instances.get(name) for name, _ in pins))}
    assert again and len(again) < 0.5 * len(problem.names) and again - touched <= set(problem.names)
    assert {net for net in touched if net not in netlist.nets} <= again
    moved.run()
    routes, stuck = routes_of(problem, moved.ways, TECHNOLOGY)
    assert not stuck and not find_faults(after.placement, after.netlist, routes, ROUTED, TECHNOLOGY)
    kept = [net for net in problem.names if net not in again]
    assert sum(routes[net] == old[net] for net in kept) > 0.8 * len(kept)


def replaced(placement, netlist):
    """The design with a buffer in a net of some sinks, seated between its neighbours."""
    design = Design(placement, netlist)
    net = next(net for net, pins in sorted(netlist.nets.items()) if len(pins) > 3 and pins[0][0])
    buffer = next(name for name in sorted(ROUTED) if name.endswith("buf_1"))
    editor, sinks = Editor(design, ROUTED), [pin for pin in netlist.nets[net] if pin[0]][-1:]
    place = placement.instances[sinks[0][0]]
    editor.add_buffer("eco_0_0", buffer, net, sinks, (place.x, place.y))
    return seat_cells(design, editor.design(), ROUTED, TECHNOLOGY, held=[])


def test_the_router_routes_what_mending_leaves_until_it_leaves_it_alone():
    placement, netlist = random_design(120, ROUTED, seed=2)
    calls = []

    def mend(design):
        calls.append(set(design.routes))
        return replaced(design.placement, design.netlist) if len(calls) == 1 else None

    done = route_design(placement, netlist, ROUTED, TECHNOLOGY, "random", mend=mend)
    assert len(calls) == 2 and "eco_0_0" in done.netlist.instances and set(done.routes) == calls[1]
    assert not find_faults(done.placement, done.netlist, done.routes, ROUTED, TECHNOLOGY)
