"""Synthesis with Yosys itself, on small Verilog and a small library: results, repeatability, refusals, proofs."""

import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from flow.pdk.config import load_pdk_config
from flow.step import Work
from flow.steps.synthesis import DesignSources, map_design
from flow.synthesis import yosys
from flow.synthesis.library import load_library
from flow.synthesis.netlist import measure_netlist
from flow.synthesis.prove import parse_verdict, prove
from flow.synthesis.script import LIBERTY, Stage
from flow.synthesis.spec import SynthesisSpec, why_not
from flow.synthesis.yosys import run_yosys, yosys_rules
from flow.tool import ToolError
from golden.spec import SpecError
from tests.small_library import PREFIX, small_library

pytestmark = pytest.mark.eda

CONFIG = load_pdk_config()
SMALL = """module part(input clk, input [3:0] a, output reg [3:0] kept);
    always @(posedge clk) kept <= a;
endmodule
module tested(input clk, input rst, input en, input [3:0] a, input [3:0] b, input [2:0] where,
              output reg [7:0] total, output [7:0] three, output wide, output [3:0] kept, output [3:0] read,
              output [2:0] some);
    reg [3:0] rows [0:3];
    reg [31:0] many;
    reg [2:0] few;
    always @(posedge clk) begin
        if (rst) total <= 0;
        else if (en) total <= total + $signed(a) * $signed(b);
        if (en) rows[where[1:0]] <= a;
        if (en) many <= {32{where[2]}} ^ {8{a}};
        if (where == 5) few <= b[2:0];
    end
    assign three = 8'd3;
    assign wide = ^many;
    assign some = few;
    assign read = rows[b[1:0]];
    part inner (.clk(clk), .a(a + b), .kept(kept));
endmodule
"""


def synthesise(folder: Path, text: str = SMALL, **fields):
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / "tested.v").write_text(text)
    liberty = folder.parent / f"{folder.name}.lib"
    liberty.write_text(small_library())
    spec = SynthesisSpec(clock_period_ns=10, **fields)
    library = load_library(liberty, partial(why_not, spec=spec, pdk=CONFIG))
    work = Work(folder, {}, (liberty,))
    netlist = map_design(spec, library, liberty, "tested", DesignSources(("rtl/tested.v",), (), ()), work)
    return netlist, library


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthesis") / "one"
    return folder, *synthesise(folder)


def test_netlist_is_of_library_cells_with_the_registers_names(done):
    folder, netlist, library = done
    values = measure_netlist(netlist, library)
    assert values["design__instance__count__class:sequential_cell"] == 8 + 16 + 32 + 4 + 3
    assert values["synthesis__clock_gate__count"] == 2          # total and many; not rows of four and the three of few
    assert values["synthesis__clock_gate__register__count"] == 8 + 32
    assert {"total_reg_bit_0__gate", "many_reg_bit_0__gate"} <= set(netlist.module.cells)
    assert values["design__max_fanout"] <= 16
    cells = netlist.module.cells
    assert {"total_reg_bit_7__ff", "inner__kept_reg_bit_0__ff", "rows_3__reg_bit_3__ff"} <= set(cells)
    assert cells["total_reg_bit_7__ff"].type == f"{PREFIX}dfxtp_1"
    text = (folder / "netlist.v").read_text()
    assert "\\" not in text and "assign" not in text
    assert all(f" {name} (" in text for name in cells)
    assert sum(cell.type == f"{PREFIX}conb_1" for cell in cells.values()) > 0


def test_same_input_same_bytes_in_another_folder(done, tmp_path):
    synthesise(tmp_path / "a" / "much longer path" / "two")
    for name in ("netlist.v", "netlist.json", "script.ys"):
        assert (tmp_path / "a" / "much longer path" / "two" / name).read_bytes() == (done[0] / name).read_bytes(), name


def yosys_installed_at(folder: Path, tmp_path: Path) -> Path:
    """A worker that finds a copy of the package pyosys in another folder."""
    installed = yosys_rules("techmap.v").parents[1]
    shutil.copytree(installed / "share", folder / "pyosys" / "share")
    for name in ("__init__.py", "libyosys.so", "yosys-abc"):
        (folder / "pyosys" / name).symlink_to(installed / name)
    worker = tmp_path / "worker.py"
    worker.write_text(f"import runpy, sys\nsys.path.insert(0, {str(folder)!r})\n"
                      f"runpy.run_path({str(yosys.WORKER)!r}, run_name='__main__')\n"
                      "print('pyosys was', sys.modules['pyosys'].__file__)\n")
    return worker


def test_same_input_same_bytes_with_yosys_installed_elsewhere(done, tmp_path, monkeypatch):
    monkeypatch.setattr(yosys, "WORKER", yosys_installed_at(tmp_path / "a_longer_name_of_a_folder", tmp_path))
    synthesise(tmp_path / "two")
    for name in ("netlist.v", "netlist.json"):
        assert (tmp_path / "two" / name).read_bytes() == (done[0] / name).read_bytes()
    assert f"pyosys was {tmp_path}/a_longer_name_of_a_folder/" in (tmp_path / "two" / "step.log").read_text()


