"""The wires of a clock tree as resistors and capacitors, for programs that take SPEF."""

from __future__ import annotations

from collections.abc import Iterator

from flow.clock.tree import PORT
from flow.clock.tree import Node as TreeNode
from flow.clock.wire import ClockWire
from flow.extract.spef import Capacitor, Node, RcNet, Resistor
from flow.physical.geometry import NM_PER_UM

SHORT_OHM = 1e-3
"""Between a pin and the place in the wires where it is: SPEF's nodes of pins have names of their own."""


def tree_rc(root: TreeNode, wire: ClockWire) -> Iterator[RcNet]:
    """Every net of the tree as its estimated wires: a resistor a piece, half of its capacitance at each end."""
    for node in root.below():
        if node.children:
            yield _net(node, wire)


def _net(node: TreeNode, wire: ClockWire) -> RcNet:
    tree = node.wires
    farads = [0.0] * len(tree.parent)
    resistors = []
    for at, (up, length) in enumerate(zip(tree.parent, tree.length, strict=True)):
        if up >= 0:
            half = length / NM_PER_UM * wire.capacitance * 1000 / 2
            farads[at] += half
            farads[up] += half
            ohm = length / NM_PER_UM * wire.resistance * 1000
            resistors.append(Resistor(up + 1, at + 1, max(ohm, SHORT_OHM)))
    driver: Node = ("", node.output) if node.kind == PORT else (node.instance, node.output)
    pins = [(driver, 0), *((child.pin, at) for child, at in zip(node.children, tree.pin_node, strict=True))]
    resistors += [Resistor(pin, at + 1, SHORT_OHM) for pin, at in pins]
    capacitors = tuple(Capacitor(at + 1, value) for at, value in enumerate(farads) if value)
    return RcNet(node.net, tuple(resistors), capacitors)
