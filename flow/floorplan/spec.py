"""What a floor plan is asked for."""

from __future__ import annotations

import math

from golden.spec import Spec, SpecError

UTILISATION = (0.1, 0.95)
ASPECT_RATIO = (0.2, 5.0)
TAP_REACH_SITES = 28
"""The farthest from a tap in the same row: 12.88 um, inside the 15 um of the latch-up rule (LU.2, LU.3)."""


class FloorplanSpec(Spec, frozen=True, kw_only=True):
    """A floor plan's demands; lengths in um.

    utilisation:    area of the standard cells to area of the rows around the macros. What the clock tree and repair
                    add comes on top of it.
    aspect_ratio:   height to width of the core, where macros leave the choice.
    die_um:         width and height of the die; None: as large as utilisation asks.
    margin_um:      from the die's edge to the core, at least.
    halo_um:        no cells this near to a macro; pin_halo_um: on sides with pins, where wires turn.
    strap_width_um, strap_pitch_um: vertical supply straps, one of each net a pitch.
    cross_pitch_um: horizontal straps in the highest metal, one of each net a pitch, where there are macros.
    """

    utilisation: float = 0.7
    aspect_ratio: float = 1.0
    die_um: tuple[float, float] | None = None
    margin_um: float = 5.44
    halo_um: float = 4.0
    pin_halo_um: float = 10.0
    strap_width_um: float = 1.6
    strap_pitch_um: float = 27.6
    cross_pitch_um: float = 40.8

    def __post_init__(self) -> None:
        low, high = UTILISATION
        if not low <= self.utilisation <= high:
            raise SpecError(f"utilisation must be {low} to {high} (part of the rows that cells fill), not "
                            f"{self.utilisation}")
        low, high = ASPECT_RATIO
        if not low <= self.aspect_ratio <= high:
            raise SpecError(f"aspect_ratio must be {low} to {high} (height to width), not {self.aspect_ratio}")
        for name in ("margin_um", "halo_um", "pin_halo_um", "strap_width_um", "strap_pitch_um", "cross_pitch_um"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SpecError(f"{name} must be above 0, not {value}")
        if self.die_um is not None and not all(math.isfinite(side) and side > 0 for side in self.die_um):
            raise SpecError(f"die_um must be two lengths above 0, not {self.die_um}")
        if 4 * self.strap_width_um > self.strap_pitch_um:
            raise SpecError(f"strap_pitch_um must be at least 4 x strap_width_um={self.strap_width_um}, not "
                            f"{self.strap_pitch_um}: two straps and the room between them")
