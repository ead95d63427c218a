"""Chains of delay cells: how much each adds to the earliest and to the latest arrival at every corner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from flow.timing.analyse import Timer
from flow.timing.arrays import Types, build_types
from flow.timing.engine import look_up

MOST_CELLS = 3
USUAL_SLEW_NS = 0.1
USUAL_LOAD_PF = 0.004
"""Of an endpoint's pin and a few um of wire."""
BALANCED = "__clkbuf"
"""Clock buffers cost area for what they are here."""


@dataclass(frozen=True)
class Chain:
    """cells: from the source on. early, late: corner -> ns that it adds to the earliest and to the latest arrival."""

    cells: tuple[str, ...]
    early: Mapping[str, float]
    late: Mapping[str, float]
    area: float


def delay_chains(timer: Timer) -> list[Chain]:
    """All chains of up to three delay cells that the PDK file allows, by area."""
    config = timer.pdk.config
    library = timer.library(timer.corners[0])
    names = [name for name, cell in library.items() if name in timer.cells and cell.is_buffer
             and config.why_not(name) is None and not cell.footprint.endswith(BALANCED)]
    delays: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in names}
    for corner in timer.corners:
        types = build_types(timer.library(corner), names)
        for name in names:
            edges = list(_delays(types, types.index[name]))
            delays[name][corner] = (min(edges), max(edges))
    chains = [Chain(cells, {corner: sum(delays[cell][corner][0] for cell in cells) for corner in timer.corners},
                    {corner: sum(delays[cell][corner][1] for cell in cells) for corner in timer.corners},
                    round(sum(library[cell].area for cell in cells), 6))
              for count in range(1, MOST_CELLS + 1) for cells in combinations_with_replacement(sorted(names), count)]
    return sorted(chains, key=lambda chain: (chain.area, sum(chain.late.values()), chain.cells))


def _delays(types: Types, kind: int) -> Iterator[float]:
    tables = (types.values, types.rows, types.columns, types.counts)
    for a in range(types.arc_first[kind], types.arc_first[kind + 1]):
        yield float(look_up(tables, types.arcs[a, 4], USUAL_SLEW_NS, USUAL_LOAD_PF))


def pick_chain(chains: list[Chain], need: Mapping[str, float], spare: Mapping[str, float]) -> Chain | None:
    """The smallest chain that adds what every corner needs and takes no more than it can spare.

    need:  corner -> ns to add to the earliest arrival; spare: corner -> ns that the latest may get later.
    Where none does both, the one that misses least of what is needed; None when every chain takes too much.
    """
    fitting = [chain for chain in chains if all(chain.late[corner] <= spare[corner] for corner in spare)]
    if not fitting:
        return None
    missing = np.array([sum(max(need[corner] - chain.early[corner], 0.0) for corner in need) for chain in fitting])
    return fitting[int(np.argmin(missing))]
