"""SPEF: what is written, what is refused, and that OpenSTA takes the names and the numbers."""

import re
import subprocess

import pytest
from physical_kit import LIBRARY, kit_cells
from small_library import small_library

from flow.extract.spef import Capacitor, RcNet, Resistor, check_rc_net, write_spef
from flow.physical.netlist import Netlist
from flow.physical.verilog import write_netlist
from golden.spec import SpecError

CELLS = kit_cells("inv_1", "nand2_1")
INV, NAND = f"{LIBRARY}__inv_1", f"{LIBRARY}__nand2_1"
NETLIST = Netlist(
    "top", {"a[1]": "input", "a[0]": "input", "y": "output"},
    {"u.x[3]": INV, "g$1/q": NAND, "h[0][1]": INV, "\\odd": INV},
    {"a[1]": (("", "a[1]"), ("u.x[3]", "A")), "a[0]": (("", "a[0]"), ("g$1/q", "A")),
     "st.h[3]": (("u.x[3]", "Y"), ("g$1/q", "B")), "n/2": (("g$1/q", "Y"), ("h[0][1]", "A")),
     "b:3": (("h[0][1]", "Y"), ("\\odd", "A")), "y": (("", "y"), ("\\odd", "Y"))})
GROUND_FF, COUPLED_FF = 5.0, 100.0


def rc_net(name, other=None):
    """Two resistors with a point between them, which has a capacitor to ground and maybe one to another net's."""
    near, far = NETLIST.nets[name]
    coupling = (Capacitor(1, COUPLED_FF, (other, 1)),) if other else ()
    return RcNet(name, (Resistor(near, 1, 10), Resistor(1, far, 2000)), (Capacitor(1, GROUND_FF), *coupling))


def nets():
    coupled = {"st.h[3]": "n/2", "n/2": "st.h[3]"}
    return [rc_net(name, coupled.get(name)) for name in NETLIST.nets]


def test_a_net_is_written_with_its_connections_and_values():
    text = write_spef(NETLIST, CELLS, nets())
    assert "*C_UNIT 1 FF" in text and "*PORTS\n\na[1] I\na[0] I\ny O\n" in text
    net = text[text.index("*D_NET *3"):].split("*END")[0]
    assert net == (f"*D_NET *3 105\n\n*CONN\n*I *7:Y O *D {INV}\n*I *8:B I *D {NAND}\n\n"
                   "*CAP\n1 *3:1 5\n2 *3:1 *4:1 100\n\n*RES\n1 *7:Y *3:1 10\n2 *3:1 *8:B 2000\n")
    assert text == write_spef(NETLIST, CELLS, nets())


def test_a_pin_that_nothing_reaches_is_refused():
    name = "st.h[3]"
    whole = rc_net(name)
    check_rc_net(whole, NETLIST.nets[name])
    with pytest.raises(SpecError, match=r"all pins of st.h\[3\] must hang together.*no way leads to g\$1/q/B"):
        check_rc_net(RcNet(name, whole.resistors[:1], whole.capacitors), NETLIST.nets[name])
    with pytest.raises(SpecError, match="point 7"):
        check_rc_net(RcNet(name, whole.resistors, (Capacitor(7, 1.0),)), NETLIST.nets[name])


def test_negative_values_and_unknown_nets_are_refused():
    with pytest.raises(SpecError, match="must not be negative"):
        check_rc_net(RcNet("y", (Resistor(1, 2, -1.0),)), ())
    with pytest.raises(SpecError, match="in the netlist of top.*unknown are z"):
        write_spef(NETLIST, CELLS, [RcNet("z")])
    with pytest.raises(SpecError, match="there twice"):
        write_spef(NETLIST, CELLS, [rc_net("y"), rc_net("y")])


SCRIPT = """read_liberty small.lib
read_verilog top.v
link_design top
create_clock -name clk -period 10
set_input_delay 0 -clock clk [get_ports a]
set_output_delay 0 -clock clk [get_ports y]
read_spef {options} top.spef
report_checks -from a[1] -fields {{capacitance}} -digits 6
"""


def run_sta(folder, text, options=""):
    """What OpenSTA prints, and the loads (fF) on the path from a[1]."""
    (folder / "small.lib").write_text(small_library())
    (folder / "top.v").write_text(write_netlist(NETLIST))
    (folder / "top.spef").write_text(text)
    (folder / "run.tcl").write_text(SCRIPT.format(options=options))
    done = subprocess.run(["sta", "-no_splash", "-exit", "run.tcl"], cwd=folder, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    said = done.stdout + done.stderr
    lines = re.findall(r"^\s+([\d.]+)\s+[\d.]+\s+[\d.]+ [v^] (\S+) ", said, re.MULTILINE)
    loads = {name: 1000 * float(load) for load, name in lines}
    return said, loads


@pytest.mark.eda
def test_opensta_takes_all_names_and_capacitances_without_a_word(tmp_path):
    said, loads = run_sta(tmp_path, write_spef(NETLIST, CELLS, nets()))
    assert not re.search("warning|error", said, re.IGNORECASE), said
    without = run_sta(tmp_path, write_spef(NETLIST, CELLS, []))[1]
    added = {name: round(loads[name] - without[name], 2) for name in loads if name in without}
    assert added == {"a[1]": 5, "u.x[3]/Y": 105, "g$1/q/Y": 105, "h[0][1]/Y": 5, "\\\\odd/Y": 5}
    twice = run_sta(tmp_path, write_spef(NETLIST, CELLS, nets()), "-coupling_reduction_factor 2.0")[1]
    assert round(twice["g$1/q/Y"] - loads["g$1/q/Y"], 2) == COUPLED_FF


@pytest.mark.eda
def test_opensta_warns_of_a_name_that_is_not_the_netlists(tmp_path):
    said = run_sta(tmp_path, write_spef(NETLIST, CELLS, nets()).replace(r"st\.h\[3\]", "st.h[3"))[0]
    assert re.search("warning|error", said, re.IGNORECASE)
