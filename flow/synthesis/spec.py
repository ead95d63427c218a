"""What a synthesis is asked for: clock, corner, goal, and which cells it may not use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from flow.pdk.config import DoNotUse, PdkConfig
from golden.spec import Spec, SpecError

Goal = Literal["area", "delay"]
MAX_FANOUT = (2, 64)

NOT_FOR_LOGIC = (
    DoNotUse("clkbuf_*", "balanced for clocks; the clock tree takes them"),
    DoNotUse("clkinv_*", "balanced for clocks; the clock tree takes them"),
    DoNotUse("clkinvlp_*", "slow on purpose"),
    DoNotUse("clkdlybuf*", "a delay; hold repair takes it"),
    DoNotUse("dlyg*", "a delay; hold repair takes it"),
    DoNotUse("bufinv_*", "an inverter of three stages; the sizing of inverters takes its place"),
    DoNotUse("edf*", "a flip-flop with a multiplexer inside, larger than the two apart"),
    DoNotUse("ebufn_*", "three-state; no net here has two drivers"),
    DoNotUse("einvn_*", "three-state; no net here has two drivers"),
    DoNotUse("einvp_*", "three-state; no net here has two drivers"),
    DoNotUse("fill*", "without a function"),
    DoNotUse("decap*", "without a function"),
    DoNotUse("tap*", "without a function"),
    DoNotUse("diode*", "without a function"),
)
"""Cells that the kit allows but that logic is not mapped to, and why (names without the library's prefix)."""


class SynthesisSpec(Spec, frozen=True, kw_only=True):
    """How a design is synthesised.

    clock_period_ns: of the only clock, `clk`.
    corner:          of the PDK file; the cells' delays there decide the mapping.
    goal:            "delay": prefix adders (Kogge-Stone) and gates sized for the clock; "area": the small ones.
    logic_share:     part of the period that logic may take as the mapper sees it, without wires; flip-flops, skew
                     and wires have the rest.
    max_fanout:      sinks of a net, the clock's excepted; more are buffered.
    do_not_use:      more cells to leave out than the kit's and those of NOT_FOR_LOGIC.
    """

    clock_period_ns: float
    corner: str = "ss_100C_1v60"
    goal: Goal = "delay"
    logic_share: float = 0.7
    max_fanout: int = 16
    do_not_use: tuple[DoNotUse, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.clock_period_ns) and self.clock_period_ns > 0):
            raise SpecError(f"clock_period_ns must be above 0, not {self.clock_period_ns}")
        if not 0 < self.logic_share <= 1:
            raise SpecError(f"logic_share must be above 0 and at most 1, not {self.logic_share}")
        low, high = MAX_FANOUT
        if not low <= self.max_fanout <= high:
            raise SpecError(f"max_fanout must be {low} to {high}, not {self.max_fanout}")

    @property
    def logic_time_ps(self) -> int:
        """What the mapper takes as the required time of a path."""
        return round(self.clock_period_ns * self.logic_share * 1000)


def why_not(cell: str, spec: SynthesisSpec, pdk: PdkConfig) -> str | None:
    """The reason not to map to a cell (its full name), or None when it may be used.

    >>> from flow.pdk.config import load_pdk_config
    >>> why_not("sky130_fd_sc_hd__clkbuf_4", SynthesisSpec(clock_period_ns=20), load_pdk_config())
    'balanced for clocks; the clock tree takes them'
    """
    short = cell.removeprefix(f"{pdk.cell_library}__")
    rules: Iterable[DoNotUse] = (*NOT_FOR_LOGIC, *spec.do_not_use)
    return pdk.why_not(cell) or next((rule.reason for rule in rules if fnmatchcase(short, rule.cells)), None)
