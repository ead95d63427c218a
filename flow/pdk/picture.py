"""A picture of a layout, for the eye."""

from pathlib import Path

import klayout.lay as lay

from flow.pdk.config import PdkConfig

COLOURS = {                              # drawn in this order: the straps and pins on top
    "nwell": 0xF3E9D2, "poly": 0xC1666B, "li1": 0xB8C5B4, "met1": 0x7FA6C9, "met2": 0xD9A35F,
    "met3": 0x8E6C8A, "met4": 0x2F4858, "met5": 0x6B8F71, "outline": 0x444444,
}
LONGER_SIDE_PX, MARGIN_UM = 1400, 4.0
FRAME_ONLY = 1                           # KLayout's number of the empty fill pattern
SOLID = 0


def draw_picture(gds: Path, png: Path, pdk: PdkConfig) -> None:
    """Writes a PNG of all levels of the hierarchy; same layout, same picture."""
    view = lay.LayoutView()
    view.set_config("background-color", "#ffffff")
    view.set_config("grid-visible", "false")
    view.set_config("text-visible", "false")
    view.load_layout(str(gds))
    view.max_hier()
    view.clear_layers()
    for name, colour in COLOURS.items():
        properties = lay.LayerProperties()
        levels = " #0..1" if name == "outline" else ""       # the layout's own, not its cells'
        properties.source = "{}/{}@1".format(*pdk.drawing(name)) + levels
        properties.fill_color = properties.frame_color = colour
        properties.dither_pattern = FRAME_ONLY if name == "outline" else SOLID
        properties.width = 2 if name == "outline" else 0
        view.insert_layer(view.end_layers(), properties)
    cell = view.active_cellview().cell
    box = cell.dbbox_per_layer(view.active_cellview().layout().layer(*pdk.drawing("outline")))
    view.zoom_box(box.enlarged(MARGIN_UM, MARGIN_UM))
    width, height = box.width() + 2 * MARGIN_UM, box.height() + 2 * MARGIN_UM
    scale = LONGER_SIDE_PX / max(width, height)
    view.save_image(str(png), round(width * scale), round(height * scale))
