"""Each macro's behavioural model in its binding does, cycle by cycle, what the memory seam of rtl promises.

Random operations go to rtl/verilog/stillwater_sram.sv and to the binding with the macro in it, out of registers and
into registers as in the datapath, without delays. Wherever the contract defines the read data (a word's bytes that were
written, the cycle before was a read), both must be what was written. A macro must see its clock, or its chip select,
in the cycles with `en` only.
"""

import random
import subprocess

import pytest
from openram_views import verilog as openram_model

from flow.pdk.config import load_pdk_config
from flow.sram.openram import find_openram
from flow.sram.pins import RTL_MODEL
from flow.sram.spec import SramSpec
from flow.sram.verilog import CLOCK_GATE, build_binding, build_clock_gate, build_model

pytestmark = pytest.mark.eda

N_CYCLES = 4000
N_FAVOURITES = 24            # addresses that most operations go to, so that words are written and read again
BENCH = """
`timescale 1ns / 1ps
module bench;
    reg clk = 0;
    reg [{total}-1:0] operations [0:{n}+1];
    reg en = 0; reg [{n_bytes}-1:0] wmask = 0; reg [{address_bits}-1:0] addr = 0; reg [{bits}-1:0] wdata = 0;
    wire [{bits}-1:0] q_contract, q_macro;
    reg [{bits}-1:0] taken_contract, taken_macro;
    integer i, next = 0, n_active = 0;
    contract_sram #(.WORDS({words}), .BITS({bits})) contract
        (.clk(clk), .en(en), .wmask(wmask), .addr(addr), .wdata(wdata), .rdata(q_contract));
    stillwater_sram #(.WORDS({words}), .BITS({bits})) macro
        (.clk(clk), .en(en), .wmask(wmask), .addr(addr), .wdata(wdata), .rdata(q_macro));
    always @(posedge clk) begin
        taken_contract <= q_contract;
        taken_macro <= q_macro;
        {{en, wmask, addr, wdata}} <= operations[next];
        next <= next + 1;
    end
    {activity}
    initial begin
        $readmemh("operations.hex", operations);
        for (i = 0; i < {n} + 2; i = i + 1) begin
            #5 clk = 1;
            #5 clk = 0;
            #4 $display("%b %b %0d", taken_contract, taken_macro, n_active);
            #1;
        end
        $finish;
    end
endmodule
"""
CLOCK_EDGES = "always @(posedge macro.bank.macro.clk or negedge macro.bank.macro.clk) n_active = n_active + 1;"
SELECTED_EDGES = "always @(posedge clk) if (macro.bank.macro.csb0 === 1'b0) n_active = n_active + 2;"
OPENRAMS = tuple(load_pdk_config().openram.macros)


def find_spec(name):
    return find_openram(name, load_pdk_config()) if name in OPENRAMS else SramSpec.parse(name)


def model_of(spec):
    return build_model(spec) if isinstance(spec, SramSpec) else openram_model(spec)


def random_operations(spec, seed=20):
    """(en, wmask, addr, wdata) for each cycle: half reads, partial and whole writes; idle cycles, alone and in rows,
    with masks and addresses that would write."""
    draw = random.Random(seed)
    favourites = [0, spec.n_words - 1, *draw.sample(range(1, spec.n_words - 1), N_FAVOURITES - 2)]
    operations, n_idle = [], 0
    for _ in range(N_CYCLES):
        whole = (1 << spec.n_bytes) - 1
        mask = draw.choice([0, 0, whole, draw.randint(0, whole)])
        address = draw.choice(favourites) if draw.random() < 0.95 else draw.randrange(spec.n_words)
        if n_idle == 0 and draw.random() < 0.1:
            n_idle = draw.choice([1, 1, 2, 5])
        operations.append((int(n_idle == 0), mask, address, draw.getrandbits(spec.word_bits)))
        n_idle = max(0, n_idle - 1)
    return operations


def expected_bytes(spec, operations):
    """Per cycle: byte -> what it must read as after the edge."""
    memory, expected = {}, []
    for en, mask, address, data in operations:
        if en and not mask:
            expected.append({lane: memory[address, lane] for lane in range(spec.n_bytes) if (address, lane) in memory})
            continue
        expected.append({})
        for lane in range(spec.n_bytes) if en else ():
            if mask >> lane & 1:
                memory[address, lane] = data >> 8 * lane & 0xFF
    return expected


