"""Are the views of the standard cells of one mind? Every cell in LEF, GDS, CDL, SPICE, Verilog, with the same pins.

Liberty, where there is one, may have fewer cells.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import klayout.db as kdb

from flow.pdk.config import PdkConfig
from flow.pdk.lef import LefMacro, parse_lef
from flow.pdk.liberty import compare_liberty
from flow.pdk.netlist_pins import parse_subcircuit_pins, parse_verilog_pins
from flow.pdk.tree import Pdk

POWER_PINS_GUARD = "`ifdef USE_POWER_PINS"
PIN_LABEL_LAYERS = ("nwell", "li1", "met1", "met3", "met5")
P_SUBSTRATE_LABELS = ((64, 59), (122, 16))


def check_cells(pdk: Pdk) -> tuple[int, list[str]]:
    """How many cells there are, and a line for every difference between their views or with the PDK file."""
    lef = parse_lef(pdk.view("lef").read_text(), "lef")
    prefix = f"{pdk.config.cell_library}__"
    views = {name: {cell: set(pins) for cell, pins in found.items() if cell.startswith(prefix)} for name, found in {
        "GDS": read_gds_pins(pdk.view("gds"), pdk.config),
        "CDL": parse_subcircuit_pins(pdk.view("cdl").read_text()),
        "SPICE": parse_subcircuit_pins(pdk.view("spice").read_text()),
        "Verilog": _modules_with_supplies(pdk.view("verilog").read_text()),
    }.items()}
    pins = {cell: set(macro.pins) for cell, macro in lef.items()}
    leave_out_tied_wells(views["Verilog"], pins, pdk.config)
    found = compare_cells(pins, views)
    found += compare_sizes(lef, pdk.config)
    for corner in sorted(set(pdk.config.corners) - set(pdk.missing_liberty())):
        found += compare_liberty(pdk.liberty(corner).read_text(), lef, corner)
    found += compare_tracks(pdk.view("tech_lef_nom").read_text(), pdk.config)
    return len(lef), found


def compare_cells(lef: Mapping[str, set[str]], views: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """The cells and pins of the other views against the LEF's."""
    found = []
    for view, cells in views.items():
        found += [f"{cell} is in the LEF and not in the {view}" for cell in sorted(lef.keys() - cells.keys())]
        found += [f"{cell} is in the {view} and not in the LEF" for cell in sorted(cells.keys() - lef.keys())]
        for cell in sorted(lef.keys() & cells.keys()):
            if lef[cell] != cells[cell]:
                differ = ", ".join(sorted(lef[cell] ^ cells[cell]))
                found.append(f"{cell}: LEF and {view} differ in the pins {differ}")
    return found


def leave_out_tied_wells(verilog: Mapping[str, set[str]], lef: Mapping[str, set[str]], config: PdkConfig) -> None:
    """Takes the well pins that a tap cell's LEF has not from its Verilog: the tap joins them to a supply pin."""
    wells = {config.supplies.n_well, config.supplies.p_substrate}
    for cell in lef.keys() & verilog.keys():
        if lef[cell] <= config.supplies.names:
            verilog[cell].difference_update(wells - lef[cell])


def compare_sizes(lef: Mapping[str, LefMacro], config: PdkConfig) -> list[str]:
    """Widths in whole sites, one or two rows high."""
    found = []
    for cell, macro in sorted(lef.items()):
        sites, rows = macro.size_um[0] / config.site.width_um, macro.size_um[1] / config.site.height_um
        if abs(sites - round(sites)) > 1e-6 or min(abs(rows - 1), abs(rows - 2)) > 1e-6:
            found.append(f"{cell}: {macro.size_um[0]} x {macro.size_um[1]} um is not in sites of {config.site.name}")
    return found


def compare_tracks(tech_lef: str, config: PdkConfig) -> list[str]:
    """Directions, pitches, offsets and widths of the PDK file against the tech LEF's."""
    found = []
    for name, track in config.tracks.items():
        layer = re.search(rf"^LAYER {name}$(.*?)^END {name}$", tech_lef, re.MULTILINE | re.DOTALL)
        text = layer[1] if layer else ""
        words = dict(re.findall(r"^\s+(DIRECTION|PITCH|OFFSET|WIDTH) ([\w.]+) (?:[\d.]+ )?;", text, re.MULTILINE)[::-1])
        wanted = {"DIRECTION": track.direction.upper(), "PITCH": track.pitch_um, "OFFSET": track.offset_um,
                  "WIDTH": track.width_um}
        found += [f"{name}: {key} is {words.get(key, 'missing')} in the tech LEF, {value} in the PDK file"
                  for key, value in wanted.items()
                  if (words.get(key) != value if key == "DIRECTION" else float(words.get(key, "nan")) != value)]
    return found


def read_gds_pins(gds: Path, config: PdkConfig) -> dict[str, set[str]]:
    """Cell -> the names that label its pins."""
    layout = kdb.Layout()
    layout.read(str(gds))
    layers = [layout.layer(*purpose) for name in PIN_LABEL_LAYERS
              for purpose in (config.layers[name].pin, config.layers[name].label) if purpose]
    layers += [layout.layer(*purpose) for purpose in P_SUBSTRATE_LABELS]
    return {cell.name: {shape.text_string for layer in layers for shape in cell.shapes(layer).each(kdb.Shapes.STexts)}
            for cell in layout.each_cell()}


def _modules_with_supplies(text: str) -> dict[str, dict[str, str]]:
    """The modules as they are with supply pins: each cell's module under USE_POWER_PINS."""
    return parse_verilog_pins("\n".join(block.partition("`else  // USE_POWER_PINS")[0]
                                        for block in text.split(POWER_PINS_GUARD)[1:]))
