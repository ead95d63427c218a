"""What a cell computes: from the kit's functional Verilog, and again from its transistors as switches.

The two are independent; `check_function` compares them for every input, and only what both say goes on.
"""

import re
from dataclasses import dataclass
from itertools import product

from flow.characterise.extract import ExtractedCell
from flow.characterise.kit import cell_file
from golden.spec import SpecError

SUPPLIES = {"VPWR": 1, "VGND": 0, "VPB": 1, "VNB": 0}
MOST_SWEEPS = 80
INSTANCE = re.compile(r"^\s*([\w$]+)\s+(?:`UNIT_DELAY\s+)?(\w+)\s*\(([^)]*)\)\s*;", re.MULTILINE)
SEQUENTIAL = {
    "udp_dff$P": ("d", "clock"), "udp_dff$PR": ("d", "clock", "clear"), "udp_dff$PS": ("d", "clock", "preset"),
    "udp_dlatch$P": ("d", "gate"), "udp_dlatch$PR": ("d", "gate", "clear"),
}
"""The kit's storage primitives: the role of each input after the output."""

Expression = tuple
"""("pin", name) | ("not", e) | ("and" | "or" | "xor", e, ...) | ("const", 0 or 1)"""


@dataclass(frozen=True)
class Storage:
    """The one storage element of a sequential cell, its inputs as expressions of pins."""

    kind: str                       # "flipflop" or "latch"
    roles: dict[str, Expression]    # d, clock or gate, clear, preset


@dataclass(frozen=True)
class CellFunction:
    """Pins in the order of the Verilog and each output as an expression of pins (and "IQ", what is stored)."""

    inputs: tuple[str, ...]
    outputs: dict[str, Expression]
    storage: Storage | None


def load_function(cell: str) -> CellFunction:
    """Reads a cell's functional Verilog; SpecError on a primitive that is not known here."""
    text = re.sub(r"//.*", "", cell_file(cell, "functional.v").read_text())
    body = text[text.index("module "):text.index("endmodule")]
    body = body[body.index(";") + 1:]
    pins = {kind: tuple(name for names in re.findall(rf"^\s*{kind}\s+([^;]*);", body, re.MULTILINE)
                        for name in re.split(r"[\s,]+", names.strip())) for kind in ("input", "output")}
    drivers = {}
    for primitive, _, arguments in INSTANCE.findall(body):
        output, *inputs = (argument.strip() for argument in arguments.split(","))
        drivers[output] = (primitive.removeprefix("sky130_fd_sc_hd__"), inputs)
    found: list[Storage] = []

    def expression(net: str) -> Expression:
        if net not in drivers:
            if net not in pins["input"]:
                raise SpecError(f"nothing drives {net} in the Verilog of {cell}")
            return ("pin", net)
        primitive, inputs = drivers[net]
        if primitive in SEQUENTIAL:
            roles = dict(zip(SEQUENTIAL[primitive], map(expression, inputs), strict=True))
            found.append(Storage("flipflop" if "clock" in roles else "latch", roles))
            return ("pin", "IQ")
        return gate_expression(primitive, [expression(name) for name in inputs], cell)

    outputs = {name: expression(name) for name in pins["output"]}
    if any(storage != found[0] for storage in found):
        raise SpecError(f"{cell} must have at most one storage element")
    return CellFunction(pins["input"], outputs, found[0] if found else None)


def gate_expression(primitive: str, inputs: list[Expression], cell: str) -> Expression:
    """The expression of a Verilog gate or a multiplexer of the kit."""
    inverted = {"nand": "and", "nor": "or", "xnor": "xor"}
    if primitive == "buf":
        return inputs[0]
    if primitive == "not":
        return negated(inputs[0])
    if primitive in ("and", "or", "xor"):
        return (primitive, *inputs)
    if primitive in inverted:
        return negated((inverted[primitive], *inputs))
    if primitive in ("pullup", "pulldown"):
        return ("const", int(primitive == "pullup"))
    if primitive in ("udp_mux_2to1", "udp_mux_2to1_N"):
        zero, one, select = inputs
        chosen = ("or", ("and", zero, negated(select)), ("and", one, select))
        return negated(chosen) if primitive.endswith("_N") else chosen
    if primitive == "udp_mux_4to2":
        *data, low, high = inputs
        terms = [("and", value, high if k & 2 else negated(high), low if k & 1 else negated(low))
                 for k, value in enumerate(data)]
        return ("or", *terms)
    raise SpecError(f"the Verilog of {cell} has a primitive {primitive}, which is not known here")


