"""Specs: derived values, defaults, and one message for everything that is wrong."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.spec import (
    CellSpec,
    FixedPoint,
    ModelSpec,
    OutputSpec,
    QuantSpec,
    SpecError,
)
from golden.spec_load import load_model_spec, load_quant_spec, load_spec

LSTM = {"kind": "lstm", "hidden_size": 32}
MODEL = {"input_size": 12, "cells": [LSTM]}
WHERE = "designs/x.yaml: model"


@given(st.integers(2, 64), st.integers(-64, 64))
def test_fixed_point_text_and_range(width_bits, frac_bits):
    fixed = FixedPoint(width_bits, frac_bits)
    assert FixedPoint.parse(str(fixed)) == fixed
    assert (fixed.min_int, fixed.max_int) == (-(2 ** (width_bits - 1)), 2 ** (width_bits - 1) - 1)
    assert fixed.resolution * 2.0**frac_bits == 1.0


@pytest.mark.parametrize("text", ["8.7", "u8.7", "s8", "s8,7", "s8.7 ", "Q1.7"])
def test_other_notations_are_refused(text):
    with pytest.raises(SpecError, match=r"must look like s8\.7"):
        FixedPoint.parse(text)


def test_gates_are_the_accumulator_rows():
    assert CellSpec("lstm", 2).gates == ("i", "f", "g", "o")
    assert CellSpec("gru", 2).gates == ("r", "z", "n_x", "n_h")
    assert CellSpec("gru", 2, reset="before").gates == ("r", "z", "n")
    assert CellSpec("elman", 2).gates == ("h",)
    assert [CellSpec(kind, 2).n_float_gates for kind in ("lstm", "gru", "elman")] == [4, 3, 1]


def test_defaults_belong_to_their_kind_only():
    assert (CellSpec("elman", 2).activation, CellSpec("elman", 2).reset) == ("tanh", None)
    assert (CellSpec("gru", 2).activation, CellSpec("gru", 2).reset) == (None, "after")
    assert (CellSpec("lstm", 2).activation, CellSpec("lstm", 2).reset) == (None, None)
    assert [CellSpec("elman", 2, a).is_linear for a in ("tanh", "sigmoid", "relu", "identity")] == [0, 0, 1, 1]


def test_a_spec_survives_its_own_plain_data():
    model = ModelSpec(3, (CellSpec("gru", 4, reset="before", bias=False), CellSpec("elman", 5, "relu")), OutputSpec(2))
    assert load_model_spec(msgspec.to_builtins(model), "x") == model
    quant = QuantSpec(weight_bits=5, c_frac_bits=(None, 9), h_frac_bits=4)
    assert load_quant_spec(msgspec.to_builtins(quant), "x") == quant
    assert load_quant_spec(None, "x") == QuantSpec()


def test_sizes_of_a_stack():
    model = ModelSpec(3, (CellSpec("lstm", 4), CellSpec("elman", 5)), OutputSpec(2, reads="xh"))
    assert model.cell_input_sizes == (3, 4)
    assert model.hidden_sizes == (4, 5)
    assert model.output_fan_in == 9
    assert (model.output_size, ModelSpec(3, model.cells).output_size) == (2, 5)
    assert model.n_macs_per_step == 4 * 4 * 7 + 5 * 9 + 2 * 9
    assert ModelSpec(3, (CellSpec("gru", 4),)).n_macs_per_step == 3 * 4 * 7


@given(st.integers(1, 300), st.integers(1, 300), st.integers(4, 8), st.booleans())
def test_accumulator_holds_the_worst_case_and_one_bit_less_does_not(x, h, weight_bits, bias):
    quant = QuantSpec(weight_bits=weight_bits)
    bits = ModelSpec(x, (CellSpec("elman", h, bias=bias),)).acc_bits(quant)
    largest = (x + h) * 2 ** (weight_bits - 1) * 128 + (2**19 - 1 if bias else 0)
    smallest = -(x + h) * max(2 ** (weight_bits - 1) * 127, (2 ** (weight_bits - 1) - 1) * 128) - (2**19 if bias else 0)
    assert -(2 ** (bits - 1)) <= smallest and largest <= 2 ** (bits - 1) - 1
    assert smallest < -(2 ** (bits - 2)) or largest > 2 ** (bits - 2) - 1


def test_accumulator_width_is_that_of_the_largest_fan_in_and_counts_the_output_layer():
    small, wide = CellSpec("lstm", 8), CellSpec("elman", 200)
    assert ModelSpec(12, (small,)).acc_bits(QuantSpec()) == 21
    assert ModelSpec(12, (small, wide)).acc_bits(QuantSpec()) == 23
    no_bias = CellSpec("elman", 23, bias=False)
    assert ModelSpec(1000, (no_bias,)).acc_bits(QuantSpec()) == 25
    assert ModelSpec(1000, (no_bias,), OutputSpec(2, reads="xh")).acc_bits(QuantSpec()) == 26


def test_too_large_a_fan_in_is_refused():
    with pytest.raises(SpecError, match=r"accumulator must be at most 32 bits, not 33 .*fan-in is 131073.*smaller"):
        ModelSpec(131072, (CellSpec("lstm", 1),))


def test_quant_derived_values():
    quant = QuantSpec(weight_bits=5)
    assert (quant.weight_min, quant.weight_max) == (-16, 15)
    assert (quant.bias_min, quant.bias_max) == (-(2**19), 2**19 - 1)
    assert [str(f) for f in (quant.x, quant.h, quant.preact, quant.gate)] == ["s8.7", "s8.7", "s16.12", "s16.15"]
    assert quant.pinned_frac_bits("c_frac_bits", 2) == (None, None)
    assert QuantSpec(c_frac_bits=9).pinned_frac_bits("c_frac_bits", 2) == (9, 9)
    with pytest.raises(SpecError, match=r"c_frac_bits must be one integer or a list of 3 .*not a list of 1.*null"):
        QuantSpec(c_frac_bits=(9,)).pinned_frac_bits("c_frac_bits", 3)


BAD_MODELS = [
    (3, "model must be a mapping of fields, not int (designs/x.yaml: model)"),
    (None, "model must be a mapping of fields, not nothing (designs/x.yaml: model)"),
    ({"input_size": 12}, "cells must be given, not left out: add it (designs/x.yaml: model)"),
    (MODEL | {"layers": 2}, "field must be one of input_size, cells, output, not 'layers': remove it or correct its"
     " name (designs/x.yaml: model)"),
    (MODEL | {"cells": [LSTM | {"size": 2}]}, "field must be one of kind, hidden_size, activation, reset, bias, not"
     " 'size': remove it or correct its name (designs/x.yaml: model.cells[0])"),
    (MODEL | {"output": {"size": 2, "act": "tanh"}}, "field must be one of size, activation, reads, bias, not 'act':"
     " remove it or correct its name (designs/x.yaml: model.output)"),
    (MODEL | {"input_size": "12"}, "input_size must be int, not str (designs/x.yaml: model.input_size)"),
    (MODEL | {"input_size": True}, "input_size must be int, not bool (designs/x.yaml: model.input_size)"),
    (MODEL | {"input_size": 0}, "input_size must be an integer of at least 1, not 0"
     " (designs/x.yaml: model.input_size)"),
    ({1: 2}, "names of fields must be text, nothing else (designs/x.yaml: model)"),
    (MODEL | {"cells": []}, "cells must list at least one cell, not none (designs/x.yaml: model.cells)"),
    (MODEL | {"cells": LSTM}, "cells must be list, not mapping of fields (designs/x.yaml: model.cells)"),
    (MODEL | {"cells": [LSTM, LSTM | {"kind": "rnn"}]}, "kind must be one of elman, lstm, gru, not 'rnn'"
     " (designs/x.yaml: model.cells[1].kind)"),
    (MODEL | {"cells": [LSTM | {"hidden_size": 2.5}]}, "hidden_size must be int, not float"
     " (designs/x.yaml: model.cells[0].hidden_size)"),
    (MODEL | {"cells": [LSTM | {"activation": "tanh"}]}, "activation belongs to elman cells only, not to lstm: remove"
     " it (designs/x.yaml: model.cells[0].activation)"),
    (MODEL | {"cells": [LSTM | {"reset": "after"}]}, "reset belongs to gru cells only, not to lstm: remove it"
     " (designs/x.yaml: model.cells[0].reset)"),
    (MODEL | {"cells": [{"kind": "gru", "hidden_size": 2, "reset": "both"}]}, "reset must be one of after, before, not"
     " 'both' (designs/x.yaml: model.cells[0].reset)"),
    (MODEL | {"cells": [{"kind": "elman", "hidden_size": 2, "activation": "elu"}]}, "activation must be one of tanh,"
     " sigmoid, relu, identity, not 'elu' (designs/x.yaml: model.cells[0].activation)"),
    (MODEL | {"output": {"size": 2, "reads": "hx"}}, "reads must be one of h, xh, not 'hx' (designs/x.yaml:"
     " model.output.reads)"),
    (MODEL | {"output": {"size": 2, "activation": "softmax"}}, "activation must be one of identity, log_softmax, tanh,"
     " sigmoid, relu, not 'softmax' (designs/x.yaml: model.output.activation)"),
]


@pytest.mark.parametrize(("mapping", "message"), BAD_MODELS)
def test_a_bad_model_gets_one_message_with_its_place(mapping, message):
    with pytest.raises(SpecError) as caught:
        load_model_spec(mapping, WHERE)
    assert str(caught.value) == message


BAD_QUANTS = [
    ({"weight_bits": 9}, "weight_bits must be an integer in 4 .. 8, not 9 (x: quant.weight_bits)"),
    ({"weight_bits": 3}, "weight_bits must be an integer in 4 .. 8, not 3 (x: quant.weight_bits)"),
    ({"activation_segment_bits": 6}, "activation_segment_bits must be an integer in 2 .. 5, not 6"
     " (x: quant.activation_segment_bits)"),
    ({"c_frac_bits": 7}, "c_frac_bits must be an integer in 8 .. 15, not 7 (x: quant.c_frac_bits)"),
    ({"h_frac_bits": [3, 16]}, "h_frac_bits must be an integer in -8 .. 15, not 16 (x: quant.h_frac_bits)"),
    ({"acc_bits": 24}, "field must be one of weight_bits, activation_segment_bits, c_frac_bits, h_frac_bits, not"
     " 'acc_bits': remove it or correct its name (x: quant)"),
]


@pytest.mark.parametrize(("mapping", "message"), BAD_QUANTS)
def test_a_bad_quantisation_gets_one_message_with_its_place(mapping, message):
    with pytest.raises(SpecError) as caught:
        load_quant_spec(mapping, "x: quant")
    assert str(caught.value) == message


def test_specs_made_in_python_are_checked_too():
    for make in (
        lambda: CellSpec("lstm", np.int64(4)), lambda: CellSpec("lstm", 4, bias=1), lambda: CellSpec("LSTM", 4),
        lambda: OutputSpec(0), lambda: OutputSpec(2, bias=None), lambda: ModelSpec(2, ()), lambda: FixedPoint(1, 0),
    ):
        with pytest.raises(SpecError):
            make()


def test_specs_are_immutable():
    with pytest.raises(AttributeError):
        CellSpec("lstm", 4).hidden_size = 5


def test_load_spec_names_places_below_lists_in_lists():
    class Outer(msgspec.Struct, forbid_unknown_fields=True):
        groups: list[tuple[CellSpec, ...]]

    with pytest.raises(SpecError, match=r"not 'depth'.*\(f: s\.groups\[0\]\[1\]\)"):
        load_spec(Outer, {"groups": [[LSTM, LSTM | {"depth": 1}]]}, "f: s")
