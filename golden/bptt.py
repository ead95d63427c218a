"""Back-propagation through time for every cell, batched: what training needs beside `golden.cells`.

`forward` runs a model and keeps what the way back needs (the tape); `backward` takes the gradient at the outputs and
returns the gradients of every parameter and of the initial states. Parameters have the names, shapes and gate order
of `golden.cells` (PyTorch's). Per time step there is one matrix product over the batch; the inputs' half of every
pre-activation and all weight gradients are one large product over all T*B rows.

Numbers pass through an `Arithmetic` at the places where the hardware rounds. `EXACT` leaves them alone; the one of
`golden.qat` rounds them as the integer model does, and `backward` then is the straight-through estimator: each
rounding counts as the identity, each derivative is taken at the rounded value.

Shape letters: T steps, B sequences, X inputs of the cell, H hidden, G gates (rows of w_ih per unit), O outputs.
Sequences shorter than T are padded with anything finite: steps beyond a sequence's end run, but nothing reads them,
so a loss that has no gradient there gives none to them either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.cells_float import log_softmax, sigmoid
from golden.spec import CellSpec, ModelSpec, OutputSpec

Params = Mapping[str, np.ndarray]


class Arithmetic:
    """Exact real numbers: the hooks at which a fake-quantised forward pass differs. `layer` counts cells from 0."""

    def params(self, params: Params) -> Params:
        """The parameters that the network computes with."""
        return params

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """The inputs (T, B, X) that the network reads."""
        return x

    def tanh(self, a: np.ndarray) -> np.ndarray:
        """tanh of a pre-activation (LSTM g, GRU n, Elman, output)."""
        return np.tanh(a)

    def sigmoid(self, a: np.ndarray) -> np.ndarray:
        return sigmoid(a)

    def linear(self, a: np.ndarray, layer: int | None) -> np.ndarray:
        """The pre-activation of relu and identity, before either; layer None is the output layer."""
        return a

    def preactivation(self, a: np.ndarray) -> np.ndarray:
        """A pre-activation that is not yet the activation's argument (n_x and n_h of GRU reset after)."""
        return a

    def hidden(self, h: np.ndarray, layer: int) -> np.ndarray:
        """A new h, or r*h of GRU reset before."""
        return h

    def cell(self, c: np.ndarray, layer: int) -> np.ndarray:
        """A new c of an LSTM."""
        return c


EXACT = Arithmetic()


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


@dataclass
class Tape:
    """A forward pass: a tape for each cell, the outputs y (T, B, O), and the output layer's input and slope."""

    cells: list[CellTape]
    y: np.ndarray
    output_input: np.ndarray | None
    output_slope: np.ndarray | None


@dataclass
class Gradients:
    """params: by parameter name; h_0: one (B, H) per cell; c_0: the same, None where a cell has no c."""

    params: dict[str, np.ndarray]
    h_0: list[np.ndarray]
    c_0: list[np.ndarray | None]


def forward(
    model: ModelSpec, params: Params, x: np.ndarray, initial=None, arithmetic: Arithmetic = EXACT
) -> Tape:
    """Runs x (T, B, X) through the model; initial = (h per cell, c or None per cell), each (B, H); default zeros."""
    x = np.asarray(x, dtype=np.float64)
    tapes = []
    given_h, given_c = initial if initial is not None else (None, None)
    for layer, spec in enumerate(model.cells):
        h_0, c_0 = (
            np.zeros((x.shape[1], spec.hidden_size)) if given is None or given[layer] is None else given[layer]
            for given in (given_h, given_c)
        )
        tape = _FORWARD[_form(spec)](spec, _cell_params(params, layer), x, h_0, c_0, arithmetic, layer)
        tapes.append(tape)
        x = tape.h[1:]
    if model.output is None:
        return Tape(tapes, x, None, None)
    return Tape(tapes, *_output_forward(model.output, params, tapes[-1], arithmetic))


