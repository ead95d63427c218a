"""Which wires will be longer than their pins' places ask for: the router's guides, before anything is routed.

Where a part of the die is full, nets are led around it. Global routing (flow.route.guides) knows that in seconds; what
it says about a net's length is compared with the tree that estimates are made from, both in steps between regions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.technology import Technology
from flow.route.guides import REGION_COLUMNS, REGION_ROWS, make_guides
from flow.route.lattice import Lattice
from flow.route.scene import problem_of
from flow.timing.estimate import NetTrees


def find_detours(design: Design, trees: NetTrees, cells: Cells, technology: Technology,
                 without: Collection[str] = ()) -> dict[str, float]:
    """Net -> its length over that of its tree, of nets that are led more than one region out of their way.

    trees: of the design, not stretched. without: nets that no wire is wanted of (an ideal clock's).
    """
    nets = {name: pins for name, pins in design.netlist.nets.items() if name not in without}
    problem = problem_of(design.placement, replace(design.netlist, nets=nets), cells, technology)
    guides = make_guides(problem)
    guided = dict(zip(problem.names, (np.diff(guides.start) - 1).tolist(), strict=True))
    return detours_of(trees, guided, problem.lattice)


def detours_of(trees: NetTrees, guided: dict[str, int], lattice: Lattice) -> dict[str, float]:
    """As `find_detours`; guided: net -> steps from region to region that it is led."""
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
