"""Design files: what is refused, and that every message says what, allowed, got, where and what to do."""

import msgspec
import pytest
import yaml

from golden.spec import SpecError
from golden.yaml_file import load_yaml
from rtl.config import DESIGN_DIR, design_from_mapping, design_names, load_design

SHIPPED = {
    "tiny": (4, 1, "flipflop"),
    "vowels": (16, 1, "flexmem"),
    "vowels_x4": (16, 4, "flexmem"),
    "demand": (4, 1, "flexmem"),
    "motions": (4, 1, "flexmem"),
    "vowels_deep": (32, 1, "flexmem"),
}


def vowels() -> dict:
    return yaml.safe_load((DESIGN_DIR / "vowels.yaml").read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_designs_are_what_they_claim(name):
    design = load_design(name)
    datapath = design.datapath
    assert (datapath.lanes, datapath.streams, datapath.memory) == SHIPPED[name]
    assert design.layout.n_words <= datapath.bank_words
    assert datapath.banks * datapath.word_bits // 8 == design.layout.lanes


def test_all_designs_are_listed():
    assert design_names() == sorted(SHIPPED)


def changed(path: str, value) -> dict:
    """The vowels design with the field at `a.b.c` set to a value (None: removed)."""
    mapping = vowels()
    *parents, field = path.split(".")
    section = mapping
    for parent in parents:
        section = section[int(parent)] if parent.isdigit() else section[parent]
    if value is None:
        del section[field]
    else:
        section[field] = value
    return mapping


REFUSED = [
    ("datapath.lanes", 5, ["'lanes'", "banks, bank_words, word_bits", "x.yaml: datapath", "remove"]),
    ("colour", "red", ["'colour'", "clock_period_ns", "x.yaml"]),
    ("datapath.banks", "four", ["banks", "int", "str", "x.yaml: datapath.banks"]),
    ("datapath.banks", 0, ["banks must be an integer in 1 .. 64, not 0", "x.yaml: datapath.banks"]),
    ("datapath.word_bits", 24, ["word_bits must be one of 8, 16, 32, 64, not 24", "x.yaml: datapath"]),
    ("datapath.streams", 3, ["streams must be one of 1, 2, 4, not 3", "x.yaml: datapath"]),
    ("datapath.memory", "dram", ["memory must be one of flexmem, openram, flipflop, not 'dram'"]),
    ("datapath.memory", "flipflop", ["at most 8192 bits, not 65536", "use flexmem or openram"]),
    ("datapath.bank_words", 256, ["bank_words must be 512 with memory flexmem, not 256"]),
    ("datapath.banks", 1, ["fit in 512 words a bank, not 1609", "more banks", "x.yaml: datapath.bank_words"]),
    ("datapath.banks", 33, ["at most the 128 accumulator rows", "not 132", "x.yaml: datapath.banks"]),
    ("model.cells.0.hidden_size", 3, ["at most the 12 accumulator rows", "not 16", "fewer banks"]),
    ("model.cells.0.hidden_size", 2000, ["add up to at most 1024, not 2000", "model.cells"]),
    ("model.cells.0.kind", "transformer", ["kind must be one of elman, lstm, gru, not 'transformer'", "model.cells"]),
    ("model.input_size", 0, ["input_size must be an integer of at least 1, not 0", "x.yaml: model"]),
    ("model", None, ["model must be given"]),
    ("quant", {"weight_bits": 9}, ["weight_bits must be an integer in 4 .. 8, not 9", "x.yaml: quant"]),
    ("quant", {"weight_bits": 3}, ["weight_bits", "not 3"]),
    ("clock_period_ns", 0, ["clock_period_ns must be above 0", "x.yaml: clock_period_ns"]),
    ("clock_period_ns", float("nan"), ["clock_period_ns must be above 0", "nan"]),
    ("datapath", {"banks": 64, "bank_words": 4096, "word_bits": 64, "memory": "flipflop"},
     ["at most 524288 bytes of the address map, not 2097152", "fewer or smaller"]),
    ("name", "other", ["name must not be given", "design file's place"]),
]


@pytest.mark.parametrize(("path", "value", "words"), REFUSED, ids=[f"{p}={v}" for p, v, _ in REFUSED])
def test_bad_field_is_refused_with_its_place(path, value, words):
    with pytest.raises(SpecError) as error:
        design_from_mapping(changed(path, value), "x", "x.yaml")
    for word in words:
        assert word in str(error.value), str(error.value)
    assert "\n" not in str(error.value)


def test_lanes_must_hold_whole_units():
    mapping = changed("datapath.word_bits", 8)
    mapping["datapath"]["banks"] = 6
    with pytest.raises(SpecError, match=r"multiple of 4 for LSTM and GRU.*not 6 \(x.yaml: datapath.banks\)"):
        design_from_mapping(mapping, "x", "x.yaml")


@pytest.mark.parametrize("mapping", [None, [], "text"])
def test_a_design_must_be_a_mapping(mapping):
    with pytest.raises(SpecError, match=r"a design file must be a mapping of fields, not .* \(x.yaml\)"):
        design_from_mapping(mapping, "x", "x.yaml")


def test_derived_fields_are_not_offered():
    with pytest.raises(SpecError) as error:
        design_from_mapping(changed("colour", "red"), "x", "x.yaml")
    assert "one of title, model, data, weights, datapath" in str(error.value)


def test_a_design_is_found_again_by_its_reference(tmp_path):
    (tmp_path / "mine.yaml").write_text((DESIGN_DIR / "tiny.yaml").read_text())
    for name in ("tiny", tmp_path / "mine.yaml"):
        assert load_design(load_design(name).reference) == load_design(name)


def test_unknown_design_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean vowels"):
        load_design("vowel")


def test_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(SpecError, match="none.yaml is not there: give a .yaml"):
        load_design(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(SpecError, match="folder.yaml is a folder: give a .yaml"):
        load_design(tmp_path / "folder.yaml")
    with pytest.raises(SpecError, match=r"must end in .yaml, not .yml: rename .*mine.yml"):
        load_design(tmp_path / "mine.yml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("model: [")
    with pytest.raises(SpecError, match=r"YAML \(.*broken.yaml, line 1\): expected") as error:
        load_design(broken)
    assert "\n" not in str(error.value)


UNREADABLE = {
    "model: {input_size: 2}\nweights: a.npz\nmodel: {}\n":
        r"x.yaml, line 3\): model must be given once, not in line 1 and again here: remove one",
    "model:\n  input_size: 2\n  input_size: 3\n":
        r"x.yaml, line 3\): input_size must be given once, not in line 2",
    "a: " + "[" * 3000: r"x.yaml\): nested too deeply",
    "a: 2026-13-45\n": r"x.yaml\): month must be in 1..12",
    "a: !!int x\n": r"x.yaml\): invalid literal",
    "a: !!python/name:os.system\n": r"x.yaml, line 1\): could not determine a constructor",
    "a: \x00\n": r"x.yaml\): .*special characters are not allowed",
}


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_unreadable_yaml_is_one_message_with_its_line(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SpecError, match=f"not readable YAML .*{UNREADABLE[text]}") as error:
        load_design(tmp_path / "x.yaml")
    assert "\n" not in str(error.value)


def test_a_merged_key_may_be_given_again(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {k: 1, m: 2}\nb: {<<: *a, k: 3}\n")
    assert load_yaml(path)["b"] == {"k": 3, "m": 2}


def test_a_path_is_as_good_as_a_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((DESIGN_DIR / "tiny.yaml").read_text())
    mine, tiny = load_design(path), load_design("tiny")
    assert mine.name == "mine"
    assert mine.weights_path == tmp_path / "tiny.npz"
    assert msgspec.structs.replace(mine, name="tiny", weights_dir=tiny.weights_dir) == tiny


def test_design_names_must_name_verilog_modules():
    with pytest.raises(SpecError, match="letters, digits and _"):
        design_from_mapping(vowels(), "my-design", "my-design.yaml")


def test_paths_count_from_the_design_file(tmp_path):
    mapping = vowels() | {"data": {"name": "npz", "path": "mine.npz"}, "weights": "trained/mine.npz"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(mapping))
    design = load_design(path)
    assert design.data.path == str(tmp_path / "mine.npz")
    assert design.weights_path == tmp_path / "trained" / "mine.npz"
