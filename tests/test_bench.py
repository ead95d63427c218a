"""The bench: targets judged and shown, missing torch told, figures written whole."""

import io
import json

import pytest
from rich.console import Console

from flow import bench
from flow.bench import Figure, golden_figures, print_figures, write_figures
from golden.spec import SpecError

GOLDEN = {"golden_steps_per_s": 3e5, "torch_steps_per_s": 2e5, "golden_vs_torch": 1.5, "n_steps": 29, "batch": 64,
          "input_size": 12, "hidden_size": 32}


@pytest.mark.parametrize(
    "figure, passed",
    [
        (Figure("a", 10.0, "s", 10.0, at_most=True), True),
        (Figure("a", 10.1, "s", 10.0, at_most=True), False),
        (Figure("a", 9.9, "x", 10.0), False),
        (Figure("a", 10.0, "x", 10.0), True),
        (Figure("a", 10.0, "x"), None),
        (Figure("a", None, "x", 10.0), None),
    ],
)
def test_targets_are_judged(figure, passed):
    assert figure.passed is passed


def printed(figures):
    console = Console(file=io.StringIO(), width=100)
    print_figures(figures, console)
    return console.file.getvalue()


def test_the_table_shows_value_target_and_verdict_in_100_columns():
    text = printed([Figure("fast thing", 123456.7, "cycles/s", 5e4), Figure("slow thing", 70.0, "s", 60.0, True)])
    fast, slow = (next(line for line in text.splitlines() if name in line) for name in ("fast", "slow"))
    assert "123,457 cycles/s" in fast and ">= 50,000 cycles/s" in fast and "PASS" in fast
    assert "70 s" in slow and "<= 60 s" in slow and "FAIL" in slow
    assert max(map(len, text.splitlines())) <= 100


def test_without_torch_the_ratio_is_not_measured_and_says_why():
    ratio = golden_figures({**GOLDEN, "torch_steps_per_s": None, "golden_vs_torch": None})[-1]
    assert ratio.passed is None
    text = " ".join(printed([ratio]).split())
    assert "not measured" in text and "torch is not installed" in text


def test_golden_slower_than_torch_misses_its_target():
    assert golden_figures(GOLDEN)[-1].passed is True
    assert golden_figures({**GOLDEN, "golden_vs_torch": 0.99})[-1].passed is False


def test_figures_are_written_with_their_verdicts(tmp_path):
    path = tmp_path / "new" / "bench.json"
    write_figures([Figure("a", 1.0, "x", 2.0), Figure("b", None, "s", note="why")], path)
    rows = json.loads(path.read_text())["figures"]
    assert [(row["name"], row["passed"], row["note"]) for row in rows] == [("a", False, ""), ("b", None, "why")]
    assert [entry.name for entry in path.parent.iterdir()] == ["bench.json"]


def test_a_missed_target_fails_the_task_after_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULT", tmp_path / "bench.json")
    monkeypatch.setattr(bench, "run_bench", lambda: [Figure("slow thing", 70.0, "s", 60.0, True)])
    with pytest.raises(SpecError, match="targets missed: slow thing"):
        bench.print_bench()
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.eda
def test_a_small_design_is_measured_on_every_simulator():
    figures = {figure.name: figure for figure in bench.run_bench("tiny", n_golden_runs=5)}
    for name in ("PyRTL run and compare", "Verilator run and compare", "Icarus run and compare"):
        assert figures[name].value > 0 and figures[name].unit == "cycles/s"
    assert figures["MAC utilisation, vowels"].passed is True
    assert figures["golden integer model"].value > 0
