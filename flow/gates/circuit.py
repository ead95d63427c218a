"""A netlist as the kernel simulates it: nets by number, gates as tables of bits, flip-flops, memories, clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from flow.characterise.function import Expression, evaluate, states
from flow.gates.clock import ClockNet, trace_clock
from flow.gates.expression import pins_of
from flow.gates.functions import CellFunction
from flow.gates.observer import Observer
from flow.physical.netlist import Netlist
from flow.sram.spec import SramSpec
from golden.spec import SpecError

MOST_INPUTS = 6
"""Inputs of a gate: its table is one 64-bit word."""
MACRO_CLOCK, MACRO_ADDRESS, MACRO_DATA, MACRO_ENABLE, MACRO_OUTPUT = "clk", "a", "d", "we", "q"


@dataclass(frozen=True)
class Gate:
    """inputs: nets; bit k of table is the output when they make the number k, the first being the lowest bit."""

    output: int
    inputs: tuple[int, ...]
    table: int


@dataclass(frozen=True)
class Flop:
    data: int
    output: int
    domain: int


@dataclass(frozen=True)
class Memory:
    """A macro: nets of its pins, the lowest bit first."""

    instance: str
    domain: int
    address: tuple[int, ...]
    data: tuple[int, ...]
    enable: tuple[int, ...]
    output: tuple[int, ...]


@dataclass
class Circuit:
    """nets: names by number; those of the netlist come first, `n_netlist` of them.

    domains: the nets that must be 1 for a flip-flop or memory to be clocked; the first domain has none.
    clocks:  nets of the clock; they are in `nets` and stay 0, their movement is that of their domain.
    """

    nets: list[str]
    n_netlist: int
    gates: list[Gate] = field(default_factory=list)
    flops: list[Flop] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    domains: list[tuple[int, ...]] = field(default_factory=list)
    clocks: dict[str, ClockNet] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    probes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @cached_property
    def index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.nets)}

    def add(self, name: str) -> int:
        """The number of a net, which is new if there is none of that name."""
        if name not in self.index:
            self.index[name] = len(self.nets)
            self.nets.append(name)
        return self.index[name]

    def domain(self, enables: Sequence[str]) -> int:
        """The number of a clock domain."""
        nets = tuple(self.index[net] for net in enables)
        if nets not in self.domains:
            self.domains.append(nets)
        return self.domains.index(nets)


def build_circuit(netlist: Netlist, functions: Mapping[str, CellFunction], macros: Mapping[str, SramSpec],
                  observer: Observer | None = None) -> Circuit:
    """The circuit of a netlist whose pins are whole (flow.physical.netlist.check_netlist).

    functions: of every cell but macros. SpecError for what the kernel does not simulate: latches besides those of
    clock gates, asynchronous clear or preset, falling clocks, clocks in logic, loops (in `order_gates`).
    """
    nets = list(netlist.nets)
    circuit = Circuit(nets, len(nets))
    circuit.domain(())
    circuit.clocks = trace_clock(netlist, functions, dict.fromkeys(macros, MACRO_CLOCK))
    tables: dict[tuple[str, str], tuple[tuple[str, ...], int]] = {}
    for name, cell in netlist.instances.items():
        if cell in macros:
            circuit.memories.append(_memory(circuit, netlist, name, macros[cell]))
        else:
            _add_cell(circuit, netlist, name, functions[cell], tables)
    if observer is not None:
        _add_observer(circuit, observer)
    circuit.ports = {port: circuit.index[netlist.net_of["", port]] for port in netlist.ports}
    return circuit


def _add_cell(circuit: Circuit, netlist: Netlist, name: str, cell: CellFunction,
              tables: dict[tuple[str, str], tuple[tuple[str, ...], int]]) -> None:
    """A standard cell: a gate for each output that goes somewhere, and what it stores."""
    storage, where = cell.storage, f"{name} ({cell.name})"
    outputs = {pin: circuit.index[netlist.net_of[name, pin]] for pin in cell.outputs if (name, pin) in netlist.net_of}
    state: dict[str, int] = {}
    if storage is not None and storage.kind == "gate":
        return                                         # its output is a net of the clock
    if storage is not None:
        if storage.kind != "flop" or storage.clear is not None or storage.preset is not None:
            raise SpecError(f"flip-flops without clear and preset are simulated, and no latches, not {where}")
        plain = [net for pin, net in outputs.items() if cell.outputs[pin] == ("pin", storage.names[0])]
        state[storage.names[0]] = plain[0] if plain else circuit.add(f"{name} {storage.names[0]}")
        clock = _clock(circuit, netlist, name, next(iter(pins_of(storage.clock))))
        data = _pin(circuit, netlist, name, storage.data[1]) if storage.data[0] == "pin" else \
            circuit.add(f"{name} next")
        if storage.data[0] != "pin":
            key = (cell.name, "next")
            if key not in tables:
                tables[key] = truth_table(storage.data, where)
            pins, table = tables[key]
            circuit.gates.append(Gate(data, tuple(_pin(circuit, netlist, name, pin) for pin in pins), table))
        circuit.flops.append(Flop(data, state[storage.names[0]], clock))
    for pin, net in outputs.items():
        if netlist.net_of[name, pin] in circuit.clocks or net in state.values():
            continue
        key = (cell.name, pin)
        if key not in tables:
            tables[key] = truth_table(_of_state(cell.outputs[pin], storage), where)
        pins, table = tables[key]
        inputs = tuple(state[part] if part in state else _pin(circuit, netlist, name, part) for part in pins)
        circuit.gates.append(Gate(net, inputs, table))


def _of_state(expression: Expression, storage) -> Expression:
    """The function of an output with the inverse of the stored bit written as its inverse."""
    if storage is None:
        return expression
    kind, *rest = expression
    if expression == ("pin", storage.names[1]):
        return ("not", ("pin", storage.names[0]))
    return expression if kind in ("pin", "const") else (kind, *(_of_state(part, storage) for part in rest))


def truth_table(expression: Expression, where: str) -> tuple[tuple[str, ...], int]:
    """The pins of an expression, sorted, and its table (see Gate).

    >>> truth_table(("and", ("pin", "B"), ("not", ("pin", "A"))), "here")
    (('A', 'B'), 4)
    """
    pins = tuple(sorted(pins_of(expression)))
    if len(pins) > MOST_INPUTS:
        raise SpecError(f"a gate must have at most {MOST_INPUTS} inputs to be simulated, not {len(pins)}: {where}")
    bits = (evaluate(expression, values) << sum(bit << k for k, bit in enumerate(values[pin] for pin in pins))
            for values in states(pins))
    return pins, sum(bits)


def _pin(circuit: Circuit, netlist: Netlist, instance: str, pin: str) -> int:
    net = netlist.net_of[instance, pin]
    if net in circuit.clocks:
        raise SpecError(f"the clock must not be data, and net {net} is at {instance}/{pin}")
    return circuit.index[net]


def _clock(circuit: Circuit, netlist: Netlist, instance: str, pin: str) -> int:
    net = netlist.net_of[instance, pin]
    if net not in circuit.clocks:
        raise SpecError(f"{instance}/{pin} must get the clock through buffers, inverters and clock gates, and net "
                        f"{net} is none of its nets")
    return circuit.domain(circuit.clocks[net].enables)


def _memory(circuit: Circuit, netlist: Netlist, name: str, spec: SramSpec) -> Memory:
    def nets(pin: str, width: int) -> tuple[int, ...]:
        return tuple(_pin(circuit, netlist, name, f"{pin}[{bit}]") for bit in range(width))
    return Memory(name, _clock(circuit, netlist, name, MACRO_CLOCK), nets(MACRO_ADDRESS, spec.address_bits),
                  nets(MACRO_DATA, spec.word_bits), nets(MACRO_ENABLE, spec.n_bytes),
                  tuple(circuit.add(netlist.net_of.get((name, f"{MACRO_OUTPUT}[{bit}]"), f"{name} q[{bit}]"))
                        for bit in range(spec.word_bits)))


def _add_observer(circuit: Circuit, observer: Observer) -> None:
    for output, inputs, table in observer.gates:
        circuit.gates.append(Gate(circuit.add(output), tuple(map(circuit.add, inputs)), table))
    for output, data in observer.flops.items():
        circuit.flops.append(Flop(circuit.add(data), circuit.add(output), 0))
    circuit.probes = {probe: tuple(map(circuit.add, nets)) for probe, nets in observer.probes.items()}


def order_gates(circuit: Circuit) -> list[int]:
    """The level of every gate: above those of all gates before it; SpecError names a loop."""
    driver = {gate.output: number for number, gate in enumerate(circuit.gates)}
    waiting = [0] * len(circuit.gates)
    behind: list[list[int]] = [[] for _ in circuit.gates]
    for number, gate in enumerate(circuit.gates):
        for net in gate.inputs:
            if net in driver:
                waiting[number] += 1
                behind[driver[net]].append(number)
    levels = [0] * len(circuit.gates)
    front = [number for number, count in enumerate(waiting) if not count]
    n_done = 0
    while front:
        number = front.pop()
        n_done += 1
        for following in behind[number]:
            levels[following] = max(levels[following], levels[number] + 1)
            waiting[following] -= 1
            if not waiting[following]:
                front.append(following)
    if n_done != len(circuit.gates):
        loop = circuit.nets[circuit.gates[next(k for k, count in enumerate(waiting) if count)].output]
        raise SpecError(f"gates must not form loops, and {len(circuit.gates) - n_done} do or are behind one; one of "
                        f"them drives {loop}")
    return levels
