"""What distinguishes two specs of one type, field by field: for messages that name it instead of printing both."""

from collections.abc import Iterator
from typing import Any

import msgspec

from golden.spec import Spec


def differences(wanted: Spec, got: Spec) -> list[str]:
    """`place wanted, got` for every field in which two specs of one type differ.

    >>> from golden.spec import CellSpec, ModelSpec
    >>> differences(ModelSpec(2, (CellSpec("lstm", 4),)), ModelSpec(2, (CellSpec("lstm", 5),)))
    ['cells.0.hidden_size 4 in the design, 5 in the file']
    """
    return list(_different(msgspec.to_builtins(wanted), msgspec.to_builtins(got), ""))


def _different(wanted: Any, got: Any, place: str) -> Iterator[str]:
    if isinstance(wanted, (list, tuple)) and isinstance(got, (list, tuple)):
        wanted, got = (dict(enumerate(items)) for items in (wanted, got))
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted(wanted.keys() | got.keys(), key=str):
            yield from _different(wanted.get(key), got.get(key), f"{place}.{key}" if place else str(key))
    elif wanted != got:
        said = ("none" if value is None else _summary(value) for value in (wanted, got))
        yield "{} {} in the design, {} in the file".format(place, *said)


def _summary(value: Any) -> str:
    """A section in words of its own: the values in it that say most."""
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values() if item is not None and not isinstance(item, bool))
    return str(value)
