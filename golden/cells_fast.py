"""The cells in integers, fast: the arithmetic of `cells_int` arranged for one pass over a whole batch.

The results are those of `cells_int`, bit for bit; these are the identities that make it fast.
- Accumulators are a float matrix product. A row's weights, bias, rounding constant and 2^15 offset are scaled by
  2^-shift, a power of two, so every product and partial sum is an integer times 2^-shift: exact while the sum of
  their magnitudes stays within the mantissa. float32 is taken where that holds for every row (2^24), else float64
  (2^53, always enough for accumulators of 32 bits).
- The product is then acc * 2^-shift + 1/2 + 2^15. Clipped to 0 .. 65535 and truncated, it is the index of
  pre = sat_16(rs(acc, shift)) in a table over all 2^16 codes: cutting off a number that is not negative is the floor
  of rs.
- tanh(sat_16(rs(c, n-12))) is one table over c, act followed by sat_8(rs(., 8)) another.
- ((f*c << s) + i*g + 2^(14+s)) >> (15+s) = (f*c + ((i*g + 2^(14+s)) >> s)) >> 15, which stays within 32 bits.

Batch is the innermost axis: columns (K, B), accumulators (G*H, B), states (T, H, B) are contiguous, and elementwise
loops run over H*B numbers. Column order: h, x, one (for the bias), and for GRU reset before r*h.
"""

import functools
from dataclasses import dataclass

import numba
import numpy as np

from golden.activation import ALL_P, lookup_tables, make_table
from golden.cells_int import activate
from golden.fixed import rs, sat
from golden.quantized import QuantizedCell, QuantizedOutput
from golden.spec import QuantSpec

_EXACT_LIMITS = ((np.float32, 2**24), (np.float64, 2**53))
_CHUNK = 1024
"""Elements of an elementwise pass: its buffers stay in the first-level cache."""

_jit = functools.partial(numba.njit, cache=True, nogil=True, error_model="numpy")
i32 = np.int32


@dataclass(frozen=True)
class FastCell:
    """A quantised cell, prepared: w (G'*H, H+X+1) float rows as described above, and the tables of its cell."""

    w: np.ndarray
    tanh: np.ndarray
    sigmoid: np.ndarray
    hidden: np.ndarray


def run_cell(cell: QuantizedCell, quant: QuantSpec, x: np.ndarray, h0: np.ndarray, c0: np.ndarray | None):
    """All steps of one cell: x (T, B, X) integers -> (h (T, B, H), c (T, B, H) or None), int32 (transposed views)."""
    fast = _prepared_cell(cell, quant.activation_segment_bits)
    spec = cell.spec
    T, B, X = x.shape
    H = spec.hidden_size
    x = x.transpose(0, 2, 1).astype(np.int32, order="C", copy=False)
    h = np.empty((T, H, B), np.int32)
    columns = np.ones((H + X + 1 + (H if spec.reset == "before" else 0), B), fast.w.dtype)
    columns[:H] = h0.T
    acc = np.empty((len(fast.w), B), fast.w.dtype)
    c = None
    if spec.kind == "lstm":
        c = np.empty((T + 1, H, B), np.int32)
        c[0] = c0.T
        _run_lstm(fast.w, x, columns, acc, h, c, fast.sigmoid, fast.tanh, fast.hidden, cell.c_frac_bits)
        c = c[1:].transpose(0, 2, 1)
    elif spec.kind == "elman":
        _run_elman(fast.w, x, columns, acc, h, fast.hidden)
    else:
        run_gru = _run_gru_after if spec.reset == "after" else _run_gru_before
        run_gru(fast.w, x, columns, acc, h, fast.sigmoid, fast.tanh)
    return h.transpose(0, 2, 1), c


