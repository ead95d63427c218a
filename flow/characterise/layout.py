"""From the polygons of a cell to its transistors and nets.

A piece is one polygon of one conducting layer: a fragment of diffusion, a strip of poly, of local interconnect or of
met1. Cuts join pieces to nets; a gate is where poly crosses diffusion, and it joins the two fragments that it divides
to a transistor.
"""

from dataclasses import dataclass
from pathlib import Path

import klayout.db as kdb

from flow.characterise.technology import LABELS, LAYERS
from golden.spec import SpecError

N_STRESS_SLICES = 8
CONDUCTORS = ("diff", "tap", "poly", "li", "met1")


@dataclass(frozen=True)
class Piece:
    """One polygon of a conductor: layer, geometry (database units), and `n` or `p` for what is in silicon."""

    layer: str
    polygon: kdb.Polygon
    doping: str = ""

    def contains(self, point: kdb.Point) -> bool:
        return self.polygon.bbox().contains(point) and self.polygon.inside(point)


@dataclass(frozen=True)
class Cut:
    """A contact: the piece under it, the piece over it, its square."""

    layer: str
    below: int
    above: int
    box: kdb.Box

    @property
    def at(self) -> kdb.Point:
        return self.box.center()


@dataclass(frozen=True)
class Transistor:
    """A gate and what it joins; drain and source are the pieces left and right of it and can be exchanged.

    w, l, sa, sb, pd, ps in um, ad, as_ in um2. pd and ps count the edge at the gate too (BSIM4 permod = 1);
    sa and sb are from the edges of this gate to the ends of the diffusion, other gates included.
    """

    device: str
    gate: int
    drain: int
    source: int
    bulk: str
    box: kdb.Box
    w: float
    l: float
    ad: float
    as_: float
    pd: float
    ps: float
    sa: float
    sb: float


@dataclass(frozen=True)
class CellLayout:
    """A cell as pieces, the net of each, cuts and transistors, all in an order that depends on geometry only."""

    name: str
    dbu_um: float
    top: kdb.Cell
    layout: kdb.Layout
    pieces: tuple[Piece, ...]
    nets: tuple[str, ...]
    cuts: tuple[Cut, ...]
    transistors: tuple[Transistor, ...]
    labels: tuple[tuple[str, int, kdb.Point], ...]

    def region(self, layer: str) -> kdb.Region:
        return read_region(self.layout, self.top, layer)


def read_region(layout: kdb.Layout, top: kdb.Cell, layer: str) -> kdb.Region:
    return kdb.Region(top.begin_shapes_rec(layout.layer(*LAYERS[layer]))).merged()


def load_layout(path: Path, name: str) -> CellLayout:
    """Reads a GDS whose top cell is `name`; SpecError when it has none or when a gate divides no diffusion."""
    layout = kdb.Layout()
    layout.read(str(path))
    top = layout.cell(name)
    if top is None:
        raise SpecError(f"{path.name} must have a cell {name}, not {[cell.name for cell in layout.top_cells()]}")
    shapes = {layer: read_region(layout, top, layer) for layer in LAYERS}
    pieces = find_pieces(shapes)
    cuts = find_cuts(shapes, pieces)
    labels = find_labels(layout, top, pieces)
    nets = name_nets(pieces, cuts, labels)
    transistors = find_transistors(shapes, pieces, layout.dbu)
    return CellLayout(name, layout.dbu, top, layout, pieces, nets, cuts, transistors, labels)


def in_order(region: kdb.Region) -> list[kdb.Polygon]:
    """Polygons from left to right, then upwards."""
    return sorted(region.each(), key=lambda p: (p.bbox().left, p.bbox().bottom, p.bbox().right, p.bbox().top))


def find_pieces(shapes: dict[str, kdb.Region]) -> tuple[Piece, ...]:
    pieces = []
    for layer in CONDUCTORS:
        region = (shapes["diff"] - shapes["poly"]).merged() if layer == "diff" else shapes[layer]
        for polygon in in_order(region):
            in_well = not (kdb.Region(polygon) & shapes["nwell"]).is_empty()
            doping = {"diff": "np"[in_well], "tap": "pn"[in_well]}.get(layer, "")
            pieces.append(Piece(layer, polygon, doping))
    return tuple(pieces)


def find_cuts(shapes: dict[str, kdb.Region], pieces: tuple[Piece, ...]) -> tuple[Cut, ...]:
    """All cuts that join two pieces; one that joins nothing (a label's square) is left out."""
    cuts = []
    for layer, lower, upper in (("licon", ("diff", "tap", "poly"), "li"), ("mcon", ("li",), "met1")):
        for polygon in in_order(shapes[layer]):
            at = polygon.bbox().center()
            below = [i for i, piece in enumerate(pieces) if piece.layer in lower and piece.contains(at)]
            above = [i for i, piece in enumerate(pieces) if piece.layer == upper and piece.contains(at)]
            cuts += [Cut(layer, i, j, polygon.bbox()) for i in below for j in above]
    return tuple(cuts)


