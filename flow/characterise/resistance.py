"""Resistance inside the nets of a cell: poly, local interconnect and contacts, reduced to what the netlist needs.

Each strip of poly or local interconnect is a mesh of squares with the layer's sheet resistance; met1 is ideal. A
net's network is then reduced (Schur complement) to its terminals: where the outside connects, each fragment of
diffusion with its contacts, and the middle of each gate.
"""

from collections import defaultdict
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np

from flow.characterise.grid import covered, edges_of, grid_lines
from flow.characterise.layout import CellLayout, Cut
from flow.characterise.technology import CONTACT_OHM, CONTACTS_IN_MODEL, IN_MODEL_OHM, SHEET_OHM

FINEST_NM, COARSEST_NM = 20, 100
SMALLEST_SIEMENS = 2e-6
"""Weaker branches of a reduced network (above half a megohm) are left out."""


@dataclass(frozen=True)
class Resistor:
    """A resistance between two nodes, in ohm."""

    a: str
    b: str
    ohm: float


@dataclass(frozen=True)
class NetNodes:
    """The nodes of the netlist: of each fragment of diffusion (by piece) and of each gate (by transistor)."""

    of_fragment: dict[int, str]
    of_gate: dict[int, str]


class Network:
    """Conductances between named nodes of one net."""

    def __init__(self):
        self.index: dict[tuple, int] = {}
        self.branches: list[tuple[int, int, float]] = []

    def node(self, key: tuple) -> int:
        return self.index.setdefault(key, len(self.index))

    def add(self, a: tuple, b: tuple, ohm: float) -> None:
        self.branches.append((self.node(a), self.node(b), 1 / ohm))

    def reduced(self, terminals: list[tuple]) -> np.ndarray:
        """The (T, T) conductance matrix between terminals, all other nodes eliminated."""
        matrix = np.zeros((len(self.index), len(self.index)))
        for a, b, g in self.branches:
            matrix[a, a] += g
            matrix[b, b] += g
            matrix[a, b] -= g
            matrix[b, a] -= g
        kept = [self.index[key] for key in terminals]
        others = sorted(set(range(len(self.index))) - set(kept))
        if not others:
            return matrix[np.ix_(kept, kept)]
        inner = matrix[np.ix_(others, others)] + 1e-12 * np.eye(len(others))
        across = matrix[np.ix_(others, kept)]
        return matrix[np.ix_(kept, kept)] - across.T @ np.linalg.solve(inner, across)


@dataclass(frozen=True)
class Mesh:
    """The squares of one strip: lines of its grid and which boxes are in it."""

    piece: int
    x_lines: np.ndarray
    y_lines: np.ndarray
    inside: np.ndarray

    def at(self, point: kdb.Point) -> tuple:
        """The node nearest to a point."""
        x, y = (self.x_lines[1:] + self.x_lines[:-1]) / 2, (self.y_lines[1:] + self.y_lines[:-1]) / 2
        distance = np.hypot(x[:, None] - point.x, y[None, :] - point.y)
        distance[~self.inside] = np.inf
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        return ("mesh", self.piece, int(i), int(j))

    def add_to(self, network: Network, sheet_ohm: float) -> None:
        dx, dy = np.diff(self.x_lines), np.diff(self.y_lines)
        for i, j in np.argwhere(self.inside):
            here = ("mesh", self.piece, int(i), int(j))
            network.node(here)
            if i + 1 < len(dx) and self.inside[i + 1, j]:
                network.add(here, ("mesh", self.piece, int(i) + 1, int(j)),
                            sheet_ohm * (dx[i] + dx[i + 1]) / 2 / dy[j])
            if j + 1 < len(dy) and self.inside[i, j + 1]:
                network.add(here, ("mesh", self.piece, int(i), int(j) + 1),
                            sheet_ohm * (dy[j] + dy[j + 1]) / 2 / dx[i])


def build_mesh(cell: CellLayout, piece: int) -> Mesh:
    region = kdb.Region(cell.pieces[piece].polygon)
    box = cell.pieces[piece].polygon.bbox()
    xs, ys = edges_of(region)
    x_lines = grid_lines(xs, box.left, box.right, FINEST_NM, COARSEST_NM)
    y_lines = grid_lines(ys, box.bottom, box.top, FINEST_NM, COARSEST_NM)
    return Mesh(piece, x_lines, y_lines, covered(region, x_lines, y_lines))


