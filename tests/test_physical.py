"""What the layout's steps hand to each other: technology, cells, netlists, DEF and GDS."""

import random

import klayout.db as kdb
import pytest
from physical_kit import CONFIG, kit_technology, tech_lef

from flow.physical.abstract import parse_abstracts
from flow.physical.def_read import read_def
from flow.physical.def_write import escape, write_def
from flow.physical.design import (
    Design,
    NetRoute,
    Placed,
    Placement,
    Row,
    SupplyNet,
    ViaUse,
    Wire,
    half_perimeters,
    pin_centre,
    to_die,
)
from flow.physical.gds import build_layout, write_gds
from flow.physical.geometry import ORIENTATIONS, Rect, Shape, nm, placed_rect, placed_size
from flow.physical.netlist import Netlist, check_netlist
from flow.physical.technology import array_via, parse_technology
from flow.physical.verilog import parse_netlist, write_netlist
from golden.spec import SpecError

LEF = """
MACRO inv CLASS CORE ; SIZE 1.38 BY 2.72 ; SYMMETRY X Y ;
  PIN A DIRECTION INPUT ; ANTENNAGATEAREA 0.25 ; PORT LAYER li1 ; RECT 0.32 1.075 0.65 1.315 ; END END A
  PIN Y DIRECTION OUTPUT ; ANTENNADIFFAREA 0.429 ; PORT LAYER li1 ; RECT 0.72 0.255 1.05 2.465 ; END END Y
  PIN VGND DIRECTION INOUT ; USE GROUND ; PORT LAYER met1 ; RECT 0 -0.24 1.38 0.24 ; END END VGND
END inv
MACRO fill CLASS CORE SPACER ; SIZE 0.46 BY 2.72 ; END fill
MACRO mem CLASS BLOCK ; SIZE 10 BY 20 ;
  PIN a[0] DIRECTION INPUT ; PORT LAYER met1 ; RECT 0 1 1 1.29 ; END END a[0]
  PIN a[1] DIRECTION INPUT ; PORT LAYER met1 ; RECT 0 3 1 3.29 ; END END a[1]
  PIN we[0] DIRECTION INPUT ; PORT LAYER met1 ; RECT 0 5 1 5.29 ; END END we[0]
  PIN q[0] DIRECTION OUTPUT ; PORT LAYER met2 ; RECT 4 0 4.26 1 ; END END q[0]
  PIN q[1] DIRECTION OUTPUT ; PORT LAYER met2 ; RECT 6 0 6.26 1 ; END END q[1]
END mem
END LIBRARY
"""
CELLS = parse_abstracts(LEF, "test.lef")

VERILOG = r"""
/* a comment; with a semicolon */
module top(clk, data, out, same);
  input clk; wire clk;
  input [1:0] data;
  output [1:0] out;
  output same;
  wire n1;
  wire [3:0] \odd;name ;
  (* keep = 1 *)
  inv \u.1[0] (.A(data[0]), .Y(n1));
  inv u2 (.A(n1), .Y(\odd;name [2]));
  mem m (.a({\odd;name [2], data[1]}), .we(clk), .q(out));
  assign same = out[1];   // another name
endmodule
"""


@pytest.fixture(scope="module")
def technology():
    return kit_technology()


def netlist():
    return parse_netlist(VERILOG, "top", CELLS, "top.v")


# Geometry

def test_orientations_are_those_of_klayout():
    """A cell with an L placed by KLayout's transformation and by ours; the outline's corner stays at the place."""
    from flow.physical.gds import TURNS, transformation
    cell = CELLS["mem"]
    for orientation in ORIENTATIONS:
        placed = Placed("mem", 700, -300, orientation)
        ours = to_die(placed, cell, Shape("met1", 100, 200, 900, 4000)).rect
        theirs = kdb.Box(100, 200, 900, 4000).transformed(transformation(placed, CELLS))
        assert tuple(ours) == (theirs.left, theirs.bottom, theirs.right, theirs.top), orientation
        whole = placed_rect(orientation, cell.width, cell.height, Rect(0, 0, cell.width, cell.height))
        assert whole == (0, 0, *placed_size(orientation, cell.width, cell.height))
    assert set(TURNS) == set(ORIENTATIONS)


