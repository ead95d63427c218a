"""Netlists for tests of place and route: gates in a line that talk to their neighbours, from a seed."""

import random

from physical_kit import LIBRARY, kit_cells

from flow.physical.abstract import CellAbstract, parse_abstracts
from flow.physical.netlist import Netlist

GATES = ("nand2_1", "nor2_1", "xor2_1", "inv_1", "dfxtp_1", "mux2_1", "a21oi_1")
PHYSICAL = ("tapvpwrvgnd_1", "decap_3", "decap_4", "decap_6", "decap_8", "decap_12", "fill_1", "fill_2")
LOCALITY = 12
"""How far back along the line a gate's inputs come from, on average."""

MACRO_LEF = """
MACRO memory CLASS BLOCK ; SIZE 90 BY 75.5 ; SYMMETRY X Y ;
  PIN clk DIRECTION INPUT ; USE CLOCK ; PORT LAYER met2 ; RECT 8 0 9 5 ; END END clk
  PIN d[0] DIRECTION INPUT ; PORT LAYER met2 ; RECT 30 0 30.26 12 ; END END d[0]
  PIN d[1] DIRECTION INPUT ; PORT LAYER met2 ; RECT 50 0 50.26 12 ; END END d[1]
  PIN a[0] DIRECTION INPUT ; PORT LAYER met1 ; RECT 0 40 1.5 40.29 ; END END a[0]
  PIN q[0] DIRECTION OUTPUT ; PORT LAYER met2 ; RECT 31 0 31.26 12 ; END END q[0]
  PIN vdd DIRECTION INOUT ; USE POWER ; PORT LAYER met4 ; RECT 30 5 31.2 70 ; RECT 70 5 71.2 70 ; END END vdd
  PIN vss DIRECTION INOUT ; USE GROUND ; PORT LAYER met4 ; RECT 45 5 46.2 70 ; END END vss
  OBS LAYER met1 ; RECT 2 0 90 75.5 ; END
END memory
"""


def random_cells() -> dict[str, CellAbstract]:
    """The standard cells that these netlists and their layouts need, and a small memory."""
    return kit_cells(*GATES, *PHYSICAL) | parse_abstracts(MACRO_LEF, "memory.lef")


def random_netlist(n_gates: int, seed: int, n_macros: int = 0, n_ports: int = 8) -> Netlist:
    """n_gates gates in a line; each input comes from a gate a little before it, from a port at the beginning."""
    rng, cells = random.Random(seed), random_cells()
    ports = {"clk": "input"} | {f"i[{k}]": "input" for k in reversed(range(n_ports))}
    ports |= {f"o[{k}]": "output" for k in reversed(range(n_ports))}
    pins = {port: [("", port)] for port, direction in ports.items() if direction == "input"}
    instances = {f"g{k}": f"{LIBRARY}__{rng.choice(GATES)}" for k in range(n_gates)}
    outputs: list[str] = []
    for number, (name, cell) in enumerate(instances.items()):
        for pin, abstract in cells[cell].signal_pins.items():
            if pin == "CLK":
                pins["clk"].append((name, pin))
            elif abstract.direction == "INPUT":
                back = int(rng.expovariate(1 / LOCALITY)) + 1
                source = outputs[number - back] if number >= back else f"i[{rng.randrange(n_ports)}]"
                pins[source].append((name, pin))
        outputs.append(f"o[{n_gates - 1 - number}]" if number >= n_gates - n_ports else f"n{number}")
        output = next(pin for pin, abstract in cells[cell].signal_pins.items() if abstract.direction == "OUTPUT")
        port = [("", outputs[-1])] if outputs[-1] in ports else []
        pins[outputs[-1]] = [*port, (name, output)]
    for number in range(n_macros):
        name = f"m{number}"
        instances[name] = "memory"
        for pin, abstract in cells["memory"].signal_pins.items():
            if abstract.direction == "OUTPUT":
                pins[f"{name}_{pin}"] = [(name, pin)]
            else:
                pins["clk" if pin == "clk" else rng.choice(outputs)].append((name, pin))
    return Netlist("random", ports, instances, {net: tuple(ends) for net, ends in pins.items()})
