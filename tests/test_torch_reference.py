"""Forward passes and gradients against recorded results of PyTorch, on machines with torch and without."""

from pathlib import Path

import numpy as np
import pytest

from golden import bptt
from golden.cells import forward_float
from golden.npz import load_npz
from golden.params import param_shapes
from golden.spec import CellSpec, ModelSpec

REFERENCE = load_npz(Path(__file__).parent / "data" / "torch_reference.npz")
CASES = sorted({name.split("/")[0] for name in REFERENCE if "/" in name})
KINDS = {
    "rnn-tanh": {"kind": "elman", "activation": "tanh"},
    "rnn-relu": {"kind": "elman", "activation": "relu"},
    "lstm": {"kind": "lstm"},
    "gru": {"kind": "gru", "reset": "after"},
}
every_case = pytest.mark.parametrize("case", CASES)


def load_case(case: str):
    """(model, params, arrays of the case, initial states)."""
    arrays = {name.split("/", 1)[1]: value for name, value in REFERENCE.items() if name.startswith(f"{case}/")}
    params = {name.removeprefix("params/"): value for name, value in arrays.items() if name.startswith("params/")}
    hidden_size, input_size = arrays["y"].shape[2], arrays["x"].shape[2]
    bias = not case.endswith("-nobias")
    cell = CellSpec(hidden_size=hidden_size, bias=bias, **KINDS[case.removesuffix("-nobias")])
    initial = list(arrays["h0"]), list(arrays["c0"]) if "c0" in arrays else None
    return ModelSpec(input_size, (cell, cell)), params, arrays, initial


def test_all_cells_with_and_without_biases_are_recorded():
    assert CASES == sorted([*KINDS, *(f"{kind}-nobias" for kind in KINDS)])


@every_case
def test_parameters_have_the_names_and_shapes_of_the_model(case):
    model, params, _, _ = load_case(case)
    assert {name: p.shape for name, p in params.items()} == param_shapes(model)


@every_case
def test_forward_and_final_states_are_pytorchs(case):
    model, params, arrays, initial = load_case(case)
    trace = forward_float(model, params, arrays["x"], arrays["lengths"], initial)
    inside = np.arange(len(arrays["x"]))[:, None] < arrays["lengths"]
    np.testing.assert_allclose(trace.y[inside], arrays["y"][inside], rtol=0, atol=1e-12)
    np.testing.assert_allclose(trace.h_final, arrays["h_final"], rtol=0, atol=1e-12)
    if "c_final" in arrays:
        np.testing.assert_allclose(trace.c_final, arrays["c_final"], rtol=0, atol=1e-12)


@every_case
def test_gradients_are_pytorchs(case):
    model, params, arrays, (h0, c0) = load_case(case)
    c0 = [None] * len(model.cells) if c0 is None else c0
    tape = bptt.forward(model, params, arrays["x"], (h0, c0))
    gradients = bptt.backward(model, params, tape, arrays["loss_weights"])
    for name in params:
        np.testing.assert_allclose(
            gradients.params[name], arrays[f"grads/{name}"], rtol=1e-9, atol=1e-12, err_msg=name
        )
    np.testing.assert_allclose(gradients.h_0, arrays["grads/h0"], rtol=1e-9, atol=1e-12)
    if "grads/c0" in arrays:
        np.testing.assert_allclose(gradients.c_0, arrays["grads/c0"], rtol=1e-9, atol=1e-12)