def test_lengths_that_are_no_whole_nanometres_are_refused():
    assert nm(410.565) == 410565
    with pytest.raises(SpecError, match="whole nanometres, not 0.0005 um"):
        nm(0.0005)


# Technology

def test_layers_tracks_and_rules(technology):
    layers = technology.layers
    assert list(layers) == ["li1", "met1", "met2", "met3", "met4", "met5"]
    assert [layers[name].is_horizontal for name in layers] == [False, True, False, True, False, True]
    assert (layers["met1"].pitch, layers["met1"].width, layers["met1"].spacing) == (340, 140, 140)
    assert layers["met1"].spacing_of(3200) == 280 and layers["met3"].spacing_of(3200) == 400
    assert layers["met2"].min_area == 67600 and layers["met4"].thickness == 800
    assert layers["met1"].antenna_ratio[0] == (0.0, 400.0)
    assert technology.cuts["via2"].enclosure_below == (40, 85)
    assert (technology.site_width, technology.row_height, technology.grid) == (460, 2720, 5)


def test_tracks_of_a_direction_are_on_one_lattice(technology):
    """Counted from the tech LEF's own offsets (0.34 and 0.46 um), met3 and met4 would miss every via."""
    layers = technology.layers
    for coarse, fine in (("met3", "met1"), ("met4", "met2")):
        assert layers[coarse].offset == layers[fine].offset and layers[coarse].pitch == 2 * layers[fine].pitch


def test_vias_between_layers(technology):
    default, *others = technology.vias_between("met1", "met2")
    assert default.name == "M1M2_PR" and default.lower == Shape("met1", -160, -130, 160, 130)
    assert default.cuts == (Shape("via", -75, -75, 75, 75),) and len(others) == 4
    assert technology.cut_between["met4", "met5"] == "via4"


def test_an_array_via_keeps_enclosure_and_spacing(technology):
    for lower, upper, area in (("met1", "met2", Rect(-800, -240, 800, 240)),
                               ("met3", "met4", Rect(-240, -800, 240, 800)),
                               ("met4", "met5", Rect(-710, -800, 710, 800))):
        via = array_via(technology, lower, upper, area)
        cut = technology.cuts[via.cuts[0].layer]
        region = kdb.Region()
        for shape in via.cuts:
            region.insert(kdb.Box(*shape.rect))
        assert region.merged().count() == len(via.cuts) and not region.space_check(cut.spacing).count()
        for rule in (cut.enclosure_below, cut.enclosure_above):
            free = [min(s.x0 - area.x0 for s in via.cuts), min(s.y0 - area.y0 for s in via.cuts)]
            assert min(free) >= min(rule) and max(free) >= max(rule)
        assert all(value % technology.grid == 0 for shape in via.cuts for value in shape.rect)
    with pytest.raises(SpecError, match="room for a cut of 800 nm with its enclosure, not only 1000 x 1000"):
        array_via(technology, "met4", "met5", Rect(-500, -500, 500, 500))


def test_a_tech_lef_that_lacks_something_says_what():
    text = tech_lef()
    for old, new, message in (
        ("LAYER met3", "LAYER met9", "must have the layers of the PDK file and lacks met3|must have LAYER met9"),
        ("AREA 0.24 ;", "", "met3 must have AREA"),
        ("MANUFACTURINGGRID 0.005", "MANUFACTURINGGRID 0.010", "grid must be 5 nm as in the PDK file, not 0.010"),
        ("SIZE 0.46 BY 2.72", "SIZES 0.46 BY 2.72", "unithd must have SIZE"),
    ):
        assert old in text
        with pytest.raises(SpecError, match=message):
            parse_technology(text.replace(old, new), CONFIG, "tech.lef")


# Cells

