"""Every cell forward with a tape, and backward from it: the equations of `golden.bptt`.

A forward function runs a whole sequence: x (T, B, X), h_0 and c_0 (B, H) give a CellTape. A backward function takes
the tape and the gradient dh_out (T, B, H) at every new h, and gives the gradients at the pre-activations da
(T, B, G*H), at h_0 and at c_0 (None where there is no c); `cell_gradients` turns da into those of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.arithmetic import Arithmetic, Params
from golden.spec import CellSpec

# Rounding moves a relu or identity pre-activation by at most half its resolution (2^-1 of s16.0); more is saturation.
SATURATION_SLACK = 0.5


@dataclass
class CellTape:
    """What one cell keeps of a forward pass.

    x (T, B, X); h (T+1, B, H) and, LSTM only, c (T+1, B, H), both beginning with the initial state; kept: the values
    of that kind of cell, each (T, B, ...).
    """

    x: np.ndarray
    h: np.ndarray
    c: np.ndarray | None
    kept: dict[str, np.ndarray]


def form_of(spec: CellSpec) -> str:
    """The key of FORWARD and BACKWARD."""
    return f"gru {spec.reset}" if spec.kind == "gru" else spec.kind


def activate(kind: str, a: np.ndarray, arithmetic: Arithmetic, layer: int | None):
    """The activation's value and its slope; a saturated relu or identity has none."""
    if kind == "tanh":
        value = arithmetic.tanh(a)
        return value, 1 - value**2
    if kind == "sigmoid":
        value = arithmetic.sigmoid(a)
        return value, value * (1 - value)
    pre = arithmetic.linear(a, layer)
    slope = (np.abs(pre - a) <= SATURATION_SLACK).astype(np.float64)
    return (np.maximum(pre, 0.0), slope * (pre > 0)) if kind == "relu" else (pre, slope)


def _input_half(p: Params, x: np.ndarray) -> np.ndarray:
    """W_ih x + b_ih of all steps at once, (T, B, G*H)."""
    a = (x.reshape(-1, x.shape[2]) @ p["w_ih"].T).reshape(*x.shape[:2], -1)
    return a + p["b_ih"] if "b_ih" in p else a


def _states(x: np.ndarray, s_0: np.ndarray) -> np.ndarray:
    states = np.empty((x.shape[0] + 1, *s_0.shape))
    states[0] = s_0
    return states


# Elman: h' = act(W_ih x + b_ih + W_hh h + b_hh)


def _elman_forward(spec, p, x, h_0, c_0, arithmetic, layer) -> CellTape:
    a, w_hh = _input_half(p, x) + p.get("b_hh", 0.0), p["w_hh"].T
    h, slope = _states(x, h_0), np.empty_like(a)
    for t in range(x.shape[0]):
        value, slope[t] = activate(spec.activation, a[t] + h[t] @ w_hh, arithmetic, layer)
        h[t + 1] = arithmetic.hidden(value, layer)
    return CellTape(x, h, None, {"slope": slope})


def _elman_backward(spec, p, tape: CellTape, dh_out):
    slope, w_hh = tape.kept["slope"], p["w_hh"]
    da, dh = np.empty_like(slope), np.zeros_like(tape.h[0])
    for t in reversed(range(len(slope))):
        da[t] = (dh + dh_out[t]) * slope[t]
        dh = da[t] @ w_hh
    return da, dh, None


# LSTM: c' = f*c + i*g, h' = o*tanh(c')


