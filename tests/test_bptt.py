"""Back-propagation through time against central differences, the float model, the integer model and PyTorch."""

from itertools import product

import numpy as np
import pytest

from golden import bptt
from golden.cells import forward_float, forward_int
from golden.fit import cross_entropy, init_params, step_weights
from golden.qat import FakeQuantized, real_params
from golden.quantize import requantize
from golden.random_model import random_input, random_quantized_model, random_states
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec

N_STEPS, N_SEQUENCES, N_INPUTS, N_HIDDEN = 5, 3, 2, 3
LENGTHS = np.array([5, 2, 4])
KINDS = [
    *({"kind": "elman", "activation": a} for a in ("tanh", "sigmoid", "relu", "identity")),
    {"kind": "lstm"},
    {"kind": "gru", "reset": "after"},
    {"kind": "gru", "reset": "before"},
]


def cell(kind: dict, bias: bool = True) -> CellSpec:
    return CellSpec(hidden_size=N_HIDDEN, bias=bias, **kind)


def name_of(model: ModelSpec) -> str:
    cells = "+".join(
        f"{c.kind}{'-' + (c.activation or c.reset) if c.kind != 'lstm' else ''}{'' if c.bias else '-nobias'}"
        for c in model.cells
    )
    return cells + (f"-{model.output.activation}-{model.output.reads}" if model.output else "")


def single(kind: dict, bias: bool, output: OutputSpec | None) -> ModelSpec:
    return ModelSpec(N_INPUTS, (cell(kind, bias),), output)


MODELS = [
    *(single(kind, bias, None) for kind, bias in product(KINDS, (True, False))),
    *(single(kind, True, OutputSpec(4, "log_softmax", reads)) for kind, reads in product(KINDS, ("h", "xh"))),
    *(single(KINDS[4], True, OutputSpec(4, activation, bias=bias))
      for activation, bias in product(("identity", "tanh", "sigmoid", "relu"), (True, False))),
    *(ModelSpec(N_INPUTS, (cell(below), cell(above, bias=False)), OutputSpec(2, "identity", "xh"))
      for below, above in zip(KINDS, KINDS[3:] + KINDS[:3], strict=True)),
]
all_models = pytest.mark.parametrize("model", MODELS, ids=name_of)


def random_case(model: ModelSpec):
    """Parameters, inputs, initial states and an output gradient that is zero beyond each sequence's end."""
    rng = np.random.default_rng(7)
    params = {name: p + 0.4 * rng.standard_normal(p.shape) for name, p in init_params(model, rng).items()}
    x = rng.standard_normal((N_STEPS, N_SEQUENCES, model.input_size))
    states = [rng.standard_normal((N_SEQUENCES, n)) for n in model.hidden_sizes * 2]
    h_0, c_0 = states[: len(model.cells)], states[len(model.cells) :]
    c_0 = [c if spec.kind == "lstm" else None for c, spec in zip(c_0, model.cells, strict=True)]
    dy = rng.standard_normal((N_STEPS, N_SEQUENCES, model.output_size))
    dy *= (np.arange(N_STEPS)[:, None] < LENGTHS)[..., None]
    return params, x, (h_0, c_0), dy


