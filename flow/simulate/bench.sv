// Test bench of every design, for Icarus 11 (-g2012) and Verilator 5.006 (--binary --timing), unchanged.
//
// It plays a host program (flow/simulate/program.py) and a stream of x beats (flow/simulate/stimulus.py) against the
// ports of docs/datapath.md and writes an event file (flow/simulate/events.py). driver.c is the same state machine
// for the PyRTL simulation: both make the same decisions in the same cycle, so that the two event lists are equal,
// cycle numbers included. Change them together.
//
// `DUT      wrapper module; its core must be the instance `core`
// `STREAMS  S
// `HAS_C    1 if the core has probe_c_*
// +program= +beats= +events=  files
// +vcd_from= +vcd_to=  write the waveform of these cycles into window.vcd and stop
`timescale 1ns / 1ps

module bench;
    localparam S = `STREAMS;

    // Program operations and event kinds: program.py and events.py have the same numbers.
    localparam OP_WRITE = 0, OP_READ = 1, OP_STREAM = 2, OP_BREAK = 3, OP_RESET = 4, OP_IDLE = 5, OP_IRQ = 6,
        OP_WAIT = 7, OP_STALL = 8, OP_END = 9, OP_PATIENCE = 10;
    localparam EV_STEP = 0, EV_H = 1, EV_C = 2, EV_Y = 3, EV_ACCESS = 4, EV_ERROR = 5, EV_END = 6;
    localparam ERR_ACK_AND_ERR = 1, ERR_STRAY_ACK = 2, ERR_NO_ACK = 3, ERR_NO_PROGRESS = 4, ERR_Y_CHANGED = 5,
        ERR_IRQ = 6, ERR_BEATS_ENDED = 7, ERR_UNKNOWN = 8, ERR_PROGRAM = 9;
    localparam ADDRESS_CTRL = 20'h00010, ADDRESS_STATUS = 20'h00014, ACK_LIMIT = 1000;
    localparam H_FETCH = 0, H_BUS = 1, H_STREAM = 2, H_BREAK = 3, H_COUNT = 4, H_POLL = 5;

    reg clk = 1'b0;
    reg rst = 1'b1;
    reg wb_cyc = 1'b0, wb_stb = 1'b0, wb_we = 1'b0;
    reg [3:0] wb_sel = 4'h0;
    reg [19:0] wb_adr = 20'h0;
    reg [31:0] wb_dat = 32'h0;
    wire [31:0] wb_dat_o;
    wire wb_ack, wb_err;
    reg x_valid = 1'b0;
    reg [8*S-1:0] x_data = 0;
    reg [S-1:0] x_first = 0, x_last = 0, x_keep = 0;
    wire x_ready;
    wire y_valid, y_last;
    wire [16*S-1:0] y_data;
    wire [S-1:0] y_keep;
    reg y_ready = 1'b0;
    wire irq;

    `DUT dut (
        .clk(clk), .rst(rst),
        .wb_cyc_i(wb_cyc), .wb_stb_i(wb_stb), .wb_we_i(wb_we), .wb_sel_i(wb_sel), .wb_adr_i(wb_adr),
        .wb_dat_i(wb_dat), .wb_dat_o(wb_dat_o), .wb_ack_o(wb_ack), .wb_err_o(wb_err),
        .x_valid(x_valid), .x_ready(x_ready), .x_data(x_data), .x_first(x_first), .x_last(x_last), .x_keep(x_keep),
        .y_valid(y_valid), .y_ready(y_ready), .y_data(y_data), .y_keep(y_keep), .y_last(y_last),
        .irq(irq));

    wire probe_step = dut.core.probe_step;
    wire [S-1:0] h_we = dut.core.probe_h_we;
    wire [31:0] h_index = 32'd0 | dut.core.probe_h_index;
    wire [63:0] h_value = 64'd0 | dut.core.probe_h_value;
`ifdef HAS_C
    wire [S-1:0] c_we = dut.core.probe_c_we;
    wire [31:0] c_index = 32'd0 | dut.core.probe_c_index;
    wire [63:0] c_value = 64'd0 | dut.core.probe_c_value;
