"""PyRTL's compiled simulation, run through thousands of cycles in one call.

`pyrtl.CompiledSimulation` costs a Python loop per cycle, and in PyRTL 1.0.3 `run([...])` gives the values of the
first cycle for every cycle. `BatchSimulation` keeps PyRTL's translation of the block into C and adds the test
bench (driver.c) to the same shared object, so that stimulus, stalls and event recording are compiled too.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyrtl
from pyrtl.simulation import SimulationTrace

from flow.simulate.events import N_FIELDS, EventLog
from flow.simulate.program import Program
from golden.spec import SpecError

DRIVER = Path(__file__).with_name("driver.c")
INPUT_PORTS = (
    "rst wb_cyc_i wb_stb_i wb_we_i wb_sel_i wb_adr_i wb_dat_i x_valid x_data x_first x_last x_keep y_ready"
).split()
OUTPUT_PORTS = (
    "wb_dat_o wb_ack_o wb_err_o x_ready y_valid y_data y_keep y_last irq "
    "probe_step probe_h_we probe_h_index probe_h_value"
).split()
C_PROBES = ("probe_c_we", "probe_c_index", "probe_c_value")  # designs with an LSTM
EVENT_CAPACITY = 1 << 18
CHUNK_CYCLES = 1 << 15


class BatchSimulation(pyrtl.CompiledSimulation):
    """A compiled simulation whose test bench runs in C.

    block: the design with its memories attached; its Inputs and Outputs are the ports and probes of
    docs/datapath.md. memories: those of the banks. Registers and memories start from values drawn with
    `power_up_seed`, so that a register that needs a reset and has none shows, and so does a word that is used and
    was never written. Raises SpecError where a port is missing or wider than 64 bits.
    """

    def __init__(
        self, block: pyrtl.Block, n_streams: int, memories: Sequence[pyrtl.MemBlock] = (), power_up_seed: int = 1
    ):
        check_ports(block)
        self._memories = list(memories)
        self.n_streams = n_streams
        self._registers: list[tuple[pyrtl.Register, str]] = []
        inputs, outputs = block.wirevector_subset(pyrtl.Input), block.wirevector_subset(pyrtl.Output)
        ports = sorted(inputs | outputs, key=lambda wire: wire.name)
        with pyrtl.set_working_block(block, no_sanity_check=True):
            super().__init__(tracer=SimulationTrace(wires_to_track=ports, block=block), block=block)
        self._start = self._dll.driver_start
        self._run = self._dll.driver_run
        self._start.restype = None
        self._run.restype = ctypes.c_uint64
        self.power_up(power_up_seed)

    def _create_code(self, write: Callable[[str], None]) -> None:
        """PyRTL's C, with the registers where they can be set from outside, then the test bench."""
        write("#include <stdint.h>\n#define EXPORT")
        for register in sorted(self.block.wirevector_subset(pyrtl.Register), key=lambda wire: wire.name):
            self.var_names[register] = name = self._clean_name("r", register)
            self._registers.append((register, name))
            write(f"uint64_t {name}[{self._limbs(register)}];")
        super()._create_code(write)
        write(f"#define N_STREAMS {self.n_streams}")
        write(f"#define N_INPUTS {self._inputs_array_length}\n#define N_OUTPUTS {self._outputs_array_length}")
        for name in INPUT_PORTS:
            write(f"#define IN_{name} {self._inputs_metadata[name].start}")
        for name in (*OUTPUT_PORTS, *C_PROBES):
            write(f"#define OUT_{name} {self._outputs_metadata[name].start if name in self._outputs_metadata else -1}")
        write(DRIVER.read_text())

    def _declare_wirevector(self, write: Callable[[str], None], wire: pyrtl.WireVector) -> None:
        if not isinstance(wire, pyrtl.Register):
            super()._declare_wirevector(write, wire)

    def power_up(self, seed: int) -> None:
        """Random values in every register and every word of the memories, as power-up may give."""
        rng = np.random.default_rng(seed)
        for register, name in self._registers:
            storage = (ctypes.c_uint64 * self._limbs(register)).in_dll(self._dll, name)
            storage[:] = self._random_limbs(rng, register)
        self._initialize_mems()
        for memory in self._memories:
            hash_map = ctypes.c_void_p.in_dll(self._dll, self.var_names[memory])
            for address in range(1 << memory.addrwidth):
                value = (ctypes.c_uint64 * self._limbs(memory))(*self._random_limbs(rng, memory))
                self._dll.insert(hash_map, ctypes.c_uint64(address), value)

    def _random_limbs(self, rng: np.random.Generator, wire: pyrtl.WireVector | pyrtl.MemBlock) -> list[int]:
        """A random value of the wire's width in 64-bit pieces."""
        widths = [min(64, wire.bitwidth - 64 * limb) for limb in range(self._limbs(wire))]
        return [int(rng.integers(0, 1 << 64, dtype=np.uint64)) >> (64 - width) for width in widths]

    def run_program(
        self,
        program: Program,
        beats: np.ndarray,
        source: str = "PyRTL",
        progress: Callable[[int, int], None] | None = None,
        window: tuple[int, int] | None = None,
    ) -> EventLog:
        """Run a host program from power-up (registers as they are) and return its events, unchecked.

        beats: (n, 4) uint64. progress: called now and then with (cycles, x beats taken). window: cycles
        (from, to) whose port values are kept in `self.tracer`; the run stops at its end.
        """
        ops = np.ascontiguousarray(program.array())
        beats = np.ascontiguousarray(beats, dtype=np.uint64)
        trace_from, trace_to = window or (0, 0)
        width = self._inputs_array_length + self._outputs_array_length
        trace = np.zeros((max(1, trace_to - trace_from), width), dtype=np.uint64)
        buffer = np.empty((EVENT_CAPACITY, N_FIELDS), dtype=np.uint64)
        state = np.zeros(3, dtype=np.uint64)  # cycles, x beats taken, finished
        self._start(*_array(ops), *_array(beats), ctypes.c_uint64(trace_from), ctypes.c_uint64(trace_to))
        chunks, next_report = [], time.monotonic() + 0.2
        while not state[2] and not (window and state[0] >= trace_to):
            chunk = min(CHUNK_CYCLES, trace_to - int(state[0])) if window else CHUNK_CYCLES
            n_events = self._run(ctypes.c_uint64(chunk), *_array(buffer), _pointer(trace), _pointer(state))
            chunks.append(buffer[:n_events].copy())
            if progress and time.monotonic() > next_report:
                progress(int(state[0]), int(state[1]))
                next_report = time.monotonic() + 0.2
        if window:
            self._fill_tracer(trace[: max(0, min(int(state[0]), trace_to) - trace_from)])
        return EventLog(np.concatenate(chunks), source)

    def _fill_tracer(self, rows: np.ndarray) -> None:
        """Put the traced values of (cycles, inputs then outputs) into PyRTL's trace."""
        slots = {name: (meta.start, meta.length) for name, meta in self._inputs_metadata.items()}
        for name, meta in self._outputs_metadata.items():
            slots[name] = (self._inputs_array_length + meta.start, meta.length)
        for name, values in self.tracer.trace.items():
            start, length = slots[name]
            limbs = rows[:, start : start + length].tolist()
            values[:] = [sum(limb << (64 * k) for k, limb in enumerate(row)) for row in limbs]


def check_ports(block: pyrtl.Block) -> None:
    """Raise SpecError unless the block has every port that the test bench drives and reads, in at most 64 bits."""
    inputs = {wire.name: wire for wire in block.wirevector_subset(pyrtl.Input)}
    outputs = {wire.name: wire for wire in block.wirevector_subset(pyrtl.Output)}
    for kind, wanted, found in (("input", INPUT_PORTS, inputs), ("output", OUTPUT_PORTS, outputs)):
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise SpecError(f"the simulated block must have the {kind} ports of docs/datapath.md, missing: {missing}")
    unknown = sorted(set(inputs) - set(INPUT_PORTS))
    if unknown:
        raise SpecError(f"the simulated block must not have inputs that nothing drives: {unknown}")
    for wire in (*inputs.values(), *outputs.values()):
        if wire.bitwidth > 64:
            raise SpecError(f"ports must have at most 64 bits, not {wire.bitwidth} (port {wire.name})")


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def _array(array: np.ndarray) -> tuple[ctypes.c_void_p, ctypes.c_uint64]:
    return _pointer(array), ctypes.c_uint64(len(array))
