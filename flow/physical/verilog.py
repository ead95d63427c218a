"""Reads and writes the flat gate Verilog of a netlist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist, Pin, shortened
from golden.spec import SpecError

TOKEN = re.compile(r"\\\S+|[A-Za-z_][\w$]*|\d*'[bhdoBHDO][0-9a-fA-FxXzZ_]+|\d+|[^\s\w]")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*(?!\s*\)).*?\*\)", re.DOTALL)
PLAIN = re.compile(r"[A-Za-z_][\w$]*")
NAME = re.compile(r"[\\A-Za-z_]")
BIT = re.compile(r"(.+)\[(\d+)\]")
DIRECTIONS = ("input", "output", "inout")
KEYWORDS = frozenset((*DIRECTIONS, "wire", "reg", "module", "endmodule", "assign", "supply0", "supply1", "tri"))


def load_netlist(path: Path, top: str, cells: Cells) -> Netlist:
    """The module `top` of a Verilog file; SpecError says what is wrong in it."""
    return parse_netlist(path.read_text(encoding="utf-8"), top, cells, str(path))


def parse_netlist(text: str, top: str, cells: Cells, where: str) -> Netlist:
    """The module `top` of Verilog text.

    cells: say which pins of an instance are buses. SpecError for behaviour, hierarchy, constants at pins, and
    anything else that a flat gate netlist does not have.
    """
    tokens = TOKEN.findall(COMMENT.sub(" ", text))
    return _Parser(tokens, cells, where).module(top)


class _Parser:
    """Goes over the tokens of one module, statement by statement."""

    def __init__(self, tokens: list[str], cells: Cells, where: str):
        self.tokens, self.cells, self.where = tokens, cells, where
        self.ranges: dict[str, list[int]] = {}           # vector -> indices, the highest bit first
        self.ports: dict[str, str] = {}
        self.header: list[str] = []
        self.instances: dict[str, str] = {}
        self.pins: dict[str, list[Pin]] = {}             # net -> pins, before names are joined
        self.same: dict[str, str] = {}                   # net -> another name of it
        self.constant: set[str] = set()                  # nets that an assign ties

    def fail(self, message: str) -> SpecError:
        return SpecError(f"{message} ({self.where})")

    def module(self, top: str) -> Netlist:
        body = self._find(top)
        for statement in _statements(body):
            first = statement[0]
            if first in DIRECTIONS or first in ("wire", "tri"):
                self._declare(statement)
            elif first == "assign":
                self._assign(statement)
            elif first in KEYWORDS or len(statement) < 4 or not NAME.match(statement[1]):
                raise self.fail(f"a gate netlist must have declarations, assigns and instances only, not "
                                f"{' '.join(statement[:6])!r}")
            else:
                self._instance(statement)
        return self._netlist(top)

    def _find(self, top: str) -> list[str]:
        """The tokens of the module's body; its header goes to self.header."""
        modules = [self.tokens[at + 1] for at, token in enumerate(self.tokens) if token == "module"]
        if top not in modules:
            raise self.fail(f"module {top} must be in the netlist, which has {', '.join(modules) or 'none'}")
        begin = next(at for at, token in enumerate(self.tokens)
                     if token == "module" and self.tokens[at + 1] == top)
        try:
            head, end = self.tokens.index(";", begin), self.tokens.index("endmodule", begin)
        except ValueError:
            raise self.fail(f"module {top} must end with endmodule") from None
        self.header = [_plain(token) for token in self.tokens[begin + 2:head] if token not in "(),"]
        if set(self.header) & set(DIRECTIONS):
            raise self.fail("the ports' directions must be declared in the body, as Yosys writes them")
        return self.tokens[head + 1:end]

    def _declare(self, words: list[str]) -> None:
        kind, at = words[0], 1
        at += words[1] in ("wire", "reg", "signed")
        indices = None
        if words[at] == "[":
            high, low = int(words[at + 1]), int(words[at + 3])
            indices = list(range(high, low - 1, -1)) if high >= low else list(range(high, low + 1))
            at += 5
        for name in map(_plain, words[at:]):
            if name == ",":
                continue
            if indices is not None:
                self.ranges[name] = indices
            if kind in DIRECTIONS:
                self.ports[name] = kind

    def _assign(self, words: list[str]) -> None:
        equal = words.index("=")
        left = self._bits(words[1:equal])
        if "'" in "".join(words[equal + 1:]):            # harmless where nothing but a name is left of the net
            self.constant.update(left)
            return
        right = self._bits(words[equal + 1:])
        if len(left) != len(right):
            raise self.fail(f"both sides of {' '.join(words)!r} must have the same width, not {len(left)} and "
                            f"{len(right)}")
        for one, other in zip(left, right, strict=True):
            one, other = self._root(one), self._root(other)
            if one != other:
                self.same[one] = other

    def _root(self, net: str) -> str:
        while net in self.same:
            net = self.same[net]
        return net

    def _instance(self, words: list[str]) -> None:
        cell, name = _plain(words[0]), _plain(words[1])
        if name in self.instances:
            raise self.fail(f"instance names must be unique, and {name} is there twice")
        if cell not in self.cells:
            raise self.fail(f"instance {name} must be of a cell with a LEF, not of {cell}")
        self.instances[name] = cell
        pins, at = self.cells[cell].pins, 3
        while at < len(words) - 1:
            if words[at] != "." or words[at + 2] != "(":
                raise self.fail(f"instance {name} must connect its pins by name, as .pin(net)")
            pin, end = _plain(words[at + 1]), at + 3
            while words[end] != ")":
                end += 1
            bits = self._bits(words[at + 3:end])
            at = end + 1 + (words[end + 1] == ",")
            if len(bits) == 1 and pin in pins:
                self.pins.setdefault(bits[0], []).append((name, pin))
                continue
            for bit, net in enumerate(reversed(bits)):
                if f"{pin}[{bit}]" not in pins:
                    raise self.fail(f"instance {name} must have pins of {cell}, not {pin}[{bit}]")
                self.pins.setdefault(net, []).append((name, f"{pin}[{bit}]"))

    def _bits(self, words: list[str]) -> list[str]:
        """The nets of an expression, highest bit first: a name, a bit, a part of a vector, or { } of those."""
        bits, at = [], 0
        while at < len(words):
            word = words[at]
            if word in "{},":
                at += 1
                continue
            if "'" in word or word.isdigit():
                raise self.fail(f"constants must come from a tie cell, not {word!r} at a pin")
            name, at = _plain(word), at + 1
            if at < len(words) and words[at] == "[":
                end = words.index("]", at)
                numbers = [int(number) for number in words[at + 1:end] if number != ":"]
                first, last = numbers[0], numbers[-1]
                step = -1 if first >= last else 1
                bits += [f"{name}[{index}]" for index in range(first, last + step, step)]
                at = end + 1
            elif name in self.ranges:
                bits += [f"{name}[{index}]" for index in self.ranges[name]]
            else:
                bits.append(name)
        return bits

    def _netlist(self, top: str) -> Netlist:
        """Joins names of the same net; a port's name stays, the first one's where there are several."""
        ports = {bit: self.ports[name] for name in self._known_ports() for bit in
                 ([f"{name}[{index}]" for index in self.ranges[name]] if name in self.ranges else [name])}
        name_of: dict[str, str] = {}
        nets: dict[str, list[Pin]] = {}
        for port in ports:
            nets.setdefault(name_of.setdefault(self._root(port), port), []).append(("", port))
        tied = sorted({self._root(net) for net in self.constant} & {*nets, *map(self._root, self.pins),
                                                                    *map(self._root, ports)})
        if tied:
            raise self.fail(f"constants must come from a tie cell, and an assign ties {shortened(tied)}")
        order = {name: at for at, name in enumerate(self.instances)}
        for net, pins in self.pins.items():
            root = self._root(net)
            nets.setdefault(name_of.setdefault(root, root), []).extend(pins)
        joined = {name: tuple(sorted(pins, key=lambda pin: (order[pin[0]], pin[1]) if pin[0] else (-1, "")))
                  for name, pins in nets.items()}
        return Netlist(top, ports, dict(self.instances), joined)

    def _known_ports(self) -> list[str]:
        unknown = sorted(set(self.header) ^ set(self.ports))
        if unknown:
            raise self.fail(f"every port must be in the module's header and have a direction, not {', '.join(unknown)}")
        return self.header


