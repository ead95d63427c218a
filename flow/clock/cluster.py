"""Divides the sinks of a level into groups of about the same capacitance that lie close together.

Recursive bisection across the longer side, as in the method of means and medians (Jackson, Srinivasan, Kuh, "Clock
routing for high-performance ICs", DAC 1990), with the cut where the capacitance on both sides is as the numbers of
groups that they get. Then neighbours exchange members: of two groups all members are put in order along the line
between their middles and divided anew, as long as that makes the groups closer (the step of Lloyd's k-means, with
sizes kept).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

N_NEAR = 8
"""Neighbours of a point that say how far apart points are around it."""

STEINER_SHARE = 0.75
"""Length of a least tree over n points that fill an area A evenly, in units of sqrt(n A) (Beardwood, Halton and
Hammersley's law; 0.70 to 0.76 in rectilinear distance)."""

N_ROUNDS, N_PARTNERS = 6, 6
LEAST_GAIN = 1e-6


def spread(points: np.ndarray) -> np.ndarray:
    """Wire (nm) that each of some points (N, 2) needs to be joined to its neighbours: more where they are far apart."""
    n_near = min(N_NEAR, len(points) - 1)
    if n_near < 1:
        return np.zeros(len(points))
    distance, _ = cKDTree(points).query(points, n_near + 1)
    area = 2 * distance[:, -1] ** 2 / n_near                 # of a point: that of a Manhattan circle, over the n in it
    return STEINER_SHARE * np.sqrt(area)


def divide(points: np.ndarray, weights: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Indices of points (N, 2) in groups of about the same weight, each in ascending order."""
    groups = _bisect(points, weights, np.arange(len(points)), min(n_groups, len(points)))
    return [np.sort(group) for group in exchange(points, weights, groups)]


def _bisect(points: np.ndarray, weights: np.ndarray, members: np.ndarray, n_groups: int) -> list[np.ndarray]:
    if n_groups == 1:
        return [members]
    here = points[members]
    axis = int(np.argmax(np.ptp(here, axis=0)))
    order = members[np.lexsort((members, here[:, 1 - axis], here[:, axis]))]
    left = n_groups // 2
    cut = _cut(weights[order], left / n_groups, left, n_groups - left)
    return (_bisect(points, weights, order[:cut], left)
            + _bisect(points, weights, order[cut:], n_groups - left))


def _cut(weights: np.ndarray, share: float, least_left: int, least_right: int) -> int:
    """How many of some things in order make up a share of their weight; both sides get at least so many."""
    total = np.cumsum(weights)
    cut = int(np.searchsorted(total - weights / 2, share * total[-1]))
    return min(max(cut, least_left), len(weights) - least_right)


def exchange(points: np.ndarray, weights: np.ndarray, groups: list[np.ndarray]) -> list[np.ndarray]:
    """Groups whose members are nearer to each other, with about the weights that they had."""
    if len(groups) < 2:
        return groups
    version, tried = [0] * len(groups), {}
    for _ in range(N_ROUNDS):
        middles = np.array([points[group].mean(axis=0) for group in groups])
        _, near = cKDTree(middles).query(middles, min(N_PARTNERS, len(groups) - 1) + 1)
        pairs = sorted({(min(a, b), max(a, b)) for a, row in enumerate(near.tolist()) for b in row if a != b})
        better = False
        for a, b in pairs:
            now = version[a], version[b]
            if tried.get((a, b)) != now and (pair := _exchange_two(points, weights, groups[a], groups[b])):
                groups[a], groups[b] = pair
                version[a] += 1
                version[b] += 1
                better = True
            tried[a, b] = version[a], version[b]
        if not better:
            break
    return groups


def _exchange_two(points: np.ndarray, weights: np.ndarray, a: np.ndarray, b: np.ndarray
                  ) -> tuple[np.ndarray, np.ndarray] | None:
    """Two groups divided anew; None where that does not bring them closer.

    The squares of the distances to both middles sum to a constant less |A|^2/n_A + |B|^2/n_B, where A and B are the
    sums of the members, counted from the middle of all.
    """
    members = np.concatenate([a, b])
    here = points[members]
    here = here - here.sum(axis=0) / len(members)
    first = here[:len(a)].sum(axis=0)                          # the second group's is its negative
    line = -first
    order = np.lexsort((members, here @ line))
    weight = weights[members]
    cut = _cut(weight[order], weight[:len(a)].sum() / weight.sum(), 1, 1)
    new = here[order[:cut]].sum(axis=0)

    def closeness(part: np.ndarray, n: int) -> float:
        return float(part @ part) * (1 / n + 1 / (len(members) - n))

    if closeness(new, cut) <= closeness(first, len(a)) * (1 + LEAST_GAIN):
        return None
    return members[order[:cut]], members[order[cut:]]
