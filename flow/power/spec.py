"""What the power of a design is asked for."""

from __future__ import annotations

from golden.spec import Spec, SpecError, check_int


class PowerSpec(Spec, frozen=True, kw_only=True):
    """max_cycles: of the window of inference; it holds as many whole steps as fit in, from the first sequence on.
    clock_period_ns: at which energies become powers; None: the design's. power_up_seed: of registers and memories.
    """

    max_cycles: int = 16_384
    clock_period_ns: float | None = None
    power_up_seed: int = 1

    def __post_init__(self) -> None:
        check_int("max_cycles", self.max_cycles, 64)
        check_int("power_up_seed", self.power_up_seed, 0)
        if self.clock_period_ns is not None and not self.clock_period_ns > 0:
            raise SpecError(f"clock_period_ns must be above 0, not {self.clock_period_ns}")
