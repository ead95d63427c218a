"""The macro's Verilog: its behavioural model, and the `stillwater_sram` that binds it to the memory seam."""

from pathlib import Path

from flow.sram.spec import SramSpec

TEMPLATES = Path(__file__).parent / "verilog"


def build_model(spec: SramSpec) -> str:
    """The macro as a module of its name: what it does at each edge, unknown where it promises nothing."""
    return _fill("flexmem.v", spec)


def build_binding(spec: SramSpec) -> str:
    """`stillwater_sram` as docs/datapath.md wants it, with the macro inside; takes the place of the rtl model."""
    return _fill("binding.v", spec)


def _fill(template: str, spec: SramSpec) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for name, value in (("NAME", spec.name), ("WORDS", spec.n_words), ("BITS", spec.word_bits),
                        ("N_BYTES", spec.n_bytes), ("ADDR_BITS", spec.address_bits)):
        text = text.replace(f"@{name}-1@", str(value - 1) if isinstance(value, int) else value)
        text = text.replace(f"@{name}@", str(value))
    return text
