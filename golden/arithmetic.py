"""The hooks at which a forward pass in real numbers differs from exact arithmetic.

`EXACT` leaves every number alone. `golden.qat` has the other one: it rounds wherever the hardware does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from golden.cells_float import sigmoid

Params = Mapping[str, np.ndarray]


class Arithmetic:
    """Exact real numbers: the hooks at which a fake-quantised forward pass differs. `layer` counts cells from 0."""

    def params(self, params: Params) -> Params:
        """The parameters that the network computes with."""
        return params

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """The inputs (T, B, X) that the network reads."""
        return x

    def tanh(self, a: np.ndarray) -> np.ndarray:
        """tanh of a pre-activation (LSTM g, GRU n, Elman, output)."""
        return np.tanh(a)

    def sigmoid(self, a: np.ndarray) -> np.ndarray:
        return sigmoid(a)

    def linear(self, a: np.ndarray, layer: int | None) -> np.ndarray:
        """The pre-activation of relu and identity, before either; layer None is the output layer."""
        return a

    def preactivation(self, a: np.ndarray) -> np.ndarray:
        """A pre-activation that is not yet the activation's argument (n_x and n_h of GRU reset after)."""
        return a

    def hidden(self, h: np.ndarray, layer: int) -> np.ndarray:
        """A new h, or r*h of GRU reset before."""
        return h

    def cell(self, c: np.ndarray, layer: int) -> np.ndarray:
        """A new c of an LSTM."""
        return c


EXACT = Arithmetic()
