// The state machine of bench.sv around a compiled PyRTL simulation: the same decisions in the same cycles, the same
// events. Change them together. Appended to the C code that PyRTL makes, after lines that define N_STREAMS, N_INPUTS,
// N_OUTPUTS and the position of every port (IN_..., OUT_...; -1 where a design has none).
#define S_MASK ((1ull << N_STREAMS) - 1)
#define X_MASK ((N_STREAMS * 8 < 64) ? (1ull << (N_STREAMS * 8 % 64)) - 1 : ~0ull)
#define READ(slot) ((slot) < 0 ? 0 : out[(slot) < 0 ? 0 : (slot)])

enum { OP_WRITE, OP_READ, OP_STREAM, OP_BREAK, OP_RESET, OP_IDLE, OP_IRQ, OP_WAIT, OP_STALL, OP_END, OP_PATIENCE };
enum { EV_STEP, EV_H, EV_C, EV_Y, EV_ACCESS, EV_ERROR, EV_END };
enum { ERR_ACK_AND_ERR = 1, ERR_STRAY_ACK, ERR_NO_ACK, ERR_NO_PROGRESS, ERR_Y_CHANGED, ERR_IRQ, ERR_BEATS_ENDED,
       ERR_UNKNOWN, ERR_PROGRAM };
enum { H_FETCH, H_BUS, H_STREAM, H_BREAK, H_COUNT, H_POLL };
enum { ADDRESS_CTRL = 0x10, ADDRESS_STATUS = 0x14, ACK_LIMIT = 1000 };
enum { EVENT_FIELDS = 5, EVENTS_A_CYCLE = 8 };

static struct driver {
    // what the caller gave
    const uint64_t *program, *beats;
    uint64_t n_ops, n_beats, trace_from, trace_to;
    // wires into the block, as they are in this cycle
    uint64_t rst, wb_cyc, wb_stb, wb_we, wb_sel, wb_adr, wb_dat;
    uint64_t x_valid, x_data, x_first, x_last, x_keep, y_ready;
    // host
    int state;
    uint64_t pc, op, arg_a, arg_b, count, bus_wait, cycle, last_progress, patience;
    uint64_t y_wanted, y_taken, x_allowed, x_sent, x_taken;
    int ctrl_written, y_waiting, finished;
    uint64_t y_data_before, y_keep_before, y_last_before;
    uint32_t x_noise, y_noise, host_noise;
    uint64_t x_stall, y_stall, x_hold, y_hold;
    // events
    uint64_t *events, n_events;
} d;

static uint32_t xorshift(uint32_t value) {
    value ^= value << 13;
    value ^= value >> 17;
    return value ^ (value << 5);
}

// Fields of `width` bits a stream, zero for the streams that are not in `mask`: those may be unknown.
static uint64_t masked(uint64_t value, uint64_t mask, int width) {
    for (int s = 0; s < N_STREAMS; s++)
        if (!(mask >> s & 1)) value &= ~(((1ull << width) - 1) << (width * s));
    return value;
}

static void emit(uint64_t kind, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t *event = d.events + EVENT_FIELDS * d.n_events++;
    event[0] = kind, event[1] = d.cycle, event[2] = a, event[3] = b, event[4] = c;
}

static void finish(void) {
    if (!d.finished) emit(EV_END, d.x_taken, 0, 0);
    d.finished = 1;
}

static void fail(uint64_t code, uint64_t a, uint64_t b) {
    if (d.finished) return;
    emit(EV_ERROR, code, a, b);
    finish();
}

static void start_access(int write, uint64_t address, uint64_t data) {
    d.wb_cyc = d.wb_stb = 1;
    d.wb_we = write;
    d.wb_sel = ~(address >> 24) & 0xf;
    d.wb_adr = address & 0xfffff;
    d.wb_dat = data;
    d.bus_wait = 0;
}

static void end_access(void) { d.wb_cyc = d.wb_stb = d.wb_we = 0; }

