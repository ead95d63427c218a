"""Placements: what they must be, on small netlists from a seed, and checks that find what is wrong."""

import random
from dataclasses import replace

import pytest
from physical_kit import CONFIG, LIBRARY

from flow.physical.abstract import CellAbstract
from flow.physical.def_write import write_def
from flow.physical.design import Design, Placed, Placement, Row, half_perimeters, outline
from flow.physical.geometry import Rect, Shape
from flow.place import check
from flow.place.check import check_filled, check_placement, overlapping
from flow.place.engine import Desk, improve_cells, place_cells, place_pins
from flow.place.fill import add_fill
from flow.place.pins import assign_pins, find_slots, match_in_order
from flow.place.problem import find_channels, rows_off_channels
from flow.place.spec import PlaceSpec
from golden.spec import SpecError
from tests.floor_plans import CELLS, TECHNOLOGY, plan

FAST = PlaceSpec(effort=1)


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """A floor plan with two macros, and it with pins and cells."""
    netlist, empty = plan(400, 2)
    desk = Desk(tmp_path_factory.mktemp("place") / "place.log")
    pins = place_pins(empty, netlist, CELLS, TECHNOLOGY, FAST, desk)
    return netlist, empty, place_cells(pins, netlist, CELLS, TECHNOLOGY, FAST, desk)


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
    netlist, empty = plan(800, 2, utilisation=0.2)
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


def test_a_changed_netlist_is_placed_near_where_it_was(placed, tmp_path):
    """A buffer on top of another cell, a cell with another drive, one that is fixed: legal again, and hardly moved."""
    netlist, _, placement = placed
    desk = Desk(tmp_path / "log")
    driver = netlist.driver("n20", CELLS)
    nets = dict(netlist.nets)
    nets["n20"], nets["n20_b"] = (driver, ("buffer", "A")), (("buffer", "Y"), *nets["n20"][1:])
    changed = replace(netlist, instances={**netlist.instances, "buffer": f"{LIBRARY}__inv_1"}, nets=nets)
    over = placement.instances["g30"]
    instances = {**placement.instances, "g40": placement.instances["g40"]._replace(fixed=True),
                 "buffer": Placed(f"{LIBRARY}__inv_1", over.x + 7, over.y + 900, "N")}
    again = improve_cells(replace(placement, instances=instances), changed, CELLS, TECHNOLOGY, FAST, desk)
    check_placement(again, changed, CELLS, TECHNOLOGY)
    assert again.instances["g40"] == instances["g40"]
    moved = [abs(again.instances[name].x - old.x) + abs(again.instances[name].y - old.y)
             for name, old in instances.items()]
    assert sum(moved) / len(moved) < 3000
    assert "Global placement" not in (tmp_path / "log").read_text()
    with pytest.raises(SpecError, match="cells must have a place to go on from, not buffer"):
        improve_cells(placement, changed, CELLS, TECHNOLOGY, FAST, desk)


def test_macros_must_be_placed_first(tmp_path):
    netlist, empty = plan(150, 1)
    instances = {name: placed for name, placed in empty.instances.items() if name != "m0"}
    with pytest.raises(SpecError, match="macros must have a place before cells do, not m0"):
        place_cells(replace(empty, instances=instances), netlist, CELLS, TECHNOLOGY, FAST, Desk(tmp_path / "log"))


MACRO = CellAbstract("memory", "BLOCK", 300_000, 100_000, {}, ())


def stacked(gap):
    """Two macros one above the other at the left, rows of 400 um all over."""
    rows = tuple(Row(y, 1_000, 401_000, "N") for y in range(0, 400_000, 2720))
    places = {"low": Placed("memory", 1_100, 0, "N", fixed=True),
              "high": Placed("memory", 1_100, 100_000 + gap, "N", fixed=True)}
    return Placement("top", Rect(0, 0, 402_000, 402_000), Rect(1_000, 0, 401_000, 400_000), rows, places)


def test_no_cell_is_placed_in_a_channel_between_macros():
    """100 um are a channel 300 um deep; 160 um are room."""
    cells = {"memory": MACRO}
    assert find_channels(stacked(100_000), cells) == [Rect(1_100, 100_000, 301_100, 200_000)]
    assert not find_channels(stacked(160_000), cells)
    found = {row.y: (x0, x1) for row, x0, x1 in rows_off_channels(stacked(100_000), cells, 460)}
    for y, (x0, x1) in found.items():
        assert (x0 - 1_000) % 460 == 0 and x1 == 401_000
        assert x0 == (301_380 if 100_000 <= y < 200_000 else 1_000)          # the next site after 301.1 um
    assert len(found) == len(stacked(100_000).rows)


def fullest(placement, width=20_000):
    """Part of the rows that cells fill in the fullest windows: the mean of the upper quarter."""
    taken, room = {}, {}
    pieces = [(row.y, row.x0, row.x1, room) for row in placement.rows]
    pieces += [(box.y0, box.x0, box.x1, taken) for name, box in
               ((name, outline(placed, CELLS[placed.cell])) for name, placed in placement.instances.items())
               if name.startswith("g")]
    for y, x0, x1, where in pieces:
        for x in range(x0, x1, 460):
            key = (x // width, y // width)
            where[key] = where.get(key, 0) + 1
    parts = sorted((taken.get(key, 0) / sites for key, sites in room.items() if sites > 150), reverse=True)
    return sum(parts[:len(parts) // 4]) / (len(parts) // 4)


def test_density_bounds_how_full_rows_become(tmp_path):
    netlist, empty = plan(800, utilisation=0.5)
    desk = Desk(tmp_path / "log")
    loose, tight = (place_cells(empty, netlist, CELLS, TECHNOLOGY, PlaceSpec(effort=1, density=density), desk)
                    for density in (0.6, 1.0))
    lengths = [sum(half_perimeters(placement, netlist_without_ports(netlist), CELLS).values())
               for placement in (loose, tight)]
    assert fullest(loose) < fullest(tight) - 0.1, (fullest(loose), fullest(tight))
    assert lengths[1] < lengths[0]


def netlist_without_ports(netlist):
    return replace(netlist, nets={net: pins for net, pins in netlist.nets.items() if pins[0][0]})


@pytest.mark.parametrize("demands, message", [
    ({"effort": 10}, "effort must be an integer in 1 .. 9, not 10"), ({"seed": -1}, "seed must be an integer of at le"),
    ({"density": 0.4}, "density must be 0.5 to 1.0, not 0.4")])
def test_placement_demands_that_cannot_be_met_are_refused(demands, message):
    with pytest.raises(SpecError, match=message):
        PlaceSpec(**demands)


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


def test_a_missing_placer_is_one_message(tmp_path, monkeypatch):
    from flow.steps.place import run_place
    monkeypatch.setattr("flow.place.engine.PACKAGE", "no-such-placer")
    with pytest.raises(SpecError, match="needs the Python package no-such-placer, which is not installed; rm -r .venv"):
        run_place(None, {}, tmp_path)


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
