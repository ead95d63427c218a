"""SRAM macros: their gates pass, and each has something that makes it fail."""

import re
import shutil
import threading
import typing
from itertools import pairwise

import klayout.db as kdb
import pytest
from doit.exceptions import InvalidDodoFile
from physical_kit import tech_lef

from flow.metrics import load_metrics
from flow.parameters import OPENRAM_MACROS, SRAM_SHAPES, parse_designs, parse_words
from flow.pdk.config import load_pdk_config
from flow.pdk.lef import parse_lef
from flow.pdk.netlist_pins import parse_verilog_pins
from flow.signoff.antenna import parse_antenna_rules
from flow.sram.antenna import pin_antennas
from flow.sram.flexmem import _type_variables_named_by_position
from flow.sram.gds import load_macro, write_gds
from flow.sram.graph import read_reference
from flow.sram.pins import RTL_MODEL, check_views, compare_binding
from flow.sram.spec import SramSpec
from flow.sram.straps import Macro
from flow.sram.verilog import build_binding, build_model
from flow.step import Step, file_sha256, run_step
from flow.steps.pdk import run_pdk
from flow.steps.sram import check_rules, compare_with_cdl, make_views, run_side_by_side, run_sram
from flow.tasks import macros_of
from golden.spec import SpecError
from tests.shared_build import shared_build

SPEC = SramSpec.parse("512x8")
CONFIG = load_pdk_config()


# Shapes, names and parameters

@pytest.mark.parametrize("text, message", [
    ("256x32", "one of 512x8, 512x16, 512x32, 512x64, not 256x32"), ("512x24", "not 512x24"),
    ("512", "words x bits \\(512x32\\), not '512'"), ("512x", "not '512x'"),
])
def test_a_shape_that_cannot_be_made_is_refused(text, message):
    with pytest.raises(SpecError, match=message):
        SramSpec.parse(text)


def test_pins_are_those_of_the_generator():
    pins = SramSpec.parse("512x32").pins()
    assert len(pins) == 80 and pins["a[8]"].direction == "INPUT" and pins["q[31]"].direction == "OUTPUT"
    assert pins["clk"].use == "CLOCK" and {"we[3]", "vdd", "vss"} <= pins.keys() and "we[4]" not in pins


def test_words_of_the_command_line():
    assert all(SramSpec.parse(shape).shape == shape for shape in SRAM_SHAPES)
    assert parse_words("512x8,512x64,512x8") == ("512x8", "512x64")
    assert tuple(CONFIG.openram.macros) == OPENRAM_MACROS and parse_words(OPENRAM_MACROS[1]) == OPENRAM_MACROS[1:]
    assert parse_words("auto") == ()
    with pytest.raises(InvalidDodoFile, match="not '512x33'; did you mean 512x32?"):
        parse_words("512x33")


def test_a_design_asks_for_the_macros_of_its_memory():
    assert macros_of(parse_designs("vowels,vowels_x4,vowels_deep,tiny")) == ["512x32", "512x64"]
    assert macros_of(parse_designs("tiny")) == []


def test_type_variables_may_be_named_by_keyword_while_the_generator_is_imported():
    real = typing.TypeVar
    with _type_variables_named_by_position():
        variable = typing.TypeVar(name="T", bound=int)               # crashes Python 3.12.1 without it
        assert isinstance(variable, real) and isinstance(variable, typing.TypeVar)
        assert (variable.__name__, variable.__bound__) == ("T", int)
        assert typing.TypeVar("U", int, str).__constraints__ == (int, str)
        assert list[variable][int] == list[int]
    assert typing.TypeVar is real


# Verilog

@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_the_model_has_the_pins_of_the_contract(bits):
    spec = SramSpec(512, bits)
    found = parse_verilog_pins(build_model(spec))[spec.name]
    assert found == {name: pin.direction.lower() for name, pin in spec.pins().items()}


def test_a_binding_with_another_port_is_found():
    binding = build_binding(SPEC)
    contract = RTL_MODEL.read_text()
    assert compare_binding(binding, contract) == []
    assert compare_binding(binding.replace("wmask,", "mask,"), contract) == [
        "binding: port mask[BITS/8-1:0] is input, not there",
        "binding: port wmask[BITS/8-1:0] is missing, not input"]
    assert compare_binding(binding, contract.replace("output reg", "input reg")) == [
        "binding: port rdata[BITS-1:0] is output, not input"]


