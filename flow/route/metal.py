"""The metal of all nets as rectangles, and whether more of it would be in another net's way."""

from dataclasses import dataclass

import numpy as np

from flow.route.problem import RoutingProblem


@dataclass(frozen=True)
class Metal:
    """Rectangles of all nets, in order of net and layer: net, layer, x0, y0, x1, y1; int64 (n, 6)."""

    rects: np.ndarray

    def groups(self) -> np.ndarray:
        """Where a net's rectangles of a layer begin, and the end of all."""
        keys = self.rects[:, 0] * 16 + self.rects[:, 1]
        return np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]]).astype(np.int64)


def with_more(metal: Metal, more: np.ndarray) -> Metal:
    """Metal and more rectangles, in order."""
    rects = np.concatenate((metal.rects, more))
    return Metal(rects[np.lexsort((rects[:, 3], rects[:, 2], rects[:, 1], rects[:, 0]))])


def others_of(metal: Metal, net: int, layer: int) -> np.ndarray:
    """The rectangles of all other nets on a layer."""
    return metal.rects[(metal.rects[:, 1] == layer) & (metal.rects[:, 0] != net)]


def is_clear(problem: RoutingProblem, others: np.ndarray, patch: np.ndarray) -> bool:
    """Whether a rectangle (net, layer, x0, y0, x1, y1) keeps its distance from other nets' (`others_of`), and every
    node under it is its net's to use."""
    net, layer, lattice = int(patch[0]), int(patch[1]), problem.lattice
    gap_x = np.maximum(others[:, 2] - patch[4], patch[2] - others[:, 4]).clip(0)
    gap_y = np.maximum(others[:, 3] - patch[5], patch[3] - others[:, 5]).clip(0)
    if (gap_x ** 2 + gap_y ** 2 < problem.stack.layers[layer].spacing ** 2).any():
        return False
    x_first, x_last, y_first, y_last = lattice.window(tuple(patch[2:].tolist()), 1, 1)
    owners = problem.wire.reshape(-1, lattice.ny, lattice.nx)[layer, y_first:y_last + 1, x_first:x_last + 1]
    return bool(((owners == 0) | (owners == net + 1)).all())
