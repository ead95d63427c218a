"""The clock's way through a netlist: which nets carry it, and which clock gates must be open for it to arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flow.gates.functions import CellFunction
from flow.physical.netlist import Netlist
from golden.spec import SpecError


@dataclass(frozen=True)
class ClockNet:
    """A net of the clock.

    inverted: it falls when the clock rises.
    enables:  nets that must be 1 before the edge for it to move, from the root on.
    driver:   the instance that drives it, "" at the root.
    """

    inverted: bool
    enables: tuple[str, ...]
    driver: str


def trace_clock(netlist: Netlist, functions: Mapping[str, CellFunction], sinks: Mapping[str, str], port: str = "clk",
                ) -> dict[str, ClockNet]:
    """Every net of the clock, from the root on.

    functions: of all cells but macros; sinks: macro -> its clock pin.
    SpecError where the clock gets to anything but buffers, inverters, clock gates, and clock pins of flip-flops and
    macros: then it is not known when what is behind it moves.
    """
    if netlist.ports.get(port) != "input":
        raise SpecError(f"the netlist must have the clock as input {port}, and has not")
    root = netlist.net_of["", port]
    found = {root: ClockNet(False, (), "")}
    front = [root]
    while front:
        net = front.pop()
        here = found[net]
        for instance, pin in netlist.nets[net]:
            if not instance or (instance == here.driver and pin not in _inputs(netlist, functions, instance)):
                continue
            cell = netlist.instances[instance]
            if cell in sinks:
                _check(pin == sinks[cell] and not here.inverted, net, instance, pin, cell)
                continue
            output, step = _pass(functions[cell], pin, here, instance, netlist)
            if step is None:
                _check(output == "", net, instance, pin, cell)
                continue
            target = netlist.net_of.get((instance, output))
            if target is not None:
                _check(target not in found, net, instance, pin, cell)
                found[target] = step
                front.append(target)
    return found


def _inputs(netlist: Netlist, functions: Mapping[str, CellFunction], instance: str) -> tuple[str, ...]:
    function = functions.get(netlist.instances[instance])
    return function.inputs if function else ()


def _pass(cell: CellFunction, pin: str, here: ClockNet, instance: str, netlist: Netlist,
          ) -> tuple[str | None, ClockNet | None]:
    """How the clock goes on behind a pin: output and net, ("", None) at its end, (None, None) where it must not be."""
    storage = cell.storage
    if storage is not None and storage.kind == "gate":
        if storage.clock != ("pin", pin) or here.inverted:
            return None, None
        enable = netlist.net_of[instance, storage.data[1]]
        return next(iter(cell.outputs)), ClockNet(False, (*here.enables, enable), instance)
    if storage is not None:
        rises = storage.clock == (("not", ("pin", pin)) if here.inverted else ("pin", pin))
        return ("", None) if storage.kind == "flop" and rises else (None, None)
    if not cell.outputs:
        return "", None                                # an antenna diode
    if len(cell.inputs) == len(cell.outputs) == 1:
        output, expression = next(iter(cell.outputs.items()))
        if expression in (("pin", pin), ("not", ("pin", pin))):
            return output, ClockNet(here.inverted ^ (expression[0] == "not"), here.enables, instance)
    return None, None


def _check(good: bool, net: str, instance: str, pin: str, cell: str) -> None:
    if not good:
        raise SpecError(f"the clock must get to buffers, inverters, clock gates and rising clock pins only, not by net "
                        f"{net} to {instance}/{pin} ({cell})")
