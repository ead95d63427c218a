"""Labelled sequences to train on and to measure with: three public sets, or a user's own .npz file.

The public sets (JapaneseVowels, ItalyPowerDemand, BasicMotions, with the train/test split under which results are
published) are files inside the installed `aeon` package. Its readers are not imported: that takes a second, and
its loader would download a set that it does not find. Nothing here may touch the network.

Shape letters: T steps of the longest sequence of a split, N sequences, X channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, resources, util
from pathlib import Path

import numpy as np

from golden.npz import load_npz
from golden.spec import ModelSpec, Spec, SpecError, check_choice, check_int
from golden.ts_file import read_ts

PUBLIC_SETS = ("JapaneseVowels", "ItalyPowerDemand", "BasicMotions")
SPLITS = ("train", "test")
NPZ_KEYS = tuple(f"{part}_{split}" for split in SPLITS for part in ("x", "lengths", "labels"))


class DataSpec(Spec, frozen=True, kw_only=True):
    """Which data set a design is trained and measured on, and how a sequence becomes steps.

    name:       one of the public sets, or `npz` for the user's own file at `path`.
    path:       the .npz file of `npz`, as given (in a design file: from that file); arrays as of `load_own`.
    fold_steps: joins this many neighbouring time steps into one step with as many times the channels, earliest
                first (24 hours of one channel with fold_steps 2: 12 steps of 2 channels).
    """

    name: str
    path: str | None = None
    fold_steps: int = 1

    def __post_init__(self) -> None:
        check_choice("name", self.name, (*PUBLIC_SETS, "npz"))
        check_int("fold_steps", self.fold_steps, 1)
        if self.name == "npz" and self.path is None:
            raise SpecError("path must name the .npz file when name is npz, not be left out: add it")
        if self.name != "npz" and self.path is not None:
            raise SpecError(f"path belongs to name npz only, not to {self.name}: remove it")


@dataclass(frozen=True)
class Dataset:
    """Two splits of labelled sequences, time first and padded with zeros to the longest of the split.

    x_*: float32 (T, N, X); lengths_*: int64 (N,), 1 .. T; labels_*: int64 (N,), 0 .. n_classes - 1;
    class_names: what a label is called in the source.
    """

    x_train: np.ndarray
    lengths_train: np.ndarray
    labels_train: np.ndarray
    x_test: np.ndarray
    lengths_test: np.ndarray
    labels_test: np.ndarray
    class_names: tuple[str, ...]

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def n_channels(self) -> int:
        return self.x_train.shape[2]


def load_dataset(spec: DataSpec, place: str = "data") -> Dataset:
    """Reads, checks and folds a data set; raises SpecError with the file and array that is wrong.

    place: where the spec stands, as in `x.yaml: data`, for messages.
    """
    if spec.name == "npz":
        if not Path(spec.path).is_file():
            raise SpecError(f"data file must exist, but {Path(spec.path).absolute()} does not: write it or correct the "
                            f"path ({place}.path)")
        where, (splits, class_names) = spec.path, load_own(spec.path)
    else:
        where, (splits, class_names) = f"{spec.name} of aeon {metadata_version()}", load_aeon(spec.name)
    checked = []
    for split, (x, lengths, labels) in zip(SPLITS, splits, strict=True):
        checked.append(check_split(x, lengths, labels, len(class_names), f"{where}: {split}"))
    if checked[0][0].shape[2] != checked[1][0].shape[2]:
        raise SpecError(f"x_test must have the {checked[0][0].shape[2]} channels of x_train, "
                        f"not {checked[1][0].shape[2]} ({where})")
    folded = [(*fold(x, lengths, spec.fold_steps, where), labels) for x, lengths, labels in checked]
    return Dataset(*folded[0], *folded[1], class_names=tuple(class_names))


def metadata_version() -> str:
    """The installed aeon's version, for messages."""
    check_aeon_installed()
    return metadata.version("aeon")


def check_aeon_installed() -> None:
    """Raises SpecError, with the line that installs it, where aeon is missing; does not import it."""
    if util.find_spec("aeon") is None:
        raise SpecError("the data sets need the Python package aeon (>= 1.0), which is not installed; "
                        "install it with: python -m pip install aeon")


def load_aeon(name: str):
    """Reads both splits of one of aeon's bundled sets; [(x, lengths, labels)] * 2 and the class names."""
    check_aeon_installed()
    paths = [resources.files("aeon") / "datasets" / "data" / name / f"{name}_{s.upper()}.ts" for s in SPLITS]
    for path in paths:
        if not path.is_file():
            raise SpecError(f"{name} must be among the files of the installed aeon {metadata.version('aeon')}, "
                            f"but {path} is missing; reinstall with: python -m pip install --force-reinstall aeon")
    splits, class_names = [], None
    for path in paths:
        sequences, labels, names = read_ts(path)
        class_names = class_names or names
        index = {class_name: label for label, class_name in enumerate(class_names)}
        lengths = np.array([s.shape[1] for s in sequences], dtype=np.int64)
        x = np.zeros((lengths.max(), len(sequences), sequences[0].shape[0]), dtype=np.float32)
        for n, sequence in enumerate(sequences):  # the file has (X, T of this sequence)
            x[: lengths[n], n] = sequence.T
        splits.append((x, lengths, np.array([index[label] for label in labels], dtype=np.int64)))
    return splits, class_names