# The macro itself: made once for all tests that follow

@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Kit and build folder with a finished 512x8; workers of one run share it."""
    with shared_build(tmp_path_factory) as build:
        kit = run_pdk(build)
        run_sram(SPEC, kit, build)
        return kit, build / "sram" / SPEC.name


@pytest.fixture
def views(made, tmp_path):
    """A copy of the macro's files, to be damaged."""
    shutil.copytree(made[1] / "macro", tmp_path / "macro")
    return tmp_path / "macro"


def change_layout(views, change):
    """Applies `change(layout, cell)` to the GDS of a copy."""
    gds = views / f"{SPEC.name}.gds"
    layout, cell = load_macro(gds, SPEC)
    change(layout, cell)
    write_gds(layout, cell, gds)


@pytest.mark.parametrize("failing", [("drc",), ("lvs",), ("drc", "lvs")])
def test_two_gates_run_side_by_side_and_both_are_heard(failing):
    meet = threading.Barrier(2)                                      # passed only when both are at work

    def run(name):
        meet.wait(timeout=10)
        if name in failing:
            raise SpecError(f"{name} found something")
        return name
    with pytest.raises(SpecError) as error:
        run_side_by_side(run, "drc", "lvs")
    assert sorted(str(error.value).splitlines()) == [f"{name} found something" for name in failing]


def lvs_differences(made, views):
    return compare_with_cdl(SPEC, made[0], views / f"{SPEC.name}.gds", views / f"{SPEC.name}.cdl").differences


def shrink_bitcell(layout, cell):
    """Every gate of the bit cell 10 nm shorter."""
    bitcell = layout.cell("SP6TCell")
    shapes = bitcell.shapes(layout.layer(*CONFIG.drawing("poly")))
    shrunk = kdb.Region(shapes).merged().sized(-5)
    shapes.clear()
    shapes.insert(shrunk)


def remove_strap(net):
    def change(layout, cell):
        centres = [shape.text.trans.disp for shape in cell.shapes(layout.layer(*CONFIG.layers["met4"].pin)).each()
                   if shape.is_text() and shape.text_string == net]
        for purpose in (CONFIG.layers["met4"].drawing, CONFIG.layers["met4"].pin):
            shapes = cell.shapes(layout.layer(*purpose))
            for shape in [shape for shape in shapes.each()
                          if any(shape.bbox().contains(kdb.Point(at.x, at.y)) for at in centres)]:
                shapes.erase(shape)
    return change


@pytest.mark.eda
def test_the_gates_of_a_good_macro_pass(made):
    folder = made[1]
    assert load_metrics(folder / "drc" / "metrics.json")["klayout__drc_error__count"] == 0
    lvs = load_metrics(folder / "lvs" / "metrics.json")
    assert (lvs["design__lvs_error__count"], lvs["design__lvs__device__count"]) == (0, 26998)
    assert lvs["design__lvs__device__count"] > 6 * SPEC.n_bits           # six transistors a bit, and the periphery
    macro = load_metrics(folder / "macro" / "metrics.json")
    assert (macro["sram__strap__count"], macro["sram__pin__count"]) == (2, len(SPEC.pins()))
    assert (folder / "macro" / f"{SPEC.name}.png").read_bytes()[:4] == b"\x89PNG"
    assert "CERN-OHL-S-2.0" in (folder / "macro" / "LICENCE.txt").read_text()


@pytest.mark.eda
def test_what_is_finished_is_not_made_again_and_is_the_same_when_it_is(made, tmp_path):
    kit, folder = made
    before = (folder / "macro" / "metrics.json").stat().st_mtime_ns
    run_sram(SPEC, kit, folder.parents[1])
    assert (folder / "macro" / "metrics.json").stat().st_mtime_ns == before
    run_step(Step("again", run=lambda work: make_views(SPEC, kit, work)), tmp_path / "again", config={})
    for end in ("gds", "lef", "cdl", "v"):
        name = f"{SPEC.name}.{end}"
        assert file_sha256(tmp_path / "again" / name) == file_sha256(folder / "macro" / name), end