def _lstm_forward(spec, p, x, h_0, c_0, arithmetic, layer) -> CellTape:
    n = spec.hidden_size
    a, w_hh = _input_half(p, x) + p.get("b_hh", 0.0), p["w_hh"].T
    h, c = _states(x, h_0), _states(x, c_0)
    tanh_c = np.empty_like(h[1:])
    for t in range(x.shape[0]):
        gates = a[t]  # becomes i, f, g, o in place
        gates += h[t] @ w_hh
        g = arithmetic.tanh(gates[:, 2 * n : 3 * n])
        gates[:] = arithmetic.sigmoid(gates)
        gates[:, 2 * n : 3 * n] = g
        i, f, o = gates[:, :n], gates[:, n : 2 * n], gates[:, 3 * n :]
        c[t + 1] = arithmetic.cell(f * c[t] + i * g, layer)
        tanh_c[t] = arithmetic.tanh(c[t + 1])
        h[t + 1] = arithmetic.hidden(o * tanh_c[t], layer)
    return CellTape(x, h, c, {"gates": a, "tanh_c": tanh_c})


def _lstm_backward(spec, p, tape: CellTape, dh_out):
    n, w_hh, gates, tanh_c = spec.hidden_size, p["w_hh"], tape.kept["gates"], tape.kept["tanh_c"]
    slope = gates * (1 - gates)
    slope[..., 2 * n : 3 * n] = 1 - gates[..., 2 * n : 3 * n] ** 2
    tanh_slope = 1 - tanh_c**2
    da, dh, dc = np.empty_like(gates), np.zeros_like(tanh_c[0]), np.zeros_like(tanh_c[0])
    for t in reversed(range(len(gates))):
        i, f, g, o = (gates[t, :, k * n : (k + 1) * n] for k in range(4))
        dh = dh + dh_out[t]
        dc = dc + dh * o * tanh_slope[t]
        da[t, :, :n] = dc * g
        da[t, :, n : 2 * n] = dc * tape.c[t]
        da[t, :, 2 * n : 3 * n] = dc * i
        da[t, :, 3 * n :] = dh * tanh_c[t]
        da[t] *= slope[t]
        dh, dc = da[t] @ w_hh, dc * f
    return da, dh, dc


# GRU, reset after the product: n = tanh(n_x + r*n_h), h' = (1-z)*n + z*h


def _gru_after_forward(spec, p, x, h_0, c_0, arithmetic, layer) -> CellTape:
    n = spec.hidden_size
    a, w_hh, b_hh = _input_half(p, x), p["w_hh"].T, p.get("b_hh", 0.0)
    h, gates, n_h = _states(x, h_0), np.empty_like(a), np.empty((*x.shape[:2], n))
    for t in range(x.shape[0]):
        a_h = h[t] @ w_hh + b_hh
        gates[t, :, : 2 * n] = arithmetic.sigmoid(a[t, :, : 2 * n] + a_h[:, : 2 * n])
        r, z = gates[t, :, :n], gates[t, :, n : 2 * n]
        n_h[t] = arithmetic.preactivation(a_h[:, 2 * n :])
        new = arithmetic.tanh(arithmetic.preactivation(a[t, :, 2 * n :]) + r * n_h[t])
        gates[t, :, 2 * n :] = new
        h[t + 1] = arithmetic.hidden(new + z * (h[t] - new), layer)
    return CellTape(x, h, None, {"gates": gates, "n_h": n_h})


def _gru_after_backward(spec, p, tape: CellTape, dh_out):
    """da is (T, B, 4H) here: r, z, n_x and, because the reset gate scales it, n_h apart."""
    n, w_hh, gates, n_h = spec.hidden_size, p["w_hh"], tape.kept["gates"], tape.kept["n_h"]
    r, z, new = gates[..., :n], gates[..., n : 2 * n], gates[..., 2 * n :]
    gate_slope, new_slope = gates[..., : 2 * n] * (1 - gates[..., : 2 * n]), (1 - z) * (1 - new**2)
    da, dh = np.empty((*gates.shape[:2], 4 * n)), np.zeros_like(n_h[0])
    by_h = np.empty((gates.shape[1], 3 * n))
    for t in reversed(range(len(gates))):
        dh = dh + dh_out[t]
        dn = dh * new_slope[t]
        da[t, :, :n] = dn * n_h[t]
        da[t, :, n : 2 * n] = dh * (tape.h[t] - new[t])
        da[t, :, : 2 * n] *= gate_slope[t]
        da[t, :, 2 * n : 3 * n] = dn
        da[t, :, 3 * n :] = dn * r[t]
        by_h[:, : 2 * n], by_h[:, 2 * n :] = da[t, :, : 2 * n], da[t, :, 3 * n :]
        dh = dh * z[t] + by_h @ w_hh
    return da, dh, None


