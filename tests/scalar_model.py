"""The integer network once more, unit by unit in Python integers, for comparison with golden.cells.

Written from docs/arithmetic.md alone, with fractions of real numbers where golden shifts: gates, states and products
are exact `Fraction`s, and a number is narrowed by `quantise`, the nearest multiple of 2^-n (ties up), saturated.
"""

from fractions import Fraction
from math import floor

from golden.activation import make_table
from golden.quantized import QuantizedModel


def quantise(value: Fraction, width_bits: int, frac_bits: int) -> Fraction:
    """The nearest s<width>.<frac> number, ties up, saturated."""
    steps = floor(value * Fraction(2) ** frac_bits + Fraction(1, 2))
    steps = max(-(2 ** (width_bits - 1)), min(2 ** (width_bits - 1) - 1, steps))
    return Fraction(steps) / Fraction(2) ** frac_bits


class ScalarModel:
    """All layers of a quantised model for one sequence; states are real numbers (Fractions)."""

    def __init__(self, qmodel: QuantizedModel):
        self.q = qmodel
        table = make_table(qmodel.quant.activation_segment_bits)
        self.table, self.width = table, Fraction(1, 2**table.segment_bits)

    def t(self, magnitude: Fraction) -> Fraction:
        """The piecewise-linear tanh of a magnitude that is a multiple of 2^-13."""
        segment = floor(magnitude / self.width)
        if segment >= len(self.table.base):
            return Fraction(self.table.base_last, 2**15)
        dx = (magnitude - segment * self.width) * 2**13
        rise = floor(self.table.slope[segment] * dx / Fraction(2) ** self.table.slope_frac + Fraction(1, 2))
        return Fraction(self.table.base[segment] + rise, 2**15)

    def tanh(self, x: Fraction) -> Fraction:
        return self.t(abs(x)) if x >= 0 else -self.t(abs(x))

    def sigmoid(self, x: Fraction) -> Fraction:
        half = Fraction(1, 2)
        return quantise(half + half * self.tanh(x * half), 16, 15)

    def activate(self, name: str, x: Fraction) -> Fraction:
        if name in ("tanh", "sigmoid"):
            return getattr(self, name)(x)
        return max(x, Fraction(0)) if name == "relu" else x

    def preact(self, layer, row: tuple[int, ...], columns: list[int]) -> Fraction:
        """The pre-activation of one accumulator row over s8 integers, as a real number."""
        acc = int(layer.bias[row])
        for weight, column in zip(layer.w[row].tolist(), columns, strict=True):
            acc += weight * column
        frac_bits = layer.preact_frac_bits
        return quantise(Fraction(acc) / Fraction(2) ** (frac_bits + int(layer.shift[row])), 16, frac_bits)

    def step(self, x: list[int], h: list[list[int]], c: list[list[int] | None]):
        """One time step: (h, c, y) as lists of integers; h and c have one entry a cell."""
        new_h, new_c = [], []
        for cell, h_old, c_old in zip(self.q.cells, h, c, strict=True):
            x_last = x
            units = [self.unit(cell, u, x, h_old, c_old) for u in range(cell.spec.hidden_size)]
            x = [int(h_u * Fraction(2) ** cell.h_frac_bits) for h_u, _ in units]
            new_h.append(x)
            new_c.append([int(c_u * 2**cell.c_frac_bits) for _, c_u in units] if c_old is not None else None)
        output = self.q.output
        if output is None:
            return new_h, new_c, new_h[-1]
        columns = new_h[-1] if output.spec.reads == "h" else x_last + h[-1]
        y = []
        for row in range(output.spec.size):
            real = self.activate(output.spec.activation, self.preact(output, (row,), columns))
            y.append(int(real * Fraction(2) ** self.q.y_frac_bits))
        return new_h, new_c, y

    def unit(self, cell, u: int, x: list[int], h: list[int], c: list[int] | None):
        """(new h, new c or None) of unit u as real numbers."""
        spec = cell.spec
        pre = {name: self.preact(cell, (row, u), x + h) for row, name in enumerate(spec.gates)}
        h_old = Fraction(h[u]) / Fraction(2) ** cell.h_frac_bits
        if spec.kind == "lstm":
            i, f, o = (self.sigmoid(pre[name]) for name in "ifo")
            c_old = Fraction(c[u], 2**cell.c_frac_bits)
            c_new = quantise(f * c_old + i * self.tanh(pre["g"]), 16, cell.c_frac_bits)
            return quantise(o * self.tanh(quantise(c_new, 16, 12)), 8, 7), c_new
        if spec.kind == "elman":
            return quantise(self.activate(spec.activation, pre["h"]), 8, cell.h_frac_bits), None
        z = self.sigmoid(pre["z"])
        if spec.reset == "after":
            n = self.tanh(quantise(pre["n_x"] + self.sigmoid(pre["r"]) * pre["n_h"], 16, 12))
            return quantise((1 - z) * n + z * h_old, 8, 7), None
        reset = []
        for k, h_k in enumerate(h):
            r = self.sigmoid(self.preact(cell, (0, k), x + h))
            reset.append(int(quantise(r * Fraction(h_k, 128), 8, 7) * 128))
        n = self.tanh(self.preact(cell, (2, u), x + reset))
        return quantise((1 - z) * h_old + z * n, 8, 7), None


def run_scalar(qmodel: QuantizedModel, x, h0, c0):
    """All steps of one sequence: x (T, X) integers, initial states per cell -> lists of (h, c, y) a step."""
    scalar = ScalarModel(qmodel)
    h = [state.tolist() for state in h0]
    c = [None if state is None else state.tolist() for state in c0]
    steps = []
    for x_t in x.tolist():
        h, c, y = scalar.step(x_t, h, c)
        steps.append((h, c, y))
    return steps
