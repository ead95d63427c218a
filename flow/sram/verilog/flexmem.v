// Behavioural model of the SRAM macro @NAME@. Every rising edge reads or writes: there is no chip enable.
// Written bytes are those with we set; q is unknown after a write and for bytes never written. An unknown write
// enable may have written or not: its byte is unknown after that, everywhere if the address is unknown as well.
`timescale 1ns / 1ps
`default_nettype none

module @NAME@ (
`ifdef USE_POWER_PINS
    inout  wire       vdd,
    inout  wire       vss,
`endif
    input  wire       clk,
    input  wire [@ADDR_BITS-1@:0] a,
    input  wire [@BITS-1@:0] d,
    input  wire [@N_BYTES-1@:0]   we,
    output reg  [@BITS-1@:0] q
);
    reg [@BITS-1@:0] mem [0:@WORDS-1@];
    integer lane, word;

    always @(posedge clk) begin
        if (we === {@N_BYTES@{1'b0}}) q <= mem[a];
        else begin
            q <= {@BITS@{1'bx}};
            for (lane = 0; lane < @N_BYTES@; lane = lane + 1)
                if (we[lane] !== 1'b0) begin
                    if ((^a) === 1'bx) begin
                        for (word = 0; word < @WORDS@; word = word + 1) mem[word][8*lane +: 8] <= 8'bx;
                    end
                    else mem[a][8*lane +: 8] <= (we[lane] === 1'b1) ? d[8*lane +: 8] : 8'bx;
                end
        end
    end
endmodule

`default_nettype wire
