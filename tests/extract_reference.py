"""Pieces of routed layout solved directly in three dimensions, to compare with what extraction finds for them.

A piece is what lies in a square window; its sides are mirrors. Extraction gets the piece with its eight mirror images
around it, so that wires go on where the window cuts them. Both take wires as drawn, without liners.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from flow.characterise.capacitance import assemble, solve
from flow.characterise.grid import grid_lines
from flow.extract.network import Network
from flow.extract.scene import LAYER, Scene, build_scene
from flow.extract.stack import ATTOFARAD, HEIGHTS_UM, METALS, permittivity, z_lines
from flow.physical.abstract import Cells
from flow.physical.design import Design

FINEST, COARSEST = 20, 80


@dataclass(frozen=True)
class Piece:
    """Rectangles in a window, from its corner: (n, 4) nm, metal, net (len(nets): fixed); cuts with the metal below."""

    size: int
    rects: np.ndarray
    layer: np.ndarray
    net: np.ndarray
    cuts: np.ndarray
    cut_layer: np.ndarray
    cut_net: np.ndarray
    n_nets: int


def cut_piece(design: Design, cells: Cells, networks: Mapping[str, Network], technology, x: int, y: int,
              size: int) -> Piece:
    """The window at (x, y)."""
    scene = build_scene(design, cells, networks)
    window = np.array([x, y, x + size, y + size])
    inside = _clipped(scene.rects, window)
    kept = ((inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1]))
    nets = sorted(set(scene.net[kept].tolist()) - {len(scene.names)})
    number = {net: k for k, net in enumerate(nets)} | {len(scene.names): len(nets)}
    cuts = list(_cuts(design, technology, scene, window))
    return Piece(size, inside[kept] - window[[0, 1, 0, 1]], scene.layer[kept],
                 np.array([number[net] for net in scene.net[kept].tolist()]),
                 np.array([cut[0] for cut in cuts]).reshape(-1, 4) - window[[0, 1, 0, 1]],
                 np.array([cut[1] for cut in cuts], int), np.array([number[cut[2]] for cut in cuts], int), len(nets))


def _clipped(rects, window):
    return np.concatenate([np.maximum(rects[:, :2], window[:2]), np.minimum(rects[:, 2:], window[2:])], axis=1)


def _cuts(design, technology, scene: Scene, window) -> Iterator[tuple[np.ndarray, int, int]]:
    for number, name in enumerate(scene.names):
        for use in design.routes[name].vias:
            via = technology.vias[use.via]
            for cut in via.cuts:
                rect = _clipped(np.array([cut.moved(use.x, use.y)[1:]]), window)[0]
                if rect[2] > rect[0] and rect[3] > rect[1]:
                    yield rect, LAYER[via.lower.layer], number


def field_capacitance(piece: Piece, coarsest: int = COARSEST) -> np.ndarray:
    """(nets, nets + 1): aF from each net to the others; own place: all of it; last: to what is fixed."""
    lines = []
    for axis in range(2):
        edges = np.concatenate([piece.rects[:, axis], piece.rects[:, axis + 2], piece.cuts[:, axis],
                                piece.cuts[:, axis + 2]])
        lines.append(grid_lines([int(e) for e in edges if 0 < e < piece.size], 0, piece.size, FINEST, coarsest) / 1e3)
    z = z_lines(0.06, HEIGHTS_UM["met5"][0])
    middles = [(axis[1:] + axis[:-1]) / 2 for axis in (*lines, z)]
    fixed = piece.n_nets
    filled = np.full((len(middles[0]), len(middles[1]), 1 + len(middles[2])), -1, np.int32)
    filled[:, :, 0] = fixed
    for order in (True, False):                                 # a net's metal over what is fixed
        for rect, layer, net in zip(piece.rects, piece.layer, piece.net, strict=True):
            if (net == fixed) == order:
                _fill(filled, middles, rect, HEIGHTS_UM[METALS[layer]], net)
    for rect, layer, net in zip(piece.cuts, piece.cut_layer, piece.cut_net, strict=True):
        _fill(filled, middles, rect, (HEIGHTS_UM[METALS[layer]][1], HEIGHTS_UM[METALS[layer + 1]][0]), net)
    k = np.broadcast_to(permittivity(middles[2]), filled[:, :, 1:].shape)
    matrix, walls = assemble(filled, k, fixed + 1, *lines, z)
    right = walls[:, :fixed].toarray()
    potential = solve(matrix.astype(np.float32), right.astype(np.float32), "a piece")
    charge = ATTOFARAD * (walls.T @ potential)                # (conductors, driven)
    found = charge.T.copy()                                   # (driven, conductors)
    for net in range(fixed):
        found[net, net] = ATTOFARAD * float(walls[:, [net]].sum()) - charge[net, net]
    return found


def _fill(filled, middles, rect, heights, number):
    x0, y0, x1, y1 = rect / 1e3
    filled[:, :, 1:][np.ix_((middles[0] > x0) & (middles[0] < x1), (middles[1] > y0) & (middles[1] < y1),
                            (middles[2] > heights[0]) & (middles[2] < heights[1]))] = number


def mirrored_scene(piece: Piece) -> Scene:
    """The piece with its images: its own rectangles first, each tapped by its net's only node."""
    own = piece.net < piece.n_nets
    rects, layers, nets = [piece.rects[own]], [piece.layer[own]], [piece.net[own]]
    for ix in range(3):
        for iy in range(3):
            for chosen in (own, ~own):
                if (ix, iy) == (1, 1) and chosen is own:
                    continue
                image = piece.rects[chosen].copy()
                for axis, number in ((0, ix), (1, iy)):
                    if number != 1:
                        around = 0 if number == 0 else 2 * piece.size
                        image[:, [axis, axis + 2]] = around - image[:, [axis + 2, axis]]
                rects.append(image)
                layers.append(piece.layer[chosen])
                nets.append(piece.net[chosen])
    all_nets = np.concatenate(nets)
    shifted = np.concatenate(rects) + piece.size
    taps = (all_nets < piece.n_nets).astype(np.int64)
    return Scene(tuple(map(str, range(piece.n_nets))), shifted, np.concatenate(layers), all_nets, int(own.sum()),
                 np.concatenate([[0], np.cumsum(taps)]), np.zeros(int(taps.sum()), np.int64),
                 all_nets[all_nets < piece.n_nets], np.arange(piece.n_nets + 1))
