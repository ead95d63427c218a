"""Floor plans and placements: what they must be, on small netlists from a seed, and checks that find what is wrong."""

import random
from dataclasses import replace

import klayout.db as kdb
import pytest
from physical_kit import CONFIG, LIBRARY, kit_technology
from random_netlist import random_cells, random_netlist

from flow.floorplan import power
from flow.floorplan.check import check_floorplan, find_broken_supplies, find_far_from_tap
from flow.floorplan.macros import BOTTOM, LEFT, RIGHT, TOP, best_orientation, keep_outs, pin_sides
from flow.floorplan.plan import build_floorplan, utilisation
from flow.floorplan.rows import cut_rows, farthest_from_tap
from flow.floorplan.spec import TAP_REACH_SITES, FloorplanSpec
from flow.physical.def_write import write_def
from flow.physical.design import Design, Placed, SupplyNet, half_perimeters, outline
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import check_netlist
from flow.place import check
from flow.place.check import check_filled, check_placement, overlapping
from flow.place.engine import Desk, place_cells, place_pins
from flow.place.fill import add_fill
from flow.place.pins import assign_pins, find_slots, match_in_order
from flow.place.spec import PlaceSpec
from golden.spec import SpecError

CELLS = random_cells()
TECHNOLOGY = kit_technology()
FAST = PlaceSpec(effort=1)


def plan(n_gates=150, n_macros=0, **demands):
    netlist = random_netlist(n_gates, 7, n_macros)
    return netlist, build_floorplan(netlist, CELLS, TECHNOLOGY, FloorplanSpec(**demands))


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """A floor plan with two macros, and it with pins and cells."""
    netlist, empty = plan(400, 2)
    desk = Desk(tmp_path_factory.mktemp("place") / "place.log")
    pins = place_pins(empty, netlist, CELLS, TECHNOLOGY, FAST, desk)
    return netlist, empty, place_cells(pins, netlist, CELLS, TECHNOLOGY, FAST, desk)


# Floor plan

@pytest.mark.parametrize("demands, message", [
    ({"utilisation": 0.96}, "utilisation must be 0.1 to 0.95 .*, not 0.96"),
    ({"aspect_ratio": 9}, "aspect_ratio must be 0.2 to 5.0 .*, not 9"),
    ({"halo_um": 0}, "halo_um must be above 0, not 0"),
    ({"die_um": (0, 5)}, "die_um must be two lengths above 0"),
    ({"strap_width_um": 8}, "strap_pitch_um must be at least 4 x strap_width_um=8, not 27.6"),
])
def test_demands_that_cannot_be_met_are_refused(demands, message):
    with pytest.raises(SpecError, match=message):
        FloorplanSpec(**demands)


@pytest.mark.parametrize("n_macros", [0, 1, 2, 3, 4])
def test_a_floor_plan_is_sound(n_macros):
    netlist, placement = plan(500, n_macros)
    check_netlist(netlist, CELLS)
    check_floorplan(placement, CELLS, TECHNOLOGY)
    assert not check.find_overlaps(placement, CELLS) and not check.find_outside(placement, CELLS)
    assert not check.find_off_rows(placement, CELLS, TECHNOLOGY)
    assert sum(CELLS[placed.cell].is_macro for placed in placement.instances.values()) == n_macros
    macros = [outline(p, CELLS[p.cell]) for p in placement.instances.values() if CELLS[p.cell].is_macro]
    for box in macros:
        assert min(box.y0 - placement.core.y0, placement.core.y1 - box.y1) < 340          # at an edge
    rows = [Rect(row.x0, row.y, row.x1, row.y + 2720) for row in placement.rows]
    assert not any(row.overlaps(box.grown(4000)) for row in rows for box in macros)
    assert placement.die.x1 % 460 == 0 and placement.die.y1 % 2720 == 0
    assert placement.core.x0 % 460 == 0 and placement.core.y0 % 2720 == 0


@pytest.mark.parametrize("utilised", [0.4, 0.65, 0.9])
def test_utilisation_is_what_was_asked_for(utilised):
    """No lower than the next smaller die would give, within a row and a site."""
    netlist, placement = plan(1200, 1, utilisation=utilised)
    assert utilised * 0.98 < utilisation(placement, netlist, CELLS, TECHNOLOGY) <= utilised


