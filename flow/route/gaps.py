"""Fills what the metal of one net leaves between itself, where the rules do not let it be.

Spacing rules know no nets: shapes of one net that stand too near to each other are joined, and holes that are smaller
than may be enclosed are closed.
"""

import klayout.db as kdb
import numpy as np

from flow.compiled import ROUTE
from flow.physical.technology import Technology
from flow.route.metal import Metal, is_clear, others_of, with_more
from flow.route.problem import RoutingProblem

FACING, RISING, FALLING = range(3)


@ROUTE.jit
def _gaps(rects, groups, spacing, found):
    """Gaps between rectangles of a group (a net's metal on a layer) that are nearer than `spacing[layer]`, apart.

    They go to `found` with what they are between: FACING sides, or two corners, of which the left one is the lower one
    (RISING) or the upper one (FALLING). Their number is returned, or -1 when there is no room for them.
    """
    count = 0
    for group in range(groups.size - 1):
        first, last = groups[group], groups[group + 1]
        space = spacing[rects[first, 1]]
        for i in range(first, last):
            for j in range(i + 1, last):
                dx = max(rects[i, 2] - rects[j, 4], rects[j, 2] - rects[i, 4])
                dy = max(rects[i, 3] - rects[j, 5], rects[j, 3] - rects[i, 5])
                if (dx <= 0 and dy <= 0) or max(dx, 0) ** 2 + max(dy, 0) ** 2 >= space * space:
                    continue
                x0, x1 = max(rects[i, 2], rects[j, 2]), min(rects[i, 4], rects[j, 4])
                y0, y1 = max(rects[i, 3], rects[j, 3]), min(rects[i, 5], rects[j, 5])
                kind = FACING
                if x0 >= x1 and y0 >= y1:
                    kind = RISING if (rects[i, 2] < rects[j, 2]) == (rects[i, 3] < rects[j, 3]) else FALLING
                x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
                if _inside(rects, first, last, x0, y0, x1, y1):
                    continue                               # other metal of the net already lies between the two
                if count == found.shape[0]:
                    return -1
                found[count] = (rects[first, 0], rects[first, 1], x0, y0, x1, y1, kind)
                count += 1
    return count


@ROUTE.jit
def _inside(rects, first, last, x0, y0, x1, y1):
    for k in range(first, last):
        if rects[k, 2] <= x0 and rects[k, 3] <= y0 and rects[k, 4] >= x1 and rects[k, 5] >= y1:
            return True
    return False


def gap_fills(problem: RoutingProblem, metal: Metal) -> np.ndarray:
    """Rectangles that close the gaps between shapes of one net: net, layer, x0, y0, x1, y1.

    A fill may stand too near to a third shape of its net, so what is filled is looked at again until nothing is left.
    """
    fills = np.zeros((0, 6), np.int64)
    while len(found := _fills_once(problem, with_more(metal, fills))):
        fills = np.concatenate((fills, found))
    return fills


def _fills_once(problem: RoutingProblem, metal: Metal) -> np.ndarray:
    spacing = np.array([layer.spacing for layer in problem.stack.layers], np.int64)
    room = 1024
    while True:
        found = np.zeros((room, 7), np.int64)
        count = _gaps(metal.rects, metal.groups(), spacing, found)
        if count >= 0:
            break
        room *= 4
    found = np.unique(found[:count], axis=0)
    corners = [_between_corners(problem, metal, gap) for gap in found[found[:, 6] != FACING]]
    return np.concatenate((found[found[:, 6] == FACING, :6], np.array(corners, np.int64).reshape(-1, 6)))


def _between_corners(problem: RoutingProblem, metal: Metal, gap: np.ndarray) -> np.ndarray:
    """A rectangle that joins two corners on a wire's width: over both, or, where other nets are in the way, beside
    one and the other."""
    net, layer, x0, y0, x1, y1, kind = gap.tolist()
    half = problem.stack.layers[layer].half_width
    width = 2 * half
    over = -(-width * 7072 // 50_000) * 5          # of each corner: the neck, seen across, is as wide as a wire
    if kind == RISING:
        beside = ((x0 - width, y0, x1, y1 + width), (x0, y0 - width, x1 + width, y1))
    else:
        beside = ((x0, y0, x1 + width, y1 + width), (x0 - width, y0 - width, x1, y1))
    ways = [np.array((net, layer, *box)) for box in ((x0 - over, y0 - over, x1 + over, y1 + over), *beside)]
    others = others_of(metal, net, layer)
    return next((way for way in ways if is_clear(problem, others, way)), ways[0])


def hole_fills(problem: RoutingProblem, metal: Metal, technology: Technology) -> np.ndarray:
    """Rectangles that close what the metal of one net encloses, where that is less than may be enclosed.

    A hole that small has no room for other metal: with its spacing on both sides a wire needs more.
    """
    fills, groups = [], metal.groups()
    enough = np.repeat(np.diff(groups) >= 4, np.diff(groups))      # fewer rectangles enclose nothing
    for layer, rule in enumerate(problem.stack.layers):
        limit = technology.layers[rule.name].min_hole_area
        rects = metal.rects[(metal.rects[:, 1] == layer) & enough]
        if not limit or not len(rects):
            continue
        region = kdb.Region()
        for rect in rects[:, 2:].tolist():         # not as a list: KLayout takes one of two boxes for a box's corners
            region.insert(kdb.Box(*rect))
        for hole in region.merged().holes().with_area(0, limit, False).each():
            box = hole.bbox()
            beside = np.flatnonzero((rects[:, 2] <= box.right) & (rects[:, 4] >= box.left)
                                    & (rects[:, 3] <= box.top) & (rects[:, 5] >= box.bottom))
            net = int(rects[beside[0], 0])
            fills += [(net, layer, part.left, part.bottom, part.right, part.top)
                      for part in (piece.bbox() for piece in hole.decompose_trapezoids())]
    return np.array(sorted(fills), np.int64).reshape(-1, 6)
