"""Gate-level simulation: what cells do, where the clock goes, whole runs of a netlist against golden, and faults in it.

The netlist is `tiny` with its bank in an SRAM macro, synthesised here for area, with a small clock tree put in.
"""

import re
from dataclasses import replace

import msgspec
import pytest
import test_layout_steps

from flow.characterise.function import evaluate, load_function, states
from flow.characterise.liberty_read import parse_liberty
from flow.gates.circuit import build_circuit, order_gates
from flow.gates.clock import trace_clock
from flow.gates.expression import parse_expression
from flow.gates.functions import CellFunction, Storage, cell_functions
from flow.gates.kernel import Kernel
from flow.gates.load import load_gates
from flow.gates.observer import build_observer, register_nets
from flow.gates.shell import shell_text
from flow.gates.spec import GateSimSpec
from flow.pdk.config import load_pdk_config
from flow.pdk.liberty import cell_text, load_packed
from flow.physical.netlist import Netlist
from flow.physical.verilog import write_netlist
from flow.simulate.cases import plain_session
from flow.simulate.compare import MismatchError
from flow.simulate.events import SimulationError
from flow.simulate.program import Op
from flow.simulate.run import run_session
from flow.sram.spec import SramSpec
from flow.sram.verilog import build_model
from flow.steps.gatesim import run_gatesim
from flow.steps.synthesis import run_synthesis
from flow.synthesis.spec import SynthesisSpec
from golden.spec import SpecError
from rtl.config import find_design, load_design
from rtl.top import build_core

CONFIG = load_pdk_config()
kit = test_layout_steps.kit                # which workers of one run share
LIBRARY = CONFIG.cell_library
A, B, CLK = ("pin", "A"), ("pin", "B"), ("pin", "CLK")
BUFFER = CellFunction("buf", ("A",), {"X": A})
INVERTER = CellFunction("inv", ("A",), {"Y": ("not", A)})
AND = CellFunction("and", ("A", "B"), {"X": ("and", A, B)})
FLOP = CellFunction("flop", ("CLK", "D"), {"Q": ("pin", "IQ")}, Storage("flop", CLK, ("pin", "D")))
GATE = CellFunction("gate", ("CLK", "GATE"), {"GCLK": None}, Storage("gate", CLK, ("pin", "GATE")))
CELLS = {cell.name: cell for cell in (BUFFER, INVERTER, AND, FLOP, GATE)}


# What cells do

@pytest.mark.parametrize("text, values, result", [
    ("A B + C", "110", 1), ("A + B C", "010", 0), ("A ^ B & C", "101", 1), ("!A'", "100", 1), ("(A|B)' C", "001", 1),
    ("A & !(B | C)", "100", 1), ("1", "000", 1),
])
def test_functions_are_read_as_liberty_means_them(text, values, result):
    assert evaluate(parse_expression(text, "here"), dict(zip("ABC", map(int, values), strict=True))) == result


@pytest.mark.parametrize("text", ["", "A &", "(A", "A)", "A $ B", "!"])
def test_what_is_no_function_is_refused(text):
    with pytest.raises(SpecError, match="Liberty function must"):
        parse_expression(text, "here")


def test_cells_do_by_their_liberty_what_the_kits_verilog_says():
    names = ("xor2_1", "mux4_1", "fa_1", "a2111oi_1", "maj3_1", "o21bai_1", "conb_1", "dfxtp_1", "dlclkp_1", "dfrtn_1")
    text = load_packed(CONFIG, "tt_025C_1v80")
    cells = [cell_text(text, f"{LIBRARY}__{name}") for name in names]
    library = parse_liberty('library ("l") {\n' + "\n".join(cells) + "\n}\n")
    for name, cell in cell_functions(library, [f"{LIBRARY}__{name}" for name in names], "here").items():
        wanted = load_function(name.removeprefix(f"{LIBRARY}__"))
        assert set(cell.inputs) == set(wanted.inputs)
        if cell.storage is None:
            assert all(evaluate(cell.outputs[pin], values) == evaluate(function, values)
                       for values in states(cell.inputs) for pin, function in wanted.outputs.items())
        else:
            clocks = {"flop": "clock", "latch": "gate", "gate": "gate"}
            clock = cell.storage.clock if cell.storage.kind != "gate" else ("not", cell.storage.clock)
            assert wanted.storage.roles[clocks[cell.storage.kind]] == clock
            assert wanted.storage.roles["d"] == cell.storage.data
            assert wanted.storage.roles.get("clear") == cell.storage.clear