def test_aspect_ratio():
    for ratio in (0.5, 1.0, 2.0):
        _, placement = plan(600, 0, aspect_ratio=ratio)
        assert placement.core.height / placement.core.width == pytest.approx(ratio, rel=0.05)


def test_a_die_is_taken_as_given():
    _, placement = plan(150, 1, die_um=(200, 250))
    assert 198 < placement.die.x1 / 1000 <= 200 and 244 < placement.die.y1 / 1000 <= 250


@pytest.mark.parametrize("n_macros, die, message", [
    (0, (45, 42), r"a die of 45.00 x 42.00 um is too small for random: its standard cells take 1,\d{3} um2 in rows of "
                  r"at least 30.12 um, which straps of both supplies cross; the rows that are left hold 1,0\d\d um2, "
                  r"which is a utilisation of 1\.\d+, and at most 0.95 can be placed; try die_um of \d+\.\d+ x "
                  r"\d+\.\d+ um, for utilisation 0.7"),
    (0, (40, 90), r"a die of 40.00 x 90.00 um is too small for random: .* in rows of at least 30.12 um"),
    (2, (150, 150), r"a die of 150.00 x 150.00 um is too small for random: .* and 2 macros of 90.00 x 75.50 um stand "
                    r"beside them; try die_um of"),
    (1, (104, 110), r"too small for random: .* and 1 macros"),
])
def test_a_die_too_small_says_by_how_much_and_what_to_try(n_macros, die, message):
    with pytest.raises(SpecError, match=message) as error:
        plan(150, n_macros, die_um=die)
    advice = str(error.value).split("die_um of ")[1].split(" um")[0]
    suggested = tuple(float(side) for side in advice.split(" x "))
    _, placement = plan(150, n_macros, die_um=suggested)                  # what it says does work
    assert placement.die.x1 <= suggested[0] * 1000


def test_a_netlist_that_fits_on_no_die_is_refused(monkeypatch):
    monkeypatch.setattr("flow.floorplan.plan.MOST_SIDE_UM", 50.0)
    with pytest.raises(SpecError, match="random must fit into 0.05 x 0.05 mm, and does not at utilisation 0.7"):
        plan(500)


def test_a_netlist_without_cells_is_refused():
    netlist = random_netlist(150, 7)
    with pytest.raises(SpecError, match="must have standard cells, and has none"):
        build_floorplan(replace(netlist, instances={}, nets={}), CELLS, TECHNOLOGY, FloorplanSpec())


def test_pins_of_macros_face_the_middle():
    """The memory's pins are at its lower and its left side."""
    memory = CELLS["memory"]
    assert pin_sides(memory) == {BOTTOM: 4, LEFT: 1}
    assert [best_orientation(memory, edge, half) for edge in (BOTTOM, TOP) for half in (LEFT, RIGHT)] == [
        "S", "FS", "FN", "N"]
    assert pin_sides(memory, "S") == {TOP: 4, RIGHT: 1}


def test_halos_are_wide_where_pins_are():
    macros = {"m": Placed("memory", 10000, 10000, "N", True)}
    (box,) = keep_outs(macros, CELLS, FloorplanSpec(), TECHNOLOGY)
    left, below, right, above = 10000 - box.x0, 10000 - box.y0, box.x1 - 100000, box.y1 - 85500
    assert min(left, below) >= 10000 and 4000 <= min(right, above) and max(right, above) < 4500


def test_macros_that_cannot_be_connected_are_refused():
    netlist = random_netlist(150, 7, 1)
    memory = CELLS["memory"]

    def with_pins(**pins):
        return CELLS | {"memory": replace(memory, pins={**memory.pins, **pins})}
    vdd = memory.pins["vdd"]
    for cells, message in (
        (with_pins(clk=replace(memory.pins["clk"], shapes=())), "must have a shape in its LEF, not clk"),
        (with_pins(vdd=replace(vdd, use="SIGNAL")), "must have a POWER and a GROUND pin, not GROUND"),
        (with_pins(vdd=replace(vdd, shapes=(Shape("met3", 0, 0, 90000, 1000),))), "vertical straps in met4, and vdd"),
        (with_pins(vdd=replace(vdd, shapes=(Shape("met4", 30000, 5000, 31200, 9000),))),
         "supply pin m0/vdd must be crossed by a met5 strap of its net.*use a cross_pitch_um below 4.0, not 40.8"),
    ):
        with pytest.raises(SpecError, match=message):
            build_floorplan(netlist, cells, TECHNOLOGY, FloorplanSpec())


