"""How many cycles a design takes, without simulating it.

The controller issues a word every cycle unless it waits, and every wait is a distance between two tiles
(`rtl/timing.py`). So the cycles of a step are a sum over its tiles:

    cycles = sum over tiles of (header words + columns + waits)

with waits that depend only on the tiles before. `count_cycles` adds them up for a whole run; the block's own
counters give the same figures, exactly, when x is always offered and y always taken, which a test and every
`./stillwater sim` check. A step is always longer than its x, so an unpaused x stream never makes it wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtl.address_map import CYCLE_COUNTERS
from rtl.config import DesignConfig
from rtl.layout import Layout, Phase
from rtl.timing import ACTIVATED, DRAIN_LATENCY, drain_cycles, result_waits, unit_ready, update_interval

_NEVER = -(10**9)


@dataclass(frozen=True)
class CycleCount:
    """Busy cycles by cause (keys of CYCLE_COUNTERS) and the multiply-accumulates that were worth having.

    mac: a column is multiplied; header: bias and shift are read; recurrence: a vector is not there yet;
    update: the update is not through with the tile before; host: x is missing or y not taken; drain: the last
    updates after the last word.
    """

    causes: dict[str, int]
    useful_macs: int
    lanes: int
    streams: int

    @property
    def total(self) -> int:
        return sum(self.causes.values())

    @property
    def mac_utilisation(self) -> float:
        """Useful multiply-accumulates / (lanes * streams * cycles)."""
        return self.useful_macs / (self.lanes * self.streams * self.total)

    def table(self) -> dict[str, int]:
        """Lane-cycles by cause: useful, idle lanes (no row, no stream, stored zero), fill (headers), recurrence,
        update, host, drain. They add up to lanes * streams * cycles."""
        width = self.lanes * self.streams
        rows = {"useful": self.useful_macs, "idle lanes": width * self.causes["mac"] - self.useful_macs}
        rows["fill"] = width * self.causes["header"]
        return rows | {name: width * self.causes[name] for name in ("recurrence", "update", "host", "drain")}


@dataclass
class _Walk:
    """The controller's clock: `now` is the next cycle in which a word can be issued."""

    layout: Layout
    now: int = 0
    update_free: int = _NEVER  # earliest cycle for the next tile's last column
    y_free: int = _NEVER  # earliest cycle for the next y phase to begin
    vector_free: dict[tuple[str, int], int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CYCLE_COUNTERS, 0))

    def wait(self, cause: str, until: int) -> None:
        if until > self.now:
            self.causes[cause] += until - self.now
            self.now = until

    def tile(self, phase: Phase) -> None:
        """Issue one tile."""
        self.wait("update", self.update_free - phase.tile_words + 1)
        self.causes["header"] += phase.header_words
        self.now += phase.header_words
        for segment in phase.segments:
            if segment.source != "x":
                vector = "rh" if segment.source == "rh" else "h"
                self.wait("recurrence", self.vector_free.get((vector, segment.cell), _NEVER))
            self.causes["mac"] += segment.length
            self.now += segment.length
        self.update_free = self.now - 1 + update_interval(phase)

    def step(self, emit: bool, waits: dict[tuple[str, int], tuple[int, int]]) -> None:
        """Issue all tiles of a step."""
        for number, phase in enumerate(self.layout.phases):
            makes_y = number == self.layout.y_phase
            if phase.cell is None and not emit:
                continue
            if makes_y and emit:
                self.wait("host", self.y_free)
            sent = _NEVER
            for tile in range(phase.n_tiles):
                self.tile(phase)
                if makes_y and emit:
                    sent = self._send(phase, tile, sent)
            if makes_y and emit:
                self.y_free = sent + 1
            for vector, (producer, distance) in waits.items():
                if producer == number:
                    self.vector_free[vector] = self.now - 1 + distance

    def _send(self, phase: Phase, tile: int, sent: int) -> int:
        """Cycle in which the tile's last y element leaves, one a cycle, as soon as each is made."""
        for unit in range(phase.units_in_tile(tile)):
            made = DRAIN_LATENCY + unit + ACTIVATED + 1 if phase.cell is None else unit_ready(phase, unit)
            sent = max(sent + 1, self.now - 1 + made)
        return sent


def count_cycles(
    design: DesignConfig, keep: Sequence, last: Sequence, y_every_step: bool = False
) -> CycleCount:
    """Cycles of a run: keep and last are (steps, streams) bools, which streams take part and end in each step.

    For x offered without pause and y always taken.
    """
    walk = _Walk(design.layout)
    waits = result_waits(design.layout)
    useful, output_macs = 0, 0
    model = design.model
    if model.output is not None:
        output_macs = model.output_size * model.output_fan_in
    for kept, ends in zip(keep, last, strict=True):
        n_kept, n_wanted = int(sum(kept)), int(sum(kept if y_every_step else ends))
        walk.step(n_wanted > 0, waits)
        useful += n_kept * (model.n_macs_per_step - output_macs) + n_wanted * output_macs
        final = design.layout.phases[-1] if n_wanted or model.output is None else design.layout.phases[-2]
    walk.causes["drain"] = drain_cycles(final)
    return CycleCount(walk.causes, useful, design.layout.lanes, design.datapath.streams)


def step_cycles(design: DesignConfig, emit: bool = False) -> int:
    """Cycles from one step's start to the next in the steady state."""
    n_steps = 8
    steps = [[True] * design.datapath.streams] * n_steps
    ends = [[emit] * design.datapath.streams] * n_steps
    longer = count_cycles(design, steps, ends).total
    return longer - count_cycles(design, steps[1:], ends[1:]).total
