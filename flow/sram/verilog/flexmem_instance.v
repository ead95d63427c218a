            // The macro has no chip enable: each of its clock edges reads or writes. So it gets a clock of its own, which
            // stands still in idle cycles.
            wire clk_macro;
            stillwater_clock_gate gate (.CLK(clk), .GATE(en), .GCLK(clk_macro));
            @NAME@ macro (
`ifdef USE_POWER_PINS
                .@POWER@(@POWER@), .@GROUND@(@GROUND@),
`endif
                .clk(clk_macro), .a(addr), .d(wdata), .we(wmask), .q(rdata)
            );