# GRU, reset before the product: n = tanh(W x + W_hn (r*h) + b), h' = (1-z)*h + z*n


def _gru_before_forward(spec, p, x, h_0, c_0, arithmetic, layer) -> CellTape:
    n = spec.hidden_size
    a, w_hh = _input_half(p, x) + p.get("b_hh", 0.0), p["w_hh"].T
    h, gates, rh = _states(x, h_0), np.empty_like(a), np.empty((*x.shape[:2], n))
    for t in range(x.shape[0]):
        gates[t, :, : 2 * n] = arithmetic.sigmoid(a[t, :, : 2 * n] + h[t] @ w_hh[:, : 2 * n])
        r, z = gates[t, :, :n], gates[t, :, n : 2 * n]
        rh[t] = arithmetic.hidden(r * h[t], layer)
        new = arithmetic.tanh(a[t, :, 2 * n :] + rh[t] @ w_hh[:, 2 * n :])
        gates[t, :, 2 * n :] = new
        h[t + 1] = arithmetic.hidden(h[t] + z * (new - h[t]), layer)
    return CellTape(x, h, None, {"gates": gates, "rh": rh})


def _gru_before_backward(spec, p, tape: CellTape, dh_out):
    n, w_hh, gates = spec.hidden_size, p["w_hh"], tape.kept["gates"]
    r, z, new = gates[..., :n], gates[..., n : 2 * n], gates[..., 2 * n :]
    gate_slope, new_slope = gates[..., : 2 * n] * (1 - gates[..., : 2 * n]), z * (1 - new**2)
    da, dh = np.empty_like(gates), np.zeros_like(tape.h[0])
    for t in reversed(range(len(gates))):
        h = tape.h[t]
        dh = dh + dh_out[t]
        da[t, :, 2 * n :] = dh * new_slope[t]
        drh = da[t, :, 2 * n :] @ w_hh[2 * n :]
        da[t, :, :n] = drh * h
        da[t, :, n : 2 * n] = dh * (new[t] - h)
        da[t, :, : 2 * n] *= gate_slope[t]
        dh = dh * (1 - z[t]) + drh * r[t] + da[t, :, : 2 * n] @ w_hh[: 2 * n]
    return da, dh, None


FORWARD = {"elman": _elman_forward, "lstm": _lstm_forward,
            "gru after": _gru_after_forward, "gru before": _gru_before_forward}
BACKWARD = {"elman": _elman_backward, "lstm": _lstm_backward,
             "gru after": _gru_after_backward, "gru before": _gru_before_backward}


def cell_gradients(spec: CellSpec, p: Params, tape: CellTape, da: np.ndarray):
    """Weight gradients from the pre-activations' gradients da, and the gradient at x (T, B, X)."""
    n = spec.hidden_size
    da_x = da_h = da.reshape(-1, da.shape[2])
    if form_of(spec) == "gru after":  # n_x and n_h have gradients of their own
        da_x, da_h = da_x[:, : 3 * n], np.concatenate([da_h[:, : 2 * n], da_h[:, 3 * n :]], axis=1)
    h = tape.h[:-1].reshape(-1, n)
    grads = {"w_ih": da_x.T @ tape.x.reshape(-1, tape.x.shape[2]), "w_hh": da_h.T @ h}
    if form_of(spec) == "gru before":  # the n rows read r*h
        grads["w_hh"][2 * n :] = da_h[:, 2 * n :].T @ tape.kept["rh"].reshape(-1, n)
    if "b_ih" in p:
        grads["b_ih"], grads["b_hh"] = da_x.sum(axis=0), da_h.sum(axis=0)
    return (da_x @ p["w_ih"]).reshape(*da.shape[:2], -1), grads
