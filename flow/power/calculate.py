"""Energy of every instance in a window: tables of the library at the slews and loads of each pin, times what happened.

- Internal energy of an input pin: each rising edge of its net has the energy of `rise_power`, each falling one that of
  `fall_power`. Of an output: by the input that caused the edge (flow.power.events), a flip-flop's by its clock.
- Switching energy: half of C V^2 for every edge of the net that an output drives, C being wires and input pins.
- Leakage by the states that were there: a clock pin is at 1 for half of each cycle in which the clock comes.
- A macro's clock: each pulse has the energy of both edges, byte by byte, as a read or a write by its write enable; no
  pulse, no energy. Its other pins as those of any cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flow.gates.circuit import MACRO_CLOCK
from flow.gates.functions import CellFunction
from flow.physical.netlist import Netlist, Pin
from flow.power.activity import Activity, evaluate_words
from flow.power.events import count_events, group_weights
from flow.power.library import PowerCell, PowerGroup, lookup
from golden.spec import SpecError

PICO, FEMTO = 1e-12, 1e-15
MOST_INPUTS = 6


@dataclass(frozen=True)
class Surroundings:
    """slews: (instance, input) -> ns of rising and falling edges. wires: net -> fF. port_load: fF at each output."""

    slews: Mapping[Pin, tuple[float, float]]
    wires: Mapping[str, float]
    port_load: float


@dataclass
class Energies:
    """Of instances, in the order of the netlist. internal, switching: J in the window; clock_pins is what of internal
    is at clock inputs. leakage: W. external: J that drivers outside put into the nets of the input ports."""

    internal: np.ndarray
    clock_pins: np.ndarray
    switching: np.ndarray
    leakage: np.ndarray
    external: float = 0.0


@dataclass(frozen=True)
class PowerProblem:
    """A netlist with its cells. functions: of all but macros; macros: names of theirs."""

    netlist: Netlist
    functions: Mapping[str, CellFunction]
    macros: frozenset[str]
    cells: Mapping[str, PowerCell]
    surroundings: Surroundings

    def loads(self) -> dict[str, float]:
        """Net -> fF of its wires, of the input pins at it, and of what is behind an output port."""
        loads = {}
        for net, pins in self.netlist.nets.items():
            total = self.surroundings.wires.get(net, 0.0)
            for instance, pin in pins:
                if instance:
                    total += self.cells[self.netlist.instances[instance]].capacitance.get(pin, 0.0)
                elif self.netlist.ports[pin] == "output":
                    total += self.surroundings.port_load
            loads[net] = total
        return loads


def find_energies(problem: PowerProblem, activity: Activity) -> Energies:
    """All instances in one window."""
    return _Calculation(problem, activity).run()


class _Calculation:
    """Goes over the cells, all instances of one at once."""

    def __init__(self, problem: PowerProblem, activity: Activity):
        self.problem, self.activity, self.netlist = problem, activity, problem.netlist
        self.loads = problem.loads()
        self.number = {name: number for number, name in enumerate(self.netlist.instances)}
        self.edges = np.stack([activity.rises, activity.falls])
        size = len(self.number)
        self.result = Energies(*(np.zeros(size) for _ in range(4)))

    def run(self) -> Energies:
        by_cell: dict[str, list[str]] = {}
        for name, cell in self.netlist.instances.items():
            by_cell.setdefault(cell, []).append(name)
        for name, instances in by_cell.items():
            cell = self.problem.cells[name]
            where = np.array([self.number[instance] for instance in instances])
            self._switching(cell, instances, where)
            self._inputs(cell, instances, where)
            if name not in self.problem.macros:
                self._outputs(cell, instances, where)
            self._leakage(cell, instances, where)
        volt = max(cell.volt for cell in self.problem.cells.values())
        for net, pins in self.netlist.nets.items():
            if any(not instance and self.netlist.ports[pin] == "input" for instance, pin in pins):
                n_edges = self.edges[:, self.activity.circuit.index[net]].sum()
                self.result.external += 0.5 * FEMTO * self.loads[net] * volt**2 * n_edges
        return self.result

    def _nets(self, instances: Sequence[str], pin: str) -> np.ndarray:
        """Numbers of the nets at a pin, -1 where there is none."""
        index = self.activity.circuit.index
        return np.array([index[self.netlist.net_of[instance, pin]] if (instance, pin) in self.netlist.net_of else -1
                         for instance in instances])

    def _slews(self, instances: Iterable[str], pin: str) -> np.ndarray:
        """(2, instances) ns of rising and falling edges at an input."""
        try:
            return np.array([self.problem.surroundings.slews[instance, pin] for instance in instances]).T
        except KeyError as error:
            raise SpecError(f"every input must have a slew, and {'/'.join(error.args[0])} has none: nothing times "
                            "it") from None

    def _load_pf(self, nets: np.ndarray) -> np.ndarray:
        names = self.activity.circuit.nets
        return np.array([self.loads[names[net]] for net in nets]) / 1000

    def _switching(self, cell: PowerCell, instances: Sequence[str], where: np.ndarray) -> None:
        for pin in cell.groups:
            if pin not in cell.capacitance:
                nets = self._nets(instances, pin)
                there = nets >= 0
                energy = 0.5 * PICO * self._load_pf(nets[there]) * cell.volt**2 * self.edges[:, nets[there]].sum(axis=0)
                self.result.switching[where[there]] += energy

    def _inputs(self, cell: PowerCell, instances: Sequence[str], where: np.ndarray) -> None:
        for pin, groups in cell.groups.items():
            if pin not in cell.capacitance or not groups:
                continue
            nets, slews = self._nets(instances, pin), self._slews(instances, pin)
            for group in groups:
                counts = self._input_counts(cell, group, instances, nets)
                energy = PICO * sum(counts[edge] * lookup(group.tables[edge], slews[edge], np.zeros(len(nets)))
                                    for edge in (0, 1))
                self.result.internal[where] += energy
                if pin in cell.clocks:
                    self.result.clock_pins[where] += energy

    def _input_counts(self, cell: PowerCell, group: PowerGroup, instances: Sequence[str], nets: np.ndarray,
                      ) -> np.ndarray:
        """(2, instances) edges at an input in states that a group is for."""
        if group.when is None:
            return self.edges[:, nets]
        if cell.name not in self.problem.macros or group.pin != MACRO_CLOCK:
            raise SpecError(f"internal power of an input must hold in all states but at a macro's clock, not only when "
                            f"there is a condition ({cell.name}/{group.pin})")
        counts = []
        for instance in instances:
            net = self.netlist.net_of[instance, MACRO_CLOCK]
            pulses = self.activity.words(self.activity.circuit.index[net], clock_high=True)
            values = {pin: self.activity.values[self.activity.circuit.index[self.netlist.net_of[instance, pin]]]
                      for pin in cell.capacitance if pin != MACRO_CLOCK}
            counts.append(int(np.bitwise_count(pulses & evaluate_words(group.when, values)).sum()))
        return np.array([counts, counts])

    def _outputs(self, cell: PowerCell, instances: Sequence[str], where: np.ndarray) -> None:
        function = self.problem.functions[cell.name]
        for pin in function.outputs:
            groups = cell.groups[pin]
            nets = self._nets(instances, pin)
            there = np.flatnonzero(nets >= 0)
            if not groups or not len(there):
                continue
            some, nets = [instances[k] for k in there], nets[there]
            if function.storage is not None:
                groups = [group for group in groups if group.related in cell.clocks and group.when is None]
                if len(groups) != 1:
                    raise SpecError(f"the output of what stores must have its power by its clock ({cell.name}/{pin})")
            is_clock = [self.activity.circuit.nets[net] in self.activity.circuit.clocks for net in nets]
            for chosen in (np.flatnonzero(is_clock), np.flatnonzero(~np.array(is_clock))):
                if len(chosen):
                    part = [some[k] for k in chosen]
                    counts = self._caused(function, groups, part, nets[chosen], bool(is_clock[chosen[0]]))
                    energy = self._output_energy(groups, part, nets[chosen], counts)
                    self.result.internal[where[there[chosen]]] += energy

    def _caused(self, function: CellFunction, groups: Sequence[PowerGroup], instances: Sequence[str],
                nets: np.ndarray, is_clock: bool) -> np.ndarray:
        """(instances, groups, 2 output edges, 2 input edges) how often each group applied."""
        counts = np.zeros((len(instances), len(groups), 2, 2))
        if is_clock or function.storage is not None:
            inverts = function.storage is None and next(iter(function.outputs.values()))[0] == "not"
            for edge in (0, 1):
                source = 0 if not is_clock else edge ^ inverts
                counts[:, 0, edge, source] = self.edges[edge, nets]
            return counts
        weights = group_weights(function.inputs, groups)
        inputs = np.zeros((len(instances), MOST_INPUTS), dtype=np.int64)
        for k, pin in enumerate(weights.inputs):
            inputs[:, k] = self._nets(instances, pin)
        flat = np.zeros(counts.size)
        same = np.zeros(len(instances), dtype=np.int64)
        count_events(self.activity.toggles, self.activity.values, nets, inputs, same + len(weights.inputs), same, same,
                     same + len(groups), weights.weights.ravel(), weights.related,
                     np.arange(len(instances)) * 4 * len(groups), flat)
        return flat.reshape(counts.shape)

    def _output_energy(self, groups: Sequence[PowerGroup], instances: Sequence[str], nets: np.ndarray,
                       counts: np.ndarray) -> np.ndarray:
        """(instances,) J."""
        load, energy = self._load_pf(nets), np.zeros(len(instances))
        for k, group in enumerate(groups):
            slews = self._slews(instances, group.related)
            for edge in (0, 1):
                for source in (0, 1):
                    energy += PICO * counts[:, k, edge, source] * lookup(group.tables[edge], slews[source], load)
        return energy

    def _leakage(self, cell: PowerCell, instances: Sequence[str], where: np.ndarray) -> None:
        if not cell.leakage:
            self.result.leakage[where] = cell.otherwise
            return
        halves = (False, True) if cell.clocks else (False,)
        self.result.leakage[where] = np.mean([self._state_leakage(cell, instances, half) for half in halves], axis=0)

    def _state_leakage(self, cell: PowerCell, instances: Sequence[str], clock_high: bool) -> np.ndarray:
        """(instances,) W, the mean over the window in one half of the cycles."""
        mask, values = self.activity.mask, {}
        for pin in cell.groups:
            values[pin] = np.stack([self.activity.words(net, clock_high) if net >= 0 else np.zeros_like(mask)
                                    for net in self._nets(instances, pin)])
        left, total = np.broadcast_to(mask, (len(instances), len(mask))), np.zeros(len(instances))
        for when, watt in cell.leakage:
            holds = evaluate_words(when, values) & left
            left = left & ~holds
            total += watt * np.bitwise_count(holds).sum(axis=1)
        return (total + cell.otherwise * np.bitwise_count(left).sum(axis=1)) / self.activity.n_cycles