def extract_resistance(cell: CellLayout) -> tuple[list[Resistor], NetNodes]:
    """The resistors of all nets and the node that each fragment and each gate is at; a net's own name is its pin."""
    pieces_of = defaultdict(list)
    for i, net in enumerate(cell.nets):
        pieces_of[net].append(i)
    resistors, of_fragment, of_gate = [], {}, {}
    for net in sorted(pieces_of):
        network = net_network(cell, pieces_of[net])
        terminals = net_terminals(cell, net, pieces_of[net], network)
        names = [net] + [f"{net}_{key[0][0]}{key[1]}" for key in terminals[1:]]
        for key, name in zip(terminals, names, strict=True):
            {"fragment": of_fragment, "gate": of_gate}.get(key[0], {})[key[1]] = name
        conductance = network.reduced(terminals)
        resistors += [Resistor(names[i], names[j], float(f"{-1 / conductance[i, j]:.4g}")) for i in range(len(names))
                      for j in range(i) if -conductance[i, j] > SMALLEST_SIEMENS]
    return resistors, NetNodes(of_fragment, of_gate)


def net_network(cell: CellLayout, pieces: list[int]) -> Network:
    """Meshes, cuts and gates of one net; a fragment of diffusion and a piece of met1 are one node each."""
    network = Network()
    meshes = {i: build_mesh(cell, i) for i in pieces if cell.pieces[i].layer in ("poly", "li")}
    for i, mesh in meshes.items():
        mesh.add_to(network, SHEET_OHM[cell.pieces[i].layer])

    def at(piece: int, point: kdb.Point) -> tuple:
        if piece in meshes:
            return meshes[piece].at(point)
        return ("fragment", piece) if cell.pieces[piece].layer in ("diff", "tap") else ("met1", 0)

    for i in pieces:
        if i not in meshes:
            network.node(at(i, cell.pieces[i].polygon.bbox().center()))
    for cut in cell.cuts:
        if cut.below in pieces:
            network.add(at(cut.below, cut.at), at(cut.above, cut.at), cut_ohm(cell, cut))
    for number, transistor in enumerate(cell.transistors):
        if transistor.gate in meshes:
            network.add(("gate", number), meshes[transistor.gate].at(transistor.middle), 1e-3)
    return network


def cut_ohm(cell: CellLayout, cut: Cut) -> float:
    """The resistance of a cut that no transistor model holds.

    A model that holds its contacts holds them for its own current. Where k gates share a fragment, its contacts carry
    k times that: the part (k - 1) / k of their resistance is outside of the models.
    """
    below = cell.pieces[cut.below]
    if below.layer != "diff":
        return CONTACT_OHM["mcon" if cut.layer == "mcon" else below.layer]
    ohm = CONTACT_OHM[below.doping + "diff"]
    if below.doping in CONTACTS_IN_MODEL:
        n_gates = sum((t.drain == cut.below) + (t.source == cut.below) for t in cell.transistors)
        return max(ohm * (n_gates - 1) / max(n_gates, 1), IN_MODEL_OHM)
    return ohm


def net_terminals(cell: CellLayout, net: str, pieces: list[int], network: Network) -> list[tuple]:
    """The node of the net itself, then its fragments and gates.

    The net's own node is met1 where it has some; else the label nearest to the middle of all its labels; else the
    first cut's upper end; else its first fragment or gate.
    """
    inside = [("fragment", i) for i in pieces if cell.pieces[i].layer == "diff"]
    inside += [("gate", k) for k, transistor in enumerate(cell.transistors) if transistor.gate in pieces]
    labels = [(piece, at) for name, piece, at in cell.labels if name == net and cell.pieces[piece].layer == "li"]
    cuts = [cut for cut in cell.cuts if cut.above in pieces]
    if ("met1", 0) in network.index:
        own = ("met1", 0)
    elif labels:
        x, y = (sum(getattr(at, axis) for _, at in labels) / len(labels) for axis in "xy")
        piece, at = min(labels, key=lambda label: (label[1].x - x) ** 2 + (label[1].y - y) ** 2)
        own = build_mesh(cell, piece).at(at)
    elif cuts:
        own = build_mesh(cell, cuts[0].above).at(cuts[0].at)
    else:
        own = inside[0]
    return [own, *(key for key in inside if key != own)]
