"""A flat gate netlist: what synthesis leaves, as every step of the layout sees it.

Pins and ports are single bits (`x[3]`). Of two names for one net (`assign`) the port's stays, so that a net with a
port is called as the port.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from flow.physical.abstract import Cells
from golden.spec import SpecError

Pin = tuple[str, str]
"""Instance and pin; ("", port) is a port."""

MANY = 5
"""Offenders that a message names before it only counts them."""


@dataclass(frozen=True)
class Netlist:
    """A flat module.

    ports:     bit -> "input", "output" or "inout", in the order of the module's header.
    instances: name -> cell.
    nets:      name -> pins, ports first, then instances in the order of the module.
    """

    top: str
    ports: dict[str, str]
    instances: dict[str, str]
    nets: dict[str, tuple[Pin, ...]]

    @cached_property
    def net_of(self) -> dict[Pin, str]:
        """Pin -> its net; pins without a net are not in it."""
        return {pin: net for net, pins in self.nets.items() for pin in pins}

    def driver(self, net: str, cells: Cells) -> Pin | None:
        """What drives a net: an input port or an output pin; None when nothing does."""
        for instance, pin in self.nets[net]:
            if not instance:
                if self.ports[pin] == "input":
                    return instance, pin
            elif cells[self.instances[instance]].pins[pin].direction == "OUTPUT":
                return instance, pin
        return None

    def macros(self, cells: Cells) -> list[str]:
        """Instances of macros, in order."""
        return [name for name, cell in self.instances.items() if cells[cell].is_macro]


def check_netlist(netlist: Netlist, cells: Cells) -> None:
    """SpecError unless every instance is a known cell, every pin exists and is in one net, and nets have one driver.

    A net that is not driven must have no sink, and every input of a cell must have a net.
    """
    unknown = [f"{name} ({cell})" for name, cell in netlist.instances.items() if cell not in cells]
    _refuse(netlist, {"instances of unknown cells": unknown})
    wrong, twice, seen = [], [], set()
    for net, pins in netlist.nets.items():
        for instance, pin in pins:
            known = pin in netlist.ports if not instance else (
                instance in netlist.instances and pin in cells[netlist.instances[instance]].signal_pins)
            where = f"{instance}/{pin}" if instance else pin
            if not known:
                wrong.append(where)
            if (instance, pin) in seen:
                twice.append(f"{where} (also in {net})")
            seen.add((instance, pin))
    _refuse(netlist, {"pins that the cell or the module does not have": wrong, "pins in two nets": twice})
    several, undriven = [], []
    for net, pins in netlist.nets.items():
        drivers = sum(_drives(netlist, cells, pin) for pin in pins)
        if drivers > 1:
            several.append(net)
        elif not drivers:
            undriven.append(net)
    unconnected = [f"{name}/{pin}" for name, cell in netlist.instances.items()
                   for pin, abstract in cells[cell].signal_pins.items()
                   if abstract.direction == "INPUT" and (name, pin) not in seen]
    _refuse(netlist, {"nets with several drivers": several, "nets without a driver": undriven,
                      "inputs without a net": unconnected})


def _drives(netlist: Netlist, cells: Cells, pin: Pin) -> bool:
    instance, name = pin
    if not instance:
        return netlist.ports[name] == "input"
    return cells[netlist.instances[instance]].pins[name].direction == "OUTPUT"


def _refuse(netlist: Netlist, problems: dict[str, list[str]]) -> None:
    lines = [f"  {len(found)} {what}: {shortened(found)}" for what, found in problems.items() if found]
    if lines:
        raise SpecError("\n".join([f"the netlist of {netlist.top} must be whole, and is not:", *lines]))


def shortened(names: Iterable[str]) -> str:
    """The first few of some names, and how many more there are.

    >>> shortened("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = list(names)
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more
