"""The macro's behavioural model in its binding does, cycle by cycle, what the memory seam of rtl promises.

Random operations go to rtl/verilog/stillwater_sram.sv and to the binding with the macro in it. Wherever the contract
defines the read data (a word's bytes that were written, the cycle before was a read), both must be what was written.
"""

import random
import subprocess

import pytest

from flow.sram.pins import RTL_MODEL
from flow.sram.spec import SramSpec
from flow.sram.verilog import build_binding, build_model

pytestmark = pytest.mark.eda

N_CYCLES = 4000
N_FAVOURITES = 24            # addresses that most operations go to, so that words are written and read again
BENCH = """
`timescale 1ns / 1ps
module bench;
    reg clk;
    reg [{total}-1:0] operations [0:{n}-1];
    reg en; reg [{n_bytes}-1:0] wmask; reg [8:0] addr; reg [{bits}-1:0] wdata;
    wire [{bits}-1:0] q_contract, q_macro;
    integer i;
    contract_sram #(.WORDS(512), .BITS({bits})) contract
        (.clk(clk), .en(en), .wmask(wmask), .addr(addr), .wdata(wdata), .rdata(q_contract));
    stillwater_sram #(.WORDS(512), .BITS({bits})) macro
        (.clk(clk), .en(en), .wmask(wmask), .addr(addr), .wdata(wdata), .rdata(q_macro));
    initial begin
        $readmemh("operations.hex", operations);
        clk = 0;
        for (i = 0; i < {n}; i = i + 1) begin
            {{en, wmask, addr, wdata}} = operations[i];
            #5 clk = 1;
            #4 $display("%b %b", q_contract, q_macro);
            #1 clk = 0;
        end
        $finish;
    end
endmodule
"""


def random_operations(spec, seed=20):
    """(en, wmask, addr, wdata) for each cycle: half reads, partial and whole writes, idle cycles."""
    draw = random.Random(seed)
    favourites = [0, spec.n_words - 1, *draw.sample(range(1, spec.n_words - 1), N_FAVOURITES - 2)]
    operations = []
    for _ in range(N_CYCLES):
        whole = (1 << spec.n_bytes) - 1
        mask = draw.choice([0, 0, whole, draw.randint(0, whole)])
        address = draw.choice(favourites) if draw.random() < 0.95 else draw.randrange(spec.n_words)
        operations.append((int(draw.random() < 0.85), mask, address, draw.getrandbits(spec.word_bits)))
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


def simulate(spec, operations, folder, simulator, model):
    """What the contract and the macro read in each cycle, as texts of bits."""
    total = 1 + spec.n_bytes + spec.address_bits + spec.word_bits
    words = []
    for en, mask, address, data in operations:
        word = ((en << spec.n_bytes | mask) << spec.address_bits | address) << spec.word_bits | data
        words.append(f"{word:0{(total + 3) // 4}x}")
    files = {"operations.hex": "".join(f"{word}\n" for word in words),
             "macro.v": model, "binding.v": build_binding(spec),
             "contract.sv": RTL_MODEL.read_text().replace("module stillwater_sram", "module contract_sram"),
             "bench.sv": BENCH.format(total=total, n=len(operations), n_bytes=spec.n_bytes, bits=spec.word_bits)}
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = ["bench.sv", "contract.sv", "binding.v", "macro.v"]
    if simulator == "icarus":
        build = ["iverilog", "-g2012", "-s", "bench", "-o", "simulation", *sources]
        run = ["vvp", "-n", "simulation"]
    else:
        build = ["verilator", "--binary", "--timing", "--top-module", "bench", "-Wno-fatal", "-Wno-lint", "-Wno-style",
                 "--x-assign", "unique", "--x-initial", "unique", *sources]
        run = ["obj_dir/Vbench", "+verilator+seed+7", "+verilator+rand+reset+2"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines() if set(line) <= set("01xz ") and " " in line]


def count_differences(spec, expected, lines):
    """How many bytes were compared, and the (cycle, who, lane) that differ."""
    assert len(lines) == len(expected)
    n_compared, differ = 0, []
    for cycle, (wanted, line) in enumerate(zip(expected, lines, strict=True)):
        for who, bits in zip(("contract", "macro"), line, strict=True):
            for lane, value in wanted.items():
                n_compared += 1
                low = spec.word_bits - 8 * lane
                if bits[low - 8 : low] != f"{value:08b}":
                    differ.append((cycle, who, lane))
    return n_compared, differ


@pytest.mark.parametrize("simulator, bits", [("icarus", 8), ("icarus", 16), ("icarus", 32), ("icarus", 64),
                                             ("verilator", 8), ("verilator", 32), ("verilator", 64)])
def test_macro_and_contract_read_the_same(tmp_path, simulator, bits):
    spec = SramSpec(512, bits)
    operations = random_operations(spec)
    expected = expected_bytes(spec, operations)
    n_compared, differ = count_differences(spec, expected,
                                           simulate(spec, operations, tmp_path, simulator, build_model(spec)))
    assert differ == []
    assert n_compared > 2 * 1000 * spec.n_bytes


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


def test_what_the_macro_leaves_undefined_is_unknown(tmp_path):
    spec = SramSpec(512, 16)
    operations = [(1, 3, 4, 0x1234), (1, 0, 4, 0), (1, 1, 4, 0xFFEE), (1, 0, 4, 0), (1, 0, 5, 0)]
    lines = simulate(spec, operations, tmp_path, "icarus", build_model(spec))
    assert [macro for _, macro in lines] == ["x" * 16, f"{0x1234:016b}", "x" * 16, f"{0x12EE:016b}", "x" * 16]


def test_a_binding_of_another_shape_stops_elaboration(tmp_path):
    spec = SramSpec(512, 32)
    (tmp_path / "binding.v").write_text(build_binding(spec) + build_model(spec))
    command = ["iverilog", "-g2005", "-s", "stillwater_sram", "-o", "x", "binding.v"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    done = subprocess.run([*command, "-Pstillwater_sram.BITS=64"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "no_macro_of_this_shape" in done.stderr
