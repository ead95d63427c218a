"""The parts of a design that a picture colours and a table adds up: SRAM, MAC lanes, update, states, control …"""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """A part: what it is called, its colour (red, green, blue), what it holds, and the modules that it is made of."""

    name: str
    colour: tuple[int, int, int]
    holds: str
    modules: tuple[str, ...]


PARTS: tuple[Part, ...] = (
    Part("memory", (94, 129, 172), "SRAM macros or flip-flops with the weights, and the gates at their pins",
         ("bank_", "core.bank", "sram", "regfile")),
    Part("MAC lanes", (208, 135, 62), "multipliers, accumulators, their shadow chain",
         ("core.mac", "core.shadow", "core.col")),
    Part("update", (76, 155, 109), "activations, products, new c and h", ("core.upd", "core.slot")),
    Part("states", (151, 104, 168), "x, h, c and y", ("core.x", "core.h", "core.c", "core.y", "core.z", "core.rh")),
    Part("control", (191, 82, 96), "the controller's counters and steps", ("core.ctl", "core.step", "core.in")),
    Part("host", (200, 170, 60), "Wishbone slave, registers, interrupt", ("core.host",)),
    Part("clock", (48, 184, 196), "buffers and gates of the clock tree", ("clock",)),
)
LANES = next(part for part in PARTS if part.name == "MAC lanes")
LANE_COLOURS = ((226, 160, 92), (196, 116, 44), (240, 190, 130), (160, 88, 30))
"""Shades of lanes 0, 1, 2, 3 and again from 4 on; what no single lane has keeps the part's colour."""
REST = Part("rest", (140, 140, 140), "gates that feed ports only, and what has no part of its own", ())


def part_of(module: str) -> Part:
    """The part that a module (flow.power.groups.modules_of) belongs to.

    >>> part_of("core.mac").name, part_of("bank_3").name, part_of("core.c").name, part_of("other").name
    ('MAC lanes', 'memory', 'states', 'rest')
    """
    for part in PARTS:
        if any(module == name or (name.endswith("_") and module.startswith(name)) for name in part.modules):
            return part
    return REST
