"""Quantisation: codes, formats and errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.cells import forward_float, forward_int, real_outputs
from golden.formats import input_ranges
from golden.params import param_shapes
from golden.quantize import quantize_ptq, requantize
from golden.quantized import QuantizedModel
from golden.row_codes import ColumnStatistics, best_codes, feedback_codes, fits, fixed_codes, nearest_codes
from golden.rows import ColumnFormats, folded_cell, folded_output
from golden.spec import ModelSpec, OutputSpec, QuantSpec, SpecError
from tests.quantised_cells import CELLS

every_cell = pytest.mark.parametrize("name", CELLS)


def trained_like(model: ModelSpec, rng: np.random.Generator, gain: float = 0.8) -> dict[str, np.ndarray]:
    """Parameters of the size that training gives: rows of norm about `gain`."""
    shapes = param_shapes(model).items()
    scales = {name: gain / np.sqrt(shape[-1]) if len(shape) == 2 else 0.2 for name, shape in shapes}
    return {name: scales[name] * rng.standard_normal(shape) for name, shape in shapes}


def make_case(name: str, output: OutputSpec | None, weight_bits: int = 8, seed: int = 1):
    """(model, params, x for calibration, x for the test, lengths)."""
    rng = np.random.default_rng(seed)
    model = ModelSpec(5, (CELLS[name], CELLS[name]), output)
    x = rng.standard_normal((12, 80, 5)) * [1, 0.1, 10, 1, 1] * 0.5
    if CELLS[name].bias:
        x += [0, 1, -20, 0, 3]
    return model, trained_like(model, rng), x[:, :40], x[:, 40:], rng.integers(3, 13, 40)


def unit_errors(qmodel: QuantizedModel, model, params, x, lengths):
    """(error, spread) of y as real numbers, root mean square over all steps."""
    exact = forward_float(model, params, x, lengths)
    integer = forward_int(qmodel, qmodel.quantize_input(x), lengths)
    return np.sqrt(np.mean((real_outputs(qmodel, integer.y) - exact.y) ** 2)), exact.y.std()


# --- calibration -------------------------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("reads", ["h", "xh"])
def test_integer_network_is_close_to_the_float_one_on_data_it_was_not_calibrated_with(name, reads):
    model, params, calibration, x, lengths = make_case(name, OutputSpec(4, "log_softmax", reads, CELLS[name].bias))
    qmodel = quantize_ptq(model, params, QuantSpec(), calibration, lengths)
    error, spread = unit_errors(qmodel, model, params, x, lengths)
    assert error < 0.05 * spread


@every_cell
def test_fewer_weight_bits_cost_accuracy_and_feedback_saves_some_of_it(name):
    model, params, calibration, x, lengths = make_case(name, None)
    params = {key: p * 0.3 if key.endswith("w_ih") else p for key, p in params.items()}  # few bits reach less far
    errors, nearest = [], []
    for weight_bits in (5, 6, 8):
        qmodel = quantize_ptq(model, params, QuantSpec(weight_bits), calibration, lengths)
        assert max(np.abs(cell.w).max() for cell in qmodel.cells) <= QuantSpec(weight_bits).weight_max
        errors.append(unit_errors(qmodel, model, params, x, lengths)[0])
        nearest.append(unit_errors(requantize(qmodel, params), model, params, x, lengths)[0])
    assert errors[0] > errors[1] > 0.99 * errors[2]  # at 8 bits the rounding of h itself may be all that is left
    assert errors[0] < nearest[0]


@every_cell
def test_each_row_is_as_close_as_its_exponent_allows(name):
    """Codes to the nearest are within half a code of the folded weights, in every row by its own exponent."""
    model, params, calibration, _, lengths = make_case(name, OutputSpec(4))
    qmodel = quantize_ptq(model, params, QuantSpec(), calibration, lengths)
    nearest = requantize(qmodel, params)
    formats = ColumnFormats(qmodel.x_offset, qmodel.x_scale, tuple(cell.h_frac_bits for cell in qmodel.cells))
    layers = [(folded_cell(model, k, params, formats), cell) for k, cell in enumerate(nearest.cells)]
    for (w, b), layer in [*layers, (folded_output(model, params, formats), nearest.output)]:
        exponent = layer.shift.astype(int) + layer.preact_frac_bits - 7
        step = np.ldexp(1.0, -exponent)
        clipped = np.abs(layer.w) == 127
        error = np.abs(layer.w * step[..., None] - w)
        assert (error <= step[..., None] / 2 * (1 + 1e-12))[~clipped].all()
        assert clipped.mean() < 0.05
        assert (np.abs(layer.bias * step / 128 - b) <= step / 256 * (1 + 1e-12)).all()


def test_scales_of_the_inputs_do_not_matter():
    """Channels in other units give the same integers, up to rounding: the scale is folded into the weights."""
    model, params, calibration, x, lengths = make_case("lstm", OutputSpec(4))
    units = np.array([1.0, 2.0, 0.25, 8.0, 1.0])
    scaled = params | {"cells.0.w_ih": params["cells.0.w_ih"] / units}
    one = quantize_ptq(model, params, QuantSpec(), calibration, lengths)
    other = quantize_ptq(model, scaled, QuantSpec(), calibration * units, lengths)
    np.testing.assert_array_equal(one.quantize_input(x), other.quantize_input(x * units))
    np.testing.assert_array_equal(one.cells[0].w, other.cells[0].w)
    np.testing.assert_array_equal(one.cells[0].bias, other.cells[0].bias)


def test_steps_beyond_a_sequence_do_not_calibrate():
    model, params, calibration, _, lengths = make_case("lstm", OutputSpec(4))
    other = np.where((np.arange(12)[:, None] < lengths)[..., None], calibration, 1000.0)
    one, two = (quantize_ptq(model, params, QuantSpec(), x, lengths).to_arrays() for x in (calibration, other))
    for key, array in one.items():
        np.testing.assert_array_equal(array, two[key])


def test_float32_parameters_give_the_same_integers_as_their_float64_values():
    model, params, calibration, _, lengths = make_case("gru-after", OutputSpec(4))
    small = {name: p.astype(np.float32) for name, p in params.items()}
    wide = {name: p.astype(np.float64) for name, p in small.items()}
    one, two = (quantize_ptq(model, p, QuantSpec(), calibration, lengths).to_arrays() for p in (small, wide))
    for key, array in one.items():
        np.testing.assert_array_equal(array, two[key])


@pytest.mark.parametrize("name", ["lstm", "relu", "identity"])
def test_pinned_formats_are_kept(name):
    model, params, calibration, x, lengths = make_case(name, OutputSpec(4))
    free = quantize_ptq(model, params, QuantSpec(), calibration, lengths)
    pinned = quantize_ptq(model, params, QuantSpec(c_frac_bits=(9, None), h_frac_bits=(2, None)), calibration, lengths)
    for layer in range(2):
        before, after = free.cells[layer], pinned.cells[layer]
        if name == "lstm":
            assert (after.c_frac_bits, after.h_frac_bits) == ((9, before.c_frac_bits)[layer], 7)
        else:
            assert (after.h_frac_bits, after.c_frac_bits) == ((2, before.h_frac_bits)[layer], None)
    assert unit_errors(pinned, model, params, x, lengths)[0] < 0.2 * unit_errors(pinned, model, params, x, lengths)[1]


def test_cell_state_has_headroom_and_no_more():
    model, params, calibration, _, lengths = make_case("lstm", None)
    qmodel = quantize_ptq(model, params, QuantSpec(), calibration, lengths)
    trace = forward_float(model, params, calibration, lengths)
    for cell, c in zip(qmodel.cells, trace.c, strict=True):
        largest = np.abs(c).max() * 1.25
        assert largest <= 32767 * 2.0**-cell.c_frac_bits
        assert cell.c_frac_bits == 15 or largest > 32767 * 2.0 ** -(cell.c_frac_bits + 1)


def test_networks_without_biases_get_no_offset_and_no_bias():
    model, params, calibration, _, lengths = make_case("gru-before", OutputSpec(4, bias=False))
    qmodel = quantize_ptq(model, params, QuantSpec(), calibration + 1.0, lengths)
    assert not qmodel.x_offset.any()
    assert not any(layer.bias.any() for layer in (*qmodel.cells, qmodel.output))
    reads_x = ModelSpec(5, (CELLS["lstm"],), OutputSpec(4, reads="xh", bias=False))
    qmodel = quantize_ptq(reads_x, trained_like(reads_x, np.random.default_rng(0)), QuantSpec(), calibration, lengths)
    assert not qmodel.x_offset.any() and qmodel.cells[0].bias.any()


def test_input_ranges_cover_the_data_and_take_constants():
    x = np.random.default_rng(0).uniform(-1, 3, (20000, 4))
    x[7, 1] = 1000.0
    x[:, 2], x[:, 3] = 5.0, 0.0
    offset, scale = input_ranges(x, True)
    assert offset[0] == pytest.approx(1, abs=0.05) and scale[0] == pytest.approx(2, rel=0.05)
    assert scale[1] > 100  # one value of 1000 among 20000 costs more than all the others' coarser steps
    codes = np.floor((x - offset) / scale * 128 + 0.5)
    assert (codes[:, 2:] == 0).all() and (scale > 0).all()
    offset, scale = input_ranges(x, False)
    assert not offset.any() and scale[0] == pytest.approx(3, rel=0.05) and scale[2] == pytest.approx(5 * 128 / 127)


def test_one_outlier_among_a_million_is_left_out():
    x = np.random.default_rng(0).uniform(-1, 1, (1_000_000, 1))
    x[0] = 8.0
    assert input_ranges(x, True)[1][0] < 1.1


# --- rows --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(4, 8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_best_codes_are_never_worse_than_the_nearest_at_any_shift(seed, weight_bits, has_bias):
    rng = np.random.default_rng(seed)
    quant = QuantSpec(weight_bits)
    n_columns = int(rng.integers(1, 8))
    u = rng.standard_normal((50, n_columns)) @ rng.standard_normal((n_columns, n_columns)) * 0.3 + rng.normal()
    w, b = rng.standard_normal((6, n_columns)), rng.standard_normal(6) * has_bias
    codes = best_codes(w, b, has_bias, ColumnStatistics.of(u), 12, quant)

    def errors(q, bias, shift):
        exponent = (shift + 5)[:, None]
        acc = np.ldexp(q.astype(float), -exponent) @ u.T + np.ldexp(bias.astype(float)[:, None], -exponent - 7)
        return np.mean((acc - w @ u.T - b[:, None]) ** 2, axis=1)

    chosen = errors(codes.w, codes.bias, codes.shift)
    variance = u.var(axis=0).mean() if has_bias else (u**2).mean()
    for shift in range(-4, 12):
        nearest = fixed_codes(w, b, np.full(6, shift), 12, quant)
        other = errors(nearest.w, nearest.bias * has_bias, nearest.shift)
        slack = 0.01 * variance * np.sum((nearest_codes(w, shift + 5, quant) * 2.0 ** -(shift + 5) - w) ** 2, axis=1)
        assert (chosen <= other + slack + 1e-12).all()


def test_feedback_makes_up_for_correlated_columns():
    rng = np.random.default_rng(1)
    u = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 12)) + 0.1 * rng.standard_normal((500, 12))
    w, quant = rng.standard_normal((30, 12)), QuantSpec(4)
    statistics = ColumnStatistics.of(u)
    price = statistics.covariance + 0.01 * np.eye(12)
    errors = [
        np.mean(((np.ldexp(codes, -2) - w) @ u.T) ** 2)
        for codes in (nearest_codes(w, 2, quant), feedback_codes(w, 2, quant, price))
    ]
    assert errors[1] < 0.5 * errors[0]


def test_bias_makes_up_for_the_mean_error():
    rng = np.random.default_rng(2)
    u = 0.5 + 0.01 * rng.standard_normal((500, 6))
    w, b = rng.standard_normal((20, 6)), np.zeros(20)
    codes = best_codes(w, b, True, ColumnStatistics.of(u), 12, QuantSpec(4))
    exponent = codes.shift + 5
    dw = np.ldexp(codes.w.astype(float), -exponent[:, None]) - w
    mean_error = dw @ u.mean(axis=0)
    assert np.abs(mean_error).max() > 0.02
    assert np.abs(mean_error + np.ldexp(codes.bias.astype(float), -exponent - 7)).max() < 2.0**-7


def test_a_large_bias_keeps_the_exponent_coarse():
    u = np.random.default_rng(3).uniform(-1, 1, (100, 4))
    w = np.full((2, 4), 0.01)
    codes = best_codes(w, np.array([0.0, 100.0]), True, ColumnStatistics.of(u), 12, QuantSpec())
    assert codes.shift[1] < codes.shift[0]
    assert codes.bias[1] * 2.0 ** -(codes.shift[1] + 12) == pytest.approx(100.0, abs=0.01)


def test_fits_is_decided_at_the_coarsest_exponent():
    quant, zero = QuantSpec(), np.zeros(1)
    assert fits(np.array([[63.7]]), zero, 12, quant) and not fits(np.array([[63.8]]), zero, 12, quant)
    assert fits(np.array([[1.0]]), zero + 2047, 12, quant) and not fits(np.array([[1.0]]), zero + 2048, 12, quant)


# --- what cannot be quantised ------------------------------------------------------------------------------------


def too_large(params, name, factor):
    changed = params[name].copy()
    changed.flat[3] = factor
    return params | {name: changed}


@pytest.mark.parametrize(("cell", "name", "value", "message"), [
    ("lstm", "cells.0.w_ih", 1e3,
     r"parameter cells\.0\.w_ih must be within \+-\d.*8 bits at a shift of -4\), not 1000 \(row 0, column 3\)"),
    ("lstm", "cells.1.w_hh", -70,
     r"parameter cells\.1\.w_hh must be within \+-63\.75 .* not -70 \(row 0, column 19\): train with"),
    ("gru-after", "cells.1.b_hh", 3e3,
     r"parameter cells\.1\.b_ih \+ b_hh with the inputs' offset folded in must be within \+-2048"),
    ("lstm", "output.w", 1e6, r"outputs must stay below 21845 in magnitude, not reach .*: scale the targets"),
    ("relu", "cells.0.w_hh", 1e6, r"hidden state of cell 0 \(relu\) must stay below 32768 .* the recurrence grows"),
    ("tanh", "cells.0.w_hh", np.nan, r"parameter cells\.0\.w_hh must be finite, not nan at \(0, 3\)"),
])
def test_parameters_that_no_format_holds_are_refused_by_name(cell, name, value, message):
    model, params, calibration, _, lengths = make_case(cell, OutputSpec(4))
    with pytest.raises(SpecError, match=message), np.errstate(over="ignore", invalid="ignore"):
        quantize_ptq(model, too_large(params, name, value), QuantSpec(), calibration, lengths)


def test_wrong_parameters_and_data_are_refused():
    model, params, calibration, _, lengths = make_case("lstm", None)
    for bad_params, bad_x, message in (
        ({}, calibration, r"cells\.0\.w_ih of shape \(64, 5\) must be given"),
        (params | {"extra": np.zeros(1)}, calibration, "extra is not among them"),
        (params | {"cells.0.w_hh": np.zeros((16, 64))}, calibration, r"cells\.0\.w_hh must have shape \(64, 16\), not"),
        (params, calibration[..., :4], "x must have shape"),
        (params, calibration * np.inf, "x must be finite"),
        (params, calibration[:0], "at least one step"),
    ):
        with pytest.raises(SpecError, match=message), np.errstate(invalid="ignore"):
            quantize_ptq(model, bad_params, QuantSpec(), bad_x, lengths)
    with pytest.raises(SpecError, match=r"c_frac_bits must be one integer or a list of 2"):
        quantize_ptq(model, params, QuantSpec(c_frac_bits=(9,)), calibration, lengths)
