"""Registers with reset and enable, delay lines, and register files of exactly the size that is needed.

Reset is an ordinary input of the block (synchronous, active high): only control state is reset, so that data
registers become the smallest flip-flops. A PyRTL MemBlock would round a 12-entry buffer up to 16 and add a
memory to the Verilog; a register file is plain flip-flops with a one-hot write enable, which clock gating likes.
"""

import pyrtl
from pyrtl import Register, WireVector

from rtl.fixed_wire import FormatError, drive


class ControlRegisters:
    """Makes control registers that all return to their reset value on one reset wire."""

    def __init__(self, reset: WireVector):
        self._reset = reset

    def make(self, width_bits: int, name: str, reset_value: int = 0) -> Register:
        """A register without a driver yet; connect it with `set_next`."""
        return Register(width_bits, name, reset_value=reset_value)

    def set_next(self, register: Register, value: WireVector) -> None:
        """Drive `register` from `value`, or its reset value while reset is high."""
        if len(value) != len(register):
            raise FormatError(f"{register.name} is {len(register)} bits wide, its driver {len(value)}")
        constant = pyrtl.Const(register.reset_value, len(register))
        register.next <<= pyrtl.select(self._reset, constant, value)

    def count(self, register: Register, enable: WireVector, restart: WireVector) -> None:
        """Drive `register`: one more in cycles with `enable`, or 0 with `restart` as well."""
        counted = pyrtl.select(restart, pyrtl.Const(0, len(register)), (register + 1)[: len(register)])
        self.set_next(register, pyrtl.select(enable, counted, register))

    def delayed(self, value: WireVector, name: str, cycles: int = 1) -> WireVector:
        """`value` `cycles` cycles later, reset to 0."""
        for cycle in range(cycles):
            register = self.make(len(value), name if cycles == 1 else f"{name}_d{cycle + 1}")
            self.set_next(register, value)
            value = register
        return value


def delay(value: WireVector, name: str, cycles: int = 1) -> WireVector:
    """`value` `cycles` cycles later, without reset."""
    for cycle in range(cycles):
        register = Register(len(value), name if cycles == 1 else f"{name}_d{cycle + 1}")
        drive(register, value)
        value = register
    return value


def hold(value: WireVector, enable: WireVector, name: str) -> Register:
    """A register that takes `value` at the end of cycles with `enable` and keeps it otherwise."""
    register = Register(len(value), name)
    register.next <<= pyrtl.select(enable, value, register)
    return register


def table(index: WireVector, values: list[int], width_bits: int) -> WireVector:
    """values[index] as logic; indices past the end give 0."""
    if len(set(values)) == 1 and len(values) == 1 << len(index):
        return pyrtl.Const(values[0], width_bits)
    return select_from(index, [pyrtl.Const(v, width_bits) for v in values])


def select_from(index: WireVector, choices: list[WireVector]) -> WireVector:
    """choices[index]; indices past the end give 0. A single choice needs no index."""
    if len(choices) == 1:
        return choices[0]
    n_index = 1 << len(index)
    if len(choices) > n_index:
        raise FormatError(f"{len(index)} index bits reach {n_index} choices, not {len(choices)} ({index.name})")
    if len(choices) == n_index:
        return pyrtl.mux(index, *choices)
    return pyrtl.mux(index, *choices, default=pyrtl.Const(0, len(choices[0])))


def index_width(n: int) -> int:
    """Bits that number n things, at least one."""
    return max(1, (n - 1).bit_length())


class RegisterFile:
    """`n_words` registers of `width_bits`, one write port, any number of read ports (a multiplexer each).

    Words outside `present` (all by default) are not built and read as 0.
    """

    def __init__(self, n_words: int, width_bits: int, name: str, present: set[int] | None = None):
        self.words = [
            Register(width_bits, f"{name}_{k}") if present is None or k in present else pyrtl.Const(0, width_bits)
            for k in range(n_words)
        ]
        self.index_bits = index_width(n_words)

    def write(self, enable: WireVector, index: WireVector, value: WireVector) -> None:
        """Store `value` at the end of the cycle; called once."""
        for k, word in enumerate(self.words):
            if isinstance(word, Register):
                chosen = enable & (index == pyrtl.Const(k, len(index)))
                word.next <<= pyrtl.select(chosen, value, word)

    def read(self, index: WireVector) -> WireVector:
        """The word at `index`, in the same cycle; 0 past the end."""
        return select_from(index[: self.index_bits], self.words)


class Pipeline:
    """Taps on a value's delay line: `at(n)` is the value n cycles later, built once and only as far as needed."""

    def __init__(self, value: WireVector, name: str, registers: ControlRegisters | None = None):
        self._stages = [value]
        self._name = name
        self._registers = registers

    def at(self, cycles: int) -> WireVector:
        """The value `cycles` cycles later; reset to 0 if the pipeline was given control registers."""
        while len(self._stages) <= cycles:
            name = f"{self._name}_d{len(self._stages)}"
            source = self._stages[-1]
            delayed = self._registers.delayed(source, name) if self._registers else delay(source, name)
            self._stages.append(delayed)
        return self._stages[cycles]
