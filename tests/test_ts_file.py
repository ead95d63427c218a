"""The reader of .ts files: what aeon's reader makes of the shipped sets, and every file that it refuses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from golden.dataset import PUBLIC_SETS, SPLITS
from golden.spec import SpecError
from golden.ts_file import read_ts

ROOT = Path(__file__).resolve().parent.parent
SOUND = "# two classes\n@timestamps false\n@univariate false\n@classLabel true Up down\n@data\n"
SOUND += "1,2:3,-4e-1:UP\n5:6:down\n"


@pytest.mark.parametrize("name", PUBLIC_SETS)
@pytest.mark.parametrize("split", SPLITS)
def test_the_shipped_sets_are_what_aeon_reads(name, split):
    from aeon import datasets
    path = Path(datasets.__file__).parent / "data" / name / f"{name}_{split.upper()}.ts"
    wanted, wanted_labels, header = datasets.load_from_ts_file(str(path), return_meta_data=True)
    sequences, labels, class_names = read_ts(path)
    assert class_names == header["class_values"] and labels == list(wanted_labels)
    assert len(sequences) == len(wanted)
    for got, want in zip(sequences, wanted, strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


def test_loading_a_set_imports_nothing_that_is_slow():
    code = ("import sys; from golden.dataset import DataSpec, load_dataset; load_dataset(DataSpec(name='BasicMotions'))"
            "; sys.exit(bool({'aeon.datasets', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_lengths_may_differ_and_capitals_do_not_count(tmp_path):
    (tmp_path / "x.ts").write_text(SOUND)
    sequences, labels, class_names = read_ts(tmp_path / "x.ts")
    assert [sequence.tolist() for sequence in sequences] == [[[1, 2], [3, -0.4]], [[5], [6]]]
    assert (labels, class_names) == (["up", "down"], ["up", "down"])


@pytest.mark.parametrize("old, new, message", [
    ("@classLabel true Up down\n", "", "must name the classes"),
    ("@classLabel true Up down\n", "@classLabel false\n", "must name the classes"),
    ("@timestamps false", "@timestamps true", "@timeStamps must be false, not true: line 2"),
    ("1,2:3,-4e-1", "1,2:3", "channels of equally many numbers each: line 6"),
    ("1,2:3,-4e-1", "1,2:3,?", "channels of equally many numbers each: line 6"),
    ("1,2:3,-4e-1:", "", "channels of equally many numbers each: line 6"),
    ("6:down", "6:sideways", "class must be one of up, down, not 'sideways': line 7"),
    ("6:down", "6", "class must be one of up, down, not '6': line 7"),
    ("@data\n1,2:3,-4e-1:UP\n5:6:down\n", "@data\n", "a line for each sequence after @data, not none"),
])
def test_files_that_are_refused(tmp_path, old, new, message):
    assert old in SOUND
    path = tmp_path / "x.ts"
    path.write_text(SOUND.replace(old, new))
    with pytest.raises(SpecError, match=message) as error:
        read_ts(path)
    assert str(path) in str(error.value)
