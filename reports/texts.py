"""Numbers and units as a reader sees them."""

from __future__ import annotations

import numpy as np

from flow.metrics import Value

UNITS = {"mm2": "mm²", "um2": "µm²", "um": "µm", "us": "µs", "GOPS/mm2": "GOPS/mm²", "ohm": "Ω", "LSB": "last bits"}


def unit_text(unit: str) -> str:
    """
    >>> unit_text("mm2"), unit_text("nJ")
    ('mm²', 'nJ')
    """
    return "" if unit == "text" else UNITS.get(unit, unit)


def number_text(value: Value) -> str:
    """Four digits that count; whole numbers and texts as they are.

    >>> number_text(0.7684144), number_text(3605.38), number_text(124253), number_text(98.3783), number_text("a b")
    ('0.7684', '3,605', '124,253', '98.38', 'a b')
    >>> number_text(5.5e-05), number_text(-0.0), number_text(468799.5)
    ('0.000055', '0', '468,800')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return np.format_float_positional(value + 0.0, precision=4, fractional=False, trim="-")


def share_text(percent: float) -> str:
    """A share in a column of shares: what is there is never 0.

    >>> share_text(18.24), share_text(0.02), share_text(0.0)
    ('18.2', '<0.1', '0')
    """
    return "0" if percent == 0 else "<0.1" if percent < 0.05 else f"{percent:.1f}"


def value_text(value: Value, unit: str) -> str:
    """With its unit, a space that does not break between them."""
    said = unit_text(unit)
    return number_text(value) + (f"\u00a0{said}" if said else "")
