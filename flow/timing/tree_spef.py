"""SPEF of estimated wires, for several corners at a time.

Corners differ in numbers only, so the text between the numbers is made once. It is what `flow.extract.spef.write_spef`
writes of `NetTrees.rc_nets`, byte for byte, in a third of the time.
"""

from __future__ import annotations

import numpy as np

from flow.extract.spef import N_DIGITS, SpefNames, spef_head
from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist
from flow.timing.estimate import NetTrees, WireModel

NUMBER = f"%.{N_DIGITS}g"


class TreeSpef:
    """The text of a design's trees; `text` puts a corner's values into it."""

    def __init__(self, netlist: Netlist, cells: Cells, trees: NetTrees):
        self.trees, self.netlist = trees, netlist
        self.names = SpefNames(netlist, cells, trees.names)
        self.between: list[str] = []
        """What stands before each number, and after the last."""
        self.order: list[int] = []
        """Of each number in: sums by net, capacitances by node, resistances by node."""
        shape, before = trees.trees, "\n"
        parents, pins, first = shape.parent.tolist(), shape.pin.tolist(), shape.first.tolist()
        to_cap = len(trees.names)
        to_ohm = to_cap + len(parents)
        for number, name in enumerate(trees.names):
            begin, end = first[number:number + 2]
            nodes = [self.names.node(name, trees.pins[pins[at]] if pins[at] >= 0 else at - begin + 1)
                     for at in range(begin, end)]
            self.between.append(f"{before}*D_NET *{self.names.numbers[name]} ")
            self.order.append(number)
            connected = "\n".join(self.names.connections(name))
            before = f"\n\n*CONN\n{connected}\n\n*CAP\n"
            for count, node in enumerate(nodes, 1):
                self.between.append(f"{before}{count} {node} ")
                before = "\n"
            self.order += range(to_cap + begin, to_cap + end)
            before, count = "\n\n*RES\n", 0
            for at in range(begin, end):
                if parents[at] >= 0:
                    count += 1
                    self.between.append(f"{before}{count} {nodes[parents[at] - begin]} {nodes[at - begin]} ")
                    self.order.append(to_ohm + at)
                    before = "\n"
            before = "\n*END\n\n"
        self.between.append(before.removesuffix("\n"))

    def text(self, model: WireModel, corner: str) -> str:
        """SPEF with a corner's wires. corner: named in the head."""
        ohm, at_node = self.trees.values(model)
        capacitance, first = at_node.tolist(), self.trees.trees.first.tolist()
        sums = [sum(capacitance[begin:end]) for begin, end in zip(first, first[1:], strict=False)]
        values = np.concatenate([sums, at_node, ohm])[np.array(self.order, np.int64)]
        parts = [""] * (2 * len(self.order) + 1)
        parts[::2], parts[1::2] = self.between, list(map(NUMBER.__mod__, values.tolist()))
        return "\n".join([*spef_head(self.netlist.top, corner), *self.names.lines()]) + "\n" + "".join(parts)
