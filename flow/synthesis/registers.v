// Registers into flip-flops of one bit that keep the register's name: bit 3 of acc_reg is acc_reg.bit[3].ff.
// Yosys' own splitting gives them numbers; reports of paths and the proof of equivalence go by names.
(* techmap_celltype = "$dff" *)
module stillwater_register #(
    parameter WIDTH = 1,
    parameter CLK_POLARITY = 1
) (
    input              CLK,
    input  [WIDTH-1:0] D,
    output [WIDTH-1:0] Q
);
    wire _TECHMAP_FAIL_ = !CLK_POLARITY;        // falling clocks are refused before
    genvar k;
    generate
        if (WIDTH == 1) begin
            \$_DFF_P_ _TECHMAP_REPLACE_ (.C(CLK), .D(D), .Q(Q));
        end
        else begin : _TECHMAP_REPLACE_
            for (k = 0; k < WIDTH; k = k + 1) begin : bit
                \$_DFF_P_ ff (.C(CLK), .D(D[k]), .Q(Q[k]));
            end
        end
    endgenerate
endmodule
