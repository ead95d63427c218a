"""A GPU's figures for the same network, measured elsewhere and given as a file: `./stillwater report gpu=my.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from golden.spec import SpecError
from reports.schema import Figure, Record, Source


class Gpu(Record, frozen=True):
    """name: of the GPU. design: whose network was run. batch: sequences at once. source: how it was measured.

    steps_per_s: time steps of all sequences together. power_w: drawn meanwhile, null where not measured.
    """

    name: str
    design: str
    batch: int
    steps_per_s: float
    source: str
    power_w: float | None = None


def load_gpu(path: Path) -> list[Gpu]:
    """One object or a list of them; SpecError says what is wrong."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Gpu | list[Gpu])
    except FileNotFoundError:
        raise SpecError(f"gpu must name a file that is there, and {path} is not") from None
    except msgspec.MsgspecError as error:
        raise SpecError(f"{error} ({path}); docs/report.md says what it must hold") from None
    return found if isinstance(found, list) else [found]


def gpu_figures(gpus: list[Gpu], design: str, file: str) -> dict[str, Figure]:
    """Figures of a design's page; none where the file has nothing of this design."""
    found: dict[str, Figure] = {}
    for number, gpu in enumerate(gpu for gpu in gpus if gpu.design == design):
        label = f"GPU, {gpu.name}, {gpu.batch} at once ({gpu.source})"
        found[f"context.gpu.{number}.steps_per_s"] = Figure(
            label=label, unit="steps/s", value=gpu.steps_per_s, sources=[Source(file=file, metric="steps_per_s")])
        if gpu.power_w is not None:
            found[f"context.gpu.{number}.energy_step"] = Figure(
                label=f"energy of a step, {label}", unit="nJ", value=1e9 * gpu.power_w / gpu.steps_per_s,
                sources=[Source(file=file, metric="power_w")], formula="power / steps a second")
    return found
