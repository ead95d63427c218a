"""Float parameters of a network: names, shapes and checks.

Names and layout are PyTorch's: `cells.<l>.w_ih` (G*H, X), `cells.<l>.w_hh` (G*H, H), `cells.<l>.b_ih` and
`cells.<l>.b_hh` (G*H,) with the G gate blocks one after the other (LSTM i, f, g, o; GRU r, z, n; Elman one), then
`output.w` (O, H) or, reading x and h, (O, X+H), and `output.b` (O,).
"""

from collections.abc import Mapping

import numpy as np

from golden.spec import ModelSpec, SpecError


def param_shapes(model: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every float parameter of `model`, in order.

    >>> from golden.spec import CellSpec, OutputSpec
    >>> param_shapes(ModelSpec(2, (CellSpec("elman", 4, bias=False),), OutputSpec(3)))
    {'cells.0.w_ih': (4, 2), 'cells.0.w_hh': (4, 4), 'output.w': (3, 4), 'output.b': (3,)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (cell, size) in enumerate(zip(model.cells, model.cell_input_sizes, strict=True)):
        n_rows = cell.n_float_gates * cell.hidden_size
        shapes[f"cells.{layer}.w_ih"] = (n_rows, size)
        shapes[f"cells.{layer}.w_hh"] = (n_rows, cell.hidden_size)
        if cell.bias:
            shapes[f"cells.{layer}.b_ih"] = shapes[f"cells.{layer}.b_hh"] = (n_rows,)
    if model.output is not None:
        shapes["output.w"] = (model.output.size, model.output_fan_in)
        if model.output.bias:
            shapes["output.b"] = (model.output.size,)
    return shapes


def check_params(model: ModelSpec, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters as finite float64 arrays in order; SpecError naming the parameter, what is expected, what
    was got and the remedy otherwise."""
    shapes = param_shapes(model)
    if unexpected := sorted(set(params) - set(shapes)):
        raise SpecError(
            f"parameters must be {', '.join(shapes)}; {unexpected[0]} is not among them: remove it, "
            "or set bias and the sizes of the model spec to what was trained"
        )
    checked = {}
    for name, shape in shapes.items():
        if name not in params:
            raise SpecError(
                f"parameter {name} of shape {shape} must be given, not left out: add it, or set bias: false"
            )
        value = np.asarray(params[name])
        if value.dtype == object or not np.issubdtype(value.dtype, np.number) or np.iscomplexobj(value):
            raise SpecError(f"parameter {name} must be real numbers of shape {shape}, not {value.dtype}: convert it")
        if value.shape != shape:
            raise SpecError(
                f"parameter {name} must have shape {shape}, not {value.shape}: "
                "transpose it or correct the sizes in the model spec"
            )
        if not np.isfinite(value).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
            raise SpecError(f"parameter {name} must be finite, not {value[index]} at {index}: train the network again")
        checked[name] = value.astype(np.float64)
    return checked