# Rows and taps

def test_rows_end_at_what_keeps_them_out():
    core = Rect(4600, 5440, 4600 + 460 * 100, 5440 + 2720 * 3)
    rows = cut_rows(core, [Rect(20000, 0, 25000, 5440 + 2720 + 1)], TECHNOLOGY, 460 * 30)
    assert [(row.y, row.x0, row.x1, row.orientation) for row in rows] == [
        (5440, 4600, 4600 + 460 * 33, "N"), (5440, 4600 + 460 * 45, 50600, "N"),
        (8160, 4600, 4600 + 460 * 33, "FS"), (8160, 4600 + 460 * 45, 50600, "FS"),
        (10880, 4600, 50600, "N")]
    assert len(cut_rows(core, [Rect(20000, 0, 25000, 8161)], TECHNOLOGY, 460 * 40)) == 3


def test_every_site_has_a_tap_near_and_neighbouring_rows_are_staggered():
    _, placement = plan(1000)
    taps = [placed for placed in placement.instances.values() if "tap" in placed.cell]
    assert farthest_from_tap(placement.rows, taps, 460) <= TAP_REACH_SITES
    lower, upper = ({tap.x for tap in taps if tap.y == row.y} for row in placement.rows[:2])
    inner = sorted(lower)[1:-1]
    assert inner and all(x + TAP_REACH_SITES * 460 in upper for x in inner[:-1])
    fewer = {name: placed for name, placed in placement.instances.items() if placed not in taps[3:4]}
    assert find_far_from_tap(replace(placement, instances=fewer), TECHNOLOGY)
    with pytest.raises(SpecError, match="every site must be within 28 sites of a tap in its row, and one is 5[0-9]"):
        check_floorplan(replace(placement, instances=fewer), CELLS, TECHNOLOGY)


# Power grid