def central_difference(loss, array: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The gradient of loss() at every element of array, which is changed in place and put back."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        gradient[index] = (above - loss()) / (2 * step)
        array[index] = value
    return gradient


@all_models
def test_gradient_of_every_parameter_and_initial_state_is_the_central_difference(model):
    params, x, initial, dy = random_case(model)
    tape = bptt.forward(model, params, x, initial)
    gradients = bptt.backward(model, params, tape, dy)
    assert gradients.params.keys() == params.keys()

    def loss() -> float:
        return float((bptt.forward(model, params, x, initial).y * dy).sum())

    for name, p in params.items():
        np.testing.assert_allclose(gradients.params[name], central_difference(loss, p), rtol=1e-6, atol=2e-8,
                                   err_msg=name)
        assert np.abs(gradients.params[name]).max() > 1e-3, f"{name}: a gradient of nothing proves nothing"
    for state, given in ((gradients.h_0, initial[0]), (gradients.c_0, initial[1])):
        for layer, array in enumerate(given):
            if array is None:
                assert state[layer] is None
            else:
                np.testing.assert_allclose(state[layer], central_difference(loss, array), rtol=1e-6, atol=2e-8)


@all_models
def test_forward_is_the_float_model_as_far_as_each_sequence_goes(model):
    params, x, initial, _ = random_case(model)
    tape = bptt.forward(model, params, x, initial)
    trace = forward_float(model, params, x, LENGTHS, initial)
    inside = np.arange(N_STEPS)[:, None] < LENGTHS
    np.testing.assert_allclose(tape.y[inside], trace.y[inside], rtol=0, atol=1e-12)
    for layer, cell_tape in enumerate(tape.cells):
        np.testing.assert_allclose(cell_tape.h[1:][inside], trace.h[layer][inside], rtol=0, atol=1e-12)
        if cell_tape.c is not None:
            np.testing.assert_allclose(cell_tape.c[1:][inside], trace.c[layer][inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", ["last", "every"])
def test_gradient_of_the_training_loss_ignores_what_follows_a_sequence(loss):
    model = MODELS[8]
    params, x, initial, _ = random_case(model)
    labels = np.array([0, 1, 2])

    def gradients(inputs: np.ndarray):
        tape = bptt.forward(model, params, inputs, initial)
        value, dy = cross_entropy(tape.y, labels, step_weights(loss, LENGTHS), 3, 4.0)
        return value, bptt.backward(model, params, tape, dy).params

    value, grads = gradients(x)
    for name, p in params.items():
        numeric = central_difference(lambda: gradients(x)[0], p)
        np.testing.assert_allclose(grads[name], numeric, rtol=1e-6, atol=2e-8, err_msg=name)
    other = np.where((np.arange(N_STEPS)[:, None] < LENGTHS)[..., None], x, 100.0)
    other_value, other_grads = gradients(other)
    assert other_value == value
    for name in params:
        np.testing.assert_allclose(other_grads[name], grads[name], rtol=1e-12, atol=1e-15, err_msg=name)


@all_models
@pytest.mark.parametrize("weight_bits", [4, 8])
def test_fake_quantised_forward_is_the_integer_model_times_its_resolution(model, weight_bits):
    rng = np.random.default_rng(11)
    qmodel = random_quantized_model(model, QuantSpec(weight_bits=weight_bits), rng)
    x = random_input(model, 12, 5, rng)
    h_0, c_0 = random_states(model, 5, rng)
    real_h = [np.ldexp(h, -cell.h_frac_bits) for h, cell in zip(h_0, qmodel.cells, strict=True)]
    real_c = [None if c is None else np.ldexp(c, -cell.c_frac_bits) for c, cell in zip(c_0, qmodel.cells, strict=True)]
    arithmetic = FakeQuantized(qmodel)

    trace = forward_int(qmodel, x, initial=(h_0, c_0))
    tape = bptt.forward(model, real_params(qmodel), arithmetic.inputs(x / 128), (real_h, real_c), arithmetic)

    for layer, quantized in enumerate(qmodel.cells):
        np.testing.assert_array_equal(np.ldexp(tape.cells[layer].h[1:], quantized.h_frac_bits), trace.h[layer])
        if trace.c[layer] is not None:
            np.testing.assert_array_equal(np.ldexp(tape.cells[layer].c[1:], quantized.c_frac_bits), trace.c[layer])
    if model.output is not None and model.output.activation == "log_softmax":
        logits = np.ldexp(trace.y, -qmodel.y_frac_bits)
        expected = logits - logits.max(axis=-1, keepdims=True)
        expected -= np.log(np.exp(expected).sum(axis=-1, keepdims=True))
        np.testing.assert_allclose(tape.y, expected, rtol=0, atol=1e-12)
    else:
        np.testing.assert_array_equal(np.ldexp(tape.y, qmodel.y_frac_bits), trace.y)


@all_models
def test_codes_survive_the_way_to_float_parameters_and_back(model):
    qmodel = random_quantized_model(model, QuantSpec(), np.random.default_rng(3))
    arithmetic = FakeQuantized(qmodel)
    once = requantize(arithmetic.qmodel, real_params(qmodel))
    twice = requantize(arithmetic.qmodel, real_params(once))
    for before, after in ((qmodel, once), (once, twice)):
        for one, other in zip((*before.cells, before.output), (*after.cells, after.output), strict=True):
            if one is not None:
                np.testing.assert_array_equal(np.maximum(one.w, -127), other.w)  # quantising is symmetric
                np.testing.assert_array_equal(one.bias, other.bias)


TORCH_MODELS = [
    ("RNN", {"nonlinearity": "tanh"}, {"kind": "elman", "activation": "tanh"}),
    ("RNN", {"nonlinearity": "relu"}, {"kind": "elman", "activation": "relu"}),
    ("LSTM", {}, {"kind": "lstm"}),
    ("GRU", {}, {"kind": "gru", "reset": "after"}),
]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
@pytest.mark.parametrize(("module", "options", "kind"), TORCH_MODELS, ids=lambda v: v if isinstance(v, str) else None)
def test_gradients_are_those_of_pytorch(module, options, kind, bias):
    torch = pytest.importorskip("torch", reason="torch is not installed: gradients are not compared with PyTorch")
    model = ModelSpec(N_INPUTS, (cell(kind, bias), cell(kind, bias)))
    params, x, (h_0, c_0), dy = random_case(model)
    net = getattr(torch.nn, module)(N_INPUTS, N_HIDDEN, num_layers=2, bias=bias, **options).double()
    names = {"w_ih": "weight_ih_l", "w_hh": "weight_hh_l", "b_ih": "bias_ih_l", "b_hh": "bias_hh_l"}
    theirs = {f"cells.{layer}.{ours}": getattr(net, name + str(layer))
              for layer in range(2) for ours, name in names.items() if bias or ours[0] == "w"}
    with torch.no_grad():
        for name, p in theirs.items():
            p.copy_(torch.from_numpy(params[name]))
    states = [torch.from_numpy(np.stack(s)).requires_grad_() for s in (h_0, c_0) if s[0] is not None]
    y, _ = net(torch.from_numpy(x), tuple(states) if module == "LSTM" else states[0])
    (y * torch.from_numpy(dy)).sum().backward()

    tape = bptt.forward(model, params, x, (h_0, c_0))
    gradients = bptt.backward(model, params, tape, dy)
    np.testing.assert_allclose(tape.y, y.detach().numpy(), rtol=0, atol=1e-12)
    assert gradients.params.keys() == theirs.keys()
    for name, p in theirs.items():
        np.testing.assert_allclose(gradients.params[name], p.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    for state, ours in zip(states, (gradients.h_0, gradients.c_0), strict=False):
        np.testing.assert_allclose(np.stack(ours), state.grad.numpy(), rtol=1e-9, atol=1e-12)