def _statements(tokens: list[str]) -> Iterator[list[str]]:
    begin = 0
    for at, token in enumerate(tokens):
        if token == ";":
            if at > begin:
                yield tokens[begin:at]
            begin = at + 1


def _plain(token: str) -> str:
    """A name without the backslash of an escaped identifier."""
    return token[1:] if token.startswith("\\") else token


def write_netlist(netlist: Netlist) -> str:
    """Verilog of a netlist, the same text for the same netlist; `parse_netlist` reads it back."""
    vectors = _vectors(list(netlist.ports))
    of_vector = {f"{name}[{index}]" for name, indices in vectors.items() if indices for index in indices}

    def text(net: str) -> str:
        """A bit of a port as it stands, other names escaped where they must be."""
        if net in of_vector:
            name, index = BIT.fullmatch(net).groups()
            return f"{_identifier(name)}[{index}]"
        return _identifier(net)

    lines = [f"module {_identifier(netlist.top)} ({', '.join(_identifier(name) for name in vectors)});"]
    for name, indices in vectors.items():
        width = f"[{indices[0]}:{indices[-1]}] " if indices else ""
        direction = netlist.ports[f"{name}[{indices[0]}]" if indices else name]
        lines.append(f"  {direction} {width}{_identifier(name)};")
    lines += [f"  wire {_identifier(net)};" for net in netlist.nets if net not in netlist.ports]
    for net, pins in netlist.nets.items():
        for instance, port in pins:
            if not instance and port != net:
                one, other = (text(net), text(port)) if netlist.ports[port] == "input" else (text(port), text(net))
                lines.append(f"  assign {one} = {other};")
    connections: dict[str, list[Pin]] = {name: [] for name in netlist.instances}
    for net, pins in netlist.nets.items():
        for instance, pin in pins:
            if instance:
                connections[instance].append((pin, net))
    for name, cell in netlist.instances.items():
        pins = ", ".join(f".{pin}({expression})" for pin, expression in _expressions(connections[name], text))
        lines.append(f"  {_identifier(cell)} {_identifier(name)} ({pins});")
    return "\n".join([*lines, "endmodule", ""])