def test_a_cell_that_is_not_in_the_library_is_refused():
    with pytest.raises(SpecError, match=r"every cell of the netlist must be in the library, and nor9 is not"):
        cell_functions(parse_liberty("library (l) { }"), ["nor9"], "here")


# Where the clock goes

def netlist(*cells):
    """Cells as (name, cell, pins as text "A=net B=net"); ports clk, a, y."""
    nets = {"clk": [("", "clk")], "a": [("", "a")], "y": [("", "y")]}
    for name, _, pins in cells:
        for pin, _, net in (pair.partition("=") for pair in pins.split()):
            nets.setdefault(net, []).append((name, pin))
    return Netlist("top", {"clk": "input", "a": "input", "y": "output"}, {name: cell for name, cell, _ in cells},
                   {net: tuple(pins) for net, pins in nets.items()})


def test_the_clock_is_followed_through_buffers_inverters_and_gates():
    nets = netlist(("b", "buf", "A=clk X=c1"), ("i", "inv", "A=c1 Y=c2"), ("j", "inv", "A=c2 Y=c3"),
                   ("g", "gate", "CLK=c3 GATE=a GCLK=c4"), ("f", "flop", "CLK=c4 D=a Q=y"))
    found = trace_clock(nets, CELLS, {})
    assert {net: (clock.inverted, clock.enables) for net, clock in found.items()} == {
        "clk": (False, ()), "c1": (False, ()), "c2": (True, ()), "c3": (False, ()), "c4": (False, ("a",))}


@pytest.mark.parametrize("cells, message", [
    ([("x", "and", "A=clk B=a X=y")], r"not by net clk to x/A \(and\)"),
    ([("i", "inv", "A=clk Y=c"), ("f", "flop", "CLK=c D=a Q=y")], r"not by net c to f/CLK"),
    ([("i", "inv", "A=clk Y=c"), ("g", "gate", "CLK=c GATE=a GCLK=d"), ("f", "flop", "CLK=d D=a Q=y")],
     r"not by net c to g/CLK"),
    ([("f", "flop", "CLK=clk D=clk Q=y")], r"not by net clk to f/D"),
    ([("g", "gate", "CLK=clk GATE=clk GCLK=d"), ("f", "flop", "CLK=d D=a Q=y")], r"not by net clk to g/GATE"),
    ([("f", "flop", "CLK=a D=a Q=y")], r"f/CLK must get the clock .* and net a is none"),
])
def test_a_clock_that_cannot_be_followed_is_refused(cells, message):
    with pytest.raises(SpecError, match=message):
        build_circuit(netlist(*cells), CELLS, {})


def test_latches_and_asynchronous_resets_are_refused():
    clear = CellFunction("clear", ("CLK", "D", "R"), FLOP.outputs, replace(FLOP.storage, clear=("pin", "R")))
    latch = CellFunction("latch", ("G", "D"), FLOP.outputs, Storage("latch", ("pin", "G"), ("pin", "D")))
    for cell, pins in ((clear, "CLK=clk D=a R=a Q=y"), (latch, "G=a D=a Q=y")):
        with pytest.raises(SpecError, match=rf"no latches, not u \({cell.name}\)"):
            build_circuit(netlist(("u", cell.name, pins)), {**CELLS, cell.name: cell}, {})


def test_a_loop_is_named():
    circuit = build_circuit(netlist(("x", "and", "A=a B=z X=y"), ("i", "inv", "A=y Y=z")), CELLS, {})
    with pytest.raises(SpecError, match=r"must not form loops, and 2 do .* drives y"):
        order_gates(circuit)


# Whole runs

FLEXMEM = {"memory": "flexmem", "bank_words": 512}
QUICK = GateSimSpec(max_cycles=6_000, stalled_sequences=2, icarus_steps=2)


@pytest.fixture(scope="module")
def tiny():
    design = load_design("tiny")
    return msgspec.structs.replace(design, datapath=msgspec.structs.replace(design.datapath, **FLEXMEM))


