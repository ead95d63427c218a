"""Floor plans: what they must be, on small netlists from a seed, and checks that find what is wrong."""

from dataclasses import replace

import klayout.db as kdb
import numpy as np
import pytest
from random_netlist import random_netlist

from flow.floorplan import power
from flow.floorplan.check import check_floorplan, find_broken_supplies, find_far_from_tap
from flow.floorplan.macros import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    best_orientation,
    find_halos,
    keep_outs,
    macro_row,
    pin_sides,
    wire_room,
)
from flow.floorplan.plan import build_floorplan, mean_ways, utilisation
from flow.floorplan.rows import cut_rows, farthest_from_tap
from flow.floorplan.spec import TAP_REACH_SITES, FloorplanSpec
from flow.physical.design import Placed, Row, SupplyNet, outline
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import check_netlist
from flow.place import check
from golden.spec import SpecError
from tests.floor_plans import CELLS, TECHNOLOGY, plan

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


def test_the_channel_between_macros_has_room_for_their_wires():
    """Pins that face each other, in one half, on half of the tracks of met1 and met3."""
    memory = CELLS["memory"]
    rows = [macro_row(edge, ["a", "b", "c"], [memory] * 3, FloorplanSpec(), TECHNOLOGY) for edge in (BOTTOM, TOP)]
    assert [row.pins_inward(half) for row in rows for half in (LEFT, RIGHT)] == [8, 4, 8, 4]
    assert wire_room(rows, TECHNOLOGY) == round(16 / (0.5 / 340 + 0.5 / 680))
    assert wire_room([], TECHNOLOGY) == 0


def test_halos_are_wide_where_pins_are():
    macros = {"m": Placed("memory", 10000, 10000, "N", True)}
    (box,) = keep_outs(macros, CELLS, find_halos([CELLS["memory"]], FloorplanSpec(), TECHNOLOGY))
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
    with pytest.raises(SpecError, match="within 28 sites of a tap in its row, and one is [3-5][0-9] away"):
        check_floorplan(replace(placement, instances=fewer), CELLS, TECHNOLOGY)


def test_mean_ways_are_those_of_all_pairs_of_places():
    rows = [Row(0, 0, 9200, "N"), Row(2720, 4600, 9200, "FS"), Row(5440, 0, 920, "N")]
    cells = [(x, row.y + y) for row in rows for x in range(row.x0 + 23, row.x1, 46) for y in range(85, 2720, 170)]
    for axis, way in enumerate(mean_ways(rows, 2720)):
        at = np.array([cell[axis] for cell in cells])
        assert way == pytest.approx(np.abs(at[:, None] - at[None, :]).mean(), rel=0.01)


def test_rows_between_macros_are_one_compact_area():
    """Of the dies for two macros, that with rows left in corners beside them is smaller around, and has longer wires.
    """
    _, placement = plan(800, 2)
    ways = mean_ways(placement.rows, TECHNOLOGY.row_height)
    area = sum(row.x1 - row.x0 for row in placement.rows) * TECHNOLOGY.row_height
    assert sum(ways) < 1.1 * 2 / 3 * area ** 0.5


# Power grid

def test_straps_take_few_tracks_and_every_rail_is_reached():
    _, placement = plan(800)
    assert {shape.layer for net in placement.supplies.values() for shape in net.straps} == {"met4"}
    for net in placement.supplies.values():
        rails = {(rail.y0 + rail.y1) // 2 for rail in net.rails}
        assert rails == {use.y for use in net.vias if use.via.startswith("met1")} and net.pins == net.straps
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
    loose = replace(vpwr, vias=tuple(use for use in vpwr.vias if abs(use.y - y) > 340))
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
