"""The training loop, what it is made of, the file it writes, and the accuracy of what is shipped."""

import hashlib
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from golden import experiment
from golden.accuracy import Accuracy, classify, float_accuracy, int_accuracy
from golden.cells import forward_float
from golden.dataset import DataSpec, load_dataset
from golden.fit import Adam, Sequences, TrainSpec, augment, cross_entropy, fit, init_params, step_weights
from golden.input_scale import change_inputs, channel_statistics
from golden.npz import load_npz, write_npz
from golden.progress import epoch_progress
from golden.qat import fine_tune
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec, SpecError
from golden.spec_load import load_spec
from golden.train import train_design, train_weights
from golden.weights import load_weights, save_weights
from rtl.config import design_names, load_design

FLOAT_FLOOR = {"JapaneseVowels": 0.95, "ItalyPowerDemand": 0.94, "BasicMotions": 0.95}
LARGEST_LOSS = 0.005
"""Of accuracy from float to integer."""
TINY = ModelSpec(2, (CellSpec("lstm", 4),))


# What is shipped


@pytest.mark.parametrize("name", design_names())
def test_shipped_weights_reach_the_accuracy_that_is_promised(name):
    design = load_design(name)
    weights = load_weights(design.weights_path, design.model, design.quant)
    data = load_dataset(design.data)
    test = (data.x_test, data.lengths_test, data.labels_test, data.n_classes)
    in_float, in_int = float_accuracy(design.model, weights.params, *test), int_accuracy(weights.qmodel, *test)
    assert in_float.n == in_int.n == len(data.labels_test)
    assert in_float.fraction >= FLOAT_FLOOR[design.data.name], in_float
    assert in_int.fraction >= in_float.fraction - LARGEST_LOSS, (in_float, in_int)


@pytest.mark.nightly
@pytest.mark.parametrize("name", design_names())
def test_training_again_reaches_it_too(name):
    design = load_design(name)
    result = train_weights(design.model, design.quant, load_dataset(design.data), design.train)
    assert result.float_accuracy.fraction >= FLOAT_FLOOR[design.data.name], result.float_accuracy
    assert result.int_accuracy.fraction >= result.float_accuracy.fraction - LARGEST_LOSS, result.int_accuracy


def test_designs_that_share_weights_have_the_same_network_and_training():
    by_file = {}
    for design in map(load_design, design_names()):
        parts = (design.model, design.quant, design.data, design.train)
        assert by_file.setdefault(design.weights, parts) == parts, design.name


# Training


