"""The cells in integers, one time step each: the clear statement of docs/arithmetic.md, in int64.

This is what the hardware is compared with bit for bit, and what the fast kernels of `cells_fast` are tested against.
Shapes: x (B, X), h and c (B, H), pre-activations (B, H) per row. Every step function gives (h', c'), c' None but for
LSTM. Gate values are s16.15, products are exact, and each narrowing is one `rs` and one `sat`.
"""

from dataclasses import dataclass

import numpy as np

from golden.activation import PwlTable, make_table, sigmoid_int, tanh_int
from golden.fixed import rs, sat
from golden.quantized import QuantizedCell, QuantizedOutput
from golden.spec import QuantSpec


@dataclass(frozen=True)
class IntCell:
    """A quantised cell, ready to compute: its integers in int64 and its activation table."""

    cell: QuantizedCell
    w: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    table: PwlTable

    @classmethod
    def of(cls, cell: QuantizedCell, quant: QuantSpec) -> "IntCell":
        arrays = (array.astype(np.int64) for array in (cell.w, cell.bias, cell.shift))
        return cls(cell, *arrays, make_table(quant.activation_segment_bits))

    def preacts(self, columns: np.ndarray, rows: slice = slice(None)) -> list[np.ndarray]:
        """pre = sat_16(rs(bias + w . columns, shift)) of some rows: a (B, H) array for each row of the unit.

        columns (B, X+H): x then h, s8 each.
        """
        acc = self.bias[rows, None, :] + np.einsum("guk,bk->gbu", self.w[rows], columns)
        return list(sat(rs(acc, self.shift[rows, None, :]), 16))

    def tanh(self, p: np.ndarray) -> np.ndarray:
        return tanh_int(p, self.table)

    def sigmoid(self, p: np.ndarray) -> np.ndarray:
        return sigmoid_int(p, self.table)


def lstm_step(cell: IntCell, x: np.ndarray, h: np.ndarray, c: np.ndarray):
    """c' = sat_16(rs((f*c << (15-n)) + i*g, 30-n)); h' = sat_8(rs(o * tanh(sat_16(rs(c', n-12))), 23))."""
    n = cell.cell.c_frac_bits
    i, f, g, o = cell.preacts(np.hstack([x, h]))
    i, f, g, o = cell.sigmoid(i), cell.sigmoid(f), cell.tanh(g), cell.sigmoid(o)
    c_new = sat(rs((f * c << (15 - n)) + i * g, 30 - n), 16)
    return sat(rs(o * cell.tanh(sat(rs(c_new, n - 12), 16)), 23), 8), c_new


def gru_after_step(cell: IntCell, x: np.ndarray, h: np.ndarray, c: None):
    """n = tanh(sat_16(rs((n_x << 15) + r*n_h, 15))); h' = sat_8(rs((n << 15) + z*((h << 8) - n), 23))."""
    r, z, n_x, n_h = cell.preacts(np.hstack([x, h]))
    r, z = cell.sigmoid(r), cell.sigmoid(z)
    n = cell.tanh(sat(rs((n_x << 15) + r * n_h, 15), 16))
    return sat(rs((n << 15) + z * ((h << 8) - n), 23), 8), None


def gru_before_step(cell: IntCell, x: np.ndarray, h: np.ndarray, c: None):
    """rh = sat_8(rs(r*h, 15)) replaces h for n = tanh(pre_n); h' = sat_8(rs((h << 23) + z*(n - (h << 8)), 23))."""
    r, z = cell.preacts(np.hstack([x, h]), slice(0, 2))
    r, z = cell.sigmoid(r), cell.sigmoid(z)
    (n,) = cell.preacts(np.hstack([x, sat(rs(r * h, 15), 8)]), slice(2, 3))
    n = cell.tanh(n)
    return sat(rs((h << 23) + z * (n - (h << 8)), 23), 8), None


def elman_step(cell: IntCell, x: np.ndarray, h: np.ndarray, c: None):
    """h' = sat_8(rs(act(pre), 8))."""
    (pre,) = cell.preacts(np.hstack([x, h]))
    return sat(rs(activate(cell.cell.spec.activation, pre, cell.table), 8), 8), None


def output_layer(output: QuantizedOutput, quant: QuantSpec, columns: np.ndarray) -> np.ndarray:
    """y = act(sat_16(rs(bias + w . columns, shift))); log_softmax gives the logits. columns (..., K), y (..., O)."""
    acc = output.bias.astype(np.int64) + columns @ output.w.astype(np.int64).T
    pre = sat(rs(acc, output.shift.astype(np.int64)), 16)
    return activate(output.spec.activation, pre, make_table(quant.activation_segment_bits))


def activate(activation: str, pre: np.ndarray, table: PwlTable) -> np.ndarray:
    """act(pre): s16.15 for tanh and sigmoid; relu, identity and log_softmax stay in the format of pre."""
    if activation == "tanh":
        return tanh_int(pre, table)
    if activation == "sigmoid":
        return sigmoid_int(pre, table)
    return np.maximum(pre, 0) if activation == "relu" else pre


def run_cell(cell: QuantizedCell, quant: QuantSpec, x: np.ndarray, h0: np.ndarray, c0: np.ndarray | None):
    """All steps of one cell: x (T, B, X) integers -> (h (T, B, H), c (T, B, H) or None), int32."""
    step = _STEPS[cell.spec.kind, cell.spec.reset]
    int_cell = IntCell.of(cell, quant)
    h, c = h0.astype(np.int64), None if c0 is None else c0.astype(np.int64)
    hs, cs = [], []
    for x_t in x.astype(np.int64):
        h, c = step(int_cell, x_t, h, c)
        hs.append(h)
        cs.append(c)
    return np.stack(hs).astype(np.int32), None if c is None else np.stack(cs).astype(np.int32)


_STEPS = {
    ("lstm", None): lstm_step,
    ("gru", "after"): gru_after_step,
    ("gru", "before"): gru_before_step,
    ("elman", None): elman_step,
}
