"""The cells in floating point, one time step each, with PyTorch's names, gate order and equations.

Shapes: x (B, X), h and c (B, H). Every step function gives (h', c'), c' None but for LSTM. Sources: the equations of
PyTorch's nn.LSTM, nn.GRU and nn.RNN; Cho et al. 2014, arXiv:1406.1078, for the reset gate before the product.
"""

from typing import NamedTuple

import numpy as np

from golden.spec import CellSpec


class CellParams(NamedTuple):
    """The float parameters of one cell: w_ih (G*H, X), w_hh (G*H, H), b_ih and b_hh (G*H,) or 0.0."""

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | float
    b_hh: np.ndarray | float


def sigmoid(a: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-a)), in a form that does not overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def log_softmax(a: np.ndarray) -> np.ndarray:
    """log(softmax(a)) over the last axis."""
    shifted = a - a.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda a: np.maximum(a, 0.0),
    "identity": lambda a: a,
    "log_softmax": log_softmax,
}


def lstm_step(spec: CellSpec, p: CellParams, x: np.ndarray, h: np.ndarray, c: np.ndarray):
    """i, f, o = s(W [x, h] + b), g = tanh(...); c' = f*c + i*g; h' = o*tanh(c')."""
    i, f, g, o = np.split(x @ p.w_ih.T + p.b_ih + h @ p.w_hh.T + p.b_hh, 4, axis=1)
    c_new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c_new), c_new


def gru_after_step(spec: CellSpec, p: CellParams, x: np.ndarray, h: np.ndarray, c: None):
    """PyTorch's GRU: n = tanh(W_in x + b_in + r*(W_hn h + b_hn)); h' = (1-z)*n + z*h."""
    r_x, z_x, n_x = np.split(x @ p.w_ih.T + p.b_ih, 3, axis=1)
    r_h, z_h, n_h = np.split(h @ p.w_hh.T + p.b_hh, 3, axis=1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return (1.0 - z) * n + z * h, None


def gru_before_step(spec: CellSpec, p: CellParams, x: np.ndarray, h: np.ndarray, c: None):
    """Cho's GRU: n = tanh(W x + U (r*h) + b); h' = (1-z)*h + z*n."""
    H = spec.hidden_size
    r_x, z_x, n_x = np.split(x @ p.w_ih.T + p.b_ih + p.b_hh, 3, axis=1)
    r_h, z_h = np.split(h @ p.w_hh[: 2 * H].T, 2, axis=1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + (r * h) @ p.w_hh[2 * H :].T)
    return (1.0 - z) * h + z * n, None


def elman_step(spec: CellSpec, p: CellParams, x: np.ndarray, h: np.ndarray, c: None):
    """h' = act(W_ih x + b_ih + W_hh h + b_hh)."""
    return ACTIVATIONS[spec.activation](x @ p.w_ih.T + p.b_ih + h @ p.w_hh.T + p.b_hh), None


def step_function(spec: CellSpec):
    """The step function of a cell."""
    if spec.kind == "gru":
        return gru_after_step if spec.reset == "after" else gru_before_step
    return lstm_step if spec.kind == "lstm" else elman_step


def run_cell(spec: CellSpec, p: CellParams, x: np.ndarray, h0: np.ndarray, c0: np.ndarray | None):
    """All steps of one cell: x (T, B, X) -> (h (T, B, H), c (T, B, H) or None)."""
    step = step_function(spec)
    h, c = h0, c0
    hs, cs = [], []
    for x_t in x:
        h, c = step(spec, p, x_t, h, c)
        hs.append(h)
        cs.append(c)
    return np.stack(hs), None if c is None else np.stack(cs)
