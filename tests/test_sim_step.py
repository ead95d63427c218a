"""`doit sim` and `doit export` as a whole, on the smallest design: resumed by content, missing tools told first."""

import io
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from flow import tasks
from flow.metrics import load_metrics
from flow.parameters import parse_designs
from flow.simulate.compare import MismatchError
from flow.simulate.difference import Difference
from flow.simulate.events import EventLog
from flow.step import ROOT, sources_sha256
from flow.steps import sim
from flow.steps.export import run_export
from flow.steps.sim_table import LANE_CYCLES, is_exact, print_table
from flow.tool import ToolError
from golden.npz import load_npz, write_npz
from golden.spec import SpecError
from rtl.config import load_design
from rtl.cycles import CycleCount
from rtl.weight_image import parse_image

CAUSES = ("mac", "header", "recurrence", "update", "host", "drain")


@pytest.mark.eda
def test_tiny_is_right_everywhere_and_a_second_run_goes_on_where_the_first_one_was(tmp_path, monkeypatch):
    monkeypatch.setattr(sim, "sources_sha256", lambda patterns: "as they are")  # somebody may edit while this runs
    (tmp_path / "simulators").symlink_to(ROOT / "build" / "simulators")
    (ROOT / "build" / "simulators").mkdir(parents=True, exist_ok=True)
    metrics = sim.run_sim("tiny", tmp_path)
    folder = tmp_path / "tiny-sim"
    assert load_metrics(folder / "metrics.json") == metrics
    assert is_exact(metrics)
    n_steps = metrics["sim__step__count"]
    assert metrics["sim__compared__h__count__simulator:verilator"] >= 4 * n_steps
    assert metrics["sim__compared__c__count__simulator:pyrtl"] == metrics["sim__compared__h__count__simulator:pyrtl"]
    assert metrics["cycles__total"] == sum(metrics[f"cycles__{cause}"] for cause in CAUSES)
    assert set(metrics.tools) >= {"verilator", "iverilog"}

    stamps = {stage: (folder / stage / "metrics.json").stat().st_mtime_ns for stage in sim.STAGES}
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "icarus")  # as if killed in the last stage
    again = sim.run_sim("tiny", tmp_path)
    for stage in ("golden", "export", "pyrtl", "verilator"):
        assert (folder / stage / "metrics.json").stat().st_mtime_ns == stamps[stage], f"{stage} was repeated"
    timed = ("__s__simulator", "_per_s__simulator")
    same = {key for key in metrics.values if not any(word in key for word in timed)}
    assert {key: again[key] for key in same} == {key: metrics[key] for key in same}


@pytest.fixture
def counted(monkeypatch):
    """A simulation of one stage, whose result is how often it ran."""
    run = {"count": 0}

    def golden(run_, work):
        run["count"] += 1
        return {"accuracy__x": run["count"]}

    monkeypatch.setattr(sim, "_golden", golden)
    monkeypatch.setattr(sim, "STAGES", ("golden",))
    monkeypatch.setattr(sim, "_check_together", lambda run_, values: None)


@pytest.mark.eda
def test_a_stage_is_repeated_when_its_sources_change(tmp_path, monkeypatch, counted):
    for sources, count in (("a", 1), ("a", 1), ("b", 2), ("b", 2)):
        monkeypatch.setattr(sim, "sources_sha256", lambda patterns, sources=sources: sources)
        assert sim.run_sim("tiny", tmp_path)["accuracy__x"] == count


@pytest.mark.eda
def test_a_stage_is_repeated_when_the_users_own_data_change(tmp_path, monkeypatch, counted):
    monkeypatch.setattr(sim, "sources_sha256", lambda patterns: "as they are")
    text = (ROOT / "rtl" / "designs" / "tiny.yaml").read_text()
    text = text.replace("  name: ItalyPowerDemand\n  fold_steps: 2", "  name: npz\n  path: own.npz")
    (tmp_path / "own.yaml").write_text(text)
    shutil.copyfile(ROOT / "golden" / "trained" / "tiny.npz", tmp_path / "tiny.npz")
    split = {"x": np.zeros((3, 2, 2)), "lengths": np.array([3, 2]), "labels": np.array([0, 1])}
    data = {f"{key}_{part}": array for key, array in split.items() for part in ("train", "test")}
    for value, count in ((0.0, 1), (0.0, 1), (0.5, 2), (0.5, 2)):
        write_npz(tmp_path / "own.npz", {**data, "x_test": split["x"] + value})
        metrics = sim.run_sim(tmp_path / "own.yaml", tmp_path / "build")
        assert metrics["accuracy__x"] == count
        assert set(metrics.inputs) == {"own.yaml", "tiny.npz", "own.npz"}