def negated(expression: Expression) -> Expression:
    return expression[1] if expression[0] == "not" else ("not", expression)


def evaluate(expression: Expression, values: dict[str, int]) -> int:
    """0 or 1 for values of all pins.

    >>> evaluate(("not", ("and", ("pin", "A"), ("pin", "B"))), {"A": 1, "B": 0})
    1
    """
    kind, *rest = expression
    if kind == "pin":
        return values[rest[0]]
    if kind == "const":
        return rest[0]
    parts = [evaluate(part, values) for part in rest]
    return {"not": 1 - parts[0], "and": min(parts), "or": max(parts), "xor": sum(parts) % 2}[kind]


def liberty_text(expression: Expression) -> str:
    """The expression as Liberty writes it.

    >>> liberty_text(("not", ("or", ("and", ("pin", "A1"), ("pin", "A2")), ("pin", "B1"))))
    '!((A1&A2)|B1)'
    """
    kind, *rest = expression
    if kind == "pin":
        return rest[0]
    if kind == "const":
        return str(rest[0])
    if kind == "not":
        return f"!{liberty_text(rest[0])}"
    return "(" + {"and": "&", "or": "|", "xor": "^"}[kind].join(map(liberty_text, rest)) + ")"


def states(pins: tuple[str, ...]) -> list[dict[str, int]]:
    """All values of some pins, counting up with the last pin fastest."""
    return [dict(zip(pins, bits, strict=True)) for bits in product((0, 1), repeat=len(pins))]


def settle(cell: ExtractedCell, pins: dict[str, int], before: dict[str, int] | None = None) -> dict[str, int]:
    """The level of every net with transistors as switches; nets that nothing drives keep what they were `before`.

    A net that is connected to both supplies, or was never driven, is not in the result.
    """
    fixed = {**SUPPLIES, **pins}
    level = {**(before or {}), **fixed}
    for _ in range(MOST_SWEEPS):
        seen = {value: reachable(cell, level, fixed, value) for value in (0, 1)}
        new = {net: value for net, value in level.items()
               if net in fixed or not (net in seen[0] and net in seen[1])}
        for value in (0, 1):
            new.update(dict.fromkeys(seen[value] - seen[1 - value], value))
        if new == level:
            return level
        level = new
    raise SpecError(f"{cell.name} does not settle for {pins}")


def reachable(cell: ExtractedCell, level: dict[str, int], fixed: dict[str, int], value: int) -> set[str]:
    """The nets that conducting transistors join to a supply or pin of a value."""
    front = [net for net, fixed_value in fixed.items() if fixed_value == value]
    seen: set[str] = set()
    on = [(d.nets[0], d.nets[2]) for d in cell.devices if level.get(d.nets[1]) == (1 if d.device[0] == "n" else 0)]
    while front:
        net = front.pop()
        for a, b in on:
            for here, there in ((a, b), (b, a)):
                if here == net and there not in seen and there not in fixed:
                    seen.add(there)
                    front.append(there)
    return seen


def check_function(cell: ExtractedCell, function: CellFunction) -> None:
    """Raises SpecError where the transistors of a combinational cell do not do what its Verilog says."""
    for values in states(function.inputs):
        levels = settle(cell, values)
        for name, expression in function.outputs.items():
            said = evaluate(expression, values)
            if levels.get(name) != said:
                raise SpecError(f"{cell.name} must have {name}={said} for {values} by its Verilog, and its transistors "
                                f"give {levels.get(name)}")
