"""What a host may do at any moment, cycle by cycle on the PyRTL block: registers, states, bank words, CTRL changes.

A small network, FastSimulation, and every delay of the awkward access over a whole step.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace

import numpy as np
import pyrtl
import pytest
from designs import make_design

from golden.cells import forward_int
from golden.random_model import random_input, random_quantized_model
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec
from rtl import address_map as amap
from rtl.top import build_simulation
from rtl.weight_image import build_image

MODEL = ModelSpec(2, (CellSpec("lstm", 3),), OutputSpec(3, "tanh"))
IDLE = dict.fromkeys(("rst", "wb_cyc_i", "wb_stb_i", "wb_we_i", "wb_sel_i", "wb_adr_i", "wb_dat_i", "x_valid",
                      "x_data", "x_first", "x_last", "x_keep"), 0)
ENABLE, EVERY, IRQ = 1 << amap.CTRL_ENABLE, 1 << amap.CTRL_Y_EVERY_STEP, 1 << amap.CTRL_IRQ_ENABLE
STEP_CYCLES = 70
"""A step of MODEL takes 68; too few here and the last y is not there yet, which every test would tell."""


def done_cycles(n_steps: int) -> int:
    """Enough for n_steps to end, and for one more that must not come."""
    return STEP_CYCLES * (n_steps + 1)


def signed(value: int, bits: int) -> int:
    return (value & ((1 << bits) - 1) ^ (1 << (bits - 1))) - (1 << (bits - 1))


def loaded(design, qmodel) -> pyrtl.FastSimulation:
    """The design at power-up, its weights in the memories; nothing has been stepped yet."""
    block = build_simulation(design, qmodel)
    image = build_image(design, qmodel)
    memories = {m: dict(enumerate(map(int, words))) for m, words in zip(block.memories, image, strict=True)}
    return pyrtl.FastSimulation(block=block.block, tracer=None, memory_value_map=memories)


def at_power_up(simulation: pyrtl.FastSimulation) -> pyrtl.FastSimulation:
    """A simulation of its own that begins where this one stands: only the compiled block is shared, not a state.

    Making the Python code of a block takes as long as some three hundred of its cycles.
    """
    fresh = copy(simulation)
    fresh.regs, fresh.mems = dict(simulation.regs), {name: dict(words) for name, words in simulation.mems.items()}
    return fresh


class Bench:
    """One block after reset, weights in place; x beats wait in a queue, y beats are collected."""

    def __init__(self, simulation, qmodel):
        self.simulation, self.qmodel = at_power_up(simulation), qmodel
        self.outputs = [wire.name for wire in simulation.block.wirevector_subset(pyrtl.Output)]
        self.beats: list[dict[str, int]] = []
        self.y: list[tuple[int, int]] = []
        self.y_cycles: list[int] = []
        self.n_steps = self.n_cycles = 0
        self.x_valid = self.y_ready = 1
        self.tick(rst=1)

    def tick(self, **inputs) -> dict[str, int]:
        """One cycle; the outputs in it."""
        beat = {"x_valid": 1, **self.beats[0]} if self.beats and self.x_valid else {}
        self.simulation.step({**IDLE, "y_ready": self.y_ready, **beat, **inputs})
        out = {name: self.simulation.inspect(name) for name in self.outputs}
        if beat and out["x_ready"] and not inputs.get("rst"):
            self.beats.pop(0)
        if out["y_valid"] and self.y_ready:
            self.y.append((signed(out["y_data"], 16), out["y_keep"]))
            self.y_cycles.append(self.n_cycles)
        self.n_cycles += 1
        self.n_steps += out["probe_step"]
        return out

    def run(self, n_cycles: int) -> None:
        for _ in range(n_cycles):
            self.tick()

    def access(self, address: int, data: int | None = None, sel: int = 15) -> tuple[str, int]:
        """A whole Wishbone cycle: ("ack" or "err", data read)."""
        bus = {"wb_cyc_i": 1, "wb_stb_i": 1, "wb_adr_i": address, "wb_sel_i": sel}
        bus |= {} if data is None else {"wb_we_i": 1, "wb_dat_i": data & 0xFFFFFFFF}
        for _ in range(6):
            out = self.tick(**bus)
            if out["wb_ack_o"] or out["wb_err_o"]:
                self.tick()
                return "err" if out["wb_err_o"] else "ack", out["wb_dat_o"]
        raise AssertionError(f"no answer to an access at 0x{address:05x}")

    def read(self, address: int) -> int:
        answer, value = self.access(address)
        assert answer == "ack"
        return value

    def send(self, x: np.ndarray, first: bool = True, last: bool = True) -> None:
        """Queue a sequence x (T, X)."""
        for t, row in enumerate(x):
            flags = {"x_first": int(first and t == 0), "x_last": int(last and t == len(x) - 1), "x_keep": 1}
            self.beats += [{"x_data": int(value) & 255, **flags} for value in row]

    @property
    def vectors(self) -> list[list[int]]:
        return [[value for value, _ in self.y[n : n + 3]] for n in range(0, len(self.y), 3)]


@pytest.fixture(scope="module")
def small():
    design = make_design(MODEL, 1, 32)
    return design, random_quantized_model(MODEL, design.quant, np.random.default_rng(1))


@pytest.fixture(scope="module")
def parts(small):
    return loaded(*small), small[1]


@pytest.fixture(scope="module")
def second_word(small) -> int:
    """The word that the first bank has at its second address."""
    return int(build_image(*small)[0][1])


@pytest.fixture
def bench(parts) -> Bench:
    return Bench(*parts)


@pytest.fixture
def benches(parts) -> Iterator[Bench]:
    return iter(lambda: Bench(*parts), None)


def sequence(n_steps: int) -> np.ndarray:
    return random_input(MODEL, n_steps, 1, np.random.default_rng(5))[:, 0]


def golden(bench: Bench, x: np.ndarray):
    return forward_int(bench.qmodel, x[:, None, :])


def h_address(unit: int) -> int:
    return amap.state_address(amap.H_BASE, 0, unit)


def c_address(unit: int) -> int:
    return amap.state_address(amap.C_BASE, 0, unit)


@pytest.mark.parametrize("delay", range(50))
def test_y_every_step_changed_in_the_middle_of_a_step(benches, delay):
    """Every cycle of a step: between the decision for an output phase and its first word lies only one."""
    x = sequence(3)
    clearing, setting = next(benches), next(benches)
    for bench, before, after in ((clearing, ENABLE | EVERY, ENABLE), (setting, ENABLE, ENABLE | EVERY)):
        bench.access(amap.CTRL, before)
        bench.send(x)
        while bench.n_steps < 1:
            bench.tick()
        bench.run(delay)
        bench.access(amap.CTRL, after)
        bench.run(done_cycles(3))
        wanted = golden(bench, x).y[:, 0].tolist()
        assert all(keep == 1 for _, keep in bench.y)
        assert all(vector in wanted for vector in bench.vectors)
        assert bench.vectors[-1] == wanted[-1]
    n_cleared, n_set = len(clearing.vectors), len(setting.vectors)
    assert clearing.vectors[:-1] == golden(clearing, x).y[: n_cleared - 1, 0].tolist()
    assert setting.vectors == golden(setting, x).y[-n_set:, 0].tolist()


@pytest.mark.parametrize("delay", range(0, 90, 4))
def test_enable_cleared_lets_the_step_end_and_states_be_read(bench, delay):
    x = sequence(4)
    bench.access(amap.CTRL, ENABLE | EVERY)
    bench.send(x)
    bench.run(delay)
    bench.access(amap.CTRL, EVERY)
    while bench.read(amap.STATUS) & 1 << amap.STATUS_BUSY:
        pass
    trace, n = golden(bench, x), bench.n_steps
    if n:
        assert [signed(bench.read(h_address(k)), 8) for k in range(3)] == trace.h[0][n - 1, 0].tolist()
        assert [signed(bench.read(c_address(k)), 16) for k in range(3)] == trace.c[0][n - 1, 0].tolist()
    bench.access(amap.CTRL, ENABLE | EVERY)
    bench.run(done_cycles(4))
    assert bench.vectors == trace.y[:, 0].tolist()


@pytest.mark.parametrize("address", [h_address(1), amap.BANK_BASE + 4, amap.ID])
@pytest.mark.parametrize("delay", range(12))
def test_an_access_in_the_cycle_in_which_a_step_starts(bench, second_word, delay, address):
    x = sequence(2)
    bench.access(amap.CTRL, ENABLE | EVERY)
    bench.x_valid = 0
    bench.send(x)
    bench.run(5)
    bench.x_valid = 1
    bench.run(delay)
    answer, value = bench.access(address)
    # Before a step: what is there; amid one: refused. h has its power-up value, 0, until the first step is over.
    wanted = {amap.ID: amap.ID_VALUE, amap.BANK_BASE + 4: second_word}.get(address, 0)
    assert (answer, value) == ("ack", wanted) or (answer == "err" and address != amap.ID)
    bench.run(done_cycles(2))
    assert bench.vectors == golden(bench, x).y[:, 0].tolist()


@pytest.mark.parametrize("delay", range(60))
def test_states_are_refused_until_the_last_update_is_through(bench, delay):
    x = sequence(1)
    bench.access(amap.CTRL, ENABLE)
    bench.send(x)
    while not bench.n_steps:
        bench.tick()
    bench.run(delay)
    answers = [bench.access(h_address(k)) for k in range(3)] + [bench.access(c_address(k)) for k in range(3)]
    trace = golden(bench, x)
    wanted = [*trace.h[0][0, 0].tolist(), *trace.c[0][0, 0].tolist()]
    widths = [8] * 3 + [16] * 3
    for (answer, value), state, bits in zip(answers, wanted, widths, strict=True):
        assert answer == "err" or signed(value, bits) == state


def test_benches_share_no_state(parts):
    """What one bench's host and steps leave behind, in registers and in a bank, is not in the next one."""
    addresses = [amap.CTRL, amap.N_SEQUENCES, h_address(0), amap.BANK_BASE]
    used = Bench(*parts)
    before = [used.read(address) for address in addresses]
    used.access(amap.BANK_BASE, ~before[-1])
    used.access(amap.CTRL, ENABLE)
    used.send(sequence(3))
    used.run(done_cycles(3))
    used.access(amap.CTRL, EVERY)
    assert all(used.read(address) != value for address, value in zip(addresses, before, strict=True))
    fresh = Bench(*parts)
    assert [fresh.read(address) for address in addresses] == before