def test_the_versions_of_the_packages_are_among_what_a_stage_is_made_from(tmp_path, monkeypatch):
    files = [name for name in sim.SOURCES if "*" not in name]
    now = sources_sha256(files)
    (tmp_path / "requirements.lock").write_text("aeon==9.9\n")
    monkeypatch.setattr("flow.step.ROOT", tmp_path)
    assert sources_sha256(files) != now


@pytest.mark.parametrize("missing, package", [("verilator", "verilator"), ("vvp", "iverilog"), ("gcc", "gcc")])
def test_a_missing_simulator_is_one_message_before_any_work(tmp_path, monkeypatch, missing, package):
    tools = tmp_path / "bin"
    tools.mkdir()
    for command in sim.SIM_TOOLS:
        if command != missing:
            (tools / command).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(ToolError, match=f"{missing} .*must be on PATH.*apt-get install .*{package}"):
        sim.run_sim("tiny", tmp_path / "build")
    assert not (tmp_path / "build").exists()


def test_a_counter_that_differs_from_the_formula_is_named():
    count = CycleCount(dict.fromkeys(CAUSES, 5), 1, 1, 1)
    registers = {f"cycles {cause}": 5 for cause in CAUSES}
    log = EventLog(np.array([[6, 99, 0, 0, 0]], dtype=np.uint64), "PyRTL")
    sim.check_cycles("x", count, registers, log)
    with pytest.raises(MismatchError, match="cycles update: the block counted 6, the formula says 5"):
        sim.check_cycles("x", count, {**registers, "cycles update": 6}, log)


def example_metrics(**values):
    """Metrics of a design as the table needs them."""
    figures = {
        "design__name": "vowels_deep", "design__lane__count": 32, "design__stream__count": 4, "sim__step__count": 5687,
        "cycles__per_step": 378.93, "accuracy__int__sequence__count": 1029,
        **{f"accuracy__{kind}__{part}": 0.9784 for kind in ("float", "int") for part in ("fraction", "low", "high")},
        **{f"lane_cycles__{key}": 1000 for key in LANE_CYCLES},
    }
    for kind, speed in (("pyrtl", 1.2e6), ("verilator", 2.1e6), ("icarus", 6.6e3)):
        figures |= {f"sim__compared__count__simulator:{kind}": 464534, f"sim__mismatch__count__simulator:{kind}": 0,
                    f"sim__speed__cycles_per_s__simulator:{kind}": speed}
    return figures | values  # indexed like flow.metrics.Metrics


def printed(*results, failed=None, columns=100, terminal=True):
    console = Console(file=io.StringIO(), width=columns, force_terminal=terminal, no_color=True)
    print_table(results, console, failed=failed)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


def test_a_failed_design_is_a_row_beside_the_finished_ones():
    rows = [line.split() for line in printed(example_metrics(), failed="motions").splitlines() if line.strip()]
    assert ["motions", "FAIL"] in rows
    assert any(row[:2] == ["vowels_deep", "PASS"] for row in rows)


def test_a_failure_does_not_lose_the_table_of_the_designs_before(tmp_path, monkeypatch, capsys):
    designs = parse_designs("tiny,demand")
    monkeypatch.setattr(tasks, "BUILD", tmp_path)
    monkeypatch.setattr("flow.metrics.load_metrics", lambda path: example_metrics(design__name=path.parent.name))
    tasks.sim_result(designs[0]).parent.mkdir()
    tasks.sim_result(designs[0]).touch()

    def fail(reference, build):
        raise MismatchError(Difference(7, f"{reference} differs"))

    monkeypatch.setattr("flow.steps.sim.run_sim", fail)
    with pytest.raises(MismatchError, match="demand differs"):
        tasks.sim(designs[1], designs)
    shown = capsys.readouterr().out
    assert "tiny-sim" in shown and "demand" in shown and "FAIL" in shown


