"""What is said about a clock tree: clock.json for reports, and the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from flow.clock.engine import ClockTree
from flow.clock.tree import BUFFER, GATE, PORT, SINK, Node
from flow.metrics import Value
from flow.physical.abstract import Cells
from flow.physical.geometry import NM_PER_UM

SIGNIFICANT_NS, SIGNIFICANT_UM = 6, 3


class TreeNode(msgspec.Struct, frozen=True):
    """A node of the tree, parents before children.

    name:       instance, or the port; parent: index of the node that drives it, -1 of the port.
    x_um, y_um: of its input pin. arrival_ns, slew_ns: there, of the rising edge (of a sink: the one that acts), by
    corner. load_pf: what it drives, by corner; length_um: of the wires that it drives.
    """

    name: str
    kind: str
    cell: str
    pin: str
    parent: int
    level: int
    x_um: float
    y_um: float
    arrival_ns: dict[str, float]
    slew_ns: dict[str, float]
    net: str = ""
    load_pf: dict[str, float] = {}
    length_um: float = 0.0
    offset_ns: float = 0.0


def tree_nodes(tree: ClockTree) -> list[TreeNode]:
    """All nodes with how the clock arrives there."""
    index: dict[Node, int] = {}
    parent: dict[Node, int] = {tree.root: -1}
    found = []
    for node in tree.root.below():
        index[node] = len(index)
        parent.update((child, index[node]) for child in node.children)
        found.append(_node(node, parent[node], tree))
    return found


def _node(node: Node, parent: int, tree: ClockTree) -> TreeNode:
    x, y = node.entry
    at = {corner: timing.at[node] for corner, timing in tree.timings.items()}
    return TreeNode(
        node.instance or node.input or node.output, node.kind, node.cell, node.input, parent, node.level,
        x / NM_PER_UM, y / NM_PER_UM,
        {corner: round(signal.arrival[node.edge], SIGNIFICANT_NS) for corner, signal in at.items()},
        {corner: round(signal.slew[node.edge], SIGNIFICANT_NS) for corner, signal in at.items()}, node.net,
        {corner: round(timing.load[node], SIGNIFICANT_NS) for corner, timing in tree.timings.items()}
        if node.children else {}, node.wires.total / NM_PER_UM if node.children else 0.0, node.offset)


def measure(tree: ClockTree, cells: Cells) -> dict[str, Value]:
    """Metrics: times in ns, lengths in um, areas in um2, capacitances in pF."""
    nodes = list(tree.root.below())
    count = Counter(node.kind for node in nodes)
    buffers = [cells[node.cell] for node in nodes if node.kind == BUFFER]
    values: dict[str, Value] = {
        "clock__sink__count": count[SINK],
        "clock__gate__count": count[GATE],
        "clock__buffer__count": count[BUFFER],
        "clock__buffer__area": round(sum(cell.area for cell in buffers) / NM_PER_UM**2, 4),
        "clock__level__count": max(node.level for node in nodes),
        "clock__fanout__max": max(len(node.children) for node in nodes if node.kind != PORT),
        "clock__wirelength__estimated": round(sum(node.wires.total for node in nodes if node.children) / NM_PER_UM, 3),
        "clock__displaced__count": len(tree.moved),
        "clock__displacement__max": round(max(tree.moved.values(), default=0) / NM_PER_UM, 3),
        "clock__skew__worst": round(max(timing.skew for timing in tree.timings.values()), SIGNIFICANT_NS),
    }
    for cell, number in sorted(Counter(node.cell for node in nodes if node.kind == BUFFER).items()):
        values[f"clock__buffer__count__cell:{cell}"] = number
    for corner, timing in tree.timings.items():
        low, high = timing.latency
        values |= {
            f"clock__skew__worst__corner:{corner}": round(timing.skew, SIGNIFICANT_NS),
            f"clock__latency__min__corner:{corner}": round(low, SIGNIFICANT_NS),
            f"clock__latency__max__corner:{corner}": round(high, SIGNIFICANT_NS),
            f"clock__slew__worst__corner:{corner}": round(timing.worst_slew[0], SIGNIFICANT_NS),
            f"clock__capacitance__corner:{corner}": round(sum(timing.load.values()), SIGNIFICANT_NS),
        }
    return values


def tree_text(tree: ClockTree, spec: object) -> bytes:
    """clock.json."""
    content: Mapping[str, object] = {"spec": spec, "nodes": tree_nodes(tree)}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
