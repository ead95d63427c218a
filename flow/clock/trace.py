"""Finds the clock in a netlist: from its port through buffers, inverters and gates to the pins that it clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flow.clock.library import ClockLibrary
from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist, Pin, shortened
from golden.spec import SpecError


@dataclass
class ClockGate:
    """A cell in the clock's way that stays: a clock gate, an inverter, logic."""

    instance: str
    input: str
    output: str
    net: ClockNet


@dataclass
class ClockNet:
    """A net of the clock with what hangs on it; buffers are looked through, as if their outputs were their inputs.

    driver:  the port, or the output of a gate. sinks: pins that are clocked, and others that the clock ends at.
    buffers: instances in the way that change nothing, with the nets that they drive.
    """

    name: str
    driver: Pin
    sinks: list[Pin] = field(default_factory=list)
    gates: list[ClockGate] = field(default_factory=list)
    buffers: list[tuple[str, str]] = field(default_factory=list)

    def all_nets(self) -> Iterator[ClockNet]:
        """This one and those behind gates."""
        yield self
        for gate in self.gates:
            yield from gate.net.all_nets()


def trace_clock(netlist: Netlist, cells: Cells, library: ClockLibrary, port: str) -> ClockNet:
    """The clock that comes in by a port.

    Clock pins are those that Liberty or LEF calls so. A pin that the clock reaches and from which it gets to no clock
    pin (a data input, a port) is a sink like others. SpecError: no such port, nothing clocked, two ways to a net,
    or a cell that neither copies nor inverts it (exclusive or).
    """
    if netlist.ports.get(port) != "input":
        inputs = [name for name, direction in netlist.ports.items() if direction == "input"]
        raise SpecError(f"the clock's port must be an input of {netlist.top} ({shortened(inputs)}), not {port!r} "
                        "(clock: port)")
    tracer = _Tracer(netlist, cells, library)
    net = netlist.net_of.get(("", port))
    clock = tracer.follow(net, ("", port)) if net is not None else None
    if clock is None:
        raise SpecError(f"the clock's port {port} of {netlist.top} drives no clock pin; give the port that does "
                        "(clock: port)")
    return clock


class _Tracer:
    """Follows nets; knows of each whether it leads to a clock pin."""

    def __init__(self, netlist: Netlist, cells: Cells, library: ClockLibrary):
        self.netlist, self.cells, self.library = netlist, cells, library
        self.reached: dict[str, Pin] = {}
        self.dead: set[str] = set()

    def follow(self, net: str, driver: Pin) -> ClockNet | None:
        """A net with all behind it; None when no clock pin is."""
        if net in self.dead:
            return None
        if net in self.reached:
            raise SpecError(f"the clock must reach every net in one way, and reaches {net} from {_name(driver)} and "
                            f"from {_name(self.reached[net])}; its ways must not meet again")
        self.reached[net] = driver
        found, clocked = ClockNet(net, driver), False
        for pin in self.netlist.nets[net]:
            if pin != driver:
                clocked |= self._add(found, pin)
        if not clocked:
            self.dead.add(net)
            del self.reached[net]
            return None
        return found

    def _add(self, found: ClockNet, pin: Pin) -> bool:
        """Puts a pin where it belongs; whether a clock pin is there or behind it."""
        instance, name = pin
        if not instance:
            found.sinks.append(pin)
            return False
        cell = self.library[self.netlist.instances[instance]]
        abstract = self.cells[cell.name].pins[name]
        if abstract.direction != "INPUT":
            raise SpecError(f"net {found.name} must have one driver, and {_name(pin)} drives it as well")
        behind = []
        for out in self.cells[cell.name].signal_pins:
            if ((name, out) in cell.arcs or (name, out) in cell.unclear) and (instance, out) in self.netlist.net_of:
                net = self.follow(self.netlist.net_of[instance, out], (instance, out))
                if net is not None:
                    behind.append(net)
        if not behind:
            found.sinks.append(pin)
            return name in cell.clock_pins or abstract.use == "CLOCK"
        if len(behind) > 1:
            raise SpecError(f"a cell must pass the clock on by one output, and {_name(pin)} does by "
                            f"{' and '.join(net.driver[1] for net in behind)}")
        (net,) = behind
        if (name, net.driver[1]) in cell.unclear:
            raise SpecError(f"a cell in the clock's way must copy or invert it, and {instance} ({cell.name}) does "
                            f"neither from {name} to {net.driver[1]}; take it out of the clock's way")
        if cell.is_buffer:
            found.buffers += [(instance, net.name), *net.buffers]
            found.sinks += net.sinks
            found.gates += net.gates
        else:
            found.gates.append(ClockGate(instance, name, net.driver[1], net))
        return True


def _name(pin: Pin) -> str:
    return "/".join(filter(None, pin)) if pin[0] else f"port {pin[1]}"
