"""`./stillwater asic design=tiny` as users run it: every stage, every gate, the closing tables; and again the same."""

from pathlib import Path

import klayout.db as kdb
import pytest

from flow import tasks
from flow.chip import load_chip
from flow.metrics import load_metrics
from flow.parameters import parse_designs
from flow.stages import stages_of
from flow.step import file_sha256
from flow.steps.asic_table import CLEAN
from flow.steps.pdk import run_pdk
from tests.shared_build import shared_build

DESIGN = "tiny"
MADE = ("*.def", "*.gds", "*.v", "*.spef", "*.png", "clock.json")
"""Markers, logs and metrics hold paths and times."""


def run(build: Path, monkeypatch) -> Path:
    """All stages in a build folder; the layout's folder."""
    monkeypatch.setattr(tasks, "BUILD", build)
    designs = parse_designs(DESIGN)
    tasks.asic(designs[0], designs)
    return next(build.glob(f"{DESIGN}-*/gds")).parent


def contents(folder: Path) -> dict[str, str]:
    """What the stages made: file -> its hash."""
    return {str(path.relative_to(folder)): file_sha256(path) for pattern in MADE for path in folder.rglob(pattern)}


@pytest.mark.eda
def test_tiny_becomes_a_checked_layout(tmp_path_factory, monkeypatch, capsys):
    with shared_build(tmp_path_factory) as build:
        folder = run(build, monkeypatch)
        said = capsys.readouterr().out
        stages = [stage.name for stage in stages_of(load_chip(DESIGN, run_pdk(build), build))]
        capsys.readouterr()
        run(build, monkeypatch)
        again = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines() if line.startswith(f"{DESIGN} ")]
    assert [line[1] for line in lines] == [f"{number}/{len(stages)}" for number in range(1, len(stages) + 1)]
    assert sorted(line[2] for line in lines) == sorted(stages)
    for _, stage, *keys in CLEAN:
        assert all(load_metrics(folder / stage / "metrics.json")[key] == 0 for key in keys if key), stage
    gds = next(folder.glob("gds/*.gds"))
    assert gds.name in said and gds.with_suffix(".png").name in said
    layout = kdb.Layout()
    layout.read(str(gds))
    assert [cell.name for cell in layout.top_cells()] == [f"stillwater_{DESIGN}"]
    sta = load_metrics(folder / "sta" / "metrics.json")
    slacks = [value for key, value in sta.values.items() if key.startswith(("timing__setup__ws", "timing__hold__ws"))]
    assert len(slacks) >= 6 and min(slacks) >= 0
    assert load_metrics(folder / "gatesim" / "metrics.json")["gatesim__compared__count"] > 10_000
    assert again.count(" kept ") == len(stages)


@pytest.mark.nightly
def test_the_same_design_gives_the_same_bytes(tmp_path, monkeypatch):
    first, second = (contents(run(tmp_path / name, monkeypatch)) for name in ("a", "b"))
    assert first.keys() == second.keys() and any(name.endswith(".gds") for name in first)
    assert [name for name in first if first[name] != second[name]] == []
