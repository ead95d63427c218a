"""Which group and which part of the design an instance's power belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flow.gates.circuit import Circuit
from flow.gates.functions import CellFunction
from flow.physical.netlist import Netlist

GROUPS = ("clock_network", "sequential", "combinational", "sram")
REGISTER = re.compile(r"core__([a-z]+)\w*")
OTHER = "other"


def group_of(netlist: Netlist, functions: Mapping[str, CellFunction], macros: frozenset[str],
             circuit: Circuit) -> dict[str, str]:
    """Instance -> its group. The clock network is what drives a net of the clock, its gates among it."""
    found = {}
    for name, cell in netlist.instances.items():
        if cell in macros:
            found[name] = "sram"
            continue
        function = functions[cell]
        drives = (netlist.net_of.get((name, pin)) for pin in function.outputs)
        if any(net in circuit.clocks for net in drives):
            found[name] = "clock_network"
        else:
            found[name] = "combinational" if function.storage is None else "sequential"
    return found


def modules_of(netlist: Netlist, functions: Mapping[str, CellFunction], groups: Mapping[str, str]) -> dict[str, str]:
    """Instance -> part of the design, by RTL names: "core.mac", "core.host", "bank_0", "clock".

    A register tells it by its name; a gate belongs to the part that its output feeds first, gates on the way passed.
    Gates that feed ports only are "other".
    """
    found: dict[str, str] = {}
    for name in netlist.instances:
        if groups[name] == "clock_network":
            found[name] = "clock"
        elif groups[name] in ("sequential", "sram"):
            found[name] = _of_name(name)
    for name in netlist.instances:
        way = []
        while name and name not in found and name not in way:
            way.append(name)
            name = _next(netlist, functions, name)
        part = found.get(name, OTHER)
        for passed in way:
            found[passed] = part
    return found


def _of_name(name: str) -> str:
    match = REGISTER.match(name)
    return f"core.{match[1]}" if match else name.partition("__")[0]


def _next(netlist: Netlist, functions: Mapping[str, CellFunction], name: str) -> str:
    """The first instance that a gate's outputs feed, "" when they feed none."""
    for pin in functions[netlist.instances[name]].outputs:
        net = netlist.net_of.get((name, pin))
        for instance, at in netlist.nets.get(net, ()):
            if instance and instance != name and at not in _outputs(netlist, functions, instance):
                return instance
    return ""


def _outputs(netlist: Netlist, functions: Mapping[str, CellFunction], instance: str) -> Mapping[str, object]:
    function = functions.get(netlist.instances[instance])
    return function.outputs if function else {}
