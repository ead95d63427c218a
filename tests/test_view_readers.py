"""Other people's readers on the views of the kit and of the macros: nothing is refused, lost or read differently.

KLayout reads LEF, DEF, GDS, CDL and SPICE, Icarus and Verilator read Verilog, OpenSTA and Yosys Liberty. KLayout passes
over what it does not know without a word, so what it has read is compared with what this project's own readers find in
the same file. (OpenSTA 2.0.17 reads neither LEF nor behavioural Verilog.)
"""

import subprocess
import sys

import klayout.db as kdb
import pytest

from flow.pdk.config import load_pdk_config
from flow.pdk.lef import parse_lef
from flow.pdk.netlist_pins import parse_subcircuit_pins, parse_verilog_pins
from flow.sram.pins import SEAM
from flow.sram.spec import SramSpec
from flow.sram.verilog import CLOCK_GATE
from flow.step import Step, run_step
from flow.steps.pdk import run_pdk
from flow.steps.sram import make_views

pytestmark = pytest.mark.eda

CONFIG = load_pdk_config()
SPEC = SramSpec.parse("512x8")
N_CELLS = 437


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/nonexistent")
        patch.delenv("PDK_ROOT", raising=False)
        return run_pdk(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def macro(kit, tmp_path_factory):
    """The folder with a macro's views."""
    folder = tmp_path_factory.mktemp("sram") / "macro"
    run_step(Step("macro", run=lambda work: make_views(SPEC, kit, work)), folder, config={})
    return folder


def read_layout(path, lefs, layouts=()):
    """A LEF or DEF as KLayout reads it; in a DEF, all cells come from the layouts."""
    options = kdb.LoadLayoutOptions()
    settings = options.lefdef_config
    settings.read_lef_with_def = False
    settings.lef_files = [str(lef) for lef in lefs]
    settings.macro_layout_files = [str(layout) for layout in layouts]
    settings.macro_resolution_mode = 2 if layouts else 1
    settings.dbu = 0.001
    options.lefdef_config = settings
    layout = kdb.Layout()
    layout.read(str(path), options)
    return layout


def regions(rects_of):
    """Layer -> region of rectangles in um."""
    result = {}
    for layer, rects in rects_of:
        for rect in rects:
            result.setdefault(layer, kdb.Region()).insert(kdb.DBox(*rect).to_itype(0.001))
    return {layer: region.merged() for layer, region in result.items()}


def lef_differences(layout, macros):
    """Where KLayout has read other cells, sizes, pin names, pin shapes or obstructions than our reader."""
    if {cell.name for cell in layout.each_cell()} != set(macros):
        return ["cells"]
    layers = {layout.get_info(index).name: index for index in layout.layer_indexes()}
    found = [f"layer {name}" for name in layers
             if name.partition(".")[0] not in {*CONFIG.layers, "pwell", "OUTLINE"}]
    for name, macro in macros.items():
        cell = layout.cell(name)

        def drawn(purpose, cell=cell):
            shapes = {layer.removesuffix(purpose): kdb.Region(cell.begin_shapes_rec(index)).merged()
                      for layer, index in layers.items() if layer.endswith(purpose)}
            return {layer: region for layer, region in shapes.items() if not region.is_empty()}
        pins = regions(item for pin in macro.pins.values() for item in pin.rects.items())
        outline = kdb.Region(cell.begin_shapes_rec(layers["OUTLINE"])).bbox()
        named = {shape.text_string for layer, index in layers.items() if layer.endswith(".LABEL")
                 for shape in cell.shapes(index).each(kdb.Shapes.STexts)}
        for what, theirs, ours in (("size", outline, kdb.DBox(0, 0, *macro.size_um).to_itype(0.001)),
                                   ("pin names", named, {name for name, pin in macro.pins.items() if pin.rects})):
            if theirs != ours:
                found.append(f"{what} of {name}")
        for what, theirs, ours in (("pins", drawn(".PIN"), pins),
                                   ("obstructions", drawn(".OBS"), regions(macro.obstructions.items()))):
            if theirs.keys() != ours.keys() or any(not (theirs[layer] ^ ours[layer]).is_empty() for layer in ours):
                found.append(f"{what} of {name}")
    return found


def test_klayout_reads_the_lef_of_all_cells_as_we_do(kit, capfd):
    macros = parse_lef(kit.view("lef").read_text(), "lef")
    assert len(macros) == N_CELLS
    for tech in ("tech_lef_nom", "tech_lef_min", "tech_lef_max"):
        assert lef_differences(read_layout(kit.view("lef"), [kit.view(tech)]), macros) == []
    assert capfd.readouterr() == ("", "")


def test_klayout_reads_the_lef_of_a_macro_as_we_do(kit, macro, capfd):
    path = macro / f"{SPEC.name}.lef"
    macros = parse_lef(path.read_text(), "lef")
    assert lef_differences(read_layout(path, [kit.view("tech_lef_nom")]), macros) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("old, new, message", [
    ("LAYER met2 ;", "LAYER met_2 ;", "layer met_2.PIN"), ("SIZE 93", "SIZE 94", f"size of {SPEC.name}"),
    ("PIN a[0]", "PIN a[9]", f"pin names of {SPEC.name}"), ("END a[0]", "END a[0] PIN x END x", None),
])
def test_a_lef_that_is_read_differently_is_found(kit, macro, tmp_path, old, new, message):
    text = (macro / f"{SPEC.name}.lef").read_text()
    assert old in text
    changed = text.replace(old, new).replace("END a[0]", "END a[9]") if "a[9]" in new else text.replace(old, new)
    (tmp_path / "changed.lef").write_text(changed)
    found = lef_differences(read_layout(tmp_path / "changed.lef", [kit.view("tech_lef_nom")]), parse_lef(text, "lef"))
    assert (message in found) if message else found == []


DEF = """VERSION 5.8 ;
DIVIDERCHAR "/" ;
BUSBITCHARS "[]" ;
DESIGN chip ;
UNITS DISTANCE MICRONS 1000 ;
DIEAREA ( 0 0 ) ( 20000000 1000000 ) ;
COMPONENTS {n} ;
{components}
END COMPONENTS
NETS 1 ;
- one ( u0 A ) + ROUTED met1 ( 0 170 ) ( 460 * ) M1M2_PR
  NEW met2 ( 460 170 ) ( * 850 ) M2M3_PR
  NEW met3 ( 460 850 ) ( 920 * ) M3M4_PR
  NEW met4 ( 920 850 ) ( * 1700 ) M4M5_PR
  NEW met5 ( 920 1700 ) ( 4320 * ) ;
END NETS
END DESIGN
"""


def place_all(kit, macro, folder, layouts):
    """A chip with every cell that may be used and the macro, and a wire through all metals; cells from the layouts."""
    lefs = [kit.view("tech_lef_nom"), kit.view("lef"), macro / f"{SPEC.name}.lef"]
    names = [name for lef in lefs for name in parse_lef(lef.read_text(), lef.name) if CONFIG.why_not(name) is None]
    lines = [f"- u{k} {name} + PLACED ( {40000 * k} 0 ) N ;" for k, name in enumerate(names)]
    (folder / "chip.def").write_text(DEF.format(n=len(names), components="\n".join(lines)))
    return names, read_layout(folder / "chip.def", lefs, layouts)


def test_klayout_puts_the_layout_of_every_cell_into_a_placement(kit, macro, tmp_path, capfd):
    layouts = [kit.view("gds"), macro / f"{SPEC.name}.gds"]
    names, layout = place_all(kit, macro, tmp_path, layouts)
    assert len(names) > 300
    assert [cell.name for cell in layout.each_cell() if cell.is_ghost_cell()] == []
    (top,) = layout.top_cells()
    assert sorted(layout.cell_name(instance.cell_index) for instance in top.each_inst()
                  if not layout.cell_name(instance.cell_index).startswith("VIA_")) == sorted(names)
    for path in layouts:
        source = kdb.Layout()
        source.read(str(path))
        for name in set(names) & {cell.name for cell in source.each_cell()}:
            for index in source.layer_indexes():
                copy = layout.find_layer(source.get_info(index))
                boxes = [cell.bbox_per_layer(i) for cell, i in ((source.cell(name), index), (layout.cell(name), copy))]
                assert boxes[0] == boxes[1], (name, source.get_info(index))
    widths = {layout.get_info(index).name: shape.path_width * layout.dbu for index in layout.layer_indexes()
              for shape in top.shapes(index).each() if shape.is_path()}
    assert widths == {metal: CONFIG.tracks[metal].width_um for metal in ("met1", "met2", "met3", "met4", "met5")}
    assert capfd.readouterr() == ("", "")


def test_a_cell_without_a_layout_is_found(kit, macro, tmp_path):
    _, layout = place_all(kit, macro, tmp_path, [kit.view("gds")])
    assert [cell.name for cell in layout.each_cell() if cell.is_ghost_cell()] == [SPEC.name]


class Resistors(kdb.NetlistSpiceReaderDelegate):
    """What KLayout must be told of the kit: resistors (conb, probe pads) have a model and no value."""

    def parse_element(self, text, element):
        words = text.split()
        if element != "R":
            return super().parse_element(text, element)
        data = kdb.ParseElementData()
        data.net_names, data.model_name, data.value = words[:2], words[2], 0.0
        return data

    def element(self, circuit, element, name, model, value, nets, parameters):
        if element != "R":
            return super().element(circuit, element, name, model, value, nets, parameters)
        kind = circuit.netlist().device_class_by_name(model) or kdb.DeviceClassResistor()
        if kind.name != model:
            kind.name = model
            circuit.netlist().add(kind)
        device = circuit.create_device(kind, name)
        for terminal, net in zip(("A", "B"), nets, strict=True):
            device.connect_terminal(terminal, net)
        return True


@pytest.mark.parametrize("view", ["cdl", "spice"])
def test_klayout_reads_the_netlists_of_all_cells(kit, view, capfd):
    pins = parse_subcircuit_pins(kit.view(view).read_text())
    netlist, delegate = kdb.Netlist(), Resistors()
    netlist.read(str(kit.view(view)), kdb.NetlistSpiceReader(delegate))
    read = {circuit.name: [pin.name() for pin in circuit.each_pin()] for circuit in netlist.each_circuit()}
    wanted = {name.upper(): [pin.upper() for pin in names] for name, names in pins.items()}
    assert len(wanted) == N_CELLS and wanted.items() <= read.items()
    spare = netlist.circuit_by_name("SKY130_FD_SC_HD__MACRO_SPARECELL")
    assert sorted(part.circuit_ref().name.rpartition("__")[2] for part in spare.each_subcircuit()) == [
        "CONB_1", "INV_2", "INV_2", "NAND2_2", "NAND2_2", "NOR2_2", "NOR2_2"]
    assert capfd.readouterr() == ("", "")


def test_klayout_reads_the_netlist_of_a_macro(macro):
    netlist = kdb.Netlist()
    netlist.read(str(macro / f"{SPEC.name}.cdl"), kdb.NetlistSpiceReader())
    (top,) = list(netlist.each_circuit_top_down())[: netlist.top_circuit_count()]
    assert {pin.name().lower() for pin in top.each_pin()} == set(SPEC.pins())
    assert netlist.top_circuit_count() == 1


def test_icarus_reads_the_functions_of_all_cells_without_a_warning(kit, tmp_path):
    """FUNCTIONAL leaves out the specify blocks, some of which Icarus 11 cannot read; UNIT_DELAY is theirs to define."""
    text = kit.view("verilog").read_text()
    modules = [name for name in parse_verilog_pins(text) if name.startswith("sky130_fd_sc_hd__")]
    assert len(modules) >= N_CELLS
    done = subprocess.run(["iverilog", "-g2005", "-Wall", "-DFUNCTIONAL", "-DUNIT_DELAY=", "-o", tmp_path / "cells.vvp",
                           kit.view("verilog_primitives"), kit.view("verilog")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("command", [
    ["iverilog", "-g2005", "-Wall", "-s", SEAM, "-o", "sram.vvp"],
    ["iverilog", "-g2005", "-Wall", "-DUSE_POWER_PINS", "-s", SEAM, "-o", "sram.vvp"],
    ["verilator", "--lint-only", "-Wall", "--top-module", SEAM],
])
def test_simulators_read_the_verilog_of_a_macro_without_a_warning(macro, command):
    files = [f"{SEAM}.v", f"{CLOCK_GATE}.v", f"{SPEC.name}.v"]
    done = subprocess.run([*command, *files], cwd=macro, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


YOSYS_READS = """
import sys
from pyosys import libyosys
libyosys.run_pass(f"read_liberty -lib {sys.argv[1]}", libyosys.Design())
"""


def sta_says(library, tmp_path):
    script = tmp_path / "read.tcl"
    script.write_text(f"read_liberty {library}\nputs [llength [get_lib_cells */*]]\nexit\n")
    done = subprocess.run(["sta", "-no_splash", "-exit", str(script)], capture_output=True, text=True, timeout=120)
    return (done.stdout + done.stderr).split("\n")


@pytest.mark.parametrize("corner", sorted(CONFIG.corners))
def test_opensta_and_yosys_read_the_liberty_without_a_word(kit, corner, tmp_path):
    library = kit.liberty(corner)
    n_cells = library.read_text().count("\n  cell (")
    assert sta_says(library, tmp_path)[:-1] == [str(n_cells)] and n_cells > 150
    done = subprocess.run([sys.executable, "-c", YOSYS_READS, str(library)], capture_output=True, text=True,
                          timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and f"Imported {n_cells} cell types" in said and "arning" not in said


def test_a_table_that_opensta_cannot_use_is_heard_of(kit, tmp_path):
    text = kit.liberty("tt_025C_1v80").read_text()
    broken = tmp_path / "broken.lib"
    broken.write_text(text.replace('cell_rise ("delay_7x7")', 'cell_rise ("no_such_template")', 1))
    assert any("no_such_template" in line for line in sta_says(broken, tmp_path))
