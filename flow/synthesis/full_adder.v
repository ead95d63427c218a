// Full adders ($fa, which extract_fa finds) one bit each; those with a constant input become gates that can shrink, the
// others stay for the library's cell.
(* techmap_celltype = "$fa" *)
module stillwater_full_adder #(
    parameter WIDTH = 1
) (
    input  [WIDTH-1:0] A,
    input  [WIDTH-1:0] B,
    input  [WIDTH-1:0] C,
    output [WIDTH-1:0] X,
    output [WIDTH-1:0] Y
);
    parameter [WIDTH-1:0] _TECHMAP_CONSTMSK_A_ = 0;
    parameter [WIDTH-1:0] _TECHMAP_CONSTMSK_B_ = 0;
    parameter [WIDTH-1:0] _TECHMAP_CONSTMSK_C_ = 0;
    localparam HAS_CONSTANT = |_TECHMAP_CONSTMSK_A_ || |_TECHMAP_CONSTMSK_B_ || |_TECHMAP_CONSTMSK_C_;
    wire _TECHMAP_FAIL_ = WIDTH == 1 && !HAS_CONSTANT;
    genvar k;
    generate
        if (WIDTH == 1) begin
            assign Y = A ^ B ^ C;
            assign X = (A & B) | (C & (A | B));
        end
        else for (k = 0; k < WIDTH; k = k + 1) begin : bit
            \$fa #(.WIDTH(1)) fa (.A(A[k]), .B(B[k]), .C(C[k]), .X(X[k]), .Y(Y[k]));
        end
    endgenerate
endmodule
