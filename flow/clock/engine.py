"""Clock tree synthesis as one function: a placed design in, the design with its clock tree out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

import msgspec

from flow.clock.build import Scene, build_tree
from flow.clock.legal import Rows
from flow.clock.library import ClockCell, ClockLibrary
from flow.clock.spec import ClockSpec
from flow.clock.trace import ClockNet, trace_clock
from flow.clock.tree import BUFFER, GATE, PORT, SINK, Corner, Node, Timing, analyse, route_tree
from flow.clock.tune import cells_of, tune
from flow.clock.wire import ClockWire
from flow.physical.abstract import Cells
from flow.physical.design import Design, Placed, pin_centre
from flow.physical.netlist import Netlist, Pin, shortened
from flow.physical.technology import Technology
from golden.spec import SpecError

FIRST_GUESS = 0.4
"""Of the slew limit: the slew at buffers' inputs, before there is a tree to measure it in."""

FANOUT_SHARES = (1.0, 0.8, 0.6)
"""Of the fanout limit, tried one after the other: smaller groups are more alike, and cost more buffers."""

N_ROUNDS = 4
"""Of tuning in the rows, at most; each ends with the cells in legal places."""


@dataclass(frozen=True)
class Kit:
    """What a tree is made of and timed with: cells and technology, corner -> library, corner -> wires."""

    cells: Cells
    technology: Technology
    libraries: Mapping[str, ClockLibrary]
    wires: Mapping[str, ClockWire]

    def corner(self, name: str) -> Corner:
        if name not in self.libraries:
            raise SpecError(f"corner must be one of {', '.join(self.libraries)}, not {name!r} (clock: corner)")
        return Corner(name, self.libraries[name], self.wires[name])


@dataclass(frozen=True)
class ClockTree:
    """The result. timings: by corner. moved: cells of the placement that had to make room -> how far (nm)."""

    design: Design
    root: Node
    timings: Mapping[str, Timing]
    moved: Mapping[str, int]


def find_clock_tree(design: Design, kit: Kit, spec: ClockSpec) -> ClockTree:
    """The first tree that meets the goal: of groups as large as the spec allows, else of smaller ones; when none does,
    the one with the least skew.

    SpecError as of `make_clock_tree` when that has more than the limit.
    """
    best: ClockTree | None = None
    for share in FANOUT_SHARES:
        fanout = max(2, round(share * spec.fanout_limit))
        tree = make_clock_tree(design, kit, msgspec.structs.replace(spec, fanout_limit=fanout))
        if best is None or tree.timings[spec.corner].skew < best.timings[spec.corner].skew:
            best = tree
        if best.timings[spec.corner].skew <= spec.skew_goal_ns:
            break
    check_skew(best.timings[spec.corner], design.netlist.top, spec)
    return best


def make_clock_tree(design: Design, kit: Kit, spec: ClockSpec) -> ClockTree:
    """Builds, places, names and times the clock tree of a placed design.

    SpecError: a clock that drives nothing, sinks without a place, names that are taken, slews that cannot be met.
    """
    scene = make_scene(design, kit, spec)
    clock = trace_clock(design.netlist, kit.cells, scene.corner.library, spec.port)
    check_offsets(clock, design.netlist, spec)
    scene, root = build_twice(scene, clock)
    name_tree(root, design.netlist)
    route_tree(root)
    tune(root, scene)
    rows = put_in_rows(root, clock, scene, kit.technology)
    result = apply_tree(design, root, clock, rows, kit.cells)
    timings = {name: analyse(root, kit.corner(name), spec.input_slew_ns) for name in kit.libraries}
    check_limits(timings[spec.corner], scene)
    moved = {name: abs(placed.x - result.placement.instances[name].x)
             for name, placed in design.placement.instances.items()
             if name in result.placement.instances and placed[1:3] != result.placement.instances[name][1:3]}
    return ClockTree(result, root, timings, moved)


def build_twice(scene: Scene, clock: ClockNet) -> tuple[Scene, Node]:
    """The tree, built with the slews that a first one has; levels join where their delays fit."""
    first = build_tree(scene, clock)
    route_tree(first)
    timing = analyse(first, scene.corner, scene.spec.input_slew_ns)
    slews = [max(timing.at[node].slew) for node in first.below() if node.children and node.kind != PORT]
    better = replace(scene, typical_slew=fmean(slews))
    return better, build_tree(better, clock)


