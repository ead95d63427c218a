"""Proof that a repaired netlist does what it did: without buffers, both are the same gates on the same nets.

Cells may have become other sizes of the same cell (footprint, pins and functions of the library are equal); nothing
else may differ. A buffer between two ports cannot be taken out, and must then be in both.
"""

from __future__ import annotations

from flow.physical.abstract import Cells
from flow.physical.netlist import Netlist, shortened
from flow.repair.edit import without_buffers
from flow.timing.arrays import family
from flow.timing.liberty import Library
from golden.spec import SpecError


def check_same(before: Netlist, after: Netlist, cells: Cells, library: Library) -> None:
    """SpecError that names what differs besides buffers and sizes."""
    bare = [without_buffers(netlist, cells, {name for name, cell in netlist.instances.items()
                                             if library[cell].is_buffer}) for netlist in (before, after)]
    wrong = []
    if before.ports != after.ports:
        wrong.append("the ports differ")
    names = [set(netlist.instances) for netlist in bare]
    if names[0] != names[1]:
        wrong.append(f"instances are only in one: {shortened(sorted(names[0] ^ names[1]))}")
    other = [name for name in sorted(names[0] & names[1])
             if family(library[bare[0].instances[name]]) != family(library[bare[1].instances[name]])]
    if other:
        wrong.append(f"cells do something else: {shortened(other)}")
    nets = [{frozenset(pins) for pins in netlist.nets.values() if pins} for netlist in bare]
    if nets[0] != nets[1]:
        first = sorted("/".join(pin) for pin in min(nets[0] ^ nets[1], key=sorted))
        wrong.append(f"{len(nets[0] ^ nets[1])} nets connect other pins, one has {shortened(first)}")
    if wrong:
        raise SpecError(f"repair of {before.top} must only change buffers and sizes, but {'; '.join(wrong)}")
