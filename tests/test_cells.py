"""Forward passes: integers against scalar arithmetic and the fast kernels, floats against PyTorch, all errors."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scalar_model import run_scalar

from golden import bench, cells_fast
from golden.cells import forward_float, forward_int, hold, predicted_classes, real_outputs
from golden.fixed import rs, sat
from golden.params import param_shapes
from golden.random_model import random_input, random_quantized_model, random_states
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec, SpecError

CELLS = [
    *({"kind": "elman", "activation": a} for a in ("tanh", "sigmoid", "relu", "identity")),
    {"kind": "lstm"},
    {"kind": "gru", "reset": "after"},
    {"kind": "gru", "reset": "before"},
]
ACTIVATIONS = ("identity", "log_softmax", "tanh", "sigmoid", "relu")


@st.composite
def cell_specs(draw, max_hidden: int) -> CellSpec:
    size, bias = draw(st.integers(1, max_hidden)), draw(st.booleans())
    return CellSpec(hidden_size=size, bias=bias, **draw(st.sampled_from(CELLS)))


@st.composite
def models(draw, max_size: int = 4) -> ModelSpec:
    """One or two cells of any kind, any output layer or none."""
    cells = tuple(draw(st.lists(cell_specs(max_size), min_size=1, max_size=2)))
    output = None
    if draw(st.integers(0, 4)):
        size, bias = draw(st.integers(1, 3)), draw(st.booleans())
        output = OutputSpec(size, draw(st.sampled_from(ACTIVATIONS)), draw(st.sampled_from(["h", "xh"])), bias)
    return ModelSpec(draw(st.integers(1, max_size)), cells, output)


@st.composite
def cases(draw, max_size: int = 4):
    """(qmodel, x, lengths, initial): a random quantised model of any kind and inputs and states over their ranges."""
    model = draw(models(max_size))
    quant = QuantSpec(draw(st.integers(4, 8)), draw(st.integers(2, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    extreme = draw(st.integers(0, 5)) == 0
    qmodel = random_quantized_model(model, quant, rng, extreme)
    n_steps, n_sequences = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    x = random_input(model, n_steps, n_sequences, rng)
    if extreme:
        x[:] = -128
    lengths = rng.integers(1, n_steps + 1, n_sequences)
    return qmodel, x, lengths, random_states(model, n_sequences, rng)


def assert_same_trace(one, other):
    for name in ("h", "c", "h_final", "c_final"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype == np.int32
    np.testing.assert_array_equal(one.y, other.y)
    assert one.y.dtype == other.y.dtype == np.int32


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_integers_are_those_of_scalar_arithmetic(case):
    qmodel, x, lengths, (h0, c0) = case
    trace = forward_int(qmodel, x, lengths, (h0, c0), reference=True)
    for b, length in enumerate(lengths):
        start = [h[b] for h in h0], [None if c is None else c[b] for c in c0]
        steps = run_scalar(qmodel, x[:length, b], *start)
        steps += [steps[-1]] * (len(x) - length)
        for t, (h, c, y) in enumerate(steps):
            assert [state[t, b].tolist() for state in trace.h] == h
            assert [None if state is None else state[t, b].tolist() for state in trace.c] == c
            assert trace.y[t, b].tolist() == y


@settings(max_examples=150, deadline=None)
@given(cases(max_size=9))
def test_fast_kernels_give_the_same_integers(case):
    qmodel, *arguments = case
    assert_same_trace(forward_int(qmodel, *arguments), forward_int(qmodel, *arguments, reference=True))


@pytest.mark.parametrize("spec", CELLS, ids=lambda spec: "-".join(spec.values()))
def test_fast_kernels_over_several_chunks_and_both_float_types(spec):
    rng = np.random.default_rng(5)
    for hidden_size, batch in ((32, 70), (40, 3)):
        model = ModelSpec(12, (CellSpec(hidden_size=hidden_size, **spec),), OutputSpec(9, "log_softmax", "xh"))
        for weight_bits in (8, 5):
            qmodel = random_quantized_model(model, QuantSpec(weight_bits), rng)
            x, lengths = random_input(model, 6, batch, rng), rng.integers(1, 7, batch)
            initial = random_states(model, batch, rng)
            assert_same_trace(
                forward_int(qmodel, x, lengths, initial), forward_int(qmodel, x, lengths, initial, reference=True)
            )
    assert model.hidden_sizes[0] * 70 > cells_fast._CHUNK


@given(st.data())
def test_exact_rows_give_the_index_of_the_preactivation(data):
    """Truncated and clipped, the float product is sat_16(rs(acc, shift)) + 2^15 for either float type."""
    n_columns = data.draw(st.integers(1, 5))
    ints = lambda low, high, n: np.array([data.draw(st.integers(low, high)) for _ in range(n)])  # noqa: E731
    w, columns = ints(-128, 127, n_columns), ints(-128, 127, n_columns)
    bias, shift = ints(-(2**19), 2**19 - 1, 1), ints(-4, 11, 1)
    rows = cells_fast.exact_rows(w[None], bias, shift)
    product = rows @ np.append(columns, 1).astype(rows.dtype)
    expected = sat(rs(int(bias[0] + w @ columns), int(shift[0])), 16) + 32768
    assert int(np.clip(product[0], 0, 65535)) == expected


def test_exact_rows_take_float32_only_while_every_partial_sum_fits():
    ones, zero = np.ones((1, 44), np.int64), np.zeros(1, np.int64)
    assert cells_fast.exact_rows(127 * ones, zero + 2**19 - 1, zero + 5).dtype == np.float32
    assert cells_fast.exact_rows(127 * ones, zero, zero + 9).dtype == np.float64
    just = (2**24 - 32768) // 128
    wide = np.ones((1, just), np.int64)
    assert cells_fast.exact_rows(wide, zero, zero).dtype == np.float32
    assert cells_fast.exact_rows(wide, zero + 1, zero).dtype == np.float64


@pytest.mark.parametrize("reference", [True, False])
def test_states_handed_on_continue_a_sequence(reference):
    rng = np.random.default_rng(2)
    model = ModelSpec(3, (CellSpec("lstm", 5), CellSpec("gru", 4)), OutputSpec(2, "tanh", "xh"))
    qmodel, x = random_quantized_model(model, QuantSpec(), rng), random_input(model, 9, 4, rng)
    whole = forward_int(qmodel, x, reference=reference)
    first = forward_int(qmodel, x[:4], reference=reference)
    second = forward_int(qmodel, x[4:], None, (first.h_final, first.c_final), reference)
    np.testing.assert_array_equal(np.concatenate([first.y, second.y]), whole.y)
    for a, b in zip(second.h_final, whole.h_final, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_follows_a_sequence_does_not_matter_and_its_last_values_are_held():
    rng = np.random.default_rng(3)
    model = ModelSpec(3, (CellSpec("lstm", 5), CellSpec("elman", 4)), OutputSpec(2, "log_softmax", "xh"))
    qmodel, x = random_quantized_model(model, QuantSpec(), rng), random_input(model, 6, 3, rng)
    lengths = np.array([6, 1, 4])
    trace = forward_int(qmodel, x, lengths)
    other = np.where((np.arange(6)[:, None] < lengths)[..., None], x, random_input(model, 6, 3, rng))
    assert_same_trace(trace, forward_int(qmodel, other, lengths))
    for b, length in enumerate(lengths):
        alone = forward_int(qmodel, x[:length, b : b + 1])
        np.testing.assert_array_equal(trace.y[length - 1 :, b], np.repeat(alone.y_final, 7 - length, axis=0))
        for held, last in zip(trace.h_final + [trace.c_final[0]], alone.h_final + [alone.c_final[0]], strict=True):
            np.testing.assert_array_equal(held[b], last[0])


def test_hold_repeats_the_last_valid_row():
    values = np.arange(8).reshape(4, 2)
    np.testing.assert_array_equal(hold(values, np.array([2, 4])), [[0, 1], [2, 3], [2, 5], [2, 7]])
    assert hold(values, None) is values


def test_real_outputs_and_classes():
    rng = np.random.default_rng(4)
    for output, activation in ((OutputSpec(3, "log_softmax"), "log"), (OutputSpec(3, "sigmoid"), "gate"), (None, "h")):
        qmodel = random_quantized_model(ModelSpec(2, (CellSpec("lstm", 3),), output), QuantSpec(), rng)
        y = np.array([[100, 300, 300], [-5, -7, -6]])
        real = real_outputs(qmodel, y)
        if activation == "log":
            np.testing.assert_allclose(np.exp(real).sum(axis=-1), 1.0)
            difference = (y[0, 1] - y[0, 0]) * 2.0**-qmodel.output.preact_frac_bits
            assert real[0, 1] - real[0, 0] == pytest.approx(difference)
        else:
            np.testing.assert_array_equal(real, y * 2.0 ** -(15 if activation == "gate" else 7))
        assert predicted_classes(y).tolist() == predicted_classes(real).tolist() == [1, 0]


def test_benchmark_counts_steps_of_all_sequences_and_needs_no_torch(monkeypatch):
    monkeypatch.setattr(bench, "_torch_run", lambda x, hidden_size: None)
    clock = iter(range(10**6))
    every_second = SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr(bench, "time", every_second)  # every run takes one second
    figures = bench.benchmark_forward_int(n_steps=5, input_size=2, hidden_size=3, batch=4, n_runs=3)
    assert figures["golden_steps_per_s"] == 5 * 4
    assert figures["torch_steps_per_s"] is None and figures["golden_vs_torch"] is None


def test_benchmark_compares_with_torch_in_the_same_run():
    pytest.importorskip("torch", reason="torch is not installed: the benchmark has nothing to compare with")
    figures = bench.benchmark_forward_int(n_steps=5, input_size=2, hidden_size=3, batch=4, n_runs=3)
    assert figures["golden_vs_torch"] == figures["golden_steps_per_s"] / figures["torch_steps_per_s"] > 0


# --- floating point --------------------------------------------------------------------------------------------


def random_params(model: ModelSpec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: 0.6 * rng.standard_normal(shape) for name, shape in param_shapes(model).items()}


TORCH = [
    ("LSTM", {}, {"kind": "lstm"}),
    ("GRU", {}, {"kind": "gru"}),
    ("RNN", {"nonlinearity": "tanh"}, {"kind": "elman", "activation": "tanh"}),
    ("RNN", {"nonlinearity": "relu"}, {"kind": "elman", "activation": "relu"}),
]


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
@pytest.mark.parametrize(("module", "options", "spec"), TORCH, ids=["lstm", "gru", "rnn-tanh", "rnn-relu"])
def test_floats_are_pytorchs(module, options, spec, bias, n_layers):
    torch = pytest.importorskip("torch", reason="torch is not installed: float forward passes are compared with the "
                                "recorded ones of test_torch_reference.py only")
    rng = np.random.default_rng(6)
    cells = (CellSpec(hidden_size=7, bias=bias, **spec),) * n_layers
    model = ModelSpec(5, cells, OutputSpec(4, "log_softmax"))
    params = random_params(model, rng)
    names = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
    net = getattr(torch.nn, module)(5, 7, n_layers, bias=bias, **options).double()
    with torch.no_grad():
        for layer in range(n_layers):
            for ours, theirs in names.items():
                if bias or ours[0] == "w":
                    getattr(net, f"{theirs}_l{layer}").copy_(torch.from_numpy(params[f"cells.{layer}.{ours}"]))
        x, lengths = rng.standard_normal((9, 6, 5)), np.array([9, 1, 4, 9, 3, 8])
        h0, c0 = rng.standard_normal((2, n_layers, 6, 7))
        packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(x), lengths.tolist(), enforce_sorted=False)
        states = (torch.from_numpy(h0), torch.from_numpy(c0)) if module == "LSTM" else torch.from_numpy(h0)
        out, final = net(packed, states)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(out)
        w, b = torch.from_numpy(params["output.w"]), torch.from_numpy(params["output.b"])
        classes = torch.nn.functional.log_softmax(torch.nn.functional.linear(y, w, b), dim=-1).numpy()
    trace = forward_float(model, params, x, lengths, (list(h0), list(c0) if module == "LSTM" else None))
    inside = np.arange(9)[:, None] < lengths
    np.testing.assert_allclose(trace.h[-1][inside], y.numpy()[inside], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(trace.y[inside], classes[inside], rtol=1e-12, atol=1e-12)
    final = final if module == "LSTM" else (final,)
    np.testing.assert_allclose(trace.h_final, final[0].numpy(), rtol=1e-12, atol=1e-12)
    if module == "LSTM":
        np.testing.assert_allclose(trace.c_final, final[1].numpy(), rtol=1e-12, atol=1e-12)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_gru_with_the_reset_before_is_chos_equations():
    rng = np.random.default_rng(7)
    H = 4
    model = ModelSpec(3, (CellSpec("gru", H, reset="before", bias=False),))
    params, x = random_params(model, rng), rng.standard_normal((5, 2, 3))
    W_r, W_z, W = np.split(params["cells.0.w_ih"], 3)
    U_r, U_z, U = np.split(params["cells.0.w_hh"], 3)
    trace = forward_float(model, params, x)
    h = np.zeros((2, H))
    for t in range(5):
        for b in range(2):
            r, z = sigmoid(W_r @ x[t, b] + U_r @ h[b]), sigmoid(W_z @ x[t, b] + U_z @ h[b])
            h[b] = (1 - z) * h[b] + z * np.tanh(W @ x[t, b] + U @ (r * h[b]))
        np.testing.assert_allclose(trace.y[t], h, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("activation", "act"), [("sigmoid", sigmoid), ("identity", lambda a: a)])
def test_elman_with_activations_that_pytorch_lacks(activation, act):
    rng = np.random.default_rng(8)
    model = ModelSpec(3, (CellSpec("elman", 4, activation),), OutputSpec(2, "sigmoid", reads="xh"))
    p, x = random_params(model, rng), rng.standard_normal((5, 1, 3))
    trace = forward_float(model, p, x)
    h = np.zeros(4)
    for t in range(5):
        old, x_t = h, x[t, 0]
        h = act(p["cells.0.w_ih"] @ x_t + p["cells.0.b_ih"] + p["cells.0.w_hh"] @ h + p["cells.0.b_hh"])
        np.testing.assert_allclose(trace.h[0][t, 0], h, rtol=0, atol=1e-12)
        y = sigmoid(p["output.w"] @ np.concatenate([x_t, old]) + p["output.b"])
        np.testing.assert_allclose(trace.y[t, 0], y, rtol=0, atol=1e-12)


def test_float32_is_taken_and_computed_in_float64():
    rng = np.random.default_rng(9)
    model = ModelSpec(3, (CellSpec("lstm", 4),))
    params, x = random_params(model, rng), rng.standard_normal((5, 2, 3)).astype(np.float32)
    small = {name: p.astype(np.float32) for name, p in params.items()}
    trace = forward_float(model, small, x)
    assert trace.y.dtype == np.float64
    np.testing.assert_allclose(trace.y, forward_float(model, params, x).y, atol=1e-5)


# --- bad input -------------------------------------------------------------------------------------------------

MODEL = ModelSpec(3, (CellSpec("lstm", 4), CellSpec("gru", 5)))
GOOD = np.zeros((6, 2, 3), np.int32)
H, C = [np.zeros((2, 4), np.int32), np.zeros((2, 5), np.int32)], [np.zeros((2, 4), np.int32), None]

BAD_INTEGERS = [
    ({"x": GOOD.astype(float)}, r"x must be integers \(QuantizedModel.quantize_input makes them\), not float64"),
    ({"x": GOOD == 1}, r"x must be integers .*not bool"),
    ({"x": GOOD[0]}, r"x must have shape \(steps, sequences, input_size=3\), not \(2, 3\): transpose"),
    ({"x": GOOD[:, :, :2]}, r"x must have shape .*input_size=3\), not \(6, 2, 2\)"),
    ({"x": GOOD[:0]}, r"at least one step and one sequence, not shape \(0, 2, 3\): drop empty sequences"),
    ({"x": GOOD[:, :0]}, r"at least one step and one sequence"),
    ({"x": GOOD + 128}, r"x must be in -128 \.\. 127 \(signed, 8 bits\), not 128 \.\. 128: quantise"),
    ({"x": GOOD - 129}, r"x must be in -128 \.\. 127"),
    ({"lengths": np.array([1, 0])}, r"lengths must be in 1 \.\. 6 .*not 0 \.\. 1: drop empty sequences"),
    ({"lengths": np.array([1, 7])}, r"lengths must be in 1 \.\. 6 .*not 1 \.\. 7"),
    ({"lengths": np.array([1, 2, 3])}, r"lengths must be 2 integers, not int64 of shape \(3,\)"),
    ({"lengths": np.array([1.0, 2.0])}, r"lengths must be 2 integers, not float64"),
    ({"initial": (H[:1], C)}, r"initial h must have 2 entries, one a cell, not 1"),
    ({"initial": (H, [C[0], H[1]])}, r"initial c of cell 1 must be None, not an array: a gru cell has no c"),
    ({"initial": ([H[0][:1], H[1]], C)}, r"initial h of cell 0 must have shape .*=\(2, 4\), not \(1, 4\)"),
    ({"initial": ([H[0], H[1] + 128], C)}, r"initial h of cell 1 must be in -128 \.\. 127"),
    ({"initial": (H, [C[0] + 32768, None])}, r"initial c of cell 0 must be in -32768 \.\. 32767 \(signed, 16 bits\)"),
    ({"initial": ([H[0] * 1.0, H[1]], C)}, r"initial h of cell 0 must be integers, not float64"),
]


@pytest.mark.parametrize(("change", "message"), BAD_INTEGERS)
def test_bad_integer_input_gets_one_message(change, message):
    qmodel = random_quantized_model(MODEL, QuantSpec(), np.random.default_rng(0))
    with pytest.raises(SpecError, match=message):
        forward_int(qmodel, **({"x": GOOD} | change))


PARAMS = random_params(MODEL, np.random.default_rng(0))
BAD_FLOATS = [
    ({"x": GOOD + np.nan}, "x must be finite, not NaN or infinite: clean the data first"),
    ({"x": GOOD * 1j}, "x must be real numbers, not complex128"),
    ({"x": GOOD.astype(str)}, "x must be real numbers, not <U"),
    ({"initial": ([H[0] + np.inf, H[1]], C)}, "initial h of cell 0 must be finite real numbers"),
    ({"params": {k: v for k, v in PARAMS.items() if k != "cells.1.b_hh"}},
     r"parameter cells\.1\.b_hh of shape \(15,\) must be given, not left out: add it, or set bias: false"),
    ({"params": PARAMS | {"output.w": np.zeros((2, 5))}}, r"output\.w is not among them: remove it"),
    ({"params": PARAMS | {"cells.0.w_ih": np.zeros((3, 16))}},
     r"parameter cells\.0\.w_ih must have shape \(16, 3\), not \(3, 16\): transpose"),
    ({"params": PARAMS | {"cells.0.b_ih": np.full(16, np.inf)}},
     r"parameter cells\.0\.b_ih must be finite, not inf at \(0,\): train"),
    ({"params": PARAMS | {"cells.0.b_ih": np.array(["a"] * 16)}},
     r"parameter cells\.0\.b_ih must be real numbers of shape"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FLOATS)
def test_bad_float_input_gets_one_message(change, message):
    with pytest.raises(SpecError, match=message):
        forward_float(MODEL, **({"params": PARAMS, "x": GOOD * 0.5} | change))
