"""The training loop: Adam with a cosine learning rate over augmented mini-batches, gradients from `golden.bptt`.

Shape letters: T steps, B sequences of a batch, N sequences in all, X channels, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from golden import bptt
from golden.arithmetic import EXACT, Arithmetic
from golden.cells_float import log_softmax
from golden.spec import ModelSpec, Spec, SpecError, check_choice, check_int

LOSSES = ("last", "every")


class TrainSpec(Spec, frozen=True, kw_only=True):
    """How a network is trained; everything that a result depends on beside the data and the model.

    seed               of initial weights, order and augmentation: the same seed gives the same weights.
    epochs             passes over the training set in floating point; there is no early stopping.
    batch_size         sequences a batch.
    learning_rate      Adam's step at the beginning; it falls to 0 along half a cosine.
    weight_decay       decoupled (AdamW), on weight matrices only.
    gradient_clip      largest norm of the gradient over all parameters.
    input_noise        standard deviation of noise added to every value, in units of the channel's own.
    channel_noise      the same for one constant a sequence and channel.
    crop               largest part of a sequence that is cut off, at either end or both.
    loss               cross-entropy at the "last" step of each sequence, or the mean over "every" step.
    readout_scale      factor on y before the softmax of the loss. A model without output layer, whose |y| < 1,
                       needs one to be sure of anything; the largest y stays the largest, so inference ignores it.
    qat_epochs         passes of quantisation-aware fine-tuning after calibration; 0: calibration alone.
    qat_learning_rate  as learning_rate, of the fine-tuning.
    """

    seed: int = 1
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    input_noise: float = 0.0
    channel_noise: float = 0.0
    crop: float = 0.0
    loss: str = "last"
    readout_scale: float = 1.0
    qat_epochs: int = 0
    qat_learning_rate: float = 0.001

    def __post_init__(self) -> None:
        for what, low in (("seed", 0), ("epochs", 1), ("batch_size", 1), ("qat_epochs", 0)):
            check_int(what, getattr(self, what), low)
        check_choice("loss", self.loss, LOSSES)
        for what in ("learning_rate", "gradient_clip", "readout_scale", "qat_learning_rate"):
            _check_number(what, getattr(self, what), "above 0", lambda value: value > 0)
        for what in ("weight_decay", "input_noise", "channel_noise"):
            _check_number(what, getattr(self, what), "of at least 0", lambda value: value >= 0)
        _check_number("crop", self.crop, "of at least 0 and below 1", lambda value: 0 <= value < 1)


def _check_number(what: str, value: object, allowed: str, test: Callable[[float], bool]) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or not test(value):
        raise SpecError(f"{what} must be a number {allowed}, not {value!r}")


@dataclass(frozen=True)
class Sequences:
    """Labelled sequences in the units that a network computes in.

    x (T, N, X); lengths (N,); labels (N,), 0 .. n_classes - 1; deviation (X,): what one unit of noise is.
    """

    x: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    n_classes: int
    deviation: np.ndarray

    def pick(self, index: np.ndarray) -> Sequences:
        """Those of the given positions, in that order."""
        return replace(self, x=self.x[:, index], lengths=self.lengths[index], labels=self.labels[index])


def init_params(model: ModelSpec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Input weights uniform within +-1/sqrt(H), orthogonal recurrent blocks, biases 0 but 1 for an LSTM's f."""
    params: dict[str, np.ndarray] = {}
    for layer, (spec, x_size) in enumerate(zip(model.cells, model.cell_input_sizes, strict=True)):
        n, gates, prefix = spec.hidden_size, spec.n_float_gates, f"cells.{layer}."
        params[prefix + "w_ih"] = rng.uniform(-1, 1, (gates * n, x_size)) / np.sqrt(n)
        blocks = [np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(gates)]
        params[prefix + "w_hh"] = np.concatenate(blocks)
        if spec.bias:
            params[prefix + "b_ih"], params[prefix + "b_hh"] = np.zeros(gates * n), np.zeros(gates * n)
            if spec.kind == "lstm":
                params[prefix + "b_ih"][n : 2 * n] = 1.0
    if model.output is not None:
        shape = (model.output.size, model.output_fan_in)
        params["output.w"] = rng.uniform(-1, 1, shape) / np.sqrt(model.output_fan_in)
        if model.output.bias:
            params["output.b"] = np.zeros(model.output.size)
    return params


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) with decoupled weight decay; changes `params` in place."""

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, params: dict[str, np.ndarray], weight_decay: float, gradient_clip: float) -> None:
        self.params, self.weight_decay, self.gradient_clip = params, weight_decay, gradient_clip
        self.mean = {name: np.zeros_like(p) for name, p in params.items()}
        self.square = {name: np.zeros_like(p) for name, p in params.items()}
        self.n_updates = 0

    def update(self, grads: dict[str, np.ndarray], learning_rate: float) -> None:
        norm = np.sqrt(sum(float(np.vdot(g, g)) for g in grads.values()))
        clip = min(1.0, self.gradient_clip / norm) if norm > 0 else 1.0
        self.n_updates += 1
        correct_mean, correct_square = 1 - self.BETA_1**self.n_updates, 1 - self.BETA_2**self.n_updates
        for name, p in self.params.items():
            g, mean, square = grads[name] * clip, self.mean[name], self.square[name]
            mean += (1 - self.BETA_1) * (g - mean)
            square += (1 - self.BETA_2) * (g * g - square)
            p -= learning_rate * (mean / correct_mean) / (np.sqrt(square / correct_square) + self.EPSILON)
            if p.ndim == 2:
                p *= 1 - learning_rate * self.weight_decay


def cross_entropy(
    y: np.ndarray, labels: np.ndarray, step_weights: np.ndarray, n_classes: int, readout_scale: float
) -> tuple[float, np.ndarray]:
    """Cross-entropy of softmax(readout_scale * y[..., :n_classes]), weighted over steps, and its gradient at y.

    y (T, B, O); labels (B,); step_weights (T, B). Log-probabilities may stand for logits: log_softmax leaves them
    as they are, so one function serves every output layer.
    """
    log_p = log_softmax(readout_scale * y[..., :n_classes])
    columns = np.arange(len(labels))
    loss = -float((step_weights * log_p[:, columns, labels]).sum())
    d_logits = np.exp(log_p)
    d_logits[:, columns, labels] -= 1
    dy = np.zeros_like(y)
    dy[..., :n_classes] = readout_scale * step_weights[..., None] * d_logits
    return loss, dy


def step_weights(loss: str, lengths: np.ndarray) -> np.ndarray:
    """(T, B) that sum to 1: what each step counts in the mean loss of a batch.

    >>> step_weights("every", np.array([2, 1])).tolist()
    [[0.25, 0.5], [0.25, 0.0]]
    """
    t = np.arange(lengths.max())[:, None]
    inside = (t == lengths - 1) * 1.0 if loss == "last" else (t < lengths) / lengths
    return inside / len(lengths)


def augment(batch: Sequences, spec: TrainSpec, rng: np.random.Generator) -> Sequences:
    """A batch as training sees it: cut at random, noise added; T becomes that of the longest sequence left."""
    x, lengths = batch.x, batch.lengths
    if spec.crop:
        n_cut = rng.integers(0, (spec.crop * lengths).astype(np.int64), endpoint=True)
        start = rng.integers(0, n_cut, endpoint=True)
        lengths = lengths - n_cut
        x = x[np.minimum(start + np.arange(lengths.max())[:, None], batch.lengths - 1), np.arange(len(lengths))]
    x = x[: lengths.max()]
    if spec.channel_noise:
        x = x + spec.channel_noise * batch.deviation * rng.standard_normal(x.shape[1:])
    if spec.input_noise:
        x = x + spec.input_noise * batch.deviation * rng.standard_normal(x.shape)
    return replace(batch, x=x, lengths=lengths)


def fit(
    model: ModelSpec,
    params: dict[str, np.ndarray],
    data: Sequences,
    spec: TrainSpec,
    n_epochs: int,
    learning_rate: float,
    rng: np.random.Generator,
    report: Callable[[int, float], None] = lambda epoch, loss: None,
    arithmetic: Arithmetic = EXACT,
) -> None:
    """Trains `params` in place; report(epoch, mean loss) is called after every epoch.

    The forward pass sees the batch and the parameters as `arithmetic` gives them; the gradient found there changes
    the parameters themselves (straight through).
    """
    adam = Adam(params, spec.weight_decay, spec.gradient_clip)
    n = len(data.labels)
    starts = range(0, n, spec.batch_size)
    for epoch in range(n_epochs):
        order, total = rng.permutation(n), 0.0
        for k, start in enumerate(starts):
            index = order[start : start + spec.batch_size]
            batch = augment(data.pick(index), spec, rng)
            seen = arithmetic.params(params)
            tape = bptt.forward(model, seen, arithmetic.inputs(batch.x), arithmetic=arithmetic)
            weights = step_weights(spec.loss, batch.lengths)
            loss, dy = cross_entropy(tape.y, batch.labels, weights, data.n_classes, spec.readout_scale)
            if not np.isfinite(loss):
                raise SpecError(f"training must not diverge, but the loss of epoch {epoch + 1} is {loss}: "
                                "lower learning_rate or gradient_clip (train)")
            progress = (epoch + k / len(starts)) / n_epochs
            adam.update(bptt.backward(model, seen, tape, dy).params,
                        learning_rate * (0.5 + 0.5 * np.cos(np.pi * progress)))
            total += loss * len(index) / n
        report(epoch, total)
