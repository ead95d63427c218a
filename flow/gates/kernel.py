"""The kernel (kernel.c) with a circuit in it: compiled once, then any netlist runs in it at once.

Verilator takes 50 s of CPU to compile a netlist of 20,000 gates, and its version 5.006 gives another result than Icarus
from the same files (docs/power.md); the tables of this kernel are made in a second.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flow.gates.circuit import Circuit, order_gates
from flow.gates.history import CYCLES_A_WORD, History
from flow.gates.waveform import vcd_text
from flow.simulate.batch import C_PROBES, CHUNK_CYCLES, DRIVER, EVENT_CAPACITY, INPUT_PORTS, OUTPUT_PORTS
from flow.simulate.events import N_FIELDS, EventLog
from flow.simulate.program import Program
from flow.tool import run_tool, tool_version
from golden.spec import SpecError

KERNEL = Path(__file__).with_name("kernel.c")
COMPILER, OPTIONS = "gcc", ("-O3", "-shared", "-fPIC", "-std=c11")


class _Memory(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_int32) for name in ("domain", "address_bits", "word_bits", "n_bytes")),
                *((name, ctypes.c_void_p) for name in ("address", "data", "enable", "output", "words"))]


COUNTS = ("n_nets", "n_gates", "n_levels", "n_flops", "n_domains", "n_memories", "n_inputs", "n_outputs")
ARRAYS = ("gates", "level_start", "fanout_start", "fanout", "flop_data", "flop_output", "flop_domain", "domain_start",
          "domain_enable", "input_net", "input_slot", "input_bit", "output_net", "output_slot", "output_bit")
GATE = np.dtype([("table", np.uint64), *((name, np.int32) for name in ("output", "level", "number", "queued"))])
TYPES = {"gates": GATE, "fanout": np.uint32}


class _Tables(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_int32) for name in COUNTS), *((name, ctypes.c_void_p) for name in ARRAYS),
                ("memories", ctypes.c_void_p), ("value", ctypes.c_void_p), ("seed", ctypes.c_uint64),
                ("poison", ctypes.c_int32), ("history", ctypes.c_void_p), ("history_from", ctypes.c_uint64),
                ("history_to", ctypes.c_uint64), ("history_start", ctypes.c_void_p)]


@dataclass
class Kernel:
    """A circuit that host programs run on; a `Simulator` of flow.simulate.run.

    cache: where compiled kernels are kept. poison: what the memories' contract leaves open is garbage.
    """

    circuit: Circuit
    n_streams: int
    cache: Path
    poison: bool = True
    seed: int = 1
    source: str = "netlist kernel"
    _arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._arrays = _arrays(self.circuit, self.outputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (*OUTPUT_PORTS, *(name for name in C_PROBES if name in self.circuit.probes))

    def compile(self, folder: Path) -> Path:
        """The compiled kernel; its log goes into the folder."""
        defines = [f"-DN_STREAMS={self.n_streams}", f"-DN_INPUTS={len(INPUT_PORTS)}"]
        defines += [f"-DN_OUTPUTS={len(self.outputs)}"]
        defines += [f"-DIN_{name}={slot}" for slot, name in enumerate(INPUT_PORTS)]
        defines += [f"-DOUT_{name}={self.outputs.index(name) if name in self.outputs else -1}"
                    for name in (*OUTPUT_PORTS, *C_PROBES)]
        text = KERNEL.read_text() + DRIVER.read_text()
        key = hashlib.sha256("\n".join((text, *OPTIONS, *defines, tool_version(COMPILER))).encode()).hexdigest()[:20]
        self.cache.mkdir(parents=True, exist_ok=True)
        made = self.cache / f"kernel-{key}.so"
        with (self.cache / f".kernel-{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)           # who comes second finds it ready
            if not made.is_file():
                source, part = made.with_suffix(".c"), made.with_suffix(".part")
                source.write_text(text)
                run_tool([COMPILER, *OPTIONS, *defines, "-o", part, source], folder / "compile.log")
                os.replace(part, made)
        return made

    def run(self, program: Program, beats: np.ndarray, folder: Path,
            progress: Callable[[int, int], None] | None = None) -> EventLog:
        """The events of a host program from power-up, unchecked."""
        return self.record(program, beats, folder, None, progress)[0]

    def record(self, program: Program, beats: np.ndarray, folder: Path, window: tuple[int, int] | None,
               progress: Callable[[int, int], None] | None = None) -> tuple[EventLog, History | None]:
        """A run, and what every net did in the cycles from, to of the window; it stops behind it."""
        library = ctypes.CDLL(str(self.compile(folder).resolve()))
        library.driver_start.restype, library.driver_run.restype = None, ctypes.c_uint64
        tables, kept, history = self._tables(window)
        if library.gates_start(ctypes.byref(tables)):
            raise SpecError(f"the netlist is larger than what the kernel reserves ({KERNEL.name}): "
                            f"{tables.n_gates} gates, {tables.n_flops} flip-flops, {tables.n_domains} clock domains")
        ops, beats = np.ascontiguousarray(program.array()), np.ascontiguousarray(beats, dtype=np.uint64)
        buffer, state = np.empty((EVENT_CAPACITY, N_FIELDS), dtype=np.uint64), np.zeros(3, dtype=np.uint64)
        library.driver_start(_pointer(ops), ctypes.c_uint64(len(ops)), _pointer(beats), ctypes.c_uint64(len(beats)),
                             ctypes.c_uint64(0), ctypes.c_uint64(0))
        chunks, next_report = [], time.monotonic() + 0.2
        end = window[1] if window else None
        while not state[2] and (end is None or state[0] < end):
            chunk = CHUNK_CYCLES if end is None else min(CHUNK_CYCLES, end - int(state[0]))
            n_events = library.driver_run(ctypes.c_uint64(chunk), _pointer(buffer), ctypes.c_uint64(EVENT_CAPACITY),
                                          None, _pointer(state))
            chunks.append(buffer[:n_events].copy())
            if progress and time.monotonic() > next_report:
                progress(int(state[0]), int(state[1]))
                next_report = time.monotonic() + 0.2
        if history is not None:                        # a run may end within the window
            history = replace(history, n_cycles=min(int(state[0]), window[1]) - window[0])
        del kept
        return EventLog(np.concatenate(chunks), self.source), history

    def write_window(self, program: Program, beats: np.ndarray, folder: Path, window: tuple[int, int]) -> Path:
        """Run again and write the waveform of the cycles (from, to): all nets but the clock's, settled."""
        history = self.record(program, beats, folder, window)[1]
        path = folder / "window.vcd"
        path.write_text(vcd_text(self.circuit, history, window[0]), encoding="utf-8")
        return path

    def _tables(self, window: tuple[int, int] | None) -> tuple[_Tables, list, History | None]:
        """The C structure, what must live as long as it does, and where the history goes."""
        circuit, arrays = self.circuit, {**self._arrays, "gates": self._arrays["gates"].copy()}
        values = np.zeros(len(circuit.nets), dtype=np.uint8)
        kept: list = [values, arrays]
        memories = (_Memory * max(1, len(circuit.memories)))()
        for target, memory in zip(memories, circuit.memories, strict=False):
            words = np.zeros(1 << len(memory.address), dtype=np.uint64)
            nets = [np.array(part, dtype=np.int32) for part in (memory.address, memory.data, memory.enable,
                                                                memory.output)]
            kept += [words, *nets]
            target.domain, target.address_bits = memory.domain, len(memory.address)
            target.word_bits, target.n_bytes = len(memory.data), len(memory.enable)
            for name, array in zip(("address", "data", "enable", "output", "words"), (*nets, words), strict=True):
                setattr(target, name, array.ctypes.data)
        history = None
        if window:
            n_words = -(-(window[1] - window[0]) // CYCLES_A_WORD)
            rows = np.zeros((n_words, len(circuit.nets) + len(circuit.domains)), dtype=np.uint64)
            start = np.zeros(len(circuit.nets), dtype=np.uint8)
            history = History(window[1] - window[0], rows[:, :len(circuit.nets)], rows[:, len(circuit.nets):], start)
            kept += [rows, start]
        counts = dict(zip(COUNTS, (len(circuit.nets), len(circuit.gates), len(arrays["level_start"]) - 1,
                                   len(circuit.flops), len(circuit.domains), len(circuit.memories),
                                   len(arrays["input_net"]), len(arrays["output_net"])), strict=True))
        tables = _Tables(**counts, **{name: arrays[name].ctypes.data for name in ARRAYS},
                         memories=ctypes.addressof(memories), value=values.ctypes.data, seed=self.seed,
                         poison=int(self.poison), history=kept[-2].ctypes.data if window else None,
                         history_from=window[0] if window else 0, history_to=window[1] if window else 0,
                         history_start=kept[-1].ctypes.data if window else None)
        return tables, [*kept, memories], history


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def _arrays(circuit: Circuit, outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The kernel's tables of a circuit."""
    levels = order_gates(circuit)
    order = sorted(range(len(levels)), key=levels.__getitem__)          # gates of a level side by side in memory
    gates = [circuit.gates[number] for number in order]
    edges = sorted((net, number * 64 + (1 << bit)) for number, gate in enumerate(gates)
                   for bit, net in enumerate(gate.inputs))
    domains = circuit.domains
    inputs = [(circuit.ports[name], slot, bit) for slot, port in enumerate(INPUT_PORTS)
              for bit, name in _bits(port, circuit.ports)]
    shown = [(net, slot, bit) for slot, name in enumerate(outputs)
             for bit, net in (enumerate(circuit.probes[name]) if name in circuit.probes
                              else [(bit, circuit.ports[port]) for bit, port in _bits(name, circuit.ports)])]
    columns = {
        "gates": [(gate.table, gate.output, levels[number], 0, 0)
                  for gate, number in zip(gates, order, strict=True)],
        "level_start": np.searchsorted(sorted(levels), np.arange(max(levels, default=-1) + 2)),
        "fanout_start": np.searchsorted([net for net, _ in edges], np.arange(len(circuit.nets) + 1)),
        "fanout": [edge for _, edge in edges],
        **{f"flop_{name}": [getattr(flop, name) for flop in circuit.flops] for name in ("data", "output", "domain")},
        "domain_start": np.cumsum([0, *map(len, domains)]),
        "domain_enable": [net for nets in domains for net in nets],
        **{f"input_{name}": column for name, column in _columns(inputs).items()},
        **{f"output_{name}": column for name, column in _columns(shown).items()},
    }
    return {name: np.array(column, dtype=TYPES.get(name, np.int32)) for name, column in columns.items()}


def _columns(rows: list[tuple[int, int, int]]) -> dict[str, list[int]]:
    return {name: [row[k] for row in rows] for k, name in enumerate(("net", "slot", "bit"))}


def _bits(port: str, ports: dict[str, int]) -> list[tuple[int, str]]:
    """The bits of a port by number; SpecError when there is none."""
    if port in ports:
        return [(0, port)]
    found = []
    while f"{port}[{len(found)}]" in ports:
        found.append((len(found), f"{port}[{len(found)}]"))
    if not found:
        raise SpecError(f"the netlist must have the ports and probes of docs/datapath.md, and lacks {port}")
    return found
