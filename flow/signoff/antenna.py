"""Antenna rules of a finished layout, from the geometry of its GDS.

While a layer is etched, all of it and of the layers below is there and nothing above. For everything that is joined
then, the layer's etched area over the area of the gates on it must stay under a limit that grows with the diffusion on
it: the side area of a metal (outline times thickness), the area of the cuts that are opened on it. What a substrate tap
is on is free. (SkyWater documentation, antenna rules, table Ie; the tech LEF has the same limits.)

Layers are added from li1 up to a union of all that touches; nothing is taken from the netlist or from the router.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import klayout.db as kdb
import numpy as np

from flow.pdk.config import PdkConfig
from flow.signoff import touch
from flow.signoff.extract import CUTS, METALS
from flow.signoff.front import Front, Node, front_of_cell, front_of_macro, rectangles
from golden.spec import SpecError

NM_PER_UM = 1000
Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class AntennaRule:
    """(diffusion um2, largest ratio) in steps, linear between them; thickness of a metal, None for cuts."""

    steps: Steps
    thickness_um: float | None

    def allowed(self, diode_um2: np.ndarray) -> np.ndarray:
        """The limit for so much diffusion."""
        areas, ratios = zip(*self.steps, strict=True)
        return np.interp(diode_um2, areas, ratios)


@dataclass(frozen=True)
class AntennaFault:
    """gates: some of the pins whose gates are at risk; x, y somewhere on the metal."""

    layer: str
    ratio: float
    allowed: float
    gates: tuple[str, ...]
    x_um: float
    y_um: float

    def __str__(self) -> str:
        return (f"{self.layer} near {self.x_um:.3f}, {self.y_um:.3f} um: {self.ratio:.1f} times the gate area, "
                f"{self.allowed:.1f} allowed ({', '.join(self.gates)})")


@dataclass(frozen=True)
class AntennaReport:
    """faults: of nets; cells: of the rules below li1; worst: layer -> largest share of its limit."""

    faults: tuple[AntennaFault, ...]
    cells: tuple[str, ...]
    worst: dict[str, float]
    n_gates: int
    n_rectangles: int


def parse_antenna_rules(text: str, where: str) -> dict[str, AntennaRule]:
    """The rules of a tech LEF for every metal and cut; SpecError for one without.

    Cuts have ANTENNADIFFAREARATIO, metals ANTENNADIFFSIDEAREARATIO and THICKNESS.
    """
    rules = {}
    for name in (*METALS, *CUTS):
        block = re.search(rf"^LAYER {name}$(.*?)^END {name}$", text, re.MULTILINE | re.DOTALL)
        steps = re.search(r"ANTENNADIFF(SIDE)?AREARATIO PWL \((.*?)\) ;", block[1]) if block else None
        thickness = re.search(r"^\s+THICKNESS ([\d.]+)", block[1], re.MULTILINE) if block else None
        if steps is None or bool(steps[1]) != (name in METALS) or (name in METALS and thickness is None):
            raise SpecError(f"{name} must have an antenna ratio (and a metal its thickness) in the tech LEF ({where})")
        pairs = re.findall(r"\( ([\d.]+) ([\d.]+) \)", steps[2])
        rules[name] = AntennaRule(tuple((float(area), float(ratio)) for area, ratio in pairs),
                                  float(thickness[1]) if name in METALS else None)
    return rules


@dataclass
class _Chip:
    """All rectangles of a chip, by layer, and the nodes of its instances."""

    boxes: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    li1_node: list[np.ndarray] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    owner: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def find_antennas(layout: kdb.Layout, top: kdb.Cell, pdk: PdkConfig, rules: Mapping[str, AntennaRule],
                  macro_pins: Mapping[str, Iterable[str]], names: Mapping[tuple[str, str], str]) -> AntennaReport:
    """Every gate of the standard cells, and those on the pins of macros.

    macro_pins: macro -> its signal pins; inside of a macro nothing else is looked at.
    names:      (cell, transformation) -> instance, for messages.
    """
    chip = _assemble(layout, top, pdk, macro_pins, names)
    order = (*METALS, *CUTS)
    arrays = {layer: np.concatenate([np.empty((0, 4), np.int64), *chip.boxes[layer]]) for layer in order}
    first = np.cumsum([0, *(len(arrays[layer]) for layer in order)])
    numbers = {layer: np.arange(first[index], first[index + 1]) for index, layer in enumerate(order)}
    boxes, n_boxes = np.concatenate([arrays[layer] for layer in order]), int(first[-1])
    parent = np.arange(n_boxes + len(chip.nodes))
    gates, diodes = (np.array([getattr(node, key) for node in chip.nodes]) for key in ("gate_um2", "diode_um2"))
    grounded = np.array([node.grounded for node in chip.nodes], bool)
    node_of = np.concatenate([np.empty(0, np.int64), *chip.li1_node])
    on_node = node_of >= 0
    touch.join_pairs(parent, numbers["li1"][on_node], node_of[on_node] + n_boxes)
    faults, worst = [], {}
    for index, metal in enumerate(METALS):
        touch.join_touching(parent, boxes, numbers[metal], numbers[metal])
        if index:
            touch.join_touching(parent, boxes, numbers[metal], numbers[CUTS[index - 1]])
        etched = [(metal, etched_areas_um2(rules[metal], boxes, numbers[metal]))]
        if index < len(CUTS):
            cut = numbers[CUTS[index]]
            touch.join_touching(parent, boxes, numbers[metal], cut)
            etched.append((CUTS[index], etched_areas_um2(rules[CUTS[index]], boxes, cut)))
        roots = touch.find_roots(parent)
        on = roots[n_boxes:]
        for layer, areas in etched:
            found, worst[layer] = _check(layer, rules[layer], roots[numbers[layer]], areas, boxes[numbers[layer]],
                                         on, gates, np.where(grounded, np.inf, diodes), chip)
            faults += found
    return AntennaReport(tuple(faults), tuple(sorted(set(chip.faults))), worst, int((gates > 0).sum()), n_boxes)


def etched_areas_um2(rule: AntennaRule, boxes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """What each of `boxes[numbers]`, all of a layer, adds to what is etched: a metal's outline times its thickness, a
    cut's area. Where boxes overlap or abut, metal has no outline."""
    if rule.thickness_um is not None:
        return touch.outline_lengths(boxes, numbers) / NM_PER_UM * rule.thickness_um
    sizes = boxes[numbers]
    return (sizes[:, 2] - sizes[:, 0]) * (sizes[:, 3] - sizes[:, 1]) / NM_PER_UM ** 2


