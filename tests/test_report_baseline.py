"""Baselines: what is written, what is allowed, and what fails."""

import msgspec
import pytest
from report_tree import write_tree
from test_report import make

from golden.spec import SpecError
from reports import tasks
from reports.baseline import (
    FOLDER,
    WATCHED,
    baseline_path,
    changed_tools,
    compare,
    failures,
    load_baseline,
    write_baseline,
)
from reports.run import Report


@pytest.fixture
def kept(tmp_path):
    """(path of a baseline of the toy, the baseline)."""
    path = tmp_path / "toy.json"
    return path, write_baseline(make(write_tree(tmp_path)), path)


def states(tmp_path, baseline, **changed):
    ppa = make(write_tree(tmp_path / f"{len(list(tmp_path.iterdir()))}", **changed))
    return {row.key: row.state for row in compare(ppa, baseline)}, failures(compare(ppa, baseline))


def test_a_baseline_holds_values_tolerances_and_versions(kept):
    path, baseline = kept
    assert load_baseline(path) == baseline
    assert set(baseline.figures) == {key for key, _, _ in WATCHED} and baseline.tools == {"tool": "1.2"}
    assert baseline.figures["headline.power"].value == pytest.approx(20.0)


def test_the_same_results_are_as_expected(tmp_path, kept):
    found, said = states(tmp_path, kept[1])
    assert set(found.values()) == {"same"} and said == []


def test_within_the_tolerance_passes_and_beyond_it_fails(tmp_path, kept):
    found, said = states(tmp_path, kept[1], floorplan={"design__die__area": 504_000.0})
    assert found["headline.area"] == "within" and said == []
    found, said = states(tmp_path, kept[1], floorplan={"design__die__area": 510_000.0})
    assert found["headline.area"] == "worse"
    assert said == ["area must be within 1.0% of 0.5 mm2, and is 0.51 (+2.0%)"]


def test_better_than_expected_is_said_and_does_not_fail(tmp_path, kept):
    found, said = states(tmp_path, kept[1], floorplan={"design__die__area": 400_000.0})
    assert found["headline.area"] == "better" and said == []
    found, said = states(tmp_path, kept[1], sta={"clock__period__shortest__corner:ss_100C_1v60": 10.0})
    assert found["headline.clock"] == "better" and said == []
    found, said = states(tmp_path, kept[1], sta={"clock__period__shortest__corner:ss_100C_1v60": 15.0})
    assert found["headline.clock"] == "worse" and len(said) == 1


def test_what_is_missing_fails(tmp_path, kept):
    found, said = states(tmp_path, kept[1], without=("power",))
    assert found["headline.power"] == "missing"
    assert "power is missing (step power has left no metrics.json)" in said


def test_a_gate_that_is_no_longer_passed_fails(tmp_path, kept):
    found, said = states(tmp_path, kept[1], lvs={"design__lvs_error__count": 1})
    assert found["clean.design__lvs_error__count"] == "worse"
    assert said == ["LVS: differences: no longer passed (found 1)"]
    found, said = states(tmp_path, kept[1], without=("lvs",))
    assert found["clean.design__lvs_error__count"] == "missing" and len(said) == 1


def test_other_versions_of_tools_are_named(tmp_path, kept):
    baseline = msgspec.structs.replace(kept[1], tools={"tool": "1.1", "gone": "3"})
    assert changed_tools(make(write_tree(tmp_path / "now")), baseline) == [
        "gone not used (baseline: 3)", "tool 1.2 (baseline: 1.1)"]


@pytest.mark.parametrize("changed, message", [
    ({"without": ("power",)}, "headline.power"),
    ({"drc": {"klayout__drc_error__count": 1}}, "clean.klayout__drc_error__count"),
])
def test_what_is_not_whole_is_no_baseline(tmp_path, changed, message):
    with pytest.raises(SpecError, match=message):
        write_baseline(make(write_tree(tmp_path, **changed)), tmp_path / "toy.json")
    assert not (tmp_path / "toy.json").exists()


def test_results_that_are_out_of_date_are_no_baseline(tmp_path):
    tree = write_tree(tmp_path)
    (tree.folders["sta"] / "input.txt").write_text("something else\n")
    with pytest.raises(SpecError, match="out of date: sta"):
        write_baseline(make(tree), tmp_path / "toy.json")


def test_a_tolerance_that_was_set_by_hand_stays(tmp_path, kept):
    path, _ = kept
    path.write_text(path.read_text().replace('"tolerance": 0.25', '"tolerance": 0.5'))
    again = write_baseline(make(write_tree(tmp_path / "now")), path)
    assert again.figures["clock.skew"].tolerance == 0.5


def test_a_broken_baseline_is_refused(tmp_path):
    (tmp_path / "toy.json").write_text('{"format": 1}')
    with pytest.raises(SpecError, match="write it anew with ./stillwater baseline design=toy"):
        load_baseline(tmp_path / "toy.json")


def test_shipped_baselines_can_be_read():
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    assert names
    for name in names:
        assert load_baseline(baseline_path(name)).design == name


def test_the_task_prints_everything_and_then_fails_with_one_message(tmp_path, kept, monkeypatch, capsys):
    ppa = make(write_tree(tmp_path / "now", floorplan={"design__die__area": 600_000.0}))
    made = [Report(ppa, compare(ppa, kept[1]), tmp_path / "toy.html")]
    monkeypatch.setattr("reports.run.make_reports", lambda *_: made)
    with pytest.raises(SpecError, match="beyond the baseline's tolerance: toy: area must be within 1.0%") as error:
        tasks.report([], None)
    assert "./stillwater baseline design=toy" in str(error.value)
    out = capsys.readouterr().out
    assert "toy.html" in out and "worse" in out


def test_of_several_designs_none_is_written_where_one_is_not_whole(tmp_path, monkeypatch):
    whole, lacking = make(write_tree(tmp_path)), make(write_tree(tmp_path, design="half", without=("power",)))
    made = [Report(ppa, None, tmp_path) for ppa in (whole, lacking)]
    monkeypatch.setattr("reports.run.make_reports", lambda *_: made)
    monkeypatch.setattr("reports.baseline.baseline_path", lambda design: tmp_path / f"{design}.json")
    with pytest.raises(SpecError, match="of half these are not: headline.power"):
        tasks.baseline([])
    assert not (tmp_path / "toy.json").exists()


def test_the_task_passes_within_the_baseline(tmp_path, kept, monkeypatch, capsys):
    ppa = make(write_tree(tmp_path / "now"))
    made = [Report(ppa, compare(ppa, kept[1]), tmp_path / "p.html")]
    monkeypatch.setattr("reports.run.make_reports", lambda *_: made)
    tasks.report([], None)
    assert "all 12 figures as in the baseline" in capsys.readouterr().out
