"""Whole runs of the router: clean by a check that knows only shapes, the same every time, loud where it cannot."""

from dataclasses import replace

import numpy as np
import pytest
from physical_kit import kit_cells, kit_technology
from route_designs import KINDS, random_design

from flow.physical.abstract import parse_abstracts
from flow.physical.design import NetRoute, Placed, Placement, ViaUse, Wire
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import Netlist
from flow.route import negotiate
from flow.route.antenna import AntennaFault
from flow.route.books import HORIZONTAL_COST, NONE, PLAIN, UPPER, VERTICAL_COST, VIA_COST, mark
from flow.route.check import find_faults
from flow.route.diodes import add_diodes
from flow.route.guides import make_guides
from flow.route.negotiate import Negotiation
from flow.route.refine import _bare_stacks
from flow.route.router import route_design
from flow.route.scene import problem_of
from flow.route.shapes import routes_of
from flow.route.spec import RouteSpec
from golden.spec import SpecError

pytestmark = pytest.mark.eda        # numba compiles the search once, for some 30 s of CPU

TECHNOLOGY = kit_technology()
CELLS = kit_cells(*KINDS)


@pytest.fixture(scope="module")
def routed():
    """A placement of 120 cells, its netlist, routes and report."""
    placement, netlist = random_design(120, CELLS, seed=2)
    done = route_design(placement, netlist, CELLS, TECHNOLOGY, "random")
    return placement, netlist, done.routes, done.report


def faults_of(routed, routes):
    return {(fault.kind, fault.layer) for fault in find_faults(routed[0], routed[1], routes, CELLS, TECHNOLOGY)}


def test_a_design_is_routed_clean_and_short(routed):
    placement, netlist, routes, report = routed
    assert set(routes) == {net for net, pins in netlist.nets.items() if len(pins) > 1}
    assert not find_faults(placement, netlist, routes, CELLS, TECHNOLOGY)
    assert report.n_nets == len(routes) and report.detour <= 1.15 and not report.antennas


def test_the_same_design_gives_the_same_routes(routed):
    placement, netlist, routes, _ = routed
    shuffled = replace(netlist, nets=dict(sorted(netlist.nets.items(), reverse=True)))
    assert route_design(placement, shuffled, CELLS, TECHNOLOGY, "random").routes == routes


def longest(routes):
    """The net with the longest wire, and that wire."""
    return max(((net, wire) for net, route in routes.items() for wire in route.wires),
               key=lambda item: abs(item[1].x1 - item[1].x0) + abs(item[1].y1 - item[1].y0))


def test_a_removed_via_is_an_open(routed):
    net = longest(routed[2])[0]
    route = routed[2][net]
    fewer = {**routed[2], net: replace(route, vias=route.vias[1:])}
    faults = find_faults(routed[0], routed[1], fewer, CELLS, TECHNOLOGY)
    assert ("open", (net,)) in {(fault.kind, fault.nets) for fault in faults}


def test_a_net_without_metal_is_an_open(routed):
    net = longest(routed[2])[0]
    assert ("open", "") in faults_of(routed, {**routed[2], net: NetRoute()})


def test_a_wire_across_others_is_a_short_with_both_nets_named(routed):
    net, wire = longest(routed[2])
    die, route = routed[0].die, routed[2][net]
    across = Wire(wire.layer, wire.x0, die.y0 + 500, wire.x0, die.y1 - 500) if wire.y0 == wire.y1 else \
        Wire(wire.layer, die.x0 + 500, wire.y0, die.x1 - 500, wire.y0)
    faults = find_faults(routed[0], routed[1], {**routed[2], net: replace(route, wires=(*route.wires, across))}, CELLS,
                         TECHNOLOGY)
    assert any(fault.kind == "short" and net in fault.nets and len(fault.nets) > 1 for fault in faults)


