"""Synthesis: what is asked for, what is checked, and that each check can fail."""

import copy
import json
import re
from functools import partial

import pytest

from flow.metrics import check_values
from flow.pdk.config import DoNotUse, load_pdk_config
from flow.synthesis.equivalence import Aig, cut_at_registers, find_twins, pair
from flow.synthesis.library import parse_library, with_wire_loads
from flow.synthesis.netlist import check_netlist, measure_netlist, parse_netlist
from flow.synthesis.script import constraints_text, script_text, synthesis_stages
from flow.synthesis.spec import SynthesisSpec, why_not
from golden.spec import SpecError
from tests.small_library import PREFIX, small_library

CONFIG = load_pdk_config()
SPEC = SynthesisSpec(clock_period_ns=10)


def library(spec=SPEC, without=""):
    return parse_library(small_library(without), partial(why_not, spec=spec, pdk=CONFIG), "small.lib")


def netlist_json() -> dict:
    """Two registers behind a gate: y <= !(a & b), and a tied memory."""
    def cell(name, **pins):
        return {"type": PREFIX + name if "_" in name else name,
                "connections": {pin: bits if isinstance(bits, list) else [bits] for pin, bits in pins.items()},
                "port_directions": {pin: "output" if pin in ("Y", "Q", "HI", "LO", "q") else "input" for pin in pins}}
    cells = {"g": cell("nand2_1", A=3, B=4, Y=6), "y_reg": cell("dfxtp_1", CLK=2, D=6, Q=5),
             "tie": cell("conb_1", HI=7), "bank": cell("memory", clk=2, en=7, q=[4])}
    ports = {"clk": ("input", 2), "a": ("input", 3), "y": ("output", 5)}
    return {"creator": "test", "modules": {"top": {
        "ports": {name: {"direction": direction, "bits": [bit]} for name, (direction, bit) in ports.items()},
        "cells": cells, "netnames": {name: {"bits": [bit]} for name, (_, bit) in ports.items()}}}}


def read(design: dict):
    return parse_netlist(json.dumps(design).encode(), "top", ["memory"])


@pytest.mark.parametrize(("fields", "said"), [
    ({"clock_period_ns": 0}, "clock_period_ns must be above 0"),
    ({"clock_period_ns": float("nan")}, "clock_period_ns must be above 0"),
    ({"clock_period_ns": 10, "logic_share": 1.5}, "logic_share must be above 0 and at most 1"),
    ({"clock_period_ns": 10, "max_fanout": 1}, "max_fanout must be 2 to 64, not 1"),
    ({"clock_period_ns": 10, "wire_ff_a_sink": -1}, "wire_ff_a_sink must be 0 to 100"),
    ({"clock_period_ns": 10, "min_gated": 2}, "min_gated must be 3 to 1024, not 2"),
])
def test_spec_refuses_what_cannot_be(fields, said):
    with pytest.raises(SpecError, match=said):
        SynthesisSpec(**fields)


def test_cells_are_left_out_with_the_kits_reason_and_synthesis_own():
    found = library(SynthesisSpec(clock_period_ns=10, do_not_use=(DoNotUse("xor2_*", "for the test"),)))
    assert found.refused == {
        f"{PREFIX}and2_0": CONFIG.why_not(f"{PREFIX}and2_0"), f"{PREFIX}xor2_1": "for the test",
        f"{PREFIX}clkbuf_1": "balanced for clocks; the clock tree takes them", f"{PREFIX}fill_1": "without a function"}
    assert f"{PREFIX}nand2_1" in found.cells


def test_library_says_what_cells_are():
    cells = library().cells
    kinds = {name.removeprefix(PREFIX): cell.kind for name, cell in cells.items()}
    assert kinds == {"inv_1": "inverter", "inv_2": "inverter", "buf_1": "buffer", "nand2_1": "logic", "nor2_1": "logic",
                     "xor2_1": "logic", "dfxtp_1": "flop", "dlxtp_1": "latch", "dlclkp_1": "clock gate",
                     "fa_1": "logic",                     "conb_1": "tie"}
    assert library().clock_gates == {f"{PREFIX}dlclkp_1": ("GATE", "CLK", "GCLK")}
    adder = library().full_adder
    assert (adder.cell, adder.inputs, adder.total, adder.carry) == (f"{PREFIX}fa_1", ("A", "B", "CIN"), "SUM", "COUT")
    assert library().strong_buffer == (f"{PREFIX}buf_1", "A", "Y")
    assert library().buffer == (f"{PREFIX}buf_1", "A", "Y")
    assert (library().tie(1), library().tie(0)) == ((f"{PREFIX}conb_1", "HI"), (f"{PREFIX}conb_1", "LO"))


@pytest.mark.parametrize(("without", "ask"), [
    ("buf_1", lambda lib: lib.buffer), ("conb_1", lambda lib: lib.tie(0)), ("dlclkp_1", lambda lib: lib.clock_gate),
    ("fa_1", lambda lib: lib.full_adder)])
