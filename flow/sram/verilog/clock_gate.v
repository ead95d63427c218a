// Clock gate: GCLK follows CLK in the cycles whose rising edge finds GATE at 1, and stays low in the others.
// A latch holds GATE while CLK is high, so that a GATE which changes then, as one that a register drives does, cannot
// cut a pulse short or add one. Pins and behaviour are those of the kit's sky130_fd_sc_hd__dlclkp, which a layout puts
// in the place of this module; the body is for simulation.
`timescale 1ns / 1ps
`default_nettype none

module stillwater_clock_gate (
    input  wire CLK,
    input  wire GATE,
    output wire GCLK
);
    reg enabled;

    // No non-blocking assignment on the way of the clock: GCLK must rise before registers on CLK take their new
    // values, or what they drive would change at the macro before its edge.
    /* verilator lint_off LATCH */
    always @(CLK or GATE)
        if (!CLK) enabled = GATE;
    /* verilator lint_on LATCH */

    assign GCLK = CLK & enabled;
endmodule

`default_nettype wire