def test_cells_of_a_lef():
    inv, mem = CELLS["inv"], CELLS["mem"]
    assert (inv.width, inv.height, inv.is_macro, mem.is_macro) == (1380, 2720, False, True)
    assert inv.pins["A"].gate_area_um2 == 0.25 and inv.pins["Y"].diffusion_area_um2 == 0.429
    assert inv.pins["A"].shapes == (Shape("li1", 320, 1075, 650, 1315),)
    assert set(inv.signal_pins) == {"A", "Y"}
    with pytest.raises(SpecError, match="odd must have a CLASS and a SIZE"):
        parse_abstracts("MACRO odd SIZE 1 BY 1 ; END odd", "odd.lef")


# Netlist

def test_a_netlist_is_read():
    found = netlist()
    assert found.ports == {"clk": "input", "data[1]": "input", "data[0]": "input", "out[1]": "output",
                           "out[0]": "output", "same": "output"}
    assert found.instances == {"u.1[0]": "inv", "u2": "inv", "m": "mem"}
    assert found.nets["data[1]"] == (("", "data[1]"), ("m", "a[0]"))
    assert found.nets["odd;name[2]"] == (("u2", "Y"), ("m", "a[1]"))
    assert found.nets["out[1]"] == (("", "out[1]"), ("", "same"), ("m", "q[1]"))
    assert found.nets["clk"] == (("", "clk"), ("m", "we[0]"))
    check_netlist(found, CELLS)
    assert found.driver("n1", CELLS) == ("u.1[0]", "Y") and found.driver("clk", CELLS) == ("", "clk")
    assert found.macros(CELLS) == ["m"]


def test_a_netlist_survives_writing_and_reading():
    found = netlist()
    text = write_netlist(found)
    assert parse_netlist(text, "top", CELLS, "again.v") == found
    assert write_netlist(parse_netlist(text, "top", CELLS, "again.v")) == text


@pytest.mark.parametrize("old, new, message", [
    ("module top", "module other", "module top must be in the netlist, which has other"),
    ("endmodule", "", "must end with endmodule"),
    ("inv u2", "nand u2", "instance u2 must be of a cell with a LEF, not of nand"),
    ("inv u2", "inv m", "instance names must be unique, and m is there twice"),
    (".A(n1)", ".A(1'b0)", "constants must come from a tie cell, not \"1'b0\""),
    ("assign same = out[1]", "assign same = 1'b1", "an assign ties same"),
    ("assign same = out[1]", "always @(posedge clk)", "declarations, assigns and instances only, not 'always @"),
    (".we(clk)", ".we({clk, clk})", "pins of mem, not we\\[1\\]"),
    ("(.A(n1), .Y", "(n1, .Y", "must connect its pins by name"),
    ("assign same = out[1]", "assign same = out", "must have the same width, not 1 and 2"),
    ("  input clk;", "", "a direction, not clk"),
])
def test_verilog_that_is_no_gate_netlist_is_refused(old, new, message):
    assert old in VERILOG
    with pytest.raises(SpecError, match=message):
        parse_netlist(VERILOG.replace(old, new), "top", CELLS, "top.v")


@pytest.mark.parametrize("old, new, message", [
    (".A(n1)", ".A(n9)", "1 nets without a driver: n9"),
    (".A(n1), ", "", "1 inputs without a net: u2/A"),
    (".A(n1), ", ".A(n1), .VGND(n1), ", "1 pins that the cell or the module does not have: u2/VGND"),
    (".A(n1)", ".A(n1), .A(clk)", "1 pins in two nets: u2/A"),
    ("inv u2 (.A(n1), .Y(\\odd;name [2]))", "inv u2 (.A(n1), .Y(n1))", "1 nets with several drivers: n1"),
])
def test_a_netlist_that_is_not_whole_is_refused(old, new, message):
    assert old in VERILOG
    with pytest.raises(SpecError, match=message):
        check_netlist(parse_netlist(VERILOG.replace(old, new), "top", CELLS, "top.v"), CELLS)


# DEF

