// The memory seam of docs/datapath.md, bound to the SRAM macro @NAME@.
// An idle cycle is csb0 = 1. Read data come out after the falling edge of clk, so half a period is left of them. Port 1,
// which only reads, is tied off. The macro's own file has no timescale: read after this one, its delays are in ns.
`timescale 1ns / 1ps
`default_nettype none

module stillwater_sram #(
    parameter WORDS = @WORDS@,
    parameter BITS = @BITS@,
    parameter ADDR_BITS = (WORDS > 1) ? $clog2(WORDS) : 1
) (
`ifdef USE_POWER_PINS
    inout  wire                 @POWER@,
    inout  wire                 @GROUND@,
`endif
    input  wire                 clk,
    input  wire                 en,
    input  wire [BITS/8-1:0]    wmask,
    input  wire [ADDR_BITS-1:0] addr,
    input  wire [BITS-1:0]      wdata,
    output wire [BITS-1:0]      rdata
);
    generate
        if (WORDS == @WORDS@ && BITS == @BITS@) begin : bank
            @NAME@ macro (
`ifdef USE_POWER_PINS
                .@POWER@(@POWER@), .@GROUND@(@GROUND@),
`endif
                .clk0(clk), .csb0(~en), .web0(~|wmask), .wmask0(wmask), .addr0(addr), .din0(wdata), .dout0(rdata),
                .clk1(1'b0), .csb1(1'b1), .addr1({ADDR_BITS{1'b0}}), .dout1()
            );
        end
        else begin : no_bank
            no_macro_of_this_shape macro ();      // stops elaboration: this file binds @WORDS@x@BITS@ only
        end
    endgenerate
endmodule

`default_nettype wire
