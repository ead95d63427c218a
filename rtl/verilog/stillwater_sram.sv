// Behavioural model of a single-port SRAM that keeps to the contract of docs/datapath.md, "SRAM seam", and makes
// everything that the contract leaves undefined visible:
//   - rdata after a write, after an idle cycle, and of words never written is unknown: X in a four-state simulator,
//     fresh garbage in a two-state one (Verilator), so that a datapath that uses it gives a wrong result;
//   - an unknown enable, mask or address, or an address beyond the last word, stops the simulation with a message.
// Before the first known enable the contents are undefined anyway (power-up), so an unknown enable is no error then.
//
// The exported wrapper instantiates `stillwater_sram` once a bank. This body is for simulation; a layout gives the module
// another one, with the macro of its process.
`timescale 1ns / 1ps
`default_nettype none

module stillwater_sram #(
    parameter WORDS = 512,
    parameter BITS = 32,
    parameter ADDR_BITS = (WORDS > 1) ? $clog2(WORDS) : 1
) (
    input  wire                 clk,
    input  wire                 en,
    input  wire [BITS/8-1:0]    wmask,
    input  wire [ADDR_BITS-1:0] addr,
    input  wire [BITS-1:0]      wdata,
    output reg  [BITS-1:0]      rdata
);
    reg [BITS-1:0] mem [0:WORDS-1];
    reg enabled_once;
    integer lane;

    initial enabled_once = 1'b0;

`ifdef VERILATOR
    // Two-state: a 32-bit xorshift per instance; the high bits of the enlarged state are a rotated copy, which is
    // garbage enough.
    reg [31:0] noise;
    integer word, piece;

    function [31:0] next_noise(input [31:0] state);
        reg [31:0] step_1, step_2;
        begin
            step_1 = state ^ (state << 13);
            step_2 = step_1 ^ (step_1 >> 17);
            next_noise = step_2 ^ (step_2 << 5);
        end
    endfunction

    initial begin
        noise = $urandom | 32'd1;
        for (word = 0; word < WORDS; word = word + 1)
            for (piece = 0; piece < BITS / 8; piece = piece + 1) begin
                noise = next_noise(noise);
                mem[word][8*piece +: 8] = noise[7:0];
            end
    end

    wire [BITS+31:0] unknown_wide = {(BITS / 32 + 1){noise}};
    wire [BITS-1:0] unknown = unknown_wide[BITS-1:0];
    wire control_unknown = 1'b0;

    always @(posedge clk) noise <= next_noise(noise);
`else
    wire [BITS-1:0] unknown = {BITS{1'bx}};
    wire control_unknown = ((^{wmask, addr}) === 1'bx);
`endif

    task fail(input [8*40-1:0] what);
        begin
            $display("sram-error: %0s in %m at time %0t: en %b wmask %b addr %b", what, $time, en, wmask, addr);
            $fatal(1);
        end
    endtask

    always @(posedge clk) begin
        rdata <= unknown;
        if (en === 1'b1) begin
            enabled_once <= 1'b1;
            if (control_unknown) fail("unknown write mask or address");
            else if (addr > WORDS - 1) fail("address beyond the last word");
            else if (wmask == 0) rdata <= mem[addr];
            else
                for (lane = 0; lane < BITS / 8; lane = lane + 1)
                    if (wmask[lane]) mem[addr][8*lane +: 8] <= wdata[8*lane +: 8];
        end
        else if (en !== 1'b0 && enabled_once) fail("unknown enable");
    end
endmodule

`default_nettype wire
