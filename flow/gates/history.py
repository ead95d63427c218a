"""What the nets of a circuit did in a window of cycles, 64 cycles a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CYCLES_A_WORD = 64


@dataclass(frozen=True)
class History:
    """Sampled when all has settled, before the clock's edge.

    toggles: (words, nets) uint64, bit k of a word for the k-th cycle of its 64: the net changed at its beginning.
    clocked: (words, domains), the domain's clock rises at the end of the cycle.
    start:   (nets,) values in the cycle before the window.
    """

    n_cycles: int
    toggles: np.ndarray
    clocked: np.ndarray
    start: np.ndarray

    def values(self, nets: np.ndarray) -> np.ndarray:
        """(words, nets) uint64: bit k of a word is the net's value in the k-th cycle of its 64."""
        words = self.toggles[:, nets].copy()
        for shift in (1, 2, 4, 8, 16, 32):             # each bit becomes the parity of itself and all before
            words ^= words << np.uint64(shift)
        parity = (words >> np.uint64(CYCLES_A_WORD - 1)) & np.uint64(1)
        before = np.zeros_like(parity)
        before[0] = self.start[nets]
        before[1:] = parity[:-1]
        before = np.bitwise_xor.accumulate(before, axis=0)
        return words ^ (np.uint64(0) - before)
