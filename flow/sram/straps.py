"""Power straps and pin shapes on top of the generated block.

The generator leaves the supplies as rows of met2 rails: those of the array and those of the column periphery are not
joined. One vdd and one vss strap in met4 over every byte's columns joins them and gives the power grid something to
land on.
"""

from dataclasses import dataclass

import klayout.db as kdb

from flow.pdk.config import PdkConfig
from flow.sram.spec import SUPPLIES, SramSpec
from golden.spec import SpecError

STRAP_WIDTH_UM = 1.2
STRAP_POSITIONS = {"vdd": 0.31, "vss": 0.68}
"""Centre of each strap, as a part of the width of a byte's columns: between the pins of d and q, over rails only."""

VIA_UM, VIA_PITCH_UM = 0.2, 0.4                # via2 and via3: 0.2 squares, two side by side
MET3_PAD_UM = (0.84, 0.40)                     # encloses both cuts, and is larger than the least met3 area (0.24 um2)
MET2_PAD_UM = (0.84, 0.28)                     # widens the array's rails of 0.26, which are narrower than via2 asks
LEAST_RAIL_UM = 40.0                           # rails of the array and the column periphery are longer, stubs shorter
TOP_MARGIN_UM, STRAP_OVERHANG_UM = 1.5, 1.0


@dataclass(frozen=True)
class Macro:
    """The macro's layout, its top cell, outline and the regions of its pins: pin -> LEF layer -> shapes."""

    layout: kdb.Layout
    cell: kdb.Cell
    outline: kdb.Box
    pins: dict[str, dict[str, kdb.Region]]

    @property
    def dbu(self) -> float:
        return self.layout.dbu


def add_straps(spec: SramSpec, pdk: PdkConfig, layout: kdb.Layout, core: str) -> Macro:
    """A cell named as the macro, around the generated one: straps, and shape and label of every pin."""
    inner = layout.cell(core)
    top = layout.create_cell(spec.name)
    top.insert(kdb.DCellInstArray(inner.cell_index(), kdb.DTrans()))
    outline_layer = layout.layer(*pdk.drawing("outline"))
    outline = kdb.Region(inner.shapes(outline_layer)).bbox()
    top.shapes(outline_layer).insert(outline)

    found = _find_pins(layout, inner, pdk)
    lacking = sorted(set(spec.pins()) - set(found))
    if lacking:
        raise SpecError(f"the generated block must have all pins of {spec.name} and lacks {', '.join(lacking)}")
    pins = {name: layers for name, layers in found.items() if name not in SUPPLIES}
    for name, layers in pins.items():
        for layer, region in layers.items():
            _label(top, pdk, layer, name, region)
    for net in SUPPLIES:
        straps = kdb.Region()
        for x in _strap_centres(spec, found["vdd"]["met2"], outline, layout.dbu, net):
            straps.insert(_add_strap(top, pdk, found[net]["met2"], outline, x))
        pins[net] = {"met4": straps}
        for strap in straps.each():
            _label(top, pdk, "met4", net, kdb.Region(strap))
    return Macro(layout, top, outline, pins)


def _find_pins(layout: kdb.Layout, cell: kdb.Cell, pdk: PdkConfig) -> dict[str, dict[str, kdb.Region]]:
    """Pin -> layer -> merged shapes, by the labels that lie on shapes of the pin purpose."""
    pins: dict[str, dict[str, kdb.Region]] = {}
    for layer in ("met1", "met2"):
        shapes = cell.shapes(layout.layer(*pdk.layers[layer].pin))
        polygons = kdb.Region(shapes)
        polygons.merge()
        labels: dict[str, kdb.Region] = {}
        for shape in shapes.each(kdb.Shapes.STexts):
            at = shape.text.trans.disp
            labels.setdefault(shape.text_string, kdb.Region()).insert(kdb.Box(at.x - 1, at.y - 1, at.x + 1, at.y + 1))
        for name, points in labels.items():
            pins.setdefault(name, {})[layer] = polygons.interacting(points)
    return pins


def _strap_centres(spec: SramSpec, vdd_rails: kdb.Region, outline: kdb.Box, dbu: float, net: str) -> list[int]:
    """x of each strap, in database units on the manufacturing grid."""
    left = min(rail.bbox().left for rail in _long(vdd_rails, dbu))
    pitch = (outline.right - left) / spec.n_bytes
    grid = round(0.01 / dbu)
    return [round((left + (byte + STRAP_POSITIONS[net]) * pitch) / grid) * grid for byte in range(spec.n_bytes)]


def _long(rails: kdb.Region, dbu: float) -> list[kdb.Polygon]:
    return [rail for rail in rails.each() if rail.bbox().width() * dbu > LEAST_RAIL_UM]


def _add_strap(top: kdb.Cell, pdk: PdkConfig, rails: kdb.Region, outline: kdb.Box, x: int) -> kdb.Box:
    """Draws one strap with a via stack on each long rail that it crosses; returns the strap."""
    layout = top.layout()
    unit = round(1 / layout.dbu)
    crossed = []
    for rail in sorted((polygon.bbox() for polygon in _long(rails, layout.dbu)), key=lambda box: box.bottom):
        covers = rail.left + 0.6 * unit <= x <= rail.right - 0.6 * unit
        if covers and rail.center().y < outline.top - TOP_MARGIN_UM * unit:
            _add_stack(top, pdk, x, rail)
            crossed.append(rail.center().y)
    if not crossed:
        raise SpecError(f"a strap at x = {x * layout.dbu:.2f} um must cross supply rails, and crosses none")
    overhang, half = round(STRAP_OVERHANG_UM * unit), round(STRAP_WIDTH_UM * unit / 2)
    strap = kdb.Box(x - half, crossed[0] - overhang, x + half, min(crossed[-1] + overhang, outline.top))
    top.shapes(layout.layer(*pdk.drawing("met4"))).insert(strap)
    return strap


def _add_stack(top: kdb.Cell, pdk: PdkConfig, x: int, rail: kdb.Box) -> None:
    """Vias from a met2 rail up to met4, two cuts a level."""
    layout, y = top.layout(), rail.center().y
    unit = round(1 / layout.dbu)

    def add(layer: str, centre_x: int, size_um: tuple[float, float]) -> None:
        half_x, half_y = (round(size * unit / 2) for size in size_um)
        box = kdb.Box(centre_x - half_x, y - half_y, centre_x + half_x, y + half_y)
        top.shapes(layout.layer(*pdk.drawing(layer))).insert(box)

    for side in (-1, 1):
        for via in ("via2", "via3"):
            add(via, x + side * round(VIA_PITCH_UM * unit / 2), (VIA_UM, VIA_UM))
    add("met3", x, MET3_PAD_UM)
    if rail.height() < MET2_PAD_UM[1] * unit:
        add("met2", x, MET2_PAD_UM)


def _label(top: kdb.Cell, pdk: PdkConfig, layer: str, name: str, region: kdb.Region) -> None:
    """Draws a pin: metal, pin purpose, and its name on both purposes that tools look at."""
    layout, spec = top.layout(), pdk.layers[layer]
    centre = region.bbox().center()
    for purpose in (spec.drawing, spec.pin):
        top.shapes(layout.layer(*purpose)).insert(region)
    for purpose in (spec.pin, spec.label):
        top.shapes(layout.layer(*purpose)).insert(kdb.Text(name, kdb.Trans(kdb.Vector(centre.x, centre.y))))
