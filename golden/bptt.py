"""Back-propagation through time for every cell, batched: what training needs beside `golden.cells`.

`forward` runs a model and keeps what the way back needs (the tape); `backward` takes the gradient at the outputs and
returns the gradients of every parameter and of the initial states. Parameters have the names, shapes and gate order
of `golden.cells` (PyTorch's). Per time step there is one matrix product over the batch; the inputs' half of every
pre-activation and all weight gradients are one large product over all T*B rows.

Numbers pass through an `Arithmetic` (`golden.arithmetic`) at the places where the hardware rounds. `EXACT` leaves
them alone; the one of `golden.qat` rounds them as the integer model does, and `backward` then is the straight-through
estimator: each rounding counts as the identity, each derivative is taken at the rounded value.

Shape letters: T steps, B sequences, X inputs of the cell, H hidden, G gates (rows of w_ih per unit), O outputs.
Sequences shorter than T are padded with anything finite: steps beyond a sequence's end run, but nothing reads them,
so a loss that has no gradient there gives none to them either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.arithmetic import EXACT, Arithmetic, Params
from golden.bptt_cells import BACKWARD, FORWARD, CellTape, activate, cell_gradients, form_of
from golden.cells_float import log_softmax
from golden.spec import ModelSpec, OutputSpec


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
        tape = FORWARD[form_of(spec)](spec, _cell_params(params, layer), x, h_0, c_0, arithmetic, layer)
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
        da, dh_first, dc_first = BACKWARD[form_of(spec)](spec, cell_params, tape.cells[layer], dh)
        dx, cell_grads = cell_gradients(spec, cell_params, tape.cells[layer], da)
        grads.update({f"cells.{layer}.{name}": value for name, value in cell_grads.items()})
        h_0[layer], c_0[layer] = dh_first, dc_first
        if layer == len(model.cells) - 1 and dh_old is not None:
            h_0[layer] = h_0[layer] + dh_old[0]
            dx = dx + dx_extra
        dh = dx
    return Gradients(grads, h_0, c_0)


def _cell_params(params: Params, layer: int) -> dict[str, np.ndarray]:
    prefix = f"cells.{layer}."
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def _output_forward(spec: OutputSpec, params: Params, top: CellTape, arithmetic: Arithmetic):
    z = top.h[1:] if spec.reads == "h" else np.concatenate([top.x, top.h[:-1]], axis=2)
    a = (z.reshape(-1, z.shape[2]) @ params["output.w"].T).reshape(*z.shape[:2], -1)
    if "output.b" in params:
        a = a + params["output.b"]
    if spec.activation == "log_softmax":
        return log_softmax(arithmetic.linear(a, None)), z, None
    y, slope = activate(spec.activation, a, arithmetic, None)
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
