"""What repair is asked for."""

from __future__ import annotations

import math

from golden.spec import Spec, SpecError, check_int


class RepairSpec(Spec, frozen=True, kw_only=True):
    """Repair of a placement, at the slow corner with an ideal clock and estimated wires.

    goal_share:   setup slack that is worked for, as a part of the period: what routing may take again.
    slew_share:   of the limits of slew (flow.timing.spec, library) that edges may reach.
    load_share:   of the library's limits of load.
    rounds:       of sizing after each placing of buffers.
    legalisations: how often cells are moved to legal places and sizes are looked at again.
    """

    goal_share: float = 0.05
    slew_share: float = 0.6
    load_share: float = 0.85
    rounds: int = 20
    legalisations: int = 2

    def __post_init__(self) -> None:
        if not (math.isfinite(self.goal_share) and 0 <= self.goal_share < 0.5):
            raise SpecError(f"goal_share must be at least 0 and below 0.5, not {self.goal_share}")
        for name in ("slew_share", "load_share"):
            value = getattr(self, name)
            if not 0.1 <= value <= 1:
                raise SpecError(f"{name} must be 0.1 to 1, not {value}")
        check_int("rounds", self.rounds, 1, 200)
        check_int("legalisations", self.legalisations, 1, 10)


class HoldSpec(Spec, frozen=True, kw_only=True):
    """Repair of hold behind the clock tree, with estimated wires.

    margin_ns:       hold slack that is worked for at every corner; routed wires took up to 0.1 ns of what estimated
                     ones gave (inputs of `tiny` at ss, behind 2 ns of clock tree).
    setup_margin_ns: setup slack at the slow corner that delays must leave.
    rounds:          of delays and timing.
    """

    margin_ns: float = 0.2
    setup_margin_ns: float = 0.1
    rounds: int = 5

    def __post_init__(self) -> None:
        for name in ("margin_ns", "setup_margin_ns"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 5):
                raise SpecError(f"{name} must be 0 to 5, not {value}")
        check_int("rounds", self.rounds, 1, 50)
