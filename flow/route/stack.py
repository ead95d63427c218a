"""The router's view of a technology: which layers and vias it uses, and whether its model of conflicts holds there."""

from functools import lru_cache
from itertools import product

from flow.physical.technology import RoutingLayer, Technology, Via
from flow.route.lattice import Half, LayerRule, Stack, ViaRule, check_model, conflicts, modelled_conflicts
from golden.spec import SpecError

N_LAYERS = 4
"""Layers that wires run on: met1 to met4; met5 is the power grid's."""


def stack_of(technology: Technology) -> tuple[Stack, tuple[int, int], tuple[int, int]]:
    """The stack, and pitch and offset (x, y) of the lattice. SpecError when the router's model does not fit.

    Of the tech LEF's vias the first set is taken whose pads conflict only where the search expects it.
    """
    names = list(technology.layers)
    metals = names[1:N_LAYERS + 1]
    if len(metals) < N_LAYERS:
        raise SpecError(f"the router needs {N_LAYERS} metals above {names[0]}, and the tech LEF has {len(metals)}")
    layers = [technology.layers[name] for name in metals]
    pitch = (_finest(layers, horizontal=False), _finest(layers, horizontal=True))
    offset = tuple(next(layer.offset for layer in layers if layer.is_horizontal == (axis == 1)) for axis in (0, 1))
    rules = tuple(_layer_rule(layer, pitch[1 if layer.is_horizontal else 0]) for layer in layers)
    vias = _vias(technology, names[0], rules, pitch)
    return Stack(names[0], rules, vias), pitch, (offset[0], offset[1])


def _finest(layers: list[RoutingLayer], horizontal: bool) -> int:
    return min(layer.pitch for layer in layers if layer.is_horizontal == horizontal)


def _layer_rule(layer: RoutingLayer, pitch: int) -> LayerRule:
    """A layer with a track at every node may turn: a wire one node long against its direction meets no rule."""
    step = layer.pitch // pitch
    wide = layer.spacing_table[-1]
    return LayerRule(layer.name, layer.is_horizontal, step, step == 1, layer.width // 2, layer.spacing, layer.min_area,
                     wide[0], wide[1])


def _vias(technology: Technology, pin_layer: str, rules: tuple[LayerRule, ...],
          pitch: tuple[int, int]) -> tuple[ViaRule, ...]:
    below = (pin_layer, *(rule.name for rule in rules[:-1]))
    choices = [[_via_rule(via, technology) for via in technology.vias_between(lower, rule.name)]
               for lower, rule in zip(below, rules, strict=True)]
    expected = modelled_conflicts()
    for vias in product(*choices):
        if conflicts(Stack(pin_layer, rules, vias), *pitch) == expected:
            return vias
    first = tuple(choice[0] for choice in choices)
    check_model(Stack(pin_layer, rules, first), *pitch, "with the first of the tech LEF's vias, and no others fit")
    raise AssertionError("unreachable")


@lru_cache(maxsize=64)
def _half(width: int, height: int) -> Half:
    return width // 2, height // 2


def _via_rule(via: Via, technology: Technology) -> ViaRule:
    lower, cut, upper = (_half(shape.rect.width, shape.rect.height) for shape in via.shapes)
    return ViaRule(via.name, via.cuts[0].layer, lower, cut, upper, technology.cuts[via.cuts[0].layer].spacing)