def test_straps_take_few_tracks_and_every_rail_is_reached():
    _, placement = plan(800)
    assert {shape.layer for net in placement.supplies.values() for shape in net.straps} == {"met4"}
    for net in placement.supplies.values():
        rails = {(rail.y0 + rail.y1) // 2 for rail in net.rails}
        assert rails == {use.y for use in net.vias} and net.pins == net.straps
    for use, x in power.strap_columns(placement.core, FloorplanSpec(), TECHNOLOGY):
        assert (x - 230) % 920 == 460 and use in ("POWER", "GROUND")


def test_macros_are_joined_by_horizontal_straps():
    _, placement = plan(800, 2)
    assert find_broken_supplies(placement, CELLS, TECHNOLOGY) == []
    assert {shape.layer for net in placement.supplies.values() for shape in net.pins} == {"met5"}
    for name in placement.supplies:
        net = placement.supplies[name]
        straps = tuple(shape for shape in net.straps if shape.layer != "met5")
        vias = tuple(use for use in net.vias if "met5" not in use.via)
        cut = placement.supplies | {name: SupplyNet(net.use, net.rails, straps, (), vias)}
        (line,) = find_broken_supplies(replace(placement, supplies=cut), CELLS, TECHNOLOGY)
        assert f"supply {name} must be one piece of metal, and is" in line


def test_a_rail_without_its_vias_and_nets_that_touch_are_found():
    _, placement = plan(300)
    vpwr, vgnd = placement.supplies["VPWR"], placement.supplies["VGND"]
    y = vpwr.vias[0].y
    loose = replace(vpwr, vias=tuple(use for use in vpwr.vias if use.y != y))
    with pytest.raises(SpecError, match="supply VPWR must be one piece of metal, and is 2, the least of 1 shapes"):
        check_floorplan(replace(placement, supplies={"VPWR": loose, "VGND": vgnd}), CELLS, TECHNOLOGY)
    bridge = Shape("met1", vpwr.rails[0].x0, vgnd.rails[0].y0, vpwr.rails[0].x0 + 200, vpwr.rails[0].y1)
    touching = replace(vpwr, straps=(*vpwr.straps, bridge))
    assert "supplies VPWR and VGND touch each other" in find_broken_supplies(
        replace(placement, supplies={"VPWR": touching, "VGND": vgnd}), CELLS, TECHNOLOGY)


def test_via_stacks_keep_the_rules_of_the_tech_lef():
    """Spacing and enclosure of everything that the grid draws, by KLayout."""
    _, placement = plan(500, 1)
    drawn = {}
    for name in placement.supplies:
        for shape in placement.supply_shapes(name):
            drawn.setdefault(shape.layer, kdb.Region()).insert(kdb.Box(*shape.rect))
    for name, layer in TECHNOLOGY.layers.items():
        if name in drawn:
            merged = drawn[name].merged()
            assert not merged.space_check(layer.spacing).count() and not merged.width_check(layer.width).count(), name
            assert not merged.with_area(0, layer.min_area, False).count(), name
    for (lower, upper), cut_name in TECHNOLOGY.cut_between.items():
        if cut_name in drawn:
            cut, cuts = TECHNOLOGY.cuts[cut_name], drawn[cut_name]
            assert not cuts.merged().space_check(cut.spacing).count()
            for metal, rule in ((lower, cut.enclosure_below), (upper, cut.enclosure_above)):
                for across in (rule, rule[::-1]):
                    if (cuts.sized(*across) - drawn[metal].merged()).is_empty():
                        break
                else:
                    pytest.fail(f"{cut_name} is not enclosed by {metal}")


# Pins

def test_pins_get_the_nearest_places_in_order():
    rng = random.Random(5)
    for _ in range(20):
        wanted = sorted(rng.sample(range(40), 4))
        places = sorted(rng.sample(range(40), 7))
        from itertools import combinations
        best = min(sum(abs(a - b) for a, b in zip(wanted, some, strict=True)) for some in combinations(places, 4))
        chosen = match_in_order(wanted, places)
        assert chosen == sorted(set(chosen))
        assert sum(abs(a - places[k]) for a, k in zip(wanted, chosen, strict=True)) == best


def test_places_of_pins_are_on_tracks_at_the_edge_and_not_at_macros():
    netlist, empty = plan(800, 2)
    slots = find_slots(empty, CELLS, TECHNOLOGY)
    assert {slot.shape.layer for slot in slots} == {"met2", "met3"}
    ports = {f"p{k}": slot.shape for k, slot in enumerate(slots)}
    everywhere = replace(netlist, ports=dict.fromkeys(ports, "input"))
    assert check.find_bad_pins(replace(empty, ports=ports), everywhere, TECHNOLOGY) == []
    macros = [outline(p, CELLS[p.cell]) for p in empty.instances.values() if CELLS[p.cell].is_macro]
    assert not any(macro.overlaps(slot.shape.rect.grown(20000)) for slot in slots for macro in macros)


def test_pins_go_where_their_nets_are():
    _, empty = plan(300)
    die = empty.die
    wishes = {"left": (0, die.y1 // 2), "right": (die.x1, die.y1 // 2), "top": (die.x1 // 2, die.y1)}
    found = assign_pins(wishes, find_slots(empty, CELLS, TECHNOLOGY), "x")
    assert found["left"].x0 == 0 and found["right"].x1 == die.x1 and found["top"].y1 == die.y1
    assert abs(found["left"].y0 - die.y1 // 2) < 1400


def test_more_pins_than_places_is_refused():
    _, empty = plan(150)
    slots = find_slots(empty, CELLS, TECHNOLOGY)
    wishes = {f"p{k}": (0, 0) for k in range(len(slots) + 1)}
    with pytest.raises(SpecError, match=f"a place for each of the {len(slots) + 1} pins of x, and has {len(slots)}"):
        assign_pins(wishes, slots, "x")


# Placement

def test_a_placement_is_legal_and_short(placed):
    netlist, empty, placement = placed
    check_placement(placement, netlist, CELLS, TECHNOLOGY)
    assert set(placement.instances) == set(empty.instances) | set(netlist.instances)
    assert {name: placement.instances[name] for name in empty.instances} == empty.instances
    rng = random.Random(1)
    names = [name for name in netlist.instances if name.startswith("g")]
    shuffled = dict(zip(names, rng.sample([placement.instances[name] for name in names], len(names)), strict=True))
    mixed = replace(placement, instances={**placement.instances, **{
        name: replace_place(placement.instances[name], place) for name, place in shuffled.items()}})
    length, random_length = (sum(half_perimeters(p, netlist, CELLS).values()) for p in (placement, mixed))
    assert length < 0.4 * random_length


def replace_place(cell, place):
    return cell._replace(x=place.x, y=place.y, orientation=place.orientation)


def test_the_same_floor_plan_gives_the_same_placement(placed, tmp_path):
    netlist, empty, placement = placed
    desk = Desk(tmp_path / "place.log")
    pins = place_pins(empty, netlist, CELLS, TECHNOLOGY, FAST, desk)
    again = place_cells(pins, netlist, CELLS, TECHNOLOGY, FAST, desk)
    assert write_def(Design(again, netlist), TECHNOLOGY) == write_def(Design(placement, netlist), TECHNOLOGY)
    assert "Detailed placement done" in (tmp_path / "place.log").read_text()


def test_a_net_that_counts_more_gets_shorter(placed, tmp_path):
    netlist, empty, placement = placed
    lengths = half_perimeters(placement, netlist, CELLS)
    worst = sorted((net for net in lengths if net != "clk"), key=lambda net: -lengths[net])[:5]
    pins = replace(empty, ports=placement.ports)
    heavy = place_cells(pins, netlist, CELLS, TECHNOLOGY, FAST, Desk(tmp_path / "log"), dict.fromkeys(worst, 20.0))
    after = half_perimeters(heavy, netlist, CELLS)
    assert sum(after[net] for net in worst) < 0.7 * sum(lengths[net] for net in worst)
    with pytest.raises(SpecError, match="weights must be of nets of random, not nothing"):
        place_cells(pins, netlist, CELLS, TECHNOLOGY, FAST, Desk(tmp_path / "log"), {"nothing": 2.0})


def test_cells_that_do_not_fit_are_refused_before_the_placer_starts(tmp_path):
    netlist, empty = plan(300)
    short = replace(empty, rows=empty.rows[: len(empty.rows) // 2], instances={})
    with pytest.raises(SpecError, match=r"cells of random must fit into the rows, and fill 1\.\d+ of what end caps"):
        place_cells(short, netlist, CELLS, TECHNOLOGY, FAST, Desk(tmp_path / "log"))
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("body, message", [
    ("raise RuntimeError('no row for it')", "the placer failed on random: no row for it; its cells fill 0.7"),
    ("import os; os.abort()", "the placer failed on random: .*ended by signal 6"),
    ("pass", "the placer left no solution for random: .*No such file"),
    ("import sys; open(sys.argv[2], 'w').write('{')", "the placer left no solution for random: Input data was trunc"),
])
def test_a_placer_that_fails_is_one_message(tmp_path, monkeypatch, body, message):
    netlist, empty = plan(150)
    (tmp_path / "broken_placer.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("flow.place.engine.WORKER", "broken_placer")
    with pytest.raises(SpecError, match=message):
        place_cells(empty, netlist, CELLS, TECHNOLOGY, FAST, Desk(tmp_path / "log"))


# Each rule of legality has a placement that breaks it

def broken(placed, change):
    """The lines that the check says about a placement after change(instances) on a copy of its instances."""
    netlist, _, placement = placed
    instances = dict(placement.instances)
    result = change(instances)
    with pytest.raises(SpecError) as error:
        check_placement(result or replace(placement, instances=instances), netlist, CELLS, TECHNOLOGY)
    return str(error.value)


def test_missing_and_exchanged_instances_are_found(placed):
    def lose(instances):
        del instances["g3"]
        instances["g4"] = instances["g4"]._replace(cell=f"{LIBRARY}__fill_1")
    text = broken(placed, lose)
    assert "1 instances have no place: g3" in text and "1 instances are of another cell than in the netlist: g4" in text


def test_overlaps_are_found(placed):
    def stack(instances):
        instances["g3"] = instances["g3"]._replace(x=instances["g4"].x, y=instances["g4"].y,
                                                   orientation=instances["g4"].orientation)
    assert "pairs of instances overlap: " in broken(placed, stack)


def test_a_cell_over_a_macro_or_in_its_halo_is_found(placed):
    def cover(instances):
        macro = instances["m0"]
        instances["g3"] = instances["g3"]._replace(x=macro.x + 4600, y=macro.y + 2720)
    text = broken(placed, cover)
    assert "1 cells are too near to a macro: g3" in text and "1 cells do not stand in a row: g3" in text
    assert "overlap: g3 and m0" in text or "overlap: m0 and g3" in text


def test_cells_off_site_off_row_and_upside_down_are_found(placed):
    def shift(instances):
        instances["g3"] = instances["g3"]._replace(x=instances["g3"].x + 5)
    assert "1 cells are not on sites: g3" in broken(placed, shift)

    def lift(instances):
        instances["g3"] = instances["g3"]._replace(y=instances["g3"].y + 340)
    assert "1 cells do not stand in a row: g3" in broken(placed, lift)

    def turn(instances):
        other = {"N": "FS", "FN": "S", "FS": "N", "S": "FN"}
        instances["g3"] = instances["g3"]._replace(orientation=other[instances["g3"].orientation])
    assert "1 cells are turned against their row: g3" in broken(placed, turn)


def test_a_cell_outside_of_the_core_is_found(placed):
    def leave(instances):
        instances["g3"] = instances["g3"]._replace(x=0)
    assert "1 instances reach out of the core: g3 (0.0," in broken(placed, leave)


@pytest.mark.parametrize("shape, message", [
    (None, "1 ports have no place: i[3]"),
    (lambda s, d: Shape(s.layer, s.x0 + 2300, s.y0 + 2720, s.x1 + 2300, s.y1 + 2720), "not at the die's edge: i[3]"),
    (lambda s, d: s.moved(*((5, 0) if s.layer == "met2" else (0, 5))), "off their layer's tracks: i[3]"),
    (lambda s, d: Shape("met2", s.x0, s.y0, s.x0 + 140, s.y0 + 140), "smaller than the least area: i[3]"),
    (lambda s, d: d["i[4]"], "pairs of ports are nearer than the spacing rule: i[4] and i[3]"),
])
def test_bad_pins_are_found(placed, shape, message):
    def move(instances):
        placement = placed[2]
        ports = dict(placement.ports)
        old = ports.pop("i[3]")
        if shape:
            ports["i[3]"] = shape(old, ports)
        return replace(placement, ports={port: ports[port] for port in placed[0].ports if port in ports})
    assert message in broken(placed, move)


def test_overlaps_by_brute_force():
    import numpy as np
    rng = np.random.default_rng(3)
    corners = rng.integers(0, 60, (80, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, 9, (80, 2))])
    expected = {(a, b) for a in range(80) for b in range(a + 1, 80) if Rect(*boxes[a]).overlaps(Rect(*boxes[b]))}
    found = list(overlapping(boxes))
    assert set(found) == expected and len(found) == len(expected) > 10


# Fill

def test_fill_leaves_no_gap_and_moves_nothing(placed):
    netlist, _, placement = placed
    full = add_fill(placement, CELLS, TECHNOLOGY)
    check_placement(full, netlist, CELLS, TECHNOLOGY)
    check_filled(full, CELLS)
    assert placement.instances.items() <= full.instances.items()
    fills = {placed.cell.removeprefix(f"{LIBRARY}__") for name, placed in full.instances.items() if "FILL" in name}
    assert {"decap_12", "fill_1"} <= fills
    with pytest.raises(SpecError, match="rows of random must have no gaps, and have: [1-9]"):
        check_filled(placement, CELLS)
    assert CONFIG.why_not(f"{LIBRARY}__fill_1") is None
