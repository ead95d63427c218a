// The memory seam of docs/datapath.md, bound to the SRAM macro @NAME@.
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
@INSTANCE@        end
        else begin : no_bank
            no_macro_of_this_shape macro ();      // stops elaboration: this file binds @WORDS@x@BITS@ only
        end
    endgenerate
endmodule

`default_nettype wire
