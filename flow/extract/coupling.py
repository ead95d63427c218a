"""Capacitance of every edge of every wire: what lies beside, below and above it, looked up in the tables.

An edge of a wire's rectangle is cut where what it sees changes: the nearest metal in front of it in its own layer, and
in the three metals below and above how much of the band along the edge each shape covers (half of the wire, and what
lies in front of the edge up to half of the gap). Below, the first metal that is met hides those under it; so above.
Each combination of one metal below and one above weighs with its share. Where wires cross, the edges of the crossing
wire add what the tables have for them, and so do corners. What is inside of a net's metal is no edge. Compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flow.compiled import EXTRACT
from flow.extract.view import (
    MARGIN,
    REACH,
    crossing_spans,
    hide,
    in_front,
    is_corner,
    is_covered,
    look,
    nearest_tap,
    overlap,
    shares,
    tap_beside,
    turned,
)

CHUNK = 4000
"""Length of edge (nm) that is looked at once."""

NM = 1e-3


class Look(NamedTuple):
    """The tables as arrays; metals come first, gaps are natural logarithms of um, values aF.

    edges (metals, below, above, 2 widths, gaps, opposite gaps, 5): beside, down, up, same down, same up, a um.
    crossings (metals, 2 downward and upward, bases, gaps, 1 + apart, 3). bends (metals, below, above, gaps, 3).
    plates (metals, metals below): a um2. factors (metals, gaps, 2, corners): of what is beside, of all else.
    """

    gaps: np.ndarray
    opposite: np.ndarray
    widths: np.ndarray
    crossing_gaps: np.ndarray
    apart: np.ndarray
    edges: np.ndarray
    crossings: np.ndarray
    bends: np.ndarray
    plates: np.ndarray
    factors: np.ndarray


class Sums(NamedTuple):
    """aF of nodes to ground (nodes, corners); node pairs (n, 2) with theirs, of which the first count[0] are in use.

    now (2, corners): the factors of the piece of edge in hand. down, up: what it has to each metal below and above.
    """

    ground: np.ndarray
    pairs: np.ndarray
    values: np.ndarray
    count: np.ndarray
    now: np.ndarray
    down: np.ndarray
    up: np.ndarray


def new_sums(n_nodes: int, n_pairs: int, n_corners: int) -> Sums:
    return Sums(np.zeros((n_nodes, n_corners)), np.zeros((n_pairs, 2), np.int64), np.zeros((n_pairs, n_corners)),
                np.zeros(1, np.int64), np.ones((2, n_corners)), np.zeros(REACH + 1), np.zeros(REACH + 1))


BESIDE, PLATES = 0, 1


@EXTRACT.jit
def edge_capacitances(space, view, table, sums, first, last):
    """Adds the edges of the rectangles from `first` to `last`; False when a place holds too much."""
    for i in range(first, last):
        for side in range(4):
            a_first, a_last, back, edge = turned(space.rects, i, side)
            if is_covered(space, view, i, side, a_first, a_last, edge):
                continue
            length, depth = a_last - a_first, edge - back
            is_end = length < depth or (length == depth and side >= 2)
            inner = min(depth // 2, 150) if is_end else min(depth // 2, 1000)
            for a0 in range(a_first, a_last, CHUNK):
                a1 = min(a0 + CHUNK, a_last)
                n_cuts = look(space, view, i, side, a0, a1, edge, depth, inner)
                if n_cuts < 0 or sums.count[0] + 200 * n_cuts > sums.pairs.shape[0]:
                    return False
                for c in range(n_cuts - 1):
                    lo, hi = view.cuts[c], view.cuts[c + 1]
                    if lo < hi:
                        add_piece(space, view, table, sums, i, side, lo, hi, a_first, a_last, edge, depth, inner,
                                  is_end)
                if not is_end:
                    for level in (-1, 1):
                        if 0 <= space.layer[i] + level < space.n_layers:
                            add_crossings(space, view, table, sums, i, side, a0, a1, depth, inner, level)
    return True


@EXTRACT.jit
def position(axis, value):
    """Index and weight for linear interpolation on a rising axis, its ends held."""
    last = axis.size - 1
    if value <= axis[0]:
        return 0, 0.0
    if value >= axis[last]:
        return last - 1, 1.0
    k = 0
    while axis[k + 1] < value:
        k += 1
    return k, (value - axis[k]) / (axis[k + 1] - axis[k])


@EXTRACT.jit
def add_piece(space, view, table, sums, i, side, lo, hi, a_first, a_last, edge, depth, inner, is_end):
    """A piece of an edge over which nothing changes, and the corners at its ends."""
    covered, front, gap, behind = in_front(space, view, i, depth, lo + hi)
    if covered:
        return
    own = space.layer[i]
    node = nearest_tap(space, i, (edge if side % 2 else -edge) if is_end else (lo + hi) // 2)
    wide = int(min(gap / 2, 300))
    shares(view, lo + hi, inner, wide)
    same = front >= 0 and space.net[view.index[front]] == space.net[i]
    g, t = position(table.gaps[own], np.log(gap * NM))
    o, u = position(table.opposite[own], np.log(behind * NM))
    narrow, broad = table.widths[own]
    w = 1.0 if is_end else (depth * NM - narrow) / (broad - narrow)
    clipped = min(max(w, 0.0), 1.0)
    rest = -broad / 2 if is_end else (w - clipped) * (broad - narrow) / 2
    n_corners = 0
    if lo == a_first and is_corner(space, view, i, lo, -1):
        n_corners += 1
    if hi == a_last and is_corner(space, view, i, hi, 1):
        n_corners += 1
    s, v = position(table.crossing_gaps[own], np.log(gap * NM))
    beside, length = 0.0, (hi - lo) * NM
    sums.down[:] = 0.0
    sums.up[:] = 0.0
    for b in range(min(REACH, own) + 1):
        for a in range(min(REACH, space.n_layers - 1 - own) + 1):
            share = view.below[b] * view.above[a]
            if share <= 0.0:
                continue
            values = table.edges[own, b, a]
            down, up = rest * length * table.plates[own, b], 0.0
            if a > 0:
                up = rest * length * table.plates[own + a, a]
            for half in range(2):
                part = length * (clipped if half else 1.0 - clipped)
                for k in range(4 if part > 0.0 else 0):
                    weight = part * (t if k % 2 else 1 - t) * (u if k // 2 else 1 - u)
                    found = values[half, g + k % 2, o + k // 2]
                    if same:
                        down += weight * found[3]
                        up += weight * found[4]
                    else:
                        beside += share * weight * found[0]
                        down += weight * found[1]
                        up += weight * found[2]
            if n_corners > 0:
                bend = table.bends[own, b, a]
                half_each = n_corners / 2                          # the other edge at the corner has the other half
                if not same:
                    beside += share * half_each * ((1 - v) * bend[s, 0] + v * bend[s + 1, 0])
                down += half_each * ((1 - v) * bend[s, 1] + v * bend[s + 1, 1])
                up += half_each * ((1 - v) * bend[s, 2] + v * bend[s + 1, 2])
            sums.down[b] += share * down
            sums.up[a] += share * up
    set_factors(table, sums, own, g, t)
    for k in range(REACH + 1):
        spread(space, view, sums, -k, sums.down[k], i, (lo + hi) // 2, side, inner, wide, node)
        spread(space, view, sums, k, sums.up[k], i, (lo + hi) // 2, side, inner, wide, node)
    give(space, view, sums, front, beside, i, (lo + hi) // 2, side, node)


@EXTRACT.jit
def set_factors(table, sums, own, g, t):
    """What the corners make of the nominal values at a gap."""
    for kind in range(2):
        for corner in range(sums.now.shape[1]):
            sums.now[kind, corner] = (1 - t) * table.factors[own, g, kind, corner] \
                + t * table.factors[own, g + 1, kind, corner]


@EXTRACT.jit
def add_crossings(space, view, table, sums, i, side, a0, a1, depth, inner, level):
    """The edges of wires of the next metal that cross the edge between a0 and a1."""
    own = space.layer[i]
    n_spans = crossing_spans(view, level, inner)
    for k in range(n_spans):
        for end in range(2):
            place = view.spans[k, end]
            if not a0 <= place < a1:
                continue
            apart = 2.0 * MARGIN
            if end == 0 and k > 0:
                apart = 1.0 * (place - view.spans[k - 1, 1])
            elif end == 1 and k + 1 < n_spans:
                apart = 1.0 * (view.spans[k + 1, 0] - place)
            beyond = 2 * place + (1 if end else -1)
            covered, front, gap, behind = in_front(space, view, i, depth, beyond)
            crossed = view.index[view.spans[k, 2]]
            if covered or space.net[crossed] == space.net[i]:
                continue
            bases(view, beyond, inner, level)
            s, v = position(table.crossing_gaps[own], np.log(gap * NM))
            d, t = position(table.apart, apart * NM)
            node = nearest_tap(space, i, place)
            set_factors(table, sums, own, *position(table.gaps[own], np.log(gap * NM)))
            for base in range(min(REACH, own) + 1):
                share = view.below[base]
                if share <= 0.0:
                    continue
                values = table.crossings[own, 1 if level > 0 else 0, base]
                for part in range(3):
                    value = share * ((1 - v) * ((1 - t) * values[s, d, part] + t * values[s, d + 1, part])
                                     + v * ((1 - t) * values[s + 1, d, part] + t * values[s + 1, d + 1, part]))
                    if part == 0:
                        give_to(space, sums, crossed, PLATES, value, i, place, side, node)
                    elif part == 1:
                        give(space, view, sums, front, value, i, place, side, node)
                    else:
                        ground(sums, node, PLATES, value)


@EXTRACT.jit
def bases(view, at, inner, level):
    """Fills `below` with what lies below between crossing wires: a crossing wire itself does not count."""
    shares_below = view.below
    shares_below[:] = 0.0
    first = 2 if level < 0 else 1
    for under in range(first, REACH + 1):
        for k in range(view.begin[REACH - under], view.begin[REACH - under + 1]):
            if 2 * view.lo[k] <= at <= 2 * view.hi[k]:
                shares_below[under] += overlap(view, k, inner, inner)
    hide(shares_below, first)


@EXTRACT.jit
def spread(space, view, sums, level, value, i, at, side, inner, wide, node):
    """Gives what is to a metal below or above to its shapes in the band, by what they cover of it."""
    if value == 0.0:
        return
    if level == 0:
        ground(sums, node, PLATES, value)
        return
    total = 0.0
    first, last = view.begin[level + REACH], view.begin[level + REACH + 1]
    for k in range(first, last):
        if view.lo[k] <= at <= view.hi[k]:
            total += overlap(view, k, inner, wide)
    for k in range(first, last):
        if view.lo[k] <= at <= view.hi[k]:
            part = overlap(view, k, inner, wide)
            if part > 0.0:
                give_to(space, sums, view.index[k], PLATES, value * part / total, i, at, side, node)


@EXTRACT.jit
def ground(sums, node, kind, value):
    """Gives to ground."""
    for corner in range(sums.now.shape[1]):
        sums.ground[node, corner] += value * sums.now[kind, corner]


@EXTRACT.jit
def give(space, view, sums, front, value, i, at, side, node):
    """Gives to what is in front of an edge, or to ground when nothing is."""
    if front < 0:
        ground(sums, node, BESIDE, value)
    else:
        give_to(space, sums, view.index[front], BESIDE, value, i, at, side, node)


@EXTRACT.jit
def give_to(space, sums, j, kind, value, i, at, side, node):
    """Gives to a rectangle's net: to ground when its voltage is fixed, to nobody when it is the same net."""
    if space.net[j] == space.net[i]:
        return
    if space.net[j] == space.nobody:
        ground(sums, node, kind, value)
        return
    other, n = tap_beside(space, j, at, side), sums.count[0]
    sums.pairs[n, 0], sums.pairs[n, 1] = min(node, other), max(node, other)
    for corner in range(sums.now.shape[1]):
        sums.values[n, corner] = value / 2 * sums.now[kind, corner]             # the other net's edges see it as well
    sums.count[0] = n + 1
