"""Write torch_reference.npz: outputs and gradients of PyTorch's nn.RNN, nn.LSTM and nn.GRU in float64.

    python tests/data/make_torch_reference.py        (needs torch)

So that machines without torch compare with it too. Every case has two stacked layers, initial states and sequences
of different lengths. Arrays of a case, under `<case>/`:
    x (T, B, X), lengths (B,), loss_weights (T, B, H)   the loss is (y * loss_weights).sum(), 0 beyond a length
    h0, c0 (2, B, H)                                    initial states (c0: LSTM)
    params/<name>, grads/<name>                         parameters by golden's names, and the loss's gradients
    y (T, B, H)                                         h of the last layer, 0 beyond a sequence's length
    h_final, c_final (2, B, H)                          states after each sequence's own last step
    grads/h0, grads/c0 (2, B, H)                        gradients at the initial states
The case's name is the cell (`KINDS` in test_torch_reference.py), with `-nobias` where it has none.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from golden.npz import write_npz

N_STEPS, N_SEQUENCES, N_INPUTS, N_HIDDEN, N_LAYERS = 5, 3, 2, 3, 2
LENGTHS = [5, 2, 4]
NAMES = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}


def make_modules(bias: bool) -> dict:
    """Case name -> torch module; torch is imported here, so that reading this file does not need it."""
    from torch import nn

    sizes = N_INPUTS, N_HIDDEN, N_LAYERS
    return {
        "rnn-tanh": nn.RNN(*sizes, nonlinearity="tanh", bias=bias),
        "rnn-relu": nn.RNN(*sizes, nonlinearity="relu", bias=bias),
        "lstm": nn.LSTM(*sizes, bias=bias),
        "gru": nn.GRU(*sizes, bias=bias),
    }


def golden_name(torch_name: str) -> str:
    """`weight_ih_l1` -> `cells.1.w_ih`."""
    name, layer = torch_name.rsplit("_l", 1)
    return f"cells.{layer}.{NAMES[name]}"


def run_case(module, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One module on random data: all arrays of its case."""
    import torch

    module = module.double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.from_numpy(0.7 * rng.standard_normal(p.shape)))
    x = rng.standard_normal((N_STEPS, N_SEQUENCES, N_INPUTS))
    loss_weights = rng.standard_normal((N_STEPS, N_SEQUENCES, N_HIDDEN))
    loss_weights *= (np.arange(N_STEPS)[:, None] < np.array(LENGTHS))[..., None]
    n_states = 2 if isinstance(module, torch.nn.LSTM) else 1
    shape = (N_LAYERS, N_SEQUENCES, N_HIDDEN)
    states = [torch.from_numpy(rng.standard_normal(shape)).requires_grad_() for _ in range(n_states)]
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(x), LENGTHS, enforce_sorted=False)
    out, final = module(packed, tuple(states) if n_states == 2 else states[0])
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=N_STEPS)
    (y * torch.from_numpy(loss_weights)).sum().backward()
    finals = final if n_states == 2 else (final,)
    arrays = {"x": x, "lengths": np.array(LENGTHS), "loss_weights": loss_weights, "y": y.detach().numpy()}
    for name, start, end in zip("hc", states, finals, strict=False):
        arrays |= {f"{name}0": start.detach().numpy(), f"{name}_final": end.detach().numpy()}
        arrays[f"grads/{name}0"] = start.grad.numpy()
    for name, p in module.named_parameters():
        arrays |= {f"params/{golden_name(name)}": p.detach().numpy(), f"grads/{golden_name(name)}": p.grad.numpy()}
    return arrays


def main() -> None:
    import torch

    rng = np.random.default_rng(20)
    arrays = {"torch_version": np.frombuffer(torch.__version__.encode(), dtype=np.uint8)}
    for bias in (True, False):
        for name, module in make_modules(bias).items():
            case = name if bias else f"{name}-nobias"
            arrays |= {f"{case}/{key}": value for key, value in run_case(module, rng).items()}
    write_npz(Path(__file__).with_name("torch_reference.npz"), arrays)


if __name__ == "__main__":
    main()
