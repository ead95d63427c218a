// A netlist of gates, flip-flops and memories without delays, simulated by events; driver.c of flow/simulate is appended
// and drives it. Python (kernel.py) gives the tables.
//
// A cycle: inputs and what flip-flops took before go through the gates, level by level, each gate at most once; the
// host looks at the outputs; then all flip-flops and memories take what is at their inputs at the same instant, those
// behind clock gates when every gate on their way is open. There is no order among them, so no clock branch can be
// late: hold times are met by construction, and shown by timing analysis.
#include <stdint.h>
#include <string.h>
#define EXPORT

struct memory {
    int32_t domain, address_bits, word_bits, n_bytes;
    const int32_t *address, *data, *enable, *output;    // nets, lowest bit first
    uint64_t *words;
};

struct gate {
    uint64_t table;                                     // bit k: the output when the inputs make the number k
    int32_t output, level;
    uint32_t number, queued;                            // what the inputs make now; whether it waits to be looked at
};

struct tables {
    int32_t n_nets, n_gates, n_levels, n_flops, n_domains, n_memories, n_inputs, n_outputs;
    struct gate *gates;
    const int32_t *level_start;                         // where the queue of a level is
    const int32_t *fanout_start;                        // of net n: fanout_start[n] .. fanout_start[n + 1]
    const uint32_t *fanout;                             // a gate times 64, and what the net adds to its number
    const int32_t *flop_data, *flop_output, *flop_domain;
    const int32_t *domain_start, *domain_enable;        // nets that must all be 1 for the domain to be clocked
    const int32_t *input_net, *input_slot, *input_bit;
    const int32_t *output_net, *output_slot, *output_bit;
    const struct memory *memories;
    uint8_t *value;                                     // of every net
    uint64_t seed;
    int32_t poison;                                     // 1: what the memories' contract leaves open is garbage
    uint64_t *history;                                  // toggles of nets, then clockings of domains; may be null
    uint64_t history_from, history_to;                  // cycles
    uint8_t *history_start;                             // gets the values of all nets before the first of them
};

enum { MOST_GATES = 1 << 20, MOST_FLOPS = 1 << 18, MOST_DOMAINS = 1 << 12, MOST_MEMORIES = 64 };

static struct tables t;
static uint8_t clocked[MOST_DOMAINS];
static int32_t queue[MOST_GATES], queue_length[MOST_GATES], changed[MOST_FLOPS];
static uint64_t noise_state, cycle_now, word_now[MOST_MEMORIES];
static uint64_t *history, history_bit;                  // where the toggles of this cycle go; null: nowhere

static uint64_t noise(void) {                           // xorshift64
    noise_state ^= noise_state << 13;
    noise_state ^= noise_state >> 7;
    return noise_state ^= noise_state << 17;
}

static void look_at_history(void) {
    history = 0;
    if (!t.history || cycle_now < t.history_from || cycle_now >= t.history_to) return;
    const uint64_t cycle = cycle_now - t.history_from;
    if (cycle == 0) memcpy(t.history_start, t.value, t.n_nets);
    history = t.history + cycle / 64 * (uint64_t)(t.n_nets + t.n_domains);
    history_bit = 1ull << cycle % 64;
}

static void enqueue(int32_t gate) {
    struct gate *g = t.gates + gate;
    if (g->queued) return;
    g->queued = 1;
    queue[t.level_start[g->level] + queue_length[g->level]++] = gate;
}

static void set_net(int32_t net, uint8_t value) {
    if (t.value[net] == value) return;
    t.value[net] = value;
    if (history) history[net] |= history_bit;
    for (int32_t k = t.fanout_start[net]; k < t.fanout_start[net + 1]; k++) {
        t.gates[t.fanout[k] >> 6].number ^= t.fanout[k] & 63;
        enqueue(t.fanout[k] >> 6);
    }
}

static void settle(void) {
    for (int32_t level = 0; level < t.n_levels; level++) {
        const int32_t *gates = queue + t.level_start[level];
        for (int32_t k = 0; k < queue_length[level]; k++) {
            struct gate *g = t.gates + gates[k];
            g->queued = 0;
            set_net(g->output, g->table >> g->number & 1);
        }
        queue_length[level] = 0;
    }
}

