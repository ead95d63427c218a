"""Classification accuracy of the float and the integer network, with how far n sequences let it be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from golden.cells import forward_float, forward_int
from golden.quantized import QuantizedModel
from golden.spec import ModelSpec

Z_95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile: two-sided 95 %."""


@dataclass(frozen=True)
class Accuracy:
    """n_correct of n sequences.

    >>> print(Accuracy(362, 370))
    97.84 % (362 of 370, 95 % interval 95.79 .. 98.90 %)
    """

    n_correct: int
    n: int

    @property
    def fraction(self) -> float:
        return self.n_correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % score interval (Wilson 1927, JASA 22:209): right for few sequences and near 100 % too."""
        p, n, z = self.fraction, self.n, Z_95
        middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)

    def __str__(self) -> str:
        low, high = self.interval
        return (f"{100 * self.fraction:.2f} % ({self.n_correct} of {self.n}, "
                f"95 % interval {100 * low:.2f} .. {100 * high:.2f} %)")


def classify(y: np.ndarray, n_classes: int) -> np.ndarray:
    """The class that outputs y (..., O) stand for: the largest of the first n_classes, the first one of equals.

    y may be real or integer, logits, log-probabilities or hidden states: only the order counts. A model without
    output layer thus answers with the first n_classes units of its last cell's h.
    """
    return np.argmax(y[..., :n_classes], axis=-1)


def float_accuracy(
    model: ModelSpec, params: Mapping[str, np.ndarray], x: np.ndarray, lengths: np.ndarray, labels: np.ndarray,
    n_classes: int
) -> Accuracy:
    """Of the float network on x (T, N, X) in the data set's own units."""
    return count_correct(forward_float(model, params, x, lengths).y_final, labels, n_classes)


def int_accuracy(
    qmodel: QuantizedModel, x: np.ndarray, lengths: np.ndarray, labels: np.ndarray, n_classes: int
) -> Accuracy:
    """Of the integer network, hence of the hardware, on x (T, N, X) in the data set's own units."""
    return count_correct(forward_int(qmodel, qmodel.quantize_input(x), lengths).y_final, labels, n_classes)


def count_correct(y_final: np.ndarray, labels: np.ndarray, n_classes: int) -> Accuracy:
    """y_final (N, O): the outputs of each sequence's last step."""
    return Accuracy(int((classify(y_final, n_classes) == labels).sum()), len(labels))
