"""tools/compare_paths.py: what it reads out of OpenSTA's reports and how it judges two libraries' paths."""

import importlib.util
import sys
from pathlib import Path

import pytest

from golden.spec import SpecError

TOOL = Path(__file__).resolve().parent.parent / "tools" / "compare_paths.py"
REPORT = """Startpoint: r_reg (rising edge-triggered flip-flop clocked by clk)
Endpoint: y_reg (rising edge-triggered flip-flop clocked by clk)
       Cap       Slew      Delay       Time   Description
              0.150000    0.000000    0.000000   clock clk (rise edge)
              0.150000    0.000000    0.000000 ^ r_reg/CLK (sky130_fd_sc_hd__dfxtp_1)
   0.023500    0.227500    {q:.6f}    {q:.6f} v r_reg/Q (sky130_fd_sc_hd__dfxtp_1)
              0.227500    0.000000    {q:.6f} v _1_/A (sky130_fd_sc_hd__inv_1)
   0.012710    0.094810    0.100000    {y:.6f} ^ _1_/Y (sky130_fd_sc_hd__inv_1)
              0.094810    0.000000    {y:.6f} ^ y_reg/D (sky130_fd_sc_hd__dfxtp_1)
                                      {y:.6f}   data arrival time
                         -0.100000    9.900000   library setup time
                                      {slack:.6f}   slack (MET)
"""


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("compare_paths", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_paths"] = module
    spec.loader.exec_module(module)
    return module


def report(q: float) -> str:
    return REPORT.format(q=q, y=q + 0.1, slack=9.9 - q - 0.1)


def test_paths_are_read_with_pins_edges_and_times(tool):
    (path,) = tool.parse_paths(report(0.4))
    assert path.route == (("r_reg/CLK", "^"), ("r_reg/Q", "v"), ("_1_/A", "v"), ("_1_/Y", "^"), ("y_reg/D", "^"))
    assert (path.arrival_ns, path.slack_ns, path.period_ns(10)) == pytest.approx((0.5, 9.4, 0.6))


def test_report_without_a_slack_is_refused(tool):
    with pytest.raises(SpecError, match="must have points, arrival and slack"):
        tool.parse_paths(report(0.4).replace("slack", "nothing"))


def test_difference_is_found_and_given_to_its_cell(tool, capsys):
    theirs, ours = tool.parse_paths(report(0.4)), tool.parse_paths(report(0.46))
    assert tool.print_design("x", 10, theirs, ours, ours) == pytest.approx(10)
    (cell, count, share, own), *_ = tool.contributions(theirs, ours, 10)
    assert (cell, count) == ("dfxtp_1 fall", 1) and share == pytest.approx(10) and own == pytest.approx(15)
    assert "max 10.00" in capsys.readouterr().out


def test_a_path_is_asked_for_by_all_its_pins_and_edges(tool):
    command = tool.same_path(tool.parse_paths(report(0.4))[0])
    assert "-from [get_pins r_reg/CLK] -fall_through [get_pins r_reg/Q] -fall_through [get_pins _1_/A] " in command
    assert "-rise_through [get_pins _1_/Y] -rise_to [get_pins y_reg/D]" in command