static uint64_t gather(const int32_t *nets, int n) {
    uint64_t word = 0;
    for (int k = 0; k < n; k++) word |= (uint64_t)t.value[nets[k]] << k;
    return word;
}

// One edge of a memory: what its output becomes. Without poison it is what the macro does (docs/pdk.md): it shows what
// is written, and keeps it while it is not clocked.
static uint64_t access_memory(const struct memory *m, uint64_t output) {
    if (!clocked[m->domain]) return t.poison ? noise() : output;
    const uint64_t enable = gather(m->enable, m->n_bytes), data = gather(m->data, m->word_bits);
    uint64_t *word = m->words + gather(m->address, m->address_bits);
    for (int byte = 0; byte < m->n_bytes; byte++)
        if (enable >> byte & 1) *word = (*word & ~(0xffull << 8 * byte)) | (data & 0xffull << 8 * byte);
    return enable && t.poison ? noise() : *word;
}

static void take_edge(void) {
    for (int32_t domain = 0; domain < t.n_domains; domain++) {
        clocked[domain] = 1;
        for (int32_t k = t.domain_start[domain]; k < t.domain_start[domain + 1]; k++)
            clocked[domain] &= t.value[t.domain_enable[k]];
        if (history && clocked[domain]) history[t.n_nets + domain] |= history_bit;
    }
    int32_t n_changed = 0;
    for (int32_t flop = 0; flop < t.n_flops; flop++)
        if (t.value[t.flop_data[flop]] != t.value[t.flop_output[flop]] && clocked[t.flop_domain[flop]])
            changed[n_changed++] = t.flop_output[flop];
    for (int32_t k = 0; k < t.n_memories; k++) {
        const struct memory *m = t.memories + k;
        word_now[k] = access_memory(m, gather(m->output, m->word_bits));
    }
    cycle_now++;                                        // what changes now is of the next cycle
    look_at_history();
    for (int32_t k = 0; k < n_changed; k++) set_net(changed[k], !t.value[changed[k]]);
    for (int32_t k = 0; k < t.n_memories; k++)
        for (int bit = 0; bit < t.memories[k].word_bits; bit++)
            set_net(t.memories[k].output[bit], word_now[k] >> bit & 1);
}

static void sim_run_step(const uint64_t *in, uint64_t *out) {
    for (int32_t k = 0; k < t.n_inputs; k++) set_net(t.input_net[k], in[t.input_slot[k]] >> t.input_bit[k] & 1);
    settle();
    memset(out, 0, N_OUTPUTS * sizeof *out);
    for (int32_t k = 0; k < t.n_outputs; k++)
        out[t.output_slot[k]] |= (uint64_t)t.value[t.output_net[k]] << t.output_bit[k];
    take_edge();
}

// Power-up: noise in every flip-flop and memory. 1 where the tables are larger than what is reserved here.
EXPORT
int gates_start(const struct tables *tables) {
    t = *tables;
    if (t.n_gates > MOST_GATES || t.n_flops > MOST_FLOPS || t.n_domains > MOST_DOMAINS || t.n_memories > MOST_MEMORIES)
        return 1;
    noise_state = t.seed * 0x9e3779b97f4a7c15ull | 1;
    cycle_now = 0;
    history = 0;
    memset(queue_length, 0, sizeof queue_length);
    memset(t.value, 0, t.n_nets);
    for (int32_t gate = 0; gate < t.n_gates; gate++) enqueue(gate);
    for (int32_t flop = 0; flop < t.n_flops; flop++) set_net(t.flop_output[flop], noise() >> 33 & 1);
    for (int32_t k = 0; k < t.n_memories; k++) {
        for (int32_t bit = 0; bit < t.memories[k].word_bits; bit++)
            set_net(t.memories[k].output[bit], noise() >> 33 & 1);
        for (int64_t word = 0; word < 1ll << t.memories[k].address_bits; word++) t.memories[k].words[word] = noise();
    }
    settle();
    look_at_history();
    return 0;
}
