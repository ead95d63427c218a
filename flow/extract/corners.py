"""The three sets of wire values, and which timing corner takes which.

The kit gives its interconnect in three sets (low, typical, high): thin or thick metal and dielectrics, and their
resistance. `max` (high resistance and capacitance) goes with the slow transistors, `min` with the fast ones, `nom` with
the typical ones: all of a corner's delay is slow, or fast. Resistance is that at the corner's temperature.
"""

from flow.pdk.config import Corner, PdkConfig
from golden.spec import SpecError

RC_CORNERS = ("min", "nom", "max")
OF_PROCESS = {"ff": "min", "tt": "nom", "ss": "max"}


def rc_corner(corner: Corner) -> str:
    """The set of wire values that a timing corner takes; SpecError for a process that has none."""
    if corner.process not in OF_PROCESS:
        raise SpecError(f"a corner's process must be one of {', '.join(OF_PROCESS)} to have wire values, "
                        f"not {corner.process!r}")
    return OF_PROCESS[corner.process]


def temperature_of(corner: str, config: PdkConfig) -> float:
    """Degrees Celsius of the timing corner that takes a set of wire values; SpecError when there is none, or several
    that differ."""
    found = {timing.temperature_c for timing in config.corners.values() if OF_PROCESS.get(timing.process) == corner}
    if len(found) != 1:
        raise SpecError(f"the wire values {corner} must belong to timing corners of one temperature, not of "
                        f"{', '.join(map(str, sorted(found))) or 'none'} (pdk_configs/{config.name}.yaml: corners)")
    return found.pop()