@pytest.fixture(scope="module")
def made(kit, tiny, tmp_path_factory):
    """Folder with netlist.v of tiny, and the views of its macro."""
    folder = tmp_path_factory.mktemp("gates")
    spec = SynthesisSpec(clock_period_ns=40, goal="area")
    run_synthesis(tiny, find_design("tiny"), kit, folder, spec)
    sram = SramSpec(tiny.datapath.bank_words, tiny.datapath.word_bits)
    lef = folder / f"{sram.name}.lef"
    lef.write_text(macro_lef(sram))
    lef.with_suffix(".v").write_text(build_model(sram))
    return folder / f"tiny-{kit.config.name}" / "synthesis" / "netlist.v", {sram.name: lef}


def macro_lef(spec: SramSpec) -> str:
    pins = "".join(f"  PIN {name}\n    DIRECTION {pin.direction} ;\n    USE {pin.use} ;\n  END {name}\n"
                   for name, pin in spec.pins().items())
    return f"MACRO {spec.name}\n  CLASS BLOCK ;\n  SIZE 291.14 BY 410.57 ;\n{pins}END {spec.name}\nEND LIBRARY\n"


@pytest.fixture(scope="module")
def gates(made, kit, tiny):
    path, views = made
    return load_gates(tiny, path, kit, list(views.values()))


def with_clock_tree(nets: Netlist) -> Netlist:
    """Half of the flip-flops behind a buffer, the others behind two inverters."""
    leaves = [("clk_left", "X"), ("clk_right", "Y")]
    sinks = [pin for pin in nets.nets["clk"] if pin[0]]
    added = {"clkbuf_1_0": f"{LIBRARY}__clkbuf_4", "clkinv_1_1": f"{LIBRARY}__clkinv_4",
             "clkinv_2_1": f"{LIBRARY}__clkinv_4"}
    tree = {"clk": (("", "clk"), ("clkbuf_1_0", "A"), ("clkinv_1_1", "A")),
            "clk_middle": (("clkinv_1_1", "Y"), ("clkinv_2_1", "A")),
            leaves[0][0]: (("clkbuf_1_0", "X"), *sinks[::2]), leaves[1][0]: (("clkinv_2_1", "Y"), *sinks[1::2])}
    return replace(nets, instances={**nets.instances, **added}, nets={**nets.nets, **tree})


@pytest.mark.eda
def test_a_netlist_with_a_clock_tree_does_what_golden_does(made, kit, tiny, gates, tmp_path):
    path = tmp_path / "tree.v"
    path.write_text(write_netlist(with_clock_tree(gates.netlist)))
    values = run_gatesim(tiny, path, kit, made[1], tmp_path, QUICK).values
    assert values["gatesim__compared__count"] > 300 and values["gatesim__compared__count__simulator:icarus"] > 20
    assert values["gatesim__sequence__count"] < values["gatesim__sequence__count__of"] == 1029
    before = (tmp_path / "gatesim" / "metrics.json").stat().st_mtime_ns
    run_gatesim(tiny, path, kit, made[1], tmp_path, QUICK)
    assert (tmp_path / "gatesim" / "metrics.json").stat().st_mtime_ns == before


def simulate(gates, nets, folder, cache, change=None):
    """Some sequences of a changed netlist in the kernel."""
    circuit = build_circuit(nets, gates.functions, gates.macros, gates.observer)
    session = plain_session(gates.case.first(3))
    if change:
        change(session)
    return run_session(Kernel(circuit, 1, cache), session, folder).outcome


def swapped(nets: Netlist, one, other) -> Netlist:
    """Two pins change places."""
    change = {one: other, other: one}
    return replace(nets, nets={net: tuple(change.get(pin, pin) for pin in pins) for net, pins in nets.nets.items()})


def inverted(nets: Netlist, register: str) -> Netlist:
    """An inverter before a flip-flop."""
    net = nets.net_of[register, "D"]
    pins = tuple(pin for pin in nets.nets[net] if pin != (register, "D"))
    return replace(nets, instances={**nets.instances, "fault": f"{LIBRARY}__inv_1"},
                   nets={**nets.nets, net: (*pins, ("fault", "A")), "wrong": (("fault", "Y"), (register, "D"))})


def flip_weight(session):
    """A weight that is not read back, one bit of it."""
    read = {a for op, a, _ in session.program.ops if op == Op.READ}
    first = session.window.address(0, 4)
    at = next(k for k, (op, a, _) in enumerate(session.program.ops) if op == Op.WRITE and a >= first and a not in read)
    op, address, data = session.program.ops[at]
    session.program.ops[at] = (op, address, data ^ 0x40)


MACRO = "bank_0__bank_macro"


