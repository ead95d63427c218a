"""Densities of drawn rectangles, of a routed layout, and of one with too much metal."""

import klayout.db as kdb
import pytest
import test_signoff_lvs
from physical_kit import CONFIG, tech_lef
from signoff_designs import Made

from flow.physical.geometry import Rect
from flow.signoff.density import Density, measure_density, parse_window_rules
from flow.steps.density import check_agreement, run_density
from golden.spec import SpecError

shared, made = test_signoff_lvs.shared, test_signoff_lvs.made


def test_windows_of_the_tech_lef():
    rules = parse_window_rules(tech_lef(), "tech.lef")
    assert set(rules) == {"met1", "met2", "met3", "met4"}
    assert {(rule.largest, rule.window_um, rule.step_um) for rule in rules.values()} == {(0.7, 700.0, 70.0)}
    with pytest.raises(SpecError, match=r"must have a MAXIMUMDENSITY of some metal, and has none \(x\)"):
        parse_window_rules("VERSION 5.7 ;", "x")


def test_whole_and_windows():
    """A quarter of the die covered, twice over; windows of 2 x 2 steps, the last column half as wide."""
    layout = kdb.Layout()
    top = layout.create_cell("top")
    for box in (kdb.Box(0, 0, 20_000, 20_000), kdb.Box(10_000, 0, 20_000, 20_000)):
        top.shapes(layout.layer(*CONFIG.drawing("met1"))).insert(box)
    found = measure_density(layout, top, CONFIG, Rect(0, 0, 35_000, 40_000), 20, 10)
    assert found["met1"].whole == pytest.approx(400 / 1400)
    assert (found["met1"].least, found["met1"].most) == (0.0, 1.0) and found["met2"] == Density(0, 0, 0)
    one = measure_density(layout, top, CONFIG, Rect(0, 0, 35_000, 40_000), 700, 70)["met1"]
    assert one.least == one.most == pytest.approx(one.whole)


def test_two_measures_must_agree():
    check_agreement({"met1": Density(0.4, 0, 0)}, {"met1": 0.6})
    with pytest.raises(SpecError, match="met1 must be measured alike twice, not 0.4000 here and 0.5000"):
        check_agreement({"met1": Density(0.4, 0, 0)}, {"met1": 0.5})


@pytest.mark.eda
def test_a_routed_layout_keeps_the_limits(made: Made, tmp_path):
    metrics = run_density(made.gds.with_suffix(".def"), made.pdk, tmp_path)
    assert metrics["density__error__count"] == 0 and 0.1 < metrics["density__met1"] < 0.6
    assert metrics["density__met1"] == metrics["density__met1__window__max"]         # the die is one window


@pytest.mark.eda
def test_too_much_metal_is_found_by_the_deck_and_by_the_windows(made: Made, tmp_path):
    die = made.design.placement.die

    def cover(layout, top):
        top.shapes(layout.layer(*made.layer("met2"))).insert(kdb.Box(0, 0, die.x1, die.y1 * 3 // 4))
    made.damaged(tmp_path / "random.gds", cover)
    (tmp_path / "random.def").write_bytes(made.gds.with_suffix(".def").read_bytes())
    with pytest.raises(SpecError) as error:
        run_density(tmp_path / "random.def", made.pdk, tmp_path)
    assert "m2.pd.1d: met_min_ca_density.lydrc finds too little clear area" in str(error.value)
    assert "met2: a window of 700 um is covered to 7" in str(error.value)
    assert not (tmp_path / "density").exists()
