"""Are the macro's views of one mind? Pins of LEF, CDL, Verilog and GDS against the contract, name by name.

Every check returns lines that say what differs; nothing different is an empty list.
"""

from collections.abc import Iterable
from pathlib import Path

import klayout.db as kdb

from flow.characterise.liberty_read import parse_liberty
from flow.pdk.config import PdkConfig
from flow.pdk.lef import LefMacro, parse_lef
from flow.pdk.netlist_pins import parse_subcircuit_pins, parse_verilog_pins
from flow.sram.spec import SUPPLIES, SramSpec
from golden.spec import SpecError
from rtl.export import BINDINGS

RTL_MODEL = Path(__file__).resolve().parents[2] / "rtl" / "verilog" / "stillwater_sram.sv"
SEAM = BINDINGS["flexmem"]


def check_views(spec: SramSpec, pdk: PdkConfig, folder: Path) -> None:
    """All checks over the files of a macro's folder; SpecError lists every difference."""
    lef = parse_lef((folder / f"{spec.name}.lef").read_text(), f"{spec.name}.lef").get(spec.name, LefMacro())
    layout = kdb.Layout()
    layout.read(str(folder / f"{spec.name}.gds"))
    subcircuits = parse_subcircuit_pins((folder / f"{spec.name}.cdl").read_text())
    found = [
        *compare_lef(spec, lef),
        *compare_names(spec, subcircuits.get(spec.name, ()), "CDL"),
        *compare_model(spec, (folder / f"{spec.name}.v").read_text()),
        *compare_binding((folder / f"{SEAM}.v").read_text(), RTL_MODEL.read_text()),
        *compare_layout(spec, pdk, lef, layout),
    ]
    if found:
        raise SpecError("\n".join([f"the views of {spec.name} must agree, and do not ({folder}):",
                                   *(f"  {line}" for line in found)]))


def compare_names(spec: SramSpec, names: Iterable[str], view: str) -> list[str]:
    """The pins that a view has, against those of the contract."""
    wanted, given = set(spec.pins()), set(names)
    return [f"{view}: pin {name} is missing" for name in sorted(wanted - given)] + [
        f"{view}: pin {name} is not in the contract" for name in sorted(given - wanted)]


def compare_lef(spec: SramSpec, macro: LefMacro) -> list[str]:
    """Names, directions and uses; every pin has a shape, inside the outline."""
    found = compare_names(spec, macro.pins, "LEF")
    width, height = macro.size_um
    for name, (direction, use) in spec.pins().items():
        pin = macro.pins.get(name)
        if pin is None:
            continue
        if (pin.direction, pin.use) != (direction, use):
            found.append(f"LEF: pin {name} is {pin.direction} {pin.use}, not {direction} {use}")
        rects = [rect for layer in pin.rects.values() for rect in layer]
        if not rects:
            found.append(f"LEF: pin {name} has no shape")
        found += [f"LEF: pin {name} reaches out of the outline at {rect}" for rect in rects
                  if rect[0] < 0 or rect[1] < 0 or rect[2] > width + 1e-6 or rect[3] > height + 1e-6]
    return found


def compare_model(spec: SramSpec, verilog: str) -> list[str]:
    """The behavioural model's ports (with supplies, which only netlists with power pins see)."""
    pins = parse_verilog_pins(verilog).get(spec.name, {})
    found = compare_names(spec, pins, "Verilog")
    wanted = {name: pin.direction.lower() for name, pin in spec.pins().items()}
    return found + [f"Verilog: pin {name} is {direction}, not {wanted[name]}" for name, direction in pins.items()
                    if name in wanted and direction != wanted[name]]