def test_library_without_a_needed_cell_is_refused(without, ask):
    with pytest.raises(SpecError, match=r"synthesis needs a .* among the \d+ cells"):
        ask(library(without=without))


def test_cell_with_other_functions_is_no_full_adder():
    text = small_library().replace('"A^B^CIN"', '"A^B"')
    with pytest.raises(SpecError, match="synthesis needs a full adder"):
        _ = parse_library(text, partial(why_not, spec=SPEC, pdk=CONFIG), "small.lib").full_adder


def test_wire_loads_take_the_place_of_the_librarys_own():
    text = with_wire_loads(small_library().replace("nom_voltage", "default_wire_load : own;\n  nom_voltage"), 5, 3, "x")
    assert 'capacitance : 0.005000; area : 0; slope : 1; fanout_length (1, 1); fanout_length (2, 2);' in text
    assert text.count("default_wire_load") == 1 and 'default_wire_load : "estimate"' in text
    in_ff = with_wire_loads(small_library().replace("(1, \"pf\")", "(1, pf)").replace("(1, pf)", "(10, ff)"), 5, 3, "x")
    assert "capacitance : 0.500000" in in_ff
    with pytest.raises(SpecError, match=r"must begin with library .* \(x\)"):
        with_wire_loads("cell (x) { }", 5, 3, "x")


def test_clock_gate_without_its_pins_is_refused():
    with pytest.raises(SpecError, match=r"dlclkp_1 must say which pin .* not only clock, out \(small.lib\)"):
        parse_library(small_library().replace("clock_gate_enable_pin : true;", ""), lambda _: None, "small.lib")


def test_text_that_is_no_library_is_refused():
    with pytest.raises(SpecError, match="must have cells"):
        parse_library("library (x) { }", lambda _: None, "x.lib")


def test_script_is_the_same_text_and_follows_the_goal():
    def text(goal):
        spec = SynthesisSpec(clock_period_ns=10, goal=goal)
        return script_text(synthesis_stages(spec, library(spec), "top", ["a.v"], ["memory.v"]))
    assert text("delay") == text("delay")
    assert "extract_fa" in text("area") and "extract_fa" not in text("delay")
    assert text("by clock").count("extract_fa") == SPEC.uses_full_adders == 0
    assert SynthesisSpec(clock_period_ns=20).uses_full_adders
    assert f"clockgate -pos {PREFIX}dlclkp_1 GATE:CLK:GCLK -min_net_size 8" in text("delay")
    assert f"-dont_use {PREFIX}and2_0 -dont_use {PREFIX}clkbuf_1" in text("delay")
    assert "read_verilog -sv -lib memory.v" in text("delay") and "-D 8500" in text("delay")
    assert not re.search(r"[\s+]/", text("delay") + text("area"))       # names follow from where rules were read
    assert constraints_text(library()).startswith(f"set_driving_cell {PREFIX}buf_1\n")


def test_whole_netlist_passes_and_is_counted():
    netlist = read(netlist_json())
    check_netlist(netlist, library())
    values = measure_netlist(netlist, library())
    check_values(values, (), "test")
    assert values["design__instance__count"] == 4 and values["design__instance__count__macros"] == 1
    assert values["design__instance__count__class:sequential_cell"] == 1
    assert values["design__instance__area__stdcell"] == pytest.approx(3.75 + 20.02 + 3.75)
    assert values[f"design__instance__count__cell:{PREFIX}nand2_1"] == 1 and values["design__max_fanout"] == 1


@pytest.mark.parametrize(("instance", "change", "said"), [
    ("g", {"type": "$_AND_"}, r"1 cells that the library does not have: g \(\$_AND_\)"),
    ("g", {"type": f"{PREFIX}and2_0"}, r"1 cells that may not be used: g .*npc.2"),
    ("y_reg", {"type": f"{PREFIX}dlxtp_1"}, "1 latches, which nobody asked for: y_reg"),
    ("g", {"connections": {"A": ["0"], "B": [4], "Y": [6]}}, "1 pins at constants without a tie: g/A"),
    ("tie", {"connections": {"HI": [6]}}, r"1 nets with several drivers: 6 \(g/Y, tie/HI\)"),
    ("g", {"connections": {"A": [3], "B": [99], "Y": [6]}}, "1 nets without a driver: 99"),
])
def test_broken_netlist_is_refused(instance, change, said):
    design = netlist_json()
    design["modules"]["top"]["cells"][instance].update(change)
    with pytest.raises(SpecError, match=said):
        check_netlist(read(design), library())


def test_json_without_the_top_is_refused():
    with pytest.raises(SpecError, match="must have a module other, not only top"):
        parse_netlist(json.dumps(netlist_json()).encode(), "other")
    with pytest.raises(SpecError, match="must be what Yosys writes"):
        parse_netlist(b"{}", "top")


