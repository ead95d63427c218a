"""The activation unit against golden's, over every pre-activation."""

import msgspec
import numpy as np
import pyrtl
import pytest

from golden.activation import ALL_P, make_table, sigmoid_int, tanh_int
from rtl.activation import ActivationSelect, build_activation
from rtl.fixed_wire import FormatError
from rtl.timing import ACTIVATION_LATENCY

FUNCTIONS = ("tanh", "sigmoid", "relu", "identity")


def run_unit(segment_bits: int, codes: np.ndarray, function: str) -> np.ndarray:
    """What the unit gives for a stream of pre-activations, one a cycle; the first ones leave after its latency."""
    pyrtl.reset_working_block()
    select = {name: pyrtl.Input(1, name) for name in FUNCTIONS[1:]}
    preact = pyrtl.Register(16, "preact")
    preact.next <<= pyrtl.Input(16, "code")
    select = {name: _registered(wire) for name, wire in select.items()}
    output = pyrtl.Output(16, "out")
    output <<= build_activation(make_table(segment_bits), preact, ActivationSelect(**select), "act")
    simulation = pyrtl.FastSimulation(tracer=pyrtl.SimulationTrace([output]))
    simulation.step_multiple(
        {"code": [int(c) & 0xFFFF for c in codes], **{n: [int(n == function)] * len(codes) for n in FUNCTIONS[1:]}}
    )
    values = np.array(simulation.tracer.trace["out"], np.uint16).view(np.int16)
    return values[ACTIVATION_LATENCY + 1 :]


def _registered(wire: pyrtl.Input) -> pyrtl.Register:
    register = pyrtl.Register(1, f"{wire.name}_now")
    register.next <<= wire
    return register


def expected(segment_bits: int, codes: np.ndarray, function: str) -> np.ndarray:
    table = make_table(segment_bits)
    if function == "tanh":
        return tanh_int(codes, table)
    if function == "sigmoid":
        return sigmoid_int(codes, table)
    return np.maximum(codes, 0) if function == "relu" else codes


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("segment_bits", [2, 3, 4, 5])
def test_every_eleventh_code_and_all_corners(segment_bits, function):
    """A grid that meets every segment, with every code around 0, 4.0 and the ends."""
    corners = [np.arange(c - 20, c + 20) for c in (-32748, -16384, -8192, 0, 8192, 16384, 32748)]
    codes = np.unique(np.clip(np.concatenate([ALL_P[::11], *corners]), -32768, 32767))
    got = run_unit(segment_bits, codes, function)
    np.testing.assert_array_equal(got, expected(segment_bits, codes, function)[: len(got)])


def test_a_table_that_reaches_one_is_refused():
    pyrtl.reset_working_block()
    preact = pyrtl.Input(16, "preact")
    table = msgspec.structs.replace(make_table(3), base_last=32767)
    with pytest.raises(FormatError, match="must end below 32767, not at 32767"):
        build_activation(table, preact, ActivationSelect(None, None, None), "act")


@pytest.mark.nightly
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
@pytest.mark.parametrize("segment_bits", [2, 3, 4, 5])
def test_every_code(segment_bits, function):
    codes = np.append(ALL_P, [0] * (ACTIVATION_LATENCY + 1))
    got = run_unit(segment_bits, codes, function)
    assert len(got) == len(ALL_P)
    np.testing.assert_array_equal(got, expected(segment_bits, ALL_P, function))
