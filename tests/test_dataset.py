"""The public data sets as published, a user's own file, and every way in which either can be wrong."""

import socket
from importlib import util

import numpy as np
import pytest

from golden import dataset
from golden.dataset import DataSpec, check_fits_model, fold, load_dataset
from golden.spec import CellSpec, ModelSpec, OutputSpec, SpecError
from golden.spec_load import load_spec


@pytest.mark.parametrize(
    ("name", "n_train", "n_test", "n_channels", "lengths", "n_classes"),
    [
        ("JapaneseVowels", 270, 370, 12, (7, 29), 9),
        ("ItalyPowerDemand", 67, 1029, 1, (24, 24), 2),
        ("BasicMotions", 40, 40, 6, (100, 100), 4),
    ],
)
def test_public_sets_have_their_published_sizes(name, n_train, n_test, n_channels, lengths, n_classes):
    data = load_dataset(DataSpec(name=name))
    assert (data.n_channels, data.n_classes) == (n_channels, n_classes)
    for x, n_steps, labels, n in ((data.x_train, data.lengths_train, data.labels_train, n_train),
                                  (data.x_test, data.lengths_test, data.labels_test, n_test)):
        assert x.shape == (n_steps.max(), n, n_channels) and x.dtype == np.float32
        assert np.isfinite(x).all()
        assert set(labels) == set(range(n_classes))
        beyond = np.arange(len(x))[:, None] >= n_steps
        assert (x[beyond] == 0).all()
    every_length = np.concatenate([data.lengths_train, data.lengths_test])
    assert (every_length.min(), every_length.max()) == lengths


def test_values_and_labels_are_those_of_the_file():
    data = load_dataset(DataSpec(name="JapaneseVowels"))
    # First sequence of JapaneseVowels_TRAIN.ts: 20 values a channel, first channel then second; 30 of each speaker.
    assert data.lengths_train[0] == 20
    np.testing.assert_allclose(data.x_train[:3, 0, 0], [1.860936, 1.891651, 1.939205], rtol=1e-6)
    np.testing.assert_allclose(data.x_train[:3, 0, 1], [-0.207383, -0.193249, -0.239664], rtol=1e-6)
    assert data.labels_train.tolist() == np.repeat(range(9), 30).tolist()
    assert data.class_names == tuple("123456789")
    assert load_dataset(DataSpec(name="BasicMotions")).class_names == ("standing", "running", "walking", "badminton")


def test_no_network_is_touched(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert load_dataset(DataSpec(name="ItalyPowerDemand")).x_train.shape == (24, 67, 1)


def test_fold_joins_neighbouring_hours():
    plain = load_dataset(DataSpec(name="ItalyPowerDemand"))
    folded = load_dataset(DataSpec(name="ItalyPowerDemand", fold_steps=2))
    assert folded.x_test.shape == (12, 1029, 2)
    assert set(folded.lengths_test) == {12}
    np.testing.assert_array_equal(folded.x_test[3, :, 0], plain.x_test[6, :, 0])
    np.testing.assert_array_equal(folded.x_test[3, :, 1], plain.x_test[7, :, 0])


def test_fold_refuses_a_length_that_it_does_not_divide():
    with pytest.raises(SpecError, match=r"not 3: cut or pad .* fold_steps \(here: sequence 1; data.fold_steps\)"):
        fold(np.zeros((4, 2, 1)), np.array([4, 3]), 2, "here")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": "Iris"}, "name must be one of JapaneseVowels, ItalyPowerDemand, BasicMotions, npz, not 'Iris'"),
        ({"name": "BasicMotions", "fold_steps": 0}, "fold_steps must be an integer of at least 1, not 0"),
        ({"name": "BasicMotions", "path": "x.npz"}, "path belongs to name npz only, not to BasicMotions"),
        ({"name": "npz"}, "path must name the .npz file"),
        ({"name": "BasicMotions", "stride": 2}, "not 'stride'"),
        ({}, "name must be given"),
    ],
)
def test_bad_specs_are_refused_with_their_place(mapping, message):
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(DataSpec, mapping, "x.yaml: data")
    assert "x.yaml: data" in str(caught.value)


