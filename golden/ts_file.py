"""Reads labelled sequences from a .ts file, the text format of the public sets.

    # comments, and lines without text
    @classLabel true standing running      the classes; other @ lines describe the file
    @data
    0.1,0.2,0.3:7,8,9:standing             a sequence: its channels, then its class

Names are compared in small letters, as the readers of the archive do. Time stamps and missing values (`?`) are part of
the format and of none of the sets here: both are refused. Nothing but numpy is loaded for it: the reader of the
package that ships the files takes a second to import, in every process that needs a data set, and is what the tests
compare this one with.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from golden.spec import SpecError


def read_ts(path: Path) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Sequences (X, T of this one) in float64, the class of each, and all classes; SpecError with the line."""
    with path.open(encoding="utf-8") as file:
        lines = enumerate((line.strip().lower() for line in file), 1)
        try:
            class_names = read_header(lines)
            pairs = [read_sequence(line, number, class_names) for number, line in lines if line]
        except SpecError as error:
            raise SpecError(f"{error} ({path})") from None
    if not pairs:
        raise SpecError(f"a .ts file must have a line for each sequence after @data, not none ({path})")
    sequences, labels = (list(column) for column in zip(*pairs, strict=True))
    return sequences, labels, class_names


def read_header(lines: Iterable[tuple[int, str]]) -> list[str]:
    """The class names, with the lines taken up to @data.

    >>> read_header(enumerate(["# two classes", "@timestamps false", "@classlabel true 1 2", "@data", "1,2:1"]))
    ['1', '2']
    """
    class_names: list[str] = []
    for number, line in lines:
        key, *words = line.split() or [""]
        if key == "@data":
            break
        if key == "@timestamps" and words != ["false"]:
            raise SpecError(f"@timeStamps must be false, not {' '.join(words)}: line {number}")
        if key == "@classlabel" and words[:1] == ["true"]:
            class_names = words[1:]
    if not class_names:
        raise SpecError("the header of a .ts file must name the classes, as in `@classLabel true 1 2`, before @data")
    return class_names


def read_sequence(line: str, number: int, class_names: list[str]) -> tuple[np.ndarray, str]:
    """The channels (X, T) and the class of one line of the data.

    >>> read_sequence("1,2,3:4,5,6:b", 9, ["a", "b"])
    (array([[1., 2., 3.],
           [4., 5., 6.]]), 'b')
    """
    *channels, label = line.split(":")
    if label not in class_names:
        raise SpecError(f"the class must be one of {', '.join(class_names)}, not {label[:20]!r}: line {number}")
    try:
        values = np.array([channel.split(",") for channel in channels], dtype=np.float64)
        return values.reshape(len(channels), -1), label
    except ValueError:                 # a word that is no number, or channels that end at different times
        raise SpecError(f"a sequence must be channels of equally many numbers each: line {number}") from None