def test_a_shape_beside_a_wire_is_a_spacing_conflict(routed):
    net, wire = longest(routed[2])
    half = TECHNOLOGY.layers[wire.layer].width // 2
    beside = Shape(wire.layer, wire.x0 - half, wire.y0 + half + 50, wire.x1 + half, wire.y1 + half + 300) \
        if wire.y0 == wire.y1 else Shape(wire.layer, wire.x0 + half + 50, wire.y0, wire.x0 + half + 300, wire.y1)
    other = next(name for name in sorted(routed[2]) if name != net)
    route = routed[2][other]
    faults = faults_of(routed, {**routed[2], other: replace(route, patches=(*route.patches, beside))})
    assert ("spacing", wire.layer) in faults


def test_a_lone_pad_is_too_small(routed):
    net = longest(routed[2])[0]
    route, die = routed[2][net], routed[0].die
    lone = ViaUse("M3M4_PR", die.x1 - 1150, die.y1 - 850)
    assert ("area", "met4") in faults_of(routed, {**routed[2], net: replace(route, vias=(*route.vias, lone))})


def test_a_ring_around_too_small_a_hole_is_found(routed):
    net = longest(routed[2])[0]
    route, die = routed[2][net], routed[0].die
    x, y = die.x1 - 2000, die.y1 - 1500
    ring = (Shape("met1", x, y, x + 600, y + 140), Shape("met1", x, y + 460, x + 600, y + 600),
            Shape("met1", x, y, x + 140, y + 600), Shape("met1", x + 460, y, x + 600, y + 600))
    assert ("hole", "met1") in faults_of(routed, {**routed[2], net: replace(route, patches=(*route.patches, *ring))})


def test_a_run_that_is_cut_short_names_the_conflicts(routed):
    with pytest.raises(SpecError, match=r"in conflict after 1 rounds: n\d+ near [\d.]+, [\d.]+ um;.*random.*lower"):
        route_design(*routed[:2], CELLS, TECHNOLOGY, "random", RouteSpec(rounds=1))


