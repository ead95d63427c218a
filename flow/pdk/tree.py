"""Where the process's files are: a tree that ciel installed, or the one that `doit pdk` assembles.

Both have the same paths below their root, so that a step only asks `pdk.view("lef")`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flow.parameters import ROOT
from flow.pdk.config import PdkConfig
from golden.spec import SpecError

BUILD = ROOT / "build"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Pdk:
    """A PDK that steps can use.

    root:    the folder of the variant (sky130A): libs.ref and libs.tech are in it.
    source:  "embedded" or "ciel"; decides nothing, reports say it.
    version: of the tree: ciel's revision, or the packages that the embedded one is made from.
    """

    config: PdkConfig
    root: Path
    source: str
    version: str

    def view(self, name: str) -> Path:
        """A view of the standard cells (pdk_configs: views)."""
        return self._path(self.config.views, name, "view")

    def deck(self, name: str) -> Path:
        """A rule deck or set-up file (pdk_configs: decks)."""
        return self._path(self.config.decks, name, "deck")

    def liberty(self, corner: str) -> Path:
        """The Liberty file of a corner; SpecError while there is none."""
        if corner not in self.config.corners:
            raise SpecError(f"corner must be one of {', '.join(self.config.corners)}, not {corner!r}")
        path = self.root / self.config.corners[corner].liberty
        if not path.is_file():
            raise SpecError(f"no Liberty file for corner {corner} in the {self.source} tree ({path}); the embedded "
                            "tree takes it from pdk_configs/liberty, where it is not: run ./stillwater library "
                            "(an hour), or use a ciel tree, which has one")
        return path

    def missing_liberty(self) -> list[str]:
        """Corners without a Liberty file."""
        return [name for name, corner in self.config.corners.items() if not (self.root / corner.liberty).is_file()]

    def _path(self, paths: Mapping[str, str], name: str, kind: str) -> Path:
        if name not in paths:
            where = f"pdk_configs/{self.config.name}.yaml"
            raise SpecError(f"{kind} must be one of {', '.join(paths)}, not {name!r} ({where})")
        path = self.root / paths[name]
        if not path.exists():
            raise SpecError(f"the {self.source} tree of {self.config.name} lacks its {name} ({path}); "
                            f"{remedy(self.source)}")
        return path


def remedy(source: str) -> str:
    """What to do about a tree that is not whole."""
    if source == "embedded":
        return "run: ./stillwater forget pdk && ./stillwater pdk"
    return "install it again with ciel, or unset PDK_ROOT to use the embedded tree"


def embedded_root(config: PdkConfig, build: Path = BUILD) -> Path:
    return build / "pdk" / config.name / config.variant


def load_pdk(config: PdkConfig, build: Path = BUILD, env: Mapping[str, str] = os.environ) -> Pdk:
    """The tree to use: ciel's where there is one (PDK_ROOT, else ~/.ciel), else the embedded one.

    SpecError, with what to do: PDK_ROOT names no tree, its revision is another than expected, files are missing, or
    the embedded tree has not been assembled.
    """
    found = find_ciel(config, env)
    if found is None:
        root = embedded_root(config, build)
        if not (root.parent / MANIFEST).is_file():
            raise SpecError(f"no {config.name} tree: neither PDK_ROOT nor ~/.ciel has one, and the embedded one has "
                            "not been assembled; run: ./stillwater pdk")
        found = Pdk(config, root, "embedded", ", ".join(f"{p.name} {p.version}" for p in config.packages))
    for name in config.views:
        found.view(name)
    for name in config.decks:
        found.deck(name)
    return found


def find_ciel(config: PdkConfig, env: Mapping[str, str] = os.environ) -> Pdk | None:
    """A tree that ciel installed, or None; SpecError when PDK_ROOT is set to something else or of another revision."""
    given = env.get("PDK_ROOT", "")
    place = Path(given) if given else Path(env.get("HOME", "/nonexistent")) / ".ciel"
    root = place / config.variant
    if not root.is_dir():
        if not given:
            return None
        raise SpecError(f"PDK_ROOT must be a folder with {config.variant} in it, not {given}; unset it to use the "
                        f"embedded tree, or run: ciel enable --pdk-family {config.name} {config.ciel_versions[0]}")
    version = ciel_version(root)
    if version not in config.ciel_versions:
        raise SpecError(f"the {config.name} tree in {place} must be revision {' or '.join(config.ciel_versions)} of "
                        f"open_pdks, not {version or 'unknown'}; unset PDK_ROOT (or rename ~/.ciel) to use the "
                        f"embedded tree, or run: ciel enable --pdk-family {config.name} {config.ciel_versions[0]}")
    return Pdk(config, root, "ciel", version)


def ciel_version(root: Path) -> str:
    """The revision of a tree: ciel links <PDK_ROOT>/<variant> to ciel/<family>/versions/<revision>/<variant>."""
    parent = root.resolve().parent
    return parent.name if parent.parent.name == "versions" else ""