def test_h_is_read_as_it_is_while_a_sequence_waits_to_start(bench):
    """A waiting step with x_first must not make the host read zeros."""
    bench.access(amap.CTRL, 0)
    for unit, value in enumerate((17, -128, 99)):
        bench.access(h_address(unit), value)
    bench.send(sequence(1))
    bench.run(20)
    assert bench.read(amap.STATUS) & 1 << amap.STATUS_X_WAITING
    assert [signed(bench.read(h_address(k)), 32) for k in range(3)] == [17, -128, 99]


def test_status_bits(bench):
    bits = {name: 1 << getattr(amap, f"STATUS_{name}") for name in ("BUSY", "ENDED", "X_WAITING", "Y_WAITING")}
    assert bench.read(amap.STATUS) == 0
    bench.send(sequence(2))
    bench.run(20)
    assert bench.read(amap.STATUS) == bits["X_WAITING"]
    bench.y_ready = 0
    bench.access(amap.CTRL, ENABLE)
    assert bench.read(amap.STATUS) & bits["BUSY"]
    bench.run(done_cycles(2))
    assert bench.read(amap.STATUS) == bits["Y_WAITING"]
    bench.y_ready = 1
    bench.run(5)
    assert bench.read(amap.STATUS) == bits["ENDED"]
    bench.access(amap.STATUS, bits["ENDED"])
    assert bench.read(amap.STATUS) == 0


