"""Extraction: resistance of drawn wires, the field against closed forms and the kit's table, edges by geometry."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from physical_kit import CONFIG, kit_technology

from flow.extract.corners import rc_corner, temperature_of
from flow.extract.estimates import estimate
from flow.extract.kit_tables import load_kit_table, pattern_name
from flow.extract.network import build_network
from flow.extract.patterns import above_of, below_of, section
from flow.extract.spec import ExtractSpec
from flow.extract.spef import RcNet, check_rc_net
from flow.extract.stack import ATTOFARAD, HEIGHTS_UM
from flow.extract.tables import as_arrays, load_tables
from flow.extract.wires import build_networks, extract_wires, ohms_of
from flow.physical.design import Design, NetRoute, Placement, ViaUse, Wire
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import Netlist
from golden.spec import SpecError

TECHNOLOGY = kit_technology()
OHMS = ohms_of(TECHNOLOGY, 25.0)


def between_ports(route, *shapes):
    """The network of a net between ports p0, p1, ..."""
    return build_network(route, {("", f"p{k}"): [shape] for k, shape in enumerate(shapes)}, TECHNOLOGY, OHMS)


def resistance(network, a, b):
    """Between two nodes, by a nodal solution."""
    nodes = list(network.nodes)
    matrix = np.zeros((len(nodes), len(nodes)))
    for part in network.resistors:
        i, j = nodes.index(part.a), nodes.index(part.b)
        matrix[[i, j], [i, j]] += 1 / part.ohm
        matrix[[i, j], [j, i]] -= 1 / part.ohm
    current = np.zeros(len(nodes))
    current[[nodes.index(a), nodes.index(b)]] = 1, -1
    voltage = np.linalg.pinv(matrix) @ current
    return voltage[nodes.index(a)] - voltage[nodes.index(b)]


P0, P1, P2 = ("", "p0"), ("", "p1"), ("", "p2")
BEND = NetRoute((Wire("met2", 0, 0, 0, 10_000), Wire("met1", 0, 10_000, 7_000, 10_000)),
                (ViaUse("M1M2_PR_M", 0, 10_000),))
ENDS = Shape("met2", -70, -70, 70, 70), Shape("met1", 6_930, 9_930, 7_070, 10_070)


def test_a_wire_has_its_sheet_resistance_and_a_via_its_cut():
    network = between_ports(BEND, *ENDS)
    assert resistance(network, P0, P1) == pytest.approx((10 + 7) / 0.14 * 0.125 + 4.5, abs=1e-9)
    hot = build_network(BEND, {P0: [ENDS[0]], P1: [ENDS[1]]}, TECHNOLOGY, ohms_of(TECHNOLOGY, 100.0))
    assert resistance(hot, P0, P1) == pytest.approx(10 / 0.14 * 0.125 * 1.2330 + 7 / 0.14 * 0.125 * 1.2402
                                                    + 4.5 * 1.0800, rel=1e-3)


def test_branches_part_at_the_wire_and_loops_stay():
    branch = replace(BEND, wires=(*BEND.wires, Wire("met1", 3_000, 10_000, 3_000, 12_000)))
    network = between_ports(branch, *ENDS, Shape("met1", 2_930, 11_930, 3_070, 12_070))
    assert resistance(network, P1, P2) == pytest.approx((4 + 2) / 0.14 * 0.125)
    around = NetRoute((Wire("met1", 0, 0, 4_000, 0), Wire("met1", 4_000, 0, 4_000, 3_000),
                       Wire("met1", 0, 3_000, 4_000, 3_000), Wire("met1", 0, 0, 0, 3_000)))
    network = between_ports(around, Shape("met1", -70, -70, 70, 70), Shape("met1", 3_930, 2_930, 4_070, 3_070))
    assert resistance(network, P0, P1) == pytest.approx(7 / 2 / 0.14 * 0.125)


def test_a_patch_conducts_where_it_joins_and_not_where_it_widens():
    gap = NetRoute((Wire("met1", 0, 0, 2_000, 0), Wire("met1", 3_000, 0, 5_000, 0)),
                   patches=(Shape("met1", 1_900, -70, 3_100, 70), Shape("met1", 0, -70, 2_000, 70)))
    ends = Shape("met1", -70, -70, 0, 70), Shape("met1", 5_000, -70, 5_070, 70)
    assert resistance(between_ports(gap, *ends), P0, P1) == pytest.approx(5 / 0.14 * 0.125)
    apart = between_ports(replace(gap, patches=gap.patches[1:]), *ends)
    with pytest.raises(SpecError, match="all pins of n must hang together"):
        check_rc_net(RcNet("n", apart.resistors), (P0, P1))


def test_a_missing_via_is_an_open():
    with pytest.raises(SpecError, match="no way leads to p1"):
        check_rc_net(RcNet("n", between_ports(replace(BEND, vias=()), *ENDS).resistors), (P0, P1))


@pytest.mark.parametrize(("layer", "below"), [("met3", "met2"), ("met4", "met3")])
def test_a_lone_wire_over_a_plate_is_sakurais(layer, below):
    """T. Sakurai, K. Tamaru, IEEE Trans. Electron Devices 30 (1983) 183: within 6 % for w/h and t/h from 0.3 to 30;
    with two neighbours (Sakurai, IEEE J. Solid-State Circuits 18 (1983) 418) within 10 % for s/h from 0.5 to 10."""
    height = HEIGHTS_UM[layer][0] - HEIGHTS_UM[below][1]
    w, t = 0.3 / height, (HEIGHTS_UM[layer][1] - HEIGHTS_UM[layer][0]) / height
    k = 4.15 if layer == "met3" else 4.05                      # above the plate, around the wire
    alone = 1.15 * w + 2.80 * t ** 0.222
    assert 2 * section(layer, below, None, 9.0, 0.3)[0].total == pytest.approx(alone * k * ATTOFARAD, rel=0.08)
    for gap in (0.45, 0.9):
        near = alone + 2 * (0.03 * w + 0.83 * t - 0.07 * t ** 0.222) * (gap / height) ** -1.34
        assert 2 * section(layer, below, None, gap, 0.3)[0].total == pytest.approx(near * k * ATTOFARAD, rel=0.12)


PATTERNS = [("met1", 0, 0), ("met1", 1, 0), ("met1", 0, 1), ("met1", 1, 1), ("met2", 0, 0), ("met2", 1, 0),
            ("met2", 1, 1), ("met2", 2, 1)]
"""Metals whose gaps in the table are the kit's."""


