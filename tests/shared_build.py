"""A build folder that all workers of one test run share."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def shared_build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder, for one worker at a time, and with no ciel tree in sight."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen") else base
    with (base / "build.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("HOME", "/nonexistent")
        patch.delenv("PDK_ROOT", raising=False)
        yield base / "build"
