"""Specs from plain data: what a YAML or JSON file holds, and what is wrong in it with the place in the file."""

import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from golden.spec import ModelSpec, QuantSpec, SpecError

S = TypeVar("S")


def load_spec(spec_type: type[S], mapping: Any, where: str) -> S:
    """A spec of `spec_type` from plain data (out of YAML or JSON), with the place in every message.

    mapping  dicts, lists, numbers, strings; `where` names the file and section, e.g. `designs/x.yaml: model`.
    Raises SpecError: unknown or missing field, wrong type, value that is not allowed.
    """
    if not isinstance(mapping, Mapping):
        raise SpecError(f"{_last_name(where)} must be a mapping of fields, not {_type_name(mapping)} ({where})")
    try:
        return msgspec.convert(mapping, spec_type)
    except msgspec.ValidationError as error:
        text = str(error).replace("Expected `str` - at `key` in", "names of fields must be text, nothing else - at")
        message, _, path = text.partition(" - at `$")
        path = path.rstrip("`")
        fields = getattr(_type_at(spec_type, path), "__struct_fields__", ())
        said = _explain(spec_type, message, path)
        if said == message and message.split()[0] in fields:  # out of a spec's own checks, which begin with the field
            path += f".{message.split()[0]}"
        raise SpecError(f"{said} ({_place(where, path)})") from None


def load_model_spec(mapping: Any, where: str) -> ModelSpec:
    """ModelSpec from the `model` section of a file; SpecError with the place otherwise."""
    return load_spec(ModelSpec, mapping, where)


def load_quant_spec(mapping: Any, where: str) -> QuantSpec:
    """QuantSpec from the `quant` section of a file (None or {}: the defaults)."""
    return load_spec(QuantSpec, {} if mapping is None else mapping, where)


def _place(where: str, path: str) -> str:
    """`x.yaml: model` and `.cells[0]` make `x.yaml: model.cells[0]`; `x.yaml` and `.model` make `x.yaml: model`."""
    if not path or ": " in where:
        return where + path
    return f"{where}: {path.removeprefix('.')}"


def _last_name(where: str) -> str:
    """The section that a place ends with, or that the whole is meant."""
    return where.rpartition(": ")[2].rpartition(".")[2] if ": " in where else "a design file"


def _type_name(value: Any) -> str:
    return {"NoneType": "nothing", "dict": "mapping"}.get(name := type(value).__name__, name)


def _explain(spec_type: type, message: str, path: str) -> str:
    """Reword msgspec's message as `<field> must be <allowed>, not <got>`."""
    at = _type_at(spec_type, path)
    derived = getattr(at, "derived_fields", ())
    fields = ", ".join(field for field in getattr(at, "__struct_fields__", ()) if field not in derived)
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", message):
        return f"field must be one of {fields}, not {match[1]!r}: remove it or correct its name"
    if match := re.fullmatch(r"Object missing required field `(.*)`", message):
        return f"{match[1]} must be given, not left out: add it"
    if match := re.fullmatch(r"Expected `(.*)`, got `(.*)`", message):
        name = re.split(r"\.", path)[-1] or "section"
        wanted, got = (_in_yaml_words(types) for types in match.groups())
        return f"{name} must be {wanted}, not {got}"
    return message


def _in_yaml_words(names: str) -> str:
    """`object | null` of JSON, which msgspec speaks, is `mapping or null` of YAML."""
    words = {"object": "mapping of fields", "array": "list"}
    return " or ".join(words.get(name, name) for name in names.split(" | "))


def _type_at(spec_type: Any, path: str) -> Any:
    """The struct type that `path` (as in `.cells[0]`) reaches within `spec_type`, or None."""
    current = spec_type
    for token in re.findall(r"\.(\w+)|\[", path):
        if token:
            current = _members(current, lambda t: hasattr(t, "__struct_fields__"))
            current = typing.get_type_hints(current).get(token) if current else None
        else:
            current = _members(current, lambda t: typing.get_origin(t) in (tuple, list))
            current = typing.get_args(current)[0] if current else None
    return _members(current, lambda t: hasattr(t, "__struct_fields__"))


def _members(union: Any, wanted: Callable[[Any], bool]) -> Any:
    """The first member of a type or union of types that is `wanted`, or None."""
    is_union = typing.get_origin(union) in (typing.Union, types.UnionType)
    return next((t for t in (typing.get_args(union) if is_union else (union,)) if wanted(t)), None)