def gates_json() -> dict:
    """r <= a & r, twin <= a & r, never <= r & !r; y = twin."""
    design = netlist_json()
    def cell(kind, **pins):
        return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}, "port_directions": {}}
    design["modules"]["top"]["cells"] = {
        "g": cell("$_AND_", A=3, B=10, Y=11), "n": cell("$_NOT_", A=10, Y=12), "z": cell("$_AND_", A=10, B=12, Y=13),
        "r": cell("$_DFF_P_", C=2, D=11, Q=10), "twin": cell("$_DFF_P_", C=2, D=11, Q=5),
        "never": cell("$_DFF_P_", C=2, D=13, Q=14)}
    return design


def cut(design: dict):
    return cut_at_registers(read(design).module, frozenset(), "clk", "test")


def test_registers_that_synthesis_removed_find_what_stands_for_them():
    rtl, design = cut(gates_json()), gates_json()
    cells = design["modules"]["top"]["cells"]
    del cells["twin"], cells["never"]
    design["modules"]["top"]["ports"]["y"]["bits"] = [10]
    inputs, outputs, removed = pair(rtl, cut(design))
    assert removed == ["never", "twin"] and outputs == ["port y[0]", "register r"]
    assert find_twins(rtl, inputs, removed) == {"register never": "0", "register twin": "register r"}


def test_register_that_only_keeps_or_takes_a_constant_stands_for_it():
    design = gates_json()
    cells = design["modules"]["top"]["cells"]
    cells["never"] = {"type": "$_DFF_P_", "connections": {"C": [2], "D": [13], "Q": [14]}, "port_directions": {}}
    cells["z"]["connections"] = {"A": [3], "B": [14], "Y": [13]}           # never <= a & never: 0 once it was 0
    rtl = cut(design)
    inputs = sorted(rtl.inputs)
    assert find_twins(rtl, inputs, ["never"]) == {"register never": "0"}
    cells["z"]["connections"]["B"] = [10]                                  # never <= a & r: no constant
    assert find_twins(cut(design), inputs, ["never"]) == {"register never": "register twin"}


def test_aiger_has_inputs_outputs_and_hashed_gates():
    rtl = cut(gates_json())
    written = Aig(rtl, sorted(rtl.inputs), {}).write(sorted(rtl.outputs))
    assert written == b"aig 5 4 0 4 1\n8\n0\n10\n10\n\x04\x04"     # y: twin, never: 0, one gate for r and twin


def test_stray_register_of_the_netlist_is_refused():
    design = copy.deepcopy(gates_json())
    cells = design["modules"]["top"]["cells"]
    cells["other"] = cells.pop("r")
    with pytest.raises(SpecError, match="the same inputs, and differ in register other"):
        pair(cut(gates_json()), cut(design))


def test_proof_refuses_what_it_does_not_know():
    design = gates_json()
    design["modules"]["top"]["cells"]["r"]["type"] = "$_DFF_N_"
    with pytest.raises(SpecError, match="not \\$_DFF_N_"):
        cut(design)
    design = gates_json()
    design["modules"]["top"]["cells"]["r"]["connections"]["C"] = [3]
    with pytest.raises(SpecError, match="the clock clk, not so r"):
        cut(design)


def gated_json() -> dict:
    """r takes a while b is 1, behind a clock gate; the memory's clock is behind another one."""
    design = netlist_json()
    def cell(kind, **pins):
        return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()},
                "port_directions": {pin: "output" if pin in ("Y", "Q", "GCLK", "q") else "input" for pin in pins}}
    design["modules"]["top"]["cells"] = {
        "gate": cell("icg", GATE=4, CLK=2, GCLK=20), "other": cell("icg", GATE=4, CLK=2, GCLK=21),
        "r": cell("$_DFF_P_", C=20, D=3, Q=5), "bank": cell("memory", clk=21, en=3, q=4)}
    return design


def gated_cut(design: dict):
    return cut_at_registers(read(design).module, frozenset({"memory"}), "clk", "test",
                            {"icg": ("GATE", "CLK", "GCLK")})


def test_register_behind_a_clock_gate_keeps_its_value_without_the_enable():
    found = gated_cut(gated_json())
    names = ["memory bank/q[0]", "port a[0]", "register r"]
    assert sorted(found.inputs) == names and found.outputs["memory bank/clk[0]"] == 4
    aig = Aig(found, names, {})
    literal = aig.literal("register r")
    waves = aig.simulate()
    enable, value, old = (int.from_bytes(waves(2 * k), "little") for k in (1, 2, 3))
    assert int.from_bytes(waves(literal), "little") == (enable & value) | (old & ~enable)


def test_clock_gate_behind_another_is_refused():
    design = gated_json()
    design["modules"]["top"]["cells"]["other"]["connections"]["CLK"] = [20]
    with pytest.raises(SpecError, match=r"clock gates must have the clock clk, not so other \(test\)"):
        gated_cut(design)
