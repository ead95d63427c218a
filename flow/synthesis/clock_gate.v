// The clock gate of a memory's binding (flow/sram/verilog/clock_gate.v, which is its behaviour) as the kit's cell.
`default_nettype none

module stillwater_clock_gate (
    input  wire CLK,
    input  wire GATE,
    output wire GCLK
);
    (* keep *)
    sky130_fd_sc_hd__dlclkp_4 gate (.CLK(CLK), .GATE(GATE), .GCLK(GCLK));
endmodule

`default_nettype wire
