"""Design files: a network, how it is quantised and trained, and the datapath that shall compute it.

`load_design` is the only way in: it reads a YAML file, refuses what is unknown, mistyped or impossible, and
says where. What it returns can be trusted by everything after it.
"""

import difflib
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from golden.dataset import DataSpec
from golden.fit import TrainSpec
from golden.spec import ModelSpec, QuantSpec, Spec, SpecError, check_choice, check_int
from golden.spec_load import load_spec
from golden.yaml_file import load_yaml
from rtl.layout import UNIT_KINDS, Layout, build_layout

DESIGN_DIR = Path(__file__).parent / "designs"
TRAINED_DIR = Path(__file__).parent.parent / "golden" / "trained"

STREAMS = (1, 2, 4)
LANE_BITS = 8  # one byte of a bank word per lane, whatever the weight width
MEMORIES = ("flexmem", "openram", "flipflop")
# Words and word widths that each kind of memory comes in (docs/datapath.md, SRAM seam).
FLEXMEM_WORDS, FLEXMEM_BITS = 512, (8, 16, 32, 64)
OPENRAM_SHAPES = ((256, 32), (512, 32))
FLIPFLOP_MAX_BITS = 8192  # beyond this, flip-flops cost more than a macro: refuse rather than surprise
STATE_WINDOW = 1024  # states per stream that the address map holds
BANK_WINDOW_BYTES = 0x80000  # and bytes of bank words
MAX_INPUT_SIZE, MAX_CELLS = 1024, 15