static void fetch(uint64_t irq) {
    if (d.pc >= d.n_ops) {
        d.op = OP_END;
        fail(ERR_PROGRAM, 0, 0);
        return;
    }
    const uint64_t *op = d.program + 3 * d.pc++;
    d.op = op[0], d.arg_a = op[1], d.arg_b = op[2];
    d.state = H_FETCH;
    switch (d.op) {
    case OP_WRITE: start_access(1, d.arg_a, d.arg_b); d.state = H_BUS; break;
    case OP_READ: start_access(0, d.arg_a, 0); d.state = H_BUS; break;
    case OP_STREAM: d.x_allowed += d.arg_a; d.y_wanted = d.arg_b; d.state = H_STREAM; break;
    case OP_BREAK: d.x_allowed += d.arg_a; d.count = d.arg_b; d.state = H_BREAK; break;
    case OP_RESET: d.rst = 1; d.y_waiting = 0; d.count = d.arg_a; d.state = H_COUNT; break;
    case OP_IDLE: start_access(0, ADDRESS_STATUS, 0); d.state = H_POLL; break;
    case OP_IRQ: if (irq != (d.arg_a & 1)) fail(ERR_IRQ, irq, d.arg_a); break;
    case OP_WAIT: d.count = d.arg_a; d.state = H_COUNT; break;
    case OP_STALL:
        d.x_stall = d.arg_a & 0x1ff;
        d.y_stall = d.arg_a >> 16 & 0x1ff;
        d.x_noise = (uint32_t)d.arg_b | 1;
        d.y_noise = xorshift((uint32_t)d.arg_b | 1) ^ 0x5bd1e995;
        d.host_noise = xorshift(d.y_noise);
        break;
    case OP_END: finish(); break;
    case OP_PATIENCE: d.patience = d.arg_a; break;
    default: fail(ERR_PROGRAM, d.op, 0);
    }
}

static void host(const uint64_t *out) {
    const uint64_t ack = READ(OUT_wb_ack_o), err = READ(OUT_wb_err_o), irq = READ(OUT_irq);
    switch (d.state) {
    case H_FETCH: fetch(irq); break;
    case H_BUS:
        if (!ack && !err) break;
        if (d.op == OP_READ) emit(EV_ACCESS, d.wb_adr, READ(OUT_wb_dat_o), err);
        else if (err) emit(EV_ACCESS, d.wb_adr, 0, 2);
        if (d.op == OP_WRITE && d.arg_a == ADDRESS_CTRL) d.y_taken = 0;
        d.last_progress = d.cycle;
        end_access();
        if (d.host_noise & 1) fetch(irq);
        else {
            d.state = H_FETCH;
            d.wb_cyc = (d.host_noise >> 1 & 3) == 1;
            d.wb_stb = (d.host_noise >> 1 & 3) == 2;
        }
        break;
    case H_POLL:
        if (!ack && !err) break;
        end_access();
        if (!(READ(OUT_wb_dat_o) & 1) || err) d.last_progress = d.cycle, d.state = H_FETCH;
        else start_access(0, ADDRESS_STATUS, 0);
        break;
    case H_STREAM:
        if (d.x_taken == d.x_allowed && d.y_taken == d.y_wanted) {
            d.y_taken = 0;
            fetch(irq);
        }
        break;
    case H_BREAK: if (d.x_taken == d.x_allowed) d.state = H_COUNT; break;
    case H_COUNT:
        if (d.count == 0) {
            if (d.rst) d.y_taken = 0;
            d.rst = 0;
            fetch(irq);
        } else d.count--, d.last_progress = d.cycle;
        break;
    }
}

static void check_bus(const uint64_t *out) {
    const uint64_t ack = READ(OUT_wb_ack_o), err = READ(OUT_wb_err_o), strobe = d.wb_cyc && d.wb_stb;
    if (ack && err) fail(ERR_ACK_AND_ERR, d.wb_adr, d.wb_we);
    if ((ack || err) && !strobe) fail(ERR_STRAY_ACK, d.wb_adr, d.wb_we);
    if (strobe && !ack && !err && ++d.bus_wait > ACK_LIMIT) fail(ERR_NO_ACK, d.wb_adr, d.wb_we);
}

static void sink_y(const uint64_t *out) {
    const uint64_t valid = READ(OUT_y_valid), data = READ(OUT_y_data), keep = READ(OUT_y_keep),
                   last = READ(OUT_y_last);
    if (d.y_waiting && !d.ctrl_written
        && !(valid && data == d.y_data_before && keep == d.y_keep_before && last == d.y_last_before))
        fail(ERR_Y_CHANGED, d.y_taken, valid);
    if (valid && d.y_ready) {
        emit(EV_Y, masked(data, keep, 16), keep, last);
        d.y_taken++;
        d.last_progress = d.cycle;
    }
    d.y_waiting = valid && !d.y_ready;
    d.y_data_before = data, d.y_keep_before = keep, d.y_last_before = last;
    if (d.y_hold) d.y_hold--, d.y_ready = 0;
    else if (d.y_stall && (d.y_noise & 0xff) < d.y_stall) {
        if ((d.y_noise >> 8 & 0x3f) == 0) d.y_hold = d.y_noise >> 14 & 0x3ff;
        d.y_ready = 0;
    } else d.y_ready = 1;
}