def own_arrays() -> dict[str, np.ndarray]:
    """A valid user's data set: 5 and 3 sequences of at most 4 steps, 2 channels, 3 classes."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.standard_normal((4, 5, 2)), "lengths_train": np.array([4, 3, 2, 1, 4]),
        "labels_train": np.array([0, 1, 2, 0, 1]),
        "x_test": rng.standard_normal((4, 3, 2)), "lengths_test": np.array([4, 4, 1]),
        "labels_test": np.array([2, 0, 1]),
    }


def load_own(path, arrays):
    np.savez(path, **arrays)
    return load_dataset(DataSpec(name="npz", path=str(path)))


def test_own_file_is_read_and_padded_with_zeros(tmp_path):
    arrays = own_arrays()
    arrays["x_train"][3, 1] = np.nan  # beyond the end of sequence 1: whatever stands there is padding
    data = load_own(tmp_path / "own.npz", arrays)
    np.testing.assert_array_equal(data.x_train[:3, 1], arrays["x_train"][:3, 1].astype(np.float32))
    assert (data.x_train[3, 1] == 0).all()
    assert data.class_names == ("0", "1", "2")
    named = load_own(tmp_path / "own.npz", arrays | {"class_names": np.array(["a", "b", "c", "d"])})
    assert named.class_names == ("a", "b", "c", "d")


def with_value(name: str, index, value):
    def change(arrays):
        arrays[name][index] = value
        return arrays
    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_value("x_train", (1, 2, 0), np.nan), r"finite, not nan \(.*npz: train: sequence 2, step 1, channel 0"),
        (with_value("x_test", (0, 0, 1), np.inf), r"finite, not inf \(.*test: sequence 0, step 0, channel 1"),
        (with_value("x_test", (0, 0, 1), 1e300), r"finite, not inf"),
        (with_value("labels_train", 1, -1), r"labels must be 0 .. 2, not -1 \(.*train: sequence 1"),
        (with_value("labels_test", 2, 3), r"labels must be 0 .. 2, not 3 \(.*test: sequence 2"),
        (with_value("lengths_train", 0, 0), r"lengths must be 1 .. 4, not 0 \(an empty"),
        (with_value("lengths_test", 1, 5), r"lengths must be 1 .. 4, not 5"),
        (lambda a: a | {"x_train": a["x_train"][:, :, 0]}, r"x must be \(steps, sequences, channels\)"),
        (lambda a: a | {"x_test": a["x_test"][:, :0]}, r"none of them 0, not \(4, 0, 2\)"),
        (lambda a: a | {"x_test": a["x_test"][:, :, :1]}, r"x_test must have the 2 channels of x_train, not 1"),
        (lambda a: a | {"labels_train": a["labels_train"][:4]}, r"labels must have the shape \(5,\).*not \(4,\)"),
        (lambda a: a | {"labels_train": a["labels_train"] * 1.0}, r"labels_train must hold integers, not float64"),
        (lambda a: a | {"x_train": a["x_train"].astype(str)}, r"x_train must hold real numbers"),
        (lambda a: a | {"extra": np.zeros(1)}, r"unknown: \['extra'\]"),
        (lambda a: {k: v for k, v in a.items() if k != "x_test"}, r"missing: \['x_test'\]"),
    ],
)
def test_bad_own_file_is_refused_with_its_place(tmp_path, change, message):
    with pytest.raises(SpecError, match=message):
        load_own(tmp_path / "own.npz", change(own_arrays()))


def test_a_pickle_a_torn_file_and_no_file_are_refused(tmp_path):
    arrays = own_arrays() | {"labels_train": np.array([{}, 1, 2, 0, 1], dtype=object)}
    with pytest.raises(SpecError, match="plain arrays"):
        load_own(tmp_path / "pickle.npz", arrays)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(SpecError, match="torn.npz"):
        load_dataset(DataSpec(name="npz", path=str(tmp_path / "torn.npz")))
    message = f"data file must exist, but {tmp_path / 'none.npz'} does not: .*(x.yaml: data.path)"
    with pytest.raises(SpecError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load_dataset(DataSpec(name="npz", path=str(tmp_path / "none.npz")), "x.yaml: data")


def test_missing_aeon_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="python -m pip install aeon"):
        load_dataset(DataSpec(name="BasicMotions"))


def test_missing_file_in_aeon_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(dataset.resources, "files", lambda package: tmp_path)
    with pytest.raises(SpecError, match="BasicMotions_TRAIN.ts is missing; reinstall with"):
        load_dataset(DataSpec(name="BasicMotions"))


def test_a_model_of_the_wrong_size_is_refused(tmp_path):
    data = load_own(tmp_path / "own.npz", own_arrays())
    check_fits_model(data, ModelSpec(2, (CellSpec("lstm", 3),)), "d.yaml")
    with pytest.raises(SpecError, match=r"2 channels, not 3 \(d.yaml: model.input_size\)"):
        check_fits_model(data, ModelSpec(3, (CellSpec("lstm", 3),)), "d.yaml")
    with pytest.raises(SpecError, match=r"each of the 3 classes, not 2 \(d.yaml: model.output.size"):
        check_fits_model(data, ModelSpec(2, (CellSpec("lstm", 8),), OutputSpec(2)), "d.yaml")