@dataclass
class Design:
    """As much of a design as training needs."""

    weights_path: Path
    name: str = "small"
    model: ModelSpec = TINY
    quant: QuantSpec = QuantSpec()
    data: DataSpec = DataSpec(name="ItalyPowerDemand", fold_steps=2)
    train: TrainSpec = TrainSpec(epochs=12, readout_scale=4.0, input_noise=0.1, channel_noise=0.1, crop=0.2,
                                 qat_epochs=2)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, capsys):
    digests = []
    for seed in (1, 1, 2):
        design = Design(tmp_path / f"{len(digests)}.npz")
        design.train = msgspec.structs.replace(design.train, seed=seed)
        result = train_design(design)
        digests.append(hashlib.sha256(design.weights_path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    printed = capsys.readouterr().out
    assert str(result.float_accuracy) in printed and str(result.int_accuracy) in printed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.npz", "1.npz", "2.npz"], "no half file is left"


def test_what_is_written_is_what_was_measured(tmp_path):
    design = Design(tmp_path / "w.npz")
    result, data = train_design(design), load_dataset(design.data)
    read = load_weights(design.weights_path, design.model, design.quant)
    for name, value in result.weights.params.items():
        np.testing.assert_array_equal(read.params[name], value)
    test = (data.x_test, data.lengths_test, data.labels_test, data.n_classes)
    assert float_accuracy(design.model, read.params, *test) == result.float_accuracy
    assert int_accuracy(read.qmodel, *test) == result.int_accuracy


def test_test_data_have_no_influence_on_the_weights():
    data = load_dataset(DataSpec(name="ItalyPowerDemand", fold_steps=2))
    other = replace(data, x_test=data.x_test[:, ::-1] * 2, labels_test=1 - data.labels_test)
    spec = TrainSpec(epochs=3, readout_scale=4.0, qat_epochs=1)
    first, second = (train_weights(TINY, QuantSpec(), d, spec) for d in (data, other))
    for name, value in first.weights.params.items():
        np.testing.assert_array_equal(second.weights.params[name], value)
    arrays, others = first.weights.qmodel.to_arrays(), second.weights.qmodel.to_arrays()
    assert all((arrays[name] == others[name]).all() for name in arrays)


def test_divergence_is_an_error_with_a_remedy():
    model = ModelSpec(2, (CellSpec("elman", 4, activation="identity"),))
    rng = np.random.default_rng(0)
    data = Sequences(rng.standard_normal((5, 8, 2)), np.full(8, 5), rng.integers(0, 2, 8), 2, np.ones(2))
    message = "loss of epoch .* is (nan|inf).*lower learning_rate"
    with pytest.raises(SpecError, match=message), np.errstate(all="ignore"):
        fit(model, init_params(model, rng), data, TrainSpec(), 5, 1e200, rng)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, not 0"),
        ({"qat_epochs": -1}, "qat_epochs must be an integer of at least 0, not -1"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan"),
        ({"input_noise": -0.5}, "input_noise must be a number of at least 0, not -0.5"),
        ({"crop": 1.0}, "crop must be a number of at least 0 and below 1, not 1.0"),
        ({"loss": "first"}, "loss must be one of last, every, not 'first'"),
        ({"momentum": 0.9}, "not 'momentum'"),
    ],
)
def test_bad_settings_are_refused_with_their_place(mapping, message):
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(TrainSpec, mapping, "x.yaml: train")
    assert "x.yaml: train" in str(caught.value)


def test_fine_tuning_recovers_what_four_bit_weights_lose():
    network = experiment.load_experiment(Path(__file__).parent / "data" / "elman_four_bits.yaml")
    data = load_dataset(network.data)
    results = []
    for seed in (1, 2, 3):
        spec = msgspec.structs.replace(network.train, seed=seed)
        results.append(train_weights(network.model, network.quant, data, spec))
    in_float, calibrated, tuned = (
        np.mean([getattr(r, kind).fraction for r in results])
        for kind in ("float_accuracy", "ptq_accuracy", "int_accuracy")
    )
    assert calibrated < in_float - 0.01, "nothing is lost, so nothing can be shown"
    assert tuned > calibrated + 0.01
    for result in results:
        assert max(np.abs(cell.w).max() for cell in result.weights.qmodel.cells) <= 7


@pytest.mark.parametrize("name", design_names())
def test_fine_tuning_keeps_the_formats_of_the_hardware(name):
    design = load_design(name)
    qmodel = load_weights(design.weights_path, design.model, design.quant).qmodel
    data = load_dataset(design.data)
    spec = msgspec.structs.replace(design.train, qat_epochs=1)
    params = load_weights(design.weights_path, design.model, design.quant).params
    tuned = fine_tune(qmodel, params, data, spec)
    np.testing.assert_array_equal(tuned.x_scale, qmodel.x_scale)
    for before, after in zip(qmodel.cells, tuned.cells, strict=True):
        np.testing.assert_array_equal(after.shift, before.shift)
        assert (after.c_frac_bits, after.h_frac_bits) == (before.c_frac_bits, before.h_frac_bits)
    assert any((after.w != before.w).any() for before, after in zip(qmodel.cells, tuned.cells, strict=True))


# Its parts


def test_adam_makes_the_steps_of_its_paper():
    params = {"w": np.array([[1.0, -2.0]]), "b": np.array([0.5])}
    adam = Adam(params, weight_decay=0.1, gradient_clip=1e9)
    w, b = params["w"].copy(), params["b"].copy()
    mean = square = 0.0
    for n, g in enumerate((3.0, -1.0, 0.5), start=1):
        adam.update({"w": np.full((1, 2), g), "b": np.full(1, g)}, 0.01)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        step = 0.01 * (mean / (1 - 0.9**n)) / (np.sqrt(square / (1 - 0.999**n)) + 1e-8)
        w, b = (w - step) * (1 - 0.01 * 0.1), b - step  # biases do not decay
        np.testing.assert_allclose(params["w"], w, rtol=1e-12)
        np.testing.assert_allclose(params["b"], b, rtol=1e-12)


def test_gradients_are_clipped_over_all_parameters_together():
    grads = {"a": np.array([3.0]), "b": np.array([4.0])}  # norm 5
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    adam = Adam(params, 0.0, gradient_clip=1.0)
    adam.update(grads, 0.01)
    np.testing.assert_allclose([adam.mean["a"][0], adam.mean["b"][0]], [0.06, 0.08])


def test_cross_entropy_is_that_of_the_softmax():
    y = np.array([[[0.5, -0.5, 9.0]]])  # the third output is no class
    loss, dy = cross_entropy(y, np.array([1]), np.ones((1, 1)), 2, 2.0)
    p = np.exp([1.0, -1.0]) / np.exp([1.0, -1.0]).sum()
    assert loss == pytest.approx(-np.log(p[1]))
    np.testing.assert_allclose(dy[0, 0], [2 * p[0], 2 * (p[1] - 1), 0.0])


def test_last_step_weights_mark_the_last_steps():
    assert step_weights("last", np.array([2, 3])).tolist() == [[0, 0], [0.5, 0], [0, 0.5]]


def test_crop_keeps_a_contiguous_part_and_noise_has_its_deviation():
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 21, 400)
    x = np.arange(20.0)[:, None, None] + np.zeros((20, 400, 2))
    batch = Sequences(x, lengths, np.zeros(400, dtype=np.int64), 1, np.array([1.0, 10.0]))
    cut = augment(batch, TrainSpec(crop=0.5), rng)
    starts = cut.x[0, :, 0]
    for n, length in enumerate(cut.lengths):
        assert length >= lengths[n] - lengths[n] // 2
        np.testing.assert_array_equal(cut.x[:length, n, 0], starts[n] + np.arange(length))
    assert len(set(starts)) > 5 and (starts + cut.lengths <= lengths).all()
    assert (starts + cut.lengths == lengths).any() and (starts == 0).any()

    noisy = augment(batch, TrainSpec(input_noise=0.5), rng).x - x
    np.testing.assert_allclose(noisy.std(axis=(0, 1)), [0.5, 5.0], rtol=0.05)
    constant = augment(batch, TrainSpec(channel_noise=0.5), rng).x - x
    np.testing.assert_allclose(constant, constant[:1] + np.zeros_like(constant), atol=1e-9)
    np.testing.assert_allclose(constant.std(axis=(0, 1)), [0.5, 5.0], rtol=0.15)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reads", ["h", "xh"])