def test_a_net_that_is_walled_in_is_named(routed):
    placement, netlist = routed[:2]
    walls = tuple(Shape(layer, 0, placement.die.y1 // 2, placement.die.x1, placement.die.y1 // 2 + 2720)
                  for layer in ("met1", "met2", "met3", "met4"))
    with pytest.raises(SpecError, match="have no way|has none of"):
        route_design(replace(placement, blockages=walls), netlist, CELLS, TECHNOLOGY, "random")


def test_a_diode_has_its_own_net_routed_again_and_leaves_the_others(routed):
    placement, netlist, routes, _ = routed
    cells = {**CELLS, **kit_cells("diode_2")}
    before = Negotiation(problem := problem_of(placement, netlist, cells, TECHNOLOGY), make_guides(problem))
    before.run()
    before.shorten()
    net = next(name for name in problem.names if netlist.nets[name][-1][0])
    fault = AntennaFault(net, "met1", 500, 400, netlist.nets[net][-1:])
    placement, netlist = add_diodes(placement, netlist, cells, TECHNOLOGY, [fault])
    before.places.kind[:] = UPPER
    after = before.moved_to(problem := problem_of(placement, netlist, cells, TECHNOLOGY), make_guides(problem))
    assert {problem.names[index] for index in np.flatnonzero(after.places.kind != UPPER)} == {net}
    assert [problem.names[index] for index in np.flatnonzero(after.dirty)] == [net]
    after.run()
    again, stuck = routes_of(problem, after.ways, TECHNOLOGY)
    assert not stuck and not find_faults(placement, netlist, again, cells, TECHNOLOGY)
    changed = [name for name in again if again[name] != routes[name]]
    assert net in changed and len(changed) < 5


def test_tangles_that_are_taken_out_as_a_whole_end_clean(routed, monkeypatch):
    monkeypatch.setattr(negotiate, "STIR_AFTER", 1)
    monkeypatch.setattr(negotiate, "STIR_MOST", 1000)
    monkeypatch.setattr(negotiate, "PROGRESS", 0.3)
    placement, netlist = routed[:2]
    done = route_design(placement, netlist, CELLS, TECHNOLOGY, "random")
    assert done.report.rounds > routed[3].rounds and done.routes != routed[2]


def costs(problem, ways):
    """What each net's wires and vias cost, from the prices alone."""
    found = []
    for start, size in zip(ways.start.tolist(), ways.size.tolist(), strict=True):
        node, before = ways.node[start:start + size], ways.before[start:start + size]
        step, layer = np.abs(node - before)[before != NONE], (node // problem.lattice.plane)[before != NONE]
        across, along = HORIZONTAL_COST[PLAIN][layer], VERTICAL_COST[PLAIN][layer]
        found.append(int(np.where(step == 1, across, np.where(step == problem.lattice.nx, along, VIA_COST)).sum()))
    return np.array(found)


def negotiated(routed):
    problem = problem_of(*routed[:2], CELLS, TECHNOLOGY)
    negotiation = Negotiation(problem, make_guides(problem))
    negotiation.run()
    return problem, negotiation


def test_routes_are_shortened_without_a_conflict_and_none_is_longer(routed):
    problem, negotiation = negotiated(routed)
    before = costs(problem, negotiation.ways)
    negotiation.shorten()
    after = costs(problem, negotiation.ways)
    assert (after <= before).all() and after.sum() < before.sum()
    assert (before == after)[np.diff(problem.net_start) == 2].all()
    routes, stuck = routes_of(problem, negotiation.ways, TECHNOLOGY)
    assert not stuck and not find_faults(*routed[:2], routes, CELLS, TECHNOLOGY)


def test_shortening_is_the_same_every_time_however_little_memory_there_is(routed):
    (problem, one), (_, other) = negotiated(routed), negotiated(routed)
    total = int(other.ways.size.sum())
    other.ways = negotiate._compact(other.ways, other.used)
    other.ways = other.ways._replace(node=other.ways.node[:total].copy(), before=other.ways.before[:total].copy())
    for negotiation in (one, other):
        negotiation.shorten()
    assert all((a == b).all() for net in range(problem.n_nets)
               for a, b in zip(one._way(net), other._way(net), strict=True))


def test_a_detour_is_taken_out_and_the_pins_stay_joined():
    """One net of three cells in a row; its third pin is joined by a way around the die."""
    placement = Placement("three", Rect(0, 0, 27600, 13600), Rect(2300, 5440, 25300, 8160), (), {
        f"u{index}": Placed("sky130_fd_sc_hd__inv_1", 2300 + 9200 * index, 5440, "N") for index in range(3)})
    netlist = Netlist("three", {}, {name: placed.cell for name, placed in placement.instances.items()},
                      {"n": (("u0", "Y"), ("u1", "A"), ("u2", "A"))})
    problem = problem_of(placement, netlist, CELLS, TECHNOLOGY)
    negotiation = Negotiation(problem, make_guides(problem))
    negotiation.run()
    best, path = int(costs(problem, negotiation.ways)[0]), negotiation._way(0)[0].tolist()
    place = problem.lattice.node
    at = path.index(place(0, 36, 20))
    assert path[at - 1] == place(0, 35, 20) and place(0, 46, 20) == path[-1]
    rows = range(20, 27)
    path[at:at] = [*(place(1, 35, row) for row in rows), place(0, 35, 26), place(0, 36, 26),
                   *(place(1, 36, row) for row in reversed(rows))]
    mark(0, -1, negotiation.places, negotiation.books, negotiation.ways)
    negotiation.ways.size[0] = negotiation.used[0] = len(path)
    negotiation.ways.node[:len(path)], negotiation.ways.before[:len(path)] = path, [NONE, *path[:-1]]
    mark(0, 1, negotiation.places, negotiation.books, negotiation.ways)
    assert costs(problem, negotiation.ways)[0] > best
    negotiation.shorten()
    assert costs(problem, negotiation.ways)[0] == best
    routes, _ = routes_of(problem, negotiation.ways, TECHNOLOGY)
    assert not find_faults(placement, netlist, routes, CELLS, TECHNOLOGY)


@pytest.mark.parametrize("wired", [False, True])
def test_vias_one_on_the_other_over_met3_are_counted(wired):
    plane = 100
    node = np.array([plane, 2 * plane, 3 * plane, 2 * plane + 1 if wired else 3 * plane + 10], np.int32)
    parent = np.array([NONE, 0, 1, 1 if wired else 2], np.int32)
    assert _bare_stacks(node, parent, np.zeros(4, np.uint8), 4, plane) == (not wired)


def test_patience_ends(routed, monkeypatch):
    """Walls leave the wires of two rows no way but over each other."""
    monkeypatch.setattr(negotiate, "STIRS", 0)
    placement, netlist = routed[:2]
    middle = placement.die.y1 // 2 // 2720 * 2720
    walls = tuple(Shape(layer, x0, middle, x1, middle + 2720) for layer in ("met1", "met2", "met3", "met4")
                  for x0, x1 in ((0, placement.die.x1 // 2), (placement.die.x1 // 2 + 2300, placement.die.x1)))
    with pytest.raises(SpecError, match=r"in conflict after (\d|1\d|2\d) rounds|has none of|have no way"):
        route_design(replace(placement, blockages=walls), netlist, CELLS, TECHNOLOGY, "random", RouteSpec(patience=3))


MEMORY = """
MACRO memory CLASS BLOCK ; SIZE 20 BY 25 ;
  PIN a DIRECTION INPUT ; ANTENNAGATEAREA 0.5 ; PORT LAYER met1 ; RECT 0 12 1.57 12.29 ; END END a
  PIN d DIRECTION INPUT ; ANTENNAGATEAREA 0.5 ; PORT LAYER met2 ; RECT 5.83 0 6.09 12 ; END END d
  PIN q DIRECTION OUTPUT ; ANTENNADIFFAREA 0.5 ; PORT LAYER met2 ; RECT 8.83 0 9.09 20 ; END END q
  PIN vdd DIRECTION INOUT ; USE POWER ; PORT LAYER met4 ; RECT 4 2 5.2 23 ; END END vdd
  OBS
    LAYER met1 ; RECT 0 0 20 11.8 ; RECT 1.77 11.8 20 12.49 ; RECT 0 12.49 20 25 ;
    LAYER met2 ; RECT 0 0 5.63 25 ; RECT 6.29 0 8.63 25 ; RECT 9.29 0 20 25 ;
    LAYER met3 ; RECT 0 10 20 12 ;
  END
END memory
"""


@pytest.mark.parametrize("orientation", ["N", "S", "FN", "FS"])
def test_pins_of_a_macro_are_reached_and_its_metal_is_not_touched(orientation):
    cells = {**CELLS, **parse_abstracts(MEMORY, "memory.lef")}
    inverter = "sky130_fd_sc_hd__inv_1"
    instances = {"m": Placed("memory", 20_010, 20_005, orientation, fixed=True)}
    instances |= {f"u{index}": Placed(inverter, 4600 + 13_800 * index, row * 2720, "N")
                  for index, row in enumerate((2, 3, 2, 19))}
    nets = {"a": (("u0", "Y"), ("m", "a")), "d": (("u1", "Y"), ("m", "d")), "q": (("m", "q"), ("u2", "A"), ("u3", "A"))}
    placement = Placement("macro", Rect(0, 0, 59_800, 65_280), Rect(4600, 5440, 55_200, 59_840), (), instances)
    netlist = Netlist("macro", {}, {name: placed.cell for name, placed in instances.items()}, nets)
    done = route_design(placement, netlist, cells, TECHNOLOGY, "macro")          # raises on any open, short, spacing
    assert set(done.routes) == {"a", "d", "q"}


def test_guides_lead_around_what_is_full(routed):
    placement, netlist = routed[:2]
    middle = placement.die.x1 // 2
    free = make_guides(problem_of(placement, netlist, CELLS, TECHNOLOGY))
    wall = tuple(Shape(layer, middle, placement.die.y1 // 4, middle + 500, placement.die.y1)
                 for layer in ("met3", "met4"))
    narrow = make_guides(problem_of(replace(placement, blockages=wall), netlist, CELLS, TECHNOLOGY))
    assert free.overflow == 0 and len(narrow.region) >= len(free.region)
    for net in range(len(free.start) - 1):          # a guide is one piece
        regions = set(free.region[free.start[net]:free.start[net + 1]].tolist())
        reached, todo = set(), [min(regions)]
        while todo:
            here = todo.pop()
            reached.add(here)
            todo += [there for there in (here - 1, here + 1, here - free.columns, here + free.columns)
                     if there in regions and there not in reached]
        assert reached == regions
