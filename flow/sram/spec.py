"""Which SRAM macro: its shape, its name and the pins that every view of it must have."""

import re
from typing import NamedTuple

from golden.spec import Spec, SpecError
from rtl.config import FLEXMEM_BITS, FLEXMEM_WORDS, LANE_BITS


class Pin(NamedTuple):
    """Direction and use of a pin, in LEF's words."""

    direction: str
    use: str = "SIGNAL"


class MacroShape(Spec, frozen=True):
    """Words and bits a word of a macro, with a write enable for every byte."""

    n_words: int
    word_bits: int

    @property
    def shape(self) -> str:
        return f"{self.n_words}x{self.word_bits}"

    @property
    def n_bytes(self) -> int:
        return self.word_bits // LANE_BITS

    @property
    def address_bits(self) -> int:
        return (self.n_words - 1).bit_length()

    @property
    def n_bits(self) -> int:
        return self.n_words * self.word_bits


class SramSpec(MacroShape, frozen=True):
    """A c4m-flexmem macro.

    >>> SramSpec.parse("512x32").name
    'flexmem_512x32'
    """

    def __post_init__(self) -> None:
        if self.n_words != FLEXMEM_WORDS or self.word_bits not in FLEXMEM_BITS:
            allowed = ", ".join(f"{FLEXMEM_WORDS}x{bits}" for bits in FLEXMEM_BITS)
            raise SpecError(f"an SRAM macro must be one of {allowed}, not {self.n_words}x{self.word_bits}")

    @classmethod
    def parse(cls, text: str) -> "SramSpec":
        """From `512x32`."""
        match = re.fullmatch(r"(\d+)x(\d+)", text)
        if match is None:
            raise SpecError(f"an SRAM macro is named as words x bits (512x32), not {text!r}")
        return cls(int(match[1]), int(match[2]))

    @property
    def name(self) -> str:
        return f"flexmem_{self.shape}"

    def pins(self) -> dict[str, Pin]:
        """Every pin of every view: clock, address a, data d, byte write enables we, read data q, supplies."""
        buses = {"a": (self.address_bits, "INPUT"), "d": (self.word_bits, "INPUT"), "we": (self.n_bytes, "INPUT"),
                 "q": (self.word_bits, "OUTPUT")}
        pins = {"clk": Pin("INPUT", "CLOCK")}
        for bus, (width, direction) in buses.items():
            pins |= {f"{bus}[{bit}]": Pin(direction) for bit in range(width)}
        return pins | {"vdd": Pin("INOUT", "POWER"), "vss": Pin("INOUT", "GROUND")}


SUPPLIES = ("vdd", "vss")
