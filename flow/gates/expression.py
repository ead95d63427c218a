"""Functions and conditions as Liberty writes them, as expressions of pins."""

from __future__ import annotations

import re

from flow.characterise.function import Expression, negated
from golden.spec import SpecError

TOKEN = re.compile(r"\s*([A-Za-z_]\w*(?:\[\d+\])?|[01]|[!'()&*|+^])")
OPERATORS = (("|", "+"), ("&", "*"), ("^",))
"""From the loosest to the tightest: an exclusive or binds tighter than an and (Liberty reference manual)."""
NAMES = {"|": "or", "&": "and", "^": "xor"}


def parse_expression(text: str, where: str) -> Expression:
    """A Liberty function or `when`; SpecError for what is none. Operands side by side are an and.

    >>> parse_expression("!(A1&A2) | B'", "here")
    ('or', ('not', ('and', ('pin', 'A1'), ('pin', 'A2'))), ('not', ('pin', 'B')))
    >>> parse_expression("we[0]", "here")
    ('pin', 'we[0]')
    """
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            raise SpecError(f"a Liberty function must have pins, 0, 1, ! ' & * | + ^ and parentheses only, not "
                            f"{text!r} ({where})")
        tokens.append(match[1])
        at = match.end()
    parser = _Parser(tokens, f"{text!r} ({where})")
    result = parser.level(0)
    if parser.at != len(tokens):
        raise parser.fail()
    return result


class _Parser:
    """Recursive descent over the tokens of one function."""

    def __init__(self, tokens: list[str], where: str):
        self.tokens, self.where, self.at = tokens, where, 0

    def fail(self) -> SpecError:
        return SpecError(f"a Liberty function must be whole, not {self.where}")

    @property
    def token(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def level(self, level: int) -> Expression:
        """Operands joined by the operators of a level."""
        if level == len(OPERATORS):
            return self.operand()
        signs = OPERATORS[level]
        parts = [self.level(level + 1)]
        while self.token in signs or (signs[0] == "&" and (self.token.isidentifier() or self.token in tuple("01!("))
                                      and self.token):
            self.at += self.token in signs
            parts.append(self.level(level + 1))
        return parts[0] if len(parts) == 1 else (NAMES[signs[0]], *parts)

    def operand(self) -> Expression:
        token = self.token
        self.at += 1
        if token == "!":
            return negated(self.operand())
        if token == "(":
            result = self.level(0)
            if self.token != ")":
                raise self.fail()
            self.at += 1
        elif token in ("0", "1"):
            result = ("const", int(token))
        elif token and (token[0].isalpha() or token[0] == "_"):
            result = ("pin", token)
        else:
            raise self.fail()
        while self.token == "'":
            self.at += 1
            result = negated(result)
        return result


def pins_of(expression: Expression) -> frozenset[str]:
    """The pins that an expression depends on, by name."""
    kind, *rest = expression
    if kind == "pin":
        return frozenset(rest)
    if kind == "const":
        return frozenset()
    return frozenset().union(*map(pins_of, rest))
