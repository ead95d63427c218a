"""The bench: targets judged and shown, missing torch told, figures written whole."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from flow import bench
from flow.asic import Finished
from flow.bench import Figure, golden_figures, print_figures, write_figures
from flow.bench_asic import asic_figures
from flow.bench_router import LANES, RouterSpeed, measure_router, router_figures
from flow.parameters import ROOT
from flow.steps.pdk import run_pdk
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


def printed(figures, columns=100, terminal=True):
    console = Console(file=io.StringIO(), width=columns, force_terminal=terminal, no_color=True, highlight=False)
    print_figures(figures, console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


REAL = [
    Figure("golden integer model", 317040.4, "steps/s", note="LSTM 12-32, batch 64, one thread"),
    Figure("Verilator run and compare", 1234567.8, "cycles/s", note="vowels, whole test set (370 sequences), compared"),
    Figure("PyRTL run and compare", 1516000.1, "cycles/s", 50e3),
    Figure("Verilator, all of it", 70.0, "s", 60.0, True),
    Figure("MAC utilisation, vowels_deep", 97.53, "%", 90.0),
    Figure("golden / torch", None, "x", 1.0, note="torch is not installed: pip install torch"),
]


@pytest.mark.parametrize("columns, terminal", [(60, True), (80, True), (100, True), (160, True), (80, False)])
def test_the_table_fits_80_columns_and_cuts_nothing(columns, terminal):
    text = printed(REAL, columns, terminal)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= (max(columns, 80) if terminal else 100)
    rows = [re.split(" {2,}", line.strip()) for line in text.splitlines()]
    assert ["Verilator run and compare", "1,234,568 cycles/s"] in rows
    assert ["PyRTL run and compare", "PASS", "1,516,000 cycles/s", ">= 50,000 cycles/s"] in rows
    assert ["Verilator, all of it", "FAIL", "70 s", "<= 60 s"] in rows
    assert ["MAC utilisation, vowels_deep", "PASS", "97.5 %", ">= 90 %"] in rows
    assert ["golden / torch", "not measured", ">= 1 x"] in rows


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
    monkeypatch.setattr(bench, "BUILD", tmp_path)
    monkeypatch.setattr(bench, "run_bench", lambda: [Figure("slow thing", 70.0, "s", 60.0, True)])
    with pytest.raises(SpecError, match="targets missed: slow thing"):
        bench.print_bench(("models",))
    assert "FAIL" in capsys.readouterr().out and (tmp_path / "bench-models.json").is_file()


def test_the_routers_targets_are_of_the_arrays_that_they_are_for():
    fast = [RouterSpeed(lanes, 500 * lanes, 1.0 * lanes, 10, 1e4, 1.1) for lanes in LANES]
    figures = {figure.name: figure for figure in router_figures(fast)}
    assert figures["router, 2,500 nets"].passed is None and figures["router, 5,500 nets"].passed is True
    assert figures["router, 2,500 nets, speed"].value == 500
    assert figures["router, growth of the time"].value == pytest.approx(1.0)
    bad = [*fast[:-1], replace(fast[-1], cpu_s=361.0, detour=1.16)]
    assert [figure.name for figure in router_figures(bad) if figure.passed is False] == [
        "router, 22,000 nets", "router, 22,000 nets, wire / half perimeters", "router, growth of the time"]


def test_a_layouts_figures_are_what_its_stages_were_measured_at():
    stages = {"synthesis": Finished({}, 10.0, 9.0, False), "place": Finished({}, 20.0, 30.0, False)}
    figures = asic_figures("tiny", stages, 125.0, 120.0)
    assert [(figure.name, figure.value) for figure in figures] == [
        ("tiny, all stages", 125.0), ("tiny, all stages, CPU", 39.0), ("tiny, synthesis", 10.0),
        ("tiny, synthesis, CPU", 9.0), ("tiny, place", 20.0), ("tiny, place, CPU", 30.0)]
    assert figures[0].passed is False and asic_figures("tiny", stages, 119.0, 120.0)[0].passed is True


@pytest.mark.eda
def test_a_small_array_is_routed_and_measured(tmp_path):
    [speed] = measure_router(run_pdk(ROOT / "build"), tmp_path, lanes=(1,))
    assert speed.n_nets > 300 and speed.cpu_s > 0 and 1 < speed.detour < 1.15


@pytest.mark.eda
def test_a_small_design_is_measured_on_every_simulator():
    figures = {figure.name: figure for figure in bench.run_bench("tiny", n_golden_runs=5)}
    for name in ("PyRTL run and compare", "Verilator run and compare", "Icarus run and compare"):
        assert figures[name].value > 0 and figures[name].unit == "cycles/s"
    assert figures["MAC utilisation, vowels"].passed is True
    assert figures["golden integer model"].value > 0
