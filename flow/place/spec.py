"""What a placement is asked for."""

from __future__ import annotations

from golden.spec import Spec, SpecError, check_int

EFFORT = (1, 9)
DENSITY = (0.5, 1.0)
ROOM_ABOVE_UTILISATION = 0.05
"""A denser placement than utilisation alone asks for: cells that belong together move closer."""


class PlaceSpec(Spec, frozen=True, kw_only=True):
    """A placement's demands.

    effort:  1 (fast) to 9, as Coloquinte counts it.
    density: how full rows may become where cells gather; where utilisation is higher, a little more than that.
    seed:    of the placer; the same one gives the same placement.
    """

    effort: int = 4
    density: float = 0.85
    seed: int = 1

    def __post_init__(self) -> None:
        check_int("effort", self.effort, *EFFORT)
        check_int("seed", self.seed, 0)
        if not DENSITY[0] <= self.density <= DENSITY[1]:
            raise SpecError(f"density must be {DENSITY[0]} to {DENSITY[1]}, not {self.density}")

    def density_of(self, utilisation: float) -> float:
        """The density for cells that fill this part of the rows."""
        return min(max(self.density, utilisation + ROOM_ABOVE_UTILISATION), DENSITY[1])
