"""Laplace's equation around a few conductors of the chip's metals: cross-sections and small blocks.

Boxes of conductors over the silicon; the sides of the block and its ceiling carry no field, like mirrors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import spsolve

from flow.characterise.capacitance import assemble, solve
from flow.extract.stack import (
    ATTOFARAD,
    CEILING_UM,
    HEIGHTS_UM,
    LINED,
    LINER_K,
    LINER_UM,
    graded,
    permittivity,
    z_lines,
)

DIRECT = 9000
"""Boxes up to which the equations are solved by elimination."""

INFINITE = 1e3


@dataclass(frozen=True)
class Conductor:
    """A box of metal: its number (0 is the silicon), heights and extents in um. sides: that a liner covers."""

    number: int
    z0: float
    z1: float
    x0: float = -INFINITE
    x1: float = INFINITE
    y0: float = -INFINITE
    y1: float = INFINITE
    lined: bool = False


def metal(number: int, layer: str, x0: float = -INFINITE, x1: float = INFINITE, y0: float = -INFINITE,
          y1: float = INFINITE) -> Conductor:
    """A box of one of the chip's metals."""
    return Conductor(number, *HEIGHTS_UM[layer], x0, x1, y0, y1, layer in LINED)


def capacitances(conductors: Sequence[Conductor], driven: Sequence[Sequence[int]], x_um: np.ndarray,
                 y_um: np.ndarray, step_um: float = 0.04, ceiling_um: float = CEILING_UM) -> np.ndarray:
    """Charge of each conductor (rows) at 1 V of the conductors of each set of `driven` (columns), aF.

    x_um, y_um: lines of the grid; conductors end on lines. A cross-section has two lines in y, 1 um apart.
    """
    z_um = z_lines(step_um, ceiling_um)
    middles = [(lines[1:] + lines[:-1]) / 2 for lines in (x_um, y_um, z_um)]
    n = 1 + max(conductor.number for conductor in conductors)
    filled = np.full((len(middles[0]), len(middles[1]), 1 + len(middles[2])), -1, np.int32)
    filled[:, :, 0] = 0
    k = np.broadcast_to(permittivity(middles[2]), filled[:, :, 1:].shape).copy()
    for conductor in conductors:
        if conductor.lined:
            k[_inside(middles, conductor, LINER_UM)] = LINER_K
    for conductor in conductors:
        filled[:, :, 1:][_inside(middles, conductor, 0.0)] = conductor.number
    matrix, walls = assemble(filled, k, n, x_um, y_um, z_um)
    at_one = np.zeros((n, len(driven)))
    for column, numbers in enumerate(driven):
        at_one[list(numbers), column] = 1.0
    right = walls @ at_one
    if matrix.shape[0] <= DIRECT:
        potential = spsolve(matrix.tocsc(), right).reshape(right.shape)
    else:
        potential = solve(matrix.astype(np.float32), right.astype(np.float32), "a pattern of wires")
    # a conductor's charge: each wall carries coupling times (its own potential less the box's)
    return ATTOFARAD * (np.asarray(walls.sum(axis=0)).ravel()[:, None] * at_one - walls.T @ potential)


def _inside(middles: Sequence[np.ndarray], conductor: Conductor, more: float) -> tuple[np.ndarray, ...]:
    """The boxes of the grid within a conductor, or within its sides `more` further out."""
    x, y, z = middles
    return np.ix_((x > conductor.x0 - more) & (x < conductor.x1 + more),
                  (y > conductor.y0 - more) & (y < conductor.y1 + more), (z > conductor.z0) & (z < conductor.z1))


def gap_lines(low: float, high: float, step: float) -> np.ndarray:
    """Lines over a gap between two wires, with lines at the liners' edges."""
    if high - low <= 3 * LINER_UM:
        return graded(low, high, step)
    return np.unique(np.round(np.concatenate([graded(low, low + LINER_UM, LINER_UM),
                                              graded(low + LINER_UM, high - LINER_UM, step),
                                              graded(high - LINER_UM, high, LINER_UM)]), 9))
