"""Small views with the interface of OpenRAM's macros, for trees that tests make up.

The interface is that of the published macros (github.com/VLSIDA/sky130_sram_macros): names, directions and ranges of
pins, inputs taken at the rising edge of clk0, read data and writes at the falling edge with one delay, read data
unknown T_HOLD after every rising edge. There is no memory in layout and netlist.
"""

import klayout.db as kdb

MODEL = """// @NAME@: stands for the macro in tests
module @NAME@ (
`ifdef USE_POWER_PINS
    vccd1,
    vssd1,
`endif
    clk0, csb0, web0, wmask0, addr0, din0, dout0,      // port 0: read or write
    clk1, csb1, addr1, dout1                           // port 1: read
);
    parameter NUM_WMASKS = @BYTES@ ;
    parameter DATA_WIDTH = @BITS@ ;
    parameter ADDR_WIDTH = @ADDR@ ;
    parameter DELAY = 3 ;
    parameter T_HOLD = 1 ;

`ifdef USE_POWER_PINS
    inout vccd1;
    inout vssd1;
`endif
    input clk0; // clock
    input csb0; // active low
    input web0; // active low
    input [NUM_WMASKS-1:0] wmask0;
    input [ADDR_WIDTH-1:0] addr0;
    input [DATA_WIDTH-1:0] din0;
    output [DATA_WIDTH-1:0] dout0;
    input clk1;
    input csb1;
    input [ADDR_WIDTH-1:0] addr1;
    output [DATA_WIDTH-1:0] dout1;

    reg [DATA_WIDTH-1:0] words [0:(1<<ADDR_WIDTH)-1];
    reg [DATA_WIDTH-1:0] dout0, dout1;
    reg selected, writes, selected1;
    reg [NUM_WMASKS-1:0] bytes;
    reg [ADDR_WIDTH-1:0] at, at1;
    reg [DATA_WIDTH-1:0] data;
    integer k;

    always @(posedge clk0) begin
        selected <= !csb0;
        writes <= !web0;
        bytes <= wmask0;
        at <= addr0;
        data <= din0;
        dout0 <= #(T_HOLD) {DATA_WIDTH{1'bx}};
    end

    always @(negedge clk0)
        if (selected && writes) begin
            for (k = 0; k < NUM_WMASKS; k = k + 1)
                if (bytes[k]) words[at][8*k +: 8] <= data[8*k +: 8];
        end
        else if (selected) dout0 <= #(DELAY) words[at];

    always @(posedge clk1) begin
        selected1 <= !csb1;
        at1 <= addr1;
        dout1 <= #(T_HOLD) {DATA_WIDTH{1'bx}};
    end

    always @(negedge clk1)
        if (selected1) dout1 <= #(DELAY) words[at1];
endmodule
"""


def verilog(spec):
    text = MODEL
    for name, value in (("NAME", spec.name), ("BYTES", spec.n_bytes), ("BITS", spec.word_bits),
                        ("ADDR", spec.address_bits)):
        text = text.replace(f"@{name}@", str(value))
    return text


def lef(spec):
    """Pins in a row, on met4; like the published files without the use of clocks."""
    lines = ["VERSION 5.4 ;", 'BUSBITCHARS "[]" ;', 'DIVIDERCHAR "/" ;', f"MACRO {spec.name}", "   CLASS BLOCK ;",
             "   SIZE 479.78 BY 397.5 ;", "   SYMMETRY X Y R90 ;"]
    for k, (name, pin) in enumerate(spec.pins().items()):
        lines += [f"   PIN {name}", f"      DIRECTION {pin.direction} ;"]
        lines += [f"      USE {pin.use} ;", "      SHAPE ABUTMENT ;"] if name in spec.supplies else []
        lines += ["      PORT", "         LAYER met4 ;", f"         RECT {2 * k}.0 0.0 {2 * k}.38 1.06 ;", "      END",
                  f"   END {name}"]
    lines += ["   OBS", "   LAYER  met1 ;", "      RECT  0.62 0.62 479.16 396.88 ;", "   END", f"END {spec.name}"]
    return "\n".join([*lines, "END LIBRARY", ""])


def spice(spec):
    return f"* {spec.name}\n.SUBCKT {spec.name.upper()}\n+ {' '.join(spec.pins())}\n.ENDS\n"


def liberty(spec):
    """One table for everything; the groups and attributes of the published files."""
    buses = {"data": spec.word_bits, "addr": spec.address_bits, "wmask": spec.n_bytes}
    lines = [f"library ({spec.name}_TT_1p8V_25C_lib){{", '    delay_model : "table_lookup";', '    time_unit : "1ns" ;',
             "    capacitive_load_unit(1, pF) ;",
             "    lu_table_template(CELL_TABLE){", "        variable_1 : input_net_transition;",
             "        variable_2 : total_output_net_capacitance;", '        index_1("0.01, 0.1");',
             '        index_2("0.01, 0.1");', "    }"]
    for name, width in buses.items():
        lines += [f"    type ({name}){{", "    base_type : array;", "    data_type : bit;", f"    bit_width : {width};",
                  f"    bit_from : {width - 1};", "    bit_to : 0;", "    }"]
    lines += [f"cell ({spec.name}){{", "    memory(){", "    type : ram;", f"    word_width : {spec.word_bits};",
              "    }", "    area : 190712.5;"]
    lines += [f"    pg_pin({name}) {{ voltage_name : {name.upper()}; pg_type : primary_{pin.use.lower()}; }}"
              for name, pin in spec.supplies.items()]
    kinds = {"din0": "data", "dout0": "data", "addr0": "addr", "wmask0": "wmask", "addr1": "addr", "dout1": "data"}
    for name, pin in spec.pins().items():
        bus, _, bit = name.partition("[")
        direction = pin.direction.lower()
        if bit == "0]":
            lines += [f"    bus({bus}){{", f"        bus_type  : {kinds[bus]};", f"        direction  : {direction};",
                      f"        pin({bus}[{buses[kinds[bus]] - 1}:0]){{", "        timing(){",
                      f'            related_pin : "clk{bus[-1]}";',
                      f"            timing_type : {'falling_edge' if direction == 'output' else 'setup_rising'};",
                      "            cell_rise(CELL_TABLE) {", '            values("2.87, 3.28",\\',
                      '                   "2.87, 3.29");', "            }", "        }", "        }", "    }"]
        elif not bit and name not in spec.supplies:
            clock = ["        clock             : true;"] if pin.use == "CLOCK" else []
            lines += [f"    pin({name}){{", *clock, f"        direction  : {direction};", "    }"]
    return "\n".join([*lines, "    }", "}", ""])


def write_gds(spec, path):
    layout = kdb.Layout()
    layout.create_cell(spec.name).shapes(layout.layer(71, 20)).insert(kdb.DBox(0, 0, 479.78, 397.5))
    layout.write(str(path))


def add_macro(root, spec, config):
    """The views of a macro into a tree, where the PDK file says."""
    texts = {"lef": lef(spec), "verilog": verilog(spec), "spice": spice(spec), **dict.fromkeys(config.openram.liberty,
                                                                                           liberty(spec))}
    paths = {**config.openram.views, **config.openram.liberty}
    for view, path in paths.items():
        file = root / path.format(name=spec.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if view == "gds":
            write_gds(spec, file)
        else:
            file.write_text(texts[view])
