"""Pipeline latencies of the datapath and the distances between tiles that follow from them.

Cycle 0 of every figure is the cycle in which the controller issues a tile's last column. The figures are
properties of the generated hardware; the controller's wait counters and the cycle formula use them, and a
test compares them with simulation (measured cycles equal the formula's).

    issue -> bank address registered -> bank reads -> weight registered -> product -> accumulator
          -> drained into the shadow registers (DRAIN_LATENCY)
    shadow head -> shifted -> rounded, saturated (REQUANTIZE_LATENCY) -> activation (ACTIVATION_LATENCY)
          -> operands, partial products, sum, narrowed (PRODUCT_LATENCY) -> state register
"""

from rtl.layout import UNIT_KINDS, Layout, Phase

DRAIN_LATENCY = 6  # last column issued -> its accumulators at the head of the shadow chain
REQUANTIZE_LATENCY = 2  # shadow head -> pre-activation at the activation unit's input register
ACTIVATION_LATENCY = 4  # input register -> activated value registered
PRODUCT_LATENCY = 4  # activated value -> narrowed result registered
WRITE_LATENCY = 1  # narrowed result -> readable in a state register
OPERAND_READ = 1  # column issued -> its element read from a state register

UNIT_ROUND = 5  # cycles a four-lane unit takes in the update: four gates and one fed-back activation
FEEDBACK_ROUNDS = 2  # rounds between a unit's gates and its fed-back activation

ACTIVATED = REQUANTIZE_LATENCY + ACTIVATION_LATENCY  # a lane's slot -> its activated value
NARROWED = ACTIVATED + PRODUCT_LATENCY  # a lane's slot -> its narrowed result
_UPDATE_LATENCY = NARROWED + WRITE_LATENCY


def update_interval(phase: Phase) -> int:
    """Cycles that the update is taken by a full tile: the least distance to the next tile's last column."""
    if phase.kind in UNIT_KINDS:
        return UNIT_ROUND * (phase.units_per_tile + FEEDBACK_ROUNDS)
    return phase.units_per_tile


def unit_ready(phase: Phase, unit: int) -> int:
    """Cycle in which unit number `unit` of a tile can first be read from its state register."""
    if phase.kind in UNIT_KINDS:
        feedback_slot = UNIT_ROUND * (unit + FEEDBACK_ROUNDS) + UNIT_ROUND - 1
        return DRAIN_LATENCY + feedback_slot + _UPDATE_LATENCY
    return DRAIN_LATENCY + unit + _UPDATE_LATENCY


def consumer_distance(phase: Phase) -> int:
    """Least distance from a phase's last issued column to the first column of a segment that reads its result.

    A segment reads one element a cycle from element 0 on. Tiles before the last are at least
    `update_interval` (and their own length) apart, so their units are checked the same way.
    """
    interval = max(update_interval(phase), phase.tile_words)
    worst = 0
    for tile in range(phase.n_tiles):
        tile_end = -(phase.n_tiles - 1 - tile) * interval
        first = tile * phase.units_per_tile
        for unit in range(phase.units_in_tile(tile)):
            worst = max(worst, tile_end + unit_ready(phase, unit) - OPERAND_READ - (first + unit))
    return worst


def drain_cycles(phase: Phase) -> int:
    """Cycles from a phase's last issued column until everything it writes can be read."""
    return unit_ready(phase, phase.units_per_tile - 1)


def result_waits(layout: Layout) -> dict[tuple[str, int], tuple[int, int]]:
    """For each vector that later columns read, ("h"|"rh", cell): (producing phase, consumer distance)."""
    return {
        (phase.writes, phase.cell): (index, consumer_distance(phase))
        for index, phase in enumerate(layout.phases)
        if phase.writes in ("h", "rh")
    }
