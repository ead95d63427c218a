"""The host's address map: one description for the RTL, the test bench and the documentation.

Byte addresses of 32-bit words (docs/datapath.md). Bank words wider than 32 bits are several words, low piece first.
"""

from dataclasses import dataclass

from rtl.config import BANK_WINDOW_BYTES, STATE_WINDOW, DatapathConfig

ADDRESS_BITS = 20
ID_VALUE = 0x53544C57

ID, LAYOUT, SHAPE, SIZES, CTRL, STATUS, N_SEQUENCES, N_STEPS = range(0, 0x20, 4)
CYCLE_COUNTERS = ("mac", "header", "recurrence", "update", "host", "drain")
CYCLES = {name: 0x20 + 4 * number for number, name in enumerate(CYCLE_COUNTERS)}

CTRL_ENABLE, CTRL_SOFT_RESET, CTRL_Y_EVERY_STEP, CTRL_IRQ_ENABLE = range(4)
STATUS_BUSY, STATUS_ENDED, STATUS_X_WAITING, STATUS_Y_WAITING = range(4)

H_BASE, C_BASE, BANK_BASE = 0x04000, 0x08000, BANK_WINDOW_BYTES  # the upper half is the banks'


@dataclass(frozen=True)
class BankWindow:
    """Where bank words lie: byte offset = (bank << bank_shift) + (word << word_shift)."""

    word_shift: int
    address_bits: int

    @property
    def bank_shift(self) -> int:
        return self.word_shift + self.address_bits

    def address(self, bank: int, word: int, piece: int = 0) -> int:
        """Byte address of a 32-bit piece of a bank word."""
        return BANK_BASE + (bank << self.bank_shift) + (word << self.word_shift) + 4 * piece


def bank_window(datapath: DatapathConfig) -> BankWindow:
    """The bank window of a datapath."""
    return BankWindow(datapath.word_stride.bit_length() - 1, datapath.address_bits)


def state_address(base: int, stream: int, index: int) -> int:
    """Byte address of state `index` (all cells in order) of a stream; base is H_BASE or C_BASE."""
    return base + 4 * (STATE_WINDOW * stream + index)
