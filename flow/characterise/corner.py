"""Process, voltage and temperature corners, and the points of the tables."""

from dataclasses import dataclass

from golden.spec import SpecError

SLEWS_NS = (0.01, 0.0230506, 0.0531329, 0.1224745, 0.2823108, 0.6507428, 1.5)
"""Seven input transitions, 20 % to 80 %, geometric from 10 ps to the largest that is allowed."""

MAX_TRANSITION_NS = 1.5
SMALLEST_LOAD_PF = 0.0005
N_LOADS = 7
CONSTRAINT_SLEWS_NS = (0.01, 0.5, 1.5)
RAMP_OVER_SLEW = 1 / 0.6
"""A linear ramp from 0 to the supply takes slew / 0.6."""


@dataclass(frozen=True)
class Corner:
    """A corner: its name, the kit's transistor models, those for leakage, volt, degree Celsius.

    worst: max over the states of the other inputs for slow corners, min for the fast one.
    settle_ns: how long a cell gets to finish a transition of the largest slew.
    """

    name: str
    process: str
    leakage_process: str
    voltage: float
    celsius: float
    worst: str = "max"
    settle_ns: float = 6.0


CORNERS = {corner.name: corner for corner in (
    Corner("tt_025C_1v80", "tt", "tt_leak", 1.80, 25.0),
    Corner("ss_100C_1v60", "ss", "leak", 1.60, 100.0, settle_ns=12.0),
    Corner("ff_n40C_1v95", "ff", "leak", 1.95, -40.0, worst="min"),
)}


def find_corner(name: str) -> Corner:
    if name not in CORNERS:
        raise SpecError(f"corner must be one of {', '.join(CORNERS)}, not {name!r}")
    return CORNERS[name]
