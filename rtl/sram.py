"""SRAM macros behind a seam: the core has memory ports, and what fills them is somebody else's choice.

The contract (docs/datapath.md): one read-or-write port, rising edge, byte write enables; address, data and enables
before edge N, read data taken at edge N+1; read data are undefined after a write, after an idle cycle and for words
never written. `attach_models` fills the ports for PyRTL simulation with a model that gives garbage where the
contract promises nothing; rtl/verilog/ has the Verilog models; macros of a process are bound in the wrapper.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Input, MemBlock, Output, Register, WireVector

from rtl.config import DatapathConfig
from rtl.fixed_wire import drive

_GARBAGE_TAPS = (63, 62, 60, 59)  # a maximal-length 64-bit LFSR
GARBAGE_SEED = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class SramPorts:
    """The core's side of the seam: address and write data are shared by all banks.

    enable has one bit a bank; write_mask one bit a byte, per bank; read_data one word a bank.
    """

    address: WireVector
    write_data: WireVector
    enable: WireVector
    write_mask: list[WireVector]
    read_data: list[WireVector]


def declare_ports(datapath: DatapathConfig) -> SramPorts:
    """Undriven wires of the seam."""
    return SramPorts(
        address=WireVector(datapath.address_bits, "seam_address"),
        write_data=WireVector(datapath.word_bits, "seam_write_data"),
        enable=WireVector(datapath.banks, "seam_enable"),
        write_mask=[WireVector(datapath.lanes_per_bank, f"seam_write_mask_{b}") for b in range(datapath.banks)],
        read_data=[WireVector(datapath.word_bits, f"seam_read_data_{b}") for b in range(datapath.banks)],
    )


def export_ports(ports: SramPorts) -> None:
    """Make the seam the block's ports: sram_addr, sram_wdata, sram_en, sram_wmask_<b>, sram_rdata_<b>."""
    drive(Output(len(ports.address), "sram_addr"), ports.address)
    drive(Output(len(ports.write_data), "sram_wdata"), ports.write_data)
    drive(Output(len(ports.enable), "sram_en"), ports.enable)
    for b, (mask, data) in enumerate(zip(ports.write_mask, ports.read_data, strict=True)):
        drive(Output(len(mask), f"sram_wmask_{b}"), mask)
        drive(data, Input(len(data), f"sram_rdata_{b}"))


def attach_models(ports: SramPorts) -> list[MemBlock]:
    """Memory models inside the block; returns the memories so that a simulation can preload them.

    Words that are not preloaded read as 0 in PyRTL's simulators: preload garbage (`flow.simulate` does).
    """
    garbage = _build_garbage()
    memories = []
    for b, (mask, data) in enumerate(zip(ports.write_mask, ports.read_data, strict=True)):
        memory = MemBlock(len(data), len(ports.address), f"sram_{b}", max_read_ports=1, max_write_ports=1,
                          asynchronous=True)
        enable = ports.enable[b]
        stored = memory[ports.address]
        lanes = [
            pyrtl.select(mask[k], ports.write_data[8 * k : 8 * k + 8], stored[8 * k : 8 * k + 8])
            for k in range(len(mask))
        ]
        writes = pyrtl.or_all_bits(mask)
        memory[ports.address] <<= MemBlock.EnabledWrite(pyrtl.concat_list(lanes), enable & writes)
        output = Register(len(data), f"sram_{b}_q")
        # Other garbage for each bank: rotate the shared bits.
        noise = pyrtl.concat(garbage[:b], garbage[b:])[: len(data)] if b else garbage[: len(data)]
        output.next <<= pyrtl.select(enable & ~writes, stored, noise)
        drive(data, output)
        memories.append(memory)
    return memories


def _build_garbage() -> WireVector:
    """Pseudo-random bits, new ones every cycle."""
    state = Register(64, "sram_garbage", reset_value=GARBAGE_SEED)
    feedback = state[_GARBAGE_TAPS[0]]
    for tap in _GARBAGE_TAPS[1:]:
        feedback = feedback ^ state[tap]
    # Never stuck at zero, whatever the first value.
    state.next <<= pyrtl.concat(state[:63], feedback | (state == 0))
    return state