def test_missing_rules_of_yosys_are_one_message():
    with pytest.raises(SpecError, match=r"must bring its rules nothing\.v, and .*pyosys/share/nothing\.v is no file"):
        yosys_rules("nothing.v")


def test_area_is_smaller_than_delay(done, tmp_path):
    netlist, library = synthesise(tmp_path / "area", goal="area")
    area, delay = (measure_netlist(found, library)["design__instance__area__stdcell"] for found in (netlist, done[1]))
    assert area < delay


@pytest.mark.parametrize(("old", "new", "said"), [
    ("if (rst) total <= 0;", "", "stage 'read'"),                      # no longer Verilog
    ("assign wide = ^many;", "reg held; always @* if (en) held = ^many; assign wide = held;", "stage 'flatten'"),
    ("assign wide = ^many;", "assign wide = ^many; assign wide = en;", "stage 'flatten'"),
    ("assign wide = ^many;", "wire loop; assign loop = !(loop & en); assign wide = loop;", "stage 'flatten'"),
    ("part inner", "absent inner", "stage 'read'.*absent"),
    ("always @(posedge clk) kept", "always @(negedge clk) kept", "stage 'flatten'"),
], ids=["syntax", "latch", "two drivers", "loop", "absent module", "falling clock"])
def test_bad_verilog_is_one_message(tmp_path, old, new, said):
    assert old in SMALL
    with pytest.raises((ToolError, SpecError), match=said):
        synthesise(tmp_path / "bad", SMALL.replace(old, new))


def test_crash_of_yosys_is_one_message_with_stage_and_log(tmp_path):
    stages = [Stage("first", "log begins"), Stage("second", "read_verilog absent.v")]
    with pytest.raises(ToolError, match=r"Yosys failed in stage 'second': .*absent\.v.*log: .*step\.log"):
        run_yosys(stages, tmp_path, tmp_path / "step.log")


def proof(folder: Path, netlist: str = "netlist.v"):
    shutil.copy(folder.parent / "one.lib", folder / LIBERTY)
    return prove("tested", ["rtl/tested.v"], [], [], folder, folder / "proof.log", netlist)


def test_netlist_is_proved_equal_to_its_rtl(done):
    found = proof(done[0])
    assert (found.n_registers, found.removed) == (63, ())
    assert found.n_outputs == 63 + 8 + 8 + 1 + 4 + 4 + 3


def test_a_wrong_gate_breaks_the_proof(done):
    folder = done[0]
    text = (folder / "netlist.v").read_text()
    before, gate, after = text.partition(f"{PREFIX}nand2_1 ")
    assert gate
    (folder / "wrong.v").write_text(before + f"{PREFIX}nor2_1 " + after)
    with pytest.raises(SpecError, match="the netlist of tested must do what its RTL says, and does not; they differ"):
        proof(folder, "wrong.v")


def test_a_clock_gate_with_a_wrong_enable_breaks_the_proof(done):
    folder = done[0]
    text = (folder / "netlist.v").read_text()
    enable = re.search(r"total_reg_bit_0__gate \([^;]*?\.GATE\((\w+)\)", text)
    wrong = text[:enable.start(1)] + "en" + text[enable.end(1):]             # no longer in reset
    (folder / "wrong_enable.v").write_text(wrong)
    with pytest.raises(SpecError, match="does not; they differ first at register total_reg_bit_"):
        proof(folder, "wrong_enable.v")


def test_full_adders_of_the_library_are_taken_for_area_only(done, tmp_path):
    netlist, library = synthesise(tmp_path / "area", goal="area")
    adders = [sum(cell.type == library.full_adder.cell for cell in found.module.cells.values())
              for found in (netlist, done[1])]
    assert adders[0] > 0 and adders[1] == 0


def test_silence_is_no_proof():
    with pytest.raises(SpecError, match="abc must say whether"):
        parse_verdict("Segmentation fault")


def test_opensta_reads_library_and_netlist_without_a_word(done, tmp_path):
    if shutil.which("sta") is None:
        pytest.skip("sta (OpenSTA) is not on PATH: ./stillwater doctor")
    folder = done[0]
    script = tmp_path / "read.tcl"
    script.write_text(f"read_liberty {folder.parent / 'one.lib'}\nread_verilog {folder / 'netlist.v'}\n"
                      "link_design tested\ncreate_clock -name clk -period 10 [get_ports clk]\nreport_checks\nexit\n")
    said = subprocess.run(["sta", "-no_splash", "-exit", script], capture_output=True, text=True, timeout=60)
    text = said.stdout + said.stderr
    assert "slack" in text and "Warning" not in text and "Error" not in text, text
