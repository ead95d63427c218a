"""`doit pdk`: the process's tree, found or assembled, cross-checked, and where each of its files comes from."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flow.metrics import Value
from flow.pdk.assemble import assemble, load_manifest, write_manifest
from flow.pdk.config import CONFIGS, PdkConfig, load_pdk_config
from flow.pdk.crosscheck import check_cells
from flow.pdk.liberty import liberty_files
from flow.pdk.tree import MANIFEST, Pdk, find_ciel, load_pdk
from flow.step import Step, Work, input_name, run_step_once, sources_sha256
from golden.spec import SpecError

SOURCES = ("flow/pdk/*.py", "flow/steps/pdk.py")


def run_pdk(build: Path, name: str = "sky130") -> Pdk:
    """The tree to use; assembles the embedded one where ciel installed none and it is not there yet."""
    config = load_pdk_config(name)
    if find_ciel(config) is None:
        step = Step("pdk", run=partial(make_tree, config), required_metrics=("pdk__cell__count",))
        run_step_once(step, build / "pdk" / config.name, config={"sources_sha256": sources_sha256(SOURCES)},
                      inputs=[CONFIGS / f"{name}.yaml", *liberty_files(config)])
    return load_pdk(config, build)


def make_tree(config: PdkConfig, work: Work) -> dict[str, Value]:
    """Assembles the tree into the step's folder; SpecError when its views differ."""
    manifest = assemble(config, work.folder / config.variant)
    write_manifest(manifest, work.folder / MANIFEST)
    n_cells, found = check_cells(Pdk(config, work.folder / config.variant, "embedded", ""))
    if found:
        raise SpecError("\n".join([f"the views of {config.cell_library} must agree, and do not:",
                                   *(f"  {line}" for line in found[:20])]))
    return {"pdk__cell__count": n_cells, "pdk__file__count": len(manifest.files)}


def print_pdk(pdk: Pdk, build: Path) -> None:
    """The tree, its views with origin and licence, the corners, and what may not be placed."""
    config, console = pdk.config, Console(highlight=False)
    console.print(f"[bold]{config.name}[/] {pdk.source} tree: {input_name(pdk.root)}  ({pdk.version})", soft_wrap=True)
    if pdk.source == "embedded":
        _print_manifest(console, build / "pdk" / config.name / MANIFEST, config)
    missing = set(pdk.missing_liberty())
    for name, corner in config.corners.items():
        state = "no Liberty: not characterised" if name in missing else "Liberty there"
        conditions = f"{corner.temperature_c:g} C {corner.voltage_v:.2f} V"
        console.print(f"  corner {name}: {corner.process} {conditions}, {state}")
    console.print("  cells that no step places:")
    for rule in config.do_not_use:
        console.print(f"    {rule.cells:15} {rule.reason}", soft_wrap=True)


def _print_manifest(console: Console, path: Path, config: PdkConfig) -> None:
    """Views and decks one by one, models in one line."""
    table = Table(box=None, padding=(0, 1, 0, 1))
    for column in ("file", "from", "licence", "files in it"):
        table.add_column(column, justify="right" if column == "files in it" else "left", overflow="fold")
    files = load_manifest(path).files
    for entry in files:
        if not entry.path.startswith(config.models):
            table.add_row(Path(entry.path).name, entry.package, entry.licence, f"{entry.n_sources}")
    models = Counter((entry.package, entry.licence) for entry in files if entry.path.startswith(config.models))
    for (package, licence), count in models.items():
        table.add_row("transistor models", package, licence, f"{count}")
    console.print(table)
