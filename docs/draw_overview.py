"""Draws docs/overview.svg, the README's picture: `python docs/draw_overview.py`.

Above, how a network is trained, generated and compared; below, the datapath, with the sizes of the design `vowels`.
Coordinates are SVG pixels. The same script gives the same bytes, and a test holds the committed picture to it.
"""

from html import escape
from pathlib import Path

WIDTH, HEIGHT = 1080, 672
INK, MUTED, PAPER, LINE = "#1f2933", "#5f6c7b", "#fbfaf7", "#c9cfd6"
FILLS = {"golden": ("#fdf3d7", "#c99700"), "rtl": ("#e1eefb", "#2f74b5"), "tool": ("#e5f3e8", "#3b8a52"),
         "memory": ("#efe6f7", "#7a4fa3"), "result": ("#ffffff", "#5f6c7b"), "later": (PAPER, "#9aa5b1")}
FONT = "font-family=\"Inter, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\""


def text(x: float, y: float, words: str, size: int = 13, colour: str = INK, anchor: str = "middle",
         weight: str = "normal") -> str:
    return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def box(x: float, y: float, w: float, h: float, kind: str, title: str, *lines: str) -> str:
    """A rounded box, its title in bold, further lines smaller, all centred."""
    fill, edge = FILLS[kind]
    dash = ' stroke-dasharray="5 4"' if kind == "later" else ""
    first = y + h / 2 - 8 * len(lines) + 5
    parts = [f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="8" fill="{fill}" stroke="{edge}" '
             f'stroke-width="1.5"{dash}/>', text(x + w / 2, first, title, 14, weight="600")]
    parts += [text(x + w / 2, first + 17 * (k + 1), line, 11.5, MUTED) for k, line in enumerate(lines)]
    return "\n".join(parts)


def arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    """A line through the points with a head at its end."""
    path = " ".join(f"{'L' if k else 'M'}{x:g} {y:g}" for k, (x, y) in enumerate(points))
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="{MUTED}" stroke-width="1.6" marker-end="url(#head)"{dash}/>'


def line(*points: tuple[float, float]) -> str:
    """A line through the points without a head: a bus, or the way to one."""
    return arrow(*points).replace(' marker-end="url(#head)"', "")


def draw_comparison() -> list[str]:
    """From data and design file to four answers that must be one."""
    return [
        text(30, 42, "Is it right?", 18, anchor="start", weight="600"),
        text(150, 42, "./stillwater sim: four ways to compute one network, equal in every bit of every step", 13, MUTED,
             "start"),
        box(30, 64, 168, 62, "result", "Data set", "sequences in aeon's wheel"),
        box(30, 192, 168, 62, "result", "Design file", "rtl/designs/vowels.yaml"),
        box(240, 64, 176, 62, "golden", "Training", "BPTT in numpy, Adam, QAT"),
        box(240, 192, 176, 62, "rtl", "Generator", "PyRTL, one for all cells"),
        box(458, 64, 176, 62, "golden", "Golden, integers", "int8 weights, s8.7 states"),
        box(458, 192, 176, 62, "rtl", "Verilog", "core, SRAM wrapper, weights"),
        box(676, 128, 150, 62, "tool", "PyRTL simulation", "compiled to C"),
        box(676, 200, 150, 46, "tool", "Verilator"),
        box(676, 254, 150, 46, "tool", "Icarus Verilog"),
        box(892, 108, 158, 98, "result", "h, c, y equal", "every unit, every step;", "else the first difference",
            "and a VCD window"),
        box(892, 246, 158, 54, "later", "GDS", "place and route: next"),
        arrow((198, 95), (236, 95)), arrow((416, 95), (454, 95)), arrow((198, 223), (236, 223)),
        arrow((416, 223), (454, 223)), arrow((328, 192), (328, 159), (672, 159)),
        arrow((634, 223), (672, 223)), arrow((652, 223), (652, 277), (672, 277)),
        arrow((546, 126), (546, 188)),
        arrow((634, 95), (858, 95), (858, 125), (888, 125)), arrow((826, 159), (888, 159)),
        arrow((826, 223), (858, 223), (858, 180), (888, 180)), arrow((826, 277), (870, 277), (870, 194), (888, 194)),
        arrow((546, 254), (546, 318), (971, 318), (971, 304), dashed=True),
        text(556, 148, "weights", 11, MUTED, "start"),
    ]


def draw_datapath() -> list[str]:
    """Banks, lanes, update and states of one block, between its Wishbone port and its streams."""
    parts = [
        text(30, 370, "What is built", 18, anchor="start", weight="600"),
        text(168, 370, "weights stay in SRAM; one element a cycle goes to every lane; the update of a tile hides "
             "behind the next", 13, MUTED, "start"),
        f'<rect x="196" y="390" width="688" height="262" rx="12" fill="#ffffff" stroke="{LINE}" stroke-width="1.5"/>',
        box(30, 418, 130, 58, "result", "Wishbone", "weights, status, irq"),
        box(30, 576, 130, 58, "result", "x stream", "valid / ready, s8.7"),
        box(920, 418, 130, 58, "result", "y stream", "valid / ready, s16"),
        box(216, 408, 116, 78, "rtl", "Controller", "addresses, tiles,", "streams, host port"),
        box(216, 576, 116, 58, "memory", "x buffers", "the step to come"),
        box(702, 404, 164, 94, "rtl", "Activation, update", "tanh, sigmoid: one table", "c' = f c + i g",
            "h' = o tanh c'"),
        box(702, 546, 164, 88, "memory", "States", "h in two buffers, c", "s8.7 and s16.n,",
            "for 1, 2 or 4 streams"),
        arrow((160, 447), (212, 447)), arrow((160, 605), (212, 605)), arrow((866, 447), (916, 447)),
        arrow((784, 498), (784, 542)), line((332, 447), (356, 447)), line((356, 426), (356, 597)),
        line((332, 605), (350, 605), (350, 641), (514, 641)),
        line((702, 616), (692, 616), (692, 641), (514, 641), (514, 437)),
        line((672, 426), (672, 597)), arrow((672, 447), (698, 447)),
        text(604, 634, "x and h, one element a cycle", 11, MUTED),
    ]
    for bank in range(4):
        y = 404 + 57 * bank
        parts += [box(376, y, 116, 44, "memory", f"bank {bank}", "512 x 32 SRAM"),
                  box(538, y, 118, 44, "rtl", "i   f   g   o", "4 MACs of one unit"),
                  arrow((356, y + 22), (372, y + 22)), arrow((492, y + 12), (534, y + 12)),
                  arrow((514, y + 33), (534, y + 33)), line((656, y + 22), (672, y + 22))]
    return parts


def draw() -> str:
    """The whole picture as SVG text."""
    head = (f'<marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{MUTED}"/></marker>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" {FONT}>',
        "<title>Stillwater: how a network is compared, and the datapath that is built</title>",
        f"<defs>{head}</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="16" fill="{PAPER}"/>',
        *draw_comparison(),
        f'<path d="M30 338 H{WIDTH - 30}" stroke="{LINE}" stroke-width="1"/>',
        *draw_datapath(),
        "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_name("overview.svg").write_text(draw())
