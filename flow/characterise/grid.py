"""Grid lines that follow the edges of polygons, and which boxes of such a grid a region covers."""

from collections.abc import Iterable

import klayout.db as kdb
import numpy as np


def grid_lines(edges: Iterable[int], low: int, high: int, finest: int, coarsest: int) -> np.ndarray:
    """Coordinates from `low` to `high` (database units) on the edges given.

    An edge nearer than `finest` to the line before it gets no line of its own; steps wider than `coarsest` are divided.

    >>> grid_lines([10, 11, 40], 0, 50, 5, 20).tolist()
    [0.0, 10.0, 25.0, 40.0, 50.0]
    """
    kept = [low]
    for edge in sorted(set(edges)):
        if edge - kept[-1] >= finest and high - edge >= finest:
            kept.append(edge)
    kept.append(high)
    lines = [float(low)]
    for start, end in zip(kept, kept[1:], strict=False):
        n = -(-(end - start) // coarsest)
        lines += [start + (end - start) * (k + 1) / n for k in range(n)]
    return np.array(lines)


def edges_of(region: kdb.Region) -> tuple[set[int], set[int]]:
    """The x of all vertices of a region, and the y."""
    points = [point for polygon in region.each() for point in polygon.each_point_hull()]
    points += [point for polygon in region.each() for hole in range(polygon.holes())
               for point in polygon.each_point_hole(hole)]
    return {point.x for point in points}, {point.y for point in points}


def covered(region: kdb.Region, x_lines: np.ndarray, y_lines: np.ndarray) -> np.ndarray:
    """(NX, NY) bool: the boxes whose middle is inside of the region."""
    x, y = (x_lines[1:] + x_lines[:-1]) / 2, (y_lines[1:] + y_lines[:-1]) / 2
    inside = np.zeros((len(x), len(y)), bool)
    for trapezoid in region.decompose_trapezoids_to_region(kdb.Polygon.TD_htrapezoids).each():
        box = trapezoid.bbox()
        i, j = np.searchsorted(x, (box.left, box.right)), np.searchsorted(y, (box.bottom, box.top))
        inside[i[0]:i[1], j[0]:j[1]] = True
    return inside
