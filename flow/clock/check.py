"""Is a clock tree right? Looked at anew, from both netlists and placements; shares no code with what makes trees.

A buffer here is a cell that Liberty gives one input and that input as its output's function. Every pin that the clock
reached before must be reached after in exactly one way, through the same other cells in the same order: so with the
same polarity and the same gates. Nothing else of the netlist may differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from flow.characterise.liberty_read import load_liberty
from flow.clock.spec import ClockSpec
from flow.physical.abstract import Cells
from flow.physical.design import Design, pin_centre
from flow.physical.netlist import Netlist, Pin, check_netlist, shortened
from flow.physical.technology import Technology
from flow.place.check import check_placement
from flow.synthesis.library import Library, load_library
from golden.spec import SpecError

STRENGTH = re.compile(r"_\d+$")

Chain = tuple[str, ...]
"""The cells but for buffers on the way from the port, as `instance/output`."""


@dataclass(frozen=True)
class Judge:
    """What a check needs to know; liberty and femtofarad_per_um (of wires) are of the corner whose loads count."""

    cells: Cells
    technology: Technology
    liberty: Path
    macro_liberty: tuple[Path, ...]
    femtofarad_per_um: float

    @cached_property
    def library(self) -> Library:
        return load_library(self.liberty, lambda cell: None)

    def passes(self, cell: str) -> str | None:
        """"buffer", "gate" where the clock may go on as another signal, None where it ends."""
        found = self.library.cells.get(cell)
        if found is None or found.kind in ("flop", "latch", "tie", "physical"):
            return None
        return "buffer" if found.kind == "buffer" else "gate"


def check_tree(before: Design, after: Design, spec: ClockSpec, judge: Judge) -> None:
    """SpecError with everything that is wrong with the tree in `after`, which was made for `before`."""
    check_netlist(after.netlist, judge.cells)
    check_placement(after.placement, after.netlist, judge.cells, judge.technology)
    found = [*find_lost(before.netlist, after.netlist, spec.port, judge),
             *find_changed(before.netlist, after.netlist, spec.port, judge), *find_over_limits(after, spec, judge)]
    if found:
        raise SpecError("\n".join([f"the clock tree of {after.netlist.top} must be right, and is not:",
                                   *(f"  {line}" for line in found)]))


def reached(netlist: Netlist, port: str, judge: Judge) -> tuple[dict[Pin, list[Chain]], set[str], set[str]]:
    """Pins, but for buffers', with every way from the port to them; the nets and the buffers on the way.

    Goes through gates and logic as far as that goes; the pins of a net that is reached again get one more way each,
    without going on.
    """
    ends: dict[Pin, list[Chain]] = {}
    nets: set[str] = set()
    buffers: set[str] = set()
    todo: list[tuple[str, Chain]] = [(netlist.net_of["", port], ())]
    outputs: dict[str, list[str]] = {}
    for name, cell in netlist.instances.items():
        outputs[name] = [pin for pin, shape in judge.cells[cell].signal_pins.items()
                         if shape.direction == "OUTPUT" and (name, pin) in netlist.net_of]
    while todo:
        net, chain = todo.pop()
        again = net in nets
        nets.add(net)
        for name, pin in netlist.nets[net]:
            if not name:
                if netlist.ports[pin] != "input":
                    ends.setdefault((name, pin), []).append(chain)
                continue
            cell = netlist.instances[name]
            if pin in outputs[name]:
                continue
            kind = judge.passes(cell)
            if kind == "buffer":
                buffers.add(name)
            else:
                ends.setdefault((name, pin), []).append(chain)
            if kind is not None and not again:
                todo += [(netlist.net_of[name, out], chain if kind == "buffer" else (*chain, f"{name}/{out}"))
                         for out in outputs[name]]
    return ends, nets, buffers


def find_lost(before: Netlist, after: Netlist, port: str, judge: Judge) -> list[str]:
    """Pins that the clock does not reach any more, newly reaches, or reaches in other ways."""
    old, new = (reached(netlist, port, judge)[0] for netlist in (before, after))
    lost = [_name(pin) for pin in old if pin not in new]
    added = [_name(pin) for pin in new if pin not in old]
    other = [f"{_name(pin)} (through {' '.join(new[pin][0]) or 'nothing'}, not {' '.join(ways[0]) or 'nothing'})"
             for pin, ways in old.items() if pin in new and sorted(ways) != sorted(new[pin])]
    several = [_name(pin) for pin, ways in new.items() if len(ways) > 1 and _is_clock_pin(after, pin, judge)]
    return _lines({"pins are not reached by the clock any more": lost, "pins are newly reached by the clock": added,
                   "pins are reached through other cells": other, "clock pins are reached in several ways": several})


def _is_clock_pin(netlist: Netlist, pin: Pin, judge: Judge) -> bool:
    name, port = pin
    return bool(name) and judge.cells[netlist.instances[name]].pins[port].use == "CLOCK"


def find_changed(before: Netlist, after: Netlist, port: str, judge: Judge) -> list[str]:
    """What differs besides buffers of the clock and strengths of cells in its way."""
    _, old_nets, old_buffers = reached(before, port, judge)
    ends, new_nets, new_buffers = reached(after, port, judge)
    in_way = {step.rpartition("/")[0] for ways in ends.values() for chain in ways for step in chain}
    gone = [name for name in before.instances if name not in after.instances and name not in old_buffers]
    new = [name for name in after.instances if name not in before.instances and name not in new_buffers]
    other = [name for name, cell in before.instances.items() if name in after.instances
             and cell != after.instances[name]
             and not (name in in_way and STRENGTH.sub("", cell) == STRENGTH.sub("", after.instances[name]))]
    nets = [name for name in {**before.nets, **after.nets} if name not in old_nets | new_nets
            and set(before.nets.get(name, ())) != set(after.nets.get(name, ()))]
    ports = [] if before.ports == after.ports else ["ports"]
    return _lines({"cells are gone": gone, "cells are new and no clock buffers": new, "cells are others": other,
                   "nets besides the clock's are others": nets + ports})


def find_over_limits(design: Design, spec: ClockSpec, judge: Judge) -> list[str]:
    """Nets of the tree with too many pins, or with more load than their driver's library allows."""
    netlist, cells = design.netlist, judge.cells
    _, nets, buffers = reached(netlist, spec.port, judge)
    driven = {name: netlist.driver(name, cells) for name in sorted(nets)}
    tree = {net: driver for net, driver in driven.items()
            if driver is not None and (driver[0] in buffers or driver[0] == "" or _drives_clock(netlist, net, judge))}
    wide = [f"{net} ({len(netlist.nets[net]) - 1})" for net in tree if len(netlist.nets[net]) - 1 > spec.fanout_limit]
    loads = _pin_loads(judge, {netlist.instances[name] for net in tree for name, _ in netlist.nets[net] if name})
    heavy = []
    for net, (name, pin) in tree.items():
        limit = loads.get((netlist.instances[name], pin), np.inf) if name else np.inf
        load = sum(loads.get((netlist.instances[other], at), 0.0) for other, at in netlist.nets[net]
                   if other and (other, at) != (name, pin))
        load += _spanning_um(design, net, cells) * judge.femtofarad_per_um / 1000
        if load > limit:
            heavy.append(f"{net} ({load:.3f} of {limit:.3f} pF)")
    return _lines({f"nets of the clock have more than {spec.fanout_limit} pins to drive": wide,
                   "nets of the clock load their drivers too much": heavy})