@pytest.mark.eda
def test_a_bitcell_shrunk_by_10_nm_fails_drc_and_lvs(made, views, tmp_path):
    change_layout(views, shrink_bitcell)
    step = Step("drc", run=lambda work: check_rules(SPEC, work), tools=("klayout",))
    with pytest.raises(SpecError, match=r"must have 0 design rule markers, not \d+: .*poly"):
        run_step(step, tmp_path / "drc", config={}, inputs=[views / f"{SPEC.name}.gds", made[0].deck("drc")])
    assert any("l=140" in line for line in lvs_differences(made, views))


@pytest.mark.eda
@pytest.mark.parametrize("net", ["vdd", "vss"])
def test_a_removed_strap_fails_lvs_and_the_pin_check(made, views, net):
    change_layout(views, remove_strap(net))
    found = lvs_differences(made, views)
    # the strap was the pin; vss still hangs together by the substrate, which is no wire
    wanted = "port vdd is in the schematic and not in the layout" if net == "vdd" else "Net with incomplete wiring"
    assert any(wanted in line for line in found), found
    with pytest.raises(SpecError, match=f"GDS: pin {net} has no met4"):
        check_views(SPEC, CONFIG, views)


@pytest.mark.eda
def test_a_strap_that_does_not_reach_the_periphery_fails_lvs(made, views):
    def cut(layout, cell):
        vias = cell.shapes(layout.layer(*CONFIG.drawing("via3")))
        lowest = sorted(vias.each(), key=lambda shape: shape.bbox().bottom)[:6]    # three rails below the array
        for shape in lowest:
            vias.erase(shape)
    change_layout(views, cut)
    check_views(SPEC, CONFIG, views)                                               # the pins are all there
    found = lvs_differences(made, views)
    assert any("connected like none" in line for line in found), found
    assert any("Net with incomplete wiring" in line for line in found), found


@pytest.mark.eda
@pytest.mark.parametrize("end, old, new, message", [
    ("lef", "d[3]", "d_3", "LEF: pin d[3] is missing"),
    ("lef", "DIRECTION OUTPUT", "DIRECTION INPUT", "LEF: pin q[0] is INPUT SIGNAL, not OUTPUT SIGNAL"),
    ("cdl", "a[8]", "a8", "CDL: pin a[8] is missing"),
    ("v", "[7:0] q", "[8:0] q", "Verilog: pin q[8] is not in the contract"),
    ("v", "output reg", "input reg", "Verilog: pin q[0] is input, not output"),
])
def test_a_renamed_pin_is_found_in_every_view(views, end, old, new, message):
    path = views / f"{SPEC.name}.{end}"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SpecError) as error:
        check_views(SPEC, CONFIG, views)
    assert message in str(error.value)


@pytest.mark.eda
def test_a_renamed_pin_in_the_layout_is_found(made, views):
    def rename(layout, cell):
        for layer in (index for index in layout.layer_indexes()):
            for shape in list(cell.shapes(layer).each(kdb.Shapes.STexts)):
                if shape.text_string == "we[0]":
                    shape.text_string = "write"
    change_layout(views, rename)
    with pytest.raises(SpecError, match="GDS: pin we\\[0\\] is labelled write|GDS: pin we\\[0\\] is labelled nothing"):
        check_views(SPEC, CONFIG, views)


@pytest.mark.eda
def test_obstructions_leave_the_pins_free_and_cover_the_rest(made):
    lef = parse_lef((made[1] / "macro" / f"{SPEC.name}.lef").read_text(), "lef")[SPEC.name]

    def region(rects):
        result = kdb.Region()
        for rect in rects:
            result.insert(kdb.DBox(*rect).to_itype(0.001))
        return result.merged()
    layout, cell = load_macro(made[1] / "macro" / f"{SPEC.name}.gds", SPEC)
    outline = kdb.DBox(0, 0, *lef.size_um).to_itype(0.001)
    for layer in ("met1", "met2", "met3", "met4"):
        pins = region(rect for pin in lef.pins.values() for rect in pin.rects.get(layer, ()))
        taken = region(lef.obstructions.get(layer, ()))
        assert (pins & taken).is_empty(), layer
        metal = kdb.Region(cell.begin_shapes_rec(layout.layer(*CONFIG.drawing(layer)))) & kdb.Region(outline)
        assert (metal - taken - pins.sized(200)).is_empty(), layer