def make_scene(design: Design, kit: Kit, spec: ClockSpec) -> Scene:
    """SpecError for buffers that the kit does not have, that must not be placed, or that are none."""
    prefix, corner = f"{kit.technology.config.cell_library}__", kit.corner(spec.corner)
    for short in (*spec.buffers, *spec.tuning):
        reason = kit.technology.config.why_not(prefix + short)
        if prefix + short not in kit.cells:
            reason = "it is no cell of the kit"
        elif reason is None and not corner.library[prefix + short].is_buffer:
            reason = "it does not copy one input to one output"
        if reason is not None:
            raise SpecError(f"buffers and tuning must be buffers that may be placed, not {short}: {reason} "
                            "(clock: buffers, tuning)")

    def from_smallest(names: Iterable[str]) -> tuple[ClockCell, ...]:
        return tuple(corner.library[name] for name in
                     sorted((prefix + short for short in names), key=lambda name: (kit.cells[name].width, name)))

    return Scene(design.placement, design.netlist, kit.cells, spec, corner, from_smallest(spec.buffers),
                 from_smallest(spec.buffers + spec.tuning), lambda name: kit.technology.config.why_not(name) is None,
                 FIRST_GUESS * spec.slew_limit_ns)


def check_offsets(clock: ClockNet, netlist: Netlist, spec: ClockSpec) -> None:
    """SpecError for an offset of what the clock does not reach."""
    reached = {name for net in clock.all_nets() for name, _ in net.sinks if name}
    unknown = sorted(set(spec.offsets_ns) - reached - {netlist.instances[name] for name in reached})
    if unknown:
        raise SpecError(f"offsets must be of instances or cells that the clock of {netlist.top} reaches, not "
                        f"{shortened(unknown)} (clock: offsets_ns)")


def check_limits(timing: Timing, scene: Scene) -> None:
    """SpecError when a slew is not met, with what was reached."""
    spec, top, library = scene.spec, scene.netlist.top, scene.corner.library
    for node, signal in timing.at.items():
        limit = min(spec.slew_limit_ns, library[node.cell].max_slew.get(node.input, spec.slew_limit_ns)
                    if node.cell else spec.slew_limit_ns)
        if node.kind != PORT and max(signal.slew) > limit:
            raise SpecError(f"slews of the clock of {top} must be at most {limit} ns at {timing.corner}, and "
                            f"{'/'.join(node.pin)} has {max(signal.slew):.3f}; raise slew_limit_ns if that is what "
                            "limits it, or allow stronger buffers (clock: buffers)")


def check_skew(timing: Timing, top: str, spec: ClockSpec) -> None:
    """SpecError when there is more than may be."""
    if timing.skew > spec.skew_limit_ns:
        arrivals = timing.arrivals
        first, last = ("/".join(choose(arrivals, key=arrivals.__getitem__).pin) for choose in (min, max))
        raise SpecError(f"the skew of the clock of {top} must be at most {spec.skew_limit_ns} ns at {timing.corner}, "
                        f"and is {timing.skew:.3f}, from {first} to {last}; raise skew_limit_ns, allow more kinds of "
                        "buffers (clock: buffers, tuning), or less fanout")


def name_tree(root: Node, netlist: Netlist) -> None:
    """Names for new buffers and their nets: clkbuf_<level>_<n> drives clk_<level>_<n>; SpecError for one taken."""
    count: Counter[int] = Counter()
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        for child in node.children:
            child.level = node.level + (node.kind != PORT)
        if node.kind == BUFFER:
            node.instance, node.net = (f"{stem}_{node.level}_{count[node.level]}" for stem in ("clkbuf", "clk"))
            count[node.level] += 1
            if node.instance in netlist.instances or node.net in netlist.nets:
                raise SpecError(f"{node.instance} and {node.net} must be free for the clock tree, and "
                                f"{netlist.top} has one of them; give the tree a netlist without one")
        node.children.sort(key=lambda child: (child.entry[::-1], child.instance, child.input))
        waiting.extend(node.children)