def test_the_table_is_the_kits_where_only_one_number_a_gap_was_taken_from_it():
    """Coupling over bare silicon was; fringe, area, and all with plates below and above were not."""
    kit, errors = load_kit_table(CONFIG), []
    tables = load_tables()
    for layer, below, above in PATTERNS:
        table = next(edge for edge in tables.edges if (edge.layer, edge.below, edge.above) == (layer, below, above))
        pattern = pattern_name(layer, below_of(layer, below), above_of(layer, above))
        for index, gap in enumerate(tables.gaps_um[layer]):
            for other, opposite in enumerate(tables.opposite_um[layer]):
                if gap == opposite and (0.14, gap) in kit[pattern]:
                    errors.append(sum(table.narrow[index][other]) / kit[pattern][0.14, gap].total - 1)
    assert len(errors) >= 20
    assert np.mean(np.abs(errors)) < 0.03 and np.max(np.abs(errors)) < 0.07


def test_coupling_falls_with_the_gap_and_a_plate_takes_from_it():
    for edge in load_tables().edges:
        beside = [row[-1][0] for row in edge.narrow]
        assert all(a > b for a, b in pairwise(beside) if a > 0.05)
        assert all(sum(row[0]) <= sum(row[-1]) * 1.3 for row in edge.narrow)
    kinds = {(edge.layer, edge.below, edge.above): edge for edge in load_tables().edges}
    for (layer, below, above), edge in kinds.items():
        if below == 1 and above == 0:
            assert edge.narrow[4][1][0] < kinds[layer, 0, 0].narrow[4][1][0]


def test_estimates_are_between_their_layers_and_warm_wires_have_more_resistance():
    """A wire sideways is more of met1 than of met3, one upwards nearly all of met2; tables and estimates agree on heat.
    """
    cold, warm = (estimate(TECHNOLOGY, "nom", degrees) for degrees in (25.0, 100.0))
    ratio = ohms_of(TECHNOLOGY, 100.0).sheet["met2"] / ohms_of(TECHNOLOGY, 25.0).sheet["met2"]
    assert warm.layers["met2"].ohm_per_um / cold.layers["met2"].ohm_per_um == pytest.approx(ratio) != 1.0
    assert warm.cut_ohm["met1", "met2"] > cold.cut_ohm["met1", "met2"]
    for low, high in (("met1", "met3"), ("met2", "met4")):
        mean, a, b = cold.mean(low, high), cold.layers[low], cold.layers[high]
        assert b.femtofarad_per_um < (a.femtofarad_per_um + b.femtofarad_per_um) / 2 < mean.femtofarad_per_um
        assert mean.femtofarad_per_um < a.femtofarad_per_um


def test_corners_are_in_order():
    corners = load_tables().corners
    for layer, low in corners["min"].plates.items():
        assert all(a < 1 < b for a, b in zip(low, corners["max"].plates[layer], strict=True))
        assert corners["min"].beside[layer][0] < 1 < corners["max"].beside[layer][0]


