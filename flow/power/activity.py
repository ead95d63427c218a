"""What nets did in a window of a run, counted: edges, time at 1, and the words that they were counted from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flow.characterise.function import Expression
from flow.gates.circuit import Circuit
from flow.gates.history import CYCLES_A_WORD, History


@dataclass(frozen=True)
class Activity:
    """A window. toggles, values: (nets, words) uint64, as in History but a net's words side by side."""

    circuit: Circuit
    history: History
    toggles: np.ndarray
    values: np.ndarray

    @property
    def n_cycles(self) -> int:
        return self.history.n_cycles

    @cached_property
    def mask(self) -> np.ndarray:
        """(words,) the bits of cycles that are in the window."""
        return window_mask(self.n_cycles, self.toggles.shape[1])

    @cached_property
    def pulses(self) -> np.ndarray:
        """(domains,) clock pulses."""
        return np.bitwise_count(self.history.clocked).sum(axis=0, dtype=np.int64)

    @cached_property
    def rises(self) -> np.ndarray:
        """(nets,) rising edges; of a net of the clock, the pulses of its domain."""
        return self._with_clocks(np.bitwise_count(self.toggles & self.values).sum(axis=1, dtype=np.int64))

    @cached_property
    def falls(self) -> np.ndarray:
        return self._with_clocks(np.bitwise_count(self.toggles & ~self.values).sum(axis=1, dtype=np.int64))

    @cached_property
    def duty(self) -> np.ndarray:
        """(nets,) part of the time at 1; a clock is at 1 for half of a cycle in which it moves."""
        ones = np.bitwise_count(self.values & self.mask).sum(axis=1) / self.n_cycles
        for name, clock in self.circuit.clocks.items():
            high = self.pulses[self.circuit.domain(clock.enables)] / self.n_cycles / 2
            ones[self.circuit.index[name]] = 1 - high if clock.inverted else high
        return ones

    def _with_clocks(self, counts: np.ndarray) -> np.ndarray:
        for name, clock in self.circuit.clocks.items():
            counts[self.circuit.index[name]] = self.pulses[self.circuit.domain(clock.enables)]
        return counts

    def words(self, net: int, clock_high: bool) -> np.ndarray:
        """(words,) values of a net in one half of each cycle; only nets of the clock differ between the halves."""
        clock = self.circuit.clocks.get(self.circuit.nets[net])
        if clock is None:
            return self.values[net]
        word = self.history.clocked[:, self.circuit.domain(clock.enables)] if clock_high else np.zeros_like(self.mask)
        return ~word if clock.inverted else word


def window_mask(n_cycles: int, n_words: int) -> np.ndarray:
    """(words,) ones for the first cycles.

    >>> [int(word) for word in window_mask(66, 2)] == [2**64 - 1, 3]
    True
    """
    left = np.clip(n_cycles - CYCLES_A_WORD * np.arange(n_words), 0, CYCLES_A_WORD)
    full = np.uint64(2**64 - 1)
    return np.array([full >> np.uint64(CYCLES_A_WORD - int(n)) if n else np.uint64(0) for n in left], dtype=np.uint64)


def build_activity(circuit: Circuit, history: History) -> Activity:
    """The activity of a window."""
    nets = np.arange(len(circuit.nets))
    toggles = np.ascontiguousarray(history.toggles.T)
    return Activity(circuit, history, toggles, np.ascontiguousarray(history.values(nets).T))


def evaluate_words(expression: Expression, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """An expression of pins for 64 cycles a word."""
    kind, *rest = expression
    if kind == "pin":
        return values[rest[0]]
    if kind == "const":
        like = next(iter(values.values()))
        return np.full_like(like, np.uint64(2**64 - 1) if rest[0] else np.uint64(0))
    parts = [evaluate_words(part, values) for part in rest]
    if kind == "not":
        return ~parts[0]
    function = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[kind]
    result = parts[0]
    for part in parts[1:]:
        result = function(result, part)
    return result
