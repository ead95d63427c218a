"""OpenRAM's macros of a ciel tree: found by name, taken as they are, and refused where their views differ."""

import pytest
from openram_views import add_macro, write_gds

from flow import tasks
from flow.parameters import parse_designs
from flow.pdk.config import CONFIGS, load_pdk_config, parse_pdk_config
from flow.pdk.tree import Pdk
from flow.sram.openram import check_openram, find_openram, find_views, openram_of_shape
from flow.sram.pins import RTL_MODEL, compare_binding
from flow.sram.verilog import build_binding
from flow.steps import pdk as pdk_step
from flow.steps.openram import run_openram
from golden.spec import SpecError
from rtl.config import OPENRAM_SHAPES

CONFIG = load_pdk_config()
SMALL, LARGE = CONFIG.openram.macros
SPEC = find_openram(LARGE, CONFIG)
CORNERS = tuple(CONFIG.openram.liberty)


@pytest.fixture
def tree(tmp_path):
    """What a ciel tree with one macro has of it."""
    pdk = Pdk(CONFIG, tmp_path / "sky130A", "ciel", CONFIG.ciel_versions[0])
    add_macro(pdk.root, SPEC, CONFIG)
    return pdk


def differences(pdk):
    """What the comparison says, line by line; nothing when it passes."""
    try:
        check_openram(SPEC, find_views(SPEC, pdk), CORNERS)
    except SpecError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


def test_rtl_and_the_pdk_file_know_the_same_shapes():
    assert tuple((shape.n_words, shape.word_bits) for shape in CONFIG.openram.macros.values()) == OPENRAM_SHAPES
    assert [openram_of_shape(*shape, CONFIG) for shape in OPENRAM_SHAPES] == [SMALL, LARGE]
    with pytest.raises(SpecError, match="must be one of 256x32, 512x32, not 1024x8"):
        openram_of_shape(1024, 8, CONFIG)
    with pytest.raises(SpecError, match=f"must be one of {SMALL}, {LARGE}, not 'sram'"):
        find_openram("sram", CONFIG)


def test_pins_are_those_of_one_and_a_half_ports():
    pins = SPEC.pins()
    assert len(pins) == 5 + 3 * 32 + 2 * 9 + 4 + 2
    assert {"addr0[8]", "addr1[8]", "wmask0[3]", "dout1[31]", "vccd1", "vssd1"} <= pins.keys()
    assert len(find_openram(SMALL, CONFIG).pins()) == len(pins) - 2            # one address bit less a port


@pytest.mark.parametrize("name", [SMALL, LARGE])
def test_the_binding_has_the_ports_of_the_seam(name):
    spec = find_openram(name, CONFIG)
    assert compare_binding(build_binding(spec), RTL_MODEL.read_text(), tuple(spec.supplies)) == []
    assert compare_binding(build_binding(spec).replace("rdata", "rd"), RTL_MODEL.read_text(), tuple(spec.supplies))


def test_views_of_one_mind_are_taken(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tasks, "BUILD", tmp_path / "build")
    monkeypatch.setattr(pdk_step, "run_pdk", lambda build: tree)
    tasks.sram((LARGE,), [])
    folder = tmp_path / "build" / "sram" / LARGE / "macro"
    ends = ("gds", "lef", "spice", "v")
    assert {f"{LARGE}.{end}" for end in ends} | {f"{LARGE}_TT_1p8V_25C.lib", "stillwater_sram.v"} <= {
        path.name for path in folder.iterdir()}
    printed = capsys.readouterr().out
    assert f"{LARGE}: 479.78 x 397.50 um, 190,713 um2, 11.64 um2/bit" in printed
    assert "not checked   design rules and LVS" in printed and "tt_025C_1v80" in printed
    assert "licence" not in printed                                             # that of c4m-flexmem is not asked for


def test_what_is_taken_is_taken_again_when_the_tree_changes(tree, tmp_path):
    run_openram(SPEC, tree, tmp_path / "build")
    metrics = tmp_path / "build" / "sram" / LARGE / "macro" / "metrics.json"
    before = metrics.stat().st_mtime_ns
    run_openram(SPEC, tree, tmp_path / "build")
    assert metrics.stat().st_mtime_ns == before
    lef = find_views(SPEC, tree)["lef"]
    lef.write_text(lef.read_text().replace("SIZE 479.78", "SIZE 480.00"))
    assert run_openram(SPEC, tree, tmp_path / "build")["sram__width_um"] == 480.0


def test_a_tree_without_the_macro_ends_in_one_message(tree, tmp_path):
    with pytest.raises(SpecError) as error:
        find_views(find_openram(SMALL, CONFIG), tree)
    assert str(error.value) == (
        f"the ciel tree has no macro {SMALL} ({tree.root}/libs.ref/sky130_sram_macros); use a ciel tree of sky130 with "
        "its library sky130_sram_macros, or memory flexmem, whose macros are generated")
    embedded = Pdk(CONFIG, tmp_path / "none", "embedded", "")
    with pytest.raises(SpecError, match=f"the embedded tree has no macro {LARGE}"):
        run_openram(SPEC, embedded, tmp_path / "build")


def test_a_tree_without_the_macro_is_found_before_a_macro_is_generated(tmp_path, monkeypatch):
    monkeypatch.setattr(pdk_step, "run_pdk", lambda build: Pdk(CONFIG, tmp_path, "embedded", ""))
    monkeypatch.setattr("flow.steps.sram.run_sram", lambda *args: pytest.fail("generated first"))
    with pytest.raises(SpecError, match="the embedded tree has no macro"):
        tasks.sram(("512x32", LARGE), [])


