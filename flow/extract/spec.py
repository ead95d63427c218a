"""What extraction is asked for."""

from __future__ import annotations

from flow.extract.corners import RC_CORNERS
from golden.spec import Spec, SpecError


class ExtractSpec(Spec, frozen=True):
    """corners: sets of wire values, of min, nom and max, each with a SPEF of its own."""

    corners: tuple[str, ...] = RC_CORNERS

    def __post_init__(self) -> None:
        unknown = [corner for corner in self.corners if corner not in RC_CORNERS]
        if unknown or not self.corners or len(set(self.corners)) < len(self.corners):
            raise SpecError(f"corners must be some of {', '.join(RC_CORNERS)}, each once, "
                            f"not {', '.join(self.corners) or 'none'}")
