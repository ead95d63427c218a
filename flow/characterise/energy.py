"""Whose energy it is when several outputs of a cell move at once."""

import numpy as np


def own_share(energy: np.ndarray, n_moving: np.ndarray | int) -> np.ndarray:
    """What one of `n_moving` outputs counts of (..., LOADS) energies that were measured with loads on this output only.

    What grows with the load is its own; what there is with the smallest load belongs to all alike, since a timer adds
    the groups of all outputs.
    """
    least = energy[..., :1]
    return energy - least + least / n_moving