static void source_x(const uint64_t *out) {
    const int take = d.x_valid && READ(OUT_x_ready);
    if (take) d.x_taken++, d.last_progress = d.cycle;
    if (d.x_valid && !take) return;
    int offer = d.x_sent < d.x_allowed;
    if (offer && d.x_hold) d.x_hold--, offer = 0;
    else if (offer && d.x_stall && (d.x_noise & 0xff) < d.x_stall) {
        if ((d.x_noise >> 8 & 0x3f) == 0) d.x_hold = d.x_noise >> 14 & 0x3ff;
        offer = 0;
    }
    if (offer && d.x_sent >= d.n_beats) {
        fail(ERR_BEATS_ENDED, d.x_sent, d.x_allowed);
        return;
    }
    d.x_valid = offer;
    if (offer) {
        const uint64_t *beat = d.beats + 4 * d.x_sent++;
        d.x_data = beat[0], d.x_first = beat[1], d.x_last = beat[2], d.x_keep = beat[3];
    } else {
        // Idle inputs are unknown in the contract: noise here, X in a four-state simulator.
        const uint64_t noise = (uint64_t)d.host_noise << 32 | d.y_noise;
        d.x_data = noise & X_MASK;
        d.x_first = noise >> 7 & S_MASK, d.x_last = noise >> 11 & S_MASK, d.x_keep = noise >> 17 & S_MASK;
    }
}

static void clock_edge(const uint64_t *out) {
    if (!d.rst) {
        const uint64_t h_we = READ(OUT_probe_h_we), c_we = READ(OUT_probe_c_we);
        if (READ(OUT_probe_step)) emit(EV_STEP, 0, 0, 0);
        if (h_we) emit(EV_H, h_we, READ(OUT_probe_h_index), masked(READ(OUT_probe_h_value), h_we, 8));
        if (c_we) emit(EV_C, c_we, READ(OUT_probe_c_index), masked(READ(OUT_probe_c_value), c_we, 16));
        if (READ(OUT_probe_step) || h_we) d.last_progress = d.cycle;
        check_bus(out);
        const int control = d.wb_stb && d.wb_we && d.wb_adr == ADDRESS_CTRL;
        sink_y(out);
        source_x(out);
        d.ctrl_written = control;
    } else d.ctrl_written = 0;
    host(out);
    if (d.cycle - d.last_progress > d.patience) fail(ERR_NO_PROGRESS, d.x_taken, d.y_taken);
    d.x_noise = xorshift(d.x_noise);
    d.y_noise = xorshift(d.y_noise);
    d.host_noise = xorshift(d.host_noise);
    d.cycle++;
}

EXPORT
void driver_start(const uint64_t *program, uint64_t n_ops, const uint64_t *beats, uint64_t n_beats,
                  uint64_t trace_from, uint64_t trace_to) {
    memset(&d, 0, sizeof d);
    d.program = program, d.n_ops = n_ops, d.beats = beats, d.n_beats = n_beats;
    d.trace_from = trace_from, d.trace_to = trace_to;
    d.rst = 1;
    d.patience = 100000;
    d.x_noise = d.y_noise = d.host_noise = 1;
}

// Runs until `max_cycles` more cycles are over, the event buffer is nearly full, the traced window is over or the
// program has ended. Gives the number of events; `cycle` and `x_taken` get the progress, `finished` the end.
EXPORT
uint64_t driver_run(uint64_t max_cycles, uint64_t *events, uint64_t capacity, uint64_t *trace, uint64_t *progress) {
    uint64_t in[N_INPUTS], out[N_OUTPUTS];
    const uint64_t end = d.cycle + max_cycles;
    d.events = events;
    d.n_events = 0;
    memset(in, 0, sizeof in);
    while (!d.finished && d.cycle < end && d.n_events + EVENTS_A_CYCLE < capacity) {
        in[IN_rst] = d.rst;
        in[IN_wb_cyc_i] = d.wb_cyc, in[IN_wb_stb_i] = d.wb_stb, in[IN_wb_we_i] = d.wb_we;
        in[IN_wb_sel_i] = d.wb_sel, in[IN_wb_adr_i] = d.wb_adr, in[IN_wb_dat_i] = d.wb_dat;
        in[IN_x_valid] = d.x_valid, in[IN_x_data] = d.x_data;
        in[IN_x_first] = d.x_first, in[IN_x_last] = d.x_last, in[IN_x_keep] = d.x_keep;
        in[IN_y_ready] = d.y_ready;
        sim_run_step(in, out);
        if (trace && d.cycle >= d.trace_from && d.cycle < d.trace_to) {
            uint64_t *row = trace + (N_INPUTS + N_OUTPUTS) * (d.cycle - d.trace_from);
            memcpy(row, in, sizeof in);
            memcpy(row + N_INPUTS, out, sizeof out);
        }
        clock_edge(out);
    }
    progress[0] = d.cycle, progress[1] = d.x_taken, progress[2] = d.finished;
    return d.n_events;
}
