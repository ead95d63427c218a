"""Resistance inside the nets of a cell: diffusion, poly, local interconnect and contacts, reduced to what is needed.

Each fragment of diffusion, strip of poly and of local interconnect is a mesh of boxes with the layer's sheet
resistance; a contact joins the boxes under it, by their areas, to those over it; met1 is ideal. Current enters a
fragment all along the edge of a gate, and a gate all over its area. A net's network is reduced to its terminals: where
the outside connects, both sides of each transistor, and each gate.
"""

from collections import defaultdict
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np
from scipy.sparse import coo_array, csc_array
from scipy.sparse.linalg import splu

from flow.characterise.grid import covered, edges_of, grid_lines
from flow.characterise.layout import CellLayout, Cut, Transistor
from flow.characterise.technology import CONTACT_OHM, SHEET_OHM
from golden.spec import SpecError

FINEST_NM, COARSEST_NM = 20, 100
SMALLEST_SIEMENS = 2e-6
"""Weaker branches of a reduced network (above half a megohm) are left out."""

PLUG_OHM = 1e-3
"""From the middle of a contact to what is over it: the resistance of a contact is at its lower end."""

Key = tuple
"""Of a node: ("mesh", piece, i, j), ("cut", number), ("met1",) or ("tap", piece)."""

Terminal = tuple[str, int]
"""d, g or s and the number of a transistor, or f and the piece of a fragment that parallel fingers share."""

Injection = dict[Key, float]
"""How the current of a terminal enters the network: node -> its part; the parts add up to 1."""


@dataclass(frozen=True)
class Resistor:
    """A resistance between two nodes, in ohm; what a reduction leaves can be negative between distant ones."""

    a: str
    b: str
    ohm: float


@dataclass(frozen=True)
class NetNodes:
    """The nodes of the netlist for each transistor: (drain, gate, source)."""

    of_transistor: dict[int, dict[str, str]]


class Network:
    """Conductances between the nodes of one net."""

    def __init__(self):
        self.index: dict[Key, int] = {}
        self.branches: list[tuple[int, int, float]] = []

    def node(self, key: Key) -> int:
        return self.index.setdefault(key, len(self.index))

    def add(self, a: Key, b: Key, ohm: float) -> None:
        self.branches.append((self.node(a), self.node(b), 1 / ohm))

    def matrix(self) -> csc_array:
        a, b, g = (np.array(column) for column in zip(*self.branches, strict=True))
        a, b = a.astype(int), b.astype(int)
        n = len(self.index)
        return coo_array((np.concatenate([g, g, -g, -g]), (np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a]))),
                         (n, n)).tocsc()

    def impedance(self, own: Key, terminals: list[Injection]) -> np.ndarray:
        """(T, T) ohm: the voltage of each terminal, averaged as its current enters, for 1 A of each into `own`."""
        ground = self.index[own]
        kept = np.array([k for k in range(len(self.index)) if k != ground], int)
        place = np.full(len(self.index), -1)
        place[kept] = np.arange(len(kept))
        into = np.zeros((len(kept), len(terminals)))
        for t, injection in enumerate(terminals):
            for key, part in injection.items():
                if (row := place[self.index[key]]) >= 0:
                    into[row, t] += part
        if not len(kept):
            return np.zeros((len(terminals), len(terminals)))
        return into.T @ splu(self.matrix()[kept][:, kept].tocsc()).solve(into)

    def reduced(self, own: Key, terminals: list[Injection]) -> np.ndarray:
        """(1 + T, 1 + T) siemens between `own` and the terminals."""
        inner = np.linalg.inv(self.impedance(own, terminals))
        to_own = -inner.sum(axis=1)
        return np.block([[np.array([[-to_own.sum()]]), to_own[None, :]], [to_own[:, None], inner]])


@dataclass(frozen=True)
class Mesh:
    """The boxes of one piece: lines of its grid (database units) and which boxes are in it."""

    piece: int
    x_lines: np.ndarray
    y_lines: np.ndarray
    inside: np.ndarray

    def at(self, point: kdb.Point) -> Key:
        """The node nearest to a point."""
        x, y = (self.x_lines[1:] + self.x_lines[:-1]) / 2, (self.y_lines[1:] + self.y_lines[:-1]) / 2
        distance = np.hypot(x[:, None] - point.x, y[None, :] - point.y)
        distance[~self.inside] = np.inf
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        return ("mesh", self.piece, int(i), int(j))

    def over(self, box: kdb.Box) -> Injection:
        """The boxes that another box covers, by area; SpecError when there are none."""
        wide = overlap(self.x_lines, box.left, box.right)[:, None] * overlap(self.y_lines, box.bottom, box.top)[None, :]
        wide = np.where(self.inside, wide, 0.0)
        if wide.sum() <= 0:
            raise SpecError(f"a contact or gate must lie over piece {self.piece}, and the one at {box} does not")
        return {("mesh", self.piece, int(i), int(j)): float(wide[i, j] / wide.sum()) for i, j in np.argwhere(wide > 0)}

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


