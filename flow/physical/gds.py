"""A layout as GDS: cells by reference, power grid and routes as shapes, pins with their labels.

The same layout gives the same bytes: cells by name, shapes in the layout's order, no time of writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import klayout.db as kdb

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, Routes
from flow.physical.geometry import ORIENTATIONS, Shape, placed_point
from flow.physical.technology import Technology
from golden.spec import SpecError

DBU_UM = 0.001
OUTLINE = "outline"
TURNS = {"N": kdb.Trans.R0, "W": kdb.Trans.R90, "S": kdb.Trans.R180, "E": kdb.Trans.R270,
         "FS": kdb.Trans.M0, "FN": kdb.Trans.M90, "FW": kdb.Trans.M45, "FE": kdb.Trans.M135}
"""DEF's orientations in KLayout's words: M0 mirrors at the x axis, M90 at the y axis."""


def write_gds(path: Path, placement: Placement, routes: Routes, cells: Cells, technology: Technology,
              cell_gds: Path, macro_gds: Mapping[str, Path]) -> None:
    """Writes the GDS of a layout.

    cell_gds:  the standard cells.
    macro_gds: macro -> its own GDS; SpecError when a placed cell is in neither.
    """
    layout = build_layout(placement, routes, cells, technology, cell_gds, macro_gds)
    options = kdb.SaveLayoutOptions()
    options.format = "GDS2"
    options.gds2_write_timestamps = False
    options.add_cell(layout.cell(placement.top).cell_index())
    layout.write(str(path), options)


def build_layout(placement: Placement, routes: Routes, cells: Cells, technology: Technology, cell_gds: Path,
                 macro_gds: Mapping[str, Path]) -> kdb.Layout:
    """The layout in memory: every cell of the files, and the top cell."""
    layout = kdb.Layout()
    layout.dbu = DBU_UM
    _read_cells(layout, placement, cell_gds, macro_gds)
    top = layout.create_cell(placement.top)
    for placed in placement.instances.values():
        cell = layout.cell(placed.cell)
        if cell is None:
            raise SpecError(f"cell {placed.cell} must be in {cell_gds} or have a GDS of its own")
        top.insert(kdb.CellInstArray(cell.cell_index(), transformation(placed, cells)))
    pen = _Pen(layout, top, technology)
    for net, supply in placement.supplies.items():
        pen.draw(placement.supply_shapes(net))
        for shape in supply.pins:
            pen.pin(net, shape)
    for route in routes.values():
        pen.draw(route.shapes(technology))
    for port, shape in placement.ports.items():
        pen.draw([shape])
        pen.pin(port, shape)
    pen.draw([Shape.of(OUTLINE, placement.die)])
    return layout


def _read_cells(layout: kdb.Layout, placement: Placement, cell_gds: Path, macro_gds: Mapping[str, Path]) -> None:
    """Macros first, each with its parts under names of its own; then the standard cells that are placed."""
    used = {placed.cell for placed in placement.instances.values()}
    for macro in sorted(used & macro_gds.keys()):
        source = kdb.Layout()
        source.read(str(macro_gds[macro]))
        if source.cell(macro) is None:
            raise SpecError(f"cell {macro} must be in {macro_gds[macro]}")
        for index in sorted(source.cell(macro).called_cells(), key=source.cell_name):
            source.rename_cell(index, f"{macro}.{source.cell_name(index)}")
        layout.create_cell(macro).copy_tree(source.cell(macro))
    source = kdb.Layout()
    source.read(str(cell_gds))
    for name in sorted(used - macro_gds.keys()):
        if source.cell(name) is not None:
            layout.create_cell(name).copy_tree(source.cell(name))


def transformation(placed: Placed, cells: Cells) -> kdb.Trans:
    """Moves the cell so that its outline's lower left corner comes to the place."""
    cell = cells[placed.cell]
    assert placed.orientation in ORIENTATIONS
    x, y = placed_point(placed.orientation, cell.width, cell.height, 0, 0)     # where the cell's own origin lands
    return kdb.Trans(TURNS[placed.orientation], placed.x + x, placed.y + y)


class _Pen:
    """Draws on the top cell."""

    def __init__(self, layout: kdb.Layout, top: kdb.Cell, technology: Technology):
        self.layout, self.top, self.technology = layout, top, technology
        self.shapes: dict[str, kdb.Shapes] = {}

    def draw(self, shapes: Iterable[Shape]) -> None:
        for shape in shapes:
            if shape.layer not in self.shapes:
                index = self.layout.layer(*self.technology.gds_layer(shape.layer))
                self.shapes[shape.layer] = self.top.shapes(index)
            self.shapes[shape.layer].insert(kdb.Box(*shape.rect))

    def pin(self, name: str, shape: Shape) -> None:
        """The pin purpose over a shape, and the name on it."""
        layer = self.technology.config.layers[shape.layer]
        if layer.pin is None or layer.label is None:
            raise SpecError(f"{shape.layer} must have a pin and a label purpose for {name} "
                            f"(pdk_configs/{self.technology.config.name}.yaml: layers)")
        box = kdb.Box(*shape.rect)
        text = kdb.Text(name, kdb.Trans(kdb.Vector(box.center().x, box.center().y)))
        self.top.shapes(self.layout.layer(*layer.pin)).insert(box)
        self.top.shapes(self.layout.layer(*layer.label)).insert(text)