def find_labels(layout: kdb.Layout, top: kdb.Cell, pieces: tuple[Piece, ...]) -> tuple[tuple[str, int, kdb.Point], ...]:
    """(net name, piece, place) of every text over a conductor."""
    found = set()
    for layer, gds_layer in LABELS.items():
        shapes = top.begin_shapes_rec(layout.layer(*gds_layer))
        for item in shapes.each():
            if item.shape().is_text():
                text = item.shape().text.transformed(item.trans())
                at = kdb.Point(text.x, text.y)
                found |= {(text.string, i, at.x, at.y) for i, piece in enumerate(pieces)
                          if piece.layer == layer and piece.contains(at)}
    return tuple((name, i, kdb.Point(x, y)) for name, i, x, y in sorted(found))


def name_nets(pieces: tuple[Piece, ...], cuts: tuple[Cut, ...], labels) -> tuple[str, ...]:
    """The net of every piece: its label, else n1, n2, ... in the order of pieces."""
    parent = list(range(len(pieces)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for cut in cuts:
        parent[root(cut.below)] = root(cut.above)
    first: dict[str, int] = {}
    names: dict[int, str] = {}
    for name, piece, _ in labels:
        joined = root(first.setdefault(name, piece))          # pieces with one label are joined outside of the cell
        parent[root(piece)] = joined
    for name, piece, _ in labels:
        if names.setdefault(root(piece), name) != name:
            raise SpecError(f"the nets {name} and {names[root(piece)]} must be apart, and the layout joins them")
    for i in range(len(pieces)):
        names.setdefault(root(i), f"n{1 + sum(name.startswith('n') and name[1:].isdigit() for name in names.values())}")
    return tuple(names[root(i)] for i in range(len(pieces)))


def find_transistors(shapes: dict[str, kdb.Region], pieces: tuple[Piece, ...], dbu: float) -> tuple[Transistor, ...]:
    fragments = [i for i, piece in enumerate(pieces) if piece.layer == "diff"]
    strips = [i for i, piece in enumerate(pieces) if piece.layer == "poly"]
    edges = {i: kdb.Region(pieces[i].polygon).edges() for i in fragments}
    gates = []
    for polygon in in_order(shapes["diff"] & shapes["poly"]):
        own = kdb.Region(polygon).edges()
        sides = [(i, (own & edges[i]).length() * dbu) for i in fragments if not (own & edges[i]).is_empty()]
        if len(sides) != 2:
            raise SpecError(f"a gate must have diffusion on two sides, not {len(sides)}, at {polygon.bbox()}")
        sides.sort(key=lambda side: pieces[side[0]].polygon.bbox().center().x)
        gate = next(i for i in strips if pieces[i].contains(polygon.bbox().center()))
        gates.append((polygon, gate, sides))
    at_gates = {i: sum(w for _, _, sides in gates for j, w in sides if j == i) for i in fragments}
    found = []
    for polygon, gate, ((left, w_left), (right, w_right)) in gates:
        w = (w_left + w_right) / 2
        doping = pieces[left].doping
        area, perimeter = zip(*(junction(pieces[i].polygon, at_gates[i], own, dbu)
                                for i, own in ((left, w_left), (right, w_right))), strict=True)
        sa, sb = stress_lengths(polygon.bbox(), shapes["diff"], dbu)
        found.append(Transistor(
            {"n": "nfet_01v8", "p": "pfet_01v8_hvt"}[doping], gate, left, right, {"n": "VNB", "p": "VPB"}[doping],
            polygon.bbox(), round(w, 4), round(polygon.area() * dbu**2 / w, 4),
            area[0], area[1], perimeter[0], perimeter[1], sa, sb))
    return tuple(found)


def junction(fragment: kdb.Polygon, at_gates_um: float, own_um: float, dbu: float) -> tuple[float, float]:
    """A gate's share of the area (um2) and perimeter (um) of a fragment, by its part of the edges at gates."""
    share = own_um / at_gates_um
    outer_um = fragment.perimeter() * dbu - at_gates_um
    return fragment.area() * dbu**2 * share, outer_um * share + own_um


def stress_lengths(gate: kdb.Box, diff: kdb.Region, dbu: float) -> tuple[float, float]:
    """sa and sb of a gate (um): the diffusion left and right of it, averaged over its width as BSIM4 says.

    Where the diffusion has steps, 1/(sa + l/2) is averaged, equations 13.1.6 of the BSIM4.5 manual.
    """
    half = gate.width() * dbu / 2
    inverse_a = inverse_b = 0.0
    for k in range(N_STRESS_SLICES):
        y = int(gate.bottom + (k + 0.5) * gate.height() / N_STRESS_SLICES)
        slices = (kdb.Region(kdb.Box(gate.left - 10**6, y, gate.right + 10**6, y + 1)) & diff).merged()
        row = next(p.bbox() for p in slices.each() if p.bbox().left <= gate.left and p.bbox().right >= gate.right)
        inverse_a += 1 / ((gate.left - row.left) * dbu + half)
        inverse_b += 1 / ((row.right - gate.right) * dbu + half)
    return N_STRESS_SLICES / inverse_a - half, N_STRESS_SLICES / inverse_b - half