def backward(model: ModelSpec, params: Params, tape: Tape, dy: np.ndarray) -> Gradients:
    """Gradients of a loss whose gradient at tape.y is dy (T, B, O)."""
    grads: dict[str, np.ndarray] = {}
    top = tape.cells[-1]
    dh, dh_old, dx_extra = dy, None, None  # at the last cell's new h, at its old h, at its input
    if model.output is not None:
        dinput = _output_backward(model.output, params, tape, dy, grads)
        if model.output.reads == "xh":
            x_size = top.x.shape[2]
            dx_extra, dh_old = dinput[..., :x_size], dinput[..., x_size:]
            dh = np.zeros_like(dh_old)
            dh[:-1] = dh_old[1:]  # old h of step t+1 is the new h of step t
        else:
            dh = dinput
    h_0, c_0 = [None] * len(model.cells), [None] * len(model.cells)
    for layer in reversed(range(len(model.cells))):
        spec, cell_params = model.cells[layer], _cell_params(params, layer)
        da, dh_first, dc_first = _BACKWARD[_form(spec)](spec, cell_params, tape.cells[layer], dh)
        dx, cell_grads = _cell_gradients(spec, cell_params, tape.cells[layer], da)
        grads.update({f"cells.{layer}.{name}": value for name, value in cell_grads.items()})
        h_0[layer], c_0[layer] = dh_first, dc_first
        if layer == len(model.cells) - 1 and dh_old is not None:
            h_0[layer] = h_0[layer] + dh_old[0]
            dx = dx + dx_extra
        dh = dx
    return Gradients(grads, h_0, c_0)


def _form(spec: CellSpec) -> str:
    return f"gru {spec.reset}" if spec.kind == "gru" else spec.kind


def _cell_params(params: Params, layer: int) -> dict[str, np.ndarray]:
    prefix = f"cells.{layer}."
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


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
        value, slope[t] = _activate(spec.activation, a[t] + h[t] @ w_hh, arithmetic, layer)
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


_FORWARD = {"elman": _elman_forward, "lstm": _lstm_forward,
            "gru after": _gru_after_forward, "gru before": _gru_before_forward}
_BACKWARD = {"elman": _elman_backward, "lstm": _lstm_backward,
             "gru after": _gru_after_backward, "gru before": _gru_before_backward}


def _cell_gradients(spec: CellSpec, p: Params, tape: CellTape, da: np.ndarray):
    """Weight gradients from the pre-activations' gradients da, and the gradient at x (T, B, X)."""
    n = spec.hidden_size
    da_x = da_h = da.reshape(-1, da.shape[2])
    if _form(spec) == "gru after":  # n_x and n_h have gradients of their own
        da_x, da_h = da_x[:, : 3 * n], np.concatenate([da_h[:, : 2 * n], da_h[:, 3 * n :]], axis=1)
    h = tape.h[:-1].reshape(-1, n)
    grads = {"w_ih": da_x.T @ tape.x.reshape(-1, tape.x.shape[2]), "w_hh": da_h.T @ h}
    if _form(spec) == "gru before":  # the n rows read r*h
        grads["w_hh"][2 * n :] = da_h[:, 2 * n :].T @ tape.kept["rh"].reshape(-1, n)
    if "b_ih" in p:
        grads["b_ih"], grads["b_hh"] = da_x.sum(axis=0), da_h.sum(axis=0)
    return (da_x @ p["w_ih"]).reshape(*da.shape[:2], -1), grads


def _activate(kind: str, a: np.ndarray, arithmetic: Arithmetic, layer: int | None):
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


# Rounding moves a relu or identity pre-activation by at most half its resolution (2^-1 of s16.0); more is saturation.
SATURATION_SLACK = 0.5


def _output_forward(spec: OutputSpec, params: Params, top: CellTape, arithmetic: Arithmetic):
    z = top.h[1:] if spec.reads == "h" else np.concatenate([top.x, top.h[:-1]], axis=2)
    a = (z.reshape(-1, z.shape[2]) @ params["output.w"].T).reshape(*z.shape[:2], -1)
    if "output.b" in params:
        a = a + params["output.b"]
    if spec.activation == "log_softmax":
        return log_softmax(arithmetic.linear(a, None)), z, None
    y, slope = _activate(spec.activation, a, arithmetic, None)
    return y, z, slope


def _output_backward(spec: OutputSpec, params: Params, tape: Tape, dy, grads) -> np.ndarray:
    if spec.activation == "log_softmax":
        da = dy - np.exp(tape.y) * dy.sum(axis=-1, keepdims=True)
    else:
        da = dy * tape.output_slope
    rows = da.reshape(-1, da.shape[2])
    grads["output.w"] = rows.T @ tape.output_input.reshape(-1, tape.output_input.shape[2])
    if "output.b" in params:
        grads["output.b"] = rows.sum(axis=0)
    return (rows @ params["output.w"]).reshape(*da.shape[:2], -1)
