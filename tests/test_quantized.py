"""The quantised model and its file: the same bytes every time, and one message for every damage."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from golden.cells import forward_int
from golden.npz import load_npz, write_npz
from golden.quantize import load_model
from golden.quantized import QuantizedCell, QuantizedModel, QuantizedOutput, model_from_arrays
from golden.random_model import random_quantized_model
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec, SpecError
from tests.quantised_cells import CELLS


def some_model(seed: int = 0, extreme: bool = False) -> QuantizedModel:
    rng = np.random.default_rng(seed)
    kinds = list(CELLS)
    cells = tuple(CELLS[kinds[k]] for k in rng.integers(0, len(kinds), 1 + seed % 3))
    output = [None, OutputSpec(3, "log_softmax", "xh"), OutputSpec(2, "tanh", bias=False)][seed % 3]
    return random_quantized_model(ModelSpec(2, cells, output), QuantSpec(4 + seed % 5), rng, extreme)


@pytest.mark.parametrize("seed", range(8))
def test_a_file_holds_the_whole_model_and_the_same_bytes_every_time(tmp_path, seed):
    qmodel = some_model(seed, extreme=seed == 7)
    qmodel.save(tmp_path / "a.npz")
    loaded = load_model(tmp_path / "a.npz")
    assert (loaded.model, loaded.quant) == (qmodel.model, qmodel.quant)
    one, other = qmodel.to_arrays(), loaded.to_arrays()
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
        assert one[name].dtype == other[name].dtype
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_arrays_of_a_model_cannot_be_changed_and_are_its_own():
    shift = np.zeros((1, 2), np.int8)
    cell = QuantizedCell(CellSpec("elman", 2), 1, np.ones((1, 2, 3), np.int64), np.zeros((1, 2), np.int64), shift)
    model = ModelSpec(1, (cell.spec,))
    qmodel = QuantizedModel(model, QuantSpec(), (cell,), None, np.zeros(1), np.ones(1))
    shift[:] = 5
    assert not qmodel.cells[0].shift.any()
    assert (qmodel.cells[0].w.dtype, qmodel.cells[0].bias.dtype) == (np.int8, np.int32)
    with pytest.raises(ValueError, match="read-only"):
        qmodel.cells[0].w[0, 0, 0] = 3


def test_inputs_are_quantised_half_up_and_saturate():
    spec, zero = CellSpec("elman", 1), np.zeros((1, 1), int)
    cell = QuantizedCell(spec, 2, np.ones((1, 1, 3), int), zero, zero)
    offset, scale = np.array([1.0, 0.0]), np.array([2.0, 1.0])
    qmodel = QuantizedModel(ModelSpec(2, (spec,)), QuantSpec(), (cell,), None, offset, scale)
    x = np.array([[1.0, 0.5 / 128], [1.0 + 3 / 128, -0.5 / 128], [3.0, -1.5 / 128], [-9.0, 9.0]])
    assert qmodel.quantize_input(x).tolist() == [[0, 1], [2, 0], [127, -1], [-128, 127]]
    wrong_width = np.zeros((3, 4)), "must have 2 channels in its last axis, not shape"
    for bad, message in (wrong_width, (x * np.nan, "must be finite numbers")):
        with pytest.raises(SpecError, match=message):
            qmodel.quantize_input(bad)


LSTM = ModelSpec(2, (CellSpec("lstm", 3),), OutputSpec(2, bias=False))


def changed(name, value):
    def change(arrays):
        arrays[name] = value(arrays[name])
    return change


def header(old: str, new: str):
    """The header with one piece of its text replaced."""
    return changed("spec", lambda s: np.frombuffer(s.tobytes().replace(old.encode(), new.encode()), np.uint8))


BAD_FILES = [
    (changed("cells.0.w", lambda w: w[:, :2]),
     r"cells\.0\.w must have shape \(4, 3, 5\), not \(4, 2, 5\): quantise the network again"),
    (changed("cells.0.w", lambda w: w * 1.0), r"cells\.0\.w must be integers, not float64: quantise"),
    (changed("cells.0.w", lambda w: w.astype(int) + 128), r"cells\.0\.w must be in -128 \.\. 127, not"),
    (changed("cells.0.shift", lambda s: s + 20), r"cells\.0\.shift must be in -4 \.\. 11, not"),
    (changed("cells.0.bias", lambda b: b + 2**20), r"cells\.0\.bias must be in -524288 \.\. 524287, not"),
    (changed("output.bias", lambda b: b + 1), r"output\.bias must be zero in a layer without biases"),
    (changed("x_scale", lambda s: s * 0), r"x_scale must be above 0 in every channel"),
    (changed("x_scale", lambda s: s * np.nan), r"x_scale must be finite"),
    (changed("x_offset", lambda s: s[:1]), r"x_offset must be 2 numbers \(one a channel\)"),
    (lambda arrays: arrays.pop("cells.0.bias"), r"cells\.0\.bias is missing"),
    (lambda arrays: arrays.update(spare=np.zeros(1)), r"spare is unexpected"),
    (lambda arrays: arrays.pop("spec"), r"header must say 'stillwater quantised model 1', not none"),
    (header("model 1", "model 9"), "not 'stillwater quantised model 9': quantise the network again"),
    (header('"lstm"', '"lstn"'), r"kind must be one of .*not 'lstn' \(.*bad\.npz: spec\.model\.cells\[0\]\.kind\)"),
    (header('"h_frac_bits":[7]', '"h_frac_bits":[6]'), r"cells\.0\.h_frac_bits must be 7 for this kind of layer"),
    (header('"h_frac_bits":[7]', '"h_frac_bits":[]'), r"h_frac_bits must have 1 entries, not 0"),
    (header('"h_frac_bits"', '"bits"'), "header must say .* not none"),
    (changed("spec", lambda s: np.full(3, 300)), "header must say"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FILES)
def test_a_bad_file_gets_one_message_with_its_name(tmp_path, change, message):
    arrays = random_quantized_model(LSTM, QuantSpec(), np.random.default_rng(0)).to_arrays()
    change(arrays)
    write_npz(tmp_path / "bad.npz", arrays)
    with pytest.raises(SpecError, match=message) as caught:
        load_model(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


def test_files_that_are_no_archive_of_plain_arrays_are_refused(tmp_path):
    with pytest.raises(SpecError, match="does not; write it first"):
        load_npz(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "single.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", spec=np.array([{"a": 1}], dtype=object))
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps({"a": 1}))
    some_model(1).save(tmp_path / "cut.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-50])
    for name in ("text.npz", "empty.npz", "single.npy", "objects.npz", "pickled.npz", "cut.npz"):
        with pytest.raises(SpecError, match=f"must be an .npz archive of plain arrays, not this: .*{name}"):
            load_npz(tmp_path / name)


def test_a_damaged_array_is_refused(tmp_path):
    some_model(1).save(tmp_path / "a.npz")
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[data.index(b"cells.0.w.npy") + 200] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(SpecError, match="must be an .npz archive"):
        load_npz(tmp_path / "a.npz")


def test_no_damage_of_a_file_gets_anything_but_the_message_or_the_same_arrays(tmp_path):
    whole = (Path(__file__).parent.parent / "golden" / "trained" / "tiny.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    path.write_bytes(whole)
    good, rng = load_npz(path), np.random.default_rng(5)
    n_refused = 0
    for trial in range(2000):
        data, at = bytearray(whole), int(rng.integers(len(whole)))
        if trial % 4 == 0:
            del data[at:]
        else:
            data[at] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        try:
            arrays = load_npz(path)
        except SpecError as error:
            assert str(error).startswith("file must be an .npz archive of plain arrays") and str(path) in str(error)
            n_refused += 1
            continue
        # A byte that means nothing, such as a time stamp's; an array may hide under another name, never change.
        assert {array.tobytes() for array in arrays.values()} <= {array.tobytes() for array in good.values()}
    assert n_refused > 1000


@pytest.mark.parametrize("at, value", [(10, 99), (8, 1), (6, 200)])
def test_headers_that_zipfile_trips_over_are_refused(tmp_path, at, value):
    """Compression that does not exist, the flag of encryption, a version to come."""
    some_model(1).save(tmp_path / "a.npz")
    data = bytearray((tmp_path / "a.npz").read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + at] = value
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(SpecError, match="must be an .npz archive"):
        load_npz(tmp_path / "a.npz")


def test_models_that_disagree_with_their_specs_are_refused():
    qmodel = random_quantized_model(LSTM, QuantSpec(), np.random.default_rng(0))
    parts = [qmodel.model, qmodel.quant, qmodel.cells, qmodel.output, qmodel.x_offset, qmodel.x_scale]
    gru = ModelSpec(2, (CellSpec("gru", 3),))
    gru_cell = random_quantized_model(gru, QuantSpec(), np.random.default_rng(0)).cells[0]
    full = gru_cell.w.copy()
    full[2, 0, 2] = 1
    half = QuantizedCell(gru.cells[0], 2, full, gru_cell.bias, gru_cell.shift)
    output = qmodel.output
    fine = QuantizedOutput(output.spec, output.w, output.bias, output.shift, 24)
    for index, part, message in (
        (2, (), "cells must be 1 as in the model, not 0"),
        (2, (gru_cell,), r"cells\.0 must be CellSpec\(kind='lstm'"),
        (3, None, "output must be OutputSpec.* as in the model, not None"),
        (3, fine, r"output\.preact_frac_bits must be an integer in 0 \.\. 23, not 24"),
        (1, QuantSpec(4), r"cells\.0\.w must be in -8 \.\. 7"),
    ):
        with pytest.raises(SpecError, match=message):
            QuantizedModel(*parts[:index], part, *parts[index + 1 :])
    with pytest.raises(SpecError, match="must be zero where n_x has its h columns and n_h its x columns"):
        QuantizedModel(gru, QuantSpec(), (half,), None, np.zeros(2), np.ones(2))


def test_model_from_arrays_names_the_place():
    with pytest.raises(SpecError, match=r"\(trained/x\.npz: spec\)"):
        model_from_arrays({}, "trained/x.npz")


def test_extreme_models_hold_nothing_but_extremes():
    qmodel = some_model(1, extreme=True)
    quant = qmodel.quant
    for layer in (*qmodel.cells, qmodel.output):
        assert set(np.unique(layer.w)) <= {0, quant.weight_min}
        assert set(np.unique(layer.bias)) <= {0, quant.bias_min, quant.bias_max}
        assert set(np.unique(layer.shift)) <= {quant.shift_min, quant.shift_max}


def test_random_models_reach_the_most_negative_code_and_the_interesting_part_of_the_table():
    rng = np.random.default_rng(0)
    qmodel = random_quantized_model(ModelSpec(12, (CellSpec("lstm", 32),)), QuantSpec(), rng)
    assert qmodel.cells[0].w.min() == -128 and qmodel.cells[0].w.max() > 100
    x = rng.integers(-128, 128, (10, 20, 12)).astype(np.int32)
    h = forward_int(qmodel, x).h[0]
    assert 20 < h.std() < 100 and len(np.unique(h)) > 200
