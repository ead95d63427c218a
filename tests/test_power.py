"""Power from activity: each part against a plain count or a closed value, then a step on a placed netlist."""

from dataclasses import replace

import numpy as np
import pytest
import test_gates
import test_layout_steps
from random_netlist import random_netlist

from flow.characterise.liberty_read import load_liberty
from flow.extract.spef import Capacitor, RcNet, Resistor, write_spef
from flow.gates.circuit import Circuit, build_circuit
from flow.gates.functions import CellFunction, cell_functions
from flow.gates.history import History
from flow.gates.kernel import Kernel
from flow.gates.load import CORNER, first_sequences
from flow.physical.abstract import load_cells
from flow.physical.verilog import write_netlist
from flow.power.activity import build_activity, evaluate_words
from flow.power.calculate import PowerProblem, Surroundings, find_energies
from flow.power.events import count_events, group_weights
from flow.power.groups import group_of, modules_of
from flow.power.library import PowerCell, PowerGroup, load_power, lookup
from flow.power.opensta import first_senses, its_part, its_power, parse_power
from flow.power.report import check_agreement, cross_check
from flow.power.slews import Even, parse_slews, run_opensta, spef_totals
from flow.power.windows import find_windows
from flow.simulate.cases import plain_session
from flow.simulate.events import CYCLE, Event
from flow.timing.analyse import Timer
from flow.timing.liberty import Table
from flow.timing.sdc import write_sdc
from flow.timing.spec import TimingSpec
from flow.timing.sta import Corner, StaJob
from golden.spec import SpecError

kit, tiny, made, gates = test_layout_steps.kit, test_gates.tiny, test_gates.made, test_gates.gates
A, B, CLK = test_gates.A, test_gates.B, test_gates.CLK
N_CYCLES = 150


def constant(value: float) -> Table:
    return Table(np.array([0.0, 1.0]), np.array([0.0]), np.full((2, 1), value))


