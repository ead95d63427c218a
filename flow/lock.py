"""Resolves pyproject.toml into requirements.lock: every package pinned and hashed, for Python 3.11 and 3.12 alike.

./stillwater installs exactly that, with hashes checked and nothing resolved, so that a machine today and one next
year get the same packages.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from flow.tool import run_tool

RESOLVER = "uv==0.13.9"
"""Pinned, installed into a folder of its own: only this task needs it."""

OPTIONS = ("--universal", "--python-version", "3.11", "--fork-strategy", "fewest", "--only-binary", ":all:",
           "--no-strip-extras", "--generate-hashes", "--custom-compile-command", "./stillwater lock")


def write_lock(root: Path) -> None:
    """Writes root/requirements.lock with the newest versions that pyproject.toml allows; ToolError if none fit.

    No address of a package index gets into the file.
    """
    with TemporaryDirectory(prefix="stillwater-lock-") as folder:
        resolver, log, new = (Path(folder) / name for name in ("resolver", "lock.log", "requirements.lock"))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", resolver], check=True)
        run_tool([sys.executable, "-m", "pip", "--python", resolver / "bin" / "python", "install", "--quiet", RESOLVER],
                 log)
        run_tool([resolver / "bin" / "uv", "pip", "compile", *OPTIONS, "--output-file", new, "pyproject.toml"], log,
                 cwd=root)
        part = root / "requirements.lock.part"
        part.write_bytes(new.read_bytes())
        os.replace(part, root / "requirements.lock")
    print(f"requirements.lock: {len(locked_versions(root))} packages")


def locked_versions(root: Path) -> dict[str, str]:
    """Package -> pinned version in root/requirements.lock, without those for other systems or Pythons."""
    from packaging.requirements import Requirement
    requirements = []
    for line in (root / "requirements.lock").read_text().splitlines():
        if line[:1].isalnum():
            requirements.append(Requirement(line.removesuffix("\\").strip()))
    return {r.name: next(iter(r.specifier)).version for r in requirements if not r.marker or r.marker.evaluate()}