class DatapathConfig(Spec, frozen=True):
    """The hardware around a network.

    banks       SRAM banks, 1 .. 64, all read at the same address every cycle.
    bank_words  words of a bank.
    word_bits   8, 16, 32 or 64: one lane (MAC) per byte.
    streams     1, 2 or 4 independent sequences that share every weight read.
    memory      flexmem (c4m-flexmem 512xW), openram (256x32 or 512x32) or flipflop (tiny designs).
    """

    banks: int
    bank_words: int
    word_bits: int
    memory: str
    streams: int = 1

    def __post_init__(self) -> None:
        check_int("banks", self.banks, 1, 64)
        check_int("bank_words", self.bank_words, 1, 4096)
        if self.word_bits not in FLEXMEM_BITS:
            raise SpecError(f"word_bits must be one of {', '.join(map(str, FLEXMEM_BITS))}, not {self.word_bits!r}")
        if self.streams not in STREAMS:
            raise SpecError(f"streams must be one of {', '.join(map(str, STREAMS))}, not {self.streams!r}")
        check_choice("memory", self.memory, MEMORIES)
        shape = f"{self.bank_words}x{self.word_bits}"
        if self.memory == "flexmem" and self.bank_words != FLEXMEM_WORDS:
            raise SpecError(f"bank_words must be {FLEXMEM_WORDS} with memory flexmem, not {self.bank_words}")
        if self.memory == "openram" and (self.bank_words, self.word_bits) not in OPENRAM_SHAPES:
            allowed = ", ".join(f"{words}x{bits}" for words, bits in OPENRAM_SHAPES)
            raise SpecError(f"bank_words x word_bits must be one of {allowed} with memory openram, not {shape}")
        window = self.banks * self.word_stride << self.address_bits
        if window > BANK_WINDOW_BYTES:
            raise SpecError(f"banks must take at most {BANK_WINDOW_BYTES} bytes of the address map, not {window} "
                            f"({self.banks} of {shape}, words rounded up to a power of two): use fewer or smaller ones")
        bits = self.banks * self.bank_words * self.word_bits
        if self.memory == "flipflop" and bits > FLIPFLOP_MAX_BITS:
            raise SpecError(
                f"memory flipflop must hold at most {FLIPFLOP_MAX_BITS} bits, not {bits} "
                f"({self.banks} banks of {shape}): use flexmem or openram"
            )

    @property
    def lanes_per_bank(self) -> int:
        return self.word_bits // LANE_BITS

    @property
    def lanes(self) -> int:
        """MACs per stream."""
        return self.banks * self.lanes_per_bank

    @property
    def word_stride(self) -> int:
        """Bytes from one word to the next in the address map."""
        return max(4, self.word_bits // 8)

    @property
    def address_bits(self) -> int:
        return max(1, (self.bank_words - 1).bit_length())


class DesignConfig(Spec, frozen=True, dict=True):
    """Everything that a design file says; `name` is the file's name without ending, `weights_dir` the folder of
    its weights: golden/trained for shipped designs, the design file's own for others. `asic` is what the layout is
    asked for; flow/asic_spec.py says and checks what may stand there."""

    derived_fields: ClassVar[tuple[str, ...]] = ("name", "weights_dir")

    name: str
    weights_dir: str
    title: str
    model: ModelSpec
    data: DataSpec
    weights: str
    datapath: DatapathConfig
    clock_period_ns: float
    train: TrainSpec = TrainSpec()
    quant: QuantSpec = QuantSpec()
    asic: dict[str, Any] = {}

    @cached_property
    def layout(self) -> Layout:
        return build_layout(self.model, self.datapath.banks, self.datapath.lanes_per_bank)

    @property
    def acc_bits(self) -> int:
        """Accumulator width: exact for the largest fan-in, and wide enough for a header's 20-bit bias."""
        return max(self.quant.bias_bits + 1, self.model.acc_bits(self.quant))

    @property
    def weights_path(self) -> Path:
        return Path(self.weights_dir) / self.weights

    @property
    def reference(self) -> str:
        """What `load_design` finds it by, and `design=` on the command line: the name if shipped, else the path."""
        return self.name if self.weights_dir == str(TRAINED_DIR) else str(Path(self.weights_dir) / self.file_name)

    @property
    def file_name(self) -> str:
        """Names the design file in messages."""
        return f"{self.name}.yaml"

    @property
    def module_name(self) -> str:
        return f"stillwater_{self.name}"


def design_names() -> list[str]:
    """Names of the designs that come with Stillwater, in alphabetical order."""
    return sorted(path.stem for path in DESIGN_DIR.glob("*.yaml"))


def find_design(name_or_path: str | Path) -> Path:
    """The design file for a shipped name or a path that ends in .yaml; SpecError with the nearest name."""
    path = Path(name_or_path)
    if path.suffix == ".yaml":
        if path.is_file():
            return path
        what = "a folder" if path.is_dir() else "not there"
        raise SpecError(f"design file must exist, but {path} is {what}: give a .yaml file or one of {_known()}")
    if path.suffix == ".yml":
        raise SpecError(f"a design file must end in .yaml, not .yml: rename {path}")
    path = DESIGN_DIR / f"{name_or_path}.yaml"
    if path.is_file():
        return path
    near = difflib.get_close_matches(str(name_or_path), design_names(), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise SpecError(f"design must be one of {_known()} or a path to a .yaml file, not {name_or_path!s}{hint}")


def load_design(name_or_path: str | Path) -> DesignConfig:
    """Read, validate and cross-check a design; SpecError says what is wrong and where."""
    path = find_design(name_or_path)
    mapping = load_yaml(path)
    _place_data(mapping, path)
    return design_from_mapping(mapping, path.stem, path.name, weights_dir(path))


def _place_data(mapping: Any, design_file: Path) -> None:
    """A relative data.path means: from the design file, wherever the command was given."""
    data = mapping.get("data") if isinstance(mapping, dict) else None
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = str(design_file.parent.resolve() / data["path"])


def weights_dir(design_file: Path) -> Path:
    """Where the weights of a design file lie."""
    return TRAINED_DIR if design_file.parent.resolve() == DESIGN_DIR.resolve() else design_file.parent.resolve()


def design_from_mapping(mapping: Any, name: str, where: str, weights: Path = TRAINED_DIR) -> DesignConfig:
    """A DesignConfig from plain data; `where` is named in every message, `weights` is the folder of its weights."""
    if not name.isidentifier():
        raise SpecError(f"design name must be letters, digits and _, not {name!r} ({where}): it names Verilog modules")
    if isinstance(mapping, dict):
        derived = dict(zip(DesignConfig.derived_fields, (name, str(weights)), strict=True))
        for field in derived.keys() & mapping.keys():
            raise SpecError(f"{field} must not be given: it follows from the design file's place ({where}: {field})")
        mapping = derived | mapping
    design = load_spec(DesignConfig, mapping, where)
    check_design(design, where)
    return design


def check_design(design: DesignConfig, where: str) -> None:
    """Refuse combinations of network and datapath that cannot work; SpecError names the field."""

    def refuse(message: str, field: str) -> None:
        raise SpecError(f"{message} ({where}: {field})")

    datapath, model = design.datapath, design.model
    if not 0 < design.clock_period_ns < 1e6:
        refuse(f"clock_period_ns must be above 0 and below 1e6, not {design.clock_period_ns}", "clock_period_ns")
    if model.input_size > MAX_INPUT_SIZE:
        refuse(f"input_size must be at most {MAX_INPUT_SIZE}, not {model.input_size}", "model.input_size")
    if len(model.cells) > MAX_CELLS:
        refuse(f"cells must be at most {MAX_CELLS}, not {len(model.cells)}", "model.cells")
    if sum(model.hidden_sizes) > STATE_WINDOW:
        refuse(f"hidden sizes must add up to at most {STATE_WINDOW}, not {sum(model.hidden_sizes)}", "model.cells")

    if any(phase.kind in UNIT_KINDS for phase in design.layout.phases) and datapath.lanes % 4:
        refuse(f"lanes (banks * word_bits / 8) must be a multiple of 4 for LSTM and GRU with reset after, "
               f"one lane a gate, not {datapath.lanes}", "datapath.banks")
    most_rows = max(phase.n_units * len(phase.gates) for phase in design.layout.phases)
    if datapath.lanes > most_rows:
        refuse(f"lanes (banks * word_bits / 8) must be at most the {most_rows} accumulator rows of the largest layer, "
               f"not {datapath.lanes}: use fewer banks or narrower words", "datapath.banks")
    if design.layout.n_words > datapath.bank_words:
        refuse(f"weights must fit in {datapath.bank_words} words a bank, not {design.layout.n_words}: "
               f"use more banks, wider words or smaller layers", "datapath.bank_words")


def _known() -> str:
    return ", ".join(design_names())