def layout(technology):
    """A small layout with everything that DEF has to carry."""
    via = array_via(technology, "met1", "met2", Rect(-800, -240, 800, 240))
    strap = Shape("met4", 9000, 5200, 10600, 48960)
    placement = Placement(
        "top", Rect(0, 0, 46000, 54400), Rect(4600, 5440, 41400, 48960),
        rows=(Row(5440, 4600, 41400, "N"), Row(8160, 4600, 23000, "FS")),
        instances={"u.1[0]": Placed("inv", 4600, 5440, "N"), "u2": Placed("inv", 9200, 8160, "FS"),
                   "m": Placed("mem", 23000, 20400, "FN", True), "fill/1": Placed("fill", 5980, 5440, "FN", True)},
        ports={"clk": Shape("met2", 160, 0, 300, 680), "data[1]": Shape("met3", 0, 700, 920, 1000)},
        supplies={"VGND": SupplyNet("GROUND", (Shape("met1", 4600, 5200, 41400, 5680),),
                                    (strap,), (strap,), (ViaUse(via.name, 9800, 5440),))},
        blockages=(Shape("", 23000, 20400, 33000, 40400), Shape("met1", 0, 0, 100, 100)), vias={via.name: via})
    routes = {"n1": NetRoute((Wire("met1", 5000, 6000, 7000, 6000), Wire("met2", 7000, 6000, 7000, 9000)),
                             (ViaUse("M1M2_PR", 7000, 6000),), (Shape("met1", 4900, 5900, 5100, 6300),)),
              "odd;name[2]": NetRoute((Wire("met3", 5000, 6000, 9000, 6000),))}
    return Design(placement, netlist(), routes)


def test_a_layout_survives_def(technology):
    design = layout(technology)
    text = write_def(design, technology)
    assert read_def(text, technology, "top.def") == design
    assert write_def(read_def(text, technology, "top.def"), technology) == text


def test_names_survive_def():
    from flow.physical.def_read import _name
    for name in ("a", "a[3]", "a/b", "x.y[2].z", "back\\slash", "m[1][2]"):
        assert _name(escape(name)) == name


@pytest.mark.parametrize("cut", ["END DESIGN", "CORE_AREA", "DIEAREA"])
def test_a_def_that_is_cut_short_is_refused(technology, cut):
    with pytest.raises(SpecError, match="top.def"):
        read_def(write_def(layout(technology), technology).replace(cut, "", 1), technology, "top.def")


def test_klayout_reads_the_def_with_the_same_geometry(technology, tmp_path):
    """Wires, vias, straps and pins as another reader of DEF draws them."""
    design = layout(technology)
    path, lef, tech = tmp_path / "top.def", tmp_path / "cells.lef", tmp_path / "tech.lef"
    tech.write_text(tech_lef())
    path.write_text(write_def(design, technology))
    lef.write_text("VERSION 5.7 ;\n" + LEF)
    options = kdb.LoadLayoutOptions()
    options.lefdef_config.lef_files = [str(tech), str(lef)]
    options.lefdef_config.read_lef_with_def = False
    options.lefdef_config.dbu = 0.001
    theirs = kdb.Layout()
    theirs.read(str(path), options)
    top = theirs.top_cell()
    assert top.name == "top"
    places = {inst.cell.name: (inst.bbox().left, inst.bbox().bottom) for inst in top.each_inst()}
    assert places["mem"] == (23000, 20400)
    for instance in [inst for inst in top.each_inst() if inst.cell.name in CELLS]:
        instance.delete()
    found = {name: kdb.Region() for name in ("met1", "met2", "met3", "met4", "via")}
    for index in theirs.layer_indexes():
        layer, _, purpose = theirs.get_info(index).name.partition(".")
        if layer in found and purpose in ("", "PIN"):
            found[layer] += kdb.Region(top.begin_shapes_rec(index))
    ours = {name: kdb.Region() for name in found}
    shapes = [shape for route in design.routes.values() for shape in route.shapes(technology)]
    shapes += design.placement.supply_shapes("VGND")
    for shape in [*shapes, *design.placement.ports.values()]:
        ours[shape.layer].insert(kdb.Box(*shape.rect))
    for name in found:
        assert not ours[name].is_empty() and (ours[name].merged() ^ found[name].merged()).is_empty(), name


# Positions and wire length

