"""From nodes to metal: wires, vias, stubs, and what the rules want besides them.

Three things are not seen on the lattice: shapes of one net may stand too near to each other (a rule that knows no
nets), so the gap between them is filled; they may enclose too small a hole, which is filled as well; and what is left
of a layer may be smaller than its least area, so it is lengthened.
"""

from dataclasses import dataclass

import numpy as np

from flow.compiled import ROUTE
from flow.physical.design import NetRoute, Routes, ViaUse, Wire
from flow.physical.geometry import Shape
from flow.physical.technology import Technology
from flow.route.books import NONE, Ways
from flow.route.gaps import gap_fills, hole_fills
from flow.route.lattice import Rect
from flow.route.metal import Metal, is_clear, others_of, with_more
from flow.route.problem import RoutingProblem


@dataclass(frozen=True)
class Runs:
    """Straight wires (net, layer, first node, last node) and vias (net, lower layer, place), each sorted."""

    wires: np.ndarray
    vias: np.ndarray
    contacts: np.ndarray


def runs_of(problem: RoutingProblem, ways: Ways) -> Runs:
    """Steps from node to node joined to straight wires; vias and contacts once each."""
    plane, nx = problem.lattice.plane, problem.lattice.nx
    order = [np.arange(start, start + size) for start, size in zip(ways.start, ways.size, strict=True)]
    index = np.concatenate(order) if order else np.zeros(0, np.int64)
    net = np.repeat(np.arange(problem.n_nets), ways.size)
    node, before = ways.node[index].astype(np.int64), ways.before[index].astype(np.int64)
    step = before != NONE
    net, low, high = net[step], np.minimum(node, before)[step], np.maximum(node, before)[step]
    is_via = high - low == plane
    vias = np.unique(np.stack((net[is_via], low[is_via] // plane, low[is_via] % plane), axis=1), axis=0)
    reached = np.flatnonzero((ways.pin_node < 0) & (ways.pin_node != NONE))
    net_of_pin = np.repeat(np.arange(problem.n_nets), np.diff(problem.net_start))
    contacts = np.unique(np.stack((net_of_pin[reached], -2 - ways.pin_node[reached].astype(np.int64)), axis=1), axis=0)
    return Runs(_joined(net[~is_via], low[~is_via], high[~is_via], nx, plane), vias, contacts)


def _joined(net: np.ndarray, low: np.ndarray, high: np.ndarray, nx: int, plane: int) -> np.ndarray:
    """Straight wires out of steps."""
    layer, place = low // plane, low % plane
    row, column = place // nx, place % nx
    vertical = high - low == nx
    line, along = np.where(vertical, column, row), np.where(vertical, row, column)
    order = np.lexsort((along, line, vertical, layer, net))
    keys = np.stack((net, layer, vertical, line), axis=1)[order]
    along, low, high = along[order], low[order], high[order]
    breaks = np.ones(len(order), np.bool_)
    breaks[1:] = (keys[1:] != keys[:-1]).any(axis=1) | (along[1:] != along[:-1] + 1)
    first = np.flatnonzero(breaks)
    last = np.append(first[1:], len(order)) - 1 if len(order) else first
    return np.stack((keys[first, 0], keys[first, 1], low[first], high[last]), axis=1)


def metal_of(problem: RoutingProblem, runs: Runs) -> Metal:
    """All metal of the nets on the layers that are routed on, pins' own included."""
    lattice, stack = problem.lattice, problem.stack
    half = np.array([layer.half_width for layer in stack.layers])

    def xy(node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = node % lattice.plane
        return lattice.x0 + place % lattice.nx * lattice.pitch_x, lattice.y0 + place // lattice.nx * lattice.pitch_y

    def pads(net: np.ndarray, layer: np.ndarray, place: np.ndarray, sizes: list[tuple[int, int]]) -> np.ndarray:
        x, y = xy(place)
        extent = np.array(sizes)[layer] if len(layer) else np.zeros((0, 2), np.int64)
        return np.stack((net, layer, x - extent[:, 0], y - extent[:, 1], x + extent[:, 0], y + extent[:, 1]), axis=1)

    net, layer, first, last = runs.wires.T
    (x0, y0), (x1, y1), w = xy(first), xy(last), half[layer]
    parts = [np.stack((net, layer, x0 - w, y0 - w, x1 + w, y1 + w), axis=1)]
    via_net, low, place = runs.vias.T
    parts.append(pads(via_net, low, place, [via.lower for via in stack.vias[1:]]))
    above = pads(via_net, low, place, [via.upper for via in stack.vias[1:]])
    above[:, 1] += 1
    parts.append(above)
    parts.append(pads(runs.contacts[:, 0], np.zeros(len(runs.contacts), np.int64), runs.contacts[:, 1],
                      [stack.vias[0].upper]))
    parts.append(np.array([(net, layer, *rect) for net, layer, rect in problem.fixed], np.int64).reshape(-1, 6))
    return with_more(Metal(np.zeros((0, 6), np.int64)), np.concatenate(parts).astype(np.int64))


def pieces(rects: np.ndarray) -> list[np.ndarray]:
    """Rectangles in groups that touch."""
    n = len(rects)
    touch = ((rects[:, None, 2] <= rects[None, :, 4]) & (rects[None, :, 2] <= rects[:, None, 4])
             & (rects[:, None, 3] <= rects[None, :, 5]) & (rects[None, :, 3] <= rects[:, None, 5]))
    label = np.arange(n)
    while True:
        least = np.where(touch, label[None, :], n).min(axis=1)
        if (least == label).all():
            return [rects[label == value] for value in np.unique(label)]
        label = least


@ROUTE.jit
def _with_small_pieces(rects, groups, candidates, areas, least):
    """Which of the candidate groups have a piece without a rectangle of the least area; `pieces` would tell as well,
    and is slow for nearly all groups, which have none."""
    found = np.zeros(candidates.size, np.bool_)
    for k in range(candidates.size):
        first, last = groups[candidates[k]], groups[candidates[k] + 1]
        stack = np.empty(last - first, np.int64)
        reached = np.zeros(last - first, np.bool_)
        count = 0
        for i in range(first, last):
            if areas[i] >= least[rects[i, 1]]:
                reached[i - first] = True
                stack[count] = i
                count += 1
        while count:
            count -= 1
            i = stack[count]
            for j in range(first, last):
                if (not reached[j - first] and rects[i, 2] <= rects[j, 4] and rects[j, 2] <= rects[i, 4]
                        and rects[i, 3] <= rects[j, 5] and rects[j, 3] <= rects[i, 5]):
                    reached[j - first] = True
                    stack[count] = j
                    count += 1
        found[k] = not reached.all()
    return found


def union_area(rects: np.ndarray) -> int:
    """The area that rectangles (n, 4) cover together, nm2.

    >>> union_area(np.array([[0, 0, 4, 4], [2, 2, 6, 6]]))
    28
    """
    xs, ys = np.unique(rects[:, [0, 2]]), np.unique(rects[:, [1, 3]])
    x, y = xs[:-1, None], ys[None, :-1]
    filled = np.zeros((len(xs) - 1, len(ys) - 1), np.bool_)
    for x0, y0, x1, y1 in rects.tolist():
        filled |= (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return int((filled * np.diff(xs)[:, None] * np.diff(ys)[None, :]).sum())


def area_patches(problem: RoutingProblem, metal: Metal) -> tuple[np.ndarray, list[tuple[int, int, Rect]]]:
    """Rectangles that bring small pieces to the least area, and the pieces for which there is no room."""
    groups, patches, stuck = metal.groups(), [], []
    rects = metal.rects
    areas = (rects[:, 4] - rects[:, 2]) * (rects[:, 5] - rects[:, 3])
    least = np.array([layer.min_area for layer in problem.stack.layers])
    small = np.maximum.reduceat(areas, groups[:-1]) if len(rects) else areas
    sums = np.add.reduceat(areas, groups[:-1]) if len(rects) else areas
    several = np.diff(groups) > 1
    candidates = np.flatnonzero((small < least[rects[groups[:-1], 1]]) | ((sums > small) & several))
    for group in candidates[_with_small_pieces(rects, groups, candidates, areas, least)]:
        members = rects[groups[group]:groups[group + 1]]
        layer = int(members[0, 1])
        for piece in pieces(members):
            if ((piece[:, 4] - piece[:, 2]) * (piece[:, 5] - piece[:, 3])).max() >= least[layer]:
                continue
            lacking = int(least[layer]) - union_area(piece[:, 2:])
            if lacking > 0:
                patch = _lengthened(problem, metal, piece, lacking)
                if patch is None:
                    low, high = piece.min(axis=0), piece.max(axis=0)
                    stuck.append((int(piece[0, 0]), layer, (int(low[2]), int(low[3]), int(high[4]), int(high[5]))))
                else:
                    patches.append(patch)
    return np.array(patches, np.int64).reshape(-1, 6), stuck


def _lengthened(problem: RoutingProblem, metal: Metal, piece: np.ndarray, lacking: int) -> tuple[int, ...] | None:
    """The piece's longest rectangle, longer at one end or at both, where that is clear of other nets."""
    net, layer = int(piece[0, 0]), int(piece[0, 1])
    rule = problem.stack.layers[layer]
    horizontal = rule.horizontal
    low, high, across = (2, 4, (3, 5)) if horizontal else (3, 5, (2, 4))
    longest = piece[np.argmax(piece[:, high] - piece[:, low])].copy()
    more = -(-lacking // int(longest[across[1]] - longest[across[0]]) // 10) * 10
    others = others_of(metal, net, layer)
    for before in (more, 0, more // 20 * 10):
        patch = longest.copy()
        patch[low], patch[high] = piece[:, low].min() - before, piece[:, high].max() + more - before
        if is_clear(problem, others, patch):
            return tuple(int(value) for value in patch)
    return None


def routes_of(problem: RoutingProblem, ways: Ways,
              technology: Technology) -> tuple[Routes, list[tuple[int, int, Rect]]]:
    """The metal of every net, and pieces smaller than the least area that have no room to grow."""
    runs = runs_of(problem, ways)
    metal = metal_of(problem, runs)
    fills = gap_fills(problem, metal)
    fills = np.concatenate((fills, hole_fills(problem, with_more(metal, fills), technology)))
    patches, stuck = area_patches(problem, with_more(metal, fills))
    return _as_routes(problem, runs, np.concatenate((fills, patches)), technology), stuck


def _as_routes(problem: RoutingProblem, runs: Runs, rects: np.ndarray, technology: Technology) -> Routes:
    lattice, stack = problem.lattice, problem.stack
    names = [layer.name for layer in stack.layers]
    wires: list[list[Wire]] = [[] for _ in problem.names]
    vias: list[list[ViaUse]] = [[] for _ in problem.names]
    patches: list[list[Shape]] = [[] for _ in problem.names]
    for net, layer, first, last in runs.wires.tolist():
        wires[net].append(Wire(names[layer], *lattice.xy(first), *lattice.xy(last)))
    for net, place in runs.contacts.tolist():
        vias[net].append(ViaUse(stack.vias[0].name, *lattice.xy(place)))
    for net, low, place in runs.vias.tolist():
        vias[net].append(ViaUse(stack.vias[low + 1].name, *lattice.xy(place)))
    for net, metal, cut in problem.stubs:
        patches[net].append(Shape(names[0], *metal))
        vias[net].append(ViaUse(_stub_via(technology, stack.pin_layer, names[0], metal, cut), *cut))
    for net, layer, *rect in (*((net, layer, *rect) for net, layer, rect in problem.extensions), *rects.tolist()):
        patches[net].append(Shape(names[layer], *rect))
    return {name: NetRoute(tuple(wires[net]), tuple(vias[net]), tuple(patches[net]))
            for net, name in enumerate(problem.names)}


def _stub_via(technology: Technology, lower: str, upper: str, metal: Rect, cut: tuple[int, int]) -> str:
    """The via whose pad lies in a stub's metal."""
    for via in technology.vias_between(lower, upper):
        pad = via.upper.moved(*cut)
        if metal[0] <= pad.x0 and metal[1] <= pad.y0 and pad.x1 <= metal[2] and pad.y1 <= metal[3]:
            return via.name
    raise AssertionError(f"a stub's metal {metal} was made to hold a via's pad at {cut}")
