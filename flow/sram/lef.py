"""The macro's LEF: pins where a router may land, and obstructions over everything else that it uses."""

from collections.abc import Iterator, Mapping

import klayout.db as kdb

from flow.pdk.config import PdkConfig
from flow.sram.antenna import PinAntenna
from flow.sram.spec import SramSpec
from flow.sram.straps import Macro

PIN_CLEARANCE_UM = 0.2
"""Obstructions keep this off a pin of their layer, more than the spacing rule of met1 and met2 (0.14)."""


def build_lef(spec: SramSpec, pdk: PdkConfig, macro: Macro, antennas: Mapping[str, PinAntenna]) -> str:
    """li1, met1 and met2 are taken but for the pins; met3 under the straps only; met4 between the straps is free.

    antennas: signal pin -> the gates that its wire must not charge, and the metal that they have already.
    """
    width, height = macro.outline.width() * macro.dbu, macro.outline.height() * macro.dbu
    lines = ["VERSION 5.7 ;", 'BUSBITCHARS "[]" ;', 'DIVIDERCHAR "/" ;', f"MACRO {spec.name}", "  CLASS BLOCK ;",
             f"  FOREIGN {spec.name} 0 0 ;", "  ORIGIN 0 0 ;", f"  SIZE {width:.3f} BY {height:.3f} ;",
             "  SYMMETRY X Y R90 ;"]
    for name, pin in spec.pins().items():
        lines += [f"  PIN {name}", f"    DIRECTION {pin.direction} ;", f"    USE {pin.use} ;"]
        lines += [f"    {line} ;" for line in _antenna_lines(antennas[name])] if name in antennas else []
        lines += ["    PORT"]
        lines += _shapes(macro.pins[name], macro.dbu, "      ")
        lines += ["    END", f"  END {name}"]
    lines += ["  OBS", *_shapes(_obstructions(pdk, macro), macro.dbu, "    "), "  END", f"END {spec.name}"]
    return "\n".join([*lines, "END LIBRARY", ""])


def _antenna_lines(antenna: PinAntenna) -> Iterator[str]:
    for statement, area in (("ANTENNADIFFAREA", antenna.diffusion), ("ANTENNAGATEAREA", antenna.gate)):
        if area:
            yield f"{statement} {area:.4f}"
    for statement, areas in (("ANTENNAPARTIALMETALSIDEAREA", antenna.side), ("ANTENNAPARTIALCUTAREA", antenna.cut)):
        for layer, area in sorted(areas.items()):
            yield f"{statement} {area:.4f} LAYER {layer}"


def _obstructions(pdk: PdkConfig, macro: Macro) -> dict[str, kdb.Region]:
    """Layer -> what a router must keep out of."""
    whole = kdb.Region(macro.outline)
    taken = {"li1": whole}
    for layer in ("met1", "met2"):
        pins = kdb.Region()
        for shapes in macro.pins.values():
            if layer in shapes:
                pins += shapes[layer]
        taken[layer] = whole - pins.sized(round(PIN_CLEARANCE_UM / macro.dbu))
    met3 = macro.layout.layer(*pdk.drawing("met3"))
    taken["met3"] = kdb.Region(macro.cell.begin_shapes_rec(met3)).merged()
    return taken


def _shapes(layers: dict[str, kdb.Region], dbu: float, indent: str) -> list[str]:
    lines = []
    for layer, region in layers.items():
        lines.append(f"{indent}LAYER {layer} ;")
        boxes = (polygon.bbox() for polygon in region.merged().decompose_trapezoids_to_region().each())
        for box in sorted(boxes, key=lambda box: (box.bottom, box.left)):
            corners = " ".join(f"{value * dbu:.3f}" for value in (box.left, box.bottom, box.right, box.top))
            lines.append(f"{indent}  RECT {corners} ;")
    return lines
