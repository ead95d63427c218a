"""The official decks on a small routed design: clean, and markers with places when it is damaged."""

import klayout.db as kdb
import pytest
import test_signoff_lvs
from signoff_designs import Made

from flow.signoff.drc import parse_markers, parse_rules
from flow.steps.drc import run_drc
from golden.spec import SpecError

shared, made = test_signoff_lvs.shared, test_signoff_lvs.made

REPORT = """<report-database><categories><category><name>'m1.2'</name></category></categories><items>
<item><category>'m1.2'</category><cell>top</cell><values><value>edge-pair: (1,2;1.4,2)|(1,2.2;-1,2.2)</value></values>
</item>{more}</items></report-database>"""


def test_markers_have_their_places():
    (marker,) = parse_markers(REPORT.format(more=""), "r")
    assert marker == ("m1.2", "top", 0.2, 2.1) and parse_rules(REPORT.format(more="")) == ["m1.2"]
    with pytest.raises(SpecError, match=r"one of m1\.2 has none \(r\)"):
        parse_markers(REPORT.format(more="<item><category>m1.2</category></item>"), "r")


@pytest.mark.eda
def test_a_routed_layout_has_no_marker(made: Made, tmp_path):
    metrics = run_drc(made.gds.with_suffix(".def"), made.pdk, tmp_path)
    assert metrics["klayout__drc_error__count"] == metrics["design__zero_area__count"] == 0
    assert metrics["klayout__drc_rule__count"] == 255


@pytest.mark.eda
def test_damage_is_found_with_rule_and_place(made: Made, tmp_path):
    """A wire that is 40 nm too narrow, one too near to another, a poly strip, a point off the grid, a line."""
    def damage(layout, top):
        def draw(name, *box):
            top.shapes(layout.layer(*made.layer(name))).insert(kdb.Box(*box))
        draw("met3", 1000, -4000, 5000, -3740)
        draw("met2", 1000, -8000, 5000, -7800)
        draw("met2", 1000, -7750, 5000, -7500)
        draw("poly", 1000, -6000, 1100, -5000)
        draw("met4", 1001, -12000, 5000, -11000)
        draw("met1", 1000, -14000, 5000, -14000)
    made.damaged(tmp_path / "random.gds", damage)
    with pytest.raises(SpecError) as error:
        run_drc(tmp_path / "random.def", made.pdk, tmp_path)
    found = str(error.value)
    for line in (r"MR_met3.WID.1: 1 markers, random at 3.000, -3.870 um", "m2.2: 1 markers, random at 3.000, -7.775",
                 "MR_poly.WID.2: 1 markers, random at 1.050, -5.500", "m4_OFFGRID: 2 markers, random at 1.001, -1",
                 "zero area: 1 shapes"):
        assert line in found, (line, found)