def _expressions(connections: list[tuple[str, str]], text) -> Iterator[tuple[str, str]]:
    """Pins with what they connect to, by name; the bits of a bus pin as one."""
    nets = dict(sorted(connections))
    for name, indices in _vectors(sorted(nets, key=_by_bit)).items():
        if not indices:
            yield name, text(nets[name])
        else:
            yield name, "{" + ", ".join(text(nets[f"{name}[{index}]"]) for index in indices) + "}"


def _by_bit(name: str) -> tuple[str, int]:
    """Sorts the bits of a vector from the highest down."""
    match = BIT.fullmatch(name)
    return (match[1], -int(match[2])) if match else (name, 0)


def _vectors(bits: list[str]) -> dict[str, list[int]]:
    """Vector -> indices in order, scalar -> none; bits of a vector stand together and run down or up by one."""
    vectors: dict[str, list[int]] = {}
    for bit in bits:
        match = BIT.fullmatch(bit)
        if match:
            vectors.setdefault(match[1], []).append(int(match[2]))
        else:
            vectors[bit] = []
    for name, indices in vectors.items():
        steps = {b - a for a, b in zip(indices, indices[1:], strict=False)}
        if indices and steps not in (set(), {1}, {-1}):
            raise SpecError(f"the bits of {name} must follow each other, not {indices}")
    return vectors


def _identifier(name: str) -> str:
    return name if PLAIN.fullmatch(name) and name not in KEYWORDS else f"\\{name} "
