"""The memories in Verilog: they do what the SRAM contract promises, and show whatever it does not."""

import subprocess

import pytest

from flow.simulate.verilog import VERILOG

pytestmark = pytest.mark.eda

# One operation a line: en wmask addr wdata; rdata is printed before the next edge.
BENCH = """
`timescale 1ns / 1ps
module bench;
    reg clk = 0, en; reg [1:0] wmask; reg [2:0] addr; reg [15:0] wdata; wire [15:0] rdata;
    {module} #(.WORDS({words}), .BITS(16)) dut (.*);
    task cycle(input e, input [1:0] m, input [2:0] a, input [15:0] d);
        begin
            en = e; wmask = m; addr = a; wdata = d;
            #5 clk = 1; #4 $display("q %h", rdata); #1 clk = 0;
        end
    endtask
    initial begin
{body}
        $display("done");
        $finish;
    end
endmodule
"""


def run_icarus(folder, body, module="stillwater_sram", words=6):
    """What rdata was after each cycle, and whether the simulation came to its end."""
    bench = folder / "bench.sv"
    bench.write_text(BENCH.format(module=module, words=words, body="\n".join(f"        {line};" for line in body)))
    source = next(VERILOG.glob(f"{module}.*"))
    subprocess.run(["iverilog", "-g2012", "-o", folder / "simulator", bench, source], check=True)
    done = subprocess.run(["vvp", "-n", folder / "simulator"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return [line[2:] for line in lines if line.startswith("q ")], "done" in lines, done.stdout + done.stderr


READ_BACK = ["cycle(1, 3, 2, 16'h1234)", "cycle(1, 3, 5, 16'habcd)", "cycle(1, 0, 2, 0)", "cycle(1, 0, 5, 0)",
             "cycle(1, 1, 2, 16'h5678)", "cycle(1, 2, 5, 16'h5678)", "cycle(1, 0, 2, 0)", "cycle(1, 0, 5, 0)"]


@pytest.mark.parametrize("module", ["stillwater_sram", "stillwater_regfile"])
def test_words_and_bytes_are_written_and_read(tmp_path, module):
    rdata, done, _ = run_icarus(tmp_path, READ_BACK, module)
    assert done
    assert (rdata[2], rdata[3], rdata[6], rdata[7]) == ("1234", "abcd", "1278", "56cd")


def test_what_the_contract_leaves_undefined_is_unknown(tmp_path):
    body = ["cycle(1, 3, 0, 16'h1111)", "cycle(1, 0, 0, 0)", "cycle(0, 0, 0, 0)", "cycle(1, 1, 4, 16'h0022)",
            "cycle(1, 0, 4, 0)", "cycle(1, 0, 3, 0)"]
    rdata, done, _ = run_icarus(tmp_path, body)
    assert done
    assert rdata == ["xxxx", "1111", "xxxx", "xxxx", "xx22", "xxxx"]  # after a write, read, idle, write, half, never


@pytest.mark.parametrize(
    "line, message",
    [
        ("cycle(1, 0, 6, 0)", "address beyond the last word"),
        ("cycle(1, 0, 3'b01x, 0)", "unknown write mask or address"),
        ("cycle(1, 2'b0x, 1, 0)", "unknown write mask or address"),
        ("cycle(1'bx, 0, 1, 0)", "unknown enable"),
    ],
)
def test_illegal_use_stops_the_simulation(tmp_path, line, message):
    _, done, output = run_icarus(tmp_path, ["cycle(1, 3, 1, 1)", "cycle(1, 0, 1, 0)", line])
    assert not done
    assert f"sram-error: {message}" in " ".join(output.split())


def test_before_the_first_access_an_unknown_enable_is_power_up(tmp_path):
    _, done, _ = run_icarus(tmp_path, ["cycle(1'bx, 0, 1, 0)", "cycle(1, 3, 1, 1)"])
    assert done


def test_under_verilator_undefined_data_is_garbage_that_changes(tmp_path):
    body = ["cycle(1, 3, 2, 16'h1234)", *["cycle(0, 0, 0, 0)"] * 6, "cycle(1, 0, 2, 0)", *["cycle(1, 0, 3, 0)"] * 2]
    bench = tmp_path / "bench.sv"
    body = "\n".join(f"        {line};" for line in body)
    bench.write_text(BENCH.format(module="stillwater_sram", words=6, body=body))
    subprocess.run(["verilator", "--binary", "--timing", "-Wno-fatal", "-Wno-lint", "--top-module", "bench", "--Mdir",
                    tmp_path / "obj", "-o", "simulator", bench, VERILOG / "stillwater_sram.sv"],
                   check=True, capture_output=True)
    done = subprocess.run([tmp_path / "obj" / "simulator"], capture_output=True, text=True, check=True)
    rdata = [line[2:] for line in done.stdout.splitlines() if line.startswith("q ")]
    assert len(set(rdata[:7])) > 4, "the same garbage again and again could look like data that is held"
    assert rdata[7] == "1234"
    assert rdata[8] == rdata[9], "a word holds what power-up gave it"
