"""A net a macro: pins of several macros on one net get a buffer for each macro, which stands at the macro's pins.

Macros' pins that hang on one net make it as long as the macros are apart, with its gates at the ends of wires that the
process charges (antennas); and all of it must be driven from one place.
"""

from __future__ import annotations

from collections import defaultdict

from flow.physical.design import Design, pin_centre
from flow.physical.netlist import Pin
from flow.repair.bench import Kit
from flow.repair.edit import Editor
from flow.timing.engine import clock_nets

PREFIX = "macro"


def one_net_a_macro(design: Design, kit: Kit) -> Design:
    """The design with the smallest buffer between such a net and each of its macros; sizing finds the right ones."""
    netlist, placement, cells = design.netlist, design.placement, kit.timer.cells
    clock = set(clock_nets(netlist, kit.timer.library(kit.corner), kit.timer.spec.clock_port))
    editor, count = Editor(design, cells), 0
    for net, pins in netlist.nets.items():
        driver = netlist.driver(net, cells)
        groups: dict[str, list[Pin]] = defaultdict(list)
        for pin in pins:
            if pin != driver and pin[0] and cells[netlist.instances[pin[0]]].is_macro:
                groups[pin[0]].append(pin)
        if net in clock or len(groups) < 2:
            continue
        for group in groups.values():
            points = [pin_centre(placement, cells, *pin) for pin in group]
            middle = tuple(sum(axis) // len(points) for axis in zip(*points, strict=True))
            editor.add_buffer(f"{PREFIX}_{count}", kit.buffers[0], net, group, middle)
            count += 1
    return editor.design()
