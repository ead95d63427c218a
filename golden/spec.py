"""Specs of number formats, quantisation and network shapes, checked when they are made.

Every spec is a frozen msgspec struct; golden.spec_load makes them from files. Derived values (formats, fan-ins,
accumulator width) are properties here, so that nobody computes them twice.
"""

import math
import re
from typing import Any, ClassVar

import msgspec

CELL_KINDS = ("elman", "lstm", "gru")
HIDDEN_ACTIVATIONS = ("tanh", "sigmoid", "relu", "identity")
OUTPUT_ACTIVATIONS = ("identity", "log_softmax", "tanh", "sigmoid", "relu")
LINEAR_ACTIVATIONS = ("relu", "identity", "log_softmax")
"""Activations whose pre-activation format is calibrated; the others (tanh, sigmoid) have a fixed one."""
GRU_RESETS = ("after", "before")
OUTPUT_READS = ("h", "xh")

_GATES = {"lstm": ("i", "f", "g", "o"), "elman": ("h",)}
_GRU_GATES = {"after": ("r", "z", "n_x", "n_h"), "before": ("r", "z", "n")}

C_FRAC_BITS_RANGE = (8, 15)
H_FRAC_BITS_RANGE = (-8, 15)
"""Fraction bits of a relu or identity hidden state (s8.n); its pre-activation has 8 more."""
PREACT_FRAC_BITS_RANGE = (0, 23)


class SpecError(ValueError):
    """Bad input from outside: the message says what, allowed, got, where, and what to do."""


def check_int(what: str, value: Any, low: int, high: int | None = None) -> None:
    """Raise SpecError unless `value` is an int (not a bool) in low .. high (no upper end when None)."""
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if is_int and low <= value and (high is None or value <= high):
        return
    allowed = f"an integer of at least {low}" if high is None else f"an integer in {low} .. {high}"
    raise SpecError(f"{what} must be {allowed}, not {value!r}")


