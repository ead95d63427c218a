"""What a piece of a wire's edge sees: neighbours in its own metal, and the metals below and above.

All lengths are nm. Compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flow.compiled import EXTRACT

BUCKET = 2500
"""Size of the squares in which rectangles are looked for."""

FAR = 3500
"""A neighbour further away is none."""

BEHIND = 2000
"""A neighbour of the wire's other edge further away is none."""

NOTHING = 70_000.0
"""The gap of an edge without a neighbour."""

OUT = 300
"""The band in front of an edge that counts for what is below and above, at most."""

REACH = 3
"""Metals below and above that are looked at."""

MARGIN = 1200
"""How far beyond a piece of edge crossing wires are looked for: half of the largest distance in the tables."""

MOST = 4096


class Space(NamedTuple):
    """All rectangles (n, 4), their metal, net (`nobody`: at a fixed voltage) and taps; buckets."""

    rects: np.ndarray
    layer: np.ndarray
    net: np.ndarray
    nobody: int
    tap_start: np.ndarray
    tap_at: np.ndarray
    tap_node: np.ndarray
    start: np.ndarray
    member: np.ndarray
    nx: int
    ny: int
    n_layers: int


class View(NamedTuple):
    """Rectangles near a piece of edge, as it sees them: along it from lo to hi, in front of it from near to far.

    index: of the rectangle. begin: where those of level -REACH.. REACH begin (levels count from the edge's metal).
    cuts: where what is seen changes. spans: of crossing wires. below, above: shares of the band.
    """

    lo: np.ndarray
    hi: np.ndarray
    near: np.ndarray
    far: np.ndarray
    index: np.ndarray
    begin: np.ndarray
    found: np.ndarray
    cuts: np.ndarray
    spans: np.ndarray
    below: np.ndarray
    above: np.ndarray


def new_view() -> View:
    lengths = [np.zeros(MOST, np.int64) for _ in range(6)]
    return View(*lengths[:5], np.zeros(2 * REACH + 2, np.int64), lengths[5], np.zeros(4 * MOST, np.int64),
                np.zeros((2 * MOST, 3), np.int64), np.zeros(REACH + 1), np.zeros(REACH + 1))