def overlap(lines: np.ndarray, low: float, high: float) -> np.ndarray:
    """How much of each step between lines is between low and high."""
    return np.clip(np.minimum(lines[1:], high) - np.maximum(lines[:-1], low), 0, None)


def build_mesh(cell: CellLayout, piece: int) -> Mesh:
    """With lines along the polygon's own edges and those of the contacts on it."""
    region = kdb.Region(cell.pieces[piece].polygon)
    box = cell.pieces[piece].polygon.bbox()
    xs, ys = edges_of(region)
    for cut in cell.cuts:
        if piece in (cut.below, cut.above):
            xs |= {cut.box.left, cut.box.right}
            ys |= {cut.box.bottom, cut.box.top}
    x_lines = grid_lines((x for x in xs if x > box.left), box.left, box.right, FINEST_NM, COARSEST_NM)
    y_lines = grid_lines((y for y in ys if y > box.bottom), box.bottom, box.top, FINEST_NM, COARSEST_NM)
    return Mesh(piece, x_lines, y_lines, covered(region, x_lines, y_lines))


@dataclass(frozen=True)
class NetNetwork:
    """One net: its network and meshes (by piece)."""

    cell: CellLayout
    net: str
    pieces: tuple[int, ...]
    network: Network
    meshes: dict[int, Mesh]

    def ends(self) -> dict[tuple[int, str], Terminal]:
        """(transistor, drain or gate or source) -> the terminal of this net that it is at.

        Parallel fingers that share a fragment share its terminal: their currents are the same.
        """
        found = {}
        for number, transistor in enumerate(self.cell.transistors):
            for name in ("drain", "gate", "source"):
                piece = getattr(transistor, name)
                if piece in self.pieces:
                    alone = name == "gate" or not self.is_shared_by_parallel_fingers(piece)
                    found[number, name] = (name[0], number) if alone else ("f", piece)
        return found

    def is_shared_by_parallel_fingers(self, fragment: int) -> bool:
        cell = self.cell
        others = {(t.device, cell.nets[t.gate], cell.nets[t.source if t.drain == fragment else t.drain])
                  for t in cell.transistors if fragment in (t.drain, t.source)}
        return len(others) == 1

    def terminals(self) -> dict[Terminal, Injection]:
        """How the current of each terminal enters; that of fingers in parallel is shared equally."""
        sides = defaultdict(list)
        for (number, name), terminal in self.ends().items():
            transistor = self.cell.transistors[number]
            box = transistor.box if name == "gate" else beside(transistor, name)
            sides[terminal].append(self.meshes[getattr(transistor, name)].over(box))
        return {terminal: mixed(injections) for terminal, injections in sides.items()}

    def own(self) -> Key:
        """The node of the net itself, where the outside connects.

        That is met1 where the net has some; of a pin in local interconnect, which can be contacted anywhere, the
        place of mean resistance to the transistors; of an inner net its first contact.
        """
        if ("met1",) in self.network.index:
            return ("met1",)
        labelled = {piece for name, piece, _ in self.cell.labels if name == self.net and piece in self.meshes
                    and self.cell.pieces[piece].layer == "li"}
        if labelled:
            return self.mean_place(labelled)
        cuts = [k for k, cut in enumerate(self.cell.cuts) if cut.above in self.pieces]
        return ("cut", cuts[0]) if cuts else next(iter(next(iter(self.terminals().values()))))

    def mean_place(self, pieces: set[int]) -> Key:
        """The box of a pin whose resistance to the transistors is nearest to the mean over all of the pin.

        For equal currents of all n transistors and for equal ones of all p transistors; the sum of both deviations,
        relative to the mean, decides.
        """
        boxes = [key for key in self.network.index if key[0] == "mesh" and key[1] in pieces]
        groups = [into for doping in "np" if (into := self.entry_of(doping)) is not None]
        ground = self.network.index[boxes[0]]
        kept = [k for k in range(len(self.network.index)) if k != ground]
        rows = np.array([self.network.index[key] for key in boxes])
        unit = np.zeros((len(self.network.index), len(boxes)))
        unit[rows, np.arange(len(boxes))] = 1
        solved = np.zeros((len(self.network.index), len(boxes) + len(groups)))
        solved[kept] = splu(self.network.matrix()[kept][:, kept].tocsc()).solve(np.column_stack([unit, *groups])[kept])
        own = solved[rows, np.arange(len(boxes))]
        area = np.array([self.area(key) for key in boxes])
        deviation = np.zeros(len(boxes))
        for k, into in enumerate(groups):
            across = solved[:, len(boxes) + k]
            ohm = into @ across - 2 * across[rows] + own     # between the group and each box
            mean = (ohm * area).sum() / area.sum()
            deviation += np.abs(ohm / mean - 1)
        return boxes[int(np.argmin(np.round(deviation, 6)))]

    def entry_of(self, doping: str) -> np.ndarray | None:
        """(N,) how equal currents of all n or all p transistors enter, 1 in all; None when there are none."""
        terminals = self.terminals()
        injections = [terminals[terminal] for (number, _), terminal in self.ends().items()
                      if self.cell.transistors[number].device.startswith(doping)]
        if not injections:
            return None
        into = np.zeros(len(self.network.index))
        for key, part in mixed(injections).items():
            into[self.network.index[key]] = part
        return into

    def area(self, key: Key) -> float:
        mesh = self.meshes[key[1]]
        return float(np.diff(mesh.x_lines)[key[2]] * np.diff(mesh.y_lines)[key[3]])