def output_layer(output: QuantizedOutput, quant: QuantSpec, columns: np.ndarray) -> np.ndarray:
    """y = act(pre) of columns (..., K) -> (..., O), int16; log_softmax gives the logits."""
    w, table = _prepared_output(output, quant.activation_segment_bits)
    flat = np.ones((columns.size // columns.shape[-1], w.shape[1]), w.dtype)
    flat[:, :-1] = columns.reshape(len(flat), -1)
    index = np.clip(flat @ w.T, 0, 65535).astype(np.int32)
    return table[index].reshape(*columns.shape[:-1], -1)


def exact_rows(w: np.ndarray, bias: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Rows (R, K+1) so that row . [columns, 1] = acc * 2^-shift + 1/2 + 2^15, or acc * 2^-shift + 2^15 for shift <= 0.

    float32 where every partial sum is exact in it, else float64.
    """
    w, bias, shift = (array.astype(np.int64) for array in (w, bias, shift))
    right, left = np.maximum(shift, 0), np.maximum(-shift, 0)
    half = (np.int64(1) << right) >> 1
    last = (bias << left) + half + (np.int64(32768) << right)
    w = w << left[:, None]
    largest = int((np.abs(w).sum(axis=1) * 128 + np.abs(last)).max())
    dtype = next(dtype for dtype, limit in _EXACT_LIMITS if largest <= limit)
    rows = np.ldexp(np.hstack([w, last[:, None]]).astype(np.float64), -right[:, None])
    return np.ascontiguousarray(rows, dtype=dtype)


@functools.lru_cache(maxsize=64)
def _prepared_cell(cell: QuantizedCell, segment_bits: int) -> FastCell:
    spec, X = cell.spec, cell.input_size
    x_then_h = cell.w.reshape(-1, X + spec.hidden_size)
    rows = exact_rows(np.hstack([x_then_h[:, X:], x_then_h[:, :X]]), cell.bias.ravel(), cell.shift.ravel())
    tanh, sigmoid = lookup_tables(segment_bits)
    hidden = tanh
    if spec.kind == "lstm":
        hidden = tanh[sat(rs(ALL_P, cell.c_frac_bits - 12), 16) + 32768]
    elif spec.kind == "elman":
        hidden = sat(rs(activate(spec.activation, ALL_P, make_table(segment_bits)), 8), 8).astype(np.int16)
    return FastCell(rows, tanh, sigmoid, np.ascontiguousarray(hidden))


@functools.lru_cache(maxsize=64)
def _prepared_output(output: QuantizedOutput, segment_bits: int) -> tuple[np.ndarray, np.ndarray]:
    table = activate(output.spec.activation, ALL_P, make_table(segment_bits)).astype(np.int16)
    return exact_rows(output.w, output.bias, output.shift), table


@_jit
def _look_up(acc, table, index, out):
    """out = table[pre + 32768] for flat accumulator products (see the module's text)."""
    low, high = acc.dtype.type(0), acc.dtype.type(65535)
    for k in range(acc.size):
        index[k] = np.uint16(i32(min(max(acc[k], low), high)))
    for k in range(acc.size):
        out[k] = table[index[k]]


@_jit
def _take(table, index, out):
    """out = table[index]."""
    for k in range(index.size):
        out[k] = table[index[k]]


@_jit
def _preact(acc, out):
    """out = pre as an integer."""
    low, high = acc.dtype.type(0), acc.dtype.type(65535)
    for k in range(acc.size):
        out[k] = i32(min(max(acc[k], low), high)) - i32(32768)


@_jit
def _put(values, column):
    """column = values, both flat."""
    for k in range(values.size):
        column[k] = values[k]


@_jit
def _lstm_cell_state(i, f, g, c, c_new, index, s):
    half = i32(1 << (14 + s))
    for k in range(c.size):
        ig = i32(i32(i32(i[k]) * i32(g[k])) + half)
        value = i32(i32(i32(i32(f[k]) * c[k]) + i32(ig >> s)) >> i32(15))
        c_new[k] = min(max(value, i32(-32768)), i32(32767))
        index[k] = np.uint16(c_new[k] + i32(32768))


@_jit
def _lstm_hidden(o, tanh_c, h, column):
    for k in range(h.size):
        value = i32(i32(i32(i32(o[k]) * i32(tanh_c[k])) + i32(1 << 22)) >> i32(23))
        h[k] = min(value, i32(127))
        column[k] = h[k]


@_jit
def _run_lstm(w, x, columns, acc, h, c, sigmoid, tanh, tanh_of_c, n):
    T, H, B = h.shape
    N = H * B
    s = i32(15 - n)
    index, gate = np.empty(_CHUNK, np.uint16), np.empty((4, _CHUNK), np.int16)
    column, x_column = columns.reshape(-1), columns[H : H + x.shape[1]].reshape(-1)
    gates = acc.reshape((4, N))
    h, c = h.reshape((T, N)), c.reshape((T + 1, N))
    for t in range(T):
        _put(x[t].reshape(-1), x_column)
        np.dot(w, columns, acc)
        for u in range(0, N, _CHUNK):
            v = min(u + _CHUNK, N)
            _look_up(gates[0, u:v], sigmoid, index, gate[0])
            _look_up(gates[1, u:v], sigmoid, index, gate[1])
            _look_up(gates[2, u:v], tanh, index, gate[2])
            _look_up(gates[3, u:v], sigmoid, index, gate[3])
            _lstm_cell_state(gate[0], gate[1], gate[2], c[t, u:v], c[t + 1, u:v], index, s)
            _take(tanh_of_c, index[: v - u], gate[0])
            _lstm_hidden(gate[3], gate[0], h[t, u:v], column[u:v])


@_jit
def _gru_candidate(r, n_x, n_h, index):
    for k in range(index.size):
        total = i32(i32(i32(n_x[k] << i32(15)) + i32(i32(r[k]) * n_h[k])) + i32(1 << 14))
        index[k] = np.uint16(min(max(i32(total >> i32(15)), i32(-32768)), i32(32767)) + i32(32768))


@_jit
def _gru_after_hidden(z, n, h, column):
    for k in range(h.size):
        old, new = i32(column[k]), i32(n[k])
        total = i32(i32(new << i32(15)) + i32(i32(z[k]) * i32(i32(old << i32(8)) - new)))
        h[k] = min(i32(i32(total + i32(1 << 22)) >> i32(23)), i32(127))
        column[k] = h[k]


@_jit
def _run_gru_after(w, x, columns, acc, h, sigmoid, tanh):
    T, H, B = h.shape
    N = H * B
    index, gate = np.empty(_CHUNK, np.uint16), np.empty((2, _CHUNK), np.int16)
    n_x, n_h = np.empty(_CHUNK, i32), np.empty(_CHUNK, i32)
    column, x_column = columns.reshape(-1), columns[H : H + x.shape[1]].reshape(-1)
    gates = acc.reshape((4, N))
    h = h.reshape((T, N))
    for t in range(T):
        _put(x[t].reshape(-1), x_column)
        np.dot(w, columns, acc)
        for u in range(0, N, _CHUNK):
            v = min(u + _CHUNK, N)
            _look_up(gates[0, u:v], sigmoid, index, gate[0])
            _look_up(gates[1, u:v], sigmoid, index, gate[1])
            _preact(gates[2, u:v], n_x)
            _preact(gates[3, u:v], n_h)
            _gru_candidate(gate[0], n_x, n_h, index[: v - u])
            _take(tanh, index[: v - u], gate[0])
            _gru_after_hidden(gate[1], gate[0], h[t, u:v], column[u:v])


@_jit
def _gru_reset(r, h, column):
    for k in range(h.size):
        value = i32(i32(i32(i32(r[k]) * i32(h[k])) + i32(1 << 14)) >> i32(15))
        column[k] = value


@_jit
def _gru_before_hidden(z, n, h, column):
    for k in range(h.size):
        old = i32(column[k])
        total = i32(i32(old << i32(23)) + i32(i32(z[k]) * i32(i32(n[k]) - i32(old << i32(8)))))
        h[k] = min(i32(i32(total + i32(1 << 22)) >> i32(23)), i32(127))
        column[k] = h[k]


@_jit
def _run_gru_before(w, x, columns, acc, h, sigmoid, tanh):
    T, H, B = h.shape
    N, n_columns = H * B, w.shape[1]
    index, gate = np.empty(_CHUNK, np.uint16), np.empty((2, _CHUNK), np.int16)
    z = np.empty(N, np.int16)
    # n's columns are x, one, r*h: its rows begin with x, and its weights of h come last.
    w_rz = w[: 2 * H]
    w_n = np.hstack((w[2 * H :, H:], w[2 * H :, :H]))
    columns_h, columns_rh = columns[:n_columns], columns[H:]
    column, reset = columns.reshape(-1)[:N], columns[n_columns:].reshape(-1)
    x_column = columns[H : H + x.shape[1]].reshape(-1)
    gates, n_gate = acc[: 2 * H].reshape((2, N)), acc[2 * H :].reshape(-1)
    h = h.reshape((T, N))
    for t in range(T):
        _put(x[t].reshape(-1), x_column)
        np.dot(w_rz, columns_h, acc[: 2 * H])
        for u in range(0, N, _CHUNK):
            v = min(u + _CHUNK, N)
            _look_up(gates[0, u:v], sigmoid, index, gate[0])
            _look_up(gates[1, u:v], sigmoid, index, z[u:v])
            _gru_reset(gate[0], column[u:v], reset[u:v])
        np.dot(w_n, columns_rh, acc[2 * H :])
        for u in range(0, N, _CHUNK):
            v = min(u + _CHUNK, N)
            _look_up(n_gate[u:v], tanh, index, gate[0])
            _gru_before_hidden(z[u:v], gate[0], h[t, u:v], column[u:v])


@_jit
def _run_elman(w, x, columns, acc, h, hidden):
    T, H, B = h.shape
    N = H * B
    index = np.empty(_CHUNK, np.uint16)
    column, x_column = columns.reshape(-1)[:N], columns[H : H + x.shape[1]].reshape(-1)
    gate = acc.reshape(-1)
    h = h.reshape((T, N))
    for t in range(T):
        _put(x[t].reshape(-1), x_column)
        np.dot(w, columns, acc)
        for u in range(0, N, _CHUNK):
            v = min(u + _CHUNK, N)
            _look_up(gate[u:v], hidden, index, h[t, u:v])
        _put(h[t], column)
