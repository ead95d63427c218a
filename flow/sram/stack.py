"""The process above a memory's transistors: heights, dielectrics, sheet and via resistance.

What reaches up to met1 is flow.characterise.technology's; met2 and higher are from the same sources (the metal stack of
the SkyWater PDK documentation, nominal resistances of the Magic technology file in cf-precheck).
"""

from itertools import pairwise

import numpy as np

from flow.characterise.technology import EPSILON_0_F_PER_UM, LI_NITRIDE_UM, SHEET_OHM, STACK_UM

HEIGHTS_UM = {"diff": STACK_UM["diff"], "poly": STACK_UM["poly"], "li1": STACK_UM["li"], "met1": STACK_UM["met1"],
              "met2": (2.0061, 2.3661), "met3": (2.7861, 3.6311), "met4": (4.0211, 4.8661)}
"""Conductor -> bottom and top above the wells."""

LEAST_WIDTH_UM = {"poly": 0.15, "li1": 0.17, "met1": 0.14, "met2": 0.14, "met3": 0.30, "met4": 0.30}
SHEETS_OHM = {"poly": SHEET_OHM["poly"], "li1": SHEET_OHM["li"], "met1": 0.125, "met2": 0.125, "met3": 0.047,
              "met4": 0.047}
CEILING_UM = 6.0

_K = ((HEIGHTS_UM["li1"][1], 3.9), (HEIGHTS_UM["li1"][1] + LI_NITRIDE_UM, 7.3), (HEIGHTS_UM["met1"][0], 4.05),
      (HEIGHTS_UM["met2"][0], 4.5), (HEIGHTS_UM["met3"][0], 4.2), (HEIGHTS_UM["met4"][0], 4.1), (CEILING_UM, 4.0))
"""Top of each dielectric (um) and its relative permittivity."""


def permittivity(z_um: np.ndarray) -> np.ndarray:
    """Relative permittivity at heights."""
    return np.array([k for _, k in _K])[np.searchsorted([top for top, _ in _K], z_um)]


def plate_f_per_um2(lower: str | None, upper: str) -> float:
    """Capacitance of two plates; lower None is the silicon.

    >>> round(plate_f_per_um2(None, "met1") * 1e18, 1)
    25.9
    """
    low, high = HEIGHTS_UM[lower][1] if lower else 0.0, HEIGHTS_UM[upper][0]
    tops = [low, *(top for top, _ in _K if low < top < high), high]
    middle = (np.array(tops[1:]) + np.array(tops[:-1])) / 2
    return EPSILON_0_F_PER_UM / float(np.sum(np.diff(tops) / permittivity(middle)))


def z_lines() -> np.ndarray:
    """Heights for a field's grid: every face of a conductor, and lines between where they are far apart."""
    faces = sorted({0.0, CEILING_UM, *(z for pair in HEIGHTS_UM.values() for z in pair), *(top for top, _ in _K)})
    lines = [0.0]
    for low, high in pairwise(faces):
        n = max(1, int(np.ceil((high - low) / 0.12 - 1e-9)))
        lines += [low + (high - low) * (k + 1) / n for k in range(n)]
    return np.array(lines)
