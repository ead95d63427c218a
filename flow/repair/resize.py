"""Rounds of sizing: better from one to the next, until there is nothing to gain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow.repair.bench import Bench
from flow.repair.shop import Demands
from flow.timing.engine import Times

SIZE_PRICE, AREA_PRICE = 1e-6, 1e-4
"""ns2 an um2 of cells: while slack is missing, and when area is to be won back."""
SPARE_NS = 0.3
"""Slack beyond the goal that cells must have to become smaller."""
LEAST_SHARE = 0.1
"""When changing this part of the worthy ones does not help either, sizing ends."""

Candidates = Callable[[Bench, Times, Demands, float], np.ndarray]
"""Bench, times, demands, slack that is wanted -> numbers of the instances that may change."""


def size_cells(bench: Bench, wanted: Demands) -> Times:
    """Sizes until slack and edges are as wanted, or nothing helps; then area back where there is slack to spare."""
    times = improve_sizes(bench, wanted, wanted.goal, SIZE_PRICE, _urgent)
    return improve_sizes(bench, wanted, wanted.goal + SPARE_NS, AREA_PRICE, _idle, times)


def _urgent(bench: Bench, times: Times, wanted: Demands, goal: float) -> np.ndarray:
    return np.flatnonzero((bench.slack_of_instances(times) < goal) | bench.slow_instances(times, wanted.max_slew))


def _idle(bench: Bench, times: Times, wanted: Demands, goal: float) -> np.ndarray:
    return np.flatnonzero(bench.slack_of_instances(times) > goal)


def improve_sizes(bench: Bench, wanted: Demands, goal: float, price: float, candidates: Candidates,
                  times: Times | None = None) -> Times:
    """Rounds of sizing; one that makes things worse is undone, and the next changes fewer cells."""
    times = times or bench.time()
    kinds, share = bench.graph.kinds, 1.0
    best = kinds.copy()
    least = _score(bench, times, wanted, price)
    for _ in range(wanted.rounds):
        chosen = candidates(bench, times, wanted, goal)
        if not len(chosen) or not bench.resize_round(times, chosen, goal, wanted.max_slew, wanted.load_share, price,
                                                     share):
            break
        times = bench.time()
        score = _score(bench, times, wanted, price)
        if score < least:
            least, best, share = score, kinds.copy(), min(1.0, 2 * share)
            continue
        kinds[:] = best
        times = bench.time()
        share /= 4
        if share < LEAST_SHARE:
            break
    return times


def _score(bench: Bench, times: Times, wanted: Demands, price: float) -> float:
    """What is missing (ns2), and area at its price."""
    return bench.missing(times, wanted.goal, wanted.max_slew) + price * float(
        bench.kit.types.area[bench.graph.kinds].sum())