def put_in_rows(root: Node, clock: ClockNet, scene: Scene, technology: Technology) -> Rows:
    """Gives every buffer a place in a row, and tunes what that has changed."""
    placement, netlist = scene.placement, scene.netlist
    movable = [name for name, cell in netlist.instances.items() if not scene.cells[cell].is_macro
               and name in placement.instances and not placement.instances[name].fixed]
    rows = Rows(placement, scene.cells, technology, movable)
    for net in clock.all_nets():
        for name, _ in net.buffers:
            rows.remove(name)
    in_rows: dict[Node, str] = {}
    best: tuple | None = None
    for _ in range(N_ROUNDS):
        for node in root.below():
            if node.children and node.kind != PORT and in_rows.get(node) != node.cell:
                _put(node, in_rows, rows, scene)
        settle(root, rows, scene)
        timing = analyse(root, scene.corner, scene.spec.input_slew_ns)
        cost = (timing.worst_slew[0] > scene.spec.slew_limit_ns, timing.skew)
        if best is not None and cost >= best[0]:
            break
        best = (cost, rows.copy(), cells_of(root))
        tune(root, scene)
    _, rows, chosen = best
    for node, cell in chosen.items():
        node.cell = cell
    settle(root, rows, scene)
    return rows


def _put(node: Node, in_rows: dict[Node, str], rows: Rows, scene: Scene) -> None:
    """Puts a buffer, or a gate in another strength, into a row."""
    cell = scene.cells[node.cell]
    if node.kind == GATE and node not in in_rows:
        in_rows[node] = scene.netlist.instances[node.instance]
        if in_rows[node] == node.cell:
            return
    if node.instance in rows.home:
        wish = rows.corner(node.instance)
        rows.remove(node.instance)
    else:
        wish = node.entry[0] - cell.width // 2, node.entry[1] - cell.height // 2
    rows.insert(node.instance, node.cell, wish)
    in_rows[node] = node.cell


def settle(root: Node, rows: Rows, scene: Scene) -> None:
    """Gives all nodes the places that their pins now have, and the nets new wires."""
    cells = {**scene.netlist.instances, **{node.instance: node.cell for node in root.below() if node.instance}}
    placement = replace(scene.placement, instances=rows.placed(cells, ()))
    for node in root.below():
        if node.kind == PORT:
            continue
        entry = pin_centre(placement, scene.cells, *node.pin)
        node.move(entry, pin_centre(placement, scene.cells, node.instance, node.output) if node.children else entry)
    route_tree(root)


def apply_tree(design: Design, root: Node, clock: ClockNet, rows: Rows, cells: Cells) -> Design:
    """The design with the tree's buffers and nets; buffers that stood in the clock's way are gone."""
    netlist = design.netlist
    gone = {name for net in clock.all_nets() for name, _ in net.buffers}
    old_nets = {name for net in clock.all_nets() for name in (net.name, *(inner for _, inner in net.buffers))}
    nodes = [node for node in root.below() if node.kind != SINK]
    new = sorted((node for node in nodes if node.kind == BUFFER), key=_by_name)
    instances = {name: cell for name, cell in netlist.instances.items() if name not in gone}
    instances.update((node.instance, node.cell) for node in nodes if node.kind == GATE)
    instances.update((node.instance, node.cell) for node in new)
    order = {name: at for at, name in enumerate(instances)}
    pins: dict[str, list[Pin]] = {}
    for node in nodes:
        driver = ("", node.output) if node.kind == PORT else (node.instance, node.output)
        pins[node.net] = [driver, *(child.pin for child in node.children)]
    nets: dict[str, tuple[Pin, ...]] = {}
    for name, old in netlist.nets.items():
        if name in pins:
            nets[name] = _sorted(pins[name], order)
        elif name not in old_nets:
            nets[name] = old
    nets.update((node.net, _sorted(pins[node.net], order)) for node in new)
    placed = rows.placed(instances, [node.instance for node in new])
    placement = replace(design.placement, instances=_in_order(placed, design.placement.instances, new))
    return replace(design, placement=placement, netlist=replace(netlist, instances=instances, nets=nets))


def _by_name(node: Node) -> tuple[int, int]:
    _, level, number = node.instance.split("_")
    return int(level), int(number)


def _sorted(pins: list[Pin], order: Mapping[str, int]) -> tuple[Pin, ...]:
    return tuple(sorted(pins, key=lambda pin: (order[pin[0]], pin[1]) if pin[0] else (-1, "")))


def _in_order(placed: Mapping[str, Placed], before: Mapping[str, Placed], new: list[Node]) -> dict[str, Placed]:
    names = [*(name for name in before if name in placed), *(node.instance for node in new)]
    return {name: placed[name] for name in names}
