"""What took long to make is kept by content, whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Kept = TypeVar("Kept")


def load_or_make(path: Path | None, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
    """The thing of a type that is kept at a path, made and kept there if it is not; None keeps nothing."""
    if path is not None and path.is_file():
        return msgspec.json.decode(path.read_bytes(), type=kind)
    made = make()
    if path is not None:
        write_whole(path, made)
    return made


def write_whole(path: Path, content: Any) -> None:
    """As JSON, under another name first: who reads it never sees a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(msgspec.json.encode(content))
    os.replace(part, path)