@pytest.mark.eda
def test_the_lef_tells_gates_diffusion_and_metal_of_every_pin(made):
    """Gates are the netlist's (read from the CDL); metal is what KLayout's antenna check finds on a pin."""
    macro = made[1] / "macro"
    pins = parse_lef((macro / f"{SPEC.name}.lef").read_text(), "lef")[SPEC.name].pins
    netlist = read_reference(macro / f"{SPEC.name}.cdl", SPEC.name)
    netlist.flatten()
    gates = dict.fromkeys(SPEC.pins(), 0.0)
    for device in netlist.circuit_by_name(SPEC.name.upper()).each_device():
        name = device.net_for_terminal("G").name.lower()
        if name in gates:
            gates[name] += device.parameter("W") * device.parameter("L")
    signals = [name for name, pin in pins.items() if pin.use not in ("POWER", "GROUND")]
    assert [pins[name].gate_area_um2 for name in signals] == pytest.approx([gates[name] for name in signals])
    assert all((pins[name].diffusion_area_um2 > 0) == (SPEC.pins()[name].direction == "OUTPUT") for name in signals)
    layout, cell = load_macro(macro / f"{SPEC.name}.gds", SPEC)
    for layer in ("met1", "met2"):
        on_layer = [name for name in signals if layer in pins[name].rects]
        assert on_layer, layer
        measured = klayout_walls(layout, cell, layer, 0.35)
        for name in on_layer:
            corner = tuple(round(value * 1000) for value in pins[name].rects[layer][0][:2])
            assert measured[corner] == pytest.approx((pins[name].gate_area_um2, pins[name].etched_um2[layer]), abs=1e-4)


def klayout_walls(layout, cell, layer, thickness_um):
    """Lower left corner of a metal (nm) -> area of the gates on its net and of the net's walls in that metal, um2, by
    KLayout's own antenna check."""
    flat = kdb.Layout()                           # KLayout adds the outlines of shapes that overlap: merged here
    top, names = flat.create_cell("top"), ("poly", "licon", "li1", "mcon", "met1", "via", "met2")
    for name in (*names, "diff"):
        purpose = CONFIG.drawing(name)
        top.shapes(flat.layer(*purpose)).insert(kdb.Region(cell.begin_shapes_rec(layout.layer(*purpose))).merged())
    network = kdb.LayoutToNetlist(kdb.RecursiveShapeIterator(flat, top, []))
    masks = {name: network.make_layer(flat.layer(*CONFIG.drawing(name)), name) for name in names}
    gate = masks["poly"] & network.make_layer(flat.layer(*CONFIG.drawing("diff")), "diff")
    for region in (*masks.values(), gate):
        network.connect(region)
    for lower, upper in (*pairwise(masks.values()), (gate, masks["poly"])):
        network.connect(lower, upper)
    network.extract_netlist()
    notes = kdb.Texts()
    network.antenna_check(gate, 1.0, 0.0, masks[layer], 0.0, thickness_um, 1e-6, texts=notes)
    found = {}
    for note in notes.each():
        areas = re.search(r"agate: ([\d.]+), .*ametal_eff: ([\d.]+)", note.string)
        found[note.trans.disp.x, note.trans.disp.y] = float(areas[1]), float(areas[2])
    return found


@pytest.mark.eda
def test_an_input_without_a_gate_is_refused(made):
    layout, cell = load_macro(made[1] / "macro" / f"{SPEC.name}.gds", SPEC)
    macro = Macro(layout, cell, kdb.Box(), {})
    layout.clear_layer(layout.layer(*CONFIG.drawing("via")))
    with pytest.raises(SpecError, match=r"must reach a gate, and .*d\[0\].* reach none in its layout"):
        pin_antennas(SPEC, CONFIG, macro, parse_antenna_rules(tech_lef(), "tech.lef"))
