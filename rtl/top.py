"""The block: controller, MAC array, update, states, streams and host, put together.

`build_core` makes the block for export (memories outside), `build_simulation` the same block with memory models
inside and the probes as outputs. Ports, address map and probes: docs/datapath.md.
"""

from dataclasses import dataclass

import pyrtl
from pyrtl import Block, Const, Input, MemBlock, Output, WireVector

from golden.quantize import QuantizedModel
from rtl.address_map import ADDRESS_BITS
from rtl.cell_update import UpdateWrites, build_update
from rtl.config import DesignConfig
from rtl.controller import ControllerInputs, Issue, build_controller
from rtl.fixed_wire import drive
from rtl.host import DatapathStatus, Grant, Host, WishbonePorts
from rtl.mac_array import build_mac_array
from rtl.registers import ControlRegisters, delay, hold
from rtl.sequencer import build_sequencer
from rtl.sram import SramPorts, attach_models, declare_ports, export_ports
from rtl.state import HostState, State, build_columns, build_step_info, build_update_reads, build_writes
from rtl.streams import XBuffer, XPorts, YStream, build_x_stream, build_y_stream, wants_y, y_phase_begins
from rtl.timing import ACTIVATED, NARROWED
from rtl.weight_image import check_belongs, format_crc32


@dataclass(frozen=True)
class SimulationBlock:
    """A block to simulate: its inputs and outputs by name are the ports and probes; memories are the banks'."""

    block: Block
    memories: list[MemBlock]


def build_core(design: DesignConfig, qmodel: QuantizedModel) -> Block:
    """The block with SRAM ports, in a fresh PyRTL block. Of `qmodel` only the formats of c are built in."""
    check_belongs(design, qmodel)
    block = Block()
    with pyrtl.set_working_block(block, no_sanity_check=True):
        pyrtl.wire._reset_wire_indexers()  # names of temporaries start anew: same design, same Verilog
        ports = _build(design, qmodel, _keep_probe)
        export_ports(ports)
    block.sanity_check()
    return block


def build_simulation(design: DesignConfig, qmodel: QuantizedModel) -> SimulationBlock:
    """The block with memory models inside and its probes as outputs."""
    check_belongs(design, qmodel)
    block = Block()
    with pyrtl.set_working_block(block, no_sanity_check=True):
        pyrtl.wire._reset_wire_indexers()
        memories = attach_models(_build(design, qmodel, _output_probe))
    block.sanity_check()
    return SimulationBlock(block, memories)


def _keep_probe(value: WireVector, name: str) -> None:
    probe = WireVector(len(value), name)
    probe <<= value


def _output_probe(value: WireVector, name: str) -> None:
    drive(Output(len(value), name), value)


def _build(design: DesignConfig, qmodel: QuantizedModel, probe) -> SramPorts:
    streams = design.datapath.streams
    reset = Input(1, "rst")
    wishbone = WishbonePorts(Input(1, "wb_cyc_i"), Input(1, "wb_stb_i"), Input(1, "wb_we_i"),
                             Input(4, "wb_sel_i"), Input(ADDRESS_BITS, "wb_adr_i"), Input(32, "wb_dat_i"))
    x_ports = XPorts(Input(1, "x_valid"), Input(8 * streams, "x_data"), Input(streams, "x_first"),
                     Input(streams, "x_last"), Input(streams, "x_keep"))
    y_ready = Input(1, "y_ready")

    host = Host(design, format_crc32(design, qmodel), wishbone, ControlRegisters(reset))
    registers = ControlRegisters(reset | host.soft_reset)
    step_end, y_busy, busy = WireVector(1, "step_end"), WireVector(1, "y_vector_busy"), WireVector(1, "datapath_busy")
    x = build_x_stream(design, x_ports, step_end, registers)
    grant = host.grant(busy)
    y_streams = WireVector(streams, "y_streams")
    issue = build_controller(
        design.layout,
        ControllerInputs(x.ready, grant.may_start, pyrtl.or_all_bits(y_streams), y_busy),
        registers,
    )
    drive(step_end, issue.step_end)
    # CTRL is sampled where a step begins: what it wants of y holds to the step's end.
    wanted_now = wants_y(x.keep, x.last, host.y_every_step)
    y_streams <<= pyrtl.select(issue.at_step_start, wanted_now, hold(wanted_now, issue.step_start, "y_wanted"))
    busy <<= ~issue.at_step_start | issue.draining

    sram = declare_ports(design.datapath)
    _drive_banks(design, sram, issue, grant, registers)
    state = State(design)
    info, half = build_step_info(design, issue, x, registers)
    host_state = _host_state(grant, host)
    elements = build_columns(design, state, issue, x, half, host_state)

    slot, advance = build_sequencer(design, issue, x.toggle, registers)
    head = build_mac_array(design, sram.read_data, elements, issue, advance, registers)
    reads, host_c = build_update_reads(design, state, info, slot, host_state)
    writes = build_update(design, qmodel, head, slot, reads)
    h_we, c_we = build_writes(state, writes, info, half, host_state, slot)
    y_index = slot.local.at(NARROWED if design.model.output is None else ACTIVATED)
    y = build_y_stream(design, writes.y, writes.y_we, y_index, y_phase_begins(design, issue), y_streams,
                       x.last, y_ready, registers)
    drive(y_busy, y.busy)

    status = DatapathStatus(busy, x.ready, y.valid, issue.step_start, y.ended,
                            _causes(issue, x, y, registers))
    dat, irq = host.finish(status, sram.read_data, elements, host_c)
    _drive_outputs(host, dat, irq, x, y)
    _drive_probes(probe, design, issue, writes, h_we, c_we, slot.index.at(NARROWED))
    return sram


