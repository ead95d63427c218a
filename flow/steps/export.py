"""`./stillwater export`: everything that a chip or an FPGA project needs of a design, in one folder."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np

from flow.metrics import Metrics, Value
from flow.simulate.session import pieces
from flow.simulate.verilog import MEMORY_FILES
from flow.step import Step, Work, file_sha256, run_step
from golden.quantized import QuantizedModel
from golden.weights import load_weights
from rtl.address_map import bank_window
from rtl.config import DesignConfig, find_design, load_design
from rtl.export import export_verilog
from rtl.weight_image import build_image, format_crc32

WEIGHTS_FILE = "weights.hex"
WEIGHTS_HEAD = "// One Wishbone write a line, in order: byte address, 32-bit data. Layout {layout:08x}.\n"


def run_export(design_reference: str | Path, build: Path) -> Metrics:
    """Export a design into build/<name>-export; prints what is there. SpecError for bad input, before any work."""
    design = load_design(design_reference)
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    step = Step("export", run=partial(export_files, design, weights.qmodel))
    result = build / f"{design.name}-export"
    inputs = [find_design(design_reference), design.weights_path]
    metrics = run_step(step, result, config={"design": design.name}, inputs=inputs)
    print(f"{design.name}: exported into {result}")
    for path in sorted(result.iterdir()):
        print(f"  {path.stat().st_size:>9,} bytes  {path.name}")
    return metrics


def export_files(design: DesignConfig, qmodel: QuantizedModel, work: Work) -> dict[str, Value]:
    """Write core, wrapper, the memories' simulation model and the weight image into the step's folder."""
    files = export_verilog(design, qmodel, work.folder)
    memory = MEMORY_FILES[design.datapath.memory]
    shutil.copyfile(memory, work.folder / memory.name)
    image = build_image(design, qmodel)
    layout = format_crc32(design, qmodel)
    write_weights(design, image, layout, work.folder / WEIGHTS_FILE)
    return {
        "export__layout": f"{layout:08x}",
        "export__core__sha256": file_sha256(files["core"]),
        "export__wrapper__sha256": file_sha256(files["wrapper"]),
        "export__weights__sha256": file_sha256(work.folder / WEIGHTS_FILE),
        "export__core__line__count": len(files["core"].read_text().splitlines()),
        "export__weight_word__count": int(image.size),
    }


def write_weights(design: DesignConfig, image: np.ndarray, layout: int, path: Path) -> None:
    """The weight image as the writes of a host: `address data` in hexadecimal, a line each."""
    window, word_bits = bank_window(design.datapath), design.datapath.word_bits
    lines = [WEIGHTS_HEAD.format(layout=layout)]
    for bank, words in enumerate(image.tolist()):
        for word, value in enumerate(words):
            for piece, data in enumerate(pieces(value, word_bits)):
                lines.append(f"{window.address(bank, word, piece):05x} {data:08x}\n")
    path.write_text("".join(lines))