def test_corners_belong_to_timing_corners():
    assert [rc_corner(CONFIG.corners[name]) for name in sorted(CONFIG.corners)] == ["min", "max", "nom"]
    assert temperature_of("max", CONFIG) == 100.0 and temperature_of("min", CONFIG) == -40.0
    with pytest.raises(SpecError, match="process must be one of ff, tt, ss"):
        rc_corner(msgspec.structs.replace(CONFIG.corners["tt_025C_1v80"], process="sf"))
    with pytest.raises(SpecError, match="corners must be some of min, nom, max"):
        ExtractSpec(corners=("typ",))


def drawn(*wires, patches=()):
    """A design of straight met2 and met3 wires, each a net between two ports at its ends."""
    ports, nets, routes, shapes = {}, {}, {}, {}
    for number, wire in enumerate(wires):
        names = f"a{number}", f"b{number}"
        half = TECHNOLOGY.layers[wire.layer].width // 2
        for name, x, y in ((names[0], wire.x0, wire.y0), (names[1], wire.x1, wire.y1)):
            ports[name], shapes[name] = "inout", Shape(wire.layer, x - half, y - half, x + half, y + half)
        nets[f"n{number}"] = tuple(("", name) for name in names)
        routes[f"n{number}"] = NetRoute((wire,), patches=tuple(patches) if number == 0 else ())
    die = Rect(0, 0, 60_000, 60_000)
    return Design(Placement("top", die, die, ports=shapes), Netlist("top", ports, {}, nets), routes)


def wires_of(design):
    networks = build_networks(design, {}, TECHNOLOGY, OHMS)
    return extract_wires(design, {}, {"nom": networks}, as_arrays(load_tables()))["nom"]


def extracted(design):
    return {net.name: net for net in wires_of(design).nets}


def vertical(x, length=40_000, layer="met2"):
    return Wire(layer, x, 10_000, x, 10_000 + length)


def edge_total(layer, gap_index, opposite_index, below=0, above=0):
    table = next(edge for edge in load_tables().edges if (edge.layer, edge.below, edge.above) == (layer, below, above))
    return sum(table.narrow[gap_index][opposite_index])


@pytest.mark.eda
def test_a_lone_wire_has_the_tables_value_and_its_ends():
    """Two lengths tell the wire from its ends."""
    short, long = (extracted(drawn(vertical(30_000, length)))["n0"].femtofarad for length in (20_000, 40_000))
    assert (long - short) / 20 == pytest.approx(2 * edge_total("met2", -1, -1) * 1e-3, rel=1e-6)
    assert 0.0 < short - 20.14 * 2 * edge_total("met2", -1, -1) * 1e-3 < 0.2


@pytest.mark.eda
def test_neighbours_couple_by_gap_both_ways_and_a_fixed_one_is_ground():
    near = extracted(drawn(vertical(30_000), vertical(30_490)))
    table = next(edge for edge in load_tables().edges if (edge.layer, edge.below, edge.above) == ("met2", 0, 0))
    coupling = near["n0"].coupling_femtofarad
    assert coupling == near["n1"].coupling_femtofarad == pytest.approx(40.14 * table.narrow[4][2][0] * 1e-3, rel=0.02)
    far = extracted(drawn(vertical(30_000), vertical(31_000)))
    assert far["n0"].coupling_femtofarad < coupling
    alone = drawn(vertical(30_000))
    blocked = replace(alone, placement=replace(alone.placement, supplies={}))
    assert extracted(blocked)["n0"].coupling_femtofarad == 0


@pytest.mark.eda
def test_a_wire_across_couples_and_the_whole_grows():
    across = Wire("met3", 10_000, 30_000, 50_000, 30_000)
    more = drawn(vertical(30_000), across)
    crossed, alone = extracted(more)["n0"], extracted(drawn(vertical(30_000)))["n0"]
    assert alone.femtofarad + 0.01 < crossed.femtofarad < alone.femtofarad + 0.2
    assert crossed.coupling_femtofarad == 0 and 0.03 < wires_of(more).grounded_ff < 0.3     # too small to be kept


@pytest.mark.eda
def test_what_lies_over_the_own_metal_adds_nothing_and_the_same_layout_gives_the_same():
    wire = vertical(30_000)
    doubled = drawn(wire, patches=(Shape("met2", 29_930, 20_000, 30_070, 30_000),))
    assert extracted(doubled)["n0"].femtofarad == pytest.approx(extracted(drawn(wire))["n0"].femtofarad, rel=1e-9)
    design = drawn(vertical(30_000), vertical(30_490), Wire("met3", 10_000, 30_000, 50_000, 30_000))
    assert extracted(design) == extracted(design)


@pytest.mark.eda
def test_a_net_without_a_route_is_refused():
    design = drawn(vertical(30_000))
    with pytest.raises(SpecError, match="must be routed to be extracted, and 1 are not, such as n0"):
        extracted(replace(design, routes={}))