def _check(layer: str, rule: AntennaRule, roots: np.ndarray, areas: np.ndarray, boxes: np.ndarray, on: np.ndarray,
           gates: np.ndarray, diodes: np.ndarray, chip: _Chip) -> tuple[list[AntennaFault], float]:
    """The faults of a layer, and the largest share of its limit.

    roots, areas, boxes: of the layer's rectangles: what each belongs to, its etched area, its place.
    on, gates, diodes:   of the nodes: what each belongs to, its areas; infinite diffusion where the net is grounded.
    """
    size = int(max(roots.max(initial=0), on.max(initial=0))) + 1
    etched, gate = np.bincount(roots, areas, size), np.bincount(on, gates, size)
    free = np.bincount(on, np.isinf(diodes), size) > 0
    allowed = rule.allowed(np.bincount(on, np.where(np.isinf(diodes), 0, diodes), size))
    checked = (gate > 0) & (etched > 0) & ~free
    share = np.divide(etched, gate * allowed, out=np.zeros(size), where=checked)
    faults = []
    for root in np.flatnonzero(share > 1):
        here = np.flatnonzero((on == root) & (gates > 0))
        pins = sorted(f"{chip.owner[node]}/{chip.nodes[node].name or 'inside'}" for node in here)
        place = boxes[np.flatnonzero(roots == root)[0]] / NM_PER_UM
        faults.append(AntennaFault(layer, float(etched[root] / gate[root]), float(allowed[root]), tuple(pins[:3]),
                                   float(place[0] + place[2]) / 2, float(place[1] + place[3]) / 2))
    return faults, float(share.max(initial=0.0))


def _assemble(layout: kdb.Layout, top: kdb.Cell, pdk: PdkConfig, macro_pins: Mapping[str, Iterable[str]],
              names: Mapping[tuple[str, str], str]) -> _Chip:
    """The top level's own shapes, and each cell's at its places."""
    chip = _Chip()
    for layer in (*METALS, *CUTS):
        own = rectangles(kdb.Region(top.shapes(layout.layer(*pdk.drawing(layer)))))
        chip.boxes[layer].append(own)
        if layer == "li1":
            chip.li1_node.append(np.full(len(own), -1, np.int64))
    fronts: dict[int, Front] = {}
    for instance in sorted(top.each_inst(), key=lambda inst: (inst.cell.name, str(inst.trans))):
        cell = instance.cell
        if cell.cell_index() not in fronts:
            fronts[cell.cell_index()] = front = front_of_macro(layout, cell, pdk, macro_pins[cell.name]) \
                if cell.name in macro_pins else front_of_cell(layout, cell, pdk)
            chip.faults += front.faults
        front = fronts[cell.cell_index()]
        key = cell.name, str(instance.trans)
        for layer, own in front.boxes.items():
            if len(own):
                chip.boxes[layer].append(moved(own, instance.trans))
        chip.li1_node.append(front.node_of + len(chip.nodes))
        chip.nodes += front.nodes
        chip.owner += [names.get(key, " at ".join(key))] * len(front.nodes)
    return chip


def moved(boxes: np.ndarray, trans: kdb.Trans) -> np.ndarray:
    """Rectangles of a cell at a place."""
    origin, x_axis, y_axis = (trans * kdb.Point(*point) for point in ((0, 0), (1, 0), (0, 1)))
    shift = np.array([origin.x, origin.y], np.int64)
    turn = np.array([[x_axis.x, x_axis.y], [y_axis.x, y_axis.y]], np.int64) - shift
    one, other = boxes[:, :2] @ turn + shift, boxes[:, 2:] @ turn + shift
    return np.concatenate([np.minimum(one, other), np.maximum(one, other)], axis=1)


def faulty_nets(report: AntennaReport, net_of: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """The nets with a fault, each once, in order."""
    found = {}
    for fault in report.faults:
        pins = [tuple(gate.rsplit("/", 1)) for gate in fault.gates]
        found[next((net_of[pin] for pin in pins if pin in net_of), fault.gates[0])] = None
    yield from found