def _drive_banks(
    design: DesignConfig, sram: SramPorts, issue: Issue, grant: Grant, registers: ControlRegisters
) -> None:
    """Registered memory ports: the controller's word while it issues, else what the host was granted."""
    banks = design.datapath.banks
    address = issue.address.zero_extended(max(len(sram.address), len(issue.address)))[: len(sram.address)]
    drive(sram.address, delay(pyrtl.select(grant.on_bus, grant.address, address), "bank_address"))
    drive(sram.write_data, delay(grant.data, "bank_write_data"))
    enable = pyrtl.select(issue.valid, Const((1 << banks) - 1, banks), pyrtl.concat_list(grant.bank))
    drive(sram.enable, registers.delayed(enable, "bank_enable"))
    for b, mask in enumerate(sram.write_mask):
        mine = pyrtl.concat_list([grant.bank[b]] * len(mask))
        drive(mask, registers.delayed(grant.mask & mine, f"bank_write_mask_{b}"))


def _host_state(grant: Grant, host: Host) -> HostState:
    return HostState(
        write_h=grant.write_h,
        write_c=grant.write_c,
        stream=grant.stream,
        index=grant.index,
        value=grant.value,
        c_read=host.reading[-1],
    )


def _causes(
    issue: Issue, x: XBuffer, y: YStream, registers: ControlRegisters
) -> dict[str, WireVector]:
    """Why each busy cycle was spent; at most one bit is set."""
    streams = len(x.keep)
    in_sequence = registers.make(streams, "in_sequence")
    registers.set_next(in_sequence, pyrtl.select(issue.step_start, (in_sequence | x.keep) & ~x.last, in_sequence))
    wait_x = issue.at_step_start & ~(issue.valid | issue.wait_y | issue.wait_update)
    amid = pyrtl.or_all_bits(in_sequence)
    return {
        "mac": issue.column,
        "header": issue.header,
        "recurrence": issue.wait_recurrence,
        "update": issue.wait_update,
        "host": issue.wait_y | (wait_x & amid),
        "drain": wait_x & ~amid & issue.draining,
    }


def _drive_outputs(host: Host, dat: WireVector, irq: WireVector, x: XBuffer, y: YStream) -> None:
    outputs = {
        "wb_dat_o": dat, "wb_ack_o": host.ack, "wb_err_o": host.err, "irq": irq,
        "x_ready": x.stream_ready,
        "y_valid": y.valid, "y_data": y.data, "y_keep": y.keep, "y_last": y.last,
    }
    for name, value in outputs.items():
        drive(Output(len(value), name), value)


def _drive_probes(
    probe, design: DesignConfig, issue: Issue, writes: UpdateWrites, h_we: WireVector, c_we: WireVector,
    index: WireVector,
) -> None:
    """What the simulations compare with golden (docs/datapath.md)."""
    probe(issue.step_start, "probe_step")
    probe(h_we, "probe_h_we")
    probe(index, "probe_h_index")
    probe(pyrtl.concat_list(writes.h), "probe_h_value")
    if any(cell.kind == "lstm" for cell in design.model.cells):
        probe(c_we, "probe_c_we")
        probe(index, "probe_c_index")
        probe(pyrtl.concat_list(writes.c), "probe_c_value")