`else
    wire [S-1:0] c_we = {S{1'b0}};
    wire [31:0] c_index = 32'd0;
    wire [63:0] c_value = 64'd0;
`endif

    integer program_fd, beats_fd, events_fd, got;
    reg [8*1024-1:0] path;
    reg [63:0] cycle, last_progress, patience, vcd_from, vcd_to;
    reg vcd;

    // Host.
    integer state;
    reg [31:0] op, arg_a, arg_b;
    reg [63:0] count, bus_wait, y_wanted, y_taken, x_allowed, x_sent, x_taken;
    reg ctrl_written;

    // Stalls: one xorshift32 a side, a threshold of 256ths, now and then a long hold.
    reg [31:0] x_noise, y_noise, host_noise;
    reg [8:0] x_stall, y_stall;
    reg [9:0] x_hold, y_hold;

    // What y looked like in the last cycle, for the rule that it stands still until it is taken.
    reg y_waiting;
    reg [16*S-1:0] y_data_before;
    reg [S-1:0] y_keep_before;
    reg y_last_before;

    reg x_take, y_take, offer, finished;
    reg [63:0] beat_data, beat_first, beat_last, beat_keep;

    // Fields of `width` bits a stream, zero for the streams that are not in `mask`: those may be unknown.
    function [63:0] masked(input [63:0] value, input [S-1:0] mask, input integer width);
        integer s;
        begin
            masked = value;
            for (s = 0; s < S; s = s + 1)
                if (!mask[s]) masked = masked & ~(((64'd1 << width) - 64'd1) << (width * s));
        end
    endfunction

    function [31:0] xorshift(input [31:0] value);
        reg [31:0] a, b;
        begin
            a = value ^ (value << 13);
            b = a ^ (a >> 17);
            xorshift = b ^ (b << 5);
        end
    endfunction

    task emit(input integer kind, input [63:0] a, input [63:0] b, input [63:0] c);
        $fwrite(events_fd, "%0h %0h %0h %0h %0h\n", kind, cycle, a, b, c);
    endtask

    task finish;
        begin
            if (!finished) begin
                emit(EV_END, x_taken, 0, 0);
                $fclose(events_fd);
                $display("end %0d %0d", cycle, x_taken);
                $finish;
            end
            finished = 1'b1;
        end
    endtask

    task fail(input integer code, input [63:0] a, input [63:0] b);
        if (!finished) begin
            emit(EV_ERROR, code, a, b);
            finish;
        end
    endtask

    task start_access(input write, input [31:0] address, input [31:0] data);
        begin
            wb_cyc <= 1'b1;
            wb_stb <= 1'b1;
            wb_we <= write;
            wb_sel <= ~address[27:24];
            wb_adr <= address[19:0];
            wb_dat <= data;
            bus_wait = 0;
        end
    endtask

    task end_access;
        begin
            wb_cyc <= 1'b0;
            wb_stb <= 1'b0;
            wb_we <= 1'b0;
        end
    endtask

    // Take the next operation of the program; it starts to act in the next cycle.
    task fetch;
        begin
            got = $fscanf(program_fd, "%h %h %h", op, arg_a, arg_b);
            if (got != 3) begin
                op = OP_END;
                fail(ERR_PROGRAM, 0, 0);
            end
            state = H_FETCH;
            case (op)
                OP_WRITE: begin start_access(1'b1, arg_a, arg_b); state = H_BUS; end
                OP_READ: begin start_access(1'b0, arg_a, 32'h0); state = H_BUS; end
                OP_STREAM: begin
                    x_allowed = x_allowed + arg_a;
                    y_wanted = arg_b;
                    state = H_STREAM;
                end
                OP_BREAK: begin
                    x_allowed = x_allowed + arg_a;
                    count = arg_b;
                    state = H_BREAK;
                end
                OP_RESET: begin
                    rst <= 1'b1;
                    y_waiting = 1'b0;
                    count = arg_a;
                    state = H_COUNT;
                end
                OP_IDLE: begin start_access(1'b0, ADDRESS_STATUS, 32'h0); state = H_POLL; end
                OP_IRQ: if (irq !== arg_a[0]) fail(ERR_IRQ, irq, arg_a);
                OP_WAIT: begin count = arg_a; state = H_COUNT; end
                OP_STALL: begin
                    x_stall = arg_a[8:0];
                    y_stall = arg_a[24:16];
                    x_noise = arg_b | 32'd1;
                    y_noise = xorshift(arg_b | 32'd1) ^ 32'h5bd1e995;
                    host_noise = xorshift(y_noise);
                end
                OP_END: finish;
                OP_PATIENCE: patience = arg_a;
                default: fail(ERR_PROGRAM, op, 0);
            endcase
        end
    endtask

    task host;
        case (state)
            H_FETCH: fetch;
            H_BUS:
                if (wb_ack || wb_err) begin
                    if (op == OP_READ) emit(EV_ACCESS, wb_adr, wb_dat_o, wb_err);
                    else if (wb_err) emit(EV_ACCESS, wb_adr, 0, 2);
                    if (op == OP_WRITE && arg_a == ADDRESS_CTRL) y_taken = 0;
                    last_progress = cycle;
                    // Half of the accesses follow back to back, with the strobe held. Else cyc or stb may stay up
                    // alone, which is no access.
                    end_access;
                    if (host_noise[0]) fetch;
                    else begin
                        state = H_FETCH;
                        wb_cyc <= host_noise[2:1] == 2'd1;
                        wb_stb <= host_noise[2:1] == 2'd2;
                    end
                end
            H_POLL:
                if (wb_ack || wb_err) begin
                    end_access;
                    if (!wb_dat_o[0] || wb_err) begin
                        last_progress = cycle;
                        state = H_FETCH;
                    end
                    else start_access(1'b0, ADDRESS_STATUS, 32'h0);
                end
            H_STREAM:
                if (x_taken == x_allowed && y_taken == y_wanted) begin
                    y_taken = 0;
                    fetch;
                end
            H_BREAK: if (x_taken == x_allowed) state = H_COUNT;
            H_COUNT:
                if (count == 0) begin
                    if (rst) y_taken = 0;
                    rst <= 1'b0;
                    fetch;
                end
                else begin
                    count = count - 1;
                    last_progress = cycle;
                end
            default: fail(ERR_PROGRAM, state, 1);
        endcase
    endtask

    task check_bus;
        begin
            if (wb_ack && wb_err) fail(ERR_ACK_AND_ERR, wb_adr, wb_we);
            if ((wb_ack || wb_err) && !(wb_cyc && wb_stb)) fail(ERR_STRAY_ACK, wb_adr, wb_we);
            if (wb_cyc && wb_stb && !wb_ack && !wb_err) begin
                bus_wait = bus_wait + 1;
                if (bus_wait > ACK_LIMIT) fail(ERR_NO_ACK, wb_adr, wb_we);
            end
        end
    endtask

    task sink_y;
        begin
            if (y_waiting && !ctrl_written
                && !(y_valid && y_data === y_data_before && y_keep === y_keep_before && y_last === y_last_before))
                fail(ERR_Y_CHANGED, y_taken, y_valid);
            y_take = y_valid && y_ready;
            if (y_take) begin
                emit(EV_Y, masked(64'd0 | y_data, y_keep, 16), y_keep, y_last);
                y_taken = y_taken + 1;
                last_progress = cycle;
            end
            y_waiting = y_valid && !y_ready;
            y_data_before = y_data;
            y_keep_before = y_keep;
            y_last_before = y_last;
            if (y_hold != 0) begin
                y_hold = y_hold - 1;
                y_ready <= 1'b0;
            end
            else if (y_stall != 0 && {1'b0, y_noise[7:0]} < y_stall) begin
                if (y_noise[13:8] == 0) y_hold = y_noise[23:14];
                y_ready <= 1'b0;
            end
            else y_ready <= 1'b1;
        end
    endtask

    task source_x;
        begin
            x_take = x_valid && x_ready;
            if (x_take) begin
                x_taken = x_taken + 1;
                last_progress = cycle;
            end
            if (!x_valid || x_take) begin
                offer = x_sent < x_allowed;
                if (offer && x_hold != 0) begin
                    x_hold = x_hold - 1;
                    offer = 1'b0;
                end
                else if (offer && x_stall != 0 && {1'b0, x_noise[7:0]} < x_stall) begin
                    if (x_noise[13:8] == 0) x_hold = x_noise[23:14];
                    offer = 1'b0;
                end
                if (offer) begin
                    got = $fscanf(beats_fd, "%h %h %h %h", beat_data, beat_first, beat_last, beat_keep);
                    if (got != 4) fail(ERR_BEATS_ENDED, x_sent, x_allowed);
                    x_sent = x_sent + 1;
                    x_valid <= 1'b1;
                    x_data <= beat_data[8*S-1:0];
                    x_first <= beat_first[S-1:0];
                    x_last <= beat_last[S-1:0];
                    x_keep <= beat_keep[S-1:0];
                end
                else begin
                    x_valid <= 1'b0;
                    x_data <= {8*S{1'bx}};
                    x_first <= {S{1'bx}};
                    x_last <= {S{1'bx}};
                    x_keep <= {S{1'bx}};
                end
            end
        end
    endtask

    initial begin
        if (!$value$plusargs("program=%s", path)) $fatal(1, "bench: +program= is missing");
        program_fd = $fopen(path, "r");
        if (!$value$plusargs("beats=%s", path)) $fatal(1, "bench: +beats= is missing");
        beats_fd = $fopen(path, "r");
        if (!$value$plusargs("events=%s", path)) $fatal(1, "bench: +events= is missing");
        events_fd = $fopen(path, "w");
        if (program_fd == 0 || beats_fd == 0 || events_fd == 0) $fatal(1, "bench: cannot open a file");
        vcd = $value$plusargs("vcd_from=%d", vcd_from) != 0;
        if (!$value$plusargs("vcd_to=%d", vcd_to)) vcd_to = 64'hffff_ffff_ffff_ffff;
        cycle = 0; last_progress = 0; patience = 100000;
        state = H_FETCH; op = 0; arg_a = 0; arg_b = 0; count = 0; bus_wait = 0;
        y_wanted = 0; y_taken = 0; x_allowed = 0; x_sent = 0; x_taken = 0; ctrl_written = 0;
        x_noise = 1; y_noise = 1; host_noise = 1; x_stall = 0; y_stall = 0; x_hold = 0; y_hold = 0;
        y_waiting = 0; y_data_before = 0; y_keep_before = 0; y_last_before = 0;
        x_take = 0; y_take = 0; offer = 0; finished = 0;
    end

    always #5 clk = ~clk;

    always @(posedge clk) if (!finished) begin
        if (!rst) begin
            if ((^{wb_ack, wb_err, x_ready, y_valid, irq, probe_step, h_we, c_we}) === 1'bx)
                fail(ERR_UNKNOWN, {wb_ack, wb_err, x_ready, y_valid, irq}, {probe_step, h_we, c_we});
            if (probe_step) emit(EV_STEP, 0, 0, 0);
            if (h_we != 0) emit(EV_H, h_we, h_index, masked(h_value, h_we, 8));
            if (c_we != 0) emit(EV_C, c_we, c_index, masked(c_value, c_we, 16));
            if (probe_step || h_we != 0) last_progress = cycle;
            check_bus;
            sink_y;
            source_x;
        end
        ctrl_written = wb_stb && wb_we && wb_adr == ADDRESS_CTRL;
        host;
        if (cycle - last_progress > patience) fail(ERR_NO_PROGRESS, x_taken, y_taken);
        x_noise = xorshift(x_noise);
        y_noise = xorshift(y_noise);
        host_noise = xorshift(host_noise);
        if (cycle[16:0] == 0) $display("progress %0d %0d", cycle, x_taken);
        cycle = cycle + 1;
    end

    // The window of a waveform: dumping starts at its first cycle and the run stops after its last.
    always @(posedge clk) if (vcd) begin
        if (cycle == vcd_from) begin
            $dumpfile("window.vcd");
            $dumpvars(0, dut);
        end
        if (cycle == vcd_to) $finish;
    end
endmodule