@EXTRACT.jit_making
def fill_buckets(rects, layer, n_layers, nx, ny):
    """(start, member) of the rectangles in each bucket of each layer."""
    start = np.zeros(n_layers * nx * ny + 1, np.int64)
    member = np.empty(0, np.int32)
    for step in range(2):
        if step == 1:
            for k in range(start.size - 1):
                start[k + 1] += start[k]
            member = np.empty(start[-1], np.int32)
            place = start[:-1].copy()
        for i in range(layer.size):
            for bx in range(max(0, rects[i, 0] // BUCKET), min(nx - 1, rects[i, 2] // BUCKET) + 1):
                for by in range(max(0, rects[i, 1] // BUCKET), min(ny - 1, rects[i, 3] // BUCKET) + 1):
                    k = (layer[i] * nx + bx) * ny + by
                    if step == 0:
                        start[k + 1] += 1
                    else:
                        member[place[k]] = i
                        place[k] += 1
    return start, member


@EXTRACT.jit
def around(space, layer, x0, y0, x1, y1, found):
    """The rectangles of a layer that touch a window, each once; how many, or -1 when they are too many."""
    rects, count = space.rects, 0
    bx0, by0 = max(0, x0 // BUCKET), max(0, y0 // BUCKET)
    bx1, by1 = min(space.nx - 1, x1 // BUCKET), min(space.ny - 1, y1 // BUCKET)
    for bx in range(bx0, bx1 + 1):
        for by in range(by0, by1 + 1):
            k = (layer * space.nx + bx) * space.ny + by
            for at in range(space.start[k], space.start[k + 1]):
                i = space.member[at]
                if rects[i, 0] > x1 or rects[i, 2] < x0 or rects[i, 1] > y1 or rects[i, 3] < y0:
                    continue
                if max(bx0, max(0, rects[i, 0] // BUCKET)) != bx or max(by0, max(0, rects[i, 1] // BUCKET)) != by:
                    continue                                                     # it was found in a bucket before
                if count == MOST:
                    return -1
                found[count] = i
                count += 1
    return count


@EXTRACT.jit
def turned(rects, i, side):
    """A rectangle as a side sees it: along the edge from, to; in front of it from, to. Sides: left, right, bottom,
    top."""
    x0, y0, x1, y1 = rects[i]
    if side == 0:
        return y0, y1, -x1, -x0
    if side == 1:
        return y0, y1, x0, x1
    if side == 2:
        return x0, x1, -y1, -y0
    return x0, x1, y0, y1


@EXTRACT.jit
def is_covered(space, view, i, side, a_first, a_last, edge):
    """Whether metal of the net lies over the whole edge: then nothing needs to be looked at."""
    if side == 0:
        count = around(space, space.layer[i], -edge, a_first, -edge, a_last, view.found)
    elif side == 1:
        count = around(space, space.layer[i], edge, a_first, edge, a_last, view.found)
    elif side == 2:
        count = around(space, space.layer[i], a_first, -edge, a_last, -edge, view.found)
    else:
        count = around(space, space.layer[i], a_first, edge, a_last, edge, view.found)
    reached, moved = a_first, True
    while moved and reached < a_last:
        moved = False
        for k in range(count):
            j = view.found[k]
            if j == i or space.net[j] != space.net[i]:
                continue
            lo, hi, near, far = turned(space.rects, j, side)
            if lo <= reached < hi and near <= edge and (far > edge or (far == edge and j < i)):
                reached, moved = hi, True
    return reached >= a_last


@EXTRACT.jit
def look(space, view, i, side, a0, a1, edge, depth, inner):
    """Fills the view of the edge of rectangle i from a0 to a1; the number of cuts, or -1."""
    own, kept, n_cuts = space.layer[i], 0, 2
    view.cuts[0], view.cuts[1] = a0, a1
    for level in range(-REACH, REACH + 1):
        view.begin[level + REACH] = kept
        if not 0 <= own + level < space.n_layers:
            continue
        front = FAR if level == 0 else OUT
        back = depth + BEHIND if level == 0 else inner
        more = MARGIN if abs(level) == 1 else 0
        if side == 0:
            count = around(space, own + level, -edge - front, a0 - more, -edge + back, a1 + more, view.found)
        elif side == 1:
            count = around(space, own + level, edge - back, a0 - more, edge + front, a1 + more, view.found)
        elif side == 2:
            count = around(space, own + level, a0 - more, -edge - front, a1 + more, -edge + back, view.found)
        else:
            count = around(space, own + level, a0 - more, edge - back, a1 + more, edge + front, view.found)
        if count < 0 or kept + count > MOST:
            return -1
        for k in range(count):
            j = view.found[k]
            if j == i:
                continue
            lo, hi, near, far = turned(space.rects, j, side)
            view.lo[kept], view.hi[kept], view.near[kept], view.far[kept] = lo, hi, near - edge, far - edge
            view.index[kept] = j
            kept += 1
            if abs(level) > 1:                          # seen between nearer metal only, and there at its middle
                continue
            if a0 < lo < a1:
                view.cuts[n_cuts] = lo
                n_cuts += 1
            if a0 < hi < a1:
                view.cuts[n_cuts] = hi
                n_cuts += 1
    view.begin[2 * REACH + 1] = kept
    sort(view.cuts, n_cuts)
    return n_cuts


@EXTRACT.jit
def sort(values, n):
    """Puts the first n in order: they are few, and often nearly so."""
    for k in range(1, n):
        value, m = values[k], k - 1
        while m >= 0 and values[m] > value:
            values[m + 1] = values[m]
            m -= 1
        values[m + 1] = value


@EXTRACT.jit
def in_front(space, view, i, depth, at):
    """What is in front of the edge at a place (twice nm, so that middles are whole).

    Returns whether the net's own metal lies over the edge, which of the view is nearest in front (-1: none), the gap
    to it, and the gap behind the rectangle.
    """
    own, front, gap, behind = space.net[i], -1, NOTHING, NOTHING
    for k in range(view.begin[REACH], view.begin[REACH + 1]):
        if not 2 * view.lo[k] <= at <= 2 * view.hi[k]:
            continue
        j = view.index[k]
        if view.far[k] > 0 or (view.far[k] == 0 and space.net[j] == own and j < i):
            if view.near[k] <= 0 and space.net[j] == own:
                return True, -1, gap, behind
            distance = max(1.0, 1.0 * view.near[k])
            if distance < gap and distance <= FAR:
                front, gap = k, distance
        elif view.far[k] <= -depth:
            distance = max(1.0, -1.0 * depth - view.far[k])
            if distance <= BEHIND:
                behind = min(behind, distance)
    return False, front, gap, behind


@EXTRACT.jit
def is_corner(space, view, i, end, outward):
    """Whether the metal of the net ends with the edge's end: nothing of it beyond, behind or in front of the edge."""
    beyond = end + outward
    for k in range(view.begin[REACH], view.begin[REACH + 1]):
        if space.net[view.index[k]] == space.net[i] and view.lo[k] <= beyond <= view.hi[k] \
                and view.near[k] <= 0 and view.far[k] >= 0:
            return False
    return True


@EXTRACT.jit
def overlap(view, k, inner, wide):
    """The part of the band from `inner` behind an edge to `wide` in front of it that something covers."""
    return max(0.0, min(view.far[k], wide) - max(view.near[k], -inner)) / (inner + wide)


@EXTRACT.jit
def shares(view, at, inner, wide):
    """Fills in which part of the band at a place sees silicon or nothing (0), the next metal (1), the one after it."""
    view.below[:] = 0.0
    view.above[:] = 0.0
    for level in range(-REACH, REACH + 1):
        if level == 0:
            continue
        for k in range(view.begin[level + REACH], view.begin[level + REACH + 1]):
            if 2 * view.lo[k] <= at <= 2 * view.hi[k]:
                part = overlap(view, k, inner, wide)
                if level < 0:
                    view.below[-level] += part
                else:
                    view.above[level] += part
    hide(view.below, 1)
    hide(view.above, 1)


@EXTRACT.jit
def hide(seen, first):
    """What is nearer hides what is further: shares of a whole, the rest at 0."""
    left = 1.0
    for k in range(first, REACH + 1):
        seen[k] = left * min(1.0, seen[k])
        left -= seen[k]
    seen[0] = left


@EXTRACT.jit
def crossing_spans(view, level, inner):
    """Where wires of a metal lie across the whole wire: from, to, one of them; joined where they touch, in order."""
    n, spans = 0, view.spans
    for k in range(view.begin[level + REACH], view.begin[level + REACH + 1]):
        if view.near[k] <= -inner and view.far[k] >= 0:
            spans[n, 0], spans[n, 1], spans[n, 2] = view.lo[k], view.hi[k], k
            n += 1
    for k in range(1, n):                                                        # few: insertion sort
        a, b, c = spans[k, 0], spans[k, 1], spans[k, 2]
        m = k - 1
        while m >= 0 and spans[m, 0] > a:
            spans[m + 1, 0], spans[m + 1, 1], spans[m + 1, 2] = spans[m, 0], spans[m, 1], spans[m, 2]
            m -= 1
        spans[m + 1, 0], spans[m + 1, 1], spans[m + 1, 2] = a, b, c
    joined = 0
    for k in range(n):
        if joined and spans[k, 0] <= spans[joined - 1, 1]:
            spans[joined - 1, 1] = max(spans[joined - 1, 1], spans[k, 1])
        else:
            spans[joined, 0], spans[joined, 1], spans[joined, 2] = spans[k, 0], spans[k, 1], spans[k, 2]
            joined += 1
    return joined


@EXTRACT.jit
def nearest_tap(space, i, at):
    """The node of a rectangle's tap that is nearest to a place along it; -1 without a tap."""
    best, node = 1 << 60, -1
    for k in range(space.tap_start[i], space.tap_start[i + 1]):
        if abs(space.tap_at[k] - at) < best:
            best, node = abs(space.tap_at[k] - at), space.tap_node[k]
    return node


@EXTRACT.jit
def tap_beside(space, j, at, side):
    """The node of a rectangle near a place along an edge of another one."""
    x0, y0, x1, y1 = space.rects[j]
    along_y = y1 - y0 > x1 - x0
    if along_y == (side < 2):
        return nearest_tap(space, j, at)
    return nearest_tap(space, j, (y0 + y1) // 2 if along_y else (x0 + x1) // 2)
