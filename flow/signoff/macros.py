"""SRAM macros as verified blocks: what is placed must be what passed design rules and LVS, shape for shape."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import klayout.db as kdb

from flow.metrics import load_metrics
from flow.step import file_sha256
from golden.spec import SpecError

CHECKS = ("drc", "lvs")
"""Stages that flow.steps.sram leaves beside a macro's views."""


def check_macros(layout: kdb.Layout, macro_gds: Mapping[str, Path]) -> None:
    """SpecError unless each macro of the layout is the content of its GDS, and that GDS has passed its checks.

    macro_gds: macro -> <folder>/macro/<macro>.gds, with the results of its checks in <folder>/drc and <folder>/lvs.
    """
    for name, gds in macro_gds.items():
        sha256 = file_sha256(gds)
        for check in CHECKS:
            metrics = load_metrics(gds.parents[1] / check / "metrics.json")
            checked = {Path(path).name: digest for path, digest in metrics.inputs.items()}.get(gds.name)
            if checked != sha256:
                raise SpecError(f"{name} must be the macro that passed {check}, and {gds} is another file than that "
                                f"one; run ./stillwater sram again")
        source = kdb.Layout()
        source.read(str(gds))
        if layout.cell(name) is None or content_sha256(layout, name) != content_sha256(source, name):
            raise SpecError(f"{name} must be in the layout as it is in {gds}, and its shapes differ")


def content_sha256(layout: kdb.Layout, name: str) -> str:
    """Of every shape and instance below a cell; the names of the cells in it do not count."""
    top = layout.cell(name)
    below = sorted({top.cell_index(), *top.called_cells()}, key=lambda index: _own_name(layout, index, name))
    digest = hashlib.sha256()
    for index in below:
        for line in _content(layout, layout.cell(index), name):
            digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _own_name(layout: kdb.Layout, index: int, macro: str) -> str:
    """Cells of a macro are called `<macro>.<cell>` in a chip."""
    return layout.cell_name(index).removeprefix(f"{macro}.")


def _content(layout: kdb.Layout, cell: kdb.Cell, macro: str) -> Iterator[str]:
    yield f"cell {_own_name(layout, cell.cell_index(), macro)}"
    infos = {index: layout.get_info(index) for index in layout.layer_indexes()}
    for index in sorted(infos, key=lambda index: (infos[index].layer, infos[index].datatype)):
        if not cell.shapes(index).is_empty():
            yield f"layer {infos[index].layer}/{infos[index].datatype}"
            yield from sorted(str(shape) for shape in cell.shapes(index).each())
    yield from sorted(f"{_own_name(layout, part.cell_index, macro)} {part.cell_inst.to_s().partition(' ')[2]}"
                      for part in cell.each_inst())