def load_own(path: str):
    """Reads a user's data set: an .npz file with these arrays for each split, `train` and `test`.

    x_<split>: real numbers (T, N, X), time first; lengths_<split>: integers (N,); labels_<split>: integers (N,),
    0 .. n_classes - 1. Optional: class_names, strings (n_classes,); without it classes are named by their number.
    Pickled objects are refused: a data file never executes code.
    """
    arrays = load_npz(path)
    missing, unknown = set(NPZ_KEYS) - set(arrays), set(arrays) - set(NPZ_KEYS) - {"class_names"}
    if missing or unknown:
        raise SpecError(f"the arrays must be {', '.join(NPZ_KEYS)} and optionally class_names; "
                        f"missing: {sorted(missing)}, unknown: {sorted(unknown)} ({path})")
    for key in NPZ_KEYS:
        if arrays[key].dtype.kind not in ("iu" if not key.startswith("x_") else "iuf"):
            allowed = "real numbers" if key.startswith("x_") else "integers"
            raise SpecError(f"{key} must hold {allowed}, not {arrays[key].dtype} ({path})")
    splits = [tuple(arrays[f"{part}_{split}"] for part in ("x", "lengths", "labels")) for split in SPLITS]
    if "class_names" in arrays:
        class_names = [str(name) for name in arrays["class_names"].reshape(-1)]
    else:
        labels = arrays["labels_train"]
        class_names = [str(k) for k in range(int(labels.max()) + 1 if labels.size else 0)]
    return splits, class_names


def check_split(x, lengths, labels, n_classes: int, where: str):
    """Checks one split and returns it as (float32 with zero padding, int64, int64); SpecError names the array."""
    x = np.asarray(x)
    if x.ndim != 3 or 0 in x.shape:
        raise SpecError(f"x must be (steps, sequences, channels), none of them 0, not {x.shape} ({where})")
    n_steps, n_sequences, _ = x.shape
    for key, array in (("lengths", lengths), ("labels", labels)):
        if np.shape(array) != (n_sequences,):
            raise SpecError(f"{key} must have the shape ({n_sequences},), one for each sequence of x, "
                            f"not {np.shape(array)} ({where})")
    lengths, labels = np.asarray(lengths, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    for n in np.flatnonzero((lengths < 1) | (lengths > n_steps))[:1]:
        raise SpecError(f"lengths must be 1 .. {n_steps}, not {lengths[n]} (an empty or overlong sequence; "
                        f"{where}: sequence {n})")
    for n in np.flatnonzero((labels < 0) | (labels >= n_classes))[:1]:
        raise SpecError(f"labels must be 0 .. {n_classes - 1}, not {labels[n]} ({where}: sequence {n})")
    inside = np.arange(n_steps)[:, None] < lengths  # (T, N)
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and is refused as such
        x = np.where(inside[:, :, None], x, 0).astype(np.float32)
    for t, n, k in np.argwhere(~np.isfinite(x))[:1]:
        raise SpecError(f"x must be finite, not {x[t, n, k]} ({where}: sequence {n}, step {t}, channel {k}); "
                        "replace missing values before")
    return x, lengths, labels


def fold(x: np.ndarray, lengths: np.ndarray, n: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Joins every n neighbouring steps into one: (T, N, X) and (N,) become (T/n, N, n*X) and lengths / n.

    >>> x, lengths = fold(np.arange(4.0).reshape(4, 1, 1), np.array([4]), 2, "")
    >>> x[:, 0].tolist(), lengths.tolist()
    ([[0.0, 1.0], [2.0, 3.0]], [2])
    """
    for bad in np.flatnonzero(lengths % n)[:1]:
        raise SpecError(f"every sequence length must be a multiple of fold_steps={n}, not {lengths[bad]}: cut or pad "
                        f"the sequences, or set another fold_steps ({where}: sequence {bad}; data.fold_steps)")
    x = x[: int(lengths.max())]
    n_steps, n_sequences, n_channels = x.shape
    x = x.reshape(n_steps // n, n, n_sequences, n_channels).swapaxes(1, 2)
    return np.ascontiguousarray(x.reshape(n_steps // n, n_sequences, n * n_channels)), lengths // n


def check_fits_model(dataset: Dataset, model: ModelSpec, where: str) -> None:
    """Raises SpecError unless the model takes the set's channels and can tell its classes apart."""
    if model.input_size != dataset.n_channels:
        raise SpecError(f"input_size must be the data set's {dataset.n_channels} channels, "
                        f"not {model.input_size} ({where}: model.input_size)")
    if model.output_size < dataset.n_classes:
        raise SpecError(f"the model must have an output for each of the {dataset.n_classes} classes, "
                        f"not {model.output_size} ({where}: model.output.size, or the last cell's hidden_size)")