# What a row of each table must read, whatever the width: the largest numbers that designs of this size have.
LARGE = {
    "cycles__per_step": 12345.67, "accuracy__float__fraction": 1.0, "accuracy__int__fraction": 1.0,
    "accuracy__int__high": 1.0, "design__lane__count": 512, "lane_cycles__useful": 1e9,
    **{f"sim__compared__count__simulator:{kind}": 12345678 for kind in ("pyrtl", "verilator", "icarus")},
}
LARGE_ROWS = (
    ["PASS", "12,345,678", "12,345,678", "12,345,678"],
    ["1,029", "100.00", "100.00 (97.8 .. 100.0)"],
    ["512x4", "12345.7", "100.0", *["0.0"] * 6],
    ["1,200", "2,100", "6.6"],
)


@pytest.mark.parametrize("columns, terminal", [(60, True), (80, True), (100, True), (160, True), (80, False)])
@pytest.mark.parametrize("name", ["vowels_deep", "a_name_that_is_much_longer_than_those_that_come_with_it"])
def test_the_tables_fit_80_columns_and_cut_nothing(columns, terminal, name):
    large = example_metrics(design__name=name, **LARGE)
    text = printed(example_metrics(design__name="tiny"), large, failed="motions", columns=columns, terminal=terminal)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= (max(columns, 80) if terminal else 100)
    rows = [re.split(" {2,}", line.strip())[1:] for line in text.splitlines() if line.strip()]
    for row in LARGE_ROWS:
        assert row in rows
    assert "".join(line.split()[0] for line in text.splitlines() if line.strip()).count(name) == 4  # or in pieces
    assert ["PASS", "464,534", "464,534", "464,534"] in rows and ["32x4", "378.9", *["14.3"] * 7] in rows
    assert ["FAIL"] in rows


def test_the_table_shows_a_failure_and_a_loss_of_accuracy():
    assert "FAIL" in printed(example_metrics(**{"sim__compared__count__simulator:icarus": 0}))
    assert "lose 0.84 points" in printed(example_metrics(accuracy__int__fraction=0.97))


@pytest.mark.parametrize("design", ["tiny", "vowels_deep"])
def test_the_exported_weights_are_the_trained_ones(tmp_path, design, capsys):
    run_export(design, tmp_path)
    folder = tmp_path / f"{design}-export"
    config = load_design(design)
    names = {f"stillwater_{design}.v", f"stillwater_{design}_core.v", "weights.hex", "metrics.json"}
    assert names <= {path.name for path in folder.iterdir()}
    words = {}
    for line in (folder / "weights.hex").read_text().splitlines()[1:]:
        address, data = (int(token, 16) for token in line.split())
        words[address] = data
    datapath, layout = config.datapath, config.layout
    stride = max(4, datapath.word_bits // 8)
    bank_bytes = stride << (datapath.bank_words - 1).bit_length()
    image = [[sum(words[0x80000 + bank * bank_bytes + stride * word + 4 * piece] << (32 * piece)
                  for piece in range(stride // 4)) for word in range(layout.n_words)] for bank in range(datapath.banks)]
    assert len(words) == datapath.banks * layout.n_words * stride // 4
    arrays = load_npz(config.weights_path)
    w, bias, _ = parse_image(config, np.array(image, dtype=np.uint64))[0]
    trained = arrays["quantized.cells.0.w"]
    columns = trained.shape[2]
    gates = list(layout.phases[0].gates)
    assert np.array_equal(w, trained[gates].transpose(1, 0, 2)[:, :, :columns])
    assert np.array_equal(bias, arrays["quantized.cells.0.bias"][gates].T)
    assert "weights.hex" in capsys.readouterr().out


def test_export_is_the_same_in_two_processes(tmp_path):
    digests = []
    for seed in ("1", "2"):
        code = "import sys, pathlib, flow.steps.export as e; e.run_export('vowels_x4', pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, tmp_path / seed], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "PYTHONHASHSEED": seed})
        folder = tmp_path / seed / "vowels_x4-export"
        files = [path for path in folder.iterdir() if path.suffix in (".v", ".sv", ".hex")]
        digests.append({path.name: path.read_bytes() for path in files})
    assert len(digests[0]) == 4
    assert digests[0] == digests[1]


def test_bad_design_names_are_refused(tmp_path):
    with pytest.raises(SpecError, match="vovels; did you mean vowels"):
        sim.run_sim("vovels", tmp_path)
    assert not list(tmp_path.iterdir())
