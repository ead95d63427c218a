"""How often each internal-power group of a gate's output applied, counted edge by edge.

When an output changes, several inputs may have changed at the same time: nothing has a delay here. The energy is then
shared equally by the groups of the inputs that changed and whose `when` holds with the other inputs as they are after
the change; where none of those holds, by the groups of all inputs that changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from flow.characterise.function import Expression, evaluate
from flow.compiled import POWER
from flow.power.library import PowerGroup


@dataclass(frozen=True)
class GroupWeights:
    """Of an output of a cell: weight of each group in (new values of inputs, inputs that changed).

    inputs:  pins, the lowest bit first. related: of each group, the bit of its related pin.
    weights: (2**n, 2**n, groups).
    """

    inputs: tuple[str, ...]
    related: np.ndarray
    weights: np.ndarray


def group_weights(inputs: Sequence[str], groups: Sequence[PowerGroup]) -> GroupWeights:
    """The weights of an output's groups."""
    return _weights(tuple(inputs), tuple((group.related, group.when) for group in groups))


@lru_cache(maxsize=512)
def _weights(inputs: tuple[str, ...], groups: tuple[tuple[str, Expression | None], ...]) -> GroupWeights:
    n = len(inputs)
    related = np.array([inputs.index(name) for name, _ in groups], dtype=np.int64)
    holds = np.array([[when is None or evaluate(when, {pin: state >> k & 1 for k, pin in enumerate(inputs)})
                       for _, when in groups] for state in range(1 << n)], dtype=float)
    changed = (np.arange(1 << n)[:, None] >> related & 1).astype(float)
    weights = holds[:, None, :] * changed[None, :, :]
    empty = weights.sum(axis=2, keepdims=True) == 0
    weights = np.where(empty, np.broadcast_to(changed[None], weights.shape), weights)
    total = weights.sum(axis=2, keepdims=True)
    return GroupWeights(inputs, related, np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


@POWER.jit
def count_events(toggles, values, output, inputs, n_inputs, table_start, related_start, n_groups, weights, related,
                 count_start, counts):
    """Adds to counts[count_start[i] + 4 * group + 2 * (output falls) + (input falls)] for every output i.

    toggles, values: (nets, words) of flow.gates.history. inputs: (outputs, 6) nets. weights: tables one after the
    other, the one of output i from table_start[i] on; related likewise.
    """
    for i in range(len(output)):
        n = n_inputs[i]
        for word in range(toggles.shape[1]):
            left = toggles[output[i], word]
            bit = 0
            while left:
                if left & np.uint64(1):
                    state = 0
                    change = 0
                    for k in range(n):
                        net = inputs[i, k]
                        state |= int(values[net, word] >> np.uint64(bit) & np.uint64(1)) << k
                        change |= int(toggles[net, word] >> np.uint64(bit) & np.uint64(1)) << k
                    falls = 1 - int(values[output[i], word] >> np.uint64(bit) & np.uint64(1))
                    at = table_start[i] + ((state << n) + change) * n_groups[i]
                    for group in range(n_groups[i]):
                        if weights[at + group]:
                            input_falls = 1 - (state >> related[related_start[i] + group] & 1)
                            counts[count_start[i] + 4 * group + 2 * falls + input_falls] += weights[at + group]
                left >>= np.uint64(1)
                bit += 1
