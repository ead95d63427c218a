"""The weight image and its inverse."""

from dataclasses import replace

import numpy as np
import pytest
from designs import designs, make_design
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.random_model import random_quantized_model
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec, SpecError
from rtl.config import load_design
from rtl.weight_image import build_image, format_crc32, parse_image, phase_columns


@settings(max_examples=60, deadline=None)
@given(designs(), st.integers(0, 2**32 - 1), st.booleans())
def test_the_image_gives_back_every_weight_bias_and_shift(design, seed, extreme):
    qmodel = random_quantized_model(design.model, design.quant, np.random.default_rng(seed), extreme)
    image = build_image(design, qmodel)
    assert image.shape == (design.datapath.banks, design.layout.n_words)
    assert int(image.max()) < 1 << design.datapath.word_bits
    for phase, (w, bias, shift) in zip(design.layout.phases, parse_image(design, image), strict=True):
        layer = qmodel.output if phase.cell is None else qmodel.cells[phase.cell]
        columns = phase_columns(qmodel, phase)
        for slot, gate in enumerate(phase.gates):
            row = slice(None) if phase.cell is None else gate
            np.testing.assert_array_equal(w[:, slot], layer.w[row][:, columns])
            np.testing.assert_array_equal(bias[:, slot], layer.bias[row])
            np.testing.assert_array_equal(shift[:, slot], layer.shift[row])


def test_one_word_by_hand():
    """An LSTM 1-1 on one 32-bit bank: three header words, x, h; lane k is gate k."""
    design = make_design(ModelSpec(1, (CellSpec("lstm", 1),)), 1, 32)
    qmodel = random_quantized_model(design.model, design.quant, np.random.default_rng(0))
    cell = replace(
        qmodel.cells[0],
        w=np.array([[[1, 4]], [[2, 5]], [[3, 6]], [[-128, -1]]], np.int8),
        bias=np.array([[0x12345], [-1], [0], [-0x80000]], np.int32),
        shift=np.array([[-4], [0], [1], [11]], np.int8),
    )
    qmodel = replace(qmodel, cells=(cell,))
    assert [f"{int(word):08x}" for word in build_image(design, qmodel)[0]] == [
        "0000ff45",  # bias bits 7:0
        "0000ff23",  # 15:8
        "f8504f01",  # shift + 4, bias bits 19:16
        "80030201",  # x
        "ff060504",  # h
    ]


def test_empty_lanes_are_zero():
    design = make_design(ModelSpec(2, (CellSpec("elman", 5),), OutputSpec(3)), 1, 32)
    qmodel = random_quantized_model(design.model, design.quant, np.random.default_rng(1))
    image = build_image(design, qmodel)
    second_tile = image[0, design.layout.phases[0].tile_words : 2 * design.layout.phases[0].tile_words]
    assert not (second_tile >> np.uint64(8)).any() and second_tile.any()


def test_weights_of_another_network_are_refused():
    vowels, tiny = load_design("vowels"), load_design("tiny")
    qmodel = random_quantized_model(tiny.model, tiny.quant, np.random.default_rng(0))
    with pytest.raises(SpecError, match="input_size 12 in the design, 2 in the file.*/stillwater train design=vowels`"):
        build_image(vowels, qmodel)


def test_another_weight_width_is_refused():
    model = ModelSpec(1, (CellSpec("lstm", 1),))
    narrow = make_design(model, 1, 32, quant=QuantSpec(weight_bits=4))
    qmodel = random_quantized_model(model, QuantSpec(), np.random.default_rng(0))
    with pytest.raises(SpecError, match="must have 4 bits, not 8"):
        build_image(narrow, qmodel)


def test_another_activation_table_is_refused():
    model = ModelSpec(1, (CellSpec("lstm", 1),))
    qmodel = random_quantized_model(model, QuantSpec(activation_segment_bits=4), np.random.default_rng(0))
    with pytest.raises(SpecError, match="activation_segment_bits 3, not 4"):
        build_image(make_design(model, 1, 32), qmodel)


def test_narrow_weights_reach_as_far_as_wide_ones():
    specs = [QuantSpec(weight_bits=bits) for bits in range(4, 9)]
    reach = [spec.weight_max * 2.0**-spec.shift_min for spec in specs]
    assert max(reach) / min(reach) < 8 / 7


def test_layout_register_tells_what_an_image_must_fit():
    model = ModelSpec(1, (CellSpec("lstm", 2),), OutputSpec(2))
    quant = QuantSpec(c_frac_bits=12)

    def crc(model=model, banks=1, word_bits=32, quant=quant):
        design = make_design(model, banks, word_bits, quant=quant)
        return format_crc32(design, random_quantized_model(model, quant, np.random.default_rng(0)))

    variants = [
        crc(),
        crc(banks=2),
        crc(word_bits=64),
        crc(model=ModelSpec(1, (CellSpec("lstm", 2),), OutputSpec(1))),
        crc(model=ModelSpec(1, (CellSpec("lstm", 2, bias=False),), OutputSpec(2))),
        crc(quant=QuantSpec(c_frac_bits=11)),
        crc(quant=QuantSpec(c_frac_bits=12, weight_bits=7)),
        crc(quant=QuantSpec(c_frac_bits=12, activation_segment_bits=4)),
    ]
    assert len(set(variants)) == len(variants)
    assert crc() == variants[0]