def test_changing_the_inputs_units_does_not_change_the_network(bias, reads):
    rng = np.random.default_rng(1)
    model = ModelSpec(3, (CellSpec("gru", 4, bias=bias),), OutputSpec(2, "identity", reads, bias=bias))
    params = init_params(model, rng)
    u = rng.standard_normal((6, 5, 3)).astype(np.float32)
    offset, scale = channel_statistics(model, u + 2, np.full(5, 6))
    assert (offset == 0).all() != bias, "an offset needs a bias to go to"
    new = change_inputs(model, params, offset, scale)
    expected = forward_float(model, params, u * scale + offset).y
    np.testing.assert_allclose(forward_float(model, new, u).y, expected, rtol=0, atol=1e-12)


def test_a_constant_channel_can_be_standardised():
    offset, scale = channel_statistics(TINY, np.full((3, 2, 2), 5.0), np.array([3, 2]))
    assert offset.tolist() == [5, 5] and scale.tolist() == [1, 1]


def test_classify_reads_the_first_outputs_and_takes_the_first_of_equals():
    assert classify(np.array([[1, 3, 3, 9], [2, 1, 0, 9]]), 3).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)]
)
def test_wilson_interval(n_correct, n, low, high):
    np.testing.assert_allclose(Accuracy(n_correct, n).interval, (low, high), atol=5e-5)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal_and_in_a_log(is_terminal):
    out = StringIO()
    with epoch_progress("small", 100, Console(file=out, force_terminal=is_terminal, width=100)) as report:
        for epoch in range(100):
            report(epoch, 1.0 - epoch / 100)
    assert "100/100" in out.getvalue() if is_terminal else out.getvalue().splitlines()[-1].endswith(
        "epoch 100 of 100, loss 0.0100")
    assert is_terminal or len(out.getvalue().splitlines()) == 5


# The file


def trained_file(tmp_path: Path) -> Path:
    design = Design(tmp_path / "w.npz", train=TrainSpec(epochs=1))
    train_design(design)
    return design.weights_path


def test_weights_of_another_design_are_refused(tmp_path):
    path = trained_file(tmp_path)
    with pytest.raises(SpecError) as caught:
        load_weights(path, ModelSpec(2, (CellSpec("lstm", 5),)), QuantSpec(), "mine/x.yaml")
    assert str(caught.value) == (
        "weights must be for the design's model, but cells.0.hidden_size 5 in the design, 4 in the file: train it "
        f"again with `./stillwater train design=mine/x.yaml` or correct the design file ({path})")
    with pytest.raises(SpecError, match=r"the design's quant, but weight_bits 5 in the design, 8 in the file: train"):
        load_weights(path, TINY, QuantSpec(weight_bits=5))
    with_output = ModelSpec(2, TINY.cells, OutputSpec(3))
    with pytest.raises(SpecError, match=r"but output 3 identity h in the design, none in the file: "):
        load_weights(path, with_output, QuantSpec())