def check_choice(what: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise SpecError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise SpecError(f"{what} must be one of {', '.join(allowed)}, not {value!r}")


def check_bool(what: str, value: Any) -> None:
    """Raise SpecError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise SpecError(f"{what} must be true or false, not {value!r}")


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all specs: immutable, unknown fields refused.

    derived_fields: those that no file may give, because they follow from something else.
    """

    derived_fields: ClassVar[tuple[str, ...]] = ()


class FixedPoint(Spec, frozen=True):
    """A signed fixed-point format, written `s<width_bits>.<frac_bits>`.

    >>> FixedPoint(8, 7).max_int, FixedPoint(8, 7).resolution
    (127, 0.0078125)
    >>> str(FixedPoint.parse("s16.12"))
    's16.12'
    """

    width_bits: int
    frac_bits: int

    def __post_init__(self) -> None:
        check_int("width_bits", self.width_bits, 2, 64)
        check_int("frac_bits", self.frac_bits, -64, 64)

    @classmethod
    def parse(cls, text: str) -> "FixedPoint":
        """The format written as in `s8.7`; SpecError otherwise."""
        match = re.fullmatch(r"s(\d+)\.(-?\d+)", text)
        if match is None:
            raise SpecError(f"fixed-point format must look like s8.7 (signed, 8 bits, 7 fractional), not {text!r}")
        return cls(int(match[1]), int(match[2]))

    @property
    def min_int(self) -> int:
        return -(1 << (self.width_bits - 1))

    @property
    def max_int(self) -> int:
        return (1 << (self.width_bits - 1)) - 1

    @property
    def resolution(self) -> float:
        """Real value of one least significant bit."""
        return math.ldexp(1.0, -self.frac_bits)

    def __str__(self) -> str:
        return f"s{self.width_bits}.{self.frac_bits}"


class QuantSpec(Spec, frozen=True):
    """Widths and tables of the integer arithmetic (docs/arithmetic.md).

    weight_bits               4 .. 8 bits of a weight.
    activation_segment_bits   2 .. 5: the activation table has segments of 2^-n.
    c_frac_bits, h_frac_bits  None lets calibration choose; an int pins the format of every cell, a list
                              has one entry a cell (null: choose). A network retrained for an existing chip
                              pins them to what that chip has. Cells without the state in question
                              (c: not LSTM; h: not relu or identity) ignore the pin.
    """

    weight_bits: int = 8
    activation_segment_bits: int = 3
    c_frac_bits: int | tuple[int | None, ...] | None = None
    h_frac_bits: int | tuple[int | None, ...] | None = None

    x: ClassVar[FixedPoint] = FixedPoint(8, 7)
    h: ClassVar[FixedPoint] = FixedPoint(8, 7)
    preact: ClassVar[FixedPoint] = FixedPoint(16, 12)
    gate: ClassVar[FixedPoint] = FixedPoint(16, 15)
    c_width_bits: ClassVar[int] = 16
    bias_bits: ClassVar[int] = 20
    shift_bits: ClassVar[int] = 4
    acc_bits_max: ClassVar[int] = 32

    def __post_init__(self) -> None:
        check_int("weight_bits", self.weight_bits, 4, 8)
        check_int("activation_segment_bits", self.activation_segment_bits, 2, 5)
        for what, pins, (low, high) in (
            ("c_frac_bits", self.c_frac_bits, C_FRAC_BITS_RANGE),
            ("h_frac_bits", self.h_frac_bits, H_FRAC_BITS_RANGE),
        ):
            for pin in pins if isinstance(pins, tuple) else (pins,):
                if pin is not None:
                    check_int(what, pin, low, high)

    @property
    def shift_min(self) -> int:
        """The smallest shift: narrower weights have coarser exponents, so that all widths reach as far."""
        return -4 - (8 - self.weight_bits)

    @property
    def shift_max(self) -> int:
        return self.shift_min + (1 << self.shift_bits) - 1

    @property
    def weight_min(self) -> int:
        """The most negative weight code; the hardware takes it, the quantiser does not use it."""
        return -(1 << (self.weight_bits - 1))

    @property
    def weight_max(self) -> int:
        return (1 << (self.weight_bits - 1)) - 1

    @property
    def bias_min(self) -> int:
        return -(1 << (self.bias_bits - 1))

    @property
    def bias_max(self) -> int:
        return (1 << (self.bias_bits - 1)) - 1

    def pinned_frac_bits(self, what: str, n_cells: int) -> tuple[int | None, ...]:
        """The pins `what` (c_frac_bits or h_frac_bits) with one entry a cell; SpecError for a wrong count."""
        pins = getattr(self, what)
        if not isinstance(pins, tuple):
            return (pins,) * n_cells
        if len(pins) != n_cells:
            raise SpecError(
                f"{what} must be one integer or a list of {n_cells} (one entry a cell), "
                f"not a list of {len(pins)}: add null for cells that calibration shall decide"
            )
        return pins


class CellSpec(Spec, frozen=True):
    """One recurrent layer.

    kind         elman, lstm or gru.
    hidden_size  H.
    activation   elman only: tanh (default), sigmoid, relu, identity.
    reset        gru only: "after" the matrix product (PyTorch, default) or "before" it (Cho).
    bias         with b_ih and b_hh or without any.
    """

    kind: str
    hidden_size: int
    activation: str | None = None
    reset: str | None = None
    bias: bool = True

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, CELL_KINDS)
        check_int("hidden_size", self.hidden_size, 1)
        check_bool("bias", self.bias)
        for what, kind, allowed in (("activation", "elman", HIDDEN_ACTIVATIONS), ("reset", "gru", GRU_RESETS)):
            value = getattr(self, what)
            if self.kind != kind:
                if value is not None:
                    raise SpecError(f"{what} belongs to {kind} cells only, not to {self.kind}: remove it")
            elif value is None:
                msgspec.structs.force_setattr(self, what, allowed[0])
            else:
                check_choice(what, value, allowed)

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the accumulator rows of one unit, in order."""
        return _GRU_GATES[self.reset] if self.kind == "gru" else _GATES[self.kind]

    @property
    def n_float_gates(self) -> int:
        """Row blocks of w_ih and w_hh in PyTorch's layout: 4, 3 or 1."""
        return {"lstm": 4, "gru": 3, "elman": 1}[self.kind]

    @property
    def is_linear(self) -> bool:
        """Whether the hidden state is relu or identity, hence in a calibrated format s8.h_frac_bits."""
        return self.activation in LINEAR_ACTIVATIONS