def simulate(spec, operations, folder, simulator, model=None, gate=None):
    """Per cycle what the contract and the macro read, as texts of bits, and how many edges the macro saw."""
    total = 1 + spec.n_bytes + spec.address_bits + spec.word_bits
    words = []
    for en, mask, address, data in [*operations, (0, 0, 0, 0), (0, 0, 0, 0)]:
        word = ((en << spec.n_bytes | mask) << spec.address_bits | address) << spec.word_bits | data
        words.append(f"{word:0{(total + 3) // 4}x}")
    files = {"operations.hex": "".join(f"{word}\n" for word in words),
             "macro.v": model or model_of(spec), "binding.v": build_binding(spec), "gate.v": gate or build_clock_gate(),
             "contract.sv": RTL_MODEL.read_text().replace("module stillwater_sram", "module contract_sram"),
             "bench.sv": BENCH.format(total=total, n=len(operations), n_bytes=spec.n_bytes, bits=spec.word_bits,
                                      words=spec.n_words, address_bits=spec.address_bits,
                                      activity=CLOCK_EDGES if isinstance(spec, SramSpec) else SELECTED_EDGES)}
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = ["bench.sv", "contract.sv", "binding.v", "gate.v", "macro.v"]
    if simulator == "icarus":
        build = ["iverilog", "-g2012", "-s", "bench", "-o", "simulation", *sources]
        run = ["vvp", "-n", "simulation"]
    else:
        build = ["verilator", "--binary", "--timing", "--top-module", "bench", "-Wno-fatal", "-Wno-lint", "-Wno-style",
                 "--x-assign", "unique", "--x-initial", "unique", "-MAKEFLAGS", "OPT_FAST=-O0", *sources]
        run = ["obj_dir/Vbench", "+verilator+seed+7", "+verilator+rand+reset+2"]
    compiled = subprocess.run(build, cwd=folder, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if set(line) <= set("01xz 23456789") and " " in line]
    assert len(lines) == len(operations) + 2
    # operation k is in the registers after edge k, at the memory at edge k + 1, and its data are taken at edge k + 2
    counts = [int(line[2]) for line in lines]
    edges = [after - before for before, after in zip(counts[:-2], counts[1:-1], strict=True)]
    return [(*line[:2], n) for line, n in zip(lines[2:], edges, strict=True)]


def count_differences(spec, expected, lines):
    """How many bytes were compared, and the (cycle, who, lane) that differ."""
    n_compared, differ = 0, []
    for cycle, (wanted, line) in enumerate(zip(expected, lines, strict=True)):
        for who, bits in zip(("contract", "macro"), line[:2], strict=True):
            for lane, value in wanted.items():
                n_compared += 1
                low = spec.word_bits - 8 * lane
                if bits[low - 8 : low] != f"{value:08b}":
                    differ.append((cycle, who, lane))
    return n_compared, differ


def wrong_edges(operations, lines):
    """Cycles in which the macro saw an edge too many or too few: two with `en`, none without."""
    return [cycle for cycle, (operation, line) in enumerate(zip(operations, lines, strict=True))
            if line[2] != 2 * operation[0]]


@pytest.mark.parametrize("simulator, name", [
    ("icarus", "512x8"), ("icarus", "512x16"), ("icarus", "512x32"), ("icarus", "512x64"),
    ("verilator", "512x32"), ("verilator", "512x64"),
    *(("icarus", name) for name in OPENRAMS), ("verilator", OPENRAMS[1])])
def test_macro_and_contract_read_the_same_and_idle_cycles_cost_no_edge(tmp_path, simulator, name):
    spec = find_spec(name)
    operations = random_operations(spec)
    lines = simulate(spec, operations, tmp_path, simulator)
    n_compared, differ = count_differences(spec, expected_bytes(spec, operations), lines)
    assert differ == []
    assert n_compared > 2 * 1000 * spec.n_bytes
    assert wrong_edges(operations, lines) == []
    assert sum(1 for operation in operations if not operation[0]) > 600


@pytest.mark.parametrize("old, new", [
    ("q <= mem[a];", "q <= mem[a ^ 1];"),
    ("if (we[lane] !== 1'b0)", "if (we !== 0)"),
    ("d[8*lane +: 8] :", "~d[8*lane +: 8] :"),
])
def test_a_model_with_a_fault_is_found(tmp_path, old, new):
    spec = SramSpec(512, 32)
    model = build_model(spec)
    assert old in model
    operations = random_operations(spec)
    lines = simulate(spec, operations, tmp_path, "icarus", model.replace(old, new))
    _, differ = count_differences(spec, expected_bytes(spec, operations), lines)
    assert {who for _, who, _ in differ} == {"macro"}


