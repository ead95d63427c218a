"""Host programs: what the test bench does at the Wishbone port, and when it lets the streams run.

bench.sv and driver.c carry them out cycle by cycle alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


class Op(IntEnum):
    """Operations and their two arguments."""

    WRITE = 0  # address and, in bits 27:24, the byte lanes that are not selected; data
    READ = 1  # address; the result is an ACCESS event
    STREAM = 2  # x beats, y beats: wait until all have passed; y beats count from the last STREAM, RESET or CTRL write
    BREAK = 3  # x beats, cycles: wait until the beats are taken and some cycles more
    RESET = 4  # cycles: pulse rst
    IDLE = 5  # poll STATUS until the block is not busy
    IRQ = 6  # level: irq must have it
    WAIT = 7  # cycles
    STALL = 8  # x threshold | y threshold << 16 (of 256; 0: never stalls), seed
    END = 9
    PATIENCE = 10  # cycles without progress that are an error


@dataclass
class Program:
    """A list of operations under construction."""

    ops: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, op: Op, a: int = 0, b: int = 0) -> Program:
        self.ops.append((int(op), int(a), int(b)))
        return self

    def write(self, address: int, data: int, select: int = 0xF) -> Program:
        """Write the selected bytes (one bit each) of a 32-bit word."""
        return self.add(Op.WRITE, address | (~select & 0xF) << 24, data & 0xFFFFFFFF)

    def read(self, address: int) -> Program:
        return self.add(Op.READ, address)

    def reset(self, cycles: int = 4) -> Program:
        return self.add(Op.RESET, cycles)

    def stalls(self, x_of_256: int, y_of_256: int, seed: int) -> Program:
        return self.add(Op.STALL, x_of_256 | y_of_256 << 16, seed)

    def array(self) -> np.ndarray:
        """(n, 3) uint64, ended by END."""
        return np.array([*self.ops, (int(Op.END), 0, 0)], dtype=np.uint64)

    def text(self) -> str:
        """The file that bench.sv reads: three hexadecimal numbers a line."""
        return "".join("%x %x %x\n" % tuple(op) for op in self.array().tolist())