@pytest.mark.parametrize("gap", range(1, 5))
@pytest.mark.parametrize("held", [1, 2])
def test_a_read_that_is_given_up_leaves_nothing_behind(bench, held, gap):
    for _ in range(held):
        bench.tick(wb_cyc_i=1, wb_stb_i=1, wb_sel_i=15, wb_adr_i=amap.BANK_BASE)
    for _ in range(gap):
        assert not bench.tick()["wb_ack_o"]
    assert bench.access(amap.ID) == ("ack", amap.ID_VALUE)


def test_registers_and_states_are_written_whole_with_the_lowest_select(bench):
    bench.access(c_address(2), 0x1234)
    bench.access(h_address(2), 0x56)
    for sel in (2, 4, 8, 14):
        bench.access(c_address(2), 0xABCD, sel)
        bench.access(h_address(2), 0x11, sel)
        bench.access(amap.CTRL, 0xF, sel)
        bench.access(amap.CYCLES["mac"], 0, sel)
    assert bench.read(c_address(2)) == 0x1234 and bench.read(h_address(2)) == 0x56 and bench.read(amap.CTRL) == 0
    bench.access(c_address(2), 0xABCD, 1)
    assert signed(bench.read(c_address(2)), 32) == signed(0xABCD, 16)


def test_bank_words_obey_every_byte_select(bench):
    address = amap.BANK_BASE + 4 * 500
    bench.access(address, 0x11223344)
    for sel in range(16):
        before = bench.read(address)
        bench.access(address, 0xA0B0C0D0 + sel, sel)
        mask = sum(0xFF << 8 * k for k in range(4) if sel >> k & 1)
        assert bench.read(address) == before & ~mask | (0xA0B0C0D0 + sel) & mask


