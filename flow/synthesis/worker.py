"""Runs a Yosys script in a process of its own: `python worker.py script.ys`, in the folder of its files.

Yosys ends its process on an error and may crash; here that costs nothing but this process.
"""

import sys
from pathlib import Path

from pyosys import libyosys


def main(script: str) -> None:
    design = libyosys.Design()
    for line in Path(script).read_text(encoding="utf-8").splitlines():
        if line.strip():
            libyosys.run_pass(line, design)


if __name__ == "__main__":
    main(sys.argv[1])
