"""What cells do, as their Liberty says it: pins, functions of outputs, what is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flow.characterise.function import Expression
from flow.characterise.liberty_read import Group
from flow.gates.expression import parse_expression
from golden.spec import SpecError

CLOCK_GATE = "latch_posedge"


@dataclass(frozen=True)
class Storage:
    """What a cell stores.

    kind:     "flop" (takes `data` when `clock` rises), "latch" (follows `data` while `clock` is 1) or "gate" (a clock
              gate: its output is `clock` and what a latch that is open while `clock` is 0 holds of `data`).
    names:    of the stored bit and its inverse in the functions of outputs.
    clear, preset: while 1, the bit is 0 or 1; None: it has none.
    """

    kind: str
    clock: Expression
    data: Expression
    names: tuple[str, str] = ("IQ", "IQ_N")
    clear: Expression | None = None
    preset: Expression | None = None


@dataclass(frozen=True)
class CellFunction:
    """A cell's pins without supplies in the library's order, its outputs' functions, and what it stores.

    outputs: pin -> expression of inputs and of the names of the stored bit; None for the output of a clock gate.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: dict[str, Expression | None]
    storage: Storage | None = None


def cell_functions(library: Group, names: Iterable[str], where: str) -> dict[str, CellFunction]:
    """Cells of a library by name; SpecError for one that it does not have or that is not understood."""
    groups = {group.arguments[0]: group for group in library.all("cell")}
    missing = sorted(set(names) - set(groups))
    if missing:
        raise SpecError(f"every cell of the netlist must be in the library, and {', '.join(missing)} is not ({where})")
    return {name: cell_function(groups[name], where) for name in sorted(set(names))}


def cell_function(cell: Group, where: str) -> CellFunction:
    """What a cell group says that the cell does."""
    name = cell.arguments[0]
    place = f"{name} in {where}"
    inputs, outputs = [], {}
    for pin in cell.all("pin"):
        direction = pin.attributes.get("direction")
        if direction == "input":
            inputs.append(pin.arguments[0])
        elif direction == "output":
            text = pin.attributes.get("function")
            outputs[pin.arguments[0]] = parse_expression(text, place) if text else None
        else:
            raise SpecError(f"pins must be inputs or outputs, not {direction} ({pin.arguments[0]} of {place})")
    storage = _storage(cell, place)
    if (storage is None or storage.kind != "gate") and None in outputs.values():
        raise SpecError(f"every output must have a function, unless the cell is a clock gate ({place})")
    return CellFunction(name, tuple(inputs), outputs, storage)


def _storage(cell: Group, place: str) -> Storage | None:
    gate = cell.attributes.get("clock_gating_integrated_cell")
    if gate is not None:
        if gate != CLOCK_GATE:
            raise SpecError(f"clock gates must be {CLOCK_GATE} to be simulated, not {gate} ({place})")
        roles = {role: _pin_of(cell, f"clock_gate_{role}_pin", place) for role in ("clock", "enable")}
        return Storage("gate", ("pin", roles["clock"]), ("pin", roles["enable"]))
    found = [(kind, group) for kind in ("ff", "latch") for group in cell.all(kind)]
    if not found:
        return None
    if len(found) > 1 or cell.find("statetable") is not None:
        raise SpecError(f"a cell must store one bit, as ff or latch, to be simulated ({place})")
    kind, group = found[0]
    keys = ("clocked_on", "next_state") if kind == "ff" else ("enable", "data_in")

    def expression(key: str) -> Expression | None:
        text = group.attributes.get(key)
        return None if text is None else parse_expression(text, place)

    clock, data = map(expression, keys)
    if clock is None or data is None:
        raise SpecError(f"{kind} must have {' and '.join(keys)} ({place})")
    return Storage("flop" if kind == "ff" else "latch", clock, data, tuple(group.arguments[:2]),
                   expression("clear"), expression("preset"))


def _pin_of(cell: Group, attribute: str, place: str) -> str:
    for pin in cell.all("pin"):
        if pin.attributes.get(attribute) == "true":
            return pin.arguments[0]
    raise SpecError(f"a clock gate must have a pin with {attribute} ({place})")
