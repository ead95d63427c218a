"""Writes and reads a macro's GDS; the same layout gives the same bytes."""

from pathlib import Path

import klayout.db as kdb

from flow.sram.spec import SramSpec
from golden.spec import SpecError


def write_gds(layout: kdb.Layout, cell: kdb.Cell, path: Path) -> None:
    """A cell and what is below it: cells by name, shapes and instances sorted, no time of writing.

    The generator draws in an order that changes from process to process.
    """
    ordered = kdb.Layout()
    ordered.dbu = layout.dbu
    called = sorted({cell.cell_index(), *cell.called_cells()}, key=layout.cell_name)
    copies = {index: ordered.create_cell(layout.cell_name(index)) for index in called}
    layers = {index: ordered.insert_layer(layout.get_info(index))
              for index in sorted(layout.layer_indexes(), key=lambda index: _purpose(layout, index))}
    for index in called:
        source, copy = layout.cell(index), copies[index]
        for old, new in layers.items():
            for shape in sorted(source.shapes(old).each(), key=str):
                copy.shapes(new).insert(shape)
        instances = ((source_cell, instance) for instance in source.each_inst()
                     for source_cell in [layout.cell_name(instance.cell_index)])
        for _, instance in sorted(instances, key=lambda item: (item[0], str(item[1].cell_inst.trans))):
            array = instance.cell_inst.dup()
            array.cell_index = copies[instance.cell_index].cell_index()
            copy.insert(array)
    options = kdb.SaveLayoutOptions()
    options.format = "GDS2"
    options.gds2_write_timestamps = False
    ordered.write(str(path), options)


def load_macro(gds: Path, spec: SramSpec) -> tuple[kdb.Layout, kdb.Cell]:
    """The layout in a GDS file and the macro's cell in it."""
    layout = kdb.Layout()
    layout.read(str(gds))
    cell = layout.cell(spec.name)
    if cell is None:
        raise SpecError(f"cell {spec.name} must be in {gds}")
    return layout, cell


def _purpose(layout: kdb.Layout, index: int) -> tuple[int, int]:
    info = layout.get_info(index)
    return info.layer, info.datatype
