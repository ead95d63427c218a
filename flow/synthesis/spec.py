"""What a synthesis is asked for: clock, corner, goal, and which cells it may not use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from flow.pdk.config import DoNotUse, PdkConfig
from golden.spec import Spec, SpecError

Goal = Literal["area", "delay", "by clock"]
AREA_FROM_NS = 18.0
"""Clocks that are met with full-adder cells: the slowest of the shipped designs needs less (docs/synthesis.md)."""
MAX_FANOUT = (2, 64)
MIN_GATED = (3, 1024)

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
    goal:            "delay": adders of gates that the mapper arranges and sizes by time; "area": sums of many terms of
                     the library's full adders, which are smaller and slower; "by clock": area from AREA_FROM_NS on.
    logic_share:     part of the period that logic may take as the mapper sees it; flip-flops and skew have the rest.
    wire_ff_a_sink:  load of the wires that the mapper assumes.
    max_fanout:      sinks of a net, the clock's excepted; more are buffered.
    min_gated:       registers that must share an enable to get a clock gate; fewer get a multiplexer each.
    do_not_use:      more cells to leave out than the kit's and those of NOT_FOR_LOGIC.
    """

    clock_period_ns: float
    corner: str = "ss_100C_1v60"
    goal: Goal = "by clock"
    logic_share: float = 0.85
    wire_ff_a_sink: float = 5.0
    max_fanout: int = 16
    min_gated: int = 8
    do_not_use: tuple[DoNotUse, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.clock_period_ns) and self.clock_period_ns > 0):
            raise SpecError(f"clock_period_ns must be above 0, not {self.clock_period_ns}")
        if not 0 < self.logic_share <= 1:
            raise SpecError(f"logic_share must be above 0 and at most 1, not {self.logic_share}")
        if not 0 <= self.wire_ff_a_sink <= 100:
            raise SpecError(f"wire_ff_a_sink must be 0 to 100, not {self.wire_ff_a_sink}")
        low, high = MAX_FANOUT
        if not low <= self.max_fanout <= high:
            raise SpecError(f"max_fanout must be {low} to {high}, not {self.max_fanout}")
        low, high = MIN_GATED
        if not low <= self.min_gated <= high:
            raise SpecError(f"min_gated must be {low} to {high}, not {self.min_gated}")

    @property
    def uses_full_adders(self) -> bool:
        return self.goal == "area" or (self.goal == "by clock" and self.clock_period_ns >= AREA_FROM_NS)

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
