"""Where the wires of placed nets will run, roughly: rectilinear Steiner trees by growth from the driver.

The pin nearest to the tree comes next (Prim); it meets the tree at the nearest point of the boxes that the tree's edges
span, since an edge may be embedded through any point of its box. The point becomes a node. Large nets, whose trees
would take cubic time, are plain spanning trees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.compiled import TIMING

MOST_PINS = 64
"""Larger nets get no extra nodes."""


@dataclass(frozen=True)
class Trees:
    """Trees of many nets, one after the other; a parent comes before its children.

    first:  (n_nets + 1,) where a net's nodes begin; the first of them is the driver.
    parent: (n_nodes,) index of the node's parent, -1 at drivers.
    pin:    (n_nodes,) which of all pins it is, -1 for a point between pins.
    dx, dy: (n_nodes,) length of the wire to the parent, nm. x, y: (n_nodes,) where, nm.
    """

    first: np.ndarray
    parent: np.ndarray
    pin: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def length_nm(self) -> int:
        return int(self.dx.sum() + self.dy.sum())


def build_trees(first_pin: np.ndarray, x: np.ndarray, y: np.ndarray) -> Trees:
    """The trees of nets whose pins stand one net after the other, the driver first.

    first_pin: (n_nets + 1,) int64; x, y: (n_pins,) int64, nm. A net without pins has no nodes.

    Three pins on a T: 20 + 10 nm of wire, with a node where the stem meets the bar.
    >>> tree = build_trees(np.array([0, 3]), np.array([0, 20, 10]), np.array([0, 0, 10]))
    >>> tree.length_nm, tree.parent.tolist(), tree.pin.tolist()
    (30, [-1, 0, 1, 1], [0, -1, 1, 2])
    """
    counts = np.diff(first_pin)
    room = np.concatenate([[0], np.cumsum(np.maximum(2 * counts - 1, counts))])
    size = int(room[-1])
    parent, pin = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    nx, ny = np.zeros(size, np.int64), np.zeros(size, np.int64)
    n_nodes = np.zeros(len(counts), np.int64)
    grow_all(first_pin, x, y, room, parent, pin, nx, ny, n_nodes, MOST_PINS)
    first = np.concatenate([[0], np.cumsum(n_nodes)])
    where = np.repeat(room[:-1] - first[:-1], n_nodes) + np.arange(first[-1])
    parent = parent[where]
    parent = np.where(parent < 0, -1, parent + np.repeat(first[:-1], n_nodes))
    nx, ny, at = nx[where], ny[where], np.maximum(parent, 0)
    has = parent >= 0
    return Trees(first, parent, pin[where], np.where(has, abs(nx - nx[at]), 0), np.where(has, abs(ny - ny[at]), 0),
                 nx, ny)


@TIMING.jit
def grow_all(first_pin, x, y, room, parent, pin, nx, ny, n_nodes, most):
    """`grow` of every net; parents count from the net's first node."""
    for net in range(len(n_nodes)):
        a, b, r = first_pin[net], first_pin[net + 1], room[net]
        if b > a:
            end = room[net + 1]
            n_nodes[net] = grow(x[a:b], y[a:b], a, parent[r:end], pin[r:end], nx[r:end], ny[r:end], b - a <= most)


@TIMING.jit
def nearest(px, py, c, parent, nx, ny):
    """The point of the box of the edge above node c that is nearest to (px, py), and how far it is."""
    p = parent[c]
    if p < 0:
        p = c
    qx = min(max(px, min(nx[c], nx[p])), max(nx[c], nx[p]))
    qy = min(max(py, min(ny[c], ny[p])), max(ny[c], ny[p]))
    return abs(px - qx) + abs(py - qy), qx, qy


@TIMING.jit
def grow(x, y, offset, parent, pin, nx, ny, split):
    """The tree of one net into the arrays, parents first; the number of its nodes."""
    n = len(x)
    nx[0], ny[0], pin[0], parent[0] = x[0], y[0], offset, -1
    count = 1
    left = np.ones(n, np.bool_)
    left[0] = False
    far = np.empty(n, np.int64)
    edge = np.zeros(n, np.int64)
    for k in range(1, n):
        far[k] = abs(x[k] - x[0]) + abs(y[k] - y[0])
    for _ in range(n - 1):
        best = -1
        for k in range(1, n):
            if left[k] and (best < 0 or far[k] < far[best]):
                best = k
        left[best] = False
        c, cut = edge[best], -1
        at = c
        if split:
            _, qx, qy = nearest(x[best], y[best], c, parent, nx, ny)
            p = parent[c]
            if p >= 0 and qx == nx[p] and qy == ny[p]:
                at = p
            elif qx != nx[c] or qy != ny[c]:
                nx[count], ny[count], pin[count], parent[count] = qx, qy, -1, p
                parent[c] = count
                at = cut = count
                count += 1
        nx[count], ny[count], pin[count], parent[count] = x[best], y[best], offset + best, at
        new = count
        count += 1
        for k in range(1, n):
            if not left[k]:
                continue
            if not split:
                d = abs(x[k] - nx[new]) + abs(y[k] - ny[new])
                if d < far[k]:
                    far[k], edge[k] = d, new
            elif cut >= 0 and edge[k] == c:        # the box that it was near to is two now
                far[k] = abs(x[k] - nx[0]) + abs(y[k] - ny[0])
                edge[k] = 0
                for j in range(1, count):
                    d = nearest(x[k], y[k], j, parent, nx, ny)[0]
                    if d < far[k]:
                        far[k], edge[k] = d, j
            else:
                d = nearest(x[k], y[k], new, parent, nx, ny)[0]
                if d < far[k]:
                    far[k], edge[k] = d, new
    if split:
        parents_first(count, parent, pin, nx, ny)
    return count


@TIMING.jit
def parents_first(n, parent, pin, nx, ny):
    """Orders the nodes so that a parent comes before its children; the driver stays first."""
    depth = np.zeros(n, np.int64)
    for c in range(n):
        p = c
        while parent[p] >= 0:
            depth[c] += 1
            p = parent[p]
    order = np.argsort(depth, kind="mergesort")
    place = np.empty(n, np.int64)
    for k in range(n):
        place[order[k]] = k
    old = (parent[:n].copy(), pin[:n].copy(), nx[:n].copy(), ny[:n].copy())
    for k in range(n):
        j = order[k]
        parent[k] = place[old[0][j]] if old[0][j] >= 0 else -1
        pin[k], nx[k], ny[k] = old[1][j], old[2][j], old[3][j]
