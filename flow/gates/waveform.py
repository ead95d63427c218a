"""A waveform (VCD) of a window of a run."""

from __future__ import annotations

import numpy as np

from flow.gates.circuit import Circuit
from flow.gates.history import CYCLES_A_WORD, History

FIRST, N_SIGNS = 33, 94
"""The characters of VCD's short names: ! to ~."""


def vcd_text(circuit: Circuit, history: History, first_cycle: int) -> str:
    """All nets but the clock's, one time unit a cycle; `first_cycle` is the window's."""
    shown = [number for number, name in enumerate(circuit.nets) if name not in circuit.clocks]
    lines = ["$timescale 1 ns $end", "$scope module gates $end"]
    lines += [f"$var wire 1 {_sign(number)} {circuit.nets[number].replace(' ', '.')} $end" for number in shown]
    lines += ["$upscope $end", "$enddefinitions $end", f"#{first_cycle - 1}", "$dumpvars"]
    value = history.start.astype(np.uint8).copy()
    lines += [f"{value[number]}{_sign(number)}" for number in shown] + ["$end"]
    for cycle in range(history.n_cycles):
        word, bit = divmod(cycle, CYCLES_A_WORD)
        changed = np.flatnonzero(history.toggles[word] >> np.uint64(bit) & np.uint64(1))
        value[changed] ^= 1
        lines.append(f"#{first_cycle + cycle}")
        lines += [f"{value[number]}{_sign(number)}" for number in changed.tolist()]
    return "\n".join([*lines, ""])


def _sign(number: int) -> str:
    """A net's short name."""
    text = ""
    while True:
        number, digit = divmod(number, N_SIGNS)
        text += chr(FIRST + digit)
        if not number:
            return text