def test_missing_weights_say_how_to_train_them(tmp_path):
    message = r"none.npz does not: train it with `./stillwater train design=vowels`"
    with pytest.raises(SpecError, match=message):
        load_weights(tmp_path / "none.npz", TINY, QuantSpec(), "vowels")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a | {"float.cells.0.w_ih": np.full((16, 2), np.nan)}, r"w_ih must be finite.*w.npz"),
        (lambda a: a | {"float.cells.0.w_ih": np.zeros((16, 3))}, r"w_ih must have shape \(16, 2\).*w.npz"),
        (lambda a: a | {"extra": np.zeros(1)}, r"not be called extra.*w.npz"),
        (lambda a: a | {"quantized.cells.0.w": np.full((4, 4, 6), 300)}, r"cells.0.w must be in -128 .. 127.*w.npz"),
        (lambda a: {k: v for k, v in a.items() if k != "float.cells.0.b_hh"}, r"b_hh .*must be given.*w.npz"),
        (lambda a: {k: v for k, v in a.items() if not k.startswith("quantized.")}, r"w.npz"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path, change, message):
    path = trained_file(tmp_path)
    write_npz(path, change(load_npz(path)))
    with pytest.raises(SpecError, match=message):
        load_weights(path, TINY, QuantSpec())


def test_saving_what_was_read_gives_the_same_bytes(tmp_path):
    path = trained_file(tmp_path)
    save_weights(tmp_path / "again.npz", load_weights(path, TINY, QuantSpec()))
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


# Experiments


def test_an_experiment_prints_its_table(capsys):
    path = Path(experiment.__file__).parent.parent / "rtl" / "designs" / "tiny.yaml"
    variations = ["epochs=2", "epochs=2 qat_epochs=1 quant.weight_bits=6"]
    experiment.main([str(path), "--folds", "2", "--seeds", "2", *variations])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].startswith("| variation | CV float |")
    assert lines[3].startswith("| epochs=2 qat_epochs=1 quant.weight_bits=6 | ")
    assert all(line.count("|") == len(experiment.HEADER) + 1 for line in lines)


def test_a_variation_that_cannot_be_quantised_says_so_in_its_row(capsys):
    path = Path(__file__).parent / "data" / "elman_four_bits.yaml"
    experiment.main([str(path), "--folds", "0", "--seeds", "1", "epochs=30 learning_rate=3", "epochs=1 qat_epochs=0"])
    lines = capsys.readouterr().out.splitlines()
    assert "train with weight decay" in lines[2] and "test" not in lines[2]
    assert lines[3].startswith("| epochs=1 qat_epochs=0 | - | - | ")


def test_an_experiment_finds_own_data_beside_its_file(tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "test"):
        labels = np.arange(12) % 2
        arrays |= {f"x_{split}": rng.standard_normal((4, 12, 1)) + 3 * labels[:, None], f"labels_{split}": labels,
                   f"lengths_{split}": np.full(12, 4)}
    write_npz(tmp_path / "own.npz", arrays)
    (tmp_path / "own.yaml").write_text(
        "model: {input_size: 1, cells: [{kind: elman, hidden_size: 4}]}\ndata: {name: npz, path: own.npz}\n"
    )
    experiment.main([str(tmp_path / "own.yaml"), "--folds", "2", "--seeds", "1", "epochs=50 readout_scale=4"])
    assert "| 100.00 (100.00 .. 100.00) |" in capsys.readouterr().out


def test_folds_split_the_training_set_and_nothing_else():
    data = load_dataset(DataSpec(name="BasicMotions"))
    folds = list(experiment.training_folds(data, 5, 1))
    held_out = np.concatenate([fold.x_test for fold in folds], axis=1)
    assert sorted(held_out[0, :, 0]) == sorted(data.x_train[0, :, 0])
    for fold in folds:
        assert np.bincount(fold.labels_test).tolist() == [2, 2, 2, 2]
        assert len(fold.labels_train) == 32
        assert not set(fold.x_train[5, :, 0]) & set(fold.x_test[5, :, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "none at none.yaml"),
        (["{tiny}", "epochs"], "a change must look like"),
        (["{tiny}", "data.name=x"], "a change must look like"),
        (["{tiny}", "epoch=3"], "not 'epoch'"),
    ],
)
def test_a_wrong_experiment_ends_with_one_message(arguments, message, capsys):
    tiny = str(Path(experiment.__file__).parent.parent / "rtl" / "designs" / "tiny.yaml")
    with pytest.raises(SystemExit) as caught:
        experiment.main([a.replace("{tiny}", tiny) for a in arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