def mixed(injections: list[Injection]) -> Injection:
    """Equal parts of several injections."""
    whole: Injection = defaultdict(float)
    for injection in injections:
        for key, part in injection.items():
            whole[key] += part / len(injections)
    return dict(whole)


def beside(transistor: Transistor, name: str) -> kdb.Box:
    """The strip of diffusion, as wide as the finest mesh, that touches the gate on the drain's or source's side."""
    box = transistor.box
    if name == "drain":                                    # the left one, as flow.characterise.layout has them
        return kdb.Box(box.left - 1, box.bottom, box.left, box.top)
    return kdb.Box(box.right, box.bottom, box.right + 1, box.top)


def extract_resistance(cell: CellLayout) -> tuple[list[Resistor], NetNodes]:
    """The resistors of all nets and the nodes of each transistor; a net's own name is its pin."""
    pieces_of = defaultdict(list)
    for i, net in enumerate(cell.nets):
        pieces_of[net].append(i)
    resistors: list[Resistor] = []
    nodes: dict[int, dict[str, str]] = defaultdict(dict)
    for net in sorted(pieces_of):
        part = net_network(cell, net, tuple(pieces_of[net]))
        terminals = part.terminals()
        if not terminals:
            continue
        names = [net, *(f"{net}_{kind}{number}" for kind, number in terminals)]
        for (number, name), (kind, k) in part.ends().items():
            nodes[number][name] = f"{net}_{kind}{k}"
        conductance = part.network.reduced(part.own(), list(terminals.values()))
        resistors += [Resistor(names[i], names[j], float(f"{-1 / conductance[i, j]:.4g}")) for i in range(len(names))
                      for j in range(i) if abs(conductance[i, j]) > SMALLEST_SIEMENS]
    return resistors, NetNodes(nodes)


def net_network(cell: CellLayout, net: str, pieces: tuple[int, ...]) -> NetNetwork:
    """Meshes and cuts of one net; a tap and all met1 are one node each."""
    network = Network()
    meshes = {i: build_mesh(cell, i) for i in pieces if cell.pieces[i].layer in ("diff", "poly", "li")}
    for i, mesh in meshes.items():
        piece = cell.pieces[i]
        mesh.add_to(network, SHEET_OHM[piece.doping + "diff" if piece.layer == "diff" else piece.layer])
    for i in pieces:
        if i not in meshes:
            network.node(single_node(cell, i))
    for number, cut in enumerate(cell.cuts):
        if cut.below in pieces:
            for piece, ohm in ((cut.below, cut_ohm(cell, cut)), (cut.above, PLUG_OHM)):
                onto = meshes[piece].over(cut.box) if piece in meshes else {single_node(cell, piece): 1.0}
                for key, part in onto.items():
                    network.add(("cut", number), key, ohm / part)
    return NetNetwork(cell, net, pieces, network, meshes)


def single_node(cell: CellLayout, piece: int) -> Key:
    return ("met1",) if cell.pieces[piece].layer == "met1" else ("tap", piece)


def cut_ohm(cell: CellLayout, cut: Cut) -> float:
    below = cell.pieces[cut.below]
    if cut.layer == "mcon":
        return CONTACT_OHM["mcon"]
    return CONTACT_OHM[below.doping + "diff" if below.layer == "diff" else below.layer]
