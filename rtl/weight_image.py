"""The weight image: which bits go into which word of which bank, and back.

Image (banks, n_words) of unsigned words; the order is docs/datapath.md's: phase by phase, tile by tile, header
words, then one word a column; byte k of a word belongs to lane bank * lanes_per_bank + k.
"""

import json
import zlib

import numpy as np

from golden.differences import differences
from golden.quantize import QuantizedModel
from golden.spec import SpecError
from rtl.config import LANE_BITS, DesignConfig
from rtl.layout import HEADER_WORDS_BIAS, Phase


def build_image(design: DesignConfig, qmodel: QuantizedModel) -> np.ndarray:
    """The words of all banks, uint64 (banks, layout.n_words); SpecError if the network is not the design's."""
    check_belongs(design, qmodel)
    layout = design.layout
    lane_bytes = np.zeros((layout.n_words, layout.lanes), np.uint8)
    word = 0
    for phase in layout.phases:
        w, bias, shift = _phase_rows(qmodel, phase)
        for tile in range(phase.n_tiles):
            first = tile * phase.units_per_tile * len(phase.gates)
            rows = slice(first, first + layout.lanes)
            n_rows = len(w[rows])
            block = lane_bytes[word : word + phase.tile_words, :n_rows]
            stored_shift = shift[rows].astype(np.int64) - design.quant.shift_min
            block[: phase.header_words] = _header_bytes(bias[rows], stored_shift, phase.header_words)
            block[phase.header_words :] = w[rows].T.astype(np.uint8)
            word += phase.tile_words
    return _pack(lane_bytes, layout.banks)


def parse_image(design: DesignConfig, image: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The inverse of `build_image`: per phase (w (units, gates, columns) int8, bias int32, shift int8).

    Columns are in the phase's own order (its segments one after the other).
    """
    layout = design.layout
    lane_bytes = _unpack(image, layout.lanes_per_bank)
    result, word = [], 0
    for phase in layout.phases:
        n_gates = len(phase.gates)
        w = np.zeros((phase.n_units * n_gates, phase.n_columns), np.int8)
        bias = np.zeros(phase.n_units * n_gates, np.int32)
        shift = np.zeros(phase.n_units * n_gates, np.int8)
        for tile in range(phase.n_tiles):
            first = tile * phase.units_per_tile * n_gates
            n_rows = phase.units_in_tile(tile) * n_gates
            block = lane_bytes[word : word + phase.tile_words, :n_rows]
            w[first : first + n_rows] = block[phase.header_words :].T.view(np.int8)
            bias[first : first + n_rows], stored_shift = _parse_header(block[: phase.header_words])
            shift[first : first + n_rows] = stored_shift + design.quant.shift_min
            word += phase.tile_words
        shape = (phase.n_units, n_gates)
        result.append((w.reshape(*shape, -1), bias.reshape(shape), shift.reshape(shape)))
    return result


def check_belongs(design: DesignConfig, qmodel: QuantizedModel) -> None:
    """SpecError unless the quantised network has the design's shape and weight width."""
    train = f"train again with `./stillwater train design={design.reference}`"
    if qmodel.model != design.model:
        different = "; ".join(differences(design.model, qmodel.model))
        raise SpecError(f"weights must be of the design's network, but {different}: {train} "
                        f"({design.file_name}: weights)")
    if qmodel.quant.weight_bits != design.quant.weight_bits:
        raise SpecError(f"weights must have {design.quant.weight_bits} bits, not {qmodel.quant.weight_bits}: {train} "
                        f"({design.file_name}: quant.weight_bits)")
    if qmodel.quant.activation_segment_bits != design.quant.activation_segment_bits:
        raise SpecError(f"weights must be quantised for activation_segment_bits "
                        f"{design.quant.activation_segment_bits}, not {qmodel.quant.activation_segment_bits}: {train} "
                        f"({design.file_name}: quant.activation_segment_bits)")


def format_crc32(design: DesignConfig, qmodel: QuantizedModel) -> int:
    """CRC-32 of all that a weight image and the hardware must agree on; register LAYOUT.

    Where each weight lies, the weight width (with it the stored shift's offset), the activation table, and the
    formats of c, which are built in.
    """
    layout = design.layout
    phases = [
        [p.kind, p.cell, p.gates, p.n_units, p.units_per_tile, p.header_words, p.activation]
        + [[s.source, s.cell, s.length] for s in p.segments]
        for p in layout.phases
    ]
    formats = [design.quant.weight_bits, design.quant.activation_segment_bits]
    formats += [cell.c_frac_bits for cell in qmodel.cells if cell.spec.kind == "lstm"]
    text = json.dumps([layout.banks, layout.lanes_per_bank, phases, formats], separators=(",", ":"))
    return zlib.crc32(text.encode())


def phase_columns(qmodel: QuantizedModel, phase: Phase) -> np.ndarray:
    """Golden column indices in the order in which the phase's segments read them."""
    return np.concatenate([np.arange(s.first_column, s.first_column + s.length) for s in phase.segments])


def _phase_rows(qmodel: QuantizedModel, phase: Phase) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The phase's accumulator rows in lane order: w (rows, columns), bias (rows,), shift (rows,)."""
    columns = phase_columns(qmodel, phase)
    if phase.cell is None:
        layer = qmodel.output
        return layer.w[:, columns], layer.bias, layer.shift
    layer, gates = qmodel.cells[phase.cell], list(phase.gates)
    # Gate-major in golden, unit-major in the lanes: everything of one unit lies side by side.
    w = layer.w[gates][:, :, columns].transpose(1, 0, 2).reshape(-1, len(columns))
    return w, layer.bias[gates].T.reshape(-1), layer.shift[gates].T.reshape(-1)


def _header_bytes(bias: np.ndarray, stored_shift: np.ndarray, header_words: int) -> np.ndarray:
    bias = bias.astype(np.int64)
    last = (stored_shift << 4) | ((bias >> 16) & 15)
    if header_words == HEADER_WORDS_BIAS:
        return np.stack([bias & 255, (bias >> 8) & 255, last]).astype(np.uint8)
    return last[None].astype(np.uint8)


def _parse_header(header: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    planes = header.astype(np.int32)
    high = ((planes[-1] & 15) ^ 8) - 8
    low = planes[0] | (planes[1] << 8) if len(planes) == HEADER_WORDS_BIAS else 0
    return (high << 16) | low, planes[-1] >> 4


def _pack(lane_bytes: np.ndarray, banks: int) -> np.ndarray:
    n_words, lanes = lane_bytes.shape
    per_bank = lane_bytes.reshape(n_words, banks, lanes // banks).astype(np.uint64)
    shifts = np.arange(lanes // banks, dtype=np.uint64) * np.uint64(LANE_BITS)
    return (per_bank << shifts).sum(axis=2, dtype=np.uint64).T.copy()


def _unpack(image: np.ndarray, lanes_per_bank: int) -> np.ndarray:
    shifts = np.arange(lanes_per_bank, dtype=np.uint64) * np.uint64(LANE_BITS)
    per_bank = (image.astype(np.uint64)[:, :, None] >> shifts) & np.uint64(255)
    return per_bank.astype(np.uint8).transpose(1, 0, 2).reshape(image.shape[1], -1)