def test_pins_and_half_perimeters(technology):
    design = layout(technology)
    placement = design.placement
    assert pin_centre(placement, CELLS, "u.1[0]", "A") == (4600 + 485, 5440 + 1195)
    assert pin_centre(placement, CELLS, "u2", "Y") == (9200 + 885, 8160 + 2720 - 1360)
    lengths = half_perimeters(Placement("top", placement.die, placement.core, instances=placement.instances,
                                        ports=dict.fromkeys(design.netlist.ports, Shape("met2", 0, 0, 0, 0))),
                              design.netlist, CELLS)
    a, y = pin_centre(placement, CELLS, "u2", "A"), pin_centre(placement, CELLS, "u.1[0]", "Y")
    assert lengths["n1"] == abs(a[0] - y[0]) + abs(a[1] - y[1])
    assert "odd;name[2]" in lengths and all(length >= 0 for length in lengths.values())


# GDS

@pytest.fixture
def cell_gds(tmp_path):
    """One file with the standard cells of LEF, one with the macro, whose part is called as a standard cell."""
    def draw(path, *cells):
        drawn = kdb.Layout()
        drawn.dbu = 0.001
        for name in cells:
            cell = drawn.create_cell(name)
            cell.shapes(drawn.layer(*CONFIG.drawing("met1"))).insert(
                kdb.Box(0, 0, CELLS[name].width if name in CELLS else 100, 500))
            if name == "mem":
                cell.insert(kdb.CellInstArray(drawn.create_cell("inv").cell_index(), kdb.Trans()))
        drawn.write(str(path))
        return path
    return draw(tmp_path / "cells.gds", "inv", "fill"), {"mem": draw(tmp_path / "mem.gds", "mem")}


def test_the_gds_has_cells_wires_and_labels(technology, cell_gds):
    design = layout(technology)
    drawn = build_layout(design.placement, design.routes, CELLS, technology, *cell_gds)
    top = drawn.cell("top")
    assert sorted(inst.cell.name for inst in top.each_inst()) == ["fill", "inv", "inv", "mem"]
    assert {cell.name for cell in drawn.each_cell()} == {"top", "inv", "fill", "mem", "mem.inv"}
    labels = {shape.text_string for layer in ("met2", "met3", "met4")
              for shape in top.shapes(drawn.layer(*CONFIG.layers[layer].label)).each()}
    assert labels == {"clk", "data[1]", "VGND"}
    met1 = kdb.Region(top.shapes(drawn.layer(*CONFIG.drawing("met1"))))
    assert not (met1 & kdb.Region(kdb.Box(4900, 5900, 5100, 6300))).is_empty()
    assert kdb.Region(top.shapes(drawn.layer(*CONFIG.drawing("outline")))).bbox() == kdb.Box(0, 0, 46000, 54400)


def test_the_same_layout_gives_the_same_gds(technology, cell_gds, tmp_path):
    design = layout(technology)
    paths = [tmp_path / name for name in ("a.gds", "b.gds")]
    for path in paths:
        write_gds(path, design.placement, design.routes, CELLS, technology, *cell_gds)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_cell_without_layout_is_refused(technology, cell_gds):
    design = layout(technology)
    with pytest.raises(SpecError, match="cell mem must be in .*cells.gds or have a GDS of its own"):
        build_layout(design.placement, design.routes, CELLS, technology, cell_gds[0], {})


def test_random_netlists_survive_verilog_and_def(technology):
    random.seed(3)
    nets = {f"n{k}": ((f"u{k}", "Y"), *((f"u{j}", "A") for j in range(60) if j % 7 == k)) for k in range(60)}
    found = Netlist("r", {}, {f"u{k}": "inv" for k in range(60)},
                    {net: tuple(sorted(pins, key=lambda pin: (int(pin[0][1:]), pin[1]))) for net, pins in nets.items()})
    assert parse_netlist(write_netlist(found), "r", CELLS, "r.v") == found
    places = {name: Placed("inv", random.randrange(9) * 460, random.randrange(9) * 2720, random.choice(ORIENTATIONS))
              for name in found.instances}
    design = Design(Placement("r", Rect(0, 0, 9000, 9000), Rect(0, 0, 9000, 9000), instances=places), found)
    assert read_def(write_def(design, technology), technology, "r.def") == design