def history_of(circuit: Circuit, columns: dict[str, np.ndarray], clocked: np.ndarray) -> History:
    """Nets by name with a value a cycle, the first one that before the window; others stay 0."""
    n = len(clocked)
    words = -(-n // 64)
    toggles = np.zeros((words, len(circuit.nets)), dtype=np.uint64)
    start = np.zeros(len(circuit.nets), dtype=np.uint8)
    for name, values in columns.items():
        start[circuit.index[name]] = values[0]
        for cycle in np.flatnonzero(np.diff(values)):
            toggles[cycle // 64, circuit.index[name]] |= np.uint64(1) << np.uint64(cycle % 64)
    pulses = np.zeros((words, len(circuit.domains)), dtype=np.uint64)
    for domain in range(len(circuit.domains)):
        for cycle in np.flatnonzero(clocked if domain else np.ones(n, dtype=bool)):
            pulses[cycle // 64, domain] |= np.uint64(1) << np.uint64(cycle % 64)
    return History(n, toggles, pulses, start)


@pytest.fixture(scope="module")
def small():
    """A gated flip-flop, an xor and a buffered clock, with random inputs; every energy another power of two."""
    cells = {**test_gates.CELLS, "xor": CellFunction("xor", ("A", "B"), {"X": ("xor", A, B)})}
    netlist = test_gates.netlist(
        ("cb", "buf", "A=clk X=c1"), ("g", "gate", "CLK=c1 GATE=a GCLK=c2"), ("f", "flop", "CLK=c2 D=q2 Q=q"),
        ("i", "inv", "A=q Y=q2"), ("x", "xor", "A=q B=a X=y"))
    circuit = build_circuit(netlist, cells, {})
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, N_CYCLES + 1)
    q = np.zeros(N_CYCLES + 1, dtype=int)
    for cycle in range(1, N_CYCLES + 1):
        q[cycle] = 1 - q[cycle - 1] if a[cycle - 1] else q[cycle - 1]
    columns = {"a": a, "q": q, "q2": 1 - q, "y": a ^ q}
    activity = build_activity(circuit, history_of(circuit, columns, a[1:].astype(bool)))
    return netlist, cells, circuit, columns, activity


def power_cells():
    """Energies in pJ: rise, fall."""
    def group(pin, rise, fall, related=None, when=None):
        return PowerGroup(pin, related, when, (constant(rise), constant(fall)))
    no = ()
    def cell(name, groups, capacitance, clocks=(), leakage=()):
        return PowerCell(name, groups, leakage, 2e-9, capacitance, 2.0, frozenset(clocks))
    return {
        "buf": cell("buf", {"A": no, "X": (group("X", 1, 2, "A"),)}, {"A": 1.0}),
        "inv": cell("inv", {"A": no, "Y": (group("Y", 4, 8, "A"),)}, {"A": 3.0}),
        "gate": cell("gate", {"CLK": (group("CLK", 16, 32),), "GATE": (group("GATE", 64, 128),),
                              "GCLK": (group("GCLK", 256, 512, "CLK"),)}, {"CLK": 0.0, "GATE": 0.0}, ["CLK"]),
        "flop": cell("flop", {"CLK": (group("CLK", 1024, 2048),), "D": (group("D", 4096, 8192),),
                              "Q": (group("Q", 1, 2, "CLK"),)}, {"CLK": 0.0, "D": 0.0}, ["CLK"],
                     leakage=((("and", CLK, ("pin", "D")), 8e-9),)),
        "xor": cell("xor", {"A": no, "B": no, "X": (
            group("X", 1, 2, "A", ("not", B)), group("X", 4, 8, "A", B), group("X", 16, 32, "B", ("not", A)),
            group("X", 64, 128, "B", A))}, {"A": 0.0, "B": 0.0}, leakage=((("and", A, B), 6e-9),)),
    }


def energies(small, wires=None):
    netlist, cells, circuit, _, activity = small
    slews = {(name, pin): (0.1, 0.1) for name, cell in netlist.instances.items() for pin in cells[cell].inputs}
    problem = PowerProblem(netlist, cells, frozenset(), power_cells(), Surroundings(slews, wires or {}, 7.0))
    found = find_energies(problem, activity)
    at = {name: number for number, name in enumerate(netlist.instances)}
    return found, at


def edges(values):
    steps = np.diff(values)
    return int((steps > 0).sum()), int((steps < 0).sum())


def test_a_history_gives_back_the_values_and_edges(small):
    *_, circuit, columns, activity = small
    for name, values in columns.items():
        net = circuit.index[name]
        got = [int(activity.values[net, c // 64] >> np.uint64(c % 64)) & 1 for c in range(N_CYCLES)]
        assert got == values[1:].tolist()
        assert (activity.rises[net], activity.falls[net]) == edges(values)
        assert activity.duty[net] == pytest.approx(values[1:].mean())
    pulses = int(columns["a"][1:].sum())
    assert [activity.rises[circuit.index[net]] for net in ("clk", "c1", "c2")] == [N_CYCLES, N_CYCLES, pulses]
    assert activity.duty[circuit.index["c2"]] == pytest.approx(pulses / N_CYCLES / 2)


def test_energies_are_those_of_a_count_edge_by_edge(small):
    columns = small[3]
    found, at = energies(small)
    pulses = int(columns["a"][1:].sum())
    (a_up, a_down), (q_up, q_down), (n_up, n_down) = (edges(columns[name]) for name in ("a", "q", "q2"))
    internal = {
        "cb": 3 * N_CYCLES,
        "g": (16 + 32) * N_CYCLES + 64 * a_up + 128 * a_down + (256 + 512) * pulses,
        "f": (1024 + 2048) * pulses + 4096 * n_up + 8192 * n_down + q_up + 2 * q_down,
        "i": 4 * n_up + 8 * n_down,
    }
    for name, picojoule in internal.items():
        assert found.internal[at[name]] == pytest.approx(1e-12 * picojoule)
    assert found.clock_pins[at["f"]] == pytest.approx(1e-12 * 3072 * pulses)
    total = 0.0
    for cycle in range(1, N_CYCLES + 1):
        now, before = ((columns["q"][k], columns["a"][k]) for k in (cycle, cycle - 1))
        if (now[0] ^ now[1]) == (before[0] ^ before[1]):
            continue
        fall = 1 - (now[0] ^ now[1])
        only_a = now[0] != before[0]                       # pin A is net q, pin B is net a
        total += ((1, 2), (4, 8))[now[1]][fall] if only_a else ((16, 32), (64, 128))[now[0]][fall]
    assert found.internal[at["x"]] == pytest.approx(1e-12 * total)


def test_switching_is_half_of_c_v_squared_of_wires_pins_and_ports(small):
    found, at = energies(small, {"q2": 5.0, "y": 10.0, "a": 1.0})
    columns = small[3]
    half = 0.5e-15 * 2.0**2
    assert found.switching[at["i"]] == pytest.approx(half * 5.0 * sum(edges(columns["q2"])))
    assert found.switching[at["x"]] == pytest.approx(half * (10.0 + 7.0) * sum(edges(columns["y"])))
    assert found.switching[at["f"]] == pytest.approx(half * 3.0 * sum(edges(columns["q"])))
    assert found.external == pytest.approx(half * (1.0 * sum(edges(columns["a"])) + 1.0 * 2 * N_CYCLES))


def test_leakage_is_by_the_states_that_were_there(small):
    found, at = energies(small)
    columns = small[3]
    both = (columns["q"][1:] & columns["a"][1:]).mean()
    assert found.leakage[at["x"]] == pytest.approx(6e-9 * both + 2e-9 * (1 - both))
    high = (columns["a"][1:] & columns["q2"][1:]).mean() / 2
    assert found.leakage[at["f"]] == pytest.approx(8e-9 * high + 2e-9 * (1 - high))
    assert found.leakage[at["cb"]] == pytest.approx(2e-9)


def test_inputs_that_change_together_share_an_edge():
    groups = [PowerGroup("X", "A", None, (constant(0), constant(0))), PowerGroup("X", "B", None, (constant(0),) * 2),
              PowerGroup("X", "B", A, (constant(0),) * 2)]
    weights = group_weights(("A", "B"), groups)
    assert weights.weights[0b01, 0b11].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert weights.weights[0b00, 0b11].tolist() == [0.5, 0.5, 0]
    assert weights.weights[0b00, 0b10].tolist() == [0, 1, 0]
    only = group_weights(("A", "B"), groups[2:])
    assert only.weights[0b00, 0b10].tolist() == [1]        # none holds: the group of the input all the same


def test_tables_go_on_in_a_line():
    table = Table(np.array([1.0, 2.0, 4.0]), np.array([0.0]), np.array([[1.0], [3.0], [4.0]]))
    assert lookup(table, np.array([0.0, 1.5, 3.0, 6.0]), np.zeros(4)).tolist() == [-1.0, 2.0, 3.5, 5.0]


def test_a_cell_without_power_or_slew_is_refused(small, tmp_path):
    library = tmp_path / "l.lib"
    library.write_text('library (l) { voltage_unit : "1V"; leakage_power_unit : "1nW"; time_unit : "1ns"; '
                       "nom_voltage : 1.8; cell (a) { } }")
    with pytest.raises(SpecError, match="and b has none"):
        load_power([library], {"a", "b"})
    netlist, cells, _, _, activity = small
    problem = PowerProblem(netlist, cells, frozenset(), power_cells(), Surroundings({}, {}, 7.0))
    with pytest.raises(SpecError, match="every input must have a slew"):
        find_energies(problem, activity)


def test_reports_of_opensta_are_read():
    assert parse_slews("u1/A 1e-11 2e-11 3e-11 4e-11\nu2/we[0] 0.0 0.0 5e-11 6e-11\n") == {
        ("u1", "A"): (pytest.approx(0.02), pytest.approx(0.04)), ("u2", "we[0]"): (0.0, pytest.approx(0.06))}
    with pytest.raises(SpecError, match="slew of every input"):
        parse_slews("nothing")
    with pytest.raises(SpecError, match="reported none"):
        parse_power("nothing")
    with pytest.raises(SpecError, match="in fF"):
        spef_totals("*C_UNIT 1 PF")


@pytest.mark.parametrize("related, when, expression, part", [
    (None, None, None, 0.5), ("A", B, ("xor", A, B), 0.25), ("A", None, ("and", A, B), 0.25),
    ("A", None, ("not", A), 1.0), ("A", None, ("not", ("and", A, B, CLK)), 0.5),
    ("B", None, ("not", ("or", A, ("pin", "C"), B)), 0.5625),
])
def test_its_way_of_counting_is_what_was_measured(related, when, expression, part):
    """As OpenSTA 2.0.17 reported for one energy of 1 at a time, duty 0.25."""
    group = PowerGroup("X" if related else "A", related, when, (constant(0), constant(0)))
    function = CellFunction("c", ("A", "B"), {"X": expression})
    assert its_part(group, function, frozenset(), Even(duty=0.25)) == pytest.approx(part)


def test_powers_that_are_apart_from_opensta_are_refused():
    groups = {"u1": "sequential", "u2": "combinational"}
    theirs = {"u1": (2.0, 1.0), "u2": (3.0, 1.0)}
    table = cross_check(theirs, theirs, groups)
    check_agreement(table)
    assert table["sequential"]["opensta_internal"] == 2.0 and table["combinational"]["worst_internal"] == 0.0
    with pytest.raises(SpecError, match="switching power of combinational must be within 3% of OpenSTA's"):
        check_agreement(cross_check({**theirs, "u2": (3.0, 1.04)}, theirs, groups))


def test_parts_of_the_design_are_told_by_registers(small):
    netlist, cells, circuit, *_ = small
    named = replace(netlist, instances={("core__mac_b0_acc_reg" if k == "f" else k): v
                                        for k, v in netlist.instances.items()},
                    nets={net: tuple(("core__mac_b0_acc_reg" if i == "f" else i, p) for i, p in pins)
                          for net, pins in netlist.nets.items()})
    groups = group_of(named, cells, frozenset(), circuit)
    assert groups == {"cb": "clock_network", "g": "clock_network", "core__mac_b0_acc_reg": "sequential",
                      "i": "combinational", "x": "combinational"}
    assert modules_of(named, cells, groups) == {"cb": "clock", "g": "clock", "core__mac_b0_acc_reg": "core.mac",
                                                "i": "core.mac", "x": "other"}


def test_words_and_bits_agree():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 1 << 63, 5, dtype=np.uint64) for _ in range(2))
    expression = ("or", ("not", A), ("xor", B, ("const", 1)))
    got = evaluate_words(expression, {"A": a, "B": b})
    assert (got == (~a | ~b)).all()


# A whole netlist

@pytest.mark.eda
def test_windows_hold_the_load_and_whole_sequences(gates, tmp_path, tmp_path_factory):
    kernel = Kernel(gates.circuit, 1, tmp_path_factory.getbasetemp() / "kernels", poison=False)
    session = plain_session(first_sequences(gates.case, 4000))
    log = kernel.run(session.program, session.all_beats(), tmp_path)
    load, inference = find_windows(session, log, 2500)
    steps = log.of(Event.STEP)[:, CYCLE].astype(int)
    assert load.end <= steps[0] == inference.begin and inference.end - inference.begin <= 2500
    assert inference.n_steps % 12 == 0 and inference.n_stream_steps == inference.n_steps and inference.mean_length == 12
    n_words = session.image.size
    history = kernel.record(session.program, session.all_beats(), tmp_path, (load.begin, load.end))[1]
    activity = build_activity(gates.circuit, history)
    # the macro is clocked once for each word that is written, and for the two writes of the first more often
    assert n_words <= activity.pulses[1] <= n_words + 8
    with pytest.raises(SpecError, match="max_cycles must hold a step"):
        find_windows(session, log, 10)


@pytest.mark.eda
def test_a_history_is_what_the_events_show(gates, tmp_path, tmp_path_factory):
    """Bits of h in the events, against the recorded nets of the same cycles."""
    kernel = Kernel(gates.circuit, 1, tmp_path_factory.getbasetemp() / "kernels", poison=False)
    session = plain_session(gates.case.first(2))
    log = kernel.run(session.program, session.all_beats(), tmp_path)
    rows = log.of(Event.H).astype(int)
    begin, end = rows[0, CYCLE] - 3, rows[-1, CYCLE] + 1
    history = kernel.record(session.program, session.all_beats(), tmp_path, (begin, end))[1]
    nets = np.array(gates.circuit.probes["probe_h_value"])
    words = history.values(nets)
    for row in rows:
        cycle = row[CYCLE] - begin
        bits = words[cycle // 64] >> np.uint64(cycle % 64) & np.uint64(1)
        assert sum(int(bit) << k for k, bit in enumerate(bits)) == row[4]


@pytest.mark.eda
def test_opensta_agrees_when_it_is_counted_its_way(kit, tmp_path):
    """Random gates with flip-flops, 4 fF of wire a net: tables, slews and loads are the same on both sides."""
    netlist = random_netlist(150, 11)
    cells = load_cells(kit)
    timer = Timer(kit, {}, cells, (CORNER,), TimingSpec(clock_period_ns=10))
    used = sorted(set(netlist.instances.values()))
    library = load_liberty(kit.liberty(CORNER), set(used))
    functions = cell_functions(library, used, "here")
    circuit = build_circuit(netlist, functions, {})
    wires = [RcNet(net, tuple(Resistor(pins[0], pin, 1.0) for pin in pins[1:]), (Capacitor(pins[0], 4.0),))
             for net, pins in netlist.nets.items() if len(pins) > 1]
    spef, verilog, sdc = (tmp_path / name for name in ("wires.spef", "netlist.v", "design.sdc"))
    spef.write_text(write_spef(netlist, cells, wires))
    verilog.write_text(write_netlist(netlist))
    sdc.write_text(write_sdc(netlist, timer.prefix, timer.load_pf, timer.spec, True))
    corner = Corner(CORNER, timer.liberty(CORNER), spef)
    text = run_opensta(StaJob(netlist.top, verilog, sdc, "clk"), corner, Even(), tmp_path, tmp_path / "log")
    surroundings = Surroundings(parse_slews(text), spef_totals(spef.read_text()), 1000 * timer.load_pf)
    problem = PowerProblem(netlist, functions, frozenset(), load_power(corner.liberty, set(used)), surroundings)
    senses = first_senses(library)
    ours = its_power(problem, circuit, Even(), 10, senses)
    groups = group_of(netlist, functions, frozenset(), circuit)
    table = cross_check(ours, parse_power(text), groups)
    check_agreement(table)
    assert table["sequential"]["worst_internal"] < 1e-3
    wrong = replace(problem, surroundings=replace(surroundings, wires={}))
    with pytest.raises(SpecError, match="switching power of .* must be within 3%"):
        check_agreement(cross_check(its_power(wrong, circuit, Even(), 10, senses), parse_power(text), groups))


def test_counting_needs_no_events_where_nothing_changes():
    quiet = np.zeros((2, 1), dtype=np.uint64)
    counts = np.zeros(4)
    one = np.zeros(1, dtype=np.int64)
    count_events(quiet, quiet, one, np.zeros((1, 6), dtype=np.int64), one + 1, one, one, one + 1, np.ones(4), one, one,
                 counts)
    assert not counts.any()

