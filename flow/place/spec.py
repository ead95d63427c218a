"""What a placement is asked for."""

from __future__ import annotations

from golden.spec import Spec, SpecError, check_int

EFFORT = (1, 9)
DENSITY = (0.5, 1.0)
MOST_ROOM_TAKEN = 0.97
"""Of the rows, by cells and the room between them: some is left for the placer to make rows come out even."""


class PlaceSpec(Spec, frozen=True, kw_only=True):
    """A placement's demands.

    effort:  1 (fast) to 9, as Coloquinte counts it.
    density: how full rows may become where cells gather; less makes routing easier and wires longer. Where utilisation
             is about as high, cells are spread as evenly as can be.
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

    def room_taken(self, utilisation: float) -> float:
        """Part of the rows that cells take together with the room between them.

        >>> round(PlaceSpec(density=0.8).room_taken(0.6), 3), PlaceSpec(density=0.8).room_taken(0.9)
        (0.75, 0.97)
        """
        return max(min(utilisation / self.density, MOST_ROOM_TAKEN), utilisation)
