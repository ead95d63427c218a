"""A picture of a clock tree: its wires and buffers by level, over the die and its macros."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import klayout.db as kdb
import klayout.lay as lay

from flow.clock.engine import ClockTree
from flow.clock.tree import BUFFER, GATE, SINK, Node
from flow.physical.abstract import Cells
from flow.physical.design import outline

DIE, MACRO, SINKS, GATES = "die", "macro", "sink", "gate"
GREYS = {DIE: 0x444444, MACRO: 0xE4E4E4, SINKS: 0xA8A8A8, GATES: 0x000000}
LEVELS = (0x9E2A2B, 0xD9822B, 0x2F6690, 0x5B8E7D, 0x7B4B94, 0xC2A83E)
"""Colours of levels from the port on, then from the beginning again."""

LONGER_SIDE_PX, MARGIN_NM = 1400, 6000
WIRE_NM, DOT_NM = (1800, 1300, 900, 500), (9000, 6500, 4500, 3200)
"""Width of a level's wires, size of its buffers; the last for all that follow."""

SINK_NM, GATE_NM = 1200, 6500

SOLID, FRAME_ONLY = 0, 1


def draw_tree(tree: ClockTree, cells: Cells, png: Path) -> None:
    """Writes a PNG; same tree, same picture."""
    view = lay.LayoutView()
    view.set_config("background-color", "#ffffff")
    view.set_config("grid-visible", "false")
    layout = view.cellview(view.create_layout(True)).layout()
    top = layout.create_cell("tree")
    view.select_cell(top.cell_index(), 0)
    view.clear_layers()
    for number, (name, boxes) in enumerate(_drawn(tree, cells), 1):
        index = layout.layer(kdb.LayerInfo(number, 0))
        for box in boxes:
            top.shapes(index).insert(box)
        properties = lay.LayerProperties()
        properties.source = f"{number}/0@1"
        properties.fill_color = properties.frame_color = _colour(name)
        properties.dither_pattern = FRAME_ONLY if name == DIE else SOLID
        view.insert_layer(view.end_layers(), properties)
    view.max_hier()
    frame = kdb.Box(*tree.design.placement.die).enlarged(MARGIN_NM, MARGIN_NM)
    view.zoom_box(frame.to_dtype(layout.dbu))
    scale = LONGER_SIDE_PX / max(frame.width(), frame.height())
    view.save_image(str(png), round(frame.width() * scale), round(frame.height() * scale))


def _drawn(tree: ClockTree, cells: Cells) -> Iterator[tuple[str, list[kdb.Box]]]:
    """What is drawn, from below: "wire <level>", "buffer <level>" and what has a name of its own."""
    placement, nodes = tree.design.placement, list(tree.root.below())
    levels = range(max(node.level for node in nodes), -1, -1)          # leaves below, the trunk on top
    yield DIE, [kdb.Box(*placement.die)]
    yield MACRO, [kdb.Box(*outline(placed, cells[placed.cell])) for placed in placement.instances.values()
                  if cells[placed.cell].is_macro]
    yield SINKS, [_dot(node, SINK_NM) for node in nodes if node.kind == SINK]
    for level in levels:
        yield f"wire {level}", [box for node in nodes if node.level == level and node.children
                                for box in _wires(node, _of_level(WIRE_NM, level))]
    for level in levels:
        yield f"buffer {level}", [_dot(node, _of_level(DOT_NM, level)) for node in nodes
                                  if node.kind == BUFFER and node.level == level]
    yield GATES, [_dot(node, GATE_NM) for node in nodes if node.kind == GATE]


def _colour(name: str) -> int:
    kind, _, level = name.partition(" ")
    return LEVELS[int(level) % len(LEVELS)] if level else GREYS[kind]


def _of_level(sizes: tuple[int, ...], level: int) -> int:
    return sizes[min(level, len(sizes) - 1)]


def _dot(node: Node, size: int) -> kdb.Box:
    x, y = node.entry
    return kdb.Box(x - size // 2, y - size // 2, x + size // 2, y + size // 2)


def _wires(node: Node, width: int) -> Iterator[kdb.Box]:
    for (ax, ay), (bx, by) in node.wires.segments:
        yield kdb.Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)).enlarged(width // 2, width // 2)