@pytest.mark.parametrize("simulator, old, new", [
    ("icarus", "CLK & enabled", "CLK"),                          # no gate
    ("verilator", "CLK & enabled", "CLK"),
    ("icarus", "CLK & enabled", "CLK & GATE"),                   # no latch: pulses where a register changes GATE
    ("icarus", "if (!CLK)", "if (CLK)"),                         # a latch of the other phase
])
def test_a_clock_gate_with_a_fault_is_found(tmp_path, simulator, old, new):
    spec = SramSpec(512, 32)
    gate = build_clock_gate()
    assert old in gate
    operations = random_operations(spec)[:500]
    lines = simulate(spec, operations, tmp_path, simulator, gate=gate.replace(old, new))
    idle = {cycle for cycle, operation in enumerate(operations) if not operation[0]}
    assert set(wrong_edges(operations, lines)) & idle


@pytest.mark.parametrize("old, new", [
    (".csb0(~en)", ".csb0(1'b0)"), (".web0(~|wmask)", ".web0(~&wmask)"), (".wmask0(wmask)", ".wmask0({4{|wmask}})"),
])
def test_an_openram_binding_with_a_fault_is_found(tmp_path, monkeypatch, old, new):
    spec = find_spec(OPENRAMS[0])
    binding = build_binding(spec)
    assert old in binding
    monkeypatch.setattr("test_sram_equivalence.build_binding", lambda spec: binding.replace(old, new))
    operations = random_operations(spec)
    lines = simulate(spec, operations, tmp_path, "icarus")
    _, differ = count_differences(spec, expected_bytes(spec, operations), lines)
    assert {who for _, who, _ in differ} == {"macro"}


def test_what_the_macro_leaves_undefined_is_unknown(tmp_path):
    spec = SramSpec(512, 16)
    operations = [(1, 3, 4, 0x1234), (1, 0, 4, 0), (1, 1, 4, 0xFFEE), (1, 0, 4, 0), (1, 0, 5, 0)]
    lines = simulate(spec, operations, tmp_path, "icarus")
    assert [line[1] for line in lines] == ["x" * 16, f"{0x1234:016b}", "x" * 16, f"{0x12EE:016b}", "x" * 16]


def test_what_an_openram_macro_leaves_undefined_is_unknown(tmp_path):
    spec = find_spec(OPENRAMS[1])
    operations = [(1, 15, 4, 0x12345678), (1, 0, 4, 0), (0, 0, 4, 0), (1, 0, 5, 0)]
    lines = simulate(spec, operations, tmp_path, "icarus")
    assert [line[1] for line in lines] == ["x" * 32, f"{0x12345678:032b}", "x" * 32, "x" * 32]


@pytest.mark.parametrize("name", ["512x32", OPENRAMS[1]])
def test_a_binding_of_another_shape_stops_elaboration(tmp_path, name):
    spec = find_spec(name)
    (tmp_path / "binding.v").write_text(build_binding(spec) + build_clock_gate() + model_of(spec))
    command = ["iverilog", "-g2005", "-s", "stillwater_sram", "-o", "x", "binding.v"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    done = subprocess.run([*command, "-Pstillwater_sram.BITS=64"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "no_macro_of_this_shape" in done.stderr


GATE_BENCH = """
`timescale 1ns / 1ps
module bench;
    reg clk = 0, gate = 0;
    reg [63:0] noise = 64'h9E3779B97F4A7C15;
    wire ours, kits;
    integer k;
    {ours} dut (.CLK(clk), .GATE(gate), .GCLK(ours));
    sky130_fd_sc_hd__dlclkp_1 kit (.CLK(clk), .GATE(gate), .GCLK(kits));
    initial begin
        for (k = 0; k < 2000; k = k + 1) begin
            noise = {{noise[62:0], noise[63] ^ noise[62] ^ noise[60] ^ noise[59]}};
            #5;
            if (noise[1:0] == 0) clk = ~clk;                     // in any order, in either phase of the clock
            else if (noise[1:0] == 1) gate = ~gate;
            #1 if (k > 20) $display("%b %b %b %b", clk, gate, ours, kits);
        end
        $finish;
    end
endmodule
"""


def test_the_clock_gate_does_what_the_kits_cell_does(tmp_path, monkeypatch):
    from flow.steps.pdk import run_pdk
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("PDK_ROOT", raising=False)
    kit = run_pdk(tmp_path / "build")
    (tmp_path / "bench.v").write_text(GATE_BENCH.format(ours=CLOCK_GATE))
    (tmp_path / "gate.v").write_text(build_clock_gate())
    command = ["iverilog", "-g2005-sv", "-DFUNCTIONAL", "-s", "bench", "-o", "simulation", "bench.v", "gate.v",
               kit.view("verilog_primitives"), kit.view("verilog")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(["vvp", "-n", "simulation"], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [ours for _, _, ours, _ in lines] == [kits for _, _, _, kits in lines]
    assert {(clk, gate, out) for clk, gate, out, _ in lines} == {
        ("0", "0", "0"), ("0", "1", "0"), ("1", "0", "0"), ("1", "1", "1"), ("1", "0", "1"), ("1", "1", "0")}