@pytest.mark.parametrize("delay", range(8))
def test_clearing_the_interrupt_never_loses_one_that_comes_in_the_same_cycle(bench, delay):
    bench.access(amap.CTRL, ENABLE | IRQ)
    bench.send(sequence(1))
    while not bench.y:
        bench.tick()
    bench.run(delay)
    cleared_at = bench.n_cycles
    bench.access(amap.STATUS, 1 << amap.STATUS_ENDED)
    bench.run(done_cycles(1))
    ended_at = bench.y_cycles[-1]
    assert abs(cleared_at - ended_at) < 8
    assert bench.tick()["irq"] == int(cleared_at <= ended_at)
    assert bench.read(amap.N_SEQUENCES) == 1


def test_flags_of_a_stream_that_does_not_take_part_mean_nothing():
    model = ModelSpec(2, (CellSpec("lstm", 3),), OutputSpec(3, "tanh"))
    design = make_design(model, 1, 32, streams=2)
    qmodel = random_quantized_model(model, design.quant, np.random.default_rng(1))
    bench = Bench(loaded(design, qmodel), qmodel)
    x = sequence(3)
    bench.access(amap.CTRL, ENABLE | IRQ)
    for t, row in enumerate(x):
        # Stream 1 claims to start and to end in every step, without taking part.
        flags = {"x_first": 2 | int(t == 0), "x_last": 2 | int(t == 2), "x_keep": 1}
        bench.beats += [{"x_data": int(value) & 255 | 0x5500, **flags} for value in row]
    bench.run(2 * done_cycles(3))
    assert [keep for _, keep in bench.y] == [1, 1, 1]
    assert [value for value, _ in bench.y] == golden(bench, x).y[-1, 0].tolist()
    assert bench.read(amap.N_SEQUENCES) == 1


@pytest.mark.parametrize("c_frac_bits", [8, 12, 15])
def test_c_at_its_limits_with_open_gates(c_frac_bits):
    """f = i = 1 and g = +-1 with c at an end of its range: the widest sum of products there is."""
    model = ModelSpec(1, (CellSpec("lstm", 1),))
    quant = QuantSpec(c_frac_bits=c_frac_bits)
    design = make_design(model, 1, 32)
    base = random_quantized_model(model, quant, np.random.default_rng(0))
    for sign, c_start in ((1, 32767), (-1, -32768)):
        bias = np.array([[500_000], [500_000], [sign * 500_000], [500_000]], np.int32)
        cell = replace(base.cells[0], w=np.zeros((4, 1, 2), np.int8), bias=bias, shift=np.zeros((4, 1), np.int8))
        qmodel = replace(base, cells=(cell,))
        bench = Bench(loaded(design, qmodel), qmodel)
        bench.access(c_address(0), c_start)
        bench.access(amap.CTRL, ENABLE | EVERY)
        bench.send(np.zeros((3, 1), np.int32), first=False)
        bench.run(done_cycles(3))
        initial = ([np.zeros((1, 1), np.int32)], [np.array([[c_start]], np.int32)])
        trace = forward_int(qmodel, np.zeros((3, 1, 1), np.int32), initial=initial)
        assert [value for value, _ in bench.y] == trace.y[:, 0, 0].tolist()
        assert signed(bench.read(c_address(0)), 16) == trace.c[0][-1, 0, 0]