@pytest.mark.parametrize("view", ["lef", "gds", "spice", "verilog", "tt_025C_1v80"])
def test_a_missing_view_is_named(tree, view):
    path = find_views(SPEC, tree)[view]
    path.unlink()
    with pytest.raises(SpecError) as error:
        find_views(SPEC, tree)
    assert f"the ciel tree has {LARGE} without {view} ({path})" in str(error.value)


@pytest.mark.parametrize("view, old, new, message", [
    ("lef", "csb0", "cs0", "LEF: pin csb0 is missing"),
    ("lef", "din0[31]", "din0[32]", "LEF: pin din0[31] is missing"),
    ("lef", "PIN dout0[0]\n      DIRECTION OUTPUT", "PIN dout0[0]\n      DIRECTION INPUT",
     "LEF: pin dout0[0] is INPUT, not OUTPUT"),
    ("lef", "USE POWER", "USE GROUND", "LEF: pin vccd1 has use GROUND, not POWER"),
    ("lef", "RECT 0.0 0.0 0.38 1.06 ;", "", "LEF: pin clk0 has no shape"),
    ("lef", "SIZE 479.78 BY 397.5 ;", "", "LEF: the macro has no size"),
    ("lef", LARGE, "another", "LEF: pin clk0 is missing"),
    ("spice", "wmask0[3]", "", "SPICE: pin wmask0[3] is missing"),
    ("spice", "addr1[0]", "addr1[9]", "SPICE: pin addr1[9] is not in the contract"),
    ("verilog", "input web0;", "input we0;", "Verilog: pin web0 is missing"),
    ("verilog", "DATA_WIDTH = 32", "DATA_WIDTH = 16", "Verilog: pin dout0[16] is missing"),
    ("verilog", "ADDR_WIDTH = 9", "ADDR_WIDTH = 10", "Verilog: pin addr0[9] is not in the contract"),
    ("verilog", "output [DATA_WIDTH-1:0] dout0", "input [DATA_WIDTH-1:0] dout0",
     "Verilog: pin dout0[0] is input, not output"),
    ("verilog", "parameter DATA_WIDTH", "localparam BITS", "Verilog: pin din0[DATA_WIDTH-1:0] is not in the contract"),
    ("tt_025C_1v80", "bit_width : 9;", "bit_width : 8;", "Liberty tt_025C_1v80: pin addr0[8] is missing"),
    ("tt_025C_1v80", "pin(web0)", "pin(we0)", "Liberty tt_025C_1v80: pin web0 is missing"),
    ("tt_025C_1v80", "bus(dout0){\n        bus_type  : data;\n        direction  : output;",
     "bus(dout0){\n        bus_type  : data;\n        direction  : input;",
     "Liberty tt_025C_1v80: pin dout0[0] is input, not output"),
    ("tt_025C_1v80", "        clock             : true;\n", "", "Liberty tt_025C_1v80: pin clk0 is no clock"),
    ("tt_025C_1v80", "pg_pin(vssd1)", "pg_pin(vss)", "Liberty tt_025C_1v80: pin vssd1 is missing"),
    ("tt_025C_1v80", 'related_pin : "clk0";\n            timing_type : falling_edge', 'related_pin : "clk1";\n'
     "            timing_type : falling_edge", "Liberty tt_025C_1v80: dout0 has no timing arc from clk0"),
    ("tt_025C_1v80", f"cell ({LARGE})", "cell (another)", f"Liberty tt_025C_1v80: cell {LARGE} is missing"),
])
def test_views_that_differ_are_refused(tree, view, old, new, message):
    assert differences(tree) == []
    path = find_views(SPEC, tree)[view]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert message in differences(tree)


def test_a_layout_of_another_cell_is_refused(tree):
    write_gds(find_openram(SMALL, CONFIG), find_views(SPEC, tree)["gds"])
    assert differences(tree) == [f"GDS: cell {LARGE} is missing"]


@pytest.mark.parametrize("old, new, message", [
    ("n_words: 512", "n_words: many", "n_words must be int"),
    ("    spice:   \"libs.ref", "    cdl: \"libs.ref", "views of OpenRAM macros must be lef, gds, spice, verilog, not"),
    ("/gds/{name}.gds", "/gds/macro.gds", "paths of OpenRAM macros must hold {name}"),
    ("    tt_025C_1v80: \"libs", "    tt_25C: \"libs", "Liberty of OpenRAM macros must be for corners"),
    ("\"libs.ref/sky130_sram_macros/lib/", "\"../lib/", "paths must lie inside the tree"),
])
def test_a_wrong_entry_in_the_pdk_file_is_refused(old, new, message):
    text = (CONFIGS / "sky130.yaml").read_text()
    assert old in text
    with pytest.raises(SpecError) as error:
        parse_pdk_config(text.replace(old, new), "sky130.yaml")
    assert message in str(error.value)


def test_a_design_of_openram_asks_for_its_macro(tmp_path):
    text = (tasks.ROOT / "rtl" / "designs" / "vowels.yaml").read_text()
    assert "memory: flexmem" in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("memory: flexmem", "memory: openram"))
    assert tasks.macros_of(parse_designs(f"vowels,{path}")) == ["512x32", LARGE]
