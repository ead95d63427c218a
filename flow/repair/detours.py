"""Which wires will be longer than their pins' places ask for: the router's guides, before anything is routed.

Where a part of the die is full, nets are led around it. Global routing (flow.route.guides) knows that in seconds; what
it says about a net's length is compared with the tree that estimates are made from, both in steps between regions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.technology import Technology
from flow.route.guides import REGION_COLUMNS, REGION_ROWS, Borders
from flow.route.lattice import Lattice
from flow.route.scene import problem_of
from flow.timing.estimate import NetTrees


class Outlook:
    """Guides for designs in one die that differ by few cells: what fits over the borders of regions is counted once, in
    the first of them, and where pins are in each."""

    def __init__(self, cells: Cells, technology: Technology) -> None:
        self.cells, self.technology = cells, technology
        self.borders: Borders | None = None

    def detours(self, design: Design, trees: NetTrees, without: Collection[str] = ()) -> dict[str, float]:
        """Net -> its length over that of its tree, of nets that are led more than one region out of their way.

        trees: of the design, not stretched. without: nets that no wire is wanted of (an ideal clock's).
        """
        if self.borders is None:
            self.borders = Borders.of(problem_of(design.placement, design.netlist, self.cells, self.technology))
        lattice, shape = self.borders.lattice, trees.trees
        at = np.flatnonzero(shape.pin >= 0)
        at = at[np.argsort(shape.pin[at])]                         # node of each pin
        names = sorted(set(trees.names) - set(without))
        number = {name: index for index, name in enumerate(trees.names)}
        spans = [trees.first_pin[number[name]:number[name] + 2].tolist() for name in names]
        pins = at[np.concatenate([np.zeros(0, np.int64), *(np.arange(*span) for span in spans)])]
        column = ((shape.x[pins] - lattice.x0) // lattice.pitch_x).clip(0, lattice.nx - 1)
        row = ((shape.y[pins] - lattice.y0) // lattice.pitch_y).clip(0, lattice.ny - 1)
        start = np.cumsum([0, *(last - first for first, last in spans)]).astype(np.int32)
        guides = self.borders.lead(column, row, start)
        return detours_of(trees, dict(zip(names, (np.diff(guides.start) - 1).tolist(), strict=True)), lattice)


def detours_of(trees: NetTrees, guided: Mapping[str, int], lattice: Lattice) -> dict[str, float]:
    """As `Outlook.detours`; guided: net -> steps from region to region that it is led."""
    shape = trees.trees
    width, height = REGION_COLUMNS * lattice.pitch_x, REGION_ROWS * lattice.pitch_y
    column, row = (shape.x - lattice.x0) // width, (shape.y - lattice.y0) // height
    up = np.where(shape.parent >= 0, shape.parent, np.arange(len(shape.parent)))
    steps = _sums(abs(column - column[up]) + abs(row - row[up]), shape.first)
    length = _sums(shape.dx + shape.dy, shape.first)
    found = {}
    for name, own, nm in zip(trees.names, steps.tolist(), length.tolist(), strict=True):
        more = guided.get(name, 0) - own
        if more > 1 and nm:
            found[name] = 1 + more * (width + height) / 2 / nm
    return found


def _sums(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Of the values of each net's nodes."""
    total = np.concatenate([[0], np.cumsum(values)])
    return total[first[1:]] - total[first[:-1]]
