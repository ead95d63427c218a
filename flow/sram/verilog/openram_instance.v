            // An idle cycle is csb0 = 1. Read data come out after the falling edge of clk, so half a period is left of
            // them. Port 1, which only reads, is tied off. The macro's own file has no timescale: read after this one,
            // its delays are in ns.
            @NAME@ macro (
`ifdef USE_POWER_PINS
                .@POWER@(@POWER@), .@GROUND@(@GROUND@),
`endif
                .clk0(clk), .csb0(~en), .web0(~|wmask), .wmask0(wmask), .addr0(addr), .din0(wdata), .dout0(rdata),
                .clk1(1'b0), .csb1(1'b1), .addr1({ADDR_BITS{1'b0}}), .dout1()
            );
