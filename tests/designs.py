"""Random networks on random datapaths, for the property tests of the hardware."""


import msgspec
from hypothesis import assume
from hypothesis import strategies as st

from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec
from rtl.config import DesignConfig, design_from_mapping
from rtl.layout import build_layout

HIDDEN_SIZES = st.integers(1, 9)
BANK_WORDS = 512


@st.composite
def cells(draw) -> CellSpec:
    kind = draw(st.sampled_from(["lstm", "gru", "gru", "elman"]))
    options = {"bias": draw(st.booleans())}
    if kind == "gru":
        options["reset"] = draw(st.sampled_from(["after", "before"]))
    if kind == "elman":
        options["activation"] = draw(st.sampled_from(["tanh", "sigmoid", "relu", "identity"]))
    return CellSpec(kind, draw(HIDDEN_SIZES), **options)


@st.composite
def outputs(draw) -> OutputSpec | None:
    if draw(st.integers(0, 3)) == 0:
        return None
    activation = draw(st.sampled_from(["identity", "log_softmax", "tanh", "sigmoid", "relu"]))
    return OutputSpec(draw(st.integers(1, 7)), activation, draw(st.sampled_from(["h", "xh"])), draw(st.booleans()))


@st.composite
def models(draw) -> ModelSpec:
    """Any cells, mixed in one stack of up to three, with any output layer or none."""
    stack = tuple(draw(st.lists(cells(), min_size=1, max_size=3)))
    return ModelSpec(draw(st.integers(1, 7)), stack, draw(outputs()))


@st.composite
def designs(draw) -> DesignConfig:
    """A model on a datapath that can hold it: every word width, 1 to 3 (or 4, 8) banks, 1, 2 or 4 streams."""
    model = draw(models())
    rows = max(
        max(len(c.gates) * c.hidden_size if len(c.gates) == 4 else c.hidden_size for c in model.cells),
        0 if model.output is None else model.output.size,
    )
    needs_four = any(len(c.gates) == 4 for c in model.cells)
    choices = [
        (banks, bits)
        for bits in (8, 16, 32, 64) for banks in (1, 2, 3, 4, 8)
        if banks * bits // 8 <= rows and (not needs_four or banks * bits // 8 % 4 == 0)
    ]
    banks, bits = draw(st.sampled_from(choices))
    quant = QuantSpec(weight_bits=draw(st.integers(4, 8)), activation_segment_bits=draw(st.integers(2, 5)))
    streams = draw(st.sampled_from([1, 1, 2, 4]))
    assume(build_layout(model, banks, bits // 8).n_words <= BANK_WORDS)
    return make_design(model, banks, bits, streams, quant)


def make_design(
    model: ModelSpec, banks: int, word_bits: int, streams: int = 1, quant: QuantSpec = QuantSpec()
) -> DesignConfig:
    """A design around a model, checked like one from a file."""
    mapping = {
        "title": "made by a test",
        "model": msgspec.to_builtins(model),
        "quant": {"weight_bits": quant.weight_bits, "activation_segment_bits": quant.activation_segment_bits},
        "data": {"name": "ItalyPowerDemand"},
        "weights": "none.npz",
        "clock_period_ns": 20,
        "datapath": {
            "banks": banks, "bank_words": BANK_WORDS, "word_bits": word_bits, "streams": streams, "memory": "flexmem",
        },
    }
    mapping["model"] = {k: v for k, v in mapping["model"].items() if v is not None}
    return design_from_mapping(mapping, "made", "test")


