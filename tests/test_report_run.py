"""The report of a layout that was really made, and its page in a browser."""

import pytest
from browser import Chromium
from test_report import Page, keys_of

from flow.tool import find_tool
from reports.baseline import FOLDER, baseline_path, compare, load_baseline
from reports.run import make_reports
from tests.shared_build import shared_build
from tests.test_asic_run import DESIGN, run

pytestmark = pytest.mark.eda

FROM_SIM = ("accuracy.float", "accuracy.int", "accuracy.int_low", "accuracy.int_high", "accuracy.sequences")


def test_the_report_of_tiny(tmp_path_factory, monkeypatch, tmp_path):
    """`sim` has not run in this folder: what it measures is missing, and nothing else."""
    with shared_build(tmp_path_factory) as build:
        run(build, monkeypatch)
        [made] = make_reports([DESIGN], build, baselines=tmp_path)
        with Chromium(str(find_tool("chromium"))) as browser:
            looked = [browser.look(made.page, *size) for size in ((1440, 900), (390, 844))]
        html = made.page.read_text()
    ppa = made.ppa
    assert {step for step, record in ppa.steps.items() if record.missing} == {"sim"}
    assert not [step for step, record in ppa.steps.items() if record.stale]
    assert {key for key, check in ppa.checks.items() if not check.passed} == {
        "right.pyrtl", "right.verilator", "right.icarus", "right.accuracy"}
    for key, figure in ppa.figures.items():
        if figure.value is None:
            assert figure.missing == "step sim has left no metrics.json", key
            assert key in FROM_SIM or key.startswith(("cycles.", "context.", "headline.latency")), key
    areas = [sum(figure.value for key, figure in ppa.figures.items() if key.startswith(f"area.{kind}."))
             for kind in ("part", "module", "group")]
    assert max(areas) - min(areas) < 1e-6 and 0.05 < areas[0] < ppa.figures["area.core"].value
    power = [sum(figure.value for key, figure in ppa.figures.items() if key.startswith(f"power.{kind}."))
             for kind in ("part", "module", "group")]
    assert power == pytest.approx([ppa.figures["power.total"].value] * 3, rel=1e-9)
    assert [key for key in keys_of(ppa) if key not in Page(html).texts and key != "title"] == []
    for each in looked:
        assert each.errors == [] and each.requests == [made.page.as_uri()]
        assert each.findings["wide"] == [] and each.findings["broken"] == 0 and each.findings["pictures"] == 2
        assert each.findings["plots"] >= 13
    kept = load_baseline(baseline_path(DESIGN, FOLDER))
    worse = [row.key for row in compare(ppa, kept) if row.state == "worse"]
    assert worse == [], "tiny has become worse than its baseline"
