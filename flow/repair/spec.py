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
    placings:     times that cells are placed anew with nets weighted by slack, where the slack worked for is missed.
    mendings:     rounds of mending what is beyond its limits in legal places, at most.
    mend_share:   of the limit of slew: edges slower than that are mended. Where wires lie close, routed ones have had
                  up to 1.4 times the capacitance of the estimate.
    """

    goal_share: float = 0.05
    slew_share: float = 0.6
    load_share: float = 0.85
    rounds: int = 20
    placings: int = 1
    mendings: int = 4
    mend_share: float = 0.7

    def __post_init__(self) -> None:
        if not (math.isfinite(self.goal_share) and 0 <= self.goal_share < 0.5):
            raise SpecError(f"goal_share must be at least 0 and below 0.5, not {self.goal_share}")
        for name in ("slew_share", "load_share", "mend_share"):
            value = getattr(self, name)
            if not 0.1 <= value <= 1:
                raise SpecError(f"{name} must be 0.1 to 1, not {value}")
        check_int("rounds", self.rounds, 1, 200)
        check_int("placings", self.placings, 0, 5)
        check_int("mendings", self.mendings, 0, 10)
        if self.mend_share < self.slew_share:
            raise SpecError(f"mend_share must be at least slew_share={self.slew_share}, not {self.mend_share}: edges "
                            "that are as wanted need no mending")


class HoldSpec(Spec, frozen=True, kw_only=True):
    """Repair of hold behind the clock tree, with estimated wires that are as long as the router's guides have them.

    margin_ns:       hold slack that is worked for at every corner,
    latency_share:   and this part of the clock's latest arrival on top of it: the clock's wires are estimated as well,
                     and what routing makes of them grows with the way that the clock has come.
    setup_margin_ns: setup slack at the slow corner that delays must leave.
    rounds:          of delays and timing.
    """

    margin_ns: float = 0.1
    latency_share: float = 0.05
    setup_margin_ns: float = 0.1
    rounds: int = 5

    def __post_init__(self) -> None:
        for name in ("margin_ns", "setup_margin_ns"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 5):
                raise SpecError(f"{name} must be 0 to 5, not {value}")
        if not 0 <= self.latency_share <= 0.5:
            raise SpecError(f"latency_share must be 0 to 0.5, not {self.latency_share}")
        check_int("rounds", self.rounds, 1, 50)
