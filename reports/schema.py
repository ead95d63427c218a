"""The content of ppa.json: everything that a report says of one design, each number with the files that it came from.

docs/report.md describes it; `write_schema` writes it as JSON Schema (reports/ppa.schema.json, which a test compares).
Absent is null with a reason, never zero.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from flow.metrics import Value
from golden.spec import SpecError

FORMAT = "stillwater ppa 1"
SCHEMA = Path(__file__).parent / "ppa.schema.json"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts: immutable, unknown fields refused."""


class Source(Record, frozen=True):
    """Where a number stands: a file, relative to the repository, and the metric or field in it."""

    file: str
    metric: str


class Figure(Record, frozen=True):
    """A number of the report.

    value:   null where it is missing, and `missing` says why.
    unit:    of `value`; "" for counts, shares and texts.
    formula: how it follows from its sources; "" where it is one of them as it stands, in another unit perhaps.
    """

    label: str
    unit: str
    value: Value | None
    sources: list[Source]
    formula: str = ""
    missing: str = ""


class Check(Record, frozen=True):
    """A gate of the verdict. passed: null where it has not been measured, and `missing` says why."""

    label: str
    passed: bool | None
    found: Value | None
    sources: list[Source]
    missing: str = ""


class Metric(Record, frozen=True):
    """A value of a step's metrics.json, and the unit that its name stands for."""

    value: Value
    unit: str


class StepRecord(Record, frozen=True):
    """One step's metrics.json.

    missing: why there is none; "" where there is. stale: inputs that are not what the step read (or are gone).
    """

    file: str
    missing: str = ""
    config_sha256: str = ""
    tools: dict[str, str] = {}
    inputs: dict[str, str] = {}
    stale: list[str] = []
    values: dict[str, Metric] = {}


class Series(Record, frozen=True):
    """Numbers of a plot. groups: name -> y, one for each x; a histogram's x are the edges of its bins, one more."""

    label: str
    x_label: str
    y_label: str
    x: list[Value]
    groups: dict[str, list[float | int]]
    file: str


class TimingPath(Record, frozen=True, rename={"start": "from", "end": "to"}):
    """A timing path with RTL names; cells: those that the data passes, without the library's prefix."""

    check: str
    corner: str
    start: str
    end: str
    slack_ns: float
    arrival_ns: float
    cells: list[str]
    file: str


class Ppa(Record, frozen=True):
    """All of a design.

    verdict: "pass" when every check passed, "fail" when one did not, "incomplete" when one is missing and none failed.
    """

    format: str
    design: str
    title: str
    pdk: str
    pdk_source: str
    verdict: str
    tools: dict[str, str]
    checks: dict[str, Check]
    figures: dict[str, Figure]
    series: dict[str, Series]
    paths: list[TimingPath]
    steps: dict[str, StepRecord]


def write_ppa(path: Path, ppa: Ppa) -> None:
    """Indented JSON with sorted keys, in one rename; the same report gives the same bytes."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(ppa, order="sorted"), indent=2) + b"\n")


def load_ppa(path: Path) -> Ppa:
    """SpecError where the file is not there or is none that this version writes."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ppa)
    except FileNotFoundError:
        raise SpecError(f"no {path.name} in {path.parent}: run ./stillwater report first") from None
    except msgspec.MsgspecError as error:
        raise SpecError(f"{error} ({path}); run ./stillwater report again") from None


def json_schema() -> dict[str, Any]:
    """JSON Schema of ppa.json."""
    return msgspec.json.schema(Ppa)


def schema_text() -> str:
    """What stands in reports/ppa.schema.json."""
    return msgspec.json.format(msgspec.json.encode(json_schema(), order="sorted"), indent=2).decode() + "\n"


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in one rename: it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
