"""A macro's Verilog: its behavioural model, and the `stillwater_sram` that binds it to the memory seam."""

from pathlib import Path

from flow.sram.openram import OpenRamSpec
from flow.sram.spec import SUPPLIES, SramSpec

TEMPLATES = Path(__file__).parent / "verilog"
CLOCK_GATE = "stillwater_clock_gate"
"""The module of the clock gate in a flexmem binding; a layout puts a cell of the kit in its place."""


def build_model(spec: SramSpec) -> str:
    """The macro as a module of its name: what it does at each edge, unknown where it promises nothing."""
    return _fill("flexmem.v", spec)


def build_binding(spec: SramSpec | OpenRamSpec) -> str:
    """`stillwater_sram` as docs/datapath.md wants it, with the macro inside; takes the place of the rtl model.

    That of a flexmem macro instantiates CLOCK_GATE.
    """
    is_openram = isinstance(spec, OpenRamSpec)
    power, ground = (spec.power, spec.ground) if is_openram else SUPPLIES
    supplies = {"POWER": power, "GROUND": ground}
    instance = _fill("openram_instance.v" if is_openram else "flexmem_instance.v", spec, **supplies)
    return _fill("binding.v", spec, INSTANCE=instance, **supplies)


def build_clock_gate() -> str:
    """The module CLOCK_GATE, for simulation."""
    return (TEMPLATES / "clock_gate.v").read_text(encoding="utf-8")


def _fill(template: str, spec: SramSpec | OpenRamSpec, **names: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    values = {"NAME": spec.name, "WORDS": spec.n_words, "BITS": spec.word_bits, "N_BYTES": spec.n_bytes,
              "ADDR_BITS": spec.address_bits, **names}
    for name, value in values.items():
        if isinstance(value, int):
            text = text.replace(f"@{name}-1@", str(value - 1))
        text = text.replace(f"@{name}@", str(value))
    return text
