"""How short the clock's phases may be: bisection over whole cycles of the reduced circuit.

High must last until a read has turned its latch and until a write has turned its cell; low until the bit lines are
charged again, so that the next read of the other value in the same column is right: each for both values, since latch
and bit lines are not the same for both. A read counts as right when it
comes with the delay of a slow clock and at most a tenth more. The four are searched at the same time, each in cycles
of its own with the other phase long; then all cycles run with both phases short, and both are made longer in small
steps until everything is right.
"""

from dataclasses import dataclass, replace

from flow.characterise.constraints import DEGRADATION
from flow.characterise.corner import RAMP_OVER_SLEW, Corner
from flow.characterise.ngspice import Simulator
from flow.sram.deck import Cycle, Experiment, build_job, node
from flow.sram.extracted import ExtractedMacro
from flow.sram.measure import measure_cycles
from flow.sram.plans import LAST_COLUMN, LOADS_PF, timing_plan
from flow.sram.reduce import N_COLUMNS, reduce_macro
from flow.sram.spec import SramSpec
from flow.sram.timing import PF, SETTLED, phase_s
from golden.spec import SpecError

SLEW_NS = 0.06
RESOLUTION_PART = 1 / 6
"""Of the delay of a read: how exactly limits are searched. What is given is the shortest width that was seen to do."""

LEAST_PART = 1 / 3
"""Of the delay of a read: no shorter width is tried, though one might do."""

STEP_PART, MOST_STEPS = 1 / 12, 12
"""By what part of the delay of a read phases are made longer when both are short, and how often."""

BOTTOM, TOP = LAST_COLUMN
WIDTHS = ("read_high", "read_low", "write_high", "write_low")

# (address, write, value, the width that is searched here); before, BOTTOM holds 1 and TOP holds 0. The second half is
# the first with the other value and the other address.
SEQUENCE = ((TOP, False, 0, None), (BOTTOM, False, 1, "read_high"), (TOP, False, 0, None),
            (BOTTOM, False, 1, "read_low"), (TOP, False, 0, None), (TOP, True, 1, "write_high"), (TOP, False, 1, None),
            (TOP, True, 0, "write_low"), (BOTTOM, False, 1, None), (TOP, False, 0, "read_high"),
            (BOTTOM, False, 1, None), (TOP, False, 0, "read_low"), (BOTTOM, False, 1, None),
            (BOTTOM, True, 0, "write_high"), (BOTTOM, False, 0, None), (BOTTOM, True, 1, "write_low"),
            (TOP, False, 0, None))
SHOWS = {"read_high": (1, 9), "read_low": (4, 12), "write_high": (5, 6, 13, 14), "write_low": (8, 16)}
"""The cycles that must be right for a width to do."""

CELLS = (TOP, BOTTOM)
"""Whose cells are looked at after a write."""


@dataclass(frozen=True)
class Pulses:
    """The shortest phases (ns) that still do, for each of WIDTHS."""

    widths_ns: dict[str, float]


def find_pulses(macro: ExtractedMacro, spec: SramSpec, corner: Corner, simulator: Simulator) -> Pulses:
    """All four widths; SpecError when the macro fails even with long phases."""
    plan = timing_plan(spec, replace(corner, worst="max"), LAST_COLUMN, n_single=1)
    circuit, group = reduce_macro(macro, plan), len(plan.groups) - 1
    cells = tuple(circuit.cells[address // N_COLUMNS, address % N_COLUMNS, group] for address in CELLS)
    n, long_s = len(plan.groups), phase_s(corner)

    def run(widths: dict[str, float], what: str, others: tuple[float, float] = (long_s, long_s)) -> list[dict]:
        cycles = []
        for address, write, value, search in SEQUENCE:
            high = widths[search] if search and search.endswith("high") else others[0]
            low = widths[search] if search and search.endswith("low") else others[1]
            cycles.append(Cycle(address, (int(write),) * len(plan.byte_groups), (value,) * n, high, low))
        experiment = Experiment(plan, tuple(cycles), {BOTTOM: (1,) * n, TOP: (0,) * n}, (LOADS_PF[1] / PF,) * n,
                                SLEW_NS)
        job = build_job(f"{spec.name} {what}", circuit, corner, experiment, measure_cycles,
                        {"ramp_s": SLEW_NS * 1e-9 * RAMP_OVER_SLEW, "nets": [node(cell) for cell in cells]}, cells)
        [result] = simulator.run([job])
        return result

    reference = run(dict.fromkeys(WIDTHS, long_s), "pulses, long")
    failed = [name for name in WIDTHS if not works(name, reference, reference, group)]
    if failed:
        raise SpecError(f"{spec.name} must work at {corner.name} with clock phases of {long_s * 1e9:.0f} ns, and "
                        f"fails: {', '.join(failed)}")
    access = reference[1]["delay"][group]
    good, bad = dict.fromkeys(WIDTHS, long_s), dict.fromkeys(WIDTHS, access * LEAST_PART)
    tried, n_rounds = dict.fromkeys(WIDTHS, access), 0
    while max(good[name] - bad[name] for name in WIDTHS) > access * RESOLUTION_PART * 1.001:
        n_rounds += 1
        result = run(tried, f"pulses, round {n_rounds}")
        for name in WIDTHS:
            side = good if works(name, result, reference, group) else bad
            side[name] = tried[name]
        tried = {name: (good[name] + bad[name]) / 2 for name in WIDTHS}
    for _ in range(MOST_STEPS):
        high, low = (max(value for name, value in good.items() if name.endswith(end)) for end in ("high", "low"))
        both = {name: high if name.endswith("high") else low for name in WIDTHS}
        result = run(both, "pulses, both short", (high, low))
        wrong = [k for k, (_, _, value, _) in enumerate(SEQUENCE) if abs(result[k]["q"][group] - value) > SETTLED]
        if not wrong:
            return Pulses({name: good[name] * 1e9 for name in WIDTHS})
        good = {name: value + access * STEP_PART for name, value in good.items()}
    raise SpecError(f"{spec.name} must work at {corner.name} with both clock phases short, and does not with "
                    f"{high * 1e9:.2f} and {low * 1e9:.2f} ns")


def works(width: str, result: list[dict], reference: list[dict], group: int) -> bool:
    """Whether the cycles that show a width are right: q, the written cell, and the delay of a read that turns q."""
    for number in SHOWS[width]:
        address, write, value, _ = SEQUENCE[number]
        cycle = result[number]
        level = cycle["nets"][CELLS.index(address)] if write else cycle["q"][group]
        if abs(level - value) > SETTLED:
            return False
        usual = reference[number]["delay"][group]
        turned = reference[number]["rises"][group] == bool(value) and usual is not None
        if not write and turned and width != "write_high":
            delay = cycle["delay"][group]
            if delay is None or delay > (1 + DEGRADATION) * usual:
                return False
    return True



