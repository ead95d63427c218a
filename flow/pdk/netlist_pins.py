"""Pins of the modules and subcircuits in Verilog and CDL or SPICE files, for comparing views with each other."""

import re

_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_NESTED = r"\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)"
_MODULE = re.compile(rf"\bmodule\s+(\w+)\s*(?:#\s*{_NESTED}\s*)?{_NESTED}\s*;(.*?)\bendmodule\b", re.DOTALL)
_NAMES = r"((?:(?!(?:input|output|inout)\b)\w+\s*,?\s*)+)"
_DIRECTION = re.compile(rf"\b(input|output|inout)\b\s*(?:wire|reg)?\s*(?:\[([^\]]*)\])?\s*{_NAMES}")


def parse_verilog_pins(text: str) -> dict[str, dict[str, str]]:
    """Module -> pin -> direction; a bus [n:0] gives pins name[0] .. name[n].

    Reads ANSI headers and those with the directions in the body; a bus whose range is not two numbers keeps its
    range as text: `name[BITS-1:0]`.

    >>> parse_verilog_pins("module m (input a, output wire [1:0] q); endmodule")
    {'m': {'a': 'input', 'q[0]': 'output', 'q[1]': 'output'}}
    >>> parse_verilog_pins("module m (Y, A); output Y; input A; endmodule")
    {'m': {'Y': 'output', 'A': 'input'}}
    """
    modules = {}
    for match in _MODULE.finditer(_COMMENTS.sub("", text)):
        name, _, header, body = match.groups()
        declared = _DIRECTION.findall(header) or _DIRECTION.findall(body)
        pins: dict[str, str] = {}
        for direction, span, names in declared:
            for pin in re.findall(r"\w+", names):
                pins.update(dict.fromkeys(_bits(pin, span), direction))
        modules[name] = pins
    return modules


def _bits(name: str, span: str) -> list[str]:
    if not span:
        return [name]
    numbers = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", span)
    if numbers is None:
        return [f"{name}[{''.join(span.split())}]"]
    high, low = map(int, numbers.groups())
    return [f"{name}[{bit}]" for bit in range(low, high + 1)]


def parse_subcircuit_pins(text: str) -> dict[str, list[str]]:
    """Subcircuit -> its pins in order, of a CDL or SPICE file.

    >>> parse_subcircuit_pins(".SUBCKT nand A B\\n+ Y\\nM1 x y z\\n.ENDS")
    {'nand': ['A', 'B', 'Y']}
    """
    joined = re.sub(r"\n\+", " ", text)
    lines = (line.split() for line in joined.splitlines() if line[:7].lower() == ".subckt")
    return {words[1]: [word for word in words[2:] if "=" not in word] for words in lines}
