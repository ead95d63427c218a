"""Capacitance of the periphery's wires: plates where conductors lie over each other, and edges by a field solution.

Every net of the layout is painted on a raster. Looking up through it gives the plates, looking along rows and columns
gives the gap in front of every piece of edge. What an edge of a layer has at a gap is the solution of Laplace's
equation over a cross-section, less the plate under it: there is no constant to choose. All of it is taken to ground,
which is right for the charge and for delays on average; wires that move together or against each other are not told
apart.
"""

from functools import cache

import klayout.db as kdb
import numpy as np
from scipy.sparse.linalg import spsolve

from flow.characterise.capacitance import assemble
from flow.characterise.technology import EPSILON_0_F_PER_UM
from flow.sram.periphery import WIRES as LAYERS
from flow.sram.periphery import Periphery
from flow.sram.stack import HEIGHTS_UM, LEAST_WIDTH_UM, permittivity, plate_f_per_um2, z_lines

PIXEL_NM = 50
GAPS_UM = (0.1, 0.14, 0.2, 0.28, 0.4, 0.6, 1.0, 2.0, 5.0)
FAR_UM = GAPS_UM[-1]
"""A neighbour beyond this is none."""

EMPTY, SUPPLY = 0, 1


def wire_capacitance(periphery: Periphery) -> dict[str, float]:
    """Farad of every net's wires, the array's left out."""
    names = sorted(periphery.wires)
    total = np.zeros(len(names) + 2)
    for window in windows(periphery):
        add_window(periphery, names, window, total)
    return {name: float(f"{total[k + 2]:.4g}") for k, name in enumerate(names)}


def windows(periphery: Periphery) -> list[kdb.Box]:
    """The layout but for the array: what lies left of it, and what lies below."""
    outline, left = periphery.outline, min(box.left for box in periphery.array)
    bottom = min(box.bottom for box in periphery.array)
    return [kdb.Box(outline.left, bottom, left, outline.top),
            kdb.Box(outline.left, outline.bottom, outline.right, bottom)]


def add_window(periphery: Periphery, names: list[str], window: kdb.Box, total: np.ndarray) -> None:
    """Adds what a window holds to the nets' totals (farad)."""
    pixel_um = PIXEL_NM * 1e-3
    diff = paint(periphery.diff, window, None, 1)
    below, below_layer = np.zeros_like(diff), np.where(diff == 1, 1, 0)       # 0 silicon, 1 diffusion, 2 poly, ...
    for number, layer in enumerate(LAYERS):
        painted = paint(periphery.metals[layer], window, None, SUPPLY)
        for k, name in enumerate(names):
            if layer in periphery.wires[name]:
                paint(periphery.wires[name][layer], window, painted, k + 2)
        if layer == "poly":
            painted[diff == 1] = EMPTY                                          # gates are in the models
        add_edges(painted, layer, total, pixel_um)
        here = painted > EMPTY
        for lower in range(number + 2):
            over = here & (below_layer == lower) & (painted != below)
            if lower == 1 and layer in ("poly", "li1") or not over.any():     # a gate, and what contacts diffusion
                continue
            farad = plate_f_per_um2((None, "diff", *LAYERS)[lower], layer) * pixel_um**2
            total += farad * np.bincount(painted[over], minlength=len(total))
            if lower > 1:
                total += farad * np.bincount(below[over], minlength=len(total))
        below, below_layer = np.where(here, painted, below), np.where(here, number + 2, below_layer)


