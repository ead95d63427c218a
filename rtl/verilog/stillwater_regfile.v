// Weight memory of flip-flops for small designs (`memory: flipflop`): synthesisable, with the ports and the timing of
// docs/datapath.md, "SRAM seam". It keeps to the contract and promises no more: what it gives after a write or an
// idle cycle (the last word read) is not to be relied on.
`default_nettype none

module stillwater_regfile #(
    parameter WORDS = 64,
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
    integer lane;

    always @(posedge clk)
        if (en) begin
            for (lane = 0; lane < BITS / 8; lane = lane + 1)
                if (wmask[lane]) mem[addr][8*lane +: 8] <= wdata[8*lane +: 8];
            if (wmask == 0) rdata <= mem[addr];
        end
endmodule

`default_nettype wire
