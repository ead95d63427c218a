"""The memories behind the SRAM seam in Verilog simulation.

The exported wrapper instantiates one module per bank, named after its size. Here that module gets a body: the
behavioural model that poisons what the contract leaves undefined, or flip-flops. Layout gives it a macro instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VERILOG = Path(__file__).resolve().parents[2] / "rtl" / "verilog"
MODEL_FILES = {
    "sram": (VERILOG / "stillwater_sram_model.sv",),
    "regfile": (VERILOG / "stillwater_regfile.v",),
}

_BINDING = """\
module {module} (clk, en, wmask, addr, wdata, rdata);
    input clk, en;
    input [{mask_bits}-1:0] wmask;
    input [{addr_bits}-1:0] addr;
    input [{bits}-1:0] wdata;
    output [{bits}-1:0] rdata;
    stillwater_sram_model #(.WORDS({words}), .BITS({bits})) model (
        .clk(clk), .en(en), .wmask(wmask), .addr(addr), .wdata(wdata), .rdata(rdata));
endmodule
"""


@dataclass(frozen=True)
class Memory:
    """The size and kind of a bank: "sram" (a macro's behavioural model) or "regfile" (flip-flops)."""

    kind: str
    words: int
    bits: int

    @property
    def module(self) -> str:
        """The name under which the wrapper instantiates an SRAM bank."""
        return f"stillwater_sram_{self.words}x{self.bits}"


def memory_binding(memory: Memory) -> str:
    """Verilog of the module that the wrapper instantiates; nothing for flip-flops, which are real RTL."""
    if memory.kind == "regfile":
        return ""
    return _BINDING.format(
        module=memory.module,
        words=memory.words,
        bits=memory.bits,
        mask_bits=memory.bits // 8,
        addr_bits=max(1, (memory.words - 1).bit_length()),
    )
