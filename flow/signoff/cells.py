"""The cells of a chip against their schematics, device by device, by KLayout's comparer.

Each cell is taken as it was extracted from the chip, with everything that neighbours and the top level draw over it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import klayout.db as kdb

SIZE_TOLERANCE = 0.005
"""um; W and L of a transistor are on the manufacturing grid."""


def compare_cells(layout: kdb.Netlist, schematic: kdb.Netlist, cells: Iterable[str]) -> list[str]:
    """A line for every difference between a cell's circuit in `layout` and in `schematic`.

    Ports are paired by name and must stay so; all else is paired by structure. Both netlists are changed: parallel
    transistors become one.
    """
    cells = sorted(cells)
    for circuit in [circuit for circuit in layout.each_circuit_top_down() if circuit.name not in cells]:
        layout.remove(circuit)
    for netlist in (layout, schematic):
        for device_class in netlist.each_device_class():
            _use_sizes(device_class)
    log = _Log()
    comparer = kdb.NetlistComparer(log)
    for cell in cells:
        ours, theirs = layout.circuit_by_name(cell), schematic.circuit_by_name(cell)
        if ours is None:
            continue                                     # without a device or a conductor of its own
        ports = {pin.name() for pin in theirs.each_pin()}
        for circuit in (ours, theirs):
            join_split_stacks(circuit, ports)
        for pin in theirs.each_pin():
            net = port_net(ours, pin.name())
            if net is not None:
                comparer.same_nets(ours, theirs, net, theirs.net_for_pin(pin.id()), True)
    comparer.compare(layout, schematic)
    return log.lines


def join_split_stacks(circuit: kdb.Circuit, ports: Collection[str]) -> None:
    """Joins nets between transistors in series that always have the same potential.

    A stack of wide transistors is drawn as stacks of fingers side by side, and may be one in the schematic. Nets that
    only ends of transistors are on are at one potential when their widths lead in the same proportions, through the
    same gates, to nets that are at one potential. All such nets start as one class, which is refined until it is so.
    """
    colours: dict[str, str] = {}
    inner: dict[str, tuple[kdb.Net, list[tuple]]] = {}
    for net in circuit.each_net():
        name = net.expanded_name()
        ends = _ends_of(net) if not ports.intersection(net.name.split(",")) else None
        colours[name] = name if ends is None else ""
        if ends is not None:
            inner[name] = net, ends
    n_classes = 0
    while True:
        profiles = {name: _profile(ends, colours) for name, (_, ends) in inner.items()}
        number = {profile: index for index, profile in enumerate(dict.fromkeys(profiles.values()))}
        colours.update((name, f"class {number[profile]}") for name, profile in profiles.items())
        if len(number) == n_classes:
            break
        n_classes = len(number)
    first: dict[str, kdb.Net] = {}
    for name, (net, _) in inner.items():
        if first.setdefault(colours[name], net) is not net:
            circuit.join_nets(first[colours[name]], net)


def _ends_of(net: kdb.Net) -> list[tuple] | None:
    """(kind, length, gate, bulk, far end, width) of each transistor end on a net; None if anything else is on it."""
    found = []
    for terminal in net.each_terminal():
        device, end = terminal.device(), terminal.terminal_def().name
        kind = device.device_class()
        if not isinstance(kind, kdb.DeviceClassMOS4Transistor) or end not in "SD":
            return None
        gate, bulk, far = (device.net_for_terminal(name).expanded_name() for name in ("G", "B", "DS"["SD".index(end)]))
        found.append((kind.name, round(device.parameter("L"), 3), gate, bulk, far, device.parameter("W")))
    return found or None


def _profile(ends: list[tuple], colours: dict[str, str]) -> tuple:
    """What share of a net's width leads to nets of which colour."""
    widths: dict[tuple, float] = {}
    for *kind, far, width in ends:
        key = (*kind, colours[far])
        widths[key] = widths.get(key, 0.0) + width
    total = sum(widths.values())
    return tuple(sorted((key, round(width / total, 6)) for key, width in widths.items()))


def port_net(circuit: kdb.Circuit, port: str) -> kdb.Net | None:
    """The only net that carries a name, alone or with others; None without one or with several."""
    found = [net for net in circuit.each_net() if port in net.name.split(",")]
    return found[0] if len(found) == 1 else None


def _use_sizes(device_class: kdb.DeviceClass) -> None:
    """Compares W and L of transistors, and of other devices only what they connect."""
    compared = ("W", "L") if isinstance(device_class, kdb.DeviceClassMOS4Transistor) else ()
    rule = None
    for parameter in device_class.parameter_definitions():
        number = parameter.id()
        one = kdb.EqualDeviceParameters(number, SIZE_TOLERANCE, 0.0) if parameter.name in compared else \
            kdb.EqualDeviceParameters.ignore(number)
        rule = one if rule is None else rule + one
    device_class.equal_parameters = rule


class _Log(kdb.GenericNetlistCompareLogger):
    """Collects what the comparer finds; its methods are called by KLayout."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = ""
        self.lines: list[str] = []

    def _note(self, what: str, ours: object, theirs: object, message: str) -> None:
        sides = f"{_named(ours)} in the layout, {_named(theirs)} in the schematic"
        self.lines.append(f"cell {self.cell}: {what}: {sides}{f' ({message})' if message else ''}")

    def begin_circuit(self, ours: kdb.Circuit, theirs: kdb.Circuit) -> None:
        self.cell = (ours or theirs).name

    def circuit_mismatch(self, ours: kdb.Circuit | None, theirs: kdb.Circuit | None, message: str = "") -> None:
        self.lines.append(f"cell {(ours or theirs).name} is only in the {'layout' if ours else 'schematic'}")

    def net_mismatch(self, ours: kdb.Net | None, theirs: kdb.Net | None, message: str = "") -> None:
        if ours is None or theirs is None or ours.terminal_count() or theirs.terminal_count():
            self._note("a net without a partner", ours, theirs, message)     # else a port that no device is on

    def device_mismatch(self, ours: kdb.Device | None, theirs: kdb.Device | None, message: str = "") -> None:
        self._note("a device without a partner", ours, theirs, message)

    def match_devices_with_different_parameters(self, ours: kdb.Device, theirs: kdb.Device) -> None:
        self._note("a device of another size", ours, theirs, "")

    def match_devices_with_different_device_classes(self, ours: kdb.Device, theirs: kdb.Device) -> None:
        self._note("a device of another kind", ours, theirs, "")


def _named(thing: kdb.Net | kdb.Device | None) -> str:
    """A net by its name, a device by its kind, size and nets."""
    if thing is None:
        return "none"
    if isinstance(thing, kdb.Net):
        return thing.expanded_name()
    kind = thing.device_class()
    nets = [net.expanded_name() if (net := thing.net_for_terminal(terminal.id())) else "nothing"
            for terminal in kind.terminal_definitions()]
    size = f" {thing.parameter('W'):.4g}/{thing.parameter('L'):.4g}" if kind.has_parameter("W") else ""
    return f"{kind.name}{size} on {', '.join(nets)}"
