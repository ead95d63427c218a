"""What a cell or macro brings to antenna rules: metal, cuts, and the gates and diffusion behind its local interconnect.

Below li1 nothing leaves a cell, so that gates, diffusion and contacts are worked out once a cell: a *node* is li1 with
all that contacts, poly and diffusion join it to. The rules of poly and of its contacts concern no more than that and
are checked here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import klayout.db as kdb
import numpy as np

from flow.pdk.config import PdkConfig
from flow.signoff.extract import CUTS, METALS, run_extractor
from golden.spec import SpecError

POLY_THICKNESS_UM, POLY_RATIO, LICON_RATIO = 0.18, 50.0, 3.0
"""Antenna rules .poly.1 and .licon.1 of the SkyWater documentation (table Ie); the tech LEF begins with li1."""

FRONT = ("poly", "licon", "diff", "tap", "nwell")


@dataclass(frozen=True)
class Node:
    """gate_um2: gates on it; diode_um2: diffusion and well taps; grounded: a tap of the substrate is on it."""

    name: str
    gate_um2: float
    diode_um2: float
    grounded: bool


@dataclass(frozen=True)
class Front:
    """A cell for antenna rules; rectangles are rows (left, bottom, right, top) in nm.

    boxes:   layer (metals and cuts from li1 to met5) -> rectangles.
    node_of: of each rectangle of li1, its node.
    faults:  of the rules below li1.
    """

    boxes: dict[str, np.ndarray]
    node_of: np.ndarray
    nodes: tuple[Node, ...]
    faults: tuple[str, ...]


def front_of_cell(layout: kdb.Layout, cell: kdb.Cell, pdk: PdkConfig) -> Front:
    """Of a standard cell, all of it."""
    regions = {name: kdb.Region(cell.begin_shapes_rec(layout.layer(*pdk.drawing(name)))).merged()
               for name in (*FRONT, *METALS, *CUTS)}
    texts = [(shape.text.string, kdb.Point(shape.text.x, shape.text.y))
             for purpose in (pdk.layers["li1"].label, pdk.layers["li1"].pin)
             for shape in cell.shapes(layout.layer(*purpose)).each(kdb.Shapes.STexts)]
    return _build(cell.name, regions, texts)


def front_of_macro(layout: kdb.Layout, cell: kdb.Cell, pdk: PdkConfig, pins: Iterable[str]) -> Front:
    """Of a macro, what belongs to the nets of some pins; SpecError when one is not in its layout."""
    fronts = list(fronts_of_pins(layout, cell, pdk, pins).values())
    first = np.cumsum([0, *(len(front.nodes) for front in fronts)])
    boxes = {layer: np.concatenate([front.boxes[layer] for front in fronts]) for layer in (*METALS, *CUTS)}
    return Front(boxes, np.concatenate([front.node_of + start for front, start in zip(fronts, first, strict=False)]),
                 tuple(node for front in fronts for node in front.nodes),
                 tuple(fault for front in fronts for fault in front.faults))


def fronts_of_pins(layout: kdb.Layout, cell: kdb.Cell, pdk: PdkConfig, pins: Iterable[str]) -> dict[str, Front]:
    """Of a macro, what belongs to the net of each pin; SpecError when one is not in its layout."""
    extractor, layers = run_extractor(layout, cell, pdk)
    circuit = extractor.netlist().circuit_by_name(cell.name)
    diff, nwell = (layout.layer(*pdk.drawing(name)) for name in ("diff", "nwell"))
    fronts = {}
    for pin in pins:
        net = circuit.net_by_name(pin)
        if net is None:
            raise SpecError(f"pin {pin} must be a net of the layout of {cell.name}, and is none")
        regions = {name: extractor.shapes_of_net(net, layers[name], True)
                   for name in ("poly_wire", "licon", "p_end", "n_end", "p_tap", "n_tap", *METALS, *CUTS)}
        texts = [(pin, next(polygon.each_point_hull())) for polygon in regions["li1"].each()]
        regions["poly"] = regions.pop("poly_wire")
        ends, taps = regions.pop("p_end") + regions.pop("n_end"), regions.pop("p_tap") + regions.pop("n_tap")
        gates = kdb.Region(cell.begin_shapes_rec_touching(diff, regions["poly"].bbox())) & regions["poly"].sized(1)
        regions["diff"], regions["tap"] = ends + gates, taps
        regions["nwell"] = kdb.Region(cell.begin_shapes_rec_touching(nwell, taps.bbox()))
        fronts[pin] = _build(cell.name, {name: region.merged() for name, region in regions.items()}, texts)
    return fronts


def _build(name: str, regions: Mapping[str, kdb.Region], texts: list[tuple[str, kdb.Point]]) -> Front:
    """Pieces of poly, diffusion and taps, joined by contacts to pieces of li1."""
    pieces = [("li1", polygon) for polygon in regions["li1"].each()]
    for kind, region in (("poly", regions["poly"]), ("end", regions["diff"] - regions["poly"]),
                         ("n_tap", regions["tap"] & regions["nwell"]), ("p_tap", regions["tap"] - regions["nwell"])):
        pieces += [(kind, polygon) for polygon in region.merged().each()]
    finder = _Finder(pieces)
    parent = list(range(len(pieces)))
    contacts: dict[int, int] = defaultdict(int)              # piece of poly -> nm2 of contacts

    def root(item: int) -> int:
        while parent[item] != item:
            item = parent[item]
        return item

    for cut in regions["licon"].each():
        under = finder.at(cut.bbox().center())
        for piece in under:
            if pieces[piece][0] == "poly":
                contacts[piece] += cut.area()
        for piece in under[1:]:
            parent[max(root(piece), root(under[0]))] = min(root(piece), root(under[0]))
    gate_of = {index: (kdb.Region(polygon) & regions["diff"]).area() for index, (kind, polygon) in enumerate(pieces)
               if kind == "poly"}
    nodes, number = _nodes(pieces, [root(item) for item in range(len(pieces))], gate_of, finder, texts)
    rows, node_of = [], []
    for index, (kind, polygon) in enumerate(pieces):
        if kind == "li1":
            found = rectangles(kdb.Region(polygon))
            rows += found.tolist()
            node_of += [number[root(index)]] * len(found)
    boxes = {layer: rectangles(regions[layer]) for layer in (*METALS[1:], *CUTS) if layer in regions}
    boxes["li1"] = np.array(rows, np.int64).reshape(-1, 4)
    return Front(boxes, np.array(node_of, np.int64), nodes, tuple(_front_faults(name, pieces, gate_of, contacts)))


def _nodes(pieces: list, roots: list[int], gate_of: Mapping[int, int], finder: _Finder,
           texts: list[tuple[str, kdb.Point]]) -> tuple[tuple[Node, ...], dict[int, int]]:
    """The nodes that reach li1, and the number of each by its root."""
    names: dict[int, set[str]] = defaultdict(set)
    for name, point in texts:
        for piece in finder.at(point):
            if pieces[piece][0] == "li1":
                names[roots[piece]].add(name)
    gates, diodes, grounded = defaultdict(int), defaultdict(int), set()
    for index, (kind, polygon) in enumerate(pieces):
        if kind == "poly":
            gates[roots[index]] += gate_of[index]
        elif kind in ("end", "n_tap"):
            diodes[roots[index]] += polygon.area()
        elif kind == "p_tap":
            grounded.add(roots[index])
    with_li1 = sorted({roots[index] for index, (kind, _) in enumerate(pieces) if kind == "li1"})
    nodes = tuple(Node(",".join(sorted(names[item])), gates[item] / 1e6, diodes[item] / 1e6, item in grounded)
                  for item in with_li1)
    return nodes, {item: index for index, item in enumerate(with_li1)}


def _front_faults(name: str, pieces: list, gate_of: Mapping[int, int], contacts: Mapping[int, int]) -> Iterable[str]:
    for index, gate in gate_of.items():
        if gate:
            side = pieces[index][1].perimeter() / 1e3 * POLY_THICKNESS_UM
            for what, ratio, allowed in (("poly", side / (gate / 1e6), POLY_RATIO),
                                         ("licon", contacts[index] / gate, LICON_RATIO)):
                if ratio > allowed:
                    yield f"cell {name} has {ratio:.1f} times the gate area in {what}, {allowed:g} allowed"


class _Finder:
    """Pieces by place."""

    def __init__(self, pieces: list):
        self.pieces = pieces
        self.by_bin: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, (_, polygon) in enumerate(pieces):
            box = polygon.bbox()
            for x in range(box.left // 1000, box.right // 1000 + 1):
                for y in range(box.bottom // 1000, box.top // 1000 + 1):
                    self.by_bin[x, y].append(index)

    def at(self, point: kdb.Point) -> list[int]:
        """The pieces that a point is in."""
        return [index for index in self.by_bin[point.x // 1000, point.y // 1000]
                if self.pieces[index][1].inside(point)]


def rectangles(region: kdb.Region) -> np.ndarray:
    """A region's area as rectangles; SpecError when it has a slanted edge."""
    merged = region.merged()
    pieces = [piece for polygon in merged.each() for piece in polygon.decompose_trapezoids(kdb.Polygon.TD_htrapezoids)]
    boxes = [piece.bbox() for piece in pieces]
    if any(not polygon.is_rectilinear() for polygon in merged.each()):
        raise SpecError(f"metal must have right angles only; near {merged.bbox()} there are others")
    return np.array([(box.left, box.bottom, box.right, box.top) for box in boxes], np.int64).reshape(-1, 4)