def _drives_clock(netlist: Netlist, net: str, judge: Judge) -> bool:
    return any(_is_clock_pin(netlist, pin, judge) for pin in netlist.nets[net])


def _pin_loads(judge: Judge, names: set[str]) -> Mapping[tuple[str, str], float]:
    """(cell, pin) -> capacitance of an input, largest load of an output; pF."""
    found = {}
    for path in (judge.liberty, *judge.macro_liberty):
        for cell in load_liberty(path, names).all("cell"):
            for pin in cell.all("pin"):
                key = "max_capacitance" if pin.attributes.get("direction") == "output" else "capacitance"
                if key in pin.attributes:
                    found[cell.arguments[0], pin.arguments[0]] = float(pin.attributes[key])
    return found


def _spanning_um(design: Design, net: str, cells: Cells) -> float:
    """Length of the least tree of wires from pin to pin."""
    points = np.array([pin_centre(design.placement, cells, *pin) for pin in design.netlist.nets[net]], dtype=float)
    return float(minimum_spanning_tree(cdist(points, points, "cityblock")).sum()) / 1000


def _name(pin: Pin) -> str:
    return "/".join(filter(None, pin))


def _lines(problems: Mapping[str, list[str]]) -> list[str]:
    return [f"{len(found)} {what}: {shortened(found)}" for what, found in problems.items() if found]
