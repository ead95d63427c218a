"""The kinds of cells that tests of quantisation run through."""

from golden.spec import CellSpec

CELLS = {
    "lstm": CellSpec("lstm", 16),
    "gru-after": CellSpec("gru", 16),
    "gru-after-nobias": CellSpec("gru", 16, bias=False),
    "gru-before": CellSpec("gru", 16, reset="before", bias=False),
    "tanh": CellSpec("elman", 16),
    "sigmoid": CellSpec("elman", 16, "sigmoid"),
    "relu": CellSpec("elman", 16, "relu"),
    "identity": CellSpec("elman", 16, "identity"),
}
