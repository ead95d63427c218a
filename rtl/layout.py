"""What a design computes in one time step, in order: phases, tiles, columns, and where each weight lies.

The layout is static: it follows from the network and the datapath alone. The controller walks it, the
weight image is written in it, the cycle formula counts it; none of them decides anything of its own.

Lanes are numbered over all banks: lane = bank * lanes_per_bank + byte of the bank's word.
"""

from dataclasses import dataclass
from functools import cached_property

from golden.spec import CellSpec, ModelSpec

HEADER_WORDS_BIAS = 3  # bias[7:0], bias[15:8], {stored shift, bias[19:16]}
HEADER_WORDS_NO_BIAS = 1  # {stored shift, 0}

# Update kinds in which four accumulators make one unit; in all others every accumulator is one row.
UNIT_KINDS = ("lstm", "gru_after")


@dataclass(frozen=True)
class Segment:
    """A run of columns of a tile: `length` elements of one vector, element 0 first.

    source: "x" (the input stream), "h_old" or "h_new" (cell `cell`'s state before or in this step), or
    "rh" (r * h of the phase's own cell). first_column is where the segment starts among the cell's
    columns [x, h] in golden's order.
    """

    source: str
    cell: int
    length: int
    first_column: int


@dataclass(frozen=True)
class Phase:
    """A group of equally shaped tiles: `n_units` units of `lanes_per_unit` lanes each.

    cell is None for the output layer. gates are the accumulator rows (indices into the quantised cell's
    first axis) that a unit's lanes hold. writes names the vector that the update produces:
    "h", "rh", "z" or "y".
    """

    kind: str
    cell: int | None
    gates: tuple[int, ...]
    n_units: int
    units_per_tile: int
    n_tiles: int
    header_words: int
    segments: tuple[Segment, ...]
    activation: str
    writes: str

    @property
    def n_columns(self) -> int:
        return sum(segment.length for segment in self.segments)

    @property
    def tile_words(self) -> int:
        return self.header_words + self.n_columns

    @property
    def n_words(self) -> int:
        return self.n_tiles * self.tile_words

    def units_in_tile(self, tile: int) -> int:
        """Units that tile number `tile` really holds; the last tile may be partly empty."""
        return min(self.units_per_tile, self.n_units - tile * self.units_per_tile)


@dataclass(frozen=True)
class Layout:
    """The phases of a step and the sizes that follow from them. `lanes` counts over all banks."""

    model: ModelSpec
    banks: int
    lanes_per_bank: int
    phases: tuple[Phase, ...]

    @property
    def lanes(self) -> int:
        return self.banks * self.lanes_per_bank

    @cached_property
    def n_words(self) -> int:
        """Words of every bank that a step reads, output layer included."""
        return sum(phase.n_words for phase in self.phases)

    @cached_property
    def cell_offsets(self) -> tuple[int, ...]:
        """First state index of each cell: the states of all cells are numbered in one row."""
        offsets = [0]
        for size in self.model.hidden_sizes:
            offsets.append(offsets[-1] + size)
        return tuple(offsets[:-1])

    @property
    def n_states(self) -> int:
        return sum(self.model.hidden_sizes)

    @property
    def y_phase(self) -> int:
        """Index of the phase whose update delivers y: the output layer, or the last cell's h."""
        return len(self.phases) - 1


def _cell_segments(model: ModelSpec, cell: int) -> dict[str, Segment]:
    """The three vectors a cell may take its columns from."""
    n_x, n_h = model.cell_input_sizes[cell], model.cells[cell].hidden_size
    x = Segment("x", 0, n_x, 0) if cell == 0 else Segment("h_new", cell - 1, n_x, 0)
    return {"x": x, "h": Segment("h_old", cell, n_h, n_x), "rh": Segment("rh", cell, n_h, n_x)}


def _cell_phases(spec: CellSpec) -> list[tuple[str, tuple[int, ...], str, str]]:
    """(kind, gates, recurrent source, what the update writes) of each phase of a cell."""
    if spec.kind == "lstm":
        return [("lstm", (0, 1, 2, 3), "h", "h")]
    if spec.kind == "elman":
        return [("elman", (0,), "h", "h")]
    if spec.reset == "after":
        return [("gru_after", (0, 1, 2, 3), "h", "h")]
    # r first: r * h is needed by the n rows, and the z tiles give its update time to finish.
    return [("gru_r", (0,), "h", "rh"), ("gru_z", (1,), "h", "z"), ("gru_n", (2,), "rh", "h")]


def build_layout(model: ModelSpec, banks: int, lanes_per_bank: int) -> Layout:
    """Lay a model out over `banks` * `lanes_per_bank` lanes; sizes are checked by DesignConfig."""
    lanes = banks * lanes_per_bank
    phases = []

    def add(kind, cell, gates, n_units, bias, segments, activation, writes):
        units_per_tile = lanes // len(gates)
        header = HEADER_WORDS_BIAS if bias else HEADER_WORDS_NO_BIAS
        n_tiles = -(-n_units // units_per_tile)
        phases.append(Phase(kind, cell, gates, n_units, units_per_tile, n_tiles, header, segments,
                            activation, writes))

    for cell, spec in enumerate(model.cells):
        vectors = _cell_segments(model, cell)
        for kind, gates, recurrent, writes in _cell_phases(spec):
            # What was computed last is read last: the first cell's own h, a later cell's x, and r * h.
            if cell == 0 or recurrent == "rh":
                segments = (vectors["x"], vectors[recurrent])
            else:
                segments = (vectors[recurrent], vectors["x"])
            activation = spec.activation if spec.kind == "elman" else "gates"
            add(kind, cell, gates, spec.hidden_size, spec.bias, segments, activation, writes)

    if model.output is not None:
        last = len(model.cells) - 1
        if model.output.reads == "h":
            segments = (Segment("h_new", last, model.cells[last].hidden_size, 0),)
        else:
            vectors = _cell_segments(model, last)
            segments = (vectors["x"], vectors["h"])
        add("output", None, (0,), model.output.size, model.output.bias, segments,
            model.output.activation, "y")
    return Layout(model, banks, lanes_per_bank, tuple(phases))
