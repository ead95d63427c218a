"""LVS of a macro's netlists as graphs, on a small one: two inverters in a row."""

import pytest

from flow.sram.graph import build_graph, read_reference
from flow.sram.lvs import compare_graphs
from golden.spec import SpecError

CHAIN = """* chain
.SUBCKT inv vdd vss i nq
Mp nq i vdd vdd {p} w={wp}u l=0.15u
Mn vss i nq vss sky130_fd_pr__nfet_01v8 w=1u l={ln}u
.ENDS
.SUBCKT chain vdd vss a y
Xa {a} inv
Xb vdd vss m {y} inv
.ENDS
"""
GOOD = {"p": "sky130_fd_pr__pfet_01v8", "wp": 2, "ln": 0.15, "a": "vdd vss a m", "y": "y"}


def compare_chains(folder, **changes):
    graphs = []
    for name, values in (("layout", GOOD | changes), ("reference", GOOD)):
        path = folder / f"{name}.cdl"
        path.write_text(CHAIN.format(**values))
        graphs.append(build_graph(read_reference(path, "chain"), {"vdd", "vss", "a", "y"}))
    return compare_graphs(*graphs)


def test_equal_netlists_match(tmp_path):
    result = compare_chains(tmp_path)
    assert (result.n_devices, result.n_nets, result.differences) == (4, 5, ())


@pytest.mark.parametrize("changes, message", [
    ({"wp": 2.01}, "sky130_fd_pr__pfet_01v8 w=2010 l=150: 2 in the layout, 0 in the schematic"),
    ({"ln": 0.14}, "sky130_fd_pr__nfet_01v8 w=1000 l=140: 2 in the layout, 0 in the schematic"),
    ({"p": "sky130_fd_pr__pfet_01v8_hvt"}, "sky130_fd_pr__pfet_01v8_hvt w=2000 l=150: 2 in the layout"),
    ({"a": "vss vdd a m"}, "connected like none of the other side"),
    ({"a": "vdd vss a n"}, "connected like none of the other side"),
    ({"y": "a"}, "port y is in the schematic and not in the layout"),
])
def test_netlists_that_differ_do_not_match(tmp_path, changes, message):
    differences = compare_chains(tmp_path, **changes).differences
    assert any(message in line for line in differences), differences


def test_exchanged_source_and_drain_match(tmp_path):
    text = CHAIN.format(**GOOD)
    ports = {"vdd", "vss", "a", "y"}
    graphs = []
    for name, content in (("one", text), ("two", text.replace("Mn vss i nq vss", "Mn nq i vss vss"))):
        (tmp_path / name).write_text(content)
        graphs.append(build_graph(read_reference(tmp_path / name, "chain"), ports))
    assert compare_graphs(*graphs).differences == ()


def test_a_reference_may_hold_other_subcircuits(tmp_path):
    text = CHAIN.format(**GOOD)
    more = text + ".SUBCKT other vdd vss p\nXc vdd vss p q chain\nXd vdd vss q r inv\n.ENDS\n"
    graphs = []
    for content in (text, more):
        (tmp_path / "chain.cdl").write_text(content)
        graphs.append(build_graph(read_reference(tmp_path / "chain.cdl", "chain"), {"vdd", "vss", "a", "y"}))
    assert [len(graph.kinds) for graph in graphs] == [4, 4]
    assert compare_graphs(*graphs).differences == ()


def test_a_net_with_two_pins_is_refused(tmp_path):
    """Both pins would be one net, which the outer circuit's two nets do not know of."""
    (tmp_path / "chain.cdl").write_text(CHAIN.format(**GOOD))
    netlist = read_reference(tmp_path / "chain.cdl", "chain")
    inverter = netlist.circuit_by_name("INV")
    inverter.connect_pin(inverter.pin_by_id(3), inverter.net_by_name("I"))
    with pytest.raises(SpecError, match="each pin of INV must have a net of its own, and two share one"):
        build_graph(netlist, {"a"})


def test_a_transistor_with_a_terminal_in_the_air_is_refused(tmp_path):
    (tmp_path / "chain.cdl").write_text(CHAIN.format(**GOOD))
    netlist = read_reference(tmp_path / "chain.cdl", "chain")
    next(netlist.circuit_by_name("INV").each_device()).disconnect_terminal(1)
    with pytest.raises(SpecError, match="every transistor must have four nets, and 2 have not"):
        build_graph(netlist, {"a"})


def test_a_reference_without_the_macro_is_refused(tmp_path):
    (tmp_path / "chain.cdl").write_text(CHAIN.format(**GOOD))
    with pytest.raises(SpecError, match="subcircuit flexmem_512x8 must be in the reference"):
        read_reference(tmp_path / "chain.cdl", "flexmem_512x8")
