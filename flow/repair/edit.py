"""Edits of a placed netlist that leave its function: buffers in, buffers out, other sizes. Everything else stays.

A net that a port gives its name keeps the port. New buffers have no legal place yet, only one where they belong.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from flow.physical.abstract import Cells
from flow.physical.design import Design, Placed, Placement
from flow.physical.geometry import Rect
from flow.physical.netlist import Netlist, Pin


class Editor:
    """A design being changed; `design()` gives what it has become."""

    def __init__(self, design: Design, cells: Cells):
        self.before, self.cells = design, cells
        self.instances = dict(design.netlist.instances)
        self.nets = dict(design.netlist.nets)
        self.places = dict(design.placement.instances)

    def design(self) -> Design:
        netlist = Netlist(self.before.netlist.top, self.before.netlist.ports, dict(self.instances), dict(self.nets))
        return replace(self.before, placement=replace(self.before.placement, instances=dict(self.places)),
                       netlist=netlist)

    def resize(self, instance: str, cell: str) -> None:
        """Another size in the same place, its left edge where it was."""
        self.instances[instance] = cell
        self.places[instance] = self.places[instance]._replace(cell=cell)

    def add_buffer(self, name: str, cell: str, net: str, sinks: Sequence[Pin], middle: tuple[int, int]) -> str:
        """A buffer from a net to some of its sinks; the net behind it.

        name: of the instance; the new net is <name>_net. middle: where it belongs, nm.
        """
        source, target = buffer_pins(self.cells, cell)
        moved = set(sinks)
        behind, front = f"{name}_net", net
        if ("", net) in moved:                     # the port keeps its net's name
            behind, front = net, f"{name}_net"
        stay = tuple(pin for pin in self.nets.pop(net) if pin not in moved)
        self.nets[front] = (*stay, (name, source))
        self.nets[behind] = (*(pin for pin in sinks if not pin[0]), *(pin for pin in sinks if pin[0]), (name, target))
        self.instances[name] = cell
        abstract = self.cells[cell]
        self.places[name] = Placed(cell, middle[0] - abstract.width // 2, middle[1] - abstract.height // 2, "N")
        return behind

    def remove_buffers(self, names: Sequence[str]) -> None:
        """Joins the nets on both sides of buffers. One that stands between two ports stays."""
        net_of = {pin: net for net, pins in self.nets.items() for pin in pins}
        for name in names:
            source, target = buffer_pins(self.cells, self.instances[name])
            front, behind = net_of[name, source], net_of.get((name, target))
            if behind is not None and ("", front) in self.nets[front] and ("", behind) in self.nets[behind]:
                continue
            del self.instances[name]
            del self.places[name]
            pins = [pin for pin in self.nets.pop(front) if pin[0] != name]
            if behind is not None:
                pins += [pin for pin in self.nets.pop(behind) if pin[0] != name]
            joined = behind if behind is not None and ("", behind) in pins else front
            self.nets[joined] = tuple(pins)
            net_of.update(dict.fromkeys(pins, joined))
        self._sort()

    def _sort(self) -> None:
        """Ports first, then instances in order, as every netlist here has it; nets by their first pins."""
        order = {name: k for k, name in enumerate(self.instances)}
        self.nets = {net: tuple(sorted(pins, key=lambda pin: (order[pin[0]], pin[1]) if pin[0] else (-1, pin[1])))
                     for net, pins in self.nets.items()}


def buffer_pins(cells: Cells, cell: str) -> tuple[str, str]:
    """Input and output of a buffer."""
    pins = cells[cell].signal_pins
    ways = {pin.direction: name for name, pin in pins.items()}
    return ways["INPUT"], ways["OUTPUT"]


def without_buffers(netlist: Netlist, cells: Cells, buffers: Collection[str]) -> Netlist:
    """The netlist with some buffers taken out: what two netlists must have in common that differ in buffers only."""
    nowhere = Placement(netlist.top, Rect(0, 0, 0, 0), Rect(0, 0, 0, 0))
    editor = Editor(Design(nowhere, netlist), cells)
    editor.places = dict.fromkeys(netlist.instances)
    editor.remove_buffers([name for name in netlist.instances if name in buffers])
    return editor.design().netlist

