"""What a report calls a cell, a pin or a port: by its name in the RTL where it is a register's."""

from __future__ import annotations

import re

REGISTER = re.compile(r"^(?P<path>.+?)_reg(?:_bit_(?P<bit>\d+)__ff)?$")
SEPARATOR = "__"


def rtl_name(instance: str) -> str:
    """A register as the RTL has it (flow/synthesis/registers.v says how cells get their names); else as it is.

    >>> rtl_name("core__acc_reg_bit_3__ff"), rtl_name("core__slot_emit_d10_reg"), rtl_name("_1234_")
    ('core.acc[3]', 'core.slot_emit_d10', '_1234_')
    """
    match = REGISTER.fullmatch(instance)
    if match is None:
        return instance
    bit = "" if match["bit"] is None else f"[{match['bit']}]"
    return match["path"].replace(SEPARATOR, ".") + bit


def rtl_pin(pin: str) -> str:
    """A pin or a port, `instance/pin` or `port`.

    >>> rtl_pin("core__acc_reg_bit_3__ff/D"), rtl_pin("x_data[2]")
    ('core.acc[3]/D', 'x_data[2]')
    """
    instance, slash, name = pin.rpartition("/")
    return f"{rtl_name(instance)}/{name}" if slash else pin
