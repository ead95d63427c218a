"""Which lane of the MAC array a cell belongs to, for the picture's shades."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist

REGISTER = re.compile(r"core__(?:mac_b(?P<bank>\d+)_l(?P<lane>\d+)_|shadow_\w*?_l(?P<all>\d+)_)\w*ff$")


def lane_of_register(name: str, lanes_per_bank: int) -> int | None:
    """The lane of a flip-flop of the MAC array or its shadow chain, by its name; None for any other.

    >>> lane_of_register("core__mac_b1_l2_acc_s0_reg_bit_3__ff", 4)
    6
    >>> lane_of_register("core__shadow_acc_s0_l6_reg_bit_3__ff", 4)
    6
    >>> lane_of_register("core__mac_b1_word_reg_bit_3__ff", 4)
    """
    match = REGISTER.match(name)
    if match is None:
        return None
    return int(match["all"]) if match["all"] else int(match["bank"]) * lanes_per_bank + int(match["lane"])


def lanes_of(netlist: Netlist, cells: Cells, groups: Mapping[str, str], lanes_per_bank: int) -> dict[str, int]:
    """Instance -> lane: the lanes' flip-flops, and from each of them back through gates, the nearest flip-flop first.

    groups: of flow.power.groups; only what is combinational is passed.
    """
    found = {name: lane for name in sorted(netlist.instances)
             if (lane := lane_of_register(name, lanes_per_bank)) is not None}
    inputs: dict[str, list[str]] = {}
    for (instance, pin), net in netlist.net_of.items():
        if instance and cells[netlist.instances[instance]].pins[pin].direction == "INPUT":
            inputs.setdefault(instance, []).append(net)
    waiting = deque(found)
    while waiting:
        name = waiting.popleft()
        for net in sorted(inputs.get(name, ())):
            driver = netlist.driver(net, cells)
            if driver and driver[0] and driver[0] not in found and groups[driver[0]] == "combinational":
                found[driver[0]] = found[name]
                waiting.append(driver[0])
    return found
