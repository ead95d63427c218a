"""What a design's timing is asked for: the clock, what its surroundings do, and limits of slew and fanout."""

from __future__ import annotations

import math

from golden.spec import Spec, SpecError, check_int


class TimingSpec(Spec, frozen=True, kw_only=True):
    """Demands and assumptions, the same at every corner. Times in ns; shares are parts of the period.

    clock_period_ns, clock_port: of the only clock.
    high_share:         how long it is high; macros may need long pulses.
    input_share:        inputs settle this long after the clock's edge at the port,
    input_hold_share:   and do not change before this: the host's own clock tree and flip-flops take that long.
    output_share:       outputs are needed this long before the next edge.
    setup_uncertainty_ns, hold_uncertainty_ns: jitter and what the analysis does not know.
    skew_ns:            on top of both while the clock is ideal: a tree will have that much skew.
    clock_slew_ns:      of edges at the clock port, and at every register while the clock is ideal.
    driving_cell, clock_driving_cell: of the kit; drive inputs and the clock port.
    load_cell, load_count: outputs drive that many inputs of the cell.
    max_slew_ns:        no edge in the design may be slower, beside the limits of the libraries.
    max_fanout:         sinks of a net that is not the clock's; repair sees to it (the router is slow above 40).
    """

    clock_period_ns: float
    clock_port: str = "clk"
    high_share: float = 0.5
    input_share: float = 0.3
    input_hold_share: float = 0.1
    output_share: float = 0.3
    setup_uncertainty_ns: float = 0.2
    hold_uncertainty_ns: float = 0.05
    skew_ns: float = 0.3
    clock_slew_ns: float = 0.15
    driving_cell: str = "buf_4"
    clock_driving_cell: str = "clkbuf_16"
    load_cell: str = "buf_4"
    load_count: int = 4
    max_slew_ns: float = 1.5
    max_fanout: int = 32

    def __post_init__(self) -> None:
        for name in ("clock_period_ns", "clock_slew_ns", "max_slew_ns"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SpecError(f"{name} must be above 0, not {value}")
        for name in ("setup_uncertainty_ns", "hold_uncertainty_ns", "skew_ns"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value < self.clock_period_ns):
                raise SpecError(f"{name} must be at least 0 and below clock_period_ns={self.clock_period_ns}, "
                                f"not {value}")
        for name in ("input_share", "input_hold_share", "output_share"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise SpecError(f"{name} must be at least 0 and below 1, not {value}")
        if not 0.1 <= self.high_share <= 0.9:
            raise SpecError(f"high_share must be 0.1 to 0.9, not {self.high_share}")
        if self.input_hold_share > self.input_share:
            raise SpecError(f"input_hold_share must be at most input_share={self.input_share}, not "
                            f"{self.input_hold_share}: inputs do not settle before they change")
        check_int("load_count", self.load_count, 0)
        check_int("max_fanout", self.max_fanout, 2)
