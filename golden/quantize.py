"""Quantisation of a trained float network by calibration (PTQ)."""

from golden.quantized import (  # noqa: F401  (one place to import all of quantisation from)
    QuantizedCell,
    QuantizedModel,
    QuantizedOutput,
    load_model,
)
from golden.random_model import random_quantized_model  # noqa: F401
