"""What a gate-level simulation is asked to run."""

from __future__ import annotations

from golden.spec import Spec, check_int


class GateSimSpec(Spec, frozen=True):
    """How much is simulated.

    max_cycles:        of the run at full speed; as many whole sequences of the test set as fit in (at least one).
    stalled_sequences: run again under random stalls, with accesses while busy.
    icarus_sequences, icarus_steps: with the kit's Verilog, four-state: so many sequences a stream, so many steps each.
    """

    max_cycles: int = 100_000
    stalled_sequences: int = 8
    icarus_sequences: int = 1
    icarus_steps: int = 4

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            check_int(name, getattr(self, name), 1)
