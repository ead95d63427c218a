"""A reader of Liberty text into groups, enough to check and to compare libraries."""

import gzip
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from golden.spec import SpecError

TOKEN = re.compile(r'"[^"]*"|[^\s"(){}:;,]+|[(){}:;,]')


@dataclass
class Group:
    """A group: `kind (arguments) { attributes; groups }`; complex attributes are lists of their arguments."""

    kind: str
    arguments: list[str]
    attributes: dict[str, str | list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def all(self, kind: str) -> list["Group"]:
        return [group for group in self.groups if group.kind == kind]

    def find(self, kind: str, argument: str | None = None) -> "Group | None":
        return next((g for g in self.all(kind) if argument is None or g.arguments[:1] == [argument]), None)

    def values(self) -> np.ndarray:
        """The numbers of a table: (N1, N2), or (1, N) of a row."""
        index_2 = self.index("index_2")
        numbers = parse_numbers(self.attributes["values"])
        return np.array(numbers).reshape(-1, len(index_2) if len(index_2) else len(numbers))

    def index(self, name: str) -> np.ndarray:
        return np.array(parse_numbers(self.attributes.get(name, [])))


def parse_numbers(texts: list[str] | str) -> list[float]:
    return [float(word) for text in ([texts] if isinstance(texts, str) else texts) for word in re.split(r"[,\s]+", text)
            if word]


def load_liberty(path: Path, cells: set[str] | None = None) -> Group:
    """Reads a library (.lib or .lib.gz); with `cells`, only those, which makes a large file quick."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    if cells is not None:
        starts = [match.start() for match in re.finditer(r'\bcell\s*\(', text)] + [text.rindex("}")]
        kept = [text[:starts[0]]]
        for start, end in zip(starts, starts[1:], strict=False):
            name = re.match(r'cell\s*\(\s*"?([^")\s]+)', text[start:end])[1]
            if name in cells:
                kept.append(text[start:end])
        text = "".join(kept) + "}"
    return parse_liberty(text, str(path))


def parse_liberty(text: str, where: str = "text") -> Group:
    """The library of a text; SpecError when its braces do not match."""
    text = text.replace("\\\n", " ")
    top = Group("", [])
    open_groups = [top]
    tokens = [token.strip('"') if token[0] == '"' else token for token in TOKEN.findall(text)]
    quoted = [token[0] == '"' for token in TOKEN.findall(text)]
    k = 0
    while k < len(tokens):
        if tokens[k] == "}" and not quoted[k]:
            open_groups.pop()
            k += 1
        elif tokens[k] == ";" or k + 1 >= len(tokens):
            k += 1
        elif tokens[k + 1] == ":":
            open_groups[-1].attributes[tokens[k]] = tokens[k + 2]
            k += 3
        elif tokens[k + 1] == "(":
            end = next(j for j in range(k + 2, len(tokens)) if tokens[j] == ")" and not quoted[j])
            arguments = [token for token, is_text in zip(tokens[k + 2:end], quoted[k + 2:end], strict=True)
                         if is_text or token != ","]
            if end + 1 < len(tokens) and tokens[end + 1] == "{":
                group = Group(tokens[k], arguments)
                open_groups[-1].groups.append(group)
                open_groups.append(group)
                end += 1
            else:
                open_groups[-1].attributes[tokens[k]] = arguments
            k = end + 1
        else:
            k += 1
        if not open_groups:
            break
    if len(open_groups) != 1 or len(top.groups) != 1:
        raise SpecError(f"{where} must be one library with matching braces, and is not")
    return top.groups[0]