class OutputSpec(Spec, frozen=True):
    """The output layer o = act(W h + b), or act(W [x, old h] + b) with reads = xh."""

    size: int
    activation: str = "identity"
    reads: str = "h"
    bias: bool = True

    def __post_init__(self) -> None:
        check_int("size", self.size, 1)
        check_choice("activation", self.activation, OUTPUT_ACTIVATIONS)
        check_choice("reads", self.reads, OUTPUT_READS)
        check_bool("bias", self.bias)

    @property
    def is_linear(self) -> bool:
        """Whether y is in a calibrated format s16.preact_frac_bits (else s16.15)."""
        return self.activation in LINEAR_ACTIVATIONS


class ModelSpec(Spec, frozen=True):
    """A network: cells one after the other, then perhaps an output layer."""

    input_size: int
    cells: tuple[CellSpec, ...]
    output: OutputSpec | None = None

    def __post_init__(self) -> None:
        check_int("input_size", self.input_size, 1)
        if not isinstance(self.cells, tuple):
            msgspec.structs.force_setattr(self, "cells", tuple(self.cells))
        if not self.cells:
            raise SpecError("cells must list at least one cell, not none")
        self.acc_bits(QuantSpec())

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        return tuple(cell.hidden_size for cell in self.cells)

    @property
    def cell_input_sizes(self) -> tuple[int, ...]:
        """Width of x of each cell: the model's input, then the hidden size of the cell before."""
        return (self.input_size, *self.hidden_sizes[:-1])

    @property
    def output_fan_in(self) -> int:
        """Columns of the output layer (0 without one)."""
        if self.output is None:
            return 0
        return self.hidden_sizes[-1] + (self.cell_input_sizes[-1] if self.output.reads == "xh" else 0)

    @property
    def output_size(self) -> int:
        """Width of y: the output layer's size, or the hidden size of the last cell."""
        return self.hidden_sizes[-1] if self.output is None else self.output.size

    @property
    def n_macs_per_step(self) -> int:
        """Useful multiply-accumulates of one time step of one sequence (stored zeros do not count)."""
        n_cells = sum(
            cell.n_float_gates * cell.hidden_size * (size + cell.hidden_size)
            for cell, size in zip(self.cells, self.cell_input_sizes, strict=True)
        )
        return n_cells + self.output_size * self.output_fan_in

    def acc_bits(self, quant: QuantSpec) -> int:
        """The smallest accumulator width that no weights and no inputs can overflow.

        Over the rows of all layers: fan-in times the extreme product (most negative weight times most
        negative input) plus the extreme bias. SpecError above `quant.acc_bits_max`.

        >>> ModelSpec(12, (CellSpec("lstm", 32),)).acc_bits(QuantSpec())
        22
        """
        layers = zip(self.cell_input_sizes, self.cells, strict=True)
        fan_ins = [(x + cell.hidden_size, cell.bias) for x, cell in layers]
        if self.output is not None:
            fan_ins.append((self.output_fan_in, self.output.bias))
        bits = 0
        for fan_in, bias in fan_ins:
            high = fan_in * quant.weight_min * quant.x.min_int + (quant.bias_max if bias else 0)
            low = fan_in * min(quant.weight_min * quant.x.max_int, quant.weight_max * quant.x.min_int)
            low += quant.bias_min if bias else 0
            bits = max(bits, 1 + max(high.bit_length(), (-low - 1).bit_length()))
        if bits > quant.acc_bits_max:
            raise SpecError(
                f"accumulator must be at most {quant.acc_bits_max} bits, not {bits} "
                f"(the largest fan-in is {max(f for f, _ in fan_ins)}): use smaller layers"
            )
        return bits
