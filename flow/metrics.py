"""What a step leaves behind: one metrics.json with measured values and what they were measured from.

Keys follow METRICS2.1: `stage__thing__detail`, lower case, parts joined by two underscores, modifiers after a colon
(`timing__setup__ws__corner:ss_100C_1v60`). Absent is failure: asking for a metric that is not there raises, so that
a missing count can never pass for a zero.
"""

import difflib
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from golden.spec import SpecError

Value = int | float | str

KEY = re.compile(r"[a-z][a-z0-9]*(_{1,2}[a-z0-9]+)*(__[a-z_]+:[A-Za-z0-9_.\-]+)*")


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of a metrics.json.

    step:           the step's name.
    config_sha256:  of the step's configuration as it stands in the folder's config.json.
    inputs:         file name -> sha256 of every input file.
    tools:          tool -> the version that it printed.
    values:         METRICS2.1 key -> value.
    """

    step: str
    config_sha256: str
    inputs: dict[str, str]
    tools: dict[str, str]
    values: dict[str, Value]

    def __getitem__(self, key: str) -> Value:
        if key in self.values:
            return self.values[key]
        near = difflib.get_close_matches(key, self.values, n=1)
        hint = f"; the nearest is {near[0]}" if near else f"; it has {len(self.values)} others"
        raise SpecError(f"metric {key} is not in the result of step {self.step}{hint}")


def check_values(values: dict[str, Value], required: Iterable[str], where: str) -> None:
    """Raises SpecError on a key that is no METRICS2.1 name, a value that is not finite, or a missing metric."""
    for key, value in values.items():
        if not KEY.fullmatch(key):
            raise SpecError(f"metric names must look like stage__thing__detail:modifier, not {key!r} ({where})")
        if isinstance(value, bool) or not isinstance(value, Value):
            raise SpecError(f"{key} must be a number or a text, not {value!r} ({where})")
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"{key} must be finite, not {value} ({where})")
    missing = sorted(set(required) - set(values))
    if missing:
        raise SpecError(f"the metrics {', '.join(missing)} are missing ({where}); a step that did not measure "
                        "what it promises has failed")


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Writes indented JSON with sorted keys, in one rename: the file is whole or not there."""
    check_values(metrics.values, (), str(path))
    text = msgspec.json.format(msgspec.json.encode(metrics, order="sorted"), indent=2)
    part = path.with_name(path.name + ".part")
    part.write_bytes(text + b"\n")
    os.replace(part, path)


def load_metrics(path: Path) -> Metrics:
    """Reads and checks a metrics.json; SpecError says what is wrong with it and how to make it anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Metrics)
    except FileNotFoundError:
        raise SpecError(f"no {path.name} in {path.parent}: the step that makes it has not finished") from None
    except msgspec.MsgspecError as error:
        raise SpecError(f"{error} ({path}); remove its folder and run the step again") from None