@pytest.mark.eda
@pytest.mark.parametrize("fault, change", [
    (None, flip_weight),
    (lambda nets: inverted(nets, "core__mac_b0_l1_product_s0_reg_bit_3__ff"), None),
    (lambda nets: inverted(nets, "core__upd_s0_c_reg_bit_0__ff"), None),
    (lambda nets: swapped(nets, (MACRO, "q[3]"), (MACRO, "q[4]")), None),
    (lambda nets: swapped(nets, (MACRO, "we[0]"), (MACRO, "we[1]")), None),
    (lambda nets: swapped(nets, ("core__h0_s0_1_reg_bit_7__ff", "D"), ("core__h0_s0_2_reg_bit_2__ff", "D")), None),
], ids=["a flipped weight", "an inverted product", "an inverted c", "swapped data", "swapped enables", "swapped D"])
def test_one_fault_fails_the_gate(gates, tmp_path, tmp_path_factory, fault, change):
    cache = tmp_path_factory.getbasetemp() / "kernels"
    if fault is None:
        assert simulate(gates, gates.netlist, tmp_path, cache).counts.total > 100     # without it, all is equal
    with pytest.raises((MismatchError, SimulationError), match=r"cycle \d+"):
        simulate(gates, gates.netlist if fault is None else fault(gates.netlist), tmp_path, cache, change)


@pytest.mark.eda
def test_simulators_that_differ_fail_the_gate(made, kit, tiny, gates, tmp_path, monkeypatch):
    """A fault in what Icarus gets alone: the kernel's run stays good."""
    from flow.steps import gatesim
    fault = inverted(gates.netlist, "core__upd_s0_h_reg_bit_2__ff")
    monkeypatch.setattr(gatesim, "write_netlist", lambda _: write_netlist(fault))
    told = r"under netlist in Icarus differs from golden at cycle \d+"
    with pytest.raises(MismatchError, match=told):
        run_gatesim(tiny, made[0], kit, made[1], tmp_path, QUICK)
    assert not (tmp_path / "gatesim").exists()


@pytest.mark.eda
def test_a_difference_names_the_first_register_that_differs(made, kit, tiny, gates, tmp_path):
    """The fault is in a product; golden sees it cycles later, in c."""
    path = tmp_path / "fault.v"
    path.write_text(write_netlist(inverted(gates.netlist, "core__mac_b0_l1_product_s0_reg_bit_3__ff")))
    with pytest.raises(MismatchError) as raised:
        run_gatesim(tiny, path, kit, made[1], tmp_path, QUICK)
    text = str(raised.value)
    assert "differs from golden at cycle" in text and "layer 0 (lstm), unit" in text and "window.vcd" in text
    found = re.search(r"first register to differ from the RTL: core\.mac_b0_l1_product_s0 bit 3 at cycle (\d+)", text)
    assert found and int(found[1]) < raised.value.difference.cycle


@pytest.mark.eda
def test_a_register_without_reset_shows_under_icarus(made, kit, tiny, gates, tmp_path):
    """Its D is its own Q: in two states it may come up right, in four it is unknown."""
    name = "core__ctl_address_reg_bit_0__ff"
    nets = gates.netlist
    d, q = nets.net_of[name, "D"], nets.net_of[name, "Q"]
    loose = replace(nets, nets={**nets.nets, d: tuple(pin for pin in nets.nets[d] if pin != (name, "D")),
                                q: (*nets.nets[q], (name, "D"))})
    path = tmp_path / "loose.v"
    path.write_text(write_netlist(loose))
    with pytest.raises((MismatchError, SimulationError)):
        run_gatesim(tiny, path, kit, made[1], tmp_path, QUICK)


@pytest.mark.eda
def test_renamed_registers_are_refused(made, kit, tiny, gates, tmp_path):
    assert len(register_nets(gates.netlist, build_core(tiny, gates.case.qmodel))) > 50
    path = tmp_path / "renamed.v"
    path.write_text(write_netlist(gates.netlist).replace("core__", "other__"))
    with pytest.raises(SpecError, match="a step has renamed them"):
        run_gatesim(tiny, path, kit, made[1], tmp_path, QUICK)


@pytest.mark.eda
def test_the_observer_is_the_same_however_pyrtl_has_named_its_wires(gates):
    texts = set()
    for _ in range(2):
        block = build_core(gates.design, gates.case.qmodel)
        texts.add(shell_text(gates.netlist, build_observer(block, gates.netlist)))
    assert len(texts) == 1
