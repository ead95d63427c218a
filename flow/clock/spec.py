"""What a clock tree is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from golden.spec import Spec, SpecError, check_int

MOST_FANOUT = 38
"""Pins besides the driver's: nets of 40 and more are what the router is slow with."""

SLEW_RANGE_NS = (0.05, 1.5)
"""1.5 ns is where the tables of the library end."""

SKEW_RANGE_NS = (0.01, 10.0)
OFFSET_RANGE_NS = (-5.0, 5.0)


class ClockSpec(Spec, frozen=True, kw_only=True):
    """A clock tree's demands.

    port:           the input of the module that the clock comes in by.
    corner:         of the library that the tree is balanced at; the limits hold there.
    buffers:        that it may use, without the library's prefix; clock gates keep their function and may change their
                    drive strength.
    tuning:         more cells that may take a buffer's place where that brings arrivals together.
    slew_limit_ns:  20 to 80 % of the supply, as the library counts it, at every pin of the tree.
    fanout_limit:   pins that one buffer drives.
    skew_goal_ns:   latest less earliest arrival that is worked for. Repair counts on as much
                    (flow.timing.spec: skew_ns).
    skew_limit_ns:  a tree with more is an error; between the two, the timing of the layout says whether it will do.
    input_slew_ns:  of the clock at the port.
    offsets_ns:     instance or cell -> its clock's latency inside of it: its pin gets the clock earlier by that much
                    (later when negative).
    """

    port: str = "clk"
    corner: str = "ss_100C_1v60"
    buffers: tuple[str, ...] = ("clkbuf_4", "clkbuf_8", "clkbuf_16")
    tuning: tuple[str, ...] = ("clkbuf_2", "buf_4", "buf_6", "buf_8")
    slew_limit_ns: float = 0.5
    fanout_limit: int = 20
    skew_goal_ns: float = 0.3
    skew_limit_ns: float = 0.6
    input_slew_ns: float = 0.15
    offsets_ns: Mapping[str, float] = {}

    def __post_init__(self) -> None:
        check_int("fanout_limit", self.fanout_limit, 2, MOST_FANOUT)
        if not self.buffers:
            raise SpecError("buffers must be one cell or more, not none")
        every = self.buffers + self.tuning
        if len(set(every)) != len(every):
            raise SpecError(f"buffers and tuning must name each cell once, not {', '.join(every)}")
        for what, value, (low, high) in (("slew_limit_ns", self.slew_limit_ns, SLEW_RANGE_NS),
                                         ("skew_goal_ns", self.skew_goal_ns, SKEW_RANGE_NS),
                                         ("skew_limit_ns", self.skew_limit_ns, SKEW_RANGE_NS),
                                         ("input_slew_ns", self.input_slew_ns, SLEW_RANGE_NS),
                                         *((f"offsets_ns of {name}", offset, OFFSET_RANGE_NS)
                                           for name, offset in self.offsets_ns.items())):
            if not (math.isfinite(value) and low <= value <= high):
                raise SpecError(f"{what} must be {low} to {high}, not {value}")
        if self.skew_goal_ns > self.skew_limit_ns:
            raise SpecError(f"skew_goal_ns must be at most skew_limit_ns={self.skew_limit_ns}, not {self.skew_goal_ns}")
