"""Fills what is empty in rows: decoupling capacitors where they fit, plain fill in the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, outline
from flow.physical.technology import Technology

FILL_CELLS = ("decap_12", "decap_8", "decap_6", "decap_4", "decap_3", "fill_2", "fill_1")
"""From the widest; without the library's prefix."""


def add_fill(placement: Placement, cells: Cells, technology: Technology) -> Placement:
    """The placement with every site of every row taken; rails and wells then have no gaps."""
    library = technology.config.cell_library
    fills = {cells[f"{library}__{name}"].width: f"{library}__{name}" for name in FILL_CELLS}
    placed = {}
    for row, x0, x1 in find_gaps(placement, cells):
        x = x0
        for width in fill_widths(x1 - x0, sorted(fills, reverse=True)):
            placed[f"FILL_{len(placed)}"] = Placed(fills[width], x, row.y, row.orientation, fixed=True)
            x += width
    return replace(placement, instances={**placement.instances, **placed})


def find_gaps(placement: Placement, cells: Cells) -> Iterator[tuple]:
    """Row, from, to of what no cell covers."""
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for placed in placement.instances.values():
        box = outline(placed, cells[placed.cell])
        taken[box.y0].append((box.x0, box.x1))
    for row in placement.rows:
        x = row.x0
        for x0, x1 in [*sorted(piece for piece in taken[row.y] if row.x0 <= piece[0] < row.x1), (row.x1, row.x1)]:
            if x0 > x:
                yield row, x, x0
            x = max(x, x1)


def fill_widths(gap: int, widths: Sequence[int]) -> list[int]:
    """Widths, from the widest down, that fill a gap; the least of them divides it.

    >>> fill_widths(9, [8, 4, 3, 2, 1])
    [8, 1]
    """
    found = []
    for width in widths:
        found += [width] * (gap // width)
        gap %= width
    assert not gap
    return found
