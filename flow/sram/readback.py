"""A macro written and read back in SPICE, at the shortest clock that its Liberty allows.

The first and the last row, the row beside the first, the first and the last column: patterns and their complements over
old data, byte by byte, the neighbours read after each. Every read is compared, and at the end every cell.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flow.characterise.corner import RAMP_OVER_SLEW, Corner
from flow.characterise.ngspice import Job, Simulator
from flow.sram.deck import Cycle, Experiment, build_job, node
from flow.sram.extracted import ExtractedMacro
from flow.sram.measure import measure_cycles
from flow.sram.plans import LOADS_PF, pattern_plan
from flow.sram.reduce import N_COLUMNS, Circuit, Plan, reduce_macro
from flow.sram.spec import SramSpec
from flow.sram.timing import PF
from golden.spec import SpecError

SLEW_NS = 0.06
RIGHT_PART = 0.2
"""Within this part of the supply of its rail a level is right: transitions end there, and the clock is at its limit."""

ALL, FIRST_BYTES, LAST_BYTE = "all", "all bytes but the last", "the last byte"


@dataclass(frozen=True)
class Step:
    """A cycle: read an address, or write a pattern (0, 1: groups alternate, starting with it) to some of its bytes."""

    row: int
    column: int
    pattern: int | None = None
    bytes: str = ALL

    @property
    def address(self) -> int:
        return self.row * N_COLUMNS + self.column


@dataclass(frozen=True)
class Outcome:
    """How many values were compared, and what was wrong, in words."""

    n_reads: int
    n_compared: int
    wrong: tuple[str, ...]


def steps_of(spec: SramSpec) -> tuple[Step, ...]:
    """The cycles, the same for every width but for byte enables where there is more than one byte."""
    near, beside, far, last = (0, 0), (1, 0), (127, 3), (0, 3)
    steps = [Step(*near, 0), Step(*beside, 1), Step(*near), Step(*beside), Step(*far, 1), Step(*far), Step(*near, 1),
             Step(*near), Step(*beside), Step(*last, 0), Step(*near), Step(*last), Step(*far, 0), Step(*last),
             Step(*far), Step(127, 0)]
    if spec.n_bytes > 1:
        steps += [Step(*near, 0, LAST_BYTE), Step(*near), Step(*far, 1, FIRST_BYTES), Step(*far), Step(*beside)]
    return tuple(steps)


def word(plan: Plan, pattern: int) -> tuple[int, ...]:
    """The value of every group of bits."""
    return tuple((k + pattern) % 2 for k in range(len(plan.groups)))


def written(plan: Plan, step: Step) -> tuple[int, ...]:
    """The write enable of every byte group in a step."""
    if step.pattern is None:
        return (0,) * len(plan.byte_groups)
    last = len(plan.byte_groups) - 1
    return tuple(int(step.bytes == ALL or (k == last) == (step.bytes == LAST_BYTE)) for k in range(last + 1))


def expected(plan: Plan, steps: tuple[Step, ...]) -> tuple[dict[int, tuple[int, ...]], list[tuple[int, ...] | None],
                                                           dict[int, tuple[int, ...]]]:
    """What every address holds before (0 and 1 in turn, other than what comes first), what reads give, what is left."""
    first = {address: word(plan, k) for k, address in enumerate(sorted(plan.addresses))}
    memory, reads = dict(first), []
    for step in steps:
        if step.pattern is None:
            reads.append(memory[step.address])
            continue
        enables, new, old = written(plan, step), word(plan, step.pattern), memory[step.address]
        byte_of = [plan.byte_group_of(group[0] // 8) for group in plan.groups]
        memory[step.address] = tuple(new[k] if enables[byte_of[k]] else old[k] for k in range(len(new)))
        reads.append(None)
    return first, reads, memory


def readback_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner, high_ns: float, low_ns: float,
                 steps: tuple[Step, ...], change: Callable[[Circuit], None] | None = None) -> Job:
    """The run at phases of the clock; `change` may break the circuit first, to see that it is found."""
    plan = pattern_plan(spec)
    circuit = reduce_macro(macro, plan)
    if change is not None:
        change(circuit)
    first, _, _ = expected(plan, steps)
    cycles, data = [], word(plan, 0)
    for step in steps:
        data = data if step.pattern is None else word(plan, step.pattern)
        cycles.append(Cycle(step.address, written(plan, step), data, high_ns * 1e-9, low_ns * 1e-9))
    cells = cells_of(circuit)
    experiment = Experiment(plan, tuple(cycles), first, (LOADS_PF[1] / PF,) * len(plan.groups), SLEW_NS)
    return build_job(f"{spec.name} readback", circuit, corner, experiment, measure_cycles,
                     {"ramp_s": SLEW_NS * 1e-9 * RAMP_OVER_SLEW, "nets": [node(cell) for cell in cells.values()]},
                     tuple(cells.values()))


def cells_of(circuit: Circuit) -> dict[tuple[int, int, int], str]:
    """The cells of accessed addresses, each once."""
    return {key: net for key, net in sorted(circuit.cells.items()) if not net.endswith("/idle/bit")}


def run_readback(macro: ExtractedMacro, spec: SramSpec, corner: Corner, high_ns: float, low_ns: float,
                 simulator: Simulator, steps: tuple[Step, ...] = (),
                 change: Callable[[Circuit], None] | None = None) -> Outcome:
    """Simulates and compares; without `steps`, those of steps_of."""
    plan, steps = pattern_plan(spec), steps or steps_of(spec)
    [cycles] = simulator.run([readback_job(macro, spec, corner, high_ns, low_ns, steps, change)])
    _, reads, memory = expected(plan, steps)
    wrong, n_compared = [], 0
    for number, (step, cycle, wanted) in enumerate(zip(steps, cycles, reads, strict=True)):
        for group, value in enumerate(wanted or ()):
            n_compared += 1
            if abs(cycle["q"][group] - value) > RIGHT_PART:
                wrong.append(f"cycle {number}: row {step.row}, column {step.column}, bits {plan.groups[group]} must "
                             f"read {value}, and q is {cycle['q'][group]:.2f} of the supply")
    circuit = reduce_macro(macro, plan)
    for ((row, column, group), _), level in zip(cells_of(circuit).items(), cycles[-1]["nets"], strict=True):
        value = memory.get(row * N_COLUMNS + column)
        if value is None:
            continue
        n_compared += 1
        if abs(level - value[group]) > RIGHT_PART:
            wrong.append(f"in the end the cell of row {row}, column {column}, bits {plan.groups[group]} must hold "
                         f"{value[group]}, and is at {level:.2f} of the supply")
    return Outcome(sum(read is not None for read in reads), n_compared, tuple(wrong))


def check_readback(outcome: Outcome, spec: SramSpec, corner: Corner, high_ns: float, low_ns: float) -> None:
    """SpecError with the first values that were wrong."""
    if outcome.wrong:
        lines = [f"{spec.name} at {corner.name} with clock phases of {high_ns:.2f} and {low_ns:.2f} ns must give back "
                 f"what was written, and {len(outcome.wrong)} of {outcome.n_compared} values are wrong:"]
        raise SpecError("\n".join([*lines, *(f"  {line}" for line in outcome.wrong[:8])]))
