"""YAML files as plain data, stricter than PyYAML: a key that is given twice is refused, not silently overwritten."""

from pathlib import Path
from typing import Any

import yaml

from golden.spec import SpecError


class _UniqueKeyLoader(yaml.SafeLoader):
    """Plain data only, every key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        first: dict[tuple[str, str], yaml.Mark] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                seen = first.setdefault((key.tag, key.value), key.start_mark)
                if seen is not key.start_mark:
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value} must be given once, not in line {seen.line + 1} and again here: "
                                "remove one", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """The content of a YAML file; SpecError with the line unless it is readable and every key stands once."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise SpecError(f"design file is not readable YAML ({place}): {error.problem}") from None
    except RecursionError:
        raise SpecError(f"design file is not readable YAML ({path}): nested too deeply") from None
    # PyYAML passes on what int(), a date or a lookup raises for a scalar that only looks like one.
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise SpecError(f"design file is not readable YAML ({path}): {reason}") from None
