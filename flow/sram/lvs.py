"""Layout versus schematic, transistor by transistor.

Both netlists become graphs of transistors and nets; colours are refined over them (a transistor's colour from its
model, W, L and the colours of its nets, a net's from its transistors) until no more classes split. Every net then has
a colour of its own, which pairs the nets of the two sides; the pairing is proved by comparing each transistor with
its partner exactly. KLayout's own comparer does not finish on these flat netlists in useful time.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from flow.sram.graph import BULK, DRAIN, GATE, SOURCE, Graph

MAX_ROUNDS = 60
N_SHOWN = 5
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class LvsResult:
    """What a comparison found; `differences` says so in words, and is empty when the two match."""

    n_devices: int
    n_nets: int
    differences: tuple[str, ...]


def compare_graphs(layout: Graph, reference: Graph) -> LvsResult:
    """Compares two netlists; equal means a one-to-one pairing of nets under which all transistors are the same."""
    differences = [*_compare_ports(layout, reference), *_compare_kinds(layout, reference)]
    if not differences:
        differences = _compare_structure(layout, reference)
    return LvsResult(len(layout.kinds), len(layout.names), tuple(differences))


def _compare_ports(layout: Graph, reference: Graph) -> list[str]:
    ours, theirs = (Counter(filter(None, graph.names)) for graph in (layout, reference))
    found = [f"port {name} is in the schematic and not in the layout" for name in sorted(theirs - ours)]
    several = [name for name in sorted(ours) if ours[name] > 1]
    return found + [f"port {name} is {ours[name]} separate nets in the layout" for name in several]


def _compare_kinds(layout: Graph, reference: Graph) -> list[str]:
    ours, theirs = Counter(layout.kinds), Counter(reference.kinds)
    return [f"{kind}: {ours[kind]} in the layout, {theirs[kind]} in the schematic"
            for kind in sorted(ours | theirs) if ours[kind] != theirs[kind]]


def _compare_structure(layout: Graph, reference: Graph) -> list[str]:
    sides = (layout, reference)
    colours = [_first_colours(graph) for graph in sides]
    kinds = [_hash_texts(graph.kinds) for graph in sides]
    n_classes = 0
    for _ in range(MAX_ROUNDS):
        devices = [_device_colours(graph, kind, colour)
                   for graph, kind, colour in zip(sides, kinds, colours, strict=True)]
        if not np.array_equal(*(np.sort(device) for device in devices)):
            return _name_differences(sides, devices)
        colours = [_net_colours(graph, device, colour)
                   for graph, device, colour in zip(sides, devices, colours, strict=True)]
        before, n_classes = n_classes, len(np.unique(colours[0]))
        if n_classes == before:
            break
    if len(layout.names) != len(reference.names):
        return [f"{len(layout.names)} nets in the layout, {len(reference.names)} in the schematic"]
    if n_classes != len(layout.names) or len(np.unique(colours[1])) != n_classes:
        return [f"{len(layout.names) - n_classes} nets look like others, so that no pairing can be proved"]
    return _check_pairing(sides, colours)


def _check_pairing(sides: tuple[Graph, Graph], colours: list[np.ndarray]) -> list[str]:
    """Pairs nets of one colour and compares the transistors exactly."""
    orders = [np.argsort(colour) for colour in colours]
    partner = np.empty(len(orders[0]), dtype=np.int64)
    partner[orders[0]] = orders[1]
    ours = Counter(_canonical(sides[0].kinds, partner[sides[0].nets]))
    theirs = Counter(_canonical(sides[1].kinds, sides[1].nets))
    return [f"{kind} on nets {nets} of the schematic has no partner" for kind, *nets in (theirs - ours)][:N_SHOWN]


def _canonical(kinds: list[str], nets: np.ndarray) -> list[tuple]:
    """Transistors as tuples in which source and drain may be exchanged."""
    ends = np.sort(nets[:, (SOURCE, DRAIN)], axis=1).tolist()
    return [(kind, *end, gate, bulk) for kind, end, gate, bulk
            in zip(kinds, ends, nets[:, GATE].tolist(), nets[:, BULK].tolist(), strict=True)]


def _name_differences(sides: tuple[Graph, Graph], devices: list[np.ndarray]) -> list[str]:
    """What differs in the first round of refinement that differs: close to the fault, before it has spread."""
    lines = []
    for place, mine, other, graph in (("layout", *devices, sides[0]), ("schematic", *devices[::-1], sides[1])):
        rows = np.flatnonzero(~np.isin(mine, other))
        counts = Counter(graph.kinds[row] for row in rows)
        lines += [f"{count} of {kind} in the {place} are connected like none of the other side"
                  for kind, count in counts.most_common(N_SHOWN)]
    return lines or ["transistors are connected alike in different numbers"]


def _mix(values: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each value (splitmix64)."""
    values = values ^ (values >> np.uint64(30))
    values = values * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))


def _hash_texts(texts: list[str]) -> np.ndarray:
    unique = {text: int.from_bytes(re.sub(rb"\W", b"", text.encode())[-40:], "big") % (1 << 61) for text in set(texts)}
    return _mix(np.array([unique[text] for text in texts], dtype=np.uint64) + np.uint64(1))


def _first_colours(graph: Graph) -> np.ndarray:
    return _hash_texts([name or "-" for name in graph.names])


def _device_colours(graph: Graph, kinds: np.ndarray, colours: np.ndarray) -> np.ndarray:
    source, gate, drain, bulk = (colours[graph.nets[:, column]] for column in range(4))
    ends = _mix(source + np.uint64(3)) + _mix(drain + np.uint64(3))        # the same when exchanged
    return _mix(kinds + _mix(gate + np.uint64(5)) + _mix(bulk + np.uint64(7)) + _mix(ends))


def _net_colours(graph: Graph, devices: np.ndarray, colours: np.ndarray) -> np.ndarray:
    total = _mix(colours)
    for column, role in ((SOURCE, 11), (DRAIN, 11), (GATE, 13), (BULK, 17)):
        np.add.at(total, graph.nets[:, column], _mix(devices + np.uint64(role)))
    return total