def compare_binding(binding: str, rtl_model: str, supplies: tuple[str, ...] = SUPPLIES) -> list[str]:
    """The binding's ports against those of the model that rtl simulates with: the same seam, and the supplies."""
    ours, theirs = (parse_verilog_pins(text).get(SEAM, {}) for text in (binding, rtl_model))
    wanted = theirs | dict.fromkeys(supplies, "inout")
    if ours == wanted:
        return []
    return [f"binding: port {name} is {ours.get(name, 'missing')}, not {wanted.get(name, 'there')}"
            for name in sorted(ours.keys() | wanted.keys()) if ours.get(name) != wanted.get(name)]


def check_liberty(spec: SramSpec, text: str, where: str) -> None:
    """Pins, directions, clock and supplies of a macro's Liberty; SpecError lists every difference."""
    found = compare_liberty(spec, text, where)
    if found:
        raise SpecError("\n".join([f"the Liberty of {spec.name} must agree with its pins, and does not ({where}):",
                                   *(f"  {line}" for line in found)]))


def compare_liberty(spec: SramSpec, text: str, where: str = "text") -> list[str]:
    """Buses bit by bit, as their types say."""
    library = parse_liberty(text, where)
    cell = library.find("cell", spec.name)
    if cell is None:
        return [f"Liberty: cell {spec.name} is missing"]
    widths = {group.arguments[0]: int(group.attributes["bit_width"]) for group in library.all("type")}
    pins = {group.arguments[0]: group.attributes["direction"] for group in cell.all("pin")}
    for bus in cell.all("bus"):
        pins |= {f"{bus.arguments[0]}[{bit}]": bus.attributes["direction"]
                 for bit in range(widths[bus.attributes["bus_type"]])}
    pins |= {group.arguments[0]: "inout" for group in cell.all("pg_pin")}
    found = compare_names(spec, pins, "Liberty")
    wanted = {name: pin.direction.lower() for name, pin in spec.pins().items()}
    found += [f"Liberty: pin {name} is {direction}, not {wanted[name]}" for name, direction in pins.items()
              if name in wanted and direction != wanted[name]]
    clocks = [group.arguments[0] for group in cell.all("pin") if group.attributes.get("clock") == "true"]
    return found + ([] if clocks == ["clk"] else [f"Liberty: the clock is {', '.join(clocks) or 'none'}, not clk"])


def compare_layout(spec: SramSpec, pdk: PdkConfig, lef: LefMacro, layout: kdb.Layout) -> list[str]:
    """The GDS: same outline, each LEF shape is metal of that layer and carries the pin's label, no other labels."""
    cell = layout.cell(spec.name)
    if cell is None:
        return [f"GDS: cell {spec.name} is missing"]
    outline = kdb.Region(cell.begin_shapes_rec(layout.layer(*pdk.drawing("outline")))).bbox()
    expected = kdb.DBox(0, 0, *lef.size_um).to_itype(layout.dbu)
    found = [] if outline == expected else [f"GDS: the outline is {outline}, and {expected} in the LEF"]
    labelled: dict[str, set[str]] = {}
    for layer in ("met1", "met2", "met4"):
        metal = kdb.Region(cell.begin_shapes_rec(layout.layer(*pdk.drawing(layer)))).merged()
        texts = [shape.text for shape in cell.shapes(layout.layer(*pdk.layers[layer].pin)).each(kdb.Shapes.STexts)]
        for name, pin in lef.pins.items():
            rects = [kdb.DBox(*rect).to_itype(layout.dbu) for rect in pin.rects.get(layer, ())]
            missing = kdb.Region()
            for rect in rects:
                missing.insert(rect)
            missing -= metal
            found += [f"GDS: pin {name} has no {layer} at {polygon.bbox().to_dtype(layout.dbu)}"
                      for polygon in missing.each()]
            here = {text.string for text in texts
                    if any(rect.contains(kdb.Point(text.trans.disp.x, text.trans.disp.y)) for rect in rects)}
            labelled.setdefault(name, set()).update(here)
    found += [f"GDS: pin {name} is labelled {', '.join(sorted(labels)) or 'nothing'}"
              for name, labels in sorted(labelled.items()) if labels != {name}]
    return found