def paint(region: kdb.Region, window: kdb.Box, onto: np.ndarray | None, value: int) -> np.ndarray:
    """Sets the pixels whose middle a region covers; a new raster (x, y) unless `onto` is given."""
    shape = tuple(-(-size // PIXEL_NM) for size in (window.width(), window.height()))
    raster = np.zeros(shape, np.int32) if onto is None else onto
    if not region.bbox().touches(window):
        return raster
    for polygon in region.decompose_trapezoids_to_region(kdb.Polygon.TD_htrapezoids).each():
        box = polygon.bbox()
        low_x, high_x, low_y, high_y = ((value + PIXEL_NM // 2) // PIXEL_NM for value in (
            box.left - window.left, box.right - window.left, box.bottom - window.bottom, box.top - window.bottom))
        raster[max(low_x, 0):max(high_x, 0), max(low_y, 0):max(high_y, 0)] = value
    return raster


def add_edges(painted: np.ndarray, layer: str, total: np.ndarray, pixel_um: float) -> None:
    """Adds the edges of a layer: along x and along y, every run of empty pixels is a gap between two wires."""
    other, same = edge_tables(layer)
    for raster in (painted, painted.T):
        rows = np.pad(raster, ((0, 0), (1, 1)), constant_values=-1).ravel()    # -1 ends a row: nothing is beyond
        starts = np.concatenate([[0], np.flatnonzero(np.diff(rows)) + 1])
        lengths, values = np.diff(np.append(starts, len(rows))), rows[starts]
        gaps = np.flatnonzero(values[1:-1] == EMPTY) + 1
        left, right, width = values[gaps - 1], values[gaps + 1], lengths[gaps] * pixel_um
        seen = (left > 0) & (right > 0)
        width = np.where(seen, np.minimum(width, FAR_UM), FAR_UM)
        one_net = seen & (left == right) & (left > SUPPLY)
        farad = np.where(one_net, np.interp(width, GAPS_UM, same), np.interp(width, GAPS_UM, other)) * pixel_um
        for side in (left, right):
            wired = side > 0
            total += np.bincount(side[wired], farad[wired], minlength=len(total))
        touching = np.flatnonzero((values[1:] > 0) & (values[:-1] > 0) & (values[1:] != values[:-1]))
        nearest = other[0] * pixel_um                                           # nearer than a pixel
        total += nearest * np.bincount(np.concatenate([values[touching], values[touching + 1]]), minlength=len(total))


@cache
def edge_tables(layer: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """F/um of an edge at GAPS_UM: the neighbour grounded, and the neighbour of the same net."""
    found = [edge_capacitance(layer, gap) for gap in GAPS_UM]
    return tuple(other for other, _ in found), tuple(same for _, same in found)


def edge_capacitance(layer: str, gap_um: float) -> tuple[float, float]:
    """Half a wire and half its neighbour, between mirrors, over silicon: F/um beyond the plate of the half wire."""
    half = LEAST_WIDTH_UM[layer] / 2
    x = np.unique(np.round(np.concatenate([np.linspace(0, half, 4), half + steps(gap_um),
                                           half + gap_um + np.linspace(0, half, 4)]), 9))
    z = z_lines()
    middle_x, middle_z = (x[1:] + x[:-1]) / 2, (z[1:] + z[:-1]) / 2
    filled = np.full((len(middle_x), 1, 1 + len(middle_z)), -1, np.int32)
    filled[:, :, 0] = 2
    low, high = HEIGHTS_UM[layer]
    at_height = np.concatenate([[False], (middle_z > low) & (middle_z < high)])
    filled[np.ix_(middle_x < half, [True], at_height)] = 0
    filled[np.ix_(middle_x > half + gap_um, [True], at_height)] = 1
    k = np.broadcast_to(permittivity(middle_z), (len(middle_x), 1, len(middle_z)))
    matrix, walls = assemble(filled, np.array(k), 3, x, np.array([0.0, 1.0]), z)
    plate = plate_f_per_um2(None, layer) * half
    result = []
    for driven in ((0,), (0, 1)):
        right = np.asarray(walls[:, list(driven)].sum(axis=1)).ravel()
        potential = spsolve(matrix.tocsc(), right)
        wall = np.asarray(walls[:, [0]].todense()).ravel()
        result.append(float(wall @ (1 - potential)) * EPSILON_0_F_PER_UM - plate)
    return result[0], max(result[1], 0.0)


def steps(gap_um: float) -> np.ndarray:
    """Grid lines over a gap, fine at both ends."""
    n = max(4, round(gap_um / 0.03)) if gap_um < 0.7 else 24
    return gap_um * (1 - np.cos(np.pi * np.arange(n + 1) / n)) / 2
