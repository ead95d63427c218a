"""Every finding of the netlist lint, on netlists that have it; and a clean bill for generated designs."""

import numpy as np
import pyrtl
import pytest
from designs import designs
from hypothesis import given, settings

from golden.random_model import random_quantized_model
from rtl.config import design_names, load_design
from rtl.export import core_verilog
from rtl.lint import LintError, check_netlist
from rtl.top import build_core


def counter(name: str = "count") -> tuple[pyrtl.Register, pyrtl.Output]:
    """A sound little netlist to spoil."""
    pyrtl.reset_working_block()
    enable = pyrtl.Input(1, "enable")
    register = pyrtl.Register(4, name)
    register.next <<= pyrtl.select(enable, (register + 1)[:4], register)
    output = pyrtl.Output(4, "value")
    output <<= register
    return register, output


def findings() -> str:
    with pytest.raises(LintError) as error:
        check_netlist(pyrtl.working_block())
    return str(error.value)


def test_a_sound_netlist_passes():
    counter()
    check_netlist(pyrtl.working_block())


@pytest.mark.parametrize("name", ["reg", "output", "a.b", "2nd", "gate[3]"])
def test_names_that_verilog_would_change(name):
    counter(name)
    assert f"{name}: not usable as a Verilog name" in findings()


def test_names_that_differ_in_case():
    register, _ = counter()
    twin = pyrtl.WireVector(4, "COUNT")
    twin <<= register
    assert "only in case" in findings()


def test_memories_stay_outside():
    register, output = counter()
    memory = pyrtl.MemBlock(4, 4, "store", asynchronous=True)
    memory[register] <<= register
    assert "store: memory inside the block" in findings()


def test_roms_stay_outside():
    register, _ = counter()
    rom = pyrtl.RomBlock(4, 4, [0] * 16, name="table_of_zeros", asynchronous=True)
    second = pyrtl.Output(4, "second")
    second <<= rom[register]
    assert "table_of_zeros: memory inside the block" in findings()


def test_unread_register():
    register, _ = counter()
    spare = pyrtl.Register(4, "spare")
    spare.next <<= register
    assert "spare: register that nothing reads" in findings()


def test_unread_input():
    counter()
    pyrtl.Input(1, "unused_pin")
    assert "unused_pin: input that nothing reads" in findings()


def test_undriven_wire():
    register, _ = counter()
    loose = pyrtl.WireVector(4, "loose")
    second = pyrtl.Output(4, "second")
    second <<= register & loose
    assert "loose: read but never driven" in findings()


def test_undriven_output():
    counter()
    pyrtl.Output(1, "floating")
    assert "floating: output that nothing drives" in findings()


def test_register_that_never_changes():
    register, _ = counter()
    stuck = pyrtl.Register(4, "stuck")
    stuck.next <<= pyrtl.Const(3, 4)
    second = pyrtl.Output(4, "second")
    second <<= stuck
    assert "stuck: register that only ever takes a constant" in findings()


def test_combinational_loop():
    register, _ = counter()
    a, b = pyrtl.WireVector(4, "a"), pyrtl.WireVector(4, "b")
    a <<= b & register
    b <<= a | register
    second = pyrtl.Output(4, "second")
    second <<= a
    assert "loop" in findings()


@pytest.mark.parametrize("name", design_names())
def test_shipped_designs_are_clean(name):
    design = load_design(name)
    qmodel = random_quantized_model(design.model, design.quant, np.random.default_rng(0))
    block = build_core(design, qmodel)
    check_netlist(block)
    assert f"module {design.module_name}_core(" in core_verilog(design, qmodel, block)


@settings(max_examples=25, deadline=None)
@given(designs())
def test_random_designs_are_clean(design):
    qmodel = random_quantized_model(design.model, design.quant, np.random.default_rng(0))
    check_netlist(build_core(design, qmodel))
